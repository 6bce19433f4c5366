//! SQLite and PostgreSQL behind the ports of the use-case crates.
//!
//! Belongs here: SQL, tables, transactions, connections, and how values are kept in columns.
//! Does not belong here: what is decided from what is stored (the use-case crates), configuration, HTTP.
//!
//! The bodies in `backend/` are written once and compiled twice, as modules of `postgres` and of `sqlite`, which give
//! them a connection type and the few functions that really differ.

mod columns;
mod connections;
mod foresight;
mod group_commit;
mod id_bounds;
mod load;
mod postgres;
mod program;
mod round_robin;
mod rows;
mod schema;
mod sqlite;
mod store;
mod target;
mod trouble;
mod underway;
mod versions;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use mass_admin_service::{AccountStore, KeyStore, QuotaStore, SettingsStore, TenantStore};
use mass_audit_service::AuditStore;
use mass_audit_service::live::LiveStore;
use mass_auth::{ApiKeyStore, AttemptStore, AuthStores, SessionStore, UserStore};
use mass_domain::audit::Program;
use mass_domain::port::PortError;
use mass_domain::time::Timestamp;
use mass_service::{DeliveryStore, MassStore, OutboxStore, RecommendationStore};

pub use load::{CommitObserver, Load, PoolUse};
pub use target::InvalidUrl;
pub use versions::NewerDatabase;

use store::Upkeep;
use target::Target;

/// How to open a database.
pub struct Options {
    /// `sqlite://PATH` or `postgres://…`, the latter as libpq reads it.
    pub url: String,
    /// PostgreSQL: as whom to migrate, if not as who serves.
    pub migration_url: Option<String>,
    /// PostgreSQL: whether statements are prepared once per connection. Off behind a pooler in transaction mode that
    /// does not know prepared statements.
    pub statement_cache: bool,
    /// Which program this is: it stands in every audit event.
    pub program: Program,
    /// How many connections to read on at most. To write on, PostgreSQL has as many again and SQLite has one.
    pub pool_size: NonZeroU32,
    /// How long a unit of work may take before its caller is told that the database is not available.
    pub timeout: Duration,
    /// Hears of each commit of documents; `Arc::new(())` where nobody asks.
    pub observer: Arc<dyn CommitObserver>,
}

/// Why a database is not opened. No message holds a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL names no database.
    #[error(transparent)]
    Url(#[from] InvalidUrl),
    /// The URL to migrate under names another kind of database.
    #[error("the URL to migrate under is for PostgreSQL, beside a PostgreSQL database URL")]
    MigrationUrl,
    /// The URL to migrate under names no database.
    #[error(transparent)]
    UnreadableMigrationUrl(InvalidUrl),
    /// The folder of an SQLite file cannot be made.
    #[error("cannot make the folder {}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The database cannot be reached or refuses the login.
    #[error("{0}")]
    Unreachable(String),
    /// A newer program has migrated it.
    #[error(transparent)]
    Newer(#[from] NewerDatabase),
    /// Another process keeps an SQLite file locked.
    #[error(transparent)]
    Locked(#[from] LockedFile),
    /// A file of the database can be read by others than its owner, and that cannot be changed.
    #[error("others can read {}, whose mode is {mode:04o}, and this cannot be changed ({reason}): chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// What the system says.
        reason: String,
    },
}

/// Another process kept an SQLite file locked for longer than is waited for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "another process has kept the database {} locked for more than {} s: end it, or try again once it is done",
    path.display(),
    sqlite::BUSY_SECONDS
)]
pub struct LockedFile {
    /// The file.
    pub path: PathBuf,
}

/// Why a database is not migrated. What had been migrated before stays so.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database cannot be reached or refuses the login.
    #[error("{0}")]
    Unreachable(String),
    /// A newer program has migrated it.
    #[error(transparent)]
    Newer(#[from] NewerDatabase),
    /// Another process keeps an SQLite file locked.
    #[error(transparent)]
    Locked(#[from] LockedFile),
    /// A migration failed.
    #[error("a migration failed: {0}")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The role that migrates cannot give the role that serves what it needs, no more and no less.
    #[error("the role that migrates cannot run {statement:?}, which the role that serves needs: {reason}")]
    Grant {
        /// The statement that has to be run by whoever can.
        statement: String,
        /// What the database says.
        reason: String,
    },
    /// Row-level security does not hold the role that serves, although another role migrates.
    #[error(
        "row-level security does not hold the role {role:?}, which serves: it must be no superuser, without BYPASSRLS, \
         and no member of the role that migrates"
    )]
    NotHeld {
        /// The role that serves.
        role: String,
    },
}

/// How long a check may take: who asks whether a server is ready waits for seconds at most.
const CHECK_LIMIT: Duration = Duration::from_millis(1500);

