//! The audit events of security and administration: each act leaves one event, in the same transaction.

mod processes;

use std::net::IpAddr;

use futures_util::future::join_all;
use mass_domain::access::Role;
use mass_domain::canonical::Fingerprint;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::documents::{Edit, reading, report};
use crate::support::tokens::{Forgery, decode};
use crate::support::{FOUNDER, OTHER_TENANT, PASSWORD, TENANT, TestApp};

on_both!(
    the_log_begins_with_the_bootstrap,
    records_successful_and_failed_logins,
    records_logins_to_unknown_accounts_in_the_system_log,
    does_not_record_throttled_attempts,
    records_a_session_from_login_to_logout,
    records_refused_refresh_tokens,
    records_successful_and_failed_password_changes,
    records_changes_to_users,
    records_changes_to_keys,
    records_changes_to_quotas,
    records_changes_to_settings,
    records_changes_to_mappings,
    records_a_new_tenant_in_its_own_log,
    records_a_registration_once,
    records_denied_operations,
    records_refused_credentials,
    records_only_some_of_many_refused_credentials,
    actions_that_cannot_be_recorded_are_not_done,
    events_contain_no_secrets,
    administration_and_ingestion_share_a_gapless_log,
);

also_restricted!(
    the_log_begins_with_the_bootstrap,
    records_successful_and_failed_logins,
    records_logins_to_unknown_accounts_in_the_system_log,
    records_a_session_from_login_to_logout,
    records_refused_refresh_tokens,
    records_changes_to_users,
    records_changes_to_keys,
    records_changes_to_quotas,
    records_changes_to_settings,
    records_changes_to_mappings,
    records_a_new_tenant_in_its_own_log,
    records_a_registration_once,
    records_denied_operations,
    records_refused_credentials,
    administration_and_ingestion_share_a_gapless_log,
);

const SYSTEM: &str = "system";
const NEW: &str = "seven kestrels over the harbour";
const WRONG: &str = "incorrect horse battery staple";
const LOGIN: &str = "/v1/auth/login";
const USERS: &str = "/v1/admin/users";
const KEYS: &str = "/v1/admin/api-keys";
const REQUESTS: &str = "/v1/mass-requests";

fn query(tenant: &str) -> String {
    format!("SELECT event AS line FROM audit_events WHERE tenant_id = '{tenant}' ORDER BY sequence")
}

/// Parses the events of a log, and checks that it has no gap.
fn read(lines: &[String]) -> Vec<Value> {
    let events: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (event, sequence) in events.iter().zip(1..) {
        assert_eq!(event["sequence"], json!(sequence));
    }
    events
}

/// The logs of a tenant and of the system tenant, followed from now on.
struct Logs<'a> {
    app: &'a TestApp,
    tenant: &'static str,
    seen: [usize; 2],
}

impl<'a> Logs<'a> {
    fn new(app: &'a TestApp) -> Self {
        Self::of(app, TENANT)
    }

    fn of(app: &'a TestApp, tenant: &'static str) -> Self {
        let mut logs = Self { app, tenant, seen: [0, 0] };
        logs.news();
        logs
    }

    /// Returns the new events of the tenant's and of the system tenant's log.
    fn news(&mut self) -> [Vec<Value>; 2] {
        let logs = [self.tenant, SYSTEM].map(|tenant| read(&self.app.database().lines(&query(tenant))));
        let seen = std::mem::replace(&mut self.seen, [logs[0].len(), logs[1].len()]);
        let [tenant, system] = logs;
        [tenant[seen[0]..].to_vec(), system[seen[1]..].to_vec()]
    }

    /// Asserts that the tenant's log has only this new event, and that it belongs to the answer.
    #[track_caller]
    fn expect(&mut self, answer: &Answer, event: &Value) {
        let [tenant, system] = self.news();
        assert_eq!((tenant.len(), system.len()), (1, 0), "{tenant:?} {system:?}");
        assert_told(&tenant[0], answer, event);
    }

