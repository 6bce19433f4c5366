//! Observers, which count refused documents and attempts of delivery.

use mass_domain::contracts::ContractId;
use mass_domain::delivery::FailureCode;
use mass_domain::validation::Stage;

use crate::claim::{Conclusion, Recorded};
use crate::decision::Refusal;
use crate::document::DocumentError;

/// The stage at which a document is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedAt {
    /// The text is no JSON that MASS accepts.
    Syntax,
    /// A violation of rules; the first stage with one.
    Validation(Stage),
    /// The document names another tenant than the caller's.
    Tenant,
    /// The document or its idempotency key conflicts with a stored request.
    Stored,
    /// A quota of the tenant is used up.
    Quota,
}

impl RefusedAt {
    /// Returns the name, for metrics and traces.
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
            Refusal::Suspended(_) => Self::Tenant,
        }
    }
}

/// Observer of documents. It is called while their senders wait, and has to be quick.
pub trait IntakeObserver: Send + Sync {
    /// Counts a refused document. The contract is known unless none was recognised.
    fn refused(&self, at: RefusedAt, contract: Option<ContractId>);
}

/// Does nothing.
impl IntakeObserver for () {
    fn refused(&self, _at: RefusedAt, _contract: Option<ContractId>) {}
}

/// The result of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// A valid answer is stored.
    Delivered,
    /// An answer that breaks a guardrail is stored.
    Flagged,
    /// The engine will be asked again.
    Retried(FailureCode),
    /// The delivery is a dead letter.
    Dead(FailureCode),
    /// The circuit was open: the engine was not asked.
    CircuitOpen,
    /// Nothing is stored: the delivery was cancelled meanwhile, or another worker has claimed it.
    Dropped,
}

impl Attempt {
    /// Returns the name, for metrics.
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

    /// Returns the failure, if there was one.
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

/// Observer of attempts. It is called while the worker waits, and has to be quick.
pub trait DeliveryObserver: Send + Sync {
    /// Counts an attempt whose conclusion was recorded.
    fn attempted(&self, attempt: Attempt);
}

/// Does nothing.
impl DeliveryObserver for () {
    fn attempted(&self, _attempt: Attempt) {}
}
