//! Tenants, for administrators of the platform.

use actix_web::http::{StatusCode, header};
use actix_web::{Route, web};
use garde::Validate;
use mass_admin_service::{self as service, CreateTenantError, LifecycleError, LifecycleStep};
use mass_domain::access::Permission;
use mass_domain::page;
use mass_domain::tenancy::{self, TenantId};
use mass_domain::time::Timestamp;
use mass_domain::users::Email;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::users::CreatedUser;
use super::{Service, TAG, bound_key, email_taken, list_query};
use crate::http::body::Valid;
use crate::http::operations::{Access, AnswerHeader, Factor, Operation, Parameter, Produces, model};
use crate::http::parameters::PAGE;
use crate::http::passwords::{busy, new_password, optional_password, optional_secret};
use crate::http::path::{InPath, PathId, no_such_object};
use crate::http::problem::{Problem, ProblemKind, problem_from};
use crate::http::query::Query;
use crate::http::reply::{Call, Reply};
use crate::http::text::Text;

const TENANTS: Access = Access::Needs(Permission::TenantsManage);

impl InPath for TenantId {
    const PARAMETER: Parameter = Parameter::new(
        "tenant",
        "The tenant's slug.",
        || json!({"type": "string", "maxLength": 63, "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"}),
    )
    .required();
}

/// The operations.
pub const OPERATIONS: &[Operation] = &[CREATE, LIST, GET, SUSPEND, RESUME, REQUEST_DELETION, CANCEL_DELETION];

const CREATE: Operation = Operation {
    id: "createTenant",
    summary: "Create a tenant.",
    description: "Creates the tenant together with its first administrator, since otherwise nobody could log in to it.",
    tag: Some(TAG),
    body: &[("application/json", model::<NewTenant>)],
    produces: Produces::Json(model::<CreatedTenant>),
    answers: &[(201, "The tenant and its first administrator, with the password if it was made up.")],
    answer_headers: &[AnswerHeader {
        name: "Location",
        description: "Where it is.",
        example: "/v1/admin/tenants/site-7",
    }],
    problems: &[ProblemKind::BoundKey, ProblemKind::TenantTaken, ProblemKind::EmailTaken],
    factor: Factor::Fresh,
    ..Operation::post("/v1/admin/tenants", TENANTS, || web::to(create))
};

async fn create(
    call: Call,
    service: Service,
    query: Query,
    body: Valid<NewTenant>,
) -> Result<Reply<CreatedTenant>, Problem> {
    query.finish()?;
    let created: CreatedTenant = service.create_tenant(&call.principal, body.0.try_into()?, &call.origin).await?.into();
    let location = format!("/v1/admin/tenants/{}", created.tenant.id);
    Ok(Reply::with_status(StatusCode::CREATED, &created)?.header(header::LOCATION, &location))
}

const LIST: Operation = Operation {
    id: "listTenants",
    summary: "List tenants.",
    description: "By their slugs, page by page.",
    tag: Some(TAG),
    query: PAGE,
    produces: Produces::Json(model::<TenantPage>),
    answers: &[(200, "A page of tenants.")],
    ..Operation::get("/v1/admin/tenants", TENANTS, || web::to(list))
};

