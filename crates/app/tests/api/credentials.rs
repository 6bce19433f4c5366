//! Revocations at one server apply to the next request at another server, although both cache principals, and under
//! load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use mass_domain::access::Role;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::client::Client;
use crate::support::documents::simple;
use crate::support::{PASSWORD, TestApp};

on_both!(
    a_logout_applies_to_other_servers_at_once,
    disabling_a_user_applies_to_other_servers_at_once,
    a_changed_role_applies_to_other_servers_at_once,
    a_revoked_key_is_refused_by_other_servers_at_once,
    a_changed_password_ends_sessions_at_other_servers_at_once,
    concurrent_requests_are_refused_after_a_logout,
    a_document_sent_with_a_revoked_key_is_neither_validated_nor_stored,
    a_changed_role_applies_to_the_next_document,
    concurrent_documents_are_not_stored_after_a_revocation,
);

also_restricted!(
    a_logout_applies_to_other_servers_at_once,
    a_changed_role_applies_to_other_servers_at_once,
    a_revoked_key_is_refused_by_other_servers_at_once,
    a_document_sent_with_a_revoked_key_is_neither_validated_nor_stored,
    a_changed_role_applies_to_the_next_document,
);

const ME: &str = "/v1/auth/me";
const KEYS: &str = "/v1/admin/api-keys";
const REQUESTS: &str = "/v1/mass-requests";
const OTHER_PASSWORD: &str = "seven kestrels over the harbour";

/// The time between two calls of a caller that keeps a server busy; without it the callers take all processors.
const PAUSE: Duration = Duration::from_millis(5);

/// Two servers of one database, both kept busy by the first administrator.
struct Busy {
    one: TestApp,
    other: TestApp,
    stops: Arc<AtomicBool>,
    callers: JoinSet<()>,
}

