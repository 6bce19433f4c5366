//! The vocabulary in which a contract's table is written: a tree of [`Field`]s, each of one [`Kind`], and [`Check`]s
//! that look at several fields together. The judgement, the JSON Schema and the documentation all come from it.

use serde_json::{Value as Schema, json};

use crate::json::{MAX_DEPTH, Number, NumberFault, Value};
use crate::normalisation;
use crate::time::Timestamp;
use crate::validation::{Code, Findings, Place, shown};

/// A member that a contract names.
pub(super) struct Field {
    /// Its key.
    pub(super) name: &'static str,
    /// Whether it may be absent.
    pub(super) optional: bool,
    /// What its value may be.
    pub(super) kind: &'static dyn Kind,
    /// What it means: a sentence for the schema and the documentation.
    pub(super) about: &'static str,
}

/// A member that must be there.
pub(super) const fn required(name: &'static str, kind: &'static dyn Kind, about: &'static str) -> Field {
    Field { name, optional: false, kind, about }
}

/// A member that may be absent; `null` is not absence.
pub(super) const fn optional(name: &'static str, kind: &'static dyn Kind, about: &'static str) -> Field {
    Field { name, optional: true, kind, about }
}

/// What a value may be.
pub(super) trait Kind: Sync {
    /// What people call such a value.
    fn noun(&self) -> &'static str;

    /// The value's normal form, or `None` where it is so wrong that no other rule can be judged by it. Whatever is
    /// wrong is noted.
    fn read(&self, sent: &Value, place: &Place<'_>, now: Timestamp, findings: &mut Findings) -> Option<Value>;

    /// The rules that [`read`](Self::read) judges by, with what would be right; the type is understood.
    fn rules(&self) -> Vec<(Code, String)>;

    /// The JSON Schema (draft 2020-12) of such a value as it may be sent.
    fn schema(&self) -> Schema;

    /// The members that an object names.
    fn fields(&self) -> &'static [Field] {
        &[]
    }

    /// Whether the value is `true` or `false`.
    fn is_boolean(&self) -> bool {
        false
    }
}

/// A rule over several fields, or a remark on them.
pub(super) struct Check<C> {
    /// What it is called.
    pub(super) code: C,
    /// The member that it points to.
    pub(super) pointer: &'static str,
    /// What is right: a sentence.
    pub(super) about: &'static str,
    /// What was found instead. `None` if all is right, or if a field that it needs is absent or unreadable.
    pub(super) finding: fn(&Reading<'_>) -> Option<String>,
}

/// What could be read of a document, in its normal form.
pub(super) struct Reading<'a> {
    /// The document without what could not be read.
    pub(super) document: &'a Value,
    /// The present instant.
    pub(super) now: Timestamp,
}

impl Reading<'_> {
    /// A string.
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        if let Some(Value::String(text)) = self.document.pointer(pointer) { Some(text) } else { None }
    }

    /// A number.
    pub(super) fn number(&self, pointer: &str) -> Option<f64> {
        if let Some(Value::Number(number)) = self.document.pointer(pointer) { Some(number.value()) } else { None }
    }

    /// A time.
    pub(super) fn time(&self, pointer: &str) -> Option<Timestamp> {
        self.text(pointer)?.parse().ok()
    }

    /// A boolean.
    pub(super) fn flag(&self, pointer: &str) -> Option<bool> {
        if let Some(Value::Bool(flag)) = self.document.pointer(pointer) { Some(*flag) } else { None }
    }
}

/// The rules that hold at every place of every document: nesting, U+0000, and numbers that a double keeps.
pub const EVERYWHERE: &[Code] = &[Code::Depth, Code::Nul, Code::NumberRange, Code::NumberPrecision];

/// Notes what breaks [`EVERYWHERE`].
pub(super) fn check_everywhere(document: &Value, findings: &mut Findings) {
    check_below(document, &Place::ROOT, 1, findings);
}

