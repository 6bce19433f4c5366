//! Wiring: builds the program from its settings.

use std::fs::{self, DirBuilder};
use std::io::{ErrorKind, Write};
use std::num::NonZeroU32;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use anyhow::{Context, bail};
use chrono::Utc;
use mass_admin_service::{AdminService, RegistrationPolicy};
use mass_alert_service::{AlertService, SALT_BYTES, WebhookKeys, WebhookService};
use mass_analytics_service::{AnalyticsService, Projector};
use mass_audit_service::{AuditService, CheckpointSigner, write_seed};
use mass_auth::{
    AccessTokens, AuthService, Bootstrapped, Capacity, NewPassword, Passwords, Pepper, SigningKey, SigningKeys,
    TokenAlgorithm, TokenLifetime,
};
use mass_domain::audit::note::NoteKey;
use mass_domain::delivery::{RetryPolicy, WorkerName};
use mass_domain::hex::Hex;
use mass_domain::tenancy::AutoSend;
use mass_domain::time::{Clock, Timestamp};
use mass_persistence::{CommitObserver, Database, MigrateError, OpenError};
use mass_savings_service::SavingsService;
use mass_service::{
    Deliverer, DeliveryService, DeliverySettings, MappingService, MassService, QuarantineLimits, QuarantineService,
    RetentionService,
};
use secrecy::{ExposeSecret, SecretString};

use crate::alerting::Alerting;
use crate::config::{
    AuditSettings, DatabaseSettings, EngineSettings, Environment, FolderSettings, LocalSettings, Secrets, Settings,
    StageSettings, WebhookSettings, WorkerSettings,
};
use crate::engine::address::EngineUrl;
use crate::engine::worker::POLL;
use crate::engine::{CircuitOptions, Engine, EngineOptions, EngineToken, Worker, with_limited_connections};
use crate::http::batch::outbox::TemporaryFolder;
use crate::http::body::BodyLimit;
use crate::http::client::TrustedProxies;
use crate::http::connections::Connections;
use crate::http::context::local_origin;
use crate::http::cors::AllowedOrigins;
use crate::http::limits::Limits;
use crate::http::openapi::Document;
use crate::http::streams::Streams;
use crate::http::system::Draining;
use crate::http::{OPERATIONS, Services};
use crate::pace::{CommitCounts, Pace};
use crate::program::program;
use crate::projector::Projection;
use crate::reporter::{Reporting, SignedReports};
use crate::telemetry::Telemetry;
use crate::webhooks::{Notifying, PrivateHosts, WebhookClient};

/// The maximum number of database connections.
const POOL_SIZE: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// The drain timeout of calls to the engine when the server stops: the same as of requests.
const DELIVERY_DRAIN: Duration = Duration::from_secs(15);

/// The system's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_datetime(Utc::now())
    }
}

/// A migrated database with its first accounts and the use cases on it.
pub struct Installation {
    /// The database.
    pub database: Database,
    /// The use cases on accounts.
    pub auth: AuthService,
    /// The first administrator, if this start created it.
    pub bootstrapped: Option<Bootstrapped>,
    passwords: Passwords,
    clock: Arc<dyn Clock>,
}

impl Installation {
    /// Opens and migrates the database, and creates the first tenant and administrator if it is empty.
    ///
    /// # Errors
    /// A message that names the missing or wrong setting.
    pub async fn open(settings: &LocalSettings, secrets: &Secrets) -> anyhow::Result<Self> {
        Self::open_at(settings, secrets, Arc::new(SystemClock)).await
    }

