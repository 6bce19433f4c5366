//! Alert rules and alerts: the port and its transactions.

use async_trait::async_trait;
use diesel::dsl::count_star;
use diesel::prelude::*;
use mass_alert_service::{
    AlertError, AlertFilter, AlertStore, ChangedRule, NewAcknowledgement, RuleChange, RuleDeletion, RuleError,
    StoredRule, resolved_notifications,
};
use mass_domain::alerts::{Alert, AlertState, Resolution, RuleName, WebhookName};
use mass_domain::ids::AlertId;
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

use super::audit::{Head, count};
use super::live_alerts::live;
use super::{Connection, Store, evaluation, notifications};
use crate::columns::{Id, Instant, Word};
use crate::rows::{AlertChangeset, AlertRow, RuleChangeset, RuleRow};
use crate::schema::{alert_rules, alerts, webhooks};

#[async_trait]
impl AlertStore for Store {
    async fn find_rule(&self, tenant: &TenantId, name: &RuleName) -> Result<Option<StoredRule>, PortError> {
        let name = name.clone();
        self.reads.read_for(tenant, move |connection, tenant| find_rule(connection, tenant, &name)).await
    }

    async fn list_rules(
        &self,
        tenant: &TenantId,
        after: Option<RuleName>,
        limit: Limit,
    ) -> Result<Vec<StoredRule>, PortError> {
        self.reads
            .read_for(tenant, move |connection, tenant| list_rules(connection, tenant, after.as_ref(), limit))
            .await
    }

    async fn upsert_rule(&self, tenant: &TenantId, change: RuleChange) -> Result<ChangedRule, RuleError> {
        self.writes.run_for(tenant, move |connection, tenant| upsert_rule(connection, tenant, &change)).await?
    }

    async fn delete_rule(&self, tenant: &TenantId, deletion: RuleDeletion) -> Result<(), RuleError> {
        self.writes.run_for(tenant, move |connection, tenant| delete_rule(connection, tenant, &deletion)).await?
    }

    async fn find(&self, tenant: &TenantId, id: AlertId) -> Result<Option<Alert>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| find(connection, tenant, id)).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: AlertFilter,
        before: Option<AlertId>,
        limit: Limit,
    ) -> Result<Vec<Alert>, PortError> {
        self.reads.read_for(tenant, move |connection, tenant| list(connection, tenant, &filter, before, limit)).await
    }

    async fn acknowledge(&self, tenant: &TenantId, acknowledgement: NewAcknowledgement) -> Result<Alert, AlertError> {
        self.writes.run_for(tenant, move |connection, tenant| acknowledge(connection, tenant, &acknowledgement)).await?
    }
}

fn find_rule(connection: &mut Connection, tenant: &TenantId, name: &RuleName) -> QueryResult<Option<StoredRule>> {
    alert_rules::table
        .find((tenant.as_str(), name.as_str()))
        .select(RuleRow::as_select())
        .first(connection)
        .optional()?
        .map(RuleRow::into_rule)
        .transpose()
}

fn list_rules(
    connection: &mut Connection,
    tenant: &TenantId,
    after: Option<&RuleName>,
    limit: Limit,
) -> QueryResult<Vec<StoredRule>> {
    let mut query = alert_rules::table
        .filter(alert_rules::tenant_id.eq(tenant.as_str()))
        .select(RuleRow::as_select())
        .order(alert_rules::name)
        .limit(i64::from(limit.get()) + 1)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(alert_rules::name.gt(after.as_str()));
    }
    query.load(connection)?.into_iter().map(RuleRow::into_rule).collect()
}

/// Stores a rule as it is judged.
fn upsert_rule(
    connection: &mut Connection,
    tenant: &TenantId,
    change: &RuleChange,
) -> QueryResult<Result<ChangedRule, RuleError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let before = find_rule(connection, tenant, &change.name)?;
        let rules: i64 = alert_rules::table
            .filter(alert_rules::tenant_id.eq(tenant.as_str()))
            .select(count_star())
            .first(connection)?;
        let webhooks = names(connection, tenant)?;
        let changed = match change.judge(before.as_ref(), count(rules), &webhooks) {
            Ok(changed) => changed,
            Err(error) => return Ok(Err(error)),
        };
        if !changed.is_changed {
            return Ok(Ok(changed));
        }
        if changed.is_new {
            let row = RuleRow::new(tenant, &changed.stored);
            diesel::insert_into(alert_rules::table).values(row).execute(connection)?;
        } else {
            diesel::update(alert_rules::table.find((tenant.as_str(), change.name.as_str())))
                .set(RuleChangeset::new(&changed.stored))
                .execute(connection)?;
        }
        // The task is locked before the alerts are, as workers do.
        evaluation::wake(connection, tenant, change.act.at)?;
        if !changed.stored.rule.enabled {
            close(connection, tenant, &changed.stored, Resolution::RuleDisabled, change.act.at)?;
        }
        head.append(connection, [change.event(tenant, before.as_ref())])?;
        Ok(Ok(changed))
    })
}

