//! Metrics, named by OpenTelemetry's semantic conventions, otherwise `mass.…`.
//!
//! Labels have few values: route patterns, contracts, stages; never ids, tenants or other values that clients choose.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use anyhow::Context;
use mass_alert_service::{Evaluated, Sent};
use mass_domain::contracts::ContractId;
use mass_domain::delivery::{Backlog, FailureCode};
use mass_persistence::{CommitObserver, Database};
use mass_savings_service::Worked;
use mass_service::{Attempt, DeliveryObserver, IntakeObserver, RefusedAt};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, MeterProvider};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, SdkMeterProvider};
use prometheus::{Registry, TextEncoder};

/// The buckets that the semantic conventions recommend for requests, in seconds.
const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The buckets of document counts: up to the largest group commit, and beyond it the largest batch call.
const DOCUMENTS: [f64; 11] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0];

/// The metrics of the process. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    provider: SdkMeterProvider,
    registry: Registry,
    meter: Meter,
    requests: Histogram<f64>,
    commits: Histogram<u64>,
    rejects: Counter<u64>,
    deliveries: Counter<u64>,
    backlog: Gauge<u64>,
    periodic: Histogram<f64>,
    reports: Histogram<f64>,
    evaluations: Histogram<f64>,
    alert_changes: Counter<u64>,
    notifications: Counter<u64>,
    projections: Projections,
}

/// The metrics of the projector.
#[derive(Clone)]
struct Projections {
    batches: Histogram<f64>,
    events: Counter<u64>,
    points: Counter<u64>,
    lag: Gauge<u64>,
    age: Gauge<f64>,
    stopped: Gauge<u64>,
}

/// How far figures are behind the audit trail, over all tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectionLag {
    /// The most events of a tenant that are not projected.
    pub events: u64,
    /// The time since the oldest of them was seen.
    pub age: Duration,
    /// The tenants whose projection cannot go past an event.
    pub stopped: usize,
}

/// An answered request to be measured.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// The request's method.
    pub method: &'a Method,
    /// The route pattern, if there is one.
    pub route: Option<&'static str>,
    /// The scheme that the client used.
    pub scheme: &'static str,
    /// The status of the answer.
    pub status: StatusCode,
    /// The time that the answer took.
    pub took: Duration,
}

