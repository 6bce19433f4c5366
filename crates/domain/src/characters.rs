//! Hidden characters: invisible characters that change how the text around them is displayed. An identifier that
//! contains one looks like another identifier, on a screen and in a log.

use std::fmt;

/// The hidden characters, as part of an ECMAScript character class.
pub(crate) const HIDDEN: &str = r"\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff";

/// Tells whether a character is hidden: a control character (Unicode category `Cc`), a control of the text direction
/// (`Bidi_Control`), a line or paragraph separator (U+2028, U+2029), or the byte order mark (U+FEFF).
#[must_use]
pub const fn is_hidden(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
    )
}

/// A hidden character. Displayed by its code point, such as `U+202E`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hidden(char);

impl Hidden {
    /// Finds the first hidden character of a text.
    #[must_use]
    pub fn first_in(text: &str) -> Option<Self> {
        text.chars().find(|character| is_hidden(*character)).map(Self)
    }
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "U+{:04X}", u32::from(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_and_names_hidden_characters() {
        let name = |text: &str| Hidden::first_in(text).map(|hidden| hidden.to_string());
        assert_eq!(name("a\u{202e}b\u{7}").as_deref(), Some("U+202E"));
        assert_eq!(name("tab\there").as_deref(), Some("U+0009"));
        assert_eq!(name("Halle 7, Süd – 日本 \u{200d}"), None);
        let all: Vec<u32> = ('\0'..=char::MAX).filter(|character| is_hidden(*character)).map(u32::from).collect();
        assert!(all.iter().all(|code| char::from_u32(*code).is_some_and(|c| c.is_control()) || *code >= 0x61c));
        assert_eq!(all.len(), 65 + 3 + 7 + 4 + 1);
    }
}
