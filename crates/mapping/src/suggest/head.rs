//! The form of an input, from its head.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use mass_domain::json::{self, Value};

use crate::profile::{Format, escaped};

/// The most rows that are looked at.
const MOST_ROWS: usize = 200;

/// The head of an input, as a table.
pub(super) struct Head {
    pub(super) format: Format,
    pub(super) encoding: &'static str,
    pub(super) delimiter: char,
    pub(super) skip_lines: usize,
    pub(super) comment: &'static str,
    pub(super) header: bool,
    /// The pointer to the records of a JSON document.
    pub(super) records: String,
    /// Headers, or pointers.
    pub(super) names: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    pub(super) doubts: Vec<String>,
}

/// Reads the head of an input.
pub(super) fn read(bytes: &[u8]) -> Head {
    let (text, encoding, doubts) = decode(bytes);
    let start = text.trim_start();
    let mut head =
        if start.starts_with(['{', '[']) { json_head(start) } else { None }.unwrap_or_else(|| table_head(&text));
    head.encoding = encoding;
    head.doubts.extend(doubts);
    head
}

fn decode(bytes: &[u8]) -> (String, &'static str, Option<String>) {
    let zeros = |offset: usize| bytes.iter().skip(offset).step_by(2).take(200).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    let enough = bytes.len().min(400) / 8 + 1;
    let (encoding, label, doubt) = if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        (encoding, if encoding == UTF_8 { "utf-8" } else { "utf-16" }, None)
    } else if odd >= enough && even < odd {
        (encoding_rs::UTF_16LE, "utf-16le", Some("the encoding is guessed from zero bytes"))
    } else if even >= enough {
        (encoding_rs::UTF_16BE, "utf-16be", Some("the encoding is guessed from zero bytes"))
    } else if std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true) {
        (UTF_8, "utf-8", None)
    } else {
        (
            WINDOWS_1252,
            "windows-1252",
            Some("the input is not UTF-8; windows-1252 is the most common other encoding: check letters with accents"),
        )
    };
    (encoding.decode(bytes).0.into_owned(), label, doubt.map(str::to_owned))
}

const fn empty(format: Format) -> Head {
    Head {
        format,
        encoding: "utf-8",
        delimiter: ',',
        skip_lines: 0,
        comment: "",
        header: true,
        records: String::new(),
        names: Vec::new(),
        rows: Vec::new(),
        doubts: Vec::new(),
    }
}

/// Reads the head of JSON; `None` if no document is complete.
fn json_head(text: &str) -> Option<Head> {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).take(MOST_ROWS).collect();
    let parsed: Vec<Value> = lines.iter().filter_map(|line| json::parse(line.trim().as_bytes()).ok()).collect();
    let is_ndjson = parsed.len() > 1 && parsed.len() + 1 >= lines.len();
    let mut head = empty(if is_ndjson { Format::Ndjson } else { Format::Json });
    let documents =
        if is_ndjson { parsed } else { vec![json::parse(text.as_bytes()).ok().or_else(|| first_element(text))?] };
    let first = documents.first()?;
    head.records = list_pointer(first, String::new(), 0).unwrap_or_default();
    let records: Vec<&Value> =
        documents.iter().flat_map(|document| items(document, &head.records)).take(MOST_ROWS).collect();
    for record in &records {
        scalars(record, String::new(), &mut |pointer, _| {
            if !head.names.contains(&pointer) && head.names.len() < 100 {
                head.names.push(pointer);
            }
        });
    }
    for record in records {
        let mut row = vec![String::new(); head.names.len()];
        scalars(record, String::new(), &mut |pointer, text| {
            if let Some(cell) = head.names.iter().position(|name| *name == pointer).and_then(|index| row.get_mut(index))
            {
                *cell = text;
            }
        });
        head.rows.push(row);
    }
    Some(head)
}

/// Parses the first element of an array that is cut off.
fn first_element(text: &str) -> Option<Value> {
    let elements = text.strip_prefix('[')?;
    let end = elements
        .match_indices('}')
        .map(|(at, _)| at + 1)
        .find(|end| elements.get(..*end).is_some_and(|element| json::parse(element.trim().as_bytes()).is_ok()))?;
    json::parse(elements.get(..end)?.trim().as_bytes()).ok()
}

