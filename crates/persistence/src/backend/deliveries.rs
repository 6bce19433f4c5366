//! The outbox: the port of a tenant's deliveries and its transactions.

use async_trait::async_trait;
use diesel::prelude::*;
use mass_domain::audit::{Act, Action, NewEvent};
use mass_domain::delivery::{Backlog, Delivery, DeliveryFilter, Overview, State};
use mass_domain::ids::{DeliveryId, MassRequestId};
use mass_domain::mass_request::{MassRequest, RequestSummary, Status};
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use mass_service::{Dispatch, Found, HandleError, OutboxStore, SendError, judge_cancel, judge_replay};

use super::audit::Head;
use super::delivery_reads::{self, find, of_request};
use super::delivery_rows::{about, end, ensure_row, move_request};
use super::{Connection, Store, requests, turns};
use crate::columns::{Id, Instant, Word};
use crate::layout::Layout;
use crate::rows::{DeliveryRow, QueueRow};
use crate::schema::{deliveries, delivery_queue};

#[async_trait]
impl OutboxStore for Store {
    async fn enqueue(&self, tenant: &TenantId, id: MassRequestId, act: Act) -> Result<Delivery, SendError> {
        super::in_place(self)?;
        let layout = super::layout(self);
        self.writes.run_for(tenant, move |connection, tenant| enqueue(connection, layout, tenant, id, &act)).await?
    }

    async fn find(&self, tenant: &TenantId, id: DeliveryId) -> Result<Option<Delivery>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| find(connection, tenant, id)).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: DeliveryFilter,
        before: Option<DeliveryId>,
        limit: Limit,
    ) -> Result<Vec<Delivery>, PortError> {
        self.reads
            .read_for(tenant, move |connection, tenant| delivery_reads::list(connection, tenant, filter, before, limit))
            .await
    }

    async fn get_overview(&self, tenant: &TenantId) -> Result<Overview, PortError> {
        self.reads.read_for(tenant, delivery_reads::overview).await
    }

    async fn get_backlog(&self, now: Timestamp) -> Result<Backlog, PortError> {
        let layout = super::layout(self);
        self.reads.read_outside(move |connection| delivery_reads::backlog(connection, layout, now)).await
    }

    async fn replay(&self, tenant: &TenantId, id: DeliveryId, act: Act) -> Result<Delivery, HandleError> {
        super::in_place(self)?;
        let layout = super::layout(self);
        self.writes.run_for(tenant, move |connection, tenant| replay(connection, layout, tenant, id, &act)).await?
    }

    async fn cancel(&self, tenant: &TenantId, id: DeliveryId, act: Act) -> Result<Delivery, HandleError> {
        super::in_place(self)?;
        self.writes.run_for(tenant, move |connection, tenant| cancel(connection, tenant, id, &act)).await?
    }
}

/// Puts a request in the queue.
fn enqueue(
    connection: &mut Connection,
    layout: Layout,
    tenant: &TenantId,
    id: MassRequestId,
    act: &Act,
) -> QueryResult<Result<Delivery, SendError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let mut request = match requests::find(connection, tenant, id)? {
            Found::Present(request) => request.summary,
            Found::Deleted => return Ok(Err(SendError::Gone)),
            Found::Absent => return Ok(Err(SendError::NotFound)),
        };
        let delivery = of_request(connection, tenant, id)?;
        let status = match Dispatch::judge(&request, delivery.as_ref()) {
            Ok(Dispatch::Queue(status)) => status,
            Ok(Dispatch::Keep) => return Ok(delivery.ok_or(SendError::NotFound)),
            Err(error) => return Ok(Err(error)),
        };
        let delivery = match delivery {
            Some(delivery) => next_round(connection, &delivery, act)?,
            None => first_round(connection, tenant, id, act)?,
        };
        turns::enter(connection, layout, tenant)?;
        let event = if status == request.status {
            request.event(act, Action::Sent)
        } else {
            move_request(connection, &mut request, status, act, Action::Sent)?
        };
        head.append(connection, [about(event, &delivery)])?;
        Ok(Ok(delivery))
    })
}

/// Puts a request in the queue for the first time.
fn first_round(
    connection: &mut Connection,
    tenant: &TenantId,
    request: MassRequestId,
    act: &Act,
) -> QueryResult<Delivery> {
    let row = DeliveryRow::first(tenant, request, act.at).by(&act.origin);
    diesel::insert_into(deliveries::table).values(row).execute(connection)?;
    diesel::insert_into(delivery_queue::table).values(QueueRow::first(tenant, request, act)).execute(connection)?;
    find(connection, tenant, DeliveryId::of(request))?.ok_or(diesel::NotFound)
}

