//! Reading the records of a file, each with the line it stands on and as it was written.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;

use anyhow::{Context, bail};
use mass_domain::contracts::{self, Columns, ContractId};
use mass_domain::hex::Hex;
use mass_domain::json::{self, SyntaxError, Value};
use sha2::{Digest, Sha256};

use super::rejected::OWN_COLUMNS;

/// A record of the file.
pub(super) struct Row {
    /// The line on which it begins, from 1.
    pub(super) line: u64,
    /// As it was written: the cells of a CSV record, or the line of NDJSON.
    pub(super) written: Written,
    /// The document that it is, or why it is none.
    pub(super) document: Result<Value, SyntaxError>,
    /// Its length in bytes.
    pub(super) bytes: usize,
    /// Names this record of this file for ever, so that importing the file again changes nothing.
    pub(super) key: String,
}

impl Row {
    /// The bytes of the record: the line, or the cells with commas between them.
    pub(super) fn text(&self) -> Cow<'_, [u8]> {
        match &self.written {
            Written::Line(line) => Cow::Borrowed(line),
            Written::Cells(cells) => Cow::Owned(cells.join(&b',')),
        }
    }
}

/// A record as it was written.
pub(super) enum Written {
    /// The cells, without the columns that MASS itself adds; all of them if they do not fit the header row.
    Cells(Vec<Vec<u8>>),
    /// The line, without its end.
    Line(Vec<u8>),
}

/// An open file of records.
pub(super) struct Source {
    records: Records,
    contract: Option<ContractId>,
    /// The beginning of the file's SHA-256.
    digest: String,
    bytes: u64,
    bytes_read: u64,
    rows: u64,
}

enum Records {
    Csv(Box<Table>),
    Ndjson { reader: BufReader<File>, line: u64 },
}

/// A CSV file.
struct Table {
    reader: csv::Reader<File>,
    lines: Lines,
    columns: Columns,
    headers: Vec<String>,
    kept: Vec<usize>,
    width: usize,
}

impl Source {
    /// Opens a file and reads a CSV file's header row.
    pub(super) fn open(path: &Path, contract: Option<ContractId>) -> anyhow::Result<Self> {
        let mut file = File::open(path)?;
        let (digest, bytes) = digest(&mut file)?;
        file.rewind()?;
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
        let records = match ending.as_str() {
            "csv" => csv_records(file, Lines::of(File::open(path)?), contract)?,
            "ndjson" | "jsonl" => Records::Ndjson { reader: BufReader::new(file), line: 0 },
            _ => bail!("the name has to end in .csv, .ndjson or .jsonl"),
        };
        Ok(Self { records, contract, digest, bytes, bytes_read: 0, rows: 0 })
    }

    /// The header row of a CSV file, without the columns that MASS itself adds.
    pub(super) fn headers(&self) -> Option<&[String]> {
        match &self.records {
            Records::Csv(table) => Some(&table.headers),
            Records::Ndjson { .. } => None,
        }
    }

    /// The file's length.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How much of it has been read.
    pub(super) const fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// The next records, at most that many; none at the end.
    pub(super) fn next_rows(&mut self, most: usize) -> anyhow::Result<Vec<Row>> {
        let mut rows = Vec::new();
        while rows.len() < most {
            let Some((line, written, document, bytes)) = self.next_record()? else { break };
            let key = format!("import-{}-{}", self.digest, self.rows);
            self.rows += 1;
            rows.push(Row { line, written, document, bytes, key });
        }
        Ok(rows)
    }

