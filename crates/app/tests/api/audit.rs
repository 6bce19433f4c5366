//! The audit trail over HTTP: events, checkpoints, proofs, exports and receipts.

use std::collections::BTreeSet;

use mass_audit_service::export::{ExportReport, ExportVerifier, verify_export};
use mass_audit_service::receipt::{DocumentForm, Receipt, verify_document, verify_receipt};
use mass_audit_service::signer::open_checkpoint;
use mass_domain::access::Role;
use mass_domain::audit::note::{Checkpoint, NoteKey};
use mass_domain::audit::tree::{TreeHash, verify_consistency, verify_inclusion};
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::database::unlock_audit_trail;
use crate::support::documents::{reading, simple};
use crate::support::{OTHER_TENANT, TENANT, TestApp};

on_both!(
    events_are_listed_newest_first_page_by_page,
    events_are_filtered,
    a_wrong_filter_is_named,
    a_cursor_works_only_with_its_own_filters,
    signs_a_new_checkpoint_only_after_the_log_has_grown,
    every_event_has_an_inclusion_proof,
    every_size_has_consistency_proofs_to_smaller_sizes,
    refuses_proofs_of_missing_events,
    an_export_verifies_and_contains_its_own_event,
    an_export_extends_an_earlier_checkpoint,
    a_receipt_still_proves_a_deleted_document,
    a_receipt_survives_a_restart,
    each_tenant_has_its_own_log,
    the_audit_key_is_public_and_survives_a_restart,
    a_truncated_log_is_exported_but_not_signed,
    a_rewritten_log_is_exported_but_not_signed,
    a_log_with_a_gap_is_exported_but_not_signed,
);

also_restricted!(
    events_are_filtered,
    every_event_has_an_inclusion_proof,
    an_export_verifies_and_contains_its_own_event,
    a_receipt_still_proves_a_deleted_document,
    each_tenant_has_its_own_log,
);

const EVENTS: &str = "/v1/audit/events";
const CHECKPOINT: &str = "/v1/audit/checkpoint";
const INCLUSION: &str = "/v1/audit/proofs/inclusion";
const CONSISTENCY: &str = "/v1/audit/proofs/consistency";
const EXPORT: &str = "/v1/audit/export";
const REQUESTS: &str = "/v1/mass-requests";

/// The served public key.
async fn key(app: &TestApp) -> NoteKey {
    app.anonymous().get("/.well-known/mass-audit-key").await.expect(200).text("/key").parse().unwrap()
}

/// Sends this number of requests.
async fn send(client: &Client, requests: usize) -> Vec<Answer> {
    let mut answers = Vec::new();
    for number in 0..requests {
        let document = reading(&format!("dev-{number}-{}", uuid::Uuid::now_v7()));
        answers.push(client.post(REQUESTS).json(&document).await.expect(201));
    }
    answers
}

fn items(answer: &Answer) -> Vec<Value> {
    answer.at("/items").as_array().unwrap().clone()
}

fn sequences(answer: &Answer) -> Vec<i64> {
    items(answer).iter().map(|event| event["sequence"].as_i64().unwrap()).collect()
}

fn hashes(answer: &Answer) -> Vec<TreeHash> {
    let hashes = answer.at("/hashes");
    hashes.as_array().unwrap().iter().map(|hash| hash.as_str().unwrap().parse().unwrap()).collect()
}

/// Returns a checkpoint over all events, and verifies it.
async fn checkpoint(app: &TestApp, key: &NoteKey) -> Checkpoint {
    open_checkpoint(&app.get(CHECKPOINT).await.expect(200).text("/checkpoint"), key).unwrap()
}

fn verify(export: &Answer, verifier: ExportVerifier) -> ExportReport {
    verify_export(verifier, export.body.as_slice(), |_| {}).unwrap()
}

async fn events_are_listed_newest_first_page_by_page(app: TestApp) {
    send(app.founder(), 7).await;
    let all = app.get(&format!("{EVENTS}?limit=500")).await.expect(200);
    let newest = sequences(&all)[0];
    assert_eq!(sequences(&all), (1..=newest).rev().collect::<Vec<_>>());
    let mut paged = Vec::new();
    let mut path = format!("{EVENTS}?limit=3");
    loop {
        let page = app.get(&path).await.expect(200);
        paged.extend(items(&page));
        let Some(cursor) = page.at("/next_cursor").as_str().map(str::to_owned) else { break };
        assert_eq!(page.header("link").unwrap(), format!("<{EVENTS}?limit=3&cursor={cursor}>; rel=\"next\""));
        path = format!("{EVENTS}?limit=3&cursor={cursor}");
    }
    assert_eq!(paged, items(&all));
}

