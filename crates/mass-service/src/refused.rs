//! Refused documents, for the audit trail: the rules that they break and never the values that break them.

use mass_domain::audit::{Reason, RefusedRecord};
use mass_domain::canonical::Fingerprint;
use mass_domain::contracts::ContractId;
use mass_domain::ids::MassRequestId;
use mass_domain::tenancy::OverQuota;

use crate::decision::Refusal;
use crate::document::DocumentError;
use crate::submission::Submission;

/// The values of a refused document that do not depend on the refusal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    /// The id that its request would have had.
    pub(crate) id: MassRequestId,
    pub(crate) contract: Option<ContractId>,
    pub(crate) input: Fingerprint,
}

impl Sent {
    pub(crate) const fn of(submission: &Submission) -> Self {
        let Submission { id, input, examined, .. } = submission;
        Self { id: *id, contract: Some(examined.contract), input: *input }
    }

    /// Builds the record of a document that is at fault itself.
    pub(crate) fn refused<'a>(&self, error: &'a DocumentError) -> RefusedRecord<'a> {
        match error {
            DocumentError::Malformed(error) => self.record("malformed-json", Reason::Syntax(error.code)),
            DocumentError::Invalid(refused) => {
                self.record("contract-violation", Reason::Violations(&refused.violations))
            }
            DocumentError::ForeignTenant => self.record("foreign-tenant", Reason::Code),
        }
    }

    /// Builds the record of a document that the stored state does not allow.
    pub(crate) const fn refused_by(&self, refusal: &Refusal) -> RefusedRecord<'static> {
        match refusal {
            Refusal::KeyReused { request_id } => self.record("idempotency-key-reused", Reason::Stored(*request_id)),
            Refusal::KeyOfDeleted { request_id } => self.record("gone", Reason::Stored(*request_id)),
            Refusal::Conflict { request_id, .. } => self.record("conflict", Reason::Stored(*request_id)),
            Refusal::OverQuota(OverQuota::Requests { .. }) => self.record("daily-quota-exceeded", Reason::Code),
            Refusal::OverQuota(OverQuota::StoredBytes { .. }) => self.record("quota-exceeded", Reason::Code),
            Refusal::Suspended(_) => self.record("tenant-suspended", Reason::Code),
        }
    }

    /// Builds a record. `code` is the last part of the problem's type in the answer.
    const fn record<'a>(&self, code: &'static str, reason: Reason<'a>) -> RefusedRecord<'a> {
        let Self { id, contract, input } = *self;
        RefusedRecord { id, contract, input, code, reason }
    }
}
