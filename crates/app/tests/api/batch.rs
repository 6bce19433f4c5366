//! Batches: many documents in one body, with a result for each.

mod atomic;
mod breaking;
mod document;
mod held;
mod mapped;
mod processes;
mod revocation;
pub(crate) mod streaming;
mod strict;

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client::{Answer, Call, Client};
use crate::support::documents::{Edit, hours_ago, reading, report, simple};

on_both!(
    accepts_every_format_in_every_content_coding,
    a_contract_can_be_named_beside_the_records,
    each_record_has_its_own_result_and_line,
    accepts_blank_lines_crlf_and_a_missing_last_line_feed,
    a_record_over_the_limit_does_not_affect_others,
    totals_match_the_lines_for_any_mixture,
    shows_only_errors_on_request,
    a_key_of_the_batch_makes_records_without_a_key_idempotent,
    a_batch_may_be_empty,
    refuses_bodies_that_cannot_be_a_batch_before_reading,
);

pub(crate) const BATCH: &str = "/v1/mass-requests/batch";

/// A body of NDJSON.
pub(crate) fn ndjson(documents: &[Value]) -> Vec<u8> {
    documents.iter().flat_map(|document| format!("{document}\n").into_bytes()).collect()
}

pub(crate) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// Readings of this number of devices.
pub(crate) fn readings(count: usize) -> Vec<Value> {
    (0..count).map(|number| reading(&format!("dev-{number}"))).collect()
}

/// A batch with its media type.
pub(crate) fn send(client: &Client, path: &str, media_type: &str, body: impl Into<Vec<u8>>) -> Call {
    client.post(path).header("Content-Type", media_type).bytes(body)
}

pub(crate) fn send_ndjson(client: &Client, query: &str, documents: &[Value]) -> Call {
    send(client, &format!("{BATCH}{query}"), "application/x-ndjson", ndjson(documents))
}

/// Returns the lines of an answer, with the last one apart, and checks that the totals add up.
#[track_caller]
pub(crate) fn lines_of(answer: &[u8]) -> (Vec<Value>, Value) {
    let mut lines: Vec<Value> = answer
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    let last = lines.pop().unwrap();
    let totals = last["totals"].as_object().unwrap_or_else(|| panic!("no totals: {last}"));
    let sum: u64 = totals.iter().filter(|(name, _)| *name != "read").map(|(_, count)| count.as_u64().unwrap()).sum();
    assert_eq!(totals["read"], sum, "{last}");
    (lines, last)
}

/// Returns the totals that are not 0.
pub(crate) fn counts(last: &Value) -> Value {
    let totals = last["totals"].as_object().unwrap().clone();
    totals.into_iter().filter(|(_, count)| *count != 0).collect()
}

/// Returns the outcome of each record.
pub(crate) fn outcomes(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["outcome"].as_str().unwrap()).collect()
}

/// Returns the codes of a record's violations.
fn codes(line: &Value) -> Vec<&str> {
    line["violations"].as_array().into_iter().flatten().map(|found| found["code"].as_str().unwrap()).collect()
}

impl Answer {
    #[track_caller]
    fn lines(self) -> (Vec<Value>, Value) {
        lines_of(&self.expect(200).body)
    }
}

/// Readings as CSV.
fn table(documents: &[Value]) -> String {
    let columns = [
        "timestamp",
        "device.id",
        "device.type",
        "device.location",
        "metrics.temperature_celsius",
        "metrics.humidity_percent",
        "metrics.pressure_hpa",
        "metadata.operator",
        "metadata.batch_id",
    ];
    let mut text = columns.join(",") + "\r\n";
    for document in documents {
        let cell = |column: &&str| match document.pointer(&format!("/{}", column.replace('.', "/"))) {
            Some(Value::String(text)) => format!("\"{text}\""),
            other => other.unwrap().to_string(),
        };
        text += &columns.iter().map(cell).collect::<Vec<_>>().join(",");
        text += "\r\n";
    }
    text
}

