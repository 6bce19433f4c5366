//! Splits a stream into records: lines of NDJSON, elements of a JSON array, rows of CSV. The stream may arrive in
//! chunks of any size.
//!
//! The splitter only finds the ends of records and does not parse them, so an invalid record does not affect its
//! neighbours. Its buffer never holds more than one record of the maximum length.

/// The format of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON text per line. Blank lines are ignored.
    Ndjson,
    /// The elements of one JSON array.
    Array,
    /// Rows of CSV (RFC 4180), including the header row. Quoted cells may contain line breaks.
    Csv,
}

/// A record of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawRecord<'a> {
    /// Its first line, counted from 1.
    pub line: u64,
    /// Its bytes without separators, truncated if the record is too long.
    pub bytes: &'a [u8],
    /// True if the record exceeds the maximum length.
    pub too_long: bool,
}

/// Error for a stream that cannot be split beyond this position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}, on line {line}")]
pub struct BrokenStream {
    /// The reason, without a full stop.
    pub detail: String,
    /// The line of the error, from 1.
    pub line: u64,
}

/// Splits a stream into records.
#[derive(Debug)]
pub struct Splitter {
    limit: usize,
    /// The buffered start of an incomplete record.
    kept: Vec<u8>,
    /// The length of the incomplete record so far, including bytes beyond the limit.
    length: usize,
    /// The line of the next byte.
    line: u64,
    /// The first line of the incomplete record.
    begun_on: Option<u64>,
    grammar: Grammar,
}

impl Splitter {
    /// Builds a splitter for a format and a maximum record length in bytes.
    #[must_use]
    pub const fn new(format: Format, limit: usize) -> Self {
        let grammar = match format {
            Format::Ndjson => Grammar::Ndjson,
            Format::Array => Grammar::Array { position: ArrayPosition::Outside, within: Element::START },
            Format::Csv => Grammar::Csv(Cell::Start),
        };
        Self { limit, kept: Vec::new(), length: 0, line: 1, begun_on: None, grammar }
    }

    /// Consumes the next chunk of the stream and calls `each` for every record that ends in it.
    ///
    /// # Errors
    /// [`BrokenStream`] if the stream cannot be split any further. The records before the error have been passed on.
    pub fn push(&mut self, mut piece: &[u8], mut each: impl FnMut(RawRecord<'_>)) -> Result<(), BrokenStream> {
        loop {
            if self.begun_on.is_none() {
                piece = self.skip(piece)?;
                if piece.is_empty() {
                    return Ok(());
                }
                self.begun_on = Some(self.line);
            }
            let Some(end) = self.grammar.end(piece) else {
                self.keep(piece);
                return Ok(());
            };
            let (last, rest) = piece.split_at(end);
            self.finish_record(last, &mut each);
            piece = rest;
        }
    }

    /// Consumes the end of the stream, which may complete the last record.
    ///
    /// # Errors
    /// [`BrokenStream`] if the stream is incomplete.
    pub fn finish(&mut self, mut each: impl FnMut(RawRecord<'_>)) -> Result<(), BrokenStream> {
        if let Some(what) = self.grammar.lacks() {
            return Err(self.broken(format!("the stream ends {what}")));
        }
        if self.begun_on.is_some() {
            self.finish_record(&[], &mut each);
        }
        Ok(())
    }

    /// Returns the size of the buffer for an incomplete record, in bytes.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.kept.capacity()
    }

    /// Returns the incomplete record at the end of the stream, if any.
    #[must_use]
    pub fn unfinished(&self) -> Option<RawRecord<'_>> {
        Some(RawRecord { line: self.begun_on?, bytes: &self.kept, too_long: self.length > self.limit })
    }

    fn finish_record(&mut self, last: &[u8], each: &mut impl FnMut(RawRecord<'_>)) {
        let line = self.begun_on.take().unwrap_or(self.line);
        let too_long = self.length + last.len() > self.limit;
        if self.kept.is_empty() {
            // Most records begin and end in the same chunk, and are passed on without a copy.
            let bytes = self.grammar.trimmed(last.get(..self.limit).unwrap_or(last));
            each(RawRecord { line, bytes, too_long });
            self.line += newlines(last);
        } else {
            self.keep(last);
            each(RawRecord { line, bytes: self.grammar.trimmed(&self.kept), too_long });
        }
        self.kept.clear();
        self.length = 0;
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.limit - self.kept.len();
        self.kept.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.length += bytes.len();
        self.line += newlines(bytes);
    }

    /// Skips the bytes between two records.
    fn skip<'a>(&mut self, piece: &'a [u8]) -> Result<&'a [u8], BrokenStream> {
        for (at, byte) in piece.iter().enumerate() {
            match self.grammar.begins(*byte) {
                Ok(false) => self.line += u64::from(*byte == b'\n'),
                Ok(true) => return Ok(piece.get(at..).unwrap_or_default()),
                Err(expected) => {
                    let found = name_of(*byte);
                    return Err(self.broken(format!("expected {expected}, found {found}")));
                }
            }
        }
        Ok(&[])
    }

    const fn broken(&self, detail: String) -> BrokenStream {
        BrokenStream { detail, line: self.line }
    }
}

