//! The OpenAPI 3.1 document, built once from the routes themselves.
//!
//! paperclip finds the routes, operation ids, sentences and models; schemars describes the models; the table of
//! [`operations`] adds who may call what, the parameters and every answer. A route without a row, or a row without a
//! route, fails the start.

use std::sync::{LazyLock, OnceLock};

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse};
use anyhow::{Context, bail};
use mass_domain::contracts;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use paperclip::actix::OpenApiExt;
use paperclip::v2::models::{DefaultApiRaw, Info, Tag};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::operations::{self, Access, OPERATIONS, Operation, Parameter, Produces};
use super::problem::ProblemKind;
use super::public::PublicUrl;
use super::{problem, routes, wire};

static DOCUMENT: LazyLock<anyhow::Result<String>> = LazyLock::new(build);

/// The document as text.
///
/// # Errors
/// When routes and operations do not agree: a fault in the program, found at its start.
pub fn document() -> anyhow::Result<&'static str> {
    DOCUMENT.as_deref().map_err(|error| anyhow::anyhow!("{error:#}"))
}

/// The document as text, with the address at which clients find the server.
///
/// # Errors
/// As [`document`].
pub fn document_at(url: &PublicUrl) -> anyhow::Result<Bytes> {
    let text = document()?;
    if url.as_str().is_empty() {
        return Ok(Bytes::from_static(text.as_bytes()));
    }
    let mut document: Value = serde_json::from_str(text)?;
    document["servers"] = json!([{"url": url.as_str(), "description": "This server."}]);
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text.into())
}

/// The document of a server, made at the first request for it.
pub struct Document {
    url: PublicUrl,
    text: OnceLock<Bytes>,
}

impl Document {
    /// The document of the server at this address.
    #[must_use]
    pub const fn new(url: PublicUrl) -> Self {
        Self { url, text: OnceLock::new() }
    }

    fn text(&self) -> anyhow::Result<Bytes> {
        if let Some(text) = self.text.get() {
            return Ok(text.clone());
        }
        let text = document_at(&self.url)?;
        Ok(self.text.get_or_init(|| text).clone())
    }
}

/// Answers with the document.
///
/// # Errors
/// As [`document`].
pub async fn serve(document: web::Data<Document>) -> Result<HttpResponse, problem::Problem> {
    let text = document.text().map_err(|error| problem::Problem::internal(&error))?;
    Ok(HttpResponse::Ok().content_type("application/json").body(text))
}

const DESCRIPTION: &str = "\
Pilots of data centres: a site reports its telemetry as *MASS requests*, JSON documents under a versioned contract. MASS \
validates them completely, normalises them deterministically, stores them durably and keeps an audit trail.\n\n\
Log in with `POST /v1/auth/login`, press *Authorize* and paste the `access_token`. Errors are problem documents \
(RFC 9457). Every answer carries `X-Request-Id` and `traceparent` (W3C Trace Context), the caller's own where it sent them. \
`RateLimit` and `RateLimit-Policy` tell what is left of the limits that a call counts against.";

fn build() -> anyhow::Result<String> {
    let tag = |name: &str, description: &str| Tag {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        ..Tag::default()
    };
    let spec = DefaultApiRaw {
        info: Info {
            title: "MASS".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: Some(DESCRIPTION.to_owned()),
            ..Info::default()
        },
        tags: vec![
            tag("auth", "Logging in and being recognised."),
            tag("contracts", "What documents have to look like."),
            tag("mass-requests", "Sending documents, and what became of them."),
            tag("recommendations", "Asking the engine, and what it would do."),
            tag("audit", "Who did what, and the proof that nobody changed it afterwards."),
            tag("admin", "Tenants, users, API keys, quotas, settings and deliveries."),
            tag("system", "For operators and orchestrators."),
        ],
        ..DefaultApiRaw::default()
    };
    let mut found = Value::Null;
    App::new().wrap_api_with_spec(spec).configure(routes).with_raw_json_spec_v3(|app, document| {
        found = document;
        app
    });
    let mut text = serde_json::to_string_pretty(&finish(found)?)?;
    text.push('\n');
    Ok(text)
}

