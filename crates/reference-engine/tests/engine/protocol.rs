//! The protocol of docs/engine.md.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Engine, FINGERPRINT, request, site};

#[tokio::test]
async fn answers_a_site_with_a_complete_recommendation() {
    let engine = Engine::start();
    let answer = engine.recommend(&site()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.headers()["cache-control"], "private, max-age=86400");
    let answer: Value = answer.json().await.unwrap();
    let members: Vec<&str> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "actions",
        "confidence",
        "decision_id",
        "estimated_impact_24h",
        "expected_impact",
        "explanation",
        "guardrails",
        "input_fingerprint",
        "model",
        "risk_score",
    ];
    assert_eq!(members, expected);
    assert_eq!(answer["input_fingerprint"], FINGERPRINT);
    assert_eq!(answer["model"]["name"], "mass-reference");
    assert_eq!(answer["guardrails"], json!({"shadow_read_only_enforced": true, "no_control_actions_enforced": true}));
    assert_eq!(
        answer["actions"][0],
        json!({
            "type": "raise_cooling_setpoint", "target": "tampa-1/cooling_setpoint_c",
            "current": 22.0, "suggested": 23.0, "delta": 1.0, "units": "celsius",
        })
    );
    assert_eq!(engine.statistics().await["recommended"], 1);
}

#[tokio::test]
async fn every_engine_answers_the_same_request_with_the_same_bytes() {
    let ask = async |engine: &Engine| engine.recommend(&site()).send().await.unwrap().bytes().await.unwrap();
    let (one, other) = (Engine::start(), Engine::start());
    let first = ask(&one).await;
    assert_eq!(ask(&one).await, first);
    assert_eq!(ask(&other).await, first);
}

#[tokio::test]
async fn refuses_a_key_used_with_another_request() {
    let engine = Engine::start();
    let ask = |request: Value| engine.recommend(&request).header("Idempotency-Key", "k-1").send();
    let first = ask(site()).await.unwrap().bytes().await.unwrap();
    assert_eq!(ask(site()).await.unwrap().bytes().await.unwrap(), first);
    let other = ask(request("simple/1.0", json!({"payload": {"a": 1}}))).await.unwrap();
    assert_eq!(other.status(), 422);
    assert!(other.json::<Value>().await.unwrap()["error"].as_str().unwrap().contains("Idempotency-Key"));
    let expected = json!({
        "requests": 3, "recommended": 2, "refused": 1, "errors": 0, "garbage": 0, "hung": 0, "truncated": 0,
        "repeated": 1, "distinct_keys": 1,
    });
    assert_eq!(engine.statistics().await, expected);
}

#[tokio::test]
async fn refuses_invalid_idempotency_keys() {
    let engine = Engine::start();
    for key in ["", &"k".repeat(256), "t\u{e4}g"] {
        let answer = engine.recommend(&site()).header("Idempotency-Key", key).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{key}");
    }
    let twice = engine.recommend(&site()).header("Idempotency-Key", "a").header("Idempotency-Key", "b");
    assert_eq!(twice.send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn answers_every_contract() {
    let engine = Engine::start();
    let simple = request("simple/1.0", json!({"payload": {"note": "hello"}}));
    let device = request(
        "device/1.1",
        json!({
            "mass_version": "1.1", "timestamp": "2026-01-05T10:00:00Z",
            "device": {"id": "rack-07:inlet", "type": "rack-sensor", "location": "Hall 2"},
            "metrics": {"temperature_celsius": 22.4, "humidity_percent": 45, "pressure_hpa": 1013.2},
            "metadata": {"operator": "facility-team", "batch_id": "2026-01"},
        }),
    );
    for (request, reason) in [(simple, "NO_SIGNALS"), (device, "STEP_UP"), (site(), "PUE_ABOVE_TARGET")] {
        let answer = engine.recommend(&request).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{reason}");
        assert_eq!(answer.json::<Value>().await.unwrap()["explanation"]["reason_codes"][0], reason);
    }
}

#[tokio::test]
async fn refuses_invalid_requests_with_a_reason() {
    let engine = Engine::start();
    let with = |member: &str, value: Value| {
        let mut request = site();
        request[member] = value;
        request.to_string()
    };
    let within = |pointer: &str, value: Value| {
        let mut request = site();
        *request.pointer_mut(&format!("/document/request/{pointer}")).unwrap() = value;
        request.to_string()
    };
    for (body, status, word) in [
        (String::new(), 400, "JSON"),
        ("{".to_owned(), 400, "JSON"),
        ("[".repeat(10_000), 400, "JSON"),
        (site().to_string().replace("0.11", "1e999"), 400, "JSON"),
        ("[]".to_owned(), 422, "object"),
        ("{}".to_owned(), 422, "request_id"),
        (with("request_id", json!("one")), 422, "request_id"),
        (with("tenant_id", json!("")), 422, "tenant_id"),
        (with("contract", json!("enterprise/2.0")), 422, "contract"),
        (with("fingerprint", json!("sha256:12")), 422, "fingerprint"),
        (with("mode", json!("control")), 422, "mode"),
        (with("document", json!([1])), 422, "document"),
        (within("signals/energy/it_load_kw", json!("800")), 422, "it_load_kw"),
        (within("signals/energy/it_load_kw", json!(2000)), 422, "facility_power_kw"),
        (within("signals/thermal/cooling_cop", json!(0)), 422, "cooling_cop"),
        (within("constraints/hard/no_control_actions", json!(false)), 422, "no_control_actions"),
        (within("assets/site_id", json!("x".repeat(500_000))), 422, "site_id"),
        (with("mode", json!("x".repeat(500_000))), 422, "mode"),
    ] {
        let start: String = body.chars().take(80).collect();
        let answer = engine.post("/recommend").header("Content-Type", "application/json").body(body);
        let answer = answer.send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["cache-control"]),
            (status, &"no-store".parse().unwrap())
        );
        let error = answer.json::<Value>().await.unwrap();
        let error = error["error"].as_str().unwrap();
        assert!(error.contains(word) && error.chars().count() < 400, "{start}: {error}");
    }
}

