//! The figures of a series for an hour, a day or another stretch of time.

use super::{HOUR, Micros};

/// The figures of a stretch of time.
///
/// A value holds from its point until the next one, at most for three learned intervals, or for its window. `min`, `max`,
/// `first` and `last` are those of the values that hold at some time of the stretch, or have their point in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// The number of points.
    pub count: u64,
    /// The sum of their values.
    pub sum: f64,
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// The first value.
    pub first: f64,
    /// The last value.
    pub last: f64,
    /// Gauges and powers: the integral of the values over the covered time, in value × hours, which is kWh for a power in
    /// kW. Counters: the consumption of the covered time.
    pub integral: f64,
    /// The time in which a value holds.
    pub covered: Micros,
    /// The number of gaps that begin: points that are followed by none in time.
    pub gaps: u64,
    /// The number of points of a counter that are less than the one before.
    pub resets: u64,
    /// The integral of what exceeds the recommended 27 °C, in K·h. Zero but for air temperatures.
    pub above: f64,
    /// The integral of what lies below the recommended 18 °C, in K·h. Zero but for air temperatures.
    pub below: f64,
}

impl Figures {
    /// Adds the figures of the stretch that follows. The order matters: floating-point sums are not associative.
    #[must_use]
    pub fn then(self, next: &Self) -> Self {
        Self {
            count: self.count + next.count,
            sum: finite(self.sum + next.sum),
            min: self.min.min(next.min),
            max: self.max.max(next.max),
            first: self.first,
            last: next.last,
            integral: finite(self.integral + next.integral),
            covered: self.covered + next.covered,
            gaps: self.gaps + next.gaps,
            resets: self.resets + next.resets,
            above: finite(self.above + next.above),
            below: finite(self.below + next.below),
        }
    }

    /// Adds up figures in the order of time; `None` for none.
    pub fn total<'a>(figures: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        figures.into_iter().fold(None, |total: Option<Self>, next| Some(total.map_or(*next, |total| total.then(next))))
    }

    /// Returns the mean of the points' values; without points, the mean over the covered time.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts and spans are far below 2^53")]
    pub fn mean(&self) -> Option<f64> {
        if self.count > 0 {
            return Some(self.sum / self.count as f64);
        }
        self.rate()
    }

    /// Returns the mean over the covered time, in which every value has the weight of the time for which it holds. Of a
    /// counter: the consumption per hour. `None` without covered time.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        (self.covered > 0).then(|| finite(self.integral / hours(self.covered)))
    }

    /// Tells whether one value holds throughout a stretch of this length.
    #[must_use]
    pub fn is_constant(&self, length: Micros) -> bool {
        self.covered == length && self.min.to_bits() == self.max.to_bits()
    }
}

/// Replaces the infinite by the greatest number, and −0 by 0, since not every database stores them.
pub(super) const fn finite(value: f64) -> f64 {
    value.clamp(f64::MIN, f64::MAX) + 0.0
}

/// Returns a length of time in hours.
#[expect(clippy::cast_precision_loss, reason = "spans are far below 2^53 microseconds")]
pub(super) fn hours(span: Micros) -> f64 {
    span as f64 / HOUR as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(count: u64, value: f64, covered: Micros) -> Figures {
        Figures {
            count,
            sum: value,
            min: value,
            max: value,
            first: value,
            last: value,
            integral: value * hours(covered),
            covered,
            gaps: 1,
            resets: 0,
            above: 0.5,
            below: 0.0,
        }
    }

    #[test]
    fn stretches_add_up_in_their_order() {
        let total = Figures::total([&figures(1, 4.0, HOUR), &figures(1, 2.0, HOUR / 2)]).unwrap();
        assert_eq!((total.count, total.sum, total.integral, total.covered), (2, 6.0, 5.0, HOUR * 3 / 2));
        assert_eq!((total.min, total.max, total.first, total.last), (2.0, 4.0, 4.0, 2.0));
        assert_eq!((total.gaps, total.above), (2, 1.0));
        assert_eq!((total.mean(), total.rate()), (Some(3.0), Some(10.0 / 3.0)));
        assert_eq!(Figures::total([]), None);
    }

    #[test]
    fn without_points_the_mean_is_that_of_the_value_that_holds() {
        assert_eq!(figures(0, 4.0, HOUR / 4).mean(), Some(4.0));
        assert_eq!(figures(0, 4.0, 0).mean(), None);
        assert!(figures(1, 4.0, HOUR).is_constant(HOUR));
        assert!(!figures(1, 4.0, HOUR - 1).is_constant(HOUR));
    }

    #[test]
    fn sums_stay_finite() {
        let greatest = figures(1, f64::MAX, HOUR);
        assert_eq!(greatest.then(&greatest).sum, f64::MAX);
    }
}
