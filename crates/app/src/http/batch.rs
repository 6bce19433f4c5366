//! Batches: many documents in one body, of any length, each with a line of its own in the answer.
//!
//! The body is read, decoded and taken apart while it arrives; a chunk of records is examined while the one before it is
//! being stored; results are sent while more is read. However long the body is, about two chunks of it are in memory.

mod coding;
mod halt;
mod intake;
mod line;
pub mod outbox;
mod report;
mod storing;

use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::stream;
use mass_domain::access::Permission;
use mass_domain::contracts::ContractId;
use mass_domain::mass_request::IdempotencyKey;
use mass_domain::records::Format;
use mass_service::{MappingSource, MassService, Options, SentKey};
use serde_json::json;
use std::future::{Ready, ready};
use tokio::sync::{Notify, Semaphore, mpsc};

use self::coding::Coding;
use self::halt::Halt;
use self::intake::{Bounds, Chunk, Piece, Reading, Terms};
use self::line::BatchLine;
use self::outbox::{PutError, TemporaryFolder, outbox};
use self::report::{Report, Shown, against};
use self::storing::{Abandoned, Storing};
use super::body::BodyLimit;
use super::contracts;
use super::headers::idempotency_key;
use super::limits::Limits;
use super::mass::{self, ON_CONFLICT, on_conflict};
use super::operations::{Access, Operation, Parameter, Produces, model};
use super::parameters;
use super::problem::{Problem, ProblemKind};
use super::query::{Query, wrong_header, wrong_parameter};
use super::reply::{Call, Lines};
use super::streams::{self, Stream, Streams};
use super::system::Draining;
use crate::engine::Engine;

/// The operations.
pub const OPERATIONS: &[Operation] = &[CREATE];

/// The size of a chunk that is stored together. Each byte is held as received, as stored, and as sent to the database:
/// with four times the bytes nothing was faster, and a stream held 100 MiB more.
const CHUNK: Bounds = Bounds { records: 500, bytes: 1 << 18 };

/// The most records of an atomic batch.
const ATOMIC_RECORDS: usize = 10_000;

/// The most bytes of an atomic batch, decoded: all of it has to be in memory.
const ATOMIC_BYTES: usize = 16 << 20;

/// The number of atomic batches that are stored at once, and the time that another complete one waits for its turn.
static ATOMIC_TURNS: Semaphore = Semaphore::const_new(4);
const ATOMIC_PATIENCE: Duration = Duration::from_secs(30);

/// The time limit for receiving an atomic batch.
const ATOMIC_TIMEOUT: Duration = Duration::from_secs(60);

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

const PARAMETERS: &[Parameter] = &[
    KEYED,
    MAPPED_BY,
    Parameter::new(
        "contract",
        "The records' contract: needed for CSV; adds the contract's marker to JSON without one.",
        parameters::contract_name,
    ),
    ON_CONFLICT,
    Parameter::new(
        "results",
        "Which records have a line in the answer: `all`, or those that are neither stored nor duplicates (`errors`). \
         The totals count all.",
        || json!({"type": "string", "enum": ["all", "errors"], "default": "all"}),
    ),
    Parameter::new(
        "mode",
        "Whether `each` record is stored for its own sake, or all of at most 10,000 or none (`atomic`).",
        || json!({"type": "string", "enum": ["each", "atomic"], "default": "each"}),
    ),
];

const CREATE: Operation = Operation {
    id: "createMassRequestBatch",
    summary: "Send MASS requests in a batch.",
    description: "A stream of documents, of any length: lines (NDJSON), a JSON array, or CSV. Each becomes a line of \
        the answer, in its order and while more is being sent; the last line has the totals. **200 means that the \
        batch was read: whether all of it was stored is told by the totals.** A body whose first record cannot be \
        read is refused whole with 400. Sent again, whole, a batch stores nothing twice.",
    tag: Some(mass::TAG),
    query: PARAMETERS,
    headers: &[IDEMPOTENCY_KEY],
    body: &[
        ("application/x-ndjson", line::ndjson),
        ("application/json", contracts::documents),
        ("text/csv", line::csv),
    ],
    produces: Produces::Ndjson(model::<BatchLine>),
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
    gives_verdicts: true,
    ..Operation::post("/v1/mass-requests/batch", Access::Needs(Permission::MassWrite), || web::to(create))
};

