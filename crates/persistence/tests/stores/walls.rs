//! The second wall between tenants: what holds on PostgreSQL whatever the program's statements say.

use std::num::NonZeroU32;

use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;
use diesel::{Connection, PgConnection, QueryResult, QueryableByName, RunQueryDsl, sql_query};
use mass_domain::mass_request::Filter;
use mass_domain::page::Limit;
use mass_domain::tenancy::{AutoSend, TenantId};
use mass_persistence::{Database, MigrateError, Options, open};
use mass_service::{Found, MassStore, Submission};

use crate::databases::{Place, PostgresDatabase, TestDatabase};
use crate::fixtures::{Vary, account, at, deletion, event, other_tenant, reading, simple, tenant};

on_both!(tenants_that_share_one_connection_see_their_own, a_failed_unit_of_work_leaves_no_tenant_behind);

fn with_one_connection(db: &TestDatabase) -> Database {
    open(&Options { pool_size: NonZeroU32::MIN, ..db.place.options() }).unwrap()
}

async fn listed(mass: &dyn MassStore, of: &TenantId) -> usize {
    let rows = mass.list(of, &Filter::default(), None, Limit::DEFAULT).await.unwrap();
    assert!(rows.iter().all(|row| row.tenant_id == *of), "{rows:?}");
    rows.len()
}

async fn tenants_that_share_one_connection_see_their_own(db: TestDatabase) {
    let database = with_one_connection(&db);
    let mass = &*database.stores().mass;
    for round in 1..=5 {
        for (tenant, other) in [(tenant(), other_tenant()), (other_tenant(), tenant())] {
            let sent = reading(&format!("dev-{round}"), 20).keyed(&format!("k-{round}"));
            let id = sent.id;
            mass.accept(&tenant, vec![sent], Vec::new()).await.unwrap().pop().unwrap().unwrap();
            assert_eq!(mass.find(&other, id).await.unwrap(), Found::Absent);
            assert!(matches!(mass.find(&tenant, id).await.unwrap(), Found::Present(_)));
            assert_eq!(listed(mass, &tenant).await, round);
        }
    }
}

async fn a_failed_unit_of_work_leaves_no_tenant_behind(db: TestDatabase) {
    let database = with_one_connection(&db);
    let (mass, mine) = (&*database.stores().mass, db.stored(simple(1)).await.summary.id);
    for _ in 0..3 {
        // The database refuses the second of two equal ids, which undoes the first.
        let first = simple(2);
        let mut second = simple(3);
        second.id = first.id;
        assert!(mass.accept(&tenant(), vec![first, second], Vec::new()).await.is_err());
        assert_eq!(mass.find(&other_tenant(), mine).await.unwrap(), Found::Absent);
        // This one is refused by a rule.
        assert!(mass.delete(&other_tenant(), mine, deletion()).await.is_err());
        assert_eq!((listed(mass, &other_tenant()).await, listed(mass, &tenant()).await), (0, 1));
    }
}

/// A restricted database where both tenants have a request, an account and events.
async fn populated() -> TestDatabase {
    let db = TestDatabase::postgres_restricted().await;
    for tenant in [tenant(), other_tenant()] {
        db.mass().accept(&tenant, vec![reading("dev-1", 20).keyed("k")], Vec::new()).await.unwrap();
    }
    db.accounts().create(account("ana@example.test", &other_tenant()), event(&other_tenant(), at(0))).await.unwrap();
    db
}

fn postgres(place: &Place) -> &PostgresDatabase {
    let Place::Postgres(database) = place else { panic!("not PostgreSQL") };
    database
}

fn server_of(db: &TestDatabase) -> PgConnection {
    let database = postgres(&db.place);
    database.connection_as(&database.roles().server)
}