/// Names a byte for an error: a visible character, or else the byte's number.
fn name_of(byte: u8) -> String {
    if byte.is_ascii_graphic() { format!("'{}'", char::from(byte)) } else { format!("byte 0x{byte:02X}") }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

/// The state of a format's grammar: enough to find the start and the end of the next record.
#[derive(Debug)]
enum Grammar {
    Ndjson,
    Array { position: ArrayPosition, within: Element },
    Csv(Cell),
}

/// A position in an array, outside its elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ArrayPosition {
    /// Before the opening bracket.
    Outside,
    /// After the opening bracket.
    First,
    /// After a comma.
    Next,
    /// After an element.
    After,
    /// After the closing bracket.
    End,
}

/// A position in an element of an array.
#[derive(Debug, Clone, Copy)]
struct Element {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Element {
    const START: Self = Self { depth: 0, in_string: false, escaped: false };
}

/// A position in a row of CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    Start,
    Bare,
    Quoted,
    /// After a quote in a quoted cell: the end of the cell, or half of an escaped quote.
    Quote,
}

impl Grammar {
    /// Tells whether a record begins with this byte. The error names the input that was expected instead.
    fn begins(&mut self, byte: u8) -> Result<bool, &'static str> {
        match self {
            Self::Ndjson => Ok(!byte.is_ascii_whitespace()),
            Self::Csv(cell) => {
                *cell = Cell::Start;
                Ok(!matches!(byte, b'\r' | b'\n'))
            }
            Self::Array { .. } if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') => Ok(false),
            Self::Array { position, within } => {
                let (next, begins) = match (*position, byte) {
                    (ArrayPosition::Outside, b'[') => (ArrayPosition::First, false),
                    (ArrayPosition::Outside, _) => return Err("'[' at the start of an array"),
                    (ArrayPosition::First | ArrayPosition::After, b']') => (ArrayPosition::End, false),
                    (ArrayPosition::After, b',') => (ArrayPosition::Next, false),
                    (ArrayPosition::After, _) => return Err("',' or ']'"),
                    (ArrayPosition::First | ArrayPosition::Next, b',' | b']') => return Err("an element of the array"),
                    (ArrayPosition::First | ArrayPosition::Next, _) => (ArrayPosition::After, true),
                    (ArrayPosition::End, _) => return Err("the end of the stream after the array"),
                };
                *position = next;
                *within = Element::START;
                Ok(begins)
            }
        }
    }

    /// Returns the length of the current record's part in the chunk, if the record ends there.
    fn end(&mut self, piece: &[u8]) -> Option<usize> {
        match self {
            Self::Ndjson => piece.iter().position(|byte| *byte == b'\n'),
            Self::Array { within, .. } => within.end(piece),
            Self::Csv(cell) => piece.iter().position(|byte| cell.ends(*byte)),
        }
    }

    /// Trims white space from the end of a record in formats where it has no meaning.
    const fn trimmed<'a>(&self, record: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Ndjson => record.trim_ascii_end(),
            Self::Array { .. } | Self::Csv(_) => record,
        }
    }

    /// Describes the position of the stream if it is incomplete.
    const fn lacks(&self) -> Option<&'static str> {
        match self {
            Self::Array { position: ArrayPosition::Outside, .. } => Some("before the array begins"),
            Self::Array { position: ArrayPosition::First | ArrayPosition::Next | ArrayPosition::After, .. } => {
                Some("within the array")
            }
            Self::Csv(Cell::Quoted) => Some("within a quoted cell"),
            Self::Ndjson | Self::Array { position: ArrayPosition::End, .. } | Self::Csv(_) => None,
        }
    }
}

