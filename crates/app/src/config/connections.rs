//! Settings of connections: how many there may be, and how slowly a client may read.

use std::time::Duration;

use clap::Args;

use super::HEADING;
use crate::http::connections::ConnectionLimits;

/// How many connections there may be, and how slowly a client may read.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HEADING)]
pub struct ConnectionSettings {
    /// Connections that may be open at once; 0 for no such limit.
    #[arg(long, default_value_t = 4096)]
    pub max_connections: usize,
    /// Connections that may be open at once from one address, or requests under way behind a trusted proxy; 0 for no such
    /// limit.
    #[arg(long, default_value_t = 512)]
    pub max_connections_per_address: usize,
    /// After how many seconds a client is dropped that takes less than 16 KiB of an answer that waits for it: 1 to 3600.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub write_timeout_seconds: u32,
}

impl ConnectionSettings {
    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> ConnectionLimits {
        let limit = |connections| Some(connections).filter(|connections| *connections > 0);
        ConnectionLimits {
            total: limit(self.max_connections),
            per_address: limit(self.max_connections_per_address),
            write_timeout: Duration::from_secs(self.write_timeout_seconds.into()),
        }
    }
}
