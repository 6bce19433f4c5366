//! `mass import`: accepted and refused records, and that a second run changes nothing.

mod identity;
mod inputs;
mod mapping;
mod retrying;
mod undo;

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::support::documents::{Edit, reading, report};
use crate::support::process::{Ended, Server, Workplace, repository, workplaces_on_both};

/// 45 of the 200 readings have no pressure.
const SUMMARY: &str = "200 read, 155 accepted, 0 duplicates, 45 refused\n";

workplaces_on_both! {
    importing_a_file_again_changes_nothing,
    corrected_records_are_imported_without_duplicates,
    a_changed_record_is_refused_or_stored_as_a_correction,
    lines_of_every_kind_are_imported_or_kept_with_their_violations,
    records_without_a_natural_key_are_imported_once,
    a_server_gives_the_same_results_as_the_local_database,
    imported_records_follow_the_tenants_auto_send,
    an_import_killed_anywhere_is_completed_by_the_next,
    warnings_are_counted_and_the_first_of_each_kind_is_shown,
}

fn import(workplace: &Workplace, file: &str, arguments: &[&str]) -> Ended {
    workplace.mass(&[&["import", file], arguments].concat())
}

fn import_readings(workplace: &Workplace, file: &str) -> Ended {
    import(workplace, file, &["--contract", "device/1.1"])
}

/// 200 hourly readings of an airport's weather station, unchanged.
fn readings() -> String {
    fs::read_to_string(repository().join("tests/data/import/weather-lga-2013.csv")).unwrap()
}

fn with_readings(workplace: &Workplace) -> &Workplace {
    workplace.write("readings.csv", readings());
    workplace
}

/// The rows of a CSV file, the header row first.
fn rows(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

fn csv_of(rows: &[Vec<String>]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    rows.iter().for_each(|row| writer.write_record(row).unwrap());
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}

/// The values of an NDJSON file.
fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn assert_ended(ended: &Ended, status: i32, summary: &str) {
    assert_eq!(ended.status, Some(status), "{ended:?}");
    assert_eq!(format!("{}\n", ended.stdout.lines().next().unwrap_or_default()), summary, "{ended:?}");
}

async fn importing_a_file_again_changes_nothing(workplace: Workplace) {
    let first = import_readings(with_readings(&workplace), "readings.csv");
    assert_ended(&first, 2, SUMMARY);
    assert!(first.stdout.contains("readings.csv.rejected.csv"), "{first:?}");
    let second = import_readings(&workplace, "readings.csv");
    assert_ended(&second, 2, "200 read, 0 accepted, 155 duplicates, 45 refused\n");
    let server = workplace.serve();
    assert_eq!(server.list(&server.token().await).await.len(), 155);
}

#[test]
fn refused_rows_are_kept_with_their_line_and_reasons() {
    let workplace = Workplace::sqlite();
    import_readings(with_readings(&workplace), "readings.csv");
    let (imported, rejected) = (rows(&readings()), rows(&workplace.read("readings.csv.rejected.csv")));
    assert_eq!(rejected[0], [&imported[0][..], &["_line", "_pointer", "_reason"].map(str::to_owned)].concat());
    let expected = imported.iter().enumerate().filter(|(_, row)| row[6].is_empty());
    assert_eq!(rejected.len() - 1, expected.clone().count());
    for (row, (index, original)) in rejected[1..].iter().zip(expected) {
        assert_eq!(&row[..9], original);
        assert_eq!((row[9].as_str(), row[10].as_str()), ((index + 1).to_string().as_str(), "/metrics/pressure_hpa"));
        assert!(!row[11].is_empty());
    }
}

async fn corrected_records_are_imported_without_duplicates(workplace: Workplace) {
    import_readings(with_readings(&workplace), "readings.csv");
    let mut rejected = rows(&workplace.read("readings.csv.rejected.csv"));
    rejected[1..].iter_mut().for_each(|row| row[6] = "1013.2".to_owned());
    workplace.write("mended.csv", csv_of(&rejected));
    let mended = import_readings(&workplace, "mended.csv");
    assert_ended(&mended, 0, "45 read, 45 accepted, 0 duplicates, 0 refused\n");
    let again = import_readings(&workplace, "mended.csv");
    assert_ended(&again, 0, "45 read, 0 accepted, 45 duplicates, 0 refused\n");
    let server = workplace.serve();
    assert_eq!(server.list(&server.token().await).await.len(), 200);
}

#[test]
fn a_file_of_refused_rows_is_never_overwritten_or_removed() {
    let workplace = Workplace::sqlite();
    import_readings(with_readings(&workplace), "readings.csv");
    let first = workplace.read("readings.csv.rejected.csv");
    workplace.write("readings.csv.rejected.csv", "mended, and not imported yet");
    for _ in 0..2 {
        let ended = import_readings(&workplace, "readings.csv");
        assert!(ended.stdout.contains(": readings.csv.rejected-2.csv "), "{ended:?}");
        assert_eq!(workplace.read("readings.csv.rejected-2.csv"), first);
    }
    assert!(!workplace.path("readings.csv.rejected-3.csv").exists(), "the same is not kept twice");
    let whole: Vec<_> = rows(&readings()).into_iter().filter(|row| !row[6].is_empty()).collect();
    workplace.write("readings.csv", csv_of(&whole));
    let ended = import_readings(&workplace, "readings.csv");
    assert_ended(&ended, 0, "155 read, 0 accepted, 155 duplicates, 0 refused\n");
    assert!(!ended.stdout.contains("Refused records"), "{ended:?}");
    assert_eq!(workplace.read("readings.csv.rejected.csv"), "mended, and not imported yet");
}

#[test]
fn refused_rows_go_to_the_named_file_unless_it_exists() {
    let workplace = Workplace::sqlite();
    workplace.write("taken.csv", "mine");
    let arguments = |path: &'static str| ["--contract", "device/1.1", "--rejected", path];
    let ended = import(with_readings(&workplace), "readings.csv", &arguments("taken.csv"));
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("taken.csv exists already"), "{ended:?}");
    assert!(!workplace.path("data").exists(), "refused before anything was done");
    assert_ended(&import(&workplace, "readings.csv", &arguments("free.csv")), 2, SUMMARY);
    assert_eq!((workplace.read("taken.csv").as_str(), rows(&workplace.read("free.csv")).len()), ("mine", 46));
    assert!(!workplace.path("readings.csv.rejected.csv").exists());
    let ended = import(&workplace, "readings.csv", &arguments("nowhere/refused.csv"));
    assert_eq!((ended.status, ended.stderr.contains("the folder nowhere")), (Some(1), true), "{ended:?}");
}

