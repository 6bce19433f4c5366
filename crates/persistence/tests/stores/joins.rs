//! Checks that every statement that these tests send to PostgreSQL keeps the rules that let the tables be distributed by
//! `tenant_id`, as with Citus:
//!
//! - it joins no rows of different tenants, and outer joins compare the tenants themselves;
//! - it does not set the tenant of a row;
//! - a transaction that changes what a credential stands for advances the version of the tenant's credentials, since no
//!   trigger on a tenant's node can.
//!
//! A server whose tables are distributed, besides, goes through no table by recursion, and inserts rows that it selects
//! only by a statement of its own, from a table of the same tenant or with ON CONFLICT or RETURNING, which Citus runs on the
//! nodes of these rows alone, under row-level security, too.
#![expect(clippy::wildcard_enum_match_arm, reason = "of the grammar of SQL, little tells whose rows are joined")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use diesel::connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation};
use diesel::{Connection, QueryResult, RunQueryDsl, sql_query};
use mass_domain::delivery::DeliveryFilter;
use mass_domain::ids::{DeliveryId, SessionId};
use mass_domain::page::Limit;
use mass_domain::tenancy::{AutoSend, CredentialsVersion};
use mass_service::Submission;
use sqlparser::ast::{
    Assignment, AssignmentTarget, BinaryOperator, Expr, FromTable, Insert, Join, JoinConstraint, JoinOperator,
    ObjectName, OnConflict, OnConflictAction, OnInsert, Query, Select, SelectItem, SetExpr, Statement, TableFactor,
    TableObject, TableWithJoins, UpdateTableFromKind, Value, Visit, Visitor,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use uuid::Uuid;

use crate::administration::key;
use crate::databases::{DatabaseLocation, TestDatabase};
use crate::fixtures::{Vary, act, at, event, reading, tenant};

/// The tables that every node would have completely: they identify tenants or lead to one.
const REFERENCE_TABLES: [&str; 3] = ["tenants", "directory", "login_attempts"];

/// The prefixes of the system's tables, and of diesel's.
const NOT_OURS: [&str; 3] = ["pg_", "information_schema.", "__diesel"];

/// Workers claim from it across tenants while it is on one node. Statements on this table alone are exempt.
const ON_ONE_NODE: &str = "delivery_queue";

/// It is on one node, whatever is distributed.
const OF_ONE_NODE: &str = "delivery_turns";

/// The columns that tell what a credential stands for.
const CREDENTIALS: [(&str, &[&str]); 3] = [
    ("users", &["tenant_id", "id", "email", "roles", "disabled_at"]),
    // A session only ever lasts longer than before: that opens nothing else.
    ("sessions", &["tenant_id", "id", "user_id", "revoked_at"]),
    ("api_keys", &["tenant_id", "id", "prefix", "secret_hash", "permissions", "addresses", "expires_at", "revoked_at"]),
];

/// The one statement that deletes credentials after their end.
const PURGE: &str = r#"DELETE FROM "sessions" WHERE (("sessions"."tenant_id" = $1) AND (("sessions"."expires_at" < $2) OR ("sessions"."revoked_at" < $3)))"#;

/// A checked statement.
#[derive(Clone, Default)]
struct Checked {
    tables: Vec<String>,
    changes_credentials: bool,
    advances_version: bool,
}

/// The checked statements, with the layout that they were checked for.
static SEEN: Mutex<BTreeMap<(Layout, String), Checked>> = Mutex::new(BTreeMap::new());

/// Where the tables are for the server that sends a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Layout {
    OneNode,
    Distributed,
}

/// Checks every statement on connections to PostgreSQL that are opened from now on, and panics if one breaks a rule.
pub(crate) fn watch() {
    set_default_instrumentation(|| Some(Box::<Watch>::default())).unwrap();
}

#[derive(Default)]
struct Watch {
    /// `None` if it is no connection to PostgreSQL.
    layout: Option<Layout>,
    /// The statement of the present transaction that has changed credentials.
    changed: Option<String>,
    has_advanced: bool,
}

