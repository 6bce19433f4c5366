//! The migrations and the resulting schemas.

use std::collections::BTreeSet;

use diesel::pg::Pg;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use mass_domain::delivery::WorkerName;
use mass_domain::ids::DeliveryId;
use mass_domain::tenancy::AutoSend;
use mass_service::{Restraint, Submission};

use crate::databases::{DatabaseLocation, TestDatabase};
use crate::fixtures::{act, at, simple, tenant};

const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

const POSTGRES_COLUMNS: &str = "
    SELECT table_name || '.' || column_name || CASE is_nullable WHEN 'NO' THEN ' not null' ELSE '' END AS line
    FROM information_schema.columns WHERE table_schema = 'public'";

const SQLITE_COLUMNS: &str = "
    SELECT t.name || '.' || c.name || CASE WHEN c.\"notnull\" THEN ' not null' ELSE '' END AS line
    FROM sqlite_schema AS t, pragma_table_info(t.name) AS c WHERE t.type = 'table'";

const POSTGRES_INDEXES: &str = "
    SELECT CASE WHEN i.indisprimary THEN 'primary key' WHEN i.indisunique THEN 'unique ' || c.relname ELSE c.relname END
        || ' on ' || t.relname || ' (' || (
            SELECT string_agg(a.attname, ', ' ORDER BY k.position)
            FROM unnest(i.indkey) WITH ORDINALITY AS k (attnum, position)
            JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = k.attnum
        ) || ') ' || coalesce('where ' || pg_get_expr(i.indpred, i.indrelid), '') AS line
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_class AS t ON t.oid = i.indrelid
    WHERE t.relnamespace = 'public'::regnamespace";

const SQLITE_INDEXES: &str = "
    SELECT CASE WHEN i.origin = 'pk' THEN 'primary key' WHEN i.\"unique\" THEN 'unique ' || i.name ELSE i.name END
        || ' on ' || t.name || ' (' || (
            SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno)
        ) || ') ' || CASE WHEN i.partial THEN (
            SELECT substr(sql, instr(sql, 'WHERE')) FROM sqlite_schema WHERE name = i.name
        ) ELSE '' END AS line
    FROM sqlite_schema AS t, pragma_index_list(t.name) AS i WHERE t.type = 'table'";

const POSTGRES_REFERENCES: &str = "
    SELECT t.relname || ' (' || (
            SELECT string_agg(a.attname || ' ' || b.attname, ', ' ORDER BY k.position)
            FROM unnest(r.conkey, r.confkey) WITH ORDINALITY AS k (here, there, position)
            JOIN pg_attribute AS a ON a.attrelid = r.conrelid AND a.attnum = k.here
            JOIN pg_attribute AS b ON b.attrelid = r.confrelid AND b.attnum = k.there
        ) || ') refers to ' || o.relname AS line
    FROM pg_constraint AS r JOIN pg_class AS t ON t.oid = r.conrelid JOIN pg_class AS o ON o.oid = r.confrelid
    WHERE r.contype = 'f'";

const SQLITE_REFERENCES: &str = "
    SELECT name || ' (' || group_concat(pair, ', ') || ') refers to ' || target AS line
    FROM (
        SELECT t.name, r.id, r.\"table\" AS target, r.\"from\" || ' ' || r.\"to\" AS pair
        FROM sqlite_schema AS t, pragma_foreign_key_list(t.name) AS r WHERE t.type = 'table' ORDER BY t.name, r.id, r.seq
    )
    GROUP BY name, id";

/// The tables whose keys do not begin with a tenant: they identify tenants or lead to one.
/// (`__diesel_schema_migrations` is diesel's own.)
const WITHOUT_TENANT: [&str; 4] = ["tenants", "directory", "login_attempts", "__diesel_schema_migrations"];

/// The foreign keys that SQLite alone checks: in PostgreSQL, each accepted document would pay for them.
const CHECKED_BY_SQLITE: [&str; 3] = [
    "audit_events tenant_id tenant_id refers to audit_heads",
    "idempotency_keys tenant_id tenant_id, request_id id refers to mass_requests",
    "mass_requests tenant_id id refers to tenants",
];

