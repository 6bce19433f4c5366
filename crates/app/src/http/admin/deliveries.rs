//! The tenant's queue for the engine.

use actix_web::web;
use mass_domain::access::Permission;
use mass_domain::delivery::{self as domain, DeliveryFilter};
use mass_domain::ids::DeliveryId;
use mass_domain::page::Limit;
use mass_service::{DeliveryError, DeliveryQuery, DeliveryService, HandleError};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::TAG;
use crate::engine::{Circuit, Engine};
use crate::http::delivery::{Delivery, delivery_example, ended, engine_missing, names};
use crate::http::operations::{Access, Operation, Parameter, Produces, model};
use crate::http::parameters::{CURSOR, LIMIT};
use crate::http::path::{InPath, PathId, uuid};
use crate::http::problem::{Problem, ProblemKind, problem_from};
use crate::http::query::{Query, foreign_cursor, page_limit};
use crate::http::reply::{Call, Reply};

type Service = web::Data<DeliveryService>;

const DELIVERIES: Access = Access::Needs(Permission::DeliveriesManage);

const FILTERS: &[Parameter] = &[
    Parameter::new(
        "state",
        "Deliveries in this state.",
        || json!({"type": "string", "enum": names(domain::State::ALL, |state| state.as_str())}),
    ),
    LIMIT,
    CURSOR,
];

impl InPath for DeliveryId {
    const PARAMETER: Parameter = uuid("The delivery's id.");
}

/// The operations.
pub const OPERATIONS: &[Operation] = &[LIST, GET, REPLAY, CANCEL];

const LIST: Operation = Operation {
    id: "listDeliveries",
    summary: "List deliveries to the engine.",
    description: "What the queue of the caller's tenant is at, and its deliveries, those of the newest requests \
        first, page by page. The dead letters are those in the state `dead`.",
    tag: Some(TAG),
    query: FILTERS,
    produces: Produces::Json(model::<DeliveryPage>),
    answers: &[(200, "The queue, and a page of deliveries.")],
    ..Operation::get("/v1/admin/deliveries", DELIVERIES, || web::to(list))
};

async fn list(
    call: Call,
    service: Service,
    engine: web::Data<Engine>,
    query: Query,
) -> Result<Reply<DeliveryPage>, Problem> {
    let query = delivery_query(query)?;
    let overview = service.overview(&call.principal).await?;
    let page = service.deliveries(&call.principal, &query).await?;
    let queue = Queue::new(&overview, engine.circuit(call.principal.tenant()));
    let items = page.items.into_iter().map(Into::into).collect();
    let page = DeliveryPage { queue, items, next_cursor: page.next_cursor };
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

const GET: Operation = Operation {
    id: "getDelivery",
    summary: "Fetch a delivery.",
    description: "Where it is, and what became of its last attempt.",
    tag: Some(TAG),
    in_path: &[DeliveryId::PARAMETER],
    produces: Produces::Json(model::<Delivery>),
    answers: &[(200, "The delivery.")],
    problems: &[ProblemKind::NotFound],
    ..Operation::get("/v1/admin/deliveries/{id}", DELIVERIES, || web::to(get))
};

async fn get(call: Call, service: Service, id: PathId<DeliveryId>, query: Query) -> Result<Reply<Delivery>, Problem> {
    query.finish()?;
    Reply::ok(&service.delivery(&call.principal, id.read()?).await?.into())
}

const REPLAY: Operation = Operation {
    id: "replayDelivery",
    summary: "Replay a delivery.",
    description: "Puts a dead letter back in the queue, for another round of attempts. One that stands in the queue \
        stays as it is.",
    tag: Some(TAG),
    in_path: &[DeliveryId::PARAMETER],
    produces: Produces::Json(model::<Delivery>),
    answers: &[(200, "The delivery, which stands in the queue.")],
    problems: &[ProblemKind::NotFound, ProblemKind::EngineMissing, ProblemKind::NotDeliverable],
    ..Operation::post("/v1/admin/deliveries/{id}/replay", DELIVERIES, || web::to(replay))
};

async fn replay(
    call: Call,
    service: Service,
    engine: web::Data<Engine>,
    id: PathId<DeliveryId>,
    query: Query,
) -> Result<Reply<Delivery>, Problem> {
    query.finish()?;
    let delivery = service.replay(&call.principal, id.read()?, call.origin).await?;
    engine.wake(&delivery.tenant_id);
    Reply::ok(&delivery.into())
}

const CANCEL: Operation = Operation {
    id: "cancelDelivery",
    summary: "Cancel a delivery.",
    description: "Takes it out of the queue, or gives up a dead letter; a request that waits for its answer is \
        cancelled with it. An answer that is under way is not stored.",
    tag: Some(TAG),
    in_path: &[DeliveryId::PARAMETER],
    produces: Produces::Json(model::<Delivery>),
    answers: &[(200, "The delivery, which is cancelled.")],
    problems: &[ProblemKind::NotFound, ProblemKind::NotDeliverable],
    ..Operation::post("/v1/admin/deliveries/{id}/cancel", DELIVERIES, || web::to(cancel))
};

async fn cancel(
    call: Call,
    service: Service,
    id: PathId<DeliveryId>,
    query: Query,
) -> Result<Reply<Delivery>, Problem> {
    query.finish()?;
    Reply::ok(&service.cancel(&call.principal, id.read()?, call.origin).await?.into())
}

fn delivery_query(mut query: Query) -> Result<DeliveryQuery, Problem> {
    let filter = DeliveryFilter { state: query.take("state") };
    let limit = query.take_with("limit", page_limit).unwrap_or(Limit::DEFAULT);
    let cursor = query.take("cursor");
    query.finish()?;
    Ok(DeliveryQuery { filter, limit, cursor })
}

/// A page of deliveries, newest first, with what the whole queue is at.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "queue": {"depth": 1, "oldest": "2026-11-24T18:00:00.123456Z", "retrying": 1, "circuit": "open", "queued": 1, "leased": 0,
              "delivered": 41, "dead": 0, "cancelled": 0},
    "items": [delivery_example()], "next_cursor": null,
}))]
pub struct DeliveryPage {
    /// Counts of all deliveries of the tenant, independent of the filter.
    pub queue: Queue,
    /// The deliveries.
    pub items: Vec<Delivery>,
    /// To be sent as `cursor`, with the same filter, for the page that follows; null on the last one.
    pub next_cursor: Option<String>,
}

