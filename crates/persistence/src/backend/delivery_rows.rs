//! Changes of single deliveries and of their requests, for the transactions of claims and of the outbox.

use diesel::prelude::*;
use mass_domain::audit::{Act, Action, NewEvent};
use mass_domain::delivery::{Delivery, State};
use mass_domain::ids::{DeliveryId, MassRequestId};
use mass_domain::mass_request::{RequestSummary, Status};
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use mass_domain::trace::{Origin, RequestId};

use super::{Connection, requests};
use crate::columns::{Id, Instant, Word};
use crate::rows::{self, DeliveryRow};
use crate::schema::{audit_events, deliveries, delivery_queue, mass_requests};

/// Inserts the row of a delivery that has only its place in the queue, as of the acceptance of its request. Does nothing if the
/// row exists.
pub(super) fn ensure_row(connection: &mut Connection, tenant: &TenantId, id: DeliveryId) -> QueryResult<()> {
    let place: Option<(Instant, i64, Option<i64>)> = unwritten(tenant.as_str())
        .filter(delivery_queue::delivery_id.eq(Id(id.as_uuid())))
        .select((mass_requests::created_at, mass_requests::audit_sequence, delivery_queue::trace_flags))
        .first(connection)
        .optional()?;
    let Some((created_at, sequence, flags)) = place else { return Ok(()) };
    // The request's event has the origin of the call, except the flags of the trace.
    let event: Option<String> = audit_events::table
        .find((tenant.as_str(), sequence))
        .select(audit_events::event)
        .first(connection)
        .optional()?;
    let origin = match event.and_then(|event| rows::event(&event).ok()) {
        Some(event) => event.event.origin,
        // The event is archived, or damaged, which verification will find.
        None => Origin { request_id: RequestId::of(id.as_uuid()), trace: None, address: None },
    };
    let trace = origin.trace.map(|trace| trace.flagged(flags.and_then(|flags| flags.try_into().ok()).unwrap_or(0)));
    let row = DeliveryRow::first(tenant, MassRequestId::from_uuid(id.as_uuid()), created_at.0);
    diesel::insert_into(deliveries::table)
        .values(row.by(&Origin { trace, ..origin }))
        .on_conflict_do_nothing()
        .execute(connection)?;
    Ok(())
}

/// The places in a tenant's queue without a delivery's row, with their requests.
#[diesel::dsl::auto_type(no_type_alias)]
fn unwritten<'a>(tenant: &'a str) -> _ {
    let request_of_place =
        mass_requests::tenant_id.eq(delivery_queue::tenant_id).and(mass_requests::id.eq(delivery_queue::delivery_id));
    let delivery_of_place =
        deliveries::tenant_id.eq(delivery_queue::tenant_id).and(deliveries::id.eq(delivery_queue::delivery_id));
    delivery_queue::table
        .inner_join(mass_requests::table.on(request_of_place))
        .left_join(deliveries::table.on(delivery_of_place))
        .filter(delivery_queue::tenant_id.eq(tenant))
        .filter(deliveries::id.is_null())
}

/// Moves a request to a status. Returns the event of the change.
pub(super) fn move_request(
    connection: &mut Connection,
    request: &mut RequestSummary,
    to: Status,
    act: &Act,
    action: Action,
) -> QueryResult<NewEvent> {
    let from = request.status;
    request.status = to;
    request.touch(act);
    requests::update(connection, request)?;
    Ok(request.event(act, action).with("from", from.as_str()).with("to", to.as_str()))
}

/// Adds a delivery to the details of an event.
pub(super) fn about(event: NewEvent, delivery: &Delivery) -> NewEvent {
    event.with("delivery", delivery.id.to_string()).with("round", delivery.round).with("attempts", delivery.attempts)
}

/// Sets the final state of a delivery.
pub(super) fn end(connection: &mut Connection, delivery: &Delivery, state: State, at: Timestamp) -> QueryResult<()> {
    diesel::update(deliveries::table.find((delivery.tenant_id.as_str(), Id(delivery.id.as_uuid()))))
        .set((deliveries::state.eq(Word(state)), deliveries::updated_at.eq(Instant(at))))
        .execute(connection)?;
    Ok(())
}
