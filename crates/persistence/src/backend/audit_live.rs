//! The audit trail as it is stored, for whoever verifies it.

use std::collections::HashMap;

use diesel::dsl::max;
use diesel::prelude::*;
use mass_audit_service::live::{ArchivedLeaf, EventRecord, Extent, Part, RequestRecord};
use mass_domain::audit::tree::{Subtree, TreeHash};
use mass_domain::audit::{Action, Object};
use mass_domain::canonical::Fingerprint;
use mass_domain::ids::MassRequestId;
use mass_domain::tenancy::TenantId;
use uuid::Uuid;

use super::Connection;
use super::audit::{STORED_LEVELS, column, count};
use super::audit_tree::StoredTree;
use crate::columns::{Id, Instant, Node};
use crate::schema::{audit_archived_leaves, audit_events, audit_heads, audit_nodes, mass_requests};
use crate::store::ROWS_PER_STATEMENT;

/// How many documents are in memory at once.
const DOCUMENTS: usize = 16;

/// Where a log ends.
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

/// What is stored of the events after a place.
pub(super) fn part(connection: &mut Connection, tenant: &TenantId, after: u64, places: u64) -> QueryResult<Part> {
    super::read(connection, |connection| {
        let archived = archived(connection, tenant, after, places)?;
        let mut events = events(connection, tenant, after, places)?;
        let is_accepted = |event: &&mut EventRecord| event.action == Action::Accepted.as_str();
        let ids: Vec<_> = events.iter_mut().filter(is_accepted).filter_map(|event| id_of(event)).collect();
        let mut requests = records(connection, tenant, &ids)?;
        add_documents(connection, tenant, requests.values_mut().collect())?;
        for event in events.iter_mut().filter(is_accepted) {
            event.request = id_of(event).and_then(|id| requests.remove(&id));
        }
        Ok(Part { archived, events, nodes: nodes(connection, tenant, after, places)? })
    })
}

