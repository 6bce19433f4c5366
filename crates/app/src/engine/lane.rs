//! A narrow lane to the database, so that deliveries never stand in the way of ingestion.

use std::sync::Arc;

use async_trait::async_trait;
use mass_domain::delivery::WorkerName;
use mass_domain::port::PortError;
use mass_domain::time::Timestamp;
use mass_service::{Claim, Claimed, Conclusion, DeliveryStore, Recorded, Restraint};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many connections a worker has at once, however many calls it makes.
const WIDTH: usize = 2;

/// A store that is used by few at once. No connection is held while the engine is asked.
pub(super) struct Lane {
    store: Arc<dyn DeliveryStore>,
    permits: Semaphore,
}

impl Lane {
    pub(super) fn new(store: Arc<dyn DeliveryStore>) -> Self {
        Self { store, permits: Semaphore::new(WIDTH) }
    }

    async fn enter(&self) -> Result<SemaphorePermit<'_>, PortError> {
        self.permits.acquire().await.map_err(|error| PortError::Unexpected(error.into()))
    }
}

#[async_trait]
impl DeliveryStore for Lane {
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
        // What holds a lease must not wait behind what is recorded.
        self.store.extend(claims, until).await
    }

    async fn release_all(&self, worker: &WorkerName, at: Timestamp) -> Result<usize, PortError> {
        let _permit = self.enter().await?;
        self.store.release_all(worker, at).await
    }
}