    /// As [`open`](Self::open), at the time that this clock tells.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_at(settings: &LocalSettings, secrets: &Secrets, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        // Local commands neither issue nor accept access tokens: this key is never used.
        let keys = SigningKeys { current: SigningKey::parse(&random_secret())?, previous: None };
        let tokens = AccessTokens::new(keys, TokenAlgorithm::default(), TokenLifetime::default());
        Self::open_with(settings, secrets, tokens, Arc::new(()), clock).await
    }

    async fn open_with(
        settings: &LocalSettings,
        secrets: &Secrets,
        tokens: AccessTokens,
        observer: Arc<dyn CommitObserver>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        // Everything that can fail because of settings comes first, and the first account last: after it, a failing
        // start would still have to show its password.
        let passwords = passwords(settings, secrets)?;
        let first_password = first_password(settings, secrets)?;
        let database = open_observed(&settings.database, secrets, observer)?;
        migrate(&database)?;
        let auth = AuthService::new(database.stores().auth.clone(), passwords.clone(), tokens, Arc::clone(&clock));
        let bootstrapped = bootstrap(settings, &auth, first_password).await?;
        Ok(Self { database, auth, bootstrapped, passwords, clock })
    }

    /// Returns the use cases of administration.
    #[must_use]
    pub fn admin(&self, registration: RegistrationPolicy, auto_send: AutoSend) -> AdminService {
        let stores = self.database.stores().admin.clone();
        AdminService::new(stores, self.passwords.clone(), registration, auto_send, Arc::clone(&self.clock))
    }

    /// Returns the use cases on the audit trail.
    #[must_use]
    pub fn audit(&self, signer: CheckpointSigner) -> AuditService {
        AuditService::new(Arc::clone(&self.database.stores().audit), signer, Arc::clone(&self.clock))
    }

    /// Returns the use cases on MASS requests.
    #[must_use]
    pub fn mass(&self) -> MassService {
        MassService::new(Arc::clone(&self.database.stores().mass), Arc::clone(&self.clock))
    }

    /// Returns the use cases on mapping profiles.
    fn mappings(&self) -> MappingService {
        MappingService::new(Arc::clone(&self.database.stores().mappings), Arc::clone(&self.clock))
    }

    /// Returns the use cases on retention rules and legal holds.
    fn retention(&self) -> RetentionService {
        RetentionService::new(Arc::clone(&self.database.stores().retention), Arc::clone(&self.clock))
    }

    /// Returns the use cases on the quarantine.
    #[must_use]
    pub fn quarantine(&self, limits: QuarantineLimits) -> QuarantineService {
        let store = Arc::clone(&self.database.stores().quarantine);
        QuarantineService::new(store, Arc::clone(&self.clock), limits)
    }

    /// Returns the use cases on figures.
    #[must_use]
    pub fn analytics(&self) -> AnalyticsService {
        AnalyticsService::new(Arc::clone(&self.database.stores().analytics), Arc::clone(&self.clock))
    }

    /// Returns the use cases on savings projects.
    #[must_use]
    pub fn savings(&self, analytics: &Arc<AnalyticsService>) -> SavingsService {
        let store = Arc::clone(&self.database.stores().savings);
        let random = Arc::new(rand::random::<u64>);
        SavingsService::new(store, Arc::clone(analytics), Arc::clone(&self.clock), random)
    }

    /// Returns the use cases on alerts.
    #[must_use]
    pub fn alerts(&self) -> AlertService {
        AlertService::new(Arc::clone(&self.database.stores().alerts), Arc::clone(&self.clock))
    }

    /// Returns the use cases on webhooks.
    fn webhooks(&self, settings: &WebhookSettings, keys: &WebhookKeys) -> WebhookService {
        let store = Arc::clone(&self.database.stores().webhooks);
        let hosts = Arc::new(PrivateHosts(settings.private_hosts()));
        let salt = Arc::new(rand::random::<[u8; SALT_BYTES]>);
        WebhookService::new(store, hosts, keys.clone(), salt, Arc::clone(&self.clock), settings.webhooks)
    }

    /// Returns what sends notifications, if webhooks are called.
    fn notifying(&self, settings: &WebhookSettings, keys: WebhookKeys) -> anyhow::Result<Option<Notifying>> {
        if !settings.webhooks {
            return Ok(None);
        }
        let client = WebhookClient::new(PrivateHosts(settings.private_hosts()));
        let client = Arc::new(client.context("the client for webhooks cannot be made")?);
        let queue = Arc::clone(&self.database.stores().notifications);
        Ok(Some(Notifying::new(queue, client, keys, Arc::clone(&self.clock))))
    }

    /// Returns what evaluates alert rules.
    #[must_use]
    pub fn alerting(&self, audit: &Arc<AuditService>) -> Alerting {
        let stores = self.database.stores();
        let (store, figures) = (Arc::clone(&stores.evaluation), Arc::clone(&stores.analytics));
        let queue = Arc::clone(&self.database.stores().tasks);
        Alerting::new(store, figures, Arc::clone(audit), queue, Arc::clone(&self.clock))
    }

    /// Returns what computes savings reports.
    #[must_use]
    pub fn reporting(&self, analytics: &Arc<AnalyticsService>, audit: &Arc<AuditService>) -> Reporting {
        let queue = Arc::clone(&self.database.stores().report_queue);
        let writer = Arc::new(SignedReports::new(Arc::clone(audit), program()));
        Reporting::new(queue, Arc::clone(analytics), writer, Arc::clone(&self.clock))
    }

    /// Returns the projector of the audit trail.
    #[must_use]
    pub fn projector(&self) -> Projector {
        Projector::new(Arc::clone(&self.database.stores().projection))
    }

    /// Returns the use cases on deliveries.
    fn deliveries(&self, engine: &Engine) -> DeliveryService {
        let stores = self.database.stores();
        let (outbox, recommendations) = (Arc::clone(&stores.outbox), Arc::clone(&stores.recommendations));
        DeliveryService::new(outbox, recommendations, Arc::clone(&self.clock), engine.is_configured())
    }
}

