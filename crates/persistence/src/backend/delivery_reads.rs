//! Deliveries as they are read.
//!
//! An automatically sent request has only a place in the queue at first, which costs little where much is accepted; the
//! row of its delivery is written at the first change. The query here reads both as one.

use std::collections::HashSet;

use diesel::dsl::{count_star, sql};
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use mass_domain::delivery::{Backlog, Delivery, DeliveryFilter, Overview, State};
use mass_domain::ids::{DeliveryId, MassRequestId};
use mass_domain::page::Limit;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use uuid::Uuid;

use super::Connection;
use super::audit::count;
use crate::columns::{Id, Instant, Word, sql as types};
use crate::layout::Layout;
use crate::round_robin::round_robin;
use crate::rows::{DueAtRow, QueuedDeliveryRow};
use crate::schema::{deliveries, delivery_queue};

/// Builds the query for the deliveries of the tenant `$1`. The arguments continue the conditions on the rows of deliveries
/// (`d`) and on the places in the queue (`q`) without one, and the query as a whole. PostgreSQL numbers parameters; SQLite
/// does so in the order in which they first appear.
macro_rules! deliveries_where {
    ($written:literal, $waiting:literal, $all:literal) => {
        concat!(
            "SELECT * FROM (
                SELECT * FROM (
                    SELECT d.tenant_id, d.id, d.request_id, d.state, d.round, d.attempts, d.created_at, d.queued_at,
                        d.updated_at, d.failure_code, d.failure_detail, d.dead_reason, d.call_id, d.traceparent,
                        q.due_at, q.worker
                    FROM deliveries AS d
                    LEFT JOIN delivery_queue AS q ON q.tenant_id = d.tenant_id AND q.delivery_id = d.id
                    WHERE d.tenant_id = $1 ",
            $written,
            ") AS written
                UNION ALL
                SELECT * FROM (
                    SELECT q.tenant_id, q.delivery_id AS id, r.id AS request_id, 'queued' AS state, 1 AS round,
                        0 AS attempts, r.created_at, r.created_at AS queued_at, r.created_at AS updated_at,
                        NULL AS failure_code, NULL AS failure_detail, NULL AS dead_reason, '' AS call_id,
                        NULL AS traceparent, q.due_at, q.worker
                    FROM delivery_queue AS q
                    JOIN mass_requests AS r ON r.tenant_id = q.tenant_id AND r.id = q.delivery_id
                    LEFT JOIN deliveries AS d ON d.tenant_id = q.tenant_id AND d.id = q.delivery_id
                    WHERE q.tenant_id = $1 AND d.id IS NULL ",
            $waiting,
            ") AS waiting
            ) AS delivery ",
            $all
        )
    };
}

/// Finds a delivery.
pub(super) fn find(connection: &mut Connection, tenant: &TenantId, id: DeliveryId) -> QueryResult<Option<Delivery>> {
    const BY_ID: &str = deliveries_where!("AND d.id = $2", "AND q.delivery_id = $2", "");
    let query = diesel::sql_query(BY_ID).bind::<Text, _>(tenant.as_str()).bind::<types::Id, _>(Id(id.as_uuid()));
    query.get_result(connection).optional()?.map(QueuedDeliveryRow::into_delivery).transpose()
}

/// Finds the delivery of a request.
pub(super) fn of_request(
    connection: &mut Connection,
    tenant: &TenantId,
    id: MassRequestId,
) -> QueryResult<Option<Delivery>> {
    const BY_REQUEST: &str =
        deliveries_where!("AND d.request_id = $2 AND length(d.tenant_id) > 0", "AND q.delivery_id = $2", "LIMIT 1");
    let query = diesel::sql_query(BY_REQUEST).bind::<Text, _>(tenant.as_str());
    let query = query.bind::<types::Id, _>(Id(DeliveryId::of(id).as_uuid()));
    query.get_result(connection).optional()?.map(QueuedDeliveryRow::into_delivery).transpose()
}

/// Returns those of these requests that have a delivery.
pub(super) fn requests_with_deliveries(
    connection: &mut Connection,
    tenant: &TenantId,
    ids: &[MassRequestId],
) -> QueryResult<HashSet<MassRequestId>> {
    let ids = || ids.iter().map(|id| Id(id.as_uuid()));
    let waiting: Vec<Id> = delivery_queue::table
        .filter(delivery_queue::tenant_id.eq(tenant.as_str()))
        .filter(delivery_queue::delivery_id.eq_any(ids()))
        .select(delivery_queue::delivery_id)
        .load(connection)?;
    let written: Vec<Id> = deliveries::table
        .filter(deliveries::tenant_id.eq(tenant.as_str()))
        .filter(deliveries::request_id.eq_any(ids()))
        // Repeating this predicate lets the planner use the partial index.
        .filter(sql::<Bool>("length(tenant_id) > 0"))
        .select(deliveries::request_id)
        .load(connection)?;
    Ok(waiting.into_iter().chain(written).map(|id| MassRequestId::from_uuid(id.0)).collect())
}

/// Lists deliveries, newest first.
pub(super) fn list(
    connection: &mut Connection,
    tenant: &TenantId,
    filter: DeliveryFilter,
    before: Option<DeliveryId>,
    limit: Limit,
) -> QueryResult<Vec<Delivery>> {
    const ALL: &str = deliveries_where!(
        "AND d.id < $2 ORDER BY d.id DESC LIMIT $3",
        "AND q.delivery_id < $2 ORDER BY q.delivery_id DESC LIMIT $3",
        "ORDER BY id DESC LIMIT $3"
    );
    const IN_STATE: &str = deliveries_where!(
        "AND d.id < $2 AND d.state = $3 AND length(d.tenant_id) > 0 ORDER BY d.id DESC LIMIT $4",
        "AND q.delivery_id < $2 AND $3 = 'queued' ORDER BY q.delivery_id DESC LIMIT $4",
        "ORDER BY id DESC LIMIT $4"
    );
    let before = Id(before.map_or(Uuid::max(), |before| before.as_uuid()));
    let limit = i64::from(limit.get()) + 1;
    let query = diesel::sql_query(if filter.state.is_some() { IN_STATE } else { ALL });
    let query = query.bind::<Text, _>(tenant.as_str()).bind::<types::Id, _>(before);
    let rows: Vec<QueuedDeliveryRow> = match filter.state {
        Some(state) => query.bind::<Text, _>(state.as_str()).bind::<BigInt, _>(limit).load(connection)?,
        None => query.bind::<BigInt, _>(limit).load(connection)?,
    };
    rows.into_iter().map(QueuedDeliveryRow::into_delivery).collect()
}

/// Returns the condition of the indexes of deliveries, which is true of all rows. Repeating it lets the planner use them.
/// They have one so that PostgreSQL, planning while a tenant has few deliveries, looks up a key by the key's own index.
fn by_index() -> SqlLiteral<Bool> {
    sql("length(deliveries.tenant_id) > 0")
}

/// Sums up a tenant's deliveries.
pub(super) fn overview(connection: &mut Connection, tenant: &TenantId) -> QueryResult<Overview> {
    const OLDEST: &str = deliveries_where!(
        "AND d.state IN ('queued', 'leased') AND length(d.tenant_id) > 0 ORDER BY d.queued_at LIMIT 1",
        "ORDER BY q.delivery_id LIMIT 1",
        "ORDER BY queued_at LIMIT 1"
    );
    super::read(connection, |connection| {
        let own = || deliveries::table.filter(deliveries::tenant_id.eq(tenant.as_str())).filter(by_index());
        let counts: Vec<(Word<State>, i64)> =
            own().group_by(deliveries::state).select((deliveries::state, count_star())).load(connection)?;
        let places: i64 = delivery_queue::table
            .filter(delivery_queue::tenant_id.eq(tenant.as_str()))
            .select(count_star())
            .first(connection)?;
        let written: i64 = counts.iter().filter(|(state, _)| state.0.is_open()).map(|(_, number)| number).sum();
        // Counted by subtraction, so that the two tables are not joined.
        let waiting = (places - written).max(0);
        let number = |state: State| {
            let written = counts.iter().find(|(counted, _)| counted.0 == state).map_or(0, |(_, number)| *number);
            count(written + if state == State::Queued { waiting } else { 0 })
        };
        let by_state: Vec<_> = State::ALL.iter().map(|state| (*state, number(*state))).collect();
        let oldest = diesel::sql_query(OLDEST).bind::<Text, _>(tenant.as_str());
        let oldest: Option<QueuedDeliveryRow> = oldest.get_result(connection).optional()?;
        let oldest = oldest.map(QueuedDeliveryRow::into_delivery).transpose()?;
        let retrying: i64 = own()
            .filter(deliveries::state.eq_any([Word(State::Queued), Word(State::Leased)]))
            .filter(deliveries::failure_code.is_not_null())
            .select(count_star())
            .first(connection)?;
        let depth = by_state.iter().filter(|(state, _)| state.is_open()).map(|(_, number)| number).sum();
        let oldest = oldest.map(|delivery| delivery.queued_at);
        Ok(Overview { depth, oldest, retrying: count(retrying), by_state })
    })
}

/// Counts the places in the queue over all tenants.
pub(super) fn backlog(connection: &mut Connection, layout: Layout, now: Timestamp) -> QueryResult<Backlog> {
    super::read(connection, |connection| {
        let leased = || {
            let claimed = delivery_queue::table.filter(delivery_queue::worker.is_not_null());
            claimed.filter(delivery_queue::due_at.gt(Instant(now)))
        };
        let all: i64 = delivery_queue::table.select(count_star()).first(connection)?;
        let leased: i64 = leased().select(count_star()).first(connection)?;
        let oldest = first_due(connection, layout)?.filter(|oldest| oldest.0 <= now);
        Ok(Backlog { waiting: count(all - leased), leased: count(leased), oldest_due: oldest.map(|oldest| oldest.0) })
    })
}

/// Returns the earliest instant at which a place in the queue is due.
fn first_due(connection: &mut Connection, layout: Layout) -> QueryResult<Option<Instant>> {
    const FIRST: &str = round_robin!(
        "''",
        "SELECT min((
            SELECT min(due_at) FROM delivery_queue WHERE tenant_id = turn.tenant_id AND length(tenant_id) > 0
        )) AS due_at FROM turn"
    );
    if layout == Layout::Distributed {
        let places = delivery_queue::table.order(delivery_queue::due_at).select(delivery_queue::due_at);
        return places.first(connection).optional();
    }
    let first: DueAtRow = diesel::sql_query(FIRST).get_result(connection)?;
    Ok(first.due_at)
}
