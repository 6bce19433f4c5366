//! The audit log: one per tenant, numbered from 1 without gaps, with a Merkle tree.

use diesel::prelude::*;
use diesel::result::Error::DeserializationError;
use mass_domain::audit::tree::{Frontier, Subtree, TreeHash};
use mass_domain::audit::{Event, NewEvent, Object};
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::AuditLeaf;
use mass_domain::tenancy::TenantId;

use super::Connection;
use crate::columns::{Node, Word};
use crate::foresight::LogAdvance;
use crate::program;
use crate::rows::{self, EventRow, HeadRow, NodeRow};
use crate::schema::{audit_events, audit_heads, audit_nodes};
use crate::store::ROWS_PER_STATEMENT;

/// The distance of the stored levels of the tree: nodes between two of them are computed from at most 2^7 stored ones.
pub(super) const STORED_LEVELS: u32 = 8;

/// The end of a tenant's log, locked until the transaction ends. Every write of a tenant takes this lock first, so that
/// its later reads cannot change before it has written.
pub(super) struct Head {
    tenant: TenantId,
    pub(super) frontier: Frontier,
}

/// The rows that a log grows by.
pub(super) struct Growth {
    /// The new end.
    pub(super) head: Head,
    /// The events.
    pub(super) rows: Vec<EventRow>,
    /// The completed nodes on stored levels.
    pub(super) nodes: Vec<NodeRow>,
    /// The positions of the events.
    pub(super) leaves: Vec<AuditLeaf>,
}

impl Head {
    /// Builds the end of a log without events, which the caller has locked.
    pub(super) fn of_nothing(tenant: &TenantId) -> Self {
        Self { tenant: tenant.clone(), frontier: Frontier::default() }
    }

    /// Builds the end of a log from a cached frontier, without a lock.
    pub(super) fn left_at(tenant: &TenantId, frontier: Frontier) -> Self {
        Self { tenant: tenant.clone(), frontier }
    }

    /// Waits until no other write of the tenant runs, and locks and reads the end of the log.
    pub(super) fn lock(connection: &mut Connection, tenant: &TenantId) -> QueryResult<Self> {
        let (size, peaks) = match super::lock_head(connection, tenant)? {
            Some(head) => head,
            None => {
                diesel::insert_into(audit_heads::table)
                    .values((
                        audit_heads::tenant_id.eq(tenant.as_str()),
                        audit_heads::size.eq(0),
                        audit_heads::frontier.eq(Vec::new()),
                    ))
                    .on_conflict_do_nothing()
                    .execute(connection)?;
                super::lock_head(connection, tenant)?.ok_or(diesel::NotFound)?
            }
        };
        Ok(Self { tenant: tenant.clone(), frontier: frontier(size, &peaks)? })
    }

