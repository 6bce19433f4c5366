//! Self-registration of users.

use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::{FOUNDER, PASSWORD, TENANT, TestApp};

on_both!(
    registration_is_closed_unless_the_configuration_opens_it,
    registration_creates_a_viewer,
    a_taken_address_gets_the_same_answer_as_a_free_one,
    reports_each_violation_of_a_registration,
);

also_restricted!(registration_creates_a_viewer);

const ANOTHER_PASSWORD: &str = "seven kestrels over the harbour";

async fn open(app: &TestApp) -> TestApp {
    app.another_with(&[("--allow-registration", "true")]).await
}

async fn register(app: &TestApp, email: &str, password: &str) -> Answer {
    app.anonymous().post("/v1/auth/register").json(&json!({"email": email, "password": password})).await
}

async fn registration_is_closed_unless_the_configuration_opens_it(app: TestApp) {
    register(&app, "ana@example.test", PASSWORD).await.expect_problem(403, "registration-closed");
    for body in ["{", "[]", "{}"] {
        let refused = app.anonymous().post("/v1/auth/register").body(body).await;
        refused.expect_problem(403, "registration-closed");
    }
    app.anonymous().post("/v1/auth/register").await.expect_problem(403, "registration-closed");
}

async fn registration_creates_a_viewer(app: TestApp) {
    let app = open(&app).await;
    let registered = register(&app, "Ana@example.test", PASSWORD).await.expect(204);
    assert!(registered.body.is_empty());
    let me = app.log_in("ana@example.test", PASSWORD).await.get("/v1/auth/me").await.expect(200);
    assert_eq!((me.text("/tenant_id"), me.at("/roles")), (TENANT.to_owned(), json!(["viewer"])));
}

async fn a_taken_address_gets_the_same_answer_as_a_free_one(app: TestApp) {
    let app = open(&app).await;
    let free = register(&app, "ana@example.test", PASSWORD).await.expect(204);
    let taken = register(&app, FOUNDER, ANOTHER_PASSWORD).await.expect(204);
    assert_eq!(free.header_names(), taken.header_names());
    let credentials = json!({"email": FOUNDER, "password": ANOTHER_PASSWORD});
    let login = app.anonymous().post("/v1/auth/login").json(&credentials).await;
    login.expect_problem(401, "invalid-credentials");
    app.log_in(FOUNDER, PASSWORD).await;
}

async fn reports_each_violation_of_a_registration(app: TestApp) {
    let app = open(&app).await;
    for (email, password, violation) in
        [("ana", PASSWORD, "/email shape"), ("ana@example.test", "short", "/password too_short")]
    {
        let refused = register(&app, email, password).await;
        refused.expect_violations("contract-violation", &[violation]);
    }
    let roles = json!({"email": "ana@example.test", "password": PASSWORD, "roles": ["admin"]});
    let refused = app.anonymous().post("/v1/auth/register").json(&roles).await;
    assert_eq!(refused.expect_problem(422, "contract-violation").at("/violations/0/pointer"), Value::from("/roles"));
}
