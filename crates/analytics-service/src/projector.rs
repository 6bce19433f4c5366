//! The projector: it brings a tenant's series up to the end of the audit log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use tokio::task::spawn_blocking;

use crate::judge::{Collision, judge};
use crate::plan::{Plan, PlanError, plan};
use crate::store::{ApplyError, LogBatch, ProjectionStore, Unreadable, Update, WindowState};

/// The most events of a batch.
const EVENTS: u32 = 5000;

/// The most events of a batch when catching up: it changes a series fewer times.
const MORE_EVENTS: u32 = 40_000;

/// How many times as many events a batch has as the one before, when catching up: the first one is there to be projected
/// soon, while the next one is read.
const GROWTH: u32 = 4;

/// The most bytes of documents in a batch. One document may have more. It bounds the memory beside ingestion: the points
/// of a document, with the hours and days that they change, take several times its size.
const BYTES: u64 = 3 << 20;

/// The most bytes of documents in a batch when catching up.
const MORE_BYTES: u64 = 12 << 20;

/// The number of windows from which on no further series is read together with them. It bounds the memory: a window of
/// a series with a value a second has an hour of 3,600 points.
const WINDOWS: usize = 100;

/// The most rows that a batch changes, unless one event changes more. It bounds the memory.
const ROWS: usize = 400_000;

/// The number of steps in a row that another server may be faster with, until catching up is left to it.
const PATIENCE: u32 = 100;

/// Reason for which a projection was not moved.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// How far a projection has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The sequence of the last projected event.
    pub position: i64,
    /// The number of events in the log when it was read.
    pub head: i64,
    /// The number of events that were projected.
    pub events: u64,
    /// The number of points that were added and removed.
    pub points: u64,
    /// The event behind `position`, if the projection cannot go past it.
    pub stopped: Option<Unreadable>,
}

impl Progress {
    /// Tells whether there is nothing more to do for now: all events are projected, or the projection has stopped.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.position >= self.head || self.stopped.is_some()
    }
}

/// Projects audit logs. Several servers may do so at once: each batch is applied exactly once.
pub struct Projector {
    store: Arc<dyn ProjectionStore>,
    /// The most events of a batch.
    events: u32,
    /// The most events of a batch when catching up.
    more_events: u32,
    /// The most rows that a batch changes, unless one event changes more.
    rows: usize,
    /// The positions at which projections have stopped. They are tried once by each program.
    stopped: Mutex<HashMap<TenantId, (i64, Unreadable)>>,
}

/// Reason for which an update was not computed or not applied.
enum Failure {
    /// A document cannot be read.
    Unreadable(Unreadable),
    /// Two series or sources have the same id.
    Collision(i64),
    /// It changes too many rows.
    TooMany,
    /// Another server has moved the projection.
    Stale,
    Store(PortError),
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Self::Store(error)
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Unreadable(unreadable) => Self::Unreadable(unreadable),
            PlanError::Collision(id) => Self::Collision(id),
        }
    }
}

impl From<Collision> for Failure {
    fn from(Collision(id): Collision) -> Self {
        Self::Collision(id)
    }
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Stale => Self::Stale,
            ApplyError::Collision(id) => Self::Collision(id),
            ApplyError::Store(error) => Self::Store(error),
        }
    }
}

/// A part of the log, and the changes that it makes.
struct Planned {
    deletions: i64,
    from: i64,
    upto: i64,
    head: i64,
    stopped: Option<Unreadable>,
    is_independent: bool,
    plan: Result<Plan, PlanError>,
}

impl Planned {
    fn new(batch: LogBatch) -> Self {
        let LogBatch { deletions, from, upto, head, is_independent, .. } = batch;
        Self { deletions, from, upto, head, stopped: batch.stopped.clone(), is_independent, plan: plan(batch) }
    }
}

impl Projector {
    /// Puts a projector on top of a store.
    #[must_use]
    pub fn new(store: Arc<dyn ProjectionStore>) -> Self {
        Self { store, events: EVENTS, more_events: MORE_EVENTS, rows: ROWS, stopped: Mutex::new(HashMap::new()) }
    }

    /// Lists the tenants.
    ///
    /// # Errors
    /// [`ProjectError`].
    pub async fn tenants(&self) -> Result<Vec<TenantId>, ProjectError> {
        Ok(self.store.tenants().await?)
    }

