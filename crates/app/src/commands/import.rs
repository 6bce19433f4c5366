//! `mass import`: files, record by record, into the local database or a server.

mod answer;
pub(super) mod destination;
pub(super) mod fault;
mod input;
mod keys;
mod local;
pub(super) mod mapped;
pub(super) mod outcome;
mod rejected;
pub(super) mod server;
pub(super) mod source;
mod summary;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use mass_domain::contracts::ContractId;
use mass_domain::tenancy::TenantId;
use mass_service::OnConflict;
use serde_json::{Value, json};

use self::destination::Destination;
use self::mapped::Map;
use self::outcome::ImportOutcome;
use self::rejected::Rejected;
use self::source::{FileFormat, Source};
use self::summary::ImportSummary;
use super::input_file::{STDIN, open_file};
use super::print;
use super::remote::TokenRefused;
use crate::config::{EngineSettings, LocalSettings, Secrets};
use crate::terminal::{visible_line, write_stderr};

/// The arguments: the files to import, and their destination.
#[derive(Debug, Args)]
pub struct Arguments {
    /// CSV, NDJSON or a JSON array, also in gzip or Zstandard; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The format [default: by name].
    #[arg(long, value_enum)]
    format: Option<FileFormat>,
    /// The records' contract, NAME/VERSION; needed for CSV.
    #[arg(long)]
    contract: Option<ContractId>,
    /// A mapping profile that describes the files (docs/mapping.md).
    #[arg(long, value_name = "PROFILE", conflicts_with_all = ["contract", "format"])]
    map: Option<PathBuf>,
    /// Print a mapping profile for the file, with its guesses and doubts as comments, and import nothing.
    #[arg(long, conflicts_with_all = ["map", "url", "dry_run", "rejected"])]
    suggest: bool,
    /// Judge all records by their contracts and store nothing.
    #[arg(long)]
    dry_run: bool,
    /// A server's address [default: the local database].
    #[arg(long)]
    url: Option<String>,
    /// A file with the server's bearer token; `-` is standard input.
    #[arg(long, value_name = "PATH", requires = "url")]
    token_file: Option<PathBuf>,
    /// The time that an absent server is retried.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    retry_seconds: u64,
    /// The action if another document with the same natural key is stored.
    #[arg(long, value_enum, default_value = "refuse")]
    on_conflict: Conflict,
    /// The tenant, in the local database [default: MASS_TENANT].
    #[arg(long, conflicts_with = "url", value_parser = TenantId::parse)]
    tenant: Option<TenantId>,
    /// A new file for refused records [default: beside FILE].
    #[arg(long, value_name = "PATH")]
    rejected: Option<PathBuf>,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    local: LocalSettings,
    #[command(flatten)]
    engine: EngineSettings,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::commands) enum Conflict {
    /// Count the record as refused.
    Refuse,
    /// Store the record as a correction.
    Correct,
}

impl From<Conflict> for OnConflict {
    fn from(conflict: Conflict) -> Self {
        match conflict {
            Conflict::Refuse => Self::Refuse,
            Conflict::Correct => Self::Correct,
        }
    }
}

/// The result of one file.
struct ImportedFile<'a> {
    path: &'a Path,
    summary: ImportSummary,
    rejected: Option<PathBuf>,
}

