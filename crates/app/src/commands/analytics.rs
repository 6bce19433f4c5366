//! `mass analytics`: figures of the local database, and their projection made anew.

mod figures;
mod rebuild;

use std::process::ExitCode;

use clap::Subcommand;

use crate::config::Secrets;

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the indicators of sites: PUE, energies, cost and more.
    #[command(
        after_help = "Example: mass analytics kpis --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z --step day"
    )]
    Kpis(figures::Kpis),
    /// Print series in stretches of time.
    #[command(after_help = "Example: mass analytics series --metric it_power_kw --from 2026-11-24T00:00:00Z --to \
                      2026-11-25T00:00:00Z")]
    Series(figures::Series),
    /// Project the audit trail of a tenant anew, from its first event on.
    #[command(after_help = "Example: mass analytics rebuild --tenant default")]
    Rebuild(rebuild::Arguments),
}

/// Runs the command.
///
/// # Errors
/// The error to show on the terminal.
pub async fn run(command: Command, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    match command {
        Command::Kpis(arguments) => figures::kpis(arguments, secrets).await,
        Command::Series(arguments) => figures::series(arguments, secrets).await,
        Command::Rebuild(arguments) => rebuild::run(arguments, secrets).await,
    }
}
