//! `mass doctor`: each of its findings, provoked in a real installation.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::documents::{reading, report};
use crate::support::engines::ReferenceEngine;
use crate::support::process::{Workplace, repository, workplaces_on_both};
use crate::support::{AUDIT_KEY, PASSWORD};

workplaces_on_both! {
    a_healthy_installation_has_no_findings,
    an_empty_database_waits_for_its_migrations,
    settings_that_need_attention_are_named,
    a_backup_that_is_old_is_a_warning,
    keys_that_end_and_passwords_that_cannot_be_verified_are_named,
    a_trail_that_is_not_as_signed_fails,
    only_a_thorough_examination_reads_every_event,
    events_that_nobody_signs_or_projects_are_warned_of,
    a_stopped_projection_fails,
    late_deliveries_and_dead_letters_are_warned_of,
    an_engine_that_is_away_fails,
    little_room_and_few_open_files_are_warned_of,
    files_that_others_can_read_are_named,
}

/// What an examination has found.
struct Examined {
    status: i32,
    findings: Vec<Value>,
}

impl Examined {
    /// Returns the states of a check.
    fn states(&self, check: &str) -> Vec<&str> {
        let of_check = self.findings.iter().filter(|finding| finding["check"] == check);
        of_check.map(|finding| finding["state"].as_str().unwrap()).collect()
    }

    /// Requires a finding of a check in this state, with these words, and with advice.
    #[track_caller]
    fn has(&self, check: &str, state: &str, words: &str) {
        let found = self.findings.iter().any(|finding| {
            finding["check"] == check
                && finding["state"] == state
                && finding["found"].as_str().unwrap().contains(words)
                && finding["advice"].as_str().is_some_and(|advice| !advice.is_empty())
        });
        assert!(found, "{check} {state} {words}: {:#?}", self.findings);
        assert_eq!(self.status, if self.findings.iter().any(|it| it["state"] == "failed") { 2 } else { 3 });
    }

    /// Requires that a check found nothing wrong.
    #[track_caller]
    fn is_good(&self, check: &str) {
        assert_eq!(self.states(check), ["ok"], "{check}: {:#?}", self.findings);
    }
}

/// Examines an installation.
#[track_caller]
fn examine(workplace: &Workplace, arguments: &[&str]) -> Examined {
    let ended = workplace.mass(&[&["doctor", "--json"], arguments].concat());
    let status = ended.status.unwrap();
    assert_ne!(status, 1, "{ended:?}");
    let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
    let result = match status {
        0 => "ok",
        3 => "warning",
        _ => "failed",
    };
    assert_eq!(printed["result"], result, "{ended:?}");
    Examined { status, findings: printed["findings"].as_array().unwrap().clone() }
}

/// An installation that was served and has requests, with settings that give no finding.
async fn served(workplace: Workplace) -> Workplace {
    let workplace = workplace.with("MASS_AUDIT_KEY", AUDIT_KEY).with("MASS_MAX_CONNECTIONS", "16");
    let server = workplace.serve();
    let token = server.token().await;
    for device in ["one", "two"] {
        let sent = server.post("/v1/mass-requests", &reading(device)).bearer_auth(&token).send().await.unwrap();
        assert_eq!(sent.status(), 201);
    }
    server.stop();
    workplace.write("backup", "made by another program");
    workplace.without("MASS_ADMIN_PASSWORD")
}

/// The arguments with which an installation of [`served`] has no finding.
const WELL: [&str; 4] = ["--backups", "backup", "--min-free", "1"];

async fn a_healthy_installation_has_no_findings(workplace: Workplace) {
    let workplace = served(workplace).await;
    for thorough in [&[][..], &["--thorough"]] {
        let arguments = [&WELL[..], thorough].concat();
        let examined = examine(&workplace, &arguments);
        assert_eq!(examined.status, 0, "{:#?}", examined.findings);
        for check in ["configuration", "files", "disk", "open files", "database", "migrations", "clock", "keys"] {
            examined.is_good(check);
        }
        for check in ["trail", "backups", "projector", "deliveries", "retention", "erasure"] {
            examined.is_good(check);
        }
        assert_eq!(examined.states("engine"), ["skipped"]);
    }
    // Beside a server, and for people.
    let server = workplace.serve();
    let shown = workplace.mass(&[&["doctor"], &WELL[..]].concat());
    assert_eq!(shown.status, Some(0), "{shown:?}");
    assert!(shown.stdout.ends_with("0 failed, 0 warnings\n"), "{shown:?}");
    server.stop();
}

