//! The statements on projections that differ from those of SQLite. Rows are sent as one array for each column.
//!
//! Queries look up each key separately: conditions on sent keys stand in the SELECT list, or before OFFSET 0. Without
//! statistics, PostgreSQL would take reading all of a tenant's rows for cheaper, and it keeps the plan. Under row-level
//! security an index serves plain comparisons alone, so that bounds are computed before they are compared with.

use std::ops::Range;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Double, Integer, Nullable, Text};
use mass_analytics_service::{Intake, SeriesRow, SourceRow, Window};
use mass_domain::analytics::{CONTEXT, Micros, Point, SeriesId};
use mass_domain::tenancy::TenantId;

use super::Connection;
use super::backend::column;
use crate::columns::{Id, sql};
use crate::layout::Layout;
use crate::rows::{FiguresRow, ProjectionRow, RequestDocument, SeriesOfSource, StoredPoint, Stretch, point, real};
use crate::schema::projections;
use crate::statement::statement;

/// Locks and reads the row of a tenant's projection.
pub(super) fn lock(connection: &mut Connection, tenant: &TenantId) -> QueryResult<Option<ProjectionRow>> {
    projections::table
        .find(tenant.as_str())
        .select(ProjectionRow::as_select())
        .for_update()
        .first(connection)
        .optional()
}

statement!(
    Documents<'a>(
        ids: &'a [Id] as Array<sql::Id>,
        long: i32 as Integer,
        tenant: &'a str as Text,
    ) -> (sql::Id, BigInt, sql::Instant, Text, Integer, Nullable<Text>, Bool),
    "WITH sent AS (SELECT * FROM unnest(?) AS sent (id))
    SELECT stored.* FROM sent
    CROSS JOIN LATERAL (
        SELECT id, audit_sequence, created_at, contract, octet_length(document),
            CASE WHEN octet_length(document) <= ? THEN document END, deleted_at IS NOT NULL
        FROM mass_requests WHERE tenant_id = ? AND id = sent.id OFFSET 0
    ) AS stored"
);

/// Reads requests with their documents, without those that are longer than `long` bytes.
pub(super) fn documents(
    connection: &mut Connection,
    tenant: &TenantId,
    ids: &[Id],
    long: i32,
) -> QueryResult<Vec<RequestDocument>> {
    Documents { ids, long, tenant: tenant.as_str() }.load(connection)
}

statement!(
    Acceptances<'a>(ids: &'a [Id] as Array<sql::Id>, tenant: &'a str as Text) -> (sql::Id, BigInt),
    "WITH sent AS (SELECT * FROM unnest(?) AS sent (id))
    SELECT stored.* FROM sent
    CROSS JOIN LATERAL (
        SELECT id, audit_sequence FROM mass_requests WHERE tenant_id = ? AND id = sent.id OFFSET 0
    ) AS stored"
);

/// Reads the sequences of the acceptances of requests.
pub(super) fn acceptances(connection: &mut Connection, tenant: &TenantId, ids: &[Id]) -> QueryResult<Vec<(Id, i64)>> {
    Acceptances { ids, tenant: tenant.as_str() }.load(connection)
}

statement!(
    SeriesOfSources<'a>(
        sources: &'a [i64] as Array<BigInt>,
        tenant: &'a str as Text,
    ) -> (BigInt, Nullable<Text>, Nullable<Text>, Text),
    "WITH sent AS (SELECT * FROM unnest(?) AS sent (source_id))
    SELECT stored.* FROM sent
    CROSS JOIN LATERAL (
        SELECT source_id, site_id, device_id, metric FROM series
        WHERE tenant_id = ? AND source_id = sent.source_id AND length(tenant_id) > 0 OFFSET 0
    ) AS stored"
);

/// Reads the names of the series of sources.
pub(super) fn series_of_sources(
    connection: &mut Connection,
    tenant: &TenantId,
    sources: &[i64],
) -> QueryResult<Vec<SeriesOfSource>> {
    SeriesOfSources { sources, tenant: tenant.as_str() }.load(connection)
}

