//! What tenants use: the port and its reads.

use async_trait::async_trait;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use mass_admin_service::{TenantCounts, UsageStore};
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;

use super::audit::count;
use super::{Connection, Store, documents, quotas};
use crate::id_bounds::instant_of;
use crate::schema::{intake, quarantine_usage, sources, users};

#[async_trait]
impl UsageStore for Store {
    async fn counts(&self, tenants: Vec<TenantId>) -> Result<Vec<TenantCounts>, PortError> {
        let mut all = Vec::with_capacity(tenants.len());
        for tenant in tenants {
            all.push(self.reads.read_for(&tenant, counts).await?);
        }
        Ok(all)
    }
}

/// Counts what a tenant uses, by indexes alone.
fn counts(connection: &mut Connection, tenant: &TenantId) -> QueryResult<TenantCounts> {
    super::read(connection, |connection| {
        // The databases give sums different types.
        let requests = sql::<BigInt>("CAST(coalesce(sum(requests), 0) AS bigint)");
        let documents: i64 =
            intake::table.filter(intake::tenant_id.eq(tenant.as_str())).select(requests).first(connection)?;
        let devices: i64 = sources::table
            .filter(sources::tenant_id.eq(tenant.as_str()))
            .filter(sources::device_id.is_not_null())
            .select(sql::<BigInt>("count(DISTINCT device_id)"))
            .first(connection)?;
        let users: i64 = users::table
            .filter(users::tenant_id.eq(tenant.as_str()))
            .filter(users::deleted_at.is_null())
            .count()
            .get_result(connection)?;
        let kept = quarantine_usage::table.find(tenant.as_str()).select(quarantine_usage::bytes);
        let quarantine_bytes: Option<i64> = kept.first(connection).optional()?;
        let newest = documents::newest(connection, tenant)?;
        Ok(TenantCounts {
            documents: count(documents),
            devices: count(devices),
            users: count(users),
            quarantine_bytes: count(quarantine_bytes.unwrap_or_default()),
            last_received_at: newest.and_then(|id| instant_of(id.as_uuid())),
            usage: quotas::usage(connection, tenant)?,
            quotas: quotas::get(connection, tenant)?,
        })
    })
}