/// The server, wired to a migrated database.
pub struct Application {
    /// The services that the handlers call.
    pub services: Services,
    /// The first administrator, if this start created it.
    pub bootstrapped: Option<Bootstrapped>,
}

impl Application {
    /// Opens the installation and wires the services.
    ///
    /// # Errors
    /// A message that names the missing or wrong setting.
    pub async fn build(settings: &Settings, secrets: &Secrets, telemetry: Telemetry) -> anyhow::Result<Self> {
        let metrics = Arc::new(telemetry.metrics.clone());
        let local = &settings.local;
        let engine = engine(settings, secrets)?;
        let keys = signing_keys(local, secrets)?;
        let signer = checkpoint_signer(&local.stage, &local.database.folder, &settings.audit, secrets)?;
        let tokens =
            AccessTokens::new(keys, settings.tokens.token_algorithm, settings.tokens.access_token_expire_minutes);
        let pace = Arc::new(Pace::default());
        let counts = CommitCounts { metrics: telemetry.metrics.clone(), pace: Arc::clone(&pace) };
        let installation =
            Installation::open_with(local, secrets, tokens, Arc::new(counts), Arc::new(SystemClock)).await?;
        let admin = installation.admin(registration(settings), engine.auto_send());
        let admin = admin.with_deletion_days(settings.tenants.tenant_deletion_days);
        let audit = installation.audit(signer);
        let mass = installation.mass().observed_by(metrics);
        let mappings = installation.mappings();
        let retention = installation.retention();
        let quarantine = installation.quarantine(settings.quarantine.limits());
        let deliveries = installation.deliveries(&engine);
        let analytics = Arc::new(installation.analytics());
        let savings = installation.savings(&analytics);
        let audit = Arc::new(audit);
        let reporting = installation.reporting(&analytics, &audit);
        let (alerts, alerting) = (installation.alerts(), installation.alerting(&audit));
        let hook_keys = webhook_keys(local, secrets)?;
        let webhooks = installation.webhooks(&settings.webhooks, &hook_keys);
        let notifying = installation.notifying(&settings.webhooks, hook_keys)?;
        let projection = Projection::new(installation.projector(), settings.analytics.analytics);
        let Installation { database, auth, bootstrapped, clock, .. } = installation;
        let database = web::Data::new(database);
        telemetry.metrics.watch(&database);
        let proxies = TrustedProxies(settings.http.trusted_proxies.clone());
        let services = Services {
            auth: web::Data::new(auth),
            admin: web::Data::new(admin),
            audit: web::Data::from(audit),
            mass: web::Data::new(mass),
            mappings: web::Data::new(mappings),
            retention: web::Data::new(retention),
            quarantine: web::Data::new(quarantine),
            deliveries: web::Data::new(deliveries),
            analytics: web::Data::from(analytics),
            savings: web::Data::new(savings),
            alerts: web::Data::new(alerts),
            webhooks: web::Data::new(webhooks),
            notifying: web::Data::new(notifying),
            alerting: web::Data::new(alerting),
            reporting: web::Data::new(reporting),
            projection: web::Data::new(projection),
            engine: web::Data::new(engine),
            database,
            clock: web::Data::new(clock),
            draining: web::Data::new(Draining::default()),
            telemetry: web::Data::new(telemetry),
            pace: web::Data::from(pace),
            limits: web::Data::new(Limits::new(settings.limits.per_minute())),
            connections: web::Data::new(Connections::new(settings.connections.limits(), proxies.clone())),
            streams: web::Data::new(Streams::new(settings.streams.limits(settings.http.body_limit_bytes))),
            proxies: web::Data::new(proxies),
            cors_origins: web::Data::new(AllowedOrigins(settings.http.cors_origins.clone())),
            document: web::Data::new(Document::new(OPERATIONS, settings.public.public_url.clone())),
            public_url: web::Data::new(settings.public.public_url.clone()),
            body_limit: web::Data::new(BodyLimit(settings.http.body_limit_bytes)),
            temporary: web::Data::new(TemporaryFolder(local.database.folder.data_dir.clone())),
        };
        Ok(Self { services, bootstrapped })
    }
}

