//! Database URLs.

use std::path::PathBuf;

/// Error in a database URL. Never has the URL itself, which may have a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// The scheme is neither of the two.
    #[error("expected a URL that begins with sqlite:// or postgres://")]
    Scheme,
    /// The path is missing.
    #[error("expected a path after sqlite://, as in sqlite://data/mass.db")]
    NoPath,
    /// The parts of a PostgreSQL URL are ambiguous.
    #[error(
        "expected postgres://USER:PASSWORD@HOST:PORT/DATABASE; percent-encode @ : / ? # % and the like within the user \
         name and the password (%40 %3A %2F %3F %23 %25)"
    )]
    Unreadable,
    /// The database would be in memory.
    #[error("a database in memory would be another one for each connection; name a file, as in sqlite://data/mass.db")]
    InMemory,
}

/// The database of a URL.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres(PostgresUrl),
}

impl Target {
    /// Parses a URL.
    pub(crate) fn parse(url: &str) -> Result<Self, InvalidUrl> {
        if let Some(path) = url.strip_prefix("sqlite://") {
            return match path {
                "" => Err(InvalidUrl::NoPath),
                ":memory:" => Err(InvalidUrl::InMemory),
                path => Ok(Self::Sqlite(path.into())),
            };
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return PostgresUrl::parse(url).map(Self::Postgres);
        }
        Err(InvalidUrl::Scheme)
    }

    /// Describes the database for people and logs.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("SQLite at {}", path.display()),
            Self::Postgres(url) => format!("PostgreSQL at {}", url.place()),
        }
    }
}

/// The URL of a PostgreSQL server, which libpq and RFC 3986 split into the same parts.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PostgresUrl {
    /// The scheme, user, password, hosts and database.
    base: String,
    /// Hosts and database.
    place: String,
    /// The parameters after the `?`; empty if there are none.
    query: String,
}

/// Defaults of parameters. Without them libpq waits for ever, for a connection and for an answer.
const DEFAULTS: [(&str, &str); 6] = [
    ("connect_timeout", "5"),
    ("tcp_user_timeout", "20000"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "5"),
    ("keepalives_count", "3"),
    ("application_name", "mass"),
];

impl PostgresUrl {
    /// Parses a URL. Refuses one with raw delimiters in its password: libpq would take a part of the password for the
    /// host, port or a parameter, and show it.
    fn parse(url: &str) -> Result<Self, InvalidUrl> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let hosts = authority.split_once('@').map_or(authority, |(_, hosts)| hosts);
        let is_clear = !hosts.contains('@')
            && hosts.split(',').all(is_host)
            && !database.contains('@')
            && (query.is_empty() || query.split('&').all(is_parameter))
            // In a URL without a user, the @ may be a misplaced end of one.
            && (authority.contains('@') || !query.contains('@'))
            && has_good_escapes(url);
        if !is_clear {
            return Err(InvalidUrl::Unreadable);
        }
        let place = rest.split_once('@').map_or(rest, |(_, place)| place).to_owned();
        Ok(Self { base: base.to_owned(), place, query: query.to_owned() })
    }

    /// Returns the URL with the defaults.
    pub(crate) fn with_defaults(&self) -> String {
        let given = |name| self.query.split('&').any(|pair| pair.split_once('=').is_some_and(|(key, _)| key == name));
        let defaults = DEFAULTS.iter().filter(|(name, _)| !given(*name)).map(|(name, value)| format!("{name}={value}"));
        let query = Some(self.query.clone()).filter(|query| !query.is_empty());
        let query: Vec<_> = query.into_iter().chain(defaults).collect();
        format!("{}?{}", self.base, query.join("&"))
    }

    /// Returns the URL with the defaults and without its password, and the password, decoded.
    pub(crate) fn without_password(&self) -> (String, Option<String>) {
        let mut url = self.clone();
        let mut password = None;
        let (scheme, rest) = self.base.split_once("://").unwrap_or(("postgres", &self.base));
        if let Some((user, place)) = rest.split_once('@')
            && let Some((user, encoded)) = user.split_once(':')
        {
            password = Some(decoded(encoded));
            url.base = format!("{scheme}://{user}@{place}");
        }
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        let (secret, others): (Vec<&str>, Vec<&str>) = pairs.partition(|pair| pair.starts_with("password="));
        if let Some((_, encoded)) = secret.last().and_then(|pair| pair.split_once('=')) {
            password = Some(decoded(encoded));
        }
        url.query = others.join("&");
        (url.with_defaults(), password)
    }

    /// Returns host and database, without user and password.
    fn place(&self) -> &str {
        &self.place
    }

    /// Removes the URL from a message of libpq, which quotes it if it cannot parse it.
    pub(crate) fn redact(&self, message: &str) -> String {
        message.trim_end().replace(&self.with_defaults(), self.place())
    }
}

