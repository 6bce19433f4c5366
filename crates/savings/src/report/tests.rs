//! Reports on sites of formulas: figures, verdicts and the data that provoke them.

use super::*;
use crate::{
    adjustments::Adjustment,
    covariates::Mode,
    hour::{Boundary, HOUR, WEEK},
    rates::Worth,
    testing::{Site, site},
};

/// The first hour of the reporting period in pilots of a year before and half a year after.
const MIDDLE: i64 = 8760;

fn settings() -> Settings {
    Settings {
        boundary: Boundary::Hvac,
        utc_offset_seconds: 0,
        modes: Vec::new(),
        adjustments: Vec::new(),
        seed: 1,
        placebo: false,
    }
}

/// The period of `count` hours from the hour numbered `first`.
fn period(first: i64, count: i64) -> Period {
    Period { from: first * HOUR, until: (first + count) * HOUR }
}

/// A report on a year before, and on a year after it of another site.
fn years(before: &[Hour], after: &[Hour], settings: &Settings) -> Result<Report, Error> {
    report(&PrePost {
        baseline: before,
        baseline_period: period(0, MIDDLE),
        reporting: after,
        reporting_period: period(MIDDLE, 8760),
        settings,
        rates: None,
    })
}

fn plain() -> Site {
    Site { noise: 0.01, ..site(1) }
}

fn after() -> Site {
    Site { saving: 0.1, noise: 0.01, ..site(2) }
}

fn year_of(site: Site, first: i64) -> Vec<Hour> {
    site.hours(first, 8760)
}

fn energy(hours: &[Hour]) -> f64 {
    hours.iter().map(|hour| hour.hvac_kwh).sum()
}

fn evidence(report: &Report) -> &Evidence {
    report.result.evidence.as_ref().unwrap()
}

/// A report on the plain site before, and another one after.
fn report_after(after: Site) -> Report {
    years(&year_of(plain(), 0), &year_of(after, MIDDLE), &settings()).unwrap()
}

#[test]
fn finds_a_known_saving_and_covers_it() {
    let found = report_after(after());
    assert_eq!(found.verdict.standing, Standing::Claimed, "{:?}", found.verdict);
    let saving = found.result.saving.unwrap();
    assert_eq!(saving.scope, Scope::All);
    let truth = energy(&year_of(after(), MIDDLE)) / 0.9 * 0.1;
    let error = saving.saving_kwh - truth;
    assert!(error.abs() < 0.01 * truth, "{saving:?} {truth}");
    assert!(error.abs() < saving.uncertainty.half_width_kwh, "{saving:?} {truth}");
    assert!(saving.uncertainty.half_width_kwh < 0.05 * truth, "{saving:?} {truth}");
    let uncertainty = saving.uncertainty;
    let parts = [uncertainty.noise_kwh, uncertainty.parameters_kwh, uncertainty.spread_kwh];
    let squares: f64 = parts.iter().map(|part| part * part).sum();
    assert!((squares.sqrt() / uncertainty.half_width_kwh - 1.0).abs() < 1e-12);
    assert_eq!((found.result.candidates.len(), found.result.alternatives.len()), (4, 7));
    assert!(found.result.candidates.windows(2).all(|pair| pair[0].cv_rmse <= pair[1].cv_rmse));
}

#[test]
fn noise_of_the_it_meter_does_not_bias_the_saving() {
    let mut random = crate::random::Random::new(4, 0);
    let mut disturb = |site: Site, first| {
        let mut hours = year_of(site, first);
        hours.iter_mut().for_each(|hour| hour.it_kwh *= 1.0 + 0.03 * random.normal());
        hours
    };
    let (before, after_hours) = (disturb(plain(), 0), disturb(Site { more_it: 3.0, ..after() }, MIDDLE));
    let found = years(&before, &after_hours, &settings()).unwrap();
    let saving = found.result.saving.or(found.result.offer).unwrap();
    let truth = saving.measured_kwh / 0.9 * 0.1;
    assert!((saving.saving_kwh / truth - 1.0).abs() < 0.03, "{saving:?} {truth}");
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let hours = plain().hours(0, 30 * 168);
    let settings = Settings { placebo: true, ..settings() };
    let run = || {
        let pilot = PrePost {
            baseline: &hours,
            baseline_period: period(0, 20 * 168),
            reporting: &hours,
            reporting_period: period(20 * 168, 10 * 168),
            settings: &settings,
            rates: None,
        };
        serde_json::to_vec(&report(&pilot).unwrap()).unwrap()
    };
    let first = run();
    assert_eq!(first, run());
    assert!(first.len() > 1000);
}

