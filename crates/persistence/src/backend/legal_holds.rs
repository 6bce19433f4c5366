//! The legal holds in force.

use diesel::prelude::*;
use mass_domain::retention::LegalHold;
use mass_domain::tenancy::TenantId;

use super::Connection;
use crate::rows::LegalHoldRow;
use crate::schema::legal_holds;

/// Lists the legal holds of a tenant, the oldest first.
pub(super) fn holds(connection: &mut Connection, tenant: &TenantId) -> QueryResult<Vec<LegalHold>> {
    let rows: Vec<LegalHoldRow> = legal_holds::table
        .filter(legal_holds::tenant_id.eq(tenant.as_str()))
        .order(legal_holds::id)
        .select(LegalHoldRow::as_select())
        .load(connection)?;
    rows.into_iter().map(LegalHoldRow::into_hold).collect()
}
