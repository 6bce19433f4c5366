//! Splits streams of bytes into records, for batches and imports alike, and parses the documents.

use mass_domain::contracts::{self, ContractId};
use mass_domain::json::{self, SyntaxError, Value};
use mass_domain::mass_request::IdempotencyKey;
use mass_domain::quarantine::RecordForm;
use mass_domain::records::{BrokenStream, Format, RawRecord, Splitter};
use mass_service::{Record as Submitted, SentKey};

use crate::rows::{Header, InvalidHeader};

/// The columns that MASS adds to refused rows.
pub const OWN_COLUMNS: [&str; 3] = ["_line", "_pointer", "_reason"];

/// The reasons for which the rest of a stream cannot be read. The records before have been passed on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UnreadableStream {
    /// The records cannot be separated.
    #[error(transparent)]
    Stream(#[from] BrokenStream),
    /// The header row is invalid, so that its rows cannot be read.
    #[error("the header row cannot be read: {0}")]
    Header(#[from] InvalidHeader),
}

/// Splits a stream into records, regardless of how it arrives in pieces.
#[derive(Debug)]
pub struct Records {
    splitter: Splitter,
    form: Form,
    /// The maximum length of a record in bytes.
    limit: usize,
    /// True if MASS's own additions to refused records are removed.
    accepts_refused: bool,
    /// True if each JSON record is an object of a document and its idempotency key.
    keyed: bool,
}

/// The kind of the next record.
#[derive(Debug)]
enum Form {
    /// The header row of documents under this contract.
    Header(ContractId),
    /// A document.
    Document(DocumentSource),
}

/// The source of a document.
#[derive(Debug)]
enum DocumentSource {
    /// A JSON text, under this contract if it names none itself.
    Json(Option<ContractId>),
    /// A row below this header.
    Row(Box<Header>),
}

/// A record whose document has not been parsed yet.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The record as it stands in the stream.
    pub raw: RawRecord<'a>,
    source: &'a DocumentSource,
    limit: usize,
    accepts_refused: bool,
    keyed: bool,
}

impl Records {
    /// Creates the reader of a format, with the contract named beside the stream, which CSV requires. `limit` is the
    /// maximum length of a record in bytes.
    #[must_use]
    pub const fn new(format: Format, contract: Option<ContractId>, limit: usize) -> Self {
        let form = match (format, contract) {
            (Format::Csv, Some(contract)) => Form::Header(contract),
            (Format::Csv | Format::Ndjson | Format::Array, contract) => Form::Document(DocumentSource::Json(contract)),
        };
        Self { splitter: Splitter::new(format, limit), form, limit, accepts_refused: false, keyed: false }
    }

    /// Also accepts refused records in the form in which MASS returned them, so that they can be corrected and sent
    /// again.
    #[must_use]
    pub fn accepting_refused(self) -> Self {
        Self { accepts_refused: true, ..self }
    }

    /// Expects each JSON record to be an object of a `document` and, optionally, its idempotency `key`.
    #[must_use]
    pub fn keyed(self, keyed: bool) -> Self {
        Self { keyed, ..self }
    }

    /// Takes the next piece of the stream, `None` at its end, and passes on each record that ends in it.
    ///
    /// # Errors
    /// [`UnreadableStream`].
    pub fn take(&mut self, piece: Option<&[u8]>, mut each: impl FnMut(Record<'_>)) -> Result<(), UnreadableStream> {
        let Self { splitter, form, limit, accepts_refused, keyed } = self;
        let (limit, accepts_refused, keyed) = (*limit, *accepts_refused, *keyed);
        let ignored: &[&str] = if accepts_refused { &OWN_COLUMNS } else { &[] };
        let mut refused = None;
        let take = |raw: RawRecord<'_>| match form {
            Form::Header(_) if refused.is_some() => {}
            Form::Header(contract) => match Header::parse(*contract, &raw, ignored) {
                Ok(header) => *form = Form::Document(DocumentSource::Row(Box::new(header))),
                Err(error) => refused = Some(error),
            },
            Form::Document(source) => each(Record { raw, source, limit, accepts_refused, keyed }),
        };
        match piece {
            Some(piece) => splitter.push(piece, take)?,
            None => splitter.finish(take)?,
        }
        refused.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Returns the header row, once it has been read.
    #[must_use]
    pub fn header(&self) -> Option<&Header> {
        match &self.form {
            Form::Document(DocumentSource::Row(header)) => Some(header),
            Form::Document(DocumentSource::Json(_)) | Form::Header(_) => None,
        }
    }

    /// Returns the number of bytes that the unfinished record takes in memory.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.splitter.held()
    }

