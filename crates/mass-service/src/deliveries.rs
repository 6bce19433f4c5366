//! Looking after the queue for the engine: what is in it, what is dead, replay and cancel.

use std::sync::Arc;

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::Act;
use mass_domain::delivery::{Backlog, Delivery, Filter, Overview, State};
use mass_domain::ids::{DeliveryId, MassRequestId};
use mass_domain::page::{CursorScope, ForeignCursor, Limit, Page, decode_cursor};
use mass_domain::port::PortError;
use mass_domain::time::Clock;
use mass_domain::trace::Origin;

use crate::outbox::{HandleError, SendError};
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
        self.outbox.send(principal.tenant(), id, self.act(principal, origin)).await
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
