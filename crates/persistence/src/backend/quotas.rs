//! Quotas: the port and its transactions.

use async_trait::async_trait;
use diesel::prelude::*;
use mass_admin_service::{QuotaChange, QuotaStore};
use mass_domain::port::PortError;
use mass_domain::tenancy::{CredentialsVersion, Quotas, TenantId, TenantSettings, Usage};
use mass_service::TenantState;

use super::audit::Head;
use super::{Connection, Store};
use crate::rows::{QuotaRow, UsageRow};
use crate::schema::{quotas, tenant_usage, tenants};

#[async_trait]
impl QuotaStore for Store {
    async fn get(&self, tenant: &TenantId) -> Result<Quotas, PortError> {
        self.reads.read_for(tenant, get).await
    }

    async fn get_usage(&self, tenant: &TenantId) -> Result<Usage, PortError> {
        self.reads.read_for(tenant, usage).await
    }

    async fn update(&self, tenant: &TenantId, change: QuotaChange) -> Result<(), PortError> {
        self.writes.run_for(tenant, move |connection, tenant| update(connection, tenant, &change)).await
    }
}

/// Reads the quotas of a tenant.
pub(super) fn get(connection: &mut Connection, tenant: &TenantId) -> QueryResult<Quotas> {
    let row = quotas::table.find(tenant.as_str()).select(QuotaRow::as_select()).first(connection).optional()?;
    Ok(row.map_or_else(Quotas::default, QuotaRow::into_quotas))
}

/// Reads what counts against the quotas of a tenant.
pub(super) fn usage(connection: &mut Connection, tenant: &TenantId) -> QueryResult<Usage> {
    let row = tenant_usage::table.find(tenant.as_str()).select(UsageRow::as_select()).first(connection).optional()?;
    Ok(row.map_or_else(Usage::default, UsageRow::into_usage))
}

/// Replaces the quotas of a tenant.
pub(super) fn update(connection: &mut Connection, tenant: &TenantId, change: &QuotaChange) -> QueryResult<()> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let before = get(connection, tenant)?;
        if before == change.quotas {
            return Ok(());
        }
        let row = QuotaRow::new(tenant, change.quotas, change.act.at);
        diesel::insert_into(quotas::table)
            .values(&row)
            .on_conflict(quotas::tenant_id)
            .do_update()
            .set(&row)
            .execute(connection)?;
        head.append(connection, [change.event(tenant, &before)])?;
        Ok(())
    })
}

/// Reads the values of a tenant that its documents are judged by.
pub(super) fn tenant_state(connection: &mut Connection, tenant: &TenantId) -> QueryResult<TenantState> {
    type Row = (Option<bool>, Option<bool>, Option<bool>, i64, bool, Option<QuotaRow>, Option<UsageRow>);
    let (auto_send, quarantine, second_factor, version, is_suspended, quotas, usage): Row = tenants::table
        .find(tenant.as_str())
        .left_join(quotas::table.on(quotas::tenant_id.eq(tenants::id)))
        .left_join(tenant_usage::table.on(tenant_usage::tenant_id.eq(tenants::id)))
        .select((
            tenants::auto_send,
            tenants::quarantine,
            tenants::second_factor,
            tenants::credentials_version,
            tenants::suspended_at.is_not_null(),
            Option::<QuotaRow>::as_select(),
            Option::<UsageRow>::as_select(),
        ))
        .first(connection)?;
    let quotas = quotas.map_or_else(Quotas::default, QuotaRow::into_quotas);
    let usage = usage.map_or_else(Usage::default, UsageRow::into_usage);
    let settings = TenantSettings { auto_send, quarantine, second_factor };
    Ok(TenantState { settings, quotas, usage, credentials: CredentialsVersion(version), is_suspended })
}

/// Adds bytes to the usage that are stored with no request.
pub(super) fn take(connection: &mut Connection, tenant: &TenantId, bytes: usize) -> QueryResult<()> {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    diesel::insert_into(tenant_usage::table)
        .values((
            tenant_usage::tenant_id.eq(tenant.as_str()),
            tenant_usage::day.eq(0),
            tenant_usage::requests.eq(0),
            tenant_usage::stored_bytes.eq(bytes),
        ))
        .on_conflict(tenant_usage::tenant_id)
        .do_update()
        .set(tenant_usage::stored_bytes.eq(tenant_usage::stored_bytes + bytes))
        .execute(connection)
        .map(|_| ())
}

/// Subtracts the size of an erased document or report from the usage.
pub(super) fn give_back(connection: &mut Connection, tenant: &TenantId, bytes: usize) -> QueryResult<()> {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    diesel::update(tenant_usage::table.find(tenant.as_str()))
        .set(tenant_usage::stored_bytes.eq(tenant_usage::stored_bytes - bytes))
        .execute(connection)
        .map(|_| ())
}
