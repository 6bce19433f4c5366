//! Strict batches: the status tells whether all went well.

use serde_json::{Value, json};

use super::revocation::key;
use super::streaming::{Sending, apart};
use super::{BATCH, counts, lines_of, ndjson, outcomes, readings, send, send_ndjson};
use crate::support::TestApp;
use crate::support::client::Answer;
use crate::support::documents::{Edit, reading, simple};

on_both!(
    a_strict_batch_answers_200_if_all_went_well,
    refused_records_give_422_and_the_others_are_stored,
    a_problem_in_the_middle_gives_its_status_with_the_totals_so_far,
    a_body_that_breaks_off_gives_400_with_the_totals_so_far,
    a_body_that_is_no_batch_is_refused_as_in_each_mode,
    too_many_refused_records_end_a_strict_batch,
    a_revoked_key_ends_a_strict_batch_with_401,
    results_after_the_first_10000_are_errors_alone,
    results_without_room_are_left_out_and_the_totals_count_them,
);

const STRICT: &str = "?mode=strict";

/// Returns the lines of a strict batch, with the last one apart, and checks that its problem is this one.
#[track_caller]
fn failed(answer: Answer, status: u16, slug: &str) -> (Vec<Value>, Value) {
    let answer = answer.expect(status);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let (lines, last) = lines_of(&answer.body);
    assert_eq!(last["error"]["type"], format!("/problems/{slug}"), "{last}");
    (lines, last)
}

async fn a_strict_batch_answers_200_if_all_went_well(app: TestApp) {
    let documents = readings(1200);
    for outcome in ["accepted", "duplicate"] {
        let answer = send_ndjson(app.founder(), STRICT, &documents).await.expect(200);
        let (lines, last) = lines_of(&answer.body);
        assert_eq!(outcomes(&lines), vec![outcome; 1200]);
        assert_eq!((counts(&last), &last["error"]), (json!({"read": 1200, outcome: 1200}), &Value::Null));
        assert_eq!(last["truncated"], Value::Null);
    }
    let (lines, last) = send_ndjson(app.founder(), "?mode=strict&results=errors", &documents).await.lines();
    assert_eq!((lines.len(), counts(&last)), (0, json!({"read": 1200, "duplicate": 1200})));
    let empty = send(app.founder(), &format!("{BATCH}{STRICT}"), "application/json", "[]").await;
    assert_eq!(counts(&empty.lines().1), json!({}));
    assert_eq!(app.database().count("mass_requests"), 1200);
}

async fn refused_records_give_422_and_the_others_are_stored(app: TestApp) {
    let other = reading("dev-1").with("/metrics/humidity_percent", 50);
    let documents = [reading("dev-1"), json!({}), other, reading("dev-2")];
    let answer = send_ndjson(app.founder(), STRICT, &documents).await;
    let (lines, last) = failed(answer, 422, "records-refused");
    assert_eq!(outcomes(&lines), ["accepted", "rejected", "conflict", "accepted"]);
    assert_eq!(counts(&last), json!({"read": 4, "accepted": 2, "rejected": 1, "conflict": 1}));
    assert_eq!(last["error"]["detail"], "2 of 4 records are refused; the others are stored.");
    assert_eq!(app.database().count("mass_requests"), 2);
    assert_eq!(app.database().count("audit_events WHERE action = 'payload_refused'"), 1);
    // Without them all went well.
    send_ndjson(app.founder(), STRICT, &[reading("dev-1"), reading("dev-2")]).await.expect(200);
}

async fn a_problem_in_the_middle_gives_its_status_with_the_totals_so_far(app: TestApp) {
    let quota = json!({"requests_per_day": 700});
    app.founder().put("/v1/admin/quotas").json(&quota).await.expect(200);
    let answer = send_ndjson(app.founder(), STRICT, &readings(2000)).await;
    assert!(answer.header("retry-after").unwrap().ends_with("GMT"), "{answer:?}");
    let (lines, last) = failed(answer, 429, "daily-quota-exceeded");
    assert_eq!(counts(&last), json!({"read": 2000, "accepted": 700, "unprocessed": 1300}));
    assert_eq!(lines.len(), 2000);
    app.founder().put("/v1/admin/quotas").json(&json!({})).await.expect(200);
    app.drain();
    let answer = send_ndjson(app.founder(), STRICT, &readings(3)).await;
    assert_eq!(answer.header("retry-after"), Some("5"));
    let (lines, _) = failed(answer, 503, "unavailable");
    assert_eq!(outcomes(&lines), ["unprocessed"; 3]);
    let app = app.another().await;
    app.database().refuse_events();
    let answer = send_ndjson(app.founder(), STRICT, &readings(800)[700..]).await;
    let (_, last) = failed(answer, 500, "internal");
    assert_eq!(counts(&last), json!({"read": 100, "unprocessed": 100}));
    assert_eq!(app.database().count("mass_requests"), 700);
}

