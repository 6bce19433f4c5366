//! Tenants that are suspended, deleted and erased, and what tenants use.

mod processes;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mass_admin_service::Eraser;
use mass_app::http::context::local_origin;
use mass_domain::access::Role;
use mass_domain::delivery::WorkerName;
use mass_domain::tasks::TenantTask;
use mass_domain::time::{Clock, Timestamp};
use mass_persistence::{ERASED_TABLES, KEPT_TABLES};
use serde_json::{Value, json};

use crate::second_factor::enrol;
use crate::support::client::{Answer, Client};
use crate::support::documents::{Edit, hours_ago, reading, simple};
use crate::support::{FOUNDER, PASSWORD, TENANT, TestApp, operations};

on_both! {
    a_suspended_tenant_is_refused_at_once_on_every_server,
    rules_of_a_suspended_tenant_are_not_evaluated,
    steps_that_do_not_follow_are_refused,
    a_deletion_is_cancelled_within_its_grace_period,
    a_tenant_with_a_legal_hold_is_not_deleted,
    an_erased_tenant_leaves_hashes_and_its_slug,
    usage_is_shown_tenant_by_tenant,
}

also_restricted! {
    a_suspended_tenant_is_refused_at_once_on_every_server,
    rules_of_a_suspended_tenant_are_not_evaluated,
    steps_that_do_not_follow_are_refused,
    an_erased_tenant_leaves_hashes_and_its_slug,
    usage_is_shown_tenant_by_tenant,
}

const REQUESTS: &str = "/v1/mass-requests";
const TENANTS: &str = "/v1/admin/tenants";
const ADMIN: &str = "ana@site-7.test";

/// A tenant with an administrator, who is an operator, and an API key.
struct Site {
    admin: Client,
    refresh_token: String,
    key: Client,
}

async fn site(app: &TestApp) -> Site {
    let new = json!({"id": "site-7", "admin": {"email": ADMIN, "password": PASSWORD}});
    app.post(TENANTS).json(&new).await.expect(201);
    let login = log_in(app, PASSWORD).await.expect(200);
    let admin = app.bearer(&login.text("/access_token"));
    let new = json!({"name": "gateway", "permissions": ["mass:write", "mass:read"]});
    let key = admin.post("/v1/admin/api-keys").json(&new).await.expect(201).text("/token");
    Site { admin, refresh_token: login.text("/refresh_token"), key: app.bearer(&key) }
}

async fn log_in(app: &TestApp, password: &str) -> Answer {
    app.anonymous().post("/v1/auth/login").json(&json!({"email": ADMIN, "password": password})).await
}

async fn step(client: &Client, step: &str) -> Answer {
    client.post(&format!("{TENANTS}/site-7/{step}")).json(&json!({"reason": "The pilot is over."})).await
}

async fn status(app: &TestApp) -> Answer {
    app.get(&format!("{TENANTS}/site-7")).await.expect(200)
}

/// A clock that is ahead by some days.
struct Ahead(i64);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        Timestamp::from_datetime(chrono::Utc::now()).plus_seconds(self.0 * 86_400).unwrap()
    }
}

/// Builds a worker whose clock is ahead by some days.
fn eraser(app: &TestApp, days: i64) -> Eraser {
    let (store, queue) = (Arc::clone(&app.stores().erasure), Arc::clone(&app.stores().tasks));
    Eraser::new(store, queue, Arc::new(Ahead(days)), WorkerName::parse("w").unwrap())
}

/// Lets a worker do all that is due in this number of days. Returns whether it had anything to do.
async fn erase(app: &TestApp, days: i64) -> bool {
    let eraser = eraser(app, days);
    let mut has_worked = false;
    while eraser.visit(&local_origin()).await.unwrap().is_some() {
        has_worked = true;
    }
    has_worked
}

