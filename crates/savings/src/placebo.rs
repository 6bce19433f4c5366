//! Placebo pilots: parts of a baseline play baseline and reporting period, though nothing was changed between them.

use serde::{Deserialize, Serialize};

use crate::{
    errors::Error,
    fitted::{Fitted, Settings},
    hour::{Hour, Period, WEEK},
    numbers::{floor, mean, real},
    observations::Observations,
    random::Random,
    verdict::Standing,
};

/// The weeks before and after of the battery's pilots, and how many there are of each.
const PILOTS: [(i64, i64, usize); 5] = [(4, 4, 6), (8, 4, 6), (12, 8, 6), (26, 8, 2), (36, 12, 2)];
/// The bootstraps of a placebo pilot.
const DRAWS: usize = 50;
/// The stream of the pilots' starts.
const PURPOSE: u64 = 3;

/// One placebo pilot.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PlaceboPilot {
    /// The start of its baseline, in seconds since 1970.
    pub from: i64,
    /// Weeks of its baseline.
    pub baseline_weeks: i64,
    /// Weeks of its reporting period, which follows at once.
    pub reporting_weeks: i64,
    /// Its standing.
    pub standing: Standing,
    /// The saving found, in % of the predicted energy; the truth is zero. `None` if refused.
    pub saving_percent: Option<f64>,
    /// The half-width in % of the predicted energy.
    pub half_width_percent: Option<f64>,
}

impl PlaceboPilot {
    /// Returns whether the interval covers the truth; `None` if refused.
    #[must_use]
    pub fn covers(&self) -> Option<bool> {
        self.saving_percent.zip(self.half_width_percent).map(|(saving, half)| saving.abs() <= half)
    }

    /// Returns whether a saving would have been claimed where there was none; `None` if refused.
    #[must_use]
    pub fn finds_saving(&self) -> Option<bool> {
        self.saving_percent.zip(self.half_width_percent).map(|(saving, half)| saving > half)
    }
}

/// The battery of placebo pilots on a site's own baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Placebo {
    /// The pilots.
    pub pilots: Vec<PlaceboPilot>,
    /// The number of pilots that were not refused.
    pub supported: usize,
    /// The share of those whose interval covers zero; promised are 90 %.
    pub coverage: f64,
    /// The share of those that would have found a saving.
    pub false_savings: f64,
}

/// Runs the battery: pilots of several lengths that fit into the baseline, at seeded starts.
///
/// # Errors
///
/// [`Error`], if a fit fails.
pub fn placebo_battery(hours: &[Hour], period: Period, settings: &Settings) -> Result<Placebo, Error> {
    let weeks = i64::try_from(floor(period.weeks())).unwrap_or_default();
    let mut random = Random::new(settings.seed, PURPOSE);
    let mut pilots = Vec::new();
    for (before, after, count) in PILOTS {
        let Ok(room) = usize::try_from(weeks - before - after) else { continue };
        for first in distinct(&mut random, room + 1, count) {
            let from = period.from + i64::try_from(first).unwrap_or_default() * WEEK;
            if let Some(pilot) = placebo_pilot(hours, from, before, after, settings)? {
                pilots.push(pilot);
            }
        }
    }
    let covers: Vec<f64> = pilots.iter().filter_map(PlaceboPilot::covers).map(|it| real(usize::from(it))).collect();
    let finds: Vec<f64> =
        pilots.iter().filter_map(PlaceboPilot::finds_saving).map(|it| real(usize::from(it))).collect();
    Ok(Placebo { supported: covers.len(), coverage: mean(&covers), false_savings: mean(&finds), pilots })
}

/// Draws up to `count` distinct numbers below `limit`.
fn distinct(random: &mut Random, limit: usize, count: usize) -> Vec<usize> {
    let mut left: Vec<usize> = (0..limit).collect();
    (0..count.min(limit)).map(|_| left.swap_remove(random.below(left.len()))).collect()
}

/// Runs one placebo pilot; `None` if its periods lack the hours for any fit, or the models have no solution.
///
/// # Errors
///
/// [`Error`], if the hours are malformed, or a fit fails.
pub fn placebo_pilot(
    hours: &[Hour],
    from: i64,
    baseline_weeks: i64,
    reporting_weeks: i64,
    settings: &Settings,
) -> Result<Option<PlaceboPilot>, Error> {
    let middle = from.saturating_add(baseline_weeks.saturating_mul(WEEK));
    let until = middle.saturating_add(reporting_weeks.saturating_mul(WEEK));
    let observe =
        |from, until| Observations::new(hours, Period { from, until }, settings.boundary, settings.utc_offset_seconds);
    let (before, after) = (observe(from, middle)?, observe(middle, until)?);
    let fitted = match Fitted::new(&before, &after, &settings.modes, settings.seed) {
        Err(Error::TooFewHours { .. } | Error::Singular) => return Ok(None),
        other => other?,
    };
    let standing = fitted.verdict.standing;
    let saving = if standing == Standing::Refused { None } else { fitted.saving(&[], None, settings.seed, DRAWS)? };
    let percent = |value: f64, of: f64| 100.0 * value / of;
    Ok(Some(PlaceboPilot {
        from,
        baseline_weeks,
        reporting_weeks,
        standing,
        saving_percent: saving.map(|it| it.saving_percent),
        half_width_percent: saving.map(|it| percent(it.uncertainty.half_width_kwh, it.predicted_kwh)),
    }))
}
