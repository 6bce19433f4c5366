//! The requests to the engine, and the handling of failed answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join3;
use mass_app::engine::{Circuit, CircuitOptions, Engine, EngineOptions, EngineToken};
use mass_domain::canonical::Fingerprint;
use mass_domain::contracts;
use mass_domain::delivery::FailureCode;
use mass_domain::ids::MassRequestId;
use mass_domain::recommendation::MAX_ANSWER_BYTES;
use mass_domain::tenancy::TenantId;
use mass_domain::trace::TraceParent;
use mass_service::{Answer, Question, Recommender, RecommenderError, Restraint};
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::engines::{Heard, ScriptedEngine, recommendation, reply};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Thresholds that no test reaches by chance.
const LOOSE: CircuitOptions = CircuitOptions { calls: u16::MAX, pause: Duration::from_secs(60) };

fn options(url: &str) -> EngineOptions {
    EngineOptions {
        url: url.parse().unwrap(),
        token: Some(EngineToken::parse(&SecretString::from("the-secret")).unwrap()),
        timeout: Duration::from_secs(30),
        concurrency: 4,
        circuit: LOOSE,
        auto_send: false,
    }
}

fn asking(url: &str) -> Arc<dyn Recommender> {
    Engine::new(&options(url)).unwrap().recommender().unwrap()
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn question() -> Question {
    Question {
        idempotency_key: "key-1".to_owned(),
        request_id: MassRequestId::from_uuid(Uuid::from_u128(7)),
        tenant_id: tenant("acme"),
        contract: contracts::find("simple", "1.0").unwrap().id(),
        fingerprint: Fingerprint::of("{}"),
        document: r#"{"payload":{"note":"hello"}}"#.to_owned(),
        timeout_ms: None,
        trace: Some(TRACE.parse().unwrap()),
    }
}

fn question_of(tenant_id: &str) -> Question {
    Question { tenant_id: tenant(tenant_id), ..question() }
}

/// Summarises the result of a call.
fn in_short(result: &Result<Answer, RecommenderError>) -> (Option<FailureCode>, bool, Option<Duration>) {
    match result {
        Ok(_) => (None, false, None),
        Err(RecommenderError::Failed { failure, retryable, retry_after }) => {
            (Some(failure.code), *retryable, *retry_after)
        }
        Err(RecommenderError::CircuitOpen { .. }) => panic!("the circuit is open"),
    }
}

fn sound(heard: &Heard) -> Option<Vec<u8>> {
    Some(reply("200 OK", &[], &recommendation(heard).to_string()))
}

#[tokio::test]
async fn sends_the_document_with_its_idempotency_key_and_trace() {
    let engine = ScriptedEngine::start(sound).await;
    let answer = asking(&format!("{}/v2/", engine.url())).recommend(&question()).await.unwrap();
    let [heard] = &engine.heard()[..] else { panic!("asked more than once") };
    assert!(heard.head.starts_with("POST /v2/recommend HTTP/1.1\r\n"), "{}", heard.head);
    assert_eq!(heard.header("Content-Type"), Some("application/json"));
    assert_eq!(heard.header("Idempotency-Key"), Some("key-1"));
    assert_eq!(heard.header("Authorization"), Some("Bearer the-secret"));
    assert_eq!(heard.header("X-Request-Id"), Some("00000000-0000-0000-0000-000000000007"));
    assert_eq!(heard.header("Accept-Encoding"), None);
    let (own, sent): (TraceParent, TraceParent) =
        (TRACE.parse().unwrap(), heard.header("traceparent").unwrap().parse().unwrap());
    assert_eq!(sent.trace_id(), own.trace_id());
    assert_ne!(sent.span_id(), own.span_id());
    let expected = json!({
        "request_id": "00000000-0000-0000-0000-000000000007", "tenant_id": "acme", "contract": "simple/1.0",
        "fingerprint": Fingerprint::of("{}").to_string(), "mode": "shadow", "document": {"payload": {"note": "hello"}},
    });
    assert_eq!(heard.body, expected);
    assert_eq!(serde_json::from_slice::<Value>(&answer.body).unwrap(), recommendation(heard));
}

#[tokio::test]
async fn the_status_decides_about_retries() {
    use FailureCode::{Busy, EngineFault, Malformed, Refused, Timeout};
    for (status, code, retryable) in [
        ("400 Bad Request", Refused, false),
        ("401 Unauthorized", Refused, false),
        ("408 Request Timeout", Timeout, true),
        ("422 Unprocessable Content", Refused, false),
        ("429 Too Many Requests", Busy, true),
        ("500 Internal Server Error", EngineFault, true),
        ("503 Service Unavailable", Busy, true),
        ("204 No Content", Malformed, false),
    ] {
        let engine = ScriptedEngine::start(move |_| Some(reply(status, &["Retry-After: 7"], ""))).await;
        let result = asking(&engine.url()).recommend(&question()).await;
        assert_eq!(in_short(&result), (Some(code), retryable, Some(Duration::from_secs(7))), "{status}");
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = ScriptedEngine::start(sound).await;
    let location = format!("Location: {}/recommend", elsewhere.url());
    let engine = ScriptedEngine::start(move |_| Some(reply("307 Temporary Redirect", &[&location], ""))).await;
    let result = asking(&engine.url()).recommend(&question()).await;
    assert_eq!(in_short(&result), (Some(FailureCode::Malformed), false, None));
    assert_eq!((engine.heard().len(), elsewhere.heard().len()), (1, 0));
}

#[tokio::test]
async fn distinguishes_the_kinds_of_failed_answers() {
    use FailureCode::{Malformed, Timeout, Unreachable};
    let page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>".to_vec();
    let cut = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n{\"a\":".to_vec();
    let long = reply("200 OK", &[], &" ".repeat(MAX_ANSWER_BYTES + 1));
    for (answer, code) in [
        (Some(page), Malformed),
        (Some(long), Malformed),
        (Some(cut), Unreachable),
        (Some(b"nothing of HTTP\r\n\r\n".to_vec()), Unreachable),
        (Some(Vec::new()), Unreachable),
        (None, Timeout),
    ] {
        let engine = ScriptedEngine::start(move |_| answer.clone()).await;
        let hurried = Question { timeout_ms: Some(300), ..question() };
        let result = asking(&engine.url()).recommend(&hurried).await;
        assert_eq!(in_short(&result), (Some(code), true, None));
        assert_eq!(engine.heard().len(), 1, "one call is one request");
    }
}

#[tokio::test]
async fn endless_answers_are_read_up_to_the_limit() {
    let endless = {
        let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, " ".repeat(1 << 16));
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        format!("{head}{}", chunk.repeat(64))
    };
    let engine = ScriptedEngine::start(move |_| Some(endless.clone().into_bytes())).await;
    let result = asking(&engine.url()).recommend(&question()).await;
    assert_eq!(in_short(&result).0, Some(FailureCode::Malformed));
}

#[tokio::test]
async fn an_unreachable_engine_is_reported_without_secrets() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let result = asking(&format!("http://{nobody}")).recommend(&question()).await;
    assert_eq!(in_short(&result), (Some(FailureCode::Unreachable), true, None));
    let told = format!("{result:?} {}", result.as_ref().unwrap_err());
    assert!(!told.contains("the-secret") && !told.contains(&nobody.to_string()), "{told}");
}

/// An engine that fails until the flag is set.
async fn patient(well: &Arc<AtomicBool>) -> ScriptedEngine {
    let well = Arc::clone(well);
    let script = move |heard: &Heard| match well.load(Ordering::Relaxed) {
        true => sound(heard),
        false => Some(reply("500 Internal Server Error", &[], "")),
    };
    ScriptedEngine::start(script).await
}

fn guarded(url: &str, calls: u16, pause: Duration) -> Engine {
    Engine::new(&EngineOptions { circuit: CircuitOptions { calls, pause }, ..options(url) }).unwrap()
}

#[tokio::test]
async fn a_failing_engine_opens_only_the_circuit_of_one_tenant() {
    let well = Arc::new(AtomicBool::new(false));
    let scripted = patient(&well).await;
    let engine = guarded(&scripted.url(), 3, Duration::from_secs(600));
    let asking = engine.recommender().unwrap();
    for _ in 0..3 {
        assert_eq!(engine.circuit(&tenant("acme")), Some(Circuit::Closed));
        assert_eq!(in_short(&asking.recommend(&question()).await).0, Some(FailureCode::EngineFault));
    }
    assert_eq!(engine.circuit(&tenant("acme")), Some(Circuit::Open));
    for _ in 0..10 {
        let Err(RecommenderError::CircuitOpen { retry_after }) = asking.recommend(&question()).await else {
            panic!("the engine was asked")
        };
        assert!(retry_after <= Duration::from_secs(600));
    }
    assert_eq!(scripted.heard().len(), 3);
    assert_eq!(asking.restraint().await, Restraint { none_of: vec![tenant("acme")], one_of: Vec::new() });
    well.store(true, Ordering::Relaxed);
    assert!(asking.recommend(&question_of("other")).await.is_ok());
    assert_eq!(engine.circuit(&tenant("other")), Some(Circuit::Closed));
    assert_eq!(engine.circuit(&tenant("acme")), Some(Circuit::Open));
}

#[tokio::test]
async fn the_circuit_closes_when_the_engine_recovers() {
    let well = Arc::new(AtomicBool::new(false));
    let scripted = patient(&well).await;
    let pause = Duration::from_millis(50);
    let engine = guarded(&scripted.url(), 2, pause);
    let asking = engine.recommender().unwrap();
    for _ in 0..2 {
        assert!(asking.recommend(&question()).await.is_err());
    }
    // The probe fails, and the circuit opens again.
    tokio::time::sleep(pause * 2).await;
    assert_eq!(in_short(&asking.recommend(&question()).await).0, Some(FailureCode::EngineFault));
    assert_eq!(engine.circuit(&tenant("acme")), Some(Circuit::Open));
    well.store(true, Ordering::Relaxed);
    tokio::time::sleep(pause * 2).await;
    assert_eq!(asking.restraint().await, Restraint { none_of: Vec::new(), one_of: vec![tenant("acme")] });
    assert!(asking.recommend(&question()).await.is_ok());
    assert_eq!(engine.circuit(&tenant("acme")), Some(Circuit::Closed));
    assert_eq!(asking.restraint().await, Restraint::default());
    assert!(asking.recommend(&question()).await.is_ok());
    assert_eq!(scripted.heard().len(), 5);
}

#[tokio::test]
async fn a_half_open_circuit_allows_one_probe_at_a_time() {
    let hung = Arc::new(AtomicBool::new(false));
    let script = {
        let hung = Arc::clone(&hung);
        move |_: &Heard| (!hung.load(Ordering::Relaxed)).then(|| reply("500 Internal Server Error", &[], ""))
    };
    let scripted = ScriptedEngine::start(script).await;
    let pause = Duration::from_millis(50);
    let asking = guarded(&scripted.url(), 1, pause).recommender().unwrap();
    assert!(asking.recommend(&question()).await.is_err());
    hung.store(true, Ordering::Relaxed);
    tokio::time::sleep(pause * 2).await;
    let hurried = Question { timeout_ms: Some(500), ..question() };
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        asking.restraint().await
    };
    let (probe, other, restraint) = join3(asking.recommend(&hurried), asking.recommend(&hurried), meanwhile).await;
    assert_eq!(restraint, Restraint { none_of: vec![tenant("acme")], one_of: Vec::new() });
    assert_eq!(in_short(&probe).0, Some(FailureCode::Timeout));
    assert!(matches!(other, Err(RecommenderError::CircuitOpen { .. })), "{other:?}");
    assert_eq!(scripted.heard().len(), 2);
}

