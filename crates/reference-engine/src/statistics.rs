//! What has been asked and answered since the start.

use serde::Serialize;

/// What has been asked and answered since the start. Of the members after `requests` down to `truncated`, each request
/// counts in one, as soon as its answer begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Statistics {
    /// Requests to recommend something.
    pub(crate) requests: u64,
    /// Sound answers.
    pub(crate) recommended: u64,
    /// Requests that the engine could not work with.
    pub(crate) refused: u64,
    /// Errors to order.
    pub(crate) errors: u64,
    /// Garbage to order.
    pub(crate) garbage: u64,
    /// Requests that were left hanging, to order.
    pub(crate) hung: u64,
    /// Answers that broke off, to order.
    pub(crate) truncated: u64,
    /// Requests whose idempotency key had been answered before, whatever became of them.
    pub(crate) repeated: u64,
    /// Idempotency keys; one that was forgotten in between counts again.
    pub(crate) distinct_keys: u64,
}
