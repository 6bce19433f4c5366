//! When the engine is left alone: once half of the calls of a minute have failed, for a while, and then it is tried with
//! one call.
//!
//! Each tenant has a circuit of its own, since an engine may fail on one tenant's documents alone. The circuits are this
//! process's: they spare the engine, and nothing is lost with them.

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

/// How long a delivery is put off while another one tries whether the engine is back.
const WHILE_PROBED: Duration = Duration::from_secs(1);

/// Over how long calls are counted. Several that wait for an engine that hangs until they are given up fit in.
const WINDOW: Duration = Duration::from_secs(60);

/// Which share of them has to fail. Failures in a row would not do: of calls that are made at once, those that hang end
/// together.
const FAILURES: f64 = 0.5;

/// When the engine is left alone.
#[derive(Debug, Clone, Copy)]
pub struct CircuitOptions {
    /// After how many calls within a minute at least, if half of them failed.
    pub calls: u16,
    /// For how long.
    pub pause: Duration,
}

impl Default for CircuitOptions {
    fn default() -> Self {
        Self { calls: 5, pause: Duration::from_secs(10) }
    }
}

/// Whether the engine is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circuit {
    /// It is.
    Closed,
    /// It is left alone.
    Open,
    /// One call tries whether it is back.
    HalfOpen,
}

impl Circuit {
    /// The name on the wire.
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

/// Tells whether a call failed because of the engine's state. Who is refused has found it at work, and an answer that
/// cannot be read says nothing of the next one.
#[derive(Debug, Clone, Copy)]
struct EngineAway;

impl FailureClassifier<Answer, RecommenderError> for EngineAway {
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
struct Guarded {
    client: CircuitBreaker<EngineClient, EngineAway>,
    handle: CircuitBreakerHandle<EngineAway>,
    /// Held once more by each call that is under way.
    calls: Arc<()>,
}

impl Guarded {
    /// Whether a call is under way, by the circuit itself and not a copy of it. One that was given up leaves a circuit half
    /// open, and nothing that could close it.
    fn is_asking(&self) -> bool {
        Arc::strong_count(&self.calls) > 1
    }
}

/// The engine behind one circuit for each tenant.
pub(super) struct Circuits {
    client: EngineClient,
    options: CircuitOptions,
    by_tenant: Mutex<HashMap<TenantId, Guarded>>,
}

impl Circuits {
    pub(super) fn new(client: EngineClient, options: CircuitOptions) -> Self {
        Self { client, options, by_tenant: Mutex::default() }
    }

    pub(super) fn state(&self, tenant: &TenantId) -> Circuit {
        self.locked().get(tenant).map_or(Circuit::Closed, |guarded| guarded.handle.state().into())
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<TenantId, Guarded>> {
        self.by_tenant.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, tenant: &TenantId) -> anyhow::Result<Guarded> {
        if let Some(guarded) = self.locked().get(tenant) {
            return Ok(guarded.clone());
        }
        let made = self.close_for(tenant)?;
        Ok(self.locked().entry(tenant.clone()).or_insert(made).clone())
    }

    fn close_for(&self, tenant: &TenantId) -> anyhow::Result<Guarded> {
        let name = tenant.to_string();
        let (layer, handle) = CircuitBreakerLayer::builder()
            .sliding_window_type(SlidingWindowType::TimeBased)
            .sliding_window_duration(WINDOW)
            .minimum_number_of_calls(self.options.calls.into())
            .failure_rate_threshold(FAILURES)
            .wait_duration_in_open(self.options.pause)
            .permitted_calls_in_half_open(1)
            .failure_classifier_type(EngineAway)
            .on_state_transition(move |from, to| tell(&name, from.into(), to.into()))
            .build_with_handle()?;
        Ok(Guarded { client: layer.layer(self.client.clone()), handle, calls: Arc::default() })
    }

    /// How long a delivery is put off that found the circuit open.
    async fn pause(&self, handle: &CircuitBreakerHandle<EngineAway>) -> Duration {
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
        let inquiry = self.client.inquiry(question)?;
        let Ok(Guarded { client, handle, calls: _call }) = self.of(&question.tenant_id) else {
            return self.client.clone().oneshot(inquiry).await;
        };
        match client.oneshot(inquiry).await {
            Ok(answer) => Ok(answer),
            Err(CircuitBreakerError::Inner(error)) => Err(error),
            Err(CircuitBreakerError::OpenCircuit) => {
                Err(RecommenderError::CircuitOpen { retry_after: self.pause(&handle).await })
            }
        }
    }
}
