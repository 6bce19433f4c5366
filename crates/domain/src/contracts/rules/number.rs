//! Numbers. They may be sent as strings.

use serde_json::{Value as Schema, json};

use super::super::cells::CellType;
use super::text::trimmed;
use super::{Kind, note_fault, note_type};
use crate::json::{MAX_SAFE, Number, Value};
use crate::normalisation;
use crate::time::Timestamp;
use crate::validation::{Code, Findings, Pointer, shown};

/// The lower bound of a [`Quantity`].
#[derive(Clone, Copy)]
pub(in crate::contracts) enum Least {
    /// Includes the bound.
    From(f64),
    /// Excludes the bound.
    Above(f64),
}

/// A number, or a string that contains one.
pub(in crate::contracts) struct Quantity {
    pub(in crate::contracts) least: Least,
    pub(in crate::contracts) greatest: f64,
    pub(in crate::contracts) whole: bool,
}

impl Quantity {
    /// JSON's number syntax (RFC 8259, section 6).
    const NUMERIC: &'static str = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?";

    /// Declares a number between two inclusive bounds.
    pub(in crate::contracts) const fn between(least: f64, greatest: f64) -> Self {
        Self { least: Least::From(least), greatest, whole: false }
    }

    /// Declares an integer between two inclusive bounds.
    pub(in crate::contracts) const fn whole(least: f64, greatest: f64) -> Self {
        Self { whole: true, ..Self::between(least, greatest) }
    }

    fn bounds(&self) -> String {
        let bounded = self.greatest < MAX_SAFE;
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

    fn read_number(&self, sent: &Value, pointer: &Pointer<'_>, findings: &mut Findings) -> Option<Number> {
        match sent {
            // `check_everywhere` has already recorded the fault.
            Value::Number(number) => return number.fault().is_none().then(|| number.clone()),
            Value::String(text) => match Number::parse(&normalisation::text(text)) {
                Some(number) => match number.fault() {
                    Some(fault) => note_fault(fault, &number, pointer, findings),
                    None => return Some(number),
                },
                None if text.contains('\0') => {}
                None => note_type(self.noun(), sent, pointer, findings),
            },
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                note_type(self.noun(), sent, pointer, findings);
            }
        }
        None
    }
}

impl Kind for Quantity {
    fn noun(&self) -> &'static str {
        if self.whole { "an integer" } else { "a number" }
    }

    fn cell_type(&self) -> CellType {
        CellType::Number
    }

    fn read(&self, sent: &Value, pointer: &Pointer<'_>, _: Timestamp, findings: &mut Findings) -> Option<Value> {
        let number = self.read_number(sent, pointer, findings)?;
        let actual = || Some(shown(&Value::Number(number.clone())));
        if self.whole && number.value().fract() != 0.0 {
            findings.note(Code::Integer, pointer, Code::Integer.meaning(), Some(self.noun().to_owned()), actual());
        }
        if !self.contains(number.value()) {
            findings.note(Code::Range, pointer, Code::Range.meaning(), Some(self.bounds()), actual());
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

/// Converts a number to the schema's notation: `60`, not `60.0`.
fn schema_number(value: f64) -> Schema {
    Number::new(value).and_then(|number| number.to_string().parse().ok()).unwrap_or(Schema::Null)
}