async fn list(call: Call, service: Service, query: Query) -> Result<Reply<TenantPage>, Problem> {
    let page: TenantPage = service.tenants(&call.principal, &list_query(query)?).await?.into();
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

const GET: Operation = Operation {
    id: "getTenant",
    summary: "Fetch a tenant.",
    description: "The tenant, without anything that belongs to it.",
    tag: Some(TAG),
    in_path: &[TenantId::PARAMETER],
    produces: Produces::Json(model::<Tenant>),
    answers: &[(200, "The tenant.")],
    problems: &[ProblemKind::NotFound],
    ..Operation::get("/v1/admin/tenants/{tenant}", TENANTS, || web::to(get))
};

async fn get(call: Call, service: Service, id: PathId<TenantId>, query: Query) -> Result<Reply<Tenant>, Problem> {
    query.finish()?;
    Reply::ok(&service.tenant(&call.principal, &id.read()?).await?.into())
}

const STEP_PROBLEMS: &[ProblemKind] =
    &[ProblemKind::NotFound, ProblemKind::TenantNotAllowed, ProblemKind::LastAdministrator, ProblemKind::LegalHold];

const SUSPEND: Operation = Operation {
    id: "suspendTenant",
    summary: "Suspend a tenant.",
    description: "From the next request on, on every server, its users and API keys are answered 403 `tenant-suspended`, nobody \
        logs in, and nothing is stored. Its data stay, and workers go on with what was accepted. Not for the caller's own tenant.",
    tag: Some(TAG),
    in_path: &[TenantId::PARAMETER],
    body: &[("application/json", model::<TenantStep>)],
    produces: Produces::Json(model::<Tenant>),
    answers: &[(200, "The tenant, which is suspended, or was already.")],
    problems: STEP_PROBLEMS,
    ..Operation::post("/v1/admin/tenants/{tenant}/suspend", TENANTS, || stepping(LifecycleStep::Suspend))
};

const RESUME: Operation = Operation {
    id: "resumeTenant",
    summary: "Resume a suspended tenant.",
    description: "Its API keys, and sessions that have not expired, are good again. A deletion has to be cancelled before.",
    tag: Some(TAG),
    in_path: &[TenantId::PARAMETER],
    body: &[("application/json", model::<TenantStep>)],
    produces: Produces::Json(model::<Tenant>),
    answers: &[(200, "The tenant, which is active, or was already.")],
    problems: STEP_PROBLEMS,
    ..Operation::post("/v1/admin/tenants/{tenant}/resume", TENANTS, || stepping(LifecycleStep::Resume))
};

const REQUEST_DELETION: Operation = Operation {
    id: "requestTenantDeletion",
    summary: "Request the deletion of a suspended tenant.",
    description: "Once the grace period is over (`MASS_TENANT_DELETION_DAYS`), a worker erases everything of the tenant but the \
        hashes of its audit log; its slug is never given to another tenant. Export its documents and its trail before \
        (`mass export`, `mass audit export`). While a legal hold covers its documents, it is not erased.",
    tag: Some(TAG),
    in_path: &[TenantId::PARAMETER],
    body: &[("application/json", model::<TenantStep>)],
    produces: Produces::Json(model::<Tenant>),
    answers: &[(202, "The tenant, with the end of its grace period (`deletion_due_at`).")],
    problems: STEP_PROBLEMS,
    ..Operation::post("/v1/admin/tenants/{tenant}/deletion", TENANTS, || stepping(LifecycleStep::RequestDeletion))
};

const CANCEL_DELETION: Operation = Operation {
    id: "cancelTenantDeletion",
    summary: "Cancel the deletion of a tenant.",
    description: "The tenant stays suspended. Once the erasure has begun, nothing stops it (409).",
    tag: Some(TAG),
    in_path: &[TenantId::PARAMETER],
    body: &[("application/json", model::<TenantStep>)],
    produces: Produces::Json(model::<Tenant>),
    answers: &[(200, "The tenant, whose deletion is not requested, or was not.")],
    problems: STEP_PROBLEMS,
    ..Operation::post("/v1/admin/tenants/{tenant}/deletion/cancel", TENANTS, || stepping(LifecycleStep::CancelDeletion))
};

/// Builds the route of a step.
fn stepping(step: LifecycleStep) -> Route {
    web::to(
        move |call: Call, service: Service, id: PathId<TenantId>, query: Query, body: Valid<TenantStep>| async move {
            query.finish()?;
            let reason = body.0.reason;
            let tenant =
                service.change_lifecycle(&call.principal, &id.read()?, step, reason, &call.origin).await?.into();
            let status = if step == LifecycleStep::RequestDeletion { StatusCode::ACCEPTED } else { StatusCode::OK };
            Reply::<Tenant>::with_status(status, &tenant)
        },
    )
}

/// A step of a tenant on its way to its erasure, or back.
#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"reason": "The contract ended on 30 November."}))]
pub struct TenantStep {
    /// Why; kept in the audit trails of the tenant and of the system.
    #[garde(length(chars, min = 1, max = 500))]
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

/// A tenant to be created.
#[derive(Deserialize, JsonSchema, Validate)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"id": "site-7", "admin": {"email": "ana@site-7.example"}}))]
pub struct NewTenant {
    /// Its slug, for ever: a DNS label in lower case.
    #[schemars(with = "String", length(max = 63), regex(pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub id: Text<TenantId>,
    /// Its first administrator.
    pub admin: FirstAdmin,
}

/// The first administrator of a tenant.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "NewTenantAdmin")]
#[serde(deny_unknown_fields)]
pub struct FirstAdmin {
    /// The address to log in with.
    #[schemars(with = "String", length(max = 254))]
    pub email: Text<Email>,
    /// The password to log in with; one is made up, and shown once, if none is given.
    #[serde(default, deserialize_with = "optional_secret")]
    #[schemars(schema_with = "optional_password")]
    pub password: Option<SecretString>,
}

impl TryFrom<NewTenant> for service::NewTenant {
    type Error = Problem;

    fn try_from(NewTenant { id, admin }: NewTenant) -> Result<Self, Problem> {
        let admin_password = admin.password.map(|text| new_password("/admin/password", &text, &admin.email.0));
        Ok(Self { id: id.0, admin_email: admin.email.0, admin_password: admin_password.transpose()? })
    }
}

/// A tenant.
#[derive(Serialize, JsonSchema)]
#[schemars(example = example())]
pub struct Tenant {
    /// Its slug.
    pub id: String,
    /// When it was created.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// Whether it is in use, and how far it is on its way to its erasure.
    #[schemars(extend("enum" = ["active", "suspended", "deletion_requested", "erasing", "erased"]))]
    pub status: &'static str,
    /// Since when it is suspended.
    #[schemars(extend("format" = "date-time"))]
    pub suspended_at: Option<String>,
    /// When its grace period ends, after which it is erased.
    #[schemars(extend("format" = "date-time"))]
    pub deletion_due_at: Option<String>,
    /// When it was erased.
    #[schemars(extend("format" = "date-time"))]
    pub erased_at: Option<String>,
}

fn example() -> Value {
    json!({
        "id": "site-7", "created_at": "2026-11-24T18:00:00.123456Z", "status": "active", "suspended_at": null,
        "deletion_due_at": null, "erased_at": null,
    })
}

impl From<tenancy::Tenant> for Tenant {
    fn from(tenant: tenancy::Tenant) -> Self {
        let tenancy::Lifecycle { suspended_at, deletion_due_at, erasing_at: _, erased_at } = tenant.lifecycle;
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Self {
            id: tenant.id.to_string(),
            created_at: tenant.created_at.to_string(),
            status: tenant.lifecycle.status().as_str(),
            suspended_at: text(suspended_at),
            deletion_due_at: text(deletion_due_at),
            erased_at: text(erased_at),
        }
    }
}

/// A tenant, just created.
#[derive(Serialize, JsonSchema)]
#[schemars(extend("examples" = [{
    "id": "site-7", "created_at": "2026-11-24T18:00:00.123456Z", "status": "active", "suspended_at": null,
    "deletion_due_at": null, "erased_at": null,
    "admin": {
        "id": "0199d3a0-0000-7000-8000-000000000001", "tenant_id": "site-7", "email": "ana@site-7.example",
        "roles": ["operator", "admin"], "disabled_at": null, "created_at": "2026-11-24T18:00:00.123456Z",
        "password": "7k2p-9qzr-4wxy-0123-abcd-efgh-jkmn",
    },
}]))]
pub struct CreatedTenant {
    /// The tenant.
    #[serde(flatten)]
    pub tenant: Tenant,
    /// Its first administrator.
    pub admin: CreatedUser,
}

