//! Delivery: a worker claims due deliveries, asks the engine, and records the conclusions.
//!
//! The engine may be asked more than once about a request, within a round always under the same idempotency key. Its
//! answer is recorded once, by the holder of the lease.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use mass_domain::delivery::{DeadReason, Failure, FailureCode, RetryDecision, RetryPolicy, WorkerName, later};
use mass_domain::ids::RecommendationId;
use mass_domain::port::PortError;
use mass_domain::recommendation::{Advice, Recommendation, check_guardrails};
use mass_domain::time::{Clock, Timestamp};

use crate::claim::{Claim, Claimed, Conclusion, Question, Recorded, Restraint};
use crate::ids::IdSequence;
use crate::observer::{Attempt, DeliveryObserver};
use crate::store::DeliveryStore;

/// An answer of the engine, unparsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The body of a 200.
    pub body: Vec<u8>,
    /// The latency.
    pub latency: Duration,
}

/// Reason for which the engine gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecommenderError {
    /// The circuit is open: the engine was not asked.
    #[error("the engine is left alone for {retry_after:?}")]
    CircuitOpen {
        /// The time until the circuit is half-open.
        retry_after: Duration,
    },
    /// The attempt failed.
    #[error("{}: {}", .failure.code, .failure.detail)]
    Failed {
        /// The failure, without secrets.
        failure: Failure,
        /// Tells whether the same request may succeed later.
        retryable: bool,
        /// The pause that the engine asked for.
        retry_after: Option<Duration>,
    },
}

/// The port to the engine.
#[async_trait]
pub trait Recommender: Send + Sync {
    /// Asks once. Answers within a time that is shorter than a lease.
    async fn recommend(&self, question: &Question) -> Result<Answer, RecommenderError>;

    /// Returns the tenants whose circuit is not closed. A delivery that is claimed nevertheless is postponed by
    /// [`RecommenderError::CircuitOpen`].
    async fn restraint(&self) -> Restraint {
        Restraint::default()
    }
}

/// Settings of delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliverySettings {
    /// The duration of a lease unless it is extended. Longer than the timeout of the engine.
    pub lease: Duration,
    /// The retry policy.
    pub retry: RetryPolicy,
}

/// A source of random numbers from 0 to 1.
pub type Randomness = Arc<dyn Fn() -> f64 + Send + Sync>;

/// The use cases of a delivery worker.
pub struct Deliverer {
    store: Arc<dyn DeliveryStore>,
    recommender: Arc<dyn Recommender>,
    clock: Arc<dyn Clock>,
    random: Randomness,
    settings: DeliverySettings,
    observer: Arc<dyn DeliveryObserver>,
    ids: IdSequence,
}

impl Deliverer {
    /// Puts the use cases on top of a store and the engine.
    #[must_use]
    pub fn new(
        store: Arc<dyn DeliveryStore>,
        recommender: Arc<dyn Recommender>,
        clock: Arc<dyn Clock>,
        random: Randomness,
        settings: DeliverySettings,
    ) -> Self {
        let ids = IdSequence::new();
        Self { store, recommender, clock, random, settings, observer: Arc::new(()), ids }
    }

    /// Sets the observer of attempts.
    #[must_use]
    pub fn observed_by(self, observer: Arc<dyn DeliveryObserver>) -> Self {
        Self { observer, ..self }
    }

    /// Claims up to `limit` due deliveries and asks the engine about all of them at once. Returns the conclusion of
    /// each.
    ///
    /// # Errors
    /// [`PortError`] if nothing could be claimed. A delivery whose conclusion could not be recorded is due again when
    /// its lease ends.
    pub async fn deliver_next(
        &self,
        worker: &WorkerName,
        limit: u16,
    ) -> Result<Vec<Result<(Conclusion, Recorded), PortError>>, PortError> {
        let claimed = self.claim(worker, limit).await?;
        Ok(join_all(claimed.into_iter().map(|claimed| self.deliver(claimed))).await)
    }

    /// Claims up to `limit` due deliveries that the engine may be asked about; the tenants take turns. No delivery is
    /// claimed twice at once, by any worker of any process.
    ///
    /// # Errors
    /// [`PortError`]; deliveries that were claimed nevertheless are due again when their leases end.
    pub async fn claim(&self, worker: &WorkerName, limit: u16) -> Result<Vec<Claimed>, PortError> {
        let now = self.clock.now();
        self.store.claim(worker, limit, now, self.lease_end(now), &self.recommender.restraint().await).await
    }

