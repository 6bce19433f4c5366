//! Shapes of the audit trail.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mass_audit_service::receipt::{Inclusion, Receipt};
use mass_audit_service::{InclusionProof, SignedCheckpoint};
use mass_domain::audit::note::NoteKey;
use mass_domain::audit::tree::TreeHash;
use mass_domain::audit::{Event, Object, Program};
use mass_domain::page;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A page of events, newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"next_cursor": null, "items": [event_example()]}))]
pub struct AuditEventPage {
    /// The events.
    pub items: Vec<AuditEvent>,
    /// To be sent as `cursor`, with the same filters, for the page that follows; null on the last one.
    pub next_cursor: Option<String>,
}

/// Something that somebody did, or was refused. In the form of RFC 8785, without what is absent, it is what the tree is
/// built over.
#[derive(Serialize, JsonSchema)]
#[schemars(example = event_example())]
pub struct AuditEvent {
    /// The action, done or attempted: docs/audit.md lists the actions.
    pub action: &'static str,
    /// The actor.
    pub actor: AuditActor,
    /// When, by the server's clock.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// The contract of the document that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// Details of the action.
    #[serde(skip_serializing_if = "Map::is_empty", default)]
    pub detail: Map<String, Value>,
    /// The fingerprint of the document as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// The object of the action.
    pub object: AuditObject,
    /// The outcome: `success` or `refused`.
    #[schemars(extend("enum" = ["success", "refused"]))]
    pub outcome: &'static str,
    /// The fingerprint of the document as it was stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The program that wrote the event.
    pub program: AuditProgram,
    /// The call that did it (`X-Request-Id`).
    pub request_id: String,
    /// Its place in the tenant's log: from 1, without gaps.
    pub sequence: i64,
    /// The server's span in the trace of the call (W3C Trace Context).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
    /// Whose log it is in.
    pub tenant_id: String,
    /// The trace of the call (W3C Trace Context).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// An actor, and the origin of its call.
#[derive(Serialize, JsonSchema)]
pub struct AuditActor {
    /// The client's address; a local command has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The user's or API key's id; the others have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "uuid"))]
    pub id: Option<String>,
    /// `user`, `api_key`, `system` or, where nobody was recognised, `stranger`.
    pub kind: &'static str,
}

/// The object of an action.
#[derive(Serialize, JsonSchema)]
pub struct AuditObject {
    /// Its id, where there is more than one of the kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `mass_request` for instance: docs/audit.md lists the kinds.
    pub kind: &'static str,
}

/// The program that wrote an event.
#[derive(Serialize, JsonSchema)]
pub struct AuditProgram {
    /// The commit that it was built from.
    pub commit: String,
    /// Its version.
    pub version: String,
}

/// A signed checkpoint: what the tenant's log was at an instant.
#[derive(Serialize, JsonSchema)]
#[schemars(example = checkpoint_example())]
pub struct AuditCheckpoint {
    /// The signed note (C2SP tlog-checkpoint), to be kept elsewhere; only the signature in it is to be relied on.
    pub checkpoint: String,
    /// The log: the key's name, a slash and the tenant.
    pub origin: String,
    /// The number of events that it covers.
    pub size: u64,
    /// The root of the tree over them, in hexadecimal digits.
    pub root: String,
}

/// The proof that an event is in the log (RFC 9162, section 2.1.3).
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "sequence": 2, "leaf_index": 1, "leaf_hash": hash_example(), "tree_size": 3, "hashes": [hash_example()],
    "checkpoint": checkpoint_example()["checkpoint"],
}))]
pub struct AuditInclusion {
    /// The event.
    pub sequence: i64,
    /// Its place in the tree, from 0.
    pub leaf_index: i64,
    /// The hash of its leaf: SHA-256 over a zero byte and the event's canonical text.
    pub leaf_hash: String,
    /// The number of events in the tree.
    pub tree_size: u64,
    /// The hashes beside the way from the leaf to the root.
    pub hashes: Vec<String>,
    /// The signed checkpoint that has the root.
    pub checkpoint: String,
}

