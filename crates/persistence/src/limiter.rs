//! Limit on concurrent units of work, which abandons those that hang.
//!
//! A thread that waits for an unresponsive database cannot be ended. Its unit of work is abandoned instead, so that another one
//! may take its place, up to as many again. Beyond that nothing new begins until some come back.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// The interval at which waiting callers look for hanging units of work.
const LOOK: Duration = Duration::from_millis(500);

/// Limits the number of concurrent units of work.
pub(crate) struct Limiter {
    // One permit per connection: waiting here costs nothing, waiting in the pool would hold a thread.
    permits: Arc<Semaphore>,
    limit: usize,
    units: Mutex<Units>,
}

#[derive(Default)]
struct Units {
    begun: u64,
    running: HashMap<u64, Running>,
    abandoned: HashSet<u64>,
}

struct Running {
    /// The instant from which on it counts as hanging; `None` for never.
    until: Option<Instant>,
    _permit: OwnedSemaphorePermit,
}

/// A running unit of work, which ends when this is dropped.
pub(crate) struct Unit {
    limiter: Arc<Limiter>,
    number: u64,
    until: Option<Instant>,
}

impl Limiter {
    /// Builds a limiter for this number of units of work.
    pub(crate) fn new(limit: u32) -> Arc<Self> {
        let limit = limit.try_into().unwrap_or(Semaphore::MAX_PERMITS);
        Arc::new(Self { permits: Arc::new(Semaphore::new(limit)), limit, units: Mutex::default() })
    }

    /// Waits for a permit and begins a unit of work, which counts as hanging after `limit`.
    pub(crate) async fn begin(self: &Arc<Self>, limit: Option<Duration>) -> Result<Unit, AcquireError> {
        let acquiring = Arc::clone(&self.permits).acquire_owned();
        tokio::pin!(acquiring);
        let permit = loop {
            tokio::select! {
                biased;
                permit = &mut acquiring => break permit?,
                () = sleep(LOOK) => self.abandon_hanging(),
            }
        };
        let until = limit.map(|limit| Instant::now() + limit);
        let mut units = self.units();
        units.begun += 1;
        let number = units.begun;
        units.running.insert(number, Running { until, _permit: permit });
        Ok(Unit { limiter: Arc::clone(self), number, until })
    }

    /// Tells whether any unit of work hangs.
    pub(crate) fn is_stuck(&self) -> bool {
        let (units, now) = (self.units(), Instant::now());
        !units.abandoned.is_empty() || units.running.values().any(|unit| unit.until.is_some_and(|until| until < now))
    }

    fn abandon_hanging(&self) {
        let mut units = self.units();
        let Units { running, abandoned, begun: _ } = &mut *units;
        let now = Instant::now();
        running.retain(|number, unit| {
            let hangs = unit.until.is_some_and(|until| until < now) && abandoned.len() < self.limit;
            if hangs {
                abandoned.insert(*number);
            }
            !hangs
        });
    }

    fn units(&self) -> MutexGuard<'_, Units> {
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unit {
    /// Tells whether the unit of work took too long: its caller no longer waits, and its connection is not used again.
    pub(crate) fn is_late(&self) -> bool {
        self.until.is_some_and(|until| until < Instant::now())
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        let mut units = self.limiter.units();
        units.running.remove(&self.number);
        units.abandoned.remove(&self.number);
    }
}
