//! MASS requests: the port and its transactions.

use async_trait::async_trait;
use diesel::prelude::*;
use mass_domain::audit::{Act, Action, Event, NewEvent};
use mass_domain::contracts::ContractId;
use mass_domain::delivery::State;
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::{MassRequest, RequestFilter, RequestSummary, Status};
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tenancy::{CredentialsVersion, TenantId};
use mass_domain::time::Timestamp;
use mass_service::{
    CountedSet, DeleteError, DeletedStep, Deletion, DeletionStep, DeletionsError, DocumentPage, ExportPage, ExportSpan,
    Found, MassStore, Submission, SubmissionResults, Transition, TransitionError,
};

use super::audit::{self, Head};
use super::requests::{find, find_as_of, update};
use super::{Connection, Store, acceptance, deletions, deliveries, documents};
use crate::columns::{Id, Instant};
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
        let layout = super::layout(self);
        let store = move |connection: &mut Connection, tenant: &TenantId| {
            acceptance::store_all_or_none(connection, tenant, &submissions, layout)
        };
        self.writes.run_for(tenant, store).await
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
        filter: &RequestFilter,
        before: Option<MassRequestId>,
        limit: Limit,
    ) -> Result<Vec<RequestSummary>, PortError> {
        let filter = filter.clone();
        self.reads.read_for(tenant, move |connection, tenant| list(connection, tenant, &filter, before, limit)).await
    }

    async fn list_documents(
        &self,
        tenant: &TenantId,
        filter: &RequestFilter,
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

    async fn newest(&self, tenant: &TenantId) -> Result<Option<MassRequestId>, PortError> {
        self.reads.read_for(tenant, documents::newest).await
    }

    async fn export(
        &self,
        tenant: &TenantId,
        filter: &RequestFilter,
        span: ExportSpan,
    ) -> Result<ExportPage, PortError> {
        let filter = filter.clone();
        self.exports
            .read_at_length_for(tenant, move |connection, tenant| documents::export(connection, tenant, &filter, span))
            .await
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
        let delete =
            move |connection: &mut Connection, tenant: &TenantId| deletions::delete(connection, tenant, id, deletion);
        let deleted = self.writes.run_for(tenant, delete).await?;
        if deleted.is_ok() {
            super::sweep(self).await;
        }
        deleted
    }

    async fn require_unheld(&self, tenant: &TenantId, contract: Option<ContractId>) -> Result<(), DeletionsError> {
        let judge = move |connection: &mut Connection, tenant: &TenantId| {
            deletions::require_unheld(connection, tenant, contract)
        };
        self.reads.read_for(tenant, judge).await?
    }

    async fn count(
        &self,
        tenant: &TenantId,
        filter: &RequestFilter,
        log_size: Option<u64>,
        after: Option<MassRequestId>,
    ) -> Result<CountedSet, PortError> {
        let filter = filter.clone();
        let count = move |connection: &mut Connection, tenant: &TenantId| {
            deletions::count_matching(connection, tenant, &filter, log_size, after)
        };
        self.reads.read_for(tenant, count).await
    }

    async fn delete_step(
        &self,
        tenant: &TenantId,
        filter: &RequestFilter,
        step: DeletionStep,
    ) -> Result<DeletedStep, DeletionsError> {
        let filter = filter.clone();
        let delete = move |connection: &mut Connection, tenant: &TenantId| {
            deletions::delete_step(connection, tenant, &filter, step)
        };
        self.writes.run_for(tenant, delete).await?
    }

    async fn sweep(&self) {
        super::sweep(self).await;
    }
}

/// Lists requests, newest first.
pub(super) fn list(
    connection: &mut Connection,
    tenant: &TenantId,
    filter: &RequestFilter,
    before: Option<MassRequestId>,
    limit: Limit,
) -> QueryResult<Vec<RequestSummary>> {
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

/// Deletes idempotency keys whose first use was before an instant. Returns their number.
pub(super) fn purge_keys(connection: &mut Connection, tenant: &TenantId, before: Timestamp) -> QueryResult<usize> {
    super::write(connection, |connection| {
        diesel::delete(idempotency_keys::table)
            .filter(idempotency_keys::tenant_id.eq(tenant.as_str()))
            .filter(idempotency_keys::created_at.lt(Instant(before)))
            .execute(connection)
    })
}
