//! Values of members from the values of a row.

use std::borrow::Cow;

use mass_domain::json::{Number, Value};

use crate::errors::{Refusal, RefusalCode, shown};
use crate::limits::MAX_RECORD_BYTES;
use crate::numbers::{Notation, without_suffix};
use crate::plan::{Child, Input, Leaf, LeafKind, Node, NumberPlan, Part, Plan, TimePlan};
use crate::profile::Absent;
use crate::sources::{Cell, Row, SourceId};

/// The members of an object.
pub(crate) type Members = Vec<(String, Value)>;

type Fault = (RefusalCode, String);

/// About the size of a number, or of the punctuation around a value.
pub(crate) const OVERHEAD: usize = 8;
/// The maximum size of a time that is joined of several sources.
const MOST_TIME: usize = 1024;

/// A row that is being mapped.
pub(crate) struct RowReader<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) row: Row<'a>,
    /// A buffer for numbers in other notations.
    pub(crate) scratch: &'a mut String,
    /// The bytes that the document may still grow by.
    pub(crate) room: usize,
    pub(crate) refusals: Vec<Refusal>,
}

impl<'a> RowReader<'a> {
    pub(crate) fn cell(&self, id: SourceId) -> Cell<'a> {
        self.row.get(&self.plan.sources, &self.plan.read.absent, id)
    }

    /// Returns the first value of these sources.
    pub(crate) fn first(&self, ids: &[SourceId]) -> Cell<'a> {
        ids.iter().map(|id| self.cell(*id)).find(|cell| !matches!(cell, Cell::Absent)).unwrap_or(Cell::Absent)
    }

    pub(crate) fn refuse(&mut self, source: Option<SourceId>, (code, detail): Fault) {
        let name = source.map_or("", |id| self.plan.sources.name(id));
        self.refusals.push(Refusal::new(code, name, detail));
    }

    /// Returns about the size of the document so far.
    pub(crate) const fn bytes(&self) -> usize {
        MAX_RECORD_BYTES - self.room
    }

    /// Lets the document grow. Refuses the row if it gets too long.
    pub(crate) fn grow(&mut self, source: Option<SourceId>, bytes: usize) -> bool {
        let left = self.room.checked_sub(bytes);
        self.room = left.unwrap_or(0);
        if left.is_none() {
            let detail = format!("the document is longer than {MAX_RECORD_BYTES} bytes");
            self.refuse(source, (RefusalCode::TooLong, detail));
        }
        left.is_some()
    }

    /// Tells whether a rule of the profile leaves the row out.
    pub(crate) fn is_ignored(&self) -> bool {
        self.plan.ignore.iter().any(|(id, rule)| {
            let cell = self.cell(*id);
            let text = if let Ok(Some(text)) = text_of(cell) { text } else { Cow::Borrowed("") };
            rule.equals.as_ref().is_none_or(|wanted| text == wanted.trim())
                && rule.starts_with.as_ref().is_none_or(|wanted| text.starts_with(wanted.as_str()))
                && rule.absent.is_none_or(|wanted| wanted == matches!(cell, Cell::Absent))
        })
    }

    /// Reads the time of the record.
    pub(crate) fn time(&mut self, time: &TimePlan) -> Option<String> {
        let source = time.from.first().copied();
        let mut text = Cow::Borrowed("");
        for (index, id) in time.from.iter().enumerate() {
            match text_of(self.cell(*id)) {
                Ok(Some(part)) if index == 0 => text = part,
                Ok(Some(part)) if text.len() + part.len() > MOST_TIME => {
                    let detail = format!("the time is longer than {MOST_TIME} bytes");
                    self.refuse(Some(*id), (RefusalCode::Time, detail));
                    return None;
                }
                Ok(Some(part)) => text = Cow::Owned(format!("{text} {part}")),
                Ok(None) => {
                    self.refuse(Some(*id), (RefusalCode::Absent, "the time has no value".to_owned()));
                    return None;
                }
                Err(fault) => {
                    self.refuse(Some(*id), fault);
                    return None;
                }
            }
        }
        match time.reader.read(&text) {
            Ok(time) => Some(time),
            Err(fault) => {
                self.refuse(source, fault);
                None
            }
        }
    }

    /// Builds the members of the document. Objects without members are left out.
    pub(crate) fn members(&mut self, nodes: &[Node], time: Option<&str>) -> Members {
        let mut members = Vec::with_capacity(nodes.len() + 1);
        for node in nodes {
            if !self.grow(None, node.key.len() + OVERHEAD) {
                return members;
            }
            let value = match &node.child {
                Child::Leaf(index) => self.plan.leaves.get(*index).and_then(|leaf| self.leaf(leaf, time)),
                Child::Object(children) => {
                    let inner = self.members(children, time);
                    (!inner.is_empty()).then_some(Value::Object(inner))
                }
            };
            members.extend(value.map(|value| (node.key.clone(), value)));
        }
        members
    }

    fn leaf(&mut self, leaf: &Leaf, time: Option<&str>) -> Option<Value> {
        let (source, cell) = match &leaf.input {
            Input::Constant(value) => return self.grow(None, size_of_value(value)).then(|| value.clone()),
            Input::Time => return time.map(|time| Value::String(time.to_owned())),
            Input::Template(parts) => return self.template(leaf, parts),
            Input::First(ids) => {
                let found = ids.iter().map(|id| (*id, self.cell(*id))).find(|(_, cell)| !matches!(cell, Cell::Absent));
                match found {
                    Some((id, cell)) => (Some(id), cell),
                    None => return self.absent(leaf.absent, ids.first().copied(), &leaf.path),
                }
            }
        };
        let size = match cell {
            Cell::Absent => 0,
            Cell::Text(text) => text.len(),
            Cell::Value(value) => size_of_value(value),
        };
        if !self.grow(source, size) {
            return None;
        }
        let value = match &leaf.kind {
            LeafKind::Number(number) => self.number(number, cell),
            LeafKind::Text { .. } => text_of(cell).and_then(|text| text_value(leaf, text.unwrap_or_default())),
            LeafKind::Boolean => boolean(cell),
            LeafKind::Time => self.other_time(cell),
            LeafKind::Json => Ok(match cell {
                Cell::Value(value) => value.clone(),
                Cell::Text(text) => Value::String(text.to_owned()),
                Cell::Absent => Value::Null,
            }),
        };
        value.map_err(|fault| self.refuse(source, fault)).ok()
    }

    /// Returns the replacement of an absent value.
    pub(crate) fn absent(&mut self, absent: Absent, source: Option<SourceId>, path: &str) -> Option<Value> {
        match absent {
            Absent::Omit => None,
            Absent::Null => Some(Value::Null),
            Absent::Refuse => {
                self.refuse(source, (RefusalCode::Absent, format!("expected a value for {path}, found none")));
                None
            }
        }
    }

    fn template(&mut self, leaf: &Leaf, parts: &[Part]) -> Option<Value> {
        let mut filled = String::new();
        for part in parts {
            match part {
                Part::Literal(literal) => filled.push_str(literal),
                Part::Source(id) => match text_of(self.cell(*id)) {
                    Ok(Some(text)) if !self.grow(Some(*id), text.len()) => return None,
                    Ok(Some(text)) => filled.push_str(&text),
                    Ok(None) => return self.absent(leaf.absent, Some(*id), &leaf.path),
                    Err(fault) => {
                        self.refuse(Some(*id), fault);
                        return None;
                    }
                },
            }
        }
        text_value(leaf, Cow::Owned(filled)).map_err(|fault| self.refuse(None, fault)).ok()
    }

    fn other_time(&self, cell: Cell<'_>) -> Result<Value, Fault> {
        let text = text_of(cell)?.unwrap_or_default();
        match &self.plan.time {
            Some(time) => time.reader.read(&text).map(Value::String),
            None => Ok(Value::String(text.into_owned())),
        }
    }

    /// Reads a number and converts its unit.
    pub(crate) fn number(&mut self, plan: &NumberPlan, cell: Cell<'_>) -> Result<Value, Fault> {
        let not_a_number = |text: &str| (RefusalCode::Number, format!("expected a number, found \"{}\"", shown(text)));
        let (text, notation) = match cell {
            Cell::Value(Value::Number(number)) => match &plan.unit {
                None => return Ok(Value::Number(number.clone())),
                Some(_) => (Cow::Owned(number.to_string()), &Notation::JSON),
            },
            Cell::Value(value) => {
                return Err((RefusalCode::Type, format!("expected a number, found {}", value.noun())));
            }
            Cell::Text(text) => (Cow::Borrowed(without_suffix(text, &plan.suffix)), &self.plan.notation),
            Cell::Absent => (Cow::Borrowed(""), &self.plan.notation),
        };
        let plain = notation.plain(&text, self.scratch).ok_or_else(|| not_a_number(&text))?;
        let number = match &plan.unit {
            None => Number::parse(plain),
            Some(conversion) => {
                let converted = conversion.apply(plain).ok_or_else(|| {
                    (RefusalCode::Unit, format!("the number {} has too many digits to be converted", shown(plain)))
                })?;
                Number::parse(&converted)
            }
        };
        number.map(Value::Number).ok_or_else(|| not_a_number(&text))
    }
}

