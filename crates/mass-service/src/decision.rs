//! The decision on one submission, from the stored requests that it meets.

use mass_domain::canonical::Fingerprint;
use mass_domain::contracts::{ContractId, ValidDocument};
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::{MassRequest, Outcome, RequestSummary, Status};
use mass_domain::tenancy::{OverQuota, Suspended};
use mass_domain::time::Timestamp;

use crate::submission::{OnConflict, Submission};

/// The changeable values of a request at the time of an answer: enough to repeat that answer byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The outcome that the answer told.
    pub outcome: Outcome,
    /// The status of the request.
    pub status: Status,
    /// Its version.
    pub version: i64,
    /// The instant of its last change.
    pub updated_at: Timestamp,
    /// The request that superseded it.
    pub corrected_by: Option<MassRequestId>,
}

impl Snapshot {
    /// Takes the values of a request.
    #[must_use]
    pub const fn of(request: &RequestSummary, outcome: Outcome) -> Self {
        Self {
            outcome,
            status: request.status,
            version: request.version,
            updated_at: request.updated_at,
            corrected_by: request.corrected_by,
        }
    }

    /// Returns the request with these values.
    #[must_use]
    pub fn restore(self, mut request: MassRequest) -> MassRequest {
        request.summary.status = self.status;
        request.summary.version = self.version;
        request.summary.updated_at = self.updated_at;
        request.summary.corrected_by = self.corrected_by;
        request
    }
}

/// The first use of an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The request that was answered with.
    pub request_id: MassRequestId,
    /// The contract of the document.
    pub contract: ContractId,
    /// The fingerprint of the document.
    pub fingerprint: Fingerprint,
    /// Tells whether the request has been deleted since.
    pub deleted: bool,
}

/// A stored request with the natural key of a submission. Deleted requests have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredVersion {
    /// Its id.
    pub id: MassRequestId,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// Tells whether another version supersedes it.
    pub superseded: bool,
}

/// The treatment of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Repeat the answer of the key's first use.
    Replay(MassRequestId),
    /// Answer with this request, which has the same document.
    Duplicate(MassRequestId),
    /// Store it.
    Store {
        /// The version that it supersedes.
        corrects: Option<MassRequestId>,
    },
    /// Refuse it.
    Refuse(Refusal),
}

/// Decides on a submission. `key` is the first use of its idempotency key, which is looked at first; `versions` are the
/// stored requests with its natural key.
#[must_use]
pub fn decide(submission: &Submission, key: Option<&KeyRecord>, versions: &[StoredVersion]) -> Decision {
    let ValidDocument { contract, fingerprint, .. } = &submission.examined;
    if let Some(key) = key {
        return if (&key.contract, &key.fingerprint) != (contract, fingerprint) {
            Decision::Refuse(Refusal::KeyReused { request_id: key.request_id })
        } else if key.deleted {
            Decision::Refuse(Refusal::KeyOfDeleted { request_id: key.request_id })
        } else {
            Decision::Replay(key.request_id)
        };
    }
    if let Some(same) = versions.iter().find(|version| version.fingerprint == *fingerprint) {
        return Decision::Duplicate(same.id);
    }
    match (versions.iter().find(|version| !version.superseded), submission.on_conflict) {
        (None, _) => Decision::Store { corrects: None },
        (Some(current), OnConflict::Correct) => Decision::Store { corrects: Some(current.id) },
        (Some(current), OnConflict::Refuse) => Decision::Refuse(Refusal::Conflict {
            request_id: current.id,
            stored: current.fingerprint,
            sent: *fingerprint,
        }),
    }
}

/// The answer to a submission that is not refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    /// The outcome.
    pub outcome: Outcome,
    /// Tells whether this repeats an earlier answer under the same idempotency key.
    pub replayed: bool,
    /// Tells whether the request was put in the queue for the engine in the same transaction.
    pub sent: bool,
    /// The request.
    pub request: MassRequest,
}

/// Reason for which a valid document is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The idempotency key was used for another document.
    #[error("the idempotency key was used for another document, which became request {request_id}")]
    KeyReused {
        /// The request of the key's first use.
        request_id: MassRequestId,
    },
    /// The idempotency key's request has been deleted.
    #[error("the idempotency key led to request {request_id}, which has been deleted")]
    KeyOfDeleted {
        /// The request of the key's first use.
        request_id: MassRequestId,
    },
    /// Another document with the same natural key is stored.
    #[error("request {request_id} tells something else of the same: stored {stored}, sent {sent}")]
    Conflict {
        /// The current version.
        request_id: MassRequestId,
        /// Its fingerprint.
        stored: Fingerprint,
        /// The refused document's fingerprint.
        sent: Fingerprint,
    },
    /// A quota of the tenant is used up.
    #[error(transparent)]
    OverQuota(#[from] OverQuota),
    /// The tenant is suspended.
    #[error(transparent)]
    Suspended(#[from] Suspended),
}

impl Refusal {
    /// Returns the stored request that stands against the document.
    #[must_use]
    pub const fn met(&self) -> Option<MassRequestId> {
        match self {
            Self::KeyReused { request_id } | Self::KeyOfDeleted { request_id } | Self::Conflict { request_id, .. } => {
                Some(*request_id)
            }
            Self::OverQuota(_) | Self::Suspended(_) => None,
        }
    }
}
