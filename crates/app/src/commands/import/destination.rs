//! The destination of an import: the local database, or a server.

use anyhow::Context;
use mass_domain::access::Principal;
use mass_domain::audit::Refusals;
use mass_domain::mass_request::Outcome;
use mass_domain::trace::Origin;
use mass_domain::validation::Violation;
use mass_service::{AcceptError, DocumentError, MassService, OnConflict, Options, Receipt, Refusal};

use super::Arguments;
use super::outcome::{ImportOutcome, unreadable};
use super::rejected::Fault;
use super::server::{self, Server};
use super::source::Row;
use crate::commands::{print_first_password, tenant};
use crate::config::Secrets;
use crate::engine::EngineToken as BearerToken;
use crate::http::context::new_request_id;
use crate::records::submitted;
use crate::startup::{self, Installation};

/// The number of records per transaction of the local database.
const CHUNK: usize = 500;

/// The destination of records.
pub(super) enum Destination {
    Local { mass: Box<MassService>, principal: Principal, options: Options, refusals: Box<Refusals> },
    Server(Server),
}

impl Destination {
    /// Opens the local database, or prepares the client of a server.
    pub(super) async fn new(arguments: &Arguments, secrets: &Secrets) -> anyhow::Result<Self> {
        let on_conflict: OnConflict = arguments.on_conflict.into();
        if let Some(url) = &arguments.url {
            let token = secrets.token.as_ref().context(
                "--url needs a bearer token for that server: set the variable MASS_TOKEN, or MASS_TOKEN_FILE to the path of \
                 a file that holds it",
            )?;
            BearerToken::parse(token).context("MASS_TOKEN")?;
            return Ok(Self::Server(Server::new(url, token, on_conflict)?));
        }
        let auto_send = startup::auto_send(&arguments.engine)?;
        let installation = Installation::open(&arguments.local, secrets).await?;
        print_first_password(installation.bootstrapped.as_ref());
        let tenant = tenant(&arguments.local, &installation, arguments.tenant.clone()).await?;
        let origin = Origin { request_id: new_request_id(), trace: None, address: None };
        let options = Options { on_conflict, auto_send, origin };
        let mass = Box::new(installation.mass());
        Ok(Self::Local { mass, principal: Principal::system(tenant), options, refusals: Box::default() })
    }

    /// Returns the number of records that it takes at a time.
    pub(super) const fn chunk(&self) -> usize {
        match self {
            Self::Local { .. } => CHUNK,
            Self::Server(_) => server::BATCH,
        }
    }

    /// Sends records; returns one outcome per record, in order.
    pub(super) async fn take(&mut self, rows: &[Row]) -> anyhow::Result<Vec<ImportOutcome>> {
        match self {
            Self::Local { mass, principal, options, refusals } => store(mass, principal, options, refusals, rows).await,
            Self::Server(server) => server.send(rows).await,
        }
    }

    /// Records the refusals in the audit trail; a server does so itself.
    pub(super) async fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Local { mass, principal, options, refusals } => {
                Ok(mass.record_refusals(&principal, &options.origin, *refusals).await?)
            }
            Self::Server(_) => Ok(()),
        }
    }
}

async fn store(
    mass: &MassService,
    principal: &Principal,
    options: &Options,
    refusals: &mut Refusals,
    rows: &[Row],
) -> anyhow::Result<Vec<ImportOutcome>> {
    let record = |row: &Row| submitted(&row.text, row.document.clone(), || Some(row.key.clone()));
    let records = rows.iter().map(record).collect();
    let results = mass.store_records(principal, records, options, refusals).await?;
    let outcome = |result| match result {
        Ok(receipt) => Ok(outcome_of(receipt)),
        Err(error) => Ok(ImportOutcome::Refused(faults(error)?)),
    };
    results.into_iter().map(outcome).collect()
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
        AcceptError::Document(DocumentError::Invalid(refused)) => {
            Ok(refused.violations.into_iter().map(Fault::from).collect())
        }
        AcceptError::Document(error @ DocumentError::ForeignTenant) => {
            Ok(vec![Fault::of_record("foreign_tenant", error.to_string())])
        }
        AcceptError::Refused(Refusal::OverQuota(over)) => Err(over.into()),
        AcceptError::Refused(refusal) => Ok(vec![Fault::of_record("conflict", refusal.to_string())]),
    }
}

impl From<Violation> for Fault {
    fn from(Violation { pointer, code, detail, expected, actual, .. }: Violation) -> Self {
        Self { pointer, code, detail, expected, actual }
    }
}
