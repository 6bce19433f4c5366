//! `mass savings verify`: a report with its trail and documents, and every forgery of these.

use serde_json::{Value, json};

use super::process::{create_with, good, import};
use super::{AFTER_8_WEEKS, AFTER_12_WEEKS, PROJECTS, REPORTS, adjustment, by_series, whole};
use crate::support::AUDIT_KEY;
use crate::support::process::{Ended, Server, Workplace, workplaces_on_both};

workplaces_on_both! {
    a_report_is_computed_again_from_exports_and_each_forgery_is_named,
    a_report_goes_on_to_be_verified_after_an_archive,
}

const VERIFY: [&str; 9] = [
    "savings",
    "verify",
    "report.json",
    "--export",
    "audit.ndjson",
    "--documents",
    "requests.ndjson",
    "--key",
    "mass.key",
];

/// Asks for a report, and waits for it. Returns the API's answer.
async fn report(server: &Server, project: &str) -> String {
    let token = server.token().await;
    let asked = server.post(&format!("{PROJECTS}/{project}/reports"), &Value::Null).bearer_auth(&token);
    let asked: Value = asked.send().await.unwrap().json().await.unwrap();
    let path = format!("{REPORTS}/{}", asked["id"].as_str().unwrap());
    loop {
        let text = server.get(&path).bearer_auth(&token).send().await.unwrap().text().await.unwrap();
        if text.contains(r#""state":"done""#) {
            return text;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Sends a reading of the pilot's plant an hour into the reporting period: one more, or a correction.
async fn send(server: &Server, device: &str, hour: u32, it: f64) -> String {
    let reading = json!({
        "mass_version": "2.0", "timestamp": format!("2025-04-28T{hour:02}:00:00Z"),
        "device": {"id": device, "type": "meter", "location": "Hall 2", "site_id": "steady"},
        "metrics": {"it_power_kw": it, "hvac_power_kw": 12.0, "facility_power_kw": 100.0, "temperature_celsius": 15.0,
            "humidity_percent": 60.0, "pressure_hpa": 1010.0, "inlet_temperature_celsius": 22.0},
    });
    let call = server.post("/v1/mass-requests?on_conflict=correct", &reading).bearer_auth(server.token().await);
    let answer = call.send().await.unwrap();
    assert_eq!(answer.status(), 201);
    answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
}

/// A workplace with the report of a pilot before which a reading was deleted and another one corrected, and after which
/// another one was corrected and an adjustment recorded. Returns the project as it is then.
async fn reported(workplace: &Workplace, terms: &Value) -> Value {
    import(workplace);
    let server = workplace.serve();
    let token = server.token().await;
    let extra = send(&server, "a-meter-by-mistake", 1, 70.0).await;
    let path = format!("/v1/mass-requests/{extra}");
    let deleted = server.request(reqwest::Method::DELETE, &path).bearer_auth(&token).send().await.unwrap();
    assert!(deleted.status().is_success(), "{deleted:?}");
    send(&server, "steady-plant", 2, 80.0).await;
    let id = create_with(&server, terms).await;
    workplace.write("report.json", report(&server, &id).await);
    send(&server, "steady-plant", 3, 80.0).await;
    let path = format!("{PROJECTS}/{id}/adjustments");
    let adjusted = server.post(&path, &adjustment(AFTER_8_WEEKS, AFTER_12_WEEKS)).bearer_auth(&token).send().await;
    let project = adjusted.unwrap().json().await.unwrap();
    server.stop();
    project
}

fn export(workplace: &Workplace) {
    good(workplace.mass(&["audit", "export", "--out", "audit.ndjson"]));
    good(workplace.mass(&["export", "--out", "requests.ndjson"]));
    let key = good(workplace.mass(&["audit", "key"])).stdout;
    workplace.write("mass.key", key);
}

/// Asserts that a verification finds this.
#[track_caller]
fn finds(ended: &Ended, expected: &str) {
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stdout.starts_with("FOUND: ") && ended.stdout.contains(expected), "{expected}: {ended:?}");
}

async fn a_report_is_computed_again_from_exports_and_each_forgery_is_named(workplace: Workplace) {
    let workplace = workplace.with("MASS_AUDIT_KEY", AUDIT_KEY);
    let later = reported(&workplace, &whole("steady")).await;
    export(&workplace);
    // Where there is neither a server nor a database.
    let elsewhere = Workplace::sqlite();
    for file in ["report.json", "audit.ndjson", "requests.ndjson", "mass.key"] {
        elsewhere.write(file, workplace.read(file));
    }
    let told = good(elsewhere.mass(&VERIFY)).stdout;
    assert!(told.contains("computed again, the report is the same to the byte: sha256:"), "{told}");
    assert!(told.contains(" of the trail records it") && told.contains("; 2016 hours follow from them"), "{told}");
    let told: Value = serde_json::from_str(&good(elsewhere.mass(&[&VERIFY[..], &["--json"]].concat())).stdout).unwrap();
    assert_eq!((&told["result"], &told["documents"], &told["version"]), (&json!("good"), &json!(2017), &json!(1)));
    assert!(!elsewhere.path("data").exists());
    // The same JSON, written otherwise.
    let report: Value = serde_json::from_str(&elsewhere.read("report.json")).unwrap();
    elsewhere.write("report.json", serde_json::to_string_pretty(&report).unwrap());
    good(elsewhere.mass(&VERIFY));

    forged_reports_are_found(&elsewhere, &report, &later);
    forged_documents_are_found(&elsewhere);
    other_logs_and_keys_are_found(&elsewhere, &report);
}

fn forged_reports_are_found(workplace: &Workplace, report: &Value, later: &Value) {
    let sequence = report["document"]["as_of"]["sequence"].as_i64().unwrap();
    let seed = json!(report["document"]["project"]["seed"].as_i64().unwrap() / 2);
    let forgeries: [(&[(&str, Value)], &str); 6] = [
        (&[("/document/saving/energy_kwh", json!(9999.5))], "; /saving/energy_kwh is 9999.5, but "),
        (
            &[("/document/project/seed", seed.clone()), ("/document/parameters/seed", seed)],
            "; the project in the report is not the one that was agreed on",
        ),
        (
            &[
                ("/document/project/adjustments", later["adjustments"].clone()),
                ("/document/project/version", later["version"].clone()),
            ],
            "; the project in the report is not the one that was agreed on",
        ),
        (&[("/document/hours/count", json!(2015))], "; /hours/count is 2015, but 2016 follows from the trail"),
        (&[("/document/as_of/root", json!("ab".repeat(32)))], "; the report is of another trail: its root over "),
        (&[("/note", Value::Null)], "the report is not signed"),
    ];
    for (changes, expected) in forgeries {
        let mut forged = report.clone();
        for (pointer, value) in changes {
            *forged.pointer_mut(pointer).unwrap() = value.clone();
        }
        workplace.write("report.json", forged.to_string());
        let ended = workplace.mass(&VERIFY);
        finds(&ended, expected);
        let is_unsigned = ended.stdout.contains("is not signed");
        assert!(is_unsigned || ended.stdout.contains("the signed note is not about this document"), "{ended:?}");
    }
    let mut beyond = report.clone();
    beyond["document"]["as_of"]["sequence"] = json!(sequence * 2);
    workplace.write("report.json", beyond.to_string());
    finds(&workplace.mass(&VERIFY), "the trail has fewer");
    workplace.write("report.json", report.to_string());
    good(workplace.mass(&VERIFY));
}

fn forged_documents_are_found(workplace: &Workplace) {
    let whole = workplace.read("requests.ndjson");
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let removed = lines[700];
    let id: Value = serde_json::from_str(removed).unwrap();
    let id = id["id"].as_str().unwrap();
    workplace.write("requests.ndjson", [&lines[..700], &lines[701..]].concat().concat());
    finds(&workplace.mass(&VERIFY), &format!("is missing: that of request {id}, which event "));
    let changed = removed.replacen(r#""it_power_kw":"#, r#""it_power_kw":1"#, 1);
    workplace.write("requests.ndjson", whole.replacen(removed, &changed, 1));
    finds(&workplace.mass(&VERIFY), &format!("the document of request {id} was changed: by event "));
    workplace.write("requests.ndjson", lines[..lines.len() - 1].concat());
    let cut = workplace.mass(&VERIFY);
    assert!(cut.status == Some(1) && cut.stderr.contains("requests.ndjson are cut"), "{cut:?}");
    workplace.write("requests.ndjson", whole);
}

fn other_logs_and_keys_are_found(workplace: &Workplace, report: &Value) {
    let whole = workplace.read("audit.ndjson");
    workplace.write("audit.ndjson", whole.replacen(r#""outcome":"success""#, r#""outcome":"refused""#, 1));
    finds(&workplace.mass(&VERIFY), "the export audit.ndjson: event 1 was changed");
    let other = Workplace::sqlite().with("MASS_AUDIT_KEY", AUDIT_KEY);
    export(&other);
    workplace.write("audit.ndjson", other.read("audit.ndjson"));
    let sequence = &report["document"]["as_of"]["sequence"];
    finds(&workplace.mass(&VERIFY), &format!("the report names {sequence} events, and the trail has fewer"));
    workplace.write("audit.ndjson", &whole);
    let stranger = Workplace::sqlite();
    workplace.write("mass.key", good(stranger.mass(&["audit", "key"])).stdout);
    finds(
        &workplace.mass(&VERIFY),
        "the signature of the report cannot be verified: the note is not signed by the key",
    );
}

async fn a_report_goes_on_to_be_verified_after_an_archive(workplace: Workplace) {
    let workplace = workplace.with("MASS_AUDIT_KEY", AUDIT_KEY);
    reported(&workplace, &by_series()).await;
    let archive = ["audit", "archive", "--before", "2999-01-01T00:00:00Z", "--out", "archive.ndjson"];
    good(workplace.mass(&archive));
    export(&workplace);
    let rest = workplace.mass(&VERIFY);
    finds(&rest, "the export audit.ndjson does not begin with the first event");
    let both = [&VERIFY[..3], &["--export", "archive.ndjson"], &VERIFY[3..]].concat();
    let told = good(workplace.mass(&both)).stdout;
    assert!(told.contains("same to the byte"), "{told}");
    // The cost follows from the prices of hours, which are in the documents.
    let report: Value = serde_json::from_str(&workplace.read("report.json")).unwrap();
    let amount = report["document"]["saving"]["cost"]["amount"].as_f64().unwrap();
    let mut forged = report.clone();
    forged["document"]["saving"]["cost"]["amount"] = json!(amount + 1.5);
    workplace.write("report.json", forged.to_string());
    finds(&workplace.mass(&both), &format!("/saving/cost/amount is {}, but {amount} follows", amount + 1.5));
    workplace.write("report.json", report.to_string());
    let swapped = [&VERIFY[..], &["--export", "archive.ndjson"]].concat();
    finds(&workplace.mass(&swapped), "the export audit.ndjson does not begin with the first event");
}
