//! Swagger UI, from files in the binary: no request leaves the server's own origin.

use std::sync::LazyLock;

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, Route, web};
use serde_json::json;

use super::assets::{Asset, Terms};
use super::operations::{Access, Operation, Parameter, Produces};
use super::problem::{Problem, ProblemKind};

/// The operations: pages for browsers, which the OpenAPI document leaves out.
pub const OPERATIONS: &[Operation] = &[
    page("/docs", || web::to(index)),
    Operation { answers: &[(308, "The page is there.")], ..page("/docs/", || web::to(from_slash)) },
    Operation { in_path: &[FILE], ..page("/docs/{file}", || web::to(asset)) },
];

const FILE: Parameter = Parameter::new("file", "The file's name.", || json!({"type": "string"})).required();

const fn page(path: &'static str, route: fn() -> Route) -> Operation {
    let operation = Operation::get(path, Access::Public, route);
    Operation { produces: Produces::File, answers: &[(200, "The file.")], store: false, ..operation }
}

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const TERMS: Terms = Terms { policy: POLICY, keeping: "no-cache" };

static INDEX: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("text/html; charset=utf-8", &include_bytes!("../../assets/swagger-ui/index.html")[..]));
static INIT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("text/javascript; charset=utf-8", &include_bytes!("../../assets/swagger-ui/init.js")[..])
});
static BUNDLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("text/javascript; charset=utf-8", &include_bytes!("../../assets/swagger-ui/swagger-ui-bundle.js")[..])
});
static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("text/css; charset=utf-8", &include_bytes!("../../assets/swagger-ui/swagger-ui.css")[..])
});
static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("image/png", &include_bytes!("../../assets/swagger-ui/favicon-32x32.png")[..]));

/// Answers with the page itself.
async fn index(req: HttpRequest) -> Result<HttpResponse, Problem> {
    INDEX.answer(&req, TERMS).await
}

/// Leads from the page's address with a slash, where its links would lead astray, to the one without.
async fn from_slash() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "../docs")).finish()
}

/// Answers with what the page loads.
async fn asset(req: HttpRequest, name: web::Path<String>) -> Result<HttpResponse, Problem> {
    let asset = match name.as_str() {
        "init.js" => &INIT,
        "swagger-ui-bundle.js" => &BUNDLE,
        "swagger-ui.css" => &STYLE,
        "favicon-32x32.png" => &ICON,
        _ => return Err(Problem::new(ProblemKind::NotFound)),
    };
    asset.answer(&req, TERMS).await
}
