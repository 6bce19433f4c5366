//! MASS requests: sent, read, listed, moved on, deleted, and tried without being stored.

use std::future::IntoFuture;

use futures_util::future::join_all;
use mass_domain::access::Role;
use mass_domain::time::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::client::{Answer, Client};
use crate::support::documents::{Edit, hours_ago, reading, report, simple};
use crate::support::{TENANT, TestApp, operations};

on_both!(
    a_new_request_is_answered_whole,
    a_request_is_read_as_it_was_answered,
    a_request_that_the_client_knows_is_not_sent_again,
    what_is_extracted_depends_on_the_contract,
    a_stored_document_is_canonical_and_hashes_to_its_fingerprint,
    a_list_shows_the_newest_first_without_documents,
    a_walk_over_the_pages_meets_each_row_once_whatever_is_stored_meanwhile,
    a_walk_goes_on_when_its_last_row_is_deleted,
    a_cursor_of_another_list_is_refused,
    each_filter_shows_exactly_what_fits,
    a_filter_by_the_time_of_storage_agrees_with_the_times_that_are_shown,
    each_move_is_allowed_or_refused_as_the_life_of_a_request_says,
    the_present_status_changes_nothing,
    a_move_that_says_nothing_sensible_is_refused,
    a_change_can_be_tied_to_the_version_that_the_client_knows,
    of_many_changes_to_one_version_one_is_made,
    of_many_deletions_one_is_made,
    a_deleted_request_is_gone_for_every_operation,
    a_deleted_request_is_not_listed,
    events_tell_who_did_what_and_in_which_trace,
    the_log_of_a_tenant_has_no_gaps,
    the_log_of_a_tenant_has_no_gaps_when_many_write_at_once,
    what_cannot_be_logged_is_not_stored,
    a_dry_run_says_what_the_real_call_says,
    a_dry_run_stores_nothing,
);

also_restricted!(the_log_of_a_tenant_has_no_gaps_when_many_write_at_once);

const REQUESTS: &str = "/v1/mass-requests";
const STATUSES: [&str; 5] = ["pending", "processing", "done", "failed", "cancelled"];

fn path(id: &str) -> String {
    format!("{REQUESTS}/{id}")
}

async fn send(app: &TestApp, document: &Value) -> Answer {
    app.post(REQUESTS).json(document).await.expect(201)
}

async fn move_to(app: &TestApp, id: &str, status: &str) -> Answer {
    app.patch(&format!("{REQUESTS}/{id}/status")).json(&json!({"status": status})).await
}

async fn events(app: &TestApp, id: &str) -> Vec<Value> {
    let events = app.get(&format!("{REQUESTS}/{id}/events")).await.expect(200).at("/items");
    events.as_array().unwrap().clone()
}

async fn listed(client: &Client, query: &str) -> Vec<String> {
    ids(&client.get(&format!("{REQUESTS}?{query}")).await.expect(200))
}

