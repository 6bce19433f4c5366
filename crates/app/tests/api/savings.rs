//! Savings from outside: projects and their versions, schedules, reports with each verdict, and plans.

mod pilot;
mod process;
mod verify;

use std::time::Duration;

use mass_app::periodic::Periodic;
use mass_domain::access::Role;
use mass_domain::canonical::{self, Fingerprint};
use mass_domain::json as strict;
use serde_json::{Value, json};

use self::pilot::Pilot;
use crate::analytics::send;
use crate::support::TestApp;
use crate::support::client::{Answer, Client};

on_both!(
    a_project_is_created_changed_and_read_by_its_versions,
    terms_that_break_rules_are_refused_with_each_fault,
    projects_are_listed_page_by_page,
    a_schedule_is_drawn_once_and_its_days_are_confirmed,
    adjustments_are_recorded_within_the_reporting_period,
    a_report_claims_indicates_or_refuses,
    a_report_is_signed_and_pins_what_it_follows_from,
    a_report_of_too_few_hours_refuses_with_its_reason,
    a_crossover_is_reported_as_planned_and_as_treated,
    a_report_prices_each_hour_by_a_series,
    the_same_report_has_the_same_bytes,
    a_report_that_a_killed_server_left_is_computed_by_another,
    a_report_and_then_its_project_are_deleted,
    a_report_that_waits_is_cancelled_by_its_deletion,
    a_report_is_had_as_csv_and_as_a_paper_once_it_is_done,
    a_plan_predicts_both_designs,
    each_tenant_has_its_own_projects,
    rules_that_erase_what_a_report_rests_on_name_it,
);

also_restricted!(
    a_report_is_signed_and_pins_what_it_follows_from,
    each_tenant_has_its_own_projects,
    rules_that_erase_what_a_report_rests_on_name_it,
);

const PROJECTS: &str = "/v1/savings/projects";
const PLANS: &str = "/v1/savings/plans";
const REPORTS: &str = "/v1/savings/reports";

/// The first day of the pilots' data.
const BEGIN: &str = "2025-03-03T00:00:00Z";
const AFTER_2_WEEKS: &str = "2025-03-17T00:00:00Z";
const AFTER_8_WEEKS: &str = "2025-04-28T00:00:00Z";
const AFTER_12_WEEKS: &str = "2025-05-26T00:00:00Z";

fn terms(site: &str, baseline: [&str; 2], reporting: [&str; 2]) -> Value {
    let period = |[from, until]: [&str; 2]| json!({"from": from, "until": until});
    json!({
        "name": "Fans", "site_id": site, "weather_device": format!("{site}-plant"), "boundary": "hvac", "zone": "UTC",
        "design": {"kind": "pre_post", "baseline": period(baseline), "reporting": period(reporting)},
        "price": {"per_kwh": 0.25, "currency": "EUR"}, "co2e_kg_per_kwh": 0.4,
    })
}

pub(crate) fn whole(site: &str) -> Value {
    terms(site, [BEGIN, AFTER_8_WEEKS], [AFTER_8_WEEKS, AFTER_12_WEEKS])
}

/// The terms of the pilot with the prices that its plant reports.
fn by_series() -> Value {
    let mut terms = whole("steady");
    terms["price"] = json!({"series": {"metric": "spot_price", "device_id": "steady-plant"}, "currency": "EUR"});
    terms
}

pub(crate) fn crossover(first_day: &str, pairs: u32) -> Value {
    let mut terms = whole("steady");
    terms["design"] = json!({"kind": "crossover", "first_day": first_day, "pairs": pairs, "washout": false});
    terms
}

async fn create(client: &Client, terms: &Value) -> Answer {
    client.post(PROJECTS).json(terms).await.expect(201)
}

fn path(id: &str, rest: &str) -> String {
    format!("{PROJECTS}/{id}{rest}")
}

/// Asks for a report, and waits until it is done or has failed.
async fn report(app: &TestApp, project: &str) -> Value {
    let asked = app.post(&path(project, "/reports")).await.expect(202);
    assert_eq!(asked.text("/state"), "queued");
    finished(app, &asked.id()).await
}

