//! Records that are accepted after all.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{KEPT, QUARANTINE, REQUESTS, assert_counted, get, id_of, keep, keep_one, kept, wrong};
use crate::batch::{BATCH, lines_of, send, send_ndjson};
use crate::support::TestApp;
use crate::support::client::{Answer, Call};
use crate::support::documents::{Edit, reading, report, simple};

on_both!(
    a_mended_document_is_accepted_and_leaves_the_quarantine,
    a_record_is_accepted_as_it_is_once_its_cause_is_gone,
    a_record_that_is_refused_again_stays,
    a_record_is_accepted_with_the_key_that_it_came_with,
    a_row_is_accepted_under_its_header,
    the_event_names_the_mapping_of_a_record_as_it_is,
    what_a_mapping_profile_reads_is_kept_as_a_document_or_as_its_text,
    concurrent_retries_store_a_record_once,
    a_retry_that_fails_midway_changes_nothing,
);

also_restricted!(
    a_mended_document_is_accepted_and_leaves_the_quarantine,
    a_record_is_accepted_as_it_is_once_its_cause_is_gone,
    concurrent_retries_store_a_record_once,
);

fn retry(app: &TestApp, id: &str) -> Call {
    app.post(&format!("{QUARANTINE}/{id}/retry"))
}

/// Returns the first event of a request.
async fn event(app: &TestApp, request: &Answer) -> Value {
    app.get(&format!("{REQUESTS}/{}/events", request.id())).await.expect(200).at("/items/0")
}

async fn a_mended_document_is_accepted_and_leaves_the_quarantine(app: TestApp) {
    let id = keep_one(app.founder(), &wrong("dev-1")).await;
    let stored = retry(&app, &id).json(&reading("dev-1")).await.expect(201);
    assert_eq!(stored.header("location"), Some(format!("{REQUESTS}/{}", stored.id()).as_str()));
    assert_eq!(stored.at("/document/metrics/humidity_percent"), 45);
    let event = event(&app, &stored).await;
    assert_eq!((&event["type"], &event["detail"]["quarantine"]), (&json!("accepted"), &json!(id)));
    get(app.founder(), &id).await.expect_problem(404, "not-found");
    retry(&app, &id).json(&reading("dev-1")).await.expect_problem(404, "not-found");
    assert_eq!(app.database().count("mass_requests"), 1);
    // What is stored already leaves the quarantine, too.
    let id = keep_one(app.founder(), &wrong("dev-1")).await;
    let known = retry(&app, &id).json(&reading("dev-1")).await.expect(200);
    assert_eq!((known.id(), known.text("/outcome")), (stored.id(), "duplicate".to_owned()));
    assert_eq!(kept(app.founder(), "").await, [""; 0]);
    assert_counted(&app);
}

async fn a_record_is_accepted_as_it_is_once_its_cause_is_gone(app: TestApp) {
    let first = app.post(REQUESTS).json(&reading("dev-1")).await.expect(201);
    let other = reading("dev-1").with("/metrics/humidity_percent", 50);
    let third = reading("dev-1").with("/metrics/humidity_percent", 51);
    let ids: Vec<String> = keep(app.founder(), &[other.clone(), third.clone()]).await.iter().map(id_of).collect();
    retry(&app, &ids[0]).await.expect_problem(409, "conflict");
    app.delete(&format!("{REQUESTS}/{}", first.id())).await.expect(204);
    let stored = retry(&app, &ids[0]).await.expect(201);
    assert_eq!(stored.at("/document/metrics/humidity_percent"), 50);
    retry(&app, &ids[1]).await.expect_problem(409, "conflict");
    let corrected = app.post(&format!("{QUARANTINE}/{}/retry?on_conflict=correct", ids[1])).await.expect(201);
    assert_eq!((corrected.text("/corrects"), corrected.text("/outcome")), (stored.id(), "correction".to_owned()));
    assert_eq!(app.database().count("quarantined_records"), 0);
}

