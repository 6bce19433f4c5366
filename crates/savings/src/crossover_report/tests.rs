//! Reports of crossovers: verdicts and the data that provoke them.

use super::*;
use crate::{
    crossover::draw_schedule,
    testing::{Site, crossover, site},
};

/// Eight weeks of a site whose retrofit saves a share while it is on.
fn hours(saving: f64, days: &[Day]) -> Vec<Hour> {
    let plain = Site { noise: 0.01, ..site(3) }.hours(0, 56 * 24);
    plain
        .into_iter()
        .map(|hour| {
            let treated = days.iter().find(|day| day.day == hour.start.div_euclid(DAY)).map_or(0.0, Day::treated);
            Hour { hvac_kwh: hour.hvac_kwh * (1.0 - saving * treated), ..hour }
        })
        .collect()
}

fn confirmed(mut days: Vec<Day>) -> Vec<Day> {
    days.iter_mut().for_each(|day| day.confirmation = Some(Confirmation::AsPlanned));
    days
}

fn run(hours: &[Hour], days: &[Day]) -> CrossoverOutcome {
    crossover_report(&crossover(hours, days), 1).unwrap()
}

#[test]
fn claims_an_effect_that_chance_does_not_explain() {
    let days = confirmed(draw_schedule(0, 28, 5));
    let found = run(&hours(0.1, &days), &days);
    assert_eq!((found.verdict.standing, found.verdict.reasons), (Standing::Claimed, vec![]));
    let (evaluation, redrawn) = (found.evaluation.unwrap(), found.redrawn.unwrap());
    assert!((redrawn.as_large - 1.0 / 201.0).abs() < 1e-12, "{redrawn:?}");
    assert_eq!((redrawn.savings_kwh.len(), evaluation.days.len()), (REDRAWS, 56));
    let off: Vec<_> = evaluation.days.iter().filter(|day| !day.on).collect();
    let error: f64 = off.iter().map(|day| day.measured_kwh / day.expected_kwh - 1.0).sum();
    assert!(error.abs() / 28.0 < 0.002, "{error}");
    let on: f64 = evaluation.days.iter().filter(|day| day.on).map(|day| day.expected_kwh - day.measured_kwh).sum();
    assert!((on / evaluation.intention_to_treat.saving_kwh - 1.0).abs() < 0.02);
}

#[test]
fn chance_explains_no_effect() {
    let days = confirmed(draw_schedule(0, 28, 5));
    let found = run(&hours(0.0, &days), &days);
    assert!(found.redrawn.unwrap().as_large > 0.05);
}

#[test]
fn refuses_too_few_pairs_and_incomplete_days() {
    let days = confirmed(draw_schedule(0, 2, 5));
    let found = run(&hours(0.1, &days), &days);
    assert_eq!(found.verdict.reasons, [Reason::TooFewPairs(2.0)]);
    assert_eq!((found.verdict.standing, found.evaluation, found.redrawn), (Standing::Refused, None, None));
    let days = confirmed(draw_schedule(0, 28, 5));
    let mut thin = hours(0.1, &days);
    thin.retain(|hour| hour.start / 3600 % 5 != 0);
    let found = run(&thin, &days);
    assert!(matches!(found.verdict.reasons[..], [Reason::ReportingIncomplete(share)] if (share - 0.8).abs() < 0.01));
    let found = run(&[], &days);
    assert_eq!(found.verdict.reasons, [Reason::TooFewPairs(0.0), Reason::ReportingIncomplete(0.0)]);
}

#[test]
fn warns_of_days_off_the_plan_and_unconfirmed() {
    let mut days = confirmed(draw_schedule(0, 28, 5));
    days.iter_mut().take(14).for_each(|day| day.confirmation = Some(Confirmation::Opposite));
    days[20].confirmation = None;
    let found = run(&hours(0.1, &days), &days);
    assert_eq!(found.verdict.reasons, [Reason::DaysUnconfirmed(1.0 - 55.0 / 56.0), Reason::PlanNotFollowed(0.25)]);
    let evaluation = found.evaluation.unwrap();
    assert!(evaluation.as_treated.saving_kwh > 1.5 * evaluation.intention_to_treat.saving_kwh, "{evaluation:?}");
}

#[test]
fn impossible_values_count_as_missing() {
    let days = confirmed(draw_schedule(0, 28, 5));
    let mut wild = hours(0.1, &days);
    wild[30].hvac_kwh = 1e300;
    wild[31].it_kwh = f64::INFINITY;
    let found = run(&wild, &days);
    assert_eq!(found.verdict.standing, Standing::Claimed);
    assert!((found.evidence.completeness - 1342.0 / 1344.0).abs() < 1e-12);
}
