//! Validation results: violations, warnings, and the stages that report them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::characters::is_hidden;
use crate::json::Value;
use crate::names::named_enum;

/// The stages of validation, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Shape, types, missing and unknown members, lengths, patterns, formats.
    Structural,
    /// Versions, enumerations, units.
    Contract,
    /// Ranges, coherence in time and between fields.
    Semantic,
    /// Shadow mode, service levels in production.
    Business,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Structural => "structural",
            Self::Contract => "contract",
            Self::Semantic => "semantic",
            Self::Business => "business",
        })
    }
}

/// Error for an unknown violation code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown code \"{0}\"")]
pub struct UnknownCode(String);

named_enum!(
    /// The rule that a violation breaks, as a stable name. See [`Violation::code`].
    Code, UnknownCode {
        /// The document has no contract's marker.
        NoContract = "no_contract",
        /// The value has the wrong type.
        Type = "type",
        /// A required member is missing.
        Required = "required",
        /// A closed object has an undeclared member.
        UnknownMember = "unknown_member",
        /// The object has no members.
        Empty = "empty",
        /// The object has too many members.
        Members = "members",
        /// A string is too short or too long.
        Length = "length",
        /// A string contains a forbidden character or has the wrong form.
        Pattern = "pattern",
        /// A string does not have the format of a standard.
        Format = "format",
        /// The number is not an integer.
        Integer = "integer",
        /// The number is outside ±(2^53 − 1).
        NumberRange = "number_range",
        /// The number has more digits than a double.
        NumberPrecision = "number_precision",
        /// A key or string contains U+0000.
        Nul = "nul",
        /// Two keys of an object have the same normal form.
        KeyCollision = "key_collision",
        /// The document is too large.
        Size = "size",
        /// The document is nested too deeply.
        Depth = "depth",
        /// The list of violations was truncated.
        TooMany = "too_many",
        /// The version in the marker is not supported.
        Version = "version",
        /// The value is not one of the allowed values.
        Enum = "enum",
        /// The number or time is out of range.
        Range = "range",
        /// The time window does not end after its start.
        WindowOrder = "window_order",
        /// The time window is too long.
        WindowLength = "window_length",
        /// The time window ends after the report.
        WindowFuture = "window_future",
        /// The granularity is longer than the time window.
        Granularity = "granularity",
        /// The facility draws less power than its IT load.
        FacilityPower = "facility_power",
        /// The shares do not add up to 100.
        JobMixSum = "job_mix_sum",
        /// The service level objective is longer than the timeout.
        ObjectiveTimeout = "objective_timeout",
        /// The `Idempotency-Key` header differs from the document's key. Checked by the use case, since the contract
        /// does not see headers.
        IdempotencyKeyMismatch = "idempotency_key_mismatch",
        /// Control actions are not excluded in shadow mode.
        ControlActions = "control_actions",
        /// The service level objective is too slow for production.
        ObjectiveInProduction = "objective_in_production",
    }
);

impl Code {
    /// Returns the stage that reports the code.
    #[must_use]
    pub const fn stage(self) -> Stage {
        match self {
            Self::NoContract
            | Self::Type
            | Self::Required
            | Self::UnknownMember
            | Self::Empty
            | Self::Members
            | Self::Length
            | Self::Pattern
            | Self::Format
            | Self::Integer
            | Self::NumberRange
            | Self::NumberPrecision
            | Self::Nul
            | Self::KeyCollision
            | Self::Size
            | Self::Depth
            | Self::TooMany => Stage::Structural,
            Self::Version | Self::Enum => Stage::Contract,
            Self::Range
            | Self::WindowOrder
            | Self::WindowLength
            | Self::WindowFuture
            | Self::Granularity
            | Self::FacilityPower
            | Self::JobMixSum
            | Self::ObjectiveTimeout
            | Self::IdempotencyKeyMismatch => Stage::Semantic,
            Self::ControlActions | Self::ObjectiveInProduction => Stage::Business,
        }
    }

