//! The evaluation of alert rules: the port of its workers and its transactions.
//!
//! In PostgreSQL, transactions that lock several rows do so in this order: the head of the tenant's log, the task, the alerts.

use std::collections::HashMap;

use async_trait::async_trait;
use diesel::dsl::{count_star, exists, sql};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use mass_alert_service::{AlertChange, ChangeKind, EvaluationStore, MAX_STORED_ALERTS, RuleOutcome, Work};
use mass_domain::alerts::{AlertState, WatchedEvents};
use mass_domain::audit::NewEvent;
use mass_domain::delivery::State;
use mass_domain::port::PortError;
use mass_domain::tasks::{TaskClaim, TenantTask};
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

use super::audit::{column, count};
use super::audit_log::{SLACK_MICROS, around, moved};
use super::{Connection, Store, live_alerts, notifications, tasks};
use crate::columns::{Id, Instant, sql as types};
use crate::id_bounds::lowest_id_from;
use crate::rows::{self, AlertChangeset, AlertRow, RuleRow};
use crate::schema::{alert_rules, alerts, audit_events};
use crate::store::ROWS_PER_STATEMENT;

/// The alerts that a purge deletes in one transaction.
const PURGED_AT_ONCE: i64 = 1000;

#[async_trait]
impl EvaluationStore for Store {
    async fn work(&self, tenant: &TenantId) -> Result<Work, PortError> {
        self.reads.read_for(tenant, work).await
    }

    async fn count_quarantined(&self, tenant: &TenantId, since: Timestamp, most: u32) -> Result<u64, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| count_quarantined(connection, tenant, since, most)).await
    }

    async fn count_dead(&self, tenant: &TenantId, most: u32) -> Result<u64, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| count_dead(connection, tenant, most)).await
    }

    async fn events(
        &self,
        tenant: &TenantId,
        watched: WatchedEvents,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<NewEvent>, PortError> {
        let events =
            move |connection: &mut Connection, tenant: &TenantId| events(connection, tenant, watched, since, limit);
        self.reads.read_for(tenant, events).await
    }

    async fn event_time(&self, tenant: &TenantId, behind: i64) -> Result<Option<Timestamp>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| event_time(connection, tenant, behind)).await
    }

    async fn finish(
        &self,
        claim: &TaskClaim,
        outcomes: Vec<RuleOutcome>,
        due_at: Timestamp,
    ) -> Result<bool, PortError> {
        let (tenant, claim) = (claim.tenant_id.clone(), claim.clone());
        self.writes
            .run_for(&tenant, move |connection, tenant| finish(connection, tenant, &claim, &outcomes, due_at))
            .await
    }

    async fn purge(&self, resolved_before: Timestamp) -> Result<usize, PortError> {
        let purge = move |connection: &mut Connection, tenant: &TenantId| purge(connection, tenant, resolved_before);
        let purged = self.in_each_tenant(purge).await?;
        super::sweep(self).await;
        Ok(purged)
    }
}

/// Has a tenant evaluated at once, if it has rules to evaluate, and else not at all. An evaluation under way is lost.
pub(super) fn wake(connection: &mut Connection, tenant: &TenantId, at: Timestamp) -> QueryResult<()> {
    if has_rules(connection, tenant)? {
        tasks::enqueue(connection, tenant, TenantTask::Alerts, at)
    } else {
        tasks::remove(connection, tenant, TenantTask::Alerts)
    }
}

fn has_rules(connection: &mut Connection, tenant: &TenantId) -> QueryResult<bool> {
    let enabled =
        alert_rules::table.filter(alert_rules::tenant_id.eq(tenant.as_str())).filter(alert_rules::enabled.eq(true));
    diesel::select(exists(enabled)).get_result(connection)
}

fn work(connection: &mut Connection, tenant: &TenantId) -> QueryResult<Work> {
    super::read(connection, |connection| {
        let rules = alert_rules::table
            .filter(alert_rules::tenant_id.eq(tenant.as_str()))
            .filter(alert_rules::enabled.eq(true))
            .select(RuleRow::as_select())
            .order(alert_rules::name)
            .load(connection)?;
        let rules = rules.into_iter().map(RuleRow::into_rule).collect::<QueryResult<_>>()?;
        Ok(Work { rules, live: live_alerts::live(connection, tenant, None)? })
    })
}

