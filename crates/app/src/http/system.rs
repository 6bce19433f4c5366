//! What operators and orchestrators ask of the process itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::web;
use mass_persistence::Database;
use paperclip::actix::api_v2_operation;
use serde_json::json;

use super::problem::Problem;
use super::query::Query;
use super::reply::Reply;
use super::wire::{Health, Readiness, Version};

/// Whether the server wants more requests: not once it has been told to stop.
#[derive(Debug, Default)]
pub struct Draining(AtomicBool);

impl Draining {
    /// From now on the server is not ready.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether that has happened.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Is the process alive?
///
/// Touches no database: restart the process when this fails.
#[api_v2_operation(operation_id = "getHealth", tags("system"))]
pub async fn health(query: Query) -> Result<Reply<Health>, Problem> {
    query.finish()?;
    Reply::ok(&Health { status: "ok" })
}

/// Can requests be served?
///
/// Asks the database. Send no requests while this fails; the answer names the check.
#[api_v2_operation(operation_id = "getReadiness", tags("system"))]
pub async fn ready(
    query: Query,
    database: web::Data<Database>,
    draining: web::Data<Draining>,
) -> Result<Reply<Readiness>, Problem> {
    query.finish()?;
    if draining.is_begun() {
        return Err(not_ready("process", "The server is stopping."));
    }
    match database.check().await {
        Ok(()) => Reply::ok(&Readiness { status: "ready", checks: BTreeMap::from([("database", "ok")]) }),
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "not ready");
            Err(not_ready("database", "The database cannot be reached, does not answer, or has no room."))
        }
    }
}

fn not_ready(check: &str, detail: &str) -> Problem {
    Problem::unavailable(detail, Duration::from_secs(5)).member("checks", json!({check: "failed"}))
}

/// What is running?
///
/// The program's version, its source's commit, and when it was built.
#[api_v2_operation(operation_id = "getVersion", tags("system"))]
pub async fn version(query: Query) -> Result<Reply<Version>, Problem> {
    query.finish()?;
    Reply::ok(&Version {
        version: env!("CARGO_PKG_VERSION"),
        commit: env!("MASS_COMMIT"),
        built_at: env!("MASS_BUILT_AT"),
    })
}
