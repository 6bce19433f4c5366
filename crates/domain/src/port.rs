//! The error type shared by all ports.

/// Failure of a port. Expected outcomes (absent, taken, conflicting) are errors of the use case instead.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The other side is unreachable, overloaded or out of space. A retry may succeed. Nothing was changed, unless the
    /// connection was lost while a commit was being confirmed.
    #[error("not reachable at the moment")]
    Unavailable(#[source] anyhow::Error),
    /// An internal error. Its cause is for the log, never for a client.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl PortError {
    /// Returns the corrupt stored value, if that is the cause.
    #[must_use]
    pub fn corrupt_value(&self) -> Option<&CorruptValue> {
        match self {
            Self::Unexpected(error) => error.downcast_ref(),
            Self::Unavailable(_) => None,
        }
    }
}

/// Error for a stored value that MASS cannot have written.
#[derive(Debug, thiserror::Error)]
#[error("a stored value cannot be read: {0}")]
pub struct CorruptValue(pub Box<dyn std::error::Error + Send + Sync>);
