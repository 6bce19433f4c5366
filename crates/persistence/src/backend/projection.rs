//! Projections of the audit trail: the port of the projector.

use async_trait::async_trait;
use mass_analytics_service::{ApplyError, LogBatch, ProjectionStore, Update, Window, WindowState};
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;

use super::projection_clearing as clearing;
use super::{Connection, Store, projection_log, projection_update, projection_windows, tenants};

#[async_trait]
impl ProjectionStore for Store {
    async fn tenants(&self) -> Result<Vec<TenantId>, PortError> {
        // The log of the system tenant has neither requests nor readers of figures.
        self.projections.read_outside(tenants::kept_ids).await
    }

    async fn next(&self, tenant: &TenantId, after: Option<i64>, limit: u32, bytes: u64) -> Result<LogBatch, PortError> {
        loop {
            let next = move |connection: &mut Connection, tenant: &TenantId| {
                projection_log::next(connection, tenant, after, limit, bytes)
            };
            match self.projections.read_for(tenant, next).await? {
                Some(batch) => return Ok(batch),
                // Whoever has begun to delete it may have been killed.
                None => clearing::finish(super::applying(self), tenant).await?,
            }
        }
    }

    async fn windows(&self, tenant: &TenantId, windows: Vec<Window>) -> Result<Vec<WindowState>, PortError> {
        let read = move |connection: &mut Connection, tenant: &TenantId| {
            projection_windows::windows(connection, tenant, &windows)
        };
        self.projections.read_for(tenant, read).await
    }

    async fn apply(&self, tenant: &TenantId, update: Update) -> Result<(), ApplyError> {
        let layout = super::layout(self);
        let apply = move |connection: &mut Connection, tenant: &TenantId| {
            projection_update::apply(connection, layout, tenant, update)
        };
        if super::applying(self).run_for(tenant, apply).await?? {
            super::sweep(self).await;
        }
        Ok(())
    }

    async fn clear(&self, tenant: &TenantId) -> Result<(), PortError> {
        super::applying(self).run_for(tenant, clearing::begin).await?;
        clearing::finish(super::applying(self), tenant).await?;
        super::sweep(self).await;
        Ok(())
    }
}