impl Watch {
    fn begin(&mut self) {
        (self.changed, self.has_advanced) = (None, false);
    }

    fn end(&mut self) {
        if let Some(changed) = self.changed.take() {
            assert!(self.has_advanced, "credentials change, and their version does not: {changed}");
        }
    }
}

impl Instrumentation for Watch {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::StartEstablishConnection { url, .. } = event {
            let layout =
                if url.contains("application_name=distributed") { Layout::Distributed } else { Layout::OneNode };
            self.layout = Some(layout).filter(|_| url.starts_with("postgres"));
        }
        let Some(layout) = self.layout else { return };
        match event {
            InstrumentationEvent::StartQuery { query, .. } => {
                // The values may be long, and most statements are known already.
                let mut beginning = Beginning::default();
                let _ = write!(beginning, "{query}");
                if beginning.0 == BESIDE_THE_PORTS {
                    self.layout = None;
                    return;
                }
                let known = seen().get(&(layout, beginning.0.clone())).cloned();
                let checked = known.unwrap_or_else(|| {
                    let checked = check(&query.to_string(), layout).unwrap_or_else(|error| panic!("{error}"));
                    seen().insert((layout, beginning.0.clone()), checked.clone());
                    checked
                });
                self.has_advanced |= checked.advances_version;
                if checked.changes_credentials {
                    self.changed = Some(beginning.0);
                }
            }
            InstrumentationEvent::BeginTransaction { .. } | InstrumentationEvent::RollbackTransaction { .. } => {
                self.begin();
            }
            InstrumentationEvent::CommitTransaction { depth, .. } if depth.get() == 1 => self.end(),
            _ => {}
        }
    }
}

fn seen() -> std::sync::MutexGuard<'static, BTreeMap<(Layout, String), Checked>> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a connection says by which a test does what the stores do not.
pub(crate) const BESIDE_THE_PORTS: &str = "SET mass.beside_the_ports = 'on'";

/// The separator between a statement and its values in diesel's debug output.
const VALUES: &str = " -- binds: ";

/// Collects a statement without its values.
#[derive(Default)]
struct Beginning(String);

impl fmt::Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.push_str(text);
        match self.0.find(VALUES) {
            Some(end) => {
                self.0.truncate(end);
                Err(fmt::Error)
            }
            None => Ok(()),
        }
    }
}

/// Checks the statements in diesel's debug output. Returns an error if one of them breaks a rule.
fn check(text: &str, layout: Layout) -> Result<Checked, String> {
    let (statements, values) = text.rsplit_once(VALUES).unwrap_or((text, "[]"));
    let first = statements.split_whitespace().next().unwrap_or_default().to_uppercase();
    if !["SELECT", "WITH", "INSERT", "UPDATE", "DELETE"].contains(&first.as_str()) {
        return Ok(Checked::default());
    }
    let parsed =
        Parser::parse_sql(&PostgreSqlDialect {}, statements).map_err(|error| format!("{error}: {statements}"))?;
    let mut checked = Checked::default();
    for statement in parsed {
        let mut reading = StatementAnalysis { values: split(values), ..StatementAnalysis::default() };
        let _ = statement.visit(&mut reading);
        let in_general = reading.broken.first();
        let distributed = Some(layout).filter(|layout| *layout == Layout::Distributed);
        if let Some(broken) = in_general.or(distributed.and_then(|_| reading.broken_if_distributed.first())) {
            return Err(format!("{broken}: {text}"));
        }
        checked.changes_credentials |= reading.changes_credentials && statements != PURGE;
        checked.advances_version |= reading.advances_version;
        let tables = reading.of_one_tenant().map_err(|table| format!("{table} is of no one tenant: {text}"))?;
        checked.tables.extend(tables);
    }
    Ok(checked)
}

/// Tells whether each row of a table belongs to a tenant, and lies where that tenant's rows lie.
fn is_of_tenants(table: &str) -> bool {
    table != OF_ONE_NODE && !REFERENCE_TABLES.contains(&table) && !NOT_OURS.iter().any(|name| table.starts_with(name))
}

