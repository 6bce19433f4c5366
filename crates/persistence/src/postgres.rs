//! PostgreSQL: the connection, and the functions that differ from SQLite.

use std::sync::{Arc, Mutex};

use diesel::Connection as _;
use diesel::connection::{AnsiTransactionManager, CacheSize, SimpleConnection, TransactionManager};
use diesel::prelude::*;
use diesel::r2d2::CustomizeConnection;
use diesel::sql_types::{Array, BigInt, Bool, Text};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use mass_domain::contracts::ContractId;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;

use crate::columns::{Id, Instant, Word, sql};
use crate::connections::{ANALYTICS, ANALYTICS_OF_TENANT, Connections, EXPORTS, FLUSHES, PROJECTIONS, Walled};
use crate::flush::LastEvent;
use crate::foresight::Foresight;
use crate::group_commit::{Committed, Documents, FlushLater, GroupCommit};
use crate::layout::Layout;
use crate::round_robin::round_robin;
use crate::rows::{Addition, AttemptRow, DueRow, MetKeyRow, ObjectEventRow, PlacedEventRow, SessionRow, VersionRow};
use crate::schema::{
    self, audit_events, audit_heads, delivery_queue, idempotency_keys, login_attempts, mass_requests, tenant_usage,
};
use crate::store::ROWS_PER_STATEMENT;
use crate::target::PostgresUrl;
use crate::versions::{pending, refuse_newer};
use crate::{MigrateError, OpenError, Options};

#[path = "backend/ports.rs"]
mod backend;
mod backup;
mod examining;
mod projecting;
mod roles;

use backend::{Share, names};
use backup::{back_up, file, load};
use examining::{clock, damage, examine};

type Connection = PgConnection;
type Backend = diesel::pg::Pg;

/// Reading rows one by one, instead of all of an answer at once.
type RowByRow = diesel::pg::PgRowByRowLoadingMode;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

// Advisory locks are numbers that a whole database shares; these begin with "MASS" in ASCII.
const MIGRATION_LOCK: i64 = 0x4d41_5353_0000_0001;
const BOOTSTRAP_LOCK: i64 = 0x4d41_5353_0000_0002;

/// The ports on PostgreSQL.
pub(crate) struct Store {
    reads: Connections<Connection>,
    // A separate pool, so that reads do not wait for writes.
    writes: Arc<Connections<Connection>>,
    // A separate pool, so that a client which reads an export slowly keeps no connection from other reads.
    exports: Connections<Connection>,
    // A separate pool, so that a client which reads figures slowly keeps no connection from other reads.
    analytics: Connections<Connection>,
    // A separate pool, so that the projector keeps no connection from requests.
    projections: Connections<Connection>,
    accepting: GroupCommit<Connection>,
    /// The tenant whose delivery was claimed last.
    last_served: Mutex<Option<TenantId>>,
    // With the role that migrates, which owns the audit trail.
    archiving: Connections<Connection>,
    layout: Layout,
    url: PostgresUrl,
    migration_url: PostgresUrl,
}

impl Store {
    /// Connects to the server.
    pub(crate) fn open(url: &PostgresUrl, migration_url: PostgresUrl, options: &Options) -> Result<Self, OpenError> {
        let mut connection = establish(url).map_err(OpenError::Unreachable)?;
        let applied = applied_migrations(&mut connection);
        let applied = applied.map_err(|error| OpenError::Unreachable(url.redact(&error.to_string())))?;
        refuse_newer::<Backend>(applied, MIGRATIONS)?;
        let setup = Setup { statement_cache: options.statement_cache, projects: false };
        let language = language(&mut connection, setup);
        let language = language.map_err(|error| OpenError::Unreachable(url.redact(&error.to_string())))?;
        if !is_english(&language) {
            tracing::warn!(
                lc_messages = language,
                "errors of the database cannot all be told apart: let lc_messages be C"
            );
        }
        let connections =
            |purpose| Connections::new(purpose, &url.with_defaults(), options.pool_size.get(), options.timeout, setup);
        let writes = Arc::new(connections("database write").one_for_each_tenant());
        let layout = find_layout(&mut connection);
        let layout = layout.map_err(|error| OpenError::Unreachable(url.redact(&error.to_string())))?;
        let observer = Arc::clone(&options.observer);
        let accepting = match layout {
            Layout::OneNode => {
                let flushes = Connections::new("database flush", &url.with_defaults(), FLUSHES, options.timeout, setup);
                let flush = FlushLater { connections: Arc::new(flushes), flush_after };
                GroupCommit::new(Arc::clone(&writes), commit_on_one_node, Some(flush), observer)
            }
            // A flush of this node would tell nothing of the tenant's.
            Layout::Distributed => GroupCommit::new(Arc::clone(&writes), commit_distributed, None, observer),
        };
        let archiving = Connections::new("database archive", &migration_url.with_defaults(), 1, options.timeout, setup);
        let exports = Connections::new("database export", &url.with_defaults(), EXPORTS, options.timeout, setup)
            .one_for_each_tenant();
        let analytics = Connections::new("database analytics", &url.with_defaults(), ANALYTICS, options.timeout, setup)
            .at_most_for_each_tenant(ANALYTICS_OF_TENANT);
        let projects = Setup { projects: true, ..setup };
        let projections =
            Connections::new("database projection", &url.with_defaults(), PROJECTIONS, options.timeout, projects);
        Ok(Self {
            reads: connections("database read"),
            writes,
            exports,
            analytics,
            projections,
            accepting,
            last_served: Mutex::default(),
            archiving,
            layout,
            url: url.clone(),
            migration_url,
        })
    }
}