/// Returns the pointer to the first list of objects, outside in.
fn list_pointer(value: &Value, pointer: String, depth: usize) -> Option<String> {
    match value {
        Value::Array(items) if items.iter().any(|item| matches!(item, Value::Object(_))) => Some(pointer),
        Value::Object(members) if depth < 3 => members
            .iter()
            .find_map(|(key, member)| list_pointer(member, format!("{pointer}/{}", escaped(key)), depth + 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn items<'v>(document: &'v Value, pointer: &str) -> Vec<&'v Value> {
    match document.pointer(pointer) {
        Some(Value::Array(items)) => items.iter().collect(),
        Some(value) => vec![value],
        None => Vec::new(),
    }
}

/// Visits the single values below a value.
fn scalars(value: &Value, pointer: String, visit: &mut dyn FnMut(String, String)) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                scalars(member, format!("{pointer}/{}", escaped(key)), visit);
            }
        }
        // A record that is a single value has no members to name.
        Value::String(_) | Value::Number(_) if pointer.is_empty() => {}
        Value::String(text) => visit(pointer, text.clone()),
        Value::Number(number) => visit(pointer, number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) => {}
    }
}

fn table_head(text: &str) -> Head {
    let all: Vec<&str> = text.lines().take(MOST_ROWS).collect();
    let comment = if all.iter().any(|line| line.starts_with('#')) { "#" } else { "" };
    let is_row = |line: &&&str| !line.trim().is_empty() && (comment.is_empty() || !line.starts_with(comment));
    let lines: Vec<&str> = all.iter().filter(is_row).copied().collect();
    let widths = |delimiter: char| -> Vec<usize> { lines.iter().map(|line| split(line, delimiter).len()).collect() };
    let score = |delimiter: &char| {
        let widths = widths(*delimiter);
        let common = most_common(&widths);
        if common < 2 { 0 } else { widths.iter().filter(|width| **width == common).count() * 100 + common }
    };
    let delimiter = [',', ';', '\t', '|'].into_iter().rev().max_by_key(score).unwrap_or(',');
    let widths = widths(delimiter);
    let common = most_common(&widths);
    let first = widths.iter().position(|width| *width == common).unwrap_or(0);
    let mut head = empty(if delimiter == '\t' { Format::Tsv } else { Format::Csv });
    (head.delimiter, head.comment) = (delimiter, comment);
    if first > 0 {
        // Lines are counted as they come, with comments and blank ones.
        head.skip_lines =
            lines.get(first).and_then(|line| all.iter().position(|other| std::ptr::eq(*other, *line))).unwrap_or(0);
        head.doubts.push(format!("{} lines before the header row are skipped", head.skip_lines));
    }
    let mut rows: Vec<Vec<String>> = lines.iter().skip(first).map(|line| split(line, delimiter)).collect();
    rows.retain(|row| row.len() == common);
    let numeric = |row: &Vec<String>| {
        row.iter().filter(|cell| cell.starts_with(|c: char| c.is_ascii_digit() || c == '-')).count()
    };
    let is_header = rows.first().is_none_or(|row| numeric(row) == 0);
    head.header = is_header;
    if is_header && !rows.is_empty() {
        head.names = rows.remove(0);
    } else {
        head.names = (1..=common).map(|number| format!("column {number}")).collect();
        head.doubts.push("the first row has numbers, so the columns have no names".to_owned());
    }
    head.rows = rows;
    head
}

fn most_common(widths: &[usize]) -> usize {
    let count = |width: usize| widths.iter().filter(|other| **other == width).count();
    widths.iter().copied().max_by_key(|width| (count(*width), *width)).unwrap_or(0)
}

/// Splits a line at a delimiter outside of quotes.
fn split(line: &str, delimiter: char) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    for character in line.trim_end_matches('\r').chars() {
        match character {
            '"' => quoted = !quoted,
            other if other == delimiter && !quoted => cells.push(std::mem::take(&mut cell).trim().to_owned()),
            other => cell.push(other),
        }
    }
    cells.push(cell.trim().to_owned());
    cells
}
