//! The one table of operations: who may call each, which parameters it takes and which answers it gives.
//!
//! The gate lets nothing through that does not stand here, so that a new route cannot forget its token check; the
//! OpenAPI document is completed from it; tests walk it.

use mass_domain::access::Permission;
use mass_domain::audit::Action;
use mass_domain::delivery::State;
use serde_json::{Value, json};

use super::problem::ProblemKind;

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody, without a token.
    Public,
    /// Anybody with a valid token.
    Authenticated,
    /// A caller with this permission.
    Needs(Permission),
}

/// What an operation answers with when it went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Produces {
    /// JSON, which the client has to accept.
    Json,
    /// One JSON object a line (`application/x-ndjson`), which the client has to accept.
    Ndjson,
    /// Plain text, which the client has to accept.
    Text,
    /// No body.
    Nothing,
    /// A file for a browser, whatever it says that it accepts.
    File,
}

impl Produces {
    /// The media type that the client has to accept, if there is one.
    #[must_use]
    pub const fn media_type(self) -> Option<&'static str> {
        match self {
            Self::Json => Some("application/json"),
            Self::Ndjson => Some("application/x-ndjson"),
            Self::Text => Some("text/plain"),
            Self::Nothing | Self::File => None,
        }
    }
}

/// A query parameter or header.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its meaning.
    pub description: &'static str,
    /// Its JSON Schema.
    pub schema: fn() -> Value,
}

/// One method on one path.
#[derive(Debug)]
pub struct Operation {
    /// `GET` also stands for `HEAD`.
    pub method: &'static str,
    /// The path's pattern, as it is routed.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// What it answers with.
    pub produces: Produces,
    /// The query parameters that it takes, and no others.
    pub query: &'static [Parameter],
    /// Those of them without which it is refused.
    pub needs: &'static [&'static str],
    /// The headers that it honours, besides those that all do.
    pub headers: &'static [Parameter],
    /// What each success means.
    pub answers: &'static [(u16, &'static str)],
    /// The problems that are its own, besides those that follow from access, body and parameters.
    pub problems: &'static [ProblemKind],
    /// Whether it reads a body.
    pub body: bool,
    /// The types that its body may have; the first is the one to prefer.
    pub types: &'static [&'static str],
    /// Whether it asks the database.
    pub store: bool,
    /// Whether it makes sure of a caller who is remembered itself, in the transaction that it needs anyway.
    pub confirms: bool,
}

const fn text() -> Operation {
    Operation {
        method: "GET",
        path: "",
        access: Access::Public,
        produces: Produces::File,
        query: &[],
        needs: &[],
        headers: &[],
        answers: &[(200, "The file.")],
        problems: &[],
        body: false,
        types: &["application/json"],
        store: false,
        confirms: false,
    }
}

const fn get(path: &'static str, access: Access) -> Operation {
    Operation {
        path,
        access,
        produces: Produces::Json,
        answers: &[(200, "What was asked for.")],
        store: true,
        ..text()
    }
}

const fn post(path: &'static str, access: Access) -> Operation {
    Operation { method: "POST", body: true, ..get(path, access) }
}

const READ: Access = Access::Needs(Permission::MassRead);
const AUDIT: Access = Access::Needs(Permission::AuditRead);
const WRITE: Access = Access::Needs(Permission::MassWrite);
const TENANTS: Access = Access::Needs(Permission::TenantsManage);
const USERS: Access = Access::Needs(Permission::UsersManage);
const DELIVERIES: Access = Access::Needs(Permission::DeliveriesManage);
const KEYS: Access = Access::Needs(Permission::KeysManage);
const SETTINGS: Access = Access::Needs(Permission::SettingsManage);

