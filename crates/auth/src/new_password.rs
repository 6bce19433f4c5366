//! Normalisation of passwords, and the rules for new ones.

use std::fmt;

use mass_domain::crockford::symbol;
use mass_domain::users::Email;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::UnicodeNormalization;

use crate::common_passwords;

/// The maximum number of characters of a password.
const MAX_CHARACTERS: usize = 256;

/// The maximum number of bytes that are normalised: enough for 256 characters of several code points each.
const MAX_BYTES: usize = 16 * MAX_CHARACTERS;

/// Converts a password to the form that is hashed: Unicode normalisation form C, so that an `é` typed on one system
/// equals the `é` of another (RFC 8265, section 4.2). Returns `None` if the text is too long for a password.
pub(crate) fn canonical(text: &str) -> Option<Zeroizing<String>> {
    if text.len() > MAX_BYTES {
        return None;
    }
    // Normalisation lengthens UTF-8 at most threefold. Enough capacity avoids a reallocation, which would leave a copy
    // behind.
    let mut canonical = Zeroizing::new(String::with_capacity(3 * text.len()));
    canonical.extend(text.nfc());
    (canonical.chars().count() <= MAX_CHARACTERS).then_some(canonical)
}

/// The reasons for which a password is too weak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Fewer characters than [`NewPassword::MIN_CHARACTERS`].
    #[error("expected a password of at least {} characters", NewPassword::MIN_CHARACTERS)]
    TooShort,
    /// More characters than [`NewPassword::MAX_CHARACTERS`].
    #[error("expected a password of at most {} characters", NewPassword::MAX_CHARACTERS)]
    TooLong,
    /// Consists only of common passwords, digits and repetitions.
    #[error("the password consists only of common passwords, digits and repetitions")]
    Common,
    /// Consists of the user's own e-mail address.
    #[error("the password consists of the user's own e-mail address")]
    OwnAddress,
}

impl WeakPassword {
    /// Returns a stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::Common => "common_password",
            Self::OwnAddress => "own_address",
        }
    }
}

/// A password that may be set: 15 to 256 characters of any kind that are not easy to guess (NIST SP 800-63B-4, section
/// 3.1.1.2).
#[derive(Clone)]
pub struct NewPassword(SecretString);

impl NewPassword {
    /// The minimum number of Unicode scalar values, counted in normalisation form C.
    pub const MIN_CHARACTERS: usize = 15;
    /// The maximum number of Unicode scalar values, counted in normalisation form C.
    pub const MAX_CHARACTERS: usize = MAX_CHARACTERS;

    /// Checks a password for the user with this e-mail address.
    ///
    /// # Errors
    /// [`WeakPassword`] if it breaks the rule.
    pub fn parse(text: &SecretString, email: &Email) -> Result<Self, WeakPassword> {
        let canonical = canonical(text.expose_secret()).ok_or(WeakPassword::TooLong)?;
        if canonical.chars().count() < Self::MIN_CHARACTERS {
            return Err(WeakPassword::TooShort);
        }
        if common_passwords::is_common(&canonical) {
            return Err(WeakPassword::Common);
        }
        if common_passwords::is_made_of(&canonical, email) {
            return Err(WeakPassword::OwnAddress);
        }
        Ok(Self(SecretString::from(canonical.as_str())))
    }

    /// Generates a random password of 140 bits, in a form that can be read out and copied by hand.
    #[must_use]
    pub fn generate() -> Self {
        const GROUPS: usize = 7;
        const GROUP: usize = 4;
        let random = Zeroizing::new(rand::random::<[u8; GROUPS * GROUP]>());
        let mut text = Zeroizing::new(String::with_capacity(GROUPS * (GROUP + 1)));
        for (at, byte) in random.iter().enumerate() {
            if at > 0 && at % GROUP == 0 {
                text.push('-');
            }
            text.push(symbol(*byte));
        }
        Self(SecretString::from(text.as_str()))
    }

    /// Returns the password, to be shown once or typed in.
    #[must_use]
    pub const fn secret(&self) -> &SecretString {
        &self.0
    }
}

impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPassword(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<NewPassword, WeakPassword> {
        NewPassword::parse(&SecretString::from(text), &Email::parse("ana.lopez@example.test").unwrap())
    }

    /// Builds a password of distinct characters of several kinds.
    fn varied(length: usize) -> String {
        "aé 🔑Z".chars().cycle().zip(('a'..='z').cycle()).flat_map(|(a, b)| [a, b]).take(length).collect()
    }

    #[test]
    fn a_password_has_15_to_256_characters_of_any_kind() {
        assert_eq!(parse(&"é".repeat(14)).err(), Some(WeakPassword::TooShort));
        for good in [varied(15), varied(256), "e\u{301}a\u{301}o\u{301}u\u{301}i\u{301} a e".repeat(25)] {
            assert!(parse(&good).is_ok(), "{good}");
        }
        for long in ["a".repeat(257), "a\u{301}".repeat(257), "a".repeat(1 << 20)] {
            assert_eq!(parse(&long).err(), Some(WeakPassword::TooLong));
        }
        assert_eq!(WeakPassword::TooShort.to_string(), "expected a password of at least 15 characters");
    }

    #[test]
    fn easily_guessed_passwords_are_refused() {
        for common in ["passwordPASSWORD", "qwertyuiop123456", "                "] {
            assert_eq!(parse(common).err(), Some(WeakPassword::Common), "{common}");
        }
        for own in ["Ana.Lopez@example.test", "ana.lopezana.lopez"] {
            assert_eq!(parse(own).err(), Some(WeakPassword::OwnAddress), "{own}");
        }
        assert!(parse("correct horse battery staple").is_ok());
    }

    #[test]
    fn two_spellings_of_a_character_are_the_same() {
        assert_eq!(canonical("caf\u{e9}"), canonical("cafe\u{301}"));
        assert_ne!(canonical("cafe"), canonical("caf\u{e9}"));
    }

    #[test]
    fn a_generated_password_is_readable_acceptable_and_new_each_time() {
        let password = NewPassword::generate();
        let text = password.secret().expose_secret();
        assert_eq!(text.len(), 34);
        assert!(text.split('-').all(|group| group.len() == 4 && group.bytes().all(|b| b.is_ascii_alphanumeric())));
        assert!(parse(text).is_ok());
        assert_ne!(text, NewPassword::generate().secret().expose_secret());
    }

    #[test]
    fn a_password_is_not_printed() {
        let password = parse("correct horse battery").unwrap();
        assert!(!format!("{password:?}").contains("horse"));
    }
}
