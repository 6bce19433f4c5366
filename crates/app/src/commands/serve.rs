//! `mass serve`

use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::web;
use anyhow::Context;
use clap::Args;
use mass_audit_service::AuditService;
use mass_auth::Founded;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::MissedTickBehavior;

use super::{print, tell_founded};
use crate::config::{Address, Environment, Settings};
use crate::engine::address::EngineUrl;
use crate::engine::{RunningWorker, Stopper, Worker};
use crate::http;
use crate::http::context::local_origin;
use crate::http::limits::Limits;
use crate::http::system::Draining;
use crate::startup::{self, Application};
use crate::telemetry::Telemetry;

/// How long a stopping server in production still takes requests while `/ready` already fails, so that a load balancer
/// turns away first.
const GRACE: Duration = Duration::from_secs(5);

/// How often what has outlived its use is cleared away.
const HOUSEKEEPING: Duration = Duration::from_secs(3600);

/// How often the memory of rate limits is given back that nobody draws from any more.
const TIDYING: Duration = Duration::from_secs(60);

/// How often the queue for the engine is counted, for collectors of metrics.
const COUNTING: Duration = Duration::from_secs(15);

/// How long an idempotency key is kept: twice the promised 24 hours.
const IDEMPOTENCY_KEYS_SECONDS: i64 = 48 * 3600;

/// How long an ended session is kept, and a failed attempt to log in.
const LOGINS_SECONDS: i64 = 48 * 3600;

/// How long it is remembered from which addresses somebody has logged in.
const KNOWN_ADDRESSES_SECONDS: i64 = 90 * 24 * 3600;

/// How to serve.
#[derive(Debug, Default, Args)]
pub struct Arguments {
    /// Print the addresses as one JSON object instead of for people.
    #[arg(long)]
    json: bool,
    /// Bring the reference engine along, for a first look: on a free port of this machine, in the place of
    /// MASS_ENGINE_URL.
    #[arg(long)]
    with_engine: bool,
}

