//! Atomic batches: all or none.

use serde_json::{Value, json};

use super::{BATCH, counts, lines_of, ndjson, outcomes, readings, send, send_ndjson};
use crate::support::TestApp;
use crate::support::documents::{Edit, reading, simple};

on_both!(
    an_atomic_batch_stores_all_records_or_finds_them_stored,
    one_invalid_record_refuses_the_atomic_batch,
    one_conflict_refuses_the_atomic_batch,
    a_malformed_atomic_batch_stores_nothing,
    a_used_up_quota_refuses_the_atomic_batch,
);

const ATOMIC: &str = "?mode=atomic";

async fn an_atomic_batch_stores_all_records_or_finds_them_stored(app: TestApp) {
    let documents = readings(1200);
    app.post("/v1/mass-requests").json(&documents[7]).await.expect(201);
    let answer = send_ndjson(app.founder(), ATOMIC, &documents).await.expect(201);
    let (lines, last) = lines_of(&answer.body);
    assert_eq!(counts(&last), json!({"read": 1200, "accepted": 1199, "duplicate": 1}));
    assert_eq!((outcomes(&lines)[7], lines.len()), ("duplicate", 1200));
    let answer = send_ndjson(app.founder(), "?mode=atomic&results=errors", &documents).await.expect(201);
    let (lines, last) = lines_of(&answer.body);
    assert_eq!((lines.len(), counts(&last)), (0, json!({"read": 1200, "duplicate": 1200})));
    assert_eq!(app.database().count("mass_requests"), 1200);
}

/// Returns index, line, outcome and code of each record of a refusal.
fn refused(records: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let in_short = |record: &Value| {
        let (outcome, code) = (text(&record["outcome"]), text(&record["violations"][0]["code"]));
        format!("{} {} {outcome} {code}", record["index"], record["line"])
    };
    records.as_array().unwrap().iter().map(in_short).collect()
}

async fn one_invalid_record_refuses_the_atomic_batch(app: TestApp) {
    let documents = [reading("dev-1"), json!({}), reading("dev-2"), reading("dev-3").without("/timestamp")];
    let answer = send_ndjson(app.founder(), ATOMIC, &documents).await.expect_problem(422, "batch-refused");
    let records = answer.at("/records");
    assert_eq!(refused(&records), ["1 2 rejected no_contract", "3 4 rejected required"]);
    assert_eq!(answer.text("/detail"), "2 of 4 records are refused, so that none is stored.");
    assert_eq!(app.database().count("mass_requests"), 0);
    assert_eq!(app.database().count("audit_events WHERE action = 'payload_refused'"), 1);
}

async fn one_conflict_refuses_the_atomic_batch(app: TestApp) {
    let standing = app.post("/v1/mass-requests").json(&reading("dev-1")).await.expect(201);
    let other = reading("dev-1").with("/metrics/humidity_percent", 50);
    let documents = [reading("dev-2"), other, reading("dev-3")];
    let answer = send_ndjson(app.founder(), ATOMIC, &documents).await.expect_problem(422, "batch-refused");
    let records = answer.at("/records");
    assert_eq!(refused(&records), ["1 2 conflict conflict"]);
    assert_eq!(records[0]["id"], standing.id());
    assert_eq!(app.database().count("mass_requests"), 1);
    let answer = send_ndjson(app.founder(), "?mode=atomic&on_conflict=correct", &documents).await.expect(201);
    assert_eq!(outcomes(&lines_of(&answer.body).0), ["accepted", "correction", "accepted"]);
}

async fn a_malformed_atomic_batch_stores_nothing(app: TestApp) {
    let path = format!("{BATCH}{ATOMIC}");
    let cut = format!("[{},", reading("dev-1"));
    send(app.founder(), &path, "application/json", cut).await.expect_problem(400, "malformed-json");
    let coded =
        send(app.founder(), &path, "application/x-ndjson", ndjson(&readings(2))).header("Content-Encoding", "zstd");
    coded.await.expect_problem(400, "bad-request");
    let many = vec![simple(json!({"a": 1})); 10_001];
    send_ndjson(app.founder(), ATOMIC, &many).await.expect_problem(413, "too-large");
    let rows = send(app.founder(), &format!("{path}&contract=simple/1.0"), "text/csv", "a,a\n1,2\n").await;
    rows.expect_problem(400, "bad-request");
    assert_eq!(app.database().count("mass_requests"), 0);
}

async fn a_used_up_quota_refuses_the_atomic_batch(app: TestApp) {
    app.founder().put("/v1/admin/quotas").json(&json!({"requests_per_day": 3})).await.expect(200);
    let refused = send_ndjson(app.founder(), ATOMIC, &readings(4)).await.expect_problem(429, "daily-quota-exceeded");
    assert!(refused.header("retry-after").unwrap().ends_with("GMT"));
    assert_eq!(app.database().count("mass_requests"), 0);
    // The refused call counts as one request.
    send_ndjson(app.founder(), ATOMIC, &readings(2)).await.expect(201);
}
