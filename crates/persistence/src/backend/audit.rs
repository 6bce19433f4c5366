//! The audit trail: one log per tenant, numbered from 1 without gaps, and the Merkle tree over it.

use diesel::prelude::*;
use diesel::result::Error::DeserializationError;
use mass_domain::audit::tree::{Frontier, Subtree, TreeHash};
use mass_domain::audit::{Event, NewEvent, Object};
use mass_domain::ids::MassRequestId;
use mass_domain::tenancy::TenantId;

use super::Connection;
use crate::columns::{Node, Word};
use crate::foresight::LogAdvance;
use crate::program;
use crate::rows::{self, EventRow, HeadRow, NodeRow};
use crate::schema::{audit_events, audit_heads, audit_nodes};
use crate::store::ROWS_PER_STATEMENT;

/// Of the perfect subtrees, those at every so many levels are stored: all between two of them follow from at most 2^7.
pub(super) const STORED_LEVELS: u32 = 8;

/// The end of a tenant's log, locked until the transaction ends. Every write of a tenant begins with this lock, so that
/// what it then reads cannot change before it has written.
pub(super) struct Head {
    tenant: TenantId,
    pub(super) frontier: Frontier,
}

/// Where an event stands in its log.
pub(super) struct Place {
    pub(super) sequence: i64,
    pub(super) leaf_hash: TreeHash,
}

/// What a log grows by.
pub(super) struct Growth {
    /// Where it ends then.
    pub(super) head: Head,
    /// The events.
    pub(super) rows: Vec<EventRow>,
    /// Those of the perfect subtrees that they complete which are stored.
    pub(super) nodes: Vec<NodeRow>,
    /// Where they stand.
    pub(super) places: Vec<Place>,
}

impl Head {
    /// The end of a log without events, locked by whoever makes it.
    pub(super) fn of_nothing(tenant: &TenantId) -> Self {
        Self { tenant: tenant.clone(), frontier: Frontier::default() }
    }

    /// The end of a log, taken to be where it was left.
    pub(super) fn left_at(tenant: &TenantId, frontier: Frontier) -> Self {
        Self { tenant: tenant.clone(), frontier }
    }

    /// Waits until no other write of the tenant is under way.
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
        let Growth { head, rows, nodes, places: _ } = self.grow(events);
        head.keep(connection, &rows, &nodes)?;
        Ok(LogAdvance { from, to: head.frontier })
    }

    /// Appends events to the log. Returns their positions.
    pub(super) fn append(
        self,
        connection: &mut Connection,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> QueryResult<Vec<Place>> {
        let Growth { head, rows, nodes, places } = self.grow(events);
        head.keep(connection, &rows, &nodes)?;
        Ok(places)
    }

    /// Stores what the log has grown by, to its present end.
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

    /// Gives events their places, without storing anything.
    pub(super) fn grow(mut self, events: impl IntoIterator<Item = NewEvent>) -> Growth {
        let (mut rows, mut nodes, mut places) = (Vec::new(), Vec::new(), Vec::new());
        let mut sequence = column(self.frontier.size());
        for event in events {
            sequence += 1;
            let text = event.write(sequence, program::current());
            let leaf_hash = into_tree(&mut self.frontier, &text, &mut nodes);
            places.push(Place { sequence, leaf_hash });
            rows.push(EventRow::new(sequence, event, text, leaf_hash));
        }
        Growth { nodes: self.stored(nodes), head: self, rows, places }
    }

    /// The rows of those of the nodes that are on stored levels.
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

    /// Where the log ends.
    pub(super) fn end(&self) -> HeadRow {
        let frontier = self.frontier.peaks().iter().flat_map(|peak| *peak.as_bytes()).collect();
        HeadRow { size: column(self.frontier.size()), frontier }
    }

    /// Stores where the log ends.
    pub(super) fn store_end(&self, connection: &mut Connection) -> QueryResult<()> {
        diesel::update(audit_heads::table.find(self.tenant.as_str())).set(&self.end()).execute(connection)?;
        Ok(())
    }
}

/// Stores nodes of a tree.
pub(crate) fn store_nodes(connection: &mut Connection, nodes: &[NodeRow]) -> QueryResult<()> {
    for rows in nodes.chunks(ROWS_PER_STATEMENT) {
        diesel::insert_into(audit_nodes::table).values(rows).execute(connection)?;
    }
    Ok(())
}

/// Puts an event into the tree, and keeps the nodes that it completes.
#[cfg(not(feature = "bench-without-tree"))]
fn into_tree(tree: &mut Frontier, event: &str, nodes: &mut Vec<(Subtree, TreeHash)>) -> TreeHash {
    let leaf_hash = TreeHash::of_leaf(event.as_bytes());
    tree.push(leaf_hash, |told| nodes.push(told));
    leaf_hash
}

/// What the tree's cost is measured against: the event is counted, and nothing is hashed.
#[cfg(feature = "bench-without-tree")]
fn into_tree(tree: &mut Frontier, _event: &str, _nodes: &mut Vec<(Subtree, TreeHash)>) -> TreeHash {
    const NONE: TreeHash = TreeHash::from_bytes([0; 32]);
    *tree = Frontier::of::<()>(tree.size() + 1, |_| Ok(NONE)).unwrap_or_default();
    NONE
}

/// A count of leaves as the databases keep it.
pub(crate) fn column(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count of leaves from its column.
pub(super) fn count(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

/// The end of a log from its columns.
pub(super) fn frontier(size: i64, peaks: &[u8]) -> QueryResult<Frontier> {
    let (peaks, rest) = peaks.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(DeserializationError("a tree's frontier is cut".into()));
    }
    let peaks = peaks.iter().map(|peak| TreeHash::from_bytes(*peak)).collect();
    let size = u64::try_from(size).map_err(|error| DeserializationError(error.into()))?;
    Frontier::from_parts(size, peaks).map_err(|error| DeserializationError(error.into()))
}

/// The events of a request, in their order.
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
