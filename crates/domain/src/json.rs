//! A strict JSON parser (RFC 8259). It reports input that other parsers silently repair or drop, with its position.
//!
//! MASS has its own parser (docs/decisions/0015-written-by-hand.md): validation needs the spelling of numbers
//! (`9007199254740993` and `1e-400` have no exact double) and the position of keys.

use std::collections::HashSet;
use std::fmt;

/// Maximum nesting depth; the outermost object or array is level 1.
pub const MAX_DEPTH: usize = 32;

/// The greatest integer below which every integer has an exact double: 2^53 − 1 (I-JSON, RFC 7493 section 2.2).
pub const MAX_SAFE: f64 = 9_007_199_254_740_991.0;

/// Error for a text that is not acceptable JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail} at line {line}, column {column}")]
pub struct SyntaxError {
    /// The stable code for programs; docs/errors.md lists them.
    pub code: &'static str,
    /// A sentence for people.
    pub detail: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

/// The kinds of syntax error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyntaxErrorKind {
    /// The text is empty or only white space.
    EmptyBody,
    /// The text begins with a byte order mark.
    ByteOrderMark,
    /// The text is not UTF-8.
    InvalidUtf8,
    /// The text violates the grammar of JSON.
    Syntax,
    /// The body contains more text after the document.
    TrailingData,
    /// A surrogate escape such as `\ud800` lacks its other half.
    LoneSurrogate,
    /// An object has the same key twice.
    DuplicateKey,
    /// The number is `NaN` or `Infinity`.
    NotANumber,
    /// The number is greater than every double.
    NumberOverflow,
    /// The nesting exceeds [`MAX_DEPTH`].
    Depth,
}

impl SyntaxErrorKind {
    /// All kinds, in the order of the documentation.
    pub const ALL: &[Self] = &[
        Self::Syntax,
        Self::EmptyBody,
        Self::TrailingData,
        Self::ByteOrderMark,
        Self::InvalidUtf8,
        Self::LoneSurrogate,
        Self::DuplicateKey,
        Self::NotANumber,
        Self::NumberOverflow,
        Self::Depth,
    ];

    /// Returns the stable code for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::EmptyBody => "empty_body",
            Self::ByteOrderMark => "byte_order_mark",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::Syntax => "syntax",
            Self::TrailingData => "trailing_data",
            Self::LoneSurrogate => "lone_surrogate",
            Self::DuplicateKey => "duplicate_key",
            Self::NotANumber => "not_a_number",
            Self::NumberOverflow => "number_overflow",
            Self::Depth => "depth",
        }
    }

    /// Returns a sentence for people.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::EmptyBody => "The body is empty or contains only white space.",
            Self::ByteOrderMark => "The body begins with a byte order mark, which JSON does not allow.",
            Self::InvalidUtf8 => "The body is not UTF-8.",
            Self::Syntax => "The body violates the grammar of JSON (RFC 8259).",
            Self::TrailingData => "The body contains more text after the document.",
            Self::LoneSurrogate => "A string escapes only one half of a surrogate pair.",
            Self::DuplicateKey => "An object has the same key twice; one of the values would be lost.",
            Self::NotANumber => "`NaN` and `Infinity` are not JSON.",
            Self::NumberOverflow => "A number is greater than any double, such as `1e999`.",
            Self::Depth => "Objects and arrays are nested more than 32 levels deep.",
        }
    }
}

/// A JSON value. Keeps the order of members.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object with distinct keys.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// Returns JSON's name of the type.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// Returns the name of the type with its article, such as "an array".
    #[must_use]
    pub const fn noun(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// Returns an object's member; `None` for other types.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find_map(|(name, value)| (name == key).then_some(value)),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) | Self::Array(_) => None,
        }
    }

    /// Returns the value at a JSON Pointer (RFC 6901).
    #[must_use]
    pub fn pointer(&self, pointer: &str) -> Option<&Self> {
        let Some(path) = pointer.strip_prefix('/') else {
            return pointer.is_empty().then_some(self);
        };
        path.split('/').try_fold(self, |value, token| {
            if let Self::Array(items) = value {
                let canonical = token == "0" || !token.starts_with(['0', '+']);
                token.parse().ok().filter(|_| canonical).and_then(|index: usize| items.get(index))
            } else {
                value.get(&token.replace("~1", "/").replace("~0", "~"))
            }
        })
    }
}

