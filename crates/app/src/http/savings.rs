//! Savings: plans of pilots, projects, schedules, confirmations and reports.

mod download;
mod problems;
pub mod shapes;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, web};
use mass_domain::access::Permission;
use mass_domain::ids::{SavingsProjectId, SavingsReportId};
use mass_domain::page::Limit;
use mass_domain::savings::Day;
use mass_savings_report::Language;
use mass_savings_service::{SavingsService, StoredProject};
use serde_json::json;

use self::problems::no_such_day;
use self::shapes::{
    SavingsConfirmationChange, SavingsNewAdjustment, SavingsPlan, SavingsPlanQuery, SavingsProject, SavingsProjectPage,
    SavingsReport, SavingsReportPage, SavingsReportSummary, SavingsSchedule, SavingsTerms,
};
use super::body::Valid;
use super::headers::{IF_MATCH, IF_NONE_MATCH, entity_tag, if_match, if_none_match};
use super::operations::{Access, AnswerHeader, Operation, Parameter, Produces, Tag, model};
use super::parameters::PAGE;
use super::path::{InPath, PathId, uuid};
use super::problem::{Problem, ProblemKind};
use super::query::{Query, page_limit};
use super::reply::{Call, NoContent, Reply};
use super::streams::Streams;

type Service = web::Data<SavingsService>;

const TAG: Tag = Tag {
    name: "savings",
    description: "What a pilot saves: plans, projects whose terms are agreed on beforehand, schedules of crossovers, and reports \
        that are pinned to the audit trail and signed.",
};

const READ: Access = Access::Needs(Permission::AnalyticsRead);
const MANAGE: Access = Access::Needs(Permission::SavingsManage);

impl InPath for SavingsProjectId {
    const PARAMETER: Parameter = uuid("The project's id.");
}

impl InPath for SavingsReportId {
    const PARAMETER: Parameter = uuid("The report's id.");
}

const DATE: Parameter = Parameter::new(
    "date",
    "The day, in the standard time of the project's zone.",
    || json!({"type": "string", "format": "date", "examples": ["2026-03-02"]}),
)
.required();

const LANGUAGE: Parameter = Parameter::new(
    "language",
    "The language of a paper: English or Spanish.",
    || json!({"type": "string", "enum": ["en", "es"], "default": "en"}),
);

const ETAG: AnswerHeader = AnswerHeader { name: "ETag", description: "The version of the project.", example: "\"v1\"" };

const LOCATION: AnswerHeader = AnswerHeader {
    name: "Location",
    description: "Where it is.",
    example: "/v1/savings/projects/0199d3a0-0000-7000-8000-000000000001",
};

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    PLAN,
    CREATE,
    LIST,
    GET,
    REPLACE,
    DELETE,
    ADJUST,
    DRAW,
    SCHEDULE,
    CONFIRM,
    REQUEST_REPORT,
    REPORTS,
    REPORT,
    DELETE_REPORT,
];

const PLAN: Operation = Operation {
    id: "planSavings",
    summary: "Plan a pilot.",
    description: "Predicts from a baseline alone what pilots of 4, 6, 8 and 12 weeks could show: the half-width at 90 % confidence, \
        and the smallest saving that is shown with 80 % power, for a crossover and for pre/post. Stores nothing. Takes seconds; a \
        server computes one plan at a time.",
    tag: Some(TAG),
    body: &[("application/json", model::<SavingsPlanQuery>)],
    produces: Produces::Json(model::<SavingsPlan>),
    answers: &[(200, "The plan.")],
    problems: &[ProblemKind::InsufficientData],
    ..Operation::post("/v1/savings/plans", READ, || web::to(plan))
};

async fn plan(
    call: Call,
    service: Service,
    query: Query,
    body: Valid<SavingsPlanQuery>,
) -> Result<Reply<SavingsPlan>, Problem> {
    query.finish()?;
    Reply::ok(&service.plan(&call.principal, body.0.into()).await?.into())
}

