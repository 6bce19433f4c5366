//! Numbers as files write them: decimal commas, separators of thousands, trailing units.

/// The notation of numbers in an input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notation {
    pub(crate) decimal: char,
    pub(crate) thousands: Option<char>,
}

impl Notation {
    /// The notation of JSON.
    pub(crate) const JSON: Self = Self { decimal: '.', thousands: None };

    /// Converts a number to JSON's notation, without changing its digits. Returns `None` for a text that is no number
    /// in this notation. Separators of thousands must stand between groups of three digits, so that a number in
    /// another notation is not misread.
    pub(crate) fn plain<'a>(&self, text: &'a str, buffer: &'a mut String) -> Option<&'a str> {
        let text = text.trim();
        if self.decimal == '.' && is_plain(text) {
            return Some(text);
        }
        buffer.clear();
        let (negative, rest) = match text.strip_prefix(['-', '\u{2212}']) {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = rest.split_once(['e', 'E']).map_or((rest, None), |(m, e)| (m, Some(e)));
        let (whole, fraction) = mantissa.split_once(self.decimal).unwrap_or((mantissa, ""));
        if negative {
            buffer.push('-');
        }
        let start = buffer.len();
        self.push_groups(whole, buffer)?;
        if buffer.len() == start && fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let zeros = buffer.get(start..)?.bytes().take_while(|byte| *byte == b'0').count();
        buffer.drain(start..start + zeros);
        if buffer.len() == start {
            buffer.push('0');
        }
        if !fraction.is_empty() {
            buffer.push('.');
            buffer.push_str(fraction);
        }
        if let Some(exponent) = exponent {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            buffer.push('e');
            buffer.push_str(exponent);
        }
        Some(buffer)
    }

    /// Appends the digits of an integer part without its separators.
    fn push_groups(&self, whole: &str, buffer: &mut String) -> Option<()> {
        let mut groups = 0;
        for group in whole.split(|character| self.separates(character)) {
            let first = groups == 0;
            groups += 1;
            if !group.bytes().all(|byte| byte.is_ascii_digit()) || (!first && group.len() != 3) {
                return None;
            }
            buffer.push_str(group);
        }
        let leading = whole.bytes().take_while(u8::is_ascii_digit).count();
        (groups == 1 || (1..=3).contains(&leading)).then_some(())
    }

    fn separates(&self, character: char) -> bool {
        match self.thousands {
            Some(' ') => matches!(character, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}'),
            Some('\'') => matches!(character, '\'' | '\u{2019}'),
            thousands => thousands == Some(character),
        }
    }
}

/// Tells whether a text is a number without exponent in JSON's notation: the common case.
fn is_plain(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    all_digits(whole) && (whole.len() == 1 || !whole.starts_with('0')) && fraction.is_none_or(all_digits)
}

/// Removes the first of these suffixes that the text has.
pub(crate) fn without_suffix<'a>(text: &'a str, suffixes: &[String]) -> &'a str {
    let text = text.trim();
    let stripped = suffixes.iter().find_map(|suffix| text.strip_suffix(suffix.as_str()));
    stripped.map_or(text, str::trim_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(decimal: char, thousands: Option<char>, text: &str) -> Option<String> {
        Notation { decimal, thousands }.plain(text, &mut String::new()).map(str::to_owned)
    }

    #[test]
    fn converts_numbers_of_every_notation_without_changing_digits() {
        for (decimal, thousands, text, expected) in [
            ('.', None, "22.50", "22.50"),
            ('.', None, " -0.5 ", "-0.5"),
            ('.', None, "+1.5", "1.5"),
            ('.', None, ".5", "0.5"),
            ('.', None, "5.", "5"),
            ('.', None, "007", "7"),
            ('.', None, "00.10", "0.10"),
            ('.', None, "1E+3", "1e+3"),
            ('.', None, "\u{2212}4", "-4"),
            ('.', Some(','), "1,234,567.8", "1234567.8"),
            ('.', Some(','), "1234.8", "1234.8"),
            (',', Some('.'), "1.234,56", "1234.56"),
            (',', Some('.'), "1.234", "1234"),
            (',', None, "-3,14", "-3.14"),
            (',', None, "12345678901234567890,10", "12345678901234567890.10"),
            (',', Some(' '), "12\u{202f}345\u{a0}678 901,5", "12345678901.5"),
            ('.', Some('\''), "12'345’678.5", "12345678.5"),
            (',', None, "1,5e-3", "1.5e-3"),
        ] {
            assert_eq!(plain(decimal, thousands, text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_could_be_another_number_in_another_notation() {
        for (decimal, thousands, text) in [
            ('.', None, "1,5"),
            ('.', Some(','), "1,5"),
            ('.', Some(','), "1,2345"),
            ('.', Some(','), "1234,567"),
            ('.', Some(','), ",123"),
            ('.', Some(','), "1,00,000"),
            (',', Some('.'), "1.5"),
            (',', Some('.'), "22.50"),
            (',', None, "22.5"),
            (',', None, "1.234,5"),
            ('.', None, ""),
            ('.', None, "-"),
            ('.', None, "."),
            ('.', None, "1.2.3"),
            ('.', None, "--1"),
            ('.', None, "1e"),
            ('.', None, "e5"),
            ('.', None, "1e5.5"),
            ('.', None, "NaN"),
            ('.', None, "0x10"),
            ('.', None, "1 kWh"),
            ('.', None, "١"),
        ] {
            assert_eq!(plain(decimal, thousands, text), None, "{text}");
        }
    }

    #[test]
    fn strips_the_first_suffix_that_matches() {
        let suffixes = ["kWh".to_owned(), "°C".to_owned()];
        assert_eq!(without_suffix(" 1680 kWh ", &suffixes), "1680");
        assert_eq!(without_suffix("21.5°C", &suffixes), "21.5");
        assert_eq!(without_suffix("21.5", &suffixes), "21.5");
        assert_eq!(without_suffix("21.5 F", &suffixes), "21.5 F");
    }
}
