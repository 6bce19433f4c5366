use mass_domain::analytics::{DAY, Segment, segments};
use mass_domain::metrics::MetricKind;
use proptest::prelude::*;

use super::*;
use crate::memory::{Event, Memory, at, run, tenant, time};

const MINUTE: Micros = HOUR / 60;

fn query(from: &str, to: &str) -> KpiQuery {
    KpiQuery {
        sites: Vec::new(),
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        step: Split::Period,
        zone: None,
        tariff: None,
        carbon: None,
    }
}

fn kpis(memory: &Memory, query: KpiQuery) -> Vec<SiteKpis> {
    run(async {
        let service = memory.service("2026-12-01T00:00:00Z").await;
        let mut stream = service.kpis(&Principal::system(tenant()), query).await.unwrap();
        let mut all = Vec::new();
        while let Some(page) = stream.next().await.unwrap() {
            all.extend(page);
        }
        all
    })
}

fn get(kpis: &SiteKpis, indicator: Indicator) -> &Kpi {
    kpis.kpis.iter().find(|kpi| kpi.indicator == indicator).unwrap()
}

/// Asserts the value and the coverage of an indicator.
#[track_caller]
fn assert_is(kpis: &SiteKpis, indicator: Indicator, value: f64, coverage: f64) {
    let kpi = get(kpis, indicator);
    let is_near = |found: f64, expected: f64| (found - expected).abs() <= 1e-9 * expected.abs().max(1.0);
    assert!(kpi.value.is_some_and(|found| is_near(found, value)), "{indicator}: {value} expected, found {kpi:?}");
    assert!(is_near(kpi.coverage, coverage), "{indicator}: coverage {coverage} expected, found {kpi:?}");
    assert_eq!(kpi.absence, None);
}

/// Asserts that an indicator has no value.
#[track_caller]
fn assert_none(kpis: &SiteKpis, indicator: Indicator, code: AbsenceCode, reason: &str) {
    let kpi = get(kpis, indicator);
    let absence = Absence { code, reason: reason.to_owned() };
    assert_eq!((kpi.value, kpi.coverage, kpi.absence.as_ref()), (None, 0.0, Some(&absence)), "{indicator}");
}

