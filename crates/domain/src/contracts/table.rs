//! Documents as rows of CSV: one column per member, as [`Columns`](super::Columns) reads them, or one row per metric.

use std::borrow::Cow;

use super::cells::CellType;
use super::rules::Field;
use super::{Contract, ContractId, Marker, get};
use crate::canonical;
use crate::json::Value;

/// The table of the documents of one contract.
///
/// A document whose contract names all its members is one row, with a column per member. A document with a required
/// member of any further members, such as the metrics of `device/2.0`, is one row for each of those: the columns
/// `metric` and `value` follow the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    columns: Vec<Vec<&'static str>>,
    /// The type of each column.
    types: Vec<CellType>,
    /// The name of the member with any further members.
    open: Option<&'static str>,
}

/// Rows of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// The cells of each row.
    pub rows: Vec<Vec<String>>,
    /// True if the document has a value that no cell shows: under a name that the contract does not declare.
    pub has_more: bool,
}

impl Table {
    /// Builds the table of a contract.
    #[must_use]
    pub fn of(contract: ContractId) -> Self {
        let mut table = Self { columns: Vec::new(), types: Vec::new(), open: None };
        if let Some(contract) = get(contract) {
            table.add(contract);
        }
        table
    }

    fn add(&mut self, contract: &'static Contract) {
        let is_version = matches!(contract.marker, Marker::Version(_));
        let is_marker = |field: &&Field| is_version && field.name == contract.marker.member();
        let fields = contract.body.fields().iter().filter(|field| !is_marker(field));
        let mut values = CellType::Text;
        for field in fields {
            if self.open.is_none() && is_open(field) {
                self.open = Some(field.name);
                values = field.kind.fields().first().map_or(CellType::Text, |known| known.kind.cell_type());
            } else {
                self.add_field(Vec::new(), field);
            }
        }
        if self.is_long() {
            self.types.extend([CellType::Text, values]);
        }
    }

    fn add_field(&mut self, mut path: Vec<&'static str>, field: &'static Field) {
        path.push(field.name);
        match field.kind.fields() {
            [] => {
                self.columns.push(path);
                self.types.push(field.kind.cell_type());
            }
            fields => fields.iter().for_each(|field| self.add_field(path.clone(), field)),
        }
    }

    /// Tells whether a document has a row for each metric.
    #[must_use]
    pub const fn is_long(&self) -> bool {
        self.open.is_some()
    }

    /// Returns the header row: the paths of the members, with dots.
    #[must_use]
    pub fn header(&self) -> Vec<String> {
        let own = if self.is_long() { &["metric", "value"][..] } else { &[] };
        self.columns.iter().map(|path| path.join(".")).chain(own.iter().map(|name| (*name).to_owned())).collect()
    }

    /// Returns the types of the columns of the [header row](Self::header).
    #[must_use]
    pub fn types(&self) -> &[CellType] {
        &self.types
    }

    /// Returns the rows of a document. What is absent or `null` is an empty cell; an array or an object is JSON.
    #[must_use]
    pub fn rows(&self, document: &Value) -> Rows {
        let found: Vec<_> = self.columns.iter().map(|path| find(document, path)).collect();
        let cells: Vec<String> = found.iter().map(|value| value.map(cell).unwrap_or_default().into_owned()).collect();
        let mut shown: usize = found.into_iter().flatten().map(leaves).sum();
        let rows = match self.open.and_then(|name| document.get(name)) {
            Some(open) => {
                shown += leaves(open);
                let row = |(metric, value): (String, &Value)| {
                    cells.iter().cloned().chain([metric, cell(value).into_owned()]).collect()
                };
                metrics(open).into_iter().map(row).collect()
            }
            None if self.is_long() => Vec::new(),
            None => vec![cells],
        };
        // Besides the marker, which is the table's.
        Rows { rows, has_more: leaves(document) > shown + usize::from(!self.is_payload()) }
    }

    /// Tells whether the documents have no other member than the open one.
    fn is_payload(&self) -> bool {
        self.is_long() && self.columns.is_empty()
    }
}

/// Tells whether a member is there in every document and takes any members.
fn is_open(field: &Field) -> bool {
    let schema = field.kind.schema();
    !field.optional && schema["type"] == "object" && schema["additionalProperties"] != false
}

fn find<'a>(document: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(document, |value, name| value.get(name))
}

/// Writes a value as a cell.
fn cell(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::String(text) => Cow::Borrowed(text),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Cow::Owned(canonical::write(value)),
    }
}

/// Counts the values that are no objects with members.
fn leaves(value: &Value) -> usize {
    let Value::Object(members) = value else { return 1 };
    members.iter().map(|(_, member)| leaves(member)).sum::<usize>().max(1)
}

