//! Interrupted batches: failures of the body, the store, the quota and the server.

use serde_json::{Value, json};

use super::{BATCH, counts, gzip, lines_of, ndjson, outcomes, readings, send, send_ndjson};
use crate::support::TestApp;
use crate::support::documents::reading;

on_both!(
    a_malformed_array_is_stored_up_to_the_error,
    a_broken_encoding_is_stored_up_to_the_error,
    csv_rows_need_a_valid_header_row,
    a_body_that_is_not_a_batch_is_refused,
    a_window_of_zstd_over_the_limit_is_refused_by_name,
    an_invalid_first_record_gets_its_own_line,
    a_used_up_quota_leaves_the_rest_unprocessed,
    a_store_that_fails_leaves_the_rest_unprocessed,
    a_server_that_stops_leaves_the_rest_unprocessed,
);

/// Returns type and status of the problem beside the totals.
#[track_caller]
fn error(last: &Value) -> (&str, u64) {
    let problem = &last["error"];
    assert_eq!(problem["instance"], BATCH, "{last}");
    (problem["type"].as_str().unwrap(), problem["status"].as_u64().unwrap())
}

async fn a_malformed_array_is_stored_up_to_the_error(app: TestApp) {
    let [one, two] = ["dev-1", "dev-2"].map(|device| reading(device).to_string());
    let cases = [
        (format!("[{one},\n{two}"), 2, 2),
        (format!("[{one},\n{two},]"), 2, 2),
        (format!("[{one}\n{two}]"), 1, 2),
        (format!("[{one}]\n\n{two}"), 1, 3),
    ];
    for (body, read, line) in cases {
        let (lines, last) = send(app.founder(), BATCH, "application/json", body.clone()).await.lines();
        assert_eq!((lines.len(), &last["totals"]["read"]), (read, &json!(read)), "{body}");
        assert_eq!(error(&last), ("/problems/malformed-json", 400), "{body}");
        assert_eq!(last["error"]["line"], line, "{body}");
    }
    assert_eq!(app.database().count("mass_requests"), 2);
}

async fn a_broken_encoding_is_stored_up_to_the_error(app: TestApp) {
    let body = ndjson(&readings(2000));
    for (coding, whole) in [("gzip", gzip(&body)), ("zstd", zstd::encode_all(&body[..], 3).unwrap())] {
        for cut in [&whole[..whole.len() - 3], b"no such coding", b""] {
            let call = send(app.founder(), BATCH, "application/x-ndjson", cut).header("Content-Encoding", coding);
            let answer = call.await;
            if cut.len() < 20 {
                answer.expect_problem(400, "bad-request");
                continue;
            }
            let (lines, last) = answer.lines();
            assert_eq!(error(&last), ("/problems/bad-request", 400), "{coding}");
            assert_eq!(last["totals"]["read"], lines.len(), "{coding}");
        }
        let call = send(app.founder(), BATCH, "application/x-ndjson", whole).header("Content-Encoding", coding);
        assert_eq!(call.await.lines().1["totals"]["read"], 2000);
    }
    assert_eq!(app.database().count("mass_requests"), 2000);
}

async fn csv_rows_need_a_valid_header_row(app: TestApp) {
    for header in ["\u{feff}a,b", "a,a", "a.b,a"] {
        let body = format!("{header}\n1,2\n");
        let answer = send(app.founder(), &format!("{BATCH}?contract=simple/1.0"), "text/csv", body).await;
        answer.expect_problem(400, "bad-request");
    }
    let body = "a\n1\n\"2\n3\n";
    let (lines, last) = send(app.founder(), &format!("{BATCH}?contract=simple/1.0"), "text/csv", body).await.lines();
    assert_eq!((outcomes(&lines), error(&last)), (vec!["accepted"], ("/problems/malformed-json", 400)));
}

