//! The stored MASS request and its life.

use crate::access::Actor;
use crate::audit::tree::TreeHash;
use crate::canonical::Fingerprint;
use crate::contracts::ContractId;
use crate::ids::MassRequestId;
use crate::names::named_enum;
use crate::tenancy::TenantId;
use crate::time::Timestamp;
use crate::validation::Warning;

/// The text names no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown status \"{0}\"")]
pub struct UnknownStatus(String);

/// The text names no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown outcome \"{0}\"")]
pub struct UnknownOutcome(String);

named_enum!(
    /// Where a request is in its life.
    Status, UnknownStatus {
        /// Stored; the engine has not been asked.
        Pending = "pending",
        /// The engine is being asked.
        Processing = "processing",
        /// The engine has answered.
        Done = "done",
        /// The engine could not be asked or gave no valid answer.
        Failed = "failed",
        /// Nobody wants an answer any more.
        Cancelled = "cancelled",
    }
);

impl Status {
    /// Whether a request may move from this status to the other.
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
    /// What became of a document that was sent.
    Outcome, UnknownOutcome {
        /// Stored as a new request.
        Accepted = "accepted",
        /// Stored as a new request that supersedes an older one with the same natural key.
        Correction = "correction",
        /// Not stored: the same document is there already.
        Duplicate = "duplicate",
    }
);

/// Where the event by which a request was stored stands in its tenant's audit trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditLeaf {
    /// The event's place in the log, from 1.
    pub sequence: i64,
    /// The hash of its leaf in the Merkle tree.
    pub leaf_hash: TreeHash,
}

/// A stored request without its document: what lists show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its id; newer requests have greater ids.
    pub id: MassRequestId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The contract that it was accepted under, for ever.
    pub contract: ContractId,
    /// Where it is in its life.
    pub status: Status,
    /// How it was stored: accepted, or as a correction.
    pub outcome: Outcome,
    /// Counts the changes of what is shown of the request, from 1; the entity tag is made of it.
    pub version: i64,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When what is shown of it last changed.
    pub updated_at: Timestamp,
    /// Who sent it.
    pub created_by: Actor,
    /// The sender's correlation id.
    pub correlation_id: Option<String>,
    /// The idempotency key that it was sent with.
    pub idempotency_key: Option<String>,
    /// The site that it tells of.
    pub site_id: Option<String>,
    /// The device that it tells of.
    pub device_id: Option<String>,
    /// The instant that it tells of.
    pub observed_at: Option<Timestamp>,
    /// SHA-256 over the canonical document.
    pub fingerprint: Fingerprint,
    /// The request that this one supersedes.
    pub corrects: Option<MassRequestId>,
    /// The request that supersedes this one.
    pub corrected_by: Option<MassRequestId>,
    /// Where the event by which it was stored stands; `None` before it stands there, and for what was stored before the
    /// audit trail was a tree.
    pub audit: Option<AuditLeaf>,
}

/// A stored request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MassRequest {
    /// All but the document.
    pub summary: Summary,
    /// The normalised document as canonical text (RFC 8785): re-hashing it gives the fingerprint.
    pub document: String,
    /// What was unlikely about it.
    pub warnings: Vec<Warning>,
}

/// A client's name for one attempt to store something, so that a repeat changes nothing: 1–255 printable ASCII
/// characters (IETF draft "The Idempotency-Key HTTP Header Field"). Unique within the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Box<str>);

/// The text cannot be an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key has 1 to 255 printable ASCII characters")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// Parses a key, taken without white space at its ends.
    ///
    /// # Errors
    /// [`InvalidIdempotencyKey`] when nothing is left, it is too long or has another character.
    pub fn parse(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        let text = text.trim();
        let printable = |b: u8| (b' '..=b'~').contains(&b);
        if (1..=255).contains(&text.len()) && text.bytes().all(printable) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidIdempotencyKey)
        }
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which requests a list shows. Bounds in time include `from` and exclude `to`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// In this status.
    pub status: Option<Status>,
    /// Under this contract.
    pub contract: Option<ContractId>,
    /// Of this site.
    pub site_id: Option<String>,
    /// Of this device.
    pub device_id: Option<String>,
    /// With this correlation id.
    pub correlation_id: Option<String>,
    /// Stored at or after.
    pub created_from: Option<Timestamp>,
    /// Stored before.
    pub created_to: Option<Timestamp>,
    /// Telling of an instant at or after.
    pub observed_from: Option<Timestamp>,
    /// Telling of an instant before.
    pub observed_to: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allowed_moves_are_exactly_these() {
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
