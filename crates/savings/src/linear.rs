//! Penalised least squares: normal equations per block of hours, and their solution by Cholesky's decomposition.
//!
//! The decomposition is our own, and short: libraries of linear algebra choose kernels by the processor, so that
//! the last bits of a report would depend on the machine that recomputes it. Every sum here has one fixed order.

use crate::{errors::Error, numbers::real};

/// A share of the mean diagonal that is added to the diagonal, so that directions that the data leave open (a constant
/// that two splines share) have one solution: the shortest.
///
/// The greater ones serve matrices whose rounding errors exceed the first: a variable that hardly varies beside
/// thousands of hours. None exceed the last. Entries of a design are at most 1, and those of a spline in a row have squares
/// that add up to 1/4 at least, so that XᵀX of n hours has a trace of n/4 or more; with p ≤ 500 columns, λ ≤ 10⁴ and
/// ε = 2⁻⁵³ the error of the decomposition, about pε(tr XᵀX + λ tr P), stays below the ridge, 10⁻⁴ tr XᵀX / p.
const RIDGES: [f64; 3] = [1e-8, 1e-6, 1e-4];

/// Sparse rows of a design matrix.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    ends: Vec<usize>,
    columns: Vec<usize>,
    values: Vec<f64>,
}

impl Rows {
    /// Appends a row of `(column, value)`, in any order of columns.
    pub(crate) fn push(&mut self, row: &[(usize, f64)]) {
        for (column, value) in row {
            self.columns.push(*column);
            self.values.push(*value);
        }
        self.ends.push(self.columns.len());
    }

    /// Returns the number of rows.
    pub(crate) const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns the columns and values of a row.
    pub(crate) fn row(&self, index: usize) -> (&[usize], &[f64]) {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        let end = self.ends[index];
        (&self.columns[start..end], &self.values[start..end])
    }

    /// Returns the product of a row and a vector of coefficients.
    pub(crate) fn dot(&self, index: usize, coefficients: &[f64]) -> f64 {
        let (columns, values) = self.row(index);
        columns.iter().zip(values).map(|(column, value)| value * coefficients[*column]).sum()
    }

    /// Adds a row, times a weight, to a dense vector.
    pub(crate) fn add_times(&self, index: usize, weight: f64, sums: &mut [f64]) {
        let (columns, values) = self.row(index);
        for (column, value) in columns.iter().zip(values) {
            sums[*column] += weight * value;
        }
    }

    /// Adds a row to a dense vector.
    pub(crate) fn add_to(&self, index: usize, sums: &mut [f64]) {
        let (columns, values) = self.row(index);
        for (column, value) in columns.iter().zip(values) {
            sums[*column] += value;
        }
    }
}

/// XᵀX and Xᵀy of some hours. XᵀX is symmetric; its lower triangle is stored row by row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Normal {
    /// The lower triangle of XᵀX: entry (i, j ≤ i) at i(i + 1)/2 + j.
    pub(crate) gram: Vec<f64>,
    /// Xᵀy, one entry per column.
    pub(crate) moment: Vec<f64>,
}

/// Returns the position at which a row of a packed lower triangle starts.
const fn start_of(row: usize) -> usize {
    row * (row + 1) / 2
}

impl Normal {
    /// Builds the equations of no hour at all.
    pub(crate) fn zero(columns: usize) -> Self {
        Self { gram: vec![0.0; start_of(columns)], moment: vec![0.0; columns] }
    }

    /// Adds an hour: its row and its outcome.
    pub(crate) fn add_row(&mut self, columns: &[usize], values: &[f64], outcome: f64) {
        for (i, a) in columns.iter().zip(values) {
            self.moment[*i] += a * outcome;
            let start = start_of(*i);
            for (j, b) in columns.iter().zip(values) {
                if j <= i {
                    self.gram[start + j] += a * b;
                }
            }
        }
    }

    /// Adds other equations, multiplied by a weight.
    pub(crate) fn add(&mut self, other: &Self, weight: f64) {
        for (sum, value) in self.gram.iter_mut().zip(&other.gram) {
            *sum += weight * value;
        }
        for (sum, value) in self.moment.iter_mut().zip(&other.moment) {
            *sum += weight * value;
        }
    }

