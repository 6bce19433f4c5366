//! The quarantine: refused records that are kept, mended and sent again.

mod retrying;

use std::time::Duration;

use mass_domain::access::Role;
use serde_json::{Value, json};

use crate::batch::{BATCH, counts, lines_of, ndjson, outcomes, send, send_ndjson};
use crate::support::TestApp;
use crate::support::client::{Answer, Client};
use crate::support::documents::{Edit, reading, simple};

on_both!(
    keeps_refused_records_of_a_batch_with_their_violations,
    keeps_the_refused_document_of_a_single_call,
    keeps_bytes_of_any_encoding,
    the_parameter_overrides_the_setting_of_the_tenant,
    an_atomic_batch_keeps_nothing,
    a_strict_batch_succeeds_if_all_that_is_refused_is_kept,
    a_record_that_is_sent_again_is_kept_once,
    a_record_over_the_limit_is_not_kept,
    a_full_quarantine_is_told_and_the_batch_goes_on,
    a_long_batch_of_refused_records_is_bounded,
    records_are_found_by_filters_and_pages,
    each_tenant_has_its_own_quarantine,
    expired_records_are_not_found_and_are_removed,
    records_are_deleted_one_by_one_or_by_filters,
    deletes_a_bounded_number_at_once,
    records_outlive_a_restart,
);

also_restricted!(
    keeps_refused_records_of_a_batch_with_their_violations,
    the_parameter_overrides_the_setting_of_the_tenant,
    a_full_quarantine_is_told_and_the_batch_goes_on,
    each_tenant_has_its_own_quarantine,
    expired_records_are_not_found_and_are_removed,
    records_are_deleted_one_by_one_or_by_filters,
);

const QUARANTINE: &str = "/v1/quarantine";
const REQUESTS: &str = "/v1/mass-requests";
const KEPT: &str = "?quarantine=true";

/// A reading that breaks a rule.
fn wrong(device: &str) -> Value {
    reading(device).with("/metrics/humidity_percent", 140)
}

/// Sends a batch that keeps what is refused; returns its lines.
async fn keep(client: &Client, documents: &[Value]) -> Vec<Value> {
    lines_of(&send_ndjson(client, KEPT, documents).await.expect(200).body).0
}

/// Keeps a record; returns its id.
async fn keep_one(client: &Client, document: &Value) -> String {
    let refused = client.post(&format!("{REQUESTS}{KEPT}")).json(document).await;
    assert!(refused.status >= 400, "{refused:?}");
    refused.text("/quarantine_id")
}

fn id_of(line: &Value) -> String {
    line["quarantine_id"].as_str().unwrap_or_else(|| panic!("not kept: {line}")).to_owned()
}

async fn get(client: &Client, id: &str) -> Answer {
    client.get(&format!("{QUARANTINE}/{id}")).await
}

