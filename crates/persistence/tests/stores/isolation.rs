//! No call reaches another tenant's data.

use mass_auth::PasswordHash;
use mass_domain::mass_request::{Outcome, RequestFilter, Status};
use mass_domain::page::Limit;
use mass_service::{DeleteError, Found, TransitionError};

use crate::databases::TestDatabase;
use crate::fixtures::{Vary, account, at, deletion, event, other_tenant, reading, tenant, transition, unplaced};

on_both!(another_tenants_request_is_absent, tenants_share_no_key_and_no_sequence, another_tenants_user_is_absent);

async fn another_tenants_request_is_absent(db: TestDatabase) {
    let sent = reading("dev-1", 20);
    db.mass().accept(&tenant(), vec![sent.clone()], Vec::new(), None).await.unwrap().unwrap();
    let (other, id) = (other_tenant(), sent.id);
    assert_eq!(db.mass().find(&other, id).await.unwrap(), Found::Absent);
    assert_eq!(db.mass().list_events(&other, id).await.unwrap(), Found::Absent);
    assert_eq!(db.mass().list(&other, &RequestFilter::default(), None, Limit::DEFAULT).await.unwrap(), []);
    let moved = db.mass().transition(&other, id, transition(Status::Processing)).await;
    assert!(matches!(moved, Err(TransitionError::NotFound)));
    assert!(matches!(db.mass().delete(&other, id, deletion()).await, Err(DeleteError::NotFound)));
    assert_eq!(unplaced(db.present(id).await), sent.into_request(&tenant(), None));
}

async fn tenants_share_no_key_and_no_sequence(db: TestDatabase) {
    for tenant in [tenant(), other_tenant()] {
        let sent = reading("dev-1", 20).keyed("k");
        let results = db.mass().accept(&tenant, vec![sent.clone()], Vec::new(), None).await.unwrap().unwrap();
        let receipt = results[0].as_ref().unwrap();
        assert_eq!((receipt.outcome, receipt.replayed), (Outcome::Accepted, false));
        let Found::Present(events) = db.mass().list_events(&tenant, sent.id).await.unwrap() else {
            panic!("no events")
        };
        assert_eq!((events[0].sequence, &events[0].event.tenant_id), (1, &tenant));
    }
}

async fn another_tenants_user_is_absent(db: TestDatabase) {
    let account = account("ana@example.test", &tenant());
    db.accounts().insert(account.clone(), event(&account.user.tenant_id, at(0))).await.unwrap();
    let (other, id) = (other_tenant(), account.user.id);
    let hash = || PasswordHash::from_stored("foreign".to_owned());
    assert_eq!(db.accounts().find(&other, id).await.unwrap(), None);
    assert!(!db.users().set_password(&other, id, hash(), event(&other, at(5))).await.unwrap());
    assert_eq!(db.users().find_by_email(&account.user.email).await.unwrap(), Some(account));
}
