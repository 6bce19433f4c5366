//! Instants in UTC, to the microsecond.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, SubsecRound, TimeDelta, Utc};
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
    /// The text is not RFC 3339 (section 5.6), or the day or time does not exist.
    #[error("not an RFC 3339 date and time with an offset, such as 2026-01-31T12:00:00Z")]
    Malformed,
    /// The text is more precise than a microsecond. Rounding would silently change the value.
    #[error("more than six digits of a second's fraction")]
    TooPrecise,
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

    /// Parses RFC 3339 with an offset. Drops an empty fraction (`12:00:00.Z`) and trailing zeros.
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        use InvalidTimestamp::{LeapSecond, Malformed, OutOfRange, TooPrecise};
        // chrono accepts more than the RFC (a space instead of the T, one-digit fields), so the shape is checked first.
        let bytes = text.as_bytes();
        let digits = |range: std::ops::Range<usize>| bytes.get(range).is_some_and(|b| b.iter().all(u8::is_ascii_digit));
        let is = |at: usize, allowed: &[u8]| bytes.get(at).is_some_and(|b| allowed.contains(b));
        let date = digits(0..4) && is(4, b"-") && digits(5..7) && is(7, b"-") && digits(8..10) && is(10, b"Tt");
        let time = digits(11..13) && is(13, b":") && digits(14..16) && is(16, b":") && digits(17..19);
        if !date || !time {
            return Err(Malformed);
        }
        let (whole, rest) = text.split_at(19);
        let (fraction, offset) = match rest.strip_prefix('.') {
            Some(rest) => rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count()),
            None => ("", rest),
        };
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 6 {
            return Err(TooPrecise);
        }
        let offset_bytes = offset.as_bytes();
        let numeric = offset.len() == 6
            && matches!(offset_bytes, [b'+' | b'-', h1, h2, b':', m1, m2] if [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()));
        if !numeric && !offset.eq_ignore_ascii_case("z") {
            return Err(Malformed);
        }
        if &bytes[17..19] == b"60" {
            return Err(LeapSecond);
        }
        let dot = if fraction.is_empty() { "" } else { "." };
        let strict = format!("{whole}{dot}{fraction}{offset}");
        let instant = DateTime::parse_from_rfc3339(&strict).map_err(|_| Malformed)?.with_timezone(&Utc);
        if (1..=9999).contains(&instant.year()) { Ok(Self(instant)) } else { Err(OutOfRange) }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%dT%H:%M:%S"))?;
        match self.0.timestamp_subsec_micros() {
            0 => {}
            micros => f.write_str(format!(".{micros:06}").trim_end_matches('0'))?,
        }
        f.write_str("Z")
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
        ] {
            assert_eq!(shown(spelling).as_deref(), Ok("2026-11-24T18:00:00Z"), "{spelling}");
        }
        assert_eq!(shown("2026-11-24T18:00:00.120Z").as_deref(), Ok("2026-11-24T18:00:00.12Z"));
        assert_eq!(shown("2026-11-24T18:00:00.000001Z").as_deref(), Ok("2026-11-24T18:00:00.000001Z"));
    }

    #[test]
    fn refuses_times_outside_rfc_3339_or_microsecond_precision() {
        for bad in [
            "",
            "2026-11-24",
            "2026-11-24 18:00:00Z",
            "2026-11-24T18:00:00",
            "2026-11-24T18:00Z",
            "2026-11-24T24:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-11-24T18:00:00+0100",
            "2026-11-24T18:00:00+24:00",
            "2026-11-24T18:00:00Z ",
            "+2026-11-24T18:00:00Z",
            "2026-11-24T18:00:00,5Z",
            "٢٠٢٦-11-24T18:00:00Z",
        ] {
            assert_eq!(shown(bad), Err(InvalidTimestamp::Malformed), "{bad:?}");
        }
        assert_eq!(shown("2026-11-24T18:00:00.1234567Z"), Err(InvalidTimestamp::TooPrecise));
        assert_eq!(shown("2016-12-31T23:59:60Z"), Err(InvalidTimestamp::LeapSecond));
        assert_eq!(shown("0000-01-01T00:00:00Z"), Err(InvalidTimestamp::OutOfRange));
        assert_eq!(shown("9999-12-31T23:59:59-01:00"), Err(InvalidTimestamp::OutOfRange));
    }
}
