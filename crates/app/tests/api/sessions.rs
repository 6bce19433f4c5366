//! Sessions: refreshing, ending, and the keys that sign their tokens.

use std::collections::HashSet;

use futures_util::future::join_all;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use mass_domain::access::Role;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::tokens::{self, SECRET_KEY};
use crate::support::{FOUNDER, PASSWORD, TestApp};

on_both!(
    a_login_opens_a_session_that_is_refreshed,
    a_refresh_token_works_once_and_its_reuse_ends_the_session,
    only_one_of_concurrent_refreshes_succeeds_and_the_session_ends,
    all_invalid_refresh_tokens_get_the_same_answer,
    access_and_refresh_tokens_are_not_interchangeable,
    logging_out_ends_this_session_at_once,
    a_user_lists_and_ends_its_sessions,
    a_user_ends_no_session_of_another_user,
    logout_with_an_api_key_does_nothing,
    disabling_a_user_ends_its_sessions_for_good,
    a_changed_role_applies_from_the_next_request,
    a_session_that_has_expired_is_over,
    refresh_tokens_are_stored_as_hashes,
    a_new_signing_key_logs_nobody_out,
    without_the_old_key_a_session_continues_by_its_refresh_token,
    others_can_verify_tokens_that_are_signed_with_eddsa,
    a_change_of_algorithm_logs_nobody_out,
);

also_restricted!(
    a_login_opens_a_session_that_is_refreshed,
    a_refresh_token_works_once_and_its_reuse_ends_the_session,
    only_one_of_concurrent_refreshes_succeeds_and_the_session_ends,
    logging_out_ends_this_session_at_once,
    a_user_lists_and_ends_its_sessions,
);

/// The successor of [`SECRET_KEY`].
const NEXT_KEY: &str = "the signing key that comes after it, no more secret than the first";

async fn log_in(app: &TestApp) -> Answer {
    app.anonymous().post("/v1/auth/login").json(&json!({"email": FOUNDER, "password": PASSWORD})).await.expect(200)
}

async fn refresh(app: &TestApp, token: &str) -> Answer {
    app.anonymous().post("/v1/auth/refresh").json(&json!({"refresh_token": token})).await
}

/// A client with the access token of an answer.
fn bearer(app: &TestApp, tokens: &Answer) -> Client {
    app.bearer(&tokens.text("/access_token"))
}

async fn assert_in(client: &Client) {
    client.get("/v1/auth/me").await.expect(200);
}

async fn assert_out(client: &Client) {
    client.get("/v1/auth/me").await.expect_problem(401, "unauthenticated");
}

#[track_caller]
fn assert_refused(answer: Answer) -> Answer {
    let answer = answer.expect_problem(401, "invalid-refresh-token");
    assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer realm="mass""#));
    answer
}

async fn a_login_opens_a_session_that_is_refreshed(app: TestApp) {
    let login = log_in(&app).await;
    assert!(login.text("/refresh_token").starts_with("mrt_"));
    assert_eq!(login.header("cache-control"), Some("no-store"));
    let refreshed = refresh(&app, &login.text("/refresh_token")).await.expect(200);
    let names = |answer: &Answer| answer.json().as_object().unwrap().keys().cloned().collect::<HashSet<_>>();
    assert_eq!(names(&refreshed), names(&login));
    assert_eq!((refreshed.at("/token_type"), refreshed.at("/expires_in")), (json!("Bearer"), json!(900)));
    for member in ["/access_token", "/refresh_token"] {
        assert_ne!(refreshed.text(member), login.text(member));
    }
    let session = |answer: &Answer| tokens::decode(&answer.text("/access_token")).1["sid"].clone();
    assert_eq!(session(&refreshed), session(&login));
    assert_in(&bearer(&app, &login)).await;
    assert_in(&bearer(&app, &refreshed)).await;
}

async fn a_refresh_token_works_once_and_its_reuse_ends_the_session(app: TestApp) {
    let (login, other) = (log_in(&app).await, log_in(&app).await);
    let second = refresh(&app, &login.text("/refresh_token")).await.expect(200);
    let third = refresh(&app, &second.text("/refresh_token")).await.expect(200);
    assert_refused(refresh(&app, &login.text("/refresh_token")).await);
    for tokens in [&login, &second, &third] {
        assert_out(&bearer(&app, tokens)).await;
        assert_refused(refresh(&app, &tokens.text("/refresh_token")).await);
    }
    assert_in(&bearer(&app, &other)).await;
    refresh(&app, &other.text("/refresh_token")).await.expect(200);
}

async fn only_one_of_concurrent_refreshes_succeeds_and_the_session_ends(app: TestApp) {
    let login = log_in(&app).await;
    let token = login.text("/refresh_token");
    let answers = join_all((0..20).map(|_| refresh(&app, &token))).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((won.len(), lost.len()), (1, 19));
    for answer in lost {
        assert_refused(answer);
    }
    assert_out(&bearer(&app, &won[0])).await;
    assert_out(&bearer(&app, &login)).await;
    assert_refused(refresh(&app, &won[0].text("/refresh_token")).await);
}

