//! The queue for the engine, as far as it is the caller's tenant's.

use actix_web::web;
use mass_domain::delivery::Filter;
use mass_domain::ids::DeliveryId;
use mass_domain::page::Limit;
use mass_service::{DeliveryError, DeliveryQuery, DeliveryService, HandleError};
use paperclip::actix::{Apiv2Schema, api_v2_operation};
use serde::Deserialize;

use super::absent;
use crate::engine::Engine;
use crate::http::delivery::{ended, engine_missing};
use crate::http::problem::{Problem, ProblemKind};
use crate::http::query::{Query, foreign_cursor, page_limit};
use crate::http::reply::{Call, Reply};
use crate::http::wire::delivery::{Delivery, DeliveryPage, Queue};

type Service = web::Data<DeliveryService>;

/// Which delivery an operation is about.
#[derive(Deserialize, Apiv2Schema)]
pub struct Target {
    /// The delivery's id.
    id: String,
}

impl Target {
    fn id(&self) -> Result<DeliveryId, Problem> {
        self.id.parse().map_err(|_| absent())
    }
}

/// List deliveries to the engine.
///
/// What the queue of the caller's tenant is at, and its deliveries, those of the newest requests first, page by page. The
/// dead letters are those in the state `dead`.
#[api_v2_operation(operation_id = "listDeliveries", tags("admin"))]
pub async fn list(
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

/// Fetch a delivery.
///
/// Where it is, and what became of its last attempt.
#[api_v2_operation(operation_id = "getDelivery", tags("admin"))]
pub async fn get(
    call: Call,
    service: Service,
    target: web::Path<Target>,
    query: Query,
) -> Result<Reply<Delivery>, Problem> {
    query.finish()?;
    Reply::ok(&service.delivery(&call.principal, target.id()?).await?.into())
}

/// Replay a delivery.
///
/// Puts a dead letter back in the queue, for another round of attempts. One that stands in the queue stays as it is.
#[api_v2_operation(operation_id = "replayDelivery", tags("admin"))]
pub async fn replay(
    call: Call,
    service: Service,
    engine: web::Data<Engine>,
    target: web::Path<Target>,
    query: Query,
) -> Result<Reply<Delivery>, Problem> {
    query.finish()?;
    let delivery = service.replay(&call.principal, target.id()?, call.origin).await?;
    engine.wake(&delivery.tenant_id);
    Reply::ok(&delivery.into())
}

/// Cancel a delivery.
///
/// Takes it out of the queue, or gives up a dead letter; a request that waits for its answer is cancelled with it. An
/// answer that is under way is not stored.
#[api_v2_operation(operation_id = "cancelDelivery", tags("admin"))]
pub async fn cancel(
    call: Call,
    service: Service,
    target: web::Path<Target>,
    query: Query,
) -> Result<Reply<Delivery>, Problem> {
    query.finish()?;
    Reply::ok(&service.cancel(&call.principal, target.id()?, call.origin).await?.into())
}

fn delivery_query(mut query: Query) -> Result<DeliveryQuery, Problem> {
    let filter = Filter { state: query.take("state") };
    let limit = query.take_with("limit", page_limit).unwrap_or(Limit::DEFAULT);
    let cursor = query.take("cursor");
    query.finish()?;
    Ok(DeliveryQuery { filter, limit, cursor })
}

impl From<DeliveryError> for Problem {
    fn from(error: DeliveryError) -> Self {
        match error {
            DeliveryError::Forbidden(error) => error.into(),
            DeliveryError::ForeignCursor(error) => foreign_cursor(error.to_string()),
            DeliveryError::NotFound => absent(),
            DeliveryError::Store(error) => error.into(),
        }
    }
}

impl From<HandleError> for Problem {
    fn from(error: HandleError) -> Self {
        match error {
            HandleError::Forbidden(error) => error.into(),
            HandleError::EngineMissing => engine_missing(),
            HandleError::NotFound => absent(),
            HandleError::NotAllowed { state } => Self::new(ProblemKind::NotDeliverable)
                .detail(format!("The delivery is {state}, so that this cannot be done with it any more."))
                .member("state", state.as_str()),
            HandleError::Ended { status } => ended(status.as_str()),
            HandleError::Store(error) => error.into(),
        }
    }
}
