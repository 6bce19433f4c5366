//! Projections of the audit trail: the port of those who read figures.

use std::ops::Range;

use anyhow::anyhow;
use async_trait::async_trait;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::Bool;
use mass_analytics_service::{
    AnalyticsStore, Intake, Job, Position, SeriesFilter, SeriesRow, Snapshot, SourceFilter, SourceRow,
};
use mass_domain::analytics::{Figures, Micros, Point, SeriesId};
use mass_domain::audit::tree::{Frontier, TreeHash};
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;

use super::audit::{column, count};
use super::audit_tree::StoredTree;
use super::{Backend, Connection, Store, audit_log, projecting};
use crate::error_classifier::is_unavailable;
use crate::rows::{ProjectionRow, StoredPoint, StoredSeries, StoredSource, Stretch, point};
use crate::schema::{intake, points, projections, series, sources};

/// Builds the query for the points of a series.
macro_rules! of_series {
    ($tenant:expr, $series:expr) => {
        points::table.filter(points::tenant_id.eq($tenant.as_str())).filter(points::series_id.eq($series.as_i64()))
    };
}

#[async_trait]
impl AnalyticsStore for Store {
    async fn read(&self, tenant: &TenantId, job: Job) -> Result<(), PortError> {
        let read = move |connection: &mut Connection, tenant: &TenantId| read(connection, tenant, job);
        self.analytics.run_at_length_for(tenant, read).await?
    }
}

/// Runs a job in one snapshot.
fn read(connection: &mut Connection, tenant: &TenantId, job: Job) -> QueryResult<Result<(), PortError>> {
    super::read(connection, |connection| {
        let projection =
            projections::table.find(tenant.as_str()).select(ProjectionRow::as_select()).first(connection).optional()?;
        let mut reader = Reader { connection, tenant, projection: projection.unwrap_or_default(), failed: None };
        let done = job(&mut reader);
        reader.failed.map_or(Ok(done), Err)
    })
}

type Stretches = Vec<(SeriesId, Micros, Figures)>;

/// A snapshot of a tenant's projection.
struct Reader<'a> {
    connection: &'a mut Connection,
    tenant: &'a TenantId,
    projection: ProjectionRow,
    /// The first error of the database, whatever the job makes of it.
    failed: Option<Error>,
}

impl Reader<'_> {
    /// Reads from the snapshot. A projection that is being deleted has nothing.
    fn rows<T: Default>(
        &mut self,
        read: impl FnOnce(&mut Connection, &TenantId) -> QueryResult<T>,
    ) -> Result<T, PortError> {
        if self.projection.position == ProjectionRow::CLEARED { Ok(T::default()) } else { self.query(read) }
    }

    fn query<T>(&mut self, read: impl FnOnce(&mut Connection, &TenantId) -> QueryResult<T>) -> Result<T, PortError> {
        read(self.connection, self.tenant).map_err(|error| {
            let cause = anyhow!("{error}");
            let told =
                if is_unavailable(&error) { PortError::Unavailable(cause) } else { PortError::Unexpected(cause) };
            self.failed.get_or_insert(error);
            told
        })
    }
}