/// Every operation.
pub const OPERATIONS: &[Operation] = &[
    Operation { store: false, answers: &[(200, "The process lives.")], ..get("/health", Access::Public) },
    Operation {
        answers: &[(200, "Requests can be served.")],
        problems: &[ProblemKind::Unavailable],
        ..get("/ready", Access::Public)
    },
    Operation { store: false, answers: &[(200, "What is running.")], ..get("/version", Access::Public) },
    Operation {
        store: false,
        produces: Produces::Text,
        answers: &[(200, "The metrics.")],
        ..get("/metrics", Access::Needs(Permission::MetricsRead))
    },
    Operation {
        store: false,
        answers: &[(200, "The keys, if tokens are signed with EdDSA.")],
        ..get("/.well-known/jwks.json", Access::Public)
    },
    Operation { store: false, answers: &[(200, "The key.")], ..get("/.well-known/mass-audit-key", Access::Public) },
    Operation { store: false, answers: &[(200, "This document.")], ..get("/openapi.json", Access::Public) },
    Operation { path: "/docs", ..text() },
    Operation { path: "/docs/", answers: &[(308, "The page is there.")], ..text() },
    Operation { path: "/", answers: &[(307, "The page is there.")], ..text() },
    Operation { path: "/docs/{file}", ..text() },
    Operation {
        answers: &[(200, "A session's first tokens.")],
        problems: &[ProblemKind::InvalidCredentials, ProblemKind::TooManyAttempts],
        ..post("/v1/auth/login", Access::Public)
    },
    Operation {
        answers: &[(200, "The session's next tokens.")],
        problems: &[ProblemKind::InvalidRefreshToken],
        ..post("/v1/auth/refresh", Access::Public)
    },
    Operation {
        body: false,
        produces: Produces::Nothing,
        answers: &[(204, "The session is over.")],
        ..post("/v1/auth/logout", Access::Authenticated)
    },
    Operation {
        produces: Produces::Nothing,
        answers: &[(204, "The password is changed, and the caller's other sessions are over.")],
        problems: &[ProblemKind::Forbidden, ProblemKind::TooManyAttempts],
        ..post("/v1/auth/password", Access::Authenticated)
    },
    Operation {
        produces: Produces::Nothing,
        answers: &[(204, "Heard. If the address was free, its owner can log in now.")],
        problems: &[ProblemKind::RegistrationClosed],
        ..post("/v1/auth/register", Access::Public)
    },
    Operation { answers: &[(200, "The caller.")], ..get("/v1/auth/me", Access::Authenticated) },
    Operation { store: false, answers: &[(200, "Every contract.")], ..get("/v1/contracts", Access::Authenticated) },
    Operation {
        store: false,
        answers: &[(200, "The contract.")],
        problems: &[ProblemKind::NotFound],
        ..get("/v1/contracts/{name}/{version}", Access::Authenticated)
    },
    Operation {
        headers: &[IDEMPOTENCY_KEY],
        answers: &[(200, "The verdict, whatever it is.")],
        problems: &[ProblemKind::ForeignTenant],
        store: false,
        ..post("/v1/mass-requests/validate", WRITE)
    },
    Operation {
        headers: &[IDEMPOTENCY_KEY],
        answers: &[(200, "The normalised document.")],
        problems: &[ProblemKind::ForeignTenant],
        store: false,
        ..post("/v1/mass-requests/normalize", WRITE)
    },
    Operation {
        query: &[ON_CONFLICT],
        headers: &[IDEMPOTENCY_KEY],
        answers: &[
            (201, "Stored, as a new request or as a correction."),
            (200, "The same document is stored already: that request."),
        ],
        problems: &[
            ProblemKind::ForeignTenant,
            ProblemKind::StorageQuota,
            ProblemKind::Gone,
            ProblemKind::Conflict,
            ProblemKind::KeyReused,
            ProblemKind::DailyQuota,
        ],
        confirms: true,
        ..post("/v1/mass-requests", WRITE)
    },
    Operation {
        query: BATCH,
        headers: &[BATCH_KEY],
        produces: Produces::Ndjson,
        types: &["application/x-ndjson", "application/json", "text/csv"],
        answers: &[
            (200, "The batch was read. What became of each record, and the totals."),
            (201, "With `mode=atomic`: all of it is stored, or was stored already."),
        ],
        problems: &[
            ProblemKind::StorageQuota,
            ProblemKind::BatchRefused,
            ProblemKind::DailyQuota,
            ProblemKind::TooManyStreams,
        ],
        ..post("/v1/mass-requests/batch", WRITE)
    },
    Operation { query: LIST, answers: &[(200, "A page of requests.")], ..get("/v1/mass-requests", READ) },
    Operation {
        headers: &[IF_NONE_MATCH],
        answers: &[(200, "The request."), (304, "It is as the client knows it.")],
        problems: &[ProblemKind::NotFound, ProblemKind::Gone],
        confirms: true,
        ..get("/v1/mass-requests/{id}", READ)
    },
    Operation {
        method: "DELETE",
        headers: &[IF_MATCH],
        produces: Produces::Nothing,
        answers: &[(204, "The document is erased.")],
        problems: &[ProblemKind::NotFound, ProblemKind::Gone, ProblemKind::PreconditionFailed],
        ..get("/v1/mass-requests/{id}", WRITE)
    },
    Operation {
        answers: &[(200, "The events, in order.")],
        problems: &[ProblemKind::NotFound, ProblemKind::Gone],
        ..get("/v1/mass-requests/{id}/events", READ)
    },
    Operation {
        answers: &[(200, "The receipt.")],
        problems: &[ProblemKind::NotFound, ProblemKind::Gone, ProblemKind::AuditTrailBroken],
        ..get("/v1/mass-requests/{id}/receipt", READ)
    },
    Operation {
        method: "PATCH",
        headers: &[IF_MATCH],
        answers: &[(200, "The request, with the status asked for.")],
        problems: &[
            ProblemKind::NotFound,
            ProblemKind::Gone,
            ProblemKind::PreconditionFailed,
            ProblemKind::TransitionNotAllowed,
        ],
        ..post("/v1/mass-requests/{id}/status", WRITE)
    },
    Operation {
        body: false,
        answers: &[(202, "The request stands in the queue for the engine, or the engine has answered it.")],
        problems: &[ProblemKind::NotFound, ProblemKind::EngineMissing, ProblemKind::NotDeliverable, ProblemKind::Gone],
        ..post("/v1/mass-requests/{id}/send", WRITE)
    },
    Operation {
        answers: &[(200, "The recommendations.")],
        problems: &[ProblemKind::NotFound, ProblemKind::Gone],
        ..get("/v1/mass-requests/{id}/recommendations", READ)
    },
    Operation {
        query: RECOMMENDATIONS,
        answers: &[(200, "A page of recommendations.")],
        ..get("/v1/recommendations", READ)
    },
    Operation {
        query: DELIVERY_PAGE,
        answers: &[(200, "The queue, and a page of deliveries.")],
        ..get("/v1/admin/deliveries", DELIVERIES)
    },
    Operation {
        answers: &[(200, "The delivery.")],
        problems: &[ProblemKind::NotFound],
        ..get("/v1/admin/deliveries/{id}", DELIVERIES)
    },
    Operation {
        body: false,
        answers: &[(200, "The delivery, which stands in the queue.")],
        problems: &[ProblemKind::NotFound, ProblemKind::EngineMissing, ProblemKind::NotDeliverable],
        ..post("/v1/admin/deliveries/{id}/replay", DELIVERIES)
    },
    Operation {
        body: false,
        answers: &[(200, "The delivery, which is cancelled.")],
        problems: &[ProblemKind::NotFound, ProblemKind::NotDeliverable],
        ..post("/v1/admin/deliveries/{id}/cancel", DELIVERIES)
    },
    Operation {
        answers: &[(201, "The tenant and its first administrator, with the password if it was made up.")],
        problems: &[ProblemKind::BoundKey, ProblemKind::TenantTaken, ProblemKind::EmailTaken],
        ..post("/v1/admin/tenants", TENANTS)
    },
    Operation { query: PAGE, answers: &[(200, "A page of tenants.")], ..get("/v1/admin/tenants", TENANTS) },
    Operation {
        answers: &[(200, "The tenant.")],
        problems: &[ProblemKind::NotFound],
        ..get("/v1/admin/tenants/{tenant}", TENANTS)
    },
    Operation {
        answers: &[(201, "The user, with the password if it was made up.")],
        problems: &[ProblemKind::BoundKey, ProblemKind::EmailTaken],
        ..post("/v1/admin/users", USERS)
    },
    Operation { query: PAGE, answers: &[(200, "A page of users.")], ..get("/v1/admin/users", USERS) },
    Operation {
        answers: &[(200, "The user.")],
        problems: &[ProblemKind::NotFound],
        ..get("/v1/admin/users/{id}", USERS)
    },
    Operation {
        method: "PATCH",
        answers: &[(200, "The user as it is now, and how many keys were revoked with the change.")],
        problems: &[ProblemKind::BoundKey, ProblemKind::NotFound, ProblemKind::LastAdministrator],
        ..post("/v1/admin/users/{id}", USERS)
    },
    Operation {
        answers: &[(201, "The key with its token, which is shown this once.")],
        ..post("/v1/admin/api-keys", KEYS)
    },
    Operation { query: KEY_PAGE, answers: &[(200, "A page of keys.")], ..get("/v1/admin/api-keys", KEYS) },
    Operation {
        answers: &[(200, "The key.")],
        problems: &[ProblemKind::NotFound],
        ..get("/v1/admin/api-keys/{id}", KEYS)
    },
    Operation {
        method: "DELETE",
        produces: Produces::Nothing,
        answers: &[(204, "The key is revoked.")],
        problems: &[ProblemKind::NotFound],
        ..get("/v1/admin/api-keys/{id}", KEYS)
    },
    Operation { query: EVENTS, answers: &[(200, "A page of events.")], ..get("/v1/audit/events", AUDIT) },
    Operation {
        answers: &[(200, "The checkpoint.")],
        problems: &[ProblemKind::AuditTrailBroken],
        ..get("/v1/audit/checkpoint", AUDIT)
    },
    Operation {
        query: &[PROVED_EVENT],
        needs: &["event"],
        answers: &[(200, "The proof, with the checkpoint.")],
        problems: &[ProblemKind::NotFound, ProblemKind::AuditTrailBroken],
        ..get("/v1/audit/proofs/inclusion", AUDIT)
    },
    Operation {
        query: &[OLDER_SIZE, NEWER_SIZE],
        needs: &["from", "to"],
        answers: &[(200, "The proof.")],
        problems: &[ProblemKind::AuditTrailBroken],
        ..get("/v1/audit/proofs/consistency", AUDIT)
    },
    Operation {
        produces: Produces::Ndjson,
        answers: &[(200, "The log, line by line.")],
        problems: &[ProblemKind::TooManyStreams],
        ..get("/v1/audit/export", AUDIT)
    },
    Operation { answers: &[(200, "The quotas.")], ..get("/v1/admin/quotas", SETTINGS) },
    Operation { method: "PUT", answers: &[(200, "The quotas as they are now.")], ..post("/v1/admin/quotas", SETTINGS) },
    Operation { answers: &[(200, "The settings.")], ..get("/v1/admin/settings", SETTINGS) },
    Operation {
        method: "PUT",
        answers: &[(200, "The settings as they are now.")],
        problems: &[ProblemKind::EngineMissing],
        ..post("/v1/admin/settings", SETTINGS)
    },
];

