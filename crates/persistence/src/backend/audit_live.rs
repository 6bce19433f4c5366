//! The audit trail as it is stored, for verification.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use diesel::dsl::max;
use diesel::prelude::*;
use mass_audit_service::live::{
    ArchivedLeaf, EventRecord, Extent, LiveStore, Part, RequestCount, RequestPage, UserRecords,
};
use mass_domain::audit::Action;
use mass_domain::audit::tree::{Subtree, TreeHash};
use mass_domain::ids::MassRequestId;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use uuid::Uuid;

use super::audit::{STORED_LEVELS, column, count};
use super::audit_tree::StoredTree;
use super::{Connection, Store, live_requests, live_users};
use crate::columns::{Id, Node, ShownInstant};
use crate::schema::{audit_archived_leaves, audit_events, audit_heads, audit_nodes};

#[async_trait]
impl LiveStore for Store {
    async fn extent(&self, tenant: &TenantId) -> Result<Extent, PortError> {
        self.reads.read_for(tenant, extent).await
    }

    async fn part(&self, tenant: &TenantId, after: u64, count: u64) -> Result<Part, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| part(connection, tenant, after, count)).await
    }

    async fn count_requests(&self, tenant: &TenantId, within: RangeInclusive<u64>) -> Result<RequestCount, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| live_requests::count(connection, tenant, &within)).await
    }

    async fn requests(
        &self,
        tenant: &TenantId,
        skip: Option<RangeInclusive<u64>>,
        after: Option<MassRequestId>,
        limit: u64,
    ) -> Result<RequestPage, PortError> {
        self.reads
            .read_for(tenant, move |connection, tenant| {
                live_requests::page(connection, tenant, skip.as_ref(), after, limit)
            })
            .await
    }

    async fn users(&self, tenant: &TenantId, after: u64) -> Result<UserRecords, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| live_users::users(connection, tenant, after)).await
    }
}

/// Reads the extent of a log.
pub(super) fn extent(connection: &mut Connection, tenant: &TenantId) -> QueryResult<Extent> {
    super::read(connection, |connection| {
        let head: Option<(i64, Vec<u8>)> = audit_heads::table
            .find(tenant.as_str())
            .select((audit_heads::size, audit_heads::frontier))
            .first(connection)
            .optional()?;
        let (size, peaks) = head.unwrap_or_default();
        let last: Option<i64> = audit_events::table
            .filter(audit_events::tenant_id.eq(tenant.as_str()))
            .select(max(audit_events::sequence))
            .first(connection)?;
        let archived: Option<i64> = audit_archived_leaves::table
            .filter(audit_archived_leaves::tenant_id.eq(tenant.as_str()))
            .select(max(audit_archived_leaves::sequence))
            .first(connection)?;
        let nodes: i64 =
            audit_nodes::table.filter(audit_nodes::tenant_id.eq(tenant.as_str())).count().get_result(connection)?;
        let last = last.max(archived).map_or(0, count);
        Ok(Extent { size: count(size), peaks, last, nodes: count(nodes) })
    })
}

/// Reads the stored events after a position.
pub(super) fn part(connection: &mut Connection, tenant: &TenantId, after: u64, places: u64) -> QueryResult<Part> {
    super::read(connection, |connection| {
        let archived = archived(connection, tenant, after, places)?;
        let mut events = events(connection, tenant, after, places)?;
        let of_requests: Vec<_> = events.iter_mut().filter_map(|event| Some((id_of(event)?, event))).collect();
        let (accepted, later): (Vec<_>, Vec<_>) =
            of_requests.into_iter().partition(|(_, event)| event.action == Action::Accepted.as_str());
        let ids = |events: &[(Uuid, _)]| events.iter().map(|(id, _)| *id).collect::<Vec<_>>();
        let mut requests = live_requests::records(connection, tenant, &ids(&accepted))?;
        for (id, event) in accepted {
            event.request = requests.remove(&id);
        }
        let versions = live_requests::versions(connection, tenant, &ids(&later))?;
        for (id, event) in later {
            event.request_version = versions.get(&id).copied();
        }
        Ok(Part { archived, events, nodes: nodes(connection, tenant, after, places)? })
    })
}

/// Returns the id of the request that an event is about.
fn id_of(event: &EventRecord) -> Option<Uuid> {
    let id = event.object_id.as_deref().filter(|_| event.object_kind == "mass_request")?;
    Uuid::parse_str(id).ok()
}

fn archived(connection: &mut Connection, tenant: &TenantId, after: u64, places: u64) -> QueryResult<Vec<ArchivedLeaf>> {
    let rows: Vec<(i64, Vec<u8>)> = audit_archived_leaves::table
        .filter(audit_archived_leaves::tenant_id.eq(tenant.as_str()))
        .filter(audit_archived_leaves::sequence.between(column(after + 1), column(after + places)))
        .order(audit_archived_leaves::sequence)
        .select((audit_archived_leaves::sequence, audit_archived_leaves::leaf_hash))
        .load(connection)?;
    Ok(rows.into_iter().map(|(sequence, leaf_hash)| ArchivedLeaf { sequence: count(sequence), leaf_hash }).collect())
}

/// The stored columns of an event.
#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_events)]
struct RawEvent {
    sequence: i64,
    at: ShownInstant,
    actor_kind: String,
    actor_id: Option<Id>,
    action: String,
    object_kind: String,
    object_id: Option<String>,
    outcome: String,
    event: String,
    leaf_hash: Vec<u8>,
}

impl From<RawEvent> for EventRecord {
    fn from(raw: RawEvent) -> Self {
        Self {
            sequence: count(raw.sequence),
            at: raw.at.0,
            actor_kind: raw.actor_kind,
            actor_id: raw.actor_id.map(|id| id.0),
            action: raw.action,
            object_kind: raw.object_kind,
            object_id: raw.object_id,
            outcome: raw.outcome,
            event: raw.event,
            leaf_hash: raw.leaf_hash,
            request: None,
            request_version: None,
        }
    }
}

fn events(connection: &mut Connection, tenant: &TenantId, after: u64, places: u64) -> QueryResult<Vec<EventRecord>> {
    let rows: Vec<RawEvent> = audit_events::table
        .filter(audit_events::tenant_id.eq(tenant.as_str()))
        .filter(audit_events::sequence.between(column(after + 1), column(after + places)))
        .order(audit_events::sequence)
        .select(RawEvent::as_select())
        .load(connection)?;
    Ok(rows.into_iter().map(EventRecord::from).collect())
}

/// Reads the stored nodes whose last leaf is among these positions.
fn nodes(
    connection: &mut Connection,
    tenant: &TenantId,
    after: u64,
    places: u64,
) -> QueryResult<Vec<(Subtree, TreeHash)>> {
    let mut tree = StoredTree::new(connection, tenant);
    let mut nodes = Vec::new();
    for level in (STORED_LEVELS..u64::BITS).step_by(STORED_LEVELS as usize) {
        let (first, next) = (after >> level, (after + places) >> level);
        if first < next {
            let found = tree.nodes(level, column(first), column(next - first))?;
            nodes
                .extend(found.into_iter().map(|(place, Node(hash))| (Subtree { level, position: count(place) }, hash)));
        }
    }
    Ok(nodes)
}
