//! Cross-origin calls: from an explicit list of origins, never from whatever origin asks.

use actix_cors::Cors;
use actix_web::http::header;

/// The layer for these origins. With none, no answer carries a CORS header, and browsers keep other sites out.
pub fn layer(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"])
        .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::IF_MATCH, header::IF_NONE_MATCH])
        .allowed_headers(["idempotency-key", "traceparent", "x-request-id"])
        .expose_headers(["etag", "location", "link", "retry-after", "ratelimit", "ratelimit-policy", "traceparent"])
        .expose_headers(["x-request-id", "idempotent-replayed", "www-authenticate"])
        .max_age(3600);
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}
