use mass_domain::analytics::HOUR;

use super::*;
use crate::memory::{Memory, at, run, tenant};

const MINUTE: Micros = HOUR / 60;

/// Returns the findings on series of devices of this type: day of the month, kind, count, and what was found first.
fn findings(metric: &str, id: &str, points: &[(i64, f64)]) -> Vec<(String, Finding, u64, String)> {
    let memory = Memory::default();
    for (minute, value) in points {
        memory.read_device(None, id, at("2026-03-01T00:00:00Z") + minute * MINUTE, &[(metric, *value)]);
    }
    run(async {
        let service = memory.service("2026-03-20T00:00:00Z").await;
        let query = QualityQuery {
            metrics: Vec::new(),
            sites: Vec::new(),
            devices: Vec::new(),
            from: "2026-03-01T00:00:00Z".parse().unwrap(),
            to: "2026-03-30T00:00:00Z".parse().unwrap(),
        };
        let mut stream = service.quality(&Principal::system(tenant()), query).await.unwrap();
        let mut all = Vec::new();
        while let Some(page) = stream.next().await.unwrap() {
            all.extend(
                page.into_iter()
                    .map(|found| (found.day.to_string()[8..10].to_owned(), found.kind, found.count, found.detail)),
            );
        }
        all
    })
}

/// Returns values that move a little.
fn moving(minutes: std::ops::Range<i64>, base: f64) -> Vec<(i64, f64)> {
    minutes.map(|minute| (minute, base + (minute * 7 % 5) as f64 / 10.0)).collect()
}

fn one(day: &str, kind: Finding, count: u64, detail: &str) -> (String, Finding, u64, String) {
    (day.to_owned(), kind, count, detail.to_owned())
}

#[test]
fn finds_nothing_in_ordinary_values() {
    assert_eq!(findings("temperature_celsius", "rack-1", &moving(0..3000, 22.0)), []);
    assert_eq!(findings("humidity_percent", "rack-1", &moving(0..3000, 40.0)), []);
    let counter: Vec<(i64, f64)> = (0..2000).map(|minute| (minute, (minute / 600) as f64)).collect();
    assert_eq!(findings("energy_kwh", "rack-1", &counter), []);
    let load: Vec<(i64, f64)> = moving(0..500, 10.0).into_iter().chain(moving(500..1000, 30.0)).collect();
    assert_eq!(findings("it_power_kw", "rack-1", &load), [], "a step is no spike");
    let off: Vec<(i64, f64)> = (0..1000).map(|minute| (minute, 0.0)).collect();
    assert_eq!(findings("power_kw", "rack-1", &off), [], "a device that is off is not stuck");
}

#[test]
fn finds_gaps_duplicates_and_spikes() {
    let mut points = moving(0..100, 22.0);
    points.extend(moving(1500..1600, 22.0));
    points[50].1 = 35.0;
    points.insert(60, (59, 25.0));
    assert_eq!(
        findings("temperature_celsius", "rack-1", &points),
        [
            one("01", Finding::Gap, 1, "no point for 23 h 21 min"),
            one("01", Finding::Spike, 2, "35 between 22.3 and 22.2"),
            one("01", Finding::Duplicate, 1, "22.3 and 25 at one time: the one accepted last is valid"),
        ]
    );
}

#[test]
fn finds_values_that_are_stuck_on_each_day() {
    let stuck: Vec<(i64, f64)> = (1200..2000).map(|minute| (minute, 21.5)).collect();
    let points: Vec<(i64, f64)> = moving(0..1200, 22.0).into_iter().chain(stuck).collect();
    // From 20:00 on: after four hours, the next day has begun.
    let found = findings("temperature_celsius", "rack-1", &points);
    assert_eq!(found, [one("02", Finding::Stuck, 1, "21.5 for 4 h 0 min and longer")]);
    assert_eq!(findings("cooling_setpoint_celsius", "rack-1", &points), [], "a set-point does not move");
}

#[test]
fn finds_times_out_of_order_and_in_the_future() {
    // The first twenty minutes come last.
    let points = moving(0..50, 22.0);
    let order = [&points[20..], &points[..20]].concat();
    let found = findings("temperature_celsius", "rack-1", &order);
    assert_eq!(found, [one("01", Finding::ClockJump, 1, "accepted before the point of 1 min 0 s earlier")]);
    let day_of_clock = 19 * 1440;
    let found = findings("temperature_celsius", "rack-1", &moving(day_of_clock + 4..day_of_clock + 8, 22.0));
    assert_eq!(found, [one("20", Finding::ClockJump, 2, "6 min 0 s in the future")]);
}

#[test]
fn suspects_fahrenheit_kelvin_fractions_and_watts() {
    let found = findings("inlet_temperature_celsius", "rack-1", &moving(0..30, 72.5));
    assert_eq!(found, [one("01", Finding::Unit, 30, "72.5 °C; 72.5 °F would be 22.5 °C")]);
    let found = findings("temperature_celsius", "rack-1", &moving(0..30, 295.15));
    assert_eq!(found, [one("01", Finding::Unit, 30, "295.15 °C; 295.15 K would be 22.0 °C")]);
    let fractions: Vec<(i64, f64)> = (0..30).map(|minute| (minute, 0.4 + 0.01 * (minute % 3) as f64)).collect();
    let found = findings("humidity_percent", "rack-1", &fractions);
    assert_eq!(found, [one("01", Finding::Unit, 1, "at most 0.42 % all day; as a fraction it would be 42 %")]);
    let found = findings("power_kw", "server-1", &moving(0..30, 450.0));
    assert_eq!(found, [one("01", Finding::Unit, 30, "450 kW; 450 W would be 0.45 kW")]);
    assert_eq!(findings("power_kw", "crac-1", &moving(0..30, 450.0)), []);
}
