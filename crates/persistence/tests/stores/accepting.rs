//! Accepting submissions: decisions, receipts and events.

use mass_admin_service::QuotaChange;
use mass_domain::audit::tree::TreeHash;
use mass_domain::audit::{Act, Action, Event, NewEvent, Object};
use mass_domain::mass_request::{AuditLeaf, Outcome, RequestFilter, Status};
use mass_domain::page::Limit;
use mass_domain::tenancy::{OverQuota, Quotas, TenantId};
use mass_service::{Found, Receipt, Refusal};
use serde_json::json;

use crate::databases::TestDatabase;
use crate::fixtures::{Vary, act, actor, at, deletion, key, origin, reading, simple, tenant, transition, unplaced};

on_both!(
    stored_requests_are_read_back_unchanged,
    an_equal_document_is_a_duplicate_of_any_version,
    another_document_under_the_same_natural_key_is_refused,
    a_correction_supersedes_the_current_version,
    documents_without_a_natural_key_are_never_duplicates,
    natural_keys_of_different_contracts_are_independent,
    a_key_replays_its_first_answer_after_later_changes,
    a_key_of_another_document_is_refused,
    the_idempotency_key_precedes_the_natural_key,
    a_key_of_a_duplicate_replays_the_duplicate,
    a_refused_attempt_does_not_use_up_its_key,
    a_batch_sees_its_own_earlier_documents,
    a_large_batch_is_stored_in_its_order,
    a_failed_batch_leaves_nothing,
    instants_keep_their_microseconds,
    every_receipt_has_the_position_of_its_event,
    a_refused_submission_leaves_no_event_of_its_own,
    atomic_documents_are_not_stored_beside_a_refused_one,
    refused_calls_count_towards_the_daily_quota_and_one_more_is_recorded,
    a_quota_raised_by_another_process_applies_at_once,
    a_replay_changes_nothing,
    events_of_refused_documents_are_stored_in_the_same_transaction,
    a_large_batch_is_stored_with_many_events_of_refused_calls,
    a_failed_batch_records_no_refusal,
);

/// Returns the events of the tenant's log, and checks that it has no gap.
fn log(db: &TestDatabase) -> Vec<Event> {
    let texts = db.place.lines("SELECT event AS line FROM audit_events WHERE tenant_id = 'default' ORDER BY sequence");
    let events: Vec<_> = texts.iter().map(|text| Event::read(text).unwrap()).collect();
    assert!((1..).zip(&events).all(|(due, event)| event.sequence == due), "{events:#?}");
    events
}

/// Returns the number of events in the tenant's log.
fn log_size(db: &TestDatabase) -> i64 {
    i64::try_from(log(db).len()).unwrap()
}

/// Returns the leaf of an event.
fn leaf(event: &Event) -> AuditLeaf {
    AuditLeaf { sequence: event.sequence, leaf_hash: TreeHash::of_leaf(event.write().as_bytes()) }
}

/// Builds the event of a call with refused documents.
fn refused_before(tenant: &TenantId, number: i64) -> NewEvent {
    let object = Object::MassRequest(simple(number).id);
    Act::new(actor(), at(1), &origin()).refused(tenant, Action::PayloadRefused, object).with("number", number)
}

async fn stored_requests_are_read_back_unchanged(db: TestDatabase) {
    let sent = reading("dev-1", 20).keyed("k-1").sent(at(123_456));
    let before = log_size(&db);
    let results = db.mass().accept(&tenant(), vec![sent.clone(), simple(1)], Vec::new(), None).await.unwrap().unwrap();
    let receipt = results[0].as_ref().unwrap();
    assert_eq!((receipt.outcome, receipt.replayed), (Outcome::Accepted, false));
    assert_eq!(unplaced(receipt.request.clone()), sent.clone().into_request(&tenant(), None));
    for result in &results {
        let request = &result.as_ref().unwrap().request;
        assert_eq!(db.present(request.summary.id).await, *request);
    }
    let event = &db.events(sent.id).await[0];
    assert_eq!((event.sequence, event.event.action, event.event.at), (before + 1, Action::Accepted, sent.at));
    assert_eq!((event.event.actor, &event.event.origin), (actor(), &origin()));
    assert_eq!(
        (event.event.contract, event.event.input, event.event.output),
        (Some(sent.examined.contract), Some(sent.input), Some(sent.examined.fingerprint))
    );
    let told: Vec<_> = event.event.detail.keys().collect();
    assert_eq!(told, ["index"]);
}