/// Finds out whether scripts/distribute.sql has distributed the tables: it makes this one.
fn find_layout(connection: &mut Connection) -> QueryResult<Layout> {
    let is_distributed = diesel::dsl::sql::<Bool>("to_regclass('delivery_turns') IS NOT NULL");
    let is_distributed: bool = diesel::select(is_distributed).get_result(connection)?;
    Ok(if is_distributed { Layout::Distributed } else { Layout::OneNode })
}

fn commit_on_one_node(
    connection: &mut Connection,
    tenant: &TenantId,
    documents: Documents<'_>,
    foresight: &mut Foresight,
) -> QueryResult<Option<Committed>> {
    backend::commit_documents(connection, tenant, documents, foresight, Layout::OneNode)
}

fn commit_distributed(
    connection: &mut Connection,
    tenant: &TenantId,
    documents: Documents<'_>,
    foresight: &mut Foresight,
) -> QueryResult<Option<Committed>> {
    backend::commit_documents(connection, tenant, documents, foresight, Layout::Distributed)
}

fn establish(url: &PostgresUrl) -> Result<Connection, String> {
    Connection::establish(&url.with_defaults()).map_err(|error| url.redact(&error.to_string()))
}

/// Lists the versions of the applied migrations. Returns none if the role may not read them, as before the migration
/// that grants it.
fn applied_migrations(connection: &mut Connection) -> QueryResult<Vec<String>> {
    let may_read = "coalesce(has_table_privilege(to_regclass('__diesel_schema_migrations'), 'SELECT'), false)";
    if !diesel::select(diesel::dsl::sql::<Bool>(may_read)).get_result(connection)? {
        return Ok(Vec::new());
    }
    diesel::dsl::sql::<Text>("SELECT version::text FROM __diesel_schema_migrations").load(connection)
}

/// Returns the language of the server's messages on connections with this setup.
fn language(connection: &mut Connection, Setup { statement_cache, .. }: Setup) -> QueryResult<String> {
    if statement_cache {
        connection.batch_execute(IN_ENGLISH)?;
    }
    diesel::select(diesel::dsl::sql::<Text>("current_setting('lc_messages')")).get_result(connection)
}

fn is_english(language: &str) -> bool {
    language.is_empty() || language.starts_with("en") || matches!(language.split('.').next(), Some("C" | "POSIX"))
}

#[derive(Debug, Clone, Copy)]
struct Setup {
    statement_cache: bool,
    projects: bool,
}

/// A statement that is planned while its table is empty or not analysed yet may scan the whole table, or sort all rows
/// of a tenant for one page; and a prepared statement keeps its plan. All statements here look up keys or follow an
/// index, so other plans are penalised, and compiling them is not worth while.
///
/// A statement outside of transactions has to see earlier commits, whatever the database's default isolation is.
const FOR_PREPARED: &str = "SET enable_seqscan = off; SET enable_sort = off; SET jit = off; \
                            SET default_transaction_isolation = 'read committed'";

/// A batch of the projector that a crash of the server loses is computed again, so that its commit need not wait for the disk.
const FOR_PROJECTIONS: &str = "SET synchronous_commit = off";

