//! Quotas: daily requests and stored bytes.

use futures_util::future::join_all;
use mass_domain::access::Role;
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client::Answer;
use crate::support::documents::simple;

on_both!(
    without_a_quota_nothing_is_refused,
    daily_requests_are_used_up_and_replays_use_none,
    the_day_of_a_quota_ends_at_midnight,
    stored_bytes_are_used_up_and_released,
    concurrent_requests_do_not_exceed_the_quota,
    each_tenant_has_its_own_quotas,
);

also_restricted!(
    daily_requests_are_used_up_and_replays_use_none,
    stored_bytes_are_used_up_and_released,
    each_tenant_has_its_own_quotas,
);

const REQUESTS: &str = "/v1/mass-requests";

async fn allow(app: &TestApp, quotas: Value) {
    app.founder().put("/v1/admin/quotas").json(&quotas).await.expect(200);
}

async fn send(app: &TestApp, number: u32) -> Answer {
    app.post(REQUESTS).json(&simple(json!({"number": number}))).await
}

async fn without_a_quota_nothing_is_refused(app: TestApp) {
    for number in 0..3 {
        send(&app, number).await.expect(201);
    }
}

async fn daily_requests_are_used_up_and_replays_use_none(app: TestApp) {
    send(&app, 0).await.expect(201);
    allow(&app, json!({"requests_per_day": 2})).await;
    let last = || app.post(REQUESTS).json(&simple(json!({"number": 1}))).key("k");
    last().await.expect(201);
    let refused = send(&app, 2).await.expect_problem(429, "daily-quota-exceeded");
    assert_eq!((refused.at("/allowed"), refused.at("/used")), (json!(2), json!(2)));
    assert!(refused.header("retry-after").unwrap().ends_with(" 00:00:00 GMT"), "midnight of UTC");
    assert_eq!(last().await.expect(201).header("idempotent-replayed"), Some("true"));
    app.get(REQUESTS).await.expect(200);
    allow(&app, json!({})).await;
    send(&app, 2).await.expect(201);
}

async fn the_day_of_a_quota_ends_at_midnight(app: TestApp) {
    allow(&app, json!({"requests_per_day": 1})).await;
    send(&app, 0).await.expect(201);
    send(&app, 1).await.expect(429);
    app.execute("UPDATE tenant_usage SET day = day - 1");
    // The first server relies on its own writes and on the log, so that it cannot notice the SQL statement.
    let another = app.another().await;
    send(&another, 1).await.expect(201);
    send(&another, 2).await.expect(429);
    send(&app, 2).await.expect(429);
}

async fn stored_bytes_are_used_up_and_released(app: TestApp) {
    let size = r#"{"payload":{"number":0}}"#.len();
    let first = send(&app, 0).await.expect(201);
    allow(&app, json!({"stored_bytes": 2 * size})).await;
    send(&app, 1).await.expect(201);
    let refused = send(&app, 2).await.expect_problem(403, "quota-exceeded");
    let figures = ["/allowed", "/used", "/needed"].map(|member| refused.at(member));
    assert_eq!(figures, [json!(2 * size), json!(2 * size), json!(size)]);
    app.delete(&format!("{REQUESTS}/{}", first.id())).await.expect(204);
    send(&app, 2).await.expect(201);
    send(&app, 3).await.expect(403);
}

async fn concurrent_requests_do_not_exceed_the_quota(app: TestApp) {
    allow(&app, json!({"requests_per_day": 7})).await;
    let answers = join_all((0..30).map(|number| send(&app, number))).await;
    let with = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((with(201), with(429)), (7, 23));
}

async fn each_tenant_has_its_own_quotas(app: TestApp) {
    allow(&app, json!({"requests_per_day": 1})).await;
    send(&app, 0).await.expect(201);
    send(&app, 1).await.expect(429);
    let foreigner = app.foreigner(Role::Operator).await;
    foreigner.post(REQUESTS).json(&simple(json!({"number": 0}))).await.expect(201);
}
