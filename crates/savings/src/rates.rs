//! Rates of hours, such as prices: the worth of a kWh in each of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{hour::Hour, numbers::real};

/// The most that a kWh is worth. Hours with a higher rate count as hours without one.
const MOST_PER_KWH: f64 = 1e6;

/// The rate of an hour, in any currency.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HourRate {
    /// The start of the hour, in seconds since 1970-01-01T00:00:00Z.
    pub start: i64,
    /// The worth of a kWh. Negative where whoever takes energy is paid for it.
    pub per_kwh: f64,
}

/// The worth of a saving: the sum over the hours of the saving of the energy saved × the rate, in the unit of the rates.
///
/// Hours without a rate are left out, never imputed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Worth {
    /// The number of hours of the saving that have a rate.
    pub hours: usize,
    /// Those hours ÷ all hours of the saving.
    pub share: f64,
    /// The worth of the energy saved in those hours.
    pub amount: f64,
    /// Its half-width at 90 % confidence.
    pub half_width: f64,
}

/// The rates of the hours of a saving.
#[derive(Debug, Clone)]
pub(crate) struct Weights {
    /// The rate of each hour; zero for hours out of scope and without a rate.
    pub(crate) of: Vec<f64>,
    /// The number of hours in scope with a rate.
    pub(crate) hours: usize,
    /// The number of those ÷ the hours in scope.
    pub(crate) share: f64,
}

impl Weights {
    /// Looks the rates of hours up; `scope` tells which of them count.
    pub(crate) fn new(hours: &[Hour], scope: &[bool], rates: &[HourRate]) -> Self {
        let good = rates.iter().filter(|rate| rate.per_kwh.abs() <= MOST_PER_KWH);
        let known: BTreeMap<i64, f64> = good.map(|rate| (rate.start, rate.per_kwh)).collect();
        let found = |(hour, within): (&Hour, &bool)| within.then(|| known.get(&hour.start).copied()).flatten();
        let found: Vec<Option<f64>> = hours.iter().zip(scope).map(found).collect();
        let count = found.iter().flatten().count();
        let all = scope.iter().filter(|within| **within).count();
        Self {
            of: found.into_iter().map(Option::unwrap_or_default).collect(),
            hours: count,
            share: real(count) / real(all.max(1)),
        }
    }

    /// Returns the sum of the values, each times its weight.
    pub(crate) fn total(&self, values: &[f64]) -> f64 {
        self.of.iter().zip(values).map(|(weight, value)| weight * value).sum()
    }

    /// Returns the sum of the absolute values of what [`Self::total`] adds up.
    pub(crate) fn magnitude(&self, values: &[f64]) -> f64 {
        self.of.iter().zip(values).map(|(weight, value)| (weight * value).abs()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::site;

    #[test]
    fn hours_without_a_possible_rate_have_no_weight() {
        let hours = site(1).hours(0, 5);
        let rate = |hour: i64, per_kwh| HourRate { start: hour * 3600, per_kwh };
        let rates = [rate(0, 0.1), rate(1, -0.2), rate(2, f64::NAN), rate(4, 0.3), rate(9, 1.0)];
        let found = Weights::new(&hours, &[true, true, true, true, false], &rates);
        assert_eq!((found.of.as_slice(), found.hours, found.share), ([0.1, -0.2, 0.0, 0.0, 0.0].as_slice(), 2, 0.5));
        let values = [10.0, 10.0, 7.0, 7.0, 7.0];
        assert!((found.total(&values) + 1.0).abs() < 1e-12 && (found.magnitude(&values) - 3.0).abs() < 1e-12);
    }
}
