//! The rules of a tenant, kept under their names.

use mass_domain::access::{Actor, Forbidden, Permission, Principal};
use mass_domain::alerts::{Rule, RuleName, WebhookName};
use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::canonical::Fingerprint;
use mass_domain::faults::Fault;
use mass_domain::page::{CursorScope, ForeignCursor, Limit, Page, decode_cursor};
use mass_domain::port::PortError;
use mass_domain::precondition::Precondition;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;
use mass_domain::trace::Origin;

use crate::AlertService;

/// The most rules of a tenant.
pub const MAX_RULES: u64 = 50;

/// A rule as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRule {
    /// Its name.
    pub name: RuleName,
    /// The rule.
    pub rule: Rule,
    /// The fingerprint of its canonical text: its version.
    pub digest: Fingerprint,
    /// Why it cannot be evaluated as it says, if the last evaluation found a reason.
    pub problem: Option<String>,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The creator.
    pub created_by: Actor,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The author of the last change.
    pub updated_by: Actor,
}

/// Reason why a rule is not read, stored or deleted.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The cursor belongs to another list.
    #[error(transparent)]
    ForeignCursor(#[from] ForeignCursor),
    /// Values break rules.
    #[error("values break rules")]
    Invalid(Vec<Fault>),
    /// The tenant has no rule of this name.
    #[error("no such alert rule")]
    NotFound,
    /// The stored rule is not as the caller's condition says.
    #[error("the alert rule is not as the condition says")]
    Stale,
    /// The rule names a webhook that the tenant does not have, at this place.
    #[error("no such webhook")]
    UnknownWebhook(usize),
    /// The tenant has as many rules as it may.
    #[error("the tenant has {MAX_RULES} alert rules, the most")]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// A rule to be stored.
#[derive(Debug, Clone)]
pub struct RuleChange {
    /// Its name.
    pub name: RuleName,
    /// The rule.
    pub rule: Rule,
    /// The condition on the stored rule.
    pub precondition: Precondition,
    /// Whether the caller may read the audit trail, and so change rules that watch it.
    pub may_watch_security: bool,
    /// The actor, the time and the origin of the change.
    pub act: Act,
}

/// The result of storing a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangedRule {
    /// The rule as it is stored now.
    pub stored: StoredRule,
    /// True if there was none of this name before.
    pub is_new: bool,
    /// False if the same rule was stored already, so that nothing changes and no event is appended.
    pub is_changed: bool,
}

fn require_security(rule: &Rule, is_permitted: bool) -> Result<(), RuleError> {
    let is_allowed = is_permitted || !rule.condition.kind().is_security();
    if is_allowed { Ok(()) } else { Err(Forbidden(Permission::AuditRead).into()) }
}

fn require(precondition: &Precondition, stored: Option<&StoredRule>) -> Result<(), RuleError> {
    let holds = precondition.holds(stored.map(|stored| stored.digest));
    if holds { Ok(()) } else { Err(RuleError::Stale) }
}

impl RuleChange {
    /// Decides on the change, from the stored rule of this name, the number of rules that the tenant has, and its webhooks.
    ///
    /// # Errors
    /// [`RuleError::Forbidden`], [`RuleError::Stale`], [`RuleError::TooMany`] and [`RuleError::UnknownWebhook`].
    pub fn judge(
        &self,
        stored: Option<&StoredRule>,
        count: u64,
        webhooks: &[WebhookName],
    ) -> Result<ChangedRule, RuleError> {
        for rule in stored.map(|stored| &stored.rule).into_iter().chain([&self.rule]) {
            require_security(rule, self.may_watch_security)?;
        }
        require(&self.precondition, stored)?;
        if stored.is_none() && count >= MAX_RULES {
            return Err(RuleError::TooMany);
        }
        let unknown = self.rule.webhooks.iter().position(|name| !webhooks.contains(name));
        if let Some(place) = unknown {
            return Err(RuleError::UnknownWebhook(place));
        }
        let digest = self.rule.digest();
        let is_changed = stored.is_none_or(|stored| stored.digest != digest);
        let next = match stored {
            Some(stored) if !is_changed => stored.clone(),
            _ => StoredRule {
                name: self.name.clone(),
                rule: self.rule.clone(),
                digest,
                problem: None,
                created_at: stored.map_or(self.act.at, |stored| stored.created_at),
                created_by: stored.map_or(self.act.actor, |stored| stored.created_by),
                updated_at: self.act.at,
                updated_by: self.act.actor,
            },
        };
        Ok(ChangedRule { stored: next, is_new: stored.is_none(), is_changed })
    }

