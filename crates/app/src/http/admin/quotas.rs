//! The quotas of the caller's tenant.

use actix_web::web;
use garde::Validate;
use mass_admin_service::QuotaError;
use mass_domain::access::Permission;
use mass_domain::tenancy;
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Number, json};

use super::{Service, TAG};
use crate::http::body::Valid;
use crate::http::operations::{Access, Operation, Produces, model};
use crate::http::problem::{Problem, problem_from};
use crate::http::query::Query;
use crate::http::reply::{Call, Reply};

/// The operations.
pub const OPERATIONS: &[Operation] = &[GET, SET];

const GET: Operation = Operation {
    id: "getQuotas",
    summary: "Show the quotas.",
    description: "Those of the caller's tenant; null where there is no limit, or, for the quarantine, the server's.",
    tag: Some(TAG),
    produces: Produces::Json(model::<Quotas>),
    answers: &[(200, "The quotas.")],
    ..Operation::get("/v1/admin/quotas", Access::Needs(Permission::SettingsManage), || web::to(get))
};

async fn get(call: Call, service: Service, query: Query) -> Result<Reply<Quotas>, Problem> {
    query.finish()?;
    Reply::ok(&service.quotas(&call.principal).await?.into())
}

const SET: Operation = Operation {
    id: "setQuotas",
    summary: "Set the quotas.",
    description: "Replaces those of the caller's tenant; what is absent or null is not limited, or, for the quarantine, \
        as the server is configured.",
    tag: Some(TAG),
    body: &[("application/json", model::<Quotas>)],
    produces: Produces::Json(model::<Quotas>),
    answers: &[(200, "The quotas as they are now.")],
    ..Operation::put("/v1/admin/quotas", Access::Needs(Permission::SettingsManage), || web::to(set))
};

async fn set(call: Call, service: Service, query: Query, body: Valid<Quotas>) -> Result<Reply<Quotas>, Problem> {
    query.finish()?;
    service.set_quotas(&call.principal, (&body.0).into(), &call.origin).await?;
    Reply::ok(&body.0)
}

/// Quotas of a tenant; null for no limit.
#[derive(Serialize, Deserialize, JsonSchema, Validate)]
#[schemars(rename = "TenantQuotas")]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"requests_per_day": 1_000_000, "stored_bytes": null, "quarantine_bytes": null}))]
pub struct Quotas {
    /// MASS requests that are stored in a day of UTC.
    #[serde(default, deserialize_with = "whole")]
    #[garde(inner(range(min = 1, max = MAX_QUOTA)))]
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_u64))]
    pub requests_per_day: Option<u64>,
    /// Bytes of stored documents and savings reports.
    #[serde(default, deserialize_with = "whole")]
    #[garde(inner(range(min = 1, max = MAX_QUOTA)))]
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_u64))]
    pub stored_bytes: Option<u64>,
    /// Bytes of refused records in the quarantine; null for the server's limit (`MASS_QUARANTINE_BYTES`).
    #[serde(default, deserialize_with = "whole")]
    #[garde(inner(range(min = 1, max = MAX_QUOTA)))]
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_u64))]
    pub quarantine_bytes: Option<u64>,
}

/// The greatest integer that every JSON reader keeps exactly (RFC 8259, section 6).
const MAX_QUOTA: u64 = (1 << 53) - 1;

/// An integer as JSON Schema has it (2020-12, section 4.2.3 of the core): 2.0 is one, too.
pub(super) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(deserializer)? else { return Ok(None) };
    let rounded = || format!("{:.0}", number.as_f64().filter(|value| value.fract() == 0.0)?).parse().ok();
    let whole = number.as_u64().or_else(rounded);
    whole.map(Some).ok_or_else(|| Error::custom(format_args!("{number} is no integer from 0 on")))
}

impl From<&Quotas> for tenancy::Quotas {
    fn from(quotas: &Quotas) -> Self {
        let Quotas { requests_per_day, stored_bytes, quarantine_bytes } = *quotas;
        Self { requests_per_day, stored_bytes, quarantine_bytes }
    }
}

impl From<tenancy::Quotas> for Quotas {
    fn from(quotas: tenancy::Quotas) -> Self {
        let tenancy::Quotas { requests_per_day, stored_bytes, quarantine_bytes } = quotas;
        Self { requests_per_day, stored_bytes, quarantine_bytes }
    }
}

problem_from!(QuotaError: Forbidden, Store);
