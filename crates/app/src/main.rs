//! The `mass` program.

use std::process::ExitCode;

use mass_app::cli::Cli;
use mimalloc::MiMalloc;
use rustix::fs::Mode;

/// The system's allocator took a quarter of the server's time: docs/decisions/0013-ingestion-profile.md.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // Files hold telemetry, password hashes or keys, and are readable only by their owner.
    rustix::process::umask(Mode::from_raw_mode(0o077));
    match Cli::read() {
        Ok(cli) => actix_web::rt::System::new().block_on(cli.run()).unwrap_or_else(|error| mass_app::cli::fail(&error)),
        Err(status) => status,
    }
}
