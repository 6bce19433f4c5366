//! The queue for the engine: claims over all tenants, and what becomes of each delivery within its tenant.
//!
//! What is sent without being asked to has but a place in the queue at first, which costs little where much is accepted. The
//! delivery is written down as soon as somebody does something about it.
//!
//! In PostgreSQL, whoever locks more than one row does so in this order: the end of the tenant's log, the place in the
//! queue, the delivery.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::PoisonError;

use async_trait::async_trait;
use diesel::dsl::{count_star, exists, sql};
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable};
use mass_domain::access::Actor;
use mass_domain::audit::{Act, Action, NewEvent};
use mass_domain::delivery::{Backlog, Delivery, DeliveryRequirements, Failure, Filter, Overview, State, WorkerName};
use mass_domain::ids::{DeliveryId, MassRequestId};
use mass_domain::json;
use mass_domain::mass_request::{MassRequest, Status, Summary};
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::recommendation::Recommendation;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use mass_domain::trace::{Origin, RequestId, TraceParent};
use mass_service::{
    Claim, Claimed, Conclusion, DeliveryStore, Dispatch, Found, HandleError, OutboxStore, Question, Recorded, Restraint,
    SendError, judge_cancel, judge_replay,
};

use super::audit::{Head, column, count};
use super::{Connection, Store, requests};
use crate::columns::{Id, Instant, Word};
use crate::foresight::LogAdvance;
use crate::rows::{self, DeliveryRow, DueAtRow, DueRow, QueueRow, RecommendationRow};
use crate::schema::{audit_events, deliveries, delivery_queue, mass_requests, recommendations};
use crate::turns::in_turn;

#[async_trait]
impl DeliveryStore for Store {
    async fn claim(
        &self,
        worker: &WorkerName,
        limit: u16,
        now: Timestamp,
        until: Timestamp,
        restraint: &Restraint,
    ) -> Result<Vec<Claimed>, PortError> {
        super::in_place(self)?;
        // Looked for apart, so that a worker that finds nothing has kept no writer waiting.
        let none_of = restraint.none_of.clone();
        if !self.reads.read_outside(move |connection| super::is_due(connection, Instant(now), &none_of)).await? {
            return Ok(Vec::new());
        }
        let (worker, restraint) = (worker.clone(), restraint.clone());
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let claim = move |connection: &mut Connection| {
            let span = Lease { now, until };
            let claims = claim(connection, &worker, limit, span, &restraint, &mut turn)?;
            Ok((claims, turn))
        };
        let (claims, turn) = self.writes.run_outside(claim).await?;
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = turn;
        let mut claimed = Vec::new();
        let mut failure = None;
        for (tenant, claims) in by_tenant(claims) {
            let follow = self.accepting.follower(&tenant);
            let begin = move |connection: &mut Connection, tenant: &TenantId| {
                let (begun, moved) = begin(connection, tenant, claims, now)?;
                follow(&moved);
                Ok(begun)
            };
            match self.writes.run_for(&tenant, begin).await {
                Ok(begun) => claimed.extend(begun.into_iter().map(Begun::into_claimed)),
                Err(error) => failure = Some(error),
            }
        }
        // One tenant's trouble is not the others'.
        match failure {
            Some(error) if claimed.is_empty() => Err(error),
            Some(_) | None => Ok(claimed),
        }
    }

    async fn record(&self, claim: &Claim, conclusion: Conclusion, at: Timestamp) -> Result<Recorded, PortError> {
        super::in_place(self)?;
        let tenant = claim.tenant_id.clone();
        let record = |claim: Claim, conclusion: Conclusion| {
            let follow = self.accepting.follower(&tenant);
            let record = move |connection: &mut Connection, tenant: &TenantId| {
                let (recorded, moved) = record(connection, tenant, &claim, conclusion, at)?;
                follow(&moved);
                Ok(recorded)
            };
            self.writes.run_for(&tenant, record)
        };
        match record(claim.clone(), conclusion.clone()).await {
            // An answer of the engine is not thrown away for a deadlock or a lost connection. Was it recorded after all, the
            // claim is no longer good.
            Err(PortError::Unavailable(_)) => record(claim.clone(), conclusion).await,
            recorded => recorded,
        }
    }

    async fn extend(&self, claims: &[Claim], until: Timestamp) -> Result<Vec<bool>, PortError> {
        let claims = claims.to_vec();
        self.writes.run_outside(move |connection| extend(connection, &claims, until)).await
    }