    /// Returns a sentence for people.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::NoContract => "No contract is recognised: none of the markers is present.",
            Self::Type => "The value has the wrong type.",
            Self::Required => "A required member is missing.",
            Self::UnknownMember => "The object has a member that its contract does not declare.",
            Self::Empty => "The object needs at least one member.",
            Self::Members => "The object has more members than its contract allows.",
            Self::Length => {
                "The string has too few or too many characters, counted after trimming and conversion to NFC."
            }
            Self::Pattern => "The string contains a character that is not allowed, or does not have the expected form.",
            Self::Format => "The string does not have the format that a standard defines.",
            Self::Integer => "The number is not an integer.",
            Self::NumberRange => "The number is outside ±(2^53 − 1), the range of exact integers.",
            Self::NumberPrecision => "The number has more digits than a double can represent; it would be rounded.",
            Self::Nul => "A key or a string contains the character U+0000.",
            Self::KeyCollision => "Two keys of one object become the same key when they are normalised.",
            Self::Size => "The document has more bytes than its contract allows.",
            Self::Depth => "Objects and arrays are nested more than 32 levels deep.",
            Self::TooMany => "There are more violations than this list shows.",
            Self::Version => "The version under this marker is not supported.",
            Self::Enum => "The value is not one of the allowed values.",
            Self::Range => "The number or time is out of range.",
            Self::WindowOrder => "The time window does not end after it starts.",
            Self::WindowLength => "The time window is too long.",
            Self::WindowFuture => "The time window ends after the time of the report.",
            Self::Granularity => "The granularity is longer than the time window.",
            Self::FacilityPower => "The facility draws less power than its IT load.",
            Self::JobMixSum => "The shares of the job mix do not add up to 100.",
            Self::ObjectiveTimeout => "The service level objective is longer than the timeout.",
            Self::IdempotencyKeyMismatch => "The Idempotency-Key header and the document have different keys.",
            Self::ControlActions => "Shadow mode is read-only, but the document does not exclude control actions.",
            Self::ObjectiveInProduction => "The service level objective is too slow for production.",
        }
    }
}

/// Error for an unknown warning code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown warning \"{0}\"")]
pub struct UnknownWarningCode(String);

named_enum!(
    /// An unlikely value, as a stable name. See [`Warning::code`].
    WarningCode, UnknownWarningCode {
        /// Outside the recommended envelope of ASHRAE TC 9.9 (2021), inside the allowable one.
        OutsideRecommended = "outside_recommended",
        /// Outside the allowable envelope of ASHRAE TC 9.9 (2021), class A1.
        OutsideAllowable = "outside_allowable",
        /// The air pressure is outside the range of inhabited places.
        UnusualPressure = "unusual_pressure",
        /// The metric is a known quantity in another unit than the known metric.
        OtherUnit = "other_unit",
        /// The timestamp is far in the past.
        OldTimestamp = "old_timestamp",
        /// The PUE does not match the powers.
        PueMismatch = "pue_mismatch",
        /// The PUE could not be compared with the powers.
        PueUnchecked = "pue_unchecked",
    }
);

impl WarningCode {
    /// Returns a sentence for people.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::OutsideRecommended => {
                "The air is outside the envelope that ASHRAE TC 9.9 (2021) recommends for data centres."
            }
            Self::OutsideAllowable => {
                "The air is outside the envelope that ASHRAE TC 9.9 (2021) allows for equipment of class A1."
            }
            Self::UnusualPressure => "The air pressure is unusual: outside 690 … 1085 hPa.",
            Self::OtherUnit => {
                "The metric is a known quantity, but not under its known name and unit; its value is not checked."
            }
            Self::OldTimestamp => "The timestamp is older than 400 days.",
            Self::PueMismatch => "The PUE differs by more than 2 % from facility power ÷ IT load.",
            Self::PueUnchecked => {
                "The PUE could not be compared with facility power ÷ IT load, since the IT load is 0."
            }
        }
    }
}

/// A broken rule of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The stage that reported it.
    pub stage: Stage,
    /// The position: a JSON Pointer (RFC 6901) into the document as sent.
    pub pointer: String,
    /// The stable code for programs; docs/errors.md lists them.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
    /// The values that satisfy the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The value that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
}

/// An unlikely value, which does not make the document invalid. Stored with the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The position: a JSON Pointer (RFC 6901) into the document as sent.
    pub pointer: String,
    /// The stable code for programs; docs/errors.md lists them.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
}

/// A position in a document, built while descending. Displayed as a JSON Pointer (RFC 6901).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pointer<'a> {
    parent: Option<&'a Pointer<'a>>,
    segment: Segment<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Segment<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> Pointer<'a> {
    /// The pointer to the whole document.
    pub(crate) const ROOT: Self = Self { parent: None, segment: Segment::Key("") };

    /// Returns the pointer to a member of this object.
    pub(crate) const fn member(&'a self, key: &'a str) -> Self {
        Self { parent: Some(self), segment: Segment::Key(key) }
    }

    /// Returns the pointer to an item of this array.
    pub(crate) const fn item(&'a self, index: usize) -> Self {
        Self { parent: Some(self), segment: Segment::Index(index) }
    }
}

