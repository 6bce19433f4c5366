//! The way in: from bytes to documents that have been examined and wait to be stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::web::{self, Bytes, block};
use futures_util::StreamExt;
use mass_domain::access::{Forbidden, Principal};
use mass_domain::contracts::{self, ContractId};
use mass_domain::json::{self, SyntaxError, Value};
use mass_domain::mass_request::IdempotencyKey;
use mass_domain::records::{BrokenStream, Format, RawRecord, Splitter};
use mass_service::{MassService, Options, Prepared, Record, SentKey};

use super::Upload;
use super::coding::Decoder;
use crate::http::body::sentence;
use crate::http::problem::{Problem, ProblemKind};
use crate::rows::Header;

/// How long a body may pause while it is waited for.
const PAUSE: Duration = Duration::from_secs(60);

/// About how many decoded bytes are taken apart before it is looked whether enough records wait.
const SLICE: usize = 8 * 1024;

/// Where a record stands in its batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// From 0.
    pub(super) index: u64,
    /// The line on which it begins, from 1.
    pub(super) line: u64,
}

/// Records that wait to be stored together.
#[derive(Default)]
pub(super) struct Chunk {
    /// Where each of them stands.
    pub(super) places: Vec<Place>,
    /// Their documents; none where nothing is stored any more.
    pub(super) prepared: Prepared,
    bytes: usize,
}

/// How much waits to be stored before no more is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

/// What holds for every record of a batch.
pub(super) struct Terms {
    pub(super) service: web::Data<MassService>,
    pub(super) principal: Principal,
    pub(super) options: Options,
    /// The contract that was named beside the records.
    pub(super) contract: Option<ContractId>,
    /// The key of the whole batch.
    pub(super) key: Option<IdempotencyKey>,
    /// The most bytes of a record.
    pub(super) limit: usize,
}

/// Takes a body apart, on a thread that may be kept busy.
pub(super) struct Reading {
    decoder: Decoder,
    input: Bytes,
    decoded: Vec<u8>,
    /// How much of what is decoded has been taken apart.
    taken: usize,
    splitter: Splitter,
    collecting: Collecting,
    bounds: Bounds,
}

/// Examines records and keeps them together.
struct Collecting {
    terms: Terms,
    form: Form,
    chunk: Chunk,
    next_index: u64,
    /// Set once nothing more is stored: from then on records are only counted.
    halted: Arc<AtomicBool>,
    problem: Option<Problem>,
}

/// What a record is.
enum Form {
    /// A JSON text.
    Json,
    /// The header row of documents under this contract.
    Header(ContractId),
    /// A row below this one.
    Row(Header),
}

impl Reading {
    /// Begins to read a body.
    pub(super) fn new(upload: &Upload, terms: Terms, bounds: Bounds, halted: Arc<AtomicBool>) -> Result<Self, Problem> {
        let form = match (upload.format, terms.contract) {
            (Format::Csv, Some(contract)) => Form::Header(contract),
            (Format::Csv | Format::Ndjson | Format::Array, _) => Form::Json,
        };
        Ok(Self {
            decoder: Decoder::new(upload.coding).map_err(|error| Problem::internal(&error.into()))?,
            input: Bytes::new(),
            decoded: Vec::new(),
            taken: 0,
            splitter: Splitter::new(upload.format, terms.limit),
            collecting: Collecting { terms, form, chunk: Chunk::default(), next_index: 0, halted, problem: None },
            bounds,
        })
    }

    /// Whether no record waits.
    pub(super) const fn is_empty(&self) -> bool {
        self.collecting.chunk.places.is_empty()
    }

    /// Whether enough records wait.
    pub(super) const fn is_full(&self) -> bool {
        let Chunk { places, bytes, .. } = &self.collecting.chunk;
        places.len() >= self.bounds.records || *bytes >= self.bounds.bytes
    }

    /// The records that wait.
    pub(super) fn take(&mut self) -> Chunk {
        std::mem::take(&mut self.collecting.chunk)
    }

    /// Takes the next piece of the body, `None` at its end, and reads on until enough records wait: whether nothing is
    /// left to read of what was given.
    pub(super) async fn read(self: Box<Self>, piece: Piece) -> Result<(Box<Self>, Result<bool, Problem>), Problem> {
        let mut reading = self;
        let reading = block(move || {
            let result = reading.read_on(piece);
            (reading, result)
        });
        reading.await.map_err(|_| Problem::after_logging())
    }

