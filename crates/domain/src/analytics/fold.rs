//! From points to figures.

use std::ops::Range;

use super::figures::{Figures, finite, hours};
use super::{DAY, HOUR, Micros};
use crate::metrics::MetricKind;

/// The longest time for which one value holds.
pub const LONGEST_SPAN: Micros = 7 * DAY;

/// The number of distances between points that are learned from.
const LEARNED_FROM: usize = 16;

/// The number of points before a stretch that its figures depend on: the last of them may hold into it, and its
/// interval is learned from the others. Of the points behind a changed one, one fewer depend on it.
pub const CONTEXT: usize = LEARNED_FROM + 1;

/// The number of distances from which on there is something to learn.
const ENOUGH: usize = 3;

/// The interval that is taken for learned before there is enough to learn from.
const UNKNOWN: Micros = HOUR;

/// The number of learned intervals after which a gap begins.
pub const PATIENCE: Micros = 3;

/// The recommended temperatures of the air that enters equipment, in °C (ASHRAE TC 9.9, Thermal Guidelines for Data
/// Processing Environments, classes A1 to A4).
const RECOMMENDED: Range<f64> = 18.0..27.0;

/// A value of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The time.
    pub at: Micros,
    /// The position in the audit log of the acceptance of its document. Of several points of one time, the last one
    /// accepted is valid.
    pub sequence: i64,
    /// The value.
    pub value: f64,
    /// The length of the window for which the value holds; `None` if it holds until the next point.
    pub span: Option<Micros>,
}

/// A stretch of time in which the value of one point holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// The point.
    pub point: Point,
    /// The end of the stretch, which begins at the point.
    pub to: Micros,
    /// The consumption of a counter until the next point. `None` for the other kinds, since their value holds
    /// throughout.
    consumption: Option<f64>,
    /// Whether a gap follows: no value until the next point.
    pub is_before_gap: bool,
    /// Whether the counter was reset: the value is less than the one before.
    pub is_reset: bool,
}

/// Returns the interval that is learned at a point: the lower median of the last 16 distances up to it, one hour until
/// there are three, and at most a day. `points` are in the order of time, without two of one time.
#[must_use]
pub fn interval_at(points: &[Point], index: usize) -> Micros {
    let first = index.saturating_sub(LEARNED_FROM);
    let known = points.get(first..=index).unwrap_or_default();
    let mut distances = [0; LEARNED_FROM];
    for (distance, pair) in distances.iter_mut().zip(known.windows(2)) {
        *distance = pair[1].at - pair[0].at;
    }
    let Some(distances) = distances.get_mut(..known.len().saturating_sub(1)).filter(|found| found.len() >= ENOUGH)
    else {
        return UNKNOWN;
    };
    let middle = (distances.len() - 1) / 2;
    let (_, median, _) = distances.select_nth_unstable(middle);
    (*median).min(DAY)
}

/// Returns the valid point of each time. `points` are in the order of time and acceptance.
#[must_use]
pub fn valid(points: &[Point]) -> Vec<Point> {
    let mut valid: Vec<Point> = Vec::with_capacity(points.len());
    for point in points {
        match valid.last_mut() {
            Some(last) if last.at == point.at => *last = *point,
            _ => valid.push(*point),
        }
    }
    valid
}

/// Returns the segments of points, which are in the order of time and acceptance. That of a point is right if the
/// [`CONTEXT`] - 1 times before it and the next one are among them, as far as the series has them.
#[must_use]
pub fn segments(kind: MetricKind, points: &[Point]) -> Vec<Segment> {
    let points = valid(points);
    (0..points.len()).map(|index| segment(kind, &points, index)).collect()
}

fn segment(kind: MetricKind, points: &[Point], index: usize) -> Segment {
    let point = points[index];
    let next = points.get(index + 1);
    let before = index.checked_sub(1).map(|before| points[before]);
    let longest = (interval_at(points, index) * PATIENCE).min(LONGEST_SPAN);
    let is_reset = kind == MetricKind::Counter && before.is_some_and(|before| before.value > point.value);
    let none = Segment { point, to: point.at, consumption: None, is_before_gap: false, is_reset };
    match (kind, next) {
        (MetricKind::Counter, None) => none,
        (MetricKind::Counter, Some(next)) => {
            let is_before_gap = next.at - point.at > longest;
            if is_before_gap || next.value < point.value {
                return Segment { is_before_gap, ..none };
            }
            Segment { to: next.at, consumption: Some(finite(next.value - point.value)), ..none }
        }
        (MetricKind::Gauge | MetricKind::Power, next) => {
            let longest = match (point.span, next) {
                (Some(span), _) => span.clamp(0, LONGEST_SPAN),
                (None, Some(_)) => longest,
                // Nobody knows yet for how long it holds.
                (None, None) => 0,
            };
            let end = point.at + longest;
            let to = next.map_or(end, |next| end.min(next.at));
            Segment { to, is_before_gap: next.is_some_and(|next| next.at > end), ..none }
        }
    }
}

