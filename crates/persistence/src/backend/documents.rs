//! Requests with their documents, many of them at once: pages of bounded bytes, and exports.

use diesel::define_sql_function;
use diesel::prelude::*;
use diesel::sql_types::Text;
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::RequestFilter;
use mass_domain::page::Limit;
use mass_domain::tenancy::TenantId;
use mass_service::{DocumentPage, ExportedRequest};
use tokio::sync::mpsc::Sender;

use super::{Backend, Connection, RowByRow};
use crate::columns::{Id, Instant, Word};
use crate::id_bounds::{lowest_id_after, lowest_id_from};
use crate::rows::RequestRow;
use crate::schema::mass_requests;

/// The most requests that an export asks for at once. They are read one by one; but of an export that is abandoned, the
/// rest of them is read, too.
const ROWS: i64 = 10_000;

/// The most requests of a page of an export.
const ROWS_OF_PAGE: usize = Limit::MAX as usize;

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

/// Sends all requests that match the filter, oldest first, until the receiver is dropped.
pub(super) fn export(
    connection: &mut Connection,
    tenant: &TenantId,
    filter: &RequestFilter,
    bytes: u64,
    pages: &Sender<Vec<ExportedRequest>>,
) -> QueryResult<()> {
    super::read(connection, |connection| {
        let mut after: Option<Id> = None;
        loop {
            let mut query = matching(tenant, filter).order(mass_requests::id.asc()).limit(ROWS);
            if let Some(after) = after {
                query = query.filter(mass_requests::id.gt(after));
            }
            let query = query.select((RequestRow::as_select(), mass_requests::natural_key));
            let rows = query.load_iter::<(RequestRow, Option<String>), RowByRow>(connection)?;
            let (mut page, mut room, mut found) = (Vec::new(), bytes, 0);
            for row in rows {
                let (row, natural_key) = row?;
                let request = row.into_request()?;
                after = Some(Id(request.summary.id.as_uuid()));
                found += 1;
                let size = u64::try_from(request.document.len()).unwrap_or(u64::MAX);
                if page.len() >= ROWS_OF_PAGE || (size > room && !page.is_empty()) {
                    if pages.blocking_send(std::mem::take(&mut page)).is_err() {
                        return Ok(());
                    }
                    room = bytes;
                }
                room = room.saturating_sub(size);
                page.push(ExportedRequest { request, natural_key });
            }
            let is_abandoned = !page.is_empty() && pages.blocking_send(page).is_err();
            if found < ROWS || is_abandoned {
                return Ok(());
            }
        }
    })
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
