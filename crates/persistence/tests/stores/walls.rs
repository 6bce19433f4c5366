//! Row-level security on PostgreSQL, which protects tenants even if the program's statements do not.

use std::num::NonZeroU32;

use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;
use diesel::{Connection, PgConnection, QueryResult, QueryableByName, RunQueryDsl, sql_query};
use mass_domain::mass_request::RequestFilter;
use mass_domain::page::Limit;
use mass_domain::tenancy::{AutoSend, TenantId};
use mass_persistence::{Database, MigrateError, Options, open};
use mass_service::{Found, MassStore, Submission};

use crate::databases::{DatabaseLocation, PostgresDatabase, TestDatabase};
use crate::fixtures::{Vary, account, at, deletion, event, other_tenant, reading, simple, tenant};

on_both!(tenants_that_share_one_connection_see_their_own, a_failed_unit_of_work_leaves_no_tenant_behind);

fn with_one_connection(db: &TestDatabase) -> Database {
    open(&Options { pool_size: NonZeroU32::MIN, ..db.place.options() }).unwrap()
}

async fn listed(mass: &dyn MassStore, of: &TenantId) -> usize {
    let rows = mass.list(of, &RequestFilter::default(), None, Limit::DEFAULT).await.unwrap();
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
            mass.accept(&tenant, vec![sent], Vec::new(), None).await.unwrap().unwrap().pop().unwrap().unwrap();
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
        // The database refuses the second of two equal ids, which rolls the first one back.
        let first = simple(2);
        let mut second = simple(3);
        second.id = first.id;
        assert!(mass.accept(&tenant(), vec![first, second], Vec::new(), None).await.is_err());
        assert_eq!(mass.find(&other_tenant(), mine).await.unwrap(), Found::Absent);
        // A rule refuses this one.
        assert!(mass.delete(&other_tenant(), mine, deletion()).await.is_err());
        assert_eq!((listed(mass, &other_tenant()).await, listed(mass, &tenant()).await), (0, 1));
    }
}

/// A restricted database in which both tenants have a request, an account and events.
async fn populated() -> TestDatabase {
    let db = TestDatabase::postgres_restricted().await;
    for tenant in [tenant(), other_tenant()] {
        db.mass().accept(&tenant, vec![reading("dev-1", 20).keyed("k")], Vec::new(), None).await.unwrap().unwrap();
    }
    db.accounts().insert(account("ana@example.test", &other_tenant()), event(&other_tenant(), at(0))).await.unwrap();
    db
}

