//! Status changes and deletions of requests.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use mass_domain::audit::{Action, Event, Object};
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::{MassRequest, RequestFilter, Status};
use mass_domain::page::Limit;
use mass_domain::trace::RequestId;
use mass_service::{
    CountedSet, DeleteError, DeletedStep, Deletion, DeletionStep, Found, Refusal, Transition, TransitionError,
};
use serde_json::json;
use uuid::Uuid;

use crate::databases::{DatabaseLocation, TestDatabase};
use crate::fixtures::{Vary, at, deletion, reading, simple, tenant, transition};

on_both!(
    a_status_change_is_stored_and_recorded,
    the_same_status_changes_nothing,
    a_status_change_is_checked_against_the_stored_status,
    a_deleted_request_is_gone_for_every_operation,
    deletion_erases_everything_but_the_fingerprint,
    deleting_the_last_version_reinstates_the_one_before,
    deleting_a_superseded_version_reinstates_nothing,
    a_chain_of_corrections_skips_deleted_versions,
    a_freed_natural_key_can_be_used_again,
    steps_of_a_deletion_follow_the_ids_and_leave_later_changes,
    a_request_that_a_step_reinstates_and_deletes_keeps_its_versions_in_order,
);

async fn find(db: &TestDatabase, id: MassRequestId) -> Found<MassRequest> {
    db.mass().find(&tenant(), id).await.unwrap()
}

async fn delete(db: &TestDatabase, id: MassRequestId) {
    db.mass().delete(&tenant(), id, deletion()).await.unwrap();
}

/// Stores versions of one reading, each correcting the one before; returns their ids.
async fn chain<const N: usize>(db: &TestDatabase) -> [MassRequestId; N] {
    let mut ids = [MassRequestId::from_uuid(Uuid::nil()); N];
    for (celsius, id) in (0..).zip(&mut ids) {
        *id = db.stored(reading("dev-1", celsius).correcting()).await.summary.id;
    }
    ids
}

/// Returns the current version, by sending a conflicting document.
async fn standing(db: &TestDatabase) -> MassRequestId {
    match db.accept(reading("dev-1", 99)).await {
        Err(Refusal::Conflict { request_id, .. }) => request_id,
        other => panic!("nothing stands: {other:?}"),
    }
}

async fn a_status_change_is_stored_and_recorded(db: TestDatabase) {
    let request = db.stored(reading("dev-1", 20)).await;
    let id = request.summary.id;
    let reason = Some("the engine is \"down\"".to_owned());
    let failing = Transition { reason, expected: Some(vec![7, 1]), ..transition(Status::Failed) };
    let moved = db.mass().transition(&tenant(), id, failing).await.unwrap();

    let mut expected = request;
    expected.summary.status = Status::Failed;
    expected.summary.version = 2;
    expected.summary.updated_at = at(2_000_000);
    assert_eq!(moved, expected);
    assert_eq!(find(&db, id).await, Found::Present(moved));
    let event = &db.events(id).await[1];
    assert_eq!((event.sequence, event.event.action, event.event.at), (2, Action::StatusChanged, at(2_000_000)));
    assert_eq!(
        json!(event.event.detail),
        json!({"from": "pending", "to": "failed", "reason": "the engine is \"down\""})
    );
}

async fn the_same_status_changes_nothing(db: TestDatabase) {
    let request = db.stored(simple(1)).await;
    let id = request.summary.id;
    assert_eq!(db.mass().transition(&tenant(), id, transition(Status::Pending)).await.unwrap(), request);
    assert_eq!(db.events(id).await.len(), 1);
}

async fn a_status_change_is_checked_against_the_stored_status(db: TestDatabase) {
    let id = db.stored(simple(1)).await.summary.id;
    let refused = db.mass().transition(&tenant(), id, transition(Status::Done)).await;
    assert!(matches!(refused, Err(TransitionError::NotAllowed { from: Status::Pending, to: Status::Done })));
    let outdated = Transition { expected: Some(vec![2]), ..transition(Status::Processing) };
    assert!(matches!(db.mass().transition(&tenant(), id, outdated).await, Err(TransitionError::Stale)));
    let outdated = Deletion { expected: Some(vec![]), ..deletion() };
    assert!(matches!(db.mass().delete(&tenant(), id, outdated).await, Err(DeleteError::Stale)));
    assert_eq!(db.events(id).await.len(), 1);
}

