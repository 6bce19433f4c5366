//! Batches of any form, whose records a mapping profile makes.

use std::fs;
use std::path::PathBuf;

use mass_domain::access::Role;
use mass_domain::canonical::Fingerprint;
use serde_json::{Value, json};

use super::{BATCH, codes, counts, gzip, lines_of, outcomes, send};
use crate::mappings::{keep, keep_text};
use crate::support::TestApp;
use crate::support::client::Call;
use crate::support::process::repository;

on_both!(
    every_shipped_profile_reads_its_sample,
    events_name_the_profile_and_its_version,
    refusals_name_the_row_and_its_column,
    the_profile_names_the_format_whatever_the_media_type,
    every_mode_takes_a_profile,
    a_long_json_document_is_stored_in_chunks,
    a_body_that_the_profile_cannot_read_is_refused_whole,
    a_body_that_breaks_off_is_stored_up_to_there,
    parameters_that_do_not_go_with_a_profile_are_refused,
    a_profile_that_multiplies_its_input_is_bounded,
    a_gateway_needs_no_permission_to_read_profiles,
);

also_restricted!(events_name_the_profile_and_its_version, a_gateway_needs_no_permission_to_read_profiles);

/// A table of powers, in watts.
const POWERS: &str = r#"
contract = "device/2.0"
[time]
from = "time"
[members]
"device.id" = "device"
"metrics.power_kw" = { from = "watts", unit = "w->kw" }
"#;

/// Records without a natural key, at a place in a document.
const LIST: &str =
    "contract = \"simple/1.0\"\n[read]\nformat = \"json\"\nrecords = [\"/list\"]\n[members]\na = \"/a\"\n";

fn mapped(app: &TestApp, query: &str, media_type: &str, body: impl Into<Vec<u8>>) -> Call {
    send(app.founder(), &format!("{BATCH}?map={query}"), media_type, body)
}

/// The shipped profiles: name, text, and the media type and text of a sample body.
fn shipped() -> Vec<(String, String, &'static str, Vec<u8>)> {
    let folder = repository().join("docs/gateways/profiles");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    files.sort();
    let read = |path: PathBuf| {
        let samples = [("json", "application/json"), ("ndjson", "application/x-ndjson")];
        let sample = |(ending, media_type)| Some((media_type, fs::read(path.with_extension(ending)).ok()?));
        let (media_type, body) = samples.into_iter().find_map(sample).unwrap_or_else(|| panic!("{}", path.display()));
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(&path).unwrap(), media_type, body)
    };
    files.into_iter().map(read).collect()
}

async fn every_shipped_profile_reads_its_sample(app: TestApp) {
    let shipped = shipped();
    let names: Vec<&str> = shipped.iter().map(|(name, ..)| name.as_str()).collect();
    let expected = [
        "collectd",
        "fluent-bit",
        "home-assistant",
        "mosquitto",
        "mqtt",
        "node-red",
        "otlp",
        "prometheus",
        "telegraf",
        "vector",
    ];
    assert_eq!(names, expected);
    for (name, profile, media_type, body) in shipped {
        keep_text(&app, &name, &profile).await;
        let (lines, last) = mapped(&app, &format!("{name}&mode=strict"), media_type, body.clone()).await.lines();
        assert_eq!(outcomes(&lines), vec!["accepted"; lines.len()], "{name}: {lines:?}");
        assert!(lines.len() > 1, "{name}: {last}");
        let warnings = lines.iter().filter_map(|line| line["warnings"].as_array()).flatten();
        assert!(warnings.into_iter().all(|warning| warning["code"] == "old_timestamp"), "{name}: {lines:?}");
        // What a gateway sends again is stored once.
        let (again, _) = mapped(&app, &name, media_type, gzip(&body)).header("Content-Encoding", "gzip").await.lines();
        assert_eq!(outcomes(&again), vec!["duplicate"; lines.len()], "{name}");
    }
}

