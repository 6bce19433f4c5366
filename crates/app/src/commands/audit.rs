//! `mass audit`: verification of the audit trail, and its other local commands.

mod archive;
mod live;
mod local;
mod verify;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::Context;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use mass_domain::audit::note::NoteKey;
use mass_domain::tenancy::TenantId;
use serde::Deserialize;

pub(super) use self::verify::{found, told};
use super::{require_free, require_tenant};
use crate::config::{AuditSettings, FolderSettings, LocalSettings, Secrets, StageSettings};
use crate::startup;

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Verify an export, without a server and without a database; or with --live the database itself.
    #[command(after_help = "Example: mass audit verify export.ndjson --key mass.key --checkpoint last-year.txt\n\n\
                            Exit status: 0 when nothing is wrong, 2 when something was changed, 1 on failure.")]
    Verify(verify::Arguments),
    /// Verify the receipt of a MASS request, without a server and without a database.
    #[command(
        after_help = "Example: mass audit verify-receipt receipt.json --key mass.key --document request.json\n\n\
                            Exit status: 0 when the receipt is good, 2 when it is not, 1 on failure."
    )]
    VerifyReceipt(verify::ReceiptArguments),
    /// Export a tenant's audit trail from the local database.
    #[command(after_help = "Example: mass audit export --out audit.ndjson")]
    Export(local::Export),
    /// Sign a tenant's audit trail as it is now, and print the checkpoint.
    #[command(after_help = "Example: mass audit checkpoint > checkpoint.txt")]
    Checkpoint(local::Checkpoint),
    /// Print the public key that checkpoints are verified with.
    #[command(after_help = "Example: mass audit key > mass.key")]
    Key(local::Key),
    /// Move old events out of the database, into a signed export.
    #[command(after_help = "Example: mass audit archive --before 2026-01-01T00:00:00Z --out audit-2025.ndjson")]
    Archive(archive::Arguments),
}

/// Runs the command.
///
/// # Errors
/// The error to show on the terminal.
pub async fn run(command: Command, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    match command {
        Command::Verify(arguments) if arguments.live => live::verify(&arguments, secrets).await,
        Command::Verify(arguments) => verify::export(&arguments),
        Command::VerifyReceipt(arguments) => verify::receipt(&arguments),
        Command::Export(arguments) => local::export(arguments, secrets).await,
        Command::Checkpoint(arguments) => local::checkpoint(arguments, secrets).await,
        Command::Key(arguments) => local::key(&arguments, secrets),
        Command::Archive(arguments) => archive::run(arguments, secrets).await,
    }
}

/// The tenant whose log to open, with the settings to open and sign it.
#[derive(Debug, Args)]
struct LocalLog {
    /// The tenant whose log it is [default: MASS_TENANT]; `system` for MASS's own.
    #[arg(long, value_parser = TenantId::parse)]
    tenant: Option<TenantId>,
    #[command(flatten)]
    local: LocalSettings,
    #[command(flatten)]
    audit: AuditSettings,
}

/// The exit status if tampering was found.
pub(super) const FOUND: u8 = 2;

/// A public key: the key itself, or a file written by `mass audit key` or `/.well-known/mass-audit-key`.
#[derive(Debug, Clone)]
pub(super) struct GivenKey(NoteKey);

#[derive(Deserialize)]
struct ServedKey {
    key: String,
}

impl FromStr for GivenKey {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        if let Ok(key) = text.parse() {
            return Ok(Self(key));
        }
        let written = fs::read_to_string(text).with_context(|| format!("neither a key nor a file: {text}"))?;
        let served = serde_json::from_str(&written).map(|ServedKey { key }| key);
        let key = served.unwrap_or_else(|_| written.trim().to_owned());
        Ok(Self(key.parse().with_context(|| format!("the file {text}"))?))
    }
}

#[derive(Deserialize)]
struct ServedCheckpoint {
    checkpoint: String,
}

/// Reads a signed checkpoint from a file: the note itself, or the API's answer with it.
pub(super) fn read_checkpoint(path: &Path) -> anyhow::Result<String> {
    let written = fs::read_to_string(path).with_context(|| format!("the checkpoint {}", path.display()))?;
    let served = serde_json::from_str(&written).map(|ServedCheckpoint { checkpoint }| checkpoint);
    Ok(served.unwrap_or(written))
}

/// Returns the given keys.
pub(super) fn keys(given: &[GivenKey]) -> Vec<NoteKey> {
    given.iter().map(|GivenKey(key)| key.clone()).collect()
}

/// Returns the given keys, or else the installation's own, if it has one.
///
/// # Errors
/// If the stored key is invalid.
pub(super) fn keys_or_own(
    given: &[GivenKey],
    stage: &StageSettings,
    folder: &FolderSettings,
    audit: &AuditSettings,
    secrets: &Secrets,
) -> anyhow::Result<Vec<NoteKey>> {
    let mut keys = keys(given);
    if keys.is_empty() {
        keys.extend(startup::checkpoint_key(stage, folder, audit, secrets)?);
    }
    Ok(keys)
}

/// Creates a progress bar over bytes; without a total it shows only the bytes so far.
pub(super) fn bytes_bar(total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{bar:30} {percent:>3} %  {bytes_per_sec}  {eta} left",
        None => "{spinner} {bytes}  {bytes_per_sec}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    total.map_or_else(ProgressBar::new_spinner, ProgressBar::new).with_style(style)
}
