//! Conditions on a stored object under which a change is made: those of `If-Match` and `If-None-Match`.

use crate::canonical::Fingerprint;

/// Digests that a caller names as a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Digests {
    /// That of any object.
    Any,
    /// One of these.
    OneOf(Vec<Fingerprint>),
}

impl Digests {
    /// Returns true if the object is there and has one of the digests.
    #[must_use]
    pub fn name(&self, stored: Option<Fingerprint>) -> bool {
        match (self, stored) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::OneOf(digests), Some(stored)) => digests.contains(&stored),
        }
    }
}

/// A condition on the stored object, under which a change is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Precondition {
    /// The object has one of these digests (`If-Match`).
    pub matches: Option<Digests>,
    /// The object is absent or has none of these digests (`If-None-Match`).
    pub differs: Option<Digests>,
}

impl Precondition {
    /// Returns true if the condition holds for the stored object.
    #[must_use]
    pub fn holds(&self, stored: Option<Fingerprint>) -> bool {
        self.matches.as_ref().is_none_or(|digests| digests.name(stored))
            && !self.differs.as_ref().is_some_and(|digests| digests.name(stored))
    }
}
