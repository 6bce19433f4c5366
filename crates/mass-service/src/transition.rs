//! Moving a request on in its life.

use mass_domain::access::{Actor, Forbidden, Permission, Principal};
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::{MassRequest, Status, Summary};
use mass_domain::port::PortError;
use mass_domain::time::Timestamp;
use mass_domain::trace::Origin;

use crate::MassService;

/// A move to another status, asked for.
#[derive(Debug, Clone)]
pub struct Transition {
    /// The status to move to.
    pub to: Status,
    /// Why, in the caller's words; kept in the event.
    pub reason: Option<String>,
    /// The versions that the caller knows (`If-Match`); `None` if it does not mind.
    pub expected: Option<Vec<i64>>,
    /// Who asks.
    pub actor: Actor,
    /// When.
    pub at: Timestamp,
    /// From where.
    pub origin: Origin,
}

impl Transition {
    /// Judges the move on the request as it is: `true` if it is to be made, `false` if there is nothing to do.
    ///
    /// # Errors
    /// [`TransitionError::Stale`] before [`TransitionError::NotAllowed`].
    pub fn judge(&self, request: &Summary) -> Result<bool, TransitionError> {
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

/// Why a request is not moved.
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
    /// The request has changed since the caller saw it.
    #[error("the request is no longer as the caller knows it")]
    Stale,
    /// There is no way from here to there.
    #[error("a request cannot move from {from} to {to}")]
    NotAllowed {
        /// The present status.
        from: Status,
        /// The status asked for.
        to: Status,
    },
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl MassService {
    /// Moves a request to another status; the same status changes nothing. Answers the request as it is then.
    ///
    /// # Errors
    /// [`TransitionError`]; the request is as before then.
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
