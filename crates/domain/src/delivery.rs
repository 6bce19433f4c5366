//! Deliveries: the outbox of requests to the engine, its leases, and the retry policy.

use std::str::FromStr;
use std::time::Duration;

use crate::ids::{DeliveryId, MassRequestId};
use crate::json::Value;
use crate::names::named_enum;
use crate::recommendation::HardConstraints;
use crate::tenancy::TenantId;
use crate::time::Timestamp;

/// Error for an unknown state name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown state \"{0}\"")]
pub struct UnknownState(String);

/// Error for an unknown failure code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown failure \"{0}\"")]
pub struct UnknownFailure(String);

/// Error for an unknown reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown reason \"{0}\"")]
pub struct UnknownReason(String);

named_enum!(
    /// The state of a delivery.
    State, UnknownState {
        /// Waits in the queue until it is due.
        Queued = "queued",
        /// A worker holds the lease and asks the engine. If the worker was lost, the lease expires.
        Leased = "leased",
        /// The engine's answer is stored.
        Delivered = "delivered",
        /// A dead letter. The engine is not asked again unless an operator replays the delivery.
        Dead = "dead",
        /// Cancelled: no answer is wanted any more.
        Cancelled = "cancelled",
    }
);

impl State {
    /// Tells whether an answer may still arrive.
    #[must_use]
    pub const fn is_open(self) -> bool {
        match self {
            Self::Queued | Self::Leased => true,
            Self::Delivered | Self::Dead | Self::Cancelled => false,
        }
    }
}

named_enum!(
    /// Reason why an attempt gave no answer to store.
    FailureCode, UnknownFailure {
        /// The engine is unreachable.
        Unreachable = "engine_unreachable",
        /// The engine did not answer in time.
        Timeout = "engine_timeout",
        /// The engine asks for a pause (429, 503).
        Busy = "engine_busy",
        /// The engine reports an internal error (any other 5xx).
        EngineFault = "engine_fault",
        /// The engine refuses the request (4xx). A retry would be refused too.
        Refused = "engine_refused",
        /// The answer does not follow the protocol.
        Malformed = "answer_malformed",
        /// The worker was lost before it recorded the result of the attempt.
        Lost = "worker_lost",
    }
);

/// The last failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The code, for programs.
    pub code: FailureCode,
    /// A sentence for people. Never contains a secret or a part of the document.
    pub detail: String,
}

named_enum!(
    /// Reason why a delivery became a dead letter.
    DeadReason, UnknownReason {
        /// A retry would fail in the same way.
        NotRetryable = "not_retryable",
        /// All attempts of the round were used.
        AttemptsExhausted = "attempts_exhausted",
        /// The deadline of the round has passed, or passes before the next attempt.
        DeadlinePassed = "deadline_passed",
    }
);

/// The name of a worker: 1 to 128 characters of `A-Z`, `a-z`, `0-9`, dot, underscore and hyphen. Must be unique among
/// running processes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WorkerName(Box<str>);

/// Error for a text that is not a worker name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a worker's name must have 1 to 128 characters of A-Z, a-z, 0-9, dot, underscore and hyphen")]
pub struct InvalidWorkerName;

impl WorkerName {
    /// Parses a name.
    ///
    /// # Errors
    /// [`InvalidWorkerName`] when the text is empty, too long or has another character.
    pub fn parse(text: &str) -> Result<Self, InvalidWorkerName> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if (1..=128).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidWorkerName)
        }
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for WorkerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for WorkerName {
    type Err = InvalidWorkerName;

    fn from_str(text: &str) -> Result<Self, InvalidWorkerName> {
        Self::parse(text)
    }
}

/// A lease: the exclusive right of one worker to ask the engine and to record the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The worker that holds the lease.
    pub owner: WorkerName,
    /// Instant at which the lease expires.
    pub until: Timestamp,
}

/// A delivery of a request to the engine. A request has at most one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The delivery's id; newer requests have greater ids.
    pub id: DeliveryId,
    /// The tenant that owns it.
    pub tenant_id: TenantId,
    /// The request to send to the engine.
    pub request_id: MassRequestId,
    /// The current state.
    pub state: State,
    /// Number of times that it entered the queue, from 1. Each replay starts another round.
    pub round: i64,
    /// Number of attempts in this round, including a running one.
    pub attempts: i64,
    /// Instant at which it first entered the queue.
    pub created_at: Timestamp,
    /// Instant at which this round began.
    pub queued_at: Timestamp,
    /// Instant of the last change of state.
    pub updated_at: Timestamp,
    /// Instant from which the engine may be asked; `None` unless queued.
    pub due_at: Option<Timestamp>,
    /// The current lease; `None` unless leased.
    pub lease: Option<Lease>,
    /// The last failed attempt of this round.
    pub failure: Option<Failure>,
    /// Reason for the dead letter; `None` unless dead.
    pub dead_reason: Option<DeadReason>,
}

