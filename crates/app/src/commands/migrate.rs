//! `mass migrate`

use std::process::ExitCode;

use super::print;
use crate::config::Settings;
use crate::startup;

/// Migrates the database.
///
/// # Errors
/// When it cannot be reached or migrated.
pub fn run(settings: &Settings) -> anyhow::Result<ExitCode> {
    let database = startup::open(settings)?;
    let applied = startup::migrate(&database)?;
    let applied = match applied.as_slice() {
        [] => "nothing to migrate".to_owned(),
        names => format!("migrated {}", names.join(", ")),
    };
    print(&format!("{}: {applied}\n", database.describe()))?;
    Ok(ExitCode::SUCCESS)
}
