//! The results of a mapping: records, and rows that are refused.

use mass_domain::canonical;
use mass_domain::json::Value;

use crate::errors::Refusal;

/// A result of a mapping.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// A record.
    Record(Record<'a>),
    /// A row that does not become a record.
    Refused(Refused<'a>),
}

/// A document, and the rows that it comes from.
#[derive(Debug)]
pub struct Record<'a> {
    /// The line of its first row, from 1. For records within one JSON document, the line on which the document begins.
    pub line: u64,
    /// The number of its first row, from 1. Rows that are left out do not count.
    pub row: u64,
    /// The number of rows.
    pub rows: u64,
    /// Its rows as they came.
    pub original: Original<'a>,
    /// The document, with the marker of its contract.
    pub document: Value,
    /// About the size of the document's text in bytes.
    pub bytes: usize,
}

/// A row that does not become a record.
#[derive(Debug)]
pub struct Refused<'a> {
    /// Its line, from 1.
    pub line: u64,
    /// Its number, from 1; 0 for text that is not a row.
    pub row: u64,
    /// The row as it came.
    pub original: Original<'a>,
    /// All reasons; never empty.
    pub refusals: Vec<Refusal>,
}

/// Rows as they came, decoded to UTF-8.
#[derive(Debug, Clone, Copy)]
pub enum Original<'a> {
    /// Rows of a table or lines of NDJSON, without the last line break.
    Text(&'a str),
    /// A record within a JSON document.
    Json(&'a Value),
}

impl Original<'_> {
    /// Returns the text of the rows. JSON is written on one line, with its numbers as they came.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Text(text) => (*text).to_owned(),
            Self::Json(value) => canonical::write_as_sent(value),
        }
    }
}
