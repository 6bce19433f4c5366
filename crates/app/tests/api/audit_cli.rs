//! The audit commands of the program, as auditors and operators use them.

use std::cell::Cell;
use std::fs;

use futures_util::future::join_all;
use mass_domain::audit::tree::TreeHash;
use serde_json::{Value, json};

use crate::support::AUDIT_KEY;
use crate::support::documents::reading;
use crate::support::process::{Ended, Server, Workplace, workplaces_on_both};

workplaces_on_both! {
    verifies_an_export_offline,
    reports_each_change_to_an_export,
    finds_tampering_in_the_export_and_in_the_database,
    reports_unreadable_rows_as_findings_not_failures,
    finds_a_changed_account_or_request,
    finds_an_emptied_log,
    refuses_to_verify_the_log_of_an_unknown_tenant,
    only_an_earlier_checkpoint_reveals_a_rewritten_log,
    archived_events_stay_verifiable_and_the_log_continues,
    an_interrupted_archive_is_resumed,
    verifies_a_log_across_a_change_of_key,
    verifies_a_receipt_with_its_document,
    a_killed_server_leaves_a_valid_log,
    signs_the_log_at_the_configured_interval,
    the_commands_of_audit_md_work,
}

/// Sends this number of requests, and returns the last answer.
async fn send(server: &Server, requests: usize) -> Value {
    let token = server.token().await;
    let mut last = Value::Null;
    for _ in 0..requests {
        let document = reading(&uuid::Uuid::now_v7().to_string());
        let sent = server.post("/v1/mass-requests", &document).bearer_auth(&token).send().await.unwrap();
        assert_eq!(sent.status(), 201);
        last = sent.json().await.unwrap();
    }
    last
}

/// A workplace whose database has some requests and an event of refusals, with its public key in `mass.key`.
async fn worked(workplace: Workplace) -> Workplace {
    let workplace = workplace.with("MASS_AUDIT_KEY", AUDIT_KEY);
    let server = workplace.serve();
    send(&server, 5).await;
    let refused = server.post("/v1/mass-requests", &json!({ "mass_version": "1.1" }));
    assert_eq!(refused.bearer_auth(server.token().await).send().await.unwrap().status(), 422);
    drop(server);
    let key = good(&workplace.mass(&["audit", "key"]));
    workplace.write("mass.key", key);
    workplace
}

#[track_caller]
fn good(ended: &Ended) -> String {
    assert_eq!(ended.status, Some(0), "{ended:?}");
    ended.stdout.clone()
}

/// Returns the finding of a verification.
#[track_caller]
fn found(ended: &Ended) -> &str {
    assert_eq!(ended.status, Some(2), "{ended:?}");
    let finding = ended.stdout.lines().find_map(|line| line.strip_prefix("FOUND: "));
    finding.unwrap_or_else(|| panic!("{ended:?}"))
}

fn export(workplace: &Workplace, file: &str) {
    good(&workplace.mass(&["audit", "export", "--out", file]));
}

fn verify(workplace: &Workplace, file: &str) -> Ended {
    workplace.mass(&["audit", "verify", file, "--key", "mass.key"])
}

fn live(workplace: &Workplace) -> Ended {
    workplace.mass(&["audit", "verify", "--live"])
}

async fn verifies_an_export_offline(workplace: Workplace) {
    let workplace = worked(workplace).await;
    workplace.write("checkpoint.txt", good(&workplace.mass(&["audit", "checkpoint"])));
    export(&workplace, "audit.ndjson");
    let again = workplace.mass(&["audit", "export", "--out", "audit.ndjson"]);
    assert_eq!((again.status, again.stderr.contains("not overwritten")), (Some(1), true), "{again:?}");

    let elsewhere = Workplace::sqlite();
    for file in ["audit.ndjson", "mass.key", "checkpoint.txt"] {
        elsewhere.write(file, workplace.read(file));
    }
    let with_all = ["audit", "verify", "audit.ndjson", "--key", "mass.key", "--checkpoint", "checkpoint.txt"];
    let told = good(&elsewhere.mass(&with_all));
    assert!(told.contains("none was changed") && told.contains("earlier checkpoint"), "{told}");
    assert!(!told.contains("NOT"), "{told}");
    let told: Value = serde_json::from_str(&good(&elsewhere.mass(&[&with_all[..], &["--json"]].concat()))).unwrap();
    assert_eq!((&told["result"], &told["signatures_checked"]), (&json!("good"), &json!(true)));
    let unsigned = good(&elsewhere.mass_fed(&["audit", "verify", "-"], &workplace.read("audit.ndjson")));
    assert!(unsigned.contains("NOT checked: the signatures"), "{unsigned}");
    assert!(!elsewhere.path("data").exists());

    for (arguments, named) in [
        (vec!["audit", "verify", "nothing.ndjson"], "nothing.ndjson"),
        (vec!["audit", "verify", "audit.ndjson", "--key", "no-key"], "no-key"),
        (vec!["audit", "verify", "audit.ndjson", "--checkpoint", "mass.key"], "mass.key"),
        (vec!["audit", "verify"], "EXPORT"),
        (vec!["audit", "verify", "audit.ndjson", "--live"], "--live"),
    ] {
        let ended = elsewhere.mass(&arguments);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(ended.stderr.contains(named), "{arguments:?}: {}", ended.stderr);
    }
}

