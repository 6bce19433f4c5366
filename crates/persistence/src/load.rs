//! What a database is busy with, for whoever watches it.

/// How a pool's connections are used at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUse {
    /// Connections that are at work.
    pub used: u32,
    /// Connections that wait for work.
    pub idle: u32,
    /// How many connections there can be.
    pub limit: u32,
}

/// What a database is busy with at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// How many documents wait to be committed, over all tenants.
    pub waiting_documents: usize,
    /// The connections that read.
    pub reads: PoolUse,
    /// The connections that write.
    pub writes: PoolUse,
}

/// Hears of each commit, on the thread that made it: it has to be quick.
pub trait CommitObserver: Send + Sync {
    /// So many documents were judged and recorded in one transaction of documents.
    fn committed(&self, documents: usize);
}

/// Listens to nothing.
impl CommitObserver for () {
    fn committed(&self, _documents: usize) {}
}
