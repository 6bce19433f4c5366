//! What the tenants use, for administrators of the platform.

use actix_web::web;
use mass_admin_service::{self as service, ListQuery};
use mass_domain::access::Permission;
use mass_domain::page::{self, Limit};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::quotas::Quotas;
use super::{Service, TAG};
use crate::http::operations::{Access, Operation, Parameter, Produces, model};
use crate::http::parameters::CURSOR;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::reply::{Call, Reply};

/// The operations.
pub const OPERATIONS: &[Operation] = &[LIST];

/// The most tenants of a page: each is counted by itself.
const MOST: u16 = 100;

const LIMIT: Parameter = Parameter::new(
    "limit",
    "How many tenants a page has.",
    || json!({"type": "integer", "minimum": 1, "maximum": MOST, "default": 50}),
);

const LIST: Operation = Operation {
    id: "listTenantUsage",
    summary: "Show what the tenants use.",
    description: "Numbers alone, by the tenants' slugs, page by page: documents, bytes, devices, users and the last receipt, with the \
        quotas beside them. `documents` and `devices` are as figures know of them, usually seconds ago.",
    tag: Some(TAG),
    query: &[LIMIT, CURSOR],
    produces: Produces::Json(model::<TenantUsagePage>),
    answers: &[(200, "A page of tenants with what they use.")],
    ..Operation::get("/v1/admin/usage", Access::Needs(Permission::TenantsManage), || web::to(list))
};

async fn list(call: Call, service: Service, mut query: Query) -> Result<Reply<TenantUsagePage>, Problem> {
    let limit = query.take_with("limit", limit).unwrap_or(Limit::DEFAULT);
    let cursor = query.take("cursor");
    query.finish()?;
    let page: TenantUsagePage = service.tenants_usage(&call.principal, &ListQuery { limit, cursor }).await?.into();
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

fn limit(text: &str) -> Result<Limit, String> {
    let limit = text.parse().ok().filter(|limit| *limit <= MOST).and_then(Limit::new);
    limit.ok_or_else(|| format!("A whole number from 1 to {MOST}."))
}

/// A tenant with what it uses.
#[derive(Serialize, JsonSchema)]
#[schemars(example = example())]
pub struct TenantUsage {
    /// The tenant's slug.
    pub tenant: String,
    /// Whether it is in use, and how far it is on its way to its erasure.
    #[schemars(extend("enum" = ["active", "suspended", "deletion_requested", "erasing", "erased"]))]
    pub status: &'static str,
    /// MASS requests that are neither deleted nor superseded.
    pub documents: u64,
    /// Devices that documents name.
    pub devices: u64,
    /// Users who are not deleted.
    pub users: u64,
    /// When a document was received last.
    #[schemars(extend("format" = "date-time"))]
    pub last_received_at: Option<String>,
    /// MASS requests of the present day in UTC, with calls that were refused documents.
    pub requests_today: u64,
    /// Bytes of stored documents and savings reports.
    pub stored_bytes: u64,
    /// Bytes of refused records in the quarantine.
    pub quarantine_bytes: u64,
    /// The tenant's quotas.
    pub quotas: Quotas,
}

fn example() -> Value {
    json!({
        "tenant": "site-7", "status": "active", "documents": 51_840, "devices": 12, "users": 3,
        "last_received_at": "2026-11-24T18:00:00.123Z", "requests_today": 4320, "stored_bytes": 18_662_400,
        "quarantine_bytes": 0,
        "quotas": {"requests_per_day": 10_000, "stored_bytes": null, "quarantine_bytes": null},
    })
}

impl From<service::TenantUsage> for TenantUsage {
    fn from(service::TenantUsage { tenant, counts }: service::TenantUsage) -> Self {
        Self {
            tenant: tenant.id.to_string(),
            status: tenant.lifecycle.status().as_str(),
            documents: counts.documents,
            devices: counts.devices,
            users: counts.users,
            last_received_at: counts.last_received_at.map(|at| at.to_string()),
            requests_today: counts.usage.requests,
            stored_bytes: counts.usage.stored_bytes,
            quarantine_bytes: counts.quarantine_bytes,
            quotas: counts.quotas.into(),
        }
    }
}

/// A page of tenants with what they use, by their slugs.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"items": [example()], "next_cursor": null}))]
pub struct TenantUsagePage {
    /// The tenants.
    pub items: Vec<TenantUsage>,
    /// To be sent as `cursor` for the page that follows; null on the last one.
    pub next_cursor: Option<String>,
}

impl From<page::Page<service::TenantUsage>> for TenantUsagePage {
    fn from(page: page::Page<service::TenantUsage>) -> Self {
        Self { items: page.items.into_iter().map(Into::into).collect(), next_cursor: page.next_cursor }
    }
}
