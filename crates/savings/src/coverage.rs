//! How the baseline covers the reporting period: counts of hours for a figure.

use serde::Serialize;

use crate::{
    numbers::{floor, real},
    observations::Observations,
};

/// The number of bins of a variable.
const BINS: usize = 20;

/// Hours of both periods in a bin of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// The lower end.
    pub from: f64,
    /// The upper end.
    pub until: f64,
    /// Hours of the baseline.
    pub baseline_hours: usize,
    /// Hours of the reporting period.
    pub reporting_hours: usize,
}

/// The coverage of outdoor temperature and IT load.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Coverage {
    /// Outdoor temperature in °C, in 20 bins over both periods.
    pub temperature: Vec<Bin>,
    /// IT energy per hour in kWh, likewise.
    pub it: Vec<Bin>,
}

/// Counts the hours of both periods.
pub(crate) fn coverage(baseline: &Observations, reporting: &Observations) -> Coverage {
    Coverage {
        temperature: bins(&baseline.temperature(), &reporting.temperature()),
        it: bins(&baseline.it(), &reporting.it()),
    }
}

fn bins(baseline: &[f64], reporting: &[f64]) -> Vec<Bin> {
    let all = || baseline.iter().chain(reporting).copied();
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let width = ((high - low) / real(BINS)).max(1e-9);
    let edge = |bin: usize| low + width * real(bin);
    let mut bins: Vec<Bin> = (0..BINS)
        .map(|bin| Bin { from: edge(bin), until: edge(bin + 1), baseline_hours: 0, reporting_hours: 0 })
        .collect();
    let place = |value: f64| floor((value - low) / width).min(BINS - 1);
    baseline.iter().for_each(|value| bins[place(*value)].baseline_hours += 1);
    reporting.iter().for_each(|value| bins[place(*value)].reporting_hours += 1);
    bins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_every_hour_once() {
        let found = bins(&[0.0, 1.0, 20.0], &[5.5, 30.0]);
        assert_eq!(found.iter().map(|bin| bin.baseline_hours).sum::<usize>(), 3);
        assert_eq!(found.iter().map(|bin| bin.reporting_hours).sum::<usize>(), 2);
        assert_eq!((found[0].from, found[19].until, found[19].reporting_hours), (0.0, 30.0, 1));
    }
}
