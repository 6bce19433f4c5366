//! Settings of tenants.

use clap::Args;

use super::HEADING;

/// The grace period of tenants whose deletion is requested.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HEADING)]
pub struct TenantDeletionSettings {
    /// Days between the request of a tenant's deletion and its erasure: 0 to 3650.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(0..=3650))]
    pub tenant_deletion_days: u16,
}
