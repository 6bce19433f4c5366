//! Which program writes: it stands in every audit event.

use std::sync::OnceLock;

use mass_domain::audit::Program;

/// Every database that a process opens is written by the same program.
static CURRENT: OnceLock<Program> = OnceLock::new();

/// Makes the program known, once.
pub(crate) fn introduce(program: Program) {
    CURRENT.get_or_init(|| program);
}

/// The program.
pub(crate) fn current() -> &'static Program {
    CURRENT.get_or_init(|| Program { commit: "unknown".to_owned(), version: "unknown".to_owned() })
}