/// A rack's inlet temperature in degrees Fahrenheit is possible in Celsius, but unlikely.
async fn warnings_are_counted_and_the_first_of_each_kind_is_shown(workplace: Workplace) {
    let hot = |device: &str| reading(device).with("/metrics/temperature_celsius", 72.5).to_string();
    let devices: Vec<String> = (1..=7).map(|number| hot(&format!("dev-{number}"))).collect();
    workplace.write("hot.ndjson", format!("{}\n{}\n", reading("dev-0"), devices.join("\n")));
    let ended = import(&workplace, "hot.ndjson", &[]);
    assert_ended(&ended, 0, "8 read, 8 accepted, 0 duplicates, 0 refused\n");
    let lines: Vec<&str> = ended.stdout.lines().skip(1).collect();
    assert_eq!(lines[0], "Warnings: 14 outside_allowable (records: 7)", "{ended:?}");
    assert!(lines[1].starts_with("  line 2: /metrics/temperature_celsius: ") && lines[1].contains("72.5"), "{lines:?}");
    assert!(lines[1].ends_with(" (7 times)"), "{lines:?}");
    assert!(lines[2].starts_with("  line 2: /metrics/humidity_percent: "), "{lines:?}");
    assert!(lines[3].starts_with("Each record is stored with its warnings"), "{lines:?}");
    // A server reports the same, also for duplicates.
    let server = workplace.serve();
    let workplace = workplace.with("MASS_TOKEN", &server.token().await);
    let summary = import(&workplace, "hot.ndjson", &["--json", "--url", &server.url]).stdout;
    let summary: Value = serde_json::from_str(&summary).unwrap();
    let warnings = &summary["warnings"];
    assert_eq!((&summary["duplicates"], &warnings["count"], &warnings["records"]), (&json!(8), &json!(14), &json!(7)));
    assert_eq!(warnings["codes"], json!({"outside_allowable": 14}));
    let first = warnings["first"].as_array().unwrap();
    assert_eq!((first.len(), &first[0]["line"], &first[0]["code"]), (2, &json!(2), &json!("outside_allowable")));
    assert_eq!((&first[0]["count"], &first[1]["count"]), (&json!(7), &json!(7)));
}

