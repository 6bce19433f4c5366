//! Settings of log lines, traces and metrics.

use anyhow::{Context, bail};
use clap::{ArgAction, Args, ValueEnum};
use secrecy::{ExposeSecret, SecretString};

use super::HEADING;
use super::secrets::Secrets;

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for people.
    Pretty,
    /// One JSON object per line, for collectors.
    Json,
}

/// The log on standard error.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HEADING)]
pub struct LogSettings {
    /// The log filter: a level, or a filter such as `info,mass_app=debug`.
    #[arg(long, global = true, display_order = 100, default_value = "info")]
    pub log: String,
    /// The form of log lines.
    #[arg(long, global = true, display_order = 101, default_value = "pretty")]
    pub log_format: LogFormat,
}

/// The destination of traces and metrics, by OpenTelemetry's own variables. Those that may hold a password are
/// [secrets](Secrets); the others (`OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_RESOURCE_ATTRIBUTES`, …)
/// are read by OpenTelemetry's library.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = HEADING)]
pub struct TelemetrySettings {
    /// `true` disables sending, regardless of other settings.
    #[arg(long, env, default_value = "false", action = ArgAction::Set, value_parser = boolean)]
    pub otel_sdk_disabled: bool,
}

impl TelemetrySettings {
    /// Returns the URL that traces are sent to, if any.
    ///
    /// # Errors
    /// If the value is not the URL of a collector.
    pub fn traces(&self, secrets: &Secrets) -> anyhow::Result<Option<SecretString>> {
        let own = (secrets.otel_traces_endpoint.as_ref(), "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        self.signal(secrets, own, "v1/traces")
    }

    /// Returns the URL that metrics are sent to, if any.
    ///
    /// # Errors
    /// If the value is not the URL of a collector.
    pub fn metrics(&self, secrets: &Secrets) -> anyhow::Result<Option<SecretString>> {
        let own = (secrets.otel_metrics_endpoint.as_ref(), "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT");
        self.signal(secrets, own, "v1/metrics")
    }

    /// Returns the URL of a signal: its own, or the endpoint of all signals with the signal's path. A signal's URL
    /// alone, without that endpoint, sends nothing.
    fn signal(
        &self,
        secrets: &Secrets,
        own: (Option<&SecretString>, &str),
        path: &str,
    ) -> anyhow::Result<Option<SecretString>> {
        let all = secrets.otel_endpoint.as_ref().map(collector).transpose().context("OTEL_EXPORTER_OTLP_ENDPOINT")?;
        let own = own.0.map(collector).transpose().with_context(|| own.1.to_owned())?;
        let Some(all) = all.filter(|_| !self.otel_sdk_disabled) else { return Ok(None) };
        let url = own.map_or_else(|| format!("{}/{path}", all.as_str().trim_end_matches('/')), String::from);
        Ok(Some(url.into()))
    }
}

/// Parses the URL of a collector. The URL may hold a password: errors do not repeat it, and the exporter must not get
/// one, because it logs its URL with each failure.
fn collector(text: &SecretString) -> anyhow::Result<reqwest::Url> {
    let url = reqwest::Url::parse(text.expose_secret().trim()).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.context("expected the URL of a collector such as http://localhost:4318")?;
    if !url.username().is_empty() || url.password().is_some() {
        bail!("expected a URL without a user name and a password; OTEL_EXPORTER_OTLP_HEADERS is for credentials");
    }
    Ok(url)
}

/// Parses a boolean in any letter case, as OpenTelemetry does.
fn boolean(text: &str) -> Result<bool, String> {
    text.trim().to_ascii_lowercase().parse().map_err(|_| "expected true or false".to_owned())
}
