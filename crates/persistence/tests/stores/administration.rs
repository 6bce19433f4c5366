//! Administration of tenants, users, API keys and quotas.

use std::collections::BTreeSet;

use mass_admin_service::{ChangeUserError, CreateTenantError, QuotaChange, SettingsChange, UserChange};
use mass_auth::StoredKey;
use mass_domain::access::{Permission, Principal, Role};
use mass_domain::api_keys::{ApiKey, KeyToken, SecretDigest};
use mass_domain::audit::NewEvent;
use mass_domain::ids::{ApiKeyId, UserId};
use mass_domain::page::Limit;
use mass_domain::tenancy::{Quotas, TenantId, TenantSettings};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::databases::TestDatabase;
use crate::fixtures::{account, act, actor, at, event, founded, origin, other_tenant, tenant};

on_both!(
    a_tenant_is_created_with_its_administrator_or_not_at_all,
    tenants_are_listed_in_order_of_their_slugs,
    users_of_one_tenant_are_listed_newest_first,
    a_change_to_a_user_is_stored,
    concurrent_resignations_leave_one_administrator,
    stored_keys_are_read_back_unchanged,
    a_key_prefix_is_unique,
    keys_of_one_tenant_are_listed_newest_first,
    a_revoked_key_stays_revoked,
    only_a_later_use_of_a_key_replaces_the_last_one,
    quotas_are_replaced_as_a_whole,
    settings_are_replaced_and_every_change_is_recorded,
);

fn two() -> Limit {
    Limit::new(2).unwrap()
}

fn slug(text: &str) -> TenantId {
    TenantId::parse(text).unwrap()
}

fn founding(tenant: &TenantId) -> Vec<NewEvent> {
    vec![event(tenant, at(0)), event(tenant, at(0))]
}

pub(crate) fn key(tenant: &TenantId, byte: u8) -> (ApiKey, SecretDigest) {
    let token = KeyToken::from_random(&[byte; KeyToken::RANDOM_BYTES]);
    let key = ApiKey {
        id: ApiKeyId::from_uuid(Uuid::from_u128(byte.into())),
        tenant_id: tenant.clone(),
        prefix: token.prefix().clone(),
        name: "gateway, Hall 2".parse().unwrap(),
        permissions: BTreeSet::from([Permission::MassRead, Permission::MassWrite]),
        addresses: ["192.0.2.0/24", "2001:db8::/32"].map(|range| range.parse().unwrap()).into(),
        expires_at: Some(at(9)),
        last_used_at: None,
        created_at: at(1),
        created_by: actor(),
        revoked_at: None,
    };
    (key, token.digest())
}

async fn a_tenant_is_created_with_its_administrator_or_not_at_all(db: TestDatabase) {
    let third = slug("third");
    let taken = account("founder@example.test", &third);
    assert!(matches!(
        db.tenants().insert(founded(third.clone()), taken, founding(&third)).await,
        Err(CreateTenantError::EmailTaken)
    ));
    assert_eq!(db.tenants().find(&third).await.unwrap(), None);
    let admin = account("ana@example.test", &third);
    db.tenants().insert(founded(third.clone()), admin.clone(), founding(&third)).await.unwrap();
    assert_eq!(db.tenants().find(&third).await.unwrap(), Some(founded(third.clone())));
    assert_eq!(db.accounts().find(&third, admin.user.id).await.unwrap(), Some(admin.user));
    let second = account("second@example.test", &third);
    assert!(matches!(
        db.tenants().insert(founded(third.clone()), second.clone(), founding(&third)).await,
        Err(CreateTenantError::Taken)
    ));
    assert_eq!(db.accounts().find(&third, second.user.id).await.unwrap(), None);
}