impl Segment {
    /// Returns the time that the segment covers of a stretch.
    #[must_use]
    pub fn covered(&self, stretch: &Range<Micros>) -> Micros {
        (self.to.min(stretch.end) - self.point.at.max(stretch.start)).max(0)
    }

    /// Returns the integral over the covered part of a stretch, as [`Figures::integral`].
    #[must_use]
    pub fn integral(&self, stretch: &Range<Micros>) -> f64 {
        let covered = self.covered(stretch);
        match self.consumption {
            _ if covered == 0 => 0.0,
            // So that a whole segment has the exact difference.
            Some(consumption) => finite(consumption * (hours(covered) / hours(self.to - self.point.at))),
            None => finite(self.point.value * hours(covered)),
        }
    }

    /// Returns what the segment and its point add to a stretch.
    fn part(&self, stretch: &Range<Micros>, is_air: bool) -> Figures {
        let value = self.point.value;
        let is_within = self.point.at >= stretch.start;
        let covered = self.covered(stretch);
        let over = |excess: f64| if is_air { finite(excess.max(0.0) * hours(covered)) } else { 0.0 };
        Figures {
            count: u64::from(is_within),
            sum: if is_within { value } else { 0.0 },
            min: value,
            max: value,
            first: value,
            last: value,
            integral: self.integral(stretch),
            covered,
            gaps: u64::from(is_within && self.is_before_gap),
            resets: u64::from(is_within && self.is_reset),
            above: over(value - RECOMMENDED.end),
            below: over(RECOMMENDED.start - value),
        }
    }
}

/// Computes the figures of stretches of time.
///
/// `points` are in the order of time and acceptance. They have to begin with the last [`CONTEXT`] times before the first
/// stretch and to end with the first time behind the last one, as far as the series has them. `stretches` are in order
/// and do not overlap. A stretch without a value has no figures.
#[must_use]
pub fn fold(metric: &str, kind: MetricKind, points: &[Point], stretches: &[Range<Micros>]) -> Vec<Option<Figures>> {
    let segments = segments(kind, points);
    let is_air = is_air(metric);
    let (mut figures, mut first) = (Vec::with_capacity(stretches.len()), 0);
    for stretch in stretches {
        // Values hold until the next point at most, so that those which end before a stretch are the first ones.
        let is_over = |segment: &Segment| segment.point.at < stretch.start && segment.to <= stretch.start;
        while segments.get(first).is_some_and(is_over) {
            first += 1;
        }
        let rest = segments.get(first..).unwrap_or_default();
        let parts = rest.iter().take_while(|segment| segment.point.at < stretch.end);
        let parts: Option<Figures> = parts.fold(None, |total, segment| {
            let part = segment.part(stretch, is_air);
            Some(total.map_or(part, |total: Figures| total.then(&part)))
        });
        figures.push(parts);
    }
    figures
}

/// Computes the figures of all hours within a stretch, which begins and ends with an hour: as [`fold`], by the begins of
/// the hours, in order. Hours without a value are left out.
#[must_use]
pub fn fold_hours(metric: &str, kind: MetricKind, points: &[Point], within: &Range<Micros>) -> Vec<(Micros, Figures)> {
    let is_air = is_air(metric);
    let mut hours: Vec<(Micros, Figures)> = Vec::new();
    for segment in segments(kind, points) {
        let mut begin = floor(segment.point.at, HOUR).max(within.start);
        // A value that holds for no time belongs to the hour of its point.
        let end = segment.to.max(segment.point.at + 1).min(within.end);
        while begin < end {
            let part = segment.part(&(begin..begin + HOUR), is_air);
            match hours.last_mut() {
                Some((last, figures)) if *last == begin => *figures = figures.then(&part),
                _ => hours.push((begin, part)),
            }
            begin += HOUR;
        }
    }
    hours
}

/// Returns the last multiple of a length that is not behind a time.
#[must_use]
pub const fn floor(at: Micros, length: Micros) -> Micros {
    at - at.rem_euclid(length)
}

fn is_air(metric: &str) -> bool {
    matches!(metric, "temperature_celsius" | "inlet_temperature_celsius")
}

#[cfg(test)]
mod tests;
