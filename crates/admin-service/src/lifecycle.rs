//! Suspending a tenant, and requesting its deletion: two steps, both of which can be taken back.

use async_trait::async_trait;
use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::{Act, Action, NewEvent, Object};
use mass_domain::port::PortError;
use mass_domain::retention::{Held, LegalHold, require_unheld};
use mass_domain::tenancy::{Lifecycle, Tenant, TenantId, TenantStatus};
use mass_domain::time::Timestamp;
use mass_domain::trace::Origin;

use crate::AdminService;

/// The seconds of a day.
const DAY: i64 = 86_400;

/// The port that moves tenants on their way to the erasure. Each call is one transaction.
#[async_trait]
pub trait LifecycleStore: Send + Sync {
    /// Moves a tenant as [`LifecycleChange::judge`] decides, and appends [`LifecycleChange::event`] to its log and to that of
    /// the system tenant. A tenant whose deletion is requested is then due for a worker at the end of the grace period.
    async fn change(&self, tenant: &TenantId, change: LifecycleChange) -> Result<Tenant, LifecycleError>;
}

/// A step of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifecycleStep {
    /// Nobody gets in any more, and nothing is stored. The tenant's data stay.
    Suspend,
    /// The tenant is in use again: sessions that have not expired and API keys are good.
    Resume,
    /// The tenant, which is suspended, is to be erased at the end of the grace period.
    RequestDeletion,
    /// The tenant is not to be erased, and stays suspended. Once the erasure has begun, nothing stops it.
    CancelDeletion,
}

/// A requested change of a tenant's lifecycle.
#[derive(Debug, Clone)]
pub struct LifecycleChange {
    /// The step.
    pub step: LifecycleStep,
    /// The end of the grace period, if it begins now.
    pub deletion_due_at: Timestamp,
    /// The reason.
    pub reason: String,
    /// The tenant of the caller.
    pub caller: TenantId,
    /// The actor, the time and the origin of the change.
    pub act: Act,
}

/// The stored values that a change is judged by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleState {
    /// The tenant.
    pub tenant: Tenant,
    /// Its legal holds.
    pub holds: Vec<LegalHold>,
    /// The number of enabled administrators of the platform in the caller's tenant.
    pub platform_admins: usize,
}

/// Reason why a tenant is not moved.
#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such tenant.
    #[error("the tenant does not exist")]
    NotFound,
    /// The tenant is the caller's own.
    #[error("the tenant is the caller's own")]
    Own,
    /// No user could take the step back, since the caller's tenant has no enabled administrator of the platform.
    #[error("the caller's tenant has no administrator of the platform")]
    NoPlatformAdmin,
    /// The step does not follow from the tenant's status.
    #[error("the tenant is {}", .0.as_str())]
    NotAllowed(TenantStatus),
    /// A legal hold covers documents of the tenant.
    #[error(transparent)]
    Held(#[from] Held),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl LifecycleChange {
    /// Decides on the change from the stored state. Returns `None` if it changes nothing.
    ///
    /// # Errors
    /// [`LifecycleError`].
    pub fn judge(&self, state: &LifecycleState) -> Result<Option<Lifecycle>, LifecycleError> {
        use TenantStatus::{Active, DeletionRequested, Suspended};
        let LifecycleState { tenant, holds, platform_admins } = state;
        let (lifecycle, at) = (tenant.lifecycle, self.act.at);
        let takes_away = matches!(self.step, LifecycleStep::Suspend | LifecycleStep::RequestDeletion);
        if takes_away && tenant.id == self.caller {
            return Err(LifecycleError::Own);
        }
        if takes_away && *platform_admins == 0 {
            return Err(LifecycleError::NoPlatformAdmin);
        }
        Ok(match (self.step, lifecycle.status()) {
            (LifecycleStep::Suspend, Active) => Some(Lifecycle { suspended_at: Some(at), ..lifecycle }),
            (LifecycleStep::Resume, Suspended) => Some(Lifecycle { suspended_at: None, ..lifecycle }),
            (LifecycleStep::RequestDeletion, Suspended) => {
                require_unheld(holds, None)?;
                Some(Lifecycle { deletion_due_at: Some(self.deletion_due_at), ..lifecycle })
            }
            (LifecycleStep::CancelDeletion, DeletionRequested) => {
                Some(Lifecycle { deletion_due_at: None, ..lifecycle })
            }
            (LifecycleStep::Suspend, Suspended | DeletionRequested)
            | (LifecycleStep::Resume, Active)
            | (LifecycleStep::RequestDeletion, DeletionRequested)
            | (LifecycleStep::CancelDeletion, Active | Suspended) => None,
            (_, status) => return Err(LifecycleError::NotAllowed(status)),
        })
    }

    /// Builds the event of the change for a log: that of the tenant, or that of the system tenant, which outlives it.
    #[must_use]
    pub fn event(&self, log: &TenantId, tenant: &TenantId) -> NewEvent {
        let action = match self.step {
            LifecycleStep::Suspend => Action::TenantSuspended,
            LifecycleStep::Resume => Action::TenantResumed,
            LifecycleStep::RequestDeletion => Action::TenantDeletionRequested,
            LifecycleStep::CancelDeletion => Action::TenantDeletionCancelled,
        };
        let event = self.act.done(log, action, Object::Tenant(tenant.clone())).with("reason", self.reason.as_str());
        match self.step {
            LifecycleStep::RequestDeletion => event.with("due_at", self.deletion_due_at.to_string()),
            LifecycleStep::Suspend | LifecycleStep::Resume | LifecycleStep::CancelDeletion => event,
        }
    }
}