#[test]
fn every_machine_and_profile_gives_the_same_bits() {
    let hours = plain().hours(0, 20 * 168);
    let settings = settings();
    let pilot = PrePost {
        baseline: &hours,
        baseline_period: period(0, 14 * 168),
        reporting: &hours,
        reporting_period: period(14 * 168, 6 * 168),
        settings: &settings,
        rates: None,
    };
    let found = report(&pilot).unwrap();
    let saving = found.result.saving.or(found.result.offer).unwrap();
    let bits = [saving.saving_kwh, saving.uncertainty.half_width_kwh, evidence(&found).cv_rmse].map(f64::to_bits);
    // A change of the method changes them, a change of machine, compiler or profile must not.
    let expected = [4_621_487_058_036_578_304, 4_626_233_858_999_763_449, 4_576_991_732_284_008_502];
    assert_eq!(bits, expected, "{saving:?}");
}

#[test]
fn another_seed_moves_the_bootstrap_alone() {
    let (before, after_hours) = (year_of(plain(), 0), year_of(after(), MIDDLE));
    let with = |seed| years(&before, &after_hours, &Settings { seed, ..settings() }).unwrap().result.saving.unwrap();
    let (a, b) = (with(1), with(2));
    assert_eq!((a.saving_kwh, a.uncertainty.spread_kwh), (b.saving_kwh, b.uncertainty.spread_kwh));
    assert_ne!(a.uncertainty.parameters_kwh, b.uncertainty.parameters_kwh);
}

#[test]
fn refuses_a_baseline_that_is_too_short() {
    let hours = plain().hours(0, 6 * 168);
    let settings = settings();
    let found = report(&PrePost {
        baseline: &hours,
        baseline_period: period(0, 3 * 168),
        reporting: &hours,
        reporting_period: period(3 * 168, 3 * 168),
        settings: &settings,
        rates: None,
    })
    .unwrap();
    assert_eq!(found.verdict.standing, Standing::Refused);
    assert!(found.verdict.reasons.contains(&Reason::BaselineTooShort(3.0)), "{:?}", found.verdict);
    assert_eq!((found.result.saving, found.result.offer), (None, None));
}

#[test]
fn refuses_incomplete_periods() {
    let thin = |hours: Vec<Hour>| -> Vec<Hour> {
        hours.into_iter().filter(|hour| (hour.start / HOUR * 7).rem_euclid(10) > 1).collect()
    };
    let (before, after_hours) = (year_of(plain(), 0), year_of(after(), MIDDLE));
    let found = years(&thin(before.clone()), &after_hours, &settings()).unwrap();
    assert!(matches!(found.verdict.reasons[..], [Reason::BaselineIncomplete(share)] if share == 0.8));
    assert_eq!((found.verdict.standing, found.result.saving, found.result.offer), (Standing::Refused, None, None));
    let found = years(&before, &thin(after_hours), &settings()).unwrap();
    assert!(matches!(found.verdict.reasons[..], [Reason::ReportingIncomplete(share)] if share == 0.8));
}

#[test]
fn refuses_another_season_and_offers_its_supported_hours() {
    let hours = year_of(plain(), 0);
    let settings = settings();
    let found = report(&PrePost {
        baseline: &hours,
        baseline_period: period(0, 8 * 168),
        reporting: &hours,
        reporting_period: period(14 * 168, 8 * 168),
        settings: &settings,
        rates: None,
    })
    .unwrap();
    assert_eq!((found.verdict.standing, found.result.saving), (Standing::Refused, None));
    assert!(found.verdict.reasons.iter().any(|it| matches!(it, Reason::SupportTooLow(_))), "{:?}", found.verdict);
    if let Some(offer) = found.result.offer {
        assert!(offer.scope == Scope::Supported && offer.hours < 8 * 168, "{offer:?}");
    }
}

