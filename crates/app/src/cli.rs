//! The command line.

use std::borrow::Cow;
use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::bail;
use clap::error::ContextValue;
use clap::{Parser, Subcommand};

use crate::commands::{OutputClosed, accounts, audit, closed, config, engine, import, migrate, openapi, serve};
use crate::config::{self as settings, SECRETS, Settings, TelemetrySettings};
use crate::telemetry::Telemetry;
use crate::terminal::visible_line;
use crate::{logging, terminal};

/// The backend of data-centre pilots: takes telemetry, validates it, stores it durably and proves it.
#[derive(Debug, Parser)]
#[command(name = "mass", version, after_help = with_secrets("Example: mass serve --mass-port 8080\n\nWithout a command: serve."))]
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
    #[command(after_help = with_secrets("Example: mass serve --mass-host 0.0.0.0 --mass-port 8000"))]
    Serve(serve::Arguments),
    /// Bring the database to this version's schema, and stop.
    #[command(after_help = with_secrets("Example: DATABASE_URL_FILE=/run/secrets/database mass migrate"))]
    Migrate,
    /// Create a user.
    #[command(after_help = "Example: mass create-user --email ana@example.test --role operator --role auditor")]
    CreateUser(accounts::CreateUser),
    /// Give a user another password.
    #[command(after_help = "Example: mass reset-password --email ana@example.test")]
    ResetPassword(accounts::ResetPassword),
    /// Import a CSV or NDJSON file.
    #[command(after_help = "Example: mass import readings.csv --contract device/1.1\n\n\
                            With --url, the variable MASS_TOKEN holds a bearer token for that server, or \
                            MASS_TOKEN_FILE the path of a file with one.\n\n\
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

/// Adds to a help text how secrets are given.
fn with_secrets(example: &str) -> String {
    format!(
        "Secrets have no flags: set the variable, or NAME_FILE to the path of a file that holds the secret.\n  {}\n\n{example}",
        SECRETS.join("\n  ")
    )
}

impl Cli {
    /// Reads `.env` and the command line.
    ///
    /// # Errors
    /// The exit status, after help, the version or the error has been printed.
    pub fn read() -> Result<Self, ExitCode> {
        logging::shield_panics();
        settings::load_dotenv().map_err(|error| fail(&error))?;
        refuse_secrets(std::env::args_os().skip(1)).map_err(|error| fail(&error))?;
        Self::try_parse().map_err(refuse)
    }

    /// Does what the command line says.
    ///
    /// # Errors
    /// What made it fail, for the terminal.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let settings = self.settings.with_secrets(settings::variable)?;
        let command = self.command.unwrap_or(Command::Serve(serve::Arguments::default()));
        // A command that ends by itself has nothing to tell a collector.
        let serves = matches!(command, Command::Serve(_));
        let to_send = if serves { settings.telemetry.clone() } else { TelemetrySettings::default() };
        let telemetry = Telemetry::start(&to_send)?;
        logging::start(&settings.log, &telemetry)?;
        warn_of_unknown_variables();
        match command {
            Command::Serve(arguments) => serve::run(&settings, &arguments, telemetry).await,
            Command::Migrate => migrate::run(&settings),
            Command::CreateUser(arguments) => accounts::create_user(&settings, arguments).await,
            Command::ResetPassword(arguments) => accounts::reset_password(&settings, arguments).await,
            Command::Import(arguments) => import::run(&settings, arguments).await,
            Command::Audit(command) => audit::run(&settings, command).await,
            Command::Engine(arguments) => engine::run(&arguments).await,
            Command::Openapi => openapi::run(&settings),
            Command::Config => config::run(&settings),
        }
    }
}

/// Warns of variables that look like settings and are none, which a spelling mistake would hide otherwise.
fn warn_of_unknown_variables() {
    for settings::Unknown { name, nearest } in settings::unknown_variables() {
        let hint = nearest.map_or_else(
            || "`mass config` lists all settings".to_owned(),
            |nearest| format!("did you mean {nearest}?"),
        );
        tracing::warn!("{} is not a setting and is ignored; {hint}", visible_line(&name));
    }
}

