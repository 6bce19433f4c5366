//! The shapes of figures in answers.

pub mod sources;

use std::collections::BTreeMap;

use mass_analytics_service as service;
use mass_domain::analytics::{AbsenceCode, Aggregate, Finding, Indicator, Resolution, Split};
use mass_domain::tenancy::{Quotas, Usage};
use mass_domain::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

/// The part of the audit log that an answer is computed from. Two answers with the same root come from the same events.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(example = as_of_example())]
pub struct AnalyticsAsOf {
    /// The number of events: the figures know of these, and of no others.
    pub sequence: i64,
    /// The root of the log's Merkle tree over these events, in hexadecimal digits: the `root` of the checkpoint of that size.
    pub root: String,
    /// The number of events that the log had.
    pub head: i64,
    /// The number of events that the figures do not know of yet: `head` − `sequence`.
    pub behind: i64,
    /// The event that the figures cannot go past; absent unless there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<AnalyticsStop>,
}

/// An event of the audit log that figures cannot go past.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AnalyticsStop {
    /// Its sequence.
    pub sequence: i64,
    /// The fault of the event, or of the document that it names.
    pub reason: String,
}

fn as_of_example() -> Value {
    let root = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
    json!({"sequence": 1812, "root": root, "head": 1812, "behind": 0})
}

impl From<service::Position> for AnalyticsAsOf {
    fn from(position: service::Position) -> Self {
        let behind = position.behind();
        let service::Position { sequence, root, head, stopped } = position;
        let stopped = stopped.map(|service::Unreadable { sequence, reason }| AnalyticsStop { sequence, reason });
        Self { sequence, root: root.to_string(), head, behind, stopped }
    }
}

/// Returns an instant of an example.
fn at(text: &str) -> Value {
    json!(format!("2026-11-24T{text}Z"))
}

/// A value of a stretch of time.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AnalyticsBucket {
    /// The begin of the stretch; with the step `raw`, the time of the value.
    #[schemars(extend("format" = "date-time"))]
    pub begin: String,
    /// Its end; with the step `raw`, the time until which the value holds.
    #[schemars(extend("format" = "date-time"))]
    pub end: String,
    /// The value; null for a mean where no value holds for any time.
    pub value: Option<f64>,
    /// The number of values that were measured in it.
    pub count: u64,
    /// The share of it for which a value holds, from 0 to 1.
    pub coverage: f64,
}

impl From<service::Bucket> for AnalyticsBucket {
    fn from(bucket: service::Bucket) -> Self {
        let service::Bucket { begin, end, value, count, coverage } = bucket;
        Self { begin: begin.to_string(), end: end.to_string(), value, count, coverage }
    }
}

/// The names of a series.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AnalyticsSeriesName {
    /// The site; null if the documents name none.
    pub site_id: Option<String>,
    /// The device; null for what a site says of itself.
    pub device_id: Option<String>,
    /// The metric.
    pub metric: String,
    /// The way in which its values combine.
    #[schemars(extend("enum" = ["gauge", "power", "counter"]))]
    pub kind: &'static str,
    /// The value that each stretch has.
    #[schemars(extend("enum" = ["mean", "min", "max", "sum", "last"]))]
    pub aggregate: &'static str,
    /// The symbol of the unit of these values; null for a metric that MASS does not know.
    pub unit: Option<&'static str>,
}

impl From<&service::SeriesHead> for AnalyticsSeriesName {
    fn from(head: &service::SeriesHead) -> Self {
        Self {
            site_id: head.key.source.site_id.clone(),
            device_id: head.key.source.device_id.clone(),
            metric: head.key.metric.clone(),
            kind: head.kind.as_str(),
            aggregate: Aggregate::as_str(head.aggregate),
            unit: head.unit,
        }
    }
}

/// A series in stretches of time.
#[derive(Serialize, JsonSchema)]
pub struct AnalyticsSeries {
    /// Its names.
    #[serde(flatten)]
    pub name: AnalyticsSeriesName,
    /// Its values in the order of time. Stretches without any are left out.
    pub buckets: Vec<AnalyticsBucket>,
    /// The share of the period for which a value holds, from 0 to 1.
    pub coverage: f64,
}

