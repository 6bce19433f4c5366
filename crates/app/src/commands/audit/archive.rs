//! `mass audit archive`: moves old events from the database into a signed file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use mass_audit_service::WrittenArchive;
use mass_audit_service::export::{ExportReport, ExportVerifier};
use mass_domain::access::Principal;
use mass_domain::audit::note::NoteKey;
use mass_domain::hex::Hex;
use mass_domain::time::Timestamp;

use super::local::{open, write_file};
use super::verify::verify_file;
use super::{GivenKey, LocalLog, keys};
use crate::commands::{print, sha256};
use crate::config::Secrets;
use crate::http::context::local_origin;

/// The arguments: the events to archive, and the file to write.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Archive the events before this instant: 2026-01-01T00:00:00Z, for example.
    #[arg(long, value_name = "TIME")]
    before: Timestamp,
    /// The file to write. If an interrupted run has written it already, it is verified and used.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// An earlier public key, or a file with it. May be given several times.
    #[arg(long = "key", value_name = "KEY|FILE")]
    keys: Vec<GivenKey>,
    #[command(flatten)]
    log: LocalLog,
}

/// Writes the file, verifies it, and then removes the events.
pub(super) async fn run(arguments: Arguments, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    let (service, principal) = open(arguments.log, secrets).await?;
    let path = &arguments.out;
    if !path.exists() {
        let plan = service.plan_archive(&principal, arguments.before).await?;
        write_file(service.archive_export(&principal, &plan).await?, path).await?;
    }
    let mut keys = keys(&arguments.keys);
    keys.push(service.key().clone());
    let written = verified(keys, &principal, path)?;
    service.archive(&principal, &written, &local_origin()).await?;
    let WrittenArchive { first, last, sha256, .. } = written;
    print(&format!("archived events {first}…{last} in {}\nsha256 {sha256}\n", path.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Verifies the file, and returns its summary.
fn verified(keys: Vec<NoteKey>, principal: &Principal, path: &Path) -> anyhow::Result<WrittenArchive> {
    let file = || format!("the file {}", path.display());
    let report = verify_file(path, ExportVerifier::new(keys)).with_context(file)?;
    let ExportReport { ref tenant, after, events, root, .. } = report;
    if tenant != principal.tenant() || events == 0 || report.uncovered().is_some() {
        bail!("the file {} is not an archive of the log of {}", path.display(), principal.tenant());
    }
    let sha256 = Hex(&sha256(path).with_context(file)?).to_string();
    Ok(WrittenArchive { first: after + 1, last: report.last(), root, sha256 })
}
