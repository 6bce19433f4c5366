//! Recomputes the hours, the days and the row of a series where its points change. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use mass_domain::analytics::{
    DAY, Figures, HOUR, Micros, Point, SeriesId, floor, fold_hours, interval_at, kind_of, valid,
};
use mass_domain::metrics::MetricKind;

use crate::plan::SeriesChange;
use crate::store::{SeriesRow, Update, WindowState};

/// The end of a stretch that has none.
const NEVER: Micros = floor(Micros::MAX, HOUR);

/// Another series than the stored one has this id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Collision(pub(crate) i64);

/// A window, after the change.
struct NewWindow {
    /// The stretch that is recomputed.
    stretch: Range<Micros>,
    /// The points: those of the stretch, and what it depends on.
    points: Vec<Point>,
    /// The figures of the stretch.
    hours: Vec<(Micros, Figures)>,
    /// Whether nothing is stored before the first changed point.
    is_first: bool,
}

/// Adds the changes of one series to an update. `states` are all of its windows.
pub(crate) fn judge(
    id: SeriesId,
    change: &SeriesChange,
    states: Vec<WindowState>,
    update: &mut Update,
) -> Result<(), Collision> {
    let stored = states.iter().find_map(|state| state.series.clone());
    if stored.as_ref().is_some_and(|stored| stored.key != change.key) {
        return Err(Collision(id.as_i64()));
    }
    let kind = kind_of(&change.key.metric);
    let mut before: BTreeMap<Micros, Figures> = BTreeMap::new();
    let mut windows = Vec::with_capacity(states.len());
    for state in states {
        let points = replace_points(id, change, &state, update);
        let stretch = state.from..state.stop.unwrap_or(NEVER);
        let hours = fold_hours(&change.key.metric, kind, &points, &stretch);
        before.extend(state.hours);
        let is_first = state.points.iter().all(|point| point.at >= state.window.first);
        windows.push(NewWindow { stretch, points, hours, is_first });
    }
    let row = row(id, change, kind, stored.as_ref(), &windows);
    match &row {
        Some(row) if stored.as_ref() != Some(row) => update.series.push(row.clone()),
        None if stored.is_some() => update.gone_series.push(id),
        Some(_) | None => {}
    }
    let changed = replace_hours(id, &windows, &mut before, update);
    let (was, is) = (stored.as_ref().map(|row| row.last_at), row.map(|row| row.last_at));
    replace_days(id, was..is, &changed, &before, update);
    Ok(())
}

/// Returns the points of a window after the change, in the order of time and acceptance.
fn replace_points(id: SeriesId, change: &SeriesChange, state: &WindowState, update: &mut Update) -> Vec<Point> {
    let window = state.window.first..=state.window.last;
    let removed: BTreeSet<(Micros, i64)> =
        change.removed.iter().filter(|(at, _)| window.contains(at)).copied().collect();
    let (gone, mut points): (Vec<Point>, Vec<Point>) =
        state.points.iter().partition(|point| removed.contains(&(point.at, point.sequence)));
    update.gone_points.extend(gone.iter().map(|point| (id, point.at, point.sequence)));
    let added = change.added.iter().filter(|point| window.contains(&point.at));
    let length = points.len();
    points.extend(added);
    update.points.extend(points[length..].iter().map(|point| (id, *point)));
    points.sort_by_key(|point| (point.at, point.sequence));
    points
}

/// Returns the row of a series after the change; `None` if it has no points any more.
fn row(
    id: SeriesId,
    change: &SeriesChange,
    kind: MetricKind,
    stored: Option<&SeriesRow>,
    windows: &[NewWindow],
) -> Option<SeriesRow> {
    let first = windows.first()?;
    let first_at = match stored {
        Some(stored) if !first.is_first => stored.first_at,
        Some(_) | None => first.points.first()?.at,
    };
    let last = windows.last()?;
    // Behind a stretch that ends are points that stay.
    if let Some(stored) = stored.filter(|_| last.stretch.end < NEVER) {
        return Some(SeriesRow { first_at, ..stored.clone() });
    }
    let points = valid(&last.points);
    let newest = points.last()?;
    Some(SeriesRow {
        id,
        key: change.key.clone(),
        kind,
        first_at,
        last_at: newest.at,
        last_value: newest.value,
        interval: interval_at(&points, points.len() - 1),
    })
}

/// Replaces the hours that differ, in the update and in `stored`. Returns the days that have some.
fn replace_hours(
    id: SeriesId,
    windows: &[NewWindow],
    stored: &mut BTreeMap<Micros, Figures>,
    update: &mut Update,
) -> BTreeSet<Micros> {
    let mut days = BTreeSet::new();
    for window in windows {
        let new: BTreeMap<Micros, Figures> = window.hours.iter().copied().collect();
        let gone = stored.range(window.stretch.clone()).filter(|(begin, _)| !new.contains_key(*begin));
        let gone: Vec<Micros> = gone.map(|(begin, _)| *begin).collect();
        for begin in gone {
            stored.remove(&begin);
            update.gone_hours.push((id, begin));
            days.insert(floor(begin, DAY));
        }
        for (begin, figures) in new {
            if stored.insert(begin, figures) != Some(figures) {
                update.hours.push((id, begin, figures));
                days.insert(floor(begin, DAY));
            }
        }
    }
    days
}

/// Replaces the days with changed hours, and those that the last point has moved past. There are rows for the days before
/// that of the last point alone.
fn replace_days(
    id: SeriesId,
    last: Range<Option<Micros>>,
    changed: &BTreeSet<Micros>,
    hours: &BTreeMap<Micros, Figures>,
    update: &mut Update,
) {
    let day = |at: Option<Micros>| at.map_or(Micros::MIN, |at| floor(at, DAY));
    let (was, is) = (day(last.start), day(last.end));
    if is < was {
        update.gone_days.push((id, is..Micros::MAX));
    }
    // Days that the last point has moved past have hours, or are empty.
    let passed = hours.range(was.min(is)..is).map(|(begin, _)| floor(*begin, DAY)).filter(|day| *day >= was);
    let days: BTreeSet<Micros> = changed.iter().copied().filter(|day| *day < is).chain(passed).collect();
    for day in days {
        match Figures::total(hours.range(day..day + DAY).map(|(_, figures)| figures)) {
            Some(figures) => update.days.push((id, day, figures)),
            None => update.gone_days.push((id, day..day + DAY)),
        }
    }
}
