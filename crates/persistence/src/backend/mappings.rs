//! Mapping profiles: the port and its transactions.

use async_trait::async_trait;
use diesel::dsl::count_star;
use diesel::prelude::*;
use mass_domain::mappings::MappingName;
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_service::{
    ChangedMapping, Mapping, MappingChange, MappingDeletion, MappingError, MappingStore, MappingSummary,
};

use super::audit::Head;
use super::{Connection, Store};
use crate::rows::{MappingChangeset, MappingRow, MappingSummaryRow};
use crate::schema::mapping_profiles;

#[async_trait]
impl MappingStore for Store {
    async fn find(&self, tenant: &TenantId, name: &MappingName) -> Result<Option<Mapping>, PortError> {
        let name = name.clone();
        self.reads.read_for(tenant, move |connection, tenant| find(connection, tenant, &name)).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        after: Option<MappingName>,
        limit: Limit,
    ) -> Result<Vec<MappingSummary>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| list(connection, tenant, after.as_ref(), limit)).await
    }

    async fn upsert(&self, tenant: &TenantId, change: MappingChange) -> Result<ChangedMapping, MappingError> {
        self.writes.run_for(tenant, move |connection, tenant| upsert(connection, tenant, &change)).await?
    }

    async fn delete(&self, tenant: &TenantId, deletion: MappingDeletion) -> Result<(), MappingError> {
        self.writes.run_for(tenant, move |connection, tenant| delete(connection, tenant, &deletion)).await?
    }
}

/// Finds a profile.
pub(super) fn find(connection: &mut Connection, tenant: &TenantId, name: &MappingName) -> QueryResult<Option<Mapping>> {
    mapping_profiles::table
        .find((tenant.as_str(), name.as_str()))
        .select(MappingRow::as_select())
        .first(connection)
        .optional()?
        .map(MappingRow::into_mapping)
        .transpose()
}

/// Lists profiles by their names.
pub(super) fn list(
    connection: &mut Connection,
    tenant: &TenantId,
    after: Option<&MappingName>,
    limit: Limit,
) -> QueryResult<Vec<MappingSummary>> {
    let mut query = mapping_profiles::table
        .filter(mapping_profiles::tenant_id.eq(tenant.as_str()))
        .select(MappingSummaryRow::as_select())
        .order(mapping_profiles::name)
        .limit(i64::from(limit.get()) + 1)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(mapping_profiles::name.gt(after.as_str()));
    }
    query.load(connection)?.into_iter().map(MappingSummaryRow::into_summary).collect()
}

/// Stores a profile as it is judged.
pub(super) fn upsert(
    connection: &mut Connection,
    tenant: &TenantId,
    change: &MappingChange,
) -> QueryResult<Result<ChangedMapping, MappingError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let stored = find_summary(connection, tenant, &change.name)?;
        let changed = match change.judge(stored.as_ref(), count(connection, tenant)?) {
            Ok(changed) => changed,
            Err(error) => return Ok(Err(error)),
        };
        if !changed.is_changed {
            return Ok(Ok(changed));
        }
        if changed.is_new {
            let row = MappingRow::new(tenant, &changed.mapping);
            diesel::insert_into(mapping_profiles::table).values(row).execute(connection)?;
        } else {
            diesel::update(mapping_profiles::table.find((tenant.as_str(), change.name.as_str())))
                .set(MappingChangeset::new(&changed.mapping))
                .execute(connection)?;
        }
        head.append(connection, [change.event(tenant, stored.as_ref())])?;
        Ok(Ok(changed))
    })
}

/// Deletes a profile if that is allowed.
pub(super) fn delete(
    connection: &mut Connection,
    tenant: &TenantId,
    deletion: &MappingDeletion,
) -> QueryResult<Result<(), MappingError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let stored = find_summary(connection, tenant, &deletion.name)?;
        let event = match deletion.judge(tenant, stored.as_ref()) {
            Ok(event) => event,
            Err(error) => return Ok(Err(error)),
        };
        diesel::delete(mapping_profiles::table.find((tenant.as_str(), deletion.name.as_str()))).execute(connection)?;
        head.append(connection, [event])?;
        Ok(Ok(()))
    })
}

fn find_summary(
    connection: &mut Connection,
    tenant: &TenantId,
    name: &MappingName,
) -> QueryResult<Option<MappingSummary>> {
    mapping_profiles::table
        .find((tenant.as_str(), name.as_str()))
        .select(MappingSummaryRow::as_select())
        .first(connection)
        .optional()?
        .map(MappingSummaryRow::into_summary)
        .transpose()
}

/// Counts the profiles of a tenant.
fn count(connection: &mut Connection, tenant: &TenantId) -> QueryResult<u64> {
    let count: i64 = mapping_profiles::table
        .filter(mapping_profiles::tenant_id.eq(tenant.as_str()))
        .select(count_star())
        .first(connection)?;
    Ok(u64::try_from(count).unwrap_or(0))
}
