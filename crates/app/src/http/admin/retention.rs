//! Retention rules and legal holds of the caller's tenant.

use actix_web::http::{StatusCode, header};
use actix_web::web;
use garde::Validate;
use mass_domain::access::Permission;
use mass_domain::contracts::ContractId;
use mass_domain::ids::LegalHoldId;
use mass_domain::retention::{self as domain, Held, RetentionRules, SecondRule};
use mass_service::{
    self as service, HoldError, MAX_HOLDS, MOST_COUNTED, MOST_REPORTS, RetentionError, RetentionService,
};
use schemars::{JsonSchema, Schema, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::TAG;
use super::quotas::whole;
use crate::http::actor::ActorModel;
use crate::http::body::{Valid, violation};
use crate::http::operations::{Access, AnswerHeader, Operation, Parameter, Produces, model};
use crate::http::parameters::contract_name;
use crate::http::path::{InPath, PathId, uuid};
use crate::http::problem::{Problem, ProblemKind, problem_from};
use crate::http::query::Query;
use crate::http::reply::{Call, NoContent, Reply};
use crate::http::text::Text;

type Service = web::Data<RetentionService>;

const MANAGE: Access = Access::Needs(Permission::SettingsManage);

impl InPath for LegalHoldId {
    const PARAMETER: Parameter = uuid("The legal hold's id.");

    fn absent() -> Problem {
        Problem::new(ProblemKind::NotFound).detail("There is no such legal hold, or it was released.")
    }
}

/// The operations.
pub const OPERATIONS: &[Operation] = &[GET, SET, HOLDS, HOLD, RELEASE];

const GET: Operation = Operation {
    id: "getRetention",
    summary: "Show the retention rules.",
    description: "The age at which documents of the caller's tenant are erased, how many are beyond it and not erased yet, and \
        the savings reports that lose documents. Without a rule, documents are kept until somebody deletes them.",
    tag: Some(TAG),
    produces: Produces::Json(model::<Retention>),
    answers: &[(200, "The rules.")],
    ..Operation::get("/v1/admin/retention", MANAGE, || web::to(get))
};

async fn get(call: Call, service: Service, query: Query) -> Result<Reply<Retention>, Problem> {
    query.finish()?;
    Reply::ok(&service.get(&call.principal).await?.into())
}

const DRY_RUN: Parameter = Parameter::new(
    "dry_run",
    "True to change nothing, and to be told what the rules would do.",
    || json!({"type": "boolean"}),
);

const SET: Operation = Operation {
    id: "setRetention",
    summary: "Set the retention rules.",
    description: "Replaces those of the caller's tenant. A worker then erases the documents that were received longer ago than \
        their rule says, each as by `DELETE /v1/mass-requests/{id}`: the audit trail keeps their fingerprints, and figures lose \
        them. A document that is erased cannot be brought back. What a legal hold covers is kept. Ask with `dry_run=true` \
        before: `reports` names the savings reports that could not be computed anew.",
    tag: Some(TAG),
    query: &[DRY_RUN],
    body: &[("application/json", model::<RetentionChange>)],
    produces: Produces::Json(model::<Retention>),
    answers: &[(200, "The rules as they are now; of a dry run, as they would be.")],
    ..Operation::put("/v1/admin/retention", MANAGE, || web::to(set))
};

async fn set(
    call: Call,
    service: Service,
    mut query: Query,
    body: Valid<RetentionChange>,
) -> Result<Reply<Retention>, Problem> {
    let is_dry = query.take::<bool>("dry_run").unwrap_or_default();
    query.finish()?;
    let rules = body.0.try_into()?;
    let retention = if is_dry {
        service.suppose(&call.principal, rules).await?
    } else {
        service.set(&call.principal, rules, &call.origin).await?
    };
    Reply::ok(&retention.into())
}

const HOLDS: Operation = Operation {
    id: "listLegalHolds",
    summary: "List the legal holds.",
    description: "Those of the caller's tenant that are in force, the oldest first: at most 100. The audit trail tells of released \
        ones.",
    tag: Some(TAG),
    produces: Produces::Json(model::<LegalHoldList>),
    answers: &[(200, "The holds.")],
    ..Operation::get("/v1/admin/legal-holds", MANAGE, || web::to(holds))
};

async fn holds(call: Call, service: Service, query: Query) -> Result<Reply<LegalHoldList>, Problem> {
    query.finish()?;
    let items = service.holds(&call.principal).await?.into_iter().map(Into::into).collect();
    Reply::ok(&LegalHoldList { items })
}

const HOLD: Operation = Operation {
    id: "setLegalHold",
    summary: "Set a legal hold.",
    description: "From now on no document of the caller's tenant, or of one contract, is erased by its age or deleted by anybody, \
        until the hold is released; nor is the tenant. Documents that come later are covered, too.",
    tag: Some(TAG),
    body: &[("application/json", model::<NewLegalHold>)],
    produces: Produces::Json(model::<LegalHold>),
    answers: &[(201, "The hold.")],
    answer_headers: &[AnswerHeader {
        name: "Location",
        description: "Where it is listed.",
        example: "/v1/admin/legal-holds",
    }],
    problems: &[ProblemKind::TooManyHolds],
    ..Operation::post("/v1/admin/legal-holds", MANAGE, || web::to(hold))
};

async fn hold(
    call: Call,
    service: Service,
    query: Query,
    body: Valid<NewLegalHold>,
) -> Result<Reply<LegalHold>, Problem> {
    query.finish()?;
    let NewLegalHold { reason, contract } = body.0;
    let contract = contract.map(|contract| contract.0);
    let hold: LegalHold = service.hold(&call.principal, contract, reason, &call.origin).await?.into();
    Ok(Reply::with_status(StatusCode::CREATED, &hold)?.header(header::LOCATION, "/v1/admin/legal-holds"))
}

const RELEASE: Operation = Operation {
    id: "releaseLegalHold",
    summary: "Release a legal hold.",
    description: "Documents that no other hold covers can be deleted again, and those beyond their age are erased. The audit trail \
        keeps who has released the hold, and why.",
    tag: Some(TAG),
    in_path: &[LegalHoldId::PARAMETER],
    body: &[("application/json", model::<LegalHoldRelease>)],
    answers: &[(204, "The hold is released.")],
    problems: &[ProblemKind::NotFound],
    ..Operation::post("/v1/admin/legal-holds/{id}/release", MANAGE, || web::to(release))
};

async fn release(
    call: Call,
    service: Service,
    id: PathId<LegalHoldId>,
    query: Query,
    body: Valid<LegalHoldRelease>,
) -> Result<NoContent, Problem> {
    query.finish()?;
    service.release(&call.principal, id.read()?, body.0.reason, &call.origin).await?;
    Ok(NoContent)
}

/// A rule: documents are erased at an age.
#[derive(Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(example = json!({"contract": "device/1.1", "days": 730}))]
pub struct RetentionRule {
    /// The contract; null for all contracts without a rule of their own.
    #[serde(default, deserialize_with = "contract", serialize_with = "contract_text")]
    #[schemars(schema_with = "optional_contract")]
    pub contract: Option<ContractId>,
    /// The age in days since the document was received.
    #[serde(deserialize_with = "days")]
    #[garde(range(min = 1, max = 36_500))]
    #[schemars(range(min = 1, max = 36_500))]
    pub days: u64,
}

fn contract<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ContractId>, D::Error> {
    Ok(Option::<Text<ContractId>>::deserialize(deserializer)?.map(|contract| contract.0))
}

fn contract_text<S: serde::Serializer>(contract: &Option<ContractId>, serializer: S) -> Result<S::Ok, S::Error> {
    contract.map(|contract| contract.to_string()).serialize(serializer)
}

fn days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    whole(deserializer)?.ok_or_else(|| Error::custom("null is no integer"))
}

