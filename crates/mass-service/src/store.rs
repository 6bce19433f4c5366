//! The ports to the store of MASS requests, deliveries and recommendations.

use async_trait::async_trait;
use mass_domain::audit::{Act, Event, NewEvent};
use mass_domain::contracts::ContractId;
use mass_domain::delivery::{self, Backlog, Delivery, Overview, WorkerName};
use mass_domain::ids::{DeliveryId, MassRequestId, RecommendationId};
use mass_domain::mass_request::{MassRequest, RequestFilter, RequestSummary};
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::recommendation::{self, Recommendation};
use mass_domain::tenancy::{CredentialsVersion, TenantId};
use mass_domain::time::Timestamp;

use crate::acceptance::SubmissionResults;
use crate::claim::{Claim, Claimed, Conclusion, Recorded, Restraint};
use crate::delete::{DeleteError, Deletion};
use crate::deletions::{CountedSet, DeletedStep, DeletionStep, DeletionsError};
use crate::outbox::{HandleError, SendError};
use crate::submission::Submission;
use crate::transition::{Transition, TransitionError};

/// The result of a look-up that tells deleted objects from unknown ones.
#[derive(Debug, Clone, PartialEq)]
pub enum Found<T> {
    /// The object.
    Present(T),
    /// The object has been deleted.
    Deleted,
    /// The tenant never had such an object.
    Absent,
}

/// A request as it is exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedRequest {
    /// The request.
    pub request: MassRequest,
    /// The natural key of its document. `simple/1.0` has none.
    pub natural_key: Option<String>,
}

/// A page of an export, as it is asked of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportSpan {
    /// The last request of the page before.
    pub after: Option<MassRequestId>,
    /// The last request of the export.
    pub until: MassRequestId,
    /// The most requests of the page.
    pub requests: u64,
    /// The most bytes that the documents have together. One request may have more.
    pub bytes: u64,
}

/// A page of an export, as a store reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportPage {
    /// The requests, oldest first.
    pub requests: Vec<ExportedRequest>,
    /// True if another page may follow.
    pub more: bool,
}

/// A page of requests with their documents, as a store reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentPage {
    /// The requests.
    pub requests: Vec<MassRequest>,
    /// True if another page follows.
    pub more: bool,
}

/// The store of MASS requests and their events.
///
/// Each call is one transaction: when it returns, it has happened entirely and durably, or not at all. Requests and
/// their audit events are written together. No call reaches another tenant's data.
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
    async fn store_all_or_none(
        &self,
        tenant: &TenantId,
        submissions: Vec<Submission>,
    ) -> Result<SubmissionResults, PortError>;

    /// Finds a request.
    async fn find(&self, tenant: &TenantId, id: MassRequestId) -> Result<Found<MassRequest>, PortError>;

    /// Finds a request if the tenant's credentials are at this version. Returns `None` if they are not, or if the
    /// tenant never had the request.
    async fn find_as_of(
        &self,
        tenant: &TenantId,
        version: CredentialsVersion,
        id: MassRequestId,
    ) -> Result<Option<Found<MassRequest>>, PortError>;

    /// Lists requests with ids below `before`, newest (greatest id) first: at most one row more than the limit, which
    /// indicates another page.
    async fn list(
        &self,
        tenant: &TenantId,
        filter: &RequestFilter,
        before: Option<MassRequestId>,
        limit: Limit,
    ) -> Result<Vec<RequestSummary>, PortError>;

    /// Lists requests as [`list`](Self::list) does, with their documents: as many as have at most this number of bytes
    /// of documents together, but at least one.
    async fn list_documents(
        &self,
        tenant: &TenantId,
        filter: &RequestFilter,
        before: Option<MassRequestId>,
        limit: Limit,
        bytes: u64,
    ) -> Result<DocumentPage, PortError>;

    /// Returns the tenant's newest request (of the largest id), if there is any; a deleted one, too.
    async fn newest(&self, tenant: &TenantId) -> Result<Option<MassRequestId>, PortError>;

    /// Reads the requests of the span that match the filter, oldest (smallest id) first, with their documents: as many
    /// as the span lets in, but at least one if there is any.
    async fn export(
        &self,
        tenant: &TenantId,
        filter: &RequestFilter,
        span: ExportSpan,
    ) -> Result<ExportPage, PortError>;

    /// Lists the events of a request, in their order.
    async fn list_events(&self, tenant: &TenantId, id: MassRequestId) -> Result<Found<Vec<Event>>, PortError>;

    /// Moves a request to another status, as [`Transition::judge`] decides on the stored request.
    async fn transition(
        &self,
        tenant: &TenantId,
        id: MassRequestId,
        transition: Transition,
    ) -> Result<MassRequest, TransitionError>;

    /// Erases a request's document and all values extracted from it. Its id, contract and fingerprint remain. Its
    /// natural key is free again: a version that it had superseded becomes the current one.
    async fn delete(&self, tenant: &TenantId, id: MassRequestId, deletion: Deletion) -> Result<(), DeleteError>;

    /// Requires that no legal hold covers requests of this contract, or of any contract for `None`.
    async fn require_unheld(&self, tenant: &TenantId, contract: Option<ContractId>) -> Result<(), DeletionsError>;

    /// Counts the requests that match the filter, with ids above `after`: those stored within the first `log_size`
    /// events of the audit log, or by default all, with the present number of events.
    async fn count(
        &self,
        tenant: &TenantId,
        filter: &RequestFilter,
        log_size: Option<u64>,
        after: Option<MassRequestId>,
    ) -> Result<CountedSet, PortError>;

    /// Deletes the first requests of a counted set as [`delete`](Self::delete) does, smallest id first, except those that
    /// have events after the count. Deletes none if a legal hold covers requests of the filter's contract, or of any contract if
    /// it names none. Erased content may stay in the database's own log until [`sweep`](Self::sweep).
    async fn delete_step(
        &self,
        tenant: &TenantId,
        filter: &RequestFilter,
        step: DeletionStep,
    ) -> Result<DeletedStep, DeletionsError>;

    /// Removes erased content from the database's own log, now or once its readers have ended.
    async fn sweep(&self);
}

