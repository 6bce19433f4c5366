//! Sending MASS requests to the engine.

use actix_web::http::{StatusCode, header};
use actix_web::web;
use mass_service::{DeliveryService, SendError};
use paperclip::actix::api_v2_operation;

use super::mass::{Target, absent, gone};
use super::problem::{Problem, ProblemKind};
use super::query::Query;
use super::reply::{Call, Reply};
use super::wire::delivery::Delivery;
use crate::engine::Engine;

/// Send a request to the engine.
///
/// Puts the request in the queue for the engine, durably, and answers at once. What the engine recommends is found where
/// `Location` says. A request that stands in the queue already, or that the engine has answered, stays as it is.
#[api_v2_operation(operation_id = "sendMassRequest", tags("recommendations"))]
pub async fn send(
    call: Call,
    service: web::Data<DeliveryService>,
    engine: web::Data<Engine>,
    target: web::Path<Target>,
    query: Query,
) -> Result<Reply<Delivery>, Problem> {
    query.finish()?;
    let id = target.id()?;
    let delivery = service.send(&call.principal, id, call.origin).await?;
    engine.wake(&delivery.tenant_id);
    let location = format!("/v1/mass-requests/{id}/recommendations");
    Ok(Reply::with_status(StatusCode::ACCEPTED, &Delivery::from(delivery))?.header(header::LOCATION, &location))
}

/// The problem of whoever wants something of an engine that is not there.
pub(super) fn engine_missing() -> Problem {
    Problem::new(ProblemKind::EngineMissing).detail("No engine is configured here, so that nothing can be sent to one.")
}

/// The problem of a request that wants no answer any more.
pub(super) fn ended(state: &str) -> Problem {
    Problem::new(ProblemKind::NotDeliverable)
        .detail(format!("The request is {state}, so that no answer of the engine is wanted."))
        .member("state", state)
}

impl From<SendError> for Problem {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Forbidden(error) => error.into(),
            SendError::EngineMissing => engine_missing(),
            SendError::NotFound => absent(),
            SendError::Gone => gone(),
            SendError::Ended { status } => ended(status.as_str()),
            SendError::Store(error) => error.into(),
        }
    }
}
