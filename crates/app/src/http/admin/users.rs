//! The users of the caller's tenant.

use actix_web::http::{StatusCode, header};
use actix_web::web;
use mass_admin_service::{ChangeUserError, CreateUserError};
use mass_domain::ids::UserId;
use paperclip::actix::{Apiv2Schema, api_v2_operation};
use serde::Deserialize;

use super::{Service, absent, bound_key, email_taken, list_query};
use crate::http::auth::busy;
use crate::http::body::Valid;
use crate::http::problem::{Problem, ProblemKind};
use crate::http::query::Query;
use crate::http::reply::{Call, Reply};
use crate::http::wire::admin::{ChangedUser, CreatedUser, NewUser, User, UserChange, UserPage};

/// Which user an operation is about.
#[derive(Deserialize, Apiv2Schema)]
pub struct Target {
    /// The user's id.
    id: String,
}

impl Target {
    fn id(&self) -> Result<UserId, Problem> {
        self.id.parse().map_err(|_| absent())
    }
}

/// Create a user.
///
/// In the caller's tenant. Without a password one is made up and shown once in the answer, to be handed on.
#[api_v2_operation(operation_id = "createUser", tags("admin"))]
pub async fn create(
    call: Call,
    service: Service,
    query: Query,
    body: Valid<NewUser>,
) -> Result<Reply<CreatedUser>, Problem> {
    query.finish()?;
    let created: CreatedUser = service.create_user(&call.principal, body.0.try_into()?, &call.origin).await?.into();
    let location = format!("/v1/admin/users/{}", created.user.id);
    Ok(Reply::with_status(StatusCode::CREATED, &created)?.header(header::LOCATION, &location))
}

/// List users.
///
/// Those of the caller's tenant, newest first, page by page.
#[api_v2_operation(operation_id = "listUsers", tags("admin"))]
pub async fn list(call: Call, service: Service, query: Query) -> Result<Reply<UserPage>, Problem> {
    let page: UserPage = service.users(&call.principal, &list_query(query)?).await?.into();
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

/// Fetch a user.
///
/// Its address, its roles and whether it is disabled.
#[api_v2_operation(operation_id = "getUser", tags("admin"))]
pub async fn get(
    call: Call,
    service: Service,
    target: web::Path<Target>,
    query: Query,
) -> Result<Reply<User>, Problem> {
    query.finish()?;
    Reply::ok(&service.user(&call.principal, target.id()?).await?.into())
}

/// Change a user.
///
/// Gives it other roles, disables or enables it; what it may do changes with its next request. The last administrator
/// of a tenant stays one. With a user who is disabled, the API keys are revoked that it created, those that these created,
/// and so on, unless `keep_keys` says otherwise.
#[api_v2_operation(operation_id = "changeUser", tags("admin"))]
pub async fn change(
    call: Call,
    service: Service,
    target: web::Path<Target>,
    query: Query,
    body: Valid<UserChange>,
) -> Result<Reply<ChangedUser>, Problem> {
    query.finish()?;
    Reply::ok(&service.change_user(&call.principal, target.id()?, body.0.into(), &call.origin).await?.into())
}

impl From<CreateUserError> for Problem {
    fn from(error: CreateUserError) -> Self {
        match error {
            CreateUserError::Forbidden(error) => error.into(),
            CreateUserError::BoundKey(_) => bound_key(),
            CreateUserError::CallerEnded => Self::ended_credential(),
            CreateUserError::EmailTaken => email_taken(),
            // The caller's own tenant is gone: nothing that a client could have brought about.
            error @ CreateUserError::NoSuchTenant => Self::internal(&error.into()),
            CreateUserError::Busy => busy(),
            CreateUserError::Store(error) => error.into(),
            CreateUserError::Unexpected(cause) => Self::internal(&cause),
        }
    }
}

impl From<ChangeUserError> for Problem {
    fn from(error: ChangeUserError) -> Self {
        match error {
            ChangeUserError::Forbidden(error) => error.into(),
            ChangeUserError::BoundKey(_) => bound_key(),
            ChangeUserError::CallerEnded => Self::ended_credential(),
            ChangeUserError::NotFound => absent(),
            ChangeUserError::LastAdmin => {
                Self::new(ProblemKind::LastAdministrator).detail("Make another user an administrator first.")
            }
            ChangeUserError::Store(error) => error.into(),
        }
    }
}
