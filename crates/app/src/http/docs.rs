//! Swagger UI, from files in the binary: no request leaves the server's own origin.

use std::io::Write;
use std::sync::LazyLock;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, Encoding, LOCATION, VARY};
use actix_web::web::{self, Bytes, block};
use actix_web::{HttpRequest, HttpResponse, Route};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::accept;
use super::operations::{Access, Operation, Parameter, Produces};
use super::problem::{Problem, ProblemKind};

/// The operations: pages for browsers, which the OpenAPI document leaves out.
pub const OPERATIONS: &[Operation] = &[
    page("/docs", || web::to(index)),
    Operation { answers: &[(307, "The page is there.")], ..page("/", || web::to(from_root)) },
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

/// A file in the binary, shared by all answers.
struct Asset {
    media_type: &'static str,
    plain: &'static [u8],
    /// The same in gzip, made at the first request for it.
    gzip: LazyLock<Bytes, Box<dyn FnOnce() -> Bytes + Send>>,
}

static INDEX: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("text/html; charset=utf-8", include_bytes!("../../assets/swagger-ui/index.html")));
static INIT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("text/javascript; charset=utf-8", include_bytes!("../../assets/swagger-ui/init.js")));
static BUNDLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("text/javascript; charset=utf-8", include_bytes!("../../assets/swagger-ui/swagger-ui-bundle.js"))
});
static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("text/css; charset=utf-8", include_bytes!("../../assets/swagger-ui/swagger-ui.css")));
static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("image/png", include_bytes!("../../assets/swagger-ui/favicon-32x32.png")));

impl Asset {
    fn new(media_type: &'static str, plain: &'static [u8]) -> Self {
        Self { media_type, plain, gzip: LazyLock::new(Box::new(move || compress(plain))) }
    }
}

/// Returns the bytes in gzip, or as they are should that fail.
fn compress(plain: &'static [u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let compressed = encoder.write_all(plain).and_then(|()| encoder.finish());
    compressed.map_or(Bytes::from_static(plain), Bytes::from)
}

/// Answers with the page itself.
async fn index(req: HttpRequest) -> Result<HttpResponse, Problem> {
    answer(&req, &INDEX).await
}

/// Leads from the root to the page. Relative, as all links of the page are, so that it works below any path.
async fn from_root() -> HttpResponse {
    HttpResponse::TemporaryRedirect().insert_header((LOCATION, "docs")).finish()
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
    answer(&req, asset).await
}

async fn answer(req: &HttpRequest, asset: &'static Asset) -> Result<HttpResponse, Problem> {
    let mut response = HttpResponse::Ok();
    response
        .content_type(asset.media_type)
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((VARY, "Accept-Encoding"));
    if !accepts_gzip(req) {
        return Ok(response.body(Bytes::from_static(asset.plain)));
    }
    // The first time it takes a while.
    let body = block(|| asset.gzip.clone()).await.map_err(|error| Problem::internal(&error.into()))?;
    Ok(response.insert_header((CONTENT_ENCODING, "gzip")).body(body))
}

fn accepts_gzip(req: &HttpRequest) -> bool {
    accept::coding(req.headers(), &[Encoding::gzip(), Encoding::identity()]) == Encoding::gzip()
}
