//! Putting a request in the queue for the engine.

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::Act;
use mass_domain::delivery::Delivery;
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::{Status, Summary};
use mass_domain::port::PortError;
use mass_domain::trace::Origin;

use crate::deliveries::DeliveryService;

/// What has to become of a request that is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dispatch {
    /// Nothing: it stands in the queue, or the engine has answered.
    Keep,
    /// Put it in the queue; its status is this one then.
    Queue(Status),
}

impl Dispatch {
    /// Judges on a request and its delivery, if it has one, as they are stored.
    ///
    /// # Errors
    /// [`SendError::Ended`].
    pub fn judge(request: &Summary, delivery: Option<&Delivery>) -> Result<Self, SendError> {
        use mass_domain::delivery::State::{Cancelled, Dead, Delivered, Leased, Queued};
        match (delivery.map(|delivery| delivery.state), request.status) {
            (Some(Queued | Leased | Delivered), _) => Ok(Self::Keep),
            (Some(Dead | Cancelled) | None, Status::Pending | Status::Failed) => Ok(Self::Queue(Status::Pending)),
            (Some(Dead | Cancelled) | None, Status::Processing) => Ok(Self::Queue(Status::Processing)),
            (Some(Dead | Cancelled) | None, status @ (Status::Done | Status::Cancelled)) => {
                Err(SendError::Ended { status })
            }
        }
    }
}

/// Why a request is not put in the queue.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no engine to send anything to.
    #[error("no engine is configured")]
    EngineMissing,
    /// The caller's tenant has no such request.
    #[error("no such request")]
    NotFound,
    /// The request has been deleted.
    #[error("the request has been deleted")]
    Gone,
    /// The request's life has ended otherwise than by the engine.
    #[error("the request is {status}")]
    Ended {
        /// Its status.
        status: Status,
    },
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl DeliveryService {
    /// Puts a request in the queue for the engine, durably. One that stands in it already, or that the engine has
    /// answered, stays as it is. Answers the delivery.
    ///
    /// # Errors
    /// [`SendError`]; nothing has changed then.
    pub async fn send(&self, principal: &Principal, id: MassRequestId, origin: Origin) -> Result<Delivery, SendError> {
        principal.require(Permission::MassWrite)?;
        if !self.has_engine {
            return Err(SendError::EngineMissing);
        }
        let act = Act { actor: principal.actor(), at: self.clock.now(), origin };
        self.outbox.send(principal.tenant(), id, act).await
    }
}
