//! Signed checkpoints: the state of a log at an instant, for copies outside the database.

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::note::{Checkpoint, NoteKey, SignedNote};
use mass_domain::audit::tree::{Frontier, TreeHash, verify_consistency};
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;

use crate::signer::{OpenCheckpointError, open_checkpoint};
use crate::{AuditService, StoredCheckpoint};

/// The ways in which a log contradicts its last checkpoint: somebody has tampered with it, so that nothing new is
/// signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenTrail {
    /// Signed events are missing at the end.
    #[error("the log has {present} events, but a checkpoint over {signed} was signed")]
    Cut {
        /// The number of events that the last checkpoint covers.
        signed: u64,
        /// The number of events in the log.
        present: u64,
    },
    /// Signed events were changed.
    #[error("the first {signed} events are not those over which a checkpoint was signed")]
    Rewritten {
        /// The number of events that the last checkpoint covers.
        signed: u64,
    },
    /// Events, or nodes of the tree, are missing within the log.
    #[error("some of the first {present} events, or their nodes of the tree, are missing")]
    Incomplete {
        /// The number of events by the head.
        present: u64,
    },
    /// The last events do not match the tree before them.
    #[error("the head does not match the log's {present} events")]
    HeadMismatch {
        /// The number of events in the log.
        present: u64,
    },
    /// The stored checkpoint cannot be parsed, or its signature is wrong.
    #[error("the checkpoint over {signed} events is not the one that was signed")]
    Forged {
        /// The size under which it is stored.
        signed: u64,
    },
}

/// The reasons for which no checkpoint is returned.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The log has been tampered with.
    #[error(transparent)]
    Broken(#[from] BrokenTrail),
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// A checkpoint with its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// The signed statement.
    pub checkpoint: Checkpoint,
    /// The signed note.
    pub note: String,
}

/// A log beside its last checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedState {
    /// The number of events.
    pub events: u64,
    /// The number of events that the last checkpoint covers; 0 if there is none.
    pub signed: u64,
    /// False if another key than the present one signed the last checkpoint.
    pub is_ours: bool,
}

impl AuditService {
    /// Returns the public key of the checkpoints.
    #[must_use]
    pub const fn key(&self) -> &NoteKey {
        self.signer.key()
    }

    /// Returns a checkpoint over all current events: the last one if it covers them, or else a new one, which is
    /// stored.
    ///
    /// # Errors
    /// [`CheckpointError`]. Tampering is also logged as an error.
    pub async fn checkpoint(&self, principal: &Principal) -> Result<SignedCheckpoint, CheckpointError> {
        principal.require(Permission::AuditRead)?;
        self.sign_head(principal.tenant()).await
    }

    /// Signs a checkpoint for each tenant whose log has grown since the last one, so that copies can be kept elsewhere.
    /// A failure for one tenant is logged and does not affect the others.
    ///
    /// # Errors
    /// [`PortError`] if the tenants cannot be listed.
    pub async fn sign_all(&self) -> Result<(), PortError> {
        for tenant in self.store.tenants().await? {
            if let Err(CheckpointError::Store(error)) = self.sign_growth(&tenant).await {
                tracing::warn!(%tenant, error = format!("{error:#}"), "the audit trail cannot be signed now");
            }
        }
        Ok(())
    }

