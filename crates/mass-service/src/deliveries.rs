//! Administration of the outbox: listing, sending, replaying and cancelling deliveries.

use std::sync::Arc;

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::Act;
use mass_domain::delivery::{Backlog, Delivery, DeliveryFilter, Overview, State};
use mass_domain::ids::{DeliveryId, MassRequestId};
use mass_domain::page::{CursorScope, ForeignCursor, Limit, Page, decode_cursor};
use mass_domain::port::PortError;
use mass_domain::time::Clock;
use mass_domain::trace::Origin;

use crate::outbox::{HandleError, SendError};
use crate::store::{OutboxStore, RecommendationStore};

/// The use cases on deliveries to the engine and on recommendations.
pub struct DeliveryService {
    pub(crate) outbox: Arc<dyn OutboxStore>,
    pub(crate) recommendations: Arc<dyn RecommendationStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) has_engine: bool,
}

/// A page of a list of deliveries.
#[derive(Debug, Clone)]
pub struct DeliveryQuery {
    /// The filter. Dead letters are in the state [`State::Dead`].
    pub filter: DeliveryFilter,
    /// The size of the page.
    pub limit: Limit,
    /// The cursor that the page before ended with.
    pub cursor: Option<String>,
}

/// Reason for which nothing of the outbox is shown.
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
    /// The store failed.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl DeliveryService {
    /// Puts the use cases on top of the stores. `has_engine` tells whether an engine is configured.
    #[must_use]
    pub fn new(
        outbox: Arc<dyn OutboxStore>,
        recommendations: Arc<dyn RecommendationStore>,
        clock: Arc<dyn Clock>,
        has_engine: bool,
    ) -> Self {
        Self { outbox, recommendations, clock, has_engine }
    }

    /// Sums up the tenant's deliveries.
    ///
    /// # Errors
    /// [`DeliveryError::Forbidden`] or [`DeliveryError::Store`].
    pub async fn overview(&self, principal: &Principal) -> Result<Overview, DeliveryError> {
        principal.require(Permission::DeliveriesManage)?;
        Ok(self.outbox.get_overview(principal.tenant()).await?)
    }

    /// Lists a page of deliveries, newest first.
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

    /// Gets a delivery.
    ///
    /// # Errors
    /// [`DeliveryError`], but never [`DeliveryError::ForeignCursor`].
    pub async fn delivery(&self, principal: &Principal, id: DeliveryId) -> Result<Delivery, DeliveryError> {
        principal.require(Permission::DeliveriesManage)?;
        self.outbox.find(principal.tenant(), id).await?.ok_or(DeliveryError::NotFound)
    }

    /// Puts a request in the queue for the engine, durably. A request that is queued already, or that the engine has
    /// answered, does not change. Returns the delivery.
    ///
    /// # Errors
    /// [`SendError`]; nothing has changed then.
    pub async fn send(&self, principal: &Principal, id: MassRequestId, origin: Origin) -> Result<Delivery, SendError> {
        principal.require(Permission::MassWrite)?;
        if !self.has_engine {
            return Err(SendError::EngineMissing);
        }
        self.outbox.enqueue(principal.tenant(), id, self.act(principal, origin)).await
    }

    /// Puts a dead letter back in the queue, for another round of attempts. A queued delivery does not change.
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

    /// Cancels a delivery that is queued, leased or dead. A request that waits for its answer is cancelled with it. An
    /// answer that is under way will not be stored.
    ///
    /// # Errors
    /// [`HandleError`], but never [`HandleError::EngineMissing`]; nothing has changed then.
    pub async fn cancel(&self, principal: &Principal, id: DeliveryId, origin: Origin) -> Result<Delivery, HandleError> {
        principal.require(Permission::DeliveriesManage)?;
        self.outbox.cancel(principal.tenant(), id, self.act(principal, origin)).await
    }

    /// Counts the queue over all tenants, for monitoring.
    ///
    /// # Errors
    /// [`DeliveryError::Forbidden`] or [`DeliveryError::Store`].
    pub async fn backlog(&self, principal: &Principal) -> Result<Backlog, DeliveryError> {
        principal.require(Permission::MetricsRead)?;
        Ok(self.outbox.get_backlog(self.clock.now()).await?)
    }

    fn act(&self, principal: &Principal, origin: Origin) -> Act {
        Act { actor: principal.actor(), at: self.clock.now(), origin }
    }
}
