use proptest::prelude::*;

use super::*;

const MINUTE: Micros = HOUR / 60;

fn point(minute: i64, value: f64) -> Point {
    Point { at: minute * MINUTE, sequence: minute, value, span: None }
}

fn every(minutes: i64, values: &[f64]) -> Vec<Point> {
    values.iter().zip(0..).map(|(value, index)| point(index * minutes, *value)).collect()
}

fn one(metric: &str, kind: MetricKind, points: &[Point], stretch: &Range<Micros>) -> Option<Figures> {
    fold(metric, kind, points, std::slice::from_ref(stretch)).remove(0)
}

fn power(points: &[Point], minutes: Range<i64>) -> Option<Figures> {
    one("power_kw", MetricKind::Power, points, &(minutes.start * MINUTE..minutes.end * MINUTE))
}

#[test]
fn a_power_integrates_until_the_next_point_and_at_most_for_three_intervals() {
    // 30 minutes of 2 kW, point by point, then nothing for 20 minutes, then 4 kW.
    let mut points = every(1, &[2.0; 31]);
    points.extend([point(50, 4.0), point(51, 4.0)]);
    let figures = power(&points, 0..60).unwrap();
    let expected = 33.0 / 60.0 * 2.0 + 1.0 / 60.0 * 4.0;
    assert!((figures.integral - expected).abs() < 1e-12, "{figures:?}");
    assert_eq!((figures.covered, figures.gaps, figures.count), (34 * MINUTE, 1, 33));
    assert_eq!((figures.min, figures.max, figures.first, figures.last), (2.0, 4.0, 2.0, 4.0));
}

#[test]
fn a_value_holds_across_the_full_hour_and_counts_where_its_point_is() {
    let points = every(10, &[1.0, 1.0, 1.0, 1.0, 1.0, 3.0, 5.0]);
    let points: Vec<Point> = points.iter().map(|point| Point { at: point.at + 5 * MINUTE, ..*point }).collect();
    let hours = fold_hours("power_kw", MetricKind::Power, &points, &(0..2 * HOUR));
    assert_eq!(hours.len(), 2);
    let (first, second) = (hours[0].1, hours[1].1);
    assert_eq!((first.count, first.covered, second.count, second.covered), (6, 55 * MINUTE, 1, 5 * MINUTE));
    assert!((first.integral - (50.0 + 3.0 * 5.0) / 60.0).abs() < 1e-12);
    // 3 kW hold until 01:05, where 5 kW begin.
    assert_eq!((second.first, second.last, second.max, second.sum), (3.0, 5.0, 5.0, 5.0));
    assert!((second.integral - 15.0 / 60.0).abs() < 1e-12);
}

#[test]
fn a_window_holds_its_value_for_its_length_unless_the_next_one_begins() {
    let span = |minute, value, span: i64| Point { span: Some(span * MINUTE), ..point(minute, value) };
    let figures = power(&[span(0, 6.0, 60), span(30, 2.0, 60)], 0..120).unwrap();
    assert_eq!((figures.covered, figures.gaps), (90 * MINUTE, 0));
    assert!((figures.integral - (3.0 + 2.0)).abs() < 1e-12);
    let figures = power(&[span(0, 6.0, 30), span(60, 2.0, 30)], 0..120).unwrap();
    assert_eq!((figures.covered, figures.gaps), (60 * MINUTE, 1));
}

#[test]
fn the_last_point_without_a_window_covers_no_time() {
    let figures = power(&[point(5, 7.0)], 0..60).unwrap();
    assert_eq!((figures.count, figures.covered, figures.integral, figures.gaps), (1, 0, 0.0, 0));
    assert_eq!((figures.mean(), figures.rate()), (Some(7.0), None));
    assert_eq!(power(&[point(5, 7.0)], 60..120), None);
}

#[test]
fn a_counter_is_read_by_differences_and_its_resets_are_noticed() {
    let mut points = every(10, &[100.0, 101.0, 102.5, 103.0, 1.0, 2.0, 4.0]);
    points.push(point(200, 50.0));
    let figures = one("energy_kwh", MetricKind::Counter, &points, &(0..4 * HOUR)).unwrap();
    // 100 to 103, and 1 to 4. Neither the reset nor the gap is made up.
    assert_eq!((figures.integral, figures.resets, figures.gaps), (6.0, 1, 1));
    assert_eq!((figures.covered, figures.count), (50 * MINUTE, 8));
}

#[test]
fn a_counter_is_divided_among_hours_by_time_and_their_sum_is_the_difference() {
    let points = [point(-60, 0.0), point(-30, 1.0), point(0, 2.0), point(30, 3.0), point(90, 9.0)];
    let hours = fold_hours("energy_kwh", MetricKind::Counter, &points, &(0..2 * HOUR));
    let integrals: Vec<f64> = hours.iter().map(|(_, figures)| figures.integral).collect();
    assert_eq!(integrals, [4.0, 3.0]);
}

