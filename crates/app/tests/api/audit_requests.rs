//! The audit events of stored and refused documents.

use mass_domain::access::Role;
use mass_domain::audit::tree::TreeHash;
use mass_domain::canonical::{self, Fingerprint};
use mass_domain::json;
use serde_json::{Value, json};

use crate::support::client::{Answer, Call};
use crate::support::documents::{Edit, reading, report, simple};
use crate::support::{TENANT, TestApp};

mod bounds;
mod imports;

on_both!(
    records_stored_requests_with_both_fingerprints,
    every_answer_has_the_position_of_its_event,
    records_a_body_that_is_not_a_document,
    records_contract_violations_without_values,
    records_conflicts_with_stored_documents,
    records_documents_for_another_tenant_in_the_callers_log,
    records_documents_over_quota,
    limits_violations_and_truncates_pointers_in_events,
    events_are_canonical_for_any_input,
    does_not_record_calls_refused_before_their_document,
    does_not_record_dry_runs_and_replays,
    a_refusal_that_cannot_be_recorded_fails_the_request,
);

also_restricted!(records_conflicts_with_stored_documents);

const REQUESTS: &str = "/v1/mass-requests";

/// The events of the first tenant's log as stored, in their order.
const LOG: &str = "SELECT event AS line FROM audit_events WHERE tenant_id = 'default' ORDER BY sequence";

/// A value in each refused document that no event may contain.
const SECRET: &str = "zebra";

/// Returns the texts of the events of the first tenant's log, and checks that it has no gap.
fn log(app: &TestApp) -> Vec<String> {
    let log = app.database().lines(LOG);
    let sequences = log.iter().map(|text| serde_json::from_str::<Value>(text).unwrap()["sequence"].as_i64().unwrap());
    assert!(sequences.eq(1..=i64::try_from(log.len()).unwrap()), "{log:#?}");
    log
}

/// Returns the problem of a call and the only new event: a refusal without any value of the document.
async fn refused(app: &TestApp, call: Call, status: u16, slug: &str) -> (Answer, Value) {
    let before = log(app).len();
    let answer = call.await.expect_problem(status, slug);
    let after = log(app);
    let [text] = &after[before..] else { panic!("not one event: {:#?}", &after[before..]) };
    assert!(!text.contains(SECRET), "{text}");
    let event: Value = serde_json::from_str(text).unwrap();
    assert_eq!((&event["action"], &event["outcome"]), (&json!("payload_refused"), &json!("refused")));
    assert_eq!((&event["tenant_id"], &event["detail"]["codes"]), (&json!(TENANT), &json!({slug: 1})));
    assert_eq!((&event["detail"]["count"], &event["detail"]["records"]), (&json!(1), &json!(1)));
    let digest = Fingerprint::of(&format!("0 {slug} {}\n", event["input"].as_str().unwrap())).to_string();
    assert_eq!(event["detail"]["digest"], digest);
    assert_eq!(event["actor"]["kind"], "user");
    assert_eq!(event["actor"]["address"], "127.0.0.1");
    assert_eq!(event["request_id"], answer.header("x-request-id").unwrap());
    assert_eq!(event["trace_id"], answer.header("traceparent").unwrap().split('-').nth(1).unwrap());
    assert_eq!(event["object"]["kind"], "mass_request");
    assert_eq!(event.get("output"), None);
    let path = format!("{REQUESTS}/{}", event["object"]["id"].as_str().unwrap());
    app.get(&path).await.expect_problem(404, "not-found");
    (answer, event)
}

/// Returns the detail of an event's only refusal.
fn told(event: &Value) -> Value {
    let [refusal] = &event["detail"]["first"].as_array().unwrap()[..] else { panic!("not one refusal: {event}") };
    let mut refusal = refusal.clone();
    let told = refusal.as_object_mut().unwrap();
    let known = ["index", "input", "contract"].map(|name| told.remove(name).unwrap_or_default());
    assert_eq!(known, [json!(0), event["input"].clone(), event.get("contract").cloned().unwrap_or_default()]);
    refusal
}

/// Returns the fingerprint of a document as sent.
fn as_sent(document: &Value) -> String {
    let document = json::parse(document.to_string().as_bytes()).unwrap();
    Fingerprint::of(&canonical::write(&document)).to_string()
}

async fn records_stored_requests_with_both_fingerprints(app: TestApp) {
    let spelled = reading("dev-1").with("/device/type", " Rack-Sensor ");
    let created = app.post(REQUESTS).json(&spelled).await.expect(201);
    let text = log(&app).pop().unwrap();
    let event: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&event["action"], &event["outcome"]), (&json!("accepted"), &json!("success")));
    assert_eq!(event["object"], json!({"id": created.id(), "kind": "mass_request"}));
    assert_eq!((&event["input"], &event["output"]), (&json!(as_sent(&spelled)), &created.at("/fingerprint")));
    assert_ne!(event["input"], event["output"]);
    assert_eq!(created.at("/audit/sequence"), event["sequence"]);
    let leaf_hash = TreeHash::of_leaf(text.as_bytes()).to_string();
    assert_eq!(created.text("/audit/leaf_hash"), leaf_hash);

    // A document that is sent in its stored form has one fingerprint.
    let again = app.post(REQUESTS).json(&created.at("/document").with("/metadata/notes", "x"));
    again.await.expect_problem(409, "conflict");
    let other = app.post(REQUESTS).json(&created.at("/document").with("/device/id", "dev-2")).await.expect(201);
    let event: Value = serde_json::from_str(&log(&app).pop().unwrap()).unwrap();
    assert_eq!((&event["input"], &event["output"]), (&other.at("/fingerprint"), &other.at("/fingerprint")));
}

