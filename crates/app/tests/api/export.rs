//! Exports of requests: lines and rows, complete and read back without a change.

use std::io::Read;

use flate2::read::GzDecoder;
use mass_domain::access::Role;
use serde_json::{Value, json};

use crate::batch::{counts, lines_of, readings, send, send_ndjson};
use crate::support::TestApp;
use crate::support::client::Answer;
use crate::support::documents::{Edit, hours_ago, reading, report, simple};

on_both!(
    an_export_has_each_request_as_it_is_read_oldest_first,
    an_export_has_what_the_filters_let_through,
    an_export_of_many_pages_is_whole_in_every_coding,
    rows_are_imported_again_as_duplicates,
    each_metric_of_an_open_contract_is_a_row,
    rows_need_the_contract,
    parquet_is_written_by_builds_that_have_it,
    exported_documents_have_their_fingerprints_elsewhere,
    another_tenant_has_an_export_of_its_own,
);

also_restricted!(
    an_export_has_each_request_as_it_is_read_oldest_first,
    an_export_of_many_pages_is_whole_in_every_coding,
    another_tenant_has_an_export_of_its_own,
);

const EXPORT: &str = "/v1/mass-requests/export";
const REQUESTS: &str = "/v1/mass-requests";
const BATCH: &str = "/v1/mass-requests/batch";

/// The requests of an export whose totals count them.
#[track_caller]
fn requests(body: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(body).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.pop().unwrap();
    assert_eq!(last, json!({"totals": {"requests": lines.len()}}));
    lines
}

async fn exported(app: &TestApp, query: &str) -> Vec<Value> {
    let answer = app.get(&format!("{EXPORT}{query}")).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    requests(&answer.body)
}

async fn csv(app: &TestApp, query: &str) -> Answer {
    app.get(&format!("{EXPORT}{query}")).header("Accept", "text/csv").await
}

async fn an_export_has_each_request_as_it_is_read_oldest_first(app: TestApp) {
    assert_eq!(exported(&app, "").await, Vec::<Value>::new());
    let (first, second) = (reading("dev-1"), reading("dev-1").with("/metrics/humidity_percent", 50));
    let mut ids = Vec::new();
    for document in [first, report("r-1"), simple(json!({"a": 1}))] {
        ids.push(app.post(REQUESTS).json(&document).await.expect(201).id());
    }
    ids.push(app.post(&format!("{REQUESTS}?on_conflict=correct")).json(&second).await.expect(201).id());
    let deleted = app.post(REQUESTS).json(&simple(json!({"a": 2}))).await.expect(201).id();
    app.delete(&format!("{REQUESTS}/{deleted}")).await.expect(204);
    let found = exported(&app, "").await;
    let keys = [json!(format!("dev-1@{}", hours_ago(1))), json!("r-1"), Value::Null];
    for (index, line) in found.iter().enumerate() {
        assert_eq!(line["natural_key"], keys[index % 3]);
        let read = app.get(&format!("{REQUESTS}/{}", ids[index])).await.expect(200).json();
        assert_eq!(line.clone().without("/natural_key"), read.without("/warnings"));
    }
    assert_eq!(found.len(), 4);
    assert_eq!((&found[0]["corrected_by"], &found[3]["corrects"]), (&found[3]["id"], &found[0]["id"]));
}

async fn an_export_has_what_the_filters_let_through(app: TestApp) {
    for document in [reading("dev-1"), reading("dev-2").with("/timestamp", hours_ago(3)), simple(json!({"a": 1}))] {
        app.post(REQUESTS).json(&document).await.expect(201);
    }
    let devices = async |query: &str| -> Vec<Value> {
        exported(&app, query).await.iter().map(|line| line["device_id"].clone()).collect()
    };
    assert_eq!(devices("?contract=device/1.1").await, ["dev-1", "dev-2"]);
    assert_eq!(devices("?device_id=dev-2").await, ["dev-2"]);
    assert_eq!(devices(&format!("?observed_from={}", hours_ago(2))).await, ["dev-1"]);
    assert_eq!(devices("?status=done").await, Vec::<Value>::new());
    let wrong = app.get(&format!("{EXPORT}?limit=1&status=lost")).await;
    wrong.expect_violations("invalid-parameter", &["?limit unknown_parameter", "?status parameter"]);
    let answer = app.get(EXPORT).header("Accept", "text/html").await;
    answer.expect_problem(406, "not-acceptable");
}

async fn an_export_of_many_pages_is_whole_in_every_coding(app: TestApp) {
    let (_, last) = lines_of(&send_ndjson(app.founder(), "", &readings(1200)).await.expect(200).body);
    assert_eq!(counts(&last), json!({"read": 1200, "accepted": 1200}));
    let plain = app.get(EXPORT).header("Accept-Encoding", "identity").await.expect(200);
    assert_eq!(requests(&plain.body).len(), 1200);
    let gzip = app.get(EXPORT).header("Accept-Encoding", "gzip, deflate").await.expect(200);
    assert_eq!(gzip.header("content-encoding"), Some("gzip"));
    let mut decoded = Vec::new();
    GzDecoder::new(&gzip.body[..]).read_to_end(&mut decoded).unwrap();
    assert!(decoded == plain.body);
    let zstd = app.get(EXPORT).header("Accept-Encoding", "gzip, zstd").await.expect(200);
    assert_eq!((zstd.header("content-encoding"), zstd.header("vary")), (Some("zstd"), Some("Accept, Accept-Encoding")));
    assert!(zstd.body.len() < plain.body.len() / 2);
    assert!(zstd::decode_all(&zstd.body[..]).unwrap() == plain.body);
}

