//! Quotas: what the port's methods do in their transactions.

use diesel::prelude::*;
use mass_domain::tenancy::{Quotas, TenantId};
use mass_domain::time::Timestamp;

use super::Connection;
use crate::rows::QuotaRow;
use crate::schema::quotas;

/// The quotas of a tenant.
pub(super) fn get(connection: &mut Connection, tenant: &TenantId) -> QueryResult<Quotas> {
    let row = quotas::table.find(tenant.as_str()).select(QuotaRow::as_select()).first(connection).optional()?;
    Ok(row.map_or_else(Quotas::default, QuotaRow::into_quotas))
}

/// Replaces the quotas of a tenant.
pub(super) fn set(connection: &mut Connection, tenant: &TenantId, quotas: Quotas, at: Timestamp) -> QueryResult<()> {
    super::write(connection, |connection| {
        let row = QuotaRow::new(tenant, quotas, at);
        diesel::insert_into(quotas::table)
            .values(&row)
            .on_conflict(quotas::tenant_id)
            .do_update()
            .set(&row)
            .execute(connection)
            .map(|_| ())
    })
}