/// The period of an answer, and what it is computed from.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AnalyticsPeriod {
    /// The events that it is computed from.
    pub as_of: AnalyticsAsOf,
    /// The begin of the period.
    #[schemars(extend("format" = "date-time"))]
    pub from: String,
    /// Its end, which is no part of it.
    #[schemars(extend("format" = "date-time"))]
    pub to: String,
}

impl AnalyticsPeriod {
    /// Builds the period of an answer.
    #[must_use]
    pub fn new(as_of: service::Position, from: Timestamp, to: Timestamp) -> Self {
        Self { as_of: as_of.into(), from: from.to_string(), to: to.to_string() }
    }
}

/// The members of an answer before its series.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AnalyticsSeriesQuery {
    /// The period.
    #[serde(flatten)]
    pub period: AnalyticsPeriod,
    /// The length of the stretches.
    #[schemars(extend("enum" = ["raw", "5m", "hour", "day", "month"]))]
    pub step: &'static str,
    /// The zone of hours, days and months, of the IANA database.
    pub zone: String,
}

impl AnalyticsSeriesQuery {
    /// Builds what is told of a query.
    #[must_use]
    pub fn new(as_of: service::Position, query: &service::SeriesQuery) -> Self {
        let period = AnalyticsPeriod::new(as_of, query.from, query.to);
        Self { period, step: Resolution::as_str(query.step), zone: zone(query.zone.as_deref()) }
    }
}

/// Names a zone.
fn zone(zone: Option<&str>) -> String {
    zone.unwrap_or("UTC").to_owned()
}

/// Series in stretches of time.
#[derive(Serialize, JsonSchema)]
#[schemars(extend("examples" = [series_example()]))]
pub struct AnalyticsSeriesList {
    /// The query.
    #[serde(flatten)]
    pub query: AnalyticsSeriesQuery,
    /// The series, by site, device and metric. Without data in the period, a series has no stretches and the coverage 0.
    pub series: Vec<AnalyticsSeries>,
}

fn series_example() -> Value {
    json!({
        "as_of": as_of_example(), "from": at("00:00:00"), "to": at("02:00:00"), "step": "hour", "zone": "UTC",
        "series": [{
            "site_id": "tampa-1", "device_id": null, "metric": "it_power_kw", "kind": "power", "aggregate": "mean",
            "unit": "kW", "coverage": 0.975,
            "buckets": [
                {"begin": at("00:00:00"), "end": at("01:00:00"), "value": 812.5, "count": 60, "coverage": 1.0},
                {"begin": at("01:00:00"), "end": at("02:00:00"), "value": 806.0, "count": 57, "coverage": 0.95},
            ],
        }],
    })
}

/// The value of an indicator.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AnalyticsKpi {
    /// The value; null rather than a made-up number.
    pub value: Option<f64>,
    /// The symbol of its unit; `1` for a quantity of dimension one, `currency` for a cost by `tariff`.
    pub unit: &'static str,
    /// The share of the time that the value is computed from, from 0 to 1.
    pub coverage: f64,
    /// The reason for which there is no value; null if there is one.
    pub reason: Option<String>,
    /// The code of that reason, for programs.
    #[schemars(extend("enum" = absences()))]
    pub reason_code: Option<&'static str>,
}

fn absences() -> Vec<Value> {
    AbsenceCode::ALL.iter().map(|code| json!(code.as_str())).chain([Value::Null]).collect()
}

/// The indicators of a site for a stretch of time.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AnalyticsSiteKpis {
    /// The site.
    pub site_id: String,
    /// The begin of the stretch.
    #[schemars(extend("format" = "date-time"))]
    pub from: String,
    /// Its end, which is no part of it.
    #[schemars(extend("format" = "date-time"))]
    pub to: String,
    /// The indicators by name, always all of them: docs/analytics.md explains each.
    pub kpis: BTreeMap<&'static str, AnalyticsKpi>,
    /// The begin of the hour in which the facility's power was greatest; null if it is not known.
    #[schemars(extend("format" = "date-time"))]
    pub peak_at: Option<String>,
}

