//! Names of mapping profiles. The profiles themselves, and what they do, are `mass-mapping`'s.

use std::fmt;
use std::str::FromStr;

use crate::names::named_enum;

/// The text does not name the format of a profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown format of a mapping profile \"{0}\"")]
pub struct UnknownProfileFormat(String);

named_enum!(
    /// The format of a profile's text.
    ProfileFormat, UnknownProfileFormat {
        /// TOML.
        Toml = "toml",
        /// JSON.
        Json = "json",
    }
);

/// The name of a mapping profile: 1–64 ASCII letters, digits, `.`, `_` and `-`. It is unique within a tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MappingName(Box<str>);

/// Error for a text that is not the name of a mapping profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Expected 1 to 64 ASCII letters, digits, full stops, underscores and hyphens.")]
pub struct InvalidMappingName;

impl MappingName {
    /// Parses a name.
    ///
    /// # Errors
    /// [`InvalidMappingName`].
    pub fn parse(text: &str) -> Result<Self, InvalidMappingName> {
        let is_name = (1..=64).contains(&text.len()) && text.chars().all(Self::allows);
        if is_name { Ok(Self(text.into())) } else { Err(InvalidMappingName) }
    }

    /// Returns true if a name may have this character.
    #[must_use]
    pub const fn allows(character: char) -> bool {
        character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MappingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for MappingName {
    type Err = InvalidMappingName;

    fn from_str(text: &str) -> Result<Self, InvalidMappingName> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_64_plain_characters() {
        for good in ["a", "Site-7_v2.1", "..", &"x".repeat(64)] {
            assert_eq!(MappingName::parse(good).map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "a b", "a/b", "ñ", "a@b", "a\0", &"x".repeat(65)] {
            assert_eq!(MappingName::parse(bad), Err(InvalidMappingName), "{bad}");
        }
    }
}
