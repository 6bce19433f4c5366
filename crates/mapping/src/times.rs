//! Times as files write them, converted to UTC.

use jiff::civil;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{Timestamp, ToSpan};
use mass_domain::time::DocumentTime;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::errors::{ProfileError, RefusalCode, shown};
use crate::profile::{Doubled, Time};
use crate::units::decimal;

/// A time's format and zone, ready to be applied.
#[derive(Debug)]
pub(crate) struct TimeReader {
    form: Form,
    zone: Option<TimeZone>,
    zone_name: String,
    doubled: Doubled,
}

#[derive(Debug)]
enum Form {
    Rfc3339,
    /// Units since 1970, each of this many nanoseconds.
    Epoch(i64),
    Pattern {
        text: String,
        /// True if the pattern has an offset or a zone.
        zoned: bool,
        /// True if the pattern has `AM` or `PM`.
        half_days: bool,
    },
}

/// The reason why a text is not a time.
pub(crate) type TimeError = (RefusalCode, String);

/// The directives that a pattern may have.
const DIRECTIVES: &str = "YymdeHIklMSfpPbBhaAzQTDFRjs.:%nt";

impl TimeReader {
    /// Compiles the time of a profile. The pointers of errors are below `/time`.
    pub(crate) fn new(time: &Time) -> Result<Self, ProfileError> {
        let form = match time.format.as_str() {
            "rfc3339" => Form::Rfc3339,
            "epoch_s" => Form::Epoch(1_000_000_000),
            "epoch_ms" => Form::Epoch(1_000_000),
            "epoch_us" => Form::Epoch(1_000),
            "epoch_ns" => Form::Epoch(1),
            pattern => pattern_form(pattern).map_err(|detail| ProfileError::new("/time/format", detail))?,
        };
        let zone =
            time.zone.as_deref().map(zone).transpose().map_err(|detail| ProfileError::new("/time/zone", detail))?;
        if zone.is_none() && matches!(form, Form::Pattern { zoned: false, .. }) {
            let detail = "expected a zone, such as Europe/Madrid or +02:00, since the format has no offset (%z)";
            return Err(ProfileError::new("/time/zone", detail));
        }
        let zone_name = time.zone.clone().unwrap_or_default();
        Ok(Self { form, zone, zone_name, doubled: time.doubled })
    }

    /// Reads a time and returns it in UTC, as RFC 3339.
    pub(crate) fn read(&self, text: &str) -> Result<String, TimeError> {
        match &self.form {
            Form::Rfc3339 => self.read_rfc3339(text),
            Form::Epoch(nanos) => epoch(text, *nanos),
            Form::Pattern { text: pattern, zoned, half_days } => self.read_pattern(pattern, *zoned, *half_days, text),
        }
    }

    fn read_rfc3339(&self, text: &str) -> Result<String, TimeError> {
        let error = match text.parse::<DocumentTime>() {
            Ok(time) => return Ok(time.to_string()),
            Err(error) => error,
        };
        let time = text.get(10..).unwrap_or_default();
        let is_local = time.contains(':') && !time.contains(['+', '-', 'Z', 'z', '[']);
        match &self.zone {
            Some(zone) if is_local => {
                let (text, next_day) = without_midnight(text);
                let local = text.parse::<civil::DateTime>().map_err(|_| not_a_time(&text, "a date and time"))?;
                self.in_zone(zone, local, next_day)
            }
            _ => Err((RefusalCode::Time, format!("{error}; found \"{}\"", shown(text)))),
        }
    }

    fn read_pattern(&self, pattern: &str, zoned: bool, half_days: bool, sent: &str) -> Result<String, TimeError> {
        let ascii = if sent.is_ascii() { None } else { Some(sent.replace(['\u{202f}', '\u{a0}'], " ")) };
        let mut text = without_midnight(ascii.as_deref().unwrap_or(sent));
        if half_days {
            text.0 = with_plain_half_day(&text.0).into();
        }
        let (text, next_day) = text;
        let expected = || not_a_time(sent, pattern);
        let broken = BrokenDownTime::parse(pattern, text.as_ref()).map_err(|_| expected())?;
        if zoned {
            let time = broken.to_timestamp().map_err(|_| expected())?;
            let time = if next_day { time.checked_add(24.hours()).map_err(|_| expected())? } else { time };
            return Ok(time.to_string());
        }
        let local = broken.to_datetime().map_err(|_| expected())?;
        match &self.zone {
            Some(zone) => self.in_zone(zone, local, next_day),
            None => Err(expected()),
        }
    }

