//! Documents out of tables: one column per member, its header the member's path with dots.

use super::rules::Kind;
use super::{Contract, ContractId, Marker, get};
use crate::json::{MAX_DEPTH, Value};

/// Why a header row cannot be the shape of a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// No contract of this id is registered.
    #[error("unknown contract \"{0}\"")]
    UnknownContract(ContractId),
    /// A header, or a part of it between dots, is empty. Columns are counted from 1.
    #[error("column {0} has an empty header, or a header with an empty part")]
    Empty(usize),
    /// A header occurs twice.
    #[error("the header \"{0}\" occurs twice")]
    Repeated(String),
    /// A header makes an object of what another header makes a single value.
    #[error("the header \"{longer}\" makes an object of what the header \"{shorter}\" makes a single value")]
    Collision {
        /// The header of the single value.
        shorter: String,
        /// The header of a member of it.
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
    /// Whether the contract types the member as a boolean, which a cell cannot tell by itself.
    boolean: bool,
}

impl Columns {
    /// Reads the header row. For `simple/1.0` the headers name members of the payload, with or without `payload.`.
    ///
    /// # Errors
    /// [`HeaderError`], which names the header.
    pub fn new<'a>(contract: ContractId, headers: impl IntoIterator<Item = &'a str>) -> Result<Self, HeaderError> {
        let contract = get(contract).ok_or(HeaderError::UnknownContract(contract))?;
        let columns = headers.into_iter().enumerate().map(|(index, header)| Column::new(contract, index + 1, header));
        let columns: Vec<_> = columns.collect::<Result<_, _>>()?;
        let mut paths: Vec<_> = columns.iter().map(|column| column.path.as_slice()).collect();
        paths.sort_unstable();
        // Sorted, a path is followed at once by those that begin with it.
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

    /// The document of a row. An empty cell is an absent member, and so is an object without any member.
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
        let boolean = kind_at(contract.body, &path).is_some_and(Kind::is_boolean);
        Ok(Self { path, boolean })
    }

    fn value(&self, cell: &str) -> Value {
        match cell.trim() {
            "true" if self.boolean => Value::Bool(true),
            "false" if self.boolean => Value::Bool(false),
            _ => Value::String(cell.to_owned()),
        }
    }
}

/// The kind of the member that a path leads to.
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
