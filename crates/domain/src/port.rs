//! What every port can answer when it cannot do its work.

/// A port could not do its work. What it *found* (absent, taken, conflicting) is never here: that is the use case's
/// own error.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The other side cannot be reached, is too busy or has no room; trying again later may help. Nothing was changed,
    /// unless the connection was lost just when a change was being confirmed.
    #[error("not reachable at the moment")]
    Unavailable(#[source] anyhow::Error),
    /// A fault of MASS or of its surroundings. The cause is for the log, never for a client.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}

impl PortError {
    /// The stored value that could not be read, if that is the cause.
    #[must_use]
    pub fn corrupt_value(&self) -> Option<&CorruptValue> {
        match self {
            Self::Unexpected(error) => error.downcast_ref(),
            Self::Unavailable(_) => None,
        }
    }
}

/// A stored value is not one that MASS writes.
#[derive(Debug, thiserror::Error)]
#[error("a stored value cannot be read: {0}")]
pub struct CorruptValue(pub Box<dyn std::error::Error + Send + Sync>);
