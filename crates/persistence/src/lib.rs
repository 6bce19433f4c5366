//! SQLite and PostgreSQL behind the ports of the use-case crates.
//!
//! Belongs here: SQL, tables, transactions, connections, and the mapping of values to columns.
//! Does not belong here: decisions on stored state (the use-case crates), configuration, HTTP.
//!
//! The modules in `backend/` are written once and compiled twice, as children of `postgres` and of `sqlite`, which give
//! them a connection type and the functions that differ.

mod backup;
mod columns;
mod connections;
mod erased;
mod error_classifier;
mod examination;
mod flush;
mod foresight;
mod group_commit;
mod id_bounds;
mod layout;
mod limiter;
mod load;
mod postgres;
mod program;
mod round_robin;
mod rows;
mod schema;
mod sqlite;
mod statement;
mod store;
mod target;
mod versions;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use mass_admin_service::{
    AccountStore, ErasureStore, KeyStore, LeavingStore, LifecycleStore, QuotaStore, SettingsStore, TenantStore,
    UsageStore,
};
use mass_alert_service::{AlertStore, EvaluationStore, NotificationQueue, WebhookStore};
use mass_analytics_service::{AnalyticsStore, ProjectionStore};
use mass_audit_service::AuditStore;
use mass_audit_service::live::LiveStore;
use mass_auth::{ApiKeyStore, AttemptStore, AuthStores, FactorStore, SessionStore, UserStore};
use mass_domain::audit::Program;
use mass_domain::port::PortError;
use mass_domain::tasks::TaskQueue;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use mass_savings_service::{ReportQueue, SavingsStore};
use mass_service::{
    DeliveryStore, ExpiryStore, MappingStore, MassStore, OutboxStore, QuarantineStore, RecommendationStore,
    RetentionStore,
};

pub use backup::{BackupError, BackupKind};
pub use erased::{ERASED_TABLES, KEPT_TABLES};
pub use examination::{CredentialCounts, Examination, Roles};
pub use load::{CommitObserver, Load, PoolUse};
pub use target::InvalidUrl;
pub use versions::NewerDatabase;

use store::Upkeep;
use target::Target;

/// Options for opening a database.
pub struct Options {
    /// `sqlite://PATH` or `postgres://…`, the latter as libpq reads it.
    pub url: String,
    /// PostgreSQL: the URL with the role that migrates, if it is another one than the role that serves.
    pub migration_url: Option<String>,
    /// PostgreSQL: true to prepare statements once per connection. False behind a pooler in transaction mode without
    /// support for prepared statements.
    pub statement_cache: bool,
    /// The program, which every audit event names.
    pub program: Program,
    /// The most connections for reading. For writing, PostgreSQL has as many again and SQLite has one.
    pub pool_size: NonZeroU32,
    /// The time that a unit of work may take before the database counts as unavailable.
    pub timeout: Duration,
    /// The observer of group commits; `Arc::new(())` for none.
    pub observer: Arc<dyn CommitObserver>,
}

/// Reason for which a database is not opened. No message has a password.
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
        /// The error of the system.
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
        /// The error of the system.
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

