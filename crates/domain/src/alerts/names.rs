//! The names of rules and webhooks, which are unique within a tenant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::mappings::MappingName;
use crate::page::RowKey;

macro_rules! plain_name {
    ($(#[$meta:meta])* $name:ident, $invalid:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        /// Error for a text that is not such a name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        #[error("expected 1 to 64 ASCII letters, digits, full stops, underscores and hyphens")]
        pub struct $invalid;

        impl $name {
            /// Parses a name.
            ///
            /// # Errors
            /// If the text is empty, longer than 64 characters, or has others than the allowed ones.
            pub fn parse(text: &str) -> Result<Self, $invalid> {
                let is_name = (1..=64).contains(&text.len()) && text.chars().all(MappingName::allows);
                if is_name { Ok(Self(text.into())) } else { Err($invalid) }
            }

            /// Returns the name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = $invalid;

            fn from_str(text: &str) -> Result<Self, $invalid> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $invalid;

            fn try_from(text: String) -> Result<Self, $invalid> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }

        impl RowKey for $name {
            fn to_bytes(&self) -> Vec<u8> {
                self.0.as_bytes().to_vec()
            }

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                Self::parse(std::str::from_utf8(bytes).ok()?).ok()
            }
        }
    };
}

plain_name!(
    /// The name of an alert rule: 1 to 64 ASCII letters, digits, `.`, `_` and `-`.
    RuleName,
    InvalidRuleName
);
plain_name!(
    /// The name of a webhook: 1 to 64 ASCII letters, digits, `.`, `_` and `-`.
    WebhookName,
    InvalidWebhookName
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_64_plain_characters() {
        for good in ["a", "Hall-7_hot.v2", &"x".repeat(64)] {
            assert_eq!(RuleName::parse(good).map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "a b", "a/b", "ñ", "a\0", &"x".repeat(65)] {
            assert_eq!(RuleName::parse(bad), Err(InvalidRuleName), "{bad}");
            assert!(serde_json::from_value::<WebhookName>(bad.into()).is_err(), "{bad}");
        }
    }
}
