//! Sessions and their refresh tokens.

use std::sync::Arc;

use diesel::connection::SimpleConnection;
use mass_auth::{Account, NewSession, Opened, PasswordChange, PasswordHash, RefreshTokenHash, Refreshed, Session};
use mass_domain::ids::SessionId;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::databases::{DatabaseLocation, TestDatabase};
use crate::fixtures::{account, act, at, event, other_tenant, tenant};

on_both!(
    a_session_is_found_with_its_user,
    a_session_opens_only_with_the_current_password,
    a_refresh_token_works_once_and_its_reuse_ends_the_session,
    only_one_of_concurrent_refreshes_succeeds,
    a_forged_refresh_token_does_not_wait_for_writes,
    an_ended_session_is_not_refreshed,
    sessions_of_another_tenant_are_not_found,
    a_change_of_password_ends_the_other_sessions,
    a_change_of_password_needs_the_verified_password,
    ended_sessions_are_purged,
);

fn hash(text: &str) -> PasswordHash {
    PasswordHash::from_stored(text.to_owned())
}

const fn token(n: u8) -> RefreshTokenHash {
    RefreshTokenHash::from_bytes([n; 32])
}

async fn user(db: &TestDatabase) -> Account {
    let account = account(&format!("{}@example.test", Uuid::now_v7()), &tenant());
    db.accounts().insert(account.clone(), event(&tenant(), at(0))).await.unwrap();
    account
}

fn session(account: &Account) -> Session {
    Session {
        id: SessionId::from_uuid(Uuid::now_v7()),
        tenant_id: account.user.tenant_id.clone(),
        user_id: account.user.id,
        created_at: at(1),
        expires_at: at(1_000),
        revoked_at: None,
        factor_at: None,
    }
}

fn opening(session: &Session, refresh: u8) -> NewSession {
    NewSession { session: session.clone(), refresh: token(refresh), proved: hash("hash"), rehashed: None, factor: None }
}

/// Opens a session of a new user, with this refresh token.
async fn opened(db: &TestDatabase, refresh: u8) -> Session {
    let session = session(&user(db).await);
    assert_eq!(db.sessions().open(opening(&session, refresh), event(&tenant(), at(1))).await.unwrap(), Opened::Open);
    session
}

async fn stored(db: &TestDatabase, session: &Session) -> Session {
    db.sessions().find(&session.tenant_id, session.id).await.unwrap().unwrap().found.session
}

async fn a_session_is_found_with_its_user(db: TestDatabase) {
    let account = user(&db).await;
    let session = session(&account);
    assert_eq!(db.sessions().open(opening(&session, 1), event(&tenant(), at(1))).await.unwrap(), Opened::Open);
    let found = db.sessions().find(&tenant(), session.id).await.unwrap().unwrap().found;
    assert_eq!((found.session, found.user, found.demands_factor), (session.clone(), account.user, false));
    db.sessions().revoke(&tenant(), session.id, event(&tenant(), at(5))).await.unwrap();
    db.sessions().revoke(&tenant(), session.id, event(&tenant(), at(6))).await.unwrap();
    assert_eq!(stored(&db, &session).await, Session { revoked_at: Some(at(5)), ..session });
    assert_eq!(db.sessions().find(&tenant(), SessionId::from_uuid(Uuid::nil())).await.unwrap(), None);
}

async fn a_session_opens_only_with_the_current_password(db: TestDatabase) {
    let account = user(&db).await;
    let late = NewSession { proved: hash("another"), ..opening(&session(&account), 1) };
    assert_eq!(db.sessions().open(late.clone(), event(&tenant(), at(1))).await.unwrap(), Opened::Stale);
    assert_eq!(db.sessions().find(&tenant(), late.session.id).await.unwrap(), None);
    let rehashing = NewSession { rehashed: Some(hash("stronger")), ..opening(&session(&account), 2) };
    assert_eq!(db.sessions().open(rehashing, event(&tenant(), at(1))).await.unwrap(), Opened::Open);
    let now = db.users().find_by_email(&account.user.email).await.unwrap().unwrap();
    assert_eq!(now, Account { password: hash("stronger"), ..account });
}

async fn a_refresh_token_works_once_and_its_reuse_ends_the_session(db: TestDatabase) {
    let session = opened(&db, 1).await;
    let refreshed = db.sessions().refresh(&tenant(), token(1), token(2), act(at(500))).await.unwrap();
    let Refreshed::Rotated(prolonged) = refreshed else { panic!("{refreshed:?}") };
    assert!(prolonged.expires_at > session.expires_at);
    assert_eq!(stored(&db, &session).await, prolonged);
    let reused = db.sessions().refresh(&tenant(), token(1), token(3), act(at(501))).await.unwrap();
    assert_eq!(reused, Refreshed::Revoked(session.id));
    assert_eq!(stored(&db, &session).await.revoked_at, Some(at(501)));
    for refused in [2, 3, 1, 9] {
        let answer = db.sessions().refresh(&tenant(), token(refused), token(4), act(at(502))).await.unwrap();
        assert_eq!(answer, Refreshed::Refused, "{refused}");
    }
}

