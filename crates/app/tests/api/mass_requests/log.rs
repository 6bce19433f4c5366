//! The log of requests: actors and actions, in order.

use futures_util::future::join_all;
use mass_domain::access::Role;
use serde_json::json;

use super::{REQUESTS, events, listed, move_to, path, send, store_at_once};
use crate::support::TestApp;
use crate::support::documents::{Edit, reading};

on_both!(
    events_have_actor_action_and_trace,
    the_log_of_a_tenant_has_no_gaps,
    the_log_of_a_tenant_has_no_gaps_under_concurrent_writes,
    requests_that_cannot_be_logged_are_not_stored,
);

also_restricted!(the_log_of_a_tenant_has_no_gaps_under_concurrent_writes);

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

async fn events_have_actor_action_and_trace(app: TestApp) {
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let create = app.post(REQUESTS).json(&reading("dev-1")).header("traceparent", &traceparent);
    let created = create.header("X-Request-Id", "create-1").await.expect(201);
    let operator = app.user(Role::Operator).await;
    let change = json!({"status": "failed", "reason": "The engine is off."});
    let moved = operator.patch(&format!("{}/status", path(&created.id()))).json(&change).await.expect(200);
    let events = events(&app, &created.id()).await;
    let fingerprint = created.at("/fingerprint");
    assert!(events[0]["detail"]["index"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(
        events[0],
        json!({
            "sequence": created.at("/audit/sequence"), "type": "accepted", "at": created.at("/created_at"), "actor": created.at("/created_by"),
            "trace_id": TRACE, "request_id": "create-1", "contract": "device/1.1", "fingerprint": fingerprint,
            "detail": {"index": events[0]["detail"]["index"]},
        })
    );
    assert_eq!(
        events[1],
        json!({
            "sequence": events[1]["sequence"], "type": "status_changed", "at": moved.at("/updated_at"),
            "actor": {"kind": "user", "id": operator.get("/v1/auth/me").await.at("/id")},
            "trace_id": moved.header("traceparent").unwrap().split('-').nth(1),
            "request_id": moved.header("x-request-id"), "contract": "device/1.1", "fingerprint": fingerprint,
            "detail": {"from": "pending", "to": "failed", "reason": "The engine is off."},
        })
    );
    assert_eq!(events.len(), 2);
}

async fn the_log_of_a_tenant_has_no_gaps(app: TestApp) {
    let foreigner = app.foreigner(Role::Operator).await;
    let mut sent = Vec::new();
    for number in 0..4 {
        let id = send(&app, &reading(&format!("dev-{number}"))).await.id();
        app.post(REQUESTS).json(&reading(&format!("dev-{number}")).with("/metadata/notes", "x")).await.expect(409);
        app.post(REQUESTS).body("{").await.expect(400);
        // None of these calls adds an event to this tenant.
        app.post(REQUESTS).json(&reading(&format!("dev-{number}"))).await.expect(200);
        move_to(&app, &id, "done").await.expect(409);
        foreigner.post(REQUESTS).json(&reading(&format!("dev-{number}"))).await.expect(201);
        move_to(&app, &id, "cancelled").await.expect(200);
        sent.push(id);
    }
    assert_eq!(
        app.database().count("audit_events WHERE tenant_id = 'default' AND object_kind = 'mass_request'"),
        4 * 4
    );
    assert_eq!(count(&app, &sent).await, 4 * 2);
    assert_no_gap(&app);
}

/// Asserts that the first tenant's log is numbered from 1 without gaps.
fn assert_no_gap(app: &TestApp) {
    let query = "SELECT CAST(sequence AS text) AS line FROM audit_events WHERE tenant_id = 'default' ORDER BY sequence";
    let sequences = app.database().lines(query);
    assert!(
        sequences.iter().map(|sequence| sequence.parse::<usize>().unwrap()).eq(1..=sequences.len()),
        "{sequences:?}"
    );
}

/// Counts the events of these requests.
async fn count(app: &TestApp, ids: &[String]) -> usize {
    let mut count = 0;
    for id in ids {
        count += events(app, id).await.len();
    }
    count
}

async fn the_log_of_a_tenant_has_no_gaps_under_concurrent_writes(app: TestApp) {
    let stored = store_at_once(&app, 30).await;
    let moves = stored.iter().map(|id| move_to(&app, id, "processing"));
    let (_, more) = tokio::join!(join_all(moves), store_at_once(&app, 30));
    assert_eq!(count(&app, &[stored, more].concat()).await, 90);
    assert_no_gap(&app);
}

#[tokio::test]
async fn two_servers_on_one_postgres_keep_one_log_without_gaps() {
    let first = TestApp::postgres().await;
    let second = first.another().await;
    let (here, there) = tokio::join!(store_at_once(&first, 30), store_at_once(&second, 30));
    assert_eq!(count(&second, &[here, there].concat()).await, 60);
    assert_no_gap(&second);
}

async fn requests_that_cannot_be_logged_are_not_stored(app: TestApp) {
    let id = send(&app, &reading("dev-1")).await.id();
    app.database().refuse_events();
    app.post(REQUESTS).json(&reading("dev-2")).await.expect_problem(500, "internal");
    move_to(&app, &id, "cancelled").await.expect_problem(500, "internal");
    app.delete(&path(&id)).await.expect_problem(500, "internal");
    assert_eq!(listed(app.founder(), "status=pending").await, [id]);
}
