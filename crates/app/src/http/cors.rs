//! Cross-origin calls: from an explicit list of origins, never from whatever origin asks.
//!
//! For a page of any other origin, and where no origin is configured, there is no such thing: its preflight is answered
//! like any OPTIONS (405), and no answer carries a CORS header. actix-cors is passed over: it answers such a preflight with
//! 400 in plain text, and puts `Access-Control-Expose-Headers` on answers to every origin.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};

/// The headers that answer a preflight (Fetch standard, "CORS protocol"). Credentials, which would be cookies, are not
/// allowed.
const ALLOWED: [(HeaderName, &str); 3] = [
    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, PATCH, PUT, DELETE"),
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        "authorization, content-encoding, content-type, idempotency-key, if-match, if-none-match, traceparent, x-request-id",
    ),
    (header::ACCESS_CONTROL_MAX_AGE, "3600"),
];

/// The header that names the headers of an answer which a page may read, besides those that it always may.
const EXPOSED: [(HeaderName, &str); 1] = [(
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    "etag, idempotent-replayed, link, location, ratelimit, ratelimit-policy, retry-after, traceparent, \
     www-authenticate, x-request-id",
)];

/// The origins whose pages may call the API, as browsers send them.
#[derive(Debug, Clone, Default)]
pub struct AllowedOrigins(pub Vec<String>);

impl AllowedOrigins {
    /// The request's origin, if it is one of them.
    fn origin_of(&self, req: &ServiceRequest) -> Option<HeaderValue> {
        let origin = req.headers().get(header::ORIGIN)?;
        self.0.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
    }
}

/// Answers preflights of the allowed origins, and lets their pages read the other answers.
///
/// # Errors
/// None of its own.
pub(super) async fn layer(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse, Error> {
    let allowed = req.app_data::<web::Data<AllowedOrigins>>().filter(|allowed| !allowed.0.is_empty()).cloned();
    let Some(allowed) = allowed else {
        return Ok(next.call(req).await?.map_into_boxed_body());
    };
    let origin = allowed.origin_of(&req);
    let (mut response, headers) = if origin.is_some() && is_preflight(&req) {
        (req.into_response(HttpResponse::NoContent().finish()), &ALLOWED[..])
    } else {
        (next.call(req).await?.map_into_boxed_body(), &EXPOSED[..])
    };
    // Caches must not give the answer to one origin to the page of another.
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        for (name, value) in headers {
            response.headers_mut().insert(name.clone(), HeaderValue::from_static(value));
        }
    }
    Ok(response)
}

fn is_preflight(req: &ServiceRequest) -> bool {
    req.method() == Method::OPTIONS && req.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}
