//! Databases of older versions, which are upgraded at the start, and of newer ones, which are refused.

use std::fs;

use serde_json::Value;

use crate::support::documents::reading;
use crate::support::process::{Workplace, repository, workplaces_on_both};

workplaces_on_both!(an_older_database_upgrades_by_itself, a_newer_database_is_refused_by_every_command);

/// The audit key of the older server.
const AUDIT_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A folder with a database of version 0.1.0: one tenant, two users, a key, four requests of which one had its status
/// changed and one was erased, and a refused document.
fn as_older_version_left_it(workplace: Workplace) -> Workplace {
    let kind = if workplace.is_postgres() { "postgres" } else { "sqlite" };
    let dump = repository().join(format!("tests/data/upgrades/0.1.0-e4804c4.{kind}.sql"));
    fs::create_dir(workplace.path("data")).unwrap();
    workplace.execute(&fs::read_to_string(dump).unwrap());
    workplace.with("MASS_AUDIT_KEY", AUDIT_KEY)
}

async fn an_older_database_upgrades_by_itself(workplace: Workplace) {
    let workplace = as_older_version_left_it(workplace);
    let server = workplace.serve();
    let token = server.token().await;
    let listed = server.list(&token).await;
    let statuses: Vec<_> = listed.iter().map(|request| request["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["pending", "processing", "pending"]);
    let id = listed[1]["id"].as_str().unwrap();
    let stored = server.fetch(&token, &format!("/v1/mass-requests/{id}")).await;
    assert_eq!(stored["document"]["device"]["id"], "dev-1");
    let events: Value = server.fetch(&token, &format!("/v1/mass-requests/{id}/events")).await;
    assert_eq!(events["items"].as_array().unwrap().len(), 2);
    let users = server.fetch(&token, "/v1/admin/users").await;
    assert_eq!(users["items"].as_array().unwrap().len(), 2);
    let keys = server.fetch(&token, "/v1/admin/api-keys").await;
    assert_eq!(keys["items"][0]["name"], "gateway");

    let operator = server.token_of("operator@example.test", "another good long password").await;
    let created = server.post("/v1/mass-requests", &reading("dev-9")).bearer_auth(operator).send().await.unwrap();
    assert_eq!(created.status(), 201);
    assert_eq!(server.list(&token).await.len(), 4);
    server.stop();
    let verified = workplace.mass(&["audit", "verify", "--live"]);
    assert_eq!(verified.status, Some(0), "{verified:?}");
}

async fn a_newer_database_is_refused_by_every_command(workplace: Workplace) {
    is_refused_by_every_command(&workplace);
}

#[tokio::test]
async fn a_newer_database_is_refused_behind_walls() {
    is_refused_by_every_command(&Workplace::postgres_restricted());
}

fn is_refused_by_every_command(workplace: &Workplace) {
    assert_eq!(workplace.mass(&["migrate"]).status, Some(0));
    workplace.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('20991231000000')");
    workplace.write("records.ndjson", "{}\n");
    let commands: [&[&str]; 9] = [
        &["serve"],
        &["migrate"],
        &["create-user", "--email", "a@example.test", "--role", "operator"],
        &["reset-password", "--email", "a@example.test"],
        &["import", "records.ndjson"],
        &["audit", "export"],
        &["audit", "checkpoint"],
        &["audit", "verify", "--live"],
        &["audit", "archive", "--before", "2026-01-01T00:00:00Z", "--out", "archive.ndjson"],
    ];
    for command in commands {
        let ended = workplace.mass(command);
        assert_eq!(ended.status, Some(1), "{command:?}: {ended:?}");
        let program = format!("MASS {}", env!("CARGO_PKG_VERSION"));
        for told in ["newer than this program", "20991231000000", &program, "restore a backup"] {
            assert!(ended.stderr.contains(told), "{command:?}: {ended:?}");
        }
    }
}
