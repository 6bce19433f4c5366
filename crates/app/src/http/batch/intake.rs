//! The way in: from bytes to documents that have been examined and wait to be stored.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::web::{self, Bytes, block};
use futures_util::StreamExt;
use mass_domain::access::{Forbidden, Principal};
use mass_domain::contracts::ContractId;
use mass_domain::mass_request::IdempotencyKey;
use mass_domain::quarantine::{NotKept, Received};
use mass_domain::records::Format;
use mass_mapping::{Mapper, Outcome};
use mass_service::{MassService, Options, Prepared, Record as Submitted};

use super::coding::Decoder;
use super::halt::Halt;
use super::mapped::{self, MappedRecords};
use super::upload::Upload;
use crate::http::body::sentence;
use crate::http::keeping;
use crate::http::problem::{Problem, ProblemKind};
use crate::http::streams::{Room, Stream};
use crate::records::{Record, Records, UnreadableStream, in_words, submitted, submitted_document};

/// The read timeout of a body.
const PAUSE: Duration = Duration::from_secs(60);

/// About how many decoded bytes are taken apart before it is looked whether enough records wait.
const SLICE: usize = 8 * 1024;

/// The codes of a record that is no JSON text at all: as the first one it shows that the body is of another format.
const NOT_JSON: [&str; 4] = ["syntax", "trailing_data", "byte_order_mark", "invalid_utf8"];

/// Returns the format of a body in words.
const fn expected(format: Format) -> &'static str {
    match format {
        Format::Ndjson => "NDJSON, one JSON object a line (a JSON array is sent as application/json)",
        Format::Array => "a JSON array of objects (objects of one line each are sent as application/x-ndjson)",
        Format::Csv => "CSV with a header row",
    }
}

/// The position of a record in its batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// From 0.
    pub(super) index: u64,
    /// The line on which it begins, from 1.
    pub(super) line: u64,
    /// The number of its row, from 1, if a mapping profile made it.
    pub(super) row: Option<u64>,
}

/// Records that wait to be stored together.
pub(super) struct Chunk {
    /// The position of each of them.
    pub(super) places: Vec<Place>,
    /// Their documents; none where nothing is stored any more.
    pub(super) prepared: Prepared,
    /// Copies of them for the quarantine; none where nothing is kept.
    pub(super) copies: Vec<Result<Received, NotKept>>,
    bytes: usize,
    copied_bytes: usize,
    /// The memory that they take, until they are stored.
    pub(super) room: Room,
}

impl Chunk {
    fn new(room: Room) -> Self {
        let (places, copies) = (Vec::new(), Vec::new());
        Self { places, prepared: Prepared::default(), copies, bytes: 0, copied_bytes: 0, room }
    }

    /// Keeps a copy of a record for the quarantine.
    fn push_copy(&mut self, copy: Result<Received, NotKept>) {
        self.copied_bytes += copy.as_ref().map_or(0, |copy| copy.bytes.len());
        self.copies.push(copy);
    }

    /// Reserves what the records take: each is held as it came and as it is stored, and perhaps copied.
    fn fit(&mut self) -> Result<(), Problem> {
        self.room.fit(2 * self.bytes + self.copied_bytes + self.places.len() * size_of::<Place>())
    }
}

/// The amount that waits to be stored before reading pauses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

/// Options of all records of a batch.
pub(super) struct Terms {
    pub(super) stream: Arc<Stream>,
    pub(super) service: web::Data<MassService>,
    pub(super) principal: Principal,
    pub(super) options: Options,
    /// The contract that was named beside the records.
    pub(super) contract: Option<ContractId>,
    /// The mapping profile that makes the records, compiled.
    pub(super) mapper: Option<Mapper>,
    /// True if the records come with keys of their own.
    pub(super) keyed: bool,
    /// The key of the whole batch.
    pub(super) key: Option<IdempotencyKey>,
    /// True to copy records for the quarantine.
    pub(super) keeps: bool,
    /// The most bytes of a record.
    pub(super) limit: usize,
}

/// Takes a body apart, on a thread that may be kept busy.
pub(super) struct Reading {
    decoder: Decoder,
    input: Bytes,
    decoded: Vec<u8>,
    /// The part of the decoded bytes that has been split into records.
    taken: usize,
    source: Source,
    collecting: Collecting,
    /// The bytes that decoding holds.
    memory: usize,
    /// The memory of all but the records that wait.
    room: Room,
}

/// The source of the records in a body.
enum Source {
    /// The body has them one after the other.
    Documents(Records),
    /// A mapping profile makes them.
    Mapped(Box<MappedRecords>),
}

impl Source {
    fn new(format: Format, terms: &mut Terms) -> Self {
        match terms.mapper.take() {
            Some(mapper) => Self::Mapped(Box::new(MappedRecords::new(mapper))),
            None => Self::Documents(Records::new(format, terms.contract, terms.limit).keyed(terms.keyed)),
        }
    }

