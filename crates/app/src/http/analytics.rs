//! Figures: what sites and devices say, their series and indicators, doubts about them, and a tenant's usage.

mod download;
mod parameters;
mod problems;
pub mod shapes;

use actix_web::{Responder, web};
use mass_admin_service::AdminService;
use mass_analytics_service::{AnalyticsService, DeviceQuery, KpiQuery, QualityQuery, SeriesQuery, SiteQuery};
use mass_domain::access::Permission;
use mass_domain::analytics::{Resolution, Split};
use mass_domain::page::Limit;

use self::download::{Answers, media_type, respond};
use self::parameters::{
    AGGREGATE, CARBON, DEVICE_ID, FROM, INCLUDE, KPI_STEP, METRIC, SERIES_STEP, SITE_ID, TARIFF, TO, ZONE, device,
    form, include, metrics, one, period, rate, step, zone,
};
use self::shapes::sources::{AnalyticsDevicePage, AnalyticsDeviceSites, AnalyticsSitePage};
use self::shapes::{
    AnalyticsKpiQuery, AnalyticsKpis, AnalyticsPeriod, AnalyticsQuality, AnalyticsSeriesList, AnalyticsSeriesQuery,
    AnalyticsUsage,
};
use super::operations::{Access, AnswerHeader, Operation, Produces, Tag, model};
use super::parameters::{CURSOR, LIMIT};
use super::path::{InPath, PathId};
use super::problem::{Problem, ProblemKind};
use super::query::{Query, page_limit};
use super::reply::{Call, Reply};
use super::streams::Streams;
use crate::figures::{self, JsonFindings, JsonKpis};

type Service = web::Data<AnalyticsService>;

const TAG: Tag = Tag {
    name: "analytics",
    description: "Figures that are computed from the audit trail: sites, devices, series, indicators, doubts. Every answer says \
        in `as_of` which events it is computed from, and how many there are that it does not know of yet.",
};

const READ: Access = Access::Needs(Permission::AnalyticsRead);

const AS_OF: AnswerHeader = AnswerHeader {
    name: download::AS_OF,
    description: "The member `as_of`, also where the answer has no place for it: a dictionary (RFC 8941).",
    example: "sequence=1812, root=\"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d\", head=1812, behind=0",
};

/// The operations.
pub const OPERATIONS: &[Operation] = &[SITES, DEVICES, DEVICE, SERIES, KPIS, QUALITY, USAGE];

const SITES: Operation = Operation {
    id: "listSites",
    summary: "List sites.",
    description: "All sites that documents name, by id, page by page: with the last values of their own reports, and how \
        recent and complete they are.",
    tag: Some(TAG),
    query: &[INCLUDE, LIMIT, CURSOR],
    produces: Produces::Json(model::<AnalyticsSitePage>),
    answers: &[(200, "A page of sites.")],
    ..Operation::get("/v1/sites", READ, || web::to(sites))
};

