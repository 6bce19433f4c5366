//! Rate limits, client addresses, and CORS.

use mass_domain::access::Role;
use reqwest::Method;
use serde_json::json;

use crate::support::client::{Answer, Call, Client};
use crate::support::documents::reading;
use crate::support::{FOUNDER, PASSWORD, TestApp};

on_both!(
    answers_have_the_remaining_rate_limit,
    a_used_up_limit_is_named_with_its_wait,
    a_credential_over_its_limit_does_not_affect_others,
    a_users_sessions_share_one_limit,
    all_credentials_of_a_tenant_share_its_limit,
    a_refused_request_changes_nothing,
    otherwise_refused_requests_count_towards_the_limit,
    unauthenticated_requests_use_up_no_credentials_limit,
    operations_without_a_token_are_limited_by_address,
    checks_the_address_limit_right_after_the_method,
    only_trusted_proxies_set_the_client_address,
    a_forged_client_address_is_ignored,
    a_limit_of_zero_disables_it,
    disabled_limits_have_no_headers,
    cors_allows_configured_origins,
    cors_refuses_other_origins,
    a_preflight_lists_exactly_the_allowed_methods_and_headers,
    there_are_no_cors_headers_without_configured_origins,
    answers_over_tls_have_strict_transport_security,
);

const LOGIN: &str = "/v1/auth/login";
/// The operations without a token that are limited by address.
const DOORS: [&str; 3] = [LOGIN, "/v1/auth/refresh", "/v1/auth/register"];

const ORIGIN: &str = "https://console.example";
const CORS: [&str; 6] = [
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
];

/// The same server with these limits per minute; its own log-in has used one call from 127.0.0.1.
async fn limited(app: TestApp, credential: &str, tenant: &str, address: &str) -> TestApp {
    let credential = ("--rate-limit-per-minute", credential);
    let tenant = ("--tenant-rate-limit-per-minute", tenant);
    app.restart(&[credential, tenant, ("--address-rate-limit-per-minute", address)]).await
}

async fn me(client: &Client) -> Answer {
    client.get("/v1/auth/me").await
}

/// The values of a header, line by line.
fn all(answer: &Answer, name: &str) -> Vec<String> {
    answer.headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

/// Asserts that the limit of a scope is used up, and is refilled one by one.
#[track_caller]
fn assert_used_up(answer: Answer, scope: &str, limit: u64) {
    let answer = answer.expect_problem(429, "rate-limited");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60 / limit + 1).contains(&wait), "{wait}");
    assert_eq!(answer.text("/scope"), scope);
    assert_eq!((answer.at("/limit"), answer.at("/window_seconds")), (json!(limit), json!(60)));
    assert_eq!(answer.at("/retry_after_seconds"), wait);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(all(&answer, "ratelimit"), [format!("\"{scope}\";r=0;t={wait}")]);
    assert_eq!(all(&answer, "ratelimit-policy"), [format!("\"{scope}\";q={limit};w=60")]);
}

async fn answers_have_the_remaining_rate_limit(app: TestApp) {
    let app = limited(app, "3", "5", "4").await;
    let first = me(app.founder()).await.expect(200);
    assert_eq!(all(&first, "ratelimit-policy"), ["\"credential\";q=3;w=60", "\"tenant\";q=5;w=60"]);
    assert_eq!(all(&first, "ratelimit"), ["\"credential\";r=2", "\"tenant\";r=4"]);
    let absent = app.get("/v1/mass-requests/1").await.expect_problem(404, "not-found");
    assert_eq!(all(&absent, "ratelimit"), ["\"credential\";r=1", "\"tenant\";r=3"]);
    let refused = app.anonymous().coming_from("127.0.0.2").post(LOGIN).json(&json!({})).await;
    let refused = refused.expect_problem(422, "contract-violation");
    assert_eq!(all(&refused, "ratelimit-policy"), ["\"address\";q=4;w=60"]);
    assert_eq!(all(&refused, "ratelimit"), ["\"address\";r=3"]);
    for path in ["/health", "/openapi.json"] {
        assert_eq!(all(&app.get(path).await.expect(200), "ratelimit"), [""; 0]);
    }
}

async fn a_used_up_limit_is_named_with_its_wait(app: TestApp) {
    let app = app.restart(&[("--rate-limit-per-minute", "2")]).await;
    for _ in 0..2 {
        me(app.founder()).await.expect(200);
    }
    assert_used_up(me(app.founder()).await, "credential", 2);
    let head = app.head("/v1/auth/me").await.expect(429);
    assert!(head.body.is_empty() && head.header("retry-after").is_some());
    assert_used_up(app.get("/v1/mass-requests").await, "credential", 2);
}