    /// Asserts that the system tenant's log has only this new event, and that it belongs to the answer.
    #[track_caller]
    fn expect_of_system(&mut self, answer: &Answer, event: &Value) {
        let [tenant, system] = self.news();
        assert_eq!((tenant.len(), system.len()), (0, 1), "{tenant:?} {system:?}");
        assert_told(&system[0], answer, event);
    }

    #[track_caller]
    fn expect_nothing(&mut self) {
        let news = self.news();
        assert!(news.iter().all(Vec::is_empty), "{news:?}");
    }
}

/// Removes the digest of the password hash from an event; it is there exactly if a password was set.
#[track_caller]
fn take_credentials(event: &mut Value) {
    let sets_password = ["user_created", "password_changed", "password_reset"].map(Value::from);
    let is_due = event["outcome"] == "success" && sets_password.contains(&event["action"]);
    let digest = event["detail"].as_object_mut().and_then(|detail| detail.remove("credentials"));
    assert_eq!(digest.is_some(), is_due, "{event}");
    assert!(digest.is_none_or(|digest| digest.as_str().unwrap().parse::<Fingerprint>().is_ok()), "{event}");
}

/// Asserts that an event equals the expected one and belongs to the answered request.
#[track_caller]
fn assert_told(event: &Value, answer: &Answer, expected: &Value) {
    let mut told = json!({"detail": {}});
    for name in ["action", "actor", "object", "outcome", "detail"] {
        if let Some(value) = event.get(name) {
            told[name] = value.clone();
        }
    }
    take_credentials(&mut told);
    let address = told["actor"].as_object_mut().unwrap().remove("address").unwrap();
    assert_eq!(&told, expected);
    assert!(address.as_str().unwrap().parse::<IpAddr>().unwrap().is_loopback(), "{address}");
    assert_eq!(event["request_id"].as_str(), answer.header("x-request-id"));
    let trace: Vec<_> = answer.header("traceparent").unwrap().split('-').collect();
    assert_eq!((event["trace_id"].as_str(), event["span_id"].as_str()), (Some(trace[1]), Some(trace[2])));
    assert_eq!(event["program"]["version"], env!("CARGO_PKG_VERSION"));
}

fn done(action: &str, actor: &Value, object: Value, detail: Value) -> Value {
    json!({"action": action, "actor": actor, "object": object, "outcome": "success", "detail": detail})
}

fn refused(action: &str, actor: &Value, object: Value, detail: Value) -> Value {
    json!({"action": action, "actor": actor, "object": object, "outcome": "refused", "detail": detail})
}

fn stranger() -> Value {
    json!({"kind": "stranger"})
}

async fn id_of(client: &Client) -> String {
    client.get("/v1/auth/me").await.expect(200).id()
}

/// The user as an actor and as an object.
async fn user(client: &Client) -> Value {
    json!({"kind": "user", "id": id_of(client).await})
}

async fn email_of(client: &Client) -> String {
    client.get("/v1/auth/me").await.expect(200).text("/email")
}

async fn log_in(client: &Client, email: &str, password: &str) -> Answer {
    client.post(LOGIN).json(&json!({"email": email, "password": password})).await
}

fn session(login: &Answer) -> Value {
    let (_, claims) = decode(&login.text("/access_token"));
    json!({"kind": "session", "id": claims["sid"]})
}

async fn the_log_begins_with_the_bootstrap(app: TestApp) {
    let events = read(&app.database().lines(&query(TENANT)));
    let founder = id_of(app.founder()).await;
    let told = |event: &Value| json!([event["action"], event["actor"], event["object"], event["detail"]]);
    let system = json!({"kind": "system"});
    let tenant = json!({"kind": "tenant", "id": TENANT});
    assert_eq!(told(&events[0]), json!(["tenant_created", system, tenant, null]));
    let roles = json!({"roles": ["admin", "operator", "platform_admin"]});
    let mut created = events[1].clone();
    take_credentials(&mut created);
    let mut created = told(&created);
    created[3]["roles"].as_array_mut().unwrap().sort_by_key(ToString::to_string);
    assert_eq!(created, json!(["user_created", system, {"kind": "user", "id": founder}, roles]));
    // Including the founder's log-in.
    assert_eq!(events.len(), 3);
    let before = app.database().count("audit_events");
    let again = app.another().await;
    assert_eq!(again.database().count("audit_events"), before + 1, "a log-in, and no founding");
}