#[test]
fn a_database_that_is_not_there_fails_and_is_not_made() {
    let workplace = Workplace::sqlite();
    let examined = examine(&workplace, &[]);
    examined.has("database", "failed", "mass.db");
    assert_eq!(examined.states("trail"), ["skipped"]);
    assert!(!workplace.path("data").exists());

    let workplace = workplace.with("DATABASE_URL", "postgres://nobody:s3cret@127.0.0.1:9/mass");
    let ended = workplace.mass(&["doctor"]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stdout.contains("FAILED   database") && !ended.stdout.contains("s3cret"), "{ended:?}");
}

async fn an_empty_database_waits_for_its_migrations(workplace: Workplace) {
    if !workplace.is_postgres() {
        fs::create_dir(workplace.path("data")).unwrap();
        workplace.execute("PRAGMA user_version = 1");
    }
    let examined = examine(&workplace, &WELL[2..]);
    examined.has("migrations", "failed", "2026-11-24-000001_accounts");
    assert_eq!(examined.states("keys"), ["skipped"]);
    assert_eq!(workplace.mass(&["migrate"]).status, Some(0));
    examine(&workplace, &WELL[2..]).is_good("migrations");
}

async fn settings_that_need_attention_are_named(workplace: Workplace) {
    let workplace = served(workplace).await;
    for (variable, value, check, state, words) in [
        ("MASS_PROT", "8000", "configuration", "warning", "MASS_PROT"),
        ("MASS_HOST", "0.0.0.0", "configuration", "warning", "MASS_HOST=0.0.0.0"),
        ("MASS_RATE_LIMIT_PER_MINUTE", "0", "configuration", "warning", "MASS_RATE_LIMIT_PER_MINUTE"),
        ("MASS_ENV", "production", "configuration", "failed", "SECRET_KEY"),
        ("SECRET_KEY", "short", "configuration", "failed", "SECRET_KEY"),
        ("MASS_PASSWORD_PEPPER", "short", "configuration", "failed", "MASS_PASSWORD_PEPPER"),
        ("MASS_AUTO_SEND", "true", "configuration", "failed", "MASS_ENGINE_URL"),
        ("SECRET_KEY_PREVIOUS", "the signing secret before the present", "keys", "warning", "SECRET_KEY_PREVIOUS"),
        ("MASS_ADMIN_PASSWORD", PASSWORD, "keys", "warning", "MASS_ADMIN_PASSWORD"),
        ("MASS_AUDIT_KEY", "short", "trail", "failed", "MASS_AUDIT_KEY"),
    ] {
        let ended = workplace.shell(&format!("{variable}='{value}' mass doctor --json {}", WELL.join(" ")));
        let printed: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
        let findings = printed["findings"].as_array().unwrap().clone();
        Examined { status: ended.status.unwrap(), findings }.has(check, state, words);
    }
    // No key file is made for production.
    assert!(!workplace.path("data/audit.key").exists());
}

async fn a_backup_that_is_old_is_a_warning(workplace: Workplace) {
    let workplace = served(workplace).await;
    let room = &WELL[2..];
    examine(&workplace, room).has("backups", "warning", "none is known");
    fs::create_dir(workplace.path("backups")).unwrap();
    let in_folder = [room, &["--backups", "backups"]].concat();
    examine(&workplace, &in_folder).has("backups", "warning", "none is known");
    assert_eq!(workplace.shell("touch -d '3 days ago' backups/old").status, Some(0));
    examine(&workplace, &in_folder).has("backups", "warning", "3 days old");
    examine(&workplace, &[&in_folder[..], &["--max-backup-age", "100"]].concat()).is_good("backups");
    assert_eq!(workplace.shell("touch backups/new").status, Some(0));
    examine(&workplace, &in_folder).is_good("backups");
    examine(&workplace, &[room, &["--backups", "nowhere"]].concat()).has("backups", "failed", "nowhere");
}

