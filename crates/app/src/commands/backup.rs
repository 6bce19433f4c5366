//! `mass backup`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use mass_audit_service::record_backup;
use mass_domain::hex::Hex;
use mass_domain::time::Clock;
use mass_persistence::Database;
use serde_json::{Value, json};

use super::audit::{FOUND, GivenKey, keys_or_own};
use super::new_file::{self, folder};
use super::verification::{Verified, verify_logs};
use super::{print, require_free, sha256};
use crate::config::{AuditSettings, DatabaseSettings, Secrets, StageSettings};
use crate::http::context::local_origin;
use crate::startup::{self, SystemClock};

/// The arguments: the file to write.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The file to write, which must not be there yet.
    file: PathBuf,
    /// An earlier public key of the audit trail, or a file with it. May be given several times.
    #[arg(long = "key", value_name = "KEY|FILE")]
    keys: Vec<GivenKey>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    stage: StageSettings,
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    audit: AuditSettings,
}

/// Writes a backup, verifies it, and records it in the audit trail.
///
/// # Errors
/// If it cannot be written or read again. The file is not there then.
pub async fn run(arguments: Arguments, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    let path = &arguments.file;
    require_free(path)?;
    let file = arguments.database.file(secrets);
    if let Some(file) = file.as_ref().filter(|file| !file.exists()) {
        bail!("there is no database {}", file.display());
    }
    let database = startup::open(&arguments.database, secrets)?;
    let examination = database.examine().map_err(anyhow::Error::msg)?;
    let in_words = || format!("the backup {}", path.display());
    // In the same folder, so that the finished file is only renamed.
    let temporary = tempfile::Builder::new().prefix(".mass-backup-").tempdir_in(folder(path)).with_context(in_words)?;
    let copy = temporary.path().join("copy");
    database.back_up(&copy).with_context(in_words)?;
    let verified = if file.is_some() && examination.pending.is_empty() {
        Some(verify_copy(&arguments, secrets, &copy).await?)
    } else {
        None
    };
    let digest = Hex(&sha256(&copy).with_context(in_words)?).to_string();
    let bytes = std::fs::metadata(&copy).with_context(in_words)?.len();
    new_file::place(&copy, path)?;
    let finding = match &verified {
        Some(Err(finding)) => Some(finding.as_str()),
        Some(Ok(_)) | None => None,
    };
    if finding.is_none() && examination.pending.is_empty() {
        record(&database, &digest, bytes).await?;
    }
    let verified = verified.as_ref().and_then(|verified| verified.as_ref().ok());
    let result = Written { path, digest: &digest, bytes, verified, finding, is_older: !examination.pending.is_empty() };
    print(&if arguments.json { format!("{}\n", result.json()) } else { result.sentences() })?;
    Ok(if finding.is_some() { ExitCode::from(FOUND) } else { ExitCode::SUCCESS })
}

/// Verifies the copy of an SQLite file as a database. Verification of a database that is as old as its program knows it
/// changes nothing in it.
async fn verify_copy(
    arguments: &Arguments,
    secrets: &Secrets,
    copy: &Path,
) -> anyhow::Result<Result<Verified, String>> {
    let Arguments { stage, database, audit, .. } = arguments;
    let keys = keys_or_own(&arguments.keys, stage, &database.folder, audit, secrets)?;
    let database = startup::open_file(&arguments.database, secrets, copy)?;
    let faults = database.damage().map_err(anyhow::Error::msg)?;
    let verified = match faults.into_iter().next() {
        Some(fault) => Err(fault),
        None => verify_logs(&database, &keys, &[]).await?,
    };
    database.into_one_file()?;
    Ok(verified)
}

async fn record(database: &Database, digest: &str, bytes: u64) -> anyhow::Result<()> {
    let detail = [("sha256", Value::from(digest)), ("bytes", Value::from(bytes))];
    let detail = detail.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let audit = database.stores().audit.as_ref();
    let recorded = record_backup(audit, SystemClock.now(), detail, &local_origin()).await;
    recorded.context("the backup is written, and cannot be recorded in the audit trail")
}

/// A backup that has been written.
struct Written<'a> {
    path: &'a Path,
    digest: &'a str,
    bytes: u64,
    verified: Option<&'a Verified>,
    finding: Option<&'a str>,
    is_older: bool,
}

impl Written<'_> {
    fn sentences(&self) -> String {
        let Self { path, digest, bytes, .. } = self;
        let verified = match (self.finding, self.verified) {
            (Some(finding), _) => format!(
                "FOUND: {finding}\nThe file is a true copy of a database that is not as it was signed. Earlier backups may be good."
            ),
            (None, Some(verified)) => format!("verified  {verified}"),
            (None, None) if self.is_older => {
                "verified  that it can be read; its audit trail is not, since migrations are pending".to_owned()
            }
            (None, None) => "verified  that it can be read; `mass restore` verifies its audit trail".to_owned(),
        };
        format!("backup    {} ({bytes} bytes)\nsha256    {digest}\n{verified}\n", path.display())
    }

    fn json(&self) -> Value {
        json!({
            "result": if self.finding.is_some() { "found" } else { "good" }, "finding": self.finding,
            "file": self.path.display().to_string(), "bytes": self.bytes, "sha256": self.digest,
            "events": self.verified.map(|verified| verified.events), "logs": self.verified.map(|verified| verified.logs),
        })
    }
}
