//! Text for a terminal, in which foreign text cannot move the cursor or change the reading direction.

use std::borrow::Cow;
use std::io::{self, Write};

/// Replaces control and invisible characters, such as those that change the reading direction, by their JSON escapes
/// (`\u001b`), so that JSON stays valid. Line feeds and tabs are kept.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |character| matches!(character, '\n' | '\t'))
}

/// Does the same for text within a line, such as a name or a server's message: line feeds and tabs are replaced, too.
#[must_use]
pub fn visible_line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// Formats an error with its causes on one line, each only once, because many errors repeat their cause.
#[must_use]
pub fn in_one_line(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    visible_line(&text).into_owned()
}

/// Writes to standard error regardless of the log filter. Errors of writing are ignored.
pub fn write_stderr(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

fn escaped(text: &str, is_kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_escaped = |character: char| is_hazardous(character) && !is_kept(character);
    if !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_escaped(character) {
            let units =
                character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
            escaped.push_str(&units);
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// Returns true for control characters, line separators and invisible characters: Unicode's format characters that
/// change the direction, have no width, or tag.
fn is_hazardous(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn escapes_what_would_change_a_terminal() {
        assert_eq!(visible("a\u{1b}[31mb\r\n\tc\u{9b}2J\u{7f}"), "a\\u001b[31mb\\u000d\n\tc\\u009b2J\\u007f");
        assert_eq!(visible("\u{202e}gpj.exe \u{2066}\u{61c}\u{e0041}"), "\\u202egpj.exe \\u2066\\u061c\\udb40\\udc41");
        assert_eq!(visible_line("a\nb\tc"), "a\\u000ab\\u0009c");
        let harmless = "Ärger — 72.5 °F … 25 % 数据中心";
        assert!(matches!(visible_line(harmless), Cow::Borrowed(text) if text == harmless));
        let json = serde_json::json!({"file": "a\u{202e}\u{9b}\u{e0041}\"b"}).to_string();
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&visible(&json)).unwrap()["file"],
            "a\u{202e}\u{9b}\u{e0041}\"b"
        );
    }

    #[test]
    fn tells_each_cause_once_and_in_one_line() {
        let error = anyhow!("disk full").context("a migration failed: disk full").context("the\n\tdatabase\u{7}");
        assert_eq!(in_one_line(&error), "the database\\u0007: a migration failed: disk full");
    }
}