/// Tells whether a relation is a table of tenants' rows.
fn is_stored_by_tenant(relation: &TableFactor) -> bool {
    matches!(relation, TableFactor::Table { name, args: None, .. } if is_of_tenants(&last(name)))
}

/// Returns the name of a table or column without what it is part of.
fn last(name: &ObjectName) -> String {
    name.0.last().map(|part| part.to_string().replace('"', "")).unwrap_or_default()
}

/// Splits a list in Rust's debug format into its elements.
fn split(list: &str) -> Vec<String> {
    let inner = list.trim().strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or_default();
    let (mut elements, mut depth, mut quoted, mut escaped) = (vec![String::new()], 0, false, false);
    for letter in inner.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            '[' | '(' | '{' if !quoted => depth += 1,
            ']' | ')' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                elements.push(String::new());
                continue;
            }
            _ => {}
        }
        elements.last_mut().unwrap().push(letter);
    }
    elements.iter().map(|element| element.trim().to_owned()).collect()
}

/// The analysis of a statement: its tables, and which of their tenants are equal.
#[derive(Default)]
struct StatementAnalysis {
    values: Vec<String>,
    /// The names of its common table expressions.
    queries: BTreeSet<String>,
    relations: Vec<Relation>,
    /// The relations in scope, those of inner queries last.
    scopes: Vec<Vec<usize>>,
    same: Vec<(Tenant, Tenant)>,
    /// The number of statements around the present part.
    depth: usize,
    broken: Vec<String>,
    /// Rules for distributed tables alone.
    broken_if_distributed: Vec<String>,
    changes_credentials: bool,
    advances_version: bool,
}

/// A relation after FROM.
struct Relation {
    name: String,
    /// `None` for a subquery.
    table: Option<String>,
    /// The column with the tenant of a row.
    column: &'static str,
}

/// The tenant of a row.
#[derive(Clone, PartialEq, Eq)]
enum Tenant {
    /// The same as of this relation.
    Of(usize),
    /// This tenant.
    Named(String),
}

impl StatementAnalysis {
    /// Returns the tables if all relations with tenants are tied to one tenant; otherwise the first that is not.
    fn of_one_tenant(self) -> Result<Vec<String>, String> {
        let tables = self.relations.into_iter().enumerate().filter_map(|(at, relation)| Some((at, relation.table?)));
        let tables: Vec<(usize, String)> = tables.collect();
        let of_tenants = |(_, table): &&(usize, String)| is_of_tenants(table);
        let mut tied: Vec<Tenant> = tables.iter().find(of_tenants).map(|(at, _)| Tenant::Of(*at)).into_iter().collect();
        let tied_by_one = |tied: &[Tenant]| {
            self.same.iter().find_map(|(one, other)| match (tied.contains(one), tied.contains(other)) {
                (true, false) => Some(other.clone()),
                (false, true) => Some(one.clone()),
                (true, true) | (false, false) => None,
            })
        };
        while let Some(next) = tied_by_one(&tied) {
            tied.push(next);
        }
        let on_one_node = tables.iter().all(|(_, table)| table == ON_ONE_NODE);
        let astray = |(at, _): &&(usize, String)| !on_one_node && !tied.contains(&Tenant::Of(*at));
        match tables.iter().filter(of_tenants).find(astray) {
            Some((_, table)) => Err(table.clone()),
            None => Ok(tables.into_iter().map(|(_, table)| table).collect()),
        }
    }