/// Describes the parts of a schema that both databases have, in lines that do not depend on either's syntax.
fn describe(place: &DatabaseLocation) -> Vec<String> {
    let queries = match place {
        DatabaseLocation::Sqlite(_) => [SQLITE_COLUMNS, SQLITE_INDEXES, SQLITE_REFERENCES],
        DatabaseLocation::Postgres(_) => [POSTGRES_COLUMNS, POSTGRES_INDEXES, POSTGRES_REFERENCES],
    };
    let plain = |line: String| {
        line.to_lowercase()
            .replace("::text", "")
            .replace(['(', ')'], " ")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    let lines = queries.into_iter().flat_map(|query| place.lines(query));
    let mut lines: Vec<_> = lines.filter(|line| !line.contains("__diesel_schema_migrations")).map(plain).collect();
    lines.sort();
    lines
}

fn migrated(place: DatabaseLocation) -> DatabaseLocation {
    place.open().migrate().unwrap();
    place
}

#[test]
fn both_folders_have_the_same_migrations() {
    use diesel::migration::MigrationSource;
    let postgres = MigrationSource::<Pg>::migrations(&POSTGRES).unwrap();
    let sqlite = MigrationSource::<Sqlite>::migrations(&SQLITE).unwrap();
    let postgres: Vec<_> = postgres.iter().map(|migration| migration.name().to_string()).collect();
    let sqlite: Vec<_> = sqlite.iter().map(|migration| migration.name().to_string()).collect();
    assert_eq!(postgres, sqlite);
}

#[test]
fn both_schemas_are_the_same() {
    let mut sqlite = describe(&migrated(DatabaseLocation::sqlite()));
    for key in CHECKED_BY_SQLITE {
        let at = sqlite.iter().position(|line| line == key).expect(key);
        sqlite.remove(at);
    }
    let postgres = describe(&migrated(DatabaseLocation::postgres()));
    assert!(sqlite.iter().any(|line| line == "mass_requests.natural_key"), "{sqlite:#?}");
    assert_eq!(sqlite, postgres);
}

#[test]
fn migrations_go_down_and_up_again() {
    for place in [migrated(DatabaseLocation::sqlite()), migrated(DatabaseLocation::postgres())] {
        let before = describe(&place);
        assert_eq!(place.open().migrate().unwrap(), [""; 0]);
        match &place {
            DatabaseLocation::Sqlite(_) => place.sqlite_connection().revert_all_migrations(SQLITE).unwrap(),
            DatabaseLocation::Postgres(database) => database.connection().revert_all_migrations(POSTGRES).unwrap(),
        };
        assert_eq!(describe(&place), [""; 0]);
        assert_ne!(place.open().migrate().unwrap(), [""; 0]);
        assert_eq!(describe(&place), before);
    }
}

#[tokio::test]
async fn the_queue_survives_its_migration_on_sqlite() {
    a_queue_outlives_its_migration(TestDatabase::sqlite().await).await;
}

#[tokio::test]
async fn the_queue_survives_its_migration_on_postgres() {
    a_queue_outlives_its_migration(TestDatabase::postgres().await).await;
}

async fn a_queue_outlives_its_migration(db: TestDatabase) {
    let sent = |value| Submission { auto_send: AutoSend::On, ..simple(value) };
    let submissions = vec![sent(1), sent(2), simple(3)];
    let ids: Vec<_> = submissions.iter().map(|submission| DeliveryId::of(submission.id)).collect();
    let asked_for = submissions[2].id;
    assert!(
        db.mass().accept(&tenant(), submissions, Vec::new(), None).await.unwrap().unwrap().iter().all(Result::is_ok)
    );
    db.outbox().enqueue(&tenant(), asked_for, act(at(1))).await.unwrap();
    let place = db.place;
    drop(db.database);
    let revert = || match &place {
        DatabaseLocation::Sqlite(_) => place.sqlite_connection().revert_last_migration(SQLITE).unwrap().to_string(),
        DatabaseLocation::Postgres(database) => {
            database.connection().revert_last_migration(POSTGRES).unwrap().to_string()
        }
    };
    while revert() != "20261201000000" {}
    let in_both = "SELECT CAST(count(*) AS text) AS line FROM deliveries AS d
        JOIN delivery_queue AS q ON q.tenant_id = d.tenant_id AND q.delivery_id = d.id AND d.id = d.request_id";
    assert_eq!(place.lines(in_both), ["3"]);
    let database = place.open();
    database.migrate().unwrap();
    let worker = WorkerName::parse("w").unwrap();
    let claimed = database.stores().deliveries.claim(&worker, 9, at(2), at(99), &Restraint::default()).await.unwrap();
    let claimed: BTreeSet<_> = claimed.iter().map(|claimed| claimed.claim.delivery_id).collect();
    assert_eq!(claimed, ids.into_iter().collect());
}

#[test]
fn every_key_begins_with_the_tenant() {
    for line in describe(&migrated(DatabaseLocation::postgres())) {
        let words: Vec<_> = line.split(' ').collect();
        let (table, first_column) = match words.as_slice() {
            ["primary", "key", "on", table, column, ..] | ["unique", _, "on", table, column, ..] => (table, column),
            [table, column, ..] if line.contains("refers to") => (table, column),
            _ => continue,
        };
        if !WITHOUT_TENANT.contains(table) {
            assert_eq!(first_column.trim_end_matches(','), "tenant_id", "{line}");
        }
    }
}

/// So that the rows of a tenant can be kept on one machine of many.
#[test]
fn every_foreign_key_stays_within_the_tenant() {
    let lines = describe(&migrated(DatabaseLocation::postgres()));
    let references: Vec<_> = lines.iter().filter_map(|line| line.split_once(" refers to ")).collect();
    assert!(references.len() > 10, "{references:?}");
    for (from, to) in references {
        let (_, columns) = from.split_once(' ').unwrap();
        if to == "tenants" {
            assert_eq!(columns, "tenant_id id", "{from}");
        } else {
            assert_eq!(columns.split(',').next(), Some("tenant_id tenant_id"), "{from} refers to {to}");
            assert!(!WITHOUT_TENANT.contains(&to), "{from} refers to {to}");
        }
    }
}

/// Row-level security of each table with tenants.
const WALLS: &str = "
    SELECT t.relname || CASE WHEN t.relrowsecurity THEN ' walled' ELSE '' END || coalesce(
        (SELECT string_agg(': ' || pg_get_expr(polqual, polrelid), '' ORDER BY polname) FROM pg_policy WHERE polrelid = t.oid),
        ''
    ) AS line
    FROM pg_class AS t JOIN pg_attribute AS a ON a.attrelid = t.oid
    WHERE t.relnamespace = 'public'::regnamespace AND t.relkind = 'r' AND a.attname = 'tenant_id' ORDER BY 1";

#[test]
fn every_table_with_tenants_has_row_level_security() {
    let walls = migrated(DatabaseLocation::postgres()).lines(WALLS);
    assert!(walls.len() > 5, "{walls:?}");
    for wall in walls {
        match wall.split_once(' ') {
            // These tables are read before the tenant is known.
            None => assert!(
                ["delivery_queue", "savings_queue", "tenant_tasks", "notification_queue"].contains(&wall.as_str()),
                "{wall}"
            ),
            // It is read before the tenant is known, and written to for one: its INSERT has a check in place of a predicate.
            Some(("directory", wall)) => assert!(wall.starts_with("walled: true: (tenant_id = "), "{wall}"),
            Some((table, wall)) => {
                let policy = "(tenant_id = NULLIF(current_setting('mass.tenant'::text, true), ''::text))";
                assert_eq!(wall, format!("walled: {policy}"), "{table}");
            }
        }
    }
}
