//! Projects and hours of formulas for the tests.

use mass_domain::ids::SavingsProjectId;
use mass_domain::savings::{
    AsOf, Boundary, Confirmation, Design, Period, PlanFollowed, Price, PriceSeries, Project, Rate, Recorder, Schedule,
    ScheduledDay, Terms,
};
use mass_savings::{Hour, HourRate, draw_schedule};

use crate::{Contract, Inputs, ReportDocument, compose};

/// The first hour of all pilots: that of 2025-01-01.
const FIRST: i64 = 482_136;

fn real(number: i64) -> f64 {
    i32::try_from(number).map_or(0.0, f64::from)
}

/// Returns hours whose plant saves a share while `on` says so of their number.
pub(crate) fn hours(count: i64, saving: f64, on: impl Fn(i64) -> bool) -> Vec<Hour> {
    (0..count)
        .map(|number| {
            let turn = |hours: f64| (real(number) * std::f64::consts::TAU / hours).sin();
            // A deterministic disturbance of the size of a meter's noise.
            let noise = real((number * 7919 + number * number % 104_729) % 2000) / 1000.0 - 1.0;
            let temperature = 16.0 + 7.0 * turn(8760.0) + 5.0 * turn(24.0) + 3.0 * turn(311.0);
            let it = 80.0 + 5.0 * turn(24.0) + 3.0 * turn(77.0) + 0.5 * noise;
            let hvac = it * (0.12 + 0.004 * (temperature - 10.0).max(0.0)) * (1.0 + 0.02 * noise);
            let hvac = hvac * if on(number) { 1.0 - saving } else { 1.0 };
            Hour {
                start: (FIRST + number) * 3600,
                hvac_kwh: hvac,
                it_kwh: it,
                facility_kwh: Some(1.1 * it + hvac),
                temperature_c: temperature,
                relative_humidity_percent: 60.0 - 10.0 * turn(24.0) + 12.0 * turn(211.0),
                pressure_hpa: 1010.0 + 5.0 * turn(173.0),
                inlet_temperature_c: Some(22.0),
            }
        })
        .collect()
}

fn project(design: Design) -> Project {
    Project {
        id: SavingsProjectId::from_uuid(uuid::Uuid::nil()),
        version: 2,
        seed: 7,
        utc_offset_seconds: 0,
        terms: Terms {
            name: "Fans of hall 2".to_owned(),
            site_id: "tampa-1".to_owned(),
            weather_device: "weather".to_owned(),
            boundary: Boundary::Hvac,
            design,
            zone: "Etc/UTC".to_owned(),
            price: Some(Price { rate: Rate::Fixed(0.1), currency: "EUR".to_owned() }),
            co2e_kg_per_kwh: Some(0.4),
            assumptions: vec!["The set-points stay as they are.".to_owned()],
            modes: Vec::new(),
        },
        adjustments: Vec::new(),
        schedule: None,
        confirmations: Vec::new(),
    }
}

/// Returns a pre/post pilot of half a year before and 20 weeks after, with a saving of 10 %.
pub(crate) fn pre_post() -> (Project, Vec<Hour>) {
    let at = |text: &str| text.parse().unwrap();
    let (first, middle, last) = ("2025-01-01T00:00:00Z", "2025-07-02T00:00:00Z", "2025-11-19T00:00:00Z");
    let project = project(Design::PrePost {
        baseline: Period { from: at(first), until: at(middle) },
        reporting: Period { from: at(middle), until: at(last) },
    });
    (project, hours(46 * 168, 0.1, |number| number >= 26 * 168))
}

/// Returns a crossover of eight weeks with a saving of 10 %, of which one day was off the plan.
pub(crate) fn crossover() -> (Project, Vec<Hour>) {
    let first_day = FIRST / 24;
    let drawn = draw_schedule(first_day, 28, 11);
    let day = |number: i64| mass_domain::savings::Day::from_number(number).unwrap();
    let mut project = project(Design::Crossover { first_day: day(first_day), pairs: 28, washout: true });
    let at = "2024-12-24T12:00:00Z".parse().unwrap();
    project.schedule = Some(Schedule {
        seed: 11,
        drawn_at: at,
        days: drawn
            .iter()
            .map(|it| ScheduledDay { day: day(it.day), pair: u32::try_from(it.pair).unwrap(), on: it.on })
            .collect(),
    });
    let confirmation = |it: &mass_savings::Day, followed| Confirmation {
        day: day(it.day),
        followed,
        reason: None,
        author: "A. Operator".to_owned(),
        recorded_by: Recorder { kind: "user".to_owned(), id: None },
        recorded_at: at,
    };
    let followed = |place| if place == 0 { PlanFollowed::NotApplied } else { PlanFollowed::Applied };
    project.confirmations = drawn.iter().enumerate().map(|(place, it)| confirmation(it, followed(place))).collect();
    let on: Vec<bool> = drawn.iter().enumerate().map(|(place, it)| it.on != (place == 0)).collect();
    (project, hours(56 * 24, 0.1, |number| on[usize::try_from(number / 24).unwrap()]))
}

/// Returns the contracts of a pilot, as they come: out of order, and one of them twice.
pub(crate) fn contracts() -> Vec<Contract> {
    ["enterprise", "device", "device"]
        .map(|name| Contract { name: name.to_owned(), version: "1.1".to_owned() })
        .to_vec()
}

/// Agrees on a series of prices, and returns a price of each hour: dear in the afternoon.
pub(crate) fn by_series(project: &mut Project, hours: &[Hour]) -> Vec<HourRate> {
    let series = PriceSeries { metric: "spot_price".to_owned(), device_id: Some("meter-1".to_owned()) };
    project.terms.price = Some(Price { rate: Rate::Series(series), currency: "EUR".to_owned() });
    let per_kwh = |hour: &Hour| if (12..18).contains(&(hour.start / 3600 % 24)) { 0.3 } else { 0.1 };
    hours.iter().map(|hour| HourRate { start: hour.start, per_kwh: per_kwh(hour) }).collect()
}

/// Composes the report of a pilot.
pub(crate) fn report(pilot: &(Project, Vec<Hour>)) -> ReportDocument {
    priced_report(pilot, &[])
}

/// Composes the report of a pilot with prices of hours.
pub(crate) fn priced_report((project, hours): &(Project, Vec<Hour>), prices: &[HourRate]) -> ReportDocument {
    compose(&Inputs {
        project,
        hours,
        as_of: &AsOf { sequence: 321, root: "ab".repeat(32) },
        contracts: &contracts(),
        prices,
        program: "0.1.0",
    })
    .unwrap()
}
