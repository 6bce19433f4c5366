//! A collector of OTLP over HTTP.

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, Sender, channel};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, web};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// A received export.
enum Sent {
    Traces(ExportTraceServiceRequest),
    Metrics(ExportMetricsServiceRequest),
}

/// A running collector.
pub(crate) struct Collector {
    address: SocketAddr,
    sent: Receiver<Sent>,
    server: ServerHandle,
}

/// The received telemetry.
#[derive(Default)]
pub(crate) struct Collected {
    pub(crate) spans: Vec<Span>,
    /// The names of the metrics.
    pub(crate) metrics: Vec<String>,
    /// The resource attributes of the sender.
    pub(crate) resource: Vec<KeyValue>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, sent) = channel();
        let (starting, started) = channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = HttpServer::new(move || {
                    App::new()
                        .app_data(web::Data::new(sender.clone()))
                        .route("/v1/traces", web::post().to(take_traces))
                        .route("/v1/metrics", web::post().to(take_metrics))
                });
                let server = server.workers(1).disable_signals().listen(listener).unwrap().run();
                starting.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        Self { address, sent, server: started.recv().unwrap() }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns everything, once nothing is sent any more.
    pub(crate) async fn collected(self) -> Collected {
        self.server.stop(true).await;
        let mut all = Collected::default();
        for sent in self.sent {
            match sent {
                Sent::Traces(traces) => {
                    for traces in traces.resource_spans {
                        all.resource = traces.resource.unwrap().attributes;
                        all.spans.extend(traces.scope_spans.into_iter().flat_map(|scope| scope.spans));
                    }
                }
                Sent::Metrics(metrics) => {
                    let scopes = metrics.resource_metrics.into_iter().flat_map(|metrics| metrics.scope_metrics);
                    let metrics = scopes.flat_map(|scope| scope.metrics);
                    all.metrics.extend(metrics.map(|metric| metric.name));
                }
            }
        }
        all
    }
}

async fn take_traces(sender: web::Data<Sender<Sent>>, body: web::Bytes) -> HttpResponse {
    sender.send(Sent::Traces(ExportTraceServiceRequest::decode(body).unwrap())).unwrap();
    HttpResponse::Ok().content_type("application/x-protobuf").finish()
}

async fn take_metrics(sender: web::Data<Sender<Sent>>, body: web::Bytes) -> HttpResponse {
    sender.send(Sent::Metrics(ExportMetricsServiceRequest::decode(body).unwrap())).unwrap();
    HttpResponse::Ok().content_type("application/x-protobuf").finish()
}

/// Returns an attribute as text.
pub(crate) fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref();
    match value? {
        AnyValue { value: Some(Value::StringValue(text)) } => Some(text.clone()),
        AnyValue { value: Some(Value::IntValue(number)) } => Some(number.to_string()),
        AnyValue { value: other } => Some(format!("{other:?}")),
    }
}
