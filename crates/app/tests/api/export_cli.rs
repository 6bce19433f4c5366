//! `mass export`: what it writes, that it can be imported again, and that no file is left of an export that is cut.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::documents::{Edit, reading, report, simple};
use crate::support::process::{Ended, Workplace, workplaces_on_both};

workplaces_on_both! {
    what_is_exported_is_imported_elsewhere_without_a_change,
    a_server_and_the_local_database_give_the_same_lines_and_rows,
}

fn export(workplace: &Workplace, arguments: &[&str]) -> Ended {
    workplace.mass(&[&["export"], arguments].concat())
}

#[track_caller]
fn good(ended: Ended) -> Ended {
    assert_eq!(ended.status, Some(0), "{ended:?}");
    ended
}

/// Imports documents, and the corrections of them.
fn with_documents(workplace: &Workplace) {
    let corrected = reading("dev-1").with("/metrics/humidity_percent", 50);
    let documents = [reading("dev-1"), reading("dev-2"), report("r-1"), corrected];
    let lines: String = documents.iter().map(|document| format!("{document}\n")).collect();
    workplace.write("sent.ndjson", lines);
    good(workplace.mass(&["import", "sent.ndjson", "--on-conflict", "correct"]));
}

/// Returns the identity of each request of an export, in order.
fn identities(text: &str) -> Vec<[Value; 4]> {
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.pop(), Some(json!({"totals": {"requests": lines.len()}})));
    let identity = |line: &Value| ["contract", "natural_key", "fingerprint", "document"].map(|name| line[name].clone());
    lines.iter().map(identity).collect()
}

async fn what_is_exported_is_imported_elsewhere_without_a_change(workplace: Workplace) {
    with_documents(&workplace);
    let ended = good(export(&workplace, &["--out", "one.ndjson"]));
    assert_eq!(ended.stdout, "4 requests exported to one.ndjson\n");
    let exported = workplace.read("one.ndjson");
    assert_eq!(identities(&exported).len(), 4);

    let again = good(workplace.mass(&["import", "one.ndjson", "--on-conflict", "correct"]));
    assert!(again.stdout.starts_with("4 read, 0 accepted, "), "{again:?}");
    good(export(&workplace, &["--out", "two.ndjson"]));
    assert_eq!(workplace.read("two.ndjson"), exported, "nothing was stored");

    let elsewhere = Workplace::sqlite();
    elsewhere.write("one.ndjson", &exported);
    let imported = good(elsewhere.mass(&["import", "one.ndjson", "--on-conflict", "correct"]));
    assert!(imported.stdout.starts_with("4 read, "), "{imported:?}");
    good(export(&elsewhere, &["--out", "two.ndjson"]));
    assert_eq!(identities(&elsewhere.read("two.ndjson")), identities(&exported));
}

async fn a_server_and_the_local_database_give_the_same_lines_and_rows(workplace: Workplace) {
    with_documents(&workplace);
    workplace.write("free.ndjson", format!("{}\n", simple(json!({"a": "x,y", "b": {"c": 1}}))));
    good(workplace.mass(&["import", "free.ndjson"]));
    let server = workplace.serve();
    let workplace = workplace.with("MASS_TOKEN", &server.token().await);
    for arguments in [
        &[][..],
        &["--device-id", "dev-2"],
        &["--format", "csv", "--contract", "device/1.1"],
        &["--format", "csv", "--contract", "simple/1.0"],
    ] {
        let here = good(export(&workplace, arguments));
        let there = good(export(&workplace, &[arguments, &["--url", &server.url]].concat()));
        assert_eq!(there.stdout, here.stdout, "{arguments:?}");
        assert!(here.stdout.lines().count() > 1, "{here:?}");
    }
    let rows = good(export(&workplace, &["--out", "rows.csv", "--contract", "device/1.1", "--url", &server.url]));
    assert_eq!(rows.stdout, "3 requests exported to rows.csv\n");
    let again = workplace.mass(&["import", "rows.csv", "--contract", "device/1.1", "--on-conflict", "correct"]);
    assert!(good(again).stdout.starts_with("3 read, 0 accepted, 3 duplicates"));
}

#[test]
fn an_existing_file_is_not_overwritten_and_rows_need_a_contract() {
    let workplace = Workplace::sqlite();
    workplace.write("there.ndjson", "mine");
    let ended = export(&workplace, &["--out", "there.ndjson"]);
    assert!(ended.status == Some(1) && ended.stderr.contains("there.ndjson exists already"), "{ended:?}");
    assert_eq!(workplace.read("there.ndjson"), "mine");
    let ended = export(&workplace, &["--out", "rows.csv"]);
    assert!(ended.status == Some(1) && ended.stderr.contains("--contract"), "{ended:?}");
    let ended = export(&workplace, &["--url", "http://127.0.0.1:9"]);
    assert!(ended.status == Some(1) && ended.stderr.contains("MASS_TOKEN"), "{ended:?}");
}

