//! Types shared by all reads of this crate.

use mass_domain::access::Forbidden;
use mass_domain::page::{CursorScope, ForeignCursor, Limit, RowKey, decode_cursor};
use mass_domain::port::PortError;

/// The requested page of a list.
#[derive(Debug, Clone)]
pub struct ListQuery {
    /// The page size.
    pub limit: Limit,
    /// The cursor from the previous page; `None` for the first page.
    pub cursor: Option<String>,
}

impl ListQuery {
    /// Decodes the cursor to the last row of the previous page.
    pub(crate) fn last_seen<K: RowKey>(&self, scope: CursorScope) -> Result<Option<K>, ForeignCursor> {
        self.cursor.as_deref().map(|cursor| decode_cursor(scope, cursor)).transpose()
    }
}

/// Reason why a read fails.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The cursor belongs to another list.
    #[error(transparent)]
    ForeignCursor(#[from] ForeignCursor),
    /// The object does not exist, or belongs to another tenant.
    #[error("the object does not exist")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}