    /// Enters a part of the statement with its own relations.
    fn enter<'a>(&mut self, from: impl IntoIterator<Item = &'a TableWithJoins>, selection: Option<&'a Expr>) {
        let mut conditions: Vec<&Expr> = selection.into_iter().collect();
        self.scopes.push(Vec::new());
        from.into_iter().for_each(|tables| self.add_all(tables, &mut conditions));
        conditions.into_iter().for_each(|condition| self.hold(condition));
    }

    fn add_all<'a>(&mut self, tables: &'a TableWithJoins, conditions: &mut Vec<&'a Expr>) {
        self.add(&tables.relation, conditions);
        for Join { relation, join_operator, .. } in &tables.joins {
            let joined = self.relations.len();
            self.add(relation, conditions);
            if let JoinOperator::Left(JoinConstraint::On(condition))
            | JoinOperator::LeftOuter(JoinConstraint::On(condition))
            | JoinOperator::Right(JoinConstraint::On(condition))
            | JoinOperator::RightOuter(JoinConstraint::On(condition))
            | JoinOperator::FullOuter(JoinConstraint::On(condition)) = join_operator
            {
                self.hold_outer(joined, condition);
            }
            if let JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::Left(constraint)
            | JoinOperator::LeftOuter(constraint)
            | JoinOperator::Right(constraint)
            | JoinOperator::RightOuter(constraint)
            | JoinOperator::FullOuter(constraint) = join_operator
                && let JoinConstraint::On(condition) = constraint
            {
                conditions.push(condition);
            }
        }
    }

    fn add<'a>(&mut self, factor: &'a TableFactor, conditions: &mut Vec<&'a Expr>) {
        let (name, table) = match factor {
            TableFactor::NestedJoin { table_with_joins, .. } => return self.add_all(table_with_joins, conditions),
            TableFactor::Table { name, alias, args: None, .. } => {
                let table = name.to_string().replace('"', "");
                (alias.as_ref().map_or_else(|| table.clone(), |alias| alias.name.value.clone()), table)
            }
            TableFactor::Derived { alias: Some(alias), .. } => (alias.name.value.clone(), String::new()),
            _ => return,
        };
        let column = if table == "tenants" { "id" } else { "tenant_id" };
        let table = Some(table).filter(|table| !table.is_empty() && !self.queries.contains(table));
        self.scopes.last_mut().unwrap().push(self.relations.len());
        self.relations.push(Relation { name, table, column });
    }

    /// Demands that the condition of an outer join compares the tenant of the joined relation: a condition on the result
    /// comes too late.
    fn hold_outer(&mut self, joined: usize, condition: &Expr) {
        let before = self.same.len();
        self.hold(condition);
        let is_tied = self.same[before..].iter().any(|(one, other)| [one, other].contains(&&Tenant::Of(joined)));
        self.same.truncate(before);
        if let Some(Relation { name, table: Some(table), .. }) = self.relations.get(joined)
            && is_of_tenants(table)
            && !is_tied
        {
            self.broken.push(format!("the outer join of {name} does not compare its tenant"));
        }
    }

    /// Looks at the columns that a statement sets in a table.
    fn set(&mut self, table: &str, assignments: &[Assignment]) {
        let targets = assignments.iter().flat_map(|assignment| match &assignment.target {
            AssignmentTarget::ColumnName(column) => vec![last(column)],
            AssignmentTarget::Tuple(columns) => columns.iter().map(last).collect(),
        });
        for column in targets {
            if column == "tenant_id" {
                self.broken.push(format!("the tenant of rows of {table} is set"));
            }
            self.advances_version |= table == "tenants" && column == "credentials_version";
            self.changes_credentials |=
                CREDENTIALS.iter().any(|(of, columns)| *of == table && columns.contains(&column.as_str()));
        }
    }

    /// Looks at the source of inserted rows.
    fn insert(&mut self, insert: &Insert) {
        let table = match &insert.table {
            TableObject::TableName(name) => last(name),
            other => return self.broken.push(format!("{other} is no table")),
        };
        if let Some(OnInsert::OnConflict(OnConflict { action: OnConflictAction::DoUpdate(update), .. })) = &insert.on {
            self.set(&table, &update.assignments);
        }
        let Some(source) = &insert.source else { return };
        let stays = match &*source.body {
            SetExpr::Values(_) => true,
            // Rows of a tenant that stay the tenant's, and so on their node.
            SetExpr::Select(select) if self.depth == 1 => {
                let of_tenant = select.projection.first().is_some_and(|first| {
                    matches!(first, SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts))
                        if parts.last().is_some_and(|column| column.value == "tenant_id"))
                });
                let is_placed = insert.on.is_some() || insert.returning.is_some();
                is_placed || of_tenant && select.from.iter().all(|from| is_stored_by_tenant(&from.relation))
            }
            _ => false,
        };
        if !stays {
            self.broken_if_distributed.push(format!("rows of {table} are selected, and copied to other nodes"));
        }
    }

    /// Records the equalities of tenants in a condition.
    fn hold(&mut self, condition: &Expr) {
        match condition {
            Expr::Nested(inner) => self.hold(inner),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.hold(left);
                self.hold(right);
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                self.same.extend(self.tenant(left).zip(self.tenant(right)));
            }
            _ => {}
        }
    }

    /// Returns the tenant that an expression denotes, if it does.
    fn tenant(&self, expression: &Expr) -> Option<Tenant> {
        match expression {
            Expr::Nested(inner) => self.tenant(inner),
            Expr::CompoundIdentifier(parts) => {
                let [relation, column] = &parts[..] else { return None };
                let mut known = self.scopes.iter().rev().flatten().copied();
                let at = known.find(|at| self.relations[*at].name == relation.value)?;
                (self.relations[at].column == column.value).then_some(Tenant::Of(at))
            }
            Expr::Identifier(column) => {
                let [at] = self.scopes.last()?[..] else { return None };
                (self.relations[at].column == column.value).then_some(Tenant::Of(at))
            }
            Expr::Value(value) => match &value.value {
                Value::Placeholder(place) => {
                    let place: usize = place.strip_prefix('$')?.parse().ok()?;
                    self.values.get(place - 1).cloned().map(Tenant::Named)
                }
                Value::SingleQuotedString(text) => Some(Tenant::Named(format!("{text:?}"))),
                _ => None,
            },
            _ => None,
        }
    }

    fn leave(&mut self) {
        self.scopes.pop();
    }
}

