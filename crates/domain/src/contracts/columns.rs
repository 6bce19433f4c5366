//! Documents from CSV rows: one column per member. A header is the path of the member, with dots.

use super::rules::Kind;
use super::{Contract, ContractId, Marker, get};
use crate::json::{self, MAX_DEPTH, Value};

/// Reason why a header row does not describe a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The contract is not registered.
    #[error("unknown contract \"{0}\"")]
    UnknownContract(ContractId),
    /// A header, or a part of it between dots, is empty. Columns are counted from 1.
    #[error("column {0} has an empty header, or a header with an empty part")]
    Empty(usize),
    /// A header occurs twice.
    #[error("the header \"{0}\" occurs twice")]
    Repeated(String),
    /// One header names an object where another header names a single value.
    #[error("the header \"{longer}\" needs an object where the header \"{shorter}\" has a single value")]
    Collision {
        /// The header of the single value.
        shorter: String,
        /// The header of a member below it.
        longer: String,
    },
    /// A header has more parts than a document may have levels.
    #[error("the header \"{0}\" is nested too deeply")]
    TooDeep(String),
}

/// The columns of a table whose rows are documents of one contract.
#[derive(Debug)]
pub struct Columns {
    contract: &'static Contract,
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    path: Vec<String>,
    /// True if the contract declares the member a boolean, which the text of a cell cannot show.
    boolean: bool,
    /// True if the contract declares the member an array or an object, which a cell shows as JSON.
    json: bool,
}

impl Columns {
    /// Parses the header row. For `simple/1.0`, headers name members of the payload, with or without the prefix
    /// `payload.`.
    ///
    /// # Errors
    /// [`HeaderError`] with the header.
    pub fn new<'a>(contract: ContractId, headers: impl IntoIterator<Item = &'a str>) -> Result<Self, HeaderError> {
        let contract = get(contract).ok_or(HeaderError::UnknownContract(contract))?;
        let columns = headers.into_iter().enumerate().map(|(index, header)| Column::new(contract, index + 1, header));
        let columns: Vec<_> = columns.collect::<Result<_, _>>()?;
        let mut paths: Vec<_> = columns.iter().map(|column| column.path.as_slice()).collect();
        paths.sort_unstable();
        // After sorting, a path is directly followed by the paths that extend it.
        for pair in paths.windows(2) {
            let (shorter, longer) = (pair[0], pair[1]);
            if shorter == longer {
                return Err(HeaderError::Repeated(longer.join(".")));
            }
            if longer.starts_with(shorter) {
                return Err(HeaderError::Collision { shorter: shorter.join("."), longer: longer.join(".") });
            }
        }
        Ok(Self { contract, columns })
    }

    /// Builds the document of a row. Omits empty cells, and objects without members.
    pub fn document<'a>(&self, cells: impl IntoIterator<Item = &'a str>) -> Value {
        let mut members = Vec::new();
        for (column, cell) in self.columns.iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
            insert(&mut members, &column.path, column.value(cell));
        }
        let marker = self.contract.marker;
        match marker {
            Marker::Version(member) if members.iter().any(|(key, _)| key == member) => Value::Object(members),
            Marker::Version(_) | Marker::Payload(_) => marker.wrap(self.contract.id, members),
        }
    }
}

