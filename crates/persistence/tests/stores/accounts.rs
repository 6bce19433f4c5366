//! Tenants and accounts.

use std::collections::BTreeSet;

use mass_admin_service::CreateUserError;
use mass_auth::{Account, PasswordHash};
use mass_domain::access::Role;
use mass_domain::ids::UserId;
use mass_domain::tenancy::TenantId;
use mass_domain::users::Email;
use uuid::Uuid;

use crate::databases::TestDatabase;
use crate::fixtures::{account, at, event, founded, other_tenant, tenant};

on_both!(
    the_first_account_is_created_once,
    an_account_is_found_by_address_and_by_id,
    an_email_address_is_unique_across_tenants,
    an_account_needs_a_tenant,
    a_password_is_changed,
);

fn hash(text: &str) -> PasswordHash {
    PasswordHash::from_stored(text.to_owned())
}

async fn the_first_account_is_created_once(db: TestDatabase) {
    assert!(!db.users().is_empty().await.unwrap());
    let third = TenantId::parse("third").unwrap();
    let late = account("late@example.test", &third);
    assert!(!db.users().bootstrap(founded(third.clone()), late.clone(), vec![event(&third, at(0))]).await.unwrap());
    assert_eq!(db.users().find_by_email(&late.user.email).await.unwrap(), None);
    assert!(matches!(db.accounts().insert(late, event(&third, at(0))).await, Err(CreateUserError::NoSuchTenant)));
}

async fn an_account_is_found_by_address_and_by_id(db: TestDatabase) {
    for roles in [&[][..], &[Role::Viewer], Role::ALL] {
        let mut account = account(&format!("ana-{}@example.test", roles.len()), &other_tenant());
        account.user.roles = roles.iter().copied().collect::<BTreeSet<_>>();
        account.user.disabled_at = roles.is_empty().then(|| at(5));
        db.accounts().insert(account.clone(), event(&account.user.tenant_id, at(0))).await.unwrap();
        assert_eq!(db.accounts().find(&other_tenant(), account.user.id).await.unwrap(), Some(account.user.clone()));
        assert_eq!(db.users().find_by_email(&account.user.email).await.unwrap(), Some(account));
    }
    assert_eq!(db.users().find_by_email(&Email::parse("nobody@example.test").unwrap()).await.unwrap(), None);
    assert_eq!(db.accounts().find(&tenant(), UserId::from_uuid(Uuid::nil())).await.unwrap(), None);
}

async fn an_email_address_is_unique_across_tenants(db: TestDatabase) {
    let first = account("ana@example.test", &tenant());
    db.accounts().insert(first.clone(), event(&first.user.tenant_id, at(0))).await.unwrap();
    for tenant in [tenant(), other_tenant()] {
        let second = account("ana@example.test", &tenant);
        assert!(matches!(
            db.accounts().insert(second.clone(), event(&second.user.tenant_id, at(0))).await,
            Err(CreateUserError::EmailTaken)
        ));
        assert_eq!(db.accounts().find(&tenant, second.user.id).await.unwrap(), None);
    }
    assert_eq!(db.users().find_by_email(&first.user.email).await.unwrap(), Some(first));
}

async fn an_account_needs_a_tenant(db: TestDatabase) {
    let stray = account("ana@example.test", &TenantId::parse("nowhere").unwrap());
    assert!(matches!(db.accounts().insert(stray, event(&tenant(), at(0))).await, Err(CreateUserError::NoSuchTenant)));
}

async fn a_password_is_changed(db: TestDatabase) {
    let account = account("ana@example.test", &tenant());
    db.accounts().insert(account.clone(), event(&account.user.tenant_id, at(0))).await.unwrap();
    assert!(db.users().set_password(&tenant(), account.user.id, hash("new"), event(&tenant(), at(5))).await.unwrap());
    let changed = Account { password: hash("new"), ..account.clone() };
    assert_eq!(db.users().find_by_email(&account.user.email).await.unwrap(), Some(changed));
    let nobody = UserId::from_uuid(Uuid::nil());
    assert!(!db.users().set_password(&tenant(), nobody, hash("new"), event(&tenant(), at(5))).await.unwrap());
}
