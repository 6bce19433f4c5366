//! The worker that keeps figures up to date with the audit trail.
//!
//! It visits the tenants in turn and projects one batch of each whose log has grown, so that one tenant with much to do
//! does not hold up the others. Ingestion comes first: while documents are being committed, the worker takes a small share
//! of the time. Which of several processes projects a batch does not matter: a batch that another one has projected is
//! dropped.

mod urgency;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mass_analytics_service::{Progress, Projector};
use mass_domain::tenancy::TenantId;
use mass_persistence::Database;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use self::urgency::Urgency;
use crate::pace::Pace;
use crate::telemetry::metrics::{Metrics, ProjectionLag};

/// The time after which all tenants are visited again, although this process has committed nothing.
const POLL: Duration = Duration::from_secs(1);

/// The interval at which the worker looks whether this process has committed anything. Events of that time share a batch.
const LOOK: Duration = Duration::from_millis(300);

/// The number of events that are worth a batch at once.
const ENOUGH: u64 = 500;

/// The most tenants without news that a round visits.
const QUIET_VISITS: usize = 100;

/// The interval at which a stopped projection is tried again.
const RETRY_STOPPED: Duration = Duration::from_secs(60);

/// The interval at which a batch is tried again that the database has not taken.
const RETRY_FAILED: Duration = Duration::from_secs(1);

/// The state of this process's projector, for `/ready`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It keeps figures up to date.
    Ok,
    /// The projection of a tenant cannot go past an event.
    Stopped,
    /// The settings switch it off.
    Off,
}

/// The projector of this process.
pub struct Projection {
    projector: Projector,
    is_on: bool,
    stopped: AtomicUsize,
}

impl Projection {
    /// Builds the projector, which runs only if it is on.
    #[must_use]
    pub const fn new(projector: Projector, is_on: bool) -> Self {
        Self { projector, is_on, stopped: AtomicUsize::new(0) }
    }

    /// Returns the state that the last round has found.
    #[must_use]
    pub fn state(&self) -> State {
        match (self.is_on, self.stopped.load(Ordering::Relaxed)) {
            (false, _) => State::Off,
            (true, 0) => State::Ok,
            (true, _) => State::Stopped,
        }
    }

    /// Returns whether the settings switch it on.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.is_on
    }
}

/// The worker.
pub struct Worker {
    projection: Arc<Projection>,
    database: Arc<Database>,
    metrics: Metrics,
    pace: Arc<Pace>,
    urgency: Urgency,
    tenants: HashMap<TenantId, Backlog>,
    /// The tenants without news, in the order in which they are visited.
    quiet: VecDeque<TenantId>,
    committed: u64,
}

/// The last known state of a tenant's projection.
#[derive(Default)]
struct Backlog {
    /// The sizes of the log that were seen and are not projected, with the time at which they were seen first.
    seen: VecDeque<(Instant, i64)>,
    sequence: i64,
    head: i64,
    is_stopped: bool,
    /// The time before which it is not tried again.
    not_before: Option<Instant>,
}

impl Backlog {
    fn note(&mut self, progress: &Progress, now: Instant) {
        (self.sequence, self.head) = (progress.position, progress.head);
        let is_news = self.seen.back().is_none_or(|(_, head)| *head < progress.head);
        if is_news && progress.head > progress.position {
            self.seen.push_back((now, progress.head));
        }
        while self.seen.front().is_some_and(|(_, head)| *head <= progress.position) {
            self.seen.pop_front();
        }
        self.is_stopped = progress.stopped.is_some();
        self.not_before = self.is_stopped.then(|| now + RETRY_STOPPED);
    }

    /// The number of events that are not projected.
    fn events(&self) -> u64 {
        u64::try_from(self.head - self.sequence).unwrap_or_default()
    }

    /// The time since the oldest of them was seen.
    fn age(&self, now: Instant) -> Duration {
        self.seen.front().map_or(Duration::ZERO, |(seen, _)| now - *seen)
    }

    fn is_due(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|until| now >= until)
    }
}

impl Worker {
    /// Builds a worker that has seen no tenant yet.
    #[must_use]
    pub fn new(projection: Arc<Projection>, database: Arc<Database>, pace: Arc<Pace>, metrics: Metrics) -> Self {
        let (urgency, tenants, quiet) = (Urgency::default(), HashMap::new(), VecDeque::new());
        Self { projection, database, metrics, pace, urgency, tenants, quiet, committed: 0 }
    }