    /// Solves (XᵀX + λP + ridge) β = Xᵀy, where `penalty` is the packed lower triangle of P.
    ///
    /// # Errors
    ///
    /// [`Error::Singular`], if the matrix is not positive definite.
    pub(crate) fn solve(&self, penalty: &[f64], lambda: f64) -> Result<Vec<f64>, Error> {
        let size = self.moment.len();
        let penalised: Vec<f64> = self.gram.iter().zip(penalty).map(|(gram, p)| gram + lambda * p).collect();
        let trace: f64 = (0..size).map(|i| self.gram[start_of(i) + i]).sum();
        let mut matrix = Vec::new();
        for ridge in RIDGES {
            matrix.clone_from(&penalised);
            let ridge = ridge * (trace / real(size.max(1))).max(1e-6);
            (0..size).for_each(|i| matrix[start_of(i) + i] += ridge);
            if let Ok(firsts) = factor(&mut matrix, size) {
                return Ok(substitute(&matrix, &firsts, &self.moment));
            }
        }
        Err(Error::Singular)
    }
}

/// Returns the sum of products of two slices of one length, over four interleaved partial sums.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (fours_a, fours_b) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest: f64 = fours_a.remainder().iter().zip(fours_b.remainder()).map(|(x, y)| x * y).sum();
    let mut sums = [0.0; 4];
    for (x, y) in fours_a.zip(fours_b) {
        for lane in 0..4 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

/// Replaces a packed lower triangle by its Cholesky factor; returns the first column of each row that is not zero.
///
/// Zeros at the start of a row stay zeros in the factor, and are skipped: spline bases are narrow bands.
fn factor(matrix: &mut [f64], size: usize) -> Result<Vec<usize>, Error> {
    let mut firsts = Vec::with_capacity(size);
    for i in 0..size {
        let (above, rest) = matrix.split_at_mut(start_of(i));
        let row = &mut rest[..=i];
        let first = row.iter().position(|value| *value != 0.0).unwrap_or(i);
        firsts.push(first);
        for j in first..i {
            let from = first.max(firsts[j]);
            let other = &above[start_of(j)..=start_of(j) + j];
            let known = if from < j { dot(&row[from..j], &other[from..j]) } else { 0.0 };
            row[j] = (row[j] - known) / other[j];
        }
        let pivot = row[i] - dot(&row[first..i], &row[first..i]);
        if pivot.is_nan() || pivot <= 0.0 {
            return Err(Error::Singular);
        }
        row[i] = pivot.sqrt();
    }
    Ok(firsts)
}

/// Solves LLᵀx = b.
fn substitute(factor: &[f64], firsts: &[usize], right: &[f64]) -> Vec<f64> {
    let mut x = right.to_vec();
    for i in 0..x.len() {
        let row = &factor[start_of(i)..=start_of(i) + i];
        x[i] = (x[i] - dot(&row[firsts[i]..i], &x[firsts[i]..i])) / row[i];
    }
    for i in (0..x.len()).rev() {
        let row = &factor[start_of(i)..=start_of(i) + i];
        x[i] /= row[i];
        let known = x[i];
        for j in firsts[i]..i {
            x[j] -= known * row[j];
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The equations y = X·β of formula rows, with their coefficients.
    fn example(size: usize) -> (Normal, Vec<f64>) {
        let truth: Vec<f64> = (0..size).map(|index| real(index % 5) - 2.0).collect();
        let mut normal = Normal::zero(size);
        for row in 0..20 * size {
            let first = row % (size - 2);
            let columns = [first, first + 1, first + 2];
            let values = [1.0, real(row % 7) / 7.0, real(row % 11) / 11.0];
            let outcome: f64 = columns.iter().zip(values).map(|(column, value)| truth[*column] * value).sum();
            normal.add_row(&columns, &values, outcome);
        }
        (normal, truth)
    }

    #[test]
    fn recovers_the_coefficients_of_exact_data() {
        for size in [3, 8, 33] {
            let (normal, truth) = example(size);
            let found = normal.solve(&vec![0.0; start_of(size)], 0.0).unwrap();
            for (a, b) in found.iter().zip(&truth) {
                assert!((a - b).abs() < 1e-4, "{size}: {a} {b}");
            }
        }
    }

    #[test]
    fn repeats_the_same_bits() {
        let (normal, _) = example(33);
        let penalty = vec![0.0; start_of(33)];
        assert_eq!(normal.solve(&penalty, 1.0).unwrap(), normal.solve(&penalty, 1.0).unwrap());
    }

    #[test]
    fn refuses_what_is_not_positive_definite() {
        let normal = Normal { gram: vec![1.0, 2.0, 1.0], moment: vec![1.0, 1.0] };
        assert_eq!(normal.solve(&[0.0; 3], 0.0), Err(Error::Singular));
    }

    #[test]
    fn weighs_blocks() {
        let (normal, _) = example(5);
        let mut twice = normal.clone();
        twice.add(&normal, 1.0);
        let mut weighed = Normal::zero(5);
        weighed.add(&normal, 2.0);
        assert_eq!(twice, weighed);
    }
}
