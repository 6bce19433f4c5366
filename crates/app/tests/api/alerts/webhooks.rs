//! Webhooks from outside: what they are told, signed and tried again.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mass_domain::access::Role;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{ALERTS, alerts, measure, on, seconds_ago, set};
use crate::support::client::Client;
use crate::support::documents::Edit;
use crate::support::engines::{Heard, ScriptedEngine, reply};
use crate::support::process::repository;
use crate::support::{OTHER_TENANT, TestApp, program_of_the_system};

on_both!(
    a_webhook_is_told_of_an_alert_and_of_its_end,
    a_secret_is_shown_once_and_rotated_with_an_overlap,
    a_notification_is_sent_again_until_it_is_taken,
    a_dead_letter_is_replayed,
    an_open_alert_is_told_of_again_until_it_is_acknowledged,
    the_end_of_a_rule_is_told,
    a_webhook_that_is_gone_or_disabled_is_told_nothing,
    webhooks_lead_nowhere_private,
    a_rule_names_webhooks_that_there_are,
    a_tenant_has_a_bounded_number_of_webhooks,
    changes_of_webhooks_are_audited_without_their_urls,
    webhooks_can_be_switched_off,
    a_server_tells_webhooks_by_itself,
    an_answer_of_any_size_is_not_read,
    each_tenant_has_its_own_webhooks,
    the_documented_receiver_takes_what_is_signed_and_nothing_else,
);

also_restricted!(
    a_webhook_is_told_of_an_alert_and_of_its_end,
    a_secret_is_shown_once_and_rotated_with_an_overlap,
    a_dead_letter_is_replayed,
    each_tenant_has_its_own_webhooks,
);

const WEBHOOKS: &str = "/v1/webhooks";
const NOTIFICATIONS: &str = "/v1/notifications";

fn webhook(name: &str) -> String {
    format!("{WEBHOOKS}/{name}")
}

/// The same server, which may call this machine.
async fn calling(app: &TestApp) -> TestApp {
    app.another_with(&[("--webhook-private-hosts", "127.0.0.1")]).await
}

async fn receiver(script: impl Fn(&Heard) -> Option<Vec<u8>> + Send + Sync + 'static) -> ScriptedEngine {
    ScriptedEngine::start(script).await
}

fn taken(_: &Heard) -> Option<Vec<u8>> {
    Some(reply("204 No Content", &[], ""))
}

/// Stores a webhook; returns its secret.
async fn keep(client: &Client, name: &str, url: &str) -> String {
    client.put(&webhook(name)).json(&json!({"url": url})).await.expect(201).text("/secret")
}

/// A rule on silent devices that tells the webhook `pager`, and a silent device.
async fn silence(app: &TestApp) -> Value {
    measure(app, "quiet", 20.0, seconds_ago(7200)).await;
    let terms = on(json!({"kind": "device_silent", "after_seconds": 3600})).with("/webhooks", json!(["pager"]));
    set(app.founder(), "silent", &terms).await;
    app.evaluate().await;
    terms
}

async fn notifications(client: &Client, state: &str) -> Vec<Value> {
    let found = client.get(&format!("{NOTIFICATIONS}?state={state}")).await.expect(200);
    found.at("/items").as_array().unwrap().clone()
}

/// The signature of a call under a secret (HMAC, RFC 2104; Standard Webhooks).
fn signature(heard: &Heard, secret: &str) -> String {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let pad = |byte: u8| {
        let mut block = [byte; 64];
        block.iter_mut().zip(&key).for_each(|(pad, key)| *pad ^= key);
        block
    };
    let (id, timestamp) = (heard.header("webhook-id").unwrap(), heard.header("webhook-timestamp").unwrap());
    let signed = format!("{id}.{timestamp}.{}", heard.body);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(signed).finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    format!("v1,{}", STANDARD.encode(outer))
}

