//! Bounds on the growth of the audit trail by refusals.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use mass_domain::access::Role;
use mass_domain::canonical::{self, Fingerprint};
use mass_domain::json;
use serde_json::{Value, json};

use super::{REQUESTS, as_sent};
use crate::batch::streaming::{Sending, apart};
use crate::batch::{BATCH, counts, lines_of, outcomes, send, send_ndjson};
use crate::support::TestApp;
use crate::support::client::{Answer, Client};
use crate::support::documents::{Edit, reading, simple};

on_both!(
    refused_records_of_a_few_bytes_leave_one_small_event,
    an_unlimited_batch_leaves_one_small_event,
    the_event_of_a_batch_summarises_its_refusals,
    an_accepted_record_resets_the_count_of_consecutive_refusals,
    an_abandoned_batch_leaves_its_event,
    a_batch_with_unread_results_ends,
    refused_calls_count_towards_the_daily_quota,
    refused_records_count_towards_the_rate_limit,
    only_some_denied_operations_are_recorded,
);

also_restricted!(refused_records_of_a_few_bytes_leave_one_small_event, refused_calls_count_towards_the_daily_quota);

/// The maximum growth of the trail by a call with refused documents, in bytes.
const MOST: usize = 6 << 10;

/// The growth of the trail: its new events, and their bytes.
struct Trail<'a> {
    app: &'a TestApp,
    seen: usize,
}

impl<'a> Trail<'a> {
    fn of(app: &'a TestApp) -> Self {
        Self { app, seen: super::log(app).len() }
    }

    fn news(&mut self) -> (Vec<Value>, usize) {
        let log = super::log(self.app);
        let news = &log[self.seen..];
        self.seen = log.len();
        (news.iter().map(|text| serde_json::from_str(text).unwrap()).collect(), news.iter().map(String::len).sum())
    }

    /// Returns the only new event, which must be small.
    #[track_caller]
    fn refusals(&mut self) -> Value {
        let (events, bytes) = self.news();
        let [event] = &events[..] else { panic!("not one event: {events:#?}") };
        assert!(bytes <= MOST, "{bytes} bytes: {event}");
        assert_eq!((&event["action"], &event["outcome"]), (&json!("payload_refused"), &json!("refused")));
        event.clone()
    }
}

/// Returns the output of `yes 1 | head -COUNT | gzip -9`: a few hundred bytes.
fn ones(count: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&b"1\n".repeat(count)).unwrap();
    encoder.finish().unwrap()
}

async fn send_ones(client: &Client, query: &str, count: usize) -> Answer {
    let body = ones(count);
    assert!(body.len() < 1000, "{}", body.len());
    send(client, &format!("{BATCH}{query}"), "application/x-ndjson", body).header("Content-Encoding", "gzip").await
}

/// Returns the last line of an answer.
fn last_of(answer: Answer) -> Value {
    lines_of(&answer.expect(200).body).1
}