/// The ports on one database.
#[derive(Clone)]
pub struct Stores {
    /// MASS requests and their events.
    pub mass: Arc<dyn MassStore>,
    /// The queue for the engine, as its workers see it.
    pub deliveries: Arc<dyn DeliveryStore>,
    /// The queue for the engine, as a tenant sees its part of it.
    pub outbox: Arc<dyn OutboxStore>,
    /// What the engine recommended.
    pub recommendations: Arc<dyn RecommendationStore>,
    /// What proves callers.
    pub auth: AuthStores,
    /// Administration.
    pub admin: mass_admin_service::Stores,
    /// The audit trail.
    pub audit: Arc<dyn AuditStore>,
    /// The audit trail as it is stored, for whoever verifies it.
    pub live: Arc<dyn LiveStore>,
}

/// An open database.
pub struct Database {
    stores: Stores,
    upkeep: Arc<dyn Upkeep>,
    description: String,
}

/// Opens a database, which is reached once to be sure of it. Blocks; an SQLite file is made if it is missing.
///
/// # Errors
/// [`OpenError`], after seconds at most.
pub fn open(options: &Options) -> Result<Database, OpenError> {
    program::introduce(options.program.clone());
    let target = Target::parse(&options.url)?;
    let migration_target = options.migration_url.as_deref().map(Target::parse).transpose();
    let migration_target = migration_target.map_err(OpenError::UnreadableMigrationUrl)?;
    let description = target.describe();
    match (target, migration_target) {
        (Target::Sqlite(path), None) => Ok(Database::new(sqlite::Store::open(&path, options)?, description)),
        (Target::Postgres(url), None) => {
            Ok(Database::new(postgres::Store::open(&url, url.clone(), options)?, description))
        }
        (Target::Postgres(url), Some(Target::Postgres(migration_url))) => {
            Ok(Database::new(postgres::Store::open(&url, migration_url, options)?, description))
        }
        (Target::Sqlite(_), Some(_)) | (Target::Postgres(_), Some(Target::Sqlite(_))) => Err(OpenError::MigrationUrl),
    }
}

/// The database that a URL names, for people and logs: without user and password.
///
/// # Errors
/// [`InvalidUrl`].
pub fn describe(url: &str) -> Result<String, InvalidUrl> {
    Target::parse(url).map(|target| target.describe())
}

impl Database {
    fn new<S>(store: S, description: String) -> Self
    where
        S: MassStore + UserStore + SessionStore + AttemptStore + ApiKeyStore + Upkeep + 'static,
        S: TenantStore + AccountStore + KeyStore + QuotaStore + SettingsStore + LiveStore,
        S: DeliveryStore + OutboxStore + RecommendationStore,
    {
        let store = Arc::new(store);
        let auth = AuthStores {
            users: store.clone(),
            sessions: store.clone(),
            attempts: store.clone(),
            api_keys: store.clone(),
        };
        let admin = mass_admin_service::Stores {
            tenants: store.clone(),
            accounts: store.clone(),
            api_keys: store.clone(),
            quotas: store.clone(),
            settings: store.clone(),
        };
        let stores = Stores {
            mass: store.clone(),
            deliveries: store.clone(),
            outbox: store.clone(),
            recommendations: store.clone(),
            auth,
            admin,
            audit: store.clone(),
            live: store.clone(),
        };
        Self { stores, upkeep: store, description }
    }

    /// The ports.
    #[must_use]
    pub const fn stores(&self) -> &Stores {
        &self.stores
    }

    /// The database for people and logs, without user and password: `SQLite at data/mass.db`.
    #[must_use]
    pub fn describe(&self) -> &str {
        &self.description
    }

    /// Brings the tables up to date and names the migrations that were pending. Blocks. Of several processes that start
    /// together, one migrates while the others wait.
    ///
    /// # Errors
    /// [`MigrateError`].
    pub fn migrate(&self) -> Result<Vec<String>, MigrateError> {
        self.upkeep.migrate()
    }

    /// What it is busy with now. Asks no connection.
    #[must_use]
    pub fn load(&self) -> Load {
        self.upkeep.load()
    }

    /// Reaches the database with a trivial query; and sees that there is room to write, after there was none. Gives up within
    /// seconds.
    ///
    /// # Errors
    /// [`PortError::Unavailable`] if it cannot be reached, does not answer, or cannot be written.
    pub async fn check(&self) -> Result<(), PortError> {
        let checked = tokio::time::timeout(CHECK_LIMIT, self.upkeep.check()).await;
        checked.unwrap_or_else(|_| Err(PortError::Unavailable(anyhow!("no answer within {CHECK_LIMIT:?}"))))
    }

    /// Forgets what need not be kept longer: the idempotency keys that were first used before the instant. Tells how
    /// many they were.
    ///
    /// # Errors
    /// [`PortError`]; nothing is forgotten then.
    pub async fn purge(&self, before: Timestamp) -> Result<usize, PortError> {
        self.upkeep.purge(before).await
    }

    /// Forgets sessions that ended before the first instant, with their refresh tokens; and attempts to log in that were
    /// made before it, where any ever succeeded: before the second instant. Tells how many they were.
    ///
    /// # Errors
    /// [`PortError`]; attempts may remain then.
    pub async fn purge_logins(&self, before: Timestamp, known_before: Timestamp) -> Result<usize, PortError> {
        self.upkeep.purge_logins(before, known_before).await
    }
}