async fn a_webhook_is_told_of_an_alert_and_of_its_end(app: TestApp) {
    let (app, receiver) = (calling(&app).await, receiver(taken).await);
    let secret = keep(app.founder(), "pager", &format!("{}/hooks?token=t", receiver.url())).await;
    silence(&app).await;
    app.notify().await;
    let told = receiver.heard();
    assert_eq!(told.len(), 1);
    assert!(told[0].head.starts_with("POST /hooks?token=t HTTP/1.1\r\n"), "{}", told[0].head);
    assert_eq!(told[0].header("content-type"), Some("application/json"));
    assert_eq!(told[0].header("webhook-signature"), Some(signature(&told[0], &secret).as_str()));
    assert_eq!(told[0].body["type"], "alert.opened");
    // What it is told is what the list shows.
    let mut data = told[0].body["data"].clone();
    assert_eq!(data.as_object_mut().unwrap().remove("tenant_id"), Some(json!("default")));
    assert_eq!(data, alerts(app.founder(), "silent", "open").await[0]);
    // It is told once, however often the rule is evaluated.
    app.evaluate().await;
    app.notify().await;
    assert_eq!(receiver.heard().len(), 1);
    measure(&app, "quiet", 20.0, seconds_ago(1)).await;
    app.evaluate().await;
    app.notify().await;
    let told = receiver.heard();
    assert_eq!((told.len(), &told[1].body["type"]), (2, &json!("alert.resolved")));
    assert_eq!(told[1].body["data"]["resolution"], "cleared");
    assert_ne!(told[0].header("webhook-id"), told[1].header("webhook-id"));
    let delivered = notifications(app.founder(), "delivered").await;
    assert_eq!(delivered.len(), 2);
    assert_eq!(delivered[1]["id"].as_str(), told[0].header("webhook-id"));
}

async fn a_secret_is_shown_once_and_rotated_with_an_overlap(app: TestApp) {
    let (app, receiver) = (calling(&app).await, receiver(taken).await);
    let terms = json!({"url": receiver.url()});
    let created = app.founder().put(&webhook("pager")).json(&terms).await.expect(201);
    let first = created.text("/secret");
    let again = app.founder().put(&webhook("pager")).json(&terms).await.expect(200);
    for shown in [again.json(), app.get(&webhook("pager")).await.expect(200).json()] {
        assert_eq!(shown.get("secret"), None);
    }
    let try_it = || async {
        app.post(&format!("{}/test", webhook("pager"))).await.expect(202);
        app.notify().await;
        receiver.heard().pop().unwrap()
    };
    let told = try_it().await;
    assert_eq!(
        (&told.body["type"], told.header("webhook-signature")),
        (&json!("webhook.test"), Some(signature(&told, &first).as_str()))
    );
    let rotated = app.post(&format!("{}/secret", webhook("pager"))).await.expect(200);
    let second = rotated.text("/secret");
    assert!(second != first && rotated.at("/previous_secret_until").is_string());
    let told = try_it().await;
    let both = format!("{} {}", signature(&told, &second), signature(&told, &first));
    assert_eq!(told.header("webhook-signature"), Some(both.as_str()));
    // The overlap ends.
    app.execute("UPDATE webhooks SET previous_until = '2026-01-01T00:00:00.000000Z'");
    let told = try_it().await;
    assert_eq!(told.header("webhook-signature"), Some(signature(&told, &second).as_str()));
    // The database has neither secret.
    let stored = app.database().lines("SELECT name || url || key_id AS line FROM webhooks");
    assert!(!stored.concat().contains(second.trim_start_matches("whsec_")), "{stored:?}");
    // Under another SECRET_KEY nothing is sent with a signature that nobody knows.
    let other = app
        .another_with(&[
            ("--secret-key", "another key of at least thirty-two bytes"),
            ("--webhook-private-hosts", "127.0.0.1"),
        ])
        .await;
    other.post(&format!("{}/test", webhook("pager"))).await.expect(202);
    let before = receiver.heard().len();
    other.notify().await;
    assert_eq!(receiver.heard().len(), before);
    let dead = notifications(other.founder(), "dead").await;
    assert!(dead[0]["failure"].as_str().unwrap().contains("SECRET_KEY"), "{dead:?}");
}

