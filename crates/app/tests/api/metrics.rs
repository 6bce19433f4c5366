//! The content of `GET /metrics`.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use mass_domain::access::Role;
use serde_json::json;

use crate::savings;
use crate::support::TestApp;
use crate::support::documents::{Edit, reading, simple};
use crate::support::engines::{ReferenceEngine, ScriptedEngine, reply};
use crate::support::process::repository;

on_both!(
    requests_are_measured_by_route_pattern_not_by_path,
    refused_documents_are_counted_by_stage_and_contract,
    documents_of_a_batch_are_counted_one_by_one,
    commits_queues_and_pools_are_shown,
    calls_to_the_engine_are_counted_by_result,
    metrics_are_served_in_the_requested_format,
    runs_of_periodic_work_are_measured_by_task_and_outcome,
    operations_md_explains_exactly_the_metrics,
);

/// Returns the lines of a metric that have all these labels.
async fn lines(app: &TestApp, name: &str, labels: &[&str]) -> Vec<String> {
    let shown = app.get("/metrics").await.expect(200);
    let shown = String::from_utf8(shown.body).unwrap();
    let has_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    let has_labels = |line: &&str| labels.iter().all(|label| line.contains(label));
    shown.lines().filter(has_name).filter(has_labels).map(str::to_owned).collect()
}

/// Returns the value of the only line; 0 if there is none.
#[track_caller]
fn value(lines: &[String]) -> f64 {
    match lines {
        [] => 0.0,
        [line] => line.rsplit(' ').next().unwrap().parse().unwrap(),
        several => panic!("{several:?}"),
    }
}

async fn requests_are_measured_by_route_pattern_not_by_path(app: TestApp) {
    let id = app.post("/v1/mass-requests").json(&reading("dev-1")).await.expect(201).id();
    app.get(&format!("/v1/mass-requests/{id}")).await.expect(200);
    app.anonymous().get(&format!("/v1/mass-requests/{id}")).await.expect(401);
    app.anonymous().get("/no/such/secret-path").await.expect(404);
    app.anonymous().call("BREW".parse().unwrap(), "/v1/mass-requests").await.expect(405);

    let count = "http_server_request_duration_seconds_count";
    let route = "http_route=\"/v1/mass-requests/{id}\"";
    for (status, times) in [("200", 1.0), ("401", 1.0)] {
        let status = format!("http_response_status_code=\"{status}\"");
        let labels = [route, &status, "http_request_method=\"GET\"", "url_scheme=\"http\""];
        assert_eq!(value(&lines(&app, count, &labels).await), times, "{status}");
    }
    let unknown = lines(&app, count, &["status_code=\"404\""]).await;
    assert_eq!(value(&unknown), 1.0);
    assert!(!unknown[0].contains("http_route"), "{unknown:?}");
    assert_eq!(value(&lines(&app, count, &["http_request_method=\"_OTHER\""]).await), 1.0);
    let shown = String::from_utf8(app.get("/metrics").await.body).unwrap();
    for secret in [id.as_str(), "secret-path", "BREW", "tenant", "default", "otel_scope"] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
}

async fn refused_documents_are_counted_by_stage_and_contract(app: TestApp) {
    let stored = reading("dev-1");
    app.post("/v1/mass-requests").json(&stored).await.expect(201);
    let semantic = reading("dev-2").with("/metrics/humidity_percent", 140);
    app.post("/v1/mass-requests").json(&semantic).await.expect(422);
    app.post("/v1/mass-requests").json(&semantic).await.expect(422);
    app.post("/v1/mass-requests").json(&stored.with("/metrics/humidity_percent", 46)).await.expect(409);
    app.post("/v1/mass-requests").body("{").await.expect(400);
    app.post("/v1/mass-requests").json(&json!({"unheard": "of"})).await.expect(422);
    // A dry run counts no refusal.
    app.post("/v1/mass-requests/validate").json(&semantic).await.expect(200);

    let cases = [
        ("semantic", "device/1.1", 2.0),
        ("stored", "device/1.1", 1.0),
        ("syntax", "none", 1.0),
        ("structural", "none", 1.0),
        ("business", "device/1.1", 0.0),
    ];
    for (stage, contract, times) in cases {
        let labels = [&*format!("stage=\"{stage}\""), &*format!("contract=\"{contract}\"")];
        assert_eq!(value(&lines(&app, "mass_rejects_total", &labels).await), times, "{stage} {contract}");
    }
}

