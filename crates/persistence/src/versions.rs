//! The check that no newer program has migrated a database.

use diesel::backend::Backend;
use diesel::migration::MigrationSource;
use diesel_migrations::EmbeddedMigrations;

use crate::program;

/// Error for a database that a newer program has migrated: this program would misread it or write unexpected rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the database is newer than this program: it has the migration {database}, and MASS {program} knows none after {known}; \
     run the version of MASS that migrated it or a newer one, or restore a backup of before its upgrade"
)]
pub struct NewerDatabase {
    /// The newest of the database's migrations that this program does not know.
    pub database: String,
    /// The newest migration that this program knows.
    pub known: String,
    /// This program's version.
    pub program: String,
}

/// Lists the migrations that are not among the applied ones, by name and oldest first.
pub(crate) fn pending<D: Backend>(applied: &[String], migrations: EmbeddedMigrations) -> Vec<String> {
    let known = MigrationSource::<D>::migrations(&migrations).unwrap_or_default();
    let names = known.iter().map(|migration| migration.name());
    let mut pending: Vec<_> = names
        .filter(|name| !applied.contains(&name.version().to_string()))
        .map(|name| (name.version().to_string(), name.to_string()))
        .collect();
    pending.sort();
    pending.into_iter().map(|(_, name)| name).collect()
}

/// Fails if other migrations than these were applied to a database.
pub(crate) fn refuse_newer<D: Backend>(
    applied: Vec<String>,
    migrations: EmbeddedMigrations,
) -> Result<(), NewerDatabase> {
    let known: Vec<String> = MigrationSource::<D>::migrations(&migrations)
        .unwrap_or_default()
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect();
    let unknown = applied.into_iter().filter(|version| !known.contains(version)).max();
    match unknown {
        None => Ok(()),
        Some(database) => Err(NewerDatabase {
            database,
            known: known.into_iter().max().unwrap_or_default(),
            program: program::current().version.clone(),
        }),
    }
}
