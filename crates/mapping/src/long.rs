//! Long inputs: rows with one value each, which become readings with several.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use mass_domain::json::Value;

use crate::errors::RefusalCode;
use crate::plan::{Input, LongPlan, NumberPlan, Plan};
use crate::profile::{Absent, Unlisted};
use crate::record::{Original, Outcome, Record};
use crate::sources::Cell;
use crate::values::{Members, OVERHEAD, RowReader, object_at, text_of};

/// The maximum number of metrics in a reading.
const MOST_METRICS: usize = 256;
/// The maximum size of the values by which rows are joined, in bytes.
const MOST_KEY: usize = 64 * 1024;
/// The maximum size of all incomplete readings, in bytes of their rows, keys and documents.
const MOST_HELD: usize = 8 * 1024 * 1024;
/// The number of completed readings that are remembered, so that a late row is refused.
const MOST_CLOSED: usize = 4096;

/// The incomplete readings.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    pending: VecDeque<Pending>,
    held: usize,
    closed: VecDeque<u64>,
    closed_set: HashSet<u64>,
    /// A buffer for the key of the current row.
    key: String,
}

/// An incomplete reading.
#[derive(Debug)]
struct Pending {
    key: String,
    line: u64,
    row: u64,
    rows: u64,
    original: String,
    document: Members,
    metrics: Members,
    /// About the size of the document with its metrics.
    bytes: usize,
}

/// The position of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    pub(crate) line: u64,
    pub(crate) row: u64,
}

/// A metric of a row.
struct ReadMetric {
    name: String,
    value: Value,
    device: Option<String>,
}

