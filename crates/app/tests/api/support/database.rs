//! A database for each test, removed at its end.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::sql_types::{BigInt, Text};
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};
use mass_app::program::program;
use mass_persistence::Options;
use tempfile::TempDir;
use uuid::Uuid;

use super::template;

/// The database of a test.
pub(crate) enum TestDatabase {
    /// A file in its own folder.
    Sqlite(TempDir),
    /// A database on the cluster of the tests.
    Postgres {
        /// Its name.
        name: String,
        /// True if the program serves it under a role that is subject to row-level security, and another role migrates.
        restricted: bool,
    },
}

/// The URLs that the program gets.
pub(crate) struct Urls {
    pub(crate) database: String,
    pub(crate) migration: Option<String>,
}

impl TestDatabase {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub(crate) fn postgres() -> Self {
        let name = format!("mass_api_{}", Uuid::now_v7().simple());
        on_cluster(&format!("CREATE DATABASE {name}"));
        Self::Postgres { name, restricted: false }
    }

    /// A database on PostgreSQL that is migrated already.
    pub(crate) fn migrated() -> Self {
        let template = template::migrated(&cluster_url(), |name| {
            let place = Self::Postgres { name: name.to_owned(), restricted: false };
            let options = Options {
                url: place.url(),
                migration_url: None,
                statement_cache: true,
                program: program(),
                pool_size: NonZeroU32::MIN,
                timeout: Duration::from_secs(60),
                observer: Arc::new(()),
            };
            mass_persistence::open(&options).unwrap().migrate().unwrap();
            // It stays.
            std::mem::forget(place);
        });
        let name = format!("mass_api_{}", Uuid::now_v7().simple());
        on_cluster(&format!("CREATE DATABASE {name} TEMPLATE {template}"));
        Self::Postgres { name, restricted: false }
    }

    /// The roles are created as docs/operations.md says; the password of each is its name.
    pub(crate) fn postgres_restricted() -> Self {
        let name = format!("mass_api_{}", Uuid::now_v7().simple());
        on_cluster(&format!("CREATE ROLE {name}_owner LOGIN PASSWORD '{name}_owner'"));
        on_cluster(&format!("CREATE ROLE {name}_server LOGIN PASSWORD '{name}_server'"));
        on_cluster(&format!("CREATE DATABASE {name} OWNER {name}_owner"));
        Self::Postgres { name, restricted: true }
    }

    /// Returns the program's URLs.
    pub(crate) fn urls(&self) -> Urls {
        let url = self.url();
        match self {
            Self::Postgres { name, restricted: true } => {
                let (scheme, rest) = url.split_once("://").unwrap();
                let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
                let url_as = |role: String| format!("{scheme}://{role}:{role}@{place}");
                Urls { database: url_as(format!("{name}_server")), migration: Some(url_as(format!("{name}_owner"))) }
            }
            Self::Sqlite(_) | Self::Postgres { restricted: false, .. } => Urls { database: url, migration: None },
        }
    }

