//! The HTTP server: `POST /recommend`, `GET /health`, `GET /version`, `GET /statistics`.

mod body;
mod reply;

use std::io;
use std::net::TcpListener;

use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::rt::time::sleep;
use actix_web::web::{self, Data, Payload};
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, Resource, Route};
use serde_json::json;

use crate::Options;
use crate::engine::Engine;
use crate::limits::{CONNECTIONS, DRAIN_SECONDS, HEAD_TIMEOUT};
use crate::protocol::MODEL;
use crate::request_error::RequestError;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Maximum length of a request id to return, in bytes.
const LONGEST_REQUEST_ID: usize = 128;

/// Starts the server on a listener, until its handle stops it. Does not handle signals.
///
/// # Errors
/// I/O errors of the listener, and [`io::ErrorKind::InvalidInput`] if the rates of the faults add up to more than 1.
pub fn serve(listener: TcpListener, options: &Options) -> io::Result<Server> {
    options.faults.check().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let engine = Data::new(Engine::new(options.clone()));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(engine.clone())
            .wrap(from_fn(layer))
            .service(only("/recommend", web::post().to(recommend)))
            .service(only("/health", web::get().to(health)))
            .service(only("/version", web::get().to(version)))
            .service(only("/statistics", web::get().to(statistics)))
            .default_service(web::to(nothing_here))
    });
    let server = server
        // One worker is enough: a recommendation takes microseconds.
        .workers(1)
        .max_connections(CONNECTIONS)
        .client_request_timeout(HEAD_TIMEOUT)
        // A request that hangs ends when its client disconnects.
        .h1_allow_half_closed(false)
        .disable_signals()
        .shutdown_timeout(DRAIN_SECONDS);
    Ok(server.listen(listener)?.run())
}

fn only(path: &str, route: Route) -> Resource {
    web::resource(path).route(route).default_service(web::to(nothing_here))
}

async fn nothing_here() -> Result<HttpResponse, RequestError> {
    Err(RequestError::NothingHere)
}

async fn health() -> HttpResponse {
    reply::fresh(&json!({"status": "ok"}))
}

async fn version() -> HttpResponse {
    reply::fresh(&MODEL)
}

async fn statistics(engine: Data<Engine>) -> HttpResponse {
    reply::fresh(&engine.statistics())
}

async fn recommend(req: HttpRequest, payload: Payload, engine: Data<Engine>) -> Result<HttpResponse, RequestError> {
    let place = engine.arrived();
    if !engine.options.latency.is_zero() {
        sleep(engine.options.latency).await;
    }
    let answer = match body::receive(&req, payload).await {
        Ok((key, body)) => engine.answer(key, &body),
        Err(refusal) => Err(refusal),
    };
    let answer = answer.inspect_err(|_| engine.count(|it| it.refused += 1))?;
    Ok(reply::reply(&engine, place, answer).await)
}

/// Returns the request id in the response, and logs the request.
async fn layer(req: ServiceRequest, next: Next<impl MessageBody>) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let header = |name: HeaderName| req.headers().get(name).filter(|it| it.len() <= LONGEST_REQUEST_ID).cloned();
    let (request_id, traceparent) = (header(REQUEST_ID), header(TRACEPARENT));
    let (method, path) = (req.method().clone(), req.path().to_owned());
    let mut res = next.call(req).await?;
    let text = |value: &Option<HeaderValue>| value.as_ref().and_then(|it| it.to_str().ok()).map(str::to_owned);
    let status = res.status().as_u16();
    tracing::debug!(request_id = text(&request_id), traceparent = text(&traceparent), %method, path, status, "asked");
    if let Some(request_id) = request_id {
        res.headers_mut().insert(REQUEST_ID, request_id);
    }
    Ok(res)
}
