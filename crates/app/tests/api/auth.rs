//! Log-in, and the access that a token gives.

use jsonwebtoken::Algorithm;
use mass_app::http::OPERATIONS;
use mass_app::http::operations::Access;
use mass_domain::access::{Permission, Role};
use reqwest::header::WWW_AUTHENTICATE;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::documents::reading;
use crate::support::operations::{self, Operation};
use crate::support::tokens::{self, Forgery};
use crate::support::{FOUNDER, PASSWORD, TENANT, TestApp};

on_both!(
    a_login_returns_a_token_that_identifies_the_user,
    email_addresses_are_case_insensitive,
    all_wrong_credentials_get_the_same_answer,
    tokens_have_the_documented_claims,
    the_authorization_scheme_is_case_insensitive,
    tokens_of_the_previous_signing_key_are_accepted,
    a_disabled_user_is_refused_at_once,
    a_removed_role_has_no_effect_at_once,
    an_operation_cannot_be_called_without_a_token,
    no_operation_accepts_a_forged_token,
    no_operation_accepts_other_forms_of_credentials,
    each_operation_refuses_exactly_the_roles_without_its_permission,
    objects_of_another_tenant_are_not_found,
    deleting_an_object_of_another_tenant_finds_nothing,
);

also_restricted!(
    a_login_returns_a_token_that_identifies_the_user,
    objects_of_another_tenant_are_not_found,
    deleting_an_object_of_another_tenant_finds_nothing,
);

/// A well-formed id that does not exist.
const NOBODY: &str = "0199d3a0-0000-7000-8000-000000000001";

async fn log_in(client: &Client, email: &str, password: &str) -> Answer {
    client.post("/v1/auth/login").json(&json!({"email": email, "password": password})).await
}

async fn a_login_returns_a_token_that_identifies_the_user(app: TestApp) {
    let login = log_in(&app.anonymous(), FOUNDER, PASSWORD).await.expect(200);
    assert_eq!(login.at("/token_type"), "Bearer");
    assert_eq!(login.at("/expires_in"), 900);
    let me = app.bearer(&login.text("/access_token")).get("/v1/auth/me").await.expect(200).json();
    assert_eq!((&me["kind"], &me["email"], &me["tenant_id"]), (&json!("user"), &json!(FOUNDER), &json!(TENANT)));
    assert_eq!(me["roles"], json!(["operator", "admin", "platform_admin"]));
    assert!(me["permissions"].as_array().unwrap().contains(&json!("mass:write")));
}

async fn email_addresses_are_case_insensitive(app: TestApp) {
    log_in(&app.anonymous(), "Founder@EXAMPLE.test", PASSWORD).await.expect(200);
}

async fn all_wrong_credentials_get_the_same_answer(app: TestApp) {
    let anonymous = app.anonymous();
    let wrong = log_in(&anonymous, FOUNDER, "incorrect horse battery staple").await;
    let wrong = wrong.expect_problem(401, "invalid-credentials");
    for email in ["nobody@example.test", "no address", "@"] {
        let other = log_in(&anonymous, email, PASSWORD).await;
        assert_eq!(other.without_ids(), wrong.without_ids(), "{email}");
        assert_eq!(other.header("www-authenticate"), Some(r#"Bearer realm="mass""#));
    }
    app.execute(&format!("UPDATE users SET disabled_at = created_at WHERE email = '{FOUNDER}'"));
    let disabled = log_in(&anonymous, FOUNDER, PASSWORD).await;
    assert_eq!(disabled.without_ids(), wrong.without_ids());
}

async fn tokens_have_the_documented_claims(app: TestApp) {
    let (header, claims) = tokens::decode(app.founder().token());
    assert_eq!(header["alg"], "HS256");
    assert_eq!(header["typ"], "at+jwt");
    assert!(header["kid"].is_string());
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("mass"), &json!("mass-api")));
    assert_eq!(claims["sub"], app.get("/v1/auth/me").await.json()["id"]);
    assert_eq!(claims["nbf"], claims["iat"]);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
    let again = log_in(&app.anonymous(), FOUNDER, PASSWORD).await.text("/access_token");
    assert_ne!(tokens::decode(&again).1["jti"], claims["jti"]);
}

async fn the_authorization_scheme_is_case_insensitive(app: TestApp) {
    for scheme in ["bearer", "BEARER"] {
        let credentials = format!("{scheme} {}", app.founder().token());
        app.anonymous().get("/v1/auth/me").header("Authorization", &credentials).await.expect(200);
    }
}