async fn only_one_of_concurrent_refreshes_succeeds(db: TestDatabase) {
    let session = opened(&db, 1).await;
    let other = db.place.open();
    let stores = [&db.database, &other].map(|database| Arc::clone(&database.stores().auth.sessions));
    let mut refreshes = JoinSet::new();
    for (n, store) in (2..22).zip(stores.into_iter().cycle()) {
        refreshes.spawn(async move { store.refresh(&tenant(), token(1), token(n), act(at(2))).await.unwrap() });
    }
    let results = refreshes.join_all().await;
    let count = |wanted: fn(&Refreshed) -> bool| results.iter().filter(|result| wanted(result)).count();
    assert_eq!(count(|result| matches!(result, Refreshed::Rotated(_))), 1);
    assert_eq!(count(|result| matches!(result, Refreshed::Revoked(_))), 1);
    assert_eq!(stored(&db, &session).await.revoked_at, Some(at(2)));
}

/// Attackers choose the tenant in a forged token, and must not delay its writes.
async fn a_forged_refresh_token_does_not_wait_for_writes(db: TestDatabase) {
    let session = opened(&db, 1).await;
    let mut hold: Box<dyn FnMut(&str)> = match &db.place {
        DatabaseLocation::Sqlite(_) => {
            let mut connection = db.place.sqlite_connection();
            Box::new(move |statement| connection.batch_execute(statement).unwrap())
        }
        DatabaseLocation::Postgres(server) => {
            let mut connection = server.connection();
            Box::new(move |statement| connection.batch_execute(statement).unwrap())
        }
    };
    match &db.place {
        DatabaseLocation::Sqlite(_) => hold("BEGIN IMMEDIATE"),
        DatabaseLocation::Postgres(_) => hold("BEGIN; SELECT size FROM audit_heads FOR UPDATE"),
    }
    let of = tenant();
    let waiting = db.sessions().revoke(&of, session.id, event(&of, at(2)));
    let made_up = async {
        let refused = db.sessions().refresh(&of, token(9), token(10), act(at(3))).await;
        hold("COMMIT");
        refused
    };
    let (revoked, refused) = tokio::join!(waiting, made_up);
    assert_eq!(refused.unwrap(), Refreshed::Refused);
    revoked.unwrap();
}

async fn an_ended_session_is_not_refreshed(db: TestDatabase) {
    opened(&db, 1).await;
    let expired = db.sessions().refresh(&tenant(), token(1), token(2), act(at(1_000))).await.unwrap();
    assert_eq!(expired, Refreshed::Refused);
    let session = opened(&db, 3).await;
    db.place.execute("UPDATE users SET disabled_at = created_at");
    assert_eq!(db.sessions().refresh(&tenant(), token(3), token(4), act(at(2))).await.unwrap(), Refreshed::Refused);
    assert_eq!(stored(&db, &session).await, session);
}

async fn sessions_of_another_tenant_are_not_found(db: TestDatabase) {
    let session = opened(&db, 1).await;
    let other = other_tenant();
    assert_eq!(db.sessions().find(&other, session.id).await.unwrap(), None);
    assert_eq!(db.sessions().refresh(&other, token(1), token(2), act(at(2))).await.unwrap(), Refreshed::Refused);
    db.sessions().revoke(&other, session.id, event(&other, at(2))).await.unwrap();
    assert_eq!(stored(&db, &session).await, session);
}

async fn a_change_of_password_ends_the_other_sessions(db: TestDatabase) {
    let account = user(&db).await;
    let [kept, ended] = [session(&account), session(&account)];
    for (session, refresh) in [(&kept, 1), (&ended, 2)] {
        assert_eq!(db.sessions().open(opening(session, refresh), event(&tenant(), at(1))).await.unwrap(), Opened::Open);
    }
    let strangers = opened(&db, 3).await;
    let change = PasswordChange {
        tenant_id: tenant(),
        user_id: account.user.id,
        session_id: kept.id,
        proved: hash("hash"),
        password: hash("new"),
    };
    assert!(db.users().change_password(change, event(&tenant(), at(5))).await.unwrap());
    assert_eq!(stored(&db, &kept).await, kept);
    assert_eq!(stored(&db, &ended).await.revoked_at, Some(at(5)));
    assert!(db.users().set_password(&tenant(), account.user.id, hash("newer"), event(&tenant(), at(6))).await.unwrap());
    assert_eq!(stored(&db, &kept).await.revoked_at, Some(at(6)));
    assert_eq!(stored(&db, &strangers).await, strangers);
}

async fn a_change_of_password_needs_the_verified_password(db: TestDatabase) {
    let account = user(&db).await;
    let session = session(&account);
    assert_eq!(db.sessions().open(opening(&session, 1), event(&tenant(), at(1))).await.unwrap(), Opened::Open);
    let change = PasswordChange {
        tenant_id: tenant(),
        user_id: account.user.id,
        session_id: SessionId::from_uuid(Uuid::nil()),
        proved: hash("another"),
        password: hash("new"),
    };
    assert!(!db.users().change_password(change, event(&tenant(), at(5))).await.unwrap());
    assert_eq!(stored(&db, &session).await, session);
    assert_eq!(db.users().find_by_email(&account.user.email).await.unwrap(), Some(account));
}

async fn ended_sessions_are_purged(db: TestDatabase) {
    let (expired, revoked) = (opened(&db, 1).await, opened(&db, 2).await);
    db.sessions().revoke(&tenant(), revoked.id, event(&tenant(), at(5))).await.unwrap();
    assert_eq!(db.database.purge_logins(at(5), at(0)).await.unwrap(), 0);
    assert_eq!(db.database.purge_logins(at(6), at(0)).await.unwrap(), 1);
    assert_eq!(stored(&db, &expired).await, expired);
    assert_eq!(db.database.purge_logins(at(1_001), at(0)).await.unwrap(), 1);
    assert_eq!(db.place.lines("SELECT CAST(count(*) AS text) AS line FROM refresh_tokens"), ["0"]);
}