async fn finished(app: &TestApp, report: &str) -> Value {
    loop {
        let found = app.get(&format!("{REPORTS}/{report}")).await.expect(200).json();
        if matches!(found["state"].as_str(), Some("done" | "failed")) {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A server that projects and reports, and sites whose data it has.
async fn serving(app: &TestApp, pilots: &[Pilot]) -> Periodic {
    for pilot in pilots {
        pilot.send(app.founder()).await;
    }
    app.periodic()
}

async fn a_project_is_created_changed_and_read_by_its_versions(app: TestApp) {
    let created = create(app.founder(), &whole("steady")).await;
    let id = created.id();
    assert_eq!((created.header("etag"), created.at("/version")), (Some("\"v1\""), json!(1)));
    assert_eq!(created.header("location"), Some(path(&id, "").as_str()));
    let known = app.get(&path(&id, "")).header("If-None-Match", "\"v1\"").await;
    assert_eq!(known.status, 304);
    let mut terms = whole("steady");
    terms["assumptions"] = json!(["The IT load is measured at the PDUs."]);
    let put = |tag: &'static str, terms: Value| {
        let call = app.founder().put(&path(&id, "")).header("If-Match", tag);
        async move { call.json(&terms).await }
    };
    assert_eq!(put("\"v1\"", terms.clone()).await.expect(200).at("/version"), json!(2));
    put("\"v1\"", whole("steady")).await.expect_problem(412, "precondition-failed");
    // The same terms are no new version.
    assert_eq!(put("*", terms).await.expect(200).at("/version"), json!(2));
    let read = app.get(&path(&id, "")).await.expect(200);
    assert_eq!(read.at("/terms/assumptions/0"), json!("The IT load is measured at the PDUs."));
    app.get(&path("0199d3a0-0000-7000-8000-000000000001", "")).await.expect_problem(404, "not-found");
    let events = app.get(&format!("/v1/audit/events?object_kind=savings_project&object_id={id}")).await;
    let actions: Vec<Value> =
        events.expect(200).at("/items").as_array().unwrap().iter().map(|it| it["action"].clone()).collect();
    assert!(actions.contains(&json!("savings_created")) && actions.contains(&json!("savings_changed")), "{actions:?}");
}

async fn terms_that_break_rules_are_refused_with_each_fault(app: TestApp) {
    let mut bad = terms("steady", [BEGIN, AFTER_8_WEEKS], [AFTER_2_WEEKS, AFTER_12_WEEKS]);
    bad["zone"] = json!("Mars/Olympus");
    bad["price"]["currency"] = json!("euro");
    let refused = app.founder().post(PROJECTS).json(&bad).await.expect_problem(422, "contract-violation");
    let pointers: Vec<Value> =
        refused.at("/violations").as_array().unwrap().iter().map(|it| it["pointer"].clone()).collect();
    assert_eq!(pointers, [json!("/design/reporting"), json!("/price/currency"), json!("/zone")]);
    for (pointer, value) in [
        ("/design", json!({"kind": "guess"})),
        ("/boundary", json!("cooling")),
        ("/design/baseline/from", json!("yesterday")),
        ("/price", json!({"currency": "EUR"})),
        ("/price", json!({"per_kwh": 0.2, "series": {"metric": "spot_price"}, "currency": "EUR"})),
        ("/price", json!({"series": {"metric": "hvac_power_kw"}, "currency": "EUR"})),
        ("/more", json!(1)),
    ] {
        let mut bad = whole("steady");
        match bad.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => bad["more"] = value,
        }
        app.founder().post(PROJECTS).json(&bad).await.expect_problem(422, "contract-violation");
    }
}

async fn projects_are_listed_page_by_page(app: TestApp) {
    let ids = [create(app.founder(), &whole("a")).await.id(), create(app.founder(), &whole("b")).await.id()];
    let first = app.get(&format!("{PROJECTS}?limit=1")).await.expect(200);
    assert_eq!((first.text("/items/0/id"), first.text("/items/0/site_id")), (ids[1].clone(), "b".to_owned()));
    let cursor = first.text("/next_cursor");
    let second = app.get(&format!("{PROJECTS}?limit=1&cursor={cursor}")).await.expect(200);
    assert_eq!((second.text("/items/0/id"), second.at("/next_cursor")), (ids[0].clone(), Value::Null));
    app.get(&format!("{PROJECTS}?cursor=x")).await.expect_problem(422, "invalid-parameter");
}

async fn a_schedule_is_drawn_once_and_its_days_are_confirmed(app: TestApp) {
    let id = create(app.founder(), &crossover("9000-01-01", 3)).await.id();
    app.get(&path(&id, "/schedule")).await.expect_problem(404, "not-found");
    app.post(&path(&id, "/reports")).await.expect_problem(409, "savings-not-allowed");
    let drawn = app.post(&path(&id, "/schedule")).await.expect(201);
    assert_eq!(drawn.at("/schedule/days").as_array().unwrap().len(), 6);
    app.post(&path(&id, "/schedule")).await.expect_problem(409, "savings-not-allowed");
    let schedule = app.get(&path(&id, "/schedule")).await.expect(200);
    assert_eq!(schedule.at("/seed"), drawn.at("/schedule/seed"));
    // The design stays as it was drawn by.
    let other = app.founder().put(&path(&id, "")).json(&crossover("9000-01-02", 3)).await;
    other.expect_problem(409, "savings-not-allowed");
    let confirm = |day: &str, body: Value| {
        let call = app.founder().put(&path(&id, &format!("/days/{day}")));
        async move { call.json(&body).await }
    };
    let applied = json!({"plan": "applied", "author": "O. Operator"});
    confirm("9000-01-01", applied.clone()).await.expect_problem(409, "savings-not-allowed");
    confirm("9000-01-07", applied.clone()).await.expect_problem(404, "not-found");
    confirm("someday", applied).await.expect_problem(404, "not-found");
    for body in [
        json!({"plan": "partly", "author": "O. Operator", "reason": "Late."}),
        json!({"plan": "applied", "share": 0.5, "author": "O. Operator"}),
        json!({"plan": "not_applied", "author": "O. Operator"}),
        json!({"plan": "partly", "share": 1.5, "author": "O. Operator", "reason": "Late."}),
    ] {
        confirm("9000-01-01", body).await.expect_problem(422, "contract-violation");
    }
    let late = create(app.founder(), &crossover("2020-01-01", 3)).await.id();
    app.post(&path(&late, "/schedule")).await.expect_problem(409, "savings-not-allowed");
    let pre_post = create(app.founder(), &whole("steady")).await.id();
    app.post(&path(&pre_post, "/schedule")).await.expect_problem(409, "savings-not-allowed");
}

fn adjustment(from: &str, until: &str) -> Value {
    json!({"author": "A. Engineer", "reason": "A hall.", "kwh": 500.0, "period": {"from": from, "until": until}})
}

async fn adjustments_are_recorded_within_the_reporting_period(app: TestApp) {
    let id = create(app.founder(), &whole("steady")).await.id();
    let adjust = |body: Value| {
        let call = app.post(&path(&id, "/adjustments"));
        async move { call.json(&body).await }
    };
    let adjusted = adjust(adjustment(AFTER_8_WEEKS, AFTER_12_WEEKS)).await.expect(201);
    assert_eq!((adjusted.at("/version"), adjusted.at("/adjustments/0/kwh")), (json!(2), json!(500.0)));
    assert_eq!(adjusted.text("/adjustments/0/recorded_by/kind"), "user");
    adjust(adjustment(BEGIN, AFTER_12_WEEKS)).await.expect_problem(422, "contract-violation");
    let mut silent = adjustment(AFTER_8_WEEKS, AFTER_12_WEEKS);
    silent["reason"] = json!(" ");
    adjust(silent).await.expect_problem(422, "contract-violation");
}

/// Each verdict that a model of a pre/post pilot can come to.
async fn a_report_claims_indicates_or_refuses(app: TestApp) {
    let periodic = serving(&app, &[Pilot::steady(), Pilot::hidden()]).await;
    let claimed = report(&app, &create(app.founder(), &whole("steady")).await.id()).await;
    let document = &claimed["document"];
    assert_eq!(document["verdict"]["standing"], "claimed", "{claimed}");
    let saving = &document["saving"];
    let (percent, half) = (saving["percent"].as_f64().unwrap(), saving["half_width_percent"].as_f64().unwrap());
    assert!((percent - 10.0).abs() <= half.max(1.0), "{saving}");
    let (energy, cost) = (saving["energy_kwh"].as_f64().unwrap(), saving["cost"]["amount"].as_f64().unwrap());
    assert!((cost - 0.25 * energy).abs() < 1e-6 * energy.abs(), "{saving}");
    let indicative = report(&app, &create(app.founder(), &whole("hidden")).await.id()).await;
    assert_eq!(indicative["document"]["verdict"]["standing"], "indicative", "{indicative}");
    // Two weeks of baseline are too few.
    let short = terms("steady", [BEGIN, AFTER_2_WEEKS], [AFTER_8_WEEKS, AFTER_12_WEEKS]);
    let refused = report(&app, &create(app.founder(), &short).await.id()).await;
    assert_eq!(refused["document"]["verdict"]["standing"], "refused", "{refused}");
    assert_eq!(refused["document"]["saving"], Value::Null);
    periodic.finish().await;
}

async fn a_report_is_signed_and_pins_what_it_follows_from(app: TestApp) {
    let periodic = serving(&app, &[Pilot::steady()]).await;
    let id = create(app.founder(), &whole("steady")).await.id();
    let asked = app.post(&path(&id, "/reports")).await.expect(202);
    // What changes after the request is no part of the report.
    app.post(&path(&id, "/adjustments")).json(&adjustment(AFTER_8_WEEKS, AFTER_12_WEEKS)).await.expect(201);
    let report = finished(&app, &asked.id()).await;
    let document = &report["document"];
    assert_eq!((&report["project_version"], &document["project"]["version"]), (&json!(1), &json!(1)));
    assert_eq!((&document["project"]["adjustments"], &document["as_of"]), (&json!([]), &report["as_of"]));
    let text = canonical::write(&strict::parse(document.to_string().as_bytes()).unwrap());
    let note = report["note"].as_str().unwrap();
    assert!(note.contains(&Fingerprint::of(&text).to_string()), "{note}");
    let listed = app.get(&path(&id, "/reports")).await.expect(200);
    assert_eq!(listed.at("/items/0/id"), report["id"]);
    assert_eq!(listed.json()["items"][0].get("document"), None);
    periodic.finish().await;
}

async fn a_report_of_too_few_hours_refuses_with_its_reason(app: TestApp) {
    let periodic = serving(&app, &[]).await;
    let report = report(&app, &create(app.founder(), &whole("nowhere")).await.id()).await;
    assert_eq!((&report["state"], &report["failure"]), (&json!("done"), &Value::Null), "{report}");
    let verdict = &report["document"]["verdict"];
    assert_eq!(verdict["standing"], "refused", "{report}");
    let reasons: Vec<&Value> = verdict["reasons"].as_array().unwrap().iter().map(|it| &it["reason"]).collect();
    assert!(reasons.contains(&&json!("too_few_hours")), "{verdict}");
    periodic.finish().await;
}

/// The schedule of a pilot in the past is drawn by a server whose clock stood before it.
async fn a_crossover_is_reported_as_planned_and_as_treated(app: TestApp) {
    let id = create(app.founder(), &crossover("9000-01-01", 14)).await.id();
    app.post(&path(&id, "/schedule")).await.expect(201);
    let days = move_schedule_into_the_past(&app, &id).await;
    let periodic = serving(&app, &[Pilot::crossover(days.clone())]).await;
    let day = days.first().unwrap().0.clone();
    let confirmation = json!({"plan": "not_applied", "reason": "A pump failed.", "author": "O. Operator"});
    app.founder().put(&path(&id, &format!("/days/{day}"))).json(&confirmation).await.expect(200);
    let report = report(&app, &id).await;
    let result = &report["document"]["result"];
    assert_eq!(result["design"], "crossover", "{report}");
    let percent = report["document"]["saving"]["percent"].as_f64().unwrap();
    assert!((percent - 10.0).abs() < 2.0, "{percent}");
    assert_ne!(result["as_treated"], report["document"]["saving"]);
    periodic.finish().await;
}

async fn a_report_prices_each_hour_by_a_series(app: TestApp) {
    let periodic = serving(&app, &[Pilot::steady()]).await;
    let created = create(app.founder(), &by_series()).await;
    assert_eq!(created.at("/terms/price"), by_series()["price"]);
    let report_of = async |terms: &Value| report(&app, &create(app.founder(), terms).await.id()).await;
    let priced = report(&app, &created.id()).await["document"].clone();
    let (saving, count) = (&priced["saving"], &priced["hours"]["count"]);
    assert_eq!(
        (&saving["cost"]["currency"], saving["priced"]["share"].as_f64()),
        (&json!("EUR"), Some(1.0)),
        "{saving}"
    );
    assert_eq!(&priced["prices"]["count"], count);
    // The plant works most in the afternoon, when a kWh costs three times as much.
    let mean = saving["cost"]["amount"].as_f64().unwrap() / saving["energy_kwh"].as_f64().unwrap();
    assert!((0.15..0.3).contains(&mean), "{mean}");

    let mut of_nobody = by_series();
    of_nobody["price"]["series"]["device_id"] = json!("nobody");
    let unpriced = report_of(&of_nobody).await["document"].clone();
    assert_eq!((&unpriced["saving"]["cost"], &unpriced["saving"]["priced"]["hours"]), (&Value::Null, &json!(0)));
    assert_eq!(unpriced["saving"]["energy_kwh"], saving["energy_kwh"]);
    let fixed = report_of(&whole("steady")).await["document"].clone();
    assert_eq!((fixed.get("prices"), fixed["saving"].get("priced")), (None, None));
    periodic.finish().await;
}

/// Sets the days of a drawn schedule to those of the pilots' data, in the database. Returns the days with the retrofit on or
/// off.
async fn move_schedule_into_the_past(app: &TestApp, id: &str) -> Vec<(String, bool)> {
    let project = app.get(&path(id, "")).await.expect(200);
    let days = project.at("/schedule/days");
    let first: mass_domain::savings::Day = "2025-03-03".parse().unwrap();
    let mut text = app.database().lines("SELECT project AS line FROM savings_projects").remove(0);
    let mut moved = Vec::new();
    for (number, day) in (0..).zip(days.as_array().unwrap()) {
        let (old, new) = (day["day"].as_str().unwrap(), first.plus(number).unwrap().to_string());
        text = text.replace(old, &new);
        moved.push((new, day["on"].as_bool().unwrap()));
    }
    app.execute(&format!("UPDATE savings_projects SET project = '{}'", text.replace('\'', "''")));
    moved
}

async fn the_same_report_has_the_same_bytes(app: TestApp) {
    let periodic = serving(&app, &[Pilot::steady()]).await;
    let id = create(app.founder(), &whole("steady")).await.id();
    let (first, second) = (report(&app, &id).await, report(&app, &id).await);
    let figures = |report: &Value| {
        let document = &report["document"];
        (document["verdict"].clone(), document["saving"].clone(), document["result"].clone(), document["hours"].clone())
    };
    assert_eq!(figures(&first), figures(&second));
    periodic.finish().await;
}

async fn a_report_that_a_killed_server_left_is_computed_by_another(app: TestApp) {
    Pilot::steady().send(app.founder()).await;
    let id = create(app.founder(), &whole("steady")).await.id();
    let asked = app.post(&path(&id, "/reports")).await.expect(202);
    // As a server leaves it that is killed while it computes: its lease ends in the past.
    app.execute("UPDATE savings_queue SET fence = 1, worker = 'killed'");
    app.execute("UPDATE savings_reports SET state = 'computing', attempts = 1");
    let periodic = app.periodic();
    let found = finished(&app, &asked.id()).await;
    assert_eq!(found["state"], "done", "{found}");
    assert_eq!(app.database().count("savings_queue"), 0);
    periodic.finish().await;
}

async fn a_report_and_then_its_project_are_deleted(app: TestApp) {
    let periodic = serving(&app, &[]).await;
    let id = create(app.founder(), &whole("nowhere")).await.id();
    let report = report(&app, &id).await;
    let (project, path_of_report) = (path(&id, ""), format!("{REPORTS}/{}", report["id"].as_str().unwrap()));
    let delete = |path: &str, tag: Option<&'static str>| {
        let call = app.delete(path);
        async move { if let Some(tag) = tag { call.header("If-Match", tag).await } else { call.await } }
    };
    let viewer = app.user(Role::Viewer).await;
    viewer.delete(&path_of_report).await.expect_problem(403, "forbidden");
    delete(&project, None).await.expect_problem(409, "savings-not-allowed");
    delete(&path_of_report, None).await.expect(204);
    app.get(&path_of_report).await.expect_problem(404, "not-found");
    delete(&path_of_report, None).await.expect_problem(404, "not-found");
    delete(&project, Some("\"v2\"")).await.expect_problem(412, "precondition-failed");
    delete(&project, Some("\"v1\"")).await.expect(204);
    app.get(&project).await.expect_problem(404, "not-found");
    assert_eq!(app.get(PROJECTS).await.expect(200).at("/items"), json!([]));
    for (action, object, detail) in [
        ("savings_deleted", json!(id), json!({"version": 1})),
        ("savings_report_deleted", report["id"].clone(), json!({"project": id, "state": "done"})),
    ] {
        let events = app.get(&format!("/v1/audit/events?action={action}")).await.expect(200);
        assert_eq!((events.at("/items/0/object/id"), events.at("/items/0/detail")), (object, detail));
        assert_eq!(events.at("/items").as_array().unwrap().len(), 1);
    }
    periodic.finish().await;
}

