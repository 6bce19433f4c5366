//! API keys: creation, permissions and refusals.

use mass_domain::access::{Permission, Role};
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::documents::reading;
use crate::support::{TENANT, TestApp};

on_both!(
    a_key_is_shown_once_and_kept_as_a_hash,
    a_key_has_exactly_its_permissions,
    a_key_is_refused_once_it_is_revoked,
    a_key_is_refused_once_it_has_expired,
    a_key_is_bound_to_its_addresses,
    all_refused_keys_get_the_same_answer,
    a_key_gets_only_permissions_that_its_creator_may_grant,
    a_key_with_the_permission_manages_users_and_keys,
    a_bound_key_cannot_create_or_enable_users,
    revoking_a_key_revokes_the_keys_created_with_it,
    disabling_a_user_revokes_the_keys_it_created,
    a_key_revoked_during_the_request_creates_no_key,
    a_bound_key_creates_no_key_beyond_its_bounds,
    reports_each_violation_of_a_new_key,
    keys_are_listed_newest_first_and_found_by_their_prefix,
    the_last_use_of_a_key_is_recorded,
    keys_of_another_tenant_are_not_found,
);

also_restricted!(
    a_key_with_the_permission_manages_users_and_keys,
    a_bound_key_cannot_create_or_enable_users,
    revoking_a_key_revokes_the_keys_created_with_it,
    disabling_a_user_revokes_the_keys_it_created,
    a_key_has_exactly_its_permissions,
    the_last_use_of_a_key_is_recorded,
    keys_of_another_tenant_are_not_found,
);

const KEYS: &str = "/v1/admin/api-keys";
const USERS: &str = "/v1/admin/users";
/// A well-formed id that does not exist.
const NOBODY: &str = "0199d3a0-0000-7000-8000-000000000001";

/// Creates a key with these permissions.
async fn create(client: &Client, permissions: &[&str]) -> Answer {
    client.post(KEYS).json(&json!({"name": "gateway", "permissions": permissions})).await
}

/// Creates a key with the given members, and defaults for the others.
async fn create_with(app: &TestApp, mut key: Value) -> Answer {
    let defaults = json!({"name": "gateway", "permissions": ["mass:read"]});
    for (name, value) in defaults.as_object().unwrap() {
        key.as_object_mut().unwrap().entry(name.clone()).or_insert(value.clone());
    }
    app.post(KEYS).json(&key).await
}

fn path(key: &Answer) -> String {
    format!("{KEYS}/{}", key.id())
}

/// A client with a key that was just created.
fn bearer(app: &TestApp, key: &Answer) -> Client {
    app.bearer(&key.text("/token"))
}

async fn a_key_is_shown_once_and_kept_as_a_hash(app: TestApp) {
    let created = create(app.founder(), &["mass:write", "mass:read"]).await.expect(201);
    assert_eq!(created.header("location"), Some(path(&created).as_str()));
    let (token, prefix) = (created.text("/token"), created.text("/prefix"));
    let secret = token.strip_prefix(&format!("mass_{prefix}_")).unwrap();
    assert_eq!((prefix.len(), secret.len()), (12, 32));
    let shown = app.get(&path(&created)).await.expect(200).json();
    assert_eq!((&shown["name"], &shown["prefix"]), (&json!("gateway"), &json!(prefix)));
    assert_eq!(shown["permissions"], json!(["mass:read", "mass:write"]));
    assert_eq!(shown["created_by"]["id"], app.get("/v1/auth/me").await.json()["id"]);
    let list = app.get(KEYS).await.expect(200).json();
    assert_eq!(list["items"], json!([shown]));
    for place in [&shown, &list] {
        assert!(!place.to_string().contains(secret));
    }
    for column in ["prefix", "name", "permissions", "addresses"] {
        assert_eq!(app.database().count(&format!("api_keys WHERE {column} LIKE '%{secret}%'")), 0);
    }
    assert_eq!(app.database().count("api_keys WHERE length(secret_hash) = 32"), 1);
}

async fn a_key_has_exactly_its_permissions(app: TestApp) {
    let created = create(app.founder(), &["mass:write"]).await.expect(201);
    let gateway = bearer(&app, &created);
    let me = gateway.get("/v1/auth/me").await.expect(200).json();
    let expected = json!({
        "id": created.id(), "kind": "api_key", "tenant_id": TENANT, "roles": [], "permissions": ["mass:write"],
    });
    assert_eq!(me, expected);
    let sent = gateway.post("/v1/mass-requests").json(&reading("dev-1")).await.expect(201);
    assert_eq!(sent.at("/created_by"), json!({"kind": "api_key", "id": created.id()}));
    let refused = gateway.get("/v1/mass-requests").await.expect_problem(403, "forbidden");
    assert_eq!(refused.text("/permission"), "mass:read");
    gateway.get(KEYS).await.expect_problem(403, "forbidden");
}

