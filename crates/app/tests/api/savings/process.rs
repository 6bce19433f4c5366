//! Savings with processes: the command line, and a server that is killed while it computes a report.

use std::time::Duration;

use serde_json::{Value, json};

use super::pilot::Pilot;
use super::{AFTER_8_WEEKS, BEGIN, PROJECTS, whole};
use crate::support::process::{Ended, Server, Workplace, workplaces_on_both};

workplaces_on_both! {
    a_report_of_a_killed_server_is_computed_again,
    a_report_fails_in_time_where_no_server_projects,
    plans_and_reports_are_printed,
    the_doctor_warns_before_a_report_loses_its_documents,
}

#[track_caller]
pub(super) fn good(ended: Ended) -> Ended {
    assert_eq!(ended.status, Some(0), "{ended:?}");
    ended
}

/// Imports the readings of a pilot.
pub(super) fn import(workplace: &Workplace) {
    let lines: String = Pilot::steady().readings().iter().map(|reading| format!("{reading}\n")).collect();
    workplace.write("pilot.ndjson", lines);
    good(workplace.mass(&["import", "pilot.ndjson"]));
}

/// Creates the project of the pilot; returns its id.
pub(super) async fn create(server: &Server) -> String {
    create_with(server, &whole("steady")).await
}

/// Creates a project with these terms; returns its id.
pub(super) async fn create_with(server: &Server, terms: &Value) -> String {
    let call = server.post(PROJECTS, terms).bearer_auth(server.token().await);
    let answer: Value = call.send().await.unwrap().json().await.unwrap();
    answer["id"].as_str().unwrap().to_owned()
}

/// Waits until the report is in a state.
async fn reach(workplace: &Workplace, state: &str) {
    while workplace.lines("SELECT state AS line FROM savings_reports") != [state] {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn a_report_of_a_killed_server_is_computed_again(workplace: Workplace) {
    import(&workplace);
    let server = workplace.serve();
    let id = create(&server).await;
    let call = server.post(&format!("{PROJECTS}/{id}/reports"), &Value::Null).bearer_auth(server.token().await);
    assert_eq!(call.send().await.unwrap().status(), 202);
    reach(&workplace, "computing").await;
    server.kill();
    // Instead of waiting for the end of its lease.
    workplace.execute("UPDATE savings_queue SET due_at = '2026-01-01T00:00:00.000000Z'");
    let server = workplace.serve();
    reach(&workplace, "done").await;
    server.stop();
    assert_eq!(workplace.lines("SELECT worker AS line FROM savings_queue"), [""; 0]);
    let events = "SELECT CAST(count(*) AS TEXT) AS line FROM audit_events WHERE action = 'savings_reported'";
    assert_eq!(workplace.lines(events), ["1"]);
}

async fn a_report_fails_in_time_where_no_server_projects(workplace: Workplace) {
    let workplace = workplace.with("MASS_ANALYTICS", "false");
    let server = workplace.serve();
    let id = create(&server).await;
    let call = server.post(&format!("{PROJECTS}/{id}/reports"), &Value::Null).bearer_auth(server.token().await);
    assert_eq!(call.send().await.unwrap().status(), 202);
    server.stop();
    // Instead of waiting for an hour.
    workplace.execute("UPDATE savings_reports SET requested_at = '2026-01-01T00:00:00.000000Z'");
    let server = workplace.serve();
    reach(&workplace, "failed").await;
    server.stop();
    let failure = workplace.lines("SELECT failure_code || ': ' || failure AS line FROM savings_reports");
    assert_eq!(failure, ["figures_late: the figures have not come up to the request within 3600 s"]);
}

async fn plans_and_reports_are_printed(workplace: Workplace) {
    import(&workplace);
    let server = workplace.serve();
    let id = create(&server).await;
    server.stop();
    good(workplace.mass(&["analytics", "rebuild"]));
    let plan = ["savings", "plan", "--site-id", "steady", "--weather-device", "steady-plant", "--from", BEGIN, "--to"];
    let plan = [&plan[..], &[AFTER_8_WEEKS]].concat();
    let table = good(workplace.mass(&plan));
    assert!(table.stdout.starts_with("1344 hours;") && table.stdout.lines().count() == 6, "{table:?}");
    let document: Value =
        serde_json::from_str(&good(workplace.mass(&[&plan[..], &["--json"]].concat())).stdout).unwrap();
    assert_eq!((&document["hours"], &document["pilots"][3]["weeks"]), (&1344.into(), &12.into()));
    let report = good(workplace.mass(&["savings", "report", &id]));
    assert!(report.stdout.contains("\nverdict   claimed\n") && report.stdout.contains("\nsaving    "), "{report:?}");
    let printed = good(workplace.mass(&["savings", "report", &id, "--json"])).stdout;
    let document: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(document["verdict"]["standing"], "claimed");
    papers_are_written(&workplace, &printed);
    let wrong = workplace.mass(&[&plan[..], &["--zone", "Mars/Olympus"]].concat());
    assert!(wrong.status == Some(1) && wrong.stderr.contains("/zone: expected a zone"), "{wrong:?}");
    let absent = workplace.mass(&["savings", "report", "0199d3a0-0000-7000-8000-000000000001"]);
    assert_eq!(absent.status, Some(1), "{absent:?}");
}

fn papers_are_written(workplace: &Workplace, report: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    std::fs::write(&file, report).unwrap();
    let (file, to) = (file.to_str().unwrap(), folder.path().to_str().unwrap());
    let command = ["savings", "paper", file, "--to", to, "--language", "es"];
    good(workplace.mass(&command));
    let written = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert!(written("report.pdf").starts_with(b"%PDF-"));
    assert!(written("report.csv").starts_with(b"section,from,name,value,half_width,unit\n"));
    for figure in ["before-after", "support-map", "residuals", "placebo"] {
        assert!(written(&format!("{figure}.svg")).starts_with(b"<svg"));
    }
    let again = workplace.mass(&command);
    assert_eq!(again.status, Some(1), "nothing is overwritten: {again:?}");
    let wrong = workplace.mass(&["savings", "paper", to]);
    assert!(wrong.status == Some(1) && wrong.stderr.contains("the report "), "{wrong:?}");
}

async fn the_doctor_warns_before_a_report_loses_its_documents(workplace: Workplace) {
    let lines: String = Pilot::steady().readings()[..24].iter().map(|reading| format!("{reading}\n")).collect();
    workplace.write("pilot.ndjson", lines);
    good(workplace.mass(&["import", "pilot.ndjson"]));
    let server = workplace.serve();
    let id = create(&server).await;
    let call = server.post(&format!("{PROJECTS}/{id}/reports"), &Value::Null).bearer_auth(server.token().await);
    assert_eq!(call.send().await.unwrap().status(), 202);
    reach(&workplace, "done").await;
    for (days, words) in [(60, "no savings report loses documents soon"), (20, "documents of 1 savings reports")] {
        let rules = json!({"rules": [{"contract": null, "days": days}]});
        let call = server.put("/v1/admin/retention", &rules).bearer_auth(server.token().await);
        assert_eq!(call.send().await.unwrap().status(), 200);
        let examined = workplace.mass(&["doctor"]);
        assert!(examined.stdout.contains(words), "{examined:?}");
    }
}
