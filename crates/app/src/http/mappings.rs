//! Mapping profiles: how bodies of any form become documents.

mod body;
mod preview;
mod shapes;

use actix_web::http::{StatusCode, header};
use actix_web::web;
use mass_domain::access::Permission;
use mass_domain::mappings::MappingName;
use mass_domain::page::Limit;
use mass_service::{self as service, MAX_MAPPINGS, MappingError, MappingService};
use serde_json::json;

use self::body::ProfileBody;
use self::shapes::{Mapping, MappingPage, MappingProfile, profile_in_toml};
use super::headers::{digest_tag, precondition};
use super::operations::{Access, AnswerHeader, Operation, Parameter, Produces, Tag, model};
use super::parameters::PAGE;
use super::path::{InPath, PathId};
use super::problem::{Problem, ProblemKind, problem_from};
use super::query::{Query, foreign_cursor, page_limit};
use super::reply::{Call, NoContent, Reply};

type Service = web::Data<MappingService>;

const TAG: Tag = Tag { name: "mappings", description: "Profiles by which bodies of any form become documents." };

const READ: Access = Access::Needs(Permission::MassRead);
// A profile decides what the readings of every gateway mean: its change is a setting, not a use.
const CHANGE: Access = Access::Needs(Permission::SettingsManage);

impl InPath for MappingName {
    const PARAMETER: Parameter = Parameter::new(
        "name",
        "The profile's name.",
        || json!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}),
    )
    .required();

    fn absent() -> Problem {
        Problem::new(ProblemKind::NotFound).detail("There is no such mapping profile.")
    }
}

/// The operations.
pub const OPERATIONS: &[Operation] = &[LIST, GET, PUT, DELETE, preview::PREVIEW];

const IF_MATCH: Parameter = Parameter::new(
    "If-Match",
    "The entity tag that the client knows, or `*` for any; another one at the server, or none, gives 412.",
    entity_tag,
);

const IF_NONE_MATCH: Parameter = Parameter::new(
    "If-None-Match",
    "The entity tag that the client knows; the same one at the server gives 304.",
    entity_tag,
);

const UNLESS_MATCH: Parameter = Parameter::new(
    "If-None-Match",
    "`*` to create a profile and replace none, or the entity tag of one not to be replaced; otherwise 412.",
    entity_tag,
);

fn entity_tag() -> serde_json::Value {
    json!({"type": "string", "examples": ["\"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\""]})
}

const ETAG: AnswerHeader = AnswerHeader {
    name: "ETag",
    description: "The digest of the profile's text.",
    example: "\"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
};

const LOCATION: AnswerHeader =
    AnswerHeader { name: "Location", description: "Where it is.", example: "/v1/mappings/telegraf" };

const LIST: Operation = Operation {
    id: "listMappings",
    summary: "List mapping profiles.",
    description: "Those of the caller's tenant without their texts, by name, page by page.",
    tag: Some(TAG),
    query: PAGE,
    produces: Produces::Json(model::<MappingPage>),
    answers: &[(200, "A page of profiles.")],
    ..Operation::get("/v1/mappings", READ, || web::to(list))
};