statement!(
    Bounds<'a>(
        series: Vec<i64> as Array<BigInt>,
        first: Vec<i64> as Array<BigInt>,
        last: Vec<i64> as Array<BigInt>,
        tenant: &'a str as Text,
        context: i64 as BigInt,
    ) -> (BigInt, Nullable<BigInt>, Nullable<BigInt>),
    "WITH sent AS (SELECT * FROM unnest(?, ?, ?) WITH ORDINALITY AS sent (series_id, since, upto, place))
    SELECT sent.place,
        (
            SELECT at FROM points
            WHERE tenant_id = ? AND series_id = sent.series_id AND at < sent.since ORDER BY at DESC LIMIT 1
        ),
        (
            SELECT DISTINCT at FROM points
            WHERE tenant_id = $4 AND series_id = sent.series_id AND at > sent.upto ORDER BY at LIMIT 1 OFFSET ?
        )
    FROM sent"
);

/// Reads the last time before each window, and the last of those behind it that depend on it, if there are so many.
pub(super) fn window_bounds(
    connection: &mut Connection,
    tenant: &TenantId,
    windows: &[Window],
) -> QueryResult<Vec<(Option<Micros>, Option<Micros>)>> {
    if windows.is_empty() {
        return Ok(Vec::new());
    }
    let bounds = Bounds {
        series: windows.iter().map(|window| window.series.as_i64()).collect(),
        first: windows.iter().map(|window| window.first).collect(),
        last: windows.iter().map(|window| window.last).collect(),
        tenant: tenant.as_str(),
        context: column(CONTEXT as u64 - 1),
    };
    let mut rows: Vec<(i64, Option<Micros>, Option<Micros>)> = bounds.load(connection)?;
    rows.sort_by_key(|(place, ..)| *place);
    Ok(rows.into_iter().map(|(_, before, after)| (before, after)).collect())
}

statement!(
    Points<'a>(
        series: Vec<i64> as Array<BigInt>,
        from: Vec<i64> as Array<BigInt>,
        to: Vec<i64> as Array<BigInt>,
        tenant: &'a str as Text,
        context: i64 as BigInt,
    ) -> (BigInt, (BigInt, BigInt, Double, Nullable<BigInt>)),
    "WITH sent AS (SELECT * FROM unnest(?, ?, ?) WITH ORDINALITY AS sent (series_id, since, upto, place))
    SELECT sent.place, stored.* FROM sent
    CROSS JOIN LATERAL (
        SELECT
            coalesce((
                SELECT min(time) FROM (
                    SELECT DISTINCT at AS time FROM points
                    WHERE tenant_id = ? AND series_id = sent.series_id AND at < sent.since ORDER BY at DESC LIMIT ?
                ) AS earlier
            ), sent.since) AS since,
            coalesce((
                SELECT at FROM points
                WHERE tenant_id = $4 AND series_id = sent.series_id AND at >= sent.upto ORDER BY at LIMIT 1
            ), sent.upto) AS upto
        OFFSET 0
    ) AS bounds
    CROSS JOIN LATERAL (
        SELECT at, sequence, value, span FROM points
        WHERE tenant_id = $4 AND series_id = sent.series_id AND at >= bounds.since AND at <= bounds.upto OFFSET 0
    ) AS stored"
);

/// Reads the points of stretches, with the times before each that its figures depend on, and the first time behind it.
pub(super) fn window_points(
    connection: &mut Connection,
    tenant: &TenantId,
    stretches: &[Stretch],
) -> QueryResult<Vec<Vec<Point>>> {
    if stretches.is_empty() {
        return Ok(Vec::new());
    }
    let (series, from, to) = columns(stretches);
    let read = Points { series, from, to, tenant: tenant.as_str(), context: column(CONTEXT as u64) };
    let rows: Vec<(i64, StoredPoint)> = read.load(connection)?;
    let mut points = vec![Vec::new(); stretches.len()];
    for (place, stored) in rows {
        if let Some(points) = points.get_mut(index(place)) {
            points.push(point(stored));
        }
    }
    points.iter_mut().for_each(|points| points.sort_by_key(|point| (point.at, point.sequence)));
    Ok(points)
}

