//! The engine from outside: over HTTP, each test with one of its own.

mod faults;
mod protocol;
mod support;
