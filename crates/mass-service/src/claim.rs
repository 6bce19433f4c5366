//! Claims of queued deliveries, and their conclusions.

use mass_domain::canonical::Fingerprint;
use mass_domain::contracts::ContractId;
use mass_domain::delivery::{DeadReason, DeliveryRequirements, Failure, WorkerName};
use mass_domain::ids::{DeliveryId, MassRequestId};
use mass_domain::recommendation::Recommendation;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use mass_domain::trace::TraceParent;

/// What the engine is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The same for every attempt of a round: 1 to 255 printable ASCII characters.
    pub idempotency_key: String,
    /// The request.
    pub request_id: MassRequestId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The contract of the document.
    pub contract: ContractId,
    /// The document's fingerprint.
    pub fingerprint: Fingerprint,
    /// The normalised document as canonical text.
    pub document: String,
    /// How long the sender of the document waits for an answer, in milliseconds.
    pub timeout_ms: Option<i64>,
    /// The trace of the call by which the request was sent.
    pub trace: Option<TraceParent>,
}

/// The right to record what becomes of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Whose delivery it is.
    pub tenant_id: TenantId,
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// Who has the right.
    pub worker: WorkerName,
    /// Counts the claims of the delivery: a later claim has a greater number and ends the right of an earlier one.
    pub fence: i64,
}

/// A delivery that a worker has claimed.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The right to it.
    pub claim: Claim,
    /// The number of this attempt in its round, from 1.
    pub attempt: i64,
    /// When the round began.
    pub queued_at: Timestamp,
    /// What the engine is asked.
    pub question: Question,
    /// What the document says of the answer.
    pub requirements: DeliveryRequirements,
    /// The site that the request tells of.
    pub site_id: Option<String>,
    /// The device that the request tells of.
    pub device_id: Option<String>,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Conclusion {
    /// The engine answered.
    Answered(Box<Recommendation>),
    /// It is asked again then.
    Retry {
        /// What went wrong.
        failure: Failure,
        /// When.
        due_at: Timestamp,
    },
    /// It was not asked, and is asked then; the attempt does not count.
    Postponed {
        /// When.
        due_at: Timestamp,
    },
    /// It is not asked again.
    Dead {
        /// What went wrong.
        failure: Failure,
        /// Why not.
        reason: DeadReason,
    },
}

/// Whether a conclusion was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It was.
    Recorded,
    /// Nothing was changed: another worker has the delivery, or nobody wants an answer any more.
    LeaseLost,
}

/// About whose requests the engine is not asked at present. What waits for it stays where it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restraint {
    /// About none of these tenants'.
    pub none_of: Vec<TenantId>,
    /// About one of these tenants' at a time, which tries whether the engine is back.
    pub one_of: Vec<TenantId>,
}