/// Lists the members of an object by their paths, with dots.
fn metrics(open: &Value) -> Vec<(String, &Value)> {
    let Value::Object(members) = open else { return Vec::new() };
    let mut found = Vec::with_capacity(members.len());
    for (name, value) in members {
        let inner = metrics(value);
        if inner.is_empty() {
            found.push((name.clone(), value));
        } else {
            found.extend(inner.into_iter().map(|(below, value)| (format!("{name}.{below}"), value)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::{Columns, DEVICE_1_1, DEVICE_2_0, ENTERPRISE_1_1, SIMPLE_1_0, ValidationContext, all, validate};
    use super::*;
    use crate::json;
    use crate::tenancy::TenantId;

    fn parsed(text: &str) -> Value {
        json::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_row_is_read_as_the_document_that_it_was_written_from() {
        let context = ValidationContext { now: "2026-11-24T18:00:00Z".parse().unwrap(), body_bytes: 0 };
        let tenant = TenantId::parse("site-7").unwrap();
        let mut wide = 0;
        for contract in all() {
            let table = Table::of(contract.id());
            let example = parsed(&contract.example(&tenant, context.now).to_string());
            let sent = validate(&example, &context).unwrap();
            let Rows { rows, has_more } = table.rows(&parsed(&sent.canonical));
            assert!(!rows.is_empty() && rows.iter().all(|row| row.len() == table.header().len()), "{}", contract.id());
            if table.is_long() {
                continue;
            }
            wide += 1;
            assert!(!has_more, "{}", contract.id());
            let header = table.header();
            let columns = Columns::new(contract.id(), header.iter().map(String::as_str)).unwrap();
            let read = columns.document(rows[0].iter().map(String::as_str));
            assert_eq!(validate(&read, &context).unwrap().fingerprint, sent.fingerprint, "{}", contract.id());
        }
        assert_eq!(wide, 2);
    }

    #[test]
    fn each_metric_of_an_open_contract_is_a_row() {
        let table = Table::of(SIMPLE_1_0);
        assert_eq!((table.is_long(), table.header()), (true, vec!["metric".to_owned(), "value".to_owned()]));
        let document = parsed(r#"{"payload":{"a":1.5,"b":{"c":"x,y","d":{}},"e":[1,"2"],"f":null,"g":true}}"#);
        let Rows { rows, has_more } = table.rows(&document);
        let expected = [["a", "1.5"], ["b.c", "x,y"], ["b.d", "{}"], ["e", "[1,\"2\"]"], ["f", ""], ["g", "true"]];
        assert_eq!(rows, expected);
        assert!(!has_more);
    }

    #[test]
    fn the_columns_are_the_members_that_the_contract_names() {
        assert_eq!(
            Table::of(DEVICE_1_1).header(),
            [
                "timestamp",
                "device.id",
                "device.type",
                "device.location",
                "metrics.temperature_celsius",
                "metrics.humidity_percent",
                "metrics.pressure_hpa",
                "metadata.operator",
                "metadata.batch_id",
                "metadata.notes",
            ]
        );
        let header = Table::of(ENTERPRISE_1_1).header();
        for name in ["request.assets.rack_ids", "request.preferences", "payload", "request.signals.thermal.pue_current"]
        {
            assert!(header.iter().any(|found| found == name), "{name}: {header:?}");
        }
    }

    #[test]
    fn each_column_has_the_type_of_its_member() {
        use CellType::{Number, Text, Time};
        let typed = |contract| {
            let table = Table::of(contract);
            table.header().into_iter().zip(table.types().to_vec()).collect::<Vec<_>>()
        };
        for contract in all() {
            assert_eq!(Table::of(contract.id()).types().len(), typed(contract.id()).len(), "{}", contract.id());
        }
        assert_eq!(typed(SIMPLE_1_0), [("metric".to_owned(), Text), ("value".to_owned(), Text)]);
        for (contract, name, expected) in [
            (DEVICE_1_1, "timestamp", Time),
            (DEVICE_1_1, "device.id", Text),
            (DEVICE_1_1, "metrics.humidity_percent", Number),
            (DEVICE_2_0, "value", Number),
            (DEVICE_2_0, "metric", Text),
            (ENTERPRISE_1_1, "request.time_window.end_utc", Time),
            (ENTERPRISE_1_1, "request.time_window.granularity_seconds", Number),
            (ENTERPRISE_1_1, "request.assets.rack_ids", Text),
        ] {
            assert!(typed(contract).contains(&(name.to_owned(), expected)), "{contract} {name}: {:?}", typed(contract));
        }
    }

    #[test]
    fn tells_of_a_value_without_a_column() {
        let table = Table::of(ENTERPRISE_1_1);
        let with = |assets: &str| {
            table.rows(&parsed(&format!(r#"{{"schema_version":"1.1","request":{{"assets":{assets}}}}}"#)))
        };
        assert!(!with(r#"{"site_id":"s"}"#).has_more);
        assert!(with(r#"{"site_id":"s","building":"b"}"#).has_more);
    }
}