/// A number as sent: the nearest double, and the original spelling if the double is not exact.
#[derive(Debug, Clone, PartialEq)]
pub struct Number {
    nearest: f64,
    /// The original spelling if `nearest` is not exactly that number.
    meant: Option<Box<str>>,
}

/// Reason why a double cannot represent a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberFault {
    /// The number is outside ±(2^53 − 1), where several integers share a double.
    BeyondSafeRange,
    /// The number has more digits than a double.
    Inexact,
}

impl Number {
    /// Builds a number from a double; `None` for infinities and NaN.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self { nearest: value, meant: None })
    }

    /// Parses a number in JSON syntax; `None` if the text is not one, or if it is greater than every double.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if number_length(text.as_bytes()) == Some(text.len()) { Self::from_lexeme(text) } else { None }
    }

    fn from_lexeme(lexeme: &str) -> Option<Self> {
        let nearest: f64 = lexeme.parse().ok().filter(|value: &f64| value.is_finite())?;
        // A double distinguishes all decimals of up to 15 digits, so this fast path covers most numbers.
        let short = lexeme.len() <= 15 && !lexeme.contains(['e', 'E']);
        let exact = short || Decimal::of(lexeme) == Decimal::of(ryu_js::Buffer::new().format_finite(nearest));
        Some(Self { nearest, meant: (!exact).then(|| lexeme.into()) })
    }

    /// Returns the nearest double.
    #[must_use]
    pub const fn value(&self) -> f64 {
        self.nearest
    }

    /// Returns the reason why a double cannot represent the number; `None` if it can.
    #[must_use]
    pub fn fault(&self) -> Option<NumberFault> {
        if self.nearest.abs() > MAX_SAFE {
            Some(NumberFault::BeyondSafeRange)
        } else {
            self.meant.as_ref().map(|_| NumberFault::Inexact)
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.meant {
            Some(spelling) => f.write_str(spelling),
            None => f.write_str(ryu_js::Buffer::new().format_finite(self.nearest)),
        }
    }
}

/// The exact value of a number: `digits × 10^exponent`, the digits without zeros at either end. Independent of
/// spelling.
#[derive(PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    /// Parses a number in JSON syntax. An extreme exponent saturates, and so differs from the exponent of every double.
    fn of(lexeme: &str) -> Self {
        let (mantissa, exponent) = lexeme.split_once(['e', 'E']).unwrap_or((lexeme, "0"));
        let (negative, mantissa) = mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let written = [whole, fraction].concat();
        let significant = written.trim_end_matches('0');
        let digits = significant.trim_start_matches('0').as_bytes().to_vec();
        if digits.is_empty() {
            return Self { negative: false, digits, exponent: 0 };
        }
        let magnitude = exponent
            .trim_start_matches(['+', '-'])
            .bytes()
            .fold(0_i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit.saturating_sub(b'0'))));
        let exponent = if exponent.starts_with('-') { -magnitude } else { magnitude };
        let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
        let last_place = length(whole).saturating_sub(length(significant));
        Self { negative, digits, exponent: exponent.saturating_add(last_place) }
    }
}

/// Parses a document.
///
/// # Errors
/// [`SyntaxError`] with line and column.
pub fn parse(text: &[u8]) -> Result<Value, SyntaxError> {
    Reader::read_document(text).map_err(|fault| fault.located_in(text))
}

/// A syntax error at a byte offset.
struct ParseError {
    kind: SyntaxErrorKind,
    detail: String,
    at: usize,
}

