//! Logging in and being recognised.

use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, ReqData};
use actix_web::{FromRequest, HttpRequest};
use mass_admin_service::{AdminService, RegisterError};
use mass_auth::{
    AuthService, ChangePasswordError, LoggedIn, LoginError, NewPassword, RefreshError, ThrottleScope, Throttled,
    WeakPassword,
};
use mass_domain::trace::Origin;
use mass_domain::users::Email;
use paperclip::actix::{OperationModifier, api_v2_operation};
use paperclip::v2::schema::Apiv2Schema;
use secrecy::{ExposeSecret, SecretString};

use super::body::{Valid, sentence, violation};
use super::problem::{Problem, ProblemKind};
use super::query::Query;
use super::reply::{Call, NoContent, Reply};
use super::wire::admin::Registration;
use super::wire::{Caller, JsonWebKeySet, Login, PasswordChange, Refresh, Token, email};

/// Log in.
///
/// Exchanges an e-mail address and a password for a bearer token and a refresh token. An unknown address and a wrong
/// password are answered alike; after several failures the next attempt has to wait.
#[api_v2_operation(operation_id = "login", tags("auth"))]
pub async fn login(
    origin: ReqData<Origin>,
    auth: web::Data<AuthService>,
    query: Query,
    body: Valid<Login>,
) -> Result<Reply<Token>, Problem> {
    query.finish()?;
    let logged_in = auth.login(&body.0.email, &body.0.password, &origin).await?;
    Reply::ok(&Token::from(logged_in))
}

/// Refresh the session.
///
/// Exchanges a refresh token for a new pair of tokens. It is good once: presented again, it ends the session with all
/// its tokens, since two hold it then.
#[api_v2_operation(operation_id = "refresh", tags("auth"))]
pub async fn refresh(
    origin: ReqData<Origin>,
    auth: web::Data<AuthService>,
    query: Query,
    body: Valid<Refresh>,
) -> Result<Reply<Token>, Problem> {
    query.finish()?;
    let logged_in = auth.refresh(&body.0.refresh_token, &origin).await?;
    Reply::ok(&Token::from(logged_in))
}

/// Log out.
///
/// Ends the session with all its tokens. An API key has no session, and nothing happens.
#[api_v2_operation(operation_id = "logout", tags("auth"))]
pub async fn logout(call: Call, auth: web::Data<AuthService>, query: Query) -> Result<NoContent, Problem> {
    query.finish()?;
    auth.logout(&call.principal, &call.origin).await?;
    Ok(NoContent)
}

/// Change the password.
///
/// Gives the caller another password and ends its other sessions. An API key has no password.
#[api_v2_operation(operation_id = "changePassword", tags("auth"))]
pub async fn change_password(
    call: Call,
    auth: web::Data<AuthService>,
    query: Query,
    body: Valid<PasswordChange>,
) -> Result<NoContent, Problem> {
    query.finish()?;
    let PasswordChange { current_password, new_password } = body.0;
    auth.change_password(&call.principal, &current_password, &new_password, &call.origin).await?;
    Ok(NoContent)
}

/// The keys of access tokens.
///
/// With which others can verify access tokens (RFC 7517): none unless they are signed with EdDSA. Whether the session
/// still lives, only MASS can tell.
#[api_v2_operation(operation_id = "getKeys", tags("auth"))]
pub async fn keys(query: Query, auth: web::Data<AuthService>) -> Result<Reply<JsonWebKeySet>, Problem> {
    query.finish()?;
    let keys = auth.public_keys().into_iter().map(Into::into).collect();
    Ok(Reply::ok(&JsonWebKeySet { keys })?.header(header::CACHE_CONTROL, "public, max-age=300"))
}

/// Register.
///
/// Creates an account that may look, where the configuration lets strangers do so. A taken address is answered like a
/// free one: nobody learns here who has an account.
#[api_v2_operation(operation_id = "register", tags("auth"))]
pub async fn register(
    _open: OpenRegistration,
    origin: ReqData<Origin>,
    service: web::Data<AdminService>,
    query: Query,
    body: Valid<Registration>,
) -> Result<NoContent, Problem> {
    query.finish()?;
    let Registration { email, password } = body.0;
    let password = new_password("/password", &password, &email.0)?;
    service.register(email.0, password, &origin).await?;
    Ok(NoContent)
}

