//! Reading and acknowledging alerts.

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::alerts::{Acknowledgement, Alert, AlertState, ConditionKind, RuleName, Severity};
use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::faults::{Fault, MAX_TEXT};
use mass_domain::ids::AlertId;
use mass_domain::page::{CursorScope, ForeignCursor, Limit, Page, decode_cursor};
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::trace::Origin;
use uuid::Uuid;

use crate::AlertService;

/// Reason why alerts are not read or acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The cursor belongs to another list.
    #[error(transparent)]
    ForeignCursor(#[from] ForeignCursor),
    /// Values break rules.
    #[error("values break rules")]
    Invalid(Vec<Fault>),
    /// The tenant has no such alert, or the caller may not see it.
    #[error("no such alert")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// A condition on alerts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertFilter {
    /// In this state; `None` for open and resolved ones.
    pub state: Option<AlertState>,
    /// Of this rule.
    pub rule: Option<RuleName>,
    /// Of this severity.
    pub severity: Option<Severity>,
    /// Of one of these kinds; `None` for any.
    pub kinds: Option<Vec<ConditionKind>>,
}

/// A page of alerts, the newest first.
#[derive(Debug, Clone)]
pub struct AlertQuery {
    /// In this state.
    pub state: Option<AlertState>,
    /// Of this rule.
    pub rule: Option<RuleName>,
    /// Of this severity.
    pub severity: Option<Severity>,
    /// The size of the page.
    pub limit: Limit,
    /// The cursor that the page before ended with.
    pub cursor: Option<String>,
}

/// An acknowledgement to be stored.
#[derive(Debug, Clone)]
pub struct NewAcknowledgement {
    /// The alert.
    pub id: AlertId,
    /// The kinds of alerts that the caller may see; `None` for all.
    pub kinds: Option<Vec<ConditionKind>>,
    /// What the caller has to say.
    pub note: Option<String>,
    /// The actor, the time and the origin of it.
    pub act: Act,
}

impl NewAcknowledgement {
    /// Decides on the acknowledgement, and builds the alert with it.
    ///
    /// # Errors
    /// [`AlertError::NotFound`].
    pub fn judge(&self, stored: Option<Alert>) -> Result<Alert, AlertError> {
        let alert = stored.filter(|alert| self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&alert.kind)));
        let alert = alert.ok_or(AlertError::NotFound)?;
        let acknowledgement = Acknowledgement { by: self.act.actor, at: self.act.at, note: self.note.clone() };
        Ok(Alert { acknowledgement: Some(acknowledgement), ..alert })
    }

    /// Builds the event. The note is no part of it, since events stay for ever.
    #[must_use]
    pub fn event(&self, tenant: &TenantId, alert: &Alert) -> NewEvent {
        let event = self.act.done(tenant, Action::AlertAcknowledged, Object::Alert(self.id));
        event.with("rule", alert.rule.as_str())
    }
}

/// Returns the kinds of alerts that a caller may see: `None` for all. Those that tell of the audit trail need `audit:read`.
fn visible(principal: &Principal) -> Option<Vec<ConditionKind>> {
    if principal.require(Permission::AuditRead).is_ok() {
        return None;
    }
    Some(ConditionKind::ALL.iter().copied().filter(|kind| !kind.is_security()).collect())
}

impl AlertService {
    /// Returns an alert of the caller's tenant.
    ///
    /// # Errors
    /// [`AlertError`].
    pub async fn get(&self, principal: &Principal, id: AlertId) -> Result<Alert, AlertError> {
        principal.require(Permission::AlertsRead)?;
        let kinds = visible(principal);
        let alert = self.store.find(principal.tenant(), id).await?;
        alert.filter(|alert| kinds.is_none_or(|kinds| kinds.contains(&alert.kind))).ok_or(AlertError::NotFound)
    }

    /// Returns a page of the alerts of the caller's tenant, the newest first.
    ///
    /// # Errors
    /// [`AlertError`].
    pub async fn list(&self, principal: &Principal, query: AlertQuery) -> Result<Page<Alert>, AlertError> {
        principal.require(Permission::AlertsRead)?;
        let AlertQuery { state, rule, severity, limit, cursor } = query;
        let kinds = visible(principal);
        let filters = [
            Some(principal.tenant().as_str()),
            state.map(AlertState::as_str),
            rule.as_ref().map(RuleName::as_str),
            severity.map(Severity::as_str),
            kinds.as_ref().map(|_| "operations"),
        ];
        let scope = CursorScope::of("alerts", filters);
        let before: Option<Uuid> = cursor.as_deref().map(|cursor| decode_cursor(scope, cursor)).transpose()?;
        let filter = AlertFilter { state, rule, severity, kinds };
        let rows = self.store.list(principal.tenant(), filter, before.map(AlertId::from_uuid), limit).await?;
        Ok(Page::from_lookahead(rows, limit, scope, |row| row.id.as_uuid()))
    }

    /// Acknowledges an alert, so that nobody is told of it again while it is open.
    ///
    /// # Errors
    /// [`AlertError`].
    pub async fn acknowledge(
        &self,
        principal: &Principal,
        id: AlertId,
        note: Option<String>,
        origin: &Origin,
    ) -> Result<Alert, AlertError> {
        principal.require(Permission::AlertsManage)?;
        if let Some(fault) = note.as_deref().and_then(|note| Fault::in_text("/note", note, MAX_TEXT)) {
            return Err(AlertError::Invalid(vec![fault]));
        }
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        let acknowledgement = NewAcknowledgement { id, kinds: visible(principal), note, act };
        self.store.acknowledge(principal.tenant(), acknowledgement).await
    }
}