async fn accepts_every_format_in_every_content_coding(app: TestApp) {
    let documents = readings(3);
    let formats = [
        ("application/x-ndjson", ndjson(&documents), 1),
        ("application/json", serde_json::to_vec_pretty(&documents).unwrap(), 2),
        ("text/csv; charset=utf-8", table(&documents).into_bytes(), 2),
    ];
    let mut first = true;
    for (media_type, body, first_line) in formats {
        let codings =
            [("identity", body.clone()), ("gzip", gzip(&body)), ("zstd", zstd::encode_all(&body[..], 3).unwrap())];
        for (coding, coded) in codings {
            let call = send(app.founder(), &format!("{BATCH}?contract=device/1.1"), media_type, coded);
            let answer = call.header("Content-Encoding", coding).await;
            assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
            let (lines, last) = answer.lines();
            let outcome = if first { "accepted" } else { "duplicate" };
            assert_eq!(outcomes(&lines), [outcome; 3], "{media_type} {coding}");
            assert_eq!(counts(&last), json!({"read": 3, outcome: 3}));
            assert_eq!((&lines[0]["index"], &lines[0]["line"]), (&json!(0), &json!(first_line)), "{media_type}");
            let stored = app.get(&format!("/v1/mass-requests/{}", lines[2]["id"].as_str().unwrap())).await;
            assert_eq!(stored.expect(200).text("/device_id"), "dev-2");
            first = false;
        }
    }
    assert_eq!(app.database().count("mass_requests"), 3);
}

