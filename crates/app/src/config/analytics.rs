//! Settings of analytics.

use clap::{ArgAction, Args};

use super::HEADING;

/// The projection of the audit trail into figures.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HEADING)]
pub struct AnalyticsSettings {
    /// Keep the figures up to date with the audit trail; at `false`, another server on the same database has to.
    #[arg(long, default_value_t = true, hide_possible_values = true, action = ArgAction::Set)]
    pub analytics: bool,
}