impl Visitor for StatementAnalysis {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if query.with.as_ref().is_some_and(|with| with.recursive) {
            self.broken_if_distributed.push("a table is gone through by recursion".to_owned());
        }
        let named = query.with.iter().flat_map(|with| &with.cte_tables);
        self.queries.extend(named.map(|named| named.alias.name.value.clone()));
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.enter(&select.from, select.selection.as_ref());
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &Select) -> ControlFlow<()> {
        self.leave();
        ControlFlow::Continue(())
    }

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        self.depth += 1;
        match statement {
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(update) => {
                if let TableFactor::Table { name, .. } = &update.table.relation {
                    self.set(&last(name), &update.assignments);
                }
                let from = update.from.iter().flat_map(|from| match from {
                    UpdateTableFromKind::BeforeSet(tables) | UpdateTableFromKind::AfterSet(tables) => tables,
                });
                self.enter([&update.table].into_iter().chain(from), update.selection.as_ref());
            }
            Statement::Delete(delete) => {
                let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
                for table in from {
                    if let TableFactor::Table { name, .. } = &table.relation {
                        self.changes_credentials |= CREDENTIALS.iter().any(|(of, _)| *of == last(name));
                    }
                }
                self.enter(from.iter().chain(delete.using.iter().flatten()), delete.selection.as_ref());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        self.depth -= 1;
        if matches!(statement, Statement::Update(_) | Statement::Delete(_)) {
            self.leave();
        }
        ControlFlow::Continue(())
    }
}