impl Column {
    fn new(contract: &Contract, number: usize, header: &str) -> Result<Self, HeaderError> {
        let header = header.trim();
        let header = match contract.marker {
            Marker::Payload(member) => {
                header.strip_prefix(member).and_then(|rest| rest.strip_prefix('.')).unwrap_or(header)
            }
            Marker::Version(_) => header,
        };
        let path: Vec<_> = header.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err(HeaderError::Empty(number));
        }
        if path.len() >= MAX_DEPTH {
            return Err(HeaderError::TooDeep(header.to_owned()));
        }
        let kind = kind_at(contract.body, &path);
        let boolean = kind.is_some_and(Kind::is_boolean);
        let is_json = |kind: &dyn Kind| matches!(kind.schema()["type"].as_str(), Some("array" | "object"));
        let json = matches!(contract.marker, Marker::Version(_)) && kind.is_some_and(is_json);
        Ok(Self { path, boolean, json })
    }

    fn value(&self, cell: &str) -> Value {
        match cell.trim() {
            "true" if self.boolean => Value::Bool(true),
            "false" if self.boolean => Value::Bool(false),
            text if self.json => match json::parse(text.as_bytes()) {
                Ok(value @ (Value::Array(_) | Value::Object(_))) => value,
                _ => Value::String(cell.to_owned()),
            },
            _ => Value::String(cell.to_owned()),
        }
    }
}

