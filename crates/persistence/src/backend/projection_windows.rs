//! Reads the stored rows around the windows of an update.

use std::collections::HashMap;

use diesel::prelude::*;
use mass_analytics_service::{SeriesRow, Window, WindowState};
use mass_domain::analytics::{DAY, Figures, HOUR, Micros, SeriesId};
use mass_domain::tenancy::TenantId;

use super::{Connection, projecting};
use crate::rows::{FiguresRow, StoredSeries, Stretch};
use crate::schema::series;
use crate::store::KEYS_PER_STATEMENT;

/// A window with the stretch in which figures may change.
struct Widened {
    window: Window,
    from: Micros,
    stop: Option<Micros>,
}

/// Reads what is stored around windows, and makes one of those that touch.
pub(super) fn windows(
    connection: &mut Connection,
    tenant: &TenantId,
    windows: &[Window],
) -> QueryResult<Vec<WindowState>> {
    super::read(connection, |connection| {
        let known = series_of(connection, tenant, windows)?;
        let bounds = bounds(connection, tenant, windows, &known)?;
        let widened = merge(windows.iter().zip(bounds).map(|(window, bounds)| widen(*window, bounds)));
        // Of a series that is not stored there is nothing to read.
        let is_stored = |widened: &&Widened| known.contains_key(&widened.window.series);
        let stored = || widened.iter().filter(is_stored);
        let stretches: Vec<Stretch> = stored().map(stretch).collect();
        let days: Vec<Stretch> = stored().map(|widened| in_days(widened, known.get(&widened.window.series))).collect();
        let mut points = projecting::window_points(connection, tenant, &stretches)?.into_iter();
        let mut hours = hours(connection, tenant, &days)?.into_iter();
        let states = widened.into_iter().map(|Widened { window, from, stop }| {
            let series = known.get(&window.series).cloned();
            let mut next = || Some((points.next()?, hours.next()?));
            let (points, hours) = series.as_ref().and_then(|_| next()).unwrap_or_default();
            WindowState { window, series, from, stop, points, hours }
        });
        Ok(states.collect())
    })
}

/// Returns the last time before each window, and the last of those behind it that depend on it, if there are so many. Only
/// what the rows of the series do not tell is looked up.
fn bounds(
    connection: &mut Connection,
    tenant: &TenantId,
    windows: &[Window],
    known: &HashMap<SeriesId, SeriesRow>,
) -> QueryResult<Vec<(Option<Micros>, Option<Micros>)>> {
    let mut bounds = Vec::with_capacity(windows.len());
    let (mut unknown, mut places) = (Vec::new(), Vec::new());
    for window in windows {
        let last_at = known.get(&window.series).map(|row| row.last_at);
        bounds.push((last_at.filter(|last_at| *last_at < window.first), None));
        if last_at.is_some_and(|last_at| last_at >= window.first) {
            places.push(bounds.len() - 1);
            unknown.push(*window);
        }
    }
    for (place, found) in places.into_iter().zip(projecting::window_bounds(connection, tenant, &unknown)?) {
        bounds[place] = found;
    }
    Ok(bounds)
}

/// Reads the hours of each stretch.
fn hours(
    connection: &mut Connection,
    tenant: &TenantId,
    stretches: &[Stretch],
) -> QueryResult<Vec<Vec<(Micros, Figures)>>> {
    let mut hours = vec![Vec::new(); stretches.len()];
    for (index, row) in projecting::hours_within(connection, tenant, stretches)? {
        if let Some(hours) = hours.get_mut(index) {
            hours.push(begun(row));
        }
    }
    Ok(hours)
}

/// Rounds down to the begin of an hour or a day.
fn begin(at: Micros, of: Micros) -> Micros {
    at - at.rem_euclid(of)
}

/// Widens a window by the last stored time before it and the last one that depends on it.
fn widen(window: Window, (before, after): (Option<Micros>, Option<Micros>)) -> Widened {
    let from = begin(before.unwrap_or(window.first), HOUR);
    Widened { window, from, stop: after.map(|after| begin(after, HOUR) + HOUR) }
}

/// Makes one window of those of a series that touch.
fn merge(windows: impl Iterator<Item = Widened>) -> Vec<Widened> {
    let mut merged: Vec<Widened> = Vec::new();
    for next in windows {
        match merged.last_mut() {
            Some(last) if last.window.series == next.window.series && last.stop.is_none_or(|stop| next.from < stop) => {
                last.window.last = last.window.last.max(next.window.last);
                last.stop = last.stop.zip(next.stop).map(|(one, other)| one.max(other));
            }
            Some(_) | None => merged.push(next),
        }
    }
    merged
}

fn stretch(widened: &Widened) -> Stretch {
    let Widened { window, from, stop } = widened;
    Stretch { series_id: window.series.as_i64(), from: *from, to: stop.unwrap_or(Micros::MAX) }
}

/// Returns the stretch in which hours matter: whole days, if it is not within the day of the last point.
fn in_days(widened: &Widened, known: Option<&SeriesRow>) -> Stretch {
    let Widened { window, from, stop } = widened;
    let last = known.map_or(window.last, |known| known.last_at.max(window.last));
    if begin(*from, DAY) >= begin(last, DAY) {
        return stretch(widened);
    }
    let to = stop.map_or(Micros::MAX, |stop| begin(stop, DAY) + DAY);
    Stretch { series_id: window.series.as_i64(), from: begin(*from, DAY), to }
}

fn series_of(
    connection: &mut Connection,
    tenant: &TenantId,
    windows: &[Window],
) -> QueryResult<HashMap<SeriesId, SeriesRow>> {
    let mut ids: Vec<i64> = windows.iter().map(|window| window.series.as_i64()).collect();
    ids.dedup();
    let mut known = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(KEYS_PER_STATEMENT) {
        let rows: Vec<StoredSeries> = series::table
            .filter(series::tenant_id.eq(tenant.as_str()))
            .filter(series::id.eq_any(ids))
            .select(StoredSeries::as_select())
            .load(connection)?;
        for row in rows {
            known.insert(SeriesId::from_i64(row.id), row.into_row()?);
        }
    }
    Ok(known)
}

fn begun(row: FiguresRow) -> (Micros, Figures) {
    let (_, begin, figures) = row.into_parts();
    (begin, figures)
}
