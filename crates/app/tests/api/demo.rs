//! `mass demo`: a simulated pilot in a database of its own, which is an embedded SQLite.

use std::fs;
use std::time::Duration;

use chrono::{DateTime, DurationRound, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::process::{Ended, Server, Workplace};

/// The time between two looks.
const POLL: Duration = Duration::from_millis(50);

/// The end of the simulations, two days ago: what is in quarantine has not expired yet.
fn end() -> DateTime<Utc> {
    (Utc::now() - TimeDelta::days(2)).duration_trunc(TimeDelta::hours(1)).unwrap()
}

fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The address of the demo's user with a role, and the password.
fn account(server: &Server, role: &str) -> (String, String) {
    let demo = &server.announcement["demo"];
    let user = demo["users"].as_array().unwrap().iter().find(|user| user["role"] == role).unwrap();
    (user["email"].as_str().unwrap().to_owned(), demo["password"].as_str().unwrap().to_owned())
}

async fn token(server: &Server, role: &str) -> String {
    let (email, password) = account(server, role);
    server.token_of(&email, &password).await
}

async fn items(server: &Server, token: &str, path: &str) -> Vec<Value> {
    server.fetch(token, path).await["items"].as_array().unwrap().clone()
}

/// The figures of a demo: indicators of its last month, and what its reports say.
async fn figures(server: &Server, token: &str, end: DateTime<Utc>) -> Value {
    let period = format!("from={}&to={}", text(end - TimeDelta::days(30)), text(end));
    let kpis = server.fetch(token, &format!("/v1/analytics/kpis?{period}")).await["items"].clone();
    let mut verdicts = Vec::new();
    for project in items(server, token, "/v1/savings/projects").await {
        let path = format!("/v1/savings/projects/{}/reports", project["id"].as_str().unwrap());
        for report in items(server, token, &path).await {
            assert_eq!(report["state"], "done", "{report}");
            let path = format!("/v1/savings/reports/{}", report["id"].as_str().unwrap());
            let document = server.fetch(token, &path).await["document"].clone();
            verdicts.push(json!([project["name"], document["verdict"], document["saving"]]));
        }
    }
    json!({"kpis": kpis, "verdicts": verdicts})
}

#[tokio::test]
async fn a_demo_is_loaded_once_and_shows_a_whole_pilot() {
    let workplace = Workplace::sqlite();
    let (end, seed) = (end(), ["--seed", "7"]);
    // Half an hour counts for nothing.
    let until = text(end + TimeDelta::minutes(30));
    let flags = [&seed[..], &["--until", &until]].concat();
    let first = workplace.demo(&flags);
    for role in ["admin", "operator", "auditor"] {
        let token = token(&first, role).await;
        let roles = first.fetch(&token, "/v1/auth/me").await["roles"].clone();
        assert!(roles.as_array().unwrap().contains(&json!(role)), "{roles}");
    }
    let viewer = token(&first, "viewer").await;
    let sites: Vec<Value> = items(&first, &viewer, "/v1/sites").await.iter().map(|it| it["site_id"].clone()).collect();
    assert_eq!(sites, [json!("getafe-1"), json!("tampa-1")]);
    assert_eq!(items(&first, &viewer, "/v1/quarantine").await.len(), 3);
    let found = figures(&first, &viewer, end).await;
    let pue = |site: usize| found["kpis"][site]["kpis"]["pue"]["value"].as_f64().unwrap();
    assert!((1.1..1.6).contains(&pue(0)) && (1.1..1.6).contains(&pue(1)), "{}", found["kpis"]);
    for verdict in found["verdicts"].as_array().unwrap() {
        assert_eq!(verdict[1]["standing"], "claimed", "{verdict}");
        // The fans of the simulation save 12 % of the cooling energy.
        assert!((9.0..15.0).contains(&verdict[2]["percent"].as_f64().unwrap()), "{verdict}");
    }
    assert_eq!(found["verdicts"].as_array().unwrap().len(), 2);

    // A recommendation follows its request at once, in the time of the simulation.
    let advice = items(&first, &viewer, "/v1/recommendations?limit=500").await;
    assert_eq!(advice.len(), 60);
    assert!(advice.iter().all(|it| it["created_at"].as_str().unwrap() <= text(end).as_str()), "{advice:?}");
    let stored = first.list(&viewer).await.len();
    let password = first.announcement["demo"]["password"].clone();
    assert!(first.stop().0.success());

    let second = workplace.demo(&flags);
    assert_eq!(second.announcement["demo"]["password"], password);
    assert_eq!(second.list(&viewer).await.len(), stored);
    assert_eq!(figures(&second, &viewer, end).await, found);
    let auditor = token(&second, "auditor").await;
    assert!(
        second.fetch(&auditor, "/v1/audit/checkpoint").await["size"].as_u64().unwrap() > u64::try_from(stored).unwrap()
    );
    assert!(second.stop().0.success());

    // Without an end, its sites go on until now; what was measured before stays as it was.
    let third = workplace.demo(&[]);
    assert!(third.logged().contains("hours since the demo was served last"), "{}", third.logged());
    let freshness = || async {
        let devices = items(&third, &viewer, "/v1/devices").await;
        let of = |id: &str| devices.iter().find(|it| it["device_id"] == id).unwrap()["state"]["freshness"].clone();
        [of("plant-1"), of("weather-1"), of("rack-a3")]
    };
    while freshness().await[0] != "fresh" {
        tokio::time::sleep(POLL).await;
    }
    assert_eq!(freshness().await, [json!("fresh"), json!("fresh"), json!("silent")]);
    let gone_on = third.list(&viewer).await.len();
    assert!(gone_on >= stored + 3 * 48, "{stored}, then {gone_on}");
    assert_eq!(items(&third, &viewer, "/v1/recommendations?limit=500").await.len(), 61);
    assert_eq!(figures(&third, &viewer, end).await, found);
    assert!(third.stop().0.success());
    refused(&workplace.mass(&["demo", "--seed", "8"]), "has the seed 7, not 8");

    let same = Workplace::sqlite();
    let same = same.demo(&flags);
    let viewer = token(&same, "viewer").await;
    assert_eq!(figures(&same, &viewer, end).await, found);
}

/// Asserts that a demo was refused in one sentence with these words.
fn refused(ended: &Ended, words: &str) {
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
}

#[test]
fn a_demo_fills_no_folder_that_is_not_its_own() {
    let workplace = Workplace::sqlite();
    fs::create_dir_all(workplace.path("data/demo")).unwrap();
    workplace.write("data/demo/mass.db", "somebody's");
    refused(&workplace.mass(&["demo"]), "choose another MASS_DATA_DIR");
    assert_eq!(workplace.read("data/demo/mass.db"), "somebody's");
    workplace.write("data/demo/demo.json", r#"{"seed": 1, "until": 0, "password": "x", "is_complete": false}"#);
    refused(&workplace.mass(&["demo"]), "was not loaded completely");
}

#[test]
fn a_demo_refuses_another_database() {
    let workplace = Workplace::postgres();
    refused(&workplace.mass(&["demo"]), "DATABASE_URL");
    assert!(!workplace.path("data").exists());
}
