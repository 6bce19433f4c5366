//! Reads of figures, each from one snapshot.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use mass_analytics_service::{Intake, SeriesFilter, Snapshot, SourceFilter, SourceRow, Unreadable, Update};
use mass_domain::analytics::{DAY, HOUR, SeriesKey, Source};
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;

use super::{figures, key, measured, moving, point, projector, series_row, some_figures, store};
use crate::databases::TestDatabase;
use crate::fixtures::{other_tenant, simple, tenant};

on_both!(
    a_position_has_the_root_of_the_log_at_that_size,
    devices_and_sites_are_listed_in_their_order,
    series_are_listed_by_their_keys,
    hours_and_days_are_those_that_begin_within_a_stretch,
    points_come_with_their_neighbours,
    a_snapshot_does_not_change_and_is_of_one_tenant,
    a_projection_that_is_being_deleted_has_nothing,
    a_job_may_fail,
);

/// Runs a job on a snapshot and returns its result.
async fn read<T: Send + 'static>(
    db: &TestDatabase,
    of: &TenantId,
    job: impl FnOnce(&mut dyn Snapshot) -> Result<T, PortError> + Send + 'static,
) -> T {
    let result = Arc::new(Mutex::new(None));
    let told = Arc::clone(&result);
    let job = Box::new(move |snapshot: &mut dyn Snapshot| {
        let done = job(snapshot)?;
        *told.lock().unwrap() = Some(done);
        Ok(())
    });
    figures(db).read(of, job).await.unwrap();
    let read = result.lock().unwrap().take();
    read.unwrap()
}

async fn a_position_has_the_root_of_the_log_at_that_size(db: TestDatabase) {
    let audit = &db.database.stores().audit;
    let none = read(&db, &tenant(), |snapshot| snapshot.position()).await;
    assert_eq!((none.sequence, none.head, none.stopped), (0, 0, None));
    assert_eq!(none.root, audit.head(&tenant()).await.unwrap().root());
    for value in 0..300 {
        db.stored(simple(value)).await;
    }
    let mut from = 0;
    for size in [0, 1, 7, 255, 256, 299, 300] {
        let stopped = (size == 299).then(|| Unreadable { sequence: 300, reason: "new".to_owned() });
        let update = Update { stopped: stopped.clone(), ..moving(from, size) };
        store(&db).apply(&tenant(), update).await.unwrap();
        from = size;
        let position = read(&db, &tenant(), |snapshot| snapshot.position()).await;
        assert_eq!((position.sequence, position.head, position.stopped), (size, 300, stopped));
        let frontier = audit.frontier_at(&tenant(), size.unsigned_abs()).await.unwrap().unwrap();
        assert_eq!(position.root, frontier.root(), "{size}");
    }
}

fn source(site: Option<&str>, device: Option<&str>) -> Source {
    Source { site_id: site.map(ToOwned::to_owned), device_id: device.map(ToOwned::to_owned) }
}

