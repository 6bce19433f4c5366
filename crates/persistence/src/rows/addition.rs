//! The rows that an acceptance inserts, and the one statement that inserts them in PostgreSQL.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text};
use mass_domain::contracts::ContractId;
use mass_domain::tenancy::{CredentialsVersion, TenantId};
use mass_service::Submission;

use super::{EventRow, HeadRow, KeyRow, NewRequestRow, NodeRow, QueueRow, UsageRow};
use crate::columns::{Word, sql};
use crate::flush::Flush;

/// The rows that an acceptance inserts, and the new end of the tenant's log and usage.
pub(crate) struct Addition<'a> {
    pub(crate) tenant: &'a TenantId,
    /// The end of the tenant's log before.
    pub(crate) before: HeadRow,
    pub(crate) assumed: Assumed<'a>,
    pub(crate) head: HeadRow,
    pub(crate) usage: UsageRow,
    pub(crate) events: Vec<EventRow>,
    pub(crate) nodes: Vec<NodeRow>,
    pub(crate) requests: Vec<NewRequestRow<'a>>,
    pub(crate) keys: Vec<KeyRow>,
    /// Places in the queue for requests that are sent to the engine.
    pub(crate) queue: Vec<QueueRow>,
    /// The time of the flush, where it can be apart from the commit.
    pub(crate) flush: Flush,
}

/// Assumptions that were not checked in the same transaction.
#[derive(Default)]
pub(crate) struct Assumed<'a> {
    /// The tenant's credentials are at this version.
    credentials: Option<i64>,
    /// These idempotency keys are not stored.
    keys: Vec<&'a str>,
    /// Natural keys of these contracts…
    contracts: Vec<Word<ContractId>>,
    /// …with these texts are not stored.
    natural_keys: Vec<&'a str>,
}

impl<'a> Assumed<'a> {
    /// Assumes that nothing is stored under the keys of the submissions, and that the credentials are at this version.
    pub(crate) fn of(submissions: &'a [Submission], CredentialsVersion(version): CredentialsVersion) -> Self {
        let mut all = Self { credentials: Some(version), ..Self::default() };
        for Submission { examined, idempotency_key, .. } in submissions {
            all.keys.extend(idempotency_key.as_ref().map(|key| key.as_str()));
            if let Some(natural_key) = &examined.index.natural_key {
                for contract in examined.contract.versions() {
                    all.contracts.push(Word(contract));
                    all.natural_keys.push(natural_key);
                }
            }
        }
        all
    }
}

/// Declares rows as one array per column: a statement with arrays is the same for any number of rows, and is prepared
/// once.
macro_rules! unnested {
    ($name:ident<$life:lifetime> of $row:ty, into $table:literal, $($column:ident: $sql:ty, $value:ty = |$from:ident| $get:expr;)*) => {
        struct $name<$life> { $($column: Vec<$value>,)* }

        impl<$life> $name<$life> {
            #[cfg(test)]
            const COLUMNS: &'static [&'static str] = &[$(stringify!($column),)*];

            fn of(rows: &$life [$row]) -> Self {
                Self { $($column: rows.iter().map(|$from| $get).collect(),)* }
            }

            fn walk<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
                out.push_sql(concat!("INSERT INTO ", $table, " ("));
                out.push_sql(&[$(stringify!($column),)*].join(", "));
                out.push_sql(") SELECT * FROM unnest(");
                let mut separator = "";
                $(
                    out.push_sql(separator);
                    out.push_bind_param::<Array<$sql>, _>(&self.$column)?;
                    separator = ", ";
                )*
                let _ = separator;
                out.push_sql(") WHERE EXISTS (SELECT FROM head)");
                Ok(())
            }
        }
    };
}

unnested!(Events<'a> of EventRow, into "audit_events",
    tenant_id: Text, &'a super::Word<TenantId> = |row| &row.tenant_id;
    sequence: BigInt, i64 = |row| row.sequence;
    at: sql::Instant, super::Instant = |row| row.at;
    actor_kind: Text, &'a str = |row| row.actor_kind;
    actor_id: Nullable<sql::Id>, Option<super::Id> = |row| row.actor_id;
    action: Text, &'a super::Word<super::Action> = |row| &row.action;
    object_kind: Text, &'a str = |row| row.object_kind;
    object_id: Nullable<Text>, Option<&'a str> = |row| row.object_id.as_deref();
    outcome: Text, &'a super::Word<super::audit::Outcome> = |row| &row.outcome;
    event: Text, &'a str = |row| row.event.as_str();
    leaf_hash: Binary, super::Node = |row| row.leaf_hash;
);