impl From<service::SiteKpis> for AnalyticsSiteKpis {
    fn from(site: service::SiteKpis) -> Self {
        let service::SiteKpis { site_id, from, to, kpis, peak_at } = site;
        let kpi = |kpi: service::Kpi| {
            let service::Kpi { indicator, value, unit, coverage, absence } = kpi;
            let (reason_code, reason) = absence.map(|absence| (absence.code.as_str(), absence.reason)).unzip();
            (Indicator::as_str(indicator), AnalyticsKpi { value, unit, coverage, reason, reason_code })
        };
        Self {
            site_id,
            from: from.to_string(),
            to: to.to_string(),
            kpis: kpis.into_iter().map(kpi).collect(),
            peak_at: peak_at.map(|at| at.to_string()),
        }
    }
}

/// The members of an answer before its indicators.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AnalyticsKpiQuery {
    /// The period.
    #[serde(flatten)]
    pub period: AnalyticsPeriod,
    /// The stretches that each have indicators.
    #[schemars(extend("enum" = ["period", "day", "month"]))]
    pub step: &'static str,
    /// The zone of days and months, of the IANA database.
    pub zone: String,
}

impl AnalyticsKpiQuery {
    /// Builds what is told of a query.
    #[must_use]
    pub fn new(as_of: service::Position, query: &service::KpiQuery) -> Self {
        let period = AnalyticsPeriod::new(as_of, query.from, query.to);
        Self { period, step: Split::as_str(query.step), zone: zone(query.zone.as_deref()) }
    }
}

/// Indicators of sites.
#[derive(Serialize, JsonSchema)]
#[schemars(extend("examples" = [kpis_example()]))]
pub struct AnalyticsKpis {
    /// The query.
    #[serde(flatten)]
    pub query: AnalyticsKpiQuery,
    /// The sites, by id, and of each its stretches.
    pub items: Vec<AnalyticsSiteKpis>,
}

fn kpis_example() -> Value {
    let kpi = |value: Value, unit: &str, reason: Value, code: Value| {
        let coverage = if value.is_null() { 0.0 } else { 0.998 };
        json!({"value": value, "unit": unit, "coverage": coverage, "reason": reason, "reason_code": code})
    };
    json!({
        "as_of": as_of_example(), "from": at("00:00:00"), "to": at("23:00:00"), "step": "period", "zone": "UTC",
        "items": [{
            "site_id": "tampa-1", "from": at("00:00:00"), "to": at("23:00:00"), "peak_at": at("14:00:00"),
            "kpis": {
                "pue": kpi(json!(1.4), "1", Value::Null, Value::Null),
                "it_energy_kwh": kpi(json!(18_362.5), "kWh", Value::Null, Value::Null),
                "wue": kpi(Value::Null, "L/kWh", json!("no series of water_m3"), json!("no_series")),
            },
        }],
    })
}

/// Something doubtful about a series on a day.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AnalyticsFinding {
    /// The site; null if the documents name none.
    pub site_id: Option<String>,
    /// The device; null for what a site says of itself.
    pub device_id: Option<String>,
    /// The metric.
    pub metric: String,
    /// The day in UTC, by its begin.
    #[schemars(extend("format" = "date-time"))]
    pub day: String,
    /// The kind of doubt.
    #[schemars(extend("enum" = ["gap", "stuck", "spike", "duplicate", "clock_jump", "unit"]))]
    pub kind: &'static str,
    /// The number of times on that day.
    pub count: u64,
    /// The time of the first value concerned.
    #[schemars(extend("format" = "date-time"))]
    pub first: String,
    /// The time of the last value concerned.
    #[schemars(extend("format" = "date-time"))]
    pub last: String,
    /// The first value concerned.
    pub value: f64,
    /// A sentence about the first one.
    pub detail: String,
}

impl AnalyticsFinding {
    /// Builds a finding about one of these series; `None` if there is no such series.
    #[must_use]
    pub fn new(series: &[service::SeriesHead], finding: service::SeriesFinding) -> Option<Self> {
        let key = &series.get(finding.series)?.key;
        Some(Self {
            site_id: key.source.site_id.clone(),
            device_id: key.source.device_id.clone(),
            metric: key.metric.clone(),
            day: finding.day.to_string(),
            kind: Finding::as_str(finding.kind),
            count: finding.count,
            first: finding.first.to_string(),
            last: finding.last.to_string(),
            value: finding.value,
            detail: finding.detail,
        })
    }
}

