//! The audit trail: events, checkpoints, proofs, exports, receipts.

use actix_web::web::{self, Bytes};
use futures_util::Stream;
use mass_audit_service::{
    AuditService, BrokenTrail, CheckpointError, EventFilter, EventQuery, Export, ExportError, IssueReceiptError,
    ProofError, ReadError,
};
use mass_domain::access::Permission;
use mass_domain::audit::Object;
use mass_domain::ids::MassRequestId;
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_service::MassService;
use paperclip::actix::{Apiv2Schema, api_v2_operation};
use serde::Deserialize;

use super::problem::{Problem, ProblemKind};
use super::query::{Query, foreign_cursor, page_limit, wrong_parameter};
use super::reply::{Call, Lines, Reply};
use super::streams::{self, Streams};
use super::wire::audit::{
    AuditCheckpoint, AuditConsistency, AuditEventPage, AuditExportLine, AuditInclusion, AuditKey, AuditReceipt,
};

type Service = web::Data<AuditService>;

/// Which request a receipt is about.
#[derive(Deserialize, Apiv2Schema)]
pub struct Target {
    /// The request's id.
    id: String,
}

impl Target {
    fn id(&self) -> Result<MassRequestId, Problem> {
        self.id.parse().map_err(|_| Problem::new(ProblemKind::NotFound).detail("There is no such request."))
    }
}

/// List audit events.
///
/// Those of the caller's tenant, newest first, page by page. What has been archived is not among them.
#[api_v2_operation(operation_id = "listAuditEvents", tags("audit"))]
pub async fn events(call: Call, service: Service, query: Query) -> Result<Reply<AuditEventPage>, Problem> {
    let page: AuditEventPage = service.events(&call.principal, &event_query(query)?).await?.into();
    Ok(Reply::ok(&page)?.next(&call, page.next_cursor.as_deref()))
}

/// Fetch a checkpoint.
///
/// Signed over all events that there are now. Keep it where nobody who administers MASS can reach it: it shows later
/// whether anything before it was changed.
#[api_v2_operation(operation_id = "getAuditCheckpoint", tags("audit"))]
pub async fn checkpoint(call: Call, service: Service, query: Query) -> Result<Reply<AuditCheckpoint>, Problem> {
    query.finish()?;
    Reply::ok(&service.checkpoint(&call.principal).await?.into())
}

/// Prove that an event is in the log.
///
/// Against the last checkpoint that covers it, which comes with the proof.
#[api_v2_operation(operation_id = "proveAuditInclusion", tags("audit"))]
pub async fn inclusion(call: Call, service: Service, mut query: Query) -> Result<Reply<AuditInclusion>, Problem> {
    let event = query.need_with("event", place);
    query.finish()?;
    Reply::ok(&service.inclusion(&call.principal, event.unwrap_or_default()).await?.into())
}

/// Prove that the log only grew.
///
/// That the log of the first `to` events begins with the log of the first `from`, as it was signed then.
#[api_v2_operation(operation_id = "proveAuditConsistency", tags("audit"))]
pub async fn consistency(call: Call, service: Service, mut query: Query) -> Result<Reply<AuditConsistency>, Problem> {
    let (from, to) = (query.need_with("from", place), query.need_with("to", place));
    if from > to && to.is_some() {
        query.refuse("from", "Not above to.");
    }
    query.finish()?;
    let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
    let hashes = service.consistency(&call.principal, from, to).await?;
    Reply::ok(&AuditConsistency::new(from, to, &hashes))
}

/// Export the log.
///
/// One object a line, with the signed checkpoints between the events and one at the end: what `mass audit verify` takes.
/// That it was made is the last event in it.
#[api_v2_operation(operation_id = "exportAuditTrail", tags("audit"))]
pub async fn export(
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
        if let Err(problem) = still_reads(&call).await {
            call.refused(problem).await;
            tracing::info!("an export of the audit trail ended early: its caller may no longer read it");
            return Err(PortError::Unexpected(anyhow::anyhow!("the caller may no longer read the audit trail")));
        }
        let lines = export.next().await.inspect_err(|error| {
            tracing::error!(error = format!("{error:#}"), "an export of the audit trail ended early");
        })?;
        Ok(lines.map(|lines| (lines.into(), (export, call))))
    })
}

/// Whether the caller may still read the audit trail.
async fn still_reads(call: &Call) -> Result<(), Problem> {
    Ok(call.recognised().await?.require(Permission::AuditRead)?)
}

/// Fetch a request's receipt.
///
/// The proof that the request was accepted as it was, to be kept with the document: `mass audit verify-receipt` checks
/// it years later, without this server.
#[api_v2_operation(operation_id = "getMassRequestReceipt", tags("mass-requests"))]
pub async fn receipt(
    call: Call,
    service: Service,
    requests: web::Data<MassService>,
    target: web::Path<Target>,
    query: Query,
) -> Result<Reply<AuditReceipt>, Problem> {
    query.finish()?;
    let id = target.id()?;
    requests.get(&call.principal, id).await?;
    Reply::ok(&service.receipt(&call.principal, id).await?.into())
}

/// Fetch the key of the audit trail.
///
/// The public key that checkpoints are checked with. Fetch it once, over a way that you trust, and keep it.
#[api_v2_operation(operation_id = "getAuditKey", tags("audit"))]
pub async fn key(service: Service, query: Query) -> Result<Reply<AuditKey>, Problem> {
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

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Forbidden(error) => error.into(),
            ReadError::ForeignCursor(error) => foreign_cursor(error.to_string()),
            ReadError::Store(error) => error.into(),
        }
    }
}

impl From<BrokenTrail> for Problem {
    // What was found has been logged, for those who have to act.
    fn from(_: BrokenTrail) -> Self {
        Self::new(ProblemKind::AuditTrailBroken)
            .detail("The log is not as it was signed, so that nothing more is signed. It can still be exported.")
    }
}

impl From<CheckpointError> for Problem {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Forbidden(error) => error.into(),
            CheckpointError::Broken(error) => error.into(),
            CheckpointError::Store(error) => error.into(),
        }
    }
}

impl From<ProofError> for Problem {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Forbidden(error) => error.into(),
            ProofError::NotFound => Self::new(ProblemKind::NotFound).detail("There is no such event."),
            ProofError::BeyondTheEnd { size } => wrong_parameter("to", format!("The log has {size} events.")),
            ProofError::Broken(error) => error.into(),
            ProofError::Store(error) => error.into(),
        }
    }
}

impl From<IssueReceiptError> for Problem {
    fn from(error: IssueReceiptError) -> Self {
        match error {
            IssueReceiptError::Forbidden(error) => error.into(),
            // That the request is there has been seen before.
            IssueReceiptError::NotInTheLog => Self::new(ProblemKind::Gone)
                .detail("The event that proves it has been moved to an archive of the audit trail."),
            IssueReceiptError::Broken(error) => error.into(),
            IssueReceiptError::Store(error) => error.into(),
            error @ IssueReceiptError::Unreadable(_) => Self::internal(&error.into()),
        }
    }
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Forbidden(error) => error.into(),
            ExportError::Store(error) => error.into(),
        }
    }
}
