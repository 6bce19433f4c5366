//! The export format, and its verification, which needs neither a server nor a database.
//!
//! An export is NDJSON; each line is an object with one member: the header `mass_audit_export`; the events in their
//! order, each with its leaf hash; each `checkpoint` right after the last event that it covers; and the `end`, which
//! distinguishes a truncated file from a short log. The format is canonical: a line in any other spelling is refused.

mod finding;
mod report;
mod verifier;

use std::ops::RangeInclusive;

use mass_domain::audit::note::KeyName;
use mass_domain::audit::tree::{Frontier, TreeHash};
use mass_domain::tenancy::TenantId;
use serde::{Deserialize, Serialize};

pub use finding::{Finding, VerifyExportError};
pub use report::ExportReport;
pub use verifier::{ExportVerifier, read_export, verify_export};

/// The format version of new exports. In version 1 the last line does not count the checkpoints.
const VERSION: u32 = 2;

/// The format versions that are read.
const VERSIONS: RangeInclusive<u32> = 1..=VERSION;

/// The text before the canonical text of an event.
const EVENT: &str = r#"{"event":"#;

/// The text between an event and its leaf hash.
const LEAF_HASH: &str = r#","leaf_hash":""#;

/// The text at the end of an event's line.
const EVENT_END: &str = "\"}\n";

/// The header of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportHeader {
    /// The tenant that the log belongs to.
    pub tenant: TenantId,
    /// The origin line of the log's checkpoints.
    pub origin: String,
    /// The frontier of the first events, which the export leaves out.
    pub before: Frontier,
}

impl ExportHeader {
    /// Creates the header of an export that leaves out the events of `before`.
    #[must_use]
    pub fn new(name: &KeyName, tenant: TenantId, before: Frontier) -> Self {
        Self { origin: name.origin(&tenant), tenant, before }
    }

    /// Returns the first line, with its line feed.
    #[must_use]
    pub fn line(&self) -> String {
        let peaks = self.before.peaks().iter().map(ToString::to_string).collect();
        write_line(&ExportLine::Header(WrittenHeader {
            after: self.before.size(),
            origin: self.origin.clone(),
            peaks,
            tenant: self.tenant.as_str().to_owned(),
            version: VERSION,
        }))
    }
}

/// Returns the line of an event, with its line feed.
#[must_use]
pub fn event_line(canonical: &str, leaf_hash: TreeHash) -> String {
    format!("{EVENT}{canonical}{LEAF_HASH}{leaf_hash}{EVENT_END}")
}

/// Returns the line of a signed checkpoint, with its line feed.
#[must_use]
pub fn checkpoint_line(note: &str) -> String {
    write_line(&ExportLine::Checkpoint(note.to_owned()))
}

/// Returns the last line, with its line feed.
#[must_use]
pub fn end_line(events: u64, checkpoints: u64) -> String {
    write_line(&ExportLine::End(WrittenEnd { checkpoints: Some(checkpoints), events }))
}

/// A line that is not an event's.
#[derive(Serialize, Deserialize)]
enum ExportLine {
    #[serde(rename = "mass_audit_export")]
    Header(WrittenHeader),
    #[serde(rename = "checkpoint")]
    Checkpoint(String),
    #[serde(rename = "end")]
    End(WrittenEnd),
}

/// The serialised header, with its members in the order of RFC 8785.
#[derive(Serialize, Deserialize)]
struct WrittenHeader {
    after: u64,
    origin: String,
    peaks: Vec<String>,
    tenant: String,
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct WrittenEnd {
    /// Missing in version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkpoints: Option<u64>,
    events: u64,
}

fn write_line(line: &ExportLine) -> String {
    // Serialisation could only fail for a map with keys that are not strings, which does not occur.
    let mut text = serde_json::to_string(line).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
