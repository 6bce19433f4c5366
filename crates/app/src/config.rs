//! Configuration: environment variables, `.env` and flags, read once into types.
//!
//! A setting is one field of a group. Its name gives its flag, its variable and its value in the help: the field `port`
//! is `--port <PORT>` and `MASS_PORT`. Each command takes the groups that it uses as arguments.

mod analytics;
mod connections;
mod engine;
mod environment;
mod local;
mod quarantine;
mod secrets;
mod server;
mod streams;
mod telemetry;
mod tenants;
mod variables;
mod webhooks;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

pub use self::analytics::AnalyticsSettings;
pub use self::connections::ConnectionSettings;
pub use self::engine::{Address, AllowedHost, EngineSettings, WorkerSettings};
pub use self::environment::{Unknown, load_dotenv, unknown_variables, variable, wants_no_colour};
pub use self::local::{
    AuditSettings, CheckpointSettings, DatabaseSettings, Environment, FolderSettings, LocalSettings, StageSettings,
    TokenSettings,
};
pub use self::quarantine::QuarantineSettings;
pub use self::secrets::{SECRETS, Secrets};
pub use self::server::{HttpSettings, LimitSettings, PublicSettings};
pub use self::streams::StreamSettings;
pub use self::telemetry::{LogFormat, LogSettings, TelemetrySettings};
pub use self::tenants::TenantDeletionSettings;
pub use self::variables::{Texts, flag_of, with_variables};
pub use self::webhooks::WebhookSettings;

/// The heading of settings in a command's help, which separates them from its other arguments.
const HEADING: &str = "Settings, each also the variable in angle brackets";

/// All settings of the server. Secret ones have no flag, and are [`Secrets`].
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// The settings as written.
    #[command(flatten)]
    pub texts: Texts,
    /// The listener.
    #[command(flatten)]
    pub http: HttpSettings,
    /// The public address.
    #[command(flatten)]
    pub public: PublicSettings,
    /// The limits on connections and slow readers.
    #[command(flatten)]
    pub connections: ConnectionSettings,
    /// The limits on concurrent batches and exports, and their memory.
    #[command(flatten)]
    pub streams: StreamSettings,
    /// The bounds of the quarantine.
    #[command(flatten)]
    pub quarantine: QuarantineSettings,
    /// The grace period of deleted tenants.
    #[command(flatten)]
    pub tenants: TenantDeletionSettings,
    /// The projection of the audit trail into figures.
    #[command(flatten)]
    pub analytics: AnalyticsSettings,
    /// The rate limits.
    #[command(flatten)]
    pub limits: LimitSettings,
    /// The database and its first accounts.
    #[command(flatten)]
    pub local: LocalSettings,
    /// The access tokens.
    #[command(flatten)]
    pub tokens: TokenSettings,
    /// The signature of the audit trail.
    #[command(flatten)]
    pub audit: AuditSettings,
    /// The interval of checkpoints.
    #[command(flatten)]
    pub checkpoints: CheckpointSettings,
    /// The engine's address.
    #[command(flatten)]
    pub engine: EngineSettings,
    /// The worker that calls the engine.
    #[command(flatten)]
    pub worker: WorkerSettings,
    /// The addresses that webhooks may have.
    #[command(flatten)]
    pub webhooks: WebhookSettings,
    /// The destination of traces and metrics.
    #[command(flatten)]
    pub telemetry: TelemetrySettings,
}

impl Settings {
    /// Returns the settings of a development server that keeps its files in another folder.
    #[must_use]
    pub fn in_folder(mut self, folder: PathBuf) -> Self {
        let texts = &mut self.texts.0;
        texts.insert("MASS_DATA_DIR".to_owned(), folder.display().to_string());
        texts.insert("MASS_ENV".to_owned(), "development".to_owned());
        self.local.stage.env = Environment::Development;
        self.local.database.folder.data_dir = folder;
        self
    }

    /// Returns the effective value of every variable, with secrets masked.
    #[must_use]
    pub fn shown(&self, secrets: &Secrets) -> BTreeMap<String, String> {
        let mask = |secret: Option<&SecretString>| if secret.is_some() { "(set, not shown)" } else { "(not set)" };
        let url = |url: &SecretString| match mass_persistence::describe(url.expose_secret()) {
            Ok(place) => format!("({place})"),
            Err(error) => format!("(wrong: {error})"),
        };
        let mut shown = self.texts.0.clone();
        shown.extend(secrets.iter().map(|(name, secret)| (name.to_owned(), mask(secret).to_owned())));
        let migration_url = secrets.migration_database_url.as_ref();
        let engine = match self.engine.url() {
            Ok(Some(url)) => url.to_string(),
            Ok(None) => "(not set)".to_owned(),
            Err(error) => format!("(wrong: {error})"),
        };
        shown.extend([
            ("DATABASE_URL".to_owned(), url(&self.local.database.url(secrets))),
            ("MASS_MIGRATION_DATABASE_URL".to_owned(), migration_url.map_or("(DATABASE_URL)".to_owned(), url)),
            // An invalid value may hold a password.
            ("MASS_ENGINE_URL".to_owned(), engine),
        ]);
        shown
    }
}
