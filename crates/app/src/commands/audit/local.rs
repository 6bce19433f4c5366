//! Local commands on the audit trail that act as the system: exporting and signing.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use mass_audit_service::{self as audit, AuditService};
use mass_domain::access::Principal;

use super::{LocalLog, require_free, require_tenant};
use crate::commands::new_file::NewFile;
use crate::commands::{print, print_first_password, write_out};
use crate::config::{AuditSettings, FolderSettings, Secrets, StageSettings};
use crate::http::context::local_origin;
use crate::startup::{self, Installation};

/// The arguments: the log to export, and the file to write.
#[derive(Debug, Args)]
pub struct Export {
    /// The file to write, which must not be there yet [default: standard output].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    log: LocalLog,
}

/// The arguments: the log to sign.
#[derive(Debug, Args)]
pub struct Checkpoint {
    #[command(flatten)]
    log: LocalLog,
}

/// The arguments: the key to print.
#[derive(Debug, Args)]
pub struct Key {
    #[command(flatten)]
    stage: StageSettings,
    #[command(flatten)]
    folder: FolderSettings,
    #[command(flatten)]
    audit: AuditSettings,
}

/// Exports a log.
pub(super) async fn export(arguments: Export, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    arguments.out.as_deref().map(require_free).transpose()?;
    let (audit, principal) = open(arguments.log, secrets).await?;
    let export = audit.export(&principal, &local_origin()).await?;
    match &arguments.out {
        Some(path) => write_file(export, path).await?,
        None => write(export, write_out).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a checkpoint.
pub(super) async fn checkpoint(arguments: Checkpoint, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    let (audit, principal) = open(arguments.log, secrets).await?;
    let signed = audit.checkpoint(&principal).await?;
    print(&signed.note)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the public key.
pub(super) fn key(arguments: &Key, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    let Key { stage, folder, audit } = arguments;
    print(&format!("{}\n", startup::checkpoint_signer(stage, folder, audit, secrets)?.key()))?;
    Ok(ExitCode::SUCCESS)
}

/// Opens a log on behalf of the system.
pub(super) async fn open(log: LocalLog, secrets: &Secrets) -> anyhow::Result<(AuditService, Principal)> {
    let LocalLog { local, .. } = &log;
    let signer = startup::checkpoint_signer(&local.stage, &local.database.folder, &log.audit, secrets)?;
    let installation = Installation::open(local, secrets).await?;
    print_first_password(installation.bootstrapped.as_ref());
    let tenant = log.tenant.unwrap_or(log.local.default_tenant);
    require_tenant(&tenant, &installation.database.stores().audit.tenants().await?)?;
    Ok((installation.audit(signer), Principal::system(tenant)))
}

/// Writes an export durably to a new file. The file gets its name only after it is complete.
pub(super) async fn write_file(export: audit::Export, path: &Path) -> anyhow::Result<()> {
    let mut file = NewFile::create(path)?;
    write(export, |lines| file.write(lines)).await?;
    file.finish()
}

async fn write(mut export: audit::Export, mut to: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    while let Some(lines) = export.next().await? {
        to(lines.as_bytes())?;
    }
    Ok(())
}
