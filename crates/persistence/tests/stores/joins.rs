//! Checks that no statement joins rows of different tenants, so that the tables can be distributed by `tenant_id`, as
//! with Citus. Every statement that these tests send to PostgreSQL is checked.
#![expect(clippy::wildcard_enum_match_arm, reason = "of the grammar of SQL, little tells whose rows are joined")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use diesel::connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation};
use mass_domain::delivery::DeliveryFilter;
use mass_domain::ids::{DeliveryId, SessionId};
use mass_domain::page::Limit;
use mass_domain::tenancy::{AutoSend, CredentialsVersion};
use mass_service::Submission;
use sqlparser::ast::{
    BinaryOperator, Expr, FromTable, Join, JoinConstraint, JoinOperator, Query, Select, Statement, TableFactor,
    TableWithJoins, UpdateTableFromKind, Value, Visit, Visitor,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use uuid::Uuid;

use crate::administration::key;
use crate::databases::TestDatabase;
use crate::fixtures::{Vary, act, at, event, reading, tenant};

/// The tables that every node would have completely: they identify tenants or lead to one.
const REFERENCE_TABLES: [&str; 3] = ["tenants", "directory", "login_attempts"];

/// The prefixes of the system's tables, and of diesel's.
const NOT_OURS: [&str; 3] = ["pg_", "information_schema.", "__diesel"];

/// Workers claim from it across tenants, which works while it is on one node. Statements on this table alone are
/// exempt.
const ON_ONE_NODE: &str = "delivery_queue";

/// The checked statements, with the tables in each.
static SEEN: Mutex<BTreeMap<String, Vec<String>>> = Mutex::new(BTreeMap::new());

/// Checks every statement on connections to PostgreSQL that are opened from now on, and panics if one combines rows of
/// different tenants.
pub(crate) fn watch() {
    set_default_instrumentation(|| Some(Box::new(Watch { postgres: false }))).unwrap();
}

struct Watch {
    postgres: bool,
}

impl Instrumentation for Watch {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::StartEstablishConnection { url, .. } = event {
            self.postgres = url.starts_with("postgres");
        } else if let InstrumentationEvent::StartQuery { query, .. } = event
            && self.postgres
        {
            // The values may be long, and most statements are known already.
            let mut beginning = Beginning::default();
            let _ = write!(beginning, "{query}");
            let is_known = seen().contains_key(&beginning.0);
            if !is_known {
                let tables = tables_in(&query.to_string()).unwrap_or_else(|error| panic!("{error}"));
                seen().insert(beginning.0, tables);
            }
        }
    }
}

fn seen() -> std::sync::MutexGuard<'static, BTreeMap<String, Vec<String>>> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
}

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

/// Returns the tables of the statements in diesel's debug output, or an error if one of them combines rows of different
/// tenants.
fn tables_in(text: &str) -> Result<Vec<String>, String> {
    let (statements, values) = text.rsplit_once(VALUES).unwrap_or((text, "[]"));
    let first = statements.split_whitespace().next().unwrap_or_default().to_uppercase();
    if !["SELECT", "WITH", "INSERT", "UPDATE", "DELETE"].contains(&first.as_str()) {
        return Ok(Vec::new());
    }
    let parsed =
        Parser::parse_sql(&PostgreSqlDialect {}, statements).map_err(|error| format!("{error}: {statements}"))?;
    let mut tables = Vec::new();
    for statement in parsed {
        let mut reading = StatementAnalysis { values: split(values), ..StatementAnalysis::default() };
        let _ = statement.visit(&mut reading);
        tables.extend(reading.of_one_tenant().map_err(|table| format!("{table} is of no one tenant: {text}"))?);
    }
    Ok(tables)
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
        let of_tenants = |(_, table): &&(usize, String)| {
            !REFERENCE_TABLES.contains(&table.as_str()) && !NOT_OURS.iter().any(|name| table.starts_with(name))
        };
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
            self.add(relation, conditions);
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
        match statement {
            Statement::Update(update) => {
                let from = update.from.iter().flat_map(|from| match from {
                    UpdateTableFromKind::BeforeSet(tables) | UpdateTableFromKind::AfterSet(tables) => tables,
                });
                self.enter([&update.table].into_iter().chain(from), update.selection.as_ref());
            }
            Statement::Delete(delete) => {
                let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
                self.enter(from.iter().chain(delete.using.iter().flatten()), delete.selection.as_ref());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
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
        tables_in(text).unwrap();
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
        assert!(tables_in(text).is_err(), "{text}");
    }
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
        assert!(seen().values().any(|seen| seen == tables), "no statement joins {tables:?}");
    }
    let joins: usize = JOINS.iter().map(|(_, joins)| joins).sum();
    let in_sources = joins_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert_eq!(in_sources, joins, "a join has come or gone: this test has to send what is joined, and to name it");
}
