//! SQLite: the connection, and the functions that differ from PostgreSQL.
#![expect(clippy::duplicate_mod, reason = "one body for two databases: docs/decisions/0002-one-body-two-databases.md")]

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::anyhow;
use diesel::Connection as _;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::CustomizeConnection;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use mass_domain::contracts::ContractId;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;

use crate::columns::{Id, Instant, Json, Word, sql};
use crate::connections::{ANALYTICS, ANALYTICS_OF_TENANT, Connections, EXPORTS, PROJECTIONS, Walled};
use crate::group_commit::GroupCommit;
use crate::layout::Layout;
use crate::round_robin::round_robin;
use crate::rows::{
    Addition, AttemptRow, DueRow, KeyRow, MetKeyRow, ObjectEventRow, PlacedEventRow, SessionRow, VersionRow,
};
use crate::schema::{
    self, audit_events, audit_heads, delivery_queue, idempotency_keys, login_attempts, mass_requests, tenant_usage,
};
use crate::versions::refuse_newer;
use crate::{LockedFile, MigrateError, NewerDatabase, OpenError, Options};

#[path = "backend/ports.rs"]
mod backend;
mod backup;
mod examining;
mod projecting;
mod sweeping;

use backend::{Share, names};
pub(crate) use backup::into_one_file;
use backup::{back_up, file, load};
use examining::{clock, damage, examine};
use sweeping::{Sweeping, sweep};

type Connection = SqliteConnection;
type Backend = diesel::sqlite::Sqlite;

/// Reading rows one by one, instead of all of an answer at once.
type RowByRow = diesel::connection::DefaultLoadingMode;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// `FULL`: with `NORMAL`, a power cut can undo a commit that was answered. `secure_delete`: overwrites erased content
/// in the file.
const SETUP: &str = "
    PRAGMA busy_timeout = 5000;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA secure_delete = ON;
";

/// The wait for another process's lock, as [`SETUP`] sets it.
pub(crate) const BUSY_SECONDS: u32 = 5;

/// The free space on the file's disk, in bytes, below which a server is not ready.
const ROOM: u64 = 16 << 20;

/// The ports on SQLite.
pub(crate) struct Store {
    reads: Connections<Connection>,
    // One connection: SQLite has one writer at a time, and this queue is fair, unlike SQLite's own.
    writes: Arc<Connections<Connection>>,
    // A separate pool, so that a client which reads an export slowly keeps no connection from other reads.
    exports: Connections<Connection>,
    // A separate pool, so that a client which reads figures slowly keeps no connection from other reads.
    analytics: Connections<Connection>,
    // A separate pool, so that the projector keeps no connection from requests while it reads.
    projections: Connections<Connection>,
    accepting: GroupCommit<Connection>,
    /// The tenant whose delivery was claimed last.
    last_served: Mutex<Option<TenantId>>,
    sweeping: Arc<Sweeping>,
    path: String,
    /// Device and number of the file that was opened.
    file: (u64, u64),
}

