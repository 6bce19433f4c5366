//! The text of a suggested profile.

use std::fmt::Write as _;

use super::columns::{Columns, MetricGuess};
use super::head::Head;
use crate::profile::Format;

/// Writes the profile.
pub(super) fn profile(head: &Head, columns: &Columns) -> String {
    let mut text =
        "# Suggested from the head of the input. Check every guess; lines with DOUBT need an answer.\n\n".to_owned();
    text.push_str("contract = \"device/2.0\"\n\n");
    read(head, columns, &mut text);
    for doubt in head.doubts.iter().chain(&columns.doubts) {
        push(&mut text, format_args!("# DOUBT: {doubt}.\n"));
    }
    time(head, columns, &mut text);
    members(head, columns, &mut text);
    text
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string never fails.
    let _ = text.write_fmt(line);
}

/// Quotes a text. JSON's escapes are also TOML's, which has one more.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// Returns the source of a column: its name, or its number if the name does not identify it.
fn source(head: &Head, column: usize) -> String {
    let name = head.names.get(column).map_or("", String::as_str);
    let unique = head.names.iter().filter(|other| *other == name).count() == 1;
    let is_number = name.starts_with('#');
    if is_table(head) && (name.is_empty() || !unique || is_number) {
        return quoted(&format!("#{}", column + 1));
    }
    quoted(name)
}

const fn is_table(head: &Head) -> bool {
    head.format.is_table()
}

fn read(head: &Head, columns: &Columns, text: &mut String) {
    let format = match head.format {
        Format::Csv => "csv",
        Format::Tsv => "tsv",
        Format::Ndjson => "ndjson",
        Format::Json => "json",
    };
    push(text, format_args!("[read]\nformat = \"{format}\"\n"));
    if head.encoding != "utf-8" {
        push(text, format_args!("encoding = \"{}\"\n", head.encoding));
    }
    if head.format == Format::Csv && head.delimiter != ',' {
        push(text, format_args!("delimiter = {}\n", quoted(&head.delimiter.to_string())));
    }
    if head.skip_lines > 0 {
        push(text, format_args!("skip_lines = {}\n", head.skip_lines));
    }
    if is_table(head) && !head.header {
        let names: Vec<_> = head.names.iter().map(|name| quoted(name)).collect();
        push(text, format_args!("header = false\ncolumns = [{}]\n", names.join(", ")));
    }
    if !head.comment.is_empty() {
        push(text, format_args!("comment = {}\n", quoted(head.comment)));
    }
    if columns.decimal != '.' {
        push(text, format_args!("decimal = \",\"\n"));
    }
    if let Some(thousands) = columns.thousands {
        push(text, format_args!("thousands = {}\n", quoted(&thousands.to_string())));
    }
    if columns.absent.len() > 1 {
        let absent: Vec<_> = columns.absent.iter().map(|absent| quoted(absent)).collect();
        push(text, format_args!("absent = [{}]\n", absent.join(", ")));
    }
    if !head.records.is_empty() {
        push(text, format_args!("records = [{}]\n", quoted(&head.records)));
    }
}

fn time(head: &Head, columns: &Columns, text: &mut String) {
    text.push_str("\n[time]\n");
    let Some(time) = &columns.time else {
        let guess = if is_table(head) { "time" } else { "/time" };
        push(text, format_args!("# DOUBT: no column looks like a time.\nfrom = \"{guess}\"\n"));
        return;
    };
    let from: Vec<_> = time.from.iter().map(|column| source(head, *column)).collect();
    let from = if let [one] = from.as_slice() { one.clone() } else { format!("[{}]", from.join(", ")) };
    push(text, format_args!("from = {from}\n"));
    if let Some(doubt) = time.doubt {
        push(text, format_args!("# DOUBT: {doubt}.\n"));
    }
    push(text, format_args!("format = {}\n", quoted(&time.format)));
    if time.local {
        text.push_str("# DOUBT: the times have no offset; name the zone of the site, such as \"Europe/Madrid\".\nzone = \"UTC\"\n");
        text.push_str(
            "# The hour that occurs twice when clocks are put back: refuse, earlier or later.\ndoubled = \"refuse\"\n",
        );
    }
}

fn members(head: &Head, columns: &Columns, text: &mut String) {
    text.push_str("\n[members]\n");
    match columns.device {
        Some(column) => {
            let samples: Vec<&str> = head.rows.iter().filter_map(|row| row.get(column)).map(String::as_str).collect();
            let allowed = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
            let from = source(head, column);
            if samples.iter().all(|sample| sample.chars().all(allowed)) {
                push(text, format_args!("\"device.id\" = {from}\n"));
            } else {
                push(
                    text,
                    format_args!(
                        "# Characters that an id may not have become hyphens.\n\"device.id\" = {{ from = {from}, identifier = true }}\n"
                    ),
                );
            }
        }
        None => text.push_str(
            "# DOUBT: no column looks like the name of a device.\n\"device.id\" = { value = \"device-1\" }\n",
        ),
    }
    if let Some(column) = columns.location {
        push(text, format_args!("\"device.location\" = {}\n", source(head, column)));
    }
    for (column, guess) in &columns.metrics {
        let path = quoted(&format!("metrics.{}", guess.to.replace('.', "_")));
        metric(&path, &format!("from = {}", source(head, *column)), &source(head, *column), guess, text);
    }
    for column in &columns.left {
        push(text, format_args!("# Not used: {}\n", source(head, *column)));
    }
    if let Some((name, value)) = columns.long {
        push(text, format_args!("\n[long]\nname = {}\nvalue = {}\n", source(head, name), source(head, value)));
        text.push_str("# More, if the rows of one reading do not follow each other.\nwindow = 1\n");
        if columns.names.is_empty() {
            text.push_str("unlisted = \"keep\"\n");
        } else {
            text.push_str("\n[long.metrics]\n");
        }
        for (name, guess) in &columns.names {
            metric(&quoted(name), &format!("to = {}", quoted(&guess.to)), &quoted(&guess.to), guess, text);
        }
    } else if columns.metrics.is_empty() {
        text.push_str(
            "\n# DOUBT: no column looks like a metric; all numbers are taken under their own names.\n[others]\n",
        );
    }
}

/// Writes a line of a metric: short if there is nothing to convert.
fn metric(key: &str, first: &str, short: &str, guess: &MetricGuess, text: &mut String) {
    if let Some(doubt) = &guess.doubt {
        push(text, format_args!("# DOUBT: {doubt}.\n"));
    }
    if guess.unit.is_none() && guess.suffix.is_none() {
        push(text, format_args!("{key} = {short}\n"));
        return;
    }
    push(text, format_args!("{key} = {{ {first}"));
    if let Some(unit) = &guess.unit {
        push(text, format_args!(", unit = {}", quoted(unit)));
    }
    if let Some(suffix) = &guess.suffix {
        push(text, format_args!(", suffix = {}", quoted(suffix)));
    }
    text.push_str(" }\n");
}