/// Counts of a tenant's deliveries by state.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeliveryQueue")]
pub struct Queue {
    /// Deliveries that wait or are under way.
    pub depth: u64,
    /// Since when the oldest of them has been waiting.
    #[schemars(extend("format" = "date-time"))]
    pub oldest: Option<String>,
    /// Those of them that failed and are tried again.
    pub retrying: u64,
    /// The circuit breaker of this process: `closed` (calls the engine), `open` (pauses after failures) or `half_open`
    /// (one call tries whether it is back); null where no engine is configured.
    #[schemars(extend("enum" = ["closed", "open", "half_open", null]))]
    pub circuit: Option<&'static str>,
    /// Deliveries that wait.
    pub queued: u64,
    /// Deliveries under way.
    pub leased: u64,
    /// Deliveries that the engine has answered.
    pub delivered: u64,
    /// Dead letters: deliveries that are not tried again.
    pub dead: u64,
    /// Cancelled deliveries.
    pub cancelled: u64,
}

impl Queue {
    /// Builds the overview of a tenant's deliveries and of this process's circuit.
    #[must_use]
    pub fn new(overview: &domain::Overview, circuit: Option<Circuit>) -> Self {
        let count = |wanted| {
            let found = overview.by_state.iter().find(|(state, _)| *state == wanted);
            found.map_or(0, |(_, count)| *count)
        };
        Self {
            depth: overview.depth,
            oldest: overview.oldest.map(|instant| instant.to_string()),
            retrying: overview.retrying,
            circuit: circuit.map(Circuit::as_str),
            queued: count(domain::State::Queued),
            leased: count(domain::State::Leased),
            delivered: count(domain::State::Delivered),
            dead: count(domain::State::Dead),
            cancelled: count(domain::State::Cancelled),
        }
    }
}

problem_from! {
    DeliveryError: Forbidden, Store;
        DeliveryError::ForeignCursor(error) => foreign_cursor(error.to_string()),
        DeliveryError::NotFound => DeliveryId::absent(),
}

problem_from! {
    HandleError: Forbidden, Store;
        HandleError::EngineMissing => engine_missing(),
        HandleError::NotFound => DeliveryId::absent(),
        HandleError::NotAllowed { state } => Self::new(ProblemKind::NotDeliverable)
            .detail(format!("The delivery is {state}, so that this cannot be done with it any more."))
            .member("state", state.as_str()),
        HandleError::Ended { status } => ended(status.as_str()),
}
