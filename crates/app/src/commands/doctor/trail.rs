//! The audit trail, and the backups that it knows of.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use mass_audit_service::live::{self, VerifyLiveError};
use mass_audit_service::{AuditService, CheckpointError, EventFilter};
use mass_domain::access::Principal;
use mass_domain::audit::{Action, Event};
use mass_domain::page::Limit;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::time::Timestamp;

use super::report::Report;
use super::{Examined, age};
use crate::commands::audit::keys;
use crate::startup::{self, SystemClock};
use crate::terminal::in_one_line;

/// What to do about a trail that is not as it was signed.
const INCIDENT: &str = "this is an incident: stop, copy the database, and compare with checkpoints that were kept";

/// The time in seconds that a signature may be late.
const LATE: u64 = 60;

/// Checks every tenant's log: against its last checkpoint, or as a whole.
pub(super) async fn check(examined: &Examined<'_>, report: &mut Report) {
    const CHECK: &str = "trail";
    let settings = &examined.arguments.settings;
    let local = &settings.local;
    let folder = &local.database.folder;
    let signer = match startup::present_signer(&local.stage, folder, &settings.audit, examined.secrets) {
        Ok(Some(signer)) => signer,
        Ok(None) => return report.skip(CHECK, "there is no key yet: the server makes it"),
        Err(error) => return report.fail(CHECK, in_one_line(&error), "correct the key of the audit trail"),
    };
    let audit = Arc::clone(&examined.database.stores().audit);
    let service = AuditService::new(audit, signer, Arc::new(SystemClock));
    let mut events = 0;
    for tenant in &examined.tenants {
        match check_log(examined, &service, tenant, report).await {
            Ok(number) => events += number,
            Err(error) => report.fail(CHECK, format!("{tenant}: {}", in_one_line(&error)), "look at the database"),
        }
    }
    let how = if examined.arguments.thorough { "verified" } else { "as far as signed" };
    report.ok_unless_found(CHECK, format!("{events} events of {} logs, {how}", examined.tenants.len()));
}

/// Checks a log, and returns the number of its events.
async fn check_log(
    examined: &Examined<'_>,
    service: &AuditService,
    tenant: &TenantId,
    report: &mut Report,
) -> anyhow::Result<u64> {
    const CHECK: &str = "trail";
    let state = match service.signed_state(&Principal::system(tenant.clone())).await {
        Ok(state) => state,
        Err(CheckpointError::Broken(broken)) => {
            report.fail(CHECK, format!("{tenant}: {broken}"), INCIDENT);
            return Ok(0);
        }
        Err(error @ (CheckpointError::Forbidden(_) | CheckpointError::Store(_))) => return Err(error.into()),
    };
    if !state.is_ours {
        let found = format!("{tenant}: its last checkpoint is by another key");
        report.warn(CHECK, found, "if the key was not replaced, look for who signed; docs/audit.md#the-key");
    }
    if let Some(unsigned) = unsigned_for(examined, tenant, state.signed).await? {
        let limit = 3 * u64::from(examined.arguments.settings.checkpoints.audit_checkpoint_seconds) + LATE;
        if unsigned > limit {
            let found = format!("{tenant}: events of {} ago are not signed", age::in_words(unsigned));
            report.warn(CHECK, found, "start a server, or look in its log for why it does not sign");
        }
    }
    if examined.arguments.thorough {
        let mut keys = keys(&examined.arguments.keys);
        if keys.is_empty() {
            keys.push(service.key().clone());
        }
        let live = examined.database.stores().live.as_ref();
        match live::verify(live, tenant, &keys, &[] as &[&str], |_| ()).await {
            Ok(_) => {}
            Err(VerifyLiveError::Found(finding)) => report.fail(CHECK, format!("{tenant}: {finding}"), INCIDENT),
            Err(error @ (VerifyLiveError::Earlier(_) | VerifyLiveError::Store(_))) => return Err(error.into()),
        }
    }
    Ok(state.events)
}

/// Returns for how many seconds the first event after so many has been waiting; `None` if there is none.
async fn unsigned_for(examined: &Examined<'_>, tenant: &TenantId, signed: u64) -> anyhow::Result<Option<u64>> {
    let after = i64::try_from(signed)?;
    let first = examined.database.stores().audit.entries(tenant, after, 1).await?;
    let event = first.first().map(|entry| Event::read(&entry.event)).transpose()?;
    Ok(event.map(|event| age::seconds(event.event.at, examined.now)))
}

/// Checks the age of the last backup: of `mass backup`, or of another program in a folder.
pub(super) async fn check_backups(examined: &Examined<'_>, report: &mut Report) {
    const CHECK: &str = "backups";
    let arguments = examined.arguments;
    let recorded = match last_backup(examined).await {
        Ok(recorded) => recorded,
        Err(error) => {
            return report.fail(CHECK, in_one_line(&error.into()), "look at the database");
        }
    };
    let stored = match arguments.backups.as_deref().map(newest) {
        Some(Err(error)) => {
            let path = arguments.backups.as_deref().unwrap_or(Path::new("")).display();
            return report.fail(CHECK, format!("{path}: {error}"), "correct --backups");
        }
        Some(Ok(stored)) => stored,
        None => None,
    };
    let most = u64::from(arguments.max_backup_age) * 3600;
    match recorded.max(stored).map(|at| age::seconds(at, examined.now)) {
        None => report.warn(CHECK, "none is known", "run `mass backup FILE` every day, and keep the files elsewhere"),
        Some(old) if old > most => {
            let found = format!("the last one is {} old", age::in_words(old));
            report.warn(CHECK, found, "look for why there is no newer one, and run `mass backup FILE`");
        }
        Some(old) => report.ok(CHECK, format!("the last one is {} old", age::in_words(old))),
    }
}

/// Returns the time of the last backup that the audit trail tells of.
async fn last_backup(examined: &Examined<'_>) -> Result<Option<Timestamp>, PortError> {
    let filter = EventFilter { action: Some(Action::BackedUp), ..EventFilter::default() };
    let audit = &examined.database.stores().audit;
    let events = audit.list(&TenantId::system(), &filter, None, Limit::DEFAULT).await?;
    Ok(events.first().map(|event| event.event.at))
}

/// Returns the time of the newest file in a folder, or of a file.
fn newest(path: &Path) -> std::io::Result<Option<Timestamp>> {
    let found = fs::metadata(path)?;
    if !found.is_dir() {
        return Ok(Some(instant(found.modified()?)));
    }
    let mut newest = None;
    for entry in fs::read_dir(path)? {
        let found = entry?.metadata()?;
        if found.is_file() {
            newest = newest.max(Some(instant(found.modified()?)));
        }
    }
    Ok(newest)
}

fn instant(time: SystemTime) -> Timestamp {
    Timestamp::from_datetime(DateTime::<Utc>::from(time))
}
