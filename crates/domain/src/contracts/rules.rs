//! The types from which a contract's table is built: a tree of [`Field`]s, each of one [`Kind`], and [`Check`]s over
//! several fields. Validation, JSON Schema and documentation are all derived from the table.

mod metrics;
mod number;
mod shape;
mod text;

use serde_json::Value as Schema;

use super::cells::CellType;
use crate::json::{MAX_DEPTH, Number, NumberFault, Value};
use crate::time::{DocumentTime, Timestamp};
use crate::validation::{Code, Findings, Pointer, shown};

pub(super) use metrics::MetricSet;
pub(super) use number::{Least, Quantity};
pub(super) use shape::{Boolean, ClosedObject, FreeObject, ListOf, OpenObject};
pub(super) use text::{Characters, Choice, ContractVersion, Formatted, Text, Time, UpperCased};

/// A member that a contract names.
pub(super) struct Field {
    /// The member's key.
    pub(super) name: &'static str,
    /// True if the member may be absent.
    pub(super) optional: bool,
    /// The kind of its value.
    pub(super) kind: &'static dyn Kind,
    /// Its meaning: a sentence for the schema and the documentation.
    pub(super) about: &'static str,
}

/// Declares a required member.
pub(super) const fn required(name: &'static str, kind: &'static dyn Kind, about: &'static str) -> Field {
    Field { name, optional: false, kind, about }
}

/// Declares an optional member. `null` does not count as absent.
pub(super) const fn optional(name: &'static str, kind: &'static dyn Kind, about: &'static str) -> Field {
    Field { name, optional: true, kind, about }
}

/// A kind of value: its rules, its normal form and its schema.
pub(super) trait Kind: Sync {
    /// Returns the name of the kind with its article, such as "a string".
    fn noun(&self) -> &'static str;

    /// Returns the normal form of a value and records its violations. Returns `None` if no further rule can be checked
    /// on the value.
    fn read(&self, sent: &Value, pointer: &Pointer<'_>, now: Timestamp, findings: &mut Findings) -> Option<Value>;

    /// Lists the rules that [`read`](Self::read) applies, except the type, each with the expected value.
    fn rules(&self) -> Vec<(Code, String)>;

    /// Returns the JSON Schema (draft 2020-12) of the value as it may be sent.
    fn schema(&self) -> Schema;

    /// Returns the members that an object declares.
    fn fields(&self) -> &'static [Field] {
        &[]
    }

    /// Returns the type of a column of such values.
    fn cell_type(&self) -> CellType {
        CellType::Text
    }

    /// Tells whether the kind is the boolean.
    fn is_boolean(&self) -> bool {
        false
    }
}

/// A rule or a warning about several fields.
pub(super) struct Check<C> {
    /// The code of the violation or warning.
    pub(super) code: C,
    /// The member that the violation points to.
    pub(super) pointer: &'static str,
    /// The condition that holds for a correct document, as a sentence.
    pub(super) about: &'static str,
    /// Describes the wrong value. Returns `None` if the document is correct, or if a needed field is absent or invalid.
    pub(super) finding: fn(&DocumentView<'_>) -> Option<String>,
}

/// The valid parts of a document in normal form, as input for a [`Check`].
pub(super) struct DocumentView<'a> {
    /// The document without invalid values.
    pub(super) document: &'a Value,
    /// The current instant.
    pub(super) now: Timestamp,
}

impl DocumentView<'_> {
    /// Returns the string at a pointer.
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        if let Some(Value::String(text)) = self.document.pointer(pointer) { Some(text) } else { None }
    }

    /// Returns the number at a pointer.
    pub(super) fn number(&self, pointer: &str) -> Option<f64> {
        if let Some(Value::Number(number)) = self.document.pointer(pointer) { Some(number.value()) } else { None }
    }

    /// Returns the time at a pointer, truncated to the microsecond.
    pub(super) fn time(&self, pointer: &str) -> Option<Timestamp> {
        self.text(pointer)?.parse().ok().map(DocumentTime::instant)
    }

    /// Returns the boolean at a pointer.
    pub(super) fn flag(&self, pointer: &str) -> Option<bool> {
        if let Some(Value::Bool(flag)) = self.document.pointer(pointer) { Some(*flag) } else { None }
    }
}

/// The rules for every value of every document: nesting, U+0000, and numbers that a double can represent.
pub const EVERYWHERE: &[Code] = &[Code::Depth, Code::Nul, Code::NumberRange, Code::NumberPrecision];

/// Records the violations of [`EVERYWHERE`].
pub(super) fn check_everywhere(document: &Value, findings: &mut Findings) {
    check_below(document, &Pointer::ROOT, 1, findings);
}

fn check_below(value: &Value, pointer: &Pointer<'_>, level: usize, findings: &mut Findings) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => {
            if let Some(fault) = number.fault() {
                note_fault(fault, number, pointer, findings);
            }
        }
        Value::String(text) => check_nul(text, pointer, findings),
        Value::Array(_) | Value::Object(_) if level > MAX_DEPTH => {
            findings.note(Code::Depth, pointer, Code::Depth.meaning(), Some(format!("{MAX_DEPTH} levels")), None);
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check_below(item, &pointer.item(index), level + 1, findings);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                let here = pointer.member(key);
                check_nul(key, &here, findings);
                check_below(member, &here, level + 1, findings);
            }
        }
    }
}

fn check_nul(text: &str, pointer: &Pointer<'_>, findings: &mut Findings) {
    if text.contains('\0') {
        let actual = shown(&Value::String(text.to_owned()));
        findings.note(Code::Nul, pointer, Code::Nul.meaning(), None, Some(actual));
    }
}

fn note_fault(fault: NumberFault, number: &Number, pointer: &Pointer<'_>, findings: &mut Findings) {
    let actual = Some(shown(&Value::Number(number.clone())));
    match fault {
        NumberFault::BeyondSafeRange => {
            let expected = "-9007199254740991 … 9007199254740991".to_owned();
            findings.note(Code::NumberRange, pointer, Code::NumberRange.meaning(), Some(expected), actual);
        }
        NumberFault::Inexact => {
            let nearest = Number::new(number.value()).map(|nearest| format!("such as {nearest}"));
            findings.note(Code::NumberPrecision, pointer, Code::NumberPrecision.meaning(), nearest, actual);
        }
    }
}

/// Records a value of the wrong type.
pub(super) fn note_type(noun: &str, sent: &Value, pointer: &Pointer<'_>, findings: &mut Findings) {
    let actual = match sent {
        Value::String(_) => format!("string \"{}\"", shown(sent)),
        Value::Number(_) | Value::Bool(_) => format!("{} {}", sent.type_name(), shown(sent)),
        Value::Null | Value::Array(_) | Value::Object(_) => sent.type_name().to_owned(),
    };
    let detail = format!("Expected {noun}, found {}.", sent.noun());
    findings.note(Code::Type, pointer, detail, Some(noun.to_owned()), Some(actual));
}
