//! Looking after the queue for the engine: what is in it, what is dead, replay and cancel.

use std::sync::Arc;

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::Act;
use mass_domain::delivery::{Backlog, Delivery, Filter, Overview, State};
use mass_domain::ids::DeliveryId;
use mass_domain::mass_request::Status;
use mass_domain::page::{CursorScope, ForeignCursor, Limit, Page, decode_cursor};
use mass_domain::port::PortError;
use mass_domain::time::Clock;
use mass_domain::trace::Origin;

use crate::store::{OutboxStore, RecommendationStore};

/// The use cases on deliveries to the engine and on what it recommends.
pub struct DeliveryService {
    pub(crate) outbox: Arc<dyn OutboxStore>,
    pub(crate) recommendations: Arc<dyn RecommendationStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) has_engine: bool,
}

/// Which page of which deliveries to list.
#[derive(Debug, Clone)]
pub struct DeliveryQuery {
    /// Which deliveries; the dead letters are those in the state [`State::Dead`].
    pub filter: Filter,
    /// How many.
    pub limit: Limit,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// Why nothing is shown of the queue.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The cursor belongs to another list.
    #[error(transparent)]
    ForeignCursor(#[from] ForeignCursor),
    /// The caller's tenant has no such delivery.
    #[error("no such delivery")]
    NotFound,
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

impl DeliveryService {
    /// Puts the use cases on top of the stores. `has_engine`: whether there is an engine to send anything to.
    #[must_use]
    pub fn new(
        outbox: Arc<dyn OutboxStore>,
        recommendations: Arc<dyn RecommendationStore>,
        clock: Arc<dyn Clock>,
        has_engine: bool,
    ) -> Self {
        Self { outbox, recommendations, clock, has_engine }
    }

    /// What the tenant's deliveries are at.
    ///
    /// # Errors
    /// [`DeliveryError::Forbidden`] or [`DeliveryError::Store`].
    pub async fn overview(&self, principal: &Principal) -> Result<Overview, DeliveryError> {
        principal.require(Permission::DeliveriesManage)?;
        Ok(self.outbox.overview(principal.tenant()).await?)
    }

    /// A page of deliveries, newest first.
    ///
    /// # Errors
    /// [`DeliveryError`], but never [`DeliveryError::NotFound`].
    pub async fn deliveries(
        &self,
        principal: &Principal,
        query: &DeliveryQuery,
    ) -> Result<Page<Delivery>, DeliveryError> {
        principal.require(Permission::DeliveriesManage)?;
        let state = query.filter.state.map(State::as_str);
        let scope = CursorScope::of("deliveries", [Some(principal.tenant().as_str()), state]);
        let before = query.cursor.as_deref().map(|cursor| decode_cursor(scope, cursor)).transpose()?;
        let before = before.map(DeliveryId::from_uuid);
        let rows = self.outbox.list(principal.tenant(), query.filter, before, query.limit).await?;
        Ok(Page::from_lookahead(rows, query.limit, scope, |row| row.id.as_uuid()))
    }

    /// One delivery.
    ///
    /// # Errors
    /// [`DeliveryError`], but never [`DeliveryError::ForeignCursor`].
    pub async fn delivery(&self, principal: &Principal, id: DeliveryId) -> Result<Delivery, DeliveryError> {
        principal.require(Permission::DeliveriesManage)?;
        self.outbox.find(principal.tenant(), id).await?.ok_or(DeliveryError::NotFound)
    }

    /// Puts a dead letter back in the queue, for another round of attempts. One that stands in it stays as it is.
    ///
    /// # Errors
    /// [`HandleError`]; nothing has changed then.
    pub async fn replay(&self, principal: &Principal, id: DeliveryId, origin: Origin) -> Result<Delivery, HandleError> {
        principal.require(Permission::DeliveriesManage)?;
        if !self.has_engine {
            return Err(HandleError::EngineMissing);
        }
        self.outbox.replay(principal.tenant(), id, self.act(principal, origin)).await
    }

    /// Takes a delivery out of the queue, or gives up a dead letter; a request that waits for its answer is cancelled
    /// with it. An answer that is under way is not stored.
    ///
    /// # Errors
    /// [`HandleError`], but never [`HandleError::EngineMissing`]; nothing has changed then.
    pub async fn cancel(&self, principal: &Principal, id: DeliveryId, origin: Origin) -> Result<Delivery, HandleError> {
        principal.require(Permission::DeliveriesManage)?;
        self.outbox.cancel(principal.tenant(), id, self.act(principal, origin)).await
    }

    /// What the whole queue is at, for whoever watches the program.
    ///
    /// # Errors
    /// [`DeliveryError::Forbidden`] or [`DeliveryError::Store`].
    pub async fn backlog(&self, principal: &Principal) -> Result<Backlog, DeliveryError> {
        principal.require(Permission::MetricsRead)?;
        Ok(self.outbox.backlog(self.clock.now()).await?)
    }

    fn act(&self, principal: &Principal, origin: Origin) -> Act {
        Act { actor: principal.actor(), at: self.clock.now(), origin }
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