/// Finds the kind of the member at a path.
fn kind_at(body: &'static dyn Kind, path: &[String]) -> Option<&'static dyn Kind> {
    path.iter()
        .try_fold(body, |kind, name| kind.fields().iter().find_map(|field| (field.name == name).then_some(field.kind)))
}

fn insert(members: &mut Vec<(String, Value)>, path: &[String], value: Value) {
    let [name, rest @ ..] = path else { return };
    if rest.is_empty() {
        members.push((name.clone(), value));
        return;
    }
    let index = members.iter().position(|(key, _)| key == name).unwrap_or_else(|| {
        members.push((name.clone(), Value::Object(Vec::new())));
        members.len() - 1
    });
    if let Some((_, Value::Object(inner))) = members.get_mut(index) {
        insert(inner, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DEVICE_1_1, ENTERPRISE_1_1, SIMPLE_1_0, ValidationContext, validate};
    use super::*;
    use crate::canonical;

    fn row(contract: ContractId, headers: &[&str], cells: &[&str]) -> String {
        let columns = Columns::new(contract, headers.iter().copied()).unwrap();
        canonical::write(&columns.document(cells.iter().copied()))
    }

    fn refused(contract: ContractId, headers: &[&str]) -> String {
        Columns::new(contract, headers.iter().copied()).unwrap_err().to_string()
    }

    const READING: [&str; 9] = [
        "timestamp",
        "device.id",
        "device.type",
        "device.location",
        "metrics.temperature_celsius",
        "metrics.humidity_percent",
        "metrics.pressure_hpa",
        "metadata.operator",
        "metadata.batch_id",
    ];

    #[test]
    fn csv_row_of_readings_becomes_a_valid_document() {
        let cells = ["2013-01-01T06:00:00Z", "d-1", "weather-station", "Roof", "4.40", "57.33", "1011.9", "ana", "b-1"];
        let columns = Columns::new(DEVICE_1_1, READING).unwrap();
        let context = ValidationContext { now: "2026-11-24T18:00:00Z".parse().unwrap(), body_bytes: 0 };
        let examined = validate(&columns.document(cells), &context).unwrap();
        assert_eq!(examined.contract, DEVICE_1_1);
        assert_eq!(examined.index.natural_key.as_deref(), Some("d-1@2013-01-01T06:00:00Z"));
        let mut lacking = cells;
        lacking[6] = "";
        let violations = validate(&columns.document(lacking), &context).unwrap_err().violations;
        let found: Vec<_> = violations.iter().map(|found| (found.code.as_str(), found.pointer.as_str())).collect();
        assert_eq!(found, [("required", "/metrics/pressure_hpa")]);
    }

    #[test]
    fn dots_in_headers_nest_and_empty_cells_are_absent() {
        let headers = ["device.id", "metrics.x", "device.type", "metadata.a.b", "metadata.a.c"];
        assert_eq!(
            row(DEVICE_1_1, &headers, &["d", "", " t ", "1", ""]),
            r#"{"device":{"id":"d","type":" t "},"mass_version":"1.1","metadata":{"a":{"b":"1"}}}"#
        );
        assert_eq!(row(DEVICE_1_1, &headers, &["", "", "", "", ""]), r#"{"mass_version":"1.1"}"#);
        assert_eq!(
            row(DEVICE_1_1, &["mass_version", "timestamp"], &["2.0", "now"]),
            r#"{"mass_version":"2.0","timestamp":"now"}"#
        );
        assert_eq!(row(DEVICE_1_1, &["mass_version"], &[""]), r#"{"mass_version":"1.1"}"#);
    }

    #[test]
    fn simple_row_becomes_a_payload_with_or_without_the_prefix() {
        let expected = r#"{"payload":{"a":{"b":"1"},"c":"true","payload":"x"}}"#;
        assert_eq!(row(SIMPLE_1_0, &["payload.a.b", "payload.c", "payload"], &["1", "true", "x"]), expected);
        assert_eq!(row(SIMPLE_1_0, &["a.b", " c ", "payload.payload"], &["1", "true", "x"]), expected);
        assert_eq!(row(SIMPLE_1_0, &["a"], &[""]), r#"{"payload":{}}"#);
    }

    #[test]
    fn converts_cells_to_booleans_only_where_the_contract_does() {
        let flag = "request.constraints.hard.no_control_actions";
        let document = |cell| row(ENTERPRISE_1_1, &[flag, "request.mode", "payload.on"], &[cell, "true", "false"]);
        let with = |value: &str| {
            let constraints = format!(r#"{{"hard":{{"no_control_actions":{value}}}}}"#);
            let request = format!(r#"{{"constraints":{constraints},"mode":"true"}}"#);
            format!(r#"{{"payload":{{"on":"false"}},"request":{request},"schema_version":"1.1"}}"#)
        };
        assert_eq!(document("true"), with("true"));
        assert_eq!(document(" false "), with("false"));
        assert_eq!(document("TRUE"), with(r#""TRUE""#));
    }

    #[test]
    fn reads_a_cell_as_json_only_where_the_contract_has_an_array_or_an_object() {
        let document = |cell| row(ENTERPRISE_1_1, &["request.assets.rack_ids", "correlation_id"], &[cell, cell]);
        let with = |ids: &str, text: &str| {
            let request = format!(r#"{{"assets":{{"rack_ids":{ids}}}}}"#);
            format!(r#"{{"correlation_id":{text},"request":{request},"schema_version":"1.1"}}"#)
        };
        assert_eq!(document(r#"["a"]"#), with(r#"["a"]"#, r#""[\"a\"]""#));
        assert_eq!(document("a"), with(r#""a""#, r#""a""#));
        assert_eq!(document("7"), with(r#""7""#, r#""7""#));
        assert_eq!(row(SIMPLE_1_0, &["payload"], &["[1]"]), r#"{"payload":{"payload":"[1]"}}"#);
    }

    #[test]
    fn refuses_impossible_header_rows_and_names_the_header() {
        assert_eq!(
            refused(DEVICE_1_1, &["ab", "a.b.c", "x", "a", "a.d"]),
            "the header \"a.b.c\" needs an object where the header \"a\" has a single value"
        );
        assert_eq!(refused(DEVICE_1_1, &["a.b", "c", "a.b"]), "the header \"a.b\" occurs twice");
        assert_eq!(refused(SIMPLE_1_0, &["payload.a", "a"]), "the header \"a\" occurs twice");
        for empty in ["", " ", ".", "a.", ".a", "a..b"] {
            assert_eq!(
                refused(DEVICE_1_1, &["x", empty]),
                "column 2 has an empty header, or a header with an empty part"
            );
        }
        let deep = vec!["a"; 32].join(".");
        assert_eq!(refused(DEVICE_1_1, &[&deep]), format!("the header \"{deep}\" is nested too deeply"));
        assert!(Columns::new(SIMPLE_1_0, [vec!["a"; 31].join(".").as_str()]).is_ok());
        assert!(Columns::new(DEVICE_1_1, ["ab", "a.b", "a.bc", "abc"]).is_ok());
    }
}
