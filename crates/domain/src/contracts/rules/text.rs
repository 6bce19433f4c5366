//! Strings.

use serde_json::{Value as Schema, json};

use super::super::cells::CellType;
use super::{Kind, note_type};
use crate::characters::{HIDDEN, Hidden, is_hidden};
use crate::json::Value;
use crate::normalisation;
use crate::time::{DocumentTime, Timestamp};
use crate::validation::{Code, Findings, Pointer, shown};

/// Returns a string in its normal form. Returns `None` for a string with U+0000, which `check_everywhere` reports.
fn read_text(kind: &dyn Kind, sent: &Value, pointer: &Pointer<'_>, findings: &mut Findings) -> Option<String> {
    if let Value::String(text) = sent {
        (!text.contains('\0')).then(|| normalisation::text(text))
    } else {
        note_type(kind.noun(), sent, pointer, findings);
        None
    }
}

/// Records a violation of a normalised string.
fn note_text(
    code: Code,
    detail: impl Into<String>,
    expected: String,
    text: &str,
    pointer: &Pointer<'_>,
    findings: &mut Findings,
) {
    findings.note(code, pointer, detail, Some(expected), Some(shown(&Value::String(text.to_owned()))));
}

/// Unicode `White_Space` as a character class. ECMAScript's `\s` is a different set.
const WHITE: &str = r"\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";

/// Returns the schema of a string that matches the pattern after trimming.
pub(super) fn trimmed(pattern: &str) -> Schema {
    json!({"type": "string", "pattern": format!("^[{WHITE}]*(?:{pattern})[{WHITE}]*$")})
}

/// The characters that a [`Text`] may contain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::contracts) enum Characters {
    /// All characters except U+0000: a text of several lines, in any script.
    Any,
    /// All characters except [hidden ones](crate::characters::is_hidden): an identifier, or a text of one line.
    Visible,
    /// `[A-Za-z0-9._:-]`
    Identifier,
    /// U+0020 … U+007E
    PrintableAscii,
}

/// A string with a limited number of characters.
pub(in crate::contracts) struct Text {
    pub(in crate::contracts) may_be_empty: bool,
    pub(in crate::contracts) max: usize,
    pub(in crate::contracts) of: Characters,
}

impl Text {
    /// A name of 1–128 characters: the most common kind.
    pub(in crate::contracts) const NAME: Self = Self::up_to(128);

    /// Declares a name of 1 to `max` characters.
    pub(in crate::contracts) const fn up_to(max: usize) -> Self {
        Self { may_be_empty: false, max, of: Characters::Visible }
    }

    fn length(&self) -> String {
        if self.may_be_empty {
            format!("at most {} characters", self.max)
        } else {
            format!("1–{} characters", self.max)
        }
    }

    const fn characters(&self) -> Option<&'static str> {
        match self.of {
            Characters::Any => None,
            Characters::Visible => Some("without control characters and characters that reorder or hide text"),
            Characters::Identifier => Some("letters A–Z and a–z, digits, and . _ : -"),
            Characters::PrintableAscii => Some("printable ASCII characters"),
        }
    }

    fn allows(&self, character: char) -> bool {
        match self.of {
            Characters::Any => true,
            Characters::Visible => !is_hidden(character),
            Characters::Identifier => character.is_ascii_alphanumeric() || "._:-".contains(character),
            Characters::PrintableAscii => (' '..='~').contains(&character),
        }
    }
}

