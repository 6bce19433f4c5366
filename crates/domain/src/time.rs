//! Instants in UTC, to the microsecond.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, SubsecRound, TimeDelta, Timelike, Utc};
use uuid::ClockSequence;

/// An instant in UTC with microsecond precision, which both databases store without loss.
///
/// Displayed as RFC 3339 with `Z` and without trailing zeros in the fraction, so that every instant has exactly one
/// spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

/// Reason why a text is not accepted as an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTimestamp {
    /// The text has no accepted form, or the day or time does not exist.
    #[error("not an RFC 3339 date and time with an offset, such as 2026-01-31T12:00:00Z")]
    Malformed,
    /// The fraction of a second has more significant digits. Rounding would silently change the value.
    #[error("more than {digits} digits of a second's fraction")]
    TooPrecise {
        /// The number of digits that are kept.
        digits: u8,
    },
    /// The text is a leap second (`23:59:60`), which the databases' UTC cannot represent. Moving it would silently
    /// change the value.
    #[error("a leap second cannot be stored")]
    LeapSecond,
    /// The instant is outside the years 0001 to 9999 in UTC.
    #[error("outside the years 0001 to 9999")]
    OutOfRange,
}

impl Timestamp {
    /// Builds an instant, truncated to the microsecond.
    #[must_use]
    pub fn from_datetime(instant: DateTime<Utc>) -> Self {
        Self(instant.trunc_subsecs(6))
    }

    /// Builds an instant from microseconds since 1970-01-01T00:00:00Z; `None` if it is out of range.
    #[must_use]
    pub fn from_unix_micros(micros: i64) -> Option<Self> {
        DateTime::from_timestamp_micros(micros).map(Self)
    }

    /// Returns the microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix_micros(&self) -> i64 {
        self.0.timestamp_micros()
    }

    /// Converts the instant for UUIDs of version 7. Earlier instants become 1970-01-01T00:00:00Z. The context makes ids
    /// of the same millisecond unique.
    #[must_use]
    pub fn for_uuid(&self, context: impl ClockSequence<Output = impl Into<u128>>) -> uuid::Timestamp {
        let (seconds, nanos) = u64::try_from(self.0.timestamp())
            .map_or((0, 0), |seconds| (seconds, self.0.timestamp_subsec_micros() * 1000));
        uuid::Timestamp::from_unix(context, seconds, nanos)
    }

    /// Converts the instant to chrono's type.
    #[must_use]
    pub const fn as_datetime(&self) -> DateTime<Utc> {
        self.0
    }

    /// Adds a number of seconds; `None` if the result is out of range.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Option<Self> {
        self.0.checked_add_signed(TimeDelta::try_seconds(seconds)?).map(Self)
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    /// Parses a time like [`DocumentTime`], of at most six significant digits of the fraction.
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let DocumentTime(time) = text.parse()?;
        let instant = Self::from_datetime(time);
        if instant.0 == time { Ok(instant) } else { Err(InvalidTimestamp::TooPrecise { digits: 6 }) }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        DocumentTime(self.0).fmt(f)
    }
}

/// A time in a document: an instant in UTC with nanosecond precision.
///
/// A document keeps all digits that were sent. The database's columns and the searches have microseconds:
/// [`instant`](Self::instant).
///
/// Displayed like a [`Timestamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentTime(DateTime<Utc>);

impl DocumentTime {
    /// Returns the instant, truncated to the microsecond.
    #[must_use]
    pub fn instant(self) -> Timestamp {
        Timestamp::from_datetime(self.0)
    }
}

impl FromStr for DocumentTime {
    type Err = InvalidTimestamp;