impl Snapshot for Reader<'_> {
    fn position(&mut self) -> Result<Position, PortError> {
        let (sequence, stopped) = (self.projection.position.max(0), self.projection.stopped());
        let (root, head) = self.query(|connection, tenant| roots(connection, tenant, sequence))?;
        Ok(Position { sequence, root, head, stopped })
    }

    fn devices(&mut self, filter: &SourceFilter, limit: u32) -> Result<Vec<SourceRow>, PortError> {
        self.rows(|connection, tenant| devices(connection, tenant, filter, limit))
    }

    fn sites(&mut self, after: Option<&str>, limit: u32) -> Result<Vec<(String, u64)>, PortError> {
        self.rows(|connection, tenant| {
            let query = sources::table
                .group_by(sources::site_id)
                .select((sources::site_id, diesel::dsl::count(sources::device_id)))
                .order(sources::site_id)
                .limit(limit.into())
                .into_boxed()
                .filter(sources::tenant_id.eq(tenant.as_str()));
            let query = match after {
                Some(after) => query.filter(sources::site_id.gt(after)),
                None => query.filter(sources::site_id.is_not_null()),
            };
            let sites: Vec<(Option<String>, i64)> = query.load(connection)?;
            Ok(sites.into_iter().filter_map(|(site, devices)| Some((site?, count(devices)))).collect())
        })
    }

    fn intake(&mut self, within: Range<Micros>) -> Result<Vec<Intake>, PortError> {
        self.rows(|connection, tenant| {
            let rows: Vec<(Micros, i64, i64)> = intake::table
                .filter(intake::tenant_id.eq(tenant.as_str()))
                .filter(intake::day.ge(within.start))
                .filter(intake::day.lt(within.end))
                .order(intake::day)
                .select((intake::day, intake::requests, intake::bytes))
                .load(connection)?;
            Ok(rows.into_iter().map(|(day, requests, bytes)| Intake { day, requests, bytes }).collect())
        })
    }

    fn counts(&mut self) -> Result<(u64, u64), PortError> {
        self.rows(|connection, tenant| {
            let devices: i64 = sources::table
                .filter(sources::tenant_id.eq(tenant.as_str()))
                .filter(sources::device_id.is_not_null())
                .count()
                .get_result(connection)?;
            let of_tenant = series::table.filter(series::tenant_id.eq(tenant.as_str()));
            let series: i64 = of_tenant.count().get_result(connection)?;
            Ok((count(devices), count(series)))
        })
    }

    fn series(&mut self, filter: &SeriesFilter, limit: u32) -> Result<Vec<SeriesRow>, PortError> {
        self.rows(|connection, tenant| series_like(connection, tenant, filter, limit))
    }

    fn hours(&mut self, stretches: &[(SeriesId, Range<Micros>)]) -> Result<Stretches, PortError> {
        let stretch = |(series, within): &(SeriesId, Range<Micros>)| stretch(*series, within);
        let stretches: Vec<Stretch> = stretches.iter().map(stretch).collect();
        self.rows(|connection, tenant| {
            let rows = projecting::hours_within(connection, tenant, &stretches)?;
            Ok(rows.into_iter().map(|(_, row)| row.into_parts()).collect())
        })
    }

    fn days(&mut self, series: &[SeriesId], within: Range<Micros>) -> Result<Stretches, PortError> {
        self.rows(|connection, tenant| {
            let stretches: Vec<Stretch> = series.iter().map(|series| stretch(*series, &within)).collect();
            let rows = projecting::days_within(connection, tenant, &stretches)?;
            Ok(rows.into_iter().map(|(_, row)| row.into_parts()).collect())
        })
    }

    fn points(
        &mut self,
        series: SeriesId,
        within: Range<Micros>,
        before: usize,
        limit: usize,
    ) -> Result<Vec<Point>, PortError> {
        self.rows(|connection, tenant| points_around(connection, tenant, series, &within, before, limit))
    }
}

/// Returns the root of the first events of a log, and the number of all.
fn roots(connection: &mut Connection, tenant: &TenantId, size: i64) -> QueryResult<(TreeHash, i64)> {
    let head = audit_log::head(connection, tenant)?;
    if column(head.size()) == size {
        return Ok((head.root(), size));
    }
    let mut tree = StoredTree::new(connection, tenant);
    let frontier = Frontier::of(count(size), |subtree| tree.perfect(subtree))?;
    Ok((frontier.root(), column(head.size())))
}

const fn stretch(series: SeriesId, within: &Range<Micros>) -> Stretch {
    Stretch { series_id: series.as_i64(), from: within.start, to: within.end }
}

/// Lists devices, by device and then site. Missing sites come first.
fn devices(
    connection: &mut Connection,
    tenant: &TenantId,
    SourceFilter { sites, device_id, after }: &SourceFilter,
    limit: u32,
) -> QueryResult<Vec<SourceRow>> {
    let mut query = sources::table
        .filter(sources::tenant_id.eq(tenant.as_str()))
        .filter(sources::device_id.is_not_null())
        .order(sql::<Bool>("sources.device_id, sources.site_id NULLS FIRST"))
        .select(StoredSource::as_select())
        .limit(limit.into())
        .into_boxed();
    if !sites.is_empty() {
        query = query.filter(sources::site_id.eq_any(sites));
    }
    if let Some(device_id) = device_id {
        query = query.filter(sources::device_id.eq(device_id));
    }
    if let Some(after) = after {
        let device_id = after.device_id.as_deref().unwrap_or_default();
        query = query.filter(sources::device_id.ge(device_id));
        query = match &after.site_id {
            Some(site_id) => query.filter(sources::device_id.gt(device_id).or(sources::site_id.gt(site_id))),
            None => query.filter(sources::device_id.gt(device_id).or(sources::site_id.is_not_null())),
        };
    }
    Ok(query.load(connection)?.into_iter().map(StoredSource::into).collect())
}

