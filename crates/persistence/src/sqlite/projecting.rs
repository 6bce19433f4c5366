//! The statements on projections that differ from those of PostgreSQL. The database is in this process: a prepared statement that
//! runs once for each row costs no round trips.

use std::ops::Range;

use diesel::dsl::{case_when, sql};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Double, Nullable, Text};
use mass_analytics_service::{Intake, SeriesRow, SourceRow, Window};
use mass_domain::analytics::{CONTEXT, Micros, Point, SeriesId};
use mass_domain::tenancy::TenantId;

use super::Connection;
use crate::columns::Id;
use crate::layout::Layout;
use crate::rows::{FiguresRow, ProjectionRow, RequestDocument, SeriesOfSource, StoredPoint, Stretch, point, real};
use crate::schema::{days, hours, mass_requests, points, projections, series};
use crate::statement::statement;

/// Reads the row of a tenant's projection; the transaction has the write lock already.
pub(super) fn lock(connection: &mut Connection, tenant: &TenantId) -> QueryResult<Option<ProjectionRow>> {
    projections::table.find(tenant.as_str()).select(ProjectionRow::as_select()).first(connection).optional()
}

define_sql_function! {
    /// Returns the number of bytes of a text, without reading it.
    fn octet_length(text: Text) -> Integer;
}

/// Reads requests with their documents, without those that are longer than `long` bytes.
pub(super) fn documents(
    connection: &mut Connection,
    tenant: &TenantId,
    ids: &[Id],
    long: i32,
) -> QueryResult<Vec<RequestDocument>> {
    let size = octet_length(mass_requests::document);
    mass_requests::table
        .filter(mass_requests::tenant_id.eq(tenant.as_str()))
        .filter(mass_requests::id.eq_any(ids))
        .select((
            mass_requests::id,
            mass_requests::audit_sequence,
            mass_requests::created_at,
            mass_requests::contract,
            size,
            case_when(size.le(long), mass_requests::document),
            mass_requests::deleted_at.is_not_null(),
        ))
        .load(connection)
}

/// Reads the sequences of the acceptances of requests.
pub(super) fn acceptances(connection: &mut Connection, tenant: &TenantId, ids: &[Id]) -> QueryResult<Vec<(Id, i64)>> {
    mass_requests::table
        .filter(mass_requests::tenant_id.eq(tenant.as_str()))
        .filter(mass_requests::id.eq_any(ids))
        .select((mass_requests::id, mass_requests::audit_sequence))
        .load(connection)
}

/// Reads the names of the series of sources.
pub(super) fn series_of_sources(
    connection: &mut Connection,
    tenant: &TenantId,
    sources: &[i64],
) -> QueryResult<Vec<SeriesOfSource>> {
    series::table
        .filter(series::tenant_id.eq(tenant.as_str()))
        .filter(series::source_id.eq_any(sources))
        .filter(sql::<Bool>("length(series.tenant_id) > 0"))
        .select((series::source_id, series::site_id, series::device_id, series::metric))
        .load(connection)
}

// SQLite prepares a statement with a bound LIMIT anew for each value.
const _: () = assert!(CONTEXT == 17, "the statements below have this limit");

statement!(
    Before<'a>(tenant: &'a str as Text, series: i64 as BigInt, first: i64 as BigInt) -> BigInt,
    "SELECT at FROM points WHERE tenant_id = ? AND series_id = ? AND at < ? ORDER BY at DESC LIMIT 1"
);

statement!(
    After<'a>(tenant: &'a str as Text, series: i64 as BigInt, last: i64 as BigInt) -> BigInt,
    "SELECT DISTINCT at FROM points WHERE tenant_id = ? AND series_id = ? AND at > ? ORDER BY at LIMIT 1 OFFSET 16"
);

/// Reads the last time before each window, and the last of those behind it that depend on it, if there are so many.
pub(super) fn window_bounds(
    connection: &mut Connection,
    tenant: &TenantId,
    windows: &[Window],
) -> QueryResult<Vec<(Option<Micros>, Option<Micros>)>> {
    let tenant = tenant.as_str();
    let bounds = windows.iter().map(|Window { series, first, last }| {
        let series = series.as_i64();
        let before = Before { tenant, series, first: *first }.get_result(connection).optional()?;
        let after = After { tenant, series, last: *last }.get_result(connection).optional()?;
        Ok((before, after))
    });
    bounds.collect()
}