    /// Returns the record in which the stream ended.
    #[must_use]
    pub fn unfinished(&self) -> Option<RawRecord<'_>> {
        self.splitter.unfinished().filter(|_| matches!(self.form, Form::Document(_)))
    }
}

impl Record<'_> {
    /// Tells whether it is the last line of an export, which has the totals and no document.
    #[must_use]
    pub fn ends_export(&self) -> bool {
        let is_json = matches!(self.source, DocumentSource::Json(_));
        self.accepts_refused && is_json && self.raw.bytes.starts_with(b"{\"totals\":")
    }

    /// Returns the form of the record, and bytes from which it can be [reread] alone: of a row also its header row.
    #[must_use]
    pub fn with_header(&self) -> (RecordForm, Vec<u8>) {
        match self.source {
            DocumentSource::Row(header) => (RecordForm::Csv, [header.text(), b"\r\n", self.raw.bytes].concat()),
            DocumentSource::Json(_) if self.keyed => (RecordForm::Keyed, self.raw.bytes.to_vec()),
            DocumentSource::Json(_) => (RecordForm::Json, self.raw.bytes.to_vec()),
        }
    }

    /// Returns the contract that was named beside the stream.
    #[must_use]
    pub fn named_contract(&self) -> Option<ContractId> {
        match self.source {
            DocumentSource::Row(header) => Some(header.contract()),
            DocumentSource::Json(contract) => *contract,
        }
    }

    /// Parses the document.
    ///
    /// # Errors
    /// The syntax error. Lines are counted from the first line of the record.
    pub fn document(&self) -> Result<Value, SyntaxError> {
        self.keyed_document().map(|(_, document)| document)
    }

    /// Parses the document and the idempotency key beside it.
    ///
    /// # Errors
    /// As [`document`](Self::document).
    pub fn keyed_document(&self) -> Result<(Option<String>, Value), SyntaxError> {
        if self.raw.too_long {
            let detail = format!("The record has more than {} bytes (MASS_BODY_LIMIT_BYTES).", self.limit);
            return Err(SyntaxError { code: "too_long", detail, line: 1, column: 1 });
        }
        let contract = match self.source {
            DocumentSource::Row(header) => return Ok((None, header.document(self.raw.bytes)?)),
            DocumentSource::Json(contract) => *contract,
        };
        let value = json::parse(self.raw.bytes)?;
        let (key, value) = if self.keyed { keyed(value)? } else { (None, value) };
        let value = if self.accepts_refused { unwrap_refused(value) } else { value };
        let document = match contract {
            Some(contract) => contracts::with_marker(contract, value),
            None => value,
        };
        Ok((key, document))
    }
}

/// Parses a record that was kept alone: the document, and the idempotency key beside it. `contract` is that of a document
/// without a marker, which CSV requires.
///
/// # Errors
/// The syntax error.
pub fn reread(
    form: RecordForm,
    contract: Option<ContractId>,
    bytes: &[u8],
) -> Result<(Option<String>, Value), SyntaxError> {
    let unreadable = |detail| SyntaxError { code: "syntax", detail, line: 1, column: 1 };
    if form == RecordForm::Text {
        return Err(unreadable("Expected a mended document: the mapping profile made none of the record.".to_owned()));
    }
    if form != RecordForm::Csv {
        let raw = RawRecord { line: 1, bytes, too_long: false };
        let (source, keyed) = (DocumentSource::Json(contract), form == RecordForm::Keyed);
        return Record { raw, source: &source, limit: bytes.len(), accepts_refused: false, keyed }.keyed_document();
    }
    let (mut records, mut found) = (Records::new(Format::Csv, contract, bytes.len()), None);
    let mut each = |record: Record<'_>| found = Some(record.keyed_document());
    let read = records.take(Some(bytes), &mut each).and_then(|()| records.take(None, &mut each));
    match (found, read) {
        (Some(found), _) => found,
        (None, Err(error)) => Err(unreadable(error.to_string())),
        (None, Ok(())) => Err(unreadable("Expected a row after the header row.".to_owned())),
    }
}

