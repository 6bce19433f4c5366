//! Erasing a request's document.

use mass_domain::access::{Actor, Forbidden, Permission, Principal};
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::RequestSummary;
use mass_domain::port::PortError;
use mass_domain::retention::{Held, LegalHold, require_unheld};
use mass_domain::time::Timestamp;
use mass_domain::trace::Origin;

use crate::MassService;

/// A command to delete a request.
#[derive(Debug, Clone)]
pub struct Deletion {
    /// The versions that the caller expects (`If-Match`); `None` for any.
    pub expected: Option<Vec<i64>>,
    /// The caller.
    pub actor: Actor,
    /// The instant of the call.
    pub at: Timestamp,
    /// The origin of the call.
    pub origin: Origin,
}

impl Deletion {
    /// Judges the deletion by the stored request and the legal holds of its tenant.
    ///
    /// # Errors
    /// [`DeleteError::Stale`] and [`DeleteError::Held`].
    pub fn judge(&self, request: &RequestSummary, holds: &[LegalHold]) -> Result<(), DeleteError> {
        if self.expected.as_ref().is_some_and(|versions| !versions.contains(&request.version)) {
            return Err(DeleteError::Stale);
        }
        Ok(require_unheld(holds, Some(request.contract))?)
    }
}

/// Reason for which a request is not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The caller's tenant has no such request.
    #[error("no such request")]
    NotFound,
    /// The request has been deleted already.
    #[error("the request has been deleted")]
    Gone,
    /// The request is at another version than the caller expects.
    #[error("the request is no longer as the caller knows it")]
    Stale,
    /// A legal hold covers the request.
    #[error(transparent)]
    Held(#[from] Held),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl MassService {
    /// Erases a request's document; the audit trail keeps its fingerprint.
    ///
    /// # Errors
    /// [`DeleteError`]; the request has not changed then.
    pub async fn delete(
        &self,
        principal: &Principal,
        id: MassRequestId,
        expected: Option<Vec<i64>>,
        origin: Origin,
    ) -> Result<(), DeleteError> {
        principal.require(Permission::MassWrite)?;
        let deletion = Deletion { expected, actor: principal.actor(), at: self.clock.now(), origin };
        self.store.delete(principal.tenant(), id, deletion).await
    }
}
