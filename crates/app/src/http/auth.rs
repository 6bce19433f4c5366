//! Logging in and being recognised.

mod cookie;
mod second_factor;
mod sessions;
pub mod shapes;

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{self, ReqData};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use mass_admin_service::{AdminService, RegisterError};
use mass_auth::{AuthService, ChangePasswordError, LoggedIn, LoginError, RefreshError, ThrottleScope, Throttled};
use mass_domain::trace::Origin;

use self::shapes::{
    Caller, CallersFactor, JsonWebKeySet, Login, PasswordChange, Refresh, Registration, Remember, Token,
};
use super::body::{Valid, violation};
use super::operations::{Access, Factor, Operation, Produces, Tag, model};
use super::passwords::{busy, new_password, weak_password};
use super::problem::{Problem, ProblemKind, problem_from};
use super::query::Query;
use super::reply::{Call, NoContent, Reply};

const TAG: Tag = Tag { name: "auth", description: "Logging in and being recognised." };

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    LOGIN,
    REFRESH,
    LOGOUT,
    CHANGE_PASSWORD,
    KEYS,
    REGISTER,
    ME,
    sessions::LIST,
    sessions::END,
    second_factor::GET,
    second_factor::BEGIN,
    second_factor::CONFIRM,
    second_factor::PROVE,
    second_factor::REPLACE_CODES,
    second_factor::REMOVE,
];

const LOGIN: Operation = Operation {
    id: "login",
    summary: "Log in.",
    description: "Exchanges an e-mail address and a password for a bearer token and a refresh token. An unknown \
        address and a wrong password are answered alike; after several failures the next attempt has to wait. With \
        `remember` the refresh token comes as a cookie (`HttpOnly`, `SameSite=Strict`) that goes to its refreshing alone. A \
        user with a second factor also sends its `code`; without it, the answer to a right password asks for it.",
    tag: Some(TAG),
    body: &[("application/json", model::<Login>)],
    produces: Produces::Json(model::<Token>),
    answers: &[(200, "A session's first tokens.")],
    problems: &[
        ProblemKind::InvalidCredentials,
        ProblemKind::SecondFactorCode,
        ProblemKind::TenantSuspended,
        ProblemKind::TooManyAttempts,
    ],
    ..Operation::post("/v1/auth/login", Access::Public, || web::to(login))
};

async fn login(
    request: HttpRequest,
    origin: ReqData<Origin>,
    auth: web::Data<AuthService>,
    query: Query,
    body: Valid<Login>,
) -> Result<Reply<Token>, Problem> {
    query.finish()?;
    let Login { email, password, code, remember } = body.0;
    let logged_in = auth.login(&email, &password, code.as_ref(), &origin).await?;
    tokens(&request, &logged_in, remember)
}

/// Answers with the tokens of a session, the refresh token in its cookie if it is to be remembered there.
fn tokens(request: &HttpRequest, logged_in: &LoggedIn, remember: Option<Remember>) -> Result<Reply<Token>, Problem> {
    let reply = Reply::ok(&Token::of(logged_in, remember))?;
    Ok(match remember {
        Some(Remember::Cookie) => reply.header(header::SET_COOKIE, &cookie::keep(request, &logged_in.refresh_token)),
        None => reply,
    })
}

const REFRESH: Operation = Operation {
    id: "refresh",
    summary: "Refresh the session.",
    description: "Exchanges a refresh token for a new pair of tokens. It is good once: presented again, it ends the \
        session with all its tokens, since two hold it then. A page of this server sends `remember` instead, with the \
        header `X-Mass-Session: cookie`, and the token comes from its cookie.",
    tag: Some(TAG),
    body: &[("application/json", model::<Refresh>)],
    produces: Produces::Json(model::<Token>),
    answers: &[(200, "The session's next tokens.")],
    problems: &[ProblemKind::InvalidRefreshToken, ProblemKind::ForeignOrigin, ProblemKind::TenantSuspended],
    ..Operation::post("/v1/auth/refresh", Access::Public, || web::to(refresh))
};

async fn refresh(
    request: HttpRequest,
    origin: ReqData<Origin>,
    auth: web::Data<AuthService>,
    query: Query,
    body: Valid<Refresh>,
) -> Result<Reply<Token>, Problem> {
    query.finish()?;
    let Refresh { refresh_token, remember } = body.0;
    let refresh_token = refresh_token.map_or_else(|| cookie::read(&request), |sent| Ok(Some(sent)))?;
    let refresh_token = refresh_token.ok_or_else(invalid_refresh_token)?;
    let logged_in = auth.refresh(&refresh_token, &origin).await?;
    tokens(&request, &logged_in, remember)
}

const LOGOUT: Operation = Operation {
    id: "logout",
    summary: "Log out.",
    description: "Ends the session with all its tokens, and removes its cookie. An API key has no session, and nothing happens.",
    tag: Some(TAG),
    answers: &[(204, "The session is over.")],
    factor: Factor::Open,
    ..Operation::post("/v1/auth/logout", Access::Authenticated, || web::to(logout))
};

