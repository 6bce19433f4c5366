//! The audit trail: the port and its transactions.

use std::ops::{Range, RangeInclusive};

use async_trait::async_trait;
use diesel::dsl::{exists, max, sql};
use diesel::prelude::*;
use diesel::result::Error::QueryBuilderError;
use diesel::sql_types::Bool;
use mass_audit_service::{AuditStore, Entry, EventFilter, Leaf, StoredCheckpoint};
use mass_domain::audit::tree::{self, Frontier, TreeHash};
use mass_domain::audit::{Action, Event, NewEvent, Object, Outcome};
use mass_domain::ids::MassRequestId;
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

use super::audit::{Head, column, count, frontier};
use super::audit_tree::StoredTree;
use super::{Connection, Store, projection_effects, tenants};
use crate::columns::{Id, Instant, Node, Word};
use crate::rows;
use crate::schema::{audit_archived_leaves, audit_checkpoints, audit_events, audit_heads};
use crate::store::ROWS_PER_STATEMENT;

#[async_trait]
impl AuditStore for Store {
    async fn append(&self, tenant: &TenantId, events: Vec<NewEvent>) -> Result<(), PortError> {
        super::in_place(self)?;
        self.writes.run_for(tenant, move |connection, tenant| record(connection, tenant, events)).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &EventFilter,
        before: Option<i64>,
        limit: Limit,
    ) -> Result<Vec<Event>, PortError> {
        let filter = filter.clone();
        self.reads.read_for(tenant, move |connection, tenant| list(connection, tenant, &filter, before, limit)).await
    }

    async fn head(&self, tenant: &TenantId) -> Result<Frontier, PortError> {
        self.reads.read_for(tenant, head).await
    }

    async fn durable_head(&self, tenant: &TenantId) -> Result<Frontier, PortError> {
        let durably = |connection: &mut Connection, tenant: &TenantId| {
            super::durably(connection, |connection| head(connection, tenant))
        };
        self.writes.run_for(tenant, durably).await
    }

    async fn frontier_at(&self, tenant: &TenantId, size: u64) -> Result<Option<Frontier>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| frontier_at(connection, tenant, size)).await
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, PortError> {
        self.reads.read_outside(tenants::ids).await
    }

    async fn latest_checkpoint(&self, tenant: &TenantId) -> Result<Option<StoredCheckpoint>, PortError> {
        self.reads.read_for(tenant, latest_checkpoint).await
    }

    async fn checkpoints(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| checkpoints(connection, tenant, after, limit)).await
    }

    async fn keep_checkpoint(&self, tenant: &TenantId, checkpoint: StoredCheckpoint) -> Result<(), PortError> {
        self.writes.run_for(tenant, move |connection, tenant| keep_checkpoint(connection, tenant, &checkpoint)).await
    }

    async fn inclusion(
        &self,
        tenant: &TenantId,
        sequence: i64,
        size: u64,
    ) -> Result<Option<(Leaf, Vec<TreeHash>)>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| inclusion(connection, tenant, sequence, size)).await
    }

    async fn consistency(&self, tenant: &TenantId, from: u64, to: u64) -> Result<Option<Vec<TreeHash>>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| consistency(connection, tenant, from, to)).await
    }

    async fn entries(&self, tenant: &TenantId, after: i64, limit: usize) -> Result<Vec<Entry>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| entries(connection, tenant, after, limit)).await
    }

    async fn entries_of(
        &self,
        tenant: &TenantId,
        actions: &[Action],
        stretch: Range<i64>,
        limit: u32,
    ) -> Result<Vec<Entry>, PortError> {
        let actions = actions.to_vec();
        self.reads
            .read_for(tenant, move |connection, tenant| entries_of(connection, tenant, &actions, &stretch, limit))
            .await
    }

    async fn acceptance(&self, tenant: &TenantId, id: MassRequestId) -> Result<Option<Entry>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| acceptance(connection, tenant, id)).await
    }

    async fn archived(&self, tenant: &TenantId) -> Result<u64, PortError> {
        self.reads.read_for(tenant, archived).await
    }

    async fn archive(
        &self,
        tenant: &TenantId,
        events: RangeInclusive<i64>,
        event: NewEvent,
    ) -> Result<bool, PortError> {
        let archived = super::archiving(self)
            .run_at_length_for(tenant, move |connection, tenant| archive(connection, tenant, &events, event))
            .await?;
        super::sweep(self).await;
        Ok(archived)
    }
}

/// Appends events to a log.
pub(super) fn record(connection: &mut Connection, tenant: &TenantId, events: Vec<NewEvent>) -> QueryResult<()> {
    super::write(connection, |connection| Head::lock(connection, tenant)?.append(connection, events))
}