async fn tenants_are_listed_in_order_of_their_slugs(db: TestDatabase) {
    for id in ["alpha", "zeta"] {
        db.tenants()
            .insert(founded(slug(id)), account(&format!("ana@{id}.test"), &slug(id)), founding(&slug(id)))
            .await
            .unwrap();
    }
    let ids = async |after: Option<&str>| {
        let rows = db.tenants().list(after.map(slug), two()).await.unwrap();
        rows.into_iter().map(|row| row.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ids(None).await, ["alpha", "default", "other"]);
    assert_eq!(ids(Some("default")).await, ["other", "zeta"]);
    assert_eq!(ids(Some("zeta")).await, [""; 0]);
}

async fn users_of_one_tenant_are_listed_newest_first(db: TestDatabase) {
    let mut users = Vec::new();
    for n in 0..4 {
        let mut account = account(&format!("user-{n}@example.test"), &other_tenant());
        account.user.id = UserId::from_uuid(Uuid::from_u128(n));
        db.accounts().insert(account.clone(), event(&account.user.tenant_id, at(0))).await.unwrap();
        users.insert(0, account.user);
    }
    assert_eq!(db.accounts().list(&other_tenant(), None, two()).await.unwrap(), users[..3]);
    assert_eq!(db.accounts().list(&other_tenant(), Some(users[1].id), two()).await.unwrap(), users[2..]);
}

pub(crate) fn change(roles: &[Role], disabled: bool) -> UserChange {
    let roles = Some(roles.iter().copied().collect());
    let (principal, disabled) = (Principal::system(tenant()), Some(disabled));
    UserChange { principal, email: None, roles, disabled, keep_keys: false, at: at(7), origin: origin() }
}

async fn a_change_to_a_user_is_stored(db: TestDatabase) {
    let account = account("ana@example.test", &tenant());
    db.accounts().insert(account.clone(), event(&account.user.tenant_id, at(0))).await.unwrap();
    let id = account.user.id;
    let changed = db.accounts().update(&tenant(), id, change(&[Role::Viewer], true)).await.unwrap().user;
    assert_eq!((&changed.roles, changed.disabled_at), (&BTreeSet::from([Role::Viewer]), Some(at(7))));
    assert_eq!(db.accounts().find(&tenant(), id).await.unwrap(), Some(changed));
    let foreign = db.accounts().update(&other_tenant(), id, change(&[Role::Admin], false)).await;
    assert!(matches!(foreign, Err(ChangeUserError::NotFound)));
}

async fn concurrent_resignations_leave_one_administrator(db: TestDatabase) {
    let other = db.place.open();
    let stores = [&db.database, &other].map(|database| database.stores().admin.accounts.clone());
    let mut admins = Vec::new();
    for n in 0..10 {
        let account = account(&format!("admin-{n}@example.test"), &other_tenant());
        db.accounts().insert(account.clone(), event(&account.user.tenant_id, at(0))).await.unwrap();
        admins.push(account.user.id);
    }
    let mut calls = JoinSet::new();
    for (id, store) in admins.into_iter().zip(stores.into_iter().cycle()) {
        calls.spawn(async move { store.update(&other_tenant(), id, change(&[Role::Viewer], false)).await });
    }
    let results = calls.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 9);
    assert_eq!(results.iter().filter(|result| matches!(result, Err(ChangeUserError::LastAdmin))).count(), 1);
}

async fn stored_keys_are_read_back_unchanged(db: TestDatabase) {
    for (byte, plain) in [(1, false), (2, true)] {
        let (mut key, secret) = key(&tenant(), byte);
        if plain {
            (key.addresses, key.permissions, key.expires_at) = (BTreeSet::new(), BTreeSet::new(), None);
        }
        assert!(db.keys().insert(key.clone(), secret, event(&key.tenant_id, at(1))).await.unwrap());
        assert_eq!(db.keys().find(&tenant(), key.id).await.unwrap(), Some(key.clone()));
        assert_eq!(db.keys().find(&other_tenant(), key.id).await.unwrap(), None);
        let found = db.key_ring().find_by_prefix(&key.prefix).await.unwrap().unwrap().found;
        assert_eq!(found, StoredKey { key, secret });
    }
    assert_eq!(db.key_ring().find_by_prefix(&key(&tenant(), 3).0.prefix).await.unwrap(), None);
}

async fn a_key_prefix_is_unique(db: TestDatabase) {
    let (first, secret) = key(&tenant(), 1);
    assert!(db.keys().insert(first.clone(), secret, event(&first.tenant_id, at(1))).await.unwrap());
    let (second, secret) = key(&other_tenant(), 1);
    assert!(!db.keys().insert(second.clone(), secret, event(&second.tenant_id, at(1))).await.unwrap());
    assert_eq!(db.keys().find(&other_tenant(), second.id).await.unwrap(), None);
    assert_eq!(db.key_ring().find_by_prefix(&first.prefix).await.unwrap().unwrap().found.key, first);
}

