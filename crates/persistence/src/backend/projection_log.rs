//! The part of a tenant's log that is projected next.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use mass_analytics_service::{Change, LogBatch, Step, StoredDocument, Unreadable};
use mass_domain::analytics::{Effect, effect};
use mass_domain::audit::Action;
use mass_domain::tenancy::TenantId;
use uuid::Uuid;

use super::Connection;
use super::audit_log::archived;
use super::projection_documents::{Documents, Found};
use super::projection_removals as removals;
use super::tenants;
use crate::rows::ProjectionRow;
use crate::schema::{audit_archived_changes, audit_events, audit_heads, projections};

/// An event as far as it matters.
struct LogEvent {
    sequence: i64,
    action: String,
    object_kind: String,
    object_id: Option<String>,
}

/// An event with an effect on a request.
struct Affected {
    sequence: i64,
    effect: Effect,
    request: Uuid,
}

/// A part of the log: up to `upto`, where it ends or cannot be read further.
struct Part {
    events: Vec<Affected>,
    upto: i64,
    stopped: Option<Unreadable>,
}

/// Reads the next part of the log: at most `limit` events with `bytes` of documents. `None` if the projection's rows are
/// being deleted.
pub(super) fn next(
    connection: &mut Connection,
    tenant: &TenantId,
    after: Option<i64>,
    limit: u32,
    bytes: u64,
) -> QueryResult<Option<LogBatch>> {
    super::read(connection, |connection| {
        let (ProjectionRow { position: from, deletions, .. }, head) = extent(connection, tenant)?;
        if from == ProjectionRow::CLEARED {
            return Ok(None);
        }
        let from = after.unwrap_or(from);
        let mut batch = LogBatch {
            deletions,
            from,
            upto: from,
            head,
            steps: Vec::new(),
            stopped: None,
            is_independent: true,
            latest: HashMap::new(),
            series: HashMap::new(),
        };
        if from < head {
            let mut part = part(connection, tenant, from, limit.max(1).into())?;
            if part.upto == from && part.stopped.is_none() {
                part.stopped = Some(missing(from + 1));
            }
            fill(connection, tenant, part, bytes, &mut batch)?;
        }
        Ok(Some(batch))
    })
}

/// Returns the state of the projection and the number of events in the log.
fn extent(connection: &mut Connection, tenant: &TenantId) -> QueryResult<(ProjectionRow, i64)> {
    let state = projections::table.find(tenant.as_str()).select(ProjectionRow::as_select()).first(connection);
    if tenants::is_erased(connection, tenant)? {
        return Ok((ProjectionRow::default(), 0));
    }
    let size = audit_heads::table.find(tenant.as_str()).select(audit_heads::size).first(connection);
    Ok((state.optional()?.unwrap_or_default(), size.optional()?.unwrap_or(0)))
}

/// Reads at most `limit` events behind a position. What was archived of them stands in a table of its own.
fn part(connection: &mut Connection, tenant: &TenantId, from: i64, limit: i64) -> QueryResult<Part> {
    let kept = events(connection, tenant, from, limit)?;
    if kept.first().is_some_and(|event| event.sequence == from + 1) {
        return Ok(affected(kept, from));
    }
    let archived = i64::try_from(archived(connection, tenant)?).unwrap_or(i64::MAX);
    let mut changes = archived_changes(connection, tenant, from, limit)?;
    let upto = match changes.last() {
        Some(last) if changes.len() as u64 >= limit.unsigned_abs() => last.sequence,
        Some(_) | None => archived.max(from),
    };
    if upto >= archived {
        let rest = usize::try_from(limit).unwrap_or(usize::MAX) - changes.len();
        changes.extend(kept.into_iter().take(rest));
    }
    Ok(affected(changes, upto))
}

/// Reads events that are in the log.
fn events(connection: &mut Connection, tenant: &TenantId, after: i64, limit: i64) -> QueryResult<Vec<LogEvent>> {
    let rows: Vec<(i64, String, String, Option<String>)> = audit_events::table
        .filter(audit_events::tenant_id.eq(tenant.as_str()))
        .filter(audit_events::sequence.gt(after))
        .order(audit_events::sequence)
        .select((audit_events::sequence, audit_events::action, audit_events::object_kind, audit_events::object_id))
        .limit(limit)
        .load(connection)?;
    let event = |(sequence, action, object_kind, object_id)| LogEvent { sequence, action, object_kind, object_id };
    Ok(rows.into_iter().map(event).collect())
}

