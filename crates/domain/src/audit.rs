//! The audit trail: events, and the Merkle tree that reveals later changes to them.
//!
//! docs/audit.md explains it to an auditor.

mod act;
mod event;
mod index;
pub mod note;
mod refusals;
pub mod tree;

pub use act::Act;
pub use event::{
    Action, CREDENTIALS, Event, NewEvent, Object, Outcome, Program, UnknownAction, UnknownObject, UnknownOutcome,
    UnreadableEvent,
};
pub use index::IndexedValues;
pub use refusals::{Reason, Refusals, RefusedRecord};