impl AdminService {
    /// Moves a tenant on its way to the erasure, or back.
    ///
    /// # Errors
    /// [`LifecycleError`]. Nothing has changed then.
    pub async fn change_lifecycle(
        &self,
        principal: &Principal,
        tenant: &TenantId,
        step: LifecycleStep,
        reason: String,
        origin: &Origin,
    ) -> Result<Tenant, LifecycleError> {
        principal.require(Permission::TenantsManage)?;
        let act = Act::new(principal.actor(), self.clock.now(), origin);
        let deletion_due_at = act.at.plus_seconds(i64::from(self.deletion_days) * DAY).ok_or_else(|| {
            PortError::Unexpected(anyhow::anyhow!("the end of the grace period is beyond the calendar"))
        })?;
        let change = LifecycleChange { step, deletion_due_at, reason, caller: principal.tenant().clone(), act };
        self.stores.lifecycle.change(tenant, change).await
    }
}

#[cfg(test)]
mod tests {
    use mass_domain::access::Actor;
    use mass_domain::ids::LegalHoldId;
    use mass_domain::trace::RequestId;
    use uuid::Uuid;

    use super::*;

    fn tenant(text: &str) -> TenantId {
        TenantId::parse(text).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    const NOW: &str = "2026-11-24T18:00:00Z";

    fn change(step: LifecycleStep) -> LifecycleChange {
        let origin = Origin { request_id: RequestId::parse("r-1").unwrap(), trace: None, address: None };
        let act = Act::new(Actor::System, at(NOW), &origin);
        let reason = "the pilot is over".to_owned();
        LifecycleChange { step, deletion_due_at: at(DUE), reason, caller: tenant("default"), act }
    }

    fn state(lifecycle: Lifecycle) -> LifecycleState {
        let tenant = Tenant { id: tenant("site-7"), created_at: at(NOW), lifecycle };
        LifecycleState { tenant, holds: Vec::new(), platform_admins: 1 }
    }

    const DUE: &str = "2026-12-24T18:00:00Z";

    #[test]
    fn only_the_steps_of_the_table_are_taken() {
        use LifecycleStep::{CancelDeletion, RequestDeletion, Resume, Suspend};
        use TenantStatus::{Active, DeletionRequested, Erased, Erasing, Suspended};
        let suspended = Lifecycle { suspended_at: Some(at(NOW)), ..Lifecycle::default() };
        let requested = Lifecycle { deletion_due_at: Some(at(DUE)), ..suspended };
        let erasing = Lifecycle { erasing_at: Some(at(DUE)), ..requested };
        let erased = Lifecycle { erased_at: Some(at(DUE)), ..erasing };
        // The status after the step; `None` if it is refused.
        for (lifecycle, after) in [
            (Lifecycle::default(), [Some(Suspended), Some(Active), None, Some(Active)]),
            (suspended, [Some(Suspended), Some(Active), Some(DeletionRequested), Some(Suspended)]),
            (requested, [Some(DeletionRequested), None, Some(DeletionRequested), Some(Suspended)]),
            (erasing, [None; 4]),
            (erased, [None; 4]),
        ] {
            for (step, expected) in [Suspend, Resume, RequestDeletion, CancelDeletion].into_iter().zip(after) {
                let judged = change(step).judge(&state(lifecycle));
                let status = judged.as_ref().ok().map(|changed| changed.unwrap_or(lifecycle).status());
                assert_eq!(status, expected, "{step:?} of {lifecycle:?}");
                let is_changed = matches!(judged, Ok(Some(_)));
                assert_eq!(is_changed, expected.is_some_and(|status| status != lifecycle.status()), "{step:?}");
            }
        }
        assert_eq!([erasing.status(), erased.status()], [Erasing, Erased]);
    }

    #[test]
    fn the_own_tenant_the_last_administrator_and_held_documents_stay() {
        let suspended = state(Lifecycle { suspended_at: Some(at(NOW)), ..Lifecycle::default() });
        let request = LifecycleStep::RequestDeletion;
        let hold = LegalHold {
            id: LegalHoldId::from_uuid(Uuid::nil()),
            contract: None,
            reason: "a claim".to_owned(),
            since: at(NOW),
            set_by: Actor::System,
        };
        let held = LifecycleState { holds: vec![hold], ..suspended.clone() };
        assert!(matches!(change(request).judge(&held), Err(LifecycleError::Held(_))));
        let alone = LifecycleState { platform_admins: 0, ..suspended.clone() };
        assert!(matches!(change(request).judge(&alone), Err(LifecycleError::NoPlatformAdmin)));
        assert!(matches!(change(LifecycleStep::Resume).judge(&alone), Ok(Some(_))));
        for step in [LifecycleStep::Suspend, request] {
            let own = LifecycleChange { caller: tenant("site-7"), ..change(step) };
            assert!(matches!(own.judge(&suspended), Err(LifecycleError::Own)));
        }
    }
}