async fn all_invalid_refresh_tokens_get_the_same_answer(app: TestApp) {
    let login = log_in(&app).await;
    let good = login.text("/refresh_token");
    bearer(&app, &login).post("/v1/auth/logout").await.expect(204);
    let over = assert_refused(refresh(&app, &good).await);
    let strange = "mrt_B2RlZmF1bHQ".to_owned() + &"A".repeat(43);
    for bad in ["x", "mrt_", &good[1..], &good[..good.len() - 1], &format!("{good}="), &strange] {
        assert_eq!(assert_refused(refresh(&app, bad).await).without_ids(), over.without_ids(), "{bad}");
    }
    for bad in [json!(null), json!(1), json!(""), json!("x".repeat(1025))] {
        let body = json!({ "refresh_token": bad });
        app.anonymous().post("/v1/auth/refresh").json(&body).await.expect_problem(422, "contract-violation");
    }
}

async fn access_and_refresh_tokens_are_not_interchangeable(app: TestApp) {
    let login = log_in(&app).await;
    assert_out(&app.bearer(&login.text("/refresh_token"))).await;
    assert_refused(refresh(&app, &login.text("/access_token")).await);
    assert_in(&bearer(&app, &login)).await;
    refresh(&app, &login.text("/refresh_token")).await.expect(200);
}

async fn logging_out_ends_this_session_at_once(app: TestApp) {
    let (login, other) = (log_in(&app).await, log_in(&app).await);
    let refreshed = refresh(&app, &login.text("/refresh_token")).await.expect(200);
    let answer = bearer(&app, &refreshed).post("/v1/auth/logout").await.expect(204);
    assert!(answer.body.is_empty());
    for tokens in [&login, &refreshed] {
        assert_out(&bearer(&app, tokens)).await;
        assert_refused(refresh(&app, &tokens.text("/refresh_token")).await);
    }
    bearer(&app, &refreshed).post("/v1/auth/logout").await.expect_problem(401, "unauthenticated");
    assert_in(&bearer(&app, &other)).await;
}

/// The ids of a user's live sessions, newest first, and which one of them calls.
async fn sessions(client: &Client) -> Vec<(String, bool)> {
    let page = client.get("/v1/auth/sessions").await.expect(200).json();
    let item = |item: &Value| (item["id"].as_str().unwrap().to_owned(), item["current"].as_bool().unwrap());
    page["items"].as_array().unwrap().iter().map(item).collect()
}

async fn a_user_lists_and_ends_its_sessions(app: TestApp) {
    let before = sessions(app.founder()).await.len();
    let (first, second) = (log_in(&app).await, log_in(&app).await);
    let own = |tokens: &Answer| tokens::decode(&tokens.text("/access_token")).1["sid"].as_str().unwrap().to_owned();
    let client = bearer(&app, &second);
    let listed = sessions(&client).await;
    assert_eq!(listed[..2], [(own(&second), true), (own(&first), false)]);
    assert_eq!(listed.len(), before + 2);
    let page = client.get("/v1/auth/sessions?limit=1").await.expect(200);
    let next = client.get(&format!("/v1/auth/sessions?limit=1&cursor={}", page.text("/next_cursor"))).await.expect(200);
    assert_eq!(next.text("/items/0/id"), own(&first));
    assert_eq!(next.text("/items/0/created_at"), next.text("/items/0/refreshed_at"));

    client.delete(&format!("/v1/auth/sessions/{}", own(&first))).await.expect(204);
    assert_out(&bearer(&app, &first)).await;
    assert_refused(refresh(&app, &first.text("/refresh_token")).await);
    assert_eq!(sessions(&client).await.len(), before + 1);
    client.delete(&format!("/v1/auth/sessions/{}", own(&first))).await.expect_problem(404, "not-found");
    client.delete(&format!("/v1/auth/sessions/{}", own(&second))).await.expect(204);
    assert_out(&client).await;
    let events = app.founder().get("/v1/audit/events?action=session_revoked").await.expect(200).json();
    assert_eq!(events["items"].as_array().unwrap().len(), 2, "{events}");
}

async fn a_user_ends_no_session_of_another_user(app: TestApp) {
    let viewer = app.user(Role::Viewer).await;
    let (id, _) = sessions(&viewer).await.remove(0);
    app.founder().delete(&format!("/v1/auth/sessions/{id}")).await.expect_problem(404, "not-found");
    assert_in(&viewer).await;
}

async fn logout_with_an_api_key_does_nothing(app: TestApp) {
    let key = app.post("/v1/admin/api-keys").json(&json!({"name": "gateway", "permissions": ["mass:read"]})).await;
    let machine = app.bearer(&key.expect(201).text("/token"));
    machine.post("/v1/auth/logout").await.expect(204);
    assert_in(&machine).await;
}