    /// Converts a local time to UTC.
    fn in_zone(&self, zone: &TimeZone, local: civil::DateTime, next_day: bool) -> Result<String, TimeError> {
        let beyond = || (RefusalCode::Time, "the time is beyond the year 9999".to_owned());
        let local = if next_day { local.checked_add(1.day()).map_err(|_| beyond())? } else { local };
        let offset = match zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { .. } => {
                let detail = format!("{local} does not exist in {}: clocks were put forward", self.zone_name);
                return Err((RefusalCode::SkippedTime, detail));
            }
            AmbiguousOffset::Fold { before, after } => match self.doubled {
                Doubled::Earlier => before,
                Doubled::Later => after,
                Doubled::Refuse => {
                    let detail = format!(
                        "{local} occurs twice in {}: clocks were put back; \"doubled\" can choose one",
                        self.zone_name
                    );
                    return Err((RefusalCode::DoubledTime, detail));
                }
            },
        };
        offset.to_timestamp(local).map(|time| time.to_string()).map_err(|_| beyond())
    }
}

fn not_a_time(text: &str, expected: &str) -> TimeError {
    (RefusalCode::Time, format!("expected a time such as {expected}, found \"{}\"", shown(text)))
}

/// Finds a zone by its name or offset.
fn zone(name: &str) -> Result<TimeZone, String> {
    if let Some(seconds) = fixed_offset(name) {
        let offset = Offset::from_seconds(seconds).map_err(|error| error.to_string())?;
        return Ok(TimeZone::fixed(offset));
    }
    TimeZone::get(name).map_err(|_| {
        format!("expected a zone such as Europe/Madrid, or an offset such as +02:00, found \"{}\"", shown(name))
    })
}

/// Parses `+02:00` as seconds.
fn fixed_offset(text: &str) -> Option<i32> {
    let (sign, rest) = text.strip_prefix('+').map(|rest| (1, rest)).or_else(|| Some((-1, text.strip_prefix('-')?)))?;
    let (hours, minutes) = rest.split_once(':')?;
    let number = |part: &str| (part.len() == 2).then(|| part.parse::<u8>().ok().map(i32::from)).flatten();
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn pattern_form(pattern: &str) -> Result<Form, String> {
    let mut found = String::new();
    let mut rest = pattern.chars();
    while let Some(character) = rest.next() {
        if character != '%' {
            continue;
        }
        let directive = rest.by_ref().find(|next| !matches!(next, '-' | '_' | '0'..='9' | '^' | '#'));
        match directive {
            Some(directive) if DIRECTIVES.contains(directive) => found.push(directive),
            _ => {
                return Err(format!(
                    "expected rfc3339, epoch_s, epoch_ms, epoch_us, epoch_ns or a pattern of strptime, found \"{}\"",
                    shown(pattern)
                ));
            }
        }
    }
    let has = |directives: &str| found.contains(|directive| directives.contains(directive));
    let zoned = has("zQs:");
    let is_instant = has("s") || (has("YyFD") && has("HIklTR"));
    if !is_instant {
        return Err(format!("expected a pattern with a date and an hour, found \"{}\"", shown(pattern)));
    }
    if has("Il") && !has("pP") {
        return Err("expected %p beside %I: twelve hours need AM or PM".to_owned());
    }
    Ok(Form::Pattern { text: pattern.to_owned(), zoned, half_days: has("pP") })
}

/// Replaces an hour 24, which ends a day, by the hour 0. Returns true if there was one.
fn without_midnight(text: &str) -> (std::borrow::Cow<'_, str>, bool) {
    let is_digit = |at: Option<usize>| at.and_then(|at| text.as_bytes().get(at)).is_some_and(u8::is_ascii_digit);
    match text.find("24:00") {
        Some(at) if !is_digit(at.checked_sub(1)) && !is_digit(Some(at + 5)) => {
            let rest = text.get(at + 5..).unwrap_or_default();
            // Only midnight itself has an hour 24: 24:00:01 stays, and is then refused.
            let seconds = rest.strip_prefix(':').map_or("", |rest| rest.split(' ').next().unwrap_or_default());
            if seconds.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) {
                return (text.into(), false);
            }
            (format!("{}00:00{rest}", text.get(..at).unwrap_or_default()).into(), true)
        }
        _ => (text.into(), false),
    }
}

