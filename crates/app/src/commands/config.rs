//! `mass config`

use std::fmt::Write;
use std::process::ExitCode;

use super::print;
use crate::config::Settings;

/// Prints the effective configuration, one variable a line.
///
/// # Errors
/// When nobody reads it.
pub fn run(settings: &Settings) -> anyhow::Result<ExitCode> {
    let mut text = String::new();
    for (name, value) in settings.shown() {
        writeln!(text, "{name}={value}")?;
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}