impl Busy {
    async fn with(app: TestApp) -> Self {
        let unlimited = [("--rate-limit-per-minute", "0")];
        let (one, other) = (app.another_with(&unlimited).await, app.another_with(&unlimited).await);
        let (stops, mut callers) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        for server in [&one, &other].into_iter().cycle().take(6) {
            let (caller, stops) = (server.founder().clone(), Arc::clone(&stops));
            callers.spawn(async move {
                while !stops.load(Ordering::Relaxed) {
                    caller.get(ME).await.expect(200);
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
        Self { one, other, stops, callers }
    }

    /// Iterates over the servers in turn: the one that revokes, and the one that must notice.
    fn turns(&self, rounds: usize) -> impl Iterator<Item = (&TestApp, &TestApp)> {
        let (one, other) = (&self.one, &self.other);
        [(one, other), (other, one)].into_iter().cycle().take(rounds)
    }

    /// Ends the load; none of its requests may have been refused.
    async fn end(mut self) {
        self.stops.store(true, Ordering::Relaxed);
        while let Some(caller) = self.callers.join_next().await {
            caller.unwrap();
        }
    }
}

/// Calls until the server has surely cached the principal.
async fn become_known(caller: &Client) {
    for _ in 0..3 {
        caller.get(ME).await.expect(200);
    }
}

async fn assert_out(caller: &Client) {
    caller.get(ME).await.expect_problem(401, "unauthenticated");
}

/// The same caller at another server.
fn at(server: &TestApp, caller: &Client) -> Client {
    server.bearer(caller.token())
}

async fn a_logout_applies_to_other_servers_at_once(app: TestApp) {
    let busy = Busy::with(app).await;
    let email = busy.one.user(Role::Viewer).await.get(ME).await.expect(200).text("/email");
    for (here, there) in busy.turns(12) {
        let caller = here.log_in(&email, PASSWORD).await;
        become_known(&caller).await;
        become_known(&at(there, &caller)).await;
        caller.post("/v1/auth/logout").await.expect(204);
        assert_out(&at(there, &caller)).await;
        assert_out(&caller).await;
    }
    busy.end().await;
}

async fn disabling_a_user_applies_to_other_servers_at_once(app: TestApp) {
    let busy = Busy::with(app).await;
    let me = busy.one.user(Role::Viewer).await.get(ME).await.expect(200);
    let user = format!("/v1/admin/users/{}", me.id());
    for (here, there) in busy.turns(8) {
        let caller = there.log_in(&me.text("/email"), PASSWORD).await;
        become_known(&caller).await;
        here.patch(&user).json(&json!({"disabled": true})).await.expect(200);
        assert_out(&caller).await;
        here.patch(&user).json(&json!({"disabled": false})).await.expect(200);
        assert_out(&caller).await;
    }
    busy.end().await;
}

async fn a_changed_role_applies_to_other_servers_at_once(app: TestApp) {
    let busy = Busy::with(app).await;
    let caller = busy.one.user(Role::Viewer).await;
    let user = format!("/v1/admin/users/{}", caller.get(ME).await.expect(200).id());
    for (here, there) in busy.turns(30) {
        let caller = at(there, &caller);
        caller.get("/v1/audit/events").await.expect_problem(403, "forbidden");
        here.patch(&user).json(&json!({"roles": ["auditor"]})).await.expect(200);
        caller.get("/v1/audit/events?limit=1").await.expect(200);
        here.patch(&user).json(&json!({"roles": ["viewer"]})).await.expect(200);
    }
    busy.end().await;
}

async fn a_revoked_key_is_refused_by_other_servers_at_once(app: TestApp) {
    let busy = Busy::with(app).await;
    for (here, there) in busy.turns(30) {
        let key = json!({"name": "gateway", "permissions": ["mass:read"]});
        let key = here.post(KEYS).json(&key).await.expect(201);
        let gateway = here.bearer(&key.text("/token"));
        become_known(&gateway).await;
        become_known(&at(there, &gateway)).await;
        here.delete(&format!("{KEYS}/{}", key.id())).await.expect(204);
        assert_out(&at(there, &gateway)).await;
        assert_out(&gateway).await;
    }
    busy.end().await;
}

async fn a_changed_password_ends_sessions_at_other_servers_at_once(app: TestApp) {
    let busy = Busy::with(app).await;
    let email = busy.one.user(Role::Viewer).await.get(ME).await.expect(200).text("/email");
    let passwords = [(PASSWORD, OTHER_PASSWORD), (OTHER_PASSWORD, PASSWORD)];
    for ((here, there), (current, new)) in busy.turns(6).zip(passwords.into_iter().cycle()) {
        let (kept, ended) = (here.log_in(&email, current).await, there.log_in(&email, current).await);
        become_known(&ended).await;
        become_known(&at(there, &kept)).await;
        let change = json!({"current_password": current, "new_password": new});
        kept.post("/v1/auth/password").json(&change).await.expect(204);
        assert_out(&ended).await;
        at(there, &kept).get(ME).await.expect(200);
    }
    busy.end().await;
}

/// Callers at both servers share one token, and call until they are refused.
async fn concurrent_requests_are_refused_after_a_logout(app: TestApp) {
    let busy = Busy::with(app).await;
    let email = busy.one.user(Role::Viewer).await.get(ME).await.expect(200).text("/email");
    for (here, there) in busy.turns(8) {
        let leaving = here.log_in(&email, PASSWORD).await;
        let (is_out, let_in) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut callers = JoinSet::new();
        for server in [here, there].into_iter().cycle().take(8) {
            let (caller, is_out, let_in) = (at(server, &leaving), Arc::clone(&is_out), Arc::clone(&let_in));
            callers.spawn(async move {
                loop {
                    let was_out = is_out.load(Ordering::SeqCst);
                    match caller.get(ME).await {
                        answer if answer.status == 200 => assert!(!was_out, "let in after the logout"),
                        refused => break drop(refused.expect_problem(401, "unauthenticated")),
                    }
                    let_in.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        while let_in.load(Ordering::SeqCst) < 50 {
            tokio::task::yield_now().await;
        }
        leaving.post("/v1/auth/logout").await.expect(204);
        is_out.store(true, Ordering::SeqCst);
        callers.join_all().await;
    }
    busy.end().await;
}

/// Creates a gateway's key; returns its client and the path to revoke it.
async fn gateway(at: &TestApp) -> (Client, String) {
    let key = json!({"name": "gateway", "permissions": ["mass:write", "mass:read"]});
    let key = at.post(KEYS).json(&key).await.expect(201);
    (at.bearer(&key.text("/token")), format!("{KEYS}/{}", key.id()))
}

fn document(number: usize) -> Value {
    simple(json!({"number": number}))
}

/// Returns the number of requests of the founder's tenant, and of refused payloads in its audit trail.
async fn told(app: &TestApp) -> (usize, usize) {
    let count = async |path: &str| app.founder().get(path).await.expect(200).at("/items").as_array().unwrap().len();
    (count("/v1/mass-requests?limit=200").await, count("/v1/audit/events?action=payload_refused&limit=200").await)
}

async fn a_document_sent_with_a_revoked_key_is_neither_validated_nor_stored(app: TestApp) {
    let busy = Busy::with(app).await;
    for (here, there) in busy.turns(6) {
        let (sender, revocation) = gateway(here).await;
        for number in 0..3 {
            at(here, &sender).post(REQUESTS).json(&document(number)).await.expect(201);
            at(there, &sender).post(REQUESTS).json(&document(number)).await.expect(201);
        }
        // Changes of the tenant's other credentials do not affect the sender.
        gateway(there).await.0.get(ME).await.expect(200);
        here.delete(&gateway(here).await.1).await.expect(204);
        at(there, &sender).post(REQUESTS).json(&document(4)).await.expect(201);
        at(there, &sender).post(REQUESTS).json(&json!({"schema_version": "simple/1.0"})).await.expect(422);
        let stored = at(here, &sender).post(REQUESTS).json(&document(4)).await.expect(201);
        let (stored, unknown) = (format!("{REQUESTS}/{}", stored.id()), format!("{REQUESTS}/{}", Uuid::now_v7()));
        at(there, &sender).get(&stored).await.expect(200);
        at(there, &sender).get(&unknown).await.expect(404);
        here.delete(&revocation).await.expect(204);
        let before = told(here).await;
        for server in [there, here] {
            for body in [&document(5).to_string(), r#"{"schema_version":"simple/1.0"}"#, r#"{"schema_ver"#] {
                let answer = at(server, &sender).post(REQUESTS).body(body).await;
                answer.expect_problem(401, "unauthenticated");
            }
            let answer = at(server, &sender).post(REQUESTS).bytes("hello").header("content-type", "text/plain").await;
            answer.expect_problem(401, "unauthenticated");
            for path in [&stored, &unknown] {
                at(server, &sender).get(path).await.expect_problem(401, "unauthenticated");
            }
            let answer = at(server, &sender).post("/v1/mass-requests?unknown=1").json(&document(6)).await;
            answer.expect_problem(401, "unauthenticated");
        }
        assert_eq!(told(here).await, before);
    }
    busy.end().await;
}

async fn a_changed_role_applies_to_the_next_document(app: TestApp) {
    let busy = Busy::with(app).await;
    let caller = busy.one.user(Role::Operator).await;
    let user = format!("/v1/admin/users/{}", caller.get(ME).await.expect(200).id());
    for (here, there) in busy.turns(10) {
        let caller = at(there, &caller);
        caller.post(REQUESTS).json(&document(1)).await.expect(201);
        here.patch(&user).json(&json!({"roles": ["viewer"]})).await.expect(200);
        caller.post(REQUESTS).json(&document(2)).await.expect_problem(403, "forbidden");
        here.patch(&user).json(&json!({"roles": ["operator"]})).await.expect(200);
        caller.post(REQUESTS).json(&document(3)).await.expect(201);
    }
    busy.end().await;
}

/// Senders at both servers share one key, and send until they are refused.
async fn concurrent_documents_are_not_stored_after_a_revocation(app: TestApp) {
    let busy = Busy::with(app).await;
    for (here, there) in busy.turns(4) {
        let (sender, revocation) = gateway(here).await;
        let (is_out, stored) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut senders = JoinSet::new();
        for server in [here, there].into_iter().cycle().take(8) {
            let (sender, is_out, stored) = (at(server, &sender), Arc::clone(&is_out), Arc::clone(&stored));
            senders.spawn(async move {
                loop {
                    let was_out = is_out.load(Ordering::SeqCst);
                    match sender.post(REQUESTS).json(&document(stored.load(Ordering::SeqCst))).await {
                        answer if answer.status == 201 => assert!(!was_out, "stored after the revocation"),
                        refused => break drop(refused.expect_problem(401, "unauthenticated")),
                    }
                    stored.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        while stored.load(Ordering::SeqCst) < 50 {
            assert!(senders.try_join_next().is_none(), "a sender was refused before the revocation");
            tokio::task::yield_now().await;
        }
        here.delete(&revocation).await.expect(204);
        is_out.store(true, Ordering::SeqCst);
        senders.join_all().await;
    }
    busy.end().await;
}