/// Takes a record with its key apart.
fn keyed(value: Value) -> Result<(Option<String>, Value), SyntaxError> {
    let refuse = |detail: &str| SyntaxError { code: "keyed", detail: detail.to_owned(), line: 1, column: 1 };
    let Value::Object(members) = value else {
        return Err(refuse("Expected an object of a document and its key, because keyed=true."));
    };
    let (mut key, mut document) = (None, None);
    for (name, member) in members {
        match (&*name, member) {
            ("document", member) => document = Some(member),
            ("key", Value::String(text)) if IdempotencyKey::parse(&text).is_ok() => key = Some(text.to_string()),
            ("key", _) => return Err(refuse("Expected a key of 1 to 255 printable ASCII characters.")),
            _ => return Err(refuse("Expected no members besides document and key, because keyed=true.")),
        }
    }
    let document = document.ok_or_else(|| refuse("Expected the member document, because keyed=true."))?;
    Ok((key, document))
}

/// Unwraps the record from a line about a refused record, and the document from a line of an export.
fn unwrap_refused(value: Value) -> Value {
    let is_exported = value.get("fingerprint").is_some() && value.get("natural_key").is_some();
    let inner = match (value.get("_violations"), value.get("record"), value.get("document")) {
        (Some(_), Some(record), _) => Some(record),
        (None, _, Some(document)) if is_exported => Some(document),
        (Some(_) | None, _, _) => None,
    };
    inner.cloned().unwrap_or(value)
}

/// Builds the service's input from a record, as [`submitted_document`] does.
pub fn submitted(text: &[u8], document: Result<Value, SyntaxError>, key: impl FnOnce() -> Option<String>) -> Submitted {
    match document {
        Ok(document) => submitted_document(document, text.len(), key),
        Err(error) => Submitted::unreadable(text, error),
    }
}

/// Builds the service's input from a document of so many bytes. The idempotency key is for documents without a natural
/// key, which has the same effect permanently.
pub fn submitted_document(document: Value, bytes: usize, key: impl FnOnce() -> Option<String>) -> Submitted {
    let natural = contracts::recognise(&document).is_some_and(|contract| contract.has_natural_key());
    let key = if natural { None } else { key().and_then(|key| IdempotencyKey::parse(&key).ok()) };
    Submitted::new(document, bytes, key.map_or(SentKey::None, SentKey::Fallback))
}

/// Describes a syntax error with its place in the record.
#[must_use]
pub fn in_words(error: &SyntaxError) -> String {
    let SyntaxError { detail, line, column, .. } = error;
    match (line, column) {
        (1, 1) => detail.clone(),
        (1, column) => format!("{detail} at column {column} of the record"),
        (line, column) => format!("{detail} at line {line}, column {column} of the record"),
    }
}

#[cfg(test)]
mod tests {
    use mass_domain::canonical;
    use mass_domain::contracts::SIMPLE_1_0;

    use super::*;

