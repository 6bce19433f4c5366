//! `mass engine`: the reference engine, with fault injection.

use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use mass_reference_engine::{Faults, Options, Rate};
use tokio::signal::unix::{SignalKind, signal};

use super::print;

/// The arguments: the address to listen on, and the faults to inject.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The port to listen on; 0 picks a free one.
    #[arg(long, default_value_t = 8001)]
    port: u16,
    /// The minimum time of each recommendation, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u32,
    /// The share of requests, 0 to 1, that are answered with an error.
    #[arg(long, value_name = "RATE", default_value = "0")]
    error_rate: Rate,
    /// The share of requests that are answered with malformed recommendations.
    #[arg(long, value_name = "RATE", default_value = "0")]
    garbage: Rate,
    /// The share of requests that are never answered.
    #[arg(long, value_name = "RATE", default_value = "0")]
    hang: Rate,
    /// The share of requests whose answers are cut off.
    #[arg(long, value_name = "RATE", default_value = "0")]
    truncate: Rate,
    /// The seconds of Retry-After in errors, which are then 503 instead of 500.
    #[arg(long, value_name = "SECONDS")]
    retry_after: Option<u32>,
    /// The seed of the injected faults: the same seed selects the same requests.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

impl Arguments {
    fn options(&self) -> Options {
        let faults = Faults {
            errors: self.error_rate,
            garbage: self.garbage,
            hangs: self.hang,
            truncations: self.truncate,
            retry_after: self.retry_after,
            seed: self.seed,
        };
        Options { latency: Duration::from_millis(self.latency.into()), faults }
    }
}

/// Runs the engine until SIGTERM or SIGINT.
///
/// # Errors
/// If it cannot listen, or the shares of faults sum to more than 1.
pub async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (host, port) = (arguments.host.as_str(), arguments.port);
    let listener = TcpListener::bind((host, port)).with_context(|| format!("cannot listen on {host}, port {port}"))?;
    let url = format!("http://{}", listener.local_addr()?);
    let server = mass_reference_engine::serve(listener, &arguments.options())?;
    print(&format!("Engine {url}\n"))?;
    let handle = server.handle();
    actix_web::rt::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        handle.stop(true).await;
    });
    server.await?;
    Ok(ExitCode::SUCCESS)
}
