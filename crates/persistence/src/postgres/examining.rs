//! The state of a PostgreSQL database, without a change to it.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use mass_domain::time::Timestamp;

use super::{Backend, Connection, MIGRATIONS, Store, applied_migrations, establish, roles};
use crate::columns;
use crate::connections::Walled;
use crate::examination::{Examination, Roles};
use crate::versions::pending;

/// Returns the clock of the database's machine.
pub(super) fn clock(connection: &mut Connection) -> QueryResult<Option<Timestamp>> {
    let clock: columns::Instant =
        diesel::select(sql::<columns::sql::Instant>("clock_timestamp()")).get_result(connection)?;
    Ok(Some(clock.0))
}

/// Examines the database.
pub(super) fn examine(store: &Store) -> Result<Examination, String> {
    let mut owner = establish(&store.migration_url)?;
    let mut serving = establish(&store.url)?;
    read(&mut owner, &mut serving).map_err(|error| store.migration_url.redact(&error.to_string()))
}

fn read(owner: &mut Connection, serving: &mut Connection) -> QueryResult<Examination> {
    let version = "split_part(current_setting('server_version'), ' ', 1)";
    let version: String = diesel::select(sql::<Text>(version)).get_result(owner)?;
    let bytes: i64 = diesel::select(sql::<BigInt>("pg_database_size(current_database())")).get_result(owner)?;
    let pending = pending::<Backend>(&applied_migrations(owner)?, MIGRATIONS);
    let role: String = diesel::select(sql::<Text>("current_user::text")).get_result(serving)?;
    let migrating: String = diesel::select(sql::<Text>("current_user::text")).get_result(owner)?;
    let roles = if role == migrating {
        let is_superuser = "(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)";
        let is_superuser = diesel::select(sql::<Bool>(is_superuser)).get_result(owner)?;
        Roles::One { role, is_superuser }
    } else if pending.is_empty() {
        let is_held = serving.has_walls()?;
        let due = roles::statements_due(owner, &role)?;
        Roles::Two { role, is_held, due }
    } else {
        // Rights and policies are those of the migrated tables.
        Roles::Two { role, is_held: true, due: Vec::new() }
    };
    let server = format!("PostgreSQL {version}");
    Ok(Examination { server, pending, roles: Some(roles), bytes: u64::try_from(bytes).unwrap_or_default() })
}

/// Finds nothing: PostgreSQL has checks of its own (`pg_amcheck`).
#[expect(clippy::unnecessary_wraps, reason = "SQLite's can fail")]
pub(super) fn damage(_store: &Store) -> Result<Vec<String>, String> {
    Ok(Vec::new())
}
