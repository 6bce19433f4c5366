//! A database for each test.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};
use mass_admin_service::{AccountStore, KeyStore, QuotaStore, SettingsStore, TenantStore};
use mass_alert_service::{AlertStore, EvaluationStore, NotificationQueue, WebhookStore};
use mass_auth::{ApiKeyStore, AttemptStore, SessionStore, UserStore};
use mass_domain::audit::{Event, Program};
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::{MassRequest, Outcome};
use mass_domain::tasks::TaskQueue;
use mass_persistence::{Database, Options, open};
use mass_savings_service::{ReportQueue, SavingsStore};
use mass_service::{DeliveryStore, Found, MassStore, OutboxStore, Receipt, RecommendationStore, Refusal, Submission};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{fixtures, template};

/// Creates four tests of each function: as [`on_one_node`] does, and on PostgreSQL with the tables as they are on Citus.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        on_one_node!($($name),+);

        mod postgres_distributed {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::databases::TestDatabase::distributed().await).await;
            })+
        }
    };
}

/// Creates three tests of each function: on SQLite, on PostgreSQL as the owner of the tables, and on PostgreSQL as a
/// role that is subject to row-level security.
macro_rules! on_one_node {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::databases::TestDatabase::sqlite().await).await;
            })+
        }

        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::databases::TestDatabase::postgres().await).await;
            })+
        }

        mod postgres_restricted {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::databases::TestDatabase::postgres_restricted().await).await;
            })+
        }
    };
}

/// An empty, migrated database with two tenants, removed at the end.
pub(crate) struct TestDatabase {
    pub(crate) database: Database,
    pub(crate) place: DatabaseLocation,
}

/// The location of a test's database, removed at the end.
pub(crate) enum DatabaseLocation {
    Sqlite(TempDir),
    Postgres(PostgresDatabase),
}

impl TestDatabase {
    pub(crate) async fn sqlite() -> Self {
        Self::with_tenants(DatabaseLocation::sqlite()).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::with_tenants(DatabaseLocation::migrated()).await
    }

    pub(crate) async fn postgres_restricted() -> Self {
        Self::with_tenants(DatabaseLocation::postgres_restricted()).await
    }

    pub(crate) async fn distributed() -> Self {
        Self::with_tenants(DatabaseLocation::distributed()).await
    }

    pub(crate) async fn with_tenants(place: DatabaseLocation) -> Self {
        let database = place.open();
        database.migrate().unwrap();
        let account = fixtures::account("founder@example.test", &fixtures::tenant());
        let founded = fixtures::founded(fixtures::tenant());
        assert!(database.stores().auth.users.bootstrap(founded, account, Vec::new()).await.unwrap());
        place.execute("INSERT INTO tenants (id, created_at) VALUES ('other', '2026-01-01T00:00:00.000000Z')");
        crate::judged_state::guard(&place);
        Self { database, place }
    }

    pub(crate) fn mass(&self) -> &dyn MassStore {
        &*self.database.stores().mass
    }

    pub(crate) fn deliveries(&self) -> &dyn DeliveryStore {
        &*self.database.stores().deliveries
    }

    pub(crate) fn outbox(&self) -> &dyn OutboxStore {
        &*self.database.stores().outbox
    }

    pub(crate) fn recommendations(&self) -> &dyn RecommendationStore {
        &*self.database.stores().recommendations
    }

    pub(crate) fn users(&self) -> &dyn UserStore {
        &*self.database.stores().auth.users
    }

    pub(crate) fn sessions(&self) -> &dyn SessionStore {
        &*self.database.stores().auth.sessions
    }

    pub(crate) fn attempts(&self) -> &dyn AttemptStore {
        &*self.database.stores().auth.attempts
    }

    pub(crate) fn accounts(&self) -> &dyn AccountStore {
        &*self.database.stores().admin.accounts
    }

    pub(crate) fn tenants(&self) -> &dyn TenantStore {
        &*self.database.stores().admin.tenants
    }

    pub(crate) fn keys(&self) -> &dyn KeyStore {
        &*self.database.stores().admin.api_keys
    }

    /// Returns the port to API keys by their prefixes.
    pub(crate) fn key_ring(&self) -> &dyn ApiKeyStore {
        &*self.database.stores().auth.api_keys
    }

    pub(crate) fn settings(&self) -> &dyn SettingsStore {
        &*self.database.stores().admin.settings
    }

    pub(crate) fn alerts(&self) -> &dyn AlertStore {
        &*self.database.stores().alerts
    }

    pub(crate) fn tasks(&self) -> &dyn TaskQueue {
        &*self.database.stores().tasks
    }

    pub(crate) fn evaluation(&self) -> &dyn EvaluationStore {
        &*self.database.stores().evaluation
    }

    pub(crate) fn webhooks(&self) -> &dyn WebhookStore {
        &*self.database.stores().webhooks
    }

    pub(crate) fn notifications(&self) -> &dyn NotificationQueue {
        &*self.database.stores().notifications
    }

    pub(crate) fn savings(&self) -> &dyn SavingsStore {
        &*self.database.stores().savings
    }

