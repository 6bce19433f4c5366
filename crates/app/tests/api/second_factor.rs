//! The second factor: enrolled, asked for, proved anew, lost and reset.

use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE32_NOPAD;
use mass_domain::access::Role;
use serde_json::{Value, json};
use totp_rs::{Algorithm, Builder};
use uuid::Uuid;

use crate::support::client::Client;
use crate::support::process::{Workplace, workplaces_on_both};
use crate::support::{PASSWORD, TestApp};

on_both! {
    a_user_enrols_and_logs_in_with_a_code,
    a_code_and_a_recovery_code_are_good_once,
    guesses_of_codes_are_delayed,
    where_it_is_demanded_nothing_but_enrolment_is_allowed,
    what_is_sensitive_needs_a_fresh_proof,
    an_administrator_resets_a_lost_factor,
    a_seed_is_stored_encrypted_and_goes_with_its_user,
    a_change_of_the_policy_reaches_other_servers_at_once,
}

also_restricted! {
    a_user_enrols_and_logs_in_with_a_code,
    a_code_and_a_recovery_code_are_good_once,
    where_it_is_demanded_nothing_but_enrolment_is_allowed,
    an_administrator_resets_a_lost_factor,
}

const FACTOR: &str = "/v1/auth/second-factor";

/// A user with its device.
struct Person {
    id: String,
    email: String,
    client: Client,
    secret: String,
    recovery_codes: Vec<String>,
}

/// The code that a device shows, this many steps from now.
fn code(secret: &str, steps: u64) -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let builder =
        Builder::new().with_algorithm(Algorithm::SHA1).with_secret(BASE32_NOPAD.decode(secret.as_bytes()).unwrap());
    builder.build().unwrap().generate(seconds + 30 * steps).to_string()
}

async fn invite(app: &TestApp, roles: &[&str]) -> (String, String, Client) {
    let email = format!("{}@example.test", Uuid::now_v7());
    let new = json!({"email": email, "roles": roles, "password": PASSWORD});
    let id = app.founder().post("/v1/admin/users").json(&new).await.expect(201).id();
    let client = app.log_in(&email, PASSWORD).await;
    (id, email, client)
}

