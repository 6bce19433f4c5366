//! What becomes of a record that is imported.

use mass_domain::json::SyntaxError;
use mass_domain::validation::Warning;

use super::rejected::Fault;
use crate::records::in_words;

/// The fate of a record.
pub(super) enum Taken {
    /// Stored, with these warnings.
    Accepted(Vec<Warning>),
    /// Stored as a correction.
    Correction(Vec<Warning>),
    /// Not stored: it is there already, with these warnings.
    Duplicate(Vec<Warning>),
    /// Refused, for these reasons.
    Refused(Vec<Fault>),
}

/// The reason for which a row is no document; where it stands in the file is told beside it.
pub(super) fn unreadable(error: &SyntaxError) -> Fault {
    Fault::of_record(error.code, in_words(error))
}
