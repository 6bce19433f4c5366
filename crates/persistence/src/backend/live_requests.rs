//! Requests as they are stored, with their events, for verification.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use diesel::dsl::{case_when, count_star};
use diesel::prelude::*;
use mass_audit_service::live::{RequestCount, RequestPage, RequestRecord};
use mass_domain::audit::{Action, Object};
use mass_domain::canonical::Fingerprint;
use mass_domain::ids::MassRequestId;
use mass_domain::tenancy::TenantId;
use uuid::Uuid;

use super::Connection;
use super::audit::{column, count as number};
use crate::columns::{Id, ShownInstant};
use crate::rows::ObjectEventRow;
use crate::schema::{audit_archived_leaves, mass_requests};

/// The requests that are read at once, with their documents in memory.
const DOCUMENTS: usize = 64;

/// The stored columns of a request.
#[derive(Queryable, Selectable)]
#[diesel(table_name = mass_requests)]
struct RawRequest {
    id: Id,
    contract: String,
    status: String,
    outcome: String,
    version: i64,
    created_at: ShownInstant,
    updated_at: ShownInstant,
    created_by_kind: String,
    created_by_id: Option<Id>,
    corrects: Option<Id>,
    corrected_by: Option<Id>,
    deleted_at: Option<ShownInstant>,
    correlation_id: Option<String>,
    idempotency_key: Option<String>,
    site_id: Option<String>,
    device_id: Option<String>,
    observed_at: Option<ShownInstant>,
    natural_key: Option<String>,
    batch_id: Option<String>,
    call_id: Option<String>,
    warnings: String,
    fingerprint: Vec<u8>,
    document: String,
    audit_sequence: i64,
    audit_leaf_hash: Vec<u8>,
}

impl From<RawRequest> for RequestRecord {
    fn from(raw: RawRequest) -> Self {
        Self {
            id: MassRequestId::from_uuid(raw.id.0),
            contract: raw.contract,
            status: raw.status,
            outcome: raw.outcome,
            version: raw.version,
            created_at: raw.created_at.0,
            updated_at: raw.updated_at.0,
            created_by_kind: raw.created_by_kind,
            created_by_id: raw.created_by_id.map(|id| id.0),
            corrects: raw.corrects.map(|id| id.0),
            corrected_by: raw.corrected_by.map(|id| id.0),
            deleted_at: raw.deleted_at.map(|at| at.0),
            correlation_id: raw.correlation_id,
            idempotency_key: raw.idempotency_key,
            site_id: raw.site_id,
            device_id: raw.device_id,
            observed_at: raw.observed_at.map(|at| at.0),
            natural_key: raw.natural_key,
            batch_id: raw.batch_id,
            call_id: raw.call_id,
            warnings: raw.warnings,
            fingerprint: raw.fingerprint,
            document: Fingerprint::of(&raw.document),
            audit_sequence: number(raw.audit_sequence),
            audit_leaf_hash: raw.audit_leaf_hash,
            archived_leaf: None,
            events: Vec::new(),
        }
    }
}

/// Reads a page of requests with their events.
pub(super) fn records(
    connection: &mut Connection,
    tenant: &TenantId,
    ids: &[Uuid],
) -> QueryResult<HashMap<Uuid, RequestRecord>> {
    let mut records = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(DOCUMENTS) {
        let rows: Vec<RawRequest> = mass_requests::table
            .filter(mass_requests::tenant_id.eq(tenant.as_str()))
            .filter(mass_requests::id.eq_any(ids.iter().copied().map(Id)))
            .select(RawRequest::as_select())
            .load(connection)?;
        records.extend(rows.into_iter().map(|row| (row.id.0, RequestRecord::from(row))));
    }
    add_events(connection, tenant, &mut records)?;
    Ok(records)
}

/// Reads the versions of requests.
pub(super) fn versions(
    connection: &mut Connection,
    tenant: &TenantId,
    ids: &[Uuid],
) -> QueryResult<HashMap<Uuid, i64>> {
    let mut versions = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(DOCUMENTS) {
        let rows: Vec<(Id, i64)> = mass_requests::table
            .filter(mass_requests::tenant_id.eq(tenant.as_str()))
            .filter(mass_requests::id.eq_any(ids.iter().copied().map(Id)))
            .select((mass_requests::id, mass_requests::version))
            .load(connection)?;
        versions.extend(rows.into_iter().map(|(id, version)| (id.0, version)));
    }
    Ok(versions)
}