impl Store {
    /// Opens the file. Creates it, with its folder, if it is missing.
    pub(crate) fn open(path: &Path, options: &Options) -> Result<Self, OpenError> {
        if let Some(folder) = path.parent() {
            // The file has telemetry and password hashes.
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(|source| OpenError::Folder { folder: folder.to_owned(), source })?;
        }
        let url = path.to_str().ok_or(OpenError::Unreachable("its path is not UTF-8".to_owned()))?;
        keep_private(path)?;
        let mut connection = Connection::establish(url).map_err(|error| OpenError::Unreachable(error.to_string()))?;
        let applied = connection.batch_execute(SETUP).and_then(|()| applied_migrations(&mut connection));
        let applied = applied.map_err(|error| match locked(&error, url) {
            Some(locked) => locked.into(),
            None => OpenError::Unreachable(error.to_string()),
        })?;
        refuse_newer::<Backend>(applied, MIGRATIONS)?;
        let file = file_at(url).map_err(|error| OpenError::Unreachable(error.to_string()))?;
        let writes = Arc::new(Connections::new("database write", url, 1, options.timeout, Setup));
        let accepting = GroupCommit::new(
            Arc::clone(&writes),
            |connection, tenant, documents, foresight| {
                backend::commit_documents(connection, tenant, documents, foresight, Layout::OneNode)
            },
            None,
            Arc::clone(&options.observer),
        );
        let reads = Connections::new("database read", url, options.pool_size.get(), options.timeout, Setup);
        let exports = Connections::new("database export", url, EXPORTS, options.timeout, Setup).one_for_each_tenant();
        let analytics = Connections::new("database analytics", url, ANALYTICS, options.timeout, Setup)
            .at_most_for_each_tenant(ANALYTICS_OF_TENANT);
        let projections = Connections::new("database projection", url, PROJECTIONS, options.timeout, Setup);
        let (last_served, sweeping) = (Mutex::default(), Arc::default());
        let path = url.to_owned();
        Ok(Self { reads, writes, exports, analytics, projections, accepting, last_served, sweeping, path, file })
    }
}

fn file_at(path: &str) -> std::io::Result<(u64, u64)> {
    std::fs::metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Creates the file if it is missing, and makes it readable for its owner only; SQLite gives the files beside it the
/// same mode. Other faults are left to SQLite.
fn keep_private(path: &Path) -> Result<(), OpenError> {
    let _made_or_there = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    for ending in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        let path = PathBuf::from(name);
        let Ok(file) = std::fs::metadata(&path) else { continue };
        let mode = file.mode() & 0o7777;
        if file.is_file() && mode & 0o077 != 0 {
            let private = Permissions::from_mode(mode & 0o700);
            if let Err(error) = std::fs::set_permissions(&path, private) {
                return Err(OpenError::Exposed { path, mode, reason: error.to_string() });
            }
            tracing::warn!(path = %path.display(), mode = format!("{mode:04o}"), "others could read a file of the database: they no longer can");
        }
    }
    Ok(())
}

/// Lists the versions of the applied migrations.
fn applied_migrations(connection: &mut Connection) -> QueryResult<Vec<String>> {
    let is_there = "EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '__diesel_schema_migrations')";
    if !diesel::select(diesel::dsl::sql::<Bool>(is_there)).get_result(connection)? {
        return Ok(Vec::new());
    }
    diesel::dsl::sql::<Text>("SELECT version FROM __diesel_schema_migrations").load(connection)
}

/// Returns an error for a file that another process keeps locked.
fn locked(error: &dyn std::fmt::Display, path: &str) -> Option<LockedFile> {
    error.to_string().contains("database is locked").then(|| LockedFile { path: path.into() })
}

/// Checks that the file is where it was opened. SQLite would silently go on in a file that was deleted or moved away,
/// whose content would be missing at the next start.
fn in_place(store: &Store) -> Result<(), PortError> {
    match file_at(&store.path) {
        Ok(file) if file == store.file => Ok(()),
        Ok(_) => Err(PortError::Unavailable(anyhow!("{} is another file than the one that was opened", store.path))),
        Err(error) => Err(PortError::Unavailable(anyhow!("{} is not there any more: {error}", store.path))),
    }
}

/// Checks that the file can grow: transactions and SQLite itself need room.
fn has_room(store: &Store) -> Result<(), PortError> {
    let free = match rustix::fs::statvfs(store.path.as_str()) {
        Ok(system) => system.f_bavail.saturating_mul(system.f_frsize),
        Err(error) => return Err(PortError::Unavailable(error.into())),
    };
    if free < ROOM {
        return Err(PortError::Unavailable(anyhow!("{free} bytes are free for {}, of {ROOM} at least", store.path)));
    }
    Ok(())
}

