//! The outcome of an imported record.

use mass_domain::validation::Warning;

use super::fault::Fault;

/// The outcome of a record.
pub(in crate::commands) enum ImportOutcome {
    /// Stored, with these warnings.
    Accepted(Vec<Warning>),
    /// Stored as a correction.
    Correction(Vec<Warning>),
    /// A duplicate of a stored record, with these warnings.
    Duplicate(Vec<Warning>),
    /// Refused, for these reasons.
    Refused(Vec<Fault>),
}
