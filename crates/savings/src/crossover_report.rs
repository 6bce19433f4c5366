//! The report of a crossover: verdict, evaluation, and what chance alone would have found.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    coverage::{Coverage, coverage},
    crossover::{Confirmation, Crossover, CrossoverDay, CrossoverReport, Day, Selected},
    errors::Error,
    estimate::Estimate,
    hour::{DAY, Hour, Period},
    numbers::real,
    observations::Observations,
    random::Random,
    rates::{HourRate, Weights, Worth},
    verdict::{CrossoverEvidence, Reason, Scope, Standing, Verdict, decide_crossover},
};

/// The schedules that are drawn again.
pub const REDRAWS: usize = 200;
/// The stream of those draws.
const PURPOSE: u64 = 6;

/// The savings that other schedules would have found in the same hours (a randomisation test): if the
/// retrofit does nothing, the drawn schedule is one like all others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Redrawn {
    /// The saving of each schedule over the hours of the claim, in kWh.
    pub savings_kwh: Vec<f64>,
    /// The share of schedules, the drawn one among them, with a saving or excess use as large as the headline's.
    pub as_large: f64,
}

/// The report of a crossover.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CrossoverOutcome {
    /// The claim, and the reasons for it.
    pub verdict: Verdict,
    /// The evidence for the verdict.
    pub evidence: CrossoverEvidence,
    /// The evaluation; `None` if it is refused.
    pub evaluation: Option<CrossoverReport>,
    /// The measured energy of the hours of the claim, which are those planned on in complete pairs, in kWh.
    pub measured_kwh: f64,
    /// The hours of outdoor temperature and IT load: of the days planned off as the baseline, of those planned on as the
    /// reporting period, all of it supported.
    pub coverage: Coverage,
    /// The savings that chance alone would have found; `None` if the evaluation is refused.
    pub redrawn: Option<Redrawn>,
}

/// Evaluates a crossover: y = covariates + on·s₆(T), where the covariates are splines of weather and IT load, the inlet
/// profile, declared modes, and a level per pair.
///
/// # Errors
///
/// [`Error`], if the hours are malformed, or fewer than three pairs have hours on both days.
pub fn evaluate_crossover(pilot: &Crossover<'_>) -> Result<CrossoverReport, Error> {
    let hours = Selected::new(pilot)?;
    let own = planned_on(&hours);
    evaluation(&hours, pilot.claim.unwrap_or(&own), pilot.rates)
}

/// Returns the outdoor temperatures of the hours planned on.
fn planned_on(hours: &Selected) -> Vec<f64> {
    let on = hours.days.iter().zip(&hours.observations.hours).filter(|(day, _)| day.on);
    on.map(|(_, hour)| hour.temperature_c).collect()
}

/// Evaluates selected hours. `claim` has the outdoor temperatures of the hours that the saving is claimed for.
///
/// # Errors
///
/// [`Error`].
fn evaluation(hours: &Selected, claim: &[f64], rates: Option<&[HourRate]>) -> Result<CrossoverReport, Error> {
    let observations = &hours.observations;
    let planned: Vec<f64> = hours.days.iter().map(|day| if day.on { 1.0 } else { 0.0 }).collect();
    let treated: Vec<f64> = hours.days.iter().map(Day::treated).collect();
    let main = Estimate::new(hours, &planned, &observations.energy, true, claim);
    let validation = main.validate()?;
    let effect = |treatment: &[f64], outcome: &[f64], with_it| {
        let estimate = Estimate::new(hours, treatment, outcome, with_it, claim);
        estimate.effect(estimate.validate()?.lambda)
    };
    let (worth, worth_as_treated) = match rates {
        Some(rates) => {
            let valued = |treatment: &[f64]| worth(hours, treatment, rates);
            (Some(valued(&planned)?), Some(valued(&treated)?))
        }
        None => (None, None),
    };
    let facility: Option<Vec<f64>> = observations.hours.iter().map(|hour| hour.facility_kwh).collect();
    Ok(CrossoverReport {
        pairs: hours.pairs,
        claim_hours: claim.len(),
        intention_to_treat: main.effect(validation.lambda)?,
        as_treated: effect(&treated, &observations.energy, true)?,
        it: effect(&planned, &observations.it(), false)?,
        facility: facility.map(|energy| effect(&planned, &energy, false)).transpose()?,
        lambda: validation.lambda,
        cv_rmse: validation.cv_rmse,
        nmbe: validation.nmbe,
        days: days(hours, &main, validation.lambda)?,
        worth,
        worth_as_treated,
    })
}

/// Computes the worth of the saving over the hours planned on that have a rate.
fn worth(hours: &Selected, treatment: &[f64], rates: &[HourRate]) -> Result<Worth, Error> {
    let observations = &hours.observations;
    let planned_on: Vec<bool> = hours.days.iter().map(|day| day.on).collect();
    let weights = Weights::new(&observations.hours, &planned_on, rates);
    let all = Weights::new(&observations.hours, &vec![true; observations.len()], rates);
    let estimate = Estimate::new(hours, treatment, &observations.energy, true, &[]);
    let effect = estimate.worth(&all.of, estimate.validate()?.lambda)?;
    let (amount, half_width) = (effect.saving_kwh, effect.half_width_kwh);
    Ok(Worth { hours: weights.hours, share: weights.share, amount, half_width })
}

