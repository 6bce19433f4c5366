//! Settings of webhooks.

use clap::{ArgAction, Args};

use super::engine::{AllowedHost, engine_host};
use crate::engine::address::Host;

/// Which addresses webhooks may have.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = super::HEADING)]
pub struct WebhookSettings {
    /// Call the webhooks of tenants, who choose their addresses.
    #[arg(long, default_value_t = true, hide_possible_values = true, action = ArgAction::Set)]
    pub webhooks: bool,
    /// Hosts of webhooks that may have private addresses and plain HTTP, separated by commas [default: none].
    #[arg(long, value_delimiter = ',', value_parser = engine_host)]
    pub webhook_private_hosts: Vec<AllowedHost>,
}

impl WebhookSettings {
    /// Returns the hosts that may have private addresses.
    #[must_use]
    pub fn private_hosts(&self) -> Vec<Host> {
        self.webhook_private_hosts.iter().filter_map(|host| host.0.clone()).collect()
    }
}