async fn every_answer_has_the_position_of_its_event(app: TestApp) {
    let send = || app.post(REQUESTS).json(&reading("dev-1"));
    let created = send().key("k").await.expect(201);
    let audit = created.at("/audit");
    assert!(audit["sequence"].as_i64().unwrap() > 0);
    let path = format!("{REQUESTS}/{}", created.id());
    assert_eq!(send().await.expect(200).at("/audit"), audit);
    app.patch(&format!("{path}/status")).json(&json!({"status": "processing"})).await.expect(200);
    let replayed = send().key("k").await.expect(201);
    assert_eq!((replayed.header("idempotent-replayed"), &replayed.body), (Some("true"), &created.body));
    let corrected = app.post(&format!("{REQUESTS}?on_conflict=correct"));
    let corrected = corrected.json(&reading("dev-1").with("/metadata/notes", "x")).await.expect(201);
    assert_ne!(corrected.at("/audit"), audit);
    assert_eq!(app.get(&path).await.expect(200).at("/audit"), audit);
    let listed = app.get(REQUESTS).await.expect(200).at("/items");
    assert_eq!((&listed[0]["audit"], &listed[1]["audit"]), (&corrected.at("/audit"), &audit));
    let moved = app.patch(&format!("{path}/status")).json(&json!({"status": "done"})).await.expect(200);
    assert_eq!(moved.at("/audit"), audit);
}

async fn records_a_body_that_is_not_a_document(app: TestApp) {
    let texts: [(&[u8], &str); 4] = [
        (b"{\"payload\": \"zebra\",}", "syntax"),
        (b"", "empty_body"),
        (b"{\"zebra\": 1, \"zebra\": 2}", "duplicate_key"),
        (b"\"zebra\xff\r\n\"", "invalid_utf8"),
    ];
    for (text, syntax) in texts {
        // This is checked before anything else about the call.
        for path in [REQUESTS.to_owned(), format!("{REQUESTS}?on_conflict=perhaps")] {
            let call = app.post(&path).body(text).key("");
            let (_, event) = refused(&app, call, 400, "malformed-json").await;
            assert_eq!(event["input"], Fingerprint::of_unreadable(text).to_string());
            assert_eq!(told(&event), json!({"code": "malformed-json", "syntax": syntax}));
            assert_eq!(event.get("contract"), None);
        }
    }
}

async fn records_contract_violations_without_values(app: TestApp) {
    let wrong = reading("dev-1").with("/metrics/temperature_celsius", SECRET).with("/metadata/notes", SECRET);
    let (_, event) = refused(&app, app.post(REQUESTS).json(&wrong), 422, "contract-violation").await;
    assert_eq!((&event["contract"], &event["input"]), (&json!("device/1.1"), &json!(as_sent(&wrong))));
    let violation = json!({"code": "type", "pointer": "/metrics/temperature_celsius", "stage": "structural"});
    let detail = json!({"code": "contract-violation", "violation_count": 1, "violations": [violation]});
    assert_eq!(told(&event), detail);

    let unknown = json!({"nothing": SECRET});
    let (_, event) = refused(&app, app.post(REQUESTS).json(&unknown), 422, "contract-violation").await;
    assert_eq!((event.get("contract"), &told(&event)["violations"][0]["code"]), (None, &json!("no_contract")));

    let call = app.post(REQUESTS).json(&report("r-1").with("/request/idempotency_key", SECRET)).key("another");
    let (_, event) = refused(&app, call, 422, "contract-violation").await;
    assert_eq!(told(&event)["violations"][0]["pointer"], "/request/idempotency_key");
}

async fn records_conflicts_with_stored_documents(app: TestApp) {
    let first = app.post(REQUESTS).json(&reading("dev-1")).await.expect(201).id();
    let keyed = app.post(REQUESTS).json(&simple(json!({"a": 1}))).key("k").await.expect(201).id();
    let gone = app.post(REQUESTS).json(&simple(json!({"a": SECRET}))).key("gone").await.expect(201).id();
    app.delete(&format!("{REQUESTS}/{gone}")).await.expect(204);
    let secret = simple(json!({"a": SECRET}));
    for (document, key, status, slug, first_id) in [
        (reading("dev-1").with("/metadata/notes", SECRET), "other", 409, "conflict", first),
        (secret.clone(), "k", 422, "idempotency-key-reused", keyed),
        (secret, "gone", 410, "gone", gone),
    ] {
        let call = app.post(REQUESTS).json(&document).key(key);
        let (answer, event) = refused(&app, call, status, slug).await;
        assert_eq!(answer.text("/first_id"), first_id);
        assert_eq!(told(&event), json!({"code": slug, "first_id": first_id}));
        assert_eq!(event["input"], as_sent(&document));
    }
}