async fn an_equal_document_is_a_duplicate_of_any_version(db: TestDatabase) {
    let first = db.stored(reading("dev-1", 20)).await;
    let second = db.stored(reading("dev-1", 21).correcting()).await;
    for (celsius, original) in [(20, &first), (21, &second)] {
        let receipt = db.accept(reading("dev-1", celsius).correcting()).await.unwrap();
        assert_eq!((receipt.outcome, receipt.replayed), (Outcome::Duplicate, false));
        assert_eq!(receipt.request, db.present(original.summary.id).await);
    }
    assert_eq!(db.events(second.summary.id).await.len(), 1, "a duplicate is no event");
}

async fn another_document_under_the_same_natural_key_is_refused(db: TestDatabase) {
    let first = db.stored(reading("dev-1", 20)).await;
    let other = reading("dev-1", 21);
    let conflict = Refusal::Conflict {
        request_id: first.summary.id,
        stored: first.summary.fingerprint,
        sent: other.examined.fingerprint,
    };
    assert_eq!(db.accept(other.clone()).await, Err(conflict));
    assert_eq!(db.mass().find(&tenant(), other.id).await.unwrap(), Found::Absent);
}

async fn a_correction_supersedes_the_current_version(db: TestDatabase) {
    let before = log_size(&db);
    let first = db.stored(reading("dev-1", 20).sent(at(10))).await;
    let second = db.stored(reading("dev-1", 21).correcting().sent(at(20))).await;
    assert_eq!(second.summary.outcome, Outcome::Correction);
    assert_eq!(second.summary.corrects, Some(first.summary.id));

    let mut superseded = first.clone();
    superseded.summary.corrected_by = Some(second.summary.id);
    superseded.summary.version = 2;
    superseded.summary.updated_at = at(20);
    assert_eq!(db.present(first.summary.id).await, superseded);
    assert_eq!(db.present(second.summary.id).await, second);

    let of_first = db.events(first.summary.id).await;
    let of_second = db.events(second.summary.id).await;
    let told = |event: &Event| (event.sequence, event.event.action, json!(event.event.detail));
    assert_eq!(
        told(&of_first[1]),
        (before + 3, Action::Corrected, json!({"corrected_by": second.summary.id.to_string()}))
    );
    let (sequence, action, mut detail) = told(&of_second[0]);
    assert!(detail.as_object_mut().unwrap().remove("index").is_some());
    assert_eq!((sequence, action), (before + 2, Action::Accepted));
    assert_eq!(detail, json!({"corrects": first.summary.id.to_string()}));
}

async fn documents_without_a_natural_key_are_never_duplicates(db: TestDatabase) {
    assert_ne!(db.stored(simple(1)).await.summary.id, db.stored(simple(1)).await.summary.id);
}

async fn natural_keys_of_different_contracts_are_independent(db: TestDatabase) {
    db.stored(reading("same", 20)).await;
    let mut enterprise = reading("same", 20);
    enterprise.examined.contract = "enterprise/1.1".parse().unwrap();
    assert_eq!(db.accept(enterprise).await.unwrap().outcome, Outcome::Accepted);
}

async fn a_key_replays_its_first_answer_after_later_changes(db: TestDatabase) {
    let first = db.accept(reading("dev-1", 20).keyed("k")).await.unwrap();
    let id = first.request.summary.id;
    db.mass().transition(&tenant(), id, transition(Status::Processing)).await.unwrap();
    db.stored(reading("dev-1", 21).correcting()).await;
    assert_eq!(db.present(id).await.summary.version, 3);

    let replay = db.accept(reading("dev-1", 20).keyed("k").correcting()).await.unwrap();
    assert_eq!(replay, Receipt { replayed: true, ..first });

    db.mass().delete(&tenant(), id, deletion()).await.unwrap();
    let refused = db.accept(reading("dev-1", 20).keyed("k")).await;
    assert_eq!(refused, Err(Refusal::KeyOfDeleted { request_id: id }));
}

