//! Days and periods.

use std::fmt;
use std::str::FromStr;

use chrono::{Days, NaiveDate};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::time::Timestamp;

/// A day of a calendar, without a zone. Written `2026-01-31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(NaiveDate);

/// The text is not a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a day such as 2026-01-31")]
pub struct InvalidDay;

impl Day {
    /// Builds a day from its distance to 1970-01-01, in days; `None` if it is outside of the years 0001 to 9999.
    #[must_use]
    pub fn from_number(days: i64) -> Option<Self> {
        let days = i32::try_from(days).ok()?;
        NaiveDate::from_epoch_days(days).filter(is_common).map(Self)
    }

    /// Returns the distance to 1970-01-01, in days.
    #[must_use]
    pub fn number(self) -> i64 {
        i64::from(self.0.to_epoch_days())
    }

    /// Returns the day that follows after so many; `None` if it is after the year 9999.
    #[must_use]
    pub fn plus(self, days: u32) -> Option<Self> {
        self.0.checked_add_days(Days::new(u64::from(days))).filter(is_common).map(Self)
    }

    /// Returns the time at which the day begins in a place that is so many seconds east of Greenwich; `None` if that is
    /// outside of the years 0001 to 9999.
    #[must_use]
    pub fn begin(self, utc_offset_seconds: i32) -> Option<Timestamp> {
        let seconds = self.number() * 86_400 - i64::from(utc_offset_seconds);
        Timestamp::from_unix_micros(seconds * 1_000_000)
    }
}

fn is_common(date: &NaiveDate) -> bool {
    (1..=9999).contains(&chrono::Datelike::year(date))
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Day {
    type Err = InvalidDay;

    fn from_str(text: &str) -> Result<Self, InvalidDay> {
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(is_common).map(Self);
        // The parser takes signs, spaces and missing zeros, too; a day has one spelling.
        day.filter(|day| day.to_string() == text).ok_or(InvalidDay)
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A span of time: from its begin (included) to its end (excluded).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// The begin.
    #[serde(with = "instant")]
    pub from: Timestamp,
    /// The end.
    #[serde(with = "instant")]
    pub until: Timestamp,
}

impl Period {
    /// Tells whether another period lies within this one.
    #[must_use]
    pub fn encloses(&self, other: &Self) -> bool {
        self.from <= other.from && other.until <= self.until
    }

    /// Tells whether both have time in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.from < other.until && other.from < self.until
    }
}

/// Instants as text of RFC 3339.
pub(super) mod instant {
    use super::{Deserialize, Deserializer, Serializer, Timestamp, de};

    pub(in super::super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_one_spelling_and_a_number() {
        let day: Day = "2024-02-29".parse().unwrap();
        assert_eq!((day.number(), day.to_string().as_str()), (19_782, "2024-02-29"));
        assert_eq!(Day::from_number(19_782), Some(day));
        assert_eq!(day.plus(1), "2024-03-01".parse().ok());
        for bad in
            ["", "2024-2-29", "2023-02-29", "+2024-02-29", " 2024-02-29", "0000-01-01", "10000-01-01", "2024-02-29Z"]
        {
            assert_eq!(bad.parse::<Day>(), Err(InvalidDay), "{bad}");
        }
        assert_eq!("9999-12-31".parse::<Day>().unwrap().plus(1), None);
    }

    #[test]
    fn a_day_begins_at_midnight_of_its_place() {
        let begin = |offset| "2024-03-01".parse::<Day>().unwrap().begin(offset).unwrap().to_string();
        assert_eq!(begin(0), "2024-03-01T00:00:00Z");
        assert_eq!(begin(3600), "2024-02-29T23:00:00Z");
        assert_eq!(begin(-18_000), "2024-03-01T05:00:00Z");
    }
}
