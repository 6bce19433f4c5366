//! Engines for tests: the reference engine, and a scripted one.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use mass_reference_engine::{Faults, Options};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The reference engine on its own thread, stopped on drop.
pub(crate) struct ReferenceEngine {
    pub(crate) address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl ReferenceEngine {
    pub(crate) fn start(latency: Duration, faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (told, handle) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async {
                let server = mass_reference_engine::serve(listener, &Options { latency, faults }).unwrap();
                told.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        Self { address, handle: handle.recv().unwrap(), thread: Some(thread) }
    }

    /// An engine without faults.
    pub(crate) fn sound() -> Self {
        Self::start(Duration::ZERO, Faults::default())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns one of its counters.
    pub(crate) async fn counted(&self, what: &str) -> u64 {
        let statistics: Value = reqwest::get(format!("{}/statistics", self.url())).await.unwrap().json().await.unwrap();
        statistics[what].as_u64().unwrap()
    }
}

impl Drop for ReferenceEngine {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// A request as received.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    /// The request line and the headers.
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Heard {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// The script: the bytes of an answer, after which the connection is closed; `None` for no answer.
type Script = dyn Fn(&Heard) -> Option<Vec<u8>> + Send + Sync;

/// An engine whose answers a script determines.
pub(crate) struct ScriptedEngine {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl ScriptedEngine {
    pub(crate) async fn start(script: impl Fn(&Heard) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, script) = (Arc::new(Mutex::new(Vec::new())), Arc::new(script));
        let record = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&record), Arc::clone(&script) as Arc<Script>));
            }
        });
        Self { address, heard }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the received requests, in order.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, record: Arc<Mutex<Vec<Heard>>>, script: Arc<Script>) {
    let Some((head, body)) = read_request(&mut stream).await else { return };
    let heard = Heard { head, body: serde_json::from_slice(&body).unwrap_or_default() };
    record.lock().unwrap().push(heard.clone());
    match script(&heard) {
        Some(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        // Until the caller disconnects.
        None => drop(stream.read(&mut [0]).await),
    }
}

/// Reads the head and body of a request; `None` if the caller disconnects before.
pub(crate) async fn read_request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
    });
    while bytes.len() < end + length.unwrap_or(0) {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, bytes[end..].to_vec()))
}

/// Builds an HTTP answer with this status, further headers and body.
pub(crate) fn reply(status: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

/// Builds a valid recommendation for a request.
pub(crate) fn recommendation(heard: &Heard) -> Value {
    serde_json::json!({
        "decision_id": "1bf55342-4b7c-8b8b-ad25-f5ad6c942848",
        "model": {"name": "scripted", "version": "1", "policy": "none/1"},
        "input_fingerprint": heard.body["fingerprint"],
        "confidence": 0.5, "risk_score": 0,
        "estimated_impact_24h": {"energy_kwh": 0, "cost": 0, "currency": "USD", "pue_delta": 0, "co2e_kg": 0},
        "actions": [], "expected_impact": null,
        "explanation": {"narrative": "", "reason_codes": []},
        "guardrails": {"shadow_read_only_enforced": true, "no_control_actions_enforced": true},
    })
}
