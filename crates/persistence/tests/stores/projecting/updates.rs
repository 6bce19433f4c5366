//! Updates of projections, and their deletion.

use mass_analytics_service::{ApplyError, Intake, Place, ProjectedRequest, SourceRow, Unreadable, Update};
use mass_domain::analytics::{DAY, HOUR, Source};

use super::{dump, key, measured, moving, point, projector, series_row, some_figures, store};
use crate::changing::is_in_a_file;
use crate::databases::TestDatabase;
use crate::fixtures::{deletion, other_tenant, simple, tenant};

on_both!(
    an_update_is_applied_once,
    an_update_replaces_and_deletes_what_it_lists,
    an_older_document_does_not_describe_a_source,
    names_with_the_id_of_other_names_are_refused,
    a_deleted_projection_can_be_rebuilt_and_takes_no_earlier_update,
    whoever_comes_next_finishes_a_deletion,
    tenants_have_projections_of_their_own,
    a_projection_that_waits_at_an_event_is_not_written_again,
);

fn source(device: &str) -> Source {
    Source { site_id: None, device_id: Some(device.to_owned()) }
}

fn source_row(device: &str, location: &str, at: i64, accepted: i64) -> SourceRow {
    let location = Some(location.to_owned());
    SourceRow { source: source(device), device_type: Some("rack".to_owned()), location, at, accepted }
}

/// An update with something of everything.
fn whole(from: i64, upto: i64) -> Update {
    let id = key("power_kw").id();
    let request = |accepted, place| ProjectedRequest { accepted, day: DAY, bytes: 30, place };
    Update {
        from,
        upto,
        sources: vec![source_row("dev-1", "hall 1", 5, 1), source_row("dev-2", "hall 2", 5, 2)],
        requests: vec![request(1, Some(Place { source: source("dev-1").id(), at: 5 })), request(2, None)],
        intake: vec![Intake { day: DAY, requests: 2, bytes: 60 }, Intake { day: 2 * DAY, requests: 1, bytes: 5 }],
        series: vec![series_row(key("power_kw"), 5, 9), series_row(key("pue"), 5, 5)],
        points: vec![(id, point(9, 2)), (id, point(5, 1)), (key("pue").id(), point(5, 1))],
        hours: vec![(id, 0, some_figures(2)), (id, HOUR, some_figures(3))],
        days: vec![(id, 0, some_figures(4)), (id, DAY, some_figures(5)), (id, 2 * DAY, some_figures(6))],
        ..Update::default()
    }
}

async fn an_update_is_applied_once(db: TestDatabase) {
    store(&db).apply(&tenant(), whole(0, 2)).await.unwrap();
    let before = dump(&db.place);
    assert_eq!(before.len(), 2 + 1 + 2 + 3 + 2 + 3 + 2, "{before:#?}");
    for from in [0, 1, 3] {
        let again = store(&db).apply(&tenant(), whole(from, 9)).await;
        assert!(matches!(again, Err(ApplyError::Stale)), "{again:?}");
    }
    assert_eq!(dump(&db.place), before);
    let tenant = tenant();
    let both = [moving(2, 3), moving(2, 4)].map(|update| store(&db).apply(&tenant, update));
    let both = futures_util::future::join_all(both).await;
    assert_eq!(both.iter().filter(|applied| applied.is_ok()).count(), 1, "{both:?}");
}

