//! The worker that evaluates alert rules, one tenant at a time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mass_alert_service::{Evaluated, EvaluationStore, Evaluator, TrailCheck};
use mass_analytics_service::AnalyticsStore;
use mass_audit_service::{AuditService, CheckpointError};
use mass_domain::access::Principal;
use mass_domain::delivery::WorkerName;
use mass_domain::port::PortError;
use mass_domain::tasks::{TaskQueue, TaskWorker, TenantTask};
use mass_domain::tenancy::TenantId;
use mass_domain::time::Clock;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::telemetry::metrics::Metrics;

/// The interval at which the queue is looked at while no tenant is due.
const POLL: Duration = Duration::from_secs(1);

/// The interval after an error of the database.
const RETRY: Duration = Duration::from_secs(5);

/// The interval at which the rules of a tenant are evaluated, in seconds.
const INTERVAL_SECONDS: u32 = 30;

/// Compares the audit trail with its last checkpoint.
struct SignedTrail(Arc<AuditService>);

#[async_trait]
impl TrailCheck for SignedTrail {
    async fn is_whole(&self, tenant: &TenantId) -> Result<bool, PortError> {
        match self.0.signed_state(&Principal::system(tenant.clone())).await {
            Ok(_) => Ok(true),
            Err(CheckpointError::Broken(_)) => Ok(false),
            Err(CheckpointError::Store(error)) => Err(error),
            Err(CheckpointError::Forbidden(error)) => Err(PortError::Unexpected(error.into())),
        }
    }
}

/// The parts of this server's evaluators.
pub struct Alerting {
    store: Arc<dyn EvaluationStore>,
    figures: Arc<dyn AnalyticsStore>,
    trail: Arc<dyn TrailCheck>,
    queue: Arc<dyn TaskQueue>,
    clock: Arc<dyn Clock>,
}

impl Alerting {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        store: Arc<dyn EvaluationStore>,
        figures: Arc<dyn AnalyticsStore>,
        audit: Arc<AuditService>,
        queue: Arc<dyn TaskQueue>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, figures, trail: Arc::new(SignedTrail(audit)), queue, clock }
    }

    /// Builds an evaluator under this name, which has to be unique among all servers.
    #[must_use]
    pub fn evaluator(&self, name: WorkerName) -> Evaluator {
        let worker = TaskWorker::new(Arc::clone(&self.queue), TenantTask::Alerts, Arc::clone(&self.clock), name);
        let (store, figures) = (Arc::clone(&self.store), Arc::clone(&self.figures));
        Evaluator::new(store, figures, Arc::clone(&self.trail), worker, INTERVAL_SECONDS)
    }
}

/// The worker.
pub struct Worker {
    evaluator: Evaluator,
    metrics: Metrics,
}

impl Worker {
    /// Builds a worker.
    #[must_use]
    pub const fn new(evaluator: Evaluator, metrics: Metrics) -> Self {
        Self { evaluator, metrics }
    }

    /// Works until it is told to stop. A tenant whose evaluation is cut off is due again when its lease ends.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        while !*stopped.borrow() {
            let rest = tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => return,
                rest = self.step() => rest,
            };
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => return,
                () = sleep(rest) => {}
            }
        }
    }

    /// Evaluates a tenant, and returns the time until the next step.
    async fn step(&self) -> Duration {
        let begun = Instant::now();
        let evaluated = self.evaluator.step().await;
        self.metrics.evaluated(evaluated.as_ref().ok().copied(), begun.elapsed());
        match evaluated {
            Ok(Evaluated::Nothing) => POLL,
            Ok(Evaluated::Done { .. } | Evaluated::Lost) => Duration::ZERO,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "alert rules cannot be evaluated now");
                RETRY
            }
        }
    }
}