statement!(
    Points<'a>(
        tenant: &'a str as Text,
        series: i64 as BigInt,
        earlier_tenant: &'a str as Text,
        earlier_series: i64 as BigInt,
        before: i64 as BigInt,
        from: i64 as BigInt,
        later_tenant: &'a str as Text,
        later_series: i64 as BigInt,
        behind: i64 as BigInt,
        to: i64 as BigInt,
    ) -> (BigInt, BigInt, Double, Nullable<BigInt>),
    "SELECT at, sequence, value, span FROM points
    WHERE tenant_id = ? AND series_id = ?
        AND at >= coalesce((
            SELECT min(time) FROM (
                SELECT DISTINCT at AS time FROM points WHERE tenant_id = ? AND series_id = ? AND at < ?
                ORDER BY at DESC LIMIT 17
            )
        ), ?)
        AND at <= coalesce((
            SELECT at FROM points WHERE tenant_id = ? AND series_id = ? AND at >= ? ORDER BY at LIMIT 1
        ), ?)
    ORDER BY at, sequence"
);

/// Reads the points of stretches, with the times before each that its figures depend on, and the first time behind it.
pub(super) fn window_points(
    connection: &mut Connection,
    tenant: &TenantId,
    stretches: &[Stretch],
) -> QueryResult<Vec<Vec<Point>>> {
    let tenant = tenant.as_str();
    let points = stretches.iter().map(|Stretch { series_id, from, to }| {
        let (series, from, to) = (*series_id, *from, *to);
        let read = Points {
            tenant,
            series,
            earlier_tenant: tenant,
            earlier_series: series,
            before: from,
            from,
            later_tenant: tenant,
            later_series: series,
            behind: to,
            to,
        };
        let rows: Vec<StoredPoint> = read.load(connection)?;
        Ok(rows.into_iter().map(point).collect())
    });
    points.collect()
}

/// Declares the functions that read and replace the figures of a table.
macro_rules! figures {
    ($table:ident, $name:literal, $within:ident, $upsert:ident) => {
        /// Reads figures that begin within stretches, with the indexes of these: in their order, and then by begin.
        pub(super) fn $within(
            connection: &mut Connection,
            tenant: &TenantId,
            stretches: &[Stretch],
        ) -> QueryResult<Vec<(usize, FiguresRow)>> {
            let mut rows = Vec::new();
            let columns = (
                $table::series_id,
                $table::starts_at,
                $table::count,
                $table::sum,
                $table::min,
                $table::max,
                $table::first,
                $table::last,
                $table::integral,
                $table::covered,
                $table::gaps,
                $table::resets,
                $table::above,
                $table::below,
            );
            for (index, Stretch { series_id, from, to }) in stretches.iter().enumerate() {
                let within: Vec<FiguresRow> = $table::table
                    .filter($table::tenant_id.eq(tenant.as_str()))
                    .filter($table::series_id.eq(series_id))
                    .filter($table::starts_at.ge(from))
                    .filter($table::starts_at.lt(to))
                    .order($table::starts_at)
                    .select(columns)
                    .load(connection)?;
                rows.extend(within.into_iter().map(|row| (index, row)));
            }
            Ok(rows)
        }

        /// Inserts or replaces figures.
        pub(super) fn $upsert(connection: &mut Connection, tenant: &TenantId, rows: &[FiguresRow]) -> QueryResult<()> {
            statement!(
                Upsert<'a>(
                    tenant: &'a str as Text,
                    series_id: i64 as BigInt,
                    starts_at: i64 as BigInt,
                    count: i64 as BigInt,
                    sum: f64 as Double,
                    min: f64 as Double,
                    max: f64 as Double,
                    first: f64 as Double,
                    last: f64 as Double,
                    integral: f64 as Double,
                    covered: i64 as BigInt,
                    gaps: i64 as BigInt,
                    resets: i64 as BigInt,
                    above: f64 as Double,
                    below: f64 as Double,
                ) -> (),
                concat!(
                    "INSERT INTO ",
                    $name,
                    " (tenant_id, series_id, starts_at, count, sum, min, max, first, last, integral, covered, gaps, resets,
                        above, below)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    ON CONFLICT (tenant_id, series_id, starts_at) DO UPDATE SET
                        count = excluded.count, sum = excluded.sum, min = excluded.min, max = excluded.max, first =
                        excluded.first, last = excluded.last, integral = excluded.integral, covered =
                        excluded.covered, gaps = excluded.gaps, resets = excluded.resets, above = excluded.above,
                        below = excluded.below"
                )
            );
            for row in rows {
                let FiguresRow { series_id, starts_at, count, sum, min, max, first, last, integral, covered, gaps, resets, above, below } = *row;
                let tenant = tenant.as_str();
                let upsert = Upsert { tenant, series_id, starts_at, count, sum, min, max, first, last, integral, covered, gaps, resets, above, below };
                upsert.execute(connection)?;
            }
            Ok(())
        }
    };
}