/// Lists events, newest first.
pub(super) fn list(
    connection: &mut Connection,
    tenant: &TenantId,
    filter: &EventFilter,
    before: Option<i64>,
    limit: Limit,
) -> QueryResult<Vec<Event>> {
    let EventFilter { actor_kind, actor_id, action, outcome, object, from, to } = filter;
    let mut query = audit_events::table
        .filter(audit_events::tenant_id.eq(tenant.as_str()))
        .select(audit_events::event)
        .order(audit_events::sequence.desc())
        .limit(i64::from(limit.get()) + 1)
        .into_boxed();
    if let Some(before) = before {
        query = query.filter(audit_events::sequence.lt(before));
    }
    if let Some(actor_kind) = actor_kind {
        query = query.filter(audit_events::actor_kind.eq(actor_kind));
    }
    if let Some(actor_id) = actor_id {
        query = query.filter(audit_events::actor_id.eq(Id(*actor_id)));
    }
    if let Some(action) = action {
        query = query.filter(audit_events::action.eq(action.as_str()));
    }
    if let Some(outcome) = outcome {
        query = query.filter(audit_events::outcome.eq(outcome.as_str()));
    }
    // Both are told apart from bound values, since they are the conditions of the indexes that leave out all that is
    // accepted.
    if action.is_some_and(|action| action != Action::Accepted) {
        query = query.filter(sql::<Bool>("action <> 'accepted'"));
    }
    if *outcome == Some(Outcome::Refused) {
        query = query.filter(sql::<Bool>("outcome = 'refused'"));
    }
    if let Some(object) = object {
        query = query.filter(audit_events::object_kind.eq(object.kind()));
        query = match object.id() {
            Some(id) => query.filter(audit_events::object_id.eq(id)),
            None => query.filter(audit_events::object_id.is_null()),
        };
    }
    if let Some(from) = from {
        let (before, _) = around(connection, tenant, moved(*from, -SLACK_MICROS))?;
        query = query.filter(audit_events::at.ge(Instant(*from))).filter(audit_events::sequence.gt(before));
    }
    if let Some(to) = to {
        let (_, after) = around(connection, tenant, moved(*to, SLACK_MICROS))?;
        query = query.filter(audit_events::at.lt(Instant(*to))).filter(audit_events::sequence.lt(after));
    }
    let texts: Vec<String> = query.load(connection)?;
    texts.iter().map(|text| rows::event(text)).collect()
}

/// The most that the instants of events may deviate from their order: clocks are set, and writes wait for one another.
pub(super) const SLACK_MICROS: i64 = 3_600_000_000;

pub(super) fn moved(instant: Timestamp, micros: i64) -> Timestamp {
    Timestamp::from_unix_micros(instant.unix_micros().saturating_add(micros)).unwrap_or(instant)
}

/// Finds two adjacent positions in a log, with the last event before an instant and the first event not before it. A
/// binary search, so that a list that is bounded in time reads only its part of the log.
pub(super) fn around(connection: &mut Connection, tenant: &TenantId, instant: Timestamp) -> QueryResult<(i64, i64)> {
    let (mut before, mut after) = (0, column(head(connection, tenant)?.size()).saturating_add(1));
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        let event: Option<(i64, Instant)> = audit_events::table
            .filter(audit_events::tenant_id.eq(tenant.as_str()))
            .filter(audit_events::sequence.ge(middle))
            .filter(audit_events::sequence.lt(after))
            .order(audit_events::sequence)
            .select((audit_events::sequence, audit_events::at))
            .first(connection)
            .optional()?;
        match event {
            Some((sequence, Instant(at))) if at < instant => before = sequence,
            Some(_) | None => after = middle,
        }
    }
    Ok((before, after))
}

/// Reads the end of a log. An inconsistent head is returned with hashes of zeros, which match no tree: a comparison
/// will find it, and the log can still be exported.
pub(super) fn head(connection: &mut Connection, tenant: &TenantId) -> QueryResult<Frontier> {
    let head = audit_heads::table.find(tenant.as_str()).select((audit_heads::size, audit_heads::frontier));
    let Some((size, peaks)) = head.first::<(i64, Vec<u8>)>(connection).optional()? else {
        return Ok(Frontier::default());
    };
    frontier(size, &peaks).or_else(|_| {
        let size = count(size);
        Frontier::of(size, |_| Ok(TreeHash::from_bytes([0; 32])))
    })
}

