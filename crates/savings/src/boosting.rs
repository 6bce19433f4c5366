//! Gradient boosting of small regression trees on binned variables (J. Friedman, *Greedy Function Approximation: A
//! Gradient Boosting Machine*, Annals of Statistics 29, 2001).

use crate::{
    design::Frame,
    numbers::{quantile, real},
};

/// The number of trees.
const TREES: usize = 60;
/// The number of splits from the root to a leaf.
const DEPTH: usize = 3;
/// The share of each tree's correction that is taken.
const RATE: f64 = 0.1;
/// The number of bins of a variable.
const BINS: usize = 32;
/// The least number of hours in a leaf.
const LEAST_LEAF: usize = 40;
/// Added to the number of hours of a leaf, which shrinks its value.
const SHRINKAGE: f64 = 20.0;

/// A node of a tree.
#[derive(Debug, Clone)]
enum Node {
    Leaf(f64),
    /// The column, the least value that goes to the second branch, and both branches.
    Split(usize, f64, Box<Node>, Box<Node>),
}

impl Node {
    fn value(&self, frame: &Frame, hour: usize) -> f64 {
        match self {
            Self::Leaf(value) => *value,
            Self::Split(column, edge, below, above) => {
                let branch = if frame.0[*column][hour] < *edge { below } else { above };
                branch.value(frame, hour)
            }
        }
    }
}

/// A sum of trees.
#[derive(Debug, Clone)]
pub(crate) struct Boosted(Vec<Node>);

impl Boosted {
    /// Fits an outcome on all columns of a frame.
    pub(crate) fn fit(frame: &Frame, outcome: &[f64]) -> Self {
        let binned = Binned::new(frame);
        let mut residuals = outcome.to_vec();
        let hours: Vec<usize> = (0..outcome.len()).collect();
        let mut trees = Vec::with_capacity(TREES);
        for _ in 0..TREES {
            let tree = binned.grow(&residuals, &hours, DEPTH);
            for (hour, residual) in residuals.iter_mut().enumerate() {
                *residual -= RATE * tree.value(frame, hour);
            }
            trees.push(tree);
        }
        Self(trees)
    }

    /// Predicts all hours of a frame.
    pub(crate) fn predict(&self, frame: &Frame) -> Vec<f64> {
        let value = |hour| self.0.iter().map(|tree| RATE * tree.value(frame, hour)).sum();
        (0..frame.len()).map(value).collect()
    }
}

/// The variables in bins of about the same number of hours.
struct Binned {
    edges: Vec<Vec<f64>>,
    bins: Vec<Vec<usize>>,
}

impl Binned {
    fn new(frame: &Frame) -> Self {
        let edges: Vec<Vec<f64>> = frame
            .0
            .iter()
            .map(|column| {
                let mut edges: Vec<f64> = (1..BINS).map(|bin| quantile(column, real(bin) / real(BINS))).collect();
                edges.dedup();
                edges
            })
            .collect();
        let bin = |edges: &Vec<f64>, value: f64| edges.partition_point(|edge| *edge <= value);
        let bins =
            frame.0.iter().zip(&edges).map(|(column, edges)| column.iter().map(|value| bin(edges, *value)).collect());
        Self { bins: bins.collect(), edges }
    }

    fn grow(&self, residuals: &[f64], hours: &[usize], depth: usize) -> Node {
        let total: f64 = hours.iter().map(|hour| residuals[*hour]).sum();
        let leaf = Node::Leaf(total / (real(hours.len()) + SHRINKAGE));
        if depth == 0 {
            return leaf;
        }
        let Some((column, edge)) = self.best_split(residuals, hours, total) else { return leaf };
        let (below, above): (Vec<usize>, Vec<usize>) = hours.iter().partition(|hour| self.bins[column][**hour] <= edge);
        Node::Split(
            column,
            self.edges[column][edge],
            Box::new(self.grow(residuals, &below, depth - 1)),
            Box::new(self.grow(residuals, &above, depth - 1)),
        )
    }

    /// Returns the column and the last bin of the first branch of the split that explains most.
    fn best_split(&self, residuals: &[f64], hours: &[usize], total: f64) -> Option<(usize, usize)> {
        let score = |sum: f64, count: usize| sum * sum / (real(count) + SHRINKAGE);
        let mut best = (score(total, hours.len()), None);
        for (column, bins) in self.bins.iter().enumerate() {
            let mut sums = [(0.0, 0_usize); BINS];
            for hour in hours {
                let (sum, count) = &mut sums[bins[*hour]];
                *sum += residuals[*hour];
                *count += 1;
            }
            let (mut sum, mut count) = (0.0, 0);
            for (bin, (bin_sum, bin_count)) in sums.iter().enumerate().take(self.edges[column].len()) {
                sum += bin_sum;
                count += bin_count;
                if count < LEAST_LEAF || hours.len() - count < LEAST_LEAF {
                    continue;
                }
                let found = score(sum, count) + score(total - sum, hours.len() - count);
                if found > best.0 {
                    best = (found, Some((column, bin)));
                }
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{numbers::root_mean_square, random::Random};

    #[test]
    fn learns_a_step_and_leaves_noise() {
        let mut random = Random::new(2, 0);
        let columns: Vec<Vec<f64>> = (0..2).map(|_| (0..2000).map(|_| random.unit()).collect()).collect();
        let truth: Vec<f64> =
            (0..2000).map(|hour| if columns[0][hour] > 0.5 && columns[1][hour] > 0.3 { 2.0 } else { 0.0 }).collect();
        let outcome: Vec<f64> = truth.iter().map(|truth| truth + random.normal()).collect();
        let frame = Frame(columns);
        let found = Boosted::fit(&frame, &outcome).predict(&frame);
        let errors: Vec<f64> = found.iter().zip(&truth).map(|(a, b)| a - b).collect();
        assert!(root_mean_square(&errors) < 0.35, "{}", root_mean_square(&errors));
    }

    #[test]
    fn predicts_nothing_of_a_constant_zero() {
        let frame = Frame(vec![vec![1.0; 100]]);
        assert!(Boosted::fit(&frame, &[0.0; 100]).predict(&frame).iter().all(|value| *value == 0.0));
    }
}
