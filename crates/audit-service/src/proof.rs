//! Merkle proofs for holders of a checkpoint: inclusion of an event, and consistency of a log.

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::tree::{TreeHash, verify_inclusion};
use mass_domain::port::PortError;

use crate::checkpoint::log_tampering;
use crate::{AuditService, BrokenTrail, CheckpointError, Leaf, SignedCheckpoint};

/// The reasons for which no proof is returned.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The log has no such event.
    #[error("no such event")]
    NotFound,
    /// The log is shorter.
    #[error("the log has {size} events")]
    BeyondTheEnd {
        /// The number of events.
        size: u64,
    },
    /// The log has been tampered with.
    #[error(transparent)]
    Broken(#[from] BrokenTrail),
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl From<CheckpointError> for ProofError {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Forbidden(error) => Self::Forbidden(error),
            CheckpointError::Broken(error) => Self::Broken(error),
            CheckpointError::Store(error) => Self::Store(error),
        }
    }
}

/// A proof that an event is included in a log with a signed checkpoint (RFC 9162, section 2.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// The event's leaf.
    pub leaf: Leaf,
    /// The sibling hashes on the path from the leaf to the root.
    pub hashes: Vec<TreeHash>,
    /// The checkpoint.
    pub signed: SignedCheckpoint,
}

impl AuditService {
    /// Proves that an event is included in the log.
    ///
    /// # Errors
    /// [`ProofError`], but never [`ProofError::BeyondTheEnd`].
    pub async fn inclusion(&self, principal: &Principal, sequence: u64) -> Result<InclusionProof, ProofError> {
        principal.require(Permission::AuditRead)?;
        self.prove(principal, sequence).await
    }

    /// Proves that an event is included in the log, without checking a permission.
    pub(crate) async fn prove(&self, principal: &Principal, sequence: u64) -> Result<InclusionProof, ProofError> {
        let tenant = principal.tenant();
        let Some(event) = i64::try_from(sequence).ok().filter(|event| *event > 0) else {
            return Err(ProofError::NotFound);
        };
        if sequence > self.store.head(tenant).await?.size() {
            return Err(ProofError::NotFound);
        }
        let signed = self.checkpoint_over(tenant, sequence).await?;
        let size = signed.checkpoint.size;
        let found = self.store.inclusion(tenant, event, size).await?;
        let (leaf, hashes) = found.ok_or_else(|| log_tampering(tenant, BrokenTrail::Incomplete { present: size }))?;
        if !verify_inclusion(sequence - 1, size, leaf.leaf_hash, &hashes, signed.checkpoint.root) {
            return Err(log_tampering(tenant, BrokenTrail::Rewritten { signed: size }).into());
        }
        Ok(InclusionProof { leaf, hashes, signed })
    }

    /// Proves that the log of `to` events extends the log of `from` events (RFC 9162, section 2.1.4); `from` is not
    /// above `to`.
    ///
    /// # Errors
    /// [`ProofError`], but never [`ProofError::NotFound`].
    pub async fn consistency(&self, principal: &Principal, from: u64, to: u64) -> Result<Vec<TreeHash>, ProofError> {
        principal.require(Permission::AuditRead)?;
        let size = self.store.head(principal.tenant()).await?.size();
        if from > to || to > size {
            return Err(ProofError::BeyondTheEnd { size });
        }
        let proof = self.store.consistency(principal.tenant(), from, to).await?;
        Ok(proof.ok_or_else(|| log_tampering(principal.tenant(), BrokenTrail::Incomplete { present: size }))?)
    }
}
