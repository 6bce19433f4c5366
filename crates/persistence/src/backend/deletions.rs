//! Deletions of requests: of single ones, and of all that match a filter.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use mass_domain::audit::{Act, Action, NewEvent};
use mass_domain::contracts::ContractId;
use mass_domain::delivery::State;
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::{MassRequest, RequestFilter, RequestSummary};
use mass_domain::retention;
use mass_domain::tenancy::TenantId;
use mass_domain::validation::Warning;
use mass_service::{CountedSet, DeleteError, DeletedStep, Deletion, DeletionStep, DeletionsError, Found};
use uuid::Uuid;

use super::audit::{Head, column, count};
use super::delivery_reads::requests_with_deliveries;
use super::documents::{matching, octet_length};
use super::requests::{find, update};
use super::{Backend, Connection, audit_log, deliveries, legal_holds, quotas, recommendations};
use crate::columns::{Id, Instant, Json};
use crate::rows::{ObjectEventRow, SummaryRow};
use crate::schema::mass_requests;
use crate::store::ROWS_PER_STATEMENT;

/// Erases a request, and reinstates the version that it had superseded.
pub(super) fn delete(
    connection: &mut Connection,
    tenant: &TenantId,
    id: MassRequestId,
    deletion: Deletion,
) -> QueryResult<Result<(), DeleteError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let MassRequest { summary: request, document, .. } = match find(connection, tenant, id)? {
            Found::Present(request) => request,
            Found::Deleted => return Ok(Err(DeleteError::Gone)),
            Found::Absent => return Ok(Err(DeleteError::NotFound)),
        };
        if let Err(error) = deletion.judge(&request, &legal_holds::holds(connection, tenant)?) {
            return Ok(Err(error));
        }
        let Deletion { expected: _, actor, at, origin } = deletion;
        let mut events = Vec::new();
        recommendations::erase(connection, tenant, &[id])?;
        let erasure = Erasure { act: &Act { actor, at, origin }, retention_days: None };
        delete_request(connection, request, &erasure, true, &mut events)?;
        quotas::give_back(connection, tenant, document.len())?;
        head.append(connection, events)?;
        Ok(Ok(()))
    })
}

/// Counts the requests that match a filter.
pub(super) fn count_matching(
    connection: &mut Connection,
    tenant: &TenantId,
    filter: &RequestFilter,
    log_size: Option<u64>,
    after: Option<MassRequestId>,
) -> QueryResult<CountedSet> {
    super::read(connection, |connection| {
        let log_size = match log_size {
            Some(size) => size,
            None => audit_log::head(connection, tenant)?.size(),
        };
        let matched: i64 = counted(tenant, filter, log_size, after).count().get_result(connection)?;
        Ok(CountedSet { matched: count(matched), log_size })
    })
}

/// Requires that no legal hold covers requests of a contract, or of any.
pub(super) fn require_unheld(
    connection: &mut Connection,
    tenant: &TenantId,
    contract: Option<ContractId>,
) -> QueryResult<Result<(), DeletionsError>> {
    Ok(retention::require_unheld(&legal_holds::holds(connection, tenant)?, contract).map_err(Into::into))
}

/// Deletes the first requests of a counted set that have not changed since.
pub(super) fn delete_step(
    connection: &mut Connection,
    tenant: &TenantId,
    filter: &RequestFilter,
    step: DeletionStep,
) -> QueryResult<Result<DeletedStep, DeletionsError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        if let Err(held) = require_unheld(connection, tenant, filter.contract)? {
            return Ok(Err(held));
        }
        let DeletionStep { log_size, after, limit, actor, at, origin } = step;
        let first = counted(tenant, filter, log_size, after).order(mass_requests::id.asc()).limit(limit.into());
        let mut requests = with_sizes(first, connection)?;
        let ids: Vec<MassRequestId> = requests.iter().map(|(request, _)| request.id).collect();
        let changed = changed_since(connection, tenant, &ids, log_size)?;
        requests.retain(|(request, _)| !changed.contains(&request.id));
        let result = DeletedStep {
            deleted: requests.len() as u64,
            changed: (ids.len() - requests.len()) as u64,
            last: ids.last().copied(),
        };
        if requests.is_empty() {
            return Ok(Ok(result));
        }
        let mut events = Vec::new();
        let erasure = Erasure { act: &Act { actor, at, origin }, retention_days: None };
        delete_all(connection, tenant, requests, &erasure, &mut events)?;
        head.append(connection, events)?;
        Ok(Ok(result))
    })
}

/// Loads requests with the sizes of their documents.
pub(super) fn with_sizes(
    query: mass_requests::BoxedQuery<'_, Backend>,
    connection: &mut Connection,
) -> QueryResult<Vec<(RequestSummary, usize)>> {
    let rows: Vec<(SummaryRow, i32)> =
        query.select((SummaryRow::as_select(), octet_length(mass_requests::document))).load(connection)?;
    rows.into_iter().map(|(row, bytes)| Ok((row.into_summary()?, bytes.unsigned_abs() as usize))).collect()
}

/// What the events of erased requests have in common.
pub(super) struct Erasure<'a> {
    /// The actor, the time and the origin.
    pub(super) act: &'a Act,
    /// The age of the rule that lets the requests go; `None` if somebody deletes them.
    pub(super) retention_days: Option<u16>,
}

