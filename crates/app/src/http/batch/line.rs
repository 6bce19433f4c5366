//! The lines of a batch, and those of its answer.

use mass_domain::quarantine::NotKept;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::contracts;
use crate::http::operations::lines;
use crate::http::problem::ProblemDocument;
use crate::http::violations::{Violation, Warning};

/// Describes a body of lines.
pub(super) fn ndjson(generator: &mut SchemaGenerator) -> Value {
    let example = [json!({"payload": {"pue": 1.31}}), json!({"payload": {"pue": 1.29}})];
    lines(&contracts::document(generator), "Lines (NDJSON): a document a line.", &example)
}

/// Describes a body of rows.
pub(super) fn csv(_: &mut SchemaGenerator) -> Value {
    json!({"schema": {
        "type": "string", "description": "A header row of members with dots, and a document a row.",
        "examples": ["timestamp,device.id\n2026-11-24T18:00:00Z,rack-7\n"],
    }})
}

/// A result of a batch: what became of a record, or, as the last line, the totals.
#[derive(Serialize, JsonSchema, Default)]
#[schemars(
    example = json!({"index": 0, "line": 1, "outcome": "accepted", "id": "0199d3a0-0000-7000-8000-000000000002"}),
    example = json!({"totals": {"read": 1, "accepted": 1, "duplicate": 0, "correction": 0, "conflict": 0,
                                "rejected": 0, "unprocessed": 0}})
)]
pub(super) struct BatchLine {
    /// The record's place in the batch, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<u64>,
    /// The line of the body on which the record begins, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<u64>,
    /// With `map`: the number of the row or record of the input that it begins with, from 1; those that the profile
    /// leaves out do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) row: Option<u64>,
    /// The outcome of the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<BatchOutcome>,
    /// The request that is stored for it; of a conflict, the request that stands against it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    /// Every reason for which it is rejected or in conflict. Of a row that `map` makes no record of, `pointer` is the
    /// column, or the pointer into the row.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(super) violations: Vec<Violation>,
    /// Its id in the quarantine, if it is refused and kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) quarantine_id: Option<String>,
    /// Why it is not kept in the quarantine, although that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) not_quarantined: Option<NotQuarantined>,
    /// Warnings: values that are possible but unlikely.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(super) warnings: Vec<Warning>,
    /// The totals; only in the last line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) totals: Option<BatchTotals>,
    /// There and true, beside the totals, if results are left out that were asked for: those of a strict batch that
    /// are neither errors nor among the first 10,000, or that have no room.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub(super) truncated: bool,
    /// Why records were left unprocessed, or the end of the body unread; beside the totals. Of a strict batch also that
    /// records are refused: its status is the answer's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<ProblemDocument>,
}

/// The answer to a batch as one JSON document.
#[derive(JsonSchema)]
#[schemars(example = json!({
    "results": [{"index": 0, "line": 1, "outcome": "accepted", "id": "0199d3a0-0000-7000-8000-000000000002"}],
    "truncated": false,
    "totals": {"read": 1, "accepted": 1, "duplicate": 0, "correction": 0, "conflict": 0, "rejected": 0, "unprocessed": 0},
}))]
#[expect(dead_code, reason = "describes the schema alone: a document is written piece by piece")]
pub(super) struct BatchDocument {
    /// The results of the records, in their order. After 10,000 only errors follow.
    results: Vec<BatchLine>,
    /// True if results are left out that were asked for.
    truncated: bool,
    /// The totals, which count all records.
    totals: BatchTotals,
    /// Why records were left unprocessed, or the end of the body unread.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ProblemDocument>,
}

/// The members of a document behind its results.
#[derive(Serialize)]
pub(super) struct BatchEnd {
    pub(super) truncated: bool,
    pub(super) totals: BatchTotals,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<ProblemDocument>,
}

/// The members behind the results of a document that is a problem.
#[derive(Serialize)]
pub(super) struct BatchFailure {
    pub(super) truncated: bool,
    pub(super) totals: BatchTotals,
    #[serde(flatten)]
    pub(super) problem: ProblemDocument,
}

/// The outcome of a record of a batch.
#[derive(Serialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum BatchOutcome {
    /// Stored.
    Accepted,
    /// The same is stored already.
    Duplicate,
    /// Stored as a correction of what stood before.
    Correction,
    /// Something else is stored under its natural or idempotency key.
    Conflict,
    /// It breaks rules.
    Rejected,
    /// It was not stored, for a reason that is not its own: send it again.
    Unprocessed,
}

/// The reason for which a refused record is not kept.
#[derive(Serialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum NotQuarantined {
    /// The tenant's quarantine is full.
    Quota,
    /// The record is longer than a body may be, so that its end was not read.
    TooLong,
    /// The database did not take it.
    Unavailable,
}

impl From<NotKept> for NotQuarantined {
    fn from(reason: NotKept) -> Self {
        match reason {
            NotKept::Quota => Self::Quota,
            NotKept::TooLong => Self::TooLong,
            NotKept::Unavailable => Self::Unavailable,
        }
    }
}

/// The totals of a batch by outcome. `read` is the sum of the others.
#[derive(Serialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct BatchTotals {
    /// Records that were found in the body.
    pub(super) read: u64,
    /// Stored.
    pub(super) accepted: u64,
    /// Stored already.
    pub(super) duplicate: u64,
    /// Stored as a correction.
    pub(super) correction: u64,
    /// In conflict with what is stored.
    pub(super) conflict: u64,
    /// Against the rules.
    pub(super) rejected: u64,
    /// Not stored, to be sent again.
    pub(super) unprocessed: u64,
}

impl BatchTotals {
    /// Counts a record.
    pub(super) const fn count(&mut self, outcome: BatchOutcome) {
        self.read += 1;
        *match outcome {
            BatchOutcome::Accepted => &mut self.accepted,
            BatchOutcome::Duplicate => &mut self.duplicate,
            BatchOutcome::Correction => &mut self.correction,
            BatchOutcome::Conflict => &mut self.conflict,
            BatchOutcome::Rejected => &mut self.rejected,
            BatchOutcome::Unprocessed => &mut self.unprocessed,
        } += 1;
    }

    /// Returns the number of records that are refused for reasons of their own.
    pub(super) const fn refused(&self) -> u64 {
        self.conflict + self.rejected
    }
}
