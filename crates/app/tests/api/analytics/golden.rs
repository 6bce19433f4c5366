//! Three days of a site, whose figures are computed by hand: tests/data/analytics.

use std::fs;

use serde_json::{Value, json};

use super::{KPIS, SERIES, send, series};
use crate::support::TestApp;
use crate::support::documents::{Edit, report};
use crate::support::process::repository;

on_both!(
    indicators_of_three_days_are_those_computed_by_hand,
    days_of_23_and_25_hours_are_summed_as_such,
    a_counter_that_is_reset_or_silent_counts_what_is_known,
);

also_restricted!(indicators_of_three_days_are_those_computed_by_hand);

/// The rows of a file, without its header.
fn rows(name: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(repository().join("tests/data/analytics").join(name)).unwrap();
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// The documents of the site and its devices, in the order of the files.
fn documents() -> Vec<Value> {
    let number = |text: &str| json!(text.parse::<f64>().unwrap());
    let site = rows("site.csv").into_iter().map(|row| {
        let [start, end, it, facility, price] = &row[..] else { panic!("{row:?}") };
        let pue = facility.parse::<f64>().unwrap() / it.parse::<f64>().unwrap();
        report(&format!("report-{start}"))
            .with("/request/timestamp_utc", end.as_str())
            .with("/request/time_window/start_utc", start.as_str())
            .with("/request/time_window/end_utc", end.as_str())
            .with("/request/assets/site_id", "madrid-1")
            .with("/request/signals/energy/it_load_kw", number(it))
            .with("/request/signals/energy/facility_power_kw", number(facility))
            .with("/request/signals/energy/energy_price_usd_per_kwh", number(price))
            .with("/request/signals/thermal/pue_current", pue)
    });
    let devices = rows("devices.csv").into_iter().map(|row| {
        let [device, time, metric, value] = &row[..] else { panic!("{row:?}") };
        let device = json!({"id": device, "site_id": "madrid-1"});
        let metrics = json!({metric.as_str(): number(value)});
        json!({"mass_version": "2.0", "timestamp": time, "device": device, "metrics": metrics})
    });
    site.chain(devices).collect()
}

async fn with_three_days(app: &TestApp) {
    send(app.founder(), &documents()).await;
    app.project().await;
}

#[track_caller]
fn assert_near(found: &Value, expected: f64, what: &str) {
    let found = found.as_f64().unwrap_or_else(|| panic!("{what}: {found}"));
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{what}: {found} instead of {expected}");
}

/// A day by its period, with its indicators: value and coverage.
type Day = (&'static str, &'static str, &'static [(&'static str, f64, f64)]);