async fn events_are_filtered(app: TestApp) {
    let sent = send(app.founder(), 2).await;
    let operator = app.user(Role::Operator).await;
    let other = send(&operator, 1).await.remove(0);
    let me = operator.get("/v1/auth/me").await.expect(200).id();
    app.delete(&format!("{REQUESTS}/{}", sent[0].id())).await.expect(204);
    app.post(REQUESTS).json(&simple(json!("no object"))).await.expect(422);

    let found = async |filter: String| {
        let page = app.get(&format!("{EVENTS}?limit=500&{filter}")).await.expect(200);
        let name = |event: &Value| {
            format!("{} {}", event["action"].as_str().unwrap(), event["object"]["kind"].as_str().unwrap())
        };
        items(&page).iter().map(name).collect::<Vec<_>>()
    };
    let accepted = "accepted mass_request".to_owned();
    assert_eq!(found("action=accepted".to_owned()).await, vec![accepted.clone(); 3]);
    assert_eq!(found("action=deleted&outcome=success".to_owned()).await, ["deleted mass_request"]);
    assert_eq!(found("action=deleted&outcome=refused".to_owned()).await, [""; 0]);
    assert_eq!(found("outcome=refused".to_owned()).await, ["payload_refused mass_request"]);
    let of_operator = found(format!("actor={me}")).await;
    assert_eq!(of_operator[0], accepted);
    assert_eq!(found(format!("actor={me}&actor_kind=user")).await, of_operator);
    assert_eq!(found(format!("actor={me}&actor_kind=api_key")).await, [""; 0]);
    let about = |id: &str| format!("object_kind=mass_request&object_id={id}");
    assert_eq!(found(about(&sent[0].id())).await, ["deleted mass_request", "accepted mass_request"]);
    assert_eq!(found(about(&other.id())).await, ["accepted mass_request"]);

    let newest = app.get(&format!("{EVENTS}?limit=1&{}", about(&other.id()))).await.expect(200).text("/items/0/at");
    assert_eq!(found(format!("action=accepted&from={newest}")).await, ["accepted mass_request"]);
    assert_eq!(found(format!("action=accepted&to={newest}")).await.len(), 2);
}

async fn a_wrong_filter_is_named(app: TestApp) {
    for (query, violations) in [
        ("limit=0", vec!["?limit parameter"]),
        ("limit=501", vec!["?limit parameter"]),
        ("action=stolen", vec!["?action parameter"]),
        ("outcome=perhaps", vec!["?outcome parameter"]),
        ("actor=me", vec!["?actor parameter"]),
        ("actor_kind=cat", vec!["?actor_kind parameter"]),
        ("from=yesterday&to=now", vec!["?from parameter", "?to parameter"]),
        ("object_kind=user", vec!["?object_kind parameter"]),
        ("object_kind=quotas&object_id=1", vec!["?object_kind parameter", "?object_id parameter"]),
        ("object_id=1", vec!["?object_id parameter"]),
        ("object_kind=operation&object_id=a%00b", vec!["?object_id parameter", "?object_kind parameter"]),
        ("object_id=", vec!["?object_id parameter"]),
    ] {
        let answer = app.get(&format!("{EVENTS}?{query}")).await.expect_problem(422, "invalid-parameter");
        let found: BTreeSet<String> = answer.violations().into_iter().collect();
        assert_eq!(found, violations.into_iter().map(str::to_owned).collect(), "{query}");
    }
    app.get(&format!("{EVENTS}?object_kind=operation&object_id=GET%20%2Fx")).await.expect(200);
}

async fn a_cursor_works_only_with_its_own_filters(app: TestApp) {
    send(app.founder(), 2).await;
    let cursor = app.get(&format!("{EVENTS}?limit=1&action=accepted")).await.expect(200).text("/next_cursor");
    app.get(&format!("{EVENTS}?limit=1&action=accepted&cursor={cursor}")).await.expect(200);
    for other in [format!("{EVENTS}?cursor={cursor}"), format!("{EVENTS}?action=deleted&cursor={cursor}")] {
        app.get(&other).await.expect_violations("invalid-parameter", &["?cursor parameter"]);
    }
    let foreigner = app.foreigner(Role::Auditor).await;
    let answer = foreigner.get(&format!("{EVENTS}?limit=1&action=accepted&cursor={cursor}")).await;
    answer.expect_violations("invalid-parameter", &["?cursor parameter"]);
}

