//! `mass openapi`

use std::process::ExitCode;

use anyhow::Context;

use super::print;
use crate::config::Settings;
use crate::http::openapi::document_at;

/// Prints the OpenAPI document.
///
/// # Errors
/// When it cannot be built, which is a fault in the program.
pub fn run(settings: &Settings) -> anyhow::Result<ExitCode> {
    let document = document_at(&settings.http.public_url)?;
    print(std::str::from_utf8(&document).context("the document")?)?;
    Ok(ExitCode::SUCCESS)
}