/// In hours: 7 × 500 kW and 16 × 600 kW of IT on the first day, and so on.
const DAYS: [Day; 3] = [
    (
        "from=2025-03-29T23:00:00Z&to=2025-03-30T22:00:00Z",
        "2025-03-30T06:00:00Z",
        &[
            ("it_energy_kwh", 7.0 * 500.0 + 16.0 * 600.0, 1.0),
            ("facility_energy_kwh", 7.0 * 700.0 + 16.0 * 780.0, 1.0),
            ("pue", 17_380.0 / 13_100.0, 1.0),
            ("cost", 7.0 * 700.0 * 0.10 + 16.0 * 780.0 * 0.12, 1.0),
            ("peak_kw", 780.0, 1.0),
            ("load_factor", 17_380.0 / 23.0 / 780.0, 1.0),
            ("completeness", 1.0, 1.0),
            // Behind the last report of the day: of the IT equipment and of the facility.
            ("gaps", 2.0, 1.0),
        ],
    ),
    (
        "from=2025-06-14T22:00:00Z&to=2025-06-15T22:00:00Z",
        "2025-06-15T06:00:00Z",
        &[
            ("it_energy_kwh", 6.0 * 800.0 + 4.5 * 900.0 + 11.5 * 600.0, 22.0 / 24.0),
            ("facility_energy_kwh", 6.0 * 1120.0 + 4.5 * 1260.0 + 11.5 * 900.0, 22.0 / 24.0),
            ("hvac_energy_kwh", 0.5 * 60.0 + 0.5 * 90.0, 1.0 / 24.0),
            ("pue", 22_740.0 / 15_750.0, 22.0 / 24.0),
            // The price changes at 10:30.
            ("cost", 6.0 * 1120.0 * 0.10 + 4.5 * 1260.0 * 0.10 + 11.5 * 900.0 * 0.20, 22.0 / 24.0),
            ("co2e_kg", 22_740.0 * 0.2, 22.0 / 24.0),
            ("cue", 22_740.0 * 0.2 / 15_750.0, 22.0 / 24.0),
            ("peak_kw", 1260.0, 22.0 / 24.0),
            ("load_factor", 22_740.0 / 22.0 / 1260.0, 22.0 / 24.0),
            // The water of 0 to 3 and 8 to 10 o'clock, and the energy of the same hours.
            ("wue", 1000.0 * 6.0 / (3.0 * 800.0 + 2.0 * 900.0), 5.0 / 24.0),
            // 2 K above 27 °C, of 5 K that would be allowed, and 1.5 K below 18 °C, of 3 K, in one of three hours.
            ("rci_hi", 100.0 * (1.0 - 2.0 / 5.0 / 3.0), 3.0 / 24.0),
            ("rci_lo", 100.0 * (1.0 - 1.5 / 3.0 / 3.0), 3.0 / 24.0),
            ("completeness", (22.0 + 22.0 + 1.0) / 24.0 / 3.0, (22.0 + 22.0 + 1.0) / 24.0 / 3.0),
            // At the outage and behind the last report, of two series each.
            ("gaps", 4.0, (22.0 + 22.0 + 1.0) / 24.0 / 3.0),
        ],
    ),
    (
        "from=2025-10-25T22:00:00Z&to=2025-10-26T23:00:00Z",
        "2025-10-26T01:00:00Z",
        &[
            ("it_energy_kwh", 3.0 * 400.0 + 22.0 * 500.0, 1.0),
            ("facility_energy_kwh", 3.0 * 560.0 + 22.0 * 650.0, 1.0),
            ("pue", 15_980.0 / 12_200.0, 1.0),
            ("cost", 3.0 * 560.0 * 0.08 + 22.0 * 650.0 * 0.09, 1.0),
            ("peak_kw", 650.0, 1.0),
            ("load_factor", 15_980.0 / 25.0 / 650.0, 1.0),
            ("gaps", 0.0, 1.0),
        ],
    ),
];

async fn indicators_of_three_days_are_those_computed_by_hand(app: TestApp) {
    with_three_days(&app).await;
    for (period, peak_at, expected) in DAYS {
        let answer = app.get(&format!("{KPIS}?{period}&step=day&zone=Europe/Madrid&carbon=0.2")).await.expect(200);
        assert_eq!(answer.at("/items").as_array().unwrap().len(), 1, "one day of the zone: {answer:?}");
        assert_eq!(answer.text("/items/0/peak_at"), peak_at);
        let kpis = answer.at("/items/0/kpis");
        for (name, value, coverage) in expected {
            assert_near(&kpis[*name]["value"], *value, &format!("{period} {name}"));
            assert_near(&kpis[*name]["coverage"], *coverage, &format!("{period} coverage of {name}"));
        }
        assert_eq!((&kpis["erf"]["value"], &kpis["erf"]["reason_code"]), (&Value::Null, &json!("no_series")));
        let tariff = app.get(&format!("{KPIS}?{period}&tariff=0.5")).await.expect(200);
        let cost = tariff.at("/items/0/kpis/cost");
        assert_near(&cost["value"], kpis["facility_energy_kwh"]["value"].as_f64().unwrap() * 0.5, period);
        assert_eq!((&cost["unit"], &kpis["cost"]["unit"]), (&json!("currency"), &json!("USD")));
    }
    let none = app.get(&format!("{KPIS}?{}", DAYS[0].0)).await.expect(200).at("/items/0/kpis");
    for name in ["hvac_energy_kwh", "wue", "co2e_kg", "cue", "erf", "rci_hi", "rci_lo"] {
        assert!(none[name]["value"].is_null() && none[name]["reason"].is_string(), "{name}: {}", none[name]);
    }
}

