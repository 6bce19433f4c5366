//! The port that writes reports.

use mass_domain::savings::{AsOf, Project};
use mass_savings::{Hour, HourRate};

/// The data that a report is written from. The same data give the same document.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportData {
    /// The version of the project.
    pub project: Project,
    /// The hours of its periods or days, in the order of time.
    pub hours: Vec<Hour>,
    /// The prices of hours, if the project's price is a series.
    pub prices: Vec<HourRate>,
    /// The events that the hours follow from.
    pub as_of: AsOf,
}

/// A document, and the note by which the key of the audit trail signs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedDocument {
    /// Its canonical JSON text.
    pub document: String,
    /// The signed note (C2SP signed-note), whose text states the document's fingerprint.
    pub note: String,
}

/// No report can be written from the data, for this reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreportable(pub String);

/// Writes and signs reports. Blocks for seconds.
pub trait ReportWriter: Send + Sync {
    /// Computes the figures and writes the document.
    ///
    /// # Errors
    /// [`Unreportable`], if the data do not suffice for any figures.
    fn write(&self, data: &ReportData) -> Result<SignedDocument, Unreportable>;
}
