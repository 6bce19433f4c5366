//! `mass doctor`: examines an installation, and tells what to do about each finding.

mod age;
mod credentials;
mod database;
mod engine;
mod figures;
mod machine;
mod report;
mod tenants;
mod trail;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use mass_domain::tenancy::TenantId;
use mass_domain::time::{Clock, Timestamp};
use mass_persistence::Database;

use self::report::Report;
use super::audit::GivenKey;
use super::print;
use crate::config::{Secrets, Settings};
use crate::startup::SystemClock;

/// The arguments: the thresholds of the checks, and the settings to examine.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print the findings as one JSON object.
    #[arg(long)]
    json: bool,
    /// Read everything as well: verify every log of the audit trail, and the whole file of SQLite.
    #[arg(long)]
    thorough: bool,
    /// The file or folder of backups that other programs make. Its newest file counts as a backup.
    #[arg(long, value_name = "PATH")]
    backups: Option<PathBuf>,
    /// The age of the last backup, in hours, from which it is a warning.
    #[arg(long, value_name = "HOURS", default_value_t = 26)]
    max_backup_age: u32,
    /// The free space on a disk, in MiB, below which it is a warning.
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    min_free: u64,
    /// With --thorough: the public key of the audit trail, or a file with it; with several, each signature must be by one of
    /// them [default: the present one].
    #[arg(long = "key", value_name = "KEY|FILE", requires = "thorough")]
    keys: Vec<GivenKey>,
    /// The settings of the server.
    #[command(flatten)]
    settings: Settings,
}

/// Examines the installation, changes nothing, and prints the findings.
///
/// # Errors
/// If standard output cannot be written. Faults of the installation are findings.
pub async fn run(arguments: &Arguments, secrets: &Secrets) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    let settings = &arguments.settings;
    machine::check(arguments, secrets, &mut report);
    match database::check(settings, secrets, arguments.thorough, &mut report).await {
        Some((database, tenants)) => {
            let examined = Examined { arguments, secrets, database: &database, tenants, now: SystemClock.now() };
            credentials::check(&examined, &mut report).await;
            trail::check(&examined, &mut report).await;
            trail::check_backups(&examined, &mut report).await;
            figures::check(&examined, &mut report).await;
            engine::check_deliveries(&examined, &mut report).await;
            tenants::check(&examined, &mut report).await;
        }
        None => {
            for check in ["keys", "trail", "backups", "projector", "deliveries", "retention", "erasure"] {
                report.skip(check, "needs a migrated database");
            }
        }
    }
    engine::check(settings, secrets, &mut report).await;
    print(&if arguments.json { format!("{}\n", report.json()) } else { report.to_string() })?;
    Ok(report.exit_code())
}

/// A migrated database to examine, and what the checks compare it with.
struct Examined<'a> {
    arguments: &'a Arguments,
    secrets: &'a Secrets,
    database: &'a Database,
    tenants: Vec<TenantId>,
    now: Timestamp,
}

impl Examined<'_> {
    /// Returns the tenants that have users and data.
    fn customers(&self) -> impl Iterator<Item = &TenantId> {
        self.tenants.iter().filter(|tenant| tenant.as_str() != TenantId::SYSTEM)
    }
}
