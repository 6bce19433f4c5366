//! The deletion of a projection, in transactions that are short.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;

use super::Connection;
use super::projection_update::{lock, move_to};
use crate::connections::Connections;
use crate::rows::ProjectionRow;
use crate::schema::{intake, projected_blocks, projections, series, sources};
use crate::statement::statement;

/// The rows that a transaction deletes.
const ROWS: i64 = 10_000;

/// The blocks of requests that a transaction deletes.
const BLOCKS: i64 = 1_000;

/// A place in a table: series and time.
type Key = (i64, i64);

const BEGIN: Key = (i64::MIN, i64::MIN);
const END: Key = (i64::MAX, i64::MAX);

/// Declares a function that deletes rows of a table from a place on. It returns the next place; `None` if no rows remain.
macro_rules! delete_some {
    ($name:ident, $table:literal, $time:literal) => {
        fn $name(connection: &mut Connection, tenant: &TenantId, from: Key) -> QueryResult<Option<Key>> {
            statement!(
                Next<'a>(tenant: &'a str as Text, series: i64 as BigInt, time: i64 as BigInt, rows: i64 as BigInt)
                    -> (BigInt, BigInt),
                concat!(
                    "SELECT series_id, ", $time, " FROM ", $table, " WHERE tenant_id = ? AND (series_id, ", $time,
                    ") >= (?, ?) ORDER BY series_id, ", $time, " LIMIT 1 OFFSET ?"
                )
            );
            statement!(
                Delete<'a>(
                    tenant: &'a str as Text,
                    series: i64 as BigInt,
                    time: i64 as BigInt,
                    to_series: i64 as BigInt,
                    to_time: i64 as BigInt,
                ) -> (),
                concat!(
                    "DELETE FROM ", $table, " WHERE tenant_id = ? AND (series_id, ", $time, ") >= (?, ?) AND (series_id, ",
                    $time, ") < (?, ?)"
                )
            );
            let (tenant, (series, time)) = (tenant.as_str(), from);
            let next: Option<Key> = Next { tenant, series, time, rows: ROWS }.get_result(connection).optional()?;
            let (to_series, to_time) = next.unwrap_or(END);
            Delete { tenant, series, time, to_series, to_time }.execute(connection)?;
            Ok(next)
        }
    };
}

delete_some!(delete_points, "points", "at");
delete_some!(delete_hours, "hours", "starts_at");
delete_some!(delete_days, "days", "starts_at");

/// Begins to delete a projection: from now on it has no figures.
pub(super) fn begin(connection: &mut Connection, tenant: &TenantId) -> QueryResult<()> {
    super::write(connection, |connection| {
        lock(connection, tenant)?;
        diesel::update(projections::table.find(tenant.as_str()))
            .set(projections::deletions.eq(projections::deletions + 1))
            .execute(connection)?;
        move_to(connection, tenant, ProjectionRow::CLEARED, None)
    })
}

/// Deletes the rows of a projection whose deletion has begun. Several processes may do so.
pub(super) async fn finish(connections: &Connections<Connection>, tenant: &TenantId) -> Result<(), PortError> {
    for delete in [delete_points, delete_hours, delete_days] {
        let mut from = Some(BEGIN);
        while let Some(place) = from {
            let delete = move |connection: &mut Connection, tenant: &TenantId| {
                while_cleared(connection, tenant, None, |connection| delete(connection, tenant, place))
            };
            from = connections.run_for(tenant, delete).await?;
        }
    }
    let mut from = Some(i64::MIN);
    while let Some(place) = from {
        let delete = move |connection: &mut Connection, tenant: &TenantId| {
            while_cleared(connection, tenant, None, |connection| delete_blocks(connection, tenant, place))
        };
        from = connections.run_for(tenant, delete).await?;
    }
    let end = |connection: &mut Connection, tenant: &TenantId| {
        while_cleared(connection, tenant, (), |connection| end(connection, tenant))
    };
    connections.run_for(tenant, end).await
}

/// Runs a part of the deletion, unless another process has ended it.
fn while_cleared<T>(
    connection: &mut Connection,
    tenant: &TenantId,
    otherwise: T,
    work: impl FnOnce(&mut Connection) -> QueryResult<T>,
) -> QueryResult<T> {
    super::write(connection, |connection| {
        if lock(connection, tenant)?.position == ProjectionRow::CLEARED { work(connection) } else { Ok(otherwise) }
    })
}

/// Deletes blocks of projected requests from one on. Returns the next one.
fn delete_blocks(connection: &mut Connection, tenant: &TenantId, from: i64) -> QueryResult<Option<i64>> {
    let next: Option<i64> = projected_blocks::table
        .filter(projected_blocks::tenant_id.eq(tenant.as_str()))
        .filter(projected_blocks::block.ge(from))
        .order(projected_blocks::block)
        .select(projected_blocks::block)
        .offset(BLOCKS)
        .limit(1)
        .first(connection)
        .optional()?;
    diesel::delete(projected_blocks::table)
        .filter(projected_blocks::tenant_id.eq(tenant.as_str()))
        .filter(projected_blocks::block.ge(from))
        .filter(projected_blocks::block.lt(next.unwrap_or(i64::MAX)))
        .execute(connection)?;
    Ok(next)
}

/// Deletes the other rows, and sets the position to the begin of the log.
fn end(connection: &mut Connection, tenant: &TenantId) -> QueryResult<()> {
    diesel::delete(sources::table.filter(sources::tenant_id.eq(tenant.as_str()))).execute(connection)?;
    diesel::delete(series::table.filter(series::tenant_id.eq(tenant.as_str()))).execute(connection)?;
    diesel::delete(intake::table.filter(intake::tenant_id.eq(tenant.as_str()))).execute(connection)?;
    move_to(connection, tenant, 0, None)
}
