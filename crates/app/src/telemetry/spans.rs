//! The spans of requests, deliveries and calls to the engine. A request's span is the one that the answer's
//! `traceparent` and the audit trail name, and the engine gets the span of its call.

use actix_web::http::{Method, StatusCode};
use mass_domain::delivery::FailureCode;
use mass_domain::trace::{SPANS, TraceParent};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};
use reqwest::Url;
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::metrics::method_name;

/// Begins the span of a request (OpenTelemetry's semantic conventions for HTTP servers), in the caller's trace or a new
/// one. It has only the route pattern of the URL, because a path may hold private data.
#[must_use]
pub fn server(method: &Method, route: Option<&'static str>, scheme: &'static str, caller: Option<TraceParent>) -> Span {
    let span = tracing::info_span!(
        target: SPANS,
        parent: None,
        "request",
        otel.name = name(method, route),
        otel.kind = "server",
        otel.status_code = field::Empty,
        http.request.method = method_name(method),
        http.response.status_code = field::Empty,
        http.route = route,
        url.scheme = scheme,
        error.type = field::Empty,
    );
    below(&span, caller);
    span
}

/// Begins the span of a delivery attempt, from the call to the recorded result: below the span of the API call that
/// queued the request, or in a new trace.
#[must_use]
pub fn delivery(attempt: i64, sender: Option<TraceParent>) -> Span {
    let span = tracing::info_span!(target: SPANS, parent: None, "delivery", mass.delivery.attempt = attempt);
    below(&span, sender);
    span
}

/// Begins the span of a call to the engine (the conventions for HTTP clients), below the delivery's span or else below
/// that of the API call that queued the request. It has only the host of the URL.
#[must_use]
pub fn engine_call(url: &Url, sender: Option<TraceParent>) -> Span {
    let span = tracing::info_span!(
        target: SPANS,
        "engine call",
        otel.kind = "client",
        otel.status_code = field::Empty,
        http.request.method = "POST",
        http.response.status_code = field::Empty,
        server.address = url.host_str(),
        server.port = url.port_or_known_default(),
        error.type = field::Empty,
    );
    if Span::current().is_none() {
        below(&span, sender);
    }
    span
}

/// Records why the engine gave no answer.
pub fn unanswered(span: &Span, code: FailureCode) {
    span.record("error.type", code.as_str());
    span.record("otel.status_code", "error");
}

/// Records the status of an answer. Only server errors mark the span as failed.
pub fn answered(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("error.type", status.as_str());
        span.record("otel.status_code", "error");
    }
}

/// Returns the trace context of a span; `None` if it is not exported.
#[must_use]
pub fn place(span: &Span) -> Option<TraceParent> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let place = context.span().span_context().clone();
    let trace_id = u128::from_be_bytes(place.trace_id().to_bytes());
    let span_id = u64::from_be_bytes(place.span_id().to_bytes());
    TraceParent::new(trace_id, span_id, place.trace_flags().to_u8())
}

fn name(method: &Method, route: Option<&'static str>) -> String {
    let method = match method_name(method) {
        "_OTHER" => "HTTP",
        known => known,
    };
    route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"))
}

/// Makes a new span the child of a span of another process.
fn below(span: &Span, parent: Option<TraceParent>) {
    if let Some(parent) = parent.filter(|_| !span.is_disabled()) {
        // Fails only if the span is not exported, and then it needs no parent.
        let _ = span.set_parent(Context::new().with_remote_span_context(remote(parent)));
    }
}

fn remote(caller: TraceParent) -> SpanContext {
    let (trace_id, span_id, flags) = caller.parts();
    SpanContext::new(trace_id.into(), span_id.into(), TraceFlags::new(flags), true, TraceState::default())
}
