//! The port to whatever keeps the audit trail.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use mass_domain::audit::tree::{Frontier, TreeHash};
use mass_domain::audit::{Action, Event, NewEvent, Object, Outcome};
use mass_domain::ids::MassRequestId;
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

/// Which events are asked for: those that fit everything that is set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventFilter {
    /// Of this kind of actor, `user` for instance.
    pub actor_kind: Option<String>,
    /// Of this user or key.
    pub actor_id: Option<uuid::Uuid>,
    /// Of this action.
    pub action: Option<Action>,
    /// With this outcome.
    pub outcome: Option<Outcome>,
    /// About this object.
    pub object: Option<Object>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the log, from 1.
    pub sequence: i64,
    /// Its canonical text.
    pub event: String,
    /// The hash of its leaf, as it was taken when the event was written.
    pub leaf_hash: TreeHash,
}

/// Where an event is in its tenant's tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// The event's place in the log, from 1; the leaf's index is one less.
    pub sequence: i64,
    /// The hash of the leaf.
    pub leaf_hash: TreeHash,
}

/// A signed checkpoint, as it was given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// How many events it covers.
    pub size: u64,
    /// When it was signed.
    pub at: Timestamp,
    /// The signed note.
    pub note: String,
}

/// Keeps the audit trail: one append-only log per tenant. Each call is one unit of work, and never reaches another
/// tenant's log.
///
/// What is done to other things writes its events in its own unit of work; [`record`](Self::record) is for what has
/// no other.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Appends events to a tenant's log, in their order, durably.
    async fn record(&self, tenant: &TenantId, events: Vec<NewEvent>) -> Result<(), PortError>;

    /// Lists events, newest first, beginning below `before`: at most one more than the limit.
    async fn list(
        &self,
        tenant: &TenantId,
        filter: &EventFilter,
        before: Option<i64>,
        limit: Limit,
    ) -> Result<Vec<Event>, PortError>;

    /// The end of the tenant's log; an empty one for a tenant without events.
    async fn head(&self, tenant: &TenantId) -> Result<Frontier, PortError>;

    /// The frontier of the first `size` events; `None` if what it stands on is missing.
    async fn frontier_at(&self, tenant: &TenantId, size: u64) -> Result<Option<Frontier>, PortError>;

    /// Every tenant, also one whose log is empty: it may have been emptied.
    async fn tenants(&self) -> Result<Vec<TenantId>, PortError>;

    /// The latest checkpoint.
    async fn latest_checkpoint(&self, tenant: &TenantId) -> Result<Option<StoredCheckpoint>, PortError>;

    /// Checkpoints of more than `after` events, smallest first, at most `limit`.
    async fn checkpoints(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, PortError>;

    /// Keeps a checkpoint, unless there is one of that size.
    async fn keep_checkpoint(&self, tenant: &TenantId, checkpoint: StoredCheckpoint) -> Result<(), PortError>;

    /// The leaf of an event and the proof that it is among the first `size`; `None` if it is not among them, or if what
    /// the proof stands on is missing.
    async fn inclusion(
        &self,
        tenant: &TenantId,
        sequence: i64,
        size: u64,
    ) -> Result<Option<(Leaf, Vec<TreeHash>)>, PortError>;

    /// The proof that the first `to` events begin with the first `from`; `None` if what it stands on is missing.
    async fn consistency(&self, tenant: &TenantId, from: u64, to: u64) -> Result<Option<Vec<TreeHash>>, PortError>;

    /// The entries after a place in their order, at most `limit`: without those that were archived.
    async fn entries(&self, tenant: &TenantId, after: i64, limit: usize) -> Result<Vec<Entry>, PortError>;

    /// The entry of the event by which a request was stored; `None` if it is archived, or if there is no such request.
    async fn acceptance(&self, tenant: &TenantId, id: MassRequestId) -> Result<Option<Entry>, PortError>;

    /// How many events have been archived: always the first ones.
    async fn archived(&self, tenant: &TenantId) -> Result<u64, PortError>;

    /// Removes events from the log and keeps their leaves, and writes the event that tells of it, in one unit of work.
    /// Does nothing and tells `false` if the first of them is not the one behind those that are archived.
    async fn archive(&self, tenant: &TenantId, events: RangeInclusive<i64>, event: NewEvent)
    -> Result<bool, PortError>;
}
