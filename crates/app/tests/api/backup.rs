//! `mass backup` and `mass restore`: by loss and restore.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::AUDIT_KEY;
use crate::support::database::execute_on_sqlite;
use crate::support::documents::reading;
use crate::support::process::{Ended, Server, Workplace, workplaces_on_both};

workplaces_on_both! {
    a_lost_database_is_restored_from_its_backup,
    a_backup_is_of_one_moment_while_a_server_writes,
    a_backup_is_never_written_over_a_file,
    a_restore_refuses_a_database_that_is_not_empty,
    a_checkpoint_beyond_the_backup_tells_of_a_loss,
    a_changed_trail_is_found_at_the_restore,
    a_file_that_is_no_backup_is_refused,
    a_database_of_an_older_version_is_backed_up_and_restored,
}

async fn send(server: &Server, token: &str, devices: impl IntoIterator<Item = String>) {
    for device in devices {
        let sent = server.post("/v1/mass-requests", &reading(&device)).bearer_auth(token).send().await.unwrap();
        assert_eq!(sent.status(), 201);
    }
}

/// An installation with five requests, and a checkpoint over them in `kept.txt`.
async fn worked(workplace: Workplace) -> Workplace {
    let workplace = workplace.with("MASS_AUDIT_KEY", AUDIT_KEY);
    let server = workplace.serve();
    send(&server, &server.token().await, (0..5).map(|number| format!("device-{number}"))).await;
    server.stop();
    keep_checkpoint(&workplace);
    workplace
}

fn keep_checkpoint(workplace: &Workplace) {
    let checkpoint = good(&workplace.mass(&["audit", "checkpoint"]));
    workplace.write("kept.txt", checkpoint);
}

#[track_caller]
fn good(ended: &Ended) -> String {
    assert_eq!(ended.status, Some(0), "{ended:?}");
    ended.stdout.clone()
}

#[track_caller]
fn refused(ended: &Ended, words: &str) {
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.stderr.contains(words), "{words}: {ended:?}");
}

#[track_caller]
fn found(ended: &Ended, words: &str) {
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stdout.contains("FOUND: ") && ended.stdout.contains(words), "{words}: {ended:?}");
}

