//! Audit events: who did what to which object, when and from where.

use serde_json::{Map, Value};

use crate::access::Actor;
use crate::canonical::Fingerprint;
use crate::contracts::ContractId;
use crate::ids::MassRequestId;
use crate::names::named_enum;
use crate::tenancy::TenantId;
use crate::time::Timestamp;
use crate::trace::Origin;

/// The text names no action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown action \"{0}\"")]
pub struct UnknownAction(String);

named_enum!(
    /// What was done.
    Action, UnknownAction {
        /// A request was stored.
        Accepted = "accepted",
        /// A request was superseded by a correction.
        Corrected = "corrected",
        /// A request that had been superseded stands again, since its correction was deleted.
        Reinstated = "reinstated",
        /// A request moved to another status.
        StatusChanged = "status_changed",
        /// A request's document was erased.
        Deleted = "deleted",
    }
);

/// An event before it has its place in the tenant's log.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// Whose log it belongs to.
    pub tenant_id: TenantId,
    /// When it was done.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// What was done.
    pub action: Action,
    /// To which request.
    pub object: MassRequestId,
    /// The object's contract.
    pub contract: ContractId,
    /// The object's fingerprint: it stays here when the document is erased.
    pub fingerprint: Fingerprint,
    /// From where.
    pub origin: Origin,
    /// What is particular to the action. Never a secret, never a document.
    pub detail: Map<String, Value>,
}

/// An event in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its place in the tenant's log: from 1, without gaps.
    pub sequence: i64,
    /// What happened.
    pub event: NewEvent,
}
