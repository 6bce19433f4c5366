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
const DEFAULTS: [(&str, &str); 6] = [
    ("connect_timeout", "5"),
    ("tcp_user_timeout", "20000"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "5"),
    ("keepalives_count", "3"),
    ("application_name", "mass"),
];

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
        let place = self.base().rsplit_once('@').map_or(self.base(), |(_, place)| place);
        let hosts = place.split_once('/').map_or(place, |(hosts, _)| hosts);
        let has_port =
            |host: &str| host.rsplit_once(':').is_none_or(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        // What is no port is a password with a `?` in it, which cuts off the `@`.
        if hosts.split(',').all(|host| host.ends_with(']') || has_port(host)) { place } else { "an unreadable URL" }
    }

    /// What stands between the scheme and the query.
    fn base(&self) -> &str {
        let (base, _) = self.0.split_once('?').unwrap_or((&self.0, ""));
        base.split_once("://").map_or(base, |(_, rest)| rest)
    }

    /// A message of libpq without what is secret: it quotes the URL, or a part of it, where it cannot read it.
    pub(crate) fn redact(&self, message: &str) -> String {
        let message = message.trim_end().replace(&self.with_defaults(), self.place());
        // An `@` within the password is for libpq the beginning of the host, so that the pieces appear apart.
        let user = self.base().rsplit_once('@').map_or("", |(user, _)| user);
        let password = user.split_once(':').map_or("", |(_, password)| password);
        let query = self.0.split_once('?').map_or("", |(_, query)| query);
        let given_apart = query.split('&').filter_map(|pair| pair.strip_prefix("password="));
        let secrets = password.split('@').chain(given_apart).filter(|secret| !secret.is_empty());
        secrets.fold(message, |message, secret| message.replace(secret, "…"))
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
            ("postgres://mass@[::1],[::2]:5433,db/mass", "PostgreSQL at [::1],[::2]:5433,db/mass"),
            ("postgres://mass:s3?cret@db/mass", "PostgreSQL at an unreadable URL"),
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
            "postgres://db/mass?connect_timeout=5&tcp_user_timeout=20000&keepalives_idle=10&keepalives_interval=5&keepalives_count=3&application_name=mass"
        );
        assert_eq!(
            with_defaults("postgres://db/mass?sslmode=require&connect_timeout=1"),
            "postgres://db/mass?sslmode=require&connect_timeout=1&tcp_user_timeout=20000&keepalives_idle=10&keepalives_interval=5&keepalives_count=3&application_name=mass"
        );
    }

    #[test]
    fn a_message_loses_the_url_and_the_password() {
        let redacted = |url: &str, message: &dyn Fn(&str) -> String| {
            let url = PostgresUrl(url.to_owned());
            url.redact(&message(&url.with_defaults()))
        };
        let unreadable = |url: &str| format!("end of string reached when looking for \"]\" in URI: \"{url}\"\n");
        assert_eq!(
            redacted("postgres://mass:s3cret@[db/mass", &unreadable),
            "end of string reached when looking for \"]\" in URI: \"[db/mass\""
        );
        for url in ["postgres://mass:s3%cret@db/mass", "postgres://db/mass?password=s3%cret"] {
            let token = |_: &str| "invalid percent-encoded token: \"s3%cret\"".to_owned();
            assert_eq!(redacted(url, &token), "invalid percent-encoded token: \"…\"");
        }
        let host = |_: &str| "could not translate host name \"cret@db\" to address".to_owned();
        let message = redacted("postgres://mass:s3@cret@db/mass", &host);
        assert_eq!(message, "could not translate host name \"…@db\" to address");
    }
}