/// Returns the ids in the quarantine, oldest first.
async fn kept(client: &Client, query: &str) -> Vec<String> {
    let page = client.get(&format!("{QUARANTINE}{query}")).await.expect(200);
    let items = page.at("/items").as_array().unwrap().clone();
    items.iter().rev().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// Checks that the counted bytes are those of the records.
fn assert_counted(app: &TestApp) {
    let usage = "SELECT CAST(coalesce(sum(bytes), 0) AS text) AS line FROM quarantine_usage";
    let records = "SELECT CAST(coalesce(sum(bytes), 0) AS text) AS line FROM quarantined_records";
    assert_eq!(app.database().lines(usage), app.database().lines(records));
}

async fn keeps_refused_records_of_a_batch_with_their_violations(app: TestApp) {
    let other = reading("dev-1").with("/metrics/humidity_percent", 50);
    let records = [reading("dev-1").to_string(), wrong("dev-2").to_string(), "{\"a\": }".to_owned(), other.to_string()];
    let call = send(app.founder(), &format!("{BATCH}{KEPT}"), "application/x-ndjson", records.join("\n"));
    let answer = call.header("X-Request-Id", "call-1").await.expect(200);
    let (lines, last) = lines_of(&answer.body);
    assert_eq!(outcomes(&lines), ["accepted", "rejected", "rejected", "conflict"]);
    assert_eq!(counts(&last), json!({"read": 4, "accepted": 1, "rejected": 2, "conflict": 1}));
    assert!(lines[0].get("quarantine_id").is_none() && lines[0].get("not_quarantined").is_none());
    let ids: Vec<String> = lines[1..].iter().map(id_of).collect();
    assert_eq!(kept(app.founder(), "").await, ids);
    let contracts = [json!("device/1.1"), Value::Null, json!("device/1.1")];
    for (((id, line), record), contract) in ids.iter().zip(&lines[1..]).zip(&records[1..]).zip(contracts) {
        let found = get(app.founder(), id).await.expect(200).json();
        assert_eq!((&found["record"], &found["record_base64"]), (&json!(record), &Value::Null));
        assert_eq!((&found["violations"], &found["violation_count"]), (&line["violations"], &json!(1)));
        assert_eq!(found["codes"][0], line["violations"][0]["code"]);
        assert_eq!((&found["contract"], &found["request_id"]), (&contract, &json!("call-1")));
        assert_eq!((&found["form"], &found["created_by"]["kind"]), (&json!("json"), &json!("user")));
    }
    let told = ["accepted", "payload_refused"].map(|action| format!("audit_events WHERE action = '{action}'"));
    assert_eq!(told.map(|events| app.database().count(&events)), [1, 1], "the refusals of a call are one event");
    let all = app.database().count("audit_events");
    app.get(QUARANTINE).await.expect(200);
    app.delete(&format!("{QUARANTINE}/{}", ids[0])).await.expect(204);
    assert_eq!(app.database().count("audit_events"), all);
    assert_counted(&app);
}

async fn keeps_the_refused_document_of_a_single_call(app: TestApp) {
    let path = format!("{REQUESTS}{KEPT}");
    let valid = app.post(&path).json(&reading("dev-1")).key("k-1").await.expect(201);
    assert!(valid.json().get("quarantine_id").is_none());
    let refused = app.post(&path).json(&wrong("dev-2")).key("k-2").await.expect_problem(422, "contract-violation");
    let found = get(app.founder(), &refused.text("/quarantine_id")).await.expect(200);
    assert_eq!(found.violations(), refused.violations());
    assert_eq!((found.text("/record"), found.text("/idempotency_key")), (wrong("dev-2").to_string(), "k-2".to_owned()));
    let malformed = app.post(&path).body("{").await.expect_problem(400, "malformed-json");
    assert_eq!(get(app.founder(), &malformed.text("/quarantine_id")).await.expect(200).text("/record"), "{");
    let other = reading("dev-1").with("/metrics/humidity_percent", 50);
    let conflict = app.post(&path).json(&other).await.expect_problem(409, "conflict");
    let found = get(app.founder(), &conflict.text("/quarantine_id")).await.expect(200);
    assert_eq!(found.at("/codes"), json!(["conflict"]));
    let plain = app.post(REQUESTS).json(&wrong("dev-3")).await.expect(422).json();
    assert!(plain.get("quarantine_id").is_none() && plain.get("not_quarantined").is_none());
    assert_eq!(kept(app.founder(), "").await.len(), 3);
    app.founder().put("/v1/admin/quotas").json(&json!({"requests_per_day": 1})).await.expect(200);
    let over = app.post(&path).json(&reading("dev-4")).await.expect_problem(429, "daily-quota-exceeded");
    assert!(
        over.json().get("quarantine_id").is_none(),
        "what may be sent again tomorrow is not refused for its own sake"
    );
}

async fn keeps_bytes_of_any_encoding(app: TestApp) {
    let refused = app.post(&format!("{REQUESTS}{KEPT}")).body(&b"{\"a\":\"\xff\"}"[..]).await.expect(400);
    let found = get(app.founder(), &refused.text("/quarantine_id")).await.expect(200);
    assert_eq!((found.at("/record"), found.text("/record_base64")), (Value::Null, "eyJhIjoi/yJ9".to_owned()));
    assert_eq!(found.at("/codes"), json!(["invalid_utf8"]));
    let nul = app.post(&format!("{REQUESTS}{KEPT}")).json(&simple(json!({"a": "\0"}))).await.expect(422);
    let found = get(app.founder(), &nul.text("/quarantine_id")).await.expect(200);
    assert_eq!(
        (found.text("/record"), found.at("/codes")),
        (r#"{"payload":{"a":"\u0000"}}"#.to_owned(), json!(["nul"]))
    );
}

async fn the_parameter_overrides_the_setting_of_the_tenant(app: TestApp) {
    let number = std::cell::Cell::new(0);
    let are_kept = async |query: &str| {
        number.set(number.get() + 1);
        let document = wrong(&format!("dev-{}", number.get()));
        let batch = send_ndjson(app.founder(), query, std::slice::from_ref(&document)).await.expect(200);
        let single = app.post(&format!("{REQUESTS}{query}")).json(&wrong(&format!("one-{}", number.get()))).await;
        let is_kept = |answer: &Value| answer.get("quarantine_id").is_some();
        let both = (is_kept(&lines_of(&batch.body).0[0]), is_kept(&single.expect(422).json()));
        assert_eq!(both.0, both.1, "{query}");
        both.0
    };
    let cases = async || [are_kept("").await, are_kept("?quarantine=true").await, are_kept("?quarantine=false").await];
    assert_eq!(cases().await, [false, true, false]);
    let decide = async |decided: Value| {
        let set = app.founder().put("/v1/admin/settings").json(&json!({"quarantine": decided})).await.expect(200);
        (set.at("/quarantine"), set.at("/in_force/quarantine"))
    };
    assert_eq!(decide(json!(true)).await, (json!(true), json!(true)));
    assert_eq!(cases().await, [true, true, false]);
    assert_eq!(decide(json!(false)).await, (json!(false), json!(false)));
    assert_eq!(cases().await, [false, true, false]);
    assert_eq!(decide(Value::Null).await, (Value::Null, json!(false)));
    assert_eq!(app.database().count("quarantined_records"), 2 * 4);
    let maybe = app.post(&format!("{REQUESTS}?quarantine=maybe")).json(&reading("dev-1")).await;
    maybe.expect_violations("invalid-parameter", &["?quarantine parameter"]);
}

async fn an_atomic_batch_keeps_nothing(app: TestApp) {
    let documents = [reading("dev-1"), wrong("dev-2")];
    let asked = send_ndjson(app.founder(), "?mode=atomic&quarantine=true", &documents).await;
    asked.expect_violations("invalid-parameter", &["?quarantine parameter"]);
    app.founder().put("/v1/admin/settings").json(&json!({"quarantine": true})).await.expect(200);
    let refused = send_ndjson(app.founder(), "?mode=atomic", &documents).await.expect_problem(422, "batch-refused");
    assert!(refused.at("/records/0").get("quarantine_id").is_none());
    assert_eq!(app.database().count("quarantined_records"), 0);
}

async fn a_strict_batch_succeeds_if_all_that_is_refused_is_kept(app: TestApp) {
    let documents = [reading("dev-1"), wrong("dev-2")];
    let answer = send_ndjson(app.founder(), "?mode=strict&quarantine=true", &documents).await.expect(200);
    let (lines, last) = lines_of(&answer.body);
    assert_eq!(counts(&last), json!({"read": 2, "accepted": 1, "rejected": 1}));
    assert_eq!(kept(app.founder(), "").await, [id_of(&lines[1])]);
    app.founder().put("/v1/admin/quotas").json(&json!({"quarantine_bytes": 1})).await.expect(200);
    let more = [documents[1].clone(), wrong("dev-3")];
    let answer = send_ndjson(app.founder(), "?mode=strict&quarantine=true", &more).await.expect(422);
    let (lines, last) = lines_of(&answer.body);
    assert_eq!((lines[1]["not_quarantined"].as_str(), &last["error"]["status"]), (Some("quota"), &json!(422)));
    send_ndjson(app.founder(), "?mode=strict&quarantine=false", &documents).await.expect(422);
}

async fn a_record_that_is_sent_again_is_kept_once(app: TestApp) {
    let documents = [wrong("dev-1"), wrong("dev-2"), wrong("dev-1"), json!({"a": 1})];
    let first: Vec<String> = keep(app.founder(), &documents).await.iter().map(id_of).collect();
    assert_eq!((&first[0], first[0] == first[1]), (&first[2], false));
    let again: Vec<String> = keep(app.founder(), &documents).await.iter().map(id_of).collect();
    assert_eq!(again, first);
    assert_eq!(app.database().count("quarantined_records"), 3);
    // Equal ones without a key may stand for different things.
    let free = simple(json!({}));
    let twice = keep(app.founder(), &[free.clone(), free.clone()]).await;
    assert_ne!(id_of(&twice[0]), id_of(&twice[1]));
    let keyed = async || {
        let call = send_ndjson(app.founder(), KEPT, &[free.clone(), free.clone()]).key("batch-1");
        lines_of(&call.await.expect(200).body).0.iter().map(id_of).collect::<Vec<_>>()
    };
    let first = keyed().await;
    assert_eq!(
        (keyed().await, get(app.founder(), &first[1]).await.text("/idempotency_key")),
        (first, "batch-1:1".into())
    );
    assert_eq!(app.database().count("quarantined_records"), 7);
    assert_counted(&app);
}

async fn a_record_over_the_limit_is_not_kept(app: TestApp) {
    let app = app.another_with(&[("--body-limit-bytes", "2048")]).await;
    let long = simple(json!({"a": "x".repeat(3000)}));
    let lines = keep(app.founder(), &[wrong("dev-1"), long, reading("dev-2")]).await;
    assert_eq!(outcomes(&lines), ["rejected", "rejected", "accepted"]);
    assert_eq!((&lines[1]["not_quarantined"], lines[1].get("quarantine_id")), (&json!("too_long"), None));
    assert_eq!(kept(app.founder(), "").await, [id_of(&lines[0])]);
}

async fn a_full_quarantine_is_told_and_the_batch_goes_on(app: TestApp) {
    let first = keep(app.founder(), &[wrong("dev-1")]).await;
    let bytes = get(app.founder(), &id_of(&first[0])).await.at("/bytes").as_u64().unwrap();
    app.founder().put("/v1/admin/quotas").json(&json!({"quarantine_bytes": 2 * bytes + 9})).await.expect(200);
    let lines = keep(app.founder(), &[wrong("dev-2"), wrong("dev-3"), reading("dev-4"), wrong("dev-1")]).await;
    assert_eq!(outcomes(&lines), ["rejected", "rejected", "accepted", "rejected"]);
    assert_eq!(lines[1]["not_quarantined"], "quota");
    assert_eq!(id_of(&lines[3]), id_of(&first[0]), "what is there already needs no room");
    let single = app.post(&format!("{REQUESTS}{KEPT}")).json(&wrong("dev-3")).await.expect(422);
    assert_eq!(single.text("/not_quarantined"), "quota");
    app.delete(&format!("{QUARANTINE}/{}", id_of(&first[0]))).await.expect(204);
    keep_one(app.founder(), &wrong("dev-3")).await;
    assert_eq!(app.database().count("quarantined_records"), 2);
    assert_counted(&app);
    // Without a quota of its own, a tenant has the server's limit.
    app.founder().put("/v1/admin/quotas").json(&json!({})).await.expect(200);
    let small = app.another_with(&[("--quarantine-bytes", "0")]).await;
    let nothing = keep(small.founder(), &[wrong("dev-9")]).await;
    assert_eq!(nothing[0]["not_quarantined"], "quota");
    keep_one(app.founder(), &wrong("dev-9")).await;
}

async fn a_long_batch_of_refused_records_is_bounded(app: TestApp) {
    let app = app.another_with(&[("--quarantine-bytes", "100000"), ("--batch-refused-in-a-row", "0")]).await;
    let documents: Vec<Value> = (0..3000).map(|number| wrong(&format!("dev-{number}"))).collect();
    let lines = keep(app.founder(), &documents).await;
    let in_quarantine = lines.iter().filter(|line| line.get("quarantine_id").is_some()).count();
    let full = lines.iter().filter(|line| line["not_quarantined"] == "quota").count();
    assert_eq!((in_quarantine + full, lines.len()), (3000, 3000));
    assert!((50..1000).contains(&in_quarantine), "{in_quarantine}");
    assert_eq!(app.database().count("quarantined_records"), i64::try_from(in_quarantine).unwrap());
    assert_eq!(app.database().count("quarantine_usage WHERE bytes > 100000"), 0);
    assert_counted(&app);
    assert_eq!(app.database().count("audit_events WHERE action = 'payload_refused'"), 1);
}

async fn records_are_found_by_filters_and_pages(app: TestApp) {
    let first = send_ndjson(app.founder(), KEPT, &[wrong("dev-1"), json!({"a": 1})]).header("X-Request-Id", "call-1");
    let mut ids: Vec<String> = lines_of(&first.await.expect(200).body).0.iter().map(id_of).collect();
    let second = [simple(json!({})), reading("dev-1").without("/timestamp")];
    ids.extend(keep(app.founder(), &second).await.iter().map(id_of));
    let received = get(app.founder(), &ids[0]).await.text("/received_at");
    for (query, expected) in [
        ("?contract=device/1.1", &[0, 3][..]),
        ("?contract=simple/1.0", &[2]),
        ("?code=range", &[0]),
        ("?code=no_contract", &[1]),
        ("?code=no%5Fcontract&request_id=call-1", &[1]),
        ("?code=required&contract=simple/1.0", &[]),
        ("?code=ange", &[]),
        ("?request_id=call-1", &[0, 1]),
        ("?request_id=call-2", &[]),
        ("?received_to=2026-01-01T00:00:00Z", &[]),
        ("?received_from=2026-01-01T00:00:00Z", &[0, 1, 2, 3]),
        (&format!("?received_to={received}"), &[]),
        (&format!("?received_from={received}&code=range"), &[0]),
    ] {
        let expected: Vec<_> = expected.iter().map(|place: &usize| ids[*place].clone()).collect();
        assert_eq!(kept(app.founder(), query).await, expected, "{query}");
    }
    let (mut path, mut seen) = (format!("{QUARANTINE}?limit=3&received_from=2026-01-01T00:00:00Z"), Vec::new());
    loop {
        let page = app.get(&path).await.expect(200);
        seen.extend(page.at("/items").as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(link) = page.header("link") else { break };
        path = link.split(['<', '>']).nth(1).unwrap().to_owned();
    }
    seen.reverse();
    assert_eq!(seen, ids);
    let cursor = app.get(&format!("{QUARANTINE}?limit=1")).await.text("/next_cursor");
    let foreign = app.get(&format!("{QUARANTINE}?limit=1&code=range&cursor={cursor}")).await;
    foreign.expect_violations("invalid-parameter", &["?cursor parameter"]);
    for (query, violation) in [
        ("?code=A", "?code parameter"),
        ("?code=a%25", "?code parameter"),
        ("?contract=device/9.9", "?contract parameter"),
        ("?request_id=a%20b", "?request_id parameter"),
        ("?received_to=soon", "?received_to parameter"),
    ] {
        app.get(&format!("{QUARANTINE}{query}")).await.expect_violations("invalid-parameter", &[violation]);
    }
}

async fn each_tenant_has_its_own_quarantine(app: TestApp) {
    let stranger = app.foreigner(Role::Operator).await;
    let (own, theirs) = (keep_one(app.founder(), &wrong("dev-1")).await, keep_one(&stranger, &wrong("dev-1")).await);
    assert_ne!(own, theirs);
    assert_eq!(kept(app.founder(), "").await, std::slice::from_ref(&own));
    assert_eq!(kept(&stranger, "").await, std::slice::from_ref(&theirs));
    let path = format!("{QUARANTINE}/{own}");
    stranger.get(&path).await.expect_problem(404, "not-found");
    stranger.post(&format!("{path}/retry")).json(&reading("dev-1")).await.expect_problem(404, "not-found");
    stranger.delete(&path).await.expect_problem(404, "not-found");
    let all = stranger.delete(&format!("{QUARANTINE}?received_to=2999-01-01T00:00:00Z")).await.expect(200);
    assert_eq!(all.json(), json!({"deleted": 1, "more": false}));
    get(app.founder(), &own).await.expect(200);
    assert_counted(&app);
}

async fn expired_records_are_not_found_and_are_removed(app: TestApp) {
    let id = keep_one(app.founder(), &wrong("dev-1")).await;
    let found = get(app.founder(), &id).await.expect(200);
    let days = ["/received_at", "/expires_at"].map(|at| chrono::DateTime::parse_from_rfc3339(&found.text(at)).unwrap());
    assert_eq!((days[1] - days[0]).num_days(), 30);
    app.execute("UPDATE quarantined_records SET expires_at = '2026-01-01T00:00:00.000000Z'");
    assert_eq!(kept(app.founder(), "").await, [""; 0]);
    get(app.founder(), &id).await.expect_problem(404, "not-found");
    let retry = app.post(&format!("{QUARANTINE}/{id}/retry")).json(&reading("dev-1")).await;
    retry.expect_problem(404, "not-found");
    app.delete(&format!("{QUARANTINE}/{id}")).await.expect_problem(404, "not-found");
    let all = app.delete(&format!("{QUARANTINE}?received_to=2999-01-01T00:00:00Z")).await.expect(200);
    assert_eq!(all.at("/deleted"), 0);
    // The same record, sent again, takes the place of the expired one.
    let again = keep_one(app.founder(), &wrong("dev-1")).await;
    assert_ne!(again, id);
    assert_eq!(app.database().count("quarantined_records"), 1);
    keep(app.founder(), &(0..30).map(|number| wrong(&format!("dev-{number}"))).collect::<Vec<_>>()).await;
    let one = "id <> (SELECT id FROM quarantined_records ORDER BY id DESC LIMIT 1)";
    app.execute(&format!("UPDATE quarantined_records SET expires_at = '2026-01-01T00:00:00.000000Z' WHERE {one}"));
    let periodic = app.periodic();
    while app.database().count("quarantined_records") > 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    periodic.finish().await;
    assert_eq!(kept(app.founder(), "").await.len(), 1);
    assert_counted(&app);
    let brief = app.another_with(&[("--quarantine-days", "2")]).await;
    let found = get(brief.founder(), &keep_one(brief.founder(), &wrong("dev-99")).await).await;
    let days = ["/received_at", "/expires_at"].map(|at| chrono::DateTime::parse_from_rfc3339(&found.text(at)).unwrap());
    assert_eq!((days[1] - days[0]).num_days(), 2);
}

async fn records_are_deleted_one_by_one_or_by_filters(app: TestApp) {
    let documents = [wrong("dev-1"), wrong("dev-2"), json!({"a": 1}), json!({"a": 2})];
    let ids: Vec<String> = keep(app.founder(), &documents).await.iter().map(id_of).collect();
    let path = format!("{QUARANTINE}/{}", ids[0]);
    app.delete(&path).await.expect(204);
    app.delete(&path).await.expect_problem(404, "not-found");
    app.get(&path).await.expect_problem(404, "not-found");
    app.delete(QUARANTINE).await.expect_violations("invalid-parameter", &["?received_to missing_parameter"]);
    let delete = async |query: &str| app.delete(&format!("{QUARANTINE}?{query}")).await.expect(200).at("/deleted");
    assert_eq!(delete("received_to=2026-01-01T00:00:00Z").await, 0);
    assert_eq!(delete("received_to=2999-01-01T00:00:00Z&code=no_contract").await, 2);
    assert_eq!(kept(app.founder(), "").await, [ids[1].clone()]);
    assert_counted(&app);
    let viewer = app.user(Role::Viewer).await;
    viewer.get(QUARANTINE).await.expect(200);
    viewer.delete(&format!("{QUARANTINE}/{}", ids[1])).await.expect_problem(403, "forbidden");
    assert_eq!(delete("received_to=2999-01-01T00:00:00Z").await, 1);
    assert_eq!(app.database().count("quarantine_usage WHERE bytes <> 0"), 0);
}

async fn deletes_a_bounded_number_at_once(app: TestApp) {
    let documents: Vec<Value> = (0..1300).map(|number| json!({"number": number})).collect();
    keep(app.founder(), &documents).await;
    let delete =
        async || app.delete(&format!("{QUARANTINE}?received_to=2999-01-01T00:00:00Z")).await.expect(200).json();
    assert_eq!(delete().await, json!({"deleted": 1000, "more": true}));
    assert_counted(&app);
    assert_eq!(delete().await, json!({"deleted": 300, "more": false}));
    assert_counted(&app);
}

async fn records_outlive_a_restart(app: TestApp) {
    let id = keep_one(app.founder(), &wrong("dev-1")).await;
    let before = get(app.founder(), &id).await.expect(200).json();
    let app = app.restart(&[]).await;
    assert_eq!(get(app.founder(), &id).await.expect(200).json(), before);
    let body = ndjson(&[wrong("dev-1")]);
    let again = send(app.founder(), &format!("{BATCH}{KEPT}"), "application/x-ndjson", body).await.expect(200);
    assert_eq!(id_of(&lines_of(&again.body).0[0]), id);
}
