//! The quarantine: the port and its transactions.

use std::collections::HashMap;

use async_trait::async_trait;
use diesel::prelude::*;
use mass_domain::canonical::Fingerprint;
use mass_domain::ids::QuarantineId;
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::quarantine::{QuarantineFilter, Quarantined, QuarantinedSummary};
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use mass_service::{Admission, Deleted, Kept, NewRecord, QuarantineStore, Receipt, Refusal, Submission, admit};

use super::{Backend, Connection, Store, acceptance, quotas, settings};
use crate::columns::{Hash, Id, Instant};
use crate::id_bounds::{lowest_id_after, lowest_id_from};
use crate::layout::Layout;
use crate::rows::{NewQuarantineRow, QuarantineRow, QuarantineSummaryRow};
use crate::schema::{quarantine_usage, quarantined_records};
use crate::store::ROWS_PER_STATEMENT;

/// The number of expired records that one transaction deletes.
const EXPIRED_AT_ONCE: i64 = 1000;

#[async_trait]
impl QuarantineStore for Store {
    async fn is_on(&self, tenant: &TenantId) -> Result<bool, PortError> {
        Ok(self.reads.read_for(tenant, settings::get).await?.quarantines())
    }

    async fn insert(
        &self,
        tenant: &TenantId,
        records: Vec<NewRecord>,
        default_quota: u64,
        now: Timestamp,
    ) -> Result<Vec<Kept>, PortError> {
        super::in_place(self)?;
        let insert = move |connection: &mut Connection, tenant: &TenantId| {
            insert(connection, tenant, records, default_quota, now)
        };
        self.writes.run_for(tenant, insert).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &QuarantineFilter,
        before: Option<QuarantineId>,
        limit: Limit,
        now: Timestamp,
    ) -> Result<Vec<QuarantinedSummary>, PortError> {
        let filter = filter.clone();
        let list =
            move |connection: &mut Connection, tenant: &TenantId| list(connection, tenant, &filter, before, limit, now);
        self.reads.read_for(tenant, list).await
    }

    async fn find(
        &self,
        tenant: &TenantId,
        id: QuarantineId,
        now: Timestamp,
    ) -> Result<Option<Quarantined>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| find(connection, tenant, id, now)).await
    }

    async fn release(
        &self,
        tenant: &TenantId,
        id: QuarantineId,
        submission: Submission,
        now: Timestamp,
    ) -> Result<Option<Result<Receipt, Refusal>>, PortError> {
        super::in_place(self)?;
        let layout = super::layout(self);
        let release = move |connection: &mut Connection, tenant: &TenantId| {
            release(connection, layout, tenant, id, &submission, now)
        };
        let released = self.writes.run_for(tenant, release).await?;
        if let Some(Ok(_)) = &released {
            super::sweep(self).await;
        }
        Ok(released)
    }

    async fn delete(&self, tenant: &TenantId, id: QuarantineId, now: Timestamp) -> Result<bool, PortError> {
        let delete = move |connection: &mut Connection, tenant: &TenantId| delete(connection, tenant, id, now);
        let is_deleted = self.writes.run_for(tenant, delete).await?;
        if is_deleted {
            super::sweep(self).await;
        }
        Ok(is_deleted)
    }

    async fn delete_matching(
        &self,
        tenant: &TenantId,
        filter: &QuarantineFilter,
        limit: u16,
        now: Timestamp,
    ) -> Result<Deleted, PortError> {
        let filter = filter.clone();
        let delete = move |connection: &mut Connection, tenant: &TenantId| {
            delete_matching(connection, tenant, &filter, limit, now)
        };
        let deleted = self.writes.run_for(tenant, delete).await?;
        if deleted.count > 0 {
            super::sweep(self).await;
        }
        Ok(deleted)
    }
}

/// Builds the query for the records that match a filter and have not expired.
fn matching<'a>(
    tenant: &'a TenantId,
    filter: &'a QuarantineFilter,
    now: Timestamp,
) -> quarantined_records::BoxedQuery<'a, Backend> {
    let QuarantineFilter { contract, code, request_id, received_from, received_to } = filter;
    let mut query = quarantined_records::table
        .filter(quarantined_records::tenant_id.eq(tenant.as_str()))
        .filter(quarantined_records::expires_at.gt(Instant(now)))
        .into_boxed();
    if let Some(contract) = contract {
        query = query.filter(quarantined_records::contract.eq(contract.to_string()));
    }
    if let Some(code) = code {
        let pattern = format!("%,{},%", code.as_str().replace('_', "!_"));
        query = query.filter(quarantined_records::codes.like(pattern).escape('!'));
    }
    if let Some(request_id) = request_id {
        query = query.filter(quarantined_records::call_id.eq(request_id.as_str()));
    }
    if let Some(from) = received_from {
        query = query
            .filter(quarantined_records::received_at.ge(Instant(*from)))
            .filter(quarantined_records::id.ge(Id(lowest_id_from(*from))));
    }
    if let Some(to) = received_to {
        query = query
            .filter(quarantined_records::received_at.lt(Instant(*to)))
            .filter(quarantined_records::id.lt(Id(lowest_id_after(*to))));
    }
    query
}