/// Computes the digest of refused records as docs/audit.md defines it.
fn digest(refused: impl IntoIterator<Item = (usize, &'static str, String)>) -> String {
    let lines = refused.into_iter().map(|(index, code, input)| format!("{index} {code} {input}\n"));
    Fingerprint::of(&lines.collect::<String>()).to_string()
}

async fn refused_records_of_a_few_bytes_leave_one_small_event(app: TestApp) {
    app.founder().put("/v1/admin/quotas").json(&json!({"requests_per_day": 1, "stored_bytes": 1})).await.expect(200);
    let mut trail = Trail::of(&app);
    let last = last_of(send_ones(app.founder(), "", 200_000).await);
    let error = &last["error"];
    assert_eq!((&error["type"], &error["limit"]), (&json!("/problems/too-many-refused"), &json!(5000)));
    assert!(error["detail"].as_str().unwrap().contains("MASS_BATCH_REFUSED_IN_A_ROW"), "{error}");
    let event = trail.refusals();
    let count = usize::try_from(event["detail"]["count"].as_u64().unwrap()).unwrap();
    // The limit is checked after each chunk of records.
    assert!((5000..10_000).contains(&count), "{count}");
    assert_eq!(counts(&last), json!({"read": count, "rejected": count}));
    let one = Fingerprint::of(&canonical::write(&json::parse(b"1").unwrap())).to_string();
    assert_eq!(event["detail"]["digest"], digest((0..count).map(|index| (index, "contract-violation", one.clone()))));
    assert_eq!(event["request_id"], error["request_id"]);

    // Beyond the daily quota one more call is recorded, regardless of how many follow.
    for _ in 0..5 {
        send_ones(app.founder(), "?results=errors", 200_000).await.expect(200);
    }
    let event = trail.refusals();
    assert_eq!(event["detail"]["codes"].as_object().unwrap().len(), 1);
    assert_eq!(app.database().count("mass_requests"), 0);
}

async fn an_unlimited_batch_leaves_one_small_event(app: TestApp) {
    const RECORDS: usize = 15_000;
    let app = app.another_with(&[("--batch-refused-in-a-row", "0"), ("--rate-limit-per-minute", "0")]).await;
    let mut trail = Trail::of(&app);
    let last = last_of(send_ones(app.founder(), "", RECORDS).await);
    assert_eq!((counts(&last), &last["error"]), (json!({"read": RECORDS, "rejected": RECORDS}), &Value::Null));
    assert_eq!(trail.refusals()["detail"]["count"], RECORDS);
}

async fn the_event_of_a_batch_summarises_its_refusals(app: TestApp) {
    let stored = app.post(REQUESTS).json(&reading("dev-1")).await.expect(201);
    let conflicting = reading("dev-1").with("/metrics/humidity_percent", 46);
    let wrong = reading("dev-2").with("/metrics/humidity_percent", 140);
    let documents = [simple(json!({"a": 1})), wrong.clone(), reading("dev-1"), conflicting.clone(), reading("dev-3")];
    for query in ["", "?mode=atomic"] {
        let mut trail = Trail::of(&app);
        let answer = send_ndjson(app.founder(), query, &documents).await;
        let mut events = trail.news().0;
        events.retain(|event| event["action"] == "payload_refused");
        let [event] = &events[..] else { panic!("{query}: not one event: {events:#?}") };
        assert_eq!((&event["contract"], event.get("output")), (&json!("device/1.1"), None));
        let detail = &event["detail"];
        assert_eq!(detail["records"], 5, "{query}");
        let broken = json!({
            "index": 1, "code": "contract-violation", "contract": "device/1.1", "input": as_sent(&wrong), "violation_count": 1,
            "violations": [{"stage": "semantic", "pointer": "/metrics/humidity_percent", "code": "range"}],
        });
        if query.is_empty() {
            assert_eq!(
                outcomes(&lines_of(&answer.expect(200).body).0),
                ["accepted", "rejected", "duplicate", "conflict", "accepted"]
            );
            assert_eq!((&detail["count"], event.get("input")), (&json!(2), None));
            assert_eq!(detail["codes"], json!({"contract-violation": 1, "conflict": 1}));
            let refused = json!({
                "index": 3, "code": "conflict", "contract": "device/1.1", "input": as_sent(&conflicting),
                "first_id": stored.id(),
            });
            assert_eq!(detail["first"], json!([broken, refused]));
            let refused = [(1, "contract-violation", as_sent(&wrong)), (3, "conflict", as_sent(&conflicting))];
            assert_eq!(detail["digest"], digest(refused));
        } else {
            // Storage is not consulted for a document that is invalid.
            answer.expect_problem(422, "batch-refused");
            assert_eq!((&detail["first"], &event["input"]), (&json!([broken]), &json!(as_sent(&wrong))));
        }
    }
}

async fn an_accepted_record_resets_the_count_of_consecutive_refusals(app: TestApp) {
    let app = app.another_with(&[("--batch-refused-in-a-row", "3")]).await;
    let bad = || json!({});
    let mixed = [bad(), bad(), reading("dev-1"), bad(), bad(), reading("dev-1"), bad(), bad()];
    let last = last_of(send_ndjson(app.founder(), "", &mixed).await);
    assert_eq!(counts(&last), json!({"read": 8, "accepted": 1, "duplicate": 1, "rejected": 6}));
    assert_eq!(last["error"], Value::Null);
    let last = last_of(send_ndjson(app.founder(), "", &[bad(), bad(), bad()]).await);
    assert_eq!((&last["error"]["status"], &last["error"]["limit"]), (&json!(422), &json!(3)));
}

async fn an_abandoned_batch_leaves_its_event(app: TestApp) {
    let mut trail = Trail::of(&app);
    let (address, token) = (app.address().to_string(), app.founder().token().to_owned());
    apart(move || {
        let (mut sending, mut receiving) = Sending::begin(&address, &token);
        sending.send(&[json!({}), json!({})]);
        assert_eq!(receiving.next().unwrap()["outcome"], "rejected");
    })
    .await;
    while super::log(&app).len() == trail.seen {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(trail.refusals()["detail"]["count"].as_u64().unwrap() >= 1);
}

async fn a_batch_with_unread_results_ends(app: TestApp) {
    let app = app
        .another_with(&[
            ("--batch-unread-bytes", "1048576"),
            ("--batch-refused-in-a-row", "0"),
            ("--rate-limit-per-minute", "0"),
        ])
        .await;
    let (address, token) = (app.address().to_string(), app.founder().token().to_owned());
    let trail = Trail::of(&app);
    let held = apart(move || {
        let (mut sending, receiving) = Sending::begin(&address, &token);
        // More results than fit into the sockets.
        for _ in 0..40 {
            sending.send(&vec![json!({}); 4000]);
        }
        sending.end();
        (sending, receiving)
    })
    .await;
    while super::log(&app).len() == trail.seen {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let last = apart(move || lines_of(&held.1.rest().1).1).await;
    let error = &last["error"];
    assert_eq!((&error["type"], &error["limit"]), (&json!("/problems/unavailable"), &json!(1 << 20)), "{last}");
    assert!(error["detail"].as_str().unwrap().contains("MASS_BATCH_UNREAD_BYTES"), "{error}");
    assert!(last["totals"]["read"].as_u64().unwrap() < 160_000, "{last}");
}

async fn refused_calls_count_towards_the_daily_quota(app: TestApp) {
    app.founder().put("/v1/admin/quotas").json(&json!({"requests_per_day": 3})).await.expect(200);
    app.post(REQUESTS).json(&json!({})).await.expect(422);
    send_ndjson(app.founder(), "", &[json!({}), json!({})]).await.expect(200);
    app.post(REQUESTS).json(&reading("dev-1")).await.expect(201);
    let over = app.post(REQUESTS).json(&reading("dev-2")).await.expect_problem(429, "daily-quota-exceeded");
    assert_eq!((over.at("/allowed"), over.at("/used")), (json!(3), json!(3)));
    let mut trail = Trail::of(&app);
    for _ in 0..30 {
        app.post(REQUESTS).json(&json!({})).await.expect(422);
        app.post(REQUESTS).json(&reading("dev-2")).await.expect(429);
    }
    assert_eq!(trail.news().1, 0, "the first call beyond the quota was told already");
}

async fn refused_records_count_towards_the_rate_limit(app: TestApp) {
    let app = app.another_with(&[("--rate-limit-per-minute", "20")]).await;
    let gateway = json!({"name": "gateway", "permissions": ["mass:write"]});
    let key = app.post("/v1/admin/api-keys").json(&gateway).await.expect(201);
    let gateway = app.bearer(&key.text("/token"));
    let last = last_of(send_ndjson(&gateway, "?results=errors", &vec![json!({}); 4000]).await);
    assert_eq!(
        (&last["error"]["type"], &last["error"]["scope"]),
        (&json!("/problems/rate-limited"), &json!("credential"))
    );
    let read = last["totals"]["read"].as_u64().unwrap();
    assert!((1900..4000).contains(&read), "{last}");
}

async fn only_some_denied_operations_are_recorded(app: TestApp) {
    let viewer = app.user(Role::Viewer).await;
    let mut trail = Trail::of(&app);
    for _ in 0..100 {
        viewer.post(REQUESTS).json(&reading("dev-1")).await.expect_problem(403, "forbidden");
    }
    let (events, _) = trail.news();
    // One more is recorded each minute, in case this test takes that long.
    assert!((10..15).contains(&events.len()), "{}", events.len());
    assert!(events.iter().all(|event| event["action"] == "access_refused"));
    assert!(events[..10].iter().all(|event| event["detail"].get("unrecorded").is_none()));
    app.user(Role::Viewer).await.post(REQUESTS).json(&reading("dev-1")).await.expect(403);
    let (events, _) = trail.news();
    assert_eq!(events.last().unwrap()["action"], "access_refused", "others are recorded all the same");
}
