//! Parsing of JSON bodies: each hazard has its status and its position, under every contract.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client::Answer;
use crate::support::documents::{Edit, reading, report, simple};
use crate::support::operations;

on_both!(
    reports_line_and_column_of_hazards_in_a_document,
    reports_line_and_column_of_syntax_errors,
    reports_unsupported_json_values_with_a_pointer,
    reports_wrong_types_with_a_pointer,
    other_bodies_are_parsed_as_strictly,
    reports_the_limit_for_too_long_bodies,
    the_body_limit_is_configurable,
    refuses_a_too_long_content_length_before_the_body,
    reports_an_interrupted_body,
    simple_payloads_have_their_own_limit,
    only_numeric_strings_are_converted_to_numbers,
    refuses_values_that_a_typed_field_cannot_store,
);

/// The operations that documents are sent to.
const DOORS: [&str; 3] = ["/v1/mass-requests", "/v1/mass-requests/validate", "/v1/mass-requests/normalize"];

/// The placeholder of the tested text in a template.
const PLACEHOLDER: &str = "\"@\"";

/// A document of each contract, with a pointer to a value that may be any JSON.
fn documents() -> [(Value, &'static str); 3] {
    [
        (simple(json!({"value": 1})), "/payload/value"),
        (reading("dev-1"), "/metrics/pressure_hpa"),
        (report("r-1"), "/request/signals/energy/it_load_kw"),
    ]
}

/// Splits a document, formatted over many lines, at the pointer.
fn around((document, pointer): (Value, &'static str)) -> (String, String) {
    let text = serde_json::to_string_pretty(&document.with(pointer, "@")).unwrap();
    let (before, after) = text.split_once(PLACEHOLDER).unwrap();
    (before.to_owned(), after.to_owned())
}

async fn assert_malformed(app: &TestApp, body: &[u8], code: &str, (line, column): (usize, usize)) {
    for door in DOORS {
        let answer = app.post(door).body(body).await.expect_problem(400, "malformed-json");
        let told = (answer.text("/code"), answer.at("/line"), answer.at("/column"));
        assert_eq!(told, (code.to_owned(), json!(line), json!(column)), "{}", String::from_utf8_lossy(body));
    }
}

async fn reports_line_and_column_of_hazards_in_a_document(app: TestApp) {
    let deep = "[".repeat(33);
    let hazards: &[(&[u8], &str, usize)] = &[
        (b"'x'", "syntax", 0),
        (b"nul", "syntax", 0),
        (b"01", "syntax", 1),
        (b"+1", "syntax", 0),
        (b"1.", "syntax", 1),
        (b"[1,]", "syntax", 3),
        (b"\"a\tb\"", "syntax", 2),
        (br#""\x""#, "syntax", 2),
        (b"/* */ 1", "syntax", 0),
        (b"\"\xff\"", "invalid_utf8", 1),
        (b"\"\xed\xa0\x80\"", "invalid_utf8", 1),
        (br#""a\ud800""#, "lone_surrogate", 2),
        (br#""\udc00""#, "lone_surrogate", 1),
        (br#"{"a":1,"a":1}"#, "duplicate_key", 7),
        (br#"[{"a":1,"\u0061":2}]"#, "duplicate_key", 8),
        (b"NaN", "not_a_number", 0),
        (b"Infinity", "not_a_number", 0),
        (b"-Infinity", "not_a_number", 0),
        (b"1e999", "number_overflow", 0),
        (b"-1e999", "number_overflow", 0),
    ];
    for document in documents() {
        let levels = document.1.split('/').count() - 1;
        let (before, after) = around(document);
        let line = before.lines().count();
        let column = before.lines().last().unwrap().chars().count() + 1;
        let depth = (deep.as_bytes(), "depth", 32 - levels);
        for (hazard, code, offset) in hazards.iter().copied().chain([depth]) {
            let body = [before.as_bytes(), hazard, after.as_bytes()].concat();
            assert_malformed(&app, &body, code, (line, column + offset)).await;
        }
    }
}

async fn reports_line_and_column_of_syntax_errors(app: TestApp) {
    assert_malformed(&app, b"", "empty_body", (1, 1)).await;
    assert_malformed(&app, b" \n\t ", "empty_body", (2, 3)).await;
    for (document, _) in documents() {
        let text = document.to_string();
        let length = text.chars().count();
        assert_malformed(&app, format!("\u{feff}{text}").as_bytes(), "byte_order_mark", (1, 1)).await;
        assert_malformed(&app, format!("{text}\n{text}").as_bytes(), "trailing_data", (2, 1)).await;
        assert_malformed(&app, format!("{text},").as_bytes(), "trailing_data", (1, length + 1)).await;
        assert_malformed(&app, &text.as_bytes()[..text.len() - 1], "syntax", (1, length)).await;
    }
}

async fn reports_unsupported_json_values_with_a_pointer(app: TestApp) {
    let faults = [
        (r#""a\u0000""#, "nul"),
        ("9007199254740993", "number_range"),
        ("-9007199254740992", "number_range"),
        ("1e16", "number_range"),
        ("9007199254740992.0", "number_range"),
        ("0.1234567890123456789", "number_precision"),
        ("1e-400", "number_precision"),
    ];
    for document in documents() {
        let pointer = document.1;
        let (before, after) = around(document);
        for (fault, code) in faults {
            let expected = format!("{pointer} {code}");
            assert_invalid(&app, &format!("{before}{fault}{after}"), &[&expected]).await;
        }
    }
    assert_invalid(&app, r#"{"payload": {"a\u0000b": 1}}"#, &["/payload/a\0b nul"]).await;
}

/// Asserts that all operations refuse the document with these violations.
async fn assert_invalid(app: &TestApp, body: &str, violations: &[&str]) {
    for door in ["/v1/mass-requests", "/v1/mass-requests/normalize"] {
        app.post(door).body(body).await.expect_violations("contract-violation", violations);
    }
    let verdict = app.post("/v1/mass-requests/validate").body(body).await.expect(200);
    assert_eq!(verdict.at("/valid"), false);
    assert_eq!(verdict.violations(), violations);
}

async fn reports_wrong_types_with_a_pointer(app: TestApp) {
    for body in ["[]", "[{\"payload\": {\"a\": 1}}]", "null", "1", "\"payload\"", "true"] {
        assert_invalid(&app, body, &[" type"]).await;
    }
    assert_invalid(&app, "{}", &[" no_contract"]).await;
    assert_invalid(&app, r#"{"payload": {}}"#, &["/payload empty"]).await;
    assert_invalid(&app, r#"{"payload": [1]}"#, &["/payload type"]).await;
    assert_invalid(&app, r#"{"payload": {"a": 1}, "b": 2}"#, &["/b unknown_member"]).await;
    assert_invalid(&app, r#"{"payload": {"aB": 1, "a_b": 2}}"#, &["/payload/a_b key_collision"]).await;
    let reading = reading("dev-1");
    for (document, violation) in [
        (reading.clone().with("/metrics", json!([22.5, 45, 1013.25])), "/metrics type"),
        (reading.clone().without("/metrics/pressure_hpa"), "/metrics/pressure_hpa required"),
        (reading.clone().with("/metrics/humidty", 1), "/metrics/humidty unknown_member"),
        (reading.clone().with("/metadata/notes", Value::Null), "/metadata/notes type"),
        (reading.with("/mass_version", "3.0"), "/mass_version version"),
        (report("r-1").with("/request/assets", json!(["tampa-1"])), "/request/assets type"),
        (report("r-1").without("/trace/traceparent"), "/trace/traceparent required"),
        (report("r-1").with("/request/signals/noise", 1), "/request/signals/noise unknown_member"),
    ] {
        assert_invalid(&app, &document.to_string(), &[violation]).await;
    }
}

async fn other_bodies_are_parsed_as_strictly(app: TestApp) {
    let login = |body: &'static str| app.anonymous().post("/v1/auth/login").body(body);
    let twice = login(r#"{"email": "a@b", "password": "x", "email": "c@d"}"#).await;
    assert_eq!(twice.expect_problem(400, "malformed-json").text("/code"), "duplicate_key");
    for (body, violation) in [
        (r#"["a@b", "x"]"#, " type"),
        (r#"{"email": "a@b\u0000", "password": "x"}"#, "/email nul"),
        (r#"{"email": 1e16, "password": "x"}"#, "/email number_range"),
        (r#"{"email": 1, "password": "x"}"#, "/email shape"),
        (r#"{"email": "", "password": "x"}"#, "/email rule"),
        (r#"{"email": "a@b", "password": ""}"#, "/password rule"),
    ] {
        login(body).await.expect_violations("contract-violation", &[violation]);
    }
    for body in [r#"{"email": "a@b"}"#, r#"{"email": "a@b", "password": "x", "admin": true}"#] {
        login(body).await.expect_problem(422, "contract-violation");
    }
}

async fn reports_the_limit_for_too_long_bodies(app: TestApp) {
    // While registration is closed, its body is not read.
    let app = app.restart(&[("--allow-registration", "true")]).await;
    let limit = 1 << 20;
    // A batch may have any length: the limit applies to each record. A mapping profile has a limit of its own.
    let others = ["/v1/mass-requests/batch", "/v1/mappings/{name}"];
    for operation in operations::all().into_iter().filter(|operation| !others.contains(&operation.path.as_str())) {
        let Some(body) = operation.body() else { continue };
        let path = operation.path_to("0199d3a0-0000-7000-8000-000000000001");
        let send = |length: usize| {
            let padding = " ".repeat(length - body.to_string().len());
            app.founder().call(operation.method.clone(), &path).body(format!("{body}{padding}"))
        };
        assert_ne!(send(limit).await.status, 413, "{path}");
        assert_names_the_limit(&send(limit + 1).await.expect_problem(413, "too-large"));
    }
}

async fn the_body_limit_is_configurable(app: TestApp) {
    let app = app.restart(&[("--body-limit-bytes", "2048")]).await;
    let padded = |length: usize| format!("{:length$}", simple(json!({"a": 1})).to_string());
    app.post("/v1/mass-requests").body(padded(2048)).await.expect(201);
    let answer = app.post("/v1/mass-requests").body(padded(2049)).await.expect_problem(413, "too-large");
    assert_eq!(answer.at("/limit_bytes"), 2048);
}

async fn refuses_a_too_long_content_length_before_the_body(app: TestApp) {
    let token = app.founder().token();
    let mut connection = TcpStream::connect(app.address()).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let head =
        "POST /v1/mass-requests HTTP/1.1\r\nHost: mass\r\nContent-Type: application/json\r\nContent-Length: 1048577";
    write!(connection, "{head}\r\nAuthorization: Bearer {token}\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    connection.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

async fn reports_an_interrupted_body(app: TestApp) {
    let token = app.founder().token();
    let mut connection = TcpStream::connect(app.address()).unwrap();
    let head = "POST /v1/mass-requests HTTP/1.1\r\nHost: mass\r\nContent-Type: application/json\r\nContent-Length: 99";
    write!(connection, "{head}\r\nAuthorization: Bearer {token}\r\n\r\n{{").unwrap();
    connection.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("/problems/bad-request"), "{answer}");
}

fn assert_names_the_limit(answer: &Answer) {
    assert_eq!(answer.at("/limit_bytes"), 1_048_576);
    assert!(answer.text("/detail").contains("1048576"));
}

async fn simple_payloads_have_their_own_limit(app: TestApp) {
    let padded = |document: Value, length: usize| {
        let text = document.to_string();
        let padding = " ".repeat(length - text.len());
        text + &padding
    };
    let limit = 256 * 1024;
    assert_invalid(&app, &padded(simple(json!({"a": 1})), limit + 1), &[" size"]).await;
    app.post("/v1/mass-requests").body(padded(simple(json!({"a": 1})), limit)).await.expect(201);
    app.post("/v1/mass-requests").body(padded(reading("dev-1"), limit + 1)).await.expect(201);
}

async fn only_numeric_strings_are_converted_to_numbers(app: TestApp) {
    for (sent, kept) in [
        ("1", json!(1)),
        (" 24.5 ", json!(24.5)),
        ("1.10", json!("1.10")),
        ("1E5", json!("1E5")),
        ("1e3", json!("1e3")),
        ("0.50", json!("0.50")),
        ("-0", json!("-0")),
        (" true ", json!(true)),
        ("TRUE", json!("TRUE")),
        ("t", json!("t")),
        ("false", json!(false)),
        ("007", json!("007")),
        ("+1", json!("+1")),
        ("1_000", json!("1_000")),
        ("nan", json!("nan")),
        ("1e999", json!("1e999")),
        ("9007199254740993", json!("9007199254740993")),
        ("0.1234567890123456789", json!("0.1234567890123456789")),
        ("yes", json!("yes")),
        ("NO", json!("NO")),
    ] {
        let answer = app.post("/v1/mass-requests/normalize").json(&simple(json!({"value": sent}))).await.expect(200);
        assert_eq!(answer.at("/normalized/payload/value"), kept, "{sent}");
    }
}

async fn refuses_values_that_a_typed_field_cannot_store(app: TestApp) {
    for (sent, code) in [
        ("007", "type"),
        ("+1", "type"),
        ("nan", "type"),
        ("1e999", "type"),
        ("9007199254740993", "number_range"),
        ("0.1234567890123456789", "number_precision"),
    ] {
        let document = reading("dev-1").with("/metrics/pressure_hpa", sent).to_string();
        assert_invalid(&app, &document, &[&format!("/metrics/pressure_hpa {code}")]).await;
    }
    let document = reading("dev-1").with("/metrics/pressure_hpa", " 1013.250 ");
    let stored = app.post("/v1/mass-requests").json(&document).await.expect(201);
    assert_eq!(stored.at("/document/metrics/pressure_hpa"), 1013.25);
}