async fn records_successful_and_failed_logins(app: TestApp) {
    let viewer = app.user(Role::Viewer).await;
    let (email, who) = (email_of(&viewer).await, user(&viewer).await);
    let mut logs = Logs::new(&app);
    let login = log_in(&app.anonymous(), &email, PASSWORD).await.expect(200);
    logs.expect(&login, &done("logged_in", &who, session(&login), json!({})));
    let wrong = log_in(&app.anonymous(), &email, WRONG).await.expect_problem(401, "invalid-credentials");
    logs.expect(&wrong, &refused("logged_in", &stranger(), who.clone(), json!({"reason": "wrong_password"})));
    let path = format!("{USERS}/{}", who["id"].as_str().unwrap());
    app.patch(&path).json(&json!({"disabled": true})).await.expect(200);
    logs.news();
    let disabled = log_in(&app.anonymous(), &email, PASSWORD).await.expect_problem(401, "invalid-credentials");
    logs.expect(&disabled, &refused("logged_in", &stranger(), who, json!({"reason": "disabled"})));
}

async fn records_logins_to_unknown_accounts_in_the_system_log(app: TestApp) {
    let mut logs = Logs::new(&app);
    let server = json!({"kind": "server"});
    let unknown = log_in(&app.anonymous(), "Nobody@example.test", PASSWORD).await;
    let detail = json!({"reason": "unknown_address", "email": "nobody@example.test"});
    let unknown = unknown.expect_problem(401, "invalid-credentials");
    logs.expect_of_system(&unknown, &refused("logged_in", &stranger(), server.clone(), detail));
    let mistaken = log_in(&app.anonymous(), WRONG, PASSWORD).await.expect_problem(401, "invalid-credentials");
    let detail = json!({"reason": "malformed_address"});
    logs.expect_of_system(&mistaken, &refused("logged_in", &stranger(), server, detail));
    assert_eq!(app.database().count(&format!("audit_events WHERE event LIKE '%{WRONG}%'")), 0);
}

async fn does_not_record_throttled_attempts(app: TestApp) {
    let elsewhere = app.anonymous().coming_from("127.0.0.2");
    log_in(&elsewhere, FOUNDER, WRONG).await.expect(401);
    app.execute("UPDATE login_attempts SET failures = failures + 20 WHERE failures > 0");
    let mut logs = Logs::new(&app);
    log_in(&elsewhere, FOUNDER, PASSWORD).await.expect_problem(429, "too-many-attempts");
    app.anonymous().post(LOGIN).body("{").await.expect(400);
    logs.expect_nothing();
}

async fn records_a_session_from_login_to_logout(app: TestApp) {
    let viewer = app.user(Role::Viewer).await;
    let (email, who) = (email_of(&viewer).await, user(&viewer).await);
    let login = log_in(&app.anonymous(), &email, PASSWORD).await.expect(200);
    let mut logs = Logs::new(&app);
    let refresh =
        async |token: &str| app.anonymous().post("/v1/auth/refresh").json(&json!({"refresh_token": token})).await;
    let next = refresh(&login.text("/refresh_token")).await.expect(200);
    logs.expect_nothing();
    let reused = refresh(&login.text("/refresh_token")).await.expect_problem(401, "invalid-refresh-token");
    let detail = json!({"user_id": who["id"]});
    logs.expect(&reused, &done("session_revoked", &stranger(), session(&login), detail));
    let over = refresh(&next.text("/refresh_token")).await.expect_problem(401, "invalid-refresh-token");
    let object = json!({"kind": "operation", "id": "POST /v1/auth/refresh"});
    let detail = json!({"reason": "refresh_token_invalid"});
    logs.expect_of_system(&over, &refused("credentials_refused", &stranger(), object, detail));

    let login = log_in(&app.anonymous(), &email, PASSWORD).await.expect(200);
    let bearer = app.bearer(&login.text("/access_token"));
    logs.news();
    let out = bearer.post("/v1/auth/logout").await.expect(204);
    logs.expect(&out, &done("logged_out", &who, session(&login), json!({})));
    let again = bearer.post("/v1/auth/logout").await.expect(401);
    let object = json!({"kind": "operation", "id": "POST /v1/auth/logout"});
    let detail = json!({"reason": "session_ended"});
    logs.expect_of_system(&again, &refused("credentials_refused", &stranger(), object, detail));
}