/// A number.
#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

fn count_quarantined(connection: &mut Connection, tenant: &TenantId, since: Timestamp, most: u32) -> QueryResult<u64> {
    const COUNT: &str = "SELECT count(*) AS number FROM (
            SELECT 1 FROM quarantined_records WHERE tenant_id = $1 AND id >= $2 AND received_at >= $3 LIMIT $4
        ) AS found";
    let counted: Count = diesel::sql_query(COUNT)
        .bind::<Text, _>(tenant.as_str())
        .bind::<types::Id, _>(Id(lowest_id_from(since)))
        .bind::<types::Instant, _>(Instant(since))
        .bind::<BigInt, _>(i64::from(most))
        .get_result(connection)?;
    Ok(count(counted.number))
}

fn count_dead(connection: &mut Connection, tenant: &TenantId, most: u32) -> QueryResult<u64> {
    // The condition on the length is that of the partial index.
    const COUNT: &str = "SELECT count(*) AS number FROM (
            SELECT 1 FROM deliveries WHERE tenant_id = $1 AND state = $2 AND length(tenant_id) > 0 LIMIT $3
        ) AS found";
    let counted: Count = diesel::sql_query(COUNT)
        .bind::<Text, _>(tenant.as_str())
        .bind::<Text, _>(State::Dead.as_str())
        .bind::<BigInt, _>(i64::from(most))
        .get_result(connection)?;
    Ok(count(counted.number))
}

fn events(
    connection: &mut Connection,
    tenant: &TenantId,
    watched: WatchedEvents,
    since: Timestamp,
    limit: u32,
) -> QueryResult<Vec<NewEvent>> {
    let (before, _) = around(connection, tenant, moved(since, -SLACK_MICROS))?;
    let actions: Vec<&str> = watched.actions.iter().map(|action| action.as_str()).collect();
    let texts: Vec<String> = audit_events::table
        .filter(audit_events::tenant_id.eq(tenant.as_str()))
        .filter(audit_events::action.eq_any(actions))
        // Repeating this predicate lets the planner use the partial index.
        .filter(sql::<Bool>("action <> 'accepted'"))
        .filter(audit_events::outcome.eq(watched.outcome.as_str()))
        .filter(audit_events::at.ge(Instant(since)))
        .filter(audit_events::sequence.gt(before))
        .order(audit_events::sequence.desc())
        .limit(limit.into())
        .select(audit_events::event)
        .load(connection)?;
    texts.iter().map(|text| rows::event(text).map(|event| event.event)).collect()
}

fn event_time(connection: &mut Connection, tenant: &TenantId, behind: i64) -> QueryResult<Option<Timestamp>> {
    let at: Option<Instant> = audit_events::table
        .filter(audit_events::tenant_id.eq(tenant.as_str()))
        .filter(audit_events::sequence.gt(behind))
        .order(audit_events::sequence)
        .select(audit_events::at)
        .first(connection)
        .optional()?;
    Ok(at.map(|at| at.0))
}

fn finish(
    connection: &mut Connection,
    tenant: &TenantId,
    claim: &TaskClaim,
    outcomes: &[RuleOutcome],
    due_at: Timestamp,
) -> QueryResult<bool> {
    super::write(connection, |connection| {
        if !tasks::release(connection, claim, Some(due_at))? {
            return Ok(false);
        }
        let changes = || outcomes.iter().flat_map(|outcome| &outcome.changes);
        let inserted = changes().filter(|change| change.kind == ChangeKind::Insert).count();
        make_room(connection, tenant, inserted as u64)?;
        for change in changes() {
            apply(connection, tenant, change)?;
        }
        tell_problems(connection, tenant, outcomes)?;
        let told: Vec<_> = outcomes.iter().flat_map(|outcome| &outcome.notifications).cloned().collect();
        notifications::enqueue(connection, tenant, &told)?;
        Ok(true)
    })
}

