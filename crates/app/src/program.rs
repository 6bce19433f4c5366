//! The program itself, as traces and the audit trail name it.

use mass_domain::audit::Program;

/// This program: its version and the commit of its source.
#[must_use]
pub fn program() -> Program {
    Program { commit: env!("MASS_COMMIT").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
}
