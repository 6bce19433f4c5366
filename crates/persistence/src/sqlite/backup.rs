//! Backups of an SQLite file, which a server may be writing to.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::examining::connect;
use super::{Store, locked};
use crate::BackupError;

/// The wait for the connections of pools that were dropped: threads may still be giving them back.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// Writes a copy of one moment to a new file.
pub(super) fn back_up(store: &Store, path: &Path) -> Result<(), BackupError> {
    let path = path.to_str().ok_or_else(|| BackupError::Refused("its path is not UTF-8".to_owned()))?;
    let mut connection = connect(&store.path).map_err(BackupError::Refused)?;
    let copy = diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(path);
    copy.execute(&mut connection).map(drop).map_err(|error| BackupError::Refused(error.to_string()))
}

/// Refuses: a file is put in its place instead.
pub(super) fn load(_store: &Store, _path: &Path) -> Result<(), BackupError> {
    Err(BackupError::Refused("a backup of SQLite is a file, which is not loaded into another".to_owned()))
}

/// Returns the file.
#[expect(clippy::unnecessary_wraps, reason = "PostgreSQL has none")]
pub(super) fn file(store: &Store) -> Option<PathBuf> {
    Some(PathBuf::from(&store.path))
}

/// Moves all content to the file itself, so that it is whole without the files beside it. Waits for connections that are
/// being closed.
pub(crate) fn into_one_file(path: &Path) -> Result<(), BackupError> {
    let path = path.to_str().ok_or_else(|| BackupError::Refused("its path is not UTF-8".to_owned()))?;
    let begun = Instant::now();
    loop {
        let moved = connect(path).and_then(|mut connection| {
            let statements = "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE";
            connection.batch_execute(statements).map_err(|error| error.to_string())
        });
        match moved {
            Err(error) if locked(&error, path).is_some() && begun.elapsed() < PATIENCE => sleep(PAUSE),
            moved => return moved.map_err(BackupError::Refused),
        }
    }
}