/// The proof that a request was accepted as it was.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "request_id": "0199d3a0-0000-7000-8000-000000000002", "tenant_id": "default", "contract": "device/1.1",
    "fingerprint": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "event": event_example().to_string(), "leaf_index": 1, "leaf_hash": hash_example(),
    "inclusion": {"tree_size": 3, "hashes": [hash_example()]}, "checkpoint": checkpoint_example()["checkpoint"],
}))]
pub struct AuditReceipt {
    /// The request.
    #[schemars(extend("format" = "uuid"))]
    pub request_id: String,
    /// Whose it is.
    pub tenant_id: String,
    /// The contract that its document is under.
    pub contract: String,
    /// `sha256:` and the hash of the normalised document's canonical text (RFC 8785).
    pub fingerprint: String,
    /// The canonical text of the event by which it was stored.
    pub event: String,
    /// The index of the event in the tree, from 0.
    pub leaf_index: u64,
    /// The hash of its leaf.
    pub leaf_hash: String,
    /// The proof that it is in the log.
    pub inclusion: AuditReceiptInclusion,
    /// The signed checkpoint that has the root.
    pub checkpoint: String,
}

/// The proof in a receipt (RFC 9162, section 2.1.3).
#[derive(Serialize, JsonSchema)]
pub struct AuditReceiptInclusion {
    /// The number of events in the tree.
    pub tree_size: u64,
    /// The hashes beside the way from the leaf to the root.
    pub hashes: Vec<String>,
}

/// The proof that the log only grew (RFC 9162, section 2.1.4).
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"from": 1, "to": 3, "hashes": [hash_example()]}))]
pub struct AuditConsistency {
    /// The size of the older log.
    pub from: u64,
    /// The size of the newer log.
    pub to: u64,
    /// The hashes that lead from one root to the other.
    pub hashes: Vec<String>,
}

/// The public key of the audit trail.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "key": "mass.local+5a1d4a4c+AeOfo9hGqy1LkMvZ1oWBXoVEkfbz2BzmGZlrTb3Dd1jW", "name": "mass.local",
    "algorithm": "Ed25519", "public_key": "459j2EarLUuQy9nWhYFehUSR9vPYHOYZmWtNvcN3WNY=",
}))]
pub struct AuditKey {
    /// The key as `mass audit verify --key` takes it (a *vkey* of C2SP signed-note).
    pub key: String,
    /// The name on the signature line. The origin of a tenant's log is this, a slash and the tenant.
    pub name: String,
    /// Always `Ed25519` (RFC 8032).
    pub algorithm: &'static str,
    /// The 32 bytes of the public key in base64.
    pub public_key: String,
}

/// An export of the log: one object a line.
#[derive(JsonSchema)]
#[schemars(example = json!({"mass_audit_export": {
    "version": 1, "tenant": "default", "origin": "mass.local/default", "after": 0, "peaks": [],
}}))]
#[expect(dead_code, reason = "it is written line by line, and only described here")]
pub struct AuditExportLine {
    /// First: which log, and after which event the export begins.
    mass_audit_export: Option<Map<String, Value>>,
    /// An event, in its canonical form.
    event: Option<AuditEvent>,
    /// The hash of the event's leaf, beside it.
    leaf_hash: Option<String>,
    /// A signed checkpoint, right after the last event that it covers.
    checkpoint: Option<String>,
    /// Last: how many events there were. An export without it is cut.
    end: Option<Map<String, Value>>,
}

fn hash_example() -> Value {
    json!("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d")
}

fn event_example() -> Value {
    json!({
        "action": "accepted",
        "actor": {"address": "192.0.2.7", "id": "0199d3a0-0000-7000-8000-000000000001", "kind": "user"},
        "at": "2026-11-24T18:00:00.123456Z", "contract": "device/1.1",
        "input": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "object": {"id": "0199d3a0-0000-7000-8000-000000000002", "kind": "mass_request"}, "outcome": "success",
        "output": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "program": {"commit": "967d7e3", "version": "0.1.0"}, "request_id": "0199d3a0-0000-7000-8000-000000000003",
        "sequence": 2, "span_id": "00f067aa0ba902b7", "tenant_id": "default",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    })
}

