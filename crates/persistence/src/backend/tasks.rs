//! The tasks on whole tenants, which workers take under leases.
//!
//! In PostgreSQL, transactions that lock several rows do so in this order: the head of the tenant's log, the task.

use async_trait::async_trait;
use diesel::prelude::*;
use mass_domain::delivery::WorkerName;
use mass_domain::port::PortError;
use mass_domain::tasks::{TaskClaim, TaskQueue, TenantTask};
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

use super::{Connection, Store};
use crate::columns::{Instant, Word};
use crate::schema::tenant_tasks;

#[async_trait]
impl TaskQueue for Store {
    async fn first_due(&self, task: TenantTask, now: Timestamp) -> Result<Option<TenantId>, PortError> {
        let claim = self.reads.read_outside(move |connection| first_due(connection, task, now)).await?;
        Ok(claim.map(|claim| claim.tenant_id))
    }

    async fn claim(
        &self,
        task: TenantTask,
        worker: &WorkerName,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<TaskClaim>, PortError> {
        // A read first, so that a worker that finds nothing does not block a writer.
        let Some(claim) = self.reads.read_outside(move |connection| first_due(connection, task, now)).await? else {
            return Ok(None);
        };
        let (worker, taken) = (worker.clone(), claim.clone());
        let take = move |connection: &mut Connection| take(connection, &taken, &worker, now, until);
        // Another worker may have been faster.
        Ok(self.writes.run_outside(take).await?.then_some(claim))
    }

    async fn release(&self, claim: &TaskClaim, due_at: Option<Timestamp>) -> Result<(), PortError> {
        let claim = claim.clone();
        self.writes.run_outside(move |connection| release(connection, &claim, due_at)).await.map(drop)
    }
}

/// Makes a task due for the next worker. A claim that another one has holds no longer.
pub(super) fn enqueue(
    connection: &mut Connection,
    tenant: &TenantId,
    task: TenantTask,
    due_at: Timestamp,
) -> QueryResult<()> {
    let due = (tenant_tasks::due_at.eq(Instant(due_at)), tenant_tasks::worker.eq(None::<&str>));
    diesel::insert_into(tenant_tasks::table)
        .values((
            tenant_tasks::tenant_id.eq(tenant.as_str()),
            tenant_tasks::task.eq(task.as_str()),
            due.0,
            due.1,
            // A claim of a task that was removed must not hold once the task is there again.
            tenant_tasks::fence.eq(due_at.unix_micros()),
        ))
        .on_conflict((tenant_tasks::tenant_id, tenant_tasks::task))
        .do_update()
        .set((due, tenant_tasks::fence.eq(tenant_tasks::fence + 1)))
        .execute(connection)?;
    Ok(())
}

/// Removes a task.
pub(super) fn remove(connection: &mut Connection, tenant: &TenantId, task: TenantTask) -> QueryResult<()> {
    diesel::delete(tenant_tasks::table.find((tenant.as_str(), task.as_str()))).execute(connection)?;
    Ok(())
}

/// Returns the claim that the next worker would have of the task that is due first.
fn first_due(connection: &mut Connection, task: TenantTask, now: Timestamp) -> QueryResult<Option<TaskClaim>> {
    let row: Option<(Word<TenantId>, i64)> = tenant_tasks::table
        .filter(tenant_tasks::task.eq(task.as_str()))
        .filter(tenant_tasks::due_at.le(Instant(now)))
        .order((tenant_tasks::due_at, tenant_tasks::tenant_id))
        .select((tenant_tasks::tenant_id, tenant_tasks::fence))
        .first(connection)
        .optional()?;
    Ok(row.map(|(tenant, fence)| TaskClaim { tenant_id: tenant.0, task, fence: fence + 1 }))
}

/// Takes a task. Returns false if another worker has taken it since.
fn take(
    connection: &mut Connection,
    claim: &TaskClaim,
    worker: &WorkerName,
    now: Timestamp,
    until: Timestamp,
) -> QueryResult<bool> {
    let taken = diesel::update(tenant_tasks::table.find((claim.tenant_id.as_str(), claim.task.as_str())))
        .filter(tenant_tasks::fence.eq(claim.fence - 1))
        .filter(tenant_tasks::due_at.le(Instant(now)))
        .set((
            tenant_tasks::due_at.eq(Instant(until)),
            tenant_tasks::worker.eq(worker.as_str()),
            tenant_tasks::fence.eq(claim.fence),
        ))
        .execute(connection)?;
    Ok(taken == 1)
}

/// Ends a claim. Returns false, and changes nothing, if it holds no longer.
pub(super) fn release(connection: &mut Connection, claim: &TaskClaim, due_at: Option<Timestamp>) -> QueryResult<bool> {
    let claimed = tenant_tasks::table
        .find((claim.tenant_id.as_str(), claim.task.as_str()))
        .filter(tenant_tasks::fence.eq(claim.fence));
    let ended = match due_at {
        Some(due_at) => diesel::update(claimed)
            .set((tenant_tasks::due_at.eq(Instant(due_at)), tenant_tasks::worker.eq(None::<&str>)))
            .execute(connection)?,
        None => diesel::delete(claimed).execute(connection)?,
    };
    Ok(ended == 1)
}
