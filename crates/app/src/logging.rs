//! Log lines on standard error.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use anyhow::Context;
use mass_domain::trace::SPANS;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::{LogFormat, LogSettings, wants_no_colour};
use crate::telemetry::Telemetry;
use crate::terminal::write_stderr;

/// Starts logging for the whole process, panics included, and passes the spans to telemetry.
///
/// # Errors
/// If the filter cannot be parsed.
pub fn start(settings: &LogSettings, telemetry: &Telemetry) -> anyhow::Result<()> {
    // `serve` logs start and stop itself, and a client that does not speak HTTP is not an error here. Exported spans
    // are not logged.
    let filter = EnvFilter::builder()
        .parse(format!("actix_server=warn,actix_http=off,r2d2=off,opentelemetry=warn,{SPANS}=off,{}", settings.log))
        .with_context(|| format!("MASS_LOG=\"{}\" is not a log filter", settings.log))?;
    let colours = std::io::stderr().is_terminal() && !wants_no_colour();
    // A line that cannot be written is lost: an error message on the same standard error would panic.
    let lines =
        tracing_subscriber::fmt::layer().with_ansi(colours).with_writer(std::io::stderr).log_internal_errors(false);
    let lines = match settings.log_format {
        LogFormat::Pretty => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
    };
    let spans = telemetry.layer();
    // A second start in the same process (tests) keeps the first.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).with(spans).try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, message = text_of(panic), "panic");
    }));
    Ok(())
}

/// Reports panics before logging has started.
pub fn shield_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        write_stderr(&format!("mass: panic at {place}: {}\n", text_of(panic)));
    }));
}

/// Returns the literal text of a panic. A formatted message may contain a secret or client data, such as a string that
/// was indexed out of bounds.
fn text_of<'a>(panic: &PanicHookInfo<'a>) -> &'a str {
    panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("(not shown, since it may hold a secret)")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_text_of_a_panic_has_no_value_in_it() {
        let (sender, texts) = mpsc::channel();
        let earlier = std::panic::take_hook();
        let thread = std::thread::current().id();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().id() == thread {
                drop(sender.send(text_of(panic).to_owned()));
            } else {
                earlier(panic);
            }
        }));
        let secret = "hunter2é".to_owned();
        drop(std::panic::catch_unwind(|| secret[..8].len()));
        drop(std::panic::catch_unwind(|| panic!("as it stands in the source")));
        drop(std::panic::take_hook());
        let texts: Vec<String> = texts.iter().collect();
        assert_eq!(texts, ["(not shown, since it may hold a secret)", "as it stands in the source"]);
    }
}
