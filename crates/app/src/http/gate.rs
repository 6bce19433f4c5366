//! The gate: everything that is judged before a handler sees a request, in the order that docs/errors.md states.
//!
//! Route (404), method (405), rate of the address (429), credentials (401), rate of credential and tenant (429),
//! permission (403), `Accept` (406). A refused caller and a refused credential are recorded in the audit trail, here or
//! behind the gate, before the answer is given. What is not among the
//! [`Operations`] does not pass, whatever routes exist.

mod refusals;

use std::net::IpAddr;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, web};
use mass_audit_service::CredentialRefusal;
use mass_auth::{AuthService, AuthenticateError, CachedPrincipal, RefusedCredential};
use mass_domain::access::{Permission, Principal};
use mass_domain::api_keys::KeyToken;
use mass_domain::tenancy::CredentialsVersion;
use mass_domain::trace::{Origin, SPANS};
use tracing::Instrument;

use super::accept;
use super::context;
use super::limits::{Limits, Remaining};
use super::operations::{Access, Factor, Operation, Operations};
use super::problem::{Problem, ProblemKind};

/// Lets a request through to its handler, or answers with the first problem found.
///
/// # Errors
/// None of its own.
pub(super) async fn layer(
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse, Error> {
    match judge(&req).await {
        Ok(Passed { operation, remaining }) => {
            // The encoder still knows that it was HEAD and leaves the body out.
            if req.method() == Method::HEAD {
                req.head_mut().method = Method::GET;
            }
            req.extensions_mut().insert(operation);
            let mut response = next.call(req).await?.map_into_boxed_body();
            let refused = response.response().extensions().get::<Problem>().cloned();
            if let Some(problem) = refused
                && let Err(instead) = answerable(response.request(), operation, problem).await
            {
                response = response.into_response(actix_web::ResponseError::error_response(&instead));
            }
            // A caller that is not authenticated after all learns nothing of the tenant.
            if let Some(remaining) = remaining.filter(|_| response.status() != StatusCode::UNAUTHORIZED) {
                remaining.tell(response.headers_mut());
            }
            Ok(response)
        }
        Err(Refused { problem, operation }) => {
            let problem = match operation {
                Some(operation) => answerable(req.request(), operation, problem.clone()).await.err().unwrap_or(problem),
                None => problem,
            };
            let response: actix_web::HttpResponse<BoxBody> = actix_web::ResponseError::error_response(&problem);
            Ok(req.into_response(response))
        }
    }
}

/// Confirms the caller that a problem is answered to, and records the problem in the audit trail.
///
/// # Errors
/// The [`Problem`] to answer instead.
async fn answerable(req: &HttpRequest, operation: &Operation, problem: Problem) -> Result<(), Problem> {
    if let Err(refused) = confirm(req).await {
        refusals::record(req, operation, &refused).await?;
        return Err(refused);
    }
    refusals::record(req, operation, &problem).await
}

/// Marks, in the request's extensions, a cached principal: valid only while the tenant's credentials version matches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unconfirmed(pub(super) CredentialsVersion);

/// Confirms a cached principal with the store.
///
/// # Errors
/// The [`Problem`] if it is nobody's credential any more.
pub(super) async fn confirm(req: &HttpRequest) -> Result<(), Problem> {
    if req.extensions_mut().remove::<Unconfirmed>().is_some() {
        let principal = authenticate(req).await?;
        req.extensions_mut().insert(principal);
    }
    Ok(())
}

/// Tells the audit trail of a refusal in the middle of a call, as at the gate: the problem that the call ends with.
pub(super) async fn refused_midway(req: &HttpRequest, problem: Problem) -> Problem {
    let operation = req.extensions().get::<&'static Operation>().copied();
    match operation {
        Some(operation) => refusals::record(req, operation, &problem).await.err().unwrap_or(problem),
        None => problem,
    }
}

/// A request that the gate lets through.
struct Passed {
    operation: &'static Operation,
    remaining: Option<Remaining>,
}

/// A request that does not pass, with its operation if there is one.
struct Refused {
    problem: Problem,
    operation: Option<&'static Operation>,
}

async fn judge(req: &ServiceRequest) -> Result<Passed, Refused> {
    let operation = route(req).map_err(|problem| Refused { problem, operation: None })?;
    match judge_call(req, operation).await {
        Ok(remaining) => Ok(Passed { operation, remaining }),
        Err(problem) => Err(Refused { problem, operation: Some(operation) }),
    }
}

fn route(req: &ServiceRequest) -> Result<&'static Operation, Problem> {
    let pattern = context::route(req).ok_or_else(|| Problem::new(ProblemKind::NotFound))?;
    let operations = req.app_data::<Operations>().copied().unwrap_or(Operations(&[]));
    method(operations, pattern, req.method())
}

