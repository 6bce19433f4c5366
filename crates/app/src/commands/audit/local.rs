//! What is done with the local database's audit trail, as the system: exporting and signing it.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use mass_audit_service as audit;
use mass_domain::access::Principal;
use mass_domain::tenancy::TenantId;

use super::{require_free, require_tenant};
use crate::commands::{print, tell_founded, write_out};
use crate::config::Settings;
use crate::http::context::local_origin;
use crate::startup::{self, Application};

/// Which log to export, and where to.
#[derive(Debug, Args)]
pub struct Export {
    /// Whose log [default: MASS_TENANT]; `system` for MASS's own.
    #[arg(long, value_parser = TenantId::parse)]
    tenant: Option<TenantId>,
    /// The file to write, which must not be there yet [default: standard output].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Which log to sign.
#[derive(Debug, Args)]
pub struct Checkpoint {
    /// Whose log [default: MASS_TENANT]; `system` for MASS's own.
    #[arg(long, value_parser = TenantId::parse)]
    tenant: Option<TenantId>,
}

/// Exports a log.
pub(super) async fn export(settings: &Settings, arguments: Export) -> anyhow::Result<ExitCode> {
    arguments.out.as_deref().map(require_free).transpose()?;
    let (application, principal) = open(settings, arguments.tenant).await?;
    let export = application.services.audit.export(&principal, &local_origin()).await?;
    match &arguments.out {
        Some(path) => write_file(export, path).await?,
        None => write(export, write_out).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a checkpoint.
pub(super) async fn checkpoint(settings: &Settings, arguments: Checkpoint) -> anyhow::Result<ExitCode> {
    let (application, principal) = open(settings, arguments.tenant).await?;
    let signed = application.services.audit.checkpoint(&principal).await?;
    print(&signed.note)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the public key.
pub(super) fn key(settings: &Settings) -> anyhow::Result<ExitCode> {
    print(&format!("{}\n", startup::checkpoint_signer(settings)?.key()))?;
    Ok(ExitCode::SUCCESS)
}

/// The program, and the system in a tenant.
pub(super) async fn open(settings: &Settings, tenant: Option<TenantId>) -> anyhow::Result<(Application, Principal)> {
    let application = Application::build(settings).await?;
    tell_founded(application.founded.as_ref());
    let tenant = tenant.unwrap_or_else(|| settings.first.tenant.clone());
    require_tenant(&tenant, &application.services.database.stores().audit.tenants().await?)?;
    Ok((application, Principal::system(tenant)))
}

/// Writes an export to a new file, durably: the file has its name only once it is whole.
pub(super) async fn write_file(export: audit::Export, path: &Path) -> anyhow::Result<()> {
    let context = || format!("the file {}", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(folder).with_context(context)?;
    let mut writer = BufWriter::new(file);
    write(export, |lines| Ok(writer.write_all(lines)?)).await.with_context(context)?;
    let file = writer.into_inner().map_err(io::IntoInnerError::into_error).with_context(context)?;
    file.as_file().sync_all().with_context(context)?;
    file.persist_noclobber(path).with_context(context)?;
    // The name is durable once its folder is.
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(context)
}

async fn write(mut export: audit::Export, mut to: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    while let Some(lines) = export.next().await? {
        to(lines.as_bytes())?;
    }
    Ok(())
}
