//! Deleting all requests that filters let through, in two steps: counting them, and deleting what was counted.

use mass_domain::access::{Actor, Forbidden, Permission, Principal};
use mass_domain::ids::MassRequestId;
use mass_domain::mass_request::RequestFilter;
use mass_domain::port::PortError;
use mass_domain::retention::Held;
use mass_domain::time::Timestamp;
use mass_domain::trace::Origin;

use crate::MassService;

/// The most requests that one call deletes.
pub const MOST_DELETED: u16 = 10_000;

/// The most requests that one call looks at, with those that it leaves because they have changed.
const MOST_EXAMINED: u64 = 20_000;

/// The requests that one transaction deletes. It keeps the tenant's other writes waiting.
const STEP: u16 = 100;

/// The time after which a call begins no further transaction, in seconds.
const LONGEST_SECONDS: i64 = 10;

/// The requests that matched a filter at the time of a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedSet {
    /// The number of requests.
    pub matched: u64,
    /// The number of events in the tenant's audit log. Events of later changes and requests come after them.
    pub log_size: u64,
}

/// A part of a deletion: one transaction.
#[derive(Debug, Clone)]
pub struct DeletionStep {
    /// The number of events in the tenant's audit log when the requests were counted.
    pub log_size: u64,
    /// Only requests with greater ids are deleted.
    pub after: Option<MassRequestId>,
    /// The most requests to look at.
    pub limit: u16,
    /// The caller.
    pub actor: Actor,
    /// The instant of the transaction.
    pub at: Timestamp,
    /// The origin of the call.
    pub origin: Origin,
}

/// The result of a part of a deletion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeletedStep {
    /// The number of deleted requests.
    pub deleted: u64,
    /// The number of requests that have changed since they were counted, and are left as they are.
    pub changed: u64,
    /// The last request that was looked at; `None` if there was none.
    pub last: Option<MassRequestId>,
}

/// The result of a deletion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeletedSet {
    /// The number of deleted requests.
    pub deleted: u64,
    /// The number of requests that have changed since they were counted, and are left as they are.
    pub changed: u64,
    /// The number of counted requests that another call has to look at.
    pub remaining: u64,
}

/// Reason for which nothing is counted or deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeletionsError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The filter has no condition: it would let everything through.
    #[error("at least one filter is needed")]
    Unfiltered,
    /// A legal hold covers requests that the filter may let through.
    #[error(transparent)]
    Held(#[from] Held),
    /// The store failed. Requests that a call deleted before that stay deleted.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl MassService {
    /// Counts the requests that match a filter. Changes nothing.
    ///
    /// # Errors
    /// [`DeletionsError`].
    pub async fn count_for_deletion(
        &self,
        principal: &Principal,
        filter: &RequestFilter,
    ) -> Result<CountedSet, DeletionsError> {
        principal.require(Permission::MassWrite)?;
        require_condition(filter)?;
        self.store.require_unheld(principal.tenant(), filter.contract).await?;
        Ok(self.store.count(principal.tenant(), filter, None, None).await?)
    }

    /// Deletes counted requests, oldest first and each as [`delete`](Self::delete) does: at most `limit` of them, in
    /// several transactions. Requests that came or changed since the count are not deleted.
    ///
    /// # Errors
    /// [`DeletionsError`].
    pub async fn delete_counted(
        &self,
        principal: &Principal,
        filter: &RequestFilter,
        log_size: u64,
        limit: u16,
        origin: &Origin,
    ) -> Result<DeletedSet, DeletionsError> {
        principal.require(Permission::MassWrite)?;
        require_condition(filter)?;
        let result = self.delete_in_steps(principal, filter, log_size, limit.min(MOST_DELETED), origin).await;
        // Also after a failure: what the transactions before it erased is to be gone.
        self.store.sweep().await;
        result
    }

    async fn delete_in_steps(
        &self,
        principal: &Principal,
        filter: &RequestFilter,
        log_size: u64,
        limit: u16,
        origin: &Origin,
    ) -> Result<DeletedSet, DeletionsError> {
        let (tenant, actor) = (principal.tenant(), principal.actor());
        let begun = self.clock.now();
        let (mut set, mut after) = (DeletedSet::default(), None);
        loop {
            let at = self.clock.now();
            let room = u64::from(limit).saturating_sub(set.deleted);
            let is_late = begun.plus_seconds(LONGEST_SECONDS).is_some_and(|end| at > end);
            if room == 0 || is_late || set.deleted + set.changed >= MOST_EXAMINED {
                set.remaining = self.store.count(tenant, filter, Some(log_size), after).await?.matched;
                return Ok(set);
            }
            let limit = u16::try_from(room).map_or(STEP, |room| room.min(STEP));
            let step = DeletionStep { log_size, after, limit, actor, at, origin: origin.clone() };
            let DeletedStep { deleted, changed, last } = self.store.delete_step(tenant, filter, step).await?;
            set.deleted += deleted;
            set.changed += changed;
            if deleted + changed < u64::from(limit) {
                return Ok(set);
            }
            after = last;
        }
    }
}

/// Refuses a filter that lets everything through.
fn require_condition(filter: &RequestFilter) -> Result<(), DeletionsError> {
    if filter.is_empty() { Err(DeletionsError::Unfiltered) } else { Ok(()) }
}
