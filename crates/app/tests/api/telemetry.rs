//! Exported telemetry: the complete trace of a request.

use std::time::{Duration, Instant};

use mass_domain::trace::TraceParent;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::json;

use crate::support::PASSWORD;
use crate::support::collector::{Collector, attribute};
use crate::support::documents::{Edit, reading};
use crate::support::engines::{ScriptedEngine, recommendation, reply};
use crate::support::process::{EMAIL, Server, Workplace, workplaces_on_both};

workplaces_on_both!(
    the_exported_trace_is_complete_and_matches_the_answer,
    unsampled_callers_are_not_traced,
    documents_that_share_a_transaction_are_linked_to_it,
    a_batch_that_outlives_its_handler_stays_in_its_trace,
    a_failed_call_to_the_engine_is_marked_as_an_error,
    telemetry_contains_no_secrets,
    an_unreachable_collector_does_not_affect_the_server,
    without_an_endpoint_nothing_is_sent,
);

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Sends a document; returns the `traceparent` of the answer.
async fn send(server: &Server, token: &str, body: &serde_json::Value, traceparent: &str) -> TraceParent {
    let request = server.post("/v1/mass-requests", body).bearer_auth(token).header("traceparent", traceparent);
    let answer = request.send().await.unwrap();
    answer.headers()["traceparent"].to_str().unwrap().parse().unwrap()
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the only span of this name below another.
#[track_caller]
fn below<'a>(spans: &'a [Span], parent: &Span, name: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| span.parent_span_id == parent.span_id && span.name == name);
    let first = found.next().unwrap_or_else(|| panic!("no {name} below {}: {}", parent.name, names(spans)));
    assert!(found.next().is_none(), "more than one {name}");
    assert_eq!(first.trace_id, parent.trace_id);
    first
}

fn names(spans: &[Span]) -> String {
    spans.iter().map(|span| format!("{} in {}\n", span.name, hex(&span.parent_span_id))).collect()
}

/// Returns the server span that a `traceparent` names.
#[track_caller]
fn named<'a>(spans: &'a [Span], place: &TraceParent) -> &'a Span {
    let mut found = spans.iter().filter(|span| hex(&span.span_id) == place.span_id());
    let span = found.next().unwrap_or_else(|| panic!("no {place}: {}", names(spans)));
    assert!(found.next().is_none());
    assert_eq!((hex(&span.trace_id), span.kind()), (place.trace_id(), SpanKind::Server));
    span
}

