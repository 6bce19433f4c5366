//! `mass audit verify --live`: verifies the database, without changing it.

use std::process::ExitCode;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use mass_audit_service::live::{self, LiveReport, VerifyLiveError};
use mass_domain::audit::note::{Checkpoint, NoteKey, SignedNote};
use mass_domain::tenancy::TenantId;
use mass_persistence::Database;
use serde_json::json;

use super::verify::{Arguments, found, told};
use super::{FOUND, keys_or_own, read_checkpoint, require_tenant};
use crate::commands::print;
use crate::config::Secrets;
use crate::startup;

/// Verifies the log of a tenant, or of every tenant.
pub(super) async fn verify(arguments: &Arguments, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    let database = startup::open(&arguments.database, secrets)?;
    let Arguments { stage, audit, .. } = arguments;
    let keys = keys_or_own(&arguments.keys, stage, &arguments.database.folder, audit, secrets)?;
    let mut tenants = database.stores().audit.tenants().await?;
    if let Some(tenant) = &arguments.tenant {
        require_tenant(tenant, &tenants)?;
        tenants = vec![tenant.clone()];
    }
    let earlier = earlier(arguments, &tenants)?;
    let mut is_good = true;
    for tenant in tenants {
        let notes: Vec<&str> = earlier.iter().filter(|(of, _)| *of == tenant).map(|(_, note)| note.as_str()).collect();
        match verify_tenant(&database, &tenant, &keys, &notes).await {
            Ok(report) => print(&told(arguments.json, &report.to_string(), || summary(&report)))?,
            Err(VerifyLiveError::Found(finding)) => {
                is_good = false;
                found(arguments.json, &format!("{tenant}: {finding}"))?;
            }
            Err(error @ (VerifyLiveError::Earlier(_) | VerifyLiveError::Store(_))) => {
                return Err(error).with_context(|| format!("the log of {tenant}"));
            }
        }
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

async fn verify_tenant(
    database: &Database,
    tenant: &TenantId,
    keys: &[NoteKey],
    earlier: &[&str],
) -> Result<LiveReport, VerifyLiveError> {
    let stores = database.stores();
    let progress = events_bar(stores.audit.head(tenant).await?.size());
    let result = live::verify(stores.live.as_ref(), tenant, keys, earlier, |events| progress.inc(events)).await;
    progress.finish_and_clear();
    result
}

fn events_bar(events: u64) -> ProgressBar {
    let template = "{bar:30} {percent:>3} %  {per_sec}  {eta} left";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(events).with_style(style)
}

/// Reads the given checkpoints, each with the tenant of its log.
fn earlier(arguments: &Arguments, tenants: &[TenantId]) -> anyhow::Result<Vec<(TenantId, String)>> {
    let mut found = Vec::new();
    for path in &arguments.checkpoints {
        let file = || format!("the checkpoint {}", path.display());
        let note = read_checkpoint(path)?;
        let signed: SignedNote = note.parse().with_context(file)?;
        let Checkpoint { origin, .. } = signed.text.parse().with_context(file)?;
        let of = |tenant: &&TenantId| origin.rsplit_once('/').is_some_and(|(_, of)| of == tenant.as_str());
        match tenants.iter().find(of) {
            Some(tenant) => found.push((tenant.clone(), note)),
            None => bail!("the checkpoint {} is of {origin}, which is not being verified", path.display()),
        }
    }
    Ok(found)
}

fn summary(report: &LiveReport) -> serde_json::Value {
    json!({
        "tenant": report.tenant.as_str(), "events": report.events, "archived": report.archived,
        "root": report.root.to_string(), "requests": report.requests,
        "unindexed": report.unindexed, "users": report.users, "untold_users": report.untold_users, "checkpoints": report.checkpoints,
        "covered": report.covered, "signatures_checked": report.signatures_checked, "confirmed": report.confirmed,
    })
}
