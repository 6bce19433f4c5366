//! The OpenAPI 3.1 document, written from the operations.
//!
//! paperclip lists the operations with their names and sentences; schemars describes the models that they refer to; the rest
//! is added here.

mod plain;
mod problems;

use std::sync::OnceLock;

use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse};
use paperclip::actix::OpenApiExt;
use paperclip::v2::models::{DefaultApiRaw, Info, Tag};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::{Map, Value, json};

use super::operations::{Access, AnswerHeader, Describe, Factor, Operation, Operations, Parameter, Produces, lines};
use super::problem::{Problem, ProblemDocument};
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

/// The id of an object, in examples.
const EXAMPLE_ID: &str = "0199d3a0-0000-7000-8000-000000000002";

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
    let settings = settings.with_transform(RecursiveTransform(plain::reduce));
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
    if operation.factor == Factor::Fresh {
        set("x-second-factor", "fresh".into());
    }
    let parameters = parameters(operation);
    if !parameters.is_empty() {
        set("parameters", parameters.into());
    }
    if operation.reads_body() {
        let media = |(media_type, describe): &(&str, Describe)| ((*media_type).to_owned(), describe(generator));
        let content: Map<String, Value> = operation.body.iter().map(media).collect();
        set("requestBody", json!({"required": !operation.optional_body, "content": content}));
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
    let text = json!({"schema": {"type": "string"}});
    let representations = match operation.produces {
        Produces::Json(describe) => vec![describe(generator)],
        Produces::Ndjson(describe) => vec![described_lines(describe, generator)],
        Produces::NdjsonOrCsv(describe) => vec![described_lines(describe, generator), text],
        Produces::JsonOrCsv(describe) => vec![describe(generator), text],
        Produces::JsonCsvOrPdf(describe) => vec![describe(generator), text.clone(), text],
        Produces::NdjsonOrJson(line, document) => vec![described_lines(line, generator), document(generator)],
        Produces::Text => vec![text],
        Produces::Nothing | Produces::File => Vec::new(),
    };
    let media_types = operation.produces.media_types().iter().map(|name| (*name).to_owned());
    let content: Map<String, Value> = media_types.zip(representations).collect();
    let mut responses = Map::new();
    for (status, meaning) in operation.answers {
        let mut response = json!({"description": meaning});
        if matches!(*status, 200..=202) && !content.is_empty() {
            response["content"] = content.clone().into();
        }
        let headers = success_headers(operation, *status);
        if !headers.is_empty() {
            response["headers"] = headers.into();
        }
        responses.insert(status.to_string(), response);
    }
    responses.extend(problems::problems(operation, generator));
    responses.into()
}

/// Describes a body of lines, with the examples of the line's model as its example.
fn described_lines(describe: Describe, generator: &mut SchemaGenerator) -> Value {
    let line = describe(generator);
    let name = model_name(&line);
    let model = generator.definitions().get(name);
    let examples = model.and_then(|model| model["examples"].as_array()).map_or(&[][..], Vec::as_slice);
    lines(&line, &format!("Lines (NDJSON), each a `{name}`."), examples)
}

/// Returns the name of the model that a described body refers to.
fn model_name(described: &Value) -> &str {
    described["schema"]["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()).unwrap_or_default()
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
    if creates && !headers.contains_key("Location") {
        let (name, mut location) = header("Location", "Where it is.", &format!("{}/{EXAMPLE_ID}", operation.path));
        location["required"] = json!(true);
        headers.insert(name, location);
    }
    if pages {
        let link = format!("<{}?limit=50&cursor=…>; rel=\"next\"", operation.path);
        headers.extend([header("Link", "The page that follows, if any (RFC 8288).", &link)]);
    }
    headers
}
