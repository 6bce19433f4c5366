//! The application of updates to a projection.

use std::collections::HashMap;

use diesel::dsl::exists;
use diesel::prelude::*;
use mass_analytics_service::{ApplyError, Unreadable, Update};
use mass_domain::analytics::{Point, SeriesId, SeriesKey, Source};
use mass_domain::audit::Action;
use mass_domain::tenancy::TenantId;

use super::{Connection, projecting, projection_blocks as blocks, tenants};
use crate::columns::Word;
use crate::layout::Layout;
use crate::rows::{FiguresRow, ProjectionRow};
use crate::schema::{audit_events, intake, projections, series, sources};
use crate::store::KEYS_PER_STATEMENT;

/// Applies an update, if the projection still is where the update was computed from. Returns whether it removes what was
/// told by documents that have been erased.
pub(super) fn apply(
    connection: &mut Connection,
    layout: Layout,
    tenant: &TenantId,
    mut update: Update,
) -> QueryResult<Result<bool, ApplyError>> {
    super::write(connection, |connection| {
        let state = lock(connection, tenant)?;
        // What was read before the erasure of the tenant began is not stored again.
        if tenants::is_erased(connection, tenant)? {
            return Ok(Err(ApplyError::Stale));
        }
        if (state.position, state.deletions) != (update.from, update.deletions) {
            return Ok(Err(ApplyError::Stale));
        }
        if let Some(id) = collision(connection, tenant, &update)? {
            return Ok(Err(ApplyError::Collision(id)));
        }
        blocks::replace(connection, tenant, &update.gone_requests, &update.requests)?;
        delete(connection, tenant, &update)?;
        insert(connection, layout, tenant, &mut update)?;
        // A projection that waits for a mended program stops at the same event again and again.
        if (update.upto, &update.stopped) != (state.position, &state.stopped()) {
            move_to(connection, tenant, update.upto, update.stopped.as_ref())?;
        }
        Ok(Ok(!update.gone_requests.is_empty() && has_deletions(connection, tenant, update.from, update.upto)?))
    })
}

/// Tells whether documents were erased by the events of a part of the log, the first one excluded.
fn has_deletions(connection: &mut Connection, tenant: &TenantId, from: i64, upto: i64) -> QueryResult<bool> {
    let deletions = audit_events::table
        .filter(audit_events::tenant_id.eq(tenant.as_str()))
        .filter(audit_events::sequence.gt(from))
        .filter(audit_events::sequence.le(upto))
        .filter(audit_events::action.eq(Word(Action::Deleted)));
    diesel::select(exists(deletions)).get_result(connection)
}

/// Waits until no other update of the tenant is applied, and returns the state of the projection.
pub(super) fn lock(connection: &mut Connection, tenant: &TenantId) -> QueryResult<ProjectionRow> {
    if let Some(locked) = projecting::lock(connection, tenant)? {
        return Ok(locked);
    }
    if tenants::is_erased(connection, tenant)? {
        return Ok(ProjectionRow::default());
    }
    diesel::insert_into(projections::table)
        .values((projections::tenant_id.eq(tenant.as_str()), projections::position.eq(0), projections::deletions.eq(0)))
        .on_conflict_do_nothing()
        .execute(connection)?;
    projecting::lock(connection, tenant)?.ok_or(diesel::NotFound)
}

/// Moves the position.
pub(super) fn move_to(
    connection: &mut Connection,
    tenant: &TenantId,
    position: i64,
    stopped: Option<&Unreadable>,
) -> QueryResult<()> {
    diesel::update(projections::table.find(tenant.as_str()))
        .set((
            projections::position.eq(position),
            projections::stopped_sequence.eq(stopped.map(|stopped| stopped.sequence)),
            projections::stopped_reason.eq(stopped.map(|stopped| stopped.reason.as_str())),
        ))
        .execute(connection)?;
    Ok(())
}

