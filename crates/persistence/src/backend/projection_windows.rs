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
        let bounds = projecting::window_bounds(connection, tenant, windows)?;
        let widened = merge(windows.iter().zip(bounds).map(|(window, bounds)| widen(*window, bounds)));
        let known = series_of(connection, tenant, &widened)?;
        let stretches: Vec<Stretch> = widened.iter().map(stretch).collect();
        let points = projecting::window_points(connection, tenant, &stretches)?;
        let days =
            widened.iter().map(|widened| in_days(widened, known.get(&widened.window.series))).collect::<Vec<_>>();
        let states = widened.into_iter().zip(points).map(|(Widened { window, from, stop }, points)| {
            let series = known.get(&window.series).cloned();
            WindowState { window, series, from, stop, points, hours: Vec::new() }
        });
        let mut states: Vec<WindowState> = states.collect();
        for (index, row) in projecting::hours_within(connection, tenant, &days)? {
            if let Some(state) = states.get_mut(index) {
                state.hours.push(begun(row));
            }
        }
        Ok(states)
    })
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
    windows: &[Widened],
) -> QueryResult<HashMap<SeriesId, SeriesRow>> {
    let mut ids: Vec<i64> = windows.iter().map(|widened| widened.window.series.as_i64()).collect();
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