async fn days_of_23_and_25_hours_are_summed_as_such(app: TestApp) {
    with_three_days(&app).await;
    let year = "from=2024-12-31T23:00:00Z&to=2025-12-31T23:00:00Z&zone=Europe/Madrid";
    let query = format!("metric=facility_power_kw&site_id=madrid-1&aggregate=sum&{year}");
    let days = series(app.founder(), &format!("{query}&step=day")).await;
    let expected = [
        ("2025-03-29T23:00:00Z", "2025-03-30T22:00:00Z", 17_380.0, 1.0),
        ("2025-06-14T22:00:00Z", "2025-06-15T22:00:00Z", 22_740.0, 22.0 / 24.0),
        ("2025-10-25T22:00:00Z", "2025-10-26T23:00:00Z", 15_980.0, 1.0),
    ];
    let buckets = days["buckets"].as_array().unwrap();
    assert_eq!((buckets.len(), &days["unit"]), (3, &json!("kWh")));
    for (bucket, (begin, end, energy, coverage)) in buckets.iter().zip(expected) {
        assert_eq!((&bucket["begin"], &bucket["end"]), (&json!(begin), &json!(end)));
        assert_near(&bucket["value"], energy, begin);
        assert_near(&bucket["coverage"], coverage, begin);
    }
    assert_near(&days["coverage"], (23.0 + 22.0 + 25.0) / (365.0 * 24.0), "the year");
    let months = series(app.founder(), &format!("{query}&step=month")).await;
    assert_eq!(months["buckets"].as_array().unwrap().len(), 3);
    assert_near(&months["buckets"][1]["value"], 22_740.0, "June");
    // In UTC, the same energy is in other days.
    let utc = "from=2025-03-29T00:00:00Z&to=2025-03-31T00:00:00Z&step=day&aggregate=sum";
    let utc = series(app.founder(), &format!("metric=facility_power_kw&{utc}")).await;
    assert_near(&utc["buckets"][0]["value"], 700.0, "2025-03-29");
    assert_near(&utc["buckets"][1]["value"], 6.0 * 700.0 + 16.0 * 780.0, "2025-03-30");
    let indicators = app.get(&format!("{KPIS}?{year}&step=day")).await.expect(200);
    let energy = |item: &Value| item["kpis"]["facility_energy_kwh"]["value"].as_f64();
    let energies: Vec<f64> = indicators.at("/items").as_array().unwrap().iter().filter_map(energy).collect();
    assert_eq!(energies, expected.map(|(_, _, energy, _)| energy));
}

async fn a_counter_that_is_reset_or_silent_counts_what_is_known(app: TestApp) {
    with_three_days(&app).await;
    let day = "from=2025-06-15T00:00:00Z&to=2025-06-16T00:00:00Z";
    let water = series(app.founder(), &format!("metric=water_m3&{day}&step=day")).await;
    let bucket = &water["buckets"][0];
    assert_eq!((&water["aggregate"], &water["unit"], &bucket["count"]), (&json!("sum"), &json!("m³"), &json!(8)));
    // 103 − 100 until the meter is silent, and 4 − 1 of the other one.
    assert_near(&bucket["value"], 6.0, "water");
    assert_near(&bucket["coverage"], 5.0 / 24.0, "water");
    let hours = series(app.founder(), &format!("metric=water_m3&{day}&step=hour")).await;
    let known = hours["buckets"].as_array().unwrap().iter().filter(|bucket| bucket["coverage"] == 1.0);
    let known: Vec<f64> = known.map(|bucket| bucket["value"].as_f64().unwrap()).collect();
    assert_eq!(known, [1.0, 1.5, 0.5, 1.5, 1.5]);
    let last = app.get(&format!("{SERIES}?metric=water_m3&{day}&step=day&aggregate=last")).await.expect(200);
    assert_eq!(last.at("/series/0/buckets/0/value"), 4.0);
}