/// Replaces `a. m.` and the like by `AM` and `PM`.
fn with_plain_half_day(text: &str) -> String {
    let mut plain = text.to_owned();
    for (from, to) in [("a. m.", "AM"), ("p. m.", "PM"), ("a.m.", "AM"), ("p.m.", "PM")] {
        if let Some(at) = plain.to_ascii_lowercase().find(from) {
            plain.replace_range(at..at + from.len(), to);
        }
    }
    plain
}

/// Converts a number of units since 1970 to a time.
fn epoch(text: &str, nanos: i64) -> Result<String, TimeError> {
    let expected = || {
        (
            RefusalCode::Time,
            format!("expected a number of seconds or parts of a second since 1970, found \"{}\"", shown(text)),
        )
    };
    let whole = text.parse::<i64>().ok().map(|number| i128::from(number) * i128::from(nanos));
    let exact = || {
        let scaled = decimal(text)?.checked_mul(Decimal::from(nanos))?;
        scaled.is_integer().then(|| scaled.to_i128()).flatten()
    };
    let total = whole.or_else(exact).ok_or_else(expected)?;
    Timestamp::from_nanosecond(total).map(|time| time.to_string()).map_err(|_| expected())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(format: &str, zone: Option<&str>, doubled: Doubled) -> TimeReader {
        let time = Time {
            from: vec!["t".to_owned()],
            format: format.to_owned(),
            zone: zone.map(str::to_owned),
            doubled,
            to: None,
        };
        TimeReader::new(&time).unwrap()
    }

    fn read(format: &str, zone: Option<&str>, text: &str) -> Result<String, RefusalCode> {
        reader(format, zone, Doubled::Refuse).read(text).map_err(|(code, _)| code)
    }

    #[test]
    fn reads_times_of_every_format() {
        for (format, zone, text, expected) in [
            ("rfc3339", None, "2026-03-01 10:00:00+01", "2026-03-01T09:00:00Z"),
            ("rfc3339", Some("Europe/Berlin"), "2026-03-01T10:00:00.5", "2026-03-01T09:00:00.5Z"),
            ("rfc3339", Some("Europe/Berlin"), "2026-03-01 10:00", "2026-03-01T09:00:00Z"),
            ("rfc3339", Some("Europe/Berlin"), "2026-03-01 24:00:00", "2026-03-01T23:00:00Z"),
            ("rfc3339", Some("Europe/Berlin"), "2026-03-01T10:00:00Z", "2026-03-01T10:00:00Z"),
            ("epoch_s", None, "1458229140", "2016-03-17T15:39:00Z"),
            ("epoch_s", None, "1458229140.25", "2016-03-17T15:39:00.25Z"),
            ("epoch_s", None, "1.45822914e9", "2016-03-17T15:39:00Z"),
            ("epoch_ms", None, "1458229140123", "2016-03-17T15:39:00.123Z"),
            ("epoch_us", None, "1458229140123456", "2016-03-17T15:39:00.123456Z"),
            ("epoch_ns", None, "1544712660300000001", "2018-12-13T14:51:00.300000001Z"),
            ("%d/%m/%Y %H:%M", Some("UTC"), "03/04/2026 05:06", "2026-04-03T05:06:00Z"),
            ("%d/%m/%Y %H:%M", Some("UTC"), "3/4/2026 5:06", "2026-04-03T05:06:00Z"),
            ("%m/%d/%Y %I:%M:%S %p", Some("America/New_York"), "01/31/2026 12:05:00 AM", "2026-01-31T05:05:00Z"),
            ("%d/%m/%Y %I:%M:%S %p", Some("Europe/Madrid"), "31/01/2026 1:05:00 p. m.", "2026-01-31T12:05:00Z"),
            ("%d.%m.%Y %H:%M", Some("Europe/Berlin"), "31.12.2025 24:00", "2025-12-31T23:00:00Z"),
            ("%Y-%m-%d %H:%M:%S", Some("+05:30"), "2026-01-31 05:30:00", "2026-01-31T00:00:00Z"),
            ("%d-%b-%y %H:%M", Some("UTC"), "05-Jan-26 10:00", "2026-01-05T10:00:00Z"),
            ("%Y-%m-%dT%H:%M:%S%z", None, "2026-01-31T12:00:00+0100", "2026-01-31T11:00:00Z"),
            ("%Y-%m-%d %H:%M:%S%.f", Some("UTC"), "2026-01-31 12:00:00.123", "2026-01-31T12:00:00.123Z"),
        ] {
            assert_eq!(read(format, zone, text).as_deref(), Ok(expected), "{format} {text}");
        }
    }

    #[test]
    fn refuses_what_is_no_time_in_the_format() {
        for (format, zone, text) in [
            ("rfc3339", None, "2026-03-01 10:00:00"),
            ("rfc3339", Some("UTC"), "2026-03-01"),
            ("rfc3339", Some("UTC"), "2026-03-01 10:00:00+1"),
            ("rfc3339", Some("UTC"), "01/03/2026 10:00"),
            ("epoch_s", None, ""),
            ("epoch_s", None, "now"),
            ("epoch_ms", None, "1458229140.1234567"),
            ("epoch_s", None, "99999999999999999999"),
            ("%d/%m/%Y %H:%M", Some("UTC"), "31/02/2026 10:00"),
            ("%d/%m/%Y %H:%M", Some("UTC"), "01/13/2026 10:00"),
            ("%d/%m/%Y %H:%M", Some("UTC"), "01/12/2026 24:01"),
            ("%d/%m/%Y %H:%M", Some("UTC"), "01/12/2026"),
            ("%d/%m/%Y %H:%M:%S", Some("UTC"), "01/12/2026 24:00:01"),
            ("%d/%m/%Y %I:%M %p", Some("UTC"), "01/12/2026 13:00 PM"),
        ] {
            assert_eq!(read(format, zone, text), Err(RefusalCode::Time), "{format} {text}");
        }
    }

    #[test]
    fn a_skipped_hour_is_refused_and_a_doubled_hour_is_what_the_profile_says() {
        let pattern = "%Y-%m-%d %H:%M";
        assert_eq!(read(pattern, Some("Europe/Berlin"), "2026-03-29 02:30"), Err(RefusalCode::SkippedTime));
        assert_eq!(read("rfc3339", Some("Europe/Berlin"), "2026-03-29 02:30"), Err(RefusalCode::SkippedTime));
        assert_eq!(read(pattern, Some("Europe/Berlin"), "2026-10-25 02:30"), Err(RefusalCode::DoubledTime));
        let chosen = |doubled| reader(pattern, Some("Europe/Berlin"), doubled).read("2026-10-25 02:30").unwrap();
        assert_eq!(chosen(Doubled::Earlier), "2026-10-25T00:30:00Z");
        assert_eq!(chosen(Doubled::Later), "2026-10-25T01:30:00Z");
    }

    #[test]
    fn refuses_formats_and_zones_that_cannot_give_an_instant() {
        for (format, zone, pointer) in [
            ("%d/%m/%Y %H:%M", None, "/time/zone"),
            ("%d/%m/%Y %H:%M", Some("Mars/Olympus"), "/time/zone"),
            ("%d/%m/%Y %H:%M", Some("+25:00"), "/time/zone"),
            ("rfc3339", Some("+2"), "/time/zone"),
            ("%H:%M", Some("UTC"), "/time/format"),
            ("%d/%m/%Y", Some("UTC"), "/time/format"),
            ("%d/%m/%Y %I:%M", Some("UTC"), "/time/format"),
            ("%d/%m/%Y %H:%", Some("UTC"), "/time/format"),
            ("dd/mm/yyyy", Some("UTC"), "/time/format"),
            ("", Some("UTC"), "/time/format"),
        ] {
            let time = Time {
                from: vec![],
                format: format.to_owned(),
                zone: zone.map(str::to_owned),
                doubled: Doubled::Refuse,
                to: None,
            };
            assert_eq!(TimeReader::new(&time).unwrap_err().pointer, pointer, "{format} {zone:?}");
        }
    }
}
