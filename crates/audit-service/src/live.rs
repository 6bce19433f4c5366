//! Verification of a log in its database: events, their columns, the tree, the checkpoints, and the requests and
//! accounts that the events describe. It runs in constant memory beside a server that goes on writing.

mod checker;
mod finding;
mod report;
mod request;
mod users;

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};

use async_trait::async_trait;
use futures_util::future::try_join;
use mass_domain::audit::IndexedValues;
use mass_domain::audit::note::NoteKey;
use mass_domain::audit::tree::{Subtree, TreeHash};
use mass_domain::canonical::Fingerprint;
use mass_domain::ids::{MassRequestId, UserId};
use mass_domain::mass_request;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use uuid::Uuid;

pub use finding::{LiveFinding, VerifyLiveError};
pub use report::LiveReport;

use crate::store::AuditStore;
use checker::Checker;

/// The number of events or requests that are read at a time. Stored nodes of the tree are aligned to pages of this
/// size.
const PAGE: u64 = 512;

/// The end of a log as stated by its head, its events and its nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// The number of events by the head.
    pub size: u64,
    /// The stored frontier of the head.
    pub peaks: Vec<u8>,
    /// The last event, stored or archived.
    pub last: u64,
    /// The number of stored nodes of the tree.
    pub nodes: u64,
}

/// The stored rows of a part of a log, none of them verified yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// The leaves of archived events, in the order of the log.
    pub archived: Vec<ArchivedLeaf>,
    /// The events, in the order of the log.
    pub events: Vec<EventRecord>,
    /// The nodes of the tree whose last leaf is in this part.
    pub nodes: Vec<(Subtree, TreeHash)>,
}

/// The leaf of an archived event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedLeaf {
    /// The event's sequence.
    pub sequence: u64,
    /// The leaf hash.
    pub leaf_hash: Vec<u8>,
}

/// A stored event with its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// Its sequence.
    pub sequence: u64,
    /// The column, as text.
    pub at: String,
    /// The column.
    pub actor_kind: String,
    /// The column.
    pub actor_id: Option<Uuid>,
    /// The column.
    pub action: String,
    /// The column.
    pub object_kind: String,
    /// The column.
    pub object_id: Option<String>,
    /// The column.
    pub outcome: String,
    /// Its text.
    pub event: String,
    /// Its leaf hash.
    pub leaf_hash: Vec<u8>,
    /// The request, if the event is an acceptance and the request is stored.
    pub request: Option<RequestRecord>,
    /// The version of the request, if this is a later event of it and the request is stored.
    pub request_version: Option<i64>,
}

/// A stored request with its later events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRecord {
    /// Its id.
    pub id: MassRequestId,
    /// The column.
    pub contract: String,
    /// The column.
    pub status: String,
    /// The column.
    pub outcome: String,
    /// The column.
    pub version: i64,
    /// The column, as text.
    pub created_at: String,
    /// The column, as text.
    pub updated_at: String,
    /// The column.
    pub created_by_kind: String,
    /// The column.
    pub created_by_id: Option<Uuid>,
    /// The column.
    pub corrects: Option<Uuid>,
    /// The column.
    pub corrected_by: Option<Uuid>,
    /// The column, as text: `None` unless its document was erased.
    pub deleted_at: Option<String>,
    /// The column.
    pub correlation_id: Option<String>,
    /// The column.
    pub idempotency_key: Option<String>,
    /// The column.
    pub site_id: Option<String>,
    /// The column.
    pub device_id: Option<String>,
    /// The column, as text.
    pub observed_at: Option<String>,
    /// The column.
    pub natural_key: Option<String>,
    /// The column.
    pub batch_id: Option<String>,
    /// The column.
    pub call_id: Option<String>,
    /// The column: JSON text.
    pub warnings: String,
    /// The stored fingerprint.
    pub fingerprint: Vec<u8>,
    /// The fingerprint computed from the document.
    pub document: Fingerprint,
    /// The sequence of the acceptance event, as stored with the request.
    pub audit_sequence: u64,
    /// The leaf hash of the acceptance event, as stored with the request.
    pub audit_leaf_hash: Vec<u8>,
    /// The archived leaf hash at `audit_sequence`.
    pub archived_leaf: Option<Vec<u8>>,
    /// The later events of the request that are not archived: sequences and texts, in the order of the log. They are not
    /// read for a request that looks [unchanged](Self::looks_unchanged).
    pub events: Vec<(u64, String)>,
}

impl RequestRecord {
    /// Returns true if the columns say that nothing has happened to the request since its acceptance.
    pub fn looks_unchanged(&self) -> bool {
        self.version == 1
            && self.status == mass_request::Status::Pending.as_str()
            && self.updated_at == self.created_at
            && self.corrected_by.is_none()
            && self.deleted_at.is_none()
    }

