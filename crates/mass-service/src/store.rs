//! The port to whatever keeps MASS requests.

use async_trait::async_trait;
use mass_domain::audit::{Act, Event, NewEvent};
use mass_domain::delivery::{self, Backlog, Delivery, Overview, WorkerName};
use mass_domain::ids::{DeliveryId, MassRequestId, RecommendationId};
use mass_domain::mass_request::{Filter, MassRequest, Summary};
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::recommendation::{self, Recommendation};
use mass_domain::tenancy::{CredentialsVersion, TenantId};
use mass_domain::time::Timestamp;

use crate::acceptance::SubmissionResults;
use crate::claim::{Claim, Claimed, Conclusion, Recorded, Restraint};
use crate::delete::{DeleteError, Deletion};
use crate::outbox::{HandleError, SendError};
use crate::submission::Submission;
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
    /// Judges submissions in their order with [`judge`](crate::judge) on the stored state, and writes the additions.
    /// Returns one result per submission. A refused one leaves its neighbours alone and leads to no event. `refused` are the
    /// events of calls whose documents were refused before. With `as_of`, nothing is written and `None` returned unless
    /// the tenant's credentials are at that version in the same transaction.
    async fn accept(
        &self,
        tenant: &TenantId,
        submissions: Vec<Submission>,
        refused: Vec<NewEvent>,
        as_of: Option<CredentialsVersion>,
    ) -> Result<Option<SubmissionResults>, PortError>;

    /// Stores submissions as [`accept`](Self::accept) does if none of them is refused, and otherwise none.
    async fn store_all_or_none(&self, tenant: &TenantId, submissions: Vec<Submission>) -> Result<SubmissionResults, PortError>;

    /// Finds a request.
    async fn find(&self, tenant: &TenantId, id: MassRequestId) -> Result<Found<MassRequest>, PortError>;

    /// Finds a request if the tenant's credentials are at this version. `None` tells that they are not, or that this tenant
    /// never had the request.
    async fn find_as_of(
        &self,
        tenant: &TenantId,
        version: CredentialsVersion,
        id: MassRequestId,
    ) -> Result<Option<Found<MassRequest>>, PortError>;

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

/// The queue for the engine, as its workers see it: over all tenants.
///
/// Each call is one unit of work, except where it says otherwise.
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// Claims up to `limit` deliveries that are due at `now` for this worker until then: those that wait, and those whose
    /// lease has ended, as far as the engine may be asked. The tenants take turns, and have the same share of what room there
    /// is beyond; of each, the longest due is the first. Their requests are being processed then. What turns out to be wanted
    /// no more is not claimed. Where this fails in between, what was claimed is due again when the lease ends.
    async fn claim(
        &self,
        worker: &WorkerName,
        limit: u16,
        now: Timestamp,
        until: Timestamp,
        restraint: &Restraint,
    ) -> Result<Vec<Claimed>, PortError>;

    /// Records what became of an attempt, with the request's status, the recommendation and the events, if the claim still
    /// holds: nobody has claimed the delivery since, and it was neither given back nor cancelled.
    async fn record(&self, claim: &Claim, conclusion: Conclusion, at: Timestamp) -> Result<Recorded, PortError>;

    /// Moves the end of the leases of those claims that still hold, and tells in their order which do.
    async fn extend(&self, claims: &[Claim], until: Timestamp) -> Result<Vec<bool>, PortError>;

    /// Ends all claims of a worker; what it had is due at once, and the attempts do not count. Tells how many there were.
    async fn hand_back(&self, worker: &WorkerName, at: Timestamp) -> Result<usize, PortError>;
}

/// The queue for the engine, as a tenant sees its own part of it.
///
/// Each call is one unit of work. No call ever reaches another tenant's data but [`backlog`](Self::backlog), which counts.
#[async_trait]
pub trait OutboxStore: Send + Sync {
    /// Puts a request in the queue, judged by [`Dispatch::judge`](crate::Dispatch::judge) on what is stored.
    async fn send(&self, tenant: &TenantId, id: MassRequestId, act: Act) -> Result<Delivery, SendError>;

    /// Finds a delivery.
    async fn find(&self, tenant: &TenantId, id: DeliveryId) -> Result<Option<Delivery>, PortError>;

    /// Lists deliveries, those of the newest requests (the greatest ids) first, beginning below `before`: at most one row more than the limit.
    async fn list(
        &self,
        tenant: &TenantId,
        filter: delivery::Filter,
        before: Option<DeliveryId>,
        limit: Limit,
    ) -> Result<Vec<Delivery>, PortError>;

    /// What the tenant's deliveries are at.
    async fn overview(&self, tenant: &TenantId) -> Result<Overview, PortError>;

    /// What the whole queue is at.
    async fn backlog(&self, now: Timestamp) -> Result<Backlog, PortError>;

    /// Puts a dead letter back in the queue, judged by [`judge_replay`](crate::judge_replay) on what is stored.
    async fn replay(&self, tenant: &TenantId, id: DeliveryId, act: Act) -> Result<Delivery, HandleError>;

    /// Cancels a delivery, judged by [`judge_cancel`](crate::judge_cancel) on what is stored.
    async fn cancel(&self, tenant: &TenantId, id: DeliveryId, act: Act) -> Result<Delivery, HandleError>;
}

/// What the engine recommended.
#[async_trait]
pub trait RecommendationStore: Send + Sync {
    /// The recommendations on a request, newest (greatest id) first.
    async fn of_request(&self, tenant: &TenantId, id: MassRequestId) -> Result<Found<Vec<Recommendation>>, PortError>;

    /// Lists recommendations, newest (greatest id) first, beginning below `before`: at most one row more than the limit.
    async fn list(
        &self,
        tenant: &TenantId,
        filter: &recommendation::Filter,
        before: Option<RecommendationId>,
        limit: Limit,
    ) -> Result<Vec<Recommendation>, PortError>;
}
