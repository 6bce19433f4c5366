//! Batches under way whose caller loses its credentials or permissions.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use mass_domain::access::Role;
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use super::streaming::{Receiving, Sending, apart};
use super::{counts, outcomes, readings, send_ndjson};
use crate::support::client::Client;
use crate::support::tokens::Forgery;
use crate::support::{PASSWORD, TestApp};

on_both!(
    a_revoked_key_ends_a_batch_under_way,
    a_disabled_user_ends_a_batch_under_way,
    a_logout_ends_a_batch_under_way,
    a_changed_password_ends_a_batch_under_way,
    a_removed_role_ends_a_batch_under_way,
    changes_to_other_credentials_do_not_affect_a_batch,
    a_removed_permission_of_a_key_ends_a_batch_under_way,
    an_expired_token_ends_a_batch_under_way,
    an_expired_key_ends_a_batch_under_way,
    a_revoked_key_ends_an_export_under_way,
    a_revoked_key_ends_an_export_of_requests_under_way,
);

also_restricted!(
    a_revoked_key_ends_a_batch_under_way,
    a_removed_role_ends_a_batch_under_way,
    a_revoked_key_ends_an_export_under_way,
);

const ME: &str = "/v1/auth/me";
const KEYS: &str = "/v1/admin/api-keys";

/// Sends a record, and waits until it is stored.
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

/// Sends two more records and the end; returns the following lines, with the last one apart.
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

/// Asserts that nothing more is stored, for this reason.
async fn assert_halted(app: &TestApp, batch: (Sending, Receiving), slug: &str, status: u16) {
    let (lines, last) = go_on(batch).await;
    assert_eq!(outcomes(&lines), ["unprocessed"; 2]);
    assert_eq!(counts(&last), json!({"read": 3, "accepted": 1, "unprocessed": 2}));
    let error = (&last["error"]["type"], &last["error"]["status"]);
    assert_eq!(error, (&json!(format!("/problems/{slug}")), &json!(status)), "{last}");
    assert_eq!(app.database().count("mass_requests"), 1);
    let action = if status == 403 { "access_refused" } else { "credentials_refused" };
    assert_eq!(app.database().count(&format!("audit_events WHERE action = '{action}'")), 1, "as at the door");
}

/// Creates a key; returns its client and the path to revoke it.
pub(super) async fn key(app: &TestApp) -> (Client, String) {
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

async fn a_removed_role_ends_a_batch_under_way(app: TestApp) {
    let caller = app.user(Role::Operator).await;
    let user = format!("/v1/admin/users/{}", caller.get(ME).await.expect(200).id());
    let batch = begin(&app, &caller).await;
    app.patch(&user).json(&json!({"roles": ["viewer"]})).await.expect(200);
    assert_halted(&app, batch, "forbidden", 403).await;
}

async fn changes_to_other_credentials_do_not_affect_a_batch(app: TestApp) {
    let (caller, _) = key(&app).await;
    let batch = begin(&app, &caller).await;
    app.delete(&key(&app).await.1).await.expect(204);
    let (lines, last) = go_on(batch).await;
    assert_eq!((outcomes(&lines), counts(&last)), (vec!["accepted"; 2], json!({"read": 3, "accepted": 3})));
}

async fn a_removed_permission_of_a_key_ends_a_batch_under_way(app: TestApp) {
    let (caller, _) = key(&app).await;
    let batch = begin(&app, &caller).await;
    // Only SQL can remove a permission from a key.
    app.execute("UPDATE api_keys SET permissions = replace(permissions, 'mass:write', 'mass:read')");
    assert_halted(&app, batch, "forbidden", 403).await;
}

/// Waits until an instant has passed.
async fn until(moment: DateTime<Utc>) {
    while Utc::now() <= moment {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn an_expired_token_ends_a_batch_under_way(app: TestApp) {
    let end = Utc::now() + TimeDelta::seconds(5);
    // A token is accepted for five more seconds, because clocks differ.
    let token = Forgery::of(app.founder().token()).claim("exp", end.timestamp() - 5).sign();
    let batch = begin(&app, &app.bearer(&token)).await;
    until(end).await;
    assert_halted(&app, batch, "unauthenticated", 401).await;
}

async fn an_expired_key_ends_a_batch_under_way(app: TestApp) {
    let end = Utc::now() + TimeDelta::seconds(5);
    let until_then = end.to_rfc3339_opts(SecondsFormat::Micros, true);
    let key = json!({"name": "gateway", "permissions": ["mass:write"], "expires_at": until_then});
    let key = app.post(KEYS).json(&key).await.expect(201);
    let batch = begin(&app, &app.bearer(&key.text("/token"))).await;
    until(end).await;
    assert_halted(&app, batch, "unauthenticated", 401).await;
}

/// A connection with small buffers.
fn narrow(app: &TestApp) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&app.address().into()).unwrap();
    socket.into()
}

async fn a_revoked_key_ends_an_export_under_way(app: TestApp) {
    let rest = revoked_midway(&app, "audit:read", "/v1/audit/export").await;
    assert!(rest.contains(r#"{"event":"#) && !rest.contains(r#"{"end":"#), "{} bytes", rest.len());
    assert!(!rest.ends_with("\r\n0\r\n\r\n"), "the answer breaks off");
}

async fn a_revoked_key_ends_an_export_of_requests_under_way(app: TestApp) {
    let rest = revoked_midway(&app, "mass:read", "/v1/mass-requests/export").await;
    let last = rest.split(['\r', '\n']).rfind(|line| line.starts_with('{')).unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!(last["error"]["type"], "/problems/unauthenticated");
    let exported = rest.matches(r#","natural_key":"dev-"#).count();
    assert!((1..10_000).contains(&exported), "{exported}");
    assert_eq!(last["totals"]["requests"], exported);
}

/// Begins an export with a key, which is revoked then: all that still comes.
async fn revoked_midway(app: &TestApp, permission: &str, path: &'static str) -> String {
    let (_, last) = send_ndjson(app.founder(), "?results=errors", &readings(10_000)).await.lines();
    assert_eq!(counts(&last), json!({"read": 10_000, "accepted": 10_000}));
    let key = json!({"name": "auditor", "permissions": [permission]});
    let key = app.post(KEYS).json(&key).await.expect(201);
    let mut connection = narrow(app);
    let token = key.text("/token");
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: mass\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n");
    let (mut connection, begun) = apart(move || {
        connection.write_all(head.as_bytes()).unwrap();
        let mut begun = [0; 12];
        connection.read_exact(&mut begun).unwrap();
        (connection, begun)
    })
    .await;
    assert_eq!(&begun, b"HTTP/1.1 200");
    app.delete(&format!("{KEYS}/{}", key.id())).await.expect(204);
    let rest = apart(move || {
        let mut rest = Vec::new();
        // A reset also ends the connection.
        let _ = connection.read_to_end(&mut rest);
        String::from_utf8(rest).unwrap()
    })
    .await;
    assert_eq!(app.database().count("audit_events WHERE action = 'credentials_refused'"), 1);
    rest
}