/// Returns the index of a place, which is counted from 1.
fn index(place: i64) -> usize {
    usize::try_from(place - 1).unwrap_or(usize::MAX)
}

fn columns(stretches: &[Stretch]) -> (Vec<i64>, Vec<i64>, Vec<i64>) {
    let column = |get: fn(&Stretch) -> i64| stretches.iter().map(get).collect();
    (column(|stretch| stretch.series_id), column(|stretch| stretch.from), column(|stretch| stretch.to))
}

/// The SQL types of [`FiguresRow`].
type FiguresColumns =
    (BigInt, BigInt, BigInt, Double, Double, Double, Double, Double, Double, BigInt, BigInt, BigInt, Double, Double);

/// Declares the functions that read and replace the figures of a table.
macro_rules! figures {
    ($table:literal, $within:ident, $upsert:ident) => {
        /// Reads figures that begin within stretches, with the indexes of these: in their order, and then by begin.
        pub(super) fn $within(
            connection: &mut Connection,
            tenant: &TenantId,
            stretches: &[Stretch],
        ) -> QueryResult<Vec<(usize, FiguresRow)>> {
            if stretches.is_empty() {
                return Ok(Vec::new());
            }
            statement!(
                Within<'a>(
                    series: Vec<i64> as Array<BigInt>,
                    from: Vec<i64> as Array<BigInt>,
                    to: Vec<i64> as Array<BigInt>,
                    tenant: &'a str as Text,
                ) -> (BigInt, FiguresColumns),
                concat!(
                    "WITH sent AS (SELECT * FROM unnest(?, ?, ?) WITH ORDINALITY AS sent (series_id, since, upto, place))
                    SELECT sent.place, stored.* FROM sent
                    CROSS JOIN LATERAL (
                        SELECT series_id, starts_at, count, sum, min, max, first, last, integral, covered, gaps, resets,
                            above, below
                        FROM ",
                    $table,
                    " WHERE tenant_id = ? AND series_id = sent.series_id
                            AND starts_at >= sent.since AND starts_at < sent.upto
                        ORDER BY starts_at OFFSET 0
                    ) AS stored"
                )
            );
            let (series, from, to) = columns(stretches);
            let rows: Vec<(i64, FiguresRow)> = Within { series, from, to, tenant: tenant.as_str() }.load(connection)?;
            let mut rows: Vec<(usize, FiguresRow)> =
                rows.into_iter().map(|(place, row)| (index(place), row)).collect();
            // They are in this order, but only a sort would make the database promise it.
            rows.sort_by_key(|(index, row)| (*index, row.starts_at));
            Ok(rows)
        }

        /// Inserts or replaces figures.
        pub(super) fn $upsert(connection: &mut Connection, tenant: &TenantId, rows: &[FiguresRow]) -> QueryResult<()> {
            statement!(
                Upsert<'a>(
                    tenant: &'a str as Text,
                    series_id: Vec<i64> as Array<BigInt>,
                    starts_at: Vec<i64> as Array<BigInt>,
                    count: Vec<i64> as Array<BigInt>,
                    sum: Vec<f64> as Array<Double>,
                    min: Vec<f64> as Array<Double>,
                    max: Vec<f64> as Array<Double>,
                    first: Vec<f64> as Array<Double>,
                    last: Vec<f64> as Array<Double>,
                    integral: Vec<f64> as Array<Double>,
                    covered: Vec<i64> as Array<BigInt>,
                    gaps: Vec<i64> as Array<BigInt>,
                    resets: Vec<i64> as Array<BigInt>,
                    above: Vec<f64> as Array<Double>,
                    below: Vec<f64> as Array<Double>,
                ) -> (),
                concat!(
                    "INSERT INTO ",
                    $table,
                    " (tenant_id, series_id, starts_at, count, sum, min, max, first, last, integral, covered, gaps, resets,
                        above, below)
                    SELECT ?, * FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    ON CONFLICT (tenant_id, series_id, starts_at) DO UPDATE SET
                        count = excluded.count, sum = excluded.sum, min = excluded.min, max = excluded.max, first =
                        excluded.first, last = excluded.last, integral = excluded.integral, covered =
                        excluded.covered, gaps = excluded.gaps, resets = excluded.resets, above = excluded.above,
                        below = excluded.below"
                )
            );
            let upsert = Upsert {
                tenant: tenant.as_str(),
                series_id: rows.iter().map(|row| row.series_id).collect(),
                starts_at: rows.iter().map(|row| row.starts_at).collect(),
                count: rows.iter().map(|row| row.count).collect(),
                sum: rows.iter().map(|row| row.sum).collect(),
                min: rows.iter().map(|row| row.min).collect(),
                max: rows.iter().map(|row| row.max).collect(),
                first: rows.iter().map(|row| row.first).collect(),
                last: rows.iter().map(|row| row.last).collect(),
                integral: rows.iter().map(|row| row.integral).collect(),
                covered: rows.iter().map(|row| row.covered).collect(),
                gaps: rows.iter().map(|row| row.gaps).collect(),
                resets: rows.iter().map(|row| row.resets).collect(),
                above: rows.iter().map(|row| row.above).collect(),
                below: rows.iter().map(|row| row.below).collect(),
            };
            upsert.execute(connection)?;
            Ok(())
        }
    };
}

