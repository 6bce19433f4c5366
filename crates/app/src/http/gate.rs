//! The gate: everything that is judged before a handler sees a request, in the order that docs/errors.md states.
//!
//! Route (404), method (405), rate of the address (429), credentials (401), rate of credential and tenant (429),
//! permission (403), `Accept` (406). A refused caller and a refused credential are recorded in the audit trail, here or
//! behind the gate, before the answer is given. What is not in the table of
//! [`operations`](super::operations) does not pass, whatever routes exist.

mod refusals;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};
use mass_audit_service::CredentialRefusal;
use mass_auth::{AuthService, AuthenticateError};
use mass_domain::access::Principal;
use mass_domain::api_keys::KeyToken;
use mass_domain::trace::{Origin, SPANS};
use tracing::Instrument;

use super::context;
use super::limits::{Limits, Remaining};
use super::operations::{self, Access, Operation};
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
                && let Err(unrecorded) = refusals::record(response.request(), operation, &problem).await
            {
                response = response.into_response(actix_web::ResponseError::error_response(&unrecorded));
            }
            if let Some(remaining) = remaining {
                remaining.tell(response.headers_mut());
            }
            Ok(response)
        }
        Err(Refused { problem, operation }) => {
            let recorded = match operation {
                Some(operation) => refusals::record(req.request(), operation, &problem).await,
                None => Ok(()),
            };
            let problem = recorded.err().unwrap_or(problem);
            let response: actix_web::HttpResponse<BoxBody> = actix_web::ResponseError::error_response(&problem);
            Ok(req.into_response(response))
        }
    }
}

/// What the gate has found out about a request that it lets through.
struct Passed {
    operation: &'static Operation,
    remaining: Option<Remaining>,
}

/// Why a request does not pass, and which operation it was for if there is one.
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
    method(pattern, req.method())
}

/// Judges a call of an operation, and leaves who calls in the request's extensions.
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
            let principal = authenticate(req).instrument(span).await?;
            let actor = principal.actor();
            let id = actor.id().unwrap_or_default();
            tracing::Span::current().record("actor", format!("{}:{id}", actor.kind()));
            let remaining = limits.take_caller(&principal)?;
            req.extensions_mut().insert(principal.clone());
            if let Access::Needs(permission) = operation.access {
                principal.require(permission)?;
            }
            remaining
        }
    };
    if let Some(answer) = operation.produces.media_type().filter(|answer| !accepts(req.headers(), answer)) {
        return Err(Problem::new(ProblemKind::NotAcceptable)
            .detail(format!("The answer is {answer}, or application/problem+json when it is an error.")));
    }
    Ok(remaining)
}

fn method(pattern: &str, method: &Method) -> Result<&'static Operation, Problem> {
    let asked = if method == Method::HEAD { "GET" } else { method.as_str() };
    if let Some(operation) = operations::on(pattern).find(|operation| operation.method == asked) {
        return Ok(operation);
    }
    let mut allowed: Vec<&str> = operations::on(pattern).map(|operation| operation.method).collect();
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

async fn authenticate(req: &ServiceRequest) -> Result<Principal, Problem> {
    let mut sent = req.headers().get_all(header::AUTHORIZATION);
    let Some(credentials) = sent.next() else {
        return Err(Problem::unauthenticated(None));
    };
    let token = credentials
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
    auth.authenticate(token, address).await.map_err(|error| match error {
        AuthenticateError::Refused(refused) => {
            tracing::info!(reason = %refused, "a token was refused");
            let key = KeyToken::parse(token).ok().map(|token| token.prefix().clone());
            req.extensions_mut().insert(CredentialRefusal { reason: refused.code(), key });
            Problem::unauthenticated(Some("The token is not valid or has expired."))
        }
        AuthenticateError::Store(error) => error.into(),
    })
}

/// Whether the client takes such an answer (RFC 9110, section 12.5.1): the most specific range that fits decides.
fn accepts(headers: &HeaderMap, answer: &str) -> bool {
    let group = answer.split_once('/').map(|(group, _)| group);
    let mut best: Option<(u8, bool)> = None;
    let mut sent = false;
    for value in headers.get_all(header::ACCEPT) {
        sent = true;
        for range in value.to_str().unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let specificity = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                range if range == answer => 2,
                range if group.is_some() && range.strip_suffix("/*") == group => 1,
                "*/*" => 0,
                _ => continue,
            };
            let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let wanted = weight.is_none_or(|q| q.parse::<f32>().is_ok_and(|q| q > 0.0));
            if best.is_none_or(|(known, _)| specificity > known) {
                best = Some((specificity, wanted));
            }
        }
    }
    !sent || best.is_some_and(|(_, wanted)| wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_str(value).unwrap());
        super::accepts(&headers, "application/json")
    }

    #[test]
    fn the_most_specific_range_decides_whether_json_is_accepted() {
        assert!(super::accepts(&HeaderMap::new(), "application/json"));
        for good in ["*/*", "application/json", "text/html, application/*;q=0.1", "application/json; charset=utf-8"] {
            assert!(accepts(good), "{good}");
        }
        for bad in ["text/html", "application/json;q=0, */*", "application/xml", "", "application/*; q=0, */*"] {
            assert!(!accepts(bad), "{bad}");
        }
    }
}
