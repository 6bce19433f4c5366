//! Reasons for which a record is refused.

use mass_domain::json::SyntaxError;
use serde::Serialize;

use crate::records::in_words;

/// The reason for which a record was refused.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Fault {
    /// The location, as a JSON Pointer into the record.
    pub(super) pointer: String,
    /// A stable code.
    pub(super) code: String,
    /// A sentence for people.
    pub(super) detail: String,
    /// The expected value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expected: Option<String>,
    /// The actual value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) actual: Option<String>,
}

impl Fault {
    /// Creates a fault of the whole record.
    pub(super) fn of_record(code: &str, detail: String) -> Self {
        Self { pointer: String::new(), code: code.to_owned(), detail, expected: None, actual: None }
    }

    /// Formats the reason with the expected and the actual value.
    pub(super) fn reason(&self) -> String {
        let Self { detail, expected, actual, .. } = self;
        match (expected, actual) {
            (Some(expected), Some(actual)) => format!("{detail} Expected: {expected}; found: {actual}."),
            (Some(expected), None) => format!("{detail} Expected: {expected}."),
            (None, Some(actual)) => format!("{detail} Found: {actual}."),
            (None, None) => detail.clone(),
        }
    }
}

/// The reasons why a record is not a document.
#[derive(Debug, Clone)]
pub(super) struct Unreadable {
    /// The first reason.
    pub(super) error: SyntaxError,
    /// All reasons.
    pub(super) faults: Vec<Fault>,
}

impl From<SyntaxError> for Unreadable {
    fn from(error: SyntaxError) -> Self {
        Self { faults: vec![unreadable(&error)], error }
    }
}

/// Converts a syntax error to a fault; the file's line number is reported beside it.
pub(super) fn unreadable(error: &SyntaxError) -> Fault {
    Fault::of_record(error.code, in_words(error))
}
