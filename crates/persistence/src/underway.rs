//! Units of work that are under way, and those that a database leaves hanging.
//!
//! A thread that waits for a database which does not answer cannot be ended. It is given up instead: another one may take its
//! place, up to as many again. Beyond that nothing new is begun until some come back.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// How often it is looked, by whoever waits, whether something hangs.
const LOOK: Duration = Duration::from_millis(500);

/// How many units of work may be under way at once, and which are.
pub(crate) struct Underway {
    // One permit per connection: who waits here costs nothing, who waited in the pool would hold a thread.
    permits: Arc<Semaphore>,
    limit: usize,
    units: Mutex<Units>,
}

#[derive(Default)]
struct Units {
    begun: u64,
    running: HashMap<u64, Running>,
    given_up: HashSet<u64>,
}

struct Running {
    /// When it counts as hanging, if ever.
    until: Option<Instant>,
    _permit: OwnedSemaphorePermit,
}

/// A unit of work, under way until this is dropped.
pub(crate) struct Unit {
    underway: Arc<Underway>,
    number: u64,
    until: Option<Instant>,
}

impl Underway {
    /// So many at once.
    pub(crate) fn new(limit: u32) -> Arc<Self> {
        let limit = limit.try_into().unwrap_or(Semaphore::MAX_PERMITS);
        Arc::new(Self { permits: Arc::new(Semaphore::new(limit)), limit, units: Mutex::default() })
    }

    /// Waits for its turn, and begins a unit of work that takes no longer than this.
    pub(crate) async fn begin(self: &Arc<Self>, limit: Option<Duration>) -> Result<Unit, AcquireError> {
        let acquiring = Arc::clone(&self.permits).acquire_owned();
        tokio::pin!(acquiring);
        let permit = loop {
            tokio::select! {
                biased;
                permit = &mut acquiring => break permit?,
                () = sleep(LOOK) => self.give_up_what_hangs(),
            }
        };
        let until = limit.map(|limit| Instant::now() + limit);
        let mut units = self.units();
        units.begun += 1;
        let number = units.begun;
        units.running.insert(number, Running { until, _permit: permit });
        Ok(Unit { underway: Arc::clone(self), number, until })
    }

    /// Whether anything hangs now.
    pub(crate) fn is_stuck(&self) -> bool {
        let (units, now) = (self.units(), Instant::now());
        !units.given_up.is_empty() || units.running.values().any(|unit| unit.until.is_some_and(|until| until < now))
    }

    fn give_up_what_hangs(&self) {
        let mut units = self.units();
        let Units { running, given_up, begun: _ } = &mut *units;
        let now = Instant::now();
        running.retain(|number, unit| {
            let hangs = unit.until.is_some_and(|until| until < now) && given_up.len() < self.limit;
            if hangs {
                given_up.insert(*number);
            }
            !hangs
        });
    }

    fn units(&self) -> MutexGuard<'_, Units> {
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unit {
    /// Whether it took too long: nobody waits for it any more, and its connection is not used again.
    pub(crate) fn is_late(&self) -> bool {
        self.until.is_some_and(|until| until < Instant::now())
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        let mut units = self.underway.units();
        units.running.remove(&self.number);
        units.given_up.remove(&self.number);
    }
}
