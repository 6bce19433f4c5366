//! The port to the stored audit trail.

use std::ops::{Range, RangeInclusive};

use async_trait::async_trait;
use mass_domain::audit::tree::{Frontier, TreeHash};
use mass_domain::audit::{Action, Event, NewEvent, Object, Outcome};
use mass_domain::ids::MassRequestId;
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

/// A filter of events; all conditions that are set must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventFilter {
    /// The kind of actor, `user` for example.
    pub actor_kind: Option<String>,
    /// The user or key.
    pub actor_id: Option<uuid::Uuid>,
    /// The action.
    pub action: Option<Action>,
    /// The outcome.
    pub outcome: Option<Outcome>,
    /// The object.
    pub object: Option<Object>,
    /// The earliest time, inclusive.
    pub from: Option<Timestamp>,
    /// The latest time, exclusive.
    pub to: Option<Timestamp>,
}

/// A stored event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its sequence, from 1.
    pub sequence: i64,
    /// Its canonical text.
    pub event: String,
    /// Its leaf hash, as stored with the event.
    pub leaf_hash: TreeHash,
}

/// The leaf of an event in its tenant's tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// The event's sequence, from 1; the leaf's index is one less.
    pub sequence: i64,
    /// The hash of the leaf.
    pub leaf_hash: TreeHash,
}

/// A signed checkpoint, as it was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// The number of events that it covers.
    pub size: u64,
    /// The time of the signature.
    pub at: Timestamp,
    /// The signed note.
    pub note: String,
}

/// Port to the audit trail: one append-only log per tenant. Each call is one transaction, within one tenant's log.
///
/// Other use cases append their events in their own transactions; [`append`](Self::append) is for events without any.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Appends events durably to a tenant's log, in their order.
    async fn append(&self, tenant: &TenantId, events: Vec<NewEvent>) -> Result<(), PortError>;

    /// Lists events below `before`, newest first: at most one more than the limit.
    async fn list(
        &self,
        tenant: &TenantId,
        filter: &EventFilter,
        before: Option<i64>,
        limit: Limit,
    ) -> Result<Vec<Event>, PortError>;

    /// Reads the head of a tenant's log; empty for a tenant without events.
    async fn head(&self, tenant: &TenantId) -> Result<Frontier, PortError>;

    /// Reads the head of a tenant's log as [`head`](Self::head) does, once no crash of the database can take its events back.
    async fn durable_head(&self, tenant: &TenantId) -> Result<Frontier, PortError>;

    /// Returns the frontier of the first `size` events; `None` if a node that it needs is missing.
    async fn frontier_at(&self, tenant: &TenantId, size: u64) -> Result<Option<Frontier>, PortError>;

    /// Lists all tenants, including those with an empty log, which may have been emptied.
    async fn tenants(&self) -> Result<Vec<TenantId>, PortError>;

    /// Returns the latest checkpoint.
    async fn latest_checkpoint(&self, tenant: &TenantId) -> Result<Option<StoredCheckpoint>, PortError>;

    /// Lists checkpoints of more than `after` events, smallest first, at most `limit`.
    async fn checkpoints(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, PortError>;

    /// Stores a checkpoint, unless one of its size is stored.
    async fn keep_checkpoint(&self, tenant: &TenantId, checkpoint: StoredCheckpoint) -> Result<(), PortError>;

    /// Returns the leaf of an event and the proof of its inclusion in the first `size` events; `None` if it is not
    /// among them, or if a node that the proof needs is missing.
    async fn inclusion(
        &self,
        tenant: &TenantId,
        sequence: i64,
        size: u64,
    ) -> Result<Option<(Leaf, Vec<TreeHash>)>, PortError>;

    /// Returns the proof that the first `to` events extend the first `from`; `None` if a node that it needs is missing.
    async fn consistency(&self, tenant: &TenantId, from: u64, to: u64) -> Result<Option<Vec<TreeHash>>, PortError>;

    /// Lists the events after a sequence in their order, at most `limit`, without archived ones.
    async fn entries(&self, tenant: &TenantId, after: i64, limit: usize) -> Result<Vec<Entry>, PortError>;

    /// Lists the events of these actions, in their order: those behind the start of a stretch, up to its end, at most `limit`.
    async fn entries_of(
        &self,
        tenant: &TenantId,
        actions: &[Action],
        stretch: Range<i64>,
        limit: u32,
    ) -> Result<Vec<Entry>, PortError>;

    /// Returns the acceptance event of a request; `None` if it is archived or there is no such request.
    async fn acceptance(&self, tenant: &TenantId, id: MassRequestId) -> Result<Option<Entry>, PortError>;

    /// Returns the number of archived events, which are always the first ones.
    async fn archived(&self, tenant: &TenantId) -> Result<u64, PortError>;

    /// Removes events, keeps their leaves, and appends the event of the archiving, in one transaction. Does nothing and
    /// returns `false` if the first of them is not the next one to archive.
    async fn archive(&self, tenant: &TenantId, events: RangeInclusive<i64>, event: NewEvent)
    -> Result<bool, PortError>;
}