/// Stores the problems of rules where they differ from those of the evaluation before.
fn tell_problems(connection: &mut Connection, tenant: &TenantId, outcomes: &[RuleOutcome]) -> QueryResult<()> {
    let stored: Vec<(String, Option<String>)> = alert_rules::table
        .filter(alert_rules::tenant_id.eq(tenant.as_str()))
        .select((alert_rules::name, alert_rules::problem))
        .load(connection)?;
    let stored: HashMap<String, Option<String>> = stored.into_iter().collect();
    for RuleOutcome { rule, problem, .. } in outcomes {
        if stored.get(rule.as_str()).is_some_and(|before| before != problem) {
            diesel::update(alert_rules::table.find((tenant.as_str(), rule.as_str())))
                .set(alert_rules::problem.eq(problem.as_deref()))
                .execute(connection)?;
        }
    }
    Ok(())
}

fn apply(connection: &mut Connection, tenant: &TenantId, change: &AlertChange) -> QueryResult<()> {
    let AlertChange { alert, kind } = change;
    let row = alerts::table.find((tenant.as_str(), Id(alert.id.as_uuid())));
    match kind {
        ChangeKind::Insert => {
            diesel::insert_into(alerts::table).values(AlertRow::new(tenant, alert)).execute(connection)?
        }
        ChangeKind::Update => diesel::update(row).set(AlertChangeset::new(alert)).execute(connection)?,
        ChangeKind::Delete => diesel::delete(row).execute(connection)?,
    };
    Ok(())
}

/// Deletes the oldest resolved alerts, so that more of them do not pass the bound.
fn make_room(connection: &mut Connection, tenant: &TenantId, more: u64) -> QueryResult<()> {
    if more == 0 {
        return Ok(());
    }
    let of_tenant = alerts::table.filter(alerts::tenant_id.eq(tenant.as_str()));
    let stored: i64 = of_tenant.select(count_star()).first(connection)?;
    let surplus = (count(stored) + more).saturating_sub(MAX_STORED_ALERTS);
    if surplus > 0 {
        let oldest = resolved(connection, tenant, None, column(surplus))?;
        delete(connection, tenant, &oldest)?;
    }
    Ok(())
}

/// Lists resolved alerts, the first resolved ones first.
fn resolved(
    connection: &mut Connection,
    tenant: &TenantId,
    before: Option<Timestamp>,
    limit: i64,
) -> QueryResult<Vec<Id>> {
    let mut query = alerts::table
        .filter(alerts::tenant_id.eq(tenant.as_str()))
        .filter(alerts::resolved_at.is_not_null())
        .order(alerts::resolved_at)
        .limit(limit)
        .select(alerts::id)
        .into_boxed();
    if let Some(before) = before {
        query = query.filter(alerts::resolved_at.lt(Instant(before)));
    }
    query.load(connection)
}

fn delete(connection: &mut Connection, tenant: &TenantId, ids: &[Id]) -> QueryResult<usize> {
    let mut deleted = 0;
    for ids in ids.chunks(ROWS_PER_STATEMENT) {
        let rows = alerts::table
            .filter(alerts::tenant_id.eq(tenant.as_str()))
            .filter(alerts::state.eq(AlertState::Resolved.as_str()))
            .filter(alerts::id.eq_any(ids));
        deleted += diesel::delete(rows).execute(connection)?;
    }
    Ok(deleted)
}

/// Deletes the alerts of a tenant that were resolved before an instant. Returns their number.
fn purge(connection: &mut Connection, tenant: &TenantId, before: Timestamp) -> QueryResult<usize> {
    let mut count = 0;
    // Most tenants have none, and then nothing is written.
    while !resolved(connection, tenant, Some(before), 1)?.is_empty() {
        count += super::write(connection, |connection| {
            let old = resolved(connection, tenant, Some(before), PURGED_AT_ONCE)?;
            delete(connection, tenant, &old)
        })?;
    }
    Ok(count)
}
