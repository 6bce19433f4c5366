//! The ports: what the projector reads and writes, and what figures are computed from.

use std::collections::HashMap;
use std::ops::Range;

use async_trait::async_trait;
use mass_domain::analytics::{Figures, Micros, Point, SeriesId, SeriesKey, Source, SourceId};
use mass_domain::audit::tree::TreeHash;
use mass_domain::contracts::ContractId;
use mass_domain::metrics::MetricKind;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;

/// An event at which a projection stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its sequence.
    pub sequence: i64,
    /// The fault of it, or of the document that it names.
    pub reason: String,
}

/// How far the projection of a tenant's audit log has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The sequence of the last event that the figures are computed from; 0 for none.
    pub sequence: i64,
    /// The root of the log's tree with that many events, which proves what they were.
    pub root: TreeHash,
    /// The number of events in the log.
    pub head: i64,
    /// The event behind `sequence`, if the projection cannot go past it.
    pub stopped: Option<Unreadable>,
}

impl Position {
    /// Returns the number of events that are not projected yet.
    #[must_use]
    pub const fn behind(&self) -> i64 {
        self.head - self.sequence
    }
}

/// A stored document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDocument {
    /// The sequence of its acceptance.
    pub accepted: i64,
    /// The time of its acceptance.
    pub accepted_at: Micros,
    /// Its contract.
    pub contract: ContractId,
    /// Its normalised text.
    pub text: String,
}

/// Where the points of a request are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The source.
    pub source: SourceId,
    /// The time of all of its points.
    pub at: Micros,
}

/// A request that the projection counts: current, and not erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectedRequest {
    /// The sequence of its acceptance.
    pub accepted: i64,
    /// The day in UTC of its acceptance, by its begin.
    pub day: Micros,
    /// The bytes of its normalised document.
    pub bytes: u64,
    /// Where its points are; `None` if its contract has no values.
    pub place: Option<Place>,
}

/// The current requests that were accepted on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intake {
    /// The day in UTC, by its begin.
    pub day: Micros,
    /// The number of requests, or what is added to it.
    pub requests: i64,
    /// The bytes of their documents, or what is added to it.
    pub bytes: i64,
}

/// The effect of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A request became current: it was accepted, or reinstated. `None` if its document has been erased since.
    Added(Option<StoredDocument>),
    /// A request is no longer current: it was corrected or deleted.
    Removed {
        /// The sequence of its acceptance.
        accepted: i64,
        /// The request as it was projected before this batch.
        stored: Option<ProjectedRequest>,
    },
}

/// An event that changes figures. Others have no step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its sequence.
    pub sequence: i64,
    /// The change.
    pub change: Change,
}

/// The newest request of a source, by the time of its points and then by acceptance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latest {
    /// The time of its points.
    pub at: Micros,
    /// Its document.
    pub document: StoredDocument,
}

/// The part of the log that is projected next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogBatch {
    /// The number of times that the projection has been deleted.
    pub deletions: i64,
    /// The position of the projection.
    pub from: i64,
    /// The sequence of the last event of the batch that can be read; `from` if there is none.
    pub upto: i64,
    /// The number of events in the log.
    pub head: i64,
    /// The events that change figures, in their order.
    pub steps: Vec<Step>,
    /// The first event that cannot be read: behind `upto`.
    pub stopped: Option<Unreadable>,
    /// True if nothing of it depends on what is projected before it: its events only add requests, each for the first time.
    pub is_independent: bool,
    /// For each source of which a step removes the request that its stored row describes: the newest stored request that
    /// no step of this batch removes, and whose document has not been erased. `None` if there is none.
    pub latest: HashMap<SourceId, Option<Latest>>,
    /// For each source of which a step removes a stored request: its stored series.
    pub series: HashMap<SourceId, Vec<SeriesKey>>,
}

/// A stretch of a series in which points change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The series.
    pub series: SeriesId,
    /// The time of the first changed point.
    pub first: Micros,
    /// The time of the last changed point.
    pub last: Micros,
}

