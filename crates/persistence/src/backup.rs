//! Backups: their kinds, and why one is not written or loaded.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The kind of a backup, by the database that it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupKind {
    /// An SQLite file.
    Sqlite,
    /// An archive of `pg_dump --format=custom`.
    Postgres,
}

impl BackupKind {
    /// Recognises a file by its first bytes; `None` if it is no backup.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(path: &Path) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        File::open(path)?.take(16).read_to_end(&mut head)?;
        Ok(if head == b"SQLite format 3\0" {
            Some(Self::Sqlite)
        } else if head.starts_with(b"PGDMP") {
            Some(Self::Postgres)
        } else {
            None
        })
    }
}

/// Reason for which a backup is not written or loaded. No message has a password.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A program of PostgreSQL's is missing.
    #[error("cannot run {program}, which belongs to PostgreSQL's client programs: {source}")]
    Program {
        /// The program.
        program: &'static str,
        /// The error of the system.
        source: io::Error,
    },
    /// The database, or a program of PostgreSQL's, refused.
    #[error("{0}")]
    Refused(String),
    /// The database to load a backup into has tables.
    #[error("the database is not empty: it has {0} tables; restore into a new one")]
    NotEmpty(i64),
}