impl fmt::Display for Pointer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(parent) = self.parent else { return Ok(()) };
        fmt::Display::fmt(parent, f)?;
        match self.segment {
            Segment::Key(key) => write!(f, "/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Index(index) => write!(f, "/{index}"),
        }
    }
}

/// A bounded list of violations.
///
/// A document can have nearly as many violations as bytes, each with a pointer as long as the keys above it. Without a
/// limit, the response would grow with the product of the two.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    violations: Vec<Violation>,
    pointer_bytes: usize,
    full: bool,
}

impl Findings {
    const MOST: usize = 1_000;
    const MOST_POINTER_BYTES: usize = 256 * 1024;

    /// Records a violation at the pointer.
    pub(crate) fn note(
        &mut self,
        code: Code,
        place: impl fmt::Display,
        detail: impl Into<String>,
        expected: Option<String>,
        actual: Option<String>,
    ) {
        if self.violations.len() == Self::MOST || self.pointer_bytes > Self::MOST_POINTER_BYTES {
            self.full = true;
            return;
        }
        let pointer = place.to_string();
        self.pointer_bytes += pointer.len();
        let (stage, code, detail) = (code.stage(), code.as_str().to_owned(), detail.into());
        self.violations.push(Violation { stage, pointer, code, detail, expected, actual });
    }

    /// Returns all recorded violations, ordered by stage.
    pub(crate) fn into_violations(mut self) -> Vec<Violation> {
        if self.full {
            self.violations.push(Violation {
                stage: Code::TooMany.stage(),
                pointer: String::new(),
                code: Code::TooMany.as_str().to_owned(),
                detail: Code::TooMany.meaning().to_owned(),
                expected: None,
                actual: None,
            });
        }
        self.violations.sort_by_key(|violation| violation.stage);
        self.violations
    }
}

/// Formats a value for a response or a log: short, and without characters that move the cursor or change the text
/// direction.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => shown_text(text),
        Value::Number(number) => shown_text(&number.to_string()),
        Value::Bool(flag) => flag.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => value.type_name().to_owned(),
    }
}

fn shown_text(text: &str) -> String {
    const MOST: usize = 80;
    let mut shown = String::new();
    for character in text.chars().take(MOST) {
        if is_hidden(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_positions_as_json_pointers() {
        let payload = Pointer::ROOT.member("payload");
        let item = payload.item(3);
        assert_eq!(Pointer::ROOT.to_string(), "");
        assert_eq!(item.member("a/b~c").to_string(), "/payload/3/a~1b~0c");
        assert_eq!(Pointer::ROOT.member("").to_string(), "/");
    }

    #[test]
    fn shows_values_short_and_without_hidden_characters() {
        let text = |text: &str| Value::String(text.to_owned());
        assert_eq!(shown(&text("a\0b\n\u{202e}c")), "a\\u{0}b\\u{a}\\u{202e}c");
        assert_eq!(shown(&text(&"é".repeat(80))), "é".repeat(80));
        assert_eq!(shown(&text(&"é".repeat(81))), format!("{}…", "é".repeat(80)));
        assert_eq!(shown(&Value::Array(vec![Value::Null])), "array");
    }

    #[test]
    fn orders_violations_by_stage_then_by_document() {
        let mut findings = Findings::default();
        for (code, place) in [(Code::ControlActions, "/a"), (Code::Range, "/b"), (Code::Type, "/c"), (Code::Nul, "/d")]
        {
            findings.note(code, place, "", None, None);
        }
        let pointers: Vec<_> = findings.into_violations().into_iter().map(|violation| violation.pointer).collect();
        assert_eq!(pointers, ["/c", "/d", "/b", "/a"]);
    }

    #[test]
    fn truncates_the_list_of_violations_and_says_so() {
        let noted = |times: usize, place: &str| {
            let mut findings = Findings::default();
            (0..times).for_each(|_| findings.note(Code::Type, place, "", None, None));
            findings.into_violations()
        };
        assert_eq!(noted(1_000, "/a").len(), 1_000);
        let many = noted(1_001, "/a");
        assert_eq!((many.len(), many[1_000].code.as_str()), (1_001, "too_many"));
        assert_eq!(noted(100, &"/long".repeat(20_000)).len(), 4);
    }
}