/// Returns the engine's URL, if one is configured and allowed.
fn engine_url(settings: &EngineSettings) -> anyhow::Result<Option<&EngineUrl>> {
    let url = settings.url().context("MASS_ENGINE_URL")?;
    match url {
        None if settings.auto_send => bail!("expected MASS_ENGINE_URL, because MASS_AUTO_SEND is true"),
        Some(url) if !url.is_allowed(&settings.hosts()) => {
            bail!("MASS_ENGINE_URL has a host that is not in MASS_ENGINE_ALLOWED_HOSTS")
        }
        url => Ok(url),
    }
}

/// Returns whether accepted requests are sent automatically if the tenant has not decided.
///
/// # Errors
/// If the engine's settings are invalid or inconsistent.
pub fn auto_send(settings: &EngineSettings) -> anyhow::Result<AutoSend> {
    let decided = if settings.auto_send { AutoSend::On } else { AutoSend::Off };
    Ok(engine_url(settings)?.map_or(AutoSend::NoEngine, |_| decided))
}

/// Builds the engine, if one is configured.
///
/// # Errors
/// A message that names the wrong setting.
pub fn engine(settings: &Settings, secrets: &Secrets) -> anyhow::Result<Engine> {
    let options = engine_options(settings, secrets)?;
    options.map_or(Ok(Engine::default()), |options| {
        Engine::new(&options).context("the client for the engine cannot be made")
    })
}

/// Returns the options of the engine, if one is configured.
///
/// # Errors
/// If the engine's settings are invalid or inconsistent.
pub fn engine_options(settings: &Settings, secrets: &Secrets) -> anyhow::Result<Option<EngineOptions>> {
    let Settings { engine, worker, .. } = settings;
    let token = secrets.engine_token.as_ref().map(EngineToken::parse).transpose().context("MASS_ENGINE_TOKEN")?;
    let Some(url) = engine_url(engine)? else { return Ok(None) };
    Ok(Some(EngineOptions {
        url: url.clone(),
        token,
        timeout: Duration::from_millis(worker.engine_timeout_ms.into()),
        concurrency: worker.engine_concurrency,
        circuit: CircuitOptions::default(),
        auto_send: engine.auto_send,
    }))
}