async fn a_key_is_refused_once_it_is_revoked(app: TestApp) {
    let created = create(app.founder(), &["mass:read"]).await.expect(201);
    let gateway = bearer(&app, &created);
    gateway.get("/v1/mass-requests").await.expect(200);
    app.delete(&path(&created)).await.expect(204);
    gateway.get("/v1/mass-requests").await.expect_problem(401, "unauthenticated");
    let revoked = app.get(&path(&created)).await.expect(200);
    assert!(revoked.at("/revoked_at").is_string());
    app.delete(&path(&created)).await.expect(204);
    assert_eq!(app.get(&path(&created)).await.body, revoked.body);
    app.delete(&format!("{KEYS}/{NOBODY}")).await.expect_problem(404, "not-found");
}

async fn a_key_is_refused_once_it_has_expired(app: TestApp) {
    let created = create_with(&app, json!({"expires_at": "2099-12-31T23:59:59Z"})).await.expect(201);
    assert_eq!(created.text("/expires_at"), "2099-12-31T23:59:59Z");
    let gateway = bearer(&app, &created);
    gateway.get("/v1/mass-requests").await.expect(200);
    app.execute("UPDATE api_keys SET expires_at = '2026-01-01T00:00:00.000000Z'");
    gateway.get("/v1/mass-requests").await.expect_problem(401, "unauthenticated");
    let late = create_with(&app, json!({"expires_at": "2026-01-01T00:00:00Z"})).await;
    late.expect_violations("contract-violation", &["/expires_at range"]);
}

async fn a_key_is_bound_to_its_addresses(app: TestApp) {
    let here = create_with(&app, json!({"addresses": ["2001:db8::/32", "127.0.0.9/8"]})).await.expect(201);
    assert_eq!(here.at("/addresses"), json!(["127.0.0.0/8", "2001:db8::/32"]));
    bearer(&app, &here).get("/v1/mass-requests").await.expect(200);
    let elsewhere = create_with(&app, json!({"addresses": ["192.0.2.0/24", "::/0"]})).await.expect(201);
    bearer(&app, &elsewhere).get("/v1/mass-requests").await.expect_problem(401, "unauthenticated");
}

async fn all_refused_keys_get_the_same_answer(app: TestApp) {
    let good = create(app.founder(), &["mass:read"]).await.expect(201).text("/token");
    let revoked = create(app.founder(), &["mass:read"]).await.expect(201);
    app.delete(&path(&revoked)).await.expect(204);
    let foreign = create_with(&app, json!({"addresses": ["192.0.2.1"]})).await.expect(201).text("/token");
    let other_secret = format!("{}{}", &good[..good.len() - 1], if good.ends_with('0') { '1' } else { '0' });
    let other_prefix = good.replace("mass_", "mass_0");
    let unknown = format!("mass_000000000000_{}", "0".repeat(32));
    let expected = app.bearer("nonsense").get("/v1/auth/me").await.expect_problem(401, "unauthenticated");
    for token in [&revoked.text("/token"), &foreign, &other_secret, &other_prefix, &unknown, "mass_", &good[..17]] {
        let refused = app.bearer(token).get("/v1/auth/me").await.expect_problem(401, "unauthenticated");
        assert_eq!(refused.without_ids(), expected.without_ids(), "{token}");
        assert_eq!(refused.header("www-authenticate"), expected.header("www-authenticate"));
    }
    app.bearer(&good).get("/v1/auth/me").await.expect(200);
}

async fn a_key_gets_only_permissions_that_its_creator_may_grant(app: TestApp) {
    let admin = app.user(Role::Admin).await;
    for permission in Permission::ALL {
        let created = create(&admin, &["mass:read", permission.as_str()]).await;
        if *permission == Permission::TenantsManage {
            assert_eq!(created.expect_problem(403, "forbidden").text("/permission"), "tenants:manage");
        } else {
            created.expect(201);
        }
    }
    create(app.founder(), &["tenants:manage"]).await.expect(201);
    create(&app.user(Role::Operator).await, &["mass:read"]).await.expect_problem(403, "forbidden");
}

