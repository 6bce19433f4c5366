//! The layout of the tables over machines.

/// Where the tables are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// All on one machine, or in one file.
    OneNode,
    /// On the nodes of a Citus cluster, all rows of a tenant on one of them. A statement costs a round trip more, and touches the
    /// tenant's node alone if it is for one tenant and inserts no rows that it selects.
    Distributed,
}
