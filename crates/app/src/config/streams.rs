//! Settings of streams: how many batches and exports there may be at once, how much memory they may hold, and when a batch
//! ends that is refused or not read.

use clap::Args;
use clap::builder::{RangedU64ValueParser, TypedValueParser};

use crate::http::streams::StreamLimits;

/// How many batches and exports there may be at once, how much memory they may hold, and when a batch ends that is refused or
/// not read.
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
    /// How many records of a batch may be refused one after the other before the batch ends; 0 for no such limit.
    #[arg(
        id = "mass_batch_refused_in_a_row",
        long = "mass-batch-refused-in-a-row",
        env = "MASS_BATCH_REFUSED_IN_A_ROW",
        value_name = "MASS_BATCH_REFUSED_IN_A_ROW",
        global = true,
        default_value_t = 5000
    )]
    pub refused_in_a_row: u64,
    /// The most bytes of a batch's results that wait for the client to read them: 1048576 to 1099511627776.
    #[arg(
        id = "mass_batch_unread_bytes",
        long = "mass-batch-unread-bytes",
        env = "MASS_BATCH_UNREAD_BYTES",
        value_name = "MASS_BATCH_UNREAD_BYTES",
        global = true,
        default_value_t = 64 << 20,
        value_parser = clap::value_parser!(u64).range(1 << 20..=1 << 40)
    )]
    pub unread_bytes: u64,
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
            refused_in_a_row: Some(self.refused_in_a_row).filter(|records| *records > 0),
            unread_bytes: self.unread_bytes,
        }
    }
}
