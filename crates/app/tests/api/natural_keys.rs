//! Documents with the same natural key: duplicates, conflicts, corrections.

use futures_util::future::join_all;
use mass_domain::access::Role;
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client::Answer;
use crate::support::documents::{Edit, hours_ago, reading, report, simple};

on_both!(
    the_same_document_again_is_answered_with_the_first_request,
    the_same_document_in_another_spelling_is_a_duplicate,
    another_document_with_the_same_natural_key_is_a_conflict,
    the_request_id_is_the_natural_key_of_a_report,
    free_data_is_never_a_duplicate,
    natural_keys_include_instant_device_contract_and_tenant,
    the_versions_of_a_contract_share_the_natural_key,
    a_correction_supersedes_the_current_version,
    a_correction_can_be_corrected_and_every_version_is_kept,
    a_correction_of_nothing_is_simply_accepted,
    a_deleted_request_frees_its_key,
    deleting_a_correction_reinstates_the_version_before,
    deleting_a_superseded_version_keeps_the_newest,
    a_hundred_clients_that_send_one_reading_store_it_once,
    concurrent_corrections_form_a_chain,
);

also_restricted!(natural_keys_include_instant_device_contract_and_tenant);

const REQUESTS: &str = "/v1/mass-requests";

async fn send(app: &TestApp, document: &Value) -> Answer {
    app.post(REQUESTS).json(document).await
}

async fn correct(app: &TestApp, document: &Value) -> Answer {
    app.post("/v1/mass-requests?on_conflict=correct").json(document).await
}

async fn fetch(app: &TestApp, id: &str) -> Value {
    app.get(&format!("{REQUESTS}/{id}")).await.expect(200).json()
}

async fn delete(app: &TestApp, id: &str) {
    app.delete(&format!("{REQUESTS}/{id}")).await.expect(204);
}