    /// Takes the next part of a body, `None` at its end.
    fn take(&mut self, part: Option<&[u8]>, collecting: &mut Collecting) -> Result<(), Problem> {
        let taken = match self {
            Self::Documents(records) => {
                let taken = records.take(part, |record| collecting.take(&record));
                taken.map_err(|error| collecting.unreadable(&error))
            }
            Self::Mapped(records) => {
                let contract = records.contract();
                records.take(part, |outcome| collecting.take_mapped(outcome, contract))
            }
        };
        collecting.sound()?;
        taken
    }

    /// Returns what was expected of a body without records, unless it is a batch all the same: an array without
    /// elements, or a table without rows.
    fn expected(&self, format: Format) -> Option<&'static str> {
        match self {
            Self::Documents(records) if format != Format::Array && records.header().is_none() => Some(expected(format)),
            Self::Mapped(records) if records.is_empty() => Some("what the mapping profile reads"),
            Self::Documents(_) | Self::Mapped(_) => None,
        }
    }

    /// Returns the number of bytes that it holds.
    fn held(&self) -> usize {
        match self {
            Self::Documents(records) => records.held(),
            Self::Mapped(records) => records.held(),
        }
    }
}

/// Examines records and keeps them together.
struct Collecting {
    terms: Terms,
    /// Whole chunks that wait to be handed on: a JSON document that is mapped can become several.
    full: VecDeque<Chunk>,
    chunk: Chunk,
    bounds: Bounds,
    format: Format,
    next_index: u64,
    /// Once nothing more is stored records are only counted.
    halt: Arc<Halt>,
    problem: Option<Problem>,
}

impl Reading {
    /// Begins to read a body.
    pub(super) fn new(upload: &Upload, mut terms: Terms, bounds: Bounds, halt: Arc<Halt>) -> Result<Self, Problem> {
        let mut room = Room::new(Arc::clone(&terms.stream));
        room.fit(upload.coding.memory())?;
        Ok(Self {
            decoder: Decoder::new(upload.coding).map_err(|error| Problem::internal(&error.into()))?,
            input: Bytes::new(),
            decoded: Vec::new(),
            taken: 0,
            source: Source::new(upload.format, &mut terms),
            collecting: Collecting {
                terms,
                full: VecDeque::new(),
                chunk: Chunk::new(room.another()),
                bounds,
                format: upload.format,
                next_index: 0,
                halt,
                problem: None,
            },
            memory: upload.coding.memory(),
            room,
        })
    }

    /// Returns true if no record waits.
    pub(super) fn is_empty(&self) -> bool {
        self.collecting.full.is_empty() && self.collecting.chunk.places.is_empty()
    }

    /// Returns true if a whole chunk waits.
    pub(super) fn is_full(&self) -> bool {
        !self.collecting.full.is_empty() || self.collecting.is_full()
    }

    /// The records that wait: at most a chunk.
    pub(super) fn take(&mut self) -> Chunk {
        let Collecting { full, chunk, .. } = &mut self.collecting;
        full.pop_front().unwrap_or_else(|| {
            let next = Chunk::new(self.room.another());
            std::mem::replace(chunk, next)
        })
    }

    /// Returns true if the rest of the body must not be read.
    pub(super) fn is_over(&self) -> bool {
        self.collecting.halt.is_reading_over()
    }

    /// Reserves the memory that is held by now.
    fn fit(&mut self) -> Result<(), Problem> {
        let held = self.memory + self.input.len() + self.decoded.capacity() + self.source.held();
        self.room.fit(held)?;
        self.collecting.chunk.fit()
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
                self.source.take(Some(rest), &mut self.collecting)?;
                self.source.take(None, &mut self.collecting)?;
                if self.collecting.is_first()
                    && let Some(expected) = self.source.expected(self.collecting.format)
                {
                    let detail = format!("Expected {expected}, but the body is empty.");
                    return Err(Problem::new(ProblemKind::BadRequest).detail(detail));
                }
                self.fit()?;
                return Ok(true);
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
            self.source.take(Some(slice), &mut self.collecting)?;
            self.fit()?;
            if self.is_full() {
                return Ok(false);
            }
        }
    }
}

/// The next part of a body.
pub(super) enum Piece {
    /// More bytes.
    Next(Bytes),
    /// The unfinished rest of earlier pieces.
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
    fn is_full(&self) -> bool {
        let Chunk { places, bytes, copied_bytes, .. } = &self.chunk;
        let is_long = *bytes >= self.bounds.bytes || *copied_bytes >= self.bounds.bytes;
        places.len() >= self.bounds.records || is_long
    }