async fn a_key_of_another_document_is_refused(db: TestDatabase) {
    let first = db.stored(simple(1).keyed("k")).await;
    let reused = Err(Refusal::KeyReused { request_id: first.summary.id });
    assert_eq!(db.accept(simple(2).keyed("k")).await, reused);
    let mut same_text_under_another_contract = simple(1).keyed("k");
    same_text_under_another_contract.examined.contract = "device/1.1".parse().unwrap();
    assert_eq!(db.accept(same_text_under_another_contract).await, reused);
    // The content is compared before the deletion is noticed.
    db.mass().delete(&tenant(), first.summary.id, deletion()).await.unwrap();
    assert_eq!(db.accept(simple(2).keyed("k")).await, reused);
}

async fn the_idempotency_key_precedes_the_natural_key(db: TestDatabase) {
    db.stored(reading("dev-1", 20)).await;
    let first = db.stored(simple(1).keyed("k")).await;
    let conflicting_too = db.accept(reading("dev-1", 21).keyed("k")).await;
    assert_eq!(conflicting_too, Err(Refusal::KeyReused { request_id: first.summary.id }));
}

async fn a_key_of_a_duplicate_replays_the_duplicate(db: TestDatabase) {
    let original = db.stored(reading("dev-1", 20)).await;
    let duplicate = db.accept(reading("dev-1", 20).keyed("k")).await.unwrap();
    assert_eq!((duplicate.outcome, &duplicate.request), (Outcome::Duplicate, &original));
    db.mass().transition(&tenant(), original.summary.id, transition(Status::Failed)).await.unwrap();
    let replay = db.accept(reading("dev-1", 20).keyed("k")).await.unwrap();
    assert_eq!(replay, Receipt { replayed: true, ..duplicate });
}

async fn a_refused_attempt_does_not_use_up_its_key(db: TestDatabase) {
    db.stored(reading("dev-1", 20)).await;
    assert!(db.accept(reading("dev-1", 21).keyed("k")).await.is_err());
    let receipt = db.accept(reading("dev-1", 21).keyed("k").correcting()).await.unwrap();
    assert_eq!((receipt.outcome, receipt.replayed), (Outcome::Correction, false));
}