    /// Projects the next batch of a tenant's log, if there is any: a short one, so that others have their turn soon. If
    /// another server has moved the projection meanwhile, nothing is changed and nothing was added.
    ///
    /// # Errors
    /// [`ProjectError`]. The projection is then unchanged.
    pub async fn step(&self, tenant: &TenantId) -> Result<Progress, ProjectError> {
        let batch = self.read(tenant, None, self.limit(tenant, self.events), BYTES).await?;
        self.project_what_can_be(tenant, batch).await
    }

    /// Reads the next part of the log and plans its changes: on a thread of its own, since documents are parsed.
    async fn read(&self, tenant: &TenantId, after: Option<i64>, limit: u32, bytes: u64) -> Result<Planned, PortError> {
        let batch = self.store.next(tenant, after, limit, bytes).await?;
        spawn_blocking(move || Planned::new(batch)).await.map_err(|error| PortError::Unexpected(error.into()))
    }

    /// Projects a tenant's log up to the end that it has at the last batch, unless another server is faster all the time.
    /// While a batch is projected, the next one is read and planned.
    ///
    /// # Errors
    /// [`ProjectError`]. The batches before it are projected.
    pub async fn catch_up(&self, tenant: &TenantId) -> Result<Progress, ProjectError> {
        let (mut events, mut points, mut idle) = (0, 0, 0);
        let (mut ahead, mut most) = (None, self.events);
        loop {
            let batch = match ahead.take() {
                Some(batch) => batch,
                None => self.read(tenant, None, self.limit(tenant, most), MORE_BYTES).await?,
            };
            most = most.saturating_mul(GROWTH).min(self.more_events);
            let limit = self.limit(tenant, most);
            let behind = Some(batch.upto).filter(|upto| *upto < batch.head && batch.stopped.is_none() && limit > 1);
            let reading = async {
                match behind {
                    Some(upto) => self.read(tenant, Some(upto), limit, MORE_BYTES).await.map(Some),
                    None => Ok(None),
                }
            };
            let (progress, read) = tokio::join!(self.project_what_can_be(tenant, batch), reading);
            let progress = progress?;
            let is_next = |batch: &Planned| batch.is_independent && batch.from == progress.position;
            ahead = read?.filter(|batch| progress.events > 0 && is_next(batch));
            events += progress.events;
            points += progress.points;
            idle = if progress.events > 0 { 0 } else { idle + 1 };
            if progress.is_done() || idle > PATIENCE {
                return Ok(Progress { events, points, ..progress });
            }
        }
    }

    /// Returns the number of events to read: one where the projection is known to have stopped.
    fn limit(&self, tenant: &TenantId, events: u32) -> u32 {
        if self.known_stop(tenant).is_some() { 1 } else { events }
    }

    /// Projects a batch, or as much of it as fits and can be read.
    async fn project_what_can_be(&self, tenant: &TenantId, mut batch: Planned) -> Result<Progress, ProjectError> {
        if let Some((at, unreadable)) = self.known_stop(tenant) {
            if at == batch.from {
                let stopped = Some(unreadable);
                return Ok(Progress { position: batch.from, head: batch.head, stopped, ..Progress::default() });
            }
            // The projection was moved or rebuilt by another program.
            self.remember(tenant, batch.from, None);
        }
        loop {
            let (at, head, read) = ((batch.deletions, batch.from), batch.head, batch.upto - batch.from);
            let from = batch.from;
            let failure = match self.project(tenant, batch, read <= 1).await {
                Ok(progress) => return Ok(progress),
                Err(failure) => failure,
            };
            let (fits, stopped) = match failure {
                Failure::Store(error) => return Err(error.into()),
                Failure::Stale => return Ok(Progress { position: from, head, ..Progress::default() }),
                Failure::TooMany => (read / 2, None),
                Failure::Unreadable(stopped) => (stopped.sequence - 1 - from, Some(stopped)),
                Failure::Collision(id) => {
                    let reason = ApplyError::Collision(id).to_string();
                    (read / 2, Some(Unreadable { sequence: from + 1, reason }))
                }
            };
            let limit = match (u32::try_from(fits).unwrap_or(0), stopped) {
                (0, Some(stopped)) => return self.stop(tenant, at, head, stopped).await,
                (0, None) => 1,
                (fewer, _) => fewer,
            };
            batch = self.read(tenant, None, limit, MORE_BYTES).await?;
        }
    }