async fn an_update_replaces_and_deletes_what_it_lists(db: TestDatabase) {
    store(&db).apply(&tenant(), whole(0, 2)).await.unwrap();
    let id = key("power_kw").id();
    let update = Update {
        gone_sources: vec![source("dev-2").id()],
        gone_requests: vec![2, 99],
        intake: vec![Intake { day: DAY, requests: -1, bytes: -30 }, Intake { day: 2 * DAY, requests: -1, bytes: -5 }],
        series: vec![series_row(key("power_kw"), 5, 77)],
        gone_series: vec![key("pue").id()],
        gone_points: vec![(key("pue").id(), 5, 1), (id, 9, 1), (id, 5, 1)],
        points: vec![(id, point(9, 3))],
        hours: vec![(id, 0, some_figures(8))],
        gone_hours: vec![(id, HOUR), (id, 2 * HOUR)],
        days: vec![(id, 2 * DAY, some_figures(9))],
        gone_days: vec![(id, 0..1), (id, DAY..i64::MAX)],
        ..moving(2, 3)
    };
    store(&db).apply(&tenant(), update).await.unwrap();
    let lines = |query: &str| db.place.lines(query);
    let text = |columns: &str| {
        columns.split(' ').map(|column| format!("CAST({column} AS text)")).collect::<Vec<_>>().join(" || ' ' || ")
    };
    assert_eq!(lines("SELECT location AS line FROM sources"), ["hall 1"]);
    assert_eq!(lines("SELECT CAST(length(requests) AS text) AS line FROM projected_blocks"), ["41"]);
    assert_eq!(lines(&format!("SELECT {} AS line FROM intake", text("day requests bytes"))), [format!("{DAY} 1 30")]);
    assert_eq!(lines(&format!("SELECT {} AS line FROM series", text("metric last_at"))), ["power_kw 77"]);
    let points = format!("SELECT {} AS line FROM points ORDER BY sequence", text("at sequence"));
    assert_eq!(lines(&points), ["9 2", "9 3"]);
    assert_eq!(lines(&format!("SELECT {} AS line FROM hours", text("starts_at count"))), ["0 8"]);
    assert_eq!(lines(&format!("SELECT {} AS line FROM days", text("starts_at count"))), [format!("{} 9", 2 * DAY)]);
}

async fn an_older_document_does_not_describe_a_source(db: TestDatabase) {
    let location = || db.place.lines("SELECT location AS line FROM sources WHERE accepted > 1 ORDER BY id");
    let with = |from, row| Update { sources: vec![row], ..moving(from, from + 1) };
    store(&db).apply(&tenant(), with(0, source_row("dev-1", "hall 1", 5, 4))).await.unwrap();
    for (from, row) in [(1, source_row("dev-1", "older", 4, 9)), (2, source_row("dev-1", "earlier", 5, 3))] {
        store(&db).apply(&tenant(), with(from, row)).await.unwrap();
        assert_eq!(location(), ["hall 1"]);
    }
    for (from, row) in [(3, source_row("dev-1", "the same", 5, 4)), (4, source_row("dev-1", "newer", 6, 2))] {
        let expected = row.location.clone().unwrap();
        store(&db).apply(&tenant(), with(from, row)).await.unwrap();
        assert_eq!(location(), [expected]);
    }
    let gone = Update { gone_sources: vec![source("dev-1").id()], ..with(5, source_row("dev-1", "hall 1", 1, 2)) };
    store(&db).apply(&tenant(), gone).await.unwrap();
    assert_eq!(location(), ["hall 1"]);
}

async fn names_with_the_id_of_other_names_are_refused(db: TestDatabase) {
    store(&db).apply(&tenant(), whole(0, 2)).await.unwrap();
    let before = dump(&db.place);
    for (statement, id) in [
        ("UPDATE series SET device_id = 'other' WHERE metric = 'pue'", key("pue").id().as_i64()),
        ("UPDATE sources SET site_id = 'other' WHERE device_id = 'dev-2'", source("dev-2").id().as_i64()),
    ] {
        db.place.execute(statement);
        let update = Update { requests: Vec::new(), points: Vec::new(), ..whole(2, 3) };
        let refused = store(&db).apply(&tenant(), update).await;
        assert!(matches!(refused, Err(ApplyError::Collision(refused)) if refused == id), "{refused:?}");
        db.place.execute("UPDATE series SET device_id = 'dev-1'; UPDATE sources SET site_id = NULL");
        assert_eq!(dump(&db.place), before);
    }
    store(&db).apply(&tenant(), moving(2, 3)).await.unwrap();
}