async fn a_report_that_waits_is_cancelled_by_its_deletion(app: TestApp) {
    let id = create(app.founder(), &whole("steady")).await.id();
    let asked = app.post(&path(&id, "/reports")).await.expect(202);
    app.delete(&format!("{REPORTS}/{}", asked.id())).await.expect(204);
    assert_eq!(app.database().count("savings_queue"), 0);
    app.delete(&path(&id, "")).await.expect(204);
}

async fn a_report_is_had_as_csv_and_as_a_paper_once_it_is_done(app: TestApp) {
    Pilot::steady().send(app.founder()).await;
    let id = create(app.founder(), &whole("steady")).await.id();
    let asked = app.post(&path(&id, "/reports")).await.expect(202);
    let report = format!("{REPORTS}/{}", asked.id());
    let get = |query: &str, media_type: &'static str| {
        let call = app.get(&format!("{report}{query}")).header("Accept", media_type);
        async move { call.await }
    };
    for media_type in ["text/csv", "application/pdf"] {
        get("", media_type).await.expect_problem(409, "savings-not-allowed");
    }
    let periodic = app.periodic();
    assert_eq!(finished(&app, &asked.id()).await["state"], "done");
    let csv = get("", "text/csv").await.expect(200);
    assert_eq!((csv.header("content-type"), csv.header("vary")), (Some("text/csv; charset=utf-8"), Some("Accept")));
    assert!(csv.body.starts_with(b"section,from,name,value,half_width,unit\nverdict,,standing,claimed,,\n"));
    let (english, spanish) =
        (get("", "application/pdf").await.expect(200), get("?language=es", "application/pdf").await.expect(200));
    assert_eq!(english.header("content-type"), Some("application/pdf"));
    assert!(english.body.starts_with(b"%PDF-") && spanish.body.starts_with(b"%PDF-"));
    assert_ne!(english.body, spanish.body);
    assert_eq!(get("", "application/json").await.expect(200).header("vary"), Some("Accept"));
    get("?language=de", "application/pdf").await.expect_problem(422, "invalid-parameter");
    for media_type in ["text/csv", "application/pdf"] {
        let absent = app.get(&format!("{REPORTS}/0199d3a0-0000-7000-8000-000000000001")).header("Accept", media_type);
        absent.await.expect_problem(404, "not-found");
    }
    periodic.finish().await;
}

