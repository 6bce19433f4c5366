//! How the baseline covers the reporting period: counts of hours for a figure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    hour::Hour,
    numbers::{floor, real},
    observations::Observations,
};

/// The number of bins of a variable.
const BINS: usize = 20;

/// Hours of both periods in a bin of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// Outdoor temperature in °C, in 20 bins over both periods.
    pub temperature: Vec<Bin>,
    /// IT energy per hour in kWh, likewise.
    pub it: Vec<Bin>,
    /// The hours of both by both; cells without hours are left out.
    pub cells: Vec<Cell>,
}

/// Hours in a bin of outdoor temperature and one of IT load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The number of the temperature's bin, from 0.
    pub temperature: usize,
    /// The number of the IT load's bin, from 0.
    pub it: usize,
    /// Hours of the baseline.
    pub baseline_hours: usize,
    /// Hours of the reporting period that the baseline supports.
    pub supported_hours: usize,
    /// The other hours of the reporting period.
    pub unsupported_hours: usize,
}

/// Counts the hours of both periods. `supported` tells for each reporting hour whether the baseline supports it.
pub(crate) fn coverage(baseline: &Observations, reporting: &Observations, supported: &[bool]) -> Coverage {
    let temperature = bins(&baseline.temperature(), &reporting.temperature());
    let it = bins(&baseline.it(), &reporting.it());
    let mut cells: BTreeMap<(usize, usize), Cell> = BTreeMap::new();
    let mut count = |hour: &Hour, add: fn(&mut Cell)| {
        let at = (place(&temperature, hour.temperature_c), place(&it, hour.it_kwh));
        let empty = Cell { temperature: at.0, it: at.1, baseline_hours: 0, supported_hours: 0, unsupported_hours: 0 };
        add(cells.entry(at).or_insert(empty));
    };
    baseline.hours.iter().for_each(|hour| count(hour, |cell| cell.baseline_hours += 1));
    for (hour, supported) in reporting.hours.iter().zip(supported) {
        count(hour, if *supported { |cell| cell.supported_hours += 1 } else { |cell| cell.unsupported_hours += 1 });
    }
    let cells = cells.into_values().collect();
    Coverage { temperature, it, cells }
}

/// Returns the number of the bin of a value.
fn place(bins: &[Bin], value: f64) -> usize {
    let (low, width) = bins.first().map_or((0.0, 1.0), |bin| (bin.from, bin.until - bin.from));
    floor((value - low) / width).min(BINS - 1)
}

fn bins(baseline: &[f64], reporting: &[f64]) -> Vec<Bin> {
    let all = || baseline.iter().chain(reporting).copied();
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    if low > high {
        return Vec::new();
    }
    let width = ((high - low) / real(BINS)).max(1e-9);
    let edge = |bin: usize| low + width * real(bin);
    let mut bins: Vec<Bin> = (0..BINS)
        .map(|bin| Bin { from: edge(bin), until: edge(bin + 1), baseline_hours: 0, reporting_hours: 0 })
        .collect();
    for value in baseline {
        let at = place(&bins, *value);
        bins[at].baseline_hours += 1;
    }
    for value in reporting {
        let at = place(&bins, *value);
        bins[at].reporting_hours += 1;
    }
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