/// Doubts about series.
#[derive(Serialize, JsonSchema)]
#[schemars(extend("examples" = [quality_example()]))]
pub struct AnalyticsQuality {
    /// The period.
    #[serde(flatten)]
    pub period: AnalyticsPeriod,
    /// The findings, by series, day and kind.
    pub items: Vec<AnalyticsFinding>,
}

fn quality_example() -> Value {
    json!({
        "as_of": as_of_example(), "from": at("00:00:00"), "to": at("23:00:00"),
        "items": [{
            "site_id": "tampa-1", "device_id": "rack-3-inlet", "metric": "inlet_temperature_celsius", "day": at("00:00:00"),
            "kind": "unit", "count": 1, "first": at("13:05:00"), "last": at("13:05:00"), "value": 72.5,
            "detail": "72.5 °C is 22.5 °C if it is meant in °F",
        }],
    })
}

/// The requests that were accepted on a day in UTC.
#[derive(Serialize, JsonSchema)]
pub struct AnalyticsDay {
    /// The day, by its begin.
    #[schemars(extend("format" = "date-time"))]
    pub day: String,
    /// The requests that were accepted on it and are current: neither corrected nor deleted since.
    pub requests: i64,
    /// The bytes of their documents.
    pub bytes: i64,
}

/// A quota, and the rest of it.
#[derive(Serialize, JsonSchema)]
pub struct AnalyticsQuota {
    /// The quota; null for none.
    pub allowed: Option<u64>,
    /// The amount that counts against it.
    pub used: u64,
    /// The rest; null without a quota.
    pub left: Option<u64>,
}

impl AnalyticsQuota {
    fn new(allowed: Option<u64>, used: u64) -> Self {
        Self { allowed, used, left: allowed.map(|allowed| allowed.saturating_sub(used)) }
    }
}

/// The usage of a tenant: its requests, and its sources.
#[derive(Serialize, JsonSchema)]
#[schemars(extend("examples" = [usage_example()]))]
pub struct AnalyticsUsage {
    /// The period.
    #[serde(flatten)]
    pub period: AnalyticsPeriod,
    /// The days that begin in the period and have requests.
    pub days: Vec<AnalyticsDay>,
    /// The number of devices now, a device at two sites as two.
    pub devices: u64,
    /// The number of series now.
    pub series: u64,
    /// The batches, exports and long answers that this server has under way for the tenant.
    pub open_streams: usize,
    /// The requests of the present day in UTC, those without documents included.
    pub requests_today: AnalyticsQuota,
    /// The bytes of all stored documents.
    pub stored_bytes: AnalyticsQuota,
}

fn usage_example() -> Value {
    json!({
        "as_of": as_of_example(), "from": at("00:00:00"), "to": at("23:00:00"), "devices": 42, "series": 210, "open_streams": 1,
        "days": [{"day": at("00:00:00"), "requests": 1812, "bytes": 634_200}],
        "requests_today": {"allowed": 1_000_000, "used": 1815, "left": 998_185},
        "stored_bytes": {"allowed": null, "used": 634_200, "left": null},
    })
}

impl AnalyticsUsage {
    /// Builds the usage of a tenant.
    #[must_use]
    pub fn new(
        period: AnalyticsPeriod,
        usage: service::Usage,
        quotas: &Quotas,
        counted: &Usage,
        open_streams: usize,
    ) -> Self {
        let day = |service::Intake { day, requests, bytes }: service::Intake| {
            let day = Timestamp::from_unix_micros(day).map(|day| day.to_string()).unwrap_or_default();
            AnalyticsDay { day, requests, bytes }
        };
        let service::Usage { days, devices, series } = usage;
        Self {
            period,
            days: days.into_iter().map(day).collect(),
            devices,
            series,
            open_streams,
            requests_today: AnalyticsQuota::new(quotas.requests_per_day, counted.requests),
            stored_bytes: AnalyticsQuota::new(quotas.stored_bytes, counted.stored_bytes),
        }
    }
}
