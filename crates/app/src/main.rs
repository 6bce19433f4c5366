//! The `mass` program.

use std::process::ExitCode;

use clap::Parser;
use mass_app::cli::Cli;
use mimalloc::MiMalloc;

/// A quarter of the server's time went into the system's allocator: docs/decisions/0013-ingestion-profile.md.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    if let Err(error) = mass_app::config::load_dotenv() {
        return mass_app::cli::fail(&error);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return mass_app::cli::refuse(&error),
    };
    actix_web::rt::System::new().block_on(cli.run()).unwrap_or_else(|error| mass_app::cli::fail(&error))
}
