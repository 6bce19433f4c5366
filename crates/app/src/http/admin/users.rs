//! The users of the caller's tenant.

use actix_web::http::{StatusCode, header};
use actix_web::web;
use garde::Validate;
use mass_admin_service::{self as service, ChangeUserError, CreateUserError, ResetUserPasswordError};
use mass_auth::AuthService;
use mass_domain::access::{Permission, Role};
use mass_domain::ids::UserId;
use mass_domain::page;
use mass_domain::users::{self, Email};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Service, TAG, bound_key, email_taken, list_query, names};
use crate::http::body::Valid;
use crate::http::operations::{Access, Factor, Operation, Parameter, Produces, model};
use crate::http::parameters::PAGE;
use crate::http::passwords::{busy, new_password, optional_password, optional_secret};
use crate::http::path::{InPath, PathId, uuid};
use crate::http::problem::{Problem, ProblemKind, problem_from};
use crate::http::query::Query;
use crate::http::reply::{Call, NoContent, Reply};
use crate::http::text::{Text, values};

const USERS: Access = Access::Needs(Permission::UsersManage);

impl InPath for UserId {
    const PARAMETER: Parameter = uuid("The user's id.");
}

/// The operations.
pub const OPERATIONS: &[Operation] = &[CREATE, LIST, GET, CHANGE, RESET_PASSWORD, RESET_FACTOR, DELETE];

const CREATE: Operation = Operation {
    id: "createUser",
    summary: "Create a user.",
    description: "In the caller's tenant. Without a password one is made up and shown once in the answer, to be \
        handed on.",
    tag: Some(TAG),
    body: &[("application/json", model::<NewUser>)],
    produces: Produces::Json(model::<CreatedUser>),
    answers: &[(201, "The user, with the password if it was made up.")],
    factor: Factor::Fresh,
    problems: &[ProblemKind::BoundKey, ProblemKind::EmailTaken],
    ..Operation::post("/v1/admin/users", USERS, || web::to(create))
};