/// The rows of a series around a [`Window`], or around several windows that depend on each other.
///
/// The figures of the stretch `from .. stop` depend on `CONTEXT` times before it. No change within the window has an
/// effect outside of the stretch.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowState {
    /// The window: from the first changed point of all to the last.
    pub window: Window,
    /// The series, if it is stored.
    pub series: Option<SeriesRow>,
    /// The begin of the hour of the last stored time before the window; without one, of the window's first.
    pub from: Micros,
    /// The end of the hour of the [`CONTEXT`](mass_domain::analytics::CONTEXT)th stored time behind the window; `None` if
    /// there are fewer.
    pub stop: Option<Micros>,
    /// The stored points, in the order of time and acceptance: those of the last
    /// [`CONTEXT`](mass_domain::analytics::CONTEXT) times before `from`, all from `from` to `stop`, and those of the first
    /// time from `stop` on.
    pub points: Vec<Point>,
    /// The stored hours from `from` to `stop`, in their order. If the day of `from` is before that of the last point, of
    /// the stored ones and the window's last: all hours from the begin of that day to the end of the day of `stop`.
    pub hours: Vec<(Micros, Figures)>,
}

/// A source as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRow {
    /// Its names.
    pub source: Source,
    /// The type of the device, as its newest document tells.
    pub device_type: Option<String>,
    /// The location of the device, as its newest document tells.
    pub location: Option<String>,
    /// The time of the points of its newest request.
    pub at: Micros,
    /// The acceptance of its newest request.
    pub accepted: i64,
}

/// A series as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesRow {
    /// Its id, which follows from the names: to compute it takes longer than to read it.
    pub id: SeriesId,
    /// Its names.
    pub key: SeriesKey,
    /// The way in which its values combine.
    pub kind: MetricKind,
    /// The time of its first point.
    pub first_at: Micros,
    /// The time of its last point. There are rows of days for the days before that of this point.
    pub last_at: Micros,
    /// The value of its last point.
    pub last_value: f64,
    /// The interval that is learned at its last point.
    pub interval: Micros,
}

/// Everything that a batch changes in a projection. Keys that are in no list stay as they are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Update {
    /// The number of times that the projection had been deleted when the update was computed.
    pub deletions: i64,
    /// The position from which the update was computed.
    pub from: i64,
    /// The position after it.
    pub upto: i64,
    /// The event behind `upto`, if the projection cannot go past it.
    pub stopped: Option<Unreadable>,
    /// Sources to be inserted, or to replace stored ones that are not newer by `at` and then `accepted`.
    pub sources: Vec<SourceRow>,
    /// Sources to be deleted before `sources` are written, since what they describe is gone.
    pub gone_sources: Vec<SourceId>,
    /// Requests to be inserted, whose points are in `points`.
    pub requests: Vec<ProjectedRequest>,
    /// Requests to be deleted, by their acceptance.
    pub gone_requests: Vec<i64>,
    /// Numbers to be added to days. A day without requests is deleted.
    pub intake: Vec<Intake>,
    /// Series to be inserted or replaced.
    pub series: Vec<SeriesRow>,
    /// Series to be deleted.
    pub gone_series: Vec<SeriesId>,
    /// Points to be inserted. A reading without values has one of no series, so that the source's newest reading is found.
    pub points: Vec<(SeriesId, Point)>,
    /// Points to be deleted, if they are there: series, time and acceptance.
    pub gone_points: Vec<(SeriesId, Micros, i64)>,
    /// Hours to be inserted or replaced, by their begin.
    pub hours: Vec<(SeriesId, Micros, Figures)>,
    /// Hours to be deleted.
    pub gone_hours: Vec<(SeriesId, Micros)>,
    /// Days to be inserted or replaced, by their begin.
    pub days: Vec<(SeriesId, Micros, Figures)>,
    /// Days to be deleted before `days` are written, if they are there: those of a series that begin within a stretch.
    pub gone_days: Vec<(SeriesId, Range<Micros>)>,
}

/// Reason for which an update is not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The projection is not where the update was computed from: another server has moved it.
    #[error("the projection has been moved meanwhile")]
    Stale,
    /// Two series or sources have the same id. The update stops the projection instead.
    #[error("two series have the id {0}")]
    Collision(i64),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// The port of the projector. Each call is one transaction, restricted to the tenant's data.
#[async_trait]
pub trait ProjectionStore: Send + Sync {
    /// Lists the tenants.
    async fn tenants(&self) -> Result<Vec<TenantId>, PortError>;

    /// Reads the next part of the log: at most `limit` events, and of them as many as have `bytes` of documents, but at
    /// least one. From one snapshot. It begins behind the position of the projection, or behind `after`, to read ahead.
    async fn next(&self, tenant: &TenantId, after: Option<i64>, limit: u32, bytes: u64) -> Result<LogBatch, PortError>;