/// Returns the faults of the settings that a start would refuse, without making the key files that a start makes.
#[must_use]
pub fn setting_faults(settings: &Settings, secrets: &Secrets) -> Vec<anyhow::Error> {
    let local = &settings.local;
    let needs_keys = local.stage.env == Environment::Production;
    let signing = (needs_keys || secrets.secret_key.is_some()).then(|| signing_keys(local, secrets).err());
    let audit = (needs_keys || secrets.audit_key.is_some())
        .then(|| checkpoint_signer(&local.stage, &local.database.folder, &settings.audit, secrets).err());
    let others = [passwords(local, secrets).err(), first_password(local, secrets).err()];
    let engine = engine(settings, secrets).err();
    others.into_iter().chain([signing.flatten(), audit.flatten(), engine]).flatten().collect()
}

/// Lists the key files that are there and used, since no variable has their key.
#[must_use]
pub fn key_files(folder: &FolderSettings, secrets: &Secrets) -> Vec<PathBuf> {
    let files = [(&secrets.secret_key, signing_key_file(folder)), (&secrets.audit_key, audit_key_file(folder))];
    files.into_iter().filter(|(secret, path)| secret.is_none() && path.exists()).map(|(_, path)| path).collect()
}

/// Returns a name that is unique across processes, machines and containers.
pub(crate) fn worker_name() -> Option<WorkerName> {
    WorkerName::parse(&format!("mass-{}-{:08x}", std::process::id(), rand::random::<u32>())).ok()
}

/// Builds the worker that calls the engine, if one is configured.
#[must_use]
pub fn worker(settings: &WorkerSettings, services: &Services) -> Option<Worker> {
    let engine = services.engine.clone().into_inner();
    let deliverer = deliverer(settings, &services.database, &engine, Arc::clone(services.clock.get_ref()))?;
    let deliverer = Arc::new(deliverer.observed_by(Arc::new(services.telemetry.metrics.clone())));
    let lease = Duration::from_secs(settings.engine_lease_seconds.into());
    let name = worker_name()?;
    let concurrency = settings.engine_concurrency;
    Some(Worker { deliverer, engine, name, poll: POLL, concurrency, lease, drain: DELIVERY_DRAIN })
}

/// Builds the use cases of a worker that calls the engine, if one is configured.
#[must_use]
pub fn deliverer(
    settings: &WorkerSettings,
    database: &Database,
    engine: &Engine,
    clock: Arc<dyn Clock>,
) -> Option<Deliverer> {
    let lease = Duration::from_secs(settings.engine_lease_seconds.into());
    let deadline = Duration::from_secs(settings.engine_deadline_seconds.into());
    Some(Deliverer::new(
        with_limited_connections(Arc::clone(&database.stores().deliveries)),
        engine.recommender()?,
        clock,
        Arc::new(rand::random::<f64>),
        DeliverySettings { lease, retry: RetryPolicy { deadline, ..RetryPolicy::default() } },
    ))
}

/// Opens the database without reading it.
///
/// # Errors
/// If its URL is malformed or it cannot be reached.
pub fn open(settings: &DatabaseSettings, secrets: &Secrets) -> anyhow::Result<Database> {
    open_observed(settings, secrets, Arc::new(()))
}

/// Opens an SQLite file other than the configured database.
///
/// # Errors
/// As [`open`].
pub fn open_file(settings: &DatabaseSettings, secrets: &Secrets, file: &Path) -> anyhow::Result<Database> {
    let url = format!("sqlite://{}", file.display());
    open(settings, &Secrets { database_url: Some(url.into()), migration_database_url: None, ..secrets.clone() })
}

/// Migrates a database to this version's schema, and returns the names of the applied migrations.
///
/// # Errors
/// If the database is newer than this program, locked by another process or unreachable, or if a migration fails.
pub fn migrate(database: &Database) -> anyhow::Result<Vec<String>> {
    database.migrate().map_err(|error| {
        let tells_what_to_do =
            matches!(error, MigrateError::Newer(_) | MigrateError::Locked(_) | MigrateError::NotOwner { .. });
        let error = anyhow::Error::from(error);
        if tells_what_to_do { error } else { error.context("the database cannot be migrated") }
    })
}

