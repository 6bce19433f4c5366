//! Work of workers on whole tenants, which several servers share by leases.

use std::sync::Arc;

use async_trait::async_trait;

use crate::delivery::WorkerName;
use crate::names::named_enum;
use crate::port::PortError;
use crate::tenancy::TenantId;
use crate::time::{Clock, Timestamp};

/// The lease of a claim, in seconds. Work within one takes seconds. The tenant of a worker that has been killed, or that has
/// failed, is due again after it.
const LEASE_SECONDS: i64 = 60;

/// The text does not name a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown task \"{0}\"")]
pub struct UnknownTask(String);

named_enum!(
    /// A task on a tenant.
    TenantTask, UnknownTask {
        /// Evaluating the tenant's alert rules.
        Alerts = "alerts",
        /// Erasing documents by the tenant's retention rules.
        Retention = "retention",
        /// Erasing a deleted tenant.
        Erasure = "erasure",
    }
);

/// A task that a worker has taken. It holds until its lease ends and another worker takes the task, or until the task is
/// made due anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskClaim {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The task.
    pub task: TenantTask,
    /// The number of claims of the task, which tells this one from others.
    pub fence: i64,
}

/// The port of the queue of tasks, over all tenants.
#[async_trait]
pub trait TaskQueue: Send + Sync {
    /// Returns the tenant whose task is due first at `now`, without claiming it.
    async fn first_due(&self, task: TenantTask, now: Timestamp) -> Result<Option<TenantId>, PortError>;

    /// Claims the tenant whose task is due first at `now`, under a lease that ends at `until`.
    async fn claim(
        &self,
        task: TenantTask,
        worker: &WorkerName,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<TaskClaim>, PortError>;

    /// Ends a claim if it still holds. The task is due again at the instant, or never for `None`.
    async fn release(&self, claim: &TaskClaim, due_at: Option<Timestamp>) -> Result<(), PortError>;
}

/// A worker on a task.
pub struct TaskWorker {
    queue: Arc<dyn TaskQueue>,
    task: TenantTask,
    clock: Arc<dyn Clock>,
    name: WorkerName,
}

/// A visit to a tenant under a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// The claim.
    pub claim: TaskClaim,
    /// The begin of the visit.
    pub at: Timestamp,
    until: Timestamp,
}

impl TaskWorker {
    /// Builds a worker. Its name has to be unique among all servers.
    #[must_use]
    pub const fn new(queue: Arc<dyn TaskQueue>, task: TenantTask, clock: Arc<dyn Clock>, name: WorkerName) -> Self {
        Self { queue, task, clock, name }
    }

    /// Returns the current instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the tenant that is due first, without claiming it.
    ///
    /// # Errors
    /// The queue's.
    pub async fn first_due(&self) -> Result<Option<TenantId>, PortError> {
        self.queue.first_due(self.task, self.now()).await
    }

    /// Begins a visit to the tenant that is due first, if there is one.
    ///
    /// # Errors
    /// The queue's.
    pub async fn begin(&self) -> Result<Option<Visit>, PortError> {
        let at = self.now();
        let until = at.plus_seconds(LEASE_SECONDS).unwrap_or(at);
        let claim = self.queue.claim(self.task, &self.name, at, until).await?;
        Ok(claim.map(|claim| Visit { claim, at, until }))
    }

    /// Tells whether the lease of a visit has ended.
    #[must_use]
    pub fn is_over(&self, visit: &Visit) -> bool {
        self.now() >= visit.until
    }

    /// Ends a visit. The tenant is due again after this number of seconds, or never for `None`.
    ///
    /// # Errors
    /// The queue's. The tenant is due again when the lease ends.
    pub async fn end(&self, visit: &Visit, seconds: Option<i64>) -> Result<(), PortError> {
        let now = self.now();
        let due_at = seconds.map(|seconds| now.plus_seconds(seconds).unwrap_or(now));
        self.queue.release(&visit.claim, due_at).await
    }
}
