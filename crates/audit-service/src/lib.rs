//! The audit trail: record, read, sign, prove, export, archive, verify.
//!
//! Belongs here: the use cases, their permissions and errors, the ports that they need, and verification, which needs
//! none. A use case takes the [`Principal`](mass_domain::access::Principal) first and checks its permission before
//! anything else.
//! Does not belong here: the tree and the forms of events and notes (`mass_domain::audit`), HTTP, SQL.

mod store;

pub use store::{AuditStore, Entry, EventFilter, Leaf, StoredCheckpoint};