fn ids(page: &Answer) -> Vec<String> {
    page.at("/items").as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

fn member_names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The document as it stands in an answer, byte for byte.
fn raw_document(answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct WithDocument {
        document: Box<RawValue>,
    }
    serde_json::from_slice::<WithDocument>(&answer.body).unwrap().document.get().to_owned()
}

fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

async fn a_new_request_is_answered_whole(app: TestApp) {
    let sent = reading("dev-1").with("/metrics/pressure_hpa", 600);
    let created = app.post(REQUESTS).json(&sent).key("k-1").await.expect(201);
    assert_eq!(created.header("location"), Some(path(&created.id()).as_str()));
    assert_eq!(created.header("etag"), Some("\"v1\""));
    let mut request = created.json();
    let me = app.get("/v1/auth/me").await.at("/id");
    assert_eq!(request["created_by"], json!({"kind": "user", "id": me}));
    assert_eq!(request["updated_at"], request["created_at"]);
    assert_eq!(request["fingerprint"], hash(&raw_document(&created)));
    assert_eq!(request["warnings"][0]["code"], "unusual_pressure");
    for passing in ["id", "created_by", "created_at", "updated_at", "fingerprint", "warnings"] {
        request.as_object_mut().unwrap().remove(passing).unwrap();
    }
    let expected = json!({
        "tenant_id": TENANT, "contract": "device/1.1", "status": "pending", "outcome": "accepted",
        "correlation_id": null, "idempotency_key": "k-1", "site_id": null, "device_id": "dev-1",
        "observed_at": hours_ago(1), "document": sent, "corrects": null, "corrected_by": null,
    });
    assert_eq!(request, expected);
}

async fn a_request_is_read_as_it_was_answered(app: TestApp) {
    for document in [reading("dev-1"), report("r-1"), simple(json!({"a": "1"}))] {
        let created = send(&app, &document).await;
        let read = app.get(&path(&created.id())).await.expect(200);
        assert_eq!(read.body, created.body);
        assert_eq!(read.header("etag"), created.header("etag"));
    }
}

async fn a_request_that_the_client_knows_is_not_sent_again(app: TestApp) {
    let path = path(&send(&app, &reading("dev-1")).await.id());
    for known in ["\"v1\"", "W/\"v1\"", "\"v9\", \"v1\"", "*"] {
        let answer = app.get(&path).header("If-None-Match", known).await.expect(304);
        assert_eq!((answer.header("etag"), answer.body.len()), (Some("\"v1\""), 0));
        app.head(&path).header("If-None-Match", known).await.expect(304);
    }
    for unknown in ["\"v2\"", "\"\"", "v1"] {
        app.get(&path).header("If-None-Match", unknown).await.expect(200);
    }
}

async fn what_is_extracted_depends_on_the_contract(app: TestApp) {
    let report = send(&app, &report("r-1")).await.json();
    assert_eq!(report["site_id"], "tampa-1");
    assert_eq!(report["correlation_id"], "pilot-2026-01");
    assert_eq!(report["observed_at"], hours_ago(1));
    assert_eq!(report["idempotency_key"], "r-1");
    assert_eq!(report["device_id"], Value::Null);
    let simple = send(&app, &simple(json!({"siteId": "tampa-1", "deviceId": "dev-1"}))).await.json();
    for member in ["site_id", "device_id", "observed_at", "correlation_id", "idempotency_key"] {
        assert_eq!(simple[member], Value::Null, "{member}");
    }
}

/// Documents whose normal form has other bytes than they have.
fn unlike_their_normal_form() -> [Value; 3] {
    let instant = hours_ago(2).replace('Z', ".500+00:00");
    let report = report("r-1").with("/request/data_contract/data_classification", " internal ");
    [
        reading("dev-1").with("/timestamp", instant).with("/device/location", " Ha\u{308}lle 2\u{a0}"),
        report
            .with("/payload", json!({"fanSpeed": "4200", "DoorOpen": "FALSE"}))
            .with("/request/preferences", json!({})),
        simple(json!({"zipCode": "00420", "temp": "1e1", "é": [1.0, "-0"], "\u{1f600}": null, "ﬁ": {"b": 1, "a": 2}})),
    ]
}

async fn a_stored_document_is_canonical_and_hashes_to_its_fingerprint(app: TestApp) {
    for document in unlike_their_normal_form() {
        let created = send(&app, &document).await;
        let stored = raw_document(&app.get(&path(&created.id())).await);
        assert_eq!(hash(&stored), created.text("/fingerprint"));
        let normalized = app.post("/v1/mass-requests/normalize").body(stored.as_bytes()).await.expect(200);
        assert_eq!(normalized.text("/fingerprint"), created.text("/fingerprint"));
    }
}

#[tokio::test]
async fn both_databases_keep_the_same_bytes() {
    let (sqlite, postgres) = (TestApp::sqlite().await, TestApp::postgres().await);
    for document in unlike_their_normal_form() {
        let kept = [send(&sqlite, &document).await, send(&postgres, &document).await];
        assert_eq!(raw_document(&kept[0]), raw_document(&kept[1]));
        let read = [sqlite.get(&path(&kept[0].id())).await, postgres.get(&path(&kept[1].id())).await];
        assert_eq!(raw_document(&read[0]), raw_document(&kept[0]));
        assert_eq!(raw_document(&read[1]), raw_document(&kept[0]));
    }
}

async fn a_list_shows_the_newest_first_without_documents(app: TestApp) {
    let mut expected = Vec::new();
    for number in 0..3 {
        let mut request = send(&app, &simple(json!({"n": number}))).await.json();
        request.as_object_mut().unwrap().retain(|name, _| name != "document" && name != "warnings");
        expected.insert(0, request);
    }
    let page = app.get(REQUESTS).await.expect(200);
    assert_eq!(page.json(), json!({"items": expected, "next_cursor": null}));
    assert_eq!(page.header("link"), None);
}

/// Follows the links from a page on; the ids of all rows.
async fn walk(client: &Client, first: &str) -> Vec<String> {
    let mut seen = Vec::new();
    let mut next = Some(first.to_owned());
    while let Some(path) = next {
        let page = client.get(&path).await.expect(200);
        seen.extend(ids(&page));
        let link = page.header("link").map(|link| {
            let target = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
            assert!(target.ends_with(&format!("cursor={}", page.text("/next_cursor"))), "{target}");
            target.to_owned()
        });
        assert_eq!(link.is_none(), page.at("/next_cursor").is_null());
        next = link;
    }
    seen
}

async fn store_many(app: &TestApp, name: &str, number: usize) -> Vec<String> {
    let mut stored = Vec::new();
    for number in 0..number {
        stored.push(
            send(
                app,
                &reading("dev-1").with("/timestamp", hours_ago(2)).with("/device/id", format!("{name}-{number}")),
            )
            .await
            .id(),
        );
    }
    stored.reverse();
    stored
}

async fn a_walk_over_the_pages_meets_each_row_once_whatever_is_stored_meanwhile(app: TestApp) {
    let stored = store_many(&app, "before", 20).await;
    let (seen, _) = tokio::join!(walk(app.founder(), "/v1/mass-requests?limit=3"), store_many(&app, "meanwhile", 30));
    let (newer, seen) = seen.split_at(seen.len() - stored.len());
    assert_eq!(seen, stored);
    assert!(newer.iter().all(|id| *id > stored[0]));
    let all = walk(app.founder(), "/v1/mass-requests?contract=device%2F1.1&limit=7").await;
    assert_eq!(all, walk(app.founder(), "/v1/mass-requests?limit=500").await);
    assert_eq!(all.len(), 50);
}

async fn a_walk_goes_on_when_its_last_row_is_deleted(app: TestApp) {
    let stored = store_many(&app, "row", 4).await;
    let first = app.get("/v1/mass-requests?limit=2").await.expect(200);
    app.delete(&path(&stored[1])).await.expect(204);
    let second = listed(app.founder(), &format!("limit=2&cursor={}", first.text("/next_cursor"))).await;
    assert_eq!([ids(&first), second].concat(), stored);
}

async fn a_cursor_of_another_list_is_refused(app: TestApp) {
    store_many(&app, "row", 3).await;
    let cursor = app.get("/v1/mass-requests?limit=1").await.text("/next_cursor");
    let foreigner = app.foreigner(Role::Operator).await;
    for (client, query) in [
        (app.founder(), format!("cursor={cursor}&status=pending")),
        (app.founder(), format!("cursor={cursor}&device_id=row-1")),
        (app.founder(), format!("cursor={}", &cursor[1..])),
        (app.founder(), "cursor=0199d3a0-0000-7000-8000-000000000001".to_owned()),
        (&foreigner, format!("cursor={cursor}")),
    ] {
        let answer = client.get(&format!("{REQUESTS}?{query}")).await;
        answer.expect_violations("invalid-parameter", &["?cursor parameter"]);
    }
    assert_eq!(listed(app.founder(), &format!("cursor={cursor}&limit=500")).await.len(), 2);
}

async fn each_filter_shows_exactly_what_fits(app: TestApp) {
    let documents = [
        reading("dev-1").with("/timestamp", hours_ago(3)),
        reading("dev-2").with("/timestamp", hours_ago(2)),
        report("r-1"),
        simple(json!({"a": 1})),
    ];
    let mut stored = Vec::new();
    for document in &documents {
        stored.push(send(&app, document).await.json());
    }
    move_to(&app, stored[1]["id"].as_str().unwrap(), "processing").await.expect(200);
    let middle = stored[2]["created_at"].as_str().unwrap();
    let hour = hours_ago(2);
    for (query, expected) in [
        ("", &[3, 2, 1, 0][..]),
        ("status=pending", &[3, 2, 0]),
        ("status=processing", &[1]),
        ("status=done", &[]),
        ("contract=device/1.1", &[1, 0]),
        ("contract=simple%2F1.0", &[3]),
        ("site_id=tampa-1", &[2]),
        ("site_id=Tampa-1", &[]),
        ("device_id=dev-1", &[0]),
        ("device_id=dev-", &[]),
        ("device_id=dev%25", &[]),
        ("correlation_id=pilot-2026-01", &[2]),
        (&format!("created_from={middle}"), &[3, 2]),
        (&format!("created_to={middle}"), &[1, 0]),
        (&format!("created_from={middle}&created_to={middle}"), &[]),
        (&format!("observed_from={hour}"), &[2, 1]),
        (&format!("observed_to={hour}"), &[0]),
        (&format!("observed_from={}", hour.replace('Z', "%2B00:00")), &[2, 1]),
        (&format!("observed_from={hour}&device_id=dev-2&status=processing&contract=device/1.1"), &[1]),
        ("device_id=dev-1&site_id=tampa-1", &[]),
    ] {
        let expected: Vec<_> = expected.iter().map(|place| stored[*place]["id"].as_str().unwrap()).collect();
        assert_eq!(listed(app.founder(), query).await, expected, "{query}");
    }
}

async fn a_filter_by_the_time_of_storage_agrees_with_the_times_that_are_shown(app: TestApp) {
    store_at_once(&app, 30).await;
    let page = app.get(REQUESTS).await.at("/items");
    let rows: Vec<(Timestamp, &str)> = page
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["created_at"].as_str().unwrap().parse().unwrap(), item["id"].as_str().unwrap()))
        .collect();
    assert_eq!(rows.len(), 30);
    for (instant, _) in &rows {
        let ids = |fits: fn(&Timestamp, &Timestamp) -> bool| -> Vec<&str> {
            rows.iter().filter(|(at, _)| fits(at, instant)).map(|(_, id)| *id).collect()
        };
        assert_eq!(listed(app.founder(), &format!("created_from={instant}")).await, ids(Timestamp::ge));
        assert_eq!(listed(app.founder(), &format!("created_to={instant}")).await, ids(Timestamp::lt));
    }
}

