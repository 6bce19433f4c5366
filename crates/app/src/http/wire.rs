//! The shapes on the wire: what is sent and answered, with the examples that the OpenAPI document shows.

pub mod admin;
pub mod audit;
pub mod batch;
pub mod delivery;

use std::collections::BTreeMap;

use garde::Validate;
use mass_domain::access::Actor;
use mass_domain::audit::Event;
use mass_domain::mass_request::{AuditLeaf, Summary};
use mass_domain::users::Email;
use mass_domain::validation as domain;
use paperclip::actix::OperationModifier;
use paperclip::v2::models::{DataType, DefaultSchemaRaw};
use paperclip::v2::schema::Apiv2Schema;
use schemars::{JsonSchema, SchemaGenerator};
use secrecy::{ExposeSecret, SecretString};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use admin::{
    ApiKey, ApiKeyPage, ChangedUser, CreatedApiKey, CreatedTenant, CreatedUser, NewApiKey, NewTenant, NewUser, Quotas,
    Registration, Settings, SettingsChange, Tenant, TenantPage, User, UserChange, UserPage,
};
use audit::{
    AuditCheckpoint, AuditConsistency, AuditEventPage, AuditExportLine, AuditInclusion, AuditKey, AuditReceipt,
};
use batch::BatchLine;
use delivery::{Delivery, DeliveryPage, RecommendationList, RecommendationPage};

/// Names the models for paperclip, which refers to them, and for schemars, which describes them.
macro_rules! models {
    ($($model:ident),* $(,)?) => {
        $(impl Apiv2Schema for $model {
            fn name() -> Option<String> {
                Some(stringify!($model).to_owned())
            }

            fn raw_schema() -> DefaultSchemaRaw {
                DefaultSchemaRaw { data_type: Some(DataType::Object), ..DefaultSchemaRaw::default() }
            }
        }

        impl OperationModifier for $model {})*

        /// Describes every model under `components.schemas`.
        pub(super) fn describe(generator: &mut SchemaGenerator) {
            $(generator.subschema_for::<$model>();)*
        }
    };
}

models!(
    ApiKey,
    ApiKeyPage,
    AuditCheckpoint,
    AuditConsistency,
    AuditEventPage,
    AuditExportLine,
    AuditInclusion,
    AuditKey,
    AuditReceipt,
    BatchLine,
    Caller,
    ChangedUser,
    Contract,
    ContractList,
    ContractEntry,
    CreatedApiKey,
    CreatedTenant,
    CreatedUser,
    Delivery,
    DeliveryPage,
    EventList,
    Health,
    JsonWebKey,
    JsonWebKeySet,
    Login,
    MassRequest,
    NewApiKey,
    NewTenant,
    NewUser,
    Normalised,
    Page,
    PasswordChange,
    Problem,
    Quotas,
    Readiness,
    RecommendationList,
    RecommendationPage,
    Refresh,
    Registration,
    Settings,
    SettingsChange,
    StatusChange,
    Tenant,
    TenantPage,
    Token,
    User,
    UserChange,
    UserPage,
    Verdict,
    Version,
);

/// The process lives.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"status": "ok"}))]
pub struct Health {
    /// Always `ok`.
    pub status: &'static str,
}

/// Requests can be served.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"status": "ready", "checks": {"database": "ok"}}))]
pub struct Readiness {
    /// Always `ready`; a server that is not answers with a problem.
    pub status: &'static str,
    /// What was checked, and what came out.
    pub checks: BTreeMap<&'static str, &'static str>,
}

/// What is running.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"version": "0.1.0", "commit": "0123456789ab", "built_at": "2026-11-24T18:00:00Z"}))]
pub struct Version {
    /// The program's version (Semantic Versioning).
    pub version: &'static str,
    /// The source's commit, or `unknown`.
    pub commit: &'static str,
    /// When it was built.
    pub built_at: &'static str,
}

/// Reads a secret. What is no text is not repeated in the error, as it is in serde's own.
fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    optional_secret(deserializer)?.ok_or_else(|| Error::custom(NO_TEXT))
}

fn optional_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.into())),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Err(Error::custom(NO_TEXT)),
    }
}

const NO_TEXT: &str = "a string is due";

