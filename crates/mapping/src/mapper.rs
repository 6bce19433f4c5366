//! The mapper: bytes in, records out.

use std::collections::HashSet;

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8};
use mass_domain::contracts;
use mass_domain::json::{Number, Value};

use crate::documents::{DocumentReader, Found};
use crate::errors::{BrokenInput, ProfileError, Refusal, RefusalCode, shown};
use crate::limits::{MAX_MAPPED_BYTES, MAX_RECORD_BYTES, MAX_RECORDS};
use crate::long::{Position, Readings, metric_name};
use crate::plan::{OthersPlan, Plan};
use crate::profile::{Profile, escaped};
use crate::record::{Original, Outcome, Record, Refused};
use crate::sources::{Cell, Row};
use crate::table::{TableReader, TableRow};
use crate::values::{Members, OVERHEAD, RowReader, object_at};

/// Maps an input by a profile.
///
/// The memory that it needs does not grow with the input: at most one row or JSON document is held, and the incomplete
/// readings of a long input.
pub struct Mapper {
    plan: Plan,
    decoder: Decoder,
    /// The decoded part of the current chunk.
    text: String,
    /// True once the input had bytes that are invalid in its encoding.
    malformed: bool,
    /// True after the end of the input, or an error.
    ended: bool,
    input: Input,
    rows: Rows,
}

enum Input {
    Table(Box<TableReader>),
    Documents(DocumentReader),
}

/// The state of the mapping besides the reading of rows.
#[derive(Default)]
struct Rows {
    scratch: String,
    readings: Readings,
    count: u64,
    ignored: u64,
    /// About the size of the documents that the records of the current JSON document became.
    mapped: usize,
    /// The reason why the input is not read any further.
    broken: Option<BrokenInput>,
}

impl std::fmt::Debug for Mapper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mapper").field("contract", &self.plan.contract).finish_non_exhaustive()
    }
}

impl Mapper {
    /// Checks and compiles a profile.
    ///
    /// # Errors
    /// All mistakes in the profile, each with its place.
    pub fn new(profile: &Profile) -> Result<Self, Vec<ProfileError>> {
        let plan = Plan::new(profile)?;
        let encoding = Encoding::for_label(plan.read.encoding.as_bytes()).unwrap_or(UTF_8);
        let input = if plan.read.format.is_table() {
            Input::Table(Box::new(TableReader::new(&plan.read)))
        } else {
            Input::Documents(DocumentReader::new(plan.read.format))
        };
        let (text, rows) = (String::new(), Rows::default());
        Ok(Self { plan, decoder: encoding.new_decoder(), text, malformed: false, ended: false, input, rows })
    }

    /// Returns the contract of the documents.
    #[must_use]
    pub const fn contract(&self) -> contracts::ContractId {
        self.plan.contract
    }

    /// Returns the number of rows that the profile left out.
    #[must_use]
    pub const fn ignored(&self) -> u64 {
        self.rows.ignored
    }

    /// Returns about the number of bytes that are held: in buffers and incomplete readings, and in a JSON document that
    /// is read as a whole, which takes several times as much once it is complete.
    #[must_use]
    pub fn held(&self) -> (usize, usize) {
        let (buffered, whole) = match &self.input {
            Input::Table(reader) => (reader.held(), 0),
            Input::Documents(reader) => reader.held(),
        };
        (buffered + self.text.capacity() + self.rows.readings.held(), whole)
    }