async fn a_deleted_projection_can_be_rebuilt_and_takes_no_earlier_update(db: TestDatabase) {
    for device in ["dev-1", "dev-2"] {
        for seconds in (0..30_000).step_by(1000) {
            db.stored(measured(Some("site-1"), device, seconds, r#""power_kw":3.5,"temperature_celsius":20"#)).await;
        }
    }
    let projector = projector(&db);
    projector.catch_up(&tenant()).await.unwrap();
    let before = dump(&db.place);
    let ahead = store(&db).next(&tenant(), None, 9, 9).await.unwrap();
    store(&db).clear(&tenant()).await.unwrap();
    assert_eq!(dump(&db.place), [""; 0]);
    let update = Update { deletions: ahead.deletions, ..moving(ahead.from, ahead.from + 1) };
    assert!(matches!(store(&db).apply(&tenant(), update.clone()).await, Err(ApplyError::Stale)));
    for _ in 0..2 {
        projector.rebuild(&tenant()).await.unwrap();
        assert_eq!(dump(&db.place), before);
        assert!(matches!(store(&db).apply(&tenant(), update.clone()).await, Err(ApplyError::Stale)));
    }
}

async fn whoever_comes_next_finishes_a_deletion(db: TestDatabase) {
    db.stored(measured(None, "dev-1", 0, r#""temperature_celsius":20"#)).await;
    projector(&db).catch_up(&tenant()).await.unwrap();
    let before = dump(&db.place);
    db.place.execute("UPDATE projections SET position = -1; DELETE FROM points");
    assert!(matches!(store(&db).apply(&tenant(), moving(1, 2)).await, Err(ApplyError::Stale)));
    let batch = store(&db).next(&tenant(), None, 9, 1 << 20).await.unwrap();
    assert_eq!((batch.from, batch.steps.len()), (0, 1));
    assert_eq!(dump(&db.place), [""; 0]);
    projector(&db).catch_up(&tenant()).await.unwrap();
    assert_eq!(dump(&db.place), before);
}

async fn tenants_have_projections_of_their_own(db: TestDatabase) {
    for tenant in [tenant(), other_tenant()] {
        let sent = vec![measured(None, "dev-1", 0, r#""temperature_celsius":20"#), simple(1)];
        db.mass().accept(&tenant, sent, Vec::new(), None).await.unwrap().unwrap();
    }
    let projector = projector(&db);
    projector.catch_up(&tenant()).await.unwrap();
    let one = dump(&db.place);
    assert!(one.iter().all(|row| row.contains("default")), "{one:#?}");
    projector.catch_up(&other_tenant()).await.unwrap();
    assert_eq!(dump(&db.place).len(), 2 * one.len());
    store(&db).clear(&other_tenant()).await.unwrap();
    assert_eq!(dump(&db.place), one);
}

async fn a_projection_that_waits_at_an_event_is_not_written_again(db: TestDatabase) {
    let stopped = Some(Unreadable { sequence: 1, reason: "new".to_owned() });
    let wait = Update { stopped, ..moving(0, 0) };
    store(&db).apply(&tenant(), wait.clone()).await.unwrap();
    if !matches!(db.place, crate::databases::DatabaseLocation::Postgres(_)) {
        return;
    }
    let version = || db.place.lines("SELECT ctid::text AS line FROM projections");
    let before = version();
    store(&db).apply(&tenant(), wait).await.unwrap();
    assert_eq!(version(), before);
    store(&db).apply(&tenant(), moving(0, 1)).await.unwrap();
    assert_ne!(version(), before);
}

#[tokio::test]
async fn sqlite_files_contain_nothing_of_what_deleted_documents_told() {
    let db = TestDatabase::sqlite().await;
    let projector = projector(&db);
    let mut ids = Vec::new();
    for n in 0..8 {
        let device = format!("to-be-erased-{n}-{}", "x".repeat(200));
        ids.push(db.stored(measured(Some(&device), &device, n, r#""temperature_celsius":20"#)).await.summary.id);
    }
    projector.catch_up(&tenant()).await.unwrap();
    for (n, id) in ids.into_iter().enumerate() {
        db.mass().delete(&tenant(), id, deletion()).await.unwrap();
        let marked = format!("to-be-erased-{n}-");
        assert!(is_in_a_file(&db.place, &marked), "the series is there until the deletion is projected");
        projector.catch_up(&tenant()).await.unwrap();
        assert!(!is_in_a_file(&db.place, &marked), "{n}");
    }
}