/// Serves until SIGTERM or SIGINT, then drains and stops. A second signal stops at once.
///
/// # Errors
/// When the start fails; the sentence names the setting.
pub async fn run(settings: &Settings, arguments: &Arguments, telemetry: Telemetry) -> anyhow::Result<ExitCode> {
    let signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (host, port) = (&settings.http.host, settings.http.port);
    // Before anything is made that a second start would find: the first account has its password shown once.
    // An address of IPv6 may stand in brackets, as in a URL.
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let listener = TcpListener::bind((address, port))
        .with_context(|| format!("cannot listen on MASS_HOST={host}, MASS_PORT={port}"))?;
    let companion = arguments.with_engine.then(|| Companion::start(settings)).transpose()?;
    let settings = companion.as_ref().map_or(settings, |companion| &companion.settings);
    let application = Application::build_with(settings, telemetry).await?;
    let begun = begin(settings, arguments, listener, &application).await;
    if begun.is_err() {
        tell_founded(application.founded.as_ref());
    }
    let server = begun?;
    let audit = application.services.audit.clone();

    let grace = match settings.stage.environment {
        Environment::Production => GRACE,
        Environment::Development => Duration::ZERO,
    };
    let worker = startup::worker(settings, &application.services).map(Worker::start);
    let stop = Stop { server: server.handle(), worker: worker.as_ref().map(RunningWorker::stopper), grace };
    actix_web::rt::spawn(stop_on_signal(signals, stop, application.services.draining.clone()));
    actix_web::rt::spawn(keep_house(application.services.clone()));
    actix_web::rt::spawn(tidy_limits(application.services.limits.clone()));
    actix_web::rt::spawn(count_deliveries(application.services.clone()));
    let interval = Duration::from_secs(settings.audit.checkpoint_seconds.into());
    actix_web::rt::spawn(sign_audit_trail(audit.clone(), interval));
    server.await?;
    if let Some(worker) = worker {
        worker.finish().await;
    }
    if let Some(companion) = companion {
        companion.engine.stop(false).await;
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
    arguments: &Arguments,
    listener: TcpListener,
    application: &Application,
) -> anyhow::Result<Server> {
    let url = format!("http://{}", listener.local_addr()?);
    // Before the first request is taken: what cannot be recorded does not happen.
    let recording = application.services.audit.started(configuration(settings), &local_origin()).await;
    recording.context("the start cannot be recorded in the audit trail")?;
    let server = http::serve(listener, application.services.clone())?;
    let database = application.services.database.describe();
    print(&announcement(settings, arguments, &url, database, application.founded.as_ref()))?;
    tracing::info!(url, database, version = env!("CARGO_PKG_VERSION"), commit = env!("MASS_COMMIT"), "serving");
    Ok(server)
}

/// What `mass config` shows, for the event of the start.
fn configuration(settings: &Settings) -> Map<String, Value> {
    let shown: Map<_, _> = settings.shown().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    Map::from_iter([("configuration".to_owned(), shown.into())])
}

fn announcement(
    settings: &Settings,
    arguments: &Arguments,
    url: &str,
    database: &str,
    founded: Option<&Founded>,
) -> String {
    let password = founded
        .and_then(|founded| founded.generated_password.as_ref())
        .filter(|_| settings.stage.environment == Environment::Development)
        .map(ExposeSecret::expose_secret);
    let docs = format!("{url}/docs");
    if arguments.json {
        let email = settings.first.admin_email.as_str();
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

/// An engine in the same process, which ends with it.
struct Companion {
    /// What was set, with this engine.
    settings: Settings,
    engine: ServerHandle,
}

impl Companion {
    fn start(settings: &Settings) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("--with-engine cannot listen on 127.0.0.1")?;
        let url = EngineUrl::parse(&format!("http://{}", listener.local_addr()?))?;
        let server = mass_reference_engine::serve(listener, &mass_reference_engine::Options::default())?;
        let engine = server.handle();
        actix_web::rt::spawn(server);
        let mut settings = settings.clone();
        settings.engine.url = Some(Address(Ok(Some(url))));
        settings.engine.allowed_hosts.clear();
        Ok(Self { settings, engine })
    }
}

/// What has to stop.
struct Stop {
    server: ServerHandle,
    worker: Option<Stopper>,
    grace: Duration,
}

async fn stop_on_signal((mut terminate, mut interrupt): (Signal, Signal), stop: Stop, draining: web::Data<Draining>) {
    next(&mut terminate, &mut interrupt).await;
    tracing::info!("stopping: requests under way are finished");
    draining.begin();
    let Stop { server, worker, grace } = stop;
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

async fn tidy_limits(limits: web::Data<Limits>) {
    let mut ticks = tokio::time::interval(TIDYING);
    loop {
        ticks.tick().await;
        limits.tidy();
    }
}

async fn sign_audit_trail(audit: web::Data<AuditService>, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = audit.sign_all().await {
            tracing::warn!(error = format!("{error:#}"), "the audit trail cannot be signed now");
        }
    }
}

async fn count_deliveries(services: http::Services) {
    let mut ticks = tokio::time::interval(COUNTING);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match services.database.stores().outbox.backlog(services.clock.now()).await {
            Ok(backlog) => services.telemetry.metrics.queued(&backlog),
            Err(error) => tracing::warn!(error = format!("{error:#}"), "the queue for the engine cannot be counted"),
        }
    }
}

async fn keep_house(services: http::Services) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING);
    loop {
        ticks.tick().await;
        let now = services.clock.now();
        let Some(before) = now.plus_seconds(-IDEMPOTENCY_KEYS_SECONDS) else { continue };
        match services.database.purge(before).await {
            Ok(0) => {}
            Ok(keys) => tracing::info!(keys, "old idempotency keys are forgotten"),
            Err(error) => tracing::warn!(error = format!("{error:#}"), "old idempotency keys cannot be cleared away"),
        }
        let logins = (now.plus_seconds(-LOGINS_SECONDS), now.plus_seconds(-KNOWN_ADDRESSES_SECONDS));
        let (Some(before), Some(known_before)) = logins else { continue };
        match services.database.purge_logins(before, known_before).await {
            Ok(0) => {}
            Ok(logins) => tracing::info!(logins, "ended sessions and old attempts to log in are forgotten"),
            Err(error) => tracing::warn!(error = format!("{error:#}"), "ended sessions cannot be cleared away"),
        }
    }
}
