//! Import into the local database.

use mass_domain::access::Principal;
use mass_domain::audit::Refusals;
use mass_domain::contracts::InvalidDocument;
use mass_domain::mass_request::Outcome;
use mass_domain::trace::{Origin, RequestId};
use mass_domain::validation::Violation;
use mass_service::{AcceptError, DocumentError, MappingSource, MassService, OnConflict, Options, Receipt, Refusal};

use super::Arguments;
use super::fault::{Fault, unreadable};
use super::outcome::ImportOutcome;
use super::source::Row;
use crate::commands;
use crate::config::Secrets;
use crate::http::context::new_request_id;
use crate::records::submitted;
use crate::startup;

/// The local database as a destination.
pub(super) struct Local {
    mass: MassService,
    principal: Principal,
    options: Options,
    refusals: Refusals,
}

impl Local {
    /// Opens the database.
    pub(super) async fn open(
        arguments: &Arguments,
        on_conflict: OnConflict,
        mapping: Option<MappingSource>,
        secrets: &Secrets,
    ) -> anyhow::Result<Self> {
        let auto_send = startup::auto_send(&arguments.engine)?;
        let (installation, principal) = commands::open(&arguments.local, secrets, arguments.tenant.clone()).await?;
        let origin = Origin { request_id: new_request_id(), trace: None, address: None };
        let options = Options { on_conflict, auto_send, origin, renew_keys: true, mapping, call_id: None };
        let refusals = Refusals::default();
        Ok(Self { mass: installation.mass(), principal, options, refusals })
    }

    /// Returns the request id of the import.
    pub(super) const fn call_id(&self) -> &RequestId {
        &self.options.origin.request_id
    }

    /// Stores records in one transaction; returns one outcome per record, in order.
    pub(super) async fn store(&mut self, rows: &[Row]) -> anyhow::Result<Vec<ImportOutcome>> {
        let record = |row: &Row| {
            let document = row.document.clone().map_err(|unreadable| unreadable.error);
            submitted(&row.text, document, || row.key.clone())
        };
        let records = rows.iter().map(record).collect();
        let results = self.mass.store_records(&self.principal, records, &self.options, &mut self.refusals).await?;
        let outcome = |(row, result): (&Row, _)| match (&row.document, result) {
            (_, Ok(receipt)) => Ok(outcome_of(receipt)),
            (Err(unreadable), Err(AcceptError::Document(_))) => Ok(ImportOutcome::Refused(unreadable.faults.clone())),
            (_, Err(error)) => Ok(ImportOutcome::Refused(faults(error)?)),
        };
        rows.iter().zip(results).map(outcome).collect()
    }

    /// Records the refusals in the audit trail.
    pub(super) async fn finish(self) -> anyhow::Result<()> {
        Ok(self.mass.record_refusals(&self.principal, &self.options.origin, self.refusals).await?)
    }
}

fn outcome_of(receipt: Receipt) -> ImportOutcome {
    let warnings = receipt.request.warnings;
    match receipt.outcome {
        _ if receipt.replayed => ImportOutcome::Duplicate(warnings),
        Outcome::Accepted => ImportOutcome::Accepted(warnings),
        Outcome::Correction => ImportOutcome::Correction(warnings),
        Outcome::Duplicate => ImportOutcome::Duplicate(warnings),
    }
}

/// Converts the error of one record to faults. An error that concerns the whole import is returned as such.
fn faults(error: AcceptError) -> anyhow::Result<Vec<Fault>> {
    match error {
        AcceptError::Forbidden(error) => Err(error.into()),
        AcceptError::Store(error) => Err(error.into()),
        AcceptError::Document(DocumentError::Malformed(error)) => Ok(vec![unreadable(&error)]),
        AcceptError::Document(DocumentError::Invalid(refused)) => Ok(document_faults(*refused)),
        AcceptError::Document(DocumentError::ForeignTenant) => Ok(vec![foreign_tenant()]),
        AcceptError::Refused(Refusal::OverQuota(over)) => Err(over.into()),
        AcceptError::Refused(Refusal::Suspended(suspended)) => Err(suspended.into()),
        AcceptError::Refused(refusal) => Ok(vec![Fault::of_record("conflict", refusal.to_string())]),
    }
}

/// Converts the violations of a document to faults.
pub(super) fn document_faults(invalid: InvalidDocument) -> Vec<Fault> {
    invalid.violations.into_iter().map(Fault::from).collect()
}

/// Builds the fault of a document that names another tenant.
pub(super) fn foreign_tenant() -> Fault {
    Fault::of_record("foreign_tenant", DocumentError::ForeignTenant.to_string())
}

impl From<Violation> for Fault {
    fn from(Violation { pointer, code, detail, expected, actual, .. }: Violation) -> Self {
        Self { pointer, code, detail, expected, actual }
    }
}