/// Stores different documents, all at the same time; their ids.
async fn store_at_once(app: &TestApp, number: i64) -> Vec<String> {
    let documents: Vec<Value> = (0..number).map(|number| simple(json!({"n": number}))).collect();
    let answers = join_all(documents.iter().map(|document| send(app, document))).await;
    answers.iter().map(Answer::id).collect()
}

/// The moves that lead from `pending` to a status.
fn way_to(status: &str) -> &'static [&'static str] {
    match status {
        "pending" => &[],
        "processing" => &["processing"],
        "done" => &["processing", "done"],
        "failed" => &["failed"],
        "cancelled" => &["cancelled"],
        other => panic!("{other} is no status"),
    }
}

fn is_allowed(from: &str, to: &str) -> bool {
    match from {
        "pending" => ["processing", "failed", "cancelled"].contains(&to),
        "processing" => ["done", "failed", "cancelled"].contains(&to),
        "failed" => to == "pending",
        _ => false,
    }
}

async fn each_move_is_allowed_or_refused_as_the_life_of_a_request_says(app: TestApp) {
    for from in STATUSES {
        for to in STATUSES.into_iter().filter(|to| *to != from) {
            let id = send(&app, &simple(json!({"from": from, "to": to}))).await.id();
            for step in way_to(from) {
                move_to(&app, &id, step).await.expect(200);
            }
            let before = app.get(&path(&id)).await;
            let answer = move_to(&app, &id, to).await;
            if is_allowed(from, to) {
                let answer = answer.expect(200);
                assert_moved(&answer, &before, to);
                assert_eq!(app.get(&path(&id)).await.body, answer.body);
            } else {
                let answer = answer.expect_problem(409, "transition-not-allowed");
                assert_eq!((answer.text("/from"), answer.text("/to")), (from.to_owned(), to.to_owned()));
                assert_eq!(app.get(&path(&id)).await.body, before.body);
            }
        }
    }
}

