//! Giving way: work that nobody waits for by the millisecond rests while documents are accepted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mass_persistence::CommitObserver;

use crate::telemetry::metrics::Metrics;

/// The documents per second from which on ingestion counts as busy.
const BUSY: f64 = 50.0;

/// The shortest time between two samples of the rate of ingestion.
const SAMPLE: Duration = Duration::from_millis(250);

/// The part of the time that work takes beside ingestion: one in so many. It rests after each stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    one_in: u32,
    shortest_rest: Duration,
    longest_rest: Duration,
}

impl Share {
    /// Work in stretches of some milliseconds. Other threads may have prepared it, whose time a stretch does not see.
    pub const FIFTH: Self =
        Self { one_in: 5, shortest_rest: Duration::from_millis(10), longest_rest: Duration::from_millis(50) };

    /// Work in large batches.
    pub const TENTH: Self = Self { one_in: 10, shortest_rest: Duration::ZERO, longest_rest: Duration::from_secs(1) };

    /// Work in large batches that is late.
    pub const HALF: Self = Self { one_in: 2, ..Self::TENTH };
}

/// Tells whether documents are being accepted.
#[derive(Debug, Default)]
pub struct Pace {
    committed: AtomicU64,
    rate: Mutex<Rate>,
}

/// The documents that were committed per second between the last two samples.
#[derive(Debug, Default)]
struct Rate {
    sampled: Option<(Instant, u64)>,
    per_second: f64,
}

impl Rate {
    #[expect(clippy::cast_precision_loss, reason = "counts of documents are far below 2^53")]
    fn sample(&mut self, now: Instant, committed: u64) -> f64 {
        let (at, before) = *self.sampled.get_or_insert((now, committed));
        let since = now.saturating_duration_since(at);
        if since >= SAMPLE {
            self.per_second = committed.saturating_sub(before) as f64 / since.as_secs_f64();
            self.sampled = Some((now, committed));
        }
        self.per_second
    }
}

/// A stretch of work under way.
#[derive(Debug)]
pub struct Stretch {
    pace: Arc<Pace>,
    begun: Instant,
}

impl Pace {
    /// Returns the number of documents that were committed since the process began.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.committed.load(Ordering::Relaxed)
    }

    /// Begins a stretch of work: some milliseconds.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> Stretch {
        Stretch { pace: Arc::clone(self), begun: Instant::now() }
    }

    /// Returns the rest that is due after work that took so long: none unless ingestion is busy.
    #[must_use]
    pub fn rest(&self, took: Duration, share: Share) -> Duration {
        self.rest_at(Instant::now(), took, share)
    }

    fn rest_at(&self, now: Instant, took: Duration, share: Share) -> Duration {
        let per_second = self.rate.lock().unwrap_or_else(PoisonError::into_inner).sample(now, self.committed());
        if per_second < BUSY {
            return Duration::ZERO;
        }
        (took * (share.one_in - 1)).clamp(share.shortest_rest, share.longest_rest)
    }
}

impl Stretch {
    /// Ends the stretch, and rests if ingestion is busy.
    pub async fn rest(self) {
        let rest = self.pace.rest(self.begun.elapsed(), Share::FIFTH);
        if !rest.is_zero() {
            tokio::time::sleep(rest).await;
        }
    }
}

/// Observes commits for metrics and for the pace.
pub struct CommitCounts {
    /// The metrics.
    pub metrics: Metrics,
    /// The pace.
    pub pace: Arc<Pace>,
}

impl CommitObserver for CommitCounts {
    fn committed(&self, documents: usize) {
        self.pace.committed.fetch_add(documents as u64, Ordering::Relaxed);
        self.metrics.committed(documents);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_millis(40);

    /// The rest after seconds of so many documents.
    fn rest(documents: u64, took: Duration, share: Share) -> Duration {
        let (pace, mut now, mut rest) = (Pace::default(), Instant::now(), Duration::ZERO);
        for _ in 0..20 {
            rest = pace.rest_at(now, took, share);
            now += SAMPLE;
            pace.committed.fetch_add(documents / 4, Ordering::Relaxed);
        }
        rest
    }

    #[test]
    fn works_without_a_rest_while_little_is_committed() {
        for share in [Share::FIFTH, Share::TENTH, Share::HALF] {
            assert_eq!(rest(0, TOOK, share), Duration::ZERO);
            assert_eq!(rest(40, TOOK, share), Duration::ZERO);
        }
    }

    #[test]
    fn takes_its_share_of_the_time_while_documents_are_committed() {
        assert_eq!(rest(2000, TOOK, Share::TENTH), TOOK * 9);
        assert_eq!(rest(2000, TOOK, Share::HALF), TOOK);
        assert_eq!(rest(2000, TOOK / 5, Share::FIFTH), TOOK * 4 / 5);
    }

    #[test]
    fn rests_neither_too_long_nor_too_short() {
        assert_eq!(rest(2000, Duration::from_secs(60), Share::TENTH), Duration::from_secs(1));
        assert_eq!(rest(2000, Duration::from_secs(60), Share::FIFTH), Duration::from_millis(50));
        assert_eq!(rest(2000, Duration::ZERO, Share::FIFTH), Duration::from_millis(10));
    }

    #[test]
    fn begins_to_work_without_a_rest_soon_after_ingestion_has_ended() {
        let (pace, now) = (Pace::default(), Instant::now());
        let at = |millis, committed| {
            pace.committed.store(committed, Ordering::Relaxed);
            pace.rest_at(now + Duration::from_millis(millis), TOOK, Share::TENTH)
        };
        assert_eq!(at(0, 0), Duration::ZERO);
        assert_eq!(at(250, 500), TOOK * 9);
        assert_eq!(at(300, 500), TOOK * 9);
        assert_eq!(at(500, 500), Duration::ZERO);
    }
}