async fn a_notification_is_sent_again_until_it_is_taken(app: TestApp) {
    let app = calling(&app).await;
    let calls = AtomicUsize::new(0);
    let receiver = receiver(move |_| {
        let status =
            ["500 Internal Server Error", "302 Found", "404 Not Found"].get(calls.fetch_add(1, Ordering::Relaxed));
        Some(reply(status.unwrap_or(&"200 OK"), &["Location: /elsewhere"], "{}"))
    })
    .await;
    keep(app.founder(), "pager", &receiver.url()).await;
    silence(&app).await;
    for (attempt, failure) in [(1, "status 500"), (2, "status 302"), (3, "status 404")] {
        app.notify().await;
        let queued = notifications(app.founder(), "queued").await;
        assert_eq!((queued.len(), &queued[0]["attempts"]), (1, &json!(attempt)));
        assert!(queued[0]["failure"].as_str().unwrap().contains(failure), "{queued:?}");
    }
    app.notify().await;
    let delivered = notifications(app.founder(), "delivered").await;
    assert_eq!((&delivered[0]["attempts"], &delivered[0]["failure"]), (&json!(4), &Value::Null));
    let heard = receiver.heard();
    let ids: Vec<_> = heard.iter().map(|heard| heard.header("webhook-id")).collect();
    assert!(ids.len() == 4 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert!(heard.iter().all(|heard| heard.head.starts_with("POST / ")), "no redirect is followed");
}

async fn a_dead_letter_is_replayed(app: TestApp) {
    let app = calling(&app).await;
    let calls = AtomicUsize::new(0);
    let receiver = receiver(move |_| {
        let status = if calls.fetch_add(1, Ordering::Relaxed) == 0 { "410 Gone" } else { "200 OK" };
        Some(reply(status, &[], ""))
    })
    .await;
    keep(app.founder(), "pager", &receiver.url()).await;
    silence(&app).await;
    let queued = notifications(app.founder(), "queued").await;
    let replay = format!("{NOTIFICATIONS}/{}/replay", queued[0]["id"].as_str().unwrap());
    app.post(&replay).await.expect_problem(409, "notification-not-dead");
    app.notify().await;
    let dead = notifications(app.founder(), "dead").await;
    assert_eq!((dead.len(), &dead[0]["attempts"]), (1, &json!(1)), "410 is final");
    let again = app.post(&replay).await.expect(200);
    assert_eq!(
        (again.text("/state"), again.at("/attempts"), again.at("/failure")),
        ("queued".to_owned(), json!(0), Value::Null)
    );
    app.notify().await;
    assert_eq!(notifications(app.founder(), "delivered").await.len(), 1);
    app.post(&format!("{NOTIFICATIONS}/0199d3a0-0000-7000-8000-000000000001/replay"))
        .await
        .expect_problem(404, "not-found");
    // The last of all attempts fails.
    let silent = receiver_that_refuses().await;
    let terms = json!({"url": silent.url()});
    app.founder().put(&webhook("pager")).json(&terms).await.expect(200);
    app.post(&format!("{}/test", webhook("pager"))).await.expect(202);
    app.execute("UPDATE notifications SET attempts = 19 WHERE state = 'queued'");
    app.notify().await;
    let dead = notifications(app.founder(), "dead").await;
    assert_eq!((dead.len(), &dead[0]["attempts"]), (1, &json!(20)));
}

async fn receiver_that_refuses() -> ScriptedEngine {
    receiver(|_| Some(reply("503 Service Unavailable", &[], ""))).await
}

async fn an_open_alert_is_told_of_again_until_it_is_acknowledged(app: TestApp) {
    let (app, receiver) = (calling(&app).await, receiver(taken).await);
    keep(app.founder(), "pager", &receiver.url()).await;
    let terms = silence(&app).await.with("/repeat_seconds", 300);
    app.founder().put("/v1/alert-rules/silent").json(&terms).await.expect(200);
    let repeat = || async {
        app.execute("UPDATE alerts SET notified_at = '2026-01-01T00:00:00.000000Z'");
        app.evaluate().await;
        app.notify().await;
        receiver.heard().iter().map(|heard| heard.body["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    app.evaluate().await;
    app.notify().await;
    assert_eq!(receiver.heard().len(), 1, "not before the time has passed");
    assert_eq!(repeat().await, ["alert.opened", "alert.reminded"]);
    let id = alerts(app.founder(), "silent", "open").await[0]["id"].as_str().unwrap().to_owned();
    app.post(&format!("{ALERTS}/{id}/acknowledge")).json(&json!({})).await.expect(200);
    assert_eq!(repeat().await, ["alert.opened", "alert.reminded"]);
}

async fn the_end_of_a_rule_is_told(app: TestApp) {
    let (app, receiver) = (calling(&app).await, receiver(taken).await);
    keep(app.founder(), "pager", &receiver.url()).await;
    silence(&app).await;
    app.delete("/v1/alert-rules/silent").await.expect(204);
    app.notify().await;
    let told: Vec<_> = receiver.heard().iter().map(|heard| heard.body["data"]["resolution"].clone()).collect();
    assert_eq!(told, [Value::Null, json!("rule_deleted")]);
}

async fn a_webhook_that_is_gone_or_disabled_is_told_nothing(app: TestApp) {
    let (app, receiver) = (calling(&app).await, receiver(taken).await);
    keep(app.founder(), "pager", &receiver.url()).await;
    silence(&app).await;
    app.delete(&webhook("pager")).await.expect(204);
    app.get(&webhook("pager")).await.expect_problem(404, "not-found");
    app.notify().await;
    let dead = notifications(app.founder(), "dead").await;
    assert_eq!((dead.len(), &dead[0]["failure"]), (1, &json!("The webhook was deleted.")));
    let disabled = json!({"url": receiver.url(), "enabled": false});
    app.founder().put(&webhook("pager")).json(&disabled).await.expect(201);
    measure(&app, "quiet", 20.0, seconds_ago(1)).await;
    app.evaluate().await;
    app.notify().await;
    assert_eq!(notifications(app.founder(), "queued").await.len(), 0);
    assert_eq!(receiver.heard().len(), 0);
}

async fn webhooks_lead_nowhere_private(app: TestApp) {
    for url in [
        "http://127.0.0.1:1/",
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://169.254.169.254/",
        "http://hooks.example/",
        "x",
        "https://a b/",
    ] {
        let refused = app.founder().put(&webhook("pager")).json(&json!({"url": url})).await;
        refused.expect_violations("contract-violation", &["/url rule"]);
    }
    // A name that leads to this machine is refused when it is resolved.
    keep(app.founder(), "pager", "https://localhost:1/").await;
    app.post(&format!("{}/test", webhook("pager"))).await.expect(202);
    app.notify().await;
    let queued = notifications(app.founder(), "queued").await;
    assert!(queued[0]["failure"].as_str().unwrap().contains("private"), "{queued:?}");
    // What the operator allowed once is not called after it is allowed no longer.
    let (before, receiver) = (calling(&app).await, receiver(taken).await);
    before.founder().put(&webhook("pager")).json(&json!({"url": receiver.url()})).await.expect(200);
    app.notify().await;
    assert_eq!(receiver.heard().len(), 0);
    assert_eq!(notifications(app.founder(), "dead").await[0]["failure"], "The webhook's URL must not be called.");
}

async fn a_rule_names_webhooks_that_there_are(app: TestApp) {
    let app = calling(&app).await;
    keep(app.founder(), "pager", "https://hooks.example/").await;
    let terms = on(json!({"kind": "dead_letters"})).with("/webhooks", json!(["pager", "mail"]));
    let refused = app.founder().put("/v1/alert-rules/dead").json(&terms).await;
    refused.expect_violations("contract-violation", &["/webhooks/1 rule"]);
    let terms = terms.with("/webhooks", json!(["pager", "pager"]));
    app.founder().put("/v1/alert-rules/dead").json(&terms).await.expect_problem(422, "contract-violation");
    set(app.founder(), "dead", &terms.with("/webhooks", json!(["pager"]))).await;
}

async fn a_tenant_has_a_bounded_number_of_webhooks(app: TestApp) {
    for number in 0..10 {
        keep(app.founder(), &number.to_string(), "https://hooks.example/").await;
    }
    let terms = json!({"url": "https://hooks.example/"});
    let refused = app.founder().put(&webhook("more")).json(&terms).await.expect_problem(409, "too-many-webhooks");
    assert_eq!(refused.at("/limit"), json!(10));
    let listed = app.get(WEBHOOKS).await.expect(200);
    assert_eq!(listed.at("/items").as_array().unwrap().len(), 10);
    let tag = format!("\"{}\"", listed.text("/items/0/digest"));
    let stale = app.founder().put(&webhook("0")).header("If-Match", "\"sha256:x\"").json(&terms).await;
    stale.expect_problem(412, "precondition-failed");
    app.delete(&webhook("0")).header("If-Match", &tag).await.expect(204);
}

async fn changes_of_webhooks_are_audited_without_their_urls(app: TestApp) {
    keep(app.founder(), "pager", "https://hooks.example/secret-in-the-path").await;
    app.post(&format!("{}/secret", webhook("pager"))).await.expect(200);
    app.post(&format!("{}/test", webhook("pager"))).await.expect(202);
    app.delete(&webhook("pager")).await.expect(204);
    let events = app.get("/v1/audit/events?object_kind=webhook&object_id=pager").await.expect(200);
    let told = events.at("/items");
    let actions: Vec<&str> = told.as_array().unwrap().iter().rev().map(|it| it["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["webhook_set", "webhook_secret_rotated", "webhook_tested", "webhook_deleted"]);
    assert!(!told.to_string().contains("secret-in-the-path"));
}

async fn webhooks_can_be_switched_off(app: TestApp) {
    keep(app.founder(), "pager", "https://hooks.example/").await;
    let off = app.another_with(&[("--webhooks", "false")]).await;
    off.post(&format!("{}/test", webhook("pager"))).await.expect_problem(409, "webhooks-off");
    let operator = app.user(Role::Operator).await;
    operator.get(WEBHOOKS).await.expect_problem(403, "forbidden");
}

async fn a_server_tells_webhooks_by_itself(app: TestApp) {
    let (app, receiver) = (calling(&app).await, receiver(taken).await);
    keep(app.founder(), "pager", &receiver.url()).await;
    let periodic = app.periodic();
    silence(&app).await;
    while receiver.heard().is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while notifications(app.founder(), "delivered").await.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    periodic.finish().await;
    let shown = String::from_utf8(app.get("/metrics").await.expect(200).body).unwrap();
    assert!(shown.contains("mass_notifications_total{outcome=\"delivered\""), "{shown}");
}

async fn an_answer_of_any_size_is_not_read(app: TestApp) {
    let app = calling(&app).await;
    // It announces more than it sends: who reads it waits for the rest.
    let receiver = receiver(|_| {
        Some(format!("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{}", "x".repeat(1 << 20)).into())
    });
    let receiver = receiver.await;
    keep(app.founder(), "pager", &receiver.url()).await;
    app.post(&format!("{}/test", webhook("pager"))).await.expect(202);
    app.notify().await;
    assert_eq!(notifications(app.founder(), "delivered").await.len(), 1);
}

mod processes {
    use serde_json::{Value, json};

    use crate::support::process::{Workplace, workplaces_on_both};

    workplaces_on_both! {
        a_url_of_a_webhook_is_not_logged,
    }

    async fn a_url_of_a_webhook_is_not_logged(workplace: Workplace) {
        let workplace = workplace.with("MASS_LOG", "debug");
        let server = workplace.serve();
        let token = server.token().await;
        let terms = json!({"url": "https://localhost:1/hooks?token=of-the-receiver"});
        let stored = server.put("/v1/webhooks/pager", &terms).bearer_auth(&token).send().await.unwrap();
        assert_eq!(stored.status(), 201);
        let tried = server.post("/v1/webhooks/pager/test", &Value::Null).bearer_auth(&token).send().await.unwrap();
        assert_eq!(tried.status(), 202);
        server.logs("a webhook did not answer").await;
        let fetch = || server.fetch(&token, "/v1/notifications");
        let mut found = fetch().await;
        while found["items"][0]["failure"].is_null() {
            found = fetch().await;
        }
        assert!(found["items"][0]["failure"].as_str().unwrap().contains("private"), "{found}");
        for shown in [server.logged(), found.to_string()] {
            assert!(!shown.contains("of-the-receiver"), "{shown}");
        }
    }
}

async fn each_tenant_has_its_own_webhooks(app: TestApp) {
    let (app, receiver) = (calling(&app).await, receiver(taken).await);
    let first = keep(app.founder(), "pager", &receiver.url()).await;
    let foreigner = app.foreigner(Role::Admin).await;
    assert_eq!(foreigner.get(WEBHOOKS).await.expect(200).at("/items"), json!([]));
    let second = keep(&foreigner, "pager", &receiver.url()).await;
    assert_ne!(first, second);
    foreigner.post(&format!("{}/test", webhook("pager"))).await.expect(202);
    app.notify().await;
    let told = receiver.heard();
    assert_eq!((told.len(), &told[0].body["data"]["tenant_id"]), (1, &json!(OTHER_TENANT)));
    assert_eq!(notifications(app.founder(), "delivered").await.len(), 0);
    let id = notifications(&foreigner, "delivered").await[0]["id"].as_str().unwrap().to_owned();
    app.post(&format!("{NOTIFICATIONS}/{id}/replay")).await.expect_problem(404, "not-found");
    foreigner.delete(&webhook("pager")).await.expect(204);
    app.get(&webhook("pager")).await.expect(200);
}

/// The receiver of docs/alerts.md, ended when it is dropped.
struct DocumentedReceiver {
    process: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    port: u16,
}

impl DocumentedReceiver {
    fn start(secret: &str) -> Self {
        let mut python = Command::new(program_of_the_system("python3", "python3"));
        python.arg(repository().join("docs/examples/webhook-receiver.py")).arg("0");
        let mut process = python.env("MASS_WEBHOOK_SECRET", secret).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let announcement = lines.next().unwrap().unwrap();
        let port = announcement.rsplit(' ').next().unwrap().parse().unwrap();
        Self { process, lines, port }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}

impl Drop for DocumentedReceiver {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

async fn the_documented_receiver_takes_what_is_signed_and_nothing_else(app: TestApp) {
    let app = calling(&app).await;
    let secret = keep(app.founder(), "pager", "https://hooks.example/").await;
    let mut receiver = DocumentedReceiver::start(&secret);
    app.founder().put(&webhook("pager")).json(&json!({"url": receiver.url()})).await.expect(200);
    let test = || app.post(&format!("{}/test", webhook("pager")));
    test().await.expect(202);
    app.notify().await;
    let told: Value = serde_json::from_str(&receiver.lines.next().unwrap().unwrap()).unwrap();
    assert_eq!((&told["type"], &told["data"]["tenant_id"]), (&json!("webhook.test"), &json!("default")));
    assert_eq!(notifications(app.founder(), "delivered").await.len(), 1);
    // It knows the first secret, which signs beside the second one for a day, and then no longer.
    app.post(&format!("{}/secret", webhook("pager"))).await.expect(200);
    test().await.expect(202);
    app.notify().await;
    assert_eq!(notifications(app.founder(), "delivered").await.len(), 2);
    app.execute("UPDATE webhooks SET previous_until = '2026-01-01T00:00:00.000000Z'");
    test().await.expect(202);
    app.notify().await;
    let queued = notifications(app.founder(), "queued").await;
    assert!(queued[0]["failure"].as_str().unwrap().contains("400"), "{queued:?}");
}
