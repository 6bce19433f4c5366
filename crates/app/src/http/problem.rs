//! Every error answer: RFC 9457 problem documents.
//!
//! A [`Problem`] knows nothing of the request that it answers; [`Problem::render`] writes the document on the way out, when
//! the path and the request id are known.

use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use mass_domain::access::{Forbidden, Permission};
use mass_domain::json::SyntaxError;
use mass_domain::port::PortError;
use mass_domain::second_factor::FactorNeeded;
use mass_domain::tenancy::Suspended;
use mass_domain::trace::RequestId;
use mass_domain::validation::Violation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::violations;

macro_rules! problem_kinds {
    ($($(#[$meta:meta])* $variant:ident = $slug:literal, $status:ident, $title:literal;)*) => {
        /// The kind of a problem. Its `type` is `/problems/` and the slug; docs/errors.md explains each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemKind { $($(#[$meta])* $variant,)* }

        impl ProblemKind {
            /// Every kind, in the order of their statuses.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The last part of the problem's `type`.
            #[must_use]
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$variant => $slug,)* }
            }

            /// The status that it is answered with.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// A short sentence, the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

problem_kinds! {
    /// The body is no JSON that MASS accepts.
    MalformedJson = "malformed-json", BAD_REQUEST, "The body is not acceptable JSON";
    /// The request itself is broken: not HTTP, or its body ended early.
    BadRequest = "bad-request", BAD_REQUEST, "The request is malformed";
    /// No bearer token, or one that is not good.
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "A valid bearer token is needed";
    /// Wrong address or password.
    InvalidCredentials = "invalid-credentials", UNAUTHORIZED, "The e-mail address or the password is wrong";
    /// The password is right, and the code of the second factor is missing or wrong.
    SecondFactorCode = "second-factor-code-required", UNAUTHORIZED, "The code of the second factor is needed";
    /// A refresh token that opens no session.
    InvalidRefreshToken = "invalid-refresh-token", UNAUTHORIZED, "The refresh token is not valid";
    /// The caller lacks a permission.
    Forbidden = "forbidden", FORBIDDEN, "The permission is missing";
    /// The caller has to enrol a second factor, or to prove it anew.
    SecondFactorRequired = "second-factor-required", FORBIDDEN, "The second factor is needed first";
    /// The calling key is bound to addresses or expires.
    BoundKey = "bound-key", FORBIDDEN, "A key with bounds lets nobody log in";
    /// The document names another tenant.
    ForeignTenant = "foreign-tenant", FORBIDDEN, "The document belongs to another tenant";
    /// A session's cookie comes from elsewhere than a page of this server.
    ForeignOrigin = "foreign-origin", FORBIDDEN, "The page is not one of this server";
    /// The configuration lets nobody register.
    RegistrationClosed = "registration-closed", FORBIDDEN, "Registration is closed";
    /// The tenant has used up its space.
    StorageQuota = "quota-exceeded", FORBIDDEN, "The tenant's space is used up";
    /// The tenant is suspended.
    TenantSuspended = "tenant-suspended", FORBIDDEN, "The tenant is suspended";
    /// No such path, or no such object for this caller.
    NotFound = "not-found", NOT_FOUND, "There is nothing here";
    /// The path takes other methods.
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "The method is not allowed here";
    /// The client accepts nothing that can be answered.
    NotAcceptable = "not-acceptable", NOT_ACCEPTABLE, "No acceptable representation";
    /// The body took too long to arrive.
    RequestTimeout = "request-timeout", REQUEST_TIMEOUT, "The body arrived too slowly";
    /// Another document with the same natural key is stored.
    Conflict = "conflict", CONFLICT, "Something else is stored under the same natural key";
    /// There is no way from the present status to the one asked for.
    TransitionNotAllowed = "transition-not-allowed", CONFLICT, "The request cannot move to this status";
    /// The caller has no second factor that could be proved, or one that would have to be removed first.
    SecondFactorConflict = "second-factor-conflict", CONFLICT, "The caller has no second factor, or has one already";
    /// A user with this address exists.
    EmailTaken = "email-taken", CONFLICT, "A user with this e-mail address exists already";
    /// A tenant with this slug exists.
    TenantTaken = "tenant-taken", CONFLICT, "A tenant with this slug exists already";
    /// The status of the tenant, or its being the caller's own, does not allow the step.
    TenantNotAllowed = "tenant-not-allowed", CONFLICT, "The tenant does not allow it now";
    /// Nobody could administer the tenant any more.
    LastAdministrator = "last-administrator", CONFLICT, "The tenant would be left without an administrator";
    /// The tenant has as many mapping profiles as it may.
    TooManyMappings = "too-many-mappings", CONFLICT, "The tenant has as many mapping profiles as it may";
    /// A legal hold forbids the deletion.
    LegalHold = "legal-hold", CONFLICT, "A legal hold keeps the documents";
    /// The tenant has as many legal holds as it may.
    TooManyHolds = "too-many-legal-holds", CONFLICT, "The tenant has as many legal holds as it may";
    /// The tenant has as many alert rules as it may.
    TooManyAlertRules = "too-many-alert-rules", CONFLICT, "The tenant has as many alert rules as it may";
    /// The tenant has as many webhooks, or as many notifications that wait, as it may.
    TooManyWebhooks = "too-many-webhooks", CONFLICT, "The tenant has as many webhooks or waiting notifications as it may";
    /// The notification waits, or was delivered.
    NotificationNotDead = "notification-not-dead", CONFLICT, "The notification is no dead letter";
    /// The operator has switched webhooks off.
    WebhooksOff = "webhooks-off", CONFLICT, "Webhooks are switched off";
    /// The tenant has as many savings projects or reports as it may.
    TooManySavings = "too-many-savings", CONFLICT, "The tenant has as many savings projects or reports as it may";
    /// The state of the savings project does not allow the change or the report.
    SavingsNotAllowed = "savings-not-allowed", CONFLICT, "The savings project does not allow it now";
    /// Nothing can be sent, since there is nobody to send it to.
    EngineMissing = "engine-not-configured", CONFLICT, "No engine is configured";
    /// The engine has nothing to answer any more.
    NotDeliverable = "not-deliverable", CONFLICT, "No answer of the engine is wanted any more";
    /// The object has been deleted.
    Gone = "gone", GONE, "The request has been deleted";
    /// The object is no longer as the caller knows it.
    PreconditionFailed = "precondition-failed", PRECONDITION_FAILED, "It is not as the precondition says";
    /// The body is longer than the limit.
    TooLarge = "too-large", PAYLOAD_TOO_LARGE, "The body is too large";
    /// The body's type or coding is not taken.
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "The body's type is not supported";
    /// The document breaks rules.
    ContractViolation = "contract-violation", UNPROCESSABLE_ENTITY, "The document breaks rules of its contract";
    /// A query parameter or header is wrong.
    InvalidParameter = "invalid-parameter", UNPROCESSABLE_ENTITY, "A parameter is wrong";
    /// The data do not suffice for an answer.
    InsufficientData = "insufficient-data", UNPROCESSABLE_ENTITY, "The data do not suffice";
    /// The idempotency key was used for another document.
    KeyReused = "idempotency-key-reused", UNPROCESSABLE_ENTITY, "The idempotency key was used for another document";
    /// A record of an atomic batch cannot be stored.
    BatchRefused = "batch-refused", UNPROCESSABLE_ENTITY, "A record is refused, so that none of the batch is stored";
    /// Records of a strict batch are refused; the others are stored.
    RecordsRefused = "records-refused", UNPROCESSABLE_ENTITY, "Records of the batch are refused; the others are stored";
    /// Too many records of a batch were refused one after the other.
    TooManyRefused = "too-many-refused", UNPROCESSABLE_ENTITY, "Too many records in a row are refused";
    /// Attempts to prove a password failed too often.
    TooManyAttempts = "too-many-attempts", TOO_MANY_REQUESTS, "Too many failed attempts";
    /// A scope has used up its requests for now.
    RateLimited = "rate-limited", TOO_MANY_REQUESTS, "Too many requests";
    /// A caller or tenant has as many batches and exports under way as it may.
    TooManyStreams = "too-many-streams", TOO_MANY_REQUESTS, "Too many batches and exports are under way";
    /// The tenant has used up its requests of the day.
    DailyQuota = "daily-quota-exceeded", TOO_MANY_REQUESTS, "The tenant's requests of the day are used up";
    /// A fault of the server.
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something went wrong here";
    /// The audit trail is not as it was signed.
    AuditTrailBroken = "audit-trail-broken", INTERNAL_SERVER_ERROR, "The audit trail is not as it was signed";
    /// The server cannot do it at the moment.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "Not available at the moment";
}

/// A problem before it is tied to a request.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: ProblemKind,
    detail: Option<String>,
    violations: Vec<Violation>,
    members: Map<String, Value>,
    headers: HeaderMap,
    recorded: bool,
}

impl Problem {
    /// A problem of this kind.
    #[must_use]
    pub fn new(kind: ProblemKind) -> Self {
        Self {
            kind,
            detail: None,
            violations: Vec::new(),
            members: Map::new(),
            headers: HeaderMap::new(),
            recorded: false,
        }
    }

    /// Returns the kind of problem.
    #[must_use]
    pub const fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// Returns the headers of its answer.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The permission that is lacking, where one is.
    #[must_use]
    pub fn permission(&self) -> Option<Permission> {
        self.members.get("permission")?.as_str()?.parse().ok()
    }

    /// The rate limit that is used up, where one is: of the `credential` or the `tenant`.
    #[must_use]
    pub fn rate_scope(&self) -> Option<&str> {
        self.members.get("scope").filter(|_| self.kind == ProblemKind::RateLimited)?.as_str()
    }

    /// Marks it as recorded in the audit trail, so that the gate does not record it again.
    #[must_use]
    pub fn recorded(mut self) -> Self {
        self.recorded = true;
        self
    }

    /// Returns whether the audit trail tells of it already.
    #[must_use]
    pub const fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// With a sentence about this occurrence.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// With every rule that was broken.
    #[must_use]
    pub fn violations(mut self, violations: Vec<Violation>) -> Self {
        self.violations = violations;
        self
    }

    /// With a member of its own.
    #[must_use]
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// A missing, malformed, expired or otherwise useless bearer token (RFC 6750, section 3): without a token the
    /// challenge names no error.
    #[must_use]
    pub fn unauthenticated(error: Option<&str>) -> Self {
        let challenge = match error {
            None => HeaderValue::from_static(r#"Bearer realm="mass""#),
            Some(_) => HeaderValue::from_static(
                r#"Bearer realm="mass", error="invalid_token", error_description="The token is not valid or has expired""#,
            ),
        };
        Self::new(ProblemKind::Unauthenticated)
            .detail(error.unwrap_or("Send the header Authorization: Bearer with an access token."))
            .header(header::WWW_AUTHENTICATE, challenge)
    }

    /// A token that is not good any more, or never was.
    #[must_use]
    pub fn ended_credential() -> Self {
        Self::unauthenticated(Some("The token is not valid or has expired."))
    }

    /// Not now; the client may try again after a while.
    #[must_use]
    pub fn unavailable(detail: &str, retry_after: Duration) -> Self {
        Self::new(ProblemKind::Unavailable)
            .detail(detail)
            .header(header::RETRY_AFTER, HeaderValue::from(retry_after.as_secs().max(1)))
    }

    /// A fault of the server: logged here, once, and not told to the client.
    #[must_use]
    pub fn internal(cause: &anyhow::Error) -> Self {
        tracing::error!(error = format!("{cause:#}"), "a request failed");
        Self::after_logging()
    }

    /// A fault of the server that has been logged already, as a panic is by its hook.
    #[must_use]
    pub fn after_logging() -> Self {
        Self::new(ProblemKind::Internal).detail("The fault has been logged under this request id.")
    }

    /// Builds the answer to this problem.
    #[must_use]
    pub fn render(&self, instance: &str, request_id: &RequestId) -> HttpResponse {
        let mut response = HttpResponse::build(self.kind.status());
        for header in &self.headers {
            response.insert_header(header);
        }
        let body = self.document(instance, request_id);
        response.content_type("application/problem+json").body(serde_json::to_vec(&body).unwrap_or_default())
    }

    /// Renders the problem as RFC 9457 JSON.
    #[must_use]
    pub fn document(&self, instance: &str, request_id: &RequestId) -> ProblemDocument {
        ProblemDocument {
            kind: format!("/problems/{}", self.kind.slug()),
            title: self.kind.title(),
            status: self.kind.status().as_u16(),
            detail: self.detail.clone(),
            instance: instance.to_owned(),
            request_id: request_id.to_string(),
            violations: self.violations.iter().cloned().map(Into::into).collect(),
            members: self.members.clone(),
        }
    }
}

/// An error (RFC 9457).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct ProblemDocument {
    /// The problem type: a path that docs/errors.md explains.
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
    pub violations: Vec<violations::Violation>,
    /// Members of this problem type.
    #[serde(flatten)]
    pub members: Map<String, Value>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind.title())
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind.status()
    }

    /// An empty answer that carries the problem to the middleware which knows the request.
    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = HttpResponse::new(self.kind.status());
        response.extensions_mut().insert(self.clone());
        response
    }
}

