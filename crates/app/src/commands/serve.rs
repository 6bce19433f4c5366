//! `mass serve`

use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::web;
use anyhow::Context;
use clap::Args;
use mass_auth::Bootstrapped;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::{print, print_first_password};
use crate::config::{Address, EngineSettings, Environment, Secrets, Settings};
use crate::engine::address::EngineUrl;
use crate::engine::{RunningWorker, Stopper, Worker};
use crate::http;
use crate::http::context::local_origin;
use crate::http::system::Draining;
use crate::periodic::Periodic;
use crate::startup::{self, Application};
use crate::telemetry::Telemetry;

/// The time for which a stopping server in production still takes requests while `/ready` fails, so that the load
/// balancer stops sending first.
const GRACE: Duration = Duration::from_secs(5);

/// The arguments of the server.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print the addresses as one JSON object instead of text.
    #[arg(long)]
    pub(super) json: bool,
    /// Start the reference engine as well, on a free local port, and use it instead of MASS_ENGINE_URL.
    #[arg(long)]
    pub(super) with_engine: bool,
    /// The settings of the server.
    #[command(flatten)]
    pub settings: Settings,
}

/// Serves until SIGTERM or SIGINT, then drains and stops. A second signal stops at once.
///
/// # Errors
/// If the start fails; the message names the setting.
pub async fn run(arguments: Arguments, secrets: &Secrets, telemetry: Telemetry) -> anyhow::Result<ExitCode> {
    serve(arguments, secrets, telemetry, None).await
}

