//! The sending of notifications: under leases, with retries and dead letters.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mass_domain::alerts::NotificationState;
use mass_domain::delivery::{RetryDecision, RetryPolicy, WorkerName};
use mass_domain::ids::NotificationId;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::{Clock, Timestamp};

use crate::signing::{SignedHeaders, WebhookKeys};
use crate::webhooks::StoredWebhook;

/// The lease of a claim, in seconds. What a killed server was sending is sent again after it.
const LEASE_SECONDS: i64 = 60;

/// The attempts and pauses of a notification: for a day, at most 20 times.
pub const RETRIES: RetryPolicy = RetryPolicy {
    base: Duration::from_secs(5),
    cap: Duration::from_secs(2 * 3600),
    max_attempts: 20,
    deadline: Duration::from_secs(24 * 3600),
};

/// The claim of a notification by a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationClaim {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The notification.
    pub id: NotificationId,
    /// The number of claims of it, this one included.
    pub fence: i64,
}

/// A notification that is to be sent now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedNotification {
    /// The claim.
    pub claim: NotificationClaim,
    /// The webhook, if it is still there.
    pub webhook: Option<StoredWebhook>,
    /// The body.
    pub body: String,
    /// The number of attempts, this one included.
    pub attempts: u32,
    /// The time at which it was queued.
    pub queued_at: Timestamp,
}

/// What becomes of a notification after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// The receiver has taken it.
    Delivered,
    /// It is sent again.
    Retry {
        /// At this time.
        due_at: Timestamp,
        /// What the attempt failed by.
        failure: String,
    },
    /// It becomes a dead letter.
    Dead {
        /// Why.
        failure: String,
    },
}

impl Sent {
    /// Returns the state of the notification.
    #[must_use]
    pub const fn state(&self) -> NotificationState {
        match self {
            Self::Delivered => NotificationState::Delivered,
            Self::Retry { .. } => NotificationState::Queued,
            Self::Dead { .. } => NotificationState::Dead,
        }
    }
}

/// The queue of notifications, for the workers of all servers.
#[async_trait]
pub trait NotificationQueue: Send + Sync {
    /// Claims the notification that is due first, of any tenant but these, until the end of a lease.
    async fn claim_notification(
        &self,
        worker: &WorkerName,
        now: Timestamp,
        until: Timestamp,
        except: &[TenantId],
    ) -> Result<Option<ClaimedNotification>, PortError>;

    /// Stores the result of an attempt. Returns false, and stores nothing, if the claim does not hold any more.
    async fn conclude(&self, claim: &NotificationClaim, sent: Sent, at: Timestamp) -> Result<bool, PortError>;

    /// Deletes notifications that were delivered before the first instant, or died before the second, of all tenants.
    /// Returns their number.
    async fn purge_notifications(&self, delivered: Timestamp, dead: Timestamp) -> Result<usize, PortError>;
}

/// Reason for which a receiver has not taken a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendError {
    /// A sentence for people, without a secret.
    pub detail: String,
    /// True if the receiver wants nothing any more (410), or must not be called.
    pub is_final: bool,
    /// The pause that the receiver asks for.
    pub retry_after: Option<Duration>,
}

/// The port that calls receivers.
#[async_trait]
pub trait Sender: Send + Sync {
    /// Sends a signed body, and returns once the receiver has taken it.
    async fn send(&self, url: &str, headers: &SignedHeaders, body: &str) -> Result<(), SendError>;
}

/// Draws a random number between 0 and 1.
pub type RandomShare = Arc<dyn Fn() -> f64 + Send + Sync>;

/// Sends notifications.
pub struct Notifier {
    queue: Arc<dyn NotificationQueue>,
    sender: Arc<dyn Sender>,
    keys: WebhookKeys,
    clock: Arc<dyn Clock>,
    random: RandomShare,
    worker: WorkerName,
}

impl Notifier {
    /// Builds a notifier. The name has to be unique among all servers.
    #[must_use]
    pub fn new(
        queue: Arc<dyn NotificationQueue>,
        sender: Arc<dyn Sender>,
        keys: WebhookKeys,
        clock: Arc<dyn Clock>,
        random: RandomShare,
        worker: WorkerName,
    ) -> Self {
        Self { queue, sender, keys, clock, random, worker }
    }

    /// Claims the notification that is due first, of any tenant but these.
    ///
    /// # Errors
    /// The store's.
    pub async fn claim(&self, except: &[TenantId]) -> Result<Option<ClaimedNotification>, PortError> {
        let now = self.clock.now();
        let until = now.plus_seconds(LEASE_SECONDS).unwrap_or(now);
        self.queue.claim_notification(&self.worker, now, until, except).await
    }

    /// Sends a notification, and stores what became of it. Returns `None` if another server has taken it over.
    ///
    /// # Errors
    /// The store's. The notification is due again when its lease ends.
    pub async fn send(&self, claimed: ClaimedNotification) -> Result<Option<Sent>, PortError> {
        let claim = claimed.claim.clone();
        let sent = self.attempt(claimed).await;
        let is_stored = self.queue.conclude(&claim, sent.clone(), self.clock.now()).await?;
        Ok(is_stored.then_some(sent))
    }

    async fn attempt(&self, claimed: ClaimedNotification) -> Sent {
        let dead = |failure: &str| Sent::Dead { failure: failure.to_owned() };
        let ClaimedNotification { claim, webhook, body, attempts, queued_at } = claimed;
        let Some(webhook) = webhook else { return dead("The webhook was deleted.") };
        if !webhook.webhook.enabled {
            return dead("The webhook is disabled.");
        }
        // Attempts whose worker was lost count, too.
        if !RETRIES.may_ask(attempts.into()) {
            return dead("The server was stopped in the middle of each attempt.");
        }
        let now = self.clock.now();
        let seeds = [Some(&webhook.seed), webhook.previous.as_ref().filter(|(_, until)| *until > now).map(|it| &it.0)];
        let secrets = seeds.into_iter().flatten().filter_map(|seed| self.keys.secret(&claim.tenant_id, seed));
        let secrets: Vec<_> = secrets.collect();
        if secrets.is_empty() {
            return dead("The webhook's secret was made under another SECRET_KEY: rotate it.");
        }
        let headers = SignedHeaders::new(&claim.id.to_string(), now, &body, &secrets);
        match self.sender.send(&webhook.webhook.url, &headers, &body).await {
            Ok(()) => Sent::Delivered,
            Err(SendError { detail, is_final: true, .. }) => Sent::Dead { failure: detail },
            Err(SendError { detail, retry_after, .. }) => {
                let now = self.clock.now();
                match RETRIES.decide(attempts.into(), queued_at, now, retry_after, (self.random)()) {
                    RetryDecision::Retry(due_at) => Sent::Retry { due_at, failure: detail },
                    RetryDecision::Dead(_) => Sent::Dead { failure: detail },
                }
            }
        }
    }
}
