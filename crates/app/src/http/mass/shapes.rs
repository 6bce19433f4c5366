//! Shapes of MASS requests and their events.

use garde::Validate;
use mass_domain::audit::Event;
use mass_domain::mass_request::{AuditLeaf, RequestSummary, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::http::actor::ActorModel;
use crate::http::violations::{Violation, Warning};

/// The result of a validation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ValidationVerdict")]
#[schemars(example = json!({
    "valid": false, "contract": "device/1.1", "warnings": [],
    "violations": [{
        "stage": "semantic", "pointer": "/metrics/humidity_percent", "code": "range",
        "detail": "The number or time is outside its bounds.", "expected": "0 … 100", "actual": "140",
    }],
}))]
pub struct Verdict {
    /// True if the document conforms to its contract. Stored requests are not looked at.
    pub valid: bool,
    /// The contract, where it could be recognised.
    pub contract: Option<String>,
    /// Every rule that it breaks.
    pub violations: Vec<Violation>,
    /// Warnings: values that are possible but unlikely.
    pub warnings: Vec<Warning>,
}

/// The result of a normalisation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NormalisedDocument")]
#[schemars(example = json!({
    "contract": "simple/1.0", "normalized": {"payload": {"inlet_celsius": 22.4}}, "warnings": [],
    "fingerprint": "sha256:b57112cbefd858c8528b8b50cfe8333d343ae39dd71b0b4e6f5f6b7dd460891c",
}))]
pub struct Normalised {
    /// Its contract.
    pub contract: String,
    /// The whole document, normalised.
    #[schemars(with = "Map<String, Value>")]
    pub normalized: Box<RawValue>,
    /// `sha256:` and the hash of the normalised document's canonical text (RFC 8785).
    pub fingerprint: String,
    /// Warnings: values that are possible but unlikely.
    pub warnings: Vec<Warning>,
}

/// A stored request without its document.
#[derive(Serialize, JsonSchema)]
pub struct MassRequestSummary {
    /// Its id, a UUID of version 7: newer requests have greater ids.
    #[schemars(extend("format" = "uuid"))]
    pub id: String,
    /// Whose it is.
    pub tenant_id: String,
    /// The contract that it was accepted under.
    pub contract: String,
    /// The status.
    #[schemars(with = "StatusName")]
    pub status: &'static str,
    /// The outcome: `accepted`, `correction` or, if the document was stored already, `duplicate`.
    #[schemars(extend("enum" = ["accepted", "correction", "duplicate"]))]
    pub outcome: &'static str,
    /// When it was stored.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// When what is shown of it last changed.
    #[schemars(extend("format" = "date-time"))]
    pub updated_at: String,
    /// The sender.
    pub created_by: ActorModel,
    /// The sender's correlation id.
    pub correlation_id: Option<String>,
    /// The idempotency key that it was sent with.
    pub idempotency_key: Option<String>,
    /// The site that it tells of.
    pub site_id: Option<String>,
    /// The device that it tells of.
    pub device_id: Option<String>,
    /// The instant that it tells of.
    #[schemars(extend("format" = "date-time"))]
    pub observed_at: Option<String>,
    /// `sha256:` and the hash of the canonical document (RFC 8785).
    pub fingerprint: String,
    /// The request that this one supersedes.
    #[schemars(extend("format" = "uuid"))]
    pub corrects: Option<String>,
    /// The request that supersedes this one.
    #[schemars(extend("format" = "uuid"))]
    pub corrected_by: Option<String>,
    /// Where the event by which it was stored stands in the audit trail; null for what was stored before the audit trail
    /// was a tree.
    pub audit: Option<AuditLeafModel>,
}

/// The position of an event in its tenant's audit trail.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuditLeaf")]
pub struct AuditLeafModel {
    /// The event's place in the log, from 1.
    pub sequence: i64,
    /// The hash of the event's leaf in the Merkle tree (RFC 9162), 64 hexadecimal digits.
    pub leaf_hash: String,
}

impl From<AuditLeaf> for AuditLeafModel {
    fn from(AuditLeaf { sequence, leaf_hash }: AuditLeaf) -> Self {
        Self { sequence, leaf_hash: leaf_hash.to_string() }
    }
}

impl From<RequestSummary> for MassRequestSummary {
    fn from(summary: RequestSummary) -> Self {
        Self {
            id: summary.id.to_string(),
            tenant_id: summary.tenant_id.to_string(),
            contract: summary.contract.to_string(),
            status: summary.status.as_str(),
            outcome: summary.outcome.as_str(),
            created_at: summary.created_at.to_string(),
            updated_at: summary.updated_at.to_string(),
            created_by: summary.created_by.into(),
            correlation_id: summary.correlation_id,
            idempotency_key: summary.idempotency_key,
            site_id: summary.site_id,
            device_id: summary.device_id,
            observed_at: summary.observed_at.map(|at| at.to_string()),
            fingerprint: summary.fingerprint.to_string(),
            corrects: summary.corrects.map(|id| id.to_string()),
            corrected_by: summary.corrected_by.map(|id| id.to_string()),
            audit: summary.audit.map(Into::into),
        }
    }
}

