//! Settings of a tenant, and their effect from the next request on.

use mass_domain::access::Role;
use serde_json::{Value, json};

use crate::batch::BATCH;
use crate::support::TestApp;
use crate::support::client::{Answer, Client};
use crate::support::documents::{reading, simple};

on_both!(
    a_tenant_has_no_settings_at_first,
    unknown_settings_are_refused,
    each_tenant_has_its_own_settings,
    settings_apply_to_every_way_of_submitting,
    settings_apply_to_other_servers_at_once,
    without_an_engine_nothing_is_sent_and_the_settings_say_so,
);

also_restricted!(
    a_tenant_has_no_settings_at_first,
    each_tenant_has_its_own_settings,
    settings_apply_to_other_servers_at_once,
);

const SETTINGS: &str = "/v1/admin/settings";
const REQUESTS: &str = "/v1/mass-requests";

/// The expected view of a tenant's settings.
fn shown(auto_send: Option<bool>, in_force: bool) -> Value {
    let in_force = json!({"auto_send": in_force, "quarantine": false, "second_factor": false});
    json!({"auto_send": auto_send, "quarantine": null, "second_factor": null, "in_force": in_force})
}

async fn decide(admin: &Client, auto_send: Option<bool>) -> Answer {
    admin.put(SETTINGS).json(&json!({"auto_send": auto_send})).await
}

async fn send(operator: &Client, number: u32) -> Answer {
    operator.post(REQUESTS).json(&simple(json!({"number": number}))).await
}

/// Returns the number of deliveries of a tenant.
async fn deliveries(operator: &Client) -> u64 {
    operator.get("/v1/admin/deliveries").await.expect(200).at("/queue/queued").as_u64().unwrap()
}

/// The same server twice: with `MASS_AUTO_SEND`, and without.
async fn both_ways(app: &TestApp) -> [(TestApp, bool); 2] {
    [(app.another_with(&[("--auto-send", "true")]).await, true), (app.another().await, false)]
}

async fn a_tenant_has_no_settings_at_first(app: TestApp) {
    for (app, by_default) in both_ways(&app).await {
        assert_eq!(app.get(SETTINGS).await.expect(200).json(), shown(None, by_default));
        for decided in [Some(true), Some(false), None] {
            let set = shown(decided, decided.unwrap_or(by_default));
            assert_eq!(decide(app.founder(), decided).await.expect(200).json(), set);
            assert_eq!(app.get(SETTINGS).await.expect(200).json(), set);
        }
        decide(app.founder(), Some(true)).await.expect(200);
        let nothing = app.founder().put(SETTINGS).json(&json!({})).await.expect(200);
        assert_eq!(nothing.json(), shown(None, by_default));
    }
}

async fn unknown_settings_are_refused(app: TestApp) {
    decide(app.founder(), Some(true)).await.expect(200);
    for (wrong, violation) in [
        (json!({"auto_send": "true"}), "/auto_send shape"),
        (json!({"auto_send": 1}), "/auto_send shape"),
        (json!({"autosend": true}), "/autosend shape"),
        (json!({"auto_send": true, "in_force": {"auto_send": true}}), "/in_force shape"),
        (json!([]), " type"),
    ] {
        app.founder().put(SETTINGS).json(&wrong).await.expect_violations("contract-violation", &[violation]);
    }
    for role in [Role::Viewer, Role::Operator, Role::Auditor, Role::PlatformAdmin] {
        let client = app.user(role).await;
        client.get(SETTINGS).await.expect_problem(403, "forbidden");
        decide(&client, Some(false)).await.expect_problem(403, "forbidden");
    }
    assert_eq!(app.get(SETTINGS).await.expect(200).json(), shown(Some(true), true));
}

async fn each_tenant_has_its_own_settings(app: TestApp) {
    let (admin, operator) = (app.foreigner(Role::Admin).await, app.foreigner(Role::Operator).await);
    decide(app.founder(), Some(true)).await.expect(200);
    assert_eq!(admin.get(SETTINGS).await.expect(200).json(), shown(None, false));
    decide(&admin, Some(false)).await.expect(200);
    send(app.founder(), 1).await.expect(201);
    send(&operator, 1).await.expect(201);
    assert_eq!((deliveries(app.founder()).await, deliveries(&operator).await), (1, 0));
    decide(app.founder(), Some(false)).await.expect(200);
    decide(&admin, Some(true)).await.expect(200);
    send(app.founder(), 2).await.expect(201);
    send(&operator, 2).await.expect(201);
    assert_eq!((deliveries(app.founder()).await, deliveries(&operator).await), (1, 1));
}

async fn settings_apply_to_every_way_of_submitting(app: TestApp) {
    let mut expected = 0;
    for (way, (app, by_default)) in both_ways(&app).await.into_iter().enumerate() {
        for (step, decided) in [None, Some(true), Some(false)].into_iter().enumerate() {
            decide(app.founder(), decided).await.expect(200);
            let number = u32::try_from(way * 3 + step).unwrap();
            let document = reading(&format!("single-{number}"));
            app.post(REQUESTS).json(&document).await.expect(201);
            app.post(REQUESTS).json(&document).await.expect(200);
            let more: Vec<_> = (0..3).map(|n| simple(json!({"number": number, "n": n}))).collect();
            app.post(BATCH).json(&json!(more)).await.expect(200);
            let others: Vec<_> = (0..2).map(|n| reading(&format!("atomic-{number}-{n}"))).collect();
            app.post(&format!("{BATCH}?mode=atomic")).json(&json!(others)).await.expect(201);
            if decided.unwrap_or(by_default) {
                expected += 1 + 3 + 2;
            }
            assert_eq!(deliveries(app.founder()).await, expected, "{decided:?} {by_default}");
        }
    }
    let told = r#"audit_events WHERE action = 'accepted' AND event LIKE '%"delivery":%'"#;
    let sent = app.database().count(told);
    assert_eq!((expected, sent), (18, 18));
}

async fn settings_apply_to_other_servers_at_once(app: TestApp) {
    let other = app.another().await;
    for step in 0..12 {
        let (here, there) = if step % 2 == 0 { (&app, &other) } else { (&other, &app) };
        let decided = [Some(true), Some(false), None][step % 3];
        // This server has just accepted a request under the earlier setting.
        send(there.founder(), u32::try_from(step).unwrap()).await.expect(201);
        let before = deliveries(app.founder()).await;
        decide(here.founder(), decided).await.expect(200);
        send(there.founder(), 100 + u32::try_from(step).unwrap()).await.expect(201);
        assert_eq!(deliveries(app.founder()).await - before, u64::from(decided == Some(true)), "{step}");
    }
}

async fn without_an_engine_nothing_is_sent_and_the_settings_say_so(app: TestApp) {
    let alone = app.another_with(&[("--engine-url", "")]).await;
    decide(alone.founder(), Some(true)).await.expect_problem(409, "engine-not-configured");
    assert_eq!(alone.get(SETTINGS).await.expect(200).json(), shown(None, false));
    assert_eq!(app.database().count("audit_events WHERE action = 'settings_set'"), 0);
    // The engine is removed while a tenant auto-sends.
    decide(app.founder(), Some(true)).await.expect(200);
    assert_eq!(alone.get(SETTINGS).await.expect(200).json(), shown(Some(true), false));
    send(alone.founder(), 1).await.expect(201);
    assert_eq!(deliveries(app.founder()).await, 0);
    assert_eq!(decide(alone.founder(), Some(false)).await.expect(200).json(), shown(Some(false), false));
}
