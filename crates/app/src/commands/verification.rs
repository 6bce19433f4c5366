//! Verification of every log of a database, beside checkpoints that were kept elsewhere.

use std::fmt;
use std::path::PathBuf;

use anyhow::Context;
use mass_audit_service::live::{self, VerifyLiveError};
use mass_domain::audit::note::{Checkpoint, NoteKey, SignedNote};
use mass_persistence::Database;

use super::audit::read_checkpoint;

/// A checkpoint that was kept.
pub(super) struct KeptCheckpoint {
    /// The tenant of its log.
    tenant: String,
    /// The number of events that it covers.
    size: u64,
    note: String,
}

/// Events of a log that a checkpoint covers, and that are not there.
#[derive(Debug)]
pub(super) struct Lost {
    /// The tenant.
    pub(super) tenant: String,
    /// The number of events that are there.
    pub(super) restored: u64,
    /// The number of events that the checkpoint covers.
    pub(super) signed: u64,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, restored, signed } = self;
        write!(f, "{tenant}: the log has {restored} events, and a checkpoint covers {signed}")?;
        write!(f, ": {} came after the backup, or were cut", signed.saturating_sub(*restored))
    }
}

/// The logs of a database, none of which was changed.
#[derive(Debug)]
pub(super) struct Verified {
    /// The number of logs.
    pub(super) logs: usize,
    /// The number of events.
    pub(super) events: u64,
    /// The number of kept checkpoints that the logs extend.
    pub(super) confirmed: usize,
    /// Whether signatures were checked.
    pub(super) signatures_checked: bool,
    /// What kept checkpoints cover beyond the end of the logs.
    pub(super) lost: Vec<Lost>,
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { logs, events, confirmed, .. } = self;
        write!(f, "{events} events of {logs} logs: none was changed")?;
        if *confirmed > 0 {
            write!(f, "; {confirmed} kept checkpoints confirm them")?;
        }
        if !self.signatures_checked {
            write!(f, "; NOT checked: the signatures, for want of a key")?;
        }
        Ok(())
    }
}

/// Reads checkpoints that were kept.
pub(super) fn read_kept(paths: &[PathBuf]) -> anyhow::Result<Vec<KeptCheckpoint>> {
    let read = |path: &PathBuf| {
        let file = || format!("the checkpoint {}", path.display());
        let note = read_checkpoint(path)?;
        let signed: SignedNote = note.parse().with_context(file)?;
        let Checkpoint { origin, size, .. } = signed.text.parse().with_context(file)?;
        let (_, tenant) = origin.rsplit_once('/').with_context(file)?;
        Ok(KeptCheckpoint { tenant: tenant.to_owned(), size, note })
    };
    paths.iter().map(read).collect()
}

/// Verifies every log. The error within is a finding.
pub(super) async fn verify_logs(
    database: &Database,
    keys: &[NoteKey],
    kept: &[KeptCheckpoint],
) -> anyhow::Result<Result<Verified, String>> {
    let stores = database.stores();
    let tenants = stores.audit.tenants().await?;
    let mut verified = Verified {
        logs: tenants.len(),
        events: 0,
        confirmed: 0,
        signatures_checked: !keys.is_empty(),
        lost: Vec::new(),
    };
    let is_of_none = |kept: &&KeptCheckpoint| !tenants.iter().any(|tenant| tenant.as_str() == kept.tenant);
    let lost = |kept: &KeptCheckpoint, restored| Lost { tenant: kept.tenant.clone(), restored, signed: kept.size };
    verified.lost.extend(kept.iter().filter(is_of_none).map(|kept| lost(kept, 0)));
    for tenant in &tenants {
        let size = stores.audit.head(tenant).await?.size();
        let own = kept.iter().filter(|kept| kept.tenant == tenant.as_str());
        let (comparable, beyond): (Vec<_>, Vec<_>) = own.partition(|kept| kept.size <= size);
        let notes: Vec<&str> = comparable.iter().map(|kept| kept.note.as_str()).collect();
        match live::verify(stores.live.as_ref(), tenant, keys, &notes, |_| ()).await {
            Ok(report) => verified.events += report.events,
            Err(VerifyLiveError::Found(finding)) => return Ok(Err(format!("{tenant}: {finding}"))),
            Err(error @ (VerifyLiveError::Earlier(_) | VerifyLiveError::Store(_))) => {
                return Err(error).with_context(|| format!("the log of {tenant}"));
            }
        }
        verified.confirmed += comparable.len();
        verified.lost.extend(beyond.into_iter().map(|kept| lost(kept, size)));
    }
    Ok(Ok(verified))
}
