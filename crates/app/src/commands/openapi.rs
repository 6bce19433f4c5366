//! `mass openapi`

use std::process::ExitCode;

use clap::Args;

use super::print;
use crate::config::PublicSettings;
use crate::http::OPERATIONS;
use crate::http::openapi::document;

/// The arguments: the address of the API.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    settings: PublicSettings,
}

/// Prints the OpenAPI document.
///
/// # Errors
/// If the document cannot be built, which is a bug.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    print(&document(OPERATIONS, &arguments.settings.public_url)?)?;
    Ok(ExitCode::SUCCESS)
}
