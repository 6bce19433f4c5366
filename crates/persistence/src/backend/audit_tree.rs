//! The Merkle tree of an audit log: read for proofs, and built over the events that were there before it.

use diesel::prelude::*;
use diesel::result::Error::DeserializationError;
use mass_domain::audit::Action;
use mass_domain::audit::tree::{Frontier, Subtree, TreeHash};
use mass_domain::tenancy::TenantId;
use uuid::Uuid;

use super::Connection;
use super::audit::{Head, STORED_LEVELS, column, store_nodes};
use crate::columns::{Id, Node, Word};
use crate::schema::{audit_archived_leaves, audit_events, audit_heads, audit_nodes, mass_requests};

/// The events that are read at once to build a tree.
const PAGE: i64 = 1000;

/// Hashes with their positions, from the left: leaves by their sequence, nodes by their position.
type Placed = Vec<(i64, Node)>;

/// The stored tree of a tenant.
pub(super) struct StoredTree<'a> {
    connection: &'a mut Connection,
    tenant: &'a TenantId,
}

impl<'a> StoredTree<'a> {
    /// Builds the tree of a tenant.
    pub(super) fn new(connection: &'a mut Connection, tenant: &'a TenantId) -> Self {
        Self { connection, tenant }
    }

    /// Returns the root of a perfect subtree: read, or computed from at most 2^7 stored hashes. `NotFound` if one of
    /// these is missing.
    pub(super) fn perfect(&mut self, subtree: Subtree) -> QueryResult<TreeHash> {
        let stored = subtree.level / STORED_LEVELS * STORED_LEVELS;
        let above = subtree.level - stored;
        let (first, count) = (column(subtree.position << above), 1 << above);
        let hashes = if stored == 0 { self.leaves(first, count)? } else { self.nodes(stored, first, count)? };
        if column(hashes.len() as u64) != count {
            return Err(diesel::NotFound);
        }
        let mut frontier = Frontier::default();
        hashes.into_iter().for_each(|(_, Node(hash))| frontier.push(hash, |_| {}));
        Ok(frontier.root())
    }

    /// Reads the hash of an event's leaf.
    pub(super) fn leaf(&mut self, sequence: i64) -> QueryResult<Option<TreeHash>> {
        Ok(self.leaves(sequence.saturating_sub(1), 1)?.pop().map(|(_, Node(hash))| hash))
    }

    /// Reads leaves from this index on.
    fn leaves(&mut self, first: i64, count: i64) -> QueryResult<Placed> {
        let (from, to) = (first.saturating_add(1), first.saturating_add(count));
        let kept: Placed = audit_events::table
            .filter(audit_events::tenant_id.eq(self.tenant.as_str()))
            .filter(audit_events::sequence.between(from, to))
            .order(audit_events::sequence)
            .select((audit_events::sequence, audit_events::leaf_hash))
            .load(self.connection)?;
        // Archived are always the first ones.
        let to = kept.first().map_or(to, |(sequence, _)| sequence - 1);
        if to < from {
            return Ok(kept);
        }
        let mut leaves: Placed = audit_archived_leaves::table
            .filter(audit_archived_leaves::tenant_id.eq(self.tenant.as_str()))
            .filter(audit_archived_leaves::sequence.between(from, to))
            .order(audit_archived_leaves::sequence)
            .select((audit_archived_leaves::sequence, audit_archived_leaves::leaf_hash))
            .load(self.connection)?;
        leaves.extend(kept);
        Ok(leaves)
    }

    /// Reads nodes of a stored level from a position on.
    pub(super) fn nodes(&mut self, level: u32, first: i64, count: i64) -> QueryResult<Placed> {
        audit_nodes::table
            .filter(audit_nodes::tenant_id.eq(self.tenant.as_str()))
            .filter(audit_nodes::level.eq(i64::from(level)))
            .filter(audit_nodes::position.between(first, first.saturating_add(count - 1)))
            .order(audit_nodes::position)
            .select((audit_nodes::position, audit_nodes::hash))
            .load(self.connection)
    }
}

/// Builds the trees of logs that are older than the trees, and sets the position of each request, within the
/// transaction of the migrations.
pub(crate) fn build_missing(connection: &mut Connection) -> QueryResult<()> {
    let due: Vec<Word<TenantId>> = audit_heads::table
        .filter(audit_heads::size.gt(0))
        .filter(audit_heads::frontier.eq(Vec::new()))
        .select(audit_heads::tenant_id)
        .load(connection)?;
    for Word(tenant) in due {
        build(connection, &tenant)?;
    }
    Ok(())
}

fn build(connection: &mut Connection, tenant: &TenantId) -> QueryResult<()> {
    super::lock_head(connection, tenant)?;
    let mut head = Head::of_nothing(tenant);
    let mut after = 0;
    loop {
        let page: Vec<(i64, String, Word<Action>, Option<String>)> = audit_events::table
            .filter(audit_events::tenant_id.eq(tenant.as_str()))
            .filter(audit_events::sequence.gt(after))
            .order(audit_events::sequence)
            .select((audit_events::sequence, audit_events::event, audit_events::action, audit_events::object_id))
            .limit(PAGE)
            .load(connection)?;
        let Some((last, ..)) = page.last() else { break };
        after = *last;
        let mut nodes = Vec::new();
        for (sequence, event, Word(action), object_id) in page {
            let leaf_hash = TreeHash::of_leaf(event.as_bytes());
            head.frontier.push(leaf_hash, |told| nodes.push(told));
            diesel::update(audit_events::table.find((tenant.as_str(), sequence)))
                .set(audit_events::leaf_hash.eq(Node(leaf_hash)))
                .execute(connection)?;
            if action == Action::Accepted {
                let id = object_id.and_then(|id| Uuid::parse_str(&id).ok());
                let id = id.ok_or_else(|| DeserializationError(format!("event {sequence} names no request").into()))?;
                diesel::update(mass_requests::table.find((tenant.as_str(), Id(id))))
                    .set((
                        mass_requests::audit_sequence.eq(sequence),
                        mass_requests::audit_leaf_hash.eq(Node(leaf_hash)),
                    ))
                    .execute(connection)?;
            }
        }
        store_nodes(connection, &head.stored(nodes))?;
    }
    head.store_end(connection)
}