async fn events_name_the_profile_and_its_version(app: TestApp) {
    keep_text(&app, "powers", POWERS).await;
    let body = "time,device,watts\n2026-01-31T10:00:00Z,pdu-1,1500\n";
    let (lines, _) = mapped(&app, "powers", "text/csv", body).await.lines();
    let path = format!("/v1/mass-requests/{}", lines[0]["id"].as_str().unwrap());
    let stored = app.get(&path).await.expect(200).at("/document");
    assert_eq!(stored["metrics"], json!({"power_kw": 1.5}));
    let told = app.database().count(&format!(
        r#"audit_events WHERE action = 'accepted' AND event LIKE '%"mapping":{{"digest":"{}","name":"powers"}}%'"#,
        Fingerprint::of(POWERS)
    ));
    assert_eq!(told, 1);
}

async fn refusals_name_the_row_and_its_column(app: TestApp) {
    keep_text(&app, "powers", POWERS).await;
    let body =
        "time,device,watts\n\n2026-01-31T10:00:00Z,pdu-1,1500\nnoon,pdu-1,many\n2026-01-31T10:00:00Z,pdu 2,1\n1,2\n";
    let (lines, last) = mapped(&app, "powers", "text/csv", body).await.lines();
    assert_eq!(outcomes(&lines), ["accepted", "rejected", "rejected", "rejected"], "{lines:?}");
    assert_eq!(counts(&last), json!({"read": 4, "accepted": 1, "rejected": 3}));
    let places: Vec<_> = lines.iter().map(|line| (line["line"].as_u64(), line["row"].as_u64())).collect();
    assert_eq!(places, [(Some(3), Some(1)), (Some(4), Some(2)), (Some(5), Some(3)), (Some(6), Some(4))]);
    let reasons = |line: &Value| -> Vec<String> {
        let each = line["violations"].as_array().unwrap().iter();
        each.map(|it| format!("{} {}", it["code"].as_str().unwrap(), it["pointer"].as_str().unwrap())).collect()
    };
    assert_eq!(reasons(&lines[1]), ["time time", "number watts"]);
    // The contract judges the document that the row became.
    assert_eq!(reasons(&lines[2]), ["pattern /device/id"]);
    assert_eq!(reasons(&lines[3]), ["cells "]);
    let told = r#"audit_events WHERE action = 'payload_refused' AND event LIKE '%"count":3%'"#;
    assert_eq!(app.database().count(told), 1);
    keep_text(&app, "list", LIST).await;
    let body = r#"{"list":[{"a":1},{"a":[]},{}]}"#;
    let (lines, _) = mapped(&app, "list", "application/json", body).await.lines();
    assert_eq!(outcomes(&lines), ["accepted", "accepted", "rejected"], "{lines:?}");
    assert_eq!((&lines[2]["line"], &lines[2]["row"]), (&json!(1), &json!(3)));
}

async fn the_profile_names_the_format_whatever_the_media_type(app: TestApp) {
    keep_text(&app, "powers", POWERS).await;
    keep_text(&app, "utf16", &format!("{POWERS}\n[read]\nencoding = \"utf-16le\"\nformat = \"tsv\"\n")).await;
    let table = |number: u32| format!("time,device,watts\n2026-01-31T10:00:00Z,pdu-{number},1500\n");
    let types = [
        "text/csv",
        "text/csv; charset=iso-8859-1",
        "text/tab-separated-values",
        "text/plain",
        "text/plain; charset=utf-8",
        "application/octet-stream",
        "application/json",
        "application/x-ndjson",
    ];
    for (number, media_type) in (0..).zip(types) {
        let (lines, _) = mapped(&app, "powers", media_type, table(number)).await.lines();
        assert_eq!(outcomes(&lines), ["accepted"], "{media_type}");
    }
    let text = table(100).replace(',', "\t");
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (lines, _) = mapped(&app, "utf16", "text/plain; charset=utf-16le", utf16).await.lines();
    assert_eq!(outcomes(&lines), ["accepted"]);
    for media_type in ["application/xml", "application/x-www-form-urlencoded"] {
        let refused = mapped(&app, "powers", media_type, table(1)).await;
        let refused = refused.expect_problem(415, "unsupported-media-type");
        assert!(refused.header("accept").unwrap().contains("application/octet-stream"), "{refused:?}");
    }
    mapped(&app, "powers", "text/csv", table(1)).header("Content-Encoding", "br").await.expect(415);
}