/// Enrols a second factor with the present code.
pub(crate) async fn enrol(client: &Client) -> (String, Vec<String>) {
    let secret = client.post(FACTOR).json(&json!({"password": PASSWORD})).await.expect(201).text("/secret");
    let confirm = json!({"code": code(&secret, 0)});
    let codes = client.post(&format!("{FACTOR}/confirm")).json(&confirm).await.expect(200).json();
    let codes = codes["recovery_codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned());
    (secret, codes.collect())
}

impl Person {
    async fn enrolled(app: &TestApp, roles: &[&str]) -> Self {
        let (id, email, client) = invite(app, roles).await;
        let (secret, recovery_codes) = enrol(&client).await;
        Self { id, email, client, secret, recovery_codes }
    }

    fn login(&self, code: Option<&str>) -> Value {
        let mut login = json!({"email": self.email, "password": PASSWORD});
        if let Some(code) = code {
            login["code"] = code.into();
        }
        login
    }

    /// Makes all codes of the clock good again, as if time had passed.
    fn wait(&self, app: &TestApp) {
        app.execute("UPDATE second_factors SET last_step = 0");
    }
}

/// Makes the proofs of all sessions old, and servers read their callers anew.
fn age_proofs(app: &TestApp) {
    app.execute("UPDATE sessions SET factor_at = '2026-01-01T00:00:00.000000Z' WHERE factor_at IS NOT NULL");
    app.execute("UPDATE tenants SET credentials_version = credentials_version + 1");
}

async fn demand(app: &TestApp, is_demanded: bool) {
    app.founder().put("/v1/admin/settings").json(&json!({"second_factor": is_demanded})).await.expect(200);
}

async fn a_user_enrols_and_logs_in_with_a_code(app: TestApp) {
    let (_, email, client) = invite(&app, &["viewer"]).await;
    let elsewhere = app.log_in(&email, PASSWORD).await;
    let none = json!({"required": false, "enrolled": false, "fresh_until": null, "recovery_codes": 0});
    assert_eq!(client.get(FACTOR).await.expect(200).json(), none);
    // The password is asked for, and another seed replaces one that is not confirmed.
    let wrong = client.post(FACTOR).json(&json!({"password": "wrong"})).await.expect(422);
    assert_eq!(wrong.text("/violations/0/code"), "wrong_password");
    let first = client.post(FACTOR).json(&json!({"password": PASSWORD})).await.expect(201);
    assert!(first.text("/uri").starts_with("otpauth://totp/MASS:"), "{}", first.text("/uri"));
    let second = client.post(FACTOR).json(&json!({"password": PASSWORD})).await.expect(201).text("/secret");
    let confirm = format!("{FACTOR}/confirm");
    let of_first = json!({"code": code(&first.text("/secret"), 0)});
    let refused = client.post(&confirm).json(&of_first).await.expect(422);
    assert_eq!(refused.text("/violations/0/code"), "wrong_code");
    // Until it is confirmed it is not asked for.
    app.log_in(&email, PASSWORD).await;
    let codes = client.post(&confirm).json(&json!({"code": code(&second, 0)})).await.expect(200).json();
    assert_eq!(codes["recovery_codes"].as_array().unwrap().len(), 10);
    elsewhere.get("/v1/auth/me").await.expect(401);
    let state = client.get(FACTOR).await.expect(200).json();
    assert_eq!((&state["enrolled"], &state["recovery_codes"]), (&json!(true), &json!(10)));
    assert!(state["fresh_until"].is_string(), "{state}");
    let me = client.get("/v1/auth/me").await.expect(200);
    assert_eq!(me.at("/second_factor/enrolled"), true);
    client.post(FACTOR).json(&json!({"password": PASSWORD})).await.expect(409);
    client.post(&confirm).json(&json!({"code": code(&second, 1)})).await.expect(409);
    // The password alone does not suffice any more.
    let login = |code: Option<String>| {
        let mut login = json!({"email": email, "password": PASSWORD});
        if let Some(code) = code {
            login["code"] = code.into();
        }
        app.anonymous().post("/v1/auth/login").json(&login)
    };
    assert_eq!(login(None).await.expect(401).text("/type"), "/problems/second-factor-code-required");
    assert_eq!(
        login(Some("000000".to_owned())).await.expect(401).text("/type"),
        "/problems/second-factor-code-required"
    );
    let wrong = json!({"email": email, "password": "wrong", "code": code(&second, 1)});
    let wrong = app.anonymous().post("/v1/auth/login").json(&wrong).await.expect(401);
    assert_eq!(wrong.text("/type"), "/problems/invalid-credentials", "a wrong password says nothing of the factor");
    let session = app.bearer(&login(Some(code(&second, 1))).await.expect(200).text("/access_token"));
    assert!(session.get("/v1/auth/me").await.expect(200).at("/second_factor/fresh_until").is_string());
    // The audit trail has it all, and no code.
    let events = app.founder().get("/v1/audit/events?limit=100").await.expect(200).json().to_string();
    for action in ["second_factor_enrolled", "\"second_factor\":\"totp\"", "wrong_code", "wrong_password"] {
        assert!(events.contains(action), "{action}: {events}");
    }
    assert!(!events.contains(&second));
}

async fn a_code_and_a_recovery_code_are_good_once(app: TestApp) {
    let person = Person::enrolled(&app, &["viewer"]).await;
    let login = |code: &str| app.anonymous().post("/v1/auth/login").json(&person.login(Some(code)));
    let next = code(&person.secret, 1);
    login(&next).await.expect(200);
    login(&next).await.expect(401);
    // The code before is good no more either.
    let prove = format!("{FACTOR}/prove");
    let replayed = person.client.post(&prove).json(&json!({"code": code(&person.secret, 0)})).await.expect(422);
    assert_eq!(replayed.text("/violations/0/code"), "wrong_code");
    let [one, other, ..] = &person.recovery_codes[..] else { panic!("{:?}", person.recovery_codes) };
    login(one).await.expect(200);
    login(one).await.expect(401);
    let typed = other.replace('-', " ").to_uppercase();
    let proved = person.client.post(&prove).json(&json!({"code": typed})).await.expect(200).json();
    assert_eq!(proved["recovery_codes"], 8);
    person.client.post(&prove).json(&json!({"code": other})).await.expect(422);
    // Ten attempts at once with one code open one session.
    person.wait(&app);
    app.execute("DELETE FROM login_attempts");
    let code = code(&person.secret, 0);
    let attempts = (0..10).map(|_| async { login(&code).await.status });
    let statuses = futures_util::future::join_all(attempts).await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    let replaced = person.client.post(&format!("{FACTOR}/recovery-codes")).await.expect(200).json();
    assert_eq!(replaced["recovery_codes"].as_array().unwrap().len(), 10);
    app.execute("DELETE FROM login_attempts");
    login(&person.recovery_codes[5]).await.expect(401);
    login(replaced["recovery_codes"][5].as_str().unwrap()).await.expect(200);
}

async fn guesses_of_codes_are_delayed(app: TestApp) {
    let person = Person::enrolled(&app, &["viewer"]).await;
    let prove = |code: &str| person.client.post(&format!("{FACTOR}/prove")).json(&json!({"code": code}));
    let mut statuses = Vec::new();
    for _ in 0..7 {
        statuses.push(prove("abcdef").await.status);
    }
    assert_eq!(statuses[..5], [422; 5]);
    assert_eq!(statuses[6], 429, "{statuses:?}");
    // The right code has to wait, too; the counter is that of the log-ins.
    prove(&code(&person.secret, 1)).await.expect(429);
    app.anonymous().post("/v1/auth/login").json(&person.login(Some("000000"))).await.expect(429);
    // A right password does not take the failures back.
    app.execute("DELETE FROM login_attempts");
    let login = |code: Option<&str>| app.anonymous().post("/v1/auth/login").json(&person.login(code));
    let mut statuses = Vec::new();
    for attempt in 0..7 {
        statuses.push(login((attempt % 2 == 0).then_some("000000")).await.status);
    }
    assert_eq!((&statuses[..5], statuses[6]), (&[401; 5][..], 429), "{statuses:?}");
}

async fn where_it_is_demanded_nothing_but_enrolment_is_allowed(app: TestApp) {
    let (_, email, admin) = invite(&app, &["admin", "operator"]).await;
    let operator = app.user(Role::Operator).await;
    let (founders_secret, _) = enrol(app.founder()).await;
    demand(&app, true).await;
    // Whoever administers nothing goes on as before, and so do keys.
    operator.get("/v1/mass-requests").await.expect(200);
    let me = admin.get("/v1/auth/me").await.expect(200);
    assert_eq!((me.at("/permissions"), me.at("/second_factor/required")), (json!([]), json!(true)));
    for path in ["/v1/mass-requests", "/v1/admin/users", "/v1/auth/sessions", "/v1/contracts", "/v1/audit/events"] {
        let refused = admin.get(path).await.expect(403);
        assert_eq!(refused.text("/type"), "/problems/second-factor-required", "{path}");
        assert_eq!(refused.text("/needs"), "enrolment", "{path}");
    }
    let reading = crate::support::documents::reading("dev-1");
    assert_eq!(admin.post("/v1/mass-requests").json(&reading).await.expect(403).text("/needs"), "enrolment");
    // Logging in again helps nothing, enrolling does.
    let again = app.log_in(&email, PASSWORD).await;
    again.get("/v1/admin/users").await.expect(403);
    let (secret, _) = enrol(&again).await;
    again.get("/v1/admin/users").await.expect(200);
    admin.get("/v1/auth/me").await.expect(401);
    // Without the factor, all is as it was before it.
    again.delete(FACTOR).await.expect(204);
    again.get("/v1/admin/users").await.expect(403);
    demand(&app, false).await;
    again.get("/v1/admin/users").await.expect(200);
    assert_ne!(secret, founders_secret);
    let refusals = app.founder().get("/v1/audit/events?action=access_refused&limit=100").await.expect(200).json();
    assert!(refusals.to_string().contains("second_factor_required"), "{refusals}");
}

async fn what_is_sensitive_needs_a_fresh_proof(app: TestApp) {
    let person = Person::enrolled(&app, &["admin", "auditor"]).await;
    let (other, ..) = invite(&app, &["viewer"]).await;
    age_proofs(&app);
    let client = &person.client;
    client.get("/v1/admin/users").await.expect(200);
    let user = format!("/v1/admin/users/{other}");
    let key = json!({"name": "gateway", "permissions": ["mass:write"]});
    let new = json!({"email": format!("{}@example.test", Uuid::now_v7()), "roles": ["viewer"]});
    let calls = || {
        [
            client.post("/v1/admin/api-keys").json(&key),
            client.post("/v1/admin/users").json(&new),
            client.patch(&user).json(&json!({"roles": ["operator"]})),
            client.post(&format!("{user}/password")).json(&json!({})),
            client.delete(&format!("{user}/second-factor")),
            client.put("/v1/admin/settings").json(&json!({})),
            client.get("/v1/mass-requests/export"),
            client.get("/v1/audit/export"),
            client.post(&format!("{FACTOR}/recovery-codes")),
        ]
    };
    for call in calls() {
        let refused = call.await.expect(403);
        assert_eq!(refused.text("/type"), "/problems/second-factor-required");
        assert_eq!(refused.text("/needs"), "proof");
    }
    client.delete(&user).await.expect(403);
    client.delete(FACTOR).await.expect(403);
    let proof = json!({"code": code(&person.secret, 1)});
    let proved = client.post(&format!("{FACTOR}/prove")).json(&proof).await.expect(200);
    assert!(proved.at("/fresh_until").is_string());
    for call in calls() {
        let answer = call.await;
        assert!(answer.status < 300, "{}", String::from_utf8_lossy(&answer.body));
    }
    client.delete(FACTOR).await.expect(204);
    // Who has none, and must not, is asked for none.
    client.get("/v1/mass-requests/export").await.expect(200);
}

async fn an_administrator_resets_a_lost_factor(app: TestApp) {
    let person = Person::enrolled(&app, &["operator"]).await;
    let admin = app.user(Role::Admin).await;
    let path = format!("/v1/admin/users/{}/second-factor", person.id);
    let shown = admin.get(&format!("/v1/admin/users/{}", person.id)).await.expect(200);
    assert!(shown.at("/second_factor_at").is_string());
    admin.delete(&path).await.expect(204);
    person.client.get("/v1/auth/me").await.expect(401);
    let client = app.log_in(&person.email, PASSWORD).await;
    assert_eq!(client.get(FACTOR).await.expect(200).at("/enrolled"), false);
    admin.delete(&path).await.expect(204);
    // Not of who may do more.
    let founder = app.founder().get("/v1/auth/me").await.expect(200).text("/id");
    enrol(app.founder()).await;
    admin.delete(&format!("/v1/admin/users/{founder}/second-factor")).await.expect(403);
    assert_eq!(app.founder().get(FACTOR).await.expect(200).at("/enrolled"), true);
    let foreign = app.foreigner(Role::Admin).await;
    foreign.delete(&path).await.expect(404);
}

async fn a_seed_is_stored_encrypted_and_goes_with_its_user(app: TestApp) {
    let person = Person::enrolled(&app, &["viewer"]).await;
    let seed = BASE32_NOPAD.decode(person.secret.as_bytes()).unwrap();
    let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    let is_postgres = app.database().url().starts_with("postgres");
    let query = if is_postgres {
        "SELECT encode(sealed, 'hex') AS line FROM second_factors"
    } else {
        "SELECT lower(hex(sealed)) AS line FROM second_factors"
    };
    let sealed = app.database().lines(query);
    assert_eq!(sealed.len(), 1);
    assert!(!sealed[0].contains(&hex) && sealed[0].len() > hex.len(), "{sealed:?}");
    app.founder().delete(&format!("/v1/admin/users/{}", person.id)).await.expect(204);
    assert_eq!(app.database().lines(query), Vec::<String>::new());
}

async fn a_change_of_the_policy_reaches_other_servers_at_once(app: TestApp) {
    let other = app.another().await;
    let admin = app.user(Role::Admin).await;
    let there = other.bearer(admin.token());
    there.get("/v1/admin/users").await.expect(200);
    demand(&app, true).await;
    assert_eq!(there.get("/v1/admin/users").await.expect(403).text("/needs"), "enrolment");
    let (secret, _) = enrol(&there).await;
    admin.get("/v1/admin/users").await.expect(200);
    age_proofs(&app);
    let key = json!({"name": "gateway", "permissions": ["mass:write"]});
    admin.post("/v1/admin/api-keys").json(&key).await.expect(403);
    there.post(&format!("{FACTOR}/prove")).json(&json!({"code": code(&secret, 1)})).await.expect(200);
    admin.post("/v1/admin/api-keys").json(&key).await.expect(201);
}

/// The commands of the program.
mod command_line {
    use super::*;

    workplaces_on_both! {
        resets_a_lost_factor,
    }

    async fn resets_a_lost_factor(workplace: Workplace) {
        let server = workplace.serve();
        let token = server.token().await;
        let post = |path: &str, body: Value| server.post(path, &body).bearer_auth(&token).send();
        let seed: Value = post(FACTOR, json!({"password": PASSWORD})).await.unwrap().json().await.unwrap();
        let confirm = json!({"code": code(seed["secret"].as_str().unwrap(), 0)});
        assert_eq!(post(&format!("{FACTOR}/confirm"), confirm).await.unwrap().status(), 200);
        let email = crate::support::process::EMAIL;
        assert_eq!(server.try_to_log_in(email, PASSWORD).await.status(), 401);
        let ended = workplace.mass(&["reset-second-factor", "--email", email]);
        assert_eq!(
            (ended.status, ended.stdout.as_str()),
            (Some(0), "admin@mass.local has no second factor, and no session\n")
        );
        assert_eq!(server.try_to_log_in(email, PASSWORD).await.status(), 200);
        let ended = workplace.mass(&["reset-second-factor", "--email", "nobody@example.test"]);
        assert_eq!(ended.status, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("there is no such user"), "{ended:?}");
    }
}