async fn documents_of_a_batch_are_counted_one_by_one(app: TestApp) {
    let stored = reading("dev-1");
    let documents = json!([
        stored.clone(),
        stored.with("/metrics/humidity_percent", 46),
        reading("dev-2").with("/metrics/humidity_percent", 140),
        simple(json!({"a": 1})),
    ]);
    app.post("/v1/mass-requests/batch").json(&documents).await.expect(200);
    app.post("/v1/mass-requests/batch?mode=atomic").json(&documents).await.expect(422);
    for (stage, times) in [("stored", 1.0), ("semantic", 2.0)] {
        let labels = [&*format!("stage=\"{stage}\""), "contract=\"device/1.1\""];
        assert_eq!(value(&lines(&app, "mass_rejects_total", &labels).await), times, "{stage}");
    }
}

async fn commits_queues_and_pools_are_shown(app: TestApp) {
    assert_eq!(value(&lines(&app, "mass_commit_batch_size_count", &[]).await), 0.0);
    app.post("/v1/mass-requests").json(&reading("dev-1")).await.expect(201);
    app.post("/v1/mass-requests").body("{").await.expect(400);
    assert_eq!(value(&lines(&app, "mass_commit_batch_size_count", &[]).await), 2.0);
    assert_eq!(value(&lines(&app, "mass_commit_batch_size_sum", &[]).await), 2.0);
    assert_eq!(value(&lines(&app, "mass_queue_depth", &["queue=\"commit\""]).await), 0.0);
    assert_eq!(lines(&app, "mass_queue_depth", &[]).await.len(), 1);
    app.get("/v1/sites").await.expect(200);
    for (pool, least) in [("read", 1.0), ("write", 1.0), ("analytics", 1.0), ("projection", 0.0), ("export", 0.0)] {
        let pool = format!("pool=\"{pool}\"");
        let mut open = 0.0;
        for state in ["used", "idle"] {
            let shown = lines(&app, "mass_db_pool_connections", &[&pool, &format!("state=\"{state}\"")]).await;
            assert_eq!(shown.len(), 1, "{shown:?}");
            open += value(&shown);
        }
        let limit = value(&lines(&app, "mass_db_pool_connections_limit", &[&pool]).await);
        assert!(open >= least && open <= limit, "{pool}: {open} of {limit}");
    }
}

