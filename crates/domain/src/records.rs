//! Takes a stream of records apart, however it is cut into pieces: lines of NDJSON, elements of a JSON array, rows of CSV.
//!
//! Where a record ends is all that is found out here; what it says is judged by whoever reads it. A record that is no good
//! therefore costs none of its neighbours. Never more is held than one record up to its greatest length.

/// How records follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON text a line; blank lines are no records.
    Ndjson,
    /// The elements of one JSON array.
    Array,
    /// Rows of CSV (RFC 4180), the header row among them; a quoted cell may have line breaks.
    Csv,
}

/// A record as it stands in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawRecord<'a> {
    /// The line on which it begins, from 1.
    pub line: u64,
    /// Its bytes, without what parts it from its neighbours; of one that is too long, its beginning.
    pub bytes: &'a [u8],
    /// Whether it is longer than a record may be.
    pub too_long: bool,
}

/// From where on a stream cannot be taken apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}, on line {line}")]
pub struct BrokenStream {
    /// What is wrong, without a full stop.
    pub detail: String,
    /// The line on which it is met, from 1.
    pub line: u64,
}

/// Takes a stream apart.
#[derive(Debug)]
pub struct Splitter {
    limit: usize,
    /// The beginning of a record whose end has not come yet.
    kept: Vec<u8>,
    /// How long it is so far, kept or not.
    length: usize,
    /// The line of the next byte.
    line: u64,
    /// The line on which the record under way begins.
    begun_on: Option<u64>,
    grammar: Grammar,
}

impl Splitter {
    /// Takes apart a stream of this format, whose records have at most so many bytes.
    #[must_use]
    pub const fn new(format: Format, limit: usize) -> Self {
        let grammar = match format {
            Format::Ndjson => Grammar::Ndjson,
            Format::Array => Grammar::Array { position: ArrayPosition::Outside, within: Element::START },
            Format::Csv => Grammar::Csv(Cell::Start),
        };
        Self { limit, kept: Vec::new(), length: 0, line: 1, begun_on: None, grammar }
    }

    /// Takes the next piece of the stream, and hands on each record that ends in it.
    ///
    /// # Errors
    /// [`BrokenStream`]; the records before that place have been handed on, and no more can follow.
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

    /// Takes the end of the stream, which may end the last record.
    ///
    /// # Errors
    /// [`BrokenStream`] when the stream cannot end there.
    pub fn finish(&mut self, mut each: impl FnMut(RawRecord<'_>)) -> Result<(), BrokenStream> {
        if let Some(what) = self.grammar.lacks() {
            return Err(self.broken(format!("the stream ends {what}")));
        }
        if self.begun_on.is_some() {
            self.finish_record(&[], &mut each);
        }
        Ok(())
    }

    /// How many bytes of memory the beginning of a record takes whose end has not come yet.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.kept.capacity()
    }