    async fn hand_back(&self, worker: &WorkerName, at: Timestamp) -> Result<usize, PortError> {
        let worker = worker.clone();
        let claims = self.writes.run_outside(move |connection| claims_of(connection, &worker)).await?;
        let mut handed_back = 0;
        for (tenant, claims) in by_tenant(claims) {
            handed_back += self
                .writes
                .run_for(&tenant, move |connection, tenant| hand_back(connection, tenant, &claims, at))
                .await?;
        }
        Ok(handed_back)
    }
}

/// Claims, tenant by tenant.
fn by_tenant(claims: Vec<Claim>) -> BTreeMap<TenantId, Vec<Claim>> {
    let mut by_tenant: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for claim in claims {
        by_tenant.entry(claim.tenant_id.clone()).or_default().push(claim);
    }
    by_tenant
}

#[async_trait]
impl OutboxStore for Store {
    async fn send(&self, tenant: &TenantId, id: MassRequestId, act: Act) -> Result<Delivery, SendError> {
        super::in_place(self)?;
        self.writes.run_for(tenant, move |connection, tenant| send(connection, tenant, id, &act)).await?
    }

    async fn find(&self, tenant: &TenantId, id: DeliveryId) -> Result<Option<Delivery>, PortError> {
        // At one instant, since it may be written down meanwhile.
        let find = move |connection: &mut Connection, tenant: &TenantId| {
            super::read(connection, |connection| find(connection, tenant, id))
        };
        self.reads.read_for(tenant, find).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: Filter,
        before: Option<DeliveryId>,
        limit: Limit,
    ) -> Result<Vec<Delivery>, PortError> {
        self.reads
            .read_for(tenant, move |connection, tenant| list(connection, tenant, filter, before, limit))
            .await
    }

    async fn overview(&self, tenant: &TenantId) -> Result<Overview, PortError> {
        self.reads.read_for(tenant, overview).await
    }

    async fn backlog(&self, now: Timestamp) -> Result<Backlog, PortError> {
        self.reads.read_outside(move |connection| backlog(connection, now)).await
    }

    async fn replay(&self, tenant: &TenantId, id: DeliveryId, act: Act) -> Result<Delivery, HandleError> {
        super::in_place(self)?;
        self.writes.run_for(tenant, move |connection, tenant| replay(connection, tenant, id, &act)).await?
    }

    async fn cancel(&self, tenant: &TenantId, id: DeliveryId, act: Act) -> Result<Delivery, HandleError> {
        super::in_place(self)?;
        self.writes.run_for(tenant, move |connection, tenant| cancel(connection, tenant, id, &act)).await?
    }
}

/// From when to when a claim holds.
#[derive(Clone, Copy)]
pub(super) struct Lease {
    pub(super) now: Timestamp,
    pub(super) until: Timestamp,
}

/// Claims what is due, whosever it is; what another worker is just claiming is left to it. The tenants take turns: `turn` is
/// whose was the last, before and after.
pub(super) fn claim(
    connection: &mut Connection,
    worker: &WorkerName,
    limit: u16,
    Lease { now, until }: Lease,
    restraint: &Restraint,
    turn: &mut Option<TenantId>,
) -> QueryResult<Vec<Claim>> {
    super::write(connection, |connection| {
        let mut claims = Vec::new();
        let due = in_turn(connection, limit.into(), Instant(now), restraint, turn)?;
        for DueRow { tenant_id: tenant, delivery_id: id, due_at: _, fence } in due {
            let fence = fence + 1;
            diesel::update(delivery_queue::table.find((tenant.0.as_str(), id)))
                .set((
                    delivery_queue::due_at.eq(Instant(until)),
                    delivery_queue::worker.eq(worker.as_str()),
                    delivery_queue::fence.eq(fence),
                ))
                .execute(connection)?;
            let delivery_id = DeliveryId::from_uuid(id.0);
            claims.push(Claim { tenant_id: tenant.0, delivery_id, worker: worker.clone(), fence });
        }
        Ok(claims)
    })
}

/// What is due, locked: one of each tenant whose turn it is, and then, while there is room, as many more of each. A tenant
/// that has queued any number keeps the others waiting no longer than for its turn.
fn in_turn(
    connection: &mut Connection,
    room: usize,
    now: Instant,
    Restraint { none_of, one_of }: &Restraint,
    turn: &mut Option<TenantId>,
) -> QueryResult<Vec<DueRow>> {
    let mut due: Vec<DueRow> = Vec::new();
    go_round(connection, &mut due, room, now, &Share { of_each: 1, in_all: room, none_of }, turn)?;
    // If there is room left, all that have something due have had their turn. They have equal shares of it, with what is left
    // over in turn; and what one of them does not need is left to the others.
    let tenants = due.len().max(1);
    let but = [none_of.as_slice(), one_of.as_slice()].concat();
    let equal = room / tenants;
    for of_each in [equal, equal + 1, room].into_iter().filter(|of_each| *of_each > 1) {
        let before = due.len();
        go_round(connection, &mut due, room, now, &Share { of_each, in_all: tenants * of_each, none_of: &but }, turn)?;
        if due.len() == before {
            break;
        }
    }
    Ok(due)
}

