//! Reports of savings as documents.
//!
//! [`compose`] makes a [`ReportDocument`] of a project's version and its hours; the same input gives the same bytes, on
//! every machine. The text that is signed for it is its [`statement`]; [`check_trail`] and [`recompute`] verify it.
//!
//! Belongs here: the document's form, and what is drawn and written of it.
//! Does not belong here: the method (`mass-savings`), I/O, a clock, keys.

mod compose;
mod csv;
mod document;
mod figure;
mod language;
mod pdf;
pub mod project;
mod statement;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod verify;

pub use compose::{ComposeError, Inputs, compose};
pub use csv::csv;
pub use document::{
    Co2e, Contract, Cost, CrossoverResult, DesignResult, FORMAT, Figures, Hours, InvalidReport, Parameters, Priced,
    ReportDocument, Thresholds,
};
pub use figure::{DrawError, Figure, svg};
pub use language::{Language, UnknownLanguage};
pub use pdf::pdf;
pub use statement::statement;
pub use verify::{Difference, Trail, VerifyError, check_statement, check_trail, first_difference, recompute};