#[test]
fn prints_the_summary_as_json() {
    let workplace = Workplace::sqlite();
    let ended = import(with_readings(&workplace), "readings.csv", &["--contract", "device/1.1", "--json"]);
    let mut summary: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(summary.as_object_mut().unwrap().remove("warnings").unwrap()["count"].is_number());
    assert!(summary.as_object_mut().unwrap().remove("call_id").unwrap().is_string());
    let expected = json!({"read": 200, "accepted": 155, "corrections": 0, "duplicates": 0, "refused": 45,
                          "dry_run": false, "rejected_file": "readings.csv.rejected.csv"});
    assert_eq!((ended.status, summary), (Some(2), expected));
}

async fn a_changed_record_is_refused_or_stored_as_a_correction(workplace: Workplace) {
    import_readings(with_readings(&workplace), "readings.csv");
    let mut changed = rows(&readings());
    changed.truncate(3);
    changed[2][4] = "9.99".to_owned();
    workplace.write("changed.csv", csv_of(&changed));
    let refused = import_readings(&workplace, "changed.csv");
    assert_ended(&refused, 2, "2 read, 0 accepted, 1 duplicates, 1 refused\n");
    assert!(workplace.read("changed.csv.rejected.csv").contains("9.99"));
    let corrected = import(&workplace, "changed.csv", &["--contract", "device/1.1", "--on-conflict", "correct"]);
    assert_ended(&corrected, 0, "2 read, 0 accepted, 1 corrections, 1 duplicates, 0 refused\n");
    let again = import(&workplace, "changed.csv", &["--contract", "device/1.1", "--on-conflict", "correct"]);
    assert_ended(&again, 0, "2 read, 0 accepted, 2 duplicates, 0 refused\n");
}

/// Valid and invalid lines under three contracts, or none; two are blank.
fn mixture() -> String {
    let good = reading("dev-1");
    let lines = [
        good.to_string(),
        r#"{"mass_version":"#.to_owned(),
        r#"{"payload":{"a":1}}"#.to_owned(),
        r#"{"payload":{"a":1}}"#.to_owned(),
        String::new(),
        reading("dev-2").with("/metrics/humidity_percent", 140).to_string(),
        " ".to_owned(),
        "[1,2]".to_owned(),
        good.with("/metrics/temperature_celsius", 30).to_string(),
        report("r-1").with("/request/tenant_id", "elsewhere").to_string(),
        r#"{"payload":{"a":1},"payload":{"a":2}}"#.to_owned(),
    ];
    lines.join("\n")
}