    /// Works until it is told to stop; a batch that has begun is finished.
    pub async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        loop {
            let begun = Instant::now();
            // A stop takes effect between two batches.
            let Some(has_more) = self.round(&mut stopped).await else { return };
            if !has_more && self.idle(begun, &mut stopped).await {
                return;
            }
        }
    }

    /// Waits until this process has committed something, or a while. Returns true if the worker is told to stop meanwhile.
    async fn idle(&self, begun: Instant, stopped: &mut watch::Receiver<bool>) -> bool {
        loop {
            if pause(stopped, LOOK).await {
                return true;
            }
            if begun.elapsed() >= POLL || self.pace.committed() != self.committed {
                return false;
            }
        }
    }

    /// Projects a batch of each tenant that has news. Returns whether any has more; `None` when it is told to stop.
    async fn round(&mut self, stopped: &mut watch::Receiver<bool>) -> Option<bool> {
        self.committed = self.pace.committed();
        self.refresh().await;
        let mut has_more = false;
        for tenant in self.due() {
            if *stopped.borrow_and_update() {
                return None;
            }
            let took = self.visit(&tenant).await;
            let known = self.tenants.get(&tenant);
            has_more |= known.is_some_and(|known| known.events() >= ENOUGH && known.is_due(Instant::now()));
            let share = self.urgency.share(self.lag().age, self.database.load().waiting_documents);
            let rest = self.pace.rest(took, share);
            if !rest.is_zero() && pause(stopped, rest).await {
                return None;
            }
        }
        self.tell();
        (!*stopped.borrow()).then_some(has_more)
    }

    /// Learns of new tenants.
    async fn refresh(&mut self) {
        let tenants = match self.projection.projector.tenants().await {
            Ok(tenants) => tenants,
            Err(error) => return tracing::warn!(error = format!("{error:#}"), "the tenants cannot be listed now"),
        };
        // Tenants that are erased are no longer listed.
        let listed: HashSet<&TenantId> = tenants.iter().collect();
        self.tenants.retain(|tenant, _| listed.contains(tenant));
        self.quiet.retain(|tenant| listed.contains(tenant));
        for tenant in tenants.iter().filter(|tenant| tenant.as_str() != TenantId::SYSTEM).cloned() {
            if !self.tenants.contains_key(&tenant) {
                self.tenants.insert(tenant.clone(), Backlog::default());
                self.quiet.push_back(tenant);
            }
        }
    }

    /// Returns the tenants of a round: those that had more at their last visit, and the next ones of the others.
    fn due(&mut self) -> Vec<TenantId> {
        let now = Instant::now();
        let mut due = Vec::new();
        for (tenant, known) in self.tenants.iter().filter(|(_, known)| known.events() > 0) {
            if known.is_due(now) {
                due.push(tenant.clone());
            }
        }
        for _ in 0..self.quiet.len().min(QUIET_VISITS) {
            let Some(tenant) = self.quiet.pop_front() else { break };
            if self.tenants.get(&tenant).is_some_and(|known| known.events() == 0) {
                due.push(tenant.clone());
            }
            self.quiet.push_back(tenant);
        }
        due
    }

    /// Projects a batch of a tenant. Returns the time that it took; nothing if there was nothing to project.
    async fn visit(&mut self, tenant: &TenantId) -> Duration {
        let begun = Instant::now();
        let result = self.projection.projector.step(tenant).await;
        let took = begun.elapsed();
        match result {
            Ok(progress) => {
                self.tenants.entry(tenant.clone()).or_default().note(&progress, Instant::now());
                if progress.events == 0 {
                    return Duration::ZERO;
                }
                self.metrics.projected(true, progress.events, progress.points, took);
            }
            Err(error) => {
                self.metrics.projected(false, 0, 0, took);
                self.tenants.entry(tenant.clone()).or_default().not_before = Some(Instant::now() + RETRY_FAILED);
                tracing::warn!(
                    tenant = tenant.as_str(),
                    error = format!("{error:#}"),
                    "a batch cannot be projected now"
                );
            }
        }
        took
    }

    fn lag(&self) -> ProjectionLag {
        let now = Instant::now();
        let events = self.tenants.values().map(Backlog::events).max().unwrap_or_default();
        let age = self.tenants.values().filter(|known| !known.is_stopped).map(|known| known.age(now)).max();
        let stopped = self.tenants.values().filter(|known| known.is_stopped).count();
        ProjectionLag { events, age: age.unwrap_or_default(), stopped }
    }

    fn tell(&self) {
        let lag = self.lag();
        self.projection.stopped.store(lag.stopped, Ordering::Relaxed);
        self.metrics.lags(lag);
    }
}

/// Waits. Returns true if the worker is told to stop meanwhile.
async fn pause(stopped: &mut watch::Receiver<bool>, rest: Duration) -> bool {
    tokio::select! {
        biased;
        _ = stopped.wait_for(|stopped| *stopped) => true,
        () = sleep(rest) => false,
    }
}