/// Errors are classified by their English text where the driver gives no SQLSTATE. Setting the language needs a
/// superuser or a grant.
const IN_ENGLISH: &str = "SELECT set_config('lc_messages', 'C', false) \
                          WHERE has_parameter_privilege('lc_messages', 'SET')";

impl CustomizeConnection<Connection, diesel::r2d2::Error> for Setup {
    fn on_acquire(&self, connection: &mut Connection) -> Result<(), diesel::r2d2::Error> {
        if self.statement_cache {
            let further = if self.projects { FOR_PROJECTIONS } else { "" };
            let prepare = format!("{FOR_PREPARED}; {IN_ENGLISH}; {further}");
            connection.batch_execute(&prepare).map_err(diesel::r2d2::Error::QueryError)
        } else {
            connection.set_prepared_statement_cache_size(CacheSize::Disabled);
            Ok(())
        }
    }
}

/// Row-level security, which does not restrict the owner of the tables and superusers.
impl Walled for Connection {
    const SYSTEM: &'static str = "postgresql";

    fn has_walls(&mut self) -> QueryResult<bool> {
        let active = "EXISTS (SELECT FROM pg_class WHERE relrowsecurity AND relnamespace = current_schema()::regnamespace \
                      AND row_security_active(oid))";
        diesel::select(diesel::dsl::sql::<Bool>(active)).get_result(self)
    }

    fn probe(&mut self) -> QueryResult<()> {
        // Reads unsolicited messages: nothing, or the reason for closing the connection and the end of the stream.
        for _ in 0..2 {
            self.notifications_iter().next().transpose()?;
        }
        Ok(())
    }

    fn enter(&mut self, tenant: &TenantId) -> QueryResult<()> {
        // The tenant is set for this transaction only: the next user of the connection must not inherit it. One round
        // trip with BEGIN; a slug has no quotes.
        let begin = format!("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL mass.tenant = '{tenant}'");
        AnsiTransactionManager::begin_transaction_sql(self, &begin)
    }

    fn within<T>(&mut self, work: impl FnOnce(&mut Self) -> QueryResult<T>) -> QueryResult<T> {
        match work(self) {
            Ok(done) => AnsiTransactionManager::commit_transaction(self).map(|()| done),
            Err(error) => {
                // If this fails too, the pool drops the connection, and the first error says more.
                let _ = AnsiTransactionManager::rollback_transaction(self);
                Err(error)
            }
        }
    }
}

/// Runs a unit of work that writes, under READ COMMITTED: after the wait for the head's lock, statements see all that
/// its holder has written. Within a transaction it joins that one: its error has to be passed on, since it rolls back
/// nothing by itself.
fn write<T>(connection: &mut Connection, work: impl FnOnce(&mut Connection) -> QueryResult<T>) -> QueryResult<T> {
    let status = AnsiTransactionManager::transaction_manager_status_mut(connection);
    if status.transaction_depth()?.is_some() {
        return work(connection);
    }
    connection.build_transaction().read_committed().run(work)
}

/// Runs a unit of work of several reads in one snapshot.
fn read<T>(connection: &mut Connection, work: impl FnOnce(&mut Connection) -> QueryResult<T>) -> QueryResult<T> {
    let status = AnsiTransactionManager::transaction_manager_status_mut(connection);
    if status.transaction_depth()?.is_some() {
        connection.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")?;
        return work(connection);
    }
    connection.build_transaction().repeatable_read().read_only().run(work)
}

/// Goes on within a transaction in the name of another tenant.
fn switch(connection: &mut Connection, tenant: &TenantId) -> QueryResult<()> {
    // The guards of the log compare what they see: they look at the rows of the tenant so far before its name is gone. A slug
    // has no quotes.
    connection.batch_execute(&format!(
        "SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED; SET LOCAL mass.tenant = '{tenant}'"
    ))
}

/// Returns the columns that tell the rows of a table apart.
fn row_columns(_connection: &mut Connection, _table: &str) -> QueryResult<String> {
    Ok("ctid".to_owned())
}

/// The placeholders of the first values of a statement.
const PLACES: [&str; 2] = ["$1", "$2"];

/// Tells whether the connection's role may create tables.
fn may_migrate(connection: &mut Connection) -> QueryResult<bool> {
    let may_create = "coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)";
    diesel::select(diesel::dsl::sql::<Bool>(may_create)).get_result(connection)
}