/// Returns the events of an action in the log of a tenant.
fn events(app: &TestApp, tenant: &str, action: &str) -> Vec<Value> {
    let of_action =
        format!("SELECT event AS line FROM audit_events WHERE tenant_id = '{tenant}' AND action = '{action}'");
    let lines = app.database().lines(&of_action);
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn a_suspended_tenant_is_refused_at_once_on_every_server(app: TestApp) {
    let (Site { admin, refresh_token, key }, other) = (site(&app).await, app.another().await);
    let on_other = |client: &Client| other.bearer(client.token());
    let clients = [admin.clone(), key.clone(), on_other(&admin), on_other(&key)];
    for (number, client) in clients.iter().enumerate() {
        // Each server knows both callers by now.
        client.post(REQUESTS).json(&simple(json!({"number": number}))).await.expect(201);
    }
    let stored = || app.database().count("mass_requests");
    let before = stored();
    let suspended = step(app.founder(), "suspend").await.expect(200);
    assert_eq!((suspended.text("/status"), suspended.at("/deletion_due_at")), ("suspended".to_owned(), Value::Null));
    for client in &clients {
        client.post(REQUESTS).json(&simple(json!({"number": "more"}))).await.expect_problem(403, "tenant-suspended");
        client
            .post(&format!("{REQUESTS}/batch"))
            .json(&json!([reading("dev-1")]))
            .await
            .expect_problem(403, "tenant-suspended");
        client.get(REQUESTS).await.expect_problem(403, "tenant-suspended");
        client.get("/v1/auth/me").await.expect_problem(403, "tenant-suspended");
    }
    log_in(&app, PASSWORD).await.expect_problem(403, "tenant-suspended");
    log_in(&app, "not the password").await.expect_problem(401, "invalid-credentials");
    let refresh = || app.anonymous().post("/v1/auth/refresh").json(&json!({"refresh_token": refresh_token}));
    refresh().await.expect_problem(403, "tenant-suspended");
    app.bearer(&format!("{}x", key.token())).get(REQUESTS).await.expect(401);
    assert_eq!(stored(), before);
    // Nothing else suffers.
    app.post(REQUESTS).json(&simple(json!({"a": 1}))).await.expect(201);
    step(app.founder(), "suspend").await.expect(200);

    assert_eq!(step(app.founder(), "resume").await.expect(200).text("/status"), "active");
    for client in &clients {
        client.get(REQUESTS).await.expect(200);
    }
    key.post(REQUESTS).json(&simple(json!({"number": "more"}))).await.expect(201);
    refresh().await.expect(200);
    log_in(&app, PASSWORD).await.expect(200);
    for tenant in ["site-7", "system"] {
        let told = [events(&app, tenant, "tenant_suspended"), events(&app, tenant, "tenant_resumed")].concat();
        assert_eq!(told.len(), 2, "{tenant}: the second suspension changed nothing");
        for event in told {
            assert_eq!(event["detail"], json!({"reason": "The pilot is over."}));
            assert_eq!(
                (&event["object"], &event["tenant_id"]),
                (&json!({"id": "site-7", "kind": "tenant"}), &json!(tenant))
            );
            assert_eq!(event["actor"]["kind"], "user");
        }
    }
}

async fn rules_of_a_suspended_tenant_are_not_evaluated(app: TestApp) {
    let Site { admin, key, .. } = site(&app).await;
    key.post(REQUESTS).json(&reading("quiet").with("/timestamp", hours_ago(2))).await.expect(201);
    app.project().await;
    let rule = json!({"condition": {"kind": "device_silent", "after_seconds": 3600}});
    admin.put("/v1/alert-rules/silent").json(&rule).await.expect(201);
    let (queue, now) = (&app.stores().tasks, Timestamp::from_datetime(chrono::Utc::now()));
    let worker = WorkerName::parse("w").unwrap();
    let later = now.plus_seconds(60).unwrap();
    let under_way = queue.claim(TenantTask::Alerts, &worker, now, later).await.unwrap().unwrap();
    step(app.founder(), "suspend").await.expect(200);
    assert!(!app.stores().evaluation.finish(&under_way, Vec::new(), later).await.unwrap(), "it is lost");
    app.evaluate().await;
    assert_eq!(app.database().count("alerts"), 0);
    step(app.founder(), "resume").await.expect(200);
    app.evaluate().await;
    assert_eq!(app.database().count("alerts"), 1);
    // A tenant without rules has nothing to evaluate when it is resumed.
    admin.delete("/v1/alert-rules/silent").await.expect(204);
    for name in ["suspend", "resume"] {
        step(app.founder(), name).await.expect(200);
    }
    assert_eq!(app.database().count("tenant_tasks"), 0);
}

async fn steps_that_do_not_follow_are_refused(app: TestApp) {
    site(&app).await;
    let founder = app.founder();
    let steps = ["suspend", "resume", "deletion", "deletion/cancel"];
    for tenant in ["nobody", "system", "NO-ID"] {
        for name in steps {
            let call = founder.post(&format!("{TENANTS}/{tenant}/{name}")).json(&json!({"reason": "x"}));
            call.await.expect_problem(404, "not-found");
        }
    }
    for name in ["suspend", "deletion"] {
        let own = founder.post(&format!("{TENANTS}/{TENANT}/{name}")).json(&json!({"reason": "x"})).await;
        own.expect_problem(409, "tenant-not-allowed");
    }
    let refused = step(founder, "deletion").await.expect_problem(409, "tenant-not-allowed");
    assert_eq!(refused.at("/tenant_status"), "active");
    for body in [json!({}), json!({"reason": ""}), json!({"reason": "x".repeat(501)})] {
        founder.post(&format!("{TENANTS}/site-7/suspend")).json(&body).await.expect(422);
    }
    let admin = app.user(Role::Admin).await;
    for name in steps {
        step(&admin, name).await.expect_problem(403, "forbidden");
    }
    // A key whose tenant has no administrator of the platform could do what nobody takes back.
    let new = json!({"name": "provisioning", "permissions": ["tenants:manage"]});
    let key = app.bearer(&founder.post("/v1/admin/api-keys").json(&new).await.expect(201).text("/token"));
    app.execute(&format!("UPDATE users SET roles = 'admin' WHERE email = '{FOUNDER}'"));
    step(&key, "suspend").await.expect_problem(409, "last-administrator");
    app.execute(&format!("UPDATE users SET roles = 'admin,platform_admin' WHERE email = '{FOUNDER}'"));
    step(&key, "suspend").await.expect(200);
}

async fn a_deletion_is_cancelled_within_its_grace_period(app: TestApp) {
    let Site { key, .. } = site(&app).await;
    let id = key.post(REQUESTS).json(&reading("dev-1")).await.expect(201).id();
    step(app.founder(), "suspend").await.expect(200);
    let requested = step(app.founder(), "deletion").await.expect(202);
    assert_eq!(requested.text("/status"), "deletion_requested");
    let again = step(app.founder(), "deletion").await.expect(202);
    assert_eq!(again.text("/deletion_due_at"), requested.text("/deletion_due_at"), "it is not put off");
    step(app.founder(), "resume").await.expect_problem(409, "tenant-not-allowed");
    assert!(!erase(&app, 29).await, "it is not due");
    assert_eq!(step(app.founder(), "deletion/cancel").await.expect(200).text("/status"), "suspended");
    assert!(!erase(&app, 31).await, "nothing is due");
    step(app.founder(), "resume").await.expect(200);
    key.get(&format!("{REQUESTS}/{id}")).await.expect(200);

    step(app.founder(), "suspend").await.expect(200);
    step(app.founder(), "deletion").await.expect(202);
    assert!(erase(&app, 31).await);
    assert_eq!(status(&app).await.text("/status"), "erased");
    for name in ["resume", "deletion/cancel", "deletion", "suspend"] {
        let refused = step(app.founder(), name).await.expect_problem(409, "tenant-not-allowed");
        assert_eq!(refused.at("/tenant_status"), "erased");
    }
}

async fn a_tenant_with_a_legal_hold_is_not_deleted(app: TestApp) {
    let Site { admin, .. } = site(&app).await;
    let hold = || admin.post("/v1/admin/legal-holds").json(&json!({"reason": "A claim.", "contract": "device/1.1"}));
    let id = hold().await.expect(201).id();
    step(app.founder(), "suspend").await.expect(200);
    let refused = step(app.founder(), "deletion").await.expect_problem(409, "legal-hold");
    assert_eq!(refused.text("/hold"), id);
    step(app.founder(), "resume").await.expect(200);
    let release = admin.post(&format!("/v1/admin/legal-holds/{id}/release")).json(&json!({"reason": "Settled."}));
    release.await.expect(204);
    step(app.founder(), "suspend").await.expect(200);
    step(app.founder(), "deletion").await.expect(202);
    // The worker looks again.
    let id = uuid::Uuid::now_v7();
    let id = if app.database().url().starts_with("sqlite") { format!("x'{}'", id.simple()) } else { format!("'{id}'") };
    app.execute(&format!(
        "INSERT INTO legal_holds (tenant_id, id, reason, since, set_by_kind)
         VALUES ('site-7', {id}, 'a claim', '2026-01-01T00:00:00.000000Z', 'system')"
    ));
    let visit = eraser(&app, 31).visit(&local_origin()).await.unwrap().unwrap();
    assert_eq!((visit.found, visit.is_done), (mass_admin_service::Beginning::Held, false));
    assert_eq!(status(&app).await.text("/status"), "deletion_requested");
}

/// Gives a tenant rows of every kind.
async fn furnish(app: &TestApp, Site { admin, key, .. }: &Site) {
    let humid = |percent: u32| reading("dev-1").with("/metrics/humidity_percent", percent);
    // A day that is over.
    key.post(REQUESTS).json(&humid(40).with("/timestamp", hours_ago(80))).await.expect(201);
    let id = key.post(REQUESTS).json(&humid(41)).key("k-1").await.expect(201).id();
    let corrected = format!("{REQUESTS}?on_conflict=correct");
    let correction = key.post(&corrected).json(&humid(42)).await.expect(201).id();
    key.post(&corrected).json(&humid(43)).await.expect(201);
    admin.delete(&format!("{REQUESTS}/{correction}")).await.expect(204);
    key.post(&format!("{REQUESTS}?quarantine=true")).json(&json!({"mass_version": "1.1"})).await.expect(422);
    admin.post(&format!("{REQUESTS}/{id}/send")).await.expect(202);
    let profile = json!({"contract": "simple/1.0", "members": {"a": "A"}});
    admin.put("/v1/mappings/site").json(&profile).await.expect(201);
    admin.put("/v1/admin/quotas").json(&json!({"requests_per_day": 1000})).await.expect(200);
    admin.put("/v1/admin/retention").json(&json!({"rules": [{"days": 100}]})).await.expect(200);
    let address = format!("{}@example.test", uuid::Uuid::now_v7());
    let colleague = json!({"email": address, "roles": ["viewer"], "password": PASSWORD});
    admin.post("/v1/admin/users").json(&colleague).await.expect(201);
    enrol(&app.log_in(&address, PASSWORD).await).await;
    let operations = operations::all();
    let create = operations.iter().find(|each| each.method == "POST" && each.path == "/v1/savings/projects");
    let terms = create.unwrap().body().unwrap();
    let project = admin.post("/v1/savings/projects").json(&terms).await.expect(201).id();
    admin.post(&format!("/v1/savings/projects/{project}/reports")).await.expect(202);
    admin.put("/v1/webhooks/pager").json(&json!({"url": "https://localhost:1/"})).await.expect(201);
    admin.post("/v1/webhooks/pager/test").await.expect(202);
    let rule = json!({"condition": {"kind": "access_granted"}});
    admin.put("/v1/alert-rules/granted").json(&rule).await.expect(201);
    app.evaluate().await;
    app.project().await;
}

/// Returns the tables with a column that names a tenant.
fn tables(app: &TestApp) -> BTreeSet<String> {
    let query = if app.database().url().starts_with("sqlite") {
        "SELECT t.name AS line FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
         WHERE t.type = 'table' AND c.name = 'tenant_id'"
    } else {
        "SELECT table_name::text AS line FROM information_schema.columns
         WHERE table_schema = 'public' AND column_name = 'tenant_id'"
    };
    app.database().lines(query).into_iter().collect()
}

/// Counts the rows of a tenant, table by table.
fn rows(app: &TestApp, tenant: &str) -> Vec<(String, i64)> {
    let count = |table: String| {
        let rows = app.database().count(&format!("{table} WHERE tenant_id = '{tenant}'"));
        (table, rows)
    };
    tables(app).into_iter().map(count).collect()
}

async fn an_erased_tenant_leaves_hashes_and_its_slug(app: TestApp) {
    let known: BTreeSet<String> = ERASED_TABLES.iter().chain(KEPT_TABLES).map(|table| (*table).to_owned()).collect();
    assert_eq!(tables(&app), known, "each table is erased or kept");
    let site = site(&app).await;
    furnish(&app, &site).await;
    furnish(&app, &Site { admin: app.founder().clone(), key: app.founder().clone(), refresh_token: String::new() })
        .await;
    let furnished = rows(&app, "site-7");
    // Some are used by other tests, or by earlier versions alone.
    let unused = [
        "audit_archived_changes",
        "audit_archived_leaves",
        "audit_checkpoints",
        "audit_nodes",
        "legal_holds",
        "projected_requests",
        "recommendations",
        "delivery_queue",
        "deliveries",
    ];
    let empty: Vec<_> =
        furnished.iter().filter(|(table, rows)| *rows == 0 && !unused.contains(&table.as_str())).collect();
    assert!(empty.is_empty(), "the test has no rows in {empty:?}");
    let others: Vec<_> = rows(&app, TENANT).into_iter().filter(|(table, _)| !table.starts_with("audit_")).collect();
    let size = events_of(&app);

    let app = app.another_with(&[("--tenant-deletion-days", "0")]).await;
    step(app.founder(), "suspend").await.expect(200);
    let periodic = app.periodic();
    step(app.founder(), "deletion").await.expect(202);
    while status(&app).await.text("/status") != "erased" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The projector visits the tenants in the meantime, of which this one is none any more.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    periodic.finish().await;
    app.project().await;
    for (table, rows) in rows(&app, "site-7") {
        match table.as_str() {
            // The event that records the end.
            "audit_events" | "audit_heads" => assert_eq!(rows, 1, "{table}"),
            "audit_archived_leaves" => assert!(rows >= size, "{rows} of {size}"),
            table if KEPT_TABLES.contains(&table) => {}
            table => assert_eq!(rows, 0, "{table}"),
        }
    }
    assert_eq!(events(&app, "site-7", "tenant_erased").len(), 1);
    let told = events(&app, "system", "tenant_erased");
    assert_eq!((told.len(), &told[0]["object"]), (1, &json!({"id": "site-7", "kind": "tenant"})));
    let remaining: Vec<_> = rows(&app, TENANT).into_iter().filter(|(table, _)| !table.starts_with("audit_")).collect();
    // A session was opened by the second server.
    let without_logins = |rows: &[(String, i64)]| -> Vec<(String, i64)> {
        rows.iter()
            .filter(|(table, _)| !["sessions", "refresh_tokens", "savings_queue"].contains(&table.as_str()))
            .cloned()
            .collect()
    };
    assert_eq!(without_logins(&remaining), without_logins(&others));

    // Nobody gets in, the slug stays taken, and the address is free.
    log_in(&app, PASSWORD).await.expect(401);
    app.bearer(site.key.token()).get(REQUESTS).await.expect(401);
    let new = json!({"id": "site-7", "admin": {"email": ADMIN, "password": PASSWORD}});
    app.post(TENANTS).json(&new).await.expect_problem(409, "tenant-taken");
    app.post(TENANTS).json(&new.with("/id", "site-8")).await.expect(201);
    let second = erase(&app, 1).await;
    assert!(second, "what was under way is looked for once more");
    assert!(!erase(&app, 2).await);
}

fn events_of(app: &TestApp) -> i64 {
    app.database().count("audit_events WHERE tenant_id = 'site-7'")
}

async fn usage_is_shown_tenant_by_tenant(app: TestApp) {
    let Site { admin, key, .. } = site(&app).await;
    let document = simple(json!({"a": 1}));
    key.post(REQUESTS).json(&document).await.expect(201);
    key.post(REQUESTS).json(&reading("dev-1")).await.expect(201);
    key.post(REQUESTS).json(&reading("dev-2")).await.expect(201);
    key.post(&format!("{REQUESTS}?quarantine=true")).json(&json!({"mass_version": "1.1"})).await.expect(422);
    admin.put("/v1/admin/quotas").json(&json!({"stored_bytes": 5000})).await.expect(200);
    app.project().await;
    let page = app.get("/v1/admin/usage?limit=1").await.expect(200);
    assert_eq!((page.text("/items/0/tenant"), page.at("/items/0/documents")), (TENANT.to_owned(), json!(0)));
    assert_eq!(page.at("/items/0/last_received_at"), Value::Null);
    let next = app.get(&format!("/v1/admin/usage?limit=1&cursor={}", page.text("/next_cursor"))).await.expect(200);
    let usage = next.at("/items/0");
    assert_eq!((&usage["tenant"], &usage["status"]), (&json!("site-7"), &json!("active")));
    assert_eq!((&usage["documents"], &usage["devices"], &usage["users"]), (&json!(3), &json!(2), &json!(1)));
    assert_eq!(usage["quotas"], json!({"requests_per_day": null, "stored_bytes": 5000, "quarantine_bytes": null}));
    assert_eq!(usage["requests_today"], 4, "{usage}");
    let stored =
        app.database().lines("SELECT CAST(stored_bytes AS text) AS line FROM tenant_usage WHERE tenant_id = 'site-7'");
    assert_eq!([usage["stored_bytes"].to_string()], stored[..]);
    assert!(usage["quarantine_bytes"].as_u64().unwrap() > 0 && usage["last_received_at"].is_string(), "{usage}");
    assert_eq!(next.at("/next_cursor"), Value::Null);
    for limit in ["0", "101", "x"] {
        app.get(&format!("/v1/admin/usage?limit={limit}"))
            .await
            .expect_violations("invalid-parameter", &["?limit parameter"]);
    }
    admin.get("/v1/admin/usage").await.expect_problem(403, "forbidden");
}
