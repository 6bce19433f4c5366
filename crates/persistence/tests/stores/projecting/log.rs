//! The log as the projector reads it.

use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use mass_analytics_service::{Change, LogBatch, Place, Step, Unreadable};
use mass_domain::analytics::Source;
use mass_domain::audit::{Action, NewEvent};
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::Status;

use super::{measured, projector, store};
use crate::databases::{DatabaseLocation, TestDatabase};
use crate::fixtures::{Vary, at, deletion, event, other_tenant, simple, tenant, transition};

on_both!(
    a_batch_has_the_events_that_change_figures_with_their_documents,
    a_batch_is_bounded_by_events_and_by_bytes,
    what_is_removed_is_described_as_it_is_stored,
    the_newest_remaining_request_of_a_source_is_not_an_erased_one,
    archived_events_have_the_same_steps_as_before,
    stops_before_an_event_that_it_does_not_know,
    stops_before_an_event_that_is_missing,
    the_tenants_have_no_system_among_them,
);

async fn next(db: &TestDatabase) -> LogBatch {
    store(db).next(&tenant(), None, 1000, 1 << 20).await.unwrap()
}

async fn delete(db: &TestDatabase, id: MassRequestId) {
    db.mass().delete(&tenant(), id, deletion()).await.unwrap();
}

/// Describes steps: `3+1` for the event 3, which adds the request that event 1 accepted, and `3-1` if it removes it.
fn shown(steps: &[Step]) -> Vec<String> {
    let shown = |Step { sequence, change }: &Step| match change {
        Change::Added(Some(document)) => format!("{sequence}+{}", document.accepted),
        Change::Added(None) => format!("{sequence}+erased"),
        Change::Removed { accepted, stored } => {
            format!("{sequence}-{accepted}{}", if stored.is_some() { " stored" } else { "" })
        }
    };
    steps.iter().map(shown).collect()
}

