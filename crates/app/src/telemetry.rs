//! Traces and metrics, with OpenTelemetry.
//!
//! Metrics are always kept for `GET /metrics`; they and the spans are sent to a collector if one is configured. Sending
//! never blocks: a bounded queue drops what does not fit.

pub mod metrics;
pub mod spans;

use std::time::Duration;

use anyhow::Context;
use mass_domain::trace::SPANS;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{MetricExporter, Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use secrecy::ExposeSecret;
use tokio::sync::oneshot;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::registry::LookupSpan;

use crate::config::{Secrets, TelemetrySettings};
use crate::program::program;
use metrics::Metrics;

/// The time that a stopping server waits for the collector to take the rest: together with draining, less than the 30
/// seconds that everything in deploy/ allows.
const FLUSH: Duration = Duration::from_secs(3);

/// The traces and metrics of this process.
pub struct Telemetry {
    /// The metrics.
    pub metrics: Metrics,
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Starts sending to the collector, if one is configured.
    ///
    /// # Errors
    /// A message that names the wrong setting. An unreachable collector is not an error.
    pub fn start(settings: &TelemetrySettings, secrets: &Secrets) -> anyhow::Result<Self> {
        let traces = settings.traces(secrets)?.map(|url| send_traces(url.expose_secret())).transpose();
        let traces = traces.context("traces cannot be sent")?;
        let metrics = SdkMeterProvider::builder().with_resource(resource());
        let metrics = match settings.metrics(secrets)? {
            Some(url) => {
                let exporter = MetricExporter::builder().with_http().with_protocol(Protocol::HttpBinary);
                let exporter = exporter.with_endpoint(url.expose_secret()).build().context("metrics cannot be sent")?;
                metrics.with_reader(PeriodicReader::builder(exporter).build())
            }
            None => metrics,
        };
        Ok(Self { metrics: Metrics::new(metrics)?, traces })
    }

    /// Creates telemetry that is not sent anywhere.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn silent() -> anyhow::Result<Self> {
        Self::start(&TelemetrySettings::default(), &Secrets::default())
    }

    /// Returns the layer that exports spans to the collector.
    #[must_use]
    pub fn layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let tracer = self.traces.as_ref()?.tracer(env!("CARGO_PKG_NAME"));
        let spans = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_context_activation(false)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false);
        // Log lines are not exported: they may hold data that only this machine's operators should read.
        let ours = |metadata: &Metadata<'_>| metadata.is_span() && metadata.target() == SPANS;
        Some(spans.with_filter(FilterFn::new(ours)))
    }

    /// Sends the rest, for seconds at most; nothing is sent afterwards.
    pub async fn stop(&self) {
        let (traces, metrics) = (self.traces.clone(), self.metrics.clone());
        let (done, stopped) = oneshot::channel();
        // A thread of its own, so that a slow collector does not block the program's end.
        std::thread::spawn(move || {
            let traces = traces.map_or(Ok(()), |traces| traces.shutdown_with_timeout(FLUSH));
            let _ = done.send((traces, metrics.stop()));
        });
        match tokio::time::timeout(FLUSH, stopped).await {
            Ok(Ok((Ok(()), Ok(())))) => {}
            Ok(Ok((Err(error), _) | (_, Err(error)))) => {
                tracing::warn!(%error, "the last traces or metrics cannot be sent");
            }
            Ok(Err(_)) | Err(_) => tracing::warn!("the collector did not take the last traces and metrics in time"),
        }
    }
}

fn send_traces(url: &str) -> Result<SdkTracerProvider, opentelemetry_otlp::ExporterBuildError> {
    let exporter =
        SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_endpoint(url).build()?;
    Ok(SdkTracerProvider::builder().with_resource(resource()).with_batch_exporter(exporter).build())
}

/// Describes this process, which is called `mass` unless a variable of OpenTelemetry says otherwise.
fn resource() -> Resource {
    let program = program();
    let ours =
        [KeyValue::new("service.version", program.version), KeyValue::new("vcs.ref.head.revision", program.commit)];
    let told = Resource::builder().build();
    let name = told.get(&Key::new("service.name")).filter(|name| !name.as_str().starts_with("unknown_service"));
    let told = told.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let resource = Resource::builder_empty().with_attributes(ours).with_attributes(told);
    resource.with_service_name(name.unwrap_or_else(|| "mass".into())).build()
}
