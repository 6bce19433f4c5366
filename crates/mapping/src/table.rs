//! Tables: rows of cells, from text that arrives in chunks.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use crate::errors::{BrokenInput, Refusal, RefusalCode};
use crate::limits::{MAX_COLUMNS, MAX_ROW_BYTES};
use crate::plan::Plan;
use crate::profile::{Format, Read};
use crate::sources::Cells;

/// Reads a table.
pub(crate) struct TableReader {
    reader: Reader,
    delimiter: u8,
    quote: u8,
    /// The text from the start of the current row.
    held: String,
    /// The part of `held` that the parser has consumed.
    parsed: usize,
    output: Vec<u8>,
    output_length: usize,
    ends: Vec<usize>,
    ends_length: usize,
    cells: Cells,
    /// The line of the current row.
    line: u64,
    lines_to_skip: u32,
    rows_to_skip: u32,
    header: Vec<String>,
    /// The columns of the sources, once the header row is known.
    columns: Option<Vec<Option<usize>>>,
}

/// A row of a table.
pub(crate) struct TableRow<'a> {
    pub(crate) cells: &'a Cells,
    pub(crate) columns: &'a [Option<usize>],
    pub(crate) header: &'a [String],
    pub(crate) line: u64,
    pub(crate) original: &'a str,
    /// The reason why the row cannot be mapped, unless a rule leaves it out.
    pub(crate) fault: Option<Refusal>,
}

impl std::fmt::Debug for TableReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableReader").field("line", &self.line).finish_non_exhaustive()
    }
}

impl TableReader {
    pub(crate) fn new(read: &Read) -> Self {
        let by_format = if read.format == Format::Tsv { '\t' } else { ',' };
        let byte = |character: char, or: u8| u8::try_from(character).unwrap_or(or);
        let (delimiter, quote) = (byte(read.delimiter.unwrap_or(by_format), b','), byte(read.quote, b'"'));
        Self {
            reader: ReaderBuilder::new().delimiter(delimiter).quote(quote).build(),
            delimiter,
            quote,
            held: String::new(),
            parsed: 0,
            output: vec![0; 1024],
            output_length: 0,
            ends: vec![0; 64],
            ends_length: 0,
            cells: Cells::default(),
            line: 1,
            lines_to_skip: read.skip_lines,
            rows_to_skip: read.skip_after_header,
            header: Vec::new(),
            columns: None,
        }
    }

    /// Returns the number of bytes that are held.
    pub(crate) const fn held(&self) -> usize {
        let ends = self.ends.len() + self.cells.ends.capacity();
        self.held.capacity() + self.output.len() + self.cells.text.capacity() + ends * size_of::<usize>()
    }

