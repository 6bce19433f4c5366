//! Series in buckets of time.

use std::collections::BTreeSet;
use std::ops::Range;

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::analytics::{
    Aggregate, COST_RATE, DAY, Figures, Micros, Resolution, Segment, SeriesKey, segments, unit_of,
};
use mass_domain::metrics::MetricKind;
use mass_domain::port::PortError;
use mass_domain::time::Timestamp;

use crate::answer::{Halt, Output};
use crate::period::{self, Buckets, PeriodError, instant};
use crate::store::{SeriesFilter, SeriesRow, Snapshot};
use crate::stretches::{self, each_part, fold_points, living};
use crate::{AnalyticsService, AnswerStream, TooSlow};

/// The most series of one answer.
pub const MAX_SERIES: usize = 500;

/// The number of series that shows that there are too many.
const LOOKAHEAD: u32 = 501;

/// The most days of each step, from the finest step to the coarsest.
const LIMITS: [(&str, i64); 5] = [("raw", 31), ("5m", 92), ("hour", 1096), ("day", 7305), ("month", 7305)];

/// The number of days from which on a page is full.
const PAGE_DAYS: i64 = 400;

/// The most buckets of a page.
const PAGE_BUCKETS: usize = 1000;

/// Reason for which series are not shown.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The period, its step or its zone cannot be used.
    #[error(transparent)]
    Period(#[from] PeriodError),
    /// It is no known metric, and no series of the tenant has it.
    #[error("unknown metric \"{name}\"")]
    UnknownMetric {
        /// Its name.
        name: String,
        /// The metrics that there are: of the tenant, at most 100.
        known: Vec<String>,
    },
    /// More series match.
    #[error("expected at most {MAX_SERIES} series, found more: name sites, devices or metrics")]
    TooMany,
    /// It took too long.
    #[error(transparent)]
    TooSlow(#[from] TooSlow),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// A selection of series and a period. An empty list allows all.
#[derive(Debug, Clone)]
pub struct SeriesQuery {
    /// The metrics.
    pub metrics: Vec<String>,
    /// The sites.
    pub sites: Vec<String>,
    /// The devices.
    pub devices: Vec<String>,
    /// The begin of the period.
    pub from: Timestamp,
    /// Its end, which is not part of it.
    pub to: Timestamp,
    /// The length of the buckets. At most 31 days raw, 92 days of five minutes, 3 years of hours, 20 years of days and
    /// months.
    pub step: Resolution,
    /// The zone of hours, days and months; `None` for UTC.
    pub zone: Option<String>,
    /// The value of a bucket; `None` for the mean, and the sum of a counter.
    pub aggregate: Option<Aggregate>,
}

/// The description of a series, which comes before its buckets.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesHead {
    /// Its names.
    pub key: SeriesKey,
    /// The way in which its values combine.
    pub kind: MetricKind,
    /// The value that its buckets have.
    pub aggregate: Aggregate,
    /// The symbol of the unit of that value; `None` for unknown metrics.
    pub unit: Option<&'static str>,
}

/// The value of a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Its begin. Of a raw point: its time.
    pub begin: Timestamp,
    /// Its end. Of a raw point: the time until which its value holds.
    pub end: Timestamp,
    /// The value. `None` for the mean of a stretch in which none holds for any time, and has no point.
    pub value: Option<f64>,
    /// The number of points.
    pub count: u64,
    /// The share of the stretch for which a value holds, of 0 to 1.
    pub coverage: f64,
}

/// Some buckets of a series. The pages of a series follow each other, and the series come in the order of the heads.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesPage {
    /// The index of the head.
    pub series: usize,
    /// Buckets in the order of time. Those without a value are left out.
    pub buckets: Vec<Bucket>,
    /// On the last page of each series: the share of the period for which a value holds, of 0 to 1.
    pub coverage: Option<f64>,
}

/// Series in buckets, page by page. The head has the series, by site, device and metric.
pub type SeriesStream = AnswerStream<Vec<SeriesHead>, SeriesPage, SeriesError>;

impl AnalyticsService {
    /// Begins to compute series in buckets.
    ///
    /// # Errors
    /// [`SeriesError`].
    pub async fn series(&self, principal: &Principal, query: SeriesQuery) -> Result<SeriesStream, SeriesError> {
        principal.require(Permission::AnalyticsRead)?;
        let finer = LIMITS.iter().position(|(step, _)| *step == query.step.as_str()).unwrap_or_default();
        let period = period::check(query.from, query.to, LIMITS.get(finer..).unwrap_or_default())?;
        let zone = period::zone(query.zone.as_deref())?;
        let SeriesQuery { metrics, sites, devices, step, aggregate, .. } = query;
        let filter = SeriesFilter { sites, devices, metrics, ..SeriesFilter::default() };
        self.stream(principal.tenant(), move |snapshot, output| {
            let as_of = snapshot.position()?;
            for metric in &filter.metrics {
                know(snapshot, metric).map_err(Halt::Failed)?;
            }
            let rows = select(snapshot, &filter)?.ok_or(Halt::Failed(SeriesError::TooMany))?;
            let heads: Vec<SeriesHead> = rows.iter().map(|row| SeriesHead::new(row, aggregate)).collect();
            output.head(as_of, heads.clone())?;
            for (index, (row, head)) in rows.iter().zip(&heads).enumerate() {
                if step == Resolution::Raw {
                    send_points(snapshot, output, index, row, &period)?;
                } else {
                    let buckets = Buckets::new(period.clone(), step, zone.clone());
                    send_buckets(snapshot, output, (index, head, row), step, buckets)?;
                }
            }
            Ok(())
        })
        .await
    }
}

