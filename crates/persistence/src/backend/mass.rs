//! MASS requests: the port and its transactions.

use async_trait::async_trait;
use diesel::prelude::*;
use mass_domain::audit::{Act, Action, Event, NewEvent};
use mass_domain::delivery::State;
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::{Filter, MassRequest, Status, Summary};
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tenancy::{CredentialsVersion, TenantId};
use mass_domain::time::Timestamp;
use mass_domain::validation::Warning;
use mass_service::{
    DeleteError, Deletion, DocumentPage, ExportedRequest, Found, MassStore, Submission, SubmissionResults, Transition,
    TransitionError,
};
use tokio::sync::mpsc::Sender;

use super::audit::{self, Head};
use super::requests::{find, find_as_of, update};
use super::{Connection, Store, acceptance, deliveries, documents, quotas, recommendations};
use crate::columns::{Id, Instant, Json};
use crate::rows::SummaryRow;
use crate::schema::{idempotency_keys, mass_requests};

#[async_trait]
impl MassStore for Store {
    async fn accept(
        &self,
        tenant: &TenantId,
        submissions: Vec<Submission>,
        refused: Vec<NewEvent>,
        as_of: Option<CredentialsVersion>,
    ) -> Result<Option<SubmissionResults>, PortError> {
        super::in_place(self)?;
        self.accepting.submit(tenant, submissions, refused, as_of).await
    }

    async fn store_all_or_none(
        &self,
        tenant: &TenantId,
        submissions: Vec<Submission>,
    ) -> Result<SubmissionResults, PortError> {
        super::in_place(self)?;
        self.writes
            .run_for(tenant, move |connection, tenant| acceptance::store_all_or_none(connection, tenant, &submissions))
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
        self.reads.read_for(tenant, move |connection, tenant| list(connection, tenant, &filter, before, limit)).await
    }

    async fn list_documents(
        &self,
        tenant: &TenantId,
        filter: &Filter,
        before: Option<MassRequestId>,
        limit: Limit,
        bytes: u64,
    ) -> Result<DocumentPage, PortError> {
        let filter = filter.clone();
        self.reads
            .read_for(tenant, move |connection, tenant| {
                documents::list(connection, tenant, &filter, before, limit, bytes)
            })
            .await
    }

    async fn export(
        &self,
        tenant: &TenantId,
        filter: &Filter,
        bytes: u64,
        pages: Sender<Vec<ExportedRequest>>,
    ) -> Result<(), PortError> {
        let filter = filter.clone();
        let export = move |connection: &mut Connection, tenant: &TenantId| {
            documents::export(connection, tenant, &filter, bytes, &pages)
        };
        self.exports.run_at_length_for(tenant, export).await
    }

    async fn list_events(&self, tenant: &TenantId, id: MassRequestId) -> Result<Found<Vec<Event>>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| list_events(connection, tenant, id)).await
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
        let delete = move |connection: &mut Connection, tenant: &TenantId| delete(connection, tenant, id, deletion);
        let deleted = self.writes.run_for(tenant, delete).await?;
        if deleted.is_ok() {
            super::sweep(self).await;
        }
        deleted
    }
}

/// Lists requests, newest first.
pub(super) fn list(
    connection: &mut Connection,
    tenant: &TenantId,
    filter: &Filter,
    before: Option<MassRequestId>,
    limit: Limit,
) -> QueryResult<Vec<Summary>> {
    let mut query = documents::matching(tenant, filter);
    if let Some(before) = before {
        query = query.filter(mass_requests::id.lt(Id(before.as_uuid())));
    }
    query
        .select(SummaryRow::as_select())
        .order(mass_requests::id.desc())
        .limit(i64::from(limit.get()) + 1)
        .load(connection)?
        .into_iter()
        .map(SummaryRow::into_summary)
        .collect()
}

/// Lists the events of a request.
pub(super) fn list_events(
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
        request.summary.touch(&act);
        update(connection, &request.summary)?;
        let event = request.summary.event(&act, Action::StatusChanged);
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

/// Erases a request, and reinstates the version that it had superseded.
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
        request.touch(&act);
        erase(connection, &request)?;
        quotas::give_back(connection, tenant, document.len())?;
        recommendations::erase(connection, tenant, id)?;
        let mut events = vec![request.event(&act, Action::Deleted)];
        let without_answer = [State::Queued, State::Leased, State::Dead];
        events.extend(deliveries::abandon(connection, &request, &act, &without_answer)?);
        if let Some(mut older) = version_to_reinstate(connection, tenant, &request)? {
            older.corrected_by = None;
            older.touch(&act);
            update(connection, &older)?;
            events.push(older.event(&act, Action::Reinstated).with("deleted", id.to_string()));
        }
        head.append(connection, events)?;
        Ok(Ok(()))
    })
}

/// Erases all of a request except its id, contract and fingerprint.
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

/// Finds the version to reinstate when the current one is deleted: the nearest in its chain of corrections that is not
/// deleted. None if the deleted version was superseded.
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

/// Deletes idempotency keys whose first use was before an instant. Returns their number.
pub(super) fn purge_keys(connection: &mut Connection, tenant: &TenantId, before: Timestamp) -> QueryResult<usize> {
    super::write(connection, |connection| {
        diesel::delete(idempotency_keys::table)
            .filter(idempotency_keys::tenant_id.eq(tenant.as_str()))
            .filter(idempotency_keys::created_at.lt(Instant(before)))
            .execute(connection)
    })
}