async fn create(call: Call, upload: Upload, query: Query, tools: Tools) -> Result<Lines<BatchLine>, Problem> {
    let wishes = Wishes::read(&call, &upload, &tools, query)?;
    match wishes.mode {
        Mode::Each => each(call, upload, wishes, tools).await,
        Mode::Atomic => atomic(call, upload, wishes, tools).await,
    }
}

/// A body of records that has not been read yet.
pub struct Upload {
    payload: Payload,
    format: Format,
    coding: Coding,
}

impl FromRequest for Upload {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let judged = format(req).and_then(|format| Ok((format, coding(req.headers())?)));
        ready(judged.map(|(format, coding)| Self { payload: payload.take(), format, coding }))
    }
}

fn format(req: &HttpRequest) -> Result<Format, Problem> {
    let types = "application/x-ndjson, application/json, text/csv";
    let mime =
        req.mime_type().ok().flatten().filter(|mime| {
            mime.get_param("charset").is_none_or(|charset| charset.as_str().eq_ignore_ascii_case("utf-8"))
        });
    let mime = mime.filter(|_| req.headers().get_all(header::CONTENT_TYPE).count() == 1);
    match mime.as_ref().map(|mime| mime.essence_str()) {
        Some("application/x-ndjson") => Ok(Format::Ndjson),
        Some("application/json") => Ok(Format::Array),
        Some("text/csv") => Ok(Format::Csv),
        Some(_) | None => Err(Problem::new(ProblemKind::UnsupportedMediaType)
            .detail(format!("Send records in UTF-8 with one of these as Content-Type: {types}."))
            .header(header::ACCEPT, HeaderValue::from_static(types))),
    }
}

fn coding(headers: &HeaderMap) -> Result<Coding, Problem> {
    let codings = "gzip, zstd, identity";
    let mut named = headers.get_all(header::CONTENT_ENCODING);
    let coding = named.next().map_or(Some(Coding::Identity), |value| Coding::named(value.to_str().ok()?));
    coding.filter(|_| named.next().is_none()).ok_or_else(|| {
        Problem::new(ProblemKind::UnsupportedMediaType)
            .detail(format!("Send the body in one of these as Content-Encoding: {codings}."))
            .header(header::ACCEPT_ENCODING, HeaderValue::from_static(codings))
    })
}

/// The services that a batch needs.
pub struct Tools {
    service: web::Data<MassService>,
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
        let engine = req.app_data::<web::Data<Engine>>().cloned();
        let folder = req.app_data::<web::Data<TemporaryFolder>>().map(|folder| folder.get_ref().clone());
        let limit = req.app_data::<web::Data<BodyLimit>>().map(|limit| limit.0);
        let streams = req.app_data::<web::Data<Streams>>().cloned();
        let limits = req.app_data::<web::Data<Limits>>().cloned();
        let draining = req.app_data::<web::Data<Draining>>().cloned();
        let tools = (|| {
            let (service, engine, folder, limits) = (service?, engine?, folder?, limits?);
            Some(Self { service, engine, folder, limit: limit?, streams: streams?, limits, draining: draining? })
        })();
        ready(tools.ok_or_else(|| Problem::internal(&anyhow::anyhow!("batches are not wired"))))
    }
}

/// Query parameters of a batch.
struct Wishes {
    mode: Mode,
    shown: Shown,
    contract: Option<ContractId>,
    /// True if the records come with keys.
    keyed: bool,
    key: Option<IdempotencyKey>,
    options: Options,
}

#[derive(Debug, Clone, Copy, Default)]
enum Mode {
    /// Each record is stored or not for its own sake.
    #[default]
    Each,
    /// All or none.
    Atomic,
}

