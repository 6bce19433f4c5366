//! Settings of streams: concurrency and memory of batches and exports, and the limits that end a batch.

use clap::Args;
use clap::builder::{RangedU64ValueParser, TypedValueParser};

use super::HEADING;
use crate::http::streams::StreamLimits;

/// The concurrency and memory of batches and exports, and the limits that end a batch.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HEADING)]
pub struct StreamSettings {
    /// Batches and exports that one user or API key may have under way; 0 for no limit.
    #[arg(long, default_value_t = 8)]
    pub streams_per_credential: usize,
    /// Batches and exports that one tenant may have under way; 0 for no limit.
    #[arg(long, default_value_t = 32)]
    pub streams_per_tenant: usize,
    /// Memory in bytes for batches that wait to be decoded, parsed and stored, half of it for one tenant: 16777216 to
    /// 1099511627776. At least 8388608 and eight times MASS_BODY_LIMIT_BYTES are used.
    #[arg(
        long,
        default_value_t = 128 << 20,
        value_parser = RangedU64ValueParser::<u64>::new().range(16 << 20..=1 << 40).try_map(usize::try_from)
    )]
    pub stream_buffer_bytes: usize,
    /// Consecutive refused records after which a batch ends; 0 for no limit.
    #[arg(long, default_value_t = 5000)]
    pub batch_refused_in_a_row: u64,
    /// Bytes of a batch's results that may wait for the client to read them: 1048576 to 1099511627776.
    #[arg(long, default_value_t = 64 << 20, value_parser = clap::value_parser!(u64).range(1 << 20..=1 << 40))]
    pub batch_unread_bytes: u64,
}

impl StreamSettings {
    /// Returns the effective limits. A record of the maximum length always fits: it takes up to four times its length.
    #[must_use]
    pub fn limits(&self, body_limit: usize) -> StreamLimits {
        let limit = |streams| Some(streams).filter(|streams| *streams > 0);
        StreamLimits {
            per_credential: limit(self.streams_per_credential),
            per_tenant: limit(self.streams_per_tenant),
            buffer_bytes: self.stream_buffer_bytes.max(body_limit.saturating_mul(8).saturating_add(8 << 20)),
            refused_in_a_row: Some(self.batch_refused_in_a_row).filter(|records| *records > 0),
            unread_bytes: self.batch_unread_bytes,
        }
    }
}