impl Element {
    fn end(&mut self, piece: &[u8]) -> Option<usize> {
        for (at, byte) in piece.iter().enumerate() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => {
                        self.in_string = false;
                        if self.depth == 0 {
                            return Some(at + 1);
                        }
                    }
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                // Ends a number or a word: they have no closing character.
                b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 => return Some(at),
                b']' | b'}' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

impl Cell {
    /// Consumes the next byte of a row. Returns true if the row ends before it.
    fn ends(&mut self, byte: u8) -> bool {
        let next = match (*self, byte) {
            (Self::Quoted, b'"') => Self::Quote,
            (Self::Quoted, _) | (Self::Start | Self::Quote, b'"') => Self::Quoted,
            (_, b'\r' | b'\n') => return true,
            (_, b',') => Self::Start,
            _ => Self::Bare,
        };
        *self = next;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Found = Vec<(u64, String, bool)>;

    /// Splits a text that arrives in chunks of this size.
    fn split(format: Format, text: &[u8], size: usize, limit: usize) -> (Found, Option<BrokenStream>) {
        let mut splitter = Splitter::new(format, limit);
        let mut found = Vec::new();
        let mut each = |record: RawRecord<'_>| {
            found.push((record.line, String::from_utf8(record.bytes.to_vec()).unwrap(), record.too_long));
        };
        let broken = text.chunks(size).try_for_each(|piece| splitter.push(piece, &mut each));
        let broken = broken.and_then(|()| splitter.finish(&mut each));
        (found, broken.err())
    }

    #[track_caller]
    fn assert_records(format: Format, text: &str, expected: &[(u64, &str)]) {
        let expected: Found = expected.iter().map(|(line, text)| (*line, (*text).to_owned(), false)).collect();
        for size in 1..=text.len().max(1) {
            assert_eq!(split(format, text.as_bytes(), size, 100), (expected.clone(), None), "{text:?} in {size}s");
        }
    }

    #[track_caller]
    fn assert_broken(format: Format, text: &str, records: usize, expected: &str) {
        for size in 1..=text.len().max(1) {
            let (found, broken) = split(format, text.as_bytes(), size, 100);
            assert_eq!(found.len(), records, "{text:?} in {size}s");
            assert_eq!(broken.map(|broken| broken.to_string()).as_deref(), Some(expected), "{text:?} in {size}s");
        }
    }

    #[test]
    fn ndjson_line_is_a_record_unless_blank() {
        assert_records(Format::Ndjson, "", &[]);
        assert_records(Format::Ndjson, "\n \r\n\t\n", &[]);
        assert_records(
            Format::Ndjson,
            "{}\r\n\r\n\n  [1, 2] \n{\"a\":\"\\n\"}",
            &[(1, "{}"), (4, "[1, 2]"), (5, "{\"a\":\"\\n\"}")],
        );
        assert_records(Format::Ndjson, "\u{feff}{}\nno\n", &[(1, "\u{feff}{}"), (2, "no")]);
    }

    #[test]
    fn array_element_is_a_record_even_if_invalid() {
        assert_records(Format::Array, " [ ] \n", &[]);
        assert_records(
            Format::Array,
            "[{\"a\": \"]}\\\"\"},\n[[],{}] , 1\n,true,\"x,\\\\\"]",
            &[(1, "{\"a\": \"]}\\\"\"}"), (2, "[[],{}]"), (2, "1"), (3, "true"), (3, "\"x,\\\\\"")],
        );
        assert_records(
            Format::Array,
            "[{\n\n\"a\":1],{\"b\"},nul\n]",
            &[(1, "{\n\n\"a\":1]"), (3, "{\"b\"}"), (3, "nul")],
        );
    }

    #[test]
    fn reports_errors_in_the_array_grammar() {
        assert_broken(Format::Array, "", 0, "the stream ends before the array begins, on line 1");
        assert_broken(Format::Array, "\n{}", 0, "expected '[' at the start of an array, found '{', on line 2");
        assert_broken(
            Format::Array,
            "\u{feff}[]",
            0,
            "expected '[' at the start of an array, found byte 0xEF, on line 1",
        );
        assert_broken(Format::Array, "[1,]", 1, "expected an element of the array, found ']', on line 1");
        assert_broken(Format::Array, "[,1]", 0, "expected an element of the array, found ',', on line 1");
        assert_broken(Format::Array, "[{}\n{}]", 1, "expected ',' or ']', found '{', on line 2");
        assert_broken(Format::Array, "[1}", 1, "expected ',' or ']', found '}', on line 1");
        assert_broken(
            Format::Array,
            "[{}]]",
            1,
            "expected the end of the stream after the array, found ']', on line 1",
        );
        for (cut, records) in [("[", 0), ("[{}", 1), ("[{},", 1), ("[{\"a\":\n", 0), ("[\"", 0), ("[1", 0)] {
            let line = if cut.ends_with('\n') { 2 } else { 1 };
            assert_broken(Format::Array, cut, records, &format!("the stream ends within the array, on line {line}"));
        }
    }

    #[test]
    fn csv_row_may_contain_line_breaks_in_quoted_cells() {
        assert_records(
            Format::Csv,
            "a,b \r\n\r\n1,\"x\r\ny\"\n\"\"\"\n\",2\n3,4\"5",
            &[(1, "a,b "), (3, "1,\"x\r\ny\""), (5, "\"\"\"\n\",2"), (7, "3,4\"5")],
        );
        assert_broken(Format::Csv, "a\n\"b\nc", 1, "the stream ends within a quoted cell, on line 3");
        let mut splitter = Splitter::new(Format::Csv, 100);
        splitter.push(b"a\n\"b\nc", |_| {}).unwrap();
        assert!(splitter.finish(|_| {}).is_err());
        assert_eq!(splitter.unfinished(), Some(RawRecord { line: 2, bytes: b"\"b\nc", too_long: false }));
    }

    #[test]
    fn truncates_long_records_and_continues_with_the_next() {
        let cases = [
            (Format::Ndjson, "12345\n123456\n1\n"),
            (Format::Array, "[12345,123456,\n1]"),
            (Format::Csv, "12345\n123456\r\n1"),
        ];
        for (format, text) in cases {
            for size in 1..=text.len() {
                let (found, broken) = split(format, text.as_bytes(), size, 5);
                let cut: Vec<_> = found.iter().map(|(_, text, too_long)| (text.as_str(), *too_long)).collect();
                assert_eq!((cut, broken), (vec![("12345", false), ("12345", true), ("1", false)], None), "{format:?}");
            }
        }
    }
}
