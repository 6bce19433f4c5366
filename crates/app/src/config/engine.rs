//! Settings of the engine: where it is, and how it is asked.

use clap::{ArgAction, Args};

use super::HEADING;
use crate::engine::address::{EngineUrl, Host, InvalidEngineUrl, InvalidHost};

/// Where the engine is, and what is sent to it without being asked to.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HEADING)]
pub struct EngineSettings {
    /// Where the engine is, such as http://127.0.0.1:8001 [default: nothing is sent].
    #[arg(long, value_parser = engine_url)]
    pub engine_url: Option<Address>,
    /// The hosts that may be in MASS_ENGINE_URL, separated by commas [default: any].
    #[arg(long, value_delimiter = ',', value_parser = engine_host)]
    pub engine_allowed_hosts: Vec<AllowedHost>,
    /// Whether to send what is accepted to the engine, unless the tenant decides.
    #[arg(long, default_value_t = false, hide_possible_values = true, action = ArgAction::Set)]
    pub auto_send: bool,
}

/// How the engine is asked.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HEADING)]
pub struct WorkerSettings {
    /// How many calls a process makes to the engine at once: 1 to 256.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub engine_concurrency: u16,
    /// How long an answer may take where the document has no timeout_ms, in milliseconds: 10 to 120000.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(10..=120_000))]
    pub engine_timeout_ms: u32,
    /// For how long the engine is asked about a request, retries and pauses included, in seconds: 1 to 2592000.
    #[arg(long, default_value_t = 86_400, value_parser = clap::value_parser!(u32).range(1..=2_592_000))]
    pub engine_deadline_seconds: u32,
    /// After how many seconds others take over what a killed process was asking about: 2 to 3600.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(2..=3600))]
    pub engine_lease_seconds: u32,
}

/// The URL of the engine; none where it was set to nothing. A wrong one is told of later, and not shown: it may hold a
/// password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(pub Result<Option<EngineUrl>, InvalidEngineUrl>);

/// A host that may be the engine's; none where the list was set to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost(pub Option<Host>);

impl EngineSettings {
    /// Where the engine is, if there is one.
    ///
    /// # Errors
    /// [`InvalidEngineUrl`] for what is set and is none.
    pub fn url(&self) -> Result<Option<&EngineUrl>, InvalidEngineUrl> {
        match &self.engine_url {
            Some(Address(Ok(url))) => Ok(url.as_ref()),
            Some(Address(Err(error))) => Err(*error),
            None => Ok(None),
        }
    }

    /// The hosts that it may have; any, if there are none.
    #[must_use]
    pub fn hosts(&self) -> Vec<Host> {
        self.engine_allowed_hosts.iter().filter_map(|host| host.0.clone()).collect()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a parser of clap's, which shows what it refuses")]
fn engine_url(text: &str) -> Result<Address, String> {
    let url = if text.trim().is_empty() { Ok(None) } else { EngineUrl::parse(text).map(Some) };
    Ok(Address(url))
}

fn engine_host(text: &str) -> Result<AllowedHost, String> {
    if text.trim().is_empty() {
        return Ok(AllowedHost(None));
    }
    text.parse().map(|host| AllowedHost(Some(host))).map_err(|error: InvalidHost| error.to_string())
}
