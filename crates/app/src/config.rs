//! Configuration: environment variables, `.env` and flags of the same names, read once, into types.

mod connections;
mod environment;
mod streams;

use std::ffi::OsString;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use ipnet::IpNet;
use mass_auth::{Cost, TokenAlgorithm, TokenLifetime};
use mass_domain::audit::note::KeyName;
use mass_domain::tenancy::TenantId;
use mass_domain::users::Email;
use secrecy::{ExposeSecret, SecretString};

pub use self::connections::ConnectionSettings;
use self::environment::secret;
pub use self::environment::{SECRETS, Unknown, load_dotenv, unknown_variables, variable, wants_no_colour};
pub use self::streams::StreamSettings;
use crate::engine::address::{EngineUrl, Host, InvalidEngineUrl, InvalidHost};
use crate::http::limits::PerMinute;
use crate::http::public::PublicUrl;

/// Every setting. Each is a variable of the environment; all but [secrets](SECRETS) are flags of the same name, too
/// (`MASS_PORT`, `--mass-port`).
///
/// They are arguments of every command, whose own must not have the same ids.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings")]
pub struct Settings {
    /// Where the program stands.
    #[command(flatten)]
    pub stage: StageSettings,
    /// Where requests come in.
    #[command(flatten)]
    pub http: HttpSettings,
    /// How many connections there may be, and how slowly a client may read.
    #[command(flatten)]
    pub connections: ConnectionSettings,
    /// How many batches and exports there may be at once, and how much memory they may hold.
    #[command(flatten)]
    pub streams: StreamSettings,
    /// How much each caller may ask for.
    #[command(flatten)]
    pub limits: LimitSettings,
    /// Where data is kept.
    #[command(flatten)]
    pub storage: StorageSettings,
    /// How callers prove who they are.
    #[command(flatten)]
    pub auth: AuthSettings,
    /// How the audit trail is signed.
    #[command(flatten)]
    pub audit: AuditSettings,
    /// Who is asked for recommendations.
    #[command(flatten)]
    pub engine: EngineSettings,
    /// The first tenant and administrator.
    #[command(flatten)]
    pub first: FirstSettings,
    /// What is logged.
    #[command(flatten)]
    pub log: LogSettings,
    /// Where traces and metrics go.
    #[command(flatten)]
    pub telemetry: TelemetrySettings,
    /// The bearer token with which `mass import` calls a server.
    #[arg(skip)]
    pub token: Option<SecretString>,
}

/// How much is demanded at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    /// A laptop: what is missing is made.
    Development,
    /// Secrets have to be given, and none is printed.
    Production,
}

/// Where the program stands.
#[derive(Debug, Clone, Args)]
pub struct StageSettings {
    /// `production` demands SECRET_KEY, MASS_AUDIT_KEY and, on an empty database, MASS_ADMIN_PASSWORD; it prints no
    /// password.
    #[arg(long = "mass-env", env = "MASS_ENV", value_name = "MASS_ENV", global = true, default_value = "development")]
    pub environment: Environment,
}

/// Where requests come in.
#[derive(Debug, Clone, Args)]
pub struct HttpSettings {
    /// The address to listen on.
    #[arg(long = "mass-host", env = "MASS_HOST", value_name = "MASS_HOST", global = true, default_value = "127.0.0.1")]
    pub host: String,
    /// The port to listen on; 0 picks a free one and prints it.
    #[arg(long = "mass-port", env = "MASS_PORT", value_name = "MASS_PORT", global = true, default_value_t = 8000)]
    pub port: u16,
    /// Where clients find the server, if that is behind a proxy: an address that may have a path, such as
    /// `https://example.org/mass` [default: the address that they use, without a path].
    #[arg(
        long = "mass-public-url",
        env = "MASS_PUBLIC_URL",
        value_name = "MASS_PUBLIC_URL",
        global = true,
        hide_env_values = true,
        hide_default_value = true,
        default_value = "",
        value_parser = PublicUrl::from_str
    )]
    pub public_url: PublicUrl,
    /// The longest body of a single request, in bytes.
    #[arg(
        long = "mass-body-limit-bytes",
        env = "MASS_BODY_LIMIT_BYTES",
        value_name = "MASS_BODY_LIMIT_BYTES",
        global = true,
        default_value_t = 1_048_576,
        value_parser = body_limit
    )]
    pub body_limit_bytes: usize,
    /// Origins whose pages may call the API from a browser, separated by commas.
    #[arg(
        long = "mass-cors-origins",
        env = "MASS_CORS_ORIGINS",
        value_name = "MASS_CORS_ORIGINS",
        global = true,
        hide_env_values = true,
        value_delimiter = ',',
        value_parser = origin
    )]
    pub cors_origins: Vec<String>,
    /// Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: addresses or networks, separated by commas.
    #[arg(
        long = "mass-trusted-proxies",
        env = "MASS_TRUSTED_PROXIES",
        value_name = "MASS_TRUSTED_PROXIES",
        global = true,
        value_delimiter = ',',
        value_parser = proxy
    )]
    pub trusted_proxies: Vec<IpNet>,
}

