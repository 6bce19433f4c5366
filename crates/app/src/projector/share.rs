//! The share of the time that projecting may take beside ingestion: as much as other work in the background, unless figures
//! are late.

use std::time::{Duration, Instant};

/// The share of the time while documents are being committed: one part in ten.
const SMALL_SHARE: u32 = 10;

/// The share of the time while figures are late and ingestion has room: one part in two.
const LARGE_SHARE: u32 = 2;

/// The age of the oldest event that is not projected, from which on figures count as late. With a batch and the pause before
/// it, they stay within two seconds.
const LATE: Duration = Duration::from_millis(1200);

/// The documents per second from which on ingestion counts as busy.
const BUSY: f64 = 50.0;

/// The documents that wait for their commit, on average, from which on ingestion has no room.
const PRESSED: f64 = 16.0;

/// The longest rest.
const LONGEST: Duration = Duration::from_secs(1);

/// The time between two samples of the rate of ingestion.
const SAMPLE: Duration = Duration::from_millis(250);

/// The state of ingestion at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ingestion {
    /// The documents that were committed since the process began.
    pub(super) committed: u64,
    /// The documents that wait for their commit.
    pub(super) waiting: usize,
}

/// The load of ingestion, by its last samples.
#[derive(Debug, Default)]
pub(super) struct Share {
    sampled: Option<(Instant, u64)>,
    per_second: f64,
    waiting: f64,
}

impl Share {
    /// Returns the rest after a batch that took so long, while the oldest event that is not projected has this age.
    pub(super) fn rest(&mut self, now: Instant, took: Duration, oldest: Duration, ingestion: Ingestion) -> Duration {
        self.sample(now, ingestion);
        if self.per_second < BUSY {
            return Duration::ZERO;
        }
        let share = if oldest >= LATE && self.waiting < PRESSED { LARGE_SHARE } else { SMALL_SHARE };
        (took * (share - 1)).min(LONGEST)
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of documents are far below 2^53")]
    fn sample(&mut self, now: Instant, Ingestion { committed, waiting }: Ingestion) {
        self.waiting = self.waiting.mul_add(0.75, waiting as f64 * 0.25);
        let Some((at, before)) = self.sampled else {
            self.sampled = Some((now, committed));
            return;
        };
        let since = now.saturating_duration_since(at);
        if since >= SAMPLE {
            self.per_second = committed.saturating_sub(before) as f64 / since.as_secs_f64();
            self.sampled = Some((now, committed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_millis(40);

    /// The rest after a second of so many documents, of which so many wait.
    fn rest(documents: u64, waiting: usize, oldest: Duration) -> Duration {
        let (mut share, mut now, mut committed) = (Share::default(), Instant::now(), 7);
        let mut rest = Duration::ZERO;
        for _ in 0..20 {
            rest = share.rest(now, TOOK, oldest, Ingestion { committed, waiting });
            now += Duration::from_millis(250);
            committed += documents / 4;
        }
        rest
    }

    #[test]
    fn works_without_a_rest_while_little_is_committed() {
        assert_eq!(rest(0, 0, Duration::ZERO), Duration::ZERO);
        assert_eq!(rest(40, 1, Duration::from_secs(60)), Duration::ZERO);
    }

    #[test]
    fn takes_a_tenth_of_the_time_while_documents_are_committed() {
        assert_eq!(rest(2000, 4, Duration::ZERO), TOOK * 9);
        assert_eq!(rest(2000, 4, Duration::from_millis(1199)), TOOK * 9);
    }

    #[test]
    fn takes_half_of_the_time_when_it_is_late_and_ingestion_has_room() {
        assert_eq!(rest(2000, 4, Duration::from_millis(1200)), TOOK);
        assert_eq!(rest(9000, 64, Duration::from_secs(60)), TOOK * 9);
    }

    #[test]
    fn begins_to_work_without_a_rest_soon_after_ingestion_has_ended() {
        let (mut share, now) = (Share::default(), Instant::now());
        let at = |millis, committed, share: &mut Share| {
            let ingestion = Ingestion { committed, waiting: 0 };
            share.rest(now + Duration::from_millis(millis), TOOK, Duration::ZERO, ingestion)
        };
        assert_eq!(at(0, 0, &mut share), Duration::ZERO);
        assert_eq!(at(250, 500, &mut share), TOOK * 9);
        assert_eq!(at(300, 500, &mut share), TOOK * 9);
        assert_eq!(at(500, 500, &mut share), Duration::ZERO);
    }
}