/// Erases requests, smallest id first, and adds the events.
pub(super) fn delete_all(
    connection: &mut Connection,
    tenant: &TenantId,
    requests: Vec<(RequestSummary, usize)>,
    erasure: &Erasure<'_>,
    events: &mut Vec<NewEvent>,
) -> QueryResult<()> {
    if requests.is_empty() {
        return Ok(());
    }
    let ids: Vec<MassRequestId> = requests.iter().map(|(request, _)| request.id).collect();
    let delivered = requests_with_deliveries(connection, tenant, &ids)?;
    recommendations::erase(connection, tenant, &ids)?;
    let mut reinstated: HashMap<MassRequestId, RequestSummary> = HashMap::new();
    let mut erased = 0;
    for (request, bytes) in requests {
        let request = reinstated.remove(&request.id).unwrap_or(request);
        let has_delivery = delivered.contains(&request.id);
        let older = delete_request(connection, request, erasure, has_delivery, events)?;
        reinstated.extend(older.map(|older| (older.id, older)));
        erased += bytes;
    }
    quotas::give_back(connection, tenant, erased)
}

/// Builds the query for the requests of a counted set with ids above `after`.
fn counted<'a>(
    tenant: &'a TenantId,
    filter: &'a RequestFilter,
    log_size: u64,
    after: Option<MassRequestId>,
) -> mass_requests::BoxedQuery<'a, Backend> {
    let query = matching(tenant, filter).filter(mass_requests::audit_sequence.le(column(log_size)));
    match after {
        Some(after) => query.filter(mass_requests::id.gt(Id(after.as_uuid()))),
        None => query,
    }
}

/// Returns those of these requests that have events after the first `log_size` of the log.
fn changed_since(
    connection: &mut Connection,
    tenant: &TenantId,
    ids: &[MassRequestId],
    log_size: u64,
) -> QueryResult<HashSet<MassRequestId>> {
    let mut changed = HashSet::new();
    for ids in ids.chunks(ROWS_PER_STATEMENT) {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        for ObjectEventRow { object_id, sequence, .. } in super::events_of_requests(connection, tenant, &ids)? {
            let id = object_id.and_then(|id| Uuid::parse_str(&id).ok()).map(MassRequestId::from_uuid);
            changed.extend(id.filter(|_| sequence > column(log_size)));
        }
    }
    Ok(changed)
}

/// Erases a request, cancels its delivery, and adds the events. Returns the version that it reinstates.
fn delete_request(
    connection: &mut Connection,
    mut request: RequestSummary,
    erasure: &Erasure<'_>,
    has_delivery: bool,
    events: &mut Vec<NewEvent>,
) -> QueryResult<Option<RequestSummary>> {
    let act = erasure.act;
    request.touch(act);
    erase(connection, &request)?;
    let event = request.event(act, Action::Deleted);
    events.push(match erasure.retention_days {
        Some(days) => event.with("retention_days", days),
        None => event,
    });
    if has_delivery {
        let without_answer = [State::Queued, State::Leased, State::Dead];
        events.extend(deliveries::abandon(connection, &request, act, &without_answer)?);
    }
    let Some(mut older) = version_to_reinstate(connection, &request)? else { return Ok(None) };
    older.corrected_by = None;
    older.touch(act);
    update(connection, &older)?;
    events.push(older.event(act, Action::Reinstated).with("deleted", request.id.to_string()));
    Ok(Some(older))
}

/// Erases all of a request except its id, contract and fingerprint.
fn erase(connection: &mut Connection, request: &RequestSummary) -> QueryResult<()> {
    let nothing = None::<&str>;
    diesel::update(mass_requests::table.find((request.tenant_id.as_str(), Id(request.id.as_uuid()))))
        .set((
            mass_requests::version.eq(request.version),
            mass_requests::updated_at.eq(Instant(request.updated_at)),
            mass_requests::deleted_at.eq(Instant(request.updated_at)),
            mass_requests::document.eq(""),
            mass_requests::warnings.eq(Json(&[] as &[Warning])),
            mass_requests::correlation_id.eq(nothing),
            mass_requests::idempotency_key.eq(nothing),
            mass_requests::site_id.eq(nothing),
            mass_requests::device_id.eq(nothing),
            mass_requests::observed_at.eq(None::<Instant>),
            mass_requests::natural_key.eq(nothing),
            mass_requests::batch_id.eq(nothing),
            mass_requests::call_id.eq(nothing),
        ))
        .execute(connection)?;
    Ok(())
}

/// Finds the version to reinstate when the current one is deleted: the nearest in its chain of corrections that is not
/// deleted. None if the deleted version was superseded.
fn version_to_reinstate(connection: &mut Connection, deleted: &RequestSummary) -> QueryResult<Option<RequestSummary>> {
    let mut next = deleted.corrects.filter(|_| deleted.corrected_by.is_none());
    while let Some(id) = next {
        let (row, is_deleted): (SummaryRow, bool) = mass_requests::table
            .find((deleted.tenant_id.as_str(), Id(id.as_uuid())))
            .select((SummaryRow::as_select(), mass_requests::deleted_at.is_not_null()))
            .first(connection)?;
        let older = row.into_summary()?;
        if !is_deleted {
            return Ok(Some(older));
        }
        next = older.corrects;
    }
    Ok(None)
}
