//! Puts load on a MASS server, and prints what was measured as one JSON object.
//!
//! It shares a machine with what it measures, so it costs as little as it can: one thread, requests that are written
//! once and then only numbered, answers of which nothing is read but where they end.

mod batch;
mod closed_loop;
mod connection;
mod cpu;
mod documents;

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};

use closed_loop::{Plan, Requests};
use documents::{Contract, Readings, Template};

#[derive(Debug, Parser)]
#[command(name = "mass-load", about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// POST documents, no two alike.
    Post {
        #[command(flatten)]
        load: Load,
        #[arg(long)]
        contract: Contract,
        /// Makes the documents of a run differ from those of any other run.
        #[arg(long)]
        seed: u32,
        #[arg(long, default_value = "/v1/mass-requests")]
        path: String,
    },
    /// POST device readings one by one: those of a thousand devices, one a second of each.
    PostReadings {
        #[command(flatten)]
        load: Load,
        #[command(flatten)]
        readings: ReadingsOf,
        #[arg(long, default_value = "/v1/mass-requests")]
        path: String,
    },
    /// GET the paths of a file, one a line, over and over.
    Get {
        #[command(flatten)]
        load: Load,
        #[arg(long)]
        paths: PathBuf,
    },
    /// POST the bodies of a file, one a line; each connection keeps to its own.
    Send {
        #[command(flatten)]
        load: Load,
        #[arg(long)]
        path: String,
        #[arg(long)]
        bodies: PathBuf,
    },
    /// POST one batch of NDJSON: a file, or device readings that are made on the way.
    Batch {
        #[command(flatten)]
        server: Server,
        #[arg(long, default_value = "/v1/mass-requests/batch")]
        path: String,
        #[arg(long, required_unless_present = "bytes")]
        file: Option<PathBuf>,
        #[arg(long, conflicts_with = "file")]
        bytes: Option<u64>,
        #[command(flatten)]
        readings: ReadingsOf,
    },
    /// Write one document, as `post` sends them.
    Sample {
        #[arg(long)]
        contract: Contract,
    },
    /// Write device readings as NDJSON.
    Readings {
        #[arg(long)]
        records: u64,
        #[command(flatten)]
        readings: ReadingsOf,
    },
}

#[derive(Debug, Args)]
struct Server {
    /// HOST:PORT
    #[arg(long)]
    address: String,
    /// A file with the bearer token: a command line can be read by everybody.
    #[arg(long)]
    token: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Load {
    #[command(flatten)]
    server: Server,
    #[arg(long)]
    connections: usize,
    #[arg(long)]
    seconds: f64,
    /// Seconds before them that do not count.
    #[arg(long, default_value_t = 0.0)]
    warm_up: f64,
    /// Requests a second of all connections together, instead of as many as are answered.
    #[arg(long)]
    rate: Option<f64>,
}

#[derive(Debug, Args)]
struct ReadingsOf {
    #[arg(long, default_value_t = 0)]
    seed: u32,
    /// Characters of each reading's notes.
    #[arg(long, default_value_t = 40)]
    notes: usize,
}

impl Server {
    /// A request's head but for its end and what tells of the body.
    fn head(&self, method: &str, path: &str) -> anyhow::Result<String> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        if let Some(token) = &self.token {
            let token = fs::read_to_string(token).context("the token")?;
            head += &format!("Authorization: Bearer {}\r\n", token.trim());
        }
        Ok(head)
    }
}

impl Load {
    fn plan(&self) -> Plan {
        Plan {
            address: self.server.address.clone(),
            connections: self.connections,
            warm_up: Duration::from_secs_f64(self.warm_up),
            measured: Duration::from_secs_f64(self.seconds),
            rate: self.rate,
        }
    }
}

/// Documents of one contract.
struct Documents {
    template: Template,
    head: Vec<u8>,
    next: u64,
}

impl Requests for Documents {
    fn next(&mut self, _connection: usize, buffer: &mut Vec<u8>) {
        if buffer.is_empty() {
            buffer.extend_from_slice(&self.head);
            buffer.extend_from_slice(self.template.text());
        }
        self.template.fill(buffer, self.head.len(), self.next);
        self.next += 1;
    }
}