    /// Parses RFC 3339, also with a space instead of the `T`, without seconds (`10:00Z`), or with an offset such as
    /// `+0100` or `+01`. Drops an empty fraction (`12:00:00.Z`) and trailing zeros.
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        use InvalidTimestamp::{LeapSecond, Malformed, OutOfRange};
        let mut rest = Fields(text.as_bytes());
        let year = rest.digits(4)?;
        let month = rest.after(b"-")?.digits(2)?;
        let day = rest.after(b"-")?.digits(2)?;
        let hour = rest.after(b"Tt ")?.digits(2)?;
        let minute = rest.after(b":")?.digits(2)?;
        let (mut second, mut nanosecond) = (0, 0);
        if rest.take(b":") {
            second = rest.digits(2)?;
            if rest.take(b".") {
                nanosecond = rest.fraction()?;
            }
        }
        let offset = rest.offset()?;
        if second == 60 {
            return Err(LeapSecond);
        }
        let year = i32::try_from(year).map_err(|_| Malformed)?;
        let date = NaiveDate::from_ymd_opt(year, month, day).ok_or(Malformed)?;
        let local = date.and_hms_nano_opt(hour, minute, second, nanosecond).ok_or(Malformed)?;
        let time = local.checked_sub_offset(offset).ok_or(OutOfRange)?.and_utc();
        if (1..=9999).contains(&time.year()) { Ok(Self(time)) } else { Err(OutOfRange) }
    }
}

impl fmt::Display for DocumentTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, time) = (self.0.date_naive(), self.0.time());
        let (year, month, day) = (date.year(), date.month(), date.day());
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())?;
        match time.nanosecond() {
            0 => {}
            nanos => f.write_str(format!(".{nanos:09}").trim_end_matches('0'))?,
        }
        f.write_str("Z")
    }
}