async fn records_documents_for_another_tenant_in_the_callers_log(app: TestApp) {
    app.foreigner(Role::Viewer).await;
    let others = || app.database().count("audit_events WHERE tenant_id = 'other'");
    let before = others();
    let foreign = report("r-1").with("/request/tenant_id", "other");
    let (_, event) = refused(&app, app.post(REQUESTS).json(&foreign), 403, "foreign-tenant").await;
    assert_eq!((&event["contract"], told(&event)), (&json!("enterprise/1.1"), json!({"code": "foreign-tenant"})));
    assert_eq!(event["input"], as_sent(&foreign));
    assert_eq!(others(), before);
}

async fn records_documents_over_quota(app: TestApp) {
    app.post(REQUESTS).json(&reading("dev-1")).await.expect(201);
    for (quotas, status, slug) in [
        (json!({"requests_per_day": 1}), 429, "daily-quota-exceeded"),
        (json!({"stored_bytes": 1}), 403, "quota-exceeded"),
    ] {
        app.founder().put("/v1/admin/quotas").json(&quotas).await.expect(200);
        let document = simple(json!({"a": SECRET}));
        let (_, event) = refused(&app, app.post(REQUESTS).json(&document), status, slug).await;
        assert_eq!((told(&event), &event["contract"]), (json!({"code": slug}), &json!("simple/1.0")));
    }
}

async fn limits_violations_and_truncates_pointers_in_events(app: TestApp) {
    let mut wrong = reading("dev-1");
    for number in 0..30 {
        wrong = wrong.with(&format!("/{number:03}{}", "ü".repeat(300)), SECRET);
    }
    let (answer, event) = refused(&app, app.post(REQUESTS).json(&wrong), 422, "contract-violation").await;
    let refusal = told(&event);
    assert_eq!(refusal["violation_count"], answer.violations().len());
    let named = refusal["violations"].as_array().unwrap();
    assert!((5..20).contains(&named.len()) && refusal.to_string().len() < 4096, "{refusal}");
    for violation in named {
        assert_eq!(violation["pointer"].as_str().unwrap().chars().count(), 256, "{violation}");
    }
}

async fn events_are_canonical_for_any_input(app: TestApp) {
    let odd = reading("dev-1").with("/zz\r\n\u{1}\u{2028}\u{fb33}😀\"\\", 1e21).with("/€", 2);
    refused(&app, app.post(REQUESTS).json(&odd), 422, "contract-violation").await;
    app.post(REQUESTS).json(&reading("dev-1")).await.expect(201);
    for text in log(&app) {
        assert!(!text.contains(['\r', '\n']), "{text}");
        assert_eq!(canonical::write(&json::parse(text.as_bytes()).unwrap()), text);
    }
}

async fn does_not_record_calls_refused_before_their_document(app: TestApp) {
    let before = log(&app);
    app.post(REQUESTS).body("x".repeat((1 << 20) + 1)).await.expect_problem(413, "too-large");
    app.post(REQUESTS).bytes("{}").await.expect_problem(415, "unsupported-media-type");
    let coded = app.post(REQUESTS).body("{}").header("Content-Encoding", "gzip");
    coded.await.expect_problem(415, "unsupported-media-type");
    let query = app.post(&format!("{REQUESTS}?on_conflict=perhaps")).json(&reading("dev-1"));
    query.await.expect_problem(422, "invalid-parameter");
    app.post(REQUESTS).json(&reading("dev-1")).key("").await.expect_problem(422, "invalid-parameter");
    assert_eq!(log(&app), before);
}

async fn does_not_record_dry_runs_and_replays(app: TestApp) {
    let send = || app.post(REQUESTS).json(&reading("dev-1"));
    send().key("k").await.expect(201);
    let before = log(&app);
    send().key("k").await.expect(201);
    send().await.expect(200);
    for door in ["validate", "normalize"] {
        let door = format!("{REQUESTS}/{door}");
        app.post(&door).json(&reading("dev-2")).await.expect(200);
        app.post(&door).body("{").await.expect_problem(400, "malformed-json");
        app.post(&door).json(&json!({})).await;
    }
    assert_eq!(log(&app), before);
}

async fn a_refusal_that_cannot_be_recorded_fails_the_request(app: TestApp) {
    app.post(REQUESTS).json(&reading("dev-1")).await.expect(201);
    app.database().refuse_events();
    app.post(REQUESTS).body("{").await.expect_problem(500, "internal");
    app.post(REQUESTS).json(&json!({"nothing": 1})).await.expect_problem(500, "internal");
    let conflicting = reading("dev-1").with("/metadata/notes", "x");
    app.post(REQUESTS).json(&conflicting).await.expect_problem(500, "internal");
}