impl Kind for Text {
    fn noun(&self) -> &'static str {
        "a string"
    }

    fn read(&self, sent: &Value, pointer: &Pointer<'_>, _: Timestamp, findings: &mut Findings) -> Option<Value> {
        let text = read_text(self, sent, pointer, findings)?;
        let length = text.chars().count();
        if length > self.max || (length == 0 && !self.may_be_empty) {
            let detail = format!("The string has {length} characters after trimming.");
            note_text(Code::Length, detail, self.length(), &text, pointer, findings);
        }
        if let Some(allowed) = self.characters().filter(|_| !text.chars().all(|character| self.allows(character))) {
            let detail = Hidden::first_in(&text).filter(|_| self.of == Characters::Visible).map_or_else(
                || Code::Pattern.meaning().to_owned(),
                |hidden| format!("The string contains the character {hidden}, which is not allowed."),
            );
            note_text(Code::Pattern, detail, allowed.to_owned(), &text, pointer, findings);
        }
        Some(Value::String(text))
    }

    fn rules(&self) -> Vec<(Code, String)> {
        let characters = self.characters().map(|allowed| (Code::Pattern, allowed.to_owned()));
        std::iter::once((Code::Length, self.length())).chain(characters).collect()
    }

    fn schema(&self) -> Schema {
        let (edge, inner) = match self.of {
            Characters::Any => (format!("[^{WHITE}]"), r"[\s\S]".to_owned()),
            Characters::Visible => (format!("[^{WHITE}{HIDDEN}]"), format!("[^{HIDDEN}]")),
            Characters::Identifier => ("[A-Za-z0-9._:-]".to_owned(), "[A-Za-z0-9._:-]".to_owned()),
            Characters::PrintableAscii => ("[!-~]".to_owned(), "[ -~]".to_owned()),
        };
        let rest = self.max.saturating_sub(2);
        let text = format!("{edge}(?:{inner}{{0,{rest}}}{edge})?");
        if self.may_be_empty { trimmed(&format!("(?:{text})?")) } else { trimmed(&text) }
    }
}

/// A string with a format that a parser of this crate checks.
pub(in crate::contracts) struct Formatted {
    pub(in crate::contracts) code: Code,
    pub(in crate::contracts) form: &'static str,
    pub(in crate::contracts) parses: fn(&str) -> bool,
    /// The format as a regular expression, for the schema.
    pub(in crate::contracts) pattern: &'static str,
}

impl Kind for Formatted {
    fn noun(&self) -> &'static str {
        "a string"
    }

    fn read(&self, sent: &Value, pointer: &Pointer<'_>, _: Timestamp, findings: &mut Findings) -> Option<Value> {
        let text = read_text(self, sent, pointer, findings)?;
        if !(self.parses)(&text) {
            note_text(self.code, self.code.meaning(), self.form.to_owned(), &text, pointer, findings);
        }
        Some(Value::String(text))
    }

    fn rules(&self) -> Vec<(Code, String)> {
        vec![(self.code, self.form.to_owned())]
    }

    fn schema(&self) -> Schema {
        trimmed(self.pattern)
    }
}

/// A time. Normalised to UTC.
pub(in crate::contracts) enum Time {
    /// Any instant.
    Any,
    /// The time of a report: not before [`Time::EARLIEST`], and at most [`Time::CLOCK_ERROR`] in the future.
    Reported,
}

impl Time {
    /// The earliest time of a report.
    const EARLIEST: &'static str = "2000-01-01T00:00:00Z";
    /// The tolerated error of a sender's clock, in seconds.
    pub(in crate::contracts) const CLOCK_ERROR: i64 = 300;
    const FORM: &'static str = "an RFC 3339 date and time with an offset, such as 2026-01-31T12:00:00Z";
    /// The accepted forms as a regular expression. It cannot check whether a year has a 29 February.
    const PATTERN: &'static str = concat!(
        r"[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|[12][0-9]))",
        r"[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{0,9}0*)?)?",
        r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)",
    );
}

