//! Retention rules, legal holds, and the worker that erases documents by their age.

use std::sync::Arc;
use std::time::Duration;

use mass_app::http::context::local_origin;
use mass_domain::access::Role;
use mass_domain::delivery::WorkerName;
use mass_domain::time::{Clock, Timestamp};
use mass_service::Expirer;
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client::Answer;
use crate::support::documents::{Edit, reading, simple};

on_both! {
    rules_are_set_shown_and_recorded,
    wrong_rules_are_named_by_pointers,
    documents_beyond_their_age_are_erased_as_by_a_deletion,
    a_hold_refuses_both_deletions_until_it_is_released,
    a_hold_keeps_documents_beyond_their_age,
    the_server_erases_by_itself,
    nobody_learns_of_the_rules_and_holds_of_another_tenant,
}

also_restricted! {
    documents_beyond_their_age_are_erased_as_by_a_deletion,
    a_hold_refuses_both_deletions_until_it_is_released,
    the_server_erases_by_itself,
}

const REQUESTS: &str = "/v1/mass-requests";
const RETENTION: &str = "/v1/admin/retention";
const HOLDS: &str = "/v1/admin/legal-holds";

/// A clock that is ahead by some days.
struct Ahead(i64);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        Timestamp::from_datetime(chrono::Utc::now()).plus_seconds(self.0 * 86_400).unwrap()
    }
}

/// Lets a worker do all that is due in this number of days. Returns the number of erased documents.
async fn expire(app: &TestApp, days: i64) -> u64 {
    let (store, queue) = (Arc::clone(&app.stores().expiry), Arc::clone(&app.stores().tasks));
    let expirer = Expirer::new(store, queue, Arc::new(Ahead(days)), WorkerName::parse("w").unwrap());
    let mut erased = 0;
    while let Some(visit) = expirer.visit(&local_origin()).await.unwrap() {
        erased += visit.erased;
    }
    erased
}

async fn set(app: &TestApp, rules: Value) -> Answer {
    app.founder().put(RETENTION).json(&json!({"rules": rules})).await
}

async fn events(app: &TestApp, action: &str) -> Vec<Value> {
    let found = app.get(&format!("/v1/audit/events?action={action}")).await.expect(200).at("/items");
    found.as_array().unwrap().clone()
}

async fn hold(app: &TestApp, contract: Option<&str>) -> String {
    let new = json!({"reason": "Claim 2026/17.", "contract": contract});
    app.post(HOLDS).json(&new).await.expect(201).id()
}

async fn release(app: &TestApp, id: &str) -> Answer {
    app.post(&format!("{HOLDS}/{id}/release")).json(&json!({"reason": "The claim is settled."})).await
}

async fn rules_are_set_shown_and_recorded(app: TestApp) {
    let nothing = app.get(RETENTION).await.expect(200).json();
    assert_eq!(nothing, json!({"rules": [], "due": 0, "legal_holds": 0, "reports": []}));
    let rules = json!([{"contract": "device/1.1", "days": 730}, {"contract": null, "days": 1825.0}]);
    set(&app, rules).await.expect(200);
    let ordered = json!([{"contract": null, "days": 1825}, {"contract": "device/1.1", "days": 730}]);
    assert_eq!(app.get(RETENTION).await.expect(200).at("/rules"), ordered);
    // The same rules again are no change.
    set(&app, ordered.clone()).await.expect(200);
    set(&app, json!([])).await.expect(200);
    let told = events(&app, "retention_set").await;
    assert_eq!(told.len(), 2);
    assert_eq!(told[0]["detail"], json!({"before": ordered, "after": []}));
    assert_eq!(told[0]["object"], json!({"kind": "retention"}));
}

