//! Converts CSV rows to documents, by a header row that names their members.

use csv::{ByteRecord, ReaderBuilder};
use mass_domain::contracts::{Columns, ContractId, HeaderError};
use mass_domain::json::{SyntaxError, Value};
use mass_domain::records::RawRecord;

/// The reasons for which a header row is invalid.
#[derive(Debug, Clone, thiserror::Error)]
pub enum InvalidHeader {
    /// It begins with a byte order mark.
    #[error("it begins with a byte order mark, which would be part of the first column's name")]
    ByteOrderMark,
    /// It is longer than a record may be.
    #[error("it is too long")]
    TooLong,
    /// It is not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// Its columns do not form a document.
    #[error(transparent)]
    Columns(#[from] HeaderError),
}

/// A parsed header row.
#[derive(Debug)]
pub struct Header {
    contract: ContractId,
    columns: Columns,
    /// The row as it stands in the stream.
    text: Vec<u8>,
    /// The headers that name members.
    names: Vec<String>,
    /// The indexes of their columns.
    places: Vec<usize>,
    /// The number of columns, without nameless ones at the end.
    width: usize,
    /// The number of nameless columns at the end: some programs end the header row, and perhaps each row, with a comma.
    nameless: usize,
}

impl Header {
    /// Parses the header row of documents under a contract. Columns with ignored names are not members.
    ///
    /// # Errors
    /// [`InvalidHeader`].
    pub fn parse(contract: ContractId, row: &RawRecord<'_>, ignored: &[&str]) -> Result<Self, InvalidHeader> {
        if row.bytes.starts_with("\u{feff}".as_bytes()) {
            return Err(InvalidHeader::ByteOrderMark);
        }
        if row.too_long {
            return Err(InvalidHeader::TooLong);
        }
        let cells = cells(row.bytes);
        let names: Result<Vec<&str>, _> = cells.iter().map(std::str::from_utf8).collect();
        let mut names = names.map_err(|_| InvalidHeader::NotUtf8)?;
        let width = names.iter().rposition(|name| !name.trim().is_empty()).map_or(names.len(), |last| last + 1);
        let nameless = names.split_off(width).len();
        let names = names.into_iter().map(str::to_owned).enumerate();
        let (places, names): (_, Vec<_>) = names.filter(|(_, name)| !ignored.contains(&name.trim())).unzip();
        let columns = Columns::new(contract, names.iter().map(String::as_str))?;
        Ok(Self { contract, columns, text: row.bytes.to_vec(), names, places, width, nameless })
    }

    /// Returns the contract of the documents.
    #[must_use]
    pub const fn contract(&self) -> ContractId {
        self.contract
    }

    /// Returns the row as it stands in the stream.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Returns the headers that name members, as written.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the cells of a row that are members, or all cells if they do not match the header row.
    #[must_use]
    pub fn cells(&self, row: &[u8]) -> ByteRecord {
        let cells = cells(row);
        if self.fits(&cells) { self.members(&cells).collect() } else { cells }
    }

    /// Converts a row to a document.
    ///
    /// # Errors
    /// The fault of the row.
    pub fn document(&self, row: &[u8]) -> Result<Value, SyntaxError> {
        let cells = cells(row);
        if !self.fits(&cells) {
            let detail = format!("The record has {} cells, but the header row has {}.", cells.len(), self.width);
            return Err(fault("cells", detail));
        }
        let texts: Result<Vec<&str>, _> = self.members(&cells).map(std::str::from_utf8).collect();
        match texts {
            Ok(texts) => Ok(self.columns.document(texts)),
            Err(_) => Err(fault("invalid_utf8", "The record is not UTF-8.".to_owned())),
        }
    }

    /// Returns true if a row has a cell for each column, and only empty ones in nameless columns.
    fn fits(&self, cells: &ByteRecord) -> bool {
        let beyond = cells.len().checked_sub(self.width);
        beyond.is_some_and(|beyond| beyond <= self.nameless) && cells.iter().skip(self.width).all(<[u8]>::is_empty)
    }

