//! Signed checkpoints: what the log was at an instant, for whoever keeps a copy elsewhere.

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::note::{Checkpoint, NoteKey, SignedNote};
use mass_domain::audit::tree::{Frontier, TreeHash, verify_consistency};
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;

use crate::signer::{OpenCheckpointError, open_checkpoint};
use crate::{AuditService, StoredCheckpoint};

/// The log is not what was signed: somebody has changed it. Nothing is signed on top of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenTrail {
    /// Signed events are gone from the end.
    #[error("the log has {present} events, but a checkpoint over {signed} was signed")]
    Cut {
        /// How many the last checkpoint covers.
        signed: u64,
        /// How many there are.
        present: u64,
    },
    /// Signed events are not as they were.
    #[error("the first {signed} events are not those over which a checkpoint was signed")]
    Rewritten {
        /// How many the last checkpoint covers.
        signed: u64,
    },
    /// Events are gone from within, or what is known of them.
    #[error("some of the first {present} events, or what the tree keeps of them, are missing")]
    Holed {
        /// How many there should be.
        present: u64,
    },
    /// The end of the log does not belong to what comes before it.
    #[error("the tree's end is not the one of its {present} events")]
    Torn {
        /// How many there are.
        present: u64,
    },
    /// The last checkpoint that was kept cannot be read, or is not signed as it claims.
    #[error("the checkpoint over {signed} events is not the one that was signed")]
    Forged {
        /// How many it is kept for.
        signed: u64,
    },
}

/// Why no checkpoint is given.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The log has been manipulated.
    #[error(transparent)]
    Broken(#[from] BrokenTrail),
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// A checkpoint with its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The signed note.
    pub note: String,
}

impl AuditService {
    /// The public half of the key that checkpoints are signed with.
    #[must_use]
    pub const fn key(&self) -> &NoteKey {
        self.signer.key()
    }

    /// A checkpoint over all events that there are now: the last one, or else a new one, which is kept.
    ///
    /// # Errors
    /// [`CheckpointError`]. A broken log is logged loudly.
    pub async fn checkpoint(&self, principal: &Principal) -> Result<SignedCheckpoint, CheckpointError> {
        principal.require(Permission::AuditRead)?;
        self.sign_head(principal.tenant()).await
    }

    /// Signs the log of every tenant where it has grown, for copies to be kept elsewhere. What fails for one tenant is
    /// logged and does not keep the others waiting.
    ///
    /// # Errors
    /// When the tenants cannot be listed.
    pub async fn sign_all(&self) -> Result<(), PortError> {
        for tenant in self.store.tenants().await? {
            if let Err(CheckpointError::Store(error)) = self.sign_growth(&tenant).await {
                tracing::warn!(%tenant, error = format!("{error:#}"), "the audit trail cannot be signed now");
            }
        }
        Ok(())
    }

    async fn sign_growth(&self, tenant: &TenantId) -> Result<(), CheckpointError> {
        let last = self.last(tenant).await?;
        let head = self.store.head(tenant).await?;
        let is_signed = last.map_or(head.size() == 0, |last| last.is_of(&head));
        if !is_signed {
            self.sign_head(tenant).await?;
        }
        Ok(())
    }

    /// The last checkpoint if it covers so many events, otherwise one over all.
    pub(crate) async fn checkpoint_over(
        &self,
        tenant: &TenantId,
        events: u64,
    ) -> Result<SignedCheckpoint, CheckpointError> {
        match self.last(tenant).await? {
            Some(last) if last.is_ours && last.signed.checkpoint.size >= events => {
                let (signed, present) = (last.signed.checkpoint.size, self.store.head(tenant).await?.size());
                if signed > present {
                    return Err(alarm(tenant, BrokenTrail::Cut { signed, present }).into());
                }
                Ok(last.signed)
            }
            Some(_) | None => self.sign_head(tenant).await,
        }
    }

    pub(crate) async fn sign_head(&self, tenant: &TenantId) -> Result<SignedCheckpoint, CheckpointError> {
        // The checkpoint first: the log may grow before it is read, but never shrink.
        let last = self.last(tenant).await?;
        let head = self.store.head(tenant).await?;
        if let Some(last) = last.as_ref().filter(|last| last.is_ours && last.is_of(&head)) {
            return Ok(last.signed.clone());
        }
        self.examine(tenant, last.as_ref(), &head).await?;
        self.sign(tenant, head.size(), head.root()).await
    }