async fn tokens_of_the_previous_signing_key_are_accepted(app: TestApp) {
    let old = app.founder().token().to_owned();
    let newer = ("--secret-key", "another signing key, which is long enough too");
    let app = app.restart(&[newer, ("--secret-key-previous", tokens::SECRET_KEY)]).await;
    app.bearer(&old).get("/v1/auth/me").await.expect(200);
    app.get("/v1/auth/me").await.expect(200);
    let app = app.restart(&[newer]).await;
    app.bearer(&old).get("/v1/auth/me").await.expect_problem(401, "unauthenticated");
    app.get("/v1/auth/me").await.expect(200);
}

async fn a_disabled_user_is_refused_at_once(app: TestApp) {
    app.get("/v1/auth/me").await.expect(200);
    app.execute(&format!("UPDATE users SET disabled_at = created_at WHERE email = '{FOUNDER}'"));
    app.get("/v1/auth/me").await.expect_problem(401, "unauthenticated");
}

async fn a_removed_role_has_no_effect_at_once(app: TestApp) {
    app.user(Role::Viewer).await;
    app.post("/v1/mass-requests").json(&reading("dev-1")).await.expect(201);
    let viewer = "SELECT roles FROM users WHERE email LIKE 'viewer-%'";
    app.execute(&format!("UPDATE users SET roles = ({viewer}) WHERE email = '{FOUNDER}'"));
    app.post("/v1/mass-requests").json(&reading("dev-2")).await.expect_problem(403, "forbidden");
    app.get("/v1/mass-requests").await.expect(200);
}

#[test]
fn the_document_and_the_table_have_the_same_operations() {
    let page = |path: &str| {
        path.starts_with("/docs") || path.starts_with("/console/") || ["/", "/openapi.json"].contains(&path)
    };
    let table = OPERATIONS.iter().filter(|operation| !page(operation.path));
    let mut table: Vec<_> =
        table.map(|operation| (operation.path, operation.method, words(operation.access))).collect();
    let document = operations::all();
    let mut document: Vec<_> = document
        .iter()
        .map(|operation| (operation.path.as_str(), operation.method.as_str(), access(operation)))
        .collect();
    table.sort_unstable();
    document.sort_unstable();
    assert_eq!(document, table);
}

fn words(access: Access) -> &'static str {
    match access {
        Access::Public => "public",
        Access::Authenticated => "authenticated",
        Access::Needs(permission) => permission.as_str(),
    }
}

fn access(operation: &Operation) -> &'static str {
    match operation.permission() {
        Some(permission) => permission.as_str(),
        None if operation.is_public() => "public",
        None => "authenticated",
    }
}

#[test]
fn only_the_listed_operations_are_public() {
    let public: Vec<_> = operations::all().into_iter().filter(Operation::is_public).map(|each| each.path).collect();
    let pages = ["/.well-known/jwks.json", "/.well-known/mass-audit-key", "/health", "/ready"];
    let credentials = ["/v1/auth/login", "/v1/auth/refresh", "/v1/auth/register"];
    assert_eq!(public, [&pages[..], &credentials, &["/version"]].concat());
}

async fn an_operation_cannot_be_called_without_a_token(app: TestApp) {
    for operation in operations::protected() {
        let answer = app.anonymous().operation(&operation, NOBODY).await.expect_problem(401, "unauthenticated");
        // RFC 6750, section 3: a request without credentials gets no error code.
        assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer realm="mass""#), "{operation:?}");
    }
}

async fn no_operation_accepts_a_forged_token(app: TestApp) {
    let good = app.founder().token();
    let mut forged = forgeries(good);
    forged.extend(["garbage".to_owned(), "a.b.c".to_owned(), good[..good.len() - 1].to_owned(), "x".repeat(100_000)]);
    for operation in operations::protected() {
        for token in &forged {
            let answer = app.bearer(token).operation(&operation, NOBODY).await;
            assert_refused(&answer.expect_problem(401, "unauthenticated"));
        }
    }
}