fn finish(mut document: Value) -> anyhow::Result<Value> {
    document["openapi"] = json!("3.1.0");
    document["info"]["license"] = json!({"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"});
    document["servers"] = json!([{"url": "/", "description": "This server."}]);
    document["security"] = json!([{"bearerAuth": []}]);
    document["components"] = json!({
        "schemas": schemas(),
        "securitySchemes": {"bearerAuth": {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "The `access_token` of `POST /v1/auth/login`, or the token of an API key.",
        }},
    });
    let paths = document["paths"].as_object_mut().context("paperclip found no routes")?;
    let mut described = 0;
    for (path, item) in paths.iter_mut() {
        for (method, found) in item.as_object_mut().into_iter().flatten() {
            let operation = operations::on(path)
                .find(|operation| operation.method.eq_ignore_ascii_case(method))
                .with_context(|| format!("{method} {path} is routed, but not in the table of operations"))?;
            let found = found.as_object_mut().with_context(|| format!("{method} {path} is no object"))?;
            complete(operation, found);
            described += 1;
        }
    }
    let api = OPERATIONS.iter().filter(|operation| !is_page(operation)).count();
    if described != api {
        bail!("{api} operations are in the table, but {described} are routed");
    }
    Ok(document)
}

/// Pages are for browsers and are not described.
fn is_page(operation: &Operation) -> bool {
    operation.produces == Produces::File || operation.path == "/openapi.json"
}

fn schemas() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    wire::describe(&mut generator);
    let mut schemas = generator.take_definitions(true);
    let mut any_of = Vec::new();
    for contract in contracts::all() {
        let mut schema = contract.schema();
        if let Some(schema) = schema.as_object_mut() {
            schema.remove("$schema");
            schema.remove("$id");
        }
        let name = contract_schema_name(contract);
        any_of.push(json!({"$ref": format!("#/components/schemas/{name}")}));
        schemas.insert(name, schema);
    }
    schemas.insert(
        "Document".to_owned(),
        json!({"description": "A document under one of the contracts, which its members make known.", "anyOf": any_of}),
    );
    schemas.insert(
        "Documents".to_owned(),
        json!({"description": "Documents, each under one of the contracts.", "type": "array",
               "items": {"$ref": "#/components/schemas/Document"},
               "examples": [[{"payload": {"pue": 1.31}}, {"payload": {"pue": 1.29}}]]}),
    );
    Value::Object(schemas)
}

fn contract_schema_name(contract: &contracts::Contract) -> String {
    let id = contract.id();
    let mut name: Vec<char> = id.name().chars().collect();
    if let Some(first) = name.first_mut() {
        *first = first.to_ascii_uppercase();
    }
    format!("{}{}", name.into_iter().collect::<String>(), id.version().replace('.', "_"))
}

fn complete(operation: &Operation, found: &mut Map<String, Value>) {
    let words = match operation.access {
        Access::Public => "Public: needs no token.".to_owned(),
        Access::Authenticated => "Needs a token, and no particular permission.".to_owned(),
        Access::Needs(permission) => format!("Needs the permission `{permission}`."),
    };
    // A doc comment's lines are broken for the source's sake.
    let sentence = found.get("description").and_then(Value::as_str).unwrap_or_default().replace("\n ", " ");
    found.insert("description".to_owned(), format!("{sentence}\n\n{words}").trim().into());
    match operation.access {
        Access::Public => {
            found.insert("security".to_owned(), json!([]));
        }
        Access::Authenticated => {
            found.insert("security".to_owned(), json!([{"bearerAuth": []}]));
        }
        Access::Needs(permission) => {
            found.insert("security".to_owned(), json!([{"bearerAuth": []}]));
            found.insert("x-permission".to_owned(), permission.as_str().into());
        }
    }
    let in_path = found.get("parameters").and_then(Value::as_array).cloned().unwrap_or_default();
    let in_path = in_path.into_iter().filter(|parameter| parameter["in"] == "path").map(|parameter| {
        let name = parameter["name"].as_str().unwrap_or_default();
        let schema = match name {
            "id" => json!({"type": "string", "format": "uuid"}),
            "tenant" => json!({"type": "string", "maxLength": 63, "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"}),
            _ => json!({"type": "string"}),
        };
        json!({"name": name, "in": "path", "required": true, "description": parameter["description"], "schema": schema})
    });
    let described = |place: &'static str| {
        move |parameter: &Parameter| {
            let required = operation.needs.contains(&parameter.name);
            json!({"name": parameter.name, "in": place, "required": required, "description": parameter.description,
                   "schema": (parameter.schema)()})
        }
    };
    let parameters: Vec<Value> = in_path
        .chain(operation.query.iter().map(described("query")))
        .chain(operation.headers.iter().map(described("header")))
        .collect();
    if parameters.is_empty() {
        found.remove("parameters");
    } else {
        found.insert("parameters".to_owned(), parameters.into());
    }
    if operation.body {
        let schema = found.get("requestBody").and_then(|body| body.pointer("/content/application~1json/schema"));
        let media = match schema {
            Some(schema) => json!({"schema": schema}),
            None => json!({"schema": {"$ref": "#/components/schemas/Document"}, "examples": document_examples()}),
        };
        let content = match operation.types {
            ["application/json"] => json!({"application/json": media}),
            types => types.iter().map(|media_type| ((*media_type).to_owned(), records(media_type))).collect(),
        };
        found.insert("requestBody".to_owned(), json!({"required": true, "content": content}));
    }
    let model = found.get("responses").and_then(|responses| responses.pointer("/200/content"));
    let model = model.and_then(Value::as_object).and_then(|content| content.values().next()).cloned();
    let model = if operation.produces == Produces::Text { Some(json!({"schema": {"type": "string"}})) } else { model };
    found.insert("responses".to_owned(), responses(operation, model));
}

