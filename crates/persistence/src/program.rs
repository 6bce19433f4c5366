//! The program, which every audit event names.

use std::sync::OnceLock;

use mass_domain::audit::Program;

/// One per process, whatever databases it opens.
static CURRENT: OnceLock<Program> = OnceLock::new();

/// Sets the program, once.
pub(crate) fn introduce(program: Program) {
    CURRENT.get_or_init(|| program);
}

/// Returns the program.
pub(crate) fn current() -> &'static Program {
    CURRENT.get_or_init(|| Program { commit: "unknown".to_owned(), version: "unknown".to_owned() })
}
