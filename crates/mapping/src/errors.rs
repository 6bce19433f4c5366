//! Errors: of profiles, of rows, and of inputs that cannot be read on.

/// A mistake in a profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{detail}", if pointer.is_empty() { String::new() } else { format!("{pointer}: ") })]
pub struct ProfileError {
    /// The position: a JSON Pointer (RFC 6901) into the profile.
    pub pointer: String,
    /// A sentence for people, without a full stop.
    pub detail: String,
}

impl ProfileError {
    pub(crate) fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

/// The kind of a refusal, as a stable name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalCode {
    /// The row has another number of cells than the header row.
    Cells,
    /// The text is not valid in the encoding.
    Encoding,
    /// The text is not JSON.
    Json,
    /// The document contains none of the lists of records.
    NoRecords,
    /// A value that must be present is absent.
    Absent,
    /// The value has the wrong type.
    Type,
    /// The value is not a number.
    Number,
    /// The number cannot be converted to the unit of the metric.
    Unit,
    /// The value is not a time in the format of the profile.
    Time,
    /// The local time does not exist: clocks were put forward.
    SkippedTime,
    /// The local time occurs twice: clocks were put back.
    DoubledTime,
    /// The profile does not list the name.
    Unlisted,
    /// The reading already has another value of this metric.
    Repeated,
    /// The reading has too many metrics.
    TooMany,
    /// The rows of the reading are too far apart.
    Late,
    /// The row is too long.
    TooLong,
}

impl RefusalCode {
    /// All codes, in the order of the documentation.
    pub const ALL: &[Self] = &[
        Self::Cells,
        Self::Encoding,
        Self::Json,
        Self::NoRecords,
        Self::Absent,
        Self::Type,
        Self::Number,
        Self::Unit,
        Self::Time,
        Self::SkippedTime,
        Self::DoubledTime,
        Self::Unlisted,
        Self::Repeated,
        Self::TooMany,
        Self::Late,
        Self::TooLong,
    ];

    /// Returns the name for programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cells => "cells",
            Self::Encoding => "encoding",
            Self::Json => "json",
            Self::NoRecords => "no_records",
            Self::Absent => "absent",
            Self::Type => "type",
            Self::Number => "number",
            Self::Unit => "unit",
            Self::Time => "time",
            Self::SkippedTime => "skipped_time",
            Self::DoubledTime => "doubled_time",
            Self::Unlisted => "unlisted",
            Self::Repeated => "repeated",
            Self::TooMany => "too_many",
            Self::Late => "late",
            Self::TooLong => "too_long",
        }
    }

    /// Returns a sentence for people.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Cells => "The row has another number of cells than the header row.",
            Self::Encoding => "The text is not valid in the encoding.",
            Self::Json => "The text is not JSON.",
            Self::NoRecords => "The document contains none of the lists of records.",
            Self::Absent => "A value that must be present is absent.",
            Self::Type => "The value has the wrong type.",
            Self::Number => "The value is not a number.",
            Self::Unit => "The number cannot be converted to the unit of the metric.",
            Self::Time => "The value is not a time in the format of the profile.",
            Self::SkippedTime => "The local time does not exist: clocks were put forward.",
            Self::DoubledTime => "The local time occurs twice: clocks were put back.",
            Self::Unlisted => "The profile does not list the name.",
            Self::Repeated => "The reading already has another value of this metric.",
            Self::TooMany => "The reading has too many metrics.",
            Self::Late => "The rows of the reading are too far apart.",
            Self::TooLong => "The row is too long.",
        }
    }
}

/// The reason why a row does not become a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{detail}", if source_name.is_empty() { String::new() } else { format!("{source_name}: ") })]
pub struct Refusal {
    /// The kind.
    pub code: RefusalCode,
    /// The column or pointer of the value; empty if the whole row is meant.
    pub source_name: String,
    /// A sentence for people, without a full stop.
    pub detail: String,
}

impl Refusal {
    pub(crate) fn new(code: RefusalCode, source_name: &str, detail: impl Into<String>) -> Self {
        Self { code, source_name: source_name.to_owned(), detail: detail.into() }
    }
}

/// Error for an input that cannot be read beyond this position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}, on line {line}")]
pub struct BrokenInput {
    /// The reason, without a full stop.
    pub detail: String,
    /// The line of the error, from 1.
    pub line: u64,
}

/// Shortens a value for a message, and replaces control characters.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 60;
    let visible = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    let mut shown: String = text.chars().take(MOST).map(visible).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}