async fn create(
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

const LIST: Operation = Operation {
    id: "listUsers",
    summary: "List users.",
    description: "Those of the caller's tenant, newest first, page by page.",
    tag: Some(TAG),
    query: PAGE,
    produces: Produces::Json(model::<UserPage>),
    answers: &[(200, "A page of users.")],
    ..Operation::get("/v1/admin/users", USERS, || web::to(list))
};

async fn list(call: Call, service: Service, query: Query) -> Result<Reply<UserPage>, Problem> {
    let page: UserPage = service.users(&call.principal, &list_query(query)?).await?.into();
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

const GET: Operation = Operation {
    id: "getUser",
    summary: "Fetch a user.",
    description: "Its address, its roles and whether it is disabled.",
    tag: Some(TAG),
    in_path: &[UserId::PARAMETER],
    produces: Produces::Json(model::<User>),
    answers: &[(200, "The user.")],
    problems: &[ProblemKind::NotFound],
    ..Operation::get("/v1/admin/users/{id}", USERS, || web::to(get))
};

async fn get(call: Call, service: Service, id: PathId<UserId>, query: Query) -> Result<Reply<User>, Problem> {
    query.finish()?;
    Reply::ok(&service.user(&call.principal, id.read()?).await?.into())
}

const CHANGE: Operation = Operation {
    id: "changeUser",
    summary: "Change a user.",
    description: "Gives it another address or other roles, disables or enables it; what it may do changes with its next \
        request. The last administrator of a tenant stays one. With a user who is disabled, the API keys are revoked that it \
        created, those that these created, and so on, unless `keep_keys` says otherwise.",
    tag: Some(TAG),
    in_path: &[UserId::PARAMETER],
    body: &[("application/json", model::<UserChange>)],
    produces: Produces::Json(model::<ChangedUser>),
    answers: &[(200, "The user as it is now, and how many keys were revoked with the change.")],
    factor: Factor::Fresh,
    problems: &[ProblemKind::BoundKey, ProblemKind::NotFound, ProblemKind::EmailTaken, ProblemKind::LastAdministrator],
    ..Operation::patch("/v1/admin/users/{id}", USERS, || web::to(change))
};

async fn change(
    call: Call,
    service: Service,
    id: PathId<UserId>,
    query: Query,
    body: Valid<UserChange>,
) -> Result<Reply<ChangedUser>, Problem> {
    query.finish()?;
    Reply::ok(&service.change_user(&call.principal, id.read()?, body.0.into(), &call.origin).await?.into())
}

const RESET_PASSWORD: Operation = Operation {
    id: "resetUserPassword",
    summary: "Reset a user's password.",
    description: "Gives a user another password and ends its sessions; its API keys go on. Without a password one is made up \
        and shown once in the answer, to be handed on. Your own is changed at `/v1/auth/password`, which asks for the present \
        one.",
    tag: Some(TAG),
    in_path: &[UserId::PARAMETER],
    body: &[("application/json", model::<PasswordReset>)],
    produces: Produces::Json(model::<ResetPassword>),
    answers: &[(200, "The password is reset; it is in the answer if it was made up.")],
    factor: Factor::Fresh,
    problems: &[ProblemKind::BoundKey, ProblemKind::NotFound],
    ..Operation::post("/v1/admin/users/{id}/password", USERS, || web::to(reset_password))
};

async fn reset_password(
    call: Call,
    service: Service,
    id: PathId<UserId>,
    query: Query,
    body: Valid<PasswordReset>,
) -> Result<Reply<ResetPassword>, Problem> {
    query.finish()?;
    let id = id.read()?;
    let user = service.user(&call.principal, id).await?;
    let password = body.0.password.map(|text| new_password("/password", &text, &user.email)).transpose()?;
    let generated = service.reset_password(&call.principal, id, password, &call.origin).await?;
    Reply::ok(&ResetPassword { password: generated.map(|password| password.expose_secret().to_owned()) })
}

const RESET_FACTOR: Operation = Operation {
    id: "resetSecondFactor",
    summary: "Reset a user's second factor.",
    description: "Removes it with its recovery codes, for a user who has lost both, and ends the user's sessions. The user logs in \
        with the password alone then, and enrols another one. Nothing happens to a user without one.",
    tag: Some(TAG),
    in_path: &[UserId::PARAMETER],
    answers: &[(204, "The user has no second factor.")],
    problems: &[ProblemKind::BoundKey, ProblemKind::NotFound],
    factor: Factor::Fresh,
    ..Operation::delete("/v1/admin/users/{id}/second-factor", USERS, || web::to(reset_factor))
};

async fn reset_factor(
    call: Call,
    service: Service,
    auth: web::Data<AuthService>,
    id: PathId<UserId>,
    query: Query,
) -> Result<NoContent, Problem> {
    query.finish()?;
    let user = service.holder_of_factor(&call.principal, id.read()?).await?;
    auth.reset_second_factor(&call.principal, &user, &call.origin).await?;
    Ok(NoContent)
}

const DELETE: Operation = Operation {
    id: "deleteUser",
    summary: "Delete a user.",
    description: "Erases its address, which is free again, and its password; its sessions end, and the API keys are revoked that \
        it created, those that these created, and so on. Its id and roles stay, since the audit trail names them: it is listed \
        with `deleted_at` and an address that nobody has. This cannot be undone. The last administrator of a tenant stays. \
        Deleting it again changes nothing.",
    tag: Some(TAG),
    in_path: &[UserId::PARAMETER],
    answers: &[(204, "The user is deleted.")],
    factor: Factor::Fresh,
    problems: &[ProblemKind::NotFound, ProblemKind::LastAdministrator],
    ..Operation::delete("/v1/admin/users/{id}", USERS, || web::to(delete))
};

async fn delete(call: Call, service: Service, id: PathId<UserId>, query: Query) -> Result<NoContent, Problem> {
    query.finish()?;
    service.delete_user(&call.principal, id.read()?, &call.origin).await?;
    Ok(NoContent)
}

/// A user to be created.
#[derive(Deserialize, JsonSchema, Validate)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"email": "ana@example.test", "roles": ["operator"]}))]
pub struct NewUser {
    /// The address to log in with.
    #[schemars(with = "String", length(max = 254))]
    pub email: Text<Email>,
    /// Roles. Only a caller that manages tenants gives `platform_admin`.
    #[garde(length(min = 1))]
    #[schemars(schema_with = "roles")]
    pub roles: Vec<Text<Role>>,
    /// The password to log in with; one is made up, and shown once, if none is given.
    #[serde(default, deserialize_with = "optional_secret")]
    #[schemars(schema_with = "optional_password")]
    pub password: Option<SecretString>,
}

impl TryFrom<NewUser> for service::NewUser {
    type Error = Problem;

    fn try_from(NewUser { email, roles, password }: NewUser) -> Result<Self, Problem> {
        let password = password.map(|text| new_password("/password", &text, &email.0)).transpose()?;
        Ok(Self { email: email.0, roles: values(roles), password })
    }
}

/// A user.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "id": "0199d3a0-0000-7000-8000-000000000001", "tenant_id": "default", "email": "ana@example.test",
    "roles": ["operator"], "disabled_at": null, "deleted_at": null, "second_factor_at": null, "created_at": "2026-11-24T18:00:00.123456Z",
}))]
pub struct User {
    /// Its id, a UUID of version 7: newer users have greater ids.
    #[schemars(extend("format" = "uuid"))]
    pub id: String,
    /// The tenant that it belongs to.
    pub tenant_id: String,
    /// The address that it logs in with.
    pub email: String,
    /// Roles.
    pub roles: Vec<&'static str>,
    /// Since when it may do nothing any more.
    #[schemars(extend("format" = "date-time"))]
    pub disabled_at: Option<String>,
    /// When it was deleted, with its address and its password.
    #[schemars(extend("format" = "date-time"))]
    pub deleted_at: Option<String>,
    /// Since when it has a second factor.
    #[schemars(extend("format" = "date-time"))]
    pub second_factor_at: Option<String>,
    /// When it was created.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
}