    /// Checks that a log only grew since its last checkpoint, without signing anything.
    ///
    /// # Errors
    /// [`CheckpointError`]. Tampering is also logged as an error.
    pub async fn signed_state(&self, principal: &Principal) -> Result<SignedState, CheckpointError> {
        principal.require(Permission::AuditRead)?;
        let tenant = principal.tenant();
        let last = self.last(tenant).await?;
        let head = self.store.head(tenant).await?;
        self.examine(tenant, last.as_ref(), &head).await?;
        let signed = last.as_ref().map_or(0, |last| last.signed.checkpoint.size);
        Ok(SignedState { events: head.size(), signed, is_ours: last.is_none_or(|last| last.is_ours) })
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

    /// Returns the last checkpoint if it covers this many events, otherwise a new one over all events.
    pub(crate) async fn checkpoint_over(
        &self,
        tenant: &TenantId,
        events: u64,
    ) -> Result<SignedCheckpoint, CheckpointError> {
        match self.last(tenant).await? {
            Some(last) if last.is_ours && last.signed.checkpoint.size >= events => {
                let (signed, present) = (last.signed.checkpoint.size, self.store.head(tenant).await?.size());
                if signed > present {
                    return Err(log_tampering(tenant, BrokenTrail::Cut { signed, present }).into());
                }
                Ok(last.signed)
            }
            Some(_) | None => self.sign_head(tenant).await,
        }
    }

    pub(crate) async fn sign_head(&self, tenant: &TenantId) -> Result<SignedCheckpoint, CheckpointError> {
        // The checkpoint is read first: the log may grow before it is read, but never shrinks.
        let last = self.last(tenant).await?;
        let head = self.store.head(tenant).await?;
        if let Some(last) = last.as_ref().filter(|last| last.is_ours && last.is_of(&head)) {
            return Ok(last.signed.clone());
        }
        // What is signed has to be there for ever.
        let head = self.store.durable_head(tenant).await?;
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
        let proof = proof.ok_or_else(|| log_tampering(tenant, BrokenTrail::Incomplete { present: until }))?;
        if !verify_consistency(size, until, &proof, root, whole.checkpoint.root) {
            return Err(log_tampering(tenant, BrokenTrail::Rewritten { signed: until }).into());
        }
        self.sign(tenant, size, root).await
    }

    /// Reads the last stored checkpoint.
    async fn last(&self, tenant: &TenantId) -> Result<Option<LastCheckpoint>, CheckpointError> {
        let Some(StoredCheckpoint { size, note, .. }) = self.store.latest_checkpoint(tenant).await? else {
            return Ok(None);
        };
        let forged = || log_tampering(tenant, BrokenTrail::Forged { signed: size });
        let (checkpoint, is_ours) = match open_checkpoint(&note, self.key()) {
            Ok(checkpoint) => (checkpoint, true),
            // The note of an earlier key cannot be checked without that key's public half, and is accepted unchecked.
            Err(OpenCheckpointError::NotSigned) => (unchecked(&note).ok_or_else(forged)?, false),
            Err(_) => return Err(forged().into()),
        };
        if checkpoint.size != size {
            return Err(forged().into());
        }
        Ok(Some(LastCheckpoint { signed: SignedCheckpoint { checkpoint, note }, is_ours }))
    }

    /// Checks that the log only grew since the last checkpoint.
    async fn examine(
        &self,
        tenant: &TenantId,
        last: Option<&LastCheckpoint>,
        head: &Frontier,
    ) -> Result<(), CheckpointError> {
        let present = head.size();
        if let Some(last) = last {
            let Checkpoint { size: signed, root, .. } = last.signed.checkpoint;
            if signed > present {
                return Err(log_tampering(tenant, BrokenTrail::Cut { signed, present }).into());
            }
            if self.frontier_at(tenant, signed).await?.root() != root {
                return Err(log_tampering(tenant, BrokenTrail::Rewritten { signed }).into());
            }
        }
        if self.frontier_at(tenant, present).await? != *head {
            return Err(log_tampering(tenant, BrokenTrail::HeadMismatch { present }).into());
        }
        Ok(())
    }

    /// Returns the frontier of the first events, or an error if events are missing.
    pub(crate) async fn frontier_at(&self, tenant: &TenantId, size: u64) -> Result<Frontier, CheckpointError> {
        let frontier = self.store.frontier_at(tenant, size).await?;
        Ok(frontier.ok_or_else(|| log_tampering(tenant, BrokenTrail::Incomplete { present: size }))?)
    }

    async fn sign(&self, tenant: &TenantId, size: u64, root: TreeHash) -> Result<SignedCheckpoint, CheckpointError> {
        let checkpoint = Checkpoint { origin: self.key().name().origin(tenant), size, root };
        let note = self.signer.sign(&checkpoint);
        if size > 0 {
            let stored = StoredCheckpoint { size, at: self.clock.now(), note: note.clone() };
            self.store.keep_checkpoint(tenant, stored).await?;
            // The note is logged, so that log collectors hold a copy beyond the reach of the database's owner.
            tracing::info!(%tenant, size, note, "the audit trail is signed");
        }
        Ok(SignedCheckpoint { checkpoint, note })
    }
}

/// The last stored checkpoint.
struct LastCheckpoint {
    signed: SignedCheckpoint,
    /// True if the current key signed it.
    is_ours: bool,
}

impl LastCheckpoint {
    fn is_of(&self, head: &Frontier) -> bool {
        (self.signed.checkpoint.size, self.signed.checkpoint.root) == (head.size(), head.root())
    }
}

/// Parses the checkpoint of a note without checking its signature.
fn unchecked(note: &str) -> Option<Checkpoint> {
    note.parse::<SignedNote>().ok()?.text.parse().ok()
}

/// Logs tampering as an error.
pub(crate) fn log_tampering(tenant: &TenantId, broken: BrokenTrail) -> BrokenTrail {
    tracing::error!(
        %tenant,
        finding = %broken,
        "THE AUDIT TRAIL IS NOT AS IT WAS SIGNED: it may have been manipulated; nothing more is signed"
    );
    broken
}