async fn rows_are_imported_again_as_duplicates(app: TestApp) {
    let odd = reading("dev-1").with("/device/location", "=cmd|' /C calc'!A0, \"quoted\"");
    let odd = odd.with("/metadata/notes", "two\nlines");
    let mut reports = [report("r-1"), report("r-2").with("/payload", json!({"fan speeds": [1, "two"]}))];
    reports[0]["request"]["assets"]["rack_ids"] = json!(["a", "b,c"]);
    for document in [&odd, &reading("dev-2"), &reports[0], &reports[1]] {
        app.post(REQUESTS).json(document).await.expect(201);
    }
    for (contract, first) in [("device/1.1", "timestamp,device.id,"), ("enterprise/1.1", "correlation_id,")] {
        let answer = csv(&app, &format!("?contract={contract}")).await.expect(200);
        assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
        assert!(answer.body.starts_with(first.as_bytes()), "{}", String::from_utf8_lossy(&answer.body));
        let again = send(app.founder(), &format!("{BATCH}?contract={contract}"), "text/csv", answer.body).await;
        let (_, last) = lines_of(&again.expect(200).body);
        assert_eq!(counts(&last), json!({"read": 2, "duplicate": 2}), "{contract}");
    }
}

async fn each_metric_of_an_open_contract_is_a_row(app: TestApp) {
    let sent = app.post(REQUESTS).json(&simple(json!({"rack": {"inlet": 22.5}, "door": "open"}))).await.expect(201);
    let (id, at) = (sent.id(), sent.text("/created_at"));
    let expected = format!("request_id,created_at,metric,value\n{id},{at},door,open\n{id},{at},rack.inlet,22.5\n");
    let answer = csv(&app, "?contract=simple/1.0").await.expect(200);
    assert_eq!(String::from_utf8(answer.body).unwrap(), expected);
}

async fn rows_need_the_contract(app: TestApp) {
    csv(&app, "").await.expect_violations("invalid-parameter", &["?contract parameter"]);
    let empty = csv(&app, "?contract=device/1.1").await.expect(200);
    assert_eq!(String::from_utf8(empty.body).unwrap().lines().count(), 1);
}

async fn parquet_is_written_by_builds_that_have_it(app: TestApp) {
    app.post(REQUESTS).json(&reading("dev-1")).await.expect(201);
    let parquet = "application/vnd.apache.parquet";
    let export = |query: &str, accept: &str| app.get(&format!("{EXPORT}{query}")).header("Accept", accept);
    let or_lines = export("?contract=device/1.1", &format!("{parquet}, application/x-ndjson;q=0.5")).await.expect(200);
    if cfg!(feature = "parquet") {
        assert_eq!(or_lines.header("content-type"), Some(parquet));
        assert!(or_lines.body.starts_with(b"PAR1") && or_lines.body.ends_with(b"PAR1"));
        export("", parquet).await.expect_violations("invalid-parameter", &["?contract parameter"]);
    } else {
        assert_eq!(requests(&or_lines.body).len(), 1);
        let refused = export("?contract=device/1.1", parquet).await.expect_problem(406, "not-acceptable");
        assert!(refused.text("/detail").contains("container image"), "{refused:?}");
    }
}

async fn exported_documents_have_their_fingerprints_elsewhere(app: TestApp) {
    let documents = [reading("dev-1"), simple(json!({"Rack Temp": "24.5", "n": 1.5e-7})), reading("dev-2")];
    for document in &documents {
        app.post(REQUESTS).json(document).await.expect(201);
    }
    let found = exported(&app, "").await;
    let there = app.foreigner(Role::Operator).await;
    let sent: Vec<Value> = found.iter().map(|line| line["document"].clone()).collect();
    let (_, last) = lines_of(&send_ndjson(&there, "", &sent).await.expect(200).body);
    assert_eq!(counts(&last), json!({"read": 3, "accepted": 3}));
    let elsewhere = requests(&there.get(EXPORT).await.expect(200).body);
    for (one, other) in found.iter().zip(&elsewhere) {
        for member in ["contract", "natural_key", "fingerprint", "document"] {
            assert_eq!(one[member], other[member]);
        }
    }
    assert_eq!(elsewhere.len(), 3);
}

async fn another_tenant_has_an_export_of_its_own(app: TestApp) {
    app.post(REQUESTS).json(&reading("dev-1")).await.expect(201);
    let foreigner = app.foreigner(Role::Viewer).await;
    assert_eq!(requests(&foreigner.get(EXPORT).await.expect(200).body), Vec::<Value>::new());
    assert_eq!(exported(&app, "").await.len(), 1);
}