/// Lists records, newest first.
fn list(
    connection: &mut Connection,
    tenant: &TenantId,
    filter: &QuarantineFilter,
    before: Option<QuarantineId>,
    limit: Limit,
    now: Timestamp,
) -> QueryResult<Vec<QuarantinedSummary>> {
    let mut query = matching(tenant, filter, now);
    if let Some(before) = before {
        query = query.filter(quarantined_records::id.lt(Id(before.as_uuid())));
    }
    query
        .select(QuarantineSummaryRow::as_select())
        .order(quarantined_records::id.desc())
        .limit(i64::from(limit.get()) + 1)
        .load(connection)?
        .into_iter()
        .map(QuarantineSummaryRow::into_summary)
        .collect()
}

/// Finds a record.
fn find(
    connection: &mut Connection,
    tenant: &TenantId,
    id: QuarantineId,
    now: Timestamp,
) -> QueryResult<Option<Quarantined>> {
    let row = quarantined_records::table
        .find((tenant.as_str(), Id(id.as_uuid())))
        .filter(quarantined_records::expires_at.gt(Instant(now)))
        .select(QuarantineRow::as_select())
        .first(connection)
        .optional()?;
    row.map(QuarantineRow::into_quarantined).transpose()
}

/// Inserts the records that are admitted.
fn insert(
    connection: &mut Connection,
    tenant: &TenantId,
    records: Vec<NewRecord>,
    default_quota: u64,
    now: Timestamp,
) -> QueryResult<Vec<Kept>> {
    super::write(connection, |connection| {
        let used = lock_usage(connection, tenant)?;
        let quota = quotas::get(connection, tenant)?.quarantine_bytes.unwrap_or(default_quota);
        let Met { records: met, expired } = meet(connection, tenant, &records, now)?;
        let used = used.saturating_sub(remove(connection, tenant, &expired)?);
        let Admission { results, added, bytes } = admit(records, met, used, quota);
        let rows: Vec<_> = added.iter().map(|new| NewQuarantineRow::new(tenant, new)).collect();
        for rows in rows.chunks(ROWS_PER_STATEMENT) {
            diesel::insert_into(quarantined_records::table).values(rows).execute(connection)?;
        }
        set_usage(connection, tenant, bytes)?;
        Ok(results)
    })
}

/// The stored records that new ones meet by their digests.
struct Met {
    records: HashMap<Fingerprint, QuarantineId>,
    expired: Vec<Id>,
}

fn meet(connection: &mut Connection, tenant: &TenantId, records: &[NewRecord], now: Timestamp) -> QueryResult<Met> {
    let digests: Vec<Hash> = records.iter().filter_map(|record| record.digest).map(Hash).collect();
    let mut met = Met { records: HashMap::new(), expired: Vec::new() };
    for digests in digests.chunks(ROWS_PER_STATEMENT) {
        let rows: Vec<(Hash, Id, Instant)> = quarantined_records::table
            .filter(quarantined_records::tenant_id.eq(tenant.as_str()))
            .filter(quarantined_records::digest.eq_any(digests))
            .select((
                quarantined_records::digest.assume_not_null(),
                quarantined_records::id,
                quarantined_records::expires_at,
            ))
            .load(connection)?;
        for (Hash(digest), id, Instant(expires_at)) in rows {
            if expires_at > now {
                met.records.insert(digest, QuarantineId::from_uuid(id.0));
            } else {
                met.expired.push(id);
            }
        }
    }
    Ok(met)
}

/// Stores a submission that was made of a record, and deletes the record unless the submission is refused.
fn release(
    connection: &mut Connection,
    layout: Layout,
    tenant: &TenantId,
    id: QuarantineId,
    submission: &Submission,
    now: Timestamp,
) -> QueryResult<Option<Result<Receipt, Refusal>>> {
    super::write(connection, |connection| {
        let used = lock_usage(connection, tenant)?;
        if !is_there(connection, tenant, id, now)? {
            return Ok(None);
        }
        let mut results = acceptance::store_together(connection, tenant, std::slice::from_ref(submission), layout)?;
        let result = results.pop().ok_or(diesel::NotFound)?;
        if result.is_ok() {
            let freed = remove(connection, tenant, &[Id(id.as_uuid())])?;
            set_usage(connection, tenant, used.saturating_sub(freed))?;
        }
        Ok(Some(result))
    })
}

