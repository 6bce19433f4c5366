//! Rows of alert rules and of alerts.

use diesel::prelude::*;
use mass_alert_service::StoredRule;
use mass_domain::alerts::{
    Acknowledgement, Alert, AlertState, ConditionKind, Resolution, Rule, RuleName, Severity, Subject,
};
use mass_domain::ids::AlertId;
use mass_domain::tenancy::TenantId;

use super::actor;
use crate::columns::{Hash, Id, Instant, Json, Word};
use crate::schema::{alert_rules, alerts};

/// An alert rule.
#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = alert_rules, treat_none_as_default_value = false)]
pub(crate) struct RuleRow {
    tenant_id: Word<TenantId>,
    name: Word<RuleName>,
    kind: Word<ConditionKind>,
    enabled: bool,
    digest: Hash,
    rule: Json<Rule>,
    problem: Option<String>,
    created_at: Instant,
    created_by_kind: String,
    created_by_id: Option<Id>,
    updated_at: Instant,
    updated_by_kind: String,
    updated_by_id: Option<Id>,
}

/// The columns of an alert rule that a change replaces.
#[derive(Debug, AsChangeset)]
#[diesel(table_name = alert_rules, treat_none_as_null = true)]
pub(crate) struct RuleChangeset {
    kind: Word<ConditionKind>,
    enabled: bool,
    digest: Hash,
    rule: String,
    problem: Option<String>,
    updated_at: Instant,
    updated_by_kind: String,
    updated_by_id: Option<Id>,
}

impl RuleRow {
    /// Builds the row of a tenant's rule.
    pub(crate) fn new(tenant: &TenantId, stored: &StoredRule) -> Self {
        Self {
            tenant_id: Word(tenant.clone()),
            name: Word(stored.name.clone()),
            kind: Word(stored.rule.condition.kind()),
            enabled: stored.rule.enabled,
            digest: Hash(stored.digest),
            rule: Json(stored.rule.clone()),
            problem: stored.problem.clone(),
            created_at: Instant(stored.created_at),
            created_by_kind: stored.created_by.kind().to_owned(),
            created_by_id: stored.created_by.id().map(Id),
            updated_at: Instant(stored.updated_at),
            updated_by_kind: stored.updated_by.kind().to_owned(),
            updated_by_id: stored.updated_by.id().map(Id),
        }
    }

    /// Builds the rule.
    pub(crate) fn into_rule(self) -> QueryResult<StoredRule> {
        Ok(StoredRule {
            name: self.name.0,
            rule: self.rule.0,
            digest: self.digest.0,
            problem: self.problem,
            created_at: self.created_at.0,
            created_by: actor(&self.created_by_kind, self.created_by_id)?,
            updated_at: self.updated_at.0,
            updated_by: actor(&self.updated_by_kind, self.updated_by_id)?,
        })
    }
}

impl RuleChangeset {
    /// Builds the columns from the rule as it is to be stored.
    pub(crate) fn new(stored: &StoredRule) -> Self {
        Self {
            kind: Word(stored.rule.condition.kind()),
            enabled: stored.rule.enabled,
            digest: Hash(stored.digest),
            rule: stored.rule.text(),
            problem: stored.problem.clone(),
            updated_at: Instant(stored.updated_at),
            updated_by_kind: stored.updated_by.kind().to_owned(),
            updated_by_id: stored.updated_by.id().map(Id),
        }
    }
}

/// An alert.
#[derive(Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = alerts, treat_none_as_default_value = false)]
pub(crate) struct AlertRow {
    tenant_id: Word<TenantId>,
    id: Id,
    rule: Word<RuleName>,
    kind: Word<ConditionKind>,
    severity: Word<Severity>,
    subject: Json<Subject>,
    subject_digest: Hash,
    state: Word<AlertState>,
    since: Instant,
    opened_at: Option<Instant>,
    resolved_at: Option<Instant>,
    resolution: Option<Word<Resolution>>,
    value: Option<f64>,
    notified_at: Option<Instant>,
    acknowledged_at: Option<Instant>,
    acknowledged_by_kind: Option<String>,
    acknowledged_by_id: Option<Id>,
    note: Option<String>,
}

/// The columns of an alert that an evaluation replaces.
#[derive(Debug, AsChangeset)]
#[diesel(table_name = alerts, treat_none_as_null = true)]
pub(crate) struct AlertChangeset {
    state: Word<AlertState>,
    opened_at: Option<Instant>,
    resolved_at: Option<Instant>,
    resolution: Option<Word<Resolution>>,
    value: Option<f64>,
    notified_at: Option<Instant>,
}

impl AlertRow {
    /// Builds the row of a tenant's alert.
    pub(crate) fn new(tenant: &TenantId, alert: &Alert) -> Self {
        let acknowledgement = alert.acknowledgement.as_ref();
        Self {
            tenant_id: Word(tenant.clone()),
            id: Id(alert.id.as_uuid()),
            rule: Word(alert.rule.clone()),
            kind: Word(alert.kind),
            severity: Word(alert.severity),
            subject: Json(alert.subject.clone()),
            subject_digest: Hash(alert.subject.digest()),
            state: Word(alert.state),
            since: Instant(alert.since),
            opened_at: alert.opened_at.map(Instant),
            resolved_at: alert.resolved_at.map(Instant),
            resolution: alert.resolution.map(Word),
            value: alert.value,
            notified_at: alert.notified_at.map(Instant),
            acknowledged_at: acknowledgement.map(|it| Instant(it.at)),
            acknowledged_by_kind: acknowledgement.map(|it| it.by.kind().to_owned()),
            acknowledged_by_id: acknowledgement.and_then(|it| it.by.id()).map(Id),
            note: acknowledgement.and_then(|it| it.note.clone()),
        }
    }

    /// Builds the alert.
    pub(crate) fn into_alert(self) -> QueryResult<Alert> {
        let acknowledgement = match (self.acknowledged_at, self.acknowledged_by_kind) {
            (Some(at), Some(kind)) => {
                Some(Acknowledgement { by: actor(&kind, self.acknowledged_by_id)?, at: at.0, note: self.note })
            }
            (_, _) => None,
        };
        Ok(Alert {
            id: AlertId::from_uuid(self.id.0),
            rule: self.rule.0,
            kind: self.kind.0,
            severity: self.severity.0,
            subject: self.subject.0,
            state: self.state.0,
            since: self.since.0,
            opened_at: self.opened_at.map(|at| at.0),
            resolved_at: self.resolved_at.map(|at| at.0),
            resolution: self.resolution.map(|resolution| resolution.0),
            value: self.value,
            notified_at: self.notified_at.map(|at| at.0),
            acknowledgement,
        })
    }
}

impl AlertChangeset {
    /// Builds the columns from the alert as it is to be stored.
    pub(crate) fn new(alert: &Alert) -> Self {
        Self {
            state: Word(alert.state),
            opened_at: alert.opened_at.map(Instant),
            resolved_at: alert.resolved_at.map(Instant),
            resolution: alert.resolution.map(Word),
            value: alert.value,
            notified_at: alert.notified_at.map(Instant),
        }
    }
}
