//! The use cases on figures: projecting the audit trail into series, and computing answers from them.
//!
//! Belongs here: the projector, the use cases with their permissions and errors, and the ports that they need.
//! Does not belong here: HTTP, SQL, and rules that can be decided without a port (those are `mass-domain`'s).

mod answer;
mod documents;
mod hours;
mod judge;
mod kpis;
#[cfg(test)]
mod memory;
mod period;
mod plan;
mod projector;
mod quality;
mod series;
mod sources;
mod store;
mod stretches;
mod usage;

use std::sync::Arc;

use mass_domain::time::Clock;

pub use answer::{Answer, AnswerStream, TooSlow};
pub use documents::SiteDocuments;
pub use hours::{HoursError, HoursQuery, SiteHour};
pub use kpis::{Absence, Kpi, KpiError, KpiQuery, KpiStream, MAX_SITES, SiteKpis};
pub use period::PeriodError;
pub use projector::{Progress, ProjectError, Projector};
pub use quality::{QualityError, QualityQuery, QualityStream, SeriesFinding};
pub use series::{Bucket, MAX_SERIES, SeriesError, SeriesHead, SeriesPage, SeriesQuery, SeriesStream};
pub use sources::{Completeness, DeviceQuery, DeviceState, LastValue, SiteQuery, SiteState, SourceError, SourceState};
pub use store::{
    AnalyticsStore, ApplyError, Change, Intake, Job, Latest, LogBatch, Place, Position, ProjectedRequest,
    ProjectionStore, SeriesFilter, SeriesRow, Snapshot, SourceFilter, SourceRow, Step, StoredDocument, Unreadable,
    Update, Window, WindowState,
};
pub use usage::{Usage, UsageError};

/// The use cases on figures.
pub struct AnalyticsService {
    store: Arc<dyn AnalyticsStore>,
    clock: Arc<dyn Clock>,
}

impl AnalyticsService {
    /// Puts the use cases on top of a store.
    #[must_use]
    pub fn new(store: Arc<dyn AnalyticsStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }
}
