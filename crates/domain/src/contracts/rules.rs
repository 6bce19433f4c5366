//! The vocabulary in which a contract's table is written: a tree of [`Field`]s, each of one [`Kind`], and [`Check`]s
//! that look at several fields together. The judgement, the JSON Schema and the documentation all come from it.

mod number;
mod shape;
mod text;

use serde_json::Value as Schema;

use crate::json::{MAX_DEPTH, Number, NumberFault, Value};
use crate::time::Timestamp;
use crate::validation::{Code, Findings, Pointer, shown};

pub(super) use number::{Least, Quantity};
pub(super) use shape::{Boolean, ClosedObject, FreeObject, ListOf, OpenObject};
pub(super) use text::{Characters, Choice, ContractVersion, Formatted, Text, Time, UpperCased};

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
    fn read(&self, sent: &Value, pointer: &Pointer<'_>, now: Timestamp, findings: &mut Findings) -> Option<Value>;

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
    pub(super) finding: fn(&DocumentView<'_>) -> Option<String>,
}

/// What could be read of a document, in its normal form.
pub(super) struct DocumentView<'a> {
    /// The document without what could not be read.
    pub(super) document: &'a Value,
    /// The present instant.
    pub(super) now: Timestamp,
}

impl DocumentView<'_> {
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

/// Notes that a value of another type is due.
pub(super) fn note_type(noun: &str, sent: &Value, pointer: &Pointer<'_>, findings: &mut Findings) {
    let actual = match sent {
        Value::String(_) => format!("string \"{}\"", shown(sent)),
        Value::Number(_) | Value::Bool(_) => format!("{} {}", sent.type_name(), shown(sent)),
        Value::Null | Value::Array(_) | Value::Object(_) => sent.type_name().to_owned(),
    };
    findings.note(Code::Type, pointer, format!("The value must be {noun}."), Some(noun.to_owned()), Some(actual));
}
