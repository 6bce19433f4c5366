//! The way from asynchronous ports to blocking connections.

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
use tokio::sync::OwnedMutexGuard;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{Instrument, Span};

use crate::load::PoolUse;
use crate::trouble::Trouble;
use crate::underway::Underway;

/// How long a unit of work waits at most for its turn before the database counts as too busy.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a connection may take to come about, beyond which the database counts as not reachable.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// What a database does to keep a unit of work within one tenant, beside the predicates of its statements.
pub(crate) trait Walled: R2D2Connection + Sized + 'static {
    /// The database's name in traces (OpenTelemetry's `db.system.name`).
    const SYSTEM: &'static str;

    /// Whether it does anything.
    fn has_walls(&mut self) -> QueryResult<bool>;

    /// Makes sure, without asking the server, that it has not closed the connection while nobody used it.
    fn look(&mut self) -> QueryResult<()>;

    /// Begins a unit of work that sees and changes what is of one tenant alone: whatever its statements say.
    fn enter(&mut self, tenant: &TenantId) -> QueryResult<()>;

    /// Does the unit of work that has been begun so, and ends it.
    fn within<T>(&mut self, work: impl FnOnce(&mut Self) -> QueryResult<T>) -> QueryResult<T>;
}

type Turn = Arc<tokio::sync::Mutex<()>>;

/// Makes connections, and looks at one that has been idle before it is used again.
struct Manager<C: Walled>(ConnectionManager<C>);

impl<C: Walled> ManageConnection for Manager<C> {
    type Connection = C;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<C, Self::Error> {
        self.0.connect()
    }

    fn is_valid(&self, connection: &mut C) -> Result<(), Self::Error> {
        connection.look().map_err(diesel::r2d2::Error::QueryError)
    }

    fn has_broken(&self, connection: &mut C) -> bool {
        self.0.has_broken(connection)
    }
}

/// A pool of connections, on which units of work run outside the asynchronous threads. Each says which tenant it is
/// for, or that it is for none: there is no third way to a connection.
pub(crate) struct Connections<C: Walled> {
    /// What their units of work are called in traces.
    purpose: &'static str,
    pool: Pool<Manager<C>>,
    size: u32,
    /// How long a unit of work may take.
    limit: Duration,
    underway: Arc<Underway>,
    trouble: Arc<Trouble>,
    /// Whose turn it is among the units of work of each tenant; none where they need not wait for one another.
    turns: Option<Mutex<HashMap<TenantId, Turn>>>,
    // Asked once. Were the answer out of date, a unit of work would find nothing, rather than too much.
    has_walls: Arc<OnceLock<bool>>,
}