fn open_observed(
    settings: &DatabaseSettings,
    secrets: &Secrets,
    observer: Arc<dyn CommitObserver>,
) -> anyhow::Result<Database> {
    let migration_url = secrets.migration_database_url.as_ref();
    let options = mass_persistence::Options {
        url: settings.url(secrets).expose_secret().to_owned(),
        migration_url: migration_url.map(|url| url.expose_secret().to_owned()),
        statement_cache: settings.statement_cache,
        program: program(),
        pool_size: POOL_SIZE,
        timeout: Duration::from_secs(settings.database_timeout_seconds.into()),
        observer,
    };
    let setting = |error: &OpenError| match error {
        OpenError::MigrationUrl | OpenError::UnreadableMigrationUrl(_) => "MASS_MIGRATION_DATABASE_URL",
        OpenError::Folder { .. } if secrets.database_url.is_none() => "MASS_DATA_DIR",
        OpenError::Url(_)
        | OpenError::Folder { .. }
        | OpenError::Unreachable(_)
        | OpenError::Newer(_)
        | OpenError::Locked(_)
        | OpenError::Exposed { .. } => "DATABASE_URL",
    };
    mass_persistence::open(&options).map_err(|error| {
        let setting = setting(&error);
        anyhow::Error::from(error).context(setting)
    })
}

fn passwords(settings: &LocalSettings, secrets: &Secrets) -> anyhow::Result<Passwords> {
    let pepper = secrets.password_pepper.as_ref().map(Pepper::parse).transpose().context("MASS_PASSWORD_PEPPER")?;
    Ok(Passwords::new(settings.bcrypt_cost, pepper, Capacity::default()))
}

fn registration(settings: &Settings) -> RegistrationPolicy {
    if settings.http.allow_registration {
        RegistrationPolicy::Open(settings.local.default_tenant.clone())
    } else {
        RegistrationPolicy::Closed
    }
}

/// Returns the configured password of the first administrator.
fn first_password(settings: &LocalSettings, secrets: &Secrets) -> anyhow::Result<Option<NewPassword>> {
    let password = secrets.admin_password.as_ref().map(|text| NewPassword::parse(text, &settings.admin_email));
    password.transpose().context("MASS_ADMIN_PASSWORD")
}

async fn bootstrap(
    settings: &LocalSettings,
    auth: &AuthService,
    password: Option<NewPassword>,
) -> anyhow::Result<Option<Bootstrapped>> {
    let production = settings.stage.env == Environment::Production;
    if production && password.is_none() && auth.is_empty().await? {
        bail!("expected MASS_ADMIN_PASSWORD, because MASS_ENV is production and the database is empty");
    }
    let bootstrapped =
        auth.bootstrap(settings.default_tenant.clone(), settings.admin_email.clone(), password, &local_origin()).await;
    bootstrapped.context("the first administrator cannot be created")
}

/// Returns the keys that the secrets of webhooks are derived from.
fn webhook_keys(settings: &LocalSettings, secrets: &Secrets) -> anyhow::Result<WebhookKeys> {
    let bytes = |secret: &SecretString| secret.expose_secret().as_bytes().to_vec();
    let (current, _) = secret_key(settings, secrets)?;
    Ok(WebhookKeys::new(bytes(&current), secrets.secret_key_previous.as_ref().map(bytes)))
}

/// Returns the secret that the server signs and derives by, and its place, for messages.
fn secret_key(settings: &LocalSettings, secrets: &Secrets) -> anyhow::Result<(SecretString, String)> {
    match &secrets.secret_key {
        Some(secret) => Ok((secret.clone(), "SECRET_KEY".to_owned())),
        None if settings.stage.env == Environment::Production => {
            bail!("expected SECRET_KEY with at least 32 bytes, because MASS_ENV is production")
        }
        None => {
            let path = signing_key_file(&settings.database.folder);
            let place = format!("the signing secret {} in MASS_DATA_DIR", path.display());
            let secret = secret_file(&path, random_secret).with_context(|| place.clone())?;
            Ok((secret, place))
        }
    }
}

