//! Fault injection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use mass_reference_engine::{Faults, Options, Rate, serve};
use serde_json::{Value, json};

use crate::support::{Engine, site};

#[tokio::test]
async fn injects_500_or_503_with_retry_after() {
    let engine = Engine::failing(Faults { errors: Rate::ALWAYS, ..Faults::default() });
    let answer = engine.recommend(&site()).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().get("retry-after")), (500, None));
    assert!(answer.json::<Value>().await.unwrap()["error"].is_string());

    let waiting = Engine::failing(Faults { errors: Rate::ALWAYS, retry_after: Some(7), ..Faults::default() });
    let answer = waiting.recommend(&site()).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &"7".parse().unwrap()));
    assert_eq!(waiting.statistics().await["errors"], 1);
}

#[tokio::test]
async fn injects_unusable_bodies_with_status_200() {
    let engine = Engine::failing(Faults { garbage: Rate::ALWAYS, seed: 5, ..Faults::default() });
    let sound = Engine::start().recommend(&site()).send().await.unwrap().bytes().await.unwrap();
    let mut kinds = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let answer = engine.recommend(&site()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let body = answer.bytes().await.unwrap();
        assert_ne!(body, sound);
        kinds.insert(body);
    }
    assert_eq!(kinds.len(), 5);
    let statistics = engine.statistics().await;
    assert_eq!((&statistics["garbage"], &statistics["recommended"]), (&json!(40), &json!(0)));
}

#[tokio::test]
async fn hanging_request_does_not_block_others() {
    let engine = Engine::failing(Faults { hangs: Rate::ALWAYS, ..Faults::default() });
    let hanging = tokio::spawn(engine.recommend(&site()).send());
    engine.until("hung", 1).await;
    assert_eq!(engine.get("/health").send().await.unwrap().status(), 200);
    assert!(!hanging.is_finished());
    hanging.abort();
}

#[tokio::test]
async fn truncated_response_announces_more_than_it_sends() {
    let engine = Engine::failing(Faults { truncations: Rate::ALWAYS, ..Faults::default() });
    let body = site().to_string();
    let mut stream = TcpStream::connect(engine.address).unwrap();
    write!(
        stream,
        "POST /recommend HTTP/1.1\r\nHost: engine\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = Vec::new();
    // The connection may end with a reset.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, half) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let announced = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert_eq!(half.len(), announced.parse::<usize>().unwrap() / 2);
    assert!(half.starts_with("{\"decision_id\""), "{half}");
    assert_eq!(engine.statistics().await["truncated"], 1);
}

#[tokio::test]
async fn lost_answer_is_cached_for_the_next_attempt() {
    let half: Rate = "0.5".parse().unwrap();
    let engine = Engine::failing(Faults { errors: half, seed: 11, ..Faults::default() });
    let mut statuses = Vec::new();
    let mut bodies = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let answer = engine.recommend(&site()).header("Idempotency-Key", "one").send().await.unwrap();
        statuses.push(answer.status().as_u16());
        if answer.status() == 200 {
            bodies.insert(answer.bytes().await.unwrap());
        }
    }
    assert!(statuses.contains(&500) && statuses.contains(&200), "{statuses:?}");
    assert_eq!(bodies.len(), 1);
    let statistics = engine.statistics().await;
    assert_eq!((&statistics["distinct_keys"], &statistics["repeated"]), (&json!(1), &json!(19)));
}

#[tokio::test]
async fn same_seed_injects_faults_into_the_same_requests() {
    let mut runs = Vec::new();
    for seed in [3, 3, 4] {
        let rate: Rate = "0.4".parse().unwrap();
        let engine = Engine::failing(Faults { errors: rate, seed, ..Faults::default() });
        let mut statuses = Vec::new();
        for _ in 0..32 {
            statuses.push(engine.recommend(&site()).send().await.unwrap().status().as_u16());
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn latency_does_not_block_other_requests() {
    let engine = Engine::with(Options { latency: Duration::from_secs(3600), ..Options::default() });
    let waiting = tokio::spawn(engine.recommend(&site()).send());
    engine.until("requests", 1).await;
    assert_eq!(engine.statistics().await["recommended"], 0);
    assert!(!waiting.is_finished());
    waiting.abort();
}

#[test]
fn refuses_to_start_with_rates_above_1() {
    let faults = Faults { errors: Rate::ALWAYS, hangs: Rate::ALWAYS, ..Faults::default() };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = serve(listener, &Options { faults, ..Options::default() }).err().unwrap();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
}