#[test]
fn the_checker_distinguishes_joins_within_one_tenant() {
    let of_one = [
        r#"SELECT a FROM "users" WHERE "users"."id" = $1 -- binds: [1]"#,
        r#"SELECT a FROM ("sessions" JOIN "users" ON (("users"."tenant_id" = "sessions"."tenant_id") AND (b = c)))"#,
        r#"SELECT a FROM sessions s, users u WHERE s.tenant_id = $1 AND u.tenant_id = $2 -- binds: ["a, [", "a, ["]"#,
        "SELECT a FROM sessions JOIN tenants ON tenants.id = sessions.tenant_id JOIN users ON users.tenant_id = tenants.id",
        "DELETE FROM sessions WHERE tenant_id = 'a' AND user_id IN (SELECT id FROM users WHERE tenant_id = 'a')",
        "DELETE FROM sessions s WHERE EXISTS (SELECT FROM users u WHERE u.tenant_id = s.tenant_id AND u.id = s.user_id)",
        "UPDATE sessions SET a = 1 FROM users WHERE users.tenant_id = sessions.tenant_id",
        "WITH gone AS (DELETE FROM users WHERE tenant_id = 'a' RETURNING id) \
         INSERT INTO sessions SELECT id FROM gone WHERE NOT EXISTS (SELECT FROM quotas WHERE tenant_id = 'a')",
        "SELECT a FROM directory, users",
        "SELECT a FROM delivery_queue AS one, delivery_queue AS other",
    ];
    for text in of_one {
        check(text, Layout::OneNode).unwrap();
    }
    let of_several = [
        r#"SELECT a FROM ("sessions" JOIN "users" ON ("users"."id" = "sessions"."user_id")) WHERE "sessions"."tenant_id" = 'a'"#,
        r#"SELECT a FROM sessions s, users u WHERE s.tenant_id = $1 AND u.tenant_id = $2 -- binds: ["a", "b"]"#,
        "SELECT a FROM sessions s JOIN users u ON u.tenant_id = s.tenant_id OR true",
        "SELECT a FROM sessions JOIN tenants ON tenants.id = sessions.tenant_id JOIN users ON users.id = sessions.user_id",
        "SELECT a FROM sessions WHERE tenant_id = 'a' AND user_id IN (SELECT id FROM users)",
        "SELECT a FROM sessions s WHERE s.user_id IN (SELECT u.id FROM users u WHERE s.tenant_id = 'a')",
        "UPDATE sessions SET a = 1 FROM users WHERE users.id = sessions.user_id",
        "DELETE FROM sessions USING users WHERE sessions.tenant_id = 'a'",
        "SELECT a FROM delivery_queue q JOIN deliveries d ON d.id = q.delivery_id",
        "SELECT a FROM sessions one, sessions other WHERE one.tenant_id = 'a'",
        "WITH some AS (SELECT id FROM users) DELETE FROM sessions WHERE tenant_id = 'a'",
    ];
    for text in of_several {
        assert!(check(text, Layout::OneNode).is_err(), "{text}");
    }
}

#[test]
fn the_checker_finds_what_distributed_tables_do_not_allow() {
    let nowhere = [
        "UPDATE quotas SET tenant_id = 'a'",
        "INSERT INTO quotas (tenant_id) VALUES ('a') ON CONFLICT (tenant_id) DO UPDATE SET tenant_id = excluded.tenant_id",
        "SELECT a FROM users LEFT JOIN sessions ON sessions.user_id = users.id \
         WHERE users.tenant_id = 'a' AND sessions.tenant_id = 'a'",
    ];
    for text in nowhere {
        check(text, Layout::OneNode).err().unwrap_or_else(|| panic!("{text}"));
    }
    let on_one_node = [
        "INSERT INTO points SELECT 'a', * FROM unnest($1)",
        "WITH some AS (SELECT FROM head) INSERT INTO points SELECT 'a' FROM some",
        "WITH added AS (INSERT INTO points SELECT 'a' RETURNING true) SELECT FROM added",
        "WITH RECURSIVE turn (tenant_id) AS (SELECT min(tenant_id) FROM delivery_queue) SELECT FROM turn",
    ];
    for text in on_one_node {
        check(text, Layout::OneNode).unwrap();
        check(text, Layout::Distributed).err().unwrap_or_else(|| panic!("{text}"));
    }
    let everywhere = [
        "INSERT INTO points (tenant_id) VALUES ('a'), ('a')",
        "INSERT INTO points SELECT 'a', * FROM unnest($1) RETURNING true",
        "INSERT INTO points SELECT hours.tenant_id, 1 FROM hours WHERE hours.tenant_id = 'a'",
        "INSERT INTO hours SELECT 'a', * FROM unnest($1) ON CONFLICT (tenant_id) DO UPDATE SET count = excluded.count",
        "SELECT a FROM users LEFT JOIN sessions ON sessions.tenant_id = users.tenant_id AND sessions.user_id = users.id",
    ];
    for text in everywhere {
        check(text, Layout::Distributed).unwrap();
    }
}