/// Takes up each tenant's share of what is due, while there is room: from the tenant after the last one that had something
/// taken up, and from the first one on.
fn go_round(
    connection: &mut Connection,
    due: &mut Vec<DueRow>,
    room: usize,
    now: Instant,
    share: &Share<'_>,
    turn: &mut Option<TenantId>,
) -> QueryResult<()> {
    let last = turn.clone();
    for after in last.iter().map(TenantId::as_str).chain([""]) {
        if due.len() >= room {
            break;
        }
        let before = due.len();
        take_up(due, super::lock_due(connection, after, now, share)?, room);
        if let Some(last) = due.get(before..).and_then(<[_]>::last) {
            *turn = Some(last.tenant_id.0.clone());
        }
    }
    Ok(())
}

/// How much of what is due is looked for.
pub(crate) struct Share<'a> {
    /// Of each tenant.
    pub(crate) of_each: usize,
    /// Of all together.
    pub(crate) in_all: usize,
    /// Whose is not.
    pub(crate) none_of: &'a [TenantId],
}

/// Tenants, as a statement takes them.
pub(crate) fn names(tenants: &[TenantId]) -> Vec<&str> {
    tenants.iter().map(TenantId::as_str).collect()
}

/// Takes in what is found and not there yet, while there is room; of each tenant, what is due the longest.
fn take_up(due: &mut Vec<DueRow>, mut found: Vec<DueRow>, room: usize) {
    found.sort_by(|one, other| (&one.tenant_id.0, one.due_at.0).cmp(&(&other.tenant_id.0, other.due_at.0)));
    for row in found {
        if due.len() < room && !due.contains(&row) {
            due.push(row);
        }
    }
}

/// A claimed delivery of which the tenant's tables know.
pub(super) struct Begun {
    claim: Claim,
    attempt: i64,
    round: i64,
    queued_at: Timestamp,
    trace: Option<TraceParent>,
    request: MassRequest,
}

impl Begun {
    /// What a worker has to know of it.
    pub(super) fn into_claimed(self) -> Claimed {
        let Self { claim, attempt, round, queued_at, trace, request: MassRequest { summary, document, .. } } = self;
        // A document that was accepted is JSON.
        let requirements =
            json::parse(document.as_bytes()).map(|document| DeliveryRequirements::of(&document)).unwrap_or_default();
        let question = Question {
            idempotency_key: format!("{}-{round}", claim.delivery_id),
            request_id: summary.id,
            tenant_id: summary.tenant_id,
            contract: summary.contract,
            fingerprint: summary.fingerprint,
            document,
            timeout_ms: requirements.timeout_ms,
            trace,
        };
        let (site_id, device_id) = (summary.site_id, summary.device_id);
        Claimed { claim, attempt, queued_at, question, requirements, site_id, device_id }
    }
}

/// Begins an attempt of each delivery of a tenant that a worker has claimed, unless nobody wants an answer any more.
pub(super) fn begin(
    connection: &mut Connection,
    tenant: &TenantId,
    claims: Vec<Claim>,
    now: Timestamp,
) -> QueryResult<(Vec<Begun>, LogAdvance)> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let mut events = Vec::new();
        let mut begun = Vec::new();
        for claim in claims {
            // Whoever cancels waits for the head, too: the delivery stands in the queue until this ends, or never will.
            let Some((row, mut request)) = held(connection, tenant, &claim)? else {
                // Nobody has it any more, or nobody wants it: no worker is to find it again.
                leave_queue(connection, &claim)?;
                continue;
            };
            let act = Act { actor: Actor::System, at: now, origin: row.origin()? };
            let delivery = row.into_delivery(None)?;
            if let Some(event) = processing(connection, &mut request.summary, &act)? {
                events.push(event);
            }
            let attempt = delivery.attempts + 1;
            diesel::update(deliveries::table.find((tenant.as_str(), Id(delivery.id.as_uuid()))))
                .set((
                    deliveries::state.eq(Word(State::Leased)),
                    deliveries::attempts.eq(attempt),
                    deliveries::updated_at.eq(Instant(now)),
                ))
                .execute(connection)?;
            let Delivery { round, queued_at, .. } = delivery;
            begun.push(Begun { claim, attempt, round, queued_at, trace: act.origin.trace, request });
        }
        Ok((begun, head.move_on(connection, events)?))
    })
}

