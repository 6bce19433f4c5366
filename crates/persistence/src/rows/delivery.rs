//! Rows of deliveries to the engine and of recommendations.

use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use mass_domain::audit::Act;
use mass_domain::canonical::Fingerprint;
use mass_domain::contracts::ContractId;
use mass_domain::delivery::{DeadReason, Delivery, Failure, FailureCode, Lease, State, WorkerName};
use mass_domain::ids::{DeliveryId, MassRequestId, RecommendationId};
use mass_domain::recommendation::{Advice, Flag, Recommendation};
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use mass_domain::trace::{Origin, RequestId, TraceParent};

use super::{corrupt, request_id, request_id_column};
use crate::columns::{Hash, Id, Instant, Json, Word, sql};
use crate::schema::{deliveries, delivery_queue, recommendations};

/// A delivery without its place in the queue.
#[derive(Debug, Queryable, QueryableByName, Selectable, Insertable)]
#[diesel(table_name = deliveries, treat_none_as_default_value = false)]
pub(crate) struct DeliveryRow {
    tenant_id: Word<TenantId>,
    id: Id,
    request_id: Id,
    state: Word<State>,
    round: i64,
    attempts: i64,
    created_at: Instant,
    queued_at: Instant,
    updated_at: Instant,
    failure_code: Option<Word<FailureCode>>,
    failure_detail: Option<String>,
    dead_reason: Option<Word<DeadReason>>,
    call_id: String,
    traceparent: Option<String>,
}

impl DeliveryRow {
    /// Builds the row of a request's delivery in its first round, without the call that queued it.
    pub(crate) fn first(tenant: &TenantId, request: MassRequestId, at: Timestamp) -> Self {
        let at = Instant(at);
        Self {
            tenant_id: Word(tenant.clone()),
            id: Id(DeliveryId::of(request).as_uuid()),
            request_id: request_id_column(request),
            state: Word(State::Queued),
            round: 1,
            attempts: 0,
            created_at: at,
            queued_at: at,
            updated_at: at,
            failure_code: None,
            failure_detail: None,
            dead_reason: None,
            call_id: String::new(),
            traceparent: None,
        }
    }

    /// Sets the call that queued the delivery.
    pub(crate) fn by(self, origin: &Origin) -> Self {
        let traceparent = origin.trace.map(|trace| trace.to_string());
        Self { call_id: origin.request_id.as_str().to_owned(), traceparent, ..self }
    }

    /// Returns the request.
    pub(crate) fn request(&self) -> MassRequestId {
        request_id(self.request_id)
    }

    /// Returns the origin of a worker's acts: the call that queued the delivery, without its address.
    pub(crate) fn origin(&self) -> QueryResult<Origin> {
        let trace: Option<Result<TraceParent, _>> = self.traceparent.as_deref().map(str::parse);
        Ok(Origin {
            request_id: RequestId::parse(&self.call_id).map_err(corrupt)?,
            trace: trace.transpose().map_err(corrupt)?,
            address: None,
        })
    }

    /// Builds the delivery from its row and its place in the queue: due instant or end of the lease, and worker.
    pub(crate) fn into_delivery(self, queued: Option<(Instant, Option<String>)>) -> QueryResult<Delivery> {
        let (due_at, lease) = match queued {
            None => (None, None),
            Some((due_at, None)) => (Some(due_at.0), None),
            Some((until, Some(owner))) => {
                (None, Some(Lease { owner: WorkerName::parse(&owner).map_err(corrupt)?, until: until.0 }))
            }
        };
        let failure =
            self.failure_code.map(|code| Failure { code: code.0, detail: self.failure_detail.unwrap_or_default() });
        Ok(Delivery {
            id: DeliveryId::from_uuid(self.id.0),
            tenant_id: self.tenant_id.0,
            request_id: request_id(self.request_id),
            state: self.state.0,
            round: self.round,
            attempts: self.attempts,
            created_at: self.created_at.0,
            queued_at: self.queued_at.0,
            updated_at: self.updated_at.0,
            due_at,
            lease,
            failure,
            dead_reason: self.dead_reason.map(|reason| reason.0),
        })
    }
}

/// A delivery with its place in the queue.
#[derive(Debug, QueryableByName)]
pub(crate) struct QueuedDeliveryRow {
    #[diesel(embed)]
    delivery: DeliveryRow,
    #[diesel(sql_type = Nullable<sql::Instant>)]
    due_at: Option<Instant>,
    #[diesel(sql_type = Nullable<Text>)]
    worker: Option<String>,
}

