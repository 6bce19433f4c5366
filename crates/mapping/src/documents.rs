//! JSON inputs: records within documents.

use mass_domain::json::{self, Value};
use mass_domain::records::{self, RawRecord, Splitter};

use crate::errors::{BrokenInput, Refusal, RefusalCode};
use crate::limits::{MAX_DOCUMENT_BYTES, MAX_ROW_BYTES};
use crate::plan::Plan;
use crate::profile::Format;
use crate::record::Original;
use crate::sources::{Place, Token};

/// Reads JSON documents.
#[derive(Debug)]
pub(crate) enum DocumentReader {
    /// One document a line, or the elements of an array.
    Split(Splitter),
    /// The whole input, which is one document.
    Whole { text: String },
    /// Nothing but white space so far.
    Undecided,
}

/// A record of a JSON document, or a text that is none.
pub(crate) enum Found<'a> {
    /// A record; `number` counts those before it in the document.
    Record {
        place: Place<'a>,
        line: u64,
        original: Original<'a>,
        number: u64,
    },
    Refused {
        line: u64,
        original: &'a str,
        refusal: Refusal,
    },
}

impl DocumentReader {
    pub(crate) const fn new(format: Format) -> Self {
        match format {
            Format::Ndjson => Self::Split(Splitter::new(records::Format::Ndjson, MAX_ROW_BYTES)),
            Format::Csv | Format::Tsv | Format::Json => Self::Undecided,
        }
    }

    /// Returns the number of bytes that are held, of a part of the input and of one document that is the whole input.
    pub(crate) const fn held(&self) -> (usize, usize) {
        match self {
            Self::Split(splitter) => (splitter.held(), 0),
            Self::Whole { text } => (text.capacity(), text.len()),
            Self::Undecided => (0, 0),
        }
    }

    /// Takes the next part of the text and hands on the records that end in it.
    pub(crate) fn push(&mut self, plan: &Plan, text: &str, each: &mut dyn FnMut(Found<'_>)) -> Result<(), BrokenInput> {
        if let Self::Undecided = self {
            let Some(first) = text.trim_start().chars().next() else { return Ok(()) };
            let is_list = first == '[' && plan.records.iter().all(Vec::is_empty);
            *self = if is_list {
                Self::Split(Splitter::new(records::Format::Array, MAX_ROW_BYTES))
            } else {
                Self::Whole { text: String::new() }
            };
        }
        match self {
            Self::Split(splitter) => {
                splitter.push(text.as_bytes(), |raw| take_raw(plan, &raw, each)).map_err(|error| broken(&error))
            }
            Self::Whole { text: whole } => {
                if whole.len() + text.len() > MAX_DOCUMENT_BYTES {
                    let detail = format!("the document is longer than {MAX_DOCUMENT_BYTES} bytes");
                    return Err(BrokenInput { detail, line: 1 });
                }
                whole.push_str(text);
                Ok(())
            }
            Self::Undecided => Ok(()),
        }
    }

    /// Takes the end of the text.
    pub(crate) fn finish(&mut self, plan: &Plan, each: &mut dyn FnMut(Found<'_>)) -> Result<(), BrokenInput> {
        match self {
            Self::Split(splitter) => splitter.finish(|raw| take_raw(plan, &raw, each)).map_err(|error| broken(&error)),
            Self::Whole { text } => {
                take_document(plan, text, 1, each);
                Ok(())
            }
            Self::Undecided => Err(BrokenInput { detail: "the input is empty".to_owned(), line: 1 }),
        }
    }
}

fn broken(error: &records::BrokenStream) -> BrokenInput {
    BrokenInput { detail: error.detail.clone(), line: error.line }
}

fn take_raw(plan: &Plan, raw: &RawRecord<'_>, each: &mut dyn FnMut(Found<'_>)) {
    // A record that is too long may be cut within a character.
    let text = String::from_utf8_lossy(raw.bytes);
    if raw.too_long {
        let refusal =
            Refusal::new(RefusalCode::TooLong, "", format!("the record is longer than {MAX_ROW_BYTES} bytes"));
        each(Found::Refused { line: raw.line, original: &text, refusal });
    } else {
        take_document(plan, &text, raw.line, each);
    }
}

fn take_document(plan: &Plan, text: &str, line: u64, each: &mut dyn FnMut(Found<'_>)) {
    let root = match json::parse(text.as_bytes()) {
        Ok(root) => root,
        Err(error) => {
            let refusal = Refusal::new(RefusalCode::Json, "", error.to_string());
            return each(Found::Refused { line, original: text, refusal });
        }
    };
    let mut found_any = false;
    let mut records = 0_u64;
    for tokens in &plan.records {
        let mut stars = Vec::new();
        let mut take = |record: &Value, stars: &[usize]| {
            let original =
                if std::ptr::eq(record, &raw const root) { Original::Text(text) } else { Original::Json(record) };
            each(Found::Record { place: Place { root: &root, record, stars }, line, original, number: records });
            records += 1;
        };
        found_any |= expand(tokens, &root, &mut stars, &mut take);
    }
    if !found_any {
        let wanted = plan.read.records.join(" or ");
        let refusal = Refusal::new(RefusalCode::NoRecords, "", format!("expected records at {wanted}, found none"));
        each(Found::Refused { line, original: text, refusal });
    }
}

/// Visits the records to which a pointer leads. Returns false if the document lacks the place.
fn expand(tokens: &[Token], value: &Value, stars: &mut Vec<usize>, take: &mut dyn FnMut(&Value, &[usize])) -> bool {
    let Some((token, rest)) = tokens.split_first() else {
        if let Value::Array(items) = value {
            items.iter().for_each(|item| take(item, stars));
        } else {
            take(value, stars);
        }
        return true;
    };
    if !token.star {
        return token.find(value).is_some_and(|value| expand(rest, value, stars, take));
    }
    let Value::Array(items) = value else { return false };
    let mut found = items.is_empty();
    for (index, item) in items.iter().enumerate() {
        stars.push(index);
        found |= expand(rest, item, stars, take);
        stars.pop();
    }
    found
}
