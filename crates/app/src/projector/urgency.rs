//! The share of the time that projecting takes beside ingestion: a small one, unless figures are late.

use std::time::Duration;

use crate::pace::Share;

/// The age of the oldest event that is not projected, from which on figures count as late. With a batch and the pause before
/// it, they stay within two seconds.
const LATE: Duration = Duration::from_millis(1200);

/// The documents that wait for their commit, on average, from which on ingestion has no room.
const PRESSED: f64 = 16.0;

/// The number of documents that wait for their commit, by its last samples.
#[derive(Debug, Default)]
pub(super) struct Urgency {
    waiting: f64,
}

impl Urgency {
    /// Returns the share while the oldest event that is not projected has this age and so many documents wait.
    #[expect(clippy::cast_precision_loss, reason = "counts of documents are far below 2^53")]
    pub(super) fn share(&mut self, oldest: Duration, waiting: usize) -> Share {
        self.waiting = self.waiting.mul_add(0.75, waiting as f64 * 0.25);
        if oldest >= LATE && self.waiting < PRESSED { Share::HALF } else { Share::TENTH }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_more_of_the_time_when_it_is_late_and_ingestion_has_room() {
        let share = |oldest, waiting| {
            let mut urgency = Urgency::default();
            (0..20).map(|_| urgency.share(Duration::from_millis(oldest), waiting)).next_back()
        };
        assert_eq!(share(0, 4), Some(Share::TENTH));
        assert_eq!(share(1199, 4), Some(Share::TENTH));
        assert_eq!(share(1200, 4), Some(Share::HALF));
        assert_eq!(share(60_000, 64), Some(Share::TENTH));
    }
}
