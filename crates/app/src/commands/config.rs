//! `mass config`

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;

use super::print;
use crate::config::{Secrets, Settings};

/// The settings to print.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

/// Prints the effective configuration, one variable per line.
///
/// # Errors
/// If standard output cannot be written.
pub fn run(arguments: &Arguments, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    let mut text = String::new();
    for (name, value) in arguments.settings.shown(secrets) {
        writeln!(text, "{name}={value}")?;
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}