type Pages = Output<Vec<SeriesHead>, SeriesPage, SeriesError>;

impl SeriesHead {
    pub(crate) fn new(row: &SeriesRow, aggregate: Option<Aggregate>) -> Self {
        let usual = if row.kind == MetricKind::Counter { Aggregate::Sum } else { Aggregate::Mean };
        let aggregate = aggregate.unwrap_or(usual);
        let unit = match (row.kind, aggregate) {
            (MetricKind::Power, Aggregate::Sum) if row.key.metric == COST_RATE => Some("USD"),
            (MetricKind::Power, Aggregate::Sum) => Some("kWh"),
            _ => unit_of(&row.key.metric),
        };
        Self { key: row.key.clone(), kind: row.kind, aggregate, unit }
    }

    /// Returns the value of a bucket.
    fn value(&self, figures: &Figures) -> Option<f64> {
        match (self.aggregate, self.kind) {
            (Aggregate::Mean, _) => figures.mean(),
            (Aggregate::Min, _) => Some(figures.min),
            (Aggregate::Max, _) => Some(figures.max),
            (Aggregate::Sum, MetricKind::Gauge) => Some(figures.sum),
            (Aggregate::Sum, MetricKind::Power | MetricKind::Counter) => Some(figures.integral),
            (Aggregate::Last, _) => Some(figures.last),
        }
    }
}

/// Lists the series that match; `None` if there are more than [`MAX_SERIES`].
pub(crate) fn select(snapshot: &mut dyn Snapshot, filter: &SeriesFilter) -> Result<Option<Vec<SeriesRow>>, PortError> {
    let rows = snapshot.series(filter, LOOKAHEAD)?;
    Ok((rows.len() <= MAX_SERIES).then_some(rows))
}

/// Requires that a metric is known, or that the tenant has a series of it.
fn know(snapshot: &mut dyn Snapshot, metric: &str) -> Result<(), SeriesError> {
    let filter = SeriesFilter { metrics: vec![metric.to_owned()], ..SeriesFilter::default() };
    if unit_of(metric).is_some() || !snapshot.series(&filter, 1)?.is_empty() {
        return Ok(());
    }
    let rows = snapshot.series(&SeriesFilter::default(), LOOKAHEAD)?;
    let known: BTreeSet<String> = rows.into_iter().map(|row| row.key.metric).collect();
    Err(SeriesError::UnknownMetric { name: metric.to_owned(), known: known.into_iter().take(100).collect() })
}

/// Sends the valid points of a series.
fn send_points(
    snapshot: &mut dyn Snapshot,
    output: &Pages,
    series: usize,
    row: &SeriesRow,
    period: &Range<Micros>,
) -> Result<(), Halt<SeriesError>> {
    let mut covered = 0;
    each_part(snapshot, row, period, |part, points| {
        let segments = segments(row.kind, points);
        covered += segments.iter().map(|segment| segment.covered(&part)).sum::<Micros>();
        let within = segments.iter().filter(|segment| part.contains(&segment.point.at));
        let bucket = |segment: &Segment| {
            let (begin, end) = (instant(segment.point.at)?, instant(segment.to)?);
            Ok(Bucket { begin, end, value: Some(segment.point.value), count: 1, coverage: 1.0 })
        };
        let buckets: Vec<Bucket> = within.map(bucket).collect::<Result<_, PortError>>()?;
        if buckets.is_empty() { Ok(()) } else { output.page(SeriesPage { series, buckets, coverage: None }) }
    })?;
    output.page(SeriesPage { series, buckets: Vec::new(), coverage: Some(share(covered, period.end - period.start)) })
}

/// Sends the buckets of a series.
fn send_buckets(
    snapshot: &mut dyn Snapshot,
    output: &Pages,
    (series, head, row): (usize, &SeriesHead, &SeriesRow),
    step: Resolution,
    buckets: Buckets,
) -> Result<(), Halt<SeriesError>> {
    let (mut covered, mut length) = (0, 0);
    let mut rest = buckets.peekable();
    while rest.peek().is_some() {
        let (mut stretches, mut days) = (Vec::new(), 0);
        while days < PAGE_DAYS * DAY
            && stretches.len() < PAGE_BUCKETS
            && let Some(stretch) = rest.next()
        {
            days += stretch.end - stretch.start;
            stretches.push(stretch);
        }
        length += days;
        let (Some(first), Some(last)) = (stretches.first(), stretches.last()) else { break };
        if living(row, &(first.start..last.end)).is_empty() {
            continue;
        }
        let figures = match step {
            Resolution::Raw | Resolution::FiveMinutes => fold_points(snapshot, row, &stretches)?,
            Resolution::Hour | Resolution::Day | Resolution::Month => stretches::read(snapshot, row, &stretches)?,
        };
        let mut page = Vec::new();
        for (stretch, figures) in stretches.iter().zip(figures) {
            let Some(figures) = figures else { continue };
            covered += figures.covered;
            page.push(Bucket {
                begin: instant(stretch.start)?,
                end: instant(stretch.end)?,
                value: head.value(&figures),
                count: figures.count,
                coverage: share(figures.covered, stretch.end - stretch.start),
            });
        }
        if !page.is_empty() {
            output.page(SeriesPage { series, buckets: page, coverage: None })?;
        }
    }
    output.page(SeriesPage { series, buckets: Vec::new(), coverage: Some(share(covered, length)) })
}

/// Returns a share of a length of time.
#[expect(clippy::cast_precision_loss, reason = "spans are far below 2^53 microseconds")]
pub(crate) fn share(part: Micros, whole: Micros) -> f64 {
    if whole > 0 { part as f64 / whole as f64 } else { 0.0 }
}

#[cfg(test)]
mod tests;
