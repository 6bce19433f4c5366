//! The API keys of the caller's tenant.

use actix_web::http::{StatusCode, header};
use actix_web::web;
use mass_admin_service::{CreateKeyError, RevokeKeyError};
use mass_domain::ids::ApiKeyId;
use paperclip::actix::{Apiv2Schema, api_v2_operation};
use serde::Deserialize;

use super::{Service, absent, list_query};
use crate::http::body::{Valid, violation};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::reply::{Call, NoContent, Reply};
use crate::http::wire::admin::{ApiKey, ApiKeyPage, CreatedApiKey, NewApiKey};

/// Which key an operation is about.
#[derive(Deserialize, Apiv2Schema)]
pub struct Target {
    /// The key's id.
    id: String,
}

impl Target {
    fn id(&self) -> Result<ApiKeyId, Problem> {
        self.id.parse().map_err(|_| absent())
    }
}

/// Create an API key.
///
/// For a gateway of the caller's tenant. The token is shown once, in this answer; MASS keeps a hash of it.
#[api_v2_operation(operation_id = "createApiKey", tags("admin"))]
pub async fn create(
    call: Call,
    service: Service,
    query: Query,
    body: Valid<NewApiKey>,
) -> Result<Reply<CreatedApiKey>, Problem> {
    query.finish()?;
    let created: CreatedApiKey = service.create_key(&call.principal, body.0.into(), &call.origin).await?.into();
    let location = format!("/v1/admin/api-keys/{}", created.key.id);
    Ok(Reply::with_status(StatusCode::CREATED, &created)?.header(header::LOCATION, &location))
}

/// List API keys.
///
/// Those of the caller's tenant, newest first, page by page; the revoked ones too.
#[api_v2_operation(operation_id = "listApiKeys", tags("admin"))]
pub async fn list(call: Call, service: Service, mut query: Query) -> Result<Reply<ApiKeyPage>, Problem> {
    let prefix = query.take("prefix");
    let page: ApiKeyPage = service.keys(&call.principal, prefix.as_ref(), &list_query(query)?).await?.into();
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

/// Fetch an API key.
///
/// All but its secret, which is nowhere.
#[api_v2_operation(operation_id = "getApiKey", tags("admin"))]
pub async fn get(
    call: Call,
    service: Service,
    target: web::Path<Target>,
    query: Query,
) -> Result<Reply<ApiKey>, Problem> {
    query.finish()?;
    Reply::ok(&service.key(&call.principal, target.id()?).await?.into())
}

/// Revoke an API key.
///
/// For good: its next request is refused, and so are those of the keys that it created, that these created, and so on.
/// Revoking it again changes nothing.
#[api_v2_operation(operation_id = "revokeApiKey", tags("admin"))]
pub async fn revoke(
    call: Call,
    service: Service,
    target: web::Path<Target>,
    query: Query,
) -> Result<NoContent, Problem> {
    query.finish()?;
    service.revoke_key(&call.principal, target.id()?, &call.origin).await?;
    Ok(NoContent)
}

impl From<CreateKeyError> for Problem {
    fn from(error: CreateKeyError) -> Self {
        match error {
            CreateKeyError::Forbidden(error) => error.into(),
            CreateKeyError::CallerEnded => Self::ended_credential(),
            CreateKeyError::ExpiresInThePast => {
                violation("/expires_at".to_owned(), "range", "The key would have expired already.")
            }
            CreateKeyError::AddressBeyondCreator(allowed) => {
                let detail = format!("The creating key may be used from {allowed} only; so may the keys it creates.");
                violation("/addresses".to_owned(), "range", &detail)
            }
            CreateKeyError::ExpiresAfterCreator(end) => {
                let detail = format!("The creating key expires at {end}; the keys it creates expire no later.");
                violation("/expires_at".to_owned(), "range", &detail)
            }
            CreateKeyError::Store(error) => error.into(),
            CreateKeyError::Unexpected(cause) => Self::internal(&cause),
        }
    }
}

impl From<RevokeKeyError> for Problem {
    fn from(error: RevokeKeyError) -> Self {
        match error {
            RevokeKeyError::Forbidden(error) => error.into(),
            RevokeKeyError::NotFound => absent(),
            RevokeKeyError::Store(error) => error.into(),
        }
    }
}