/// Tells whether the connection's role may remove archived events.
fn may_archive(connection: &mut Connection) -> QueryResult<bool> {
    diesel::select(diesel::dsl::sql::<Bool>("has_table_privilege('audit_events', 'DELETE')")).get_result(connection)
}

/// Returns the pool for archiving.
fn archiving(store: &Store) -> &Connections<Connection> {
    &store.archiving
}

/// Returns the pool for the updates of projections.
fn applying(store: &Store) -> &Connections<Connection> {
    &store.projections
}

/// Locks and reads the head of a tenant's log.
fn lock_head(connection: &mut Connection, tenant: &TenantId) -> QueryResult<Option<(i64, Vec<u8>)>> {
    let head = audit_heads::table.find(tenant.as_str()).select((audit_heads::size, audit_heads::frontier));
    head.for_update().first(connection).optional()
}

/// Those of the sent keys that are stored. OFFSET 0 keeps each look-up separate: without statistics, PostgreSQL would
/// take reading all of a tenant's rows for cheaper.
const MET_KEYS: &str = "
    SELECT stored.* FROM (SELECT DISTINCT unnest($2)) AS sent (key)
    CROSS JOIN LATERAL (
        SELECT known.*, request.deleted_at IS NOT NULL AS deleted
        FROM idempotency_keys AS known
        JOIN mass_requests AS request ON request.tenant_id = known.tenant_id AND request.id = known.request_id
        WHERE known.tenant_id = $1 AND known.key = sent.key OFFSET 0
    ) AS stored";

/// The stored versions under the sent natural keys, each looked up separately.
const MET_VERSIONS: &str = "
    SELECT stored.* FROM (SELECT DISTINCT unnest($3)) AS sent (natural_key)
    CROSS JOIN LATERAL (
        SELECT natural_key, id, fingerprint, corrected_by IS NOT NULL AS superseded FROM mass_requests
        WHERE tenant_id = $1 AND contract = ANY ($2) AND natural_key = sent.natural_key OFFSET 0
    ) AS stored";

/// The events of the sent objects, each looked up separately.
const EVENTS_OF_REQUESTS: &str = "
    SELECT stored.* FROM unnest($2) AS sent (id)
    CROSS JOIN LATERAL (
        SELECT object_id, sequence, CASE WHEN action = 'accepted' THEN '' ELSE event END AS event FROM audit_events
        WHERE tenant_id = $1 AND object_kind = 'mass_request' AND object_id = sent.id OFFSET 0
    ) AS stored";

/// The events at the sent positions, each looked up separately.
const EVENTS_AT: &str = "
    SELECT stored.* FROM unnest($2) AS sent (sequence)
    CROSS JOIN LATERAL (
        SELECT sequence, action, object_id FROM audit_events
        WHERE tenant_id = $1 AND sequence = sent.sequence OFFSET 0
    ) AS stored";

/// Reads the events of these requests.
fn events_of_requests(
    connection: &mut Connection,
    tenant: &TenantId,
    ids: &[String],
) -> QueryResult<Vec<ObjectEventRow>> {
    let query = diesel::sql_query(EVENTS_OF_REQUESTS).bind::<Text, _>(tenant.as_str());
    query.bind::<Array<Text>, _>(ids).load(connection)
}

/// Reads the events at these positions.
fn events_at(connection: &mut Connection, tenant: &TenantId, places: &[i64]) -> QueryResult<Vec<PlacedEventRow>> {
    let query = diesel::sql_query(EVENTS_AT).bind::<Text, _>(tenant.as_str());
    query.bind::<Array<BigInt>, _>(places).load(connection)
}

/// Reads those of these idempotency keys that are stored.
fn met_keys(connection: &mut Connection, tenant: &TenantId, keys: &[&str]) -> QueryResult<Vec<MetKeyRow>> {
    let query = diesel::sql_query(MET_KEYS).bind::<Text, _>(tenant.as_str());
    query.bind::<Array<Text>, _>(keys).load(connection)
}

/// Reads the stored versions under natural keys of these contracts.
fn met_versions(
    connection: &mut Connection,
    tenant: &TenantId,
    contracts: &[Word<ContractId>],
    keys: &[&str],
) -> QueryResult<Vec<VersionRow>> {
    let query = diesel::sql_query(MET_VERSIONS).bind::<Text, _>(tenant.as_str());
    query.bind::<Array<Text>, _>(contracts).bind::<Array<Text>, _>(keys).load(connection)
}