    /// Takes the next part of the text and hands on the rows that end in it.
    pub(crate) fn push(
        &mut self,
        plan: &Plan,
        text: &str,
        each: &mut dyn FnMut(TableRow<'_>),
    ) -> Result<(), BrokenInput> {
        self.held.push_str(text);
        self.skip_lines();
        let mut start = 0;
        while self.lines_to_skip == 0 && self.parsed < self.held.len() {
            let Some(end) = self.read_record(false) else { break };
            self.take_row(plan, start, end, each)?;
            start = end;
        }
        self.held.drain(..start);
        self.parsed -= start;
        if self.held.len() > MAX_ROW_BYTES {
            let detail = format!("a row is longer than {MAX_ROW_BYTES} bytes; perhaps a quote is not closed");
            return Err(BrokenInput { detail, line: self.line });
        }
        Ok(())
    }

    /// Takes the end of the text, which may complete the last row.
    pub(crate) fn finish(&mut self, plan: &Plan, each: &mut dyn FnMut(TableRow<'_>)) -> Result<(), BrokenInput> {
        if self.lines_to_skip == 0 && ends_quoted(&self.held, self.delimiter, self.quote) {
            return Err(BrokenInput { detail: "the input ends within a quoted cell".to_owned(), line: self.line });
        }
        if self.lines_to_skip == 0 && self.read_record(true).is_some() {
            self.take_row(plan, 0, self.held.len(), each)?;
        }
        if self.columns.is_none() {
            let detail = "the input has no header row".to_owned();
            if plan.read.header {
                return Err(BrokenInput { detail, line: self.line });
            }
        }
        Ok(())
    }

    /// Drops the lines before the header row.
    fn skip_lines(&mut self) {
        while self.lines_to_skip > 0 {
            let Some(end) = self.held.find('\n') else {
                return;
            };
            self.held.drain(..=end);
            self.lines_to_skip -= 1;
            self.line += 1;
        }
    }

    /// Reads the rest of the current row. Returns its end in `held`, or `None` if the row is incomplete.
    fn read_record(&mut self, last: bool) -> Option<usize> {
        loop {
            let input = if last { &[][..] } else { self.held.as_bytes().get(self.parsed..).unwrap_or_default() };
            if input.is_empty() && !last {
                return None;
            }
            let output = self.output.get_mut(self.output_length..).unwrap_or_default();
            let ends = self.ends.get_mut(self.ends_length..).unwrap_or_default();
            let (result, read, written, ended) = self.reader.read_record(input, output, ends);
            self.parsed += read;
            self.output_length += written;
            self.ends_length += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.output.resize(self.output.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => return Some(self.parsed),
                ReadRecordResult::End => return None,
            }
        }
    }

    fn take_row(
        &mut self,
        plan: &Plan,
        start: usize,
        end: usize,
        each: &mut dyn FnMut(TableRow<'_>),
    ) -> Result<(), BrokenInput> {
        self.cells.text.clear();
        let output = self.output.get(..self.output_length).unwrap_or_default();
        // The delimiter and the quote are ASCII, so the cells of valid UTF-8 are valid.
        self.cells.text.push_str(std::str::from_utf8(output).unwrap_or_default());
        self.cells.ends.clear();
        self.cells.ends.extend_from_slice(self.ends.get(..self.ends_length).unwrap_or_default());
        (self.output_length, self.ends_length) = (0, 0);
        let whole = self.held.get(start..end).unwrap_or_default();
        let original = whole.trim_start_matches(['\r', '\n']);
        let newlines = |text: &str| text.bytes().map(|byte| u64::from(byte == b'\n')).sum::<u64>();
        self.line += newlines(whole.get(..whole.len() - original.len()).unwrap_or_default());
        let (line, original) = (self.line, original.trim_end_matches(['\r', '\n']));
        self.line += newlines(whole.trim_start_matches(['\r', '\n']));
        let comment = !plan.read.comment.is_empty() && original.starts_with(plan.read.comment.as_str());
        if comment || self.cells.text.trim().is_empty() {
            return Ok(());
        }
        if self.columns.is_none() {
            self.header = header(plan, &self.cells);
            self.columns = Some(columns(plan, &self.header, line)?);
            if plan.read.header {
                return Ok(());
            }
        }
        if self.rows_to_skip > 0 {
            self.rows_to_skip -= 1;
            return Ok(());
        }
        let expected = self.header.len();
        if self.cells.ends.len() == expected + 1 && self.cells.get(expected) == Some("") {
            self.cells.ends.pop();
        }
        let found = self.cells.ends.len();
        if found == expected
            && self.cells.iter().zip(&self.header).all(|(cell, name)| cell.trim() == name)
            && plan.read.header
        {
            return Ok(());
        }
        let fault = (found != expected).then(|| {
            Refusal::new(
                RefusalCode::Cells,
                "",
                format!("expected {expected} cells as in the header row, found {found}"),
            )
        });
        let columns = self.columns.as_deref().unwrap_or_default();
        each(TableRow { cells: &self.cells, columns, header: &self.header, line, original, fault });
        Ok(())
    }
}

/// Returns the header row, or the names of the columns from the profile.
fn header(plan: &Plan, first: &Cells) -> Vec<String> {
    if plan.read.header {
        first.iter().map(|cell| cell.trim().to_owned()).collect()
    } else {
        plan.read.columns.iter().map(|name| name.trim().to_owned()).collect()
    }
}

/// Finds the columns of all sources.
fn columns(plan: &Plan, header: &[String], line: u64) -> Result<Vec<Option<usize>>, BrokenInput> {
    let broken = |detail: String| BrokenInput { detail, line };
    if header.len() > MAX_COLUMNS {
        return Err(broken(format!("expected at most {MAX_COLUMNS} columns, found {}", header.len())));
    }
    let columns = plan.sources.columns(header).map_err(|name| {
        broken(format!("the header \"{name}\" occurs twice; #1 is the first column, whatever its header"))
    })?;
    for ids in &plan.needed {
        if !ids.iter().any(|id| columns.get(*id).is_some_and(Option::is_some)) {
            let names: Vec<_> = ids.iter().map(|id| format!("\"{}\"", plan.sources.name(*id))).collect();
            return Err(broken(format!("expected a column {} in the header row", names.join(" or "))));
        }
    }
    Ok(columns)
}

/// Tells whether a row ends within a quoted cell.
fn ends_quoted(row: &str, delimiter: u8, quote: u8) -> bool {
    let (mut quoted, mut at_start) = (false, true);
    for byte in row.trim_start_matches(['\r', '\n']).bytes() {
        if byte == quote && (quoted || at_start) {
            quoted = !quoted;
            // A doubled quote in a quoted cell closes and opens it again.
            at_start = !quoted;
        } else {
            at_start = !quoted && (byte == delimiter || matches!(byte, b'\r' | b'\n'));
        }
    }
    quoted
}
