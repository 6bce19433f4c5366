//! Deletions by filters: counted first, and then exactly what was counted.

use mass_domain::access::Role;
use serde_json::{Value, json};

use crate::batch::{BATCH, lines_of, ndjson, readings, send};
use crate::support::TestApp;
use crate::support::client::{Answer, Client};
use crate::support::documents::{Edit, reading, simple};

on_both!(
    nothing_is_deleted_without_the_token_and_with_it_what_was_counted,
    a_token_is_for_one_caller_and_the_same_filters,
    requests_that_came_or_changed_since_the_count_stay,
    a_call_deletes_at_most_its_limit,
    a_deletion_needs_a_filter,
    corrections_are_undone_with_or_without_what_they_correct,
    batches_and_calls_are_filters_of_lists_and_exports,
    a_deletion_gives_room_and_takes_back_what_waits_for_the_engine,
);

also_restricted!(
    nothing_is_deleted_without_the_token_and_with_it_what_was_counted,
    a_call_deletes_at_most_its_limit,
    corrections_are_undone_with_or_without_what_they_correct,
);

const REQUESTS: &str = "/v1/mass-requests";

/// Sends a batch as a call with this id; returns the ids of its requests.
async fn send_as(client: &Client, call: &str, query: &str, documents: &[Value]) -> Vec<String> {
    let batch = send(client, &format!("{BATCH}{query}"), "application/x-ndjson", ndjson(documents));
    let answer = batch.header("X-Request-Id", call).await.expect(200);
    let (lines, _) = lines_of(&answer.body);
    lines.iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect()
}

/// Counts what filters let through; returns the number and the token.
async fn count(client: &Client, filters: &str) -> (u64, String) {
    let answer = client.delete(&format!("{REQUESTS}?{filters}")).await.expect(200);
    let members: Vec<String> = answer.json().as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["expires_at", "matched", "token"]);
    (answer.at("/matched").as_u64().unwrap(), answer.text("/token"))
}

async fn confirm(client: &Client, filters: &str, token: &str) -> Answer {
    client.delete(&format!("{REQUESTS}?{filters}&confirm={token}")).await
}

/// Counts and deletes what filters let through.
async fn undo(client: &Client, filters: &str) -> Value {
    let (_, token) = count(client, filters).await;
    confirm(client, filters, &token).await.expect(200).json()
}

async fn listed(app: &TestApp, filters: &str) -> usize {
    app.get(&format!("{REQUESTS}?{filters}")).await.expect(200).at("/items").as_array().unwrap().len()
}

async fn nothing_is_deleted_without_the_token_and_with_it_what_was_counted(app: TestApp) {
    let founder = app.founder();
    let good = app.post(REQUESTS).json(&reading("dev-9")).await.expect(201).id();
    let wrong = send_as(founder, "import-1", "", &readings(3)).await;
    let (matched, token) = count(founder, "call_id=import-1").await;
    assert_eq!((matched, listed(&app, "").await), (3, 4), "a count changes nothing");

    let done = confirm(founder, "call_id=import-1", &token).await.expect(200).json();
    assert_eq!(done, json!({"matched": 3, "deleted": 3, "changed": 0, "remaining": 0}));
    for id in &wrong {
        app.get(&format!("{REQUESTS}/{id}")).await.expect_problem(410, "gone");
    }
    app.get(&format!("{REQUESTS}/{good}")).await.expect(200);
    let events = app.get("/v1/audit/events?action=deleted").await.expect(200).at("/items");
    let objects: Vec<&str> =
        events.as_array().unwrap().iter().map(|event| event["object"]["id"].as_str().unwrap()).collect();
    assert_eq!(objects, wrong.iter().rev().map(String::as_str).collect::<Vec<_>>(), "an event each");

    let again = confirm(founder, "call_id=import-1", &token).await.expect(200).json();
    assert_eq!(again, json!({"matched": 3, "deleted": 0, "changed": 0, "remaining": 0}));
    // The same records can be imported again, correctly.
    assert_eq!(send_as(founder, "import-2", "", &readings(3)).await.len(), 3);
    assert_eq!((listed(&app, "call_id=import-1").await, listed(&app, "call_id=import-2").await), (0, 3));
}