/// The place in the queue that a claim holds, while it does.
fn of_claim(
    claim: &Claim,
) -> Box<dyn BoxableExpression<delivery_queue::table, super::Backend, SqlType = Nullable<Bool>> + '_> {
    let place = delivery_queue::tenant_id.eq(claim.tenant_id.as_str());
    let place = place.and(delivery_queue::delivery_id.eq(Id(claim.delivery_id.as_uuid())));
    Box::new(place.and(delivery_queue::fence.eq(claim.fence)).and(delivery_queue::worker.eq(claim.worker.as_str())))
}

/// The delivery of a claim that still holds, and its request.
fn held(
    connection: &mut Connection,
    tenant: &TenantId,
    claim: &Claim,
) -> QueryResult<Option<(DeliveryRow, MassRequest)>> {
    let holds = exists(delivery_queue::table.filter(of_claim(claim)));
    if !diesel::select(holds).get_result::<bool>(connection)? {
        return Ok(None);
    }
    write_down(connection, tenant, claim.delivery_id)?;
    delivery_and_request(connection, tenant, claim.delivery_id)
}

/// Writes down a delivery that has but a place in the queue, as it was put there with its request; unless the request has
/// another one.
fn write_down(connection: &mut Connection, tenant: &TenantId, id: DeliveryId) -> QueryResult<()> {
    let place: Option<(Instant, i64, Option<i64>)> = unwritten(tenant.as_str())
        .filter(delivery_queue::delivery_id.eq(Id(id.as_uuid())))
        .select((mass_requests::created_at, mass_requests::audit_sequence, delivery_queue::trace_flags))
        .first(connection)
        .optional()?;
    let Some((created_at, sequence, flags)) = place else { return Ok(()) };
    // The event of its request tells by which call, but for the flags of the trace.
    let event: Option<String> = audit_events::table
        .find((tenant.as_str(), sequence))
        .select(audit_events::event)
        .first(connection)
        .optional()?;
    let origin = match event.and_then(|event| rows::event(&event).ok()) {
        Some(event) => event.event.origin,
        // It has been archived, or is not what was written: who verifies the trail finds that.
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

/// The places in a tenant's queue of what was put there with its request and has not been written down, with the requests.
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

/// The engine is being asked about a request; tells of it the first time.
fn processing(connection: &mut Connection, request: &mut Summary, act: &Act) -> QueryResult<Option<NewEvent>> {
    if request.status == Status::Processing {
        return Ok(None);
    }
    let event = moved(connection, request, Status::Processing, act, Action::StatusChanged)?;
    Ok(Some(event))
}

/// Moves a request to a status; the event that tells of it.
fn moved(
    connection: &mut Connection,
    request: &mut Summary,
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

/// Records what became of an attempt, if the claim still holds.
pub(super) fn record(
    connection: &mut Connection,
    tenant: &TenantId,
    claim: &Claim,
    conclusion: Conclusion,
    at: Timestamp,
) -> QueryResult<(Recorded, LogAdvance)> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        // Whoever gives back, takes over or cancels changes the place in the queue: of two that would end a claim, one
        // finds it ended.
        let ended = match &conclusion {
            Conclusion::Answered(_) | Conclusion::Dead { .. } => leave_queue(connection, claim)?,
            Conclusion::Retry { due_at, .. } | Conclusion::Postponed { due_at } => release(connection, claim, *due_at)?,
        };
        let request = if ended { delivery_and_request(connection, tenant, claim.delivery_id)? } else { None };
        let Some((row, MassRequest { summary: mut request, .. })) = request else {
            return Ok((Recorded::LeaseLost, head.move_on(connection, [])?));
        };
        let act = Act { actor: Actor::System, at, origin: row.origin()? };
        let delivery = row.into_delivery(None)?;
        let event = match conclusion {
            Conclusion::Answered(recommendation) => {
                end(connection, &delivery, State::Delivered, at)?;
                let event = moved(connection, &mut request, Status::Done, &act, Action::Delivered)?;
                Some(keep(connection, *recommendation, told(event, &delivery))?)
            }
            Conclusion::Dead { failure, reason } => {
                end(connection, &delivery, State::Dead, at)?;
                fail(connection, &delivery, &failure)?;
                diesel::update(deliveries::table.find((tenant.as_str(), Id(delivery.id.as_uuid()))))
                    .set(deliveries::dead_reason.eq(Word(reason)))
                    .execute(connection)?;
                let event = moved(connection, &mut request, Status::Failed, &act, Action::DeliveryFailed)?;
                let event = told(event, &delivery).with("code", failure.code.as_str());
                Some(event.with("reason", reason.as_str()))
            }
            Conclusion::Retry { failure, due_at: _ } => {
                requeue(connection, &delivery, delivery.attempts, at)?;
                fail(connection, &delivery, &failure)?;
                None
            }
            Conclusion::Postponed { due_at: _ } => {
                requeue(connection, &delivery, delivery.attempts - 1, at)?;
                None
            }
        };
        Ok((Recorded::Recorded, head.move_on(connection, event)?))
    })
}