async fn a_credential_over_its_limit_does_not_affect_others(app: TestApp) {
    let key = app.post("/v1/admin/api-keys").json(&json!({"name": "gateway", "permissions": ["mass:read"]})).await;
    let machine = key.expect(201).text("/token");
    let app = app.restart(&[("--rate-limit-per-minute", "1")]).await;
    let machine = app.bearer(&machine);
    let viewer = app.user(Role::Viewer).await;
    for client in [app.founder(), &machine, &viewer] {
        me(client).await.expect(200);
    }
    for client in [app.founder(), &machine, &viewer] {
        assert_used_up(me(client).await, "credential", 1);
    }
}

async fn a_users_sessions_share_one_limit(app: TestApp) {
    let viewer = app.user(Role::Viewer).await;
    let email = me(&viewer).await.text("/email");
    let app = app.restart(&[("--rate-limit-per-minute", "1")]).await;
    let sessions = [app.bearer(viewer.token()), app.log_in(&email, PASSWORD).await];
    me(&sessions[0]).await.expect(200);
    assert_used_up(me(&sessions[1]).await, "credential", 1);
}

async fn all_credentials_of_a_tenant_share_its_limit(app: TestApp) {
    let app = app.restart(&[("--tenant-rate-limit-per-minute", "2")]).await;
    let (viewer, foreigner) = (app.user(Role::Viewer).await, app.foreigner(Role::Viewer).await);
    me(app.founder()).await.expect(200);
    me(&viewer).await.expect(200);
    for client in [app.founder(), &viewer, &app.user(Role::Operator).await] {
        assert_used_up(me(client).await, "tenant", 2);
    }
    // A busy tenant does not affect others.
    assert_eq!(all(&me(&foreigner).await.expect(200), "ratelimit")[1], "\"tenant\";r=1");
}

async fn a_refused_request_changes_nothing(app: TestApp) {
    let app = app.restart(&[("--rate-limit-per-minute", "1")]).await;
    app.post("/v1/mass-requests").json(&reading("dev-1")).await.expect(201);
    assert_used_up(app.post("/v1/mass-requests").json(&reading("dev-2")).await, "credential", 1);
    assert_eq!(app.database().count("mass_requests"), 1);
}

async fn otherwise_refused_requests_count_towards_the_limit(app: TestApp) {
    let app = app.restart(&[("--rate-limit-per-minute", "2")]).await;
    let viewer = app.user(Role::Viewer).await;
    viewer.post("/v1/mass-requests").json(&reading("dev-1")).await.expect_problem(403, "forbidden");
    viewer.get("/v1/mass-requests?limit=0").await.expect_problem(422, "invalid-parameter");
    // The rate is checked before the permission.
    assert_used_up(viewer.post("/v1/mass-requests").json(&reading("dev-1")).await, "credential", 2);
}

async fn unauthenticated_requests_use_up_no_credentials_limit(app: TestApp) {
    let app = app.restart(&[("--rate-limit-per-minute", "1"), ("--tenant-rate-limit-per-minute", "1")]).await;
    for client in [app.anonymous(), app.bearer("made-up"), app.bearer("mass_000000000000_0")] {
        for _ in 0..3 {
            let refused = me(&client).await.expect_problem(401, "unauthenticated");
            assert_eq!(all(&refused, "ratelimit"), [""; 0]);
        }
    }
    me(app.founder()).await.expect(200);
}

async fn operations_without_a_token_are_limited_by_address(app: TestApp) {
    let app = app.restart(&[("--address-rate-limit-per-minute", "3")]).await;
    let stranger = app.anonymous().coming_from("127.0.0.2");
    for door in DOORS {
        assert_ne!(stranger.post(door).json(&json!({})).await.status, 429);
    }
    for door in DOORS {
        assert_used_up(stranger.post(door).json(&json!({})).await, "address", 3);
    }
    // Others are not affected, nor are operations without a limit or with another one.
    app.anonymous().coming_from("127.0.0.3").post(LOGIN).json(&json!({})).await.expect(422);
    stranger.get("/health").await.expect(200);
    me(&stranger.with_token(app.founder().token())).await.expect(200);
}

