//! When the simulated pilot does what.

/// The zone of the pilot's site.
pub const SITE_ZONE: &str = "Europe/Madrid";

/// Its standard time, in seconds east of Greenwich.
pub const SITE_ZONE_SECONDS: i32 = 3600;

/// The pairs of days of the crossover.
pub const PAIRS: u32 = 14;

/// The days before the crossover, without the retrofit.
const BASELINE_DAYS: i64 = 56;

/// The days after the crossover, with the retrofit.
const AFTER_DAYS: i64 = 28;

/// The days of the pilot, in its site's standard time, counted from 1970-01-01; and its hours, counted from the same in UTC.
///
/// A baseline, then a crossover whose days switch the retrofit, then the retrofit in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeline {
    /// The first hour.
    pub begin: i64,
    /// The last hour.
    pub end: i64,
    /// The first day of the crossover.
    pub first_day: i64,
    /// The day after the last of the crossover.
    pub after: i64,
}

impl Timeline {
    /// Builds the timeline of a pilot that ends with this hour.
    #[must_use]
    pub fn ending(end: i64) -> Self {
        let after = day_of(end) - AFTER_DAYS;
        let first_day = after - i64::from(2 * PAIRS);
        Self { begin: first_hour(first_day - BASELINE_DAYS), end, first_day, after }
    }

    /// Returns the last day, which has just begun or is about to end.
    #[must_use]
    pub fn last_day(&self) -> i64 {
        day_of(self.end)
    }

    /// Returns the first day.
    #[must_use]
    pub fn begin_day(&self) -> i64 {
        day_of(self.begin)
    }

    /// Returns the hours of a day, up to the end of the pilot.
    pub fn hours(&self, day: i64) -> impl Iterator<Item = i64> + use<> {
        let end = self.end;
        (first_hour(day)..first_hour(day + 1)).filter(move |hour| *hour <= end)
    }
}

/// Returns the day of an hour, in the site's standard time.
#[must_use]
fn day_of(hour: i64) -> i64 {
    (hour * 3600 + i64::from(SITE_ZONE_SECONDS)).div_euclid(86_400)
}

/// Returns the first hour of a day of the site's standard time.
#[must_use]
const fn first_hour(day: i64) -> i64 {
    day * 24 - SITE_ZONE_SECONDS as i64 / 3600
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_share_the_hours_of_the_pilot_among_them() {
        for end in [490_000, 490_006, 490_023] {
            let timeline = Timeline::ending(end);
            let hours: Vec<i64> =
                (timeline.begin_day()..=timeline.last_day()).flat_map(|day| timeline.hours(day)).collect();
            assert_eq!(hours, (timeline.begin..=end).collect::<Vec<_>>());
        }
    }
}
