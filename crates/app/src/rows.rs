//! Documents out of rows of CSV, under a header row that names their members.

use csv::{ByteRecord, ReaderBuilder};
use mass_domain::contracts::{Columns, ContractId, HeaderError};
use mass_domain::json::{SyntaxError, Value};

/// Why a header row cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InvalidHeader {
    /// It begins with a byte order mark.
    #[error("it begins with a byte order mark, which would be part of the first column's name")]
    ByteOrderMark,
    /// It is not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// It is not the shape of a document.
    #[error(transparent)]
    Columns(#[from] HeaderError),
}

/// A header row, to read the rows below it by.
#[derive(Debug)]
pub struct Header {
    columns: Columns,
    width: usize,
}

impl Header {
    /// Reads the header row of documents under a contract.
    ///
    /// # Errors
    /// [`InvalidHeader`], which says what is wrong with it.
    pub fn parse(contract: ContractId, row: &[u8]) -> Result<Self, InvalidHeader> {
        if row.starts_with("\u{feff}".as_bytes()) {
            return Err(InvalidHeader::ByteOrderMark);
        }
        let cells = cells(row);
        let names: Result<Vec<&str>, _> = cells.iter().map(std::str::from_utf8).collect();
        let columns = Columns::new(contract, names.map_err(|_| InvalidHeader::NotUtf8)?)?;
        Ok(Self { columns, width: cells.len() })
    }

    /// The document that a row is.
    ///
    /// # Errors
    /// What keeps the row from being a document at all.
    pub fn document(&self, row: &[u8]) -> Result<Value, SyntaxError> {
        let cells = cells(row);
        if cells.len() != self.width {
            let detail = format!("The record has {} cells, but the header row has {}.", cells.len(), self.width);
            return Err(fault("cells", detail));
        }
        let texts: Result<Vec<&str>, _> = cells.iter().map(std::str::from_utf8).collect();
        match texts {
            Ok(texts) => Ok(self.columns.document(texts)),
            Err(_) => Err(fault("invalid_utf8", "The record is not UTF-8.".to_owned())),
        }
    }
}

/// A fault of a row as a whole.
const fn fault(code: &'static str, detail: String) -> SyntaxError {
    SyntaxError { code, detail, line: 1, column: 1 }
}

/// The cells of one row.
fn cells(row: &[u8]) -> ByteRecord {
    let mut reader = ReaderBuilder::new();
    reader.has_headers(false).flexible(true).buffer_capacity(row.len().max(1));
    let mut cells = ByteRecord::with_capacity(row.len(), 16);
    // What is in memory can always be read, and any text is some row.
    let _ = reader.from_reader(row).read_byte_record(&mut cells);
    cells
}

#[cfg(test)]
mod tests {
    use mass_domain::canonical;
    use mass_domain::contracts::SIMPLE_1_0;

    use super::*;

    #[test]
    fn a_row_is_a_document_under_its_header() {
        let header = Header::parse(SIMPLE_1_0, b"a,\"b.c\",d").unwrap();
        let document = header.document("1,\"x\"\"\r\n, y\",".as_bytes()).unwrap();
        assert_eq!(canonical::write(&document), r#"{"payload":{"a":"1","b":{"c":"x\"\r\n, y"}}}"#);
        let fault = |row: &[u8]| header.document(row).unwrap_err();
        assert_eq!(fault(b"1,2").detail, "The record has 2 cells, but the header row has 3.");
        assert_eq!(fault(b"1,2,3,4").code, "cells");
        assert_eq!(fault(b"1,\xff,3").code, "invalid_utf8");
    }

    #[test]
    fn a_header_that_is_no_shape_of_a_document_is_refused() {
        let refused = |row: &[u8]| Header::parse(SIMPLE_1_0, row).unwrap_err().to_string();
        assert!(refused("\u{feff}a,b".as_bytes()).contains("byte order mark"));
        assert_eq!(refused(b"\xff"), "it is not UTF-8");
        assert!(refused(b"a,a").contains("occurs twice"));
    }
}
