//! A database server that hangs or restarts: callers get an answer soon, and the service recovers at once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::support::PASSWORD;
use crate::support::documents::{reading, simple};
use crate::support::own_postgres::OwnPostgres;
use crate::support::process::{EMAIL, Server, Workplace};

/// The time within which each call must be answered, even on a slow machine.
const SOON: Duration = Duration::from_secs(60);

fn served_by(postgres: &OwnPostgres) -> Workplace {
    let workplace = Workplace::sqlite().with("DATABASE_URL", &postgres.url());
    workplace
        .with("MASS_ADDRESS_RATE_LIMIT_PER_MINUTE", "0")
        .with("MASS_RATE_LIMIT_PER_MINUTE", "0")
        .with("MASS_STREAMS_PER_CREDENTIAL", "1000")
        .with("MASS_STREAMS_PER_TENANT", "1000")
}

/// A few calls of every kind, with their names.
fn calls(server: &Server, token: &str) -> Vec<(&'static str, RequestBuilder)> {
    let credentials = json!({"email": EMAIL, "password": PASSWORD});
    let batch: Value = (0..3).map(|number| simple(json!({"number": number}))).collect();
    vec![
        ("ready", server.get("/ready")),
        ("read", server.get("/v1/mass-requests").bearer_auth(token)),
        ("write", server.post("/v1/mass-requests", &simple(json!({"number": 1}))).bearer_auth(token)),
        ("log in", server.post("/v1/auth/login", &credentials)),
        ("batch", server.post("/v1/mass-requests/batch", &batch).bearer_auth(token)),
        ("atomic", server.post("/v1/mass-requests/batch?mode=atomic", &batch).bearer_auth(token)),
    ]
}

/// Asserts that the answer reports an unavailable database; for a batch, each of its records.
async fn assert_unavailable(name: &str, answer: Response) {
    if name == "batch" && answer.status() == 200 {
        let text = answer.text().await.unwrap();
        assert!(text.contains("unavailable") && !text.contains("accepted\",\"id"), "{text}");
        return;
    }
    assert_eq!(answer.status(), 503, "{name}");
    assert!(answer.headers().contains_key("retry-after"), "{name}");
}

async fn until_ready(server: &Server) {
    while server.get("/ready").send().await.unwrap().status() != 200 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn assert_served(server: &Server, token: &str) {
    for device in 0..12 {
        let read = server.get("/v1/mass-requests").bearer_auth(token).send();
        let body = reading(&format!("dev-{device}"));
        let write = server.post("/v1/mass-requests", &body).bearer_auth(token).send();
        let (read, write) = tokio::join!(read, write);
        let statuses = (read.unwrap().status().as_u16(), write.unwrap().status().as_u16());
        assert!(statuses == (200, 201) || statuses == (200, 200), "{statuses:?}: {}", server.logged());
    }
}

#[tokio::test]
async fn a_hanging_database_fails_requests_soon() {
    let postgres = OwnPostgres::start();
    let workplace = served_by(&postgres).with("MASS_DATABASE_TIMEOUT_SECONDS", "2");
    let server = workplace.serve();
    let token = server.token().await;
    assert_served(&server, &token).await;

    postgres.freeze();
    // More calls than connections, and once more while all of these hang.
    for _ in 0..2 {
        let many = (0..15).flat_map(|_| calls(&server, &token));
        join_all(many.map(async |(name, call)| {
            let answer = call.timeout(SOON).send().await;
            assert_unavailable(name, answer.unwrap_or_else(|error| panic!("{name}: {error}"))).await;
        }))
        .await;
    }
    let ready = server.get("/ready").timeout(SOON).send().await.unwrap();
    assert_unavailable("ready", ready).await;
    assert_eq!(server.get("/health").send().await.unwrap().status(), 200);

    postgres.thaw();
    until_ready(&server).await;
    assert_served(&server, &token).await;
    server.stop();
    let verified = workplace.mass(&["audit", "verify", "--live"]);
    assert_eq!(verified.status, Some(0), "{verified:?}");
}

#[tokio::test]
async fn a_database_restart_fails_no_request() {
    let mut postgres = OwnPostgres::start();
    let workplace = served_by(&postgres);
    let server = workplace.serve();
    let token = server.token().await;
    // Opens many connections, which are idle afterwards.
    assert_answered(&server, &token).await;
    postgres.restart();
    assert_served(&server, &token).await;
    assert_answered(&server, &token).await;
}

#[tokio::test]
async fn what_is_acknowledged_survives_kills_of_the_database() {
    const KILLS: u32 = 8;
    let mut postgres = OwnPostgres::start();
    let workplace = served_by(&postgres);
    let server = workplace.serve();
    let token = server.token().await;
    let mut acknowledged = BTreeSet::new();
    for round in 0..KILLS {
        let stored = AtomicU32::new(0);
        let is_killed = AtomicBool::new(false);
        let clients = (0..16).map(|client| send_until_killed(&server, &token, (round, client), &stored, &is_killed));
        let clients = join_all(clients);
        let killer = async {
            // All clients have got into step with each other, so that they share commits.
            while stored.load(Ordering::Relaxed) < 100 + round {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            is_killed.store(true, Ordering::Relaxed);
            tokio::task::spawn_blocking(move || postgres.kill_and_restart()).await.unwrap()
        };
        let (told, restarted) = tokio::join!(clients, killer);
        postgres = restarted;
        acknowledged.extend(told.into_iter().flatten());
        until_ready(&server).await;
    }
    let listed: BTreeSet<_> = server.list(&token).await.iter().map(|request| request["id"].to_string()).collect();
    let lost: Vec<_> = acknowledged.difference(&listed).collect();
    assert!(acknowledged.len() > 100 * KILLS as usize && lost.is_empty(), "{} of {}", lost.len(), acknowledged.len());
    server.stop();
    let verified = workplace.mass(&["audit", "verify", "--live"]);
    assert_eq!(verified.status, Some(0), "{verified:?}");
}

/// Sends documents until the first answer after the kill. Returns the ids of the stored ones.
async fn send_until_killed(
    server: &Server,
    token: &str,
    (round, client): (u32, u32),
    stored: &AtomicU32,
    is_killed: &AtomicBool,
) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0.. {
        let body = reading(&format!("dev-{round}-{client}-{number}"));
        let answer = server.post("/v1/mass-requests", &body).bearer_auth(token).send().await.unwrap();
        match answer.status().as_u16() {
            201 => {
                let answer: Value = answer.json().await.unwrap();
                ids.push(answer["id"].to_string());
                stored.fetch_add(1, Ordering::Relaxed);
            }
            503 if is_killed.load(Ordering::Relaxed) => {}
            other => panic!("{other}: {}", server.logged()),
        }
        if is_killed.load(Ordering::Relaxed) {
            break;
        }
    }
    ids
}

/// Makes many concurrent calls; none may be refused.
async fn assert_answered(server: &Server, token: &str) {
    // Some of many concurrent log-ins as the same user are told to wait.
    let many = (0..8)
        .flat_map(|round| calls(server, token).into_iter().filter(move |(name, _)| round == 0 || *name != "log in"));
    join_all(many.map(async |(name, call)| {
        let status = call.send().await.unwrap().status();
        assert!(status.is_success(), "{name}: {status}: {}", server.logged());
    }))
    .await;
}