    /// Builds the event of the change, with the digest before.
    #[must_use]
    pub fn event(&self, tenant: &TenantId, before: Option<&StoredRule>) -> NewEvent {
        self.act
            .done(tenant, Action::AlertRuleSet, Object::AlertRule(self.name.clone()))
            .with("before", before.map(|before| before.digest.to_string()))
            .with("after", self.rule.digest().to_string())
            .with("kind", self.rule.condition.kind().as_str())
            .with("enabled", self.rule.enabled)
    }
}

/// A rule to be deleted.
#[derive(Debug, Clone)]
pub struct RuleDeletion {
    /// Its name.
    pub name: RuleName,
    /// The condition on the stored rule.
    pub precondition: Precondition,
    /// Whether the caller may read the audit trail, and so delete rules that watch it.
    pub may_watch_security: bool,
    /// The actor, the time and the origin of the deletion.
    pub act: Act,
}

impl RuleDeletion {
    /// Decides on the deletion of the stored rule, and builds its event.
    ///
    /// # Errors
    /// [`RuleError::NotFound`], [`RuleError::Forbidden`] and [`RuleError::Stale`].
    pub fn judge(&self, tenant: &TenantId, stored: Option<&StoredRule>) -> Result<NewEvent, RuleError> {
        let stored = stored.ok_or(RuleError::NotFound)?;
        require_security(&stored.rule, self.may_watch_security)?;
        require(&self.precondition, Some(stored))?;
        let event = self.act.done(tenant, Action::AlertRuleDeleted, Object::AlertRule(self.name.clone()));
        Ok(event.with("before", stored.digest.to_string()).with("kind", stored.rule.condition.kind().as_str()))
    }
}

impl AlertService {
    /// Returns a rule of the caller's tenant.
    ///
    /// # Errors
    /// [`RuleError`].
    pub async fn get_rule(&self, principal: &Principal, name: &RuleName) -> Result<StoredRule, RuleError> {
        principal.require(Permission::AlertsRead)?;
        self.store.find_rule(principal.tenant(), name).await?.ok_or(RuleError::NotFound)
    }

    /// Returns a page of the rules of the caller's tenant, by name.
    ///
    /// # Errors
    /// [`RuleError`].
    pub async fn list_rules(
        &self,
        principal: &Principal,
        limit: Limit,
        cursor: Option<&str>,
    ) -> Result<Page<StoredRule>, RuleError> {
        principal.require(Permission::AlertsRead)?;
        let scope = CursorScope::of("alert-rules", [Some(principal.tenant().as_str())]);
        let after = cursor.map(|cursor| decode_cursor(scope, cursor)).transpose()?;
        let rows = self.store.list_rules(principal.tenant(), after, limit).await?;
        Ok(Page::from_lookahead(rows, limit, scope, |row| row.name.clone()))
    }

    /// Stores a rule in the caller's tenant: a new one, or in place of the one of this name. A rule that watches the audit
    /// trail also needs `audit:read`.
    ///
    /// # Errors
    /// [`RuleError`].
    pub async fn set_rule(
        &self,
        principal: &Principal,
        name: RuleName,
        rule: Rule,
        precondition: Precondition,
        origin: &Origin,
    ) -> Result<ChangedRule, RuleError> {
        principal.require(Permission::AlertsManage)?;
        let faults = rule.faults();
        if !faults.is_empty() {
            return Err(RuleError::Invalid(faults));
        }
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        let may_watch_security = principal.require(Permission::AuditRead).is_ok();
        let change = RuleChange { name, rule, precondition, may_watch_security, act };
        self.store.upsert_rule(principal.tenant(), change).await
    }

    /// Deletes a rule of the caller's tenant, and resolves its alerts.
    ///
    /// # Errors
    /// [`RuleError`].
    pub async fn delete_rule(
        &self,
        principal: &Principal,
        name: RuleName,
        precondition: Precondition,
        origin: &Origin,
    ) -> Result<(), RuleError> {
        principal.require(Permission::AlertsManage)?;
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        let may_watch_security = principal.require(Permission::AuditRead).is_ok();
        let deletion = RuleDeletion { name, precondition, may_watch_security, act };
        self.store.delete_rule(principal.tenant(), deletion).await
    }
}

