//! From settings to a program that is wired and ready.

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
use mass_audit_service::{AuditService, CheckpointSigner, write_seed};
use mass_auth::{
    AccessTokens, AuthService, Capacity, Founded, NewPassword, Passwords, Pepper, SigningKey, SigningKeys,
};
use mass_domain::audit::note::NoteKey;
use mass_domain::delivery::{RetryPolicy, WorkerName};
use mass_domain::hex::Hex;
use mass_domain::time::{Clock, Timestamp};
use mass_persistence::{CommitObserver, Database, MigrateError, OpenError};
use mass_service::{Deliverer, DeliveryService, DeliverySettings, MassService};
use secrecy::{ExposeSecret, SecretString};

use crate::config::{Environment, Settings, TelemetrySettings};
use crate::engine::worker::POLL;
use crate::engine::{CircuitOptions, Engine, EngineOptions, EngineToken, Worker, in_lane};
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
use crate::program::program;
use crate::telemetry::Telemetry;

/// How many connections to the database are open at most.
const POOL_SIZE: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// How long calls to the engine may go on once the server stops: no longer than requests may.
const DELIVERY_DRAIN: Duration = Duration::from_secs(15);

/// The time of this machine.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_datetime(Utc::now())
    }
}

/// The program, wired to a migrated database.
pub struct Application {
    /// All that the handlers and commands call.
    pub services: Services,
    /// The first administrator, if this start created it.
    pub founded: Option<Founded>,
}

impl Application {
    /// Opens and migrates the database, founds the first tenant and administrator if it is empty, wires the services.
    ///
    /// # Errors
    /// One sentence that names what is missing or wrong.
    pub async fn build(settings: &Settings) -> anyhow::Result<Self> {
        Self::build_with(settings, Telemetry::start(&TelemetrySettings::default())?).await
    }

    /// The same, telling of itself what it is given for that.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub async fn build_with(settings: &Settings, telemetry: Telemetry) -> anyhow::Result<Self> {
        let metrics = Arc::new(telemetry.metrics.clone());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        // What settings alone can make fail comes first, and the first account last: a start that fails after it was made
        // would have to show its password all the same.
        let passwords = passwords(settings)?;
        let engine = engine(settings)?;
        let first_password = first_password(settings)?;
        let keys = signing_keys(settings)?;
        let signer = checkpoint_signer(settings)?;
        let database = open_observed(settings, metrics.clone())?;
        migrate(&database)?;
        let auth = AuthService::new(
            database.stores().auth.clone(),
            passwords.clone(),
            AccessTokens::new(keys, settings.auth.token_algorithm, settings.auth.access_token_lifetime),
            Arc::clone(&clock),
        );
        let founded = found(settings, &auth, first_password).await?;
        let admin = AdminService::new(
            database.stores().admin.clone(),
            passwords,
            registration(settings),
            engine.auto_send(),
            Arc::clone(&clock),
        );
        let audit = AuditService::new(Arc::clone(&database.stores().audit), signer, Arc::clone(&clock));
        let mass = MassService::new(Arc::clone(&database.stores().mass), Arc::clone(&clock)).observed_by(metrics);
        let stores = database.stores();
        let deliveries = DeliveryService::new(
            Arc::clone(&stores.outbox),
            Arc::clone(&stores.recommendations),
            Arc::clone(&clock),
            engine.is_configured(),
        );
        let database = web::Data::new(database);
        telemetry.metrics.watch(&database);
        let proxies = TrustedProxies(settings.http.trusted_proxies.clone());
        let services = Services {
            auth: web::Data::new(auth),
            admin: web::Data::new(admin),
            audit: web::Data::new(audit),
            mass: web::Data::new(mass),
            deliveries: web::Data::new(deliveries),
            engine: web::Data::new(engine),
            database,
            clock: web::Data::new(clock),
            draining: web::Data::new(Draining::default()),
            telemetry: web::Data::new(telemetry),
            limits: web::Data::new(Limits::new(settings.limits.per_minute())),
            connections: web::Data::new(Connections::new(settings.connections.limits(), proxies.clone())),
            streams: web::Data::new(Streams::new(settings.streams.limits(settings.http.body_limit_bytes))),
            proxies: web::Data::new(proxies),
            cors_origins: web::Data::new(AllowedOrigins(settings.http.cors_origins.clone())),
            document: web::Data::new(Document::new(OPERATIONS, settings.http.public_url.clone())),
            public_url: web::Data::new(settings.http.public_url.clone()),
            body_limit: web::Data::new(BodyLimit(settings.http.body_limit_bytes)),
            temporary: web::Data::new(TemporaryFolder(settings.storage.data_dir.clone())),
        };
        Ok(Self { services, founded })
    }
}

