//! From points to figures.

use std::ops::Range;

use super::figures::Figures;
use super::{DAY, HOUR, Micros};
use crate::metrics::MetricKind;

/// The longest time for which one value holds.
pub const LONGEST_SPAN: Micros = 7 * DAY;

/// The number of intervals that are learned from.
const LEARNED_FROM: usize = 16;

/// The number of points before a stretch that its figures depend on: the last of them may hold into it, and its
/// interval is learned from the others. Of the points behind a changed one, one fewer depend on it.
pub const CONTEXT: usize = LEARNED_FROM + 1;

/// The number of intervals from which on there is something to learn.
const ENOUGH: usize = 3;

/// The interval that is taken for learned before there is enough to learn from.
const UNKNOWN: Micros = HOUR;

/// The number of learned intervals after which a gap begins.
const PATIENCE: Micros = 3;

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

/// A stretch of time in which one value holds.
struct Segment {
    from: Micros,
    to: Micros,
    /// The amount per hour.
    rate: f64,
    is_before_gap: bool,
}

/// Returns the interval that is learned at a point: the lower median of the last 16 distances up to it, one hour until
/// there are three, and at most a day. `points` are in the order of time, without two of one time.
#[must_use]
pub fn interval_at(points: &[Point], index: usize) -> Micros {
    let first = index.saturating_sub(LEARNED_FROM);
    let known = points.get(first..=index).unwrap_or_default();
    let mut distances: Vec<Micros> = known.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    if distances.len() < ENOUGH {
        return UNKNOWN;
    }
    let middle = (distances.len() - 1) / 2;
    let (_, median, _) = distances.select_nth_unstable(middle);
    (*median).min(DAY)
}

/// Computes the figures of stretches of time.
///
/// `points` are in the order of time and acceptance. They have to begin with the last [`CONTEXT`] times before the first
/// stretch and to end with the first time behind the last one, as far as the series has them. `stretches` are in order
/// and do not overlap. A stretch without a value has no figures.
#[must_use]
pub fn fold(metric: &str, kind: MetricKind, points: &[Point], stretches: &[Range<Micros>]) -> Vec<Option<Figures>> {
    let points = valid(points);
    let segments: Vec<Segment> = (0..points.len()).map(|index| segment(kind, &points, index)).collect();
    let is_air = matches!(metric, "temperature_celsius" | "inlet_temperature_celsius");
    let (mut figures, mut first) = (Vec::with_capacity(stretches.len()), 0);
    for stretch in stretches {
        // Values hold until the next point at most, so that those which end before a stretch are the first ones.
        while points.get(first).is_some_and(|point| point.at < stretch.start && segments[first].to <= stretch.start) {
            first += 1;
        }
        let mut total: Option<Figures> = None;
        for (index, point) in points.iter().enumerate().skip(first).take_while(|(_, point)| point.at < stretch.end) {
            let lesser = index.checked_sub(1).is_some_and(|before| points[before].value > point.value);
            let is_reset = kind == MetricKind::Counter && lesser;
            let next = part(point, &segments[index], stretch, is_air, is_reset);
            total = Some(total.map_or(next, |total| total.then(&next)));
        }
        figures.push(total);
    }
    figures
}

/// Returns the valid point of each time.
fn valid(points: &[Point]) -> Vec<Point> {
    let mut valid: Vec<Point> = Vec::with_capacity(points.len());
    for point in points {
        match valid.last_mut() {
            Some(last) if last.at == point.at => *last = *point,
            _ => valid.push(*point),
        }
    }
    valid
}

/// Returns the stretch in which the value of a point holds.
fn segment(kind: MetricKind, points: &[Point], index: usize) -> Segment {
    let point = &points[index];
    let next = points.get(index + 1);
    let longest = (interval_at(points, index) * PATIENCE).min(LONGEST_SPAN);
    let none = Segment { from: point.at, to: point.at, rate: 0.0, is_before_gap: false };
    match (kind, next) {
        (MetricKind::Counter, None) => none,
        (MetricKind::Counter, Some(next)) => {
            let is_before_gap = next.at - point.at > longest;
            if is_before_gap || next.value < point.value {
                return Segment { is_before_gap, ..none };
            }
            let rate = (next.value - point.value) / hours(next.at - point.at);
            Segment { from: point.at, to: next.at, rate, is_before_gap }
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
            Segment { from: point.at, to, rate: point.value, is_before_gap: next.is_some_and(|next| next.at > end) }
        }
    }
}

/// Returns what a point and its segment add to a stretch.
fn part(point: &Point, segment: &Segment, stretch: &Range<Micros>, is_air: bool, is_reset: bool) -> Figures {
    let is_within = point.at >= stretch.start;
    let covered = (segment.to.min(stretch.end) - segment.from.max(stretch.start)).max(0);
    let over = |excess: f64| if is_air { excess.max(0.0) * hours(covered) } else { 0.0 };
    Figures {
        count: u64::from(is_within),
        sum: if is_within { point.value } else { 0.0 },
        min: point.value,
        max: point.value,
        first: point.value,
        last: point.value,
        integral: segment.rate * hours(covered),
        covered,
        gaps: u64::from(is_within && segment.is_before_gap),
        resets: u64::from(is_within && is_reset),
        above: over(point.value - RECOMMENDED.end),
        below: over(RECOMMENDED.start - point.value),
    }
}

#[expect(clippy::cast_precision_loss, reason = "spans are far below 2^53 microseconds")]
fn hours(span: Micros) -> f64 {
    span as f64 / HOUR as f64
}