/// Locks and reads the longest due places of each tenant after this one, tenant by tenant; skips locked ones.
fn lock_due(connection: &mut Connection, after: &str, now: Instant, share: &Share<'_>) -> QueryResult<Vec<DueRow>> {
    const DUE: &str = round_robin!(
        "$1",
        "
    SELECT due.tenant_id, due.delivery_id, due.due_at, due.fence
    FROM turn CROSS JOIN LATERAL (
        SELECT tenant_id, delivery_id, due_at, fence FROM delivery_queue
        WHERE tenant_id = turn.tenant_id AND due_at <= $2 AND length(tenant_id) > 0
        ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
    ) AS due
    WHERE turn.tenant_id <> ALL ($4) LIMIT $5"
    );
    let query = diesel::sql_query(DUE).bind::<Text, _>(after).bind::<sql::Instant, _>(now);
    let query =
        query.bind::<BigInt, _>(backend::column(share.of_each as u64)).bind::<Array<Text>, _>(names(share.none_of));
    query.bind::<BigInt, _>(backend::column(share.in_all as u64)).load(connection)
}

/// Tells whether anything is due of other tenants than these.
fn is_due(connection: &mut Connection, now: Instant, none_of: &[TenantId]) -> QueryResult<bool> {
    const IS_DUE: &str = round_robin!(
        "''",
        "
    SELECT due.tenant_id, due.delivery_id, due.due_at, due.fence
    FROM turn CROSS JOIN LATERAL (
        SELECT tenant_id, delivery_id, due_at, fence FROM delivery_queue
        WHERE tenant_id = turn.tenant_id AND due_at <= $1 AND length(tenant_id) > 0 LIMIT 1
    ) AS due
    WHERE turn.tenant_id <> ALL ($2) LIMIT 1"
    );
    let query = diesel::sql_query(IS_DUE).bind::<sql::Instant, _>(now);
    let due: Vec<DueRow> = query.bind::<Array<Text>, _>(names(none_of)).load(connection)?;
    Ok(!due.is_empty())
}

/// Locks and reads a session.
fn lock_session(connection: &mut Connection, tenant: &TenantId, id: Id) -> QueryResult<Option<SessionRow>> {
    schema::sessions::table
        .find((tenant.as_str(), id))
        .select(SessionRow::as_select())
        .for_update()
        .first(connection)
        .optional()
}

/// Locks and reads the counter of a key.
fn lock_attempts(connection: &mut Connection, key: &[u8]) -> QueryResult<AttemptRow> {
    login_attempts::table.find(key).select(AttemptRow::as_select()).for_update().first(connection)
}

/// Waits until no other transaction creates the first account.
fn lock_bootstrap(connection: &mut Connection) -> QueryResult<()> {
    diesel::sql_query("SELECT pg_advisory_xact_lock($1)").bind::<BigInt, _>(BOOTSTRAP_LOCK).execute(connection)?;
    Ok(())
}

/// Does nothing: the server's own vacuum clears removed rows.
async fn sweep(_store: &Store) {}

/// Does nothing: a server that has lost its files reports it.
fn in_place(_store: &Store) -> Result<(), PortError> {
    Ok(())
}

/// Does nothing: only the server knows its free space.
fn has_room(_store: &Store) -> Result<(), PortError> {
    Ok(())
}

/// Writes a MiB to a temporary file, and a little to the log of the server, without changing a table. The log may have room
/// where the tables have none.
fn try_to_write(connection: &mut Connection) -> QueryResult<()> {
    const WRITE: &str = "SELECT pg_logical_emit_message(true, 'mass', repeat(' ', 8192)), count(DISTINCT lpad(n::text, 1024)) \
                         FROM generate_series(1, 1024) AS n";
    write(connection, |connection| {
        // Less than is sorted, so that the sort takes to a file.
        connection.batch_execute("SET LOCAL work_mem = '64kB'")?;
        diesel::sql_query(WRITE).execute(connection)?;
        Ok(())
    })
}

/// Round trips cost time: the server is another process, mostly on another machine.
const ROUND_TRIPS_COST: bool = true;

/// The head moves before its events are inserted: the guards compare both at the end of the transaction, and would
/// update the head once more for events beyond it.
const HEAD_FIRST: bool = true;

/// Writes the additions of an acceptance: in one statement, or else table by table. Returns whether the assumptions hold.
fn add(connection: &mut Connection, addition: &Addition<'_>, layout: Layout) -> QueryResult<bool> {
    match layout {
        Layout::OneNode => Ok(addition.in_one_statement().execute(connection)? == 1),
        Layout::Distributed => write(connection, |connection| add_by_table(connection, addition)),
    }
}