#[test]
fn claims_the_supported_hours_of_a_warmer_year() {
    let warmer = Site { warmer: 4.0, ..after() };
    let found = report_after(warmer);
    assert!(matches!(found.verdict.reasons[..], [Reason::SupportPartial(_)]), "{:?}", found.verdict);
    let saving = found.result.saving.unwrap();
    assert_eq!((found.verdict.standing, saving.scope), (Standing::Claimed, Scope::Supported));
    assert!(saving.hours < 8760);
    let truth = saving.measured_kwh / 0.9 * 0.1;
    assert!((saving.saving_kwh - truth).abs() < saving.uncertainty.half_width_kwh, "{saving:?} {truth}");
}

#[test]
fn a_hidden_state_makes_the_saving_indicative() {
    let before = Site { hidden: 0.2, ..plain() };
    let after_hours = year_of(Site { hidden: 0.2, ..after() }, MIDDLE);
    let found = years(&year_of(before, 0), &after_hours, &settings()).unwrap();
    assert_eq!(found.verdict.standing, Standing::Indicative);
    assert!(matches!(found.verdict.reasons[..], [Reason::ModelTooCoarse(cv)] if cv > 0.15), "{:?}", found.verdict);
    assert!(found.result.saving.is_some());
}

#[test]
fn warns_of_a_shifted_inlet() {
    let found = report_after(Site { inlet: 1.0, ..after() });
    assert!(matches!(found.verdict.reasons[..], [Reason::InletShifted(shift)] if (shift - 1.0).abs() < 1e-9));
    assert_eq!(found.verdict.standing, Standing::Claimed);
    assert!(found.result.it_effect.is_some() && report_after(after()).result.it_effect.is_none());
}

#[test]
fn warns_of_an_it_load_outside_the_range_with_a_band() {
    let found = report_after(Site { more_it: 12.0, ..after() });
    let outside = |reason: &Reason| matches!(reason, Reason::ItOutsideRange(share) if *share > 0.05);
    assert!(found.verdict.reasons.iter().any(outside), "{:?}", found.verdict);
    let band = found.result.it_effect.unwrap();
    assert!(band.at_measured_kwh > 1.05 * band.at_expected_kwh, "{band:?}");
}

#[test]
fn warns_of_a_mode_that_the_baseline_never_had() {
    let mode = Mode { name: "economiser off".into(), periods: vec![period(MIDDLE + 1000, 500)] };
    let settings = Settings { modes: vec![mode], ..settings() };
    let found = years(&year_of(plain(), 0), &year_of(after(), MIDDLE), &settings).unwrap();
    let unseen = found.verdict.reasons.iter().any(|it| matches!(it, Reason::ModeUnseen(share) if *share > 0.05));
    assert!(unseen, "{:?}", found.verdict);
    assert!(evidence(&found).supported_energy < 0.97);
}

#[test]
fn warns_of_a_limit_of_humidity() {
    // A plant that uses twice as much above a dew point of 8 °C, and a second year that is mostly just above it.
    let limit = |mut hours: Vec<Hour>| {
        for hour in &mut hours {
            let dew = crate::dew_point(hour.temperature_c, hour.relative_humidity_percent);
            hour.hvac_kwh *= if dew > 8.0 { 2.0 } else { 1.0 };
        }
        hours
    };
    let mut after_hours = year_of(after(), MIDDLE);
    for hour in after_hours.iter_mut().filter(|hour| hour.temperature_c > 10.0) {
        let vapour = crate::saturation_pressure(8.3) / crate::saturation_pressure(hour.temperature_c);
        hour.relative_humidity_percent = 100.0 * vapour;
    }
    let found = years(&limit(year_of(plain(), 0)), &limit(after_hours), &settings()).unwrap();
    let risk = found.verdict.reasons.iter().any(|it| matches!(it, Reason::HumiditySensitive(_)));
    assert!(risk, "{:?}", evidence(&found));
    assert!(evidence(&report_after(after())).humidity_error.abs() < 0.001);
}

