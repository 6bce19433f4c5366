//! The OpenAPI 3.1 document, written from the operations.
//!
//! paperclip lists the operations with their names and sentences; schemars describes the models that they refer to; the rest
//! is added here.

use std::sync::OnceLock;

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse};
use paperclip::actix::OpenApiExt;
use paperclip::v2::models::{DefaultApiRaw, Info, Tag};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::operations::{Access, AnswerHeader, Describe, Operation, Operations, Parameter, Produces};
use super::problem::{Problem, ProblemDocument, ProblemKind};
use super::public::PublicUrl;
use super::routing::mount;

/// The operation that answers with the document.
pub const OPERATIONS: &[Operation] = &[GET];

const GET: Operation = Operation {
    produces: Produces::Json(|_| json!({"schema": {"type": "object"}})),
    answers: &[(200, "This document.")],
    store: false,
    ..Operation::get("/openapi.json", Access::Public, || web::to(get))
};

async fn get(document: web::Data<Document>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().content_type("application/json").body(document.text()?))
}

/// The document of a server, made at the first request for it.
pub struct Document {
    operations: Operations,
    url: PublicUrl,
    text: OnceLock<Bytes>,
}

impl Document {
    /// The document of the operations of the server at this address.
    #[must_use]
    pub const fn new(operations: Operations, url: PublicUrl) -> Self {
        Self { operations, url, text: OnceLock::new() }
    }

    fn text(&self) -> anyhow::Result<Bytes> {
        if let Some(text) = self.text.get() {
            return Ok(text.clone());
        }
        let text = Bytes::from(document(self.operations, &self.url)?);
        Ok(self.text.get_or_init(|| text).clone())
    }
}

const DESCRIPTION: &str = "\
Pilots of data centres: a site reports its telemetry as *MASS requests*, JSON documents under a versioned contract. MASS \
validates them completely, normalises them deterministically, stores them durably and keeps an audit trail.\n\n\
Log in with `POST /v1/auth/login`, press *Authorize* and paste the `access_token`. Errors are problem documents \
(RFC 9457). Every answer carries `X-Request-Id` and `traceparent` (W3C Trace Context), the caller's own where it sent them. \
`RateLimit` and `RateLimit-Policy` tell what is left of the limits that a call counts against.";

/// Writes the document as text, with the address at which clients find the server.
///
/// # Errors
/// When it has no form in JSON: a fault in the program.
pub fn document(operations: Operations, url: &PublicUrl) -> anyhow::Result<String> {
    let mut listed = Value::Null;
    let spec = DefaultApiRaw { info: info(), tags: tags(operations), ..DefaultApiRaw::default() };
    let app = App::new().wrap_api_with_spec(spec).configure(|config| mount(config, operations));
    app.with_raw_json_spec_v3(|app, document| {
        listed = document;
        app
    });
    let url = if url.as_str().is_empty() { "/" } else { url.as_str() };
    let mut text = serde_json::to_string_pretty(&complete(listed, operations, url))?;
    text.push('\n');
    Ok(text)
}

fn info() -> Info {
    Info {
        title: "MASS".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        description: Some(DESCRIPTION.to_owned()),
        ..Info::default()
    }
}

/// The tags, in the order in which operations first have them.
fn tags(operations: Operations) -> Vec<Tag> {
    let mut tags: Vec<Tag> = Vec::new();
    for tag in operations.iter().filter_map(|operation| operation.tag) {
        if tags.iter().all(|known| known.name != tag.name) {
            let (name, description) = (tag.name.to_owned(), Some(tag.description.to_owned()));
            tags.push(Tag { name, description, ..Tag::default() });
        }
    }
    tags
}

fn complete(mut document: Value, operations: Operations, url: &str) -> Value {
    document["openapi"] = json!("3.1.0");
    document["info"]["license"] = json!({"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"});
    document["servers"] = json!([{"url": url, "description": "This server."}]);
    document["security"] = json!([{"bearerAuth": []}]);
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    for operation in operations.iter().filter(|operation| operation.tag.is_some()) {
        let listed = &mut document["paths"][operation.path][operation.method.to_lowercase()];
        if let Some(listed) = listed.as_object_mut() {
            listed.extend(described(operation, &mut generator));
        }
    }
    generator.subschema_for::<ProblemDocument>();
    document["components"] = json!({
        "schemas": generator.take_definitions(true),
        "securitySchemes": {"bearerAuth": {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "The `access_token` of `POST /v1/auth/login`, or the token of an API key.",
        }},
    });
    document
}

/// The members of an operation that are more than names and sentences.
fn described(operation: &Operation, generator: &mut SchemaGenerator) -> Map<String, Value> {
    let mut members = Map::new();
    let mut set = |name: &str, value: Value| members.insert(name.to_owned(), value);
    set("security", if operation.access == Access::Public { json!([]) } else { json!([{"bearerAuth": []}]) });
    if let Access::Needs(permission) = operation.access {
        set("x-permission", permission.as_str().into());
    }
    let parameters = parameters(operation);
    if !parameters.is_empty() {
        set("parameters", parameters.into());
    }
    if operation.reads_body() {
        let media = |(media_type, describe): &(&str, Describe)| ((*media_type).to_owned(), describe(generator));
        let content: Map<String, Value> = operation.body.iter().map(media).collect();
        set("requestBody", json!({"required": true, "content": content}));
    }
    set("responses", responses(operation, generator));
    members
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let described = |place: &'static str| {
        move |parameter: &Parameter| {
            json!({"name": parameter.name, "in": place, "required": parameter.required,
                   "description": parameter.description, "schema": (parameter.schema)()})
        }
    };
    let in_path = operation.in_path.iter().map(described("path"));
    let in_query = operation.query.iter().map(described("query"));
    in_path.chain(in_query).chain(operation.headers.iter().map(described("header"))).collect()
}