const CREATE: Operation = Operation {
    id: "createSavingsProject",
    summary: "Create a savings project.",
    description: "Records what the parties agree on before the saving is known. At most 100 projects a tenant.",
    tag: Some(TAG),
    body: &[("application/json", model::<SavingsTerms>)],
    produces: Produces::Json(model::<SavingsProject>),
    answers: &[(201, "The project.")],
    answer_headers: &[ETAG, LOCATION],
    problems: &[ProblemKind::TooManySavings],
    ..Operation::post("/v1/savings/projects", MANAGE, || web::to(create))
};

async fn create(
    call: Call,
    service: Service,
    query: Query,
    body: Valid<SavingsTerms>,
) -> Result<Reply<SavingsProject>, Problem> {
    query.finish()?;
    let stored = service.create(&call.principal, body.0.into(), &call.origin).await?;
    let location = format!("/v1/savings/projects/{}", stored.project.id);
    Ok(representation(StatusCode::CREATED, stored)?.header(header::LOCATION, &location))
}

const LIST: Operation = Operation {
    id: "listSavingsProjects",
    summary: "List savings projects.",
    description: "Those of the caller's tenant, the newest first, page by page.",
    tag: Some(TAG),
    query: PAGE,
    produces: Produces::Json(model::<SavingsProjectPage>),
    answers: &[(200, "A page of projects.")],
    ..Operation::get("/v1/savings/projects", READ, || web::to(list))
};