impl From<Forbidden> for Problem {
    fn from(Forbidden(permission): Forbidden) -> Self {
        Self::forbidden(permission)
    }
}

impl Problem {
    /// The caller lacks this permission (RFC 6750, section 3.1: `insufficient_scope`).
    #[must_use]
    pub fn forbidden(permission: Permission) -> Self {
        let challenge = format!(r#"Bearer realm="mass", error="insufficient_scope", scope="{permission}""#);
        let problem = Self::new(ProblemKind::Forbidden)
            .detail(format!("The permission {permission} is needed."))
            .member("permission", permission.as_str());
        match HeaderValue::try_from(challenge) {
            Ok(value) => problem.header(header::WWW_AUTHENTICATE, value),
            Err(_) => problem,
        }
    }
}

impl From<Suspended> for Problem {
    fn from(Suspended: Suspended) -> Self {
        Self::new(ProblemKind::TenantSuspended).detail("The administrators of the platform have suspended the tenant.")
    }
}

impl From<FactorNeeded> for Problem {
    fn from(needed: FactorNeeded) -> Self {
        let detail = match needed {
            FactorNeeded::Enrolment => {
                "The tenant demands a second factor of administrators: enrol one with POST /v1/auth/second-factor."
            }
            FactorNeeded::Proof => {
                "The second factor was not proved within the last 15 minutes: send a code to \
                 POST /v1/auth/second-factor/prove, and repeat the request."
            }
        };
        Self::new(ProblemKind::SecondFactorRequired).detail(detail).member("needs", needed.as_str())
    }
}

impl From<SyntaxError> for Problem {
    fn from(error: SyntaxError) -> Self {
        Self::new(ProblemKind::MalformedJson)
            .detail(error.to_string())
            .member("code", error.code)
            .member("line", error.line)
            .member("column", error.column)
    }
}

impl From<PortError> for Problem {
    fn from(error: PortError) -> Self {
        match error {
            PortError::Unavailable(cause) => {
                tracing::warn!(error = format!("{cause:#}"), "the database is not available");
                Self::unavailable("The database is not available at the moment.", Duration::from_secs(5))
            }
            PortError::Unexpected(cause) => Self::internal(&cause),
        }
    }
}

impl From<anyhow::Error> for Problem {
    fn from(cause: anyhow::Error) -> Self {
        Self::internal(&cause)
    }
}

/// Writes `From<$error> for Problem`: the named variants hold an error that is a problem already, the arms map the others.
macro_rules! problem_from {
    ($error:ident: $($held:ident),+ $(; $($arms:tt)+)?) => {
        impl From<$error> for Problem {
            fn from(error: $error) -> Self {
                match error {
                    $($error::$held(cause) => cause.into(),)+
                    $($($arms)+)?
                }
            }
        }
    };
}
pub(super) use problem_from;
