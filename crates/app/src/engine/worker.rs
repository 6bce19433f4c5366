//! Who asks the engine: one worker a process, which makes several calls at once.
//!
//! It is woken when something is put in the queue here, and looks by itself for what other processes put there and for
//! what is to be tried again. A worker that is killed loses nothing: its leases end, and others take over.

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

/// How often a worker looks into the queue by itself.
pub const POLL: Duration = Duration::from_secs(1);

/// What a call under way came to.
type Outcome = Result<(Conclusion, Recorded), PortError>;

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// Not yet.
    No,
    /// When the calls under way have ended.
    Soon,
    /// At once.
    Now,
}

/// Asks the engine about what waits in the queue.
pub struct Worker {
    /// What is done with each delivery.
    pub deliverer: Arc<Deliverer>,
    /// The engine, for its being woken and left alone.
    pub engine: Arc<Engine>,
    /// Its name.
    pub name: WorkerName,
    /// How often it looks into the queue by itself, at most.
    pub poll: Duration,
    /// How many calls it makes at once.
    pub concurrency: u16,
    /// How long a claim holds unless it is extended.
    pub lease: Duration,
    /// How long calls under way may take once it is to stop.
    pub drain: Duration,
}

/// A worker at work.
pub struct RunningWorker {
    stopper: Stopper,
    task: JoinHandle<()>,
}

/// Stops a worker from elsewhere.
#[derive(Debug, Clone)]
pub struct Stopper(Arc<watch::Sender<Stop>>);

impl Stopper {
    /// From now on nothing is claimed. Calls under way go on, for as long as they may.
    pub fn stop(&self) {
        self.0.send_if_modified(|stop| {
            let is_news = *stop == Stop::No;
            if is_news {
                *stop = Stop::Soon;
            }
            is_news
        });
    }

    /// From now on nothing is done but to hand back what was claimed.
    pub fn stop_now(&self) {
        self.0.send_replace(Stop::Now);
    }
}

impl RunningWorker {
    /// What stops it from elsewhere.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Stops, waits for the calls under way, and hands back what is left.
    pub async fn finish(self) {
        self.stopper.stop();
        if let Err(error) = self.task.await {
            tracing::error!(error = error.to_string(), "the worker for the engine has failed");
        }
    }
}

impl Worker {
    /// Begins to work, on the runtime of the caller.
    #[must_use]
    pub fn start(self) -> RunningWorker {
        let (stop, stopping) = watch::channel(Stop::No);
        RunningWorker { stopper: Stopper(Arc::new(stop)), task: tokio::spawn(Shift::new(self).work(stopping)) }
    }
}

/// A worker with the calls that it has under way.
struct Shift {
    worker: Worker,
    calls: JoinSet<Outcome>,
    held: HashMap<Id, (Claim, AbortHandle)>,
    /// When to look into the queue.
    look_at: Instant,
    /// Whether more may be due than was claimed.
    more: bool,
}

impl Shift {
    fn new(worker: Worker) -> Self {
        Self { worker, calls: JoinSet::new(), held: HashMap::new(), look_at: Instant::now(), more: true }
    }

    async fn work(mut self, mut stopping: watch::Receiver<Stop>) {
        let mut heartbeat = heartbeat(self.worker.lease);
        while *stopping.borrow_and_update() == Stop::No {
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

    /// Claims as much as there is room for, and begins to ask.
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
        // What is put off was claimed when the engine was just being left alone: the queue is not turned over for nothing.
        if self.more && !was_put_off {
            self.look_at = Instant::now();
        }
    }

    /// Holds on to what is under way. What another worker has by now is given up.
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

    /// Waits for the calls under way while it may, and hands back the others.
    async fn drain(&mut self, stopping: &mut watch::Receiver<Stop>, heartbeat: &mut Interval) {
        let until = Instant::now() + self.worker.drain;
        while !self.calls.is_empty() && *stopping.borrow_and_update() != Stop::Now {
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
            Ok(Ok(deliveries)) => tracing::info!(deliveries, "deliveries are handed back"),
            Ok(Err(error)) => {
                tracing::warn!(error = format!("{error:#}"), "deliveries cannot be handed back; their leases will end");
            }
            Err(_) => tracing::warn!("deliveries cannot be handed back in time; their leases will end"),
        }
    }
}

/// Thrice within a lease, so that one that fails does not lose it.
fn heartbeat(lease: Duration) -> Interval {
    let mut ticks = interval((lease / 3).max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Half of it at least, so that processes that were started together do not look together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}

fn tell(claim: &Claim, ended: &Result<(Id, Outcome), JoinError>) {
    let (tenant, delivery) = (claim.tenant_id.as_str(), claim.delivery_id.to_string());
    match ended {
        Ok((_, Ok((_, Recorded::LeaseLost)))) => tracing::info!(tenant, delivery, "another worker has the delivery"),
        Ok((_, Ok((conclusion, Recorded::Recorded)))) => tell_conclusion(tenant, &delivery, conclusion),
        Ok((_, Err(error))) => {
            tracing::warn!(tenant, delivery, error = format!("{error:#}"), "what the engine said cannot be recorded");
        }
        Err(error) if error.is_cancelled() => tracing::info!(tenant, delivery, "a call to the engine is given up"),
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
            tracing::info!(tenant, delivery, code, due_at, "the engine is asked again later");
        }
        Conclusion::Postponed { due_at } => {
            tracing::debug!(tenant, delivery, due_at = due_at.to_string(), "the engine is left alone");
        }
        Conclusion::Dead { failure, reason } => {
            let (code, reason) = (failure.code.as_str(), reason.as_str());
            tracing::warn!(tenant, delivery, code, reason, "the engine is not asked again");
        }
    }
}