impl From<service::CreatedTenant> for CreatedTenant {
    fn from(created: service::CreatedTenant) -> Self {
        Self { tenant: created.tenant.into(), admin: created.admin.into() }
    }
}

/// A page of tenants, by their slugs.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"items": [example()], "next_cursor": null}))]
pub struct TenantPage {
    /// The tenants.
    pub items: Vec<Tenant>,
    /// To be sent as `cursor` for the page that follows; null on the last one.
    pub next_cursor: Option<String>,
}

impl From<page::Page<tenancy::Tenant>> for TenantPage {
    fn from(page: page::Page<tenancy::Tenant>) -> Self {
        Self { items: page.items.into_iter().map(Into::into).collect(), next_cursor: page.next_cursor }
    }
}

problem_from! {
    CreateTenantError: Forbidden, Store, Unexpected;
        CreateTenantError::BoundKey(_) => bound_key(),
        CreateTenantError::Taken => Self::new(ProblemKind::TenantTaken).detail("Choose another slug."),
        CreateTenantError::EmailTaken => email_taken(),
        CreateTenantError::Busy => busy(),
}

problem_from! {
    LifecycleError: Forbidden, Held, Store;
        LifecycleError::NotFound => no_such_object(),
        LifecycleError::Own => Self::new(ProblemKind::TenantNotAllowed)
            .detail("The tenant is the caller's own: nobody could take that back."),
        LifecycleError::NoPlatformAdmin => Self::new(ProblemKind::LastAdministrator)
            .detail("The tenant of the calling key has no enabled administrator of the platform, who could take that back."),
        LifecycleError::NotAllowed(status) => Self::new(ProblemKind::TenantNotAllowed)
            .detail(format!("The tenant's status is {}.", status.as_str()))
            .member("tenant_status", status.as_str()),
}
