//! What monitoring asks of the process.

use actix_web::body::BoxBody;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Responder, web};
use mass_service::DeliveryService;
use paperclip::actix::{OperationModifier, api_v2_operation};
use paperclip::v2::schema::Apiv2Schema;

use super::problem::Problem;
use super::query::Query;
use super::reply::Call;
use crate::telemetry::Telemetry;

/// The format's own media type: collectors choose how they read by it.
const EXPOSITION: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Metrics as text.
pub struct Exposition(String);

impl Responder for Exposition {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().insert_header((header::CONTENT_TYPE, EXPOSITION)).body(self.0)
    }
}

impl Apiv2Schema for Exposition {}
impl OperationModifier for Exposition {}

/// What is counted and measured?
///
/// In Prometheus's text format: of this process alone, since its start.
#[api_v2_operation(operation_id = "getMetrics", tags("system"))]
pub async fn get(
    call: Call,
    query: Query,
    deliveries: web::Data<DeliveryService>,
    telemetry: web::Data<Telemetry>,
) -> Result<Exposition, Problem> {
    query.finish()?;
    match deliveries.backlog(&call.principal).await {
        Ok(backlog) => telemetry.metrics.queued(&backlog),
        // Who looks for what is wrong needs the rest all the more.
        Err(error) => tracing::warn!(error = format!("{error:#}"), "the queue for the engine cannot be counted"),
    }
    telemetry.metrics.text().map(Exposition).map_err(|error| Problem::internal(&error))
}
