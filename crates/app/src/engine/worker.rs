//! The worker that calls the engine: one per process, with several concurrent calls.
//!
//! It is woken for deliveries that this process queues, and polls for those of other processes and for retries. If it
//! is killed, its leases expire and other workers take over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mass_domain::delivery::WorkerName;
use mass_domain::port::PortError;
use mass_service::{Claim, Claimed, Conclusion, Deliverer, Recorded};
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinHandle, JoinSet};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout};
use tracing::Instrument;

use super::Engine;
use crate::telemetry::spans;

/// The polling interval of a worker.
pub const POLL: Duration = Duration::from_secs(1);

/// The result of a call.
type Outcome = Result<(Conclusion, Recorded), PortError>;

/// The stop signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StopSignal {
    /// Keep running.
    No,
    /// Stop after the calls under way have ended.
    Soon,
    /// Stop at once.
    Now,
}

/// The configuration of a worker.
pub struct Worker {
    /// The use cases on deliveries.
    pub deliverer: Arc<Deliverer>,
    /// The engine, for wake-ups and circuit states.
    pub engine: Arc<Engine>,
    /// The name of the worker.
    pub name: WorkerName,
    /// The maximum polling interval.
    pub poll: Duration,
    /// The number of concurrent calls.
    pub concurrency: u16,
    /// The lease of a claim, unless it is extended.
    pub lease: Duration,
    /// The time for calls under way after the stop signal.
    pub drain: Duration,
}

/// A running worker.
pub struct RunningWorker {
    stopper: Stopper,
    task: JoinHandle<()>,
}

/// A handle that stops a worker.
#[derive(Debug, Clone)]
pub struct Stopper(Arc<watch::Sender<StopSignal>>);

impl Stopper {
    /// Stops claiming. Calls under way go on until the drain timeout.
    pub fn stop(&self) {
        self.0.send_if_modified(|stop| {
            let is_news = *stop == StopSignal::No;
            if is_news {
                *stop = StopSignal::Soon;
            }
            is_news
        });
    }

    /// Stops at once: cancels the calls and releases the claims.
    pub fn stop_now(&self) {
        self.0.send_replace(StopSignal::Now);
    }
}

impl RunningWorker {
    /// Returns a handle that stops it.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Stops, waits for the calls under way, and releases the remaining claims.
    pub async fn finish(self) {
        self.stopper.stop();
        if let Err(error) = self.task.await {
            tracing::error!(error = error.to_string(), "the worker for the engine has failed");
        }
    }
}

impl Worker {
    /// Starts the worker on the caller's runtime.
    #[must_use]
    pub fn start(self) -> RunningWorker {
        let (stop, stopping) = watch::channel(StopSignal::No);
        RunningWorker { stopper: Stopper(Arc::new(stop)), task: tokio::spawn(WorkerLoop::new(self).work(stopping)) }
    }
}

/// A worker with its calls under way.
struct WorkerLoop {
    worker: Worker,
    calls: JoinSet<Outcome>,
    held: HashMap<Id, (Claim, AbortHandle)>,
    /// The time of the next poll.
    look_at: Instant,
    /// True if more deliveries may be ready than were claimed.
    more: bool,
}

impl WorkerLoop {
    fn new(worker: Worker) -> Self {
        Self { worker, calls: JoinSet::new(), held: HashMap::new(), look_at: Instant::now(), more: true }
    }

    async fn work(mut self, mut stopping: watch::Receiver<StopSignal>) {
        let mut heartbeat = heartbeat(self.worker.lease);
        while *stopping.borrow_and_update() == StopSignal::No {
            tokio::select! {
                biased;
                changed = stopping.changed() => if changed.is_err() { break },
                _ = heartbeat.tick() => self.extend().await,
                Some(ended) = self.calls.join_next_with_id() => self.ended(ended),
                () = self.worker.engine.woken(), if self.has_room() => self.look().await,
                () = sleep_until(self.look_at), if self.has_room() => self.look().await,
            }
        }
        self.drain(&mut stopping, &mut heartbeat).await;
    }

    fn has_room(&self) -> bool {
        self.calls.len() < usize::from(self.worker.concurrency)
    }

    /// Claims deliveries up to the free slots, and starts their calls.
    async fn look(&mut self) {
        self.look_at = Instant::now() + jittered(self.worker.poll);
        let room = usize::from(self.worker.concurrency).saturating_sub(self.calls.len());
        let room = u16::try_from(room).unwrap_or(u16::MAX);
        match self.worker.deliverer.claim(&self.worker.name, room).await {
            Ok(claimed) => {
                self.more = claimed.len() >= usize::from(room);
                claimed.into_iter().for_each(|claimed| self.begin(claimed));
            }
            Err(error) => tracing::warn!(error = format!("{error:#}"), "the queue for the engine cannot be read now"),
        }
    }

