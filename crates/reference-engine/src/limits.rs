//! Limits of requests.

use std::time::Duration;

/// Maximum size of a body in bytes.
pub(crate) const BODY_BYTES: usize = 1 << 20;

/// Maximum time to receive a body.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum time to receive the head of a request.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum time for which a request hangs, if its client does not disconnect earlier.
pub(crate) const LONGEST_HANG: Duration = Duration::from_secs(600);

/// Time for which a stopping server waits for running requests, in seconds.
pub(crate) const DRAIN_SECONDS: u64 = 1;

/// Maximum number of concurrent connections.
pub(crate) const CONNECTIONS: usize = 1_000;

/// Maximum number of cached answers, of 1 or 2 KB each.
pub(crate) const REMEMBERED_KEYS: usize = 10_000;

/// Maximum length of an idempotency key in characters.
pub(crate) const KEY_CHARACTERS: usize = 255;

/// Maximum length of a name in characters. Answers repeat names.
pub(crate) const NAME_CHARACTERS: usize = 128;

/// Lifetime of an answer in HTTP caches, in seconds. An answer depends only on its request, but the engine's next
/// version may answer differently.
pub(crate) const ANSWER_SECONDS: u32 = 24 * 3600;
