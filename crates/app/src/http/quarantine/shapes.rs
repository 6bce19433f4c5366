//! Shapes of the quarantine.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mass_domain::page::Page;
use mass_domain::quarantine::{Quarantined, QuarantinedSummary};
use mass_service::Deleted;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::actor::ActorModel;
use crate::http::violations::{Violation, example_violations};

fn summary_example() -> Value {
    json!({
        "id": "0199d3a0-0000-7000-8000-000000000004", "received_at": "2026-11-24T18:00:00.123456Z",
        "expires_at": "2026-12-24T18:00:00.123456Z", "request_id": "0199d3a0-0000-7000-8000-000000000003",
        "created_by": {"kind": "api_key", "id": "0199d3a0-0000-7000-8000-000000000001"}, "form": "json",
        "contract": "device/1.1", "idempotency_key": null, "mapping": null, "codes": ["range"], "violation_count": 1,
        "bytes": 617,
    })
}

fn record_example() -> Value {
    let mut example = summary_example();
    example["record"] = json!("{\"mass_version\": \"1.1\", \"metrics\": {\"humidity_percent\": 140}}");
    example["record_base64"] = Value::Null;
    let violations: Vec<Violation> = example_violations().into_iter().map(Into::into).collect();
    example["violations"] = json!(violations);
    example
}

/// A record of the quarantine without its bytes and violations.
#[derive(Serialize, JsonSchema)]
#[schemars(example = summary_example())]
pub struct QuarantinedRecordSummary {
    /// Its id, a UUID of version 7: newer records have greater ids.
    #[schemars(extend("format" = "uuid"))]
    pub id: String,
    /// When it was received.
    #[schemars(extend("format" = "date-time"))]
    pub received_at: String,
    /// When it is removed.
    #[schemars(extend("format" = "date-time"))]
    pub expires_at: String,
    /// The call that it came with (`X-Request-Id`).
    pub request_id: String,
    /// The sender.
    pub created_by: ActorModel,
    /// The form in which it was received: a JSON text, an object of a `document` and its `key` (`keyed=true`), a row of
    /// CSV after its header row, or a text of which a mapping profile made no document.
    #[schemars(extend("enum" = ["json", "keyed", "csv", "text"]))]
    pub form: &'static str,
    /// The contract that it names, or that was named beside it.
    pub contract: Option<String>,
    /// The idempotency key that was sent beside it.
    pub idempotency_key: Option<String>,
    /// The mapping profile that it was made by, NAME@DIGEST.
    pub mapping: Option<String>,
    /// The codes of its violations, each once.
    pub codes: Vec<String>,
    /// The number of its violations.
    pub violation_count: u64,
    /// The bytes that it counts against the quota: its own, those of its violations, and 256.
    pub bytes: u64,
}

impl From<QuarantinedSummary> for QuarantinedRecordSummary {
    fn from(summary: QuarantinedSummary) -> Self {
        Self {
            id: summary.id.to_string(),
            received_at: summary.received_at.to_string(),
            expires_at: summary.expires_at.to_string(),
            request_id: summary.request_id.to_string(),
            created_by: summary.created_by.into(),
            form: summary.form.as_str(),
            contract: summary.contract.map(|contract| contract.to_string()),
            idempotency_key: summary.idempotency_key,
            mapping: summary.mapping,
            codes: summary.codes,
            violation_count: summary.violation_count,
            bytes: summary.bytes,
        }
    }
}

/// A record of the quarantine.
#[derive(Serialize, JsonSchema)]
#[schemars(example = record_example())]
pub struct QuarantinedRecord {
    /// All but its bytes and violations.
    #[serde(flatten)]
    pub summary: QuarantinedRecordSummary,
    /// The record as it was received; null if it is not UTF-8.
    pub record: Option<String>,
    /// The record as it was received, in base64, if it is not UTF-8; null otherwise.
    pub record_base64: Option<String>,
    /// Why it was refused: the first 100 reasons.
    pub violations: Vec<Violation>,
}

impl From<Quarantined> for QuarantinedRecord {
    fn from(Quarantined { summary, record, violations }: Quarantined) -> Self {
        let (record, record_base64) = match String::from_utf8(record) {
            Ok(text) => (Some(text), None),
            Err(error) => (None, Some(STANDARD.encode(error.as_bytes()))),
        };
        let violations = violations.into_iter().map(Into::into).collect();
        Self { summary: summary.into(), record, record_base64, violations }
    }
}

/// A page of the quarantine, newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"items": [summary_example()], "next_cursor": null}))]
pub struct QuarantinePage {
    /// The records.
    pub items: Vec<QuarantinedRecordSummary>,
    /// To be sent as `cursor`, with the same filters, for the page that follows; null on the last one.
    pub next_cursor: Option<String>,
}

impl From<Page<QuarantinedSummary>> for QuarantinePage {
    fn from(Page { items, next_cursor }: Page<QuarantinedSummary>) -> Self {
        Self { items: items.into_iter().map(Into::into).collect(), next_cursor }
    }
}

/// The result of deleting records by filters.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"deleted": 2, "more": false}))]
pub struct QuarantineDeletion {
    /// The number of deleted records.
    pub deleted: usize,
    /// True if others match the filters, too: call again.
    pub more: bool,
}

impl From<Deleted> for QuarantineDeletion {
    fn from(Deleted { count, more }: Deleted) -> Self {
        Self { deleted: count, more }
    }
}