async fn lines_of_every_kind_are_imported_or_kept_with_their_violations(workplace: Workplace) {
    workplace.write("mixture.ndjson", mixture());
    assert_ended(&import(&workplace, "mixture.ndjson", &[]), 2, "9 read, 3 accepted, 0 duplicates, 6 refused\n");
    let rejected = lines(&workplace.read("mixture.ndjson.rejected.ndjson"));
    let in_short = |refused: &Value| {
        let violation = &refused["_violations"][0];
        (
            refused["_line"].as_u64().unwrap(),
            violation["code"].as_str().unwrap().to_owned(),
            violation["pointer"].clone(),
        )
    };
    let expected = [
        (2, "syntax", ""),
        (6, "range", "/metrics/humidity_percent"),
        (8, "type", ""),
        (9, "conflict", ""),
        (10, "foreign_tenant", ""),
        (11, "duplicate_key", ""),
    ];
    let expected = expected.map(|(line, code, pointer)| (line, code.to_owned(), json!(pointer)));
    assert_eq!(rejected.iter().map(in_short).collect::<Vec<_>>(), expected);
    assert_eq!(rejected[0]["record"], r#"{"mass_version":"#);
    assert_eq!(rejected[1]["record"]["metrics"]["humidity_percent"], 140);
    let bounds = &rejected[1]["_violations"][0];
    assert_eq!((&bounds["expected"], &bounds["actual"]), (&json!("0 … 100"), &json!("140")), "{bounds}");
}

#[test]
fn the_reason_of_a_refused_row_has_the_bounds_and_the_value() {
    let workplace = Workplace::sqlite();
    let mut rows = rows(&readings());
    rows.truncate(2);
    rows[1][5] = "140".to_owned();
    rows[1][6] = "1013.2".to_owned();
    workplace.write("odd.csv", csv_of(&rows));
    import_readings(&workplace, "odd.csv");
    let rejected = self::rows(&workplace.read("odd.csv.rejected.csv"));
    let reason = rejected[1].last().unwrap();
    assert!(reason.contains("Expected: 0 … 100") && reason.contains("found: 140."), "{reason}");
}

#[test]
fn a_refused_line_can_be_corrected_in_place() {
    let workplace = Workplace::sqlite();
    workplace.write("mixture.ndjson", mixture());
    import(&workplace, "mixture.ndjson", &[]);
    let mended = workplace.read("mixture.ndjson.rejected.ndjson").replace("140", "40");
    workplace.write("mended.ndjson", mended);
    let ended = import(&workplace, "mended.ndjson", &[]);
    assert_ended(&ended, 2, "6 read, 1 accepted, 0 duplicates, 5 refused\n");
    let again = lines(&workplace.read("mended.ndjson.rejected.ndjson"));
    assert_eq!(again.iter().map(|refused| refused["_line"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 3, 4, 5, 6]);
}

async fn records_without_a_natural_key_are_imported_once(workplace: Workplace) {
    workplace.write("data.csv", "a,b.c\n1,x\n1,x\n2,\n");
    workplace.write("data.ndjson", "{\"a\":1}\n{\"payload\":{\"a\":1}}\n");
    for (file, count) in [("data.csv", 3), ("data.ndjson", 2)] {
        let ended = import(&workplace, file, &["--contract", "simple/1.0"]);
        assert_ended(&ended, 0, &format!("{count} read, {count} accepted, 0 duplicates, 0 refused\n"));
        let again = import(&workplace, file, &["--contract", "simple/1.0"]);
        assert_ended(&again, 0, &format!("{count} read, 0 accepted, {count} duplicates, 0 refused\n"));
    }
    let server = workplace.serve();
    assert_eq!(server.list(&server.token().await).await.len(), 5);
}

#[test]
fn cells_that_only_look_like_numbers_are_refused() {
    let workplace = Workplace::sqlite();
    let mut rows = rows(&readings());
    rows.truncate(6);
    for (row, (column, cell)) in
        [(4, "007"), (5, "nan"), (6, "1,013.2"), (4, "+8"), (0, "yesterday")].iter().enumerate()
    {
        rows[row + 1][*column] = (*cell).to_owned();
    }
    workplace.write("odd.csv", csv_of(&rows));
    assert_ended(&import_readings(&workplace, "odd.csv"), 2, "5 read, 0 accepted, 0 duplicates, 5 refused\n");
    let rejected = self::rows(&workplace.read("odd.csv.rejected.csv"));
    let pointers: Vec<&str> = rejected[1..].iter().map(|row| row[10].as_str()).collect();
    let metrics = ["temperature_celsius", "humidity_percent", "pressure_hpa", "temperature_celsius"];
    let expected = metrics.map(|name| format!("/metrics/{name}")).into_iter().chain(["/timestamp".to_owned()]);
    assert_eq!(pointers, expected.collect::<Vec<_>>());
}

#[test]
fn reports_the_first_line_of_a_refused_row() {
    for end in ["\n", "\r\n"] {
        let workplace = Workplace::sqlite();
        let text = ["a,b", "1,\"x", "y\"", "", "1", "\"x", "y\"", "2"].join(end);
        workplace.write("lines.csv", text);
        import(&workplace, "lines.csv", &["--contract", "simple/1.0"]);
        let rejected = rows(&workplace.read("lines.csv.rejected.csv"));
        let at: Vec<&str> = rejected[1..].iter().map(|row| row[row.len() - 3].as_str()).collect();
        assert_eq!(at, ["5", "6", "8"], "{end:?}");
    }
}

#[test]
fn a_row_with_a_wrong_number_of_cells_is_refused_alone() {
    let workplace = Workplace::sqlite();
    workplace.write("ragged.csv", "a,b\n1,2\n1\n1,2,3\n");
    let ended = import(&workplace, "ragged.csv", &["--contract", "simple/1.0"]);
    assert_ended(&ended, 2, "3 read, 1 accepted, 0 duplicates, 2 refused\n");
    assert!(workplace.read("ragged.csv.rejected.csv").contains("\n1,2,3,"));
    let again = import(&workplace, "ragged.csv.rejected.csv", &["--contract", "simple/1.0"]);
    assert_ended(&again, 2, "2 read, 0 accepted, 0 duplicates, 2 refused\n");
}

#[test]
fn an_unterminated_row_is_refused_alone() {
    let workplace = Workplace::sqlite();
    workplace.write("open.csv", "a,b\n1,2\n3,\"4\n5,6\n");
    let ended = import(&workplace, "open.csv", &["--contract", "simple/1.0"]);
    assert_ended(&ended, 2, "2 read, 1 accepted, 0 duplicates, 1 refused\n");
    let rejected = rows(&workplace.read("open.csv.rejected.csv"));
    assert_eq!(rejected[1], ["3", "4\n5,6\n", "3", "", "The stream ends within a quoted cell."]);
}

#[test]
fn a_table_may_begin_with_a_byte_order_mark_or_be_empty() {
    let workplace = Workplace::sqlite();
    workplace.write("marked.csv", "\u{feff}a,b\n1,2\n\n3\n");
    let ended = import(&workplace, "marked.csv", &["--contract", "simple/1.0"]);
    assert_ended(&ended, 2, "2 read, 1 accepted, 0 duplicates, 1 refused\n");
    let rejected = rows(&workplace.read("marked.csv.rejected.csv"));
    assert_eq!((rejected[0][0].as_str(), rejected[1][1].as_str()), ("a", "4"), "the mark is no part of the header");
    workplace.write("marked.ndjson", "\u{feff}{\"payload\":{\"a\":1}}\n{\"payload\":{\"a\":2}}\n");
    let ended = import(&workplace, "marked.ndjson", &[]);
    assert_ended(&ended, 0, "2 read, 2 accepted, 0 duplicates, 0 refused\n");
    for (name, text) in [("empty.csv", ""), ("bare.csv", "a,b\r\n\r\n"), ("empty.ndjson", "\n\n")] {
        workplace.write(name, text);
        let ended = import(&workplace, name, &["--contract", "simple/1.0"]);
        assert_ended(&ended, 0, "0 read, 0 accepted, 0 duplicates, 0 refused\n");
    }
}

#[test]
fn a_header_row_may_end_in_a_comma() {
    let workplace = Workplace::sqlite();
    workplace.write("comma.csv", "a,b,\n1,2,\n3,4\n5,6,7\n");
    let ended = import(&workplace, "comma.csv", &["--contract", "simple/1.0"]);
    assert_ended(&ended, 2, "3 read, 2 accepted, 0 duplicates, 1 refused\n");
    let rejected = rows(&workplace.read("comma.csv.rejected.csv"));
    assert_eq!(
        (&rejected[0][..2], rejected[1].as_slice().first_chunk()),
        (&["a", "b"].map(str::to_owned)[..], Some(&["5", "6", "7", "4"].map(str::to_owned)))
    );
}

#[test]
fn files_longer_than_the_read_buffer_are_read_completely() {
    let workplace = Workplace::sqlite();
    let long = "x".repeat(50_000);
    let numbered: String = (0..6).map(|number| format!("{number},\"{long}\n\"\n")).collect();
    workplace.write("long.csv", format!("a,b\n{numbered}6\n"));
    let ended = import(&workplace, "long.csv", &["--contract", "simple/1.0"]);
    assert_ended(&ended, 2, "7 read, 6 accepted, 0 duplicates, 1 refused\n");
    assert_eq!(rows(&workplace.read("long.csv.rejected.csv"))[1][1], "14");
}

#[test]
fn an_unusable_file_fails_with_a_reason() {
    let workplace = Workplace::sqlite();
    workplace.write("data.csv", "a,a.b\n1,2\n");
    workplace.write("twice.csv", "a,b,a\n1,2,3\n");
    workplace.write("open.csv", "a,\"b\n1,2\n");
    workplace.write("data.txt", "");
    workplace.write("good.csv", "a\n1\n");
    workplace.write("sixteen.csv", [0xff, 0xfe, b'a', 0, b'\n', 0]);
    workplace.write("packed.csv", [0x1f, 0x8b, 8, 0, 0, 0]);
    workplace.write("readings.csv.gz", [0x1f, 0x8b, 8, 0, 0, 0]);
    workplace.write("workbook.csv", "PK\u{3}\u{4}");
    workplace.write("binary.ndjson", [b'a', 0, 1, 2]);
    fs::create_dir(workplace.path("folder.csv")).unwrap();
    let cases: [(&str, &[&str], &[&str]); 14] = [
        ("sixteen.csv", &["--contract", "simple/1.0"], &["sixteen.csv", "UTF-8", "UTF-16"]),
        ("packed.csv", &["--contract", "simple/1.0"], &["packed.csv"]),
        ("readings.csv.gz", &["--contract", "simple/1.0"], &["readings.csv.gz"]),
        ("workbook.csv", &["--contract", "simple/1.0"], &["workbook"]),
        ("binary.ndjson", &[], &["binary"]),
        ("folder.csv", &["--contract", "simple/1.0"], &["folder.csv", "expected a file"]),
        ("data.csv", &["--contract", "simple/1.0"], &["\"a\"", "\"a.b\""]),
        ("twice.csv", &["--contract", "simple/1.0"], &["header row", "\"a\"", "twice"]),
        ("open.csv", &["--contract", "simple/1.0"], &["quoted cell", "line 3"]),
        ("data.csv", &["--contract", "device/9.9"], &["device/9.9"]),
        ("data.csv", &[], &["--contract"]),
        ("data.txt", &[], &["data.txt", ".ndjson"]),
        ("absent.csv", &["--contract", "simple/1.0"], &["absent.csv"]),
        ("good.csv", &["--contract", "simple/1.0", "--url", "http://127.0.0.1:1"], &["MASS_TOKEN", "MASS_TOKEN_FILE"]),
    ];
    for (file, arguments, named) in cases {
        let ended = import(&workplace, file, arguments);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{file} {arguments:?}: {}", ended.stderr);
        assert!(named.iter().all(|word| ended.stderr.contains(word)), "{file} {arguments:?}: {}", ended.stderr);
    }
}

async fn a_server_gives_the_same_results_as_the_local_database(workplace: Workplace) {
    let server = workplace.serve();
    let workplace = workplace.with("MASS_TOKEN", &server.token().await);
    let local = Workplace::sqlite();
    let files = [("readings.csv", readings(), "device/1.1"), ("mixture.ndjson", mixture(), "simple/1.0")];
    for (file, content, contract) in files {
        [&workplace, &local].iter().for_each(|workplace| workplace.write(file, &content));
        // The second time every record is a duplicate, or refused as before.
        for _ in 0..2 {
            let here = import(&local, file, &["--contract", contract]);
            let there = import(&workplace, file, &["--contract", contract, "--url", &server.url]);
            assert_eq!((there.status, without_id(&there)), (here.status, without_id(&here)), "{there:?}");
            assert_eq!(refused_beside(&workplace, file), refused_beside(&local, file));
        }
    }
}

async fn imported_records_follow_the_tenants_auto_send(workplace: Workplace) {
    let workplace = workplace.with("MASS_ENGINE_URL", "http://127.0.0.1:9");
    let server = workplace.serve();
    let token = server.token().await;
    let workplace = workplace.with("MASS_TOKEN", &token);
    let told = r#"audit_events WHERE action = 'accepted' AND event LIKE '%"delivery":%'"#;
    let told = format!("SELECT CAST(count(*) AS TEXT) AS line FROM {told}");
    let sent = || workplace.lines(&told)[0].parse::<u32>().unwrap();
    let mut expected = 0;
    for (number, decided) in [None, Some(true), Some(false)].into_iter().enumerate() {
        let set = server.put("/v1/admin/settings", &json!({"auto_send": decided})).bearer_auth(&token);
        assert_eq!(set.send().await.unwrap().status(), 200);
        for (way, arguments) in [&[][..], &["--url", &server.url]].into_iter().enumerate() {
            let file = format!("{number}-{way}.ndjson");
            workplace.write(&file, format!("{}\n", reading(&format!("dev-{number}-{way}"))));
            assert_ended(&import(&workplace, &file, arguments), 0, "1 read, 1 accepted, 0 duplicates, 0 refused\n");
            expected += u32::from(decided == Some(true));
            assert_eq!(sent(), expected, "{decided:?} {arguments:?}");
        }
    }
}

/// Returns what an import printed, without the id by which it is undone.
fn without_id(ended: &Ended) -> Vec<&str> {
    ended.stdout.lines().filter(|line| !line.starts_with("Import id: ")).collect()
}

/// Returns the file of refused records, without the ids in it.
fn refused_beside(workplace: &Workplace, file: &str) -> String {
    let ending = file.rsplit('.').next().unwrap();
    let text = workplace.read(&format!("{file}.rejected.{ending}"));
    let is_id = |word: &str| word.len() == 36 && word.split('-').count() == 5;
    let letters = |c: char| !c.is_ascii_alphanumeric() && c != '-';
    text.split(letters).filter(|word| !is_id(word)).collect::<Vec<_>>().join(" ")
}

#[test]
fn control_characters_in_names_are_escaped() {
    let workplace = Workplace::sqlite();
    let name = "\u{1b}[31m\u{202e}.csv";
    workplace.write(name, "a\u{1b}[2J,a\u{1b}[2J\n1,2\n");
    let ended = import(&workplace, name, &["--contract", "simple/1.0"]);
    assert!(ended.stderr.contains(r"\u001b[31m\u202e.csv") && ended.stderr.contains(r"a\u001b[2J"), "{ended:?}");
    assert!(!ended.stderr.contains(['\u{1b}', '\u{202e}']), "{ended:?}");
    workplace.write(name, "a\n1,2\n");
    for arguments in [&["--contract", "simple/1.0"][..], &["--contract", "simple/1.0", "--json"]] {
        let ended = import(&workplace, name, arguments);
        assert_eq!((ended.status, ended.stdout.contains(r"\u001b[31m\u202e.csv")), (Some(2), true), "{ended:?}");
        assert!(!ended.stdout.contains(['\u{1b}', '\u{202e}']), "{ended:?}");
    }
    let ended = workplace.mass(&["import", "a.csv", "--contract", "\u{1b}[31m"]);
    assert!(ended.stderr.contains("--contract") && !ended.stderr.contains('\u{1b}'), "{ended:?}");
}

async fn an_import_killed_anywhere_is_completed_by_the_next(workplace: Workplace) {
    let text = readings();
    let (header, body) = text.split_once('\n').unwrap();
    let bodies: String = (1..=8).map(|device| body.replace("lga-asos-1", &format!("lga-asos-{device}"))).collect();
    workplace.write("year.csv", format!("{header}\n{bodies}"));
    for _ in 0..6 {
        kill_an_import_somewhere(&workplace).await;
    }
    import_readings(&workplace, "year.csv");
    let complete = import_readings(&workplace, "year.csv");
    assert_ended(&complete, 2, "1,600 read, 0 accepted, 1,240 duplicates, 360 refused\n");

    let server = workplace.serve();
    let token = server.token().await;
    let requests = server.list(&token).await;
    assert_eq!(requests.len(), 1240);
    let sequences = stream::iter(&requests)
        .map(|request| sequence_of_only_event(&server, &token, request))
        .buffer_unordered(8)
        .collect::<BTreeSet<_>>()
        .await;
    assert_eq!(sequences.len(), 1240);
}

async fn kill_an_import_somewhere(workplace: &Workplace) {
    let mut import = workplace.spawn(&["import", "year.csv", "--contract", "device/1.1"], Stdio::null());
    tokio::time::sleep(Duration::from_millis(rand::random_range(10..600))).await;
    import.kill().unwrap();
    import.wait().unwrap();
}

async fn sequence_of_only_event(server: &Server, token: &str, request: &Value) -> i64 {
    let path = format!("/v1/mass-requests/{}/events", request["id"].as_str().unwrap());
    let events = server.fetch(token, &path).await;
    let [event] = &events["items"].as_array().unwrap()[..] else { panic!("{events}") };
    assert_eq!(event["type"], "accepted");
    event["sequence"].as_i64().unwrap()
}