/// Returns the actions on a request, in order.
async fn history(app: &TestApp, id: &str) -> Vec<String> {
    let events = app.get(&format!("{REQUESTS}/{id}/events")).await.expect(200).at("/items");
    events.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

/// A version of one reading.
fn version(celsius: i64) -> Value {
    reading("dev-1").with("/metrics/temperature_celsius", celsius)
}

async fn the_same_document_again_is_answered_with_the_first_request(app: TestApp) {
    let first = send(&app, &version(20)).await.expect(201);
    app.patch(&format!("{REQUESTS}/{}/status", first.id())).json(&json!({"status": "processing"})).await.expect(200);
    let present = fetch(&app, &first.id()).await;
    for answer in [send(&app, &version(20)).await, correct(&app, &version(20)).await] {
        let answer = answer.expect(200);
        assert_eq!(answer.json(), present.clone().with("/outcome", "duplicate"));
        assert_eq!(answer.header("location"), first.header("location"));
        assert_eq!(answer.header("etag"), Some("\"v2\""));
        assert_eq!(answer.header("idempotent-replayed"), None);
    }
    assert_eq!(history(&app, &first.id()).await, ["accepted", "status_changed"]);
}

async fn the_same_document_in_another_spelling_is_a_duplicate(app: TestApp) {
    let first = send(&app, &version(20)).await.expect(201);
    let instant = hours_ago(1).replace('Z', ".000+00:00");
    let spelled = version(20).with("/metrics/temperature_celsius", "20.0").with("/timestamp", instant);
    let again = send(&app, &spelled.with("/device/location", "  Hall 2 ")).await.expect(200);
    assert_eq!(again.id(), first.id());
}

async fn another_document_with_the_same_natural_key_is_a_conflict(app: TestApp) {
    let first = send(&app, &version(20)).await.expect(201);
    let sent = app.post("/v1/mass-requests/normalize").json(&version(21)).await.text("/fingerprint");
    for query in ["", "?on_conflict=refuse"] {
        let answer = app.post(&format!("{REQUESTS}{query}")).json(&version(21)).await;
        let answer = answer.expect_problem(409, "conflict").json();
        assert_eq!(answer["first_id"], first.id());
        assert_eq!(answer["stored_fingerprint"], first.text("/fingerprint"));
        assert_eq!(answer["sent_fingerprint"], sent);
    }
    assert_eq!(fetch(&app, &first.id()).await, first.json());
}

async fn the_request_id_is_the_natural_key_of_a_report(app: TestApp) {
    let first = send(&app, &report("r-1")).await.expect(201);
    let other_key = report("r-1").with("/request/idempotency_key", "k-2");
    let conflict = send(&app, &other_key).await.expect_problem(409, "conflict");
    assert_eq!(conflict.text("/first_id"), first.id());
    assert_eq!(correct(&app, &other_key).await.expect(201).text("/corrects"), first.id());
    send(&app, &report("r-2")).await.expect(201);
}

async fn free_data_is_never_a_duplicate(app: TestApp) {
    let document = simple(json!({"a": 1}));
    let (first, second) = (send(&app, &document).await.expect(201), correct(&app, &document).await.expect(201));
    assert_ne!(first.id(), second.id());
    assert_eq!(second.at("/corrects"), Value::Null);
}

async fn natural_keys_include_instant_device_contract_and_tenant(app: TestApp) {
    send(&app, &reading("r-1")).await.expect(201);
    send(&app, &reading("R-1")).await.expect(201);
    send(&app, &reading("r-1").with("/timestamp", hours_ago(2))).await.expect(201);
    send(&app, &report("r-1")).await.expect(201);
    let foreigner = app.foreigner(Role::Operator).await;
    foreigner.post(REQUESTS).json(&reading("r-1").with("/metadata/notes", "Ours.")).await.expect(201);
}

/// The same reading, under the contract of any metrics.
fn under_2_0(document: &Value) -> Value {
    document.clone().with("/mass_version", "2.0")
}

async fn the_versions_of_a_contract_share_the_natural_key(app: TestApp) {
    let first = send(&app, &version(20)).await.expect(201);
    let conflict = send(&app, &under_2_0(&version(20))).await.expect(409);
    assert_eq!(conflict.text("/first_id"), first.id());
    let second = correct(&app, &under_2_0(&version(20))).await.expect(201);
    assert_eq!((second.text("/contract"), second.text("/corrects")), ("device/2.0".to_owned(), first.id()));
    send(&app, &version(21)).await.expect(409);
    let third = correct(&app, &version(21)).await.expect(201);
    assert_eq!((third.text("/contract"), third.text("/corrects")), ("device/1.1".to_owned(), second.id()));
    let other = send(&app, &under_2_0(&reading("dev-2"))).await.expect(201);
    send(&app, &reading("dev-2")).await.expect(409);
    assert_eq!(fetch(&app, &other.id()).await["outcome"], "accepted");
}

async fn a_correction_supersedes_the_current_version(app: TestApp) {
    let first = send(&app, &version(20)).await.expect(201);
    let second = correct(&app, &version(21)).await.expect(201);
    assert_eq!((second.text("/outcome"), second.text("/corrects")), ("correction".to_owned(), first.id()));
    let older = app.get(&format!("{REQUESTS}/{}", first.id())).await;
    assert_eq!(older.header("etag"), Some("\"v2\""));
    assert_eq!((older.text("/corrected_by"), older.at("/document")), (second.id(), first.at("/document")));
    assert_eq!(older.text("/outcome"), "accepted");
    assert_eq!(history(&app, &first.id()).await, ["accepted", "corrected"]);
    assert_eq!(history(&app, &second.id()).await, ["accepted"]);
}

async fn a_correction_can_be_corrected_and_every_version_is_kept(app: TestApp) {
    let mut ids = vec![send(&app, &version(20)).await.expect(201).id()];
    for celsius in [21, 22] {
        let next = correct(&app, &version(celsius)).await.expect(201);
        assert_eq!(next.text("/corrects"), *ids.last().unwrap());
        ids.push(next.id());
    }
    for (celsius, id) in [20, 21, 22].into_iter().zip(&ids) {
        for answer in [send(&app, &version(celsius)).await, correct(&app, &version(celsius)).await] {
            assert_eq!(answer.expect(200).id(), *id);
        }
    }
    let conflict = send(&app, &version(23)).await.expect_problem(409, "conflict");
    assert_eq!(conflict.text("/first_id"), ids[2]);
}

async fn a_correction_of_nothing_is_simply_accepted(app: TestApp) {
    let answer = correct(&app, &version(20)).await.expect(201);
    assert_eq!((answer.text("/outcome"), answer.at("/corrects")), ("accepted".to_owned(), Value::Null));
}

async fn a_deleted_request_frees_its_key(app: TestApp) {
    let first = send(&app, &version(20)).await.expect(201);
    delete(&app, &first.id()).await;
    let again = send(&app, &version(20)).await.expect(201);
    assert_ne!(again.id(), first.id());
    assert_eq!(again.text("/outcome"), "accepted");
    delete(&app, &again.id()).await;
    send(&app, &version(21)).await.expect(201);
}

async fn deleting_a_correction_reinstates_the_version_before(app: TestApp) {
    let first = send(&app, &version(20)).await.expect(201);
    let second = correct(&app, &version(21)).await.expect(201);
    delete(&app, &second.id()).await;
    assert_eq!(fetch(&app, &first.id()).await["corrected_by"], Value::Null);
    assert_eq!(history(&app, &first.id()).await, ["accepted", "corrected", "reinstated"]);
    let conflict = send(&app, &version(22)).await.expect_problem(409, "conflict");
    assert_eq!(conflict.text("/first_id"), first.id());
    assert_eq!(correct(&app, &version(21)).await.expect(201).text("/corrects"), first.id());
}

async fn deleting_a_superseded_version_keeps_the_newest(app: TestApp) {
    let first = send(&app, &version(20)).await.expect(201);
    let second = correct(&app, &version(21)).await.expect(201);
    let third = correct(&app, &version(22)).await.expect(201);
    delete(&app, &second.id()).await;
    assert_eq!(send(&app, &version(21)).await.expect_problem(409, "conflict").text("/first_id"), third.id());
    delete(&app, &third.id()).await;
    assert_eq!(fetch(&app, &first.id()).await["corrected_by"], Value::Null);
    assert_eq!(send(&app, &version(21)).await.expect_problem(409, "conflict").text("/first_id"), first.id());
}

async fn a_hundred_clients_that_send_one_reading_store_it_once(app: TestApp) {
    let document = version(20);
    let answers = join_all((0..100).map(|_| send(&app, &document))).await;
    assert_one_stored(&answers);
    let items = app.get(REQUESTS).await.at("/items");
    assert_eq!(items.as_array().unwrap().len(), 1);
}

fn assert_one_stored(answers: &[Answer]) {
    let stored: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(stored.len(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!((answer.status, answer.text("/outcome")), (200, "duplicate".to_owned()));
        assert_eq!(answer.id(), stored[0].id());
    }
}

#[tokio::test]
async fn clients_of_two_servers_store_one_reading_once() {
    let first = TestApp::postgres().await;
    let second = first.another().await;
    let document = version(20);
    let answers = join_all([&first, &second].repeat(25).into_iter().map(|app| send(app, &document))).await;
    assert_one_stored(&answers);
}

async fn concurrent_corrections_form_a_chain(app: TestApp) {
    send(&app, &version(0)).await.expect(201);
    let versions: Vec<Value> = (1..=20).map(version).collect();
    let answers = join_all(versions.iter().map(|version| correct(&app, version))).await;
    let mut corrected: Vec<_> = answers.into_iter().map(|answer| answer.expect(201).text("/corrects")).collect();
    corrected.sort_unstable();
    corrected.dedup();
    assert_eq!(corrected.len(), 20);
    let list = app.get("/v1/mass-requests?device_id=dev-1").await.at("/items");
    let standing = list.as_array().unwrap().iter().filter(|item| item["corrected_by"].is_null());
    assert_eq!(standing.count(), 1);
}
