//! The credentials version of a tenant: which changes increment it.

use mass_admin_service::{PasswordReset, SettingsChange, UserDeletion};
use mass_auth::{
    Account, FactorProof, NewSession, Opened, PasswordChange, PasswordHash, ProvedFactor, RefreshTokenHash, Refreshed,
    Session,
};
use mass_domain::access::{Principal, Role};
use mass_domain::ids::SessionId;
use mass_domain::tenancy::{CredentialsVersion, TenantId, TenantSettings};
use uuid::Uuid;

use crate::administration::{change, key};
use crate::databases::{DatabaseLocation, TestDatabase};
use crate::fixtures::{account, act, at, event, origin, other_tenant, tenant};

on_both!(
    changes_of_credentials_increment_the_version,
    other_changes_keep_the_version,
    ending_several_sessions_increments_the_version,
    credentials_are_read_with_their_version,
    an_unknown_tenant_has_no_version,
    resets_and_deletions_increment_the_version,
    changes_of_second_factors_increment_the_version_once,
);

/// With the triggers, which distributed tables do not have.
mod by_sql {
    use super::changes_by_sql_increment_the_version;

    on_one_node!(changes_by_sql_increment_the_version);
}

/// Removes the triggers that increment the version, too, so that only the stores do.
fn drop_triggers(db: &TestDatabase) {
    for table in ["users", "sessions", "api_keys"] {
        for name in [format!("{table}_changed"), format!("{table}_removed")] {
            let on =
                if matches!(db.place, DatabaseLocation::Sqlite(_)) { String::new() } else { format!("ON {table}") };
            db.place.execute(&format!("DROP TRIGGER IF EXISTS {name} {on}"));
        }
    }
}

async fn version_of(db: &TestDatabase, tenant: &TenantId) -> i64 {
    db.users().credentials_version(tenant).await.unwrap().unwrap().0
}

fn hash(text: &str) -> PasswordHash {
    PasswordHash::from_stored(text.to_owned())
}

async fn user(db: &TestDatabase) -> Account {
    let account = account(&format!("{}@example.test", Uuid::now_v7()), &tenant());
    db.accounts().insert(account.clone(), event(&tenant(), at(0))).await.unwrap();
    account
}

/// Opens a session of a user with the password hash `hash`.
async fn open(db: &TestDatabase, account: &Account, refresh: u8) -> Session {
    let session = Session {
        id: SessionId::from_uuid(Uuid::now_v7()),
        tenant_id: tenant(),
        user_id: account.user.id,
        created_at: at(1),
        expires_at: at(1_000),
        revoked_at: None,
        factor_at: None,
    };
    let refresh = RefreshTokenHash::from_bytes([refresh; 32]);
    let opening = NewSession { session: session.clone(), refresh, proved: hash("hash"), rehashed: None, factor: None };
    assert_eq!(db.sessions().open(opening, event(&tenant(), at(1))).await.unwrap(), Opened::Open);
    session
}

async fn refresh(db: &TestDatabase, spent: u8, next: u8) -> Refreshed {
    let token = |n| RefreshTokenHash::from_bytes([n; 32]);
    db.sessions().refresh(&tenant(), token(spent), token(next), act(at(2))).await.unwrap()
}

/// Runs an action; returns the increase of the version.
async fn growth(db: &TestDatabase, act: impl AsyncFnOnce()) -> i64 {
    let before = version_of(db, &tenant()).await;
    act().await;
    version_of(db, &tenant()).await - before
}

