//! Secrets: settings without a flag, because every user of a machine can read its command lines.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use secrecy::SecretString;

/// Declares the secrets, each as a field and its variable.
macro_rules! secrets {
    ($($(#[$doc:meta])+ $field:ident: $variable:literal,)+) => {
        /// The variables of the secrets.
        pub const SECRETS: &[&str] = &[$($variable),+];

        /// The secrets that are set.
        #[derive(Debug, Clone, Default)]
        pub struct Secrets {
            $($(#[$doc])+ pub $field: Option<SecretString>,)+
        }

        impl Secrets {
            /// Reads each secret from its variable, or from the file that `NAME_FILE` names.
            ///
            /// # Errors
            /// If both variables are set, or the file cannot be read. No message contains a secret.
            pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> anyhow::Result<Self> {
                Ok(Self { $($field: secret($variable, &variable)?,)+ })
            }

            /// Iterates over the secrets by their variables.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, Option<&SecretString>)> {
                [$(($variable, self.$field.as_ref())),+].into_iter()
            }
        }
    };
}

secrets! {
    /// `sqlite://PATH` or `postgres://USER:PASSWORD@HOST/DATABASE` [default: mass.db in MASS_DATA_DIR].
    database_url: "DATABASE_URL",
    /// PostgreSQL: the role that owns the schema and migrates, if the server runs as another role [default:
    /// DATABASE_URL].
    migration_database_url: "MASS_MIGRATION_DATABASE_URL",
    /// The secret that signs access tokens: at least 32 bytes [default: generated at the first start].
    secret_key: "SECRET_KEY",
    /// The previous SECRET_KEY, still accepted while tokens signed with it are valid.
    secret_key_previous: "SECRET_KEY_PREVIOUS",
    /// The pepper that is mixed into every password before hashing: at least 32 bytes, kept apart from the database.
    password_pepper: "MASS_PASSWORD_PEPPER",
    /// The Ed25519 seed that signs checkpoints of the audit trail: 32 bytes in base64 [default: generated at the first
    /// start].
    audit_key: "MASS_AUDIT_KEY",
    /// The bearer token with which MASS authenticates to the engine.
    engine_token: "MASS_ENGINE_TOKEN",
    /// The first administrator's password, at least 15 characters; used only on an empty database [default: random,
    /// printed once].
    admin_password: "MASS_ADMIN_PASSWORD",
    /// An OTLP/HTTP collector, such as http://localhost:4318 [default: none, and nothing is sent].
    otel_endpoint: "OTEL_EXPORTER_OTLP_ENDPOINT",
    /// The URL for traces, if it differs: the whole URL.
    otel_traces_endpoint: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    /// The URL for metrics, if it differs: the whole URL.
    otel_metrics_endpoint: "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    /// The bearer token with which `mass import`, `mass export` and `mass bridge` call a server.
    token: "MASS_TOKEN",
    /// The user as which `mass bridge mqtt` logs in at the broker.
    mqtt_user: "MASS_MQTT_USER",
    /// The password of MASS_MQTT_USER.
    mqtt_password: "MASS_MQTT_PASSWORD",
}

/// Reads a secret from its variable, or from the file that `NAME_FILE` names. An empty variable counts as not set.
fn secret(name: &str, variable: &impl Fn(&str) -> Option<OsString>) -> anyhow::Result<Option<SecretString>> {
    let file = format!("{name}_FILE");
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    match (set(name), set(&file)) {
        (Some(_), Some(_)) => bail!("expected {name} or {file}, found both"),
        (Some(value), None) => {
            let text = value.into_string().map_err(|_| anyhow!("{name}: expected UTF-8"))?;
            Ok(Some(text.into()))
        }
        (None, Some(path)) => {
            let path = PathBuf::from(path);
            let place = || format!("{file}: the file {}", path.display());
            let text = std::fs::read_to_string(&path).with_context(place)?;
            let text = text.trim_end_matches(['\r', '\n']);
            if text.is_empty() {
                bail!("{}: expected a secret, found nothing", place());
            }
            Ok(Some(text.into()))
        }
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_secret_from_its_variable_or_its_file() {
        use secrecy::ExposeSecret;

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "a secret in a file\r\n").unwrap();
        let read = |variables: &[(&str, &str)]| {
            let value = |name: &str| variables.iter().find(|(it, _)| *it == name).map(|(_, value)| value.into());
            secret("SECRET_KEY", &value).map(|secret| secret.map(|secret| secret.expose_secret().to_owned()))
        };
        let path = file.to_str().unwrap();
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&[("SECRET_KEY", ""), ("SECRET_KEY_FILE", "")]).unwrap(), None);
        assert_eq!(read(&[("SECRET_KEY", "a secret")]).unwrap().as_deref(), Some("a secret"));
        assert_eq!(read(&[("SECRET_KEY_FILE", path)]).unwrap().as_deref(), Some("a secret in a file"));
        let both = read(&[("SECRET_KEY", "a secret"), ("SECRET_KEY_FILE", path)]).unwrap_err().to_string();
        assert_eq!(both, "expected SECRET_KEY or SECRET_KEY_FILE, found both");
        let absent = format!("{:#}", read(&[("SECRET_KEY_FILE", "/nowhere")]).unwrap_err());
        assert!(absent.starts_with("SECRET_KEY_FILE: the file /nowhere: "), "{absent}");
        std::fs::write(&file, "\n").unwrap();
        assert!(read(&[("SECRET_KEY_FILE", path)]).unwrap_err().to_string().contains("found nothing"));
    }
}
