//! Reader of the imported file: each record with its line number and its original text.

use std::collections::VecDeque;
use std::io::Read;
use std::path::Path;

use anyhow::bail;
use clap::ValueEnum;
use mass_domain::contracts::ContractId;
use mass_domain::json::{SyntaxError, Value};
use mass_domain::records::Format;
use mass_mapping::Profile;

use super::fault::Unreadable;
use super::input::{Input, PIECE};
use super::keys::RowKeys;
use super::mapped::MappedReader;
use super::table::RefusedForm;
use crate::commands::input_file::STDIN;
use crate::http::body::sentence;
use crate::records::{Record, Records, UnreadableStream};
use crate::rows::Header;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The first bytes of files in other formats, and the names of those formats.
const OTHER_FORMATS: [(&[u8], &str); 6] = [
    (&[0xff, 0xfe], "UTF-16; save it as UTF-8"),
    (&[0xfe, 0xff], "UTF-16; save it as UTF-8"),
    (&[0x1f, 0x8b], "gzip within gzip or Zstandard; unpack it first"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "Zstandard within gzip or Zstandard; unpack it first"),
    (b"PK\x03\x04", "a ZIP archive or a workbook; unpack it or save it as CSV in UTF-8"),
    (b"SQLite format 3\0", "an SQLite database"),
];

/// The number of bytes by which another format is recognised.
const HEAD: usize = 512;

/// The format of a file, on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FileFormat {
    /// Rows of CSV with dotted headers.
    Csv,
    /// One JSON document a line.
    #[value(alias = "jsonl")]
    Ndjson,
    /// An array of JSON documents.
    Json,
}

impl From<FileFormat> for Format {
    fn from(format: FileFormat) -> Self {
        match format {
            FileFormat::Csv => Self::Csv,
            FileFormat::Ndjson => Self::Ndjson,
            FileFormat::Json => Self::Array,
        }
    }
}

/// A record of the file.
pub(in crate::commands) struct Row {
    /// The line number at which it begins, from 1.
    pub(in crate::commands) line: u64,
    /// Its original text, without the separators between records.
    pub(in crate::commands) text: Vec<u8>,
    /// The parsed document, or the reasons why it is none.
    pub(in crate::commands) document: Result<Value, Unreadable>,
    /// The idempotency key, if the document has no natural key.
    pub(in crate::commands) key: Option<String>,
}

/// An open file of records.
pub(super) struct Source {
    input: Input,
    piece: Vec<u8>,
    reader: Reader,
    waiting: PendingRows,
    ended: bool,
}

/// The reader of records.
enum Reader {
    /// For files of documents.
    Documents { format: Format, records: Records },
    /// For files that a profile describes.
    Mapped(Box<MappedReader>),
}

/// Records that have been read but not returned yet.
#[derive(Default)]
struct PendingRows {
    rows: VecDeque<Row>,
    keys: RowKeys,
}

impl Source {
    /// Opens a file, and reads the header row of a CSV file.
    pub(super) fn open(path: &Path, format: Option<FileFormat>, contract: Option<ContractId>) -> anyhow::Result<Self> {
        let format = format.map_or_else(|| format_of(path), Ok)?.into();
        if format == Format::Csv && contract.is_none() {
            bail!("a CSV file needs --contract NAME/VERSION, such as device/1.1");
        }
        let mut input = Input::open(path)?;
        let head = input.peek(HEAD)?;
        require_text(&head)?;
        // Spreadsheets write a byte order mark, which would become part of the first header or record.
        if head.starts_with(BYTE_ORDER_MARK) {
            input.read_exact(&mut [0; BYTE_ORDER_MARK.len()])?;
        }
        // Records are kept whole at any length, so that refused ones can be corrected.
        let records = Records::new(format, contract, usize::MAX).accepting_refused();
        let (piece, waiting) = (vec![0; PIECE], PendingRows::default());
        let reader = Reader::Documents { format, records };
        let mut source = Self { input, piece, reader, waiting, ended: false };
        while format == Format::Csv && source.header().is_none() && !source.ended {
            source.read_on()?;
        }
        Ok(source)
    }

