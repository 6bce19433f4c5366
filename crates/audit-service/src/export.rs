//! Exports of a log: their lines, and the verification of an export, which needs neither a server nor a database.
//!
//! An export is text in lines, each a JSON object with one member (NDJSON): the header `mass_audit_export`; the events in
//! their order, each with the hash of its leaf; each `checkpoint` right behind the last event that it covers; and the
//! `end`, which tells a file that was cut from a short log. One export has one spelling: a line that is written in
//! another way is refused.

mod finding;
mod report;
mod verifier;

use std::ops::RangeInclusive;

use mass_domain::audit::note::KeyName;
use mass_domain::audit::tree::{Frontier, TreeHash};
use mass_domain::tenancy::TenantId;
use serde::{Deserialize, Serialize};

pub use finding::{Finding, VerifyExportError};
pub use report::Report;
pub use verifier::{ExportVerifier, verify_export};

/// The version of the format that is written. In version 1 the last line does not count the checkpoints.
const VERSION: u32 = 2;

/// The versions of the format that are read.
const VERSIONS: RangeInclusive<u32> = 1..=VERSION;

/// What the line of an event begins with; its canonical text follows.
const EVENT: &str = r#"{"event":"#;

/// What stands between an event's text and the hash of its leaf.
const LEAF_HASH: &str = r#","leaf_hash":""#;

/// What ends the line of an event.
const EVENT_END: &str = "\"}\n";

/// What an export begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportHeader {
    /// Whose log it is.
    pub tenant: TenantId,
    /// The origin line of the log's checkpoints.
    pub origin: String,
    /// The tree of the first events, which are not in the export.
    pub before: Frontier,
}

impl ExportHeader {
    /// The header of an export of a tenant's log without the events that `before` is made of.
    #[must_use]
    pub fn new(name: &KeyName, tenant: TenantId, before: Frontier) -> Self {
        Self { origin: name.origin(&tenant), tenant, before }
    }

    /// The first line, with its line feed.
    #[must_use]
    pub fn line(&self) -> String {
        let peaks = self.before.peaks().iter().map(ToString::to_string).collect();
        write_line(&Line::Header(WrittenHeader {
            after: self.before.size(),
            origin: self.origin.clone(),
            peaks,
            tenant: self.tenant.as_str().to_owned(),
            version: VERSION,
        }))
    }
}

/// The line of an event, with its line feed.
#[must_use]
pub fn event_line(canonical: &str, leaf_hash: TreeHash) -> String {
    format!("{EVENT}{canonical}{LEAF_HASH}{leaf_hash}{EVENT_END}")
}

/// The line of a signed checkpoint, with its line feed.
#[must_use]
pub fn checkpoint_line(note: &str) -> String {
    write_line(&Line::Checkpoint(note.to_owned()))
}

/// The last line, with its line feed.
#[must_use]
pub fn end_line(events: u64, checkpoints: u64) -> String {
    write_line(&Line::End(WrittenEnd { checkpoints: Some(checkpoints), events }))
}

/// Every line but an event's.
#[derive(Serialize, Deserialize)]
enum Line {
    #[serde(rename = "mass_audit_export")]
    Header(WrittenHeader),
    #[serde(rename = "checkpoint")]
    Checkpoint(String),
    #[serde(rename = "end")]
    End(WrittenEnd),
}

/// A header as it is written: like an event, with its members in the order of RFC 8785.
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
    /// Absent in version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkpoints: Option<u64>,
    events: u64,
}

fn write_line(line: &Line) -> String {
    // What could fail is a map whose keys are no strings, and there is none.
    let mut text = serde_json::to_string(line).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
