//! Failing starts and their leftovers; the files that a start creates.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use serde_json::json;

use crate::support::process::{EMAIL, Workplace, workplaces_on_both};

workplaces_on_both!(
    a_failed_start_leaves_the_first_password_to_the_next,
    a_first_password_that_cannot_be_printed_goes_to_standard_error,
    a_start_that_cannot_be_recorded_prints_the_first_password,
);

async fn a_failed_start_leaves_the_first_password_to_the_next(workplace: Workplace) {
    let workplace = workplace.without("MASS_ADMIN_PASSWORD");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (variable, value) in [("MASS_PORT", port.as_str()), ("MASS_AUTO_SEND", "true"), ("MASS_ADMIN_PASSWORD", "x")] {
        let ended = workplace.mass_with(&["serve"], variable, value);
        assert_eq!(ended.status, Some(1), "{variable}: {ended:?}");
    }
    let server = workplace.serve();
    let password = server.announcement["admin"]["password"].as_str().unwrap().to_owned();
    server.token_of(EMAIL, &password).await;
}

/// Returns the password that a command printed on standard error.
fn told(stderr: &str) -> String {
    let told = stderr.lines().find_map(|line| line.strip_prefix("password: "));
    told.unwrap_or_else(|| panic!("{stderr}")).split(' ').next().unwrap().to_owned()
}

async fn a_first_password_that_cannot_be_printed_goes_to_standard_error(workplace: Workplace) {
    let workplace = workplace.without("MASS_ADMIN_PASSWORD");
    let ended = workplace.shell("mass serve > /dev/full");
    assert_eq!(ended.status, Some(1), "{ended:?}");
    workplace.serve().token_of(EMAIL, &told(&ended.stderr)).await;
}

async fn a_start_that_cannot_be_recorded_prints_the_first_password(workplace: Workplace) {
    let workplace = workplace.without("MASS_ADMIN_PASSWORD");
    assert_eq!(workplace.mass(&["migrate"]).status, Some(0));
    let started = "event LIKE '%\"action\":\"started\"%'";
    workplace.execute(&if workplace.is_postgres() {
        format!("ALTER TABLE audit_events ADD CONSTRAINT refused CHECK (NOT {started})")
    } else {
        format!(
            "CREATE TRIGGER refused BEFORE INSERT ON audit_events WHEN new.{started} BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    });
    let ended = workplace.mass(&["serve"]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let password = told(&ended.stderr);
    workplace.execute(if workplace.is_postgres() {
        "ALTER TABLE audit_events DROP CONSTRAINT refused"
    } else {
        "DROP TRIGGER refused"
    });
    workplace.serve().token_of(EMAIL, &password).await;
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn every_file_is_private_to_its_owner() {
    let workplace = Workplace::sqlite();
    fs::create_dir(workplace.path("data")).unwrap();
    let modes = |names: &[&str]| {
        for name in names {
            assert_eq!(mode(&workplace.path(name)), 0o600, "{name}");
        }
    };
    let database = ["data/mass.db", "data/mass.db-wal", "data/mass.db-shm"];
    let server = workplace.serve();
    modes(&database);
    modes(&["data/secret.key", "data/audit.key"]);
    server.stop();
    // As an older version left it.
    fs::set_permissions(workplace.path("data/mass.db"), Permissions::from_mode(0o644)).unwrap();
    let server = workplace.serve();
    modes(&database);
    server.stop();
    workplace.write("records.ndjson", "{}\n");
    assert_eq!(workplace.mass(&["import", "records.ndjson"]).status, Some(2));
    assert_eq!(workplace.mass(&["audit", "export", "--out", "audit.ndjson"]).status, Some(0));
    modes(&["records.ndjson.rejected.ndjson", "audit.ndjson"]);
}

#[test]
fn a_secret_that_others_can_use_is_refused() {
    let workplace = Workplace::sqlite();
    assert_eq!(workplace.mass(&["audit", "key"]).status, Some(0));
    for (name, command) in [("secret.key", &["serve"][..]), ("audit.key", &["audit", "key"])] {
        let path = workplace.path(&format!("data/{name}"));
        let good = fs::read_to_string(&path).unwrap_or_else(|_| "a secret that is long enough for anybody".to_owned());
        for bad in [0o666, 0o640, 0o604] {
            fs::write(&path, &good).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(bad)).unwrap();
            let ended = workplace.mass(command);
            assert_eq!(ended.status, Some(1), "{ended:?}");
            for told in [format!("data/{name}"), format!("{bad:04o}"), "chmod 600".to_owned()] {
                assert!(ended.stderr.contains(&told), "{ended:?}");
            }
        }
        let elsewhere = workplace.path(name);
        fs::rename(&path, &elsewhere).unwrap();
        fs::set_permissions(&elsewhere, Permissions::from_mode(0o600)).unwrap();
        symlink(&elsewhere, &path).unwrap();
        let ended = workplace.mass(command);
        assert!(ended.status == Some(1) && ended.stderr.contains("a link"), "{ended:?}");
        fs::remove_file(&path).unwrap();
        fs::rename(&elsewhere, &path).unwrap();
    }
}

#[tokio::test]
async fn a_database_locked_by_another_process_is_reported() {
    let workplace = Workplace::sqlite();
    assert_eq!(workplace.mass(&["migrate"]).status, Some(0));
    let held = workplace.keep_locked();
    for command in ["migrate", "serve"] {
        let ended = workplace.mass(&[command]);
        assert_eq!(ended.status, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("another process has kept the database data/mass.db locked"), "{ended:?}");
        assert!(!ended.stderr.contains("cannot be migrated"), "{ended:?}");
    }
    drop(held);
    let server = workplace.serve();
    let token = server.token().await;
    let body = json!({"payload": {"number": 1}});
    assert_eq!(server.post("/v1/mass-requests", &body).bearer_auth(token).send().await.unwrap().status(), 201);
}
