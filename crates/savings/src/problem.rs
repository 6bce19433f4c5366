//! A regression of a baseline whose normal equations are kept per block of weeks, so that cross-validation, hold-outs
//! and bootstrap are small solves.

use crate::{
    design::{Design, Frame},
    errors::Error,
    linear::{Normal, Rows},
    numbers::real,
};

/// The weights of the penalty that cross-validation chooses from.
pub(crate) const LAMBDAS: [f64; 9] = [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4];
/// The most folds of a cross-validation. Weeks are dealt to the folds in turn.
const FOLDS: usize = 10;

/// The blocks of a series of hours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blocks<'a> {
    /// The block of each hour.
    pub(crate) of: &'a [usize],
    /// The number of blocks.
    pub(crate) count: usize,
}

/// A regression, with its equations per block.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    design: Design,
    penalty: Vec<f64>,
    /// The equations of each block.
    blocks: Vec<Normal>,
    total: Normal,
    /// The rows to predict the baseline's own hours with.
    own: Rows,
    /// The sums of those rows per block.
    sums: Vec<Vec<f64>>,
    /// The sums of the outcome per block.
    outcomes: Vec<f64>,
}

/// The result of a cross-validation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Validation {
    /// The weight of the penalty with the least error.
    pub(crate) lambda: f64,
    /// CV(RMSE) of hours out of sample: root of the mean square error ÷ mean outcome.
    pub(crate) cv_rmse: f64,
    /// Normalised mean bias error out of sample: sum of (measured − predicted) ÷ sum of measured.
    pub(crate) nmbe: f64,
}

impl Problem {
    /// Accumulates the equations of the hours of `train`, whose own predictions are made from `own` (the same hours
    /// with the measured IT load).
    pub(crate) fn new(design: Design, train: &Frame, own: &Frame, outcome: &[f64], blocks: Blocks<'_>) -> Self {
        let columns = design.columns();
        let rows = design.rows(train);
        let own = design.rows(own);
        let mut normals = vec![Normal::zero(columns); blocks.count];
        let mut sums = vec![vec![0.0; columns]; blocks.count];
        let mut outcomes = vec![0.0; blocks.count];
        for (hour, block) in blocks.of.iter().enumerate() {
            let (indices, values) = rows.row(hour);
            normals[*block].add_row(indices, values, outcome[hour]);
            own.add_to(hour, &mut sums[*block]);
            outcomes[*block] += outcome[hour];
        }
        let mut total = Normal::zero(columns);
        normals.iter().for_each(|normal| total.add(normal, 1.0));
        Self { penalty: design.penalty(), design, blocks: normals, total, own, sums, outcomes }
    }

    /// Returns the rows of other hours.
    pub(crate) fn rows(&self, frame: &Frame) -> Rows {
        self.design.rows(frame)
    }

    /// Returns the design.
    pub(crate) const fn design(&self) -> &Design {
        &self.design
    }

    /// Returns the number of blocks.
    pub(crate) const fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Returns the outcome's sum over the blocks that `selected` names.
    pub(crate) fn outcome(&self, block: usize) -> f64 {
        self.outcomes[block]
    }

    /// Returns the predicted sum of a block.
    pub(crate) fn predicted(&self, block: usize, coefficients: &[f64]) -> f64 {
        self.sums[block].iter().zip(coefficients).map(|(sum, coefficient)| sum * coefficient).sum()
    }

    /// Predicts one of the baseline's own hours.
    pub(crate) fn own(&self, hour: usize, coefficients: &[f64]) -> f64 {
        self.own.dot(hour, coefficients)
    }

    /// Fits all blocks.
    ///
    /// # Errors
    ///
    /// [`Error::Singular`], as for every fit here.
    pub(crate) fn fit(&self, lambda: f64) -> Result<Vec<f64>, Error> {
        self.total.solve(&self.penalty, lambda)
    }

    /// Fits all blocks but those that `excluded` names.
    pub(crate) fn fit_without(&self, excluded: impl Fn(usize) -> bool, lambda: f64) -> Result<Vec<f64>, Error> {
        self.equations_without(excluded).solve(&self.penalty, lambda)
    }

