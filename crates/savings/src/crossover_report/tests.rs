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

#[test]
fn the_worth_weighs_each_hour_planned_on_by_its_rate() {
    let days = confirmed(draw_schedule(0, 28, 5));
    let hours = hours(0.1, &days);
    let with = |per_kwh: fn(i64) -> f64| {
        let rate = |hour: &Hour| HourRate { start: hour.start, per_kwh: per_kwh(hour.start / 3600 % 24) };
        let rates: Vec<HourRate> = hours.iter().map(rate).collect();
        let pilot = Crossover { rates: Some(&rates), ..crossover(&hours, &days) };
        crossover_report(&pilot, 1).unwrap().evaluation.unwrap()
    };
    let constant = with(|_| 0.25);
    let (worth, effect) = (constant.worth.unwrap(), constant.intention_to_treat);
    assert_eq!((worth.hours, worth.share), (28 * 24, 1.0));
    // Residuals add up to almost nothing.
    assert!((worth.amount / (0.25 * effect.saving_kwh) - 1.0).abs() < 1e-3, "{worth:?} {effect:?}");
    assert!((worth.half_width / (0.25 * effect.half_width_kwh) - 1.0).abs() < 0.05, "{worth:?} {effect:?}");
    assert_eq!(constant.worth_as_treated, constant.worth);

    let by_hour = |hour: i64| if (12..18).contains(&hour) { 0.5 } else { 0.1 };
    let on = |hour: &&Hour| days.iter().any(|day| day.on && day.day == hour.start.div_euclid(DAY));
    let truth: f64 = hours.iter().filter(on).map(|it| it.hvac_kwh / 9.0 * by_hour(it.start / 3600 % 24)).sum();
    let worth = with(|hour| if (12..18).contains(&hour) { 0.5 } else { 0.1 }).worth.unwrap();
    assert!((worth.amount - truth).abs() < worth.half_width && worth.half_width < 0.1 * truth, "{worth:?} {truth}");
    assert_eq!(run(&hours, &days).evaluation.unwrap().worth, None);
}