/// How much each caller may ask for, in requests a minute; 0 means without limit.
#[derive(Debug, Clone, Args)]
pub struct LimitSettings {
    /// Requests a minute of each user or API key; 0 switches every rate limit off.
    #[arg(
        id = "mass_rate_limit_per_minute",
        long = "mass-rate-limit-per-minute",
        env = "MASS_RATE_LIMIT_PER_MINUTE",
        value_name = "MASS_RATE_LIMIT_PER_MINUTE",
        global = true,
        default_value_t = 6000
    )]
    pub credential: u32,
    /// Requests a minute of each tenant, over all its credentials; 0 for no such limit.
    #[arg(
        id = "mass_tenant_rate_limit_per_minute",
        long = "mass-tenant-rate-limit-per-minute",
        env = "MASS_TENANT_RATE_LIMIT_PER_MINUTE",
        value_name = "MASS_TENANT_RATE_LIMIT_PER_MINUTE",
        global = true,
        default_value_t = 60_000
    )]
    pub tenant: u32,
    /// Log-ins, refreshes and registrations a minute from each address; 0 for no such limit.
    #[arg(
        id = "mass_address_rate_limit_per_minute",
        long = "mass-address-rate-limit-per-minute",
        env = "MASS_ADDRESS_RATE_LIMIT_PER_MINUTE",
        value_name = "MASS_ADDRESS_RATE_LIMIT_PER_MINUTE",
        global = true,
        default_value_t = 60
    )]
    pub address: u32,
}

impl LimitSettings {
    /// The limits in force.
    #[must_use]
    pub fn per_minute(&self) -> PerMinute {
        let limit = |requests| NonZeroU32::new(requests).filter(|_| self.credential > 0);
        PerMinute { address: limit(self.address), credential: limit(self.credential), tenant: limit(self.tenant) }
    }
}

/// Where data is kept.
#[derive(Debug, Clone, Args)]
pub struct StorageSettings {
    /// `sqlite://PATH` or `postgres://USER:PASSWORD@HOST/DATABASE` [default: mass.db in MASS_DATA_DIR].
    #[arg(skip)]
    pub url: Option<SecretString>,
    /// PostgreSQL: the owner that migrates, where the server itself runs as another role [default: DATABASE_URL].
    #[arg(skip)]
    pub migration_url: Option<SecretString>,
    /// PostgreSQL: `false` behind a pooler in transaction mode that knows no prepared statements.
    #[arg(
        long = "mass-statement-cache",
        env = "MASS_STATEMENT_CACHE",
        value_name = "MASS_STATEMENT_CACHE",
        global = true,
        default_value_t = true,
        action = clap::ArgAction::Set
    )]
    pub statement_cache: bool,
    /// How long the database may take for a unit of work before its caller gets 503, in seconds: 1 to 600.
    #[arg(
        long = "mass-database-timeout-seconds",
        env = "MASS_DATABASE_TIMEOUT_SECONDS",
        value_name = "MASS_DATABASE_TIMEOUT_SECONDS",
        global = true,
        default_value_t = 20,
        value_parser = clap::value_parser!(u16).range(1..=600)
    )]
    pub database_timeout_seconds: u16,
    /// The folder of mass.db, secret.key, audit.key and temporary files.
    #[arg(
        long = "mass-data-dir",
        env = "MASS_DATA_DIR",
        value_name = "MASS_DATA_DIR",
        global = true,
        default_value = "data"
    )]
    pub data_dir: PathBuf,
}

