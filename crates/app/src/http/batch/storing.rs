//! The end that stores: chunk by chunk, with a report on each record.

use std::sync::Arc;
use std::time::Duration;

use mass_domain::access::Permission;
use mass_domain::audit::Refusals;
use mass_domain::trace::Origin;
use mass_service::{Prepared, Results};
use tokio::sync::oneshot;

use super::Tools;
use super::answer::Conclusion;
use super::halt::Halt;
use super::intake::Chunk;
use super::outbox::{PutError, Writer};
use super::report::Report;
use crate::http::context::RequestSpans;
use crate::http::keeping;
use crate::http::problem::{Problem, ProblemKind};
use crate::http::reply::Call;

/// The number of times a caller is authenticated again before records are given up, if the tenant's credentials keep changing.
const RECOGNITIONS: usize = 10;

/// The client has gone away.
pub(super) struct Abandoned;

/// Stores chunks and reports on them.
pub(super) struct Storing {
    tools: Tools,
    call: Call,
    origin: Origin,
    report: Report,
    writer: Writer,
    /// Tells the reading end that nothing more is stored, or read.
    halt: Arc<Halt>,
    /// Why nothing more is stored.
    problem: Option<Problem>,
    /// The refusals for the audit event at the end.
    refusals: Refusals,
    /// The number of consecutive refused records before the next one.
    refused_in_a_row: u64,
    /// The number of refused records that are not yet counted in the rate limits.
    uncharged: u64,
    /// True once the results have no room.
    muted: bool,
    /// True once the end of the answer is written.
    concluded: bool,
    /// Of a strict batch: receives the status at the end.
    awaited: Option<oneshot::Sender<Conclusion>>,
}

impl Storing {
    /// Begins, with nothing stored yet.
    pub(super) fn new(
        tools: Tools,
        call: Call,
        origin: Origin,
        report: Report,
        writer: Writer,
        halt: Arc<Halt>,
    ) -> Self {
        Self {
            tools,
            call,
            origin,
            report,
            writer,
            halt,
            problem: None,
            refusals: Refusals::default(),
            refused_in_a_row: 0,
            uncharged: 0,
            muted: false,
            concluded: false,
            awaited: None,
        }
    }

    /// Makes the batch strict: its answer has to wait for the status, so that nobody reads results meanwhile.
    pub(super) fn conclude_to(&mut self, awaited: oneshot::Sender<Conclusion>) {
        self.report.limit();
        self.awaited = Some(awaited);
    }

    /// The spans of the call.
    pub(super) fn spans(&self) -> RequestSpans {
        self.call.spans.clone()
    }

    /// Stores a chunk, and answers what became of its records.
    pub(super) async fn store(&mut self, chunk: Chunk) -> Result<(), Abandoned> {
        let Chunk { places, prepared, copies, room: _until_stored, .. } = chunk;
        if self.concluded {
            return Ok(());
        }
        if self.problem.is_none() && self.tools.draining.is_begun() {
            self.halt(Problem::unavailable("The server is stopping.", Duration::from_secs(5)));
        }
        let results = match self.problem {
            Some(_) => None,
            None => match self.store_prepared(prepared).await {
                Ok(results) => {
                    self.tools.engine.accepted(results.iter().flatten());
                    Some(results)
                }
                Err(problem) => {
                    let problem = self.call.refused(problem).await;
                    self.halt(problem);
                    None
                }
            },
        };
        let rejected = keeping::rejected(results.as_deref().unwrap_or_default(), copies);
        let mut kept = keeping::keep(&self.tools.quarantine, &self.call, rejected).await.into_iter();
        let mut results = results.into_iter().flatten();
        for place in places {
            match results.next() {
                Some(Ok(receipt)) => {
                    self.refused_in_a_row = 0;
                    self.report.stored(place, receipt);
                }
                Some(Err(error)) => match self.report.refused(place, error, &mut kept) {
                    Some(problem) => self.halt(problem),
                    None => self.count_refused(),
                },
                None => self.report.unprocessed(place),
            }
        }
        if let Err(problem) = self.tools.limits.charge_refused(&self.call.principal, &mut self.uncharged) {
            self.end(problem);
        }
        self.send().await?;
        if self.halt.is_reading_over() {
            self.conclude(None).await;
        }
        Ok(())
    }

    /// Counts a refused record, and ends the batch with too many of them in a row.
    fn count_refused(&mut self) {
        self.refused_in_a_row += 1;
        self.uncharged += 1;
        if let Some(limit) = self.tools.streams.limits().refused_in_a_row
            && self.refused_in_a_row >= limit
        {
            let detail = format!(
                "{limit} records were refused one after the other, the most of a batch (MASS_BATCH_REFUSED_IN_A_ROW); \
                 the rest of the body was not read."
            );
            self.end(Problem::new(ProblemKind::TooManyRefused).detail(detail).member("limit", limit));
        }
    }

