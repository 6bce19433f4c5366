//! `mass openapi`

use std::process::ExitCode;

use super::print;
use crate::config::Settings;
use crate::http::OPERATIONS;
use crate::http::openapi::document;

/// Prints the OpenAPI document.
///
/// # Errors
/// When it cannot be built, which is a fault in the program.
pub fn run(settings: &Settings) -> anyhow::Result<ExitCode> {
    print(&document(OPERATIONS, &settings.http.public_url)?)?;
    Ok(ExitCode::SUCCESS)
}