/// Reads the frontier of the first `size` events; `None` if hashes that it needs are missing.
pub(super) fn frontier_at(connection: &mut Connection, tenant: &TenantId, size: u64) -> QueryResult<Option<Frontier>> {
    let frontier = super::read(connection, |connection| {
        let mut tree = StoredTree::new(connection, tenant);
        Frontier::of(size, |subtree| tree.perfect(subtree))
    });
    frontier.optional()
}

/// Reads the leaf of an event and the proof that it is among the first `size`.
pub(super) fn inclusion(
    connection: &mut Connection,
    tenant: &TenantId,
    sequence: i64,
    size: u64,
) -> QueryResult<Option<(Leaf, Vec<TreeHash>)>> {
    let Some(index) = u64::try_from(sequence).ok().and_then(|sequence| sequence.checked_sub(1)) else {
        return Ok(None);
    };
    if index >= size {
        return Ok(None);
    }
    let proved = super::read(connection, |connection| {
        let mut tree = StoredTree::new(connection, tenant);
        let leaf_hash = tree.leaf(sequence)?.ok_or(diesel::NotFound)?;
        let proof = tree::inclusion_proof(index, size, |subtree| tree.perfect(subtree))?;
        Ok((Leaf { sequence, leaf_hash }, proof))
    });
    proved.optional()
}

/// Reads the proof that the first `to` events begin with the first `from`; `None` if hashes that it needs are missing.
pub(super) fn consistency(
    connection: &mut Connection,
    tenant: &TenantId,
    from: u64,
    to: u64,
) -> QueryResult<Option<Vec<TreeHash>>> {
    let proof = super::read(connection, |connection| {
        let mut tree = StoredTree::new(connection, tenant);
        tree::consistency_proof(from, to, |subtree| tree.perfect(subtree))
    });
    proof.optional()
}

type CheckpointRow = (i64, Instant, String);

fn checkpoint((size, Instant(at), note): CheckpointRow) -> StoredCheckpoint {
    StoredCheckpoint { size: count(size), at, note }
}

/// Finds the checkpoint of the most events.
pub(super) fn latest_checkpoint(
    connection: &mut Connection,
    tenant: &TenantId,
) -> QueryResult<Option<StoredCheckpoint>> {
    let row: Option<CheckpointRow> = audit_checkpoints::table
        .filter(audit_checkpoints::tenant_id.eq(tenant.as_str()))
        .order(audit_checkpoints::size.desc())
        .select((audit_checkpoints::size, audit_checkpoints::at, audit_checkpoints::note))
        .first(connection)
        .optional()?;
    Ok(row.map(checkpoint))
}

/// Lists checkpoints in the order of their sizes.
pub(super) fn checkpoints(
    connection: &mut Connection,
    tenant: &TenantId,
    after: u64,
    limit: usize,
) -> QueryResult<Vec<StoredCheckpoint>> {
    let rows: Vec<CheckpointRow> = audit_checkpoints::table
        .filter(audit_checkpoints::tenant_id.eq(tenant.as_str()))
        .filter(audit_checkpoints::size.gt(column(after)))
        .order(audit_checkpoints::size)
        .select((audit_checkpoints::size, audit_checkpoints::at, audit_checkpoints::note))
        .limit(column(limit as u64))
        .load(connection)?;
    Ok(rows.into_iter().map(checkpoint).collect())
}

/// Inserts a checkpoint, unless there is one of its size.
pub(super) fn keep_checkpoint(
    connection: &mut Connection,
    tenant: &TenantId,
    checkpoint: &StoredCheckpoint,
) -> QueryResult<()> {
    super::write(connection, |connection| {
        // A log that is still empty has no head that the checkpoint could belong to.
        Head::lock(connection, tenant)?;
        let present = audit_checkpoints::table.find((tenant.as_str(), column(checkpoint.size)));
        if diesel::select(exists(present)).get_result(connection)? {
            return Ok(());
        }
        diesel::insert_into(audit_checkpoints::table)
            .values((
                audit_checkpoints::tenant_id.eq(tenant.as_str()),
                audit_checkpoints::size.eq(column(checkpoint.size)),
                audit_checkpoints::at.eq(Instant(checkpoint.at)),
                audit_checkpoints::note.eq(&checkpoint.note),
            ))
            .execute(connection)
            .map(|_| ())
    })
}

type EntryRow = (i64, String, Node);

fn entry((sequence, event, Node(leaf_hash)): EntryRow) -> Entry {
    Entry { sequence, event, leaf_hash }
}

