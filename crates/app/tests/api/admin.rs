//! Administration: users, tenants and quotas.

use mass_domain::access::Role;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::documents::reading;
use crate::support::process::Workplace;
use crate::support::{FOUNDER, OTHER_TENANT, PASSWORD, TENANT, TestApp};

on_both!(
    a_created_user_logs_in_with_the_password_that_is_shown_once,
    a_user_is_created_with_a_given_password,
    the_location_of_a_created_user_returns_it,
    reports_each_violation_of_a_new_user,
    an_email_address_is_unique_across_tenants,
    users_are_listed_newest_first_page_by_page,
    users_of_older_versions_are_still_readable,
    changed_roles_take_effect_on_the_next_request,
    a_disabled_user_is_refused_until_it_is_enabled_again,
    only_platform_administrators_manage_platform_administrators,
    users_of_another_tenant_are_not_found,
    the_last_administrator_cannot_be_demoted_or_disabled,
    concurrent_demotions_leave_one_administrator,
    the_command_line_creates_users_too,
    a_tenant_is_created_with_its_administrator,
    a_new_tenant_needs_an_unused_slug_and_email_address,
    tenants_are_listed_in_order_of_their_slugs,
    quotas_are_off_until_they_are_set,
);

also_restricted!(
    a_created_user_logs_in_with_the_password_that_is_shown_once,
    an_email_address_is_unique_across_tenants,
    users_of_another_tenant_are_not_found,
    concurrent_demotions_leave_one_administrator,
    a_tenant_is_created_with_its_administrator,
    a_new_tenant_needs_an_unused_slug_and_email_address,
    quotas_are_off_until_they_are_set,
);

const USERS: &str = "/v1/admin/users";
const TENANTS: &str = "/v1/admin/tenants";
const QUOTAS: &str = "/v1/admin/quotas";
/// A well-formed id that does not exist.
const NOBODY: &str = "0199d3a0-0000-7000-8000-000000000001";

/// Creates a user with the shared password.
async fn create(client: &Client, email: &str, roles: &[&str]) -> Answer {
    client.post(USERS).json(&json!({"email": email, "roles": roles, "password": PASSWORD})).await
}

async fn change(client: &Client, id: &str, change: Value) -> Answer {
    client.patch(&format!("{USERS}/{id}")).json(&change).await
}

async fn id_of(client: &Client) -> String {
    client.get("/v1/auth/me").await.expect(200).id()
}

async fn a_created_user_logs_in_with_the_password_that_is_shown_once(app: TestApp) {
    let created = app.post(USERS).json(&json!({"email": "Ana@Example.test", "roles": ["operator", "auditor"]})).await;
    let created = created.expect(201);
    let ana = app.log_in("ana@example.test", &created.text("/password")).await;
    let me = ana.get("/v1/auth/me").await.expect(200);
    assert_eq!((me.id(), me.at("/roles"), me.text("/tenant_id")), (created.id(), created.at("/roles"), TENANT.into()));
    assert_eq!(created.at("/roles"), json!(["operator", "auditor"]));
    let shown = app.get(&format!("{USERS}/{}", created.id())).await.expect(200);
    assert!(shown.json().get("password").is_none());
}

async fn a_user_is_created_with_a_given_password(app: TestApp) {
    let created = create(app.founder(), "ana@example.test", &["viewer"]).await.expect(201);
    assert!(created.json().get("password").is_none());
    app.log_in("ana@example.test", PASSWORD).await.get("/v1/mass-requests").await.expect(200);
}

async fn the_location_of_a_created_user_returns_it(app: TestApp) {
    let created = create(app.founder(), "ana@example.test", &["viewer"]).await.expect(201);
    assert_eq!(created.header("location"), Some(format!("{USERS}/{}", created.id()).as_str()));
    let user = app.get(created.header("location").unwrap()).await.expect(200);
    assert_eq!(user.json(), created.json());
    assert_eq!((user.text("/email"), user.at("/disabled_at")), ("ana@example.test".to_owned(), Value::Null));
    for absent in [NOBODY, "nonsense"] {
        app.get(&format!("{USERS}/{absent}")).await.expect_problem(404, "not-found");
    }
}

async fn reports_each_violation_of_a_new_user(app: TestApp) {
    for (body, violations) in [
        (json!({"email": "ana", "roles": ["viewer"]}), ["/email shape"]),
        (json!({"email": "ana@example.test", "roles": ["root"]}), ["/roles/0 shape"]),
        (json!({"email": "ana@example.test", "roles": []}), ["/roles rule"]),
        (json!({"email": "ana@example.test", "roles": ["viewer"], "password": "short"}), ["/password too_short"]),
        (json!({"email": "ana@example.test", "roles": ["viewer"], "tenant_id": "other"}), ["/tenant_id shape"]),
    ] {
        app.post(USERS).json(&body).await.expect_violations("contract-violation", &violations);
    }
}