async fn records_refused_refresh_tokens(app: TestApp) {
    let mut logs = Logs::new(&app);
    let token = log_in(&app.anonymous(), FOUNDER, PASSWORD).await.expect(200).text("/refresh_token");
    logs.news();
    // The last one names an unknown tenant.
    let foreign = format!("mrt_{}", "BWFsaWVu".to_owned() + &"A".repeat(43));
    for bad in ["nonsense", &format!("{}AAAA", &token[..token.len() - 4]), &foreign] {
        let answer = app.anonymous().post("/v1/auth/refresh").json(&json!({"refresh_token": bad})).await;
        let answer = answer.expect_problem(401, "invalid-refresh-token");
        let object = json!({"kind": "operation", "id": "POST /v1/auth/refresh"});
        let detail = json!({"reason": "refresh_token_invalid"});
        logs.expect_of_system(&answer, &refused("credentials_refused", &stranger(), object, detail));
    }
    assert_eq!(app.database().count("audit_heads WHERE tenant_id = 'alien'"), 0);
}

async fn records_successful_and_failed_password_changes(app: TestApp) {
    let viewer = app.user(Role::Viewer).await;
    let who = user(&viewer).await;
    let key = app.post(KEYS).json(&json!({"name": "gateway", "permissions": ["mass:read"]})).await.expect(201);
    let mut logs = Logs::new(&app);
    let change = async |client: &Client, current: &str| {
        client.post("/v1/auth/password").json(&json!({"current_password": current, "new_password": NEW})).await
    };
    let wrong = change(&viewer, WRONG).await.expect(422);
    let detail = json!({"reason": "wrong_password"});
    logs.expect(&wrong, &refused("password_changed", &who, who.clone(), detail));
    let changed = change(&viewer, PASSWORD).await.expect(204);
    logs.expect(&changed, &done("password_changed", &who, who.clone(), json!({})));
    let of_key = change(&app.bearer(&key.text("/token")), PASSWORD).await.expect_problem(403, "forbidden");
    let (actor, object) =
        (json!({"kind": "api_key", "id": key.id()}), json!({"kind": "operation", "id": "POST /v1/auth/password"}));
    let detail = json!({"reason": "wrong_kind_of_caller"});
    logs.expect(&of_key, &refused("access_refused", &actor, object, detail));
}

async fn records_changes_to_users(app: TestApp) {
    let founder = user(app.founder()).await;
    let mut logs = Logs::new(&app);
    let ana = json!({"email": "ana@example.test", "roles": ["viewer"], "password": PASSWORD});
    let created = app.post(USERS).json(&ana).await.expect(201);
    let object = json!({"kind": "user", "id": created.id()});
    logs.expect(&created, &done("user_created", &founder, object.clone(), json!({"roles": ["viewer"]})));
    app.post(USERS).json(&ana).await.expect_problem(409, "email-taken");
    logs.expect_nothing();

    let change = async |body: Value| app.patch(&format!("{USERS}/{}", created.id())).json(&body).await;
    let changed = change(json!({"roles": ["auditor"], "disabled": true})).await.expect(200);
    let before = json!({"roles": ["viewer"], "disabled": false});
    let detail = json!({"before": before, "after": {"roles": ["auditor"], "disabled": true}, "revoked_keys": 0});
    logs.expect(&changed, &done("user_changed", &founder, object, detail));
    change(json!({"roles": ["auditor"], "disabled": true})).await.expect(200);
    change(json!({})).await.expect(200);
    let own = format!("{USERS}/{}", founder["id"].as_str().unwrap());
    app.patch(&own).json(&json!({"roles": ["viewer"]})).await.expect_problem(409, "last-administrator");
    logs.expect_nothing();
}

