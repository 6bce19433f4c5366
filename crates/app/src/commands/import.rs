//! `mass import`: a CSV or NDJSON file, record by record, into the local database or a server.

mod destination;
mod outcome;
mod rejected;
mod server;
mod source;
mod summary;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use mass_domain::contracts::ContractId;
use mass_domain::tenancy::TenantId;
use mass_service::OnConflict;

use self::destination::Destination;
use self::outcome::ImportOutcome;
use self::rejected::Rejected;
use self::source::Source;
use self::summary::ImportSummary;
use super::print;
use crate::config::{EngineSettings, LocalSettings, Secrets};

/// The arguments: the file to import, and its destination.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A CSV file with dotted headers (.csv), or NDJSON (.ndjson, .jsonl).
    file: PathBuf,
    /// The records' contract, NAME/VERSION: needed for CSV; adds the contract's marker to records without one.
    #[arg(long)]
    contract: Option<ContractId>,
    /// A server's address [default: the local database].
    #[arg(long)]
    url: Option<String>,
    /// The action if another document with the same natural key is stored.
    #[arg(long, value_enum, default_value = "refuse")]
    on_conflict: Conflict,
    /// The tenant, in the local database [default: MASS_TENANT].
    #[arg(long, conflicts_with = "url", value_parser = TenantId::parse)]
    tenant: Option<TenantId>,
    /// A new file for refused records [default: one beside FILE].
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
enum Conflict {
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

/// Imports a file.
///
/// # Errors
/// If the file cannot be read, or the destination cannot be reached or refuses the caller.
pub async fn run(arguments: Arguments, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    let path = &arguments.file;
    let file = || format!("the file {}", path.display());
    let mut source = Source::open(path, arguments.contract).with_context(file)?;
    let mut rejected = Rejected::new(path, arguments.rejected.as_deref(), source.headers())?;
    let mut destination = Destination::new(&arguments, secrets).await?;
    let imported = import(&arguments, &mut source, &mut destination, &mut rejected).await;
    let recorded = destination.finish().await.context("the refusals cannot be recorded in the audit trail");
    let summary = imported?;
    let rejected = rejected.finish().context("the file of refused records")?;
    print(&if arguments.json { summary.json(rejected.as_deref()) } else { summary.text(rejected.as_deref()) })?;
    recorded?;
    Ok(if summary.has_refused() { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

/// Sends all records, and counts the outcomes.
async fn import(
    arguments: &Arguments,
    source: &mut Source,
    destination: &mut Destination,
    rejected: &mut Rejected,
) -> anyhow::Result<ImportSummary> {
    let progress = progress_bar(source.bytes());
    let mut summary = ImportSummary::default();
    loop {
        let rows =
            source.next_rows(destination.chunk()).with_context(|| format!("the file {}", arguments.file.display()))?;
        if rows.is_empty() {
            break;
        }
        for (row, outcome) in rows.iter().zip(destination.take(&rows).await?) {
            summary.count(row.line, &outcome);
            if let ImportOutcome::Refused(faults) = outcome {
                rejected.write(row, source.header(), &faults).context("the file of refused records")?;
            }
        }
        progress.set_position(source.bytes_read());
        progress.set_message(summary.progress());
    }
    progress.finish_and_clear();
    Ok(summary)
}

fn progress_bar(bytes: u64) -> ProgressBar {
    let template = "{bar:30} {percent:>3} %  {msg}  {bytes_per_sec}  {eta} left";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(bytes).with_style(style)
}