    /// Deletes a tenant's projection, and projects its log from the beginning.
    ///
    /// # Errors
    /// [`ProjectError`]. The next step goes on.
    pub async fn rebuild(&self, tenant: &TenantId) -> Result<Progress, ProjectError> {
        self.store.clear(tenant).await?;
        self.remember(tenant, 0, None);
        self.catch_up(tenant).await
    }

    /// Computes and applies the update of a batch. `is_least`: it cannot be made smaller.
    async fn project(&self, tenant: &TenantId, batch: Planned, is_least: bool) -> Result<Progress, Failure> {
        let Planned { deletions, from, upto, head, stopped, plan, .. } = batch;
        if upto == from && stopped.is_none() {
            return Ok(Progress { position: from, head, ..Progress::default() });
        }
        let mut plan = plan?;
        let mut update = Update {
            deletions,
            from,
            upto,
            stopped: stopped.clone(),
            sources: std::mem::take(&mut plan.sources),
            gone_sources: std::mem::take(&mut plan.gone_sources),
            requests: std::mem::take(&mut plan.requests),
            gone_requests: std::mem::take(&mut plan.gone_requests),
            intake: std::mem::take(&mut plan.intake),
            ..Update::default()
        };
        self.judge_series(tenant, &plan, &mut update, is_least).await?;
        let points = (update.points.len() + update.gone_points.len()) as u64;
        update.points.append(&mut plan.marks);
        update.gone_points.append(&mut plan.gone_marks);
        self.store.apply(tenant, update).await?;
        self.remember(tenant, upto, stopped.clone());
        Ok(Progress { position: upto, head, events: (upto - from).unsigned_abs(), points, stopped })
    }

    /// Judges the series of a plan, some at a time. All windows of a series are read together.
    async fn judge_series(
        &self,
        tenant: &TenantId,
        plan: &Plan,
        update: &mut Update,
        is_least: bool,
    ) -> Result<(), Failure> {
        let mut series = plan.series.iter().peekable();
        while series.peek().is_some() {
            let (mut windows, mut changes) = (Vec::new(), Vec::new());
            while windows.len() < WINDOWS
                && let Some((id, change)) = series.next()
            {
                windows.extend(change.windows(*id));
                changes.push((*id, change));
            }
            let mut states: HashMap<_, Vec<WindowState>> = HashMap::new();
            for state in self.store.windows(tenant, windows).await? {
                states.entry(state.window.series).or_default().push(state);
            }
            for (id, change) in changes {
                judge(id, change, states.remove(&id).unwrap_or_default(), update)?;
                if !is_least && update.points.len() + update.hours.len() + update.days.len() > self.rows {
                    return Err(Failure::TooMany);
                }
            }
        }
        Ok(())
    }

    /// Stops a projection at an event.
    async fn stop(
        &self,
        tenant: &TenantId,
        (deletions, from): (i64, i64),
        head: i64,
        stopped: Unreadable,
    ) -> Result<Progress, ProjectError> {
        let progress = Progress { position: from, head, stopped: Some(stopped.clone()), ..Progress::default() };
        let update = Update { deletions, from, upto: from, stopped: Some(stopped.clone()), ..Update::default() };
        match self.store.apply(tenant, update).await {
            Ok(()) => self.remember(tenant, from, Some(stopped)),
            Err(ApplyError::Stale | ApplyError::Collision(_)) => {
                return Ok(Progress { stopped: None, ..progress });
            }
            Err(ApplyError::Store(error)) => return Err(error.into()),
        }
        Ok(progress)
    }

    fn known_stop(&self, tenant: &TenantId) -> Option<(i64, Unreadable)> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned()
    }

    fn remember(&self, tenant: &TenantId, at: i64, stopped: Option<Unreadable>) {
        let mut known = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Unreadable { sequence, reason }) = &stopped {
            tracing::error!(%tenant, sequence, reason, "a projection has stopped");
        }
        match stopped {
            Some(unreadable) => known.insert(tenant.clone(), (at, unreadable)),
            None => known.remove(tenant),
        };
    }
}

#[cfg(test)]
mod tests;
