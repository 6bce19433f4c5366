//! Dry runs: validation and normalisation with nothing stored.

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::contracts::{ContractId, InvalidDocument, ValidDocument};
use mass_domain::validation::{Violation, Warning};

use crate::MassService;
use crate::document::{DocumentError, Record, examine};

/// The result of validation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The contract, if it was recognised.
    pub contract: Option<ContractId>,
    /// All violations of rules; empty for a valid document.
    pub violations: Vec<Violation>,
    /// The warnings.
    pub warnings: Vec<Warning>,
}

/// Reason for which a dry run has no result.
#[derive(Debug, thiserror::Error)]
pub enum DryRunError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The document is at fault.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

impl MassService {
    /// Validates a document.
    ///
    /// # Errors
    /// [`DryRunError`], but never [`DocumentError::Invalid`], which is a result here.
    pub fn validate(&self, principal: &Principal, record: Record) -> Result<Verdict, DryRunError> {
        match self.normalize(principal, record) {
            Ok(examined) => {
                Ok(Verdict { contract: Some(examined.contract), violations: Vec::new(), warnings: examined.warnings })
            }
            Err(DryRunError::Document(DocumentError::Invalid(refused))) => {
                let InvalidDocument { contract, violations, warnings } = *refused;
                Ok(Verdict { contract, violations, warnings })
            }
            Err(error) => Err(error),
        }
    }

    /// Normalises a document.
    ///
    /// # Errors
    /// [`DryRunError`]; a document that breaks a rule has no normal form.
    pub fn normalize(&self, principal: &Principal, record: Record) -> Result<ValidDocument, DryRunError> {
        principal.require(Permission::MassWrite)?;
        let (examined, _key) = examine(principal, &record, self.clock.now())?;
        Ok(examined)
    }
}