/// Writes the additions of an acceptance by statements of one tenant each, of which none inserts what it selects: Citus runs them
/// on the tenant's node alone, under row-level security, too.
fn add_by_table(connection: &mut Connection, addition: &Addition<'_>) -> QueryResult<bool> {
    if addition.head_if_assumed().execute(connection)? == 0 {
        return Ok(false);
    }
    let Addition { tenant, usage, events, nodes, requests, keys, queue, .. } = addition;
    diesel::insert_into(tenant_usage::table)
        .values(usage)
        .on_conflict(tenant_usage::tenant_id)
        .do_update()
        .set(usage)
        .execute(connection)?;
    for rows in events.chunks(ROWS_PER_STATEMENT) {
        diesel::insert_into(audit_events::table).values(rows).execute(connection)?;
    }
    backend::audit::store_nodes(connection, nodes)?;
    for rows in requests.chunks(ROWS_PER_STATEMENT) {
        diesel::insert_into(mass_requests::table).values(rows).execute(connection)?;
    }
    for rows in keys.chunks(ROWS_PER_STATEMENT) {
        diesel::insert_into(idempotency_keys::table).values(rows).execute(connection)?;
    }
    for rows in queue.chunks(ROWS_PER_STATEMENT) {
        diesel::insert_into(delivery_queue::table).values(rows).execute(connection)?;
    }
    if !queue.is_empty() {
        backend::turns::enter(connection, Layout::Distributed, tenant)?;
    }
    Ok(true)
}

/// Returns the layout of the tables.
fn layout(store: &Store) -> Layout {
    store.layout
}

/// An entry in the database's log, without which a commit does not wait for the disk.
const ENTRY: &str = "pg_logical_emit_message(true, 'mass', '') IS NOT NULL";

/// See [`FlushAfter`](crate::flush::FlushAfter).
fn flush_after(connection: &mut Connection, tenant: &TenantId, last: &LastEvent) -> QueryResult<bool> {
    let event = audit_events::table.find((tenant.as_str(), last.sequence));
    let is_there = diesel::dsl::exists(event.filter(audit_events::leaf_hash.eq(last.leaf_hash)));
    diesel::select(diesel::dsl::sql::<Bool>(ENTRY).and(is_there)).get_result(connection)
}

/// Runs a unit of work that reads, and returns once what it has read is on the disk.
fn durably<T>(connection: &mut Connection, work: impl FnOnce(&mut Connection) -> QueryResult<T>) -> QueryResult<T> {
    write(connection, |connection| {
        diesel::select(diesel::dsl::sql::<Bool>(ENTRY)).get_result::<bool>(connection)?;
        work(connection)
    })
}

/// Runs pending migrations, while other starting processes wait. Does nothing where the owner has run them and the role that
/// serves is alone.
fn migrate(store: &Store) -> Result<Vec<String>, MigrateError> {
    let failed = |error: diesel::result::Error| MigrateError::Failed(error.into());
    let mut connection = establish(&store.migration_url).map_err(MigrateError::Unreachable)?;
    // A lock of the session and not of a transaction, since a migration may have to run outside of any. Closing the
    // connection releases it.
    diesel::sql_query("SELECT pg_advisory_lock($1)")
        .bind::<BigInt, _>(MIGRATION_LOCK)
        .execute(&mut connection)
        .map_err(failed)?;
    // Again, since another process may have migrated meanwhile.
    let applied = applied_migrations(&mut connection).map_err(failed)?;
    let due = pending::<Backend>(&applied, MIGRATIONS);
    refuse_newer::<Backend>(applied, MIGRATIONS)?;
    if store.url == store.migration_url && !may_migrate(&mut connection).map_err(failed)? {
        return if due.is_empty() { Ok(due) } else { Err(MigrateError::NotOwner { pending: due.len() }) };
    }
    let applied = connection.run_pending_migrations(MIGRATIONS).map_err(MigrateError::Failed)?;
    let applied = applied.iter().map(ToString::to_string).collect();
    write(&mut connection, backend::build_missing).map_err(failed)?;
    if store.url != store.migration_url {
        let mut serving = establish(&store.url).map_err(MigrateError::Unreachable)?;
        roles::settle(&mut connection, &mut serving)?;
    }
    Ok(applied)
}
