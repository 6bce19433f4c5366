//! The settings of the caller's tenant.

use actix_web::web;
use garde::Validate;
use mass_admin_service::{self as service, SettingsError};
use mass_domain::access::Permission;
use mass_domain::tenancy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Service, TAG};
use crate::http::body::Valid;
use crate::http::delivery::engine_missing;
use crate::http::operations::{Access, Operation, Produces, model};
use crate::http::problem::{Problem, ProblemKind, problem_from};
use crate::http::query::Query;
use crate::http::reply::{Call, Reply};

/// The operations.
pub const OPERATIONS: &[Operation] = &[GET, SET];

const GET: Operation = Operation {
    id: "getSettings",
    summary: "Show the settings.",
    description: "What the caller's tenant has decided, and what is in force; null where it is as the server is \
        configured.",
    tag: Some(TAG),
    produces: Produces::Json(model::<Settings>),
    answers: &[(200, "The settings.")],
    ..Operation::get("/v1/admin/settings", Access::Needs(Permission::SettingsManage), || web::to(get))
};

async fn get(call: Call, service: Service, query: Query) -> Result<Reply<Settings>, Problem> {
    query.finish()?;
    Reply::ok(&service.settings(&call.principal).await?.into())
}

const SET: Operation = Operation {
    id: "setSettings",
    summary: "Set the settings.",
    description: "Replaces those of the caller's tenant; what is absent or null is as the server is configured. They \
        are in force from the next request on.",
    tag: Some(TAG),
    body: &[("application/json", model::<SettingsChange>)],
    produces: Produces::Json(model::<Settings>),
    answers: &[(200, "The settings as they are now.")],
    problems: &[ProblemKind::EngineMissing],
    ..Operation::put("/v1/admin/settings", Access::Needs(Permission::SettingsManage), || web::to(set))
};

async fn set(
    call: Call,
    service: Service,
    query: Query,
    body: Valid<SettingsChange>,
) -> Result<Reply<Settings>, Problem> {
    query.finish()?;
    let settings = service.set_settings(&call.principal, body.0.into(), &call.origin).await?;
    Reply::ok(&settings.into())
}

/// What a tenant decides for itself; what is absent or null is as the server is configured.
#[derive(Deserialize, JsonSchema, Validate)]
#[schemars(rename = "TenantSettingsChange")]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"auto_send": true}))]
pub struct SettingsChange {
    /// Whether what is accepted is sent to the engine with that.
    #[serde(default)]
    pub auto_send: Option<bool>,
}

impl From<SettingsChange> for tenancy::TenantSettings {
    fn from(SettingsChange { auto_send }: SettingsChange) -> Self {
        Self { auto_send }
    }
}

/// What a tenant has decided for itself, and what holds.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TenantSettings")]
#[schemars(example = json!({"auto_send": null, "in_force": {"auto_send": false}}))]
pub struct Settings {
    /// Whether what is accepted is sent to the engine with that; null where it is as the server is configured.
    pub auto_send: Option<bool>,
    /// What holds: what the tenant has decided, else what the server is configured to do.
    pub in_force: SettingsInForce,
}

/// What holds for a tenant.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TenantSettingsInForce")]
pub struct SettingsInForce {
    /// Whether what is accepted is sent to the engine with that; never where no engine is configured.
    pub auto_send: bool,
}

impl From<service::EffectiveSettings> for Settings {
    fn from(service::EffectiveSettings { settings, auto_send }: service::EffectiveSettings) -> Self {
        Self { auto_send: settings.auto_send, in_force: SettingsInForce { auto_send } }
    }
}

problem_from! {
    SettingsError: Forbidden, Store;
        SettingsError::EngineMissing => engine_missing(),
}