async fn signs_a_new_checkpoint_only_after_the_log_has_grown(app: TestApp) {
    let key = key(&app).await;
    let first = app.get(CHECKPOINT).await.expect(200);
    let opened = open_checkpoint(&first.text("/checkpoint"), &key).unwrap();
    assert_eq!(opened.origin, format!("mass.local/{TENANT}"));
    assert_eq!(first.text("/origin"), opened.origin);
    assert_eq!(first.at("/size"), opened.size);
    assert_eq!(first.text("/root"), opened.root.to_string());
    assert_eq!(app.get(CHECKPOINT).await.expect(200).json(), first.json());
    send(app.founder(), 1).await;
    let second = checkpoint(&app, &key).await;
    assert_eq!(second.size, opened.size + 1);
    assert_ne!(second.root, opened.root);
}

async fn every_event_has_an_inclusion_proof(app: TestApp) {
    send(app.founder(), 9).await;
    let key = key(&app).await;
    let size = checkpoint(&app, &key).await.size;
    for event in 1..=size {
        let proof = app.get(&format!("{INCLUSION}?event={event}")).await.expect(200);
        let signed = open_checkpoint(&proof.text("/checkpoint"), &key).unwrap();
        assert_eq!((proof.at("/sequence"), proof.at("/tree_size")), (json!(event), json!(signed.size)));
        let leaf = proof.text("/leaf_hash").parse().unwrap();
        assert!(verify_inclusion(event - 1, signed.size, leaf, &hashes(&proof), signed.root), "{event}");
    }
    let newer = send(app.founder(), 1).await.remove(0);
    let event = newer.at("/audit/sequence");
    let proof = app.get(&format!("{INCLUSION}?event={event}")).await.expect(200);
    assert_eq!((proof.at("/tree_size"), proof.at("/leaf_hash")), (event, newer.at("/audit/leaf_hash")));
}

async fn every_size_has_consistency_proofs_to_smaller_sizes(app: TestApp) {
    let key = key(&app).await;
    let mut known: Vec<Checkpoint> = Vec::new();
    for _ in 0..6 {
        send(app.founder(), 1).await;
        known.push(checkpoint(&app, &key).await);
    }
    for (place, newer) in known.iter().enumerate() {
        for older in &known[..=place] {
            let (from, to) = (older.size, newer.size);
            let proof = app.get(&format!("{CONSISTENCY}?from={from}&to={to}")).await.expect(200);
            assert!(verify_consistency(from, to, &hashes(&proof), older.root, newer.root), "{from} {to}");
        }
    }
}

async fn refuses_proofs_of_missing_events(app: TestApp) {
    let size = checkpoint(&app, &key(&app).await).await.size;
    for beyond in [(size + 1).to_string(), i64::MAX.to_string(), u64::MAX.to_string()] {
        app.get(&format!("{INCLUSION}?event={beyond}")).await.expect_problem(404, "not-found");
        let answer = app.get(&format!("{CONSISTENCY}?from=1&to={beyond}")).await;
        answer.expect_violations("invalid-parameter", &["?to parameter"]);
    }
    for wrong in ["0", "-1", "one", "", "18446744073709551616"] {
        let answer = app.get(&format!("{INCLUSION}?event={wrong}")).await;
        answer.expect_violations("invalid-parameter", &["?event parameter"]);
    }
    let missing = app.get(INCLUSION).await;
    missing.expect_violations("invalid-parameter", &["?event missing_parameter"]);
    let missing = app.get(CONSISTENCY).await;
    missing.expect_violations("invalid-parameter", &["?from missing_parameter", "?to missing_parameter"]);
    let reversed = app.get(&format!("{CONSISTENCY}?from=2&to=1")).await;
    reversed.expect_violations("invalid-parameter", &["?from parameter"]);
}

