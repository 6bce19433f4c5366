//! The quarantine: refused records that are kept, to be mended and sent again.

pub mod shapes;

use actix_web::web::{self, BytesMut};
use mass_domain::access::Permission;
use mass_domain::ids::QuarantineId;
use mass_domain::json::Value;
use mass_domain::page::Limit;
use mass_domain::quarantine::{QuarantineFilter, Quarantined};
use mass_domain::time::Timestamp;
use mass_domain::trace::RequestId;
use mass_service::{
    MappingSource, MassService, Options, QuarantineError, QuarantineQuery, QuarantineService, Record, RetryError,
    SentKey,
};
use serde_json::json;

use self::shapes::{QuarantineDeletion, QuarantinePage, QuarantinedRecord};
use super::body::OptionalDocument;
use super::contracts;
use super::headers::idempotency_key;
use super::mass::shapes::MassRequest;
use super::mass::{ETAG, ON_CONFLICT, REPLAYED, created, on_conflict};
use super::operations::{Access, AnswerHeader, Operation, Parameter, Produces, Tag, model};
use super::parameters::{self, CURSOR, LIMIT};
use super::path::{InPath, PathId, uuid};
use super::problem::{Problem, ProblemKind, problem_from};
use super::query::{Query, foreign_cursor, page_limit};
use super::reply::{Call, NoContent, Reply};
use crate::engine::Engine;
use crate::records::{reread, submitted};

type Service = web::Data<QuarantineService>;

const TAG: Tag = Tag { name: "quarantine", description: "Refused records that are kept, to be mended and sent again." };

const READ: Access = Access::Needs(Permission::MassRead);
const WRITE: Access = Access::Needs(Permission::MassWrite);

impl InPath for QuarantineId {
    const PARAMETER: Parameter = uuid("The record's id in the quarantine.");

    fn absent() -> Problem {
        Problem::new(ProblemKind::NotFound).detail("There is no such record in the quarantine.")
    }
}

/// The operations.
pub const OPERATIONS: &[Operation] = &[LIST, GET, RETRY, DELETE, DELETE_MATCHING];

const CONTRACT: Parameter = Parameter::new(
    "contract",
    "Records of this contract, by their own marker or by the name beside them.",
    parameters::contract_name,
);

const CODE: Parameter = Parameter::new(
    "code",
    "Records with a violation of this code.",
    || json!({"type": "string", "pattern": "^[a-z0-9_]{1,64}$", "examples": ["range"]}),
);

const REQUEST_ID: Parameter = Parameter::new(
    "request_id",
    "Records that came with this call (`X-Request-Id`).",
    || json!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"}),
);

const RECEIVED_FROM: Parameter =
    Parameter::new("received_from", "Received at or after this instant.", parameters::instant);

const RECEIVED_TO: Parameter = Parameter::new("received_to", "Received before this instant.", parameters::instant);

const IDEMPOTENCY_KEY: Parameter = Parameter::new(
    "Idempotency-Key",
    "Another key than the one that was sent with the record. Documents with a natural key need none.",
    || json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"}),
);

const LOCATION: AnswerHeader = AnswerHeader {
    name: "Location",
    description: "Where the request is.",
    example: "/v1/mass-requests/0199d3a0-0000-7000-8000-000000000002",
};

const LIST: Operation = Operation {
    id: "listQuarantine",
    summary: "List the quarantine.",
    description: "Refused records that were kept and have not expired, newest first, page by page; without their bytes \
        and violations, of which `codes` has the kinds.",
    tag: Some(TAG),
    query: &[CONTRACT, CODE, REQUEST_ID, RECEIVED_FROM, RECEIVED_TO, LIMIT, CURSOR],
    produces: Produces::Json(model::<QuarantinePage>),
    answers: &[(200, "A page of records.")],
    ..Operation::get("/v1/quarantine", READ, || web::to(list))
};