async fn keys_of_one_tenant_are_listed_newest_first(db: TestDatabase) {
    let mut keys = Vec::new();
    for byte in 1..5 {
        let (key, secret) = key(&tenant(), byte);
        assert!(db.keys().insert(key.clone(), secret, event(&key.tenant_id, at(1))).await.unwrap());
        keys.insert(0, key);
    }
    assert_eq!(db.keys().list(&tenant(), None, None, two()).await.unwrap(), keys[..3]);
    assert_eq!(db.keys().list(&tenant(), None, Some(keys[1].id), two()).await.unwrap(), keys[2..]);
    assert_eq!(db.keys().list(&tenant(), Some(&keys[2].prefix), None, two()).await.unwrap(), keys[2..3]);
    assert_eq!(db.keys().list(&other_tenant(), None, None, two()).await.unwrap(), []);
    assert_eq!(db.keys().list(&other_tenant(), Some(&keys[2].prefix), None, two()).await.unwrap(), []);
}

async fn a_revoked_key_stays_revoked(db: TestDatabase) {
    let (key, secret) = key(&tenant(), 1);
    assert!(db.keys().insert(key.clone(), secret, event(&key.tenant_id, at(1))).await.unwrap());
    assert!(!db.keys().revoke(&other_tenant(), key.id, event(&other_tenant(), at(4))).await.unwrap());
    for later in [5, 6] {
        assert!(db.keys().revoke(&tenant(), key.id, event(&tenant(), at(later))).await.unwrap());
        let revoked = ApiKey { revoked_at: Some(at(5)), ..key.clone() };
        assert_eq!(db.keys().find(&tenant(), key.id).await.unwrap(), Some(revoked));
    }
}

async fn only_a_later_use_of_a_key_replaces_the_last_one(db: TestDatabase) {
    let (key, secret) = key(&tenant(), 1);
    assert!(db.keys().insert(key.clone(), secret, event(&key.tenant_id, at(1))).await.unwrap());
    for (used, kept) in [(5, 5), (8, 8), (7, 8)] {
        db.key_ring().mark_used(&tenant(), key.id, at(used)).await.unwrap();
        db.key_ring().mark_used(&other_tenant(), key.id, at(9)).await.unwrap();
        let found = db.keys().find(&tenant(), key.id).await.unwrap().unwrap();
        assert_eq!(found.last_used_at, Some(at(kept)));
    }
}

async fn quotas_are_replaced_as_a_whole(db: TestDatabase) {
    assert_eq!(db.quotas().get(&tenant()).await.unwrap(), Quotas::default());
    for quotas in [
        Quotas { requests_per_day: Some(1), ..Quotas::default() },
        Quotas { stored_bytes: Some(1 << 53), quarantine_bytes: Some(7), ..Quotas::default() },
        Quotas::default(),
    ] {
        db.quotas().update(&tenant(), QuotaChange { quotas, act: act(at(5)) }).await.unwrap();
        assert_eq!(db.quotas().get(&tenant()).await.unwrap(), quotas);
        assert_eq!(db.quotas().get(&other_tenant()).await.unwrap(), Quotas::default());
    }
}

async fn settings_are_replaced_and_every_change_is_recorded(db: TestDatabase) {
    assert_eq!(db.settings().get(&tenant()).await.unwrap(), TenantSettings::default());
    for auto_send in [Some(true), Some(true), Some(false), None, None] {
        let settings = TenantSettings { auto_send, ..TenantSettings::default() };
        db.settings().update(&tenant(), SettingsChange { settings, act: act(at(5)) }).await.unwrap();
        assert_eq!(db.settings().get(&tenant()).await.unwrap(), settings);
        assert_eq!(db.settings().get(&other_tenant()).await.unwrap(), TenantSettings::default());
    }
    let told = "SELECT tenant_id AS line FROM audit_events WHERE action = 'settings_set'";
    assert_eq!(db.place.lines(told), ["default"; 3]);
}