impl Readings {
    /// Adds a row to its reading. Leaves the reasons in the reader if the row is refused. Hands on the readings that
    /// are complete.
    pub(crate) fn add(
        &mut self,
        plan: &LongPlan,
        reader: &mut RowReader<'_>,
        position: Position,
        original: Original<'_>,
        each: &mut dyn FnMut(Outcome<'_>),
    ) {
        let time = reader.plan.time.as_ref().map(|time| reader.time(time));
        let metric = read_metric(plan, reader);
        if !reader.refusals.is_empty() {
            return;
        }
        let (Some(metric), time) = (metric, time.flatten()) else { return };
        self.key.clear();
        write_key(reader, time.as_deref(), metric.device.as_deref(), &mut self.key);
        if self.key.len() > MOST_KEY {
            let detail = format!("the time and the members of the reading are longer than {MOST_KEY} bytes");
            reader.refuse(None, (RefusalCode::TooLong, detail));
            return;
        }
        let place = self.pending.iter().rposition(|pending| pending.key == self.key);
        let place = match place {
            Some(place) => place,
            None => {
                let hash = hash_of(&self.key);
                if self.closed_set.contains(&hash) {
                    let detail = "the rows of this reading are too far apart; a greater window would join them";
                    reader.refuse(None, (RefusalCode::Late, detail.to_owned()));
                    return;
                }
                let Some(document) = begin(reader, time.as_deref(), metric.device) else { return };
                let key = self.key.clone();
                let (Position { line, row }, metrics, bytes) = (position, Vec::new(), reader.bytes());
                let original = String::new();
                let pending = Pending { key, line, row, rows: 0, original, document, metrics, bytes };
                self.held += pending.held();
                self.pending.push_back(pending);
                self.pending.len() - 1
            }
        };
        if let Some(pending) = self.pending.get_mut(place) {
            let before = pending.held();
            pending.add(reader, plan, (metric.name, metric.value), original);
            self.held += pending.held() - before;
        }
        while self.pending.len() > plan.window || (self.held > MOST_HELD && !self.pending.is_empty()) {
            self.close(plan, reader.plan, each);
        }
    }

    /// Returns the number of bytes that incomplete readings hold.
    pub(crate) const fn held(&self) -> usize {
        self.held
    }

    /// Hands on all incomplete readings.
    pub(crate) fn finish(&mut self, plan: &LongPlan, of: &Plan, each: &mut dyn FnMut(Outcome<'_>)) {
        while !self.pending.is_empty() {
            self.close(plan, of, each);
        }
    }

    /// Hands on the oldest reading.
    fn close(&mut self, plan: &LongPlan, of: &Plan, each: &mut dyn FnMut(Outcome<'_>)) {
        let Some(pending) = self.pending.pop_front() else { return };
        self.held = self.held.saturating_sub(pending.held());
        let hash = hash_of(&pending.key);
        if self.closed_set.insert(hash) {
            self.closed.push_back(hash);
        }
        if self.closed.len() > MOST_CLOSED
            && let Some(oldest) = self.closed.pop_front()
        {
            self.closed_set.remove(&oldest);
        }
        // A reading whose only rows were refused has no metrics.
        if pending.rows == 0 {
            return;
        }
        let Pending { line, row, rows, original, mut document, metrics, bytes, .. } = pending;
        if let Some(object) = object_at(&mut document, &plan.into) {
            object.extend(metrics);
        }
        let document = of.with_marker(document);
        each(Outcome::Record(Record { line, row, rows, original: Original::Text(&original), document, bytes }));
    }
}

impl Pending {
    /// Returns the number of bytes that are held.
    fn held(&self) -> usize {
        self.key.len() + self.original.len() + self.bytes
    }

    /// Adds a metric.
    fn add(&mut self, reader: &mut RowReader<'_>, plan: &LongPlan, metric: (String, Value), original: Original<'_>) {
        let members = object_at(&mut self.document, &plan.into).map_or(&[][..], |object| object.as_slice());
        let known = members.iter().chain(&self.metrics).find(|(name, _)| *name == metric.0);
        match known.map(|(_, value)| *value == metric.1) {
            Some(true) => {}
            Some(false) => {
                let detail = format!("the reading already has another value of {}", metric.0);
                reader.refuse(None, (RefusalCode::Repeated, detail));
                return;
            }
            None if self.metrics.len() >= MOST_METRICS => {
                let detail = format!("the reading has more than {MOST_METRICS} metrics");
                reader.refuse(None, (RefusalCode::TooMany, detail));
                return;
            }
            None => {
                self.bytes += metric.0.len() + OVERHEAD;
                self.metrics.push(metric);
            }
        }
        if self.rows > 0 {
            self.original.push('\n');
        }
        match original {
            Original::Text(text) => self.original.push_str(text),
            Original::Json(_) => self.original.push_str(&original.to_text()),
        }
        self.rows += 1;
    }
}

/// Reads the name and value of a row's metric. Returns `None` if the row is refused or left out.
fn read_metric(plan: &LongPlan, reader: &mut RowReader<'_>) -> Option<ReadMetric> {
    let cell = reader.cell(plan.name);
    let name = match text_of(cell) {
        Ok(Some(name)) => name,
        Ok(None) => {
            reader.refuse(Some(plan.name), (RefusalCode::Absent, "the metric has no name".to_owned()));
            return None;
        }
        Err(fault) => {
            reader.refuse(Some(plan.name), fault);
            return None;
        }
    };
    let plain = NumberPlan::default();
    let (to, number, device) = match plan.metrics.get(name.as_ref()) {
        Some(metric) => (metric.to.clone(), &metric.number, metric.device.clone()),
        None => match plan.unlisted {
            Unlisted::Keep => (metric_name(&name), &plain, None),
            Unlisted::Skip => return None,
            Unlisted::Refuse => {
                let detail = format!("the profile does not list the metric \"{}\"", crate::errors::shown(&name));
                reader.refuse(Some(plan.name), (RefusalCode::Unlisted, detail));
                return None;
            }
        },
    };
    let value = match reader.first(&plan.value) {
        Cell::Absent if plan.absent == Absent::Omit => return None,
        Cell::Absent => reader.absent(plan.absent, plan.value.first().copied(), &to)?,
        cell @ (Cell::Text(_) | Cell::Value(_)) => {
            reader.number(number, cell).map_err(|fault| reader.refuse(plan.value.first().copied(), fault)).ok()?
        }
    };
    Some(ReadMetric { name: to, value, device })
}

/// Converts a name to the form of a metric's name, as far as possible: `fanSpeed` and `Fan speed` become `fan_speed`,
/// `Power (kW)` becomes `power_kw`.
pub(crate) fn metric_name(name: &str) -> String {
    let mut snake = String::with_capacity(name.len());
    // Upper case begins a word after two lower-case letters, so that kW and kWh stay whole.
    let mut lower_case = 0;
    for character in name.chars() {
        if !character.is_ascii_alphanumeric() || (character.is_ascii_uppercase() && lower_case >= 2) {
            if !snake.is_empty() && !snake.ends_with('_') {
                snake.push('_');
            }
            lower_case = 0;
        }
        if character.is_ascii_alphanumeric() {
            snake.push(character.to_ascii_lowercase());
            lower_case = if character.is_ascii_lowercase() { lower_case + 1 } else { 0 };
        }
    }
    let snake = snake.trim_end_matches('_');
    if snake.is_empty() { name.to_owned() } else { snake.to_owned() }
}

/// Writes the values that rows of one reading share.
fn write_key(reader: &RowReader<'_>, time: Option<&str>, device: Option<&str>, key: &mut String) {
    let mut part = |text: &str| {
        if key.len() <= MOST_KEY {
            key.push_str(text);
            key.push('\u{1f}');
        }
    };
    part(time.unwrap_or_default());
    part(device.unwrap_or_default());
    for leaf in &reader.plan.leaves {
        let ids: &[usize] = match &leaf.input {
            Input::First(ids) => ids,
            Input::Template(_) | Input::Constant(_) | Input::Time => &[],
        };
        let first = reader.first(ids);
        match (&leaf.input, first) {
            (Input::Template(parts), _) => {
                for source in parts.iter().filter_map(|part| match part {
                    crate::plan::Part::Source(id) => Some(*id),
                    crate::plan::Part::Literal(_) => None,
                }) {
                    part(&text_of(reader.cell(source)).ok().flatten().unwrap_or_default());
                }
            }
            (_, Cell::Value(value)) => part(&Original::Json(value).to_text()),
            (_, cell) => part(&text_of(cell).ok().flatten().unwrap_or_default()),
        }
    }
}

fn hash_of(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// Builds the document of a new reading, without its metrics.
fn begin(reader: &mut RowReader<'_>, time: Option<&str>, device: Option<String>) -> Option<Members> {
    let plan = reader.plan;
    let mut document = reader.members(&plan.tree, time);
    if let Some(id) = device
        && let Some(device) = object_at(&mut document, &["device".to_owned()])
    {
        device.retain(|(key, _)| key != "id");
        device.push(("id".to_owned(), Value::String(id)));
    }
    reader.refusals.is_empty().then_some(document)
}

#[cfg(test)]
mod tests {
    use super::metric_name;

    #[test]
    fn converts_names_to_snake_case_and_keeps_units_whole() {
        for (name, expected) in [
            ("power_kw", "power_kw"),
            ("Power (kW)", "power_kw"),
            ("Power kW", "power_kw"),
            ("energyKWh", "energy_kwh"),
            ("fanSpeed", "fan_speed"),
            ("  Temp °C ", "temp_c"),
            ("HTTPRequests", "httprequests"),
            ("x.y/z", "x_y_z"),
            ("_a_", "a"),
            ("温度", "温度"),
            ("", ""),
        ] {
            assert_eq!(metric_name(name), expected, "{name}");
        }
    }
}
