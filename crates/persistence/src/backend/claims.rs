//! Claims of the queue for the engine: the port of its workers and its transactions.
//!
//! A claim is taken over all tenants; its attempt and conclusion are recorded within the delivery's tenant.
//!
//! In PostgreSQL, transactions that lock several rows do so in this order: the head of the tenant's log, the place in the
//! queue, the delivery.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use async_trait::async_trait;
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable};
use mass_domain::access::Actor;
use mass_domain::audit::{Act, Action, NewEvent};
use mass_domain::delivery::{Delivery, DeliveryRequirements, Failure, State, WorkerName};
use mass_domain::ids::DeliveryId;
use mass_domain::json;
use mass_domain::mass_request::{MassRequest, RequestSummary, Status};
use mass_domain::port::PortError;
use mass_domain::recommendation::Recommendation;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use mass_domain::trace::TraceParent;
use mass_service::{Claim, Claimed, Conclusion, DeliveryStore, Found, Question, Recorded, Restraint};

use super::audit::Head;
use super::delivery_rows::{about, end, ensure_row, move_request};
use super::fair_share::{self, Round};
use super::{Connection, Store, requests, turns};
use crate::columns::{Id, Instant, Word};
use crate::foresight::LogAdvance;
use crate::layout::Layout;
use crate::rows::{DeliveryRow, DueRow, RecommendationRow};
use crate::schema::{deliveries, delivery_queue, recommendations};

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
        // A read first, so that a worker that finds nothing does not block a writer.
        let (layout, none_of) = (super::layout(self), restraint.none_of.clone());
        let is_due = move |connection: &mut Connection| match layout {
            Layout::OneNode => super::is_due(connection, Instant(now), &none_of),
            Layout::Distributed => turns::may_be_due(connection, &none_of),
        };
        if !self.reads.read_outside(is_due).await? {
            return Ok(Vec::new());
        }
        let (worker, restraint) = (worker.clone(), restraint.clone());
        let last_served = self.last_served.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut round = Round { layout, last_served, idle: Vec::new() };
        let claim_due = move |connection: &mut Connection| {
            let lease = LeaseTime { now, until };
            let claims = claim_due(connection, &worker, limit, lease, &restraint, &mut round)?;
            Ok((claims, round))
        };
        let (claims, Round { last_served, idle, .. }) = self.writes.run_outside(claim_due).await?;
        *self.last_served.lock().unwrap_or_else(PoisonError::into_inner) = last_served;
        for tenant in idle.into_iter().collect::<BTreeSet<_>>() {
            if let Err(error) = self.writes.run_for(&tenant, turns::leave).await {
                tracing::warn!(%tenant, %error, "a tenant with nothing in the queue stays listed");
            }
        }
        let mut claimed = Vec::new();
        let mut failure = None;
        for (tenant, claims) in by_tenant(claims) {
            let follow = self.accepting.follower(&tenant);
            let begin = move |connection: &mut Connection, tenant: &TenantId| {
                let (begun, advance) = begin(connection, tenant, claims, now)?;
                follow(&advance);
                Ok(begun)
            };
            match self.writes.run_for(&tenant, begin).await {
                Ok(begun) => claimed.extend(begun.into_iter().map(BegunAttempt::into_claimed)),
                Err(error) => failure = Some(error),
            }
        }
        // A failure for one tenant does not affect the claims of the others.
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
                let (recorded, advance) = record_conclusion(connection, tenant, &claim, conclusion, at)?;
                follow(&advance);
                Ok(recorded)
            };
            self.writes.run_for(&tenant, record)
        };
        match record(claim.clone(), conclusion.clone()).await {
            // An answer of the engine is not lost to a deadlock or a lost connection. If it was recorded after all, the claim
            // has ended.
            Err(PortError::Unavailable(_)) => record(claim.clone(), conclusion).await,
            recorded => recorded,
        }
    }

    async fn extend(&self, claims: &[Claim], until: Timestamp) -> Result<Vec<bool>, PortError> {
        let (layout, claims) = (super::layout(self), claims.to_vec());
        self.writes.run_outside(move |connection| extend_leases(connection, layout, &claims, until)).await
    }

    async fn release_all(&self, worker: &WorkerName, at: Timestamp) -> Result<usize, PortError> {
        let worker = worker.clone();
        let claims = self.writes.run_outside(move |connection| claims_of(connection, &worker)).await?;
        let mut released = 0;
        for (tenant, claims) in by_tenant(claims) {
            released += self
                .writes
                .run_for(&tenant, move |connection, tenant| release_of_tenant(connection, tenant, &claims, at))
                .await?;
        }
        Ok(released)
    }
}