/// The schema of a contract's name or null.
fn optional_contract(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({"anyOf": [contract_name(), {"type": "null"}]})
}

/// The rules of a tenant.
#[derive(Deserialize, JsonSchema, Validate)]
#[schemars(rename = "RetentionRules")]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"rules": [{"contract": null, "days": 1825}, {"contract": "device/1.1", "days": 730}]}))]
pub struct RetentionChange {
    /// The rules, at most one for each contract; none to keep everything.
    #[garde(length(max = 100), dive)]
    #[schemars(length(max = 100))]
    pub rules: Vec<RetentionRule>,
}

impl TryFrom<RetentionChange> for RetentionRules {
    type Error = Problem;

    fn try_from(RetentionChange { rules }: RetentionChange) -> Result<Self, Problem> {
        let rule = |rule: RetentionRule| domain::RetentionRule {
            contract: rule.contract,
            days: u16::try_from(rule.days).unwrap_or(u16::MAX),
        };
        Self::new(rules.into_iter().map(rule).collect()).map_err(|SecondRule { index }| {
            let detail = "Expected at most one rule for each contract, and at most one without a contract.";
            violation(format!("/rules/{index}/contract"), "second_rule", detail)
        })
    }
}

/// The rules of a tenant, and what they do at present.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"rules": [{"contract": null, "days": 1825}], "due": 0, "legal_holds": 0, "reports": [report_example()]}))]
pub struct Retention {
    /// The rules, by contract.
    pub rules: Vec<RetentionRule>,
    /// The documents that are beyond their age, not erased yet and covered by no legal hold; 10,000 for as many or more.
    #[schemars(range(max = MOST_COUNTED))]
    pub due: u32,
    /// The legal holds in force.
    pub legal_holds: u32,
    /// The savings reports, among the newest 100, that rest on documents which the rules let go, now or later: without these
    /// they cannot be computed anew. The first to lose one comes first. A legal hold keeps their documents.
    #[schemars(length(max = MOST_REPORTS))]
    pub reports: Vec<ReportAtRisk>,
}

