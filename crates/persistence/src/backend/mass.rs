//! MASS requests: what the port's methods do in their transactions.

use std::collections::HashMap;

use anyhow::anyhow;
use async_trait::async_trait;
use diesel::prelude::*;
use mass_domain::audit::tree::Frontier;
use mass_domain::audit::{Act, Action, Event, NewEvent};
use mass_domain::contracts::ContractId;
use mass_domain::delivery::State;
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::{AuditLeaf, Filter, IdempotencyKey, MassRequest, Status, Summary};
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tenancy::{CredentialsVersion, TenantId};
use mass_domain::time::Timestamp;
use mass_domain::validation::Warning;
use mass_service::{
    DeleteError, Deletion, Found, KeyRecord, MassStore, Receipt, Refusal, Snapshot, StoredVersion, Submission, Transition,
    TransitionError,
};

use super::audit::{self, Growth, Head, Place};
use super::{Connection, Store, deliveries, quotas, recommendations};
use crate::batch::{Batch, NaturalKey};
use crate::columns::{Id, Instant, Json, Word};
use crate::deed::Deed;
use crate::foresight::{Foresight, Left};
use crate::group_commit::{Documents, Results};
use crate::id_bounds::{lowest_id_after, lowest_id_from};
use crate::rows::{Addition, Assumed, MetKeyRow, RequestRow, SummaryRow, UsageRow, VersionRow};
use crate::schema::{idempotency_keys, mass_requests, tenants};
use crate::store::ROWS_PER_STATEMENT;

#[async_trait]
impl MassStore for Store {
    async fn accept(
        &self,
        tenant: &TenantId,
        submissions: Vec<Submission>,
        refused: Vec<NewEvent>,
    ) -> Result<Vec<Result<Receipt, Refusal>>, PortError> {
        super::in_place(self)?;
        let results = self.accepting.accept(tenant, submissions, refused, None).await?;
        results
            .ok_or_else(|| PortError::Unexpected(anyhow!("documents were not accepted, although under no condition")))
    }

    async fn accept_as_of(
        &self,
        tenant: &TenantId,
        version: CredentialsVersion,
        submissions: Vec<Submission>,
        refused: Vec<NewEvent>,
    ) -> Result<Option<Vec<Result<Receipt, Refusal>>>, PortError> {
        super::in_place(self)?;
        self.accepting.accept(tenant, submissions, refused, Some(version)).await
    }

    async fn accept_all_or_none(
        &self,
        tenant: &TenantId,
        submissions: Vec<Submission>,
    ) -> Result<Vec<Result<Receipt, Refusal>>, PortError> {
        super::in_place(self)?;
        self.writes
            .run_for(tenant, move |connection, tenant| accept_all_or_none(connection, tenant, &submissions))
            .await
    }

    async fn find(&self, tenant: &TenantId, id: MassRequestId) -> Result<Found<MassRequest>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| find(connection, tenant, id)).await
    }

    async fn find_as_of(
        &self,
        tenant: &TenantId,
        version: CredentialsVersion,
        id: MassRequestId,
    ) -> Result<Option<Found<MassRequest>>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| find_as_of(connection, tenant, version, id)).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &Filter,
        before: Option<MassRequestId>,
        limit: Limit,
    ) -> Result<Vec<Summary>, PortError> {
        let filter = filter.clone();
        self.reads
            .read_for(tenant, move |connection, tenant| list(connection, tenant, &filter, before, limit))
            .await
    }

    async fn events(&self, tenant: &TenantId, id: MassRequestId) -> Result<Found<Vec<Event>>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| events(connection, tenant, id)).await
    }

    async fn transition(
        &self,
        tenant: &TenantId,
        id: MassRequestId,
        transition: Transition,
    ) -> Result<MassRequest, TransitionError> {
        self.writes
            .run_for(tenant, move |connection, tenant| self::transition(connection, tenant, id, transition))
            .await?
    }

    async fn delete(&self, tenant: &TenantId, id: MassRequestId, deletion: Deletion) -> Result<(), DeleteError> {
        let delete =
            move |connection: &mut Connection, tenant: &TenantId| delete(connection, tenant, id, deletion);
        let deleted = self.writes.run_for(tenant, delete).await?;
        if deleted.is_ok() {
            super::sweep(self).await;
        }
        deleted
    }
}

