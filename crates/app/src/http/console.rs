//! The browser console, from files in the binary: one page at the root, and what it loads.

use std::collections::HashMap;
use std::sync::LazyLock;

use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse, Route};
use serde_json::json;

use super::assets::{Asset, Terms};
use super::operations::{Access, Operation, Parameter, Produces};
use super::problem::{Problem, ProblemKind};
use super::public::PublicUrl;

/// The operations: a page for browsers, which the OpenAPI document leaves out.
pub const OPERATIONS: &[Operation] = &[
    file("/", || web::to(page)),
    Operation { in_path: &[VERSION, FOLDER, FILE], ..file("/console/{version}/{folder}/{file}", || web::to(asset)) },
];

const VERSION: Parameter = Parameter::new("version", "The digest of all files.", text).required();
const FOLDER: Parameter = Parameter::new("folder", "The file's folder.", text).required();
const FILE: Parameter = Parameter::new("file", "The file's name.", text).required();

fn text() -> serde_json::Value {
    json!({"type": "string"})
}

const fn file(path: &'static str, route: fn() -> Route) -> Operation {
    let operation = Operation::get(path, Access::Public, route);
    Operation { produces: Produces::File, answers: &[(200, "The file.")], store: false, ..operation }
}

/// The page's address stays while its content changes.
const OF_PAGE: Terms = Terms { policy: mass_console::CONTENT_SECURITY_POLICY, keeping: "no-cache" };

/// A file's address changes with its content.
const OF_FILES: Terms =
    Terms { policy: mass_console::CONTENT_SECURITY_POLICY, keeping: "public, max-age=31536000, immutable" };

static FILES: LazyLock<HashMap<&str, Asset>> = LazyLock::new(|| {
    let asset = |file: &mass_console::File| Asset::new(file.media_type(), Bytes::from_static(file.content));
    mass_console::files().map(|file| (file.path, asset(&file))).collect()
});

/// Answers with the page, which is small: no coding would make it come sooner.
async fn page(public: web::Data<PublicUrl>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    OF_PAGE.head(&mut response);
    response.content_type("text/html; charset=utf-8").body(mass_console::page(public.path()))
}

/// Answers with what the page loads. Of another version there is nothing: its page has to be loaded again.
async fn asset(req: HttpRequest, path: web::Path<(String, String, String)>) -> Result<HttpResponse, Problem> {
    let (version, folder, file) = path.into_inner();
    let found = FILES.get(format!("{folder}/{file}").as_str()).filter(|_| version == mass_console::VERSION);
    found.ok_or_else(|| Problem::new(ProblemKind::NotFound))?.answer(&req, OF_FILES).await
}
