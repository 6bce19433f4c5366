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
use crate::http::operations::{Access, Factor, Operation, Produces, model};
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
    factor: Factor::Fresh,
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

/// Settings of a tenant. A setting that is absent or null follows the server's configuration.
#[derive(Deserialize, JsonSchema, Validate)]
#[schemars(rename = "TenantSettingsChange")]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"auto_send": true, "quarantine": true}))]
pub struct SettingsChange {
    /// True to send each accepted request to the engine.
    #[serde(default)]
    pub auto_send: Option<bool>,
    /// True to keep refused records in the quarantine where a call does not say otherwise.
    #[serde(default)]
    pub quarantine: Option<bool>,
    /// True to demand a second factor of users who administer the tenant or the installation.
    #[serde(default)]
    pub second_factor: Option<bool>,
}

impl From<SettingsChange> for tenancy::TenantSettings {
    fn from(SettingsChange { auto_send, quarantine, second_factor }: SettingsChange) -> Self {
        Self { auto_send, quarantine, second_factor }
    }
}

/// Settings of a tenant, and the values in effect.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TenantSettings")]
#[schemars(example = json!({
    "auto_send": null, "quarantine": true, "second_factor": null,
    "in_force": {"auto_send": false, "quarantine": true, "second_factor": false},
}))]
pub struct Settings {
    /// True if each accepted request is sent to the engine; null to follow the server's configuration.
    pub auto_send: Option<bool>,
    /// True if refused records are kept in the quarantine where a call does not say otherwise; null for no.
    pub quarantine: Option<bool>,
    /// True if a second factor is demanded of users who administer the tenant or the installation; null for no.
    pub second_factor: Option<bool>,
    /// Values in effect: the tenant's settings, else the server's configuration.
    pub in_force: SettingsInForce,
}

/// Settings in effect for a tenant.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TenantSettingsInForce")]
pub struct SettingsInForce {
    /// True if each accepted request is sent to the engine. Always false without a configured engine.
    pub auto_send: bool,
    /// True if refused records are kept in the quarantine where a call does not say otherwise.
    pub quarantine: bool,
    /// True if a second factor is demanded of users who administer the tenant or the installation.
    pub second_factor: bool,
}

impl From<service::EffectiveSettings> for Settings {
    fn from(service::EffectiveSettings { settings, auto_send }: service::EffectiveSettings) -> Self {
        let tenancy::TenantSettings { auto_send: wanted, quarantine, second_factor } = settings;
        let in_force = SettingsInForce {
            auto_send,
            quarantine: settings.quarantines(),
            second_factor: settings.demands_second_factor(),
        };
        Self { auto_send: wanted, quarantine, second_factor, in_force }
    }
}

problem_from! {
    SettingsError: Forbidden, Store;
        SettingsError::EngineMissing => engine_missing(),
}
