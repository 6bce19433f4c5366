//! Counters since the start.

use serde::Serialize;

/// Counters since the start. Each request increments exactly one of the counters after `requests` and up to
/// `truncated`, when its response begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Statistics {
    /// Requests to recommend something.
    pub(crate) requests: u64,
    /// Valid answers.
    pub(crate) recommended: u64,
    /// Requests refused as invalid.
    pub(crate) refused: u64,
    /// Injected error responses.
    pub(crate) errors: u64,
    /// Injected unusable bodies.
    pub(crate) garbage: u64,
    /// Injected hanging requests.
    pub(crate) hung: u64,
    /// Injected truncated responses.
    pub(crate) truncated: u64,
    /// Requests with a repeated idempotency key, regardless of their result.
    pub(crate) repeated: u64,
    /// Distinct idempotency keys. A key that was evicted counts again.
    pub(crate) distinct_keys: u64,
}