fn check_below(value: &Value, place: &Place<'_>, level: usize, findings: &mut Findings) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => {
            if let Some(fault) = number.fault() {
                note_fault(fault, number, place, findings);
            }
        }
        Value::String(text) => check_nul(text, place, findings),
        Value::Array(_) | Value::Object(_) if level > MAX_DEPTH => {
            findings.note(Code::Depth, place, Code::Depth.meaning(), Some(format!("{MAX_DEPTH} levels")), None);
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check_below(item, &place.item(index), level + 1, findings);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                let here = place.member(key);
                check_nul(key, &here, findings);
                check_below(member, &here, level + 1, findings);
            }
        }
    }
}

fn check_nul(text: &str, place: &Place<'_>, findings: &mut Findings) {
    if text.contains('\0') {
        let actual = shown(&Value::String(text.to_owned()));
        findings.note(Code::Nul, place, Code::Nul.meaning(), None, Some(actual));
    }
}

fn note_fault(fault: NumberFault, number: &Number, place: &Place<'_>, findings: &mut Findings) {
    let actual = Some(shown(&Value::Number(number.clone())));
    match fault {
        NumberFault::BeyondSafeRange => {
            let expected = "-9007199254740991 … 9007199254740991".to_owned();
            findings.note(Code::NumberRange, place, Code::NumberRange.meaning(), Some(expected), actual);
        }
        NumberFault::Inexact => {
            let nearest = Number::new(number.value()).map(|nearest| format!("such as {nearest}"));
            findings.note(Code::NumberPrecision, place, Code::NumberPrecision.meaning(), nearest, actual);
        }
    }
}

/// Notes that a value of another type is due.
pub(super) fn note_type(noun: &str, sent: &Value, place: &Place<'_>, findings: &mut Findings) {
    let actual = match sent {
        Value::String(_) => format!("string \"{}\"", shown(sent)),
        Value::Number(_) | Value::Bool(_) => format!("{} {}", sent.type_name(), shown(sent)),
        Value::Null | Value::Array(_) | Value::Object(_) => sent.type_name().to_owned(),
    };
    findings.note(Code::Type, place, format!("The value must be {noun}."), Some(noun.to_owned()), Some(actual));
}

/// A string in its normal form. One with U+0000 is noted elsewhere and says nothing more.
fn read_text(kind: &dyn Kind, sent: &Value, place: &Place<'_>, findings: &mut Findings) -> Option<String> {
    if let Value::String(text) = sent {
        (!text.contains('\0')).then(|| normalisation::text(text))
    } else {
        note_type(kind.noun(), sent, place, findings);
        None
    }
}

/// Notes a normalised string that breaks a rule.
fn note_text(
    code: Code,
    detail: impl Into<String>,
    expected: String,
    text: &str,
    place: &Place<'_>,
    findings: &mut Findings,
) {
    findings.note(code, place, detail, Some(expected), Some(shown(&Value::String(text.to_owned()))));
}

/// Unicode `White_Space` as a character class; `\s` in ECMAScript's regular expressions is another set.
const WHITE: &str = r"\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";

/// The schema of a string that matches once it is trimmed.
fn trimmed(pattern: &str) -> Schema {
    json!({"type": "string", "pattern": format!("^[{WHITE}]*(?:{pattern})[{WHITE}]*$")})
}

/// Which characters a [`Text`] may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Characters {
    /// All but U+0000.
    Any,
    /// `[A-Za-z0-9._:-]`
    Identifier,
    /// U+0020 … U+007E
    PrintableAscii,
}

/// A string of a certain length in characters.
pub(super) struct Text {
    pub(super) min: usize,
    pub(super) max: usize,
    pub(super) of: Characters,
}

impl Text {
    /// Any text of 1–128 characters, the most common kind.
    pub(super) const NAME: Self = Self::up_to(128);

    /// Any text of at least one character.
    pub(super) const fn up_to(max: usize) -> Self {
        Self { min: 1, max, of: Characters::Any }
    }

    fn length(&self) -> String {
        format!("{}–{} characters", self.min, self.max)
    }

    const fn characters(&self) -> Option<&'static str> {
        match self.of {
            Characters::Any => None,
            Characters::Identifier => Some("letters A–Z and a–z, digits, and . _ : -"),
            Characters::PrintableAscii => Some("printable ASCII characters"),
        }
    }

    fn allows(&self, character: char) -> bool {
        match self.of {
            Characters::Any => true,
            Characters::Identifier => character.is_ascii_alphanumeric() || "._:-".contains(character),
            Characters::PrintableAscii => (' '..='~').contains(&character),
        }
    }
}