/// Returns about the size of a value's text.
fn size_of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => OVERHEAD,
        Value::String(text) => OVERHEAD + text.len(),
        Value::Array(items) => OVERHEAD + items.iter().map(size_of_value).sum::<usize>(),
        Value::Object(members) => {
            let size = |(key, value): &(String, Value)| key.len() + size_of_value(value);
            OVERHEAD + members.iter().map(size).sum::<usize>()
        }
    }
}

/// Returns the text of a value; `None` for an absent one.
pub(crate) fn text_of(cell: Cell<'_>) -> Result<Option<Cow<'_, str>>, Fault> {
    match cell {
        Cell::Absent => Ok(None),
        Cell::Text(text) => Ok(Some(Cow::Borrowed(text))),
        Cell::Value(Value::Number(number)) => Ok(Some(Cow::Owned(number.to_string()))),
        Cell::Value(Value::Bool(flag)) => Ok(Some(Cow::Borrowed(if *flag { "true" } else { "false" }))),
        Cell::Value(value) => Err((RefusalCode::Type, format!("expected a text, found {}", value.noun()))),
    }
}

fn text_value(leaf: &Leaf, text: Cow<'_, str>) -> Result<Value, Fault> {
    let LeafKind::Text { names, identifier } = &leaf.kind else { return Ok(Value::String(text.into_owned())) };
    let text = if names.is_empty() {
        text.into_owned()
    } else {
        let unlisted =
            || (RefusalCode::Unlisted, format!("expected one of the listed names, found \"{}\"", shown(&text)));
        names.get(text.as_ref()).cloned().ok_or_else(unlisted)?
    };
    Ok(Value::String(if *identifier { as_identifier(&text) } else { text }))
}

/// Replaces the characters that the id of a device may not have by single hyphens.
fn as_identifier(text: &str) -> String {
    let mut id = String::with_capacity(text.len());
    for character in text.trim().chars() {
        if character.is_ascii_alphanumeric() || "._:-".contains(character) {
            id.push(character);
        } else if !id.ends_with('-') {
            id.push('-');
        }
    }
    id
}

fn boolean(cell: Cell<'_>) -> Result<Value, Fault> {
    if let Cell::Value(value @ Value::Bool(_)) = cell {
        return Ok(value.clone());
    }
    let text = text_of(cell)?.unwrap_or_default();
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(Value::Bool(true)),
        "false" | "no" | "off" | "0" => Ok(Value::Bool(false)),
        _ => Err((RefusalCode::Type, format!("expected true or false, found \"{}\"", shown(&text)))),
    }
}

/// Returns the object at a path below the members, and creates it if it is absent. Returns `None` if the path leads
/// through a single value.
pub(crate) fn object_at<'m>(members: &'m mut Members, path: &[String]) -> Option<&'m mut Members> {
    let Some((key, rest)) = path.split_first() else { return Some(members) };
    let index = members.iter().position(|(name, _)| name == key).unwrap_or_else(|| {
        members.push((key.clone(), Value::Object(Vec::new())));
        members.len() - 1
    });
    match members.get_mut(index) {
        Some((_, Value::Object(inner))) => object_at(inner, rest),
        _ => None,
    }
}