/// Reads what stays of archived events.
fn archived_changes(
    connection: &mut Connection,
    tenant: &TenantId,
    after: i64,
    limit: i64,
) -> QueryResult<Vec<LogEvent>> {
    let rows: Vec<(i64, String, Option<String>)> = audit_archived_changes::table
        .filter(audit_archived_changes::tenant_id.eq(tenant.as_str()))
        .filter(audit_archived_changes::sequence.gt(after))
        .order(audit_archived_changes::sequence)
        .select((audit_archived_changes::sequence, audit_archived_changes::action, audit_archived_changes::object_id))
        .limit(limit)
        .load(connection)?;
    let event =
        |(sequence, action, object_id)| LogEvent { sequence, action, object_kind: REQUEST.to_owned(), object_id };
    Ok(rows.into_iter().map(event).collect())
}

/// The kind of the objects that figures depend on.
const REQUEST: &str = "mass_request";

/// Returns the effects of events, up to the first that is missing or not known. `archived` events may be missing.
fn affected(events: Vec<LogEvent>, archived: i64) -> Part {
    let mut part = Part { events: Vec::new(), upto: archived, stopped: None };
    let last = events.last().map_or(archived, |event| event.sequence.max(archived));
    for LogEvent { sequence, action, object_kind, object_id } in events {
        let stopped = |sequence, reason| Some(Unreadable { sequence, reason });
        if sequence > archived && sequence != part.upto + 1 {
            part.stopped = Some(missing(part.upto + 1));
            return part;
        }
        let request =
            || object_id.as_deref().filter(|_| object_kind == REQUEST).and_then(|id| Uuid::parse_str(id).ok());
        match action.parse::<Action>().map(effect) {
            Ok(None) => {}
            Ok(Some(effect)) => match request() {
                Some(request) => part.events.push(Affected { sequence, effect, request }),
                None => part.stopped = stopped(sequence, format!("the event {action:?} names no request")),
            },
            Err(unknown) => part.stopped = stopped(sequence, unknown.to_string()),
        }
        if part.stopped.is_some() {
            part.upto = sequence - 1;
            return part;
        }
        part.upto = part.upto.max(sequence);
    }
    part.upto = last;
    part
}

fn missing(sequence: i64) -> Unreadable {
    Unreadable { sequence, reason: "the event is missing".to_owned() }
}

/// Turns a part of the log into steps, with as many documents as fit, but at least one.
fn fill(
    connection: &mut Connection,
    tenant: &TenantId,
    part: Part,
    bytes: u64,
    batch: &mut LogBatch,
) -> QueryResult<()> {
    batch.upto = part.upto;
    batch.stopped = part.stopped;
    batch.is_independent = part.events.iter().all(|event| event.effect == Effect::Adds);
    let again = part.events.iter().filter(|event| event.effect != Effect::Adds).map(|event| event.request);
    let known = removals::stored(connection, tenant, again.collect())?;
    let mut present: HashSet<i64> = known.requests.keys().copied().collect();
    let mut documents = Documents::new(tenant, bytes);
    let wanted: Vec<(Uuid, bool)> =
        part.events.iter().map(|event| (event.request, event.effect != Effect::Removes)).collect();
    for (index, Affected { sequence, effect, request }) in part.events.into_iter().enumerate() {
        let change = if effect == Effect::Removes {
            known.accepted(request).map(|accepted| {
                present.remove(&accepted);
                Some(Change::Removed { accepted, stored: known.requests.get(&accepted).copied() })
            })
        } else {
            match documents.get(connection, &wanted, index)? {
                Found::Full => {
                    batch.upto = sequence - 1;
                    batch.stopped = None;
                    break;
                }
                Found::Document(document) => Ok(added(document, effect, &mut present)),
                Found::Unreadable(reason) => Err(reason),
            }
        };
        match change {
            Ok(change) => batch.steps.extend(change.map(|change| Step { sequence, change })),
            Err(reason) => {
                batch.upto = sequence - 1;
                batch.stopped = Some(Unreadable { sequence, reason });
                break;
            }
        }
    }
    removals::describe(connection, tenant, batch)
}

/// Returns the change by which a request becomes current; `None` if it is: a request stands for what was archived of it.
fn added(document: Option<StoredDocument>, effect: Effect, present: &mut HashSet<i64>) -> Option<Change> {
    if let Some(document) = &document {
        let is_new = present.insert(document.accepted);
        if effect == Effect::Reinstates && !is_new {
            return None;
        }
    }
    Some(Change::Added(document))
}