/// The queue for the engine, for its workers: over all tenants.
///
/// Each call is one transaction, except where it says otherwise.
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// Claims up to `limit` deliveries for a worker, under a lease that ends at `until`: those due at `now`, expired
    /// leases included, as far as `restraint` allows. The tenants take turns and get equal shares of the remaining
    /// room; of each tenant, the longest due come first. The requests move to `processing`. Cancelled deliveries are
    /// not claimed. The claims are taken in one transaction and the attempts begun in one per tenant: if this fails in
    /// between, the deliveries are due again when the lease ends.
    async fn claim(
        &self,
        worker: &WorkerName,
        limit: u16,
        now: Timestamp,
        until: Timestamp,
        restraint: &Restraint,
    ) -> Result<Vec<Claimed>, PortError>;

    /// Records the conclusion of an attempt, with the request's status, the recommendation and the events, if the claim
    /// still holds: the delivery was not claimed again, released or cancelled.
    async fn record(&self, claim: &Claim, conclusion: Conclusion, at: Timestamp) -> Result<Recorded, PortError>;

    /// Moves the end of the leases of those claims that still hold. Returns for each whether it does.
    async fn extend(&self, claims: &[Claim], until: Timestamp) -> Result<Vec<bool>, PortError>;

    /// Ends all claims of a worker. The deliveries are due at once, and the attempts do not count. Returns the number
    /// of claims.
    async fn release_all(&self, worker: &WorkerName, at: Timestamp) -> Result<usize, PortError>;
}

/// The outbox: a tenant's deliveries.
///
/// Each call is one transaction. No call reaches another tenant's data, except [`get_backlog`](Self::get_backlog),
/// which counts.
#[async_trait]
pub trait OutboxStore: Send + Sync {
    /// Puts a request in the queue, as [`Dispatch::judge`](crate::Dispatch::judge) decides on the stored request and
    /// delivery.
    async fn enqueue(&self, tenant: &TenantId, id: MassRequestId, act: Act) -> Result<Delivery, SendError>;

    /// Finds a delivery.
    async fn find(&self, tenant: &TenantId, id: DeliveryId) -> Result<Option<Delivery>, PortError>;

    /// Lists deliveries with ids below `before`, those of the newest requests (the greatest ids) first: at most one row
    /// more than the limit.
    async fn list(
        &self,
        tenant: &TenantId,
        filter: delivery::DeliveryFilter,
        before: Option<DeliveryId>,
        limit: Limit,
    ) -> Result<Vec<Delivery>, PortError>;

    /// Sums up the tenant's deliveries.
    async fn get_overview(&self, tenant: &TenantId) -> Result<Overview, PortError>;

    /// Counts the queue over all tenants.
    async fn get_backlog(&self, now: Timestamp) -> Result<Backlog, PortError>;

    /// Puts a dead letter back in the queue, as [`judge_replay`](crate::judge_replay) decides.
    async fn replay(&self, tenant: &TenantId, id: DeliveryId, act: Act) -> Result<Delivery, HandleError>;

    /// Cancels a delivery, as [`judge_cancel`](crate::judge_cancel) decides.
    async fn cancel(&self, tenant: &TenantId, id: DeliveryId, act: Act) -> Result<Delivery, HandleError>;
}

/// The store of recommendations.
#[async_trait]
pub trait RecommendationStore: Send + Sync {
    /// Lists the recommendations on a request, newest (greatest id) first.
    async fn list_of_request(
        &self,
        tenant: &TenantId,
        id: MassRequestId,
    ) -> Result<Found<Vec<Recommendation>>, PortError>;

    /// Lists recommendations with ids below `before`, newest (greatest id) first: at most one row more than the limit.
    async fn list(
        &self,
        tenant: &TenantId,
        filter: &recommendation::RecommendationFilter,
        before: Option<RecommendationId>,
        limit: Limit,
    ) -> Result<Vec<Recommendation>, PortError>;
}
