//! A document on its way in, and what can be wrong with it before anything stored is looked at.

use mass_domain::access::Principal;
use mass_domain::canonical::{self, Fingerprint};
use mass_domain::contracts::{self, Contract, ContractId, InvalidDocument, ValidDocument, ValidationContext};
use mass_domain::json::{SyntaxError, Value};
use mass_domain::mass_request::IdempotencyKey;
use mass_domain::time::Timestamp;
use mass_domain::validation::{Code, Violation};

/// The idempotency key that came beside a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentKey {
    /// None.
    None,
    /// Of this one document: a key in the document must be the same.
    Header(IdempotencyKey),
    /// For a document that has no key of its own.
    Fallback(IdempotencyKey),
}

/// One document as it arrived.
#[derive(Debug, Clone)]
pub struct Record {
    document: Result<Value, Unreadable>,
    body_bytes: usize,
    key: SentKey,
}

/// A text that is no document.
#[derive(Debug, Clone)]
struct Unreadable {
    error: SyntaxError,
    /// The hash of its bytes: it has no canonical form.
    fingerprint: Fingerprint,
}

impl Record {
    /// A document whose text had so many bytes, and the key that came beside it.
    #[must_use]
    pub const fn new(document: Value, body_bytes: usize, key: SentKey) -> Self {
        Self { document: Ok(document), body_bytes, key }
    }

    /// A text that is no JSON that MASS accepts.
    #[must_use]
    pub fn unreadable(text: &[u8], error: SyntaxError) -> Self {
        let fingerprint = Fingerprint::of_unreadable(text);
        Self { document: Err(Unreadable { error, fingerprint }), body_bytes: text.len(), key: SentKey::None }
    }

    /// The fingerprint of what was sent: of the document's canonical text, before it is normalised, or of the bytes of
    /// what is no document.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        match &self.document {
            Ok(document) => Fingerprint::of(&canonical::write(document)),
            Err(unreadable) => unreadable.fingerprint,
        }
    }

    /// The contract that the document is recognised as being under.
    pub(crate) fn contract(&self) -> Option<ContractId> {
        self.document.as_ref().ok().and_then(contracts::recognise).map(Contract::id)
    }
}

/// What is wrong with a document.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DocumentError {
    /// It is no JSON that MASS accepts.
    #[error(transparent)]
    Malformed(#[from] SyntaxError),
    /// It breaks rules of its contract.
    #[error("the document breaks {} rules of its contract", .0.violations.len())]
    Invalid(Box<InvalidDocument>),
    /// It is valid, but names another tenant than the caller's.
    #[error("the document names another tenant")]
    ForeignTenant,
}

impl From<InvalidDocument> for DocumentError {
    fn from(refused: InvalidDocument) -> Self {
        Self::Invalid(Box::new(refused))
    }
}

/// Examines a document for a caller, and settles which idempotency key holds for it.
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