#[test]
fn a_declared_mode_is_a_covariate() {
    let raise = |mut hours: Vec<Hour>, mode: &Mode| {
        for hour in hours.iter_mut().filter(|hour| mode.is_active(hour.start)) {
            hour.hvac_kwh *= 1.3;
        }
        hours
    };
    let mode = Mode { name: "economiser".into(), periods: vec![period(2000, 3000), period(MIDDLE + 100, 6000)] };
    let (before, after_hours) = (raise(year_of(plain(), 0), &mode), raise(year_of(after(), MIDDLE), &mode));
    let declared = Settings { modes: vec![mode], ..settings() };
    let found = years(&before, &after_hours, &declared).unwrap();
    let truth = energy(&after_hours) / 0.9 * 0.1;
    let saving = found.result.saving.unwrap();
    assert!((saving.saving_kwh / truth - 1.0).abs() < 0.02, "{saving:?} {truth}");
    assert!(evidence(&found).cv_rmse < 0.02);
    let undeclared = years(&before, &after_hours, &settings()).unwrap();
    assert!(evidence(&undeclared).cv_rmse > 0.05);
}

#[test]
fn a_schedule_of_the_inlet_is_a_covariate() {
    let schedule = |mut hours: Vec<Hour>| {
        for hour in hours.iter_mut().filter(|hour| (7..19).contains(&(hour.start / HOUR % 24))) {
            hour.inlet_temperature_c = Some(19.0);
            hour.hvac_kwh *= 1.25;
        }
        hours
    };
    let (before, after_hours) = (schedule(year_of(plain(), 0)), schedule(year_of(after(), MIDDLE)));
    let found = years(&before, &after_hours, &settings()).unwrap();
    assert!(found.result.inlet_profile);
    assert!(evidence(&found).cv_rmse < 0.02, "{:?}", evidence(&found));
    let blind = |hours: &[Hour]| -> Vec<Hour> {
        hours.iter().map(|hour| Hour { inlet_temperature_c: None, ..*hour }).collect()
    };
    let without = years(&blind(&before), &blind(&after_hours), &settings()).unwrap();
    assert!(!without.result.inlet_profile && evidence(&without).cv_rmse > evidence(&found).cv_rmse * 2.0);
    assert_eq!(evidence(&without).inlet_shift_k, None);
}

#[test]
fn adjustments_are_added_and_told() {
    let adjustment = |kwh| Adjustment {
        author: "A. Operator".into(),
        reason: "a new hall".into(),
        period: period(MIDDLE + 100, 500),
        kwh,
    };
    let (before, after_hours) = (year_of(plain(), 0), year_of(after(), MIDDLE));
    let with = |adjustments| {
        years(&before, &after_hours, &Settings { adjustments, ..settings() }).map(|it| it.result.saving.unwrap())
    };
    let (plain, adjusted) = (with(vec![]).unwrap(), with(vec![adjustment(500.0), adjustment(-100.0)]).unwrap());
    assert_eq!(adjusted.adjustments_kwh, 400.0);
    assert!((adjusted.saving_kwh - plain.saving_kwh - 400.0).abs() < 1e-6);
    let silent = Adjustment { reason: " ".into(), ..adjustment(1.0) };
    let outside = Adjustment { period: period(0, 10), ..adjustment(1.0) };
    for wrong in [silent, outside, adjustment(f64::NAN)] {
        assert_eq!(with(vec![wrong]), Err(Error::Adjustment));
    }
}

#[test]
fn measures_facility_minus_it() {
    let settings = Settings { boundary: Boundary::FacilityMinusIt, ..settings() };
    let (before, mut after_hours) = (year_of(plain(), 0), year_of(after(), MIDDLE));
    let found = years(&before, &after_hours, &settings).unwrap().result.saving.unwrap();
    let truth = energy(&after_hours) / 0.9 * 0.1;
    assert!((found.saving_kwh / truth - 1.0).abs() < 0.01, "{found:?} {truth}");
    after_hours[7].facility_kwh = None;
    assert_eq!(years(&before, &after_hours, &settings), Err(Error::NoFacility));
}

