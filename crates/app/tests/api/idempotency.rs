//! Idempotency keys: a replay changes nothing and gets the first answer.

use futures_util::future::join_all;
use mass_domain::access::Role;
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client::Answer;
use crate::support::documents::{Edit, reading, report, simple};

on_both!(
    a_replay_is_answered_byte_for_byte,
    a_replay_repeats_the_first_answer_after_every_change,
    a_replayed_duplicate_stays_a_duplicate,
    a_quoted_and_a_bare_key_are_the_same,
    a_key_serves_one_document,
    a_refused_attempt_may_be_repeated,
    deleting_a_request_frees_its_idempotency_key,
    a_key_belongs_to_its_tenant,
    a_report_carries_its_own_idempotency_key,
    a_header_that_names_another_key_than_the_report_is_refused,
    malformed_idempotency_keys_are_refused,
    a_hundred_concurrent_sends_of_one_key_store_one_row,
    a_key_survives_a_restart,
    a_key_is_remembered_even_for_a_correction,
);

also_restricted!(a_key_belongs_to_its_tenant, a_key_survives_a_restart);

const REQUESTS: &str = "/v1/mass-requests";

async fn send(app: &TestApp, key: &str, document: &Value) -> Answer {
    app.post(REQUESTS).key(key).json(document).await
}

fn free(value: i64) -> Value {
    simple(json!({"value": value}))
}

#[track_caller]
fn assert_replays(again: &Answer, first: &Answer) {
    assert_eq!(String::from_utf8_lossy(&again.body), String::from_utf8_lossy(&first.body));
    assert_eq!(again.status, first.status);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    for name in ["location", "etag", "content-type"] {
        assert_eq!(again.header(name), first.header(name));
    }
}

async fn rows(app: &TestApp) -> usize {
    app.get(REQUESTS).await.expect(200).at("/items").as_array().unwrap().len()
}

async fn a_replay_is_answered_byte_for_byte(app: TestApp) {
    for (key, document) in [("k-1", free(1)), ("k-2", reading("dev-1"))] {
        let first = send(&app, key, &document).await.expect(201);
        assert_eq!(first.header("idempotent-replayed"), None);
        assert_replays(&send(&app, key, &document).await, &first);
    }
    assert_eq!(rows(&app).await, 2);
}

async fn a_replay_repeats_the_first_answer_after_every_change(app: TestApp) {
    let first = send(&app, "k-1", &reading("dev-1")).await.expect(201);
    let status = format!("{REQUESTS}/{}/status", first.id());
    app.patch(&status).json(&json!({"status": "processing"})).await.expect(200);
    assert_replays(&send(&app, "k-1", &reading("dev-1")).await, &first);
    let other = reading("dev-1").with("/metadata/notes", "Calibrated.");
    app.post("/v1/mass-requests?on_conflict=correct").json(&other).await.expect(201);
    assert_replays(&send(&app, "k-1", &reading("dev-1")).await, &first);
    app.patch(&status).json(&json!({"status": "done"})).await.expect(200);
    assert_replays(&send(&app, "k-1", &reading("dev-1")).await, &first);
}

async fn a_replayed_duplicate_stays_a_duplicate(app: TestApp) {
    let id = app.post(REQUESTS).json(&reading("dev-1")).await.expect(201).id();
    app.patch(&format!("{REQUESTS}/{id}/status")).json(&json!({"status": "processing"})).await.expect(200);
    let first = send(&app, "k-1", &reading("dev-1")).await.expect(200);
    app.patch(&format!("{REQUESTS}/{id}/status")).json(&json!({"status": "done"})).await.expect(200);
    assert_replays(&send(&app, "k-1", &reading("dev-1")).await, &first);
}

