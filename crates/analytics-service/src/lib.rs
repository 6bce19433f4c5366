//! The use cases on figures: the projection of the audit trail into series, and what is computed from them.
//!
//! Belongs here: the projector, the use cases with their permissions and errors, and the ports that they need.
//! Does not belong here: HTTP, SQL, and rules that can be decided without a port (those are `mass-domain`'s).

mod store;

pub use store::{
    AnalyticsStore, ApplyError, Change, Intake, Job, Latest, LogBatch, Place, Position, ProjectedRequest,
    ProjectionStore, SeriesFilter, SeriesRow, Snapshot, SourceFilter, SourceRow, Step, StoredDocument, Unreadable,
    Update, Window, WindowState,
};
