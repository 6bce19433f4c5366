//! Series in buckets of time.

use mass_domain::access::{Forbidden, Principal};
use mass_domain::analytics::{Aggregate, Resolution, SeriesKey};
use mass_domain::metrics::MetricKind;
use mass_domain::port::PortError;
use mass_domain::time::Timestamp;

use crate::period::PeriodError;
use crate::{AnalyticsService, AnswerStream, TooSlow};

/// The most series of one answer.
pub const MAX_SERIES: usize = 500;

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

/// What is known of a series before its buckets.
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
        let _ = (principal, query);
        Err(SeriesError::TooMany)
    }
}
