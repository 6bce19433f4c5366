//! Sending of requests to an engine, and the views of deliveries.

use std::time::Duration;

use mass_app::engine::RunningWorker;
use mass_app::engine::worker::POLL;
use mass_domain::access::Role;
use mass_reference_engine::{Faults, Rate};
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client::{Answer, Client};
use crate::support::documents::{Edit, reading, report, simple};
use crate::support::engines::{ReferenceEngine, ScriptedEngine, recommendation, reply};

on_both!(
    a_request_is_sent_once,
    reports_why_a_request_cannot_be_sent,
    the_engines_answer_is_stored_and_shown,
    recommendations_are_filtered,
    a_recommendation_that_breaks_a_guardrail_is_never_shown_as_valid,
    a_malformed_answer_is_reported_and_never_stored,
    a_dead_letter_is_replayed_or_cancelled,
    a_cancelled_delivery_stores_no_answer,
    a_deleted_request_is_not_sent,
    accepted_requests_are_sent_automatically,
    accepted_requests_wake_the_worker,
    auto_send_of_a_tenant_wakes_the_worker,
    a_slow_engine_misses_the_service_level_objective,
    a_hanging_engine_does_not_block_the_server,
    a_stopping_worker_releases_its_deliveries,
    the_circuit_opens_for_an_unreachable_engine_and_closes_again,
);

async fn store(client: &Client, document: &Value) -> String {
    client.post("/v1/mass-requests").json(document).await.expect(201).id()
}

async fn send(app: &TestApp, id: &str) -> Answer {
    app.post(&format!("/v1/mass-requests/{id}/send")).await
}

async fn delivery(app: &TestApp, id: &str) -> Value {
    app.get(&format!("/v1/admin/deliveries/{id}")).await.expect(200).json()
}

async fn recommendations(app: &TestApp, id: &str) -> Vec<Value> {
    let answer = app.get(&format!("/v1/mass-requests/{id}/recommendations")).await.expect(200);
    answer.at("/items").as_array().unwrap().clone()
}

async fn status(app: &TestApp, id: &str) -> String {
    app.get(&format!("/v1/mass-requests/{id}")).await.expect(200).text("/status")
}