#[test]
fn of_several_points_of_one_time_the_last_accepted_is_valid() {
    let again = |sequence, value| Point { sequence, ..point(10, value) };
    let points = [point(0, 1.0), again(40, 9.0), again(50, 3.0), point(20, 1.0)];
    let figures = power(&points, 0..60).unwrap();
    assert_eq!((figures.count, figures.sum, figures.max), (3, 5.0, 3.0));
    assert_eq!(valid(&points).len(), 3);
}

#[test]
fn intervals_are_medians_of_up_to_sixteen_distances_and_an_hour_until_there_are_three() {
    let points = every(5, &[0.0; 40]);
    for (index, expected) in [(0, 60), (1, 60), (2, 60), (3, 5), (39, 5)] {
        assert_eq!(interval_at(&points, index), expected * MINUTE, "{index}");
    }
    let sparse = every(3 * 1440, &[0.0; 5]);
    assert_eq!(interval_at(&sparse, 4), DAY);
    // The distances are 1, 1, 10 and 10 minutes: the lower median is 1.
    let mixed = [point(0, 0.0), point(1, 0.0), point(2, 0.0), point(12, 0.0), point(22, 0.0)];
    assert_eq!(interval_at(&mixed, 4), MINUTE);
}

#[test]
fn air_outside_of_the_recommended_range_is_integrated() {
    let points = every(30, &[30.0, 16.0, 27.0, 18.0, 20.0]);
    let stretch = 0..2 * HOUR;
    let figures = one("inlet_temperature_celsius", MetricKind::Gauge, &points, &stretch).unwrap();
    assert_eq!((figures.above, figures.below), (1.5, 1.0));
    let other = one("outlet_temperature_celsius", MetricKind::Gauge, &points, &stretch).unwrap();
    assert_eq!((other.above, other.below), (0.0, 0.0));
}

#[test]
fn figures_stay_finite_and_without_negative_zero() {
    let points = [point(0, f64::MAX), point(1, f64::MAX), point(2, f64::MIN), point(3, -0.0)];
    for kind in [MetricKind::Power, MetricKind::Counter, MetricKind::Gauge] {
        let total = one("inlet_temperature_celsius", kind, &points, &(0..HOUR)).unwrap();
        for value in [total.sum, total.integral, total.above, total.below] {
            assert!(value.is_finite() && value.to_bits() != (-0.0_f64).to_bits(), "{total:?}");
        }
    }
}

prop_compose! {
    fn series()(points in prop::collection::vec((-3_000_i64..3_000, 0_i64..5, -5.0..50.0_f64, prop::option::of(0_i64..300)), 1..60))
        -> Vec<Point>
    {
        let mut points: Vec<Point> = points
            .into_iter()
            .map(|(minute, sequence, value, span)| Point {
                sequence,
                span: span.map(|span| span * MINUTE),
                ..point(minute, value)
            })
            .collect();
        points.sort_by_key(|point| (point.at, point.sequence));
        points.dedup_by_key(|point| (point.at, point.sequence));
        points
    }
}

proptest! {
    /// Hours that are folded in one pass are those that are folded one by one, with the least that each depends on.
    #[test]
    fn hours_in_one_pass_are_those_one_by_one(points in series(), kind in 0..3_usize) {
        let kind = [MetricKind::Power, MetricKind::Counter, MetricKind::Gauge][kind];
        let within = floor(-4_000 * MINUTE, HOUR)..floor(5_000 * MINUTE, HOUR);
        let all = fold_hours("temperature_celsius", kind, &points, &within);
        let times: Vec<Micros> = valid(&points).iter().map(|point| point.at).collect();
        let mut one_by_one = Vec::new();
        let mut begin = within.start;
        while begin < within.end {
            let hour = begin..begin + HOUR;
            let first = times.iter().rev().filter(|at| **at < hour.start).nth(CONTEXT - 1).copied().unwrap_or(Micros::MIN);
            let last = times.iter().find(|at| **at >= hour.end).copied().unwrap_or(Micros::MAX);
            let least: Vec<Point> = points.iter().filter(|point| (first..=last).contains(&point.at)).copied().collect();
            let figures = one("temperature_celsius", kind, &least, &hour);
            one_by_one.extend(figures.map(|figures| (begin, figures)));
            begin += HOUR;
        }
        prop_assert_eq!(all, one_by_one);
    }

    /// Time is covered once, and no more than there is.
    #[test]
    fn cover_never_exceeds_the_stretch(points in series()) {
        for (_, figures) in fold_hours("power_kw", MetricKind::Power, &points, &(floor(Micros::MIN / 2, HOUR)..floor(Micros::MAX / 2, HOUR))) {
            prop_assert!(figures.covered <= HOUR && figures.min <= figures.max);
        }
    }
}