/// Writes as much as a document needs, and removes it again.
fn try_to_write(connection: &mut Connection) -> QueryResult<()> {
    write(connection, |connection| {
        connection.batch_execute(
            "CREATE TABLE room (content BLOB); INSERT INTO room VALUES (zeroblob(1048576)); DROP TABLE room",
        )
    })
}

#[derive(Debug)]
struct Setup;

impl CustomizeConnection<Connection, diesel::r2d2::Error> for Setup {
    fn on_acquire(&self, connection: &mut Connection) -> Result<(), diesel::r2d2::Error> {
        connection.batch_execute(SETUP).map_err(diesel::r2d2::Error::QueryError)
    }
}

/// SQLite has no roles and no row-level security: only the predicates of the statements separate tenants.
impl Walled for Connection {
    const SYSTEM: &'static str = "sqlite";

    fn has_walls(&mut self) -> QueryResult<bool> {
        Ok(false)
    }

    fn probe(&mut self) -> QueryResult<()> {
        Ok(())
    }

    fn enter(&mut self, _tenant: &TenantId) -> QueryResult<()> {
        Ok(())
    }

    fn within<T>(&mut self, work: impl FnOnce(&mut Self) -> QueryResult<T>) -> QueryResult<T> {
        work(self)
    }
}

/// Runs a unit of work that writes. The transaction takes the file's write lock at its beginning: later, after a read,
/// the lock could be refused.
fn write<T>(connection: &mut Connection, work: impl FnOnce(&mut Connection) -> QueryResult<T>) -> QueryResult<T> {
    connection.immediate_transaction(work)
}

/// Runs a unit of work of several reads in one snapshot.
fn read<T>(connection: &mut Connection, work: impl FnOnce(&mut Connection) -> QueryResult<T>) -> QueryResult<T> {
    connection.transaction(work)
}

/// Does nothing: SQLite has no row-level security.
fn switch(_connection: &mut Connection, _tenant: &TenantId) -> QueryResult<()> {
    Ok(())
}

/// Returns the columns that tell the rows of a table apart: those of its primary key, since not all tables have a rowid.
fn row_columns(connection: &mut Connection, table: &str) -> QueryResult<String> {
    let columns = format!("SELECT group_concat(name, ', ') FROM pragma_table_info('{table}') WHERE pk > 0");
    diesel::dsl::sql::<Text>(&columns).get_result(connection)
}

/// The placeholders of the first values of a statement.
const PLACES: [&str; 2] = ["?1", "?2"];

/// Tells whether archived events may be removed: always, since SQLite has no roles.
fn may_archive(_connection: &mut Connection) -> QueryResult<bool> {
    Ok(true)
}

/// Returns the pool for archiving.
fn archiving(store: &Store) -> &Connections<Connection> {
    &store.writes
}

/// Returns the pool for the updates of projections: that of all writes, whose queue is fair.
fn applying(store: &Store) -> &Connections<Connection> {
    &store.writes
}

/// Reads the head of a tenant's log; the transaction has the write lock already.
fn lock_head(connection: &mut Connection, tenant: &TenantId) -> QueryResult<Option<(i64, Vec<u8>)>> {
    let head = audit_heads::table.find(tenant.as_str()).select((audit_heads::size, audit_heads::frontier));
    head.first(connection).optional()
}

/// Reads those of these idempotency keys that are stored.
fn met_keys(connection: &mut Connection, tenant: &TenantId, keys: &[&str]) -> QueryResult<Vec<MetKeyRow>> {
    let request_of_key = mass_requests::tenant_id
        .eq(idempotency_keys::tenant_id)
        .and(mass_requests::id.eq(idempotency_keys::request_id));
    idempotency_keys::table
        .inner_join(mass_requests::table.on(request_of_key))
        .filter(idempotency_keys::tenant_id.eq(tenant.as_str()))
        .filter(idempotency_keys::key.eq_any(keys))
        .select((KeyRow::as_select(), mass_requests::deleted_at.is_not_null()))
        .load(connection)
}