async fn a_deleted_request_is_gone_for_every_operation(db: TestDatabase) {
    let id = db.stored(reading("dev-1", 20)).await.summary.id;
    delete(&db, id).await;
    assert_eq!(find(&db, id).await, Found::Deleted);
    assert_eq!(db.mass().list_events(&tenant(), id).await.unwrap(), Found::Deleted);
    let moved = db.mass().transition(&tenant(), id, transition(Status::Processing)).await;
    assert!(matches!(moved, Err(TransitionError::Gone)));
    assert!(matches!(db.mass().delete(&tenant(), id, deletion()).await, Err(DeleteError::Gone)));
    assert_eq!(db.mass().list(&tenant(), &RequestFilter::default(), None, Limit::DEFAULT).await.unwrap(), []);

    let unknown = MassRequestId::from_uuid(Uuid::nil());
    assert_eq!(find(&db, unknown).await, Found::Absent);
    assert_eq!(db.mass().list_events(&tenant(), unknown).await.unwrap(), Found::Absent);
    let moved = db.mass().transition(&tenant(), unknown, transition(Status::Processing)).await;
    assert!(matches!(moved, Err(TransitionError::NotFound)));
    assert!(matches!(db.mass().delete(&tenant(), unknown, deletion()).await, Err(DeleteError::NotFound)));
}

async fn deletion_erases_everything_but_the_fingerprint(db: TestDatabase) {
    let mut sent = reading("dev-1", 20).keyed("k");
    sent.examined.index.batch_id = Some("batch-1".to_owned());
    sent.call_id = RequestId::parse("call-1").ok();
    let stored = db.stored(sent).await.summary;
    delete(&db, stored.id).await;
    let request = "SELECT document || warnings || version || coalesce(natural_key, correlation_id, site_id, device_id, \
                   idempotency_key, batch_id, call_id, ' and nothing else') AS line FROM mass_requests WHERE observed_at IS NULL";
    assert_eq!(db.place.lines(request), ["[]2 and nothing else"]);
    let deleted = db.place.lines("SELECT event AS line FROM audit_events WHERE action = 'deleted'");
    let event = Event::read(&deleted[0]).unwrap().event;
    assert_eq!((event.object, event.output), (Object::MassRequest(stored.id), Some(stored.fingerprint)));
    assert!(event.detail.is_empty());
}

async fn deleting_the_last_version_reinstates_the_one_before(db: TestDatabase) {
    let [first, second] = chain(&db).await;
    delete(&db, second).await;
    let request = db.present(first).await;
    assert_eq!((request.summary.corrected_by, request.summary.version), (None, 3));
    assert_eq!(request.summary.updated_at, at(3_000_000));
    let events = db.events(first).await;
    let told: Vec<_> = events.iter().map(|event| (event.sequence, event.event.action)).collect();
    assert_eq!(told, [(1, Action::Accepted), (3, Action::Corrected), (5, Action::Reinstated)]);
    assert_eq!(standing(&db).await, first);
}

async fn deleting_a_superseded_version_reinstates_nothing(db: TestDatabase) {
    let [first, second, third] = chain(&db).await;
    delete(&db, second).await;
    let request = db.present(first).await;
    assert_eq!(request.summary.corrected_by, Some(second));
    assert_eq!(standing(&db).await, third);
}

async fn a_chain_of_corrections_skips_deleted_versions(db: TestDatabase) {
    let [first, second, third, fourth] = chain(&db).await;
    delete(&db, third).await;
    delete(&db, second).await;
    assert_eq!(standing(&db).await, fourth);
    delete(&db, fourth).await;
    assert_eq!(standing(&db).await, first);

    // A document equal to a deleted version is not a duplicate of it.
    let again = db.stored(reading("dev-1", 2).correcting()).await;
    assert_eq!(again.summary.corrects, Some(first));
    delete(&db, again.summary.id).await;
    assert_eq!(standing(&db).await, first);
}

async fn a_freed_natural_key_can_be_used_again(db: TestDatabase) {
    let [first, second] = chain(&db).await;
    delete(&db, first).await;
    delete(&db, second).await;
    let again = db.stored(reading("dev-1", 0)).await;
    assert_eq!((again.summary.corrects, again.summary.version), (None, 1));
}

fn step(log_size: u64, after: Option<MassRequestId>, limit: u16) -> DeletionStep {
    let Deletion { actor, at, origin, .. } = deletion();
    DeletionStep { log_size, after, limit, actor, at, origin }
}