async fn sites(call: Call, service: Service, mut query: Query) -> Result<Reply<AnalyticsSitePage>, Problem> {
    let completeness = query.take_with("include", include).is_some();
    let limit = query.take_with("limit", page_limit).unwrap_or(Limit::DEFAULT);
    let cursor = query.take("cursor");
    query.finish()?;
    let query = SiteQuery { limit, cursor, completeness };
    let page: AnalyticsSitePage = service.sites(&call.principal, &query).await?.into();
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

const DEVICES: Operation = Operation {
    id: "listDevices",
    summary: "List devices.",
    description: "All devices that documents name, by id, page by page: with their last values, and how recent and complete \
        they are.",
    tag: Some(TAG),
    query: &[SITE_ID, INCLUDE, LIMIT, CURSOR],
    produces: Produces::Json(model::<AnalyticsDevicePage>),
    answers: &[(200, "A page of devices.")],
    ..Operation::get("/v1/devices", READ, || web::to(devices))
};

async fn devices(call: Call, service: Service, mut query: Query) -> Result<Reply<AnalyticsDevicePage>, Problem> {
    let (site_id, completeness) = (one(&mut query, "site_id"), query.take_with("include", include).is_some());
    let limit = query.take_with("limit", page_limit).unwrap_or(Limit::DEFAULT);
    let cursor = query.take("cursor");
    query.finish()?;
    let query = DeviceQuery { site_id, limit, cursor, completeness };
    let page: AnalyticsDevicePage = service.devices(&call.principal, &query).await?.into();
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

const DEVICE: Operation = Operation {
    id: "getDevice",
    summary: "Fetch a device.",
    description: "At each site that its documents name: its last values, its completeness, and how recent they are.",
    tag: Some(TAG),
    in_path: &[device::Id::PARAMETER],
    produces: Produces::Json(model::<AnalyticsDeviceSites>),
    answers: &[(200, "The device.")],
    problems: &[ProblemKind::NotFound],
    ..Operation::get("/v1/devices/{id}", READ, || web::to(get_device))
};

async fn get_device(
    call: Call,
    service: Service,
    id: PathId<device::Id>,
    query: Query,
) -> Result<Reply<AnalyticsDeviceSites>, Problem> {
    query.finish()?;
    Reply::ok(&service.device(&call.principal, &id.read()?.0).await?.into())
}

const SERIES: Operation = Operation {
    id: "getSeries",
    summary: "Fetch series.",
    description: "The values of metrics in stretches of time. A stretch without values is left out, and a series without any \
        has the coverage 0. As CSV (`Accept: text/csv`) a row a value; builds with Parquet also answer `Accept: \
        application/vnd.apache.parquet`. More than 10,000 values, or 2 MiB, are sent while they are computed, as a stream; one \
        that fails ends the connection before the end of the answer.",
    tag: Some(TAG),
    query: &[METRIC, SITE_ID, DEVICE_ID, FROM, TO, SERIES_STEP, ZONE, AGGREGATE],
    produces: Produces::JsonOrCsv(model::<AnalyticsSeriesList>),
    answers: &[(200, "The series.")],
    answer_headers: &[AS_OF],
    problems: &[ProblemKind::TooManyStreams],
    ..Operation::get("/v1/analytics/series", READ, || web::to(series))
};

async fn series(
    call: Call,
    service: Service,
    streams: web::Data<Streams>,
    query: Query,
) -> Result<impl Responder, Problem> {
    let query = series_query(query)?;
    let form = form(call.headers())?;
    let stream = service.series(&call.principal, query.clone()).await?;
    let told = AnalyticsSeriesQuery::new(stream.as_of.clone(), &query);
    let as_of = told.period.as_of.clone();
    let writer = figures::series(form, told, stream.head.clone())?;
    respond(Answers { call, streams, as_of, media_type: media_type(form) }, stream, writer).await
}

fn series_query(mut query: Query) -> Result<SeriesQuery, Problem> {
    let metrics = query.need_with("metric", metrics).unwrap_or_default();
    let sites = one(&mut query, "site_id").into_iter().collect();
    let devices = one(&mut query, "device_id").into_iter().collect();
    let (from, to) = period(&mut query);
    let step = query.take_with("step", step).unwrap_or(Resolution::Hour);
    let (zone, aggregate) = (zone(&mut query), query.take_with("aggregate", parameters::aggregate));
    query.finish()?;
    Ok(SeriesQuery { metrics, sites, devices, from, to, step, zone, aggregate })
}

const KPIS: Operation = Operation {
    id: "getKpis",
    summary: "Fetch the indicators of sites.",
    description: "PUE, energies, peak, load factor, cost, greenhouse gases, WUE, CUE, ERF, RCI, completeness and gaps of each \
        site, for the whole period or each day or month of it. Ratios are of summed energies, never means of ratios. Each \
        indicator says of how much of the time it is computed; where it cannot be, it is null and says why. More than 10,000 \
        stretches, or 2 MiB, are sent as a stream.",
    tag: Some(TAG),
    query: &[SITE_ID, FROM, TO, KPI_STEP, ZONE, TARIFF, CARBON],
    produces: Produces::Json(model::<AnalyticsKpis>),
    answers: &[(200, "The indicators.")],
    answer_headers: &[AS_OF],
    problems: &[ProblemKind::TooManyStreams],
    ..Operation::get("/v1/analytics/kpis", READ, || web::to(kpis))
};

async fn kpis(
    call: Call,
    service: Service,
    streams: web::Data<Streams>,
    query: Query,
) -> Result<impl Responder, Problem> {
    let query = kpi_query(query)?;
    let stream = service.kpis(&call.principal, query.clone()).await?;
    let told = AnalyticsKpiQuery::new(stream.as_of.clone(), &query);
    let as_of = told.period.as_of.clone();
    let writer = Box::new(JsonKpis::new(told));
    respond(Answers { call, streams, as_of, media_type: "application/json" }, stream, writer).await
}

fn kpi_query(mut query: Query) -> Result<KpiQuery, Problem> {
    let sites = one(&mut query, "site_id").into_iter().collect();
    let (from, to) = period(&mut query);
    let step = query.take_with("step", parameters::split).unwrap_or(Split::Period);
    let zone = zone(&mut query);
    let (tariff, carbon) = (query.take_with("tariff", rate), query.take_with("carbon", rate));
    query.finish()?;
    Ok(KpiQuery { sites, from, to, step, zone, tariff, carbon })
}

const QUALITY: Operation = Operation {
    id: "getQuality",
    summary: "Fetch doubts about series.",
    description: "Gaps, stuck values, spikes, duplicates, jumps of the clock and values that another unit would explain, by \
        series, day and kind. Nothing is left out of other figures for it. More than 10,000 findings, or 2 MiB, are sent as a \
        stream.",
    tag: Some(TAG),
    query: &[METRIC.optional(), SITE_ID, DEVICE_ID, FROM, TO],
    produces: Produces::Json(model::<AnalyticsQuality>),
    answers: &[(200, "The findings.")],
    answer_headers: &[AS_OF],
    problems: &[ProblemKind::TooManyStreams],
    ..Operation::get("/v1/analytics/quality", READ, || web::to(quality))
};

async fn quality(
    call: Call,
    service: Service,
    streams: web::Data<Streams>,
    query: Query,
) -> Result<impl Responder, Problem> {
    let query = quality_query(query)?;
    let stream = service.quality(&call.principal, query.clone()).await?;
    let period = AnalyticsPeriod::new(stream.as_of.clone(), query.from, query.to);
    let as_of = period.as_of.clone();
    let writer = Box::new(JsonFindings::new(period, stream.head.clone()));
    respond(Answers { call, streams, as_of, media_type: "application/json" }, stream, writer).await
}

fn quality_query(mut query: Query) -> Result<QualityQuery, Problem> {
    let metrics = query.take_with("metric", metrics).unwrap_or_default();
    let sites = one(&mut query, "site_id").into_iter().collect();
    let devices = one(&mut query, "device_id").into_iter().collect();
    let (from, to) = period(&mut query);
    query.finish()?;
    Ok(QualityQuery { metrics, sites, devices, from, to })
}

const USAGE: Operation = Operation {
    id: "getUsage",
    summary: "Fetch the tenant's usage.",
    description: "The current requests of each day and their bytes, the devices and series, the streams that are open, and \
        what is left of the quotas.",
    tag: Some(TAG),
    query: &[FROM, TO],
    produces: Produces::Json(model::<AnalyticsUsage>),
    answers: &[(200, "The usage.")],
    ..Operation::get("/v1/analytics/usage", Access::Needs(Permission::SettingsManage), || web::to(usage))
};

async fn usage(
    call: Call,
    service: Service,
    admin: web::Data<AdminService>,
    streams: web::Data<Streams>,
    mut query: Query,
) -> Result<Reply<AnalyticsUsage>, Problem> {
    let (from, to) = period(&mut query);
    query.finish()?;
    let usage = service.usage(&call.principal, from, to).await?;
    let (quotas, counted) = (admin.quotas(&call.principal).await?, admin.usage(&call.principal).await?);
    let period = AnalyticsPeriod::new(usage.as_of, from, to);
    let open = streams.open_of(call.principal.tenant());
    Reply::ok(&AnalyticsUsage::new(period, usage.data, &quotas, &counted, open))
}
