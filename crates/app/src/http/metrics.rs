//! The metrics of the process, for monitoring.

use actix_web::body::BoxBody;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Responder, web};
use mass_domain::access::Permission;
use mass_service::DeliveryService;

use super::operations::{Access, Operation, Produces};
use super::problem::Problem;
use super::query::Query;
use super::reply::Call;
use super::system;
use crate::telemetry::Telemetry;

/// The operations.
pub const OPERATIONS: &[Operation] = &[GET];

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

const GET: Operation = Operation {
    id: "getMetrics",
    summary: "What is counted and measured?",
    description: "In Prometheus's text format: of this process alone, since its start.",
    tag: Some(system::TAG),
    produces: Produces::Text,
    answers: &[(200, "The metrics.")],
    store: false,
    ..Operation::get("/metrics", Access::Needs(Permission::MetricsRead), || web::to(get))
};

async fn get(
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