#[tokio::test]
async fn accepts_only_uncompressed_json_of_at_most_a_mebibyte() {
    let engine = Engine::start();
    let post = |body: String| engine.post("/recommend").body(body);
    let json = |body: String| post(body).header("Content-Type", "application/json");
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1"] {
        let answer = post(site().to_string()).header("Content-Type", content_type).send().await.unwrap();
        assert_eq!(answer.status(), 415, "{content_type}");
    }
    let coded = json(site().to_string()).header("Content-Encoding", "gzip").send().await.unwrap();
    assert_eq!(coded.status(), 415);
    let padded = |length: usize| {
        let body = site().to_string();
        let padding = " ".repeat(length - body.len());
        body + &padding
    };
    assert_eq!(json(padded(1 << 20)).send().await.unwrap().status(), 200);
    assert_eq!(json(padded((1 << 20) + 1)).send().await.unwrap().status(), 413);
    assert_eq!(engine.statistics().await["refused"], 5);
}

#[tokio::test]
async fn returns_the_request_id() {
    let engine = Engine::start();
    let answer = engine.recommend(&site()).header("X-Request-Id", "req-42").send().await.unwrap();
    assert_eq!(answer.headers()["x-request-id"], "req-42");
    let long = engine.recommend(&site()).header("X-Request-Id", "x".repeat(129)).send().await.unwrap();
    assert_eq!(long.headers().get("x-request-id"), None);
}

#[tokio::test]
async fn answers_health_and_version() {
    let engine = Engine::start();
    let fetch = async |path: &str| engine.get(path).send().await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(fetch("/health").await, json!({"status": "ok"}));
    let version = fetch("/version").await;
    let expected =
        json!({"name": "mass-reference", "version": env!("CARGO_PKG_VERSION"), "policy": "ashrae-setpoint-steps/1"});
    assert_eq!(version, expected);
}

#[tokio::test]
async fn answers_404_to_everything_else() {
    let engine = Engine::start();
    for answer in [engine.get("/recommend"), engine.get("/"), engine.post("/health"), engine.post("/recommend/")] {
        let answer = answer.send().await.unwrap();
        assert_eq!(answer.status(), 404);
        assert!(answer.json::<Value>().await.unwrap()["error"].is_string());
    }
}

#[tokio::test]
async fn survives_a_client_that_disconnects_during_its_request() {
    let engine = Engine::start();
    let mut stream = TcpStream::connect(engine.address).unwrap();
    let head = "POST /recommend HTTP/1.1\r\nHost: engine\r\nContent-Type: application/json\r\nContent-Length: 900\r\n";
    write!(stream, "{head}\r\n{{\"request_id\":").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    // The server may or may not still answer.
    let _ = stream.read_to_end(&mut Vec::new());
    assert_eq!(engine.recommend(&site()).send().await.unwrap().status(), 200);
}

/// Checks that the examples in the documentation are the engine's exact answers.
#[tokio::test]
async fn documentation_shows_the_exact_answer() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/engine.md");
    let page = fs::read_to_string(page).unwrap();
    let blocks: Vec<&str> = page.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    let [request, shown] = blocks.as_slice() else { panic!("{} examples", blocks.len()) };
    let engine = Engine::start();
    let ask = engine.post("/recommend").header("Content-Type", "application/json").body((*request).to_owned());
    let answer = ask.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.json::<Value>().await.unwrap(), serde_json::from_str::<Value>(shown).unwrap());
}