figures!(hours, "hours", hours_within, upsert_hours);
figures!(days, "days", days_within, upsert_days);

statement!(
    InsertPoint<'a>(
        tenant: &'a str as Text,
        series: i64 as BigInt,
        at: i64 as BigInt,
        sequence: i64 as BigInt,
        value: f64 as Double,
        span: Option<i64> as Nullable<BigInt>,
    ) -> (),
    "INSERT INTO points (tenant_id, series_id, at, sequence, value, span) VALUES (?, ?, ?, ?, ?, ?)"
);

/// Inserts points.
pub(super) fn insert_points(
    connection: &mut Connection,
    _layout: Layout,
    tenant: &TenantId,
    points: &[(SeriesId, Point)],
) -> QueryResult<()> {
    for (series, Point { at, sequence, value, span }) in points {
        let (tenant, series, value) = (tenant.as_str(), series.as_i64(), real(*value));
        InsertPoint { tenant, series, at: *at, sequence: *sequence, value, span: *span }.execute(connection)?;
    }
    Ok(())
}

/// Deletes points.
pub(super) fn delete_points(
    connection: &mut Connection,
    tenant: &TenantId,
    gone: &[(SeriesId, Micros, i64)],
) -> QueryResult<()> {
    for (series, at, sequence) in gone {
        diesel::delete(points::table.find((tenant.as_str(), series.as_i64(), at, sequence))).execute(connection)?;
    }
    Ok(())
}

/// Deletes hours.
pub(super) fn delete_hours(
    connection: &mut Connection,
    tenant: &TenantId,
    gone: &[(SeriesId, Micros)],
) -> QueryResult<()> {
    for (series, starts_at) in gone {
        diesel::delete(hours::table.find((tenant.as_str(), series.as_i64(), starts_at))).execute(connection)?;
    }
    Ok(())
}

/// Deletes the days that begin within stretches.
pub(super) fn delete_days(
    connection: &mut Connection,
    tenant: &TenantId,
    gone: &[(SeriesId, Range<Micros>)],
) -> QueryResult<()> {
    for (series, within) in gone {
        diesel::delete(days::table)
            .filter(days::tenant_id.eq(tenant.as_str()))
            .filter(days::series_id.eq(series.as_i64()))
            .filter(days::starts_at.ge(within.start))
            .filter(days::starts_at.lt(within.end))
            .execute(connection)?;
    }
    Ok(())
}

statement!(
    UpsertBlock<'a>(tenant: &'a str as Text, block: i64 as BigInt, requests: &'a [u8] as Binary) -> (),
    "INSERT INTO projected_blocks (tenant_id, block, requests) VALUES (?, ?, ?)
    ON CONFLICT (tenant_id, block) DO UPDATE SET requests = excluded.requests"
);

/// Inserts or replaces blocks of projected requests.
pub(super) fn upsert_blocks(
    connection: &mut Connection,
    tenant: &TenantId,
    rows: &[(i64, Vec<u8>)],
) -> QueryResult<()> {
    for (block, requests) in rows {
        UpsertBlock { tenant: tenant.as_str(), block: *block, requests }.execute(connection)?;
    }
    Ok(())
}

