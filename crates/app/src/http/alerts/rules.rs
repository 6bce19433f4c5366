//! Alert rules.

use actix_web::http::{StatusCode, header};
use actix_web::web;
use mass_alert_service::StoredRule;
use mass_domain::alerts::RuleName;
use mass_domain::page::Limit;
use serde_json::json;

use super::shapes::{AlertRule, AlertRulePage, AlertRuleTerms};
use super::{MANAGE, READ, Service, TAG};
use crate::http::body::Valid;
use crate::http::headers::{IF_MATCH, IF_NONE_MATCH, UNLESS_MATCH, digest_tag, precondition};
use crate::http::operations::{AnswerHeader, Operation, Parameter, Produces, model};
use crate::http::parameters::PAGE;
use crate::http::path::{InPath, PathId};
use crate::http::problem::{Problem, ProblemKind};
use crate::http::query::{Query, page_limit};
use crate::http::reply::{Call, NoContent, Reply};
use crate::projector::Projection;

impl InPath for RuleName {
    const PARAMETER: Parameter =
        Parameter::new("name", "The rule's name.", || json!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}))
            .required();

    fn absent() -> Problem {
        Problem::new(ProblemKind::NotFound).detail("There is no such alert rule.")
    }
}

const ETAG: AnswerHeader = AnswerHeader {
    name: "ETag",
    description: "The digest of the rule.",
    example: "\"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
};

const LOCATION: AnswerHeader =
    AnswerHeader { name: "Location", description: "Where it is.", example: "/v1/alert-rules/hall-2-too-hot" };

pub(super) const LIST: Operation = Operation {
    id: "listAlertRules",
    summary: "List alert rules.",
    description: "Those of the caller's tenant, by name, page by page.",
    tag: Some(TAG),
    query: PAGE,
    produces: Produces::Json(model::<AlertRulePage>),
    answers: &[(200, "A page of rules.")],
    ..Operation::get("/v1/alert-rules", READ, || web::to(list))
};

async fn list(
    call: Call,
    service: Service,
    projection: web::Data<Projection>,
    mut query: Query,
) -> Result<Reply<AlertRulePage>, Problem> {
    let limit = query.take_with("limit", page_limit).unwrap_or(Limit::DEFAULT);
    let cursor: Option<String> = query.take("cursor");
    query.finish()?;
    let page = service.list_rules(&call.principal, limit, cursor.as_deref()).await?;
    let page = AlertRulePage::new(page, projection.is_on());
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

pub(super) const GET: Operation = Operation {
    id: "getAlertRule",
    summary: "Fetch an alert rule.",
    description: "The rule, and why it cannot be evaluated as it says, if there is a reason.",
    tag: Some(TAG),
    in_path: &[RuleName::PARAMETER],
    headers: &[IF_NONE_MATCH],
    produces: Produces::Json(model::<AlertRule>),
    answers: &[(200, "The rule."), (304, "It is as the client knows it.")],
    answer_headers: &[ETAG],
    problems: &[ProblemKind::NotFound],
    ..Operation::get("/v1/alert-rules/{name}", READ, || web::to(get))
};

async fn get(
    call: Call,
    service: Service,
    projection: web::Data<Projection>,
    name: PathId<RuleName>,
    query: Query,
) -> Result<Reply<AlertRule>, Problem> {
    query.finish()?;
    let stored = service.get_rule(&call.principal, &name.read()?).await?;
    let digest = stored.digest;
    if precondition(call.request()).differs.is_some_and(|digests| digests.name(Some(digest))) {
        return Ok(Reply::not_modified().header(header::ETAG, &digest_tag(digest).to_string()));
    }
    representation(StatusCode::OK, stored, projection.is_on())
}

pub(super) const PUT: Operation = Operation {
    id: "putAlertRule",
    summary: "Store an alert rule.",
    description: "Creates the rule of this name, or replaces it; it is evaluated at once, and then every 30 seconds. Open alerts \
        stay if the condition still holds, and are resolved otherwise; those of a disabled rule are resolved. A rule that watches \
        the audit trail also needs `audit:read`. At most 50 rules a tenant, each with at most 500 open alerts.",
    tag: Some(TAG),
    in_path: &[RuleName::PARAMETER],
    headers: &[IF_MATCH, UNLESS_MATCH],
    body: &[("application/json", model::<AlertRuleTerms>)],
    produces: Produces::Json(model::<AlertRule>),
    answers: &[(200, "The rule, which replaces another, or was stored already."), (201, "The rule is stored.")],
    answer_headers: &[ETAG, LOCATION],
    problems: &[ProblemKind::NotFound, ProblemKind::PreconditionFailed, ProblemKind::TooManyAlertRules],
    ..Operation::put("/v1/alert-rules/{name}", MANAGE, || web::to(put))
};

async fn put(
    call: Call,
    service: Service,
    projection: web::Data<Projection>,
    name: PathId<RuleName>,
    query: Query,
    body: Valid<AlertRuleTerms>,
) -> Result<Reply<AlertRule>, Problem> {
    query.finish()?;
    let (name, precondition) = (name.read()?, precondition(call.request()));
    let location = format!("/v1/alert-rules/{name}");
    let changed = service.set_rule(&call.principal, name, body.0.into(), precondition, &call.origin).await?;
    let status = if changed.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(representation(status, changed.stored, projection.is_on())?.header(header::LOCATION, &location))
}

pub(super) const DELETE: Operation = Operation {
    id: "deleteAlertRule",
    summary: "Delete an alert rule.",
    description: "Its open alerts are resolved, and stay in the list. The audit trail keeps the rule's digest.",
    tag: Some(TAG),
    in_path: &[RuleName::PARAMETER],
    headers: &[IF_MATCH],
    answers: &[(204, "The rule is deleted.")],
    problems: &[ProblemKind::NotFound, ProblemKind::PreconditionFailed],
    ..Operation::delete("/v1/alert-rules/{name}", MANAGE, || web::to(delete))
};

async fn delete(call: Call, service: Service, name: PathId<RuleName>, query: Query) -> Result<NoContent, Problem> {
    query.finish()?;
    service.delete_rule(&call.principal, name.read()?, precondition(call.request()), &call.origin).await?;
    Ok(NoContent)
}

fn representation(status: StatusCode, stored: StoredRule, projects: bool) -> Result<Reply<AlertRule>, Problem> {
    let tag = digest_tag(stored.digest).to_string();
    Ok(Reply::with_status(status, &AlertRule::new(stored, projects))?.header(header::ETAG, &tag))
}