async fn a_plan_predicts_both_designs(app: TestApp) {
    Pilot::steady().send(app.founder()).await;
    app.project().await;
    let query = |until: &str| {
        json!({
            "site_id": "steady", "weather_device": "steady-plant", "boundary": "hvac", "zone": "UTC",
            "baseline": {"from": BEGIN, "until": until}, "seed": 7,
        })
    };
    let plan = app.founder().post(PLANS).json(&query(AFTER_8_WEEKS)).await.expect(200);
    assert_eq!(plan.at("/hours"), json!(8 * 168));
    let pilot = plan.at("/pilots/0");
    assert_eq!(pilot["weeks"], 4);
    assert!(pilot["crossover"]["half_width_percent"].as_f64().unwrap() > 0.0, "{pilot}");
    let again = app.founder().post(PLANS).json(&query(AFTER_8_WEEKS)).await.expect(200);
    assert_eq!(again.at("/pilots"), plan.at("/pilots"));
    let mut nowhere = query(AFTER_8_WEEKS);
    nowhere["site_id"] = json!("nowhere");
    app.founder().post(PLANS).json(&nowhere).await.expect_problem(422, "insufficient-data");
    app.founder().post(PLANS).json(&query("2027-01-01T00:00:00Z")).await.expect_problem(422, "contract-violation");
}

