//! The error answers of an operation, with examples that are made as the answers are.

use actix_web::http::StatusCode;
use mass_domain::trace::RequestId;
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::{EXAMPLE_ID, described_lines, model_name};
use crate::http::body::{NOT_AN_OBJECT, broken, violation};
use crate::http::operations::{Access, Operation, Produces};
use crate::http::problem::{Problem, ProblemKind};
use crate::http::query::unknown_parameter;
use crate::http::violations::example_violations;

/// Describes the error answers of an operation by their statuses.
pub(super) fn problems(operation: &Operation, generator: &mut SchemaGenerator) -> Map<String, Value> {
    let mut by_status: Vec<(StatusCode, Vec<ProblemKind>)> = Vec::new();
    for kind in operation.all_problems() {
        match by_status.last_mut() {
            Some((status, kinds)) if *status == kind.status() => kinds.push(kind),
            _ => by_status.push((kind.status(), vec![kind])),
        }
    }
    let described = by_status.into_iter().map(|(status, kinds)| {
        let titles: Vec<&str> = kinds.iter().map(|kind| kind.title()).collect();
        let example = |kind: &ProblemKind| {
            (kind.slug().to_owned(), json!({"value": problem_example(*kind, operation, generator)}))
        };
        let examples: Map<String, Value> = kinds.iter().map(example).collect();
        let mut response = json!({
            "description": format!("{}.", titles.join(", or: ")),
            "content": {"application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples,
            }},
        });
        if let Produces::NdjsonOrJson(line, _) = operation.produces
            && status != StatusCode::NOT_ACCEPTABLE
        {
            response["content"]["application/x-ndjson"] = described_lines(line, generator);
        }
        if let Some((name, header)) = header(status, operation) {
            response["headers"] = json!({name: header});
        }
        (status.as_str().to_owned(), response)
    });
    described.collect()
}

/// Describes the header that an error answer has. It is marked as required if every such answer has it.
fn header(status: StatusCode, operation: &Operation) -> Option<(&'static str, Value)> {
    let header = |description: &str, example: &str, required: bool| {
        let mut header = json!({"description": description, "schema": {"type": "string"}, "example": example});
        if required {
            header["required"] = json!(true);
        }
        header
    };
    match (status, operation.access) {
        (StatusCode::UNAUTHORIZED, _) => {
            Some(("WWW-Authenticate", header("The challenge (RFC 6750).", "Bearer realm=\"mass\"", true)))
        }
        (StatusCode::FORBIDDEN, Access::Needs(permission)) => {
            let example = format!(r#"Bearer realm="mass", error="insufficient_scope", scope="{permission}""#);
            Some(("WWW-Authenticate", header("When a permission is missing: which (RFC 6750).", &example, false)))
        }
        (StatusCode::TOO_MANY_REQUESTS, _) => {
            let description = "How many seconds to wait; or, where a quota of the day is used up, the date from which \
                on there is another.";
            Some(("Retry-After", header(description, "5", true)))
        }
        (StatusCode::SERVICE_UNAVAILABLE, _) => Some(("Retry-After", header("How many seconds to wait.", "5", true))),
        _ => None,
    }
}

fn problem_example(kind: ProblemKind, operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let first = || Problem::new(kind).member("first_id", EXAMPLE_ID);
    let problem = match (kind, operation.access) {
        (ProblemKind::Unauthenticated, _) => Problem::unauthenticated(None),
        (ProblemKind::Forbidden, Access::Needs(permission)) => Problem::forbidden(permission),
        (ProblemKind::Conflict | ProblemKind::KeyReused, _) => first(),
        // Of an idempotency key whose request was deleted.
        (ProblemKind::Gone, _) if operation.in_path.is_empty() => first(),
        (ProblemKind::ContractViolation, _) => refused_body(operation, generator),
        (ProblemKind::InvalidParameter, _) => unknown_parameter("colour", operation.query),
        _ => Problem::new(kind),
    };
    RequestId::parse("0199d3a0-0000-7000-8000-000000000003")
        .map_or(Value::Null, |request_id| json!(problem.document(&instance(operation), &request_id)))
}

/// Makes the problem of a document that breaks a rule, or of another body that lacks a member.
fn refused_body(operation: &Operation, generator: &mut SchemaGenerator) -> Problem {
    let Some((_, describe)) = operation.body.first() else { return broken(Vec::new()) };
    let described = describe(generator);
    let name = model_name(&described);
    if name == "MassDocument" {
        return broken(example_violations()).member("contract", "device/1.1");
    }
    let required = generator.definitions().get(name).and_then(|model| model["required"][0].as_str());
    match required {
        Some(member) => violation(String::new(), "shape", &format!("Missing field `{member}`.")),
        None => violation(String::new(), "type", NOT_AN_OBJECT),
    }
}

/// Returns the path of a call of the operation.
fn instance(operation: &Operation) -> String {
    let named = [("{id}", EXAMPLE_ID), ("{tenant}", "site-7"), ("{name}", "device"), ("{version}", "1.2")];
    named.iter().fold(operation.path.to_owned(), |path, (name, value)| path.replace(name, value))
}
