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

/// The text does not name a reason for which reports fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown reason of a failed report \"{0}\"")]
pub struct UnknownReportFailure(String);

named_enum!(
    /// The reason for which a report has failed.
    ReportFailureCode, UnknownReportFailure {
        /// The days of the crossover are not drawn.
        NoSchedule = "no_schedule",
        /// The hours do not suffice for the method.
        InsufficientData = "insufficient_data",
        /// The site has more series than a report reads.
        TooManySeries = "too_many_series",
        /// The figures cannot go past an event.
        FiguresStopped = "figures_stopped",
        /// The figures have not come up to the request in time.
        FiguresLate = "figures_late",
        /// The hours could not be read in time.
        HoursUnreadable = "hours_unreadable",
        /// Several computations have ended without a result.
        Abandoned = "abandoned",
        /// A fault of the program.
        Fault = "fault",
    }
);

/// The reason for which a report has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFailure {
    /// The code, for programs; `None` for reports that failed before there were codes.
    pub code: Option<ReportFailureCode>,
    /// A phrase for people.
    pub detail: String,
}

/// The events of the audit trail that hours follow from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsOf {
    /// The number of events.
    pub sequence: i64,
    /// The root of the log's tree with that many events, in hexadecimal digits.
    pub root: String,
}
