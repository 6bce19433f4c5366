//! MASS requests: send, look at, move on, delete.

use std::time::SystemTime;

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web;
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::{Filter, MassRequest as Stored, Outcome, Status};
use mass_domain::page::{Limit, Page};
use mass_domain::tenancy::OverQuota;
use mass_service::{
    AcceptError, DeleteError, DocumentError, DryRunError, ListQuery, MassService, OnConflict, Options, ReadError,
    Receipt, Record, Refusal, TransitionError,
};
use paperclip::actix::{Apiv2Schema, api_v2_operation};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::{Document, Valid, broken, sentence};
use super::headers::{IDEMPOTENT_REPLAYED, entity_tag, idempotency_key, if_match, if_none_match};
use super::problem::{Problem, ProblemKind};
use super::query::{Query, foreign_cursor, page_limit, short_text};
use super::reply::{Call, NoContent, Reply};
use super::wire::{self, EventList, MassRequest, Normalised, StatusChange, StatusName, Verdict};
use crate::engine::Engine;

type Service = web::Data<MassService>;

/// Which request an operation is about.
#[derive(Deserialize, Apiv2Schema)]
pub struct Target {
    /// The request's id.
    id: String,
}

impl Target {
    /// The id. Read by the handler, not the extractor, so that the body is judged first; a malformed one is as absent
    /// as an unknown one.
    pub(super) fn id(&self) -> Result<MassRequestId, Problem> {
        self.id.parse().map_err(|_| absent())
    }
}

/// Send a MASS request.
///
/// Validates the document completely, normalises it and stores it durably together with its audit event. The same
/// natural key again gives the first request (200) or, for another document, 409; see the contracts.
#[api_v2_operation(operation_id = "createMassRequest", tags("mass-requests"))]
pub async fn create(
    call: Call,
    service: Service,
    engine: web::Data<Engine>,
    document: Document,
    mut query: Query,
) -> Result<Reply<MassRequest>, Problem> {
    let on_conflict = query.take_with("on_conflict", on_conflict).unwrap_or_default();
    let record = record(&call, document, query)?;
    let options = Options { on_conflict, auto_send: engine.auto_send(), origin: call.origin.clone() };
    let receipt = accept(&call, &service, &record, &options).await?;
    engine.accepted([&receipt]);
    let status = if receipt.outcome == Outcome::Duplicate { StatusCode::OK } else { StatusCode::CREATED };
    let location = format!("/v1/mass-requests/{}", receipt.request.summary.id);
    let reply = representation(status, receipt.request, receipt.outcome)?.header(header::LOCATION, &location);
    Ok(if receipt.replayed { reply.header(IDEMPOTENT_REPLAYED, "true") } else { reply })
}

/// Validate a document.
///
/// A dry run that stores nothing: the violations and warnings that sending it would give.
#[api_v2_operation(operation_id = "validateMassRequest", tags("mass-requests"))]
pub async fn validate(
    call: Call,
    service: Service,
    document: Document,
    query: Query,
) -> Result<Reply<Verdict>, Problem> {
    let record = record(&call, document, query)?;
    let verdict = service.validate(&call.principal, record)?;
    Reply::ok(&Verdict {
        valid: verdict.violations.is_empty(),
        contract: verdict.contract.map(|contract| contract.to_string()),
        violations: verdict.violations.into_iter().map(Into::into).collect(),
        warnings: verdict.warnings.into_iter().map(Into::into).collect(),
    })
}

/// Normalise a document.
///
/// A dry run that stores nothing: the document as it would be stored, and its fingerprint.
#[api_v2_operation(operation_id = "normalizeMassRequest", tags("mass-requests"))]
pub async fn normalize(
    call: Call,
    service: Service,
    document: Document,
    query: Query,
) -> Result<Reply<Normalised>, Problem> {
    let record = record(&call, document, query)?;
    let examined = service.normalize(&call.principal, record)?;
    Reply::ok(&Normalised {
        contract: examined.contract.to_string(),
        normalized: raw(examined.canonical)?,
        fingerprint: examined.fingerprint.to_string(),
        warnings: examined.warnings.into_iter().map(Into::into).collect(),
    })
}