fn responses(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let representation = match operation.produces {
        Produces::Json(describe) | Produces::Ndjson(describe) => Some(describe(generator)),
        Produces::Text => Some(json!({"schema": {"type": "string"}})),
        Produces::Nothing | Produces::File => None,
    };
    let representation = operation.produces.media_type().zip(representation);
    let mut responses = Map::new();
    for (status, meaning) in operation.answers {
        let mut response = json!({"description": meaning});
        if let (Some((media_type, described)), 200..=202) = (&representation, *status) {
            response["content"] = json!({*media_type: described});
        }
        let headers = success_headers(operation, *status);
        if !headers.is_empty() {
            response["headers"] = headers.into();
        }
        responses.insert(status.to_string(), response);
    }
    responses.extend(problems(operation));
    responses.into()
}

/// The answers to an operation that went wrong, by their statuses.
fn problems(operation: &Operation) -> Map<String, Value> {
    let mut by_status: Vec<(StatusCode, Vec<ProblemKind>)> = Vec::new();
    for kind in operation.all_problems() {
        match by_status.last_mut() {
            Some((status, kinds)) if *status == kind.status() => kinds.push(kind),
            _ => by_status.push((kind.status(), vec![kind])),
        }
    }
    let described = by_status.into_iter().map(|(status, kinds)| {
        let titles: Vec<&str> = kinds.iter().map(|kind| kind.title()).collect();
        let examples: Map<String, Value> = kinds
            .iter()
            .map(|kind| (kind.slug().to_owned(), json!({"value": problem_example(*kind, operation)})))
            .collect();
        let mut response = json!({
            "description": format!("{}.", titles.join(", or: ")),
            "content": {"application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples,
            }},
        });
        if let Some((name, description, example)) = problem_header(status) {
            response["headers"] =
                json!({name: {"description": description, "schema": {"type": "string"}, "example": example}});
        }
        (status.as_str().to_owned(), response)
    });
    described.collect()
}

fn success_headers(operation: &Operation, status: u16) -> Map<String, Value> {
    // What a batch creates is many things, which its lines name.
    let is_json = matches!(operation.produces, Produces::Json(_));
    let creates = is_json && operation.answers.iter().any(|(status, _)| *status == 201);
    let pages = operation.query.iter().any(|parameter| parameter.name == "cursor");
    let header = |name: &str, description: &str, example: &str| {
        let value = json!({"description": description, "schema": {"type": "string"}, "example": example});
        (name.to_owned(), value)
    };
    let mut headers = Map::new();
    if status != 204 {
        let own = |own: &AnswerHeader| header(own.name, own.description, own.example);
        headers.extend(operation.answer_headers.iter().map(own));
    }
    if creates {
        let path = format!("{}/0199d3a0-0000-7000-8000-000000000002", operation.path);
        headers.extend([header("Location", "Where it is.", &path)]);
    }
    if pages {
        let link = format!("<{}?limit=50&cursor=…>; rel=\"next\"", operation.path);
        headers.extend([header("Link", "The page that follows, if any (RFC 8288).", &link)]);
    }
    headers
}

fn problem_header(status: StatusCode) -> Option<(&'static str, &'static str, &'static str)> {
    match status {
        StatusCode::UNAUTHORIZED => Some(("WWW-Authenticate", "The challenge (RFC 6750).", "Bearer realm=\"mass\"")),
        StatusCode::FORBIDDEN => Some((
            "WWW-Authenticate",
            "When a permission is missing: which (RFC 6750).",
            "Bearer realm=\"mass\", error=\"insufficient_scope\", scope=\"mass:write\"",
        )),
        StatusCode::TOO_MANY_REQUESTS => Some((
            "Retry-After",
            "How many seconds to wait; or, where a quota of the day is used up, the date from which on there is another.",
            "5",
        )),
        StatusCode::SERVICE_UNAVAILABLE => Some(("Retry-After", "How many seconds to wait.", "5")),
        _ => None,
    }
}

fn problem_example(kind: ProblemKind, operation: &Operation) -> Value {
    let mut example = json!({
        "type": format!("/problems/{}", kind.slug()), "title": kind.title(), "status": kind.status().as_u16(),
        "instance": operation.path, "request_id": "0199d3a0-0000-7000-8000-000000000003",
    });
    if matches!(kind, ProblemKind::Conflict | ProblemKind::KeyReused | ProblemKind::Gone) && operation.method == "POST"
    {
        example["first_id"] = json!("0199d3a0-0000-7000-8000-000000000002");
    }
    if kind == ProblemKind::ContractViolation {
        example["violations"] = json!([{
            "stage": "semantic", "pointer": "/metrics/humidity_percent", "code": "range",
            "detail": "A relative humidity lies between 0 and 100 %.", "expected": "0 … 100", "actual": "140",
        }]);
    }
    if kind == ProblemKind::InvalidParameter {
        example["violations"] = json!([{
            "stage": "structural", "pointer": "?limit", "code": "parameter", "detail": "A whole number from 1 to 500.",
        }]);
    }
    example
}
