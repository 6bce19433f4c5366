//! Keeping refused records of single requests and batches in the quarantine.

use mass_domain::canonical;
use mass_domain::contracts::{self, ContractId};
use mass_domain::json::{self, Value};
use mass_domain::mass_request::IdempotencyKey;
use mass_domain::quarantine::{NotKept, Received, RecordForm};
use mass_domain::validation::{Stage, Violation};
use mass_service::{
    AcceptError, DocumentError, Kept, MappingSource, QuarantineService, Receipt, Refusal, Rejected, SentKey,
};
use serde_json::json;

use super::headers::idempotency_key;
use super::operations::Parameter;
use super::problem::Problem;
use super::reply::Call;
use crate::records::{Record, in_words};

/// The parameter that keeps refused records, or does not.
pub(super) const QUARANTINE: Parameter = Parameter::new(
    "quarantine",
    "True to keep refused records in the quarantine, to be mended and sent again; false not to. Without it, the tenant's \
     settings decide.",
    || json!({"type": "boolean"}),
);

/// Returns the violations of a record that is refused for its own sake; `None` if the reason is another one.
pub(super) fn faults(error: &AcceptError) -> Option<Vec<Violation>> {
    let of_record = |code: &str, detail| {
        let (stage, pointer, code) = (Stage::Structural, String::new(), code.to_owned());
        Some(vec![Violation { stage, pointer, code, detail, expected: None, actual: None }])
    };
    match error {
        AcceptError::Document(DocumentError::Invalid(refused)) => Some(refused.violations.clone()),
        AcceptError::Document(DocumentError::Malformed(error)) => of_record(error.code, in_words(error)),
        AcceptError::Document(error @ DocumentError::ForeignTenant) => of_record("foreign_tenant", error.to_string()),
        AcceptError::Refused(refusal) => match refusal {
            Refusal::Conflict { .. } => of_record("conflict", refusal.to_string()),
            Refusal::KeyReused { .. } => of_record("idempotency_key_reused", refusal.to_string()),
            Refusal::KeyOfDeleted { .. } => of_record("gone", refusal.to_string()),
            Refusal::OverQuota(_) | Refusal::Suspended(_) => None,
        },
        AcceptError::Forbidden(_) | AcceptError::Store(_) => None,
    }
}

/// Copies a record of a batch, before it is known whether it is refused.
pub(super) fn copy(
    record: &Record<'_>,
    document: Option<&Value>,
    key: Option<String>,
    mapping: Option<&MappingSource>,
) -> Result<Received, NotKept> {
    if record.raw.too_long {
        return Err(NotKept::TooLong);
    }
    let (form, bytes) = record.with_header();
    let contract = document.and_then(contracts::recognise).map(contracts::Contract::id).or(record.named_contract());
    Ok(received(form, bytes, contract, key, mapping))
}

/// Copies a document that a mapping profile made.
pub(super) fn copy_of_mapped(document: &Value, key: Option<String>, mapping: Option<&MappingSource>) -> Received {
    let contract = contracts::recognise(document).map(contracts::Contract::id);
    received(RecordForm::Json, canonical::write_as_sent(document).into_bytes(), contract, key, mapping)
}

/// Copies a text of which a mapping profile made no document.
pub(super) fn copy_of_unmapped(
    text: &str,
    contract: ContractId,
    key: Option<String>,
    mapping: Option<&MappingSource>,
) -> Received {
    received(RecordForm::Text, text.as_bytes().to_vec(), Some(contract), key, mapping)
}

fn received(
    form: RecordForm,
    bytes: Vec<u8>,
    contract: Option<ContractId>,
    key: Option<String>,
    mapping: Option<&MappingSource>,
) -> Received {
    let idempotency_key = key.and_then(|key| IdempotencyKey::parse(&key).ok());
    Received { bytes, form, contract, idempotency_key, mapping: mapping.map(ToString::to_string) }
}

/// Pairs the refused records of a chunk with their copies. Without copies there are none.
pub(super) fn rejected(
    results: &[Result<Receipt, AcceptError>],
    copies: Vec<Result<Received, NotKept>>,
) -> Vec<Rejected> {
    let refused = |(result, received): (&Result<Receipt, AcceptError>, _)| {
        let violations = faults(result.as_ref().err()?)?;
        Some(Rejected { received, violations })
    };
    results.iter().zip(copies).filter_map(refused).collect()
}

/// Keeps refused records; one result each. What cannot be kept does not fail the call.
pub(super) async fn keep(service: &QuarantineService, call: &Call, rejected: Vec<Rejected>) -> Vec<Kept> {
    let count = rejected.len();
    if count == 0 {
        return Vec::new();
    }
    match service.keep(&call.principal, &call.origin, rejected).await {
        Ok(kept) => kept,
        Err(error) => {
            tracing::warn!(error = format!("{:#}", anyhow::Error::from(error)), "refused records cannot be kept");
            vec![Err(NotKept::Unavailable); count]
        }
    }
}

/// Keeps the document of a refused call, if the call or its tenant wants that. Returns the problem, which tells the id in
/// the quarantine or why there is none.
pub(super) async fn refused(
    call: &Call,
    service: &QuarantineService,
    asked: Option<bool>,
    named: Option<ContractId>,
    text: &[u8],
    error: AcceptError,
) -> Problem {
    let kept = match faults(&error) {
        Some(violations) => keep_document(call, service, asked, named, text, violations).await,
        None => None,
    };
    let problem = Problem::from(error);
    match kept {
        None => problem,
        Some(Ok(id)) => problem.member("quarantine_id", id.to_string()),
        Some(Err(reason)) => problem.member("not_quarantined", reason.as_str()),
    }
}

async fn keep_document(
    call: &Call,
    service: &QuarantineService,
    asked: Option<bool>,
    named: Option<ContractId>,
    text: &[u8],
    violations: Vec<Violation>,
) -> Option<Kept> {
    match service.is_on(&call.principal, asked).await {
        Ok(true) => {}
        Ok(false) => return None,
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "the setting of the quarantine cannot be read");
            return Some(Err(NotKept::Unavailable));
        }
    }
    let contract = json::parse(text).ok().as_ref().and_then(contracts::recognise).map(contracts::Contract::id);
    let contract = contract.or(named);
    let idempotency_key = match idempotency_key(call.headers()) {
        Ok(SentKey::Header(key) | SentKey::Fallback(key)) => Some(key),
        Ok(SentKey::None) | Err(_) => None,
    };
    let received = Received { bytes: text.to_vec(), form: RecordForm::Json, contract, idempotency_key, mapping: None };
    keep(service, call, vec![Rejected { received: Ok(received), violations }]).await.pop()
}
