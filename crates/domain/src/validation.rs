//! What can be wrong with a document, in which stage it is judged, and how it is told.

use serde::{Deserialize, Serialize};

/// The stages of validation, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Shape, types, missing and unknown members, lengths, patterns, formats.
    Structural,
    /// Versions, enumerations, units.
    Contract,
    /// Ranges, coherence in time and between fields.
    Semantic,
    /// Shadow mode, service levels in production.
    Business,
}

/// One rule that a document breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The stage that found it.
    pub stage: Stage,
    /// Where: a JSON Pointer (RFC 6901) into the document as it was sent.
    pub pointer: String,
    /// A stable word for programs; docs/errors.md lists them all.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
    /// What would have been right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
}

/// Something unlikely that does not refuse a document; it is stored with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Where: a JSON Pointer (RFC 6901) into the document as it was sent.
    pub pointer: String,
    /// A stable word for programs; docs/errors.md lists them all.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
}
