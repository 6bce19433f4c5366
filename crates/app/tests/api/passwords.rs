//! Passwords: rules, changes, and throttling of guesses.

use futures_util::future::join_all;
use mass_auth::Capacity;
use mass_domain::access::Role;
use serde_json::json;

use crate::support::client::{Answer, Client};
use crate::support::{FOUNDER, PASSWORD, TestApp};

on_both!(
    a_changed_password_ends_the_other_sessions,
    reports_the_violation_of_a_weak_password,
    the_current_password_must_be_right,
    api_keys_have_no_password,
    passwords_are_counted_in_normalisation_form_c,
    repeated_failures_delay_only_their_account_and_address,
    unknown_accounts_are_delayed_like_known_ones,
    an_address_is_delayed_across_accounts,
    failures_elsewhere_do_not_delay_the_owner,
    a_success_clears_the_failures_of_the_account,
    guessing_the_current_password_is_throttled,
    all_servers_on_a_database_count_together,
    attempts_refused_as_busy_do_not_count,
    concurrent_right_passwords_all_succeed,
    concurrent_guesses_are_delayed_like_sequential_ones,
    a_flood_leaves_reserved_places_for_known_addresses,
);

const NEW: &str = "seven kestrels over the harbour";
const WRONG: &str = "incorrect horse battery staple";
const NOBODY: &str = "nobody@example.test";

async fn log_in(client: &Client, email: &str, password: &str) -> Answer {
    client.post("/v1/auth/login").json(&json!({"email": email, "password": password})).await
}

async fn change(client: &Client, current: &str, new: &str) -> Answer {
    let body = json!({"current_password": current, "new_password": new});
    client.post("/v1/auth/password").json(&body).await
}

async fn email_of(client: &Client) -> String {
    client.get("/v1/auth/me").await.expect(200).text("/email")
}

/// A client without a token, at an address of its own.
fn attacker(app: &TestApp) -> Client {
    app.anonymous().coming_from("127.0.0.2")
}

/// Adds failures to all counters, so that tests need neither fail often nor wait.
fn add_failures(app: &TestApp, more: u32) {
    app.execute(&format!("UPDATE login_attempts SET failures = failures + {more} WHERE failures > 0"));
}

/// Asserts that the client is throttled for at most this many seconds, for this scope.
#[track_caller]
fn assert_throttled(answer: Answer, scope: &str, at_most: u64) {
    let answer = answer.expect_problem(429, "too-many-attempts");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=at_most).contains(&wait), "{wait}");
    assert_eq!(answer.at("/retry_after_seconds"), wait);
    assert_eq!(answer.text("/scope"), scope);
}

async fn a_changed_password_ends_the_other_sessions(app: TestApp) {
    let user = app.user(Role::Viewer).await;
    let email = email_of(&user).await;
    let other = log_in(&app.anonymous(), &email, PASSWORD).await.expect(200);
    change(&user, PASSWORD, NEW).await.expect(204);
    user.get("/v1/auth/me").await.expect(200);
    app.bearer(&other.text("/access_token")).get("/v1/auth/me").await.expect_problem(401, "unauthenticated");
    let over = json!({"refresh_token": other.text("/refresh_token")});
    app.anonymous().post("/v1/auth/refresh").json(&over).await.expect_problem(401, "invalid-refresh-token");
    log_in(&app.anonymous(), &email, PASSWORD).await.expect_problem(401, "invalid-credentials");
    log_in(&app.anonymous(), &email, NEW).await.expect(200);
}

async fn reports_the_violation_of_a_weak_password(app: TestApp) {
    let long = "long".repeat(65);
    for (bad, code) in [
        ("fourteen chars", "too_short"),
        (&long, "too_long"),
        ("PasswordPassword1234", "common_password"),
        ("aaaaaaaaaaaaaaaa", "common_password"),
        (FOUNDER, "own_address"),
    ] {
        let answer = change(app.founder(), PASSWORD, bad).await;
        answer.expect_violations("contract-violation", &[&format!("/new_password {code}")]);
    }
    log_in(&app.anonymous(), FOUNDER, PASSWORD).await.expect(200);
}

async fn the_current_password_must_be_right(app: TestApp) {
    let answer = change(app.founder(), WRONG, NEW).await;
    answer.expect_violations("contract-violation", &["/current_password wrong_password"]);
    log_in(&app.anonymous(), FOUNDER, PASSWORD).await.expect(200);
}

async fn api_keys_have_no_password(app: TestApp) {
    let key = app.post("/v1/admin/api-keys").json(&json!({"name": "gateway", "permissions": ["mass:read"]})).await;
    let machine = app.bearer(&key.expect(201).text("/token"));
    change(&machine, PASSWORD, NEW).await.expect_problem(403, "forbidden");
}

async fn passwords_are_counted_in_normalisation_form_c(app: TestApp) {
    // 480 characters as sent, 240 in composed form.
    let long: String = ('a'..='z').cycle().take(120).map(|letter| format!("{letter}e\u{302}\u{301}")).collect();
    change(app.founder(), PASSWORD, &long).await.expect(204);
    log_in(&app.anonymous(), FOUNDER, &long).await.expect(200);
    log_in(&app.anonymous(), FOUNDER, &long.repeat(2)).await.expect_problem(401, "invalid-credentials");
    change(app.founder(), &long, NEW).await.expect(204);
}

