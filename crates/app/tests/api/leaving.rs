//! Those who leave: sessions that end, passwords that are reset, addresses that change, users who are deleted.

use mass_domain::access::Role;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::client::Client;
use crate::support::{PASSWORD, TestApp};

on_both! {
    an_administrator_lists_and_ends_sessions_of_the_tenant,
    a_password_is_reset_over_the_api,
    a_user_gets_another_address,
    a_deleted_user_leaves_only_its_id,
    what_must_not_be_reset_or_deleted_is_refused,
}

also_restricted! {
    a_user_gets_another_address,
    a_deleted_user_leaves_only_its_id,
}

/// A user of the tenant with an address of its own.
struct Person {
    id: String,
    email: String,
}

async fn invite(app: &TestApp, roles: &[&str]) -> Person {
    let email = format!("{}@example.test", Uuid::now_v7());
    let new = json!({"email": email, "roles": roles, "password": PASSWORD});
    let id = app.founder().post("/v1/admin/users").json(&new).await.expect(201).id();
    Person { id, email }
}

impl Person {
    async fn log_in(&self, app: &TestApp) -> Client {
        let login = app.anonymous().post("/v1/auth/login").json(&self.credentials()).await.expect(200);
        app.bearer(&login.text("/access_token"))
    }

    fn credentials(&self) -> Value {
        json!({"email": self.email, "password": PASSWORD})
    }

    fn path(&self) -> String {
        format!("/v1/admin/users/{}", self.id)
    }
}

/// Returns the last event of an action about an object, as text.
async fn last_event(app: &TestApp, action: &str, object: &str) -> String {
    let path = format!("/v1/audit/events?action={action}&object_kind={}", object.replace('/', "&object_id="));
    app.founder().get(&path).await.expect(200).at("/items/0").to_string()
}

async fn an_administrator_lists_and_ends_sessions_of_the_tenant(app: TestApp) {
    let (one, other) = (invite(&app, &["viewer"]).await, invite(&app, &["operator"]).await);
    let (first, second) = (one.log_in(&app).await, other.log_in(&app).await);
    let path = format!("/v1/admin/sessions?user={}", one.id);
    let of_one = app.founder().get(&path).await.expect(200);
    assert_eq!(of_one.at("/items").as_array().unwrap().len(), 1);
    let all = app.founder().get("/v1/admin/sessions?limit=500").await.expect(200);
    let users: Vec<Value> = all.at("/items").as_array().unwrap().iter().map(|it| it["user_id"].clone()).collect();
    assert!(users.contains(&json!(one.id)) && users.contains(&json!(other.id)), "{users:?}");
    app.founder().delete(&format!("/v1/admin/sessions/{}", of_one.text("/items/0/id"))).await.expect(204);
    first.get("/v1/auth/me").await.expect(401);
    second.get("/v1/auth/me").await.expect(200);
    // An administrator of the tenant cannot log out who may do more.
    let admin = app.user(Role::Admin).await;
    let founders = app.founder().get("/v1/auth/sessions").await.expect(200).text("/items/0/id");
    admin.delete(&format!("/v1/admin/sessions/{founders}")).await.expect(403);
    app.founder().get("/v1/admin/sessions?user=nobody").await.expect(422);
}

async fn a_password_is_reset_over_the_api(app: TestApp) {
    let person = invite(&app, &["viewer"]).await;
    let session = person.log_in(&app).await;
    let path = format!("{}/password", person.path());
    let reset = app.founder().post(&path).json(&json!({})).await.expect(200);
    session.get("/v1/auth/me").await.expect(401);
    app.anonymous().post("/v1/auth/login").json(&person.credentials()).await.expect(401);
    let made_up = json!({"email": person.email, "password": reset.text("/password")});
    app.anonymous().post("/v1/auth/login").json(&made_up).await.expect(200);
    let given = json!({"password": "seven kestrels over the harbour"});
    assert_eq!(app.founder().post(&path).json(&given).await.expect(200).at("/password"), Value::Null);
    let login = json!({"email": person.email, "password": "seven kestrels over the harbour"});
    app.anonymous().post("/v1/auth/login").json(&login).await.expect(200);
    for weak in ["short", person.email.as_str()] {
        let refused = app.founder().post(&path).json(&json!({"password": weak})).await.expect(422);
        assert_eq!(refused.text("/violations/0/pointer"), "/password");
    }
    let event = last_event(&app, "password_reset", &format!("user/{}", person.id)).await;
    assert!(!event.contains("kestrels") && event.contains("sha256:"), "{event}");
}

