//! The command line.

use std::borrow::Cow;
use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::bail;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands::{
    OutputClosed, accounts, analytics, audit, backup, bridge, closed, completions, config, demo, doctor, engine,
    export, import, man, migrate, openapi, restore, savings, serve,
};
use crate::config::{self as settings, LogSettings, SECRETS, Secrets};
use crate::telemetry::Telemetry;
use crate::terminal::visible_line;
use crate::{logging, terminal};

/// The backend of data-centre pilots: takes telemetry, validates it, stores it durably and proves it.
#[derive(Debug, Parser)]
#[command(
    name = "mass",
    version,
    override_usage = "mass [COMMAND] [OPTIONS]",
    after_help = "Example: mass serve --port 8080\n\nWithout a command: serve."
)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
    /// The log settings.
    #[command(flatten)]
    pub log: LogSettings,
}

/// The commands of the program.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API.
    #[command(after_help = with_secrets(SECRETS, "Example: mass serve --host 0.0.0.0 --port 8000"))]
    Serve(Box<serve::Arguments>),
    /// Serve a simulated pilot with its report, in a database of its own.
    #[command(after_help = "Example: mass demo --port 8080\n\n\
        The first start loads it into the folder `demo` in MASS_DATA_DIR. Delete the folder to begin anew.")]
    Demo(Box<demo::Arguments>),
    /// Bring the database to this version's schema, and stop.
    #[command(after_help = with_secrets(DATABASE, "Example: DATABASE_URL_FILE=/run/secrets/database mass migrate"))]
    Migrate(migrate::Arguments),
    /// Create a user.
    #[command(after_help = with_secrets(
        ACCOUNTS,
        "Example: mass create-user --email ana@example.test --role operator --role auditor"
    ))]
    CreateUser(accounts::CreateUser),
    /// Set a user's password anew.
    #[command(after_help = with_secrets(ACCOUNTS, "Example: mass reset-password --email ana@example.test"))]
    ResetPassword(accounts::ResetPassword),
    /// Remove a user's second factor, who has lost the device and the recovery codes.
    #[command(after_help = with_secrets(ACCOUNTS, "Example: mass reset-second-factor --email ana@example.test"))]
    ResetSecondFactor(accounts::ResetSecondFactor),
    /// Import a CSV or NDJSON file.
    #[command(after_help = with_secrets(
        IMPORT,
        "Example: mass import readings.csv --contract device/1.1\n\n\
         Exit status: 0 when every record was taken, 2 when any was refused, 1 on failure.\n\
         docs/import.md tells how to undo an import."
    ))]
    Import(import::Arguments),
    /// Bring the messages of a broker to a server.
    #[command(
        subcommand,
        after_help = "Example: mass bridge mqtt --broker mqtt://broker.example --topic 'site/+/env' --map site.toml \
                      --url https://mass.example"
    )]
    Bridge(bridge::Command),
    /// Export stored requests with their documents.
    #[command(after_help = with_secrets(
        IMPORT,
        "Example: mass export --out readings.csv --contract device/1.1 --observed-from 2026-11-01T00:00:00Z"
    ))]
    Export(export::Arguments),
    /// Verify, export, sign or archive the audit trail.
    #[command(subcommand, after_help = "Example: mass audit verify export.ndjson --key mass.key")]
    Audit(audit::Command),
    /// Print figures of the local database, or compute them anew from the audit trail.
    #[command(
        subcommand,
        after_help = "Example: mass analytics kpis --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z"
    )]
    Analytics(analytics::Command),
    /// Plan pilots, and print savings reports, from the local database.
    #[command(subcommand, after_help = "Example: mass savings report 0199d3a0-0000-7000-8000-000000000001")]
    Savings(savings::Command),
    /// Write a backup of the database, also while it is served, and verify it.
    #[command(after_help = with_secrets(
        OF_BACKUPS,
        "Example: mass backup /backup/mass-2026-11-30.db\n\n\
         Exit status: 0 when it is written and good, 2 when the database is not as it was signed, 1 on failure."
    ))]
    Backup(backup::Arguments),
    /// Restore a backup into an empty database, and verify its audit trail.
    #[command(after_help = with_secrets(
        OF_BACKUPS,
        "Example: mass restore /backup/mass-2026-11-30.db --checkpoint kept.txt\n\n\
         Exit status: 0 when it is restored and good, 2 when it is not as it was signed, 1 on failure."
    ))]
    Restore(restore::Arguments),
    /// Examine the installation, and tell what to do about each finding.
    #[command(after_help = with_secrets(
        SECRETS,
        "Example: mass doctor --json --max-backup-age 26\n\n\
         Exit status: 0 when nothing is wrong, 3 when there are warnings, 2 when a check failed, 1 when the command \
         itself did.\n\
         docs/operations.md lists the checks."
    ))]
    Doctor(Box<doctor::Arguments>),
    /// Run a small recommendation engine of rules, for a first look and for tests.
    #[command(after_help = "Example: mass engine --port 8001 --error-rate 0.2 --retry-after 1 --seed 7")]
    Engine(engine::Arguments),
    /// Print the completions of the command line for a shell.
    #[command(after_help = "Example: mass completions bash > /usr/share/bash-completion/completions/mass")]
    Completions(completions::Arguments),
    /// Write the manual pages of the program and its commands.
    #[command(after_help = "Example: mass man /usr/local/share/man/man1")]
    Man(man::Arguments),
    /// Print the OpenAPI document.
    #[command(after_help = "Example: mass openapi > openapi.json")]
    Openapi(openapi::Arguments),
    /// Print the effective configuration, secrets masked.
    #[command(after_help = with_secrets(SECRETS, "Example: MASS_PORT=8080 mass config"))]
    Config(Box<config::Arguments>),
}