fn assert_moved(answer: &Answer, before: &Answer, to: &str) {
    assert_ne!(answer.header("etag"), before.header("etag"));
    let expected = before.json().with("/status", to).with("/updated_at", answer.at("/updated_at"));
    assert_eq!(answer.json(), expected);
}

async fn the_present_status_changes_nothing(app: TestApp) {
    for status in STATUSES {
        let id = send(&app, &simple(json!({"status": status}))).await.id();
        for step in way_to(status) {
            move_to(&app, &id, step).await.expect(200);
        }
        let before = (app.get(&path(&id)).await, events(&app, &id).await);
        let answer = move_to(&app, &id, status).await.expect(200);
        assert_eq!((&answer.body, answer.header("etag")), (&before.0.body, before.0.header("etag")));
        assert_eq!(events(&app, &id).await, before.1);
    }
}

async fn a_move_that_says_nothing_sensible_is_refused(app: TestApp) {
    let id = send(&app, &reading("dev-1")).await.id();
    for (body, violation) in [
        (json!({"status": "asleep"}), "/status shape"),
        (json!({"status": null}), "/status shape"),
        (json!({"status": "failed", "reason": ""}), "/reason rule"),
        (json!({"status": "failed", "reason": "x".repeat(501)}), "/reason rule"),
        (json!({"status": "failed", "reason": 1}), "/reason shape"),
        (json!({"status": "failed", "reasons": "x"}), "/reasons shape"),
    ] {
        let answer = app.patch(&format!("{REQUESTS}/{id}/status")).json(&body).await;
        answer.expect_violations("contract-violation", &[violation]);
    }
    let long = json!({"status": "failed", "reason": "ä".repeat(500)});
    app.patch(&format!("{REQUESTS}/{id}/status")).json(&long).await.expect(200);
}

