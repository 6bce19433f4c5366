//! Keyset pagination: a cursor contains the key of the last row, never an offset.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::mappings::MappingName;
use crate::tenancy::TenantId;

/// A page size: 1 … 500 rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u16);

impl Limit {
    /// The default page size.
    pub const DEFAULT: Self = Self(50);
    /// The maximum page size.
    pub const MAX: u16 = 500;

    /// Builds a page size; `None` outside 1 … 500.
    #[must_use]
    pub const fn new(rows: u16) -> Option<Self> {
        if rows >= 1 && rows <= Self::MAX { Some(Self(rows)) } else { None }
    }

    /// Returns the number of rows.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// The list and the filters that a cursor belongs to. A cursor of another list or with other filters is refused,
/// because it would silently skip rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CursorScope([u8; 8]);

impl CursorScope {
    /// Builds the scope of a list from its filters, given in a fixed order.
    #[must_use]
    pub fn of<'a>(list: &str, filters: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        };
        part(list);
        for filter in filters {
            part(if filter.is_some() { "+" } else { "-" });
            part(filter.unwrap_or_default());
        }
        let digest = hash.finalize();
        let mut scope = [0; 8];
        scope.copy_from_slice(&digest[..8]);
        Self(scope)
    }
}

/// Error for a text that is not a cursor of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list with these filters")]
pub struct ForeignCursor;

/// A unique sort key of a list.
pub trait RowKey: Sized {
    /// Encodes the key.
    fn to_bytes(&self) -> Vec<u8>;

    /// Decodes the key; `None` if the bytes are invalid.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

impl RowKey for Uuid {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_slice(bytes).ok()
    }
}

impl RowKey for TenantId {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_str().as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::parse(std::str::from_utf8(bytes).ok()?).ok()
    }
}

impl RowKey for MappingName {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_str().as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::parse(std::str::from_utf8(bytes).ok()?).ok()
    }
}

impl RowKey for i64 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

/// Encodes a cursor that continues after the given row.
#[must_use]
pub fn encode_cursor(scope: CursorScope, last: &impl RowKey) -> String {
    let mut bytes = scope.0.to_vec();
    bytes.extend(last.to_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes a cursor.
///
/// # Errors
/// [`ForeignCursor`] if the text is not a cursor, or is the cursor of another list.
pub fn decode_cursor<K: RowKey>(scope: CursorScope, cursor: &str) -> Result<K, ForeignCursor> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| ForeignCursor)?;
    let key = bytes.strip_prefix(&scope.0).ok_or(ForeignCursor)?;
    K::from_bytes(key).ok_or(ForeignCursor)
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// The cursor of the next page; `None` on the last page.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Builds a page from the result of a query with `limit + 1` rows. The extra row shows that another page follows.
    #[must_use]
    pub fn from_lookahead<K: RowKey>(
        mut rows: Vec<T>,
        limit: Limit,
        scope: CursorScope,
        key: impl Fn(&T) -> K,
    ) -> Self {
        let limit = usize::from(limit.get());
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(|last| encode_cursor(scope, &key(last)));
        Self { items: rows, next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_is_valid_only_for_its_own_list_and_filters() {
        let scope = CursorScope::of("mass-requests", [Some("done"), None]);
        let id = Uuid::from_u128(7);
        assert_eq!(decode_cursor(scope, &encode_cursor(scope, &id)), Ok(id));
        let tenant = TenantId::parse("site-7").unwrap();
        assert_eq!(decode_cursor(scope, &encode_cursor(scope, &tenant)), Ok(tenant));
        for other in [
            CursorScope::of("mass-requests", [None, Some("done")]),
            CursorScope::of("mass-requests", [Some("done"), Some("")]),
            CursorScope::of("events", [Some("done"), None]),
        ] {
            assert_eq!(decode_cursor::<Uuid>(other, &encode_cursor(scope, &id)), Err(ForeignCursor));
        }
        for bad in ["", "x", "!!!", &encode_cursor(scope, &id)[1..]] {
            assert_eq!(decode_cursor::<Uuid>(scope, bad), Err(ForeignCursor), "{bad}");
        }
    }

    #[test]
    fn page_has_a_next_cursor_exactly_if_rows_are_left() {
        let scope = CursorScope::of("list", []);
        let page = |rows: u128| {
            Page::from_lookahead((0..rows).collect(), Limit::new(2).unwrap(), scope, |row| Uuid::from_u128(*row))
        };
        assert_eq!(page(2), Page { items: vec![0, 1], next_cursor: None });
        assert_eq!(page(3), Page { items: vec![0, 1], next_cursor: Some(encode_cursor(scope, &Uuid::from_u128(1))) });
        assert_eq!(page(0).next_cursor, None);
        assert_eq!((Limit::new(0), Limit::new(501)), (None, None));
    }
}
