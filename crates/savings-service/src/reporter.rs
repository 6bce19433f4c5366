//! The computation of queued reports: one at a time, on a thread of its own, under a lease.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use mass_analytics_service::{AnalyticsService, Answer, HoursError, SiteHour};
use mass_domain::access::Principal;
use mass_domain::delivery::WorkerName;
use mass_domain::port::PortError;
use mass_domain::savings::{ReportFailure, ReportFailureCode};
use mass_domain::time::{Clock, Timestamp};
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use crate::hours::{hours_query, report_data};
use crate::store::{ClaimedReport, ReportClaim, ReportOutcome, ReportQueue};
use crate::writer::{ReportData, ReportWriter};

/// The lease of a claim, in seconds. A report whose server has been killed is taken over after it.
const LEASE_SECONDS: i64 = 30;

/// The interval at which the lease of an attempt under way is extended.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The number of times that a computation begins. One that ends its server every time fails.
const MOST_ATTEMPTS: u32 = 5;

/// The time after the request in which the figures have to come up to it and to be read, in seconds: an hour.
const PATIENCE_SECONDS: i64 = 3600;

/// The time after which a report is due again whose figures have not come up to its request, in seconds.
const PAUSE_SECONDS: i64 = 1;

/// The time after which a report is due again that the database has not let compute, in seconds.
const RETRY_SECONDS: i64 = 5;

/// The result of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worked {
    /// No report is due.
    Nothing,
    /// A report is done.
    Done,
    /// A report has failed, which its author is told.
    Failed,
    /// A report is due again later: its figures have not come up to its request, or the server stops.
    Postponed,
    /// Another server has taken the report over.
    Lost,
}

/// Computes queued reports.
pub struct Reporter {
    queue: Arc<dyn ReportQueue>,
    analytics: Arc<AnalyticsService>,
    writer: Arc<dyn ReportWriter>,
    clock: Arc<dyn Clock>,
    worker: WorkerName,
}

/// The result of an attempt.
enum Attempt {
    Ended(ReportOutcome),
    Postponed(i64),
    Lost,
}

impl Attempt {
    fn failed(code: ReportFailureCode, detail: impl Into<String>) -> Self {
        Self::Ended(ReportOutcome::Failed(failure(code, detail)))
    }
}

impl Reporter {
    /// Builds a reporter. The name has to be unique among all servers.
    #[must_use]
    pub fn new(
        queue: Arc<dyn ReportQueue>,
        analytics: Arc<AnalyticsService>,
        writer: Arc<dyn ReportWriter>,
        clock: Arc<dyn Clock>,
        worker: WorkerName,
    ) -> Self {
        Self { queue, analytics, writer, clock, worker }
    }

    /// Computes the report that is due first, if there is one. Gives it back when it is told to stop.
    ///
    /// # Errors
    /// The store's. The report is due again, at the latest when its lease ends.
    pub async fn step(&self, stopped: &mut watch::Receiver<bool>) -> Result<Worked, PortError> {
        let now = self.clock.now();
        let Some(claimed) = self.queue.claim(&self.worker, now, after(now, LEASE_SECONDS)).await? else {
            return Ok(Worked::Nothing);
        };
        let (claim, requested_at) = (claimed.claim.clone(), claimed.requested_at);
        match self.held(&claim, self.attempt(claimed), stopped).await {
            Ok(Attempt::Ended(outcome)) => self.finish(&claim, outcome).await,
            Ok(Attempt::Postponed(seconds)) => self.postpone(&claim, seconds).await,
            Ok(Attempt::Lost) => Ok(Worked::Lost),
            Err(error) if self.is_late(requested_at) => {
                tracing::warn!(report = %claim.report_id, error = format!("{error:#}"), "a report's hours cannot be read");
                let detail = format!("its hours could not be read within {PATIENCE_SECONDS} s");
                let failure = failure(ReportFailureCode::HoursUnreadable, detail);
                self.finish(&claim, ReportOutcome::Failed(failure)).await
            }
            Err(error) => {
                self.postpone(&claim, RETRY_SECONDS).await?;
                Err(error)
            }
        }
    }

    async fn finish(&self, claim: &ReportClaim, outcome: ReportOutcome) -> Result<Worked, PortError> {
        let worked = if matches!(outcome, ReportOutcome::Done { .. }) { Worked::Done } else { Worked::Failed };
        let holds = self.queue.finish(claim, outcome, self.clock.now()).await?;
        Ok(if holds { worked } else { Worked::Lost })
    }

    async fn postpone(&self, claim: &ReportClaim, seconds: i64) -> Result<Worked, PortError> {
        let holds = self.queue.postpone(claim, after(self.clock.now(), seconds)).await?;
        Ok(if holds { Worked::Postponed } else { Worked::Lost })
    }

