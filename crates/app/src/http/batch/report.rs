//! The way out: a result for each record, and the totals, as lines or as one JSON document.

use mass_domain::mass_request::Outcome;
use mass_service::{AcceptError, Kept, Receipt};
use serde::Serialize;

use super::answer::Form;
use super::intake::Place;
use super::line::{BatchEnd, BatchFailure, BatchLine, BatchOutcome, BatchTotals};
use crate::http::keeping::faults;
use crate::http::problem::{Problem, ProblemDocument};

/// The number of results after which a document, and the answer to a strict batch, lists only errors.
pub(super) const MOST_RESULTS: u64 = 10_000;

/// The records that have a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Shown {
    /// Each.
    #[default]
    All,
    /// Those that are neither stored nor a duplicate.
    Errors,
}

/// Counts results, and writes them.
pub(super) struct Report {
    shown: Shown,
    form: Form,
    /// The number of results after which only errors are listed.
    most: Option<u64>,
    /// The number of results so far.
    listed: u64,
    /// True if results were left out that should have been shown.
    truncated: bool,
    totals: BatchTotals,
    quarantined: u64,
    written: Vec<u8>,
}

impl Report {
    pub(super) fn new(shown: Shown, form: Form) -> Self {
        let most = (form == Form::Document).then_some(MOST_RESULTS);
        let totals = BatchTotals::default();
        Self { shown, form, most, listed: 0, truncated: false, totals, quarantined: 0, written: Vec::new() }
    }

    /// Lists only errors after so many results.
    pub(super) const fn limit(&mut self) {
        self.most = Some(MOST_RESULTS);
    }

    /// Remembers that results are left out.
    pub(super) const fn truncate(&mut self) {
        self.truncated = true;
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
        let has_room = self.most.is_none_or(|most| self.listed < most);
        if self.shown == Shown::All && has_room {
            let warnings = receipt.request.warnings.into_iter().map(Into::into).collect();
            let id = Some(receipt.request.summary.id.to_string());
            self.result(&BatchLine { id, warnings, ..about(place, outcome) });
        } else if self.shown == Shown::All {
            self.truncated = true;
        }
    }

    /// The record was not stored; a problem that is not its own is handed back. `kept` are the results of the quarantine
    /// for this record and the refused ones after it; none where it keeps nothing.
    pub(super) fn refused(
        &mut self,
        place: Place,
        error: AcceptError,
        kept: &mut impl Iterator<Item = Kept>,
    ) -> Option<Problem> {
        match against(place, error) {
            Ok(mut line) => {
                match kept.next() {
                    Some(Ok(id)) => {
                        self.quarantined += 1;
                        line.quarantine_id = Some(id.to_string());
                    }
                    Some(Err(reason)) => line.not_quarantined = Some(reason.into()),
                    None => {}
                }
                self.totals.count(line.outcome.unwrap_or(BatchOutcome::Rejected));
                self.result(&line);
                None
            }
            Err(problem) => {
                self.unprocessed(place);
                Some(problem)
            }
        }
    }

    /// The number of refused records that are in the quarantine.
    pub(super) const fn quarantined(&self) -> u64 {
        self.quarantined
    }

    /// Nobody tried to store the record, or it is not known what came of it.
    pub(super) fn unprocessed(&mut self, place: Place) {
        self.totals.count(BatchOutcome::Unprocessed);
        self.result(&about(place, BatchOutcome::Unprocessed));
    }

    /// Returns what was written since the last call.
    pub(super) fn take_written(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.written)
    }

    /// The totals of the records so far.
    pub(super) const fn totals(&self) -> &BatchTotals {
        &self.totals
    }

    /// Writes the end, with the problem beside the totals. Returns it with what has not been taken before.
    pub(super) fn finish(&mut self, error: Option<ProblemDocument>) -> Vec<u8> {
        let Self { totals, truncated, .. } = *self;
        match self.form {
            Form::Lines => {
                let line = BatchLine { totals: Some(totals), truncated, error, ..BatchLine::default() };
                self.write(&line);
                self.written.push(b'\n');
            }
            Form::Document => self.end_document(&BatchEnd { totals, truncated, error }),
        }
        self.take_written()
    }

    /// Writes the end of an answer whose status is that of the problem: a document is the problem itself.
    pub(super) fn fail(&mut self, problem: ProblemDocument) -> Vec<u8> {
        let Self { totals, truncated, .. } = *self;
        match self.form {
            Form::Lines => return self.finish(Some(problem)),
            Form::Document => self.end_document(&BatchFailure { totals, truncated, problem }),
        }
        self.take_written()
    }

    /// Ends the list of results, and adds the members of an object.
    fn end_document(&mut self, end: &impl Serialize) {
        if self.listed == 0 {
            self.written.extend_from_slice(OPENING);
        }
        self.written.extend_from_slice(b"\n],");
        let brace = self.written.len();
        self.write(end);
        // The object is the one that the list is in.
        self.written.remove(brace);
        self.written.push(b'\n');
    }

    fn result(&mut self, line: &BatchLine) {
        match self.form {
            Form::Lines => {}
            Form::Document if self.listed == 0 => self.written.extend_from_slice(OPENING),
            Form::Document => self.written.extend_from_slice(b",\n"),
        }
        self.listed += 1;
        self.write(line);
        if self.form == Form::Lines {
            self.written.push(b'\n');
        }
    }

    fn write(&mut self, value: &impl Serialize) {
        // Nothing in a result is without a form in JSON, and memory takes what is written.
        let _ = serde_json::to_writer(&mut self.written, value);
    }
}

/// The beginning of a document.
const OPENING: &[u8] = b"{\"results\":[\n";

/// The line that tells what is against a record, or the problem that is not its own.
pub(super) fn against(place: Place, error: AcceptError) -> Result<BatchLine, Problem> {
    let Some(violations) = faults(&error) else { return Err(error.into()) };
    let (outcome, first) = match &error {
        AcceptError::Refused(refusal) => (BatchOutcome::Conflict, refusal.met()),
        AcceptError::Document(_) | AcceptError::Forbidden(_) | AcceptError::Store(_) => (BatchOutcome::Rejected, None),
    };
    let violations = violations.into_iter().map(Into::into).collect();
    Ok(BatchLine { id: first.map(|id| id.to_string()), violations, ..about(place, outcome) })
}

/// A line about a record.
pub(super) fn about(place: Place, outcome: BatchOutcome) -> BatchLine {
    let Place { index, line, row } = place;
    BatchLine { index: Some(index), line: Some(line), row, outcome: Some(outcome), ..BatchLine::default() }
}