impl QueuedDeliveryRow {
    /// Builds the delivery.
    pub(crate) fn into_delivery(self) -> QueryResult<Delivery> {
        self.delivery.into_delivery(self.due_at.map(|due_at| (due_at, self.worker)))
    }
}

/// A delivery's place in the queue.
#[derive(Debug, Insertable)]
#[diesel(table_name = delivery_queue, treat_none_as_default_value = false)]
pub(crate) struct QueueRow {
    pub(super) tenant_id: Word<TenantId>,
    pub(super) delivery_id: Id,
    pub(super) due_at: Instant,
    pub(super) worker: Option<String>,
    pub(super) fence: i64,
    pub(super) trace_flags: Option<i64>,
}

impl QueueRow {
    /// Builds the place of a request's delivery in its first round, due at once.
    pub(crate) fn first(tenant: &TenantId, request: MassRequestId, act: &Act) -> Self {
        let trace_flags = act.origin.trace.map(|trace| i64::from(trace.parts().2));
        Self { trace_flags, ..Self::of_round(tenant, DeliveryId::of(request), act.at, 1) }
    }

    /// Builds the place of a delivery in a round.
    pub(crate) fn of_round(tenant: &TenantId, id: DeliveryId, due_at: Timestamp, round: i64) -> Self {
        Self {
            tenant_id: Word(tenant.clone()),
            delivery_id: Id(id.as_uuid()),
            due_at: Instant(due_at),
            worker: None,
            // Greater than the fences of all claims of earlier rounds.
            fence: (round - 1) << 32,
            trace_flags: None,
        }
    }
}

/// A due place in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, QueryableByName)]
#[diesel(table_name = delivery_queue)]
pub(crate) struct DueRow {
    pub(crate) tenant_id: Word<TenantId>,
    pub(crate) delivery_id: Id,
    pub(crate) due_at: Instant,
    pub(crate) fence: i64,
}

/// The instant at which a place in the queue is due.
#[derive(Debug, QueryableByName)]
pub(crate) struct DueAtRow {
    #[diesel(sql_type = Nullable<sql::Instant>)]
    pub(crate) due_at: Option<Instant>,
}

/// A recommendation.
#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = recommendations, treat_none_as_default_value = false)]
pub(crate) struct RecommendationRow {
    tenant_id: Word<TenantId>,
    id: Id,
    request_id: Id,
    delivery_id: Id,
    contract: Word<ContractId>,
    site_id: Option<String>,
    device_id: Option<String>,
    created_at: Instant,
    valid: bool,
    model_name: String,
    input_fingerprint: Hash,
    answer: String,
    flags: Json<Vec<Flag>>,
    latency_ms: i64,
    slo_ms: Option<i64>,
}

impl RecommendationRow {
    /// Builds the row of a recommendation.
    pub(crate) fn new(recommendation: Recommendation) -> QueryResult<Self> {
        let valid = recommendation.is_valid();
        let answer = serde_json::to_string(&recommendation.advice);
        Ok(Self {
            tenant_id: Word(recommendation.tenant_id),
            id: Id(recommendation.id.as_uuid()),
            request_id: request_id_column(recommendation.request_id),
            delivery_id: Id(recommendation.delivery_id.as_uuid()),
            contract: Word(recommendation.contract),
            site_id: recommendation.site_id,
            device_id: recommendation.device_id,
            created_at: Instant(recommendation.created_at),
            valid,
            input_fingerprint: Hash(recommendation.advice.input_fingerprint),
            model_name: recommendation.advice.model.name,
            answer: answer.map_err(|error| diesel::result::Error::SerializationError(error.into()))?,
            flags: Json(recommendation.flags),
            latency_ms: recommendation.latency_ms,
            slo_ms: recommendation.slo_ms,
        })
    }

    /// Returns the fingerprint of the stored answer.
    pub(crate) fn answer_fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.answer)
    }

    /// Builds the recommendation.
    pub(crate) fn into_recommendation(self) -> QueryResult<Recommendation> {
        Ok(Recommendation {
            id: RecommendationId::from_uuid(self.id.0),
            tenant_id: self.tenant_id.0,
            request_id: request_id(self.request_id),
            delivery_id: DeliveryId::from_uuid(self.delivery_id.0),
            contract: self.contract.0,
            site_id: self.site_id,
            device_id: self.device_id,
            created_at: self.created_at.0,
            advice: Advice::read(self.answer.as_bytes(), self.input_fingerprint.0).map_err(corrupt)?,
            flags: self.flags.0,
            latency_ms: self.latency_ms,
            slo_ms: self.slo_ms,
        })
    }
}
