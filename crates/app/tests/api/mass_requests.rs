//! MASS requests: sending, reading, and dry runs.

mod life;
mod listing;
mod log;

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::client::{Answer, Client};
use crate::support::documents::{Edit, hours_ago, reading, report, simple};
use crate::support::{TENANT, TestApp};

on_both!(
    a_new_request_is_answered_completely,
    a_request_is_read_as_it_was_answered,
    an_unchanged_request_is_answered_with_304,
    the_contract_decides_which_index_values_are_extracted,
    a_stored_document_is_canonical_and_hashes_to_its_fingerprint,
    a_dry_run_gives_the_same_result_as_the_real_call,
    a_dry_run_stores_nothing,
);

const REQUESTS: &str = "/v1/mass-requests";

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

/// Returns the document of an answer, byte for byte.
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

async fn a_new_request_is_answered_completely(app: TestApp) {
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
    for passing in ["id", "created_by", "created_at", "updated_at", "fingerprint", "warnings", "audit"] {
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

async fn an_unchanged_request_is_answered_with_304(app: TestApp) {
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

async fn the_contract_decides_which_index_values_are_extracted(app: TestApp) {
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

/// Documents that differ from their normal form.
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

/// Stores different documents concurrently; returns their ids.
async fn store_at_once(app: &TestApp, number: i64) -> Vec<String> {
    let documents: Vec<Value> = (0..number).map(|number| simple(json!({"n": number}))).collect();
    let answers = join_all(documents.iter().map(|document| send(app, document))).await;
    answers.iter().map(Answer::id).collect()
}

async fn a_dry_run_gives_the_same_result_as_the_real_call(app: TestApp) {
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
    assert_eq!(app.database().count("audit_events WHERE object_kind = 'mass_request'"), 1);
}
