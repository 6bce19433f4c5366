//! Recommendations: the port and its transactions.

use async_trait::async_trait;
use diesel::prelude::*;
use mass_domain::ids::{MassRequestId, RecommendationId};
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::recommendation::{Recommendation, RecommendationFilter};
use mass_domain::tenancy::TenantId;
use mass_service::{Found, RecommendationStore};

use super::{Connection, Store};
use crate::columns::{Id, Instant};
use crate::id_bounds::{lowest_id_after, lowest_id_from};
use crate::rows::RecommendationRow;
use crate::schema::{mass_requests, recommendations};

#[async_trait]
impl RecommendationStore for Store {
    async fn list_of_request(
        &self,
        tenant: &TenantId,
        id: MassRequestId,
    ) -> Result<Found<Vec<Recommendation>>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| list_of_request(connection, tenant, id)).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &RecommendationFilter,
        before: Option<RecommendationId>,
        limit: Limit,
    ) -> Result<Vec<Recommendation>, PortError> {
        let filter = filter.clone();
        self.reads.read_for(tenant, move |connection, tenant| list(connection, tenant, &filter, before, limit)).await
    }
}

/// Lists the recommendations on a request, newest first.
fn list_of_request(
    connection: &mut Connection,
    tenant: &TenantId,
    id: MassRequestId,
) -> QueryResult<Found<Vec<Recommendation>>> {
    let deleted: Option<bool> = mass_requests::table
        .find((tenant.as_str(), Id(id.as_uuid())))
        .select(mass_requests::deleted_at.is_not_null())
        .first(connection)
        .optional()?;
    match deleted {
        None => return Ok(Found::Absent),
        Some(true) => return Ok(Found::Deleted),
        Some(false) => {}
    }
    let rows: Vec<RecommendationRow> = recommendations::table
        .filter(recommendations::tenant_id.eq(tenant.as_str()))
        .filter(recommendations::request_id.eq(Id(id.as_uuid())))
        .order(recommendations::id.desc())
        .select(RecommendationRow::as_select())
        .load(connection)?;
    rows.into_iter().map(RecommendationRow::into_recommendation).collect::<QueryResult<_>>().map(Found::Present)
}

/// Lists recommendations, newest first.
pub(super) fn list(
    connection: &mut Connection,
    tenant: &TenantId,
    filter: &RecommendationFilter,
    before: Option<RecommendationId>,
    limit: Limit,
) -> QueryResult<Vec<Recommendation>> {
    let RecommendationFilter { valid, model, site_id, device_id, from, to } = filter;
    let mut query = recommendations::table
        .filter(recommendations::tenant_id.eq(tenant.as_str()))
        .select(RecommendationRow::as_select())
        .order(recommendations::id.desc())
        .limit(i64::from(limit.get()) + 1)
        .into_boxed();
    if let Some(before) = before {
        query = query.filter(recommendations::id.lt(Id(before.as_uuid())));
    }
    // In the form of the predicate of the index of flagged ones.
    query = match valid {
        Some(true) => query.filter(recommendations::valid),
        Some(false) => query.filter(diesel::dsl::not(recommendations::valid)),
        None => query,
    };
    if let Some(model) = model {
        query = query.filter(recommendations::model_name.eq(model));
    }
    if let Some(site_id) = site_id {
        query = query.filter(recommendations::site_id.eq(site_id));
    }
    if let Some(device_id) = device_id {
        query = query.filter(recommendations::device_id.eq(device_id));
    }
    if let Some(from) = from {
        query = query
            .filter(recommendations::created_at.ge(Instant(*from)))
            .filter(recommendations::id.ge(Id(lowest_id_from(*from))));
    }
    if let Some(to) = to {
        query = query
            .filter(recommendations::created_at.lt(Instant(*to)))
            .filter(recommendations::id.lt(Id(lowest_id_after(*to))));
    }
    query.load(connection)?.into_iter().map(RecommendationRow::into_recommendation).collect()
}

/// Deletes the recommendations on a request, which show values of its document.
pub(super) fn erase(connection: &mut Connection, tenant: &TenantId, ids: &[MassRequestId]) -> QueryResult<()> {
    diesel::delete(recommendations::table)
        .filter(recommendations::tenant_id.eq(tenant.as_str()))
        .filter(recommendations::request_id.eq_any(ids.iter().map(|id| Id(id.as_uuid()))))
        .execute(connection)?;
    Ok(())
}
