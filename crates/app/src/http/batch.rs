//! Batches: many documents in one body, of any length, each with a result of its own in the answer.
//!
//! The body is read, decoded and taken apart while it arrives; a chunk of records is examined while the one before it is
//! being stored; results are sent while more is read. However long the body is, about two chunks of it are in memory.

mod answer;
mod atomic;
mod coding;
mod halt;
mod intake;
mod line;
mod mapped;
pub mod outbox;
mod pipeline;
mod report;
mod storing;
mod upload;

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use mass_domain::access::Permission;
use mass_domain::contracts::ContractId;
use mass_domain::mappings::MappingName;
use mass_domain::mass_request::IdempotencyKey;
use mass_domain::records::Format;
use mass_domain::trace::RequestId;
use mass_mapping::Mapper;
use mass_service::{MappingService, MappingSource, MassService, Options, QuarantineService, SentKey};
use serde_json::json;
use std::future::{Ready, ready};
use tokio::sync::oneshot;

use self::answer::{Conclusion, Form};
use self::halt::Halt;
use self::intake::{Bounds, Reading, Terms};
use self::line::{BatchDocument, BatchLine};
pub(super) use self::mapped::violation as mapped_violation;
use self::outbox::{TemporaryFolder, outbox};
use self::report::{Report, Shown};
use self::storing::Storing;
use self::upload::Upload;
use super::body::BodyLimit;
use super::contracts;
use super::headers::idempotency_key;
use super::keeping::QUARANTINE;
use super::limits::Limits;
use super::mass::{self, ON_CONFLICT, on_conflict};
use super::operations::{Access, Operation, Parameter, Produces, model};
use super::parameters;
use super::problem::{Problem, ProblemKind};
use super::query::{Query, wrong_header, wrong_parameter};
use super::reply::Call;
use super::streams::{self, Stream, Streams};
use super::system::Draining;
use crate::engine::Engine;

/// The operations.
pub const OPERATIONS: &[Operation] = &[CREATE];

/// The size of a chunk that is stored together. Each byte is held as received, as stored, and as sent to the database:
/// with four times the bytes nothing was faster, and a stream held 100 MiB more.
const CHUNK: Bounds = Bounds { records: 500, bytes: 1 << 18 };

/// The longest key of a whole batch: an index has to find room behind it.
const KEY_LENGTH: usize = 230;

const IDEMPOTENCY_KEY: Parameter = Parameter::new(
    "Idempotency-Key",
    "The client's name for this batch: a record that has neither a key of its own nor a natural one gets this one with \
     its index.",
    || {
        json!({"type": "string", "minLength": 1, "maxLength": 230, "pattern": "^[!-~]([ -~]*[!-~])?$",
               "examples": ["site-7-2026-11-24"]})
    },
);

const KEYED: Parameter = Parameter::new(
    "keyed",
    "True if each JSON record is an object of a `document` and, optionally, the idempotency `key` of this record, which \
     precedes one of the batch. A key whose request was deleted is followed by `KEY~1`, `KEY~2` and so on.",
    || json!({"type": "boolean", "default": false}),
);

const MAPPED_BY: Parameter = Parameter::new(
    "mapped_by",
    "The mapping profile that the client made the records by, NAME@DIGEST; the audit events of the stored records name it.",
    || json!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}@sha256:[0-9a-f]{64}$"}),
);

const MAP: Parameter = Parameter::new(
    "map",
    "The mapping profile of the tenant (`/v1/mappings`) that makes the records of a body of any form: of tables, lines and \
     JSON. The body may then also be `text/tab-separated-values`, `text/plain` or `application/octet-stream`; the profile \
     names its format, its encoding and the contract, so that `contract`, `keyed` and `mapped_by` do not go with it.",
    || json!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}),
);

const CALL_ID: Parameter = Parameter::new(
    "call_id",
    "The id by which the stored requests are found again, such as one for all batches of an import [default: `X-Request-Id`].",
    || json!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"}),
);

const PARAMETERS: &[Parameter] = &[
    KEYED,
    MAP,
    MAPPED_BY,
    CALL_ID,
    Parameter::new(
        "contract",
        "The records' contract: needed for CSV; adds the contract's marker to JSON without one.",
        parameters::contract_name,
    ),
    ON_CONFLICT,
    QUARANTINE,
    Parameter::new(
        "results",
        "Which records have a result in the answer: `all`, or those that are neither stored nor duplicates (`errors`). \
         The totals count all.",
        || json!({"type": "string", "enum": ["all", "errors"], "default": "all"}),
    ),
    Parameter::new(
        "mode",
        "Whether `each` record is stored for its own sake, or all of at most 10,000 or none (`atomic`). `strict` stores as \
         `each` does, and answers once all is judged, so that the status tells whether all went well: 200, or else that of \
         the problem that ended the batch, or 422 if records are refused.",
        || json!({"type": "string", "enum": ["each", "strict", "atomic"], "default": "each"}),
    ),
];