async fn each_tenant_has_its_own_projects(app: TestApp) {
    let id = create(app.founder(), &whole("steady")).await.id();
    let report = app.post(&path(&id, "/reports")).await.expect(202).id();
    let foreigner = app.foreigner(Role::Operator).await;
    foreigner.get(&path(&id, "")).await.expect_problem(404, "not-found");
    foreigner.get(&format!("{REPORTS}/{report}")).await.expect_problem(404, "not-found");
    foreigner.post(&path(&id, "/reports")).await.expect_problem(404, "not-found");
    foreigner.put(&path(&id, "")).json(&whole("steady")).await.expect_problem(404, "not-found");
    assert_eq!(foreigner.get(PROJECTS).await.expect(200).at("/items"), json!([]));
    let viewer = app.user(Role::Viewer).await;
    viewer.get(&path(&id, "")).await.expect(200);
    viewer.post(&path(&id, "/reports")).await.expect_problem(403, "forbidden");
}

async fn rules_that_erase_what_a_report_rests_on_name_it(app: TestApp) {
    const RETENTION: &str = "/v1/admin/retention";
    let periodic = serving(&app, &[]).await;
    let readings = Pilot::steady().readings();
    send(app.founder(), &readings[..24]).await;
    let (pinned, unsent) =
        (create(app.founder(), &whole("steady")).await.id(), create(app.founder(), &whole("elsewhere")).await.id());
    let done = report(&app, &pinned).await;
    assert_eq!(report(&app, &unsent).await["state"], "done");
    // What a report does not rest on: later documents, and those of other times.
    send(app.founder(), &readings[24..26]).await;
    let put = async |query: &str, rules: Value| {
        app.founder().put(&format!("{RETENTION}{query}")).json(&json!({"rules": rules})).await
    };
    let year = || json!([{"contract": null, "days": 365}]);
    let told = put("?dry_run=true", year()).await.expect(200).at("/reports");
    assert_eq!(told.as_array().unwrap().len(), 1, "{told}");
    assert_eq!(
        (&told[0]["id"], &told[0]["project_id"], &told[0]["project"]),
        (&done["id"], &json!(pinned), &json!("Fans"))
    );
    let longer = put("?dry_run=true", json!([{"days": 366}])).await.expect(200).text("/reports/0/erases_from");
    let instant = |text: &str| text.parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert_eq!(instant(&longer) - instant(told[0]["erases_from"].as_str().unwrap()), chrono::TimeDelta::days(1));
    assert_eq!(app.get(RETENTION).await.expect(200).json()["rules"], json!([]), "nothing was changed");
    assert_eq!(put("?dry_run=true", json!([{"contract": "simple/1.0", "days": 1}])).await.at("/reports"), json!([]));
    put("?dry_run=perhaps", year()).await.expect_problem(422, "invalid-parameter");

    assert_eq!(put("", year()).await.expect(200).at("/reports"), told);
    assert_eq!(app.get(RETENTION).await.expect(200).at("/reports"), told);
    app.post("/v1/admin/legal-holds").json(&json!({"reason": "The report must be computed anew."})).await.expect(201);
    assert_eq!(app.get(RETENTION).await.expect(200).at("/reports"), json!([]), "a hold keeps its documents");
    periodic.finish().await;
}
