//! The audit event of refusals by a local import.

use std::fs;

use mass_domain::canonical::Fingerprint;
use serde_json::{Value, json};

use super::{LOG, SECRET};
use crate::support::process::{Workplace, repository, workplaces_on_both};

workplaces_on_both! {
    an_import_records_what_it_refuses,
}

async fn an_import_records_what_it_refuses(workplace: Workplace) {
    let year = fs::read_to_string(repository().join("tests/data/import/weather-lga-2013.csv")).unwrap();
    workplace.write("year.csv", format!("{year}zebra,ragged\n"));
    workplace.write("lines.ndjson", "{\"payload\": {\"a\": 1}}\n{\"payload\": \"zebra\",}\n");
    workplace.mass(&["import", "year.csv", "--contract", "device/1.1"]);
    workplace.mass(&["import", "lines.ndjson"]);
    let log = workplace.lines(LOG);
    let events: Vec<Value> = log.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    assert!(log.iter().all(|text| !text.contains(SECRET)), "{log:#?}");
    assert_eq!(events.iter().filter(|event| event["action"] == "accepted").count(), 155 + 1);
    let refused: Vec<_> = events.iter().filter(|event| event["action"] == "payload_refused").collect();
    let [of_year, of_lines] = refused[..] else { panic!("not one event for each import: {refused:#?}") };
    let told = &of_year["detail"];
    assert_eq!(told["codes"], json!({"contract-violation": 45, "malformed-json": 1}));
    assert_eq!((&told["count"], &of_year["contract"]), (&json!(46), &Value::Null));
    let input = json!(Fingerprint::of_unreadable(b"{\"payload\": \"zebra\",}").to_string());
    assert_eq!((&of_lines["detail"]["records"], &of_lines["input"]), (&json!(2), &input));
    let first = json!([{"index": 1, "code": "malformed-json", "input": input, "syntax": "syntax"}]);
    assert_eq!(of_lines["detail"]["first"], first);
    assert!(events.iter().all(|event| event["actor"].get("address").is_none()));
}
