//! Backups of a PostgreSQL database, by PostgreSQL's own programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::{Store, establish};
use crate::BackupError;
use crate::target::PostgresUrl;

/// The number of tables and the like that no extension brought.
const TABLES: &str = "(
    SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
)";

/// Writes an archive of one moment to a new file, and reads it whole. The role that migrates owns the tables: as the one that
/// serves, row-level security would hide them.
pub(super) fn back_up(store: &Store, path: &Path) -> Result<(), BackupError> {
    let url = &store.migration_url;
    let mut dump = program("pg_dump", url);
    dump.args(["--format=custom", "--no-owner", "--no-privileges", "--file"]).arg(path);
    run("pg_dump", dump, url)?;
    let mut read = Command::new("pg_restore");
    read.arg("--file=/dev/null").arg(path);
    run("pg_restore", read, url)
}

/// Loads an archive into an empty database, all of it or nothing.
pub(super) fn load(store: &Store, path: &Path) -> Result<(), BackupError> {
    let url = &store.migration_url;
    let mut connection = establish(url).map_err(BackupError::Refused)?;
    let tables: i64 = diesel::select(sql::<BigInt>(TABLES))
        .get_result(&mut connection)
        .map_err(|error| BackupError::Refused(url.redact(&error.to_string())))?;
    if tables > 0 {
        return Err(BackupError::NotEmpty(tables));
    }
    let mut restore = program("pg_restore", url);
    restore.args(["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]).arg(path);
    run("pg_restore", restore, url)
}

/// Returns nothing: the files are the server's.
pub(super) fn file(_store: &Store) -> Option<PathBuf> {
    None
}

/// Prepares a program that connects to a database. The password is not among its arguments, which every user of the machine
/// can read.
fn program(name: &str, url: &PostgresUrl) -> Command {
    let (url, password) = url.without_password();
    let mut command = Command::new(name);
    command.arg("--dbname").arg(url).arg("--no-password");
    if let Some(password) = password {
        command.env("PGPASSWORD", password);
    }
    command
}

fn run(name: &'static str, mut command: Command, url: &PostgresUrl) -> Result<(), BackupError> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|source| BackupError::Program { program: name, source })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(BackupError::Refused(format!("{name} failed: {}", url.redact(&said))))
}
