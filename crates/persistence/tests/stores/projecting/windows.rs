//! Compares the rows that are read around windows with their definition.

use std::collections::BTreeSet;

use mass_analytics_service::{Update, Window, WindowState};
use mass_domain::analytics::{CONTEXT, DAY, HOUR, Micros, Point, SeriesId};

use super::{key, moving, point, series_row, some_figures, store};
use crate::databases::TestDatabase;
use crate::fixtures::{other_tenant, tenant};
use crate::projecting::history::Dice;

on_both!(
    windows_are_what_their_definition_says,
    windows_of_a_series_that_touch_become_one,
    a_window_of_a_series_without_points_is_empty,
);

const MINUTE: Micros = 60_000_000;

fn floor(at: Micros, of: Micros) -> Micros {
    at - at.rem_euclid(of)
}

/// Returns `from` and `stop` of a window, by their definitions.
fn extent(points: &[Point], window: Window) -> (Micros, Option<Micros>) {
    let times: BTreeSet<Micros> = points.iter().map(|point| point.at).collect();
    let before = times.range(..window.first).next_back().copied().unwrap_or(window.first);
    let after = times.range(window.last + 1..).nth(CONTEXT - 1).copied();
    (floor(before, HOUR), after.map(|after| floor(after, HOUR) + HOUR))
}

/// Returns the points around a stretch, by their definition.
fn around(points: &[Point], from: Micros, stop: Micros) -> Vec<Point> {
    let times: BTreeSet<Micros> = points.iter().map(|point| point.at).collect();
    let first = times.range(..from).rev().take(CONTEXT).last().copied().unwrap_or(from);
    let last = times.range(stop..).next().copied().unwrap_or(Micros::MAX);
    points.iter().filter(|point| point.at >= first && point.at <= last).copied().collect()
}

async fn windows_are_what_their_definition_says(db: TestDatabase) {
    let mut dice = Dice(7);
    let mut series: Vec<(SeriesId, Vec<Point>)> = Vec::new();
    let mut update = moving(0, 1);
    for metric in ["a", "b", "c"] {
        let id = key(metric).id();
        let mut at = -3 * HOUR;
        let mut points = Vec::new();
        for sequence in 1..150 {
            // Sometimes several at one time, sometimes a gap of days.
            at += [0, MINUTE, 7 * MINUTE, HOUR, 30 * HOUR][dice.below(if metric == "a" { 3 } else { 5 })];
            points.push(point(at, sequence));
        }
        let hours: BTreeSet<Micros> = points.iter().map(|point| floor(point.at, HOUR)).collect();
        update.hours.extend(hours.iter().zip(1..).map(|(hour, count)| (id, *hour, some_figures(count))));
        update.points.extend(points.iter().map(|point| (id, *point)));
        update.series.push(series_row(key(metric), points[0].at, points.last().unwrap().at));
        series.push((id, points));
    }
    series.sort_by_key(|(id, _)| *id);
    store(&db).apply(&tenant(), update.clone()).await.unwrap();
    // Another tenant's series of the same names.
    let other = Update { points: vec![(series[0].0, point(0, 99))], ..moving(0, 1) };
    store(&db).apply(&other_tenant(), other).await.unwrap();

    for _ in 0..60 {
        let mut windows = Vec::new();
        for (id, points) in &series {
            let span = points[0].at - HOUR..points.last().unwrap().at + 2 * HOUR;
            let mut times: Vec<Micros> = (0..2 * dice.below(4)).map(|_| span.start + dice.within(&span)).collect();
            times.sort_unstable();
            windows.extend(times.chunks(2).map(|pair| Window { series: *id, first: pair[0], last: pair[1] }));
        }
        let states = store(&db).windows(&tenant(), windows.clone()).await.unwrap();
        let mut expected: Vec<(Window, Micros, Option<Micros>)> = Vec::new();
        for window in windows {
            let (_, points) = series.iter().find(|(id, _)| *id == window.series).unwrap();
            let (from, stop) = extent(points, window);
            match expected.last_mut() {
                Some((last, _, end)) if last.series == window.series && end.is_none_or(|end| from < end) => {
                    (last.last, *end) = (window.last, stop);
                }
                _ => expected.push((window, from, stop)),
            }
        }
        assert_eq!(states.len(), expected.len());
        for (state, (window, from, stop)) in states.into_iter().zip(expected) {
            let (_, points) = series.iter().find(|(id, _)| *id == window.series).unwrap();
            let row = update.series.iter().find(|row| row.id == window.series).cloned();
            let last = row.as_ref().unwrap().last_at.max(window.last);
            let end = stop.unwrap_or(Micros::MAX);
            let hours = if floor(from, DAY) < floor(last, DAY) {
                floor(from, DAY)..stop.map_or(Micros::MAX, |stop| floor(stop, DAY) + DAY)
            } else {
                from..end
            };
            let stored = update.hours.iter().filter(|(id, begin, _)| *id == window.series && hours.contains(begin));
            let expected = WindowState {
                window,
                series: row,
                from,
                stop,
                points: around(points, from, end),
                hours: stored.map(|(_, begin, figures)| (*begin, *figures)).collect(),
            };
            assert_eq!(state, expected);
        }
    }
}

async fn windows_of_a_series_that_touch_become_one(db: TestDatabase) {
    let id = key("a").id();
    let points: Vec<_> = (0..200).map(|minute| (id, point(minute * MINUTE, minute + 1))).collect();
    let series = vec![series_row(key("a"), 0, 199 * MINUTE)];
    store(&db).apply(&tenant(), Update { series, points, ..moving(0, 1) }).await.unwrap();
    let read = async |times: &[(i64, i64)]| -> Vec<(i64, i64, Micros, Option<Micros>)> {
        let window = |(first, last): &(i64, i64)| Window { series: id, first: first * MINUTE, last: last * MINUTE };
        let states = store(&db).windows(&tenant(), times.iter().map(window).collect()).await.unwrap();
        let shown =
            |state: WindowState| (state.window.first / MINUTE, state.window.last / MINUTE, state.from, state.stop);
        states.into_iter().map(shown).collect()
    };
    // The 17th time behind minute 40 is in the hour that begins before minute 60, the one behind minute 45 is not.
    assert_eq!(read(&[(40, 42), (70, 70)]).await, [(40, 42, 0, Some(HOUR)), (70, 70, HOUR, Some(2 * HOUR))]);
    assert_eq!(read(&[(40, 45), (70, 70)]).await, [(40, 70, 0, Some(2 * HOUR))]);
    assert_eq!(
        read(&[(40, 45), (70, 70), (170, 170), (190, 190)]).await,
        [(40, 70, 0, Some(2 * HOUR)), (170, 190, 2 * HOUR, None)]
    );
    assert_eq!(read(&[(60, 60)]).await, [(60, 60, 0, Some(2 * HOUR))], "minute 59 depends on it");
}

async fn a_window_of_a_series_without_points_is_empty(db: TestDatabase) {
    let window = Window { series: key("a").id(), first: 90 * MINUTE, last: 90 * MINUTE };
    let states = store(&db).windows(&tenant(), vec![window]).await.unwrap();
    let expected = WindowState { window, series: None, from: HOUR, stop: None, points: Vec::new(), hours: Vec::new() };
    assert_eq!(states, [expected]);
    assert_eq!(store(&db).windows(&tenant(), Vec::new()).await.unwrap(), []);
}