/// Adds the events of each request that looks changed, except the one that accepted it.
fn add_events(
    connection: &mut Connection,
    tenant: &TenantId,
    records: &mut HashMap<Uuid, RequestRecord>,
) -> QueryResult<()> {
    let changed = records.values().filter(|record| !record.looks_unchanged());
    let ids: Vec<_> = changed.filter_map(|record| Object::MassRequest(record.id).id().map(String::from)).collect();
    if ids.is_empty() {
        return Ok(());
    }
    for ObjectEventRow { object_id, sequence, event } in super::events_of_requests(connection, tenant, &ids)? {
        let id = object_id.and_then(|id| Uuid::parse_str(&id).ok());
        if let Some(record) = id.and_then(|id| records.get_mut(&id)).filter(|_| !event.is_empty()) {
            record.events.push((number(sequence), event));
        }
    }
    records.values_mut().for_each(|record| record.events.sort_unstable_by_key(|(sequence, _)| *sequence));
    Ok(())
}

/// Counts the requests, and those that name an acceptance event within a part of the log.
pub(super) fn count(
    connection: &mut Connection,
    tenant: &TenantId,
    within: &RangeInclusive<u64>,
) -> QueryResult<RequestCount> {
    let place = mass_requests::audit_sequence;
    let accepted_within = case_when(place.between(column(*within.start()), column(*within.end())), place);
    let (all, within): (i64, i64) = mass_requests::table
        .filter(mass_requests::tenant_id.eq(tenant.as_str()))
        .select((count_star(), diesel::dsl::count(accepted_within)))
        .first(connection)?;
    Ok(RequestCount { within: number(within), all: number(all) })
}

/// Reads the next requests in the order of their ids.
pub(super) fn page(
    connection: &mut Connection,
    tenant: &TenantId,
    skip: Option<&RangeInclusive<u64>>,
    after: Option<MassRequestId>,
    limit: u64,
) -> QueryResult<RequestPage> {
    super::read(connection, |connection| {
        let mut query = mass_requests::table
            .filter(mass_requests::tenant_id.eq(tenant.as_str()))
            .select((mass_requests::id, mass_requests::audit_sequence))
            .order(mass_requests::id)
            .limit(column(limit))
            .into_boxed();
        if let Some(after) = after {
            query = query.filter(mass_requests::id.gt(Id(after.as_uuid())));
        }
        if let Some(skip) = skip {
            let skipped = mass_requests::audit_sequence.between(column(*skip.start()), column(*skip.end()));
            query = query.filter(diesel::dsl::not(skipped));
        }
        let rows: Vec<(Id, i64)> = query.load(connection)?;
        let accepted = accepted(connection, tenant, rows.iter().map(|(_, place)| *place))?;
        let is_accepted = |(id, place): &&(Id, i64)| accepted.get(place) == Some(&id.0);
        let unaccepted: Vec<_> = rows.iter().filter(|row| !is_accepted(row)).map(|(id, _)| id.0).collect();
        let mut found = records(connection, tenant, &unaccepted)?;
        add_archived_leaves(connection, tenant, &mut found)?;
        Ok(RequestPage {
            requests: rows.len() as u64,
            last: rows.last().map(|(id, _)| MassRequestId::from_uuid(id.0)),
            unaccepted: unaccepted.iter().filter_map(|id| found.remove(id)).collect(),
        })
    })
}

/// Reads the requests that the events at these positions accepted.
fn accepted(
    connection: &mut Connection,
    tenant: &TenantId,
    places: impl Iterator<Item = i64>,
) -> QueryResult<HashMap<i64, Uuid>> {
    let places: Vec<i64> = places.collect();
    let events = super::events_at(connection, tenant, &places)?;
    let accepted = events.into_iter().filter(|event| event.action == Action::Accepted.as_str());
    Ok(accepted.filter_map(|event| Some((event.sequence, Uuid::parse_str(&event.object_id?).ok()?))).collect())
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
