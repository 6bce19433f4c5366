//! The way out: a line of JSON for each record, and the totals.

use mass_domain::mass_request::Outcome;
use mass_domain::validation as domain;
use mass_service::{AcceptError, DocumentError, Receipt, Refusal};

use super::intake::Place;
use super::line::{BatchLine, BatchOutcome, BatchTotals};
use crate::http::problem::{Problem, ProblemDocument};
use crate::http::violations::Violation;
use crate::records::in_words;

/// The records that have a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Shown {
    /// Each.
    #[default]
    All,
    /// Those that are neither stored nor a duplicate.
    Errors,
}

/// Counts results, and puts them into lines.
pub(super) struct Report {
    shown: Shown,
    totals: BatchTotals,
    lines: Vec<u8>,
}

impl Report {
    pub(super) fn new(shown: Shown) -> Self {
        Self { shown, totals: BatchTotals::default(), lines: Vec::new() }
    }

    /// The record was stored, or was stored already.
    pub(super) fn stored(&mut self, place: Place, receipt: Receipt) {
        let outcome = match receipt.outcome {
            _ if receipt.replayed => BatchOutcome::Duplicate,
            Outcome::Accepted => BatchOutcome::Accepted,
            Outcome::Correction => BatchOutcome::Correction,
            Outcome::Duplicate => BatchOutcome::Duplicate,
        };
        self.totals.count(outcome);
        if self.shown == Shown::All {
            let warnings = receipt.request.warnings.into_iter().map(Into::into).collect();
            let id = Some(receipt.request.summary.id.to_string());
            self.line(&BatchLine { id, warnings, ..about(place, outcome) });
        }
    }

    /// The record was not stored; a problem that is not its own is handed back.
    pub(super) fn refused(&mut self, place: Place, error: AcceptError) -> Option<Problem> {
        match against(place, error) {
            Ok(line) => {
                self.totals.count(line.outcome.unwrap_or(BatchOutcome::Rejected));
                self.line(&line);
                None
            }
            Err(problem) => {
                self.unprocessed(place);
                Some(problem)
            }
        }
    }

    /// Nobody tried to store the record, or it is not known what came of it.
    pub(super) fn unprocessed(&mut self, place: Place) {
        self.totals.count(BatchOutcome::Unprocessed);
        self.line(&about(place, BatchOutcome::Unprocessed));
    }

    /// The lines since the last call.
    pub(super) fn take_lines(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.lines)
    }

    /// The totals of the records so far.
    pub(super) const fn totals(&self) -> &BatchTotals {
        &self.totals
    }

    /// The last line, and any before it that have not been taken.
    pub(super) fn finish(&mut self, error: Option<ProblemDocument>) -> Vec<u8> {
        let totals = Some(self.totals);
        self.line(&BatchLine { totals, error, ..BatchLine::default() });
        self.take_lines()
    }

    fn line(&mut self, line: &BatchLine) {
        // Nothing in a line is without a form in JSON, and memory takes what is written.
        let _ = serde_json::to_writer(&mut self.lines, line);
        self.lines.push(b'\n');
    }
}

/// The line that tells what is against a record, or the problem that is not its own.
pub(super) fn against(place: Place, error: AcceptError) -> Result<BatchLine, Problem> {
    let rejected = |violations| Ok(BatchLine { violations, ..about(place, BatchOutcome::Rejected) });
    match error {
        AcceptError::Document(DocumentError::Invalid(refused)) => {
            rejected(refused.violations.into_iter().map(Into::into).collect())
        }
        AcceptError::Document(DocumentError::Malformed(error)) => {
            rejected(vec![violation(error.code, in_words(&error))])
        }
        AcceptError::Document(error @ DocumentError::ForeignTenant) => {
            rejected(vec![violation("foreign_tenant", error.to_string())])
        }
        AcceptError::Refused(refusal) => {
            let (code, first) = match refusal {
                Refusal::Conflict { request_id, .. } => ("conflict", request_id),
                Refusal::KeyReused { request_id } => ("idempotency_key_reused", request_id),
                Refusal::KeyOfDeleted { request_id } => ("gone", request_id),
                Refusal::OverQuota(over) => return Err(over.into()),
            };
            let violations = vec![violation(code, refusal.to_string())];
            Ok(BatchLine { id: Some(first.to_string()), violations, ..about(place, BatchOutcome::Conflict) })
        }
        error @ (AcceptError::Forbidden(_) | AcceptError::Store(_)) => Err(error.into()),
    }
}

/// A line about a record.
pub(super) fn about(place: Place, outcome: BatchOutcome) -> BatchLine {
    let Place { index, line } = place;
    BatchLine { index: Some(index), line: Some(line), outcome: Some(outcome), ..BatchLine::default() }
}

fn violation(code: &str, detail: String) -> Violation {
    let stage = domain::Stage::Structural;
    let (pointer, code) = (String::new(), code.to_owned());
    domain::Violation { stage, pointer, code, detail, expected: None, actual: None }.into()
}