#[test]
fn refuses_malformed_input() {
    let hours = plain().hours(0, 4000);
    let settings = settings();
    let run = |baseline_period, reporting_period| {
        report(&PrePost {
            baseline: &hours,
            baseline_period,
            reporting: &hours,
            reporting_period,
            settings: &settings,
            rates: None,
        })
    };
    assert_eq!(run(period(0, 1000), period(900, 1000)), Err(Error::Periods));
    assert_eq!(run(period(0, 0), period(900, 1000)), Err(Error::Periods));
    assert_eq!(run(period(0, 6 * 8760), period(60_000, 1000)), Err(Error::Periods));
    assert_eq!(run(Period { from: i64::MIN, until: i64::MAX }, period(900, 1000)), Err(Error::Periods));
}

#[test]
fn placebo_pilots_cover_nothing_saved() {
    let hours = Site { noise: 0.02, season: 2.0, ..site(3) }.hours(0, 40 * 168);
    let found = crate::placebo_battery(&hours, Period { from: 0, until: 40 * WEEK }, &settings()).unwrap();
    assert!(found.pilots.len() >= 18, "{found:?}");
    let told = (found.supported, found.coverage, found.false_savings);
    assert!(found.supported >= 8 && found.coverage >= 0.8 && found.false_savings <= 0.2, "{told:?}");
}

#[test]
fn plans_shrink_with_time() {
    let hours = Site { noise: 0.05, ..site(3) }.hours(0, 40 * 168);
    let rows = crate::plan(&hours, Period { from: 0, until: 40 * WEEK }, &settings()).unwrap();
    assert_eq!(rows.iter().map(|row| row.weeks).collect::<Vec<_>>(), [4, 6, 8, 12]);
    let half = |row: &crate::PlanRow| row.crossover.unwrap().half_width_percent;
    assert!(half(&rows[3]) < half(&rows[0]), "{rows:?}");
    for row in &rows {
        for found in [row.crossover.unwrap(), row.pre_post.unwrap()] {
            assert!(found.smallest_saving_percent > found.half_width_percent, "{rows:?}");
        }
    }
    assert_eq!(rows, crate::plan(&hours, Period { from: 0, until: 40 * WEEK }, &settings()).unwrap());
}

#[test]
fn refuses_periods_with_hardly_any_hours() {
    let hours = plain().hours(0, 4000);
    let settings = settings();
    let found = report(&PrePost {
        baseline: &hours,
        baseline_period: period(0, 100),
        reporting: &hours,
        reporting_period: period(900, 1000),
        settings: &settings,
        rates: None,
    })
    .unwrap();
    assert_eq!(found.verdict.reasons, [Reason::TooFewHours(100.0)]);
    assert_eq!((found.verdict.standing, found.result.evidence, found.result.saving), (Standing::Refused, None, None));
}

/// Plants of which a variable does not vary, or nothing does.
#[test]
fn degenerate_plants_get_a_verdict() {
    type Change = fn(&mut Hour);
    let changes: [(&str, Change); 8] = [
        ("constant IT", |hour| hour.it_kwh = 80.0),
        ("no IT", |hour| hour.it_kwh = 0.0),
        ("constant temperature", |hour| hour.temperature_c = 20.0),
        ("constant weather", |hour| {
            (hour.temperature_c, hour.relative_humidity_percent, hour.pressure_hpa) = (20.0, 50.0, 1010.0);
        }),
        ("constant everything", |hour| {
            (hour.temperature_c, hour.relative_humidity_percent, hour.pressure_hpa) = (20.0, 50.0, 1010.0);
            (hour.it_kwh, hour.hvac_kwh) = (80.0, 20.0);
        }),
        ("constant energy", |hour| hour.hvac_kwh = 20.0),
        ("no energy", |hour| hour.hvac_kwh = 0.0),
        ("tiny loads", |hour| (hour.it_kwh, hour.hvac_kwh) = (hour.it_kwh * 1e-9, hour.hvac_kwh * 1e-9)),
    ];
    for (name, change) in changes {
        let mut hours = plain().hours(0, 104 * 168);
        hours.iter_mut().for_each(change);
        for weeks in [6, 52] {
            let settings = settings();
            let found = report(&PrePost {
                baseline: &hours,
                baseline_period: period(0, weeks * 168),
                reporting: &hours,
                reporting_period: period(weeks * 168, weeks * 168),
                settings: &settings,
                rates: None,
            })
            .unwrap();
            let finite =
                |saving: &Saving| saving.saving_kwh.is_finite() && saving.uncertainty.half_width_kwh.is_finite();
            let figure = found.result.saving.or(found.result.offer);
            assert!(figure.as_ref().is_none_or(finite), "{name} {figure:?}");
            assert_eq!(found.result.saving.is_some(), found.verdict.standing != Standing::Refused, "{name} {found:?}");
            let alternatives = found.result.alternatives.iter();
            let local = alternatives.clone().find(|it| it.alternative == Alternative::LocalLinear);
            let all = figure.map_or(0.0, |it| it.predicted_kwh);
            let spread = local.map_or(0.0, |it| (it.predicted_kwh - all).abs());
            assert!(spread <= 0.2 * all, "{name}: the neighbours say {local:?} instead of {all}");
        }
    }
}

