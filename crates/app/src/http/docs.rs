//! Swagger UI, from files in the binary: no request leaves the server's own origin.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::{HttpResponse, web};

use super::problem::{Problem, ProblemKind};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page itself.
pub async fn index() -> HttpResponse {
    file("text/html; charset=utf-8", include_bytes!("../../assets/swagger-ui/index.html"))
}

/// What the page loads.
///
/// # Errors
/// A [`Problem`] for any other file.
pub async fn asset(name: web::Path<String>) -> Result<HttpResponse, Problem> {
    let (kind, bytes): (&str, &'static [u8]) = match name.as_str() {
        "init.js" => ("text/javascript; charset=utf-8", include_bytes!("../../assets/swagger-ui/init.js")),
        "swagger-ui-bundle.js" => {
            ("text/javascript; charset=utf-8", include_bytes!("../../assets/swagger-ui/swagger-ui-bundle.js"))
        }
        "swagger-ui.css" => ("text/css; charset=utf-8", include_bytes!("../../assets/swagger-ui/swagger-ui.css")),
        "favicon-32x32.png" => ("image/png", include_bytes!("../../assets/swagger-ui/favicon-32x32.png")),
        _ => return Err(Problem::new(ProblemKind::NotFound)),
    };
    Ok(file(kind, bytes))
}

fn file(kind: &str, bytes: &'static [u8]) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(kind)
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(bytes)
}