impl<C: Walled> Connections<C> {
    /// A pool of up to `size` connections for a purpose that traces name, each prepared by `setup`. None is made yet.
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
        let underway = Underway::new(size);
        let (turns, has_walls, trouble) = (None, Arc::default(), Arc::default());
        Self { purpose, pool, size, limit, underway, trouble, turns, has_walls }
    }

    /// How many of them are in use now.
    pub(crate) fn in_use(&self) -> PoolUse {
        let state = self.pool.state();
        PoolUse {
            used: state.connections.saturating_sub(state.idle_connections),
            idle: state.idle_connections,
            limit: self.size,
        }
    }

    /// Gives each tenant one connection at a time. Its writes wait for one another in the database anyway: waiting here
    /// instead, they leave the other connections to the other tenants.
    pub(crate) fn one_for_each_tenant(self) -> Self {
        Self { turns: Some(Mutex::default()), ..self }
    }

    /// What was wrong with it, in the eyes of its units of work.
    pub(crate) fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    /// Whether a unit of work hangs.
    pub(crate) fn is_stuck(&self) -> bool {
        self.underway.is_stuck()
    }

    /// How long a unit of work may take, with its waiting.
    pub(crate) fn longest(&self) -> Duration {
        self.limit + self.patience()
    }

    fn patience(&self) -> Duration {
        PATIENCE.min(self.limit)
    }

    /// Does a unit of work for a tenant, which it is given again.
    pub(crate) async fn run_for<T: Send + 'static>(
        &self,
        tenant: &TenantId,
        work: impl FnOnce(&mut C, &TenantId) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, PortError> {
        self.with_tenant(tenant, |mut connection| connection.run(work)).await?
    }

    /// Does a unit of work for a tenant that only reads: once more on another connection, if its own turns out to be lost.
    pub(crate) async fn read_for<T: Send + 'static>(
        &self,
        tenant: &TenantId,
        work: impl Fn(&mut C, &TenantId) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, PortError> {
        self.with_tenant(tenant, |mut connection| connection.read(work)).await?
    }

    /// The same as [`run_for`](Self::run_for), however long it takes: for what clears away as much as there is.
    pub(crate) async fn run_at_length_for<T: Send + 'static>(
        &self,
        tenant: &TenantId,
        work: impl FnOnce(&mut C, &TenantId) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, PortError> {
        self.with_tenant_within(None, tenant, |mut connection| connection.run(work)).await?
    }

    /// Does units of work for a tenant. Fails itself only if its turn does not come or there is no connection.
    pub(crate) async fn with_tenant<T: Send + 'static>(
        &self,
        tenant: &TenantId,
        work: impl FnOnce(TenantConnection<'_, C>) -> T + Send + 'static,
    ) -> Result<T, PortError> {
        self.with_tenant_within(Some(self.limit), tenant, work).await
    }

    async fn with_tenant_within<T: Send + 'static>(
        &self,
        limit: Option<Duration>,
        tenant: &TenantId,
        work: impl FnOnce(TenantConnection<'_, C>) -> T + Send + 'static,
    ) -> Result<T, PortError> {
        let span = self.span();
        let turn = self.turn_of(tenant).instrument(span.clone()).await?;
        let (tenant, has_walls, purpose) = (tenant.clone(), Arc::clone(&self.has_walls), self.purpose);
        let (trouble, pool) = (Arc::clone(&self.trouble), self.pool.clone());
        let in_turn = move |connection: &mut C| {
            let _turn = turn;
            let lease = Lease { connection, pool: &pool, trouble: &trouble };
            work(TenantConnection { purpose, lease, has_walls: &has_walls, tenant: &tenant })
        };
        self.with(limit, span, in_turn).await
    }

    async fn turn_of(&self, tenant: &TenantId) -> Result<Option<OwnedMutexGuard<()>>, PortError> {
        let Some(turns) = &self.turns else { return Ok(None) };
        let turn = {
            let mut turns = turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(tenant.clone()).or_default())
        };
        let patience = self.patience();
        if let Ok(held) = timeout(patience, Arc::clone(&turn).lock_owned()).await {
            return Ok(Some(held));
        }
        if self.is_stuck() {
            // Whoever has the turn may never give it back: the next ones wait for another.
            let mut turns = turns.lock().unwrap_or_else(PoisonError::into_inner);
            if turns.get(tenant).is_some_and(|present| Arc::ptr_eq(present, &turn)) {
                turns.remove(tenant);
            }
        }
        Err(PortError::Unavailable(anyhow!("tenant {tenant} had other writes for {patience:?}")))
    }

    /// Does a unit of work for the tenant that is found by one [outside](Self::run_outside); it is also given what else
    /// was found. Both only read.
    pub(crate) async fn read_for_found<K: Copy + Send + 'static, T: Send + 'static>(
        &self,
        look_up: impl Fn(&mut C) -> QueryResult<Option<(TenantId, K)>> + Send + 'static,
        work: impl Fn(&mut C, &TenantId, K) -> QueryResult<Option<T>> + Send + 'static,
    ) -> Result<Option<T>, PortError> {
        let (has_walls, purpose) = (Arc::clone(&self.has_walls), self.purpose);
        let (trouble, pool) = (Arc::clone(&self.trouble), self.pool.clone());
        let both = move |connection: &mut C| {
            let mut lease = Lease { connection, pool: &pool, trouble: &trouble };
            let found = lease.retried(&look_up).map_err(|error| lease.classify(error))?;
            let Some((tenant, key)) = found else { return Ok(None) };
            let mut connection = TenantConnection { purpose, lease, has_walls: &has_walls, tenant: &tenant };
            connection.read(|connection, tenant| work(connection, tenant, key))
        };
        self.with(Some(self.limit), self.span(), both).await?
    }

    /// Does a unit of work outside all tenants: on the directory, the list of tenants, and what is counted before a
    /// tenant is known. Behind walls it finds every other table empty.
    pub(crate) async fn run_outside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut C) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, PortError> {
        let trouble = Arc::clone(&self.trouble);
        let outside = move |connection: &mut C| work(connection).map_err(|error| trouble.classify(error, connection));
        self.with(Some(self.limit), self.span(), outside).await?
    }

    /// Does a unit of work outside all tenants that only reads: once more on another connection, if its own turns out to be
    /// lost.
    pub(crate) async fn read_outside<T: Send + 'static>(
        &self,
        work: impl Fn(&mut C) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, PortError> {
        let (trouble, pool) = (Arc::clone(&self.trouble), self.pool.clone());
        let outside = move |connection: &mut C| {
            let mut lease = Lease { connection, pool: &pool, trouble: &trouble };
            lease.retried(&work).map_err(|error| lease.classify(error))
        };
        self.with(Some(self.limit), self.span(), outside).await?
    }

    /// Does something with a connection. Once begun, it is done to its end, even if nobody waits for the answer any
    /// more. Fails itself only if there is no connection, or no answer within the limit.
    async fn with<T: Send + 'static>(
        &self,
        limit: Option<Duration>,
        span: Span,
        work: impl FnOnce(&mut C) -> T + Send + 'static,
    ) -> Result<T, PortError> {
        let patience = self.patience();
        let unit = timeout(patience, self.underway.begin(limit))
            .instrument(span.clone())
            .await
            .map_err(|_| PortError::Unavailable(anyhow!("no connection became free within {patience:?}")))?
            .map_err(|error| PortError::Unexpected(error.into()))?;
        let pool = self.pool.clone();
        // What is logged and traced on the other thread belongs to the request as well.
        let caller = Span::current();
        let blocking = move || {
            let _caller = caller.entered();
            let _span = span.entered();
            // Dropped after the connection, and not before.
            let unit = unit;
            let mut connection = pool.get().map_err(|error| PortError::Unavailable(error.into()))?;
            let done = work(&mut connection);
            if unit.is_late() {
                // Not used again.
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
    /// The span of a unit of work, from asking for a connection on.
    fn span(&self) -> Span {
        span::<C>(self.purpose)
    }
}

/// The span of a unit of work. It names neither statements nor their parameters.
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

/// A connection of a pool, in whose place another one of the pool can be put.
struct Lease<'a, C: Walled> {
    connection: &'a mut C,
    pool: &'a Pool<Manager<C>>,
    trouble: &'a Trouble,
}

impl<C: Walled> Lease<'_, C> {
    fn classify(&mut self, error: Error) -> PortError {
        self.trouble.classify(error, self.connection)
    }

    /// Does what may be done twice: once more on another connection, if this one turns out to be lost. A connection can be
    /// lost without its end having been told yet when it was looked at.
    fn retried<T>(&mut self, work: impl Fn(&mut C) -> QueryResult<T>) -> QueryResult<T> {
        match work(self.connection) {
            Err(error) if self.connection.ping().is_err() => {
                let Ok(mut other) = self.pool.get() else { return Err(error) };
                // Not used again.
                C::TransactionManager::transaction_manager_status_mut(self.connection).set_in_error();
                std::mem::swap(&mut *other, self.connection);
                drop(other);
                work(self.connection)
            }
            done => done,
        }
    }
}

