//! Logging in and being recognised.

use actix_web::web;
use mass_auth::{AuthService, LoginError};
use paperclip::actix::api_v2_operation;
use secrecy::ExposeSecret;
use std::time::Duration;

use super::body::Valid;
use super::problem::{Problem, ProblemKind};
use super::query::Query;
use super::reply::{Call, Reply};
use super::wire::{Caller, Login, Token, email};

/// Log in.
///
/// Exchanges an e-mail address and a password for a bearer token. An unknown address and a wrong password are answered
/// alike.
#[api_v2_operation(operation_id = "login", tags("auth"))]
pub async fn login(auth: web::Data<AuthService>, body: Valid<Login>, query: Query) -> Result<Reply<Token>, Problem> {
    query.finish()?;
    let logged_in = auth.login(&body.0.email, &body.0.password).await?;
    Reply::ok(&Token {
        access_token: logged_in.access_token.expose_secret().to_owned(),
        token_type: "Bearer",
        expires_in: logged_in.expires_in_seconds,
    })
}

/// Who am I?
///
/// The caller that the token stands for, its roles and all that it may do.
#[api_v2_operation(operation_id = "getCaller", tags("auth"))]
pub async fn me(call: Call, query: Query) -> Result<Reply<Caller>, Problem> {
    query.finish()?;
    let caller = call.principal;
    Reply::ok(&Caller {
        id: caller.actor().id().map(|id| id.to_string()),
        kind: caller.actor().kind(),
        email: email(caller.email()),
        tenant_id: caller.tenant().to_string(),
        roles: caller.roles().iter().map(|role| role.as_str()).collect(),
        permissions: caller.permissions().iter().map(|permission| permission.as_str()).collect(),
    })
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::InvalidCredentials => Self::new(ProblemKind::InvalidCredentials).header(
                actix_web::http::header::WWW_AUTHENTICATE,
                actix_web::http::header::HeaderValue::from_static(r#"Bearer realm="mass""#),
            ),
            LoginError::Busy => Self::unavailable("Too many people are logging in at once.", Duration::from_secs(2)),
            LoginError::Store(error) => error.into(),
            LoginError::Unexpected(cause) => Self::internal(&cause),
        }
    }
}