/// A body of many documents: an array of them in JSON, and a text that is no JSON in other types.
fn records(media_type: &str) -> Value {
    match media_type {
        "application/json" => json!({"schema": {"$ref": "#/components/schemas/Documents"}}),
        "text/csv" => json!({"schema": {
            "type": "string", "description": "A header row of members with dots, and a document a row.",
            "examples": ["timestamp,device.id\n2026-11-24T18:00:00Z,rack-7\n"],
        }}),
        _ => json!({"schema": {
            "type": "string", "description": "A document a line.", "examples": ["{\"payload\":{\"a\":1}}\n"],
        }}),
    }
}

fn document_examples() -> Value {
    let tenant = TenantId::parse("default").ok();
    let instant = Timestamp::from_unix_micros(1_795_543_200_000_000);
    let (Some(tenant), Some(instant)) = (tenant, instant) else { return json!({}) };
    let example = |contract: &&'static contracts::Contract| {
        (contract.id().to_string(), json!({"summary": contract.summary(), "value": contract.example(&tenant, instant)}))
    };
    contracts::all().iter().map(example).collect::<Map<_, _>>().into()
}

fn responses(operation: &Operation, model: Option<Value>) -> Value {
    let mut responses = Map::new();
    for (status, meaning) in operation.answers {
        let mut response = json!({"description": meaning});
        if let (Some(model), 200..=202) = (&model, *status) {
            let media_type = operation.produces.media_type().unwrap_or("application/json");
            response["content"] = json!({media_type: model});
        }
        let headers = success_headers(operation, *status);
        if !headers.is_empty() {
            response["headers"] = headers.into();
        }
        responses.insert(status.to_string(), response);
    }
    let mut by_status: Vec<(StatusCode, Vec<ProblemKind>)> = Vec::new();
    for kind in operation.all_problems() {
        match by_status.last_mut() {
            Some((status, kinds)) if *status == kind.status() => kinds.push(kind),
            _ => by_status.push((kind.status(), vec![kind])),
        }
    }
    for (status, kinds) in by_status {
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
        responses.insert(status.as_str().to_owned(), response);
    }
    responses.into()
}

fn success_headers(operation: &Operation, status: u16) -> Map<String, Value> {
    let one_request = ["/v1/mass-requests/{id}", "/v1/mass-requests/{id}/status"].contains(&operation.path);
    let sends = (operation.method, operation.path) == ("POST", "/v1/mass-requests");
    // What a batch creates is many things, which its lines name.
    let creates = operation.produces == Produces::Json && operation.answers.iter().any(|(status, _)| *status == 201);
    let pages = operation.query.iter().any(|parameter| parameter.name == "cursor");
    let header = |name: &str, description: &str, example: &str| {
        let value = json!({"description": description, "schema": {"type": "string"}, "example": example});
        (name.to_owned(), value)
    };
    let mut headers = Map::new();
    if (one_request || sends) && status != 204 {
        headers.extend([header("ETag", "The request's present version.", "\"v1\"")]);
    }
    if creates {
        let path = format!("{}/0199d3a0-0000-7000-8000-000000000002", operation.path);
        headers.extend([header("Location", "Where it is.", &path)]);
    }
    if status == 202 {
        let path = operation.path.replace("{id}/send", "0199d3a0-0000-7000-8000-000000000002/recommendations");
        headers.extend([header("Location", "Where the answer will be.", &path)]);
    }
    if sends {
        let replayed = "There and `true` when this repeats the first answer to the key.";
        headers.extend([header("Idempotent-Replayed", replayed, "true")]);
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