/// Judges and stores submissions, and records what was refused before; nothing and `None` if the tenant's credentials are
/// at another version than they are to be.
pub(crate) fn accept(
    connection: &mut Connection,
    tenant: &TenantId,
    documents: Documents<'_>,
    foresight: &mut Foresight,
) -> QueryResult<Option<Results>> {
    let mut foreseen = None;
    if super::ROUND_TRIPS_COST
        && let Some(left) = foresight.take()
        && documents.may_come_at(left.terms.credentials)
    {
        let credentials = left.terms.credentials;
        match accept_foreseen(connection, tenant, documents, left, foresight)? {
            Foreseen::Held(results) => return Ok(Some(results)),
            Foreseen::Failed => foreseen = Some(credentials),
            Foreseen::Void => {}
        }
    }
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let mut batch = batch_for(connection, tenant, documents.submissions)?;
        let terms = batch.terms();
        // Credentials change seldom: that alone is no reason to ask more often.
        if foreseen == Some(terms.credentials) {
            foresight.failed();
        }
        if !documents.may_come_at(terms.credentials) {
            foresight.learned(Left { frontier: head.frontier, terms });
            return Ok(None);
        }
        let results = judge(&mut batch, documents.submissions, documents.refused)?;
        let frontier = store(connection, head, &mut batch)?;
        if batch.met_nothing() {
            foresight.learned(Left { frontier, terms: batch.terms() });
        }
        Ok(Some(placed(&batch, results)))
    })
}

/// What came of documents that were judged by what was foreseen.
enum Foreseen {
    /// They are stored.
    Held(Results),
    /// Nothing is: something else is stored than was foreseen.
    Failed,
    /// There is nothing to write, so that nothing tells whether it is as was foreseen.
    Void,
}

/// The same without asking what is stored.
fn accept_foreseen(
    connection: &mut Connection,
    tenant: &TenantId,
    documents: Documents<'_>,
    left: Left,
    foresight: &mut Foresight,
) -> QueryResult<Foreseen> {
    let mut batch = Batch::new(tenant, HashMap::new(), HashMap::new(), left.terms);
    let results = judge(&mut batch, documents.submissions, documents.refused)?;
    if batch.is_void() {
        return Ok(Foreseen::Void);
    }
    let head = Head::left_at(tenant, left.frontier);
    let assumed = Assumed::of(documents.submissions, left.terms.credentials);
    let Some(frontier) = add(connection, head, &mut batch, assumed)? else { return Ok(Foreseen::Failed) };
    foresight.held(Left { frontier, terms: batch.terms() });
    Ok(Foreseen::Held(placed(&batch, results)))
}

fn judge(batch: &mut Batch, submissions: &[Submission], refused: &[NewEvent]) -> QueryResult<Results> {
    batch.record(refused);
    submissions.iter().map(|sent| batch.accept(sent)).collect()
}

fn placed(batch: &Batch, results: Results) -> Results {
    results.into_iter().map(|result| result.map(|receipt| batch.placed(receipt))).collect()
}

/// Judges submissions, and stores them if none is refused.
pub(super) fn accept_all_or_none(
    connection: &mut Connection,
    tenant: &TenantId,
    submissions: &[Submission],
) -> QueryResult<Vec<Result<Receipt, Refusal>>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let mut batch = batch_for(connection, tenant, submissions)?;
        let results = judge(&mut batch, submissions, &[])?;
        if results.iter().all(Result::is_ok) {
            store(connection, head, &mut batch)?;
        }
        Ok(placed(&batch, results))
    })
}

/// A batch that has all that these submissions can meet.
fn batch_for(connection: &mut Connection, tenant: &TenantId, submissions: &[Submission]) -> QueryResult<Batch> {
    let keys = remembered_keys(connection, tenant, submissions)?;
    let versions = stored_versions(connection, tenant, submissions)?;
    let mut batch = Batch::new(tenant, keys, versions, quotas::terms(connection, tenant)?);
    for ids in batch.needed(submissions).chunks(ROWS_PER_STATEMENT) {
        for request in requests(connection, tenant, ids)? {
            batch.give(request);
        }
    }
    Ok(batch)
}