async fn a_change_can_be_tied_to_the_version_that_the_client_knows(app: TestApp) {
    let id = send(&app, &reading("dev-1")).await.id();
    let tied = |status: &str, tag: &str| {
        app.patch(&format!("{REQUESTS}/{id}/status")).json(&json!({"status": status})).header("If-Match", tag)
    };
    for stale in ["\"v2\"", "W/\"v1\"", "v1", ""] {
        tied("processing", stale).await.expect_problem(412, "precondition-failed");
    }
    let moved = tied("processing", "\"v1\"").await.expect(200);
    assert_eq!(moved.header("etag"), Some("\"v2\""));
    tied("done", "\"v1\"").await.expect_problem(412, "precondition-failed");
    tied("pending", "\"v1\"").await.expect_problem(412, "precondition-failed");
    tied("done", "*").await.expect(200);
    app.delete(&path(&id)).header("If-Match", "\"v2\"").await.expect_problem(412, "precondition-failed");
    app.delete(&path(&id)).header("If-Match", "\"v2\", \"v3\"").await.expect(204);
    app.delete(&path(&id)).header("If-Match", "\"v3\"").await.expect_problem(410, "gone");
}

async fn of_many_changes_to_one_version_one_is_made(app: TestApp) {
    let id = send(&app, &reading("dev-1")).await.id();
    let change = json!({"status": "processing"});
    let send =
        |_| app.patch(&format!("{REQUESTS}/{id}/status")).json(&change).header("If-Match", "\"v1\"").into_future();
    assert_eq!(statuses(join_all((0..20).map(send)).await), [vec![200], vec![412; 19]].concat());
    assert_eq!(events(&app, &id).await.len(), 2);
}

