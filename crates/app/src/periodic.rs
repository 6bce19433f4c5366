//! Periodic tasks of a server, started and stopped in one place, with metrics.

use std::future::Future;
use std::time::Duration;

use anyhow::Context;
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::http::Services;
use crate::projector;
use crate::reporter;
use crate::startup::worker_name;
use crate::telemetry::metrics::Metrics;

/// The retention of idempotency keys: twice the promised 24 hours.
const IDEMPOTENCY_KEYS_SECONDS: i64 = 48 * 3600;

/// The retention of ended sessions and of failed log-in attempts.
const LOGINS_SECONDS: i64 = 48 * 3600;

/// The retention of the addresses from which a user has logged in.
const KNOWN_ADDRESSES_SECONDS: i64 = 90 * 24 * 3600;

/// The time that a stopping server waits for running tasks.
const PATIENCE: Duration = Duration::from_secs(3);

/// The periodic tasks of a server, running until they are stopped.
pub struct Periodic {
    metrics: Metrics,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Periodic {
    /// Starts all tasks on the caller's runtime.
    #[must_use]
    pub fn start(services: &Services, checkpoints: Duration) -> Self {
        let mut all =
            Self { metrics: services.telemetry.metrics.clone(), stop: watch::Sender::new(false), tasks: Vec::new() };
        all.add("checkpoints", checkpoints, services, sign_checkpoints);
        all.add("delivery_queue", Duration::from_secs(15), services, measure_delivery_queue);
        all.add("idempotency_keys", Duration::from_secs(3600), services, delete_idempotency_keys);
        all.add("quarantine", Duration::from_secs(600), services, delete_expired_records);
        all.add("rate_limits", Duration::from_secs(60), services, shrink_rate_limits);
        all.add("sessions", Duration::from_secs(3600), services, delete_sessions);
        if services.projection.is_on() {
            all.project(services);
            all.report(services);
        }
        all
    }

    /// Adds a task that runs at once and then at an interval, never concurrently with itself.
    fn add<Run>(
        &mut self,
        name: &'static str,
        every: Duration,
        services: &Services,
        run: impl Fn(Services) -> Run + Send + 'static,
    ) where
        Run: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (services, metrics, mut stopped) = (services.clone(), self.metrics.clone(), self.stop.subscribe());
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.tasks.push(tokio::spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    _ = stopped.wait_for(|stopped| *stopped) => return,
                    _ = ticks.tick() => {}
                }
                let begun = Instant::now();
                let result = run(services.clone()).await;
                metrics.ran(name, result.is_ok(), begun.elapsed());
                if let Err(error) = result {
                    tracing::warn!(task = name, error = format!("{error:#}"), "periodic work has failed");
                }
            }
        }));
    }

    /// Adds the projector, which paces itself.
    fn project(&mut self, services: &Services) {
        let worker = projector::Worker::new(
            services.projection.clone().into_inner(),
            services.database.clone().into_inner(),
            services.pace.clone().into_inner(),
            self.metrics.clone(),
        );
        self.tasks.push(tokio::spawn(worker.run(self.stop.subscribe())));
    }

    /// Adds the worker that computes savings reports, which follow from figures.
    fn report(&mut self, services: &Services) {
        let Some(name) = worker_name() else { return };
        let worker = reporter::Worker::new(services.reporting.reporter(name), self.metrics.clone());
        self.tasks.push(tokio::spawn(worker.run(self.stop.subscribe())));
    }

    /// Returns a sender that stops the tasks: no run begins after `true`.
    #[must_use]
    pub fn stopper(&self) -> watch::Sender<bool> {
        self.stop.clone()
    }

    /// Stops the tasks, and waits briefly for running ones.
    pub async fn finish(self) {
        self.stop.send_replace(true);
        if timeout(PATIENCE, join_all(self.tasks)).await.is_err() {
            tracing::warn!("periodic work under way is left unfinished");
        }
    }
}

/// Signs each log of the audit trail that has grown.
async fn sign_checkpoints(services: Services) -> anyhow::Result<()> {
    services.audit.sign_all().await.context("the audit trail cannot be signed now")
}

/// Counts the queue for the engine, for metrics.
async fn measure_delivery_queue(services: Services) -> anyhow::Result<()> {
    let backlog = services.database.stores().outbox.get_backlog(services.clock.now()).await;
    services.telemetry.metrics.queued(&backlog.context("the queue for the engine cannot be counted")?);
    Ok(())
}

/// Frees the memory of unused rate limits.
async fn shrink_rate_limits(services: Services) -> anyhow::Result<()> {
    services.limits.tidy();
    Ok(())
}

/// Deletes idempotency keys beyond their retention.
async fn delete_idempotency_keys(services: Services) -> anyhow::Result<()> {
    let Some(before) = services.clock.now().plus_seconds(-IDEMPOTENCY_KEYS_SECONDS) else { return Ok(()) };
    match services.database.purge(before).await.context("old idempotency keys cannot be deleted")? {
        0 => {}
        keys => tracing::info!(keys, "old idempotency keys are deleted"),
    }
    Ok(())
}

/// Deletes ended sessions and old log-in attempts beyond their retention.
async fn delete_sessions(services: Services) -> anyhow::Result<()> {
    let now = services.clock.now();
    let ages = (now.plus_seconds(-LOGINS_SECONDS), now.plus_seconds(-KNOWN_ADDRESSES_SECONDS));
    let (Some(before), Some(known_before)) = ages else { return Ok(()) };
    let deleted = services.database.purge_logins(before, known_before).await;
    match deleted.context("ended sessions cannot be deleted")? {
        0 => {}
        logins => tracing::info!(logins, "ended sessions and old attempts to log in are deleted"),
    }
    Ok(())
}

/// Deletes expired records of the quarantine.
async fn delete_expired_records(services: Services) -> anyhow::Result<()> {
    let deleted = services.database.purge_quarantine(services.clock.now()).await;
    match deleted.context("expired records of the quarantine cannot be deleted")? {
        0 => {}
        records => tracing::info!(records, "expired records of the quarantine are deleted"),
    }
    Ok(())
}
