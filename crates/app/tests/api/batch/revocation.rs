//! Batches under way whose caller loses what opened the door.

use mass_domain::access::Role;
use serde_json::{Value, json};

use super::streaming::{Receiving, Sending, apart};
use super::{counts, outcomes, readings};
use crate::support::client::Client;
use crate::support::{PASSWORD, TestApp};

on_both!(
    a_revoked_key_ends_a_batch_under_way,
    a_disabled_user_ends_a_batch_under_way,
    a_logout_ends_a_batch_under_way,
    a_changed_password_ends_a_batch_under_way,
    a_role_that_is_taken_away_ends_a_batch_under_way,
    what_changes_at_other_credentials_costs_a_batch_nothing,
);

also_restricted!(a_revoked_key_ends_a_batch_under_way);

const ME: &str = "/v1/auth/me";
const KEYS: &str = "/v1/admin/api-keys";

/// Sends a record and waits until it is stored.
async fn begin(app: &TestApp, caller: &Client) -> (Sending, Receiving) {
    let (address, token) = (app.address().to_string(), caller.token().to_owned());
    apart(move || {
        let (mut sending, mut receiving) = Sending::begin(&address, &token);
        sending.send(&readings(1));
        assert_eq!(receiving.next().unwrap()["outcome"], "accepted");
        (sending, receiving)
    })
    .await
}

/// Sends two more records and the end: the lines of all that follow, the last one apart.
async fn go_on((mut sending, mut receiving): (Sending, Receiving)) -> (Vec<Value>, Value) {
    apart(move || {
        sending.send(&readings(3)[1..]);
        sending.end();
        let mut lines: Vec<Value> = std::iter::from_fn(|| receiving.next()).collect();
        let last = lines.pop().unwrap();
        (lines, last)
    })
    .await
}

/// Nothing is stored any more, for this reason.
async fn assert_halted(app: &TestApp, batch: (Sending, Receiving), slug: &str, status: u16) {
    let (lines, last) = go_on(batch).await;
    assert_eq!(outcomes(&lines), ["unprocessed"; 2]);
    assert_eq!(counts(&last), json!({"read": 3, "accepted": 1, "unprocessed": 2}));
    let error = (&last["error"]["type"], &last["error"]["status"]);
    assert_eq!(error, (&json!(format!("/problems/{slug}")), &json!(status)), "{last}");
    assert_eq!(app.database().count("mass_requests"), 1);
}

/// A new key, and the path to revoke it.
async fn key(app: &TestApp) -> (Client, String) {
    let key = json!({"name": "gateway", "permissions": ["mass:write"]});
    let key = app.post(KEYS).json(&key).await.expect(201);
    (app.bearer(&key.text("/token")), format!("{KEYS}/{}", key.id()))
}

async fn a_revoked_key_ends_a_batch_under_way(app: TestApp) {
    let (caller, path) = key(&app).await;
    let batch = begin(&app, &caller).await;
    app.delete(&path).await.expect(204);
    assert_halted(&app, batch, "unauthenticated", 401).await;
}

async fn a_disabled_user_ends_a_batch_under_way(app: TestApp) {
    let caller = app.user(Role::Operator).await;
    let user = format!("/v1/admin/users/{}", caller.get(ME).await.expect(200).id());
    let batch = begin(&app, &caller).await;
    app.patch(&user).json(&json!({"disabled": true})).await.expect(200);
    assert_halted(&app, batch, "unauthenticated", 401).await;
}

async fn a_logout_ends_a_batch_under_way(app: TestApp) {
    let caller = app.user(Role::Operator).await;
    let batch = begin(&app, &caller).await;
    caller.post("/v1/auth/logout").await.expect(204);
    assert_halted(&app, batch, "unauthenticated", 401).await;
}

async fn a_changed_password_ends_a_batch_under_way(app: TestApp) {
    let caller = app.user(Role::Operator).await;
    let email = caller.get(ME).await.expect(200).text("/email");
    let batch = begin(&app, &caller).await;
    let change = json!({"current_password": PASSWORD, "new_password": "seven kestrels over the harbour"});
    let other = app.log_in(&email, PASSWORD).await;
    other.post("/v1/auth/password").json(&change).await.expect(204);
    assert_halted(&app, batch, "unauthenticated", 401).await;
}

async fn a_role_that_is_taken_away_ends_a_batch_under_way(app: TestApp) {
    let caller = app.user(Role::Operator).await;
    let user = format!("/v1/admin/users/{}", caller.get(ME).await.expect(200).id());
    let batch = begin(&app, &caller).await;
    app.patch(&user).json(&json!({"roles": ["viewer"]})).await.expect(200);
    assert_halted(&app, batch, "forbidden", 403).await;
}

async fn what_changes_at_other_credentials_costs_a_batch_nothing(app: TestApp) {
    let (caller, _) = key(&app).await;
    let batch = begin(&app, &caller).await;
    app.delete(&key(&app).await.1).await.expect(204);
    let (lines, last) = go_on(batch).await;
    assert_eq!((outcomes(&lines), counts(&last)), (vec!["accepted"; 2], json!({"read": 3, "accepted": 3})));
}
