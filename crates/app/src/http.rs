//! HTTP: extract, call a use case, map its answer. Nothing is decided here that is not about HTTP.

mod accept;
pub mod actor;
pub mod admin;
pub mod alerts;
pub mod analytics;
mod assets;
pub mod audit;
pub mod auth;
pub mod batch;
pub mod body;
pub mod client;
mod connection;
pub mod connections;
pub mod console;
pub mod context;
pub mod contracts;
pub mod cors;
pub mod delivery;
pub mod docs;
pub mod export;
mod gate;
pub mod headers;
mod keeping;
pub mod limits;
pub mod mappings;
pub mod mass;
pub mod metrics;
pub mod openapi;
pub mod operations;
pub mod parameters;
mod passwords;
pub mod path;
mod pieces;
pub mod problem;
pub mod public;
pub mod quarantine;
pub mod query;
pub mod recommendations;
mod refusal;
pub mod reply;
mod routing;
pub mod savings;
pub mod streams;
pub mod system;
pub mod text;
pub mod violations;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, Protocol};
use actix_server::Server;
use actix_service::{ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::{App, web};
use mass_admin_service::AdminService;
use mass_alert_service::{AlertService, WebhookService};
use mass_analytics_service::AnalyticsService;
use mass_audit_service::AuditService;
use mass_auth::AuthService;
use mass_domain::time::Clock;
use mass_persistence::Database;
use mass_savings_service::SavingsService;
use mass_service::{DeliveryService, MappingService, MassService, QuarantineService, RetentionService};
use paperclip::actix::OpenApiExt;
use socket2::SockRef;
use tokio::net::TcpStream;

use batch::outbox::TemporaryFolder;
use body::BodyLimit;
use client::TrustedProxies;
use connection::Connection;
use connections::Connections;
use cors::AllowedOrigins;
use limits::Limits;
use operations::Operations;
use problem::{Problem, ProblemKind};
use public::PublicUrl;
use streams::Streams;
use system::Draining;

use crate::alerting::Alerting;
use crate::engine::Engine;
use crate::pace::Pace;
use crate::projector::Projection;
use crate::reporter::Reporting;
use crate::telemetry::Telemetry;
use crate::webhooks::Notifying;

/// Every operation, domain by domain.
pub const OPERATIONS: Operations = Operations(&[
    auth::OPERATIONS,
    contracts::OPERATIONS,
    mass::OPERATIONS,
    export::OPERATIONS,
    batch::OPERATIONS,
    mappings::OPERATIONS,
    quarantine::OPERATIONS,
    delivery::OPERATIONS,
    recommendations::OPERATIONS,
    analytics::OPERATIONS,
    savings::OPERATIONS,
    alerts::OPERATIONS,
    audit::OPERATIONS,
    admin::tenants::OPERATIONS,
    admin::usage::OPERATIONS,
    admin::users::OPERATIONS,
    admin::sessions::OPERATIONS,
    admin::api_keys::OPERATIONS,
    admin::quotas::OPERATIONS,
    admin::settings::OPERATIONS,
    admin::retention::OPERATIONS,
    admin::deliveries::OPERATIONS,
    system::OPERATIONS,
    metrics::OPERATIONS,
    openapi::OPERATIONS,
    docs::OPERATIONS,
    console::OPERATIONS,
]);

/// The time that requests under way may take once the server stops. With the grace before it, that is less than the 30 seconds
/// that everything in deploy/ gives.
const DRAIN_SECONDS: u64 = 20;

/// The connections that wait to be accepted at most. The standard library's 128 are soon full while the machine is busy, and
/// the next client then waits for a second before it tries again.
const BACKLOG: i32 = 1024;

/// The time that a client may take to close a connection after its last answer.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// All that the handlers call.
#[derive(Clone)]
pub struct Services {
    /// Logging in and being recognised.
    pub auth: web::Data<AuthService>,
    /// Administration.
    pub admin: web::Data<AdminService>,
    /// The audit trail.
    pub audit: web::Data<AuditService>,
    /// MASS requests.
    pub mass: web::Data<MassService>,
    /// Mapping profiles.
    pub mappings: web::Data<MappingService>,
    /// Retention rules and legal holds.
    pub retention: web::Data<RetentionService>,
    /// Refused records that are kept.
    pub quarantine: web::Data<QuarantineService>,
    /// Deliveries to the engine, and what it recommends.
    pub deliveries: web::Data<DeliveryService>,
    /// Figures.
    pub analytics: web::Data<AnalyticsService>,
    /// Savings projects and their reports.
    pub savings: web::Data<SavingsService>,
    /// Alert rules and alerts.
    pub alerts: web::Data<AlertService>,
    /// Webhooks and their notifications.
    pub webhooks: web::Data<WebhookService>,
    /// Sends notifications; `None` where webhooks are switched off.
    pub notifying: web::Data<Option<Notifying>>,
    /// Evaluates alert rules.
    pub alerting: web::Data<Alerting>,
    /// Computes savings reports.
    pub reporting: web::Data<Reporting>,
    /// The projector that keeps figures up to date.
    pub projection: web::Data<Projection>,
    /// The engine, if there is one.
    pub engine: web::Data<Engine>,
    /// For the readiness check and periodic work alone.
    pub database: web::Data<Database>,
    /// Tells the time.
    pub clock: web::Data<Arc<dyn Clock>>,
    /// The flag that the server is stopping.
    pub draining: web::Data<Draining>,
    /// Traces and metrics.
    pub telemetry: web::Data<Telemetry>,
    /// How work in the background gives way.
    pub pace: web::Data<Pace>,
    /// Rate limits.
    pub limits: web::Data<Limits>,
    /// The connections that are open, and how many may be.
    pub connections: web::Data<Connections>,
    /// The batches and exports that are under way, and how many may be.
    pub streams: web::Data<Streams>,
    /// The proxies whose forwarding headers are trusted.
    pub proxies: web::Data<TrustedProxies>,
    /// The origins whose pages may call the API.
    pub cors_origins: web::Data<AllowedOrigins>,
    /// The API's document, as it is at the server's address.
    pub document: web::Data<openapi::Document>,
    /// The address at which clients find the server.
    pub public_url: web::Data<PublicUrl>,
    /// The longest body of a single request.
    pub body_limit: web::Data<BodyLimit>,
    /// The folder for results that a client does not fetch.
    pub temporary: web::Data<TemporaryFolder>,
}

/// Serves on a listener until the server's handle stops it.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve(listener: TcpListener, services: Services) -> std::io::Result<Server> {
    let server = Server::build().disable_signals().shutdown_timeout(DRAIN_SECONDS);
    let stopping = server.graceful_shutdown_signal();
    // What actix_web::HttpServer does, over connections of our own.
    SockRef::from(&listener).listen(BACKLOG)?;
    let server = server.listen("http", listener, move || {
        let services = services.clone();
        let stopping = stopping.clone();
        let app = App::new()
            .app_data(services.auth)
            .app_data(services.admin)
            .app_data(services.audit)
            .app_data(services.mass)
            .app_data(services.mappings)
            .app_data(services.retention)
            .app_data(services.quarantine)
            .app_data(services.deliveries)
            .app_data(services.analytics)
            .app_data(services.savings)
            .app_data(services.alerts)
            .app_data(services.webhooks)
            .app_data(services.projection)
            .app_data(services.engine)
            .app_data(services.database)
            .app_data(services.clock)
            .app_data(services.draining)
            .app_data(services.telemetry)
            .app_data(services.body_limit)
            .app_data(services.temporary)
            .app_data(services.pace)
            .app_data(services.limits)
            .app_data(services.connections.clone())
            .app_data(services.streams)
            .app_data(services.proxies)
            .app_data(services.cors_origins)
            .app_data(services.document)
            .app_data(services.public_url)
            .app_data(OPERATIONS)
            .app_data(web::PathConfig::default().error_handler(|_, _| Problem::new(ProblemKind::NotFound).into()))
            .wrap(from_fn(gate::layer))
            .wrap(from_fn(cors::layer))
            .wrap(from_fn(context::layer))
            .default_service(web::to(|| async { Err::<&str, _>(Problem::new(ProblemKind::NotFound)) }))
            .wrap_api()
            .configure(|config| routing::mount(config, OPERATIONS))
            .build();
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .h1_write_buffer_size(pieces::PIECE)
            .on_connect_ext(Connection::introduce)
            .finish(map_config(app, |()| AppConfig::default()));
        let connections = services.connections;
        fn_service(move |stream: TcpStream| {
            let connections = connections.clone();
            async move {
                let peer = stream.peer_addr().ok();
                match connections::connect(&connections, peer.map(|peer| peer.ip())) {
                    Ok(slot) => {
                        let connection = Connection::new(stream, slot, connections.write_timeout());
                        Ok((connection, Protocol::Http1, peer))
                    }
                    Err(full) => Err(refusal::refuse(stream, full).await),
                }
            }
        })
        .and_then(http)
    })?;
    Ok(server.run())
}
