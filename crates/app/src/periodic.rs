//! Periodic tasks of a server, started and stopped in one place, with metrics.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::future::join_all;
use mass_admin_service::{Beginning, Eraser, ErasureVisit};
use mass_domain::delivery::WorkerName;
use mass_service::Expirer;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::alerting;
use crate::http::Services;
use crate::http::context::local_origin;
use crate::projector;
use crate::reporter;
use crate::startup::worker_name;
use crate::telemetry::metrics::Metrics;
use crate::webhooks;

/// The interval at which documents beyond their age, and deleted tenants, are looked for.
const RETENTION: Duration = Duration::from_secs(5);

/// The time after which a run of the erasure ends, so that the next one may be stopped.
const RETENTION_RUN: Duration = Duration::from_secs(2);

/// The retention of idempotency keys: twice the promised 24 hours.
const IDEMPOTENCY_KEYS_SECONDS: i64 = 48 * 3600;

/// The retention of ended sessions and of failed log-in attempts.
const LOGINS_SECONDS: i64 = 48 * 3600;

/// The retention of the addresses from which a user has logged in.
const KNOWN_ADDRESSES_SECONDS: i64 = 90 * 24 * 3600;

/// The retention of resolved alerts.
const ALERTS_SECONDS: i64 = 90 * 24 * 3600;

/// The retention of delivered notifications, and of dead ones.
const DELIVERED_SECONDS: i64 = 7 * 24 * 3600;
const DEAD_SECONDS: i64 = 30 * 24 * 3600;

