//! The `mass` program.

use std::process::ExitCode;

use mass_app::cli::Cli;
use mimalloc::MiMalloc;
use rustix::fs::Mode;

/// A quarter of the server's time went into the system's allocator: docs/decisions/0013-ingestion-profile.md.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // Whatever is written holds telemetry, hashes of passwords or keys: it is for its owner alone.
    rustix::process::umask(Mode::from_raw_mode(0o077));
    match Cli::read() {
        Ok(cli) => actix_web::rt::System::new().block_on(cli.run()).unwrap_or_else(|error| mass_app::cli::fail(&error)),
        Err(status) => status,
    }
}
