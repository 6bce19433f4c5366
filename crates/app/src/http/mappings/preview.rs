//! A look at what a stored profile makes of the head of a file.

use actix_web::dev::Payload;
use actix_web::web::{self, BytesMut, block};
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use mass_domain::access::{Permission, Principal};
use mass_domain::canonical;
use mass_domain::mappings::MappingName;
use mass_mapping::{BrokenInput, Mapper, Outcome};
use mass_service::{DryRunError, MassService, Record, SentKey};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::{Service, TAG};
use crate::http::batch::mapped_violation;
use crate::http::body::{receive_as, sentence};
use crate::http::operations::{Access, Operation, Produces, model};
use crate::http::path::{InPath, PathId};
use crate::http::problem::{Problem, ProblemKind};
use crate::http::query::Query;
use crate::http::reply::{Call, Reply};
use crate::http::violations::{Violation, Warning};

/// The most bytes of the head of a file.
const MOST_BYTES: usize = 1 << 20;

/// The most records that are shown.
const MOST_RECORDS: usize = 20;

pub(super) const PREVIEW: Operation = Operation {
    id: "previewMapping",
    summary: "Preview a mapping profile.",
    description: "A dry run that stores nothing: the first 20 records that the profile makes of the head of a file, each with \
        the violations and warnings that sending it would give. A table or lines may be cut off after any of them; at most \
        1 MiB.",
    tag: Some(TAG),
    in_path: &[MappingName::PARAMETER],
    body: &[("application/octet-stream", any), ("text/csv", any)],
    produces: Produces::Json(model::<MappingPreview>),
    answers: &[(200, "The first records, whatever the verdict on them.")],
    problems: &[ProblemKind::NotFound],
    gives_verdicts: true,
    ..Operation::post("/v1/mappings/{name}/preview", Access::Needs(Permission::MassWrite), || web::to(preview))
};

/// Describes the head of a file of any form.
fn any(_: &mut SchemaGenerator) -> Value {
    json!({"schema": {"type": "string", "description": "The head of a file.", "examples": ["time;watts\n2026-01-05T09:00:00Z;412\n"]}})
}

/// The head of a file.
struct Head(BytesMut);

impl FromRequest for Head {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let types = "application/octet-stream, text/csv";
        let too_large = format!("The head of a file has at most {MOST_BYTES} bytes.");
        let body = receive_as(req, payload, types, MOST_BYTES, too_large);
        Box::pin(async move { body.await.map(|(_, body)| Self(body)) })
    }
}

async fn preview(
    call: Call,
    service: Service,
    mass: web::Data<MassService>,
    name: PathId<MappingName>,
    query: Query,
    head: Head,
) -> Result<Reply<MappingPreview>, Problem> {
    query.finish()?;
    let name = name.read()?;
    let mapping = service.find_for_sending(&call.principal, &name).await?.ok_or_else(MappingName::absent)?;
    let (mass, principal) = (mass.into_inner(), call.principal.clone());
    let looked = block(move || {
        let mapper = mapping.text.mapper().map_err(|errors| {
            let first = errors.first().map(ToString::to_string).unwrap_or_default();
            unreadable(&format!("the profile {name} is not valid any more: {first}"))
        })?;
        look(mapper, &head.0, &mass, &principal)
    });
    Reply::ok(&looked.await.map_err(|_| Problem::after_logging())??)
}

/// Makes records of the head of a file, and judges the first of them.
fn look(mut mapper: Mapper, head: &[u8], mass: &MassService, principal: &Principal) -> Result<MappingPreview, Problem> {
    let contract = mapper.contract();
    let (mut items, mut more) = (Vec::new(), false);
    let mut take = |outcome: Outcome<'_>| {
        if items.len() == MOST_RECORDS {
            more = true;
        } else {
            items.push(judge(outcome, mass, principal));
        }
    };
    let read = mapper.push(head, &mut take).and_then(|()| mapper.finish(&mut take));
    // What was read before a fault is shown all the same: the head of a file may end anywhere.
    if let (Err(BrokenInput { detail, line }), true) = (read, items.is_empty()) {
        return Err(unreadable(&format!("the mapping profile cannot read line {line}: {detail}")).member("line", line));
    }
    let items = items.into_iter().collect::<Result<_, _>>()?;
    Ok(MappingPreview { contract: contract.to_string(), items, more })
}

fn judge(outcome: Outcome<'_>, mass: &MassService, principal: &Principal) -> Result<PreviewedRecord, Problem> {
    match outcome {
        Outcome::Refused(row) => Ok(PreviewedRecord {
            line: row.line,
            source: row.original.to_text(),
            document: None,
            valid: false,
            violations: row.refusals.iter().map(|refusal| mapped_violation(refusal).into()).collect(),
            warnings: Vec::new(),
        }),
        Outcome::Record(record) => {
            let text = canonical::write_as_sent(&record.document);
            let (line, source) = (record.line, record.original.to_text());
            let verdict = mass.validate(principal, Record::new(record.document, record.bytes, SentKey::None));
            let verdict = verdict.map_err(|error: DryRunError| Problem::from(error))?;
            Ok(PreviewedRecord {
                line,
                source,
                document: Some(RawValue::from_string(text).map_err(|error| Problem::internal(&error.into()))?),
                valid: verdict.violations.is_empty(),
                violations: verdict.violations.into_iter().map(Into::into).collect(),
                warnings: verdict.warnings.into_iter().map(Into::into).collect(),
            })
        }
    }
}

fn unreadable(detail: &str) -> Problem {
    Problem::new(ProblemKind::BadRequest).detail(sentence(detail))
}

/// The first records that a profile makes of a file.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"contract": "simple/1.0", "items": [previewed()], "more": false}))]
pub(super) struct MappingPreview {
    /// The contract of the records.
    contract: String,
    /// The records, in their order, and the rows that become none.
    items: Vec<PreviewedRecord>,
    /// True if the head of the file has more of them.
    more: bool,
}

/// A record that a profile has made, or a row that becomes none.
#[derive(Serialize, JsonSchema)]
#[schemars(example = previewed())]
pub(super) struct PreviewedRecord {
    /// The line on which it begins, from 1.
    line: u64,
    /// Its rows as they came.
    source: String,
    /// The document; null of a row that becomes none.
    #[schemars(with = "Option<Map<String, Value>>")]
    document: Option<Box<RawValue>>,
    /// True if it would be stored.
    valid: bool,
    /// The broken rules. Those of a row that becomes none point to its columns.
    violations: Vec<Violation>,
    /// What is unlikely.
    warnings: Vec<Warning>,
}

fn previewed() -> Value {
    json!({
        "line": 2, "source": "1.31", "document": {"payload": {"pue": 1.31}}, "valid": true, "violations": [], "warnings": [],
    })
}
