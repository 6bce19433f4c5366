//! Cubic B-splines on uniform knots, with linear extrapolation (P. Eilers and B. Marx, *Flexible Smoothing with
//! B-splines and Penalties*, Statistical Science 11, 1996).

use crate::numbers::{floor, real};

/// A basis of cubic B-splines on uniform knots over an interval.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Basis {
    low: f64,
    high: f64,
    functions: usize,
}

/// The four functions of a basis that do not vanish at a point: the index of the first, and their values.
pub(crate) type Local = (usize, [f64; 4]);

impl Basis {
    /// Builds a basis of `functions` (at least four) over the range of the values; a range without width is widened.
    pub(crate) fn over(values: impl Iterator<Item = f64>, functions: usize) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            low = low.min(value);
            high = high.max(value);
        }
        let margin = 1e-3 * low.abs().max(1.0);
        if !low.is_finite() || high - low <= margin {
            (low, high) = if low.is_finite() { (low - margin, low + margin) } else { (0.0, 1.0) };
        }
        Self { low, high, functions: functions.max(4) }
    }

    /// Returns the number of functions.
    pub(crate) const fn len(&self) -> usize {
        self.functions
    }

    /// Evaluates the basis: cubic within the interval, on the tangent outside.
    pub(crate) fn at(&self, x: f64) -> Local {
        let intervals = self.functions - 3;
        let width = (self.high - self.low) / real(intervals);
        let inside = x.clamp(self.low, self.high);
        let position = (inside - self.low) / width;
        let first = floor(position).min(intervals - 1);
        let u = position - real(first);
        let v = 1.0 - u;
        let mut values = [
            v * v * v / 6.0,
            (3.0 * u * u * u - 6.0 * u * u + 4.0) / 6.0,
            (3.0 * v * v * v - 6.0 * v * v + 4.0) / 6.0,
            u * u * u / 6.0,
        ];
        if x < self.low || x > self.high {
            let step = (x - inside) / width;
            let slopes = [-v * v / 2.0, (3.0 * u * u - 4.0 * u) / 2.0, (4.0 * v - 3.0 * v * v) / 2.0, u * u / 2.0];
            for (value, slope) in values.iter_mut().zip(slopes) {
                *value += step * slope;
            }
        }
        (first, values)
    }
}

/// Returns the matrix of the second-difference penalty, D₂ᵀD₂, as rows of `(column, value)`.
pub(crate) fn second_differences(functions: usize) -> Vec<Vec<(usize, f64)>> {
    let mut rows: Vec<Vec<(usize, f64)>> = vec![Vec::new(); functions];
    let stencil = [1.0, -2.0, 1.0];
    for start in 0..functions.saturating_sub(2) {
        for (i, a) in stencil.iter().enumerate() {
            for (j, b) in stencil.iter().enumerate() {
                rows[start + i].push((start + j, a * b));
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(basis: &Basis, coefficients: &[f64], x: f64) -> f64 {
        let (first, values) = basis.at(x);
        values.iter().enumerate().map(|(offset, value)| value * coefficients[first + offset]).sum()
    }

    #[test]
    fn functions_sum_to_one_everywhere() {
        let basis = Basis::over([0.0, 30.0].into_iter(), 9);
        for x in [-20.0, 0.0, 0.1, 14.99, 15.0, 29.999, 30.0, 45.0] {
            let total: f64 = basis.at(x).1.iter().sum();
            assert!((total - 1.0).abs() < 1e-12, "{x}: {total}");
        }
    }

    #[test]
    fn reproduces_straight_lines_and_extrapolates_them() {
        // The control points of the identity are the averages of three knots.
        let basis = Basis::over([0.0, 6.0].into_iter(), 9);
        let coefficients: Vec<f64> = (0..9).map(|index| real(index) - 1.0).collect();
        for x in [-3.0, 0.0, 0.5, 3.3, 6.0, 10.0] {
            assert!((value(&basis, &coefficients, x) - x).abs() < 1e-12, "{x}");
        }
    }

    #[test]
    fn penalty_vanishes_on_straight_lines_alone() {
        let rows = second_differences(6);
        let quadratic = |c: &[f64]| -> f64 {
            rows.iter().enumerate().map(|(i, row)| row.iter().map(|(j, v)| c[i] * v * c[*j]).sum::<f64>()).sum()
        };
        assert!(quadratic(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).abs() < 1e-12);
        assert!((quadratic(&[0.0, 0.0, 1.0, 0.0, 0.0, 0.0]) - 6.0).abs() < 1e-12);
    }

    #[test]
    fn widens_a_range_without_width() {
        let basis = Basis::over([5.0, 5.0].into_iter(), 4);
        assert!(basis.at(5.0).1.iter().all(|value| value.is_finite()));
    }
}