/// The secrets of the database.
const DATABASE: &[&str] = &["DATABASE_URL", "MASS_MIGRATION_DATABASE_URL"];

/// The secrets of backups: the key of the audit trail is read for its public half.
const OF_BACKUPS: &[&str] = &["DATABASE_URL", "MASS_MIGRATION_DATABASE_URL", "MASS_AUDIT_KEY"];

/// The secrets of the database and of the accounts in it.
const ACCOUNTS: &[&str] =
    &["DATABASE_URL", "MASS_MIGRATION_DATABASE_URL", "MASS_ADMIN_PASSWORD", "MASS_PASSWORD_PEPPER"];

/// The secrets of an import: the token is for the server at `--url`.
const IMPORT: &[&str] =
    &["DATABASE_URL", "MASS_MIGRATION_DATABASE_URL", "MASS_ADMIN_PASSWORD", "MASS_PASSWORD_PEPPER", "MASS_TOKEN"];

/// Appends the variables of these secrets to a help text.
fn with_secrets(secrets: &[&str], example: &str) -> String {
    format!(
        "Secrets have no flags. Set the variable, or NAME_FILE to the path of a file that holds the secret:\n{}\n\n{example}",
        secrets.join(", ")
    )
}

/// Returns the grammar of the command line: with the settings' variables, and one short help for each command.
#[must_use]
pub fn command() -> clap::Command {
    with_short_help(settings::with_variables(Cli::command()))
}

fn with_short_help(command: clap::Command) -> clap::Command {
    let help = Arg::new("help").short('h').long("help").action(ArgAction::HelpShort).help("Print help");
    let help = help.help_heading(None);
    command.disable_help_flag(true).arg(help).mut_subcommands(with_short_help)
}

/// Inserts `serve` into a command line without a command.
fn with_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let text = |argument: &OsString| argument.to_string_lossy().into_owned();
    let first = arguments.get(1).map(text);
    let asks = |flag: &str| ["-h", "--help", "-V", "--version"].contains(&flag);
    let is_flag = first.is_none_or(|first| first.starts_with('-') && !asks(&first));
    let names_command = || arguments.iter().any(|argument| Command::has_subcommand(&text(argument)));
    if is_flag && !names_command() {
        arguments.insert(arguments.len().min(1), "serve".into());
    }
    arguments
}

impl Cli {
    /// Reads `.env` and the command line.
    ///
    /// # Errors
    /// The exit status; help, the version or the error has been printed then.
    pub fn read() -> Result<Self, ExitCode> {
        logging::shield_panics();
        settings::load_dotenv().map_err(|error| fail(&error))?;
        refuse_secrets(std::env::args_os().skip(1)).map_err(|error| fail(&error))?;
        let matches = command().try_get_matches_from(with_command(std::env::args_os().collect()));
        matches.and_then(|matches| Self::from_arg_matches(&matches)).map_err(refuse)
    }