/// Credentials of a user.
#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"email": "admin@mass.local", "password": "correct horse battery staple"}))]
pub struct Login {
    /// The user's e-mail address; letter case does not matter.
    #[garde(length(chars, min = 1, max = 254))]
    #[schemars(length(min = 1, max = 254))]
    pub email: String,
    /// The user's password.
    #[garde(custom(some_password))]
    #[serde(deserialize_with = "secret")]
    #[schemars(with = "String", length(min = 1, max = 256), extend("format" = "password", "writeOnly" = true))]
    pub password: SecretString,
}

/// A refresh token.
#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"refresh_token": "mrt_B2RlZmF1bHQ0p6Z2x0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}))]
pub struct Refresh {
    /// `refresh_token` of the last answer to a login or a refresh.
    #[garde(custom(refresh_token_length))]
    #[serde(deserialize_with = "secret")]
    #[schemars(with = "String", length(min = 1, max = 1024), extend("writeOnly" = true))]
    pub refresh_token: SecretString,
}

fn refresh_token_length(token: &SecretString, (): &()) -> garde::Result {
    match token.expose_secret().len() {
        1..=1024 => Ok(()),
        _ => Err(garde::Error::new("a refresh token has 1 to 1024 characters")),
    }
}

/// A change of the caller's own password.
#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({
    "current_password": "correct horse battery staple", "new_password": "seven kestrels over the harbour",
}))]
pub struct PasswordChange {
    /// The present password.
    #[garde(custom(some_password))]
    #[serde(deserialize_with = "secret")]
    #[schemars(with = "String", length(min = 1, max = 256), extend("format" = "password", "writeOnly" = true))]
    pub current_password: SecretString,
    /// The password to be: 15 to 256 characters, of any kind, that are more than common passwords strung together and
    /// more than the user's own address.
    #[garde(skip)]
    #[serde(deserialize_with = "secret")]
    #[schemars(with = "String", length(min = 15, max = 256), extend("format" = "password", "writeOnly" = true))]
    pub new_password: SecretString,
}

/// How long it is at most is not judged here: that counts in normalisation form C, in which it need not be sent. A longer one
/// is wrong like any other.
fn some_password(password: &SecretString, (): &()) -> garde::Result {
    if password.expose_secret().is_empty() {
        return Err(garde::Error::new("a password has at least 1 character"));
    }
    Ok(())
}

/// A bearer token.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "access_token": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl",
    "refresh_token": "mrt_B2RlZmF1bHQ0p6Z2x0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "token_type": "Bearer", "expires_in": 900,
}))]
pub struct Token {
    /// To be sent as `Authorization: Bearer …`.
    pub access_token: String,
    /// Buys the next pair of tokens at `POST /v1/auth/refresh`, once.
    pub refresh_token: String,
    /// Always `Bearer` (RFC 6750).
    pub token_type: &'static str,
    /// For how many seconds it is good.
    pub expires_in: u64,
}

/// The keys with which access tokens can be verified (RFC 7517, section 5).
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"keys": [{
    "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "0123456789abcdef",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}]}))]
pub struct JsonWebKeySet {
    /// The present key and, during a rotation, the one before; none where tokens are signed with a secret.
    pub keys: Vec<JsonWebKey>,
}

/// A public Ed25519 key (RFC 8037, section 2).
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "0123456789abcdef",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}))]
pub struct JsonWebKey {
    /// Always `OKP`.
    pub kty: &'static str,
    /// Always `Ed25519`.
    pub crv: &'static str,
    /// Always `sig`.
    #[serde(rename = "use")]
    pub usage: &'static str,
    /// Always `EdDSA`.
    pub alg: &'static str,
    /// The `kid` of its tokens.
    pub kid: String,
    /// The key in base64url.
    pub x: String,
}

impl From<mass_auth::PublicKey> for JsonWebKey {
    fn from(mass_auth::PublicKey { id, x }: mass_auth::PublicKey) -> Self {
        Self { kty: "OKP", crv: "Ed25519", usage: "sig", alg: "EdDSA", kid: id, x }
    }
}

/// Who the caller is and what it may do.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "id": "0199d3a0-0000-7000-8000-000000000001", "kind": "user", "email": "admin@mass.local", "tenant_id": "default",
    "roles": ["operator"], "permissions": ["mass:read", "mass:write", "analytics:read", "deliveries:manage"],
}))]
pub struct Caller {
    /// The user's or API key's id.
    #[schemars(extend("format" = "uuid"))]
    pub id: Option<String>,
    /// `user` or `api_key`.
    pub kind: &'static str,
    /// A user's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The tenant that the caller belongs to.
    pub tenant_id: String,
    /// A user's roles.
    pub roles: Vec<&'static str>,
    /// All that the caller may do.
    pub permissions: Vec<&'static str>,
}