/// How callers prove who they are.
#[derive(Debug, Clone, Args)]
pub struct AuthSettings {
    /// The secret that signs access tokens: at least 32 bytes [default: made at the first start].
    #[arg(skip)]
    pub secret_key: Option<SecretString>,
    /// The key before it, still accepted while tokens signed with it live.
    #[arg(skip)]
    pub secret_key_previous: Option<SecretString>,
    /// How access tokens are signed: `HS256` with SECRET_KEY itself, or `EdDSA` with an Ed25519 key derived from it,
    /// whose public half is at /.well-known/jwks.json.
    #[arg(
        long = "mass-token-algorithm",
        env = "MASS_TOKEN_ALGORITHM",
        value_name = "MASS_TOKEN_ALGORITHM",
        global = true,
        default_value_t
    )]
    pub token_algorithm: TokenAlgorithm,
    /// For how many minutes an access token is good.
    #[arg(
        long = "access-token-expire-minutes",
        env = "ACCESS_TOKEN_EXPIRE_MINUTES",
        value_name = "ACCESS_TOKEN_EXPIRE_MINUTES",
        global = true,
        default_value = "15",
        value_parser = lifetime
    )]
    pub access_token_lifetime: TokenLifetime,
    /// Whether strangers may make themselves an account, as viewers in MASS_TENANT.
    #[arg(
        long = "mass-allow-registration",
        env = "MASS_ALLOW_REGISTRATION",
        value_name = "MASS_ALLOW_REGISTRATION",
        global = true,
        default_value_t = false,
        action = clap::ArgAction::Set
    )]
    pub allow_registration: bool,
    /// bcrypt's cost: each step doubles the work of a guess and of a log-in.
    #[arg(
        long = "mass-bcrypt-cost",
        env = "MASS_BCRYPT_COST",
        value_name = "MASS_BCRYPT_COST",
        global = true,
        default_value = "12"
    )]
    pub bcrypt_cost: Cost,
    /// Mixed into every password before it is hashed, at least 32 bytes; kept apart from the database.
    #[arg(skip)]
    pub pepper: Option<SecretString>,
}

/// How the audit trail is signed.
#[derive(Debug, Clone, Args)]
pub struct AuditSettings {
    /// The Ed25519 seed that signs checkpoints of the audit trail: 32 bytes in base64 [default: made at the first start].
    #[arg(skip)]
    pub key: Option<SecretString>,
    /// The name under which checkpoints are signed, such as the installation's host name.
    #[arg(
        id = "mass_audit_name",
        long = "mass-audit-name",
        env = "MASS_AUDIT_NAME",
        value_name = "MASS_AUDIT_NAME",
        global = true,
        default_value = "mass.local",
        value_parser = KeyName::parse
    )]
    pub name: KeyName,
    /// How often the audit trail is signed, in seconds, if anything was added to it: 1 to 86400.
    #[arg(
        long = "mass-audit-checkpoint-seconds",
        env = "MASS_AUDIT_CHECKPOINT_SECONDS",
        value_name = "MASS_AUDIT_CHECKPOINT_SECONDS",
        global = true,
        default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..=86_400)
    )]
    pub checkpoint_seconds: u32,
}

