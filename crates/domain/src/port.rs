//! What every port can answer when it cannot do its work.

/// A port could not do its work. What it *found* (absent, taken, conflicting) is never here: that is the use case's
/// own error.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The other side cannot be reached or is too busy; nothing was changed, and trying again later may help.
    #[error("not reachable at the moment")]
    Unavailable(#[source] anyhow::Error),
    /// A fault of MASS or of its surroundings. The cause is for the log, never for a client.
    #[error(transparent)]
    Unexpected(#[from] anyhow::Error),
}
