//! `mass import --url`: servers that are away, busy or of another opinion.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::thread::JoinHandle;

use super::{assert_ended, import, with_readings};
use crate::support::process::Workplace;

#[tokio::test]
async fn a_server_that_refuses_the_token_fails_the_import() {
    let workplace = Workplace::sqlite();
    let server = workplace.serve();
    let wrong = format!("{}x", server.token().await);
    let workplace = workplace.with("MASS_TOKEN", &wrong);
    with_readings(&workplace);
    let arguments = ["--contract", "device/1.1", "--retry-seconds", "0", "--url"];
    for (url, named) in [
        (server.url.as_str(), "401"),
        ("http://127.0.0.1:1", "cannot be reached"),
        ("nowhere", "--url"),
        ("http://ana:hunter2@127.0.0.1:1", "--url"),
    ] {
        let ended = import(&workplace, "readings.csv", &[&arguments[..], &[url]].concat());
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.stderr.contains(named) && !ended.stderr.contains(&wrong), "{ended:?}");
        assert!(!ended.stderr.contains("hunter2"), "{ended:?}");
    }
    assert_eq!(server.list(&server.token().await).await.len(), 0);
}

#[test]
fn waits_for_a_busy_server_and_fails_on_a_broken_one() {
    let workplace = Workplace::sqlite().with("MASS_TOKEN", "t");
    workplace.write("one.ndjson", r#"{"payload":{"a":1}}"#);
    let busy = ["503 Busy\r\nRetry-After: 0", "429 Slow down\r\nRetry-After: 0"];
    let import_into = |answers: Vec<String>| {
        let (url, server) = stub(answers);
        let ended = import(&workplace, "one.ndjson", &["--url", &url]);
        server.join().unwrap();
        ended
    };
    let results = "{\"index\":0,\"line\":1,\"outcome\":\"accepted\"}\n{\"totals\":{\"read\":1,\"accepted\":1}}\n";
    let taken = answer("200 OK", results);
    let ended = import_into(busy.iter().map(|status| answer(status, "")).chain([taken]).collect());
    assert_ended(&ended, 0, "1 read, 1 accepted, 0 duplicates, 0 refused\n");
    let error = r#"{"title":"Not available","status":503}"#;
    let halted = format!("{{\"outcome\":\"unprocessed\"}}\n{{\"totals\":{{\"read\":1}},\"error\":{error}}}\n");
    let ended = import_into(vec![answer("200 OK", &halted), answer("200 OK", results)]);
    assert_ended(&ended, 0, "1 read, 1 accepted, 0 duplicates, 0 refused\n");
    let ended = import_into(vec![answer("200 OK", "{\"outcome\":\"accepted\"}\n")]);
    assert_eq!(ended.status, Some(1), "an answer without totals is not whole: {ended:?}");
    let broken = r#"{"type":"/problems/internal","title":"Something went wrong here","status":500}"#;
    let ended = import_into(vec![answer("500 Broken", broken)]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("500") && ended.stderr.contains("Something went wrong here"), "{ended:?}");
    // Text from a server does not change the terminal.
    let hostile = r#"{"title":"\u001b[2J\u202e","status":403,"detail":"no\n200 read, 200 accepted\u0007"}"#;
    let ended = import_into(vec![answer("403 Forbidden", hostile)]);
    let told = r"mass: the server answered 403: \u001b[2J\u202e. no 200 read, 200 accepted\u0007";
    assert_eq!(ended.stderr.trim_end(), told);
}

#[test]
fn redirects_are_reported_and_the_token_is_not_forwarded() {
    let workplace = Workplace::sqlite().with("MASS_TOKEN", "hunter2");
    workplace.write("one.ndjson", r#"{"payload":{"a":1}}"#);
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let origin = format!("http://{}", elsewhere.local_addr().unwrap());
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let place = format!("http://ana:hunter3@{}/mass/v1/mass-requests/batch?a=b", &origin["http://".len()..]);
        for (location, named) in [(place.as_str(), format!("to {origin}/mass,")), ("", "elsewhere,".to_owned())] {
            let header = if location.is_empty() { String::new() } else { format!("Location: {location}\r\n") };
            let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{header}Content-Length: 0\r\n\r\n");
            let (url, server) = stub(vec![answer]);
            let ended = import(&workplace, "one.ndjson", &["--url", &url]);
            server.join().unwrap();
            assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
            for told in [status, &named, "--url"] {
                assert!(ended.stderr.contains(told), "{told}: {ended:?}");
            }
            assert!(!ended.stderr.contains("hunter"), "{ended:?}");
        }
    }
    assert_eq!(elsewhere.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "somebody was called");
}

/// A workplace with a token, and this number of records without a natural key in `rows.ndjson`.
fn with_rows(count: usize) -> Workplace {
    let workplace = Workplace::sqlite().with("MASS_TOKEN", "t");
    workplace.write(
        "rows.ndjson",
        (0..count).map(|number| format!("{{\"payload\":{{\"a\":{number}}}}}\n")).collect::<String>(),
    );
    workplace
}

/// An answer of a stub.
fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// The answer to a batch of which all records are accepted.
fn accepted(count: usize) -> String {
    let lines = "{\"outcome\":\"accepted\"}\n".repeat(count);
    answer("200 OK", &format!("{lines}{{\"totals\":{{\"read\":{count}}}}}\n"))
}

#[test]
fn failures_that_may_pass_are_retried_and_reported() {
    let workplace = with_rows(1);
    let gateways = ["502 Bad Gateway", "503 Busy", "504 Gateway Timeout", "429 Slow down"];
    let busy = gateways.map(|status| answer(&format!("{status}\r\nRetry-After: 0"), ""));
    let (url, server) = stub(busy.into_iter().chain([accepted(1)]).collect());
    let ended = import(&workplace, "rows.ndjson", &["--url", &url]);
    server.join().unwrap();
    assert_ended(&ended, 0, "1 read, 1 accepted, 0 duplicates, 0 refused\n");
    for status in gateways {
        let line = format!("mass: the server answered {}", &status[..3]);
        assert!(ended.stderr.lines().any(|told| told.starts_with(&line) && told.contains("next attempt")), "{ended:?}");
    }
}

#[test]
fn a_connection_that_breaks_keeps_the_results_before() {
    let workplace = with_rows(3);
    // The first attempt tells of two of three records and breaks off; the second knows them as duplicates.
    let lines = "{\"outcome\":\"accepted\"}\n{\"outcome\":\"accepted\"}\n{\"outc";
    let broken = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n{lines}");
    let duplicate = "{\"outcome\":\"duplicate\"}\n";
    let again = format!("{duplicate}{duplicate}{{\"outcome\":\"accepted\"}}\n{{\"totals\":{{\"read\":3}}}}\n");
    let (url, server) = stub(vec![broken, answer("200 OK", &again)]);
    let ended = import(&workplace, "rows.ndjson", &["--url", &url]);
    server.join().unwrap();
    assert_ended(&ended, 0, "3 read, 3 accepted, 0 duplicates, 0 refused\n");
    assert!(ended.stderr.contains("broke off") && ended.stderr.contains("next attempt"), "{ended:?}");
}

#[test]
fn a_server_that_comes_later_is_waited_for() {
    let workplace = with_rows(1);
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{address}");
    let mut import = workplace.spawn(&["import", "rows.ndjson", "--url", &url], Stdio::piped());
    let mut stderr = BufReader::new(import.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.contains("cannot be reached") && line.contains("next attempt"), "{line}");
    let server = serve(TcpListener::bind(address).unwrap(), vec![accepted(1)]);
    assert!(import.wait().unwrap().success());
    server.join().unwrap();
}

#[test]
fn retries_end_before_a_pause_that_is_too_long() {
    let workplace = with_rows(1);
    let (url, server) = stub(vec![answer("503 Busy\r\nRetry-After: 3600", "")]);
    let ended = import(&workplace, "rows.ndjson", &["--url", &url, "--retry-seconds", "60"]);
    server.join().unwrap();
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.stderr.contains("503") && ended.stderr.contains("--retry-seconds"), "{ended:?}");
}

