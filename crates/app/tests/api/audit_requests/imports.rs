//! What an import into the local database refuses.

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
    let count = |action: &str, code: Value| {
        events.iter().filter(|event| event["action"] == action && event["detail"]["code"] == code).count()
    };
    assert_eq!(count("accepted", Value::Null), 155 + 1);
    assert_eq!(count("payload_refused", "contract-violation".into()), 45);
    let malformed = events.iter().filter(|event| event["detail"]["code"] == "malformed-json");
    let told: Vec<_> = malformed.map(|event| (&event["detail"]["syntax"], &event["input"])).collect();
    let input = |text: &str| json!(Fingerprint::of_unreadable(text.as_bytes()).to_string());
    let expected = [(json!("cells"), input("zebra,ragged")), (json!("syntax"), input("{\"payload\": \"zebra\",}"))];
    assert_eq!(told, expected.iter().map(|(syntax, input)| (syntax, input)).collect::<Vec<_>>());
    assert!(events.iter().all(|event| event["actor"].get("address").is_none()));
}