/// Returns the actions on a request, in order.
async fn actions(app: &TestApp, id: &str) -> Vec<String> {
    let events = app.get(&format!("/v1/mass-requests/{id}/events")).await.expect(200).at("/items");
    events.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

/// Waits until a delivery is in a state.
async fn reaches(app: &TestApp, id: &str, state: &str) -> Value {
    loop {
        let found = delivery(app, id).await;
        if found["state"] == state {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A server with this engine and a running worker.
async fn at_work(app: &TestApp, engine: &str, flags: &[(&str, &str)]) -> (TestApp, RunningWorker) {
    let flags: Vec<_> = [("--engine-url", engine)].into_iter().chain(flags.iter().copied()).collect();
    let app = app.another_with(&flags).await;
    let worker = app.work();
    (app, worker)
}

async fn a_request_is_sent_once(app: TestApp) {
    let id = store(app.founder(), &reading("dev-1")).await;
    let first = send(&app, &id).await.expect(202);
    assert_eq!(first.header("location"), Some(format!("/v1/mass-requests/{id}/recommendations").as_str()));
    assert_eq!((first.text("/state"), first.text("/request_id")), ("queued".to_owned(), id.clone()));
    assert_eq!(send(&app, &id).await.expect(202).json(), first.json());
    assert_eq!(delivery(&app, &first.id()).await, first.json());
    assert_eq!(actions(&app, &id).await, ["accepted", "sent"]);
    assert_eq!(recommendations(&app, &id).await, [] as [Value; 0]);
    let page = app.get("/v1/admin/deliveries?state=queued").await.expect(200);
    assert_eq!(page.at("/items"), json!([first.json()]));
    assert_eq!((page.at("/queue/depth"), page.at("/queue/queued")), (json!(1), json!(1)));
    assert_eq!((page.at("/queue/retrying"), page.text("/queue/circuit")), (json!(0), "closed".to_owned()));
    assert_eq!(page.text("/queue/oldest"), first.text("/queued_at"));
    assert_eq!(app.get("/v1/admin/deliveries?state=dead").await.expect(200).at("/items"), json!([]));
    let stranger = app.foreigner(Role::Operator).await;
    stranger.get(&format!("/v1/admin/deliveries/{}", first.id())).await.expect_problem(404, "not-found");
    let theirs = stranger.get("/v1/admin/deliveries").await.expect(200);
    assert_eq!((theirs.at("/items"), theirs.at("/queue/depth")), (json!([]), json!(0)));
}

async fn reports_why_a_request_cannot_be_sent(app: TestApp) {
    let id = store(app.founder(), &reading("dev-1")).await;
    let delivery = send(&app, &id).await.expect(202).id();
    let alone = app.another_with(&[("--engine-url", "")]).await;
    send(&alone, &id).await.expect_problem(409, "engine-not-configured");
    let replay = alone.post(&format!("/v1/admin/deliveries/{delivery}/replay")).await;
    replay.expect_problem(409, "engine-not-configured");
    assert_eq!(alone.get("/v1/admin/deliveries").await.expect(200).at("/queue/circuit"), json!(null));
    let cancelled = store(app.founder(), &reading("dev-2")).await;
    app.patch(&format!("/v1/mass-requests/{cancelled}/status")).json(&json!({"status": "cancelled"})).await.expect(200);
    let refused = send(&app, &cancelled).await.expect_problem(409, "not-deliverable");
    assert_eq!(refused.text("/state"), "cancelled");
    let deleted = store(app.founder(), &reading("dev-3")).await;
    app.delete(&format!("/v1/mass-requests/{deleted}")).await.expect(204);
    send(&app, &deleted).await.expect_problem(410, "gone");
    send(&app, "0199d3a0-0000-7000-8000-000000000001").await.expect_problem(404, "not-found");
    app.get("/v1/admin/deliveries?state=lost").await.expect_violations("invalid-parameter", &["?state parameter"]);
    let list = app.get("/v1/recommendations?valid=maybe&from=soon").await;
    list.expect_violations("invalid-parameter", &["?valid parameter", "?from parameter"]);
}

async fn the_engines_answer_is_stored_and_shown(app: TestApp) {
    let engine = ReferenceEngine::sound();
    let (app, worker) = at_work(&app, &engine.url(), &[]).await;
    let id = store(app.founder(), &report("r-1")).await;
    let sent = send(&app, &id).await.expect(202);
    let delivered = reaches(&app, &sent.id(), "delivered").await;
    assert_eq!((&delivered["attempts"], &delivered["failure"]), (&json!(1), &json!(null)));
    let [found] = &recommendations(&app, &id).await[..] else { panic!("more than one recommendation") };
    assert_eq!((&found["valid"], &found["flags"]), (&json!(true), &json!([])));
    assert_eq!((&found["request_id"], &found["delivery_id"]), (&json!(id), &json!(sent.id())));
    assert_eq!((&found["contract"], &found["slo_met"]), (&json!("enterprise/1.1"), &json!(true)));
    assert_eq!(found["model"]["name"], "mass-reference");
    assert_eq!(found["guardrails"], json!({"shadow_read_only_enforced": true, "no_control_actions_enforced": true}));
    assert_eq!(status(&app, &id).await, "done");
    assert_eq!(actions(&app, &id).await, ["accepted", "sent", "status_changed", "delivered"]);
    assert_eq!(app.get("/v1/recommendations").await.expect(200).at("/items"), json!([found]));
    assert_eq!(send(&app, &id).await.expect(202).text("/state"), "delivered");
    worker.finish().await;
    assert_eq!(engine.counted("requests").await, 1);
}

async fn recommendations_are_filtered(app: TestApp) {
    let engine = ReferenceEngine::sound();
    let (app, worker) = at_work(&app, &engine.url(), &[]).await;
    let mut about = Vec::new();
    for document in [reading("dev-1"), reading("dev-2"), report("r-1")] {
        let id = store(app.founder(), &document).await;
        reaches(&app, &send(&app, &id).await.expect(202).id(), "delivered").await;
        about.push(id);
    }
    worker.finish().await;
    let listed = |query: &'static str| {
        let call = app.get(&format!("/v1/recommendations?{query}"));
        async {
            let items = call.await.expect(200).at("/items");
            let ids = items.as_array().unwrap().iter().map(|item| item["request_id"].as_str().unwrap().to_owned());
            ids.collect::<Vec<_>>()
        }
    };
    assert_eq!(listed("valid=true").await, [&*about[2], &about[1], &about[0]]);
    assert_eq!(listed("device_id=dev-2").await, [&*about[1]]);
    assert_eq!(listed("model=mass-reference&device_id=dev-1").await, [&*about[0]]);
    for none in ["valid=false", "model=another", "site_id=nowhere", "to=2020-01-01T00:00:00Z"] {
        assert_eq!(listed(none).await, [] as [&str; 0], "{none}");
    }
    let first = app.get("/v1/recommendations?limit=2").await.expect(200);
    let next = first.text("/next_cursor");
    assert!(first.header("link").unwrap().contains(&next));
    let second = app.get(&format!("/v1/recommendations?limit=2&cursor={next}")).await.expect(200);
    assert_eq!((second.text("/items/0/request_id"), second.at("/next_cursor")), (about[0].clone(), json!(null)));
    let foreign = app.get(&format!("/v1/admin/deliveries?cursor={next}")).await;
    foreign.expect_violations("invalid-parameter", &["?cursor parameter"]);
}

async fn a_recommendation_that_breaks_a_guardrail_is_never_shown_as_valid(app: TestApp) {
    let engine = ScriptedEngine::start(|heard| {
        let bold = recommendation(heard).with("/guardrails/no_control_actions_enforced", false);
        Some(reply("200 OK", &[], &bold.to_string()))
    })
    .await;
    let (app, worker) = at_work(&app, &engine.url(), &[]).await;
    let id = store(app.founder(), &reading("dev-1")).await;
    reaches(&app, &send(&app, &id).await.expect(202).id(), "delivered").await;
    worker.finish().await;
    let [found] = &recommendations(&app, &id).await[..] else { panic!("more than one recommendation") };
    assert_eq!(found["valid"], false);
    assert_eq!(found["flags"][0]["code"], "control_actions_not_excluded");
    assert_eq!(app.get("/v1/recommendations?valid=true").await.expect(200).at("/items"), json!([]));
    assert_eq!(app.get("/v1/recommendations?valid=false").await.expect(200).at("/items"), json!([found]));
}

async fn a_malformed_answer_is_reported_and_never_stored(app: TestApp) {
    let engine = ReferenceEngine::start(Duration::ZERO, Faults { garbage: Rate::ALWAYS, ..Faults::default() });
    let (app, worker) = at_work(&app, &engine.url(), &[("--engine-deadline-seconds", "1")]).await;
    let id = store(app.founder(), &reading("dev-1")).await;
    let dead = reaches(&app, &send(&app, &id).await.expect(202).id(), "dead").await;
    worker.finish().await;
    assert_eq!(dead["failure"]["code"], "answer_malformed");
    assert_eq!(dead["dead_reason"], "deadline_passed");
    assert_eq!(recommendations(&app, &id).await, [] as [Value; 0]);
    assert_eq!(status(&app, &id).await, "failed");
    assert_eq!(actions(&app, &id).await.last().unwrap(), "delivery_failed");
}

async fn a_dead_letter_is_replayed_or_cancelled(app: TestApp) {
    let refusing = ScriptedEngine::start(|_| Some(reply("422 Unprocessable Content", &[], "{}"))).await;
    let (away, worker) = at_work(&app, &refusing.url(), &[]).await;
    let mut dead = Vec::new();
    for device in ["dev-1", "dev-2"] {
        let id = store(away.founder(), &reading(device)).await;
        let delivery = send(&away, &id).await.expect(202).id();
        let found = reaches(&away, &delivery, "dead").await;
        assert_eq!((&found["dead_reason"], &found["attempts"]), (&json!("not_retryable"), &json!(1)));
        assert_eq!(found["failure"]["code"], "engine_refused");
        dead.push((id, delivery));
    }
    worker.finish().await;
    assert_eq!(away.get("/v1/admin/deliveries?state=dead").await.expect(200).at("/queue/dead"), json!(2));
    let engine = ReferenceEngine::sound();
    let (app, worker) = at_work(&app, &engine.url(), &[]).await;
    let [(replayed, delivery), (given_up, other)] = &dead[..] else { unreachable!() };
    let again = app.post(&format!("/v1/admin/deliveries/{delivery}/replay")).await.expect(200);
    assert_eq!(again.at("/round"), json!(2));
    reaches(&app, delivery, "delivered").await;
    assert_eq!(recommendations(&app, replayed).await.len(), 1);
    assert_eq!(status(&app, replayed).await, "done");
    let cancelled = app.post(&format!("/v1/admin/deliveries/{other}/cancel")).await.expect(200);
    assert_eq!(cancelled.text("/state"), "cancelled");
    let refused = app.post(&format!("/v1/admin/deliveries/{other}/replay")).await;
    refused.expect_problem(409, "not-deliverable");
    let late = app.post(&format!("/v1/admin/deliveries/{delivery}/cancel")).await;
    assert_eq!(late.expect_problem(409, "not-deliverable").text("/state"), "delivered");
    assert_eq!(recommendations(&app, given_up).await, [] as [Value; 0]);
    worker.finish().await;
}

async fn a_cancelled_delivery_stores_no_answer(app: TestApp) {
    let id = store(app.founder(), &reading("dev-1")).await;
    let delivery = send(&app, &id).await.expect(202).id();
    for _ in 0..2 {
        let cancelled = app.post(&format!("/v1/admin/deliveries/{delivery}/cancel")).await.expect(200);
        assert_eq!(cancelled.text("/state"), "cancelled");
    }
    assert_eq!(status(&app, &id).await, "cancelled");
    let engine = ReferenceEngine::sound();
    let (app, worker) = at_work(&app, &engine.url(), &[]).await;
    let other = store(app.founder(), &reading("dev-2")).await;
    reaches(&app, &send(&app, &other).await.expect(202).id(), "delivered").await;
    worker.finish().await;
    assert_eq!(recommendations(&app, &id).await, [] as [Value; 0]);
    assert_eq!(engine.counted("requests").await, 1);
}

async fn a_deleted_request_is_not_sent(app: TestApp) {
    let id = store(app.founder(), &reading("dev-1")).await;
    let delivery = send(&app, &id).await.expect(202).id();
    app.delete(&format!("/v1/mass-requests/{id}")).await.expect(204);
    let engine = ReferenceEngine::sound();
    let (app, worker) = at_work(&app, &engine.url(), &[]).await;
    let other = store(app.founder(), &reading("dev-2")).await;
    reaches(&app, &send(&app, &other).await.expect(202).id(), "delivered").await;
    worker.finish().await;
    reaches(&app, &delivery, "cancelled").await;
    assert_eq!(engine.counted("requests").await, 1);
    app.get(&format!("/v1/mass-requests/{id}/recommendations")).await.expect_problem(410, "gone");
}

async fn accepted_requests_are_sent_automatically(app: TestApp) {
    let app = app.another_with(&[("--auto-send", "true")]).await;
    let id = store(app.founder(), &reading("dev-1")).await;
    let batch = json!([reading("dev-2"), simple(json!({"a": 1}))]);
    app.post("/v1/mass-requests/batch").json(&batch).await.expect(200);
    assert_eq!(actions(&app, &id).await, ["accepted"]);
    let page = app.get("/v1/admin/deliveries").await.expect(200);
    assert_eq!(page.at("/queue/queued"), json!(3));
    assert_eq!(page.text("/items/2/request_id"), id);
    let events = app.get(&format!("/v1/mass-requests/{id}/events")).await.expect(200);
    assert_eq!(events.text("/items/0/detail/delivery"), page.text("/items/2/id"));
    let again = app.post("/v1/mass-requests").json(&reading("dev-1")).await.expect(200);
    assert_eq!(again.id(), id);
    assert_eq!(app.get("/v1/admin/deliveries").await.expect(200).at("/queue/depth"), json!(3));
}

async fn accepted_requests_wake_the_worker(app: TestApp) {
    let engine = ReferenceEngine::sound();
    let app = app.another_with(&[("--engine-url", &engine.url()), ("--auto-send", "true")]).await;
    let worker = app.work_when_woken();
    let answered = async |number| {
        while engine.counted("requests").await < number {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    // Once this is answered, the worker has polled once, and will not poll again by itself.
    store(app.founder(), &reading("dev-1")).await;
    answered(1).await;
    store(app.founder(), &reading("dev-2")).await;
    answered(2).await;
    app.post("/v1/mass-requests/batch").json(&json!([reading("dev-3")])).await.expect(200);
    answered(3).await;
    app.post("/v1/mass-requests/batch?mode=atomic").json(&json!([reading("dev-4")])).await.expect(201);
    answered(4).await;
    worker.finish().await;
}

async fn auto_send_of_a_tenant_wakes_the_worker(app: TestApp) {
    let engine = ReferenceEngine::sound();
    let app = app.another_with(&[("--engine-url", &engine.url())]).await;
    let worker = app.work_when_woken();
    let id = store(app.founder(), &reading("dev-1")).await;
    reaches(&app, &send(&app, &id).await.expect(202).id(), "delivered").await;
    app.founder().put("/v1/admin/settings").json(&json!({"auto_send": true})).await.expect(200);
    for (number, batch) in ["/v1/mass-requests/batch", "/v1/mass-requests/batch?mode=atomic"].iter().enumerate() {
        store(app.founder(), &simple(json!({"number": number}))).await;
        app.post(batch).json(&json!([reading(&format!("batch-{number}"))])).await;
        while engine.counted("requests").await < 3 + 2 * number as u64 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    worker.finish().await;
}

async fn a_slow_engine_misses_the_service_level_objective(app: TestApp) {
    let engine = ReferenceEngine::start(Duration::from_millis(150), Faults::default());
    let (app, worker) = at_work(&app, &engine.url(), &[]).await;
    let hasty = report("r-1").with("/request/service_level_objective_ms", 100);
    let id = store(app.founder(), &hasty).await;
    reaches(&app, &send(&app, &id).await.expect(202).id(), "delivered").await;
    worker.finish().await;
    let [found] = &recommendations(&app, &id).await[..] else { panic!("more than one recommendation") };
    assert_eq!((&found["slo_ms"], &found["slo_met"]), (&json!(100), &json!(false)));
    assert!(found["latency_ms"].as_i64().unwrap() >= 150);
}

async fn a_hanging_engine_does_not_block_the_server(app: TestApp) {
    let engine = ScriptedEngine::start(|_| None).await;
    // Longer than this test takes on a busy machine.
    let patience = ("--engine-timeout-ms", "120000");
    let flags = [("--auto-send", "true"), ("--engine-concurrency", "64"), patience];
    let (app, worker) = at_work(&app, &engine.url(), &flags).await;
    for number in 0..100 {
        store(app.founder(), &reading(&format!("dev-{number}"))).await;
    }
    while engine.heard().len() < 64 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The maximum number of calls is under way, and none of them ends.
    for number in 100..130 {
        store(app.founder(), &reading(&format!("dev-{number}"))).await;
    }
    let queue = app.get("/v1/admin/deliveries").await.expect(200);
    assert_eq!((queue.at("/queue/leased"), queue.at("/queue/queued")), (json!(64), json!(66)));
    worker.stopper().stop_now();
    worker.finish().await;
}

async fn a_stopping_worker_releases_its_deliveries(app: TestApp) {
    let engine = ScriptedEngine::start(|_| None).await;
    let (app, worker) = at_work(&app, &engine.url(), &[]).await;
    let id = store(app.founder(), &reading("dev-1")).await;
    let delivery = send(&app, &id).await.expect(202).id();
    let leased = reaches(&app, &delivery, "leased").await;
    assert!(leased["lease"]["worker"].as_str().unwrap().starts_with("mass-"), "{leased}");
    worker.stopper().stop_now();
    worker.finish().await;
    let handed_back = reaches(&app, &delivery, "queued").await;
    assert_eq!((&handed_back["attempts"], &handed_back["lease"]), (&json!(0), &json!(null)));
    let sound = ReferenceEngine::sound();
    let (app, worker) = at_work(&app, &sound.url(), &[]).await;
    assert_eq!(reaches(&app, &delivery, "delivered").await["attempts"], 1);
    worker.finish().await;
}

async fn the_circuit_opens_for_an_unreachable_engine_and_closes_again(app: TestApp) {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (away, worker) = at_work(&app, &format!("http://{nobody}"), &[("--engine-concurrency", "16")]).await;
    for number in 0..10 {
        let id = store(away.founder(), &reading(&format!("dev-{number}"))).await;
        send(&away, &id).await.expect(202);
    }
    let queue = loop {
        let queue = away.get("/v1/admin/deliveries").await.expect(200).at("/queue");
        if queue["circuit"] == "open" {
            break queue;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(queue["depth"], 10);
    // New deliveries stay queued, although the worker keeps polling.
    let late = store(away.founder(), &reading("dev-late")).await;
    let late_delivery = send(&away, &late).await.expect(202);
    tokio::time::sleep(POLL + Duration::from_millis(200)).await;
    assert_eq!(
        (status(&away, &late).await.as_str(), delivery(&away, &late_delivery.id()).await),
        ("pending", late_delivery.json())
    );
    worker.finish().await;
    let failed = away.get("/v1/admin/deliveries").await.expect(200).at("/items");
    let codes = failed.as_array().unwrap().iter().filter_map(|item| item["failure"]["code"].as_str());
    assert!(codes.clone().count() > 0 && codes.clone().all(|code| code == "engine_unreachable"), "{failed}");
    app.execute("UPDATE delivery_queue SET due_at = '2026-01-01T00:00:00.000000Z'");
    let engine = ReferenceEngine::sound();
    let (app, worker) = at_work(&app, &engine.url(), &[]).await;
    for item in failed.as_array().unwrap() {
        reaches(&app, item["id"].as_str().unwrap(), "delivered").await;
    }
    worker.finish().await;
    assert_eq!(app.get("/v1/recommendations").await.expect(200).at("/items").as_array().unwrap().len(), 11);
}