    /// Fits the blocks, each as often as `counts` says.
    pub(crate) fn fit_weighed(&self, counts: &[usize], lambda: f64) -> Result<Vec<f64>, Error> {
        let mut equations = Normal::zero(self.design.columns());
        for (block, count) in self.blocks.iter().zip(counts) {
            if *count > 0 {
                equations.add(block, real(*count));
            }
        }
        equations.solve(&self.penalty, lambda)
    }

    fn equations_without(&self, excluded: impl Fn(usize) -> bool) -> Normal {
        let out: Vec<bool> = (0..self.len()).map(excluded).collect();
        if out.iter().filter(|it| **it).count() * 2 < self.len() {
            let mut equations = self.total.clone();
            self.blocks.iter().zip(&out).filter(|(_, out)| **out).for_each(|(block, _)| equations.add(block, -1.0));
            equations
        } else {
            let mut equations = Normal::zero(self.design.columns());
            self.blocks.iter().zip(&out).filter(|(_, out)| !**out).for_each(|(block, _)| equations.add(block, 1.0));
            equations
        }
    }

    /// Cross-validates over folds of whole blocks.
    pub(crate) fn validate(&self, outcome: &[f64], blocks: Blocks<'_>) -> Result<Validation, Error> {
        let folds = FOLDS.min(self.len()).max(2);
        let mut squares = [0.0; LAMBDAS.len()];
        let mut biases = [0.0; LAMBDAS.len()];
        for fold in 0..folds {
            let equations = self.equations_without(|block| block % folds == fold);
            for (place, lambda) in LAMBDAS.iter().enumerate() {
                let coefficients = equations.solve(&self.penalty, *lambda)?;
                for (hour, block) in blocks.of.iter().enumerate() {
                    if block % folds == fold {
                        let error = outcome[hour] - self.own(hour, &coefficients);
                        squares[place] += error * error;
                        biases[place] += error;
                    }
                }
            }
        }
        let mut best = 0;
        for (place, square) in squares.iter().enumerate() {
            if *square < squares[best] {
                best = place;
            }
        }
        let total: f64 = outcome.iter().sum();
        let count = real(outcome.len().max(1));
        let lambda = LAMBDAS[best];
        if total <= 0.0 {
            // A plant that uses nothing: there is no mean to set the error against.
            return Ok(Validation { lambda, cv_rmse: 1.0, nmbe: 0.0 });
        }
        let cv_rmse = (squares[best] / count).sqrt() / (total / count);
        Ok(Validation { lambda, cv_rmse, nmbe: biases[best] / total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{design::Term, random::Random};

    fn example() -> (Frame, Vec<f64>, Vec<usize>) {
        let mut random = Random::new(3, 0);
        let x: Vec<f64> = (0..600).map(|_| 10.0 * random.unit()).collect();
        let outcome = x.iter().map(|x| 20.0 + libm::sin(*x) + 0.1 * random.normal()).collect();
        (Frame(vec![x]), outcome, (0..600).map(|hour| hour / 50).collect())
    }

    #[test]
    fn validation_finds_the_noise_out_of_sample() {
        let (frame, outcome, of) = example();
        let blocks = Blocks { of: &of, count: 12 };
        let design = Design::new(&[Term::Spline(0, 16)], &[&frame]);
        let problem = Problem::new(design, &frame, &frame, &outcome, blocks);
        let found = problem.validate(&outcome, blocks).unwrap();
        assert!((found.cv_rmse - 0.1 / 20.0).abs() < 0.001, "{found:?}");
        assert!(found.nmbe.abs() < 0.001 && found.lambda < 100.0, "{found:?}");
    }

    #[test]
    fn leaving_out_equals_fitting_the_rest() {
        let (frame, outcome, of) = example();
        let blocks = Blocks { of: &of, count: 12 };
        let design = Design::new(&[Term::Spline(0, 16)], &[&frame]);
        let problem = Problem::new(design, &frame, &frame, &outcome, blocks);
        let counts: Vec<usize> = (0..12).map(|block| usize::from(block != 4)).collect();
        let (a, b) =
            (problem.fit_without(|block| block == 4, 1.0).unwrap(), problem.fit_weighed(&counts, 1.0).unwrap());
        for (a, b) in a.iter().zip(&b) {
            assert!((a - b).abs() < 1e-6);
        }
    }
}