/// Filter of a list of deliveries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only deliveries in this state.
    pub state: Option<State>,
}

/// Statistics of a tenant's deliveries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overview {
    /// Number of queued and leased deliveries.
    pub depth: u64,
    /// Instant from which the oldest of them has been waiting.
    pub oldest: Option<Timestamp>,
    /// Number of them with at least one failed attempt.
    pub retrying: u64,
    /// Number of deliveries in each state, in the order of [`State::ALL`].
    pub by_state: Vec<(State, u64)>,
}

/// Statistics of the whole queue, across all tenants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Number of deliveries that wait for a worker.
    pub waiting: u64,
    /// Number of deliveries leased by a worker.
    pub leased: u64,
    /// Earliest due time of the waiting deliveries.
    pub oldest_due: Option<Timestamp>,
}

/// The requirements of a document for its delivery: service level objective, timeout and hard constraints.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeliveryRequirements {
    /// The service level objective in milliseconds: `service_level_objective_ms`.
    pub slo_ms: Option<i64>,
    /// The sender's timeout in milliseconds: `timeout_ms`.
    pub timeout_ms: Option<i64>,
    /// Constraints that no suggestion may break.
    pub hard: HardConstraints,
}

impl DeliveryRequirements {
    /// Reads the requirements of a normalised document. Missing members become `None`.
    #[must_use]
    pub fn of(document: &Value) -> Self {
        let millis = |pointer: &str| match document.pointer(pointer) {
            // The contract already checks the range. This check only guards the conversion to an integer.
            Some(Value::Number(number)) if (1.0..1e9).contains(&number.value()) => Some(whole(number.value())),
            Some(_) | None => None,
        };
        Self {
            slo_ms: millis("/request/service_level_objective_ms"),
            timeout_ms: millis("/request/timeout_ms"),
            hard: HardConstraints::of(document),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the caller has seen that it is small and not negative")]
const fn whole(number: f64) -> i64 {
    number as i64
}

/// Limits of attempts and pauses for one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Maximum pause after the first failure; doubles with each further failure.
    pub base: Duration,
    /// Upper limit of any pause.
    pub cap: Duration,
    /// Maximum number of attempts in a round.
    pub max_attempts: u32,
    /// Time from the start of a round to the last allowed attempt.
    pub deadline: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            cap: Duration::from_secs(300),
            max_attempts: 8,
            deadline: Duration::from_secs(24 * 3600),
        }
    }
}

/// The decision after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryDecision {
    /// Try again at this instant.
    Retry(Timestamp),
    /// Stop: the delivery becomes a dead letter.
    Dead(DeadReason),
}

impl RetryPolicy {
    /// Decides on a retry after `attempts` failed attempts, the last of them at `now`. `random` is between 0 and 1 and
    /// scales the pause (full jitter), so that deliveries that failed together are not retried together. A
    /// `retry_after` longer than the pause replaces it.
    #[must_use]
    pub fn decide(
        &self,
        attempts: i64,
        queued_at: Timestamp,
        now: Timestamp,
        retry_after: Option<Duration>,
        random: f64,
    ) -> RetryDecision {
        if !self.may_ask(attempts + 1) {
            return RetryDecision::Dead(DeadReason::AttemptsExhausted);
        }
        let pause = self.longest_pause(attempts).mul_f64(random.clamp(0.0, 1.0));
        let pause = retry_after.map_or(pause, |asked| pause.max(asked));
        match (later(now, pause), later(queued_at, self.deadline)) {
            (Some(due), Some(deadline)) if due <= deadline => RetryDecision::Retry(due),
            _ => RetryDecision::Dead(DeadReason::DeadlinePassed),
        }
    }

    /// Tells whether an attempt with this number, from 1, is allowed.
    #[must_use]
    pub fn may_ask(&self, attempt: i64) -> bool {
        attempt <= i64::from(self.max_attempts)
    }