fn checkpoint_example() -> Value {
    json!({
        "checkpoint": "mass.local/default\n3\nbjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=\n\n— mass.local Wh1KTAEC…\n",
        "origin": "mass.local/default", "size": 3, "root": hash_example(),
    })
}

fn texts(hashes: &[TreeHash]) -> Vec<String> {
    hashes.iter().map(ToString::to_string).collect()
}

impl From<Event> for AuditEvent {
    fn from(Event { sequence, program, event }: Event) -> Self {
        Self {
            action: event.action.as_str(),
            actor: AuditActor {
                address: event.origin.address.map(|address| address.to_string()),
                id: event.actor.id().map(|id| id.to_string()),
                kind: event.actor.kind(),
            },
            at: event.at.to_string(),
            contract: event.contract.map(|contract| contract.to_string()),
            detail: event.detail,
            input: event.input.map(|fingerprint| fingerprint.to_string()),
            object: event.object.into(),
            outcome: event.outcome.as_str(),
            output: event.output.map(|fingerprint| fingerprint.to_string()),
            program: program.into(),
            request_id: event.origin.request_id.to_string(),
            sequence,
            span_id: event.origin.trace.map(|trace| trace.span_id()),
            tenant_id: event.tenant_id.to_string(),
            trace_id: event.origin.trace.map(|trace| trace.trace_id()),
        }
    }
}

impl From<Object> for AuditObject {
    fn from(object: Object) -> Self {
        Self { id: object.id().map(Into::into), kind: object.kind() }
    }
}

impl From<Program> for AuditProgram {
    fn from(Program { commit, version }: Program) -> Self {
        Self { commit, version }
    }
}

impl From<page::Page<Event>> for AuditEventPage {
    fn from(page: page::Page<Event>) -> Self {
        Self { items: page.items.into_iter().map(Into::into).collect(), next_cursor: page.next_cursor }
    }
}

impl From<SignedCheckpoint> for AuditCheckpoint {
    fn from(SignedCheckpoint { checkpoint, note }: SignedCheckpoint) -> Self {
        let (size, root) = (checkpoint.size, checkpoint.root.to_string());
        Self { checkpoint: note, origin: checkpoint.origin, size, root }
    }
}

impl From<InclusionProof> for AuditInclusion {
    fn from(InclusionProof { leaf, hashes, signed }: InclusionProof) -> Self {
        Self {
            sequence: leaf.sequence,
            leaf_index: leaf.sequence - 1,
            leaf_hash: leaf.leaf_hash.to_string(),
            tree_size: signed.checkpoint.size,
            hashes: texts(&hashes),
            checkpoint: signed.note,
        }
    }
}

impl From<Receipt> for AuditReceipt {
    fn from(receipt: Receipt) -> Self {
        let Inclusion { tree_size, hashes } = receipt.inclusion;
        Self {
            request_id: receipt.request_id,
            tenant_id: receipt.tenant_id,
            contract: receipt.contract,
            fingerprint: receipt.fingerprint,
            event: receipt.event,
            leaf_index: receipt.leaf_index,
            leaf_hash: receipt.leaf_hash,
            inclusion: AuditReceiptInclusion { tree_size, hashes },
            checkpoint: receipt.checkpoint,
        }
    }
}

impl AuditConsistency {
    /// The proof between two sizes.
    #[must_use]
    pub fn new(from: u64, to: u64, hashes: &[TreeHash]) -> Self {
        Self { from, to, hashes: texts(hashes) }
    }
}

impl From<&NoteKey> for AuditKey {
    fn from(key: &NoteKey) -> Self {
        Self {
            key: key.to_string(),
            name: key.name().to_string(),
            algorithm: "Ed25519",
            public_key: STANDARD.encode(key.public_key()),
        }
    }
}
