//! Settings of connections: their number, and the write timeout.

use std::time::Duration;

use clap::Args;

use super::HEADING;
use crate::http::connections::ConnectionLimits;

/// The number of connections, and the write timeout.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HEADING)]
pub struct ConnectionSettings {
    /// Connections that may be open at once; 0 for no limit.
    #[arg(long, default_value_t = 4096)]
    pub max_connections: usize,
    /// Connections that may be open at once from one address, or requests under way behind a trusted proxy; 0 for no
    /// limit.
    #[arg(long, default_value_t = 512)]
    pub max_connections_per_address: usize,
    /// Write timeout in seconds: a client that reads less than 16 KiB of a waiting answer in this time is dropped: 1 to
    /// 3600.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub write_timeout_seconds: u32,
}

impl ConnectionSettings {
    /// Returns the effective limits.
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
