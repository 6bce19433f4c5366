//! Nearest neighbours among points, by a sweep along their first coordinate.

/// A set of points of one dimension.
#[derive(Debug, Clone)]
pub(crate) struct Cloud {
    /// The points in the order of their first coordinate, with their numbers.
    sorted: Vec<(Vec<f64>, usize)>,
}

impl Cloud {
    /// Builds a set; points are numbered in their order.
    pub(crate) fn new(points: &[Vec<f64>]) -> Self {
        let mut sorted: Vec<(Vec<f64>, usize)> =
            points.iter().enumerate().map(|(number, point)| (point.clone(), number)).collect();
        sorted.sort_by(|a, b| a.0[0].total_cmp(&b.0[0]).then(a.1.cmp(&b.1)));
        Self { sorted }
    }

    /// Returns the `count` points nearest to `query` for which `admits` holds: squared distances, in rising order, and
    /// numbers.
    pub(crate) fn nearest(&self, query: &[f64], count: usize, admits: impl Fn(usize) -> bool) -> Vec<(f64, usize)> {
        let mut found: Vec<(f64, usize)> = Vec::with_capacity(count + 1);
        let mut right = self.sorted.partition_point(|(point, _)| point[0] < query[0]);
        let mut left = right;
        loop {
            let gap = |place: usize| (self.sorted[place].0[0] - query[0]) * (self.sorted[place].0[0] - query[0]);
            let before = if left > 0 { gap(left - 1) } else { f64::INFINITY };
            let after = if right < self.sorted.len() { gap(right) } else { f64::INFINITY };
            let limit = if found.len() < count { f64::INFINITY } else { found[count - 1].0 };
            if before.min(after) >= limit {
                return found;
            }
            let (point, number) = if before <= after {
                left -= 1;
                &self.sorted[left]
            } else {
                right += 1;
                &self.sorted[right - 1]
            };
            let distance: f64 = point.iter().zip(query).map(|(a, b)| (a - b) * (a - b)).sum();
            if distance < limit && admits(*number) {
                let place = found.partition_point(|(other, _)| *other <= distance);
                found.insert(place, (distance, *number));
                found.truncate(count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn finds_what_a_full_search_finds() {
        let mut random = Random::new(1, 0);
        let points: Vec<Vec<f64>> = (0..500).map(|_| (0..3).map(|_| random.normal()).collect()).collect();
        let cloud = Cloud::new(&points);
        for query in &points[..20] {
            let mut all: Vec<(f64, usize)> = points
                .iter()
                .enumerate()
                .map(|(number, point)| (point.iter().zip(query).map(|(a, b)| (a - b) * (a - b)).sum(), number))
                .filter(|(_, number)| number % 2 == 0)
                .collect();
            all.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert_eq!(cloud.nearest(query, 7, |number| number % 2 == 0), all[..7]);
        }
    }

    #[test]
    fn returns_all_points_if_there_are_fewer() {
        let cloud = Cloud::new(&[vec![1.0], vec![2.0]]);
        assert_eq!(cloud.nearest(&[0.0], 5, |_| true), [(1.0, 0), (4.0, 1)]);
        assert!(Cloud::new(&[]).nearest(&[0.0], 5, |_| true).is_empty());
    }
}
