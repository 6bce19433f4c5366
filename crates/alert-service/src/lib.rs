//! The use cases on alerts: rules of a tenant, their evaluation, and the alerts that they open; and webhooks,
//! which are told of them.
//!
//! Belongs here: the use cases with their permissions, limits and errors, the evaluation of rules, and the ports that they
//! need.
//! Does not belong here: HTTP, SQL, and what can be decided from observations alone (`mass_domain::alerts`).

mod alerts;
mod deliver;
mod evaluate;
mod figures;
mod message;
mod rules;
mod signing;
mod store;
mod webhooks;

use std::sync::Arc;

use mass_domain::time::Clock;

pub use alerts::{AlertError, AlertFilter, AlertQuery, NewAcknowledgement};
pub use deliver::{
    ClaimedNotification, NotificationClaim, NotificationQueue, Notifier, RETRIES, RandomShare, SendError, Sender, Sent,
};
pub use evaluate::{Evaluated, Evaluator};
pub use message::{NewNotification, alert_body, resolved_notifications};
pub use rules::{ChangedRule, MAX_RULES, RuleChange, RuleDeletion, RuleError, StoredRule};
pub use signing::{SALT_BYTES, SecretSeed, SignedHeaders, WebhookKeys, WebhookSecret};
pub use store::{
    AlertChange, AlertStore, ChangeKind, EvaluationStore, MAX_STORED_ALERTS, MAX_STORED_NOTIFICATIONS,
    MAX_WAITING_NOTIFICATIONS, RuleOutcome, TrailCheck, Work,
};
pub use webhooks::{
    ChangedWebhook, Destinations, MAX_WEBHOOKS, NotificationFilter, RandomSalt, Replay, Rotation, ShownWebhook,
    StoredWebhook, WebhookChange, WebhookDeletion, WebhookError, WebhookService, WebhookStore,
};

/// The use cases on rules and alerts.
pub struct AlertService {
    store: Arc<dyn AlertStore>,
    clock: Arc<dyn Clock>,
}

impl AlertService {
    /// Puts the use cases on top of a store.
    #[must_use]
    pub fn new(store: Arc<dyn AlertStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }
}