/// Puts a dead or cancelled delivery back in the queue.
fn next_round(connection: &mut Connection, delivery: &Delivery, act: &Act) -> QueryResult<Delivery> {
    let (tenant, round) = (&delivery.tenant_id, delivery.round + 1);
    diesel::insert_into(delivery_queue::table)
        .values(QueueRow::of_round(tenant, delivery.id, act.at, round))
        .execute(connection)?;
    diesel::update(deliveries::table.find((tenant.as_str(), Id(delivery.id.as_uuid()))))
        .set((
            deliveries::state.eq(Word(State::Queued)),
            deliveries::round.eq(round),
            deliveries::attempts.eq(0),
            deliveries::queued_at.eq(Instant(act.at)),
            deliveries::updated_at.eq(Instant(act.at)),
            deliveries::failure_code.eq(None::<&str>),
            deliveries::failure_detail.eq(None::<&str>),
            deliveries::dead_reason.eq(None::<&str>),
            deliveries::call_id.eq(act.origin.request_id.as_str()),
            deliveries::traceparent.eq(act.origin.trace.map(|trace| trace.to_string())),
        ))
        .execute(connection)?;
    find(connection, tenant, delivery.id)?.ok_or(diesel::NotFound)
}

/// Puts a dead letter back in the queue.
fn replay(
    connection: &mut Connection,
    layout: Layout,
    tenant: &TenantId,
    id: DeliveryId,
    act: &Act,
) -> QueryResult<Result<Delivery, HandleError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let Some(delivery) = find(connection, tenant, id)? else { return Ok(Err(HandleError::NotFound)) };
        let mut request = match requests::find(connection, tenant, delivery.request_id)? {
            Found::Present(request) => request.summary,
            Found::Deleted | Found::Absent => {
                return Ok(Err(HandleError::NotAllowed { state: delivery.state }));
            }
        };
        match judge_replay(delivery.state, request.status) {
            Ok(true) => {}
            Ok(false) => return Ok(Ok(delivery)),
            Err(error) => return Ok(Err(error)),
        }
        let event = if request.status == Status::Failed {
            move_request(connection, &mut request, Status::Pending, act, Action::DeliveryReplayed)?
        } else {
            request.event(act, Action::DeliveryReplayed)
        };
        let delivery = next_round(connection, &delivery, act)?;
        turns::enter(connection, layout, tenant)?;
        head.append(connection, [about(event, &delivery)])?;
        Ok(Ok(delivery))
    })
}

/// Cancels a delivery, and its request if that waits for the answer.
fn cancel(
    connection: &mut Connection,
    tenant: &TenantId,
    id: DeliveryId,
    act: &Act,
) -> QueryResult<Result<Delivery, HandleError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let Some(delivery) = find(connection, tenant, id)? else { return Ok(Err(HandleError::NotFound)) };
        match judge_cancel(delivery.state) {
            Ok(true) => {}
            Ok(false) => return Ok(Ok(delivery)),
            Err(error) => return Ok(Err(error)),
        }
        cancel_row(connection, &delivery, act)?;
        if let Found::Present(MassRequest { summary: mut request, .. }) =
            requests::find(connection, tenant, delivery.request_id)?
        {
            let event = if delivery.state.is_open() && request.status.can_become(Status::Cancelled) {
                move_request(connection, &mut request, Status::Cancelled, act, Action::DeliveryCancelled)?
            } else {
                request.event(act, Action::DeliveryCancelled)
            };
            head.append(connection, [about(event, &delivery)])?;
        }
        Ok(Ok(find(connection, tenant, id)?.ok_or(diesel::NotFound)?))
    })
}

/// Cancels the delivery of a request that needs no answer any more, if it is in one of these states. Returns the event of the
/// cancellation.
pub(super) fn abandon(
    connection: &mut Connection,
    request: &RequestSummary,
    act: &Act,
    states: &[State],
) -> QueryResult<Option<NewEvent>> {
    let delivery = of_request(connection, &request.tenant_id, request.id)?;
    let Some(delivery) = delivery.filter(|delivery| states.contains(&delivery.state)) else { return Ok(None) };
    cancel_row(connection, &delivery, act)?;
    Ok(Some(about(request.event(act, Action::DeliveryCancelled), &delivery)))
}

fn cancel_row(connection: &mut Connection, delivery: &Delivery, act: &Act) -> QueryResult<()> {
    ensure_row(connection, &delivery.tenant_id, delivery.id)?;
    diesel::delete(delivery_queue::table.find((delivery.tenant_id.as_str(), Id(delivery.id.as_uuid()))))
        .execute(connection)?;
    end(connection, delivery, State::Cancelled, act.at)
}
