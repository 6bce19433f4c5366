//! The load of a database, for monitoring.

/// The use of a connection pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUse {
    /// Connections in use.
    pub used: u32,
    /// Idle connections.
    pub idle: u32,
    /// The size of the pool.
    pub limit: u32,
}

/// The load of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// The documents that wait for their commit, over all tenants.
    pub waiting_documents: usize,
    /// The pools, by what their connections do.
    pub pools: Vec<(&'static str, PoolUse)>,
}

/// Observer of group commits. It is called on the committing thread, and has to be quick.
pub trait CommitObserver: Send + Sync {
    /// Counts a commit of so many documents, refused ones included.
    fn committed(&self, documents: usize);
}

/// Does nothing.
impl CommitObserver for () {
    fn committed(&self, _documents: usize) {}
}