async fn a_key_with_the_permission_manages_users_and_keys(app: TestApp) {
    let permissions = ["keys:manage", "users:manage", "mass:read", "analytics:read", "alerts:read"];
    let created = create(app.founder(), &permissions).await.expect(201);
    let manager = bearer(&app, &created);
    let user = json!({"email": "ana@example.test", "roles": ["viewer"]});
    let user = manager.post(USERS).json(&user).await.expect(201);
    let path = format!("{USERS}/{}", user.id());
    // It cannot create users with more permissions than its own: it could log in as them.
    for (role, missing) in [("operator", "mass:write"), ("auditor", "audit:read"), ("admin", "audit:read")] {
        let more = json!({"email": "bea@example.test", "roles": [role]});
        let refused = manager.post(USERS).json(&more).await.expect_problem(403, "forbidden");
        assert_eq!(refused.text("/permission"), missing);
        let promotion = manager.patch(&path).json(&json!({"roles": [role]})).await.expect_problem(403, "forbidden");
        assert_eq!(promotion.text("/permission"), missing);
    }
    let operator = app.user(Role::Operator).await.get("/v1/auth/me").await.expect(200).id();
    let disabling = manager.patch(&format!("{USERS}/{operator}")).json(&json!({"disabled": true}));
    assert_eq!(disabling.await.expect_problem(403, "forbidden").text("/permission"), "mass:write");
    manager.patch(&path).json(&json!({"disabled": true})).await.expect(200);
    manager.patch(&path).json(&json!({"disabled": false})).await.expect(200);
    let key = create(&manager, &["mass:read"]).await.expect(201);
    assert_eq!(key.at("/created_by"), json!({"kind": "api_key", "id": created.id()}));
    for beyond in ["audit:read", "mass:write"] {
        let refused = create(&manager, &[beyond]).await.expect_problem(403, "forbidden");
        assert_eq!(refused.text("/permission"), beyond);
    }
}

async fn a_bound_key_cannot_create_or_enable_users(app: TestApp) {
    let viewer = json!({"email": "ana@example.test", "roles": ["viewer"]});
    let user = app.post(USERS).json(&viewer).await.expect(201);
    let path = format!("{USERS}/{}", user.id());
    for bound in [json!({"addresses": ["127.0.0.0/8"]}), json!({"expires_at": "2099-12-31T23:59:59Z"})] {
        let mut key =
            json!({"permissions": ["users:manage", "tenants:manage", "mass:read", "analytics:read", "alerts:read"]});
        key.as_object_mut().unwrap().extend(bound.as_object().unwrap().clone());
        let manager = bearer(&app, &create_with(&app, key).await.expect(201));
        let new = json!({"email": "bea@example.test", "roles": ["viewer"]});
        let refused = manager.post(USERS).json(&new).await.expect_problem(403, "bound-key");
        assert!(refused.text("/detail").contains("bound to addresses or expires"));
        manager.patch(&path).json(&json!({"roles": ["viewer"]})).await.expect_problem(403, "bound-key");
        manager.patch(&path).json(&json!({"disabled": true})).await.expect(200);
        manager.patch(&path).json(&json!({"disabled": false})).await.expect_problem(403, "bound-key");
        let tenant = json!({"id": "site-7", "admin": {"email": "bea@example.test"}});
        manager.post("/v1/admin/tenants").json(&tenant).await.expect_problem(403, "bound-key");
    }
    assert_eq!(app.database().count("users WHERE email = 'bea@example.test'"), 0);
}

async fn revoking_a_key_revokes_the_keys_created_with_it(app: TestApp) {
    let parent = create(app.founder(), &["keys:manage", "mass:read"]).await.expect(201);
    let child = create(&bearer(&app, &parent), &["keys:manage", "mass:read"]).await.expect(201);
    let sibling = create(&bearer(&app, &parent), &["mass:read"]).await.expect(201);
    let grandchild = create(&bearer(&app, &child), &["mass:read"]).await.expect(201);
    let other = create(app.founder(), &["mass:read"]).await.expect(201);
    // The cascade passes through a key that an older version revoked without its descendants.
    app.execute(&format!("UPDATE api_keys SET revoked_at = created_at WHERE prefix = '{}'", child.text("/prefix")));
    bearer(&app, &grandchild).get("/v1/mass-requests").await.expect(200);
    app.delete(&path(&parent)).await.expect(204);
    for ended in [&parent, &child, &sibling, &grandchild] {
        bearer(&app, ended).get("/v1/auth/me").await.expect_problem(401, "unauthenticated");
    }
    bearer(&app, &other).get("/v1/mass-requests").await.expect(200);
    let events = app.get("/v1/audit/events?action=api_key_revoked").await.expect(200).json();
    let events = events["items"].as_array().unwrap();
    let follows = json!({"follows_from": {"kind": "api_key", "id": parent.id()}});
    let followed = |key: &Answer| {
        events.iter().any(|event| event["object"]["id"] == json!(key.id()) && event["detail"] == follows)
    };
    assert!(events.len() == 3 && followed(&sibling) && followed(&grandchild), "{events:?}");
    app.delete(&path(&parent)).await.expect(204);
}

