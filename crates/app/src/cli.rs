//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands::{OutputClosed, accounts, audit, config, engine, import, migrate, openapi, serve};
use crate::config::{Settings, TelemetrySettings};
use crate::logging;
use crate::telemetry::Telemetry;

/// The backend of data-centre pilots: takes telemetry, validates it, stores it durably and proves it.
#[derive(Debug, Parser)]
#[command(name = "mass", version, after_help = "Example: mass serve --mass-port 8080\n\nWithout a command: serve.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How.
    #[command(flatten)]
    pub settings: Settings,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API.
    #[command(after_help = "Example: mass serve --mass-host 0.0.0.0 --mass-port 8000")]
    Serve(serve::Arguments),
    /// Bring the database to this version's schema, and stop.
    #[command(after_help = "Example: mass migrate --database-url postgres://mass@localhost/mass")]
    Migrate,
    /// Create a user.
    #[command(after_help = "Example: mass create-user --email ana@example.test --role operator --role auditor")]
    CreateUser(accounts::CreateUser),
    /// Give a user another password.
    #[command(after_help = "Example: mass reset-password --email ana@example.test")]
    ResetPassword(accounts::ResetPassword),
    /// Import a CSV or NDJSON file.
    #[command(after_help = "Example: mass import readings.csv --contract device/1.1\n\n\
                            Exit status: 0 when every record was taken, 2 when any was refused, 1 on failure.")]
    Import(import::Arguments),
    /// Verify, export, sign or archive the audit trail.
    #[command(subcommand, after_help = "Example: mass audit verify export.ndjson --key mass.key")]
    Audit(audit::Command),
    /// Run a small recommendation engine of rules, for a first look and for tests.
    #[command(after_help = "Example: mass engine --port 8001 --error-rate 0.2 --retry-after 1 --seed 7")]
    Engine(engine::Arguments),
    /// Print the OpenAPI document.
    #[command(after_help = "Example: mass openapi > openapi.json")]
    Openapi,
    /// Print the effective configuration, secrets masked.
    #[command(after_help = "Example: MASS_PORT=8080 mass config")]
    Config,
}

impl Cli {
    /// Does what the command line says.
    ///
    /// # Errors
    /// What made it fail, for the terminal.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let settings = self.settings.without_empty_secrets();
        let command = self.command.unwrap_or(Command::Serve(serve::Arguments::default()));
        // A command that ends by itself has nothing to tell a collector.
        let serves = matches!(command, Command::Serve(_));
        let to_send = if serves { settings.telemetry.clone() } else { TelemetrySettings::default() };
        let telemetry = Telemetry::start(&to_send)?;
        logging::start(&settings.log, &telemetry)?;
        match command {
            Command::Serve(arguments) => serve::run(&settings, &arguments, telemetry).await,
            Command::Migrate => migrate::run(&settings),
            Command::CreateUser(arguments) => accounts::create_user(&settings, arguments).await,
            Command::ResetPassword(arguments) => accounts::reset_password(&settings, arguments).await,
            Command::Import(arguments) => import::run(&settings, arguments).await,
            Command::Audit(command) => audit::run(&settings, command).await,
            Command::Engine(arguments) => engine::run(&arguments).await,
            Command::Openapi => openapi::run(),
            Command::Config => config::run(&settings),
        }
    }
}

/// Shows help or the version, or tells what is wrong with the command line or a setting and exits with 1: 2 is for an
/// import with refused records.
#[must_use]
pub fn refuse(error: &clap::Error) -> ExitCode {
    // Nobody is left to be told that the terminal is gone.
    let _ = error.print();
    if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The exit status of a program that SIGPIPE ends, as a shell shows it.
const PIPE_CLOSED: u8 = 128 + 13;

/// Tells on standard error what went wrong, and exits with 1; quietly where the reader of standard output has gone.
#[expect(clippy::print_stderr, reason = "the last word of a command, which a log filter must not silence")]
#[must_use]
pub fn fail(error: &anyhow::Error) -> ExitCode {
    if error.is::<OutputClosed>() {
        return ExitCode::from(PIPE_CLOSED);
    }
    eprintln!("mass: {error:#}");
    ExitCode::FAILURE
}