fn signing_keys(settings: &LocalSettings, secrets: &Secrets) -> anyhow::Result<SigningKeys> {
    let (secret, place) = secret_key(settings, secrets)?;
    let current = SigningKey::parse(&secret).context(place)?;
    let previous = secrets.secret_key_previous.as_ref().map(SigningKey::parse);
    Ok(SigningKeys { current, previous: previous.transpose().context("SECRET_KEY_PREVIOUS")? })
}

/// Returns the signer of the audit trail.
///
/// # Errors
/// If its key is missing in production, or invalid.
pub fn checkpoint_signer(
    stage: &StageSettings,
    folder: &FolderSettings,
    audit: &AuditSettings,
    secrets: &Secrets,
) -> anyhow::Result<CheckpointSigner> {
    let name = audit.audit_name.clone();
    match &secrets.audit_key {
        Some(seed) => CheckpointSigner::parse(name, seed).context("MASS_AUDIT_KEY"),
        None if stage.env == Environment::Production => {
            bail!("expected MASS_AUDIT_KEY with 32 bytes in base64, because MASS_ENV is production")
        }
        None => {
            let path = audit_key_file(folder);
            let place = || format!("the key of the audit trail {} in MASS_DATA_DIR", path.display());
            let seed = secret_file(&path, || write_seed(&rand::random())).with_context(place)?;
            CheckpointSigner::parse(name, &seed).with_context(place)
        }
    }
}

/// Returns the public key of the audit trail; `None` if there is none yet.
///
/// # Errors
/// If the stored key is invalid.
pub fn checkpoint_key(
    stage: &StageSettings,
    folder: &FolderSettings,
    audit: &AuditSettings,
    secrets: &Secrets,
) -> anyhow::Result<Option<NoteKey>> {
    Ok(present_signer(stage, folder, audit, secrets)?.map(|signer| signer.key().clone()))
}

/// Returns the signer of the audit trail; `None` if there is no key yet.
///
/// # Errors
/// If the stored key is invalid.
pub fn present_signer(
    stage: &StageSettings,
    folder: &FolderSettings,
    audit: &AuditSettings,
    secrets: &Secrets,
) -> anyhow::Result<Option<CheckpointSigner>> {
    let is_there = secrets.audit_key.is_some() || audit_key_file(folder).exists();
    is_there.then(|| checkpoint_signer(stage, folder, audit, secrets)).transpose()
}

fn signing_key_file(folder: &FolderSettings) -> PathBuf {
    folder.data_dir.join("secret.key")
}

fn audit_key_file(folder: &FolderSettings) -> PathBuf {
    folder.data_dir.join("audit.key")
}

/// Generates 32 random bytes in hexadecimal.
fn random_secret() -> SecretString {
    Hex(&rand::random::<[u8; 32]>()).to_string().into()
}

/// Reads a secret of a development server, or generates it at the first start, in a file that only its owner can read.
fn secret_file(path: &Path, make: impl FnOnce() -> SecretString) -> anyhow::Result<SecretString> {
    if fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        let folder = path.parent().unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // Written atomically, and never over another process's file; tempfile creates it with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(make().expose_secret().as_bytes())?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Err(error) if error.error.kind() != ErrorKind::AlreadyExists => return Err(error.error.into()),
            Ok(_) | Err(_) => {}
        }
    }
    require_private(path)?;
    Ok(SecretString::from(fs::read_to_string(path)?.trim_end().to_owned()))
}

/// Refuses a secret file that others can read or replace.
///
/// # Errors
/// A message with the command that mends it.
pub fn require_private(path: &Path) -> anyhow::Result<()> {
    let file = fs::symlink_metadata(path)?;
    if !file.is_file() {
        bail!("expected a plain file, found a link or a folder: put the secret itself there, with mode 0600");
    }
    let mode = file.mode() & 0o7777;
    if mode & 0o077 != 0 {
        bail!("expected mode 0600, found {mode:04o}, which lets others use it: chmod 600 {}", path.display());
    }
    Ok(())
}