/// The condition of the indexes by names, which is true of every row.
const BY_NAMES: &str = "length(series.tenant_id) > 0";

/// Builds the query for the series of a tenant that have one of these metrics, if any are given.
fn series_with<'a>(
    tenant: &'a TenantId,
    metrics: &'a [String],
) -> diesel::dsl::IntoBoxed<'a, diesel::dsl::Select<series::table, diesel::dsl::AsSelect<StoredSeries, Backend>>, Backend>
{
    let query = series::table.select(StoredSeries::as_select()).into_boxed();
    let query = query.filter(series::tenant_id.eq(tenant.as_str()));
    if metrics.is_empty() { query } else { query.filter(series::metric.eq_any(metrics)) }
}

/// Lists series by their keys, of which missing names come first.
fn series_like(
    connection: &mut Connection,
    tenant: &TenantId,
    filter: &SeriesFilter,
    limit: u32,
) -> QueryResult<Vec<SeriesRow>> {
    let SeriesFilter { sites, devices, metrics, without_devices } = filter;
    let of_sources = |metrics| {
        let query = series_with(tenant, metrics);
        if *without_devices { query.filter(series::device_id.is_null()) } else { query }
    };
    let first = |metrics| {
        of_sources(metrics)
            .filter(sql::<Bool>(BY_NAMES))
            .order(sql::<Bool>("series.site_id NULLS FIRST, series.device_id NULLS FIRST, series.metric"))
            .limit(limit.into())
    };
    let rows: Vec<StoredSeries> = match (devices.as_slice(), sites.as_slice(), metrics.as_slice()) {
        ([], [], []) => first(&[]).load(connection)?,
        // Each has its own in their order.
        ([], [], metrics) => {
            let of_each = metrics.iter().map(|metric| first(&[]).filter(series::metric.eq(metric)).load(connection));
            of_each.collect::<QueryResult<Vec<_>>>()?.into_iter().flatten().collect()
        }
        ([], [site], metrics) => first(metrics).filter(series::site_id.eq(site)).load(connection)?,
        ([], sites, metrics) => {
            of_sources(metrics).filter(series::site_id.eq_any(sites)).filter(sql::<Bool>(BY_NAMES)).load(connection)?
        }
        (devices, sites, metrics) => {
            let query = of_sources(metrics).filter(series::device_id.eq_any(devices));
            let query = query.filter(series::device_id.is_not_null());
            let query = if sites.is_empty() { query } else { query.filter(series::site_id.eq_any(sites)) };
            query.load(connection)?
        }
    };
    let mut rows: Vec<SeriesRow> = rows.into_iter().map(StoredSeries::into_row).collect::<QueryResult<_>>()?;
    rows.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    rows.dedup_by(|one, other| one.key == other.key);
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(rows)
}

/// Reads the points of a stretch, with some times before it and the first one behind it.
fn points_around(
    connection: &mut Connection,
    tenant: &TenantId,
    series: SeriesId,
    within: &Range<Micros>,
    before: usize,
    limit: usize,
) -> QueryResult<Vec<Point>> {
    let times = column(before as u64);
    let earlier: Vec<Micros> = of_series!(tenant, series)
        .filter(points::at.lt(within.start))
        .select(points::at)
        .distinct()
        .order(points::at.desc())
        .limit(times)
        .load(connection)?;
    let mut rows: Vec<StoredPoint> = Vec::new();
    if let Some(first) = earlier.last() {
        rows = between(connection, tenant, series, *first..within.start, i64::MAX)?;
    }
    let inside = between(connection, tenant, series, within.clone(), column(limit as u64))?;
    let is_complete = inside.len() < limit;
    rows.extend(inside);
    if is_complete {
        let next: Option<Micros> = of_series!(tenant, series)
            .filter(points::at.ge(within.end))
            .order(points::at)
            .select(points::at)
            .first(connection)
            .optional()?;
        if let Some(next) = next {
            rows.extend(between(connection, tenant, series, next..next.saturating_add(1), i64::MAX)?);
        }
    }
    Ok(rows.into_iter().map(point).collect())
}

/// Reads at most `limit` points of a stretch.
fn between(
    connection: &mut Connection,
    tenant: &TenantId,
    series: SeriesId,
    within: Range<Micros>,
    limit: i64,
) -> QueryResult<Vec<StoredPoint>> {
    of_series!(tenant, series)
        .filter(points::at.ge(within.start))
        .filter(points::at.lt(within.end))
        .order((points::at, points::sequence))
        .select((points::at, points::sequence, points::value, points::span))
        .limit(limit)
        .load(connection)
}
