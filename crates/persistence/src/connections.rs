//! Connection pools: blocking transactions behind asynchronous ports.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use diesel::QueryResult;
use diesel::connection::TransactionManager;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, ManageConnection, Pool, R2D2Connection};
use diesel::result::Error;
use mass_domain::port::PortError;
use mass_domain::tenancy::TenantId;
use mass_domain::trace::SPANS;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{Instrument, Span};

use crate::error_classifier::ErrorClassifier;
use crate::limiter::Limiter;
use crate::load::PoolUse;

/// The time that a unit of work waits for its turn before the database counts as overloaded.
const PATIENCE: Duration = Duration::from_secs(10);

/// The time to establish a connection, beyond which the database counts as unreachable.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The number of exports of which a process reads a page at the same time, one for each tenant.
pub(crate) const EXPORTS: u32 = 8;

/// The number of answers from figures that a process computes at the same time.
pub(crate) const ANALYTICS: u32 = 8;

/// The number of answers from figures that a process computes at the same time for one tenant.
pub(crate) const ANALYTICS_OF_TENANT: usize = 4;

/// The number of connections on which a process projects logs: one of them reads ahead.
pub(crate) const PROJECTIONS: u32 = 2;

/// The number of connections on which a process flushes the commits of its tenants.
pub(crate) const FLUSHES: u32 = 4;

/// A connection with row-level security, where the database has it: it keeps a unit of work within one tenant whatever
/// its statements say.
pub(crate) trait Walled: R2D2Connection + Sized + 'static {
    /// The database's name in traces (OpenTelemetry's `db.system.name`).
    const SYSTEM: &'static str;

    /// Tells whether row-level security is active.
    fn has_walls(&mut self) -> QueryResult<bool>;

    /// Checks, without a round trip, that the server has not closed the idle connection.
    fn probe(&mut self) -> QueryResult<()>;

    /// Begins a transaction that reads and writes rows of one tenant only.
    fn enter(&mut self, tenant: &TenantId) -> QueryResult<()>;

    /// Runs the unit of work of the begun transaction and ends it.
    fn within<T>(&mut self, work: impl FnOnce(&mut Self) -> QueryResult<T>) -> QueryResult<T>;
}

/// The turns of a tenant: as many as it may have units of work at a time.
type Turns = Arc<Semaphore>;

/// Establishes connections, and checks an idle one before it is used again.
struct Manager<C: Walled>(ConnectionManager<C>);

impl<C: Walled> ManageConnection for Manager<C> {
    type Connection = C;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<C, Self::Error> {
        self.0.connect()
    }

    fn is_valid(&self, connection: &mut C) -> Result<(), Self::Error> {
        connection.probe().map_err(diesel::r2d2::Error::QueryError)
    }

    fn has_broken(&self, connection: &mut C) -> bool {
        self.0.has_broken(connection)
    }
}

/// A connection pool whose units of work run on blocking threads. Each is for a named tenant or for none: there is no
/// third way to a connection.
pub(crate) struct Connections<C: Walled> {
    /// The name of the units of work in traces.
    purpose: &'static str,
    pool: Pool<Manager<C>>,
    size: u32,
    /// The time that a unit of work may take.
    limit: Duration,
    limiter: Arc<Limiter>,
    errors: Arc<ErrorClassifier>,
    /// The turns of each tenant, where its units of work at a time are limited.
    turns: Option<Mutex<HashMap<TenantId, Turns>>>,
    turns_of_each: usize,
    // Asked once. Were the answer out of date, a unit of work would find nothing, rather than too much.
    has_walls: Arc<OnceLock<bool>>,
}

impl<C: Walled> Connections<C> {
    /// Builds a pool of up to `size` connections, each prepared by `setup`. None is established yet.
    pub(crate) fn new(
        purpose: &'static str,
        url: &str,
        size: u32,
        limit: Duration,
        setup: impl CustomizeConnection<C, diesel::r2d2::Error>,
    ) -> Self {
        let pool = Pool::builder()
            // A unit of work that hangs keeps its connection, and another one takes its place.
            .max_size(size.saturating_mul(2))
            .min_idle(Some(0))
            .connection_timeout(CONNECT_TIMEOUT)
            // Costs no round trip: the manager does not ask the server.
            .test_on_check_out(true)
            .connection_customizer(Box::new(setup))
            .build_unchecked(Manager(ConnectionManager::new(url)));
        let limiter = Limiter::new(size);
        let (turns, has_walls, errors) = (None, Arc::default(), Arc::default());
        Self { purpose, pool, size, limit, limiter, errors, turns, turns_of_each: 0, has_walls }
    }

