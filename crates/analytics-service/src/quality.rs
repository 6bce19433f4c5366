//! Anomalies in the points of series.

mod detector;

use std::ops::Range;

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::analytics::{Finding, Micros};
use mass_domain::port::PortError;
use mass_domain::time::Timestamp;

use crate::answer::Halt;
use crate::period::{self, PeriodError, instant};
use crate::series::{SeriesHead, select};
use crate::store::{SeriesFilter, SeriesRow, Snapshot, SourceFilter};
use crate::stretches::each_part;
use crate::{AnalyticsService, AnswerStream, TooSlow};
use detector::{Detector, Found};

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

/// The anomalies of one kind in a series on one day.
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
    /// Describes the first one.
    pub detail: String,
}

/// Anomalies, page by page: by series, day and kind. The head has the series.
pub type QualityStream = AnswerStream<Vec<SeriesHead>, Vec<SeriesFinding>, QualityError>;

impl AnalyticsService {
    /// Begins to look for anomalies in series.
    ///
    /// # Errors
    /// [`QualityError`].
    pub async fn quality(&self, principal: &Principal, query: QualityQuery) -> Result<QualityStream, QualityError> {
        principal.require(Permission::AnalyticsRead)?;
        let QualityQuery { metrics, sites, devices, from, to } = query;
        let period = period::check(from, to, &[("day", 31)])?;
        let filter = SeriesFilter { sites, devices, metrics, ..SeriesFilter::default() };
        let now = self.clock.now().unix_micros();
        self.stream(principal.tenant(), move |snapshot, output| {
            let as_of = snapshot.position()?;
            let rows = select(snapshot, &filter)?.ok_or(Halt::Failed(QualityError::TooMany))?;
            output.head(as_of, rows.iter().map(|row| SeriesHead::new(row, None)).collect())?;
            for (series, row) in rows.iter().enumerate() {
                let findings = find(snapshot, row, &period, now)?;
                let shown = |found: &Found| show(series, found);
                let page: Vec<SeriesFinding> = findings.iter().map(shown).collect::<Result<_, PortError>>()?;
                if !page.is_empty() {
                    output.page(page)?;
                }
            }
            Ok(())
        })
        .await
    }
}

/// Looks for anomalies in a series.
fn find(
    snapshot: &mut dyn Snapshot,
    row: &SeriesRow,
    period: &Range<Micros>,
    now: Micros,
) -> Result<Vec<Found>, PortError> {
    let device_id = row.key.source.device_id.clone();
    let sites = row.key.source.site_id.iter().cloned().collect();
    let filter = SourceFilter { sites, device_id, after: None };
    let device = if filter.device_id.is_some() { snapshot.devices(&filter, 1)?.pop() } else { None };
    let device_type = device.and_then(|device| device.device_type).unwrap_or_default();
    let mut detector = Detector::new(&row.key.metric, row.kind, &device_type, now);
    each_part(snapshot, row, period, |part, points| {
        detector.read(&part, points);
        Ok::<(), PortError>(())
    })?;
    Ok(detector.finish())
}

fn show(series: usize, found: &Found) -> Result<SeriesFinding, PortError> {
    Ok(SeriesFinding {
        series,
        day: instant(found.day)?,
        kind: found.kind,
        count: found.count,
        first: instant(found.first)?,
        last: instant(found.last)?,
        value: found.value,
        detail: found.detail.clone(),
    })
}

#[cfg(test)]
mod tests;