async fn list(call: Call, service: Service, mut query: Query) -> Result<Reply<QuarantinePage>, Problem> {
    let filter = filter(&mut query);
    let limit = query.take_with("limit", page_limit).unwrap_or(Limit::DEFAULT);
    let cursor = query.take("cursor");
    query.finish()?;
    let query = QuarantineQuery { filter, limit, cursor };
    let page: QuarantinePage = service.list(&call.principal, &query).await?.into();
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

const GET: Operation = Operation {
    id: "getQuarantinedRecord",
    summary: "Fetch a record of the quarantine.",
    description: "The record as it was received, and why it was refused.",
    tag: Some(TAG),
    in_path: &[QuarantineId::PARAMETER],
    produces: Produces::Json(model::<QuarantinedRecord>),
    answers: &[(200, "The record.")],
    problems: &[ProblemKind::NotFound],
    ..Operation::get("/v1/quarantine/{id}", READ, || web::to(get))
};

async fn get(
    call: Call,
    service: Service,
    id: PathId<QuarantineId>,
    query: Query,
) -> Result<Reply<QuarantinedRecord>, Problem> {
    query.finish()?;
    Reply::ok(&service.get(&call.principal, id.read()?).await?.into())
}

const RETRY: Operation = Operation {
    id: "retryQuarantinedRecord",
    summary: "Accept a record of the quarantine after all.",
    description: "Without a body: the record as it is, which may be accepted once its cause is gone, or as a correction. \
        With a body: this document instead, the mended one. Accepted, the record leaves the quarantine in the same \
        transaction, and the event `accepted` names it; refused again, it stays as it is.",
    tag: Some(TAG),
    in_path: &[QuarantineId::PARAMETER],
    query: &[ON_CONFLICT],
    headers: &[IDEMPOTENCY_KEY],
    body: &[("application/json", contracts::document)],
    optional_body: true,
    produces: Produces::Json(model::<MassRequest>),
    answers: &[
        (201, "Stored, as a new request or as a correction."),
        (200, "The same document is stored already: that request."),
    ],
    answer_headers: &[ETAG, REPLAYED, LOCATION],
    problems: &[
        ProblemKind::ForeignTenant,
        ProblemKind::StorageQuota,
        ProblemKind::NotFound,
        ProblemKind::Gone,
        ProblemKind::Conflict,
        ProblemKind::KeyReused,
        ProblemKind::DailyQuota,
    ],
    ..Operation::post("/v1/quarantine/{id}/retry", WRITE, || web::to(retry))
};

async fn retry(
    call: Call,
    service: Service,
    mass: web::Data<MassService>,
    engine: web::Data<Engine>,
    id: PathId<QuarantineId>,
    mut query: Query,
    OptionalDocument(mended): OptionalDocument,
) -> Result<Reply<MassRequest>, Problem> {
    let on_conflict = query.take_with("on_conflict", on_conflict).unwrap_or_default();
    query.finish()?;
    let (key, id) = (idempotency_key(call.headers())?, id.read()?);
    let kept = service.get_to_retry(&call.principal, id).await?;
    let options = Options::for_one(on_conflict, engine.auto_send(), call.origin.clone());
    let options = if mended.is_none() { with_mapping(options, &kept) } else { options };
    let record = record(kept, mended, key);
    let receipt = service.retry(&call.principal, &mass, id, &record, &options).await?;
    engine.accepted([&receipt]);
    created(receipt)
}

/// Returns the options of a record as it is, whose mapping profile the event names.
fn with_mapping(options: Options, kept: &Quarantined) -> Options {
    let mapping = kept.summary.mapping.as_deref().and_then(MappingSource::parse);
    Options { mapping, ..options }
}

/// Builds the record to accept: the mended document, or what was kept. A key that is sent now precedes the kept ones.
fn record(kept: Quarantined, mended: Option<(Value, BytesMut)>, key: SentKey) -> Record {
    let Quarantined { summary, record: bytes, .. } = kept;
    let (own_key, document) = match reread(summary.form, summary.contract, &bytes) {
        Ok((own_key, document)) => (own_key, Ok(document)),
        Err(error) => (None, Err(error)),
    };
    let sent = match key {
        SentKey::Header(key) | SentKey::Fallback(key) => Some(key.as_str().to_owned()),
        SentKey::None => None,
    };
    let key = || sent.or(own_key).or(summary.idempotency_key);
    match mended {
        Some((document, text)) => submitted(&text, Ok(document), key),
        None => submitted(&bytes, document, key),
    }
}

const DELETE: Operation = Operation {
    id: "deleteQuarantinedRecord",
    summary: "Delete a record of the quarantine.",
    description: "Removes the record for good; the audit trail never had it.",
    tag: Some(TAG),
    in_path: &[QuarantineId::PARAMETER],
    answers: &[(204, "It is gone.")],
    problems: &[ProblemKind::NotFound],
    ..Operation::delete("/v1/quarantine/{id}", WRITE, || web::to(delete))
};

async fn delete(call: Call, service: Service, id: PathId<QuarantineId>, query: Query) -> Result<NoContent, Problem> {
    query.finish()?;
    service.delete(&call.principal, id.read()?).await?;
    Ok(NoContent)
}

const DELETE_MATCHING: Operation = Operation {
    id: "deleteQuarantinedRecords",
    summary: "Delete records of the quarantine.",
    description: "Removes records that match all filters, oldest first and at most 1,000; where others are left, `more` is \
        true: call again. `received_to` is needed, so that nothing goes that nobody has seen.",
    tag: Some(TAG),
    query: &[CONTRACT, CODE, REQUEST_ID, RECEIVED_FROM, RECEIVED_TO.required()],
    produces: Produces::Json(model::<QuarantineDeletion>),
    answers: &[(200, "How many are gone.")],
    ..Operation::delete("/v1/quarantine", WRITE, || web::to(delete_matching))
};

async fn delete_matching(call: Call, service: Service, mut query: Query) -> Result<Reply<QuarantineDeletion>, Problem> {
    let received_to =
        query.need_with("received_to", |text| text.parse::<Timestamp>().map_err(|error| error.to_string()));
    let filter = QuarantineFilter { received_to, ..filter(&mut query) };
    query.finish()?;
    Reply::ok(&service.delete_matching(&call.principal, &filter).await?.into())
}

/// Reads the parameters that choose among records.
fn filter(query: &mut Query) -> QuarantineFilter {
    let request_id = |text: &str| RequestId::parse(text).map_err(|error| error.to_string());
    QuarantineFilter {
        contract: query.take("contract"),
        code: query.take("code"),
        request_id: query.take_with("request_id", request_id),
        received_from: query.take("received_from"),
        received_to: query.take("received_to"),
    }
}

problem_from! {
    QuarantineError: Forbidden, Store;
        QuarantineError::ForeignCursor(error) => foreign_cursor(error.to_string()),
        QuarantineError::NotFound => QuarantineId::absent(),
}

problem_from! {
    RetryError: Accept;
        RetryError::NotFound => QuarantineId::absent(),
}
