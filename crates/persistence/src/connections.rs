//! The way from asynchronous ports to blocking connections.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use diesel::QueryResult;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool, R2D2Connection};
use diesel::result::{DatabaseErrorKind, Error};
use mass_domain::port::PortError;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How long a unit of work waits for its turn before the database counts as too busy.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a connection may take to come about, beyond which the database counts as not reachable.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A pool of connections, on which units of work run outside the asynchronous threads.
pub(crate) struct Connections<C: R2D2Connection + 'static> {
    pool: Pool<ConnectionManager<C>>,
    // One permit per connection: who waits here costs nothing, who waited in the pool would hold a thread.
    permits: Arc<Semaphore>,
}

impl<C: R2D2Connection + 'static> Connections<C> {
    /// A pool of up to `size` connections, each prepared by `setup`. None is made yet.
    pub(crate) fn new(url: &str, size: u32, setup: impl CustomizeConnection<C, diesel::r2d2::Error>) -> Self {
        let pool = Pool::builder()
            .max_size(size)
            .min_idle(Some(0))
            .connection_timeout(CONNECT_TIMEOUT)
            // A connection that failed is not used again, which is enough; a test before each use would cost a round
            // trip.
            .test_on_check_out(false)
            .connection_customizer(Box::new(setup))
            .build_unchecked(ConnectionManager::new(url));
        Self { pool, permits: Arc::new(Semaphore::new(size.try_into().unwrap_or(Semaphore::MAX_PERMITS))) }
    }

    /// Does a unit of work. Once begun, it is done to its end, even if nobody waits for the answer any more.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut C) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, PortError> {
        self.with(|connection| work(connection).map_err(|error| classify(error, connection))).await?
    }

    /// Does something with a connection. Fails only if there is none.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut C) -> T + Send + 'static,
    ) -> Result<T, PortError> {
        let permit = timeout(PATIENCE, self.permits.clone().acquire_owned())
            .await
            .map_err(|_| PortError::Unavailable(anyhow!("no connection became free within {PATIENCE:?}")))?
            .map_err(|error| PortError::Unexpected(error.into()))?;
        let pool = self.pool.clone();
        let blocking = move || {
            let _permit = permit;
            let mut connection = pool.get().map_err(|error| PortError::Unavailable(error.into()))?;
            Ok(work(&mut connection))
        };
        spawn_blocking(blocking).await.unwrap_or_else(|panic| Err(PortError::Unexpected(panic.into())))
    }
}

/// Tells whether trying again later may help: a fault of the surroundings from one of ours.
pub(crate) fn classify<C: R2D2Connection>(error: Error, connection: &mut C) -> PortError {
    // A server that shuts down or fails over says so in words of any language; that its connection no longer answers
    // is the surer sign.
    if asks_to_try_again(&error) || connection.ping().is_err() {
        PortError::Unavailable(error.into())
    } else {
        PortError::Unexpected(error.into())
    }
}

fn asks_to_try_again(error: &Error) -> bool {
    use DatabaseErrorKind::{ReadOnlyTransaction, SerializationFailure};
    matches!(error, Error::BrokenTransactionManager | Error::DatabaseError(ReadOnlyTransaction | SerializationFailure, _))
        // SQLITE_BUSY, which diesel tells by its message alone.
        || matches!(error, Error::DatabaseError(_, information) if information.message() == "database is locked")
}
