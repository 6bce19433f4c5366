//! The audit trail by the program's own commands, as an auditor and an operator use them.