async fn checks_the_address_limit_right_after_the_method(app: TestApp) {
    let app = app.restart(&[("--address-rate-limit-per-minute", "1")]).await;
    let stranger = app.anonymous().coming_from("127.0.0.2");
    stranger.post(LOGIN).json(&json!({})).await.expect(422);
    for door in DOORS {
        stranger.get(door).await.expect_problem(405, "method-not-allowed");
        assert_used_up(stranger.post(door).header("Accept", "text/html").bytes("{").await, "address", 1);
    }
    stranger.post("/v1/auth/nothing").await.expect_problem(404, "not-found");
    // The right password is refused as well, without being checked.
    let credentials = json!({"email": FOUNDER, "password": PASSWORD});
    assert_used_up(stranger.post(LOGIN).json(&credentials).await, "address", 1);
}

/// A failed log-in that a proxy forwarded for an address.
fn knock(client: &Client, forwarded_for: &str) -> Call {
    client.post(LOGIN).header("X-Forwarded-For", forwarded_for).json(&json!({}))
}

async fn only_trusted_proxies_set_the_client_address(app: TestApp) {
    let limit = ("--address-rate-limit-per-minute", "1");
    let app = app.restart(&[limit, ("--trusted-proxies", "127.0.0.2, 10.0.0.0/8")]).await;
    let (proxy, stranger) = (app.anonymous().coming_from("127.0.0.2"), app.anonymous().coming_from("127.0.0.3"));
    // Behind the proxy each client has its own limit, however many proxies its request has passed.
    knock(&proxy, "192.0.2.1").await.expect(422);
    assert_used_up(knock(&proxy, "192.0.2.1").await, "address", 1);
    assert_used_up(knock(&proxy, "203.0.113.9, 192.0.2.1, 10.1.2.3").await, "address", 1);
    knock(&proxy, "192.0.2.2").await.expect(422);
    // A client that is not a trusted proxy cannot forge another address.
    knock(&stranger, "192.0.2.3").await.expect(422);
    assert_used_up(knock(&stranger, "192.0.2.4").await, "address", 1);
    knock(&proxy, "192.0.2.3").await.expect(422);
}

async fn a_forged_client_address_is_ignored(app: TestApp) {
    let app = app.restart(&[("--address-rate-limit-per-minute", "1")]).await;
    let stranger = app.anonymous().coming_from("127.0.0.2");
    knock(&stranger, "192.0.2.1").await.expect(422);
    for header in ["X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "CF-Connecting-IP"] {
        let value = if header == "Forwarded" { "for=192.0.2.2" } else { "192.0.2.2" };
        assert_used_up(stranger.post(LOGIN).header(header, value).json(&json!({})).await, "address", 1);
    }
}

async fn a_limit_of_zero_disables_it(app: TestApp) {
    let off = [("--tenant-rate-limit-per-minute", "0"), ("--address-rate-limit-per-minute", "0")];
    let app = app.restart(&off).await;
    let answer = me(app.founder()).await.expect(200);
    assert_eq!(all(&answer, "ratelimit-policy"), ["\"credential\";q=6000;w=60"]);
    let answer = app.anonymous().post(LOGIN).json(&json!({})).await.expect(422);
    assert_eq!(all(&answer, "ratelimit-policy"), [""; 0]);
}

async fn disabled_limits_have_no_headers(app: TestApp) {
    let app = limited(app, "0", "1", "1").await;
    for _ in 0..3 {
        let answers = [
            me(app.founder()).await.expect(200),
            app.anonymous().post(LOGIN).json(&json!({})).await.expect_problem(422, "contract-violation"),
        ];
        for answer in answers {
            for name in ["ratelimit", "ratelimit-policy", "retry-after"] {
                assert_eq!(answer.header(name), None, "{name}");
            }
        }
    }
}

/// A preflight request of a browser.
fn preflight(app: &TestApp, origin: &str, path: &str) -> Call {
    let call = app.anonymous().call(Method::OPTIONS, path).header("Origin", origin);
    call.header("Access-Control-Request-Method", "POST")
}

fn words<'a>(answer: &'a Answer, header: &str) -> Vec<&'a str> {
    let mut words: Vec<_> = answer.header(header).unwrap_or_default().split(',').map(str::trim).collect();
    words.sort_unstable();
    words
}

#[track_caller]
fn assert_no_cors(answer: &Answer) {
    for header in CORS {
        assert_eq!(answer.header(header), None, "{header}");
    }
}