async fn every_mode_takes_a_profile(app: TestApp) {
    keep_text(&app, "list", LIST).await;
    let body = r#"{"list":[{"a":1},{"a":2}]}"#;
    for (mode, status) in [("each", 200), ("strict", 200), ("atomic", 201)] {
        let call = mapped(&app, &format!("list&mode={mode}"), "application/json", body);
        let answer = call.key(mode).header("Accept", "application/json").await.expect(status);
        assert_eq!(counts(&answer.json()), json!({"read": 2, "accepted": 2}), "{mode}");
        let again = mapped(&app, &format!("list&mode={mode}"), "application/json", body).key(mode).await;
        assert_eq!(counts(&lines_of(&again.expect(status).body).1), json!({"read": 2, "duplicate": 2}), "{mode}");
    }
    let bad = r#"{"list":[{"a":1},{}]}"#;
    let refused = mapped(&app, "list&mode=strict", "application/json", bad).await.expect(422);
    assert_eq!(counts(&lines_of(&refused.body).1), json!({"read": 2, "accepted": 1, "rejected": 1}));
    let refused = mapped(&app, "list&mode=atomic", "application/json", bad).await;
    assert_eq!(refused.expect_problem(422, "batch-refused").at("/records/0/row"), 2);
    assert_eq!(app.database().count("mass_requests"), 7);
}

async fn a_long_json_document_is_stored_in_chunks(app: TestApp) {
    keep_text(&app, "list", LIST).await;
    let list: Vec<Value> = (0..2600).map(|number| json!({"a": number})).collect();
    let body = json!({"list": list}).to_string();
    let (lines, last) = mapped(&app, "list", "application/json", body.clone()).await.lines();
    assert_eq!(counts(&last), json!({"read": 2600, "accepted": 2600}));
    assert_eq!((&lines[2599]["index"], &lines[2599]["row"]), (&json!(2599), &json!(2600)));
    let atomic = mapped(&app, "list&mode=atomic", "application/json", body).await.expect(201);
    assert_eq!(counts(&lines_of(&atomic.body).1), json!({"read": 2600, "accepted": 2600}));
    let many: Vec<Value> = (0..10_001).map(|number| json!({"a": number})).collect();
    let many = json!({"list": many}).to_string();
    mapped(&app, "list&mode=atomic", "application/json", many).await.expect_problem(413, "too-large");
    assert_eq!(app.database().count("mass_requests"), 5200);
}

async fn a_body_that_the_profile_cannot_read_is_refused_whole(app: TestApp) {
    keep_text(&app, "powers", POWERS).await;
    keep_text(&app, "list", LIST).await;
    keep_text(&app, "lines", &LIST.replace("\"json\"", "\"ndjson\"")).await;
    let cases = [
        ("powers", "", "Expected what the mapping profile reads, but the body is empty."),
        ("powers", " \r\n", "Expected what the mapping profile reads, but the body is empty."),
        ("powers", "when,device,watts\n1,2,3\n", "column \"time\" in the header row"),
        ("list", "", "the body is empty"),
        ("list", "hello", "on line 1"),
        ("list", "[1,2", "on line 1"),
        ("list", "{\"items\":[]}", "expected records at /list, found none"),
        ("lines", "time,device\n", "on line 1"),
        ("lines", "\n", "the body is empty"),
    ];
    for mode in ["each", "strict", "atomic"] {
        for (profile, body, told) in cases {
            let call = mapped(&app, &format!("{profile}&mode={mode}"), "text/plain", body);
            let answer = call.await.expect_problem(400, "bad-request");
            assert!(answer.text("/detail").contains(told), "{mode} {body:?}: {}", answer.text("/detail"));
        }
    }
    // Nothing to make records of is no fault where the list or the table is there.
    for (profile, body) in [("list", "{\"list\":[]}"), ("powers", "time,device,watts\n")] {
        assert_eq!(counts(&mapped(&app, profile, "text/plain", body).await.lines().1), json!({}), "{body}");
    }
    assert_eq!(app.database().count("mass_requests"), 0);
}

