//! Receipts of MASS requests: proofs, verifiable without the server, that a request was accepted unchanged and is in
//! the log.

use mass_domain::audit::note::NoteKey;
use mass_domain::audit::tree::{TreeHash, verify_inclusion};
use mass_domain::audit::{Action, Event, Object, Outcome, UnreadableEvent};
use mass_domain::canonical::{self, Fingerprint};
use mass_domain::json;
use serde::{Deserialize, Serialize};

use crate::signer::{OpenCheckpointError, open_checkpoint};

/// A receipt as it is issued. Its content is untrusted until [`verify_receipt`] succeeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The id of the request.
    pub request_id: String,
    /// The tenant of the request.
    pub tenant_id: String,
    /// The contract of the document.
    pub contract: String,
    /// The fingerprint of its normalised document: `sha256:` and hexadecimal digits.
    pub fingerprint: String,
    /// The canonical text of the acceptance event.
    pub event: String,
    /// The index of the event in its tenant's tree, from 0.
    pub leaf_index: u64,
    /// The leaf hash of the event, in hexadecimal digits.
    pub leaf_hash: String,
    /// The proof that the leaf is in the tree of the checkpoint.
    pub inclusion: Inclusion,
    /// The signed note.
    pub checkpoint: String,
}

/// An inclusion proof (RFC 9162, section 2.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inclusion {
    /// The number of leaves of the tree.
    pub tree_size: u64,
    /// The sibling hashes on the path from the leaf to the root, in hexadecimal digits.
    pub hashes: Vec<String>,
}

/// The facts that a verified receipt proves.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// The acceptance event of the request.
    pub event: Event,
    /// The fingerprint of the normalised document.
    pub fingerprint: Fingerprint,
    /// The number of events that the checkpoint covers.
    pub log_size: u64,
}

/// The reasons for which a receipt proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// The event cannot be parsed.
    #[error(transparent)]
    UnreadableEvent(#[from] UnreadableEvent),
    /// The event is not the acceptance of a request.
    #[error("the event is not the acceptance of a request")]
    NotAnAcceptance,
    /// The receipt contradicts its event.
    #[error("the receipt and its event differ in \"{member}\"")]
    Differs {
        /// The receipt's member.
        member: &'static str,
    },
    /// The hash does not match the event.
    #[error("the event was changed: its text does not have the hash of the leaf")]
    EventChanged,
    /// The checkpoint cannot be verified.
    #[error("the checkpoint cannot be verified: {0}")]
    Checkpoint(#[from] OpenCheckpointError),
    /// The checkpoint belongs to another log.
    #[error("the checkpoint belongs to another log: {origin:?}")]
    OtherLog {
        /// The origin line.
        origin: String,
    },
    /// The event is not in the tree of the checkpoint.
    #[error("the proof does not show that the event is in the log that was signed")]
    NotIncluded,
}

/// Verifies that a request was accepted as the receipt says, and that the acceptance is in the log signed by the key.
///
/// # Errors
/// [`ReceiptError`].
pub fn verify_receipt(receipt: &Receipt, key: &NoteKey) -> Result<Verified, ReceiptError> {
    let event = Event::read(&receipt.event)?;
    let fingerprint = accepted_as(receipt, &event)?;
    let leaf = TreeHash::of_leaf(receipt.event.as_bytes());
    if receipt.leaf_hash.parse() != Ok(leaf) {
        return Err(ReceiptError::EventChanged);
    }
    let checkpoint = open_checkpoint(&receipt.checkpoint, key)?;
    if checkpoint.origin != key.name().origin(&event.event.tenant_id) {
        return Err(ReceiptError::OtherLog { origin: checkpoint.origin });
    }
    let Inclusion { tree_size, hashes } = &receipt.inclusion;
    if *tree_size != checkpoint.size {
        return Err(ReceiptError::NotIncluded);
    }
    let hashes: Result<Vec<TreeHash>, _> = hashes.iter().map(|hash| hash.parse()).collect();
    let hashes = hashes.map_err(|_| ReceiptError::NotIncluded)?;
    if verify_inclusion(receipt.leaf_index, checkpoint.size, leaf, &hashes, checkpoint.root) {
        Ok(Verified { event, fingerprint, log_size: checkpoint.size })
    } else {
        Err(ReceiptError::NotIncluded)
    }
}

/// Compares the members of a receipt with its event.
fn accepted_as(receipt: &Receipt, event: &Event) -> Result<Fingerprint, ReceiptError> {
    let Event { sequence, event, .. } = event;
    let (Action::Accepted, Outcome::Success, Object::MassRequest(id), Some(contract), Some(fingerprint)) =
        (event.action, event.outcome, &event.object, event.contract, event.output)
    else {
        return Err(ReceiptError::NotAnAcceptance);
    };
    let leaf_index = u64::try_from(*sequence).ok().and_then(|sequence| sequence.checked_sub(1));
    for (member, agrees) in [
        ("request_id", receipt.request_id == id.to_string()),
        ("tenant_id", receipt.tenant_id == event.tenant_id.as_str()),
        ("contract", receipt.contract == contract.to_string()),
        ("fingerprint", receipt.fingerprint == fingerprint.to_string()),
        ("leaf_index", Some(receipt.leaf_index) == leaf_index),
    ] {
        if !agrees {
            return Err(ReceiptError::Differs { member });
        }
    }
    Ok(fingerprint)
}

/// The form of a document that matches a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentForm {
    /// Normalised, as stored and returned.
    Stored,
    /// As sent, before normalisation.
    Sent,
}

/// The reasons for which a document does not match a receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The text is not JSON.
    #[error("the document is not JSON: {0}")]
    Unreadable(#[from] json::SyntaxError),
    /// Another document.
    #[error("the document has the fingerprint {found}, which is not that of the receipt")]
    Other {
        /// The fingerprint of its canonical form.
        found: Fingerprint,
    },
}

/// Verifies that a document is the one of a verified receipt, by the fingerprint of its canonical form (RFC 8785):
/// white space and the order of members do not matter.
///
/// # Errors
/// [`DocumentError`].
pub fn verify_document(verified: &Verified, document: &[u8]) -> Result<DocumentForm, DocumentError> {
    let found = Fingerprint::of(&canonical::write(&json::parse(document)?));
    if found == verified.fingerprint {
        Ok(DocumentForm::Stored)
    } else if Some(found) == verified.event.event.input {
        Ok(DocumentForm::Sent)
    } else {
        Err(DocumentError::Other { found })
    }
}

#[cfg(test)]
mod tests;
