//! Passwords: which may be set, how they are changed, and how long somebody waits who guesses.

use futures_util::future::join_all;
use mass_auth::Capacity;
use mass_domain::access::Role;
use serde_json::json;

use crate::support::client::{Answer, Client};
use crate::support::{FOUNDER, PASSWORD, TestApp};

on_both!(
    a_changed_password_ends_the_other_sessions,
    what_is_wrong_with_a_new_password_is_named,
    the_present_password_has_to_be_right,
    a_machine_has_no_password,
    a_password_counts_in_composed_form_however_it_is_sent,
    who_keeps_failing_has_to_wait_and_nobody_else_has,
    an_unknown_account_waits_like_a_known_one,
    an_address_waits_whatever_accounts_it_tries,
    failures_elsewhere_do_not_delay_the_owner,
    a_success_clears_the_failures_of_the_account,
    guessing_the_present_password_is_throttled_too,
    all_servers_on_a_database_count_together,
    an_attempt_that_nobody_has_time_for_counts_as_none,
    right_passwords_at_once_all_succeed,
    guesses_at_once_are_delayed_like_those_in_turn,
    in_a_flood_a_place_is_kept_for_who_logged_in_there_before,
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

/// Somebody without a token, at another address than everybody else.
fn attacker(app: &TestApp) -> Client {
    app.anonymous().coming_from("127.0.0.2")
}

/// As if whoever failed had failed so much more often, so that no test has to fail often or to wait.
fn add_failures(app: &TestApp, more: u32) {
    app.execute(&format!("UPDATE login_attempts SET failures = failures + {more} WHERE failures > 0"));
}

/// Asserts that the client has to wait, for at most so many seconds and for this reason.
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

async fn what_is_wrong_with_a_new_password_is_named(app: TestApp) {
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

async fn the_present_password_has_to_be_right(app: TestApp) {
    let answer = change(app.founder(), WRONG, NEW).await;
    answer.expect_violations("contract-violation", &["/current_password wrong_password"]);
    log_in(&app.anonymous(), FOUNDER, PASSWORD).await.expect(200);
}

async fn a_machine_has_no_password(app: TestApp) {
    let key = app.post("/v1/admin/api-keys").json(&json!({"name": "gateway", "permissions": ["mass:read"]})).await;
    let machine = app.bearer(&key.expect(201).text("/token"));
    change(&machine, PASSWORD, NEW).await.expect_problem(403, "forbidden");
}

async fn a_password_counts_in_composed_form_however_it_is_sent(app: TestApp) {
    // 480 characters as they are sent, 240 of them composed.
    let long: String = ('a'..='z').cycle().take(120).map(|letter| format!("{letter}e\u{302}\u{301}")).collect();
    change(app.founder(), PASSWORD, &long).await.expect(204);
    log_in(&app.anonymous(), FOUNDER, &long).await.expect(200);
    log_in(&app.anonymous(), FOUNDER, &long.repeat(2)).await.expect_problem(401, "invalid-credentials");
    change(app.founder(), &long, NEW).await.expect(204);
}

async fn who_keeps_failing_has_to_wait_and_nobody_else_has(app: TestApp) {
    let victim = email_of(&app.user(Role::Viewer).await).await;
    for _ in 0..5 {
        log_in(&attacker(&app), &victim, WRONG).await.expect_problem(401, "invalid-credentials");
    }
    add_failures(&app, 20);
    assert_throttled(log_in(&attacker(&app), &victim, WRONG).await, "account", 900);
    // Not even the right password is looked at now.
    assert_throttled(log_in(&attacker(&app), &victim, PASSWORD).await, "account", 900);
    // Whoever means the account from yet another address waits for seconds; whoever means another account, not at all.
    assert_throttled(log_in(&app.anonymous().coming_from("127.0.0.3"), &victim, PASSWORD).await, "account", 30);
    log_in(&attacker(&app), FOUNDER, PASSWORD).await.expect(200);
}

async fn an_unknown_account_waits_like_a_known_one(app: TestApp) {
    let known = email_of(&app.user(Role::Viewer).await).await;
    for email in [known.as_str(), NOBODY, "no address"] {
        log_in(&attacker(&app), email, WRONG).await.expect_problem(401, "invalid-credentials");
    }
    add_failures(&app, 40);
    for email in [known.as_str(), NOBODY, "no address"] {
        assert_throttled(log_in(&attacker(&app), email, WRONG).await, "account", 900);
    }
}

async fn an_address_waits_whatever_accounts_it_tries(app: TestApp) {
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
    // What is left are the eight failures of the address.
    assert_eq!(app.database().count("login_attempts WHERE failures > 0"), 1);
    assert_eq!(app.database().count("login_attempts WHERE failures = 8"), 1);
}

async fn guessing_the_present_password_is_throttled_too(app: TestApp) {
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

async fn right_passwords_at_once_all_succeed(app: TestApp) {
    app.execute("DELETE FROM login_attempts");
    let client = app.anonymous();
    let answers = join_all((0..12).map(|_| log_in(&client, FOUNDER, PASSWORD))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(app.database().count("login_attempts WHERE failures > 0"), 0);
}

async fn guesses_at_once_are_delayed_like_those_in_turn(app: TestApp) {
    app.execute("DELETE FROM login_attempts");
    let client = attacker(&app);
    let answers = join_all((0..16).map(|_| log_in(&client, FOUNDER, WRONG))).await;
    let judged = answers.iter().filter(|answer| answer.status == 401).count();
    // Some more than five only where judging five takes as long as the delays.
    assert!((5..12).contains(&judged), "{judged}");
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 16 - judged);
}

async fn in_a_flood_a_place_is_kept_for_who_logged_in_there_before(app: TestApp) {
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

async fn an_attempt_that_nobody_has_time_for_counts_as_none(app: TestApp) {
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
    // Of each that was judged: the account, the address, and the two together.
    assert_eq!(app.database().count("login_attempts WHERE failures = 1"), 3 * i64::try_from(judged).unwrap());
}