#[test]
fn weeks_and_cells_count_every_hour() {
    let (before, after_hours) = (year_of(plain(), 0), year_of(after(), MIDDLE));
    let found = years(&before, &after_hours, &settings()).unwrap();
    for (weeks, hours) in [(&found.result.weeks.baseline, &before), (&found.result.weeks.reporting, &after_hours)] {
        assert_eq!(weeks.iter().map(|week| week.hours).sum::<usize>(), hours.len());
        let measured: f64 = weeks.iter().map(|week| week.measured_kwh).sum();
        assert!((measured / energy(hours) - 1.0).abs() < 1e-9);
    }
    let saving = found.result.saving.unwrap();
    let predicted: f64 = found.result.weeks.reporting.iter().map(|week| week.predicted_kwh).sum();
    assert!((predicted / saving.predicted_kwh - 1.0).abs() < 1e-9);
    let covered = found
        .result
        .weeks
        .baseline
        .iter()
        .filter(|week| (week.measured_kwh - week.predicted_kwh).abs() < week.half_width_kwh);
    assert!((0.8..=1.0).contains(&(real(covered.count()) / real(found.result.weeks.baseline.len()))));
    let cells = &found.result.coverage.cells;
    assert_eq!(cells.iter().map(|cell| cell.baseline_hours).sum::<usize>(), 8760);
    assert_eq!(cells.iter().map(|cell| cell.supported_hours + cell.unsupported_hours).sum::<usize>(), 8760);
    let supported: usize = found.result.weeks.reporting.iter().map(|week| week.supported_hours).sum();
    assert_eq!(cells.iter().map(|cell| cell.supported_hours).sum::<usize>(), supported);
}

/// Rates of hours: dear in the afternoon, and negative at night.
fn rates(hours: &[Hour]) -> Vec<HourRate> {
    let of = |hour: &Hour| match hour.start.rem_euclid(24 * HOUR) / HOUR {
        14..20 => 0.4,
        1..4 => -0.05,
        _ => 0.1,
    };
    hours.iter().map(|hour| HourRate { start: hour.start, per_kwh: of(hour) }).collect()
}

/// A report on the plain site before, and another one after, with rates of the hours after.
fn report_with(rates: &[HourRate], adjustments: Vec<Adjustment>) -> Saving {
    let (before, after_hours) = (year_of(plain(), 0), year_of(after(), MIDDLE));
    let settings = Settings { adjustments, ..settings() };
    let found = report(&PrePost {
        baseline: &before,
        baseline_period: period(0, MIDDLE),
        reporting: &after_hours,
        reporting_period: period(MIDDLE, 8760),
        settings: &settings,
        rates: Some(rates),
    });
    found.unwrap().result.saving.unwrap()
}

#[test]
fn a_constant_rate_makes_the_worth_the_energy_times_it() {
    let hours = year_of(after(), MIDDLE);
    let constant: Vec<HourRate> = hours.iter().map(|hour| HourRate { start: hour.start, per_kwh: 0.25 }).collect();
    let adjustment = Adjustment {
        author: "A. Operator".to_owned(),
        reason: "a new hall".to_owned(),
        period: period(MIDDLE + 100, 50),
        kwh: 300.0,
    };
    let found = report_with(&constant, vec![adjustment]);
    let worth = found.worth.unwrap();
    assert_eq!((worth.hours, worth.share), (8760, 1.0));
    assert!((worth.amount / (0.25 * found.saving_kwh) - 1.0).abs() < 1e-9, "{found:?}");
    let half_width = 0.25 * found.uncertainty.half_width_kwh;
    assert!((worth.half_width / half_width - 1.0).abs() < 1e-3, "{worth:?} {half_width}");
}