/// Imports files.
///
/// # Errors
/// If a file cannot be read, or the destination cannot be reached or refuses the caller.
pub async fn run(arguments: Arguments, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    if arguments.suggest {
        let [path] = &arguments.files[..] else { bail!("--suggest: expected one file") };
        print(&mapped::suggestion(path).with_context(|| named(path))?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let map = arguments.map.as_deref().map(Map::read).transpose()?;
    let map = map.as_ref();
    let mut first = Some(check(&arguments, map)?);
    let progress = ProgressBar::hidden();
    let mapping = map.map(|map| map.source.clone());
    let mut destination = Destination::new(&arguments, mapping, secrets, progress.clone()).await?;
    let mut files = Vec::new();
    let mut failure = None;
    for path in &arguments.files {
        let mut file = ImportedFile { path, summary: ImportSummary::new(arguments.dry_run), rejected: None };
        let opened = first.take().map_or_else(|| open(&arguments, map, path), Ok);
        let imported = match opened {
            Ok((source, rejected)) => import(source, rejected, &mut destination, &mut file, &progress).await,
            Err(error) => Err(error),
        };
        files.push(file);
        if let Err(error) = imported {
            failure = Some(error);
            break;
        }
    }
    progress.finish_and_clear();
    let call_id = destination.call_id().map(ToString::to_string);
    let recorded = destination.finish().await.context("the refusals cannot be recorded in the audit trail");
    let total = total(&files, arguments.dry_run);
    if failure.is_none() || !total.is_empty() {
        let call_id = call_id.as_deref().filter(|_| total.has_stored());
        let in_json = || format!("{}\n", in_json(&files, &total, call_id));
        print(&if arguments.json { in_json() } else { in_words(&files, &total, call_id) })?;
    }
    if let Some(error) = failure {
        advise(&error, &total);
        return Err(error);
    }
    recorded?;
    Ok(if total.has_refused() { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

/// Checks the arguments before anything is done, and opens the first file.
fn check(arguments: &Arguments, map: Option<&Map>) -> anyhow::Result<(Source, Rejected)> {
    let [first, others @ ..] = &arguments.files[..] else { bail!("expected a file") };
    if arguments.rejected.is_some() && !others.is_empty() {
        bail!("--rejected: expected one file to import, found {}", arguments.files.len());
    }
    let readers = arguments.files.iter().chain(&arguments.token_file).filter(|path| *path == Path::new(STDIN)).count();
    if readers > 1 {
        bail!("expected `-` at most once, because standard input can be read only once");
    }
    for path in others.iter().filter(|path| *path != Path::new(STDIN)) {
        open_file(path).with_context(|| named(path))?;
    }
    open(arguments, map, first)
}

fn open(arguments: &Arguments, map: Option<&Map>, path: &Path) -> anyhow::Result<(Source, Rejected)> {
    let source = match map {
        Some(map) => Source::open_mapped(path, &map.profile),
        None => Source::open(path, arguments.format, arguments.contract),
    };
    let source = source.with_context(|| named(path))?;
    let beside = if path == Path::new(STDIN) { Path::new("stdin") } else { path };
    let rejected = Rejected::new(beside, arguments.rejected.as_deref(), source.refused_form())?;
    Ok((source, rejected))
}

/// Names a file in messages.
fn named(path: &Path) -> String {
    if path == Path::new(STDIN) { "standard input".to_owned() } else { format!("the file {}", path.display()) }
}

/// Sends all records of a file, and counts the outcomes.
async fn import(
    mut source: Source,
    mut rejected: Rejected,
    destination: &mut Destination,
    file: &mut ImportedFile<'_>,
    progress: &ProgressBar,
) -> anyhow::Result<()> {
    show(progress, source.length());
    loop {
        let rows = source.next_rows(destination.chunk()).with_context(|| named(file.path))?;
        if rows.is_empty() {
            break;
        }
        for (row, outcome) in rows.iter().zip(destination.take(&rows).await?) {
            file.summary.count(row.line, &outcome);
            if let ImportOutcome::Refused(faults) = outcome {
                rejected.write(row, source.header(), &faults).context("the file of refused records")?;
            }
        }
        progress.set_position(source.bytes_read());
        progress.set_message(file.summary.progress());
    }
    file.rejected = rejected.finish().context("the file of refused records")?;
    Ok(())
}

/// Begins to show the progress of a file with a length in bytes, if it is known.
fn show(progress: &ProgressBar, bytes: Option<u64>) {
    let template = match bytes {
        Some(_) => "{bar:30} {percent:>3} %  {msg}  {bytes_per_sec}  {eta} left",
        None => "{spinner} {msg}  {bytes}  {bytes_per_sec}",
    };
    progress.reset();
    match bytes {
        Some(bytes) => progress.set_length(bytes),
        None => progress.unset_length(),
    }
    progress.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    progress.set_draw_target(indicatif::ProgressDrawTarget::stderr());
}

fn total(files: &[ImportedFile<'_>], is_dry_run: bool) -> ImportSummary {
    let mut total = ImportSummary::new(is_dry_run);
    files.iter().for_each(|file| total.add(&file.summary));
    total
}

/// Formats the results for people: of several files each, and the totals.
fn in_words(files: &[ImportedFile<'_>], total: &ImportSummary, call_id: Option<&str>) -> String {
    let of = |file: &ImportedFile<'_>| file.summary.text(file.rejected.as_deref());
    let call = call_id.map_or_else(String::new, |id| format!("Import id: {id}\n"));
    if let [file] = files {
        return of(file) + &call;
    }
    let name = |path: &Path| visible_line(&path.display().to_string()).into_owned();
    let each: String = files.iter().map(|file| format!("{}: {}", name(file.path), of(file))).collect();
    format!("{each}In all: {}\n{call}", total.numbers())
}

/// Formats the results for programs.
fn in_json(files: &[ImportedFile<'_>], total: &ImportSummary, call_id: Option<&str>) -> Value {
    let mut object = if let [file] = files {
        file.summary.json(file.rejected.as_deref())
    } else {
        let of = |file: &ImportedFile<'_>| {
            let mut object = file.summary.json(file.rejected.as_deref());
            object["file"] = json!(file.path);
            object
        };
        let mut object = total.json(None);
        object["files"] = files.iter().map(of).collect();
        object
    };
    object["call_id"] = json!(call_id);
    object
}

/// Says on standard error how to go on after an import that ended early.
fn advise(error: &anyhow::Error, total: &ImportSummary) {
    let Some(safe) = total.safe() else { return };
    let token = if error.is::<TokenRefused>() { ", with a new token" } else { "" };
    write_stderr(&format!("mass: {safe}{token}\n"));
}