fn forgeries(good: &str) -> Vec<String> {
    let mut forged: Vec<Forgery> = ["iss", "aud", "sub", "tid", "sid", "iat", "nbf", "exp", "jti"]
        .into_iter()
        .map(|claim| Forgery::of(good).without_claim(claim))
        .collect();
    forged.extend([
        Forgery::of(good).lives(-900, -6),
        // Far enough in the future for the slowest machine.
        Forgery::of(good).lives(3_600, 4_500),
        Forgery::of(good).claim("iss", "somebody"),
        Forgery::of(good).claim("aud", "somebody"),
        Forgery::of(good).claim("sub", NOBODY),
        Forgery::of(good).claim("tid", "other"),
        Forgery::of(good).claim("sid", NOBODY),
        Forgery::of(good).key_id(None),
        Forgery::of(good).key_id(Some("another")),
        Forgery::of(good).secret("another signing key, which is long enough too"),
        Forgery::of(good).algorithm(Algorithm::HS512),
    ]);
    let mut signed: Vec<String> = forged.iter().map(Forgery::sign).collect();
    signed.push(Forgery::of(good).unsigned());
    let jwk = json!({"kty": "oct", "k": "ZXZpbC1ldmlsLWV2aWwtZXZpbC1ldmlsLWV2aWwtZXZpbA"});
    let headers = [
        json!({"alg": "RS256"}),
        json!({"alg": "EdDSA"}),
        json!({"jku": "https://evil.test/jwks.json"}),
        json!({"jwk": jwk}),
        json!({"crit": ["exp"]}),
        json!({"typ": "JWT"}),
    ];
    signed.extend(headers.iter().map(|header| Forgery::of(good).sign_under(header)));
    signed
}

async fn no_operation_accepts_other_forms_of_credentials(app: TestApp) {
    let good = app.founder().token();
    let twice = format!("Bearer {good}");
    for operation in operations::protected() {
        for sent in [vec![twice.as_str(), twice.as_str()], vec!["Basic YTpi"], vec!["Bearer"], vec![good], vec![""]] {
            let call = app.anonymous().operation(&operation, NOBODY);
            let call = sent.iter().fold(call, |call, value| call.header("Authorization", value));
            assert_refused(&call.await.expect_problem(401, "unauthenticated"));
        }
    }
}

fn assert_refused(answer: &Answer) {
    let challenge = answer.headers.get(WWW_AUTHENTICATE).unwrap().to_str().unwrap();
    assert!(challenge.starts_with(r#"Bearer realm="mass", error="invalid_token""#), "{challenge}");
}

async fn each_operation_refuses_exactly_the_roles_without_its_permission(app: TestApp) {
    for role in Role::ALL {
        let user = app.user(*role).await;
        // Calling log-out would end the session.
        let staying = operations::protected().into_iter().filter(|operation| operation.path != "/v1/auth/logout");
        for operation in staying {
            let answer = user.operation(&operation, NOBODY).await;
            match operation.permission().filter(|permission| !role.permissions().contains(permission)) {
                Some(permission) => assert_forbidden(&answer.expect_problem(403, "forbidden"), permission),
                None => assert_ne!(answer.status, 403, "{operation:?} as {role}"),
            }
        }
    }
}

fn assert_forbidden(answer: &Answer, permission: Permission) {
    let challenge = format!(r#"Bearer realm="mass", error="insufficient_scope", scope="{permission}""#);
    assert_eq!(answer.header("www-authenticate"), Some(challenge.as_str()));
    assert_eq!(answer.text("/permission"), permission.as_str());
}

async fn objects_of_another_tenant_are_not_found(app: TestApp) {
    let foreigner = app.foreigner(Role::Operator).await;
    let created = app.post("/v1/mass-requests").json(&reading("dev-1")).await.expect(201);
    assert_looks_absent(&foreigner, &created.id()).await;
    assert_eq!(app.get(&format!("/v1/mass-requests/{}", created.id())).await.body, created.body);
}

async fn deleting_an_object_of_another_tenant_finds_nothing(app: TestApp) {
    let foreigner = app.foreigner(Role::Operator).await;
    let id = app.post("/v1/mass-requests").json(&reading("dev-1")).await.id();
    app.delete(&format!("/v1/mass-requests/{id}")).await.expect(204);
    assert_looks_absent(&foreigner, &id).await;
}

async fn assert_looks_absent(client: &Client, id: &str) {
    for operation in operations::on_a_request() {
        let foreign = client.operation(&operation, id).await.expect_problem(404, "not-found");
        let absent = client.operation(&operation, NOBODY).await.expect_problem(404, "not-found");
        assert_eq!(foreign.without_ids(), absent.without_ids(), "{operation:?}");
        assert_eq!(foreign.header_names(), absent.header_names(), "{operation:?}");
    }
    let list = client.get("/v1/mass-requests").await.expect(200);
    assert_eq!(list.json()["items"], Value::Array(Vec::new()));
}
