use mass_domain::analytics::{HOUR, Point, fold};
use proptest::prelude::*;

use super::*;
use crate::memory::{Memory, at, run, tenant, time};

const MINUTE: Micros = HOUR / 60;

fn query(from: &str, to: &str, step: Resolution) -> SeriesQuery {
    SeriesQuery {
        metrics: Vec::new(),
        sites: Vec::new(),
        devices: Vec::new(),
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        step,
        zone: None,
        aggregate: None,
    }
}

/// Returns the heads, and the buckets and the coverage of each series.
fn series(memory: &Memory, query: SeriesQuery) -> (Vec<SeriesHead>, Vec<(Vec<Bucket>, f64)>) {
    run(async {
        let service = memory.service("2026-12-01T00:00:00Z").await;
        let mut stream = service.series(&Principal::system(tenant()), query).await.unwrap();
        let mut all: Vec<(Vec<Bucket>, f64)> = Vec::new();
        let mut buckets = Vec::new();
        while let Some(page) = stream.next().await.unwrap() {
            assert_eq!(page.series, all.len());
            buckets.extend(page.buckets);
            all.extend(page.coverage.map(|coverage| (std::mem::take(&mut buckets), coverage)));
        }
        assert_eq!((all.len(), buckets.len()), (stream.head.len(), 0));
        (stream.head, all)
    })
}

fn error(memory: &Memory, query: SeriesQuery) -> SeriesError {
    run(async {
        let service = memory.service("2026-12-01T00:00:00Z").await;
        service.series(&Principal::system(tenant()), query).await.err().unwrap()
    })
}

#[test]
fn hours_have_the_aggregate_that_was_asked_for_with_its_unit() {
    let memory = Memory::default();
    let begin = at("2026-03-01T00:00:00Z");
    for (minute, power) in [(0, 1.0), (15, 3.0), (30, 5.0), (45, 7.0), (60, 9.0)] {
        let metrics = [("power_kw", power), ("energy_kwh", power), ("humidity_percent", power)];
        memory.read_device(None, "rack-1", begin + minute * MINUTE, &metrics);
    }
    let value = |metric: &str, aggregate| {
        let metrics = vec![metric.to_owned()];
        let query = query("2026-03-01T00:00:00Z", "2026-03-01T02:00:00Z", Resolution::Hour);
        let (heads, series) = series(&memory, SeriesQuery { metrics, aggregate, ..query });
        (series[0].0[0].value.unwrap(), heads[0].unit.unwrap(), heads[0].aggregate)
    };
    for (metric, aggregate, expected, unit) in [
        ("power_kw", Aggregate::Mean, 4.0, "kW"),
        ("power_kw", Aggregate::Sum, 4.0, "kWh"),
        ("power_kw", Aggregate::Max, 7.0, "kW"),
        ("energy_kwh", Aggregate::Sum, 8.0, "kWh"),
        ("energy_kwh", Aggregate::Last, 7.0, "kWh"),
        ("humidity_percent", Aggregate::Sum, 16.0, "%"),
        ("humidity_percent", Aggregate::Min, 1.0, "%"),
    ] {
        assert_eq!(value(metric, Some(aggregate)), (expected, unit, aggregate), "{metric}");
    }
    assert_eq!(value("energy_kwh", None), (8.0, "kWh", Aggregate::Sum));
    assert_eq!(value("power_kw", None), (4.0, "kW", Aggregate::Mean));
}

#[test]
fn raw_points_are_the_valid_ones_with_the_time_for_which_they_hold() {
    let memory = Memory::default();
    let begin = at("2026-03-01T00:00:00Z");
    for (minute, power) in [(0, 1.0), (1, 2.0), (1, 3.0), (2, 4.0), (3, 5.0), (30, 6.0)] {
        memory.read_device(None, "rack-1", begin + minute * MINUTE, &[("power_kw", power)]);
    }
    let query = query("2026-03-01T00:01:00Z", "2026-03-01T00:21:00Z", Resolution::Raw);
    let (_, series) = series(&memory, query);
    let found: Vec<(i64, i64, f64)> = series[0]
        .0
        .iter()
        .map(|bucket| {
            let minute = |time: Timestamp| (time.unix_micros() - begin) / MINUTE;
            (minute(bucket.begin), minute(bucket.end), bucket.value.unwrap())
        })
        .collect();
    assert_eq!(found, [(1, 2, 3.0), (2, 3, 4.0), (3, 6, 5.0)]);
    assert_eq!(series[0].1, 5.0 / 20.0);
}

#[test]
fn a_period_without_data_is_an_empty_series_without_coverage() {
    let memory = Memory::default();
    memory.read_device(None, "rack-1", at("2026-03-01T00:00:00Z"), &[("power_kw", 1.0)]);
    for step in Resolution::ALL {
        let (heads, series) = series(&memory, query("2025-03-01T00:00:00Z", "2025-03-02T00:00:00Z", *step));
        assert_eq!((heads.len(), series), (1, vec![(Vec::new(), 0.0)]));
    }
    let other = SeriesQuery {
        metrics: vec!["co2_ppm".to_owned()],
        ..query("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z", Resolution::Day)
    };
    assert_eq!(series(&memory, other).0, []);
}