/// Tells whether this is a host with or without a port, as libpq splits them.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').or(port.is_empty().then_some(""))),
        None => text.split_once(':').map_or((text, Some("")), |(host, port)| (host, Some(port))),
    };
    !host.contains(['[', ']']) && port.is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Tells whether this is a parameter of libpq: a name in small letters and a value.
fn is_parameter(text: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    text.split_once('=').is_some_and(|(name, value)| is_name(name) && !value.contains('='))
}

/// Decodes the escapes of a part of a URL.
fn decoded(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        // Parsing has refused other escapes.
        let (escape, rest) = piece.split_at_checked(2).unwrap_or((piece, ""));
        bytes.extend(u8::from_str_radix(escape, 16));
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Tells whether each `%` begins an escape of a byte other than NUL.
fn has_good_escapes(text: &str) -> bool {
    let is_good = |piece: &str| {
        let hex = piece.get(..2).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        hex.is_some_and(|hex| hex != "00")
    };
    text.split('%').skip(1).all(is_good)
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
            ("postgresql://mass:p%40ss@db/mass?password=s3cret", "PostgreSQL at db/mass"),
            ("postgresql://db/mass?user=mass&password=s3%40cret", "PostgreSQL at db/mass"),
            ("postgres://mass:a#b!c:d e@db/mass", "PostgreSQL at db/mass"),
            ("postgres://mass@db", "PostgreSQL at db"),
            ("postgres:///mass?host=/run/postgresql", "PostgreSQL at /mass"),
            ("postgres://mass@[::1],[::2]:5433,db/mass", "PostgreSQL at [::1],[::2]:5433,db/mass"),
            ("postgres://mass@%2Frun%2Fpostgresql/mass", "PostgreSQL at %2Frun%2Fpostgresql/mass"),
        ];
        for (url, description) in cases {
            assert_eq!(described(url).as_deref(), Ok(description));
        }
    }

    #[test]
    fn errors_about_a_url_do_not_quote_it() {
        assert_eq!(described("mysql://root:s3cret@db/mass"), Err(InvalidUrl::Scheme));
        assert_eq!(described("sqlite://"), Err(InvalidUrl::NoPath));
        assert_eq!(described("sqlite://:memory:"), Err(InvalidUrl::InMemory));
        let raw = ["s3?cret", "s3@cret", "s3/cret", "s3%cret", "12/34", "12?34", "12?a=b", "s3%00"];
        for password in raw {
            let url = format!("postgres://mass:{password}@db/mass");
            assert_eq!(described(&url), Err(InvalidUrl::Unreadable), "{url}");
        }
        for url in [
            "postgres://mass:s3cret/mass",
            "postgres://mass:s3cret@[db/mass",
            "postgres://mass:s3cret@[::1]x/mass",
            "postgres://mass:s3cret@db:port/mass",
            "postgres://db/mass?password=s3%cret",
            "postgres://db/mass?password",
        ] {
            assert_eq!(described(url), Err(InvalidUrl::Unreadable), "{url}");
        }
    }

    #[test]
    fn a_url_keeps_what_it_says_and_gains_the_rest() {
        let with_defaults = |url: &str| PostgresUrl::parse(url).unwrap().with_defaults();
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
    fn a_password_is_taken_out_of_a_url() {
        let parted = |url: &str| {
            let (url, password) = PostgresUrl::parse(url).unwrap().without_password();
            (url.split_once("connect_timeout").unwrap().0.to_owned(), password)
        };
        let given = |url: &str, password: &str| (url.to_owned(), Some(password.to_owned()));
        assert_eq!(parted("postgres://mass:p%40s%25s@db:5/mass"), given("postgres://mass@db:5/mass?", "p@s%s"));
        let in_query = "postgres://mass@db/mass?sslmode=require&password=s3%20cret";
        assert_eq!(parted(in_query), given("postgres://mass@db/mass?sslmode=require&", "s3 cret"));
        assert_eq!(parted("postgres://mass@db/mass"), ("postgres://mass@db/mass?".to_owned(), None));
    }

    #[test]
    fn a_message_loses_the_url() {
        let url = PostgresUrl::parse("postgres://mass:s3cret@db/mass").unwrap();
        let message = format!("unexpected character in URI: \"{}\"\n", url.with_defaults());
        assert_eq!(url.redact(&message), "unexpected character in URI: \"db/mass\"");
    }
}
