//! The erasure of tenants: the port of its workers and their transactions.
//!
//! It runs with the role that migrates, since the role that serves can delete neither tenants' requests nor events.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use mass_admin_service::{Beginning, ErasureStore, erased_event};
use mass_domain::audit::Act;
use mass_domain::port::PortError;
use mass_domain::tasks::TenantTask;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

use super::audit::Head;
use super::legal_holds::holds;
use super::lifecycle::append_to_system;
use super::{Connection, Store, tasks, tenants};
use crate::columns::Instant;
use crate::erased::ERASED_TABLES;
use crate::schema::{audit_archived_leaves, audit_events, tenants as rows};

#[async_trait]
impl ErasureStore for Store {
    async fn may_erase(&self) -> Result<bool, PortError> {
        super::archiving(self).read_outside(super::may_archive).await
    }

    async fn begin(&self, tenant: &TenantId, at: Timestamp) -> Result<Beginning, PortError> {
        super::archiving(self).run_at_length_for(tenant, move |connection, tenant| begin(connection, tenant, at)).await
    }

    async fn erase(&self, tenant: &TenantId, limit: u16) -> Result<usize, PortError> {
        super::archiving(self)
            .run_at_length_for(tenant, move |connection, tenant| erase(connection, tenant, limit))
            .await
    }

    async fn finish(&self, tenant: &TenantId, act: Act) -> Result<(), PortError> {
        super::archiving(self)
            .run_at_length_for(tenant, move |connection, tenant| finish(connection, tenant, &act))
            .await
    }

    async fn sweep(&self) {
        super::sweep(self).await;
    }
}

/// Begins the erasure of a tenant, if it is due.
fn begin(connection: &mut Connection, tenant: &TenantId, at: Timestamp) -> QueryResult<Beginning> {
    super::write(connection, |connection| {
        Head::lock(connection, tenant)?;
        let Some(stored) = tenants::find(connection, tenant)? else { return Ok(Beginning::NotDue) };
        let lifecycle = stored.lifecycle;
        if lifecycle.erased_at.is_some() {
            return Ok(Beginning::Erased);
        }
        if lifecycle.is_erased() {
            return Ok(Beginning::Erasing);
        }
        if lifecycle.deletion_due_at.is_none_or(|due_at| due_at > at) {
            return Ok(Beginning::NotDue);
        }
        if !holds(connection, tenant)?.is_empty() {
            return Ok(Beginning::Held);
        }
        diesel::update(rows::table.find(tenant.as_str()))
            .set(rows::erasing_at.eq(Some(Instant(at))))
            .execute(connection)?;
        Ok(Beginning::Erasing)
    })
}

/// Deletes rows of the first table that has any.
fn erase(connection: &mut Connection, tenant: &TenantId, limit: u16) -> QueryResult<usize> {
    super::write(connection, |connection| {
        Head::lock(connection, tenant)?;
        for table in ERASED_TABLES {
            let erased = match *table {
                "audit_events" => erase_events(connection, tenant, limit)?,
                "mass_requests" => {
                    unlink(connection, tenant)?;
                    delete(connection, table, tenant, limit)?
                }
                _ => delete(connection, table, tenant, limit)?,
            };
            if erased > 0 {
                return Ok(erased);
            }
        }
        Ok(0)
    })
}

fn delete(connection: &mut Connection, table: &str, tenant: &TenantId, limit: u16) -> QueryResult<usize> {
    let row = super::row_columns(connection, table)?;
    let [of, most] = super::PLACES;
    let statement =
        format!("DELETE FROM {table} WHERE ({row}) IN (SELECT {row} FROM {table} WHERE tenant_id = {of} LIMIT {most})");
    let statement = diesel::sql_query(statement).bind::<Text, _>(tenant.as_str());
    statement.bind::<BigInt, _>(i64::from(limit)).execute(connection)
}

/// Removes the references between corrections, which would order the deletions. There are few of them.
fn unlink(connection: &mut Connection, tenant: &TenantId) -> QueryResult<()> {
    let [of, _] = super::PLACES;
    // Without its natural key, a request cannot be a second current one.
    for statement in [
        "UPDATE mass_requests SET natural_key = NULL, corrected_by = NULL WHERE tenant_id = {} AND corrected_by IS NOT NULL",
        "UPDATE mass_requests SET corrects = NULL WHERE tenant_id = {} AND corrects IS NOT NULL",
    ] {
        diesel::sql_query(statement.replace("{}", of)).bind::<Text, _>(tenant.as_str()).execute(connection)?;
    }
    Ok(())
}

/// Deletes the first events of a log and keeps their hashes. The event that records the end of the erasure stays.
fn erase_events(connection: &mut Connection, tenant: &TenantId, limit: u16) -> QueryResult<usize> {
    let erased_at = rows::table.find(tenant.as_str()).select(rows::erased_at.is_not_null());
    if erased_at.first(connection)? {
        return Ok(0);
    }
    let events = audit_events::table.filter(audit_events::tenant_id.eq(tenant.as_str()));
    let first = events.order(audit_events::sequence).select(audit_events::sequence).limit(limit.into());
    let sequences: Vec<i64> = first.load(connection)?;
    let Some(last) = sequences.last() else { return Ok(0) };
    events
        .filter(audit_events::sequence.le(last))
        .select((audit_events::tenant_id, audit_events::sequence, audit_events::leaf_hash))
        .insert_into(audit_archived_leaves::table)
        .into_columns((
            audit_archived_leaves::tenant_id,
            audit_archived_leaves::sequence,
            audit_archived_leaves::leaf_hash,
        ))
        .execute(connection)?;
    diesel::delete(events.filter(audit_events::sequence.le(last))).execute(connection)
}

/// Records the end of an erasure.
fn finish(connection: &mut Connection, tenant: &TenantId, act: &Act) -> QueryResult<()> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let ended = diesel::update(rows::table.find(tenant.as_str()))
            .filter(rows::erased_at.is_null())
            .set(rows::erased_at.eq(Some(Instant(act.at))))
            .execute(connection)?;
        if ended == 0 {
            return Ok(());
        }
        for task in [TenantTask::Alerts, TenantTask::Retention] {
            tasks::remove(connection, tenant, task)?;
        }
        head.append(connection, [erased_event(act, tenant, tenant)])?;
        append_to_system(connection, erased_event(act, &TenantId::system(), tenant))
    })
}
