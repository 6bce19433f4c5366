//! The undo of an import, by the id that it prints.

use serde_json::Value;

use super::{import, lines, with_readings};
use crate::support::documents::reading;
use crate::support::process::{Ended, Server, Workplace, workplaces_on_both};

workplaces_on_both! {
    exactly_the_records_of_an_import_are_deleted,
}

const DEVICE: [&str; 2] = ["--contract", "device/1.1"];

/// Returns the id that an import printed.
fn id_of(ended: &Ended) -> String {
    let line = ended.stdout.lines().find_map(|line| line.strip_prefix("Import id: "));
    line.unwrap_or_else(|| panic!("no id: {ended:?}")).to_owned()
}

async fn delete(server: &Server, token: &str, filters: &str) -> Value {
    let request = server.request(reqwest::Method::DELETE, &format!("/v1/mass-requests?{filters}"));
    let answer = request.bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{filters}");
    answer.json().await.unwrap()
}

async fn exactly_the_records_of_an_import_are_deleted(workplace: Workplace) {
    workplace.write("good.ndjson", format!("{}\n", reading("dev-1")));
    import(&workplace, "good.ndjson", &[]);
    let here = id_of(&import(with_readings(&workplace), "readings.csv", &DEVICE));
    let server = workplace.serve();
    let token = server.token().await;
    let workplace = workplace.with("MASS_TOKEN", &token);
    // More than one batch, which all have the import's id.
    let rows: String = (0..2100).map(|number| format!("{{\"payload\":{{\"a\":{number}}}}}\n")).collect();
    workplace.write("rows.ndjson", rows);
    let there = import(&workplace, "rows.ndjson", &["--url", &server.url, "--json"]);
    let summary: Value = serde_json::from_str(&there.stdout).unwrap();
    let there = summary["call_id"].as_str().unwrap();
    for (id, matched) in [(here.as_str(), 155_u64), (there, 2100)] {
        let counted = delete(&server, &token, &format!("call_id={id}")).await;
        assert_eq!(counted["matched"], matched);
        let confirm = counted["token"].as_str().unwrap();
        let mut deleted = 0;
        loop {
            let done = delete(&server, &token, &format!("call_id={id}&confirm={confirm}")).await;
            deleted += done["deleted"].as_u64().unwrap();
            if done["remaining"] == 0 {
                break;
            }
        }
        assert_eq!(deleted, matched);
    }
    assert_eq!(server.list(&token).await.len(), 1);
    // What is deleted can be imported again, and an import that stores nothing has nothing to undo.
    let again = import(&workplace, "readings.csv", &[&DEVICE[..], &["--url", &server.url]].concat());
    assert!(again.stdout.starts_with("200 read, 155 accepted, 0 duplicates"), "{again:?}");
    let third = import(&workplace, "readings.csv", &[&DEVICE[..], &["--json"]].concat());
    assert_eq!(lines(&third.stdout)[0]["call_id"], Value::Null);
    let verified = workplace.mass(&["audit", "verify", "--live"]);
    assert_eq!(verified.status, Some(0), "{verified:?}");
}
