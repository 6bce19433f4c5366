//! What goes wrong in a database: faults of its surroundings, and others.

use std::sync::atomic::{AtomicBool, Ordering};

use diesel::r2d2::R2D2Connection;
use diesel::result::{DatabaseErrorKind, Error};
use mass_domain::port::{CorruptValue, PortError};

/// What was last wrong with a database, as far as it concerns whoever comes next.
#[derive(Default)]
pub(crate) struct Trouble {
    cannot_write: AtomicBool,
}

impl Trouble {
    /// Whether there was no room to write, and it was not found since that there is.
    pub(crate) fn cannot_write(&self) -> bool {
        self.cannot_write.load(Ordering::Relaxed)
    }

    /// It can be written again.
    pub(crate) fn can_write(&self) {
        self.cannot_write.store(false, Ordering::Relaxed);
    }

    /// Tells whether trying again later may help: a fault of the surroundings from one of ours.
    pub(crate) fn classify<C: R2D2Connection>(&self, error: Error, connection: &mut C) -> PortError {
        if let Error::DeserializationError(cause) = error {
            return PortError::Unexpected(CorruptValue(cause).into());
        }
        let says = |those: &[&str]| matches!(&error, Error::DatabaseError(_, told) if those.iter().any(|part| told.message().contains(part)));
        if says(&NO_ROOM) {
            self.cannot_write.store(true, Ordering::Relaxed);
        }
        // A server that shuts down or fails over says so in words of any language; that its connection no longer answers
        // is the surer sign.
        if is_of_surroundings(&error) || says(&NO_ROOM) || says(&SURROUNDINGS) || connection.ping().is_err() {
            PortError::Unavailable(error.into())
        } else {
            PortError::Unexpected(error.into())
        }
    }
}

fn is_of_surroundings(error: &Error) -> bool {
    use DatabaseErrorKind::{ClosedConnection, ReadOnlyTransaction, SerializationFailure};
    matches!(
        error,
        Error::BrokenTransactionManager
            | Error::DatabaseError(ClosedConnection | ReadOnlyTransaction | SerializationFailure, _)
    )
}

/// What databases say when they have no room, or cannot write at all: `SQLITE_FULL`, `READONLY` and `IOERR`, and of
/// PostgreSQL's class 53 what concerns its disk.
const NO_ROOM: [&str; 6] = [
    "database or disk is full",
    "attempt to write a readonly database",
    "disk I/O error",
    "No space left on device",
    "Disk quota exceeded",
    "Read-only file system",
];

/// What databases say of their surroundings otherwise. Of an SQLSTATE diesel tells no more than those that stand in
/// [`is_of_surroundings`], so that the words of the other ones stand here: `SQLITE_BUSY` and `CANTOPEN`; PostgreSQL's classes
/// 40 (a deadlock), 53 (its memory, its connections, a limit), 55P03, 57 (cancelled, shutting down, starting) and 58.
const SURROUNDINGS: [&str; 15] = [
    "database is locked",
    "database table is locked",
    "unable to open database file",
    "deadlock detected",
    "out of memory",
    "out of shared memory",
    "too many clients already",
    "too many connections",
    "remaining connection slots",
    "temporary file size exceeds",
    "canceling statement due to",
    "terminating connection",
    "the database system is",
    "Input/output error",
    "server closed the connection",
];