figures!("hours", hours_within, upsert_hours);
figures!("days", days_within, upsert_days);

// In the SELECT list, arrays are taken apart row by row. In FROM, each would first be written to a temporary file.
statement!(
    InsertPoints<'a>(
        tenant: &'a str as Text,
        series: Vec<i64> as Array<BigInt>,
        at: Vec<i64> as Array<BigInt>,
        sequence: Vec<i64> as Array<BigInt>,
        value: Vec<f64> as Array<Double>,
        span: Vec<Option<i64>> as Array<Nullable<BigInt>>,
    ) -> (),
    "INSERT INTO points (tenant_id, series_id, at, sequence, value, span)
    SELECT ?, unnest(?), unnest(?), unnest(?), unnest(?), unnest(?)"
);

statement!(
    InsertDistributedPoints<'a>(
        tenant: &'a str as Text,
        series: Vec<i64> as Array<BigInt>,
        at: Vec<i64> as Array<BigInt>,
        sequence: Vec<i64> as Array<BigInt>,
        value: Vec<f64> as Array<Double>,
        span: Vec<Option<i64>> as Array<Nullable<BigInt>>,
    ) -> (),
    // RETURNING: without it, Citus would copy the rows to the tenant's node, which row-level security does not allow.
    "INSERT INTO points (tenant_id, series_id, at, sequence, value, span) SELECT ?, * FROM unnest(?, ?, ?, ?, ?)
    RETURNING NULL"
);

/// Inserts points.
pub(super) fn insert_points(
    connection: &mut Connection,
    layout: Layout,
    tenant: &TenantId,
    points: &[(SeriesId, Point)],
) -> QueryResult<()> {
    let tenant = tenant.as_str();
    let series = points.iter().map(|(series, _)| series.as_i64()).collect();
    let at = points.iter().map(|(_, point)| point.at).collect();
    let sequence = points.iter().map(|(_, point)| point.sequence).collect();
    let value = points.iter().map(|(_, point)| real(point.value)).collect();
    let span = points.iter().map(|(_, point)| point.span).collect();
    match layout {
        Layout::OneNode => InsertPoints { tenant, series, at, sequence, value, span }.execute(connection)?,
        Layout::Distributed => {
            InsertDistributedPoints { tenant, series, at, sequence, value, span }.execute(connection)?
        }
    };
    Ok(())
}

// Statements that delete are planned each time, when the size of their tables is known: no form of them makes PostgreSQL look up
// each key.

