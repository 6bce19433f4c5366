//! The operations of the OpenAPI document.

use std::collections::HashMap;
use std::sync::LazyLock;

use jsonschema::Validator;
use mass_app::http::OPERATIONS;
use mass_app::http::openapi;
use mass_app::http::public::PublicUrl;
use mass_domain::access::Permission;
use reqwest::Method;
use serde_json::{Value, json};

use super::documents;

/// Returns the OpenAPI document as text.
pub(crate) fn document() -> String {
    openapi::document(OPERATIONS, &PublicUrl::default()).unwrap()
}

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(&document()).unwrap());

/// An operation of the document.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) method: Method,
    /// Its path, with names in braces.
    pub(crate) path: String,
    described: &'static Value,
}

/// Every operation of the document.
pub(crate) fn all() -> Vec<Operation> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(|(method, described)| Operation {
            method: method.to_uppercase().parse().unwrap(),
            path: path.clone(),
            described,
        })
    });
    operations.collect()
}

/// Every operation that needs a token.
pub(crate) fn protected() -> Vec<Operation> {
    all().into_iter().filter(|operation| !operation.is_public()).collect()
}

/// Every operation on a MASS request.
pub(crate) fn on_a_request() -> Vec<Operation> {
    all().into_iter().filter(|operation| operation.path.starts_with("/v1/mass-requests/{id}")).collect()
}

/// Panics if the document does not allow this answer of the operation.
pub(crate) fn check(method: &Method, path: &str, status: u16, media_type: &str, body: &[u8]) {
    let asked = if *method == Method::HEAD { &Method::GET } else { method };
    let here = at(path);
    match here.iter().find(|operation| operation.method == *asked) {
        Some(operation) => operation.check(status, media_type, (*method != Method::HEAD).then_some(body)),
        // A preflight comes from browsers, not from clients of the API.
        None if *method == Method::OPTIONS && status == 204 => {}
        None if here.is_empty() => {}
        None => assert_eq!(status, 405, "{method} {path}"),
    }
}

/// The validators of the document's models, by name.
static MODELS: LazyLock<HashMap<String, Validator>> = LazyLock::new(|| {
    let names = DOCUMENT["components"]["schemas"].as_object().unwrap().keys();
    let model = |name: &String| {
        let reference = format!("#/components/schemas/{name}");
        let schema = json!({"$ref": reference, "components": DOCUMENT["components"]});
        (reference, jsonschema::draft202012::new(&schema).unwrap())
    };
    names.map(model).collect()
});

/// Returns the operations of a path. As in routing, literal segments precede names in braces.
fn at(path: &str) -> Vec<Operation> {
    let here: Vec<_> = all().into_iter().filter(|operation| operation.is_at(path)).collect();
    let literal: Vec<_> = here.iter().filter(|operation| operation.path == path).cloned().collect();
    if literal.is_empty() { here } else { literal }
}

impl Operation {
    pub(crate) fn is_public(&self) -> bool {
        self.described["security"] == json!([])
    }

    /// Returns the permission that it needs, if any.
    pub(crate) fn permission(&self) -> Option<Permission> {
        self.described["x-permission"].as_str().map(|name| name.parse().unwrap())
    }

    /// Returns its path with this id.
    pub(crate) fn path_to(&self, id: &str) -> String {
        if ["/v1/mappings/", "/v1/alert-rules/", "/v1/webhooks/"].iter().any(|start| self.path.starts_with(start)) {
            return self.path.replace("{name}", id);
        }
        let path = self.path.replace("{date}", "9000-01-01");
        path.replace("{id}", id).replace("{name}", "device").replace("{version}", "1.1").replace("{tenant}", id)
    }

    /// Returns its path with this id and its required query.
    pub(crate) fn target(&self, id: &str) -> String {
        let path = self.path_to(id);
        let parameters = self.described["parameters"].as_array().into_iter().flatten();
        let needed = parameters.filter(|parameter| parameter["in"] == "query" && parameter["required"] == true);
        // Needs any of its filters, and none in particular; the contract is none with a legal hold.
        if self.method == Method::DELETE && path == "/v1/mass-requests" {
            return format!("{path}?device_id=no-such-device&contract=device/1.1");
        }
        let pairs: Vec<String> = needed
            .map(|parameter| {
                let example = &parameter["schema"]["examples"][0];
                let example = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
                format!("{}={example}", parameter["name"].as_str().unwrap())
            })
            .collect();
        if pairs.is_empty() { path } else { format!("{path}?{}", pairs.join("&")) }
    }

    /// Returns an example body, if it takes one.
    pub(crate) fn body(&self) -> Option<Value> {
        let content = self.described.pointer("/requestBody/content/application~1json/schema/$ref")?;
        Some(match content.as_str().unwrap().rsplit('/').next().unwrap() {
            "MassDocument" => documents::reading("dev-1"),
            "MassDocuments" => json!([documents::reading("dev-1")]),
            "MassRequestStatusChange" => json!({"status": "processing"}),
            "LoginCredentials" => json!({"email": super::FOUNDER, "password": super::PASSWORD}),
            other => {
                let example = DOCUMENT["components"]["schemas"][other].pointer("/examples/0");
                example.unwrap_or_else(|| panic!("no example of a {other}")).clone()
            }
        })
    }

    /// Tells whether it takes bodies of a media type, given as a token of a JSON pointer.
    pub(crate) fn takes(&self, media_type: &str) -> bool {
        self.described.pointer(&format!("/requestBody/content/{media_type}")).is_some()
    }

    fn check(&self, status: u16, media_type: &str, body: Option<&[u8]>) {
        let answer = &self.described["responses"][status.to_string()];
        assert!(answer.is_object(), "{status} is not documented for {} {}", self.method, self.path);
        let Some(body) = body else { return };
        let Some(content) = answer["content"].as_object() else {
            return assert_eq!(body, b"", "{status} is documented without a body for {}", self.path);
        };
        let described = content.get(media_type);
        let described =
            described.unwrap_or_else(|| panic!("{status} {media_type} is not documented for {}", self.path));
        let in_lines = media_type == "application/x-ndjson";
        let model = if in_lines { "/schema/contentSchema/items/$ref" } else { "/schema/$ref" };
        match described.pointer(model).and_then(Value::as_str) {
            None => {
                let has_none = ["application/pdf", "text/plain"].contains(&media_type);
                assert!(has_none, "{status} has no model for {} as {media_type}", self.path);
            }
            Some(model) if in_lines => {
                body.split_inclusive(|byte| *byte == b'\n').for_each(|line| self.check_model(model, line));
            }
            Some(model) => self.check_model(model, body),
        }
    }

    fn check_model(&self, model: &str, body: &[u8]) {
        let body: Value = serde_json::from_slice(body).unwrap();
        let faults: Vec<String> = MODELS[model].iter_errors(&body).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{model} is not what {} answers with: {faults:?} {body}", self.path);
    }

    fn is_at(&self, path: &str) -> bool {
        let (mut pattern, mut parts) = (self.path.split('/'), path.split('/'));
        loop {
            match (pattern.next(), parts.next()) {
                (None, None) => return true,
                (Some(pattern), Some(part)) if pattern == part || (pattern.starts_with('{') && !part.is_empty()) => {}
                _ => return false,
            }
        }
    }
}
