//! The life of a request: status changes and deletion.

use std::future::IntoFuture;

use futures_util::future::join_all;
use serde_json::json;

use super::{REQUESTS, events, move_to, path, send};
use crate::support::client::Answer;
use crate::support::documents::{Edit, reading, simple};
use crate::support::{TestApp, operations};

on_both!(
    status_changes_follow_the_state_machine,
    setting_the_current_status_changes_nothing,
    invalid_status_changes_are_refused,
    if_match_ties_a_change_to_a_version,
    only_one_of_concurrent_changes_to_a_version_is_made,
    only_one_of_concurrent_deletions_is_made,
    a_deleted_request_is_gone_for_every_operation,
);

const STATUSES: [&str; 5] = ["pending", "processing", "done", "failed", "cancelled"];

/// The status changes that lead from `pending` to a status.
fn way_to(status: &str) -> &'static [&'static str] {
    match status {
        "pending" => &[],
        "processing" => &["processing"],
        "done" => &["processing", "done"],
        "failed" => &["failed"],
        "cancelled" => &["cancelled"],
        other => panic!("{other} is no status"),
    }
}

fn is_allowed(from: &str, to: &str) -> bool {
    match from {
        "pending" => ["processing", "failed", "cancelled"].contains(&to),
        "processing" => ["done", "failed", "cancelled"].contains(&to),
        "failed" => to == "pending",
        _ => false,
    }
}

async fn status_changes_follow_the_state_machine(app: TestApp) {
    for from in STATUSES {
        for to in STATUSES.into_iter().filter(|to| *to != from) {
            let id = send(&app, &simple(json!({"from": from, "to": to}))).await.id();
            for step in way_to(from) {
                move_to(&app, &id, step).await.expect(200);
            }
            let before = app.get(&path(&id)).await;
            let answer = move_to(&app, &id, to).await;
            if is_allowed(from, to) {
                let answer = answer.expect(200);
                assert_moved(&answer, &before, to);
                assert_eq!(app.get(&path(&id)).await.body, answer.body);
            } else {
                let answer = answer.expect_problem(409, "transition-not-allowed");
                assert_eq!((answer.text("/from"), answer.text("/to")), (from.to_owned(), to.to_owned()));
                assert_eq!(app.get(&path(&id)).await.body, before.body);
            }
        }
    }
}

fn assert_moved(answer: &Answer, before: &Answer, to: &str) {
    assert_ne!(answer.header("etag"), before.header("etag"));
    let expected = before.json().with("/status", to).with("/updated_at", answer.at("/updated_at"));
    assert_eq!(answer.json(), expected);
}

async fn setting_the_current_status_changes_nothing(app: TestApp) {
    for status in STATUSES {
        let id = send(&app, &simple(json!({"status": status}))).await.id();
        for step in way_to(status) {
            move_to(&app, &id, step).await.expect(200);
        }
        let before = (app.get(&path(&id)).await, events(&app, &id).await);
        let answer = move_to(&app, &id, status).await.expect(200);
        assert_eq!((&answer.body, answer.header("etag")), (&before.0.body, before.0.header("etag")));
        assert_eq!(events(&app, &id).await, before.1);
    }
}

async fn invalid_status_changes_are_refused(app: TestApp) {
    let id = send(&app, &reading("dev-1")).await.id();
    for (body, violation) in [
        (json!({"status": "asleep"}), "/status shape"),
        (json!({"status": null}), "/status shape"),
        (json!({"status": "failed", "reason": ""}), "/reason rule"),
        (json!({"status": "failed", "reason": "x".repeat(501)}), "/reason rule"),
        (json!({"status": "failed", "reason": 1}), "/reason shape"),
        (json!({"status": "failed", "reasons": "x"}), "/reasons shape"),
    ] {
        let answer = app.patch(&format!("{REQUESTS}/{id}/status")).json(&body).await;
        answer.expect_violations("contract-violation", &[violation]);
    }
    let long = json!({"status": "failed", "reason": "ä".repeat(500)});
    app.patch(&format!("{REQUESTS}/{id}/status")).json(&long).await.expect(200);
}

async fn if_match_ties_a_change_to_a_version(app: TestApp) {
    let id = send(&app, &reading("dev-1")).await.id();
    let tied = |status: &str, tag: &str| {
        app.patch(&format!("{REQUESTS}/{id}/status")).json(&json!({"status": status})).header("If-Match", tag)
    };
    for stale in ["\"v2\"", "W/\"v1\"", "v1", ""] {
        tied("processing", stale).await.expect_problem(412, "precondition-failed");
    }
    let moved = tied("processing", "\"v1\"").await.expect(200);
    assert_eq!(moved.header("etag"), Some("\"v2\""));
    tied("done", "\"v1\"").await.expect_problem(412, "precondition-failed");
    tied("pending", "\"v1\"").await.expect_problem(412, "precondition-failed");
    tied("done", "*").await.expect(200);
    app.delete(&path(&id)).header("If-Match", "\"v2\"").await.expect_problem(412, "precondition-failed");
    app.delete(&path(&id)).header("If-Match", "\"v2\", \"v3\"").await.expect(204);
    app.delete(&path(&id)).header("If-Match", "\"v3\"").await.expect_problem(410, "gone");
}

async fn only_one_of_concurrent_changes_to_a_version_is_made(app: TestApp) {
    let id = send(&app, &reading("dev-1")).await.id();
    let change = json!({"status": "processing"});
    let send =
        |_| app.patch(&format!("{REQUESTS}/{id}/status")).json(&change).header("If-Match", "\"v1\"").into_future();
    assert_eq!(statuses(join_all((0..20).map(send)).await), [vec![200], vec![412; 19]].concat());
    assert_eq!(events(&app, &id).await.len(), 2);
}

async fn only_one_of_concurrent_deletions_is_made(app: TestApp) {
    let id = send(&app, &reading("dev-1")).await.id();
    let answers = join_all((0..20).map(|_| app.delete(&path(&id)).into_future())).await;
    assert_eq!(statuses(answers), [vec![204], vec![410; 19]].concat());
}

fn statuses(answers: Vec<Answer>) -> Vec<u16> {
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    statuses
}

async fn a_deleted_request_is_gone_for_every_operation(app: TestApp) {
    let id = send(&app, &reading("dev-1")).await.id();
    let answer = app.delete(&path(&id)).await.expect(204);
    assert_eq!(answer.body.len(), 0);
    for operation in operations::on_a_request() {
        app.founder().operation(&operation, &id).await.expect_problem(410, "gone");
    }
    app.get(&path(&id)).header("If-None-Match", "*").await.expect(410);
}
