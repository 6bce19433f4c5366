//! Archiving: moves the oldest events from the database to an export file.
//!
//! Archiving takes three steps, so that nothing leaves the database before the export is verified:
//! [`AuditService::plan_archive`] selects the events and signs a checkpoint, the caller writes and verifies the export
//! of the [plan](ArchivePlan), and [`AuditService::archive`] removes the exported events. Concurrent writes do not
//! affect the plan, and each step can be repeated.

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::tree::TreeHash;
use mass_domain::audit::{Action, Event, Object, UnreadableEvent};
use mass_domain::port::PortError;
use mass_domain::time::Timestamp;
use mass_domain::trace::Origin;

use crate::export_stream::Export;
use crate::{AuditService, BrokenTrail, CheckpointError, SignedCheckpoint};

/// The number of events that are read at a time.
const CHUNK: usize = 500;

/// The reasons for which nothing is archived.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// No event before the instant is left to archive.
    #[error("no event before that time is left to archive")]
    Nothing,
    /// The export does not begin with the next event to archive.
    #[error("the export does not begin where the last archive ended, or is not an export of this log")]
    NotTheNext,
    /// An event cannot be read.
    #[error(transparent)]
    Unreadable(#[from] UnreadableEvent),
    /// The log has been tampered with.
    #[error(transparent)]
    Broken(#[from] BrokenTrail),
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl From<CheckpointError> for ArchiveError {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Forbidden(error) => Self::Forbidden(error),
            CheckpointError::Broken(error) => Self::Broken(error),
            CheckpointError::Store(error) => Self::Store(error),
        }
    }
}

/// The events to archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivePlan {
    /// The sequence of the first one.
    pub first: u64,
    /// The checkpoint over the log up to the last one.
    pub signed: SignedCheckpoint,
}

/// An export that was written, and verified with the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenArchive {
    /// The sequence of its first event.
    pub first: u64,
    /// The sequence of its last event.
    pub last: u64,
    /// The root of the tree up to its last event.
    pub root: TreeHash,
    /// The SHA-256 of the file, in lower-case hexadecimal digits.
    pub sha256: String,
}

impl AuditService {
    /// Selects the events to archive: the oldest ones that are not archived yet, up to the first that is not older than
    /// the instant.
    ///
    /// # Errors
    /// [`ArchiveError`], but never [`ArchiveError::NotTheNext`].
    pub async fn plan_archive(&self, principal: &Principal, before: Timestamp) -> Result<ArchivePlan, ArchiveError> {
        require(principal)?;
        let archived = self.store.archived(principal.tenant()).await?;
        let last = self.last_before(principal, archived, before).await?;
        if last == archived {
            return Err(ArchiveError::Nothing);
        }
        let signed = self.sign_past(principal.tenant(), last).await?;
        Ok(ArchivePlan { first: archived + 1, signed })
    }

    async fn last_before(&self, principal: &Principal, archived: u64, before: Timestamp) -> Result<u64, ArchiveError> {
        let mut last = archived;
        loop {
            let after = i64::try_from(last).unwrap_or(i64::MAX);
            let entries = self.store.entries(principal.tenant(), after, CHUNK).await?;
            for entry in &entries {
                if Event::read(&entry.event)?.event.at >= before {
                    return Ok(last);
                }
                last = u64::try_from(entry.sequence).unwrap_or(last);
            }
            if entries.is_empty() {
                return Ok(last);
            }
        }
    }

    /// Returns the export of a plan.
    ///
    /// # Errors
    /// [`ArchiveError::Forbidden`] or [`ArchiveError::Store`].
    pub async fn archive_export(&self, principal: &Principal, plan: &ArchivePlan) -> Result<Export, ArchiveError> {
        require(principal)?;
        Ok(self.export_of(principal.tenant(), plan.first - 1, plan.signed.checkpoint.size).await?)
    }

    /// Removes the events of an export from the log, keeps their leaf hashes, and appends the event of the archiving.
    ///
    /// # Errors
    /// [`ArchiveError`]; nothing is removed then.
    pub async fn archive(
        &self,
        principal: &Principal,
        written: &WrittenArchive,
        origin: &Origin,
    ) -> Result<(), ArchiveError> {
        require(principal)?;
        let tenant = principal.tenant();
        let WrittenArchive { first, last, root, sha256 } = written;
        if last < first || *last > self.store.head(tenant).await?.size() {
            return Err(ArchiveError::NotTheNext);
        }
        if self.frontier_at(tenant, *last).await?.root() != *root {
            return Err(ArchiveError::NotTheNext);
        }
        let act = self.act(principal.actor(), origin);
        let event = act
            .done(tenant, Action::AuditArchived, Object::AuditTrail)
            .with("first", *first)
            .with("last", *last)
            .with("root", root.to_string())
            .with("sha256", sha256.as_str());
        let [first, last] = [first, last].map(|place| i64::try_from(*place).unwrap_or(i64::MAX));
        let archived = self.store.archive(tenant, first..=last, event).await?;
        archived.then_some(()).ok_or(ArchiveError::NotTheNext)
    }
}

/// Requires the permission to manage settings as well, because archiving removes events from the database.
fn require(principal: &Principal) -> Result<(), Forbidden> {
    principal.require(Permission::AuditRead)?;
    principal.require(Permission::SettingsManage)
}
