//! The process itself, for operators and orchestrators.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::web;
use mass_persistence::Database;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::operations::{Access, Operation, Produces, Tag, model};
use super::problem::{Problem, ProblemKind};
use super::query::Query;
use super::reply::Reply;
use crate::projector::{Projection, State};

/// The group of the operations on the process.
pub const TAG: Tag = Tag { name: "system", description: "For operators and orchestrators." };

/// The operations.
pub const OPERATIONS: &[Operation] = &[HEALTH, READY, VERSION];

/// The flag that the server is stopping and wants no more requests.
#[derive(Debug, Default)]
pub struct Draining(AtomicBool);

impl Draining {
    /// Makes the server not ready from now on.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns whether the server is stopping.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

const HEALTH: Operation = Operation {
    id: "getHealth",
    summary: "Is the process alive?",
    description: "Touches no database: restart the process when this fails.",
    tag: Some(TAG),
    produces: Produces::Json(model::<Health>),
    answers: &[(200, "The process lives.")],
    store: false,
    ..Operation::get("/health", Access::Public, || web::to(health))
};

async fn health(query: Query) -> Result<Reply<Health>, Problem> {
    query.finish()?;
    Reply::ok(&Health { status: "ok" })
}

const READY: Operation = Operation {
    id: "getReadiness",
    summary: "Can requests be served?",
    description: "Asks the database. Send no requests while this fails; the answer names the check. `analytics` tells \
        whether figures are kept up to date (`ok`), stay as they are since a projection has stopped (`stopped`), or are \
        left to other servers (`off`); requests are served all the same.",
    tag: Some(TAG),
    produces: Produces::Json(model::<Readiness>),
    answers: &[(200, "Requests can be served.")],
    problems: &[ProblemKind::Unavailable],
    ..Operation::get("/ready", Access::Public, || web::to(ready))
};

async fn ready(
    query: Query,
    database: web::Data<Database>,
    draining: web::Data<Draining>,
    projection: web::Data<Projection>,
) -> Result<Reply<Readiness>, Problem> {
    query.finish()?;
    if draining.is_begun() {
        return Err(not_ready("process", "The server is stopping."));
    }
    match database.check().await {
        Ok(()) => {
            let checks = BTreeMap::from([("analytics", analytics(&projection)), ("database", "ok")]);
            Reply::ok(&Readiness { status: "ready", checks })
        }
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "not ready");
            Err(not_ready("database", "The database cannot be reached, does not answer, or has no room."))
        }
    }
}

/// Names the state of the projector. It does not make a server unready: neither a restart nor another server would mend it,
/// and requests are taken all the same.
fn analytics(projection: &Projection) -> &'static str {
    match projection.state() {
        State::Ok => "ok",
        State::Stopped => "stopped",
        State::Off => "off",
    }
}

fn not_ready(check: &str, detail: &str) -> Problem {
    Problem::unavailable(detail, Duration::from_secs(5)).member("checks", json!({check: "failed"}))
}

const VERSION: Operation = Operation {
    id: "getVersion",
    summary: "What is running?",
    description: "The program's version, its source's commit, and when it was built.",
    tag: Some(TAG),
    produces: Produces::Json(model::<Version>),
    answers: &[(200, "What is running.")],
    store: false,
    ..Operation::get("/version", Access::Public, || web::to(version))
};

async fn version(query: Query) -> Result<Reply<Version>, Problem> {
    query.finish()?;
    Reply::ok(&Version {
        version: env!("CARGO_PKG_VERSION"),
        commit: env!("MASS_COMMIT"),
        built_at: env!("MASS_BUILT_AT"),
    })
}

/// The process lives.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ServerHealth")]
#[schemars(example = json!({"status": "ok"}))]
pub struct Health {
    /// Always `ok`.
    pub status: &'static str,
}

/// Requests can be served.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ServerReadiness")]
#[schemars(example = json!({"status": "ready", "checks": {"analytics": "ok", "database": "ok"}}))]
pub struct Readiness {
    /// Always `ready`; a server that is not answers with a problem.
    pub status: &'static str,
    /// The checks and their results.
    pub checks: BTreeMap<&'static str, &'static str>,
}

/// The running program.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ServerVersion")]
#[schemars(example = json!({"version": "0.1.0", "commit": "0123456789ab", "built_at": "2026-11-24T18:00:00Z"}))]
pub struct Version {
    /// The program's version (Semantic Versioning).
    pub version: &'static str,
    /// The source's commit, or `unknown`.
    pub commit: &'static str,
    /// When it was built.
    pub built_at: &'static str,
}