    /// Opens a file that a profile describes.
    pub(super) fn open_mapped(path: &Path, profile: &Profile) -> anyhow::Result<Self> {
        let mut input = Input::open(path)?;
        let reader = Reader::Mapped(Box::new(MappedReader::new(profile, &mut input)?));
        Ok(Self { input, piece: vec![0; PIECE], reader, waiting: PendingRows::default(), ended: false })
    }

    /// Returns the form in which refused records are kept.
    pub(super) fn refused_form(&self) -> RefusedForm {
        match &self.reader {
            Reader::Documents { format: Format::Csv, records } => {
                RefusedForm::Csv(records.header().map_or(&[][..], Header::names).to_vec())
            }
            Reader::Documents { .. } => RefusedForm::Ndjson,
            Reader::Mapped(mapped) => {
                mapped.form().map_or(RefusedForm::Ndjson, |form| RefusedForm::Table(form.clone()))
            }
        }
    }

    /// Returns the header row of a CSV file, which its rows are read by.
    pub(super) fn header(&self) -> Option<&Header> {
        match &self.reader {
            Reader::Documents { records, .. } => records.header(),
            Reader::Mapped(_) => None,
        }
    }

    /// Returns the length of the file in bytes, if it is known.
    pub(super) const fn length(&self) -> Option<u64> {
        self.input.length()
    }

    /// Returns the number of bytes that have been read.
    pub(super) fn bytes_read(&self) -> u64 {
        self.input.bytes_read()
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
        let Self { input, piece, reader, waiting, ended } = self;
        let read = input.read(piece)?;
        let piece = piece.get(..read).filter(|piece| !piece.is_empty());
        *ended = piece.is_none();
        let records = match reader {
            Reader::Documents { records, .. } => records,
            Reader::Mapped(mapped) => {
                return mapped.take(piece, |line, text, document| waiting.add(line, text.as_bytes(), document));
            }
        };
        match (records.take(piece, |record| waiting.take(&record)), records.unfinished()) {
            // An unterminated record is refused like others.
            (Err(UnreadableStream::Stream(error)), Some(raw)) => {
                let detail = sentence(&error.detail);
                let error = SyntaxError { code: "syntax", detail, line: 1, column: 1 };
                waiting.add(raw.line, raw.bytes, Err(error.into()));
            }
            (result, _) => result?,
        }
        Ok(())
    }
}

impl PendingRows {
    fn take(&mut self, record: &Record<'_>) {
        if !record.ends_export() {
            self.add(record.raw.line, record.raw.bytes, record.document().map_err(Unreadable::from));
        }
    }

    fn add(&mut self, line: u64, text: &[u8], document: Result<Value, Unreadable>) {
        let key = document.as_ref().ok().and_then(|document| self.keys.next(document));
        self.rows.push_back(Row { line, text: text.to_vec(), document, key });
    }
}

/// Requires that a file begins with UTF-8 text.
fn require_text(head: &[u8]) -> anyhow::Result<()> {
    let other = OTHER_FORMATS.iter().find(|(magic, _)| head.starts_with(magic));
    if let Some((_, found)) = other {
        bail!("expected text in UTF-8, found {found}");
    }
    if head.contains(&0) {
        bail!("expected text in UTF-8, found binary data");
    }
    Ok(())
}

/// Returns the format by the extension of the file's name, before that of a compressed file.
fn format_of(path: &Path) -> anyhow::Result<FileFormat> {
    if path == Path::new(STDIN) {
        bail!("expected --format, because standard input has no name to tell it");
    }
    let ending = |path: &Path| path.extension().and_then(|it| it.to_str()).unwrap_or_default().to_ascii_lowercase();
    let unpacked = match ending(path).as_str() {
        "gz" | "zst" => path.with_extension(""),
        _ => path.to_owned(),
    };
    match ending(&unpacked).as_str() {
        "csv" => Ok(FileFormat::Csv),
        "ndjson" | "jsonl" => Ok(FileFormat::Ndjson),
        "json" => Ok(FileFormat::Json),
        _ => bail!(
            "expected a name that ends in .csv, .ndjson, .jsonl or .json (with .gz or .zst, if compressed), or --format"
        ),
    }
}
