//! Logs that are older than their Merkle trees.

use diesel::backend::Backend;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use mass_audit_service::live;
use mass_domain::access::Actor;
use mass_domain::audit::tree::Frontier;
use mass_domain::audit::{Action, Event, Object};
use mass_domain::canonical::Fingerprint;
use mass_domain::ids::{MassRequestId, UserId};
use mass_service::Found;
use serde_json::json;
use uuid::Uuid;

use crate::databases::DatabaseLocation;
use crate::fixtures::{at, tenant};

const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// The number of requests of the first tenant, each accepted and then changed: enough for stored nodes of the tree.
const REQUESTS: u128 = 700;

fn request(number: u128) -> MassRequestId {
    MassRequestId::from_uuid(Uuid::from_u128(number))
}

fn document(number: u128) -> String {
    format!(r#"{{"payload":{{"value":{number}}}}}"#)
}

/// Runs the migrations before the one that builds the trees.
fn migrate_until_trees<D: Backend>(connection: &mut impl MigrationHarness<D>, migrations: EmbeddedMigrations) {
    let pending = connection.pending_migrations(migrations).unwrap();
    for migration in pending.iter().take_while(|migration| !migration.name().to_string().ends_with("audit_trail")) {
        connection.run_migration(migration).unwrap();
    }
}

/// Creates and fills the tables of that version.
fn fill(place: &DatabaseLocation) {
    // Opening the database creates the folder of an SQLite file.
    place.open();
    match place {
        DatabaseLocation::Sqlite(_) => migrate_until_trees(&mut place.sqlite_connection(), SQLITE),
        DatabaseLocation::Postgres(database) => migrate_until_trees(&mut database.connection(), POSTGRES),
    }
    let id = |id: Uuid| match place {
        DatabaseLocation::Sqlite(_) => format!("x'{}'", id.simple()),
        DatabaseLocation::Postgres(_) => format!("'{id}'"),
    };
    let hash = |number| {
        let hex = Fingerprint::of(&document(number)).to_string().replace("sha256:", "");
        match place {
            DatabaseLocation::Sqlite(_) => format!("x'{hex}'"),
            DatabaseLocation::Postgres(_) => format!("decode('{hex}', 'hex')"),
        }
    };
    let user = id(Uuid::from_u128(7));
    let trace = "'00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'";
    let mut statements = format!(
        "INSERT INTO tenants VALUES ('default', '2026-01-01T00:00:00.000000Z'), ('other', '2026-01-01T00:00:00.000000Z');
         INSERT INTO audit_heads VALUES ('default', {}), ('other', 0);",
        2 * REQUESTS
    );
    for number in 1..=REQUESTS {
        let (request, hash, document, odd) =
            (id(Uuid::from_u128(number)), hash(number), document(number), 2 * number - 1);
        statements += &format!(
            "INSERT INTO mass_requests (tenant_id, id, contract, status, outcome, version, created_at, updated_at, \
                 created_by_kind, created_by_id, fingerprint, document, warnings)
             VALUES ('default', {request}, 'simple/1.0', 'failed', 'accepted', 2, '2026-11-24T12:00:00.000000Z', \
                 '2026-11-24T12:00:00.120000Z', 'user', {user}, {hash}, '{document}', '[]');
             INSERT INTO audit_events VALUES
                 ('default', {odd}, '2026-11-24T12:00:00.000000Z', 'user', {user}, '2001:db8::1', 'accepted', {request}, \
                     'simple/1.0', {hash}, {trace}, 'req-1', '{{}}'),
                 ('default', {}, '2026-11-24T12:00:00.120000Z', 'system', NULL, NULL, 'status_changed', {request}, \
                     'simple/1.0', {hash}, NULL, 'req-2', '{{\"from\":\"pending\",\"reason\":\"it''s \\\"down\\\"\",\"to\":\"failed\"}}');",
            odd + 1
        );
    }
    place.execute(&format!("BEGIN; {statements} COMMIT;"));
}

fn assert_read_back(number: u128, [accepted, moved]: &[Event; 2]) {
    let sequence = i64::try_from(2 * number).unwrap();
    assert_eq!((accepted.sequence, moved.sequence), (sequence - 1, sequence));
    assert_eq!((accepted.event.at, moved.event.at), (at(0), at(120_000)));
    assert_eq!((accepted.event.action, moved.event.action), (Action::Accepted, Action::StatusChanged));
    let user = Actor::User(UserId::from_uuid(Uuid::from_u128(7)));
    assert_eq!((accepted.event.actor, moved.event.actor), (user, Actor::System));
    let (first, second) = (&accepted.event.origin, &moved.event.origin);
    assert_eq!((first.request_id.as_str(), second.request_id.as_str()), ("req-1", "req-2"));
    assert_eq!((first.address, second.address), (Some("2001:db8::1".parse().unwrap()), None));
    let trace = first.trace.unwrap();
    assert_eq!(
        (trace.trace_id(), trace.span_id()),
        ("4bf92f3577b34da6a3ce929d0e0e4736".to_owned(), "00f067aa0ba902b7".to_owned())
    );
    assert_eq!(second.trace, None);
    for event in [accepted, moved] {
        assert_eq!(event.event.object, Object::MassRequest(request(number)));
        assert_eq!(event.event.contract.unwrap().to_string(), "simple/1.0");
        assert_eq!((event.event.input, event.event.output), (None, Some(Fingerprint::of(&document(number)))));
    }
    assert!(accepted.event.detail.is_empty());
    assert_eq!(json!(moved.event.detail), json!({"from": "pending", "to": "failed", "reason": "it's \"down\""}));
}

async fn an_older_log_gets_its_tree(place: DatabaseLocation) {
    fill(&place);
    let database = place.open();
    assert_eq!(database.migrate().unwrap()[0], "20261126000000");
    let stores = database.stores();
    for number in 1..=REQUESTS {
        let Found::Present(events) = stores.mass.list_events(&tenant(), request(number)).await.unwrap() else {
            panic!("request {number} has no events");
        };
        assert_read_back(number, &events.try_into().unwrap());
    }
    let entries = stores.audit.entries(&tenant(), 0, usize::MAX).await.unwrap();
    let mut naive = Frontier::default();
    for entry in &entries {
        assert_eq!(Event::read(&entry.event).unwrap().write(), entry.event);
        naive.push(entry.leaf_hash, |_| {});
    }
    assert_eq!(stores.audit.head(&tenant()).await.unwrap(), naive);
    for (number, entry) in (1..).zip(entries.iter().step_by(2)).take(3) {
        let Found::Present(request) = stores.mass.find(&tenant(), request(number)).await.unwrap() else {
            panic!("request {number} is gone");
        };
        let place = request.summary.audit.unwrap();
        assert_eq!((place.sequence, place.leaf_hash), (entry.sequence, entry.leaf_hash));
    }
    let report = live::verify(&*stores.live, &tenant(), None, &[""; 0], |_| {}).await.unwrap();
    assert_eq!((u128::from(report.events), u128::from(report.requests)), (2 * REQUESTS, REQUESTS));
    assert_eq!(database.migrate().unwrap(), [""; 0]);
}

#[tokio::test]
async fn an_older_log_gets_its_tree_on_sqlite() {
    an_older_log_gets_its_tree(DatabaseLocation::sqlite()).await;
}

#[tokio::test]
async fn an_older_log_gets_its_tree_on_postgres() {
    an_older_log_gets_its_tree(DatabaseLocation::postgres()).await;
}