    fn members<'a>(&'a self, cells: &'a ByteRecord) -> impl Iterator<Item = &'a [u8]> {
        self.places.iter().filter_map(|place| cells.get(*place))
    }
}

/// Builds the fault of a whole row.
const fn fault(code: &'static str, detail: String) -> SyntaxError {
    SyntaxError { code, detail, line: 1, column: 1 }
}

/// Splits a row into its cells.
fn cells(row: &[u8]) -> ByteRecord {
    let mut reader = ReaderBuilder::new();
    reader.has_headers(false).flexible(true).buffer_capacity(row.len().max(1));
    let mut cells = ByteRecord::with_capacity(row.len(), 16);
    // Reading from memory cannot fail, and every text is a valid row.
    let _ = reader.from_reader(row).read_byte_record(&mut cells);
    cells
}

#[cfg(test)]
mod tests {
    use mass_domain::canonical;
    use mass_domain::contracts::SIMPLE_1_0;

    use super::*;

    fn header(row: &[u8], ignored: &[&str]) -> Result<Header, InvalidHeader> {
        Header::parse(SIMPLE_1_0, &RawRecord { line: 1, bytes: row, too_long: false }, ignored)
    }

    #[test]
    fn a_row_is_a_document_under_its_header() {
        let header = header(b"a,\"b.c\",d", &[]).unwrap();
        let document = header.document("1,\"x\"\"\r\n, y\",".as_bytes()).unwrap();
        assert_eq!(canonical::write(&document), r#"{"payload":{"a":"1","b":{"c":"x\"\r\n, y"}}}"#);
        let fault = |row: &[u8]| header.document(row).unwrap_err();
        assert_eq!(fault(b"1,2").detail, "The record has 2 cells, but the header row has 3.");
        assert_eq!(fault(b"1,2,3,4").code, "cells");
        assert_eq!(fault(b"1,\xff,3").code, "invalid_utf8");
    }

    #[test]
    fn a_comma_too_many_at_the_end_of_the_header_row_is_no_column() {
        let header = header(b"a,b, ,", &[]).unwrap();
        assert_eq!(header.names(), ["a", "b"]);
        for row in [&b"1,2"[..], b"1,2,", b"1,2,,"] {
            assert_eq!(canonical::write(&header.document(row).unwrap()), r#"{"payload":{"a":"1","b":"2"}}"#);
            assert_eq!(header.cells(row), vec!["1", "2"]);
        }
        for row in [&b"1"[..], b"1,2,3", b"1,2,,,"] {
            assert_eq!(header.document(row).unwrap_err().code, "cells");
        }
        assert!(self::header(b"a,,b", &[]).unwrap_err().to_string().contains("column 2"));
        assert!(self::header(b",", &[]).is_err());
    }

    #[test]
    fn ignored_columns_are_no_members() {
        let header = header(b"a, x ,b,y", &["x", "y"]).unwrap();
        assert_eq!(header.names(), ["a", "b"]);
        let document = header.document(b"1,2,3,\xff").unwrap();
        assert_eq!(canonical::write(&document), r#"{"payload":{"a":"1","b":"3"}}"#);
        assert_eq!(header.cells(b"1,2,3,4"), vec!["1", "3"]);
        assert_eq!(header.cells(b"1,2,3"), vec!["1", "2", "3"]);
    }

    #[test]
    fn a_header_that_is_no_shape_of_a_document_is_refused() {
        let refused = |row: &[u8]| header(row, &[]).unwrap_err().to_string();
        assert!(refused("\u{feff}a,b".as_bytes()).contains("byte order mark"));
        assert_eq!(refused(b"\xff"), "it is not UTF-8");
        assert!(refused(b"a,a").contains("occurs twice"));
        let cut = Header::parse(SIMPLE_1_0, &RawRecord { line: 1, bytes: b"a,b", too_long: true }, &[]);
        assert_eq!(cut.unwrap_err().to_string(), "it is too long");
    }
}