/// Who did something.
#[derive(Serialize, JsonSchema)]
pub struct ActorModel {
    /// `user`, `api_key` or `system`.
    pub kind: &'static str,
    /// The user's or API key's id; the system has none.
    #[schemars(extend("format" = "uuid"))]
    pub id: Option<String>,
}

impl From<Actor> for ActorModel {
    fn from(actor: Actor) -> Self {
        Self { kind: actor.kind(), id: actor.id().map(|id| id.to_string()) }
    }
}

/// The contracts that documents can conform to.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"items": [{
    "id": "device/1.1", "name": "device", "version": "1.1", "summary": "One reading of one device.",
    "href": "/v1/contracts/device/1.1",
}]}))]
pub struct ContractList {
    /// All of them.
    pub items: Vec<ContractEntry>,
}

/// A contract in the list.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "id": "device/1.1", "name": "device", "version": "1.1", "summary": "One reading of one device.",
    "href": "/v1/contracts/device/1.1",
}))]
pub struct ContractEntry {
    /// Name and version.
    pub id: String,
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What it is for.
    pub summary: &'static str,
    /// Where its schema and example are.
    pub href: String,
}

/// A contract with its schema and an example.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "id": "simple/1.0", "name": "simple", "version": "1.0", "summary": "Quick tests and free-form data.",
    "schema": {"type": "object", "properties": {"payload": {"type": "object"}}, "required": ["payload"]},
    "example": {"payload": {"inlet_celsius": 22.4}},
}))]
pub struct Contract {
    /// Name and version.
    pub id: String,
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What it is for.
    pub summary: &'static str,
    /// JSON Schema (draft 2020-12) of the structural and contract stages.
    #[schemars(with = "Map<String, Value>")]
    pub schema: Value,
    /// A document that passes for the caller.
    #[schemars(with = "Map<String, Value>")]
    pub example: Value,
}

/// One rule that a document or parameter breaks.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "stage": "semantic", "pointer": "/metrics/humidity_percent", "code": "range",
    "detail": "A relative humidity lies between 0 and 100 %.", "expected": "0 … 100", "actual": "140",
}))]
pub struct Violation {
    /// The stage that found it: `structural`, `contract`, `semantic` or `business`.
    pub stage: &'static str,
    /// JSON Pointer (RFC 6901) into the document; `?name` for a query parameter, `header:Name` for a header.
    pub pointer: String,
    /// A stable word for programs.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
    /// What would have been right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
}

impl From<domain::Violation> for Violation {
    fn from(violation: domain::Violation) -> Self {
        let domain::Violation { stage, pointer, code, detail, expected, actual } = violation;
        let stage = match stage {
            domain::Stage::Structural => "structural",
            domain::Stage::Contract => "contract",
            domain::Stage::Semantic => "semantic",
            domain::Stage::Business => "business",
        };
        Self { stage, pointer, code, detail, expected, actual }
    }
}

/// Something unlikely that does not refuse a document.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "pointer": "/metrics/pressure_hpa", "code": "unusual_pressure",
    "detail": "The air pressure is unusual: outside 690 … 1085 hPa. Found: 640.",
}))]
pub struct Warning {
    /// JSON Pointer (RFC 6901) into the document.
    pub pointer: String,
    /// A stable word for programs.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
}

impl From<domain::Warning> for Warning {
    fn from(domain::Warning { pointer, code, detail }: domain::Warning) -> Self {
        Self { pointer, code, detail }
    }
}

/// What validation says of a document.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "valid": false, "contract": "device/1.1", "warnings": [],
    "violations": [{
        "stage": "semantic", "pointer": "/metrics/humidity_percent", "code": "range",
        "detail": "The number or time is outside its bounds.", "expected": "0 … 100", "actual": "140",
    }],
}))]
pub struct Verdict {
    /// Whether it would be accepted, as far as that can be told without looking at what is stored.
    pub valid: bool,
    /// The contract, where it could be recognised.
    pub contract: Option<String>,
    /// Every rule that it breaks.
    pub violations: Vec<Violation>,
    /// What is unlikely about it.
    pub warnings: Vec<Warning>,
}