    /// Appends events to the log. Returns its end before and after.
    pub(super) fn advance(
        self,
        connection: &mut Connection,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> QueryResult<LogAdvance> {
        let from = self.frontier.clone();
        let Growth { head, rows, nodes, leaves: _ } = self.grow(events);
        head.keep(connection, &rows, &nodes)?;
        Ok(LogAdvance { from, to: head.frontier })
    }

    /// Appends events to the log.
    pub(super) fn append(
        self,
        connection: &mut Connection,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> QueryResult<()> {
        let Growth { head, rows, nodes, leaves: _ } = self.grow(events);
        head.keep(connection, &rows, &nodes)
    }

    /// Stores the rows that the log has grown by, and its present end.
    fn keep(&self, connection: &mut Connection, rows: &[EventRow], nodes: &[NodeRow]) -> QueryResult<()> {
        if rows.is_empty() {
            return Ok(());
        }
        if super::HEAD_FIRST {
            self.store_end(connection)?;
        }
        for rows in rows.chunks(ROWS_PER_STATEMENT) {
            diesel::insert_into(audit_events::table).values(rows).execute(connection)?;
        }
        if !super::HEAD_FIRST {
            self.store_end(connection)?;
        }
        store_nodes(connection, nodes)
    }

    /// Gives events their positions, without storing them.
    pub(super) fn grow(mut self, events: impl IntoIterator<Item = NewEvent>) -> Growth {
        let (mut rows, mut nodes, mut leaves) = (Vec::new(), Vec::new(), Vec::new());
        let mut sequence = column(self.frontier.size());
        for event in events {
            sequence += 1;
            let text = event.write(sequence, program::current());
            let leaf_hash = into_tree(&mut self.frontier, &text, &mut nodes);
            leaves.push(AuditLeaf { sequence, leaf_hash });
            rows.push(EventRow::new(sequence, event, text, leaf_hash));
        }
        Growth { nodes: self.stored(nodes), head: self, rows, leaves }
    }

    /// Builds the rows of those nodes that are on stored levels.
    pub(super) fn stored(&self, nodes: Vec<(Subtree, TreeHash)>) -> Vec<NodeRow> {
        let stored = nodes.into_iter().filter(|(subtree, _)| subtree.level.is_multiple_of(STORED_LEVELS));
        let row = |(subtree, hash): (Subtree, TreeHash)| NodeRow {
            tenant_id: Word(self.tenant.clone()),
            level: i64::from(subtree.level),
            position: column(subtree.position),
            hash: Node(hash),
        };
        stored.map(row).collect()
    }

    /// Returns the row of the end.
    pub(super) fn end(&self) -> HeadRow {
        let frontier = self.frontier.peaks().iter().flat_map(|peak| *peak.as_bytes()).collect();
        HeadRow { size: column(self.frontier.size()), frontier }
    }

    /// Stores the end.
    pub(super) fn store_end(&self, connection: &mut Connection) -> QueryResult<()> {
        diesel::update(audit_heads::table.find(self.tenant.as_str())).set(&self.end()).execute(connection)?;
        Ok(())
    }
}

/// Inserts nodes of a tree.
pub(crate) fn store_nodes(connection: &mut Connection, nodes: &[NodeRow]) -> QueryResult<()> {
    for rows in nodes.chunks(ROWS_PER_STATEMENT) {
        diesel::insert_into(audit_nodes::table).values(rows).execute(connection)?;
    }
    Ok(())
}

/// Adds an event to the tree, and collects the completed nodes.
#[cfg(not(feature = "bench-without-tree"))]
fn into_tree(tree: &mut Frontier, event: &str, nodes: &mut Vec<(Subtree, TreeHash)>) -> TreeHash {
    let leaf_hash = TreeHash::of_leaf(event.as_bytes());
    tree.push(leaf_hash, |told| nodes.push(told));
    leaf_hash
}

/// The baseline for measuring the cost of the tree: counts the event and hashes nothing.
#[cfg(feature = "bench-without-tree")]
fn into_tree(tree: &mut Frontier, _event: &str, _nodes: &mut Vec<(Subtree, TreeHash)>) -> TreeHash {
    const NONE: TreeHash = TreeHash::from_bytes([0; 32]);
    *tree = Frontier::of::<()>(tree.size() + 1, |_| Ok(NONE)).unwrap_or_default();
    NONE
}

/// Converts a count to its column.
pub(crate) fn column(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Converts a count from its column.
pub(super) fn count(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

/// Builds the frontier of a log from its columns.
pub(super) fn frontier(size: i64, peaks: &[u8]) -> QueryResult<Frontier> {
    let (peaks, rest) = peaks.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(DeserializationError("a tree's frontier is cut".into()));
    }
    let peaks = peaks.iter().map(|peak| TreeHash::from_bytes(*peak)).collect();
    let size = u64::try_from(size).map_err(|error| DeserializationError(error.into()))?;
    Frontier::from_parts(size, peaks).map_err(|error| DeserializationError(error.into()))
}

/// Lists the events of a request, in their order.
pub(super) fn events_of(connection: &mut Connection, tenant: &TenantId, id: MassRequestId) -> QueryResult<Vec<Event>> {
    let object = Object::MassRequest(id);
    let texts: Vec<String> = audit_events::table
        .filter(audit_events::tenant_id.eq(tenant.as_str()))
        .filter(audit_events::object_kind.eq(object.kind()))
        .filter(audit_events::object_id.eq(object.id()))
        .order(audit_events::sequence)
        .select(audit_events::event)
        .load(connection)?;
    texts.iter().map(|text| rows::event(text)).collect()
}
