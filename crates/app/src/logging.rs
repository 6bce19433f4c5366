//! Log lines on standard error.

use std::io::IsTerminal;

use anyhow::Context;
use mass_domain::trace::SPANS;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::{LogFormat, LogSettings, wants_no_colour};
use crate::telemetry::Telemetry;

/// Starts logging for the whole process, panics included, and gives the spans to telemetry.
///
/// # Errors
/// When the filter cannot be read.
pub fn start(settings: &LogSettings, telemetry: &Telemetry) -> anyhow::Result<()> {
    // What the framework says of its own starting and stopping is said better by `serve`, and that a client does not
    // speak HTTP is no error here. Spans that are exported are no lines.
    let filter = EnvFilter::builder()
        .parse(format!("actix_server=warn,actix_http=off,r2d2=off,opentelemetry=warn,{SPANS}=off,{}", settings.filter))
        .with_context(|| format!("MASS_LOG=\"{}\" is no filter", settings.filter))?;
    let colours = std::io::stderr().is_terminal() && !wants_no_colour();
    // A line that cannot be written is lost: to complain of it on the same standard error would be a panic.
    let lines =
        tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(std::io::stderr).log_internal_errors(false);
    let lines = match settings.format {
        LogFormat::Pretty => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
    };
    let spans = telemetry.layer();
    // A second start in the same process (tests) keeps the first.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).with(spans).try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, message, "panic");
    }));
    Ok(())
}