async fn devices_and_sites_are_listed_in_their_order(db: TestDatabase) {
    let named = [
        (None, Some("B")),
        (Some("a"), Some("B")),
        (Some("ä"), Some("B")),
        (None, Some("a")),
        (Some("Z"), Some("a")),
        (Some("a"), Some("é")),
        (Some("a"), None),
        (Some("b"), None),
    ];
    let row = |(site, device)| SourceRow {
        source: source(site, device),
        device_type: None,
        location: None,
        at: 1,
        accepted: 1,
    };
    let rows: Vec<SourceRow> = named.into_iter().map(row).collect();
    let update = Update { sources: rows.iter().rev().cloned().collect(), ..moving(0, 1) };
    store(&db).apply(&tenant(), update).await.unwrap();
    let devices = async |filter: SourceFilter, limit| read(&db, &tenant(), move |s| s.devices(&filter, limit)).await;
    assert_eq!(devices(SourceFilter::default(), 99).await, rows[..6]);
    let mut after = None;
    for row in &rows[..6] {
        let filter = SourceFilter { after, ..SourceFilter::default() };
        assert_eq!(devices(filter, 1).await, std::slice::from_ref(row));
        after = Some(row.source.clone());
    }
    let filter = |site: Option<&str>, device: Option<&str>, after: Option<&SourceRow>| SourceFilter {
        sites: site.into_iter().map(ToOwned::to_owned).collect(),
        device_id: device.map(ToOwned::to_owned),
        after: after.map(|row| row.source.clone()),
    };
    assert_eq!(devices(filter(Some("a"), None, None), 9).await, [rows[1].clone(), rows[5].clone()]);
    let of_two = SourceFilter { sites: vec!["a".to_owned(), "Z".to_owned()], ..SourceFilter::default() };
    let is_of_two = |row: &&SourceRow| matches!(row.source.site_id.as_deref(), Some("a" | "Z"));
    assert_eq!(devices(of_two, 9).await, rows[..6].iter().filter(is_of_two).cloned().collect::<Vec<_>>());
    assert_eq!(devices(filter(None, Some("B"), None), 9).await, rows[..3]);
    assert_eq!(devices(filter(None, Some("B"), Some(&rows[0])), 9).await, rows[1..3]);
    assert_eq!(devices(filter(Some("a"), Some("B"), None), 9).await, [rows[1].clone()]);

    let sites = async |after: Option<&'static str>, limit| read(&db, &tenant(), move |s| s.sites(after, limit)).await;
    let all = [("Z", 1), ("a", 2), ("b", 0), ("ä", 1)].map(|(site, devices)| (site.to_owned(), devices));
    assert_eq!(sites(None, 9).await, all);
    assert_eq!(sites(None, 2).await, all[..2]);
    assert_eq!(sites(Some("Z"), 2).await, all[1..3]);
    assert_eq!(sites(Some("b"), 9).await, all[3..]);
    assert_eq!(read(&db, &tenant(), |snapshot| snapshot.counts()).await, (6, 0));
    assert_eq!(read(&db, &other_tenant(), |snapshot| snapshot.counts()).await, (0, 0));
}

async fn series_are_listed_by_their_keys(db: TestDatabase) {
    let mut keys = Vec::new();
    for site in [None, Some("B"), Some("a")] {
        for device in [None, Some("dev-1"), Some("dev-2")] {
            let metrics =
                if device.is_none() { ["facility_power_kw", "pue"] } else { ["power_kw", "temperature_celsius"] };
            keys.extend(metrics.map(|metric| SeriesKey { source: source(site, device), metric: metric.to_owned() }));
        }
    }
    let series = keys.iter().rev().map(|key| series_row(key.clone(), 1, 2)).collect();
    store(&db).apply(&tenant(), Update { series, ..moving(0, 1) }).await.unwrap();
    let listed = async |filter: SeriesFilter, limit| -> Vec<SeriesKey> {
        let rows = read(&db, &tenant(), move |snapshot| snapshot.series(&filter, limit)).await;
        rows.into_iter().map(|row| row.key).collect()
    };
    assert_eq!(listed(SeriesFilter::default(), 99).await, keys);
    assert_eq!(listed(SeriesFilter::default(), 4).await, keys[..4]);
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let filters = [
        SeriesFilter { sites: texts(&["a", "none", "B"]), ..SeriesFilter::default() },
        SeriesFilter { devices: texts(&["dev-2"]), ..SeriesFilter::default() },
        SeriesFilter { sites: texts(&["B"]), metrics: texts(&["pue", "power_kw"]), ..SeriesFilter::default() },
        SeriesFilter { metrics: texts(&["pue"]), ..SeriesFilter::default() },
        SeriesFilter { metrics: texts(&["pue", "power_kw", "pue"]), ..SeriesFilter::default() },
        SeriesFilter { sites: texts(&["a"]), without_devices: true, ..SeriesFilter::default() },
        SeriesFilter { without_devices: true, ..SeriesFilter::default() },
        SeriesFilter {
            sites: texts(&["a"]),
            devices: texts(&["dev-1", "dev-2"]),
            metrics: texts(&["power_kw"]),
            without_devices: false,
        },
    ];
    for filter in filters {
        let has = |allowed: &[String], name: Option<&String>| {
            allowed.is_empty() || name.is_some_and(|name| allowed.contains(name))
        };
        let expected: Vec<SeriesKey> = keys
            .iter()
            .filter(|key| has(&filter.sites, key.source.site_id.as_ref()))
            .filter(|key| has(&filter.devices, key.source.device_id.as_ref()))
            .filter(|key| has(&filter.metrics, Some(&key.metric)))
            .filter(|key| !filter.without_devices || key.source.device_id.is_none())
            .cloned()
            .collect();
        assert!(!expected.is_empty());
        for limit in [1, 2, 99] {
            let first = &expected[..expected.len().min(usize::try_from(limit).unwrap())];
            assert_eq!(listed(filter.clone(), limit).await, first);
        }
    }
}

