//! The projector of a server: it keeps figures up to date, stops rather than skips, and goes on.

use std::time::Duration;

use serde_json::{Value, json};

use super::{DAY, KPIS, REQUESTS, SERIES, SITES, measured, send, series, values};
use crate::support::TestApp;

on_both!(
    keeps_the_figures_of_all_tenants_up_to_date,
    is_switched_off_by_the_setting,
    stops_at_a_document_that_it_cannot_read_and_goes_on_when_it_can,
    two_servers_project_each_event_once,
);

also_restricted!(keeps_the_figures_of_all_tenants_up_to_date, two_servers_project_each_event_once);

/// Waits until an answer is as it should be.
async fn until(app: &TestApp, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    loop {
        let answer = app.get(path).await.expect(200).json();
        if is_so(&answer) {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is_current(answer: &Value) -> bool {
    answer["as_of"]["behind"] == 0
}

async fn keeps_the_figures_of_all_tenants_up_to_date(app: TestApp) {
    let foreign = app.foreigner(mass_domain::access::Role::Operator).await;
    let periodic = app.periodic();
    until(&app, SITES, is_current).await;
    send(app.founder(), &[measured("pdu-1", "10:00:00", json!({"power_kw": 1}))]).await;
    send(&foreign, &[measured("pdu-2", "10:00:00", json!({"power_kw": 2}))]).await;
    until(&app, SITES, is_current).await;
    let query = format!("metric=power_kw&{DAY}&step=raw");
    assert_eq!(values(&series(app.founder(), &query).await)[0].1, 1.0);
    while foreign.get(&format!("{SERIES}?{query}")).await.expect(200).at("/series") == json!([]) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(app.anonymous().get("/ready").await.expect(200).text("/checks/analytics"), "ok");
    periodic.finish().await;
}

async fn is_switched_off_by_the_setting(app: TestApp) {
    let app = app.another_with(&[("--analytics", "false")]).await;
    let periodic = app.periodic();
    send(app.founder(), &[measured("pdu-1", "10:00:00", json!({"power_kw": 1}))]).await;
    assert_eq!(app.anonymous().get("/ready").await.expect(200).text("/checks/analytics"), "off");
    periodic.finish().await;
    let as_of = app.get(SITES).await.expect(200).at("/as_of");
    assert_eq!((&as_of["sequence"], &as_of["behind"]), (&json!(0), &as_of["head"]));
}

async fn stops_at_a_document_that_it_cannot_read_and_goes_on_when_it_can(app: TestApp) {
    send(app.founder(), &[measured("pdu-1", "10:00:00", json!({"power_kw": 1}))]).await;
    app.project().await;
    let document = measured("pdu-1", "10:10:00", json!({"power_kw": 2}));
    app.post(REQUESTS).json(&document).await.expect(201);
    let stored = "mass_requests WHERE CAST(document AS text) LIKE '%\"power_kw\":2%'";
    let kept = app.database().lines(&format!("SELECT CAST(document AS text) AS line FROM {stored}"));
    let damage = "UPDATE mass_requests SET document = '{\"mass_version\":\"2.0\"}'";
    let (_, stored) = stored.split_once(' ').unwrap();
    app.execute(&format!("{damage} {stored}"));
    send(app.founder(), &[measured("pdu-1", "10:20:00", json!({"power_kw": 4}))]).await;

    let periodic = app.periodic();
    until(&app, "/ready", |ready| ready["checks"]["analytics"] == "stopped").await;
    let as_of = app.get(&format!("{KPIS}?{DAY}")).await.expect(200).at("/as_of");
    assert_eq!(as_of["stopped"]["sequence"], as_of["sequence"].as_u64().unwrap() + 1);
    assert!(as_of["stopped"]["reason"].is_string() && as_of["behind"] == 2, "{as_of}");
    let table = app.get(&format!("{SERIES}?metric=power_kw&{DAY}")).header("Accept", "text/csv").await.expect(200);
    let told = format!("stopped={}", as_of["stopped"]["sequence"]);
    assert!(table.header("analytics-as-of").unwrap().ends_with(&told), "{table:?}");
    let query = format!("metric=power_kw&{DAY}&step=raw");
    assert_eq!(values(&series(app.founder(), &query).await).len(), 1, "nothing behind it is known");
    let shown = String::from_utf8(app.get("/metrics").await.expect(200).body).unwrap();
    assert!(shown.lines().any(|line| line == "mass_projection_stopped 1"), "{shown}");
    periodic.finish().await;

    let mend = format!("UPDATE mass_requests SET document = '{}'", kept[0]);
    app.execute(&format!("{mend} WHERE CAST(document AS text) = '{{\"mass_version\":\"2.0\"}}'"));
    let app = app.another().await;
    let periodic = app.periodic();
    let current = until(&app, SITES, is_current).await;
    assert_eq!(current["as_of"].get("stopped"), None);
    assert_eq!(values(&series(app.founder(), &query).await).len(), 3);
    until(&app, "/ready", |ready| ready["checks"]["analytics"] == "ok").await;
    periodic.finish().await;
}

async fn two_servers_project_each_event_once(app: TestApp) {
    let other = app.another().await;
    let workers = [app.periodic(), other.periodic()];
    for hour in 0..12 {
        let minute = |minute: u32| measured("pdu-1", &format!("{hour:02}:{minute:02}:00"), json!({"power_kw": 3}));
        send(app.founder(), &(0..60).map(minute).collect::<Vec<_>>()).await;
    }
    until(&app, SITES, is_current).await;
    let query = format!("metric=power_kw&{DAY}&step=day&aggregate=sum");
    // The last value holds for no time yet.
    let kwh = values(&series(app.founder(), &query).await)[0].1;
    assert!((kwh - 3.0 * 719.0 / 60.0).abs() < 1e-9, "{kwh}");
    for worker in workers {
        worker.finish().await;
    }
    // A request with a place has 41 bytes.
    let requests = "SELECT CAST(sum(length(requests)) / 41 AS text) AS line FROM projected_blocks";
    assert_eq!(app.database().lines(requests), ["720"]);
    assert_eq!(app.database().count("points"), 720);
}