    /// Asks the engine about a delivery and records the conclusion.
    ///
    /// # Errors
    /// [`PortError`]; the delivery is due again when its lease ends.
    pub async fn deliver(&self, claimed: Claimed) -> Result<(Conclusion, Recorded), PortError> {
        let conclusion = self.conclude(&claimed).await;
        let recorded = self.store.record(&claimed.claim, conclusion.clone(), self.clock.now()).await?;
        self.observer.attempted(Attempt::of(&conclusion, recorded));
        Ok((conclusion, recorded))
    }

    /// Extends the leases of claims. Returns for each whether it still holds.
    ///
    /// # Errors
    /// [`PortError`].
    pub async fn extend(&self, claims: &[Claim]) -> Result<Vec<bool>, PortError> {
        self.store.extend(claims, self.lease_end(self.clock.now())).await
    }

    /// Releases all claims of a worker; the deliveries are due at once, and the attempts do not count. Returns the
    /// number of claims.
    ///
    /// # Errors
    /// [`PortError`]; deliveries that were not released are due again when their leases end.
    pub async fn release_all(&self, worker: &WorkerName) -> Result<usize, PortError> {
        self.store.release_all(worker, self.clock.now()).await
    }

    fn lease_end(&self, now: Timestamp) -> Timestamp {
        later(now, self.settings.lease).unwrap_or(now)
    }

    async fn conclude(&self, claimed: &Claimed) -> Conclusion {
        if !self.settings.retry.may_ask(claimed.attempt) {
            // The worker of the last attempt died before it recorded a conclusion; the request may have been the cause.
            let detail = "The worker that asked the engine was gone before it told what became of it.".to_owned();
            let failure = Failure { code: FailureCode::Lost, detail };
            return Conclusion::Dead { failure, reason: DeadReason::AttemptsExhausted };
        }
        match self.recommender.recommend(&claimed.question).await {
            Ok(answer) => self.judge(claimed, &answer),
            Err(RecommenderError::CircuitOpen { retry_after }) => {
                let now = self.clock.now();
                Conclusion::Postponed { due_at: later(now, retry_after).unwrap_or(now) }
            }
            Err(RecommenderError::Failed { failure, retryable: false, retry_after: _ }) => {
                Conclusion::Dead { failure, reason: DeadReason::NotRetryable }
            }
            Err(RecommenderError::Failed { failure, retryable: true, retry_after }) => {
                self.after(claimed, failure, retry_after)
            }
        }
    }

    /// Judges an answer. A malformed one may have been garbled on its way, and leads to a retry.
    fn judge(&self, claimed: &Claimed, answer: &Answer) -> Conclusion {
        let Claimed { claim, question, requirements, site_id, device_id, .. } = claimed;
        let advice = match Advice::read(&answer.body, question.fingerprint) {
            Ok(advice) => advice,
            Err(malformed) => {
                let failure = Failure { code: FailureCode::Malformed, detail: malformed.to_string() };
                return self.after(claimed, failure, None);
            }
        };
        let flags = check_guardrails(&advice, &requirements.hard);
        let created_at = self.clock.now();
        Conclusion::Answered(Box::new(Recommendation {
            id: RecommendationId::from_uuid(self.ids.next(created_at)),
            tenant_id: claim.tenant_id.clone(),
            request_id: question.request_id,
            delivery_id: claim.delivery_id,
            contract: question.contract,
            site_id: site_id.clone(),
            device_id: device_id.clone(),
            created_at,
            advice,
            flags,
            latency_ms: i64::try_from(answer.latency.as_millis()).unwrap_or(i64::MAX),
            slo_ms: requirements.slo_ms,
        }))
    }

    fn after(&self, claimed: &Claimed, failure: Failure, retry_after: Option<Duration>) -> Conclusion {
        let Claimed { attempt, queued_at, .. } = *claimed;
        match self.settings.retry.decide(attempt, queued_at, self.clock.now(), retry_after, (self.random)()) {
            RetryDecision::Retry(due_at) => Conclusion::Retry { failure, due_at },
            RetryDecision::Dead(reason) => Conclusion::Dead { failure, reason },
        }
    }
}