    /// Returns the present use of the pool.
    pub(crate) fn in_use(&self) -> PoolUse {
        let state = self.pool.state();
        PoolUse {
            used: state.connections.saturating_sub(state.idle_connections),
            idle: state.idle_connections,
            limit: self.size,
        }
    }

    /// Limits each tenant to one connection at a time. Its writes are serial in the database anyway; waiting here
    /// leaves the other connections to the other tenants.
    pub(crate) fn one_for_each_tenant(self) -> Self {
        self.at_most_for_each_tenant(1)
    }

    /// Limits each tenant to this number of connections at a time.
    pub(crate) fn at_most_for_each_tenant(self, turns_of_each: usize) -> Self {
        Self { turns: Some(Mutex::default()), turns_of_each, ..self }
    }

    /// Returns the classifier of errors.
    pub(crate) fn errors(&self) -> &ErrorClassifier {
        &self.errors
    }

    /// Returns the time that a unit of work may take.
    pub(crate) fn limit(&self) -> Option<Duration> {
        Some(self.limit)
    }

    /// Tells whether a unit of work hangs.
    pub(crate) fn is_stuck(&self) -> bool {
        self.limiter.is_stuck()
    }

    /// Returns the time that a unit of work may take, with its waiting.
    pub(crate) fn longest(&self) -> Duration {
        self.limit + self.patience()
    }

    fn patience(&self) -> Duration {
        PATIENCE.min(self.limit)
    }

    /// Runs a unit of work for a tenant.
    pub(crate) async fn run_for<T: Send + 'static>(
        &self,
        tenant: &TenantId,
        work: impl FnOnce(&mut C, &TenantId) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, PortError> {
        self.with_tenant(Some(self.limit), tenant, |mut connection| connection.run(work)).await?
    }

    /// Runs a unit of work for a tenant that only reads: once more on another connection, if its own is lost.
    pub(crate) async fn read_for<T: Send + 'static>(
        &self,
        tenant: &TenantId,
        work: impl Fn(&mut C, &TenantId) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, PortError> {
        self.with_tenant(Some(self.limit), tenant, |mut connection| connection.read(work)).await?
    }

    /// Runs a unit of work for a tenant without a time limit, for purges.
    pub(crate) async fn run_at_length_for<T: Send + 'static>(
        &self,
        tenant: &TenantId,
        work: impl FnOnce(&mut C, &TenantId) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, PortError> {
        self.with_tenant(None, tenant, |mut connection| connection.run(work)).await?
    }

    /// Runs a unit of work for a tenant that only reads, as [`read_for`](Self::read_for) does, without a time limit.
    pub(crate) async fn read_at_length_for<T: Send + 'static>(
        &self,
        tenant: &TenantId,
        work: impl Fn(&mut C, &TenantId) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, PortError> {
        self.with_tenant(None, tenant, |mut connection| connection.read(work)).await?
    }

    /// Lends a connection for several units of work of a tenant. Fails only if there is no turn or no connection in time,
    /// or no result within the limit.
    pub(crate) async fn with_tenant<T: Send + 'static>(
        &self,
        limit: Option<Duration>,
        tenant: &TenantId,
        work: impl FnOnce(TenantConnection<'_, C>) -> T + Send + 'static,
    ) -> Result<T, PortError> {
        let span = self.span();
        let turn = self.turn_of(tenant).instrument(span.clone()).await?;
        let (tenant, has_walls, purpose) = (tenant.clone(), Arc::clone(&self.has_walls), self.purpose);
        let (errors, pool) = (Arc::clone(&self.errors), self.pool.clone());
        let in_turn = move |connection: &mut C| {
            let _turn = turn;
            let lease = Replaceable { connection, pool: &pool, errors: &errors };
            work(TenantConnection { purpose, lease, has_walls: &has_walls, tenant: &tenant })
        };
        self.with(limit, span, in_turn).await
    }