    pub(crate) fn report_queue(&self) -> &dyn ReportQueue {
        &*self.database.stores().report_queue
    }

    pub(crate) fn quotas(&self) -> &dyn QuotaStore {
        &*self.database.stores().admin.quotas
    }

    /// Accepts one submission.
    pub(crate) async fn accept(&self, submission: Submission) -> Result<Receipt, Refusal> {
        self.mass()
            .accept(&fixtures::tenant(), vec![submission], Vec::new(), None)
            .await
            .unwrap()
            .unwrap()
            .pop()
            .unwrap()
    }

    /// Accepts one new submission.
    pub(crate) async fn stored(&self, submission: Submission) -> MassRequest {
        let receipt = self.accept(submission).await.unwrap();
        assert!(!receipt.replayed && receipt.outcome != Outcome::Duplicate, "{receipt:?}");
        receipt.request
    }

    /// Returns an existing request.
    pub(crate) async fn present(&self, id: MassRequestId) -> MassRequest {
        let found = self.mass().find(&fixtures::tenant(), id).await.unwrap();
        let Found::Present(request) = found else { panic!("{id} is {found:?}") };
        request
    }

    /// Returns the events of an existing request.
    pub(crate) async fn events(&self, id: MassRequestId) -> Vec<Event> {
        let found = self.mass().list_events(&fixtures::tenant(), id).await.unwrap();
        let Found::Present(events) = found else { panic!("{id} is {found:?}") };
        events
    }
}

impl DatabaseLocation {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub(crate) fn postgres() -> Self {
        Self::Postgres(PostgresDatabase::create())
    }

    /// A database on PostgreSQL that is migrated already.
    pub(crate) fn migrated() -> Self {
        Self::Postgres(PostgresDatabase::copy())
    }

    pub(crate) fn postgres_restricted() -> Self {
        Self::Postgres(PostgresDatabase::create_restricted())
    }

    /// A database on PostgreSQL as scripts/distribute.sql leaves it: the server then sends the statements that it sends to
    /// Citus. All rows are on this one node all the same.
    pub(crate) fn distributed() -> Self {
        let mut database = PostgresDatabase::create_restricted();
        database.is_distributed = true;
        let place = Self::Postgres(database);
        place.open().migrate().unwrap();
        place.execute(CITUS);
        place.distribute();
        place
    }

    /// Runs scripts/distribute.sql.
    pub(crate) fn distribute(&self) {
        let Self::Postgres(database) = self else { panic!("SQLite is one file") };
        self.execute(&format!("ALTER DATABASE {} SET citus.enable_unsafe_triggers = on", database.name));
        self.execute(include_str!("../../../../scripts/distribute.sql"));
        // The script is run by the owner, who may set a parameter of Citus where Citus has declared it.
        self.execute(&format!("ALTER TABLE delivery_turns OWNER TO {}", database.roles().owner));
    }

    /// Opens the database, as each of several processes would.
    pub(crate) fn open(&self) -> Database {
        crate::joins::watch();
        open(&self.options()).unwrap()
    }

    pub(crate) fn options(&self) -> Options {
        let (url, migration_url) = match self {
            Self::Sqlite(folder) => (format!("sqlite://{}", folder.path().join("data/mass.db").display()), None),
            Self::Postgres(database) => match &database.roles {
                Some(roles) => {
                    // So that `joins` knows which rules the statements have to keep.
                    let name = if database.is_distributed { "?application_name=distributed" } else { "" };
                    let url = |role| format!("{}{name}", database.url_as(role));
                    (url(&roles.server), Some(url(&roles.owner)))
                }
                None => (database.url(), None),
            },
        };
        let program = Program { commit: "0123456789ab".to_owned(), version: "0.1.0".to_owned() };
        let (pool_size, observer) = (NonZeroU32::new(4).unwrap(), Arc::new(()));
        let timeout = Duration::from_secs(60);
        Options { url, migration_url, statement_cache: true, program, pool_size, timeout, observer }
    }

    /// Runs statements directly: on PostgreSQL as a superuser without restrictions.
    pub(crate) fn execute(&self, statements: &str) {
        match self {
            Self::Sqlite(_) => self.sqlite_connection().batch_execute(statements).unwrap(),
            Self::Postgres(database) => database.connection().batch_execute(statements).unwrap(),
        }
    }

    /// Returns the column `line` of a query.
    pub(crate) fn lines(&self, query: &str) -> Vec<String> {
        let rows: Vec<Line> = match self {
            Self::Sqlite(_) => sql_query(query).load(&mut self.sqlite_connection()).unwrap(),
            Self::Postgres(database) => sql_query(query).load(&mut database.connection()).unwrap(),
        };
        rows.into_iter().map(|row| row.line).collect()
    }