async fn of_many_deletions_one_is_made(app: TestApp) {
    let id = send(&app, &reading("dev-1")).await.id();
    let answers = join_all((0..20).map(|_| app.delete(&path(&id)).into_future())).await;
    assert_eq!(statuses(answers), [vec![204], vec![410; 19]].concat());
}

fn statuses(answers: Vec<Answer>) -> Vec<u16> {
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    statuses
}

async fn a_deleted_request_is_gone_for_every_operation(app: TestApp) {
    let id = send(&app, &reading("dev-1")).await.id();
    let answer = app.delete(&path(&id)).await.expect(204);
    assert_eq!(answer.body.len(), 0);
    for operation in operations::on_a_request() {
        app.founder().operation(&operation, &id).await.expect_problem(410, "gone");
    }
    app.get(&path(&id)).header("If-None-Match", "*").await.expect(410);
}

async fn a_deleted_request_is_not_listed(app: TestApp) {
    let (first, second) = (send(&app, &reading("dev-1")).await.id(), send(&app, &reading("dev-2")).await.id());
    app.delete(&path(&first)).await.expect(204);
    for query in ["", "contract=device/1.1", "status=pending", &format!("observed_from={}", hours_ago(1))] {
        assert_eq!(listed(app.founder(), query).await, [second.as_str()], "{query}");
    }
    assert_eq!(listed(app.founder(), "device_id=dev-1").await, Vec::<String>::new());
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

async fn events_tell_who_did_what_and_in_which_trace(app: TestApp) {
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let create = app.post(REQUESTS).json(&reading("dev-1")).header("traceparent", &traceparent);
    let created = create.header("X-Request-Id", "create-1").await.expect(201);
    let operator = app.user(Role::Operator).await;
    let change = json!({"status": "failed", "reason": "The engine is off."});
    let moved = operator.patch(&format!("{}/status", path(&created.id()))).json(&change).await.expect(200);
    let events = events(&app, &created.id()).await;
    let fingerprint = created.at("/fingerprint");
    assert_eq!(
        events[0],
        json!({
            "sequence": 1, "type": "accepted", "at": created.at("/created_at"), "actor": created.at("/created_by"),
            "trace_id": TRACE, "request_id": "create-1", "contract": "device/1.1", "fingerprint": fingerprint,
            "detail": {},
        })
    );
    assert_eq!(
        events[1],
        json!({
            "sequence": 2, "type": "status_changed", "at": moved.at("/updated_at"),
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
        // None of these is an event of this tenant.
        app.post(REQUESTS).json(&reading(&format!("dev-{number}"))).await.expect(200);
        app.post(REQUESTS).json(&reading(&format!("dev-{number}")).with("/metadata/notes", "x")).await.expect(409);
        app.post(REQUESTS).body("{").await.expect(400);
        move_to(&app, &id, "done").await.expect(409);
        foreigner.post(REQUESTS).json(&reading(&format!("dev-{number}"))).await.expect(201);
        move_to(&app, &id, "cancelled").await.expect(200);
        sent.push(id);
    }
    assert_eq!(sequences(&app, &sent).await, (1..=8).collect::<Vec<i64>>());
}

/// The places in the log of all that happened to these requests.
async fn sequences(app: &TestApp, ids: &[String]) -> Vec<i64> {
    let mut sequences = Vec::new();
    for id in ids {
        sequences.extend(events(app, id).await.iter().map(|event| event["sequence"].as_i64().unwrap()));
    }
    sequences.sort_unstable();
    sequences
}

async fn the_log_of_a_tenant_has_no_gaps_when_many_write_at_once(app: TestApp) {
    let stored = store_at_once(&app, 30).await;
    let moves = stored.iter().map(|id| move_to(&app, id, "processing"));
    let (_, more) = tokio::join!(join_all(moves), store_at_once(&app, 30));
    assert_eq!(sequences(&app, &[stored, more].concat()).await, (1..=90).collect::<Vec<i64>>());
}

#[tokio::test]
async fn two_servers_on_one_postgres_keep_one_log_without_gaps() {
    let first = TestApp::postgres().await;
    let second = first.another().await;
    let (here, there) = tokio::join!(store_at_once(&first, 30), store_at_once(&second, 30));
    assert_eq!(sequences(&second, &[here, there].concat()).await, (1..=60).collect::<Vec<i64>>());
}

async fn what_cannot_be_logged_is_not_stored(app: TestApp) {
    let id = send(&app, &reading("dev-1")).await.id();
    app.database().refuse_events();
    app.post(REQUESTS).json(&reading("dev-2")).await.expect_problem(500, "internal");
    move_to(&app, &id, "cancelled").await.expect_problem(500, "internal");
    app.delete(&path(&id)).await.expect_problem(500, "internal");
    assert_eq!(listed(app.founder(), "status=pending").await, [id]);
}

async fn a_dry_run_says_what_the_real_call_says(app: TestApp) {
    let mut odd = reading("dev-1").with("/metrics/temperature_celsius", 140).with("/metrics/pressure_hpa", 600);
    let valid = [odd.clone(), report("r-1"), simple(json!({"fanSpeed": "4200"}))];
    for document in &valid {
        let verdict = app.post("/v1/mass-requests/validate").json(document).await.expect(200).json();
        let normalized = app.post("/v1/mass-requests/normalize").json(document).await.expect(200).json();
        let created = send(&app, document).await.json();
        assert_eq!(
            verdict,
            json!({"valid": true, "contract": created["contract"], "violations": [], "warnings": created["warnings"]})
        );
        assert_eq!(member_names(&normalized), ["contract", "fingerprint", "normalized", "warnings"]);
        for (dry, real) in [
            ("contract", "contract"),
            ("fingerprint", "fingerprint"),
            ("normalized", "document"),
            ("warnings", "warnings"),
        ] {
            assert_eq!(normalized[dry], created[real]);
        }
    }
    odd = odd.with("/metrics/humidity_percent", 140).with("/device/id", "no id");
    for document in [odd, json!({}), simple(json!({})), report("r-1").with("/schema_version", 2)] {
        let verdict = app.post("/v1/mass-requests/validate").json(&document).await.expect(200).json();
        for door in [REQUESTS, "/v1/mass-requests/normalize"] {
            let refused = app.post(door).json(&document).await.expect_problem(422, "contract-violation").json();
            assert_eq!(verdict["violations"], refused["violations"]);
        }
        assert_eq!(verdict["valid"], false);
    }
}

async fn a_dry_run_stores_nothing(app: TestApp) {
    for door in ["/v1/mass-requests/validate", "/v1/mass-requests/normalize"] {
        for document in [reading("dev-1"), report("r-1")] {
            app.post(door).json(&document).await.expect(200);
        }
    }
    assert_eq!(listed(app.founder(), "").await, Vec::<String>::new());
    let created = send(&app, &report("r-1")).await;
    assert_eq!(created.header("idempotent-replayed"), None);
    assert_eq!(events(&app, &created.id()).await[0]["sequence"], 1);
}