    fn take(&mut self, found: &Record<'_>) {
        if self.problem.is_some() {
            return;
        }
        let document = if self.is_storing_over() { None } else { Some(found.keyed_document()) };
        if let (true, Some(Err(error))) = (self.is_first(), &document)
            && NOT_JSON.contains(&error.code)
        {
            let detail =
                format!("Expected {}, but the first record is none: {}", expected(self.format), in_words(error));
            let problem = Problem::new(ProblemKind::MalformedJson).detail(sentence(&detail));
            self.refuse(problem.member("line", found.raw.line));
            return;
        }
        let index = self.place(found.raw.line, None, found.raw.bytes.len());
        let Some(document) = document else { return };
        let (own_key, document) = match document {
            Ok((key, document)) => (key, Ok(document)),
            Err(error) => (None, Err(error)),
        };
        let key = || own_key.clone().or_else(|| self.key_of(index));
        let mapping = self.terms.options.mapping.as_ref();
        let copy = self.terms.keeps.then(|| keeping::copy(found, document.as_ref().ok(), key(), mapping));
        let record = submitted(found.raw.bytes, document, key);
        self.keep(copy);
        self.prepare(record);
    }

    /// Takes a record that a mapping profile made, or a row of which it made none.
    fn take_mapped(&mut self, outcome: Outcome<'_>, contract: ContractId) {
        if self.problem.is_some() {
            return;
        }
        self.cut();
        match outcome {
            Outcome::Record(record) => {
                let index = self.place(record.line, Some(record.row), record.bytes);
                if !self.is_storing_over() {
                    let Terms { keeps, options: Options { mapping, .. }, .. } = &self.terms;
                    let copy = || keeping::copy_of_mapped(&record.document, self.key_of(index), mapping.as_ref());
                    let copy = keeps.then(copy).map(Ok);
                    let record = submitted_document(record.document, record.bytes, || self.key_of(index));
                    self.keep(copy);
                    self.prepare(record);
                }
            }
            Outcome::Refused(row) => {
                if self.is_first()
                    && let Some(problem) = mapped::other_format(&row)
                {
                    return self.refuse(problem);
                }
                let text = row.original.to_text();
                let index = self.place(row.line, Some(row.row).filter(|row| *row > 0), text.len());
                if !self.is_storing_over() {
                    let Terms { keeps, options: Options { mapping, .. }, .. } = &self.terms;
                    let copy = || keeping::copy_of_unmapped(&text, contract, self.key_of(index), mapping.as_ref());
                    let copy = keeps.then(copy).map(Ok);
                    self.keep(copy);
                    let violations = row.refusals.iter().map(mapped::violation).collect();
                    self.prepare(Submitted::unmapped(text.as_bytes(), contract, violations));
                }
            }
        }
    }

    /// Keeps the copy of the record that was placed last, if there is one.
    fn keep(&mut self, copy: Option<Result<Received, NotKept>>) {
        if let Some(copy) = copy {
            self.chunk.push_copy(copy);
        }
    }

    /// Returns true if no record was found yet.
    const fn is_first(&self) -> bool {
        self.next_index == 0
    }

    /// Returns true if records are only counted any more.
    fn is_storing_over(&self) -> bool {
        self.halt.is_storing_over()
    }

    /// Reads the body no further, for this reason.
    fn refuse(&mut self, problem: Problem) {
        self.problem.get_or_insert(problem);
    }

    /// Begins the next chunk if this one is full.
    fn cut(&mut self) {
        if self.is_full() {
            let next = Chunk::new(self.chunk.room.another());
            let mut chunk = std::mem::replace(&mut self.chunk, next);
            if let Err(problem) = chunk.fit() {
                self.refuse(problem);
            }
            self.full.push_back(chunk);
        }
    }

    /// Gives a record its place, and counts its bytes. Returns its index.
    fn place(&mut self, line: u64, row: Option<u64>, bytes: usize) -> u64 {
        let index = self.next_index;
        self.next_index += 1;
        self.chunk.bytes += bytes;
        self.chunk.places.push(Place { index, line, row });
        index
    }

    /// Returns the key of a record that has none of its own: that of the batch, with its index.
    fn key_of(&self, index: u64) -> Option<String> {
        self.terms.key.as_ref().map(|key| format!("{}:{index}", key.as_str()))
    }

    /// Examines the record that was placed last.
    fn prepare(&mut self, record: Submitted) {
        let Terms { service, principal, options, .. } = &self.terms;
        if let Err(Forbidden(permission)) = service.prepare_next(principal, record, options, &mut self.chunk.prepared) {
            self.refuse(Problem::forbidden(permission));
        }
    }

    /// Why the body is read no further; of one that has no record so far, with what it should have been.
    fn unreadable(&self, error: &UnreadableStream) -> Problem {
        let detail = match self.next_index {
            0 => format!("Expected {}, but {error}", expected(self.format)),
            _ => error.to_string(),
        };
        let detail = sentence(&detail);
        match error {
            UnreadableStream::Stream(error) => {
                Problem::new(ProblemKind::MalformedJson).detail(detail).member("line", error.line)
            }
            UnreadableStream::Header(_) => Problem::new(ProblemKind::BadRequest).detail(detail),
        }
    }

    fn sound(&self) -> Result<(), Problem> {
        self.problem.clone().map_or(Ok(()), Err)
    }
}

fn undecodable(error: &std::io::Error) -> Problem {
    let detail = format!("From here on the body is not in its Content-Encoding: {error}.");
    Problem::new(ProblemKind::BadRequest).detail(detail)
}
