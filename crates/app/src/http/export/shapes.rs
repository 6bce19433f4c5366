//! The lines of an export.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::exported::MassRequestExport;
use crate::http::problem::ProblemDocument;

/// A line of an export: a request with its document or, as the last line, the totals.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "describes lines, and is never held in numbers")]
#[schemars(example = json!({"totals": {"requests": 0}}))]
pub(super) enum MassRequestExportLine {
    /// A request.
    #[expect(dead_code, reason = "describes a line that is written elsewhere, too")]
    Request(MassRequestExport),
    /// The end of the export.
    End(MassRequestExportEnd),
}

/// The last line of an export. An export without it is cut.
#[derive(Serialize, JsonSchema)]
pub(super) struct MassRequestExportEnd {
    /// The number of lines before this one.
    pub(super) totals: MassRequestExportTotals,
    /// The reason for which the export ended early, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<ProblemDocument>,
}

/// The totals of an export.
#[derive(Serialize, JsonSchema)]
pub(super) struct MassRequestExportTotals {
    /// The number of requests.
    pub(super) requests: u64,
}
