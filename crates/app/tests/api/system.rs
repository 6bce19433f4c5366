//! Endpoints of the process itself, for operators, orchestrators and browsers.

use std::future::IntoFuture;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client::{Answer, Call, Client};
use crate::support::documents::reading;
use crate::support::operations::document;

on_both!(
    a_serving_process_is_live_and_ready,
    a_draining_process_is_live_but_not_ready,
    version_reports_the_running_build,
    every_answer_has_the_headers_that_protect_a_browser,
    answers_with_data_are_never_cached,
    the_document_of_the_api_is_served_to_anybody,
    pages_load_nothing_from_other_origins,
    a_trailing_slash_redirects_to_the_page,
    an_unknown_asset_is_not_found,
);

async fn a_serving_process_is_live_and_ready(app: TestApp) {
    assert_eq!(app.anonymous().get("/health").await.expect(200).json(), json!({"status": "ok"}));
    let ready = app.anonymous().get("/ready").await.expect(200).json();
    assert_eq!(ready, json!({"status": "ready", "checks": {"analytics": "ok", "database": "ok"}}));
}

async fn a_draining_process_is_live_but_not_ready(app: TestApp) {
    app.drain();
    assert_not_ready(&app.anonymous().get("/ready").await, "process");
    app.get("/health").await.expect(200);
    app.post("/v1/mass-requests").json(&reading("dev-1")).await.expect(201);
}

fn assert_not_ready(answer: &Answer, check: &str) {
    let answer = answer.clone().expect_problem(503, "unavailable");
    assert_eq!(answer.at("/checks"), json!({check: "failed"}));
    assert_retry_after(&answer);
}

fn assert_retry_after(answer: &Answer) {
    assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
}

#[tokio::test]
async fn without_its_database_a_process_is_live_but_not_ready() {
    let app = TestApp::postgres().await;
    app.database().close();
    let create = app.post("/v1/mass-requests").json(&reading("dev-1"));
    let login = json!({"email": "a@example.test", "password": "x"});
    let login = app.anonymous().post("/v1/auth/login").json(&login);
    let (health, ready) = (app.get("/health"), app.get("/ready"));
    let [health, ready, create, login] =
        join_all([health, ready, create, login].map(IntoFuture::into_future)).await.try_into().unwrap();
    health.expect(200);
    assert_not_ready(&ready, "database");
    assert_retry_after(&create.expect_problem(503, "unavailable"));
    assert_retry_after(&login.expect_problem(503, "unavailable"));
    app.database().open();
    once_served(|| app.get("/ready")).await.expect(200);
    once_served(|| app.post("/v1/mass-requests").json(&reading("dev-1"))).await.expect(201);
}

/// Returns the first answer other than 503: each broken connection is noticed once.
async fn once_served(call: impl Fn() -> Call) -> Answer {
    for _ in 0..10 {
        let answer = call().await;
        if answer.status != 503 {
            return answer;
        }
    }
    panic!("the database is there again, but not used");
}

async fn version_reports_the_running_build(app: TestApp) {
    let version = app.anonymous().get("/version").await.expect(200);
    assert_eq!(version.text("/version"), env!("CARGO_PKG_VERSION"));
    assert!(!version.text("/commit").is_empty());
    chrono::DateTime::parse_from_rfc3339(&version.text("/built_at")).unwrap();
}

/// Answers of several kinds.
async fn answers(client: &Client) -> Vec<Answer> {
    let mut answers = Vec::new();
    for path in ["/health", "/openapi.json", "/docs", "/docs/init.js", "/nothing", "/v1/nothing", "/v1/auth/me"] {
        answers.push(client.get(path).await);
    }
    answers.push(client.delete("/health").await);
    answers.push(client.post("/v1/mass-requests").body("{").await);
    answers
}

async fn every_answer_has_the_headers_that_protect_a_browser(app: TestApp) {
    for client in [app.founder(), &app.anonymous()] {
        for answer in answers(client).await {
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{answer:?}");
            assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{answer:?}");
            let policy: Vec<_> = answer.header("content-security-policy").unwrap().split("; ").collect();
            for directive in ["default-src", "base-uri", "form-action", "frame-ancestors"] {
                assert!(policy.contains(&format!("{directive} 'none'").as_str()), "{directive}: {answer:?}");
            }
        }
    }
}

async fn answers_with_data_are_never_cached(app: TestApp) {
    for path in ["/v1/auth/me", "/v1/mass-requests", "/v1/contracts", "/v1/mass-requests/1", "/v1/nothing"] {
        assert_eq!(app.get(path).await.header("cache-control"), Some("no-store"), "{path}");
    }
}

async fn the_document_of_the_api_is_served_to_anybody(app: TestApp) {
    let answer = app.anonymous().get("/openapi.json").await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.at("/openapi"), "3.1.0");
    let printed: Value = serde_json::from_str(&document()).unwrap();
    assert_eq!(answer.json(), printed);
}

async fn pages_load_nothing_from_other_origins(app: TestApp) {
    for (path, kind) in [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/init.js", "text/javascript; charset=utf-8"),
        ("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("/docs/swagger-ui.css", "text/css; charset=utf-8"),
        ("/docs/favicon-32x32.png", "image/png"),
    ] {
        let page = app.anonymous().get(path).header("Accept", "text/html").await.expect(200);
        assert_eq!(page.header("content-type"), Some(kind));
        assert!(!page.body.is_empty());
        let policy = page.header("content-security-policy").unwrap();
        for directive in ["script-src 'self';", "connect-src 'self';", "base-uri 'none'", "form-action 'none'"] {
            assert!(policy.contains(directive), "{policy}");
        }
    }
}

async fn a_trailing_slash_redirects_to_the_page(app: TestApp) {
    let answer = app.anonymous().get("/docs/").header("Accept", "text/html").await.expect(308);
    assert_eq!(answer.header("location"), Some("../docs"));
    app.anonymous().head("/docs/").await.expect(308);
}

async fn an_unknown_asset_is_not_found(app: TestApp) {
    for path in ["/docs/nothing.js", "/docs/index.html.bak", "/docs/..%2f..%2fCargo.toml", "/docs/a/b"] {
        app.anonymous().get(path).await.expect_problem(404, "not-found");
    }
}