fn is_there(connection: &mut Connection, tenant: &TenantId, id: QuarantineId, now: Timestamp) -> QueryResult<bool> {
    let found: Option<Id> = quarantined_records::table
        .find((tenant.as_str(), Id(id.as_uuid())))
        .filter(quarantined_records::expires_at.gt(Instant(now)))
        .select(quarantined_records::id)
        .first(connection)
        .optional()?;
    Ok(found.is_some())
}

/// Deletes a record. Returns whether there was one.
fn delete(connection: &mut Connection, tenant: &TenantId, id: QuarantineId, now: Timestamp) -> QueryResult<bool> {
    let deleted = remove_found(connection, tenant, |connection| {
        let is_there = is_there(connection, tenant, id, now)?;
        Ok(is_there.then_some(Id(id.as_uuid())).into_iter().collect())
    })?;
    Ok(deleted > 0)
}

/// Deletes records that match a filter, oldest first.
fn delete_matching(
    connection: &mut Connection,
    tenant: &TenantId,
    filter: &QuarantineFilter,
    limit: u16,
    now: Timestamp,
) -> QueryResult<Deleted> {
    let mut more = false;
    let count = remove_found(connection, tenant, |connection| {
        let query = matching(tenant, filter, now).select(quarantined_records::id).order(quarantined_records::id.asc());
        let mut ids: Vec<Id> = query.limit(i64::from(limit) + 1).load(connection)?;
        more = ids.len() > usize::from(limit);
        ids.truncate(limit.into());
        Ok(ids)
    })?;
    Ok(Deleted { count, more })
}

/// Deletes the expired records of a tenant. Returns their number.
pub(super) fn purge(connection: &mut Connection, tenant: &TenantId, now: Timestamp) -> QueryResult<usize> {
    let mut count = 0;
    // Most tenants have none, and then nothing is written.
    while !expired(connection, tenant, now, 1)?.is_empty() {
        count += remove_found(connection, tenant, |connection| expired(connection, tenant, now, EXPIRED_AT_ONCE))?;
    }
    Ok(count)
}

/// Returns the ids of expired records, the first to expire first.
fn expired(connection: &mut Connection, tenant: &TenantId, now: Timestamp, limit: i64) -> QueryResult<Vec<Id>> {
    quarantined_records::table
        .filter(quarantined_records::tenant_id.eq(tenant.as_str()))
        .filter(quarantined_records::expires_at.le(Instant(now)))
        .order(quarantined_records::expires_at)
        .limit(limit)
        .select(quarantined_records::id)
        .load(connection)
}

/// Deletes the records that a query finds, in one transaction. Returns their number.
fn remove_found(
    connection: &mut Connection,
    tenant: &TenantId,
    find: impl FnOnce(&mut Connection) -> QueryResult<Vec<Id>>,
) -> QueryResult<usize> {
    super::write(connection, |connection| {
        let used = lock_usage(connection, tenant)?;
        let ids = find(connection)?;
        if !ids.is_empty() {
            let freed = remove(connection, tenant, &ids)?;
            set_usage(connection, tenant, used.saturating_sub(freed))?;
        }
        Ok(ids.len())
    })
}

/// Deletes records. Returns the bytes that they counted.
fn remove(connection: &mut Connection, tenant: &TenantId, ids: &[Id]) -> QueryResult<u64> {
    let mut freed = 0;
    for ids in ids.chunks(ROWS_PER_STATEMENT) {
        let rows = quarantined_records::table
            .filter(quarantined_records::tenant_id.eq(tenant.as_str()))
            .filter(quarantined_records::id.eq_any(ids));
        let bytes: Vec<i64> = diesel::delete(rows).returning(quarantined_records::bytes).get_results(connection)?;
        freed += bytes.into_iter().map(|bytes| u64::try_from(bytes).unwrap_or(0)).sum::<u64>();
    }
    Ok(freed)
}

/// Locks and returns the bytes that the tenant's records count, until the end of the transaction.
fn lock_usage(connection: &mut Connection, tenant: &TenantId) -> QueryResult<u64> {
    let bytes: i64 = diesel::insert_into(quarantine_usage::table)
        .values((quarantine_usage::tenant_id.eq(tenant.as_str()), quarantine_usage::bytes.eq(0_i64)))
        .on_conflict(quarantine_usage::tenant_id)
        .do_update()
        .set(quarantine_usage::bytes.eq(quarantine_usage::bytes))
        .returning(quarantine_usage::bytes)
        .get_result(connection)?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

fn set_usage(connection: &mut Connection, tenant: &TenantId, bytes: u64) -> QueryResult<()> {
    diesel::update(quarantine_usage::table.find(tenant.as_str()))
        .set(quarantine_usage::bytes.eq(i64::try_from(bytes).unwrap_or(i64::MAX)))
        .execute(connection)?;
    Ok(())
}