/// Reason for which a database is not migrated. Earlier migrations stay.
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
    /// The role that serves cannot migrate, and no other one is named.
    #[error(
        "{pending} migrations are due, for which the role of DATABASE_URL has no rights: run `mass migrate` with \
         MASS_MIGRATION_DATABASE_URL, which names the role that owns the tables"
    )]
    NotOwner {
        /// The number of migrations.
        pending: usize,
    },
    /// A migration failed.
    #[error("a migration failed: {0}")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The role that migrates cannot grant the role that serves exactly the rights that it needs.
    #[error("the role that migrates cannot run {statement:?}, which the role that serves needs: {reason}")]
    Grant {
        /// The statement for an administrator to run.
        statement: String,
        /// The error of the database.
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

/// The time limit of a check: readiness probes wait for seconds at most.
const CHECK_LIMIT: Duration = Duration::from_millis(1500);

/// The ports on one database.
#[derive(Clone)]
pub struct Stores {
    /// MASS requests and their events.
    pub mass: Arc<dyn MassStore>,
    /// The queue for the engine, for its workers.
    pub deliveries: Arc<dyn DeliveryStore>,
    /// The outbox: a tenant's deliveries.
    pub outbox: Arc<dyn OutboxStore>,
    /// Recommendations.
    pub recommendations: Arc<dyn RecommendationStore>,
    /// Mapping profiles.
    pub mappings: Arc<dyn MappingStore>,
    /// Retention rules and legal holds.
    pub retention: Arc<dyn RetentionStore>,
    /// The tasks on whole tenants, for their workers.
    pub tasks: Arc<dyn TaskQueue>,
    /// Documents beyond their age, for the workers that erase them.
    pub expiry: Arc<dyn ExpiryStore>,
    /// Deleted tenants, for the workers that erase them.
    pub erasure: Arc<dyn ErasureStore>,
    /// The quarantine.
    pub quarantine: Arc<dyn QuarantineStore>,
    /// Accounts, sessions, log-in attempts and API keys.
    pub auth: AuthStores,
    /// Administration.
    pub admin: mass_admin_service::Stores,
    /// The audit trail.
    pub audit: Arc<dyn AuditStore>,
    /// The audit trail as it is stored, for verification.
    pub live: Arc<dyn LiveStore>,
    /// The projections of the audit trail, for the projector.
    pub projection: Arc<dyn ProjectionStore>,
    /// The projections of the audit trail, for those who read figures.
    pub analytics: Arc<dyn AnalyticsStore>,
    /// Alert rules and alerts.
    pub alerts: Arc<dyn AlertStore>,
    /// The evaluation of alert rules, for its workers.
    pub evaluation: Arc<dyn EvaluationStore>,
    /// Webhooks and their notifications.
    pub webhooks: Arc<dyn WebhookStore>,
    /// The queue of notifications, for its workers.
    pub notifications: Arc<dyn NotificationQueue>,
    /// Savings projects and their reports.
    pub savings: Arc<dyn SavingsStore>,
    /// The queue of savings reports, for its workers.
    pub report_queue: Arc<dyn ReportQueue>,
}

/// An open database.
pub struct Database {
    stores: Stores,
    upkeep: Arc<dyn Upkeep>,
    description: String,
}

/// Opens a database and connects once. Blocks. A missing SQLite file is created.
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

/// Describes the database of a URL for people and logs, without user and password.
///
/// # Errors
/// [`InvalidUrl`].
pub fn describe(url: &str) -> Result<String, InvalidUrl> {
    Target::parse(url).map(|target| target.describe())
}

impl Database {
    fn new<S>(store: S, description: String) -> Self
    where
        S: MassStore + UserStore + SessionStore + AttemptStore + ApiKeyStore + FactorStore + Upkeep + 'static,
        S: TenantStore + AccountStore + KeyStore + QuotaStore + LeavingStore + SettingsStore + LiveStore,
        S: DeliveryStore + OutboxStore + RecommendationStore + MappingStore + QuarantineStore,
        S: RetentionStore + ExpiryStore + LifecycleStore + ErasureStore + UsageStore,
        S: ProjectionStore + AnalyticsStore + SavingsStore + ReportQueue + AlertStore + EvaluationStore,
        S: WebhookStore + NotificationQueue + TaskQueue,
    {
        let store = Arc::new(store);
        let auth = AuthStores {
            users: store.clone(),
            sessions: store.clone(),
            attempts: store.clone(),
            api_keys: store.clone(),
            factors: store.clone(),
        };
        let admin = mass_admin_service::Stores {
            tenants: store.clone(),
            lifecycle: store.clone(),
            accounts: store.clone(),
            leaving: store.clone(),
            api_keys: store.clone(),
            quotas: store.clone(),
            sessions: store.clone(),
            usage: store.clone(),
            settings: store.clone(),
        };
        let stores = Stores {
            mass: store.clone(),
            deliveries: store.clone(),
            outbox: store.clone(),
            recommendations: store.clone(),
            mappings: store.clone(),
            retention: store.clone(),
            tasks: store.clone(),
            expiry: store.clone(),
            erasure: store.clone(),
            quarantine: store.clone(),
            auth,
            admin,
            audit: store.clone(),
            live: store.clone(),
            projection: store.clone(),
            analytics: store.clone(),
            alerts: store.clone(),
            evaluation: store.clone(),
            webhooks: store.clone(),
            notifications: store.clone(),
            savings: store.clone(),
            report_queue: store.clone(),
        };
        Self { stores, upkeep: store, description }
    }

    /// Returns the ports.
    #[must_use]
    pub const fn stores(&self) -> &Stores {
        &self.stores
    }

    /// Returns the description for people and logs, without user and password: `SQLite at data/mass.db`.
    #[must_use]
    pub fn describe(&self) -> &str {
        &self.description
    }

    /// Runs pending migrations and returns their names. Blocks. Of several processes that start together, one migrates
    /// while the others wait.
    ///
    /// # Errors
    /// [`MigrateError`].
    pub fn migrate(&self) -> Result<Vec<String>, MigrateError> {
        self.upkeep.migrate()
    }

    /// Examines the database for its operator. Blocks, and changes nothing.
    ///
    /// # Errors
    /// A message without a password, if it cannot be reached or read.
    pub fn examine(&self) -> Result<Examination, String> {
        self.upkeep.examine()
    }

    /// Writes a consistent copy to a new file, while servers go on. Blocks. With PostgreSQL this needs `pg_dump` and
    /// `pg_restore`, and the archive is read once more as a whole.
    ///
    /// # Errors
    /// [`BackupError`]; a part of the file may be there then.
    pub fn back_up(&self, path: &Path) -> Result<(), BackupError> {
        self.upkeep.back_up(path)
    }

    /// Loads the archive of a PostgreSQL database into this one, which has to be empty: all of it or nothing. Blocks.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn restore(&self, path: &Path) -> Result<(), BackupError> {
        self.upkeep.restore(path)
    }

    /// Closes an SQLite file, and makes it whole without the files beside it. Blocks.
    ///
    /// # Errors
    /// [`BackupError`], if others use it.
    pub fn into_one_file(self) -> Result<(), BackupError> {
        let file = self.upkeep.file();
        // The connections of the pools keep the log in use.
        drop(self);
        file.map_or(Ok(()), |file| sqlite::into_one_file(&file))
    }

    /// Lists the faults of a damaged SQLite file; none for PostgreSQL. Blocks, and reads the whole file.
    ///
    /// # Errors
    /// A message, if it cannot be read at all.
    pub fn damage(&self) -> Result<Vec<String>, String> {
        self.upkeep.damage()
    }

    /// Returns the clock of the database's machine; `None` for SQLite, whose machine is this one.
    ///
    /// # Errors
    /// [`PortError`].
    pub async fn clock(&self) -> Result<Option<Timestamp>, PortError> {
        self.upkeep.clock().await
    }

    /// Counts the credentials of a tenant: API keys that are valid at `now` and expire before `until`.
    ///
    /// # Errors
    /// [`PortError`].
    pub async fn credentials(
        &self,
        tenant: &TenantId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<CredentialCounts, PortError> {
        self.upkeep.credentials(tenant, now, until).await
    }

    /// Returns the present load, without a connection.
    #[must_use]
    pub fn load(&self) -> Load {
        self.upkeep.load()
    }

    /// Runs a trivial query, and a test write if the last write found no room. Gives up within seconds.
    ///
    /// # Errors
    /// [`PortError::Unavailable`] if it cannot be reached, does not answer, or cannot be written.
    pub async fn check(&self) -> Result<(), PortError> {
        let checked = tokio::time::timeout(CHECK_LIMIT, self.upkeep.check()).await;
        checked.unwrap_or_else(|_| Err(PortError::Unavailable(anyhow!("no answer within {CHECK_LIMIT:?}"))))
    }

    /// Deletes idempotency keys whose first use was before the instant. Returns their number.
    ///
    /// # Errors
    /// [`PortError`]; keys of some tenants may be deleted then.
    pub async fn purge(&self, before: Timestamp) -> Result<usize, PortError> {
        self.upkeep.purge(before).await
    }

    /// Deletes sessions that ended before the first instant, with their refresh tokens, and counters of log-in attempts
    /// from before it: counters with a success only from before the second instant. Returns their number.
    ///
    /// # Errors
    /// [`PortError`]; attempts may remain then.
    pub async fn purge_logins(&self, before: Timestamp, known_before: Timestamp) -> Result<usize, PortError> {
        self.upkeep.purge_logins(before, known_before).await
    }

    /// Deletes records of the quarantine that have expired at this instant. Returns their number.
    ///
    /// # Errors
    /// [`PortError`]; records of some tenants may be deleted then.
    pub async fn purge_quarantine(&self, now: Timestamp) -> Result<usize, PortError> {
        self.upkeep.purge_quarantine(now).await
    }
}
