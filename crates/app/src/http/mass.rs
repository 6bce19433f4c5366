//! MASS requests: send, look at, move on, delete.

mod deletions;
pub mod problems;
pub mod shapes;

use actix_web::http::{StatusCode, header};
use actix_web::web;
use mass_domain::access::Permission;
use mass_domain::contracts::{ContractId, with_marker};
use mass_domain::ids::MassRequestId;
use mass_domain::json::{SyntaxError, Value};
use mass_domain::mass_request::{MassRequest as Stored, Outcome, RequestFilter};
use mass_domain::page::{self, Limit};
use mass_service::{AcceptError, ListQuery, MassService, OnConflict, Options, QuarantineService, Receipt, Record};
use serde_json::json;
use serde_json::value::RawValue;

use self::shapes::{EventList, ListedRequest, MassRequest, Normalised, Page, StatusChange, Verdict};
use super::body::{Document, Valid};
use super::contracts;
use super::headers::{
    IDEMPOTENT_REPLAYED, IF_MATCH, IF_NONE_MATCH, entity_tag, idempotency_key, if_match, if_none_match,
};
use super::keeping::{self, QUARANTINE};
use super::operations::{Access, AnswerHeader, Operation, Parameter, Produces, Tag, joined, model};
use super::parameters::{self, CURSOR, LIMIT};
use super::path::{InPath, PathId, uuid};
use super::problem::{Problem, ProblemKind};
use super::query::{Query, page_limit, short_text};
use super::reply::{Call, NoContent, Reply};
use crate::engine::Engine;

type Service = web::Data<MassService>;

/// The group of the operations on MASS requests.
pub const TAG: Tag = Tag { name: "mass-requests", description: "Sending documents, and what became of them." };

const READ: Access = Access::Needs(Permission::MassRead);
const WRITE: Access = Access::Needs(Permission::MassWrite);

impl InPath for MassRequestId {
    const PARAMETER: Parameter = uuid("The request's id.");

    fn absent() -> Problem {
        Problem::new(ProblemKind::NotFound).detail("There is no such request.")
    }
}

/// The operations.
pub const OPERATIONS: &[Operation] =
    &[CREATE, VALIDATE, NORMALIZE, LIST, deletions::DELETE, GET, EVENTS, SET_STATUS, DELETE];

/// The header that names an attempt.
const IDEMPOTENCY_KEY: Parameter = Parameter::new(
    "Idempotency-Key",
    "The client's name for this attempt (IETF draft `Idempotency-Key`), quoted or bare: the same key with the same \
     document gives the first answer again. Kept at least 24 hours.",
    || {
        json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$",
               "examples": ["gateway-7-000042"]})
    },
);

/// The parameter that chooses what becomes of a conflict.
pub(super) const ON_CONFLICT: Parameter = Parameter::new(
    "on_conflict",
    "What to do when another document with the same natural key is stored: `refuse` it (409), or store it as a \
     correction that supersedes the one that stands (`correct`).",
    || json!({"type": "string", "enum": ["refuse", "correct"], "default": "refuse"}),
);

/// The parameter that names the contract of documents without a marker.
const CONTRACT: Parameter = Parameter::new(
    "contract",
    "The document's contract: adds its marker to a document without one.",
    parameters::contract_name,
);

/// The parameters that choose among requests.
pub(super) const FILTERS: [Parameter; 11] = [
    Parameter::new(
        "status",
        "Requests in this status.",
        || json!({"type": "string", "enum": ["pending", "processing", "done", "failed", "cancelled"]}),
    ),
    Parameter::new("contract", "Requests under this contract.", parameters::contract_name),
    Parameter::new("site_id", "Requests of this site.", parameters::short_text),
    Parameter::new("device_id", "Requests of this device.", parameters::short_text),
    Parameter::new("correlation_id", "Requests with this correlation id.", parameters::short_text),
    Parameter::new(
        "batch_id",
        "Requests whose documents name this batch (`metadata.batch_id`).",
        parameters::short_text,
    ),
    Parameter::new(
        "call_id",
        "Requests that one batch or import stored: its `call_id` or the `X-Request-Id` of its call, or the id that `mass import` \
         prints.",
        parameters::short_text,
    ),
    Parameter::new("created_from", "Stored at or after this instant.", parameters::instant),
    Parameter::new("created_to", "Stored before this instant.", parameters::instant),
    Parameter::new("observed_from", "Telling of an instant at or after this one.", parameters::instant),
    Parameter::new("observed_to", "Telling of an instant before this one.", parameters::instant),
];

const INCLUDE: Parameter = Parameter::new(
    "include",
    "`document`: each request comes with its document. A page then ends, with its cursor, before its documents have more \
     than 4 MiB together, unless one of them alone has.",
    || json!({"type": "string", "enum": ["document"]}),
);