async fn hours_and_days_are_those_that_begin_within_a_stretch(db: TestDatabase) {
    let (one, other) = (key("a").id(), key("b").id());
    let hours: Vec<_> = (0..10).map(|n| (one, i64::try_from(n).unwrap() * HOUR, some_figures(n))).collect();
    let days = vec![(one, 0, some_figures(1)), (one, DAY, some_figures(2)), (other, 0, some_figures(3))];
    let both = hours.iter().copied().chain([(other, 3 * HOUR, some_figures(7))]).collect();
    let intake = vec![Intake { day: 0, requests: 1, bytes: 2 }, Intake { day: DAY, requests: 3, bytes: 4 }];
    let update = Update { hours: both, days: days.clone(), intake: intake.clone(), ..moving(0, 1) };
    store(&db).apply(&tenant(), update).await.unwrap();
    let found = read(&db, &tenant(), move |s| s.hours(&[(one, 2 * HOUR..5 * HOUR)])).await;
    assert_eq!(found, hours[2..5]);
    let found = read(&db, &tenant(), move |s| s.hours(&[(other, 3 * HOUR..4 * HOUR), (one, 3 * HOUR..5 * HOUR)])).await;
    assert_eq!(found, [(other, 3 * HOUR, some_figures(7)), hours[3], hours[4]]);
    assert_eq!(read(&db, &tenant(), move |s| s.days(&[one, other], 0..DAY + 1)).await, days);
    assert_eq!(read(&db, &tenant(), move |s| s.days(&[], 0..DAY)).await, []);
    assert_eq!(read(&db, &other_tenant(), move |s| s.days(&[one], 0..DAY)).await, []);
    assert_eq!(read(&db, &tenant(), |snapshot| snapshot.intake(0..DAY)).await, intake[..1]);
    assert_eq!(read(&db, &tenant(), |snapshot| snapshot.intake(1..DAY + 1)).await, intake[1..]);
}