impl ParseError {
    fn located_in(self, text: &[u8]) -> SyntaxError {
        let before = text.get(..self.at).unwrap_or(text);
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        // Counts characters: every byte of UTF-8 except continuation bytes (10xxxxxx) begins one.
        let characters = |bytes: &[u8]| bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        SyntaxError {
            code: self.kind.code(),
            detail: self.detail,
            line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
            column: before.get(line_start..).map_or(0, characters) + 1,
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn read_document(text: &'a [u8]) -> Result<Value, ParseError> {
        let fault = |kind: SyntaxErrorKind, at| ParseError { kind, detail: kind.meaning().to_owned(), at };
        if text.starts_with("\u{feff}".as_bytes()) {
            return Err(fault(SyntaxErrorKind::ByteOrderMark, 0));
        }
        let text =
            std::str::from_utf8(text).map_err(|error| fault(SyntaxErrorKind::InvalidUtf8, error.valid_up_to()))?;
        let mut reader = Self { text, at: 0, depth: 0 };
        reader.skip_white_space();
        if reader.peek().is_none() {
            return Err(fault(SyntaxErrorKind::EmptyBody, reader.at));
        }
        let value = reader.value()?;
        reader.skip_white_space();
        if reader.peek().is_some() { Err(fault(SyntaxErrorKind::TrailingData, reader.at)) } else { Ok(value) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Consumes the byte if it is the next one.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn fail<T>(&self, kind: SyntaxErrorKind, detail: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError { kind, detail: detail.into(), at: self.at })
    }

    fn expected<T>(&self, what: &str) -> Result<T, ParseError> {
        let found = match self.rest().chars().next() {
            Some(character) => format!("{character:?}"),
            None => "the end of the text".to_owned(),
        };
        self.fail(SyntaxErrorKind::Syntax, format!("expected {what}, found {found}"))
    }

    fn value(&mut self) -> Result<Value, ParseError> {
        match self.peek() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => self.string().map(Value::String),
            _ if ["NaN", "-NaN", "Infinity", "-Infinity"].iter().any(|token| self.rest().starts_with(token)) => {
                self.fail(SyntaxErrorKind::NotANumber, SyntaxErrorKind::NotANumber.meaning())
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                for (word, value) in [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)]
                {
                    if self.rest().starts_with(word) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                self.expected("a value")
            }
        }
    }

    fn number(&mut self) -> Result<Value, ParseError> {
        let Some(length) = number_length(self.rest().as_bytes()) else {
            self.at += 1;
            return self.expected("a digit");
        };
        match self.rest().get(..length).and_then(Number::from_lexeme) {
            Some(number) => {
                self.at += length;
                Ok(Value::Number(number))
            }
            None => self.fail(SyntaxErrorKind::NumberOverflow, SyntaxErrorKind::NumberOverflow.meaning()),
        }
    }

    fn string(&mut self) -> Result<String, ParseError> {
        self.at += 1;
        let mut string = String::new();
        loop {
            let plain = self.rest().bytes().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)).count();
            string.push_str(self.rest().get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => string.push(self.escape()?),
                Some(_) => {
                    return self.fail(SyntaxErrorKind::Syntax, "a control character must be escaped within a string");
                }
                None => return self.expected("the end of the string"),
            }
        }
    }