#[tokio::test]
async fn a_cancelled_probe_is_followed_by_another() {
    let asked = Arc::new(AtomicBool::new(false));
    let script = {
        let asked = Arc::clone(&asked);
        // The first call fails, and the others hang.
        move |_: &Heard| (!asked.swap(true, Ordering::Relaxed)).then(|| reply("500 Internal Server Error", &[], ""))
    };
    let scripted = ScriptedEngine::start(script).await;
    let pause = Duration::from_millis(50);
    let asking = guarded(&scripted.url(), 1, pause).recommender().unwrap();
    assert!(asking.recommend(&question()).await.is_err());
    tokio::time::sleep(pause * 2).await;
    let (none, one) = (Vec::new, || vec![tenant("acme")]);
    let probe = tokio::spawn({
        let asking = Arc::clone(&asking);
        async move { asking.recommend(&question()).await }
    });
    reaches(&*asking, Restraint { none_of: one(), one_of: none() }).await;
    probe.abort();
    reaches(&*asking, Restraint { none_of: none(), one_of: one() }).await;
}

async fn reaches(asking: &dyn Recommender, expected: Restraint) {
    for _ in 0..500 {
        if asking.restraint().await == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?} instead of {expected:?}", asking.restraint().await);
}

#[tokio::test]
async fn refusals_do_not_open_the_circuit() {
    let engine = ScriptedEngine::start(|_| Some(reply("422 Unprocessable Content", &[], ""))).await;
    let guarded = guarded(&engine.url(), 1, Duration::from_secs(600));
    let asking = guarded.recommender().unwrap();
    for _ in 0..3 {
        assert_eq!(in_short(&asking.recommend(&question()).await).0, Some(FailureCode::Refused));
    }
    assert_eq!(engine.heard().len(), 3);
}

#[tokio::test]
async fn a_minority_of_failures_does_not_open_the_circuit() {
    let well = Arc::new(AtomicBool::new(true));
    let scripted = patient(&well).await;
    let engine = guarded(&scripted.url(), 2, Duration::from_secs(600));
    let asking = engine.recommender().unwrap();
    for _ in 0..7 {
        assert!(asking.recommend(&question()).await.is_ok());
    }
    well.store(false, Ordering::Relaxed);
    for _ in 0..6 {
        assert_eq!(in_short(&asking.recommend(&question()).await).0, Some(FailureCode::EngineFault));
        assert_eq!(engine.circuit(&tenant("acme")), Some(Circuit::Closed));
    }
    assert_eq!(in_short(&asking.recommend(&question()).await).0, Some(FailureCode::EngineFault));
    assert_eq!(engine.circuit(&tenant("acme")), Some(Circuit::Open));
}