#[test]
fn refuses_unknown_metrics_and_periods_that_are_too_long_for_the_step() {
    let memory = Memory::default();
    memory.read_device(None, "rack-1", at("2026-03-01T00:00:00Z"), &[("power_kw", 1.0), ("outlets_on", 4.0)]);
    let day = query("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z", Resolution::Hour);
    let metrics = |name: &str| SeriesQuery { metrics: vec![name.to_owned()], ..day.clone() };
    let known = vec!["outlets_on".to_owned(), "power_kw".to_owned()];
    assert!(matches!(
        error(&memory, metrics("colour")),
        SeriesError::UnknownMetric { name, known: found } if name == "colour" && found == known
    ));
    assert_eq!(series(&memory, metrics("outlets_on")).0.len(), 1);
    for (step, to, take) in [
        (Resolution::Raw, "2026-05-01T00:00:00Z", Some("5m")),
        (Resolution::FiveMinutes, "2026-07-01T00:00:00Z", Some("hour")),
        (Resolution::Hour, "2030-03-01T00:00:00Z", Some("day")),
        (Resolution::Day, "2050-03-01T00:00:00Z", None),
    ] {
        let found = error(&memory, SeriesQuery { to: to.parse().unwrap(), step, ..day.clone() });
        let SeriesError::Period(PeriodError::TooLong { take: found, .. }) = found else { panic!("{found:?}") };
        assert_eq!(found, take);
    }
}

#[test]
fn pages_are_read_from_one_snapshot_and_end_when_nobody_reads_them() {
    let memory = Memory::default();
    let begin = at("2026-03-01T00:00:00Z");
    for minute in 0..3000 {
        memory.read_device(None, "rack-1", begin + minute * MINUTE, &[("power_kw", 1.0)]);
    }
    run(async {
        let service = memory.service("2026-12-01T00:00:00Z").await;
        let query = query("2026-03-01T00:00:00Z", "2026-03-04T00:00:00Z", Resolution::FiveMinutes);
        let mut stream = service.series(&Principal::system(tenant()), query).await.unwrap();
        assert_eq!((stream.as_of.sequence, stream.as_of.behind()), (3000, 0));
        memory.read_device(None, "rack-1", begin, &[("power_kw", 9.0)]);
        memory.projector().catch_up(&tenant()).await.unwrap();
        let page = stream.next().await.unwrap().unwrap();
        assert_eq!((page.buckets.len(), page.buckets[0].value, page.buckets[0].count), (600, Some(1.0), 5));
        drop(stream);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// A bucket has the figures that are folded from all points, be it read from days, hours or points.
    #[test]
    fn buckets_are_those_folded_from_all_points(
        points in prop::collection::btree_map(0_i64..30_000, -20_i8..90, 1..150),
        counter in any::<bool>(),
        (from, length) in (-3_000_i64..20_000, 1_i64..30_000),
        step in prop::sample::select(&Resolution::ALL[1..]),
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns"]),
        aggregate in prop::sample::select(Aggregate::ALL),
    ) {
        let memory = Memory::default();
        let begin = at("2026-03-22T00:00:00Z");
        let metric = if counter { "energy_kwh" } else { "power_kw" };
        for (minute, value) in points {
            let value = if counter { f64::from(value).abs() } else { f64::from(value) };
            memory.read_device(None, "rack-1", begin + minute * MINUTE, &[(metric, value)]);
        }
        let period = begin + from * MINUTE..begin + (from + length) * MINUTE;
        let query = SeriesQuery {
            from: time(period.start),
            to: time(period.end),
            zone: Some(zone.to_owned()),
            aggregate: Some(aggregate),
            ..query("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z", step)
        };
        let (heads, found) = series(&memory, query);
        let all: Vec<Point> = memory.rows().points.values().copied().collect();
        let buckets: Vec<Range<Micros>> = Buckets::new(period.clone(), step, period::zone(Some(zone)).unwrap()).collect();
        prop_assert_eq!(buckets.iter().map(|bucket| bucket.end - bucket.start).sum::<Micros>(), length * MINUTE);
        let figures = fold(metric, heads[0].kind, &all, &buckets);
        let expected: Vec<_> = buckets.iter().zip(figures).filter_map(|(bucket, figures)| Some((bucket, figures?))).collect();
        prop_assert_eq!(expected.len(), found[0].0.len());
        for ((range, figures), bucket) in expected.iter().zip(&found[0].0) {
            prop_assert_eq!((bucket.begin, bucket.end), (time(range.start), time(range.end)));
            let value = heads[0].value(figures).unwrap_or_default();
            prop_assert!((bucket.value.unwrap_or_default() - value).abs() < 1e-9 * value.abs().max(1.0), "{:?} {}", bucket, value);
            prop_assert_eq!(bucket.count, figures.count);
            prop_assert!((bucket.coverage - share(figures.covered, range.end - range.start)).abs() < 1e-12);
        }
        let covered: Micros = expected.iter().map(|(_, figures)| figures.covered).sum();
        prop_assert!((found[0].1 - share(covered, length * MINUTE)).abs() < 1e-12);
    }
}