    /// Parses an escape, starting at its backslash.
    fn escape(&mut self) -> Result<char, ParseError> {
        let start = self.at;
        self.at += 1;
        let character = match self.peek() {
            Some(plain @ (b'"' | b'\\' | b'/')) => char::from(plain),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode_escape(start);
            }
            _ => return self.expected("one of \" \\ / b f n r t u after a backslash"),
        };
        self.at += 1;
        Ok(character)
    }

    /// Parses the hexadecimal digits of an escape that began at `start`, and the second half of a surrogate pair.
    fn unicode_escape(&mut self, start: usize) -> Result<char, ParseError> {
        let first = self.four_hex_digits()?;
        let mut code = first;
        if (0xD800..0xDC00).contains(&first) && self.rest().starts_with("\\u") {
            self.at += 2;
            let second = self.four_hex_digits()?;
            if (0xDC00..0xE000).contains(&second) {
                code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
            }
        }
        char::from_u32(code).ok_or_else(|| ParseError {
            kind: SyntaxErrorKind::LoneSurrogate,
            detail: SyntaxErrorKind::LoneSurrogate.meaning().to_owned(),
            at: start,
        })
    }

    fn four_hex_digits(&mut self) -> Result<u32, ParseError> {
        let mut code = 0;
        for _ in 0..4 {
            match self.peek().and_then(|byte| char::from(byte).to_digit(16)) {
                Some(digit) => code = code << 4 | digit,
                None => return self.expected("a hexadecimal digit"),
            }
            self.at += 1;
        }
        Ok(code)
    }

    /// Enters an object or array.
    fn descend(&mut self) -> Result<(), ParseError> {
        if self.depth == MAX_DEPTH {
            return self.fail(SyntaxErrorKind::Depth, SyntaxErrorKind::Depth.meaning());
        }
        self.depth += 1;
        self.at += 1;
        self.skip_white_space();
        Ok(())
    }

    fn array(&mut self) -> Result<Value, ParseError> {
        self.descend()?;
        let mut items = Vec::new();
        if !self.take(b']') {
            loop {
                self.skip_white_space();
                items.push(self.value()?);
                self.skip_white_space();
                if self.take(b']') {
                    break;
                }
                if !self.take(b',') {
                    return self.expected("',' or ']'");
                }
            }
        }
        self.depth -= 1;
        Ok(Value::Array(items))
    }

    fn object(&mut self) -> Result<Value, ParseError> {
        self.descend()?;
        let mut members = Vec::new();
        let mut places = Vec::new();
        if !self.take(b'}') {
            loop {
                self.skip_white_space();
                if self.peek() != Some(b'"') {
                    return self.expected("a key in double quotes");
                }
                places.push(self.at);
                let key = self.string()?;
                self.skip_white_space();
                if !self.take(b':') {
                    return self.expected("':'");
                }
                self.skip_white_space();
                members.push((key, self.value()?));
                self.skip_white_space();
                if self.take(b'}') {
                    break;
                }
                if !self.take(b',') {
                    return self.expected("',' or '}'");
                }
            }
        }
        if let Some(at) = first_repeated_key(&members).and_then(|index| places.get(index)) {
            self.at = *at;
            return self.fail(SyntaxErrorKind::DuplicateKey, SyntaxErrorKind::DuplicateKey.meaning());
        }
        self.depth -= 1;
        Ok(Value::Object(members))
    }
}

/// Returns the index of the first member with a repeated key.
fn first_repeated_key(members: &[(String, Value)]) -> Option<usize> {
    // For a few keys, comparing all pairs is faster than hashing; for many keys it would be quadratic.
    if members.len() <= 12 {
        return (1..members.len()).find(|index| members[..*index].iter().any(|(key, _)| *key == members[*index].0));
    }
    let mut seen = HashSet::with_capacity(members.len());
    members.iter().position(|(key, _)| !seen.insert(key.as_str()))
}

