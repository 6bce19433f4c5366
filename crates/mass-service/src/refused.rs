//! Documents that are refused: the event that tells of each, which says what rules were broken and never by what.

use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::canonical::Fingerprint;
use mass_domain::contracts::ContractId;
use mass_domain::ids::MassRequestId;
use mass_domain::tenancy::{OverQuota, TenantId};
use mass_domain::validation::Violation;
use serde_json::{Map, Value, json};

use crate::accept::Refusal;
use crate::document::DocumentError;

/// How many violations an event names; their number is told beside them.
const VIOLATIONS: usize = 20;

/// How many characters of a pointer an event shows: the names in it can be the sender's.
const POINTER_LENGTH: usize = 256;

/// The event of refusing the document that would have become this request.
pub(crate) fn event(
    act: &Act,
    tenant: &TenantId,
    id: MassRequestId,
    contract: Option<ContractId>,
    input: Fingerprint,
    detail: Map<String, Value>,
) -> NewEvent {
    let event = act.refused(tenant, Action::PayloadRefused, Object::MassRequest(id));
    NewEvent { contract, input: Some(input), detail, ..event }
}

/// Why a document is refused for what it is.
pub(crate) fn of_document(error: &DocumentError) -> Map<String, Value> {
    match error {
        DocumentError::Malformed(error) => detail("malformed-json", [("syntax", error.code.into())]),
        DocumentError::Invalid(refused) => {
            let violations = &refused.violations;
            let named: Vec<_> = violations.iter().take(VIOLATIONS).map(named).collect();
            let count = violations.len();
            detail("contract-violation", [("violations", named.into()), ("violation_count", count.into())])
        }
        DocumentError::ForeignTenant => detail("foreign-tenant", []),
    }
}

/// Why a document is refused for what is stored.
pub(crate) fn of_refusal(refusal: &Refusal) -> Map<String, Value> {
    let first = |id: &MassRequestId| [("first_id", id.to_string().into())];
    match refusal {
        Refusal::KeyReused { request_id } => detail("idempotency-key-reused", first(request_id)),
        Refusal::KeyOfDeleted { request_id } => detail("gone", first(request_id)),
        Refusal::Conflict { request_id, .. } => detail("conflict", first(request_id)),
        Refusal::OverQuota(OverQuota::Requests { .. }) => detail("daily-quota-exceeded", []),
        Refusal::OverQuota(OverQuota::StoredBytes { .. }) => detail("quota-exceeded", []),
    }
}

/// `code` is the last part of the type of the problem that the sender is answered with.
fn detail<const N: usize>(code: &str, more: [(&str, Value); N]) -> Map<String, Value> {
    [("code", code.into())].into_iter().chain(more).map(|(name, value)| (name.to_owned(), value)).collect()
}

fn named(violation: &Violation) -> Value {
    let pointer: String = violation.pointer.chars().take(POINTER_LENGTH).collect();
    json!({"stage": violation.stage, "pointer": pointer, "code": violation.code})
}