/// Deletes a rule if that is allowed.
fn delete_rule(
    connection: &mut Connection,
    tenant: &TenantId,
    deletion: &RuleDeletion,
) -> QueryResult<Result<(), RuleError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let stored = find_rule(connection, tenant, &deletion.name)?;
        let event = match deletion.judge(tenant, stored.as_ref()) {
            Ok(event) => event,
            Err(error) => return Ok(Err(error)),
        };
        diesel::delete(alert_rules::table.find((tenant.as_str(), deletion.name.as_str()))).execute(connection)?;
        evaluation::wake(connection, tenant, deletion.act.at)?;
        if let Some(stored) = &stored {
            close(connection, tenant, stored, Resolution::RuleDeleted, deletion.act.at)?;
        }
        head.append(connection, [event])?;
        Ok(Ok(()))
    })
}

/// Lists the names of all webhooks.
fn names(connection: &mut Connection, tenant: &TenantId) -> QueryResult<Vec<WebhookName>> {
    let names: Vec<Word<WebhookName>> =
        webhooks::table.filter(webhooks::tenant_id.eq(tenant.as_str())).select(webhooks::name).load(connection)?;
    Ok(names.into_iter().map(|name| name.0).collect())
}

/// Resolves the open alerts of a rule, of which its webhooks are told, and deletes its pending ones.
fn close(
    connection: &mut Connection,
    tenant: &TenantId,
    rule: &StoredRule,
    resolution: Resolution,
    at: Timestamp,
) -> QueryResult<()> {
    let mut resolved = Vec::new();
    for alert in live(connection, tenant, Some(&rule.name))? {
        let row = alerts::table.find((tenant.as_str(), Id(alert.id.as_uuid())));
        if alert.state == AlertState::Pending {
            diesel::delete(row).execute(connection)?;
        } else {
            let (resolved_at, resolution) = (Some(at), Some(resolution));
            let alert = Alert { state: AlertState::Resolved, resolved_at, resolution, ..alert };
            diesel::update(row).set(AlertChangeset::new(&alert)).execute(connection)?;
            resolved.push(alert);
        }
    }
    let told = resolved_notifications(tenant, &rule.rule.webhooks, &resolved, at);
    notifications::enqueue(connection, tenant, &told)
}

fn find(connection: &mut Connection, tenant: &TenantId, id: AlertId) -> QueryResult<Option<Alert>> {
    alerts::table
        .find((tenant.as_str(), Id(id.as_uuid())))
        .filter(alerts::state.ne(Word(AlertState::Pending)))
        .select(AlertRow::as_select())
        .first(connection)
        .optional()?
        .map(AlertRow::into_alert)
        .transpose()
}

fn list(
    connection: &mut Connection,
    tenant: &TenantId,
    filter: &AlertFilter,
    before: Option<AlertId>,
    limit: Limit,
) -> QueryResult<Vec<Alert>> {
    let AlertFilter { state, rule, severity, kinds } = filter;
    let mut query = alerts::table
        .filter(alerts::tenant_id.eq(tenant.as_str()))
        .filter(alerts::state.ne(Word(AlertState::Pending)))
        .select(AlertRow::as_select())
        .order(alerts::id.desc())
        .limit(i64::from(limit.get()) + 1)
        .into_boxed();
    if let Some(state) = state {
        query = query.filter(alerts::state.eq(state.as_str()));
    }
    if let Some(rule) = rule {
        query = query.filter(alerts::rule.eq(rule.as_str()));
    }
    if let Some(severity) = severity {
        query = query.filter(alerts::severity.eq(severity.as_str()));
    }
    if let Some(kinds) = kinds {
        let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
        query = query.filter(alerts::kind.eq_any(kinds));
    }
    if let Some(before) = before {
        query = query.filter(alerts::id.lt(Id(before.as_uuid())));
    }
    query.load(connection)?.into_iter().map(AlertRow::into_alert).collect()
}

/// Stores an acknowledgement as it is judged.
fn acknowledge(
    connection: &mut Connection,
    tenant: &TenantId,
    new: &NewAcknowledgement,
) -> QueryResult<Result<Alert, AlertError>> {
    super::write(connection, |connection| {
        let head = Head::lock(connection, tenant)?;
        let alert = match new.judge(find(connection, tenant, new.id)?) {
            Ok(alert) => alert,
            Err(error) => return Ok(Err(error)),
        };
        let by = new.act.actor;
        let changed = diesel::update(alerts::table.find((tenant.as_str(), Id(new.id.as_uuid()))))
            .set((
                alerts::acknowledged_at.eq(Some(Instant(new.act.at))),
                alerts::acknowledged_by_kind.eq(Some(by.kind())),
                alerts::acknowledged_by_id.eq(by.id().map(Id)),
                alerts::note.eq(new.note.as_deref()),
            ))
            .execute(connection)?;
        // An evaluation does not wait for the head, and may have deleted the alert.
        if changed == 0 {
            return Ok(Err(AlertError::NotFound));
        }
        head.append(connection, [new.event(tenant, &alert)])?;
        Ok(Ok(alert))
    })
}
