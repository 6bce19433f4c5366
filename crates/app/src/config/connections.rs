//! Settings of connections: how many there may be, and how slowly a client may read.

use std::time::Duration;

use clap::Args;

use crate::http::connections::ConnectionLimits;

/// How many connections there may be, and how slowly a client may read.
#[derive(Debug, Clone, Args)]
pub struct ConnectionSettings {
    /// Connections that may be open at once; 0 for no such limit.
    #[arg(
        id = "mass_max_connections",
        long = "mass-max-connections",
        env = "MASS_MAX_CONNECTIONS",
        value_name = "MASS_MAX_CONNECTIONS",
        global = true,
        default_value_t = 4096
    )]
    pub total: usize,
    /// Connections that may be open at once from one address, or requests under way behind a trusted proxy; 0 for no such
    /// limit.
    #[arg(
        id = "mass_max_connections_per_address",
        long = "mass-max-connections-per-address",
        env = "MASS_MAX_CONNECTIONS_PER_ADDRESS",
        value_name = "MASS_MAX_CONNECTIONS_PER_ADDRESS",
        global = true,
        default_value_t = 512
    )]
    pub per_address: usize,
    /// After how many seconds a client is dropped that takes less than 16 KiB of an answer that waits for it: 1 to 3600.
    #[arg(
        id = "mass_write_timeout_seconds",
        long = "mass-write-timeout-seconds",
        env = "MASS_WRITE_TIMEOUT_SECONDS",
        value_name = "MASS_WRITE_TIMEOUT_SECONDS",
        global = true,
        default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(1..=3600)
    )]
    pub write_timeout_seconds: u32,
}

impl ConnectionSettings {
    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> ConnectionLimits {
        let limit = |connections| Some(connections).filter(|connections| *connections > 0);
        ConnectionLimits {
            total: limit(self.total),
            per_address: limit(self.per_address),
            write_timeout: Duration::from_secs(self.write_timeout_seconds.into()),
        }
    }
}