async fn changes_of_credentials_increment_the_version(db: TestDatabase) {
    drop_triggers(&db);
    let ana = user(&db).await;
    let id = ana.user.id;
    let (first, second) = (open(&db, &ana, 1).await, open(&db, &ana, 2).await);
    let (gateway, secret) = key(&tenant(), 1);
    assert!(db.keys().insert(gateway.clone(), secret, event(&tenant(), at(1))).await.unwrap());
    let other = version_of(&db, &other_tenant()).await;

    let logged_out = async || db.sessions().revoke(&tenant(), first.id, event(&tenant(), at(2))).await.unwrap();
    assert_eq!(growth(&db, logged_out).await, 1);
    let (reuse, third) = (open(&db, &ana, 3).await, open(&db, &ana, 4).await);
    assert!(matches!(refresh(&db, 3, 5).await, Refreshed::Rotated(_)));
    let reused = async || assert_eq!(refresh(&db, 3, 6).await, Refreshed::Revoked(reuse.id));
    assert_eq!(growth(&db, reused).await, 1);
    let password = PasswordChange {
        tenant_id: tenant(),
        user_id: id,
        session_id: second.id,
        proved: hash("hash"),
        password: hash("new"),
    };
    let password_changed =
        async || assert!(db.users().change_password(password, event(&tenant(), at(3))).await.unwrap());
    assert_eq!(growth(&db, password_changed).await, 1, "it ends the session {}", third.id);
    let reset =
        async || assert!(db.users().set_password(&tenant(), id, hash("hash"), event(&tenant(), at(4))).await.unwrap());
    assert_eq!(growth(&db, reset).await, 1);
    for (roles, disabled) in [(Role::Operator, false), (Role::Operator, true), (Role::Operator, false)] {
        let changed = async || drop(db.accounts().update(&tenant(), id, change(&[roles], disabled)).await.unwrap());
        assert_eq!(growth(&db, changed).await, 1, "{roles} {disabled}");
    }
    let revoked = async || assert!(db.keys().revoke(&tenant(), gateway.id, event(&tenant(), at(5))).await.unwrap());
    assert_eq!(growth(&db, revoked).await, 1);
    assert_eq!(version_of(&db, &other_tenant()).await, other, "the other tenant's credentials are as they were");
}

async fn other_changes_keep_the_version(db: TestDatabase) {
    let before = version_of(&db, &tenant()).await;
    let ana = user(&db).await;
    let session = open(&db, &ana, 1).await;
    let rehashing = NewSession {
        session: Session { id: SessionId::from_uuid(Uuid::now_v7()), ..session },
        refresh: RefreshTokenHash::from_bytes([2; 32]),
        proved: hash("hash"),
        rehashed: Some(hash("stronger")),
        factor: None,
    };
    assert_eq!(db.sessions().open(rehashing, event(&tenant(), at(1))).await.unwrap(), Opened::Open);
    assert!(matches!(refresh(&db, 1, 3).await, Refreshed::Rotated(_)));
    let (gateway, secret) = key(&tenant(), 1);
    assert!(db.keys().insert(gateway.clone(), secret, event(&tenant(), at(1))).await.unwrap());
    db.key_ring().mark_used(&tenant(), gateway.id, at(2)).await.unwrap();
    let same = change(&[Role::Admin, Role::Operator], false);
    db.accounts().update(&tenant(), ana.user.id, same).await.unwrap();
    assert_eq!(version_of(&db, &tenant()).await, before);
}

async fn changes_by_sql_increment_the_version(db: TestDatabase) {
    let ana = user(&db).await;
    open(&db, &ana, 1).await;
    let (gateway, secret) = key(&tenant(), 1);
    assert!(db.keys().insert(gateway, secret, event(&tenant(), at(1))).await.unwrap());
    for statement in [
        "UPDATE users SET email = 'another-' || email",
        "UPDATE users SET roles = 'viewer'",
        "UPDATE users SET disabled_at = created_at",
        "UPDATE users SET disabled_at = NULL",
        "UPDATE sessions SET expires_at = created_at",
        "UPDATE sessions SET revoked_at = created_at",
        "UPDATE api_keys SET permissions = 'mass:read'",
        "UPDATE api_keys SET addresses = ''",
        "UPDATE api_keys SET expires_at = created_at",
        "UPDATE api_keys SET revoked_at = created_at",
        "UPDATE api_keys SET prefix = '000000000000'",
        "DELETE FROM api_keys",
        "DELETE FROM refresh_tokens; DELETE FROM sessions",
        "DELETE FROM users",
    ] {
        assert!(growth(&db, async || db.place.execute(statement)).await > 0, "{statement}");
    }
}

