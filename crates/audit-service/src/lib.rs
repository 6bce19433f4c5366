//! The audit trail: record, read, sign, prove, export, archive, verify.
//!
//! Belongs here: the use cases with their permissions, errors and ports, and verification, which needs no ports. A use
//! case takes the [`Principal`](mass_domain::access::Principal) first and checks its permission before anything else.
//! Does not belong here: the tree and the forms of events and notes (`mass_domain::audit`), HTTP, SQL.

mod archive;
mod checkpoint;
pub mod export;
mod export_stream;
mod issue;
mod key;
pub mod live;
mod proof;
mod read;
pub mod receipt;
mod record;
mod security_events;
pub mod signer;
mod store;

use std::sync::Arc;

use mass_domain::time::Clock;

pub use archive::{ArchiveError, ArchivePlan, WrittenArchive};
pub use checkpoint::{BrokenTrail, CheckpointError, SignedCheckpoint, SignedState};
pub use export_stream::{Export, ExportError};
pub use issue::IssueReceiptError;
pub use key::{InvalidKey, write_seed};
pub use proof::{InclusionProof, ProofError};
pub use read::{EventQuery, ReadError};
pub use record::{AccessRefusal, CredentialRefusal, record_backup, record_restore};
pub use security_events::{SecurityEvents, SecurityEventsError};
pub use signer::CheckpointSigner;
pub use store::{AuditStore, Entry, EventFilter, Leaf, StoredCheckpoint};

/// The use cases on the audit trail.
pub struct AuditService {
    store: Arc<dyn AuditStore>,
    signer: CheckpointSigner,
    clock: Arc<dyn Clock>,
}

impl AuditService {
    /// Creates the service on top of a store.
    #[must_use]
    pub fn new(store: Arc<dyn AuditStore>, signer: CheckpointSigner, clock: Arc<dyn Clock>) -> Self {
        Self { store, signer, clock }
    }

    /// Returns the note by which the key of the audit trail signs a text of this program, such as that of a report. Anything
    /// that a caller chooses stays out of such a text.
    #[must_use]
    pub fn sign_text(&self, text: String) -> String {
        self.signer.sign_text(text)
    }
}
