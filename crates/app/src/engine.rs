//! The connection to the engine: its address, the HTTP client, the circuit breakers and the worker.
//!
//! `mass-service` decides which deliveries are attempted, when they are retried and how answers are judged. This module
//! knows HTTP, this process and its shutdown.

pub mod address;
mod circuits;
mod client;
mod limited_store;
mod resolver;
pub mod worker;

use std::sync::Arc;
use std::time::Duration;

use mass_domain::tenancy::{AutoSend, TenantId};
use mass_service::{DeliveryStore, Receipt, Recommender};
use tokio::sync::Notify;

pub use circuits::{Circuit, CircuitOptions};
pub use client::{EngineToken, UnusableToken};
pub use worker::{RunningWorker, Stopper, Worker};

use address::EngineUrl;
use circuits::Circuits;
use client::EngineClient;

/// The settings of the engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Its URL.
    pub url: EngineUrl,
    /// The bearer token with which MASS authenticates.
    pub token: Option<EngineToken>,
    /// The timeout of a call if the document has none.
    pub timeout: Duration,
    /// The number of concurrent calls.
    pub concurrency: u16,
    /// The settings of the circuit breakers.
    pub circuit: CircuitOptions,
    /// True if accepted requests are sent automatically, unless the tenant decides otherwise.
    pub auto_send: bool,
}

/// The engine, if one is configured.
#[derive(Default)]
pub struct Engine {
    circuits: Option<Arc<Circuits>>,
    auto_send: AutoSend,
    work: Notify,
}

impl Engine {
    /// Creates the engine from its settings.
    ///
    /// # Errors
    /// If the client cannot be created because TLS cannot be set up.
    pub fn new(options: &EngineOptions) -> reqwest::Result<Self> {
        let client = EngineClient::new(options)?;
        let circuits = Some(Arc::new(Circuits::new(client, options.circuit)));
        let auto_send = if options.auto_send { AutoSend::On } else { AutoSend::Off };
        Ok(Self { circuits, auto_send, work: Notify::new() })
    }

    /// Returns true if an engine is configured.
    #[must_use]
    pub const fn is_configured(&self) -> bool {
        self.circuits.is_some()
    }

    /// Returns whether accepted requests are sent automatically if the tenant has not decided.
    #[must_use]
    pub const fn auto_send(&self) -> AutoSend {
        self.auto_send
    }

    /// Returns the client of the engine, if one is configured.
    #[must_use]
    pub fn recommender(&self) -> Option<Arc<dyn Recommender>> {
        self.circuits.clone().map(|circuits| circuits as Arc<dyn Recommender>)
    }

    /// Returns the state of a tenant's circuit breaker in this process; `None` without an engine.
    #[must_use]
    pub fn circuit(&self, tenant: &TenantId) -> Option<Circuit> {
        self.circuits.as_ref().map(|circuits| circuits.state(tenant))
    }

    /// Wakes the worker of this process for a tenant's queue, unless the tenant's circuit is open.
    pub fn wake(&self, tenant: &TenantId) {
        if self.circuit(tenant) == Some(Circuit::Closed) {
            self.work.notify_one();
        }
    }

    /// Wakes the worker of this process if any of the accepted documents was queued.
    pub fn accepted<'a>(&self, receipts: impl IntoIterator<Item = &'a Receipt>) {
        if let Some(sent) = receipts.into_iter().find(|receipt| receipt.sent) {
            self.wake(&sent.request.summary.tenant_id);
        }
    }

    async fn woken(&self) {
        self.work.notified().await;
    }
}

/// Returns the status with which the engine answers a request without a document, which tells that it is there.
///
/// # Errors
/// A sentence, if it gives no answer.
pub async fn probe(options: &EngineOptions) -> Result<u16, String> {
    let client = EngineClient::new(options).map_err(|error| error.to_string())?;
    Ok(client.probe().await?.as_u16())
}

/// Limits the concurrent database calls of workers, so that most connections are left for ingestion.
#[must_use]
pub fn with_limited_connections(store: Arc<dyn DeliveryStore>) -> Arc<dyn DeliveryStore> {
    Arc::new(limited_store::LimitedStore::new(store))
}