fn remembered_keys(
    connection: &mut Connection,
    tenant: &TenantId,
    submissions: &[Submission],
) -> QueryResult<HashMap<IdempotencyKey, (KeyRecord, Snapshot)>> {
    let sent: Vec<_> = submissions.iter().filter_map(|sent| sent.idempotency_key.as_ref()).collect();
    let mut remembered = HashMap::new();
    for keys in sent.chunks(ROWS_PER_STATEMENT) {
        let keys: Vec<_> = keys.iter().map(|key| key.as_str()).collect();
        for MetKeyRow { key, deleted } in super::met_keys(connection, tenant, &keys)? {
            let (key, record, snapshot) = key.into_parts(deleted)?;
            remembered.insert(key, (record, snapshot));
        }
    }
    Ok(remembered)
}

fn stored_versions(
    connection: &mut Connection,
    tenant: &TenantId,
    submissions: &[Submission],
) -> QueryResult<HashMap<NaturalKey, Vec<StoredVersion>>> {
    let mut sent: HashMap<ContractId, Vec<&str>> = HashMap::new();
    for submission in submissions {
        if let Some(key) = &submission.examined.index.natural_key {
            sent.entry(submission.examined.contract).or_default().push(key);
        }
    }
    let mut versions: HashMap<NaturalKey, Vec<StoredVersion>> = HashMap::new();
    for (contract, keys) in sent {
        for keys in keys.chunks(ROWS_PER_STATEMENT) {
            for VersionRow { natural_key, id, fingerprint, superseded } in
                super::met_versions(connection, tenant, contract, keys)?
            {
                let id = MassRequestId::from_uuid(id.0);
                let version = StoredVersion { id, fingerprint: fingerprint.0, superseded };
                versions.entry((contract, natural_key)).or_default().push(version);
            }
        }
    }
    Ok(versions)
}

fn requests(connection: &mut Connection, tenant: &TenantId, ids: &[MassRequestId]) -> QueryResult<Vec<MassRequest>> {
    mass_requests::table
        .filter(mass_requests::tenant_id.eq(tenant.as_str()))
        .filter(mass_requests::id.eq_any(ids.iter().map(|id| Id(id.as_uuid()))))
        .select(RequestRow::as_select())
        .load(connection)?
        .into_iter()
        .map(RequestRow::into_request)
        .collect()
}

/// Stores what a batch adds to what it met, and tells where the log ends then.
fn store(connection: &mut Connection, head: Head, batch: &mut Batch) -> QueryResult<Frontier> {
    // Before the new ones, since of all versions of a natural key one alone may stand.
    for older in batch.superseded() {
        update(connection, older)?;
    }
    add(connection, head, batch, Assumed::default())?.ok_or(diesel::NotFound)
}

/// Adds what is new, if the log ends where the head is and what is assumed holds; and tells where the log ends then.
fn add(
    connection: &mut Connection,
    head: Head,
    batch: &mut Batch,
    assumed: Assumed<'_>,
) -> QueryResult<Option<Frontier>> {
    let before = head.end();
    let Growth { head, rows: events, nodes, places } = head.grow(batch.take_events());
    let leaf = |Place { sequence, leaf_hash }| AuditLeaf { sequence, leaf_hash };
    batch.place(&places.into_iter().map(leaf).collect::<Vec<_>>());
    let (tenant, usage) = (batch.tenant(), UsageRow::new(batch.tenant(), batch.terms().usage));
    let (requests, keys) = (batch.request_rows(), batch.key_rows());
    if events.is_empty() && keys.is_empty() {
        return Ok(Some(head.frontier));
    }
    let queue = batch.queue_rows();
    let addition = Addition { tenant, before, assumed, head: head.end(), usage, events, nodes, requests, keys, queue };
    Ok(super::add(connection, &addition)?.then_some(head.frontier))
}

/// Writes what can change of a request.
pub(super) fn update(connection: &mut Connection, request: &Summary) -> QueryResult<()> {
    diesel::update(mass_requests::table.find((request.tenant_id.as_str(), Id(request.id.as_uuid()))))
        .set((
            mass_requests::status.eq(Word(request.status)),
            mass_requests::version.eq(request.version),
            mass_requests::updated_at.eq(Instant(request.updated_at)),
            mass_requests::corrected_by.eq(request.corrected_by.map(|id| Id(id.as_uuid()))),
        ))
        .execute(connection)?;
    Ok(())
}