fn postgres(place: &DatabaseLocation) -> &PostgresDatabase {
    let DatabaseLocation::Postgres(database) = place else { panic!("not PostgreSQL") };
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

/// Returns the tenants of the visible rows of a table or view.
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
async fn without_a_tenant_no_rows_are_visible() {
    let db = populated().await;
    let mut server = server_of(&db);
    for _ in 0..2 {
        for table in TABLES {
            assert_eq!(tenants_in(&mut server, table), [""; 0], "{table}");
        }
        // After the transaction the setting is '' rather than NULL.
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
async fn without_a_tenant_only_the_queue_is_visible() {
    let db = TestDatabase::postgres_restricted().await;
    for tenant in [tenant(), other_tenant()] {
        let sent = Submission { auto_send: AutoSend::On, ..simple(1) };
        db.mass().accept(&tenant, vec![sent], Vec::new(), None).await.unwrap().unwrap();
    }
    let mut server = server_of(&db);
    assert_eq!(tenants_in(&mut server, "delivery_queue"), ["default", "other"]);
    for table in [
        "deliveries",
        "recommendations",
        "savings_projects",
        "savings_reports",
        "alert_rules",
        "alerts",
        "webhooks",
        "notifications",
    ] {
        assert_eq!(tenants_in(&mut server, table), [""; 0], "{table}");
    }
    let columns = "SELECT string_agg(attname::text, ' ' ORDER BY attnum) AS line FROM pg_attribute
        WHERE attrelid = 'delivery_queue'::regclass AND attnum > 0";
    assert_eq!(lines(&mut server, columns).unwrap(), ["tenant_id delivery_id due_at worker fence trace_flags"]);
}

#[tokio::test]
async fn writes_for_another_tenant_are_refused() {
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
    // Nor can a row be moved to another tenant.
    let refused: QueryResult<()> = server.transaction(|server| {
        name_tenant(server, "other");
        sql_query("UPDATE users SET tenant_id = 'default'").execute(server).map(|_| ())
    });
    assert!(refused.unwrap_err().to_string().contains("permission denied"));
}

#[tokio::test]
async fn the_owner_bypasses_row_level_security() {
    let db = populated().await;
    for mut connection in [owner_of(&db), postgres(&db.place).connection()] {
        assert_eq!(tenants_in(&mut connection, "mass_requests"), ["default", "other"]);
    }
}

#[tokio::test]
async fn a_view_leaks_without_security_invoker() {
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
async fn the_serving_role_cannot_alter_tables_or_the_audit_trail() {
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
        "DELETE FROM users",
        "DELETE FROM tenants",
        "DELETE FROM mass_requests",
        "UPDATE users SET created_at = now()",
        "UPDATE mass_requests SET fingerprint = ''",
        "UPDATE mass_requests SET audit_sequence = 9",
        "UPDATE directory SET tenant_id = 'other'",
        "UPDATE idempotency_keys SET request_id = NULL",
    ];
    for statement in denied {
        assert!(refusal(&mut server, statement).contains("permission denied"), "{statement}");
    }
    let replayed = refusal(&mut server, "UPDATE tenants SET credentials_version = -1");
    assert!(replayed.contains("the version of credentials only grows"), "{replayed}");
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

#[tokio::test]
async fn the_directory_shows_all_keys_and_gives_up_those_of_one_tenant() {
    let db = populated().await;
    db.accounts().insert(account("bo@example.test", &tenant()), event(&tenant(), at(0))).await.unwrap();
    let mut server = server_of(&db);
    let kept = ["default", "other"];
    assert_eq!(tenants_in(&mut server, "directory"), kept);
    server.batch_execute("DELETE FROM directory").unwrap();
    assert_eq!(tenants_in(&mut server, "directory"), kept, "without a tenant");
    server.batch_execute("SET mass.tenant = 'other'; DELETE FROM directory").unwrap();
    assert_eq!(tenants_in(&mut server, "directory"), ["default"]);
    let claim = "INSERT INTO \"directory\" VALUES ('email', 'x', 'default', gen_random_uuid())";
    assert!(refusal(&mut server, claim).contains("row-level security"));
}

/// The rights of the serving role: per table, its rights on the whole table and the columns that it may update. A new
/// table or column needs a decision here.
const RIGHTS: [(&str, &str, &str); 46] = [
    ("__diesel_schema_migrations", "SELECT", ""),
    (
        "alert_rules",
        "DELETE INSERT SELECT",
        "digest enabled kind problem rule updated_at updated_by_id updated_by_kind",
    ),
    (
        "alerts",
        "DELETE INSERT SELECT",
        "acknowledged_at acknowledged_by_id acknowledged_by_kind note notified_at opened_at resolution resolved_at state value",
    ),
    ("api_keys", "INSERT SELECT", "last_used_at revoked_at"),
    ("audit_archived_changes", "SELECT", ""),
    ("audit_archived_leaves", "SELECT", ""),
    ("audit_checkpoints", "INSERT SELECT", ""),
    ("audit_events", "INSERT SELECT", ""),
    ("audit_heads", "INSERT SELECT", "frontier size"),
    ("audit_nodes", "INSERT SELECT", ""),
    ("days", "DELETE INSERT SELECT", "above below count covered first gaps integral last max min resets sum"),
    (
        "deliveries",
        "INSERT SELECT",
        "attempts call_id dead_reason failure_code failure_detail queued_at round state traceparent updated_at",
    ),
    ("delivery_queue", "DELETE INSERT SELECT", "due_at fence worker"),
    ("directory", "DELETE INSERT SELECT", ""),
    ("hours", "DELETE INSERT SELECT", "above below count covered first gaps integral last max min resets sum"),
    ("idempotency_keys", "DELETE INSERT SELECT", ""),
    ("intake", "DELETE INSERT SELECT", "bytes requests"),
    ("legal_holds", "DELETE INSERT SELECT", ""),
    ("login_attempts", "DELETE INSERT SELECT", "failed_at failures succeeded_at"),
    (
        "mapping_profiles",
        "DELETE INSERT SELECT",
        "contract digest format profile updated_at updated_by_id updated_by_kind",
    ),
    (
        "mass_requests",
        "INSERT SELECT",
        "batch_id call_id corrected_by correlation_id deleted_at device_id document idempotency_key natural_key observed_at site_id status \
         updated_at version warnings",
    ),
    ("notification_queue", "DELETE INSERT SELECT", "due_at fence worker"),
    ("notifications", "DELETE INSERT SELECT", "attempts failure queued_at state updated_at"),
    ("points", "DELETE INSERT SELECT", ""),
    ("projected_blocks", "DELETE INSERT SELECT", "requests"),
    ("projected_requests", "", ""),
    ("projections", "INSERT SELECT", "deletions position stopped_reason stopped_sequence"),
    ("quarantine_usage", "INSERT SELECT", "bytes"),
    ("quarantined_records", "DELETE INSERT SELECT", ""),
    ("quotas", "INSERT SELECT", "quarantine_bytes requests_per_day stored_bytes updated_at"),
    ("recommendations", "DELETE INSERT SELECT", ""),
    ("recovery_codes", "DELETE INSERT SELECT", ""),
    ("refresh_tokens", "INSERT SELECT", "spent_at"),
    ("retention_rules", "DELETE INSERT SELECT", ""),
    (
        "savings_projects",
        "DELETE INSERT SELECT",
        "name project site_id updated_at updated_by_id updated_by_kind version",
    ),
    ("savings_queue", "DELETE INSERT SELECT", "due_at fence worker"),
    (
        "savings_reports",
        "DELETE INSERT SELECT",
        "as_of_root as_of_sequence attempts bytes document failure failure_code finished_at note state",
    ),
    ("second_factors", "DELETE INSERT SELECT", "confirmed created_at last_step sealed"),
    ("series", "DELETE INSERT SELECT", "first_at kind last_at last_value learned_interval"),
    ("sessions", "DELETE INSERT SELECT", "expires_at factor_at revoked_at"),
    ("sources", "DELETE INSERT SELECT", "accepted at device_type location"),
    ("tenant_tasks", "DELETE INSERT SELECT", "due_at fence worker"),
    ("tenant_usage", "INSERT SELECT", "day requests stored_bytes"),
    ("tenants", "INSERT SELECT", "auto_send credentials_version deletion_due_at quarantine second_factor suspended_at"),
    ("users", "INSERT SELECT", "deleted_at disabled_at email password_hash roles second_factor_at updated_at"),
    (
        "webhooks",
        "DELETE INSERT SELECT",
        "description digest enabled key_id previous_key_id previous_salt previous_until salt updated_at updated_by_id \
         updated_by_kind url",
    ),
];

/// The columns that the serving role may not update, because they never change.
const FIXED: [(&str, &str); 46] = [
    ("__diesel_schema_migrations", "run_on version"),
    ("alert_rules", "created_at created_by_id created_by_kind name tenant_id"),
    ("alerts", "id kind rule severity since subject subject_digest tenant_id"),
    (
        "api_keys",
        "addresses created_at created_by_id created_by_kind expires_at id name permissions prefix secret_hash tenant_id",
    ),
    ("audit_archived_changes", "action object_id sequence tenant_id"),
    ("audit_archived_leaves", "leaf_hash sequence tenant_id"),
    ("audit_checkpoints", "at note size tenant_id"),
    ("audit_events", "action actor_id actor_kind at event leaf_hash object_id object_kind outcome sequence tenant_id"),
    ("audit_heads", "tenant_id"),
    ("audit_nodes", "hash level position tenant_id"),
    ("days", "series_id starts_at tenant_id"),
    ("deliveries", "created_at id request_id tenant_id"),
    ("delivery_queue", "delivery_id tenant_id trace_flags"),
    ("directory", "key kind object_id tenant_id"),
    ("hours", "series_id starts_at tenant_id"),
    (
        "idempotency_keys",
        "contract corrected_by created_at fingerprint key outcome request_id status tenant_id updated_at version",
    ),
    ("intake", "day tenant_id"),
    ("legal_holds", "contract id reason set_by_id set_by_kind since tenant_id"),
    ("login_attempts", "key"),
    ("mapping_profiles", "created_at created_by_id created_by_kind name tenant_id"),
    (
        "mass_requests",
        "audit_leaf_hash audit_sequence contract corrects created_at created_by_id created_by_kind fingerprint id outcome tenant_id",
    ),
    ("notification_queue", "notification_id tenant_id"),
    ("notifications", "alert_id body created_at id news tenant_id webhook"),
    ("points", "at sequence series_id span tenant_id value"),
    ("projected_blocks", "block tenant_id"),
    ("projected_requests", "accepted at bytes day source_id tenant_id"),
    ("projections", "tenant_id"),
    ("quarantine_usage", "tenant_id"),
    (
        "quarantined_records",
        "bytes call_id codes contract created_by_id created_by_kind digest expires_at form id idempotency_key mapping \
         received_at record tenant_id violation_count violations",
    ),
    ("quotas", "tenant_id"),
    (
        "recommendations",
        "answer contract created_at delivery_id device_id flags id input_fingerprint latency_ms model_name request_id site_id slo_ms \
         tenant_id valid",
    ),
    ("recovery_codes", "hash tenant_id user_id"),
    ("refresh_tokens", "created_at hash session_id tenant_id"),
    ("retention_rules", "contract days tenant_id"),
    ("savings_projects", "created_at created_by_id created_by_kind id tenant_id"),
    ("savings_queue", "report_id tenant_id"),
    (
        "savings_reports",
        "call_id id project project_id project_version requested_at requested_by_id requested_by_kind sequence tenant_id \
         traceparent",
    ),
    ("second_factors", "tenant_id user_id"),
    ("series", "device_id id metric site_id source_id tenant_id"),
    ("sessions", "created_at id tenant_id user_id"),
    ("sources", "device_id id site_id tenant_id"),
    ("tenant_tasks", "task tenant_id"),
    ("tenant_usage", "tenant_id"),
    ("tenants", "created_at erased_at erasing_at id"),
    ("users", "created_at id tenant_id"),
    ("webhooks", "created_at created_by_id created_by_kind name tenant_id"),
];

/// Returns per table the serving role's rights on the whole table, the columns that it may update, and the others.
fn rights(db: &TestDatabase) -> Vec<String> {
    let server = &postgres(&db.place).roles().server;
    db.place.lines(&format!(
        "SELECT concat_ws(' | ', t.table_name,
             (SELECT coalesce(string_agg(privilege_type, ' ' ORDER BY privilege_type), '')
              FROM information_schema.table_privileges AS p
              WHERE p.grantee = '{server}' AND p.table_schema = t.table_schema AND p.table_name = t.table_name),
             coalesce(string_agg(c.column_name, ' ' ORDER BY c.column_name) FILTER (WHERE u.grantee IS NOT NULL), ''),
             coalesce(string_agg(c.column_name, ' ' ORDER BY c.column_name) FILTER (WHERE u.grantee IS NULL), '')
         ) AS line
         FROM information_schema.tables AS t JOIN information_schema.columns AS c USING (table_schema, table_name)
         LEFT JOIN information_schema.column_privileges AS u ON (u.table_schema, u.table_name, u.column_name)
             = (c.table_schema, c.table_name, c.column_name) AND u.privilege_type = 'UPDATE' AND u.grantee = '{server}'
         WHERE t.table_schema = 'public' AND t.table_type = 'BASE TABLE'
         GROUP BY t.table_schema, t.table_name ORDER BY t.table_name COLLATE \"C\""
    ))
}

#[tokio::test]
async fn the_serving_role_has_exactly_the_listed_rights() {
    let db = TestDatabase::postgres_restricted().await;
    let due = RIGHTS.iter().zip(&FIXED).map(|((table, whole, updated), (same, fixed))| {
        assert_eq!(table, same);
        format!("{table} | {whole} | {updated} | {fixed}")
    });
    assert_eq!(rights(&db), due.collect::<Vec<_>>());
}

#[tokio::test]
async fn migrating_grants_the_serving_role_exactly_its_rights() {
    let db = TestDatabase::postgres_restricted().await;
    let before = rights(&db);
    let server = &postgres(&db.place).roles().server;
    // As left by older versions: too many rights on tables and columns, and too few.
    let drift = format!(
        "GRANT ALL ON audit_events, __diesel_schema_migrations TO {server}; REVOKE INSERT ON users FROM {server};
         GRANT SELECT, INSERT, UPDATE, DELETE ON tenants, mass_requests, audit_heads TO {server};
         GRANT UPDATE (email), INSERT (email), REFERENCES (id) ON users TO {server};
         GRANT INSERT (sequence) ON audit_archived_leaves TO {server};
         REVOKE UPDATE (spent_at) ON refresh_tokens FROM {server}"
    );
    owner_of(&db).batch_execute(&drift).unwrap();
    assert_ne!(rights(&db), before);
    for _ in 0..2 {
        assert_eq!(db.place.open().migrate().unwrap(), [""; 0]);
        assert_eq!(rights(&db), before);
    }
    let columns = format!(
        "SELECT concat_ws(' ', table_name, column_name, privilege_type) AS line FROM information_schema.column_privileges
         WHERE grantee = '{server}' AND (privilege_type = 'REFERENCES' OR (table_name, privilege_type) = ('audit_archived_leaves', 'INSERT'))"
    );
    assert_eq!(db.place.lines(&columns), [""; 0]);
}

#[tokio::test]
async fn tables_of_others_keep_their_rights() {
    let db = TestDatabase::postgres_restricted().await;
    let server = &postgres(&db.place).roles().server;
    db.place.execute(&format!("CREATE TABLE notes (id int); GRANT SELECT ON notes TO {server}"));
    db.place.open().migrate().unwrap();
    let granted =
        format!("SELECT privilege_type AS line FROM information_schema.table_privileges WHERE grantee = '{server}'");
    assert_eq!(db.place.lines(&format!("{granted} AND table_name = 'notes'")), ["SELECT"]);
}

/// The serving role cannot use its rights on a log to block the tenant.
#[tokio::test]
async fn the_serving_role_cannot_block_a_tenants_log() {
    let db = populated().await;
    let mut server = server_of(&db);
    let hash = "sha256('x')";
    let event = format!(
        "INSERT INTO audit_events SELECT tenant_id, size + 1, now(), 'system', NULL, 'started', 'server', NULL, 'success', '{{}}', \
         {hash} FROM audit_heads;"
    );
    // A temporary table hides others of its name, unless a function sets its search path.
    let mask =
        "CREATE TEMPORARY TABLE audit_heads AS SELECT tenant_id, 1000 AS size, frontier FROM public.audit_heads;";
    let statements = [
        "UPDATE audit_heads SET size = size + 5".to_owned(),
        "UPDATE audit_heads SET frontier = ''".to_owned(),
        format!("UPDATE audit_heads SET frontier = {hash}"),
        event.clone(),
        format!("{event} SET LOCAL mass.tenant = 'default'"),
        format!("{event} SET LOCAL mass.tenant = ''"),
        format!("{event} UPDATE audit_heads SET size = size + 2"),
        format!(
            "{mask} INSERT INTO audit_events SELECT 'other', 500, now(), 'system', NULL, 'started', 'server', NULL, 'success', '', {hash}"
        ),
        format!("INSERT INTO audit_nodes VALUES ('other', 8, 0, {hash})"),
        "INSERT INTO audit_checkpoints VALUES ('other', 9, now(), '')".to_owned(),
        "INSERT INTO audit_heads VALUES ('other', 9, '') ON CONFLICT (tenant_id) DO UPDATE SET size = 9".to_owned(),
    ];
    for statement in statements {
        let refused = refusal(&mut server, &format!("BEGIN; SET LOCAL mass.tenant = 'other'; {statement}; COMMIT"));
        assert!(refused.contains("the audit trail only grows"), "{statement}: {refused}");
        server.batch_execute("ROLLBACK").unwrap();
    }
    db.mass().accept(&other_tenant(), vec![simple(1)], Vec::new(), None).await.unwrap().unwrap().remove(0).unwrap();
}

/// Older versions wrote in this order: they may still serve while this one has migrated.
#[tokio::test]
async fn events_may_come_before_their_head() {
    let db = populated().await;
    let statements = "BEGIN; SET LOCAL mass.tenant = 'third';
         INSERT INTO audit_heads VALUES ('third', 0, '');
         INSERT INTO audit_events VALUES ('third', 1, now(), 'system', NULL, 'started', 'server', NULL, 'success', '', sha256('x'));
         UPDATE audit_heads SET size = 1, frontier = sha256('x');
         COMMIT";
    db.place.execute("INSERT INTO tenants VALUES ('third', now())");
    server_of(&db).batch_execute(statements).unwrap();
}

fn refused_start(options: &Options) -> String {
    open(options).unwrap().migrate().unwrap_err().to_string()
}

#[tokio::test]
async fn reports_the_missing_statement_if_the_owner_cannot_grant() {
    let db = TestDatabase::postgres_restricted().await;
    let server = &postgres(&db.place).roles().server;
    db.place.execute("ALTER TABLE directory OWNER TO CURRENT_USER");
    db.place.execute(&format!("REVOKE ALL ON directory FROM {server}"));
    let told = refused_start(&db.place.options());
    let statement = format!("GRANT DELETE, INSERT, SELECT ON TABLE directory TO {server}");
    assert!(told.contains(&statement) && told.contains("permission denied"), "{told}");

    // A right of everybody cannot be revoked from one role.
    db.place.execute(&format!("GRANT SELECT, INSERT, DELETE ON directory TO {server}"));
    db.place.execute("GRANT UPDATE ON audit_events TO PUBLIC");
    let told = refused_start(&db.place.options());
    assert!(told.contains(&format!("REVOKE UPDATE ON TABLE audit_events FROM {server}")), "{told}");
    assert!(told.contains("PUBLIC"), "{told}");
}

#[tokio::test]
async fn a_role_that_bypasses_row_level_security_may_not_serve() {
    let db = TestDatabase::postgres_restricted().await;
    let database = postgres(&db.place);
    db.place.execute(&format!("ALTER ROLE {} BYPASSRLS", database.roles().server));
    let refused = open(&db.place.options()).unwrap().migrate().unwrap_err();
    assert!(matches!(refused, MigrateError::NotHeld { .. }), "{refused}");
    // This is not checked if one role migrates and serves.
    let owner = database.url_as(&database.roles().owner);
    let alone = Options {
        url: owner.clone(),
        migration_url: Some(format!("{owner}?application_name=owner")),
        ..db.place.options()
    };
    open(&alone).unwrap().migrate().unwrap();
}

#[test]
fn roles_with_unusual_names_are_granted_their_rights() {
    let place = DatabaseLocation::postgres_restricted();
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
