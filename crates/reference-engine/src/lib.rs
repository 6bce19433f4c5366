//! A small recommendation engine of rules, for a first look and for tests.
//!
//! It takes what any engine takes from MASS, one normalised document at a time, and answers with what a careful engineer
//! would try next: half a degree or a degree on the cooling, or a look at the airflow. It is honest about being simple:
//! it learns nothing, remembers nothing of a site, and knows only what its [`rules`] say. It recommends; it controls
//! nothing, and has no means to.
//!
//! Belongs here: the engine's side of the protocol (docs/engine.md), the rules, and faults to order, which let tests see
//! how a caller takes a bad day.
//! Does not belong here: anything of MASS itself. To MASS an engine is a black box behind HTTP, and this one is no
//! exception: it depends on no other crate of the workspace.

mod answer_cache;
mod engine;
mod faults;
mod http;
mod limits;
mod protocol;
mod recommend;
mod request_error;
pub mod rules;
mod signals;
mod statistics;

use std::time::Duration;

pub use faults::{Faults, InvalidRate, Rate, RatesExceedOne};
pub use http::serve;

/// How the engine behaves.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How long each recommendation takes at least.
    pub latency: Duration,
    /// What goes wrong, and how often.
    pub faults: Faults,
}
