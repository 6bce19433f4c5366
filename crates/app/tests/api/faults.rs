//! Failures of networks, engines and processes under thousands of requests: nothing is lost or recorded twice.

use std::collections::HashMap;
use std::time::Duration;

use mass_reference_engine::{Faults, Rate};
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::documents::simple;
use crate::support::engines::ReferenceEngine;
use crate::support::fault_proxy::{Fault, FaultProxy};
use crate::support::process::{Server, Workplace, workplaces_on_both};

on_both!(a_bad_network_loses_and_doubles_nothing, a_bad_engine_loses_and_doubles_nothing);

mod processes {
    use super::workplaces_on_both;

    workplaces_on_both!(killed_workers_lose_and_double_nothing, a_process_that_stops_hands_its_work_over);

    use super::{a_process_that_stops_hands_its_work_over, killed_workers_lose_and_double_nothing};
}

#[tokio::test]
async fn two_processes_share_one_queue() {
    processes_share(Workplace::postgres()).await;
}

/// One in three connections fails, each in another way.
const BAD_NETWORK: &[Fault] = &[
    Fault::None,
    Fault::None,
    Fault::ResetBefore,
    Fault::Delay(Duration::from_millis(20)),
    Fault::None,
    Fault::Truncation,
    Fault::None,
    Fault::None,
    Fault::ResetAfter,
    Fault::None,
    Fault::None,
    Fault::HalfOpen,
];

/// This number of different documents.
fn documents(count: usize) -> Value {
    (0..count).map(|number| simple(json!({"number": number}))).collect()
}

