//! `mass migrate`

use std::process::ExitCode;

use clap::Args;

use super::print;
use crate::config::{DatabaseSettings, Secrets};
use crate::startup;

/// The arguments: the database to migrate.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    settings: DatabaseSettings,
}

/// Migrates the database.
///
/// # Errors
/// If the database cannot be reached or migrated.
pub fn run(arguments: &Arguments, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    let database = startup::open(&arguments.settings, secrets)?;
    let applied = startup::migrate(&database)?;
    let applied = match applied.as_slice() {
        [] => "nothing to migrate".to_owned(),
        names => format!("migrated {}", names.join(", ")),
    };
    print(&format!("{}: {applied}\n", database.describe()))?;
    Ok(ExitCode::SUCCESS)
}