async fn reports_each_change_to_an_export(workplace: Workplace) {
    let workplace = worked(workplace).await;
    export(&workplace, "audit.ndjson");
    let whole = workplace.read("audit.ndjson");
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let of_event = |sequence: usize| {
        let place = format!("\"sequence\":{sequence},");
        lines.iter().position(|line| line.starts_with(r#"{"event""#) && line.contains(&place)).unwrap()
    };
    let without = |place: usize| [&lines[..place], &lines[place + 1..]].concat().concat();
    let mut swapped = lines.clone();
    swapped.swap(of_event(2), of_event(3));
    let cases = [
        (whole.replacen("\"outcome\":\"success\"", "\"outcome\":\"refused\"", 1), "event 1 was changed"),
        (without(of_event(3)), "event 3 is missing"),
        (swapped.concat(), "expected event 2, found event 3"),
        (lines[..lines.len() - 1].concat(), "the file is cut"),
    ];
    for (manipulated, finding) in cases {
        workplace.write("manipulated.ndjson", manipulated);
        let ended = verify(&workplace, "manipulated.ndjson");
        assert!(found(&ended).starts_with(finding), "{finding}: {ended:?}");
    }
    let as_json = workplace.mass(&["audit", "verify", "manipulated.ndjson", "--json"]);
    let told: Value = serde_json::from_str(&as_json.stdout).unwrap();
    assert_eq!((as_json.status, &told["result"]), (Some(2), &json!("found")));

    // Rewritten without signatures, and with adjusted counts in the last line.
    let end = |events: usize, checkpoints: usize| {
        format!("{{\"end\":{{\"checkpoints\":{checkpoints},\"events\":{events}}}}}\n")
    };
    let events: Vec<_> = lines.iter().copied().filter(|line| line.starts_with(r#"{"event""#)).collect();
    for kept in [0, 2, events.len()] {
        workplace.write("manipulated.ndjson", lines[0].to_owned() + &events[..kept].concat() + &end(kept, 0));
        let ended = verify(&workplace, "manipulated.ndjson");
        assert!(found(&ended).starts_with("no signature covers "), "{ended:?}");
    }
    for (file, finding) in
        [("", "not an audit export"), ("\u{0}", "not an audit export"), ("{}\n", "not an audit export")]
    {
        workplace.write("manipulated.ndjson", file);
        assert!(found(&verify(&workplace, "manipulated.ndjson")).contains(finding));
    }
}

/// Builds the SQL that changes an event of the default tenant's log, with or without its leaf hash.
fn change(workplace: &Workplace, sequence: i64, with_hash: bool) {
    let event = workplace.lines(&format!(
        "SELECT event AS line FROM audit_events WHERE tenant_id = 'default' AND sequence = {sequence}"
    ));
    let changed = event[0].replace("\"outcome\":\"success\"", "\"outcome\":\"refused\"");
    assert_ne!(changed, event[0]);
    let hash = TreeHash::of_leaf(changed.as_bytes());
    let hash = if workplace.is_postgres() { format!("'\\x{hash}'::bytea") } else { format!("x'{hash}'") };
    let hash = if with_hash { format!(", leaf_hash = {hash}, outcome = 'refused'") } else { String::new() };
    workplace.unlock_audit_trail();
    workplace.execute(&format!(
        "UPDATE audit_events SET event = '{changed}'{hash} WHERE tenant_id = 'default' AND sequence = {sequence}"
    ));
}

async fn finds_tampering_in_the_export_and_in_the_database(workplace: Workplace) {
    let workplace = worked(workplace).await;
    let told = good(&live(&workplace));
    assert!(told.contains("of default: none was changed") && told.contains("of system: none was changed"), "{told}");
    change(&workplace, 2, false);
    let by_itself = live(&workplace);
    assert!(found(&by_itself).starts_with("default: event 2 "), "{by_itself:?}");
    assert!(by_itself.stdout.contains("of system: none was changed"), "{by_itself:?}");
    good(&workplace.mass(&["audit", "verify", "--live", "--tenant", "system"]));
    export(&workplace, "audit.ndjson");
    let by_export = verify(&workplace, "audit.ndjson");
    assert!(found(&by_export).starts_with("event 2 was changed"), "{by_export:?}");

    change(&workplace, 3, true);
    export(&workplace, "grown.ndjson");
    let signing = workplace.mass(&["audit", "checkpoint"]);
    assert_eq!((signing.status, signing.stdout.as_str()), (Some(1), ""), "{signing:?}");
    assert!(signing.stderr.contains("THE AUDIT TRAIL IS NOT AS IT WAS SIGNED"), "{signing:?}");
}

/// The size of the head too large, too small or malformed, and columns with malformed values.
async fn reports_unreadable_rows_as_findings_not_failures(workplace: Workplace) {
    let workplace = worked(workplace).await;
    good(&workplace.mass(&["audit", "checkpoint"]));
    workplace.unlock_audit_trail();
    let of_default = "WHERE tenant_id = 'default'";
    let is_postgres = workplace.is_postgres();
    let (short, instant) = if is_postgres { ("'\\x00'::bytea", "'infinity'") } else { ("x'00'", "'yesterday'") };
    let text = if is_postgres { "encode(frontier, 'hex')" } else { "hex(frontier)" };
    let query = format!("SELECT CAST(size AS TEXT) || ' ' || {text} AS line FROM audit_heads {of_default}");
    let head = workplace.lines(&query).remove(0);
    let (size, frontier) = head.split_once(' ').unwrap();
    let frontier = if is_postgres { format!("'\\x{frontier}'::bytea") } else { format!("x'{frontier}'") };
    let heads = [
        ("size + 1", frontier.as_str()),
        ("size + 4", &frontier),
        ("size - 1", &frontier),
        ("-1", &frontier),
        ("9223372036854775807", &frontier),
        ("size", short),
    ];
    for (inflated, torn) in heads {
        workplace.execute(&format!("UPDATE audit_heads SET size = {inflated}, frontier = {torn} {of_default}"));
        let by_itself = live(&workplace);
        assert!(found(&by_itself).starts_with("default: "), "{inflated}: {by_itself:?}");
        workplace.execute(&format!("UPDATE audit_heads SET size = {size}, frontier = {frontier} {of_default}"));
    }
    good(&live(&workplace));
    for (column, value) in [("note", "'x'"), ("at", instant)] {
        workplace.execute(&format!("UPDATE audit_checkpoints SET {column} = {value} {of_default}"));
        assert!(found(&live(&workplace)).starts_with("default: "));
    }
    workplace.execute(&format!("DELETE FROM audit_checkpoints {of_default}"));
    workplace.execute(&format!("UPDATE audit_events SET at = {instant} {of_default} AND sequence = 2"));
    let by_itself = live(&workplace);
    assert!(found(&by_itself).starts_with("default: event 2: the column at has "), "{by_itself:?}");

    // A log that cannot be appended to is exported all the same.
    workplace.execute(&format!("UPDATE audit_heads SET size = 9223372036854775807 {of_default}"));
    export(&workplace, "audit.ndjson");
    found(&verify(&workplace, "audit.ndjson"));
}

async fn finds_a_changed_account_or_request(workplace: Workplace) {
    let workplace = worked(workplace).await;
    let told = good(&live(&workplace));
    assert!(told.contains("5 requests match their events") && told.contains("1 users"), "{told}");
    assert!(!told.contains("NOT compared"), "{told}");
    let of_default = "WHERE tenant_id = 'default'";
    for (table, change, finding) in [
        ("mass_requests", "device_id = 'x'", "its index does not match"),
        ("mass_requests", "status = 'done'", "the column status has done"),
        ("users", "password_hash = 'x'", "the column password_hash has "),
        ("users", "roles = 'auditor'", "the column roles has auditor"),
    ] {
        workplace.execute(&format!("UPDATE {table} SET {change} {of_default}"));
        let ended = live(&workplace);
        // Accounts are checked before requests, so that the last change is found first.
        let is_named = found(&ended).contains(finding);
        assert!(is_named || table == "users" && found(&ended).contains("request"), "{change}: {ended:?}");
    }
}

async fn finds_an_emptied_log(workplace: Workplace) {
    let workplace = worked(workplace).await;
    good(&workplace.mass(&["audit", "checkpoint"]));
    workplace.unlock_audit_trail();
    let empty = if workplace.is_postgres() { "''::bytea" } else { "x''" };
    for statement in [
        "DELETE FROM mass_requests".to_owned(),
        "DELETE FROM audit_events WHERE tenant_id = 'default'".to_owned(),
        format!("UPDATE audit_heads SET size = 0, frontier = {empty} WHERE tenant_id = 'default'"),
    ] {
        workplace.execute(&statement);
    }
    assert!(found(&live(&workplace)).starts_with("default: the tail was cut"));
    let alarm = "THE AUDIT TRAIL IS NOT AS IT WAS SIGNED";
    let workplace = workplace.with("MASS_AUDIT_CHECKPOINT_SECONDS", "1");
    let server = workplace.serve();
    while !server.logged().contains(alarm) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn refuses_to_verify_the_log_of_an_unknown_tenant(workplace: Workplace) {
    let workplace = worked(workplace).await;
    for command in [
        &["verify", "--live"][..],
        &["export"],
        &["checkpoint"],
        &["archive", "--before", "2100-01-01T00:00:00Z", "--out", "archive.ndjson"],
    ] {
        let ended = workplace.mass(&[&["audit"], command, &["--tenant", "defualt"]].concat());
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.stderr.contains("there is no tenant defualt"), "{ended:?}");
    }
}

async fn only_an_earlier_checkpoint_reveals_a_rewritten_log(workplace: Workplace) {
    let workplace = worked(workplace).await;
    workplace.write("kept.txt", good(&workplace.mass(&["audit", "checkpoint"])));
    // The same installation and key with another history.
    let anew = Workplace::sqlite();
    let anew = worked(anew).await;
    send(&anew.serve(), 5).await;
    export(&anew, "audit.ndjson");
    good(&verify(&anew, "audit.ndjson"));
    anew.write("kept.txt", workplace.read("kept.txt"));
    let with_kept = ["audit", "verify", "audit.ndjson", "--key", "mass.key", "--checkpoint", "kept.txt"];
    let ended = anew.mass(&with_kept);
    assert!(found(&ended).starts_with("by the earlier checkpoint of "), "{ended:?}");
    let ended = anew.mass(&["audit", "verify", "--live", "--checkpoint", "kept.txt"]);
    found(&ended);
}

async fn archived_events_stay_verifiable_and_the_log_continues(workplace: Workplace) {
    let workplace = worked(workplace).await;
    let server = workplace.serve();
    let old = send(&server, 1).await;
    let token = server.token().await;
    let path = format!("/v1/mass-requests/{}/receipt", old["id"].as_str().unwrap());
    workplace.write("receipt.json", server.fetch(&token, &path).await.to_string());
    let archived = good(&archive(&workplace, "2100-01-01T00:00:00Z", "first.ndjson"));
    assert!(archived.starts_with("archived events 1…"), "{archived}");
    good(&verify(&workplace, "first.ndjson"));
    good(&live(&workplace));
    let again = archive(&workplace, "2000-01-01T00:00:00Z", "second.ndjson");
    assert_eq!((again.status, again.stderr.contains("no event before that time")), (Some(1), true), "{again:?}");

    let receipt = server.get(&path).bearer_auth(&token).send().await.unwrap();
    assert_eq!(receipt.status(), 410);
    let kept = workplace.mass(&["audit", "verify-receipt", "receipt.json", "--key", "mass.key"]);
    assert!(good(&kept).contains("was accepted"), "{kept:?}");
    let proof = server.fetch(&token, &format!("/v1/audit/proofs/inclusion?event={}", old["audit"]["sequence"])).await;
    assert_eq!(proof["leaf_hash"], old["audit"]["leaf_hash"]);
    let events = server.fetch(&token, "/v1/audit/events?action=audit_archived").await;
    let detail = &events["items"][0]["detail"];
    assert_eq!(archived.lines().last().unwrap(), format!("sha256 {}", detail["sha256"].as_str().unwrap()));

    send(&server, 2).await;
    export(&workplace, "rest.ndjson");
    let last_of_archive = workplace.read("first.ndjson");
    let last_of_archive = last_of_archive.lines().rfind(|line| line.starts_with(r#"{"checkpoint":"#)).unwrap();
    workplace.write("base.json", last_of_archive);
    let rest = workplace.mass(&["audit", "verify", "rest.ndjson", "--key", "mass.key", "--checkpoint", "base.json"]);
    let told = good(&rest);
    assert!(told.contains("the earlier checkpoint") && !told.contains("NOT"), "{told}");
    good(&archive(&workplace, "2100-01-01T00:00:00Z", "second.ndjson"));
    good(&verify(&workplace, "second.ndjson"));
    good(&live(&workplace));
}

fn archive(workplace: &Workplace, before: &str, out: &str) -> Ended {
    workplace.mass(&["audit", "archive", "--before", before, "--out", out])
}

async fn an_interrupted_archive_is_resumed(workplace: Workplace) {
    let workplace = worked(workplace).await;
    // The leftovers of an interrupted run: the file, and all events still in the database.
    export(&workplace, "archive.ndjson");
    let before = workplace.lines("SELECT event AS line FROM audit_events WHERE tenant_id = 'default'").len();
    let told = good(&archive(&workplace, "2100-01-01T00:00:00Z", "archive.ndjson"));
    assert!(told.starts_with(&format!("archived events 1…{before} ")), "{told}");
    good(&live(&workplace));
    let again = archive(&workplace, "2100-01-01T00:00:00Z", "archive.ndjson");
    assert_eq!((again.status, again.stderr.contains("does not begin where")), (Some(1), true), "{again:?}");

    workplace.write("cut.ndjson", &workplace.read("archive.ndjson").as_bytes()[..500]);
    let cut = archive(&workplace, "2100-01-01T00:00:00Z", "cut.ndjson");
    assert_eq!((cut.status, cut.stderr.contains("cut.ndjson")), (Some(1), true), "{cut:?}");
    assert_eq!(fs::metadata(workplace.path("cut.ndjson")).unwrap().len(), 500);
    good(&live(&workplace));
}

async fn verifies_a_log_across_a_change_of_key(workplace: Workplace) {
    let workplace = worked(workplace).await;
    good(&workplace.mass(&["audit", "checkpoint"]));
    let workplace = workplace.with("MASS_AUDIT_KEY", "YW5vdGhlciBrZXkgZm9yIHRoZSBzYW1lIGxvZyBub3c=");
    workplace.write("next.key", good(&workplace.mass(&["audit", "key"])));
    send(&workplace.serve(), 2).await;
    export(&workplace, "audit.ndjson");
    let both = ["--key", "mass.key", "--key", "next.key"];
    for verify in [&["audit", "verify", "audit.ndjson"][..], &["audit", "verify", "--live"]] {
        let told = good(&workplace.mass(&[verify, &both[..]].concat()));
        assert!(!told.contains("NOT"), "{told}");
        for one in [&both[..2], &both[2..]] {
            assert!(found(&workplace.mass(&[verify, one].concat())).contains("cannot be verified"), "{one:?}");
        }
    }
    let archive = ["audit", "archive", "--before", "2100-01-01T00:00:00Z", "--out", "archive.ndjson"];
    let by_one = workplace.mass(&archive);
    assert_eq!((by_one.status, by_one.stderr.contains("cannot be verified")), (Some(1), true), "{by_one:?}");
    good(&workplace.mass(&[&archive[..], &both[..2]].concat()));
    good(&workplace.mass(&[&["audit", "verify", "archive.ndjson"][..], &both].concat()));
}

async fn verifies_a_receipt_with_its_document(workplace: Workplace) {
    let workplace = worked(workplace).await;
    let server = workplace.serve();
    let request = send(&server, 1).await;
    let token = server.token().await;
    let path = format!("/v1/mass-requests/{}/receipt", request["id"].as_str().unwrap());
    let receipt = server.fetch(&token, &path).await;
    workplace.write("served.json", server.fetch(&token, "/.well-known/mass-audit-key").await.to_string());
    workplace.write("receipt.json", receipt.to_string());
    workplace.write("document.json", request["document"].to_string());
    workplace.write("other.json", reading("another").to_string());
    drop(server);
    let verify = |receipt: &str, document: &str| {
        let arguments = ["audit", "verify-receipt", receipt, "--key", "served.json", "--document", document];
        workplace.mass(&arguments)
    };
    let told = good(&verify("receipt.json", "document.json"));
    assert!(told.contains("was accepted") && told.contains("the document matches"), "{told}");
    assert!(found(&verify("receipt.json", "other.json")).contains("not that of the receipt"));
    let mut changed = receipt;
    changed["fingerprint"] = json!(format!("sha256:{}", "0".repeat(64)));
    workplace.write("changed.json", changed.to_string());
    assert!(found(&verify("changed.json", "document.json")).contains("fingerprint"));
    let no_receipt = verify("document.json", "document.json");
    assert_eq!((no_receipt.status, no_receipt.stderr.contains("not a receipt")), (Some(1), true), "{no_receipt:?}");
}

async fn a_killed_server_leaves_a_valid_log(workplace: Workplace) {
    let workplace = worked(workplace).await;
    for _ in 0..3 {
        let server = workplace.serve();
        let token = server.token().await;
        let acknowledged = Cell::new(0);
        let send_until_it_dies = async || {
            loop {
                let document = reading(&uuid::Uuid::now_v7().to_string());
                let sent = server.post("/v1/mass-requests", &document).bearer_auth(&token).send().await;
                if !sent.is_ok_and(|sent| sent.status() == 201) {
                    return;
                }
                acknowledged.set(acknowledged.get() + 1);
                if acknowledged.get() == 40 {
                    server.kill();
                }
            }
        };
        join_all((0..8).map(|_| send_until_it_dies())).await;
        drop(server);
        good(&live(&workplace));
    }
    export(&workplace, "audit.ndjson");
    good(&verify(&workplace, "audit.ndjson"));
}

async fn signs_the_log_at_the_configured_interval(workplace: Workplace) {
    let workplace = worked(workplace).await.with("MASS_AUDIT_CHECKPOINT_SECONDS", "1").with("MASS_LOG_FORMAT", "json");
    let server = workplace.serve();
    let sent = send(&server, 1).await;
    let sequence = sent["audit"]["sequence"].as_u64().unwrap();
    let logged = || {
        let text = server.logged();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).collect::<Vec<_>>();
        let covers = |line: &Value| line["tenant"] == "default" && line["size"].as_u64() >= Some(sequence);
        lines.into_iter().find(|line| line["message"] == "the audit trail is signed" && covers(line))
    };
    let line = loop {
        if let Some(line) = logged() {
            break line;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    workplace.write("logged.txt", line["note"].as_str().unwrap());
    export(&workplace, "audit.ndjson");
    let arguments = ["audit", "verify", "audit.ndjson", "--key", "mass.key", "--checkpoint", "logged.txt"];
    good(&workplace.mass(&arguments));
}

/// Runs the commands of docs/audit.md in their order; those that are expected to find something say so.
async fn the_commands_of_audit_md_work(workplace: Workplace) {
    let workplace = worked(workplace).await;
    let server = workplace.serve();
    let request = send(&server, 1).await;
    let token = server.token().await;
    let path = format!("/v1/mass-requests/{}/receipt", request["id"].as_str().unwrap());
    workplace.write("receipt.json", server.fetch(&token, &path).await.to_string());
    workplace.write("document.json", request["document"].to_string());
    fs::remove_file(workplace.path("mass.key")).unwrap();
    let document = fs::read_to_string(crate::support::process::repository().join("docs/audit.md")).unwrap();
    let (_, example) = document.split_once("<!-- begin example -->").unwrap();
    let (example, _) = example.split_once("<!-- end example -->").unwrap();
    let commands: Vec<&str> = example.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert!(commands.len() > 5, "{commands:?}");
    for command in commands {
        let expected = if command.contains("changed.ndjson") && command.contains(" verify ") { 2 } else { 0 };
        let ended = workplace.shell(command);
        assert_eq!(ended.status, Some(expected), "{command}: {ended:?}");
    }
}
