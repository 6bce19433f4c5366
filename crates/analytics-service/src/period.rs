//! Periods of time, and their calendar in a zone.

use std::ops::Range;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};
use mass_domain::analytics::{DAY, HOUR, Micros, Resolution, floor};
use mass_domain::port::PortError;
use mass_domain::time::Timestamp;

const FIVE_MINUTES: Micros = HOUR / 12;

/// Reason for which a period cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// It ends before it begins, or where it begins.
    #[error("expected a period that ends after {from}, found {to}")]
    Empty {
        /// Its begin.
        from: Timestamp,
        /// Its end.
        to: Timestamp,
    },
    /// It is too long for the step.
    #[error("expected at most {most} days{}, found {found}", advice(*.take))]
    TooLong {
        /// The most days.
        most: i64,
        /// Its days, rounded up.
        found: i64,
        /// The step that allows such a period, if there is one.
        take: Option<&'static str>,
    },
    /// The zone is unknown.
    #[error("expected a zone of the IANA database, such as Europe/Berlin, found \"{0}\"")]
    Zone(String),
}

fn advice(take: Option<&'static str>) -> String {
    take.map_or_else(String::new, |step| format!(" (the step {step} allows it)"))
}

/// Checks a period. `limits` are the most days of each step, from the finest to the coarsest, and the first one is in
/// force.
pub(crate) fn check(
    from: Timestamp,
    to: Timestamp,
    limits: &[(&'static str, i64)],
) -> Result<Range<Micros>, PeriodError> {
    let period = from.unix_micros()..to.unix_micros();
    if period.is_empty() {
        return Err(PeriodError::Empty { from, to });
    }
    let found = (period.end - period.start + DAY - 1) / DAY;
    match limits.first() {
        Some((_, most)) if found > *most => {
            let take = limits.iter().find(|(_, most)| found <= *most).map(|(step, _)| *step);
            Err(PeriodError::TooLong { most: *most, found, take })
        }
        Some(_) | None => Ok(period),
    }
}

/// Finds a zone of the IANA database; UTC for none.
pub(crate) fn zone(name: Option<&str>) -> Result<TimeZone, PeriodError> {
    name.map_or(Ok(TimeZone::UTC), |name| TimeZone::get(name).map_err(|_| PeriodError::Zone(name.to_owned())))
}

/// Converts a number of microseconds.
pub(crate) fn instant(at: Micros) -> Result<Timestamp, PortError> {
    let out_of_range = || PortError::Unexpected(anyhow::anyhow!("{at} µs is outside the years 0001 to 9999"));
    Timestamp::from_unix_micros(at).ok_or_else(out_of_range)
}

/// The buckets of a period: calendar units of a zone. Those at its ends are cut.
pub(crate) struct Buckets {
    rest: Range<Micros>,
    step: Resolution,
    zone: TimeZone,
}

impl Buckets {
    pub(crate) const fn new(period: Range<Micros>, step: Resolution, zone: TimeZone) -> Self {
        Self { rest: period, step, zone }
    }

    /// Returns the end of the bucket that a time is in; `None` if the calendar has ended.
    fn end_of(&self, at: Micros) -> Option<Micros> {
        let local = || Some(jiff::Timestamp::from_microsecond(at).ok()?.to_zoned(self.zone.clone()));
        match self.step {
            Resolution::Raw => None,
            Resolution::FiveMinutes => Some(floor(at, FIVE_MINUTES) + FIVE_MINUTES),
            Resolution::Hour => {
                let local = local()?;
                let seconds = i64::from(local.minute()) * 60 + i64::from(local.second());
                let begin = floor(at, 1_000_000) - seconds * 1_000_000;
                Some(begin + HOUR)
            }
            Resolution::Day => self.begin_of(local()?.date().tomorrow().ok()?),
            Resolution::Month => self.begin_of(local()?.date().first_of_month().checked_add(1.month()).ok()?),
        }
    }

    fn begin_of(&self, date: Date) -> Option<Micros> {
        let begin: Zoned = date.to_zoned(self.zone.clone()).ok()?;
        Some(begin.timestamp().as_microsecond())
    }
}

impl Iterator for Buckets {
    type Item = Range<Micros>;

    fn next(&mut self) -> Option<Range<Micros>> {
        let Range { start, end } = self.rest.clone();
        if start >= end {
            return None;
        }
        let stop = self.end_of(start).map_or(end, |stop| stop.min(end));
        self.rest.start = stop;
        Some(start..stop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn buckets(from: &str, to: &str, step: Resolution, name: &str) -> Vec<String> {
        let period = at(from).unix_micros()..at(to).unix_micros();
        let buckets = Buckets::new(period, step, zone(Some(name)).unwrap());
        let shown = |bucket: Range<Micros>| {
            let minutes = (bucket.end - bucket.start) / (HOUR / 60);
            format!("{} {minutes}", instant(bucket.start).unwrap())
        };
        buckets.map(shown).collect()
    }

    #[test]
    fn days_have_23_and_25_hours_when_clocks_change() {
        let spring = buckets("2026-03-27T23:00:00Z", "2026-03-30T22:00:00Z", Resolution::Day, "Europe/Berlin");
        assert_eq!(spring, ["2026-03-27T23:00:00Z 1440", "2026-03-28T23:00:00Z 1380", "2026-03-29T22:00:00Z 1440"]);
        let autumn = buckets("2026-10-24T22:00:00Z", "2026-10-26T23:00:00Z", Resolution::Day, "Europe/Berlin");
        assert_eq!(autumn, ["2026-10-24T22:00:00Z 1500", "2026-10-25T23:00:00Z 1440"]);
    }

    #[test]
    fn months_and_hours_follow_the_zone_and_the_ends_are_cut() {
        let months = buckets("2026-02-10T00:00:00Z", "2026-04-10T00:00:00Z", Resolution::Month, "Europe/Berlin");
        assert_eq!(months.len(), 3);
        assert_eq!(months[1], format!("2026-02-28T23:00:00Z {}", 31 * 1440 - 60));
        let hours = buckets("2026-03-28T18:10:00Z", "2026-03-28T20:00:00Z", Resolution::Hour, "Asia/Kolkata");
        assert_eq!(hours, ["2026-03-28T18:10:00Z 20", "2026-03-28T18:30:00Z 60", "2026-03-28T19:30:00Z 30"]);
        let nepal = buckets("2026-03-28T18:00:00Z", "2026-03-28T19:15:00Z", Resolution::Day, "Asia/Kathmandu");
        assert_eq!(nepal, ["2026-03-28T18:00:00Z 15", "2026-03-28T18:15:00Z 60"]);
    }

    #[test]
    fn a_change_of_half_an_hour_makes_a_short_hour() {
        // Clocks of Lord Howe Island go back from 02:00 to 01:30 on 2026-04-05.
        let hours = buckets("2026-04-04T14:00:00Z", "2026-04-04T16:30:00Z", Resolution::Hour, "Australia/Lord_Howe");
        assert_eq!(hours, ["2026-04-04T14:00:00Z 60", "2026-04-04T15:00:00Z 30", "2026-04-04T15:30:00Z 60"]);
    }

    #[test]
    fn refuses_periods_that_are_empty_or_too_long_and_names_a_step() {
        let limits = [("raw", 31), ("5m", 92), ("hour", 1096)];
        let check = |to: &str| check(at("2026-01-01T00:00:00Z"), at(to), &limits);
        assert!(matches!(check("2026-01-01T00:00:00Z"), Err(PeriodError::Empty { .. })));
        assert!(check("2026-02-01T00:00:00Z").is_ok());
        let too_long = Err(PeriodError::TooLong { most: 31, found: 32, take: Some("5m") });
        assert_eq!(check("2026-02-01T00:00:00.000001Z"), too_long);
        let never = Err(PeriodError::TooLong { most: 31, found: 3653, take: None });
        assert_eq!(check("2036-01-02T00:00:00Z"), never.clone().map(|(): ()| 0..0));
        assert_eq!(zone(Some("Europe/Atlantis")).err(), Some(PeriodError::Zone("Europe/Atlantis".to_owned())));
    }
}
