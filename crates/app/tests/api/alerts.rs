//! Alerts from outside: rules, what each kind of condition opens and resolves, acknowledgements, and the stream of security
//! events.

mod security_events;
mod webhooks;

use std::time::Duration;

use chrono::{SecondsFormat, TimeDelta, Utc};
use mass_domain::access::Role;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::database::unlock_audit_trail;
use crate::support::documents::{Edit, hours_ago, reading};
use crate::support::{FOUNDER, PASSWORD, TENANT, TestApp};

on_both!(
    a_rule_is_created_replaced_and_deleted_under_its_digest,
    rules_that_break_rules_are_refused_with_each_fault,
    a_tenant_has_a_bounded_number_of_rules,
    a_silent_device_has_one_alert_until_it_reports,
    a_value_out_of_range_has_to_come_back_by_the_hysteresis,
    a_condition_has_to_hold_for_as_long_as_the_rule_says,
    old_values_are_no_evidence,
    late_figures_are_no_evidence,
    growth_of_the_quarantine_opens_an_alert,
    dead_letters_open_an_alert_until_they_are_gone,
    a_trail_that_is_not_as_it_was_signed_opens_an_alert,
    events_of_the_audit_trail_open_alerts_of_their_subjects,
    throttled_callers_open_an_alert,
    alerts_of_the_audit_trail_are_for_those_who_may_read_it,
    an_alert_is_acknowledged_with_a_note,
    alerts_of_a_disabled_or_deleted_rule_are_resolved,
    alerts_are_listed_newest_first_page_by_page,
    each_tenant_has_its_own_rules_and_alerts,
    a_server_evaluates_rules_by_itself,
    a_server_without_figures_says_so,
    changes_of_rules_are_audited,
);

also_restricted!(
    a_silent_device_has_one_alert_until_it_reports,
    events_of_the_audit_trail_open_alerts_of_their_subjects,
    growth_of_the_quarantine_opens_an_alert,
    dead_letters_open_an_alert_until_they_are_gone,
    an_alert_is_acknowledged_with_a_note,
    each_tenant_has_its_own_rules_and_alerts,
    a_server_evaluates_rules_by_itself,
);

const RULES: &str = "/v1/alert-rules";
const ALERTS: &str = "/v1/alerts";

fn rule(name: &str) -> String {
    format!("{RULES}/{name}")
}

pub(crate) async fn set(client: &Client, name: &str, terms: &Value) -> Answer {
    client.put(&rule(name)).json(terms).await.expect(201)
}

/// A rule with this condition and otherwise as by default.
fn on(condition: Value) -> Value {
    json!({"condition": condition})
}

/// The alerts of a rule in this state.
async fn alerts(client: &Client, rule: &str, state: &str) -> Vec<Value> {
    let found = client.get(&format!("{ALERTS}?rule={rule}&state={state}")).await.expect(200);
    found.at("/items").as_array().unwrap().clone()
}