async fn list(call: Call, service: Service, mut query: Query) -> Result<Reply<SavingsProjectPage>, Problem> {
    let limit = query.take_with("limit", page_limit).unwrap_or(Limit::DEFAULT);
    let cursor: Option<String> = query.take("cursor");
    query.finish()?;
    let page: SavingsProjectPage = service.list(&call.principal, limit, cursor.as_deref()).await?.into();
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

const GET: Operation = Operation {
    id: "getSavingsProject",
    summary: "Fetch a savings project.",
    description: "Its present version, with adjustments, schedule and confirmations.",
    tag: Some(TAG),
    in_path: &[SavingsProjectId::PARAMETER],
    headers: &[IF_NONE_MATCH],
    produces: Produces::Json(model::<SavingsProject>),
    answers: &[(200, "The project."), (304, "It is as the client knows it.")],
    answer_headers: &[ETAG],
    problems: &[ProblemKind::NotFound],
    ..Operation::get("/v1/savings/projects/{id}", READ, || web::to(get))
};

async fn get(
    call: Call,
    service: Service,
    id: PathId<SavingsProjectId>,
    query: Query,
) -> Result<Reply<SavingsProject>, Problem> {
    query.finish()?;
    let stored = service.get(&call.principal, id.read()?).await?;
    let version = stored.project.version.into();
    if if_none_match(call.request(), version) {
        return Ok(Reply::not_modified().header(header::ETAG, &entity_tag(version).to_string()));
    }
    representation(StatusCode::OK, stored)
}

const REPLACE: Operation = Operation {
    id: "replaceSavingsTerms",
    summary: "Replace the terms of a savings project.",
    description: "Makes another version, of which the audit trail keeps the fingerprint. The same terms change nothing. Once the \
        schedule of a crossover is drawn, its design and zone stay.",
    tag: Some(TAG),
    in_path: &[SavingsProjectId::PARAMETER],
    headers: &[IF_MATCH],
    body: &[("application/json", model::<SavingsTerms>)],
    produces: Produces::Json(model::<SavingsProject>),
    answers: &[(200, "The project with the new terms.")],
    answer_headers: &[ETAG],
    problems: &[ProblemKind::NotFound, ProblemKind::PreconditionFailed, ProblemKind::SavingsNotAllowed],
    ..Operation::put("/v1/savings/projects/{id}", MANAGE, || web::to(replace))
};

async fn replace(
    call: Call,
    service: Service,
    id: PathId<SavingsProjectId>,
    query: Query,
    body: Valid<SavingsTerms>,
) -> Result<Reply<SavingsProject>, Problem> {
    query.finish()?;
    let (id, expected) = (id.read()?, if_match(call.request()));
    let stored = service.replace_terms(&call.principal, id, body.0.into(), expected, &call.origin).await?;
    representation(StatusCode::OK, stored)
}

const DELETE: Operation = Operation {
    id: "deleteSavingsProject",
    summary: "Delete a savings project.",
    description: "A project with reports gives 409: delete these first, or keep them. The audit trail keeps the fingerprint of every \
        version.",
    tag: Some(TAG),
    in_path: &[SavingsProjectId::PARAMETER],
    headers: &[IF_MATCH],
    answers: &[(204, "The project is deleted.")],
    problems: &[ProblemKind::NotFound, ProblemKind::PreconditionFailed, ProblemKind::SavingsNotAllowed],
    ..Operation::delete("/v1/savings/projects/{id}", MANAGE, || web::to(delete))
};

async fn delete(
    call: Call,
    service: Service,
    id: PathId<SavingsProjectId>,
    query: Query,
) -> Result<NoContent, Problem> {
    query.finish()?;
    service.delete(&call.principal, id.read()?, if_match(call.request()), &call.origin).await?;
    Ok(NoContent)
}

const ADJUST: Operation = Operation {
    id: "adjustSavingsProject",
    summary: "Record a non-routine adjustment.",
    description: "An event that changed the use of energy and is no part of the retrofit, such as a new hall. Makes another version. \
        An adjustment is never changed: a wrong one is balanced by another.",
    tag: Some(TAG),
    in_path: &[SavingsProjectId::PARAMETER],
    headers: &[IF_MATCH],
    body: &[("application/json", model::<SavingsNewAdjustment>)],
    produces: Produces::Json(model::<SavingsProject>),
    answers: &[(201, "The project with the adjustment.")],
    answer_headers: &[ETAG, LOCATION],
    problems: &[ProblemKind::NotFound, ProblemKind::PreconditionFailed],
    ..Operation::post("/v1/savings/projects/{id}/adjustments", MANAGE, || web::to(adjust))
};

async fn adjust(
    call: Call,
    service: Service,
    id: PathId<SavingsProjectId>,
    query: Query,
    body: Valid<SavingsNewAdjustment>,
) -> Result<Reply<SavingsProject>, Problem> {
    query.finish()?;
    let (id, expected) = (id.read()?, if_match(call.request()));
    let stored = service.adjust(&call.principal, id, body.0.into(), expected, &call.origin).await?;
    let location = format!("/v1/savings/projects/{id}");
    Ok(representation(StatusCode::CREATED, stored)?.header(header::LOCATION, &location))
}

const DRAW: Operation = Operation {
    id: "drawSavingsSchedule",
    summary: "Draw the schedule of a crossover.",
    description: "Draws the days on which the retrofit is on, by a seed that is published with them, before the first day. Makes \
        another version. A schedule is drawn once and never changes.",
    tag: Some(TAG),
    in_path: &[SavingsProjectId::PARAMETER],
    headers: &[IF_MATCH],
    produces: Produces::Json(model::<SavingsProject>),
    answers: &[(201, "The project with its schedule.")],
    answer_headers: &[
        ETAG,
        AnswerHeader { example: "/v1/savings/projects/0199d3a0-0000-7000-8000-000000000001/schedule", ..LOCATION },
    ],
    problems: &[ProblemKind::NotFound, ProblemKind::PreconditionFailed, ProblemKind::SavingsNotAllowed],
    ..Operation::post("/v1/savings/projects/{id}/schedule", MANAGE, || web::to(draw))
};

async fn draw(
    call: Call,
    service: Service,
    id: PathId<SavingsProjectId>,
    query: Query,
) -> Result<Reply<SavingsProject>, Problem> {
    query.finish()?;
    let (id, expected) = (id.read()?, if_match(call.request()));
    let stored = service.draw_schedule(&call.principal, id, expected, &call.origin).await?;
    let location = format!("/v1/savings/projects/{id}/schedule");
    Ok(representation(StatusCode::CREATED, stored)?.header(header::LOCATION, &location))
}

const SCHEDULE: Operation = Operation {
    id: "getSavingsSchedule",
    summary: "Fetch the schedule of a crossover.",
    description: "The seed and the days, with their confirmations.",
    tag: Some(TAG),
    in_path: &[SavingsProjectId::PARAMETER],
    produces: Produces::Json(model::<SavingsSchedule>),
    answers: &[(200, "The schedule.")],
    problems: &[ProblemKind::NotFound],
    ..Operation::get("/v1/savings/projects/{id}/schedule", READ, || web::to(schedule))
};

async fn schedule(
    call: Call,
    service: Service,
    id: PathId<SavingsProjectId>,
    query: Query,
) -> Result<Reply<SavingsSchedule>, Problem> {
    query.finish()?;
    let stored = service.get(&call.principal, id.read()?).await?;
    let schedule = SavingsSchedule::of(stored.project).ok_or_else(SavingsProjectId::absent)?;
    Reply::ok(&schedule)
}

const CONFIRM: Operation = Operation {
    id: "confirmSavingsDay",
    summary: "Confirm a day of a schedule.",
    description: "Records whether the plan of the day was followed. Makes another version; the same confirmation again changes \
        nothing, and another one replaces it.",
    tag: Some(TAG),
    in_path: &[SavingsProjectId::PARAMETER, DATE],
    headers: &[IF_MATCH],
    body: &[("application/json", model::<SavingsConfirmationChange>)],
    produces: Produces::Json(model::<SavingsProject>),
    answers: &[(200, "The project with the confirmation.")],
    answer_headers: &[ETAG],
    problems: &[ProblemKind::NotFound, ProblemKind::PreconditionFailed, ProblemKind::SavingsNotAllowed],
    ..Operation::put("/v1/savings/projects/{id}/days/{date}", MANAGE, || web::to(confirm))
};

async fn confirm(
    call: Call,
    service: Service,
    path: web::Path<(String, String)>,
    query: Query,
    body: Valid<SavingsConfirmationChange>,
) -> Result<Reply<SavingsProject>, Problem> {
    query.finish()?;
    let id: SavingsProjectId = path.0.parse().map_err(|_| SavingsProjectId::absent())?;
    let day: Day = path.1.parse().map_err(|_| no_such_day())?;
    let (new, expected) = (body.0.into(), if_match(call.request()));
    representation(StatusCode::OK, service.confirm(&call.principal, id, day, new, expected, &call.origin).await?)
}

const REQUEST_REPORT: Operation = Operation {
    id: "requestSavingsReport",
    summary: "Ask for a report.",
    description: "Queues a report on the present version of the project. It is computed once the figures know of everything that \
        was accepted before, usually within seconds. At most 10 reports of a tenant wait.",
    tag: Some(TAG),
    in_path: &[SavingsProjectId::PARAMETER],
    produces: Produces::Json(model::<SavingsReportSummary>),
    answers: &[(202, "The report, which is queued.")],
    answer_headers: &[AnswerHeader { example: "/v1/savings/reports/0199d3a0-0000-7000-8000-000000000001", ..LOCATION }],
    problems: &[
        ProblemKind::StorageQuota,
        ProblemKind::NotFound,
        ProblemKind::SavingsNotAllowed,
        ProblemKind::TooManySavings,
    ],
    ..Operation::post("/v1/savings/projects/{id}/reports", MANAGE, || web::to(request_report))
};

async fn request_report(
    call: Call,
    service: Service,
    id: PathId<SavingsProjectId>,
    query: Query,
) -> Result<Reply<SavingsReportSummary>, Problem> {
    query.finish()?;
    let report = service.request_report(&call.principal, id.read()?, &call.origin).await?;
    let location = format!("/v1/savings/reports/{}", report.id);
    Ok(Reply::with_status(StatusCode::ACCEPTED, &report.into())?.header(header::LOCATION, &location))
}

const REPORTS: Operation = Operation {
    id: "listSavingsReports",
    summary: "List the reports of a savings project.",
    description: "Without their documents, the newest first, page by page.",
    tag: Some(TAG),
    in_path: &[SavingsProjectId::PARAMETER],
    query: PAGE,
    produces: Produces::Json(model::<SavingsReportPage>),
    answers: &[(200, "A page of reports.")],
    problems: &[ProblemKind::NotFound],
    ..Operation::get("/v1/savings/projects/{id}/reports", READ, || web::to(reports))
};

async fn reports(
    call: Call,
    service: Service,
    id: PathId<SavingsProjectId>,
    mut query: Query,
) -> Result<Reply<SavingsReportPage>, Problem> {
    let limit = query.take_with("limit", page_limit).unwrap_or(Limit::DEFAULT);
    let cursor: Option<String> = query.take("cursor");
    query.finish()?;
    let page = service.list_reports(&call.principal, id.read()?, limit, cursor.as_deref()).await?;
    let page = SavingsReportPage::from(page);
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

const REPORT: Operation = Operation {
    id: "getSavingsReport",
    summary: "Fetch a report.",
    description: "Its state, and once it is done its document with the note that signs the document's fingerprint by the key of the \
        audit trail. A refusal to claim a saving is a report like others. A report that is done can be had as CSV (`Accept: \
        text/csv`) and as a paper with figures (`Accept: application/pdf`), too, which count as streams while they are written; another \
        one gives 409 then.",
    tag: Some(TAG),
    in_path: &[SavingsReportId::PARAMETER],
    query: &[LANGUAGE],
    produces: Produces::JsonCsvOrPdf(model::<SavingsReport>),
    answers: &[(200, "The report.")],
    problems: &[ProblemKind::NotFound, ProblemKind::SavingsNotAllowed, ProblemKind::TooManyStreams],
    ..Operation::get("/v1/savings/reports/{id}", READ, || web::to(report))
};

async fn report(
    call: Call,
    service: Service,
    streams: web::Data<Streams>,
    id: PathId<SavingsReportId>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let language: Option<Language> = query.take("language");
    query.finish()?;
    let report = service.get_report(&call.principal, id.read()?).await?;
    download::respond(&call, &streams, report, language.unwrap_or_default()).await
}

const DELETE_REPORT: Operation = Operation {
    id: "deleteSavingsReport",
    summary: "Delete a report.",
    description: "Cancels one that waits or is being computed. The audit trail keeps the fingerprint of its document: a copy that \
        somebody has can still be verified.",
    tag: Some(TAG),
    in_path: &[SavingsReportId::PARAMETER],
    answers: &[(204, "The report is deleted.")],
    problems: &[ProblemKind::NotFound],
    ..Operation::delete("/v1/savings/reports/{id}", MANAGE, || web::to(delete_report))
};

async fn delete_report(
    call: Call,
    service: Service,
    id: PathId<SavingsReportId>,
    query: Query,
) -> Result<NoContent, Problem> {
    query.finish()?;
    service.delete_report(&call.principal, id.read()?, &call.origin).await?;
    Ok(NoContent)
}

fn representation(status: StatusCode, stored: StoredProject) -> Result<Reply<SavingsProject>, Problem> {
    let tag = entity_tag(stored.project.version.into()).to_string();
    Ok(Reply::with_status(status, &SavingsProject::from(stored))?.header(header::ETAG, &tag))
}
