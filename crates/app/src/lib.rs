//! The `mass` program: configuration, wiring, HTTP, the OpenAPI document, logging and the command line.
//!
//! Belongs here: everything that depends on HTTP, the environment or the terminal. Does not belong here: business rules
//! (the use-case crates and `mass-domain`) and SQL (`mass-persistence`).

pub mod alerting;
pub mod cli;
pub mod commands;
pub mod config;
pub mod engine;
pub mod exported;
pub mod figures;
pub mod http;
pub mod logging;
pub mod pace;
pub mod periodic;
pub mod program;
pub mod projector;
pub mod records;
pub mod reporter;
mod retry_after;
pub mod rows;
pub mod startup;
pub mod telemetry;
pub mod terminal;
pub mod webhooks;