unnested!(Requests<'a> of NewRequestRow<'a>, into "mass_requests",
    tenant_id: Text, &'a super::Word<TenantId> = |row| &row.summary.tenant_id;
    id: sql::Id, super::Id = |row| row.summary.id;
    contract: Text, &'a super::Word<super::ContractId> = |row| &row.summary.contract;
    status: Text, &'a super::Word<super::Status> = |row| &row.summary.status;
    outcome: Text, &'a super::Word<super::Outcome> = |row| &row.summary.outcome;
    version: BigInt, i64 = |row| row.summary.version;
    created_at: sql::Instant, super::Instant = |row| row.summary.created_at;
    updated_at: sql::Instant, super::Instant = |row| row.summary.updated_at;
    created_by_kind: Text, &'a str = |row| row.summary.created_by_kind.as_str();
    created_by_id: Nullable<sql::Id>, Option<super::Id> = |row| row.summary.created_by_id;
    correlation_id: Nullable<Text>, Option<&'a str> = |row| row.summary.correlation_id.as_deref();
    idempotency_key: Nullable<Text>, Option<&'a str> = |row| row.summary.idempotency_key.as_deref();
    site_id: Nullable<Text>, Option<&'a str> = |row| row.summary.site_id.as_deref();
    device_id: Nullable<Text>, Option<&'a str> = |row| row.summary.device_id.as_deref();
    observed_at: Nullable<sql::Instant>, Option<super::Instant> = |row| row.summary.observed_at;
    fingerprint: Binary, super::Hash = |row| row.summary.fingerprint;
    corrects: Nullable<sql::Id>, Option<super::Id> = |row| row.summary.corrects;
    corrected_by: Nullable<sql::Id>, Option<super::Id> = |row| row.summary.corrected_by;
    audit_sequence: BigInt, i64 = |row| row.summary.audit_sequence;
    audit_leaf_hash: Binary, &'a [u8] = |row| row.summary.audit_leaf_hash.as_slice();
    natural_key: Nullable<Text>, Option<&'a str> = |row| row.natural_key;
    batch_id: Nullable<Text>, Option<&'a str> = |row| row.batch_id;
    call_id: Nullable<Text>, Option<&'a str> = |row| row.call_id;
    document: Text, &'a str = |row| row.document;
    warnings: Text, &'a super::Json<&'a [super::Warning]> = |row| &row.warnings;
);

unnested!(Keys<'a> of KeyRow, into "idempotency_keys",
    tenant_id: Text, &'a super::Word<TenantId> = |row| &row.tenant_id;
    key: Text, &'a str = |row| row.key.as_str();
    request_id: sql::Id, super::Id = |row| row.request_id;
    contract: Text, &'a super::Word<super::ContractId> = |row| &row.contract;
    fingerprint: Binary, super::Hash = |row| row.fingerprint;
    outcome: Text, &'a super::Word<super::Outcome> = |row| &row.outcome;
    status: Text, &'a super::Word<super::Status> = |row| &row.status;
    version: BigInt, i64 = |row| row.version;
    updated_at: sql::Instant, super::Instant = |row| row.updated_at;
    corrected_by: Nullable<sql::Id>, Option<super::Id> = |row| row.corrected_by;
    created_at: sql::Instant, super::Instant = |row| row.created_at;
);

unnested!(Nodes<'a> of NodeRow, into "audit_nodes",
    tenant_id: Text, &'a super::Word<TenantId> = |row| &row.tenant_id;
    level: BigInt, i64 = |row| row.level;
    position: BigInt, i64 = |row| row.position;
    hash: Binary, super::Node = |row| row.hash;
);

unnested!(Queue<'a> of QueueRow, into "delivery_queue",
    tenant_id: Text, &'a super::Word<TenantId> = |row| &row.tenant_id;
    delivery_id: sql::Id, super::Id = |row| row.delivery_id;
    due_at: sql::Instant, super::Instant = |row| row.due_at;
    fence: BigInt, i64 = |row| row.fence;
    trace_flags: Nullable<BigInt>, Option<i64> = |row| row.trace_flags;
);

