//! Configuration: environment variables, `.env` and flags, read once, into types.
//!
//! A setting is one field of one group. Its name is that of its flag, its variable and its value in the help: the field
//! `port` is `--port <PORT>` and `MASS_PORT`. Each command has the groups that it uses as arguments of its own.

mod connections;
mod engine;
mod environment;
mod local;
mod secrets;
mod server;
mod streams;
mod telemetry;
mod variables;

use std::collections::BTreeMap;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

pub use self::connections::ConnectionSettings;
pub use self::engine::{Address, AllowedHost, EngineSettings, WorkerSettings};
pub use self::environment::{Unknown, load_dotenv, unknown_variables, variable, wants_no_colour};
pub use self::local::{
    AuditSettings, CheckpointSettings, DatabaseSettings, Environment, FolderSettings, LocalSettings, StageSettings,
    TokenSettings,
};
pub use self::secrets::{SECRETS, Secrets};
pub use self::server::{HttpSettings, LimitSettings, PublicSettings};
pub use self::streams::StreamSettings;
pub use self::telemetry::{LogFormat, LogSettings, TelemetrySettings};
pub use self::variables::{Texts, flag_of, with_variables};

/// The heading of settings in a command's help, by which they are told from its other arguments.
const HEADING: &str = "Settings, each also the variable in angle brackets";

/// Every setting of the server. Those that are secret have no flag, and are [`Secrets`].
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// The settings as they were written.
    #[command(flatten)]
    pub texts: Texts,
    /// Where requests come in.
    #[command(flatten)]
    pub http: HttpSettings,
    /// Where clients find the server.
    #[command(flatten)]
    pub public: PublicSettings,
    /// How many connections there may be, and how slowly a client may read.
    #[command(flatten)]
    pub connections: ConnectionSettings,
    /// How many batches and exports there may be at once, and how much memory they may hold.
    #[command(flatten)]
    pub streams: StreamSettings,
    /// How much each caller may ask for.
    #[command(flatten)]
    pub limits: LimitSettings,
    /// The database, and its first accounts.
    #[command(flatten)]
    pub local: LocalSettings,
    /// How access tokens are issued.
    #[command(flatten)]
    pub tokens: TokenSettings,
    /// How the audit trail is signed.
    #[command(flatten)]
    pub audit: AuditSettings,
    /// How often the audit trail is signed.
    #[command(flatten)]
    pub checkpoints: CheckpointSettings,
    /// Where the engine is.
    #[command(flatten)]
    pub engine: EngineSettings,
    /// How the engine is asked.
    #[command(flatten)]
    pub worker: WorkerSettings,
    /// Where traces and metrics go.
    #[command(flatten)]
    pub telemetry: TelemetrySettings,
}

impl Settings {
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
            // A wrong one may hold a password.
            ("MASS_ENGINE_URL".to_owned(), engine),
        ]);
        shown
    }
}