/// The engine, if one is configured.
fn engine(settings: &Settings) -> anyhow::Result<Engine> {
    let configured = &settings.engine;
    let token = configured.token.as_ref().map(EngineToken::parse).transpose().context("MASS_ENGINE_TOKEN")?;
    let Some(url) = configured.url().context("MASS_ENGINE_URL")? else {
        if configured.auto_send {
            bail!("MASS_ENGINE_URL has to be set, since MASS_AUTO_SEND is true");
        }
        return Ok(Engine::default());
    };
    if !url.is_allowed(&configured.hosts()) {
        bail!("MASS_ENGINE_URL has a host that is not in MASS_ENGINE_ALLOWED_HOSTS");
    }
    let options = EngineOptions {
        url: url.clone(),
        token,
        timeout: Duration::from_millis(configured.timeout_ms.into()),
        concurrency: configured.concurrency,
        circuit: CircuitOptions::default(),
        auto_send: configured.auto_send,
    };
    Engine::new(&options).context("the client for the engine cannot be made")
}

/// The worker that asks the engine, if there is one.
#[must_use]
pub fn worker(settings: &Settings, services: &Services) -> Option<Worker> {
    let engine = services.engine.clone().into_inner();
    let lease = Duration::from_secs(settings.engine.lease_seconds.into());
    let deadline = Duration::from_secs(settings.engine.deadline_seconds.into());
    let deliverer = Deliverer::new(
        in_lane(Arc::clone(&services.database.stores().deliveries)),
        engine.recommender()?,
        Arc::clone(services.clock.get_ref()),
        Arc::new(rand::random::<f64>),
        DeliverySettings { lease, retry: RetryPolicy { deadline, ..RetryPolicy::default() } },
    );
    let deliverer = Arc::new(deliverer.observed_by(Arc::new(services.telemetry.metrics.clone())));
    // No two processes have the same one, whichever machine or container they are on.
    let name = format!("mass-{}-{:08x}", std::process::id(), rand::random::<u32>());
    let name = WorkerName::parse(&name).ok()?;
    let concurrency = settings.engine.concurrency;
    Some(Worker { deliverer, engine, name, poll: POLL, concurrency, lease, drain: DELIVERY_DRAIN })
}

/// Opens the database without looking into it.
///
/// # Errors
/// When its address is malformed or it cannot be reached.
pub fn open(settings: &Settings) -> anyhow::Result<Database> {
    open_observed(settings, Arc::new(()))
}

/// Brings a database to this version's schema, and names the migrations that were pending.
///
/// # Errors
/// When it is newer than this program, is locked by another process, cannot be reached, or a migration fails.
pub fn migrate(database: &Database) -> anyhow::Result<Vec<String>> {
    database.migrate().map_err(|error| {
        let tells_what_to_do = matches!(error, MigrateError::Newer(_) | MigrateError::Locked(_));
        let error = anyhow::Error::from(error);
        if tells_what_to_do { error } else { error.context("the database cannot be migrated") }
    })
}