impl From<users::User> for User {
    fn from(user: users::User) -> Self {
        Self {
            id: user.id.to_string(),
            tenant_id: user.tenant_id.to_string(),
            email: user.email.to_string(),
            roles: user.roles.iter().map(|role| role.as_str()).collect(),
            disabled_at: user.disabled_at.map(|at| at.to_string()),
            deleted_at: user.deleted_at.map(|at| at.to_string()),
            second_factor_at: user.second_factor_at.map(|at| at.to_string()),
            created_at: user.created_at.to_string(),
        }
    }
}

/// A user, just created.
#[derive(Serialize, JsonSchema)]
#[schemars(extend("examples" = [{
    "id": "0199d3a0-0000-7000-8000-000000000001", "tenant_id": "default", "email": "ana@example.test",
    "roles": ["operator"], "disabled_at": null, "deleted_at": null, "second_factor_at": null, "created_at": "2026-11-24T18:00:00.123456Z",
    "password": "7k2p-9qzr-4wxy-0123-abcd-efgh-jkmn",
}]))]
pub struct CreatedUser {
    /// The user.
    #[serde(flatten)]
    pub user: User,
    /// Its password if that was made up: it is shown this once and can only be replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

impl From<service::CreatedUser> for CreatedUser {
    fn from(created: service::CreatedUser) -> Self {
        Self {
            user: created.user.into(),
            password: created.generated_password.map(|password| password.expose_secret().to_owned()),
        }
    }
}

/// A page of users, newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "items": [{
        "id": "0199d3a0-0000-7000-8000-000000000001", "tenant_id": "default", "email": "ana@example.test",
        "roles": ["operator"], "disabled_at": null, "deleted_at": null, "second_factor_at": null, "created_at": "2026-11-24T18:00:00.123456Z",
    }],
    "next_cursor": null,
}))]
pub struct UserPage {
    /// The users.
    pub items: Vec<User>,
    /// To be sent as `cursor` for the page that follows; null on the last one.
    pub next_cursor: Option<String>,
}

impl From<page::Page<users::User>> for UserPage {
    fn from(page: page::Page<users::User>) -> Self {
        Self { items: page.items.into_iter().map(Into::into).collect(), next_cursor: page.next_cursor }
    }
}

