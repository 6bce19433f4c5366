//! The ports, domain by domain: each module holds a port's implementation and its transactions.
//!
//! The modules are written once and compiled for both databases, as children of `postgres` and of `sqlite`: the imports
//! below are all that differs between the two.

mod acceptance;
mod accounts;
mod analytics;
mod api_keys;
mod attempts;
pub(super) mod audit;
mod audit_live;
mod audit_log;
mod audit_tree;
mod claims;
mod deletions;
mod deliveries;
mod delivery_reads;
mod delivery_rows;
mod directory;
mod documents;
mod fair_share;
mod live_requests;
mod live_users;
mod mappings;
mod mass;
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
mod savings;
mod savings_queue;
mod sessions;
mod settings;
mod tenants;
mod upkeep;
mod users;

use super::{
    Backend, Connection, HEAD_FIRST, ROUND_TRIPS_COST, RowByRow, Store, add, applying, archiving, events_at,
    events_of_requests, has_room, in_place, is_due, lock_attempts, lock_bootstrap, lock_due, lock_head, lock_session,
    may_archive, met_keys, met_versions, migrate, projecting, read, sweep, try_to_write, write,
};

pub(crate) use acceptance::commit_documents;
pub(crate) use audit::column;
pub(crate) use audit_tree::build_missing;
pub(crate) use fair_share::{Share, names};