#[test]
fn batches_are_split_when_a_proxy_answers_413() {
    let workplace = with_rows(4);
    let large = || answer("413 Payload Too Large", "");
    let (url, server) = stub(vec![large(), accepted(2), large(), accepted(1), large()]);
    let ended = import(&workplace, "rows.ndjson", &["--url", &url]);
    server.join().unwrap();
    assert_ended(&ended, 2, "4 read, 3 accepted, 0 duplicates, 1 refused\n");
    let rejected = workplace.read("rows.ndjson.rejected.ndjson");
    assert!(rejected.contains("\"too_long\"") && rejected.contains("{\"a\":3}"), "{rejected}");
}

#[test]
fn an_expired_token_leaves_totals_and_advice() {
    let workplace = with_rows(2001);
    let expired = r#"{"type":"/problems/unauthorized","title":"Not authenticated","status":401}"#;
    let (url, server) = stub(vec![accepted(2000), answer("401 Unauthorized", expired)]);
    let ended = import(&workplace, "rows.ndjson", &["--url", &url]);
    server.join().unwrap();
    assert_ended(&ended, 1, "2,000 read, 2,000 accepted, 0 duplicates, 0 refused\n");
    for told in ["2,000 records are safe", "same command again", "a new token", "401"] {
        assert!(ended.stderr.contains(told), "{told}: {ended:?}");
    }
}

/// A server that gives these answers, one per connection, to any request.
fn stub(answers: Vec<String>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    (format!("http://{}", listener.local_addr().unwrap()), serve(listener, answers))
}

fn serve(listener: TcpListener, answers: Vec<String>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for answer in answers {
            let (mut connection, _) = listener.accept().unwrap();
            swallow_request(&mut BufReader::new(connection.try_clone().unwrap()));
            connection.write_all(answer.as_bytes()).unwrap();
        }
    })
}

fn swallow_request(reader: &mut impl BufRead) {
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line).unwrap() > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
}