/// A connection that does units of work for one tenant.
pub(crate) struct TenantConnection<'a, C: Walled> {
    purpose: &'static str,
    lease: Lease<'a, C>,
    has_walls: &'a OnceLock<bool>,
    tenant: &'a TenantId,
}

impl<C: Walled> TenantConnection<'_, C> {
    /// The span of another unit of work than the one that the connection was taken for, in the trace of who asked for it.
    pub(crate) fn span_in(&self, asked: &Span) -> Span {
        asked.in_scope(|| span::<C>(self.purpose))
    }

    /// Does a unit of work for the tenant, which it is given again.
    pub(crate) fn run<T>(&mut self, work: impl FnOnce(&mut C, &TenantId) -> QueryResult<T>) -> Result<T, PortError> {
        self.run_within(work).map_err(|error| self.lease.classify(error))
    }

    /// The same for one that only reads.
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

    fn run_within<T>(&mut self, work: impl FnOnce(&mut C, &TenantId) -> QueryResult<T>) -> QueryResult<T> {
        let Self { lease, has_walls, tenant, purpose: _ } = self;
        // To begin changes nothing.
        let begun = lease.retried(|connection| {
            let has_walls = walls(has_walls, connection)?;
            if has_walls {
                connection.enter(tenant)?;
            }
            Ok(has_walls)
        })?;
        if begun {
            lease.connection.within(|connection| work(connection, tenant))
        } else {
            work(lease.connection, tenant)
        }
    }
}

/// Whether there are walls, which is asked once.
fn walls<C: Walled>(known: &OnceLock<bool>, connection: &mut C) -> QueryResult<bool> {
    match known.get() {
        Some(has_walls) => Ok(*has_walls),
        None => {
            let answer = connection.has_walls()?;
            Ok(*known.get_or_init(|| answer))
        }
    }
}