    pub(crate) fn sqlite_connection(&self) -> SqliteConnection {
        let mut connection = SqliteConnection::establish(self.options().url.trim_start_matches("sqlite://")).unwrap();
        connection.batch_execute("PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON").unwrap();
        connection
    }
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// A database on the cluster of the tests.
pub(crate) struct PostgresDatabase {
    name: String,
    roles: Option<Roles>,
    is_distributed: bool,
}

/// What scripts/distribute.sql asks of Citus: it refuses tables that Citus would refuse, and takes notes.
const CITUS: &str = r#"
    CREATE TABLE pg_dist_partition (logicalrel regclass PRIMARY KEY, partmethod "char" NOT NULL, repmodel "char" NOT NULL);
    CREATE FUNCTION create_reference_table(place regclass) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND place IN (conrelid, confrelid)) THEN
            RAISE EXCEPTION '% has foreign keys', place;
        END IF;
        INSERT INTO pg_dist_partition VALUES (place, 'n', 't');
    END
    $$;
    CREATE FUNCTION create_distributed_table(place regclass, by text, colocate_with text) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND place IN (conrelid, confrelid)) THEN
            RAISE EXCEPTION '% has foreign keys', place;
        END IF;
        IF EXISTS (
            SELECT FROM pg_index WHERE indrelid = place AND indisunique AND NOT EXISTS (
                SELECT FROM pg_attribute WHERE attrelid = place AND attname = by AND attnum = ANY (indkey)
            )
        ) THEN
            RAISE EXCEPTION '% has a unique index without %', place, by;
        END IF;
        IF colocate_with <> 'none' AND NOT EXISTS (
            SELECT FROM pg_dist_partition WHERE logicalrel = colocate_with::regclass AND partmethod = 'h'
        ) THEN
            RAISE EXCEPTION '% is not distributed', colocate_with;
        END IF;
        INSERT INTO pg_dist_partition VALUES (place, 'h', 's');
    END
    $$;"#;

/// The roles of a database with a migrating and a serving role. The password of each is its name.
pub(crate) struct Roles {
    pub(crate) owner: String,
    pub(crate) server: String,
}

impl PostgresDatabase {
    fn create() -> Self {
        let name = format!("mass_test_{}", Uuid::now_v7().simple());
        administration().batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
        Self { name, roles: None, is_distributed: false }
    }

    fn copy() -> Self {
        let template = template::migrated(&server_url(), |name| {
            let place = DatabaseLocation::Postgres(Self { name: name.to_owned(), roles: None, is_distributed: false });
            place.open().migrate().unwrap();
            // It stays.
            std::mem::forget(place);
        });
        let name = format!("mass_test_{}", Uuid::now_v7().simple());
        administration().batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {template}")).unwrap();
        Self { name, roles: None, is_distributed: false }
    }

    /// The roles are created as docs/operations.md says.
    fn create_restricted() -> Self {
        let mut database = Self::create();
        let roles = Roles { owner: format!("{}_owner", database.name), server: format!("{}_server", database.name) };
        let Roles { owner, server } = &roles;
        let statements = [
            format!("CREATE ROLE {owner} LOGIN PASSWORD '{owner}'"),
            format!("CREATE ROLE {server} LOGIN PASSWORD '{server}'"),
            format!("ALTER DATABASE {} OWNER TO {owner}", database.name),
        ];
        administration().batch_execute(&statements.join(";")).unwrap();
        database.roles = Some(roles);
        database
    }

    fn url(&self) -> String {
        let server = server_url();
        let (base, _) = server.rsplit_once('/').expect("MASS_TEST_POSTGRES_URL ends with a database's name");
        format!("{base}/{}", self.name)
    }

    /// Returns the URL with another role.
    pub(crate) fn url_as(&self, role: &str) -> String {
        let url = self.url();
        let (scheme, rest) = url.split_once("://").unwrap();
        let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        format!("{scheme}://{role}:{role}@{place}")
    }

    /// Returns the roles of a restricted database.
    pub(crate) fn roles(&self) -> &Roles {
        self.roles.as_ref().expect("the database has roles of its own")
    }

    pub(crate) fn connection_as(&self, role: &str) -> PgConnection {
        unguarded(PgConnection::establish(&self.url_as(role)).unwrap())
    }

    pub(crate) fn connection(&self) -> PgConnection {
        unguarded(self.guarded_connection())
    }

    /// A connection that [`judged_state`](crate::judged_state) guards like those of the stores.
    pub(crate) fn guarded_connection(&self) -> PgConnection {
        PgConnection::establish(&self.url()).unwrap()
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        administration().batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).unwrap();
        if let Some(Roles { owner, server }) = &self.roles {
            administration().batch_execute(&format!("DROP ROLE {server}, {owner}")).unwrap();
        }
    }
}

/// Lets a test change what [`judged_state`](crate::judged_state) guards, beside the ports.
fn unguarded(mut connection: PgConnection) -> PgConnection {
    connection.batch_execute(crate::joins::BESIDE_THE_PORTS).unwrap();
    connection
}

pub(crate) fn administration() -> PgConnection {
    PgConnection::establish(&server_url()).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "tests are told of their cluster by the environment")]
fn server_url() -> String {
    std::env::var("MASS_TEST_POSTGRES_URL").expect(
        "run ./scripts/test, which starts a throw-away PostgreSQL cluster, or set MASS_TEST_POSTGRES_URL to a \
         superuser's URL of one",
    )
}
