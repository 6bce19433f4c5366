//! Requests with their documents, many of them at once: pages of bounded bytes, and exports.

use diesel::define_sql_function;
use diesel::prelude::*;
use diesel::sql_types::Text;
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::RequestFilter;
use mass_domain::page::Limit;
use mass_domain::tenancy::TenantId;
use mass_service::{DocumentPage, ExportPage, ExportSpan, ExportedRequest};

use super::{Backend, Connection, RowByRow};
use crate::columns::{Id, Instant, Word};
use crate::id_bounds::{lowest_id_after, lowest_id_from};
use crate::rows::RequestRow;
use crate::schema::mass_requests;

define_sql_function! {
    /// Returns the number of bytes of a text, without reading it.
    fn octet_length(text: Text) -> Integer;
}

/// Builds the query for the requests that match a filter and are not deleted.
pub(super) fn matching<'a>(tenant: &'a TenantId, filter: &'a RequestFilter) -> mass_requests::BoxedQuery<'a, Backend> {
    let RequestFilter {
        status,
        contract,
        site_id,
        device_id,
        correlation_id,
        batch_id,
        call_id,
        created_from,
        created_to,
        observed_from,
        observed_to,
    } = filter;
    let mut query = mass_requests::table
        .filter(mass_requests::tenant_id.eq(tenant.as_str()))
        .filter(mass_requests::deleted_at.is_null())
        .into_boxed();
    if let Some(status) = status {
        query = query.filter(mass_requests::status.eq(status.as_str()));
    }
    if let Some(contract) = contract {
        query = query.filter(mass_requests::contract.eq(Word(*contract)));
    }
    if let Some(site_id) = site_id {
        query = query.filter(mass_requests::site_id.eq(site_id));
    }
    if let Some(device_id) = device_id {
        query = query.filter(mass_requests::device_id.eq(device_id));
    }
    if let Some(correlation_id) = correlation_id {
        query = query.filter(mass_requests::correlation_id.eq(correlation_id));
    }
    if let Some(batch_id) = batch_id {
        query = query.filter(mass_requests::batch_id.eq(batch_id));
    }
    if let Some(call_id) = call_id {
        query = query.filter(mass_requests::call_id.eq(call_id));
    }
    if let Some(from) = created_from {
        let lowest = Id(lowest_id_from(*from));
        query = query.filter(mass_requests::created_at.ge(Instant(*from)).and(mass_requests::id.ge(lowest)));
    }
    if let Some(to) = created_to {
        let lowest = Id(lowest_id_after(*to));
        query = query.filter(mass_requests::created_at.lt(Instant(*to)).and(mass_requests::id.lt(lowest)));
    }
    if let Some(from) = observed_from {
        query = query.filter(mass_requests::observed_at.ge(Instant(*from)));
    }
    if let Some(to) = observed_to {
        query = query.filter(mass_requests::observed_at.lt(Instant(*to)));
    }
    query
}

/// The ids of a page, in their order.
struct Ids {
    ids: Vec<Id>,
    /// True if another page follows.
    more: bool,
}

/// Lists requests with their documents, newest first.
pub(super) fn list(
    connection: &mut Connection,
    tenant: &TenantId,
    filter: &RequestFilter,
    before: Option<MassRequestId>,
    limit: Limit,
    bytes: u64,
) -> QueryResult<DocumentPage> {
    super::read(connection, |connection| {
        let mut query = matching(tenant, filter).order(mass_requests::id.desc());
        if let Some(before) = before {
            query = query.filter(mass_requests::id.lt(Id(before.as_uuid())));
        }
        let query = query.select((mass_requests::id, octet_length(mass_requests::document)));
        let Ids { ids, more } = first(query.limit(i64::from(limit.get()) + 1).load(connection)?, limit.get(), bytes);
        let mut requests = load(connection, tenant, &ids)?;
        requests.reverse();
        Ok(DocumentPage { requests: requests.into_iter().map(|exported| exported.request).collect(), more })
    })
}

/// Returns the newest request.
pub(super) fn newest(connection: &mut Connection, tenant: &TenantId) -> QueryResult<Option<MassRequestId>> {
    let newest = mass_requests::table
        .filter(mass_requests::tenant_id.eq(tenant.as_str()))
        .order(mass_requests::id.desc())
        .select(mass_requests::id);
    let newest: Option<Id> = newest.first(connection).optional()?;
    Ok(newest.map(|id| MassRequestId::from_uuid(id.0)))
}

/// Reads a page of an export, row by row, so that rows beyond its bytes take no memory.
pub(super) fn export(
    connection: &mut Connection,
    tenant: &TenantId,
    filter: &RequestFilter,
    span: ExportSpan,
) -> QueryResult<ExportPage> {
    let limit = i64::try_from(span.requests).unwrap_or(i64::MAX);
    let mut query = matching(tenant, filter).filter(mass_requests::id.le(Id(span.until.as_uuid())));
    if let Some(after) = span.after {
        query = query.filter(mass_requests::id.gt(Id(after.as_uuid())));
    }
    let query = query.order(mass_requests::id.asc()).limit(limit);
    let query = query.select((RequestRow::as_select(), mass_requests::natural_key));
    let (mut requests, mut room) = (Vec::new(), span.bytes);
    for row in query.load_iter::<(RequestRow, Option<String>), RowByRow>(connection)? {
        let (row, natural_key) = row?;
        let request = row.into_request()?;
        let rest = room.checked_sub(u64::try_from(request.document.len()).unwrap_or(u64::MAX));
        if rest.is_none() && !requests.is_empty() {
            return Ok(ExportPage { requests, more: true });
        }
        room = rest.unwrap_or_default();
        requests.push(ExportedRequest { request, natural_key });
    }
    let more = requests.len() as u64 == span.requests;
    Ok(ExportPage { requests, more })
}

/// Returns the first of these requests, with the numbers of their documents' bytes: as many as fit, but at least one.
fn first(rows: Vec<(Id, i32)>, limit: u16, bytes: u64) -> Ids {
    let (found, mut room, mut ids) = (rows.len(), bytes, Vec::with_capacity(rows.len()));
    for (id, size) in rows.into_iter().take(usize::from(limit)) {
        let rest = room.checked_sub(size.unsigned_abs().into());
        if rest.is_none() && !ids.is_empty() {
            break;
        }
        room = rest.unwrap_or_default();
        ids.push(id);
    }
    Ids { more: ids.len() < found, ids }
}

/// Loads requests, oldest first.
fn load(connection: &mut Connection, tenant: &TenantId, ids: &[Id]) -> QueryResult<Vec<ExportedRequest>> {
    let rows: Vec<(RequestRow, Option<String>)> = mass_requests::table
        .filter(mass_requests::tenant_id.eq(tenant.as_str()))
        .filter(mass_requests::id.eq_any(ids))
        .order(mass_requests::id.asc())
        .select((RequestRow::as_select(), mass_requests::natural_key))
        .load(connection)?;
    rows.into_iter()
        .map(|(row, natural_key)| Ok(ExportedRequest { request: row.into_request()?, natural_key }))
        .collect()
}
