//! The program's identity in traces and the audit trail.

use mass_domain::audit::Program;

/// Returns the version of the program and the commit of its source.
#[must_use]
pub fn program() -> Program {
    Program { commit: env!("MASS_COMMIT").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
}
