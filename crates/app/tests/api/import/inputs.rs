//! `mass import`: standard input, compressed files, several files, and dry runs.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::{SUMMARY, assert_ended, import, mixture, readings, with_readings};
use crate::support::process::{Workplace, workplaces_on_both};

workplaces_on_both! {
    standard_input_and_compressed_files_are_read_like_others,
    a_dry_run_judges_all_records_and_stores_none,
}

const DEVICE: [&str; 2] = ["--contract", "device/1.1"];

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

async fn standard_input_and_compressed_files_are_read_like_others(workplace: Workplace) {
    let readings = readings();
    let (one, other) = readings.split_at(readings.len() / 2);
    workplace.write("readings.csv.gz", [gzip(one), gzip(other)].concat());
    let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 1).unwrap();
    workplace.write("readings.csv.zst", [zstd(one), zstd(other)].concat());
    // The content counts, and not the name.
    workplace.write("readings.dat", gzip(&readings));
    assert_ended(&import(&workplace, "readings.csv.gz", &DEVICE), 2, SUMMARY);
    assert!(workplace.path("readings.csv.gz.rejected.csv").exists());
    let again = "200 read, 0 accepted, 155 duplicates, 45 refused\n";
    assert_ended(&import(&workplace, "readings.csv.zst", &DEVICE), 2, again);
    assert_ended(&import(&workplace, "readings.dat", &[&DEVICE[..], &["--format", "csv"]].concat()), 2, again);
    let piped = workplace.mass_fed(&["import", "-", "--format", "csv", "--contract", "device/1.1"], &readings);
    assert_ended(&piped, 2, again);
    assert!(workplace.path("stdin.rejected.csv").exists());
}

#[test]
fn compressed_files_that_are_damaged_or_need_too_much_memory_fail() {
    let workplace = Workplace::sqlite();
    let whole = gzip(&readings());
    workplace.write("cut.csv.gz", &whole[..whole.len() / 2]);
    // A frame of no content whose window has 2^31 bytes.
    workplace.write("wide.csv.zst", [0x28, 0xb5, 0x2f, 0xfd, 0, 0xa8, 1, 0, 0]);
    for file in ["cut.csv.gz", "wide.csv.zst"] {
        let ended = import(&workplace, file, &DEVICE);
        assert_eq!(ended.status, Some(1), "{ended:?}");
        assert!(ended.stderr.contains(file), "{ended:?}");
    }
}

#[test]
fn an_array_of_documents_is_a_format_too() {
    let workplace = Workplace::sqlite();
    workplace.write(
        "rows.json",
        r#"[{"a":1},{"a":2},
        [3]]"#,
    );
    let ended = import(&workplace, "rows.json", &["--contract", "simple/1.0"]);
    assert_ended(&ended, 2, "3 read, 2 accepted, 0 duplicates, 1 refused\n");
    assert!(workplace.path("rows.json.rejected.ndjson").exists());
}

#[test]
fn several_files_are_imported_in_one_call() {
    let workplace = Workplace::sqlite();
    with_readings(&workplace).write("copy.csv", readings());
    workplace.write("more.ndjson", r#"{"payload":{"a":1}}"#);
    let files = ["import", "readings.csv", "copy.csv", "more.ndjson"];
    let ended = workplace.mass(&[&files[..], &DEVICE].concat());
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let told = |line: &str| lines.contains(&line);
    assert!(told("readings.csv: 200 read, 155 accepted, 0 duplicates, 45 refused"), "{ended:?}");
    assert!(told("copy.csv: 200 read, 0 accepted, 155 duplicates, 45 refused"), "{ended:?}");
    assert!(told("more.ndjson: 1 read, 1 accepted, 0 duplicates, 0 refused"), "{ended:?}");
    assert!(told("In all: 401 read, 156 accepted, 155 duplicates, 90 refused"), "{ended:?}");
    let ended = workplace.mass(&[&files[..], &DEVICE, &["--json"]].concat());
    let summary: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&summary["read"], &summary["files"][2]["file"]), (&json!(401), &json!("more.ndjson")));
    assert_eq!(summary["files"][1]["rejected_file"], "copy.csv.rejected.csv");
    // Nothing is done if one of the files is missing, or the arguments contradict each other.
    let fresh = Workplace::sqlite();
    with_readings(&fresh);
    for (arguments, told) in [
        (&["readings.csv", "absent.csv"][..], "absent.csv"),
        (&["readings.csv", "readings.csv", "--rejected", "r.csv"], "--rejected"),
        (&["-", "-", "--format", "csv"], "once"),
        (&["-"], "--format"),
        (&["-", "--format", "csv", "--url", "http://127.0.0.1:1", "--token-file", "-"], "once"),
    ] {
        let ended = fresh.mass(&[&["import"], arguments, &DEVICE].concat());
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.stderr.contains(told), "{told}: {ended:?}");
    }
    assert!(!fresh.path("data").exists());
}