#[test]
fn the_checker_finds_changes_of_credentials() {
    let changes = [
        r#"UPDATE "users" SET "email" = $1 WHERE "users"."tenant_id" = $2"#,
        "UPDATE sessions SET expires_at = $1, revoked_at = $2",
        "UPDATE api_keys SET revoked_at = $1",
        "DELETE FROM sessions WHERE tenant_id = $1",
        "WITH gone AS (DELETE FROM users WHERE tenant_id = 'a' RETURNING id) SELECT FROM gone",
        "INSERT INTO users (id) VALUES ('a') ON CONFLICT (id) DO UPDATE SET roles = excluded.roles",
    ];
    for text in changes {
        assert!(check(text, Layout::OneNode).unwrap().changes_credentials, "{text}");
    }
    let others = [
        "UPDATE users SET password_hash = $1",
        "UPDATE sessions SET expires_at = $1",
        "UPDATE api_keys SET last_used_at = $1",
        "INSERT INTO users (email) VALUES ('a')",
        "UPDATE mass_requests SET revoked_at = $1",
        PURGE,
    ];
    for text in others {
        assert!(!check(text, Layout::OneNode).unwrap().changes_credentials, "{text}");
    }
    assert!(check("UPDATE tenants SET credentials_version = 1", Layout::OneNode).unwrap().advances_version);
    assert!(!check("UPDATE tenants SET auto_send = true", Layout::OneNode).unwrap().advances_version);
}

#[tokio::test]
#[should_panic = "credentials change, and their version does not"]
async fn the_checker_refuses_a_transaction_that_does_not_advance_the_version() {
    let db = TestDatabase::postgres().await;
    let DatabaseLocation::Postgres(database) = &db.place else { panic!("it is PostgreSQL") };
    let mut connection = database.guarded_connection();
    let _: QueryResult<()> = connection.transaction(|connection| {
        sql_query("UPDATE sessions SET revoked_at = now() WHERE tenant_id = 'default'").execute(connection)?;
        Ok(())
    });
}

/// The triggers of tenants' tables, with the code that they run.
const TRIGGERS: &str = "
    SELECT tgrelid::regclass || ' ' || tgname || ' ' || prosrc AS line FROM pg_trigger JOIN pg_proc AS p ON p.oid = tgfoid
    JOIN pg_class AS t ON t.oid = tgrelid
    WHERE NOT tgisinternal AND t.relnamespace = 'public'::regnamespace AND NOT starts_with(tgname, 'test_') ORDER BY 1";

#[tokio::test]
async fn no_trigger_on_a_node_needs_another_one() {
    let of_all_nodes = |line: &String| REFERENCE_TABLES.iter().any(|table| line.contains(&format!(" {table} ")));
    let db = TestDatabase::distributed().await;
    let triggers = db.place.lines(TRIGGERS);
    assert!(triggers.len() > 5, "{triggers:?}");
    assert_eq!(triggers.iter().find(|line| of_all_nodes(line)), None);
    let whole = TestDatabase::postgres().await.place.lines(TRIGGERS);
    let dropped: Vec<_> = whole.iter().filter(|line| of_all_nodes(line)).collect();
    assert_eq!(dropped.len(), 6, "{dropped:?}");
}

/// The tables, with the manner in which they are distributed, and the foreign keys.
const DISTRIBUTED: &str = "
    SELECT t.relname || coalesce(' ' || partmethod::text, '') AS line FROM pg_class AS t
    LEFT JOIN pg_dist_partition ON logicalrel = t.oid
    WHERE t.relnamespace = 'public'::regnamespace AND t.relkind = 'r' ORDER BY 1";