async fn a_batch_has_the_events_that_change_figures_with_their_documents(db: TestDatabase) {
    let nothing = next(&db).await;
    assert_eq!((nothing.from, nothing.upto, nothing.head, nothing.steps, nothing.stopped), (0, 0, 0, Vec::new(), None));
    let sent = measured(Some("site-1"), "dev-1", 0, r#""temperature_celsius":20.5"#);
    let text = sent.examined.canonical.clone();
    let first = db.stored(sent.sent(at(7))).await.summary.id;
    db.mass().transition(&tenant(), first, transition(Status::Processing)).await.unwrap();
    let second = db.stored(measured(Some("site-1"), "dev-1", 0, r#""temperature_celsius":21"#).correcting()).await;
    let other = db.stored(simple(1)).await.summary.id;
    delete(&db, second.summary.id).await;
    delete(&db, other).await;

    let batch = next(&db).await;
    assert_eq!((batch.from, batch.upto, batch.head, batch.stopped), (0, 8, 8, None));
    assert_eq!(shown(&batch.steps), ["1+1", "3+erased", "4-1", "5+erased", "6-3", "7+1", "8-5"]);
    let Change::Added(Some(document)) = &batch.steps[0].change else { panic!("no document") };
    assert_eq!((&document.text, document.accepted_at), (&text, at(7).unix_micros()));
    assert_eq!(document.contract.to_string(), "device/1.1");
    assert!(batch.latest.is_empty() && batch.series.is_empty());
    let of_other = store(&db).next(&other_tenant(), None, 9, 9).await.unwrap();
    assert_eq!((of_other.head, of_other.steps), (0, Vec::new()));
}

async fn a_batch_is_bounded_by_events_and_by_bytes(db: TestDatabase) {
    for value in 0..450 {
        db.stored(simple(value)).await;
    }
    let read = async |limit, bytes| {
        let batch = store(&db).next(&tenant(), None, limit, bytes).await.unwrap();
        assert_eq!(i64::try_from(batch.steps.len()).unwrap(), batch.upto);
        (batch.upto, batch.head)
    };
    assert_eq!(read(3, 1 << 20).await, (3, 450));
    assert_eq!(read(1000, 1 << 20).await, (450, 450));
    // The first ten documents have 23 bytes each, the next ninety 24.
    assert_eq!(read(1000, 0).await, (1, 450));
    assert_eq!(read(1000, 22).await, (1, 450));
    assert_eq!(read(1000, 23 * 3).await, (3, 450));
    assert_eq!(read(1000, 230 + 24 * 90 + 25 * 200).await, (300, 450));
}

async fn what_is_removed_is_described_as_it_is_stored(db: TestDatabase) {
    let value = |celsius: i64| format!(r#""humidity_percent":40,"temperature_celsius":{celsius}"#);
    let mut ids = Vec::new();
    for (seconds, celsius) in [(0, 20), (60, 21), (120, 22)] {
        ids.push(db.stored(measured(None, "dev-1", seconds, &value(celsius))).await.summary.id);
    }
    projector(&db).catch_up(&tenant()).await.unwrap();
    delete(&db, ids[2]).await;
    let correction = db.stored(measured(None, "dev-1", 60, &value(23)).correcting()).await.summary.id;
    delete(&db, correction).await;

    let batch = next(&db).await;
    assert_eq!(shown(&batch.steps), ["4-3 stored", "5+erased", "6-2 stored", "7-5", "8+2"]);
    let source = Source { site_id: None, device_id: Some("dev-1".to_owned()) };
    let Change::Removed { stored: Some(stored), .. } = &batch.steps[0].change else { panic!("nothing stored") };
    assert_eq!(stored.place, Some(Place { source: source.id(), at: at(120_000_000).unix_micros() }));
    assert_eq!(stored.day, super::instant("2026-11-24T00:00:00Z"));
    let metrics: Vec<_> = batch.series[&source.id()].iter().map(|key| key.metric.as_str()).collect();
    assert_eq!(metrics, ["humidity_percent", "temperature_celsius"]);
    let latest = batch.latest[&source.id()].as_ref().unwrap();
    assert_eq!((latest.at, latest.document.accepted), (at(0).unix_micros(), 1));

    // Without the removal of the newest one, its source stays as it is.
    store(&db).apply(&tenant(), super::moving(3, 4)).await.unwrap();
    let batch = next(&db).await;
    assert!(batch.latest.is_empty());
    assert_eq!(batch.series.len(), 1);
}

async fn the_newest_remaining_request_of_a_source_is_not_an_erased_one(db: TestDatabase) {
    let mut ids = Vec::new();
    for seconds in [0, 60, 120, 180] {
        ids.push(db.stored(measured(None, "dev-1", seconds, r#""temperature_celsius":20"#)).await.summary.id);
    }
    projector(&db).catch_up(&tenant()).await.unwrap();
    for id in [3, 2, 1] {
        delete(&db, ids[id]).await;
    }
    let latest = async |limit| {
        let batch = store(&db).next(&tenant(), None, limit, 1 << 20).await.unwrap();
        batch.latest.into_values().next().unwrap().map(|latest| latest.document.accepted)
    };
    assert_eq!(latest(1).await, Some(1), "what the next events remove is erased already");
    assert_eq!(latest(3).await, Some(1));
    delete(&db, ids[0]).await;
    assert_eq!(latest(1).await, None);
    assert_eq!(latest(4).await, None);
}

fn archived() -> NewEvent {
    NewEvent { action: Action::AuditArchived, ..event(&tenant(), at(9)) }
}

/// Stores corrections, deletions and a reinstatement: 11 events.
async fn history(db: &TestDatabase) {
    let celsius = |celsius: i64| format!(r#""temperature_celsius":{celsius}"#);
    let first = db.stored(measured(None, "dev-1", 0, &celsius(20))).await.summary.id;
    let second = db.stored(measured(None, "dev-1", 0, &celsius(21)).correcting()).await.summary.id;
    let third = db.stored(measured(None, "dev-1", 0, &celsius(22)).correcting()).await.summary.id;
    db.mass().transition(&tenant(), first, transition(Status::Processing)).await.unwrap();
    delete(db, third).await;
    db.stored(measured(None, "dev-1", 60, &celsius(23))).await;
    delete(db, second).await;
}

async fn archived_events_have_the_same_steps_as_before(db: TestDatabase) {
    history(&db).await;
    let before = next(&db).await;
    assert_eq!(before.head, 11);
    let audit = &db.database.stores().audit;
    for (archive, head) in [(1..=1, 12), (2..=7, 13), (8..=10, 14)] {
        assert!(audit.archive(&tenant(), archive, archived()).await.unwrap());
        let after = next(&db).await;
        assert_eq!((after.upto, after.head, after.stopped), (head, head, None));
        assert_eq!(after.steps, before.steps);
        // In the smallest batches: each step once, and none beyond the events that are read.
        let mut steps = Vec::new();
        let mut from = 0;
        while from < head {
            let batch = store(&db).next(&tenant(), None, 1, 1 << 20).await.unwrap();
            assert!(batch.from == from && batch.upto > from, "{batch:?}");
            assert!(batch.steps.iter().all(|step| step.sequence > from && step.sequence <= batch.upto));
            steps.extend(batch.steps);
            let update = super::moving(from, batch.upto);
            store(&db).apply(&tenant(), update).await.unwrap();
            from = batch.upto;
        }
        assert_eq!(steps, before.steps);
        db.place.execute("UPDATE projections SET position = 0");
    }
}

const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

#[tokio::test]
async fn requests_stand_for_what_was_archived_before_projections_on_sqlite() {
    requests_stand_for_what_was_archived(TestDatabase::sqlite().await).await;
}

#[tokio::test]
async fn requests_stand_for_what_was_archived_before_projections_on_postgres() {
    requests_stand_for_what_was_archived(TestDatabase::postgres().await).await;
}

/// A database of the version before projections, with an archive.
async fn requests_stand_for_what_was_archived(db: TestDatabase) {
    history(&db).await;
    assert!(db.database.stores().audit.archive(&tenant(), 1..=7, archived()).await.unwrap());
    let place = db.place;
    drop(db.database);
    let revert = || match &place {
        DatabaseLocation::Sqlite(_) => place.sqlite_connection().revert_last_migration(SQLITE).unwrap().to_string(),
        DatabaseLocation::Postgres(database) => {
            database.connection().revert_last_migration(POSTGRES).unwrap().to_string()
        }
    };
    while revert() != "20261207000000" {}
    let database = place.open();
    assert_eq!(database.migrate().unwrap()[0], "20261207000000");
    let db = TestDatabase { database, place };
    // The first request is current again, after an event that is still there and adds nothing: it stands for the archive.
    let batch = next(&db).await;
    assert_eq!(shown(&batch.steps), ["1+1", "8+erased", "9+9", "10-2"]);
    assert_eq!((batch.upto, batch.stopped), (12, None));
    projector(&db).catch_up(&tenant()).await.unwrap();
    let points = db.place.lines("SELECT CAST(sequence AS text) AS line FROM points ORDER BY sequence");
    assert_eq!(points, ["1", "9"]);
}

/// Changes the audit trail, which its guards prevent otherwise.
fn tamper(place: &DatabaseLocation, statement: &str) {
    match place {
        DatabaseLocation::Sqlite(_) => {
            place.execute(&format!("DROP TRIGGER audit_events_keep; DROP TRIGGER audit_events_stay; {statement}"))
        }
        DatabaseLocation::Postgres(_) => place.execute(&format!(
            "ALTER TABLE audit_events DISABLE TRIGGER USER; {statement}; ALTER TABLE audit_events ENABLE TRIGGER USER"
        )),
    }
}

async fn stops_before_an_event_that_it_does_not_know(db: TestDatabase) {
    for value in 0..4 {
        db.stored(simple(value)).await;
    }
    tamper(&db.place, "UPDATE audit_events SET action = 'merged' WHERE sequence = 3");
    let batch = next(&db).await;
    assert_eq!((shown(&batch.steps), batch.upto), (vec!["1+1".to_owned(), "2+2".to_owned()], 2));
    let reason = "unknown action \"merged\"".to_owned();
    assert_eq!(batch.stopped, Some(Unreadable { sequence: 3, reason: reason.clone() }));
    let progress = projector(&db).catch_up(&tenant()).await.unwrap();
    assert_eq!((progress.position, progress.stopped), (2, Some(Unreadable { sequence: 3, reason })));
    assert_eq!(next(&db).await.steps, []);
    let stored = "SELECT CAST(stopped_sequence AS text) || ' ' || stopped_reason AS line FROM projections";
    assert_eq!(db.place.lines(stored), ["3 unknown action \"merged\""]);
    // It is archived as it is.
    assert!(db.database.stores().audit.archive(&tenant(), 1..=4, archived()).await.unwrap());
    assert_eq!(next(&db).await.stopped.map(|stopped| stopped.sequence), Some(3));

    // A mended program knows it.
    db.place.execute("UPDATE audit_archived_changes SET action = 'accepted'");
    let progress = projector(&db).catch_up(&tenant()).await.unwrap();
    assert_eq!((progress.position, progress.stopped), (5, None));
    assert_eq!(db.place.lines("SELECT 'stopped' AS line FROM projections WHERE stopped_sequence IS NOT NULL"), [""; 0]);
}

async fn stops_before_an_event_that_is_missing(db: TestDatabase) {
    for value in 0..5 {
        db.stored(simple(value)).await;
    }
    let missing = |sequence| Some(Unreadable { sequence, reason: "the event is missing".to_owned() });
    tamper(&db.place, "DELETE FROM audit_events WHERE sequence = 4");
    let batch = next(&db).await;
    assert_eq!((batch.upto, batch.stopped), (3, missing(4)));
    db.place.execute("INSERT INTO projections (tenant_id, position, deletions) VALUES ('default', 3, 0)");
    let batch = next(&db).await;
    assert_eq!((batch.upto, batch.stopped), (3, missing(4)));
    let id = "'00000000-0000-0000-0000-000000000000'";
    db.place.execute("UPDATE projections SET position = 4");
    match &db.place {
        DatabaseLocation::Sqlite(_) => db.place.execute(&format!("UPDATE audit_events SET object_id = {id}")),
        DatabaseLocation::Postgres(_) => tamper(&db.place, &format!("UPDATE audit_events SET object_id = {id}")),
    }
    let batch = next(&db).await;
    let reason = "the request of the event is missing".to_owned();
    assert_eq!((batch.upto, batch.stopped), (4, Some(Unreadable { sequence: 5, reason })));
}

async fn the_tenants_have_no_system_among_them(db: TestDatabase) {
    assert_eq!(store(&db).tenants().await.unwrap(), [tenant(), other_tenant()]);
}