async fn disabling_a_user_ends_its_sessions_for_good(app: TestApp) {
    let user = app.user(Role::Viewer).await;
    let me = user.get("/v1/auth/me").await.expect(200);
    let credentials = json!({"email": me.text("/email"), "password": PASSWORD});
    let login = app.anonymous().post("/v1/auth/login").json(&credentials).await.expect(200);
    let path = format!("/v1/admin/users/{}", me.id());
    for disabled in [true, false] {
        app.patch(&path).json(&json!({ "disabled": disabled })).await.expect(200);
        assert_out(&user).await;
        assert_out(&bearer(&app, &login)).await;
        assert_refused(refresh(&app, &login.text("/refresh_token")).await);
    }
    assert_in(&app.log_in(&me.text("/email"), PASSWORD).await).await;
}

async fn a_changed_role_applies_from_the_next_request(app: TestApp) {
    let user = app.user(Role::Viewer).await;
    let path = format!("/v1/admin/users/{}", user.get("/v1/auth/me").await.id());
    user.get("/v1/mass-requests").await.expect(200);
    app.patch(&path).json(&json!({"roles": ["platform_admin"]})).await.expect(200);
    user.get("/v1/mass-requests").await.expect_problem(403, "forbidden");
}

async fn a_session_that_has_expired_is_over(app: TestApp) {
    let login = log_in(&app).await;
    app.execute("UPDATE sessions SET expires_at = '2026-01-01T00:00:00.000000Z'");
    assert_out(&bearer(&app, &login)).await;
    assert_refused(refresh(&app, &login.text("/refresh_token")).await);
}

async fn refresh_tokens_are_stored_as_hashes(app: TestApp) {
    log_in(&app).await;
    let all = app.database().count("refresh_tokens");
    assert!(all > 0);
    assert_eq!(app.database().count("refresh_tokens WHERE length(hash) = 32"), all);
}

async fn a_new_signing_key_logs_nobody_out(app: TestApp) {
    let login = log_in(&app).await;
    let rotated = app.another_with(&[("--secret-key", NEXT_KEY), ("--secret-key-previous", SECRET_KEY)]).await;
    assert_in(&bearer(&rotated, &login)).await;
    let refreshed = refresh(&rotated, &login.text("/refresh_token")).await.expect(200);
    let key = |answer: &Answer| tokens::decode(&answer.text("/access_token")).0["kid"].clone();
    assert_ne!(key(&refreshed), key(&login));
    assert_in(&bearer(&rotated, &refreshed)).await;
    assert_out(&bearer(&app, &refreshed)).await;
}

async fn without_the_old_key_a_session_continues_by_its_refresh_token(app: TestApp) {
    let login = log_in(&app).await;
    let rotated = app.restart(&[("--secret-key", NEXT_KEY)]).await;
    assert_out(&bearer(&rotated, &login)).await;
    let refreshed = refresh(&rotated, &login.text("/refresh_token")).await.expect(200);
    assert_in(&bearer(&rotated, &refreshed)).await;
}

/// Returns the claims of a token, verified with public information only.
async fn verified(app: &TestApp, token: &str) -> Value {
    let keys = app.anonymous().get("/.well-known/jwks.json").await.expect(200);
    let keys: JwkSet = serde_json::from_value(keys.json()).unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    let key = keys.find(header.kid.as_deref().unwrap()).expect("the key is published");
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&["mass-api"]);
    validation.set_issuer(&["mass"]);
    jsonwebtoken::decode(token, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap().claims
}

async fn others_can_verify_tokens_that_are_signed_with_eddsa(app: TestApp) {
    let none = app.anonymous().get("/.well-known/jwks.json").await.expect(200);
    assert_eq!(none.json(), json!({"keys": []}));
    let eddsa = app.another_with(&[("--token-algorithm", "EdDSA")]).await;
    let login = log_in(&eddsa).await;
    let token = login.text("/access_token");
    assert_eq!(tokens::decode(&token).0["alg"], "EdDSA");
    assert_eq!(verified(&eddsa, &token).await["sub"], bearer(&eddsa, &login).get("/v1/auth/me").await.json()["id"]);

    let rotation = [("--secret-key", NEXT_KEY), ("--secret-key-previous", SECRET_KEY)];
    let rotated = eddsa.another_with(&[&rotation[..], &[("--token-algorithm", "EdDSA")]].concat()).await;
    let keys = rotated.anonymous().get("/.well-known/jwks.json").await.expect(200).at("/keys");
    assert_eq!(keys.as_array().unwrap().len(), 2);
    for key in keys.as_array().unwrap() {
        assert_eq!((&key["kty"], &key["crv"], &key["alg"]), (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA")));
        assert!(key.get("d").is_none(), "the private half");
    }
    verified(&rotated, &token).await;
    verified(&rotated, rotated.founder().token()).await;
    assert_in(&bearer(&rotated, &login)).await;
}

async fn a_change_of_algorithm_logs_nobody_out(app: TestApp) {
    let eddsa = app.another_with(&[("--token-algorithm", "EdDSA")]).await;
    for (from, to) in [(&app, &eddsa), (&eddsa, &app)] {
        let login = log_in(from).await;
        assert_in(&bearer(to, &login)).await;
        let refreshed = refresh(to, &login.text("/refresh_token")).await.expect(200);
        assert_in(&bearer(from, &refreshed)).await;
    }
}