async fn logout(call: Call, auth: web::Data<AuthService>, query: Query) -> Result<HttpResponse, Problem> {
    query.finish()?;
    auth.logout(&call.principal, &call.origin).await?;
    let mut response = HttpResponse::NoContent();
    if cookie::is_kept(call.request()) {
        response.insert_header((header::SET_COOKIE, cookie::forget(call.request())));
    }
    Ok(response.finish())
}

const CHANGE_PASSWORD: Operation = Operation {
    id: "changePassword",
    summary: "Change the password.",
    description: "Gives the caller another password and ends its other sessions. An API key has no password.",
    tag: Some(TAG),
    body: &[("application/json", model::<PasswordChange>)],
    answers: &[(204, "The password is changed, and the caller's other sessions are over.")],
    problems: &[ProblemKind::Forbidden, ProblemKind::TooManyAttempts],
    ..Operation::post("/v1/auth/password", Access::Authenticated, || web::to(change_password))
};

async fn change_password(
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

const KEYS: Operation = Operation {
    id: "getKeys",
    summary: "The keys of access tokens.",
    description: "With which others can verify access tokens (RFC 7517): none unless they are signed with EdDSA. \
        Whether the session still lives, only MASS can tell.",
    tag: Some(TAG),
    produces: Produces::Json(model::<JsonWebKeySet>),
    answers: &[(200, "The keys, if tokens are signed with EdDSA.")],
    store: false,
    ..Operation::get("/.well-known/jwks.json", Access::Public, || web::to(keys))
};

async fn keys(query: Query, auth: web::Data<AuthService>) -> Result<Reply<JsonWebKeySet>, Problem> {
    query.finish()?;
    let keys = auth.public_keys().into_iter().map(Into::into).collect();
    Ok(Reply::ok(&JsonWebKeySet { keys })?.header(header::CACHE_CONTROL, "public, max-age=300"))
}

const REGISTER: Operation = Operation {
    id: "register",
    summary: "Register.",
    description: "Creates an account that may look, where the configuration lets strangers do so. A taken address is \
        answered like a free one: nobody learns here who has an account.",
    tag: Some(TAG),
    body: &[("application/json", model::<Registration>)],
    answers: &[(204, "Heard. If the address was free, its owner can log in now.")],
    problems: &[ProblemKind::RegistrationClosed, ProblemKind::TenantSuspended],
    ..Operation::post("/v1/auth/register", Access::Public, || web::to(register))
};

async fn register(
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
struct OpenRegistration;

impl FromRequest for OpenRegistration {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let service = request.app_data::<web::Data<AdminService>>();
        let service = service.ok_or_else(|| Problem::internal(&anyhow::anyhow!("administration is not wired")));
        ready(service.and_then(|service| Ok(service.registration().map(|_| Self)?)))
    }
}

const ME: Operation = Operation {
    id: "getCaller",
    summary: "Who am I?",
    description: "The caller that the token stands for, its roles and all that it may do.",
    tag: Some(TAG),
    produces: Produces::Json(model::<Caller>),
    answers: &[(200, "The caller.")],
    factor: Factor::Open,
    ..Operation::get("/v1/auth/me", Access::Authenticated, || web::to(me))
};

async fn me(call: Call, query: Query) -> Result<Reply<Caller>, Problem> {
    query.finish()?;
    let caller = call.principal;
    Reply::ok(&Caller {
        id: caller.actor().id().map(|id| id.to_string()),
        kind: caller.actor().kind(),
        email: caller.email().map(|email| email.as_str().to_owned()),
        tenant_id: caller.tenant().to_string(),
        roles: caller.roles().iter().map(|role| role.as_str()).collect(),
        permissions: caller.permissions().iter().map(|permission| permission.as_str()).collect(),
        second_factor: caller.session().map(|_| CallersFactor::of(caller.factor())),
    })
}

problem_from! {
    LoginError: Throttled, Suspended, Store, Unexpected;
        LoginError::InvalidCredentials => challenge(ProblemKind::InvalidCredentials),
        LoginError::CodeNeeded { is_given } => {
            let detail = if is_given {
                "The code is wrong, or was used before: send the next one, or a recovery code."
            } else {
                "Send it as `code`, with the e-mail address and the password: the one that your device shows, or a \
                 recovery code."
            };
            challenge(ProblemKind::SecondFactorCode).detail(detail)
        }
        LoginError::Busy => busy(),
}

problem_from! {
    RegisterError: Suspended, Store, Unexpected;
        RegisterError::Closed => {
            Self::new(ProblemKind::RegistrationClosed).detail("Ask an administrator for an account.")
        }
        RegisterError::Busy => busy(),
}

problem_from! {
    RefreshError: Suspended, Store, Unexpected;
        RefreshError::InvalidToken => invalid_refresh_token(),
        RefreshError::Reused => invalid_refresh_token().recorded(),
}

problem_from! {
    ChangePasswordError: Throttled, Store, Unexpected;
        ChangePasswordError::NotAUser => Self::new(ProblemKind::Forbidden).detail("Only users have passwords."),
        ChangePasswordError::WrongPassword => {
            violation("/current_password".to_owned(), "wrong_password", "This is not the present password.")
        }
        ChangePasswordError::Weak(weak) => weak_password("/new_password", weak),
        ChangePasswordError::Busy => busy(),
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
