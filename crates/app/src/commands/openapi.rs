//! `mass openapi`

use std::process::ExitCode;

use super::print;
use crate::http::openapi::document;

/// Prints the OpenAPI document.
///
/// # Errors
/// When it cannot be built, which is a fault in the program.
pub fn run() -> anyhow::Result<ExitCode> {
    print(document()?)?;
    Ok(ExitCode::SUCCESS)
}
