//! Tests of the engine over HTTP, each with its own server.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, and so do its helpers")]

mod faults;
mod protocol;
mod support;
