//! Claims of queued deliveries, and their conclusions.

use mass_domain::canonical::Fingerprint;
use mass_domain::contracts::ContractId;
use mass_domain::delivery::{DeadReason, DeliveryRequirements, Failure, WorkerName};
use mass_domain::ids::{DeliveryId, MassRequestId};
use mass_domain::recommendation::Recommendation;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use mass_domain::trace::TraceParent;

/// A question to the engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The idempotency key, which all attempts of a round share: 1 to 255 printable ASCII characters.
    pub idempotency_key: String,
    /// The request.
    pub request_id: MassRequestId,
    /// The tenant.
    pub tenant_id: TenantId,
    /// The contract of the document.
    pub contract: ContractId,
    /// The document's fingerprint.
    pub fingerprint: Fingerprint,
    /// The normalised document as canonical text.
    pub document: String,
    /// The time that the sender of the document waits for an answer, in milliseconds.
    pub timeout_ms: Option<i64>,
    /// The trace of the call that queued the request.
    pub trace: Option<TraceParent>,
}

/// The right to record the conclusion of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// The worker that holds the claim.
    pub worker: WorkerName,
    /// The fencing token: a later claim of the delivery has a greater one and invalidates earlier claims.
    pub fence: i64,
}

/// A delivery that a worker has claimed.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The claim.
    pub claim: Claim,
    /// The number of this attempt in its round, from 1.
    pub attempt: i64,
    /// The beginning of the round.
    pub queued_at: Timestamp,
    /// A question to the engine.
    pub question: Question,
    /// The document's requirements of the answer.
    pub requirements: DeliveryRequirements,
    /// The site that the document describes.
    pub site_id: Option<String>,
    /// The device that the document describes.
    pub device_id: Option<String>,
}

/// The conclusion of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Conclusion {
    /// The engine answered.
    Answered(Box<Recommendation>),
    /// The engine is asked again.
    Retry {
        /// The failure.
        failure: Failure,
        /// The instant of the next attempt.
        due_at: Timestamp,
    },
    /// The engine was not asked and will be later. The attempt does not count.
    Postponed {
        /// The instant of the next attempt.
        due_at: Timestamp,
    },
    /// The delivery becomes a dead letter.
    Dead {
        /// The failure.
        failure: Failure,
        /// The reason.
        reason: DeadReason,
    },
}

/// The result of recording a conclusion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It is recorded.
    Recorded,
    /// Nothing has changed: another worker has the claim, or the delivery was cancelled.
    LeaseLost,
}

/// The tenants for which the engine's circuit is not closed. Their deliveries stay in the queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restraint {
    /// Tenants with an open circuit: no delivery is claimed.
    pub none_of: Vec<TenantId>,
    /// Tenants with a half-open circuit: one delivery at a time is claimed, to probe the engine.
    pub one_of: Vec<TenantId>,
}