fn seconds_ago(seconds: i64) -> String {
    (Utc::now() - TimeDelta::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Sends a reading of a device with this temperature and time, and projects it.
async fn measure(app: &TestApp, device: &str, celsius: f64, at: String) {
    let document = reading(device).with("/metrics/temperature_celsius", celsius).with("/timestamp", at);
    app.post("/v1/mass-requests").json(&document).await.expect(201);
    app.project().await;
}

async fn a_rule_is_created_replaced_and_deleted_under_its_digest(app: TestApp) {
    let terms = on(json!({"kind": "dead_letters"}));
    let created = set(app.founder(), "dead", &terms).await;
    assert_eq!(created.header("location"), Some("/v1/alert-rules/dead"));
    let tag = created.header("etag").unwrap().to_owned();
    assert_eq!(tag, format!("\"{}\"", created.text("/digest")));
    assert_eq!(created.at("/rule/enabled"), json!(true));
    assert_eq!((created.at("/rule/condition/count"), created.at("/rule/severity")), (json!(1), json!("warning")));
    // The same rule changes nothing, and none is created over it.
    let again = app.founder().put(&rule("dead")).json(&terms).await.expect(200);
    assert_eq!((again.at("/updated_at"), again.header("etag")), (created.at("/updated_at"), Some(tag.as_str())));
    let call = app.founder().put(&rule("dead")).header("If-None-Match", "*");
    call.json(&terms).await.expect_problem(412, "precondition-failed");
    let other = terms.with("/severity", "critical");
    let replaced = app.founder().put(&rule("dead")).header("If-Match", &tag).json(&other).await.expect(200);
    assert_ne!(replaced.header("etag"), Some(tag.as_str()));
    let stale = app.founder().put(&rule("dead")).header("If-Match", &tag).json(&other).await;
    stale.expect_problem(412, "precondition-failed");
    let known = app.get(&rule("dead")).header("If-None-Match", replaced.header("etag").unwrap()).await;
    assert_eq!(known.status, 304);
    app.delete(&rule("dead")).header("If-Match", &tag).await.expect_problem(412, "precondition-failed");
    app.delete(&rule("dead")).await.expect(204);
    app.get(&rule("dead")).await.expect_problem(404, "not-found");
    app.delete(&rule("dead")).await.expect_problem(404, "not-found");
    app.founder().put(&rule("no%20name")).json(&other).await.expect_problem(404, "not-found");
}

async fn rules_that_break_rules_are_refused_with_each_fault(app: TestApp) {
    let bad = json!({
        "condition": {"kind": "metric_out_of_range", "metric": "temperature_celsius", "min": 2.0, "max": 1.0},
        "for_seconds": 604_801, "description": "\u{202e}",
    });
    let refused = app.founder().put(&rule("bad")).json(&bad).await.expect_problem(422, "contract-violation");
    let violations = refused.at("/violations");
    let pointers: Vec<&str> = violations.as_array().unwrap().iter().map(|it| it["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/condition/max", "/condition/hysteresis", "/description", "/for_seconds"]);
    for bad in [
        on(json!({"kind": "guess"})),
        on(json!({"kind": "dead_letters", "more": 1})),
        on(json!({"kind": "device_silent"})),
        on(json!({"kind": "device_silent", "after_seconds": -1})),
        on(json!({"kind": "metric_out_of_range", "metric": "a", "max": "hot"})),
        on(json!({"kind": "dead_letters"})).with("/severity", "loud"),
        json!({}),
    ] {
        app.founder().put(&rule("bad")).json(&bad).await.expect_problem(422, "contract-violation");
    }
    app.get(&rule("bad")).await.expect_problem(404, "not-found");
}

async fn a_tenant_has_a_bounded_number_of_rules(app: TestApp) {
    let app = app.another_with(&[("--rate-limit-per-minute", "0")]).await;
    let terms = on(json!({"kind": "dead_letters"}));
    for number in 0..50 {
        set(app.founder(), &number.to_string(), &terms).await;
    }
    let refused = app.founder().put(&rule("more")).json(&terms).await.expect_problem(409, "too-many-alert-rules");
    assert_eq!(refused.at("/limit"), json!(50));
    app.founder().put(&rule("7")).json(&terms.with("/enabled", false)).await.expect(200);
}

async fn a_silent_device_has_one_alert_until_it_reports(app: TestApp) {
    measure(&app, "quiet", 20.0, seconds_ago(7200)).await;
    measure(&app, "busy", 20.0, seconds_ago(1)).await;
    let condition = json!({"kind": "device_silent", "after_seconds": 3600});
    set(app.founder(), "silent", &on(condition).with("/severity", "critical")).await;
    for _ in 0..3 {
        app.evaluate().await;
    }
    let open = alerts(app.founder(), "silent", "open").await;
    assert_eq!(open.len(), 1, "{open:?}");
    let alert = &open[0];
    assert_eq!((&alert["subject"]["device_id"], &alert["severity"]), (&json!("quiet"), &json!("critical")));
    assert!(alert["value"].as_f64().is_some_and(|seconds| seconds >= 7200.0), "{alert}");
    assert!(alert["summary"].as_str().unwrap().starts_with("No reading of the device quiet"), "{alert}");
    measure(&app, "quiet", 20.0, seconds_ago(1)).await;
    app.evaluate().await;
    assert_eq!(alerts(app.founder(), "silent", "open").await.len(), 0);
    let resolved = alerts(app.founder(), "silent", "resolved").await;
    assert_eq!((resolved.len(), &resolved[0]["id"]), (1, &alert["id"]));
    assert_eq!((&resolved[0]["resolution"], &resolved[0]["resolved_at"].is_string()), (&json!("cleared"), &true));
    // Silence again is another occurrence: the newest reading is taken back.
    let newest = app.get("/v1/mass-requests?device_id=quiet&limit=1").await.expect(200).text("/items/0/id");
    app.delete(&format!("/v1/mass-requests/{newest}")).await.expect(204);
    app.project().await;
    app.evaluate().await;
    let again = alerts(app.founder(), "silent", "open").await;
    assert_eq!(again.len(), 1);
    assert_ne!(again[0]["id"], alert["id"]);
}

async fn a_value_out_of_range_has_to_come_back_by_the_hysteresis(app: TestApp) {
    let condition =
        json!({"kind": "metric_out_of_range", "metric": "temperature_celsius", "max": 27.0, "hysteresis": 2.0});
    set(app.founder(), "hot", &on(condition)).await;
    for (celsius, seconds, open) in [(26.0, 50, 0), (28.5, 40, 1), (26.0, 30, 1), (25.0, 20, 0), (26.9, 10, 0)] {
        measure(&app, "rack", celsius, seconds_ago(seconds)).await;
        app.evaluate().await;
        let found = alerts(app.founder(), "hot", "open").await;
        assert_eq!(found.len(), open, "{celsius}: {found:?}");
        if let Some(alert) = found.first() {
            let subject = &alert["subject"];
            assert_eq!((&subject["kind"], &subject["metric"]), (&json!("series"), &json!("temperature_celsius")));
            assert_eq!(alert["value"], json!(28.5));
        }
    }
    assert_eq!(alerts(app.founder(), "hot", "resolved").await.len(), 1);
}

async fn a_condition_has_to_hold_for_as_long_as_the_rule_says(app: TestApp) {
    measure(&app, "quiet", 20.0, seconds_ago(7200)).await;
    let condition = json!({"kind": "device_silent", "after_seconds": 3600});
    set(app.founder(), "silent", &on(condition).with("/for_seconds", 600)).await;
    app.evaluate().await;
    assert_eq!(app.get(ALERTS).await.expect(200).at("/items"), json!([]));
    let pending = app.database().lines("SELECT state AS line FROM alerts");
    assert_eq!(pending, ["pending"]);
    // It has begun earlier.
    app.execute("UPDATE alerts SET since = '2026-01-01T00:00:00.000000Z'");
    app.evaluate().await;
    assert_eq!(alerts(app.founder(), "silent", "open").await.len(), 1);
    app.execute("DELETE FROM alerts");
    app.evaluate().await;
    measure(&app, "quiet", 20.0, seconds_ago(1)).await;
    app.evaluate().await;
    assert_eq!(app.database().count("alerts"), 0, "a condition that ends before leaves nothing behind");
}

async fn old_values_are_no_evidence(app: TestApp) {
    measure(&app, "rack", 40.0, hours_ago(2)).await;
    let condition = |age: u32| json!({"kind": "metric_out_of_range", "metric": "temperature_celsius", "max": 27.0, "max_age_seconds": age});
    set(app.founder(), "hot", &on(condition(3600))).await;
    app.evaluate().await;
    assert_eq!(alerts(app.founder(), "hot", "open").await.len(), 0);
    app.founder().put(&rule("hot")).json(&on(condition(86_400))).await.expect(200);
    app.evaluate().await;
    assert_eq!(alerts(app.founder(), "hot", "open").await.len(), 1);
    // The value is older than it may be now, which resolves nothing.
    app.founder().put(&rule("hot")).json(&on(condition(3600))).await.expect(200);
    app.evaluate().await;
    assert_eq!(alerts(app.founder(), "hot", "open").await.len(), 1);
}

async fn late_figures_are_no_evidence(app: TestApp) {
    measure(&app, "quiet", 20.0, seconds_ago(7200)).await;
    set(app.founder(), "silent", &on(json!({"kind": "device_silent", "after_seconds": 3600}))).await;
    app.evaluate().await;
    assert_eq!(alerts(app.founder(), "silent", "open").await.len(), 1);
    // Figures that are computed anew know of nothing yet, and the log is old.
    app.execute("UPDATE projections SET position = 0");
    unlock(&app);
    app.execute("UPDATE audit_events SET at = '2026-01-01T00:00:00.000000Z' WHERE sequence < 3");
    app.execute("DELETE FROM sources");
    app.evaluate().await;
    assert_eq!(alerts(app.founder(), "silent", "open").await.len(), 1, "it is neither gone nor clear");
    let problem = app.get(&rule("silent")).await.expect(200).text("/problem");
    assert!(problem.starts_with("The figures are late"), "{problem}");
}

async fn growth_of_the_quarantine_opens_an_alert(app: TestApp) {
    let condition = json!({"kind": "quarantine_growth", "records": 3, "within_seconds": 3600});
    set(app.founder(), "refused", &on(condition)).await;
    let mut kept = Vec::new();
    for (number, open) in [(1, 0), (2, 0), (3, 1), (4, 1)] {
        let refused = app.post("/v1/mass-requests?quarantine=true").json(&json!({"number": number})).await;
        kept.push(refused.expect(422).text("/quarantine_id"));
        app.evaluate().await;
        assert_eq!(alerts(app.founder(), "refused", "open").await.len(), open, "{number}");
    }
    for id in &kept[1..] {
        app.delete(&format!("/v1/quarantine/{id}")).await.expect(204);
    }
    app.evaluate().await;
    assert_eq!(alerts(app.founder(), "refused", "resolved").await.len(), 1);
}

async fn dead_letters_open_an_alert_until_they_are_gone(app: TestApp) {
    set(app.founder(), "dead", &on(json!({"kind": "dead_letters"}))).await;
    let id = app.post("/v1/mass-requests").json(&reading("a")).await.expect(201).id();
    app.post(&format!("/v1/mass-requests/{id}/send")).await.expect(202);
    app.evaluate().await;
    assert_eq!(alerts(app.founder(), "dead", "open").await.len(), 0);
    app.execute("UPDATE deliveries SET state = 'dead'");
    app.evaluate().await;
    let open = alerts(app.founder(), "dead", "open").await;
    assert_eq!((open.len(), &open[0]["subject"]["kind"]), (1, &json!("deliveries")));
    app.execute("UPDATE deliveries SET state = 'cancelled'");
    app.evaluate().await;
    assert_eq!(alerts(app.founder(), "dead", "resolved").await.len(), 1);
}

fn unlock(app: &TestApp) {
    let database = app.database();
    let is_postgres = database.url().starts_with("postgres");
    unlock_audit_trail(is_postgres, |query| database.lines(query), |sql| database.execute(sql));
}

async fn a_trail_that_is_not_as_it_was_signed_opens_an_alert(app: TestApp) {
    set(app.founder(), "trail", &on(json!({"kind": "audit_trail_broken"})).with("/severity", "critical")).await;
    app.get("/v1/audit/checkpoint").await.expect(200);
    app.evaluate().await;
    assert_eq!(alerts(app.founder(), "trail", "open").await.len(), 0);
    unlock(&app);
    let size = app
        .database()
        .lines(&format!("SELECT CAST(size AS text) AS line FROM audit_heads WHERE tenant_id = '{TENANT}'"));
    let shorter = size[0].parse::<i64>().unwrap() - 1;
    app.execute(&format!("DELETE FROM audit_events WHERE tenant_id = '{TENANT}' AND sequence > {shorter}"));
    app.evaluate().await;
    let open = alerts(app.founder(), "trail", "open").await;
    assert_eq!((open.len(), &open[0]["subject"]["kind"]), (1, &json!("audit_trail")));
}

async fn events_of_the_audit_trail_open_alerts_of_their_subjects(app: TestApp) {
    for (name, condition) in [
        ("reused", json!({"kind": "refresh_token_reused"})),
        ("failed", json!({"kind": "failed_logins", "count": 2, "within_seconds": 600})),
        ("denied", json!({"kind": "access_refused"})),
        ("granted", json!({"kind": "access_granted"})),
    ] {
        set(app.founder(), name, &on(condition)).await;
    }
    let credentials = |password: &str| json!({"email": FOUNDER, "password": password});
    let fail =
        || async { app.anonymous().post("/v1/auth/login").json(&credentials("wrong wrong wrong")).await.expect(401) };
    fail().await;
    app.evaluate().await;
    assert_eq!(alerts(app.founder(), "failed", "open").await.len(), 0);
    fail().await;
    let login = app.anonymous().post("/v1/auth/login").json(&credentials(PASSWORD)).await.expect(200);
    let token = json!({"refresh_token": login.text("/refresh_token")});
    app.anonymous().post("/v1/auth/refresh").json(&token).await.expect(200);
    app.anonymous().post("/v1/auth/refresh").json(&token).await.expect(401);
    let key = json!({"name": "gateway", "permissions": ["mass:write"]});
    let key = app.post("/v1/admin/api-keys").json(&key).await.expect(201);
    app.bearer(&key.text("/token")).get("/v1/admin/users").await.expect(403);
    app.evaluate().await;
    let me = app.get("/v1/auth/me").await.expect(200).text("/id");
    for (rule, kind, id) in [
        ("failed", "user", Some(me)),
        ("reused", "session", None),
        ("denied", "api_key", Some(key.id())),
        ("granted", "api_key", Some(key.id())),
    ] {
        let open = alerts(app.founder(), rule, "open").await;
        let found = open.iter().find(|alert| alert["subject"]["kind"] == kind);
        let found = found.unwrap_or_else(|| panic!("{rule}: {open:?}"));
        assert!(id.is_none_or(|id| found["subject"]["id"] == json!(id)), "{found}");
    }
    // A change of the address alone gives nobody access.
    let granted = alerts(app.founder(), "granted", "open").await.len();
    let user = json!({"email": "new@example.test", "password": PASSWORD, "roles": ["viewer"]});
    let user = app.post("/v1/admin/users").json(&user).await.expect(201).id();
    app.evaluate().await;
    assert_eq!(alerts(app.founder(), "granted", "open").await.len(), granted + 1);
    let change = json!({"email": "newer@example.test"});
    app.patch(&format!("/v1/admin/users/{user}")).json(&change).await.expect(200);
    app.evaluate().await;
    let open = alerts(app.founder(), "granted", "open").await;
    assert_eq!(open.len(), granted + 1);
    // Once the events are older than the window, the alerts are resolved.
    unlock(&app);
    app.execute("UPDATE audit_events SET at = '2026-01-01T00:00:00.000000Z'");
    app.evaluate().await;
    for rule in ["failed", "reused", "denied", "granted"] {
        assert_eq!(alerts(app.founder(), rule, "open").await.len(), 0, "{rule}");
    }
}

async fn throttled_callers_open_an_alert(app: TestApp) {
    set(app.founder(), "throttled", &on(json!({"kind": "throttled"}))).await;
    let key = json!({"name": "gateway", "permissions": ["mass:read"]});
    let key = app.post("/v1/admin/api-keys").json(&key).await.expect(201);
    let strict = app.another_with(&[("--rate-limit-per-minute", "5")]).await;
    let client = strict.bearer(&key.text("/token"));
    let mut refused = 0;
    while refused < 5 {
        refused += usize::from(client.get("/v1/mass-requests").await.status == 429);
    }
    app.evaluate().await;
    let open = alerts(app.founder(), "throttled", "open").await;
    assert_eq!((open.len(), &open[0]["subject"]["id"], &open[0]["value"]), (1, &json!(key.id()), &json!(1.0)));
}

async fn alerts_of_the_audit_trail_are_for_those_who_may_read_it(app: TestApp) {
    let (viewer, operator, auditor) =
        (app.user(Role::Viewer).await, app.user(Role::Operator).await, app.user(Role::Auditor).await);
    let watching = on(json!({"kind": "access_granted"}));
    let refused = operator.put(&rule("granted")).json(&watching).await.expect_problem(403, "forbidden");
    assert_eq!(refused.text("/permission"), "audit:read");
    auditor.put(&rule("granted")).json(&watching).await.expect_problem(403, "forbidden");
    set(app.founder(), "granted", &watching).await;
    // Nor may it be made harmless, or deleted.
    let harmless = on(json!({"kind": "dead_letters"}));
    operator.put(&rule("granted")).json(&harmless).await.expect_problem(403, "forbidden");
    operator.delete(&rule("granted")).await.expect_problem(403, "forbidden");
    app.evaluate().await;
    let seen = alerts(&auditor, "granted", "open").await;
    assert!(!seen.is_empty());
    let id = seen[0]["id"].as_str().unwrap();
    for client in [&viewer, &operator] {
        assert_eq!(alerts(client, "granted", "open").await, [] as [Value; 0]);
        client.get(&format!("{ALERTS}/{id}")).await.expect_problem(404, "not-found");
    }
    let note = json!({"note": "Mine."});
    operator.post(&format!("{ALERTS}/{id}/acknowledge")).json(&note).await.expect_problem(404, "not-found");
    auditor.get(&format!("{ALERTS}/{id}")).await.expect(200);
}

async fn an_alert_is_acknowledged_with_a_note(app: TestApp) {
    measure(&app, "quiet", 20.0, seconds_ago(7200)).await;
    set(app.founder(), "silent", &on(json!({"kind": "device_silent", "after_seconds": 3600}))).await;
    app.evaluate().await;
    let id = alerts(app.founder(), "silent", "open").await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("{ALERTS}/{id}/acknowledge");
    let answer = app.post(&path).json(&json!({"note": "I look after it."})).await.expect(200);
    assert_eq!(answer.text("/acknowledgement/note"), "I look after it.");
    assert_eq!(answer.text("/acknowledgement/by/kind"), "user");
    assert_eq!(app.get(&format!("{ALERTS}/{id}")).await.expect(200).json(), answer.json());
    for bad in [json!({"note": ""}), json!({"note": "\u{7}"}), json!({"note": "n".repeat(1001)}), json!({"more": 1})] {
        app.post(&path).json(&bad).await.expect_problem(422, "contract-violation");
    }
    // An evaluation leaves it as it is.
    app.evaluate().await;
    assert_eq!(app.get(&format!("{ALERTS}/{id}")).await.expect(200).json(), answer.json());
    let events = app.get(&format!("/v1/audit/events?object_kind=alert&object_id={id}")).await.expect(200);
    let told = events.at("/items");
    assert_eq!((told.as_array().unwrap().len(), &told[0]["action"]), (1, &json!("alert_acknowledged")));
    assert!(!events.at("/items/0").to_string().contains("look after"), "notes can be deleted, and events cannot");
}

async fn alerts_of_a_disabled_or_deleted_rule_are_resolved(app: TestApp) {
    measure(&app, "quiet", 20.0, seconds_ago(7200)).await;
    let terms = on(json!({"kind": "device_silent", "after_seconds": 3600}));
    set(app.founder(), "silent", &terms).await;
    app.evaluate().await;
    app.founder().put(&rule("silent")).json(&terms.clone().with("/enabled", false)).await.expect(200);
    app.evaluate().await;
    let resolved = alerts(app.founder(), "silent", "resolved").await;
    assert_eq!((resolved.len(), &resolved[0]["resolution"]), (1, &json!("rule_disabled")));
    assert_eq!(app.database().count("tenant_tasks"), 0, "nothing is evaluated without a rule");
    app.founder().put(&rule("silent")).json(&terms).await.expect(200);
    app.evaluate().await;
    assert_eq!(alerts(app.founder(), "silent", "open").await.len(), 1);
    app.delete(&rule("silent")).await.expect(204);
    let resolved = alerts(app.founder(), "silent", "resolved").await;
    assert_eq!((resolved.len(), &resolved[0]["resolution"]), (2, &json!("rule_deleted")));
}

async fn alerts_are_listed_newest_first_page_by_page(app: TestApp) {
    for device in 0..5 {
        measure(&app, &format!("d{device}"), 20.0, seconds_ago(7200)).await;
    }
    let silent = on(json!({"kind": "device_silent", "after_seconds": 3600}));
    set(app.founder(), "silent", &silent).await;
    app.evaluate().await;
    let mut ids = Vec::new();
    let mut next = format!("{ALERTS}?limit=2&severity=warning");
    loop {
        let page = app.get(&next).await.expect(200);
        ids.extend(page.at("/items").as_array().unwrap().iter().map(|alert| alert["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page.at("/next_cursor").as_str().map(str::to_owned) else { break };
        let other = app.get(&format!("{ALERTS}?limit=2&severity=critical&cursor={cursor}")).await;
        other.expect_problem(422, "invalid-parameter");
        next = format!("{ALERTS}?limit=2&severity=warning&cursor={cursor}");
    }
    assert_eq!(ids.len(), 5);
    assert!(ids.is_sorted_by(|one, other| one > other), "{ids:?}");
    assert_eq!(app.get(&format!("{ALERTS}?state=resolved")).await.expect(200).at("/items"), json!([]));
    for bad in ["state=pending", "severity=loud", "rule=no%20name", "kind=x"] {
        app.get(&format!("{ALERTS}?{bad}")).await.expect_problem(422, "invalid-parameter");
    }
    set(app.founder(), "another", &silent).await;
    let page = app.get(&format!("{RULES}?limit=1")).await.expect(200);
    assert_eq!(page.text("/items/0/name"), "another");
    let cursor = page.text("/next_cursor");
    let page = app.get(&format!("{RULES}?limit=1&cursor={cursor}")).await.expect(200);
    assert_eq!((page.text("/items/0/name"), page.at("/next_cursor")), ("silent".to_owned(), Value::Null));
}

async fn each_tenant_has_its_own_rules_and_alerts(app: TestApp) {
    measure(&app, "quiet", 20.0, seconds_ago(7200)).await;
    let terms = on(json!({"kind": "device_silent", "after_seconds": 3600}));
    set(app.founder(), "silent", &terms).await;
    let foreigner = app.foreigner(Role::Admin).await;
    set(&foreigner, "silent", &terms).await;
    app.evaluate().await;
    let id = alerts(app.founder(), "silent", "open").await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(foreigner.get(ALERTS).await.expect(200).at("/items"), json!([]));
    foreigner.get(&format!("{ALERTS}/{id}")).await.expect_problem(404, "not-found");
    foreigner.delete(&rule("silent")).await.expect(204);
    app.get(&rule("silent")).await.expect(200);
    assert_eq!(alerts(app.founder(), "silent", "open").await.len(), 1);
}

async fn a_server_evaluates_rules_by_itself(app: TestApp) {
    measure(&app, "quiet", 20.0, seconds_ago(7200)).await;
    let periodic = app.periodic();
    set(app.founder(), "silent", &on(json!({"kind": "device_silent", "after_seconds": 3600}))).await;
    while alerts(app.founder(), "silent", "open").await.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    periodic.finish().await;
    let shown = String::from_utf8(app.get("/metrics").await.expect(200).body).unwrap();
    assert!(shown.contains("mass_alert_evaluation_duration_seconds_count{outcome=\"done\""), "{shown}");
}

async fn a_server_without_figures_says_so(app: TestApp) {
    let app = app.restart(&[("--analytics", "false")]).await;
    let created = set(app.founder(), "silent", &on(json!({"kind": "device_silent", "after_seconds": 3600}))).await;
    assert!(created.text("/problem").contains("MASS_ANALYTICS=false"));
    let created = set(app.founder(), "dead", &on(json!({"kind": "dead_letters"}))).await;
    assert_eq!(created.at("/problem"), Value::Null);
}

async fn changes_of_rules_are_audited(app: TestApp) {
    let terms = on(json!({"kind": "dead_letters"}));
    let first = set(app.founder(), "dead", &terms).await.text("/digest");
    let second = app.founder().put(&rule("dead")).json(&terms.with("/severity", "info")).await.expect(200);
    app.delete(&rule("dead")).await.expect(204);
    let events = app.get("/v1/audit/events?object_kind=alert_rule&object_id=dead").await.expect(200);
    let told: Vec<Value> = events.at("/items").as_array().unwrap().iter().rev().cloned().collect();
    let actions: Vec<&str> = told.iter().map(|event| event["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["alert_rule_set", "alert_rule_set", "alert_rule_deleted"]);
    assert_eq!((&told[0]["detail"]["before"], &told[0]["detail"]["after"]), (&Value::Null, &json!(first)));
    assert_eq!(told[1]["detail"]["after"], second.at("/digest"));
    assert_eq!(told[2]["detail"]["before"], second.at("/digest"));
}