    /// Takes the next chunk of the input and hands on the results that are complete.
    ///
    /// # Errors
    /// [`BrokenInput`] if the input cannot be read any further. The results before the error have been handed on.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Outcome<'_>)) -> Result<(), BrokenInput> {
        let read = self.take(bytes, false, &mut each);
        self.ended |= read.is_err();
        read
    }

    /// Takes the end of the input and hands on the last results. After an error, the incomplete readings of a long input
    /// are dropped: rows of theirs may be missing.
    ///
    /// # Errors
    /// [`BrokenInput`] if the input is incomplete, or if it has ended before.
    pub fn finish(&mut self, mut each: impl FnMut(Outcome<'_>)) -> Result<(), BrokenInput> {
        let each: &mut dyn FnMut(Outcome<'_>) = &mut each;
        let read = self.take(&[], true, each);
        self.ended = true;
        let Self { plan, input, rows, malformed, .. } = self;
        let read = read.and_then(|()| match input {
            Input::Table(reader) => reader.finish(plan, &mut |row| rows.take_table_row(plan, &row, *malformed, each)),
            Input::Documents(reader) => {
                reader.finish(plan, &mut |found| rows.take_found(plan, found, *malformed, each))
            }
        });
        let read = read.and_then(|()| rows.broken.take().map_or(Ok(()), Err));
        if let (Ok(()), Some(long)) = (&read, &plan.long) {
            rows.readings.finish(long, plan, each);
        }
        read
    }

    fn take(&mut self, mut bytes: &[u8], last: bool, each: &mut dyn FnMut(Outcome<'_>)) -> Result<(), BrokenInput> {
        let Self { plan, decoder, text, malformed, ended, input, rows } = self;
        if *ended {
            return Err(BrokenInput { detail: "the input has ended before".to_owned(), line: 1 });
        }
        loop {
            text.clear();
            text.reserve(decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(bytes.len()).clamp(64, 1 << 18));
            let (result, read, replaced) = decoder.decode_to_string(bytes, text, last);
            bytes = bytes.get(read..).unwrap_or_default();
            *malformed |= replaced;
            match input {
                Input::Table(reader) => {
                    reader.push(plan, text, &mut |row| rows.take_table_row(plan, &row, *malformed, each))?;
                }
                Input::Documents(reader) => {
                    reader.push(plan, text, &mut |found| rows.take_found(plan, found, *malformed, each))?;
                }
            }
            if let Some(broken) = rows.broken.take() {
                return Err(broken);
            }
            if result == CoderResult::InputEmpty {
                return Ok(());
            }
        }
    }
}

/// Tells whether a row has bytes that are invalid in the encoding of the input.
fn encoding_fault(text: &str, malformed: bool) -> Option<Refusal> {
    let detail = "the text is not valid in the encoding of the profile";
    (malformed && text.contains('\u{fffd}')).then(|| Refusal::new(RefusalCode::Encoding, "", detail))
}

impl Rows {
    fn take_table_row(&mut self, plan: &Plan, row: &TableRow<'_>, malformed: bool, each: &mut dyn FnMut(Outcome<'_>)) {
        let source = Row::Table { cells: row.cells, columns: row.columns };
        let original = Original::Text(row.original);
        let fault = row.fault.clone().or_else(|| encoding_fault(row.original, malformed));
        self.take_row(plan, source, row.line, original, fault, row.header, each);
    }

    fn take_found(&mut self, plan: &Plan, found: Found<'_>, malformed: bool, each: &mut dyn FnMut(Outcome<'_>)) {
        match found {
            Found::Record { number, line, .. } if self.is_over(number, line) => {}
            Found::Record { place, line, original, number: _ } => {
                let fault = match original {
                    Original::Text(text) => encoding_fault(text, malformed),
                    Original::Json(_) if malformed => encoding_fault(&original.to_text(), malformed),
                    Original::Json(_) => None,
                };
                self.take_row(plan, Row::Json(place), line, original, fault, &[], each);
            }
            Found::Refused { line, original, refusal } => {
                let refusals = vec![encoding_fault(original, malformed).unwrap_or(refusal)];
                each(Outcome::Refused(Refused { line, row: 0, original: Original::Text(original), refusals }));
            }
        }
    }

    /// Tells whether a record is one too many of its JSON document; `number` counts those before it.
    fn is_over(&mut self, number: u64, line: u64) -> bool {
        if number == 0 {
            self.mapped = 0;
        }
        if self.broken.is_none() && (number >= MAX_RECORDS || self.mapped > MAX_MAPPED_BYTES) {
            let detail = format!(
                "expected at most {MAX_RECORDS} records in a JSON document, of {MAX_MAPPED_BYTES} bytes once they are mapped"
            );
            self.broken = Some(BrokenInput { detail, line });
        }
        self.broken.is_some()
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a row are borrowed from different places")]
    fn take_row(
        &mut self,
        plan: &Plan,
        row: Row<'_>,
        line: u64,
        original: Original<'_>,
        fault: Option<Refusal>,
        header: &[String],
        each: &mut dyn FnMut(Outcome<'_>),
    ) {
        let (scratch, room) = (&mut self.scratch, MAX_RECORD_BYTES);
        let mut reader = RowReader { plan, row, scratch, room, refusals: Vec::new() };
        if reader.is_ignored() {
            self.ignored += 1;
            return;
        }
        self.count += 1;
        let position = Position { line, row: self.count };
        if let Some(fault) = fault {
            reader.refusals.push(fault);
        } else if let Some(long) = &plan.long {
            self.readings.add(long, &mut reader, position, original, each);
            self.mapped += reader.bytes();
        } else {
            let time = plan.time.as_ref().and_then(|time| reader.time(time));
            let mut members = reader.members(&plan.tree, time.as_deref());
            if let Some(others) = &plan.others {
                add_others(&mut reader, others, header, &mut members);
            }
            if reader.refusals.is_empty() {
                let (document, bytes) = (plan.with_marker(members), reader.bytes());
                self.mapped += bytes;
                return each(Outcome::Record(Record { line, row: self.count, rows: 1, original, document, bytes }));
            }
        }
        if !reader.refusals.is_empty() {
            let refusals = reader.refusals;
            each(Outcome::Refused(Refused { line, row: self.count, original, refusals }));
        }
    }
}

/// Adds all numbers that no member names.
fn add_others(reader: &mut RowReader<'_>, others: &OthersPlan, header: &[String], members: &mut Members) {
    let mut found: Members = Vec::new();
    match (reader.row, others.from) {
        (Row::Table { cells, columns }, _) => {
            let named: HashSet<usize> =
                reader.plan.named.iter().filter_map(|id| columns.get(*id).copied().flatten()).collect();
            for (index, (cell, name)) in cells.iter().zip(header).enumerate() {
                if named.contains(&index) {
                    continue;
                }
                let number = reader.plan.notation.plain(cell, reader.scratch).and_then(Number::parse);
                found.extend(number.map(|number| (metric_name(name), Value::Number(number))));
            }
        }
        (Row::Json(_), Some(from)) => {
            if let Cell::Value(Value::Object(sent)) = reader.cell(from) {
                let object = reader.plan.sources.name(from);
                let named: HashSet<&str> = reader.plan.named.iter().map(|id| reader.plan.sources.name(*id)).collect();
                let is_named = |key: &str| named.contains(format!("{object}/{}", escaped(key)).as_str());
                let numbers = sent.iter().filter(|(_, value)| matches!(value, Value::Number(_)));
                let numbers = numbers.filter(|(key, _)| !is_named(key));
                found.extend(numbers.map(|(key, value)| (metric_name(key), value.clone())));
            }
        }
        (Row::Json(_), None) => {}
    }
    let Some(object) = object_at(members, &others.into) else { return };
    let mut names: HashSet<String> = object.iter().map(|(name, _)| name.clone()).collect();
    for (name, value) in found {
        if !reader.grow(None, name.len() + OVERHEAD) {
            return;
        }
        if names.insert(name.clone()) {
            object.push((name, value));
        } else {
            let detail = format!("two values of the row have the name {}", shown(&name));
            reader.refuse(None, (RefusalCode::Repeated, detail));
        }
    }
}
