//! Who counts what becomes of documents.

use mass_domain::contracts::ContractId;
use mass_domain::validation::Stage;

use crate::accept::Refusal;
use crate::document::DocumentError;

/// Where on its way a document was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedAt {
    /// It is no JSON that MASS accepts.
    Syntax,
    /// It breaks rules; the first stage of which it breaks one.
    Validation(Stage),
    /// It names another tenant than the caller's.
    Tenant,
    /// It or its idempotency key contradicts what is stored.
    Stored,
    /// The tenant has used up what it may use.
    Quota,
}

impl RefusedAt {
    /// Its name, for metrics and traces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::Validation(Stage::Structural) => "structural",
            Self::Validation(Stage::Contract) => "contract",
            Self::Validation(Stage::Semantic) => "semantic",
            Self::Validation(Stage::Business) => "business",
            Self::Tenant => "tenant",
            Self::Stored => "stored",
            Self::Quota => "quota",
        }
    }

    pub(crate) fn of_document(error: &DocumentError) -> Self {
        match error {
            DocumentError::Malformed(_) => Self::Syntax,
            DocumentError::Invalid(refused) => {
                let stage = refused.violations.iter().map(|violation| violation.stage).min();
                Self::Validation(stage.unwrap_or(Stage::Structural))
            }
            DocumentError::ForeignTenant => Self::Tenant,
        }
    }

    pub(crate) const fn of_refusal(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::KeyReused { .. } | Refusal::KeyOfDeleted { .. } | Refusal::Conflict { .. } => Self::Stored,
            Refusal::OverQuota(_) => Self::Quota,
        }
    }
}

/// Hears what becomes of documents, while their senders wait: it has to be quick.
pub trait IntakeObserver: Send + Sync {
    /// A document was refused; the contract is known unless none could be recognised.
    fn refused(&self, at: RefusedAt, contract: Option<ContractId>);
}

/// Listens to nothing.
impl IntakeObserver for () {
    fn refused(&self, _at: RefusedAt, _contract: Option<ContractId>) {}
}
