//! `mass export`: stored requests with their documents, from the local database or a server, into a file or to standard
//! output.

mod server;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use mass_domain::canonical::Fingerprint;
use mass_domain::contracts::ContractId;
use mass_domain::mass_request::{RequestFilter, Status};
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use mass_service::{Export, ExportedRequest};
use serde::Deserialize;
use serde_json::value::RawValue;

use self::server::Server;
use super::new_file::NewFile;
use super::remote::read_token;
use super::{open, print, require_free, write_out};
use crate::config::{LocalSettings, Secrets};
use crate::exported::{self, CsvRows, ParquetRows};
use crate::terminal::write_stderr;

/// The arguments: the requests to export, their source and their destination.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The file to write, which must not be there yet [default: standard output].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Lines of JSON, or rows under the columns of --contract [default: by the ending of FILE, else ndjson].
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// A server's address [default: the local database].
    #[arg(long)]
    url: Option<String>,
    /// A file with the server's bearer token; `-` is standard input.
    #[arg(long, value_name = "PATH", requires = "url")]
    token_file: Option<PathBuf>,
    /// The time that an absent or busy server is asked again.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    retry_seconds: u64,
    /// The tenant, in the local database [default: MASS_TENANT].
    #[arg(long, conflicts_with = "url", value_parser = TenantId::parse)]
    tenant: Option<TenantId>,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    local: LocalSettings,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A request a line; the last line has the totals.
    Ndjson,
    /// A document a row, or a metric a row where the contract takes any.
    Csv,
    /// The same rows in typed columns; not in every build.
    Parquet,
}

impl Format {
    /// Returns the format of a file by its ending.
    fn of(out: Option<&Path>) -> Self {
        let ending = out.and_then(Path::extension).map(|ending| ending.to_ascii_lowercase());
        match ending.as_ref().and_then(|ending| ending.to_str()) {
            Some("csv") => Self::Csv,
            Some("parquet") => Self::Parquet,
            _ => Self::Ndjson,
        }
    }
}

/// The filters of an export.
#[derive(Debug, Args)]
struct Filters {
    /// Only requests in this status.
    #[arg(long)]
    status: Option<Status>,
    /// Only requests under this contract, NAME/VERSION: needed for rows.
    #[arg(long)]
    contract: Option<ContractId>,
    /// Only requests of this site.
    #[arg(long)]
    site_id: Option<String>,
    /// Only requests of this device.
    #[arg(long)]
    device_id: Option<String>,
    /// Only requests with this correlation id.
    #[arg(long)]
    correlation_id: Option<String>,
    /// Only requests whose documents name this batch.
    #[arg(long)]
    batch_id: Option<String>,
    /// Only requests that the batch or import with this id stored.
    #[arg(long)]
    call_id: Option<String>,
    /// Only requests stored at or after this instant.
    #[arg(long, value_name = "INSTANT")]
    created_from: Option<Timestamp>,
    /// Only requests stored before this instant.
    #[arg(long, value_name = "INSTANT")]
    created_to: Option<Timestamp>,
    /// Only requests that tell of an instant at or after this one.
    #[arg(long, value_name = "INSTANT")]
    observed_from: Option<Timestamp>,
    /// Only requests that tell of an instant before this one.
    #[arg(long, value_name = "INSTANT")]
    observed_to: Option<Timestamp>,
}

impl From<Filters> for RequestFilter {
    fn from(filters: Filters) -> Self {
        Self {
            status: filters.status,
            contract: filters.contract,
            site_id: filters.site_id,
            device_id: filters.device_id,
            correlation_id: filters.correlation_id,
            batch_id: filters.batch_id,
            call_id: filters.call_id,
            created_from: filters.created_from,
            created_to: filters.created_to,
            observed_from: filters.observed_from,
            observed_to: filters.observed_to,
        }
    }
}

