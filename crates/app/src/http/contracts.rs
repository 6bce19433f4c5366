//! The contracts that documents can conform to.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::web;
use mass_domain::contracts;
use mass_domain::tenancy::TenantId;
use mass_domain::time::{Clock, Timestamp};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::operations::{Access, Operation, Parameter, Produces, Tag, model};
use super::problem::{Problem, ProblemKind};
use super::public::PublicUrl;
use super::query::Query;
use super::reply::{Call, Reply};

const TAG: Tag = Tag { name: "contracts", description: "What documents have to look like." };

/// The operations.
pub const OPERATIONS: &[Operation] = &[LIST, GET];

const LIST: Operation = Operation {
    id: "listContracts",
    summary: "List the contracts.",
    description: "Every contract that a document can conform to.",
    tag: Some(TAG),
    produces: Produces::Json(model::<ContractList>),
    answers: &[(200, "Every contract.")],
    store: false,
    ..Operation::get("/v1/contracts", Access::Authenticated, || web::to(list))
};

async fn list(_call: Call, query: Query, public: web::Data<PublicUrl>) -> Result<Reply<ContractList>, Problem> {
    query.finish()?;
    let entry = |contract: &'static contracts::Contract| ContractEntry {
        id: contract.id().to_string(),
        name: contract.id().name(),
        version: contract.id().version(),
        summary: contract.summary(),
        href: format!("{}/v1/contracts/{}", public.path(), contract.id()),
    };
    Reply::ok(&ContractList { items: contracts::all().iter().copied().map(entry).collect() })
}

const GET: Operation = Operation {
    id: "getContract",
    summary: "Fetch a contract.",
    description: "Its JSON Schema, and an example that passes for the caller.",
    tag: Some(TAG),
    in_path: &[
        Parameter::new("name", "The contract's name.", || json!({"type": "string"})).required(),
        Parameter::new("version", "The contract's version.", || json!({"type": "string"})).required(),
    ],
    produces: Produces::Json(model::<Contract>),
    answers: &[(200, "The contract.")],
    problems: &[ProblemKind::NotFound],
    store: false,
    ..Operation::get("/v1/contracts/{name}/{version}", Access::Authenticated, || web::to(get))
};

async fn get(
    call: Call,
    path: web::Path<(String, String)>,
    query: Query,
    clock: web::Data<Arc<dyn Clock>>,
) -> Result<Reply<Contract>, Problem> {
    query.finish()?;
    let absent = || Problem::new(ProblemKind::NotFound).detail("There is no such contract.");
    let contract = contracts::find(&path.0, &path.1).ok_or_else(absent)?;
    Reply::ok(&Contract {
        id: contract.id().to_string(),
        name: contract.id().name(),
        version: contract.id().version(),
        summary: contract.summary(),
        schema: contract.schema(),
        example: contract.example(call.principal.tenant(), clock.now()),
    })
}

/// The contracts that documents can conform to.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"items": [{
    "id": "device/1.1", "name": "device", "version": "1.1", "summary": "One reading of one device.",
    "href": "/v1/contracts/device/1.1",
}]}))]
pub struct ContractList {
    /// All of them.
    pub items: Vec<ContractEntry>,
}

/// A contract in the list.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "id": "device/1.1", "name": "device", "version": "1.1", "summary": "One reading of one device.",
    "href": "/v1/contracts/device/1.1",
}))]
pub struct ContractEntry {
    /// Name and version.
    pub id: String,
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Purpose.
    pub summary: &'static str,
    /// The path of its schema and example.
    pub href: String,
}

/// A contract with its schema and an example.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({
    "id": "simple/1.0", "name": "simple", "version": "1.0", "summary": "Quick tests and free-form data.",
    "schema": {"type": "object", "properties": {"payload": {"type": "object"}}, "required": ["payload"]},
    "example": {"payload": {"inlet_celsius": 22.4}},
}))]
pub struct Contract {
    /// Name and version.
    pub id: String,
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Purpose.
    pub summary: &'static str,
    /// JSON Schema (draft 2020-12) of the structural and contract stages.
    #[schemars(with = "Map<String, Value>")]
    pub schema: Value,
    /// A document that passes for the caller.
    #[schemars(with = "Map<String, Value>")]
    pub example: Value,
}

/// Describes a body that is a document, with an example under each contract.
pub(super) fn document(generator: &mut SchemaGenerator) -> Value {
    json!({"schema": generator.subschema_for::<Document>(), "examples": examples()})
}

/// Describes a body that is an array of documents.
pub(super) fn documents(generator: &mut SchemaGenerator) -> Value {
    json!({"schema": generator.subschema_for::<Documents>()})
}

struct Document;

impl JsonSchema for Document {
    fn schema_name() -> Cow<'static, str> {
        "MassDocument".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut any_of = Vec::new();
        for contract in contracts::all() {
            let mut schema = contract.schema();
            if let Some(schema) = schema.as_object_mut() {
                schema.remove("$schema");
                schema.remove("$id");
                // The component's name is the name of the type.
                schema.remove("title");
            }
            let name = schema_name(contract);
            any_of.push(json!({"$ref": format!("#/components/schemas/{name}")}));
            generator.definitions_mut().insert(name, schema);
        }
        json_schema!({
            "description": "A document under one of the contracts, which its members make known.", "anyOf": any_of,
        })
    }
}

struct Documents;

impl JsonSchema for Documents {
    fn schema_name() -> Cow<'static, str> {
        "MassDocuments".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Documents, each under one of the contracts.", "type": "array",
            "items": generator.subschema_for::<Document>(),
            "examples": [[{"payload": {"pue": 1.31}}, {"payload": {"pue": 1.29}}]],
        })
    }
}

fn schema_name(contract: &contracts::Contract) -> String {
    let id = contract.id();
    let mut name: Vec<char> = id.name().chars().collect();
    if let Some(first) = name.first_mut() {
        *first = first.to_ascii_uppercase();
    }
    format!("{}{}", name.into_iter().collect::<String>(), id.version().replace('.', "_"))
}

fn examples() -> Value {
    let tenant = TenantId::parse("default").ok();
    let instant = Timestamp::from_unix_micros(1_795_543_200_000_000);
    let (Some(tenant), Some(instant)) = (tenant, instant) else { return json!({}) };
    let example = |contract: &&'static contracts::Contract| {
        (contract.id().to_string(), json!({"summary": contract.summary(), "value": contract.example(&tenant, instant)}))
    };
    contracts::all().iter().map(example).collect::<Map<_, _>>().into()
}