/// Returns the names of files in the workplace's folder.
fn files(workplace: &Workplace) -> Vec<String> {
    let entries = fs::read_dir(workplace.path("")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

async fn a_lost_database_is_restored_from_its_backup(workplace: Workplace) {
    is_restored(worked(workplace).await).await;
}

#[tokio::test]
async fn a_lost_database_of_two_roles_is_restored_from_its_backup() {
    is_restored(worked(Workplace::postgres_restricted()).await).await;
}

async fn is_restored(workplace: Workplace) {
    let told = good(&workplace.mass(&["backup", "backup", "--json"]));
    let told: Value = serde_json::from_str(&told).unwrap();
    let digest = workplace.shell("sha256sum backup").stdout;
    assert_eq!(told["sha256"], digest.split_whitespace().next().unwrap());
    assert_eq!(fs::metadata(workplace.path("backup")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!files(&workplace).iter().any(|name| name.starts_with('.')), "{:?}", files(&workplace));
    if !workplace.is_postgres() {
        assert!(told["events"].as_u64().unwrap() > 5, "{told}");
        assert!(fs::metadata(workplace.path("backup")).unwrap().len() > 0);
    }
    let events = "SELECT action || ' ' || object_kind AS line FROM audit_events WHERE tenant_id = 'system' ORDER BY sequence DESC LIMIT 1";
    assert_eq!(workplace.lines(events), ["backed_up database"]);
    let examined = workplace.mass(&["doctor"]).stdout;
    assert!(examined.contains("ok       backups"), "{examined}");

    workplace.lose_database();
    let told = good(&workplace.mass(&["restore", "backup", "--checkpoint", "kept.txt"]));
    assert!(told.contains("none was changed; 1 kept checkpoints confirm them"), "{told}");
    assert_eq!(workplace.lines(events), ["restored database"]);
    let server = workplace.serve();
    let token = server.token().await;
    assert_eq!(server.list(&token).await.len(), 5);
    send(&server, &token, ["after".to_owned()]).await;
    server.stop();
    good(&workplace.mass(&["audit", "verify", "--live", "--checkpoint", "kept.txt"]));
}

async fn a_backup_is_of_one_moment_while_a_server_writes(workplace: Workplace) {
    let workplace = worked(workplace).await;
    let server = workplace.serve();
    let token = server.token().await;
    let writing = async {
        for round in 0..6 {
            send(&server, &token, (0..20).map(|number| format!("device-{round}-{number}"))).await;
        }
    };
    let workplace = std::sync::Arc::new(workplace);
    let own = std::sync::Arc::clone(&workplace);
    let backing_up = tokio::task::spawn_blocking(move || {
        for number in 0..3 {
            good(&own.mass(&["backup", &format!("backup-{number}")]));
        }
    });
    let (backed_up, ()) = tokio::join!(backing_up, writing);
    backed_up.unwrap();
    server.stop();
    for number in 0..3 {
        workplace.lose_database();
        good(&workplace.mass(&["restore", &format!("backup-{number}"), "--checkpoint", "kept.txt"]));
        let requests = workplace.lines("SELECT CAST(count(*) AS TEXT) AS line FROM mass_requests");
        assert!((5..=125).contains(&requests[0].parse().unwrap()), "{requests:?}");
    }
}

async fn a_backup_is_never_written_over_a_file(workplace: Workplace) {
    let workplace = worked(workplace).await;
    workplace.write("backup", "precious");
    refused(&workplace.mass(&["backup", "backup"]), "exists already");
    assert_eq!(workplace.read("backup"), "precious");
    refused(&workplace.mass(&["backup", "no-folder/backup"]), "no-folder/backup");
    assert!(!files(&workplace).iter().any(|name| name.starts_with('.')), "{:?}", files(&workplace));
}

#[test]
fn a_backup_of_a_file_that_is_not_there_makes_none() {
    let workplace = Workplace::sqlite();
    refused(&workplace.mass(&["backup", "backup"]), "there is no database data/mass.db");
    assert_eq!(files(&workplace), [""; 0]);
}

async fn a_restore_refuses_a_database_that_is_not_empty(workplace: Workplace) {
    let workplace = worked(workplace).await;
    good(&workplace.mass(&["backup", "backup"]));
    let words = if workplace.is_postgres() { "the database is not empty" } else { "mass.db is there" };
    refused(&workplace.mass(&["restore", "backup"]), words);
    let server = workplace.serve();
    assert_eq!(server.list(&server.token().await).await.len(), 5);
}

async fn a_checkpoint_beyond_the_backup_tells_of_a_loss(workplace: Workplace) {
    let workplace = worked(workplace).await;
    good(&workplace.mass(&["backup", "backup"]));
    let server = workplace.serve();
    send(&server, &server.token().await, ["late".to_owned()]).await;
    server.stop();
    keep_checkpoint(&workplace);
    let arguments = ["restore", "backup", "--checkpoint", "kept.txt"];
    workplace.lose_database();
    found(&workplace.mass(&arguments), "came after the backup, or were cut");
    if !workplace.is_postgres() {
        assert!(!workplace.path("data/mass.db").exists());
    }
    workplace.lose_database();
    let told = good(&workplace.mass(&[&arguments[..], &["--accept-loss"]].concat()));
    assert!(told.contains("LOST      default: the log has"), "{told}");
    let lost = workplace.lines("SELECT event AS line FROM audit_events WHERE action = 'restored'");
    assert!(lost[0].contains(r#""lost":[{"restored":"#) && lost[0].contains(r#""tenant":"default""#), "{lost:?}");
    let server = workplace.serve();
    assert_eq!(server.list(&server.token().await).await.len(), 5);
}

async fn a_changed_trail_is_found_at_the_restore(workplace: Workplace) {
    let workplace = worked(workplace).await;
    let change = "UPDATE audit_events SET event = replace(event, '\"success\"', '\"refused\"') \
                  WHERE tenant_id = 'default' AND sequence = 1";
    good(&workplace.mass(&["backup", "before"]));
    workplace.unlock_audit_trail();
    workplace.execute(change);
    let backup = workplace.mass(&["backup", "after"]);
    if workplace.is_postgres() {
        good(&backup);
    } else {
        found(&backup, "default: event 1 was changed");
    }
    // It is the evidence.
    assert!(workplace.path("after").exists());
    workplace.lose_database();
    found(&workplace.mass(&["restore", "after"]), "default: event 1 was changed");
    workplace.lose_database();
    good(&workplace.mass(&["restore", "before"]));
}

async fn a_file_that_is_no_backup_is_refused(workplace: Workplace) {
    let workplace = worked(workplace).await;
    good(&workplace.mass(&["backup", "backup"]));
    workplace.lose_database();
    workplace.write("text", "no backup");
    refused(&workplace.mass(&["restore", "text"]), "no backup that `mass backup` wrote");
    refused(&workplace.mass(&["restore", "nothing"]), "nothing");
    let whole = fs::read(workplace.path("backup")).unwrap();
    workplace.write("torn", &whole[..whole.len() / 2]);
    let torn = workplace.mass(&["restore", "torn"]);
    assert_ne!(torn.status, Some(0), "{torn:?}");
    good(&workplace.mass(&["restore", "backup"]));
    let other = Workplace::sqlite();
    other.write("backup", &whole);
    let url = if workplace.is_postgres() { "sqlite://data/other.db" } else { "postgres://mass@127.0.0.1:9/mass" };
    refused(&other.with("DATABASE_URL", url).mass(&["restore", "backup"]), "DATABASE_URL");
}

async fn a_database_of_an_older_version_is_backed_up_and_restored(workplace: Workplace) {
    let kind = if workplace.is_postgres() { "postgres" } else { "sqlite" };
    fs::create_dir(workplace.path("data")).unwrap();
    let dump = crate::support::process::repository().join(format!("tests/data/upgrades/0.1.0-e4804c4.{kind}.sql"));
    workplace.execute(&fs::read_to_string(dump).unwrap());
    let workplace = workplace.with("MASS_AUDIT_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    let migrations = "SELECT CAST(count(*) AS TEXT) AS line FROM __diesel_schema_migrations";
    let before = workplace.lines(migrations);
    let told = good(&workplace.mass(&["backup", "backup"]));
    assert!(told.contains("migrations are pending"), "{told}");
    // Nothing was migrated on the way.
    assert_eq!(workplace.lines(migrations), before);
    workplace.lose_database();
    good(&workplace.mass(&["restore", "backup"]));
    let server = workplace.serve();
    assert_eq!(server.list(&server.token().await).await.len(), 3);
}

#[tokio::test]
async fn without_the_programs_of_postgresql_no_backup_is_written() {
    let workplace = worked(Workplace::postgres()).await.with("PATH", "/nowhere");
    refused(&workplace.mass(&["backup", "backup"]), "cannot run pg_dump");
    assert!(!workplace.path("backup").exists());
}

#[tokio::test]
async fn a_backup_of_a_file_whose_rows_are_missing_is_a_finding() {
    let workplace = worked(Workplace::sqlite()).await;
    let path = workplace.path("data/mass.db");
    execute_on_sqlite(path.to_str().unwrap(), "PRAGMA foreign_keys = OFF; DELETE FROM users");
    found(&workplace.mass(&["backup", "backup"]), "refers to a missing row of users");
    let examined = workplace.mass(&["doctor"]).stdout;
    assert!(examined.contains("WARNING  backups        none is known"), "{examined}");
}