impl Kind for Text {
    fn noun(&self) -> &'static str {
        "a string"
    }

    fn read(&self, sent: &Value, place: &Place<'_>, _: Timestamp, findings: &mut Findings) -> Option<Value> {
        let text = read_text(self, sent, place, findings)?;
        let length = text.chars().count();
        if !(self.min..=self.max).contains(&length) {
            let detail = format!("The string has {length} characters after trimming.");
            note_text(Code::Length, detail, self.length(), &text, place, findings);
        }
        if let Some(allowed) = self.characters().filter(|_| !text.chars().all(|character| self.allows(character))) {
            note_text(Code::Pattern, Code::Pattern.meaning(), allowed.to_owned(), &text, place, findings);
        }
        Some(Value::String(text))
    }

    fn rules(&self) -> Vec<(Code, String)> {
        let characters = self.characters().map(|allowed| (Code::Pattern, allowed.to_owned()));
        std::iter::once((Code::Length, self.length())).chain(characters).collect()
    }

    fn schema(&self) -> Schema {
        let (edge, inner) = match self.of {
            Characters::Any => (format!("[^{WHITE}]"), r"[\s\S]"),
            Characters::Identifier => ("[A-Za-z0-9._:-]".to_owned(), "[A-Za-z0-9._:-]"),
            Characters::PrintableAscii => ("[!-~]".to_owned(), "[ -~]"),
        };
        let rest = self.max.saturating_sub(2);
        let empty = if self.min == 0 { "?" } else { "" };
        let mut schema = trimmed(&format!("(?:{edge}(?:{inner}{{0,{rest}}}{edge})?){empty}"));
        schema["minLength"] = json!(self.min);
        schema
    }
}

/// A string in a form that a parser of the domain knows.
pub(super) struct Formatted {
    pub(super) code: Code,
    pub(super) form: &'static str,
    pub(super) parses: fn(&str) -> bool,
    /// The same form as a regular expression for the schema.
    pub(super) pattern: &'static str,
}