/// Deletes points.
pub(super) fn delete_points(
    connection: &mut Connection,
    tenant: &TenantId,
    gone: &[(SeriesId, Micros, i64)],
) -> QueryResult<()> {
    const DELETE: &str = "
        DELETE FROM points USING unnest($2, $3, $4) AS gone (series_id, at, sequence)
        WHERE points.tenant_id = $1 AND points.series_id = gone.series_id AND points.at = gone.at
            AND points.sequence = gone.sequence";
    diesel::sql_query(DELETE)
        .bind::<Text, _>(tenant.as_str())
        .bind::<Array<BigInt>, _>(gone.iter().map(|(series, ..)| series.as_i64()).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(gone.iter().map(|(_, at, _)| *at).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(gone.iter().map(|(.., sequence)| *sequence).collect::<Vec<_>>())
        .execute(connection)?;
    Ok(())
}

/// Deletes hours.
pub(super) fn delete_hours(
    connection: &mut Connection,
    tenant: &TenantId,
    gone: &[(SeriesId, Micros)],
) -> QueryResult<()> {
    const DELETE: &str = "
        DELETE FROM hours USING unnest($2, $3) AS gone (series_id, starts_at)
        WHERE hours.tenant_id = $1 AND hours.series_id = gone.series_id AND hours.starts_at = gone.starts_at";
    diesel::sql_query(DELETE)
        .bind::<Text, _>(tenant.as_str())
        .bind::<Array<BigInt>, _>(gone.iter().map(|(series, _)| series.as_i64()).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(gone.iter().map(|(_, starts_at)| *starts_at).collect::<Vec<_>>())
        .execute(connection)?;
    Ok(())
}

/// Deletes the days that begin within stretches.
pub(super) fn delete_days(
    connection: &mut Connection,
    tenant: &TenantId,
    gone: &[(SeriesId, Range<Micros>)],
) -> QueryResult<()> {
    const DELETE: &str = "
        DELETE FROM days USING unnest($2, $3, $4) AS gone (series_id, since, upto)
        WHERE days.tenant_id = $1 AND days.series_id = gone.series_id AND days.starts_at >= gone.since
            AND days.starts_at < gone.upto";
    diesel::sql_query(DELETE)
        .bind::<Text, _>(tenant.as_str())
        .bind::<Array<BigInt>, _>(gone.iter().map(|(series, _)| series.as_i64()).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(gone.iter().map(|(_, within)| within.start).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(gone.iter().map(|(_, within)| within.end).collect::<Vec<_>>())
        .execute(connection)?;
    Ok(())
}

statement!(
    UpsertBlocks<'a>(
        tenant: &'a str as Text,
        block: Vec<i64> as Array<BigInt>,
        requests: Vec<&'a [u8]> as Array<Binary>,
    ) -> (),
    "INSERT INTO projected_blocks (tenant_id, block, requests) SELECT ?, * FROM unnest(?, ?)
    ON CONFLICT (tenant_id, block) DO UPDATE SET requests = excluded.requests"
);

/// Inserts or replaces blocks of projected requests.
pub(super) fn upsert_blocks(
    connection: &mut Connection,
    tenant: &TenantId,
    rows: &[(i64, Vec<u8>)],
) -> QueryResult<()> {
    let upsert = UpsertBlocks {
        tenant: tenant.as_str(),
        block: rows.iter().map(|(block, _)| *block).collect(),
        requests: rows.iter().map(|(_, requests)| requests.as_slice()).collect(),
    };
    upsert.execute(connection)?;
    Ok(())
}

statement!(
    UpsertSources<'a>(
        tenant: &'a str as Text,
        id: Vec<i64> as Array<BigInt>,
        site_id: Vec<Option<&'a str>> as Array<Nullable<Text>>,
        device_id: Vec<Option<&'a str>> as Array<Nullable<Text>>,
        device_type: Vec<Option<&'a str>> as Array<Nullable<Text>>,
        location: Vec<Option<&'a str>> as Array<Nullable<Text>>,
        at: Vec<i64> as Array<BigInt>,
        accepted: Vec<i64> as Array<BigInt>,
    ) -> (),
    "INSERT INTO sources AS stored (tenant_id, id, site_id, device_id, device_type, location, at, accepted)
    SELECT ?, * FROM unnest(?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (tenant_id, id) DO UPDATE SET
        device_type = excluded.device_type, location = excluded.location, at = excluded.at, accepted = excluded.accepted
    WHERE (excluded.at, excluded.accepted) >= (stored.at, stored.accepted)"
);

/// Inserts sources, or replaces stored ones that are not newer.
pub(super) fn upsert_sources(connection: &mut Connection, tenant: &TenantId, rows: &[SourceRow]) -> QueryResult<()> {
    let upsert = UpsertSources {
        tenant: tenant.as_str(),
        id: rows.iter().map(|row| row.source.id().as_i64()).collect(),
        site_id: rows.iter().map(|row| row.source.site_id.as_deref()).collect(),
        device_id: rows.iter().map(|row| row.source.device_id.as_deref()).collect(),
        device_type: rows.iter().map(|row| row.device_type.as_deref()).collect(),
        location: rows.iter().map(|row| row.location.as_deref()).collect(),
        at: rows.iter().map(|row| row.at).collect(),
        accepted: rows.iter().map(|row| row.accepted).collect(),
    };
    upsert.execute(connection)?;
    Ok(())
}

statement!(
    UpsertSeries<'a>(
        tenant: &'a str as Text,
        id: Vec<i64> as Array<BigInt>,
        site_id: Vec<Option<&'a str>> as Array<Nullable<Text>>,
        device_id: Vec<Option<&'a str>> as Array<Nullable<Text>>,
        metric: Vec<&'a str> as Array<Text>,
        kind: Vec<&'a str> as Array<Text>,
        source_id: Vec<i64> as Array<BigInt>,
        first_at: Vec<i64> as Array<BigInt>,
        last_at: Vec<i64> as Array<BigInt>,
        last_value: Vec<f64> as Array<Double>,
        learned_interval: Vec<i64> as Array<BigInt>,
    ) -> (),
    "INSERT INTO series (
        tenant_id, id, site_id, device_id, metric, kind, source_id, first_at, last_at, last_value, learned_interval
    ) SELECT ?, * FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (tenant_id, id) DO UPDATE SET
        kind = excluded.kind, first_at = excluded.first_at, last_at = excluded.last_at,
        last_value = excluded.last_value, learned_interval = excluded.learned_interval"
);

/// Inserts or replaces series.
pub(super) fn upsert_series(connection: &mut Connection, tenant: &TenantId, rows: &[SeriesRow]) -> QueryResult<()> {
    let upsert = UpsertSeries {
        tenant: tenant.as_str(),
        id: rows.iter().map(|row| row.id.as_i64()).collect(),
        site_id: rows.iter().map(|row| row.key.source.site_id.as_deref()).collect(),
        device_id: rows.iter().map(|row| row.key.source.device_id.as_deref()).collect(),
        metric: rows.iter().map(|row| row.key.metric.as_str()).collect(),
        kind: rows.iter().map(|row| row.kind.as_str()).collect(),
        source_id: rows.iter().map(|row| row.key.source.id().as_i64()).collect(),
        first_at: rows.iter().map(|row| row.first_at).collect(),
        last_at: rows.iter().map(|row| row.last_at).collect(),
        last_value: rows.iter().map(|row| real(row.last_value)).collect(),
        learned_interval: rows.iter().map(|row| row.interval).collect(),
    };
    upsert.execute(connection)?;
    Ok(())
}

statement!(
    AddIntake<'a>(
        tenant: &'a str as Text,
        day: Vec<i64> as Array<BigInt>,
        requests: Vec<i64> as Array<BigInt>,
        bytes: Vec<i64> as Array<BigInt>,
    ) -> (),
    "INSERT INTO intake AS stored (tenant_id, day, requests, bytes) SELECT ?, * FROM unnest(?, ?, ?)
    ON CONFLICT (tenant_id, day) DO UPDATE SET
        requests = stored.requests + excluded.requests, bytes = stored.bytes + excluded.bytes"
);

/// Adds to the intake of days.
pub(super) fn add_intake(connection: &mut Connection, tenant: &TenantId, added: &[Intake]) -> QueryResult<()> {
    let add = AddIntake {
        tenant: tenant.as_str(),
        day: added.iter().map(|intake| intake.day).collect(),
        requests: added.iter().map(|intake| intake.requests).collect(),
        bytes: added.iter().map(|intake| intake.bytes).collect(),
    };
    add.execute(connection)?;
    Ok(())
}
