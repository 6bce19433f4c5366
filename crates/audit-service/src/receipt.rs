//! The receipt of a MASS request: what proves, without the server and years later, that the request was accepted as it
//! is, and that the log shows it.

use mass_domain::audit::note::NoteKey;
use mass_domain::audit::tree::{TreeHash, verify_inclusion};
use mass_domain::audit::{Action, Event, Object, Outcome, UnreadableEvent};
use mass_domain::canonical::{self, Fingerprint};
use mass_domain::json;
use serde::{Deserialize, Serialize};

use crate::signer::{OpenCheckpointError, open_checkpoint};

/// A receipt as it is given out. Nothing in it may be believed before [`verify_receipt`] has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The request.
    pub request_id: String,
    /// Whose it is.
    pub tenant_id: String,
    /// The contract that its document is under.
    pub contract: String,
    /// The fingerprint of its normalised document: `sha256:` and hexadecimal digits.
    pub fingerprint: String,
    /// The canonical text of the event by which it was stored.
    pub event: String,
    /// Where the event is in its tenant's tree, from 0.
    pub leaf_index: u64,
    /// The hash of the event's leaf, in hexadecimal digits.
    pub leaf_hash: String,
    /// The proof that the leaf is in the tree that the checkpoint was made of.
    pub inclusion: Inclusion,
    /// The signed note.
    pub checkpoint: String,
}

/// A proof that a leaf is in a tree (RFC 9162, section 2.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inclusion {
    /// How many leaves the tree has.
    pub tree_size: u64,
    /// The hashes beside the way from the leaf to the root, in hexadecimal digits.
    pub hashes: Vec<String>,
}

/// What a receipt proves.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// The event by which the request was stored.
    pub event: Event,
    /// The fingerprint of the normalised document.
    pub fingerprint: Fingerprint,
    /// How many events the log had when the checkpoint was signed.
    pub log_size: u64,
}

/// Why a receipt proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// Its event cannot be read.
    #[error(transparent)]
    UnreadableEvent(#[from] UnreadableEvent),
    /// Its event tells of something else than that a request was stored.
    #[error("the event does not tell that a request was accepted")]
    NotAnAcceptance,
    /// What the receipt says is not what its event says.
    #[error("the receipt and its event differ in \"{member}\"")]
    Differs {
        /// The receipt's member.
        member: &'static str,
    },
    /// The hash is not the event's.
    #[error("the event was changed: its text does not have the hash of the leaf")]
    EventChanged,
    /// The checkpoint cannot be believed.
    #[error("the checkpoint cannot be believed: {0}")]
    Checkpoint(#[from] OpenCheckpointError),
    /// The checkpoint is another log's.
    #[error("the checkpoint is of another log: {origin:?}")]
    OtherLog {
        /// The origin line.
        origin: String,
    },
    /// The event is not in the tree that the checkpoint was made of.
    #[error("the proof does not show that the event is in the log that was signed")]
    NotIncluded,
}

/// Verifies that a request was accepted as the receipt says, and that its event is in the log that the key has signed.
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

/// Holds what a receipt says against its event.
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

/// Which form of a request's document one has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentForm {
    /// Normalised, as it is stored and given out.
    Stored,
    /// As it was sent, before it was normalised.
    Sent,
}

/// Why a document is not the one of a receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It is no JSON.
    #[error("the document is no JSON: {0}")]
    Unreadable(#[from] json::SyntaxError),
    /// It is another document.
    #[error("the document has the fingerprint {found}, which is not that of the receipt")]
    Other {
        /// The fingerprint of its canonical form.
        found: Fingerprint,
    },
}

/// Verifies that a document is the one that a verified receipt is about: by the fingerprint of its canonical form
/// (RFC 8785), so that white space and the order of members do not matter.
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