async fn an_export_verifies_and_contains_its_own_event(app: TestApp) {
    send(app.founder(), 5).await;
    let key = key(&app).await;
    let before = checkpoint(&app, &key).await;
    let export = app.get(EXPORT).await.expect(200);
    assert_eq!(export.header("content-type"), Some("application/x-ndjson"));
    let file = format!("attachment; filename=\"mass-audit-{TENANT}.ndjson\"");
    assert_eq!(export.header("content-disposition"), Some(file.as_str()));
    let report = verify(&export, ExportVerifier::new(vec![key]));
    assert_eq!((report.after, report.last()), (0, before.size + 1));
    assert_eq!((report.uncovered(), report.checkpoints, report.signatures_checked), (None, 2, true));
    let events = String::from_utf8(export.body.clone()).unwrap();
    let last = events.lines().rfind(|line| line.starts_with(r#"{"event":"#)).unwrap();
    assert!(last.starts_with(r#"{"event":{"action":"audit_exported","#), "{last}");
    let refused = app.get(EXPORT).header("Accept", "application/json").await;
    refused.expect_problem(406, "not-acceptable");
}

async fn an_export_extends_an_earlier_checkpoint(app: TestApp) {
    let key = key(&app).await;
    let earlier = app.get(CHECKPOINT).await.expect(200).text("/checkpoint");
    send(app.founder(), 600).await;
    let export = app.get(EXPORT).await.expect(200);
    let size = open_checkpoint(&earlier, &key).unwrap().size;
    let report = verify(&export, ExportVerifier::new(vec![key]).with_earlier(&earlier).unwrap());
    assert_eq!((report.confirmed, report.events), (vec![size], size + 601));
}

async fn a_receipt_still_proves_a_deleted_document(app: TestApp) {
    let key = key(&app).await;
    let sent = json!({"payload": {"b": 1.0, "a": [1, 2]}});
    let request = app.post(REQUESTS).json(&sent).await.expect(201);
    let path = format!("{REQUESTS}/{}/receipt", request.id());
    let answer = app.user(Role::Viewer).await.get(&path).await.expect(200);
    let receipt: Receipt = serde_json::from_value(answer.json()).unwrap();
    let verified = verify_receipt(&receipt, &key).unwrap();
    assert_eq!(receipt.fingerprint, request.text("/fingerprint"));
    assert_eq!(json!(receipt.leaf_index + 1), request.at("/audit/sequence"));
    assert_eq!(json!(receipt.leaf_hash), request.at("/audit/leaf_hash"));
    let stored = request.at("/document").to_string();
    assert_eq!(verify_document(&verified, stored.as_bytes()), Ok(DocumentForm::Stored));
    assert!(verify_document(&verified, br#"{"payload":{}}"#).is_err());

    app.delete(&format!("{REQUESTS}/{}", request.id())).await.expect(204);
    app.get(&path).await.expect_problem(410, "gone");
    assert!(verify_receipt(&receipt, &key).is_ok());
    let export = app.get(EXPORT).await.expect(200);
    verify(&export, ExportVerifier::new(vec![key]).with_earlier(&receipt.checkpoint).unwrap());
}

async fn a_receipt_survives_a_restart(app: TestApp) {
    let key = key(&app).await;
    let request = send(app.founder(), 1).await.remove(0);
    let path = format!("{REQUESTS}/{}/receipt", request.id());
    let before = app.get(&path).await.expect(200).json();
    let app = app.restart(&[]).await;
    let after: Receipt = serde_json::from_value(app.get(&path).await.expect(200).json()).unwrap();
    assert_eq!(json!(after.event), before["event"]);
    for receipt in [serde_json::from_value(before).unwrap(), after] {
        verify_receipt(&receipt, &key).unwrap();
    }
}

async fn each_tenant_has_its_own_log(app: TestApp) {
    let key = key(&app).await;
    let foreigner = app.foreigner(Role::Auditor).await;
    let request = send(app.founder(), 3).await.remove(0);
    let signed = foreigner.get(CHECKPOINT).await.expect(200);
    assert_eq!(signed.text("/origin"), format!("mass.local/{OTHER_TENANT}"));
    foreigner.get(&format!("{REQUESTS}/{}/receipt", request.id())).await.expect_problem(404, "not-found");
    let about = format!("{EVENTS}?object_kind=mass_request&object_id={}", request.id());
    assert_eq!(items(&foreigner.get(&about).await.expect(200)), Vec::<Value>::new());
    assert_eq!(items(&app.get(&about).await.expect(200)).len(), 1);
    let export = foreigner.get(EXPORT).await.expect(200);
    assert!(!String::from_utf8_lossy(&export.body).contains(&request.id()));
    assert_eq!(verify(&export, ExportVerifier::new(vec![key])).tenant.as_str(), OTHER_TENANT);
}

async fn the_audit_key_is_public_and_survives_a_restart(app: TestApp) {
    let before = app.anonymous().get("/.well-known/mass-audit-key").await.expect(200).json();
    let app = app.restart(&[]).await;
    let after = app.anonymous().get("/.well-known/mass-audit-key").await.expect(200);
    assert_eq!(after.json(), before);
    let key: NoteKey = after.text("/key").parse().unwrap();
    assert_eq!(after.text("/name"), key.name().as_str());
}

/// Removes the triggers that protect the audit trail.
fn unlock(app: &TestApp) {
    let database = app.database();
    unlock_audit_trail(is_postgres(app), |query| database.lines(query), |sql| database.execute(sql));
}

fn is_postgres(app: &TestApp) -> bool {
    app.database().url().starts_with("postgres")
}

/// Asserts that the API reports tampering.
async fn is_broken(app: &TestApp) {
    app.get(CHECKPOINT).await.expect_problem(500, "audit-trail-broken");
    let newest = sequences(&app.get(&format!("{EVENTS}?limit=1")).await.expect(200))[0];
    app.get(&format!("{INCLUSION}?event={newest}")).await.expect_problem(500, "audit-trail-broken");
}

async fn a_truncated_log_is_exported_but_not_signed(app: TestApp) {
    send(app.founder(), 10).await;
    let key = key(&app).await;
    let earlier = app.get(CHECKPOINT).await.expect(200).text("/checkpoint");
    // Rebuilt from the beginning, so that the tree is consistent in itself.
    unlock(&app);
    app.execute(&format!("DELETE FROM audit_events WHERE tenant_id = '{TENANT}'"));
    let empty = if is_postgres(&app) { "''::bytea" } else { "x''" };
    app.execute(&format!("UPDATE audit_heads SET size = 0, frontier = {empty} WHERE tenant_id = '{TENANT}'"));
    send(app.founder(), 2).await;
    is_broken(&app).await;
    let export = app.get(EXPORT).await.expect(200);
    let verifier = || ExportVerifier::new(vec![key.clone()]);
    for verifier in [verifier(), verifier().with_earlier(&earlier).unwrap()] {
        assert!(verify_export(verifier, export.body.as_slice(), |_| {}).is_err());
    }
}

async fn a_rewritten_log_is_exported_but_not_signed(app: TestApp) {
    send(app.founder(), 10).await;
    let key = key(&app).await;
    let size = checkpoint(&app, &key).await.size;
    unlock(&app);
    let changed = "replace(event, '\"outcome\":\"success\"', '\"outcome\":\"refused\"')";
    let hash = TreeHash::of_leaf(b"another event").to_string();
    let hash = if is_postgres(&app) { format!("'\\x{hash}'::bytea") } else { format!("x'{hash}'") };
    let place = format!("WHERE tenant_id = '{TENANT}' AND sequence = {}", size - 1);
    app.execute(&format!("UPDATE audit_events SET event = {changed}, leaf_hash = {hash} {place}"));
    send(app.founder(), 1).await;
    is_broken(&app).await;
    let export = app.get(EXPORT).await.expect(200);
    let found = verify_export(ExportVerifier::new(vec![key]), export.body.as_slice(), |_| {}).unwrap_err();
    assert_eq!(found.to_string(), format!("event {} was changed: its text does not match its hash", size - 1));
}

async fn a_log_with_a_gap_is_exported_but_not_signed(app: TestApp) {
    send(app.founder(), 10).await;
    let key = key(&app).await;
    let size = checkpoint(&app, &key).await.size;
    unlock(&app);
    app.execute(&format!("DELETE FROM audit_events WHERE tenant_id = '{TENANT}' AND sequence = {}", size - 1));
    send(app.founder(), 1).await;
    is_broken(&app).await;
    app.get(&format!("{CONSISTENCY}?from=1&to={size}")).await.expect_problem(500, "audit-trail-broken");
    let export = app.get(EXPORT).await.expect(200);
    let found = verify_export(ExportVerifier::new(vec![key]), export.body.as_slice(), |_| {}).unwrap_err();
    assert_eq!(found.to_string(), format!("event {} is missing: {size} follows {}", size - 1, size - 2));
}