/// Who is asked for recommendations, and how.
#[derive(Debug, Clone, Args)]
pub struct EngineSettings {
    /// Where the engine is, such as http://127.0.0.1:8001 [default: none, and nothing can be sent].
    #[arg(
        id = "mass_engine_url",
        long = "mass-engine-url",
        env = "MASS_ENGINE_URL",
        value_name = "MASS_ENGINE_URL",
        global = true,
        hide_env_values = true,
        value_parser = engine_url
    )]
    pub url: Option<Address>,
    /// The hosts that may be in MASS_ENGINE_URL, separated by commas [default: any].
    #[arg(
        id = "mass_engine_allowed_hosts",
        long = "mass-engine-allowed-hosts",
        env = "MASS_ENGINE_ALLOWED_HOSTS",
        value_name = "MASS_ENGINE_ALLOWED_HOSTS",
        global = true,
        hide_env_values = true,
        value_delimiter = ',',
        value_parser = engine_host
    )]
    pub allowed_hosts: Vec<AllowedHost>,
    /// What MASS proves itself to the engine with, as a bearer token.
    #[arg(skip)]
    pub token: Option<SecretString>,
    /// Whether what is accepted is sent to the engine at once, in the same transaction, where the tenant has not decided.
    #[arg(
        id = "mass_auto_send",
        long = "mass-auto-send",
        env = "MASS_AUTO_SEND",
        value_name = "MASS_AUTO_SEND",
        global = true,
        default_value_t = false,
        action = clap::ArgAction::Set
    )]
    pub auto_send: bool,
    /// How many calls a process makes to the engine at once: 1 to 256.
    #[arg(
        id = "mass_engine_concurrency",
        long = "mass-engine-concurrency",
        env = "MASS_ENGINE_CONCURRENCY",
        value_name = "MASS_ENGINE_CONCURRENCY",
        global = true,
        default_value_t = 4,
        value_parser = clap::value_parser!(u16).range(1..=256)
    )]
    pub concurrency: u16,
    /// How long an answer may take where the document has no timeout_ms, in milliseconds: 10 to 120000.
    #[arg(
        id = "mass_engine_timeout_ms",
        long = "mass-engine-timeout-ms",
        env = "MASS_ENGINE_TIMEOUT_MS",
        value_name = "MASS_ENGINE_TIMEOUT_MS",
        global = true,
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(10..=120_000)
    )]
    pub timeout_ms: u32,
    /// For how long the engine is asked about a request, retries and pauses included, in seconds: 1 to 2592000.
    #[arg(
        id = "mass_engine_deadline_seconds",
        long = "mass-engine-deadline-seconds",
        env = "MASS_ENGINE_DEADLINE_SECONDS",
        value_name = "MASS_ENGINE_DEADLINE_SECONDS",
        global = true,
        default_value_t = 86_400,
        value_parser = clap::value_parser!(u32).range(1..=2_592_000)
    )]
    pub deadline_seconds: u32,
    /// After how many seconds others take over what a killed process was asking about: 2 to 3600.
    #[arg(
        id = "mass_engine_lease_seconds",
        long = "mass-engine-lease-seconds",
        env = "MASS_ENGINE_LEASE_SECONDS",
        value_name = "MASS_ENGINE_LEASE_SECONDS",
        global = true,
        default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(2..=3600)
    )]
    pub lease_seconds: u32,
}

/// The URL of the engine; none where it was set to nothing. A wrong one is told of later, and not shown: it may hold a
/// password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(pub Result<Option<EngineUrl>, InvalidEngineUrl>);

/// A host that may be the engine's; none where the list was set to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost(pub Option<Host>);

impl EngineSettings {
    /// Where the engine is, if there is one.
    ///
    /// # Errors
    /// [`InvalidEngineUrl`] for what is set and is none.
    pub fn url(&self) -> Result<Option<&EngineUrl>, InvalidEngineUrl> {
        match &self.url {
            Some(Address(Ok(url))) => Ok(url.as_ref()),
            Some(Address(Err(error))) => Err(*error),
            None => Ok(None),
        }
    }

    /// The hosts that it may have; any, if there are none.
    #[must_use]
    pub fn hosts(&self) -> Vec<Host> {
        self.allowed_hosts.iter().filter_map(|host| host.0.clone()).collect()
    }
}

/// The first tenant and administrator.
#[derive(Debug, Clone, Args)]
pub struct FirstSettings {
    /// The first administrator's address; used only on an empty database.
    #[arg(
        long = "mass-admin-email",
        env = "MASS_ADMIN_EMAIL",
        value_name = "MASS_ADMIN_EMAIL",
        global = true,
        default_value = "admin@mass.local",
        value_parser = Email::parse
    )]
    pub admin_email: Email,
    /// The first administrator's password, at least 15 characters; used only on an empty database [default: random,
    /// printed once].
    #[arg(skip)]
    pub admin_password: Option<SecretString>,
    /// The default tenant: the first administrator's, and that of local commands.
    #[arg(
        id = "mass_tenant",
        long = "mass-tenant",
        env = "MASS_TENANT",
        value_name = "MASS_TENANT",
        global = true,
        default_value = "default",
        value_parser = tenant
    )]
    pub tenant: TenantId,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line, for collectors.
    Json,
}

