//! A small rule-based recommendation engine, for evaluation and for tests.
//!
//! It receives what every engine receives from MASS, one normalised document per request, and recommends what a careful
//! engineer would try next: half a degree or a degree of cooling, or an inspection of the airflow. It is deliberately
//! simple: it learns nothing, keeps no history of a site, and knows only its [`rules`]. It recommends; it cannot
//! control anything.
//!
//! Belongs here: the engine's side of the protocol (docs/engine.md), the rules, and fault injection, with which tests
//! check how a caller handles a faulty engine.
//! Does not belong here: anything of MASS itself. To MASS, an engine is a black box behind HTTP. This one therefore
//! depends on no other crate of the workspace.

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

/// Configuration of the engine.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Minimum response time of a recommendation.
    pub latency: Duration,
    /// Faults to inject.
    pub faults: Faults,
}
