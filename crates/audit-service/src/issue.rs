//! Issuing of receipts, which [`receipt`](crate::receipt) verifies.

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::{Event, UnreadableEvent};
use mass_domain::ids::MassRequestId;
use mass_domain::port::PortError;

use crate::receipt::{Inclusion, Receipt};
use crate::{AuditService, BrokenTrail, ProofError};

/// The reasons for which no receipt is issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueReceiptError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// There is no such request, or its acceptance event has been archived and is only in that export.
    #[error("the acceptance event of the request is not in the log")]
    NotInTheLog,
    /// The event cannot be parsed or is incomplete.
    #[error(transparent)]
    Unreadable(#[from] UnreadableEvent),
    /// The log has been tampered with.
    #[error(transparent)]
    Broken(#[from] BrokenTrail),
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
}

impl From<ProofError> for IssueReceiptError {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Forbidden(error) => Self::Forbidden(error),
            ProofError::NotFound | ProofError::BeyondTheEnd { .. } => Self::NotInTheLog,
            ProofError::Broken(error) => Self::Broken(error),
            ProofError::Store(error) => Self::Store(error),
        }
    }
}

impl AuditService {
    /// Issues the receipt of a request: the proof that it was accepted unchanged, under the last checkpoint that covers
    /// the acceptance.
    ///
    /// # Errors
    /// [`IssueReceiptError`].
    pub async fn receipt(&self, principal: &Principal, id: MassRequestId) -> Result<Receipt, IssueReceiptError> {
        principal.require(Permission::MassRead)?;
        let entry = self.store.acceptance(principal.tenant(), id).await?.ok_or(IssueReceiptError::NotInTheLog)?;
        let Event { event, .. } = Event::read(&entry.event)?;
        let proof = self.prove(principal, u64::try_from(entry.sequence).unwrap_or(0)).await?;
        Ok(Receipt {
            request_id: id.to_string(),
            tenant_id: event.tenant_id.to_string(),
            contract: event.contract.map(|contract| contract.to_string()).unwrap_or_default(),
            fingerprint: event.output.map(|fingerprint| fingerprint.to_string()).unwrap_or_default(),
            event: entry.event,
            leaf_index: u64::try_from(entry.sequence - 1).unwrap_or(0),
            leaf_hash: entry.leaf_hash.to_string(),
            inclusion: Inclusion {
                tree_size: proof.signed.checkpoint.size,
                hashes: proof.hashes.iter().map(ToString::to_string).collect(),
            },
            checkpoint: proof.signed.note,
        })
    }
}
