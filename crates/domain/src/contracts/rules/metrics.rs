//! Metrics: an open set of named numbers, of which the known ones have bounds.

use std::sync::LazyLock;

use serde_json::{Value as Schema, json};

use super::super::cells::CellType;
use super::shape::members_schema;
use super::{Field, Kind, Quantity, note_type, optional};
use crate::json::{MAX_SAFE, Value};
use crate::metrics::{METRICS, Metric};
use crate::time::Timestamp;
use crate::validation::{Code, Findings, Pointer, shown};

/// The known metrics as members of [`MetricSet`].
static KNOWN: LazyLock<Vec<Field>> = LazyLock::new(|| {
    let field = |metric: &'static Metric| optional(metric.name, metric, metric.quantity);
    METRICS.iter().map(field).collect()
});

/// A metric of a name that is not known.
static UNKNOWN: Quantity = Quantity::between(-MAX_SAFE, MAX_SAFE);

impl Metric {
    const fn bounds(&self) -> Quantity {
        Quantity::between(self.least, self.greatest)
    }
}

/// Adds `null` to the schema of a number.
fn or_null(mut schema: Schema) -> Schema {
    if let Some(Schema::Array(kinds)) = schema.get_mut("anyOf") {
        kinds.push(json!({"type": "null"}));
    }
    schema
}

fn read(
    bounds: &Quantity,
    sent: &Value,
    pointer: &Pointer<'_>,
    now: Timestamp,
    findings: &mut Findings,
) -> Option<Value> {
    if matches!(sent, Value::Null) { Some(Value::Null) } else { bounds.read(sent, pointer, now, findings) }
}

/// A number within the metric's bounds, or `null` if the sensor was read and had no value.
impl Kind for Metric {
    fn noun(&self) -> &'static str {
        "a number or null"
    }

    fn cell_type(&self) -> CellType {
        CellType::Number
    }

    fn read(&self, sent: &Value, pointer: &Pointer<'_>, now: Timestamp, findings: &mut Findings) -> Option<Value> {
        read(&self.bounds(), sent, pointer, now, findings)
    }

    fn rules(&self) -> Vec<(Code, String)> {
        self.bounds().rules()
    }

    fn schema(&self) -> Schema {
        or_null(self.bounds().schema())
    }
}

/// An object whose members are metrics: known ones and any others.
pub(in crate::contracts) struct MetricSet;

impl MetricSet {
    const MOST: usize = 256;
    const COUNT: &'static str = "1–256 members";
    const NAMES: &'static str = "names of 1–64 characters a–z, 0–9 and _ that begin with a letter";
    const PATTERN: &'static str = "^[a-z][a-z0-9_]{0,63}$";
}

impl Kind for MetricSet {
    fn noun(&self) -> &'static str {
        "an object"
    }

    fn read(&self, sent: &Value, pointer: &Pointer<'_>, now: Timestamp, findings: &mut Findings) -> Option<Value> {
        let Value::Object(members) = sent else {
            note_type(self.noun(), sent, pointer, findings);
            return None;
        };
        if members.is_empty() || members.len() > Self::MOST {
            let code = if members.is_empty() { Code::Empty } else { Code::Members };
            let actual = Some(format!("{} members", members.len()));
            findings.note(code, pointer, code.meaning(), Some(Self::COUNT.to_owned()), actual);
        }
        let mut normal = Vec::with_capacity(members.len());
        for (key, value) in members {
            let here = pointer.member(key);
            if !crate::metrics::is_name(key) {
                let actual = Some(shown(&Value::String(key.clone())));
                let detail = "The name of a metric does not have the expected form.";
                findings.note(Code::Pattern, here, detail, Some(Self::NAMES.to_owned()), actual);
            }
            let read = match crate::metrics::find(key) {
                Some(metric) => metric.read(value, &here, now, findings),
                None => read(&UNKNOWN, value, &here, now, findings),
            };
            normal.extend(read.map(|value| (key.clone(), value)));
        }
        Some(Value::Object(normal))
    }

    fn rules(&self) -> Vec<(Code, String)> {
        vec![
            (Code::Empty, "at least one member".to_owned()),
            (Code::Members, "at most 256 members".to_owned()),
            (Code::Pattern, Self::NAMES.to_owned()),
        ]
    }

    fn schema(&self) -> Schema {
        let mut schema = members_schema(self.fields());
        schema["minProperties"] = json!(1);
        schema["maxProperties"] = json!(Self::MOST);
        schema["propertyNames"] = json!({"pattern": Self::PATTERN});
        schema["additionalProperties"] = or_null(UNKNOWN.schema());
        schema
    }

    fn fields(&self) -> &'static [Field] {
        &KNOWN
    }
}
