//! Removal of erased content from the write-ahead log, which keeps old pages until it is truncated.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use tokio::time::sleep;

use super::{BUSY_SECONDS, Connection, Store};
use crate::connections::Connections;

/// The wait for readers, during which nobody else can write.
const PATIENCE_MILLIS: u32 = 100;

/// The pause between two waits for readers.
const PAUSE: Duration = Duration::from_secs(1);

/// The state of a sweep that readers have delayed.
#[derive(Default)]
pub(super) struct Sweeping {
    is_due: AtomicBool,
    goes_on: AtomicBool,
}

#[derive(QueryableByName)]
struct Checkpointed {
    #[diesel(sql_type = Integer)]
    busy: i32,
}

/// Moves the log's content to the database file and truncates the log. Returns whether no reader prevented it.
pub(super) fn empty_log(connection: &mut Connection) -> QueryResult<bool> {
    connection.batch_execute(&format!("PRAGMA busy_timeout = {PATIENCE_MILLIS}"))?;
    let checkpointed = diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)").get_result::<Checkpointed>(connection);
    connection.batch_execute(&format!("PRAGMA busy_timeout = {}", BUSY_SECONDS * 1000))?;
    Ok(checkpointed?.busy == 0)
}

/// Removes erased content from the log: now, or, if readers need the log, when they have ended.
pub(super) async fn sweep(store: &Store) {
    if is_swept(&store.writes).await {
        return;
    }
    let sweeping = Arc::clone(&store.sweeping);
    sweeping.is_due.store(true, Ordering::SeqCst);
    if sweeping.goes_on.swap(true, Ordering::SeqCst) {
        return;
    }
    let writes = Arc::downgrade(&store.writes);
    tokio::spawn(async move {
        loop {
            sleep(PAUSE).await;
            let Some(writes) = writes.upgrade() else { return };
            sweeping.is_due.store(false, Ordering::SeqCst);
            if !is_swept(&writes).await {
                continue;
            }
            sweeping.goes_on.store(false, Ordering::SeqCst);
            // Another call may have relied on this sweep too late for it.
            if !sweeping.is_due.load(Ordering::SeqCst) || sweeping.goes_on.swap(true, Ordering::SeqCst) {
                return;
            }
        }
    });
}

async fn is_swept(writes: &Connections<Connection>) -> bool {
    match writes.run_outside(empty_log).await {
        Ok(is_swept) => is_swept,
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "what was removed is still in the write-ahead log");
            false
        }
    }
}