/// What is logged, on standard error.
#[derive(Debug, Clone, Args)]
pub struct LogSettings {
    /// The form of log lines.
    #[arg(
        long = "mass-log-format",
        env = "MASS_LOG_FORMAT",
        value_name = "MASS_LOG_FORMAT",
        global = true,
        default_value = "pretty"
    )]
    pub format: LogFormat,
    /// Which lines: a level, or a filter such as `info,mass_app=debug`.
    #[arg(long = "mass-log", env = "MASS_LOG", value_name = "MASS_LOG", global = true, default_value = "info")]
    pub filter: String,
}

/// Where traces and metrics go, by OpenTelemetry's own names. Its other variables (`OTEL_TRACES_SAMPLER`,
/// `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_RESOURCE_ATTRIBUTES`, …) are read by its library.
#[derive(Debug, Clone, Default, Args)]
pub struct TelemetrySettings {
    /// A collector that takes OTLP over HTTP, such as http://localhost:4318 [default: none, and nothing is sent].
    #[arg(skip)]
    pub endpoint: Option<SecretString>,
    /// Where traces go instead: the whole URL.
    #[arg(skip)]
    pub traces_endpoint: Option<SecretString>,
    /// Where metrics go instead: the whole URL.
    #[arg(skip)]
    pub metrics_endpoint: Option<SecretString>,
    /// `true` sends nothing, whatever else is set.
    #[arg(
        id = "otel_sdk_disabled",
        long = "otel-sdk-disabled",
        env = "OTEL_SDK_DISABLED",
        value_name = "OTEL_SDK_DISABLED",
        global = true,
        default_value = "false",
        action = clap::ArgAction::Set,
        value_parser = boolean
    )]
    pub disabled: bool,
}

impl TelemetrySettings {
    /// Where traces are sent, if anywhere.
    ///
    /// # Errors
    /// When what is set is no URL of a collector.
    pub fn traces(&self) -> anyhow::Result<Option<SecretString>> {
        let own = (self.traces_endpoint.as_ref(), "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        self.signal(own, "v1/traces")
    }

    /// Where metrics are sent, if anywhere.
    ///
    /// # Errors
    /// When what is set is no URL of a collector.
    pub fn metrics(&self) -> anyhow::Result<Option<SecretString>> {
        let own = (self.metrics_endpoint.as_ref(), "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT");
        self.signal(own, "v1/metrics")
    }

    /// Nothing is sent without the endpoint of all signals. To it a path is added, which a signal's own has already.
    fn signal(&self, own: (Option<&SecretString>, &str), path: &str) -> anyhow::Result<Option<SecretString>> {
        let all = self.endpoint.as_ref().map(collector).transpose().context("OTEL_EXPORTER_OTLP_ENDPOINT")?;
        let own = own.0.map(collector).transpose().with_context(|| own.1.to_owned())?;
        let Some(all) = all.filter(|_| !self.disabled) else { return Ok(None) };
        let url = own.map_or_else(|| format!("{}/{path}", all.as_str().trim_end_matches('/')), String::from);
        Ok(Some(url.into()))
    }
}

/// Parses the URL of a collector. The text may hold a password, and is not repeated; the exporter would log it with each
/// failure.
fn collector(text: &SecretString) -> anyhow::Result<reqwest::Url> {
    let url = reqwest::Url::parse(text.expose_secret().trim()).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.context("expected the URL of a collector such as http://localhost:4318")?;
    if !url.username().is_empty() || url.password().is_some() {
        bail!("expected a URL without a user name and a password; OTEL_EXPORTER_OTLP_HEADERS is for credentials");
    }
    Ok(url)
}

/// OpenTelemetry takes both in any case.
fn boolean(text: &str) -> Result<bool, String> {
    text.trim().to_ascii_lowercase().parse().map_err(|_| "true or false is due".to_owned())
}

fn body_limit(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if bytes >= 1024 => Ok(bytes),
        _ => Err("expected a whole number of bytes, at least 1024".to_owned()),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a parser of clap's, which shows what it refuses")]
fn engine_url(text: &str) -> Result<Address, String> {
    let url = if text.trim().is_empty() { Ok(None) } else { EngineUrl::parse(text).map(Some) };
    Ok(Address(url))
}

fn engine_host(text: &str) -> Result<AllowedHost, String> {
    if text.trim().is_empty() {
        return Ok(AllowedHost(None));
    }
    text.parse().map(|host| AllowedHost(Some(host))).map_err(|error: InvalidHost| error.to_string())
}

/// An origin as browsers send it (RFC 6454, section 6.2), so that it can be compared byte by byte.
fn origin(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text.trim()).map_err(|error| error.to_string())?;
    let origin = url.origin().ascii_serialization();
    if matches!(url.scheme(), "http" | "https") && origin == text.trim() {
        Ok(origin)
    } else {
        Err("expected an origin such as https://console.example:8443".to_owned())
    }
}

fn proxy(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map_err(|_| "expected an address or a network such as 10.0.0.0/8".to_owned())
}

fn lifetime(text: &str) -> Result<TokenLifetime, String> {
    let minutes = text.parse().map_err(|_| mass_auth::InvalidLifetime);
    minutes.and_then(TokenLifetime::from_minutes).map_err(|error| error.to_string())
}

fn tenant(text: &str) -> Result<TenantId, String> {
    match TenantId::parse(text) {
        Ok(tenant) if tenant.as_str() == TenantId::SYSTEM => Err("this name is MASS's own".to_owned()),
        Ok(tenant) => Ok(tenant),
        Err(error) => Err(error.to_string()),
    }
}

impl Settings {
    /// Reads the secrets, each from the variable of its name or from the file that `NAME_FILE` names.
    ///
    /// # Errors
    /// When both variables are set, or the file cannot be read. No message holds a secret.
    pub fn with_secrets(mut self, variable: impl Fn(&str) -> Option<OsString>) -> anyhow::Result<Self> {
        for (name, setting) in self.secrets() {
            *setting = secret(name, &variable)?;
        }
        Ok(self)
    }