/// Takes a claimed delivery out of the queue; tells whether the claim still held.
fn leave_queue(connection: &mut Connection, claim: &Claim) -> QueryResult<bool> {
    let removed = diesel::delete(delivery_queue::table).filter(of_claim(claim)).execute(connection)?;
    Ok(removed == 1)
}

/// Lets any worker take a claimed delivery from an instant on; tells whether the claim still held.
fn release(connection: &mut Connection, claim: &Claim, due_at: Timestamp) -> QueryResult<bool> {
    let released = diesel::update(delivery_queue::table)
        .filter(of_claim(claim))
        .set((delivery_queue::due_at.eq(Instant(due_at)), delivery_queue::worker.eq(None::<&str>)))
        .execute(connection)?;
    Ok(released == 1)
}

fn delivery_and_request(
    connection: &mut Connection,
    tenant: &TenantId,
    id: DeliveryId,
) -> QueryResult<Option<(DeliveryRow, MassRequest)>> {
    let row: Option<DeliveryRow> = deliveries::table
        .find((tenant.as_str(), Id(id.as_uuid())))
        .select(DeliveryRow::as_select())
        .first(connection)
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    match requests::find(connection, tenant, row.request())? {
        Found::Present(request) => Ok(Some((row, request))),
        Found::Deleted | Found::Absent => Ok(None),
    }
}

/// An event that tells which delivery it is about.
fn told(event: NewEvent, delivery: &Delivery) -> NewEvent {
    event.with("delivery", delivery.id.to_string()).with("round", delivery.round).with("attempts", delivery.attempts)
}

/// Stores a recommendation, and lets the event tell of it.
fn keep(connection: &mut Connection, recommendation: Recommendation, event: NewEvent) -> QueryResult<NewEvent> {
    let model = &recommendation.advice.model;
    let flags: Vec<_> = recommendation.flags.iter().map(|flag| flag.code.as_str()).collect();
    let event = event
        .with("recommendation", recommendation.id.to_string())
        .with("decision", recommendation.advice.decision_id.to_string())
        .with("model", format!("{} {} {}", model.name, model.version, model.policy))
        .with("valid", recommendation.is_valid())
        .with("flags", flags)
        .with("latency_ms", recommendation.latency_ms);
    let row = RecommendationRow::new(recommendation)?;
    let event = event.with("answer", row.answer_fingerprint().to_string());
    diesel::insert_into(recommendations::table).values(row).execute(connection)?;
    Ok(event)
}

/// Ends a delivery.
fn end(connection: &mut Connection, delivery: &Delivery, state: State, at: Timestamp) -> QueryResult<()> {
    diesel::update(deliveries::table.find((delivery.tenant_id.as_str(), Id(delivery.id.as_uuid()))))
        .set((deliveries::state.eq(Word(state)), deliveries::updated_at.eq(Instant(at))))
        .execute(connection)?;
    Ok(())
}

/// Notes what went wrong with the last attempt.
fn fail(connection: &mut Connection, delivery: &Delivery, failure: &Failure) -> QueryResult<()> {
    diesel::update(deliveries::table.find((delivery.tenant_id.as_str(), Id(delivery.id.as_uuid()))))
        .set((
            deliveries::failure_code.eq(Word(failure.code)),
            deliveries::failure_detail.eq(failure.detail.replace('\0', "\u{fffd}")),
        ))
        .execute(connection)?;
    Ok(())
}

/// Lets a delivery wait again in the same round.
fn requeue(connection: &mut Connection, delivery: &Delivery, attempts: i64, at: Timestamp) -> QueryResult<()> {
    diesel::update(deliveries::table.find((delivery.tenant_id.as_str(), Id(delivery.id.as_uuid()))))
        .set((
            deliveries::state.eq(Word(State::Queued)),
            deliveries::attempts.eq(attempts.max(0)),
            deliveries::updated_at.eq(Instant(at)),
        ))
        .execute(connection)?;
    Ok(())
}

