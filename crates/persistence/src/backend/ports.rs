//! The ports, domain by domain: each module holds a port's implementation and its transactions.
//!
//! The modules are written once and compiled for both databases, as children of `postgres` and of `sqlite`: the imports
//! below are all that differs between the two.

mod acceptance;
mod accounts;
mod alerts;
mod analytics;
mod api_keys;
mod attempts;
pub(super) mod audit;
mod audit_live;
mod audit_log;
mod audit_tree;
mod claims;
mod credentials;
mod deletions;
mod deliveries;
mod delivery_reads;
mod delivery_rows;
mod directory;
mod documents;
mod erasure;
mod evaluation;
mod examining;
mod factor_proofs;
mod fair_share;
mod legal_holds;
mod lifecycle;
mod live_alerts;
mod live_requests;
mod live_users;
mod mappings;
mod mass;
mod notifications;
mod projection;
mod projection_blocks;
mod projection_clearing;
mod projection_documents;
mod projection_effects;
mod projection_log;
mod projection_removals;
mod projection_update;
mod projection_windows;
mod quarantine;
mod quotas;
mod recommendations;
mod requests;
mod retention;
mod retention_reports;
mod savings;
mod savings_queue;
mod second_factors;
mod sessions;
mod settings;
mod tasks;
mod tenants;
mod tenants_usage;
pub(super) mod turns;
mod upkeep;
mod users;
mod webhook_lookup;
mod webhooks;

use super::{
    Backend, Connection, HEAD_FIRST, PLACES, ROUND_TRIPS_COST, RowByRow, Store, add, applying, archiving, back_up,
    clock, damage, durably, events_at, events_of_requests, examine, file, has_room, in_place, is_due, layout, load,
    lock_attempts, lock_bootstrap, lock_due, lock_head, lock_session, may_archive, met_keys, met_versions, migrate,
    projecting, read, row_columns, sweep, switch, try_to_write, write,
};

pub(crate) use acceptance::commit_documents;
pub(crate) use audit::column;
pub(crate) use audit_tree::build_missing;
pub(crate) use fair_share::names;
pub(crate) use turns::Share;