impl Addition<'_> {
    /// Builds the statement. It writes everything and returns a row, or writes nothing and returns none, if the log
    /// ends elsewhere or an assumption does not hold. Foreign keys are checked at its end, when all rows exist.
    ///
    /// It waits for the head's lock first: if another transaction has changed the head meanwhile, PostgreSQL compares
    /// with the changed row.
    pub(crate) fn in_one_statement(&self) -> InOneStatement<'_> {
        InOneStatement {
            head: self.head_if_assumed(),
            usage: &self.usage,
            events: Events::of(&self.events),
            nodes: Nodes::of(&self.nodes),
            requests: Requests::of(&self.requests),
            keys: Keys::of(&self.keys),
            queue: Queue::of(&self.queue),
            flushes_later: self.flush == Flush::Later,
        }
    }

    /// Builds the statement that moves the end of the log. It waits for the head's lock, too.
    pub(crate) fn head_if_assumed(&self) -> HeadIfAssumed<'_> {
        let Self { tenant, before, assumed, head, .. } = self;
        HeadIfAssumed { tenant: tenant.as_str(), before, assumed, head }
    }
}

/// The statement that moves the end of the tenant's log, if it is where the addition begins and the assumptions hold.
pub(crate) struct HeadIfAssumed<'a> {
    tenant: &'a str,
    before: &'a HeadRow,
    assumed: &'a Assumed<'a>,
    head: &'a HeadRow,
}

/// See [`Addition::in_one_statement`].
pub(crate) struct InOneStatement<'a> {
    head: HeadIfAssumed<'a>,
    usage: &'a UsageRow,
    events: Events<'a>,
    nodes: Nodes<'a>,
    requests: Requests<'a>,
    keys: Keys<'a>,
    queue: Queue<'a>,
    flushes_later: bool,
}

/// The number of a tenant's events from which on the statement is prepared. A plan for fewer rows may look up natural
/// keys by reading all rows of the tenant: for a table of about a page, PostgreSQL takes the shorter index for cheaper.
const EVENTS_WORTH_A_PLAN: i64 = 1000;

impl QueryFragment<Pg> for InOneStatement<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH head AS (");
        self.head.walk_ast(out.reborrow())?;
        // Holds for the transaction of this statement, and so for its commit.
        out.push_sql(" AND (NOT ");
        out.push_bind_param::<Bool, _>(&self.flushes_later)?;
        out.push_sql(" OR set_config('synchronous_commit', 'off', true) = 'off')");
        out.push_sql(
            " RETURNING true), used AS (INSERT INTO tenant_usage (tenant_id, day, requests, stored_bytes) SELECT ",
        );
        out.push_bind_param::<Text, _>(self.head.tenant)?;
        for count in [&self.usage.day, &self.usage.requests, &self.usage.stored_bytes] {
            out.push_sql(", ");
            out.push_bind_param::<BigInt, _>(count)?;
        }
        out.push_sql(
            " FROM head ON CONFLICT (tenant_id) DO UPDATE SET day = excluded.day, requests = excluded.requests, \
             stored_bytes = excluded.stored_bytes), events AS (",
        );
        self.events.walk(&mut out)?;
        out.push_sql("), nodes AS (");
        self.nodes.walk(&mut out)?;
        out.push_sql("), requests AS (");
        self.requests.walk(&mut out)?;
        out.push_sql("), keys AS (");
        self.keys.walk(&mut out)?;
        out.push_sql("), queue AS (");
        self.queue.walk(&mut out)?;
        out.push_sql(") SELECT FROM head");
        Ok(())
    }
}

impl QueryFragment<Pg> for HeadIfAssumed<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        if self.before.size < EVENTS_WORTH_A_PLAN {
            out.unsafe_to_cache_prepared();
        }
        out.push_sql("UPDATE audit_heads SET size = ");
        out.push_bind_param::<BigInt, _>(&self.head.size)?;
        out.push_sql(", frontier = ");
        out.push_bind_param::<Binary, _>(&self.head.frontier)?;
        out.push_sql(" WHERE tenant_id = ");
        out.push_bind_param::<Text, _>(self.tenant)?;
        out.push_sql(" AND size = ");
        out.push_bind_param::<BigInt, _>(&self.before.size)?;
        out.push_sql(" AND frontier = ");
        out.push_bind_param::<Binary, _>(&self.before.frontier)?;
        self.walk_assumed(&mut out)
    }
}