/// The operations on a path's pattern.
pub fn on(pattern: &str) -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().filter(move |operation| operation.path == pattern)
}

impl Operation {
    /// Whether each address can call it only so often: what needs no token, but costs a password's or token's check.
    pub fn is_limited_by_address(&self) -> bool {
        self.access == Access::Public && self.body
    }

    /// Every problem that it can be answered with.
    pub fn all_problems(&self) -> Vec<ProblemKind> {
        use ProblemKind::{
            BadRequest, ContractViolation, Forbidden, Internal, InvalidParameter, MalformedJson, NotAcceptable,
            RateLimited, RequestTimeout, TooLarge, Unauthenticated, Unavailable, UnsupportedMediaType,
        };
        let mut kinds = vec![InvalidParameter];
        match self.access {
            Access::Public => {}
            Access::Authenticated => kinds.push(Unauthenticated),
            Access::Needs(_) => kinds.extend([Unauthenticated, Forbidden]),
        }
        if self.is_limited_by_address() || self.access != Access::Public {
            kinds.push(RateLimited);
        }
        if self.produces.media_type().is_some() {
            kinds.push(NotAcceptable);
        }
        if self.body {
            kinds.extend([MalformedJson, BadRequest, RequestTimeout, TooLarge, UnsupportedMediaType]);
            kinds.push(ContractViolation);
        }
        // Also where an address has too many requests under way.
        kinds.push(Unavailable);
        if self.store || self.access != Access::Public {
            kinds.push(Internal);
        }
        kinds.extend(self.problems);
        kinds.sort_by_key(|kind| kind.status().as_u16());
        kinds.dedup();
        kinds
    }
}