async fn ending_several_sessions_increments_the_version(db: TestDatabase) {
    drop_triggers(&db);
    let ana = user(&db).await;
    for refresh in 1..=20 {
        open(&db, &ana, refresh).await;
    }
    let reset = async || {
        assert!(db.users().set_password(&tenant(), ana.user.id, hash("new"), event(&tenant(), at(4))).await.unwrap());
    };
    assert!(growth(&db, reset).await > 0);
}

async fn credentials_are_read_with_their_version(db: TestDatabase) {
    drop_triggers(&db);
    let ana = user(&db).await;
    let session = open(&db, &ana, 1).await;
    let (gateway, secret) = key(&tenant(), 1);
    assert!(db.keys().insert(gateway.clone(), secret, event(&tenant(), at(1))).await.unwrap());
    for _ in 0..3 {
        let version = CredentialsVersion(version_of(&db, &tenant()).await);
        assert_eq!(db.sessions().find(&tenant(), session.id).await.unwrap().unwrap().version, version);
        assert_eq!(db.key_ring().find_by_prefix(&gateway.prefix).await.unwrap().unwrap().version, version);
        let ended = open(&db, &ana, u8::try_from(version.0).unwrap() + 2).await;
        db.sessions().revoke(&tenant(), ended.id, event(&tenant(), at(2))).await.unwrap();
    }
    assert_eq!(version_of(&db, &tenant()).await, 3);
}

async fn resets_and_deletions_increment_the_version(db: TestDatabase) {
    drop_triggers(&db);
    let ana = user(&db).await;
    let id = ana.user.id;
    open(&db, &ana, 1).await;
    let leaving = db.database.stores().admin.leaving.clone();
    let principal = || Principal::system(tenant());
    let reset = PasswordReset { principal: principal(), password: hash("new"), at: at(4), origin: origin() };
    let reset = async || leaving.reset_password(&tenant(), id, reset).await.unwrap();
    assert_eq!(growth(&db, reset).await, 1);
    let deletion = || UserDeletion { principal: principal(), at: at(5), origin: origin() };
    let deleted = async || leaving.delete(&tenant(), id, deletion()).await.unwrap();
    assert_eq!(growth(&db, deleted).await, 1);
    let deleted_again = async || leaving.delete(&tenant(), id, deletion()).await.unwrap();
    assert_eq!(growth(&db, deleted_again).await, 0);
}

async fn changes_of_second_factors_increment_the_version_once(db: TestDatabase) {
    let ana = user(&db).await;
    let (id, factors) = (ana.user.id, db.database.stores().auth.factors.clone());
    let session = open(&db, &ana, 1).await.id;
    let proved = |step| ProvedFactor { user: id, session, proof: FactorProof::Step(step) };
    let begun = async || assert!(factors.begin(&tenant(), id, vec![7], at(2)).await.unwrap());
    assert_eq!(growth(&db, begun).await, 0, "it is not confirmed yet");
    let confirmed = async || {
        let event = event(&tenant(), at(3));
        assert!(factors.confirm(&tenant(), proved(1), vec![7], vec![[8; 32]], event).await.unwrap());
    };
    assert_eq!(growth(&db, confirmed).await, 1);
    let proof = async || assert!(factors.prove(&tenant(), proved(2), event(&tenant(), at(4))).await.unwrap());
    assert_eq!(growth(&db, proof).await, 1);
    let removed = async || {
        assert!(factors.remove(&tenant(), id, Some(session), event(&tenant(), at(5))).await.unwrap());
    };
    assert_eq!(growth(&db, removed).await, 1);
    let settings = TenantSettings { second_factor: Some(true), ..db.settings().get(&tenant()).await.unwrap() };
    let demanded = async || {
        db.settings().update(&tenant(), SettingsChange { settings, act: act(at(6)) }).await.unwrap();
    };
    assert_eq!(growth(&db, demanded).await, 1);
}

async fn an_unknown_tenant_has_no_version(db: TestDatabase) {
    let nobody = TenantId::parse("nobody").unwrap();
    assert_eq!(db.users().credentials_version(&nobody).await.unwrap(), None);
}
