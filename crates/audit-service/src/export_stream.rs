//! Streaming of exports: builds the lines while they are read, in constant memory.

use std::sync::Arc;

use anyhow::anyhow;
use mass_domain::access::{Forbidden, Permission, Principal};
use mass_domain::audit::{Action, Object};
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::trace::Origin;

use crate::export::{ExportHeader, checkpoint_line, end_line, event_line};
use crate::{AuditService, AuditStore, CheckpointError, StoredCheckpoint};

/// The number of events that are read at a time.
const CHUNK: usize = 500;

/// The reasons for which nothing is exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The caller lacks a permission.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// A running export.
pub struct Export {
    store: Arc<dyn AuditStore>,
    tenant: TenantId,
    header: Option<String>,
    /// The number of archived events, which the export leaves out.
    after: u64,
    /// The last event of the export, and the size of its last checkpoint.
    until: u64,
    /// The last event that was written.
    place: u64,
    events: u64,
    /// The number of checkpoints that were written.
    signed: u64,
    ended: bool,
}

impl AuditService {
    /// Begins an export of all events that are not archived. The export is itself recorded by an event, its last one,
    /// and covered by a new checkpoint, unless the log has been tampered with: then the older checkpoints show it.
    ///
    /// # Errors
    /// [`ExportError`].
    pub async fn export(&self, principal: &Principal, origin: &Origin) -> Result<Export, ExportError> {
        principal.require(Permission::AuditRead)?;
        let tenant = principal.tenant();
        let after = self.store.archived(tenant).await?;
        let act = self.act(principal.actor(), origin);
        let event = act.done(tenant, Action::AuditExported, Object::AuditTrail).with("after", after);
        match self.store.append(tenant, vec![event]).await {
            // Nothing can be appended to a log with an unreadable head. The log is exported all the same, and the
            // checkpoints below reveal the fault.
            Err(error) if error.corrupt_value().is_some() => {}
            recorded => recorded?,
        }
        let until = match self.sign_head(tenant).await {
            Ok(signed) => signed.checkpoint.size,
            Err(CheckpointError::Broken(_)) => self.last_trace(tenant).await?,
            Err(CheckpointError::Forbidden(error)) => return Err(error.into()),
            Err(CheckpointError::Store(error)) => return Err(error.into()),
        };
        Ok(self.export_of(tenant, after, until).await?)
    }

    /// Begins an export of the events after `after` up to `until`.
    pub(crate) async fn export_of(&self, tenant: &TenantId, after: u64, until: u64) -> Result<Export, PortError> {
        // If archived leaves are missing, the export begins with the empty tree, which the verification finds.
        let frontier = self.store.frontier_at(tenant, after).await?.unwrap_or_default();
        let header = ExportHeader::new(self.key().name(), tenant.clone(), frontier).line();
        let (store, tenant) = (Arc::clone(&self.store), tenant.clone());
        Ok(Export {
            store,
            tenant,
            header: Some(header),
            after,
            until,
            place: after,
            events: 0,
            signed: 0,
            ended: false,
        })
    }

    /// Returns the last event or checkpoint of a log, which may have been truncated.
    async fn last_trace(&self, tenant: &TenantId) -> Result<u64, PortError> {
        let head = self.store.head(tenant).await?.size();
        let signed = self.store.latest_checkpoint(tenant).await?.map_or(0, |checkpoint| checkpoint.size);
        Ok(head.max(signed))
    }
}

impl Export {
    /// Returns the tenant of the log.
    #[must_use]
    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Returns the next lines; `None` after the last one. An export that fails midway lacks its last line.
    ///
    /// # Errors
    /// [`PortError`], also if events were archived meanwhile and are therefore missing.
    pub async fn next(&mut self) -> Result<Option<String>, PortError> {
        if self.ended {
            return Ok(None);
        }
        let mut lines = String::new();
        if let Some(header) = self.header.take() {
            lines += &header;
            // The previous export ended where this one begins.
            let base = self.checkpoints(self.after.saturating_sub(1), self.after).await?;
            self.write_checkpoints(&base, &mut lines);
            return Ok(Some(lines));
        }
        let mut entries = self.store.entries(&self.tenant, database(self.place), CHUNK).await?;
        entries.retain(|entry| log(entry.sequence) <= self.until);
        let last = entries.last().map(|entry| log(entry.sequence));
        let checkpoints = self.checkpoints(self.place, last.unwrap_or(self.until)).await?;
        let mut checkpoints = checkpoints.as_slice();
        for entry in &entries {
            // A checkpoint stands before an event only if the event that it ends with is missing.
            let early = checkpoints.partition_point(|checkpoint| checkpoint.size < log(entry.sequence));
            let (early, rest) = checkpoints.split_at(early);
            self.write_checkpoints(early, &mut lines);
            checkpoints = rest;
            lines += &event_line(&entry.event, entry.leaf_hash);
            self.events += 1;
        }
        self.write_checkpoints(checkpoints, &mut lines);
        match last {
            Some(last) => self.place = last,
            None => self.end(&mut lines).await?,
        }
        Ok(Some(lines))
    }

    fn write_checkpoints(&mut self, checkpoints: &[StoredCheckpoint], lines: &mut String) {
        for checkpoint in checkpoints {
            *lines += &checkpoint_line(&checkpoint.note);
            self.signed += 1;
        }
    }

    async fn end(&mut self, lines: &mut String) -> Result<(), PortError> {
        if self.store.archived(&self.tenant).await? != self.after {
            return Err(PortError::Unexpected(anyhow!("events were archived while they were exported")));
        }
        *lines += &end_line(self.events, self.signed);
        self.ended = true;
        Ok(())
    }

    /// Reads the checkpoints over more than `after` and at most `until` events.
    async fn checkpoints(&self, after: u64, until: u64) -> Result<Vec<StoredCheckpoint>, PortError> {
        let mut found: Vec<StoredCheckpoint> = Vec::new();
        loop {
            let after = found.last().map_or(after, |last| last.size);
            if after >= until {
                return Ok(found);
            }
            let page = self.store.checkpoints(&self.tenant, after, CHUNK).await?;
            let is_last = page.len() < CHUNK || page.last().is_some_and(|last| last.size > until);
            found.extend(page.into_iter().filter(|checkpoint| checkpoint.size <= until));
            if is_last {
                return Ok(found);
            }
        }
    }
}

/// Converts a sequence for the store.
fn database(place: u64) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

/// Converts a sequence from the store.
fn log(sequence: i64) -> u64 {
    u64::try_from(sequence).unwrap_or(0)
}