    fn begin(&mut self, claimed: Claimed) {
        let (claim, deliverer) = (claimed.claim.clone(), Arc::clone(&self.worker.deliverer));
        let span = spans::delivery(claimed.attempt, claimed.question.trace);
        let handle = self.calls.spawn(async move { deliverer.deliver(claimed).await }.instrument(span));
        self.held.insert(handle.id(), (claim, handle));
    }

    fn ended(&mut self, ended: Result<(Id, Outcome), JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let claim = self.held.remove(&id).map(|(claim, _)| claim);
        if let Some(claim) = claim {
            tell(&claim, &ended);
        }
        let was_put_off = matches!(ended, Ok((_, Ok((Conclusion::Postponed { .. }, _)))));
        // A postponed delivery was claimed just as the circuit opened; polling again at once would be useless.
        if self.more && !was_put_off {
            self.look_at = Instant::now();
        }
    }

    /// Extends the leases of the calls under way, and cancels those that another worker has taken over.
    async fn extend(&mut self) {
        let claims: Vec<Claim> = self.held.values().map(|(claim, _)| claim.clone()).collect();
        if claims.is_empty() {
            return;
        }
        match self.worker.deliverer.extend(&claims).await {
            Ok(held) => {
                for (claim, _) in claims.iter().zip(held).filter(|(_, held)| !held) {
                    let lost = self.held.values().find(|(own, _)| own == claim);
                    lost.inspect(|(_, call)| call.abort());
                }
            }
            Err(error) => tracing::warn!(error = format!("{error:#}"), "leases cannot be extended now"),
        }
    }

    /// Waits for the calls under way until the drain timeout, and releases the others.
    async fn drain(&mut self, stopping: &mut watch::Receiver<StopSignal>, heartbeat: &mut Interval) {
        let until = Instant::now() + self.worker.drain;
        while !self.calls.is_empty() && *stopping.borrow_and_update() != StopSignal::Now {
            tokio::select! {
                biased;
                changed = stopping.changed() => if changed.is_err() { break },
                () = sleep_until(until) => break,
                _ = heartbeat.tick() => self.extend().await,
                Some(ended) = self.calls.join_next_with_id() => self.ended(ended),
            }
        }
        self.calls.shutdown().await;
        let handing_back = self.worker.deliverer.release_all(&self.worker.name);
        match timeout(self.worker.drain, handing_back).await {
            Ok(Ok(0)) => {}
            Ok(Ok(deliveries)) => tracing::info!(deliveries, "deliveries are released"),
            Ok(Err(error)) => {
                tracing::warn!(error = format!("{error:#}"), "deliveries cannot be released; their leases will expire");
            }
            Err(_) => tracing::warn!("deliveries cannot be released in time; their leases will expire"),
        }
    }
}

/// Returns the interval of extensions: a third of the lease, so that one failure does not lose it.
fn heartbeat(lease: Duration) -> Interval {
    let mut ticks = interval((lease / 3).max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Adds jitter: half of the pause at least, so that processes that started together poll at different times.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}

fn tell(claim: &Claim, ended: &Result<(Id, Outcome), JoinError>) {
    let (tenant, delivery) = (claim.tenant_id.as_str(), claim.delivery_id.to_string());
    match ended {
        Ok((_, Ok((_, Recorded::LeaseLost)))) => {
            tracing::info!(tenant, delivery, "another worker has taken over the delivery")
        }
        Ok((_, Ok((conclusion, Recorded::Recorded)))) => tell_conclusion(tenant, &delivery, conclusion),
        Ok((_, Err(error))) => {
            tracing::warn!(tenant, delivery, error = format!("{error:#}"), "the engine's answer cannot be recorded");
        }
        Err(error) if error.is_cancelled() => tracing::info!(tenant, delivery, "a call to the engine is cancelled"),
        Err(error) => tracing::error!(tenant, delivery, error = error.to_string(), "a delivery has failed"),
    }
}

fn tell_conclusion(tenant: &str, delivery: &str, conclusion: &Conclusion) {
    match conclusion {
        Conclusion::Answered(recommendation) => {
            let valid = recommendation.is_valid();
            let (latency_ms, slo_met) = (recommendation.latency_ms, recommendation.slo_met());
            tracing::info!(tenant, delivery, valid, latency_ms, slo_met, "the engine's answer is recorded");
        }
        Conclusion::Retry { failure, due_at } => {
            let (code, due_at) = (failure.code.as_str(), due_at.to_string());
            tracing::info!(tenant, delivery, code, due_at, "the engine is called again later");
        }
        Conclusion::Postponed { due_at } => {
            tracing::debug!(
                tenant,
                delivery,
                due_at = due_at.to_string(),
                "the circuit is open: the delivery is postponed"
            );
        }
        Conclusion::Dead { failure, reason } => {
            let (code, reason) = (failure.code.as_str(), reason.as_str());
            tracing::warn!(tenant, delivery, code, reason, "the delivery is dead: the engine is not called again");
        }
    }
}