statement!(
    UpsertSource<'a>(
        tenant: &'a str as Text,
        id: i64 as BigInt,
        site_id: Option<&'a str> as Nullable<Text>,
        device_id: Option<&'a str> as Nullable<Text>,
        device_type: Option<&'a str> as Nullable<Text>,
        location: Option<&'a str> as Nullable<Text>,
        at: i64 as BigInt,
        accepted: i64 as BigInt,
    ) -> (),
    "INSERT INTO sources AS stored (tenant_id, id, site_id, device_id, device_type, location, at, accepted)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (tenant_id, id) DO UPDATE SET
        device_type = excluded.device_type, location = excluded.location, at = excluded.at, accepted = excluded.accepted
    WHERE (excluded.at, excluded.accepted) >= (stored.at, stored.accepted)"
);

/// Inserts sources, or replaces stored ones that are not newer.
pub(super) fn upsert_sources(connection: &mut Connection, tenant: &TenantId, rows: &[SourceRow]) -> QueryResult<()> {
    for SourceRow { source, device_type, location, at, accepted } in rows {
        let upsert = UpsertSource {
            tenant: tenant.as_str(),
            id: source.id().as_i64(),
            site_id: source.site_id.as_deref(),
            device_id: source.device_id.as_deref(),
            device_type: device_type.as_deref(),
            location: location.as_deref(),
            at: *at,
            accepted: *accepted,
        };
        upsert.execute(connection)?;
    }
    Ok(())
}

statement!(
    UpsertSeries<'a>(
        tenant: &'a str as Text,
        id: i64 as BigInt,
        site_id: Option<&'a str> as Nullable<Text>,
        device_id: Option<&'a str> as Nullable<Text>,
        metric: &'a str as Text,
        kind: &'a str as Text,
        source_id: i64 as BigInt,
        first_at: i64 as BigInt,
        last_at: i64 as BigInt,
        last_value: f64 as Double,
        learned_interval: i64 as BigInt,
    ) -> (),
    "INSERT INTO series (
        tenant_id, id, site_id, device_id, metric, kind, source_id, first_at, last_at, last_value, learned_interval
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (tenant_id, id) DO UPDATE SET
        kind = excluded.kind, first_at = excluded.first_at, last_at = excluded.last_at,
        last_value = excluded.last_value, learned_interval = excluded.learned_interval"
);

/// Inserts or replaces series.
pub(super) fn upsert_series(connection: &mut Connection, tenant: &TenantId, rows: &[SeriesRow]) -> QueryResult<()> {
    for row in rows {
        let upsert = UpsertSeries {
            tenant: tenant.as_str(),
            id: row.id.as_i64(),
            site_id: row.key.source.site_id.as_deref(),
            device_id: row.key.source.device_id.as_deref(),
            metric: &row.key.metric,
            kind: row.kind.as_str(),
            source_id: row.key.source.id().as_i64(),
            first_at: row.first_at,
            last_at: row.last_at,
            last_value: real(row.last_value),
            learned_interval: row.interval,
        };
        upsert.execute(connection)?;
    }
    Ok(())
}

statement!(
    AddIntake<'a>(
        tenant: &'a str as Text,
        day: i64 as BigInt,
        requests: i64 as BigInt,
        bytes: i64 as BigInt,
    ) -> (),
    "INSERT INTO intake AS stored (tenant_id, day, requests, bytes) VALUES (?, ?, ?, ?)
    ON CONFLICT (tenant_id, day) DO UPDATE SET
        requests = stored.requests + excluded.requests, bytes = stored.bytes + excluded.bytes"
);

/// Adds to the intake of days.
pub(super) fn add_intake(connection: &mut Connection, tenant: &TenantId, added: &[Intake]) -> QueryResult<()> {
    for Intake { day, requests, bytes } in added {
        let add = AddIntake { tenant: tenant.as_str(), day: *day, requests: *requests, bytes: *bytes };
        add.execute(connection)?;
    }
    Ok(())
}