#[cfg(test)]
mod tests {
    use mass_domain::alerts::{Condition, EventCount, Severity};
    use mass_domain::precondition::Digests;
    use mass_domain::trace::RequestId;

    use super::*;

    fn rule(condition: Condition) -> Rule {
        Rule {
            condition,
            description: None,
            enabled: true,
            severity: Severity::Warning,
            for_seconds: 0,
            repeat_seconds: 0,
            webhooks: Vec::new(),
        }
    }

    fn dead_letters(count: u32) -> Rule {
        rule(Condition::DeadLetters { count })
    }

    fn grants() -> Rule {
        rule(Condition::AccessGranted(EventCount { count: 1, within_seconds: 3600 }))
    }

    fn act(at: &str) -> Act {
        let origin = Origin { request_id: RequestId::parse("r-1").unwrap(), trace: None, address: None };
        Act::new(Actor::System, at.parse().unwrap(), &origin)
    }

    fn change(rule: Rule, precondition: Precondition) -> RuleChange {
        let (name, act) = (RuleName::parse("dead").unwrap(), act("2026-11-24T18:00:00Z"));
        RuleChange { name, rule, precondition, may_watch_security: false, act }
    }

    fn stored(rule: Rule) -> StoredRule {
        let change = RuleChange { may_watch_security: true, ..change(rule, Precondition::default()) };
        change.judge(None, 0, &[]).unwrap().stored
    }

    #[test]
    fn the_same_rule_again_changes_nothing_and_another_keeps_the_creation() {
        let before = stored(dead_letters(1));
        let later = |rule| {
            let act = act("2026-11-25T18:00:00Z");
            RuleChange { act, ..change(rule, Precondition::default()) }.judge(Some(&before), MAX_RULES, &[]).unwrap()
        };
        let same = later(dead_letters(1));
        assert_eq!((same.is_new, same.is_changed, &same.stored), (false, false, &before));
        let other = later(dead_letters(2));
        assert_eq!((other.is_new, other.is_changed, other.stored.created_at), (false, true, before.created_at));
        assert!(other.stored.updated_at > before.updated_at && other.stored.digest != before.digest);
    }

    #[test]
    fn conditions_and_the_limit_are_judged() {
        let before = stored(dead_letters(1));
        let matches = |digest| Precondition { matches: Some(Digests::OneOf(vec![digest])), differs: None };
        let stale = change(dead_letters(2), matches(dead_letters(3).digest())).judge(Some(&before), 1, &[]);
        assert!(matches!(stale, Err(RuleError::Stale)), "{stale:?}");
        assert!(change(dead_letters(2), matches(before.digest)).judge(Some(&before), 1, &[]).is_ok());
        let full = change(dead_letters(1), Precondition::default()).judge(None, MAX_RULES, &[]);
        assert!(matches!(full, Err(RuleError::TooMany)), "{full:?}");
        let (pager, mail) = (WebhookName::parse("pager").unwrap(), WebhookName::parse("mail").unwrap());
        let telling = Rule { webhooks: vec![pager.clone(), mail.clone()], ..dead_letters(1) };
        let telling = change(telling, Precondition::default());
        assert!(matches!(telling.judge(None, 0, std::slice::from_ref(&pager)), Err(RuleError::UnknownWebhook(1))));
        assert!(telling.judge(None, 0, &[mail, pager]).is_ok());
    }

    #[test]
    fn rules_on_the_audit_trail_are_changed_by_those_who_may_read_it() {
        let forbidden = |judged: Result<ChangedRule, RuleError>| {
            matches!(judged, Err(RuleError::Forbidden(Forbidden(Permission::AuditRead))))
        };
        assert!(forbidden(change(grants(), Precondition::default()).judge(None, 0, &[])));
        // Nor may such a rule be replaced by a harmless one, or deleted.
        let before = stored(grants());
        assert!(forbidden(change(dead_letters(1), Precondition::default()).judge(Some(&before), 1, &[])));
        let deletion = |may_watch_security| {
            let (name, act) = (RuleName::parse("dead").unwrap(), act("2026-11-24T18:00:00Z"));
            RuleDeletion { name, precondition: Precondition::default(), may_watch_security, act }
        };
        let tenant = TenantId::parse("default").unwrap();
        assert!(deletion(false).judge(&tenant, Some(&before)).is_err());
        assert!(deletion(true).judge(&tenant, Some(&before)).is_ok());
    }
}
