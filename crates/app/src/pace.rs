//! Giving way: work that nobody waits for by the millisecond rests while documents are accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mass_persistence::CommitObserver;

use crate::telemetry::metrics::Metrics;

/// How many times as long as it worked a stretch of work rests: it takes a fifth of the time beside ingestion.
const RESTS: u32 = 4;

/// The shortest rest, since a stretch may have work prepared by other threads, whose time it does not see.
const SHORTEST_REST: Duration = Duration::from_millis(10);

/// The longest rest, so that work in long stretches goes on, too.
const LONGEST_REST: Duration = Duration::from_millis(50);

/// Tells whether documents are being accepted.
#[derive(Debug, Default)]
pub struct Pace {
    committed: AtomicU64,
}

/// A stretch of work under way.
#[derive(Debug)]
pub struct Stretch {
    pace: Arc<Pace>,
    begun: Instant,
    committed: u64,
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
        Stretch { pace: Arc::clone(self), begun: Instant::now(), committed: self.committed.load(Ordering::Relaxed) }
    }
}

impl Stretch {
    /// Returns the rest that is due: none unless documents were committed since the beginning.
    fn due(&self) -> Option<Duration> {
        let is_busy = self.pace.committed.load(Ordering::Relaxed) != self.committed;
        is_busy.then(|| (self.begun.elapsed() * RESTS).clamp(SHORTEST_REST, LONGEST_REST))
    }

    /// Ends the stretch, and rests if documents were committed meanwhile.
    pub async fn rest(self) {
        if let Some(rest) = self.due() {
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

    #[test]
    fn work_rests_only_beside_commits_and_not_for_long() {
        let pace = Arc::new(Pace::default());
        let stretch = pace.begin();
        assert_eq!(stretch.due(), None);
        pace.committed.fetch_add(1, Ordering::Relaxed);
        assert!(stretch.due().is_some_and(|rest| (SHORTEST_REST..=LONGEST_REST).contains(&rest)));
        let long = Stretch { begun: Instant::now().checked_sub(Duration::from_secs(60)).unwrap(), ..stretch };
        assert_eq!(long.due(), Some(LONGEST_REST));
        assert_eq!(pace.begin().due(), None);
    }
}