async fn records_changes_to_keys(app: TestApp) {
    let founder = user(app.founder()).await;
    let mut logs = Logs::new(&app);
    let new = json!({
        "name": "gateway, Hall 2", "permissions": ["mass:write", "mass:read"], "addresses": ["192.0.2.0/24"],
        "expires_at": "2099-12-31T23:59:59Z",
    });
    let created = app.post(KEYS).json(&new).await.expect(201);
    let object = json!({"kind": "api_key", "id": created.id()});
    let detail = json!({
        "name": "gateway, Hall 2", "prefix": created.at("/prefix"), "permissions": ["mass:read", "mass:write"],
        "addresses": ["192.0.2.0/24"], "expires_at": "2099-12-31T23:59:59Z",
    });
    logs.expect(&created, &done("api_key_created", &founder, object.clone(), detail));
    let path = format!("{KEYS}/{}", created.id());
    let revoked = app.delete(&path).await.expect(204);
    logs.expect(&revoked, &done("api_key_revoked", &founder, object, json!({})));
    app.delete(&path).await.expect(204);
    logs.expect_nothing();
}

async fn records_changes_to_quotas(app: TestApp) {
    let founder = user(app.founder()).await;
    let mut logs = Logs::new(&app);
    let set = async |quotas: Value| app.founder().put("/v1/admin/quotas").json(&quotas).await.expect(200);
    let first = set(json!({"requests_per_day": 7})).await;
    let none = json!({"requests_per_day": null, "stored_bytes": null, "quarantine_bytes": null});
    let seven = json!({"requests_per_day": 7, "stored_bytes": null, "quarantine_bytes": null});
    let detail = json!({"before": none, "after": seven});
    logs.expect(&first, &done("quotas_set", &founder, json!({"kind": "quotas"}), detail));
    set(json!({"requests_per_day": 7})).await;
    logs.expect_nothing();
    let second = set(json!({})).await;
    let detail = json!({"before": seven, "after": none});
    logs.expect(&second, &done("quotas_set", &founder, json!({"kind": "quotas"}), detail));
}

async fn records_changes_to_settings(app: TestApp) {
    let founder = user(app.founder()).await;
    let mut logs = Logs::new(&app);
    let set = async |decided: Value| {
        app.founder().put("/v1/admin/settings").json(&json!({"auto_send": decided})).await.expect(200)
    };
    let mut before = Value::Null;
    for decided in [json!(true), json!(false), Value::Null] {
        let answer = set(decided.clone()).await;
        let shown = |auto_send: &Value| json!({"auto_send": auto_send, "quarantine": null, "second_factor": null});
        let detail = json!({"before": shown(&before), "after": shown(&decided)});
        logs.expect(&answer, &done("settings_set", &founder, json!({"kind": "settings"}), detail));
        set(decided.clone()).await;
        logs.expect_nothing();
        before = decided;
    }
}

async fn records_changes_to_mappings(app: TestApp) {
    let founder = user(app.founder()).await;
    let mut logs = Logs::new(&app);
    let path = "/v1/mappings/site-7";
    let object = json!({"kind": "mapping", "id": "site-7"});
    let mut before = Value::Null;
    for text in ["contract = \"simple/1.0\"\nmembers.a = \"A\"\n", "contract = \"simple/1.0\"\nmembers.a = \"B\"\n"] {
        let put = async || app.founder().put(path).header("Content-Type", "application/toml").bytes(text).await;
        let answer = put().await;
        let after = json!(Fingerprint::of(text).to_string());
        let detail = json!({"before": before, "after": after, "contract": "simple/1.0"});
        logs.expect(&answer, &done("mapping_set", &founder, object.clone(), detail));
        put().await.expect(200);
        logs.expect_nothing();
        before = after;
    }
    let bad = app.founder().put(path).json(&json!({"contract": "device/9.9"})).await;
    bad.expect_problem(422, "contract-violation");
    logs.expect_nothing();
    let deleted = app.delete(path).await.expect(204);
    logs.expect(&deleted, &done("mapping_deleted", &founder, object, json!({"before": before})));
    app.delete(path).await.expect_problem(404, "not-found");
    logs.expect_nothing();
}