/// Waits until the delivery of the device's request has ended.
async fn ends(app: &TestApp, device: &str, status: &str) {
    let path = format!("/v1/mass-requests?device_id={device}");
    while app.get(&path).await.expect(200).text("/items/0/status") != status {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn calls_to_the_engine_are_counted_by_result(app: TestApp) {
    let refusing = ScriptedEngine::start(|_| Some(reply("403 Forbidden", &[], "{}"))).await;
    let sound = ReferenceEngine::sound();
    for (engine, device, status, labels) in [
        (refusing.url(), "dev-1", "failed", ["outcome=\"dead\"", "failure=\"engine_refused\""]),
        (sound.url(), "dev-2", "done", ["outcome=\"delivered\"", "failure=\"none\""]),
    ] {
        let app = app.another_with(&[("--engine-url", &engine), ("--auto-send", "true")]).await;
        app.post("/v1/mass-requests").json(&reading(device)).await.expect(201);
        assert_eq!(value(&lines(&app, "mass_delivery_queue_depth", &["state=\"queued\""]).await), 1.0, "{device}");
        let worker = app.work();
        ends(&app, device, status).await;
        // The count follows the recording.
        worker.finish().await;
        assert_eq!(value(&lines(&app, "mass_deliveries_total", &labels).await), 1.0, "{device}");
        assert_eq!(lines(&app, "mass_deliveries_total", &[]).await.len(), 1, "{device}");
        for state in ["state=\"queued\"", "state=\"leased\""] {
            let shown = lines(&app, "mass_delivery_queue_depth", &[state]).await;
            assert_eq!((shown.len(), value(&shown)), (1, 0.0), "{device} {state}");
        }
    }
}

async fn metrics_are_served_in_the_requested_format(app: TestApp) {
    let monitoring = app.user(Role::PlatformAdmin).await;
    let accepted = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    for accepted in [accepted, "text/plain", "text/*", "*/*"] {
        let answer = monitoring.get("/metrics").header("accept", accepted).await.expect(200);
        assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    }
    for refused in ["application/json", "application/*", "text/html"] {
        monitoring.get("/metrics").header("accept", refused).await.expect_problem(406, "not-acceptable");
    }
}

/// Waits until a periodic task has run with this outcome.
async fn runs(app: &TestApp, task: &str, outcome: &str) {
    let labels = [format!("task=\"{task}\""), format!("outcome=\"{outcome}\"")];
    while lines(app, "mass_periodic_duration_seconds_count", &[&labels[0], &labels[1]]).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn runs_of_periodic_work_are_measured_by_task_and_outcome(app: TestApp) {
    let periodic = app.periodic();
    for task in ["checkpoints", "delivery_queue", "idempotency_keys", "quarantine", "rate_limits", "sessions"] {
        runs(&app, task, "succeeded").await;
    }
    periodic.finish().await;

    let app = app.another().await;
    app.execute("ALTER TABLE idempotency_keys RENAME TO gone");
    let periodic = app.periodic();
    runs(&app, "idempotency_keys", "failed").await;
    runs(&app, "sessions", "succeeded").await;
    periodic.finish().await;
}

async fn operations_md_explains_exactly_the_metrics(app: TestApp) {
    let engine = ReferenceEngine::sound();
    let (url, host) = (engine.url(), "127.0.0.1");
    let app =
        app.another_with(&[("--engine-url", &url), ("--auto-send", "true"), ("--webhook-private-hosts", host)]).await;
    app.post("/v1/mass-requests").json(&reading("dev-1")).await.expect(201);
    let worker = app.work();
    ends(&app, "dev-1", "done").await;
    worker.finish().await;
    app.post("/v1/mass-requests").body("{").await.expect(400);
    // Whatever the engine answers to it, it is an attempt.
    app.founder().put("/v1/webhooks/pager").json(&json!({"url": url})).await.expect(201);
    app.founder().post("/v1/webhooks/pager/test").await.expect(202);
    let project = app.post("/v1/savings/projects").json(&savings::whole("hall-2")).await.expect(201).id();
    app.post(&format!("/v1/savings/projects/{project}/reports")).await.expect(202);
    let rule = json!({"condition": {"kind": "access_granted"}});
    app.founder().put("/v1/alert-rules/granted").json(&rule).await.expect(201);
    let periodic = app.periodic();
    runs(&app, "rate_limits", "succeeded").await;
    for metric in [
        "mass_projection_points_total",
        "mass_projection_stopped",
        "mass_savings_report_duration_seconds_count",
        "mass_alert_changes_total",
        "mass_notifications_total",
    ] {
        while lines(&app, metric, &[]).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    periodic.finish().await;
    let shown = String::from_utf8(app.get("/metrics").await.expect(200).body).unwrap();
    let shown = shown.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let shown: BTreeSet<&str> = shown.filter(|name| *name != "target_info").collect();
    let page = fs::read_to_string(repository().join("docs/operations.md")).unwrap();
    let (_, section) = page.split_once("\n## Traces and metrics\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let explained = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(shown, explained.collect());
}

/// Rules and panels of metrics that there are not would be silent.
#[test]
fn alerts_and_the_dashboard_use_metrics_that_operations_md_explains() {
    let page = fs::read_to_string(repository().join("docs/operations.md")).unwrap();
    let explained: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    for file in ["deploy/prometheus/mass.rules.yaml", "deploy/grafana/mass.json"] {
        let text = fs::read_to_string(repository().join(file)).unwrap();
        let words = text.split(|character: char| !character.is_ascii_lowercase() && character != '_');
        let used: BTreeSet<&str> =
            words.filter(|word| word.starts_with("mass_") || word.starts_with("http_server_")).collect();
        assert!(used.len() > 5, "{file}: {used:?}");
        for name in used {
            let is_known = ["", "_bucket", "_count", "_sum"]
                .iter()
                .filter_map(|ending| name.strip_suffix(ending))
                .any(|name| explained.contains(name));
            assert!(is_known, "{file}: {name}");
        }
    }
}
