//! E-mail addresses.

use std::fmt;
use std::str::FromStr;

use crate::characters::Hidden;
use crate::ids::UserId;

/// An e-mail address in lower case: the login name of a user, unique across all tenants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(Box<str>);

/// Error for a text that is not an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEmail {
    /// The address has another form.
    #[error("an e-mail address must have the form name@host, at most 254 characters and no spaces")]
    Form,
    /// The address contains a hidden character.
    #[error("an e-mail address must not contain control characters or characters that reorder or hide text: found {0}")]
    Hidden(Hidden),
}

impl Email {
    /// Parses the address of a new account and converts it to lower case.
    ///
    /// Only a delivered message proves that an address exists. This check refuses what cannot be one: more than 254
    /// characters (RFC 5321, section 4.5.3.1.3), no `@`, an empty side, white space. It also refuses [hidden
    /// characters](crate::characters::is_hidden), with which one address looks like another.
    ///
    /// # Errors
    /// [`InvalidEmail`].
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        Hidden::first_in(text).map_or_else(|| Self::parse_existing(text), |hidden| Err(InvalidEmail::Hidden(hidden)))
    }

    /// Returns the text in the place of a deleted user's address: no message can be sent to it (RFC 2606, section 2).
    #[must_use]
    pub fn of_deleted(id: UserId) -> Self {
        Self(format!("{id}@deleted.invalid").into())
    }

    /// Parses the address of an existing account. Version 0.1 accepted some addresses that [`parse`](Self::parse)
    /// refuses.
    ///
    /// # Errors
    /// [`InvalidEmail::Form`].
    pub fn parse_existing(text: &str) -> Result<Self, InvalidEmail> {
        let plain = |c: char| !c.is_whitespace() && !c.is_control();
        let (name, host) = text.rsplit_once('@').ok_or(InvalidEmail::Form)?;
        if name.is_empty() || host.is_empty() || text.chars().count() > 254 || !text.chars().all(plain) {
            return Err(InvalidEmail::Form);
        }
        Ok(Self(text.to_lowercase().into()))
    }

    /// Returns the address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Email {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_addresses_to_lower_case_and_refuses_invalid_ones() {
        assert_eq!(Email::parse("Ana@Example.Test").unwrap().as_str(), "ana@example.test");
        for bad in ["", "ana", "@host", "ana@", "a b@host", "a@b\n", &format!("{}@h", "a".repeat(253))] {
            assert!(Email::parse(bad).is_err() && Email::parse_existing(bad).is_err(), "{bad:?}");
        }
        for hidden in ['\u{61c}', '\u{200e}', '\u{202e}', '\u{2069}', '\u{feff}'] {
            let text = format!("an{hidden}a@example.test");
            let refused = Email::parse(&text).unwrap_err().to_string();
            assert!(refused.ends_with(&format!("found U+{:04X}", u32::from(hidden))), "{refused}");
            assert_eq!(Email::parse_existing(&text).unwrap().as_str(), text);
        }
    }
}