async fn a_dry_run_judges_all_records_and_stores_none(workplace: Workplace) {
    let fresh = Workplace::sqlite();
    fresh.write("mixture.ndjson", mixture());
    // A conflict with another record is not seen before one of them is stored.
    let summary = "9 read, 4 valid, 5 refused; nothing was stored\n";
    let here = import(&fresh, "mixture.ndjson", &["--dry-run"]);
    assert_ended(&here, 2, summary);
    assert!(!fresh.path("data").exists(), "no database");
    let refused = fresh.read("mixture.ndjson.rejected.ndjson");
    assert!(refused.contains("foreign_tenant") && refused.contains("duplicate_key"), "{refused}");
    let server = workplace.serve();
    let token = server.token().await;
    workplace.write("mixture.ndjson", mixture());
    let there =
        workplace.mass_with(&["import", "mixture.ndjson", "--dry-run", "--url", &server.url], "MASS_TOKEN", &token);
    assert_eq!((there.status, &there.stdout), (here.status, &here.stdout), "{there:?}");
    assert_eq!(server.list(&token).await.len(), 0);
    let json = import(&fresh, "mixture.ndjson", &["--dry-run", "--json"]);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&json["dry_run"], &json["accepted"], &json["refused"]), (&json!(true), &json!(4), &json!(5)));
}

#[tokio::test]
async fn the_token_may_come_from_a_file_or_standard_input() {
    let workplace = Workplace::sqlite();
    let server = workplace.serve();
    let token = server.token().await;
    workplace.write("token", format!("{token}\n"));
    workplace.write("one.ndjson", r#"{"payload":{"a":1}}"#);
    let arguments = ["import", "one.ndjson", "--url", &server.url, "--token-file"];
    let ended = workplace.mass(&[&arguments[..], &["token"]].concat());
    assert_ended(&ended, 0, "1 read, 1 accepted, 0 duplicates, 0 refused\n");
    let ended = workplace.mass_fed(&[&arguments[..], &["-"]].concat(), &format!("{token}\n"));
    assert_ended(&ended, 0, "1 read, 0 accepted, 1 duplicates, 0 refused\n");
    workplace.write("words", "two words");
    for (file, told) in [("absent", "absent"), ("words", "words")] {
        let ended = workplace.mass(&[&arguments[..], &[file]].concat());
        assert_eq!((ended.status, ended.stderr.contains(told)), (Some(1), true), "{ended:?}");
        assert!(!ended.stderr.contains("two"), "{ended:?}");
    }
}

/// The file of refused records has no name before it is complete.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_interrupted_import_leaves_no_file_behind() {
    let workplace = Workplace::sqlite();
    let mut import = workplace.spawn(&["import", "-", "--format", "ndjson", "--dry-run"], std::process::Stdio::null());
    let mut stdin = import.stdin.take().unwrap();
    (0..5000).for_each(|_| stdin.write_all(b"[]\n").unwrap());
    stdin.flush().unwrap();
    // The records have not ended, so the file is still being written.
    let open_files = format!("/proc/{}/fd", import.id());
    let folder = workplace.path("").canonicalize().unwrap();
    let is_ours = |entry: &fs::DirEntry| fs::read_link(entry.path()).is_ok_and(|path| path.starts_with(&folder));
    while !fs::read_dir(&open_files).unwrap().any(|entry| is_ours(&entry.unwrap())) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    import.kill().unwrap();
    import.wait().unwrap();
    assert_eq!(fs::read_dir(workplace.path("")).unwrap().count(), 0);
}