/// Judges a call of an operation, and leaves the principal in the request's extensions.
async fn judge_call(req: &ServiceRequest, operation: &Operation) -> Result<Option<Remaining>, Problem> {
    let limits = req.app_data::<web::Data<Limits>>();
    let limits = limits.ok_or_else(|| Problem::internal(&anyhow::anyhow!("the rate limits are not wired")))?;
    let remaining = match operation.access {
        Access::Public if operation.is_limited_by_address() => {
            let address = req.extensions().get::<Origin>().and_then(|origin| origin.address);
            limits.take_address(address)?
        }
        Access::Public => None,
        Access::Authenticated | Access::Needs(_) => {
            let span = tracing::info_span!(target: SPANS, "authenticate");
            let principal = identify(req.request(), operation).instrument(span).await?;
            let actor = principal.actor();
            let id = actor.id().unwrap_or_default();
            tracing::Span::current().record("actor", format!("{}:{id}", actor.kind()));
            req.extensions_mut().insert(principal.clone());
            let remaining = limits.take_caller(&principal)?;
            require_factor(req.request(), operation).await?;
            if let Access::Needs(permission) = operation.access {
                require(req.request(), permission).await?;
            }
            remaining
        }
    };
    let answers = operation.produces.media_types();
    if !answers.is_empty() && answers.iter().all(|answer| accept::media_type(req.headers(), answer) <= 0.0) {
        let answers = answers.join(" or ");
        return Err(Problem::new(ProblemKind::NotAcceptable)
            .detail(format!("The answer is {answers}, or application/problem+json when it is an error.")));
    }
    Ok(remaining)
}

fn method(operations: Operations, pattern: &str, method: &Method) -> Result<&'static Operation, Problem> {
    let asked = if method == Method::HEAD { "GET" } else { method.as_str() };
    if let Some(operation) = operations.on(pattern).find(|operation| operation.method == asked) {
        return Ok(operation);
    }
    let mut allowed: Vec<&str> = operations.on(pattern).map(|operation| operation.method).collect();
    if allowed.is_empty() {
        return Err(Problem::new(ProblemKind::NotFound));
    }
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    let allowed = allowed.join(", ");
    let problem = Problem::new(ProblemKind::MethodNotAllowed).detail(format!("Allowed here: {allowed}."));
    Err(match HeaderValue::try_from(allowed) {
        Ok(value) => problem.header(header::ALLOW, value),
        Err(_) => problem,
    })
}

/// Returns the caller: a cached principal if the operation confirms it itself.
async fn identify(req: &HttpRequest, operation: &Operation) -> Result<Principal, Problem> {
    if operation.confirms {
        let Credentials { auth, token, address } = credentials(req)?;
        let remembered = auth.cached_principal(token, address).map_err(|error| unauthenticated(req, token, error))?;
        if let Some(CachedPrincipal { principal, as_of, .. }) = remembered {
            req.extensions_mut().insert(Unconfirmed(as_of));
            return Ok(principal);
        }
    }
    authenticate(req).await
}