async fn cors_allows_configured_origins(app: TestApp) {
    let origins = format!("{ORIGIN}, http://localhost:5173");
    let app = app.restart(&[("--cors-origins", &origins)]).await;
    for origin in [ORIGIN, "http://localhost:5173"] {
        let asked = preflight(&app, origin, "/v1/mass-requests");
        let asked = asked
            .header("Access-Control-Request-Headers", "authorization, content-encoding, content-type, idempotency-key");
        let allowed = asked.await.expect(204);
        assert!(allowed.body.is_empty());
        assert_eq!(allowed.header("access-control-allow-origin"), Some(origin));
        let methods = ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"];
        assert_eq!(words(&allowed, "access-control-allow-methods"), methods);
        for header in ["authorization", "content-encoding"] {
            assert!(words(&allowed, "access-control-allow-headers").contains(&header), "{header}");
        }
        assert!(words(&allowed, "vary").contains(&"Origin"));
        assert_eq!(allowed.header("access-control-allow-credentials"), None);

        let call = || app.get("/v1/auth/me").header("Origin", origin);
        let refused = app.anonymous().get("/v1/auth/me").header("Origin", origin);
        for answer in [call().await.expect(200), refused.await.expect_problem(401, "unauthenticated")] {
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
            assert_eq!(answer.header("access-control-allow-credentials"), None);
            assert!(words(&answer, "access-control-expose-headers").contains(&"retry-after"));
            assert!(words(&answer, "vary").contains(&"Origin"));
        }
    }
}

async fn cors_refuses_other_origins(app: TestApp) {
    let app = app.restart(&[("--cors-origins", ORIGIN)]).await;
    let others = [
        "https://evil.example",
        "null",
        "http://console.example",
        "https://console.example:8443",
        "https://console.example.evil.example",
        "https://sub.console.example",
        "HTTPS://CONSOLE.EXAMPLE",
    ];
    for origin in others {
        let refused = preflight(&app, origin, "/v1/mass-requests").await.expect_problem(405, "method-not-allowed");
        assert_no_cors(&refused);
        assert_no_cors(&app.get("/v1/auth/me").header("Origin", origin).await.expect(200));
    }
    let plain = app.get("/v1/auth/me").await.expect(200);
    assert_no_cors(&plain);
    // Otherwise a cache could give one origin's answer to all.
    assert!(words(&plain, "vary").contains(&"Origin"));
}

async fn a_preflight_lists_exactly_the_allowed_methods_and_headers(app: TestApp) {
    let app = app.restart(&[("--cors-origins", ORIGIN)]).await;
    let asked = preflight(&app, ORIGIN, LOGIN).header("Access-Control-Request-Headers", "x-forwarded-for");
    let allowed = asked.await.expect(204);
    assert!(!words(&allowed, "access-control-allow-headers").contains(&"x-forwarded-for"));
    // OPTIONS without a preflight is a method like any other.
    let options = app.anonymous().call(Method::OPTIONS, LOGIN).header("Origin", ORIGIN).await;
    options.expect_problem(405, "method-not-allowed");
}

async fn there_are_no_cors_headers_without_configured_origins(app: TestApp) {
    assert_no_cors(&preflight(&app, ORIGIN, LOGIN).await.expect_problem(405, "method-not-allowed"));
    let answer = app.get("/v1/auth/me").header("Origin", ORIGIN).await.expect(200);
    assert_no_cors(&answer);
    assert_eq!(answer.header("vary"), None);
}

async fn answers_over_tls_have_strict_transport_security(app: TestApp) {
    let hsts = "strict-transport-security";
    let over = |client: Client, proto: &str| {
        let paths = ["/health", "/docs", "/v1/auth/me", "/v1/nothing"];
        paths.map(|path| client.get(path).header("X-Forwarded-Proto", proto))
    };
    for call in over(app.anonymous(), "https") {
        assert_eq!(call.await.header(hsts), None);
    }
    let app = app.restart(&[("--trusted-proxies", "127.0.0.1")]).await;
    for call in over(app.anonymous(), "https") {
        assert_eq!(call.await.header(hsts), Some("max-age=63072000; includeSubDomains"));
    }
    let not_over_tls = [(app.anonymous(), "http"), (app.anonymous().coming_from("127.0.0.2"), "https")];
    for (client, proto) in not_over_tls {
        for call in over(client, proto) {
            assert_eq!(call.await.header(hsts), None);
        }
    }
}