/// Moves the ends of leases, and tells which claims still hold.
pub(super) fn extend(connection: &mut Connection, claims: &[Claim], until: Timestamp) -> QueryResult<Vec<bool>> {
    super::write(connection, |connection| {
        let mut holds = vec![false; claims.len()];
        let mut in_order: Vec<_> = claims.iter().zip(&mut holds).collect();
        // The order in which they would be given back, so that of two calls at once neither waits for the other in a ring.
        in_order.sort_by_key(|(claim, _)| claim.delivery_id);
        for (claim, holds) in in_order {
            let extended = diesel::update(delivery_queue::table)
                .filter(of_claim(claim))
                .set(delivery_queue::due_at.eq(Instant(until)))
                .execute(connection)?;
            *holds = extended == 1;
        }
        Ok(holds)
    })
}

/// What a worker has.
pub(super) fn claims_of(connection: &mut Connection, worker: &WorkerName) -> QueryResult<Vec<Claim>> {
    let rows: Vec<(Word<TenantId>, Id, i64)> = delivery_queue::table
        .filter(delivery_queue::worker.eq(worker.as_str()))
        .order(delivery_queue::delivery_id)
        .select((delivery_queue::tenant_id, delivery_queue::delivery_id, delivery_queue::fence))
        .load(connection)?;
    let claim = |(tenant, id, fence): (Word<TenantId>, Id, i64)| Claim {
        tenant_id: tenant.0,
        delivery_id: DeliveryId::from_uuid(id.0),
        worker: worker.clone(),
        fence,
    };
    Ok(rows.into_iter().map(claim).collect())
}

/// Gives back a tenant's deliveries; tells how many of the claims still held.
pub(super) fn hand_back(
    connection: &mut Connection,
    tenant: &TenantId,
    claims: &[Claim],
    at: Timestamp,
) -> QueryResult<usize> {
    super::write(connection, |connection| {
        let mut handed_back = 0;
        for claim in claims {
            if !release(connection, claim, at)? {
                continue;
            }
            handed_back += 1;
            // One that was claimed and not begun has had no attempt.
            diesel::update(deliveries::table.find((tenant.as_str(), Id(claim.delivery_id.as_uuid()))))
                .filter(deliveries::state.eq(Word(State::Leased)))
                .set((
                    deliveries::state.eq(Word(State::Queued)),
                    deliveries::attempts.eq(deliveries::attempts - 1),
                    deliveries::updated_at.eq(Instant(at)),
                ))
                .execute(connection)?;
        }
        Ok(handed_back)
    })
}

/// Puts a request in the queue.
pub(super) fn send(
    connection: &mut Connection,
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
            None => enqueue(connection, tenant, id, act)?,
        };
        let event = if status == request.status {
            request.event(act, Action::Sent)
        } else {
            moved(connection, &mut request, status, act, Action::Sent)?
        };
        head.append(connection, [told(event, &delivery)])?;
        Ok(Ok(delivery))
    })
}

/// Puts a request in the queue for the first time.
fn enqueue(connection: &mut Connection, tenant: &TenantId, request: MassRequestId, act: &Act) -> QueryResult<Delivery> {
    let row = DeliveryRow::first(tenant, request, act.at).by(&act.origin);
    diesel::insert_into(deliveries::table).values(row).execute(connection)?;
    diesel::insert_into(delivery_queue::table).values(QueueRow::first(tenant, request, act)).execute(connection)?;
    find(connection, tenant, DeliveryId::of(request))?.ok_or(diesel::NotFound)
}

/// Puts a delivery that has ended back in the queue.
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

/// The condition of the indexes of deliveries, which is true of all. It is said by whoever is to be served by one of them;
/// otherwise what is planned while there are few would look up a delivery by another index than that of its key.
fn by_index() -> SqlLiteral<Bool> {
    sql("length(deliveries.tenant_id) > 0")
}

/// A delivery with its place in the queue, if it has one.
type Placed = (DeliveryRow, Option<(Instant, Option<String>)>);

/// The deliveries of a tenant with their places in the queue.
#[diesel::dsl::auto_type(no_type_alias)]
fn placed<'a>(tenant: &'a str) -> _ {
    let place_of =
        delivery_queue::tenant_id.eq(deliveries::tenant_id).and(delivery_queue::delivery_id.eq(deliveries::id));
    let row: diesel::dsl::AsSelect<DeliveryRow, super::Backend> = DeliveryRow::as_select();
    deliveries::table
        .left_join(delivery_queue::table.on(place_of))
        .filter(deliveries::tenant_id.eq(tenant))
        .select((row, (delivery_queue::due_at, delivery_queue::worker).nullable()))
}