    /// The record in whose middle the stream ended, if it cannot end there.
    #[must_use]
    pub fn unfinished(&self) -> Option<RawRecord<'_>> {
        Some(RawRecord { line: self.begun_on?, bytes: &self.kept, too_long: self.length > self.limit })
    }

    fn finish_record(&mut self, last: &[u8], each: &mut impl FnMut(RawRecord<'_>)) {
        let line = self.begun_on.take().unwrap_or(self.line);
        let too_long = self.length + last.len() > self.limit;
        if self.kept.is_empty() {
            // Most records end in the piece that they begin in, and are handed on without a copy.
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

    /// Steps over what stands between two records.
    fn skip<'a>(&mut self, piece: &'a [u8]) -> Result<&'a [u8], BrokenStream> {
        for (at, byte) in piece.iter().enumerate() {
            match self.grammar.begins(*byte) {
                Ok(false) => self.line += u64::from(*byte == b'\n'),
                Ok(true) => return Ok(piece.get(at..).unwrap_or_default()),
                Err(due) => return Err(self.broken(format!("{due} is due"))),
            }
        }
        Ok(&[])
    }

    const fn broken(&self, detail: String) -> BrokenStream {
        BrokenStream { detail, line: self.line }
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

/// What a format needs to know of all that came before, to tell where a record begins and ends.
#[derive(Debug)]
enum Grammar {
    Ndjson,
    Array { position: ArrayPosition, within: Element },
    Csv(Cell),
}

/// A place in an array, outside of its elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ArrayPosition {
    /// Before its bracket.
    Outside,
    /// After its bracket.
    First,
    /// After a comma.
    Next,
    /// After an element.
    After,
    /// After its closing bracket.
    End,
}

/// A place in an element of an array.
#[derive(Debug, Clone, Copy)]
struct Element {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Element {
    const START: Self = Self { depth: 0, in_string: false, escaped: false };
}

/// A place in a row of CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    Start,
    Bare,
    Quoted,
    /// After a quote in a quoted cell: its end, or half of an escaped quote.
    Quote,
}

impl Grammar {
    /// Whether a record begins with this byte, which stands between records; an error says what is due there instead.
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
                    (ArrayPosition::Outside, _) => return Err("an array, which begins with '['"),
                    (ArrayPosition::First | ArrayPosition::After, b']') => (ArrayPosition::End, false),
                    (ArrayPosition::After, b',') => (ArrayPosition::Next, false),
                    (ArrayPosition::After, _) => return Err("',' or ']'"),
                    (ArrayPosition::First | ArrayPosition::Next, b',' | b']') => return Err("an element of the array"),
                    (ArrayPosition::First | ArrayPosition::Next, _) => (ArrayPosition::After, true),
                    (ArrayPosition::End, _) => return Err("nothing more after the array"),
                };
                *position = next;
                *within = Element::START;
                Ok(begins)
            }
        }
    }

    /// How much of the piece belongs to the record under way, if it ends there.
    fn end(&mut self, piece: &[u8]) -> Option<usize> {
        match self {
            Self::Ndjson => piece.iter().position(|byte| *byte == b'\n'),
            Self::Array { within, .. } => within.end(piece),
            Self::Csv(cell) => piece.iter().position(|byte| cell.ends(*byte)),
        }
    }

    /// A record without white space at its end, where that means nothing.
    const fn trimmed<'a>(&self, record: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Ndjson => record.trim_ascii_end(),
            Self::Array { .. } | Self::Csv(_) => record,
        }
    }

    /// Where the stream stands, if it cannot end there.
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
                // Of a number or a word, which nothing closes.
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
    /// Takes the next byte of a row; whether the row ends before it.
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

    /// Takes a text apart that comes in pieces of this size.
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
    fn a_line_is_a_record_unless_it_is_blank() {
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
    fn an_element_is_a_record_whatever_is_wrong_within_it() {
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
    fn an_array_ends_where_its_grammar_does() {
        assert_broken(Format::Array, "", 0, "the stream ends before the array begins, on line 1");
        assert_broken(Format::Array, "\n{}", 0, "an array, which begins with '[' is due, on line 2");
        assert_broken(Format::Array, "\u{feff}[]", 0, "an array, which begins with '[' is due, on line 1");
        assert_broken(Format::Array, "[1,]", 1, "an element of the array is due, on line 1");
        assert_broken(Format::Array, "[,1]", 0, "an element of the array is due, on line 1");
        assert_broken(Format::Array, "[{}\n{}]", 1, "',' or ']' is due, on line 2");
        assert_broken(Format::Array, "[1}", 1, "',' or ']' is due, on line 1");
        assert_broken(Format::Array, "[{}]]", 1, "nothing more after the array is due, on line 1");
        for (cut, records) in [("[", 0), ("[{}", 1), ("[{},", 1), ("[{\"a\":\n", 0), ("[\"", 0), ("[1", 0)] {
            let line = if cut.ends_with('\n') { 2 } else { 1 };
            assert_broken(Format::Array, cut, records, &format!("the stream ends within the array, on line {line}"));
        }
    }

    #[test]
    fn a_row_may_have_line_breaks_in_quoted_cells() {
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
    fn a_record_that_is_too_long_is_cut_and_the_next_one_found() {
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
