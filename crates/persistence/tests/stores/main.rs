//! The ports, tested on SQLite and on PostgreSQL.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[macro_use]
mod databases;
mod fixtures;
mod template;

mod accepting;
mod accounts;
mod administration;
mod alerting;
mod attacks;
mod attempts;
mod audit;
mod availability;
mod changing;
mod concurrency;
mod credentials;
mod delivering;
mod exporting;
mod isolation;
mod joins;
mod judged_state;
mod listing;
mod older_logs;
mod projecting;
mod retention;
mod savings;
mod schema;
mod sessions;
mod walls;
