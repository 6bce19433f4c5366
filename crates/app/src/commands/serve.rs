//! `mass serve`

use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::web;
use anyhow::Context;
use clap::Args;
use mass_auth::Founded;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::{print, tell_founded};
use crate::config::{Address, EngineSettings, Environment, Secrets, Settings};
use crate::engine::address::EngineUrl;
use crate::engine::{RunningWorker, Stopper, Worker};
use crate::http;
use crate::http::context::local_origin;
use crate::http::system::Draining;
use crate::periodic::Periodic;
use crate::startup::{self, Application};
use crate::telemetry::Telemetry;

/// How long a stopping server in production still takes requests while `/ready` already fails, so that a load balancer
/// turns away first.
const GRACE: Duration = Duration::from_secs(5);

/// How to serve.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print the addresses as one JSON object instead of for people.
    #[arg(long)]
    json: bool,
    /// Bring the reference engine along, for a first look: on a free port of this machine, in the place of
    /// MASS_ENGINE_URL.
    #[arg(long)]
    with_engine: bool,
    /// The settings of the server.
    #[command(flatten)]
    pub settings: Settings,
}

/// Serves until SIGTERM or SIGINT, then drains and stops. A second signal stops at once.
///
/// # Errors
/// When the start fails; the sentence names the setting.
pub async fn run(arguments: Arguments, secrets: &Secrets, telemetry: Telemetry) -> anyhow::Result<ExitCode> {
    let signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let Arguments { json, with_engine, mut settings } = arguments;
    let (host, port) = (&settings.http.host, settings.http.port);
    // Before anything is made that a second start would find: the first account has its password shown once.
    // An address of IPv6 may stand in brackets, as in a URL.
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let listener = TcpListener::bind((address, port))
        .with_context(|| format!("cannot listen on MASS_HOST={host}, MASS_PORT={port}"))?;
    let companion = with_engine.then(|| start_companion(&mut settings.engine)).transpose()?;
    let application = Application::build(&settings, secrets, telemetry).await?;
    let begun = begin(&settings, secrets, json, listener, &application).await;
    if begun.is_err() {
        tell_founded(application.founded.as_ref());
    }
    let server = begun?;
    let audit = application.services.audit.clone();

    let grace = match settings.local.stage.env {
        Environment::Production => GRACE,
        Environment::Development => Duration::ZERO,
    };
    let worker = startup::worker(&settings.worker, &application.services).map(Worker::start);
    let checkpoints = Duration::from_secs(settings.checkpoints.audit_checkpoint_seconds.into());
    let periodic = Periodic::start(&application.services, checkpoints);
    let stop = Stop {
        server: server.handle(),
        worker: worker.as_ref().map(RunningWorker::stopper),
        periodic: periodic.stopper(),
        grace,
    };
    actix_web::rt::spawn(stop_on_signal(signals, stop, application.services.draining.clone()));
    server.await?;
    periodic.finish().await;
    if let Some(worker) = worker {
        worker.finish().await;
    }
    if let Some(companion) = companion {
        companion.stop(false).await;
    }
    if let Err(error) = audit.stopped(Map::new(), &local_origin()).await {
        tracing::warn!(error = format!("{error:#}"), "the stop cannot be recorded in the audit trail");
    }
    application.services.telemetry.stop().await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Records the start, listens, and tells where. Whatever fails here, the first account is made already.
async fn begin(
    settings: &Settings,
    secrets: &Secrets,
    json: bool,
    listener: TcpListener,
    application: &Application,
) -> anyhow::Result<Server> {
    let url = format!("http://{}", listener.local_addr()?);
    // Before the first request is taken: what cannot be recorded does not happen.
    let recording = application.services.audit.started(configuration(settings, secrets), &local_origin()).await;
    recording.context("the start cannot be recorded in the audit trail")?;
    let server = http::serve(listener, application.services.clone())?;
    let database = application.services.database.describe();
    print(&announcement(settings, json, &url, database, application.founded.as_ref()))?;
    tracing::info!(url, database, version = env!("CARGO_PKG_VERSION"), commit = env!("MASS_COMMIT"), "serving");
    Ok(server)
}

/// What `mass config` shows, for the event of the start.
fn configuration(settings: &Settings, secrets: &Secrets) -> Map<String, Value> {
    let shown: Map<_, _> = settings.shown(secrets).into_iter().map(|(name, value)| (name, value.into())).collect();
    Map::from_iter([("configuration".to_owned(), shown.into())])
}

fn announcement(settings: &Settings, json: bool, url: &str, database: &str, founded: Option<&Founded>) -> String {
    let password = founded
        .and_then(|founded| founded.generated_password.as_ref())
        .filter(|_| settings.local.stage.env == Environment::Development)
        .map(ExposeSecret::expose_secret);
    let docs = format!("{url}/docs");
    if json {
        let email = settings.local.admin_email.as_str();
        let engine = settings.engine.url().ok().flatten().map(ToString::to_string);
        let object = json!({
            "url": url, "docs": docs, "database": database, "engine": engine,
            "admin": {"email": email, "password": password},
        });
        return format!("{object}\n");
    }
    let mut text =
        format!("MASS {}\n  API       {url}\n  Docs      {docs}\n  Database  {database}\n", env!("CARGO_PKG_VERSION"));
    if let Ok(Some(engine)) = settings.engine.url() {
        text += &format!("  Engine    {engine}\n");
    }
    if let Some(founded) = founded {
        text += &format!("  Admin     {}\n", founded.email);
    }
    if let Some(password) = password {
        text += &format!("  Password  {password}   (shown this once; change it with: mass reset-password)\n");
    }
    text
}

/// Starts an engine in the same process, and makes it the one that is configured.
fn start_companion(settings: &mut EngineSettings) -> anyhow::Result<ServerHandle> {
    let listener = TcpListener::bind("127.0.0.1:0").context("--with-engine cannot listen on 127.0.0.1")?;
    let url = EngineUrl::parse(&format!("http://{}", listener.local_addr()?))?;
    let server = mass_reference_engine::serve(listener, &mass_reference_engine::Options::default())?;
    let engine = server.handle();
    actix_web::rt::spawn(server);
    settings.engine_url = Some(Address(Ok(Some(url))));
    settings.engine_allowed_hosts.clear();
    Ok(engine)
}

/// What has to stop.
struct Stop {
    server: ServerHandle,
    worker: Option<Stopper>,
    periodic: watch::Sender<bool>,
    grace: Duration,
}

async fn stop_on_signal((mut terminate, mut interrupt): (Signal, Signal), stop: Stop, draining: web::Data<Draining>) {
    next(&mut terminate, &mut interrupt).await;
    tracing::info!("stopping: requests under way are finished");
    draining.begin();
    let Stop { server, worker, periodic, grace } = stop;
    periodic.send_replace(true);
    if let Some(worker) = &worker {
        worker.stop();
    }
    let drain = async {
        tokio::time::sleep(grace).await;
        server.stop(true).await;
        // The worker may still wait for the engine.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = drain => {}
        () = next(&mut terminate, &mut interrupt) => {
            if let Some(worker) = &worker {
                worker.stop_now();
            }
            server.stop(false).await;
        }
    }
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