async fn a_body_that_is_not_a_batch_is_refused(app: TestApp) {
    let one = reading("dev-1");
    let [plain, pretty] = [one.to_string(), serde_json::to_string_pretty(&one).unwrap()];
    let telegraf = json!({"fields": {"value": 1}, "name": "cpu", "tags": {}, "timestamp": 1}).to_string();
    let (ndjson, array) = ("application/x-ndjson", "application/json");
    let cases = [
        (ndjson, pretty.clone(), "Expected NDJSON"),
        (ndjson, "hello".to_owned(), "Expected NDJSON"),
        (ndjson, format!("hello\n{plain}\n"), "Expected NDJSON"),
        (ndjson, format!("\u{feff}{plain}"), "Expected NDJSON"),
        (ndjson, String::new(), "Expected NDJSON"),
        (ndjson, " \n\n".to_owned(), "Expected NDJSON"),
        (array, telegraf, "Expected a JSON array"),
        (array, pretty, "Expected a JSON array"),
        (array, format!("{plain}\n{plain}"), "Expected a JSON array"),
        (array, format!("\u{feff}[{plain}]"), "Expected a JSON array"),
        (array, format!("[hello,{plain}]"), "Expected a JSON array"),
        (array, "hello".to_owned(), "Expected a JSON array"),
        (array, String::new(), "Expected a JSON array"),
        ("text/csv", String::new(), "Expected CSV"),
        ("text/csv", "\"a,b\n".to_owned(), "Expected CSV"),
    ];
    for mode in ["each", "atomic"] {
        for (media_type, body, expected) in &cases {
            let path = format!("{BATCH}?contract=device/1.1&mode={mode}");
            let answer = send(app.founder(), &path, media_type, body.clone()).await.expect(400);
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{mode} {body}");
            assert!(answer.text("/detail").starts_with(expected), "{mode} {body}: {}", answer.text("/detail"));
        }
    }
    assert_eq!(app.database().count("mass_requests"), 0);
}

async fn a_window_of_zstd_over_the_limit_is_refused_by_name(app: TestApp) {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(22).unwrap();
    std::io::Write::write_all(&mut encoder, &ndjson(&readings(2))).unwrap();
    let body = encoder.finish().unwrap();
    for mode in ["each", "atomic"] {
        let call = send(app.founder(), &format!("{BATCH}?mode={mode}"), "application/x-ndjson", body.clone());
        let answer = call.header("Content-Encoding", "zstd").await.expect_problem(400, "bad-request");
        assert!(answer.text("/detail").contains("larger than 2 MiB, the limit"), "{}", answer.text("/detail"));
    }
}

async fn an_invalid_first_record_gets_its_own_line(app: TestApp) {
    let (lines, last) = send_ndjson(app.founder(), "", &[json!({"metrics": []}), reading("dev-1")]).await.lines();
    assert_eq!((outcomes(&lines), &last["error"]), (vec!["rejected", "accepted"], &Value::Null));
}

async fn a_used_up_quota_leaves_the_rest_unprocessed(app: TestApp) {
    app.founder().put("/v1/admin/quotas").json(&json!({"requests_per_day": 700})).await.expect(200);
    let documents = readings(2000);
    let (lines, last) = send_ndjson(app.founder(), "", &documents).await.lines();
    assert_eq!(counts(&last), json!({"read": 2000, "accepted": 700, "unprocessed": 1300}));
    assert_eq!(error(&last), ("/problems/daily-quota-exceeded", 429));
    assert!(outcomes(&lines)[700..].iter().all(|outcome| *outcome == "unprocessed"));
    app.founder().put("/v1/admin/quotas").json(&json!({})).await.expect(200);
    let (_, last) = send_ndjson(app.founder(), "", &documents).await.lines();
    assert_eq!(counts(&last), json!({"read": 2000, "accepted": 1300, "duplicate": 700}));
}

async fn a_store_that_fails_leaves_the_rest_unprocessed(app: TestApp) {
    app.database().refuse_events();
    let mut documents = readings(1200);
    documents.push(json!({}));
    let (lines, last) = send_ndjson(app.founder(), "", &documents).await.lines();
    assert_eq!(counts(&last), json!({"read": 1201, "unprocessed": 1201}));
    assert_eq!(error(&last), ("/problems/internal", 500));
    assert!(!last.to_string().contains("refused"), "the cause is not told: {last}");
    assert_eq!((lines.len(), app.database().count("mass_requests")), (1201, 0));
}

async fn a_server_that_stops_leaves_the_rest_unprocessed(app: TestApp) {
    app.drain();
    let answer = send_ndjson(app.founder(), "", &readings(3)).await.expect(200);
    let (lines, last) = lines_of(&answer.body);
    assert_eq!((outcomes(&lines), error(&last)), (vec!["unprocessed"; 3], ("/problems/unavailable", 503)));
}
