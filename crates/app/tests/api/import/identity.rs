//! `mass import`: records without a natural key are known again.

use serde_json::{Value, json};

use super::{assert_ended, import};
use crate::support::process::{Server, Workplace, workplaces_on_both};

workplaces_on_both! {
    a_record_without_a_natural_key_is_known_again_wherever_it_comes_from,
    deleted_records_can_be_imported_again,
}

const SIMPLE: [&str; 2] = ["--contract", "simple/1.0"];

/// A grown file, a copy, and the same file sent to a server have the records that are stored already.
async fn a_record_without_a_natural_key_is_known_again_wherever_it_comes_from(workplace: Workplace) {
    workplace.write("data.csv", "a\n1\n1\n2\n");
    let first = import(&workplace, "data.csv", &SIMPLE);
    assert_ended(&first, 0, "3 read, 3 accepted, 0 duplicates, 0 refused\n");
    workplace.write("grown.csv", "a\n1\n1\n2\n3\n1\n");
    let grown = import(&workplace, "grown.csv", &SIMPLE);
    assert_ended(&grown, 0, "5 read, 2 accepted, 3 duplicates, 0 refused\n");
    workplace.write("other.ndjson", "{\"a\":\"2\"}\n{\"payload\":{\"a\":\"1\"}}\n{\"a\":\"4\"}\n");
    let other = import(&workplace, "other.ndjson", &SIMPLE);
    assert_ended(&other, 0, "3 read, 1 accepted, 2 duplicates, 0 refused\n");

    let server = workplace.serve();
    let token = server.token().await;
    let workplace = workplace.with("MASS_TOKEN", &token);
    let there = [&SIMPLE[..], &["--url", &server.url]].concat();
    assert_ended(&import(&workplace, "grown.csv", &there), 0, "5 read, 0 accepted, 5 duplicates, 0 refused\n");
    workplace.write("there.csv", "a\n5\n1\n5\n");
    assert_ended(&import(&workplace, "there.csv", &there), 0, "3 read, 2 accepted, 1 duplicates, 0 refused\n");
    assert_ended(&import(&workplace, "there.csv", &SIMPLE), 0, "3 read, 0 accepted, 3 duplicates, 0 refused\n");
    assert_eq!(server.list(&token).await.len(), 8);
}

async fn deleted_records_can_be_imported_again(workplace: Workplace) {
    workplace.write("data.csv", "a\n1\n1\n2\n");
    assert_ended(&import(&workplace, "data.csv", &SIMPLE), 0, "3 read, 3 accepted, 0 duplicates, 0 refused\n");
    let server = workplace.serve();
    let token = server.token().await;
    let workplace = workplace.with("MASS_TOKEN", &token);
    let there = [&SIMPLE[..], &["--url", &server.url]].concat();
    // Twice each, because the second deletion meets a key that has been followed by another.
    for arguments in [&SIMPLE[..], &there, &SIMPLE, &there] {
        delete_all(&server, &token).await;
        let again = import(&workplace, "data.csv", arguments);
        assert_ended(&again, 0, "3 read, 3 accepted, 0 duplicates, 0 refused\n");
        let more = import(&workplace, "data.csv", arguments);
        assert_ended(&more, 0, "3 read, 0 accepted, 3 duplicates, 0 refused\n");
    }
    let refusals =
        workplace.lines("SELECT CAST(count(*) AS TEXT) AS line FROM audit_events WHERE action = 'payload_refused'");
    assert_eq!(refusals, ["0"], "nothing was refused");
}

async fn delete_all(server: &Server, token: &str) {
    for request in server.list(token).await {
        let path = format!("/v1/mass-requests/{}", request["id"].as_str().unwrap());
        let deleted = server.request(reqwest::Method::DELETE, &path).bearer_auth(token).send().await.unwrap();
        assert_eq!(deleted.status(), 204);
    }
}

/// The results of a batch with keys beside the records.
#[tokio::test]
async fn records_of_a_batch_may_have_keys_of_their_own() {
    let workplace = Workplace::sqlite();
    let server = workplace.serve();
    let token = server.token().await;
    let send = async |body: &str, query: &str| {
        let request = server.request(reqwest::Method::POST, &format!("/v1/mass-requests/batch?keyed=true{query}"));
        let media_type = if query.contains("csv") { "text/csv" } else { "application/x-ndjson" };
        let request = request.bearer_auth(&token).header("Content-Type", media_type).body(body.to_owned());
        let answer = request.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    let outcomes = |text: &str| -> Vec<Value> {
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["outcome"].is_string()).map(|line| line["outcome"].clone()).collect()
    };
    let document = r#"{"payload":{"a":1}}"#;
    let body = [
        format!(r#"{{"key":"k","document":{document}}}"#),
        format!(r#"{{"key":"k","document":{document}}}"#),
        format!(r#"{{"document":{document}}}"#),
        r#"{"key":"k","document":{"payload":{"a":2}}}"#.to_owned(),
        document.to_owned(),
        format!(r#"{{"key":1,"document":{document}}}"#),
        "[]".to_owned(),
        r#"{"key":"k"}"#.to_owned(),
    ];
    let (status, text) = send(&body.join("\n"), "").await;
    assert_eq!(status, 200, "{text}");
    let expected = ["accepted", "duplicate", "accepted", "conflict", "rejected", "rejected", "rejected", "rejected"];
    assert_eq!(json!(outcomes(&text)), json!(expected), "{text}");
    assert_eq!(send("a\n1\n", "&contract=simple/1.0&results=all&csv").await.0, 422, "CSV has no keys");
}
