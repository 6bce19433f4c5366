//! What looking at anything here has in common.

use mass_domain::access::Forbidden;
use mass_domain::page::{CursorScope, ForeignCursor, Limit, RowKey, decode_cursor};
use mass_domain::port::PortError;

/// Which page of a list to show.
#[derive(Debug, Clone)]
pub struct ListQuery {
    /// How many rows.
    pub limit: Limit,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

impl ListQuery {
    /// The row where the page before ended.
    pub(crate) fn last_seen<K: RowKey>(&self, scope: CursorScope) -> Result<Option<K>, ForeignCursor> {
        self.cursor.as_deref().map(|cursor| decode_cursor(scope, cursor)).transpose()
    }
}

/// Why nothing is shown.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The cursor belongs to another list.
    #[error(transparent)]
    ForeignCursor(#[from] ForeignCursor),
    /// There is no such thing, or it is another tenant's.
    #[error("no such object")]
    NotFound,
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
}