fn delivery((row, place): Placed) -> QueryResult<Delivery> {
    row.into_delivery(place)
}

/// Finds a delivery.
pub(super) fn find(connection: &mut Connection, tenant: &TenantId, id: DeliveryId) -> QueryResult<Option<Delivery>> {
    let written = placed(tenant.as_str()).filter(deliveries::id.eq(Id(id.as_uuid())));
    match written.first(connection).optional()? {
        Some(found) => delivery(found).map(Some),
        None => find_unwritten(connection, tenant, id),
    }
}

fn of_request(connection: &mut Connection, tenant: &TenantId, id: MassRequestId) -> QueryResult<Option<Delivery>> {
    let written = placed(tenant.as_str()).filter(deliveries::request_id.eq(Id(id.as_uuid()))).filter(by_index());
    match written.first(connection).optional()? {
        Some(found) => delivery(found).map(Some),
        None => find_unwritten(connection, tenant, DeliveryId::of(id)),
    }
}

fn find_unwritten(connection: &mut Connection, tenant: &TenantId, id: DeliveryId) -> QueryResult<Option<Delivery>> {
    let found = unwritten(tenant.as_str())
        .filter(delivery_queue::delivery_id.eq(Id(id.as_uuid())))
        .select(Unwritten::as_select())
        .first(connection)
        .optional()?;
    found.map(|found: Unwritten| found.into_delivery(tenant)).transpose()
}

/// What is known of a delivery that has not been written down.
#[derive(Queryable, Selectable)]
#[diesel(table_name = delivery_queue)]
struct Unwritten {
    delivery_id: Id,
    due_at: Instant,
    worker: Option<String>,
    #[diesel(select_expression = mass_requests::created_at)]
    created_at: Instant,
}

impl Unwritten {
    fn into_delivery(self, tenant: &TenantId) -> QueryResult<Delivery> {
        let Self { delivery_id, due_at, worker, created_at } = self;
        let row = DeliveryRow::first(tenant, MassRequestId::from_uuid(delivery_id.0), created_at.0);
        row.into_delivery(Some((due_at, worker)))
    }
}

/// Lists deliveries, newest first.
pub(super) fn list(
    connection: &mut Connection,
    tenant: &TenantId,
    filter: Filter,
    before: Option<DeliveryId>,
    limit: Limit,
) -> QueryResult<Vec<Delivery>> {
    let limit = usize::from(limit.get()) + 1;
    super::read(connection, |connection| {
        let mut query = placed(tenant.as_str()).order(deliveries::id.desc()).limit(column(limit as u64)).into_boxed();
        if let Some(before) = before {
            query = query.filter(deliveries::id.lt(Id(before.as_uuid())));
        }
        if let Some(state) = filter.state {
            query = query.filter(deliveries::state.eq(state.as_str())).filter(by_index());
        }
        let mut found: Vec<_> = query.load(connection)?.into_iter().map(delivery).collect::<QueryResult<_>>()?;
        if filter.state.is_none_or(|state| state == State::Queued) {
            found.extend(list_unwritten(connection, tenant, before, limit)?);
            found.sort_by_key(|delivery| Reverse(delivery.id));
            found.truncate(limit);
        }
        Ok(found)
    })
}

fn list_unwritten(
    connection: &mut Connection,
    tenant: &TenantId,
    before: Option<DeliveryId>,
    limit: usize,
) -> QueryResult<Vec<Delivery>> {
    let mut query = unwritten(tenant.as_str())
        .select(Unwritten::as_select())
        .order(delivery_queue::delivery_id.desc())
        .limit(column(limit as u64))
        .into_boxed();
    if let Some(before) = before {
        query = query.filter(delivery_queue::delivery_id.lt(Id(before.as_uuid())));
    }
    query.load(connection)?.into_iter().map(|found: Unwritten| found.into_delivery(tenant)).collect()
}