const CREATE: Operation = Operation {
    id: "createMassRequestBatch",
    summary: "Send MASS requests in a batch.",
    description: "A stream of documents, of any length: lines (NDJSON), a JSON array, or CSV; with `map`, any form that a \
        mapping profile reads. Each becomes a line of the answer, in its order and while more is being sent; the last line \
        has the totals. A client that prefers `application/json` gets one document of the same results. **200 means that \
        the batch was read: whether all of it was stored is told by the totals**, and by the status with `mode=strict`. A \
        body whose first record cannot be read is refused whole with 400. Sent again, whole, a batch stores nothing twice.",
    tag: Some(mass::TAG),
    query: PARAMETERS,
    headers: &[IDEMPOTENCY_KEY],
    body: &[
        ("application/x-ndjson", line::ndjson),
        ("application/json", contracts::documents),
        ("text/csv", line::csv),
    ],
    produces: Produces::NdjsonOrJson(model::<BatchLine>, model::<BatchDocument>),
    answers: &[
        (200, "The batch was read. What became of each record, and the totals."),
        (201, "With `mode=atomic`: all of it is stored, or was stored already."),
    ],
    problems: &[
        ProblemKind::StorageQuota,
        ProblemKind::BatchRefused,
        ProblemKind::RecordsRefused,
        ProblemKind::TooManyRefused,
        ProblemKind::DailyQuota,
        ProblemKind::TooManyStreams,
    ],
    gives_verdicts: true,
    ..Operation::post("/v1/mass-requests/batch", Access::Needs(Permission::MassWrite), || web::to(create))
};

async fn create(call: Call, upload: Upload, query: Query, tools: Tools) -> Result<HttpResponse, Problem> {
    let wishes = Wishes::read(&call, &upload, &tools, query).await?;
    match wishes.mode {
        Mode::Each | Mode::Strict => streamed(call, upload, wishes, tools).await,
        Mode::Atomic => atomic::atomic(call, upload, wishes, tools).await,
    }
}

/// The services that a batch needs.
pub struct Tools {
    service: web::Data<MassService>,
    mappings: web::Data<MappingService>,
    quarantine: web::Data<QuarantineService>,
    engine: web::Data<Engine>,
    folder: TemporaryFolder,
    limit: usize,
    streams: web::Data<Streams>,
    limits: web::Data<Limits>,
    draining: web::Data<Draining>,
}

impl FromRequest for Tools {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let service = req.app_data::<web::Data<MassService>>().cloned();
        let mappings = req.app_data::<web::Data<MappingService>>().cloned();
        let quarantine = req.app_data::<web::Data<QuarantineService>>().cloned();
        let engine = req.app_data::<web::Data<Engine>>().cloned();
        let folder = req.app_data::<web::Data<TemporaryFolder>>().map(|folder| folder.get_ref().clone());
        let limit = req.app_data::<web::Data<BodyLimit>>().map(|limit| limit.0);
        let streams = req.app_data::<web::Data<Streams>>().cloned();
        let limits = req.app_data::<web::Data<Limits>>().cloned();
        let draining = req.app_data::<web::Data<Draining>>().cloned();
        let tools = (|| {
            let (service, mappings, quarantine, engine) = (service?, mappings?, quarantine?, engine?);
            let (folder, limit, streams, limits, draining) = (folder?, limit?, streams?, limits?, draining?);
            Some(Self { service, mappings, quarantine, engine, folder, limit, streams, limits, draining })
        })();
        ready(tools.ok_or_else(|| Problem::internal(&anyhow::anyhow!("batches are not wired"))))
    }
}

/// Query parameters of a batch, and the form of the answer.
struct Wishes {
    mode: Mode,
    form: Form,
    shown: Shown,
    contract: Option<ContractId>,
    /// The mapping profile that makes the records, compiled.
    mapper: Option<Mapper>,
    /// True if the records come with keys.
    keyed: bool,
    key: Option<IdempotencyKey>,
    /// True or false if the call says whether refused records are kept.
    quarantine: Option<bool>,
    options: Options,
}

#[derive(Debug, Clone, Copy, Default)]
enum Mode {
    /// Each record is stored or not for its own sake.
    #[default]
    Each,
    /// The same, with an answer once all is judged.
    Strict,
    /// All or none.
    Atomic,
}