    /// Reads what is stored around windows, which are in the order of series and time. Makes one of those of a series that
    /// touch: of which a later one's `from` is before the `stop` of an earlier one, or the earlier one has no `stop`.
    async fn windows(&self, tenant: &TenantId, windows: Vec<Window>) -> Result<Vec<WindowState>, PortError>;

    /// Applies an update if the projection still is at its `from`, and has not been deleted since; and moves it to `upto`.
    async fn apply(&self, tenant: &TenantId, update: Update) -> Result<(), ApplyError>;

    /// Deletes the projection of a tenant: its position becomes 0. In several transactions, the position first.
    async fn clear(&self, tenant: &TenantId) -> Result<(), PortError>;
}

/// A condition on sources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceFilter {
    /// Of one of these sites; empty for all.
    pub sites: Vec<String>,
    /// This device.
    pub device_id: Option<String>,
    /// Behind this source, in the order of device and then site.
    pub after: Option<Source>,
}

/// A condition on series. An empty list allows all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeriesFilter {
    /// Of one of these sites.
    pub sites: Vec<String>,
    /// Of one of these devices.
    pub devices: Vec<String>,
    /// With one of these metrics.
    pub metrics: Vec<String>,
    /// Whether those of devices are left out, so that those of sites as a whole remain.
    pub without_devices: bool,
}

impl SeriesFilter {
    /// Tells whether the condition holds for a series.
    #[must_use]
    pub fn admits(&self, key: &SeriesKey) -> bool {
        let SeriesKey { source: Source { site_id, device_id }, metric } = key;
        let names =
            |names: &[String], name: Option<&String>| names.is_empty() || name.is_some_and(|name| names.contains(name));
        let is_left = !self.without_devices || device_id.is_none();
        names(&self.sites, site_id.as_ref())
            && names(&self.devices, device_id.as_ref())
            && names(&self.metrics, Some(metric))
            && is_left
    }
}

/// A tenant's projection, as it was at one moment. The methods read and block.
pub trait Snapshot {
    /// Returns the position.
    fn position(&mut self) -> Result<Position, PortError>;

    /// Lists devices, by device and then site: at most `limit`.
    fn devices(&mut self, filter: &SourceFilter, limit: u32) -> Result<Vec<SourceRow>, PortError>;

    /// Lists all sites that documents name, by id, with the numbers of their devices.
    fn sites(&mut self, after: Option<&str>, limit: u32) -> Result<Vec<(String, u64)>, PortError>;

    /// Lists the days of intake that begin within the stretch, in their order.
    fn intake(&mut self, within: Range<Micros>) -> Result<Vec<Intake>, PortError>;

    /// Counts the devices and the series.
    fn counts(&mut self) -> Result<(u64, u64), PortError>;

    /// Lists series in the order of their keys, in which a missing name comes first: at most `limit`.
    fn series(&mut self, filter: &SeriesFilter, limit: u32) -> Result<Vec<SeriesRow>, PortError>;

    /// Returns the hours of series that begin within stretches: in the order of these, and then by hour.
    fn hours(&mut self, stretches: &[(SeriesId, Range<Micros>)])
    -> Result<Vec<(SeriesId, Micros, Figures)>, PortError>;

    /// Returns the days of series that begin within the stretch: by series, and then by day. There are none from the day of
    /// a series' last point on.
    fn days(
        &mut self,
        series: &[SeriesId],
        within: Range<Micros>,
    ) -> Result<Vec<(SeriesId, Micros, Figures)>, PortError>;

    /// Returns points in the order of time and acceptance: `before` times before the stretch, those within it, at most
    /// `limit` of them, and the first time behind it, if the limit is not reached.
    fn points(
        &mut self,
        series: SeriesId,
        within: Range<Micros>,
        before: usize,
        limit: usize,
    ) -> Result<Vec<Point>, PortError>;
}

/// Work on a snapshot. It is not repeated.
pub type Job = Box<dyn FnOnce(&mut dyn Snapshot) -> Result<(), PortError> + Send>;

/// The port of those who read figures.
#[async_trait]
pub trait AnalyticsStore: Send + Sync {
    /// Runs a job on one snapshot of a tenant's projection.
    async fn read(&self, tenant: &TenantId, job: Job) -> Result<(), PortError>;
}
