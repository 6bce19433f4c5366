//! Limits of memory.

/// The maximum size of a row, or of a line of NDJSON, in bytes of UTF-8.
pub const MAX_ROW_BYTES: usize = 1024 * 1024;

/// The maximum size of a JSON document that is read as a whole, in bytes of UTF-8.
pub const MAX_DOCUMENT_BYTES: usize = 4 * 1024 * 1024;

/// The maximum size of a document that a row becomes, in bytes of its values: several members may take the same value.
pub const MAX_RECORD_BYTES: usize = 1024 * 1024;

/// The maximum number of records in one JSON document.
pub const MAX_RECORDS: u64 = 50_000;

/// The maximum size of all documents that the records of one JSON document become, in bytes of their values.
pub const MAX_MAPPED_BYTES: usize = 16 * 1024 * 1024;

/// The maximum number of alternatives of a member, and of other lists that each row is compared with.
pub(crate) const MAX_ALTERNATIVES: usize = 64;

/// The maximum number of columns of a table.
pub(crate) const MAX_COLUMNS: usize = 10_000;
