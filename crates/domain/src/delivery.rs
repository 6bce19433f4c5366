//! The intention to ask the engine about a request, from the queue to its end, and when to try again.

use std::str::FromStr;
use std::time::Duration;

use crate::ids::{DeliveryId, MassRequestId};
use crate::json::Value;
use crate::names::named_enum;
use crate::recommendation::HardConstraints;
use crate::tenancy::TenantId;
use crate::time::Timestamp;

/// The text names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown state \"{0}\"")]
pub struct UnknownState(String);

/// The text names no code of a failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown failure \"{0}\"")]
pub struct UnknownFailure(String);

/// The text names no reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown reason \"{0}\"")]
pub struct UnknownReason(String);

named_enum!(
    /// Where a delivery is.
    State, UnknownState {
        /// It waits until it is due.
        Queued = "queued",
        /// A worker asks the engine, or did when it was last heard of.
        Leased = "leased",
        /// The engine's answer is stored.
        Delivered = "delivered",
        /// A dead letter: the engine is not asked again unless somebody says so.
        Dead = "dead",
        /// Nobody wants an answer any more.
        Cancelled = "cancelled",
    }
);

impl State {
    /// Whether an answer is still to come.
    #[must_use]
    pub const fn is_open(self) -> bool {
        match self {
            Self::Queued | Self::Leased => true,
            Self::Delivered | Self::Dead | Self::Cancelled => false,
        }
    }
}

named_enum!(
    /// Why an attempt gave nothing that can be stored.
    FailureCode, UnknownFailure {
        /// The engine cannot be reached.
        Unreachable = "engine_unreachable",
        /// It did not answer in time.
        Timeout = "engine_timeout",
        /// It asks to be left alone for a while (429, 503).
        Busy = "engine_busy",
        /// It is at fault (another 5xx).
        EngineFault = "engine_fault",
        /// It refuses the request (4xx), and would do so again.
        Refused = "engine_refused",
        /// Its answer is none that MASS can read.
        Malformed = "answer_malformed",
        /// A worker was gone before it told what became of the attempt.
        Lost = "worker_lost",
    }
);

/// What became of the last attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// For programs.
    pub code: FailureCode,
    /// A sentence for people. Never holds a secret, nor a part of the document.
    pub detail: String,
}

named_enum!(
    /// Why the engine is not asked again.
    DeadReason, UnknownReason {
        /// The same request would fail again.
        NotRetryable = "not_retryable",
        /// It was asked as often as it may be.
        AttemptsExhausted = "attempts_exhausted",
        /// An answer would come too late.
        DeadlinePassed = "deadline_passed",
    }
);

/// A worker's name: 1 to 128 characters of `A-Z`, `a-z`, `0-9`, dot, underscore and hyphen. No two processes that run at
/// once may have the same one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WorkerName(Box<str>);

/// The text cannot be a worker's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a worker's name has 1 to 128 characters of A-Z, a-z, 0-9, dot, underscore and hyphen")]
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

    /// The name as text.
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

/// The right of one worker to ask the engine and to record what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Whose it is.
    pub owner: WorkerName,
    /// Until when nobody else takes it.
    pub until: Timestamp,
}

/// The intention to ask the engine about a request. A request has one at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id; those of newer requests are greater.
    pub id: DeliveryId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The request that the engine is asked about.
    pub request_id: MassRequestId,
    /// Where it is.
    pub state: State,
    /// How often it was put in the queue, from 1: a replay is another round.
    pub round: i64,
    /// How often the engine was asked in this round, an attempt under way included.
    pub attempts: i64,
    /// When it first stood in the queue.
    pub created_at: Timestamp,
    /// When this round began.
    pub queued_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
    /// From when on the engine may be asked; `None` unless it is queued.
    pub due_at: Option<Timestamp>,
    /// Who asks; `None` unless it is leased.
    pub lease: Option<Lease>,
    /// What became of the last attempt that failed in this round.
    pub failure: Option<Failure>,
    /// Why the engine is not asked again; `None` unless it is dead.
    pub dead_reason: Option<DeadReason>,
}

/// Which deliveries a list shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter {
    /// In this state.
    pub state: Option<State>,
}

