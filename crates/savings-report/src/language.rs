//! The languages of papers, and numbers and dates as they are written in them.

use std::str::FromStr;

use mass_domain::savings::Day;

/// The language of a paper. Documents are the same in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Spanish.
    Spanish,
}

/// The text does not name a language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected en or es")]
pub struct UnknownLanguage;

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(text: &str) -> Result<Self, UnknownLanguage> {
        match text {
            "en" => Ok(Self::English),
            "es" => Ok(Self::Spanish),
            _ => Err(UnknownLanguage),
        }
    }
}

impl Language {
    /// Returns the text of this language.
    pub(crate) const fn of<'a>(self, english: &'a str, spanish: &'a str) -> &'a str {
        match self {
            Self::English => english,
            Self::Spanish => spanish,
        }
    }

    /// Writes a number with so many decimals and its thousands apart.
    pub(crate) fn number(self, value: f64, decimals: usize) -> String {
        let text = format!("{:.decimals$}", value.abs());
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let is_zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
        let mut written = String::from(if value < 0.0 && !is_zero { "−" } else { "" });
        for (place, digit) in whole.chars().enumerate() {
            // Spanish sets four digits without a space (RAE), English with a comma.
            let from_end = whole.len() - place;
            if place > 0 && from_end % 3 == 0 && (self == Self::English || whole.len() > 4) {
                written.push(if self == Self::English { ',' } else { '\u{a0}' });
            }
            written.push(digit);
        }
        if !fraction.is_empty() {
            written.push(if self == Self::English { '.' } else { ',' });
            written.push_str(fraction);
        }
        written
    }

    /// Writes a value with its half-width.
    pub(crate) fn interval(self, value: f64, half_width: f64, decimals: usize) -> String {
        format!("{} ± {}", self.number(value, decimals), self.number(half_width, decimals))
    }

    /// Writes a share as percent.
    pub(crate) fn percent(self, share: f64, decimals: usize) -> String {
        format!("{}\u{a0}%", self.number(100.0 * share, decimals))
    }
}

/// Writes the day of a time in seconds since 1970, in UTC.
pub(crate) fn date(seconds: i64) -> String {
    Day::from_number(seconds.div_euclid(86_400)).map_or_else(String::new, |day| day.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_numbers_as_each_language_does() {
        let both =
            |value, decimals| [Language::English, Language::Spanish].map(|language| language.number(value, decimals));
        assert_eq!(both(1_234_567.891, 1), ["1,234,567.9", "1\u{a0}234\u{a0}567,9"]);
        assert_eq!(both(-1234.5, 0), ["−1,234", "−1234"]);
        assert_eq!(both(-0.001, 2), ["0.00", "0,00"]);
        assert_eq!(Language::Spanish.percent(0.1234, 1), "12,3\u{a0}%");
        assert_eq!(date(0), "1970-01-01");
    }
}
