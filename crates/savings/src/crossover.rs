//! Crossover pilots: days drawn at random, in pairs, with the retrofit on or off.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    covariates::{Covariates, Mode},
    errors::Error,
    hour::{Boundary, HOUR, Hour, Period},
    observations::Observations,
    random::Random,
    rates::{HourRate, Worth},
    verdict::LEAST_PAIRS,
};

/// The hours after a switch that may be dropped.
const WASHOUT_HOURS: usize = 3;
/// The stream of the schedule.
const PURPOSE: u64 = 4;

/// The confirmation of a day by the operators.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "applied", content = "share")]
pub enum Confirmation {
    /// The day ran as planned.
    AsPlanned,
    /// The day ran the other way.
    Opposite,
    /// The retrofit was on for a share of the day, 0…1.
    Partly(f64),
}

/// A day of the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Day {
    /// The local day, counted from 1970-01-01.
    pub day: i64,
    /// The pair it belongs to, from 0.
    pub pair: usize,
    /// Whether the retrofit is planned to be on.
    pub on: bool,
    /// The confirmation of the operators; `None` counts as planned.
    pub confirmation: Option<Confirmation>,
}

impl Day {
    /// Returns the share of the day that the retrofit was on.
    #[must_use]
    pub fn treated(&self) -> f64 {
        let planned = if self.on { 1.0 } else { 0.0 };
        match self.confirmation {
            None | Some(Confirmation::AsPlanned) => planned,
            Some(Confirmation::Opposite) => 1.0 - planned,
            Some(Confirmation::Partly(share)) => share.clamp(0.0, 1.0),
        }
    }
}

/// Draws a schedule: pairs of consecutive days, in each of which chance decides the day with the retrofit on.
///
/// The seed is published before the pilot starts, so that everybody can draw the same schedule.
#[must_use]
pub fn draw_schedule(first_day: i64, pairs: usize, seed: u64) -> Vec<Day> {
    let mut random = Random::new(seed, PURPOSE);
    let mut days = Vec::new();
    let mut day = first_day;
    for pair in 0..pairs {
        let first_on = random.coin();
        for on in [first_on, !first_on] {
            days.push(Day { day, pair, on, confirmation: None });
            day += 1;
        }
    }
    days
}

/// A crossover pilot.
#[derive(Debug, Clone, Copy)]
pub struct Crossover<'a> {
    /// The hours, in the order of time.
    pub hours: &'a [Hour],
    /// The days. Hours of other days are ignored.
    pub days: &'a [Day],
    /// The energy that the saving is measured in.
    pub boundary: Boundary,
    /// Local standard time, in seconds east of Greenwich: days begin at its midnight.
    pub utc_offset_seconds: i32,
    /// Declared operating modes.
    pub modes: &'a [Mode],
    /// Whether 3 h after each switch are dropped.
    pub washout: bool,
    /// The outdoor temperatures in °C of the hours that the saving is claimed for; `None` for the pilot's own hours of
    /// the days planned on.
    pub claim: Option<&'a [f64]>,
    /// The rates of hours, by which the saving of the days planned on is worth something; `None` if its worth is not
    /// asked for.
    pub rates: Option<&'a [HourRate]>,
}

/// An effect, summed over the hours of the claim.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// The saving in kWh: what would have been used more without the retrofit.
    pub saving_kwh: f64,
    /// The half-width at 90 % confidence in kWh: jackknife over pairs, Student's t.
    pub half_width_kwh: f64,
}

/// The evaluation of a crossover.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CrossoverReport {
    /// The number of complete pairs.
    pub pairs: usize,
    /// The number of hours of the claim.
    pub claim_hours: usize,
    /// The headline: days count as planned (intention to treat).
    pub intention_to_treat: Effect,
    /// Days count as the operators confirmed them.
    pub as_treated: Effect,
    /// The effect on IT energy, without IT among the covariates; as planned.
    pub it: Effect,
    /// The effect on the facility's energy, likewise; `None` if hours lack it.
    pub facility: Option<Effect>,
    /// The weight of the penalty (λ) of the headline's model.
    pub lambda: f64,
    /// CV(RMSE) of hours out of sample, over pairs.
    pub cv_rmse: f64,
    /// Normalised mean bias error out of sample.
    pub nmbe: f64,
    /// The days of complete pairs, in the order of time.
    pub days: Vec<CrossoverDay>,
    /// The worth of the saving by intention to treat over the hours planned on, if hours have rates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worth: Option<Worth>,
    /// The same as treated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worth_as_treated: Option<Worth>,
}

