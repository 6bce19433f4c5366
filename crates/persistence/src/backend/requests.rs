//! Statements on single requests, for the transactions of several domains.

use diesel::prelude::*;
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::{MassRequest, RequestSummary};
use mass_domain::tenancy::{CredentialsVersion, TenantId};
use mass_service::Found;

use super::Connection;
use crate::columns::{Id, Instant, Word};
use crate::rows::RequestRow;
use crate::schema::{mass_requests, tenants};

/// Loads those of these requests that exist.
pub(super) fn load(
    connection: &mut Connection,
    tenant: &TenantId,
    ids: &[MassRequestId],
) -> QueryResult<Vec<MassRequest>> {
    mass_requests::table
        .filter(mass_requests::tenant_id.eq(tenant.as_str()))
        .filter(mass_requests::id.eq_any(ids.iter().map(|id| Id(id.as_uuid()))))
        .select(RequestRow::as_select())
        .load(connection)?
        .into_iter()
        .map(RequestRow::into_request)
        .collect()
}

/// Updates the changeable columns of a request.
pub(super) fn update(connection: &mut Connection, request: &RequestSummary) -> QueryResult<()> {
    diesel::update(mass_requests::table.find((request.tenant_id.as_str(), Id(request.id.as_uuid()))))
        .set((
            mass_requests::status.eq(Word(request.status)),
            mass_requests::version.eq(request.version),
            mass_requests::updated_at.eq(Instant(request.updated_at)),
            mass_requests::corrected_by.eq(request.corrected_by.map(|id| Id(id.as_uuid()))),
        ))
        .execute(connection)?;
    Ok(())
}

/// Finds a request.
pub(super) fn find(
    connection: &mut Connection,
    tenant: &TenantId,
    id: MassRequestId,
) -> QueryResult<Found<MassRequest>> {
    let row: Option<(RequestRow, bool)> = mass_requests::table
        .find((tenant.as_str(), Id(id.as_uuid())))
        .select((RequestRow::as_select(), mass_requests::deleted_at.is_not_null()))
        .first(connection)
        .optional()?;
    row.map_or(Ok(Found::Absent), |(row, deleted)| found(row, deleted))
}

/// Finds a request, unless the tenant's credentials are at another version.
pub(super) fn find_as_of(
    connection: &mut Connection,
    tenant: &TenantId,
    CredentialsVersion(version): CredentialsVersion,
    id: MassRequestId,
) -> QueryResult<Option<Found<MassRequest>>> {
    let row: Option<(RequestRow, bool)> = mass_requests::table
        .find((tenant.as_str(), Id(id.as_uuid())))
        .inner_join(tenants::table.on(tenants::id.eq(mass_requests::tenant_id)))
        .filter(tenants::credentials_version.eq(version))
        .select((RequestRow::as_select(), mass_requests::deleted_at.is_not_null()))
        .first(connection)
        .optional()?;
    row.map(|(row, deleted)| found(row, deleted)).transpose()
}

fn found(row: RequestRow, deleted: bool) -> QueryResult<Found<MassRequest>> {
    if deleted { Ok(Found::Deleted) } else { row.into_request().map(Found::Present) }
}
