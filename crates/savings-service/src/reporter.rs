//! The computation of queued reports: one at a time, on a thread of its own, under a lease.

use std::sync::Arc;
use std::time::Duration;

use mass_analytics_service::{AnalyticsService, Answer, HoursError, SiteHour};
use mass_domain::access::Principal;
use mass_domain::delivery::WorkerName;
use mass_domain::port::PortError;
use mass_domain::savings::AsOf;
use mass_domain::time::{Clock, Timestamp};
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use crate::hours::{hours, hours_query};
use crate::store::{ClaimedReport, ReportClaim, ReportOutcome, ReportQueue};
use crate::writer::{ReportData, ReportWriter};

/// The lease of a claim, in seconds. A report whose server has been killed is taken over after it.
const LEASE_SECONDS: i64 = 30;

/// The interval at which the lease of a running computation is extended.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The number of times that a computation begins. One that ends its server every time fails.
const MOST_ATTEMPTS: u32 = 5;

/// The time that the figures may take to come up to the request, in seconds: an hour.
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
        let claim = claimed.claim.clone();
        match self.attempt(claimed, stopped).await {
            Ok(Attempt::Ended(outcome)) => self.finish(&claim, outcome).await,
            Ok(Attempt::Postponed(seconds)) => self.postpone(&claim, seconds).await,
            Ok(Attempt::Lost) => Ok(Worked::Lost),
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

    async fn attempt(&self, claimed: ClaimedReport, stopped: &mut watch::Receiver<bool>) -> Result<Attempt, PortError> {
        let failed = |reason: String| Ok(Attempt::Ended(ReportOutcome::Failed(reason)));
        if claimed.attempts > MOST_ATTEMPTS {
            return failed(format!("{MOST_ATTEMPTS} computations have ended without a result"));
        }
        let query = match hours_query(&claimed.project) {
            Ok(query) => query,
            Err(error) => return failed(error.to_string()),
        };
        let caller = Principal::system(claimed.claim.tenant_id.clone());
        let answer = match self.analytics.site_hours(&caller, query).await {
            Ok(answer) => answer,
            Err(HoursError::Store(error)) => return Err(error),
            Err(error @ (HoursError::TooMany | HoursError::Forbidden(_))) => return failed(error.to_string()),
        };
        if let Some(early) = self.is_early(&claimed, &answer) {
            return Ok(early);
        }
        let as_of = AsOf { sequence: answer.as_of.sequence, root: answer.as_of.root.to_string() };
        let hours = hours(claimed.project.terms.boundary, &answer.data);
        self.compute(&claimed.claim, ReportData { project: claimed.project, hours, as_of }, stopped).await
    }

    /// Returns what becomes of a report whose figures do not know of its request yet, and so may not know of what was
    /// accepted before it either.
    fn is_early(&self, claimed: &ClaimedReport, answer: &Answer<Vec<SiteHour>>) -> Option<Attempt> {
        if answer.as_of.sequence >= claimed.sequence {
            return None;
        }
        let failed = |reason: String| Some(Attempt::Ended(ReportOutcome::Failed(reason)));
        if let Some(stopped) = &answer.as_of.stopped {
            return failed(format!("the figures cannot go past the event {}", stopped.sequence));
        }
        if self.clock.now() > after(claimed.requested_at, PATIENCE_SECONDS) {
            return failed(format!("the figures have not come up to the request within {PATIENCE_SECONDS} s"));
        }
        Some(Attempt::Postponed(PAUSE_SECONDS))
    }

    /// Writes a report on a thread of its own, which a server that stops does not wait for.
    async fn compute(
        &self,
        claim: &ReportClaim,
        data: ReportData,
        stopped: &mut watch::Receiver<bool>,
    ) -> Result<Attempt, PortError> {
        let (sender, mut result) = oneshot::channel();
        let (writer, as_of) = (Arc::clone(&self.writer), data.as_of.clone());
        let work = move || {
            // Nobody waits any more if it cannot be sent.
            let _ = sender.send(writer.write(&data));
        };
        let thread = std::thread::Builder::new().name("savings report".to_owned()).spawn(work);
        thread.map_err(|error| PortError::Unavailable(error.into()))?;
        let mut holds = true;
        loop {
            tokio::select! {
                written = &mut result => {
                    let outcome = match written {
                        Ok(Ok(signed)) => ReportOutcome::Done { signed, as_of },
                        Ok(Err(error)) => ReportOutcome::Failed(error.to_string()),
                        // The thread has panicked, which its hook has logged.
                        Err(_) => ReportOutcome::Failed("a fault of the program, which the server has logged".to_owned()),
                    };
                    return Ok(if holds { Attempt::Ended(outcome) } else { Attempt::Lost });
                }
                () = told_to_stop(stopped) => return Ok(Attempt::Postponed(0)),
                () = sleep(HEARTBEAT) => {
                    // Without an answer of the database, the lease lasts a while longer. One computation runs at a time,
                    // also if its result is not wanted any more.
                    let until = after(self.clock.now(), LEASE_SECONDS);
                    holds = self.queue.extend(claim, until).await.unwrap_or(holds);
                }
            }
        }
    }
}

async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    // An error says that nobody can tell it any more.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

fn after(at: Timestamp, seconds: i64) -> Timestamp {
    at.plus_seconds(seconds).unwrap_or(at)
}
