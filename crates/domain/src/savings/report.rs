//! The states of reports, and what pins their data.

use serde::{Deserialize, Serialize};

use crate::names::named_enum;

/// The text does not name a state of a report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown state of a report \"{0}\"")]
pub struct UnknownReportState(String);

named_enum!(
    /// The state of a report.
    ReportState, UnknownReportState {
        /// It waits to be computed.
        Queued = "queued",
        /// A server computes it.
        Computing = "computing",
        /// It is computed, signed and stored.
        Done = "done",
        /// It cannot be computed, for a reason that is stored with it.
        Failed = "failed",
    }
);

/// The events of the audit trail that hours follow from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsOf {
    /// The number of events.
    pub sequence: i64,
    /// The root of the log's tree with that many events, in hexadecimal digits.
    pub root: String,
}
