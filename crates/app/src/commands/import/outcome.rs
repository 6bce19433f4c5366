//! The outcome of an imported record.

use mass_domain::json::SyntaxError;
use mass_domain::validation::Warning;

use super::rejected::Fault;
use crate::records::in_words;

/// The outcome of a record.
pub(super) enum ImportOutcome {
    /// Stored, with these warnings.
    Accepted(Vec<Warning>),
    /// Stored as a correction.
    Correction(Vec<Warning>),
    /// A duplicate of a stored record, with these warnings.
    Duplicate(Vec<Warning>),
    /// Refused, for these reasons.
    Refused(Vec<Fault>),
}

/// Converts a syntax error to a fault; the file's line number is reported beside it.
pub(super) fn unreadable(error: &SyntaxError) -> Fault {
    Fault::of_record(error.code, in_words(error))
}
