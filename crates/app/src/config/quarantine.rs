//! Settings of the quarantine.

use clap::Args;
use mass_service::QuarantineLimits;

use super::HEADING;

/// The bounds of the quarantine.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HEADING)]
pub struct QuarantineSettings {
    /// Bytes of refused records that are kept for a tenant without a quota of its own: 0, for none, to 1099511627776.
    #[arg(long, default_value_t = 64 << 20, value_parser = clap::value_parser!(u64).range(0..=1 << 40))]
    pub quarantine_bytes: u64,
    /// Days that a refused record is kept: 1 to 3650.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub quarantine_days: u16,
}

impl QuarantineSettings {
    /// Returns the effective bounds.
    #[must_use]
    pub fn limits(&self) -> QuarantineLimits {
        QuarantineLimits { bytes: self.quarantine_bytes, seconds: i64::from(self.quarantine_days) * 86_400 }
    }
}