    /// Runs the command.
    ///
    /// # Errors
    /// The error to show on the terminal.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let secrets = Secrets::read(settings::variable)?;
        let telemetry = if let Command::Serve(arguments) = &self.command {
            Telemetry::start(&arguments.settings.telemetry, &secrets)?
        } else {
            // Neither a command that ends by itself nor a demo sends telemetry.
            Telemetry::silent()?
        };
        logging::start(&self.log, &telemetry)?;
        warn_of_unknown_variables();
        match self.command {
            Command::Serve(arguments) => serve::run(*arguments, &secrets, telemetry).await,
            Command::Demo(arguments) => demo::run(*arguments, &secrets, telemetry).await,
            Command::Migrate(arguments) => migrate::run(&arguments, &secrets),
            Command::CreateUser(arguments) => accounts::create_user(arguments, &secrets).await,
            Command::ResetPassword(arguments) => accounts::reset_password(arguments, &secrets).await,
            Command::ResetSecondFactor(arguments) => accounts::reset_second_factor(arguments, &secrets).await,
            Command::Import(arguments) => import::run(arguments, &secrets).await,
            Command::Bridge(command) => bridge::run(command, &secrets).await,
            Command::Export(arguments) => export::run(arguments, &secrets).await,
            Command::Audit(command) => audit::run(command, &secrets).await,
            Command::Analytics(command) => analytics::run(command, &secrets).await,
            Command::Savings(command) => savings::run(command, &secrets).await,
            Command::Backup(arguments) => backup::run(arguments, &secrets).await,
            Command::Restore(arguments) => restore::run(arguments, &secrets).await,
            Command::Doctor(arguments) => doctor::run(&arguments, &secrets).await,
            Command::Engine(arguments) => engine::run(&arguments).await,
            Command::Completions(arguments) => completions::run(&arguments, command()),
            Command::Man(arguments) => man::run(&arguments, command()),
            Command::Openapi(arguments) => openapi::run(&arguments),
            Command::Config(arguments) => config::run(&arguments, &secrets),
        }
    }
}

/// Warns of variables that begin like settings but are none, such as misspelt ones.
fn warn_of_unknown_variables() {
    for settings::Unknown { name, nearest } in settings::unknown_variables() {
        let hint = nearest.map_or_else(
            || "`mass config` lists all settings".to_owned(),
            |nearest| format!("did you mean {nearest}?"),
        );
        tracing::warn!("{} is not a setting and is ignored; {hint}", visible_line(&name));
    }
}

/// Refuses flags for secrets, because every user of the machine can read command lines in the list of processes.
fn refuse_secrets(arguments: impl Iterator<Item = OsString>) -> anyhow::Result<()> {
    for argument in arguments.take_while(|argument| argument != "--") {
        let text = argument.to_string_lossy();
        let Some(flag) = text.strip_prefix("--") else { continue };
        let flag = flag.split_once('=').map_or(flag, |(flag, _)| flag);
        let variable = variable_of(flag);
        let is_meant = |secret: &&&str| **secret == variable || **secret == format!("MASS_{variable}");
        if let Some(variable) = SECRETS.iter().find(is_meant) {
            bail!(
                "--{flag} is not a flag, because every user of this machine can read command lines: set the variable \
                 {variable}, or {variable}_FILE to the path of a file that holds the secret"
            );
        }
    }
    Ok(())
}

/// Returns the variable with the name of a flag.
fn variable_of(flag: &str) -> String {
    flag.replace('-', "_").to_ascii_uppercase()
}

/// Shows help, the version or the error of a command line or setting. Errors exit with 1, because 2 is for an import
/// with refused records. A value that may hold a password is not shown.
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
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidArg)
        && let Some(flag) = settings::flag_of(&variable_of(unknown.trim_start_matches('-')))
    {
        error.insert(ContextKind::SuggestedArg, ContextValue::String(flag));
    }
    // The error of a setting's own parser may repeat the value.
    let is_harmless = error.source().is_none_or(|source| matches!(visible_line(&source.to_string()), Cow::Borrowed(_)));
    if is_harmless {
        // If the terminal is gone, nobody can be told.
        let _ = error.print();
    } else {
        terminal::write_stderr(&terminal::visible(&error.render().to_string()));
    }
    ExitCode::FAILURE
}

/// The exit status that a shell shows for a program that SIGPIPE ended.
const PIPE_CLOSED: u8 = 128 + 13;

/// Reports an error on standard error and exits with 1; silently if the reader of standard output is gone.
#[must_use]
pub fn fail(error: &anyhow::Error) -> ExitCode {
    if error.is::<OutputClosed>() {
        return ExitCode::from(PIPE_CLOSED);
    }
    terminal::write_stderr(&format!("mass: {}\n", terminal::in_one_line(error)));
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
            ("--audit-key", "MASS_AUDIT_KEY"),
            ("--migration-database-url", "MASS_MIGRATION_DATABASE_URL"),
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
        let others = ["import", "--token-algorithm", "EdDSA", "--json", "token", "--", "--token"];
        assert!(refuse_secrets(others.iter().map(OsString::from)).is_ok());
    }

    #[test]
    fn serves_when_the_command_line_names_no_command() {
        let completed = |line: &str| {
            let completed = with_command(line.split(' ').map(OsString::from).collect());
            completed.iter().map(|argument| argument.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        for line in
            ["mass --help", "mass -V", "mass config --port 1", "mass --log debug config", "mass sing", "mass help"]
        {
            assert_eq!(completed(line), line);
        }
        assert_eq!(completed("mass"), "mass serve");
        assert_eq!(completed("mass --port 8080"), "mass serve --port 8080");
    }

    #[test]
    fn the_grammar_has_no_argument_twice() {
        command().debug_assert();
    }
}