async fn a_batch_sees_its_own_earlier_documents(db: TestDatabase) {
    let before = db.stored(reading("dev-2", 1)).await;
    let submissions = vec![
        reading("dev-1", 20).keyed("k"),
        reading("dev-1", 20).keyed("k"),
        reading("dev-1", 20).keyed("duplicate"),
        reading("dev-1", 21),
        reading("dev-1", 21).correcting().keyed("correction"),
        reading("dev-1", 20),
        reading("dev-1", 22).correcting(),
        reading("dev-1", 99).keyed("k"),
        reading("dev-2", 2).correcting(),
        reading("dev-2", 1),
        reading("dev-1", 21).keyed("correction"),
    ];
    let ids: Vec<_> = submissions.iter().map(|sent| sent.id).collect();
    let log_before = log(&db).len();
    let results = db.mass().accept(&tenant(), submissions.clone(), Vec::new(), None).await.unwrap().unwrap();

    let told: Vec<_> = results
        .iter()
        .map(|result| result.as_ref().map(|receipt| (receipt.outcome, receipt.replayed, receipt.request.summary.id)))
        .collect();
    let fingerprint = |index: usize| submissions[index].examined.fingerprint;
    let conflict = Refusal::Conflict { request_id: ids[0], stored: fingerprint(0), sent: fingerprint(3) };
    assert_eq!(
        told,
        [
            Ok((Outcome::Accepted, false, ids[0])),
            Ok((Outcome::Accepted, true, ids[0])),
            Ok((Outcome::Duplicate, false, ids[0])),
            Err(&conflict),
            Ok((Outcome::Correction, false, ids[4])),
            Ok((Outcome::Duplicate, false, ids[0])),
            Ok((Outcome::Correction, false, ids[6])),
            Err(&Refusal::KeyReused { request_id: ids[0] }),
            Ok((Outcome::Correction, false, ids[8])),
            Ok((Outcome::Duplicate, false, before.summary.id)),
            Ok((Outcome::Correction, true, ids[4])),
        ]
    );
    // Each receipt shows the request as it was at its position in the batch.
    let corrected_by = |index: usize| results[index].as_ref().unwrap().request.summary.corrected_by;
    assert_eq!([0, 1, 2, 5].map(corrected_by), [None, None, None, Some(ids[4])]);
    assert_eq!([4, 6, 9, 10].map(corrected_by), [None, None, Some(ids[8]), None]);
    // The stored rows show the end of the batch.
    let chain =
        [(ids[0], None, Some(ids[4]), 2), (ids[4], Some(ids[0]), Some(ids[6]), 2), (ids[6], Some(ids[4]), None, 1)];
    for (id, corrects, corrected_by, version) in chain {
        let summary = db.present(id).await.summary;
        assert_eq!((summary.corrects, summary.corrected_by, summary.version), (corrects, corrected_by, version));
    }
    let told: Vec<_> =
        log(&db)[log_before..].iter().map(|event| (event.event.action, event.event.object.clone())).collect();
    let of = |index: usize| Object::MassRequest(ids[index]);
    assert_eq!(
        told,
        [
            (Action::Accepted, of(0)),
            (Action::Accepted, of(4)),
            (Action::Corrected, of(0)),
            (Action::Accepted, of(6)),
            (Action::Corrected, of(4)),
            (Action::Accepted, of(8)),
            (Action::Corrected, Object::MassRequest(before.summary.id)),
        ]
    );
    // Replays from the store equal those from memory.
    for index in [1, 10] {
        let again = db.accept(submissions[index].clone()).await;
        assert_eq!(again.as_ref(), results[index].as_ref());
    }
}

async fn a_large_batch_is_stored_in_its_order(db: TestDatabase) {
    let submissions: Vec<_> = (0..1201).map(|n| reading(&format!("dev-{n}"), n).keyed(&format!("k-{n}"))).collect();
    let before = log_size(&db);
    let first = db.mass().accept(&tenant(), submissions.clone(), Vec::new(), None).await.unwrap().unwrap();
    let ids = |results: &[Result<Receipt, Refusal>]| -> Vec<_> {
        results.iter().map(|result| result.as_ref().unwrap().request.summary.id).collect()
    };
    assert_eq!(ids(&first), submissions.iter().map(|sent| sent.id).collect::<Vec<_>>());
    let again = db.mass().accept(&tenant(), submissions.clone(), Vec::new(), None).await.unwrap().unwrap();
    for (first, again) in first.into_iter().zip(again) {
        assert_eq!(again.unwrap(), Receipt { replayed: true, ..first.unwrap() });
    }
    for (index, sent) in submissions.iter().enumerate().step_by(400) {
        assert_eq!(db.events(sent.id).await[0].sequence, before + i64::try_from(index).unwrap() + 1);
    }
}

async fn a_failed_batch_leaves_nothing(db: TestDatabase) {
    let sent = simple(1).keyed("k");
    let before = log_size(&db);
    let mut same_id = simple(2);
    same_id.id = sent.id;
    assert!(db.mass().accept(&tenant(), vec![sent.clone(), same_id], Vec::new(), None).await.is_err());
    assert_eq!(db.mass().find(&tenant(), sent.id).await.unwrap(), Found::Absent);
    let receipt = db.accept(sent.clone()).await.unwrap();
    assert!(!receipt.replayed);
    assert_eq!(db.events(sent.id).await[0].sequence, before + 1);
    assert_eq!(receipt.request.summary.idempotency_key.as_deref(), Some(key("k").as_str()));
}