fn open_observed(settings: &Settings, observer: Arc<dyn CommitObserver>) -> anyhow::Result<Database> {
    let url = settings.database_url();
    let options = mass_persistence::Options {
        url: url.expose_secret().to_owned(),
        migration_url: settings.storage.migration_url.as_ref().map(|url| url.expose_secret().to_owned()),
        statement_cache: settings.storage.statement_cache,
        program: program(),
        pool_size: POOL_SIZE,
        timeout: Duration::from_secs(settings.storage.database_timeout_seconds.into()),
        observer,
    };
    let setting = |error: &OpenError| match error {
        OpenError::MigrationUrl | OpenError::UnreadableMigrationUrl(_) => "MASS_MIGRATION_DATABASE_URL",
        OpenError::Folder { .. } if settings.storage.url.is_none() => "MASS_DATA_DIR",
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

fn passwords(settings: &Settings) -> anyhow::Result<Passwords> {
    let pepper = settings.auth.pepper.as_ref().map(Pepper::parse).transpose().context("MASS_PASSWORD_PEPPER")?;
    Ok(Passwords::new(settings.auth.bcrypt_cost, pepper, Capacity::default()))
}

fn registration(settings: &Settings) -> RegistrationPolicy {
    if settings.auth.allow_registration {
        RegistrationPolicy::Open(settings.first.tenant.clone())
    } else {
        RegistrationPolicy::Closed
    }
}

/// The password that the first administrator is to have, if one is set.
fn first_password(settings: &Settings) -> anyhow::Result<Option<NewPassword>> {
    let first = &settings.first;
    let password = first.admin_password.as_ref().map(|text| NewPassword::parse(text, &first.admin_email));
    password.transpose().context("MASS_ADMIN_PASSWORD")
}

async fn found(
    settings: &Settings,
    auth: &AuthService,
    password: Option<NewPassword>,
) -> anyhow::Result<Option<Founded>> {
    let first = &settings.first;
    let production = settings.stage.environment == Environment::Production;
    if production && first.admin_password.is_none() && auth.is_empty().await? {
        bail!("MASS_ADMIN_PASSWORD has to be set, since MASS_ENV is production and the database is empty");
    }
    let founded = auth.found(first.tenant.clone(), first.admin_email.clone(), password, &local_origin()).await;
    founded.context("the first administrator cannot be created")
}

fn signing_keys(settings: &Settings) -> anyhow::Result<SigningKeys> {
    let current = match &settings.auth.secret_key {
        Some(secret) => SigningKey::parse(secret).context("SECRET_KEY")?,
        None if settings.stage.environment == Environment::Production => {
            bail!("SECRET_KEY has to be set to at least 32 bytes, since MASS_ENV is production")
        }
        None => {
            let path = settings.storage.data_dir.join("secret.key");
            let place = || format!("the signing secret {} in MASS_DATA_DIR", path.display());
            let secret = secret_file(&path, random_secret).with_context(place)?;
            SigningKey::parse(&secret).with_context(place)?
        }
    };
    let previous = settings.auth.secret_key_previous.as_ref().map(SigningKey::parse);
    Ok(SigningKeys { current, previous: previous.transpose().context("SECRET_KEY_PREVIOUS")? })
}

/// The signer of the audit trail.
///
/// # Errors
/// When its key is missing in production, or is none.
pub fn checkpoint_signer(settings: &Settings) -> anyhow::Result<CheckpointSigner> {
    let name = settings.audit.name.clone();
    match &settings.audit.key {
        Some(seed) => CheckpointSigner::parse(name, seed).context("MASS_AUDIT_KEY"),
        None if settings.stage.environment == Environment::Production => {
            bail!("MASS_AUDIT_KEY has to be set to 32 bytes in base64, since MASS_ENV is production")
        }
        None => {
            let path = audit_key_file(settings);
            let place = || format!("the key of the audit trail {} in MASS_DATA_DIR", path.display());
            let seed = secret_file(&path, || write_seed(&rand::random())).with_context(place)?;
            CheckpointSigner::parse(name, &seed).with_context(place)
        }
    }
}

/// The public key of the audit trail, unless there is none yet.
///
/// # Errors
/// When what is there is no key.
pub fn checkpoint_key(settings: &Settings) -> anyhow::Result<Option<NoteKey>> {
    let is_there = settings.audit.key.is_some() || audit_key_file(settings).exists();
    let signer = is_there.then(|| checkpoint_signer(settings)).transpose()?;
    Ok(signer.map(|signer| signer.key().clone()))
}

fn audit_key_file(settings: &Settings) -> PathBuf {
    settings.storage.data_dir.join("audit.key")
}

/// 32 random bytes in hexadecimal.
fn random_secret() -> SecretString {
    Hex(&rand::random::<[u8; 32]>()).to_string().into()
}

/// Reads a secret of a development server, making it at the first start: in a file that only its owner can read.
fn secret_file(path: &Path, make: impl FnOnce() -> SecretString) -> anyhow::Result<SecretString> {
    if fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        let folder = path.parent().unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // Whole or not at all, and never over another process's: tempfile makes it with mode 0600.
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

/// Refuses a secret that others can read or replace.
fn require_private(path: &Path) -> anyhow::Result<()> {
    let file = fs::symlink_metadata(path)?;
    if !file.is_file() {
        bail!(
            "a plain file is expected there, and it is a link or a folder: put the secret itself there, with mode 0600"
        );
    }
    let mode = file.mode() & 0o7777;
    if mode & 0o077 != 0 {
        bail!("mode 0600 is expected, and it is {mode:04o}, so that others can use it: chmod 600 {}", path.display());
    }
    Ok(())
}