/// Sends a window of an hour for each pair of IT and facility power, and a price.
fn hourly(memory: &Memory, from: &str, powers: &[(f64, f64)], price: impl Fn(usize) -> f64) {
    for (index, (it, facility)) in powers.iter().enumerate() {
        let start = at(from) + i64::try_from(index).unwrap() * HOUR;
        let price = price(index);
        let energy = format!(r#""it_load_kw":{it},"facility_power_kw":{facility},"energy_price_usd_per_kwh":{price}"#);
        memory.read_site("a", start..start + HOUR, &energy);
    }
}

#[test]
fn a_day_of_hours_has_the_energies_the_cost_and_the_emissions_by_hand() {
    let memory = Memory::default();
    hourly(&memory, "2026-03-01T00:00:00Z", &[(100.0, 150.0); 30], |hour| if hour < 12 { 0.1 } else { 0.2 });
    let query = KpiQuery { carbon: Some(0.4), ..query("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z") };
    let day = kpis(&memory, query).remove(0);
    assert_eq!(day.site_id, "a");
    for (indicator, value) in [
        (Indicator::ItEnergy, 2400.0),
        (Indicator::FacilityEnergy, 3600.0),
        (Indicator::Pue, 1.5),
        (Indicator::Peak, 150.0),
        (Indicator::LoadFactor, 1.0),
        (Indicator::Cost, 150.0 * 12.0 * 0.1 + 150.0 * 12.0 * 0.2),
        (Indicator::Carbon, 1440.0),
        (Indicator::Cue, 0.6),
        (Indicator::Completeness, 1.0),
        (Indicator::Gaps, 0.0),
    ] {
        assert_is(&day, indicator, value, 1.0);
    }
    assert_none(&day, Indicator::HvacEnergy, AbsenceCode::NoSeries, "no series of hvac_power_kw");
    assert_none(&day, Indicator::Wue, AbsenceCode::NoSeries, "no series of water_m3");
    assert_none(&day, Indicator::Erf, AbsenceCode::NoSeries, "no series of reused_power_kw or reused_energy_kwh");
    let reason = "no series of inlet_temperature_celsius, nor of temperature_celsius of racks or servers";
    assert_none(&day, Indicator::RciHi, AbsenceCode::NoSeries, reason);
    assert_eq!(get(&day, Indicator::Cost).unit, "USD");
    let indicators: Vec<Indicator> = day.kpis.iter().map(|kpi| kpi.indicator).collect();
    assert_eq!(indicators, Indicator::ALL);
}

#[test]
fn the_pue_is_the_ratio_of_sums_over_the_time_that_both_cover() {
    let memory = Memory::default();
    // The mean of the ratios 2.0 and 1.1 would be 1.55. The third hour has no facility power.
    hourly(&memory, "2026-03-01T00:00:00Z", &[(100.0, 200.0), (300.0, 330.0)], |_| 0.1);
    memory.read_site("a", at("2026-03-01T02:00:00Z")..at("2026-03-01T03:00:00Z"), r#""it_load_kw":500"#);
    let kpis = kpis(&memory, query("2026-03-01T00:00:00Z", "2026-03-01T04:00:00Z")).remove(0);
    assert_is(&kpis, Indicator::Pue, 530.0 / 400.0, 0.5);
    assert_is(&kpis, Indicator::ItEnergy, 900.0, 0.75);
    assert_is(&kpis, Indicator::FacilityEnergy, 530.0, 0.5);
    assert_is(&kpis, Indicator::Peak, 330.0, 0.5);
    assert_eq!(kpis.peak_at, Some("2026-03-01T01:00:00Z".parse().unwrap()));
    assert_is(&kpis, Indicator::LoadFactor, 265.0 / 330.0, 0.5);
    assert_is(&kpis, Indicator::Completeness, 0.625, 0.625);
    assert_none(
        &kpis,
        Indicator::Carbon,
        AbsenceCode::NoRate,
        "no factor, and no series of carbon_intensity_g_per_kwh",
    );
    assert_none(&kpis, Indicator::Cue, AbsenceCode::NoRate, "no factor, and no series of carbon_intensity_g_per_kwh");
}

#[test]
fn a_price_that_changes_within_an_hour_is_applied_to_the_minute() {
    let memory = Memory::default();
    let begin = at("2026-03-01T00:00:00Z");
    for index in 0..=18 {
        let power = if index < 9 { 60.0 } else { 120.0 };
        memory.read_device(Some("a"), "meter-1", begin + index * 10 * MINUTE, &[("facility_power_kw", power)]);
    }
    for (from, to, price) in [(0, 80, 0.1), (80, 180, 0.3)] {
        let energy = format!(r#""energy_price_usd_per_kwh":{price}"#);
        memory.read_site("a", begin + from * MINUTE..begin + to * MINUTE, &energy);
    }
    let all = query("2026-03-01T00:00:00Z", "2026-03-01T03:00:00Z");
    // 60 kW for 80 minutes at 0.1, 60 kW for 10 and 120 kW for 90 minutes at 0.3.
    let cost = 80.0 * 0.1 + 10.0 * 0.3 + 180.0 * 0.3;
    assert_is(&kpis(&memory, all.clone()).remove(0), Indicator::Cost, cost, 1.0);
    let tariff = kpis(&memory, KpiQuery { tariff: Some(0.25), ..all.clone() }).remove(0);
    assert_is(&tariff, Indicator::Cost, (90.0 + 180.0) * 0.25, 1.0);
    assert_eq!(get(&tariff, Indicator::Cost).unit, "currency");
    // From 01:15 to 01:25, which is less than an hour.
    let part = KpiQuery { from: time(begin + 75 * MINUTE), to: time(begin + 85 * MINUTE), ..all };
    assert_is(&kpis(&memory, part).remove(0), Indicator::Cost, 5.0 * 0.1 + 5.0 * 0.3, 1.0);
}

#[test]
fn without_it_energy_there_is_no_pue() {
    let memory = Memory::default();
    hourly(&memory, "2026-03-01T00:00:00Z", &[(0.0, 20.0); 24], |_| 0.1);
    let day = query("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z");
    assert_none(
        &kpis(&memory, day).remove(0),
        Indicator::Pue,
        AbsenceCode::NotAboveZero,
        "the energy of it_power_kw is not above 0 kWh",
    );
    let memory = Memory::default();
    memory.read_site("a", at("2026-03-01T00:00:00Z")..at("2026-03-01T01:00:00Z"), r#""facility_power_kw":20"#);
    let day = query("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z");
    let found = kpis(&memory, day).remove(0);
    assert_none(&found, Indicator::Pue, AbsenceCode::NoSeries, "no series of it_power_kw");
    assert_none(&found, Indicator::ItEnergy, AbsenceCode::NoSeries, "no series of it_power_kw");
    assert_is(&found, Indicator::FacilityEnergy, 20.0, 1.0 / 24.0);
}

#[test]
fn devices_are_added_up_and_water_and_reused_heat_are_compared() {
    let memory = Memory::default();
    let begin = at("2026-03-01T00:00:00Z");
    for hour in 0..=24_i32 {
        let when = begin + i64::from(hour) * HOUR;
        memory.read_device(Some("a"), "rack-1", when, &[("it_power_kw", 40.0)]);
        memory.read_device(Some("a"), "rack-2", when, &[("it_power_kw", 60.0)]);
        memory.read_device(Some("b"), "rack-3", when, &[("it_power_kw", 1000.0)]);
        memory.read_device(Some("a"), "meter-1", when, &[("water_m3", f64::from(hour)), ("reused_power_kw", 30.0)]);
        memory.read_device(Some("a"), "meter-2", when, &[("facility_power_kw", 120.0)]);
        memory.read_device(Some("a"), "meter-3", when, &[("carbon_intensity_g_per_kwh", 250.0)]);
    }
    let day = query("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z");
    let found = kpis(&memory, day);
    assert_eq!(found.iter().map(|kpis| kpis.site_id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_is(&found[0], Indicator::ItEnergy, 2400.0, 1.0);
    assert_is(&found[1], Indicator::ItEnergy, 24_000.0, 1.0);
    assert_is(&found[0], Indicator::Pue, 1.2, 1.0);
    // 24 m³ are 24,000 litres.
    assert_is(&found[0], Indicator::Wue, 10.0, 1.0);
    assert_is(&found[0], Indicator::Erf, 0.25, 1.0);
    assert_is(&found[0], Indicator::Carbon, 120.0 * 24.0 * 0.25, 1.0);
    assert_is(&found[0], Indicator::Cue, 0.3, 1.0);
    assert_is(&found[0], Indicator::Gaps, 0.0, 1.0);
}

#[test]
fn intake_temperatures_are_weighed_by_the_time_out_of_the_recommended_range() {
    let memory = Memory::default();
    let begin = at("2026-03-01T00:00:00Z");
    for minute in (0..=240).step_by(10) {
        let when = begin + minute * MINUTE;
        let inlet = if minute < 120 { 32.0 } else { 22.0 };
        memory.read_device(Some("a"), "sensor-1", when, &[("inlet_temperature_celsius", inlet)]);
        memory.read_device(Some("a"), "rack-1", when, &[("temperature_celsius", 16.5)]);
        memory.read_device(Some("a"), "crac-1", when, &[("temperature_celsius", 5.0)]);
    }
    let found = kpis(&memory, query("2026-03-01T00:00:00Z", "2026-03-01T04:00:00Z")).remove(0);
    // One of two intakes is 5 K too warm for half of the time, the other 1.5 of 3 K too cold all the time.
    assert_is(&found, Indicator::RciHi, 75.0, 1.0);
    assert_is(&found, Indicator::RciLo, 75.0, 1.0);
}

#[test]
fn days_of_a_zone_have_23_24_or_25_hours_and_may_begin_within_an_hour() {
    let memory = Memory::default();
    for begin in ["2026-03-28T00:00:00Z", "2026-10-24T00:00:00Z"] {
        for index in 0..=(6 * 24 * 3) {
            memory.read_device(Some("a"), "rack-1", at(begin) + index * 10 * MINUTE, &[("it_power_kw", 2.0)]);
        }
    }
    let days = |from: &str, to: &str, zone: &str| {
        let query = KpiQuery { step: Split::Day, zone: Some(zone.to_owned()), ..query(from, to) };
        kpis(&memory, query)
    };
    let spring = days("2026-03-28T23:00:00Z", "2026-03-30T22:00:00Z", "Europe/Berlin");
    assert_is(&spring[0], Indicator::ItEnergy, 46.0, 1.0);
    assert_is(&spring[1], Indicator::ItEnergy, 48.0, 1.0);
    let autumn = days("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "Europe/Berlin");
    assert_eq!(autumn.len(), 1);
    assert_is(&autumn[0], Indicator::ItEnergy, 50.0, 1.0);
    let india = days("2026-10-24T18:30:00Z", "2026-10-26T18:30:00Z", "Asia/Kolkata");
    assert_eq!(india.len(), 2);
    assert!(india.iter().all(|day| day.to.unix_micros() - day.from.unix_micros() == DAY));
    assert_is(&india[1], Indicator::ItEnergy, 48.0, 1.0);
}

#[test]
fn refuses_unknown_sites_zones_and_rates_and_callers_without_the_permission() {
    let memory = Memory::default();
    hourly(&memory, "2026-03-01T00:00:00Z", &[(1.0, 2.0)], |_| 0.1);
    let day = query("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z");
    let fail = |query: KpiQuery| {
        run(async {
            let service = memory.service("2026-12-01T00:00:00Z").await;
            service.kpis(&Principal::system(tenant()), query).await.err().unwrap()
        })
    };
    let sites = vec!["a".to_owned(), "x".to_owned()];
    assert!(matches!(fail(KpiQuery { sites, ..day.clone() }), KpiError::UnknownSite(site) if site == "x"));
    let zone = Some("Nowhere/None".to_owned());
    assert!(matches!(fail(KpiQuery { zone, ..day.clone() }), KpiError::Period(PeriodError::Zone(_))));
    for rate in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(fail(KpiQuery { tariff: Some(rate), ..day.clone() }), KpiError::Rate(_)));
    }
    let long = KpiQuery { step: Split::Day, to: "2030-01-01T00:00:00Z".parse().unwrap(), ..day.clone() };
    assert!(matches!(fail(long), KpiError::Period(PeriodError::TooLong { take: Some("month"), .. })));
    let nobody = Principal::api_key(
        mass_domain::ids::ApiKeyId::from_uuid(uuid::Uuid::nil()),
        tenant(),
        std::iter::once(Permission::MassRead).collect(),
    );
    let found = run(async { memory.service("2026-12-01T00:00:00Z").await.kpis(&nobody, day).await.err().unwrap() });
    assert!(matches!(found, KpiError::Forbidden(Forbidden(Permission::AnalyticsRead))));
}

/// Returns the segment that holds at a time.
fn holding(segments: &[Segment], at: Micros) -> Option<&Segment> {
    segments.iter().rfind(|segment| segment.point.at <= at).filter(|segment| at < segment.to)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Energy and cost are those that are counted minute by minute, be they read from days, hours or points.
    #[test]
    fn energy_and_cost_are_those_of_every_minute(
        powers in prop::collection::btree_map(0_i64..4500, 0_u8..100, 1..200),
        prices in prop::collection::btree_map(0_i64..4500, 1_u8..4, 1..8),
        steady in any::<bool>(),
        from in 0_i64..3000,
        length in 1_i64..3000,
    ) {
        let memory = Memory::default();
        let begin = at("2026-03-01T00:00:00Z");
        let powers: Vec<(i64, f64)> = if steady {
            (0..450_i32).map(|index| (i64::from(index) * 10, f64::from(index % 7))).collect()
        } else {
            powers.into_iter().map(|(minute, value)| (minute, f64::from(value))).collect()
        };
        for (minute, value) in &powers {
            memory.read_device(Some("a"), "meter-1", begin + minute * MINUTE, &[("facility_power_kw", *value)]);
        }
        for (minute, value) in prices {
            let start = begin + minute * MINUTE;
            let energy = format!(r#""energy_price_usd_per_kwh":0.{value}"#);
            memory.read_site("a", start..start + 2 * DAY, &energy);
        }
        assert_minutes(&memory, begin + from * MINUTE, begin + (from + length) * MINUTE);
    }

    /// Reports of a site have power and price of the same window.
    #[test]
    fn the_cost_of_reports_is_that_of_every_minute(
        reports in prop::collection::vec((0_i64..4500, 1_i64..400, 0_u8..100, 0_u8..10), 1..60),
        removed in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        from in 0_i64..3000,
        length in 1_i64..3000,
    ) {
        let memory = Memory::default();
        let begin = at("2026-03-01T00:00:00Z");
        let mut accepted = Vec::new();
        for (minute, window, power, price) in reports {
            let start = begin + minute * MINUTE;
            let energy = format!(r#""facility_power_kw":{power},"energy_price_usd_per_kwh":0.{price}"#);
            memory.read_site("a", start..start + window * MINUTE, &energy);
            accepted.push(i64::try_from(memory.0.lock().unwrap().log.len()).unwrap());
        }
        let removed: std::collections::BTreeSet<i64> =
            removed.iter().map(|index| accepted[index.index(accepted.len())]).take(accepted.len() - 1).collect();
        removed.into_iter().for_each(|accepted| memory.append(Event::Removed(accepted)));
        assert_minutes(&memory, begin + from * MINUTE, begin + (from + length) * MINUTE);
    }
}

/// Asserts that energy and cost of the site are those that are counted minute by minute.
fn assert_minutes(memory: &Memory, from: Micros, to: Micros) {
    let query = KpiQuery { from: time(from), to: time(to), ..query("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z") };
    let found = kpis(memory, query).remove(0);
    let rows = memory.rows();
    let of = |metric: &str, kind| {
        let key = rows.series.values().find(|row| row.key.metric == metric).unwrap().id;
        let points: Vec<_> = rows.points.iter().filter(|((id, ..), _)| *id == key).map(|(_, point)| *point).collect();
        segments(kind, &points)
    };
    let power = of("facility_power_kw", MetricKind::Power);
    let price = of("energy_price_usd_per_kwh", MetricKind::Gauge);
    let (mut energy, mut cost, mut covered, mut priced) = (0.0, 0.0, 0.0, 0.0);
    let mut minute = from;
    while minute < to {
        if let Some(power) = holding(&power, minute) {
            energy += power.point.value / 60.0;
            covered += 1.0;
            if let Some(price) = holding(&price, minute) {
                cost += power.point.value / 60.0 * price.point.value;
                priced += 1.0;
            }
        }
        minute += MINUTE;
    }
    let length = float(to - from) / float(MINUTE);
    for (indicator, value, minutes) in [(Indicator::FacilityEnergy, energy, covered), (Indicator::Cost, cost, priced)] {
        if minutes > 0.0 {
            assert_is(&found, indicator, value, minutes / length);
        } else {
            assert_eq!(get(&found, indicator).value, None);
        }
    }
}

#[test]
fn sites_that_are_read_together_have_the_indicators_of_each_alone() {
    let memory = Memory::default();
    for number in 0..30_i32 {
        let (site, number) = (format!("site-{number:02}"), f64::from(number));
        for day in 0..4_i64 {
            let start = at("2026-03-01T00:00:00Z") + day * DAY;
            let (it, facility) = (50.0 + number, 100.0 + number * 3.0);
            let energy =
                format!(r#""it_load_kw":{it},"facility_power_kw":{facility},"energy_price_usd_per_kwh":0.{day}"#);
            memory.read_site(&site, start..start + DAY, &energy);
            let when = start + 5 * HOUR;
            memory.read_device(Some(&site), "sensor", when, &[("inlet_temperature_celsius", 20.0 + number)]);
        }
    }
    let year = KpiQuery { carbon: Some(0.4), ..query("2026-02-01T00:00:00Z", "2027-02-01T00:00:00Z") };
    for step in [Split::Period, Split::Month, Split::Day] {
        let year = KpiQuery { step, ..year.clone() };
        let together = kpis(&memory, year.clone());
        let names: std::collections::BTreeSet<&str> = together.iter().map(|kpis| kpis.site_id.as_str()).collect();
        assert_eq!(names.len(), 30);
        let alone =
            names.iter().flat_map(|site| kpis(&memory, KpiQuery { sites: vec![(*site).to_owned()], ..year.clone() }));
        assert_eq!(together, alone.collect::<Vec<_>>(), "{step}");
    }
}