/// What a tenant's deliveries are at.
pub(super) fn overview(connection: &mut Connection, tenant: &TenantId) -> QueryResult<Overview> {
    super::read(connection, |connection| {
        let own = || deliveries::table.filter(deliveries::tenant_id.eq(tenant.as_str())).filter(by_index());
        let counts: Vec<(Word<State>, i64)> =
            own().group_by(deliveries::state).select((deliveries::state, count_star())).load(connection)?;
        let places: i64 = delivery_queue::table
            .filter(delivery_queue::tenant_id.eq(tenant.as_str()))
            .select(count_star())
            .first(connection)?;
        let written: i64 = counts.iter().filter(|(state, _)| state.0.is_open()).map(|(_, number)| number).sum();
        let waiting = (places - written).max(0);
        let waiting_since: Option<Instant> = unwritten(tenant.as_str())
            .select(mass_requests::created_at)
            .order(delivery_queue::delivery_id)
            .first(connection)
            .optional()?;
        let by_state: Vec<_> = State::ALL
            .iter()
            .map(|state| {
                let counted = counts.iter().find(|(counted, _)| counted.0 == *state).map_or(0, |(_, number)| *number);
                (*state, count(counted + if *state == State::Queued { waiting } else { 0 }))
            })
            .collect();
        let open = || own().filter(deliveries::state.eq_any([Word(State::Queued), Word(State::Leased)]));
        let oldest = open().select(deliveries::queued_at).order(deliveries::queued_at);
        let oldest: Option<Instant> = oldest.first(connection).optional()?;
        let retrying: i64 =
            open().filter(deliveries::failure_code.is_not_null()).select(count_star()).first(connection)?;
        let depth = by_state.iter().filter(|(state, _)| state.is_open()).map(|(_, number)| number).sum();
        let oldest = [oldest, waiting_since].into_iter().flatten().map(|oldest| oldest.0).min();
        Ok(Overview { depth, oldest, retrying: count(retrying), by_state })
    })
}

/// When what is due the longest is due, or will be.
fn longest_due(connection: &mut Connection) -> QueryResult<Option<Instant>> {
    const LONGEST: &str = in_turn!(
        "''",
        "SELECT min((
            SELECT min(due_at) FROM delivery_queue WHERE tenant_id = turn.tenant_id AND length(tenant_id) > 0
        )) AS due_at FROM turn"
    );
    let longest: DueAtRow = diesel::sql_query(LONGEST).get_result(connection)?;
    Ok(longest.due_at)
}

/// What the whole queue is at.
pub(super) fn backlog(connection: &mut Connection, now: Timestamp) -> QueryResult<Backlog> {
    super::read(connection, |connection| {
        let leased = || {
            let claimed = delivery_queue::table.filter(delivery_queue::worker.is_not_null());
            claimed.filter(delivery_queue::due_at.gt(Instant(now)))
        };
        let all: i64 = delivery_queue::table.select(count_star()).first(connection)?;
        let leased: i64 = leased().select(count_star()).first(connection)?;
        let oldest = longest_due(connection)?.filter(|oldest| oldest.0 <= now);
        Ok(Backlog { waiting: count(all - leased), leased: count(leased), oldest_due: oldest.map(|oldest| oldest.0) })
    })
}

/// Puts a dead letter back in the queue.
pub(super) fn replay(
    connection: &mut Connection,
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
            moved(connection, &mut request, Status::Pending, act, Action::DeliveryReplayed)?
        } else {
            request.event(act, Action::DeliveryReplayed)
        };
        let delivery = next_round(connection, &delivery, act)?;
        head.append(connection, [told(event, &delivery)])?;
        Ok(Ok(delivery))
    })
}

/// Cancels a delivery, and its request if that waits for it.
pub(super) fn cancel(
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
        drop_delivery(connection, &delivery, act)?;
        if let Found::Present(MassRequest { summary: mut request, .. }) =
            requests::find(connection, tenant, delivery.request_id)?
        {
            let event = if delivery.state.is_open() && request.status.can_become(Status::Cancelled) {
                moved(connection, &mut request, Status::Cancelled, act, Action::DeliveryCancelled)?
            } else {
                request.event(act, Action::DeliveryCancelled)
            };
            head.append(connection, [told(event, &delivery)])?;
        }
        Ok(Ok(find(connection, tenant, id)?.ok_or(diesel::NotFound)?))
    })
}

/// Cancels the delivery of a request of which nobody wants an answer any more; the event that tells of it, if there was
/// one in any of these states.
pub(super) fn abandon(
    connection: &mut Connection,
    request: &Summary,
    act: &Act,
    states: &[State],
) -> QueryResult<Option<NewEvent>> {
    let delivery = of_request(connection, &request.tenant_id, request.id)?;
    let Some(delivery) = delivery.filter(|delivery| states.contains(&delivery.state)) else { return Ok(None) };
    drop_delivery(connection, &delivery, act)?;
    Ok(Some(told(request.event(act, Action::DeliveryCancelled), &delivery)))
}

fn drop_delivery(connection: &mut Connection, delivery: &Delivery, act: &Act) -> QueryResult<()> {
    write_down(connection, &delivery.tenant_id, delivery.id)?;
    diesel::delete(delivery_queue::table.find((delivery.tenant_id.as_str(), Id(delivery.id.as_uuid()))))
        .execute(connection)?;
    end(connection, delivery, State::Cancelled, act.at)
}
