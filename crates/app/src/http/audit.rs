//! The audit trail: events, checkpoints, proofs, exports, receipts.

pub mod shapes;

use std::time::{Duration, Instant};

use actix_web::web::{self, Bytes};
use futures_util::Stream;
use mass_audit_service::{
    AuditService, BrokenTrail, CheckpointError, EventFilter, EventQuery, Export, ExportError, IssueReceiptError,
    ProofError, ReadError, SecurityEvents, SecurityEventsError,
};
use mass_domain::access::Permission;
use mass_domain::audit::{Action, Object};
use mass_domain::ids::MassRequestId;
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_service::MassService;
use serde_json::{Value, json};

use self::shapes::{
    AuditCheckpoint, AuditConsistency, AuditEvent, AuditEventPage, AuditExportLine, AuditInclusion, AuditKey,
    AuditReceipt,
};
use super::mass;
use super::operations::{Access, Factor, Operation, Parameter, Produces, Tag, model};
use super::parameters::{CURSOR, LIMIT, instant};
use super::path::{InPath, PathId};
use super::problem::{Problem, ProblemKind, problem_from};
use super::query::{Query, foreign_cursor, page_limit, wrong_parameter};
use super::reply::{Call, Lines, Reply};
use super::streams::{self, Streams};
use super::system::Draining;

type Service = web::Data<AuditService>;

const TAG: Tag = Tag { name: "audit", description: "Who did what, and the proof that nobody changed it afterwards." };

const AUDIT: Access = Access::Needs(Permission::AuditRead);

const FILTERS: &[Parameter] = &[
    Parameter::new(
        "actor_kind",
        "Events of this kind of actor.",
        || json!({"type": "string", "enum": ["user", "api_key", "system", "stranger"]}),
    ),
    Parameter::new(
        "actor",
        "Events of the user or API key with this id.",
        || json!({"type": "string", "format": "uuid"}),
    ),
    Parameter::new("action", "Events of this action.", || {
        let names: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
        json!({"type": "string", "enum": names})
    }),
    Parameter::new("outcome", "Events that ended so.", || json!({"type": "string", "enum": ["success", "refused"]})),
    Parameter::new(
        "object_kind",
        "Events about this kind of object; with `object_id`, unless there is but one of the kind.",
        || {
            json!({"type": "string", "enum": [
                "mass_request", "user", "session", "api_key", "tenant", "quotas", "settings", "mapping", "alert_rule", "alert",
                "webhook",
                "savings_project", "savings_report", "retention", "legal_hold", "audit_trail", "database", "operation", "server",
            ]})
        },
    ),
    Parameter::new(
        "object_id",
        "Events about the object with this id; needs `object_kind`.",
        || json!({"type": "string", "minLength": 1, "maxLength": 256}),
    ),
    Parameter::new("from", "At or after this instant.", instant),
    Parameter::new("to", "Before this instant.", instant),
    LIMIT,
    CURSOR,
];

const EVENT: Parameter = Parameter::new("event", "The sequence of the event.", sequence).required();

const OLDER_SIZE: Parameter =
    Parameter::new("from", "How many events the older checkpoint covers; not above `to`.", sequence).required();

const NEWER_SIZE: Parameter = Parameter::new("to", "How many events the newer checkpoint covers.", sequence).required();

fn sequence() -> Value {
    json!({"type": "integer", "minimum": 1, "examples": [1]})
}

/// The interval at which an answer without events looks for the first one.
const LOOK: Duration = Duration::from_millis(500);

/// The operations.
pub const OPERATIONS: &[Operation] = &[EVENTS, CHECKPOINT, INCLUSION, CONSISTENCY, EXPORT, SECURITY, RECEIPT, KEY];

const EVENTS: Operation = Operation {
    id: "listAuditEvents",
    summary: "List audit events.",
    description: "Those of the caller's tenant, newest first, page by page. What has been archived is not among them.",
    tag: Some(TAG),
    query: FILTERS,
    produces: Produces::Json(model::<AuditEventPage>),
    answers: &[(200, "A page of events.")],
    ..Operation::get("/v1/audit/events", AUDIT, || web::to(events))
};

