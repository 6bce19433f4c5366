//! The worker that computes queued savings reports, one at a time.

use std::sync::Arc;
use std::time::Duration;

use mass_analytics_service::AnalyticsService;
use mass_audit_service::AuditService;
use mass_domain::audit::Program;
use mass_domain::contracts::{self, ContractId};
use mass_domain::delivery::WorkerName;
use mass_domain::time::Clock;
use mass_savings_report::{ComposeError, Contract, Inputs, ReportDocument, compose, statement};
use mass_savings_service::{ReportData, ReportQueue, ReportWriter, Reporter, SignedDocument, Unreportable, Worked};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::telemetry::metrics::Metrics;

/// The interval at which the queue is looked at while it is empty.
const POLL: Duration = Duration::from_secs(1);

/// The interval after an error of the database.
const RETRY: Duration = Duration::from_secs(5);

/// Writes reports, and signs them by the key of the audit trail.
pub struct SignedReports {
    audit: Arc<AuditService>,
    program: Program,
}

impl SignedReports {
    /// Builds a writer for this program.
    #[must_use]
    pub const fn new(audit: Arc<AuditService>, program: Program) -> Self {
        Self { audit, program }
    }
}

impl ReportWriter for SignedReports {
    fn write(&self, data: &ReportData) -> Result<SignedDocument, Unreportable> {
        let document = document(data, &self.program).map_err(|error| Unreportable(error.to_string()))?;
        let note = self.audit.sign_text(statement(&document.fingerprint()));
        Ok(SignedDocument { document: document.text(), note })
    }
}

/// Writes a report. Takes seconds.
///
/// # Errors
/// [`ComposeError`].
pub fn document(data: &ReportData, program: &Program) -> Result<ReportDocument, ComposeError> {
    // The simple contract's values have no meaning that MASS knows.
    let measuring = contracts::all().iter().map(|contract| contract.id()).filter(|id| id.name() != "simple");
    let contract = |id: ContractId| Contract { name: id.name().to_owned(), version: id.version().to_owned() };
    let contracts: Vec<Contract> = measuring.map(contract).collect();
    let ReportData { project, hours, prices, as_of } = data;
    compose(&Inputs { project, hours, prices, as_of, contracts: &contracts, program: &program.version })
}

/// The parts of this server's workers.
pub struct Reporting {
    queue: Arc<dyn ReportQueue>,
    analytics: Arc<AnalyticsService>,
    writer: Arc<dyn ReportWriter>,
    clock: Arc<dyn Clock>,
}

impl Reporting {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        queue: Arc<dyn ReportQueue>,
        analytics: Arc<AnalyticsService>,
        writer: Arc<dyn ReportWriter>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { queue, analytics, writer, clock }
    }

    /// Builds a reporter under this name, which has to be unique among all servers.
    #[must_use]
    pub fn reporter(&self, name: WorkerName) -> Reporter {
        let (queue, analytics) = (Arc::clone(&self.queue), Arc::clone(&self.analytics));
        Reporter::new(queue, analytics, Arc::clone(&self.writer), Arc::clone(&self.clock), name)
    }
}

/// The worker.
pub struct Worker {
    reporter: Reporter,
    metrics: Metrics,
}

impl Worker {
    /// Builds a worker.
    #[must_use]
    pub const fn new(reporter: Reporter, metrics: Metrics) -> Self {
        Self { reporter, metrics }
    }

    /// Works until it is told to stop. A report under way is given back then.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        while !*stopped.borrow() {
            let begun = Instant::now();
            let rest = match self.reporter.step(&mut stopped).await {
                Ok(worked) => {
                    self.metrics.reported(worked, begun.elapsed());
                    if matches!(worked, Worked::Done | Worked::Failed | Worked::Lost) { Duration::ZERO } else { POLL }
                }
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "a savings report cannot be computed now");
                    RETRY
                }
            };
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => return,
                () = sleep(rest) => {}
            }
        }
    }
}
