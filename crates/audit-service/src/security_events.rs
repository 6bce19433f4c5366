//! Security events: the part of a log that security teams watch, read onwards from where a reader stopped.

use std::sync::Arc;

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::Action;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;

use crate::{AuditService, AuditStore};

/// The number of events that are read at a time.
const CHUNK: u32 = 500;

/// The reasons for which no security events are read.
#[derive(Debug, thiserror::Error)]
pub enum SecurityEventsError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// The security events of a log behind a place, up to its end when reading began.
pub struct SecurityEvents {
    store: Arc<dyn AuditStore>,
    tenant: TenantId,
    actions: Vec<Action>,
    place: i64,
    until: i64,
}

impl AuditService {
    /// Begins to read the security events of the caller's tenant whose sequence is above `after`, without archived ones.
    ///
    /// # Errors
    /// [`SecurityEventsError`].
    pub async fn security_events(
        &self,
        principal: &Principal,
        after: i64,
    ) -> Result<SecurityEvents, SecurityEventsError> {
        principal.require(Permission::AuditRead)?;
        let tenant = principal.tenant().clone();
        let until = i64::try_from(self.store.head(&tenant).await?.size()).unwrap_or(i64::MAX);
        let actions = Action::ALL.iter().copied().filter(|action| action.is_of_security()).collect();
        Ok(SecurityEvents { store: Arc::clone(&self.store), tenant, actions, place: after, until })
    }
}

impl SecurityEvents {
    /// Returns the tenant of the log.
    #[must_use]
    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Returns the next events, one in its canonical text a line; `None` after the last one.
    ///
    /// # Errors
    /// [`PortError`].
    pub async fn next(&mut self) -> Result<Option<String>, PortError> {
        if self.place >= self.until {
            return Ok(None);
        }
        let entries = self.store.entries_of(&self.tenant, &self.actions, self.place..self.until, CHUNK).await?;
        let Some(last) = entries.last() else { return Ok(None) };
        self.place = last.sequence;
        Ok(Some(entries.into_iter().flat_map(|entry| [entry.event, "\n".to_owned()]).collect()))
    }
}