    /// The secrets in the order of [`SECRETS`].
    fn secrets(&mut self) -> impl Iterator<Item = (&'static str, &mut Option<SecretString>)> {
        let settings: [_; SECRETS.len()] = [
            &mut self.storage.url,
            &mut self.storage.migration_url,
            &mut self.auth.secret_key,
            &mut self.auth.secret_key_previous,
            &mut self.auth.pepper,
            &mut self.audit.key,
            &mut self.engine.token,
            &mut self.first.admin_password,
            &mut self.telemetry.endpoint,
            &mut self.telemetry.traces_endpoint,
            &mut self.telemetry.metrics_endpoint,
            &mut self.token,
        ];
        SECRETS.into_iter().zip(settings)
    }

    /// The database's address.
    #[must_use]
    pub fn database_url(&self) -> SecretString {
        self.storage.url.clone().unwrap_or_else(|| {
            let path = self.storage.data_dir.join("mass.db");
            SecretString::from(format!("sqlite://{}", path.display()))
        })
    }

    /// Every variable with its effective value, secrets masked.
    #[must_use]
    pub fn shown(&self) -> Vec<(&'static str, String)> {
        let secret = |value: &Option<SecretString>| match value {
            Some(_) => "(set, not shown)".to_owned(),
            None => "(not set)".to_owned(),
        };
        let engine = match self.engine.url() {
            Ok(Some(url)) => url.to_string(),
            Ok(None) => "(not set)".to_owned(),
            Err(error) => format!("(wrong: {error})"),
        };
        let hosts: Vec<String> = self.engine.hosts().iter().map(ToString::to_string).collect();
        let proxies: Vec<String> = self.http.trusted_proxies.iter().map(ToString::to_string).collect();
        let name = |value: Option<clap::builder::PossibleValue>| value.map(|value| value.get_name().to_owned());
        let url = |url: &SecretString| match mass_persistence::describe(url.expose_secret()) {
            Ok(place) => format!("({place})"),
            Err(error) => format!("(wrong: {error})"),
        };
        vec![
            ("DATABASE_URL", url(&self.database_url())),
            ("MASS_ADMIN_EMAIL", self.first.admin_email.to_string()),
            ("MASS_ADMIN_PASSWORD", secret(&self.first.admin_password)),
            ("MASS_ALLOW_REGISTRATION", self.auth.allow_registration.to_string()),
            ("MASS_AUDIT_CHECKPOINT_SECONDS", self.audit.checkpoint_seconds.to_string()),
            ("MASS_AUDIT_KEY", secret(&self.audit.key)),
            ("MASS_AUDIT_NAME", self.audit.name.to_string()),
            ("MASS_AUTO_SEND", self.engine.auto_send.to_string()),
            ("MASS_BATCH_REFUSED_IN_A_ROW", self.streams.refused_in_a_row.to_string()),
            ("MASS_BATCH_UNREAD_BYTES", self.streams.unread_bytes.to_string()),
            ("MASS_BCRYPT_COST", self.auth.bcrypt_cost.get().to_string()),
            ("MASS_ADDRESS_RATE_LIMIT_PER_MINUTE", self.limits.address.to_string()),
            ("MASS_BODY_LIMIT_BYTES", self.http.body_limit_bytes.to_string()),
            ("MASS_CORS_ORIGINS", self.http.cors_origins.join(",")),
            ("MASS_DATABASE_TIMEOUT_SECONDS", self.storage.database_timeout_seconds.to_string()),
            ("MASS_DATA_DIR", self.storage.data_dir.display().to_string()),
            ("MASS_ENGINE_ALLOWED_HOSTS", hosts.join(",")),
            ("MASS_ENGINE_CONCURRENCY", self.engine.concurrency.to_string()),
            ("MASS_ENGINE_DEADLINE_SECONDS", self.engine.deadline_seconds.to_string()),
            ("MASS_ENGINE_LEASE_SECONDS", self.engine.lease_seconds.to_string()),
            ("MASS_ENGINE_TIMEOUT_MS", self.engine.timeout_ms.to_string()),
            ("MASS_ENGINE_TOKEN", secret(&self.engine.token)),
            ("MASS_ENGINE_URL", engine),
            ("MASS_ENV", name(self.stage.environment.to_possible_value()).unwrap_or_default()),
            ("MASS_HOST", self.http.host.clone()),
            ("MASS_LOG", self.log.filter.clone()),
            ("MASS_LOG_FORMAT", name(self.log.format.to_possible_value()).unwrap_or_default()),
            ("MASS_MAX_CONNECTIONS", self.connections.total.to_string()),
            ("MASS_MAX_CONNECTIONS_PER_ADDRESS", self.connections.per_address.to_string()),
            (
                "MASS_MIGRATION_DATABASE_URL",
                self.storage.migration_url.as_ref().map_or("(DATABASE_URL)".to_owned(), url),
            ),
            ("MASS_PASSWORD_PEPPER", secret(&self.auth.pepper)),
            ("MASS_PORT", self.http.port.to_string()),
            ("MASS_PUBLIC_URL", self.http.public_url.as_str().to_owned()),
            ("MASS_RATE_LIMIT_PER_MINUTE", self.limits.credential.to_string()),
            ("MASS_STATEMENT_CACHE", self.storage.statement_cache.to_string()),
            ("MASS_STREAMS_PER_CREDENTIAL", self.streams.per_credential.to_string()),
            ("MASS_STREAMS_PER_TENANT", self.streams.per_tenant.to_string()),
            ("MASS_STREAM_BUFFER_BYTES", self.streams.buffer_bytes.to_string()),
            ("MASS_TENANT", self.first.tenant.to_string()),
            ("MASS_TOKEN", secret(&self.token)),
            ("MASS_TENANT_RATE_LIMIT_PER_MINUTE", self.limits.tenant.to_string()),
            ("MASS_TRUSTED_PROXIES", proxies.join(",")),
            ("MASS_TOKEN_ALGORITHM", self.auth.token_algorithm.to_string()),
            ("MASS_WRITE_TIMEOUT_SECONDS", self.connections.write_timeout_seconds.to_string()),
            ("ACCESS_TOKEN_EXPIRE_MINUTES", (self.auth.access_token_lifetime.seconds() / 60).to_string()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", secret(&self.telemetry.endpoint)),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", secret(&self.telemetry.metrics_endpoint)),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", secret(&self.telemetry.traces_endpoint)),
            ("OTEL_SDK_DISABLED", self.telemetry.disabled.to_string()),
            ("SECRET_KEY", secret(&self.auth.secret_key)),
            ("SECRET_KEY_PREVIOUS", secret(&self.auth.secret_key_previous)),
        ]
    }
}