async fn a_contract_can_be_named_beside_the_records(app: TestApp) {
    let bare = reading("dev-1").without("/mass_version");
    let (lines, _) = send_ndjson(app.founder(), "", std::slice::from_ref(&bare)).await.lines();
    assert_eq!(codes(&lines[0]), ["no_contract"]);
    let (lines, _) = send_ndjson(app.founder(), "?contract=device/1.1", &[bare, simple(json!({"a": 1}))]).await.lines();
    assert_eq!(outcomes(&lines), ["accepted", "accepted"]);
    send(app.founder(), BATCH, "text/csv", "a\n1\n")
        .await
        .expect_violations("invalid-parameter", &["?contract parameter"]);
    let rows = "a,b.c\n1,\"x\ny\"\n,\n1,2,3\n";
    let (lines, last) = send(app.founder(), &format!("{BATCH}?contract=simple/1.0"), "text/csv", rows).await.lines();
    assert_eq!(outcomes(&lines), ["accepted", "rejected", "rejected"], "{lines:?}");
    assert_eq!(lines.iter().map(|line| line["line"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 4, 5]);
    assert_eq!(codes(&lines[2]), ["cells"]);
    assert_eq!(counts(&last), json!({"read": 3, "accepted": 1, "rejected": 2}));
}

async fn each_record_has_its_own_result_and_line(app: TestApp) {
    let first = reading("dev-1");
    let other = first.clone().with("/metrics/humidity_percent", 50);
    let old = reading("dev-2").with("/timestamp", hours_ago(24 * 500));
    let records = [
        first.to_string(),
        first.to_string(),
        other.to_string(),
        "{\"mass_version\": \"1.1\",}".to_owned(),
        reading("dev-3").with("/metrics/humidity_percent", 140).to_string(),
        report("r-1").with("/request/tenant_id", "other").to_string(),
        old.to_string(),
    ];
    let (lines, last) = send(app.founder(), BATCH, "application/x-ndjson", records.join("\n")).await.lines();
    let expected = ["accepted", "duplicate", "conflict", "rejected", "rejected", "rejected", "accepted"];
    assert_eq!(outcomes(&lines), expected, "{lines:?}");
    assert_eq!(counts(&last), json!({"read": 7, "accepted": 2, "duplicate": 1, "conflict": 1, "rejected": 3}));
    for (index, line) in lines.iter().enumerate() {
        assert_eq!((&line["index"], &line["line"]), (&json!(index), &json!(index + 1)));
    }
    assert_eq!(lines[0]["id"], lines[1]["id"]);
    assert_eq!((&lines[2]["id"], codes(&lines[2])), (&lines[0]["id"], vec!["conflict"]));
    assert_eq!(codes(&lines[3]), ["syntax"]);
    assert!(
        lines[3]["violations"][0]["detail"].as_str().unwrap().ends_with("at column 24 of the record"),
        "{}",
        lines[3]
    );
    assert_eq!(lines[4]["violations"][0]["pointer"], "/metrics/humidity_percent");
    assert_eq!(codes(&lines[5]), ["foreign_tenant"]);
    assert_eq!(lines[6]["warnings"][0]["code"], "old_timestamp");
    let (lines, _) = send_ndjson(app.founder(), "?on_conflict=correct", &[other]).await.lines();
    assert_eq!(outcomes(&lines), ["correction"]);
}

async fn accepts_blank_lines_crlf_and_a_missing_last_line_feed(app: TestApp) {
    let [one, two, three] = ["dev-1", "dev-2", "dev-3"].map(|device| reading(device).to_string());
    let body = format!("\r\n{one}\r\n\n   \n{two}\n\u{feff}{three}\n{three}");
    let (lines, _) = send(app.founder(), BATCH, "application/x-ndjson", body).await.lines();
    assert_eq!(outcomes(&lines), ["accepted", "accepted", "rejected", "accepted"]);
    assert_eq!(lines.iter().map(|line| line["line"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 5, 6, 7]);
    assert_eq!(codes(&lines[2]), ["byte_order_mark"]);
}

async fn a_record_over_the_limit_does_not_affect_others(app: TestApp) {
    let app = app.another_with(&[("--body-limit-bytes", "1024")]).await;
    let long = simple(json!({"text": "x".repeat(100_000)}));
    let documents = [reading("dev-1"), long, reading("dev-2")];
    for (media_type, body) in
        [("application/x-ndjson", ndjson(&documents)), ("application/json", serde_json::to_vec(&documents).unwrap())]
    {
        let (lines, last) = send(app.founder(), BATCH, media_type, body).await.lines();
        assert_eq!(lines[1]["outcome"], "rejected", "{media_type}");
        assert_eq!(codes(&lines[1]), ["too_long"]);
        assert_eq!(last["totals"]["rejected"], 1);
    }
    assert_eq!(app.database().count("mass_requests"), 2);
}

/// A deterministic pseudo-random sequence.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

async fn totals_match_the_lines_for_any_mixture(app: TestApp) {
    let mut stored: std::collections::BTreeMap<u64, Vec<u64>> = std::collections::BTreeMap::new();
    for seed in 0..4 {
        let mut numbers = Numbers(seed);
        let correct = seed % 2 == 1;
        let (mut body, mut expected) = (String::new(), Vec::new());
        for _ in 0..700 + numbers.below(600) {
            let (device, humidity) = (numbers.below(300), numbers.below(4));
            let versions = stored.entry(device).or_default();
            let document = reading(&format!("dev-{device}")).with("/metrics/humidity_percent", 40 + humidity);
            let (record, outcome) = match if expected.is_empty() { 9 } else { numbers.below(10) } {
                0 => ("{\"a\"".to_owned(), "rejected"),
                1 => (document.with("/metrics/humidity_percent", 400).to_string(), "rejected"),
                _ if versions.contains(&humidity) => (document.to_string(), "duplicate"),
                _ if versions.is_empty() => (document.to_string(), "accepted"),
                _ if correct => (document.to_string(), "correction"),
                _ => (document.to_string(), "conflict"),
            };
            if matches!(outcome, "accepted" | "correction") {
                versions.push(humidity);
            }
            body += &format!("{record}\n");
            expected.push(outcome);
        }
        let query = if correct { "?on_conflict=correct" } else { "" };
        let (lines, last) = send(app.founder(), &format!("{BATCH}{query}"), "application/x-ndjson", body).await.lines();
        assert_eq!(outcomes(&lines), expected, "seed {seed}");
        for outcome in ["accepted", "duplicate", "correction", "conflict", "rejected"] {
            let count = expected.iter().filter(|expected| **expected == outcome).count();
            assert_eq!(last["totals"][outcome], count, "seed {seed}: {outcome}");
        }
    }
    let versions: usize = stored.values().map(Vec::len).sum();
    assert_eq!(app.database().count("mass_requests"), i64::try_from(versions).unwrap());
}

async fn shows_only_errors_on_request(app: TestApp) {
    let documents = [reading("dev-1"), reading("dev-1"), json!({}), reading("dev-2")];
    let (lines, last) = send_ndjson(app.founder(), "?results=errors", &documents).await.lines();
    assert_eq!((lines.len(), &lines[0]["index"]), (1, &json!(2)));
    assert_eq!(counts(&last), json!({"read": 4, "accepted": 2, "duplicate": 1, "rejected": 1}));
}

async fn a_key_of_the_batch_makes_records_without_a_key_idempotent(app: TestApp) {
    let documents = [simple(json!({"a": 1})), simple(json!({"a": 1})), reading("dev-1"), report("r-1")];
    let send = |documents: &[Value]| send_ndjson(app.founder(), "", documents).key("batch-1");
    let (first, _) = send(&documents).await.lines();
    assert_eq!(outcomes(&first), ["accepted"; 4]);
    let (again, _) = send(&documents).await.lines();
    assert_eq!(outcomes(&again), ["duplicate"; 4]);
    for (first, again) in first.iter().zip(&again) {
        assert_eq!(first["id"], again["id"]);
    }
    let (changed, _) = send(&[simple(json!({"a": 2}))]).await.lines();
    assert_eq!((outcomes(&changed), codes(&changed[0])), (vec!["conflict"], vec!["idempotency_key_reused"]));
    let (other, _) = send_ndjson(app.founder(), "", &documents[..1]).key("batch-2").await.lines();
    assert_eq!(outcomes(&other), ["accepted"]);
    let too_long = send_ndjson(app.founder(), "", &documents[..1]).key(&"k".repeat(231)).await;
    too_long.expect_violations("invalid-parameter", &["header:Idempotency-Key header"]);
}

async fn a_batch_may_be_empty(app: TestApp) {
    let cases = [("application/json", " [ ] "), ("text/csv", "a,b\n")];
    for (media_type, body) in cases {
        let (lines, last) =
            send(app.founder(), &format!("{BATCH}?contract=simple/1.0"), media_type, body).await.lines();
        assert_eq!((lines, counts(&last), &last["error"]), (vec![], json!({}), &Value::Null), "{media_type}");
    }
}

async fn refuses_bodies_that_cannot_be_a_batch_before_reading(app: TestApp) {
    for media_type in ["text/plain", "application/jsonl", "text/csv; charset=latin1"] {
        let refused = send(app.founder(), &format!("{BATCH}?mode=no"), media_type, "{}").await;
        let refused = refused.expect_problem(415, "unsupported-media-type");
        assert_eq!(refused.header("accept"), Some("application/x-ndjson, application/json, text/csv"));
    }
    app.post(BATCH).bytes("{}").await.expect_problem(415, "unsupported-media-type");
    for coding in ["br", "gzip, gzip", "deflate"] {
        let refused = send_ndjson(app.founder(), "", &[]).header("Content-Encoding", coding).await;
        assert_eq!(
            refused.expect_problem(415, "unsupported-media-type").header("accept-encoding"),
            Some("gzip, zstd, identity")
        );
    }
    let query = "?mode=all&results=none&contract=device/9&on_conflict=x&limit=1";
    let refused = send_ndjson(app.founder(), query, &[]).await.expect_problem(422, "invalid-parameter");
    let mut violations = refused.violations();
    violations.sort();
    let expected = [
        "?contract parameter",
        "?limit unknown_parameter",
        "?mode parameter",
        "?on_conflict parameter",
        "?results parameter",
    ];
    assert_eq!(violations, expected);
    send_ndjson(app.founder(), "", &[]).header("Accept", "text/csv").await.expect_problem(406, "not-acceptable");
    app.get(BATCH).await.expect_problem(405, "method-not-allowed");
}