const LISTED: [Parameter; 14] = joined(FILTERS, [INCLUDE, LIMIT, CURSOR]);

/// The header with the version of a request.
pub(super) const ETAG: AnswerHeader =
    AnswerHeader { name: "ETag", description: "The request's present version.", example: "\"v1\"" };

/// The header of an answer that repeats the first one to its key.
pub(super) const REPLAYED: AnswerHeader = AnswerHeader {
    name: "Idempotent-Replayed",
    description: "There and `true` when this repeats the first answer to the key.",
    example: "true",
};

const CREATE: Operation = Operation {
    id: "createMassRequest",
    summary: "Send a MASS request.",
    description: "Validates the document completely, normalises it and stores it durably together with its audit \
        event. The same natural key again gives the first request (200) or, for another document, 409; see the \
        contracts.",
    tag: Some(TAG),
    query: &[ON_CONFLICT, CONTRACT, QUARANTINE],
    headers: &[IDEMPOTENCY_KEY],
    body: &[("application/json", contracts::document)],
    produces: Produces::Json(model::<MassRequest>),
    answers: &[
        (201, "Stored, as a new request or as a correction."),
        (200, "The same document is stored already: that request."),
    ],
    answer_headers: &[ETAG, REPLAYED],
    problems: &[
        ProblemKind::ForeignTenant,
        ProblemKind::StorageQuota,
        ProblemKind::Gone,
        ProblemKind::Conflict,
        ProblemKind::KeyReused,
        ProblemKind::DailyQuota,
    ],
    confirms: true,
    ..Operation::post("/v1/mass-requests", WRITE, || web::to(create))
};

async fn create(
    call: Call,
    service: Service,
    engine: web::Data<Engine>,
    quarantine: web::Data<QuarantineService>,
    Document { value, text }: Document,
    mut query: Query,
) -> Result<Reply<MassRequest>, Problem> {
    let on_conflict = query.take_with("on_conflict", on_conflict).unwrap_or_default();
    let (asked, named) = (query.take("quarantine"), query.take("contract"));
    let record = record(&call, value, &text, named, query)?;
    let options = Options::for_one(on_conflict, engine.auto_send(), call.origin.clone());
    match accept(&call, &service, &record, &options).await? {
        Ok(receipt) => {
            engine.accepted([&receipt]);
            created(receipt)
        }
        Err(error) => Err(keeping::refused(&call, &quarantine, asked, named, &text, error).await),
    }
}

/// Builds the answer to a document that was accepted.
pub(super) fn created(receipt: Receipt) -> Result<Reply<MassRequest>, Problem> {
    let status = if receipt.outcome == Outcome::Duplicate { StatusCode::OK } else { StatusCode::CREATED };
    let location = format!("/v1/mass-requests/{}", receipt.request.summary.id);
    let reply = representation(status, receipt.request, receipt.outcome)?.header(header::LOCATION, &location);
    Ok(if receipt.replayed { reply.header(IDEMPOTENT_REPLAYED, "true") } else { reply })
}

const VALIDATE: Operation = Operation {
    id: "validateMassRequest",
    summary: "Validate a document.",
    description: "A dry run that stores nothing: the violations and warnings that sending it would give.",
    tag: Some(TAG),
    query: &[CONTRACT],
    headers: &[IDEMPOTENCY_KEY],
    body: &[("application/json", contracts::document)],
    produces: Produces::Json(model::<Verdict>),
    answers: &[(200, "The verdict, whatever it is.")],
    problems: &[ProblemKind::ForeignTenant],
    gives_verdicts: true,
    store: false,
    ..Operation::post("/v1/mass-requests/validate", WRITE, || web::to(validate))
};

async fn validate(
    call: Call,
    service: Service,
    Document { value, text }: Document,
    mut query: Query,
) -> Result<Reply<Verdict>, Problem> {
    let named = query.take("contract");
    let record = record(&call, value, &text, named, query)?;
    let verdict = service.validate(&call.principal, record)?;
    Reply::ok(&Verdict {
        valid: verdict.violations.is_empty(),
        contract: verdict.contract.map(|contract| contract.to_string()),
        violations: verdict.violations.into_iter().map(Into::into).collect(),
        warnings: verdict.warnings.into_iter().map(Into::into).collect(),
    })
}