    async fn turn_of(&self, tenant: &TenantId) -> Result<Option<OwnedSemaphorePermit>, PortError> {
        let Some(known) = &self.turns else { return Ok(None) };
        let turns = {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            let turns = known.entry(tenant.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.turns_of_each)));
            Arc::clone(turns)
        };
        let patience = self.patience();
        if let Ok(turn) = timeout(patience, Arc::clone(&turns).acquire_owned()).await {
            return turn.map(Some).map_err(|error| PortError::Unexpected(error.into()));
        }
        if self.is_stuck() {
            // The holder of a turn may never give it back: later units of work get other ones.
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.get(tenant).is_some_and(|present| Arc::ptr_eq(present, &turns)) {
                known.remove(tenant);
            }
        }
        Err(PortError::Unavailable(anyhow!("tenant {tenant} had other work under way for {patience:?}")))
    }

    /// Runs a unit of work for the tenant that a look-up [outside](Self::run_outside) of tenants finds. Both only read.
    pub(crate) async fn read_for_found<K: Copy + Send + 'static, T: Send + 'static>(
        &self,
        look_up: impl Fn(&mut C) -> QueryResult<Option<(TenantId, K)>> + Send + 'static,
        work: impl Fn(&mut C, &TenantId, K) -> QueryResult<Option<T>> + Send + 'static,
    ) -> Result<Option<T>, PortError> {
        let (has_walls, purpose) = (Arc::clone(&self.has_walls), self.purpose);
        let (errors, pool) = (Arc::clone(&self.errors), self.pool.clone());
        let both = move |connection: &mut C| {
            let mut lease = Replaceable { connection, pool: &pool, errors: &errors };
            let found = lease.retried(&look_up).map_err(|error| lease.classify(error))?;
            let Some((tenant, key)) = found else { return Ok(None) };
            let mut connection = TenantConnection { purpose, lease, has_walls: &has_walls, tenant: &tenant };
            connection.read(|connection, tenant| work(connection, tenant, key))
        };
        self.with(Some(self.limit), self.span(), both).await?
    }

    /// Runs a unit of work outside of tenants: on the directory, the list of tenants, log-in attempts and the queue.
    /// With row-level security it finds every other table empty.
    pub(crate) async fn run_outside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut C) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, PortError> {
        let errors = Arc::clone(&self.errors);
        let outside = move |connection: &mut C| work(connection).map_err(|error| errors.classify(error, connection));
        self.with(Some(self.limit), self.span(), outside).await?
    }

    /// Runs a unit of work outside of tenants that only reads: once more on another connection, if its own is lost.
    pub(crate) async fn read_outside<T: Send + 'static>(
        &self,
        work: impl Fn(&mut C) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, PortError> {
        let (errors, pool) = (Arc::clone(&self.errors), self.pool.clone());
        let outside = move |connection: &mut C| {
            let mut lease = Replaceable { connection, pool: &pool, errors: &errors };
            lease.retried(&work).map_err(|error| lease.classify(error))
        };
        self.with(Some(self.limit), self.span(), outside).await?
    }

    /// Runs work on a connection. Once begun, it runs to its end, even if the caller is cancelled. Fails only if there
    /// is no connection, or no result within the limit.
    async fn with<T: Send + 'static>(
        &self,
        limit: Option<Duration>,
        span: Span,
        work: impl FnOnce(&mut C) -> T + Send + 'static,
    ) -> Result<T, PortError> {
        let patience = self.patience();
        let unit = timeout(patience, self.limiter.begin(limit))
            .instrument(span.clone())
            .await
            .map_err(|_| PortError::Unavailable(anyhow!("no connection became free within {patience:?}")))?
            .map_err(|error| PortError::Unexpected(error.into()))?;
        let pool = self.pool.clone();
        // Logs and traces of the blocking thread belong to the request as well.
        let caller = Span::current();
        let blocking = move || {
            let _caller = caller.entered();
            let _span = span.entered();
            // Dropped after the connection, and not before.
            let unit = unit;
            let mut connection = pool.get().map_err(|error| PortError::Unavailable(error.into()))?;
            let done = work(&mut connection);
            if unit.is_late() {
                // The pool drops it.
                C::TransactionManager::transaction_manager_status_mut(&mut *connection).set_in_error();
            }
            Ok(done)
        };
        let done = spawn_blocking(blocking);
        let done = match limit {
            None => done.await,
            Some(limit) => timeout(limit, done)
                .await
                .map_err(|_| PortError::Unavailable(anyhow!("the database gave no answer within {limit:?}")))?,
        };
        done.unwrap_or_else(|panic| Err(PortError::Unexpected(panic.into())))
    }
}

