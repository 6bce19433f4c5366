//! The erasure of deleted tenants.

use std::sync::Arc;

use async_trait::async_trait;
use mass_domain::access::Actor;
use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::delivery::WorkerName;
use mass_domain::port::PortError;
use mass_domain::tasks::{TaskQueue, TaskWorker, TenantTask, Visit};
use mass_domain::tenancy::TenantId;
use mass_domain::time::{Clock, Timestamp};
use mass_domain::trace::Origin;

/// The rows that one transaction deletes.
const STEP: u16 = 1000;

/// The transactions of a worker before it looks around again.
const STEPS: u16 = 20;

/// The time after which an erased tenant is looked through once more, and a held one again, in seconds.
const LATER_SECONDS: i64 = 600;

/// What becomes of a tenant that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// It is to be erased; from now on nothing stops that.
    Erasing,
    /// It is erased, but for what was written while that was under way.
    Erased,
    /// A legal hold covers its documents.
    Held,
    /// Its deletion is no longer requested, or not due yet.
    NotDue,
    /// This server may not erase it: it has the role that serves alone. It stays due for a server that may.
    NotAllowed,
}

/// The port of the workers that erase tenants.
#[async_trait]
pub trait ErasureStore: Send + Sync {
    /// Tells whether the store may erase tenants. In PostgreSQL, the role that serves may not.
    async fn may_erase(&self) -> Result<bool, PortError>;

    /// Begins the erasure of a tenant that is due at the instant and without a legal hold.
    async fn begin(&self, tenant: &TenantId, at: Timestamp) -> Result<Beginning, PortError>;

    /// Deletes at most this number of rows of a tenant, or of its events all but their hashes. Returns their number: 0 once
    /// nothing is left.
    async fn erase(&self, tenant: &TenantId, limit: u16) -> Result<usize, PortError>;

    /// Records the end of the erasure in the tenant's log and in that of the system tenant. Does nothing if it is recorded.
    async fn finish(&self, tenant: &TenantId, act: Act) -> Result<(), PortError>;

    /// Removes erased content from the database's own log, now or once its readers have ended.
    async fn sweep(&self);
}

/// Builds the event of the end of an erasure for a log: that of the tenant, or that of the system tenant.
#[must_use]
pub fn erased_event(act: &Act, log: &TenantId, tenant: &TenantId) -> NewEvent {
    act.done(log, Action::TenantErased, Object::Tenant(tenant.clone()))
}

/// The use case of the workers that erase tenants.
pub struct Eraser {
    store: Arc<dyn ErasureStore>,
    worker: TaskWorker,
}

/// The result of a visit to a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasureVisit {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The state in which it was found.
    pub found: Beginning,
    /// True if nothing of it is left.
    pub is_done: bool,
}

impl Eraser {
    /// Puts the use case on top of a store and a queue, for a worker whose name is unique among all servers.
    #[must_use]
    pub fn new(
        store: Arc<dyn ErasureStore>,
        queue: Arc<dyn TaskQueue>,
        clock: Arc<dyn Clock>,
        name: WorkerName,
    ) -> Self {
        Self { store, worker: TaskWorker::new(queue, TenantTask::Erasure, clock, name) }
    }

    /// Visits the tenant that is due first: erases what is left of it, in several transactions. Returns `None` if no tenant is
    /// due.
    ///
    /// # Errors
    /// [`PortError`]. The tenant is then due again when the lease ends.
    pub async fn visit(&self, origin: &Origin) -> Result<Option<ErasureVisit>, PortError> {
        let Some(tenant_id) = self.worker.first_due().await? else { return Ok(None) };
        if !self.store.may_erase().await? {
            // Without a claim, which would keep a server waiting that may.
            return Ok(Some(ErasureVisit { tenant_id, found: Beginning::NotAllowed, is_done: false }));
        }
        let Some(visit) = self.worker.begin().await? else { return Ok(None) };
        let tenant = &visit.claim.tenant_id;
        let found = self.store.begin(tenant, visit.at).await?;
        let is_begun = matches!(found, Beginning::Erasing | Beginning::Erased);
        let is_done = is_begun && self.erase(&visit).await?;
        let due_in = match found {
            Beginning::Erasing | Beginning::Erased if !is_done => Some(0),
            Beginning::Erasing => {
                self.store.finish(tenant, Act::new(Actor::System, self.worker.now(), origin)).await?;
                // Once more, for what was under way.
                Some(LATER_SECONDS)
            }
            Beginning::Held => Some(LATER_SECONDS),
            Beginning::Erased | Beginning::NotDue | Beginning::NotAllowed => None,
        };
        self.worker.end(&visit, due_in).await?;
        Ok(Some(ErasureVisit { tenant_id: visit.claim.tenant_id, found, is_done }))
    }

    /// Deletes rows for a while. Returns whether nothing is left.
    async fn erase(&self, visit: &Visit) -> Result<bool, PortError> {
        let (mut is_done, mut has_erased) = (false, false);
        for _ in 0..STEPS {
            is_done = self.store.erase(&visit.claim.tenant_id, STEP).await? == 0;
            has_erased |= !is_done;
            if is_done || self.worker.is_over(visit) {
                break;
            }
        }
        if has_erased {
            self.store.sweep().await;
        }
        Ok(is_done)
    }
}
