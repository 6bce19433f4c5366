//! Test support: an engine per test, and requests to it.

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use mass_reference_engine::{Faults, Options, serve};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

/// A running engine.
pub(crate) struct Engine {
    pub(crate) address: SocketAddr,
    client: Client,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    pub(crate) fn start() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn failing(faults: Faults) -> Self {
        Self::with(Options { faults, ..Options::default() })
    }

    pub(crate) fn with(options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (started, handle) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = serve(listener, &options).unwrap();
                started.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        Self { address, client: Client::new(), handle: handle.recv().unwrap(), thread: Some(thread) }
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("http://{}{path}", self.address))
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("http://{}{path}", self.address))
    }

    /// Asks for a recommendation.
    pub(crate) fn recommend(&self, request: &Value) -> RequestBuilder {
        self.post("/recommend").json(request)
    }

    pub(crate) async fn statistics(&self) -> Value {
        self.get("/statistics").send().await.unwrap().json().await.unwrap()
    }

    /// Waits until a counter of the statistics has this value.
    pub(crate) async fn until(&self, member: &str, count: u64) {
        while self.statistics().await[member] != count {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // The future need not be awaited: the call itself stops the server.
        drop(self.handle.stop(false));
        let stopped = self.thread.take().unwrap().join();
        assert!(std::thread::panicking() || stopped.is_ok());
    }
}

/// Builds a request about a site.
pub(crate) fn site() -> Value {
    let document = json!({
        "schema_version": "1.1",
        "correlation_id": "pilot-2026-01",
        "trace": {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
        "request": {
            "request_id": "hall-2-0001",
            "idempotency_key": "hall-2-0001",
            "tenant_id": "acme",
            "environment": "dev",
            "mode": "shadow",
            "timestamp_utc": "2026-01-05T10:00:00Z",
            "time_window": {
                "start_utc": "2026-01-05T09:00:00Z", "end_utc": "2026-01-05T10:00:00Z", "granularity_seconds": 300,
            },
            "timeout_ms": 10_000,
            "service_level_objective_ms": 2_000,
            "assets": {"site_id": "tampa-1", "hall_id": "hall-2"},
            "data_contract": {"units": "metric", "currency": "USD", "data_classification": "INTERNAL"},
            "signals": {
                "energy": {
                    "it_load_kw": 800, "facility_power_kw": 1120, "energy_price_usd_per_kwh": 0.11,
                    "ups_efficiency_pct": 95.5,
                },
                "thermal": {"pue_current": 1.4, "pue_target": 1.25, "cooling_cop": 4.2, "hotspot_rack_count": 0},
                "cooling": {"chilled_water_temp_c": 8.5, "cooling_setpoint_c": 22},
                "workload": {
                    "active_users": 1200, "tokens_per_watt_est": 3.8,
                    "job_mix": {"llm_pct": 70, "vision_pct": 20, "other_pct": 10},
                },
            },
            "constraints": {"hard": {"no_control_actions": true}},
            "preferences": {"optimise_for": "energy"},
        },
    });
    request("enterprise/1.1", document)
}

/// Builds a request about a document.
pub(crate) fn request(contract: &str, document: Value) -> Value {
    json!({
        "request_id": "0198d1f0-0000-7000-8000-000000000001",
        "tenant_id": "acme",
        "contract": contract,
        "fingerprint": FINGERPRINT,
        "mode": "shadow",
        "document": document,
    })
}

/// A fingerprint in the right format. The engine cannot compare it with the document.
pub(crate) const FINGERPRINT: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