/// Reads the events of these requests. The statement has no order and no condition on the action: with either, the planner
/// scans the tenant's whole log.
fn events_of_requests(
    connection: &mut Connection,
    tenant: &TenantId,
    ids: &[String],
) -> QueryResult<Vec<ObjectEventRow>> {
    audit_events::table
        .filter(audit_events::tenant_id.eq(tenant.as_str()))
        .filter(audit_events::object_kind.eq("mass_request"))
        .filter(audit_events::object_id.eq_any(ids))
        .select((
            audit_events::object_id,
            audit_events::sequence,
            diesel::dsl::sql::<Text>("CASE WHEN action = 'accepted' THEN '' ELSE event END"),
        ))
        .load(connection)
}

/// Reads the events at these positions.
fn events_at(connection: &mut Connection, tenant: &TenantId, places: &[i64]) -> QueryResult<Vec<PlacedEventRow>> {
    audit_events::table
        .filter(audit_events::tenant_id.eq(tenant.as_str()))
        .filter(audit_events::sequence.eq_any(places))
        .select((audit_events::sequence, audit_events::action, audit_events::object_id))
        .load(connection)
}

/// Reads the stored versions under natural keys of these contracts.
fn met_versions(
    connection: &mut Connection,
    tenant: &TenantId,
    contracts: &[Word<ContractId>],
    keys: &[&str],
) -> QueryResult<Vec<VersionRow>> {
    mass_requests::table
        .filter(mass_requests::tenant_id.eq(tenant.as_str()))
        .filter(mass_requests::contract.eq_any(contracts))
        .filter(mass_requests::natural_key.eq_any(keys))
        .select((
            mass_requests::natural_key.assume_not_null(),
            mass_requests::id,
            mass_requests::fingerprint,
            mass_requests::corrected_by.is_not_null(),
        ))
        .load(connection)
}

/// Reads the longest due places of each tenant after this one, tenant by tenant; the transaction has the write lock
/// already.
fn lock_due(connection: &mut Connection, after: &str, now: Instant, share: &Share<'_>) -> QueryResult<Vec<DueRow>> {
    const DUE: &str = round_robin!(
        "?1",
        "
    SELECT due.tenant_id, due.delivery_id, due.due_at, due.fence
    FROM turn CROSS JOIN delivery_queue AS due
    ON due.tenant_id = turn.tenant_id AND due.delivery_id IN (
        SELECT delivery_id FROM delivery_queue
        WHERE tenant_id = turn.tenant_id AND due_at <= ?2 AND length(tenant_id) > 0
        ORDER BY due_at LIMIT ?3
    )
    WHERE turn.tenant_id NOT IN (SELECT value FROM json_each(?4)) LIMIT ?5"
    );
    let query = diesel::sql_query(DUE).bind::<Text, _>(after).bind::<sql::Instant, _>(now);
    let query =
        query.bind::<BigInt, _>(backend::column(share.of_each as u64)).bind::<Text, _>(Json(names(share.none_of)));
    query.bind::<BigInt, _>(backend::column(share.in_all as u64)).load(connection)
}

/// Tells whether anything is due of other tenants than these.
fn is_due(connection: &mut Connection, now: Instant, none_of: &[TenantId]) -> QueryResult<bool> {
    const IS_DUE: &str = round_robin!(
        "''",
        "
    SELECT due.tenant_id, due.delivery_id, due.due_at, due.fence
    FROM turn CROSS JOIN delivery_queue AS due ON due.tenant_id = turn.tenant_id AND due.due_at <= ?1 AND length(due.tenant_id) > 0
    WHERE turn.tenant_id NOT IN (SELECT value FROM json_each(?2)) LIMIT 1"
    );
    let query = diesel::sql_query(IS_DUE).bind::<sql::Instant, _>(now);
    let due: Vec<DueRow> = query.bind::<Text, _>(Json(names(none_of))).load(connection)?;
    Ok(!due.is_empty())
}

