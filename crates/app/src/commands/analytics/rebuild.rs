//! `mass analytics rebuild`.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use mass_domain::tenancy::TenantId;

use crate::commands::{open, print};
use crate::config::{LocalSettings, Secrets};

/// The arguments: the tenant whose figures are made anew.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The tenant [default: MASS_TENANT].
    #[arg(long, value_parser = TenantId::parse)]
    tenant: Option<TenantId>,
    /// Print the result as one JSON object instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    local: LocalSettings,
}

/// Deletes the figures of a tenant, and computes them again from the audit trail. A server may go on meanwhile.
pub(super) async fn run(arguments: Arguments, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    let Arguments { tenant: named, json, local } = arguments;
    let (installation, principal) = open(&local, secrets, named).await?;
    let tenant = principal.tenant();
    let progress = installation.projector().rebuild(tenant).await.context("the figures cannot be rebuilt")?;
    if json {
        let result = serde_json::json!({
            "tenant": tenant.as_str(), "sequence": progress.position, "head": progress.head, "points": progress.points,
        });
        print(&format!("{result}\n"))?;
    } else {
        print(&format!("{tenant}: {} events projected, {} points\n", progress.position, progress.points))?;
    }
    if let Some(stop) = progress.stopped {
        bail!("the projection cannot go past event {}: {}", stop.sequence, stop.reason);
    }
    Ok(ExitCode::SUCCESS)
}
