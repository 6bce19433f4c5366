//! The browser console: its page, its files, and the session of a browser.

use serde_json::{Value, json};

use crate::support::client::{Answer, Call};
use crate::support::{FOUNDER, PASSWORD, TestApp};

on_both!(
    the_page_and_its_files_load_from_this_server_alone,
    files_of_another_version_are_not_found,
    a_browser_session_is_kept_in_a_cookie_that_goes_to_one_operation,
    behind_tls_and_below_a_path_the_cookie_is_secure_and_stays_there,
    a_cookie_is_taken_from_pages_of_this_server_alone,
    a_log_out_ends_the_session_and_removes_its_cookie,
    clients_without_a_page_see_no_cookie,
);

async fn the_page_and_its_files_load_from_this_server_alone(app: TestApp) {
    let page = app.anonymous().get("/").header("Accept", "text/html").await.expect(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    let html = String::from_utf8(page.body.clone()).unwrap();
    let links: Vec<&str> = html.split('"').filter(|text| text.starts_with("console/")).collect();
    assert!(links.len() > 10, "{html}");
    let all = mass_console::files().map(|file| format!("{}/{}", mass_console::folder(), file.path));
    for link in links.into_iter().map(str::to_owned).chain(all) {
        let file = app.anonymous().get(&format!("/{link}")).await.expect(200);
        assert_eq!(file.header("cache-control"), Some("public, max-age=31536000, immutable"), "{link}");
        assert_protected(&file);
    }
    assert_protected(&page);
}

fn assert_protected(answer: &Answer) {
    let policy = answer.header("content-security-policy").unwrap();
    for directive in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"] {
        assert!(policy.split("; ").any(|one| one == directive), "{directive}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
}

async fn files_of_another_version_are_not_found(app: TestApp) {
    let folder = mass_console::folder();
    for path in [
        "/console/0000000000000000/core/main.js",
        &format!("/{folder}/core/nothing.js"),
        &format!("/{folder}/index.html"),
        &format!("/{folder}/core/..%2fmain.js"),
    ] {
        app.anonymous().get(path).await.expect_problem(404, "not-found");
    }
}

fn remembered_login(app: &TestApp) -> Call {
    let credentials = json!({"email": FOUNDER, "password": PASSWORD, "remember": "cookie"});
    app.anonymous().post("/v1/auth/login").json(&credentials)
}

/// Returns a cookie as it is set: the pair, and the attributes.
fn cookie(answer: &Answer) -> (String, Vec<String>) {
    let mut parts = answer.header("set-cookie").unwrap().split("; ").map(str::to_owned);
    (parts.next().unwrap(), parts.collect())
}

/// A refresh as a page of this server makes it.
fn refresh(app: &TestApp, cookie: &str) -> Call {
    bare_refresh(app, cookie).header("Origin", &format!("http://{}", app.address())).header("X-Mass-Session", "cookie")
}

fn bare_refresh(app: &TestApp, cookie: &str) -> Call {
    app.anonymous().post("/v1/auth/refresh").json(&json!({"remember": "cookie"})).header("Cookie", cookie)
}

async fn a_browser_session_is_kept_in_a_cookie_that_goes_to_one_operation(app: TestApp) {
    let login = remembered_login(&app).await.expect(200);
    assert_eq!(login.json().get("refresh_token"), None);
    let (first, attributes) = cookie(&login);
    assert!(first.starts_with("mass-session=mrt_"), "{first}");
    assert_eq!(attributes, ["Path=/v1/auth/refresh", "Max-Age=1209600", "HttpOnly", "SameSite=Strict"]);
    let refreshed = refresh(&app, &format!("other=1; {first}")).await.expect(200);
    assert_eq!(refreshed.json().get("refresh_token"), None);
    app.bearer(&refreshed.text("/access_token")).get("/v1/auth/me").await.expect(200);
    let (second, _) = cookie(&refreshed);
    assert_ne!(second, first);
    // Good once, as every refresh token.
    refresh(&app, &first).await.expect_problem(401, "invalid-refresh-token");
    refresh(&app, &second).await.expect_problem(401, "invalid-refresh-token");
}

const BEHIND_TLS: [(&str, &str); 2] =
    [("--public-url", "https://example.org/mass"), ("--trusted-proxies", "127.0.0.1")];

async fn behind_tls_and_below_a_path_the_cookie_is_secure_and_stays_there(app: TestApp) {
    let app = app.restart(&BEHIND_TLS).await;
    let login = remembered_login(&app).header("X-Forwarded-Proto", "https").await.expect(200);
    let (pair, attributes) = cookie(&login);
    assert!(pair.starts_with("__Secure-mass-session=mrt_"), "{pair}");
    let path = "Path=/mass/v1/auth/refresh";
    assert_eq!(attributes, [path, "Max-Age=1209600", "HttpOnly", "SameSite=Strict", "Secure"]);
    let refresh = |origin: &str| {
        let call = bare_refresh(&app, &pair).header("X-Mass-Session", "cookie").header("X-Forwarded-Proto", "https");
        call.header("Origin", origin)
    };
    refresh("https://example.com").await.expect_problem(403, "foreign-origin");
    refresh("https://example.org").await.expect(200);
    let page = app.anonymous().get("/").await.expect(200);
    assert!(String::from_utf8_lossy(&page.body).contains("<base href=\"/mass/\">"));
}

async fn a_cookie_is_taken_from_pages_of_this_server_alone(app: TestApp) {
    let (pair, _) = cookie(&remembered_login(&app).await.expect(200));
    let own = format!("http://{}", app.address());
    let refuse = async |call: Call| {
        call.await.expect_problem(403, "foreign-origin");
    };
    refuse(bare_refresh(&app, &pair)).await;
    refuse(bare_refresh(&app, &pair).header("Origin", &own)).await;
    refuse(bare_refresh(&app, &pair).header("X-Mass-Session", "cookie")).await;
    for other in
        ["null", "", "http://example.org", &format!("{own}.example.org"), &format!("{own}/"), "http://127.0.0.1"]
    {
        refuse(bare_refresh(&app, &pair).header("X-Mass-Session", "cookie").header("Origin", other)).await;
    }
    // None of these has spent the token.
    refresh(&app, &pair).await.expect(200);
    for nothing in ["other=1", "mass-session=", "mass-session", ";;=", "__Secure-mass-session=mrt_x"] {
        refresh(&app, nothing).await.expect_problem(401, "invalid-refresh-token");
    }
}

async fn a_log_out_ends_the_session_and_removes_its_cookie(app: TestApp) {
    let login = remembered_login(&app).await.expect(200);
    let (pair, _) = cookie(&login);
    let caller = app.bearer(&login.text("/access_token"));
    let answer = caller.post("/v1/auth/logout").header("X-Mass-Session", "cookie").await.expect(204);
    let (emptied, attributes) = cookie(&answer);
    assert_eq!(emptied, "mass-session=");
    assert_eq!(attributes, ["Path=/v1/auth/refresh", "Max-Age=0", "HttpOnly", "SameSite=Strict"]);
    refresh(&app, &pair).await.expect_problem(401, "invalid-refresh-token");
    caller.get("/v1/auth/me").await.expect_problem(401, "unauthenticated");
}

async fn clients_without_a_page_see_no_cookie(app: TestApp) {
    let credentials = json!({"email": FOUNDER, "password": PASSWORD});
    let login = app.anonymous().post("/v1/auth/login").json(&credentials).await.expect(200);
    assert_eq!(login.header("set-cookie"), None);
    let token = login.text("/refresh_token");
    let both = json!({"refresh_token": token, "remember": "cookie"});
    for body in [both, json!({}), json!({"remember": null}), json!({"remember": "disk"})] {
        app.anonymous().post("/v1/auth/refresh").json(&body).await.expect_problem(422, "contract-violation");
    }
    let refreshed = app.anonymous().post("/v1/auth/refresh").json(&json!({"refresh_token": token})).await.expect(200);
    assert_eq!(refreshed.header("set-cookie"), None);
    assert!(matches!(refreshed.at("/refresh_token"), Value::String(_)));
    let caller = app.bearer(&refreshed.text("/access_token"));
    assert_eq!(caller.post("/v1/auth/logout").await.expect(204).header("set-cookie"), None);
}
