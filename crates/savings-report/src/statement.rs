//! The text that is signed for a report.

use mass_domain::canonical::Fingerprint;

/// Returns the text that is signed for a report: its kind and its fingerprint, each on a line.
///
/// No checkpoint has this form, so that no signature of the one passes for one of the other.
#[must_use]
pub fn statement(fingerprint: &Fingerprint) -> String {
    format!("mass savings report\n{fingerprint}\n")
}
