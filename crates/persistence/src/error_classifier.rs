//! Classification of database errors: unavailable surroundings, or faults of MASS.

use std::sync::atomic::{AtomicBool, Ordering};

use diesel::r2d2::R2D2Connection;
use diesel::result::{DatabaseErrorKind, Error};
use mass_domain::port::{CorruptValue, PortError};

/// Classifies errors, and remembers a full disk until a write succeeds.
#[derive(Default)]
pub(crate) struct ErrorClassifier {
    no_room: AtomicBool,
}

impl ErrorClassifier {
    /// Tells whether the last failed write found no room, and none has succeeded since.
    pub(crate) fn has_no_room(&self) -> bool {
        self.no_room.load(Ordering::Relaxed)
    }

    /// Notes that a write has succeeded.
    pub(crate) fn found_room(&self) {
        self.no_room.store(false, Ordering::Relaxed);
    }

    /// Classifies an error: unavailable if a later attempt may succeed, otherwise unexpected.
    pub(crate) fn classify<C: R2D2Connection>(&self, error: Error, connection: &mut C) -> PortError {
        if let Error::DeserializationError(cause) = error {
            return PortError::Unexpected(CorruptValue(cause).into());
        }
        let says = |those: &[&str]| matches!(&error, Error::DatabaseError(_, told) if those.iter().any(|part| told.message().contains(part)));
        if says(&NO_ROOM) {
            self.no_room.store(true, Ordering::Relaxed);
        }
        // A server that shuts down or fails over reports it in any language; a dead connection is the surer sign.
        if is_unavailable(&error) || says(&NO_ROOM) || says(&SURROUNDINGS) || connection.ping().is_err() {
            PortError::Unavailable(error.into())
        } else {
            PortError::Unexpected(error.into())
        }
    }
}

/// Tells whether an error says by itself that a later attempt may succeed.
pub(crate) fn is_unavailable(error: &Error) -> bool {
    use DatabaseErrorKind::{ClosedConnection, ReadOnlyTransaction, SerializationFailure};
    matches!(
        error,
        Error::BrokenTransactionManager
            | Error::DatabaseError(ClosedConnection | ReadOnlyTransaction | SerializationFailure, _)
    )
}

/// Messages about a full disk or failed writes: `SQLITE_FULL`, `READONLY` and `IOERR`, and the disk errors of PostgreSQL's
/// class 53.
const NO_ROOM: [&str; 6] = [
    "database or disk is full",
    "attempt to write a readonly database",
    "disk I/O error",
    "No space left on device",
    "Disk quota exceeded",
    "Read-only file system",
];

/// Messages about other unavailable surroundings. diesel tells apart only the SQLSTATEs in [`is_unavailable`], so the others
/// are recognised by their texts: `SQLITE_BUSY` and `CANTOPEN`; PostgreSQL's classes 40 (deadlock), 53 (memory, connections,
/// limits), 55P03, 57 (cancelled, shutting down, starting) and 58.
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