    /// Signs the log as it was after its first `size` events.
    pub(crate) async fn sign_past(&self, tenant: &TenantId, size: u64) -> Result<SignedCheckpoint, CheckpointError> {
        let whole = self.sign_head(tenant).await?;
        if size == whole.checkpoint.size {
            return Ok(whole);
        }
        let (root, until) = (self.frontier_at(tenant, size).await?.root(), whole.checkpoint.size);
        let proof = self.store.consistency(tenant, size, until).await?;
        let proof = proof.ok_or_else(|| alarm(tenant, BrokenTrail::Holed { present: until }))?;
        if !verify_consistency(size, until, &proof, root, whole.checkpoint.root) {
            return Err(alarm(tenant, BrokenTrail::Rewritten { signed: until }).into());
        }
        self.sign(tenant, size, root).await
    }

    /// The checkpoint that was kept last.
    async fn last(&self, tenant: &TenantId) -> Result<Option<Last>, CheckpointError> {
        let Some(StoredCheckpoint { size, note, .. }) = self.store.latest_checkpoint(tenant).await? else {
            return Ok(None);
        };
        let forged = || alarm(tenant, BrokenTrail::Forged { signed: size });
        let (checkpoint, is_ours) = match open_checkpoint(&note, self.key()) {
            Ok(checkpoint) => (checkpoint, true),
            // One of the key before this one is taken at its word: only who has that key's public half can check it.
            Err(OpenCheckpointError::NotSigned) => (unchecked(&note).ok_or_else(forged)?, false),
            Err(_) => return Err(forged().into()),
        };
        if checkpoint.size != size {
            return Err(forged().into());
        }
        Ok(Some(Last { signed: SignedCheckpoint { checkpoint, note }, is_ours }))
    }

    /// Makes sure that the log only grew since it was signed last.
    async fn examine(&self, tenant: &TenantId, last: Option<&Last>, head: &Frontier) -> Result<(), CheckpointError> {
        let present = head.size();
        if let Some(last) = last {
            let Checkpoint { size: signed, root, .. } = last.signed.checkpoint;
            if signed > present {
                return Err(alarm(tenant, BrokenTrail::Cut { signed, present }).into());
            }
            if self.frontier_at(tenant, signed).await?.root() != root {
                return Err(alarm(tenant, BrokenTrail::Rewritten { signed }).into());
            }
        }
        if self.frontier_at(tenant, present).await? != *head {
            return Err(alarm(tenant, BrokenTrail::Torn { present }).into());
        }
        Ok(())
    }

    /// The frontier of the first events, which have to be there.
    pub(crate) async fn frontier_at(&self, tenant: &TenantId, size: u64) -> Result<Frontier, CheckpointError> {
        let frontier = self.store.frontier_at(tenant, size).await?;
        Ok(frontier.ok_or_else(|| alarm(tenant, BrokenTrail::Holed { present: size }))?)
    }

    async fn sign(&self, tenant: &TenantId, size: u64, root: TreeHash) -> Result<SignedCheckpoint, CheckpointError> {
        let checkpoint = Checkpoint { origin: self.key().name().origin(tenant), size, root };
        let note = self.signer.sign(&checkpoint);
        if size > 0 {
            let stored = StoredCheckpoint { size, at: self.clock.now(), note: note.clone() };
            self.store.keep_checkpoint(tenant, stored).await?;
            // With the note, so that whoever collects log lines has a copy that the database's owner cannot reach.
            tracing::info!(%tenant, size, note, "the audit trail is signed");
        }
        Ok(SignedCheckpoint { checkpoint, note })
    }
}

/// The checkpoint that was kept last.
struct Last {
    signed: SignedCheckpoint,
    /// Whether the present key signed it.
    is_ours: bool,
}

impl Last {
    fn is_of(&self, head: &Frontier) -> bool {
        (self.signed.checkpoint.size, self.signed.checkpoint.root) == (head.size(), head.root())
    }
}

/// What a note says, whoever signed it.
fn unchecked(note: &str) -> Option<Checkpoint> {
    note.parse::<SignedNote>().ok()?.text.parse().ok()
}

/// Tells of a manipulated log.
pub(crate) fn alarm(tenant: &TenantId, broken: BrokenTrail) -> BrokenTrail {
    tracing::error!(
        %tenant,
        finding = %broken,
        "THE AUDIT TRAIL IS NOT AS IT WAS SIGNED: it may have been manipulated; nothing more is signed"
    );
    broken
}