    /// Makes an attempt while its lease is extended, until it ends or the server is told to stop.
    async fn held(
        &self,
        claim: &ReportClaim,
        attempt: impl Future<Output = Result<Attempt, PortError>>,
        stopped: &mut watch::Receiver<bool>,
    ) -> Result<Attempt, PortError> {
        let mut attempt = pin!(attempt);
        let mut holds = true;
        loop {
            tokio::select! {
                ended = &mut attempt => return if holds { ended } else { Ok(Attempt::Lost) },
                () = told_to_stop(stopped) => return Ok(Attempt::Postponed(0)),
                () = sleep(HEARTBEAT) => {
                    // Without an answer of the database, the lease lasts a while longer. One attempt is made at a time,
                    // also if its result is not wanted any more.
                    let until = after(self.clock.now(), LEASE_SECONDS);
                    holds = self.queue.extend(claim, until).await.unwrap_or(holds);
                }
            }
        }
    }

    async fn attempt(&self, claimed: ClaimedReport) -> Result<Attempt, PortError> {
        if claimed.attempts > MOST_ATTEMPTS {
            let detail = format!("{MOST_ATTEMPTS} computations have ended without a result");
            return Ok(Attempt::failed(ReportFailureCode::Abandoned, detail));
        }
        let query = match hours_query(&claimed.project) {
            Ok(query) => query,
            Err(error) => return Ok(Attempt::failed(ReportFailureCode::NoSchedule, error.to_string())),
        };
        let caller = Principal::system(claimed.claim.tenant_id.clone());
        let answer = match self.analytics.site_hours(&caller, query).await {
            Ok(answer) => answer,
            Err(HoursError::Store(error)) => return Err(error),
            Err(error @ HoursError::TooMany) => {
                return Ok(Attempt::failed(ReportFailureCode::TooManySeries, error.to_string()));
            }
            Err(error @ HoursError::Forbidden(_)) => {
                return Ok(Attempt::failed(ReportFailureCode::Fault, error.to_string()));
            }
        };
        if let Some(early) = self.is_early(&claimed, &answer) {
            return Ok(early);
        }
        self.compute(report_data(claimed.project, &answer)).await
    }

    /// Returns what becomes of a report whose figures do not know of its request yet, and so may not know of what was
    /// accepted before it either.
    fn is_early(&self, claimed: &ClaimedReport, answer: &Answer<Vec<SiteHour>>) -> Option<Attempt> {
        if answer.as_of.sequence >= claimed.sequence {
            return None;
        }
        Some(match &answer.as_of.stopped {
            Some(stopped) => {
                let detail = format!("the figures cannot go past the event {}", stopped.sequence);
                Attempt::failed(ReportFailureCode::FiguresStopped, detail)
            }
            None if self.is_late(claimed.requested_at) => {
                let detail = format!("the figures have not come up to the request within {PATIENCE_SECONDS} s");
                Attempt::failed(ReportFailureCode::FiguresLate, detail)
            }
            None => Attempt::Postponed(PAUSE_SECONDS),
        })
    }

    fn is_late(&self, requested_at: Timestamp) -> bool {
        self.clock.now() > after(requested_at, PATIENCE_SECONDS)
    }

    /// Writes a report on a thread of its own, which a server that stops does not wait for.
    async fn compute(&self, data: ReportData) -> Result<Attempt, PortError> {
        let (sender, result) = oneshot::channel();
        let (writer, as_of) = (Arc::clone(&self.writer), data.as_of.clone());
        let work = move || {
            // Nobody waits any more if it cannot be sent.
            let _ = sender.send(writer.write(&data));
        };
        let thread = std::thread::Builder::new().name("savings report".to_owned()).spawn(work);
        thread.map_err(|error| PortError::Unavailable(error.into()))?;
        Ok(match result.await {
            Ok(Ok(signed)) => Attempt::Ended(ReportOutcome::Done { signed, as_of }),
            Ok(Err(error)) => Attempt::failed(ReportFailureCode::InsufficientData, error.to_string()),
            // The thread has panicked, which its hook has logged.
            Err(_) => Attempt::failed(ReportFailureCode::Fault, "a fault of the program, which the server has logged"),
        })
    }
}

fn failure(code: ReportFailureCode, detail: impl Into<String>) -> ReportFailure {
    ReportFailure { code: Some(code), detail: detail.into() }
}

async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    // An error says that nobody can tell it any more.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

fn after(at: Timestamp, seconds: i64) -> Timestamp {
    at.plus_seconds(seconds).unwrap_or(at)
}
