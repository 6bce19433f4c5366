//! Settings of the database and its first accounts, shared by the server and the local commands.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use mass_auth::{Cost, TokenAlgorithm, TokenLifetime};
use mass_domain::audit::note::KeyName;
use mass_domain::tenancy::TenantId;
use mass_domain::users::Email;
use secrecy::{ExposeSecret, SecretString};

use super::HEADING;
use super::secrets::Secrets;

/// The environment that the program runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Environment {
    /// Development: missing secrets are generated.
    Development,
    /// Production: secrets must be given, and none is printed.
    Production,
}

/// The environment that the program runs in.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HEADING)]
pub struct StageSettings {
    /// `development`, or `production`, which generates no secrets.
    #[arg(long, default_value = "development", hide_possible_values = true)]
    pub env: Environment,
}

/// The folder of files.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HEADING)]
pub struct FolderSettings {
    /// The folder of mass.db, secret.key, audit.key and temporary files.
    #[arg(long, default_value = "data")]
    pub data_dir: PathBuf,
}

/// The database connection.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HEADING)]
pub struct DatabaseSettings {
    /// The folder of the file, for SQLite.
    #[command(flatten)]
    pub folder: FolderSettings,
    /// PostgreSQL: `false` behind a pooler without prepared statements.
    #[arg(long, default_value_t = true, hide_possible_values = true, action = ArgAction::Set)]
    pub statement_cache: bool,
    /// Timeout of a database transaction in seconds: 1 to 600.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=600))]
    pub database_timeout_seconds: u16,
}

impl DatabaseSettings {
    /// Returns the database's URL.
    #[must_use]
    pub fn url(&self, secrets: &Secrets) -> SecretString {
        let file = || format!("sqlite://{}", self.folder.data_dir.join("mass.db").display());
        secrets.database_url.clone().unwrap_or_else(|| file().into())
    }

    /// Returns the file of the database; `None` for PostgreSQL.
    #[must_use]
    pub fn file(&self, secrets: &Secrets) -> Option<PathBuf> {
        self.url(secrets).expose_secret().strip_prefix("sqlite://").map(PathBuf::from)
    }
}

/// The settings to open a database, and to create the first tenant and administrator in an empty one.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HEADING)]
pub struct LocalSettings {
    /// The environment.
    #[command(flatten)]
    pub stage: StageSettings,
    /// The database connection.
    #[command(flatten)]
    pub database: DatabaseSettings,
    /// The first administrator's tenant, and that of local commands.
    #[arg(long, env = "MASS_TENANT", default_value = "default", value_parser = tenant)]
    pub default_tenant: TenantId,
    /// The first administrator, created in an empty database.
    #[arg(long, default_value = "admin@mass.local", value_parser = Email::parse)]
    pub admin_email: Email,
    /// bcrypt's cost: each step doubles the work of a guess and of a log-in.
    #[arg(long, default_value = "12")]
    pub bcrypt_cost: Cost,
}

/// The signature of the audit trail.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HEADING)]
pub struct AuditSettings {
    /// The name that signs checkpoints, such as the installation's host name.
    #[arg(long, default_value = "mass.local", value_parser = KeyName::parse)]
    pub audit_name: KeyName,
}

/// The interval of checkpoints.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HEADING)]
pub struct CheckpointSettings {
    /// Interval of signing the audit trail after it has grown, in seconds: 1 to 86400.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub audit_checkpoint_seconds: u32,
}

/// The access tokens.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HEADING)]
pub struct TokenSettings {
    /// Signature of access tokens: `HS256` with SECRET_KEY itself, or `EdDSA` with an Ed25519 key derived from it,
    /// whose public half is at /.well-known/jwks.json.
    #[arg(long, default_value_t)]
    pub token_algorithm: TokenAlgorithm,
    /// Lifetime of an access token in minutes.
    #[arg(long, env, default_value = "15", value_parser = lifetime)]
    pub access_token_expire_minutes: TokenLifetime,
}

fn lifetime(text: &str) -> Result<TokenLifetime, String> {
    let minutes = text.parse().map_err(|_| mass_auth::InvalidLifetime);
    minutes.and_then(TokenLifetime::from_minutes).map_err(|error| error.to_string())
}

fn tenant(text: &str) -> Result<TenantId, String> {
    match TenantId::parse(text) {
        Ok(tenant) if tenant.as_str() == TenantId::SYSTEM => {
            Err("expected a name other than the reserved one".to_owned())
        }
        Ok(tenant) => Ok(tenant),
        Err(error) => Err(error.to_string()),
    }
}
