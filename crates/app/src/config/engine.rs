//! Settings of the engine: its address, and the worker that calls it.

use clap::{ArgAction, Args};

use super::HEADING;
use crate::engine::address::{EngineUrl, Host, InvalidEngineUrl, InvalidHost};

/// The engine's address, and whether accepted requests are sent automatically.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HEADING)]
pub struct EngineSettings {
    /// The engine's URL, such as http://127.0.0.1:8001 [default: nothing is sent].
    #[arg(long, value_parser = engine_url)]
    pub engine_url: Option<Address>,
    /// Hosts that MASS_ENGINE_URL may have, separated by commas [default: any].
    #[arg(long, value_delimiter = ',', value_parser = engine_host)]
    pub engine_allowed_hosts: Vec<AllowedHost>,
    /// Send accepted requests automatically, unless the tenant overrides it.
    #[arg(long, default_value_t = false, hide_possible_values = true, action = ArgAction::Set)]
    pub auto_send: bool,
}

/// The worker that calls the engine.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HEADING)]
pub struct WorkerSettings {
    /// Concurrent calls of one process to the engine: 1 to 256.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub engine_concurrency: u16,
    /// Timeout of a call if the document has no timeout_ms, in milliseconds: 10 to 120000.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(10..=120_000))]
    pub engine_timeout_ms: u32,
    /// Deadline of a delivery with all retries and pauses, in seconds: 1 to 2592000.
    #[arg(long, default_value_t = 86_400, value_parser = clap::value_parser!(u32).range(1..=2_592_000))]
    pub engine_deadline_seconds: u32,
    /// Lease of a delivery in seconds, after which others take over from a killed process: 2 to 3600.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(2..=3600))]
    pub engine_lease_seconds: u32,
}

/// The URL of the engine; `None` if the variable is empty. An invalid URL is reported later and never shown, because it
/// may hold a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(pub Result<Option<EngineUrl>, InvalidEngineUrl>);

/// An allowed host of the engine; `None` if the list is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost(pub Option<Host>);

impl EngineSettings {
    /// Returns the engine's URL, if one is set.
    ///
    /// # Errors
    /// [`InvalidEngineUrl`] if the value is not a valid URL.
    pub fn url(&self) -> Result<Option<&EngineUrl>, InvalidEngineUrl> {
        match &self.engine_url {
            Some(Address(Ok(url))) => Ok(url.as_ref()),
            Some(Address(Err(error))) => Err(*error),
            None => Ok(None),
        }
    }

    /// Returns the allowed hosts; empty for any.
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

pub(super) fn engine_host(text: &str) -> Result<AllowedHost, String> {
    if text.trim().is_empty() {
        return Ok(AllowedHost(None));
    }
    text.parse().map(|host| AllowedHost(Some(host))).map_err(|error: InvalidHost| error.to_string())
}