/// Groups claims by tenant.
fn by_tenant(claims: Vec<Claim>) -> BTreeMap<TenantId, Vec<Claim>> {
    let mut by_tenant: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for claim in claims {
        by_tenant.entry(claim.tenant_id.clone()).or_default().push(claim);
    }
    by_tenant
}

/// The beginning and the end of a lease.
#[derive(Clone, Copy)]
struct LeaseTime {
    now: Timestamp,
    until: Timestamp,
}

/// Claims due deliveries over all tenants, except those that another worker is just claiming. The tenants take turns. On several
/// nodes each claim has a transaction of its own, which touches one node.
fn claim_due(
    connection: &mut Connection,
    worker: &WorkerName,
    limit: u16,
    LeaseTime { now, until }: LeaseTime,
    restraint: &Restraint,
    round: &mut Round,
) -> QueryResult<Vec<Claim>> {
    match round.layout {
        Layout::OneNode => super::write(connection, |connection| {
            let due = fair_share::find_due(connection, limit.into(), Instant(now), restraint, round)?;
            let claims: QueryResult<Vec<_>> =
                due.into_iter().map(|place| take(connection, place, worker, LeaseTime { now, until })).collect();
            Ok(claims?.into_iter().flatten().collect())
        }),
        Layout::Distributed => {
            let due = fair_share::find_due(connection, limit.into(), Instant(now), restraint, round)?;
            let mut claims = Vec::new();
            for place in due {
                match take(connection, place, worker, LeaseTime { now, until }) {
                    Ok(claim) => claims.extend(claim),
                    Err(error) => tracing::warn!(%error, "a due delivery cannot be claimed"),
                }
            }
            Ok(claims)
        }
    }
}

/// Claims a due place. Returns `None` if another worker has been faster.
fn take(
    connection: &mut Connection,
    DueRow { tenant_id: tenant, delivery_id: id, due_at: _, fence: before }: DueRow,
    worker: &WorkerName,
    LeaseTime { now, until }: LeaseTime,
) -> QueryResult<Option<Claim>> {
    let fence = before + 1;
    let taken = diesel::update(delivery_queue::table.find((tenant.0.as_str(), id)))
        .filter(delivery_queue::fence.eq(before))
        .filter(delivery_queue::due_at.le(Instant(now)))
        .set((
            delivery_queue::due_at.eq(Instant(until)),
            delivery_queue::worker.eq(worker.as_str()),
            delivery_queue::fence.eq(fence),
        ))
        .execute(connection)?;
    let delivery_id = DeliveryId::from_uuid(id.0);
    Ok((taken == 1).then(|| Claim { tenant_id: tenant.0, delivery_id, worker: worker.clone(), fence }))
}

/// A claimed delivery whose attempt is recorded in the tenant's tables.
struct BegunAttempt {
    claim: Claim,
    attempt: i64,
    round: i64,
    queued_at: Timestamp,
    trace: Option<TraceParent>,
    request: MassRequest,
}

impl BegunAttempt {
    /// Builds the question and the requirements for the worker.
    fn into_claimed(self) -> Claimed {
        let Self { claim, attempt, round, queued_at, trace, request: MassRequest { summary, document, .. } } = self;
        // An accepted document is JSON.
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

/// Begins an attempt of each claimed delivery of a tenant, except those that were cancelled meanwhile.
fn begin(
    connection: &mut Connection,
    tenant: &TenantId,
    claims: Vec<Claim>,
    now: Timestamp,
) -> QueryResult<(Vec<BegunAttempt>, LogAdvance)> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let mut events = Vec::new();
        let mut begun = Vec::new();
        for claim in claims {
            // A cancellation waits for the head, too: the delivery stays in the queue until this transaction ends.
            let Some((row, mut request)) = held(connection, tenant, &claim)? else {
                // No worker is to find a cancelled delivery again.
                leave_queue(connection, &claim)?;
                continue;
            };
            let act = Act { actor: Actor::System, at: now, origin: row.origin()? };
            let delivery = row.into_delivery(None)?;
            if let Some(event) = start_processing(connection, &mut request.summary, &act)? {
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
            begun.push(BegunAttempt { claim, attempt, round, queued_at, trace: act.origin.trace, request });
        }
        Ok((begun, head.advance(connection, events)?))
    })
}