/// Refuses flags for secrets, which every user of the machine could read in its list of processes.
fn refuse_secrets(arguments: impl Iterator<Item = OsString>) -> anyhow::Result<()> {
    for argument in arguments.take_while(|argument| argument != "--") {
        let text = argument.to_string_lossy();
        let Some(flag) = text.strip_prefix("--") else { continue };
        let flag = flag.split_once('=').map_or(flag, |(flag, _)| flag);
        let variable = match flag {
            "token" => "MASS_TOKEN".to_owned(),
            flag => flag.replace('-', "_").to_ascii_uppercase(),
        };
        if SECRETS.contains(&variable.as_str()) {
            bail!(
                "--{flag} is not a flag, since every user of this machine can read its command lines: set the variable \
                 {variable}, or {variable}_FILE to the path of a file that holds the secret"
            );
        }
    }
    Ok(())
}

/// Shows help or the version, or tells what is wrong with the command line or a setting and exits with 1: 2 is for an
/// import with refused records. A value that may hold a password is not shown.
fn refuse(mut error: clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return error.print().map_or_else(|error| fail(&closed(error)), |()| ExitCode::SUCCESS);
    }
    let contexts: Vec<_> = error.context().map(|(kind, value)| (kind, value.clone())).collect();
    for (kind, value) in contexts {
        let ContextValue::String(text) = value else { continue };
        let shown = if text.contains(':') && text.contains('@') {
            "(not shown, since it may hold a password)".to_owned()
        } else {
            visible_line(&text).into_owned()
        };
        error.insert(kind, ContextValue::String(shown));
    }
    // The reason of a setting's own parser may repeat the value.
    let is_harmless = error.source().is_none_or(|source| matches!(visible_line(&source.to_string()), Cow::Borrowed(_)));
    if is_harmless {
        // Nobody is left to be told that the terminal is gone.
        let _ = error.print();
    } else {
        terminal::complain(&terminal::visible(&error.render().to_string()));
    }
    ExitCode::FAILURE
}

/// The exit status of a program that SIGPIPE ends, as a shell shows it.
const PIPE_CLOSED: u8 = 128 + 13;

/// Tells on standard error what went wrong, and exits with 1; quietly where the reader of standard output has gone.
#[must_use]
pub fn fail(error: &anyhow::Error) -> ExitCode {
    if error.is::<OutputClosed>() {
        return ExitCode::from(PIPE_CLOSED);
    }
    terminal::complain(&format!("mass: {}\n", terminal::in_one_line(error)));
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_flag_for_a_secret_and_names_its_variable() {
        let refused =
            |arguments: &[&str]| refuse_secrets(arguments.iter().map(OsString::from)).unwrap_err().to_string();
        for (flag, variable) in [
            ("--token", "MASS_TOKEN"),
            ("--mass-token", "MASS_TOKEN"),
            ("--secret-key", "SECRET_KEY"),
            ("--secret-key-previous", "SECRET_KEY_PREVIOUS"),
            ("--database-url", "DATABASE_URL"),
            ("--mass-audit-key", "MASS_AUDIT_KEY"),
            ("--mass-admin-password", "MASS_ADMIN_PASSWORD"),
        ] {
            for arguments in [&["serve", flag, "hunter2"][..], &["serve", &format!("{flag}=hunter2")]] {
                let told = refused(arguments);
                assert!(told.starts_with(&format!("{flag} is not a flag")) && told.contains(variable), "{told}");
                assert!(!told.contains("hunter2"), "{told}");
            }
        }
        let others = ["import", "--mass-token-algorithm", "EdDSA", "--json", "token", "--", "--token"];
        assert!(refuse_secrets(others.iter().map(OsString::from)).is_ok());
    }
}