impl Wishes {
    async fn read(call: &Call, upload: &Upload, tools: &Tools, mut query: Query) -> Result<Self, Problem> {
        let mode = query.take_with("mode", |text| match text {
            "each" => Ok(Mode::Each),
            "strict" => Ok(Mode::Strict),
            "atomic" => Ok(Mode::Atomic),
            _ => Err("One of each, strict and atomic.".to_owned()),
        });
        let shown = query.take_with("results", |text| match text {
            "all" => Ok(Shown::All),
            "errors" => Ok(Shown::Errors),
            _ => Err("Either all or errors.".to_owned()),
        });
        let map = map(&mut query);
        let contract = query.take("contract");
        let keyed = query.take::<bool>("keyed").unwrap_or_default();
        let on_conflict = query.take_with("on_conflict", on_conflict).unwrap_or_default();
        let mapping = query.take_with("mapped_by", |text| {
            MappingSource::parse(text).ok_or_else(|| "Expected NAME@DIGEST.".to_owned())
        });
        let call_id = query.take_with("call_id", |text| {
            RequestId::parse(text)
                .map_err(|_| "Expected 1 to 128 letters, digits, dots, hyphens and underscores.".to_owned())
        });
        let quarantine = query.take::<bool>("quarantine");
        if quarantine == Some(true) && matches!(mode, Some(Mode::Atomic)) {
            query.refuse("quarantine", "An atomic batch keeps nothing of what it refuses: send it again whole.");
        }
        query.finish()?;
        if upload.format == Format::Csv && map.is_none() && contract.is_none() {
            return Err(wrong_parameter("contract", "Rows of CSV do not tell their contract: name it.".to_owned()));
        }
        if upload.format == Format::Csv && keyed {
            return Err(wrong_parameter("keyed", "Rows of CSV have no keys: send JSON.".to_owned()));
        }
        let key = match idempotency_key(call.headers())? {
            SentKey::Header(key) | SentKey::Fallback(key) if key.as_str().len() > KEY_LENGTH => {
                let detail = format!("The key of a batch, {key:?}, has at most {KEY_LENGTH} characters.");
                return Err(wrong_header("Idempotency-Key", detail));
            }
            SentKey::Header(key) | SentKey::Fallback(key) => Some(key),
            SentKey::None => None,
        };
        let (mapper, mapping) = match map {
            Some(name) => {
                mapped::mapper(call, tools, &name).await.map(|(mapper, source)| (Some(mapper), Some(source)))?
            }
            None => (None, mapping),
        };
        let (auto_send, origin) = (tools.engine.auto_send(), call.origin.clone());
        let options = Options { on_conflict, auto_send, origin, renew_keys: keyed, mapping, call_id };
        let (mode, shown, form) = (mode.unwrap_or_default(), shown.unwrap_or_default(), Form::wanted(call.headers()));
        Ok(Self { mode, form, shown, contract, mapper, keyed, key, quarantine, options })
    }

    fn terms(&mut self, call: &Call, tools: &Tools, stream: Arc<Stream>, keeps: bool) -> Terms {
        Terms {
            stream,
            service: tools.service.clone(),
            principal: call.principal.clone(),
            options: self.options.clone(),
            contract: self.contract,
            mapper: self.mapper.take(),
            keyed: self.keyed,
            key: self.key.clone(),
            keeps,
            limit: tools.limit,
        }
    }
}

/// Reads the name of a mapping profile, and refuses the parameters that do not go with it.
fn map(query: &mut Query) -> Option<MappingName> {
    if query.has("map") {
        for (other, detail) in [
            ("contract", "Not with map: the profile names the contract."),
            ("keyed", "Not with map: the records that a profile makes have no keys."),
            ("mapped_by", "Not with map, which names the profile."),
        ] {
            if query.has(other) {
                query.refuse(other, detail);
            }
        }
    }
    query.take("map")
}

/// Stores while the body is read, from its first record on: a body without any that can be read is refused. Answers
/// meanwhile or, in strict mode, once the status is known.
async fn streamed(call: Call, mut upload: Upload, mut wishes: Wishes, tools: Tools) -> Result<HttpResponse, Problem> {
    let stream = streams::open(&tools.streams, &call.principal)?;
    let halt = Arc::new(Halt::default());
    let keeps = tools.quarantine.is_on(&call.principal, wishes.quarantine).await?;
    let terms = wishes.terms(&call, &tools, Arc::clone(&stream), keeps);
    let reading = Reading::new(&upload, terms, CHUNK, Arc::clone(&halt))?;
    let begun = pipeline::begin(&mut upload.payload, Box::new(reading)).await?;
    let (writer, results) = outbox(tools.folder.clone(), tools.streams.limits().unread_bytes);
    let report = Report::new(wishes.shown, wishes.form);
    let mut storing = Storing::new(tools, call, wishes.options.origin, report, writer, halt);
    let (concluding, concluded) = oneshot::channel();
    let is_strict = matches!(wishes.mode, Mode::Strict);
    if is_strict {
        storing.conclude_to(concluding);
    }
    let spans = storing.spans();
    actix_web::rt::spawn(spans.around(pipeline::run(upload.payload, begun, storing)));
    let conclusion = if is_strict {
        concluded.await.map_err(|_| Problem::after_logging())?
    } else {
        Conclusion::of_success(StatusCode::OK)
    };
    Ok(conclusion.answer(wishes.form, streams::holding(stream, results)))
}
