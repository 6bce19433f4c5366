//! One module per command of the program.

pub mod accounts;
pub mod config;
pub mod import;
pub mod migrate;
pub mod openapi;
pub mod serve;

use std::io::Write;

/// Prints to standard output, for people or for a pipe.
///
/// # Errors
/// When nobody reads it.
pub fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
