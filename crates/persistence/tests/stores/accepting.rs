//! Accepting submissions: every decision, its answer and its trace.

use mass_domain::audit::{Action, Event};
use mass_domain::mass_request::{Outcome, Status};
use mass_service::{Found, Receipt, Refusal};
use serde_json::json;

use crate::databases::TestDatabase;
use crate::fixtures::{Vary, actor, at, deletion, key, origin, reading, simple, tenant, transition};

on_both!(
    a_stored_request_is_found_as_it_was_answered,
    an_equal_document_is_a_duplicate_of_any_version,
    another_document_under_the_same_natural_key_is_refused,
    a_correction_supersedes_what_stands,
    documents_without_a_natural_key_are_never_duplicates,
    natural_keys_of_different_contracts_do_not_meet,
    a_key_replays_its_first_answer_after_all_that_happened_since,
    a_key_of_another_document_is_refused,
    a_key_is_looked_at_before_the_natural_key,
    a_key_remembers_that_its_first_use_was_a_duplicate,
    a_refused_attempt_does_not_use_up_its_key,
    a_batch_sees_its_own_beginning,
    a_large_batch_is_stored_in_its_order,
    a_batch_that_fails_leaves_nothing,
    instants_keep_their_microseconds,
);

async fn a_stored_request_is_found_as_it_was_answered(db: TestDatabase) {
    let sent = reading("dev-1", 20).keyed("k-1").sent(at(123_456));
    let results = db.mass().accept(&tenant(), vec![sent.clone(), simple(1)], Vec::new()).await.unwrap();
    let receipt = results[0].as_ref().unwrap();
    assert_eq!((receipt.outcome, receipt.replayed), (Outcome::Accepted, false));
    assert_eq!(receipt.request, sent.clone().into_request(&tenant(), None));
    for result in &results {
        let request = &result.as_ref().unwrap().request;
        assert_eq!(db.present(request.summary.id).await, *request);
    }
    let event = &db.events(sent.id).await[0];
    assert_eq!((event.sequence, event.event.action, event.event.at), (1, Action::Accepted, sent.at));
    assert_eq!((event.event.actor, &event.event.origin), (actor(), &origin()));
    assert_eq!(
        (event.event.contract, event.event.output),
        (Some(sent.examined.contract), Some(sent.examined.fingerprint))
    );
    assert!(event.event.detail.is_empty());
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

async fn a_correction_supersedes_what_stands(db: TestDatabase) {
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
    assert_eq!(told(&of_first[1]), (3, Action::Corrected, json!({"corrected_by": second.summary.id.to_string()})));
    assert_eq!(told(&of_second[0]), (2, Action::Accepted, json!({"corrects": first.summary.id.to_string()})));
}

async fn documents_without_a_natural_key_are_never_duplicates(db: TestDatabase) {
    assert_ne!(db.stored(simple(1)).await.summary.id, db.stored(simple(1)).await.summary.id);
}

async fn natural_keys_of_different_contracts_do_not_meet(db: TestDatabase) {
    db.stored(reading("same", 20)).await;
    let mut enterprise = reading("same", 20);
    enterprise.examined.contract = "enterprise/1.1".parse().unwrap();
    assert_eq!(db.accept(enterprise).await.unwrap().outcome, Outcome::Accepted);
}

async fn a_key_replays_its_first_answer_after_all_that_happened_since(db: TestDatabase) {
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
    // The contents are judged before the deletion.
    db.mass().delete(&tenant(), first.summary.id, deletion()).await.unwrap();
    assert_eq!(db.accept(simple(2).keyed("k")).await, reused);
}

async fn a_key_is_looked_at_before_the_natural_key(db: TestDatabase) {
    db.stored(reading("dev-1", 20)).await;
    let first = db.stored(simple(1).keyed("k")).await;
    let conflicting_too = db.accept(reading("dev-1", 21).keyed("k")).await;
    assert_eq!(conflicting_too, Err(Refusal::KeyReused { request_id: first.summary.id }));
}

async fn a_key_remembers_that_its_first_use_was_a_duplicate(db: TestDatabase) {
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

async fn a_batch_sees_its_own_beginning(db: TestDatabase) {
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
    let results = db.mass().accept(&tenant(), submissions.clone(), Vec::new()).await.unwrap();

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
    // Each answer shows the request as it was in its place.
    let corrected_by = |index: usize| results[index].as_ref().unwrap().request.summary.corrected_by;
    assert_eq!([0, 1, 2, 5].map(corrected_by), [None, None, None, Some(ids[4])]);
    assert_eq!([4, 6, 9, 10].map(corrected_by), [None, None, Some(ids[8]), None]);
    // And what is stored is how the batch ended.
    let chain =
        [(ids[0], None, Some(ids[4]), 2), (ids[4], Some(ids[0]), Some(ids[6]), 2), (ids[6], Some(ids[4]), None, 1)];
    for (id, corrects, corrected_by, version) in chain {
        let summary = db.present(id).await.summary;
        assert_eq!((summary.corrects, summary.corrected_by, summary.version), (corrects, corrected_by, version));
    }
    let mut sequences: Vec<_> = Vec::new();
    for id in [before.summary.id, ids[0], ids[4], ids[6], ids[8]] {
        sequences.extend(db.events(id).await.iter().map(|event| event.sequence));
    }
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=8).collect::<Vec<_>>());
    // Replays from what is stored are the same as from memory.
    for index in [1, 10] {
        let again = db.accept(submissions[index].clone()).await;
        assert_eq!(again.as_ref(), results[index].as_ref());
    }
}

async fn a_large_batch_is_stored_in_its_order(db: TestDatabase) {
    let submissions: Vec<_> = (0..1201).map(|n| reading(&format!("dev-{n}"), n).keyed(&format!("k-{n}"))).collect();
    let first = db.mass().accept(&tenant(), submissions.clone(), Vec::new()).await.unwrap();
    let ids = |results: &[Result<Receipt, Refusal>]| -> Vec<_> {
        results.iter().map(|result| result.as_ref().unwrap().request.summary.id).collect()
    };
    assert_eq!(ids(&first), submissions.iter().map(|sent| sent.id).collect::<Vec<_>>());
    let again = db.mass().accept(&tenant(), submissions.clone(), Vec::new()).await.unwrap();
    for (first, again) in first.into_iter().zip(again) {
        assert_eq!(again.unwrap(), Receipt { replayed: true, ..first.unwrap() });
    }
    for (index, sent) in submissions.iter().enumerate().step_by(400) {
        assert_eq!(db.events(sent.id).await[0].sequence, i64::try_from(index).unwrap() + 1);
    }
}

async fn a_batch_that_fails_leaves_nothing(db: TestDatabase) {
    let sent = simple(1).keyed("k");
    let mut same_id = simple(2);
    same_id.id = sent.id;
    assert!(db.mass().accept(&tenant(), vec![sent.clone(), same_id], Vec::new()).await.is_err());
    assert_eq!(db.mass().find(&tenant(), sent.id).await.unwrap(), Found::Absent);
    let receipt = db.accept(sent.clone()).await.unwrap();
    assert!(!receipt.replayed);
    assert_eq!(db.events(sent.id).await[0].sequence, 1);
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