/// List MASS requests.
///
/// Newest first, page by page; rows that are added meanwhile move no other row to another page.
#[api_v2_operation(operation_id = "listMassRequests", tags("mass-requests"))]
pub async fn list(call: Call, service: Service, query: Query) -> Result<Reply<wire::Page>, Problem> {
    let query = list_query(query)?;
    let Page { items, next_cursor } = service.list(&call.principal, &query).await?;
    let page = wire::Page { items: items.into_iter().map(Into::into).collect(), next_cursor };
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

/// Fetch a MASS request.
///
/// The request with its normalised document.
#[api_v2_operation(operation_id = "getMassRequest", tags("mass-requests"))]
pub async fn get(
    call: Call,
    service: Service,
    target: web::Path<Target>,
    query: Query,
) -> Result<Reply<MassRequest>, Problem> {
    query.finish()?;
    let request = fetch(&call, &service, target.id()?).await?;
    let (version, outcome) = (request.summary.version, request.summary.outcome);
    if if_none_match(call.headers(), version) {
        return Ok(Reply::not_modified().header(header::ETAG, &entity_tag(version)));
    }
    representation(StatusCode::OK, request, outcome)
}

/// List a request's events.
///
/// All that happened to the request, in order, with who did it and in which trace.
#[api_v2_operation(operation_id = "listMassRequestEvents", tags("mass-requests"))]
pub async fn events(
    call: Call,
    service: Service,
    target: web::Path<Target>,
    query: Query,
) -> Result<Reply<EventList>, Problem> {
    query.finish()?;
    let events = service.events(&call.principal, target.id()?).await?;
    Reply::ok(&EventList { items: events.into_iter().map(Into::into).collect() })
}

/// Move a request to another status.
///
/// `pending` → `processing` → `done`; `pending` or `processing` → `failed` or `cancelled`; `failed` → `pending`. The
/// status that it has already changes nothing.
#[api_v2_operation(operation_id = "setMassRequestStatus", tags("mass-requests"))]
pub async fn set_status(
    call: Call,
    service: Service,
    target: web::Path<Target>,
    query: Query,
    body: Valid<StatusChange>,
) -> Result<Reply<MassRequest>, Problem> {
    query.finish()?;
    let (expected, id, StatusChange { status, reason }) = (if_match(call.headers()), target.id()?, body.0);
    let request = service.transition(&call.principal, id, status.into(), reason, expected, call.origin).await?;
    let outcome = request.summary.outcome;
    representation(StatusCode::OK, request, outcome)
}

/// Delete a MASS request.
///
/// Erases the document; the audit trail keeps its fingerprint. From then on every operation on it answers 410.
#[api_v2_operation(operation_id = "deleteMassRequest", tags("mass-requests"))]
pub async fn delete(
    call: Call,
    service: Service,
    target: web::Path<Target>,
    query: Query,
) -> Result<NoContent, Problem> {
    query.finish()?;
    service.delete(&call.principal, target.id()?, if_match(call.headers()), call.origin).await?;
    Ok(NoContent)
}

/// Accepts a document of a caller who may only be remembered: the store is asked about both at once.
async fn accept(call: &Call, service: &MassService, record: &Record, options: &Options) -> Result<Receipt, Problem> {
    if let Some(as_of) = call.as_of()
        && let Some(receipt) = service.accept_as_of(as_of, &call.principal, record, options).await?
    {
        return Ok(receipt);
    }
    let principal = call.confirmed().await?;
    Ok(service.accept(&principal, record, options).await?)
}

/// Fetches a request for a caller who may only be remembered: the store is asked about both at once.
async fn fetch(call: &Call, service: &MassService, id: MassRequestId) -> Result<Stored, Problem> {
    if let Some(as_of) = call.as_of()
        && let Some(request) = service.get_as_of(as_of, &call.principal, id).await?
    {
        return Ok(request);
    }
    Ok(service.get(&call.confirmed().await?, id).await?)
}

/// What was sent. A text that is no document is refused as such, whatever else is wrong with the call.
fn record(call: &Call, Document { value, text }: Document, query: Query) -> Result<Record, Problem> {
    let value = match value {
        Ok(value) => value,
        Err(error) => return Ok(Record::unreadable(&text, error)),
    };
    query.finish()?;
    Ok(Record::new(value, text.len(), idempotency_key(call.headers())?))
}

fn representation(status: StatusCode, request: Stored, outcome: Outcome) -> Result<Reply<MassRequest>, Problem> {
    let Stored { mut summary, document, warnings } = request;
    summary.outcome = outcome;
    let tag = entity_tag(summary.version);
    let model = MassRequest {
        summary: summary.into(),
        document: raw(document)?,
        warnings: warnings.into_iter().map(Into::into).collect(),
    };
    Ok(Reply::with_status(status, &model)?.header(header::ETAG, &tag))
}

fn raw(canonical: String) -> Result<Box<RawValue>, Problem> {
    RawValue::from_string(canonical).map_err(|error| Problem::internal(&error.into()))
}

/// Reads `on_conflict`.
///
/// # Errors
/// What would have been right.
pub(super) fn on_conflict(text: &str) -> Result<OnConflict, String> {
    match text {
        "refuse" => Ok(OnConflict::Refuse),
        "correct" => Ok(OnConflict::Correct),
        _ => Err("Either refuse or correct.".to_owned()),
    }
}

fn list_query(mut query: Query) -> Result<ListQuery, Problem> {
    let filter = Filter {
        status: query.take("status"),
        contract: query.take("contract"),
        site_id: query.take_with("site_id", short_text),
        device_id: query.take_with("device_id", short_text),
        correlation_id: query.take_with("correlation_id", short_text),
        created_from: query.take("created_from"),
        created_to: query.take("created_to"),
        observed_from: query.take("observed_from"),
        observed_to: query.take("observed_to"),
    };
    let limit = query.take_with("limit", page_limit).unwrap_or(Limit::DEFAULT);
    let cursor = query.take("cursor");
    query.finish()?;
    Ok(ListQuery { filter, limit, cursor })
}

pub(super) fn absent() -> Problem {
    Problem::new(ProblemKind::NotFound).detail("There is no such request.")
}

pub(super) fn gone() -> Problem {
    Problem::new(ProblemKind::Gone).detail("Its document is erased; the audit trail keeps its fingerprint.")
}

fn stale() -> Problem {
    Problem::new(ProblemKind::PreconditionFailed).detail("If-Match names another version than the present one.")
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

impl From<AcceptError> for Problem {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::Forbidden(error) => error.into(),
            AcceptError::Document(error) => Self::from(error).recorded(),
            AcceptError::Refused(refusal) => refusal.into(),
            AcceptError::Store(error) => error.into(),
        }
    }
}

