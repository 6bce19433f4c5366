//! Signed reports.

use mass_domain::canonical::Fingerprint;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A report and its signature.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Signed {
    /// The document, in its canonical text.
    pub document: Box<RawValue>,
    /// The signature by the audit key: a signed note (C2SP signed-note) whose text is [`statement`].
    pub note: String,
}

/// Returns the text that is signed for a report: its kind and its fingerprint, each on a line.
///
/// No checkpoint has this form, so that no signature of the one passes for one of the other.
#[must_use]
pub fn statement(fingerprint: &Fingerprint) -> String {
    format!("mass savings report\n{fingerprint}\n")
}
