//! Rows of Parquet: the columns of the CSV, with types, in row groups of bounded size.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use mass_domain::contracts::{CellType, ContractId, Rows, Table};
use mass_domain::json;
use mass_domain::time::DocumentTime;
use parquet::basic::{Compression, ConvertedType, Repetition, Type as PhysicalType, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::OF_REQUEST;

/// The most rows of a row group, unless one document has more.
const ROWS: usize = 65_536;

/// The bytes of cells after which a row group ends.
const BYTES: usize = 8 << 20;

/// Collects what a writer writes, until it is taken.
#[derive(Debug, Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The cells of a column of the next row group. An empty cell has the level 0 and no value.
#[derive(Debug)]
struct Cells {
    levels: Vec<i16>,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Text(Vec<ByteArray>),
    Number(Vec<f64>),
    /// In microseconds since 1970.
    Time(Vec<i64>),
}

impl Cells {
    const fn new(of: CellType) -> Self {
        let values = match of {
            CellType::Text => Values::Text(Vec::new()),
            CellType::Number => Values::Number(Vec::new()),
            CellType::Time => Values::Time(Vec::new()),
        };
        Self { levels: Vec::new(), values }
    }

    fn push(&mut self, cell: &str) -> anyhow::Result<()> {
        self.levels.push(i16::from(!cell.is_empty()));
        if cell.is_empty() {
            return Ok(());
        }
        match &mut self.values {
            Values::Text(values) => values.push(cell.into()),
            Values::Number(values) => values.push(cell.parse().context("a stored number")?),
            Values::Time(values) => {
                let time: DocumentTime = cell.parse().context("a stored time")?;
                values.push(time.instant().unix_micros());
            }
        }
        Ok(())
    }
}

/// Writes rows of Parquet under typed columns.
pub struct ParquetTable {
    writer: SerializedFileWriter<Sink>,
    sink: Sink,
    columns: Vec<Cells>,
    rows: usize,
    bytes: usize,
}

impl ParquetTable {
    /// True if this build writes Parquet.
    pub const IS_BUILT: bool = true;

    /// Begins with no rows.
    ///
    /// # Errors
    /// When two columns have the same name.
    pub fn new(columns: &[(String, CellType)]) -> anyhow::Result<Self> {
        let fields = columns.iter().map(|(name, of)| Ok(Arc::new(field(name, *of)?)));
        let fields = fields.collect::<Result<_, ParquetError>>()?;
        let schema = Type::group_type_builder("document").with_fields(fields).build()?;
        let level = ZstdLevel::try_new(1)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            // The footer has to be kept until the end, and would be several times as large with an index of pages.
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .build();
        let sink = Sink::default();
        let writer = SerializedFileWriter::new(sink.clone(), Arc::new(schema), Arc::new(properties))?;
        let columns = columns.iter().map(|(_, of)| Cells::new(*of)).collect();
        Ok(Self { writer, sink, columns, rows: 0, bytes: 0 })
    }

    /// Adds a row, with a cell for each column; an empty one is null.
    ///
    /// # Errors
    /// When a cell is not of its column's type.
    pub fn push<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) -> anyhow::Result<()> {
        self.rows += 1;
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            self.bytes += cell.len() + size_of::<ByteArray>();
            column.push(cell)?;
        }
        Ok(())
    }

    /// Returns what can be sent by now.
    ///
    /// # Errors
    /// None in practice: the file is written to memory.
    pub fn written(&mut self) -> anyhow::Result<Vec<u8>> {
        if self.rows >= ROWS || self.bytes >= BYTES {
            self.write_group()?;
        }
        Ok(self.sink.take())
    }

    /// Writes the last row group and the end of the file.
    ///
    /// # Errors
    /// None in practice: the file is written to memory.
    pub fn finish(&mut self) -> anyhow::Result<Vec<u8>> {
        if self.rows > 0 {
            self.write_group()?;
        }
        self.writer.finish()?;
        Ok(self.sink.take())
    }

    fn write_group(&mut self) -> anyhow::Result<()> {
        let mut group = self.writer.next_row_group()?;
        for Cells { levels, values } in &mut self.columns {
            let mut column = group.next_column()?.context("the schema has fewer columns than the table")?;
            match values {
                Values::Text(values) => column.typed::<ByteArrayType>().write_batch(values, Some(levels), None)?,
                Values::Number(values) => column.typed::<DoubleType>().write_batch(values, Some(levels), None)?,
                Values::Time(values) => column.typed::<Int64Type>().write_batch(values, Some(levels), None)?,
            };
            column.close()?;
            levels.clear();
            match values {
                Values::Text(values) => values.clear(),
                Values::Number(values) => values.clear(),
                Values::Time(values) => values.clear(),
            }
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

/// Writes documents of one contract as rows of Parquet, under the columns of the CSV.
pub struct ParquetRows {
    table: Table,
    file: ParquetTable,
    /// The number of documents with a value that no cell shows.
    incomplete: u64,
}

impl ParquetRows {
    /// True if this build writes Parquet.
    pub const IS_BUILT: bool = true;

    /// Begins with no rows.
    ///
    /// # Errors
    /// None in practice: the columns of every contract have a schema.
    pub fn new(contract: ContractId) -> anyhow::Result<Self> {
        let table = Table::of(contract);
        let own = if table.is_long() { &OF_REQUEST[..] } else { &[] };
        let own = own.iter().map(|name| (*name).to_owned()).zip([CellType::Text, CellType::Time]);
        let columns: Vec<(String, CellType)> =
            own.chain(table.header().into_iter().zip(table.types().to_vec())).collect();
        Ok(Self { table, file: ParquetTable::new(&columns)?, incomplete: 0 })
    }

    /// Adds the rows of a document: of the request with this id, stored at this instant. Returns what can be sent by now.
    ///
    /// # Errors
    /// When the document is not one of the contract.
    pub fn add(&mut self, id: &str, created_at: &str, document: &str) -> anyhow::Result<Vec<u8>> {
        let document = json::parse(document.as_bytes()).context("a stored document is no JSON")?;
        let Rows { rows, has_more } = self.table.rows(&document);
        self.incomplete += u64::from(has_more);
        let own = if self.table.is_long() { &[id, created_at][..] } else { &[] };
        for row in rows {
            self.file.push(own.iter().copied().chain(row.iter().map(String::as_str)))?;
        }
        self.file.written()
    }

    /// Writes the last row group and the end of the file.
    ///
    /// # Errors
    /// None in practice: the file is written to memory.
    pub fn finish(&mut self) -> anyhow::Result<Vec<u8>> {
        self.file.finish()
    }

    /// Returns the number of documents with a value that no cell shows, since the contract does not name its member.
    #[must_use]
    pub const fn incomplete(&self) -> u64 {
        self.incomplete
    }
}

/// Builds the schema of a column.
fn field(name: &str, of: CellType) -> Result<Type, ParquetError> {
    let (physical, converted) = match of {
        CellType::Text => (PhysicalType::BYTE_ARRAY, ConvertedType::UTF8),
        CellType::Number => (PhysicalType::DOUBLE, ConvertedType::NONE),
        CellType::Time => (PhysicalType::INT64, ConvertedType::TIMESTAMP_MICROS),
    };
    let builder = Type::primitive_type_builder(name, physical).with_converted_type(converted);
    builder.with_repetition(Repetition::OPTIONAL).build()
}

#[cfg(test)]
mod tests {
    use std::io::Seek;

    use mass_domain::contracts::{DEVICE_1_1, DEVICE_2_0, SIMPLE_1_0};
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    use super::*;

    /// Writes documents, and opens the file.
    fn file(contract: ContractId, documents: impl IntoIterator<Item = String>) -> SerializedFileReader<std::fs::File> {
        let mut rows = ParquetRows::new(contract).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        for document in documents {
            file.write_all(&rows.add("id", "2026-11-24T18:00:00Z", &document).unwrap()).unwrap();
        }
        file.write_all(&rows.finish().unwrap()).unwrap();
        file.rewind().unwrap();
        SerializedFileReader::new(file).unwrap()
    }

    fn metric(name: &str, value: &str) -> String {
        format!(
            r#"{{"device":{{"id":"d"}},"mass_version":"2.0","metrics":{{"{name}":{value}}},"timestamp":"2026-11-24T17:59:00.5Z"}}"#
        )
    }

    #[test]
    fn columns_have_types_and_absent_values_are_null() {
        let read = file(DEVICE_2_0, [metric("power_kw", "1.5"), metric("power_kw", "null")]);
        let rows: Vec<_> = read.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        let names: Vec<&String> = rows[0].get_column_iter().map(|(name, _)| name).collect();
        assert_eq!(names[..3], ["request_id", "created_at", "timestamp"]);
        assert_eq!(rows[0].get_timestamp_micros(2).unwrap(), 1_795_543_140_500_000);
        let last = names.len() - 1;
        assert_eq!(
            (rows[0].get_string(last - 1).unwrap().as_str(), rows[0].get_double(last).unwrap()),
            ("power_kw", 1.5)
        );
        assert!(rows[1].get_double(last).is_err(), "null");
    }

    #[test]
    fn a_file_without_rows_has_its_columns() {
        let read = file(DEVICE_1_1, []);
        assert_eq!(read.metadata().file_metadata().schema().get_fields().len(), Table::of(DEVICE_1_1).header().len());
        assert_eq!(read.metadata().file_metadata().num_rows(), 0);
    }

    #[test]
    fn row_groups_are_bounded_by_rows_and_bytes() {
        let short = (0..150_000).map(|number| format!(r#"{{"payload":{{"a":{number}}}}}"#));
        let read = file(SIMPLE_1_0, short);
        assert_eq!((read.metadata().file_metadata().num_rows(), read.num_row_groups()), (150_000, 3));
        let long = (0..100).map(|_| format!(r#"{{"payload":{{"a":"{}"}}}}"#, "x".repeat(200_000)));
        let read = file(SIMPLE_1_0, long);
        assert_eq!((read.metadata().file_metadata().num_rows(), read.num_row_groups()), (100, 3));
    }
}
