//! The outermost layer: gives each request its ids, logs, traces and measures it, puts problems into words and survives
//! panics.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, web};
use futures_util::FutureExt;
use mass_domain::trace::{Origin, RequestId, TraceParent};
use tracing::{Instrument, Span};
use uuid::Uuid;

use super::client::TrustedProxies;
use super::connection::follow_body;
use super::connections::{self, Connections};
use super::operations::Operations;
use super::pieces::in_pieces;
use super::problem::Problem;
use super::public::PublicUrl;
use crate::telemetry::metrics::Answered;
use crate::telemetry::{Telemetry, spans};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The policy of what is no page. The last three do not follow from `default-src`.
const NOTHING: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The spans of a request, for what goes on beside its handler.
#[derive(Debug, Clone)]
pub struct RequestSpans {
    /// The exported span.
    traced: Span,
    /// The span of the log lines.
    logged: Span,
}

impl RequestSpans {
    /// Does work on the request's behalf.
    pub async fn around<T>(self, work: impl Future<Output = T>) -> T {
        work.instrument(self.logged).instrument(self.traced).await
    }
}

/// The pattern of a request's route, once [`layer`] has found it.
struct Route(Option<&'static str>);

/// The pattern of a request's route, if there is an operation on it.
#[must_use]
pub fn route(req: &ServiceRequest) -> Option<&'static str> {
    if let Some(Route(found)) = req.extensions().get() {
        return *found;
    }
    let pattern = req.match_pattern()?;
    req.app_data::<Operations>()?.on(&pattern).next().map(|operation| operation.path)
}

/// Wraps every request; see the module.
///
/// # Errors
/// An error that already is a complete answer.
pub async fn layer(mut req: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse, Error> {
    let started = Instant::now();
    follow_body(&mut req);
    let proxies = req.app_data::<web::Data<TrustedProxies>>().cloned();
    let peer = req.peer_addr().map(|address| address.ip());
    let address = proxies.as_ref().map_or(peer, |proxies| proxies.client(peer, req.headers()));
    let tls = proxies.is_some_and(|proxies| proxies.is_tls(peer, req.headers()));
    let telemetry = req.app_data::<web::Data<Telemetry>>().cloned();
    let public = req.app_data::<web::Data<PublicUrl>>().cloned();
    let connections = req.app_data::<web::Data<Connections>>();
    let slot = connections.map_or(Ok(None), |connections| connections::request(connections, peer, address));
    let method = req.method().clone();
    let path = req.path().to_owned();
    let route = route(&req);
    let scheme = if tls { "https" } else { "http" };
    let caller = text(&req, &TRACEPARENT).and_then(|value| value.parse().ok());
    let traced = spans::server(&method, route, scheme, caller);
    let origin = origin_of(&req, address, spans::place(&traced).or_else(|| own_place(caller)));
    let spans = RequestSpans { traced: traced.clone(), logged: log_span(&origin, &method, &path) };
    {
        let mut known = req.extensions_mut();
        known.insert(origin.clone());
        known.insert(Route(route));
        known.insert(spans.clone());
    }
    let answering = async move {
        // The panic hook has logged the panic itself, within this span.
        let (outcome, slot) = match slot {
            Ok(slot) => (AssertUnwindSafe(next.call(req)).catch_unwind().await, slot),
            Err(full) => (Ok(Err(full.problem().into())), None),
        };
        let (request, mut response) = match outcome {
            Ok(Ok(response)) => {
                let (request, response) = response.into_parts();
                (Some(request), in_words(response.map_into_boxed_body(), &path, &origin))
            }
            Ok(Err(error)) => (None, in_words(error.error_response(), &path, &origin)),
            Err(_) => (None, Problem::after_logging().render(&path, &origin.request_id)),
        };
        place(response.headers_mut(), public.as_ref().map_or("", |public| public.path()));
        complete(response.headers_mut(), &path, tls, &origin);
        let response = response.map_body(|_, body| in_pieces(body, slot));
        let (status, took) = (response.status(), started.elapsed());
        spans::answered(&traced, status);
        if let Some(telemetry) = telemetry {
            telemetry.metrics.answered(Answered { method: &method, route, scheme, status, took });
        }
        let millis = took.as_secs_f64() * 1000.0;
        tracing::info!(status = status.as_u16(), millis = (millis * 1000.0).round() / 1000.0, "answered");
        match request {
            Some(request) => Ok(ServiceResponse::new(request, response)),
            None => Err(InternalError::from_response("an error with its answer", response).into()),
        }
    };
    spans.around(answering).await
}

fn log_span(origin: &Origin, method: &Method, path: &str) -> Span {
    tracing::info_span!(
        "request",
        request_id = origin.request_id.as_str(),
        trace_id = origin.trace.map(|trace| trace.trace_id()),
        method = method.as_str(),
        path,
        // Known to the gate.
        actor = tracing::field::Empty,
    )
}

fn text<'a>(req: &'a ServiceRequest, name: &HeaderName) -> Option<&'a str> {
    req.headers().get(name)?.to_str().ok()
}

