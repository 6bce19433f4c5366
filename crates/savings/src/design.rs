//! Design matrices of penalised splines: terms over the columns of a frame, their rows, and their penalty.

use crate::{
    linear::{Normal, Rows},
    spline::{Basis, Local, second_differences},
};

/// Variables of hours, one column per variable; all columns have the same length.
#[derive(Debug, Clone, Default)]
pub(crate) struct Frame(pub(crate) Vec<Vec<f64>>);

/// The column of the outdoor temperature in °C.
pub(crate) const TEMPERATURE: usize = 0;
/// The column of the wet-bulb temperature in °C.
pub(crate) const WET_BULB: usize = 1;
/// The column of the dew point in °C.
pub(crate) const DEW_POINT: usize = 2;
/// The column of the IT energy in kWh.
pub(crate) const IT: usize = 3;
/// The first column of the other covariates.
pub(crate) const COVARIATES: usize = 4;

impl Frame {
    /// Returns the number of hours.
    pub(crate) fn len(&self) -> usize {
        self.0.first().map_or(0, Vec::len)
    }
}

/// A term before its range is known: what it is built of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Term {
    /// s(x), with so many functions.
    Spline(usize, usize),
    /// s(x) ⊗ s(z): column and functions of x, then of z.
    Product(usize, usize, usize, usize),
    /// v · s(x): the column of v, then column and functions of x.
    Varying(usize, usize, usize),
    /// β · v.
    Linear(usize),
    /// One coefficient per value 0, 1, … of a column, and their number.
    Category(usize, usize),
}

/// A term with the ranges of its variables.
#[derive(Debug, Clone)]
enum Part {
    Spline(usize, Basis),
    Product(usize, Basis, usize, Basis),
    Varying(usize, f64, usize, Basis),
    Linear(usize, f64),
    Category(usize, usize),
}

impl Part {
    fn new(term: Term, frames: &[&Frame]) -> Self {
        let column = |column: usize| frames.iter().flat_map(move |frame| frame.0[column].iter().copied());
        let basis = |of: usize, functions: usize| Basis::over(column(of), functions);
        let scale = |of: usize| {
            let largest = column(of).fold(0.0_f64, |largest, value| largest.max(value.abs()));
            if largest > 0.0 { largest } else { 1.0 }
        };
        match term {
            Term::Spline(x, functions) => Self::Spline(x, basis(x, functions)),
            Term::Product(x, m, z, n) => Self::Product(x, basis(x, m), z, basis(z, n)),
            Term::Varying(v, x, functions) => Self::Varying(v, scale(v), x, basis(x, functions)),
            Term::Linear(v) => Self::Linear(v, scale(v)),
            Term::Category(column, levels) => Self::Category(column, levels),
        }
    }

    fn columns(&self) -> usize {
        match self {
            Self::Spline(_, basis) | Self::Varying(_, _, _, basis) => basis.len(),
            Self::Product(_, a, _, b) => a.len() * b.len(),
            Self::Linear(..) => 1,
            Self::Category(_, levels) => *levels,
        }
    }

    /// Appends the entries of an hour, whose first column is `offset`.
    fn push(&self, frame: &Frame, index: usize, offset: usize, row: &mut Vec<(usize, f64)>) {
        let at = |column: usize| frame.0[column][index];
        let mut local = |(first, values): Local, factor: f64| {
            row.extend(values.iter().enumerate().map(|(k, value)| (offset + first + k, factor * value)));
        };
        match self {
            Self::Spline(x, basis) => local(basis.at(at(*x)), 1.0),
            Self::Varying(v, scale, x, basis) => local(basis.at(at(*x)), at(*v) / scale),
            Self::Product(x, a, z, b) => {
                let (first, values) = a.at(at(*x));
                let (inner, others) = b.at(at(*z));
                for (k, value) in values.iter().enumerate() {
                    local(((first + k) * b.len() + inner, others), *value);
                }
            }
            Self::Linear(v, scale) => row.push((offset, at(*v) / scale)),
            Self::Category(column, levels) => {
                let level = crate::numbers::floor(at(*column));
                if level < *levels {
                    row.push((offset + level, 1.0));
                }
            }
        }
    }

