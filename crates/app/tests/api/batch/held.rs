//! Limits on concurrent batches and exports per caller and per tenant.

use std::time::Duration;

use mass_domain::access::Role;
use serde_json::json;

use super::streaming::{Receiving, Sending, apart};
use super::{counts, readings, send_ndjson};
use crate::support::TestApp;
use crate::support::client::{Answer, Client};

on_both!(streams_beyond_the_limits_are_refused_by_name, slow_atomic_batches_of_one_tenant_keep_no_other_from_its_own,);

const EXPORT: &str = "/v1/audit/export";

/// Begins batches that send one record and then pause.
async fn hold(app: &TestApp, caller: &Client, query: &'static str, batches: usize) -> Vec<(Sending, Receiving)> {
    let (address, token) = (app.address().to_string(), caller.token().to_owned());
    apart(move || {
        let begin = |number: usize| {
            let (mut sending, mut receiving) = Sending::begin_with(&address, &token, query, "identity");
            sending.send(&readings(number + 1)[number..]);
            if query.is_empty() {
                assert!(receiving.next().unwrap()["id"].is_string());
            }
            (sending, receiving)
        };
        (0..batches).map(begin).collect()
    })
    .await
}

#[track_caller]
fn assert_refused(answer: Answer, scope: &str, limit: u64, setting: &str) {
    let answer = answer.expect_problem(429, "too-many-streams");
    assert_eq!((answer.text("/scope"), answer.at("/limit")), (scope.to_owned(), json!(limit)));
    assert_eq!(answer.header("retry-after"), Some("5"));
    let detail = format!("This {scope} has {limit} batches and exports under way, its most ({setting}).");
    assert_eq!(answer.text("/detail"), detail);
}

async fn streams_beyond_the_limits_are_refused_by_name(app: TestApp) {
    let app = app.another_with(&[("--streams-per-credential", "2"), ("--streams-per-tenant", "3")]).await;
    let key = json!({"name": "gateway", "permissions": ["mass:read", "mass:write", "audit:read"]});
    let caller = app.bearer(&app.post("/v1/admin/api-keys").json(&key).await.expect(201).text("/token"));
    let held = hold(&app, &caller, "", 2).await;
    for query in ["", "?mode=atomic"] {
        let refused = send_ndjson(&caller, query, &readings(1)).await;
        assert_refused(refused, "credential", 2, "MASS_STREAMS_PER_CREDENTIAL");
    }
    assert_refused(caller.get(EXPORT).await, "credential", 2, "MASS_STREAMS_PER_CREDENTIAL");
    let other = hold(&app, app.founder(), "", 1).await;
    assert_refused(app.get(EXPORT).await, "tenant", 3, "MASS_STREAMS_PER_TENANT");
    app.foreigner(Role::Admin).await.get(EXPORT).await.expect(200);
    caller.get("/v1/mass-requests").await.expect(200);
    drop((held, other));
    // The server notices the end of a connection a little later.
    while caller.get(EXPORT).await.status != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn slow_atomic_batches_of_one_tenant_keep_no_other_from_its_own(app: TestApp) {
    let foreigner = app.foreigner(Role::Operator).await;
    let _held = hold(&app, app.founder(), "?mode=atomic", 8).await;
    let answer = send_ndjson(&foreigner, "?mode=atomic", &readings(3)).await.expect(201);
    assert_eq!(counts(&super::lines_of(&answer.body).1), json!({"read": 3, "accepted": 3}));
}