#[test]
fn a_rate_by_hour_weighs_each_hour_of_the_saving() {
    let hours = year_of(after(), MIDDLE);
    let found = report_with(&rates(&hours), Vec::new());
    let plain_energy = report_with(&[], Vec::new());
    assert_eq!((found.saving_kwh, found.uncertainty), (plain_energy.saving_kwh, plain_energy.uncertainty));
    assert_eq!(plain_energy.worth, Some(Worth { hours: 0, share: 0.0, amount: 0.0, half_width: 0.0 }));
    // The retrofit saves a tenth of each hour.
    let truth: f64 = hours.iter().zip(rates(&hours)).map(|(hour, rate)| hour.hvac_kwh / 0.9 * 0.1 * rate.per_kwh).sum();
    let worth = found.worth.unwrap();
    assert!((worth.amount - truth).abs() < worth.half_width.min(0.02 * truth), "{worth:?} {truth}");
    assert!((0.001..0.1).contains(&(worth.half_width / truth)), "{worth:?} {truth}");
    let mean = worth.amount / found.saving_kwh;
    assert!(mean > 0.13, "the plant works in the afternoon: {mean}");
}

#[test]
fn hours_without_a_rate_are_left_out_of_the_worth() {
    let hours = year_of(after(), MIDDLE);
    let all = rates(&hours);
    let (first, second) = all.split_at(all.len() / 2);
    let worth = |rates: &[HourRate]| report_with(rates, Vec::new()).worth.unwrap();
    let (whole, early, late) = (worth(&all), worth(first), worth(second));
    assert_eq!((early.hours, early.share), (4380, 0.5));
    assert!(((early.amount + late.amount) / whole.amount - 1.0).abs() < 1e-9, "{early:?} {late:?} {whole:?}");
}

#[test]
fn dead_meters_and_spikes_get_a_verdict() {
    type Change = fn(usize, &mut Hour);
    let cases: [(&str, Change); 6] = [
        ("no IT before", |number, hour| hour.it_kwh = if number < 20 * 168 { 0.0 } else { hour.it_kwh }),
        ("no IT after", |number, hour| hour.it_kwh = if number < 20 * 168 { hour.it_kwh } else { 0.0 }),
        ("hardly any IT before", |number, hour| {
            hour.it_kwh = if number < 20 * 168 { 1e-300 * real(number % 7) } else { hour.it_kwh };
        }),
        ("a week of spikes before", |number, hour| {
            hour.it_kwh = if number / 168 == 5 { 9e9 } else { hour.it_kwh };
        }),
        ("spikes of energy before", |number, hour| {
            hour.hvac_kwh = if number % 997 == 5 { 9e9 } else { hour.hvac_kwh };
        }),
        ("spikes after", |number, hour| {
            if number > 20 * 168 && number % 33 == 0 {
                (hour.it_kwh, hour.temperature_c, hour.inlet_temperature_c) = (1e6, 69.0, Some(80.0));
            }
        }),
    ];
    for (name, change) in cases {
        let mut hours = plain().hours(0, 30 * 168);
        hours.iter_mut().enumerate().for_each(|(number, hour)| change(number, hour));
        let settings = settings();
        let found = report(&PrePost {
            baseline: &hours,
            baseline_period: period(0, 20 * 168),
            reporting: &hours,
            reporting_period: period(20 * 168, 10 * 168),
            settings: &settings,
            rates: None,
        });
        let found = found.unwrap_or_else(|error| panic!("{name}: {error}"));
        let totals = found.result.alternatives.iter().map(|it| it.predicted_kwh);
        let half_widths = found.result.saving.iter().map(|it| it.uncertainty.half_width_kwh);
        assert!(totals.chain(half_widths).all(f64::is_finite), "{name}: {found:?}");
    }
}