    fn read_on(&mut self, piece: Piece) -> Result<bool, Problem> {
        match piece {
            Piece::Next(bytes) => self.input = bytes,
            Piece::Rest => {}
            Piece::End => {
                self.decoder.finish(&mut self.decoded).map_err(|error| undecodable(&error))?;
                let rest = self.decoded.get(self.taken..).unwrap_or_default();
                self.splitter.push(rest, |record| self.collecting.take(&record))?;
                self.splitter.finish(|record| self.collecting.take(&record))?;
                return self.collecting.sound().map(|()| true);
            }
        }
        loop {
            if self.taken == self.decoded.len() {
                self.decoded.clear();
                self.taken = 0;
                if !self.decoder.step(&mut self.input, &mut self.decoded).map_err(|error| undecodable(&error))? {
                    return Ok(true);
                }
            }
            let rest = self.decoded.get(self.taken..).unwrap_or_default();
            let slice = rest.get(..SLICE).unwrap_or(rest);
            self.taken += slice.len();
            self.splitter.push(slice, |record| self.collecting.take(&record))?;
            self.collecting.sound()?;
            if self.is_full() {
                return Ok(false);
            }
        }
    }
}

/// What a body goes on with.
pub(super) enum Piece {
    /// More bytes.
    Next(Bytes),
    /// What is left of those before.
    Rest,
    /// Nothing.
    End,
}

impl Piece {
    /// Waits for the next piece of a body.
    pub(super) async fn receive(payload: &mut Payload) -> Result<Self, Problem> {
        match tokio::time::timeout(PAUSE, payload.next()).await {
            Ok(Some(Ok(bytes))) => Ok(Self::Next(bytes)),
            Ok(None) => Ok(Self::End),
            Ok(Some(Err(error))) => {
                tracing::info!(%error, "a batch broke off");
                Err(Problem::new(ProblemKind::BadRequest).detail("The body ended before it was complete."))
            }
            Err(_) => {
                let seconds = PAUSE.as_secs();
                let detail = format!("A body must not pause for more than {seconds} seconds.");
                Err(Problem::new(ProblemKind::RequestTimeout).detail(detail))
            }
        }
    }
}

impl Collecting {
    fn take(&mut self, raw: &RawRecord<'_>) {
        if self.problem.is_some() {
            return;
        }
        if let Form::Header(contract) = self.form {
            match Header::parse(contract, raw.bytes) {
                Ok(_) if raw.too_long => self.problem = Some(bad_header("it is too long")),
                Ok(header) => self.form = Form::Row(header),
                Err(error) => self.problem = Some(bad_header(&error.to_string())),
            }
            return;
        }
        let place = Place { index: self.next_index, line: raw.line };
        self.next_index += 1;
        self.chunk.bytes += raw.bytes.len();
        self.chunk.places.push(place);
        if self.halted.load(Ordering::Relaxed) {
            return;
        }
        let record = self.record(raw, place.index);
        let Terms { service, principal, options, .. } = &self.terms;
        if let Err(Forbidden(permission)) = service.prepare_next(principal, record, options, &mut self.chunk.prepared) {
            self.problem = Some(Problem::forbidden(permission));
        }
    }

    fn record(&self, raw: &RawRecord<'_>, index: u64) -> Record {
        if raw.too_long {
            let detail = format!("The record has more than {} bytes (MASS_BODY_LIMIT_BYTES).", self.terms.limit);
            return Record::unreadable(raw.bytes, SyntaxError { code: "too_long", detail, line: 1, column: 1 });
        }
        let document = match (&self.form, self.terms.contract) {
            (Form::Row(header), _) => header.document(raw.bytes),
            (Form::Json | Form::Header(_), None) => json::parse(raw.bytes),
            (Form::Json | Form::Header(_), Some(contract)) => {
                json::parse(raw.bytes).map(|document| contracts::with_marker(contract, document))
            }
        };
        match document {
            Ok(document) => {
                let key = self.key(&document, index);
                Record::new(document, raw.bytes.len(), key)
            }
            Err(error) => Record::unreadable(raw.bytes, error),
        }
    }

    /// The key of a record that has no natural one: the batch's, with the record's index.
    fn key(&self, document: &Value, index: u64) -> SentKey {
        let natural = || contracts::recognise(document).is_some_and(|contract| contract.has_natural_key());
        let key = self.terms.key.as_ref().filter(|_| !natural());
        let key = key.and_then(|key| IdempotencyKey::parse(&format!("{}:{index}", key.as_str())).ok());
        key.map_or(SentKey::None, SentKey::Fallback)
    }

    fn sound(&self) -> Result<(), Problem> {
        self.problem.clone().map_or(Ok(()), Err)
    }
}

impl From<BrokenStream> for Problem {
    fn from(error: BrokenStream) -> Self {
        Self::new(ProblemKind::MalformedJson).detail(sentence(&error.to_string())).member("line", error.line)
    }
}

fn undecodable(error: &std::io::Error) -> Problem {
    let detail = format!("From here on the body is not in its Content-Encoding: {error}.");
    Problem::new(ProblemKind::BadRequest).detail(detail)
}

fn bad_header(reason: &str) -> Problem {
    Problem::new(ProblemKind::BadRequest).detail(format!("The header row cannot be read: {reason}."))
}
