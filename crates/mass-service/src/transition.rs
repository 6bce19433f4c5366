//! Moving a request to another status.

use mass_domain::access::{Actor, Forbidden, Permission, Principal};
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::{MassRequest, RequestSummary, Status};
use mass_domain::port::PortError;
use mass_domain::time::Timestamp;
use mass_domain::trace::Origin;

use crate::MassService;

/// A command to move a request to another status.
#[derive(Debug, Clone)]
pub struct Transition {
    /// The status to move to.
    pub to: Status,
    /// The reason in the caller's words, kept in the event.
    pub reason: Option<String>,
    /// The versions that the caller expects (`If-Match`); `None` for any.
    pub expected: Option<Vec<i64>>,
    /// The caller.
    pub actor: Actor,
    /// The instant of the call.
    pub at: Timestamp,
    /// The origin of the call.
    pub origin: Origin,
}

impl Transition {
    /// Judges the move by the stored request. Returns `true` if the request is to be moved, `false` if it has the
    /// status already.
    ///
    /// # Errors
    /// [`TransitionError::Stale`] before [`TransitionError::NotAllowed`].
    pub fn judge(&self, request: &RequestSummary) -> Result<bool, TransitionError> {
        if self.expected.as_ref().is_some_and(|versions| !versions.contains(&request.version)) {
            return Err(TransitionError::Stale);
        }
        match request.status {
            same if same == self.to => Ok(false),
            from if from.can_become(self.to) => Ok(true),
            from => Err(TransitionError::NotAllowed { from, to: self.to }),
        }
    }
}

/// Reason for which a request is not moved.
#[derive(Debug, thiserror::Error)]
pub enum TransitionError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The caller's tenant has no such request.
    #[error("no such request")]
    NotFound,
    /// The request has been deleted.
    #[error("the request has been deleted")]
    Gone,
    /// The request is at another version than the caller expects.
    #[error("the request is no longer as the caller knows it")]
    Stale,
    /// The status machine does not allow the move.
    #[error("a request cannot move from {from} to {to}")]
    NotAllowed {
        /// The present status.
        from: Status,
        /// The status asked for.
        to: Status,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl MassService {
    /// Moves a request to another status; the same status changes nothing. Returns the request afterwards.
    ///
    /// # Errors
    /// [`TransitionError`]; the request has not changed then.
    pub async fn transition(
        &self,
        principal: &Principal,
        id: MassRequestId,
        to: Status,
        reason: Option<String>,
        expected: Option<Vec<i64>>,
        origin: Origin,
    ) -> Result<MassRequest, TransitionError> {
        principal.require(Permission::MassWrite)?;
        let transition = Transition { to, reason, expected, actor: principal.actor(), at: self.clock.now(), origin };
        self.store.transition(principal.tenant(), id, transition).await
    }
}