/// Lists entries in their order.
pub(super) fn entries(
    connection: &mut Connection,
    tenant: &TenantId,
    after: i64,
    limit: usize,
) -> QueryResult<Vec<Entry>> {
    let rows: Vec<EntryRow> = audit_events::table
        .filter(audit_events::tenant_id.eq(tenant.as_str()))
        .filter(audit_events::sequence.gt(after))
        .order(audit_events::sequence)
        .select((audit_events::sequence, audit_events::event, audit_events::leaf_hash))
        .limit(column(limit as u64))
        .load(connection)?;
    Ok(rows.into_iter().map(entry).collect())
}

/// Lists the entries of actions, in their order. Each action is looked up by itself, so that nothing is read of the events
/// between, of which there can be millions.
fn entries_of(
    connection: &mut Connection,
    tenant: &TenantId,
    actions: &[Action],
    stretch: &Range<i64>,
    limit: u32,
) -> QueryResult<Vec<Entry>> {
    let mut found: Vec<i64> = Vec::new();
    for action in actions {
        let sequences: Vec<i64> = audit_events::table
            .filter(audit_events::tenant_id.eq(tenant.as_str()))
            .filter(audit_events::action.eq(action.as_str()))
            // Repeating this predicate lets the planner use the partial index.
            .filter(sql::<Bool>("action <> 'accepted'"))
            .filter(audit_events::sequence.gt(stretch.start))
            .filter(audit_events::sequence.le(stretch.end))
            .order(audit_events::sequence)
            .limit(limit.into())
            .select(audit_events::sequence)
            .load(connection)?;
        found.extend(sequences);
    }
    found.sort_unstable();
    found.truncate(limit as usize);
    let mut rows: Vec<EntryRow> = Vec::new();
    for sequences in found.chunks(ROWS_PER_STATEMENT) {
        let found = audit_events::table
            .filter(audit_events::tenant_id.eq(tenant.as_str()))
            .filter(audit_events::sequence.eq_any(sequences))
            .order(audit_events::sequence)
            .select((audit_events::sequence, audit_events::event, audit_events::leaf_hash))
            .load(connection)?;
        rows.extend::<Vec<EntryRow>>(found);
    }
    Ok(rows.into_iter().map(entry).collect())
}

/// Finds the entry of the event that accepted a request.
pub(super) fn acceptance(
    connection: &mut Connection,
    tenant: &TenantId,
    id: MassRequestId,
) -> QueryResult<Option<Entry>> {
    let object = Object::MassRequest(id);
    let row: Option<EntryRow> = audit_events::table
        .filter(audit_events::tenant_id.eq(tenant.as_str()))
        .filter(audit_events::object_kind.eq(object.kind()))
        .filter(audit_events::object_id.eq(object.id()))
        .filter(audit_events::action.eq(Word(Action::Accepted)))
        .order(audit_events::sequence)
        .select((audit_events::sequence, audit_events::event, audit_events::leaf_hash))
        .first(connection)
        .optional()?;
    Ok(row.map(entry))
}

/// Returns the number of archived events.
pub(super) fn archived(connection: &mut Connection, tenant: &TenantId) -> QueryResult<u64> {
    let last: Option<i64> = audit_archived_leaves::table
        .filter(audit_archived_leaves::tenant_id.eq(tenant.as_str()))
        .select(max(audit_archived_leaves::sequence))
        .first(connection)?;
    Ok(last.map_or(0, count))
}

/// Removes archived events, keeps their leaves and what figures depend on, and appends an event about it. Returns `false`
/// if they are not the next ones.
pub(super) fn archive(
    connection: &mut Connection,
    tenant: &TenantId,
    events: &RangeInclusive<i64>,
    event: NewEvent,
) -> QueryResult<bool> {
    if !super::may_archive(connection)? {
        let told = "the role that serves may not remove events: archive as the role that migrates";
        return Err(QueryBuilderError(told.into()));
    }
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        // Only now: somebody else may have archived them while the export was looked at.
        if column(archived(connection, tenant)?) + 1 != *events.start() {
            return Ok(false);
        }
        audit_events::table
            .filter(audit_events::tenant_id.eq(tenant.as_str()))
            .filter(audit_events::sequence.le(events.end()))
            .select((audit_events::tenant_id, audit_events::sequence, audit_events::leaf_hash))
            .insert_into(audit_archived_leaves::table)
            .into_columns((
                audit_archived_leaves::tenant_id,
                audit_archived_leaves::sequence,
                audit_archived_leaves::leaf_hash,
            ))
            .execute(connection)?;
        projection_effects::keep(connection, tenant, *events.end())?;
        diesel::delete(audit_events::table)
            .filter(audit_events::tenant_id.eq(tenant.as_str()))
            .filter(audit_events::sequence.le(events.end()))
            .execute(connection)?;
        head.append(connection, [event])?;
        Ok(true)
    })
}