const IDEMPOTENCY_KEY: Parameter = Parameter {
    name: "Idempotency-Key",
    description: "The client's name for this attempt (IETF draft `Idempotency-Key`), quoted or bare: the same key with \
                  the same document gives the first answer again. Kept at least 24 hours.",
    schema: || {
        json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$",
                      "examples": ["gateway-7-000042"]})
    },
};

const IF_MATCH: Parameter = Parameter {
    name: "If-Match",
    description: "The entity tag that the client knows; another one at the server gives 412.",
    schema: || json!({"type": "string", "examples": ["\"v1\""]}),
};

const IF_NONE_MATCH: Parameter = Parameter {
    name: "If-None-Match",
    description: "The entity tag that the client knows; the same one at the server gives 304.",
    schema: || json!({"type": "string", "examples": ["\"v1\""]}),
};

const ON_CONFLICT: Parameter = Parameter {
    name: "on_conflict",
    description: "What to do when another document with the same natural key is stored: `refuse` it (409), or store it \
                  as a correction that supersedes the one that stands (`correct`).",
    schema: || json!({"type": "string", "enum": ["refuse", "correct"], "default": "refuse"}),
};

const BATCH_KEY: Parameter = Parameter {
    name: "Idempotency-Key",
    description: "The client's name for this batch: a record that has neither a key of its own nor a natural one gets this \
                  one with its index.",
    schema: || {
        json!({"type": "string", "minLength": 1, "maxLength": 230, "pattern": "^[!-~]([ -~]*[!-~])?$",
                      "examples": ["site-7-2026-11-24"]})
    },
};

