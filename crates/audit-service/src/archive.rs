//! Moving the oldest events out of the database, into an export.
//!
//! Three steps, so that nothing leaves the database before the export is known to be good: [`AuditService::plan_archive`]
//! says what goes and signs it, the export of the [plan](ArchivePlan) is written and verified by the caller, and
//! [`AuditService::archive`] removes what is in it. What happens between them changes none of it, and each can be
//! repeated.

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::tree::TreeHash;
use mass_domain::audit::{Action, Event, Object, UnreadableEvent};
use mass_domain::port::PortError;
use mass_domain::time::Timestamp;
use mass_domain::trace::Origin;

use crate::export_stream::Export;
use crate::{AuditService, BrokenTrail, CheckpointError, SignedCheckpoint};

/// How many events are looked at in one go.
const CHUNK: usize = 500;

/// Why nothing is archived.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// No event that is not archived yet is old enough.
    #[error("no event is that old, or all that are have been archived")]
    Nothing,
    /// The export does not hold the events that are the next ones to archive.
    #[error("the export does not begin where the last archive ended, or is not an export of this log")]
    NotTheNext,
    /// An event cannot be read.
    #[error(transparent)]
    Unreadable(#[from] UnreadableEvent),
    /// The log has been manipulated.
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

/// What is about to be archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivePlan {
    /// The first event that goes.
    pub first: u64,
    /// The log until the last event that goes.
    pub signed: SignedCheckpoint,
}

/// An export that has been written, and verified against the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenArchive {
    /// Its first event.
    pub first: u64,
    /// Its last event.
    pub last: u64,
    /// The root of the tree until its last event.
    pub root: TreeHash,
    /// The SHA-256 of the file, in lower-case hexadecimal digits.
    pub sha256: String,
}

impl AuditService {
    /// Says which events are to be archived: those that are not yet, up to the first one that was written at the instant
    /// or later.
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

    /// The export of what is about to be archived.
    ///
    /// # Errors
    /// [`ArchiveError::Forbidden`] or [`ArchiveError::Store`].
    pub async fn archive_export(&self, principal: &Principal, plan: &ArchivePlan) -> Result<Export, ArchiveError> {
        require(principal)?;
        Ok(self.export_of(principal.tenant(), plan.first - 1, plan.signed.checkpoint.size).await?)
    }

    /// Removes the events of an export from the log, of which it keeps the hashes, and writes the event that tells of
    /// it.
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

/// Who reads the audit trail may export it, but removing anything from the database takes more.
fn require(principal: &Principal) -> Result<(), Forbidden> {
    principal.require(Permission::AuditRead)?;
    principal.require(Permission::SettingsManage)
}
