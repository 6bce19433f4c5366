//! The domain of MASS: identifiers, contracts, entities and rules, as plain values and pure functions.
//!
//! Belongs here: anything that can be decided from its arguments alone.
//! Does not belong here: I/O, a clock, randomness, a web framework, a database driver. A test over `cargo metadata`
//! refuses those dependencies.

pub mod access;
pub mod alerts;
pub mod analytics;
pub mod api_keys;
pub mod audit;
pub mod canonical;
pub mod characters;
pub mod contracts;
pub mod crockford;
pub mod delivery;
mod email;
pub mod faults;
pub mod hex;
mod idempotency;
pub mod ids;
pub mod json;
pub mod mappings;
pub mod mass_request;
pub mod metrics;
mod names;
pub mod normalisation;
pub mod page;
pub mod port;
pub mod precondition;
pub mod quarantine;
pub mod recommendation;
pub mod records;
pub mod retention;
pub mod savings;
pub mod second_factor;
pub mod tasks;
pub mod tenancy;
pub mod time;
pub mod trace;
pub mod users;
pub mod validation;