/// Finds a request.
pub(super) fn find(
    connection: &mut Connection,
    tenant: &TenantId,
    id: MassRequestId,
) -> QueryResult<Found<MassRequest>> {
    let row: Option<(RequestRow, bool)> = mass_requests::table
        .find((tenant.as_str(), Id(id.as_uuid())))
        .select((RequestRow::as_select(), mass_requests::deleted_at.is_not_null()))
        .first(connection)
        .optional()?;
    row.map_or(Ok(Found::Absent), |(row, deleted)| found(row, deleted))
}

/// Finds a request if the tenant's credentials are at a version.
pub(super) fn find_as_of(
    connection: &mut Connection,
    tenant: &TenantId,
    CredentialsVersion(version): CredentialsVersion,
    id: MassRequestId,
) -> QueryResult<Option<Found<MassRequest>>> {
    let row: Option<(RequestRow, bool)> = mass_requests::table
        .find((tenant.as_str(), Id(id.as_uuid())))
        .inner_join(tenants::table.on(tenants::id.eq(mass_requests::tenant_id)))
        .filter(tenants::credentials_version.eq(version))
        .select((RequestRow::as_select(), mass_requests::deleted_at.is_not_null()))
        .first(connection)
        .optional()?;
    row.map(|(row, deleted)| found(row, deleted)).transpose()
}

fn found(row: RequestRow, deleted: bool) -> QueryResult<Found<MassRequest>> {
    if deleted { Ok(Found::Deleted) } else { row.into_request().map(Found::Present) }
}

/// Lists requests, newest first.
pub(super) fn list(
    connection: &mut Connection,
    tenant: &TenantId,
    filter: &Filter,
    before: Option<MassRequestId>,
    limit: Limit,
) -> QueryResult<Vec<Summary>> {
    let Filter {
        status,
        contract,
        site_id,
        device_id,
        correlation_id,
        created_from,
        created_to,
        observed_from,
        observed_to,
    } = filter;
    let mut query = mass_requests::table
        .filter(mass_requests::tenant_id.eq(tenant.as_str()))
        .filter(mass_requests::deleted_at.is_null())
        .select(SummaryRow::as_select())
        .order(mass_requests::id.desc())
        .limit(i64::from(limit.get()) + 1)
        .into_boxed();
    if let Some(before) = before {
        query = query.filter(mass_requests::id.lt(Id(before.as_uuid())));
    }
    if let Some(status) = status {
        query = query.filter(mass_requests::status.eq(status.as_str()));
    }
    if let Some(contract) = contract {
        query = query.filter(mass_requests::contract.eq(Word(*contract)));
    }
    if let Some(site_id) = site_id {
        query = query.filter(mass_requests::site_id.eq(site_id));
    }
    if let Some(device_id) = device_id {
        query = query.filter(mass_requests::device_id.eq(device_id));
    }
    if let Some(correlation_id) = correlation_id {
        query = query.filter(mass_requests::correlation_id.eq(correlation_id));
    }
    if let Some(from) = created_from {
        query = query
            .filter(mass_requests::created_at.ge(Instant(*from)))
            .filter(mass_requests::id.ge(Id(lowest_id_from(*from))));
    }
    if let Some(to) = created_to {
        query = query
            .filter(mass_requests::created_at.lt(Instant(*to)))
            .filter(mass_requests::id.lt(Id(lowest_id_after(*to))));
    }
    if let Some(from) = observed_from {
        query = query.filter(mass_requests::observed_at.ge(Instant(*from)));
    }
    if let Some(to) = observed_to {
        query = query.filter(mass_requests::observed_at.lt(Instant(*to)));
    }
    query.load(connection)?.into_iter().map(SummaryRow::into_summary).collect()
}

/// The events of a request.
pub(super) fn events(
    connection: &mut Connection,
    tenant: &TenantId,
    id: MassRequestId,
) -> QueryResult<Found<Vec<Event>>> {
    let deleted: Option<bool> = mass_requests::table
        .find((tenant.as_str(), Id(id.as_uuid())))
        .select(mass_requests::deleted_at.is_not_null())
        .first(connection)
        .optional()?;
    match deleted {
        Some(true) => Ok(Found::Deleted),
        Some(false) => Ok(Found::Present(audit::events_of(connection, tenant, id)?)),
        None => Ok(Found::Absent),
    }
}

