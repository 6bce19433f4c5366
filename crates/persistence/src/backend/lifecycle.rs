//! The lifecycle of tenants: the port and its transaction.
//!
//! A transaction writes to two logs: first to that of the tenant, then to that of the system tenant.

use async_trait::async_trait;
use diesel::prelude::*;
use mass_admin_service::{LifecycleChange, LifecycleError, LifecycleState, LifecycleStep, LifecycleStore};
use mass_domain::access::Role;
use mass_domain::audit::NewEvent;
use mass_domain::tasks::TenantTask;
use mass_domain::tenancy::{Tenant, TenantId};

use super::audit::Head;
use super::legal_holds::holds;
use super::{Connection, Store, evaluation, tasks, tenants};
use crate::columns::{Instant, Set, Word};
use crate::schema::{tenants as rows, users};

#[async_trait]
impl LifecycleStore for Store {
    async fn change(&self, tenant: &TenantId, change: LifecycleChange) -> Result<Tenant, LifecycleError> {
        // An unknown tenant gets no turn to write and leaves nothing behind.
        let known = tenant.clone();
        if self.reads.read_outside(move |connection| tenants::find(connection, &known)).await?.is_none() {
            return Err(LifecycleError::NotFound);
        }
        self.writes.run_for(tenant, move |connection, tenant| self::change(connection, tenant, &change)).await?
    }
}

/// Moves a tenant as it is judged.
pub(super) fn change(
    connection: &mut Connection,
    tenant: &TenantId,
    change: &LifecycleChange,
) -> QueryResult<Result<Tenant, LifecycleError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let Some(stored) = tenants::find(connection, tenant)? else { return Ok(Err(LifecycleError::NotFound)) };
        let holds = holds(connection, tenant)?;
        super::switch(connection, &change.caller)?;
        let platform_admins = platform_admins(connection, &change.caller)?;
        super::switch(connection, tenant)?;
        let state = LifecycleState { tenant: stored, holds, platform_admins };
        let lifecycle = match change.judge(&state) {
            Ok(Some(lifecycle)) => lifecycle,
            Ok(None) => return Ok(Ok(state.tenant)),
            Err(error) => return Ok(Err(error)),
        };
        diesel::update(rows::table.find(tenant.as_str()))
            .set((
                rows::suspended_at.eq(lifecycle.suspended_at.map(Instant)),
                rows::deletion_due_at.eq(lifecycle.deletion_due_at.map(Instant)),
            ))
            .execute(connection)?;
        match change.step {
            LifecycleStep::Suspend => tasks::remove(connection, tenant, TenantTask::Alerts)?,
            LifecycleStep::Resume => evaluation::wake(connection, tenant, change.act.at)?,
            LifecycleStep::RequestDeletion => {
                tasks::enqueue(connection, tenant, TenantTask::Erasure, change.deletion_due_at)?;
            }
            LifecycleStep::CancelDeletion => tasks::remove(connection, tenant, TenantTask::Erasure)?,
        }
        head.append(connection, [change.event(tenant, tenant)])?;
        append_to_system(connection, change.event(&TenantId::system(), tenant))?;
        Ok(Ok(Tenant { lifecycle, ..state.tenant }))
    })
}

/// Appends an event to the log of the system tenant, in whose name the transaction goes on.
pub(super) fn append_to_system(connection: &mut Connection, event: NewEvent) -> QueryResult<()> {
    super::switch(connection, &TenantId::system())?;
    Head::lock(connection, &TenantId::system())?.append(connection, [event])
}

/// Counts the enabled administrators of the platform in a tenant.
fn platform_admins(connection: &mut Connection, tenant: &TenantId) -> QueryResult<usize> {
    let roles: Vec<Word<Set<Role>>> = users::table
        .filter(users::tenant_id.eq(tenant.as_str()))
        .filter(users::disabled_at.is_null())
        .select(users::roles)
        .load(connection)?;
    Ok(roles.iter().filter(|roles| roles.0.0.contains(&Role::PlatformAdmin)).count())
}