    /// Stores what was prepared if the caller may still store it as it is stored: as of the version of the tenant's
    /// credentials at which the caller was recognised.
    async fn store_prepared(&mut self, mut prepared: Prepared) -> Result<Results, Problem> {
        for _ in 0..RECOGNITIONS {
            if let Some((principal, as_of)) = self.call.recalled()?
                && principal.require(Permission::MassWrite).is_ok()
            {
                let (service, refusals) = (&self.tools.service, &mut self.refusals);
                match service.store_prepared(&principal, prepared, refusals, Some(as_of)).await? {
                    Ok(results) => return Ok(results),
                    Err(unstored) => prepared = unstored,
                }
            }
            self.call.recognised().await?.require(Permission::MassWrite)?;
        }
        let detail = "The credentials of the tenant changed again and again while the records were stored.";
        Err(Problem::unavailable(detail, Duration::from_secs(5)))
    }

    async fn send(&mut self) -> Result<(), Abandoned> {
        let written = self.report.take_written();
        if written.is_empty() {
            return Ok(());
        }
        if self.muted {
            self.report.truncate();
            return Ok(());
        }
        match self.writer.put(written).await {
            Ok(()) => Ok(()),
            Err(PutError::Abandoned) => Err(Abandoned),
            Err(PutError::Full(error)) => {
                tracing::error!(%error, "the results of a batch cannot be kept");
                self.muted = true;
                let detail = "The results of further records cannot be kept; the totals count them.";
                self.halt(Problem::unavailable(detail, Duration::from_secs(5)));
                Ok(())
            }
            // A client cannot read results before it has the status.
            Err(PutError::Unread) if self.awaited.is_some() => {
                self.muted = true;
                Ok(())
            }
            Err(PutError::Unread) => {
                self.muted = true;
                let limit = self.tools.streams.limits().unread_bytes;
                let detail = format!(
                    "{limit} bytes of results wait to be read, the most of a batch (MASS_BATCH_UNREAD_BYTES); the rest \
                     of the body was not read."
                );
                self.end(Problem::unavailable(&detail, Duration::from_secs(5)).member("limit", limit));
                Ok(())
            }
        }
    }

    /// Stores nothing more and reads no more of the body, for this reason.
    fn end(&mut self, problem: Problem) {
        self.halt(problem);
        self.halt.end_reading();
    }

    /// Stores nothing more, for this reason.
    fn halt(&mut self, problem: Problem) {
        self.halt.end_storing();
        self.problem.get_or_insert(problem);
    }

    /// Tells the audit trail what was refused, before the client is told of the end.
    async fn record_refusals(&mut self) {
        let (service, refusals) = (&self.tools.service, std::mem::take(&mut self.refusals));
        if let Err(error) = service.record_refusals(&self.call.principal, &self.origin, refusals).await {
            tracing::error!(error = format!("{error:#}"), "the refused records of a batch were not recorded");
            self.halt(error.into());
        }
    }

    /// Writes the end of the answer, and tells the status to whom waits for it.
    async fn conclude(&mut self, unread: Option<Problem>) {
        if std::mem::replace(&mut self.concluded, true) {
            return;
        }
        self.record_refusals().await;
        let awaited = self.awaited.take();
        let problem = self.problem.take().or(unread);
        let problem = problem.or_else(|| awaited.as_ref().and_then(|_| records_refused(&self.report)));
        let conclusion = Conclusion::of(problem.as_ref());
        let problem = problem.map(|problem| problem.document(self.call.path(), &self.origin.request_id));
        tracing::info!(totals = ?self.report.totals(), error = problem.as_ref().map(|it| &it.kind), "a batch was read");
        let end = match problem {
            Some(problem) if awaited.is_some() => self.report.fail(problem),
            problem => self.report.finish(problem),
        };
        // Whoever reads no more does not read the totals, either.
        let _ = self.writer.put(end).await;
        if let Some(awaited) = awaited {
            let _ = awaited.send(conclusion);
        }
    }

    /// Ends without an answer, since the client has gone away.
    pub(super) async fn abandon(mut self) {
        tracing::info!(totals = ?self.report.totals(), "a batch was abandoned by its client");
        self.record_refusals().await;
    }

    /// Ends the answer, once the body has ended.
    pub(super) async fn finish(mut self, unread: Option<Problem>) {
        self.conclude(unread).await;
        self.writer.finish();
    }
}

/// Returns the problem of a strict batch of which records are refused and not in the quarantine, if any is.
fn records_refused(report: &Report) -> Option<Problem> {
    let (refused, kept, read) = (report.totals().refused(), report.quarantined(), report.totals().read);
    let kept_too = if kept > 0 { format!(", {kept} of them kept in the quarantine") } else { String::new() };
    let detail = format!("{refused} of {read} records are refused{kept_too}; the others are stored.");
    (refused > kept).then(|| Problem::new(ProblemKind::RecordsRefused).detail(detail))
}
