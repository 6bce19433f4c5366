//! How much a caller may ask for.

use std::time::Duration;

/// The longest body in bytes.
pub(crate) const BODY_BYTES: usize = 1 << 20;

/// How long a body may take to arrive whole.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the head of a request may take.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a request that hangs keeps its caller waiting, if the caller does not leave before.
pub(crate) const LONGEST_HANG: Duration = Duration::from_secs(600);

/// How long a stopping engine waits for requests under way.
pub(crate) const DRAIN_SECONDS: u64 = 1;

/// How many callers are served at a time.
pub(crate) const CONNECTIONS: usize = 1_000;

/// How many idempotency keys are remembered with their answers, of 1 or 2 KB each.
pub(crate) const REMEMBERED_KEYS: usize = 10_000;

/// The longest idempotency key in characters.
pub(crate) const KEY_CHARACTERS: usize = 255;

/// The longest name in characters that an answer repeats.
pub(crate) const NAME_CHARACTERS: usize = 128;

/// For how long an answer holds, in seconds: it is a pure function of the request, but the engine's next version may
/// answer otherwise.
pub(crate) const ANSWER_SECONDS: u32 = 24 * 3600;
