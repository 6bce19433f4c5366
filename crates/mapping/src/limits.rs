//! Limits of memory.

/// The maximum size of a row, or of a line of NDJSON, in bytes of UTF-8.
pub const MAX_ROW_BYTES: usize = 1024 * 1024;

/// The maximum size of a JSON document that is read as a whole, in bytes of UTF-8.
pub const MAX_DOCUMENT_BYTES: usize = 4 * 1024 * 1024;
