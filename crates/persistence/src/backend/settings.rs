//! Settings: what the port's methods do in their transactions.

use diesel::prelude::*;
use mass_admin_service::SettingsChange;
use mass_domain::tenancy::{TenantId, TenantSettings};

use super::Connection;
use super::audit::Head;
use crate::schema::tenants;

/// The settings of a tenant.
pub(super) fn get(connection: &mut Connection, tenant: &TenantId) -> QueryResult<TenantSettings> {
    let auto_send = tenants::table.find(tenant.as_str()).select(tenants::auto_send).first(connection)?;
    Ok(TenantSettings { auto_send })
}

/// Replaces the settings of a tenant.
pub(super) fn set(connection: &mut Connection, tenant: &TenantId, change: &SettingsChange) -> QueryResult<()> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let before = get(connection, tenant)?;
        if before == change.settings {
            return Ok(());
        }
        diesel::update(tenants::table.find(tenant.as_str()))
            .set(tenants::auto_send.eq(change.settings.auto_send))
            .execute(connection)?;
        head.append(connection, [change.event(tenant, &before)])?;
        Ok(())
    })
}
