//! Rules of the outbox: sending a request to the engine, replaying and cancelling a delivery.

use mass_domain::access::Forbidden;
use mass_domain::delivery::{Delivery, State};
use mass_domain::mass_request::{RequestSummary, Status};
use mass_domain::port::PortError;

/// The treatment of a request that is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dispatch {
    /// Leave it: it is queued, or the engine has answered.
    Keep,
    /// Put it in the queue and set its status.
    Queue(Status),
}

impl Dispatch {
    /// Judges by the stored request and its delivery.
    ///
    /// # Errors
    /// [`SendError::Ended`].
    pub fn judge(request: &RequestSummary, delivery: Option<&Delivery>) -> Result<Self, SendError> {
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

/// Reason for which a request is not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// No engine is configured.
    #[error("no engine is configured")]
    EngineMissing,
    /// The caller's tenant has no such request.
    #[error("no such request")]
    NotFound,
    /// The request has been deleted.
    #[error("the request has been deleted")]
    Gone,
    /// The request has another final status than by an answer of the engine.
    #[error("the request is {status}")]
    Ended {
        /// Its status.
        status: Status,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// Reason for which a delivery is neither replayed nor cancelled.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// No engine is configured.
    #[error("no engine is configured")]
    EngineMissing,
    /// The caller's tenant has no such delivery.
    #[error("no such delivery")]
    NotFound,
    /// The state of the delivery does not allow it.
    #[error("the delivery is {state}")]
    NotAllowed {
        /// Its state.
        state: State,
    },
    /// The request has another final status than by an answer of the engine.
    #[error("the request is {status}")]
    Ended {
        /// Its status.
        status: Status,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// Judges a replay. Returns `true` if the delivery is to be put back in the queue, `false` if it is queued.
///
/// # Errors
/// [`HandleError::NotAllowed`] unless it is a dead letter, [`HandleError::Ended`] if its request wants no answer.
pub const fn judge_replay(delivery: State, request: Status) -> Result<bool, HandleError> {
    match (delivery, request) {
        (State::Queued | State::Leased, _) => Ok(false),
        (State::Dead, Status::Pending | Status::Processing | Status::Failed) => Ok(true),
        (State::Dead, Status::Done | Status::Cancelled) => Err(HandleError::Ended { status: request }),
        (State::Delivered | State::Cancelled, _) => Err(HandleError::NotAllowed { state: delivery }),
    }
}

/// Judges a cancellation. Returns `true` if the delivery is to be cancelled, `false` if it is cancelled already.
///
/// # Errors
/// [`HandleError::NotAllowed`] once the engine has answered.
pub const fn judge_cancel(delivery: State) -> Result<bool, HandleError> {
    match delivery {
        State::Queued | State::Leased | State::Dead => Ok(true),
        State::Cancelled => Ok(false),
        State::Delivered => Err(HandleError::NotAllowed { state: delivery }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_alone_is_replayed() {
        for (state, status, replayed) in [
            (State::Dead, Status::Failed, Some(true)),
            (State::Dead, Status::Pending, Some(true)),
            (State::Dead, Status::Cancelled, None),
            (State::Queued, Status::Pending, Some(false)),
            (State::Leased, Status::Processing, Some(false)),
            (State::Delivered, Status::Done, None),
            (State::Cancelled, Status::Cancelled, None),
        ] {
            assert_eq!(judge_replay(state, status).ok(), replayed, "{state} {status}");
        }
    }

    #[test]
    fn cancels_every_delivery_without_an_answer() {
        let cancelled = State::ALL.iter().map(|state| judge_cancel(*state).ok());
        assert_eq!(cancelled.collect::<Vec<_>>(), [Some(true), Some(true), None, Some(true), Some(false)]);
    }
}