impl Metrics {
    /// Creates the metrics, readable by `GET /metrics` and by the given readers.
    ///
    /// # Errors
    /// If two metrics share a name, which is a bug.
    pub fn new(readers: MeterProviderBuilder) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let shown = opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(false);
        let provider = readers.with_reader(shown.build().context("metrics cannot be shown")?).build();
        let meter = provider.meter(env!("CARGO_PKG_NAME"));
        let requests = meter.f64_histogram("http.server.request.duration").with_unit("s");
        let requests = requests.with_description("How long requests took until they were answered.");
        let commits = meter.u64_histogram("mass.commit.batch.size").with_unit("{document}");
        let commits = commits.with_description("How many documents shared a transaction.");
        let rejects = meter.u64_counter("mass.rejects").with_unit("{document}");
        let rejects = rejects.with_description("Refused documents, by the stage that refused them.");
        let deliveries = meter.u64_counter("mass.deliveries").with_unit("{attempt}");
        let deliveries = deliveries.with_description("Attempts to ask the engine, by what came of them.");
        let backlog = meter.u64_gauge("mass.delivery.queue.depth").with_unit("{delivery}");
        let backlog = backlog.with_description("How many deliveries to the engine there are in all, by their state.");
        let periodic = meter.f64_histogram("mass.periodic.duration").with_unit("s");
        let periodic = periodic.with_description("How long runs of periodic work took, by what came of them.");
        let reports = meter.f64_histogram("mass.savings.report.duration").with_unit("s");
        let reports = reports.with_description("How long savings reports took to compute, by what came of them.");
        let evaluations = meter.f64_histogram("mass.alert.evaluation.duration").with_unit("s");
        let evaluations =
            evaluations.with_description("How long the alert rules of a tenant took to evaluate, by what came of it.");
        let alert_changes = meter.u64_counter("mass.alert.changes").with_unit("{alert}");
        let alert_changes =
            alert_changes.with_description("Alerts that evaluations have opened, resolved or otherwise changed.");
        let notifications = meter.u64_counter("mass.notifications").with_unit("{attempt}");
        let notifications = notifications.with_description("Attempts to tell webhooks, by what came of them.");
        Ok(Self {
            requests: requests.with_boundaries(SECONDS.into()).build(),
            commits: commits.with_boundaries(DOCUMENTS.into()).build(),
            rejects: rejects.build(),
            deliveries: deliveries.build(),
            backlog: backlog.build(),
            periodic: periodic.with_boundaries(SECONDS.into()).build(),
            reports: reports.with_boundaries(SECONDS.into()).build(),
            evaluations: evaluations.with_boundaries(SECONDS.into()).build(),
            alert_changes: alert_changes.build(),
            notifications: notifications.build(),
            projections: Projections::new(&meter),
            provider,
            registry,
            meter,
        })
    }

    /// Also exposes the state of a database, as long as it is open.
    pub fn watch(&self, database: &Arc<Database>) {
        let open = Arc::downgrade(database);
        let load = move || open.upgrade().map(|database| database.load());
        let waiting = load.clone();
        let queues = self.meter.u64_observable_gauge("mass.queue.depth").with_unit("{document}");
        let queues = queues.with_description("How many documents wait, by what they wait for.");
        queues
            .with_callback(move |gauge| {
                if let Some(load) = waiting() {
                    gauge.observe(load.waiting_documents as u64, &[KeyValue::new("queue", "commit")]);
                }
            })
            .build();
        let limits = load.clone();
        let connections = self.meter.u64_observable_gauge("mass.db.pool.connections").with_unit("{connection}");
        let connections = connections.with_description("Connections to the database, by what they do.");
        connections
            .with_callback(move |gauge| {
                for (pool, usage) in load().into_iter().flat_map(|load| load.pools) {
                    for (state, count) in [("used", usage.used), ("idle", usage.idle)] {
                        gauge.observe(count.into(), &[KeyValue::new("pool", pool), KeyValue::new("state", state)]);
                    }
                }
            })
            .build();
        let maxima = self.meter.u64_observable_gauge("mass.db.pool.connections.limit").with_unit("{connection}");
        let maxima = maxima.with_description("How many connections to the database there can be.");
        maxima
            .with_callback(move |gauge| {
                for (pool, usage) in limits().into_iter().flat_map(|load| load.pools) {
                    gauge.observe(usage.limit.into(), &[KeyValue::new("pool", pool)]);
                }
            })
            .build();
    }

    /// Updates the gauges of the engine's queue.
    pub fn queued(&self, backlog: &Backlog) {
        for (state, count) in [("queued", backlog.waiting), ("leased", backlog.leased)] {
            self.backlog.record(count, &[KeyValue::new("state", state)]);
        }
    }

    /// Records a run of a periodic task.
    pub fn ran(&self, task: &'static str, has_succeeded: bool, took: Duration) {
        let outcome = if has_succeeded { "succeeded" } else { "failed" };
        self.periodic.record(took.as_secs_f64(), &[KeyValue::new("task", task), KeyValue::new("outcome", outcome)]);
    }

    /// Records a batch that was projected, or could not be.
    pub fn projected(&self, has_succeeded: bool, events: u64, points: u64, took: Duration) {
        let outcome = if has_succeeded { "succeeded" } else { "failed" };
        let Projections { batches, events: all_events, points: all_points, .. } = &self.projections;
        batches.record(took.as_secs_f64(), &[KeyValue::new("outcome", outcome)]);
        all_events.add(events, &[]);
        all_points.add(points, &[]);
    }

    /// Records a savings report that was computed, or could not be.
    pub fn reported(&self, worked: Worked, took: Duration) {
        let outcome = match worked {
            Worked::Nothing | Worked::Postponed => return,
            Worked::Done => "done",
            Worked::Failed => "failed",
            Worked::Lost => "lost",
        };
        self.reports.record(took.as_secs_f64(), &[KeyValue::new("outcome", outcome)]);
    }

    /// Records an evaluation of a tenant's alert rules, or that it failed (`None`).
    pub fn evaluated(&self, evaluated: Option<Evaluated>, took: Duration) {
        let outcome = match evaluated {
            Some(Evaluated::Nothing) => return,
            Some(Evaluated::Done { changes }) => {
                self.alert_changes.add(changes as u64, &[]);
                "done"
            }
            Some(Evaluated::Lost) => "lost",
            None => "failed",
        };
        self.evaluations.record(took.as_secs_f64(), &[KeyValue::new("outcome", outcome)]);
    }

    /// Records an attempt to tell a webhook; `None` if another server has taken it over.
    pub fn notified(&self, sent: Option<&Sent>) {
        let outcome = match sent {
            Some(Sent::Delivered) => "delivered",
            Some(Sent::Retry { .. }) => "retried",
            Some(Sent::Dead { .. }) => "dead",
            None => "lost",
        };
        self.notifications.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    /// Updates the gauges of the projector.
    pub fn lags(&self, lag: ProjectionLag) {
        self.projections.lag.record(lag.events, &[]);
        self.projections.age.record(lag.age.as_secs_f64(), &[]);
        self.projections.stopped.record(lag.stopped as u64, &[]);
    }

    /// Records an answered request.
    pub fn answered(&self, answered: Answered<'_>) {
        let Answered { method, route, scheme, status, took } = answered;
        let method = KeyValue::new("http.request.method", method_name(method));
        let scheme = KeyValue::new("url.scheme", scheme);
        let code = KeyValue::new("http.response.status_code", i64::from(status.as_u16()));
        let seconds = took.as_secs_f64();
        match route {
            Some(route) => self.requests.record(seconds, &[method, scheme, code, KeyValue::new("http.route", route)]),
            None => self.requests.record(seconds, &[method, scheme, code]),
        }
    }

    /// Formats all metrics in Prometheus's text format, version 0.0.4.
    ///
    /// # Errors
    /// If they cannot be formatted, which is a bug.
    pub fn text(&self) -> anyhow::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather()).context("the metrics have no text")
    }

    /// Sends the rest to the collector, if there is one. Blocks.
    pub(super) fn stop(&self) -> OTelSdkResult {
        self.provider.shutdown()
    }
}