/// Exports requests.
///
/// # Errors
/// When the database or the server cannot be reached or does not let the caller in, the export is not whole, or the file
/// cannot be written. No file is left then.
pub async fn run(arguments: Arguments, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    let Arguments { out, format, url, token_file, retry_seconds, tenant, filters, local } = arguments;
    out.as_deref().map(require_free).transpose()?;
    let form = Form::new(format.unwrap_or_else(|| Format::of(out.as_deref())), filters.contract)?;
    let source = match url {
        Some(url) => {
            let token = read_token(token_file.as_deref(), secrets)?;
            let patience = Duration::from_secs(retry_seconds);
            Source::Server(Box::new(Server::open(&url, &token, &filters.into(), patience).await?))
        }
        None => Source::local(&local, secrets, tenant, filters.into()).await?,
    };
    let target = out.as_deref().map_or(Ok(Target::Out), |path| NewFile::create(path).map(Target::File))?;
    let (requests, incomplete) = export(source, form, target).await?;
    if incomplete > 0 {
        write_stderr(&format!(
            "{incomplete} of {requests} documents have members that the contract does not name, which are in no column; \
             --format ndjson has them\n"
        ));
    }
    if let Some(path) = out {
        print(&format!("{requests} requests exported to {}\n", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The source of the requests.
enum Source {
    Local(Export),
    Server(Box<Server>),
}

impl Source {
    async fn local(
        settings: &LocalSettings,
        secrets: &Secrets,
        named: Option<TenantId>,
        filter: RequestFilter,
    ) -> anyhow::Result<Self> {
        let (installation, principal) = open(settings, secrets, named).await?;
        Ok(Self::Local(installation.mass().export(&principal, filter).await?))
    }

    /// Returns the next lines, each a request; `None` at the end.
    async fn next(&mut self) -> anyhow::Result<Option<Vec<Vec<u8>>>> {
        match self {
            Self::Local(export) => {
                let page = export.next().await?;
                page.map(|page| page.into_iter().map(line).collect()).transpose()
            }
            Self::Server(server) => server.next().await,
        }
    }
}

fn line(exported: ExportedRequest) -> anyhow::Result<Vec<u8>> {
    let mut line = Vec::new();
    exported::write_line(exported, &mut line)?;
    Ok(line)
}

/// The destination of the export.
enum Target {
    Out,
    File(NewFile),
}

impl Target {
    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Out => write_out(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Out => Ok(()),
            Self::File(file) => file.finish(),
        }
    }
}

enum Form {
    Lines,
    Rows(CsvRows),
    Parquet(Box<ParquetRows>),
}

impl Form {
    fn new(format: Format, contract: Option<ContractId>) -> anyhow::Result<Self> {
        Ok(match (format, contract) {
            (Format::Ndjson, _) => Self::Lines,
            (Format::Csv, Some(contract)) => Self::Rows(CsvRows::new(contract)),
            (Format::Parquet, Some(contract)) => Self::Parquet(Box::new(ParquetRows::new(contract)?)),
            (Format::Csv | Format::Parquet, None) => bail!("rows need --contract NAME/VERSION, such as device/1.1"),
        })
    }
}

/// The members of a line that are checked.
#[derive(Deserialize)]
struct Line<'a> {
    id: &'a str,
    created_at: &'a str,
    fingerprint: &'a str,
    #[serde(borrow)]
    document: &'a RawValue,
}

/// Exports all that comes: the number of requests, and of those with a value in no column.
async fn export(mut source: Source, mut form: Form, mut target: Target) -> anyhow::Result<(u64, u64)> {
    let progress = progress_bar();
    let mut requests = 0;
    if let Form::Rows(rows) = &form {
        target.write(&rows.header()?)?;
    }
    while let Some(lines) = source.next().await? {
        let mut text = Vec::new();
        for line in lines {
            requests += 1;
            add(&mut form, &line, &mut text)?;
        }
        target.write(&text)?;
        progress.set_message(format!("{requests} requests"));
        progress.inc(text.len() as u64);
    }
    let incomplete = match form {
        Form::Rows(rows) => rows.incomplete(),
        Form::Parquet(mut rows) => {
            target.write(&rows.finish()?)?;
            rows.incomplete()
        }
        Form::Lines => {
            target.write(format!("{{\"totals\":{{\"requests\":{requests}}}}}\n").as_bytes())?;
            0
        }
    };
    progress.finish_and_clear();
    target.finish()?;
    Ok((requests, incomplete))
}

/// Adds a request in its form, once its document has the fingerprint that it was stored with.
fn add(form: &mut Form, line: &[u8], text: &mut Vec<u8>) -> anyhow::Result<()> {
    let Line { id, created_at, fingerprint, document } =
        serde_json::from_slice(line).context("a line of the export cannot be read")?;
    let found = Fingerprint::of(document.get()).to_string();
    if found != fingerprint {
        bail!("the document of request {id} was damaged: expected the fingerprint {fingerprint}, found {found}");
    }
    match form {
        Form::Lines => text.extend_from_slice(line),
        Form::Rows(rows) => text.append(&mut rows.rows(id, created_at, document.get())?),
        Form::Parquet(rows) => text.append(&mut rows.add(id, created_at, document.get())?),
    }
    Ok(())
}

fn progress_bar() -> ProgressBar {
    let template = "{spinner} {msg}  {bytes}  {bytes_per_sec}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