async fn keys_that_end_and_passwords_that_cannot_be_verified_are_named(workplace: Workplace) {
    let workplace = served(workplace.with("MASS_PASSWORD_PEPPER", "a password pepper of more than 32 bytes")).await;
    examine(&workplace, &WELL).is_good("keys");
    let server = workplace.serve();
    let token = server.token().await;
    let soon = (chrono::Utc::now() + chrono::TimeDelta::days(3)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let key = json!({"name": "gateway", "permissions": ["mass:write"], "expires_at": soon});
    let created = server.post("/v1/admin/api-keys", &key).bearer_auth(&token).send().await.unwrap();
    assert_eq!(created.status(), 201, "{}", created.text().await.unwrap());
    server.stop();
    examine(&workplace, &WELL).has("keys", "warning", "1 API keys of default expire within 14 days");
    let workplace = workplace.without("MASS_PASSWORD_PEPPER");
    examine(&workplace, &WELL).has("keys", "failed", "1 of 1 users cannot log in");
}

async fn a_trail_that_is_not_as_signed_fails(workplace: Workplace) {
    let workplace = served(workplace).await;
    assert_eq!(workplace.mass(&["audit", "checkpoint"]).status, Some(0));
    examine(&workplace, &WELL).is_good("trail");
    let other = workplace.mass_with(&[&["doctor", "--json"], &WELL[..]].concat(), "MASS_AUDIT_NAME", "other.example");
    assert!(other.stdout.contains("its last checkpoint is by another key"), "{other:?}");
    workplace.unlock_audit_trail();
    workplace.execute("UPDATE audit_checkpoints SET note = 'x' WHERE tenant_id = 'default'");
    examine(&workplace, &WELL).has("trail", "failed", "default: the checkpoint");
}

async fn only_a_thorough_examination_reads_every_event(workplace: Workplace) {
    let workplace = served(workplace).await;
    workplace.unlock_audit_trail();
    workplace.execute(
        "UPDATE audit_events SET event = replace(event, '\"success\"', '\"refused\"') \
         WHERE tenant_id = 'default' AND sequence = 1",
    );
    examine(&workplace, &WELL).is_good("trail");
    examine(&workplace, &[&WELL[..], &["--thorough"]].concat()).has("trail", "failed", "event 1 was changed");
}

#[tokio::test]
async fn a_damaged_file_fails_a_thorough_examination() {
    let workplace = served(Workplace::sqlite()).await;
    let thorough = [&WELL[..], &["--thorough"]].concat();
    examine(&workplace, &thorough).is_good("integrity");
    let connection = "PRAGMA foreign_keys = OFF; DELETE FROM users";
    workplace.execute(connection);
    examine(&workplace, &thorough).has("integrity", "failed", "refers to a missing row of users");
}

async fn events_that_nobody_signs_or_projects_are_warned_of(workplace: Workplace) {
    // The database of an older version, whose events are old.
    let kind = if workplace.is_postgres() { "postgres" } else { "sqlite" };
    fs::create_dir(workplace.path("data")).unwrap();
    fs::set_permissions(workplace.path("data"), Permissions::from_mode(0o700)).unwrap();
    let dump = repository().join(format!("tests/data/upgrades/0.1.0-e4804c4.{kind}.sql"));
    workplace.execute(&fs::read_to_string(dump).unwrap());
    let workplace = workplace.with("MASS_AUDIT_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    assert_eq!(workplace.mass(&["migrate"]).status, Some(0));
    workplace.unlock_audit_trail();
    workplace.execute("DELETE FROM audit_checkpoints");
    let examined = examine(&workplace, &WELL[2..]);
    examined.has("trail", "warning", "default: events of");
    examined.has("projector", "warning", "default: figures are");
    let off = workplace.mass_with(&["doctor", "--json"], "MASS_ANALYTICS", "false");
    assert!(off.stdout.contains("MASS_ANALYTICS is false"), "{off:?}");
}

async fn a_stopped_projection_fails(workplace: Workplace) {
    let workplace = served(workplace).await;
    workplace.execute("UPDATE projections SET stopped_sequence = 3, stopped_reason = 'unknown action \"x\"'");
    examine(&workplace, &WELL).has("projector", "failed", "default: it cannot go past event 3: unknown action");
}

async fn late_deliveries_and_dead_letters_are_warned_of(workplace: Workplace) {
    let workplace = served(workplace).await.with("MASS_ENGINE_URL", "http://127.0.0.1:9");
    let workplace = workplace.with("MASS_ENGINE_DEADLINE_SECONDS", "1");
    let server = workplace.serve();
    let token = server.token().await;
    for (id, is_dead) in [("hall-1", true), ("hall-2", false)] {
        let sent = server.post("/v1/mass-requests", &report(id)).bearer_auth(&token).send().await.unwrap();
        assert_eq!(sent.status(), 201);
        let sent: Value = sent.json().await.unwrap();
        let path = format!("/v1/mass-requests/{}/send", sent["id"].as_str().unwrap());
        server.request(reqwest::Method::POST, &path).bearer_auth(&token).send().await.unwrap();
        while is_dead && server.fetch(&token, "/v1/admin/deliveries?state=dead").await["items"] == json!([]) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    server.kill();
    drop(server);
    let long_ago = if workplace.is_postgres() { "now() - interval '2 hours'" } else { "'2026-01-01T00:00:00.000000Z'" };
    workplace.execute(&format!("UPDATE delivery_queue SET due_at = {long_ago}"));
    let examined = examine(&workplace, &WELL);
    examined.has("deliveries", "warning", "default has 1 dead letters");
    examined.has("deliveries", "warning", "the oldest has been due for");
}

async fn an_engine_that_is_away_fails(workplace: Workplace) {
    let engine = ReferenceEngine::sound();
    let workplace = served(workplace).await.with("MASS_ENGINE_URL", &engine.url());
    examine(&workplace, &WELL).is_good("engine");
    drop(engine);
    examine(&workplace, &WELL).has("engine", "failed", "connection to the engine");
}

async fn little_room_and_few_open_files_are_warned_of(workplace: Workplace) {
    let workplace = served(workplace).await;
    let examined = examine(&workplace, &["--backups", "backup", "--min-free", "1000000000"]);
    examined.has("disk", "warning", "MiB are free for data");
    let ended = workplace.shell("ulimit -n 200; mass doctor --json --backups backup --min-free 1");
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stdout.contains("this process may open 200 files, and 16 connections may be open"), "{ended:?}");
}

async fn files_that_others_can_read_are_named(workplace: Workplace) {
    let workplace = served(workplace).await;
    let chmod = |path: &str, mode| fs::set_permissions(workplace.path(path), Permissions::from_mode(mode)).unwrap();
    workplace.write(".env", "SECRET_KEY='a secret of more than 32 bytes in a file'\n");
    let cases = [("data", 0o755, 0o700), (".env", 0o644, 0o600)];
    let of_sqlite = [("data/mass.db", 0o640, 0o600)];
    for (path, open, closed) in cases.into_iter().chain(of_sqlite.into_iter().filter(|_| !workplace.is_postgres())) {
        chmod(".env", 0o600);
        chmod(path, open);
        examine(&workplace, &WELL).has("files", "warning", path);
        chmod(path, closed);
        examine(&workplace, &WELL).is_good("files");
    }
    fs::remove_file(workplace.path(".env")).unwrap();
    chmod("data/secret.key", 0o644);
    examine(&workplace, &WELL).has("files", "failed", "data/secret.key");
    workplace.write("file", "");
    let ended = workplace.mass_with(&[&["doctor", "--json"], &WELL[..]].concat(), "MASS_DATA_DIR", "file");
    assert!(ended.stdout.contains("file is not a folder"), "{ended:?}");
    assert_eq!(ended.status, Some(2), "{ended:?}");
}

#[tokio::test]
async fn a_clock_that_differs_from_the_databases_is_named() {
    let workplace = served(Workplace::postgres()).await;
    examine(&workplace, &WELL).is_good("clock");
    for (seconds, state) in [(5, "warning"), (-3600, "failed")] {
        // An own function is found before the system's.
        workplace.execute(&format!(
            "CREATE OR REPLACE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql \
             AS $$ SELECT pg_catalog.clock_timestamp() + interval '{seconds} seconds' $$;
             DO $$ BEGIN
                 EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database());
             END $$"
        ));
        examine(&workplace, &WELL).has("clock", state, "apart");
    }
}

#[tokio::test]
async fn roles_with_other_rights_than_they_need_are_named() {
    let workplace = served(Workplace::postgres_restricted()).await;
    examine(&workplace, &WELL).is_good("roles");
    let role = workplace.lines("SELECT current_database() || '_server' AS line");
    workplace.execute(&format!("GRANT DELETE ON audit_events TO {}", role[0]));
    examine(&workplace, &WELL).has("roles", "failed", "REVOKE DELETE ON TABLE audit_events");
    assert_eq!(workplace.mass(&["migrate"]).status, Some(0));
    examine(&workplace, &WELL).is_good("roles");
    workplace.execute(&format!("ALTER ROLE {} BYPASSRLS", role[0]));
    examine(&workplace, &WELL).has("roles", "failed", "row-level security does not hold");
}

#[tokio::test]
async fn one_role_in_production_is_a_warning() {
    let workplace = served(Workplace::postgres()).await;
    examine(&workplace, &WELL).is_good("roles");
    let workplace =
        workplace.with("MASS_ENV", "production").with("SECRET_KEY", "a signing secret of more than 32 bytes");
    examine(&workplace, &WELL).has("roles", "warning", "is a superuser");
}
