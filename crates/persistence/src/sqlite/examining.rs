//! The state of an SQLite database, without a change to it.

use diesel::Connection as _;
use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use mass_domain::time::Timestamp;

use super::{Backend, Connection, MIGRATIONS, SETUP, Store, applied_migrations};
use crate::examination::Examination;
use crate::versions::pending;

/// The most faults of a damaged file that are listed.
const LISTED_FAULTS: u32 = 20;

#[derive(QueryableByName)]
struct Fault {
    #[diesel(sql_type = Text)]
    integrity_check: String,
}

/// Returns nothing: the database's clock is this machine's.
#[expect(clippy::unnecessary_wraps, reason = "PostgreSQL's can fail")]
pub(super) fn clock(_connection: &mut Connection) -> QueryResult<Option<Timestamp>> {
    Ok(None)
}

/// Examines the database.
pub(super) fn examine(store: &Store) -> Result<Examination, String> {
    let read = |connection: &mut Connection| {
        let version: String = diesel::select(sql::<Text>("sqlite_version()")).get_result(connection)?;
        let bytes = "(SELECT page_count * page_size FROM pragma_page_count, pragma_page_size)";
        let bytes: i64 = diesel::select(sql::<BigInt>(bytes)).get_result(connection)?;
        let pending = pending::<Backend>(&applied_migrations(connection)?, MIGRATIONS);
        let bytes = u64::try_from(bytes).unwrap_or_default();
        Ok(Examination { server: format!("SQLite {version}"), pending, roles: None, bytes })
    };
    connect(&store.path).and_then(|mut connection| read(&mut connection).map_err(text))
}

/// Lists the faults of a damaged file, and of rows without the row that they refer to.
pub(super) fn damage(store: &Store) -> Result<Vec<String>, String> {
    connect(&store.path).and_then(|mut connection| faults(&mut connection).map_err(text))
}

fn faults(connection: &mut Connection) -> QueryResult<Vec<String>> {
    let check = format!("PRAGMA integrity_check({LISTED_FAULTS})");
    let found: Vec<Fault> = diesel::sql_query(check).load(connection)?;
    let mut faults: Vec<String> =
        found.into_iter().map(|fault| fault.integrity_check).filter(|fault| fault != "ok").collect();
    let orphans = "SELECT DISTINCT \"table\" || ' refers to a missing row of ' || parent FROM pragma_foreign_key_check";
    faults.extend(sql::<Text>(orphans).load::<String>(connection)?);
    Ok(faults)
}

/// Connects to the file, as the pools do.
pub(super) fn connect(path: &str) -> Result<Connection, String> {
    let mut connection = Connection::establish(path).map_err(|error| error.to_string())?;
    connection.batch_execute(SETUP).map_err(text)?;
    Ok(connection)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn text(error: diesel::result::Error) -> String {
    error.to_string()
}
