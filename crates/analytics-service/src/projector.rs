//! The projector: it brings a tenant's series up to the end of the audit log.

use std::sync::Arc;

use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;

use crate::store::{ProjectionStore, Unreadable};

/// Reason for which a projection was not moved.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// How far a projection has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The sequence of the last projected event.
    pub position: i64,
    /// The number of events in the log when it was read.
    pub head: i64,
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
}

impl Projector {
    /// Puts a projector on top of a store.
    #[must_use]
    pub fn new(store: Arc<dyn ProjectionStore>) -> Self {
        Self { store }
    }

    /// Lists the tenants.
    ///
    /// # Errors
    /// [`ProjectError`].
    pub async fn tenants(&self) -> Result<Vec<TenantId>, ProjectError> {
        Ok(self.store.tenants().await?)
    }

    /// Projects the next batch of a tenant's log, if there is any. If another server has moved the projection meanwhile,
    /// nothing is changed and nothing was added.
    ///
    /// # Errors
    /// [`ProjectError`]. The projection is then unchanged.
    pub async fn step(&self, tenant: &TenantId) -> Result<Progress, ProjectError> {
        let batch = self.store.next(tenant, 1, 1).await?;
        Ok(Progress { position: batch.from, head: batch.head, points: 0, stopped: batch.stopped })
    }

    /// Projects a tenant's log up to the end that it had at the last step.
    ///
    /// # Errors
    /// [`ProjectError`]. The batches before it are projected.
    pub async fn catch_up(&self, tenant: &TenantId) -> Result<Progress, ProjectError> {
        self.step(tenant).await
    }

    /// Deletes a tenant's projection, and projects its log from the beginning.
    ///
    /// # Errors
    /// [`ProjectError`]. The next step goes on.
    pub async fn rebuild(&self, tenant: &TenantId) -> Result<Progress, ProjectError> {
        self.store.clear(tenant).await?;
        self.catch_up(tenant).await
    }
}