    /// Reads a stream; returns each record's line with its document or error, and the error of the stream.
    fn read(mut records: Records, text: &[u8]) -> (Vec<String>, Option<String>) {
        let mut found = Vec::new();
        let mut each = |record: Record<'_>| {
            let what = record.document().map_or_else(|error| in_words(&error), |value| canonical::write(&value));
            found.push(format!("{}: {what}", record.raw.line));
        };
        let read = records.take(Some(text), &mut each).and_then(|()| records.take(None, &mut each));
        (found, read.err().map(|error| error.to_string()))
    }

    fn csv() -> Records {
        Records::new(Format::Csv, Some(SIMPLE_1_0), 20)
    }

    fn ndjson(contract: Option<ContractId>) -> Records {
        Records::new(Format::Ndjson, contract, 100)
    }

    #[test]
    fn the_line_of_an_export_is_its_document_where_that_is_accepted() {
        let text = b"{\"id\":\"i\",\"natural_key\":null,\"fingerprint\":\"f\",\"document\":{\"payload\":{\"a\":1}}}\n";
        assert_eq!(read(ndjson(None).accepting_refused(), text).0, [r#"1: {"payload":{"a":1}}"#]);
        assert!(read(ndjson(None), text).0[0].contains("natural_key"));
        let mut ends = Vec::new();
        let totals = b"{\"totals\":{\"requests\":1}}\n";
        ndjson(None).accepting_refused().take(Some(totals), |record| ends.push(record.ends_export())).unwrap();
        ndjson(None).take(Some(totals), |record| ends.push(record.ends_export())).unwrap();
        assert_eq!(ends, [true, false]);
    }

    #[test]
    fn rows_are_read_by_the_header_row_before_them() {
        let (found, error) = read(csv(), b"a,b\r\n\r\n1,\"x\n\"\n1\n2,\xff\n1,this row is too long\n3,\n");
        let expected = [
            r#"3: {"payload":{"a":"1","b":"x\n"}}"#,
            "5: The record has 1 cells, but the header row has 2.",
            "6: The record is not UTF-8.",
            "7: The record has more than 20 bytes (MASS_BODY_LIMIT_BYTES).",
            r#"8: {"payload":{"a":"3"}}"#,
        ];
        assert_eq!((found, error), (expected.map(str::to_owned).to_vec(), None));
    }

    #[test]
    fn without_a_header_row_no_row_is_read() {
        for (text, expected) in [
            ("a,a\n1,2\n", "the header row cannot be read: the header \"a\" occurs twice"),
            ("\u{feff}a\n1\n", "the header row cannot be read: it begins with a byte order mark, "),
            ("a,b,c,d,e,f,g,h,i,j,k\n1\n", "the header row cannot be read: it is too long"),
            ("a,\"b\n1,2\n", "the stream ends within a quoted cell, on line 3"),
        ] {
            let (found, error) = read(csv(), text.as_bytes());
            assert_eq!(found, [""; 0], "{text}");
            assert!(error.as_ref().is_some_and(|error| error.starts_with(expected)), "{text}: {error:?}");
        }
    }

    #[test]
    fn a_json_text_may_leave_its_contract_to_what_was_named_beside_it() {
        let text = b"{\"a\":1}\n\n{\"payload\":{\"a\":1}}\n{\"a\"\n";
        let (bare, _) = read(ndjson(None), text);
        assert_eq!(bare[0], r#"1: {"a":1}"#);
        let (named, error) = read(ndjson(Some(SIMPLE_1_0)), text);
        let expected = [r#"1: {"payload":{"a":1}}"#, r#"3: {"payload":{"a":1}}"#];
        assert_eq!((&named[..2], error), (&expected.map(str::to_owned)[..], None));
        assert!(named[2].starts_with("4: ") && named[2].ends_with(" at column 5 of the record"), "{named:?}");
    }

    #[test]
    fn what_was_refused_is_read_as_it_was_only_where_that_is_asked_for() {
        let line = br#"{"_line":7,"_violations":[],"record":{"a":1}}"#;
        assert_eq!(read(ndjson(Some(SIMPLE_1_0)).accepting_refused(), line).0, [r#"1: {"payload":{"a":1}}"#]);
        assert!(read(ndjson(Some(SIMPLE_1_0)), line).0[0].contains("_violations"));
        let row = b"a,_line\n1,7\n";
        assert_eq!(read(csv().accepting_refused(), row).0, [r#"2: {"payload":{"a":"1"}}"#]);
        assert!(read(csv(), row).0[0].contains("_line"));
    }

    #[test]
    fn a_record_that_was_kept_alone_is_read_as_it_was_in_its_stream() {
        let mut kept = Vec::new();
        let each = |record: Record<'_>| kept.push((record.with_header(), record.named_contract(), record.document()));
        Records::new(Format::Csv, Some(SIMPLE_1_0), 100).take(Some(b"\"a\",c\n1,\"2\n3\"\n1\n"), each).unwrap();
        let each = |record: Record<'_>| kept.push((record.with_header(), record.named_contract(), record.document()));
        let array = b"[{\"a\":\n1}, {\"payload\":{}}, x]";
        Records::new(Format::Array, Some(SIMPLE_1_0), 100).take(Some(array), each).unwrap();
        assert_eq!(kept.len(), 5);
        for ((form, bytes), contract, document) in kept {
            assert_eq!(reread(form, contract, &bytes).map(|(_, document)| document), document, "{form}");
        }
        let (key, document) = reread(RecordForm::Keyed, None, b"{\"key\":\"k\",\"document\":{}}").unwrap();
        assert_eq!((key.as_deref(), canonical::write(&document)), (Some("k"), "{}".to_owned()));
        assert!(reread(RecordForm::Csv, Some(SIMPLE_1_0), b"a,b").is_err());
    }
}
