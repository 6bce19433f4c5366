//! The `mass` program.

use std::process::ExitCode;

use clap::Parser;
use mass_app::cli::Cli;
use mimalloc::MiMalloc;
use rustix::fs::Mode;

/// A quarter of the server's time went into the system's allocator: docs/decisions/0013-ingestion-profile.md.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // Whatever is written holds telemetry, hashes of passwords or keys: it is for its owner alone.
    rustix::process::umask(Mode::from_raw_mode(0o077));
    if let Err(error) = mass_app::config::load_dotenv() {
        return mass_app::cli::fail(&error);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return mass_app::cli::refuse(&error),
    };
    actix_web::rt::System::new().block_on(cli.run()).unwrap_or_else(|error| mass_app::cli::fail(&error))
}