/// Moves a request to another status.
pub(super) fn transition(
    connection: &mut Connection,
    tenant: &TenantId,
    id: MassRequestId,
    transition: Transition,
) -> QueryResult<Result<MassRequest, TransitionError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let mut request = match find(connection, tenant, id)? {
            Found::Present(request) => request,
            Found::Deleted => return Ok(Err(TransitionError::Gone)),
            Found::Absent => return Ok(Err(TransitionError::NotFound)),
        };
        match transition.judge(&request.summary) {
            Ok(true) => {}
            Ok(false) => return Ok(Ok(request)),
            Err(error) => return Ok(Err(error)),
        }
        let Transition { to, reason, expected: _, actor, at, origin } = transition;
        let act = Act { actor, at, origin };
        let from = request.summary.status;
        request.summary.status = to;
        act.touch(&mut request.summary);
        update(connection, &request.summary)?;
        let event = act.event(Action::StatusChanged, &request.summary);
        let event = event.with("from", from.as_str()).with("to", to.as_str());
        let event = match reason {
            Some(reason) => event.with("reason", reason),
            None => event,
        };
        let abandoned = match to {
            Status::Done | Status::Failed | Status::Cancelled => {
                deliveries::abandon(connection, &request.summary, &act, &[State::Queued, State::Leased])?
            }
            Status::Pending | Status::Processing => None,
        };
        head.append(connection, [event].into_iter().chain(abandoned))?;
        Ok(Ok(request))
    })
}

/// Erases a request, and lets the version stand again that it had superseded.
pub(super) fn delete(
    connection: &mut Connection,
    tenant: &TenantId,
    id: MassRequestId,
    deletion: Deletion,
) -> QueryResult<Result<(), DeleteError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let MassRequest { summary: mut request, document, .. } = match find(connection, tenant, id)? {
            Found::Present(request) => request,
            Found::Deleted => return Ok(Err(DeleteError::Gone)),
            Found::Absent => return Ok(Err(DeleteError::NotFound)),
        };
        if let Err(error) = deletion.judge(&request) {
            return Ok(Err(error));
        }
        let Deletion { expected: _, actor, at, origin } = deletion;
        let act = Act { actor, at, origin };
        act.touch(&mut request);
        erase(connection, &request)?;
        quotas::give_back(connection, tenant, document.len())?;
        recommendations::erase(connection, tenant, id)?;
        let mut events = vec![act.event(Action::Deleted, &request)];
        let without_answer = [State::Queued, State::Leased, State::Dead];
        events.extend(deliveries::abandon(connection, &request, &act, &without_answer)?);
        if let Some(mut older) = version_to_reinstate(connection, tenant, &request)? {
            older.corrected_by = None;
            act.touch(&mut older);
            update(connection, &older)?;
            events.push(act.event(Action::Reinstated, &older).with("deleted", id.to_string()));
        }
        head.append(connection, events)?;
        Ok(Ok(()))
    })
}

/// Leaves of a request only that it existed, its contract and its fingerprint.
fn erase(connection: &mut Connection, request: &Summary) -> QueryResult<()> {
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
        ))
        .execute(connection)?;
    Ok(())
}

/// The version that stands again when this one, which stood, is deleted: the nearest down its chain of corrections that
/// has not been deleted itself. Where a superseded version is deleted, another one stands already.
fn version_to_reinstate(
    connection: &mut Connection,
    tenant: &TenantId,
    deleted: &Summary,
) -> QueryResult<Option<Summary>> {
    let mut next = deleted.corrects.filter(|_| deleted.corrected_by.is_none());
    while let Some(id) = next {
        let (row, deleted): (SummaryRow, bool) = mass_requests::table
            .find((tenant.as_str(), Id(id.as_uuid())))
            .select((SummaryRow::as_select(), mass_requests::deleted_at.is_not_null()))
            .first(connection)?;
        let older = row.into_summary()?;
        if !deleted {
            return Ok(Some(older));
        }
        next = older.corrects;
    }
    Ok(None)
}

/// Forgets the idempotency keys that were first used before an instant; tells how many they were.
pub(super) fn purge_keys(connection: &mut Connection, tenant: &TenantId, before: Timestamp) -> QueryResult<usize> {
    super::write(connection, |connection| {
        diesel::delete(idempotency_keys::table)
            .filter(idempotency_keys::tenant_id.eq(tenant.as_str()))
            .filter(idempotency_keys::created_at.lt(Instant(before)))
            .execute(connection)
    })
}
