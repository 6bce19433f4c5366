//! Reader of the imported file: each record with its line number and its original text.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::bail;
use mass_domain::contracts::ContractId;
use mass_domain::hex::Hex;
use mass_domain::json::{SyntaxError, Value};
use mass_domain::records::Format;

use crate::commands::sha256;
use crate::http::body::sentence;
use crate::records::{Record, Records, UnreadableStream};
use crate::rows::Header;

/// The number of bytes that are read at a time.
const PIECE: usize = 1 << 16;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The first bytes of files in other formats, and the names of those formats.
const OTHER_FORMATS: [(&[u8], &str); 6] = [
    (&[0xff, 0xfe], "UTF-16; save it as UTF-8"),
    (&[0xfe, 0xff], "UTF-16; save it as UTF-8"),
    (&[0x1f, 0x8b], "gzip; unpack it first"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "Zstandard; unpack it first"),
    (b"PK\x03\x04", "a ZIP archive or a workbook; unpack it or save it as CSV in UTF-8"),
    (b"SQLite format 3\0", "an SQLite database"),
];

/// A record of the file.
pub(super) struct Row {
    /// The line number at which it begins, from 1.
    pub(super) line: u64,
    /// Its original text, without the separators between records.
    pub(super) text: Vec<u8>,
    /// The parsed document, or the syntax error.
    pub(super) document: Result<Value, SyntaxError>,
    /// The idempotency key of this record of this file, so that importing the file again changes nothing.
    pub(super) key: String,
}

/// An open file of records.
pub(super) struct Source {
    file: BufReader<File>,
    bytes: u64,
    bytes_read: u64,
    format: Format,
    records: Records,
    waiting: PendingRows,
    ended: bool,
}

/// Records that have been read but not returned yet.
struct PendingRows {
    rows: VecDeque<Row>,
    /// The beginning of the file's SHA-256.
    digest: String,
    numbered: u64,
}

impl Source {
    /// Opens a file, and reads the header row of a CSV file.
    pub(super) fn open(path: &Path, contract: Option<ContractId>) -> anyhow::Result<Self> {
        let format = format(path)?;
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            bail!("expected a file, found a folder");
        }
        if format == Format::Csv && contract.is_none() {
            bail!("a CSV file needs --contract NAME/VERSION, such as device/1.1");
        }
        let digest = Hex(&sha256(path)?[..8]).to_string();
        let bytes = file.metadata()?.len();
        let mut file = BufReader::with_capacity(PIECE, file);
        let beginning = file.fill_buf()?;
        require_text(beginning)?;
        // Spreadsheets write a byte order mark, which would become part of the first header or record.
        if beginning.starts_with(BYTE_ORDER_MARK) {
            file.consume(BYTE_ORDER_MARK.len());
        }
        // Records are kept whole at any length, so that refused ones can be corrected.
        let records = Records::new(format, contract, usize::MAX).accepting_refused();
        let waiting = PendingRows { rows: VecDeque::new(), digest, numbered: 0 };
        let mut source = Self { file, bytes, bytes_read: 0, format, records, waiting, ended: false };
        while format == Format::Csv && source.header().is_none() && !source.ended {
            source.read_on()?;
        }
        Ok(source)
    }

    /// Returns the headers of a CSV file, without MASS's own columns.
    pub(super) fn headers(&self) -> Option<&[String]> {
        (self.format == Format::Csv).then(|| self.header().map_or(&[][..], Header::names))
    }

    /// Returns the header row of a CSV file, which its rows are read by.
    pub(super) const fn header(&self) -> Option<&Header> {
        self.records.header()
    }

    /// Returns the length of the file in bytes.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the number of bytes that have been read.
    pub(super) const fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Returns the next records, at most this many; none at the end.
    pub(super) fn next_rows(&mut self, most: usize) -> anyhow::Result<Vec<Row>> {
        while self.waiting.rows.len() < most && !self.ended {
            self.read_on()?;
        }
        let count = most.min(self.waiting.rows.len());
        Ok(self.waiting.rows.drain(..count).collect())
    }

    fn read_on(&mut self) -> anyhow::Result<()> {
        let Self { file, records, waiting, .. } = self;
        let piece = file.fill_buf()?;
        let read = piece.len();
        let result = records.take(Some(piece).filter(|piece| !piece.is_empty()), |record| waiting.take(&record));
        match (result, records.unfinished()) {
            // An unterminated record is refused like others.
            (Err(UnreadableStream::Stream(error)), Some(raw)) => {
                let detail = sentence(&error.detail);
                waiting.add(raw.line, raw.bytes, Err(SyntaxError { code: "syntax", detail, line: 1, column: 1 }));
            }
            (result, _) => result?,
        }
        file.consume(read);
        self.bytes_read += read as u64;
        self.ended = read == 0;
        Ok(())
    }
}

impl PendingRows {
    fn take(&mut self, record: &Record<'_>) {
        if !record.ends_export() {
            self.add(record.raw.line, record.raw.bytes, record.document());
        }
    }

    fn add(&mut self, line: u64, text: &[u8], document: Result<Value, SyntaxError>) {
        let key = format!("import-{}-{}", self.digest, self.numbered);
        self.numbered += 1;
        self.rows.push_back(Row { line, text: text.to_vec(), document, key });
    }
}

/// Requires that a file begins with UTF-8 text.
fn require_text(beginning: &[u8]) -> anyhow::Result<()> {
    let other = OTHER_FORMATS.iter().find(|(magic, _)| beginning.starts_with(magic));
    if let Some((_, found)) = other {
        bail!("expected text in UTF-8, found {found}");
    }
    if beginning.contains(&0) {
        bail!("expected text in UTF-8, found binary data");
    }
    Ok(())
}

/// Returns the format by the extension of the file's name.
fn format(path: &Path) -> anyhow::Result<Format> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        "csv" => Ok(Format::Csv),
        "ndjson" | "jsonl" => Ok(Format::Ndjson),
        "gz" | "zst" | "zip" => bail!("expected a name that ends in .csv, .ndjson or .jsonl; unpack the file first"),
        _ => bail!("expected a name that ends in .csv, .ndjson or .jsonl"),
    }
}