async fn records_a_new_tenant_in_its_own_log(app: TestApp) {
    let founder = user(app.founder()).await;
    let mut logs = Logs::of(&app, "third");
    let taken = json!({"id": "third", "admin": {"email": FOUNDER}});
    app.post("/v1/admin/tenants").json(&taken).await.expect_problem(409, "email-taken");
    logs.expect_nothing();
    assert_eq!(app.database().count("audit_heads WHERE tenant_id = 'third'"), 0);
    let new = json!({"id": "third", "admin": {"email": "ana@third.test"}});
    let created = app.post("/v1/admin/tenants").json(&new).await.expect(201);
    let [events, of_system] = logs.news();
    assert_eq!((events.len(), of_system.len()), (2, 0));
    let tenant = json!({"kind": "tenant", "id": "third"});
    assert_told(&events[0], &created, &done("tenant_created", &founder, tenant, json!({})));
    let admin = json!({"kind": "user", "id": created.at("/admin/id")});
    let roles = json!({"roles": created.at("/admin/roles")});
    assert_told(&events[1], &created, &done("user_created", &founder, admin, roles));
    app.post("/v1/admin/tenants").json(&new).await.expect_problem(409, "tenant-taken");
    logs.expect_nothing();
}

async fn records_a_registration_once(app: TestApp) {
    let app = app.another_with(&[("--allow-registration", "true")]).await;
    let mut logs = Logs::new(&app);
    let register = async |email: &str| {
        let body = json!({"email": email, "password": PASSWORD});
        app.anonymous().post("/v1/auth/register").json(&body).await.expect(204)
    };
    let registered = register("ana@example.test").await;
    let id = app.get(&format!("{USERS}?limit=1")).await.text("/items/0/id");
    let object = json!({"kind": "user", "id": id});
    logs.expect(&registered, &done("user_created", &stranger(), object, json!({"roles": ["viewer"]})));
    register("ana@example.test").await;
    register(FOUNDER).await;
    logs.expect_nothing();
}

async fn records_denied_operations(app: TestApp) {
    let viewer = app.foreigner(Role::Viewer).await;
    let admin = app.foreigner(Role::Admin).await;
    let operator = app.foreigner(Role::Operator).await;
    let mut logs = Logs::of(&app, OTHER_TENANT);
    let by_the_gate = viewer.post(REQUESTS).json(&reading("dev-1")).await.expect_problem(403, "forbidden");
    let object = json!({"kind": "operation", "id": "POST /v1/mass-requests"});
    let detail = json!({"permission": "mass:write"});
    logs.expect(&by_the_gate, &refused("access_refused", &user(&viewer).await, object, detail));

    let platform = json!({"email": "ana@other.test", "roles": ["platform_admin"]});
    let by_the_use_case = admin.post(USERS).json(&platform).await.expect_problem(403, "forbidden");
    let object = json!({"kind": "operation", "id": "POST /v1/admin/users"});
    let detail = json!({"permission": "tenants:manage"});
    logs.expect(&by_the_use_case, &refused("access_refused", &user(&admin).await, object, detail));

    let foreign = report("r-1").with("/request/tenant_id", TENANT);
    let dry = operator.post("/v1/mass-requests/validate").json(&foreign).await.expect_problem(403, "foreign-tenant");
    let object = json!({"kind": "operation", "id": "POST /v1/mass-requests/validate"});
    let detail = json!({"reason": "foreign_tenant"});
    logs.expect(&dry, &refused("access_refused", &user(&operator).await, object, detail));
    // A refused document is recorded as such, and only once.
    operator.post(REQUESTS).json(&foreign).await.expect_problem(403, "foreign-tenant");
    let [events, of_system] = logs.news();
    assert_eq!((events.len(), of_system.len()), (1, 0));
    assert_eq!(events[0]["action"], "payload_refused");

    viewer.get("/v1/mass-requests/nonsense").await.expect(404);
    app.anonymous().post("/v1/auth/register").await.expect_problem(403, "registration-closed");
    logs.expect_nothing();
}