impl<C: Walled> Connections<C> {
    /// Opens the span of a unit of work, which begins with the wait for a connection.
    fn span(&self) -> Span {
        span::<C>(self.purpose)
    }
}

/// Opens the span of a unit of work. It has neither statements nor their parameters.
fn span<C: Walled>(purpose: &'static str) -> Span {
    tracing::info_span!(
        target: SPANS,
        "database",
        otel.name = purpose,
        otel.kind = "client",
        db.system.name = C::SYSTEM,
        mass.commit.batch.size = tracing::field::Empty,
    )
}

/// A connection of a pool that can be replaced by another one of the pool.
struct Replaceable<'a, C: Walled> {
    connection: &'a mut C,
    pool: &'a Pool<Manager<C>>,
    errors: &'a ErrorClassifier,
}

impl<C: Walled> Replaceable<'_, C> {
    fn classify(&mut self, error: Error) -> PortError {
        self.errors.classify(error, self.connection)
    }

    /// Runs idempotent work: once more on another connection, if this one is lost. The check of an idle connection
    /// misses a loss that the server has not announced yet.
    fn retried<T>(&mut self, work: impl Fn(&mut C) -> QueryResult<T>) -> QueryResult<T> {
        match work(self.connection) {
            Err(error) if self.connection.ping().is_err() => {
                let Ok(mut other) = self.pool.get() else { return Err(error) };
                // The pool drops it.
                C::TransactionManager::transaction_manager_status_mut(self.connection).set_in_error();
                std::mem::swap(&mut *other, self.connection);
                drop(other);
                work(self.connection)
            }
            done => done,
        }
    }
}

/// A connection for units of work of one tenant.
pub(crate) struct TenantConnection<'a, C: Walled> {
    purpose: &'static str,
    lease: Replaceable<'a, C>,
    has_walls: &'a OnceLock<bool>,
    tenant: &'a TenantId,
}

impl<C: Walled> TenantConnection<'_, C> {
    /// Opens the span of a further unit of work, in the trace of the call that asked for it.
    pub(crate) fn span_in(&self, asked: &Span) -> Span {
        asked.in_scope(|| span::<C>(self.purpose))
    }

    /// Runs a unit of work for the tenant.
    pub(crate) fn run<T>(&mut self, work: impl FnOnce(&mut C, &TenantId) -> QueryResult<T>) -> Result<T, PortError> {
        let Self { lease, has_walls, tenant, purpose: _ } = self;
        // Beginning a transaction is idempotent.
        let begun = lease.retried(|connection| {
            let has_walls = walls(has_walls, connection)?;
            if has_walls {
                connection.enter(tenant)?;
            }
            Ok(has_walls)
        });
        let done = match begun {
            Ok(true) => lease.connection.within(|connection| work(connection, tenant)),
            Ok(false) => work(lease.connection, tenant),
            Err(error) => Err(error),
        };
        done.map_err(|error| lease.classify(error))
    }

    /// Runs a unit of work that only reads.
    fn read<T>(&mut self, work: impl Fn(&mut C, &TenantId) -> QueryResult<T>) -> Result<T, PortError> {
        let (has_walls, tenant) = (self.has_walls, self.tenant);
        let read = |connection: &mut C| {
            if walls(has_walls, connection)? {
                connection.enter(tenant)?;
                connection.within(|connection| work(connection, tenant))
            } else {
                work(connection, tenant)
            }
        };
        self.lease.retried(read).map_err(|error| self.lease.classify(error))
    }
}

/// Tells whether row-level security is active, which is asked once.
fn walls<C: Walled>(known: &OnceLock<bool>, connection: &mut C) -> QueryResult<bool> {
    match known.get() {
        Some(has_walls) => Ok(*has_walls),
        None => {
            let answer = connection.has_walls()?;
            Ok(*known.get_or_init(|| answer))
        }
    }
}