impl Projections {
    fn new(meter: &Meter) -> Self {
        let batches = meter.f64_histogram("mass.projection.duration").with_unit("s");
        let batches = batches.with_description("How long batches of the audit trail took until they were projected.");
        let events = meter.u64_counter("mass.projection.events").with_unit("{event}");
        let events = events.with_description("Events of the audit trail that were projected.");
        let points = meter.u64_counter("mass.projection.points").with_unit("{point}");
        let points = points.with_description("Points of series that were added or removed.");
        let lag = meter.u64_gauge("mass.projection.lag").with_unit("{event}");
        let lag = lag.with_description("The most events of a tenant that are not projected yet.");
        let age = meter.f64_gauge("mass.projection.lag.duration").with_unit("s");
        let age = age.with_description("How long the oldest event that is not projected has been waiting.");
        let stopped = meter.u64_gauge("mass.projection.stopped").with_unit("{tenant}");
        let stopped = stopped.with_description("How many tenants' projections cannot go past an event.");
        Self {
            batches: batches.with_boundaries(SECONDS.into()).build(),
            events: events.build(),
            points: points.build(),
            lag: lag.build(),
            age: age.build(),
            stopped: stopped.build(),
        }
    }
}

/// Returns the label of a method; methods that clients made up share one.
#[must_use]
pub fn method_name(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
    known.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}

impl CommitObserver for Metrics {
    fn committed(&self, documents: usize) {
        self.commits.record(documents as u64, &[]);
    }
}

impl IntakeObserver for Metrics {
    fn refused(&self, at: RefusedAt, contract: Option<ContractId>) {
        let contract = contract.map_or_else(|| "none".to_owned(), |contract| contract.to_string());
        self.rejects.add(1, &[KeyValue::new("stage", at.as_str()), KeyValue::new("contract", contract)]);
    }
}

impl DeliveryObserver for Metrics {
    fn attempted(&self, attempt: Attempt) {
        let failure = attempt.failure().map_or("none", FailureCode::as_str);
        self.deliveries.add(1, &[KeyValue::new("outcome", attempt.as_str()), KeyValue::new("failure", failure)]);
    }
}