async fn instants_keep_their_microseconds(db: TestDatabase) {
    let instants = ["0001-01-01T00:00:00.000001Z", "1969-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"];
    for (n, instant) in (0..).zip(instants) {
        let mut sent = reading(&format!("dev-{n}"), n);
        sent.examined.index.observed_at = Some(instant.parse().unwrap());
        let id = db.stored(sent).await.summary.id;
        assert_eq!(db.present(id).await.summary.observed_at.unwrap().to_string(), instant);
    }
}

async fn every_receipt_has_the_position_of_its_event(db: TestDatabase) {
    let submissions = vec![
        reading("dev-1", 20).keyed("k"),
        reading("dev-1", 20).keyed("k"),
        reading("dev-1", 20),
        reading("dev-1", 21).correcting(),
    ];
    let results = db.mass().accept(&tenant(), submissions.clone(), Vec::new(), None).await.unwrap().unwrap();
    let answered: Vec<_> = results.into_iter().map(|result| result.unwrap().request.summary).collect();
    let first = leaf(&db.events(submissions[0].id).await[0]);
    let correction = leaf(&db.events(submissions[3].id).await[0]);
    assert_eq!(
        answered.iter().map(|summary| summary.audit).collect::<Vec<_>>(),
        [first, first, first, correction].map(Some)
    );
    assert_ne!(first, correction);

    // The same from the store, after later changes.
    db.mass().transition(&tenant(), submissions[0].id, transition(Status::Processing)).await.unwrap();
    for (sent, leaf) in [(0, first), (1, first), (2, first), (3, correction)] {
        let again = db.accept(submissions[sent].clone()).await.unwrap().request.summary;
        assert_eq!(again.audit, Some(leaf));
        assert_eq!(db.present(again.id).await.summary.audit, Some(leaf));
    }
    let listed = db.mass().list(&tenant(), &RequestFilter::default(), None, Limit::DEFAULT).await.unwrap();
    assert_eq!(listed.iter().map(|row| row.audit).collect::<Vec<_>>(), [Some(correction), Some(first)]);
}

async fn a_refused_submission_leaves_no_event_of_its_own(db: TestDatabase) {
    db.stored(reading("dev-1", 20)).await;
    db.stored(simple(1).keyed("k")).await;
    let before = log_size(&db);
    for sent in [reading("dev-1", 21), simple(3).keyed("k")] {
        db.accept(sent).await.unwrap_err();
    }
    assert_eq!(log_size(&db), before);
}

async fn atomic_documents_are_not_stored_beside_a_refused_one(db: TestDatabase) {
    db.stored(reading("dev-1", 20)).await;
    let before = log_size(&db);
    let documents = vec![simple(1), reading("dev-1", 21)];
    let results = db.mass().store_all_or_none(&tenant(), documents.clone()).await.unwrap();
    assert!(matches!(results[..], [Ok(_), Err(Refusal::Conflict { .. })]), "{results:?}");
    assert_eq!(db.mass().find(&tenant(), documents[0].id).await.unwrap(), Found::Absent);
    assert_eq!(log_size(&db), before);
}

async fn refused_calls_count_towards_the_daily_quota_and_one_more_is_recorded(db: TestDatabase) {
    let allow = async |requests_per_day: Option<u64>| {
        let quotas = Quotas { requests_per_day, ..Quotas::default() };
        db.quotas().update(&tenant(), QuotaChange { quotas, act: act(at(2)) }).await.unwrap();
    };
    let told = || log(&db).iter().filter(|event| event.event.action == Action::PayloadRefused).count();
    let refuse = async |number: i64| {
        db.mass().accept(&tenant(), Vec::new(), vec![refused_before(&tenant(), number)], None).await.unwrap().unwrap();
    };
    allow(Some(3)).await;
    db.stored(simple(1)).await;
    for number in 0..2 {
        refuse(number).await;
    }
    assert_eq!(told(), 2);
    assert!(matches!(db.accept(simple(2)).await, Err(Refusal::OverQuota(OverQuota::Requests { used: 3, .. }))));
    for number in 0..20 {
        refuse(number).await;
    }
    assert_eq!(told(), 3);
    // Many events of one group, too.
    let many = (0..20).map(|number| refused_before(&tenant(), number)).collect();
    db.mass().accept(&tenant(), Vec::new(), many, None).await.unwrap().unwrap();
    assert_eq!(told(), 3);
    allow(Some(6)).await;
    db.stored(simple(3)).await;
    refuse(1).await;
    assert_eq!(told(), 4);
    db.accept(simple(4)).await.unwrap_err();
    allow(None).await;
    db.stored(simple(5)).await;
    refuse(1).await;
    assert_eq!(told(), 5);
}

