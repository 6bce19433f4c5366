//! `mass savings`: plans of pilots, reports on the projects of the local database, papers of reports, and their
//! verification.

mod given;
mod paper;
mod plan;
mod report;
mod verify;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use mass_domain::faults::Fault;
use mass_domain::tenancy::TenantId;

use crate::config::{LocalSettings, Secrets};

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Predict from a baseline what pilots of 4 to 12 weeks could show.
    #[command(
        after_help = "Example: mass savings plan --site-id tampa-1 --weather-device weather-1 --zone America/New_York \
                      --from 2026-01-01T05:00:00Z --to 2026-04-01T05:00:00Z"
    )]
    Plan(plan::Arguments),
    /// Compute a report on a project now, and print it. It is neither stored nor signed; the API does both.
    #[command(after_help = "Example: mass savings report 0199d3a0-0000-7000-8000-000000000001 --json")]
    Report(report::Arguments),
    /// Write a report as PDF, its figures as SVG and its series as CSV, without a server and without a database.
    #[command(after_help = "Example: mass savings paper report.json --to papers --language es")]
    Paper(paper::Arguments),
    /// Compute a report again from exports of the audit trail and of the documents, without a server and without a
    /// database.
    #[command(
        after_help = "Example: mass savings verify report.json --export audit.ndjson --documents requests.ndjson \
                      --key mass.key\n\n\
                      Exit status: 0 when the report is the same to the byte, 2 when it is not, 1 on failure."
    )]
    Verify(verify::Arguments),
}

/// The database and the form of the output.
#[derive(Debug, Args)]
struct Output {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    /// The tenant [default: MASS_TENANT].
    #[arg(long, value_parser = TenantId::parse)]
    tenant: Option<TenantId>,
    #[command(flatten)]
    local: LocalSettings,
}

/// Runs the command.
///
/// # Errors
/// The error to show on the terminal.
pub async fn run(command: Command, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    match command {
        Command::Plan(arguments) => plan::run(arguments, secrets).await,
        Command::Report(arguments) => report::run(arguments, secrets).await,
        Command::Paper(arguments) => paper::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
    }
}

/// Returns faults as one line.
fn told(faults: &[Fault]) -> String {
    let fault = |Fault { pointer, expected }: &Fault| format!("{pointer}: expected {expected}");
    faults.iter().map(fault).collect::<Vec<_>>().join("; ")
}
