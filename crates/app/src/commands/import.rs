//! `mass import`: a CSV or NDJSON file, record by record, into the local database or a server.

mod destination;
mod rejected;
mod server;
mod source;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use mass_domain::contracts::ContractId;
use mass_domain::tenancy::TenantId;
use mass_service::OnConflict;
use secrecy::SecretString;
use serde_json::json;

use self::destination::{Destination, Taken};
use self::rejected::Rejected;
use self::source::Source;
use super::print;
use crate::config::Settings;

/// What to import, and where to.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A CSV file with dotted headers, or NDJSON: told apart by the name's ending (.csv, .ndjson, .jsonl).
    file: PathBuf,
    /// The records' contract, NAME/VERSION: needed for CSV; adds the contract's marker to records without one.
    #[arg(long)]
    contract: Option<ContractId>,
    /// A server's address, such as http://127.0.0.1:8000 [default: the local database].
    #[arg(long, requires = "token")]
    url: Option<String>,
    /// A bearer token for that server.
    #[arg(long, requires = "url")]
    token: Option<SecretString>,
    /// What to do when another document with the same natural key is stored.
    #[arg(long, value_enum, default_value = "refuse")]
    on_conflict: Conflict,
    /// The tenant to import for, in the local database [default: MASS_TENANT].
    #[arg(long, conflicts_with = "url", value_parser = TenantId::parse)]
    tenant: Option<TenantId>,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
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

/// What became of the records.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    read: u64,
    accepted: u64,
    corrections: u64,
    duplicates: u64,
    refused: u64,
}

/// Imports a file.
///
/// # Errors
/// When the file cannot be read, or the destination cannot be reached or does not let the caller in.
pub async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let path = &arguments.file;
    let file = || format!("the file {}", path.display());
    let mut source = Source::open(path, arguments.contract).with_context(file)?;
    let mut rejected = Rejected::create(path, source.headers()).context("the file of refused records")?;
    let destination = Destination::new(settings, &arguments).await?;
    let progress = progress_bar(source.bytes());
    let mut totals = Totals::default();
    loop {
        let rows = source.next_rows(destination.chunk()).with_context(file)?;
        if rows.is_empty() {
            break;
        }
        let taken = destination.take(&rows).await?;
        for (row, taken) in rows.iter().zip(taken) {
            totals.read += 1;
            match taken {
                Taken::Accepted => totals.accepted += 1,
                Taken::Correction => totals.corrections += 1,
                Taken::Duplicate => totals.duplicates += 1,
                Taken::Refused(faults) => {
                    totals.refused += 1;
                    rejected.write(row, source.header(), &faults).context("the file of refused records")?;
                }
            }
        }
        progress.set_position(source.bytes_read());
        progress.set_message(format!("{} records, {} refused", grouped(totals.read), grouped(totals.refused)));
    }
    progress.finish_and_clear();
    let rejected = rejected.finish().context("the file of refused records")?;
    print(&summary(&totals, rejected.as_deref(), arguments.json))?;
    Ok(if totals.refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

fn progress_bar(bytes: u64) -> ProgressBar {
    let template = "{bar:30} {percent:>3} %  {msg}  {bytes_per_sec}  {eta} left";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(bytes).with_style(style)
}

fn summary(totals: &Totals, rejected: Option<&std::path::Path>, as_json: bool) -> String {
    let Totals { read, accepted, corrections, duplicates, refused } = totals;
    if as_json {
        let object = json!({
            "read": read, "accepted": accepted, "corrections": corrections, "duplicates": duplicates, "refused": refused,
            "rejected_file": rejected,
        });
        return format!("{object}\n");
    }
    let [read, accepted, duplicates, refused] = [read, accepted, duplicates, refused].map(|count| grouped(*count));
    let corrections = match corrections {
        0 => String::new(),
        count => format!("{} corrections, ", grouped(*count)),
    };
    let hint = rejected.map_or_else(String::new, |path| {
        format!("Refused records, with reasons: {}   (mend and import that file)\n", path.display())
    });
    format!("{read} read, {accepted} accepted, {corrections}{duplicates} duplicates, {refused} refused\n{hint}")
}

/// A number with its thousands set apart.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_reads_as_documented() {
        let totals = Totals { read: 8706, accepted: 7743, refused: 963, ..Totals::default() };
        assert_eq!(summary(&totals, None, false), "8,706 read, 7,743 accepted, 0 duplicates, 963 refused\n");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(0), "0");
    }
}
