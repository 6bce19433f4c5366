//! Requests as they are exported: lines of JSON, or rows of CSV or Parquet under the columns of a contract.

#[cfg(not(feature = "parquet"))]
#[path = "exported/no_parquet.rs"]
mod parquet_rows;
#[cfg(feature = "parquet")]
mod parquet_rows;

use anyhow::Context;
use csv::WriterBuilder;
use mass_domain::contracts::{ContractId, Rows, Table};
use mass_domain::json;
use mass_service::ExportedRequest;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

pub use self::parquet_rows::{ParquetRows, ParquetTable};
use crate::http::mass::shapes::MassRequestSummary;

/// The columns before those of a document, where a document has a row for each metric.
const OF_REQUEST: [&str; 2] = ["request_id", "created_at"];

/// A request in an export.
#[derive(Serialize, JsonSchema)]
pub struct MassRequestExport {
    /// All but the document.
    #[serde(flatten)]
    pub summary: MassRequestSummary,
    /// The natural key, unique within tenant and contract; `simple/1.0` has none.
    pub natural_key: Option<String>,
    /// The normalised document.
    #[schemars(with = "Map<String, Value>")]
    pub document: Box<RawValue>,
}

/// Appends the line of a request, with its line feed.
///
/// # Errors
/// When the stored document is no JSON: something else than MASS wrote it.
pub fn write_line(exported: ExportedRequest, text: &mut Vec<u8>) -> anyhow::Result<()> {
    let ExportedRequest { request, natural_key } = exported;
    let document = RawValue::from_string(request.document).context("a stored document is no JSON")?;
    let export = MassRequestExport { summary: request.summary.into(), natural_key, document };
    serde_json::to_writer(&mut *text, &export)?;
    text.push(b'\n');
    Ok(())
}

/// Writes documents of one contract as rows of CSV.
///
/// Cells are the values as they are: a text that a spreadsheet would take for a formula stays one.
#[derive(Debug)]
pub struct CsvRows {
    table: Table,
    /// The number of documents with a value that no cell shows.
    incomplete: u64,
}

impl CsvRows {
    /// Begins with no rows.
    #[must_use]
    pub fn new(contract: ContractId) -> Self {
        Self { table: Table::of(contract), incomplete: 0 }
    }

    /// Returns the header row.
    ///
    /// # Errors
    /// None in practice: the row is written to memory.
    pub fn header(&self) -> anyhow::Result<Vec<u8>> {
        let own = if self.table.is_long() { &OF_REQUEST[..] } else { &[] };
        csv([own.iter().map(|name| (*name).to_owned()).chain(self.table.header()).collect::<Vec<_>>()])
    }

    /// Returns the rows of a document: of the request with this id, stored at this instant.
    ///
    /// # Errors
    /// When the document is no JSON.
    pub fn rows(&mut self, id: &str, created_at: &str, document: &str) -> anyhow::Result<Vec<u8>> {
        let document = json::parse(document.as_bytes()).context("a stored document is no JSON")?;
        let Rows { rows, has_more } = self.table.rows(&document);
        self.incomplete += u64::from(has_more);
        let is_long = self.table.is_long();
        let own = || is_long.then(|| [id.to_owned(), created_at.to_owned()]).into_iter().flatten();
        csv(rows.into_iter().map(|row| own().chain(row).collect::<Vec<_>>()))
    }

    /// Returns the number of documents with a value that no cell shows, since the contract does not name its member.
    #[must_use]
    pub const fn incomplete(&self) -> u64 {
        self.incomplete
    }
}

/// Returns rows as CSV.
///
/// # Errors
/// None in practice: it is written to memory.
pub fn csv<R, C>(rows: impl IntoIterator<Item = R>) -> anyhow::Result<Vec<u8>>
where
    R: IntoIterator<Item = C>,
    C: AsRef<[u8]>,
{
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    for row in rows {
        writer.write_record(row)?;
    }
    writer.into_inner().context("rows in memory")
}

#[cfg(test)]
mod tests {
    use mass_domain::contracts::{DEVICE_1_1, SIMPLE_1_0};

    use super::*;

    fn text(bytes: anyhow::Result<Vec<u8>>) -> String {
        String::from_utf8(bytes.unwrap()).unwrap()
    }

    #[test]
    fn cells_are_quoted_where_they_have_to_be() {
        let mut rows = CsvRows::new(SIMPLE_1_0);
        assert_eq!(text(rows.header()), "request_id,created_at,metric,value\n");
        let document = r#"{"payload":{"a":"x,\"y\"\n","b":"=1+1","c":null}}"#;
        let expected = "id,at,a,\"x,\"\"y\"\"\n\"\nid,at,b,=1+1\nid,at,c,\n";
        assert_eq!(text(rows.rows("id", "at", document)), expected);
    }

    #[test]
    fn a_document_of_named_members_is_one_row_without_more() {
        let mut rows = CsvRows::new(DEVICE_1_1);
        assert!(text(rows.header()).starts_with("timestamp,device.id,"));
        let document = r#"{"device":{"id":"d"},"mass_version":"1.1","timestamp":"t"}"#;
        assert_eq!(text(rows.rows("id", "at", document)), "t,d,,,,,,,,\n");
        assert_eq!(rows.incomplete(), 0);
    }
}
