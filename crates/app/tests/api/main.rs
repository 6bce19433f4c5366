//! The program from outside, over HTTP and as a process, on SQLite and PostgreSQL.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, and so do its helpers"
)]

#[macro_use]
mod support;

mod admin;
mod alerts;
mod analytics;
mod api_keys;
mod architecture;
mod audit;
mod audit_acts;
mod audit_cli;
mod audit_requests;
mod auth;
mod backup;
mod batch;
mod bridge;
mod clients;
mod console;
mod contracts;
mod credentials;
mod deletions;
mod delivery;
mod demo;
mod doctor;
mod door;
mod engine;
mod engine_client;
mod export;
mod export_cli;
mod faults;
mod hangs;
mod idempotency;
mod import;
mod ingestion_pipeline;
mod judgement;
mod leaving;
mod limits;
mod mappings;
mod mass_requests;
mod matrix;
mod metrics;
mod natural_keys;
mod openapi;
mod passwords;
mod program;
mod proxy;
mod quarantine;
mod quotas;
mod readme;
mod registration;
mod retention;
mod savings;
mod scale_out;
mod second_factor;
mod sessions;
mod settings;
mod slow_clients;
mod starts;
mod system;
mod telemetry;
mod tenants;
mod upgrades;