async fn repeated_failures_delay_only_their_account_and_address(app: TestApp) {
    let victim = email_of(&app.user(Role::Viewer).await).await;
    for _ in 0..5 {
        log_in(&attacker(&app), &victim, WRONG).await.expect_problem(401, "invalid-credentials");
    }
    add_failures(&app, 20);
    assert_throttled(log_in(&attacker(&app), &victim, WRONG).await, "account", 900);
    // Even the right password is not checked now.
    assert_throttled(log_in(&attacker(&app), &victim, PASSWORD).await, "account", 900);
    // From yet another address this account is delayed by seconds, and other accounts are not delayed.
    assert_throttled(log_in(&app.anonymous().coming_from("127.0.0.3"), &victim, PASSWORD).await, "account", 30);
    log_in(&attacker(&app), FOUNDER, PASSWORD).await.expect(200);
}

async fn unknown_accounts_are_delayed_like_known_ones(app: TestApp) {
    let known = email_of(&app.user(Role::Viewer).await).await;
    for email in [known.as_str(), NOBODY, "no address"] {
        log_in(&attacker(&app), email, WRONG).await.expect_problem(401, "invalid-credentials");
    }
    add_failures(&app, 40);
    for email in [known.as_str(), NOBODY, "no address"] {
        assert_throttled(log_in(&attacker(&app), email, WRONG).await, "account", 900);
    }
}

async fn an_address_is_delayed_across_accounts(app: TestApp) {
    log_in(&attacker(&app), NOBODY, WRONG).await.expect_problem(401, "invalid-credentials");
    add_failures(&app, 60);
    assert_throttled(log_in(&attacker(&app), "nobody-else@example.test", WRONG).await, "address", 60);
    log_in(&app.anonymous(), FOUNDER, PASSWORD).await.expect(200);
}

async fn failures_elsewhere_do_not_delay_the_owner(app: TestApp) {
    log_in(&attacker(&app), FOUNDER, WRONG).await.expect_problem(401, "invalid-credentials");
    add_failures(&app, 30);
    log_in(&app.anonymous(), FOUNDER, PASSWORD).await.expect(200);
}

async fn a_success_clears_the_failures_of_the_account(app: TestApp) {
    for _ in 0..2 {
        for _ in 0..4 {
            log_in(&app.anonymous(), FOUNDER, WRONG).await.expect_problem(401, "invalid-credentials");
        }
        log_in(&app.anonymous(), FOUNDER, PASSWORD).await.expect(200);
    }
    // Only the eight failures of the address are left.
    assert_eq!(app.database().count("login_attempts WHERE failures > 0"), 1);
    assert_eq!(app.database().count("login_attempts WHERE failures = 8"), 1);
}

async fn guessing_the_current_password_is_throttled(app: TestApp) {
    let wrong = change(app.founder(), WRONG, NEW).await;
    wrong.expect_violations("contract-violation", &["/current_password wrong_password"]);
    add_failures(&app, 30);
    assert_throttled(change(app.founder(), PASSWORD, NEW).await, "account", 900);
    assert_throttled(log_in(&app.anonymous(), FOUNDER, PASSWORD).await, "account", 900);
}

async fn all_servers_on_a_database_count_together(app: TestApp) {
    let other = app.another().await;
    for app in [&app, &other] {
        log_in(&attacker(app), NOBODY, WRONG).await.expect_problem(401, "invalid-credentials");
    }
    assert_eq!(app.database().count("login_attempts WHERE failures = 2"), 3);
    add_failures(&app, 30);
    for app in [&app, &other] {
        assert_throttled(log_in(&attacker(app), NOBODY, WRONG).await, "account", 900);
    }
}

async fn concurrent_right_passwords_all_succeed(app: TestApp) {
    app.execute("DELETE FROM login_attempts");
    let client = app.anonymous();
    let answers = join_all((0..12).map(|_| log_in(&client, FOUNDER, PASSWORD))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(app.database().count("login_attempts WHERE failures > 0"), 0);
}

async fn concurrent_guesses_are_delayed_like_sequential_ones(app: TestApp) {
    app.execute("DELETE FROM login_attempts");
    let client = attacker(&app);
    let answers = join_all((0..16).map(|_| log_in(&client, FOUNDER, WRONG))).await;
    let judged = answers.iter().filter(|answer| answer.status == 401).count();
    // A few more than five, only if judging five takes as long as the delays.
    assert!((5..12).contains(&judged), "{judged}");
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 16 - judged);
}

async fn a_flood_leaves_reserved_places_for_known_addresses(app: TestApp) {
    let owner = app.anonymous();
    log_in(&owner, FOUNDER, PASSWORD).await.expect(200);
    let capacity = Capacity::default();
    let flood = (0..3 * (capacity.at_once.get() + capacity.waiting)).map(|n| {
        let client = app.anonymous().coming_from(&format!("127.0.{}.{}", 1 + n / 250, 1 + n % 250));
        async move { log_in(&client, &format!("nobody-{n}@example.test"), WRONG).await.status }
    });
    let (statuses, known) = tokio::join!(join_all(flood), log_in(&owner, FOUNDER, PASSWORD));
    assert!(statuses.contains(&503), "the line was full");
    known.expect(200);
}

async fn attempts_refused_as_busy_do_not_count(app: TestApp) {
    app.execute("DELETE FROM login_attempts");
    let capacity = Capacity::default();
    let attempts = (0..3 * (capacity.at_once.get() + capacity.waiting)).map(|n| {
        let client = app.anonymous().coming_from(&format!("127.0.{}.{}", 1 + n / 250, 1 + n % 250));
        async move { log_in(&client, &format!("nobody-{n}@example.test"), WRONG).await.status }
    });
    let statuses = join_all(attempts).await;
    let judged = statuses.iter().filter(|status| **status == 401).count();
    let turned_away = statuses.iter().filter(|status| **status == 503).count();
    assert!(turned_away > 0, "all {judged} were judged");
    assert_eq!(judged + turned_away, statuses.len());
    // Per judged attempt: the account, the address, and the pair.
    assert_eq!(app.database().count("login_attempts WHERE failures = 1"), 3 * i64::try_from(judged).unwrap());
}