async fn a_record_that_is_refused_again_stays(app: TestApp) {
    let id = keep_one(app.founder(), &wrong("dev-1")).await;
    let before = get(app.founder(), &id).await.expect(200).json();
    let again = retry(&app, &id).await.expect_problem(422, "contract-violation");
    assert_eq!(again.violations(), ["/metrics/humidity_percent range"]);
    let other = retry(&app, &id).json(&reading("dev-1").without("/timestamp")).await;
    other.expect_violations("contract-violation", &["/timestamp required"]);
    retry(&app, &id)
        .json(&report("r-1").with("/request/tenant_id", "other"))
        .await
        .expect_problem(403, "foreign-tenant");
    retry(&app, &id).body("{").await.expect_problem(400, "malformed-json");
    retry(&app, &id).bytes("{}").await.expect_problem(415, "unsupported-media-type");
    retry(&app, &id).json(&json!([])).await.expect_problem(422, "contract-violation");
    let wish = app.post(&format!("{QUARANTINE}/{id}/retry?on_conflict=no")).await;
    wish.expect_violations("invalid-parameter", &["?on_conflict parameter"]);
    app.founder().put("/v1/admin/quotas").json(&json!({"stored_bytes": 1})).await.expect(200);
    retry(&app, &id).json(&reading("dev-1")).await.expect_problem(403, "quota-exceeded");
    assert_eq!(get(app.founder(), &id).await.expect(200).json(), before);
    let text = keep_one_text(&app, "{\"a\"").await;
    retry(&app, &text).await.expect_problem(400, "malformed-json");
    assert_eq!(app.database().count("mass_requests"), 0);
    assert_counted(&app);
}

async fn keep_one_text(app: &TestApp, text: &str) -> String {
    app.post(&format!("{REQUESTS}{KEPT}")).body(text).await.expect(400).text("/quarantine_id")
}

async fn a_record_is_accepted_with_the_key_that_it_came_with(app: TestApp) {
    let empty = simple(json!({}));
    let single = app.post(&format!("{REQUESTS}{KEPT}")).json(&empty).key("k-1").await.expect(422);
    let stored = retry(&app, &single.text("/quarantine_id")).json(&simple(json!({"a": 1}))).await.expect(201);
    assert_eq!(stored.text("/idempotency_key"), "k-1");
    let replayed = app.post(REQUESTS).json(&simple(json!({"a": 1}))).key("k-1").await.expect(201);
    assert_eq!(replayed.header("idempotent-replayed"), Some("true"));
    // A key that was used for something else can be replaced.
    let reused = app.post(&format!("{REQUESTS}{KEPT}")).json(&simple(json!({"a": 2}))).key("k-1").await.expect(422);
    let id = reused.text("/quarantine_id");
    retry(&app, &id).await.expect_problem(422, "idempotency-key-reused");
    assert_eq!(retry(&app, &id).key("k-2").await.expect(201).text("/idempotency_key"), "k-2");
    // A key of the batch, and one of the record.
    let of_batch = send_ndjson(app.founder(), KEPT, std::slice::from_ref(&empty)).key("batch-1").await.expect(200);
    let id = id_of(&lines_of(&of_batch.body).0[0]);
    let stored = retry(&app, &id).json(&simple(json!({"a": 3}))).await.expect(201);
    assert_eq!(stored.text("/idempotency_key"), "batch-1:0");
    let keyed = json!({"key": "own-1", "document": {"payload": {"a": 1}, "b": 2}});
    let answer =
        send_ndjson(app.founder(), "?quarantine=true&keyed=true", std::slice::from_ref(&keyed)).await.expect(200);
    let id = id_of(&lines_of(&answer.body).0[0]);
    let found = get(app.founder(), &id).await.expect(200);
    assert_eq!((found.text("/form"), found.text("/record")), ("keyed".to_owned(), keyed.to_string()));
    retry(&app, &id).await.expect_violations("contract-violation", &["/b unknown_member"]);
    let stored = retry(&app, &id).json(&simple(json!({"a": 4}))).await.expect(201);
    assert_eq!(stored.text("/idempotency_key"), "own-1");
}

async fn a_row_is_accepted_under_its_header(app: TestApp) {
    let first = app.post(REQUESTS).json(&reading("dev-1")).await.expect(201);
    let time = reading("dev-1")["timestamp"].as_str().unwrap().to_owned();
    let header = "mass_version,timestamp,device.id,device.type,device.location,metrics.temperature_celsius,\
        metrics.humidity_percent,metrics.pressure_hpa,metadata.operator,metadata.batch_id";
    let row = format!("1.1,{time},dev-1,rack-sensor,\"Hall, 2\",22.5,50,1013.25,facility-team,2026-01");
    let body = format!("{header}\n{row}\n1,2\n");
    let path = format!("{BATCH}?contract=device/1.1&quarantine=true");
    let answer = send(app.founder(), &path, "text/csv", body).await.expect(200);
    let (lines, _) = lines_of(&answer.body);
    let found = get(app.founder(), &id_of(&lines[0])).await.expect(200);
    assert_eq!((found.text("/form"), found.text("/record")), ("csv".to_owned(), format!("{header}\r\n{row}")));
    assert_eq!((found.text("/contract"), found.at("/codes")), ("device/1.1".to_owned(), json!(["conflict"])));
    assert_eq!(get(app.founder(), &id_of(&lines[1])).await.expect(200).at("/codes"), json!(["cells"]));
    let corrected = app.post(&format!("{QUARANTINE}/{}/retry?on_conflict=correct", id_of(&lines[0]))).await.expect(201);
    assert_eq!(
        (corrected.text("/corrects"), corrected.at("/document/metrics/humidity_percent")),
        (first.id(), json!(50))
    );
    retry(&app, &id_of(&lines[1])).await.expect_problem(400, "malformed-json");
    retry(&app, &id_of(&lines[1])).json(&reading("dev-2")).await.expect(201);
}