/// Refuses a user who has to enrol or prove a second factor, once a cached principal has been confirmed.
async fn require_factor(req: &HttpRequest, operation: &Operation) -> Result<(), Problem> {
    let judge = || {
        let principal = req.extensions().get::<Principal>().cloned();
        let principal = principal.ok_or_else(|| Problem::unauthenticated(None))?;
        let auth = req.app_data::<web::Data<AuthService>>();
        let auth = auth.ok_or_else(|| Problem::internal(&anyhow::anyhow!("the authentication is not wired")))?;
        Ok::<_, Problem>(match operation.factor {
            Factor::Open => Ok(()),
            Factor::Enrolled => principal.factor().require(),
            Factor::Fresh => auth.require_fresh_factor(&principal),
        })
    };
    if judge()?.is_err() || operation.factor == Factor::Fresh {
        confirm(req).await?;
    }
    Ok(judge()??)
}

/// Refuses a caller without the permission, once a cached principal has been confirmed: it may have the permission by now.
async fn require(req: &HttpRequest, permission: Permission) -> Result<(), Problem> {
    let principal = || req.extensions().get::<Principal>().cloned().ok_or_else(|| Problem::unauthenticated(None));
    if principal()?.require(permission).is_err() {
        confirm(req).await?;
    }
    Ok(principal()?.require(permission)?)
}

/// Returns the cached principal, and the credentials version of its tenant that it is valid for.
///
/// # Errors
/// The [`Problem`] of a credential that is no good whatever the store says, such as one that has expired.
pub(super) fn recall(req: &HttpRequest) -> Result<Option<(Principal, CredentialsVersion)>, Problem> {
    let Credentials { auth, token, address } = credentials(req)?;
    let remembered = auth.cached_principal(token, address).map_err(|error| unauthenticated(req, token, error))?;
    Ok(remembered.map(|CachedPrincipal { principal, as_of, .. }| (principal, as_of)))
}

/// Authenticates the caller, as the gate does.
///
/// # Errors
/// The [`Problem`] if the credential is nobody's any more.
pub(super) async fn authenticate(req: &HttpRequest) -> Result<Principal, Problem> {
    let Credentials { auth, token, address } = credentials(req)?;
    auth.authenticate(token, address).await.map_err(|error| match error {
        AuthenticateError::Refused(refused) => unauthenticated(req, token, refused),
        AuthenticateError::Suspended(suspended) => suspended.into(),
        AuthenticateError::Store(error) => error.into(),
    })
}

fn unauthenticated(req: &HttpRequest, token: &str, refused: RefusedCredential) -> Problem {
    tracing::info!(reason = %refused, "a token was refused");
    let key = KeyToken::parse(token).ok().map(|token| token.prefix().clone());
    req.extensions_mut().insert(CredentialRefusal { reason: refused.code(), key });
    Problem::ended_credential()
}

/// A presented token, the address it comes from, and the service that judges it.
struct Credentials<'a> {
    auth: &'a AuthService,
    token: &'a str,
    address: Option<IpAddr>,
}

fn credentials(req: &HttpRequest) -> Result<Credentials<'_>, Problem> {
    let mut sent = req.headers().get_all(header::AUTHORIZATION);
    let Some(presented) = sent.next() else {
        return Err(Problem::unauthenticated(None));
    };
    let token = presented
        .to_str()
        .ok()
        .filter(|_| sent.next().is_none())
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim_matches(' '))
        .ok_or_else(|| {
            req.extensions_mut().insert(CredentialRefusal { reason: "not_a_bearer_token", key: None });
            Problem::unauthenticated(Some("The Authorization header has to be: Bearer, a space, a token."))
        })?;
    let auth = req.app_data::<web::Data<AuthService>>();
    let auth = auth.ok_or_else(|| Problem::internal(&anyhow::anyhow!("the authentication service is not wired")))?;
    let address = req.extensions().get::<Origin>().and_then(|origin| origin.address);
    Ok(Credentials { auth, token, address })
}
