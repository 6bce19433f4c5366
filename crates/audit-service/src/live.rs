//! The verification of a log in its database: every event, what is looked up in it, the tree, the checkpoints, and the
//! requests that the events tell of. In constant memory, beside a server that goes on writing.

mod checker;
mod finding;
mod report;
mod request;
mod users;

use std::collections::BTreeSet;

use async_trait::async_trait;
use mass_domain::audit::IndexedValues;
use mass_domain::audit::note::NoteKey;
use mass_domain::audit::tree::{Subtree, TreeHash};
use mass_domain::canonical::Fingerprint;
use mass_domain::ids::{MassRequestId, UserId};
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use uuid::Uuid;

pub use finding::{LiveFinding, VerifyLiveError};
pub use report::LiveReport;

use crate::store::AuditStore;
use checker::Checker;

/// How many events or requests are read at once. Nodes of the tree that are stored begin and end with pages of this size.
const PAGE: u64 = 512;

/// Where a log ends, by all that tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// How many events the head says that there are.
    pub size: u64,
    /// The head's frontier, as it is stored.
    pub peaks: Vec<u8>,
    /// The last event that is there or archived.
    pub last: u64,
    /// How many nodes of the tree are stored.
    pub nodes: u64,
}

/// What is stored of a part of a log. Nothing in it is believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// What is left of archived events, in their order.
    pub archived: Vec<ArchivedLeaf>,
    /// The events, in their order.
    pub events: Vec<EventRecord>,
    /// The nodes of the tree whose last leaf is in this part.
    pub nodes: Vec<(Subtree, TreeHash)>,
}

/// What is left of an archived event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedLeaf {
    /// The event's place in the log.
    pub sequence: u64,
    /// The hash of its leaf.
    pub leaf_hash: Vec<u8>,
}

/// An event with what is looked up in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// Its place in the log.
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
    /// The hash of its leaf.
    pub leaf_hash: Vec<u8>,
    /// The request that it says was accepted, if that is what it says and if it is there.
    pub request: Option<RequestRecord>,
}

/// A request with its later events.
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
    /// The column: JSON text.
    pub warnings: String,
    /// Its fingerprint.
    pub fingerprint: Vec<u8>,
    /// The fingerprint that its document has.
    pub document: Fingerprint,
    /// The place of the event by which it was accepted, as the request says.
    pub audit_sequence: u64,
    /// The hash of the leaf of that event, as the request says.
    pub audit_leaf_hash: Vec<u8>,
    /// The hash of the archived leaf that stands at its `audit_sequence`.
    pub archived_leaf: Option<Vec<u8>>,
    /// The events about it that are not archived, without the one by which it was accepted: their places and texts, in the
    /// order of the log.
    pub events: Vec<(u64, String)>,
}

impl RequestRecord {
    /// The values that its acceptance has the digest of.
    fn indexed(&self) -> IndexedValues<'_> {
        IndexedValues {
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
    /// How many there are on it.
    pub requests: u64,
    /// The last one; `None` if there is none.
    pub last: Option<MassRequestId>,
    /// Those of which no event at the place that they name tells that they were accepted.
    pub unaccepted: Vec<RequestRecord>,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// Its id.
    pub id: UserId,
    /// The column.
    pub roles: BTreeSet<String>,
    /// Whether it is disabled.
    pub disabled: bool,
    /// The column, as text.
    pub created_at: String,
    /// The digest of the password's hash.
    pub credentials: Fingerprint,
}

/// The accounts of a tenant at an instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserRecords {
    /// The accounts.
    pub users: Vec<UserRecord>,
    /// The events after the part of the log that is known, as far as they can tell of accounts: their places and texts, in
    /// the order of the log.
    pub events: Vec<(u64, String)>,
}

/// Reads what is stored of a log as it is stored. Each call reads at one instant.
#[async_trait]
pub trait LiveStore: AuditStore {
    /// Where the log ends.
    async fn extent(&self, tenant: &TenantId) -> Result<Extent, PortError>;

    /// What is stored of the events after a place, up to `count` places further.
    async fn part(&self, tenant: &TenantId, after: u64, count: u64) -> Result<Part, PortError>;

    /// The next `limit` requests in the order of their ids.
    async fn requests(
        &self,
        tenant: &TenantId,
        after: Option<MassRequestId>,
        limit: u64,
    ) -> Result<RequestPage, PortError>;

    /// The accounts, and the events about accounts after a place.
    async fn users(&self, tenant: &TenantId, after: u64) -> Result<UserRecords, PortError>;
}

/// Verifies a tenant's log as far as it goes when this begins. With keys, each checkpoint has to be signed by one of them;
/// the log has to go on from the `earlier` checkpoints, which are signed notes. `progress` is told of the number of events
/// of every part that was verified.
///
/// Of archived events their leaves alone are there: what they say is verified in their export.
///
/// # Errors
/// [`VerifyLiveError`], which tells the first thing that is wrong.
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
    while let Some(due) = checker.due() {
        while checker.checkpoints_before(due.end) {
            let after = checker.last_checkpoint();
            checker.give_checkpoints(store.checkpoints(tenant, after, checker::CHECKPOINTS).await?)?;
        }
        let count = due.end - due.start;
        checker.check(store.part(tenant, due.start, count).await?)?;
        progress(count);
    }
    checker.check_end()?;
    if let Some(latest) = store.latest_checkpoint(tenant).await? {
        // It may be younger than what was verified here, but not than the log.
        checker.check_latest(latest.size, store.extent(tenant).await?.size)?;
    }
    checker.check_users(&store.users(tenant, checker.size()).await?)?;
    let mut after = None;
    loop {
        let page = store.requests(tenant, after, PAGE).await?;
        let Some(last) = page.last else { break };
        after = Some(last);
        checker.check_requests(&page)?;
    }
    Ok(checker.report())
}
