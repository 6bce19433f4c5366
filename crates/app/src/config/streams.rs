//! Settings of streams: how many batches and exports there may be at once, and how much memory they may hold.

use clap::Args;
use clap::builder::{RangedU64ValueParser, TypedValueParser};

use crate::http::streams::StreamLimits;

/// How many batches and exports there may be at once, and how much memory they may hold.
#[derive(Debug, Clone, Args)]
pub struct StreamSettings {
    /// Batches and exports that one user or API key may have under way; 0 for no such limit.
    #[arg(
        id = "mass_streams_per_credential",
        long = "mass-streams-per-credential",
        env = "MASS_STREAMS_PER_CREDENTIAL",
        value_name = "MASS_STREAMS_PER_CREDENTIAL",
        global = true,
        default_value_t = 8
    )]
    pub per_credential: usize,
    /// Batches and exports that one tenant may have under way; 0 for no such limit.
    #[arg(
        id = "mass_streams_per_tenant",
        long = "mass-streams-per-tenant",
        env = "MASS_STREAMS_PER_TENANT",
        value_name = "MASS_STREAMS_PER_TENANT",
        global = true,
        default_value_t = 32
    )]
    pub per_tenant: usize,
    /// The most bytes of batches that wait in memory to be decoded, taken apart and stored, of which one tenant may have
    /// half: 16777216 to 1099511627776. Less than 8388608 and eight times MASS_BODY_LIMIT_BYTES count as that.
    #[arg(
        id = "mass_stream_buffer_bytes",
        long = "mass-stream-buffer-bytes",
        env = "MASS_STREAM_BUFFER_BYTES",
        value_name = "MASS_STREAM_BUFFER_BYTES",
        global = true,
        default_value_t = 128 << 20,
        value_parser = RangedU64ValueParser::<u64>::new().range(16 << 20..=1 << 40).try_map(usize::try_from)
    )]
    pub buffer_bytes: usize,
}

impl StreamSettings {
    /// The limits in force. A record of the greatest length always finds room: it takes up to four times its length.
    #[must_use]
    pub fn limits(&self, body_limit: usize) -> StreamLimits {
        let limit = |streams| Some(streams).filter(|streams| *streams > 0);
        StreamLimits {
            per_credential: limit(self.per_credential),
            per_tenant: limit(self.per_tenant),
            buffer_bytes: self.buffer_bytes.max(body_limit.saturating_mul(8).saturating_add(8 << 20)),
        }
    }
}
