//! The ports: the store of rules and alerts, what evaluations read and write, and the check of the audit trail.

use async_trait::async_trait;
use mass_domain::alerts::{Alert, RuleName, WatchedEvents};
use mass_domain::audit::NewEvent;
use mass_domain::ids::AlertId;
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tasks::TaskClaim;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

use crate::alerts::{AlertError, AlertFilter, NewAcknowledgement};
use crate::message::NewNotification;
use crate::rules::{ChangedRule, RuleChange, RuleDeletion, RuleError, StoredRule};

/// The most alerts of a tenant that are kept. Beyond them, the oldest resolved ones are deleted.
pub const MAX_STORED_ALERTS: u64 = 50_000;

/// The most notifications of a tenant that wait. Beyond them, webhooks are not told.
pub const MAX_WAITING_NOTIFICATIONS: u64 = 5000;

/// The most notifications of a tenant that are kept. Beyond them, the oldest ones that do not wait are deleted.
pub const MAX_STORED_NOTIFICATIONS: u64 = 20_000;

/// The port that stores rules and alerts. Each call is one transaction, restricted to the tenant's data. Pending alerts are
/// never returned.
#[async_trait]
pub trait AlertStore: Send + Sync {
    /// Finds a rule.
    async fn find_rule(&self, tenant: &TenantId, name: &RuleName) -> Result<Option<StoredRule>, PortError>;

    /// Lists rules by their names, from behind `after`: at most `limit + 1` rows.
    async fn list_rules(
        &self,
        tenant: &TenantId,
        after: Option<RuleName>,
        limit: Limit,
    ) -> Result<Vec<StoredRule>, PortError>;

    /// Stores a rule as [`RuleChange::judge`] decides, and appends [`RuleChange::event`] if it changes. Resolves the alerts
    /// of a rule that is disabled. The tenant's rules are evaluated at once then, and an evaluation under way is lost.
    async fn upsert_rule(&self, tenant: &TenantId, change: RuleChange) -> Result<ChangedRule, RuleError>;

    /// Deletes a rule if [`RuleDeletion::judge`] allows it, resolves its alerts, and appends the event.
    async fn delete_rule(&self, tenant: &TenantId, deletion: RuleDeletion) -> Result<(), RuleError>;

    /// Finds an alert.
    async fn find(&self, tenant: &TenantId, id: AlertId) -> Result<Option<Alert>, PortError>;

    /// Lists alerts with ids below `before`, the newest (greatest id) first: at most `limit + 1` rows.
    async fn list(
        &self,
        tenant: &TenantId,
        filter: AlertFilter,
        before: Option<AlertId>,
        limit: Limit,
    ) -> Result<Vec<Alert>, PortError>;

    /// Stores an acknowledgement in place of an earlier one, and appends [`NewAcknowledgement::event`].
    async fn acknowledge(&self, tenant: &TenantId, acknowledgement: NewAcknowledgement) -> Result<Alert, AlertError>;
}

/// The rules of a tenant that are evaluated, with their pending and open alerts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Work {
    /// The enabled rules, by name.
    pub rules: Vec<StoredRule>,
    /// The alerts that are not resolved.
    pub live: Vec<Alert>,
}

/// The way in which an alert is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is inserted.
    Insert,
    /// It is updated.
    Update,
    /// It is deleted: it was pending.
    Delete,
}

/// A change of an alert.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertChange {
    /// The alert as it is after the change.
    pub alert: Alert,
    /// What is done with it.
    pub kind: ChangeKind,
}

/// The outcome of a rule's evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleOutcome {
    /// The rule.
    pub rule: RuleName,
    /// A sentence for people, if the rule cannot be evaluated as it says.
    pub problem: Option<String>,
    /// The changes of its alerts.
    pub changes: Vec<AlertChange>,
    /// What webhooks are told of them. Those that are gone or disabled are not told.
    pub notifications: Vec<NewNotification>,
}

/// The port of the evaluating workers.
#[async_trait]
pub trait EvaluationStore: Send + Sync {
    /// Reads the rules that are evaluated, and their alerts.
    async fn work(&self, tenant: &TenantId) -> Result<Work, PortError>;

    /// Counts the records of the quarantine that were received since an instant, up to `most`.
    async fn count_quarantined(&self, tenant: &TenantId, since: Timestamp, most: u32) -> Result<u64, PortError>;

    /// Counts the dead deliveries, up to `most`.
    async fn count_dead(&self, tenant: &TenantId, most: u32) -> Result<u64, PortError>;

    /// Reads the events since an instant that a condition watches: the newest ones, at most `limit`.
    async fn events(
        &self,
        tenant: &TenantId,
        watched: WatchedEvents,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<NewEvent>, PortError>;

    /// Returns the time of the first event behind a sequence.
    async fn event_time(&self, tenant: &TenantId, behind: i64) -> Result<Option<Timestamp>, PortError>;

    /// Ends a claim: stores the outcomes, and has the tenant evaluated again at `due_at`, unless it has no rules any more.
    /// Returns false, and stores nothing, if the claim does not hold any more.
    async fn finish(&self, claim: &TaskClaim, outcomes: Vec<RuleOutcome>, due_at: Timestamp)
    -> Result<bool, PortError>;

    /// Deletes alerts that were resolved before an instant, of all tenants. Returns their number.
    async fn purge(&self, resolved_before: Timestamp) -> Result<usize, PortError>;
}

/// The port that checks a tenant's audit trail.
#[async_trait]
pub trait TrailCheck: Send + Sync {
    /// Returns true if the trail only grew since it was last signed.
    async fn is_whole(&self, tenant: &TenantId) -> Result<bool, PortError>;
}