fn id_of(event: &EventRecord) -> Option<Uuid> {
    Uuid::parse_str(event.object_id.as_deref()?).ok()
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

/// The columns of an event as they are stored.
#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_events)]
struct RawEvent {
    sequence: i64,
    at: Instant,
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

/// The stored nodes whose last leaf is among these places.
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

/// Requests in the order of their ids.
pub(super) fn requests(
    connection: &mut Connection,
    tenant: &TenantId,
    after: Option<MassRequestId>,
    limit: u64,
) -> QueryResult<Vec<RequestRecord>> {
    super::read(connection, |connection| {
        let mut query = mass_requests::table
            .filter(mass_requests::tenant_id.eq(tenant.as_str()))
            .select(mass_requests::id)
            .order(mass_requests::id)
            .limit(column(limit))
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(mass_requests::id.gt(Id(after.as_uuid())));
        }
        let ids: Vec<_> = query.load(connection)?.into_iter().map(|id: Id| id.0).collect();
        let mut found = records(connection, tenant, &ids)?;
        let mut requests: Vec<_> = ids.iter().filter_map(|id| found.remove(id)).collect();
        let unaccepted = requests.iter_mut().filter(|request| request.accepted_in.is_none());
        add_documents(connection, tenant, unaccepted.collect())?;
        Ok(requests)
    })
}

/// The columns of a request as they are stored.
#[derive(Queryable, Selectable)]
#[diesel(table_name = mass_requests)]
struct RawRequest {
    id: Id,
    contract: String,
    fingerprint: Vec<u8>,
    deleted_at: Option<Instant>,
    audit_sequence: i64,
    audit_leaf_hash: Vec<u8>,
}

impl From<RawRequest> for RequestRecord {
    fn from(raw: RawRequest) -> Self {
        Self {
            id: MassRequestId::from_uuid(raw.id.0),
            contract: raw.contract,
            fingerprint: raw.fingerprint,
            document: None,
            deleted: raw.deleted_at.is_some(),
            audit_sequence: count(raw.audit_sequence),
            audit_leaf_hash: raw.audit_leaf_hash,
            accepted_in: None,
            deleted_in: None,
            archived_leaf: None,
        }
    }
}

/// Requests with what the log tells of them, without the fingerprints of their documents.
fn records(connection: &mut Connection, tenant: &TenantId, ids: &[Uuid]) -> QueryResult<HashMap<Uuid, RequestRecord>> {
    let mut records = HashMap::new();
    for ids in ids.chunks(ROWS_PER_STATEMENT) {
        let rows: Vec<RawRequest> = mass_requests::table
            .filter(mass_requests::tenant_id.eq(tenant.as_str()))
            .filter(mass_requests::id.eq_any(ids.iter().copied().map(Id)))
            .select(RawRequest::as_select())
            .load(connection)?;
        let mut found: HashMap<_, _> = rows.into_iter().map(|row| (row.id.0, RequestRecord::from(row))).collect();
        add_events(connection, tenant, &mut found)?;
        add_archived_leaves(connection, tenant, &mut found)?;
        records.extend(found);
    }
    Ok(records)
}

fn add_events(
    connection: &mut Connection,
    tenant: &TenantId,
    records: &mut HashMap<Uuid, RequestRecord>,
) -> QueryResult<()> {
    let objects: Vec<_> = records.values().map(|record| Object::MassRequest(record.id)).collect();
    let events: Vec<(Option<String>, String, i64)> = audit_events::table
        .filter(audit_events::tenant_id.eq(tenant.as_str()))
        .filter(audit_events::object_kind.eq("mass_request"))
        .filter(audit_events::object_id.eq_any(objects.iter().map(Object::id)))
        .filter(audit_events::action.eq_any([Action::Accepted.as_str(), Action::Deleted.as_str()]))
        .order(audit_events::sequence)
        .select((audit_events::object_id, audit_events::action, audit_events::sequence))
        .load(connection)?;
    for (id, action, sequence) in events {
        let id = id.and_then(|id| Uuid::parse_str(&id).ok());
        let Some(record) = id.and_then(|id| records.get_mut(&id)) else { continue };
        let place = if action == Action::Accepted.as_str() { &mut record.accepted_in } else { &mut record.deleted_in };
        place.get_or_insert(count(sequence));
    }
    Ok(())
}

fn add_archived_leaves(
    connection: &mut Connection,
    tenant: &TenantId,
    records: &mut HashMap<Uuid, RequestRecord>,
) -> QueryResult<()> {
    let places = records.values().map(|record| column(record.audit_sequence));
    let leaves: Vec<(i64, Vec<u8>)> = audit_archived_leaves::table
        .filter(audit_archived_leaves::tenant_id.eq(tenant.as_str()))
        .filter(audit_archived_leaves::sequence.eq_any(places))
        .select((audit_archived_leaves::sequence, audit_archived_leaves::leaf_hash))
        .load(connection)?;
    let leaves: HashMap<_, _> = leaves.into_iter().collect();
    for record in records.values_mut() {
        record.archived_leaf = leaves.get(&column(record.audit_sequence)).cloned();
    }
    Ok(())
}

fn add_documents(connection: &mut Connection, tenant: &TenantId, records: Vec<&mut RequestRecord>) -> QueryResult<()> {
    let mut records: HashMap<_, _> = records.into_iter().map(|record| (record.id.as_uuid(), record)).collect();
    let ids: Vec<_> = records.keys().copied().collect();
    for ids in ids.chunks(DOCUMENTS) {
        let documents: Vec<(Id, String)> = mass_requests::table
            .filter(mass_requests::tenant_id.eq(tenant.as_str()))
            .filter(mass_requests::id.eq_any(ids.iter().copied().map(Id)))
            .select((mass_requests::id, mass_requests::document))
            .load(connection)?;
        for (id, document) in documents {
            if let Some(record) = records.get_mut(&id.0) {
                record.document = Some(Fingerprint::of(&document));
            }
        }
    }
    Ok(())
}