/// A change of a user; what is absent stays as it is.
#[derive(Deserialize, JsonSchema, Validate)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"roles": ["viewer", "auditor"], "disabled": false}))]
pub struct UserChange {
    /// The address that it logs in with from now on.
    #[serde(default)]
    #[schemars(with = "Option<String>", length(max = 254))]
    pub email: Option<Text<Email>>,
    /// All the roles that it has from now on.
    #[serde(default)]
    #[garde(inner(length(min = 1)))]
    #[schemars(schema_with = "optional_roles")]
    pub roles: Option<Vec<Text<Role>>>,
    /// True to disable the user, false to enable it.
    #[serde(default)]
    pub disabled: Option<bool>,
    /// True to keep the API keys that a user created who is disabled by this. Otherwise they are revoked, and so are
    /// those that they created.
    #[serde(default)]
    pub keep_keys: bool,
}

impl From<UserChange> for service::UserPatch {
    fn from(UserChange { email, roles, disabled, keep_keys }: UserChange) -> Self {
        Self { email: email.map(|email| email.0), roles: roles.map(values), disabled, keep_keys }
    }
}

/// A password for a user.
#[derive(Deserialize, JsonSchema, Validate)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({}))]
pub struct PasswordReset {
    /// The password to log in with; one is made up, and shown once, if none is given.
    #[serde(default, deserialize_with = "optional_secret")]
    #[schemars(schema_with = "optional_password")]
    pub password: Option<SecretString>,
}

/// A password that was reset.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"password": "7k2p-9qzr-4wxy-0123-abcd-efgh-jkmn"}))]
pub struct ResetPassword {
    /// The password if it was made up: it is shown this once and can only be replaced. Null if it was given.
    pub password: Option<String>,
}

/// A user after a change.
#[derive(Serialize, JsonSchema)]
#[schemars(extend("examples" = [{
    "id": "0199d3a0-0000-7000-8000-000000000001", "tenant_id": "default", "email": "ana@example.test",
    "roles": ["operator"], "disabled_at": "2026-11-25T18:00:00.123456Z", "deleted_at": null,
    "created_at": "2026-11-24T18:00:00.123456Z",
    "revoked_keys": 2,
}]))]
pub struct ChangedUser {
    /// The user as it is now.
    #[serde(flatten)]
    pub user: User,
    /// The number of API keys that were revoked with the change.
    pub revoked_keys: usize,
}

impl From<service::ChangedUser> for ChangedUser {
    fn from(changed: service::ChangedUser) -> Self {
        Self { user: changed.user.into(), revoked_keys: changed.revoked_keys }
    }
}

fn roles(_: &mut SchemaGenerator) -> Schema {
    names(&Role::ALL.iter().map(|role| role.as_str()).collect::<Vec<_>>())
}

fn optional_roles(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = roles(generator);
    schema.insert("type".to_owned(), json!(["array", "null"]));
    schema
}

problem_from! {
    CreateUserError: Forbidden, Suspended, Store, Unexpected;
        CreateUserError::BoundKey(_) => bound_key(),
        CreateUserError::CallerEnded => Self::ended_credential(),
        CreateUserError::EmailTaken => email_taken(),
        // The caller's own tenant is gone: nothing that a client could have brought about.
        error @ CreateUserError::NoSuchTenant => Self::internal(&error.into()),
        CreateUserError::Busy => busy(),
}

problem_from! {
    ChangeUserError: Forbidden, Store;
        ChangeUserError::BoundKey(_) => bound_key(),
        ChangeUserError::CallerEnded => Self::ended_credential(),
        ChangeUserError::NotFound => UserId::absent(),
        ChangeUserError::EmailTaken => email_taken(),
        ChangeUserError::LastAdmin => {
            Self::new(ProblemKind::LastAdministrator).detail("Make another user an administrator first.")
        }
}

problem_from! {
    ResetUserPasswordError: Forbidden, Store, Unexpected;
        ResetUserPasswordError::BoundKey(_) => bound_key(),
        ResetUserPasswordError::CallerEnded => Self::ended_credential(),
        ResetUserPasswordError::Own => {
            Self::new(ProblemKind::Forbidden).detail("Change your own password at /v1/auth/password.")
        }
        ResetUserPasswordError::NotFound => UserId::absent(),
        ResetUserPasswordError::Busy => busy(),
}