async fn disabling_a_user_revokes_the_keys_it_created(app: TestApp) {
    let admin = app.user(Role::Admin).await;
    let user = format!("{USERS}/{}", admin.get("/v1/auth/me").await.expect(200).id());
    let made = create(&admin, &["keys:manage", "mass:read"]).await.expect(201);
    let child = create(&bearer(&app, &made), &["mass:read"]).await.expect(201);
    let others = create(app.founder(), &["mass:read"]).await.expect(201);
    let kept = app.patch(&user).json(&json!({"disabled": true, "keep_keys": true})).await.expect(200);
    assert_eq!(kept.at("/revoked_keys"), json!(0));
    bearer(&app, &child).get("/v1/mass-requests").await.expect(200);
    for revoked in [2, 0] {
        let disabled = app.patch(&user).json(&json!({"disabled": true})).await.expect(200);
        assert_eq!(disabled.at("/revoked_keys"), json!(revoked));
    }
    for ended in [&made, &child] {
        bearer(&app, ended).get("/v1/auth/me").await.expect_problem(401, "unauthenticated");
    }
    bearer(&app, &others).get("/v1/mass-requests").await.expect(200);
    assert_eq!(app.database().count("api_keys WHERE revoked_at IS NOT NULL"), 2);
}

/// No key outlives the key that created it, in whatever order the calls commit.
async fn a_key_revoked_during_the_request_creates_no_key(app: TestApp) {
    let parent = create(app.founder(), &["keys:manage", "mass:read"]).await.expect(201);
    let manager = bearer(&app, &parent);
    let creating = async || futures_util::future::join_all((0..8).map(|_| create(&manager, &["mass:read"]))).await;
    let revoking = async || app.delete(&path(&parent)).await.expect(204);
    let (created, _) = tokio::join!(creating(), revoking());
    assert!(created.iter().all(|answer| matches!(answer.status, 201 | 401)), "{created:?}");
    assert_eq!(app.database().count("api_keys WHERE revoked_at IS NULL"), 0);
}

async fn a_bound_key_creates_no_key_beyond_its_bounds(app: TestApp) {
    let end = "2099-12-31T23:59:59Z";
    let bounds = json!({"permissions": ["keys:manage"], "addresses": ["127.0.0.0/8"], "expires_at": end});
    let parent = create_with(&app, bounds).await.expect(201);
    let manager = bearer(&app, &parent);
    let child = create(&manager, &["keys:manage"]).await.expect(201);
    assert_eq!((child.at("/addresses"), child.text("/expires_at")), (json!(["127.0.0.0/8"]), end.to_owned()));
    let with = async |bounds: Value| {
        let mut key = json!({"name": "gateway", "permissions": ["keys:manage"]});
        key.as_object_mut().unwrap().extend(bounds.as_object().unwrap().clone());
        bearer(&app, &child).post(KEYS).json(&key).await
    };
    let narrower = json!({"addresses": ["127.0.0.1"], "expires_at": "2098-12-31T23:59:59Z"});
    let narrower = with(narrower).await.expect(201);
    assert_eq!(narrower.at("/addresses"), json!(["127.0.0.1/32"]));
    assert_eq!(narrower.text("/expires_at"), "2098-12-31T23:59:59Z");
    for (beyond, violation, bound) in [
        (json!({"addresses": ["0.0.0.0/0"]}), "/addresses range", "127.0.0.0/8"),
        (json!({"addresses": ["127.0.0.1", "192.0.2.1"]}), "/addresses range", "127.0.0.0/8"),
        (json!({"expires_at": "2100-01-01T00:00:00Z"}), "/expires_at range", end),
    ] {
        let refused = with(beyond).await;
        assert!(refused.json().to_string().contains(bound), "the refusal names the bound {bound}");
        refused.expect_violations("contract-violation", &[violation]);
    }
}

