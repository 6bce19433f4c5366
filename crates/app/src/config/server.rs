//! Settings of the listener, the public address and the rate limits.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;

use clap::{ArgAction, Args};
use ipnet::IpNet;

use super::HEADING;
use crate::http::limits::PerMinute;
use crate::http::public::PublicUrl;

/// The listener.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HEADING)]
pub struct HttpSettings {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    pub host: String,
    /// The port to listen on; 0 picks a free one and prints it.
    #[arg(long, default_value_t = 8000)]
    pub port: u16,
    /// The maximum body of a single request, in bytes.
    #[arg(long, default_value_t = 1_048_576, value_parser = body_limit)]
    pub body_limit_bytes: usize,
    /// Origins whose pages may call the API from a browser, separated by commas.
    #[arg(long, value_delimiter = ',', value_parser = origin)]
    pub cors_origins: Vec<String>,
    /// Proxies whose X-Forwarded-For and X-Forwarded-Proto are trusted: addresses or networks, separated by commas.
    #[arg(long, value_delimiter = ',', value_parser = proxy)]
    pub trusted_proxies: Vec<IpNet>,
    /// Let anybody register an account, as a viewer in MASS_TENANT.
    #[arg(long, default_value_t = false, hide_possible_values = true, action = ArgAction::Set)]
    pub allow_registration: bool,
}

/// The public address.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HEADING)]
pub struct PublicSettings {
    /// The public URL of the server behind a proxy: an address that may have a path, such as `https://example.org/mass`
    /// [default: the address that clients use, without a path].
    #[arg(long, hide_default_value = true, default_value = "", value_parser = PublicUrl::from_str)]
    pub public_url: PublicUrl,
}

/// The rate limits in requests per minute; 0 for no limit.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HEADING)]
pub struct LimitSettings {
    /// Requests per minute of each user or API key; 0 disables all rate limits.
    #[arg(long, default_value_t = 6000)]
    pub rate_limit_per_minute: u32,
    /// Requests per minute of each tenant, over all its credentials; 0 for no limit.
    #[arg(long, default_value_t = 60_000)]
    pub tenant_rate_limit_per_minute: u32,
    /// Log-ins, refreshes and registrations per minute from each address; 0 for no limit.
    #[arg(long, default_value_t = 60)]
    pub address_rate_limit_per_minute: u32,
}

impl LimitSettings {
    /// Returns the effective limits.
    #[must_use]
    pub fn per_minute(&self) -> PerMinute {
        let limit = |requests| NonZeroU32::new(requests).filter(|_| self.rate_limit_per_minute > 0);
        PerMinute {
            address: limit(self.address_rate_limit_per_minute),
            credential: limit(self.rate_limit_per_minute),
            tenant: limit(self.tenant_rate_limit_per_minute),
        }
    }
}

fn body_limit(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if bytes >= 1024 => Ok(bytes),
        _ => Err("expected a whole number of bytes, at least 1024".to_owned()),
    }
}

/// Parses an origin in the form that browsers send (RFC 6454, section 6.2), so that it can be compared byte by byte.
fn origin(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text.trim()).map_err(|error| error.to_string())?;
    let origin = url.origin().ascii_serialization();
    if matches!(url.scheme(), "http" | "https") && origin == text.trim() {
        Ok(origin)
    } else {
        Err("expected an origin such as https://console.example:8443".to_owned())
    }
}

fn proxy(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map_err(|_| "expected an address or a network such as 10.0.0.0/8".to_owned())
}
