//! A database for each test.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};
use mass_admin_service::{AccountStore, KeyStore, QuotaStore, SettingsStore, TenantStore};
use mass_auth::{ApiKeyStore, AttemptStore, SessionStore, UserStore};
use mass_domain::audit::{Event, Program};
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::{MassRequest, Outcome};
use mass_persistence::{Database, Options, open};
use mass_savings_service::{ReportQueue, SavingsStore};
use mass_service::{DeliveryStore, Found, MassStore, OutboxStore, Receipt, RecommendationStore, Refusal, Submission};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{fixtures, template};

/// Creates three tests of each function: on SQLite, on PostgreSQL as the owner of the tables, and on PostgreSQL as a
/// role that is subject to row-level security.
macro_rules! on_both {
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

    /// Opens the database, as each of several processes would.
    pub(crate) fn open(&self) -> Database {
        crate::joins::watch();
        open(&self.options()).unwrap()
    }

    pub(crate) fn options(&self) -> Options {
        let (url, migration_url) = match self {
            Self::Sqlite(folder) => (format!("sqlite://{}", folder.path().join("data/mass.db").display()), None),
            Self::Postgres(database) => match &database.roles {
                Some(roles) => (database.url_as(&roles.server), Some(database.url_as(&roles.owner))),
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
}

/// The roles of a database with a migrating and a serving role. The password of each is its name.
pub(crate) struct Roles {
    pub(crate) owner: String,
    pub(crate) server: String,
}

impl PostgresDatabase {
    fn create() -> Self {
        let name = format!("mass_test_{}", Uuid::now_v7().simple());
        administration().batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
        Self { name, roles: None }
    }

    fn copy() -> Self {
        let template = template::migrated(&server_url(), |name| {
            let place = DatabaseLocation::Postgres(Self { name: name.to_owned(), roles: None });
            place.open().migrate().unwrap();
            // It stays.
            std::mem::forget(place);
        });
        let name = format!("mass_test_{}", Uuid::now_v7().simple());
        administration().batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {template}")).unwrap();
        Self { name, roles: None }
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
    connection.batch_execute("SET mass.beside_the_ports = 'on'").unwrap();
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
