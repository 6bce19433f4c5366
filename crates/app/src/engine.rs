//! The engine as MASS sees it: where it is, how it is asked, and who asks.
//!
//! What is asked, when again, and what becomes of an answer is decided in `mass-service`. Here is what knows of HTTP, of
//! this process and of its end.

pub mod address;
mod circuits;
mod client;
mod lane;
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

/// How the engine is reached.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Where it is.
    pub url: EngineUrl,
    /// What MASS proves itself to it with.
    pub token: Option<EngineToken>,
    /// How long an answer may take if the document does not say.
    pub timeout: Duration,
    /// How many calls are made at once.
    pub concurrency: u16,
    /// When it is left alone.
    pub circuit: CircuitOptions,
    /// Whether what is accepted is sent to it without being asked to, where the tenant has not decided.
    pub auto_send: bool,
}

/// The engine, if there is one.
#[derive(Default)]
pub struct Engine {
    circuits: Option<Arc<Circuits>>,
    auto_send: AutoSend,
    work: Notify,
}

impl Engine {
    /// An engine that is reached so.
    ///
    /// # Errors
    /// When no client can be made: TLS cannot be set up.
    pub fn new(options: &EngineOptions) -> reqwest::Result<Self> {
        let client = EngineClient::new(options)?;
        let circuits = Some(Arc::new(Circuits::new(client, options.circuit)));
        let auto_send = if options.auto_send { AutoSend::On } else { AutoSend::Off };
        Ok(Self { circuits, auto_send, work: Notify::new() })
    }

    /// Whether there is one.
    #[must_use]
    pub const fn is_configured(&self) -> bool {
        self.circuits.is_some()
    }

    /// Whether what is accepted is sent to it without being asked to, where the tenant has not decided.
    #[must_use]
    pub const fn auto_send(&self) -> AutoSend {
        self.auto_send
    }

    /// What can be asked, if there is an engine.
    #[must_use]
    pub fn recommender(&self) -> Option<Arc<dyn Recommender>> {
        self.circuits.clone().map(|circuits| circuits as Arc<dyn Recommender>)
    }

    /// Whether this process asks the engine about a tenant's requests at present; `None` without an engine.
    #[must_use]
    pub fn circuit(&self, tenant: &TenantId) -> Option<Circuit> {
        self.circuits.as_ref().map(|circuits| circuits.state(tenant))
    }

    /// Tells the worker of this process that something of a tenant waits in the queue. While the engine is not asked about
    /// that tenant's requests, it is not disturbed.
    pub fn wake(&self, tenant: &TenantId) {
        if self.circuit(tenant) == Some(Circuit::Closed) {
            self.work.notify_one();
        }
    }

    /// Tells the worker of this process that documents have been accepted, if any of them was put in the queue with that.
    pub fn accepted<'a>(&self, receipts: impl IntoIterator<Item = &'a Receipt>) {
        if let Some(sent) = receipts.into_iter().find(|receipt| receipt.sent) {
            self.wake(&sent.request.summary.tenant_id);
        }
    }

    async fn woken(&self) {
        self.work.notified().await;
    }
}

/// The store of deliveries as workers use it: with few of its connections at once, so that ingestion has the others.
#[must_use]
pub fn in_lane(store: Arc<dyn DeliveryStore>) -> Arc<dyn DeliveryStore> {
    Arc::new(lane::Lane::new(store))
}
