//! Booleans, arrays and objects.

use serde_json::{Value as Schema, json};

use super::{Field, Kind, note_type};
use crate::json::Value;
use crate::normalisation;
use crate::time::Timestamp;
use crate::validation::{Code, Findings, Pointer};

/// `true` or `false`.
pub(in crate::contracts) struct Boolean;

impl Kind for Boolean {
    fn noun(&self) -> &'static str {
        "true or false"
    }

    fn read(&self, sent: &Value, pointer: &Pointer<'_>, _: Timestamp, findings: &mut Findings) -> Option<Value> {
        if matches!(sent, Value::Bool(_)) {
            return Some(sent.clone());
        }
        note_type(self.noun(), sent, pointer, findings);
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

/// An array with items of one kind.
pub(in crate::contracts) struct ListOf(pub(in crate::contracts) &'static dyn Kind);

impl Kind for ListOf {
    fn noun(&self) -> &'static str {
        "an array"
    }

    fn read(&self, sent: &Value, pointer: &Pointer<'_>, now: Timestamp, findings: &mut Findings) -> Option<Value> {
        let Value::Array(items) = sent else {
            note_type(self.noun(), sent, pointer, findings);
            return None;
        };
        let read = |(index, item)| self.0.read(item, &pointer.item(index), now, findings);
        Some(Value::Array(items.iter().enumerate().filter_map(read).collect()))
    }

    fn rules(&self) -> Vec<(Code, String)> {
        self.0.rules().into_iter().map(|(code, expected)| (code, format!("each {expected}"))).collect()
    }

    fn schema(&self) -> Schema {
        json!({"type": "array", "items": self.0.schema()})
    }
}

/// An object that refuses members that it does not name, so that a misspelt key is reported instead of ignored.
pub(in crate::contracts) struct ClosedObject(pub(in crate::contracts) &'static [Field]);

/// An object that accepts members that it does not name, and stores them unchanged.
pub(in crate::contracts) struct OpenObject(pub(in crate::contracts) &'static [Field]);

impl Kind for ClosedObject {
    fn noun(&self) -> &'static str {
        "an object"
    }

    fn read(&self, sent: &Value, pointer: &Pointer<'_>, now: Timestamp, findings: &mut Findings) -> Option<Value> {
        let (named, others) = read_members(self.0, self.noun(), sent, pointer, now, findings)?;
        if !others.is_empty() {
            let known = self.0.iter().map(|field| field.name).collect::<Vec<_>>().join(", ");
            for (key, _) in others {
                let detail = Code::UnknownMember.meaning();
                findings.note(Code::UnknownMember, pointer.member(key), detail, Some(known.clone()), None);
            }
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

impl Kind for OpenObject {
    fn noun(&self) -> &'static str {
        "an object"
    }

    fn read(&self, sent: &Value, pointer: &Pointer<'_>, now: Timestamp, findings: &mut Findings) -> Option<Value> {
        let (mut named, others) = read_members(self.0, self.noun(), sent, pointer, now, findings)?;
        named.extend(others.into_iter().cloned());
        Some(Value::Object(named))
    }

    fn rules(&self) -> Vec<(Code, String)> {
        Vec::new()
    }

    fn schema(&self) -> Schema {
        let mut schema = members_schema(self.0);
        schema["additionalProperties"] = json!(true);
        schema
    }

    fn fields(&self) -> &'static [Field] {
        self.0
    }
}

type Member = (String, Value);

/// Returns the valid named members, and the members that the object does not name.
fn read_members<'a>(
    fields: &[Field],
    noun: &str,
    sent: &'a Value,
    pointer: &Pointer<'_>,
    now: Timestamp,
    findings: &mut Findings,
) -> Option<(Vec<Member>, Vec<&'a Member>)> {
    let Value::Object(members) = sent else {
        note_type(noun, sent, pointer, findings);
        return None;
    };
    let mut named = Vec::with_capacity(members.len());
    for field in fields {
        let here = pointer.member(field.name);
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

pub(super) fn members_schema(fields: &[Field]) -> Schema {
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

/// Describes a field in the schema: its meaning and its allowed values.
fn described(field: &Field) -> String {
    let rules = field.kind.rules();
    let allowed: Vec<_> = rules.iter().map(|(_, expected)| expected.as_str()).collect();
    if allowed.is_empty() {
        field.about.to_owned()
    } else {
        format!("{} Allowed: {}.", field.about, allowed.join("; "))
    }
}

/// An object without declared members. Its keys become snake case, its strings are trimmed, and a string that spells a
/// number, `true` or `false` becomes that value.
pub(in crate::contracts) struct FreeObject {
    pub(in crate::contracts) may_be_empty: bool,
}

impl Kind for FreeObject {
    fn noun(&self) -> &'static str {
        "an object"
    }

    fn read(&self, sent: &Value, pointer: &Pointer<'_>, _: Timestamp, findings: &mut Findings) -> Option<Value> {
        let Value::Object(members) = sent else {
            note_type(self.noun(), sent, pointer, findings);
            return None;
        };
        if members.is_empty() && !self.may_be_empty {
            findings.note(Code::Empty, pointer, Code::Empty.meaning(), Some("at least one member".to_owned()), None);
        }
        Some(normalisation::free_value(sent, pointer, findings))
    }

    fn rules(&self) -> Vec<(Code, String)> {
        let empty = (!self.may_be_empty).then(|| (Code::Empty, "at least one member".to_owned()));
        let collision = (Code::KeyCollision, "keys that stay distinct in snake case".to_owned());
        empty.into_iter().chain([collision]).collect()
    }

    fn schema(&self) -> Schema {
        let mut schema = json!({"type": "object", "additionalProperties": true});
        if !self.may_be_empty {
            schema["minProperties"] = json!(1);
        }
        schema
    }
}
