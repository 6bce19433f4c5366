//! The destination of an import: the local database, a server, or the contracts alone.

use std::time::Duration;

use indicatif::ProgressBar;
use mass_domain::contracts;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Clock;
use mass_domain::trace::RequestId;
use mass_service::{MappingSource, OnConflict};

use super::Arguments;
use super::local::{Local, document_faults, foreign_tenant};
use super::outcome::ImportOutcome;
use super::server::{self, Server};
use super::source::Row;
use crate::commands::remote::read_token;
use crate::config::Secrets;
use crate::startup::SystemClock;

/// The number of records that a dry run judges at a time.
const CHUNK: usize = 500;

/// The destination of records.
pub(super) enum Destination {
    /// The local database.
    Local(Box<Local>),
    /// A server.
    Server(Box<Server>),
    /// The contracts: a dry run in this program.
    Contracts(TenantId),
    /// The contracts of a server: a dry run there.
    ContractsOf(Box<Server>),
}

impl Destination {
    /// Opens the local database, or prepares the client of a server.
    pub(super) async fn new(
        arguments: &Arguments,
        mapping: Option<MappingSource>,
        secrets: &Secrets,
        progress: ProgressBar,
    ) -> anyhow::Result<Self> {
        let on_conflict: OnConflict = arguments.on_conflict.into();
        if let Some(url) = &arguments.url {
            let token = read_token(arguments.token_file.as_deref(), secrets)?;
            let patience = Duration::from_secs(arguments.retry_seconds);
            let mut server = Box::new(Server::new(url, token, on_conflict, Some(patience), progress)?);
            if let Some(mapping) = &mapping {
                server.name_mapping(mapping);
            }
            return Ok(if arguments.dry_run { Self::ContractsOf(server) } else { Self::Server(server) });
        }
        if arguments.dry_run {
            let tenant = arguments.tenant.as_ref().unwrap_or(&arguments.local.default_tenant);
            return Ok(Self::Contracts(tenant.clone()));
        }
        Ok(Self::Local(Box::new(Local::open(arguments, on_conflict, mapping, secrets).await?)))
    }

    /// Returns the number of records that it takes at a time.
    pub(super) const fn chunk(&self) -> usize {
        match self {
            Self::Local(_) | Self::Contracts(_) => CHUNK,
            Self::Server(_) | Self::ContractsOf(_) => server::BATCH,
        }
    }

    /// Returns the request id by which the stored records are found again; `None` for a dry run.
    pub(super) fn call_id(&self) -> Option<&RequestId> {
        match self {
            Self::Local(local) => Some(local.call_id()),
            Self::Server(server) => Some(server.call_id()),
            Self::Contracts(_) | Self::ContractsOf(_) => None,
        }
    }

    /// Sends records; returns one outcome per record, in order.
    pub(super) async fn take(&mut self, rows: &[Row]) -> anyhow::Result<Vec<ImportOutcome>> {
        match self {
            Self::Local(local) => local.store(rows).await,
            Self::Server(server) => server.send(rows).await,
            Self::Contracts(tenant) => Ok(rows.iter().map(|row| judge(row, tenant)).collect()),
            Self::ContractsOf(server) => server.validate(rows).await,
        }
    }

    /// Records the refusals in the audit trail; a server does so itself, and a dry run leaves no trace.
    pub(super) async fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Local(local) => local.finish().await,
            Self::Server(_) | Self::Contracts(_) | Self::ContractsOf(_) => Ok(()),
        }
    }
}

/// Judges a record by its contract alone.
pub(in crate::commands) fn judge(row: &Row, tenant: &TenantId) -> ImportOutcome {
    let document = match &row.document {
        Ok(document) => document,
        Err(unreadable) => return ImportOutcome::Refused(unreadable.faults.clone()),
    };
    let context = contracts::ValidationContext { now: SystemClock.now(), body_bytes: row.text.len() };
    match contracts::validate(document, &context) {
        Ok(valid) if valid.index.tenant.as_ref().is_some_and(|named| named != tenant.as_str()) => {
            ImportOutcome::Refused(vec![foreign_tenant()])
        }
        Ok(valid) => ImportOutcome::Accepted(valid.warnings),
        Err(invalid) => ImportOutcome::Refused(document_faults(invalid)),
    }
}