const BATCH: &[Parameter] = &[
    Parameter {
        name: "contract",
        description: "The records' contract: needed for CSV; adds the contract's marker to JSON without one.",
        schema: contract_name,
    },
    ON_CONFLICT,
    Parameter {
        name: "results",
        description: "Which records have a line in the answer: `all`, or those that are neither stored nor duplicates \
                      (`errors`). The totals count all.",
        schema: || json!({"type": "string", "enum": ["all", "errors"], "default": "all"}),
    },
    Parameter {
        name: "mode",
        description: "Whether `each` record is stored for its own sake, or all of at most 10,000 or none (`atomic`).",
        schema: || json!({"type": "string", "enum": ["each", "atomic"], "default": "each"}),
    },
];

const LIST: &[Parameter] = &[
    Parameter {
        name: "status",
        description: "Requests in this status.",
        schema: || json!({"type": "string", "enum": ["pending", "processing", "done", "failed", "cancelled"]}),
    },
    Parameter { name: "contract", description: "Requests under this contract.", schema: contract_name },
    Parameter { name: "site_id", description: "Requests of this site.", schema: short_text },
    Parameter { name: "device_id", description: "Requests of this device.", schema: short_text },
    Parameter { name: "correlation_id", description: "Requests with this correlation id.", schema: short_text },
    Parameter { name: "created_from", description: "Stored at or after this instant.", schema: instant },
    Parameter { name: "created_to", description: "Stored before this instant.", schema: instant },
    Parameter { name: "observed_from", description: "Telling of an instant at or after this one.", schema: instant },
    Parameter { name: "observed_to", description: "Telling of an instant before this one.", schema: instant },
    LIMIT,
    CURSOR,
];

