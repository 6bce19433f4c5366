//! Normalisation: equal values get one spelling. Covers strings, numeric strings, and the free objects of `payload`.

use std::collections::HashSet;

use heck::ToSnakeCase;
use unicode_normalization::UnicodeNormalization;

use crate::canonical;
use crate::json::{Number, Value};
use crate::validation::{Code, Findings, Pointer, shown};

/// Trims white space (Unicode `White_Space`) and converts the string to NFC (Unicode Standard Annex 15).
#[must_use]
pub fn text(sent: &str) -> String {
    nfc(sent.trim())
}

/// Converts a text to NFC. Returns ASCII, the common case, unchanged.
fn nfc(text: &str) -> String {
    if text.is_ascii() { text.to_owned() } else { text.nfc().collect() }
}

/// Converts a key to NFC and snake case. A key without letters and digits has no words to join, and stays unchanged.
#[must_use]
pub fn key(sent: &str) -> String {
    if is_plain_key(sent) {
        return sent.to_owned();
    }
    let mut key: String = nfc(sent);
    // One pass is not enough: lower-casing can produce combining marks, which the next pass treats as separators. The
    // loop ends, because after the first pass no upper case is left and later passes only split words.
    loop {
        let next: String = nfc(&key.to_snake_case());
        if next.is_empty() || next == key {
            return key;
        }
        if is_plain_key(&next) {
            return next;
        }
        key = next;
    }
}

/// Tells whether a key is certainly in normal form already: words of `a-z` and digits, joined by single underscores.
/// Saves the slow path of [`key`].
fn is_plain_key(text: &str) -> bool {
    let is_word = |word: &[u8]| !word.is_empty() && word.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.as_bytes().split(|byte| *byte == b'_').all(is_word)
}

/// Converts a string to a number if printing the number gives the same string again. So `"24.5"` becomes a number,
/// while the version `"1.10"`, the part number `"1E5"` and the article `"0.50"` stay strings.
fn numeric(text: &str) -> Option<Number> {
    let number = Number::parse(text).filter(|number| number.fault().is_none())?;
    (canonical::write(&Value::Number(number.clone())) == text).then_some(number)
}

/// Normalises a free value: its keys, its strings, and strings spelt exactly as MASS prints a number, true or false.
pub(crate) fn free_value(sent: &Value, pointer: &Pointer<'_>, findings: &mut Findings) -> Value {
    match sent {
        Value::Null | Value::Bool(_) | Value::Number(_) => sent.clone(),
        Value::String(sent) => free_string(sent),
        Value::Array(items) => Value::Array(
            items.iter().enumerate().map(|(index, item)| free_value(item, &pointer.item(index), findings)).collect(),
        ),
        Value::Object(members) => {
            let mut keys = HashSet::with_capacity(members.len());
            let mut normal = Vec::with_capacity(members.len());
            for (sent_key, value) in members {
                let here = pointer.member(sent_key);
                let key = key(sent_key);
                if !keys.insert(key.clone()) {
                    let key = shown(&Value::String(key.clone()));
                    let detail = format!("Another key of this object also becomes \"{key}\".");
                    findings.note(Code::KeyCollision, here, detail, None, Some(key));
                }
                normal.push((key, free_value(value, &here, findings)));
            }
            Value::Object(normal)
        }
    }
}

fn free_string(sent: &str) -> Value {
    let text = text(sent);
    match text.as_str() {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => numeric(&text).map_or(Value::String(text), Value::Number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn free(document: &str) -> (String, Vec<String>) {
        let mut findings = Findings::default();
        let normal = free_value(&json::parse(document.as_bytes()).unwrap(), &Pointer::ROOT, &mut findings);
        let found = findings.into_violations().into_iter().map(|found| format!("{} {}", found.code, found.pointer));
        (canonical::write(&normal), found.collect())
    }

    #[test]
    fn converts_keys_to_snake_case() {
        for (sent, normal) in [
            ("zipCode", "zip_code"),
            ("HTTPServer", "http_server"),
            ("rack-1", "rack_1"),
            ("_x", "x"),
            ("already_snake", "already_snake"),
            ("  spaced  out ", "spaced_out"),
            ("XMLHttpRequest2", "xml_http_request2"),
            ("e\u{301}tage", "étage"),
            ("\u{130}d", "i_d"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("---", "---"),
            ("", ""),
            ("°", "°"),
        ] {
            assert_eq!(key(sent), normal, "{sent:?}");
        }
    }

    #[test]
    fn fast_path_for_plain_keys_agrees_with_the_slow_path() {
        let alphabet = ['a', 'z', '0', '9', '_'];
        for first in alphabet {
            for second in alphabet {
                for third in alphabet {
                    for fourth in alphabet {
                        let sent: String = [first, second, third, fourth].iter().collect();
                        assert_eq!(sent == sent.to_snake_case(), is_plain_key(&sent), "{sent}");
                    }
                }
            }
        }
        assert!(!is_plain_key("") && !is_plain_key("A") && !is_plain_key("é") && !is_plain_key("a-b"));
    }

    #[test]
    fn normalising_a_key_twice_changes_nothing_for_any_character() {
        // Ideographs and unassigned characters are left out: they have neither case nor marks.
        for character in ('\0'..='\u{2fff}').chain('\u{a000}'..='\u{abff}').chain('\u{f900}'..='\u{1ffff}') {
            let sent = format!("A{character}b{character}");
            let normal = key(&sent);
            assert_eq!(key(&normal), normal, "{sent:?}");
        }
    }

    #[test]
    fn trims_strings_and_converts_them_to_nfc() {
        assert_eq!(text("\u{3000}\t e\u{301} x\u{85}\u{a0}\n"), "é x");
        assert_eq!(text("\u{feff}x\u{200b}"), "\u{feff}x\u{200b}", "neither is White_Space");
        assert_eq!(text(" \u{2028} "), "");
    }

    #[test]
    fn converts_numeric_strings_only_if_the_number_prints_the_same() {
        for sent in ["1", "0", "-7", "1.5", "24.5", "0.000001", "1e-7", "9007199254740991"] {
            assert_eq!(canonical::write(&Value::Number(numeric(sent).unwrap())), sent);
        }
        for kept in [
            "",
            "007",
            "+1",
            "1_000",
            "nan",
            "1e999",
            "1e-400",
            "9007199254740993",
            "1e16",
            "0.10000000000000001",
            "1,5",
            "1.10",
            "1.0",
            "0.50",
            "1E5",
            "1e3",
            "-0",
            "0e0",
            "1E-7",
            "1e-07",
            "0.0000001",
        ] {
            assert_eq!(numeric(kept), None, "{kept}");
        }
    }

    #[test]
    fn normalises_payloads_at_every_depth() {
        let sent = r#"{"aB": [" 1 ", "0.50", "TRUE", " false ", "yes", "no", "on", "off", "007", null, true, 1.0],
            "C-d": {"eF": " text ", "g": "null"}}"#;
        let normal = r#"{"a_b":[1,"0.50","TRUE",false,"yes","no","on","off","007",null,true,1],"c_d":{"e_f":"text","g":"null"}}"#;
        assert_eq!(free(sent), (normal.to_owned(), Vec::new()));
        assert_eq!(free(normal), (normal.to_owned(), Vec::new()));
    }

    #[test]
    fn reports_colliding_keys_at_their_pointers() {
        let (_, found) = free(r#"{"x": [{"zipCode": 1, "zip_code": 2, "ZipCode": 3, "other": 4}], "X": 5}"#);
        assert_eq!(found, ["key_collision /x/0/zip_code", "key_collision /x/0/ZipCode", "key_collision /X"]);
    }
}