fn owner_of(db: &TestDatabase) -> PgConnection {
    let database = postgres(&db.place);
    database.connection_as(&database.roles().owner)
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

fn lines(connection: &mut PgConnection, query: &str) -> QueryResult<Vec<String>> {
    Ok(sql_query(query).load(connection)?.into_iter().map(|row: Line| row.line).collect())
}

/// Whose rows a table or view shows.
fn tenants_in(connection: &mut PgConnection, table: &str) -> Vec<String> {
    lines(connection, &format!("SELECT DISTINCT tenant_id AS line FROM {table} ORDER BY 1")).unwrap()
}

fn name_tenant(connection: &mut PgConnection, tenant: &str) {
    connection.batch_execute(&format!("SET LOCAL mass.tenant = '{tenant}'")).unwrap();
}

fn refusal(connection: &mut PgConnection, statement: &str) -> String {
    connection.batch_execute(statement).expect_err(statement).to_string()
}

const TABLES: [&str; 5] = ["users", "audit_heads", "audit_events", "mass_requests", "idempotency_keys"];

#[tokio::test]
async fn who_names_no_tenant_sees_nothing() {
    let db = populated().await;
    let mut server = server_of(&db);
    for _ in 0..2 {
        for table in TABLES {
            assert_eq!(tenants_in(&mut server, table), [""; 0], "{table}");
        }
        // What was named for a transaction is '' after it, rather than NULL.
        server
            .transaction(|server| {
                name_tenant(server, "other");
                for table in TABLES {
                    assert_eq!(tenants_in(server, table), ["other"], "{table}");
                }
                QueryResult::Ok(())
            })
            .unwrap();
        let setting = lines(&mut server, "SELECT current_setting('mass.tenant', true) AS line").unwrap();
        assert_eq!(setting, [""]);
    }
}

#[tokio::test]
async fn who_names_no_tenant_sees_that_something_is_due_and_not_what() {
    let db = TestDatabase::postgres_restricted().await;
    for tenant in [tenant(), other_tenant()] {
        let sent = Submission { auto_send: AutoSend::On, ..simple(1) };
        db.mass().accept(&tenant, vec![sent], Vec::new()).await.unwrap();
    }
    let mut server = server_of(&db);
    assert_eq!(tenants_in(&mut server, "delivery_queue"), ["default", "other"]);
    for table in ["deliveries", "recommendations"] {
        assert_eq!(tenants_in(&mut server, table), [""; 0], "{table}");
    }
    let columns = "SELECT string_agg(attname::text, ' ' ORDER BY attnum) AS line FROM pg_attribute
        WHERE attrelid = 'delivery_queue'::regclass AND attnum > 0";
    assert_eq!(lines(&mut server, columns).unwrap(), ["tenant_id delivery_id due_at worker fence trace_flags"]);
}

#[tokio::test]
async fn nobody_writes_for_a_tenant_that_is_not_named() {
    let db = populated().await;
    let mut server = server_of(&db);
    let insert = "INSERT INTO audit_heads VALUES ('third', 0)";
    db.place.execute("INSERT INTO tenants VALUES ('third', now())");
    assert!(refusal(&mut server, insert).contains("row-level security"));
    let refused: QueryResult<()> = server.transaction(|server| {
        name_tenant(server, "other");
        assert_eq!(sql_query("UPDATE mass_requests SET version = 9").execute(server)?, 1);
        assert_eq!(sql_query("DELETE FROM idempotency_keys WHERE tenant_id = 'default'").execute(server)?, 0);
        sql_query(insert).execute(server).map(|_| ())
    });
    assert!(refused.unwrap_err().to_string().contains("row-level security"));
    // Nor is a row given away.
    let refused: QueryResult<()> = server.transaction(|server| {
        name_tenant(server, "other");
        sql_query("UPDATE users SET tenant_id = 'default'").execute(server).map(|_| ())
    });
    assert!(refused.unwrap_err().to_string().contains("row-level security"));
}

#[tokio::test]
async fn an_owner_passes_through_its_own_walls() {
    let db = populated().await;
    for mut connection in [owner_of(&db), postgres(&db.place).connection()] {
        assert_eq!(tenants_in(&mut connection, "mass_requests"), ["default", "other"]);
    }
}

#[tokio::test]
async fn a_view_leaks_unless_it_is_read_with_the_rights_of_its_reader() {
    let db = populated().await;
    let server = &postgres(&db.place).roles().server;
    let views = format!(
        "CREATE VIEW plain AS SELECT * FROM mass_requests;
         CREATE VIEW invoked WITH (security_invoker = true) AS SELECT * FROM mass_requests;
         GRANT SELECT ON plain, invoked TO {server}"
    );
    owner_of(&db).batch_execute(&views).unwrap();
    let see = |view| {
        server_of(&db).transaction(|server| {
            name_tenant(server, "other");
            QueryResult::Ok(tenants_in(server, view))
        })
    };
    assert_eq!(see("plain").unwrap(), ["default", "other"]);
    assert_eq!(see("invoked").unwrap(), ["other"]);
}

#[tokio::test]
async fn who_serves_alters_neither_tables_nor_the_audit_trail() {
    let db = populated().await;
    let mut server = server_of(&db);
    server.batch_execute("SET mass.tenant = 'other'").unwrap();
    let denied = [
        "UPDATE audit_events SET event = ''",
        "DELETE FROM audit_events",
        "DELETE FROM audit_heads",
        "UPDATE audit_nodes SET hash = ''",
        "DELETE FROM audit_nodes",
        "UPDATE audit_checkpoints SET note = ''",
        "DELETE FROM audit_checkpoints",
        "INSERT INTO audit_archived_leaves VALUES ('other', 1, '')",
        "DELETE FROM audit_archived_leaves",
        "TRUNCATE audit_events CASCADE",
        "TRUNCATE users CASCADE",
        "CREATE TABLE mine (id int)",
        "DELETE FROM __diesel_schema_migrations",
    ];
    for statement in denied {
        assert!(refusal(&mut server, statement).contains("permission denied"), "{statement}");
    }
    let owned = [
        "ALTER TABLE audit_events ADD COLUMN mine int",
        "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
        "DROP POLICY tenant ON users",
        "DROP TABLE directory",
    ];
    for statement in owned {
        assert!(refusal(&mut server, statement).contains("must be owner"), "{statement}");
    }
}

/// The rights of the role that serves, as PostgreSQL prints them.
fn rights(db: &TestDatabase) -> Vec<String> {
    let server = &postgres(&db.place).roles().server;
    db.place.lines(&format!(
        "SELECT table_name || ' ' || string_agg(privilege_type, ' ' ORDER BY privilege_type) AS line
         FROM information_schema.table_privileges WHERE grantee = '{server}' GROUP BY table_name ORDER BY table_name"
    ))
}

#[tokio::test]
async fn migrating_gives_the_role_that_serves_exactly_its_rights() {
    let db = TestDatabase::postgres_restricted().await;
    let before = rights(&db);
    assert!(before.contains(&"users DELETE INSERT SELECT UPDATE".to_owned()), "{before:?}");
    let trail: Vec<_> = before.iter().filter(|line| line.starts_with("audit_")).collect();
    let due = [
        "audit_archived_leaves SELECT",
        "audit_checkpoints INSERT SELECT",
        "audit_events INSERT SELECT",
        "audit_heads INSERT SELECT UPDATE",
        "audit_nodes INSERT SELECT",
    ];
    assert_eq!(trail, due);
    // A program that is older than the database has to see that it is.
    assert!(before.contains(&"__diesel_schema_migrations SELECT".to_owned()), "{before:?}");

    let server = &postgres(&db.place).roles().server;
    let drift = format!(
        "GRANT ALL ON audit_events, __diesel_schema_migrations TO {server}; REVOKE INSERT ON users FROM {server}"
    );
    owner_of(&db).batch_execute(&drift).unwrap();
    assert_ne!(rights(&db), before);
    for _ in 0..2 {
        assert_eq!(db.place.open().migrate().unwrap(), [""; 0]);
        assert_eq!(rights(&db), before);
    }
}

fn refused_start(options: &Options) -> String {
    open(options).unwrap().migrate().unwrap_err().to_string()
}

#[tokio::test]
async fn an_owner_that_cannot_grant_is_told_which_statement_is_missing() {
    let db = TestDatabase::postgres_restricted().await;
    let server = &postgres(&db.place).roles().server;
    db.place.execute("ALTER TABLE directory OWNER TO CURRENT_USER");
    db.place.execute(&format!("REVOKE ALL ON directory FROM {server}"));
    let told = refused_start(&db.place.options());
    let statement = format!("GRANT DELETE, INSERT, SELECT, UPDATE ON TABLE directory TO {server}");
    assert!(told.contains(&statement) && told.contains("permission denied"), "{told}");

    // A right that everybody has cannot be taken from one.
    db.place.execute(&format!(
        "GRANT ALL ON directory TO {server}; REVOKE TRUNCATE, REFERENCES, TRIGGER ON directory FROM {server}"
    ));
    db.place.execute("GRANT UPDATE ON audit_events TO PUBLIC");
    let told = refused_start(&db.place.options());
    assert!(told.contains(&format!("REVOKE UPDATE ON TABLE audit_events FROM {server}")), "{told}");
    assert!(told.contains("PUBLIC"), "{told}");
}

#[tokio::test]
async fn a_role_that_no_wall_holds_does_not_serve_for_another() {
    let db = TestDatabase::postgres_restricted().await;
    let database = postgres(&db.place);
    db.place.execute(&format!("ALTER ROLE {} BYPASSRLS", database.roles().server));
    let refused = open(&db.place.options()).unwrap().migrate().unwrap_err();
    assert!(matches!(refused, MigrateError::NotHeld { .. }), "{refused}");
    // Who migrates and serves as one role is not asked.
    let owner = database.url_as(&database.roles().owner);
    let alone = Options {
        url: owner.clone(),
        migration_url: Some(format!("{owner}?application_name=owner")),
        ..db.place.options()
    };
    open(&alone).unwrap().migrate().unwrap();
}

#[test]
fn a_role_with_an_odd_name_is_granted_its_rights() {
    let place = Place::postgres_restricted();
    let database = postgres(&place);
    let server = &database.roles().server;
    let odd = format!("{server}\"; DROP TABLE users; --'");
    let quoted = odd.replace('"', "\"\"");
    place.execute(&format!("ALTER ROLE {server} RENAME TO \"{quoted}\"; ALTER ROLE \"{quoted}\" PASSWORD 'p'"));
    let encoded: String = odd.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let url = database.url_as(server).replacen(&format!("{server}:{server}"), &format!("{encoded}:p"), 1);
    let migrated = open(&Options { url, ..place.options() }).unwrap().migrate();
    place.execute(&format!("ALTER ROLE \"{quoted}\" RENAME TO {server}"));
    migrated.unwrap();
}