    /// Adds the penalty of the term to a packed lower triangle.
    fn penalise(&self, offset: usize, penalty: &mut [f64]) {
        let mut add = |i: usize, j: usize, value: f64| {
            let (i, j) = (offset + i, offset + j);
            if j <= i {
                penalty[i * (i + 1) / 2 + j] += value;
            }
        };
        match self {
            Self::Spline(_, basis) | Self::Varying(_, _, _, basis) => {
                for (i, row) in second_differences(basis.len()).iter().enumerate() {
                    row.iter().for_each(|(j, value)| add(i, *j, *value));
                }
            }
            Self::Product(_, a, _, b) => {
                let (m, n) = (a.len(), b.len());
                for (i, row) in second_differences(m).iter().enumerate() {
                    for (j, value) in row {
                        (0..n).for_each(|k| add(i * n + k, j * n + k, *value));
                    }
                }
                for (i, row) in second_differences(n).iter().enumerate() {
                    for (j, value) in row {
                        (0..m).for_each(|k| add(k * n + i, k * n + j, *value));
                    }
                }
            }
            Self::Linear(..) | Self::Category(..) => {}
        }
    }
}

/// A design: terms side by side, with the ranges of the hours they were built over.
#[derive(Debug, Clone)]
pub(crate) struct Design {
    parts: Vec<Part>,
    columns: usize,
}

impl Design {
    /// Builds a design over the ranges of all given frames.
    pub(crate) fn new(terms: &[Term], frames: &[&Frame]) -> Self {
        let parts: Vec<Part> = terms.iter().map(|term| Part::new(*term, frames)).collect();
        let columns = parts.iter().map(Part::columns).sum();
        Self { parts, columns }
    }

    /// Returns the number of columns.
    pub(crate) const fn columns(&self) -> usize {
        self.columns
    }

    /// Returns the rows of all hours of a frame.
    pub(crate) fn rows(&self, frame: &Frame) -> Rows {
        let mut rows = Rows::default();
        let mut row = Vec::new();
        for index in 0..frame.len() {
            row.clear();
            let mut offset = 0;
            for part in &self.parts {
                part.push(frame, index, offset, &mut row);
                offset += part.columns();
            }
            rows.push(&row);
        }
        rows
    }

    /// Returns the packed lower triangle of the penalty at λ = 1: second differences, and for products the Kronecker
    /// sum P₁⊗I + I⊗P₂.
    pub(crate) fn penalty(&self) -> Vec<f64> {
        let mut penalty = Normal::zero(self.columns).gram;
        let mut offset = 0;
        for part in &self.parts {
            part.penalise(offset, &mut penalty);
            offset += part.columns();
        }
        penalty
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::real;

    fn frame() -> Frame {
        let n = 400;
        let x: Vec<f64> = (0..n).map(|i| real(i % 20)).collect();
        let z: Vec<f64> = (0..n).map(|i| real(i / 20) / 2.0).collect();
        Frame(vec![x, z])
    }

    fn fit(terms: &[Term], lambda: f64, outcome: impl Fn(f64, f64) -> f64) -> f64 {
        let frame = frame();
        let design = Design::new(terms, &[&frame]);
        let rows = design.rows(&frame);
        let mut normal = Normal::zero(design.columns());
        let truth: Vec<f64> = (0..frame.len()).map(|i| outcome(frame.0[0][i], frame.0[1][i])).collect();
        for (i, y) in truth.iter().enumerate() {
            let (columns, values) = rows.row(i);
            normal.add_row(columns, values, *y);
        }
        let found = normal.solve(&design.penalty(), lambda).unwrap();
        (0..frame.len()).map(|i| (rows.dot(i, &found) - truth[i]).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn products_reproduce_bilinear_functions_at_any_penalty() {
        let terms = [Term::Product(0, 8, 1, 6)];
        assert!(fit(&terms, 1e4, |x, z| 1.0 + x + z + 0.5 * x * z) < 1e-3);
        assert!(fit(&terms, 1e-4, |x, z| libm::sin(x / 5.0) * z) < 0.05);
    }

    #[test]
    fn sums_that_share_a_constant_have_one_solution() {
        assert!(fit(&[Term::Spline(0, 8), Term::Spline(1, 8)], 1.0, |x, z| 3.0 + x - z) < 1e-3);
    }

    #[test]
    fn varying_coefficients_and_categories_enter() {
        let terms = [Term::Spline(0, 6), Term::Varying(1, 0, 6), Term::Linear(1), Term::Category(0, 20)];
        assert!(fit(&terms, 1e-2, |x, z| x * z + if x == 3.0 { 5.0 } else { 0.0 }) < 0.05);
    }
}
