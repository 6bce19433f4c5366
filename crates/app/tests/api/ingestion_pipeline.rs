//! Real readings end to end: validated, normalised, stored, read back, with their events.

use std::fs;

use mass_domain::canonical;
use mass_domain::contracts::{Columns, DEVICE_1_1};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::support::process::{Server, Workplace, repository, workplaces_on_both};

workplaces_on_both! {
    a_valid_reading_is_stored_with_its_fingerprint_and_one_event,
    a_reading_without_pressure_is_refused_everywhere_and_stored_nowhere,
}

/// An answered request, with the bytes of its document.
#[derive(Deserialize)]
struct Stored {
    id: String,
    status: String,
    outcome: String,
    observed_at: String,
    device_id: String,
    fingerprint: String,
    document: Box<RawValue>,
}

#[derive(Deserialize)]
struct Normalised {
    normalized: Box<RawValue>,
    fingerprint: String,
}

/// The readings of a weather station as documents under `device/1.1`: those with pressure, and those without.
fn readings() -> (Vec<String>, Vec<String>) {
    let file = fs::File::open(repository().join("tests/data/import/weather-lga-2013.csv")).unwrap();
    let mut reader = csv::Reader::from_reader(file);
    let columns = Columns::new(DEVICE_1_1, reader.headers().unwrap()).unwrap();
    let documents = reader.records().map(|row| canonical::write_as_sent(&columns.document(row.unwrap().iter())));
    documents.partition(|document| document.contains("pressure_hpa"))
}

async fn send(server: &Server, token: &str, path: &str, document: &str) -> reqwest::Response {
    let request = server.post(path, &Value::Null).body(document.to_owned()).bearer_auth(token);
    request.send().await.unwrap()
}

/// Computes `sha256:` and the hash of a document in an answer.
fn fingerprint(document: &RawValue) -> String {
    let hash = Sha256::digest(document.get());
    format!("sha256:{}", hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

async fn a_valid_reading_is_stored_with_its_fingerprint_and_one_event(workplace: Workplace) {
    let server = workplace.serve();
    let token = server.token().await;
    for document in &readings().0[..20] {
        let verdict: Value = send(&server, &token, "/v1/mass-requests/validate", document).await.json().await.unwrap();
        assert_eq!((&verdict["valid"], &verdict["contract"]), (&Value::Bool(true), &"device/1.1".into()), "{verdict}");
        let normalised: Normalised =
            send(&server, &token, "/v1/mass-requests/normalize", document).await.json().await.unwrap();
        let stored = store(&server, &token, document).await;
        assert_eq!(stored.document.get(), normalised.normalized.get());
        assert_eq!(
            (&stored.fingerprint, fingerprint(&stored.document)),
            (&normalised.fingerprint, normalised.fingerprint.clone())
        );
        assert_eq!((stored.status.as_str(), stored.outcome.as_str()), ("pending", "accepted"));
        assert_as_read_back(&server, &token, &stored).await;
        assert_one_event(&server, &token, &stored).await;
    }
}

async fn store(server: &Server, token: &str, document: &str) -> Stored {
    let answer = send(server, token, "/v1/mass-requests", document).await;
    assert_eq!(answer.status(), 201, "{document}");
    answer.json().await.unwrap()
}

async fn assert_as_read_back(server: &Server, token: &str, stored: &Stored) {
    let path = format!("/v1/mass-requests/{}", stored.id);
    let read: Stored = server.get(&path).bearer_auth(token).send().await.unwrap().json().await.unwrap();
    assert_eq!((read.document.get(), &read.fingerprint), (stored.document.get(), &stored.fingerprint));
    let listed =
        format!("/v1/mass-requests?device_id={}&observed_from={}&limit=1", stored.device_id, stored.observed_at);
    assert_eq!(server.fetch(token, &listed).await["items"][0]["id"], stored.id);
}

async fn assert_one_event(server: &Server, token: &str, stored: &Stored) {
    let events = server.fetch(token, &format!("/v1/mass-requests/{}/events", stored.id)).await;
    let [event] = &events["items"].as_array().unwrap()[..] else { panic!("{events}") };
    assert_eq!((&event["type"], &event["fingerprint"]), (&"accepted".into(), &stored.fingerprint.as_str().into()));
    assert_eq!(event["actor"]["kind"], "user");
}

async fn a_reading_without_pressure_is_refused_everywhere_and_stored_nowhere(workplace: Workplace) {
    let server = workplace.serve();
    let token = server.token().await;
    for document in &readings().1[..10] {
        let verdict: Value = send(&server, &token, "/v1/mass-requests/validate", document).await.json().await.unwrap();
        assert_eq!(verdict["valid"], false);
        for path in ["/v1/mass-requests/normalize", "/v1/mass-requests"] {
            let answer = send(&server, &token, path, document).await;
            assert_eq!(answer.status(), 422, "{path}");
            let problem: Value = answer.json().await.unwrap();
            assert_eq!(problem["violations"], verdict["violations"]);
            assert_eq!(problem["violations"][0]["pointer"], "/metrics/pressure_hpa");
        }
    }
    assert_eq!(server.list(&token).await.len(), 0);
}

#[tokio::test]
async fn both_databases_give_the_same_documents_and_fingerprints() {
    let workplaces = [Workplace::sqlite(), Workplace::postgres()];
    let servers = workplaces.each_ref().map(|workplace| workplace.serve());
    let tokens = [servers[0].token().await, servers[1].token().await];
    for document in &readings().0[..20] {
        let here = store(&servers[0], &tokens[0], document).await;
        let there = store(&servers[1], &tokens[1], document).await;
        assert_eq!((here.fingerprint, here.document.get()), (there.fingerprint, there.document.get()));
    }
}
