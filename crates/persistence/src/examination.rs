//! The state of a database as its operator sees it, for `mass doctor`.

use std::collections::BTreeMap;

/// The state of a database. Reading it changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examination {
    /// The program behind the connection: `SQLite 3.50.1` or `PostgreSQL 15.18`.
    pub server: String,
    /// The migrations that this program would run, oldest first.
    pub pending: Vec<String>,
    /// The roles of the database; `None` for SQLite, which has none.
    pub roles: Option<Roles>,
    /// The size in bytes, with indexes.
    pub bytes: u64,
}

/// The roles under which a PostgreSQL database is migrated and served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roles {
    /// One role owns the tables and serves: row-level security does not hold it.
    One {
        /// Its name.
        role: String,
        /// Whether it is a superuser.
        is_superuser: bool,
    },
    /// One role owns the tables, and another serves.
    Two {
        /// The name of the role that serves.
        role: String,
        /// Whether row-level security holds the role that serves.
        is_held: bool,
        /// The statements that would give the role that serves exactly its rights.
        due: Vec<String>,
    },
}

/// The credentials of a tenant, without anything secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CredentialCounts {
    /// The number of enabled users by the id of the pepper in their password's hash.
    pub peppers: BTreeMap<String, u64>,
    /// The number of valid API keys that expire before the given instant.
    pub expiring_keys: u64,
}
