//! Reasons for which a record is refused.

use mass_domain::json::SyntaxError;
use serde::Serialize;

use crate::records::in_words;

/// The reason for which a record was refused.
#[derive(Debug, Clone, Serialize)]
pub(in crate::commands) struct Fault {
    /// The location, as a JSON Pointer into the record.
    pub(in crate::commands) pointer: String,
    /// A stable code.
    pub(in crate::commands) code: String,
    /// A sentence for people.
    pub(in crate::commands) detail: String,
    /// The expected value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) expected: Option<String>,
    /// The actual value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) actual: Option<String>,
}

impl Fault {
    /// Creates a fault of the whole record.
    pub(in crate::commands) fn of_record(code: &str, detail: String) -> Self {
        Self { pointer: String::new(), code: code.to_owned(), detail, expected: None, actual: None }
    }

    /// Formats the reason with the expected and the actual value.
    pub(in crate::commands) fn reason(&self) -> String {
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
pub(in crate::commands) struct Unreadable {
    /// The first reason.
    pub(in crate::commands) error: SyntaxError,
    /// All reasons.
    pub(in crate::commands) faults: Vec<Fault>,
}

impl From<SyntaxError> for Unreadable {
    fn from(error: SyntaxError) -> Self {
        Self { faults: vec![unreadable(&error)], error }
    }
}

/// Converts a syntax error to a fault; the file's line number is reported beside it.
pub(in crate::commands) fn unreadable(error: &SyntaxError) -> Fault {
    Fault::of_record(error.code, in_words(error))
}
