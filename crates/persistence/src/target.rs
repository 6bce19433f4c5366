//! Which database a URL names.

use std::path::PathBuf;

/// What is wrong with a database's URL. Never holds the URL itself, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// Neither of the two schemes.
    #[error("a database URL begins with sqlite:// or postgres://")]
    Scheme,
    /// No file is named.
    #[error("a path is due after sqlite://, as in sqlite://data/mass.db")]
    NoPath,
    /// SQLite in memory.
    #[error("a database in memory would be another one for each connection; name a file, as in sqlite://data/mass.db")]
    InMemory,
}

/// The database that a URL names.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A file.
    Sqlite(PathBuf),
    /// A server.
    Postgres(PostgresUrl),
}

impl Target {
    /// Reads a URL.
    pub(crate) fn parse(url: &str) -> Result<Self, InvalidUrl> {
        if let Some(path) = url.strip_prefix("sqlite://") {
            return match path {
                "" => Err(InvalidUrl::NoPath),
                ":memory:" => Err(InvalidUrl::InMemory),
                path => Ok(Self::Sqlite(path.into())),
            };
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres(PostgresUrl(url.to_owned())));
        }
        Err(InvalidUrl::Scheme)
    }

    /// The database for people and logs.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("SQLite at {}", path.display()),
            Self::Postgres(url) => format!("PostgreSQL at {}", url.place()),
        }
    }
}

/// The URL of a PostgreSQL server as libpq reads it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PostgresUrl(String);

/// What holds unless the URL says otherwise: libpq itself would wait for ever, for a connection and for an answer alike.
const DEFAULTS: [(&str, &str); 4] =
    [("connect_timeout", "5"), ("tcp_user_timeout", "20000"), ("keepalives_idle", "30"), ("application_name", "mass")];

impl PostgresUrl {
    /// The URL with our defaults.
    pub(crate) fn with_defaults(&self) -> String {
        let (base, query) = self.0.split_once('?').unwrap_or((&self.0, ""));
        let given = |name| query.split('&').any(|pair| pair.split_once('=').is_some_and(|(key, _)| key == name));
        let defaults = DEFAULTS.iter().filter(|(name, _)| !given(*name)).map(|(name, value)| format!("{name}={value}"));
        let query: Vec<_> =
            Some(query.to_owned()).filter(|query| !query.is_empty()).into_iter().chain(defaults).collect();
        format!("{base}?{}", query.join("&"))
    }

    /// Host and database, without user and password.
    fn place(&self) -> &str {
        let (base, _) = self.0.split_once('?').unwrap_or((&self.0, ""));
        let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
        rest.rsplit_once('@').map_or(rest, |(_, place)| place)
    }

    /// A message of libpq without the URL, which it quotes where it cannot read it.
    pub(crate) fn redact(&self, message: &str) -> String {
        message.trim_end().replace(&self.with_defaults(), self.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(url: &str) -> Result<String, InvalidUrl> {
        Target::parse(url).map(|target| target.describe())
    }

    #[test]
    fn a_database_is_described_without_its_password() {
        let cases = [
            ("sqlite://data/mass.db", "SQLite at data/mass.db"),
            ("sqlite:///var/lib/mass.db", "SQLite at /var/lib/mass.db"),
            ("postgres://mass:s3cret@db.example:5432/mass?sslmode=require", "PostgreSQL at db.example:5432/mass"),
            ("postgresql://mass:p@ss@db/mass?password=s3cret", "PostgreSQL at db/mass"),
            ("postgres:///mass?host=/run/postgresql", "PostgreSQL at /mass"),
        ];
        for (url, description) in cases {
            assert_eq!(described(url).as_deref(), Ok(description));
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_told_without_quoting_it() {
        assert_eq!(described("mysql://root:s3cret@db/mass"), Err(InvalidUrl::Scheme));
        assert_eq!(described("sqlite://"), Err(InvalidUrl::NoPath));
        assert_eq!(described("sqlite://:memory:"), Err(InvalidUrl::InMemory));
    }

    #[test]
    fn a_url_keeps_what_it_says_and_gains_the_rest() {
        let with_defaults = |url: &str| PostgresUrl(url.to_owned()).with_defaults();
        assert_eq!(
            with_defaults("postgres://db/mass"),
            "postgres://db/mass?connect_timeout=5&tcp_user_timeout=20000&keepalives_idle=30&application_name=mass"
        );
        assert_eq!(
            with_defaults("postgres://db/mass?sslmode=require&connect_timeout=1"),
            "postgres://db/mass?sslmode=require&connect_timeout=1&tcp_user_timeout=20000&keepalives_idle=30&application_name=mass"
        );
    }

    #[test]
    fn a_message_loses_the_url() {
        let url = PostgresUrl("postgres://mass:s3cret@[db/mass".to_owned());
        let message = format!("end of string reached when looking for \"]\" in URI: \"{}\"\n", url.with_defaults());
        assert_eq!(url.redact(&message), "end of string reached when looking for \"]\" in URI: \"[db/mass\"");
    }
}
