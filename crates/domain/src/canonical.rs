//! The canonical form of a document (RFC 8785, JCS) and its fingerprint.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::hex::{self, Hex};
use crate::json::{Number, Value};

/// Writes a value in the canonical form of RFC 8785: no white space, members sorted by the UTF-16 code units of their
/// keys, numbers as ECMAScript prints them, strings with only the escapes that JSON requires.
#[must_use]
pub fn write(value: &Value) -> String {
    let mut text = String::new();
    write_value(value, &mut text, |number, text| {
        text.push_str(ryu_js::Buffer::new().format_finite(number.value()));
    });
    text
}

/// Writes a value like [`write()`], but keeps the spelling of numbers that no double represents, so that the receiver
/// can still refuse them.
#[must_use]
pub fn write_as_sent(value: &Value) -> String {
    let mut text = String::new();
    write_value(value, &mut text, |number, text| text.push_str(&number.to_string()));
    text
}

fn write_value(value: &Value, text: &mut String, write_number: fn(&Number, &mut String)) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(flag) => text.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => write_number(number, text),
        Value::String(string) => write_string(string, text),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_value(item, text, write_number);
            }
            text.push(']');
        }
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            text.push('{');
            for (index, (key, member)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_string(key, text);
                text.push(':');
                write_value(member, text, write_number);
            }
            text.push('}');
        }
    }
}

fn write_string(string: &str, text: &mut String) {
    text.push('"');
    let mut rest = string;
    // All characters to escape are ASCII, so the text can be split before and after each.
    while let Some(at) = rest.bytes().position(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        let (plain, from) = rest.split_at(at);
        text.push_str(plain);
        match from.as_bytes()[0] {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            0x8 => text.push_str("\\b"),
            b'\t' => text.push_str("\\t"),
            b'\n' => text.push_str("\\n"),
            0xc => text.push_str("\\f"),
            b'\r' => text.push_str("\\r"),
            control => text.push_str(&format!("\\u{control:04x}")),
        }
        rest = &from[1..];
    }
    text.push_str(rest);
    text.push('"');
}

/// SHA-256 of a document's canonical text. Two fingerprints are equal exactly when the normalised documents are equal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

/// Error for a text that is not `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a fingerprint: expected sha256: and 64 lower-case hexadecimal digits")]
pub struct InvalidFingerprint;

impl Fingerprint {
    /// Computes the fingerprint of a canonical text.
    #[must_use]
    pub fn of(canonical: &str) -> Self {
        Self(Sha256::digest(canonical.as_bytes()).into())
    }

    /// Computes the fingerprint of raw bytes: of input that is not a document and has no canonical form.
    #[must_use]
    pub fn of_unreadable(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Builds a fingerprint from its 32 stored bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes of the hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        Hex(&self.0).fmt(f)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, InvalidFingerprint> {
        text.strip_prefix("sha256:").and_then(hex::read).map(Self).ok_or(InvalidFingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{self, Number};

    fn canonical(text: &str) -> String {
        write(&as_doubles(json::parse(text.as_bytes()).unwrap()))
    }

    /// Converts a document to the form that other JSON parsers read: numbers become the nearest doubles.
    fn as_doubles(value: Value) -> Value {
        match value {
            Value::Number(number) => Value::Number(Number::new(number.value()).unwrap()),
            Value::Array(items) => Value::Array(items.into_iter().map(as_doubles).collect()),
            Value::Object(members) => {
                Value::Object(members.into_iter().map(|(key, value)| (key, as_doubles(value))).collect())
            }
            Value::Null | Value::Bool(_) | Value::String(_) => value,
        }
    }

    #[test]
    fn writes_the_example_of_rfc_8785_section_3_2() {
        let text = r#"{
            "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
            "literals": [null, true, false]
        }"#;
        let expected = concat!(
            r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"#,
            r#""string":"€$\u000f\nA'B\"\\\\\"/"}"#
        );
        assert_eq!(canonical(text), expected);
    }

    #[test]
    fn sorts_keys_by_utf_16_code_units_as_in_rfc_8785_section_3_2_3() {
        let text = r#"{"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh",
            "1": "One", "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control",
            "\u00f6": "Latin Small Letter O With Diaeresis"}"#;
        let order = ["Carriage Return", "One", "Control", "Latin Small", "Euro Sign", "Emoji", "Hebrew"];
        let written = canonical(text);
        let places: Vec<_> = order.iter().map(|name| written.find(name).unwrap()).collect();
        assert!(places.is_sorted(), "{written}");
    }

    #[test]
    fn writes_numbers_as_in_rfc_8785_appendix_b() {
        for (bits, text) in [
            (0x0000_0000_0000_0000, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0xc340_0000_0000_0000, "-9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0x41b3_de43_5555_5554, "333333333.33333325"),
            (0x41b3_de43_5555_5555, "333333333.3333333"),
            (0x41b3_de43_5555_5556, "333333333.3333334"),
            (0x41b3_de43_5555_5557, "333333333.33333343"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ] {
            let number = Number::new(f64::from_bits(bits)).unwrap();
            assert_eq!(write(&Value::Number(number)), text, "{bits:016x}");
        }
    }

    #[test]
    fn inexact_number_keeps_its_spelling() {
        let text = "[0.10000000000000001,9007199254740993,1e-400]";
        assert_eq!(write_as_sent(&json::parse(text.as_bytes()).unwrap()), text);
    }

    #[test]
    fn escapes_strings_only_where_json_requires_it() {
        assert_eq!(
            canonical(r#""\u0000\u0008\u0009\u000b\u000c\u000d\u001f\u007f\u2028""#),
            "\"\\u0000\\b\\t\\u000b\\f\\r\\u001f\u{7f}\u{2028}\""
        );
        assert_eq!(canonical("[ ]"), "[]");
        assert_eq!(canonical("{ }"), "{}");
    }

    #[test]
    fn parses_its_own_fingerprints() {
        let empty = Fingerprint::of("");
        assert_eq!(empty.to_string(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(empty.to_string().parse(), Ok(empty));
        assert_eq!(format!("{empty:?}"), empty.to_string());
        for bad in ["", "sha256:", &empty.to_string().to_uppercase(), &format!("{empty}0")] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(InvalidFingerprint));
        }
    }
}