async fn events(call: Call, service: Service, query: Query) -> Result<Reply<AuditEventPage>, Problem> {
    let page: AuditEventPage = service.events(&call.principal, &event_query(query)?).await?.into();
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

const CHECKPOINT: Operation = Operation {
    id: "getAuditCheckpoint",
    summary: "Fetch a checkpoint.",
    description: "Signed over all events that there are now. Keep it where nobody who administers MASS can reach it: \
        it shows later whether anything before it was changed.",
    tag: Some(TAG),
    produces: Produces::Json(model::<AuditCheckpoint>),
    answers: &[(200, "The checkpoint.")],
    problems: &[ProblemKind::AuditTrailBroken],
    ..Operation::get("/v1/audit/checkpoint", AUDIT, || web::to(checkpoint))
};

async fn checkpoint(call: Call, service: Service, query: Query) -> Result<Reply<AuditCheckpoint>, Problem> {
    query.finish()?;
    Reply::ok(&service.checkpoint(&call.principal).await?.into())
}

const INCLUSION: Operation = Operation {
    id: "proveAuditInclusion",
    summary: "Prove that an event is in the log.",
    description: "Against the last checkpoint that covers it, which comes with the proof.",
    tag: Some(TAG),
    query: &[EVENT],
    produces: Produces::Json(model::<AuditInclusion>),
    answers: &[(200, "The proof, with the checkpoint.")],
    problems: &[ProblemKind::NotFound, ProblemKind::AuditTrailBroken],
    ..Operation::get("/v1/audit/proofs/inclusion", AUDIT, || web::to(inclusion))
};

async fn inclusion(call: Call, service: Service, mut query: Query) -> Result<Reply<AuditInclusion>, Problem> {
    let event = query.need_with("event", place);
    query.finish()?;
    Reply::ok(&service.inclusion(&call.principal, event.unwrap_or_default()).await?.into())
}

const CONSISTENCY: Operation = Operation {
    id: "proveAuditConsistency",
    summary: "Prove that the log only grew.",
    description: "That the log of the first `to` events begins with the log of the first `from`, as it was signed \
        then.",
    tag: Some(TAG),
    query: &[OLDER_SIZE, NEWER_SIZE],
    produces: Produces::Json(model::<AuditConsistency>),
    answers: &[(200, "The proof.")],
    problems: &[ProblemKind::AuditTrailBroken],
    ..Operation::get("/v1/audit/proofs/consistency", AUDIT, || web::to(consistency))
};

async fn consistency(call: Call, service: Service, mut query: Query) -> Result<Reply<AuditConsistency>, Problem> {
    let (from, to) = (query.need_with("from", place), query.need_with("to", place));
    if from > to && to.is_some() {
        query.refuse("from", "Not above to.");
    }
    query.finish()?;
    let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
    let hashes = service.consistency(&call.principal, from, to).await?;
    Reply::ok(&AuditConsistency::new(from, to, &hashes))
}

const EXPORT: Operation = Operation {
    id: "exportAuditTrail",
    summary: "Export the log.",
    description: "One object a line, with the signed checkpoints between the events and one at the end: what `mass \
        audit verify` takes. That it was made is the last event in it.",
    tag: Some(TAG),
    produces: Produces::Ndjson(model::<AuditExportLine>),
    answers: &[(200, "The log, line by line.")],
    problems: &[ProblemKind::TooManyStreams],
    factor: Factor::Fresh,
    ..Operation::get("/v1/audit/export", AUDIT, || web::to(export))
};

async fn export(
    call: Call,
    service: Service,
    streams: web::Data<Streams>,
    query: Query,
) -> Result<Lines<AuditExportLine>, Problem> {
    query.finish()?;
    let stream = streams::open(&streams, &call.principal)?;
    let export = service.export(&call.principal, &call.origin).await?;
    let name = format!("mass-audit-{}.ndjson", export.tenant());
    Ok(Lines::new(&name, streams::holding(stream, lines(export, call))))
}

/// The lines of an export, as long as its caller may read them.
fn lines(export: Export, call: Call) -> impl Stream<Item = Result<Bytes, PortError>> {
    futures_util::stream::try_unfold((export, call), |(mut export, call)| async {
        if call.require_still(Permission::AuditRead).await.is_err() {
            tracing::info!("an export of the audit trail ended early: its caller may no longer read it");
            return Err(PortError::Unexpected(anyhow::anyhow!("the caller may no longer read the audit trail")));
        }
        let lines = export.next().await.inspect_err(|error| {
            tracing::error!(error = format!("{error:#}"), "an export of the audit trail ended early");
        })?;
        Ok(lines.map(|lines| (lines.into(), (export, call))))
    })
}

const AFTER: Parameter = Parameter::new(
    "after",
    "Events behind this sequence: that of the last event that the reader has; 0 for all.",
    || json!({"type": "integer", "minimum": 0, "default": 0}),
);

const WAIT: Parameter = Parameter::new(
    "wait_seconds",
    "How long an answer without events waits for the first one.",
    || json!({"type": "integer", "minimum": 0, "maximum": 30, "default": 0}),
);

const SECURITY: Operation = Operation {
    id: "streamSecurityEvents",
    summary: "Read security events.",
    description: "The events of the caller's tenant that security teams watch, one in its canonical form a line, oldest first, up to \
        the end of the log: log-ins, refused access and credentials, accounts, keys, settings, the audit trail itself. Ask again \
        with `after` set to the last `sequence`: none is missed, and an answer that breaks off costs nothing. What has been archived \
        is not among them.",
    tag: Some(TAG),
    query: &[AFTER, WAIT],
    produces: Produces::Ndjson(model::<AuditEvent>),
    answers: &[(200, "The events, line by line; none if there are none.")],
    problems: &[ProblemKind::TooManyStreams],
    ..Operation::get("/v1/audit/security-events", AUDIT, || web::to(security))
};

async fn security(
    call: Call,
    service: Service,
    streams: web::Data<Streams>,
    draining: web::Data<Draining>,
    mut query: Query,
) -> Result<Lines<AuditEvent>, Problem> {
    let after = query.take_with("after", from_zero).unwrap_or_default();
    let wait = query.take_with("wait_seconds", pause).unwrap_or_default();
    query.finish()?;
    let stream = streams::open(&streams, &call.principal)?;
    let (events, first) = first_events(&call, &service, &draining, after, wait).await?;
    let name = format!("mass-security-events-{}.ndjson", events.tenant());
    Ok(Lines::new(&name, streams::holding(stream, security_lines(events, first, call))))
}

/// Reads the first security events behind a place, and waits for them if there are none.
async fn first_events(
    call: &Call,
    service: &AuditService,
    draining: &Draining,
    after: i64,
    wait: Duration,
) -> Result<(SecurityEvents, Option<String>), Problem> {
    let until = Instant::now() + wait;
    loop {
        let mut events = service.security_events(&call.principal, after).await?;
        let first = events.next().await?;
        if first.is_some() || Instant::now() >= until || draining.is_begun() {
            return Ok((events, first));
        }
        tokio::time::sleep(LOOK).await;
        call.require_still(Permission::AuditRead).await?;
    }
}

/// Reads a sequence that may be 0.
fn from_zero(text: &str) -> Result<i64, String> {
    text.parse().ok().filter(|after| *after >= 0).ok_or_else(|| "A whole number from 0.".to_owned())
}

/// Reads the time for which an answer waits.
fn pause(text: &str) -> Result<Duration, String> {
    let seconds: Option<u64> = text.parse().ok().filter(|seconds| *seconds <= 30);
    seconds.map(Duration::from_secs).ok_or_else(|| "A whole number from 0 to 30.".to_owned())
}

/// The lines of security events, as long as their caller may read them.
fn security_lines(
    events: SecurityEvents,
    first: Option<String>,
    call: Call,
) -> impl Stream<Item = Result<Bytes, PortError>> {
    futures_util::stream::try_unfold((events, first, call), |(mut events, first, call)| async {
        if let Some(lines) = first {
            return Ok(Some((lines.into(), (events, None, call))));
        }
        if call.require_still(Permission::AuditRead).await.is_err() {
            tracing::info!("a stream of security events ended early: its caller may no longer read them");
            return Err(PortError::Unexpected(anyhow::anyhow!("the caller may no longer read the audit trail")));
        }
        let lines = events.next().await.inspect_err(|error| {
            tracing::error!(error = format!("{error:#}"), "a stream of security events ended early");
        })?;
        Ok(lines.map(|lines| (lines.into(), (events, None, call))))
    })
}

const RECEIPT: Operation = Operation {
    id: "getMassRequestReceipt",
    summary: "Fetch a request's receipt.",
    description: "The proof that the request was accepted as it was, to be kept with the document: `mass audit \
        verify-receipt` checks it years later, without this server.",
    tag: Some(mass::TAG),
    in_path: &[MassRequestId::PARAMETER],
    produces: Produces::Json(model::<AuditReceipt>),
    answers: &[(200, "The receipt.")],
    problems: &[ProblemKind::NotFound, ProblemKind::Gone, ProblemKind::AuditTrailBroken],
    ..Operation::get("/v1/mass-requests/{id}/receipt", Access::Needs(Permission::MassRead), || web::to(receipt))
};

async fn receipt(
    call: Call,
    service: Service,
    requests: web::Data<MassService>,
    id: PathId<MassRequestId>,
    query: Query,
) -> Result<Reply<AuditReceipt>, Problem> {
    query.finish()?;
    let id = id.read()?;
    requests.get(&call.principal, id).await?;
    Reply::ok(&service.receipt(&call.principal, id).await?.into())
}

const KEY: Operation = Operation {
    id: "getAuditKey",
    summary: "Fetch the key of the audit trail.",
    description: "The public key that checkpoints are checked with. Fetch it once, over a way that you trust, and \
        keep it.",
    tag: Some(TAG),
    produces: Produces::Json(model::<AuditKey>),
    answers: &[(200, "The key.")],
    store: false,
    ..Operation::get("/.well-known/mass-audit-key", Access::Public, || web::to(key))
};

async fn key(service: Service, query: Query) -> Result<Reply<AuditKey>, Problem> {
    query.finish()?;
    Reply::ok(&service.key().into())
}

fn event_query(mut query: Query) -> Result<EventQuery, Problem> {
    let object_id = query.take_with("object_id", |text| match text.chars().count() {
        1..=256 if !text.contains('\0') => Ok(text.to_owned()),
        _ => Err("1 to 256 characters.".to_owned()),
    });
    let object = query.take_with("object_kind", |kind| object(kind, object_id.as_deref()));
    if object_id.is_some() && object.is_none() {
        query.refuse("object_id", "Not without object_kind.");
    }
    let filter = EventFilter {
        actor_kind: query.take_with("actor_kind", actor_kind),
        actor_id: query.take_with("actor", |text| text.parse().map_err(|_| "A UUID.".to_owned())),
        action: query.take("action"),
        outcome: query.take("outcome"),
        object,
        from: query.take("from"),
        to: query.take("to"),
    };
    let limit = query.take_with("limit", page_limit).unwrap_or(Limit::DEFAULT);
    let cursor = query.take("cursor");
    query.finish()?;
    Ok(EventQuery { filter, limit, cursor })
}

fn object(kind: &str, id: Option<&str>) -> Result<Object, String> {
    Object::from_parts(kind, id).map_err(|_| "A kind of object, with the object_id that goes with it.".to_owned())
}

fn actor_kind(text: &str) -> Result<String, String> {
    match text {
        "user" | "api_key" | "system" | "stranger" => Ok(text.to_owned()),
        _ => Err("One of user, api_key, system, stranger.".to_owned()),
    }
}

/// A place in the log.
fn place(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|place| *place > 0).ok_or_else(|| "A whole number from 1.".to_owned())
}

problem_from! {
    ReadError: Forbidden, Store;
        ReadError::ForeignCursor(error) => foreign_cursor(error.to_string()),
}

impl From<BrokenTrail> for Problem {
    // What was found has been logged, for those who have to act.
    fn from(_: BrokenTrail) -> Self {
        Self::new(ProblemKind::AuditTrailBroken)
            .detail("The log is not as it was signed, so that nothing more is signed. It can still be exported.")
    }
}

problem_from!(CheckpointError: Forbidden, Broken, Store);

problem_from! {
    ProofError: Forbidden, Broken, Store;
        ProofError::NotFound => Self::new(ProblemKind::NotFound).detail("There is no such event."),
        ProofError::BeyondTheEnd { size } => wrong_parameter("to", format!("The log has {size} events.")),
}

problem_from! {
    IssueReceiptError: Forbidden, Broken, Store;
        // That the request is there has been seen before.
        IssueReceiptError::NotInTheLog => Self::new(ProblemKind::Gone)
            .detail("The event that proves it has been moved to an archive of the audit trail."),
        error @ IssueReceiptError::Unreadable(_) => Self::internal(&error.into()),
}

problem_from!(ExportError: Forbidden, Store);

problem_from!(SecurityEventsError: Forbidden, Store);
