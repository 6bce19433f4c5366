//! Values in requests that break a rule of the domain.

use crate::characters::is_hidden;

/// The most characters of a name.
pub const MAX_NAME: usize = 200;
/// The most characters of a reason, a note or an assumption.
pub const MAX_TEXT: usize = 1000;

/// A value that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The value, as a JSON pointer.
    pub pointer: String,
    /// The expected value, as a noun phrase.
    pub expected: String,
}

impl Fault {
    /// Builds a fault.
    #[must_use]
    pub fn new(pointer: &str, expected: impl Into<String>) -> Self {
        Self { pointer: pointer.to_owned(), expected: expected.into() }
    }

    /// Returns a fault if a name is empty or too long, or has hidden characters.
    #[must_use]
    pub fn in_name(pointer: &str, name: &str) -> Option<Self> {
        Self::in_text(pointer, name, MAX_NAME)
    }

    /// Returns a fault if a text is empty or longer than `most` characters, or has hidden characters.
    #[must_use]
    pub fn in_text(pointer: &str, text: &str, most: usize) -> Option<Self> {
        let is_good = !text.trim().is_empty() && text.chars().count() <= most && !text.chars().any(is_hidden);
        (!is_good).then(|| Self::new(pointer, format!("1 to {most} visible characters")))
    }
}