async fn a_token_is_for_one_caller_and_the_same_filters(app: TestApp) {
    send_as(app.founder(), "import-1", "", &readings(2)).await;
    let (_, token) = count(app.founder(), "call_id=import-1&device_id=dev-0").await;
    let same = "device_id=dev-0&call_id=import-1";
    let (colleague, foreigner) = (app.user(Role::Operator).await, app.foreigner(Role::Operator).await);
    let cut = &token[..token.len() - 1];
    for (caller, filters, token) in [
        (app.founder(), "call_id=import-1", token.as_str()),
        (app.founder(), "call_id=import-1&device_id=dev-1", &token),
        (app.founder(), "call_id=dev-0&device_id=import-1", &token),
        (app.founder(), same, cut),
        (app.founder(), same, ""),
        (app.founder(), same, "AAAA"),
        (&colleague, same, &token),
        (&foreigner, same, &token),
    ] {
        confirm(caller, filters, token).await.expect_violations("invalid-parameter", &["?confirm parameter"]);
    }
    assert_eq!(listed(&app, "").await, 2);
    assert_eq!(confirm(app.founder(), same, &token).await.expect(200).at("/deleted"), 1);
    // Nor does another server refuse it.
    let (_, token) = count(app.founder(), "call_id=import-1").await;
    let other = app.another().await;
    let founder = other.bearer(app.founder().token());
    assert_eq!(confirm(&founder, "call_id=import-1", &token).await.expect(200).at("/deleted"), 1);
}

async fn requests_that_came_or_changed_since_the_count_stay(app: TestApp) {
    let ids = send_as(app.founder(), "import-1", "", &readings(3)).await;
    let filters = "contract=device/1.1&status=pending";
    let (matched, token) = count(app.founder(), filters).await;
    assert_eq!(matched, 3);
    app.post(REQUESTS).json(&reading("dev-9")).await.expect(201);
    for status in ["failed", "pending"] {
        let path = format!("{REQUESTS}/{}/status", ids[1]);
        app.patch(&path).json(&json!({"status": status})).await.expect(200);
    }
    let done = confirm(app.founder(), filters, &token).await.expect(200).json();
    assert_eq!(done, json!({"matched": 3, "deleted": 2, "changed": 1, "remaining": 0}));
    app.get(&format!("{REQUESTS}/{}", ids[1])).await.expect(200);
    assert_eq!(listed(&app, filters).await, 2);
    let done = undo(app.founder(), filters).await;
    assert_eq!((&done["matched"], &done["deleted"]), (&json!(2), &json!(2)));
}

async fn a_call_deletes_at_most_its_limit(app: TestApp) {
    let mut documents = readings(250);
    documents.push(simple(json!({"a": 1})));
    send_as(app.founder(), "import-1", "", &documents).await;
    let (matched, token) = count(app.founder(), "call_id=import-1").await;
    assert_eq!(matched, 251);
    for (limit, expected) in [
        ("1", json!({"matched": 251, "deleted": 1, "changed": 0, "remaining": 250})),
        ("249", json!({"matched": 251, "deleted": 249, "changed": 0, "remaining": 1})),
        ("10000", json!({"matched": 251, "deleted": 1, "changed": 0, "remaining": 0})),
    ] {
        let filters = format!("call_id=import-1&limit={limit}");
        assert_eq!(confirm(app.founder(), &filters, &token).await.expect(200).json(), expected);
    }
    for limit in ["0", "10001", "many"] {
        let answer = app.delete(&format!("{REQUESTS}?call_id=import-1&limit={limit}")).await;
        answer.expect_violations("invalid-parameter", &["?limit parameter"]);
    }
}

async fn a_deletion_needs_a_filter(app: TestApp) {
    app.post(REQUESTS).json(&reading("dev-1")).await.expect(201);
    for query in ["", "?limit=1"] {
        let answer = app.delete(&format!("{REQUESTS}{query}")).await;
        answer.expect_violations("invalid-parameter", &["? missing_parameter"]);
    }
    let answer = app.delete(&format!("{REQUESTS}?device_id=&cursor=x")).await;
    answer.expect_violations("invalid-parameter", &["?cursor unknown_parameter", "?device_id parameter"]);
    let everything = undo(app.founder(), "created_to=9999-12-31T00:00:00Z").await;
    assert_eq!((&everything["deleted"], listed(&app, "").await), (&json!(1), 0));
    assert_eq!(undo(app.founder(), "device_id=nobody").await["matched"], 0);
}