/// Returns the length of the JSON number (RFC 8259, section 6) at the start of the text.
fn number_length(text: &[u8]) -> Option<usize> {
    let digits_from = |at: usize| text.iter().skip(at).take_while(|byte| byte.is_ascii_digit()).count();
    let is = |at: usize, allowed: &[u8]| text.get(at).is_some_and(|byte| allowed.contains(byte));
    let mut length = usize::from(is(0, b"-"));
    length += match digits_from(length) {
        0 => return None,
        _ if is(length, b"0") => 1,
        digits => digits,
    };
    if is(length, b".") {
        match digits_from(length + 1) {
            0 => return Some(length),
            digits => length += 1 + digits,
        }
    }
    if is(length, b"eE") {
        let sign = usize::from(is(length + 1, b"+-"));
        match digits_from(length + 1 + sign) {
            0 => {}
            digits => length += 1 + sign + digits,
        }
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Value {
        parse(text.as_bytes()).unwrap()
    }

    fn refused(text: impl AsRef<[u8]>) -> (&'static str, usize, usize) {
        let error = parse(text.as_ref()).unwrap_err();
        (error.code, error.line, error.column)
    }

    #[test]
    fn reports_every_kind_of_syntax_error_with_its_position() {
        for (text, expected) in [
            ("", ("empty_body", 1, 1)),
            (" \n ", ("empty_body", 2, 2)),
            ("\u{feff}{}", ("byte_order_mark", 1, 1)),
            ("{} {}", ("trailing_data", 1, 4)),
            ("{}\u{0}", ("trailing_data", 1, 3)),
            (r#""\ud800""#, ("lone_surrogate", 1, 2)),
            (r#""\udc00\ud800""#, ("lone_surrogate", 1, 2)),
            (r#""x\ud800\u0041""#, ("lone_surrogate", 1, 3)),
            (r#""\ud800\n""#, ("lone_surrogate", 1, 2)),
            (r#"{"\ud800": 1}"#, ("lone_surrogate", 1, 3)),
            (r#"{"a": 1, "a": 2}"#, ("duplicate_key", 1, 10)),
            ("{\"é\": {\n \"b\": 1,\n  \"\\u0062\": 2}}", ("duplicate_key", 3, 3)),
            ("NaN", ("not_a_number", 1, 1)),
            ("[-Infinity]", ("not_a_number", 1, 2)),
            ("[1, Infinity]", ("not_a_number", 1, 5)),
            ("1e999", ("number_overflow", 1, 1)),
            ("[-1e309]", ("number_overflow", 1, 2)),
            ("[1,]", ("syntax", 1, 4)),
            ("{\"a\": 1,}", ("syntax", 1, 9)),
            ("{'a': 1}", ("syntax", 1, 2)),
            ("{\"a\" 1}", ("syntax", 1, 6)),
            ("{\"a\": 1", ("syntax", 1, 8)),
            ("[", ("syntax", 1, 2)),
            ("\"abc", ("syntax", 1, 5)),
            ("\"a\tb\"", ("syntax", 1, 3)),
            (r#""\x""#, ("syntax", 1, 3)),
            (r#""\u12g4""#, ("syntax", 1, 6)),
            (r#""\u+123""#, ("syntax", 1, 4)),
            ("01", ("trailing_data", 1, 2)),
            ("[01]", ("syntax", 1, 3)),
            ("[1.]", ("syntax", 1, 3)),
            ("[1.e5]", ("syntax", 1, 3)),
            ("[1e+]", ("syntax", 1, 3)),
            ("[.5]", ("syntax", 1, 2)),
            ("[+1]", ("syntax", 1, 2)),
            ("-", ("syntax", 1, 2)),
            ("[-x]", ("syntax", 1, 3)),
            ("nul", ("syntax", 1, 1)),
            ("[\"é\"\n, x]", ("syntax", 2, 3)),
            ("\u{a0}1", ("syntax", 1, 1)),
            ("// no\n1", ("syntax", 1, 1)),
        ] {
            assert_eq!(refused(text), expected, "{text:?}");
        }
        assert_eq!(refused(b"[\"\xc3\xa9\", \"\xff\"]"), ("invalid_utf8", 1, 8));
        assert_eq!(refused(b"\xed\xa0\x80"), ("invalid_utf8", 1, 1));
    }

    #[test]
    fn reads_thirty_two_levels_and_no_more() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(nested(32).as_bytes()).is_ok());
        assert_eq!(refused(nested(33)), ("depth", 1, 33));
        assert_eq!(refused("[".repeat(1_000_000)), ("depth", 1, 33));
        assert_eq!(refused(r#"{"a":"#.repeat(33)), ("depth", 1, 32 * 5 + 1));
        let wide = format!("[{}]", vec![nested(31); 100].join(","));
        assert!(parse(wide.as_bytes()).is_ok(), "siblings are not deeper than each other");
    }

    #[test]
    fn keeps_the_order_of_members_and_the_characters_of_strings() {
        let Value::Object(members) =
            read(r#" { "b" : [ true , false , null ] , "a" : "\ud83d\ude00\/\u00e9\b\f\n\r\t\"\\" } "#)
        else {
            panic!("an object");
        };
        let keys: Vec<_> = members.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["b", "a"]);
        assert_eq!(members[0].1, Value::Array(vec![Value::Bool(true), Value::Bool(false), Value::Null]));
        assert_eq!(members[1].1, Value::String("😀/é\u{8}\u{c}\n\r\t\"\\".to_owned()));
    }

    #[test]
    fn finds_a_repeated_key_among_few_and_many_members() {
        let object = |keys: &[String]| {
            format!("{{{}}}", keys.iter().map(|k| format!("\"{k}\":0")).collect::<Vec<_>>().join(","))
        };
        for count in [2, 12, 13, 14, 50_000] {
            let mut keys: Vec<_> = (0..count).map(|index| format!("k{index}")).collect();
            assert!(parse(object(&keys).as_bytes()).is_ok());
            let last = keys.len() - 1;
            keys[last] = "k0".to_owned();
            assert_eq!(refused(object(&keys)).0, "duplicate_key", "{count}");
        }
    }

    #[test]
    fn tells_exact_from_inexact_numbers() {
        use NumberFault::{BeyondSafeRange, Inexact};
        for (text, fault) in [
            ("0", None),
            ("-0", None),
            ("-0.000e5", None),
            ("0.1", None),
            ("22.50", None),
            ("1e3", None),
            ("1E+3", None),
            ("100e-2", None),
            ("0.30000000000000004", None),
            ("5e-324", None),
            ("2.2250738585072014e-308", None),
            ("9007199254740991", None),
            ("-9007199254740991.000", None),
            ("90071992547409910e-1", None),
            ("0e999999999999999999999", None),
            ("0.0e-999999999999999999999", None),
            ("0.1234567890123456789", Some(Inexact)),
            ("0.10000000000000001", Some(Inexact)),
            ("1e-400", Some(Inexact)),
            ("-1e-999999999999999999999", Some(Inexact)),
            ("4e-324", Some(Inexact)),
            ("9007199254740990.5", Some(Inexact)),
            ("9007199254740992", Some(BeyondSafeRange)),
            ("9007199254740993", Some(BeyondSafeRange)),
            ("-9007199254740992", Some(BeyondSafeRange)),
            ("9.007199254740992e15", Some(BeyondSafeRange)),
            ("1e16", Some(BeyondSafeRange)),
            ("1e308", Some(BeyondSafeRange)),
        ] {
            let number = Number::parse(text).unwrap();
            assert_eq!(number.fault(), fault, "{text}");
        }
        for text in
            ["", "-", "007", "+1", "1_000", "nan", "NaN", "inf", "0x1", ".5", "1.", "1e", " 1", "1 ", "1e999", "١"]
        {
            assert_eq!(Number::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn displays_numbers_with_their_exact_value() {
        assert_eq!(Number::parse("22.50").unwrap().to_string(), "22.5");
        assert_eq!(Number::parse("0.10000000000000001").unwrap().to_string(), "0.10000000000000001");
        assert_eq!(Number::new(f64::NAN), None);
        assert_eq!(Number::new(f64::INFINITY), None);
        assert_eq!(Number::new(0.5).unwrap().value().to_bits(), 0.5_f64.to_bits());
    }

    #[test]
    fn pointer_finds_its_value() {
        let document = read(r#"{"a/b": {"~": [10, 20]}, "": 3}"#);
        let at = |pointer| document.pointer(pointer).map(crate::canonical::write);
        assert_eq!(at("/a~1b/~0/1").as_deref(), Some("20"));
        assert_eq!(at("/").as_deref(), Some("3"));
        assert!(at("").is_some());
        for nowhere in ["a", "/a", "/a~1b/~0/2", "/a~1b/~0/01", "/a~1b/~0/+1", "/a~1b/~0/-", "//x"] {
            assert_eq!(at(nowhere), None, "{nowhere}");
        }
    }
}
