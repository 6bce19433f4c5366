//! Sending MASS requests to the engine.

use actix_web::http::{StatusCode, header};
use actix_web::web;
use mass_domain::access::Permission;
use mass_domain::delivery as domain;
use mass_domain::ids::MassRequestId;
use mass_service::{DeliveryService, SendError};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::mass::problems::gone;
use super::operations::{Access, AnswerHeader, Operation, Produces, Tag, model};
use super::path::{InPath, PathId};
use super::problem::{Problem, ProblemKind, problem_from};
use super::query::Query;
use super::reply::{Call, Reply};
use crate::engine::Engine;

/// The group of the operations on the engine's answers.
pub const TAG: Tag = Tag { name: "recommendations", description: "Asking the engine, and what it would do." };

/// The operations.
pub const OPERATIONS: &[Operation] = &[SEND];

const SEND: Operation = Operation {
    id: "sendMassRequest",
    summary: "Send a request to the engine.",
    description: "Puts the request in the queue for the engine, durably, and answers at once. What the engine \
        recommends is found where `Location` says. A request that stands in the queue already, or that the engine has \
        answered, stays as it is.",
    tag: Some(TAG),
    in_path: &[MassRequestId::PARAMETER],
    produces: Produces::Json(model::<Delivery>),
    answers: &[(202, "The request stands in the queue for the engine, or the engine has answered it.")],
    answer_headers: &[AnswerHeader {
        name: "Location",
        description: "Where the answer will be.",
        example: "/v1/mass-requests/0199d3a0-0000-7000-8000-000000000002/recommendations",
    }],
    problems: &[ProblemKind::NotFound, ProblemKind::EngineMissing, ProblemKind::NotDeliverable, ProblemKind::Gone],
    ..Operation::post("/v1/mass-requests/{id}/send", Access::Needs(Permission::MassWrite), || web::to(send))
};

async fn send(
    call: Call,
    service: web::Data<DeliveryService>,
    engine: web::Data<Engine>,
    id: PathId<MassRequestId>,
    query: Query,
) -> Result<Reply<Delivery>, Problem> {
    query.finish()?;
    let id = id.read()?;
    let delivery = service.send(&call.principal, id, call.origin).await?;
    engine.wake(&delivery.tenant_id);
    let location = format!("/v1/mass-requests/{id}/recommendations");
    Ok(Reply::with_status(StatusCode::ACCEPTED, &Delivery::from(delivery))?.header(header::LOCATION, &location))
}

/// The problem that no engine is configured.
pub(super) fn engine_missing() -> Problem {
    Problem::new(ProblemKind::EngineMissing).detail("No engine is configured here, so that nothing can be sent to one.")
}

/// The problem that no answer to the request is wanted any more.
pub(super) fn ended(state: &str) -> Problem {
    Problem::new(ProblemKind::NotDeliverable)
        .detail(format!("The request is {state}, so that no answer of the engine is wanted."))
        .member("state", state)
}

/// A request's way to the engine.
#[derive(Serialize, JsonSchema)]
#[schemars(example = delivery_example())]
pub struct Delivery {
    /// Its id: that of its request.
    #[schemars(extend("format" = "uuid"))]
    pub id: String,
    /// The request that the engine is asked about.
    #[schemars(extend("format" = "uuid"))]
    pub request_id: String,
    /// `queued`, `leased` (the engine is being asked), `delivered`, `dead` (it is not asked again) or `cancelled`.
    #[schemars(extend("enum" = names(domain::State::ALL, |state| state.as_str())))]
    pub state: &'static str,
    /// The round: times that it was put in the queue, from 1.
    pub round: i64,
    /// Calls to the engine in this round.
    pub attempts: i64,
    /// When it first stood in the queue.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// When this round began.
    #[schemars(extend("format" = "date-time"))]
    pub queued_at: String,
    /// When its state last changed.
    #[schemars(extend("format" = "date-time"))]
    pub updated_at: String,
    /// From when on the engine may be asked; null unless it is queued.
    #[schemars(extend("format" = "date-time"))]
    pub due_at: Option<String>,
    /// The worker that holds the lease; null unless it is leased.
    pub lease: Option<Lease>,
    /// The last failed attempt of this round.
    pub failure: Option<Failure>,
    /// Why the engine is not asked again: `not_retryable`, `attempts_exhausted` or `deadline_passed`; null unless it is
    /// dead.
    pub dead_reason: Option<&'static str>,
}

/// The right of one worker to ask the engine.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeliveryLease")]
pub struct Lease {
    /// The worker.
    pub worker: String,
    /// Until when nobody else asks.
    #[schemars(extend("format" = "date-time"))]
    pub until: String,
}

/// Why an attempt gave nothing that could be stored.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeliveryFailure")]
pub struct Failure {
    /// For programs: docs/engine.md lists the codes.
    #[schemars(extend("enum" = names(domain::FailureCode::ALL, |code| code.as_str())))]
    pub code: &'static str,
    /// A sentence for people.
    pub detail: String,
}

/// The names of all values of an enumeration, for its schema.
pub(super) fn names<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> Value {
    all.iter().map(|each| Value::from(name(*each))).collect()
}

/// A delivery, as an example.
pub(super) fn delivery_example() -> Value {
    json!({
        "id": "0199d3a0-0000-7000-8000-000000000002", "request_id": "0199d3a0-0000-7000-8000-000000000002",
        "state": "queued", "round": 1, "attempts": 2, "created_at": "2026-11-24T18:00:00.123456Z",
        "queued_at": "2026-11-24T18:00:00.123456Z", "updated_at": "2026-11-24T18:00:03.456789Z",
        "due_at": "2026-11-24T18:00:05.000000Z", "lease": null,
        "failure": {"code": "engine_busy", "detail": "The engine answered with status 503."}, "dead_reason": null,
    })
}

impl From<domain::Delivery> for Delivery {
    fn from(delivery: domain::Delivery) -> Self {
        Self {
            id: delivery.id.to_string(),
            request_id: delivery.request_id.to_string(),
            state: delivery.state.as_str(),
            round: delivery.round,
            attempts: delivery.attempts,
            created_at: delivery.created_at.to_string(),
            queued_at: delivery.queued_at.to_string(),
            updated_at: delivery.updated_at.to_string(),
            due_at: delivery.due_at.map(|instant| instant.to_string()),
            lease: delivery
                .lease
                .map(|lease| Lease { worker: lease.owner.to_string(), until: lease.until.to_string() }),
            failure: delivery.failure.map(|failure| Failure { code: failure.code.as_str(), detail: failure.detail }),
            dead_reason: delivery.dead_reason.map(domain::DeadReason::as_str),
        }
    }
}

problem_from! {
    SendError: Forbidden, Store;
        SendError::EngineMissing => engine_missing(),
        SendError::NotFound => MassRequestId::absent(),
        SendError::Gone => gone(),
        SendError::Ended { status } => ended(status.as_str()),
}