async fn steps_of_a_deletion_follow_the_ids_and_leave_later_changes(db: TestDatabase) {
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(db.stored(simple(number)).await.summary.id);
    }
    let filter = RequestFilter { contract: Some("simple/1.0".parse().unwrap()), ..RequestFilter::default() };
    let counted = db.mass().count(&tenant(), &filter, None, None).await.unwrap();
    assert_eq!(counted, CountedSet { matched: 5, log_size: 5 });
    db.mass().transition(&tenant(), ids[1], transition(Status::Failed)).await.unwrap();
    let late = db.stored(simple(9)).await.summary.id;

    let first = db.mass().delete_step(&tenant(), &filter, step(5, None, 3)).await.unwrap();
    assert_eq!(first, DeletedStep { deleted: 2, changed: 1, last: Some(ids[2]) });
    let rest = db.mass().count(&tenant(), &filter, Some(5), first.last).await.unwrap();
    assert_eq!(rest.matched, 2);
    let second = db.mass().delete_step(&tenant(), &filter, step(5, first.last, 3)).await.unwrap();
    assert_eq!(second, DeletedStep { deleted: 2, changed: 0, last: Some(ids[4]) });
    let third = db.mass().delete_step(&tenant(), &filter, step(5, second.last, 3)).await.unwrap();
    assert_eq!(third, DeletedStep::default());
    db.present(ids[1]).await;
    db.present(late).await;
    assert_eq!(db.events(late).await.len(), 1);
    assert_eq!(db.mass().count(&tenant(), &filter, None, None).await.unwrap(), CountedSet { matched: 2, log_size: 11 });
}

/// Ids of another server, whose clock is behind, precede those of the requests that theirs correct.
async fn a_request_that_a_step_reinstates_and_deletes_keeps_its_versions_in_order(db: TestDatabase) {
    let older = db.stored(reading("dev-1", 20).sent(at(1000))).await.summary.id;
    let newer = db.stored(reading("dev-1", 21).correcting().sent(at(0))).await.summary.id;
    assert!(newer < older);
    let filter = RequestFilter { device_id: Some("dev-1".to_owned()), ..RequestFilter::default() };
    let done = db.mass().delete_step(&tenant(), &filter, step(3, None, 10)).await.unwrap();
    assert_eq!(done, DeletedStep { deleted: 2, changed: 0, last: Some(older) });
    let versions = db.place.lines("SELECT CAST(version AS TEXT) AS line FROM mass_requests ORDER BY version");
    assert_eq!(versions, ["2", "4"], "accepted, corrected, reinstated, deleted");
}

/// Returns true if any file of an SQLite database contains a text.
pub(crate) fn is_in_a_file(place: &DatabaseLocation, text: &str) -> bool {
    let DatabaseLocation::Sqlite(folder) = place else { panic!("not SQLite") };
    let files = std::fs::read_dir(folder.path().join("data")).unwrap().map(|file| file.unwrap().path());
    let contents: Vec<_> = files.map(|file| std::fs::read(file).unwrap()).collect();
    assert!(contents.len() >= 3, "the database, its log and its index");
    contents.iter().any(|content| content.windows(text.len()).any(|window| window == text.as_bytes()))
}

#[tokio::test]
async fn sqlite_files_contain_nothing_of_deleted_documents() {
    let db = TestDatabase::sqlite().await;
    let marked = |n: i64| format!("to-be-erased-{n}-");
    let mut ids = Vec::new();
    for n in 0..30 {
        // Some of the documents take pages of their own.
        let device = format!("{}{}", marked(n), "x".repeat(if n % 3 == 0 { 6000 } else { 40 }));
        ids.push(db.stored(reading(&device, 20).keyed(&format!("key-{n}"))).await.summary.id);
    }
    assert!((0..30).all(|n| is_in_a_file(&db.place, &marked(n))));
    for (n, id) in (0..30).zip(&ids).skip(1) {
        delete(&db, *id).await;
        assert!(!is_in_a_file(&db.place, &marked(n)), "{n}");
    }

    // A reader of the old state needs the write-ahead log, which is cleared once the reader has ended.
    let mut reader = db.place.sqlite_connection();
    reader.batch_execute("BEGIN; SELECT count(*) FROM mass_requests").unwrap();
    delete(&db, ids[0]).await;
    assert!(is_in_a_file(&db.place, &marked(0)));
    reader.batch_execute("COMMIT").unwrap();
    while is_in_a_file(&db.place, &marked(0)) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    db.stored(simple(1)).await;
}