    /// Returns the values whose digest its acceptance event carries.
    fn indexed(&self) -> IndexedValues<'_> {
        IndexedValues {
            batch_id: self.batch_id.as_deref(),
            call_id: self.call_id.as_deref(),
            correlation_id: self.correlation_id.as_deref(),
            device_id: self.device_id.as_deref(),
            idempotency_key: self.idempotency_key.as_deref(),
            natural_key: self.natural_key.as_deref(),
            observed_at: self.observed_at.as_deref(),
            site_id: self.site_id.as_deref(),
            warnings: &self.warnings,
        }
    }
}

/// A page of requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestPage {
    /// The number of requests on it.
    pub requests: u64,
    /// The last request; `None` if the page is empty.
    pub last: Option<MassRequestId>,
    /// The requests without an acceptance event at the sequence that they name.
    pub unaccepted: Vec<RequestRecord>,
}

/// The number of stored requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestCount {
    /// Those that name an acceptance event within the given part of the log.
    pub within: u64,
    /// All of them.
    pub all: u64,
}

/// A stored account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// Its id.
    pub id: UserId,
    /// The column.
    pub roles: BTreeSet<String>,
    /// True if it is disabled.
    pub disabled: bool,
    /// The column, as text.
    pub created_at: String,
    /// The digest of the password hash.
    pub credentials: Fingerprint,
}

/// The accounts of a tenant in one snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserRecords {
    /// The accounts.
    pub users: Vec<UserRecord>,
    /// The events about accounts after the verified part of the log: sequences and texts, in the order of the log.
    pub events: Vec<(u64, String)>,
}

/// Port to the raw rows of a log. Each call reads one snapshot.
#[async_trait]
pub trait LiveStore: AuditStore {
    /// Reads the end of the log.
    async fn extent(&self, tenant: &TenantId) -> Result<Extent, PortError>;

    /// Reads the rows of up to `count` events after a sequence.
    async fn part(&self, tenant: &TenantId, after: u64, count: u64) -> Result<Part, PortError>;

    /// Counts the requests, and those whose acceptance event, as they name it, is `within` a part of the log.
    async fn count_requests(&self, tenant: &TenantId, within: RangeInclusive<u64>) -> Result<RequestCount, PortError>;

    /// Reads the next `limit` requests in the order of their ids, but for those whose acceptance event, as they name it, is
    /// within the part of the log to skip.
    async fn requests(
        &self,
        tenant: &TenantId,
        skip: Option<RangeInclusive<u64>>,
        after: Option<MassRequestId>,
        limit: u64,
    ) -> Result<RequestPage, PortError>;

    /// Reads the accounts, and the events about accounts after a sequence.
    async fn users(&self, tenant: &TenantId, after: u64) -> Result<UserRecords, PortError>;
}

/// Verifies a tenant's log up to its end at the start of the call. With keys, each checkpoint must be signed by one of
/// them; the log must extend the `earlier` checkpoints, which are signed notes. `progress` gets the number of events of
/// each verified part.
///
/// Archived events are represented by their leaves; their texts are verified in their export.
///
/// # Errors
/// [`VerifyLiveError`] with the first fault.
pub async fn verify(
    store: &dyn LiveStore,
    tenant: &TenantId,
    keys: impl IntoIterator<Item = &NoteKey>,
    earlier: &[impl AsRef<str> + Sync],
    mut progress: impl FnMut(u64) + Send,
) -> Result<LiveReport, VerifyLiveError> {
    let keys = keys.into_iter().cloned().collect();
    let earlier = earlier.iter().map(AsRef::as_ref);
    let mut checker = Checker::new(store.extent(tenant).await?, tenant, keys, earlier)?;
    let mut range = checker.next_range();
    let mut part = read(store, tenant, range.clone()).await?;
    while let Some(Range { start, end }) = range {
        while checker.checkpoints_before(end) {
            let after = checker.last_checkpoint();
            checker.give_checkpoints(store.checkpoints(tenant, after, checker::CHECKPOINTS).await?)?;
        }
        range = checker.range_after(end);
        // The database reads the next part while this one is checked.
        let checked = async { Ok(checker.check(part)?) };
        (part, ()) = try_join(read(store, tenant, range.clone()), checked).await?;
        progress(end - start);
    }
    checker.check_end()?;
    if let Some(latest) = store.latest_checkpoint(tenant).await? {
        // The checkpoint may be newer than the verified part, but not than the log.
        checker.check_latest(latest.size, store.extent(tenant).await?.size)?;
    }
    checker.check_users(&store.users(tenant, checker.size()).await?)?;
    let verified = checker.verified();
    let count = store.count_requests(tenant, verified.clone()).await?;
    let skip = checker.account_for(count.within).then_some(verified);
    let mut after = None;
    while skip.is_none() || count.all > count.within {
        let page = store.requests(tenant, skip.clone(), after, PAGE).await?;
        let Some(last) = page.last else { break };
        after = Some(last);
        checker.check_requests(&page)?;
    }
    Ok(checker.report())
}

async fn read(store: &dyn LiveStore, tenant: &TenantId, range: Option<Range<u64>>) -> Result<Part, VerifyLiveError> {
    match range {
        Some(Range { start, end }) => Ok(store.part(tenant, start, end - start).await?),
        None => Ok(Part::default()),
    }
}
