//! Non-routine adjustments (IPMVP): events that change the energy use and are no part of the retrofit.

use serde::{Deserialize, Serialize};

use crate::{errors::Error, hour::Period, numbers::real, observations::Observations};

/// A non-routine adjustment. None is ever made without such a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adjustment {
    /// The person who is responsible for it.
    pub author: String,
    /// The event, for people.
    pub reason: String,
    /// Its time, within the reporting period.
    pub period: Period,
    /// The energy that the baseline would have used more because of the event, in kWh over the period; negative for
    /// less.
    pub kwh: f64,
}

/// Checks all adjustments.
///
/// # Errors
///
/// [`Error::Adjustment`], if one lacks its author or reason, is not finite, or leaves the reporting period.
pub(crate) fn check(adjustments: &[Adjustment], reporting: Period) -> Result<(), Error> {
    let good = |it: &Adjustment| {
        it.kwh.is_finite()
            && !it.author.trim().is_empty()
            && !it.reason.trim().is_empty()
            && it.period.from < it.period.until
            && reporting.from <= it.period.from
            && it.period.until <= reporting.until
    };
    if adjustments.iter().all(good) { Ok(()) } else { Err(Error::Adjustment) }
}

/// Returns the worth of the adjustments, each spread evenly over its usable hours.
pub(crate) fn worth(adjustments: &[Adjustment], reporting: &Observations, weights: &[f64]) -> f64 {
    adjustments.iter().fold(0.0, |sum, adjustment| {
        let hours = reporting.hours.iter().zip(weights).filter(|(hour, _)| adjustment.period.contains(hour.start));
        let (weight, all) = hours.fold((0.0, 0), |(sum, all), (_, weight)| (sum + weight, all + 1));
        if all == 0 { sum } else { sum + adjustment.kwh * weight / real(all) }
    })
}

/// Returns the sum of the adjustments in kWh, each in the proportion of its usable hours that are in scope.
pub(crate) fn total(adjustments: &[Adjustment], reporting: &Observations, scope: &[bool]) -> f64 {
    // Starts at a positive zero, which the sum of no number is not.
    0.0 + adjustments
        .iter()
        .map(|adjustment| {
            let hours = reporting.hours.iter().zip(scope).filter(|(hour, _)| adjustment.period.contains(hour.start));
            let (within, all) = hours.fold((0, 0), |(within, all), (_, it)| (within + usize::from(*it), all + 1));
            if all == 0 { 0.0 } else { adjustment.kwh * real(within) / real(all) }
        })
        .sum::<f64>()
}