/// Sums hours by day, with what the model expects without the retrofit.
fn days(hours: &Selected, main: &Estimate<'_>, lambda: f64) -> Result<Vec<CrossoverDay>, Error> {
    let expected = main.untreated(lambda)?;
    let mut days: BTreeMap<i64, CrossoverDay> = BTreeMap::new();
    for (hour, day) in hours.days.iter().enumerate() {
        let Day { day: number, pair, on, .. } = *day;
        let empty = CrossoverDay {
            day: number,
            pair,
            on,
            treated: day.treated(),
            hours: 0,
            measured_kwh: 0.0,
            expected_kwh: 0.0,
        };
        let sums = days.entry(number).or_insert(empty);
        sums.hours += 1;
        sums.measured_kwh += hours.observations.energy[hour];
        sums.expected_kwh += expected[hour];
    }
    Ok(days.into_values().collect())
}

/// Computes the report of a crossover. The same input gives the same bits.
///
/// # Errors
///
/// [`Error`], if the hours are malformed. What cannot be claimed or computed for other reasons is a report whose verdict
/// says so.
pub fn crossover_report(pilot: &Crossover<'_>, seed: u64) -> Result<CrossoverOutcome, Error> {
    let planned = |hour: &Hour| pilot.days.iter().find(|day| day.day == day_of(pilot, hour));
    let of = |on: bool| -> Vec<Hour> {
        pilot.hours.iter().filter(|hour| planned(hour).is_some_and(|day| day.on == on)).copied().collect()
    };
    let observe = |hours: &[Hour]| Observations::new(hours, span(pilot), pilot.boundary, pilot.utc_offset_seconds);
    let (off, on) = (observe(&of(false))?, observe(&of(true))?);
    let evidence = evidence(pilot.days, &off, &on);
    let mut verdict = decide_crossover(&evidence);
    let evaluated = if verdict.standing == Standing::Refused { Ok(None) } else { evaluate(pilot, seed).map(Some) };
    let evaluated = match evaluated {
        // Hours that are washed out may take a pair with them.
        Err(Error::TooFewPairs { found }) => {
            verdict = Verdict::of(Scope::All, vec![Reason::TooFewPairs(real(found))]);
            None
        }
        other => other?,
    };
    let (evaluation, redrawn) = evaluated.unzip();
    let measured_kwh = evaluation.iter().flat_map(|it: &CrossoverReport| &it.days).filter(|day| day.on);
    let measured_kwh = measured_kwh.fold(0.0, |sum, day| sum + day.measured_kwh);
    let coverage = coverage(&off, &on, &vec![true; on.len()]);
    Ok(CrossoverOutcome { verdict, evidence, evaluation, measured_kwh, coverage, redrawn })
}

fn day_of(pilot: &Crossover<'_>, hour: &Hour) -> i64 {
    hour.start.saturating_add(i64::from(pilot.utc_offset_seconds)).div_euclid(DAY)
}

/// Returns the period from the first planned day to the last.
fn span(pilot: &Crossover<'_>) -> Period {
    let days = || pilot.days.iter().map(|day| day.day);
    let (first, last) = (days().min().unwrap_or_default(), days().max().unwrap_or_default());
    let begin = |day: i64| day.saturating_mul(DAY).saturating_sub(i64::from(pilot.utc_offset_seconds));
    Period { from: begin(first), until: begin(last.saturating_add(1)) }
}

fn evidence(days: &[Day], off: &Observations, on: &Observations) -> CrossoverEvidence {
    let count = |holds: fn(&Day) -> bool| real(days.iter().filter(|day| holds(day)).count());
    let share = |part: f64| part / real(days.len().max(1));
    let with_hours: BTreeSet<i64> =
        [off, on].into_iter().flat_map(|of| (0..of.len()).map(|hour| of.day(hour))).collect();
    let usable = |on: bool| -> BTreeSet<usize> {
        days.iter().filter(|day| day.on == on && with_hours.contains(&day.day)).map(|day| day.pair).collect()
    };
    CrossoverEvidence {
        days: days.len(),
        pairs: usable(true).intersection(&usable(false)).count(),
        completeness: (share(real(off.len() + on.len())) / 24.0).min(1.0),
        confirmed: share(count(|day| day.confirmation.is_some())),
        off_plan: share(count(|day| day.confirmation.is_some_and(|it| it != Confirmation::AsPlanned))),
    }
}

/// Evaluates a crossover, and what other schedules would have found.
///
/// # Errors
///
/// [`Error`].
fn evaluate(pilot: &Crossover<'_>, seed: u64) -> Result<(CrossoverReport, Redrawn), Error> {
    let hours = Selected::new(pilot)?;
    let own = planned_on(&hours);
    let claim = pilot.claim.unwrap_or(&own);
    let report = evaluation(&hours, claim, pilot.rates)?;
    let mut random = Random::new(seed, PURPOSE);
    let savings_kwh = (0..REDRAWS)
        .map(|_| {
            let turned: Vec<bool> = (0..hours.pairs).map(|_| random.coin()).collect();
            let days = hours.days.iter().zip(&hours.pair);
            let treatment: Vec<f64> = days.map(|(day, pair)| if day.on != turned[*pair] { 1.0 } else { 0.0 }).collect();
            Estimate::new(&hours, &treatment, &hours.observations.energy, true, claim).saving(report.lambda)
        })
        .collect::<Result<Vec<f64>, Error>>()?;
    let headline = report.intention_to_treat.saving_kwh.abs();
    let as_large = savings_kwh.iter().filter(|saving| saving.abs() >= headline).count() + 1;
    let as_large = real(as_large) / real(REDRAWS + 1);
    Ok((report, Redrawn { savings_kwh, as_large }))
}

#[cfg(test)]
mod tests;