async fn a_quoted_and_a_bare_key_are_the_same(app: TestApp) {
    let first = send(&app, "gateway-7 000042", &free(1)).await.expect(201);
    assert_replays(&send(&app, "\"gateway-7 000042\"", &free(1)).await, &first);
    let quoted = send(&app, r#""a\"b\\c""#, &free(2)).await.expect(201);
    assert_eq!(quoted.text("/idempotency_key"), r#"a"b\c"#);
    send(&app, "Gateway-7 000042", &free(1)).await.expect(201);
}

async fn a_key_serves_one_document(app: TestApp) {
    let first = send(&app, "k-1", &free(1)).await.expect(201);
    for other in [free(2), reading("dev-1")] {
        let answer = send(&app, "k-1", &other).await.expect_problem(422, "idempotency-key-reused");
        assert_eq!(answer.text("/first_id"), first.id());
    }
    let spelled = simple(json!({"VALUE": " 1 "}));
    assert_replays(&send(&app, "k-1", &spelled).await, &first);
    assert_eq!(rows(&app).await, 1);
}

async fn a_refused_attempt_may_be_repeated(app: TestApp) {
    let first = app.post(REQUESTS).json(&reading("dev-1")).await.expect(201);
    let other = reading("dev-1").with("/metadata/notes", "Calibrated.");
    send(&app, "k-1", &reading("dev-2").without("/metrics")).await.expect(422);
    send(&app, "k-1", &other).await.expect_problem(409, "conflict");
    let corrected = app.post("/v1/mass-requests?on_conflict=correct").key("k-1").json(&other).await.expect(201);
    assert_eq!(corrected.text("/corrects"), first.id());
    assert_eq!(corrected.header("idempotent-replayed"), None);
}

async fn a_key_is_remembered_even_for_a_correction(app: TestApp) {
    app.post(REQUESTS).json(&reading("dev-1")).await.expect(201);
    let other = reading("dev-1").with("/metadata/notes", "Calibrated.");
    let correct = || app.post("/v1/mass-requests?on_conflict=correct").key("k-1").json(&other);
    let first = correct().await.expect(201);
    assert_replays(&correct().await, &first);
    // The key is checked before the natural key, regardless of the conflict mode.
    assert_replays(&send(&app, "k-1", &other).await, &first);
}

async fn deleting_a_request_frees_its_idempotency_key(app: TestApp) {
    let id = send(&app, "k-1", &reading("dev-1")).await.expect(201).id();
    app.delete(&format!("{REQUESTS}/{id}")).await.expect(204);
    let gone = send(&app, "k-1", &reading("dev-1")).await.expect_problem(410, "gone");
    assert_eq!(gone.text("/first_id"), id);
    send(&app, "k-1", &reading("dev-2")).await.expect_problem(422, "idempotency-key-reused");
    send(&app, "k-2", &reading("dev-1")).await.expect(201);
}

async fn a_key_belongs_to_its_tenant(app: TestApp) {
    let foreigner = app.foreigner(Role::Operator).await;
    let ours = send(&app, "k-1", &free(1)).await.expect(201);
    let theirs = foreigner.post(REQUESTS).key("k-1").json(&free(2)).await.expect(201);
    assert_eq!(theirs.header("idempotent-replayed"), None);
    assert_replays(&send(&app, "k-1", &free(1)).await, &ours);
}

async fn a_report_carries_its_own_idempotency_key(app: TestApp) {
    let first = app.post(REQUESTS).json(&report("r-1")).await.expect(201);
    assert_replays(&app.post(REQUESTS).json(&report("r-1")).await, &first);
    assert_replays(&send(&app, "\"r-1\"", &report("r-1")).await, &first);
    send(&app, "r-1", &free(1)).await.expect_problem(422, "idempotency-key-reused");
    let other = report("r-2").with("/request/idempotency_key", "r-1");
    app.post(REQUESTS).json(&other).await.expect_problem(422, "idempotency-key-reused");
}

async fn a_header_that_names_another_key_than_the_report_is_refused(app: TestApp) {
    let mismatch = ["/request/idempotency_key idempotency_key_mismatch"];
    for door in [REQUESTS, "/v1/mass-requests/normalize"] {
        let answer = app.post(door).key("k-1").json(&report("r-1")).await;
        answer.expect_violations("contract-violation", &mismatch);
    }
    let verdict = app.post("/v1/mass-requests/validate").key("k-1").json(&report("r-1")).await.expect(200);
    assert_eq!((verdict.at("/valid"), verdict.violations()), (json!(false), mismatch.map(str::to_owned).to_vec()));
    assert_eq!(rows(&app).await, 0);
}

async fn malformed_idempotency_keys_are_refused(app: TestApp) {
    for key in ["", "\"\"", "\"k", "\"k\" x", "ä", &"k".repeat(256)] {
        let answer = send(&app, key, &free(1)).await;
        answer.expect_violations("invalid-parameter", &["header:Idempotency-Key header"]);
    }
    let twice = app.post(REQUESTS).key("k-1").key("k-1").json(&free(1)).await;
    twice.expect_violations("invalid-parameter", &["header:Idempotency-Key header"]);
    send(&app, &"k".repeat(255), &free(1)).await.expect(201);
}

/// Asserts that one call stored the document and all answers agree; a call that met another one under way may have been
/// put off.
fn assert_agree(answers: &[Answer]) {
    let first = answers.iter().find(|answer| answer.status == 201).unwrap();
    for answer in answers.iter().filter(|answer| answer.status != 409) {
        assert_eq!((answer.status, &answer.body), (201, &first.body));
    }
    let fresh = answers.iter().filter(|answer| answer.status == 201 && answer.header("idempotent-replayed").is_none());
    assert_eq!(fresh.count(), 1);
}

async fn a_hundred_concurrent_sends_of_one_key_store_one_row(app: TestApp) {
    let document = free(1);
    assert_agree(&join_all((0..100).map(|_| send(&app, "k-1", &document))).await);
    assert_eq!(rows(&app).await, 1);
}

#[tokio::test]
async fn two_servers_on_one_postgres_agree_on_a_key() {
    let first = TestApp::postgres().await;
    let second = first.another().await;
    let document = free(1);
    let servers = [&first, &second].repeat(50);
    assert_agree(&join_all(servers.into_iter().map(|app| send(app, "k-1", &document))).await);
    assert_eq!((rows(&first).await, rows(&second).await), (1, 1));
    send(&second, "k-1", &free(2)).await.expect_problem(422, "idempotency-key-reused");
}

async fn a_key_survives_a_restart(app: TestApp) {
    let first = send(&app, "k-1", &reading("dev-1")).await.expect(201);
    let app = app.restart(&[]).await;
    assert_replays(&send(&app, "k-1", &reading("dev-1")).await, &first);
    send(&app, "k-1", &reading("dev-2")).await.expect_problem(422, "idempotency-key-reused");
}