/// Reads a session; the transaction has the write lock already.
fn lock_session(connection: &mut Connection, tenant: &TenantId, id: Id) -> QueryResult<Option<SessionRow>> {
    schema::sessions::table.find((tenant.as_str(), id)).select(SessionRow::as_select()).first(connection).optional()
}

/// Reads the counter of a key; the transaction has the write lock already.
fn lock_attempts(connection: &mut Connection, key: &[u8]) -> QueryResult<AttemptRow> {
    login_attempts::table.find(key).select(AttemptRow::as_select()).first(connection)
}

/// Does nothing; the transaction has the write lock already.
fn lock_bootstrap(_connection: &mut Connection) -> QueryResult<()> {
    Ok(())
}

/// Returns the layout of the tables: a file is on one machine.
fn layout(_store: &Store) -> Layout {
    Layout::OneNode
}

/// Round trips are free: the database is in this process.
const ROUND_TRIPS_COST: bool = false;

/// Events are inserted before the head moves: the guards compare both as soon as it moves.
const HEAD_FIRST: bool = false;

/// Runs a unit of work that reads: what is committed is on the disk.
fn durably<T>(connection: &mut Connection, work: impl FnOnce(&mut Connection) -> QueryResult<T>) -> QueryResult<T> {
    work(connection)
}

/// Writes the additions of an acceptance. The assumptions were checked in the same transaction.
fn add(connection: &mut Connection, addition: &Addition<'_>, _layout: Layout) -> QueryResult<bool> {
    let Addition { tenant, before: _, assumed: _, head, usage, events, nodes, requests, keys, queue, flush: _ } =
        addition;
    // Row by row, since a statement for one row is prepared once, and one for many rows each time.
    for row in events {
        diesel::insert_into(audit_events::table).values(row).execute(connection)?;
    }
    diesel::update(audit_heads::table.find(tenant.as_str())).set(head).execute(connection)?;
    for row in requests {
        diesel::insert_into(mass_requests::table).values(row).execute(connection)?;
    }
    for row in keys {
        diesel::insert_into(idempotency_keys::table).values(row).execute(connection)?;
    }
    for row in queue {
        diesel::insert_into(delivery_queue::table).values(row).execute(connection)?;
    }
    diesel::insert_into(tenant_usage::table)
        .values(usage)
        .on_conflict(tenant_usage::tenant_id)
        .do_update()
        .set(usage)
        .execute(connection)?;
    backend::audit::store_nodes(connection, nodes)?;
    Ok(true)
}

/// Runs pending migrations, while other starting processes wait.
fn migrate(store: &Store) -> Result<Vec<String>, MigrateError> {
    let mut connection =
        Connection::establish(&store.path).map_err(|error| MigrateError::Unreachable(error.to_string()))?;
    let migrated = connection.batch_execute(SETUP).map_err(Into::into).and_then(|()| {
        connection.immediate_transaction(|connection| {
            // Again, since another process may have migrated meanwhile.
            refuse_newer::<Backend>(applied_migrations(connection)?, MIGRATIONS)?;
            let applied = connection.run_pending_migrations(MIGRATIONS)?;
            let applied = applied.iter().map(ToString::to_string).collect();
            backend::build_missing(connection)?;
            Ok(applied)
        })
    });
    if migrated.is_ok() {
        // Removes content that a killed server left in the log. If others read now, their own sweep will.
        let _ = sweeping::empty_log(&mut connection);
    }
    migrated.map_err(|error: Box<dyn std::error::Error + Send + Sync>| {
        match (locked(&error, &store.path), error.downcast::<NewerDatabase>()) {
            (_, Ok(newer)) => MigrateError::Newer(*newer),
            (Some(locked), Err(_)) => locked.into(),
            (None, Err(error)) => MigrateError::Failed(error),
        }
    })
}