/// Runs a worker until the engine has answered all requests; dead letters are replayed.
async fn deliver_all(app: &TestApp, engine: &str, count: usize) {
    let flags = [
        ("--engine-url", engine),
        ("--auto-send", "true"),
        ("--engine-concurrency", "16"),
        ("--engine-timeout-ms", "250"),
    ];
    let app = app.another_with(&flags).await;
    for _ in 0..count.div_ceil(500) {
        app.post("/v1/mass-requests/batch").json(&documents(count.min(500))).await.expect(200);
    }
    let worker = app.work();
    loop {
        let dead = app.get("/v1/admin/deliveries?state=dead&limit=500").await.expect(200);
        if dead.at("/queue/delivered") == json!(count) {
            break;
        }
        for letter in dead.at("/items").as_array().unwrap() {
            let path = format!("/v1/admin/deliveries/{}/replay", letter["id"].as_str().unwrap());
            app.post(&path).await.expect(200);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    worker.finish().await;
}

/// Asserts that each request has one recommendation and one delivery event.
fn assert_one_outcome_each(lines: impl Fn(&str) -> Vec<String>, count: usize) {
    let answered = lines("SELECT CAST(count(*) AS TEXT) AS line FROM recommendations");
    let requests = lines("SELECT CAST(count(DISTINCT request_id) AS TEXT) AS line FROM recommendations");
    assert_eq!((answered, requests), (vec![count.to_string()], vec![count.to_string()]));
    let delivered = lines("SELECT event AS line FROM audit_events WHERE event LIKE '%\"action\":\"delivered\"%'");
    let mut events: HashMap<String, usize> = HashMap::new();
    for event in delivered {
        let event: Value = serde_json::from_str(&event).unwrap();
        *events.entry(event["object"]["id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!((events.len(), events.values().max()), (count, Some(&1)));
    let undone = lines("SELECT status AS line FROM mass_requests WHERE status <> 'done'");
    assert_eq!(undone, [] as [&str; 0]);
}

async fn a_bad_network_loses_and_doubles_nothing(app: TestApp) {
    let count = 1000;
    let engine = ReferenceEngine::sound();
    let proxy = FaultProxy::before(engine.address, BAD_NETWORK).await;
    deliver_all(&app, &proxy.url(), count).await;
    assert_one_outcome_each(|query| app.database().lines(query), count);
    // One in six calls did not reach the engine, or got no answer: each was repeated.
    assert!(proxy.connections() > count && engine.counted("repeated").await > 0);
    assert!(engine.counted("distinct_keys").await >= count as u64);
}

async fn a_bad_engine_loses_and_doubles_nothing(app: TestApp) {
    let count = 300;
    let rate = |text: &str| text.parse::<Rate>().unwrap();
    let faults = Faults {
        errors: rate("0.08"),
        garbage: rate("0.08"),
        hangs: rate("0.04"),
        truncations: rate("0.08"),
        retry_after: Some(1),
        seed: 11,
    };
    let engine = ReferenceEngine::start(Duration::ZERO, faults);
    deliver_all(&app, &engine.url(), count).await;
    assert_one_outcome_each(|query| app.database().lines(query), count);
    for fault in ["errors", "garbage", "hung", "truncated"] {
        assert!(engine.counted(fault).await > 0, "{fault}");
    }
    assert_eq!(engine.counted("refused").await, 0);
}

/// A workplace whose processes auto-send to this engine.
fn asking(workplace: Workplace, engine: &ReferenceEngine) -> Workplace {
    let workplace = workplace.with("MASS_ENGINE_URL", &engine.url()).with("MASS_AUTO_SEND", "true");
    workplace.with("MASS_ENGINE_LEASE_SECONDS", "2").with("MASS_RATE_LIMIT_PER_MINUTE", "0")
}

async fn accept(server: &Server, count: usize) {
    let token = server.token().await;
    let call = server.post("/v1/mass-requests/batch", &documents(count)).bearer_auth(token);
    assert_eq!(call.send().await.unwrap().status(), 200);
}

fn delivered(workplace: &Workplace) -> usize {
    workplace.lines("SELECT CAST(count(*) AS TEXT) AS line FROM recommendations")[0].parse().unwrap()
}

/// Waits until this number of requests is delivered.
async fn reach(workplace: &Workplace, count: usize) {
    while delivered(workplace) < count {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn killed_workers_lose_and_double_nothing(workplace: Workplace) {
    let (kills, count) = (50, 600);
    let engine = ReferenceEngine::start(Duration::from_millis(15), Faults::default());
    let workplace = asking(workplace, &engine);
    let mut server = workplace.serve();
    accept(&server, count).await;
    for kill in 1..=kills {
        reach(&workplace, kill * 10).await;
        server.kill();
        server = workplace.serve();
    }
    reach(&workplace, count).await;
    server.stop();
    assert_one_outcome_each(|query| workplace.lines(query), count);
    assert_eq!(engine.counted("distinct_keys").await, count as u64);
}

async fn a_process_that_stops_hands_its_work_over(workplace: Workplace) {
    let hangs = ReferenceEngine::start(Duration::ZERO, Faults { hangs: Rate::ALWAYS, ..Faults::default() });
    // No lease expires within the test.
    let workplace = asking(workplace, &hangs).with("MASS_ENGINE_LEASE_SECONDS", "3600");
    let workplace = workplace.with("MASS_ENGINE_TIMEOUT_MS", "2000");
    let server = workplace.serve();
    accept(&server, 3).await;
    while hangs.counted("requests").await < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (status, _) = server.stop();
    assert!(status.success());
    let sound = ReferenceEngine::sound();
    let workplace = workplace.with("MASS_ENGINE_URL", &sound.url());
    let server = workplace.serve();
    reach(&workplace, 3).await;
    server.stop();
    assert_one_outcome_each(|query| workplace.lines(query), 3);
}

async fn processes_share(workplace: Workplace) {
    let count = 300;
    let engine = ReferenceEngine::start(Duration::from_millis(15), Faults::default());
    let workplace = asking(workplace, &engine);
    let sibling = workplace.sibling();
    let sibling = sibling.with("SECRET_KEY", "a secret of both processes, long enough");
    let workplace = workplace.with("SECRET_KEY", "a secret of both processes, long enough");
    let (one, other) = (workplace.serve(), sibling.serve());
    accept(&one, count).await;
    reach(&workplace, count / 3).await;
    one.kill();
    reach(&workplace, count).await;
    other.stop();
    assert_one_outcome_each(|query| workplace.lines(query), count);
}