    #[expect(clippy::type_complexity, reason = "the parts of a row that is not numbered yet")]
    fn next_record(&mut self) -> anyhow::Result<Option<(u64, Written, Result<Value, SyntaxError>, usize)>> {
        match &mut self.records {
            Records::Csv(table) => {
                let Table { reader, lines, columns, kept, width, .. } = &mut **table;
                let mut record = csv::ByteRecord::new();
                if !reader.read_byte_record(&mut record)? {
                    return Ok(None);
                }
                let line = lines.line_from(record.position().map_or(0, csv::Position::byte))?;
                self.bytes_read = reader.position().byte();
                let whole = record.len() == *width;
                let cells: Vec<Vec<u8>> = if whole {
                    kept.iter().filter_map(|at| record.get(*at)).map(<[u8]>::to_vec).collect()
                } else {
                    record.iter().map(<[u8]>::to_vec).collect()
                };
                let bytes = cells.iter().map(|cell| cell.len() + 1).sum();
                let document = if whole {
                    document_of(columns, &cells, line)
                } else {
                    let detail = format!("The record has {} cells, but the header row has {width}.", record.len());
                    Err(unreadable("cells", detail, line))
                };
                Ok(Some((line, Written::Cells(cells), document, bytes)))
            }
            Records::Ndjson { reader, line } => loop {
                let mut text = Vec::new();
                let read = reader.read_until(b'\n', &mut text)?;
                if read == 0 {
                    return Ok(None);
                }
                *line += 1;
                self.bytes_read += u64::try_from(read)?;
                let text = text.trim_ascii();
                if text.is_empty() {
                    continue;
                }
                let document = json::parse(text).map(unwrapped);
                let document = document.map(|value| match self.contract {
                    Some(contract) => contracts::with_marker(contract, value),
                    None => value,
                });
                return Ok(Some((*line, Written::Line(text.to_vec()), document, text.len())));
            },
        }
    }
}

/// Tells on which line of a file a record begins. The csv crate's own count is one behind after CRLF and blank lines.
struct Lines {
    reader: BufReader<File>,
    offset: u64,
    line: u64,
}

impl Lines {
    fn of(file: File) -> Self {
        Self { reader: BufReader::new(file), offset: 0, line: 1 }
    }

    /// The line of the first byte at this offset or after it that ends no line. Offsets must not go back.
    fn line_from(&mut self, offset: u64) -> std::io::Result<u64> {
        while let Some(byte) = self.reader.fill_buf()?.first().copied() {
            if self.offset >= offset && byte != b'\r' && byte != b'\n' {
                break;
            }
            self.reader.consume(1);
            self.offset += 1;
            self.line += u64::from(byte == b'\n');
        }
        Ok(self.line)
    }
}

fn csv_records(file: File, lines: Lines, contract: Option<ContractId>) -> anyhow::Result<Records> {
    let contract = contract.context("a CSV file needs --contract NAME/VERSION")?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
    let all: Vec<String> = reader.headers().context("the header row")?.iter().map(str::to_owned).collect();
    let kept: Vec<usize> = (0..all.len()).filter(|at| !OWN_COLUMNS.contains(&all[*at].trim())).collect();
    let headers: Vec<String> = kept.iter().map(|at| all[*at].clone()).collect();
    let columns = Columns::new(contract, headers.iter().map(String::as_str)).context("the header row")?;
    Ok(Records::Csv(Box::new(Table { reader, lines, columns, headers, kept, width: all.len() })))
}

fn document_of(columns: &Columns, cells: &[Vec<u8>], line: u64) -> Result<Value, SyntaxError> {
    let texts: Result<Vec<&str>, _> = cells.iter().map(|cell| std::str::from_utf8(cell)).collect();
    let texts = texts.map_err(|_| unreadable("utf8", "The record is not UTF-8.".to_owned(), line))?;
    Ok(columns.document(texts))
}

fn unreadable(code: &'static str, detail: String, line: u64) -> SyntaxError {
    SyntaxError { code, detail, line: usize::try_from(line).unwrap_or(usize::MAX), column: 1 }
}

/// The record itself, where the line is one of a file of refused records.
fn unwrapped(value: Value) -> Value {
    match (value.get("_violations"), value.get("record")) {
        (Some(_), Some(record)) => record.clone(),
        (Some(_) | None, _) => value,
    }
}

fn digest(file: &mut File) -> std::io::Result<(String, u64)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        bytes += read as u64;
    }
    Ok((Hex(&hash.finalize()[..8]).to_string(), bytes))
}
