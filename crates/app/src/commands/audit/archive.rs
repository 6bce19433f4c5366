//! `mass audit archive`: old events go from the database into a file that proves them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use mass_audit_service::WrittenArchive;
use mass_audit_service::export::{ExportVerifier, Report};
use mass_domain::access::Principal;
use mass_domain::audit::note::NoteKey;
use mass_domain::hex::Hex;
use mass_domain::time::Timestamp;

use super::local::{open, write_file};
use super::verify::verify_file;
use super::{GivenKey, Log, keys};
use crate::commands::{print, sha256};
use crate::config::Secrets;
use crate::http::context::local_origin;

/// What to archive, and where to.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Events before this instant, up to the first one that is not: 2026-01-01T00:00:00Z for instance.
    #[arg(long, value_name = "TIME")]
    before: Timestamp,
    /// The file to write. If it is there already, from a run that was interrupted, it is verified and taken.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A public key that signed before the present one, or a file with it. May be given several times.
    #[arg(long = "key", value_name = "KEY|FILE")]
    keys: Vec<GivenKey>,
    #[command(flatten)]
    log: Log,
}

/// Writes the file, verifies it, and only then removes the events.
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

/// What is in a file, if all of it is as it was signed.
fn verified(keys: Vec<NoteKey>, principal: &Principal, path: &Path) -> anyhow::Result<WrittenArchive> {
    let file = || format!("the file {}", path.display());
    let report = verify_file(path, ExportVerifier::new(keys)).with_context(file)?;
    let Report { ref tenant, after, events, root, .. } = report;
    if tenant != principal.tenant() || events == 0 || report.uncovered().is_some() {
        bail!("the file {} is no archive of the log of {}", path.display(), principal.tenant());
    }
    let sha256 = Hex(&sha256(path).with_context(file)?).to_string();
    Ok(WrittenArchive { first: after + 1, last: report.last(), root, sha256 })
}