impl Kind for Time {
    fn noun(&self) -> &'static str {
        "a string"
    }

    fn cell_type(&self) -> CellType {
        CellType::Time
    }

    fn read(&self, sent: &Value, pointer: &Pointer<'_>, now: Timestamp, findings: &mut Findings) -> Option<Value> {
        let text = read_text(self, sent, pointer, findings)?;
        let time = match text.parse::<DocumentTime>() {
            Ok(time) => time,
            Err(error) => {
                let detail = format!("The string is not a valid time: {error}.");
                note_text(Code::Format, detail, Self::FORM.to_owned(), &text, pointer, findings);
                return None;
            }
        };
        let instant = time.instant();
        let latest = now.plus_seconds(Self::CLOCK_ERROR).unwrap_or(now);
        let too_early = Self::EARLIEST.parse().is_ok_and(|earliest: Timestamp| instant < earliest);
        if matches!(self, Self::Reported) && (too_early || instant > latest) {
            let detail = if too_early { "The time is too far in the past." } else { "The time is in the future." };
            let expected = format!("{} … {latest}", Self::EARLIEST);
            note_text(Code::Range, detail, expected, &time.to_string(), pointer, findings);
        }
        Some(Value::String(time.to_string()))
    }

    fn rules(&self) -> Vec<(Code, String)> {
        let format = (Code::Format, Self::FORM.to_owned());
        match self {
            Self::Any => vec![format],
            Self::Reported => {
                let range = format!("{} … 5 minutes from now", Self::EARLIEST);
                vec![format, (Code::Range, range)]
            }
        }
    }

    fn schema(&self) -> Schema {
        trimmed(Self::PATTERN)
    }
}

/// One of several words.
pub(in crate::contracts) struct Choice(pub(in crate::contracts) &'static [&'static str]);

impl Choice {
    fn expected(&self) -> String {
        self.0.join(", ")
    }
}

impl Kind for Choice {
    fn noun(&self) -> &'static str {
        "a string"
    }

    fn read(&self, sent: &Value, pointer: &Pointer<'_>, _: Timestamp, findings: &mut Findings) -> Option<Value> {
        let text = read_text(self, sent, pointer, findings)?;
        if !self.0.contains(&text.as_str()) {
            note_text(Code::Enum, Code::Enum.meaning(), self.expected(), &text, pointer, findings);
            return None;
        }
        Some(Value::String(text))
    }

    fn rules(&self) -> Vec<(Code, String)> {
        vec![(Code::Enum, self.expected())]
    }

    fn schema(&self) -> Schema {
        json!({"anyOf": [{"enum": self.0}, trimmed(&self.0.join("|"))]})
    }
}

/// One word in any case, stored in upper case.
pub(in crate::contracts) struct UpperCased(pub(in crate::contracts) &'static str);

impl Kind for UpperCased {
    fn noun(&self) -> &'static str {
        "a string"
    }

    fn read(&self, sent: &Value, pointer: &Pointer<'_>, _: Timestamp, findings: &mut Findings) -> Option<Value> {
        let text = read_text(self, sent, pointer, findings)?;
        if !text.eq_ignore_ascii_case(self.0) {
            note_text(Code::Enum, Code::Enum.meaning(), self.0.to_owned(), &text, pointer, findings);
            return None;
        }
        Some(Value::String(self.0.to_owned()))
    }

    fn rules(&self) -> Vec<(Code, String)> {
        vec![(Code::Enum, format!("{} in any case", self.0))]
    }

    fn schema(&self) -> Schema {
        let either_case = |letter: char| format!("[{}{}]", letter.to_ascii_uppercase(), letter.to_ascii_lowercase());
        json!({"anyOf": [{"enum": [self.0]}, trimmed(&self.0.chars().map(either_case).collect::<String>())]})
    }
}

/// The version of a contract, in its marker.
pub(in crate::contracts) struct ContractVersion {
    pub(in crate::contracts) marker: &'static str,
    pub(in crate::contracts) version: &'static str,
}

impl Kind for ContractVersion {
    fn noun(&self) -> &'static str {
        "a string"
    }

    fn read(&self, sent: &Value, pointer: &Pointer<'_>, _: Timestamp, findings: &mut Findings) -> Option<Value> {
        let text = read_text(self, sent, pointer, findings)?;
        if text != self.version {
            let supported: Vec<_> =
                crate::contracts::under_marker(self.marker).map(|contract| contract.id.version).collect();
            note_text(Code::Version, Code::Version.meaning(), supported.join(", "), &text, pointer, findings);
            return None;
        }
        Some(Value::String(text))
    }

    fn rules(&self) -> Vec<(Code, String)> {
        vec![(Code::Version, self.version.to_owned())]
    }

    fn schema(&self) -> Schema {
        json!({"anyOf": [{"enum": [self.version]}, trimmed(&self.version.replace('.', r"\."))]})
    }
}