    /// Returns the maximum pause after this number of attempts, from 1.
    fn longest_pause(&self, attempts: i64) -> Duration {
        let doublings = u32::try_from(attempts - 1).unwrap_or(0).min(31);
        self.base.checked_mul(1 << doublings).map_or(self.cap, |pause| pause.min(self.cap))
    }
}

/// Adds a duration to an instant; `None` if the result is out of range.
#[must_use]
pub fn later(instant: Timestamp, pause: Duration) -> Option<Timestamp> {
    let micros = i64::try_from(pause.as_micros()).ok()?;
    Timestamp::from_unix_micros(instant.unix_micros().checked_add(micros)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json;

    const POLICY: RetryPolicy = RetryPolicy {
        base: Duration::from_secs(1),
        cap: Duration::from_secs(60),
        max_attempts: 10,
        deadline: Duration::from_secs(3600),
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_micros(1_800_000_000_000_000 + second * 1_000_000).unwrap()
    }

    #[test]
    fn maximum_pause_doubles_up_to_the_cap() {
        let pauses = [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (9, 60)];
        for (attempts, seconds) in pauses {
            assert_eq!(
                POLICY.decide(attempts, at(0), at(10), None, 1.0),
                RetryDecision::Retry(at(10 + seconds)),
                "{attempts}"
            );
            assert_eq!(POLICY.decide(attempts, at(0), at(10), None, 0.0), RetryDecision::Retry(at(10)), "{attempts}");
        }
    }

    #[test]
    fn waits_longer_if_retry_after_asks_for_it() {
        let asked = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(POLICY.decide(1, at(0), at(0), asked(300), 0.5), RetryDecision::Retry(at(300)));
        assert_eq!(POLICY.decide(3, at(0), at(0), asked(1), 1.0), RetryDecision::Retry(at(4)));
        assert_eq!(
            POLICY.decide(1, at(0), at(0), asked(u64::MAX), 0.5),
            RetryDecision::Dead(DeadReason::DeadlinePassed)
        );
    }

    #[test]
    fn stops_after_the_last_attempt_or_the_deadline() {
        assert_eq!(POLICY.decide(10, at(0), at(0), None, 0.0), RetryDecision::Dead(DeadReason::AttemptsExhausted));
        assert_eq!(POLICY.decide(2, at(0), at(3599), None, 0.5), RetryDecision::Retry(at(3600)));
        assert_eq!(POLICY.decide(2, at(0), at(3600), None, 0.5), RetryDecision::Dead(DeadReason::DeadlinePassed));
        assert!(POLICY.may_ask(10) && !POLICY.may_ask(11));
    }

    #[test]
    fn reads_delivery_requirements_where_present() {
        let document = r#"{"request":{"service_level_objective_ms":2000,"timeout_ms":10000}}"#;
        let requirements = DeliveryRequirements::of(&json::parse(document.as_bytes()).unwrap());
        assert_eq!((requirements.slo_ms, requirements.timeout_ms), (Some(2000), Some(10_000)));
        for odd in [r#"{}"#, r#"{"request":{"timeout_ms":"soon"}}"#, r#"{"request":{"timeout_ms":-1}}"#] {
            assert_eq!(
                DeliveryRequirements::of(&json::parse(odd.as_bytes()).unwrap()),
                DeliveryRequirements::default(),
                "{odd}"
            );
        }
    }

    #[test]
    fn refuses_worker_names_with_other_characters() {
        assert!(WorkerName::parse("node-1.a_b-17").is_ok());
        for bad in ["", "a b", "a\nb", "ä", &"x".repeat(129)] {
            assert_eq!(WorkerName::parse(bad), Err(InvalidWorkerName), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn retry_is_never_before_now_nor_after_the_deadline(
            attempts in 1_i64..2_000_000_000, waited in 0_i64..10_000, random in 0.0..1.0_f64, asked in prop::option::of(0_u64..10_000)
        ) {
            let now = at(waited);
            let endless = RetryPolicy { max_attempts: u32::MAX, ..POLICY };
            match endless.decide(attempts, at(0), now, asked.map(Duration::from_secs), random) {
                RetryDecision::Retry(due) => {
                    prop_assert!(due >= now && due <= at(3600));
                    prop_assert!(due <= later(now, POLICY.cap.max(Duration::from_secs(asked.unwrap_or(0)))).unwrap());
                }
                RetryDecision::Dead(reason) => {
                    prop_assert_eq!(reason, DeadReason::DeadlinePassed);
                    prop_assert!(waited as u64 + asked.unwrap_or(0).max(60) >= 3600);
                }
            }
        }
    }
}