async fn the_event_names_the_mapping_of_a_record_as_it_is(app: TestApp) {
    let first = app.post(REQUESTS).json(&reading("dev-1")).await.expect(201);
    let mapping = format!("site@sha256:{}", "0".repeat(64));
    let other = reading("dev-1").with("/metrics/humidity_percent", 50);
    let query = format!("?quarantine=true&mapped_by={mapping}");
    let answer = send_ndjson(app.founder(), &query, &[other, wrong("dev-2")]).await.expect(200);
    let ids: Vec<String> = lines_of(&answer.body).0.iter().map(id_of).collect();
    assert_eq!(get(app.founder(), &ids[0]).await.expect(200).text("/mapping"), mapping);
    app.delete(&format!("{REQUESTS}/{}", first.id())).await.expect(204);
    let as_it_is = retry(&app, &ids[0]).await.expect(201);
    assert_eq!(event(&app, &as_it_is).await["detail"]["mapping"]["name"], "site");
    let mended = retry(&app, &ids[1]).json(&reading("dev-2")).await.expect(201);
    assert_eq!(event(&app, &mended).await["detail"].get("mapping"), None);
}

async fn what_a_mapping_profile_reads_is_kept_as_a_document_or_as_its_text(app: TestApp) {
    let profile = json!({"contract": "simple/1.0", "members": {"a": "A"}});
    app.founder().put("/v1/mappings/site").json(&profile).await.expect(201);
    let mapped = async |rows: &str| {
        let path = format!("{BATCH}?map=site&quarantine=true");
        let answer = send(app.founder(), &path, "text/csv", rows.to_owned()).key("batch-1").await.expect(200);
        lines_of(&answer.body).0
    };
    mapped("A\nx\n").await;
    let lines = mapped("A\ny\nz,2,3\n").await;
    let document = get(app.founder(), &id_of(&lines[0])).await.expect(200);
    assert_eq!((document.text("/form"), document.at("/codes")), ("json".into(), json!(["idempotency_key_reused"])));
    assert_eq!(document.text("/record"), r#"{"payload":{"a":"y"}}"#);
    let stored = retry(&app, &id_of(&lines[0])).key("other").await.expect(201);
    assert_eq!(event(&app, &stored).await["detail"]["mapping"]["name"], "site");
    let text = get(app.founder(), &id_of(&lines[1])).await.expect(200);
    assert_eq!((text.text("/form"), text.text("/contract")), ("text".to_owned(), "simple/1.0".to_owned()));
    assert!(text.text("/record").contains("z,2,3"), "{}", text.text("/record"));
    retry(&app, &id_of(&lines[1])).await.expect_problem(400, "malformed-json");
    let mended = retry(&app, &id_of(&lines[1])).json(&simple(json!({"a": "z"}))).await.expect(201);
    assert_eq!(mended.text("/idempotency_key"), "batch-1:1");
}

async fn concurrent_retries_store_a_record_once(app: TestApp) {
    let id = keep_one(app.founder(), &simple(json!({}))).await;
    let other = app.another().await;
    let mended = simple(json!({"a": 1}));
    let calls = (0..8).map(|number| retry(if number % 2 == 0 { &app } else { &other }, &id).json(&mended));
    let answers = join_all(calls.map(IntoFuture::into_future)).await;
    let with = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((with(201), with(404)), (1, 7));
    assert_eq!(app.database().count("mass_requests"), 1);
    assert_counted(&app);
}

async fn a_retry_that_fails_midway_changes_nothing(app: TestApp) {
    let id = keep_one(app.founder(), &wrong("dev-1")).await;
    app.database().refuse_events();
    retry(&app, &id).json(&reading("dev-1")).await.expect_problem(500, "internal");
    assert_eq!(app.database().count("mass_requests"), 0);
    assert_eq!(kept(app.founder(), "").await, [id]);
    assert_counted(&app);
}