async fn an_email_address_is_unique_across_tenants(app: TestApp) {
    let foreigner = app.foreigner(Role::Admin).await;
    create(&foreigner, "ana@example.test", &["viewer"]).await.expect(201);
    create(app.founder(), "ANA@example.test", &["viewer"]).await.expect_problem(409, "email-taken");
}

async fn users_are_listed_newest_first_page_by_page(app: TestApp) {
    app.foreigner(Role::Admin).await;
    let mut created = vec![id_of(app.founder()).await];
    for n in 0..4 {
        created.insert(0, create(app.founder(), &format!("user-{n}@example.test"), &["viewer"]).await.id());
    }
    let (mut listed, mut path) = (Vec::new(), format!("{USERS}?limit=2"));
    loop {
        let page = app.get(&path).await.expect(200);
        listed.extend(
            page.json()["items"].as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page.at("/next_cursor").as_str().map(str::to_owned) else {
            assert_eq!(page.header("link"), None);
            break;
        };
        path = format!("{USERS}?limit=2&cursor={cursor}");
        assert_eq!(page.header("link"), Some(format!("<{path}>; rel=\"next\"").as_str()));
    }
    assert_eq!(listed, created);
    app.get(&format!("{USERS}?limit=0")).await.expect_violations("invalid-parameter", &["?limit parameter"]);
    let foreign = app.get(&format!("{USERS}?limit=1")).await.text("/next_cursor");
    let other_list = app.get(&format!("/v1/admin/api-keys?cursor={foreign}")).await;
    other_list.expect_violations("invalid-parameter", &["?cursor parameter"]);
}

/// Version 0.1.0 allowed invisible characters in addresses and names.
async fn users_of_older_versions_are_still_readable(app: TestApp) {
    let ana = create(app.founder(), "ana@example.test", &["viewer"]).await.expect(201);
    let key = app.post("/v1/admin/api-keys").json(&json!({"name": "gateway", "permissions": ["mass:read"]}));
    let key = key.await.expect(201);
    let email = "ana\u{202e}@example.test";
    app.execute(&format!("UPDATE users SET email = '{email}' WHERE email = 'ana@example.test'"));
    app.execute(&format!("UPDATE directory SET key = '{email}' WHERE key = 'ana@example.test'"));
    app.execute("UPDATE api_keys SET name = 'gate\u{200f}way'");
    assert_eq!(app.get(&format!("{USERS}/{}", ana.id())).await.expect(200).text("/email"), email);
    app.log_in(email, PASSWORD).await.get("/v1/auth/me").await.expect(200);
    let shown = app.get(&format!("/v1/admin/api-keys/{}", key.id())).await.expect(200);
    assert_eq!(shown.text("/name"), "gate\u{200f}way");
    app.bearer(&key.text("/token")).get("/v1/mass-requests").await.expect(200);
    for refused in ["bea\u{202e}@example.test", "bea\u{feff}@example.test", "bea@exam\u{7}ple.test"] {
        let refused = create(app.founder(), refused, &["viewer"]).await;
        assert!(refused.text("/violations/0/detail").contains("U+"), "{refused:?}");
        refused.expect_violations("contract-violation", &["/email shape"]);
    }
}

async fn changed_roles_take_effect_on_the_next_request(app: TestApp) {
    let ana = app.user(Role::Viewer).await;
    let id = id_of(&ana).await;
    ana.post("/v1/mass-requests").json(&reading("dev-1")).await.expect_problem(403, "forbidden");
    let changed = change(app.founder(), &id, json!({"roles": ["operator"]})).await.expect(200);
    assert_eq!(changed.at("/roles"), json!(["operator"]));
    ana.post("/v1/mass-requests").json(&reading("dev-1")).await.expect(201);
    assert_eq!(change(app.founder(), &id, json!({})).await.expect(200).json(), changed.json());
}

async fn a_disabled_user_is_refused_until_it_is_enabled_again(app: TestApp) {
    let created = create(app.founder(), "ana@example.test", &["viewer"]).await.expect(201);
    let ana = app.log_in("ana@example.test", PASSWORD).await;
    let disabled = change(app.founder(), &created.id(), json!({"disabled": true})).await.expect(200);
    assert!(disabled.at("/disabled_at").is_string());
    ana.get("/v1/auth/me").await.expect_problem(401, "unauthenticated");
    let again = change(app.founder(), &created.id(), json!({"disabled": true})).await.expect(200);
    assert_eq!(again.json(), disabled.json());
    let enabled = change(app.founder(), &created.id(), json!({"disabled": false})).await.expect(200);
    assert_eq!(enabled.json(), {
        let mut expected = created.json();
        expected["revoked_keys"] = json!(0);
        expected
    });
    app.log_in("ana@example.test", PASSWORD).await;
}

async fn only_platform_administrators_manage_platform_administrators(app: TestApp) {
    let admin = app.user(Role::Admin).await;
    let (own, founder) = (id_of(&admin).await, id_of(app.founder()).await);
    for refused in [
        create(&admin, "ana@example.test", &["platform_admin"]).await,
        change(&admin, &own, json!({"roles": ["admin", "platform_admin"]})).await,
        change(&admin, &founder, json!({"roles": ["viewer"]})).await,
        change(&admin, &founder, json!({"disabled": true})).await,
    ] {
        assert_eq!(refused.expect_problem(403, "forbidden").text("/permission"), "tenants:manage");
    }
    create(app.founder(), "ana@example.test", &["platform_admin"]).await.expect(201);
}

async fn users_of_another_tenant_are_not_found(app: TestApp) {
    let foreigner = app.foreigner(Role::Admin).await;
    let id = id_of(app.founder()).await;
    let absent = foreigner.get(&format!("{USERS}/{NOBODY}")).await.expect_problem(404, "not-found");
    let foreign = foreigner.get(&format!("{USERS}/{id}")).await.expect_problem(404, "not-found");
    assert_eq!(foreign.without_ids(), absent.without_ids());
    let absent = change(&foreigner, NOBODY, json!({"disabled": true})).await.expect_problem(404, "not-found");
    let foreign = change(&foreigner, &id, json!({"disabled": true})).await.expect_problem(404, "not-found");
    assert_eq!(foreign.without_ids(), absent.without_ids());
    let users = foreigner.get(USERS).await.expect(200).json();
    assert_eq!(users["items"].as_array().unwrap().len(), 1);
    app.get("/v1/auth/me").await.expect(200);
}

async fn the_last_administrator_cannot_be_demoted_or_disabled(app: TestApp) {
    let founder = id_of(app.founder()).await;
    let demotion = json!({"roles": ["operator", "platform_admin"]});
    for last in [&demotion, &json!({"disabled": true})] {
        change(app.founder(), &founder, last.clone()).await.expect_problem(409, "last-administrator");
    }
    let second = create(app.founder(), "second@example.test", &["admin"]).await.expect(201);
    change(app.founder(), &second.id(), json!({"disabled": true})).await.expect(200);
    change(app.founder(), &founder, demotion.clone()).await.expect_problem(409, "last-administrator");
    change(app.founder(), &second.id(), json!({"disabled": false})).await.expect(200);
    change(app.founder(), &founder, demotion).await.expect(200);
    app.get(USERS).await.expect_problem(403, "forbidden");
}

async fn concurrent_demotions_leave_one_administrator(app: TestApp) {
    let other = app.another().await;
    for round in 0..5 {
        let tenant = format!("round-{round}");
        let (first, second) = (format!("first@{tenant}.test"), format!("second@{tenant}.test"));
        let admin = json!({"email": first, "password": PASSWORD});
        app.post(TENANTS).json(&json!({"id": tenant, "admin": admin})).await.expect(201);
        let (first, second_id) = {
            let first = app.log_in(&first, PASSWORD).await;
            let second = create(&first, &second, &["admin"]).await.expect(201).id();
            (first, second)
        };
        let second = other.log_in(&second, PASSWORD).await;
        let first_id = id_of(&first).await;
        let demotion = json!({"roles": ["viewer"]});
        let (one, another) =
            tokio::join!(change(&first, &second_id, demotion.clone()), change(&second, &first_id, demotion.clone()));
        let mut statuses = [one.status, another.status];
        statuses.sort_unstable();
        // The later call finds either that it concerns the last administrator, or that its caller is none any more.
        assert!(matches!(statuses, [200, 403 | 409]), "{statuses:?}");
    }
}

async fn the_command_line_creates_users_too(app: TestApp) {
    let workplace = Workplace::sqlite().with("DATABASE_URL", &app.database().url());
    let arguments = ["create-user", "--email", "ana@example.test", "--role", "operator", "--password-stdin"];
    let ended = workplace.mass_fed(&arguments, PASSWORD);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let ana = app.log_in("ana@example.test", PASSWORD).await;
    assert!(ended.stdout.contains(&id_of(&ana).await), "{}", ended.stdout);
    let again = workplace.mass_fed(&arguments, PASSWORD);
    assert_eq!(again.status, Some(1));
    assert!(again.stderr.contains("exists already"), "{}", again.stderr);
}

async fn a_tenant_is_created_with_its_administrator(app: TestApp) {
    let body = json!({"id": "site-7", "admin": {"email": "ana@site-7.test"}});
    let created = app.post(TENANTS).json(&body).await.expect(201);
    assert_eq!(created.header("location"), Some("/v1/admin/tenants/site-7"));
    let ana = app.log_in("ana@site-7.test", &created.text("/admin/password")).await;
    let me = ana.get("/v1/auth/me").await.expect(200);
    assert_eq!((me.text("/tenant_id"), me.at("/roles")), ("site-7".to_owned(), json!(["operator", "admin"])));
    create(&ana, "second@site-7.test", &["viewer"]).await.expect(201);
    ana.get(TENANTS).await.expect_problem(403, "forbidden");
    let tenant = app.get("/v1/admin/tenants/site-7").await.expect(200);
    assert_eq!(tenant.at("/created_at"), created.at("/created_at"));
    for absent in ["site-8", "Site-7"] {
        app.get(&format!("{TENANTS}/{absent}")).await.expect_problem(404, "not-found");
    }
}

async fn a_new_tenant_needs_an_unused_slug_and_email_address(app: TestApp) {
    let create =
        async |id: &str, email: &str| app.post(TENANTS).json(&json!({"id": id, "admin": {"email": email}})).await;
    for taken in [TENANT, "system"] {
        create(taken, "ana@example.test").await.expect_problem(409, "tenant-taken");
    }
    create("site-7", FOUNDER).await.expect_problem(409, "email-taken");
    app.get("/v1/admin/tenants/site-7").await.expect_problem(404, "not-found");
    create("Site 7", "ana@example.test").await.expect_violations("contract-violation", &["/id shape"]);
    let weak = json!({"id": "site-7", "admin": {"email": "ana@example.test", "password": "short"}});
    let weak = app.post(TENANTS).json(&weak).await;
    weak.expect_violations("contract-violation", &["/admin/password too_short"]);
    create("site-7", "ana@example.test").await.expect(201);
}

async fn tenants_are_listed_in_order_of_their_slugs(app: TestApp) {
    for id in ["zeta", "alpha", "mu"] {
        let body = json!({"id": id, "admin": {"email": format!("ana@{id}.test"), "password": PASSWORD}});
        app.post(TENANTS).json(&body).await.expect(201);
    }
    let first = app.get(&format!("{TENANTS}?limit=3")).await.expect(200);
    let cursor = first.text("/next_cursor");
    let second = app.get(&format!("{TENANTS}?limit=3&cursor={cursor}")).await.expect(200);
    let items = [first.json(), second.json()].map(|page| page["items"].as_array().unwrap().clone()).concat();
    let ids: Vec<_> = items.iter().map(|tenant| tenant["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["alpha", TENANT, "mu", "zeta"]);
    assert_eq!(second.at("/next_cursor"), Value::Null);
}

async fn quotas_are_off_until_they_are_set(app: TestApp) {
    let off = json!({"requests_per_day": null, "stored_bytes": null, "quarantine_bytes": null});
    assert_eq!(app.get(QUOTAS).await.expect(200).json(), off);
    let most = 9_007_199_254_740_991_u64;
    let set = json!({"requests_per_day": 1_000_000, "stored_bytes": most, "quarantine_bytes": 5});
    assert_eq!(app.founder().put(QUOTAS).json(&set).await.expect(200).json(), set);
    assert_eq!(app.get(QUOTAS).await.expect(200).json(), set);
    let written_otherwise = r#"{"requests_per_day": 1e6, "stored_bytes": 9007199254740991.0, "quarantine_bytes": 5.0}"#;
    assert_eq!(app.founder().put(QUOTAS).body(written_otherwise).await.expect(200).json(), set);
    let foreigner = app.foreigner(Role::Admin).await;
    assert_eq!(foreigner.get(QUOTAS).await.expect(200).json(), off, "{OTHER_TENANT}");
    for (wrong, violation) in [
        (json!({"stored_bytes": 0}), "/stored_bytes rule"),
        (json!({"quarantine_bytes": 0}), "/quarantine_bytes rule"),
        (json!({"requests_per_day": 1.5}), "/requests_per_day shape"),
        (json!({"requests_per_day": -1}), "/requests_per_day shape"),
        (json!({"requests_per_hour": 1}), "/requests_per_hour shape"),
    ] {
        app.founder().put(QUOTAS).json(&wrong).await.expect_violations("contract-violation", &[violation]);
    }
    let half = json!({"requests_per_day": 1_000_000});
    app.founder().put(QUOTAS).json(&half).await.expect(200);
    let half = json!({"requests_per_day": 1_000_000, "stored_bytes": null, "quarantine_bytes": null});
    assert_eq!(app.get(QUOTAS).await.json(), half);
}