impl From<DocumentError> for Problem {
    fn from(error: DocumentError) -> Self {
        match error {
            DocumentError::Malformed(error) => error.into(),
            DocumentError::Invalid(refused) => {
                let contract = refused.contract.map(|contract| contract.to_string());
                broken(refused.violations).member("contract", contract)
            }
            error @ DocumentError::ForeignTenant => Self::new(ProblemKind::ForeignTenant).detail(error.to_string()),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::KeyReused { request_id } => {
                Self::new(ProblemKind::KeyReused).detail(detail).member("first_id", request_id.to_string())
            }
            Refusal::KeyOfDeleted { request_id } => {
                Self::new(ProblemKind::Gone).detail(detail).member("first_id", request_id.to_string())
            }
            Refusal::Conflict { request_id, stored, sent } => Self::new(ProblemKind::Conflict)
                .detail(detail)
                .member("first_id", request_id.to_string())
                .member("stored_fingerprint", stored.to_string())
                .member("sent_fingerprint", sent.to_string()),
            Refusal::OverQuota(over) => over.into(),
        }
    }
}

impl From<OverQuota> for Problem {
    fn from(over: OverQuota) -> Self {
        let detail = sentence(&over.to_string());
        match over {
            OverQuota::Requests { allowed, used, until } => {
                let problem = Self::new(ProblemKind::DailyQuota).detail(detail);
                let problem = problem.member("allowed", allowed).member("used", used);
                let until = header::HttpDate::from(SystemTime::from(until.as_datetime())).to_string();
                match header::HeaderValue::try_from(until) {
                    Ok(until) => problem.header(header::RETRY_AFTER, until),
                    Err(_) => problem,
                }
            }
            OverQuota::StoredBytes { allowed, used, needed } => Self::new(ProblemKind::StorageQuota)
                .detail(detail)
                .member("allowed", allowed)
                .member("used", used)
                .member("needed", needed),
        }
    }
}

impl From<DryRunError> for Problem {
    fn from(error: DryRunError) -> Self {
        match error {
            DryRunError::Forbidden(error) => error.into(),
            DryRunError::Document(error) => error.into(),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Forbidden(error) => error.into(),
            ReadError::ForeignCursor(error) => foreign_cursor(error.to_string()),
            ReadError::NotFound => absent(),
            ReadError::Gone => gone(),
            ReadError::Store(error) => error.into(),
        }
    }
}

impl From<TransitionError> for Problem {
    fn from(error: TransitionError) -> Self {
        match error {
            TransitionError::Forbidden(error) => error.into(),
            TransitionError::NotFound => absent(),
            TransitionError::Gone => gone(),
            TransitionError::Stale => stale(),
            TransitionError::NotAllowed { from, to } => Self::new(ProblemKind::TransitionNotAllowed)
                .detail(format!("A request cannot move from {from} to {to}."))
                .member("from", from.as_str())
                .member("to", to.as_str()),
            TransitionError::Store(error) => error.into(),
        }
    }
}

impl From<DeleteError> for Problem {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::Forbidden(error) => error.into(),
            DeleteError::NotFound => absent(),
            DeleteError::Gone => gone(),
            DeleteError::Stale => stale(),
            DeleteError::Store(error) => error.into(),
        }
    }
}