/// What normalisation makes of a document.
#[derive(Serialize, JsonSchema)]
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
    /// What is unlikely about it.
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
    /// Where it is in its life.
    #[schemars(with = "StatusName")]
    pub status: &'static str,
    /// What became of the document: `accepted`, `correction` or, when it was stored already, `duplicate`.
    #[schemars(extend("enum" = ["accepted", "correction", "duplicate"]))]
    pub outcome: &'static str,
    /// When it was stored.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// When what is shown of it last changed.
    #[schemars(extend("format" = "date-time"))]
    pub updated_at: String,
    /// Who sent it.
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

/// Where an event stands in its tenant's audit trail.
#[derive(Serialize, JsonSchema)]
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

impl From<Summary> for MassRequestSummary {
    fn from(summary: Summary) -> Self {
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

/// A stored request.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "id": "0199d3a0-0000-7000-8000-000000000002", "tenant_id": "default", "contract": "device/1.1", "status": "pending",
    "outcome": "accepted", "created_at": "2026-11-24T18:00:00.123456Z", "updated_at": "2026-11-24T18:00:00.123456Z",
    "created_by": {"kind": "user", "id": "0199d3a0-0000-7000-8000-000000000001"}, "correlation_id": null,
    "idempotency_key": null, "site_id": null, "device_id": "dev-1", "observed_at": "2026-11-24T17:59:00Z",
    "fingerprint": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "corrects": null, "corrected_by": null,
    "audit": {"sequence": 42, "leaf_hash": "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
    "document": {"mass_version": "1.1", "timestamp": "2026-11-24T17:59:00Z"}, "warnings": [],
}))]
pub struct MassRequest {
    /// All but the document.
    #[serde(flatten)]
    pub summary: MassRequestSummary,
    /// The normalised document.
    #[schemars(with = "Map<String, Value>")]
    pub document: Box<RawValue>,
    /// What is unlikely about it.
    pub warnings: Vec<Warning>,
}

/// A page of requests, newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"next_cursor": null, "items": [{
    "id": "0199d3a0-0000-7000-8000-000000000002", "tenant_id": "default", "contract": "device/1.1", "status": "pending",
    "outcome": "accepted", "created_at": "2026-11-24T18:00:00.123456Z", "updated_at": "2026-11-24T18:00:00.123456Z",
    "created_by": {"kind": "user", "id": "0199d3a0-0000-7000-8000-000000000001"}, "correlation_id": null,
    "idempotency_key": null, "site_id": null, "device_id": "dev-1", "observed_at": "2026-11-24T17:59:00Z",
    "fingerprint": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "corrects": null, "corrected_by": null,
    "audit": {"sequence": 42, "leaf_hash": "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
}]}))]
pub struct Page {
    /// The requests, without their documents.
    pub items: Vec<MassRequestSummary>,
    /// To be sent as `cursor`, with the same filters, for the page that follows; null on the last one.
    pub next_cursor: Option<String>,
}

/// What happened to a request, in order.
#[derive(Serialize, JsonSchema)]
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
    /// What happened: an action of the audit trail.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = mass_domain::audit::Action::ALL.iter().map(|action| action.as_str()).collect::<Vec<_>>()))]
    pub kind: &'static str,
    /// When.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// Who did it.
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
    /// What is particular to this kind of event.
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

/// A move to another status.
#[derive(Deserialize, JsonSchema, Validate)]
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

/// An error (RFC 9457).
#[derive(Serialize, JsonSchema)]
pub struct Problem {
    /// What kind of problem it is: a path that docs/errors.md explains.
    #[serde(rename = "type")]
    pub kind: String,
    /// A short sentence, the same for every occurrence.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// A sentence about this occurrence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The path that was asked.
    pub instance: String,
    /// The request's id, which is in the server's log too.
    pub request_id: String,
    /// Every rule that was broken.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub violations: Vec<Violation>,
    /// What is particular to this kind of problem.
    #[serde(flatten)]
    pub members: Map<String, Value>,
}

/// An address as it is shown.
#[must_use]
pub fn email(email: Option<&Email>) -> Option<String> {
    email.map(|email| email.as_str().to_owned())
}