/// A day of a crossover.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CrossoverDay {
    /// The local day, counted from 1970-01-01.
    pub day: i64,
    /// The pair it belongs to, from 0.
    pub pair: usize,
    /// Whether the retrofit was planned to be on.
    pub on: bool,
    /// The share of the day that the retrofit was on, as confirmed.
    pub treated: f64,
    /// Its usable hours.
    pub hours: usize,
    /// Their measured energy, in kWh.
    pub measured_kwh: f64,
    /// The energy that the model expects of them without the retrofit, in kWh.
    pub expected_kwh: f64,
}

/// The hours of complete pairs.
pub(crate) struct Selected {
    pub(crate) observations: Observations,
    /// The day of each hour.
    pub(crate) days: Vec<Day>,
    /// The number of the complete pair of each hour.
    pub(crate) pair: Vec<usize>,
    pub(crate) pairs: usize,
    /// The inlet profile of the hours planned off, and the modes.
    pub(crate) covariates: Covariates,
}

impl Selected {
    pub(crate) fn new(pilot: &Crossover<'_>) -> Result<Self, Error> {
        let period = match (pilot.hours.first(), pilot.hours.last()) {
            (Some(first), Some(last)) => Period { from: first.start, until: last.start.saturating_add(HOUR) },
            _ => return Err(Error::TooFewPairs { found: 0 }),
        };
        let all = Observations::new(pilot.hours, period, pilot.boundary, pilot.utc_offset_seconds)?;
        let days: Vec<Option<Day>> = (0..all.len())
            .map(|index| {
                let found = pilot.days.iter().find(|day| day.day == all.day(index)).copied()?;
                let dropped =
                    pilot.washout && all.hour_of_week(index) % 24 < WASHOUT_HOURS && switches(pilot.days, found);
                (!dropped).then_some(found)
            })
            .collect();
        let mut seen: BTreeMap<usize, [bool; 2]> = BTreeMap::new();
        for day in days.iter().flatten() {
            seen.entry(day.pair).or_default()[usize::from(day.on)] = true;
        }
        let complete = seen.into_iter().filter(|(_, seen)| *seen == [true, true]);
        let numbers: BTreeMap<usize, usize> = complete.map(|(pair, _)| pair).zip(0..).collect();
        let pairs = numbers.len();
        if pairs < LEAST_PAIRS {
            return Err(Error::TooFewPairs { found: pairs });
        }
        let complete = |day: &Option<Day>| day.filter(|day| numbers.contains_key(&day.pair));
        let kept: Vec<Option<Day>> = days.iter().map(complete).collect();
        let hours: Vec<Hour> =
            all.hours.iter().zip(&kept).filter(|(_, day)| day.is_some()).map(|(hour, _)| *hour).collect();
        let days: Vec<Day> = kept.into_iter().flatten().collect();
        let pair = days.iter().map(|day| numbers.get(&day.pair).copied().unwrap_or_default()).collect();
        // The retrofit may move the inlet temperature, so its profile comes from the days without it.
        let off: Vec<Hour> = hours.iter().zip(&days).filter(|(_, day)| !day.on).map(|(hour, _)| *hour).collect();
        let observe = |hours: &[Hour]| Observations::new(hours, period, pilot.boundary, pilot.utc_offset_seconds);
        let covariates = Covariates::of(&observe(&off)?, pilot.modes);
        Ok(Self { observations: observe(&hours)?, days, pair, pairs, covariates })
    }
}

