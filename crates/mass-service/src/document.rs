//! Incoming documents, and the errors that need no stored state.

use mass_domain::access::Principal;
use mass_domain::canonical::{self, Fingerprint};
use mass_domain::contracts::{self, Contract, ContractId, InvalidDocument, ValidDocument, ValidationContext};
use mass_domain::json::{SyntaxError, Value};
use mass_domain::mass_request::IdempotencyKey;
use mass_domain::time::Timestamp;
use mass_domain::validation::{Code, Violation};

/// The idempotency key that was sent beside a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentKey {
    /// No key.
    None,
    /// The key of this one document. A key in the document must equal it.
    Header(IdempotencyKey),
    /// The key for a document without its own.
    Fallback(IdempotencyKey),
}

/// A document as it arrived.
#[derive(Debug, Clone)]
pub struct Record {
    document: Result<Value, Unreadable>,
    body_bytes: usize,
    key: SentKey,
}

/// A text that is no document.
#[derive(Debug, Clone)]
struct Unreadable {
    error: DocumentError,
    /// The hash of its bytes: it has no canonical form.
    fingerprint: Fingerprint,
}

impl Record {
    /// Builds a record from a document, the size of its text in bytes, and the key beside it.
    #[must_use]
    pub const fn new(document: Value, body_bytes: usize, key: SentKey) -> Self {
        Self { document: Ok(document), body_bytes, key }
    }

    /// Builds a record from a text that is not JSON.
    #[must_use]
    pub fn unreadable(text: &[u8], error: SyntaxError) -> Self {
        let fingerprint = Fingerprint::of_unreadable(text);
        let error = DocumentError::Malformed(error);
        Self { document: Err(Unreadable { error, fingerprint }), body_bytes: text.len(), key: SentKey::None }
    }

    /// Builds a record from a row of which a mapping profile makes no document, with the reasons.
    #[must_use]
    pub fn unmapped(row: &[u8], contract: ContractId, violations: Vec<Violation>) -> Self {
        let fingerprint = Fingerprint::of_unreadable(row);
        let error = InvalidDocument { contract: Some(contract), violations, warnings: Vec::new() }.into();
        Self { document: Err(Unreadable { error, fingerprint }), body_bytes: row.len(), key: SentKey::None }
    }

    /// Returns the fingerprint of the input: of the document's canonical text before it is normalised, or of the bytes
    /// of a text that is no document.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        match &self.document {
            Ok(document) => Fingerprint::of(&canonical::write(document)),
            Err(unreadable) => unreadable.fingerprint,
        }
    }

    /// Returns the contract by the document's marker, or that of the profile, if it is known.
    pub(crate) fn contract(&self) -> Option<ContractId> {
        match &self.document {
            Ok(document) => contracts::recognise(document).map(Contract::id),
            Err(Unreadable { error: DocumentError::Invalid(invalid), .. }) => invalid.contract,
            Err(_) => None,
        }
    }
}

/// Error in a document.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DocumentError {
    /// The text is no JSON that MASS accepts.
    #[error(transparent)]
    Malformed(#[from] SyntaxError),
    /// The document breaks rules of its contract.
    #[error("the document breaks {} rules of its contract", .0.violations.len())]
    Invalid(Box<InvalidDocument>),
    /// The document is valid, but names another tenant than the caller's.
    #[error("the document names another tenant")]
    ForeignTenant,
}

impl From<InvalidDocument> for DocumentError {
    fn from(refused: InvalidDocument) -> Self {
        Self::Invalid(Box::new(refused))
    }
}

/// Validates a document for a caller, and chooses its idempotency key.
pub(crate) fn examine(
    principal: &Principal,
    record: &Record,
    now: Timestamp,
) -> Result<(ValidDocument, Option<IdempotencyKey>), DocumentError> {
    let Record { document, body_bytes, key } = record;
    let document = document.as_ref().map_err(|unreadable| unreadable.error.clone())?;
    let examined = contracts::validate(document, &ValidationContext { now, body_bytes: *body_bytes })?;
    let own_key = examined.index.idempotency_key.clone();
    let key = match (own_key, key) {
        (None, SentKey::None) => None,
        (None, SentKey::Header(key) | SentKey::Fallback(key)) => Some(key.clone()),
        (Some(own), SentKey::Header(header)) if own != *header => {
            return Err(differing_keys(&examined, &own, header).into());
        }
        (Some(own), SentKey::None | SentKey::Header(_) | SentKey::Fallback(_)) => Some(own),
    };
    match &examined.index.tenant {
        Some(tenant) if tenant != principal.tenant().as_str() => Err(DocumentError::ForeignTenant),
        Some(_) | None => Ok((examined, key)),
    }
}

fn differing_keys(examined: &ValidDocument, own: &IdempotencyKey, header: &IdempotencyKey) -> InvalidDocument {
    let violation = Violation {
        stage: Code::IdempotencyKeyMismatch.stage(),
        pointer: "/request/idempotency_key".to_owned(),
        code: Code::IdempotencyKeyMismatch.as_str().to_owned(),
        detail: Code::IdempotencyKeyMismatch.meaning().to_owned(),
        expected: Some(header.as_str().to_owned()),
        actual: Some(own.as_str().to_owned()),
    };
    InvalidDocument {
        contract: Some(examined.contract),
        violations: vec![violation],
        warnings: examined.warnings.clone(),
    }
}