async fn records_refused_credentials(app: TestApp) {
    let key = app.post(KEYS).json(&json!({"name": "gateway", "permissions": ["mass:read"]})).await.expect(201);
    let token = key.text("/token");
    let other_secret =
        format!("{}{}", &token[..token.len() - 4], if token.ends_with("0000") { "1111" } else { "0000" });
    let forged =
        Forgery::of(app.founder().token()).secret("another signing key that MASS was never given at all").sign();
    let expired = Forgery::of(app.founder().token()).lives(-7200, -3600).sign();
    let mut logs = Logs::new(&app);
    app.anonymous().get(REQUESTS).await.expect(401);
    logs.expect_nothing();
    let prefix = key.text("/prefix");
    for (bad, detail) in [
        ("nonsense", json!({"reason": "token_malformed"})),
        (&forged, json!({"reason": "token_signature_wrong"})),
        (&expired, json!({"reason": "token_expired"})),
        ("mass_nonsense", json!({"reason": "key_malformed"})),
        (&other_secret, json!({"reason": "key_secret_wrong", "key_prefix": prefix})),
    ] {
        let answer = app.bearer(bad).get(REQUESTS).await.expect_problem(401, "unauthenticated");
        let object = json!({"kind": "operation", "id": "GET /v1/mass-requests"});
        logs.expect_of_system(&answer, &refused("credentials_refused", &stranger(), object, detail));
    }
    app.delete(&format!("{KEYS}/{}", key.id())).await.expect(204);
    logs.news();
    let answer = app.bearer(&token).head(&format!("{REQUESTS}/1")).await.expect(401);
    let object = json!({"kind": "operation", "id": "GET /v1/mass-requests/{id}"});
    let detail = json!({"reason": "key_revoked", "key_prefix": prefix});
    logs.expect_of_system(&answer, &refused("credentials_refused", &stranger(), object, detail));
    let basic = app.anonymous().get(REQUESTS).header("Authorization", "Basic bWFzczptYXNz").await.expect(401);
    let object = json!({"kind": "operation", "id": "GET /v1/mass-requests"});
    let detail = json!({"reason": "not_a_bearer_token"});
    logs.expect_of_system(&basic, &refused("credentials_refused", &stranger(), object, detail));
}

async fn records_only_some_of_many_refused_credentials(app: TestApp) {
    let mut logs = Logs::new(&app);
    let [here, there] = ["127.0.0.2", "127.0.0.3"].map(|address| app.bearer("nonsense").coming_from(address));
    for _ in 0..100 {
        here.get(REQUESTS).await.expect_problem(401, "unauthenticated");
    }
    let [_, told] = logs.news();
    assert!((30..100).contains(&told.len()), "{}", told.len());
    there.get(REQUESTS).await.expect(401);
    assert_eq!(logs.news()[1].len(), 1);
}

async fn actions_that_cannot_be_recorded_are_not_done(app: TestApp) {
    let viewer = app.user(Role::Viewer).await;
    let email = email_of(&viewer).await;
    let key = app.post(KEYS).json(&json!({"name": "gateway", "permissions": ["mass:read"]})).await.expect(201);
    let state = || {
        [
            "users WHERE disabled_at IS NULL",
            "tenants",
            "tenants WHERE auto_send",
            "api_keys WHERE revoked_at IS NULL",
            "quotas",
            "audit_events",
        ]
        .into_iter()
        .chain(["sessions WHERE revoked_at IS NULL", "directory", "refresh_tokens WHERE spent_at IS NULL"])
        .map(|rows| app.database().count(rows))
        .collect::<Vec<_>>()
    };
    let before = state();
    app.database().refuse_events();
    let id = id_of(&viewer).await;
    for call in [
        app.post(USERS).json(&json!({"email": "ana@example.test", "roles": ["viewer"], "password": PASSWORD})),
        app.patch(&format!("{USERS}/{id}")).json(&json!({"disabled": true})),
        app.post(KEYS).json(&json!({"name": "another", "permissions": ["mass:read"]})),
        app.delete(&format!("{KEYS}/{}", key.id())),
        app.founder().put("/v1/admin/quotas").json(&json!({"requests_per_day": 7})),
        app.founder().put("/v1/admin/settings").json(&json!({"auto_send": true})),
        app.post("/v1/admin/tenants").json(&json!({"id": "third", "admin": {"email": "ana@third.test"}})),
        viewer.post("/v1/auth/password").json(&json!({"current_password": PASSWORD, "new_password": NEW})),
        viewer.post("/v1/auth/logout"),
        app.anonymous().post(LOGIN).json(&json!({"email": email, "password": PASSWORD})),
        app.anonymous().post(LOGIN).json(&json!({"email": email, "password": WRONG})),
        viewer.get(USERS),
    ] {
        call.await.expect_problem(500, "internal");
    }
    // The stranger gets the answer, and causes nothing else.
    app.bearer("nonsense").get(USERS).await.expect_problem(401, "unauthenticated");
    assert_eq!(state(), before);
}

