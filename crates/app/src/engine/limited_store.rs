//! Limits the database connections of deliveries, so that they never delay ingestion.

use std::sync::Arc;

use async_trait::async_trait;
use mass_domain::delivery::WorkerName;
use mass_domain::port::PortError;
use mass_domain::time::Timestamp;
use mass_service::{Claim, Claimed, Conclusion, DeliveryStore, Recorded, Restraint};
use tokio::sync::{Semaphore, SemaphorePermit};

/// The number of connections that a worker uses at a time, regardless of its concurrent calls.
const WIDTH: usize = 2;

/// A store with limited concurrency. No permit is held while the engine is called.
pub(super) struct LimitedStore {
    store: Arc<dyn DeliveryStore>,
    permits: Semaphore,
}

impl LimitedStore {
    pub(super) fn new(store: Arc<dyn DeliveryStore>) -> Self {
        Self { store, permits: Semaphore::new(WIDTH) }
    }

    async fn enter(&self) -> Result<SemaphorePermit<'_>, PortError> {
        self.permits.acquire().await.map_err(|error| PortError::Unexpected(error.into()))
    }
}

#[async_trait]
impl DeliveryStore for LimitedStore {
    async fn claim(
        &self,
        worker: &WorkerName,
        limit: u16,
        now: Timestamp,
        until: Timestamp,
        restraint: &Restraint,
    ) -> Result<Vec<Claimed>, PortError> {
        let _permit = self.enter().await?;
        self.store.claim(worker, limit, now, until, restraint).await
    }

    async fn record(&self, claim: &Claim, conclusion: Conclusion, at: Timestamp) -> Result<Recorded, PortError> {
        let _permit = self.enter().await?;
        self.store.record(claim, conclusion, at).await
    }

    async fn extend(&self, claims: &[Claim], until: Timestamp) -> Result<Vec<bool>, PortError> {
        // Extending leases must not wait behind other calls.
        self.store.extend(claims, until).await
    }

    async fn release_all(&self, worker: &WorkerName, at: Timestamp) -> Result<usize, PortError> {
        let _permit = self.enter().await?;
        self.store.release_all(worker, at).await
    }
}