/// Serves, and announces the accounts of a demo as well.
///
/// # Errors
/// As [`run`].
pub(super) async fn serve(
    arguments: Arguments,
    secrets: &Secrets,
    telemetry: Telemetry,
    demo: Option<&DemoAccounts>,
) -> anyhow::Result<ExitCode> {
    let signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let Arguments { json, with_engine, mut settings } = arguments;
    let (host, port) = (&settings.http.host, settings.http.port);
    // Binds the port before the first account is created, because its password is shown only once. An IPv6 address may
    // stand in brackets, as in a URL.
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let listener = TcpListener::bind((address, port))
        .with_context(|| format!("cannot listen on MASS_HOST={host}, MASS_PORT={port}"))?;
    let reference_engine = with_engine.then(|| start_reference_engine(&mut settings.engine)).transpose()?;
    let application = Application::build(&settings, secrets, telemetry).await?;
    let begun = begin(&settings, secrets, &Announcement { json, demo }, listener, &application).await;
    if begun.is_err() {
        print_first_password(application.bootstrapped.as_ref());
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
    let shutdown = Shutdown {
        server: server.handle(),
        worker: worker.as_ref().map(RunningWorker::stopper),
        periodic: periodic.stopper(),
        grace,
    };
    actix_web::rt::spawn(stop_on_signal(signals, shutdown, application.services.draining.clone()));
    server.await?;
    periodic.finish().await;
    if let Some(worker) = worker {
        worker.finish().await;
    }
    if let Some(reference_engine) = reference_engine {
        reference_engine.stop(false).await;
    }
    if let Err(error) = audit.stopped(Map::new(), &local_origin()).await {
        tracing::warn!(error = format!("{error:#}"), "the stop cannot be recorded in the audit trail");
    }
    application.services.telemetry.stop().await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Records the start, listens, and prints the address. If this fails, the first account exists already.
async fn begin(
    settings: &Settings,
    secrets: &Secrets,
    announcement: &Announcement<'_>,
    listener: TcpListener,
    application: &Application,
) -> anyhow::Result<Server> {
    let url = format!("http://{}", listener.local_addr()?);
    // Before the first request: an action that cannot be recorded must not happen.
    let recording = application.services.audit.started(configuration(settings, secrets), &local_origin()).await;
    recording.context("the start cannot be recorded in the audit trail")?;
    let server = http::serve(listener, application.services.clone())?;
    let database = application.services.database.describe();
    print(&announcement.text(settings, &url, database, application.bootstrapped.as_ref()))?;
    tracing::info!(url, database, version = env!("CARGO_PKG_VERSION"), commit = env!("MASS_COMMIT"), "serving");
    Ok(server)
}

/// Returns the output of `mass config`, for the event of the start.
fn configuration(settings: &Settings, secrets: &Secrets) -> Map<String, Value> {
    let shown: Map<_, _> = settings.shown(secrets).into_iter().map(|(name, value)| (name, value.into())).collect();
    Map::from_iter([("configuration".to_owned(), shown.into())])
}

/// The users of a demo, which share a password.
pub(super) struct DemoAccounts {
    /// Each address with its role.
    pub(super) users: Vec<(String, &'static str)>,
    /// The password.
    pub(super) password: String,
}

impl DemoAccounts {
    /// Returns the accounts as text for people.
    fn text(&self) -> String {
        let users = self.users.iter().map(|(email, role)| format!("  Log in    {email:<24} {role}\n"));
        users.chain([format!("  Password  {}   (of each of them)\n", self.password)]).collect()
    }

    /// Returns the accounts for programs.
    fn json(&self) -> Value {
        let users = self.users.iter().map(|(email, role)| json!({"email": email, "role": role}));
        json!({"users": users.collect::<Value>(), "password": self.password})
    }
}

/// The form of what is printed once the server listens.
struct Announcement<'a> {
    json: bool,
    demo: Option<&'a DemoAccounts>,
}

impl Announcement<'_> {
    fn text(&self, settings: &Settings, url: &str, database: &str, bootstrapped: Option<&Bootstrapped>) -> String {
        let password = bootstrapped
            .and_then(|bootstrapped| bootstrapped.generated_password.as_ref())
            .filter(|_| settings.local.stage.env == Environment::Development)
            .map(ExposeSecret::expose_secret);
        let docs = format!("{url}/docs");
        if self.json {
            let email = settings.local.admin_email.as_str();
            let engine = settings.engine.url().ok().flatten().map(ToString::to_string);
            let mut object = json!({
                "url": url, "docs": docs, "database": database, "engine": engine,
                "admin": {"email": email, "password": password},
            });
            if let Some(demo) = self.demo {
                object["demo"] = demo.json();
            }
            return format!("{object}\n");
        }
        let mut text = format!(
            "MASS {}\n  Console   {url}/\n  API       {url}\n  Docs      {docs}\n  Database  {database}\n",
            env!("CARGO_PKG_VERSION")
        );
        if let Ok(Some(engine)) = settings.engine.url() {
            text += &format!("  Engine    {engine}\n");
        }
        if let Some(bootstrapped) = bootstrapped {
            text += &format!("  Admin     {}\n", bootstrapped.email);
        }
        if let Some(password) = password {
            text += &format!("  Password  {password}   (shown this once; change it with: mass reset-password)\n");
        }
        if let Some(demo) = self.demo {
            text += &demo.text();
        }
        text
    }
}

/// Starts the reference engine in this process, and configures it as the engine.
pub(super) fn start_reference_engine(settings: &mut EngineSettings) -> anyhow::Result<ServerHandle> {
    let listener = TcpListener::bind("127.0.0.1:0").context("--with-engine cannot listen on 127.0.0.1")?;
    let url = EngineUrl::parse(&format!("http://{}", listener.local_addr()?))?;
    let server = mass_reference_engine::serve(listener, &mass_reference_engine::Options::default())?;
    let engine = server.handle();
    actix_web::rt::spawn(server);
    settings.engine_url = Some(Address(Ok(Some(url))));
    settings.engine_allowed_hosts.clear();
    Ok(engine)
}

/// The parts of the server that have to stop.
struct Shutdown {
    server: ServerHandle,
    worker: Option<Stopper>,
    periodic: watch::Sender<bool>,
    grace: Duration,
}

async fn stop_on_signal(
    (mut terminate, mut interrupt): (Signal, Signal),
    shutdown: Shutdown,
    draining: web::Data<Draining>,
) {
    next(&mut terminate, &mut interrupt).await;
    tracing::info!("stopping: requests under way are finished");
    draining.begin();
    let Shutdown { server, worker, periodic, grace } = shutdown;
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