/// Returns whether the day before a day is planned the other way, or not planned at all and this one is on.
fn switches(days: &[Day], day: Day) -> bool {
    let before = days.iter().find(|other| other.day == day.day - 1).is_some_and(|other| other.on);
    before != day.on
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crossover_report::evaluate_crossover;
    use crate::testing::{Site, crossover, site};

    /// Eight weeks of a site whose retrofit is on as the days say.
    fn pilot(seed: u64, saving: f64, days: &[Day]) -> (Vec<Hour>, f64) {
        let plain = Site { noise: 0.01, ..site(seed) }.hours(0, 56 * 24);
        let mut saved = 0.0;
        let hours = plain
            .iter()
            .map(|hour| {
                let day = days.iter().find(|day| day.day == hour.start.div_euclid(86400));
                let part = saving * day.map_or(0.0, Day::treated) * hour.hvac_kwh;
                saved += part;
                Hour { hvac_kwh: hour.hvac_kwh - part, facility_kwh: hour.facility_kwh.map(|it| it - part), ..*hour }
            })
            .collect();
        (hours, saved)
    }

    fn evaluate(hours: &[Hour], days: &[Day]) -> CrossoverReport {
        evaluate_crossover(&crossover(hours, days)).unwrap()
    }

    #[test]
    fn schedules_depend_on_the_seed_and_balance_each_pair() {
        let days = draw_schedule(100, 28, 5);
        assert_eq!(days, draw_schedule(100, 28, 5));
        assert_ne!(days, draw_schedule(100, 28, 6));
        for pair in days.chunks(2) {
            assert!(pair[0].on != pair[1].on && pair[0].pair == pair[1].pair && pair[1].day == pair[0].day + 1);
        }
        assert!(days.iter().step_by(2).any(|day| day.on) && days.iter().step_by(2).any(|day| !day.on));
    }

    #[test]
    fn finds_the_saving_and_covers_it() {
        let mut covered = 0;
        for seed in 0..20 {
            let days = draw_schedule(0, 28, seed);
            let (hours, saved) = pilot(seed, 0.1, &days);
            let found = evaluate(&hours, &days);
            let effect = found.intention_to_treat;
            covered += usize::from((effect.saving_kwh - saved).abs() <= effect.half_width_kwh);
            assert!((effect.saving_kwh / saved - 1.0).abs() < 0.05, "{effect:?} {saved}");
            assert!(effect.half_width_kwh < 0.06 * saved, "{effect:?} {saved}");
            assert_eq!((found.pairs, found.claim_hours), (28, 28 * 24));
            assert_eq!(found.as_treated, effect);
        }
        assert!(covered >= 16, "{covered}");
    }

    #[test]
    fn finds_no_saving_where_there_is_none() {
        let found: Vec<bool> = (0..20)
            .map(|seed| {
                let days = draw_schedule(0, 28, seed);
                let effect = evaluate(&pilot(seed, 0.0, &days).0, &days).intention_to_treat;
                effect.saving_kwh.abs() <= effect.half_width_kwh
            })
            .collect();
        assert!(found.iter().filter(|covers| **covers).count() >= 16, "{found:?}");
    }

    #[test]
    fn as_treated_corrects_for_days_that_ran_the_other_way() {
        let mut days = draw_schedule(0, 28, 5);
        for day in days.iter_mut().step_by(9) {
            day.confirmation = Some(Confirmation::Opposite);
        }
        days[5].confirmation = Some(Confirmation::Partly(0.5));
        let (hours, _) = pilot(1, 0.1, &days);
        let found = evaluate(&hours, &days);
        let on: f64 = hours
            .iter()
            .filter(|hour| days.iter().any(|day| day.day == hour.start.div_euclid(86400) && day.on))
            .map(|hour| {
                let day = days.iter().find(|day| day.day == hour.start.div_euclid(86400)).unwrap();
                0.1 * hour.hvac_kwh / (1.0 - 0.1 * day.treated())
            })
            .sum();
        assert!((found.as_treated.saving_kwh / on - 1.0).abs() < 0.1, "{found:?} {on}");
        assert!(found.intention_to_treat.saving_kwh < 0.95 * found.as_treated.saving_kwh, "{found:?}");
    }

    #[test]
    fn shows_an_effect_on_the_it_load() {
        let days = draw_schedule(0, 28, 5);
        let (mut hours, _) = pilot(1, 0.0, &days);
        for hour in &mut hours {
            if days.iter().any(|day| day.on && day.day == hour.start.div_euclid(86400)) {
                hour.it_kwh += 2.0;
                hour.facility_kwh = hour.facility_kwh.map(|it| it + 2.0);
            }
        }
        let found = evaluate(&hours, &days);
        assert!(found.it.saving_kwh < -found.it.half_width_kwh, "{found:?}");
        assert!((found.it.saving_kwh / (-2.0 * 28.0 * 24.0) - 1.0).abs() < 0.35, "{found:?}");
    }

    #[test]
    fn washout_drops_three_hours_after_switches() {
        let days = draw_schedule(0, 28, 5);
        let (hours, _) = pilot(1, 0.1, &days);
        let pilot = Crossover { washout: true, ..crossover(&hours, &days) };
        let found = evaluate_crossover(&pilot).unwrap();
        let switched = days.iter().filter(|day| day.on && switches(&days, **day)).count();
        assert_eq!(found.claim_hours, 28 * 24 - 3 * switched);
    }

    #[test]
    fn pairs_may_have_any_numbers_and_gaps() {
        let mut days = draw_schedule(0, 28, 5);
        let (mut hours, _) = pilot(1, 0.1, &days);
        for day in &mut days {
            day.pair = usize::MAX - 3 * day.pair;
        }
        // A day without hours takes its pair out.
        hours.retain(|hour| hour.start.div_euclid(86400) != 11);
        assert_eq!(evaluate(&hours, &days).pairs, 27);
    }

    #[test]
    fn refuses_too_few_pairs() {
        let days = draw_schedule(0, 2, 5);
        let (hours, _) = pilot(1, 0.1, &days);
        assert_eq!(evaluate_crossover(&crossover(&hours, &days)), Err(Error::TooFewPairs { found: 2 }));
    }
}