impl Kind for Formatted {
    fn noun(&self) -> &'static str {
        "a string"
    }

    fn read(&self, sent: &Value, place: &Place<'_>, _: Timestamp, findings: &mut Findings) -> Option<Value> {
        let text = read_text(self, sent, place, findings)?;
        if !(self.parses)(&text) {
            note_text(self.code, self.code.meaning(), self.form.to_owned(), &text, place, findings);
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

/// A time; it is normalised to UTC.
pub(super) enum Time {
    /// Any instant.
    Any,
    /// The instant of a report: not before [`Time::EARLIEST`], and ahead of the present by a small error of the
    /// sender's clock at most.
    Reported,
}

impl Time {
    /// The earliest instant that a report can be of.
    const EARLIEST: &'static str = "2000-01-01T00:00:00Z";
    /// How far a sender's clock may be ahead, in seconds.
    pub(super) const CLOCK_ERROR: i64 = 300;
    const FORM: &'static str = "an RFC 3339 date and time with an offset, such as 2026-01-31T12:00:00Z";
    /// RFC 3339 as far as a regular expression tells it: not how many days February has in a given year.
    const PATTERN: &'static str = concat!(
        r"[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|[12][0-9]))",
        r"[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{0,6}0*)?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])",
    );
}

impl Kind for Time {
    fn noun(&self) -> &'static str {
        "a string"
    }

    fn read(&self, sent: &Value, place: &Place<'_>, now: Timestamp, findings: &mut Findings) -> Option<Value> {
        let text = read_text(self, sent, place, findings)?;
        let instant = match text.parse::<Timestamp>() {
            Ok(instant) => instant,
            Err(error) => {
                let detail = format!("The string is not a time that can be kept: {error}.");
                note_text(Code::Format, detail, Self::FORM.to_owned(), &text, place, findings);
                return None;
            }
        };
        let latest = now.plus_seconds(Self::CLOCK_ERROR).unwrap_or(now);
        let too_early = Self::EARLIEST.parse().is_ok_and(|earliest: Timestamp| instant < earliest);
        if matches!(self, Self::Reported) && (too_early || instant > latest) {
            let detail = if too_early { "The time is too far in the past." } else { "The time is in the future." };
            let expected = format!("{} … {latest}", Self::EARLIEST);
            note_text(Code::Range, detail, expected, &instant.to_string(), place, findings);
        }
        Some(Value::String(instant.to_string()))
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

/// One of a few words.
pub(super) struct Choice(pub(super) &'static [&'static str]);

impl Choice {
    fn expected(&self) -> String {
        self.0.join(", ")
    }
}

impl Kind for Choice {
    fn noun(&self) -> &'static str {
        "a string"
    }

    fn read(&self, sent: &Value, place: &Place<'_>, _: Timestamp, findings: &mut Findings) -> Option<Value> {
        let text = read_text(self, sent, place, findings)?;
        if !self.0.contains(&text.as_str()) {
            note_text(Code::Enum, Code::Enum.meaning(), self.expected(), &text, place, findings);
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

/// One word in any case, which is stored in upper case.
pub(super) struct UpperCased(pub(super) &'static str);

impl Kind for UpperCased {
    fn noun(&self) -> &'static str {
        "a string"
    }

    fn read(&self, sent: &Value, place: &Place<'_>, _: Timestamp, findings: &mut Findings) -> Option<Value> {
        let text = read_text(self, sent, place, findings)?;
        if !text.eq_ignore_ascii_case(self.0) {
            note_text(Code::Enum, Code::Enum.meaning(), self.0.to_owned(), &text, place, findings);
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

/// The version under a marker.
pub(super) struct Version {
    pub(super) marker: &'static str,
    pub(super) version: &'static str,
}

impl Kind for Version {
    fn noun(&self) -> &'static str {
        "a string"
    }

    fn read(&self, sent: &Value, place: &Place<'_>, _: Timestamp, findings: &mut Findings) -> Option<Value> {
        let text = read_text(self, sent, place, findings)?;
        if text != self.version {
            let supported: Vec<_> = super::under_marker(self.marker).map(|contract| contract.id.version).collect();
            note_text(Code::Version, Code::Version.meaning(), supported.join(", "), &text, place, findings);
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

/// The least value that a [`Quantity`] may have.
#[derive(Clone, Copy)]
pub(super) enum Least {
    /// This value itself.
    From(f64),
    /// Anything greater.
    Above(f64),
}

/// A number, or a string that stands for one.
pub(super) struct Quantity {
    pub(super) least: Least,
    pub(super) greatest: f64,
    pub(super) whole: bool,
}

impl Quantity {
    /// JSON's number syntax (RFC 8259, section 6).
    const NUMERIC: &'static str = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?";

    /// A number within bounds, both included.
    pub(super) const fn between(least: f64, greatest: f64) -> Self {
        Self { least: Least::From(least), greatest, whole: false }
    }

    /// A whole number within bounds, both included.
    pub(super) const fn whole(least: f64, greatest: f64) -> Self {
        Self { whole: true, ..Self::between(least, greatest) }
    }

    fn bounds(&self) -> String {
        let bounded = self.greatest < crate::json::MAX_SAFE;
        match self.least {
            Least::From(least) if bounded => format!("{least} … {}", self.greatest),
            Least::From(least) => format!("at least {least}"),
            Least::Above(least) if bounded => format!("more than {least}, at most {}", self.greatest),
            Least::Above(least) => format!("more than {least}"),
        }
    }

    fn contains(&self, value: f64) -> bool {
        let enough = match self.least {
            Least::From(least) => value >= least,
            Least::Above(least) => value > least,
        };
        enough && value <= self.greatest
    }

    fn read_number(&self, sent: &Value, place: &Place<'_>, findings: &mut Findings) -> Option<Number> {
        match sent {
            // Its fault was noted with those of all other places.
            Value::Number(number) => return number.fault().is_none().then(|| number.clone()),
            Value::String(text) => match Number::parse(&normalisation::text(text)) {
                Some(number) => match number.fault() {
                    Some(fault) => note_fault(fault, &number, place, findings),
                    None => return Some(number),
                },
                None if text.contains('\0') => {}
                None => note_type(self.noun(), sent, place, findings),
            },
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                note_type(self.noun(), sent, place, findings);
            }
        }
        None
    }
}

impl Kind for Quantity {
    fn noun(&self) -> &'static str {
        if self.whole { "a whole number" } else { "a number" }
    }

    fn read(&self, sent: &Value, place: &Place<'_>, _: Timestamp, findings: &mut Findings) -> Option<Value> {
        let number = self.read_number(sent, place, findings)?;
        let actual = || Some(shown(&Value::Number(number.clone())));
        if self.whole && number.value().fract() != 0.0 {
            findings.note(Code::Integer, place, Code::Integer.meaning(), Some(self.noun().to_owned()), actual());
        }
        if !self.contains(number.value()) {
            findings.note(Code::Range, place, Code::Range.meaning(), Some(self.bounds()), actual());
        }
        Some(Value::Number(number))
    }

    fn rules(&self) -> Vec<(Code, String)> {
        let whole = self.whole.then(|| (Code::Integer, self.noun().to_owned()));
        whole.into_iter().chain([(Code::Range, self.bounds())]).collect()
    }

    fn schema(&self) -> Schema {
        let (keyword, least) = match self.least {
            Least::From(least) => ("minimum", least),
            Least::Above(least) => ("exclusiveMinimum", least),
        };
        let of_type = if self.whole { "integer" } else { "number" };
        let number = json!({"type": of_type, keyword: schema_number(least), "maximum": schema_number(self.greatest)});
        json!({"anyOf": [number, trimmed(Self::NUMERIC)]})
    }
}

/// A number as people write it: `60`, not `60.0`.
fn schema_number(value: f64) -> Schema {
    Number::new(value).and_then(|number| number.to_string().parse().ok()).unwrap_or(Schema::Null)
}

/// `true` or `false`.
pub(super) struct Flag;

impl Kind for Flag {
    fn noun(&self) -> &'static str {
        "true or false"
    }

    fn read(&self, sent: &Value, place: &Place<'_>, _: Timestamp, findings: &mut Findings) -> Option<Value> {
        if matches!(sent, Value::Bool(_)) {
            return Some(sent.clone());
        }
        note_type(self.noun(), sent, place, findings);
        None
    }

    fn rules(&self) -> Vec<(Code, String)> {
        Vec::new()
    }

    fn schema(&self) -> Schema {
        json!({"type": "boolean"})
    }

    fn is_boolean(&self) -> bool {
        true
    }
}

/// An array whose items are all of one kind.
pub(super) struct ListOf(pub(super) &'static dyn Kind);

impl Kind for ListOf {
    fn noun(&self) -> &'static str {
        "an array"
    }

    fn read(&self, sent: &Value, place: &Place<'_>, now: Timestamp, findings: &mut Findings) -> Option<Value> {
        let Value::Array(items) = sent else {
            note_type(self.noun(), sent, place, findings);
            return None;
        };
        let read = |(index, item)| self.0.read(item, &place.item(index), now, findings);
        Some(Value::Array(items.iter().enumerate().filter_map(read).collect()))
    }

    fn rules(&self) -> Vec<(Code, String)> {
        self.0.rules().into_iter().map(|(code, expected)| (code, format!("each {expected}"))).collect()
    }

    fn schema(&self) -> Schema {
        json!({"type": "array", "items": self.0.schema()})
    }
}

/// An object that has no members but those that it names: a typo must not be lost silently.
pub(super) struct Closed(pub(super) &'static [Field]);

/// An object that may have other members than those that it names; they are kept exactly as given.
pub(super) struct Open(pub(super) &'static [Field]);

impl Kind for Closed {
    fn noun(&self) -> &'static str {
        "an object"
    }

    fn read(&self, sent: &Value, place: &Place<'_>, now: Timestamp, findings: &mut Findings) -> Option<Value> {
        let (named, others) = read_members(self.0, self.noun(), sent, place, now, findings)?;
        for (key, _) in others {
            let expected = self.0.iter().map(|field| field.name).collect::<Vec<_>>().join(", ");
            let detail = Code::UnknownMember.meaning();
            findings.note(Code::UnknownMember, place.member(key), detail, Some(expected), None);
        }
        Some(Value::Object(named))
    }

    fn rules(&self) -> Vec<(Code, String)> {
        vec![(Code::UnknownMember, "no other members".to_owned())]
    }

    fn schema(&self) -> Schema {
        let mut schema = members_schema(self.0);
        schema["additionalProperties"] = json!(false);
        schema
    }

    fn fields(&self) -> &'static [Field] {
        self.0
    }
}

impl Kind for Open {
    fn noun(&self) -> &'static str {
        "an object"
    }

    fn read(&self, sent: &Value, place: &Place<'_>, now: Timestamp, findings: &mut Findings) -> Option<Value> {
        let (mut named, others) = read_members(self.0, self.noun(), sent, place, now, findings)?;
        named.extend(others.into_iter().cloned());
        Some(Value::Object(named))
    }

    fn rules(&self) -> Vec<(Code, String)> {
        Vec::new()
    }

    fn schema(&self) -> Schema {
        members_schema(self.0)
    }

    fn fields(&self) -> &'static [Field] {
        self.0
    }
}

type Member = (String, Value);

/// The named members that could be read, and those that the object does not name.
fn read_members<'a>(
    fields: &[Field],
    noun: &str,
    sent: &'a Value,
    place: &Place<'_>,
    now: Timestamp,
    findings: &mut Findings,
) -> Option<(Vec<Member>, Vec<&'a Member>)> {
    let Value::Object(members) = sent else {
        note_type(noun, sent, place, findings);
        return None;
    };
    let mut named = Vec::with_capacity(members.len());
    for field in fields {
        let here = place.member(field.name);
        if let Some(value) = sent.get(field.name) {
            named.extend(field.kind.read(value, &here, now, findings).map(|value| (field.name.to_owned(), value)));
        } else if !field.optional {
            let detail = format!("\"{}\" is missing.", field.name);
            findings.note(Code::Required, here, detail, Some(field.kind.noun().to_owned()), None);
        }
    }
    let others = members.iter().filter(|(key, _)| fields.iter().all(|field| field.name != key)).collect();
    Some((named, others))
}

fn members_schema(fields: &[Field]) -> Schema {
    let described = |field: &Field| {
        let mut schema = field.kind.schema();
        schema["description"] = json!(described(field));
        (field.name.to_owned(), schema)
    };
    let properties: serde_json::Map<_, _> = fields.iter().map(described).collect();
    let due: Vec<_> = fields.iter().filter(|field| !field.optional).map(|field| field.name).collect();
    let mut schema = json!({"type": "object"});
    if !properties.is_empty() {
        schema["properties"] = Schema::Object(properties);
    }
    if !due.is_empty() {
        schema["required"] = json!(due);
    }
    schema
}

/// What a field means and which rules it has, for people who read the schema.
fn described(field: &Field) -> String {
    let rules = field.kind.rules();
    let expected: Vec<_> = rules.iter().map(|(_, expected)| expected.as_str()).collect();
    if expected.is_empty() { field.about.to_owned() } else { format!("{} ({})", field.about, expected.join("; ")) }
}

/// A free object: keys in snake case, strings trimmed, numeric strings turned into numbers, `"true"` into `true`.
pub(super) struct Free {
    pub(super) may_be_empty: bool,
}

impl Kind for Free {
    fn noun(&self) -> &'static str {
        "an object"
    }

    fn read(&self, sent: &Value, place: &Place<'_>, _: Timestamp, findings: &mut Findings) -> Option<Value> {
        let Value::Object(members) = sent else {
            note_type(self.noun(), sent, place, findings);
            return None;
        };
        if members.is_empty() && !self.may_be_empty {
            findings.note(Code::Empty, place, Code::Empty.meaning(), Some("at least one member".to_owned()), None);
        }
        Some(normalisation::free_value(sent, place, findings))
    }

    fn rules(&self) -> Vec<(Code, String)> {
        let empty = (!self.may_be_empty).then(|| (Code::Empty, "at least one member".to_owned()));
        let collision = (Code::KeyCollision, "keys that stay distinct in snake case".to_owned());
        empty.into_iter().chain([collision]).collect()
    }

    fn schema(&self) -> Schema {
        if self.may_be_empty { json!({"type": "object"}) } else { json!({"type": "object", "minProperties": 1}) }
    }
}