impl<'a> HeadIfAssumed<'a> {
    fn walk_assumed<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Assumed { credentials, keys, contracts, natural_keys } = self.assumed;
        out.push_sql(" AND (");
        out.push_bind_param::<Nullable<BigInt>, _>(credentials)?;
        out.push_sql(" IS NULL OR EXISTS (SELECT FROM tenants WHERE id = ");
        out.push_bind_param::<Text, _>(self.tenant)?;
        out.push_sql(" AND credentials_version = ");
        out.push_bind_param::<Nullable<BigInt>, _>(credentials)?;
        // OFFSET 0 keeps each look-up separate: a plan for a small table must not read all rows of the tenant once it
        // is large.
        out.push_sql(")) AND NOT EXISTS (SELECT FROM unnest(");
        out.push_bind_param::<Array<Text>, _>(keys)?;
        out.push_sql(") AS sent (key), LATERAL (SELECT FROM idempotency_keys WHERE tenant_id = ");
        out.push_bind_param::<Text, _>(self.tenant)?;
        out.push_sql(" AND key = sent.key OFFSET 0) AS stored) AND NOT EXISTS (SELECT FROM unnest(");
        out.push_bind_param::<Array<Text>, _>(contracts)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(natural_keys)?;
        out.push_sql(") AS sent (contract, natural_key), LATERAL (SELECT FROM mass_requests WHERE tenant_id = ");
        out.push_bind_param::<Text, _>(self.tenant)?;
        out.push_sql(" AND contract = sent.contract AND natural_key = sent.natural_key OFFSET 0) AS stored)");
        Ok(())
    }
}

/// The identity of the prepared statement.
pub(crate) struct AcceptanceStatement;

impl QueryId for InOneStatement<'_> {
    type QueryId = AcceptanceStatement;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl RunQueryDsl<PgConnection> for InOneStatement<'_> {}

impl QueryId for HeadIfAssumed<'_> {
    type QueryId = HeadIfAssumed<'static>;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl RunQueryDsl<PgConnection> for HeadIfAssumed<'_> {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use diesel::connection::SimpleConnection;
    use diesel::query_source::Column;
    use diesel::sqlite::Sqlite;
    use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

    use super::*;
    use crate::schema::{audit_events, audit_nodes, delivery_queue, idempotency_keys, mass_requests};

    const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

    #[derive(QueryableByName)]
    struct Name {
        #[diesel(sql_type = Text)]
        name: String,
    }

    /// Returns the names in a SELECT list.
    fn selected(query: &impl QueryFragment<Sqlite>) -> BTreeSet<String> {
        let query = diesel::debug_query::<Sqlite, _>(query).to_string();
        let list = query.split(" FROM ").next().unwrap();
        list.split(", ").map(|column| column.rsplit('.').next().unwrap().trim_matches('`').to_owned()).collect()
    }

    fn sorted(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// A nullable column that the statement for PostgreSQL forgot would stay empty without an error.
    #[test]
    fn writes_every_column_of_its_tables_unless_it_is_set_later() {
        let mut connection = SqliteConnection::establish(":memory:").unwrap();
        connection.batch_execute("PRAGMA foreign_keys = ON").unwrap();
        connection.run_pending_migrations(MIGRATIONS).unwrap();
        let tables = [
            (
                "audit_events",
                selected(&audit_events::table.select(audit_events::all_columns)),
                Events::COLUMNS,
                &[][..],
            ),
            ("audit_nodes", selected(&audit_nodes::table.select(audit_nodes::all_columns)), Nodes::COLUMNS, &[]),
            (
                "idempotency_keys",
                selected(&idempotency_keys::table.select(idempotency_keys::all_columns)),
                Keys::COLUMNS,
                &[],
            ),
            (
                "mass_requests",
                selected(&mass_requests::table.select(mass_requests::all_columns)),
                Requests::COLUMNS,
                &[mass_requests::deleted_at::NAME],
            ),
            (
                "delivery_queue",
                selected(&delivery_queue::table.select(delivery_queue::all_columns)),
                Queue::COLUMNS,
                &[delivery_queue::worker::NAME],
            ),
        ];
        for (table, in_schema, written, set_later) in tables {
            let query = format!("SELECT name FROM pragma_table_info('{table}')");
            let columns: Vec<Name> = diesel::sql_query(query).load(&mut connection).unwrap();
            let stored: BTreeSet<String> = columns.into_iter().map(|column| column.name).collect();
            assert_eq!(in_schema, stored, "{table} in schema.rs and in the database");
            let written = &sorted(written) | &sorted(set_later);
            assert_eq!(written, in_schema, "{table}");
        }
    }
}
