//! A report that is given as a file.

use std::fs;
use std::path::Path;

use anyhow::Context;
use mass_domain::ids::SavingsReportId;
use mass_domain::{canonical, json};
use mass_savings_report::ReportDocument;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A report as it is given: as the API answered it, or the document alone.
pub(super) struct GivenReport {
    /// The id, if the API answered it.
    pub(super) id: Option<SavingsReportId>,
    /// The document.
    pub(super) document: ReportDocument,
    /// The canonical text of the document as it is given.
    pub(super) text: String,
    /// The signed note.
    pub(super) note: Option<String>,
}

/// The members of the API's answer.
#[derive(Deserialize)]
struct Answered {
    id: Option<String>,
    document: Box<RawValue>,
    note: Option<String>,
}

impl GivenReport {
    /// Reads a report, whatever spaces and line breaks its JSON has by now.
    ///
    /// # Errors
    /// If the file cannot be read, or has no report.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("the report {}", path.display());
        let written = fs::read_to_string(path).with_context(context)?;
        let answered: Option<Answered> = serde_json::from_str(&written).ok();
        let (id, document, note) = match &answered {
            Some(Answered { id, document, note }) => (id.as_deref(), document.get(), note.clone()),
            None => (None, written.as_str(), None),
        };
        let value = json::parse(document.as_bytes()).with_context(context)?;
        let text = canonical::write(&value);
        let document = ReportDocument::parse(&text).with_context(context)?;
        let id = id.map(str::parse).transpose().with_context(context)?;
        Ok(Self { id, document, text, note })
    }
}
