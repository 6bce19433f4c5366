//! Tenants: the port and its transactions.

use async_trait::async_trait;
use diesel::Connection as _;
use diesel::prelude::*;
use diesel::result::Error::RollbackTransaction;
use mass_admin_service::{CreateTenantError, TenantStore};
use mass_auth::Account;
use mass_domain::audit::NewEvent;
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tenancy::{Tenant, TenantId};

use super::audit::Head;
use super::{Connection, Store, accounts};
use crate::columns::{Instant, Word};
use crate::rows::TenantRow;
use crate::schema::tenants;

#[async_trait]
impl TenantStore for Store {
    async fn insert(&self, tenant: Tenant, admin: Account, events: Vec<NewEvent>) -> Result<(), CreateTenantError> {
        let id = tenant.id.clone();
        self.writes.run_for(&id, move |connection, _| create(connection, &tenant, admin, events)).await?
    }

    async fn find(&self, id: &TenantId) -> Result<Option<Tenant>, PortError> {
        let id = id.clone();
        self.reads.read_outside(move |connection| find(connection, &id)).await
    }

    async fn list(&self, after: Option<TenantId>, limit: Limit) -> Result<Vec<Tenant>, PortError> {
        self.reads.read_outside(move |connection| list(connection, after.as_ref(), limit)).await
    }
}

/// Creates a tenant with its administrator, or neither.
pub(super) fn create(
    connection: &mut Connection,
    tenant: &Tenant,
    admin: Account,
    events: Vec<NewEvent>,
) -> QueryResult<Result<(), CreateTenantError>> {
    super::write(connection, |connection| {
        // Rolled back by itself if the address is taken: the role that serves may delete no tenant.
        let inserted = connection.transaction(|connection| {
            if !insert(connection, tenant)? {
                return Ok(Err(CreateTenantError::Taken));
            }
            if accounts::insert(connection, admin)? { Ok(Ok(())) } else { Err(RollbackTransaction) }
        });
        match inserted {
            Ok(Ok(())) => {}
            Err(RollbackTransaction) => return Ok(Err(CreateTenantError::EmailTaken)),
            refused => return refused,
        }
        // Last, since a log once begun stays; nobody else knows the tenant yet.
        Head::lock(connection, &tenant.id)?.append(connection, events)?;
        Ok(Ok(()))
    })
}

/// Inserts a tenant unless its slug is taken.
pub(super) fn insert(connection: &mut Connection, tenant: &Tenant) -> QueryResult<bool> {
    let inserted = diesel::insert_into(tenants::table)
        .values((tenants::id.eq(tenant.id.as_str()), tenants::created_at.eq(Instant(tenant.created_at))))
        .on_conflict_do_nothing()
        .execute(connection)?;
    Ok(inserted == 1)
}

/// Finds a customer.
pub(super) fn find(connection: &mut Connection, id: &TenantId) -> QueryResult<Option<Tenant>> {
    let row = tenants::table
        .find(id.as_str())
        .filter(tenants::id.ne(TenantId::SYSTEM))
        .select(TenantRow::as_select())
        .first(connection);
    Ok(row.optional()?.map(TenantRow::into_tenant))
}

/// Lists the slugs of all tenants, including the system tenant.
pub(super) fn ids(connection: &mut Connection) -> QueryResult<Vec<TenantId>> {
    let ids: Vec<Word<TenantId>> = tenants::table.select(tenants::id).order(tenants::id).load(connection)?;
    Ok(ids.into_iter().map(|id| id.0).collect())
}

/// Lists the slugs of the customers that are not being erased.
pub(super) fn kept_ids(connection: &mut Connection) -> QueryResult<Vec<TenantId>> {
    let kept = tenants::table.filter(tenants::erasing_at.is_null()).filter(tenants::id.ne(TenantId::SYSTEM));
    let ids: Vec<Word<TenantId>> = kept.select(tenants::id).order(tenants::id).load(connection)?;
    Ok(ids.into_iter().map(|id| id.0).collect())
}

/// Tells whether a tenant is being erased, so that nothing of it may be stored any more.
pub(super) fn is_erased(connection: &mut Connection, tenant: &TenantId) -> QueryResult<bool> {
    let erasing = tenants::table.find(tenant.as_str()).select(tenants::erasing_at.is_not_null());
    Ok(erasing.first(connection).optional()?.unwrap_or(false))
}

/// Tells whether a tenant is suspended.
pub(super) fn is_suspended(connection: &mut Connection, tenant: &TenantId) -> QueryResult<bool> {
    let suspended = tenants::table.find(tenant.as_str()).select(tenants::suspended_at.is_not_null());
    Ok(suspended.first(connection).optional()?.unwrap_or(false))
}

/// Lists customers by their slugs.
pub(super) fn list(connection: &mut Connection, after: Option<&TenantId>, limit: Limit) -> QueryResult<Vec<Tenant>> {
    let mut query = tenants::table
        .filter(tenants::id.ne(TenantId::SYSTEM))
        .select(TenantRow::as_select())
        .order(tenants::id)
        .limit(i64::from(limit.get()) + 1)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(tenants::id.gt(after.as_str()));
    }
    Ok(query.load(connection)?.into_iter().map(TenantRow::into_tenant).collect())
}