const NORMALIZE: Operation = Operation {
    id: "normalizeMassRequest",
    summary: "Normalise a document.",
    description: "A dry run that stores nothing: the document as it would be stored, and its fingerprint.",
    tag: Some(TAG),
    query: &[CONTRACT],
    headers: &[IDEMPOTENCY_KEY],
    body: &[("application/json", contracts::document)],
    produces: Produces::Json(model::<Normalised>),
    answers: &[(200, "The normalised document.")],
    problems: &[ProblemKind::ForeignTenant],
    store: false,
    ..Operation::post("/v1/mass-requests/normalize", WRITE, || web::to(normalize))
};

async fn normalize(
    call: Call,
    service: Service,
    Document { value, text }: Document,
    mut query: Query,
) -> Result<Reply<Normalised>, Problem> {
    let named = query.take("contract");
    let record = record(&call, value, &text, named, query)?;
    let examined = service.normalize(&call.principal, record)?;
    Reply::ok(&Normalised {
        contract: examined.contract.to_string(),
        normalized: raw(examined.canonical)?,
        fingerprint: examined.fingerprint.to_string(),
        warnings: examined.warnings.into_iter().map(Into::into).collect(),
    })
}

const LIST: Operation = Operation {
    id: "listMassRequests",
    summary: "List MASS requests.",
    description: "Newest first, page by page; rows that are added meanwhile move no other row to another page.",
    tag: Some(TAG),
    query: &LISTED,
    produces: Produces::Json(model::<Page>),
    answers: &[(200, "A page of requests.")],
    ..Operation::get("/v1/mass-requests", READ, || web::to(list))
};

