//! Rows of projections.

use diesel::prelude::*;
use diesel::result::Error::DeserializationError;
use mass_analytics_service::{SeriesRow, SourceRow, Unreadable};
use mass_domain::analytics::{Figures, Micros, Point, SeriesId, SeriesKey, Source};
use mass_domain::metrics::MetricKind;

use crate::columns::{Id, Instant};
use crate::schema::{projections, series, sources};

/// The state of a projection.
#[derive(Debug, Default, Queryable, Selectable)]
#[diesel(table_name = projections)]
pub(crate) struct ProjectionRow {
    pub(crate) position: i64,
    pub(crate) deletions: i64,
    stopped_sequence: Option<i64>,
    stopped_reason: Option<String>,
}

impl ProjectionRow {
    /// The position while the rows of a projection are deleted.
    pub(crate) const CLEARED: i64 = -1;

    /// Returns the event at which the projection has stopped.
    pub(crate) fn stopped(&self) -> Option<Unreadable> {
        let reason = self.stopped_reason.clone();
        self.stopped_sequence.zip(reason).map(|(sequence, reason)| Unreadable { sequence, reason })
    }
}

/// A stretch of a series, up to its end and without it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch {
    pub(crate) series_id: i64,
    pub(crate) from: Micros,
    pub(crate) to: Micros,
}

/// Returns the number as it is stored. Zero has no sign, since SQLite stores none.
pub(crate) fn real(value: f64) -> f64 {
    value + 0.0
}

/// The columns of a source.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = sources)]
pub(crate) struct StoredSource {
    pub(crate) site_id: Option<String>,
    pub(crate) device_id: Option<String>,
    pub(crate) device_type: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) at: Micros,
    pub(crate) accepted: i64,
}

impl From<StoredSource> for SourceRow {
    fn from(stored: StoredSource) -> Self {
        let StoredSource { site_id, device_id, device_type, location, at, accepted } = stored;
        Self { source: Source { site_id, device_id }, device_type, location, at, accepted }
    }
}

/// The columns of a series.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = series)]
pub(crate) struct StoredSeries {
    pub(crate) id: i64,
    pub(crate) site_id: Option<String>,
    pub(crate) device_id: Option<String>,
    pub(crate) metric: String,
    pub(crate) kind: String,
    pub(crate) first_at: Micros,
    pub(crate) last_at: Micros,
    pub(crate) last_value: f64,
    pub(crate) learned_interval: Micros,
}

impl StoredSeries {
    /// Builds the series.
    pub(crate) fn into_row(self) -> QueryResult<SeriesRow> {
        let Self { id, site_id, device_id, metric, kind, first_at, last_at, last_value, learned_interval } = self;
        let kind = match kind.as_str() {
            "gauge" => MetricKind::Gauge,
            "power" => MetricKind::Power,
            "counter" => MetricKind::Counter,
            other => return Err(DeserializationError(format!("no kind of metrics: {other}").into())),
        };
        let key = SeriesKey { source: Source { site_id, device_id }, metric };
        Ok(SeriesRow {
            id: SeriesId::from_i64(id),
            key,
            kind,
            first_at,
            last_at,
            last_value,
            interval: learned_interval,
        })
    }
}

/// A request with its document.
#[derive(Debug, Queryable)]
pub(crate) struct RequestDocument {
    pub(crate) id: Id,
    /// The sequence of its acceptance.
    pub(crate) accepted: i64,
    pub(crate) created_at: Instant,
    pub(crate) contract: String,
    /// The size of the document, in bytes.
    pub(crate) size: i32,
    /// `None` for a long one.
    pub(crate) text: Option<String>,
    pub(crate) is_erased: bool,
}

/// The source of a series, and the names of the series.
pub(crate) type SeriesOfSource = (i64, Option<String>, Option<String>, String);

/// The columns of a point, without its series.
pub(crate) type StoredPoint = (Micros, i64, f64, Option<Micros>);

/// Builds a point.
pub(crate) fn point((at, sequence, value, span): StoredPoint) -> Point {
    Point { at, sequence, value, span }
}

/// The figures of a series for an hour or a day.
#[derive(Debug, Queryable)]
pub(crate) struct FiguresRow {
    pub(crate) series_id: i64,
    pub(crate) starts_at: Micros,
    pub(crate) count: i64,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) first: f64,
    pub(crate) last: f64,
    pub(crate) integral: f64,
    pub(crate) covered: Micros,
    pub(crate) gaps: i64,
    pub(crate) resets: i64,
    pub(crate) above: f64,
    pub(crate) below: f64,
}

impl FiguresRow {
    /// Builds the row of figures.
    pub(crate) fn new((series, starts_at, figures): &(SeriesId, Micros, Figures)) -> Self {
        let Figures { count, sum, min, max, first, last, integral, covered, gaps, resets, above, below } = *figures;
        let column = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Self {
            series_id: series.as_i64(),
            starts_at: *starts_at,
            count: column(count),
            sum: real(sum),
            min: real(min),
            max: real(max),
            first: real(first),
            last: real(last),
            integral: real(integral),
            covered,
            gaps: column(gaps),
            resets: column(resets),
            above: real(above),
            below: real(below),
        }
    }

    /// Builds the figures with their series and begin.
    pub(crate) fn into_parts(self) -> (SeriesId, Micros, Figures) {
        let Self {
            series_id,
            starts_at,
            count,
            sum,
            min,
            max,
            first,
            last,
            integral,
            covered,
            gaps,
            resets,
            above,
            below,
        } = self;
        let number = |column: i64| u64::try_from(column).unwrap_or(0);
        let figures = Figures {
            count: number(count),
            sum,
            min,
            max,
            first,
            last,
            integral,
            covered,
            gaps: number(gaps),
            resets: number(resets),
            above,
            below,
        };
        (SeriesId::from_i64(series_id), starts_at, figures)
    }
}