    /// Returns the URL for direct access: on PostgreSQL as a superuser.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite://{}", folder.path().join("mass.db").display()),
            Self::Postgres { name, .. } => {
                let cluster = cluster_url();
                let (server, _) = cluster.rsplit_once('/').expect("MASS_TEST_POSTGRES_URL ends with a database's name");
                format!("{server}/{name}")
            }
        }
    }

    /// Counts the rows of a query directly.
    pub(crate) fn count(&self, from: &str) -> i64 {
        #[derive(QueryableByName)]
        struct Count {
            #[diesel(sql_type = BigInt)]
            count: i64,
        }
        let query = sql_query(format!("SELECT count(*) AS count FROM {from}"));
        let url = self.url();
        let found: Count = match self {
            Self::Sqlite(_) => {
                let path = url.trim_start_matches("sqlite://");
                query.get_result(&mut SqliteConnection::establish(path).unwrap()).unwrap()
            }
            Self::Postgres { .. } => query.get_result(&mut PgConnection::establish(&url).unwrap()).unwrap(),
        };
        found.count
    }

    /// Returns the column `line` of a query directly.
    pub(crate) fn lines(&self, query: &str) -> Vec<String> {
        let url = self.url();
        match self {
            Self::Sqlite(_) => lines_of_sqlite(url.trim_start_matches("sqlite://"), query),
            Self::Postgres { .. } => texts(sql_query(query).load(&mut PgConnection::establish(&url).unwrap()).unwrap()),
        }
    }

    /// Returns what a role that is its own password finds on PostgreSQL, in the one column `line`, after these statements.
    pub(crate) fn lines_as(&self, role: &str, set_up: &[&str], query: &str) -> Vec<String> {
        let url = self.url();
        let place = url.rsplit_once('@').map_or(url.as_str(), |(_, place)| place);
        let mut connection = PgConnection::establish(&format!("postgres://{role}:{role}@{place}")).unwrap();
        for statement in set_up {
            connection.batch_execute(statement).unwrap();
        }
        texts(sql_query(query).load(&mut connection).unwrap())
    }

    /// Runs SQL directly.
    pub(crate) fn execute(&self, sql: &str) {
        let url = self.url();
        match self {
            Self::Sqlite(_) => execute_on_sqlite(url.trim_start_matches("sqlite://"), sql),
            Self::Postgres { .. } => PgConnection::establish(&url).unwrap().batch_execute(sql).unwrap(),
        }
    }

    /// Puts an empty database in the place of this one.
    pub(crate) fn empty(&self) {
        let name = self.name();
        on_cluster(&format!("DROP DATABASE {name} WITH (FORCE)"));
        let owner = match self {
            Self::Postgres { restricted: true, .. } => format!("OWNER {name}_owner"),
            Self::Postgres { .. } | Self::Sqlite(_) => String::new(),
        };
        on_cluster(&format!("CREATE DATABASE {name} {owner}"));
    }

    /// Closes every connection to a database of the cluster, and allows no new ones.
    pub(crate) fn close(&self) {
        let name = self.name();
        on_cluster(&format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false"));
        on_cluster(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"));
    }

    /// Allows connections again.
    pub(crate) fn open(&self) {
        on_cluster(&format!("ALTER DATABASE {} WITH ALLOW_CONNECTIONS true", self.name()));
    }

    fn name(&self) -> &str {
        match self {
            Self::Postgres { name, .. } => name,
            Self::Sqlite(_) => panic!("a file has no name on a cluster"),
        }
    }

    /// Makes every write of an audit event fail from now on.
    pub(crate) fn refuse_events(&self) {
        self.execute(match self {
            Self::Sqlite(_) => {
                "CREATE TRIGGER refuse BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'refused'); END"
            }
            Self::Postgres { .. } => {
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                     $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
                 CREATE TRIGGER refuse BEFORE INSERT ON audit_events EXECUTE FUNCTION refuse()"
            }
        });
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Self::Postgres { name, restricted } = self {
            on_cluster(&format!("DROP DATABASE {name} WITH (FORCE)"));
            if *restricted {
                on_cluster(&format!("DROP ROLE {name}_server, {name}_owner"));
            }
        }
    }
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

fn texts(lines: Vec<Line>) -> Vec<String> {
    lines.into_iter().map(|line| line.line).collect()
}

/// Returns the column `line` of a query on an SQLite file.
pub(crate) fn lines_of_sqlite(path: &str, query: &str) -> Vec<String> {
    let mut connection = SqliteConnection::establish(path).unwrap();
    connection.batch_execute("PRAGMA busy_timeout = 5000").unwrap();
    texts(sql_query(query).load(&mut connection).unwrap())
}

/// Runs SQL on an SQLite file.
pub(crate) fn execute_on_sqlite(path: &str, sql: &str) {
    let mut connection = SqliteConnection::establish(path).unwrap();
    connection.batch_execute("PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON").unwrap();
    connection.batch_execute(sql).unwrap();
}

/// Removes the triggers that protect the audit trail.
pub(crate) fn unlock_audit_trail(is_postgres: bool, lines: impl Fn(&str) -> Vec<String>, execute: impl Fn(&str)) {
    if is_postgres {
        for table in ["audit_heads", "audit_events", "audit_nodes", "audit_checkpoints"] {
            execute(&format!("ALTER TABLE {table} DISABLE TRIGGER USER"));
        }
        return;
    }
    let triggers = "SELECT name AS line FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'audit%'";
    for trigger in lines(triggers) {
        execute(&format!("DROP TRIGGER {trigger}"));
    }
}

fn on_cluster(sql: &str) {
    PgConnection::establish(&cluster_url()).unwrap().batch_execute(sql).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "tests are told of their cluster by the environment")]
fn cluster_url() -> String {
    std::env::var("MASS_TEST_POSTGRES_URL").unwrap_or_else(|_| {
        panic!("run ./scripts/test, which starts a throw-away PostgreSQL, or set MASS_TEST_POSTGRES_URL")
    })
}