/// The condition on the place in the queue of a claim that still holds.
fn of_claim(
    claim: &Claim,
) -> Box<dyn BoxableExpression<delivery_queue::table, super::Backend, SqlType = Nullable<Bool>> + '_> {
    let place = delivery_queue::tenant_id.eq(claim.tenant_id.as_str());
    let place = place.and(delivery_queue::delivery_id.eq(Id(claim.delivery_id.as_uuid())));
    Box::new(place.and(delivery_queue::fence.eq(claim.fence)).and(delivery_queue::worker.eq(claim.worker.as_str())))
}

/// Reads the delivery of a claim that still holds, and its request.
fn held(
    connection: &mut Connection,
    tenant: &TenantId,
    claim: &Claim,
) -> QueryResult<Option<(DeliveryRow, MassRequest)>> {
    let holds = exists(delivery_queue::table.filter(of_claim(claim)));
    if !diesel::select(holds).get_result::<bool>(connection)? {
        return Ok(None);
    }
    ensure_row(connection, tenant, claim.delivery_id)?;
    delivery_and_request(connection, tenant, claim.delivery_id)
}

/// Moves a request to `processing` at its first attempt. Returns the event of the change.
fn start_processing(
    connection: &mut Connection,
    request: &mut RequestSummary,
    act: &Act,
) -> QueryResult<Option<NewEvent>> {
    if request.status == Status::Processing {
        return Ok(None);
    }
    let event = move_request(connection, request, Status::Processing, act, Action::StatusChanged)?;
    Ok(Some(event))
}

/// Records the conclusion of an attempt, if the claim still holds.
fn record_conclusion(
    connection: &mut Connection,
    tenant: &TenantId,
    claim: &Claim,
    conclusion: Conclusion,
    at: Timestamp,
) -> QueryResult<(Recorded, LogAdvance)> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        // Release, takeover and cancellation change the place in the queue, too: of two that would end a claim, one finds it
        // ended.
        let ended = match &conclusion {
            Conclusion::Answered(_) | Conclusion::Dead { .. } => leave_queue(connection, claim)?,
            Conclusion::Retry { due_at, .. } | Conclusion::Postponed { due_at } => release(connection, claim, *due_at)?,
        };
        let request = if ended { delivery_and_request(connection, tenant, claim.delivery_id)? } else { None };
        let Some((row, MassRequest { summary: mut request, .. })) = request else {
            return Ok((Recorded::LeaseLost, head.advance(connection, [])?));
        };
        let act = Act { actor: Actor::System, at, origin: row.origin()? };
        let delivery = row.into_delivery(None)?;
        let event = match conclusion {
            Conclusion::Answered(recommendation) => {
                end(connection, &delivery, State::Delivered, at)?;
                let event = move_request(connection, &mut request, Status::Done, &act, Action::Delivered)?;
                Some(insert_recommendation(connection, *recommendation, about(event, &delivery))?)
            }
            Conclusion::Dead { failure, reason } => {
                end(connection, &delivery, State::Dead, at)?;
                set_failure(connection, &delivery, &failure)?;
                diesel::update(deliveries::table.find((tenant.as_str(), Id(delivery.id.as_uuid()))))
                    .set(deliveries::dead_reason.eq(Word(reason)))
                    .execute(connection)?;
                let event = move_request(connection, &mut request, Status::Failed, &act, Action::DeliveryFailed)?;
                let event = about(event, &delivery).with("code", failure.code.as_str());
                Some(event.with("reason", reason.as_str()))
            }
            Conclusion::Retry { failure, due_at: _ } => {
                requeue(connection, &delivery, delivery.attempts, at)?;
                set_failure(connection, &delivery, &failure)?;
                None
            }
            Conclusion::Postponed { due_at: _ } => {
                requeue(connection, &delivery, delivery.attempts - 1, at)?;
                None
            }
        };
        Ok((Recorded::Recorded, head.advance(connection, event)?))
    })
}