async fn corrections_are_undone_with_or_without_what_they_correct(app: TestApp) {
    let humid = |device: &str, percent: u32| reading(device).with("/metrics/humidity_percent", percent);
    let first = send_as(app.founder(), "import-1", "", &[humid("dev-1", 41), humid("dev-2", 41)]).await;
    let query = "?on_conflict=correct";
    send_as(app.founder(), "import-2", query, &[humid("dev-1", 42), humid("dev-2", 42)]).await;
    assert_eq!(undo(app.founder(), "call_id=import-2").await["deleted"], 2);
    for id in &first {
        let request = app.get(&format!("{REQUESTS}/{id}")).await.expect(200);
        assert_eq!(
            (request.at("/corrected_by"), request.header("etag")),
            (Value::Null, Some("\"v3\"")),
            "current again"
        );
    }
    send_as(app.founder(), "import-3", query, &[humid("dev-1", 43), humid("dev-2", 43)]).await;
    let done = undo(app.founder(), "contract=device/1.1").await;
    assert_eq!(done, json!({"matched": 4, "deleted": 4, "changed": 0, "remaining": 0}));
    app.post(REQUESTS).json(&humid("dev-1", 44)).await.expect(201);
}

async fn batches_and_calls_are_filters_of_lists_and_exports(app: TestApp) {
    let of_batch = |device: &str, batch: &str| reading(device).with("/metadata/batch_id", batch);
    let documents = [of_batch("dev-1", "a b"), of_batch("dev-2", "c"), simple(json!({"a": 1}))];
    send_as(app.founder(), "import-1", "", &documents).await;
    let single = app.post(REQUESTS).json(&of_batch("dev-3", "c")).header("X-Request-Id", "call-2");
    single.await.expect(201);
    send_as(app.founder(), "call-3", "?call_id=import-3", &[of_batch("dev-4", "d")]).await;
    let wrong = send(app.founder(), &format!("{BATCH}?call_id=a%20b"), "application/x-ndjson", "{}");
    wrong.await.expect_violations("invalid-parameter", &["?call_id parameter"]);
    for (filters, expected) in [
        ("batch_id=c", 2),
        ("batch_id=a%20b", 1),
        ("batch_id=C", 0),
        ("batch_id=c&call_id=import-1", 1),
        ("call_id=import-1", 3),
        // A single request is known by its own id.
        ("call_id=call-2", 0),
        // The batch has another name than its call.
        ("call_id=import-3", 1),
        ("call_id=call-3", 0),
    ] {
        assert_eq!(listed(&app, filters).await, expected, "{filters}");
        let export = app.get(&format!("{REQUESTS}/export?{filters}")).await.expect(200);
        assert_eq!(export.body.split_inclusive(|byte| *byte == b'\n').count(), expected + 1, "{filters}");
        assert_eq!(count(app.founder(), filters).await.0, expected as u64, "{filters}");
    }
    assert_eq!(undo(app.founder(), "batch_id=c").await["deleted"], 2);
    assert_eq!(listed(&app, "").await, 3);
}

async fn a_deletion_gives_room_and_takes_back_what_waits_for_the_engine(app: TestApp) {
    let app = app.another_with(&[("--engine-url", "http://127.0.0.1:9"), ("--auto-send", "true")]).await;
    send_as(app.founder(), "import-1", "", &readings(3)).await;
    let overview = async || app.get("/v1/admin/deliveries?state=queued").await.expect(200).at("/items");
    assert_eq!(overview().await.as_array().unwrap().len(), 3);
    app.founder().put("/v1/admin/quotas").json(&json!({"stored_bytes": 1})).await.expect(200);
    app.post(REQUESTS).json(&reading("dev-9")).await.expect_problem(403, "quota-exceeded");
    assert_eq!(undo(app.founder(), "call_id=import-1").await["deleted"], 3);
    assert_eq!(overview().await, json!([]));
    app.founder().put("/v1/admin/quotas").json(&json!({"stored_bytes": 400})).await.expect(200);
    app.post(REQUESTS).json(&reading("dev-9")).await.expect(201);
}