fn origin_of(req: &ServiceRequest, address: Option<IpAddr>, trace: Option<TraceParent>) -> Origin {
    let sent = text(req, &REQUEST_ID).and_then(|id| RequestId::parse(id).ok());
    Origin { request_id: sent.unwrap_or_else(new_request_id), trace, address }
}

/// A place in the caller's trace or in a new one, of a span that nobody collects.
fn own_place(caller: Option<TraceParent>) -> Option<TraceParent> {
    let span_id = rand::random_range(1..=u64::MAX);
    match caller {
        Some(caller) => caller.child(span_id),
        None => TraceParent::new(rand::random_range(1..=u128::MAX), span_id, 0),
    }
}

/// A request id of MASS's own making.
#[must_use]
pub fn new_request_id() -> RequestId {
    RequestId::of(Uuid::now_v7())
}

/// The origin of work that no request asked for: the program's own start, or a local command.
#[must_use]
pub fn local_origin() -> Origin {
    Origin { request_id: new_request_id(), trace: None, address: None }
}

/// Renders a pending `Problem` as RFC 9457 JSON, with the headers that the inner layers have set; other answers pass as
/// they are.
fn in_words(response: HttpResponse<BoxBody>, path: &str, origin: &Origin) -> HttpResponse<BoxBody> {
    let problem = response.extensions().get::<Problem>().cloned();
    let Some(problem) = problem else { return response };
    let mut in_words = problem.render(path, &origin.request_id);
    for (name, value) in response.headers() {
        in_words.headers_mut().append(name.clone(), value.clone());
    }
    in_words
}

/// Puts the path below which clients find the server before the places that an answer names.
fn place(headers: &mut HeaderMap, below: &str) {
    if below.is_empty() {
        return;
    }
    for (name, opening) in [(header::LOCATION, ""), (header::LINK, "<")] {
        let value = headers.get(&name).and_then(|value| value.to_str().ok());
        let absolute = value.and_then(|value| value.strip_prefix(opening)).filter(|place| place.starts_with('/'));
        let placed = absolute.and_then(|place| HeaderValue::try_from(format!("{opening}{below}{place}")).ok());
        if let Some(placed) = placed {
            headers.insert(name, placed);
        }
    }
}

fn complete(headers: &mut HeaderMap, path: &str, tls: bool, origin: &Origin) {
    let mut set = |name: HeaderName, value: HeaderValue| {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    };
    if let Ok(id) = HeaderValue::from_str(origin.request_id.as_str()) {
        set(REQUEST_ID, id);
    }
    if let Some(Ok(trace)) = origin.trace.map(|trace| HeaderValue::from_str(&trace.to_string())) {
        set(TRACEPARENT, trace);
    }
    set(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    set(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(NOTHING));
    set(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if tls {
        // Two years (RFC 6797); over plain HTTP a browser has to ignore it.
        set(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000; includeSubDomains"));
    }
    if path.starts_with("/v1/") {
        set(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::middleware::from_fn;
    use actix_web::{App, test};

    use super::*;

    #[actix_web::test]
    async fn a_panic_in_a_handler_is_a_problem_and_the_next_request_is_served() {
        let panics = || async { panic!("on purpose") as HttpResponse };
        let serves = || async { HttpResponse::Ok().finish() };
        let app = App::new().wrap(from_fn(layer)).route("/panics", web::to(panics)).route("/serves", web::to(serves));
        let app = test::init_service(app).await;

        let request = test::TestRequest::get().uri("/panics").insert_header(("x-request-id", "r-1")).to_request();
        let error = test::try_call_service(&app, request).await.expect_err("an error with its answer");
        let response = error.error_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers().get("x-request-id").unwrap(), "r-1");
        assert_eq!(response.headers().get("content-type").unwrap(), "application/problem+json");
        let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&problem["type"], &problem["instance"]), (&"/problems/internal".into(), &"/panics".into()));
        assert!(!problem.to_string().contains("on purpose"));

        let request = test::TestRequest::get().uri("/serves").to_request();
        assert_eq!(test::call_service(&app, request).await.status(), StatusCode::OK);
    }
}
