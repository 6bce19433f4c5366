//! The form of a mapped table, in which its refused rows are written.

use csv::{ByteRecord, ReaderBuilder, WriterBuilder};
use mass_mapping::Read;

use crate::records::OWN_COLUMNS;

/// The form in which refused records are kept.
pub(super) enum RefusedForm {
    /// CSV with these headers.
    Csv(Vec<String>),
    /// The original rows of a mapped table.
    Table(TableForm),
    /// A JSON object a line.
    Ndjson,
}

/// The beginning of a table and its notation.
#[derive(Debug, Clone)]
pub(super) struct TableForm {
    delimiter: u8,
    quote: u8,
    /// The lines before the header row, as they came.
    skipped: String,
    /// The header row, without MASS's own columns.
    header: Option<Vec<String>>,
    /// The rows after the header row that are not records.
    after: Vec<ByteRecord>,
    /// The indexes of the columns that are kept; all of them if there is no header row.
    places: Vec<usize>,
    /// The number of cells in the header row.
    width: usize,
}

impl TableForm {
    /// Reads the beginning of a table.
    pub(super) fn new(read: &Read, head: &str) -> Self {
        let default = if read.format == mass_mapping::Format::Tsv { '\t' } else { ',' };
        let delimiter = u8::try_from(read.delimiter.unwrap_or(default)).unwrap_or(b',');
        let quote = u8::try_from(read.quote).unwrap_or(b'"');
        let lines: Vec<&str> = head.split_inclusive('\n').take(read.skip_lines as usize).collect();
        let skipped = lines.concat();
        let mut form =
            Self { delimiter, quote, skipped, header: None, after: Vec::new(), places: Vec::new(), width: 0 };
        if read.header {
            let is_comment = |row: &ByteRecord| {
                !read.comment.is_empty() && row.get(0).is_some_and(|cell| cell.starts_with(read.comment.as_bytes()))
            };
            let rest = head.get(form.skipped.len()..).unwrap_or_default();
            let rows = 1 + read.skip_after_header as usize;
            let mut rows = form.rows(rest).into_iter().filter(|row| !is_comment(row)).take(rows);
            let header = rows.next().unwrap_or_default();
            form.width = header.len();
            let names = header.iter().map(|name| String::from_utf8_lossy(name).into_owned()).enumerate();
            (form.places, form.header) = {
                let kept = names.filter(|(_, name)| !OWN_COLUMNS.contains(&name.trim()));
                let (places, names): (Vec<usize>, Vec<String>) = kept.unzip();
                (places, Some(names))
            };
            form.after = rows.collect();
        }
        form
    }

    /// Returns what comes before the refused rows. The text is UTF-8 with a byte order mark, which overrides the encoding
    /// of the profile.
    pub(super) fn beginning(&self) -> anyhow::Result<Vec<u8>> {
        let mut text = format!("\u{feff}{}", self.skipped).into_bytes();
        if let Some(header) = &self.header {
            text.append(
                &mut self.row(header.iter().map(String::as_bytes).chain(OWN_COLUMNS.iter().map(|it| it.as_bytes())))?,
            );
        }
        for row in &self.after {
            text.append(&mut self.row(row.iter())?);
        }
        Ok(text)
    }

    /// Returns a record's rows with its line and the reasons. They are left out if no header row could name them.
    pub(super) fn refused(&self, text: &str, line: u64, pointers: &str, reasons: &str) -> anyhow::Result<Vec<u8>> {
        // Not a number alone, which a profile that takes all numbers would take.
        let line = format!("line {line}");
        let own: &[&[u8]] =
            if self.header.is_some() { &[line.as_bytes(), pointers.as_bytes(), reasons.as_bytes()] } else { &[] };
        let mut rows = Vec::new();
        for row in self.rows(text) {
            let cells: Vec<&[u8]> = if self.header.is_some() && row.len() == self.width {
                self.places.iter().filter_map(|place| row.get(*place)).collect()
            } else {
                row.iter().collect()
            };
            rows.append(&mut self.row(cells.into_iter().chain(own.iter().copied()))?);
        }
        Ok(rows)
    }

    fn rows(&self, text: &str) -> Vec<ByteRecord> {
        let mut reader = ReaderBuilder::new();
        reader.has_headers(false).flexible(true).delimiter(self.delimiter).quote(self.quote);
        reader.from_reader(text.as_bytes()).into_byte_records().filter_map(Result::ok).collect()
    }

    fn row<'a>(&self, cells: impl Iterator<Item = &'a [u8]>) -> anyhow::Result<Vec<u8>> {
        let mut writer =
            WriterBuilder::new().flexible(true).delimiter(self.delimiter).quote(self.quote).from_writer(Vec::new());
        writer.write_record(cells)?;
        Ok(writer.into_inner().map_err(csv::IntoInnerError::into_error)?)
    }
}
