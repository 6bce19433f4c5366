//! The engine from outside: over HTTP, each test with one of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, and so do its helpers")]

mod faults;
mod protocol;
mod support;