async fn a_body_that_breaks_off_is_stored_up_to_there(app: TestApp) {
    keep_text(&app, "powers", POWERS).await;
    let body = "time,device,watts\n2026-01-31T10:00:00Z,pdu-1,1500\n2026-01-31T10:00:00Z,\"pdu-2,1\n";
    let (lines, last) = mapped(&app, "powers", "text/csv", body).await.lines();
    assert_eq!((outcomes(&lines), counts(&last)), (vec!["accepted"], json!({"read": 1, "accepted": 1})));
    assert_eq!((&last["error"]["type"], &last["error"]["line"]), (&json!("/problems/bad-request"), &json!(3)));
    let strict = mapped(&app, "powers&mode=strict", "text/csv", body).await.expect(400);
    assert_eq!(counts(&lines_of(&strict.body).1), json!({"read": 1, "duplicate": 1}));
}

async fn parameters_that_do_not_go_with_a_profile_are_refused(app: TestApp) {
    keep_text(&app, "list", LIST).await;
    let digest = Fingerprint::of("x");
    let body = r#"{"list":[{"a":1}]}"#;
    for (query, violations) in [
        ("nothing".to_owned(), &["?map parameter"][..]),
        ("no%20name".to_owned(), &["?map parameter"]),
        ("list&keyed=true".to_owned(), &["?keyed parameter"]),
        ("list&contract=simple/1.0".to_owned(), &["?contract parameter"]),
        (format!("list&mapped_by=list@{digest}"), &["?mapped_by parameter"]),
        ("list&keyed=false&contract=simple/1.0".to_owned(), &["?contract parameter", "?keyed parameter"]),
    ] {
        let answer = mapped(&app, &query, "application/json", body).await;
        answer.expect_violations("invalid-parameter", violations);
    }
    // Without a profile, its media types are not taken.
    send(app.founder(), BATCH, "text/plain", body).await.expect_problem(415, "unsupported-media-type");
    assert_eq!(app.database().count("mass_requests"), 0);
}

async fn a_profile_that_multiplies_its_input_is_bounded(app: TestApp) {
    let constant = "x".repeat(60_000);
    let members = json!({"a": "/a", "long": {"value": constant}});
    let profile = json!({
        "contract": "simple/1.0", "read": {"format": "json", "records": ["/list"]}, "members": members,
    });
    keep(&app, "long", &profile).await;
    let body = json!({"list": vec![json!({"a": 1}); 20_000]}).to_string();
    mapped(&app, "long&mode=atomic", "application/json", body.clone()).await.expect_problem(400, "bad-request");
    let (_, last) = mapped(&app, "long&results=errors", "application/json", body).await.lines();
    assert!(last["error"]["detail"].as_str().unwrap().contains("expected at most 50000 records"), "{last}");
    assert!((1..1000).contains(&last["totals"]["read"].as_u64().unwrap()), "{last}");
    // One row whose template repeats a long cell is one refused row.
    let template = "{a}".repeat(2000);
    let profile = json!({"contract": "simple/1.0", "members": {"a": {"template": template}}});
    keep(&app, "template", &profile).await;
    let body = format!("a,b\n{},1\nshort,2\n", "y".repeat(10_000));
    let (lines, _) = mapped(&app, "template", "text/csv", body).await.lines();
    assert_eq!((outcomes(&lines), codes(&lines[0])), (vec!["rejected", "accepted"], vec!["too_long"]));
}

async fn a_gateway_needs_no_permission_to_read_profiles(app: TestApp) {
    keep_text(&app, "list", LIST).await;
    let key = json!({"name": "gateway", "permissions": ["mass:write"]});
    let gateway = app.bearer(&app.post("/v1/admin/api-keys").json(&key).await.expect(201).text("/token"));
    let path = format!("{BATCH}?map=list");
    let answer = send(&gateway, &path, "application/json", r#"{"list":[{"a":1}]}"#).await;
    assert_eq!(outcomes(&answer.lines().0), ["accepted"]);
    gateway.get("/v1/mappings/list").await.expect_problem(403, "forbidden");
    // The profiles of another tenant are not there.
    let foreigner = app.foreigner(Role::Operator).await;
    let refused = send(&foreigner, &path, "application/json", r#"{"list":[{"a":1}]}"#).await;
    refused.expect_violations("invalid-parameter", &["?map parameter"]);
}
