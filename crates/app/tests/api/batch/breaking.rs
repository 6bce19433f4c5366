//! Batches that break: their bodies, the store, the quota, the server.

use serde_json::{Value, json};

use super::{BATCH, counts, gzip, lines_of, ndjson, outcomes, readings, send, send_ndjson};
use crate::support::TestApp;
use crate::support::documents::reading;

on_both!(
    an_array_is_taken_as_far_as_its_grammar_holds,
    a_coded_body_is_taken_as_far_as_it_can_be_decoded,
    rows_are_nothing_without_their_header,
    a_used_up_quota_leaves_the_rest_unprocessed,
    a_store_that_fails_leaves_the_rest_unprocessed,
    a_server_that_stops_leaves_the_rest_unprocessed,
);

/// The problem beside the totals: its type and status.
#[track_caller]
fn error(last: &Value) -> (&str, u64) {
    let problem = &last["error"];
    assert_eq!(problem["instance"], BATCH, "{last}");
    (problem["type"].as_str().unwrap(), problem["status"].as_u64().unwrap())
}

async fn an_array_is_taken_as_far_as_its_grammar_holds(app: TestApp) {
    let [one, two] = ["dev-1", "dev-2"].map(|device| reading(device).to_string());
    let cases = [
        (format!("[{one},\n{two}"), 2, 2),
        (format!("[{one},\n{two},]"), 2, 2),
        (format!("[{one}\n{two}]"), 1, 2),
        (format!("[{one}]\n\n{two}"), 1, 3),
        (format!("{one}\n{two}"), 0, 1),
        (format!("\u{feff}[{one}]"), 0, 1),
        (String::new(), 0, 1),
    ];
    for (body, read, line) in cases {
        let (lines, last) = send(app.founder(), BATCH, "application/json", body.clone()).await.lines();
        assert_eq!((lines.len(), &last["totals"]["read"]), (read, &json!(read)), "{body}");
        assert_eq!(error(&last), ("/problems/malformed-json", 400), "{body}");
        assert_eq!(last["error"]["line"], line, "{body}");
    }
    assert_eq!(app.database().count("mass_requests"), 2);
}

async fn a_coded_body_is_taken_as_far_as_it_can_be_decoded(app: TestApp) {
    let body = ndjson(&readings(2000));
    for (coding, whole) in [("gzip", gzip(&body)), ("zstd", zstd::encode_all(&body[..], 3).unwrap())] {
        for cut in [&whole[..whole.len() - 3], b"no such coding", b""] {
            let call = send(app.founder(), BATCH, "application/x-ndjson", cut).header("Content-Encoding", coding);
            let (lines, last) = call.await.lines();
            assert_eq!(error(&last), ("/problems/bad-request", 400), "{coding}");
            assert_eq!(last["totals"]["read"], lines.len(), "{coding}");
        }
        let call = send(app.founder(), BATCH, "application/x-ndjson", whole).header("Content-Encoding", coding);
        assert_eq!(call.await.lines().1["totals"]["read"], 2000);
    }
    assert_eq!(app.database().count("mass_requests"), 2000);
}

async fn rows_are_nothing_without_their_header(app: TestApp) {
    for header in ["\u{feff}a,b", "a,a", "a.b,a", "a,"] {
        let body = format!("{header}\n1,2\n");
        let (lines, last) =
            send(app.founder(), &format!("{BATCH}?contract=simple/1.0"), "text/csv", body).await.lines();
        assert_eq!((lines, counts(&last)), (vec![], json!({})), "{header}");
        assert_eq!(error(&last), ("/problems/bad-request", 400), "{header}");
    }
    let body = "a\n1\n\"2\n3\n";
    let (lines, last) = send(app.founder(), &format!("{BATCH}?contract=simple/1.0"), "text/csv", body).await.lines();
    assert_eq!((outcomes(&lines), error(&last)), (vec!["accepted"], ("/problems/malformed-json", 400)));
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