#[test]
fn no_file_is_left_of_an_export_that_is_not_whole() {
    let document = r#"{"payload":{"a":1}}"#;
    let digest: String = Sha256::digest(document).iter().map(|byte| format!("{byte:02x}")).collect();
    let line = |fingerprint: &str| {
        format!(
            "{{\"id\":\"i\",\"created_at\":\"2026-11-24T18:00:00Z\",\"fingerprint\":\"sha256:{fingerprint}\",\"document\":{document}}}\n"
        )
    };
    let end = |requests: u64| format!("{{\"totals\":{{\"requests\":{requests}}}}}\n");
    let error =
        r#"{"totals":{"requests":1},"error":{"title":"A valid bearer token is needed","status":401,"detail":""}}"#;
    let cases = [
        (line(&digest), true, "has no end"),
        (line(&digest), false, "broke off"),
        (line(&digest) + &end(2), true, "expected 2 requests, found 1"),
        (line(&digest) + error + "\n", true, "401: A valid bearer token is needed"),
        (line(&"0".repeat(64)) + &end(1), true, "the document of request i was damaged"),
        (end(0) + &line(&digest), true, "goes on after its end"),
    ];
    let workplace = Workplace::sqlite().with("MASS_TOKEN", "token");
    let arguments = ["--out", "export.csv", "--contract", "simple/1.0", "--url"];
    for (body, is_whole, expected) in cases {
        let (url, server) = stub(body, is_whole);
        let ended = export(&workplace, &[&arguments[..], &[&url]].concat());
        server.join().unwrap();
        assert!(ended.status == Some(1) && ended.stderr.contains(expected), "{expected}: {ended:?}");
        let left: Vec<_> = fs::read_dir(workplace.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
    let (url, server) = stub(line(&digest) + &end(1), true);
    good(export(&workplace, &[&arguments[..], &[&url]].concat()));
    server.join().unwrap();
    let rows = "request_id,created_at,metric,value\ni,2026-11-24T18:00:00Z,a,1\n";
    assert_eq!(workplace.read("export.csv"), rows);
}

/// A server that gives one answer: whole, or without the end of its chunks.
fn stub(body: String, is_whole: bool) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serve = move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(connection.try_clone().unwrap());
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap() > 2 {
            line.clear();
        }
        let end = if is_whole { "0\r\n\r\n" } else { "" };
        let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
        write!(connection, "{head}{:x}\r\n{body}\r\n{end}", body.len()).unwrap();
    };
    (url, std::thread::spawn(serve))
}

#[test]
fn a_busy_server_is_asked_again_with_the_token_of_a_file() {
    let workplace = Workplace::sqlite();
    workplace.write("token", "t\n");
    let busy = |after: &str| {
        format!("HTTP/1.1 503 Busy\r\nRetry-After: {after}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    };
    let body = "{\"totals\":{\"requests\":0}}\n";
    let whole = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let past = "Sun, 06 Nov 1994 08:49:37 GMT";
    let (url, server) = answering(vec![busy("0"), busy(past), whole]);
    let ended = good(export(&workplace, &["--url", &url, "--token-file", "token"]));
    server.join().unwrap();
    assert_eq!(ended.stdout, body);
    assert_eq!(ended.stderr.matches("the server answered 503").count(), 2, "{ended:?}");

    let (url, server) = answering(vec![busy("3600")]);
    let ended = export(&workplace, &["--url", &url, "--token-file", "token", "--retry-seconds", "60"]);
    server.join().unwrap();
    assert!(ended.status == Some(1) && ended.stderr.contains("--retry-seconds"), "{ended:?}");

    let moved = "HTTP/1.1 308 Moved\r\nLocation: https://mass.example/m/v1/mass-requests/export\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let (url, server) = answering(vec![moved.to_owned()]);
    let ended = export(&workplace, &["--url", &url, "--token-file", "token"]);
    server.join().unwrap();
    assert!(ended.status == Some(1) && ended.stderr.contains("refers to https://mass.example/m,"), "{ended:?}");
}

/// A server that gives these answers, one for each connection.
fn answering(answers: Vec<String>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serve = move || {
        for answer in answers {
            let (mut connection, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(connection.try_clone().unwrap());
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            connection.write_all(answer.as_bytes()).unwrap();
        }
    };
    (url, std::thread::spawn(serve))
}