/// Removes a claimed delivery from the queue. Returns whether the claim still held.
fn leave_queue(connection: &mut Connection, claim: &Claim) -> QueryResult<bool> {
    let removed = diesel::delete(delivery_queue::table).filter(of_claim(claim)).execute(connection)?;
    Ok(removed == 1)
}

/// Ends a claim and makes the delivery due at an instant. Returns whether the claim still held.
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

/// Inserts a recommendation, and adds it to the details of an event.
fn insert_recommendation(
    connection: &mut Connection,
    recommendation: Recommendation,
    event: NewEvent,
) -> QueryResult<NewEvent> {
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

/// Sets the last failure of a delivery.
fn set_failure(connection: &mut Connection, delivery: &Delivery, failure: &Failure) -> QueryResult<()> {
    diesel::update(deliveries::table.find((delivery.tenant_id.as_str(), Id(delivery.id.as_uuid()))))
        .set((
            deliveries::failure_code.eq(Word(failure.code)),
            deliveries::failure_detail.eq(failure.detail.replace('\0', "\u{fffd}")),
        ))
        .execute(connection)?;
    Ok(())
}

/// Puts a delivery back in the queue within its round.
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

/// Extends leases. Returns which claims still hold.
fn extend_leases(
    connection: &mut Connection,
    layout: Layout,
    claims: &[Claim],
    until: Timestamp,
) -> QueryResult<Vec<bool>> {
    match layout {
        Layout::OneNode => super::write(connection, |connection| {
            let mut holds = vec![false; claims.len()];
            let mut in_order: Vec<_> = claims.iter().zip(&mut holds).collect();
            // In the order in which releases lock the same places, which rules out deadlocks.
            in_order.sort_by_key(|(claim, _)| claim.delivery_id);
            for (claim, holds) in in_order {
                *holds = extend_lease(connection, claim, until)?;
            }
            Ok(holds)
        }),
        Layout::Distributed => {
            let extended: Vec<_> = claims.iter().map(|claim| extend_lease(connection, claim, until)).collect();
            if extended.iter().all(Result::is_err) {
                return extended.into_iter().collect();
            }
            // A claim on a node that does not answer may not hold any more; those on the other nodes do.
            Ok(extended.into_iter().map(|extended| extended.unwrap_or(false)).collect())
        }
    }
}

/// Extends a lease. Returns whether the claim still holds.
fn extend_lease(connection: &mut Connection, claim: &Claim, until: Timestamp) -> QueryResult<bool> {
    let extended = diesel::update(delivery_queue::table)
        .filter(of_claim(claim))
        .set(delivery_queue::due_at.eq(Instant(until)))
        .execute(connection)?;
    Ok(extended == 1)
}

/// Lists the claims of a worker.
fn claims_of(connection: &mut Connection, worker: &WorkerName) -> QueryResult<Vec<Claim>> {
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

/// Ends a tenant's claims. Returns the number of those that still held.
fn release_of_tenant(
    connection: &mut Connection,
    tenant: &TenantId,
    claims: &[Claim],
    at: Timestamp,
) -> QueryResult<usize> {
    super::write(connection, |connection| {
        let mut released = 0;
        for claim in claims {
            if !release(connection, claim, at)? {
                continue;
            }
            released += 1;
            // A claimed delivery without a begun attempt is not in the state `leased`.
            diesel::update(deliveries::table.find((tenant.as_str(), Id(claim.delivery_id.as_uuid()))))
                .filter(deliveries::state.eq(Word(State::Leased)))
                .set((
                    deliveries::state.eq(Word(State::Queued)),
                    deliveries::attempts.eq(deliveries::attempts - 1),
                    deliveries::updated_at.eq(Instant(at)),
                ))
                .execute(connection)?;
        }
        Ok(released)
    })
}