/// Device readings, each a request.
struct SingleReadings {
    readings: Readings,
    head: String,
}

impl Requests for SingleReadings {
    fn next(&mut self, _connection: usize, buffer: &mut Vec<u8>) {
        let line = self.readings.next_line();
        buffer.clear();
        buffer.extend_from_slice(format!("{}Content-Length: {}\r\n\r\n{line}", self.head, line.len()).as_bytes());
    }
}

/// Whole requests: each in turn, or one to each connection.
struct Prepared {
    requests: Vec<Vec<u8>>,
    in_turn: Option<usize>,
}

impl Requests for Prepared {
    fn next(&mut self, connection: usize, buffer: &mut Vec<u8>) {
        let number = match &mut self.in_turn {
            Some(next) => {
                *next += 1;
                *next
            }
            None if buffer.is_empty() => connection,
            None => return,
        };
        buffer.clear();
        if let Some(request) = self.requests.get(number % self.requests.len().max(1)) {
            buffer.extend_from_slice(request);
        }
    }
}

fn post_head(server: &Server, path: &str, bytes: usize) -> anyhow::Result<Vec<u8>> {
    let head = server.head("POST", path)?;
    Ok(format!("{head}Content-Type: application/json\r\nContent-Length: {bytes}\r\n\r\n").into_bytes())
}

fn lines(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    let lines: Vec<_> = text.lines().map(ToOwned::to_owned).collect();
    if lines.is_empty() { bail!("{} is empty", path.display()) } else { Ok(lines) }
}

fn print(measured: &impl serde::Serialize) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout(), "{}", serde_json::to_string(measured)?)?)
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Post { load, contract, seed, path } => {
            let template = Template::new(contract);
            let head = post_head(&load.server, &path, template.text().len())?;
            let next = u64::from(seed) << 32;
            print(&closed_loop::run(load.plan(), Documents { template, head, next }).await?)
        }
        Command::PostReadings { load, readings, path } => {
            let head = load.server.head("POST", &path)? + "Content-Type: application/json\r\n";
            let readings = Readings::new(readings.seed, readings.notes);
            print(&closed_loop::run(load.plan(), SingleReadings { readings, head }).await?)
        }
        Command::Get { load, paths } => {
            let request = |path: &String| Ok(format!("{}\r\n", load.server.head("GET", path)?).into_bytes());
            let requests = lines(&paths)?.iter().map(request).collect::<anyhow::Result<_>>()?;
            print(&closed_loop::run(load.plan(), Prepared { requests, in_turn: Some(0) }).await?)
        }
        Command::Send { load, path, bodies } => {
            let request = |body: &String| {
                let mut request = post_head(&load.server, &path, body.len())?;
                request.extend_from_slice(body.as_bytes());
                Ok(request)
            };
            let requests = lines(&bodies)?.iter().map(request).collect::<anyhow::Result<_>>()?;
            print(&closed_loop::run(load.plan(), Prepared { requests, in_turn: None }).await?)
        }
        Command::Batch { server, path, file, bytes, readings } => {
            let source = match (file, bytes) {
                (Some(file), _) => batch::Source::File(fs::File::open(file)?),
                (None, bytes) => {
                    batch::Source::Made(Readings::new(readings.seed, readings.notes), bytes.unwrap_or_default())
                }
            };
            let head = server.head("POST", &path)? + "Content-Type: application/x-ndjson\r\n";
            print(&batch::run(&server.address, head, source).await?)
        }
        Command::Sample { contract } => {
            let template = Template::new(contract);
            let mut document = template.text().to_vec();
            template.fill(&mut document, 0, 1);
            Ok(io::stdout().write_all(&document)?)
        }
        Command::Readings { records, readings } => {
            let mut out = BufWriter::new(io::stdout().lock());
            let mut readings = Readings::new(readings.seed, readings.notes);
            for _ in 0..records {
                out.write_all(readings.next_line().as_bytes())?;
            }
            Ok(out.flush()?)
        }
    }
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(Cli::parse().command))
}
