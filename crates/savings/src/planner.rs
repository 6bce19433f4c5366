//! The planner: what a pilot of so many weeks could show, from the baseline alone.

use serde::{Deserialize, Serialize};

use crate::{
    crossover::{Crossover, draw_schedule},
    crossover_report::evaluate_crossover,
    errors::Error,
    estimate::student,
    fitted::Settings,
    hour::{DAY, Hour, Period, WEEK},
    models::{Baseline, Main, Model, fit_candidates},
    numbers::{floor, quantile, real, root_mean_square, round},
    observations::Observations,
    random::Random,
    uncertainty::{Z90, hold_out_errors},
};

/// The lengths of pilots, in weeks.
const WEEKS: [usize; 4] = [4, 6, 8, 12];
/// The A/A pilots per length.
const PILOTS: usize = 12;
/// The stream of the planner.
const PURPOSE: u64 = 5;
/// The standard normal quantile of a power of 80 %.
const Z80: f64 = 0.842;

/// The prediction for a design of so many weeks, in % of the energy that is used without the retrofit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The half-width at 90 % confidence.
    pub half_width_percent: f64,
    /// The smallest saving that is shown with 90 % confidence (two-sided) and 80 % power.
    pub smallest_saving_percent: f64,
}

/// A row of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PlanRow {
    /// The length of the pilot in weeks: for pre/post the reporting period.
    pub weeks: usize,
    /// A crossover; `None` if the baseline is too short to try one.
    pub crossover: Option<Prediction>,
    /// The share of the A/A crossovers that found an effect where there was none; promised are 10 %.
    pub crossover_false_positives: Option<f64>,
    /// Pre/post with the whole baseline, in the same season; `None` if the baseline is too short to try it.
    pub pre_post: Option<Prediction>,
}

/// Plans a pilot from its baseline.
///
/// Crossovers are tried as A/A pilots: drawn schedules on weeks of the baseline, in which nothing was switched. Pre/post
/// is tried by hold-outs of the main model that slide over the baseline.
///
/// # Errors
///
/// [`Error`], if the hours are malformed, or a fit fails.
pub fn plan(hours: &[Hour], period: Period, settings: &Settings) -> Result<Vec<PlanRow>, Error> {
    let observations = Observations::new(hours, period, settings.boundary, settings.utc_offset_seconds)?;
    let least = crate::fitted::LEAST_HOURS;
    if observations.len() < least {
        return Err(Error::TooFewHours { expected: least, found: observations.len() });
    }
    let baseline = Baseline::new(&observations, &settings.modes)?;
    let candidates = fit_candidates(&baseline, &baseline.own)?;
    let best = candidates.first().ok_or(Error::Singular)?;
    let main = Main::new(&baseline, best)?;
    let spread = candidates.iter().map(|it| difference(&it.predictions, &best.predictions)).fold(0.0, f64::max);
    WEEKS
        .into_iter()
        .map(|weeks| {
            let tried = try_crossovers(hours, period, settings, weeks)?;
            Ok(PlanRow {
                weeks,
                crossover: tried.map(|it| it.0),
                crossover_false_positives: tried.map(|it| it.1),
                pre_post: pre_post(&observations, &main, weeks, spread)?,
            })
        })
        .collect()
}

/// The relative difference of two totals.
fn difference(values: &[f64], others: &[f64]) -> f64 {
    let (a, b): (f64, f64) = (values.iter().sum(), others.iter().sum());
    if b > 0.0 { (a / b - 1.0).abs() } else { 0.0 }
}

/// Predicts a crossover, with the share of false positives.
fn try_crossovers(
    hours: &[Hour],
    period: Period,
    settings: &Settings,
    weeks: usize,
) -> Result<Option<(Prediction, f64)>, Error> {
    let days = floor(period.weeks() * 7.0);
    let length = weeks * 7;
    let Some(room) = days.checked_sub(length) else { return Ok(None) };
    let offset = i64::from(settings.utc_offset_seconds);
    let first_day = (period.from + offset).div_euclid(DAY);
    let mut random = Random::new(settings.seed, PURPOSE);
    let (mut halves, mut estimates) = (Vec::new(), Vec::new());
    let mut positives = 0;
    for pilot in 0..PILOTS {
        let day = first_day + i64::try_from(random.below(room + 1)).unwrap_or_default();
        let from = day * DAY - offset;
        let until = from + i64::try_from(weeks).unwrap_or_default() * WEEK;
        let within: Vec<Hour> = hours.iter().filter(|hour| (from..until).contains(&hour.start)).copied().collect();
        let used: f64 = within.iter().filter_map(|hour| settings.boundary.energy(hour)).sum::<f64>() / 2.0;
        let seed = settings.seed.wrapping_add(u64::try_from(pilot).unwrap_or_default());
        let found = evaluate_crossover(&Crossover {
            hours: &within,
            days: &draw_schedule(day, length / 2, seed),
            boundary: settings.boundary,
            utc_offset_seconds: settings.utc_offset_seconds,
            modes: &settings.modes,
            washout: false,
            claim: None,
            rates: None,
        });
        let effect = match found {
            Err(Error::TooFewPairs { .. }) => continue,
            other => other?.intention_to_treat,
        };
        positives += usize::from(effect.saving_kwh.abs() > effect.half_width_kwh);
        halves.push(effect.half_width_kwh / used);
        estimates.push(effect.saving_kwh / used);
    }
    if halves.is_empty() {
        return Ok(None);
    }
    let freedom = (length / 2).max(2) - 1;
    let (t95, t80) = (student(0.95, freedom), student(0.8, freedom));
    // The jackknife's own figure, unless the estimates scatter more.
    let half = quantile(&halves, 0.5).max(t95 * root_mean_square(&estimates));
    Ok(Some((prediction(half, t95, t80), real(positives) / real(halves.len()))))
}

fn prediction(half: f64, confidence: f64, power: f64) -> Prediction {
    Prediction {
        half_width_percent: 100.0 * half,
        smallest_saving_percent: 100.0 * half * (confidence + power) / confidence,
    }
}

/// Predicts pre/post from hold-outs as long as the reporting period, or from shorter ones as the half-width does.
fn pre_post(observations: &Observations, main: &Main, weeks: usize, spread: f64) -> Result<Option<Prediction>, Error> {
    let blocks = main.problem.len();
    let most = round(real(blocks) / 6.0).max(1);
    let h = round(real(weeks) / observations.block_weeks).min(most);
    if blocks < 6 || Model::candidates(observations.period.weeks()).is_empty() {
        return Ok(None);
    }
    let errors = hold_out_errors(main, h)?;
    let shrunk = (real(h) * observations.block_weeks / real(weeks)).min(1.0).sqrt();
    let noise = Z90 * root_mean_square(&errors) * shrunk;
    Ok(Some(prediction((noise * noise + spread * spread).sqrt(), Z90, Z80)))
}