/// Proof that strangers may register. An extractor, so that a closed door is told before the body is looked at.
pub struct OpenRegistration;

impl FromRequest for OpenRegistration {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let service = request.app_data::<web::Data<AdminService>>();
        let service = service.ok_or_else(|| Problem::internal(&anyhow::anyhow!("administration is not wired")));
        ready(service.and_then(|service| Ok(service.registration().map(|_| Self)?)))
    }
}

impl Apiv2Schema for OpenRegistration {}
impl OperationModifier for OpenRegistration {}

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

impl From<LoggedIn> for Token {
    fn from(logged_in: LoggedIn) -> Self {
        Self {
            access_token: logged_in.access_token.expose_secret().to_owned(),
            refresh_token: logged_in.refresh_token.expose_secret().to_owned(),
            token_type: "Bearer",
            expires_in: logged_in.expires_in_seconds,
        }
    }
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::InvalidCredentials => challenge(ProblemKind::InvalidCredentials),
            LoginError::Throttled(throttled) => throttled.into(),
            LoginError::Busy => busy(),
            LoginError::Store(error) => error.into(),
            LoginError::Unexpected(cause) => Self::internal(&cause),
        }
    }
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Closed => {
                Self::new(ProblemKind::RegistrationClosed).detail("Ask an administrator for an account.")
            }
            RegisterError::Busy => busy(),
            RegisterError::Store(error) => error.into(),
            RegisterError::Unexpected(cause) => Self::internal(&cause),
        }
    }
}

impl From<RefreshError> for Problem {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::InvalidToken => invalid_refresh_token(),
            RefreshError::Reused => invalid_refresh_token().recorded(),
            RefreshError::Store(error) => error.into(),
            RefreshError::Unexpected(cause) => Self::internal(&cause),
        }
    }
}

impl From<ChangePasswordError> for Problem {
    fn from(error: ChangePasswordError) -> Self {
        match error {
            ChangePasswordError::NotAUser => Self::new(ProblemKind::Forbidden).detail("Only users have passwords."),
            ChangePasswordError::WrongPassword => {
                violation("/current_password".to_owned(), "wrong_password", "This is not the present password.")
            }
            ChangePasswordError::Weak(weak) => weak_password("/new_password", weak),
            ChangePasswordError::Throttled(throttled) => throttled.into(),
            ChangePasswordError::Busy => busy(),
            ChangePasswordError::Store(error) => error.into(),
            ChangePasswordError::Unexpected(cause) => Self::internal(&cause),
        }
    }
}

impl From<Throttled> for Problem {
    fn from(Throttled { scope, retry_after_seconds: seconds }: Throttled) -> Self {
        let (scope, of) = match scope {
            ThrottleScope::Account => ("account", "on this account"),
            ThrottleScope::Address => ("address", "from this address"),
        };
        Self::new(ProblemKind::TooManyAttempts)
            .detail(format!("Too many attempts {of} have failed; try again in {seconds} s."))
            .member("scope", scope)
            .member("retry_after_seconds", seconds)
            .header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }
}

/// A 401 whose challenge names no error (RFC 6750, section 3): no bearer token was sent that could be wrong.
fn challenge(kind: ProblemKind) -> Problem {
    Problem::new(kind).header(header::WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="mass""#))
}

fn invalid_refresh_token() -> Problem {
    challenge(ProblemKind::InvalidRefreshToken).detail("Log in again.")
}

/// A password that is to be set, or what is wrong with it where the pointer leads.
pub(super) fn new_password(pointer: &str, text: &SecretString, email: &Email) -> Result<NewPassword, Problem> {
    NewPassword::parse(text, email).map_err(|weak| weak_password(pointer, weak))
}

fn weak_password(pointer: &str, weak: WeakPassword) -> Problem {
    violation(pointer.to_owned(), weak.code(), &sentence(&weak.to_string()))
}

/// Too many passwords are being hashed.
pub(super) fn busy() -> Problem {
    Problem::unavailable("Too many people are logging in at once.", Duration::from_secs(2))
}
