//! The port to whatever keeps MASS requests.

use async_trait::async_trait;
use mass_domain::audit::{Event, NewEvent};
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::{Filter, MassRequest, Summary};
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;

use crate::accept::{Receipt, Refusal, Submission};
use crate::delete::{DeleteError, Deletion};
use crate::transition::{Transition, TransitionError};

/// What became of an object since its id was given out.
#[derive(Debug, Clone, PartialEq)]
pub enum Found<T> {
    /// It is there.
    Present(T),
    /// It was there and has been deleted.
    Deleted,
    /// This tenant never had it.
    Absent,
}

/// Keeps MASS requests and their events.
///
/// Each call is one unit of work: it has happened entirely and durably when it answers, or not at all. Requests and
/// their audit events are written together. No call ever reaches another tenant's data.
#[async_trait]
pub trait MassStore: Send + Sync {
    /// Stores submissions in their order, each judged by [`decide`](crate::decide) as if those before it had been
    /// stored already; answers one result per submission, in order. A refused one leaves its neighbours alone and an
    /// event of its own. `refused` are the events of documents that were refused before they could be submitted.
    async fn accept(
        &self,
        tenant: &TenantId,
        submissions: Vec<Submission>,
        refused: Vec<NewEvent>,
    ) -> Result<Vec<Result<Receipt, Refusal>>, PortError>;

    /// Stores submissions as [`accept`](Self::accept) does if none of them is refused. If any is, none is stored; the events
    /// of the refusals are.
    async fn accept_all_or_none(
        &self,
        tenant: &TenantId,
        submissions: Vec<Submission>,
    ) -> Result<Vec<Result<Receipt, Refusal>>, PortError>;

    /// Finds a request.
    async fn find(&self, tenant: &TenantId, id: MassRequestId) -> Result<Found<MassRequest>, PortError>;

    /// Lists requests, newest (greatest id) first, beginning below `before`: at most one row more than the limit, which
    /// tells that another page follows.
    async fn list(
        &self,
        tenant: &TenantId,
        filter: &Filter,
        before: Option<MassRequestId>,
        limit: Limit,
    ) -> Result<Vec<Summary>, PortError>;

    /// The events of a request in their order.
    async fn events(&self, tenant: &TenantId, id: MassRequestId) -> Result<Found<Vec<Event>>, PortError>;

    /// Moves a request to another status, judged by [`Transition::judge`] on what is stored.
    async fn transition(
        &self,
        tenant: &TenantId,
        id: MassRequestId,
        transition: Transition,
    ) -> Result<MassRequest, TransitionError>;

    /// Erases a request's document and all that was extracted from it; what remains is that it existed, its contract
    /// and its fingerprint. Its natural key is free again: a version that it had superseded is reinstated.
    async fn delete(&self, tenant: &TenantId, id: MassRequestId, deletion: Deletion) -> Result<(), DeleteError>;
}