async fn a_body_that_breaks_off_gives_400_with_the_totals_so_far(app: TestApp) {
    let [one, two] = ["dev-1", "dev-2"].map(|device| reading(device).to_string());
    let path = format!("{BATCH}{STRICT}");
    let answer = send(app.founder(), &path, "application/json", format!("[{one},\n{two},]")).await;
    let (lines, last) = failed(answer, 400, "malformed-json");
    assert_eq!(outcomes(&lines), ["accepted", "accepted"]);
    assert_eq!((counts(&last), &last["error"]["line"]), (json!({"read": 2, "accepted": 2}), &json!(2)));
    // The problem counts more than the refused records before it.
    let answer = send(app.founder(), &path, "application/json", format!("[{one},{{}},")).await;
    let (lines, _) = failed(answer, 400, "malformed-json");
    assert_eq!(outcomes(&lines), ["duplicate", "rejected"]);
}

async fn a_body_that_is_no_batch_is_refused_as_in_each_mode(app: TestApp) {
    let path = format!("{BATCH}{STRICT}&contract=device/1.1");
    for (media_type, body) in
        [("application/x-ndjson", "hello"), ("application/json", "{}"), ("text/csv", ""), ("application/x-ndjson", "")]
    {
        let answer = send(app.founder(), &path, media_type, body).await.expect(400);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{body}");
        assert!(answer.text("/detail").starts_with("Expected "), "{body}");
    }
    let refused = send_ndjson(app.founder(), "?mode=stricter", &[]).await;
    refused.expect_violations("invalid-parameter", &["?mode parameter"]);
}

async fn too_many_refused_records_end_a_strict_batch(app: TestApp) {
    let app = app.another_with(&[("--batch-refused-in-a-row", "600")]).await;
    let mut documents = vec![json!({}); 3000];
    documents.extend(readings(1));
    let answer = send_ndjson(app.founder(), STRICT, &documents).await;
    let (_, last) = failed(answer, 422, "too-many-refused");
    assert_eq!((&last["error"]["limit"], &last["totals"]["accepted"]), (&json!(600), &json!(0)));
    assert_eq!(app.database().count("mass_requests"), 0);
}

async fn a_revoked_key_ends_a_strict_batch_with_401(app: TestApp) {
    let (caller, path) = key(&app).await;
    let (address, token) = (app.address().to_string(), caller.token().to_owned());
    let (mut sending, receiving) = apart(move || {
        let (mut sending, receiving) = Sending::begin_with(&address, &token, STRICT, "identity");
        sending.send(&readings(1));
        (sending, receiving)
    })
    .await;
    while app.database().count("mass_requests") == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!receiving.has_begun(), "the answer waits for the end");
    app.delete(&path).await.expect(204);
    let text = apart(move || {
        sending.send(&readings(3)[1..]);
        sending.end();
        receiving.up_to("/problems/unauthenticated")
    })
    .await;
    assert!(text.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{text}");
    assert!(text.contains("www-authenticate: Bearer realm=\"mass\""), "{text}");
    assert!(text.contains("\"read\":3,\"accepted\":1") && text.contains("\"unprocessed\":2"), "{text}");
    assert_eq!(app.database().count("mass_requests"), 1);
}

async fn results_after_the_first_10000_are_errors_alone(app: TestApp) {
    let mut documents: Vec<Value> = (0..10_200).map(|number| simple(json!({"n": number}))).collect();
    documents.push(json!({}));
    let answer = send_ndjson(app.founder(), STRICT, &documents).await;
    let (lines, last) = failed(answer, 422, "records-refused");
    assert_eq!((lines.len(), &lines[10_000]["index"]), (10_001, &json!(10_200)));
    assert_eq!(last["truncated"], true);
    assert_eq!(counts(&last), json!({"read": 10_201, "accepted": 10_200, "rejected": 1}));
}

async fn results_without_room_are_left_out_and_the_totals_count_them(app: TestApp) {
    let flags =
        [("--batch-unread-bytes", "1048576"), ("--batch-refused-in-a-row", "0"), ("--rate-limit-per-minute", "0")];
    let app = app.another_with(&flags).await;
    let documents = vec![json!({}); 12_000];
    let answer = send_ndjson(app.founder(), STRICT, &documents).await;
    let (lines, last) = failed(answer, 422, "records-refused");
    assert!((1000..12_000).contains(&lines.len()), "{}", lines.len());
    assert_eq!((&last["truncated"], counts(&last)), (&json!(true), json!({"read": 12_000, "rejected": 12_000})));
    let body = ndjson(&readings(1));
    send(app.founder(), &format!("{BATCH}{STRICT}"), "application/x-ndjson", body).await.expect(200);
}
