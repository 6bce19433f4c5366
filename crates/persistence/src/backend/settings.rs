//! Settings: the port and its transactions.

use async_trait::async_trait;
use diesel::prelude::*;
use mass_admin_service::{SettingsChange, SettingsStore};
use mass_domain::port::PortError;
use mass_domain::tenancy::{TenantId, TenantSettings};

use super::audit::Head;
use super::{Connection, Store, credentials};
use crate::schema::tenants;

#[async_trait]
impl SettingsStore for Store {
    async fn get(&self, tenant: &TenantId) -> Result<TenantSettings, PortError> {
        self.reads.read_for(tenant, get).await
    }

    async fn update(&self, tenant: &TenantId, change: SettingsChange) -> Result<(), PortError> {
        self.writes.run_for(tenant, move |connection, tenant| update(connection, tenant, &change)).await
    }
}

/// Reads the settings of a tenant.
pub(super) fn get(connection: &mut Connection, tenant: &TenantId) -> QueryResult<TenantSettings> {
    let row =
        tenants::table.find(tenant.as_str()).select((tenants::auto_send, tenants::quarantine, tenants::second_factor));
    let (auto_send, quarantine, second_factor) = row.first(connection)?;
    Ok(TenantSettings { auto_send, quarantine, second_factor })
}

/// Replaces the settings of a tenant.
pub(super) fn update(connection: &mut Connection, tenant: &TenantId, change: &SettingsChange) -> QueryResult<()> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let before = get(connection, tenant)?;
        if before == change.settings {
            return Ok(());
        }
        diesel::update(tenants::table.find(tenant.as_str()))
            .set((
                tenants::auto_send.eq(change.settings.auto_send),
                tenants::quarantine.eq(change.settings.quarantine),
                tenants::second_factor.eq(change.settings.second_factor),
            ))
            .execute(connection)?;
        if before.second_factor != change.settings.second_factor {
            credentials::advance(connection, tenant)?;
        }
        head.append(connection, [change.event(tenant, &before)])?;
        Ok(())
    })
}