async fn reports_each_violation_of_a_new_key(app: TestApp) {
    let ranges: Vec<String> = (0..33).map(|n| format!("192.0.2.{n}")).collect();
    for (key, violations) in [
        (json!({"name": " "}), ["/name shape"]),
        (json!({"name": "x".repeat(101)}), ["/name shape"]),
        (json!({"name": "gate\u{202e}way"}), ["/name shape"]),
        (json!({"name": "gate\nway"}), ["/name shape"]),
        (json!({"permissions": []}), ["/permissions rule"]),
        (json!({"permissions": ["mass:read", "everything"]}), ["/permissions/1 shape"]),
        (json!({"addresses": ["192.0.2.0/24", "192.0.2.0/33"]}), ["/addresses/1 shape"]),
        (json!({"addresses": ranges}), ["/addresses rule"]),
        (json!({"expires_at": "tomorrow"}), ["/expires_at shape"]),
        (json!({"role": "admin"}), ["/role shape"]),
    ] {
        create_with(&app, key).await.expect_violations("contract-violation", &violations);
    }
}

async fn keys_are_listed_newest_first_and_found_by_their_prefix(app: TestApp) {
    let mut created = Vec::new();
    for _ in 0..3 {
        created.insert(0, create(app.founder(), &["mass:read"]).await.expect(201));
    }
    let first = app.get(&format!("{KEYS}?limit=2")).await.expect(200);
    let next = first.header("link").unwrap().split(['<', '>']).nth(1).unwrap();
    let second = app.get(next).await.expect(200);
    let items = [first.json(), second.json()].map(|page| page["items"].as_array().unwrap().clone()).concat();
    let ids: Vec<_> = items.iter().map(|key| key["id"].as_str().unwrap()).collect();
    assert_eq!(ids, created.iter().map(Answer::id).collect::<Vec<_>>());
    let found = app.get(&format!("{KEYS}?prefix={}", created[1].text("/prefix"))).await.expect(200).json();
    assert_eq!(found["items"], json!([items[1]]));
    let unknown = app.get(&format!("{KEYS}?prefix=000000000000")).await.expect(200).json();
    assert_eq!(unknown["items"], json!([]));
    app.get(&format!("{KEYS}?prefix=x")).await.expect_violations("invalid-parameter", &["?prefix parameter"]);
}

async fn the_last_use_of_a_key_is_recorded(app: TestApp) {
    let created = create(app.founder(), &["mass:read"]).await.expect(201);
    let last_use = async || app.get(&path(&created)).await.expect(200).at("/last_used_at");
    // The use is recorded in the background.
    let next_use = async |before: &Value| {
        for _ in 0..1_000 {
            match last_use().await {
                unchanged if unchanged == *before => tokio::task::yield_now().await,
                next => return next,
            }
        }
        panic!("no use is remembered after {before}");
    };
    assert_eq!(last_use().await, Value::Null);
    let gateway = bearer(&app, &created);
    gateway.get("/v1/auth/me").await.expect(200);
    let first = next_use(&Value::Null).await;
    gateway.get("/v1/auth/me").await.expect(200);
    let other = app.another().await;
    bearer(&other, &created).get("/v1/auth/me").await.expect(200);
    assert_eq!(last_use().await, first, "within the same minute");
    let long_ago = json!("2026-01-01T00:00:00Z");
    app.execute("UPDATE api_keys SET last_used_at = '2026-01-01T00:00:00.000000Z'");
    bearer(&app.another().await, &created).get("/v1/auth/me").await.expect(200);
    assert!(next_use(&long_ago).await.as_str().unwrap() >= first.as_str().unwrap());
}

async fn keys_of_another_tenant_are_not_found(app: TestApp) {
    let created = create(app.founder(), &["mass:read"]).await.expect(201);
    let foreigner = app.foreigner(Role::Admin).await;
    for foreign in [foreigner.get(&path(&created)).await, foreigner.delete(&path(&created)).await] {
        foreign.expect_problem(404, "not-found");
    }
    let prefix = created.text("/prefix");
    for list in [KEYS.to_owned(), format!("{KEYS}?prefix={prefix}")] {
        assert_eq!(foreigner.get(&list).await.expect(200).json()["items"], json!([]));
    }
    let theirs = create(&foreigner, &["mass:read"]).await.expect(201);
    let me = bearer(&app, &theirs).get("/v1/auth/me").await.expect(200);
    assert_eq!(me.text("/tenant_id"), crate::support::OTHER_TENANT);
    bearer(&app, &created).get("/v1/auth/me").await.expect(200);
}