async fn a_user_gets_another_address(app: TestApp) {
    let person = invite(&app, &["viewer"]).await;
    let session = person.log_in(&app).await;
    let email = format!("{}@example.test", Uuid::now_v7());
    let changed = app.founder().patch(&person.path()).json(&json!({"email": email.to_uppercase()})).await.expect(200);
    assert_eq!(changed.text("/email"), email);
    assert_eq!(session.get("/v1/auth/me").await.expect(200).text("/email"), email);
    app.anonymous().post("/v1/auth/login").json(&person.credentials()).await.expect(401);
    let login = json!({"email": email, "password": PASSWORD});
    app.anonymous().post("/v1/auth/login").json(&login).await.expect(200);
    let event = last_event(&app, "user_changed", &format!("user/{}", person.id)).await;
    assert!(event.contains("email_changed") && !event.contains('@'), "{event}");

    // The address of before is free, and that of another user is not.
    let other = invite(&app, &["viewer"]).await;
    let taken = app.founder().patch(&other.path()).json(&json!({"email": email})).await.expect(409);
    assert_eq!(taken.text("/type"), "/problems/email-taken");
    app.founder().patch(&other.path()).json(&json!({"email": person.email})).await.expect(200);
    app.founder().patch(&other.path()).json(&json!({"email": "nobody"})).await.expect(422);
}

async fn a_deleted_user_leaves_only_its_id(app: TestApp) {
    let person = invite(&app, &["admin"]).await;
    let session = person.log_in(&app).await;
    let key = json!({"name": "gateway", "permissions": ["mass:read"]});
    let key = session.post("/v1/admin/api-keys").json(&key).await.expect(201);
    app.founder().delete(&person.path()).await.expect(204);
    session.get("/v1/auth/me").await.expect(401);
    app.bearer(&key.text("/token")).get("/v1/mass-requests").await.expect(401);
    app.anonymous().post("/v1/auth/login").json(&person.credentials()).await.expect(401);

    let left = app.founder().get(&person.path()).await.expect(200);
    assert_eq!(left.text("/email"), format!("{}@deleted.invalid", person.id));
    assert!(left.at("/deleted_at").is_string() && left.at("/disabled_at").is_string());
    assert_eq!(app.database().count(&format!("users WHERE email = '{}'", person.email)), 0);
    assert_eq!(app.database().count(&format!("directory WHERE key = '{}'", person.email)), 0);
    let event = last_event(&app, "user_deleted", &format!("user/{}", person.id)).await;
    assert!(event.contains(r#""revoked_keys":1"#) && !event.contains('@'), "{event}");

    // It stays deleted, and somebody else may have the address.
    app.founder().delete(&person.path()).await.expect(204);
    app.founder().patch(&person.path()).json(&json!({"disabled": false})).await.expect(404);
    app.founder().post(&format!("{}/password", person.path())).json(&json!({})).await.expect(404);
    let again = json!({"email": person.email, "roles": ["viewer"], "password": PASSWORD});
    let newcomer = app.founder().post("/v1/admin/users").json(&again).await.expect(201);
    assert_ne!(newcomer.id(), person.id);
    app.anonymous().post("/v1/auth/login").json(&person.credentials()).await.expect(200);
}

async fn what_must_not_be_reset_or_deleted_is_refused(app: TestApp) {
    let founder = app.founder().get("/v1/auth/me").await.expect(200).text("/id");
    let own = app.founder().post(&format!("/v1/admin/users/{founder}/password")).json(&json!({})).await.expect(403);
    assert!(own.text("/detail").contains("/v1/auth/password"));
    let last = app.founder().delete(&format!("/v1/admin/users/{founder}")).await.expect(409);
    assert_eq!(last.text("/type"), "/problems/last-administrator");
    // The founder manages tenants, too, which an administrator of one does not.
    let admin = app.user(Role::Admin).await;
    admin.post(&format!("/v1/admin/users/{founder}/password")).json(&json!({})).await.expect(403);
    admin.delete(&format!("/v1/admin/users/{founder}")).await.expect(403);
    admin.patch(&format!("/v1/admin/users/{founder}")).json(&json!({"email": "x@example.test"})).await.expect(403);
    app.founder().get("/v1/auth/me").await.expect(200);
}
