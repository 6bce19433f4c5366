//! Rules of the outbox: sending a request to the engine, replaying and cancelling a delivery.

use mass_domain::access::Forbidden;
use mass_domain::delivery::{Delivery, State};
use mass_domain::mass_request::{Status, Summary};
use mass_domain::port::PortError;

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

/// Why a delivery is neither replayed nor cancelled.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no engine to send anything to.
    #[error("no engine is configured")]
    EngineMissing,
    /// The caller's tenant has no such delivery.
    #[error("no such delivery")]
    NotFound,
    /// The delivery is not in a state in which that can be done.
    #[error("the delivery is {state}")]
    NotAllowed {
        /// Its state.
        state: State,
    },
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

/// Judges a replay: `true` if the delivery is to be put back in the queue, `false` if it stands in it.
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

/// Judges a cancellation: `true` if the delivery is to be cancelled, `false` if it is.
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
    fn whatever_has_no_answer_is_cancelled() {
        let cancelled = State::ALL.iter().map(|state| judge_cancel(*state).ok());
        assert_eq!(cancelled.collect::<Vec<_>>(), [Some(true), Some(true), None, Some(true), Some(false)]);
    }
}
