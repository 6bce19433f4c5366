//! Tenants, for who administers the platform.

use actix_web::http::{StatusCode, header};
use actix_web::web;
use mass_admin_service::CreateTenantError;
use mass_domain::tenancy::TenantId;
use paperclip::actix::{Apiv2Schema, api_v2_operation};
use serde::Deserialize;

use super::{Service, absent, bound_key, email_taken, list_query};
use crate::http::auth::busy;
use crate::http::body::Valid;
use crate::http::problem::{Problem, ProblemKind};
use crate::http::query::Query;
use crate::http::reply::{Call, Reply};
use crate::http::wire::admin::{CreatedTenant, NewTenant, Tenant, TenantPage};

/// Which tenant an operation is about.
#[derive(Deserialize, Apiv2Schema)]
pub struct Target {
    /// The tenant's slug.
    tenant: String,
}

impl Target {
    fn id(&self) -> Result<TenantId, Problem> {
        self.tenant.parse().map_err(|_| absent())
    }
}

/// Create a tenant.
///
/// Creates the tenant together with its first administrator, since otherwise nobody could log in to it.
#[api_v2_operation(operation_id = "createTenant", tags("admin"))]
pub async fn create(
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

/// List tenants.
///
/// By their slugs, page by page.
#[api_v2_operation(operation_id = "listTenants", tags("admin"))]
pub async fn list(call: Call, service: Service, query: Query) -> Result<Reply<TenantPage>, Problem> {
    let page: TenantPage = service.tenants(&call.principal, &list_query(query)?).await?.into();
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

/// Fetch a tenant.
///
/// The tenant, without anything that belongs to it.
#[api_v2_operation(operation_id = "getTenant", tags("admin"))]
pub async fn get(
    call: Call,
    service: Service,
    target: web::Path<Target>,
    query: Query,
) -> Result<Reply<Tenant>, Problem> {
    query.finish()?;
    Reply::ok(&service.tenant(&call.principal, &target.id()?).await?.into())
}

impl From<CreateTenantError> for Problem {
    fn from(error: CreateTenantError) -> Self {
        match error {
            CreateTenantError::Forbidden(error) => error.into(),
            CreateTenantError::BoundKey(_) => bound_key(),
            CreateTenantError::Taken => Self::new(ProblemKind::TenantTaken).detail("Choose another slug."),
            CreateTenantError::EmailTaken => email_taken(),
            CreateTenantError::Busy => busy(),
            CreateTenantError::Store(error) => error.into(),
            CreateTenantError::Unexpected(cause) => Self::internal(&cause),
        }
    }
}
