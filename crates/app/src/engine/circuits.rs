//! Circuit breakers: after half of the calls of a minute have failed, the engine is not called for a while, and then
//! probed with one call.
//!
//! Each tenant has its own circuit, because an engine may fail on one tenant's documents only. The state is kept per
//! process and in memory; losing it costs only a few extra calls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use mass_domain::delivery::FailureCode;
use mass_domain::tenancy::TenantId;
use mass_service::{Answer, Question, Recommender, RecommenderError, Restraint};
use tower::{Layer, ServiceExt};
use tower_resilience_circuitbreaker::{
    CircuitBreaker, CircuitBreakerError, CircuitBreakerHandle, CircuitBreakerLayer, CircuitState, FailureClassifier,
    SlidingWindowType,
};

use super::client::EngineClient;

/// The delay of a delivery while another one probes the engine.
const WHILE_PROBED: Duration = Duration::from_secs(1);

/// The window over which calls are counted. It is long enough for several calls that hang until their timeout.
const WINDOW: Duration = Duration::from_secs(60);

/// The share of failed calls that opens the circuit. Counting consecutive failures would not do, because concurrent
/// calls that hang end together.
const FAILURES: f64 = 0.5;

/// The thresholds of a circuit breaker.
#[derive(Debug, Clone, Copy)]
pub struct CircuitOptions {
    /// The minimum number of calls within a minute before the circuit can open.
    pub calls: u16,
    /// The time for which an open circuit stays open.
    pub pause: Duration,
}

impl Default for CircuitOptions {
    fn default() -> Self {
        Self { calls: 5, pause: Duration::from_secs(10) }
    }
}

/// The state of a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circuit {
    /// Calls pass.
    Closed,
    /// No call is made.
    Open,
    /// One call probes the engine.
    HalfOpen,
}

impl Circuit {
    /// Returns the name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

impl From<CircuitState> for Circuit {
    fn from(state: CircuitState) -> Self {
        match state {
            CircuitState::Closed => Self::Closed,
            CircuitState::Open => Self::Open,
            CircuitState::HalfOpen => Self::HalfOpen,
        }
    }
}

/// Decides whether a failed call counts against the engine's state. A refusal shows that the engine works, and an
/// unreadable answer says nothing about the next one.
#[derive(Debug, Clone, Copy)]
struct EngineFailureClassifier;

impl FailureClassifier<Answer, RecommenderError> for EngineFailureClassifier {
    fn classify(&self, result: &Result<Answer, RecommenderError>) -> bool {
        use FailureCode::{Busy, EngineFault, Lost, Malformed, Refused, Timeout, Unreachable};
        match result {
            Ok(_) | Err(RecommenderError::CircuitOpen { .. }) => false,
            Err(RecommenderError::Failed { failure, .. }) => match failure.code {
                Unreachable | Timeout | Busy | EngineFault => true,
                Refused | Malformed | Lost => false,
            },
        }
    }
}

#[derive(Clone)]
struct GuardedClient {
    client: CircuitBreaker<EngineClient, EngineFailureClassifier>,
    handle: CircuitBreakerHandle<EngineFailureClassifier>,
    /// Cloned by each call that is under way.
    calls: Arc<()>,
}

impl GuardedClient {
    /// Returns true if a call is under way. A cancelled probe leaves its circuit half open, with no call that could
    /// close it.
    fn is_asking(&self) -> bool {
        Arc::strong_count(&self.calls) > 1
    }
}

/// The engine behind one circuit breaker per tenant.
pub(super) struct Circuits {
    client: EngineClient,
    options: CircuitOptions,
    by_tenant: Mutex<HashMap<TenantId, GuardedClient>>,
}

impl Circuits {
    pub(super) fn new(client: EngineClient, options: CircuitOptions) -> Self {
        Self { client, options, by_tenant: Mutex::default() }
    }

    pub(super) fn state(&self, tenant: &TenantId) -> Circuit {
        self.locked().get(tenant).map_or(Circuit::Closed, |guarded| guarded.handle.state().into())
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<TenantId, GuardedClient>> {
        self.by_tenant.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, tenant: &TenantId) -> anyhow::Result<GuardedClient> {
        if let Some(guarded) = self.locked().get(tenant) {
            return Ok(guarded.clone());
        }
        let made = self.close_for(tenant)?;
        Ok(self.locked().entry(tenant.clone()).or_insert(made).clone())
    }

    fn close_for(&self, tenant: &TenantId) -> anyhow::Result<GuardedClient> {
        let name = tenant.to_string();
        let (layer, handle) = CircuitBreakerLayer::builder()
            .sliding_window_type(SlidingWindowType::TimeBased)
            .sliding_window_duration(WINDOW)
            .minimum_number_of_calls(self.options.calls.into())
            .failure_rate_threshold(FAILURES)
            .wait_duration_in_open(self.options.pause)
            .permitted_calls_in_half_open(1)
            .failure_classifier_type(EngineFailureClassifier)
            .on_state_transition(move |from, to| tell(&name, from.into(), to.into()))
            .build_with_handle()?;
        Ok(GuardedClient { client: layer.layer(self.client.clone()), handle, calls: Arc::default() })
    }

    /// Returns the delay of a delivery that found the circuit open.
    async fn pause(&self, handle: &CircuitBreakerHandle<EngineFailureClassifier>) -> Duration {
        let metrics = handle.metrics().await;
        match metrics.state {
            CircuitState::Open => self.options.pause.saturating_sub(metrics.time_since_state_change),
            CircuitState::Closed | CircuitState::HalfOpen => WHILE_PROBED.min(self.options.pause),
        }
    }
}

fn tell(tenant: &str, from: Circuit, to: Circuit) {
    let (from, to) = (from.as_str(), to.as_str());
    tracing::warn!(tenant, from, to, "the circuit to the engine changes");
}

#[async_trait]
impl Recommender for Circuits {
    async fn restraint(&self) -> Restraint {
        let open: Vec<_> = {
            let circuits = self.locked();
            let open = circuits.iter().filter(|(_, guarded)| guarded.handle.state() != CircuitState::Closed);
            open.map(|(tenant, guarded)| (tenant.clone(), guarded.handle.clone(), guarded.is_asking())).collect()
        };
        let mut restraint = Restraint::default();
        for (tenant, handle, is_asking) in open {
            let metrics = handle.metrics().await;
            let is_left_alone = match metrics.state {
                CircuitState::Closed => continue,
                CircuitState::Open => metrics.time_since_state_change < self.options.pause,
                CircuitState::HalfOpen => is_asking,
            };
            let whom = if is_left_alone { &mut restraint.none_of } else { &mut restraint.one_of };
            whom.push(tenant);
        }
        restraint
    }

    async fn recommend(&self, question: &Question) -> Result<Answer, RecommenderError> {
        let call = self.client.prepare(question)?;
        let Ok(GuardedClient { client, handle, calls: _call }) = self.of(&question.tenant_id) else {
            return self.client.clone().oneshot(call).await;
        };
        match client.oneshot(call).await {
            Ok(answer) => Ok(answer),
            Err(CircuitBreakerError::Inner(error)) => Err(error),
            Err(CircuitBreakerError::OpenCircuit) => {
                Err(RecommenderError::CircuitOpen { retry_after: self.pause(&handle).await })
            }
        }
    }
}