async fn events_contain_no_secrets(app: TestApp) {
    let viewer = app.user(Role::Viewer).await;
    let email = email_of(&viewer).await;
    let key = app.post(KEYS).json(&json!({"name": "gateway", "permissions": ["mass:read"]})).await.expect(201);
    let login = log_in(&app.anonymous(), &email, PASSWORD).await.expect(200);
    log_in(&app.anonymous(), &email, WRONG).await.expect(401);
    log_in(&app.anonymous(), WRONG, WRONG).await.expect(401);
    let refresh = json!({"refresh_token": login.text("/refresh_token")});
    let next = app.anonymous().post("/v1/auth/refresh").json(&refresh).await.expect(200);
    app.anonymous().post("/v1/auth/refresh").json(&refresh).await.expect(401);
    viewer
        .post("/v1/auth/password")
        .json(&json!({"current_password": PASSWORD, "new_password": NEW}))
        .await
        .expect(204);
    let made_up = app.post(USERS).json(&json!({"email": "ana@example.test", "roles": ["viewer"]})).await.expect(201);
    app.delete(&format!("{KEYS}/{}", key.id())).await.expect(204);
    app.bearer(&key.text("/token")).get(REQUESTS).await.expect(401);
    app.bearer(&login.text("/access_token")).get(REQUESTS).await.expect(401);
    let secrets = [
        PASSWORD.to_owned(),
        WRONG.to_owned(),
        NEW.to_owned(),
        key.text("/token").rsplit('_').next().unwrap().to_owned(),
        login.text("/access_token").rsplit('.').next().unwrap().to_owned(),
        login.text("/refresh_token"),
        next.text("/refresh_token"),
        made_up.text("/password"),
    ];
    let events = app.database().lines("SELECT event AS line FROM audit_events").join("\n");
    assert!(events.contains("password_changed") && events.contains("key_revoked"));
    for secret in secrets {
        assert!(!events.contains(&secret), "{secret}");
    }
}

async fn administration_and_ingestion_share_a_gapless_log(app: TestApp) {
    let other = app.another().await;
    let before = read(&app.database().lines(&query(TENANT))).len();
    let numbers = 0..12;
    // More concurrent log-ins would be throttled.
    let sends = numbers.clone().map(async |n| {
        app.post(REQUESTS).json(&reading(&format!("dev-{n}"))).await.expect(201);
    });
    let logins = (0..4).map(async |n| {
        let client = other.log_in(FOUNDER, PASSWORD).await;
        if n % 2 == 0 {
            client.post("/v1/auth/logout").await.expect(204);
        }
    });
    let changes = numbers.clone().map(async |n| {
        app.founder().put("/v1/admin/quotas").json(&json!({"requests_per_day": 1000 + n})).await.expect(200);
    });
    futures_util::join!(join_all(sends), join_all(logins), join_all(changes));
    let events = read(&app.database().lines(&query(TENANT)));
    let count = |action: &str| events[before..].iter().filter(|event| event["action"] == action).count();
    let counts = ["accepted", "logged_in", "logged_out", "quotas_set"].map(count);
    assert_eq!(counts, [12, 4, 2, 12]);
    assert_eq!(events.len(), before + 30);
}
