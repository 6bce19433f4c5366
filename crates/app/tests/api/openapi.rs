//! The OpenAPI document: it equals the golden copy, describes every operation, and its examples are valid.

use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;

use jsonschema::Validator;
use mass_app::http::OPERATIONS;
use mass_app::http::operations::{Access, Operation, Produces};
use mass_domain::contracts::{self, ValidationContext};
use mass_domain::json;
use mass_domain::time::Timestamp;
use serde_json::{Value, json};

use crate::support::operations::{self, document};
use crate::support::process::{Workplace, repository};
use crate::support::{TestApp, documents};

on_both!(a_refused_body_is_answered_as_its_example_says,);

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(&document()).unwrap());

/// The operations that the document describes: all but the pages for browsers.
fn described() -> impl Iterator<Item = &'static Operation> {
    let is_page = |it: &Operation| matches!(it.produces, Produces::File) || it.path == "/openapi.json";
    OPERATIONS.iter().filter(move |operation| !is_page(operation))
}

fn description_of(operation: &Operation) -> &'static Value {
    &DOCUMENT["paths"][operation.path][operation.method.to_lowercase()]
}

fn name(operation: &Operation) -> String {
    format!("{} {}", operation.method, operation.path)
}

/// Visits every value of the document with its pointer.
fn walk(value: &'static Value, pointer: &str, visit: &mut impl FnMut(&str, &'static Value)) {
    visit(pointer, value);
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| walk(item, &format!("{pointer}/{index}"), visit));
        }
        Value::Object(members) => {
            let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
            members.iter().for_each(|(key, member)| walk(member, &format!("{pointer}/{}", escaped(key)), visit));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn everywhere(mut visit: impl FnMut(&str, &'static Value)) {
    walk(&DOCUMENT, "", &mut visit);
}

/// A validator for a schema of the document, with its components.
fn validator(schema: &Value) -> Validator {
    let mut schema = schema.clone();
    schema["components"] = DOCUMENT["components"].clone();
    jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
}

#[track_caller]
fn assert_valid(schema: &Value, example: &Value, place: &str) {
    let faults: Vec<String> =
        validator(schema).iter_errors(example).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(faults.is_empty(), "{place}: {faults:?} in {example}");
}

#[test]
fn the_golden_copy_matches_the_program() {
    let golden = fs::read_to_string(repository().join("docs/openapi.json")).unwrap();
    let printed = Workplace::sqlite().mass(&["openapi"]);
    assert_eq!((printed.status, printed.stderr.as_str()), (Some(0), ""));
    assert!(printed.stdout == golden, "docs/openapi.json is out of date; write it anew with: just openapi");
}

#[test]
fn exactly_the_operations_are_described() {
    let in_table: BTreeSet<String> = described().map(name).collect();
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let methods =
        |item: &Value| item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect::<Vec<_>>();
    let in_document: BTreeSet<String> = paths
        .iter()
        .flat_map(|(path, item)| methods(item).into_iter().map(move |method| format!("{method} {path}")))
        .collect();
    assert_eq!(in_document, in_table);
}

#[test]
fn every_operation_has_a_unique_id_summary_description_and_tag() {
    let tags: BTreeSet<&str> =
        DOCUMENT["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    let mut ids = BTreeSet::new();
    for operation in described() {
        let description = description_of(operation);
        let id = description["operationId"].as_str().unwrap();
        assert!(ids.insert(id), "{id} twice");
        for member in ["summary", "description"] {
            assert!(description[member].as_str().is_some_and(|text| text.len() > 5), "{}: {member}", name(operation));
        }
        let [tag] = &description["tags"].as_array().unwrap()[..] else { panic!("{}: tags", name(operation)) };
        assert!(tags.contains(tag.as_str().unwrap()), "{}: {tag}", name(operation));
    }
}

#[test]
fn every_operation_documents_its_token_and_permission() {
    for operation in described() {
        let description = description_of(operation);
        let (security, permission) = match operation.access {
            Access::Public => (json!([]), Value::Null),
            Access::Authenticated => (json!([{"bearerAuth": []}]), Value::Null),
            Access::Needs(permission) => (json!([{"bearerAuth": []}]), json!(permission.as_str())),
        };
        assert_eq!(description["security"], security, "{}", name(operation));
        assert_eq!(description["x-permission"], permission, "{}", name(operation));
    }
    let scheme = &DOCUMENT["components"]["securitySchemes"]["bearerAuth"];
    assert_eq!((&scheme["type"], &scheme["scheme"]), (&json!("http"), &json!("bearer")));
}

#[test]
fn exactly_the_possible_answers_are_described() {
    for operation in described() {
        let responses = description_of(operation)["responses"].as_object().unwrap();
        let problems = operation.all_problems();
        let successes = operation.answers.iter().map(|(status, _)| status.to_string());
        let failures = problems.iter().map(|kind| kind.status().as_u16().to_string());
        let expected: BTreeSet<String> = successes.chain(failures).collect();
        assert_eq!(responses.keys().cloned().collect::<BTreeSet<_>>(), expected, "{}", name(operation));
        for kind in problems {
            let media = &responses[kind.status().as_str()]["content"]["application/problem+json"];
            let example = &media["examples"][kind.slug()]["value"];
            assert_eq!(example["type"], format!("/problems/{}", kind.slug()), "{}", name(operation));
        }
    }
}

#[test]
fn every_success_with_a_body_has_a_model() {
    for operation in described().filter(|operation| matches!(operation.produces, Produces::Json(_))) {
        for (status, _) in operation.answers.iter().filter(|(status, _)| *status != 304) {
            let response = &description_of(operation)["responses"][status.to_string()];
            assert!(response["content"]["application/json"]["schema"].is_object(), "{} {status}", name(operation));
        }
    }
}

#[test]
fn every_parameter_is_described() {
    for operation in described() {
        let parameters = description_of(operation)["parameters"].as_array().cloned().unwrap_or_default();
        let known = operation.query.iter().chain(operation.headers).map(|parameter| parameter.name);
        let in_path = operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let expected: BTreeSet<&str> = known.chain(in_path).collect();
        assert_eq!(parameters.iter().map(|it| it["name"].as_str().unwrap()).collect::<BTreeSet<_>>(), expected);
        for parameter in &parameters {
            assert!(parameter["description"].as_str().is_some_and(|text| text.len() > 5), "{parameter}");
            assert!(parameter["schema"]["type"].is_string(), "{parameter}");
        }
    }
}

#[test]
fn every_model_and_member_is_described_and_every_body_has_an_example() {
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().unwrap() {
        assert!(schema["description"].is_string(), "{name}");
        for (member, schema) in schema["properties"].as_object().into_iter().flatten() {
            assert!(schema["description"].is_string() || schema["$ref"].is_string(), "{name}.{member}: {schema}");
        }
    }
    everywhere(|pointer, value| {
        if pointer.ends_with("/content/application~1json") {
            let model = value["schema"]["$ref"].as_str().unwrap_or_else(|| panic!("{pointer}: no model"));
            let model = DOCUMENT.pointer(model.trim_start_matches('#')).unwrap();
            assert!(value["examples"].is_object() || model["examples"].is_array(), "{pointer}: no example");
        }
    });
}

#[test]
fn every_reference_resolves() {
    everywhere(|pointer, value| {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let target = reference.strip_prefix('#').unwrap_or_else(|| panic!("{pointer}: {reference}"));
            assert!(DOCUMENT.pointer(target).is_some(), "{pointer}: {reference}");
        }
    });
}

#[test]
fn every_example_of_a_body_is_valid_under_its_schema() {
    let mut examples = 0;
    everywhere(|pointer, media| {
        if let Some(named) = media.get("examples").filter(|_| media.get("schema").is_some()) {
            for (name, example) in named.as_object().unwrap() {
                assert_valid(&media["schema"], &example["value"], &format!("{pointer} {name}"));
                examples += 1;
            }
        }
    });
    assert!(examples > 50, "{examples}");
}

#[test]
fn every_example_in_a_schema_is_valid_under_it() {
    everywhere(|pointer, schema| {
        for example in schema.get("examples").and_then(Value::as_array).into_iter().flatten() {
            assert_valid(schema, example, pointer);
        }
    });
}

#[test]
fn every_example_of_a_document_passes_every_stage_of_its_contract() {
    let media = &DOCUMENT["paths"]["/v1/mass-requests"]["post"]["requestBody"]["content"]["application/json"];
    let examples = media["examples"].as_object().unwrap();
    assert_eq!(examples.len(), contracts::all().len());
    // The examples have the time of the document's creation.
    let now: Timestamp = examples["device/1.1"]["value"]["timestamp"].as_str().unwrap().parse().unwrap();
    for (contract, example) in examples {
        let text = example["value"].to_string();
        let facts = ValidationContext { now, body_bytes: text.len() };
        let examined = contracts::validate(&json::parse(text.as_bytes()).unwrap(), &facts).unwrap();
        assert_eq!((examined.contract.to_string().as_str(), &examined.warnings[..]), (contract.as_str(), &[][..]));
    }
}

/// Calls for every schema of the document's components, including those within others.
fn every_schema(mut visit: impl FnMut(&str, &'static Value)) {
    let schemas = &DOCUMENT["components"]["schemas"];
    walk(schemas, "", &mut |pointer, value| {
        let is_data = pointer.split('/').any(|part| ["examples", "enum", "required", "default"].contains(&part));
        let names_members = pointer.ends_with("/properties") || pointer.is_empty();
        if value.is_object() && !is_data && !names_members {
            visit(pointer, value);
        }
    });
}

#[test]
fn every_schema_has_a_form_that_client_generators_read() {
    every_schema(|pointer, schema| {
        // Generators prefer a title to the component's name, and make a class or a file of it.
        assert_eq!(schema["title"], Value::Null, "{pointer}");
        let choices = ["oneOf", "anyOf"].map(|keyword| schema[keyword].as_array());
        for choice in choices.into_iter().flatten().flatten() {
            assert!(choice["const"].is_null(), "{pointer}: constants are an `enum`: {schema}");
            assert!(choice["pattern"].is_null(), "{pointer}: one type for each value: {schema}");
        }
        if schema["enum"].is_array() || schema["const"].is_string() {
            assert!(!schema["type"].is_null(), "{pointer}: {schema}");
        }
    });
    for contract in ["Simple1_0", "Device1_1", "Device2_0", "Enterprise1_1"] {
        let mut objects = 0;
        every_schema(|pointer, schema| {
            if pointer.strip_prefix(&format!("/{contract}")).is_some() && schema["type"] == "object" {
                assert!(!schema["additionalProperties"].is_null(), "{pointer}");
                objects += 1;
            }
        });
        assert!(objects > 1, "{contract}");
    }
}

#[test]
fn no_model_has_a_name_that_says_nothing_outside_of_its_domain() {
    // Also names that Python and TypeScript have for something else.
    let taken = [
        "Page",
        "Document",
        "Documents",
        "Model",
        "Failure",
        "Flag",
        "Impact",
        "Queue",
        "Lease",
        "Settings",
        "Token",
        "Login",
        "Refresh",
        "Status",
        "Version",
        "Warning",
        "Error",
        "Event",
        "List",
        "Item",
        "Result",
        "Response",
    ];
    let mut names = BTreeSet::new();
    for name in DOCUMENT["components"]["schemas"].as_object().unwrap().keys() {
        assert!(!taken.contains(&name.as_str()) && !name.ends_with("Model") || name == "EngineModel", "{name}");
        // The names of files and classes in generated clients.
        assert!(names.insert(name.replace('_', "").to_lowercase()), "{name}");
    }
}

#[test]
fn json_is_the_first_of_several_media_types_and_lines_are_strings() {
    let (mut choices, mut lines) = (0, 0);
    everywhere(|pointer, value| {
        let Some(content) = pointer.ends_with("/content").then(|| value.as_object()).flatten() else { return };
        let has_texts_alone = content.values().all(|media| media["schema"]["type"] == "string");
        if content.len() > 1 && !has_texts_alone {
            let first = content.keys().next().unwrap();
            assert!(["application/json", "application/problem+json"].contains(&first.as_str()), "{pointer}: {first}");
            choices += 1;
        }
        if let Some(described) = content.get("application/x-ndjson") {
            assert_eq!(described["schema"]["type"], "string", "{pointer}");
            assert!(described["schema"]["contentSchema"]["items"]["$ref"].is_string(), "{pointer}");
            lines += 1;
        }
    });
    assert!(choices > 0 && lines > 0, "{choices} {lines}");
}

/// A body of a fixed shape is refused without its first member, or for not being an object.
async fn a_refused_body_is_answered_as_its_example_says(app: TestApp) {
    let app = app.restart(&[("--allow-registration", "true")]).await;
    // A mended record is judged only if there is one to mend.
    let kept = app.post("/v1/mass-requests?quarantine=true").json(&json!({})).await.expect(422).text("/quarantine_id");
    let mut examples = 0;
    for operation in operations::all() {
        let described = &DOCUMENT["paths"][&operation.path][operation.method.as_str().to_lowercase()];
        let content = &described["responses"]["422"]["content"]["application/problem+json"]["examples"];
        let example = &content["contract-violation"]["value"]["violations"];
        let body = match example[0]["code"].as_str() {
            Some("shape") => json!({}),
            Some("type") => json!([]),
            Some("range") => humid(),
            _ => continue,
        };
        let path = operation.path_to(&kept);
        let answer = app.founder().call(operation.method.clone(), &path).json(&body).await;
        assert_eq!(answer.expect_problem(422, "contract-violation").at("/violations"), *example, "{path}");
        examples += 1;
    }
    assert!(examples > 10, "{examples}");
}

fn humid() -> Value {
    let mut reading = documents::reading("dev-1");
    reading["metrics"]["humidity_percent"] = json!(140);
    reading
}

#[tokio::test]
async fn the_server_answers_with_the_same_document() {
    let workplace = Workplace::sqlite();
    let server = workplace.serve();
    let served = server.get("/openapi.json").send().await.unwrap().text().await.unwrap();
    assert_eq!(served, document());
}

#[test]
fn regressions_of_the_document_stay_fixed() {
    let batch = &DOCUMENT["paths"]["/v1/mass-requests/batch"]["post"]["responses"];
    assert_eq!(batch["201"]["headers"]["Location"], Value::Null, "a batch has no place of its own");
    let conflict = &DOCUMENT["paths"]["/v1/mass-requests"]["post"]["responses"]["409"]["content"];
    let example = &conflict["application/problem+json"]["examples"]["conflict"]["value"];
    assert!(example["first_id"].is_string(), "{example}");
    let kinds = &DOCUMENT["components"]["schemas"]["MassRequestEvent"]["properties"]["type"]["enum"];
    let actions: Vec<&str> = mass_domain::audit::Action::ALL.iter().map(|action| action.as_str()).collect();
    assert_eq!(kinds, &json!(actions));
}