async fn the_exported_trace_is_complete_and_matches_the_answer(workplace: Workplace) {
    let system = if workplace.is_postgres() { "postgresql" } else { "sqlite" };
    let collector = Collector::start();
    let engine = ScriptedEngine::start(|heard| Some(reply("200 OK", &[], &recommendation(heard).to_string()))).await;
    let workplace = workplace
        .with("MASS_ENGINE_URL", &engine.url())
        .with("MASS_AUTO_SEND", "true")
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
        .with("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=pilot");
    let server = workplace.serve();
    let token = server.token().await;
    let place = send(&server, &token, &reading("dev-1"), CALLER).await;
    let refused = reading("dev-2").with("/metrics/humidity_percent", 140);
    let refusal = send(&server, &token, &refused, CALLER).await;
    while server.list(&token).await[0]["status"] != "done" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (status, printed) = server.stop();
    assert!(status.success(), "{printed}");
    let collected = collector.collected().await;

    let request = named(&collected.spans, &place);
    assert_eq!(place.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(hex(&request.parent_span_id), "00f067aa0ba902b7");
    assert_eq!(request.name, "POST /v1/mass-requests");
    let said = |key| attribute(&request.attributes, key);
    assert_eq!(said("http.request.method").as_deref(), Some("POST"));
    assert_eq!(said("http.route").as_deref(), Some("/v1/mass-requests"));
    assert_eq!(said("http.response.status_code").as_deref(), Some("201"));
    assert_eq!(said("url.scheme").as_deref(), Some("http"));

    let authenticate = below(&collected.spans, request, "authenticate");
    below(&collected.spans, request, "read document");
    let examine = below(&collected.spans, request, "examine");
    assert_eq!(attribute(&examine.attributes, "mass.contract").as_deref(), Some("device/1.1"));
    let commit = below(&collected.spans, request, "group commit");
    let write = below(&collected.spans, commit, "database write");
    assert_eq!(attribute(&write.attributes, "db.system.name").as_deref(), Some(system));
    assert_eq!(attribute(&write.attributes, "mass.commit.batch.size").as_deref(), Some("1"));
    assert_eq!(write.kind(), SpanKind::Client);
    assert!(collected.spans.iter().any(|span| span.parent_span_id == authenticate.span_id), "no database read");
    assert_eq!(commit.links.len(), 1);
    assert_eq!(commit.links[0].span_id, write.span_id);

    let delivery = below(&collected.spans, request, "delivery");
    assert_eq!(attribute(&delivery.attributes, "mass.delivery.attempt").as_deref(), Some("1"));
    below(&collected.spans, delivery, "database write");
    let call = below(&collected.spans, delivery, "engine call");
    let said = |key| attribute(&call.attributes, key);
    assert_eq!((call.kind(), said("http.response.status_code").as_deref()), (SpanKind::Client, Some("200")));
    assert_eq!(said("server.port"), Some(engine.address.port().to_string()));
    let [asked] = &engine.heard()[..] else { panic!("asked more than once") };
    let told = format!("00-{}-{}-01", hex(&call.trace_id), hex(&call.span_id));
    assert_eq!(asked.header("traceparent"), Some(told.as_str()));

    let refused = named(&collected.spans, &refusal);
    let examine = below(&collected.spans, refused, "examine");
    assert_eq!(attribute(&examine.attributes, "mass.refused_at").as_deref(), Some("semantic"));
    assert_eq!(refused.status.clone().unwrap_or_default().code, 0, "the client's mistake is no error of the server");

    let resource = |key| attribute(&collected.resource, key);
    assert_eq!(resource("service.name").as_deref(), Some("mass"));
    assert_eq!(resource("service.version").as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(resource("deployment.environment.name").as_deref(), Some("pilot"));
    let measured = ["http.server.request.duration", "mass.commit.batch.size", "mass.rejects", "mass.queue.depth"];
    for name in measured.into_iter().chain(["mass.deliveries", "mass.delivery.queue.depth"]) {
        assert!(collected.metrics.iter().any(|metric| metric == name), "{name}: {:?}", collected.metrics);
    }
}

async fn unsampled_callers_are_not_traced(workplace: Workplace) {
    let collector = Collector::start();
    let workplace = workplace.with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
    let server = workplace.serve();
    let token = server.token().await;
    let unsampled = CALLER.replace("-01", "-00");
    let place = send(&server, &token, &reading("dev-1"), &unsampled).await;
    assert_eq!((place.trace_id(), place.parts().2), ("4bf92f3577b34da6a3ce929d0e0e4736".to_owned(), 0));
    assert_ne!(place.span_id(), "00f067aa0ba902b7");
    // Without a caller's trace, a new one begins and is sampled.
    let own = server.get("/v1/auth/me").bearer_auth(&token).send().await.unwrap();
    let own: TraceParent = own.headers()["traceparent"].to_str().unwrap().parse().unwrap();
    assert_eq!(own.parts().2, 1);
    server.stop();
    let spans = collector.collected().await.spans;
    assert!(!spans.iter().any(|span| hex(&span.trace_id) == place.trace_id()), "{}", names(&spans));
    assert!(named(&spans, &own).parent_span_id.is_empty());
}

async fn documents_that_share_a_transaction_are_linked_to_it(workplace: Workplace) {
    let collector = Collector::start();
    let workplace = workplace.with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
    let server = workplace.serve();
    let token = server.token().await;
    let documents: Vec<_> = (0..20).map(|number| reading(&format!("dev-{number}"))).collect();
    let sending = documents.iter().map(|document| send(&server, &token, document, CALLER));
    futures_util::future::join_all(sending).await;
    server.stop();
    let spans = collector.collected().await.spans;
    let commits: Vec<_> = spans.iter().filter(|span| span.name == "group commit").collect();
    assert_eq!(commits.len(), 20);
    for commit in commits {
        let link = commit.links.first().unwrap();
        let write = spans.iter().find(|span| span.span_id == link.span_id).unwrap();
        assert_eq!(write.name, "database write");
    }
    let writes = spans.iter().filter_map(|span| attribute(&span.attributes, "mass.commit.batch.size"));
    let written: usize = writes.map(|size| size.parse::<usize>().unwrap()).sum();
    assert_eq!(written, 20);
}

async fn a_batch_that_outlives_its_handler_stays_in_its_trace(workplace: Workplace) {
    let collector = Collector::start();
    let workplace = workplace.with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
    let server = workplace.serve();
    let token = server.token().await;
    let documents = json!([reading("dev-1"), reading("dev-2")]);
    let request = server.post("/v1/mass-requests/batch", &documents).bearer_auth(&token).header("traceparent", CALLER);
    let answer = request.send().await.unwrap();
    let place: TraceParent = answer.headers()["traceparent"].to_str().unwrap().parse().unwrap();
    assert!(answer.text().await.unwrap().contains("\"outcome\""));
    server.stop();
    let spans = collector.collected().await.spans;
    let commit = below(&spans, named(&spans, &place), "group commit");
    let write = below(&spans, commit, "database write");
    assert_eq!(attribute(&write.attributes, "mass.commit.batch.size").as_deref(), Some("2"));
}

async fn a_failed_call_to_the_engine_is_marked_as_an_error(workplace: Workplace) {
    let collector = Collector::start();
    let engine = ScriptedEngine::start(|_| Some(reply("403 Forbidden", &[], "{}"))).await;
    let workplace = workplace
        .with("MASS_ENGINE_URL", &engine.url())
        .with("MASS_AUTO_SEND", "true")
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
    let server = workplace.serve();
    let token = server.token().await;
    let place = send(&server, &token, &reading("dev-1"), CALLER).await;
    while server.list(&token).await[0]["status"] != "failed" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.stop();
    let spans = collector.collected().await.spans;
    let delivery = below(&spans, named(&spans, &place), "delivery");
    below(&spans, delivery, "database write");
    let call = below(&spans, delivery, "engine call");
    let said = |key| attribute(&call.attributes, key);
    assert_eq!(said("http.response.status_code").as_deref(), Some("403"));
    assert_eq!(said("error.type").as_deref(), Some("engine_refused"));
    assert_eq!(call.status.clone().unwrap_or_default().code, StatusCode::Error as i32);
}

async fn telemetry_contains_no_secrets(workplace: Workplace) {
    let collector = Collector::start();
    let workplace = workplace.with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
    let server = workplace.serve();
    let token = server.token().await;
    server.try_to_log_in(EMAIL, "a wrong password").await;
    send(&server, &token, &reading("device-of-nobody"), CALLER).await;
    let listed = server.list(&token).await;
    let id = listed[0]["id"].as_str().unwrap().to_owned();
    server.fetch(&token, &format!("/v1/mass-requests/{id}")).await;
    server.get("/v1/mass-requests?device_id=device-of-nobody").bearer_auth(&token).send().await.unwrap();
    server.get("/secret/path").send().await.unwrap();
    server.stop();
    let spans = collector.collected().await.spans;
    assert!(spans.iter().any(|span| span.name == "GET /v1/mass-requests/{id}"), "{}", names(&spans));
    let sent = format!("{spans:?}");
    for secret in
        [PASSWORD, "wrong password", EMAIL, &token, &id, "device-of-nobody", "secret/path", "SELECT", "INSERT"]
    {
        assert!(!sent.contains(secret), "{secret}");
    }
}

async fn an_unreachable_collector_does_not_affect_the_server(workplace: Workplace) {
    // A listening port that never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let workplace = workplace.with("OTEL_EXPORTER_OTLP_ENDPOINT", &url).with("OTEL_BSP_SCHEDULE_DELAY", "50");
    let server = workplace.serve();
    let token = server.token().await;
    for number in 0..50 {
        let document = reading(&format!("dev-{number}"));
        let request = server.post("/v1/mass-requests", &document).bearer_auth(&token);
        assert_eq!(request.send().await.unwrap().status(), 201);
    }
    let begun = Instant::now();
    let (status, printed) = server.stop();
    assert!(status.success(), "{printed}");
    assert!(printed.contains("stopped"), "{printed}");
    assert!(begun.elapsed().as_secs() < 30, "the collector kept the server");
}

async fn without_an_endpoint_nothing_is_sent(workplace: Workplace) {
    let collector = Collector::start();
    let url = collector.url();
    let traces = format!("{url}/v1/traces");
    let workplace = workplace.with("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &traces);
    let server = workplace.serve();
    let place = send(&server, &server.token().await, &reading("dev-1"), CALLER).await;
    assert_eq!(place.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    server.stop();
    let disabled = workplace.with("OTEL_EXPORTER_OTLP_ENDPOINT", &url).with("OTEL_SDK_DISABLED", "TRUE");
    let server = disabled.serve();
    send(&server, &server.token().await, &reading("dev-2"), CALLER).await;
    server.stop();
    let collected = collector.collected().await;
    assert!(collected.spans.is_empty() && collected.metrics.is_empty());
}