async fn points_come_with_their_neighbours(db: TestDatabase) {
    let id = key("a").id();
    let times = [10, 20, 20, 30, 40, 40, 50, 60, 60, 70];
    let points: Vec<_> = times.into_iter().zip(1..).map(|(at, sequence)| point(at, sequence)).collect();
    let update = Update { points: points.iter().map(|point| (id, *point)).collect(), ..moving(0, 1) };
    store(&db).apply(&tenant(), update).await.unwrap();
    let around = async |within: std::ops::Range<i64>, before, limit| -> Vec<i64> {
        let points = read(&db, &tenant(), move |snapshot| snapshot.points(id, within, before, limit)).await;
        points.into_iter().map(|point| point.sequence).collect()
    };
    assert_eq!(around(30..50, 0, 99).await, [4, 5, 6, 7]);
    assert_eq!(around(30..50, 1, 99).await, [2, 3, 4, 5, 6, 7]);
    assert_eq!(around(30..50, 9, 99).await, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(around(30..50, 1, 3).await, [2, 3, 4, 5, 6]);
    assert_eq!(around(30..50, 1, 2).await, [2, 3, 4, 5]);
    assert_eq!(around(35..55, 0, 99).await, [5, 6, 7, 8, 9]);
    assert_eq!(around(70..99, 0, 99).await, [10]);
    assert_eq!(around(80..99, 2, 99).await, [8, 9, 10]);
    assert_eq!(around(0..5, 2, 99).await, [1]);
    let all = read(&db, &tenant(), move |snapshot| snapshot.points(id, 0..99, 0, 99)).await;
    assert_eq!(all, points);
}

async fn a_snapshot_does_not_change_and_is_of_one_tenant(db: TestDatabase) {
    db.stored(measured(None, "dev-1", 0, r#""temperature_celsius":20"#)).await;
    let (began, begins) = mpsc::channel();
    let (goes_on, go_on) = mpsc::channel();
    let job = Box::new(move |snapshot: &mut dyn Snapshot| {
        let before = (snapshot.position()?, snapshot.counts()?);
        began.send(()).unwrap();
        go_on.recv().unwrap();
        assert_eq!((snapshot.position()?, snapshot.counts()?), before);
        assert_eq!((before.0.head, before.1), (1, (0, 0)));
        Ok(())
    });
    let tenant = tenant();
    let reading = figures(&db).read(&tenant, job);
    let meanwhile = async {
        tokio::task::spawn_blocking(move || begins.recv().unwrap()).await.unwrap();
        db.stored(measured(None, "dev-2", 0, r#""temperature_celsius":20"#)).await;
        projector(&db).catch_up(&tenant).await.unwrap();
        // Others read meanwhile, of this tenant, too.
        for _ in 0..3 {
            assert_eq!(read(&db, &tenant, |snapshot| snapshot.counts()).await, (2, 2));
        }
        assert_eq!(read(&db, &other_tenant(), |snapshot| snapshot.counts()).await, (0, 0));
        goes_on.send(()).unwrap();
    };
    let (read, ()) = tokio::join!(reading, meanwhile);
    read.unwrap();
}

async fn a_projection_that_is_being_deleted_has_nothing(db: TestDatabase) {
    db.stored(measured(Some("site-1"), "dev-1", 0, r#""temperature_celsius":20"#)).await;
    projector(&db).catch_up(&tenant()).await.unwrap();
    db.place.execute("UPDATE projections SET position = -1");
    let position = read(&db, &tenant(), |snapshot| snapshot.position()).await;
    assert_eq!((position.sequence, position.head), (0, 1));
    assert_eq!(read(&db, &tenant(), |snapshot| snapshot.counts()).await, (0, 0));
    assert_eq!(read(&db, &tenant(), |snapshot| snapshot.sites(None, 9)).await, []);
}

async fn a_job_may_fail(db: TestDatabase) {
    let job = Box::new(|_: &mut dyn Snapshot| Err(PortError::Unexpected(std::io::Error::other("no").into())));
    assert!(matches!(figures(&db).read(&tenant(), job).await, Err(PortError::Unexpected(_))));
    db.place.execute("ALTER TABLE points RENAME TO pointless");
    let id = key("a").id();
    let job = Box::new(move |snapshot: &mut dyn Snapshot| {
        let failed = snapshot.points(id, 0..1, 0, 1);
        assert!(matches!(failed, Err(PortError::Unexpected(_))));
        // It says that it is done.
        Ok(())
    });
    assert!(matches!(figures(&db).read(&tenant(), job).await, Err(PortError::Unexpected(_))));
    db.place.execute("ALTER TABLE pointless RENAME TO points");
    assert_eq!(read(&db, &tenant(), |snapshot| snapshot.counts()).await, (0, 0));
}
