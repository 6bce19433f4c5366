//! Asking the engine about what waits in the queue, as a worker does.
//!
//! The engine may be asked more than once about the same request, always under the same key; its answer is recorded once,
//! by whoever holds the lease then.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use mass_domain::delivery::{DeadReason, Failure, FailureCode, RetryDecision, RetryPolicy, WorkerName, later};
use mass_domain::ids::RecommendationId;
use mass_domain::port::PortError;
use mass_domain::recommendation::{Advice, Recommendation, check_guardrails};
use mass_domain::time::{Clock, Timestamp};
use uuid::{ContextV7, Uuid};

use crate::claim::{Claim, Claimed, Conclusion, Question, Recorded, Restraint};
use crate::observer::{Attempt, DeliveryObserver};
use crate::store::DeliveryStore;

/// What the engine answered, unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The body of a 200.
    pub body: Vec<u8>,
    /// How long it took.
    pub latency: Duration,
}

/// Why the engine gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecommenderError {
    /// It was not asked, since it failed too often just now.
    #[error("the engine is left alone for {retry_after:?}")]
    CircuitOpen {
        /// When it may be asked again.
        retry_after: Duration,
    },
    /// It was asked in vain.
    #[error("{}: {}", .failure.code, .failure.detail)]
    Failed {
        /// What went wrong, without a secret.
        failure: Failure,
        /// Whether the same request may succeed later.
        retryable: bool,
        /// How long the engine wants to be left alone.
        retry_after: Option<Duration>,
    },
}

/// The engine.
#[async_trait]
pub trait Recommender: Send + Sync {
    /// Asks once. Answers within a time that is shorter than a lease.
    async fn recommend(&self, question: &Question) -> Result<Answer, RecommenderError>;

    /// About whose requests it would not be asked now. What is claimed nevertheless is put off by
    /// [`RecommenderError::CircuitOpen`].
    async fn restraint(&self) -> Restraint {
        Restraint::default()
    }
}

/// How a worker goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliverySettings {
    /// How long a claim holds unless it is extended. Longer than the engine takes to answer or to be given up.
    pub lease: Duration,
    /// How often and how long the engine is asked.
    pub retry: RetryPolicy,
}

/// Where random numbers from 0 to 1 come from.
pub type Randomness = Arc<dyn Fn() -> f64 + Send + Sync>;

/// Delivers what waits in the queue.
pub struct Deliverer {
    store: Arc<dyn DeliveryStore>,
    recommender: Arc<dyn Recommender>,
    clock: Arc<dyn Clock>,
    random: Randomness,
    settings: DeliverySettings,
    observer: Arc<dyn DeliveryObserver>,
    ids: Mutex<ContextV7>,
}

impl Deliverer {
    /// A deliverer from the store to the engine.
    #[must_use]
    pub fn new(
        store: Arc<dyn DeliveryStore>,
        recommender: Arc<dyn Recommender>,
        clock: Arc<dyn Clock>,
        random: Randomness,
        settings: DeliverySettings,
    ) -> Self {
        let ids = Mutex::new(ContextV7::new());
        Self { store, recommender, clock, random, settings, observer: Arc::new(()), ids }
    }

    /// The same, with somebody who hears what becomes of deliveries.
    #[must_use]
    pub fn observed_by(self, observer: Arc<dyn DeliveryObserver>) -> Self {
        Self { observer, ..self }
    }

    /// Claims up to `limit` deliveries that are due, and asks the engine about all of them at once. Tells what became of
    /// each; none if nothing is due.
    ///
    /// # Errors
    /// [`PortError`] if nothing could be claimed. One that could not be recorded is taken over when its lease ends.
    pub async fn deliver_next(
        &self,
        worker: &WorkerName,
        limit: u16,
    ) -> Result<Vec<Result<(Conclusion, Recorded), PortError>>, PortError> {
        let claimed = self.claim(worker, limit).await?;
        Ok(join_all(claimed.into_iter().map(|claimed| self.deliver(claimed))).await)
    }

    /// Claims up to `limit` deliveries that are due and that the engine may be asked about; the tenants take turns. Whatever
    /// the deliverers and processes, no two have the same one.
    ///
    /// # Errors
    /// [`PortError`]; what was claimed nevertheless is taken over when its lease ends.
    pub async fn claim(&self, worker: &WorkerName, limit: u16) -> Result<Vec<Claimed>, PortError> {
        let now = self.clock.now();
        self.store.claim(worker, limit, now, self.lease_end(now), &self.recommender.restraint().await).await
    }

    /// Asks the engine about a delivery and records what became of it.
    ///
    /// # Errors
    /// [`PortError`]; the delivery is taken over when its lease ends then.
    pub async fn deliver(&self, claimed: Claimed) -> Result<(Conclusion, Recorded), PortError> {
        let conclusion = self.conclude(&claimed).await;
        let recorded = self.store.record(&claimed.claim, conclusion.clone(), self.clock.now()).await?;
        self.observer.attempted(Attempt::of(&conclusion, recorded));
        Ok((conclusion, recorded))
    }

    /// Holds claims for longer. Tells in their order which are still held.
    ///
    /// # Errors
    /// [`PortError`].
    pub async fn extend(&self, claims: &[Claim]) -> Result<Vec<bool>, PortError> {
        self.store.extend(claims, self.lease_end(self.clock.now())).await
    }

    /// Gives back all that a worker has claimed, so that others can take it at once; the attempts do not count. Tells how
    /// many they were.
    ///
    /// # Errors
    /// [`PortError`]; what was not given back is taken over when its lease ends.
    pub async fn hand_back(&self, worker: &WorkerName) -> Result<usize, PortError> {
        self.store.hand_back(worker, self.clock.now()).await
    }

    fn lease_end(&self, now: Timestamp) -> Timestamp {
        later(now, self.settings.lease).unwrap_or(now)
    }

    async fn conclude(&self, claimed: &Claimed) -> Conclusion {
        if !self.settings.retry.may_ask(claimed.attempt) {
            // Whoever asked the last time did not live to tell: neither may this worker.
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

    /// What the answer comes to: one that cannot be read may have been garbled on its way, and is asked for again.
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
            id: RecommendationId::from_uuid(Uuid::new_v7(created_at.for_uuid(&self.ids))),
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
