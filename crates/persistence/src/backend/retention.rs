//! Retention rules and legal holds: the ports and their transactions.

use async_trait::async_trait;
use diesel::dsl::count_star;
use diesel::prelude::*;
use mass_domain::port::PortError;
use mass_domain::retention::{Expiry, LegalHold, RetentionRule, RetentionRules, require_unheld};
use mass_domain::tasks::TenantTask;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use mass_service::{
    ExpiryStep, ExpiryStore, HoldError, HoldRelease, NewHold, Retention, RetentionChange, RetentionStore,
};

use super::audit::{Head, count};
use super::legal_holds::holds;
use super::{Backend, Connection, Store, deletions, retention_reports, tasks};
use crate::columns::{Id, Word};
use crate::id_bounds::lowest_id_at;
use crate::rows::{LegalHoldRow, corrupt};
use crate::schema::{legal_holds, mass_requests, retention_rules};

#[async_trait]
impl RetentionStore for Store {
    async fn get(
        &self,
        tenant: &TenantId,
        supposed: Option<RetentionRules>,
        at: Timestamp,
        most: u32,
    ) -> Result<Retention, PortError> {
        let get =
            move |connection: &mut Connection, tenant: &TenantId| get(connection, tenant, supposed.clone(), at, most);
        self.reads.read_for(tenant, get).await
    }

    async fn update(&self, tenant: &TenantId, change: RetentionChange) -> Result<(), PortError> {
        self.writes.run_for(tenant, move |connection, tenant| update(connection, tenant, &change)).await
    }

    async fn list_holds(&self, tenant: &TenantId) -> Result<Vec<LegalHold>, PortError> {
        self.reads.read_for(tenant, holds).await
    }

    async fn insert_hold(&self, tenant: &TenantId, hold: NewHold) -> Result<(), HoldError> {
        self.writes.run_for(tenant, move |connection, tenant| insert_hold(connection, tenant, &hold)).await?
    }

    async fn delete_hold(&self, tenant: &TenantId, release: HoldRelease) -> Result<(), HoldError> {
        self.writes.run_for(tenant, move |connection, tenant| delete_hold(connection, tenant, &release)).await?
    }
}

#[async_trait]
impl ExpiryStore for Store {
    async fn erase(&self, tenant: &TenantId, step: ExpiryStep) -> Result<u16, PortError> {
        self.writes.run_for(tenant, move |connection, tenant| erase(connection, tenant, &step)).await
    }

    async fn sweep(&self) {
        super::sweep(self).await;
    }
}

/// Reads the rules of a tenant, or takes the supposed ones, and finds what they let go.
pub(super) fn get(
    connection: &mut Connection,
    tenant: &TenantId,
    supposed: Option<RetentionRules>,
    at: Timestamp,
    most: u32,
) -> QueryResult<Retention> {
    super::read(connection, |connection| {
        let rules = supposed.map_or_else(|| rules(connection, tenant), Ok)?;
        let holds = holds(connection, tenant)?;
        let expiries = unheld(&rules, &holds, at);
        let mut due = 0;
        for expiry in &expiries {
            let room = i64::from(most.saturating_sub(due));
            let ids: Vec<Id> = expired(tenant, expiry).select(mass_requests::id).limit(room).load(connection)?;
            due += u32::try_from(ids.len()).unwrap_or(most);
        }
        let reports = retention_reports::at_risk(connection, tenant, &expiries)?;
        Ok(Retention { rules, due, holds: u32::try_from(holds.len()).unwrap_or(u32::MAX), reports })
    })
}

/// Reads the rules of a tenant.
fn rules(connection: &mut Connection, tenant: &TenantId) -> QueryResult<RetentionRules> {
    let rows: Vec<(String, i64)> = retention_rules::table
        .filter(retention_rules::tenant_id.eq(tenant.as_str()))
        .select((retention_rules::contract, retention_rules::days))
        .load(connection)?;
    let rule = |(contract, days): (String, i64)| {
        let contract = if contract.is_empty() { None } else { Some(contract.parse().map_err(corrupt)?) };
        Ok(RetentionRule { contract, days: u16::try_from(days).map_err(corrupt)? })
    };
    let rules = rows.into_iter().map(rule).collect::<QueryResult<_>>()?;
    RetentionRules::new(rules).map_err(corrupt)
}