async fn list(call: Call, service: Service, mut query: Query) -> Result<Reply<MappingPage>, Problem> {
    let limit = query.take_with("limit", page_limit).unwrap_or(Limit::DEFAULT);
    let cursor: Option<String> = query.take("cursor");
    query.finish()?;
    let page: MappingPage = service.list(&call.principal, limit, cursor.as_deref()).await?.into();
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

const GET: Operation = Operation {
    id: "getMapping",
    summary: "Fetch a mapping profile.",
    description: "The profile as JSON, and its text as it was sent.",
    tag: Some(TAG),
    in_path: &[MappingName::PARAMETER],
    headers: &[IF_NONE_MATCH],
    produces: Produces::Json(model::<Mapping>),
    answers: &[(200, "The profile."), (304, "It is as the client knows it.")],
    answer_headers: &[ETAG],
    problems: &[ProblemKind::NotFound],
    ..Operation::get("/v1/mappings/{name}", READ, || web::to(get))
};

async fn get(call: Call, service: Service, name: PathId<MappingName>, query: Query) -> Result<Reply<Mapping>, Problem> {
    query.finish()?;
    let mapping = service.get(&call.principal, &name.read()?).await?;
    let digest = mapping.summary.digest;
    if precondition(call.request()).differs.is_some_and(|digests| digests.name(Some(digest))) {
        return Ok(Reply::not_modified().header(header::ETAG, &digest_tag(digest).to_string()));
    }
    representation(StatusCode::OK, mapping)
}

const PUT: Operation = Operation {
    id: "putMapping",
    summary: "Store a mapping profile.",
    description: "Creates the profile of this name, or replaces it; `POST /v1/mass-requests/batch?map=NAME` uses it. As \
        JSON or as TOML, with the same members; at most 64 KiB, and at most 100 profiles a tenant. All mistakes are \
        answered at once, each with its place. Batches that have begun keep the profile that they began with.",
    tag: Some(TAG),
    in_path: &[MappingName::PARAMETER],
    headers: &[IF_MATCH, UNLESS_MATCH],
    body: &[("application/json", model::<MappingProfile>), ("application/toml", profile_in_toml)],
    produces: Produces::Json(model::<Mapping>),
    answers: &[(200, "The profile, which replaces another, or was stored already."), (201, "The profile is stored.")],
    answer_headers: &[ETAG, LOCATION],
    problems: &[ProblemKind::NotFound, ProblemKind::PreconditionFailed, ProblemKind::TooManyMappings],
    ..Operation::put("/v1/mappings/{name}", CHANGE, || web::to(put))
};

async fn put(
    call: Call,
    service: Service,
    name: PathId<MappingName>,
    query: Query,
    body: ProfileBody,
) -> Result<Reply<Mapping>, Problem> {
    let profile = body.check().await?;
    query.finish()?;
    let (name, precondition) = (name.read()?, precondition(call.request()));
    let location = format!("/v1/mappings/{name}");
    let changed = service.set(&call.principal, name, profile, precondition, &call.origin).await?;
    let status = if changed.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(representation(status, changed.mapping)?.header(header::LOCATION, &location))
}

const DELETE: Operation = Operation {
    id: "deleteMapping",
    summary: "Delete a mapping profile.",
    description: "Batches that name it are refused from then on. The audit trail keeps its digest.",
    tag: Some(TAG),
    in_path: &[MappingName::PARAMETER],
    headers: &[IF_MATCH],
    answers: &[(204, "The profile is deleted.")],
    problems: &[ProblemKind::NotFound, ProblemKind::PreconditionFailed],
    ..Operation::delete("/v1/mappings/{name}", CHANGE, || web::to(delete))
};

async fn delete(call: Call, service: Service, name: PathId<MappingName>, query: Query) -> Result<NoContent, Problem> {
    query.finish()?;
    service.delete(&call.principal, name.read()?, precondition(call.request()), &call.origin).await?;
    Ok(NoContent)
}

fn representation(status: StatusCode, mapping: service::Mapping) -> Result<Reply<Mapping>, Problem> {
    let tag = digest_tag(mapping.summary.digest).to_string();
    Ok(Reply::with_status(status, &Mapping::from(mapping))?.header(header::ETAG, &tag))
}

problem_from! {
    MappingError: Forbidden, Store;
        MappingError::ForeignCursor(error) => foreign_cursor(error.to_string()),
        MappingError::NotFound => MappingName::absent(),
        MappingError::Stale => {
            let detail = "The stored profile is not as If-Match or If-None-Match says.";
            Self::new(ProblemKind::PreconditionFailed).detail(detail)
        }
        MappingError::TooMany => {
            let detail = format!("The tenant has {MAX_MAPPINGS} mapping profiles, the most: delete one, or replace one.");
            Self::new(ProblemKind::TooManyMappings).detail(detail).member("limit", MAX_MAPPINGS)
        }
}
