//! `mass restore`

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use mass_audit_service::record_restore;
use mass_domain::audit::note::NoteKey;
use mass_domain::hex::Hex;
use mass_domain::time::Clock;
use mass_persistence::{BackupKind, Database};
use serde_json::{Value, json};

use super::audit::{FOUND, GivenKey, found, keys_or_own};
use super::new_file::{self, folder};
use super::verification::{KeptCheckpoint, Verified, read_kept, verify_logs};
use super::{print, sha256};
use crate::config::{AuditSettings, DatabaseSettings, Secrets, StageSettings};
use crate::http::context::local_origin;
use crate::startup::{self, SystemClock};

/// The arguments: the file to restore, and what to verify it against.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The backup.
    file: PathBuf,
    /// A checkpoint that was kept elsewhere, which the log must extend. May be given several times.
    #[arg(long = "checkpoint", value_name = "FILE")]
    checkpoints: Vec<PathBuf>,
    /// The public key of the audit trail, or a file with it; with several, each signature must be by one of them.
    #[arg(long = "key", value_name = "KEY|FILE")]
    keys: Vec<GivenKey>,
    /// Restore although checkpoints cover events that came after the backup, and are lost.
    #[arg(long)]
    accept_loss: bool,
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

/// A restore in progress.
struct Restore<'a> {
    arguments: &'a Arguments,
    secrets: &'a Secrets,
    keys: Vec<NoteKey>,
    kept: Vec<KeptCheckpoint>,
    digest: String,
}

/// Restores a backup into an empty database, brings it to this version's schema, and verifies its audit trail.
///
/// # Errors
/// If the file is no backup of this kind of database, the database is not empty, or one of the two cannot be read.
pub async fn run(arguments: Arguments, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    let Arguments { file: path, stage, database, audit, .. } = &arguments;
    let in_words = || format!("the file {}", path.display());
    let kind = BackupKind::of(path).with_context(in_words)?;
    let kind = kind.with_context(|| format!("{} is no backup that `mass backup` wrote", in_words()))?;
    let keys = keys_or_own(&arguments.keys, stage, &database.folder, audit, secrets)?;
    let kept = read_kept(&arguments.checkpoints)?;
    let digest = Hex(&sha256(path).with_context(in_words)?).to_string();
    let restore = Restore { arguments: &arguments, secrets, keys, kept, digest };
    let restored = match (kind, database.file(secrets)) {
        (BackupKind::Sqlite, Some(target)) => restore.file(&target).await?,
        (BackupKind::Postgres, None) => restore.archive().await?,
        (BackupKind::Sqlite, None) => bail!("{} is of SQLite, and DATABASE_URL names PostgreSQL", in_words()),
        (BackupKind::Postgres, Some(_)) => {
            bail!("{} is of PostgreSQL: set DATABASE_URL to an empty database there", in_words())
        }
    };
    match restored {
        Ok((verified, place)) => {
            print(&told(arguments.json, &verified, &place))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(finding) => {
            found(arguments.json, &finding)?;
            Ok(ExitCode::from(FOUND))
        }
    }
}

impl Restore<'_> {
    /// Restores an SQLite file: it gets its name only after it was verified.
    async fn file(&self, target: &Path) -> anyhow::Result<Result<(Verified, String), String>> {
        for ending in ["", "-wal", "-shm", "-journal"] {
            let mut name = target.as_os_str().to_owned();
            name.push(ending);
            let path = PathBuf::from(name);
            if path.exists() {
                bail!("{} is there: move it away, or name another file in DATABASE_URL", path.display());
            }
        }
        let place = || format!("the database {}", target.display());
        DirBuilder::new().recursive(true).mode(0o700).create(folder(target)).with_context(place)?;
        let temporary =
            tempfile::Builder::new().prefix(".mass-restore-").tempdir_in(folder(target)).with_context(place)?;
        let copy = temporary.path().join("copy");
        std::fs::copy(&self.arguments.file, &copy).with_context(place)?;
        let database = startup::open_file(&self.arguments.database, self.secrets, &copy)?;
        if let Some(fault) = database.damage().map_err(anyhow::Error::msg)?.into_iter().next() {
            return Ok(Err(format!("{fault}; nothing was restored")));
        }
        let verified = match self.verify(&database).await? {
            Ok(verified) => verified,
            Err(finding) => return Ok(Err(format!("{finding}; nothing was restored"))),
        };
        database.into_one_file()?;
        new_file::place(&copy, target)?;
        Ok(Ok((verified, format!("SQLite at {}", target.display()))))
    }

    /// Restores an archive of PostgreSQL. The database is verified once it is there.
    async fn archive(&self) -> anyhow::Result<Result<(Verified, String), String>> {
        let database = startup::open(&self.arguments.database, self.secrets)?;
        database.restore(&self.arguments.file)?;
        Ok(match self.verify(&database).await? {
            Ok(verified) => Ok((verified, database.describe().to_owned())),
            Err(finding) => {
                Err(format!("{finding}; the restored tables are left for you to look at: serve none of it"))
            }
        })
    }

    /// Migrates the restored database, verifies it, and records the restore.
    async fn verify(&self, database: &Database) -> anyhow::Result<Result<Verified, String>> {
        startup::migrate(database)?;
        let verified = match verify_logs(database, &self.keys, &self.kept).await? {
            Ok(verified) => verified,
            Err(finding) => return Ok(Err(finding)),
        };
        if let Some(lost) = verified.lost.first().filter(|_| !self.arguments.accept_loss) {
            return Ok(Err(format!("{lost}; with --accept-loss the backup is restored all the same")));
        }
        let lost: Vec<Value> = verified
            .lost
            .iter()
            .map(|lost| json!({"tenant": lost.tenant, "restored": lost.restored, "signed": lost.signed}))
            .collect();
        let detail = [("sha256", Value::from(self.digest.clone())), ("lost", Value::from(lost))];
        let detail = detail.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let audit = database.stores().audit.as_ref();
        let recorded = record_restore(audit, SystemClock.now(), detail, &local_origin()).await;
        recorded.context("the restore cannot be recorded in the audit trail")?;
        Ok(Ok(verified))
    }
}

fn told(as_json: bool, verified: &Verified, place: &str) -> String {
    let lost = &verified.lost;
    if as_json {
        let lost: Vec<String> = lost.iter().map(ToString::to_string).collect();
        let Verified { logs, events, confirmed, signatures_checked, .. } = verified;
        return format!(
            "{}\n",
            json!({
                "result": "good", "database": place, "logs": logs, "events": events, "confirmed": confirmed,
                "signatures_checked": signatures_checked, "lost": lost,
            })
        );
    }
    let mut text = format!("restored  {place}\nverified  {verified}\n");
    for lost in lost {
        text += &format!("LOST      {lost}\n");
    }
    text
}