/// Replaces the rules of a tenant.
pub(super) fn update(connection: &mut Connection, tenant: &TenantId, change: &RetentionChange) -> QueryResult<()> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let before = rules(connection, tenant)?;
        if before == change.rules {
            return Ok(());
        }
        diesel::delete(retention_rules::table)
            .filter(retention_rules::tenant_id.eq(tenant.as_str()))
            .execute(connection)?;
        for rule in change.rules.as_slice() {
            let contract = rule.contract.map(|contract| contract.to_string()).unwrap_or_default();
            diesel::insert_into(retention_rules::table)
                .values((
                    retention_rules::tenant_id.eq(tenant.as_str()),
                    retention_rules::contract.eq(contract),
                    retention_rules::days.eq(i64::from(rule.days)),
                ))
                .execute(connection)?;
        }
        head.append(connection, [change.event(tenant, &before)])?;
        if change.rules.is_empty() {
            tasks::remove(connection, tenant, TenantTask::Retention)
        } else {
            tasks::enqueue(connection, tenant, TenantTask::Retention, change.act.at)
        }
    })
}

/// Sets a legal hold.
pub(super) fn insert_hold(
    connection: &mut Connection,
    tenant: &TenantId,
    new: &NewHold,
) -> QueryResult<Result<(), HoldError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let held: i64 = legal_holds::table
            .filter(legal_holds::tenant_id.eq(tenant.as_str()))
            .select(count_star())
            .first(connection)?;
        let event = match new.judge(tenant, count(held)) {
            Ok(event) => event,
            Err(error) => return Ok(Err(error)),
        };
        diesel::insert_into(legal_holds::table).values(LegalHoldRow::new(tenant, &new.hold)).execute(connection)?;
        head.append(connection, [event])?;
        Ok(Ok(()))
    })
}

/// Releases a legal hold. What it kept beyond its age is due for a worker.
pub(super) fn delete_hold(
    connection: &mut Connection,
    tenant: &TenantId,
    release: &HoldRelease,
) -> QueryResult<Result<(), HoldError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let hold = legal_holds::table.find((tenant.as_str(), Id(release.id.as_uuid())));
        let stored = hold.select(LegalHoldRow::as_select()).first(connection).optional()?;
        let stored = stored.map(LegalHoldRow::into_hold).transpose()?;
        let event = match release.judge(tenant, stored.as_ref()) {
            Ok(event) => event,
            Err(error) => return Ok(Err(error)),
        };
        diesel::delete(hold).execute(connection)?;
        head.append(connection, [event])?;
        if !rules(connection, tenant)?.is_empty() {
            tasks::enqueue(connection, tenant, TenantTask::Retention, release.act.at)?;
        }
        Ok(Ok(()))
    })
}

/// Returns what the rules let go and no hold covers.
fn unheld(rules: &RetentionRules, holds: &[LegalHold], at: Timestamp) -> Vec<Expiry> {
    let mut expiries = rules.expiries(at);
    expiries.retain(|expiry| require_unheld(holds, Some(expiry.contract)).is_ok());
    expiries
}

/// Builds the query for the requests that a rule lets go, the oldest first. A request's id has the time of its receipt.
fn expired<'a>(tenant: &'a TenantId, expiry: &Expiry) -> mass_requests::BoxedQuery<'a, Backend> {
    mass_requests::table
        .filter(mass_requests::tenant_id.eq(tenant.as_str()))
        .filter(mass_requests::contract.eq(Word(expiry.contract)))
        .filter(mass_requests::deleted_at.is_null())
        .filter(mass_requests::id.lt(Id(lowest_id_at(expiry.received_before))))
        .order(mass_requests::id.asc())
        .into_boxed()
}

/// Erases requests beyond their age.
pub(super) fn erase(connection: &mut Connection, tenant: &TenantId, step: &ExpiryStep) -> QueryResult<u16> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let (rules, holds) = (rules(connection, tenant)?, holds(connection, tenant)?);
        let (act, mut events, mut erased) = (step.act(), Vec::new(), 0);
        for expiry in unheld(&rules, &holds, step.at) {
            let room = step.limit.saturating_sub(erased);
            if room == 0 {
                break;
            }
            let requests = deletions::with_sizes(expired(tenant, &expiry).limit(room.into()), connection)?;
            erased += u16::try_from(requests.len()).unwrap_or(step.limit);
            let erasure = deletions::Erasure { act: &act, retention_days: Some(expiry.days) };
            deletions::delete_all(connection, tenant, requests, &erasure, &mut events)?;
        }
        if !events.is_empty() {
            head.append(connection, events)?;
        }
        Ok(erased)
    })
}