/// What a tenant's deliveries are at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overview {
    /// How many wait or are under way.
    pub depth: u64,
    /// Since when the oldest of them has been waiting.
    pub oldest: Option<Timestamp>,
    /// How many of them have failed at least once and are tried again.
    pub retrying: u64,
    /// How many there are in each state, in the order of [`State::ALL`].
    pub by_state: Vec<(State, u64)>,
}

/// What the whole queue is at, whosever deliveries they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many wait for a worker.
    pub waiting: u64,
    /// How many a worker has.
    pub leased: u64,
    /// From when on the first of those that wait could have been taken.
    pub oldest_due: Option<Timestamp>,
}

/// What a document says of how the engine is to be asked, and of what may be suggested.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeliveryRequirements {
    /// How fast an answer should be, in milliseconds: `service_level_objective_ms`.
    pub slo_ms: Option<i64>,
    /// How long the sender waits for one, in milliseconds: `timeout_ms`.
    pub timeout_ms: Option<i64>,
    /// What no suggestion may break.
    pub hard: HardConstraints,
}

impl DeliveryRequirements {
    /// The requirements of a normalised document; one without them asks for nothing.
    #[must_use]
    pub fn of(document: &Value) -> Self {
        let millis = |pointer: &str| match document.pointer(pointer) {
            // A contract says what is allowed here; what no integer holds is no term.
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

/// How often and how long the engine is asked about one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The longest pause after the first failure; it doubles with each further one.
    pub base: Duration,
    /// The longest pause of all.
    pub cap: Duration,
    /// How often the engine is asked at most, in one round.
    pub max_attempts: u32,
    /// How long after the round's beginning the engine may be asked at the latest.
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

/// What to do after an attempt that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryDecision {
    /// Ask again then.
    Retry(Timestamp),
    /// Do not ask again.
    Dead(DeadReason),
}

impl RetryPolicy {
    /// What to do after so many attempts failed, the last one just now. `random` is from 0 to 1: the pause is anything
    /// up to the longest (full jitter), so that those who failed together do not come back together. An engine that
    /// says how long to wait is believed.
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

    /// Whether there may be an attempt of this number, from 1.
    #[must_use]
    pub fn may_ask(&self, attempt: i64) -> bool {
        attempt <= i64::from(self.max_attempts)
    }

    /// The longest pause after so many attempts, from 1.
    fn longest_pause(&self, attempts: i64) -> Duration {
        let doublings = u32::try_from(attempts - 1).unwrap_or(0).min(31);
        self.base.checked_mul(1 << doublings).map_or(self.cap, |pause| pause.min(self.cap))
    }
}

/// The instant that much later; `None` beyond what a calendar holds.
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
    fn the_longest_pause_doubles_up_to_the_cap() {
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
    fn an_engine_that_asks_for_a_longer_pause_gets_it() {
        let asked = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(POLICY.decide(1, at(0), at(0), asked(300), 0.5), RetryDecision::Retry(at(300)));
        assert_eq!(POLICY.decide(3, at(0), at(0), asked(1), 1.0), RetryDecision::Retry(at(4)));
        assert_eq!(
            POLICY.decide(1, at(0), at(0), asked(u64::MAX), 0.5),
            RetryDecision::Dead(DeadReason::DeadlinePassed)
        );
    }

    #[test]
    fn the_engine_is_not_asked_for_ever() {
        assert_eq!(POLICY.decide(10, at(0), at(0), None, 0.0), RetryDecision::Dead(DeadReason::AttemptsExhausted));
        assert_eq!(POLICY.decide(2, at(0), at(3599), None, 0.5), RetryDecision::Retry(at(3600)));
        assert_eq!(POLICY.decide(2, at(0), at(3600), None, 0.5), RetryDecision::Dead(DeadReason::DeadlinePassed));
        assert!(POLICY.may_ask(10) && !POLICY.may_ask(11));
    }

    #[test]
    fn terms_are_read_where_a_document_has_them() {
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
    fn a_workers_name_has_no_odd_characters() {
        assert!(WorkerName::parse("node-1.a_b-17").is_ok());
        for bad in ["", "a b", "a\nb", "ä", &"x".repeat(129)] {
            assert_eq!(WorkerName::parse(bad), Err(InvalidWorkerName), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_retry_is_never_early_nor_late(
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