const FOREIGN_KEYS: &str = "
    SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) AS line
    FROM pg_constraint WHERE contype = 'f' ORDER BY 1";

#[test]
fn the_script_distributes_every_table_once_and_keeps_the_foreign_keys() {
    let whole = DatabaseLocation::migrated();
    let place = DatabaseLocation::distributed();
    assert_eq!(place.lines(FOREIGN_KEYS), whole.lines(FOREIGN_KEYS));
    let left: Vec<_> = place.lines(DISTRIBUTED).into_iter().filter(|line| !line.ends_with(" h")).collect();
    assert_eq!(
        left,
        [
            "__diesel_schema_migrations",
            "delivery_turns",
            "directory n",
            "login_attempts",
            "pg_dist_partition",
            "tenants n"
        ]
    );
    place.execute(
        "CREATE TABLE later (
            tenant_id text NOT NULL REFERENCES tenants (id), id bigint NOT NULL, PRIMARY KEY (tenant_id, id),
            FOREIGN KEY (tenant_id) REFERENCES audit_heads (tenant_id)
        )",
    );
    let before = place.lines(FOREIGN_KEYS);
    place.distribute();
    place.distribute();
    assert_eq!(place.lines(FOREIGN_KEYS), before);
    assert!(place.lines(DISTRIBUTED).contains(&"later h".to_owned()));
}

/// The statements with joins in the program's sources: their tables, and the number of joins, which for statements that differ
/// between the databases are counted for both.
const JOINS: [(&[&str], usize); 7] = [
    (&["api_keys", "tenants"], 1),
    (&["deliveries", "delivery_queue", "delivery_queue", "mass_requests", "deliveries"], 3),
    (&["delivery_queue", "mass_requests", "deliveries"], 2),
    (&["idempotency_keys", "mass_requests"], 2),
    (&["sessions", "users", "tenants"], 2),
    (&["tenants", "quotas", "tenant_usage"], 2),
    (&["mass_requests", "tenants"], 1),
];

/// Counts the joins in the sources of a folder.
fn joins_in(folder: &Path) -> usize {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| match path.is_dir() {
            true => joins_in(&path),
            false => {
                let source = fs::read_to_string(&path).unwrap();
                let in_sql = |line: &&str| {
                    let line = line.trim_start();
                    line.contains(" ON ") && (line.starts_with("JOIN ") || line.starts_with("LEFT JOIN "))
                };
                source.matches("_join(").count() + source.lines().filter(in_sql).count()
            }
        })
        .sum()
}

#[tokio::test]
async fn every_join_in_the_sources_is_checked() {
    let db = TestDatabase::postgres().await;
    for _ in 0..2 {
        let sent = vec![reading("dev-1", 20).keyed("k")];
        db.mass().accept(&tenant(), sent, Vec::new(), None).await.unwrap().unwrap();
    }
    db.mass().find_as_of(&tenant(), CredentialsVersion(0), reading("dev-1", 20).id).await.unwrap();
    db.sessions().find(&tenant(), SessionId::from_uuid(Uuid::now_v7())).await.unwrap();
    let (gateway, digest) = key(&tenant(), 1);
    db.keys().insert(gateway.clone(), digest, event(&tenant(), at(0))).await.unwrap();
    db.key_ring().find_by_prefix(&gateway.prefix).await.unwrap();
    db.outbox().list(&tenant(), DeliveryFilter::default(), None, Limit::DEFAULT).await.unwrap();
    let sent = db.stored(Submission { auto_send: AutoSend::On, ..reading("dev-2", 20) }).await;
    db.outbox().cancel(&tenant(), DeliveryId::of(sent.summary.id), act(at(2))).await.unwrap();
    for (tables, _) in JOINS {
        assert!(seen().values().any(|seen| seen.tables == tables), "no statement joins {tables:?}");
    }
    let joins: usize = JOINS.iter().map(|(_, joins)| joins).sum();
    let in_sources = joins_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert_eq!(in_sources, joins, "a join has come or gone: this test has to send what is joined, and to name it");
}
