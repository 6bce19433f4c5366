//! Who counts what becomes of documents and of deliveries.

use mass_domain::contracts::ContractId;
use mass_domain::delivery::FailureCode;
use mass_domain::validation::Stage;

use crate::claim::{Conclusion, Recorded};
use crate::decision::Refusal;
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

/// What became of a delivery that a worker had claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The engine's answer is stored.
    Delivered,
    /// So is an answer that breaks a guardrail.
    Flagged,
    /// The engine is asked again later.
    Retried(FailureCode),
    /// It is not asked again: a dead letter.
    Dead(FailureCode),
    /// It was not asked, since it failed too often just now.
    CircuitOpen,
    /// Nothing was stored: the delivery was cancelled meanwhile, or another worker has it.
    Dropped,
}

impl Attempt {
    /// Its name, for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Flagged => "flagged",
            Self::Retried(_) => "retried",
            Self::Dead(_) => "dead",
            Self::CircuitOpen => "circuit_open",
            Self::Dropped => "dropped",
        }
    }

    /// What went wrong, if something did.
    #[must_use]
    pub const fn failure(self) -> Option<FailureCode> {
        match self {
            Self::Retried(code) | Self::Dead(code) => Some(code),
            Self::Delivered | Self::Flagged | Self::CircuitOpen | Self::Dropped => None,
        }
    }

    pub(crate) fn of(conclusion: &Conclusion, recorded: Recorded) -> Self {
        match (recorded, conclusion) {
            (Recorded::LeaseLost, _) => Self::Dropped,
            (Recorded::Recorded, Conclusion::Answered(recommendation)) if recommendation.is_valid() => Self::Delivered,
            (Recorded::Recorded, Conclusion::Answered(_)) => Self::Flagged,
            (Recorded::Recorded, Conclusion::Retry { failure, .. }) => Self::Retried(failure.code),
            (Recorded::Recorded, Conclusion::Postponed { .. }) => Self::CircuitOpen,
            (Recorded::Recorded, Conclusion::Dead { failure, .. }) => Self::Dead(failure.code),
        }
    }
}

/// Hears what becomes of deliveries, while the worker waits: it has to be quick.
pub trait DeliveryObserver: Send + Sync {
    /// An attempt has ended, and what came of it is recorded.
    fn attempted(&self, attempt: Attempt);
}

/// Listens to nothing.
impl DeliveryObserver for () {
    fn attempted(&self, _attempt: Attempt) {}
}
