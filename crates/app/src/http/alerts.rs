//! Alerts: the rules of a tenant, and the alerts that they open.

mod problems;
mod rules;
pub mod shapes;
pub mod webhooks;

use actix_web::web;
use mass_alert_service::{AlertQuery, AlertService};
use mass_domain::access::Permission;
use mass_domain::ids::AlertId;
use mass_domain::page::Limit;
use serde_json::json;

use self::shapes::{Alert, AlertAcknowledgementChange, AlertPage};
use super::body::Valid;
use super::operations::{Access, Operation, Parameter, Produces, Tag, model};
use super::parameters::{CURSOR, LIMIT};
use super::path::{InPath, PathId, uuid};
use super::problem::{Problem, ProblemKind};
use super::query::{Query, page_limit};
use super::reply::{Call, Reply};

type Service = web::Data<AlertService>;

const TAG: Tag = Tag {
    name: "alerts",
    description: "What a tenant wants to be told of: rules, the alerts that they open and resolve, and the webhooks that hear of them.",
};

const READ: Access = Access::Needs(Permission::AlertsRead);
const MANAGE: Access = Access::Needs(Permission::AlertsManage);

impl InPath for AlertId {
    const PARAMETER: Parameter = uuid("The alert's id.");
}

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    LIST,
    GET,
    ACKNOWLEDGE,
    rules::LIST,
    rules::GET,
    rules::PUT,
    rules::DELETE,
    webhooks::LIST,
    webhooks::GET,
    webhooks::PUT,
    webhooks::DELETE,
    webhooks::ROTATE,
    webhooks::TEST,
    webhooks::NOTIFICATIONS,
    webhooks::REPLAY,
];

const STATE: Parameter =
    Parameter::new("state", "Alerts in this state.", || json!({"type": "string", "enum": ["open", "resolved"]}));

const RULE: Parameter = Parameter::new(
    "rule",
    "Alerts of the rule of this name, which may be gone.",
    || json!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}),
);

const SEVERITY: Parameter = Parameter::new(
    "severity",
    "Alerts of this severity.",
    || json!({"type": "string", "enum": ["info", "warning", "critical"]}),
);

const LIST: Operation = Operation {
    id: "listAlerts",
    summary: "List alerts.",
    description: "Those of the caller's tenant, newest first, page by page. Alerts that tell of the audit trail are shown to \
        callers with `audit:read` alone. Resolved ones are kept for 90 days.",
    tag: Some(TAG),
    query: &[STATE, RULE, SEVERITY, LIMIT, CURSOR],
    produces: Produces::Json(model::<AlertPage>),
    answers: &[(200, "A page of alerts.")],
    ..Operation::get("/v1/alerts", READ, || web::to(list))
};

async fn list(call: Call, service: Service, mut query: Query) -> Result<Reply<AlertPage>, Problem> {
    let state = query.take_with("state", shapes::shown_state);
    let (rule, severity) = (query.take("rule"), query.take("severity"));
    let limit = query.take_with("limit", page_limit).unwrap_or(Limit::DEFAULT);
    let cursor = query.take("cursor");
    query.finish()?;
    let query = AlertQuery { state, rule, severity, limit, cursor };
    let page: AlertPage = service.list(&call.principal, query).await?.into();
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

const GET: Operation = Operation {
    id: "getAlert",
    summary: "Fetch an alert.",
    description: "Open or resolved, with its acknowledgement.",
    tag: Some(TAG),
    in_path: &[AlertId::PARAMETER],
    produces: Produces::Json(model::<Alert>),
    answers: &[(200, "The alert.")],
    problems: &[ProblemKind::NotFound],
    ..Operation::get("/v1/alerts/{id}", READ, || web::to(get))
};

async fn get(call: Call, service: Service, id: PathId<AlertId>, query: Query) -> Result<Reply<Alert>, Problem> {
    query.finish()?;
    Reply::ok(&service.get(&call.principal, id.read()?).await?.into())
}

const ACKNOWLEDGE: Operation = Operation {
    id: "acknowledgeAlert",
    summary: "Acknowledge an alert.",
    description: "Says that somebody looks after it, with a note if there is one. An open alert is not told of again then. \
        Another acknowledgement replaces it.",
    tag: Some(TAG),
    in_path: &[AlertId::PARAMETER],
    body: &[("application/json", model::<AlertAcknowledgementChange>)],
    produces: Produces::Json(model::<Alert>),
    answers: &[(200, "The alert with its acknowledgement.")],
    problems: &[ProblemKind::NotFound],
    ..Operation::post("/v1/alerts/{id}/acknowledge", MANAGE, || web::to(acknowledge))
};

async fn acknowledge(
    call: Call,
    service: Service,
    id: PathId<AlertId>,
    query: Query,
    body: Valid<AlertAcknowledgementChange>,
) -> Result<Reply<Alert>, Problem> {
    query.finish()?;
    Reply::ok(&service.acknowledge(&call.principal, id.read()?, body.0.note, &call.origin).await?.into())
}
