//! The stream of security events.

use mass_domain::access::Role;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::documents::reading;
use crate::support::{FOUNDER, TestApp};

on_both!(
    security_events_are_read_onwards_without_a_gap,
    an_answer_without_events_waits_for_the_first_one,
    wrong_parameters_of_the_stream_are_named,
);

also_restricted!(security_events_are_read_onwards_without_a_gap);

const EVENTS: &str = "/v1/audit/security-events";

async fn read(client: &Client, query: &str) -> Vec<Value> {
    let answer = client.get(&format!("{EVENTS}{query}")).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    String::from_utf8(answer.body).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn last(events: &[Value]) -> i64 {
    events.last().unwrap()["sequence"].as_i64().unwrap()
}

async fn security_events_are_read_onwards_without_a_gap(app: TestApp) {
    let reader = app.user(Role::Auditor).await;
    let first = read(&reader, "").await;
    assert!(first.iter().any(|event| event["action"] == "tenant_created"), "{first:?}");
    let from = last(&first);
    // More than are read at a time, with telemetry between.
    let app = app.another_with(&[("--rate-limit-per-minute", "0")]).await;
    let reader = app.bearer(reader.token());
    for number in 0..260 {
        let key = json!({"name": format!("key {number}"), "permissions": ["mass:read"]});
        let id = app.post("/v1/admin/api-keys").json(&key).await.expect(201).id();
        if number % 50 == 0 {
            app.post("/v1/mass-requests").json(&reading(&number.to_string())).await.expect(201);
        }
        app.delete(&format!("/v1/admin/api-keys/{id}")).await.expect(204);
    }
    let wrong = json!({"email": FOUNDER, "password": "wrong wrong wrong"});
    app.anonymous().post("/v1/auth/login").json(&wrong).await.expect(401);
    let all = read(&reader, &format!("?after={from}")).await;
    let sequences: Vec<i64> = all.iter().map(|event| event["sequence"].as_i64().unwrap()).collect();
    assert!(sequences.is_sorted_by(|one, next| one < next) && sequences[0] > from);
    let count = |action: &str| all.iter().filter(|event| event["action"] == action).count();
    assert_eq!((count("api_key_created"), count("api_key_revoked"), count("accepted")), (260, 260, 0));
    let failed = all.last().unwrap();
    assert_eq!((&failed["action"], &failed["outcome"]), (&json!("logged_in"), &json!("refused")));
    // From anywhere in between, the rest is the same.
    let middle = sequences[400];
    assert_eq!(read(&reader, &format!("?after={middle}")).await, all[401..]);
    assert_eq!(read(&reader, &format!("?after={}", last(&all))).await, [] as [Value; 0]);
    app.user(Role::Operator).await.get(EVENTS).await.expect_problem(403, "forbidden");
}

async fn an_answer_without_events_waits_for_the_first_one(app: TestApp) {
    let events = read(app.founder(), "").await;
    let query = format!("?after={}&wait_seconds=30", last(&events));
    let later = async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let key = json!({"name": "key", "permissions": ["mass:read"]});
        app.post("/v1/admin/api-keys").json(&key).await.expect(201);
    };
    let (told, ()) = tokio::join!(read(app.founder(), &query), later);
    assert_eq!(told[0]["action"], "api_key_created");
    let query = format!("?after={}&wait_seconds=1", last(&told));
    assert_eq!(read(app.founder(), &query).await, [] as [Value; 0]);
}

async fn wrong_parameters_of_the_stream_are_named(app: TestApp) {
    for bad in ["after=-1", "after=x", "after=99999999999999999999", "wait_seconds=31", "wait_seconds=-1", "limit=1"] {
        app.get(&format!("{EVENTS}?{bad}")).await.expect_problem(422, "invalid-parameter");
    }
    assert_eq!(read(app.founder(), "?after=9223372036854775807").await, [] as [Value; 0]);
}
