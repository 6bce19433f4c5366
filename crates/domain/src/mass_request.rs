//! The stored MASS request and its lifecycle.

use crate::access::Actor;
use crate::audit::tree::TreeHash;
use crate::audit::{Act, Action, NewEvent, Object};
use crate::canonical::Fingerprint;
use crate::contracts::ContractId;
use crate::ids::MassRequestId;
use crate::names::named_enum;
use crate::tenancy::TenantId;
use crate::time::Timestamp;
use crate::validation::Warning;

pub use crate::idempotency::{IdempotencyKey, InvalidIdempotencyKey};

/// Error for an unknown status name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown status \"{0}\"")]
pub struct UnknownStatus(String);

/// Error for an unknown outcome name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown outcome \"{0}\"")]
pub struct UnknownOutcome(String);

named_enum!(
    /// The status of a request in its lifecycle.
    Status, UnknownStatus {
        /// Stored, and not sent to the engine.
        Pending = "pending",
        /// Being sent to the engine.
        Processing = "processing",
        /// Answered by the engine.
        Done = "done",
        /// The engine was unreachable or gave no valid answer.
        Failed = "failed",
        /// Cancelled: no answer is wanted any more.
        Cancelled = "cancelled",
    }
);

impl Status {
    /// Tells whether the transition to the other status is allowed.
    #[must_use]
    pub const fn can_become(self, next: Self) -> bool {
        use Status::{Cancelled, Done, Failed, Pending, Processing};
        match (self, next) {
            (Pending, Processing | Failed | Cancelled)
            | (Processing, Done | Failed | Cancelled)
            | (Failed, Pending) => true,
            (Pending | Processing | Done | Failed | Cancelled, _) => false,
        }
    }
}

named_enum!(
    /// The result of accepting a document.
    Outcome, UnknownOutcome {
        /// Stored as a new request.
        Accepted = "accepted",
        /// Stored as a new request that supersedes an older one with the same natural key.
        Correction = "correction",
        /// Not stored, because the same document is already stored.
        Duplicate = "duplicate",
    }
);

/// The position of a request's first event in the tenant's audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditLeaf {
    /// The event's sequence number, from 1.
    pub sequence: i64,
    /// The hash of the event's leaf in the Merkle tree.
    pub leaf_hash: TreeHash,
}

/// A stored request without its document, as shown in lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestSummary {
    /// The request's id; newer requests have greater ids.
    pub id: MassRequestId,
    /// The tenant that owns it.
    pub tenant_id: TenantId,
    /// The contract under which it was accepted. Never changes.
    pub contract: ContractId,
    /// The current status.
    pub status: Status,
    /// The result of accepting it: accepted, or a correction.
    pub outcome: Outcome,
    /// The version for optimistic concurrency, from 1. Increases with each visible change; the entity tag is derived
    /// from it.
    pub version: i64,
    /// Instant of storage.
    pub created_at: Timestamp,
    /// Instant of the last visible change.
    pub updated_at: Timestamp,
    /// The author.
    pub created_by: Actor,
    /// The sender's correlation id.
    pub correlation_id: Option<String>,
    /// The idempotency key of the submission.
    pub idempotency_key: Option<String>,
    /// The site that the document describes.
    pub site_id: Option<String>,
    /// The device that the document describes.
    pub device_id: Option<String>,
    /// The instant that the document describes.
    pub observed_at: Option<Timestamp>,
    /// SHA-256 of the canonical document.
    pub fingerprint: Fingerprint,
    /// The request that this one supersedes.
    pub corrects: Option<MassRequestId>,
    /// The request that supersedes this one.
    pub corrected_by: Option<MassRequestId>,
    /// The position of its first event in the audit log. `None` until the event is appended, and for requests older
    /// than the audit tree.
    pub audit: Option<AuditLeaf>,
}

impl RequestSummary {
    /// Builds the audit event of an action on the request.
    #[must_use]
    pub fn event(&self, act: &Act, action: Action) -> NewEvent {
        let event = act.done(&self.tenant_id, action, Object::MassRequest(self.id));
        NewEvent { contract: Some(self.contract), output: Some(self.fingerprint), ..event }
    }

    /// Counts a visible change by this act.
    pub fn touch(&mut self, act: &Act) {
        self.version += 1;
        self.updated_at = act.at;
    }
}

/// A stored request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MassRequest {
    /// Everything except the document.
    pub summary: RequestSummary,
    /// The normalised document as canonical text (RFC 8785). Its hash is the fingerprint.
    pub document: String,
    /// Warnings from its validation.
    pub warnings: Vec<Warning>,
}

/// Filter of a list of requests. Time bounds include `from` and exclude `to`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// Only requests with this status.
    pub status: Option<Status>,
    /// Only requests of this contract.
    pub contract: Option<ContractId>,
    /// Only requests about this site.
    pub site_id: Option<String>,
    /// Only requests about this device.
    pub device_id: Option<String>,
    /// Only requests with this correlation id.
    pub correlation_id: Option<String>,
    /// Only requests whose documents name this batch.
    pub batch_id: Option<String>,
    /// Only requests that the batch or import with this id stored.
    pub call_id: Option<String>,
    /// Only requests stored at or after this instant.
    pub created_from: Option<Timestamp>,
    /// Only requests stored before this instant.
    pub created_to: Option<Timestamp>,
    /// Only requests that describe an instant at or after this one.
    pub observed_from: Option<Timestamp>,
    /// Only requests that describe an instant before this one.
    pub observed_to: Option<Timestamp>,
}

impl RequestFilter {
    /// Returns all conditions in a fixed order, by their names in queries.
    #[must_use]
    pub fn conditions(&self) -> [(&'static str, Option<String>); 11] {
        let Self {
            status,
            contract,
            site_id,
            device_id,
            correlation_id,
            batch_id,
            call_id,
            created_from,
            created_to,
            observed_from,
            observed_to,
        } = self;
        let time = |instant: &Option<Timestamp>| instant.map(|instant| instant.to_string());
        [
            ("status", status.map(|status| status.to_string())),
            ("contract", contract.map(|contract| contract.to_string())),
            ("site_id", site_id.clone()),
            ("device_id", device_id.clone()),
            ("correlation_id", correlation_id.clone()),
            ("batch_id", batch_id.clone()),
            ("call_id", call_id.clone()),
            ("created_from", time(created_from)),
            ("created_to", time(created_to)),
            ("observed_from", time(observed_from)),
            ("observed_to", time(observed_to)),
        ]
    }

    /// Returns whether there is no condition.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_exactly_the_documented_status_transitions() {
        use Status::{Cancelled, Done, Failed, Pending, Processing};
        let allowed = [
            (Pending, Processing),
            (Pending, Failed),
            (Pending, Cancelled),
            (Processing, Done),
            (Processing, Failed),
            (Processing, Cancelled),
            (Failed, Pending),
        ];
        for from in Status::ALL {
            for to in Status::ALL {
                assert_eq!(from.can_become(*to), allowed.contains(&(*from, *to)), "{from} to {to}");
            }
        }
    }
}