/// The unread rest of a time.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    /// Reads a number of exactly this many digits.
    fn digits(&mut self, count: usize) -> Result<u32, InvalidTimestamp> {
        let (field, rest) = self.0.split_at_checked(count).ok_or(InvalidTimestamp::Malformed)?;
        if !field.iter().all(u8::is_ascii_digit) {
            return Err(InvalidTimestamp::Malformed);
        }
        self.0 = rest;
        Ok(field.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')))
    }

    /// Skips one of these separators, if it is next.
    fn take(&mut self, separators: &[u8]) -> bool {
        match self.0 {
            [next, rest @ ..] if separators.contains(next) => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// Skips one of these separators, which must be next.
    fn after(&mut self, separators: &[u8]) -> Result<&mut Self, InvalidTimestamp> {
        if self.take(separators) { Ok(self) } else { Err(InvalidTimestamp::Malformed) }
    }

    /// Reads the digits after the decimal point as nanoseconds.
    fn fraction(&mut self) -> Result<u32, InvalidTimestamp> {
        let length = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(length);
        self.0 = rest;
        let significant = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        if significant > 9 {
            return Err(InvalidTimestamp::TooPrecise { digits: 9 });
        }
        let digit = |at| digits.get(at).map_or(0, |digit| u32::from(digit - b'0'));
        Ok((0..9).fold(0, |sum, at| sum * 10 + digit(at)))
    }

    /// Reads the offset, which ends the time.
    fn offset(&mut self) -> Result<FixedOffset, InvalidTimestamp> {
        let zulu = self.take(b"Zz");
        let (west, mut hours, mut minutes) = (self.0.first() == Some(&b'-'), 0, 0);
        if !zulu {
            hours = self.after(b"+-")?.digits(2)?;
            if self.take(b":") || !self.0.is_empty() {
                minutes = self.digits(2)?;
            }
        }
        let seconds = i32::try_from(hours * 3600 + minutes * 60).ok().filter(|_| self.0.is_empty() && minutes < 60);
        let seconds = seconds.ok_or(InvalidTimestamp::Malformed)?;
        FixedOffset::east_opt(if west { -seconds } else { seconds }).ok_or(InvalidTimestamp::Malformed)
    }
}

/// The clock: the port that all use-case crates share.
pub trait Clock: Send + Sync {
    /// Returns the current instant.
    fn now(&self) -> Timestamp;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, InvalidTimestamp> {
        text.parse::<Timestamp>().map(|t| t.to_string())
    }

    #[test]
    fn displays_every_spelling_of_an_instant_alike() {
        for spelling in [
            "2026-11-24T18:00:00Z",
            "2026-11-24t18:00:00z",
            "2026-11-24T18:00:00.000Z",
            "2026-11-24T18:00:00.Z",
            "2026-11-24T18:00:00.000000000Z",
            "2026-11-24T19:30:00+01:30",
            "2026-11-24T17:00:00-01:00",
            "2026-11-24T18:00:00-00:00",
            "2026-11-24 18:00:00Z",
            "2026-11-24 18:00:00.0z",
            "2026-11-24T18:00Z",
            "2026-11-24t18:00+00:00",
            "2026-11-24T19:00:00+0100",
            "2026-11-24 19:00+01",
            "2026-11-24T18:00:00.000000000000+00",
        ] {
            assert_eq!(shown(spelling).as_deref(), Ok("2026-11-24T18:00:00Z"), "{spelling}");
        }
        assert_eq!(shown("2026-11-24T18:00:00.120Z").as_deref(), Ok("2026-11-24T18:00:00.12Z"));
        assert_eq!(shown("2026-11-24T18:00:00.000001Z").as_deref(), Ok("2026-11-24T18:00:00.000001Z"));
    }

    #[test]
    fn refuses_other_spellings_and_more_than_microseconds() {
        for bad in [
            "",
            "2026-11-24",
            "2026-11-24T18:00:00",
            "2026-11-24 18:00:00",
            "2026-11-24T18:00",
            "2026-11-24  18:00:00Z",
            "2026-11-24 18:00:00 Z",
            "2026-11-24 18:00:00 +0100",
            "2026-11-24_18:00:00Z",
            "2026-11-24T18Z",
            "2026-11-24T18:00.5Z",
            "2026-11-24T1800Z",
            "20261124T180000Z",
            "2026-11-24T18:60Z",
            "2026-11-24T18:00:61Z",
            "2026-11-24T18:00:00+1",
            "2026-11-24T18:00:00+01:",
            "2026-11-24T18:00:00+01:0",
            "2026-11-24T18:00:00+010",
            "2026-11-24T18:00:00+01:60",
            "2026-11-24T18:00:00+01000",
            "2026-11-24T18:00:00ZZ",
            "2026-11-24T18:00:00Z+01:00",
            "2026-11-24T18:00:00UTC",
            "2026-11-24T18:00:00\u{2212}01:00",
            "2026-11-24T24:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-11-24T18:00:00+24:00",
            "2026-11-24T18:00:00+2400",
            "2026-11-24T18:00:00Z ",
            "+2026-11-24T18:00:00Z",
            "2026-11-24T18:00:00,5Z",
            "٢٠٢٦-11-24T18:00:00Z",
        ] {
            assert_eq!(shown(bad), Err(InvalidTimestamp::Malformed), "{bad:?}");
        }
        assert_eq!(shown("2026-11-24T18:00:00.1234567Z"), Err(InvalidTimestamp::TooPrecise { digits: 6 }));
        assert_eq!(shown("2016-12-31T23:59:60Z"), Err(InvalidTimestamp::LeapSecond));
        assert_eq!(shown("0000-01-01T00:00:00Z"), Err(InvalidTimestamp::OutOfRange));
        assert_eq!(shown("9999-12-31T23:59:59-01:00"), Err(InvalidTimestamp::OutOfRange));
    }

    #[test]
    fn a_document_keeps_nine_digits_and_its_instant_six() {
        let time: DocumentTime = "2026-11-24 19:00:00.123456789+01".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-24T18:00:00.123456789Z");
        assert_eq!(time.instant().to_string(), "2026-11-24T18:00:00.123456Z");
        let time: DocumentTime = "1969-12-31T23:59:59.999999999Z".parse().unwrap();
        assert_eq!(
            time.instant().to_string(),
            "1969-12-31T23:59:59.999999Z",
            "truncated, not rounded, before 1970 too"
        );
        let shown = |text: &str| text.parse::<DocumentTime>().map(|time| time.to_string());
        assert_eq!(shown("2026-11-24T18:00:00.1234567890Z").as_deref(), Ok("2026-11-24T18:00:00.123456789Z"));
        assert_eq!(shown("2026-11-24T18:00:00.000000001Z").as_deref(), Ok("2026-11-24T18:00:00.000000001Z"));
        assert_eq!(shown("2026-11-24T18:00:00.1234567891Z"), Err(InvalidTimestamp::TooPrecise { digits: 9 }));
        assert_eq!(shown("2026-11-24T18:00:00.1200Z").as_deref(), Ok("2026-11-24T18:00:00.12Z"));
    }
}