/// The interval at which a failure is logged that lasts.
const SILENCE: Duration = Duration::from_secs(600);

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
        all.add("alerts", Duration::from_secs(3600), services, delete_old_alerts);
        all.add("checkpoints", checkpoints, services, sign_checkpoints);
        all.add("delivery_queue", Duration::from_secs(15), services, measure_delivery_queue);
        all.add("idempotency_keys", Duration::from_secs(3600), services, delete_idempotency_keys);
        all.add("notifications", Duration::from_secs(3600), services, delete_old_notifications);
        all.add("quarantine", Duration::from_secs(600), services, delete_expired_records);
        all.add("rate_limits", Duration::from_secs(60), services, shrink_rate_limits);
        if let Some(name) = worker_name() {
            let expirer = expirer(services, name);
            all.add("retention", RETENTION, services, move |services| expire(services, Arc::clone(&expirer)));
        }
        if let Some(name) = worker_name() {
            let eraser = eraser(services, name);
            all.add("tenant_erasure", RETENTION, services, move |services| erase(services, Arc::clone(&eraser)));
        }
        all.add("sessions", Duration::from_secs(3600), services, delete_sessions);
        if services.projection.is_on() {
            all.project(services);
        }
        // Also where no server projects: a report then fails after a while, instead of waiting for ever.
        all.report(services);
        all.evaluate(services);
        all.notify(services);
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
            let mut told = None;
            loop {
                tokio::select! {
                    biased;
                    _ = stopped.wait_for(|stopped| *stopped) => return,
                    _ = ticks.tick() => {}
                }
                let begun = Instant::now();
                let result = run(services.clone()).await;
                metrics.ran(name, result.is_ok(), begun.elapsed());
                let failure = result.err().map(|error| format!("{error:#}"));
                told = tell(name, failure, told);
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

    /// Adds the worker that evaluates alert rules.
    fn evaluate(&mut self, services: &Services) {
        let Some(name) = worker_name() else { return };
        let worker = alerting::Worker::new(services.alerting.evaluator(name), self.metrics.clone());
        self.tasks.push(tokio::spawn(worker.run(self.stop.subscribe())));
    }

    /// Adds the worker that sends notifications, unless webhooks are switched off.
    fn notify(&mut self, services: &Services) {
        let (Some(notifying), Some(name)) = (services.notifying.get_ref(), worker_name()) else { return };
        let worker = webhooks::Worker::new(notifying.notifier(name), self.metrics.clone());
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

/// A failure that was logged, and when.
type Told = Option<(String, Instant)>;

/// Logs a failure, unless it was logged lately. Returns the last one that was logged, until a run succeeds.
fn tell(task: &'static str, failure: Option<String>, told: Told) -> Told {
    let failure = failure?;
    match told {
        Some((before, at)) if before == failure && at.elapsed() < SILENCE => Some((before, at)),
        _ => {
            tracing::warn!(task, error = failure, "periodic work has failed");
            Some((failure, Instant::now()))
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

fn expirer(services: &Services, name: WorkerName) -> Arc<Expirer> {
    let stores = services.database.stores();
    let (store, queue) = (Arc::clone(&stores.expiry), Arc::clone(&stores.tasks));
    Arc::new(Expirer::new(store, queue, Arc::clone(services.clock.get_ref()), name))
}

/// Erases documents beyond their age, for a while at most.
async fn expire(services: Services, expirer: Arc<Expirer>) -> anyhow::Result<()> {
    let (begun, origin) = (Instant::now(), local_origin());
    while begun.elapsed() < RETENTION_RUN {
        let stretch = services.pace.clone().into_inner().begin();
        let visit = expirer.visit(&origin).await.context("documents beyond their age cannot be erased")?;
        let Some(visit) = visit else { break };
        if visit.erased > 0 {
            let tenant = visit.tenant_id.as_str();
            tracing::info!(tenant, documents = visit.erased, "documents beyond their age are erased");
        }
        stretch.rest().await;
    }
    Ok(())
}

fn eraser(services: &Services, name: WorkerName) -> Arc<Eraser> {
    let stores = services.database.stores();
    let (store, queue) = (Arc::clone(&stores.erasure), Arc::clone(&stores.tasks));
    Arc::new(Eraser::new(store, queue, Arc::clone(services.clock.get_ref()), name))
}

/// Erases deleted tenants, for a while at most.
async fn erase(services: Services, eraser: Arc<Eraser>) -> anyhow::Result<()> {
    let (begun, origin) = (Instant::now(), local_origin());
    while begun.elapsed() < RETENTION_RUN {
        let stretch = services.pace.clone().into_inner().begin();
        let visit = eraser.visit(&origin).await.context("a deleted tenant cannot be erased")?;
        let Some(ErasureVisit { tenant_id, found, is_done }) = visit else { break };
        let tenant = tenant_id.as_str();
        match found {
            Beginning::Erasing if is_done => tracing::info!(tenant, "a tenant is erased"),
            Beginning::Held => {
                tracing::warn!(tenant, "a tenant is not erased, since a legal hold covers its documents")
            }
            Beginning::NotAllowed => bail!(
                "the tenant {tenant} is to be erased, which the role that serves may not do: run a server with \
                 MASS_MIGRATION_DATABASE_URL, which names the role that migrates"
            ),
            Beginning::Erasing | Beginning::Erased | Beginning::NotDue => {}
        }
        stretch.rest().await;
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

/// Deletes resolved alerts beyond their retention.
async fn delete_old_alerts(services: Services) -> anyhow::Result<()> {
    let Some(before) = services.clock.now().plus_seconds(-ALERTS_SECONDS) else { return Ok(()) };
    let deleted = services.database.stores().evaluation.purge(before).await;
    match deleted.context("old alerts cannot be deleted")? {
        0 => {}
        alerts => tracing::info!(alerts, "old alerts are deleted"),
    }
    Ok(())
}

/// Deletes notifications beyond their retention.
async fn delete_old_notifications(services: Services) -> anyhow::Result<()> {
    let now = services.clock.now();
    let ages = (now.plus_seconds(-DELIVERED_SECONDS), now.plus_seconds(-DEAD_SECONDS));
    let (Some(delivered), Some(dead)) = ages else { return Ok(()) };
    let deleted = services.database.stores().notifications.purge_notifications(delivered, dead).await;
    match deleted.context("old notifications cannot be deleted")? {
        0 => {}
        notifications => tracing::info!(notifications, "old notifications are deleted"),
    }
    Ok(())
}