async fn a_quota_raised_by_another_process_applies_at_once(db: TestDatabase) {
    let other = db.place.open();
    let allow = async |requests_per_day: u64| {
        let quotas = Quotas { requests_per_day: Some(requests_per_day), ..Quotas::default() };
        other.stores().admin.quotas.update(&tenant(), QuotaChange { quotas, act: act(at(2)) }).await.unwrap();
    };
    for round in 1..10 {
        allow(round).await;
        db.stored(simple(i64::try_from(round).unwrap())).await;
        for _ in 0..3 {
            assert!(matches!(db.accept(simple(0)).await, Err(Refusal::OverQuota(_))));
        }
    }
}

async fn a_replay_changes_nothing(db: TestDatabase) {
    db.stored(reading("dev-1", 20).keyed("k")).await;
    let before = log_size(&db);
    for repeated in [reading("dev-1", 20).keyed("k"), reading("dev-1", 20)] {
        db.accept(repeated).await.unwrap();
    }
    assert_eq!(log_size(&db), before);
}

async fn events_of_refused_documents_are_stored_in_the_same_transaction(db: TestDatabase) {
    let before = log(&db).len();
    let refused = [1, 2, 3].map(|number| refused_before(&tenant(), number));
    let sent = simple(4);
    let results = db.mass().accept(&tenant(), vec![sent.clone()], refused[..2].to_vec(), None).await.unwrap().unwrap();
    assert_eq!(results.len(), 1);
    let alone = db.mass().accept(&tenant(), Vec::new(), refused[2..].to_vec(), None).await.unwrap().unwrap();
    assert_eq!(alone, []);
    let accepted = db.events(sent.id).await.remove(0).event;
    let told: Vec<_> = log(&db)[before..].iter().map(|event| event.event.clone()).collect();
    let [first, second, third] = refused;
    assert_eq!(told, [first, second, accepted, third]);
}

async fn a_large_batch_is_stored_with_many_events_of_refused_calls(db: TestDatabase) {
    let before = log(&db).len();
    // Every third document conflicts with the one before it.
    let submissions = (0..900).map(|n| reading(&format!("dev-{}", n - i64::from(n % 3 == 2)), n)).collect();
    let refused = (0..700).map(|number| refused_before(&tenant(), number)).collect();
    let results = db.mass().accept(&tenant(), submissions, refused, None).await.unwrap().unwrap();
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 300);
    let log = &log(&db)[before..];
    let count = |action: Action| log.iter().filter(|event| event.event.action == action).count();
    assert_eq!((count(Action::Accepted), count(Action::PayloadRefused), log.len()), (600, 700, 1300));
    for request in results.iter().flatten().map(|receipt| &receipt.request.summary).step_by(100) {
        let event = log.iter().find(|event| event.event.object == Object::MassRequest(request.id)).unwrap();
        assert_eq!(request.audit, Some(leaf(event)));
    }
}

async fn a_failed_batch_records_no_refusal(db: TestDatabase) {
    let before = log_size(&db);
    let first = simple(1);
    let mut same_id = simple(2);
    same_id.id = first.id;
    let refused = vec![refused_before(&tenant(), 3)];
    assert!(db.mass().accept(&tenant(), vec![first, same_id], refused, None).await.is_err());
    assert_eq!(log_size(&db), before);
}