async fn list(call: Call, service: Service, mut query: Query) -> Result<Reply<Page>, Problem> {
    let with_documents = query.take_with("include", include).is_some();
    let query = list_query(query)?;
    let page = if with_documents {
        let page::Page { items, next_cursor } = service.list_documents(&call.principal, &query).await?;
        Page { items: items.into_iter().map(listed).collect::<Result<_, _>>()?, next_cursor }
    } else {
        let page::Page { items, next_cursor } = service.list(&call.principal, &query).await?;
        Page { items: items.into_iter().map(Into::into).collect(), next_cursor }
    };
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

fn include(text: &str) -> Result<(), String> {
    if text == "document" { Ok(()) } else { Err("Only document.".to_owned()) }
}

fn listed(request: Stored) -> Result<ListedRequest, Problem> {
    Ok(ListedRequest { summary: request.summary.into(), document: Some(raw(request.document)?) })
}

const GET: Operation = Operation {
    id: "getMassRequest",
    summary: "Fetch a MASS request.",
    description: "The request with its normalised document.",
    tag: Some(TAG),
    in_path: &[MassRequestId::PARAMETER],
    headers: &[IF_NONE_MATCH],
    produces: Produces::Json(model::<MassRequest>),
    answers: &[(200, "The request."), (304, "It is as the client knows it.")],
    answer_headers: &[ETAG],
    problems: &[ProblemKind::NotFound, ProblemKind::Gone],
    confirms: true,
    ..Operation::get("/v1/mass-requests/{id}", READ, || web::to(get))
};

async fn get(
    call: Call,
    service: Service,
    id: PathId<MassRequestId>,
    query: Query,
) -> Result<Reply<MassRequest>, Problem> {
    query.finish()?;
    let request = fetch(&call, &service, id.read()?).await?;
    let (version, outcome) = (request.summary.version, request.summary.outcome);
    if if_none_match(call.request(), version) {
        return Ok(Reply::not_modified().header(header::ETAG, &entity_tag(version).to_string()));
    }
    representation(StatusCode::OK, request, outcome)
}

const EVENTS: Operation = Operation {
    id: "listMassRequestEvents",
    summary: "List a request's events.",
    description: "All that happened to the request, in order, with who did it and in which trace.",
    tag: Some(TAG),
    in_path: &[MassRequestId::PARAMETER],
    produces: Produces::Json(model::<EventList>),
    answers: &[(200, "The events, in order.")],
    problems: &[ProblemKind::NotFound, ProblemKind::Gone],
    ..Operation::get("/v1/mass-requests/{id}/events", READ, || web::to(events))
};

async fn events(
    call: Call,
    service: Service,
    id: PathId<MassRequestId>,
    query: Query,
) -> Result<Reply<EventList>, Problem> {
    query.finish()?;
    let events = service.events(&call.principal, id.read()?).await?;
    Reply::ok(&EventList { items: events.into_iter().map(Into::into).collect() })
}

const SET_STATUS: Operation = Operation {
    id: "setMassRequestStatus",
    summary: "Move a request to another status.",
    description: "`pending` → `processing` → `done`; `pending` or `processing` → `failed` or `cancelled`; `failed` → \
        `pending`. The status that it has already changes nothing.",
    tag: Some(TAG),
    in_path: &[MassRequestId::PARAMETER],
    headers: &[IF_MATCH],
    body: &[("application/json", model::<StatusChange>)],
    produces: Produces::Json(model::<MassRequest>),
    answers: &[(200, "The request, with the status asked for.")],
    answer_headers: &[ETAG],
    problems: &[
        ProblemKind::NotFound,
        ProblemKind::Gone,
        ProblemKind::PreconditionFailed,
        ProblemKind::TransitionNotAllowed,
    ],
    ..Operation::patch("/v1/mass-requests/{id}/status", WRITE, || web::to(set_status))
};

async fn set_status(
    call: Call,
    service: Service,
    id: PathId<MassRequestId>,
    query: Query,
    body: Valid<StatusChange>,
) -> Result<Reply<MassRequest>, Problem> {
    query.finish()?;
    let (expected, id, StatusChange { status, reason }) = (if_match(call.request()), id.read()?, body.0);
    let request = service.transition(&call.principal, id, status.into(), reason, expected, call.origin).await?;
    let outcome = request.summary.outcome;
    representation(StatusCode::OK, request, outcome)
}

const DELETE: Operation = Operation {
    id: "deleteMassRequest",
    summary: "Delete a MASS request.",
    description: "Erases the document; the audit trail keeps its fingerprint. From then on every operation on it \
        answers 410.",
    tag: Some(TAG),
    in_path: &[MassRequestId::PARAMETER],
    headers: &[IF_MATCH],
    answers: &[(204, "The document is erased.")],
    problems: &[ProblemKind::NotFound, ProblemKind::Gone, ProblemKind::PreconditionFailed, ProblemKind::LegalHold],
    ..Operation::delete("/v1/mass-requests/{id}", WRITE, || web::to(delete))
};

async fn delete(call: Call, service: Service, id: PathId<MassRequestId>, query: Query) -> Result<NoContent, Problem> {
    query.finish()?;
    service.delete(&call.principal, id.read()?, if_match(call.request()), call.origin).await?;
    Ok(NoContent)
}

/// Accepts a document of a caller who may only be remembered: the store is asked about both at once.
async fn accept(
    call: &Call,
    service: &MassService,
    record: &Record,
    options: &Options,
) -> Result<Result<Receipt, AcceptError>, Problem> {
    let accepted = service.accept(&call.principal, record, options, call.as_of()).await;
    if let Some(result) = accepted.transpose() {
        return Ok(result);
    }
    let principal = call.confirmed().await?;
    let accepted = service.accept(&principal, record, options, None).await.transpose();
    accepted
        .ok_or_else(|| Problem::internal(&anyhow::anyhow!("a document was not accepted, although under no condition")))
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

/// Builds the record of a call. A text that is no document is refused as such, before anything else about the call.
fn record(
    call: &Call,
    value: Result<Value, SyntaxError>,
    text: &[u8],
    contract: Option<ContractId>,
    query: Query,
) -> Result<Record, Problem> {
    let value = match value {
        Ok(value) => value,
        Err(error) => return Ok(Record::unreadable(text, error)),
    };
    query.finish()?;
    let value = match contract {
        Some(contract) => with_marker(contract, value),
        None => value,
    };
    Ok(Record::new(value, text.len(), idempotency_key(call.headers())?))
}

fn representation(status: StatusCode, request: Stored, outcome: Outcome) -> Result<Reply<MassRequest>, Problem> {
    let Stored { mut summary, document, warnings } = request;
    summary.outcome = outcome;
    let tag = entity_tag(summary.version).to_string();
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
/// The expected value or form.
pub(super) fn on_conflict(text: &str) -> Result<OnConflict, String> {
    match text {
        "refuse" => Ok(OnConflict::Refuse),
        "correct" => Ok(OnConflict::Correct),
        _ => Err("Either refuse or correct.".to_owned()),
    }
}

fn list_query(mut query: Query) -> Result<ListQuery, Problem> {
    let filter = filter(&mut query);
    let limit = query.take_with("limit", page_limit).unwrap_or(Limit::DEFAULT);
    let cursor = query.take("cursor");
    query.finish()?;
    Ok(ListQuery { filter, limit, cursor })
}

/// Reads the parameters that choose among requests.
pub(super) fn filter(query: &mut Query) -> RequestFilter {
    RequestFilter {
        status: query.take("status"),
        contract: query.take("contract"),
        site_id: query.take_with("site_id", short_text),
        device_id: query.take_with("device_id", short_text),
        correlation_id: query.take_with("correlation_id", short_text),
        batch_id: query.take_with("batch_id", short_text),
        call_id: query.take_with("call_id", short_text),
        created_from: query.take("created_from"),
        created_to: query.take("created_to"),
        observed_from: query.take("observed_from"),
        observed_to: query.take("observed_to"),
    }
}