async fn wrong_rules_are_named_by_pointers(app: TestApp) {
    for (rules, pointer) in [
        (json!([{"days": 0}]), "/rules/0/days rule"),
        (json!([{"days": 1, "contract": "simple/1.0"}, {"days": 36_501}]), "/rules/1/days rule"),
        (json!([{"days": 1.5}]), "/rules/0/days shape"),
        (json!([{"days": null}]), "/rules/0/days shape"),
        (json!([{"days": 1, "contract": "device/9.9"}]), "/rules/0/contract shape"),
        (json!([{"days": 1}, {"days": 2}]), "/rules/1/contract second_rule"),
        (
            json!([{"days": 1, "contract": "device/1.1"}, {"days": 2}, {"days": 9, "contract": "device/1.1"}]),
            "/rules/2/contract second_rule",
        ),
    ] {
        set(&app, rules).await.expect_violations("contract-violation", &[pointer]);
    }
    for reason in ["", &"x".repeat(501)] {
        let refused = app.post(HOLDS).json(&json!({"reason": reason})).await;
        refused.expect_violations("contract-violation", &["/reason rule"]);
    }
    assert_eq!(app.get(RETENTION).await.expect(200).at("/rules"), json!([]));
}

async fn documents_beyond_their_age_are_erased_as_by_a_deletion(app: TestApp) {
    let humid = |percent: u32| reading("dev-1").with("/metrics/humidity_percent", percent);
    let first = app.post(REQUESTS).json(&humid(41)).await.expect(201).id();
    let second = app.post(&format!("{REQUESTS}?on_conflict=correct")).json(&humid(42)).await.expect(201).id();
    let kept = app.post(REQUESTS).json(&simple(json!({"a": 1}))).key("k-1").await.expect(201).id();
    app.project().await;
    app.get("/v1/devices/dev-1").await.expect(200);
    set(&app, json!([{"contract": "device/1.1", "days": 30}])).await.expect(200);

    assert_eq!(expire(&app, 29).await, 0);
    set(&app, json!([{"contract": "device/1.1", "days": 31}])).await.expect(200);
    assert_eq!(expire(&app, 32).await, 2);
    for id in [&first, &second] {
        app.get(&format!("{REQUESTS}/{id}")).await.expect_problem(410, "gone");
        app.get(&format!("{REQUESTS}/{id}/receipt")).await.expect(410);
    }
    app.get(&format!("{REQUESTS}/{kept}")).await.expect(200);
    let told = events(&app, "deleted").await;
    assert_eq!(told.len(), 2);
    for event in &told {
        assert_eq!((&event["actor"]["kind"], &event["detail"]), (&json!("system"), &json!({"retention_days": 31})));
        assert!(event["output"].is_string(), "{event}");
    }
    // Figures follow.
    app.project().await;
    app.get("/v1/devices/dev-1").await.expect(404);
    let used = app.database().lines("SELECT CAST(stored_bytes AS text) AS line FROM tenant_usage");
    assert_eq!(used, [r#"{"payload":{"a":1}}"#.len().to_string()]);
    assert_eq!(expire(&app, 4000).await, 0);
}

async fn a_hold_refuses_both_deletions_until_it_is_released(app: TestApp) {
    let operator = app.user(Role::Operator).await;
    let held = app.post(REQUESTS).json(&reading("dev-1")).await.expect(201).id();
    let free = app.post(REQUESTS).json(&simple(json!({"a": 1}))).await.expect(201).id();
    let token = operator.delete(&format!("{REQUESTS}?device_id=dev-1")).await.expect(200).text("/token");
    let id = hold(&app, Some("device/1.1")).await;
    for path in [
        format!("{REQUESTS}/{held}"),
        format!("{REQUESTS}?device_id=dev-1"),
        format!("{REQUESTS}?device_id=dev-1&confirm={token}"),
        format!("{REQUESTS}?contract=device/1.1"),
    ] {
        let refused = operator.delete(&path).await.expect_problem(409, "legal-hold");
        assert_eq!((refused.text("/hold"), refused.at("/contract")), (id.clone(), json!("device/1.1")), "{path}");
        assert!(!String::from_utf8_lossy(&refused.body).contains("Claim"), "the reason is for administrators");
    }
    app.get(&format!("{REQUESTS}/{held}")).await.expect(200);
    let matched = operator.delete(&format!("{REQUESTS}?contract=simple/1.0")).await.expect(200);
    assert_eq!(matched.at("/matched"), 1);
    operator.delete(&format!("{REQUESTS}/{free}")).await.expect(204);

    let of_all = hold(&app, None).await;
    let refused = operator.delete(&format!("{REQUESTS}?contract=simple/1.0")).await.expect_problem(409, "legal-hold");
    assert_eq!((refused.text("/hold"), refused.at("/contract")), (of_all.clone(), Value::Null));
    let listed = app.get(HOLDS).await.expect(200);
    assert_eq!([listed.text("/items/0/id"), listed.text("/items/1/id")], [id.clone(), of_all.clone()]);
    assert_eq!(listed.text("/items/0/reason"), "Claim 2026/17.");
    assert_eq!(app.get(RETENTION).await.expect(200).at("/legal_holds"), 2);

    for hold in [&id, &of_all] {
        release(&app, hold).await.expect(204);
        release(&app, hold).await.expect_problem(404, "not-found");
    }
    let done = operator.delete(&format!("{REQUESTS}?device_id=dev-1&confirm={token}")).await.expect(200);
    assert_eq!(done.at("/deleted"), 1);
    let (set, released) = (events(&app, "legal_hold_set").await, events(&app, "legal_hold_released").await);
    assert_eq!((set.len(), released.len()), (2, 2));
    assert_eq!(set[1]["detail"], json!({"reason": "Claim 2026/17."}));
    assert_eq!((&set[1]["contract"], &set[1]["object"]["id"]), (&json!("device/1.1"), &json!(id)));
    assert_eq!(released[1]["detail"]["reason"], "The claim is settled.");
}

async fn a_hold_keeps_documents_beyond_their_age(app: TestApp) {
    app.post(REQUESTS).json(&reading("dev-1")).await.expect(201);
    app.post(REQUESTS).json(&simple(json!({"a": 1}))).await.expect(201);
    let id = hold(&app, Some("device/1.1")).await;
    set(&app, json!([{"days": 1}])).await.expect(200);
    assert_eq!(expire(&app, 3).await, 1);
    release(&app, &id).await.expect(204);
    assert_eq!(expire(&app, 3).await, 1);
}

async fn the_server_erases_by_itself(app: TestApp) {
    let id = app.post(REQUESTS).json(&simple(json!({"a": 1}))).await.expect(201).id();
    set(&app, json!([{"days": 1}])).await.expect(200);
    // As if it had been received long ago.
    let old = "0150d3a0-0000-7000-8000-000000000001";
    let is_sqlite = app.database().url().starts_with("sqlite");
    let literal = |id: &str| if is_sqlite { format!("x'{}'", id.replace('-', "")) } else { format!("'{id}'") };
    app.execute(&format!("UPDATE mass_requests SET id = {} WHERE id = {}", literal(old), literal(&id)));
    let periodic = app.periodic();
    while app.database().count("mass_requests WHERE deleted_at IS NOT NULL AND document = ''") == 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    periodic.finish().await;
    app.get(&format!("{REQUESTS}/{old}")).await.expect_problem(410, "gone");
}

async fn nobody_learns_of_the_rules_and_holds_of_another_tenant(app: TestApp) {
    let foreigner = app.foreigner(Role::Admin).await;
    let id = hold(&app, None).await;
    set(&app, json!([{"days": 1}])).await.expect(200);
    assert_eq!(foreigner.get(HOLDS).await.expect(200).json(), json!({"items": []}));
    assert_eq!(foreigner.get(RETENTION).await.expect(200).at("/rules"), json!([]));
    let release = foreigner.post(&format!("{HOLDS}/{id}/release")).json(&json!({"reason": "x"})).await;
    release.expect_problem(404, "not-found");
    app.get(RETENTION).await.expect(200);
}