impl Wishes {
    fn read(call: &Call, upload: &Upload, tools: &Tools, mut query: Query) -> Result<Self, Problem> {
        let mode = query.take_with("mode", |text| match text {
            "each" => Ok(Mode::Each),
            "atomic" => Ok(Mode::Atomic),
            _ => Err("Either each or atomic.".to_owned()),
        });
        let shown = query.take_with("results", |text| match text {
            "all" => Ok(Shown::All),
            "errors" => Ok(Shown::Errors),
            _ => Err("Either all or errors.".to_owned()),
        });
        let contract = query.take("contract");
        let keyed = query.take::<bool>("keyed").unwrap_or_default();
        let on_conflict = query.take_with("on_conflict", on_conflict).unwrap_or_default();
        let mapping = query.take_with("mapped_by", |text| {
            MappingSource::parse(text).ok_or_else(|| "Expected NAME@DIGEST.".to_owned())
        });
        query.finish()?;
        if upload.format == Format::Csv && contract.is_none() {
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
        let (auto_send, origin) = (tools.engine.auto_send(), call.origin.clone());
        let options = Options { on_conflict, auto_send, origin, renew_keys: keyed, mapping };
        let (mode, shown) = (mode.unwrap_or_default(), shown.unwrap_or_default());
        Ok(Self { mode, shown, contract, keyed, key, options })
    }

    fn terms(&self, call: &Call, tools: &Tools, stream: Arc<Stream>) -> Terms {
        Terms {
            stream,
            service: tools.service.clone(),
            principal: call.principal.clone(),
            options: self.options.clone(),
            contract: self.contract,
            keyed: self.keyed,
            key: self.key.clone(),
            limit: tools.limit,
        }
    }
}

/// Answers while the batch is read and stored, from its first record on: a body without any that can be read is refused.
async fn each(call: Call, mut upload: Upload, wishes: Wishes, tools: Tools) -> Result<Lines<BatchLine>, Problem> {
    let stream = streams::open(&tools.streams, &call.principal)?;
    let halt = Arc::new(Halt::default());
    let terms = wishes.terms(&call, &tools, Arc::clone(&stream));
    let reading = Reading::new(&upload, terms, CHUNK, Arc::clone(&halt))?;
    let begun = begin(&mut upload.payload, Box::new(reading)).await?;
    let (writer, lines) = outbox(tools.folder.clone(), tools.streams.limits().unread_bytes);
    let report = Report::new(wishes.shown);
    let storing = Storing::new(tools, call, wishes.options.origin, report, writer, halt);
    let spans = storing.spans();
    actix_web::rt::spawn(spans.around(run(upload.payload, begun, storing)));
    Ok(Lines::with_status(StatusCode::OK, streams::holding(stream, lines)))
}

/// A body whose first record has been read, or that has ended without one.
struct Begun {
    reading: Box<Reading>,
    next: Option<Piece>,
    /// The end of the body, once it is reached.
    ended: Option<Result<(), Problem>>,
}

/// Reads a body until there is a record. What makes no sense before that is a [`Problem`] of the whole batch.
async fn begin(payload: &mut Payload, mut reading: Box<Reading>) -> Result<Begun, Problem> {
    loop {
        let piece = Piece::receive(payload).await?;
        let is_end = matches!(piece, Piece::End);
        let (read, result) = reading.read(piece).await?;
        reading = read;
        let begun = !reading.is_empty();
        let (next, ended) = match result {
            Err(problem) if !begun => return Err(problem),
            Err(problem) => (None, Some(Err(problem))),
            Ok(_) if is_end => (None, Some(Ok(()))),
            Ok(true) if begun => (None, None),
            Ok(true) => continue,
            Ok(false) => (Some(Piece::Rest), None),
        };
        return Ok(Begun { reading, next, ended });
    }
}

/// Reads and stores side by side, until the body ends or nobody listens any more.
async fn run(payload: Payload, begun: Begun, mut storing: Storing) {
    let (chunks, mut to_store) = mpsc::channel(1);
    let idle = Notify::new();
    let reading = async { Ok::<_, Abandoned>(read(payload, begun, chunks, &idle).await) };
    let storing_all = async {
        loop {
            idle.notify_one();
            match to_store.recv().await {
                Some(chunk) => storing.store(chunk).await?,
                None => return Ok(()),
            }
        }
    };
    match futures_util::future::try_join(reading, storing_all).await {
        Ok((read, ())) => storing.finish(read.err()).await,
        Err(Abandoned) => storing.abandon().await,
    }
}

/// Reads a body to its end, and hands on what was read whenever the other end is idle: whole chunks under load, and
/// whatever there is when the client pauses.
async fn read(mut payload: Payload, begun: Begun, chunks: mpsc::Sender<Chunk>, idle: &Notify) -> Result<(), Problem> {
    let Begun { mut reading, mut next, ended } = begun;
    let mut is_sent = true;
    let ended = loop {
        if let Some(ended) = ended {
            is_sent = ended.is_ok();
            break ended;
        }
        if reading.is_over() {
            is_sent = false;
            break Ok(());
        }
        if reading.is_full() {
            idle.notified().await;
            hand_on(&chunks, reading.take()).await;
        }
        let piece = match next.take() {
            Some(piece) => piece,
            None => tokio::select! {
                biased;
                piece = Piece::receive(&mut payload) => match piece {
                    Ok(piece) => piece,
                    Err(problem) => break Err(problem),
                },
                () = idle.notified(), if !reading.is_empty() => {
                    hand_on(&chunks, reading.take()).await;
                    continue;
                }
            },
        };
        let is_end = matches!(piece, Piece::End);
        let (read, result) = reading.read(piece).await?;
        reading = read;
        match result {
            Ok(_) if is_end => break Ok(()),
            Ok(true) => {}
            Ok(false) => next = Some(Piece::Rest),
            Err(problem) => {
                is_sent = false;
                break Err(problem);
            }
        }
    };
    if !reading.is_empty() {
        idle.notified().await;
        hand_on(&chunks, reading.take()).await;
    }
    drop((reading, chunks));
    if !is_sent {
        discard(&mut payload).await;
    }
    ended
}

async fn hand_on(chunks: &mpsc::Sender<Chunk>, chunk: Chunk) {
    // Whoever has gone away needs no chunk, and ends this, too.
    let _ = chunks.send(chunk).await;
}

/// Reads what is left of a body that makes no sense any more: a client that is still sending would not see the answer.
async fn discard(payload: &mut Payload) {
    while let Ok(Piece::Next(_)) = Piece::receive(payload).await {}
}

/// Answers once all of the batch is stored, or none.
async fn atomic(call: Call, upload: Upload, wishes: Wishes, tools: Tools) -> Result<Lines<BatchLine>, Problem> {
    let stream = streams::open(&tools.streams, &call.principal)?;
    let bounds = Bounds { records: ATOMIC_RECORDS + 1, bytes: ATOMIC_BYTES.max(tools.limit) };
    let reading = Reading::new(&upload, wishes.terms(&call, &tools, stream), bounds, Arc::default())?;
    let reading = read_whole(upload.payload, Box::new(reading));
    let read = tokio::time::timeout(ATOMIC_TIMEOUT, reading).await.unwrap_or_else(|_| {
        let seconds = ATOMIC_TIMEOUT.as_secs();
        let detail = format!("An atomic batch has to arrive within {seconds} seconds.");
        Err(Problem::new(ProblemKind::RequestTimeout).detail(detail))
    });
    let Chunk { places, prepared, room: _until_stored, .. } = read?;
    let turn = tokio::time::timeout(ATOMIC_PATIENCE, ATOMIC_TURNS.acquire()).await;
    let Ok(Ok(_turn)) = turn else {
        return Err(Problem::unavailable("Too many atomic batches are being stored.", Duration::from_secs(5)));
    };
    let mut report = Report::new(wishes.shown);
    // While the body arrived the caller may have lost what opened the door.
    let principal = call.recognised().await?;
    match tools.service.store_all_or_none(&principal, &wishes.options.origin, prepared).await? {
        Ok(receipts) => {
            tools.engine.accepted(&receipts);
            places.into_iter().zip(receipts).for_each(|(place, receipt)| report.stored(place, receipt));
            let lines = stream::iter([Ok::<_, PutError>(report.finish(None).into())]);
            Ok(Lines::with_status(StatusCode::CREATED, lines))
        }
        Err(against_each) => {
            let count = places.len();
            let refused = places.into_iter().zip(against_each).filter_map(|(place, error)| Some((place, error?)));
            let lines: Vec<BatchLine> =
                refused.map(|(place, error)| against(place, error)).collect::<Result<_, _>>()?;
            let detail = format!("{} of {count} records are refused, so that none is stored.", lines.len());
            // Those that are left cost less than a request; the answer is the refusal, whatever the limits say.
            let _ = tools.limits.charge_refused(&principal, &mut (lines.len() as u64));
            let lines = serde_json::to_value(lines).map_err(|error| Problem::internal(&error.into()))?;
            Err(Problem::new(ProblemKind::BatchRefused).detail(detail).member("records", lines).recorded())
        }
    }
}

async fn read_whole(mut payload: Payload, mut reading: Box<Reading>) -> Result<Chunk, Problem> {
    loop {
        let piece = Piece::receive(&mut payload).await?;
        let is_end = matches!(piece, Piece::End);
        let (read, result) = reading.read(piece).await?;
        reading = read;
        result?;
        if reading.is_full() {
            let detail = format!("An atomic batch has at most {ATOMIC_RECORDS} records and {ATOMIC_BYTES} bytes.");
            return Err(Problem::new(ProblemKind::TooLarge).detail(detail).member("limit_records", ATOMIC_RECORDS));
        }
        if is_end {
            return Ok(reading.take());
        }
    }
}