fn summary_example() -> Value {
    json!({
        "id": "0199d3a0-0000-7000-8000-000000000002", "tenant_id": "default", "contract": "device/1.1", "status": "pending",
        "outcome": "accepted", "created_at": "2026-11-24T18:00:00.123456Z", "updated_at": "2026-11-24T18:00:00.123456Z",
        "created_by": {"kind": "user", "id": "0199d3a0-0000-7000-8000-000000000001"}, "correlation_id": null,
        "idempotency_key": null, "site_id": null, "device_id": "dev-1", "observed_at": "2026-11-24T17:59:00Z",
        "fingerprint": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "corrects": null, "corrected_by": null,
        "audit": {"sequence": 42, "leaf_hash": "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
    })
}

fn request_example() -> Value {
    let mut example = summary_example();
    example["document"] = json!({"mass_version": "1.1", "timestamp": "2026-11-24T17:59:00Z"});
    example["warnings"] = json!([]);
    example
}

/// A stored request.
#[derive(Serialize, JsonSchema)]
#[schemars(example = request_example())]
pub struct MassRequest {
    /// All but the document.
    #[serde(flatten)]
    pub summary: MassRequestSummary,
    /// The normalised document.
    #[schemars(with = "Map<String, Value>")]
    pub document: Box<RawValue>,
    /// Warnings: values that are possible but unlikely.
    pub warnings: Vec<Warning>,
}

/// A request in a list.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MassRequestSummary")]
pub struct ListedRequest {
    /// All but the document.
    #[serde(flatten)]
    pub summary: MassRequestSummary,
    /// The normalised document; only with `include=document`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "Map<String, Value>")]
    pub document: Option<Box<RawValue>>,
}

impl From<RequestSummary> for ListedRequest {
    fn from(summary: RequestSummary) -> Self {
        Self { summary: summary.into(), document: None }
    }
}

/// A page of requests, newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MassRequestPage")]
#[schemars(example = json!({"next_cursor": null, "items": [summary_example()]}))]
pub struct Page {
    /// The requests.
    pub items: Vec<ListedRequest>,
    /// To be sent as `cursor`, with the same filters, for the page that follows; null on the last one.
    pub next_cursor: Option<String>,
}

/// Events of a request, in their order.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MassRequestEventList")]
#[schemars(example = json!({"items": [{
    "sequence": 42, "type": "accepted", "at": "2026-11-24T18:00:00.123456Z",
    "actor": {"kind": "user", "id": "0199d3a0-0000-7000-8000-000000000001"},
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "request_id": "0199d3a0-0000-7000-8000-000000000003",
    "contract": "device/1.1",
    "fingerprint": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "detail": {},
}]}))]
pub struct EventList {
    /// The events.
    pub items: Vec<EventModel>,
}

/// Something that happened to a request.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MassRequestEvent")]
#[schemars(example = json!({
    "sequence": 42, "type": "accepted", "at": "2026-11-24T18:00:00.123456Z",
    "actor": {"kind": "user", "id": "0199d3a0-0000-7000-8000-000000000001"},
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "request_id": "0199d3a0-0000-7000-8000-000000000003",
    "contract": "device/1.1",
    "fingerprint": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "detail": {},
}))]
pub struct EventModel {
    /// Its place in the tenant's log, which has no gaps.
    pub sequence: i64,
    /// The action, as in the audit trail.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = mass_domain::audit::Action::ALL.iter().map(|action| action.as_str()).collect::<Vec<_>>()))]
    pub kind: &'static str,
    /// When.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// The actor.
    pub actor: ActorModel,
    /// The trace of the call that did it (W3C Trace Context).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The call that did it (`X-Request-Id`).
    pub request_id: String,
    /// The request's contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// The request's fingerprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Details of this kind of event.
    pub detail: Map<String, Value>,
}

impl From<Event> for EventModel {
    fn from(Event { sequence, program: _, event }: Event) -> Self {
        Self {
            sequence,
            kind: event.action.as_str(),
            at: event.at.to_string(),
            actor: event.actor.into(),
            trace_id: event.origin.trace.map(|trace| trace.trace_id()),
            request_id: event.origin.request_id.to_string(),
            contract: event.contract.map(|contract| contract.to_string()),
            fingerprint: event.output.map(|fingerprint| fingerprint.to_string()),
            detail: event.detail,
        }
    }
}

/// A status by its name.
#[derive(Deserialize, JsonSchema, Clone, Copy)]
#[schemars(rename = "MassRequestStatus")]
#[serde(rename_all = "snake_case")]
pub enum StatusName {
    /// Stored; the engine has not been asked.
    Pending,
    /// The engine is being asked.
    Processing,
    /// The engine has answered.
    Done,
    /// The engine could not be asked or gave no valid answer.
    Failed,
    /// Nobody wants an answer any more.
    Cancelled,
}

impl From<StatusName> for Status {
    fn from(name: StatusName) -> Self {
        match name {
            StatusName::Pending => Self::Pending,
            StatusName::Processing => Self::Processing,
            StatusName::Done => Self::Done,
            StatusName::Failed => Self::Failed,
            StatusName::Cancelled => Self::Cancelled,
        }
    }
}

/// A move to another status.
#[derive(Deserialize, JsonSchema, Validate)]
#[schemars(rename = "MassRequestStatusChange")]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"status": "cancelled", "reason": "The pilot has ended."}))]
pub struct StatusChange {
    /// The status to move to.
    #[garde(skip)]
    pub status: StatusName,
    /// Why; kept in the event.
    #[garde(inner(length(chars, min = 1, max = 500)))]
    #[schemars(length(min = 1, max = 500))]
    #[serde(default)]
    pub reason: Option<String>,
}