const EVENTS: &[Parameter] = &[
    Parameter {
        name: "actor_kind",
        description: "Events of this kind of actor.",
        schema: || json!({"type": "string", "enum": ["user", "api_key", "system", "stranger"]}),
    },
    Parameter {
        name: "actor",
        description: "Events of the user or API key with this id.",
        schema: || json!({"type": "string", "format": "uuid"}),
    },
    Parameter {
        name: "action",
        description: "Events of this action.",
        schema: || {
            let names: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
            json!({"type": "string", "enum": names})
        },
    },
    Parameter {
        name: "outcome",
        description: "Events that ended so.",
        schema: || json!({"type": "string", "enum": ["success", "refused"]}),
    },
    Parameter {
        name: "object_kind",
        description: "Events about this kind of object; with `object_id`, unless there is but one of the kind.",
        schema: || {
            json!({"type": "string", "enum": [
                "mass_request", "user", "session", "api_key", "tenant", "quotas", "settings", "audit_trail", "operation", "server",
            ]})
        },
    },
    Parameter {
        name: "object_id",
        description: "Events about the object with this id; needs `object_kind`.",
        schema: || json!({"type": "string", "minLength": 1, "maxLength": 256}),
    },
    Parameter { name: "from", description: "At or after this instant.", schema: instant },
    Parameter { name: "to", description: "Before this instant.", schema: instant },
    LIMIT,
    CURSOR,
];

const RECOMMENDATIONS: &[Parameter] = &[
    Parameter {
        name: "valid",
        description: "Those that keep to every guardrail (`true`), or those that do not (`false`).",
        schema: || json!({"type": "boolean"}),
    },
    Parameter { name: "model", description: "Those of the model with this name.", schema: short_text },
    Parameter { name: "site_id", description: "Those on this site.", schema: short_text },
    Parameter { name: "device_id", description: "Those on this device.", schema: short_text },
    Parameter { name: "from", description: "Stored at or after this instant.", schema: instant },
    Parameter { name: "to", description: "Stored before this instant.", schema: instant },
    LIMIT,
    CURSOR,
];

const DELIVERY_PAGE: &[Parameter] = &[
    Parameter {
        name: "state",
        description: "Deliveries in this state.",
        schema: || {
            let names: Vec<&str> = State::ALL.iter().map(|state| state.as_str()).collect();
            json!({"type": "string", "enum": names})
        },
    },
    LIMIT,
    CURSOR,
];

const PROVED_EVENT: Parameter =
    Parameter { name: "event", description: "The sequence of the event.", schema: place_in_log };

const OLDER_SIZE: Parameter = Parameter {
    name: "from",
    description: "How many events the older checkpoint covers; not above `to`.",
    schema: place_in_log,
};

const NEWER_SIZE: Parameter =
    Parameter { name: "to", description: "How many events the newer checkpoint covers.", schema: place_in_log };

const PAGE: &[Parameter] = &[LIMIT, CURSOR];

const KEY_PAGE: &[Parameter] = &[
    Parameter {
        name: "prefix",
        description: "The key whose token begins with `mass_` and this.",
        schema: || json!({"type": "string", "pattern": "^[0-9a-hjkmnp-tv-z]{12}$"}),
    },
    LIMIT,
    CURSOR,
];

const LIMIT: Parameter = Parameter {
    name: "limit",
    description: "How many rows a page has.",
    schema: || json!({"type": "integer", "minimum": 1, "maximum": 500, "default": 50}),
};

const CURSOR: Parameter = Parameter {
    name: "cursor",
    description: "`next_cursor` of the page before, with the same filters.",
    schema: || json!({"type": "string"}),
};

fn place_in_log() -> Value {
    json!({"type": "integer", "minimum": 1, "examples": [1]})
}

fn contract_name() -> Value {
    let names: Vec<String> = mass_domain::contracts::all().iter().map(|contract| contract.id().to_string()).collect();
    json!({"type": "string", "enum": names})
}

fn short_text() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 128})
}

fn instant() -> Value {
    json!({"type": "string", "format": "date-time", "examples": ["2026-11-24T18:00:00Z"]})
}
