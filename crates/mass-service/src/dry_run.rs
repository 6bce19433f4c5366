//! Dry runs: what the real call would say, with nothing stored.

use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::contracts::{ContractId, InvalidDocument, ValidDocument};
use mass_domain::validation::{Violation, Warning};

use crate::MassService;
use crate::document::{DocumentError, Record, examine};

/// What validation says of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The contract, where it could be recognised.
    pub contract: Option<ContractId>,
    /// Every rule that the document breaks; empty when it is valid.
    pub violations: Vec<Violation>,
    /// What is unlikely about it.
    pub warnings: Vec<Warning>,
}

/// Why a dry run gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum DryRunError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Something is wrong with the document.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

impl MassService {
    /// Validates a document.
    ///
    /// # Errors
    /// [`DryRunError`], but never [`DocumentError::Invalid`]: that a document is invalid is the answer here.
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