/// A savings report whose documents are erased by their age.
#[derive(Serialize, JsonSchema)]
#[schemars(example = report_example())]
pub struct ReportAtRisk {
    /// The report.
    #[schemars(extend("format" = "uuid"))]
    pub id: String,
    /// Its project.
    #[schemars(extend("format" = "uuid"))]
    pub project_id: String,
    /// The name of its project.
    pub project: String,
    /// When the first of its documents is beyond its age.
    #[schemars(extend("format" = "date-time"))]
    pub erases_from: String,
}

fn report_example() -> Value {
    json!({
        "id": "0199d3a0-0000-7000-8000-000000000003", "project_id": "0199d3a0-0000-7000-8000-000000000004",
        "project": "Fans of hall 2", "erases_from": "2031-11-24T18:00:00.123Z",
    })
}

impl From<service::ReportAtRisk> for ReportAtRisk {
    fn from(report: service::ReportAtRisk) -> Self {
        Self {
            id: report.id.to_string(),
            project_id: report.project_id.to_string(),
            project: report.project,
            erases_from: report.erases_from.to_string(),
        }
    }
}

impl From<service::Retention> for Retention {
    fn from(service::Retention { rules, due, holds, reports }: service::Retention) -> Self {
        let rule = |rule: &domain::RetentionRule| RetentionRule { contract: rule.contract, days: u64::from(rule.days) };
        Self {
            rules: rules.as_slice().iter().map(rule).collect(),
            due,
            legal_holds: holds,
            reports: reports.into_iter().map(Into::into).collect(),
        }
    }
}

/// A legal hold to be set.
#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(example = json!({"reason": "Claim 2026/17: the readings are evidence.", "contract": null}))]
pub struct NewLegalHold {
    /// Why; kept in the audit trail.
    #[garde(length(chars, min = 1, max = 500))]
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
    /// The contract whose documents it covers; null for all documents.
    #[serde(default)]
    #[schemars(schema_with = "optional_contract")]
    pub contract: Option<Text<ContractId>>,
}

/// The release of a legal hold.
#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({"reason": "Claim 2026/17 is settled."}))]
pub struct LegalHoldRelease {
    /// Why; kept in the audit trail.
    #[garde(length(chars, min = 1, max = 500))]
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

/// A legal hold in force.
#[derive(Serialize, JsonSchema)]
#[schemars(example = hold_example())]
pub struct LegalHold {
    /// Its id.
    #[schemars(extend("format" = "uuid"))]
    pub id: String,
    /// The contract whose documents it covers; null for all documents.
    pub contract: Option<String>,
    /// Why it was set.
    pub reason: String,
    /// The instant from which it is in force.
    #[schemars(extend("format" = "date-time"))]
    pub since: String,
    /// Who has set it.
    pub set_by: ActorModel,
}

fn hold_example() -> Value {
    json!({
        "id": "0199d3a0-0000-7000-8000-000000000001", "contract": null,
        "reason": "Claim 2026/17: the readings are evidence.", "since": "2026-11-24T18:00:00.123456Z",
        "set_by": {"kind": "user", "id": "0199d3a0-0000-7000-8000-000000000002"},
    })
}

impl From<domain::LegalHold> for LegalHold {
    fn from(hold: domain::LegalHold) -> Self {
        Self {
            id: hold.id.to_string(),
            contract: hold.contract.map(|contract| contract.to_string()),
            reason: hold.reason,
            since: hold.since.to_string(),
            set_by: hold.set_by.into(),
        }
    }
}

/// The legal holds of a tenant.
#[derive(Serialize, JsonSchema)]
#[schemars(example = json!({"items": [hold_example()]}))]
pub struct LegalHoldList {
    /// The holds, the oldest first.
    pub items: Vec<LegalHold>,
}

problem_from!(RetentionError: Forbidden, Store);

problem_from! {
    HoldError: Forbidden, Store;
        HoldError::NotFound => LegalHoldId::absent(),
        HoldError::TooMany => Self::new(ProblemKind::TooManyHolds)
            .detail(format!("The tenant has {MAX_HOLDS} legal holds, the most: release one, or set one of all documents."))
            .member("limit", MAX_HOLDS),
}

impl From<Held> for Problem {
    fn from(Held { hold, contract }: Held) -> Self {
        let contract = contract.map(|contract| contract.to_string());
        let covered =
            contract.as_ref().map_or_else(|| "all documents".to_owned(), |name| format!("documents of {name}"));
        Self::new(ProblemKind::LegalHold)
            .detail(format!(
                "A legal hold covers {covered} of the tenant: nothing of them is deleted until it is released."
            ))
            .member("hold", hold.to_string())
            .member("contract", contract)
    }
}