/// Finds an id of the update that belongs to other names.
fn collision(connection: &mut Connection, tenant: &TenantId, update: &Update) -> QueryResult<Option<i64>> {
    let mut source_of: HashMap<i64, &Source> = HashMap::with_capacity(update.sources.len());
    for row in &update.sources {
        let id = row.source.id().as_i64();
        if source_of.insert(id, &row.source).is_some_and(|other| *other != row.source) {
            return Ok(Some(id));
        }
    }
    let mut key_of: HashMap<i64, &SeriesKey> = HashMap::with_capacity(update.series.len());
    for row in &update.series {
        let id = row.id.as_i64();
        if key_of.insert(id, &row.key).is_some_and(|other| *other != row.key) {
            return Ok(Some(id));
        }
    }
    let ids: Vec<i64> = source_of.keys().copied().collect();
    for ids in ids.chunks(KEYS_PER_STATEMENT) {
        let rows: Vec<(i64, Option<String>, Option<String>)> = sources::table
            .filter(sources::tenant_id.eq(tenant.as_str()))
            .filter(sources::id.eq_any(ids))
            .select((sources::id, sources::site_id, sources::device_id))
            .load(connection)?;
        for (id, site_id, device_id) in rows {
            if source_of.get(&id).is_some_and(|source| **source != Source { site_id, device_id }) {
                return Ok(Some(id));
            }
        }
    }
    let ids: Vec<i64> = key_of.keys().copied().collect();
    for ids in ids.chunks(KEYS_PER_STATEMENT) {
        let rows: Vec<(i64, Option<String>, Option<String>, String)> = series::table
            .filter(series::tenant_id.eq(tenant.as_str()))
            .filter(series::id.eq_any(ids))
            .select((series::id, series::site_id, series::device_id, series::metric))
            .load(connection)?;
        for (id, site_id, device_id, metric) in rows {
            let stored = SeriesKey { source: Source { site_id, device_id }, metric };
            if key_of.get(&id).is_some_and(|key| **key != stored) {
                return Ok(Some(id));
            }
        }
    }
    Ok(None)
}

/// Deletes what an update says is gone.
fn delete(connection: &mut Connection, tenant: &TenantId, update: &Update) -> QueryResult<()> {
    for ids in update.gone_sources.chunks(KEYS_PER_STATEMENT) {
        diesel::delete(sources::table)
            .filter(sources::tenant_id.eq(tenant.as_str()))
            .filter(sources::id.eq_any(ids.iter().map(|id| id.as_i64())))
            .execute(connection)?;
    }
    for ids in update.gone_series.chunks(KEYS_PER_STATEMENT) {
        diesel::delete(series::table)
            .filter(series::tenant_id.eq(tenant.as_str()))
            .filter(series::id.eq_any(ids.iter().map(|id| id.as_i64())))
            .execute(connection)?;
    }
    if !update.gone_points.is_empty() {
        projecting::delete_points(connection, tenant, &update.gone_points)?;
    }
    if !update.gone_hours.is_empty() {
        projecting::delete_hours(connection, tenant, &update.gone_hours)?;
    }
    if !update.gone_days.is_empty() {
        projecting::delete_days(connection, tenant, &update.gone_days)?;
    }
    Ok(())
}

/// Inserts and replaces what an update has.
fn insert(connection: &mut Connection, layout: Layout, tenant: &TenantId, update: &mut Update) -> QueryResult<()> {
    if !update.sources.is_empty() {
        projecting::upsert_sources(connection, tenant, &update.sources)?;
    }
    if !update.series.is_empty() {
        projecting::upsert_series(connection, tenant, &update.series)?;
    }
    if !update.points.is_empty() {
        // In the order of the table, in which neighbours share a page.
        update.points.sort_unstable_by_key(key);
        projecting::insert_points(connection, layout, tenant, &update.points)?;
    }
    let rows = |figures: &[_]| figures.iter().map(FiguresRow::new).collect::<Vec<_>>();
    if !update.hours.is_empty() {
        projecting::upsert_hours(connection, tenant, &rows(&update.hours))?;
    }
    if !update.days.is_empty() {
        projecting::upsert_days(connection, tenant, &rows(&update.days))?;
    }
    if !update.intake.is_empty() {
        projecting::add_intake(connection, tenant, &update.intake)?;
        diesel::delete(intake::table)
            .filter(intake::tenant_id.eq(tenant.as_str()))
            .filter(intake::day.eq_any(update.intake.iter().map(|intake| intake.day)))
            .filter(intake::requests.le(0))
            .execute(connection)?;
    }
    Ok(())
}

fn key((series, point): &(SeriesId, Point)) -> (SeriesId, i64, i64) {
    (*series, point.at, point.sequence)
}
