//! Password hashing: HMAC-SHA-384, then bcrypt.
//!
//! A stored hash reads `hmac-sha384:PEPPER:$2b$12$…`, where PEPPER is the id of the pepper that keyed the HMAC, or `-`.
//! docs/decisions/0005-passwords-and-tokens.md gives the reasons.

use std::fmt;
use std::hint::black_box;
use std::str::FromStr;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha384;

use crate::fingerprint::fingerprint;
use crate::new_password::canonical;
use crate::store::PasswordHash;

const SCHEME: &str = "hmac-sha384";
/// The id of the pepper in hashes that were made without one.
pub const NO_PEPPER: &str = "-";

/// Keys the HMAC if no pepper is configured. A key of its own keeps SHA-384 digests that leaked elsewhere from being
/// tried against MASS's hashes ("password shucking").
const UNPEPPERED_KEY: &[u8] = b"mass password v1";

/// The cost of bcrypt: the base-2 logarithm of its number of rounds. One more doubles the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(u32);

/// The number is outside the costs that MASS accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a bcrypt cost from {} to {}", Cost::MIN, Cost::MAX)]
pub struct InvalidCost;

impl Cost {
    /// The lowest cost that MASS accepts (OWASP Password Storage Cheat Sheet).
    pub const MIN: u32 = 10;
    /// The highest cost of bcrypt.
    pub const MAX: u32 = 31;
    /// The lowest cost of bcrypt, for tests: no configuration accepts it.
    pub const FASTEST: Self = Self(4);

    /// The cost as a number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Default for Cost {
    /// 12: about a third of a second.
    fn default() -> Self {
        Self(12)
    }
}

impl TryFrom<u32> for Cost {
    type Error = InvalidCost;

    fn try_from(cost: u32) -> Result<Self, InvalidCost> {
        if (Self::MIN..=Self::MAX).contains(&cost) { Ok(Self(cost)) } else { Err(InvalidCost) }
    }
}

impl FromStr for Cost {
    type Err = InvalidCost;

    fn from_str(text: &str) -> Result<Self, InvalidCost> {
        text.parse::<u32>().map_err(|_| InvalidCost)?.try_into()
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A secret outside the database, without which stolen hashes cannot be attacked.
#[derive(Clone)]
pub struct Pepper {
    version: String,
    mac: Hmac<Sha384>,
}

/// The pepper is too short to withstand guessing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a pepper of at least {} bytes", Pepper::MIN_BYTES)]
pub struct ShortPepper;

impl Pepper {
    /// The minimum length in bytes.
    pub const MIN_BYTES: usize = 32;

    /// Takes the bytes of a text as a pepper.
    ///
    /// # Errors
    /// [`ShortPepper`] below [`MIN_BYTES`](Self::MIN_BYTES).
    pub fn parse(text: &SecretString) -> Result<Self, ShortPepper> {
        let key = text.expose_secret().as_bytes();
        if key.len() < Self::MIN_BYTES {
            return Err(ShortPepper);
        }
        Ok(Self { version: fingerprint("mass password pepper", key), mac: keyed(key) })
    }

    /// Returns the id of the pepper that hashes carry.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// Returns the id of the pepper that a stored hash was made with: [`NO_PEPPER`] for none, `None` if it is malformed.
#[must_use]
pub fn pepper_of(stored: &str) -> Option<&str> {
    let (scheme, rest) = stored.split_once(':')?;
    Some(rest.split_once(':')?.0).filter(|_| scheme == SCHEME)
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pepper").field(&self.version).finish()
    }
}

/// The result of comparing a password with a stored hash.
#[derive(Debug, PartialEq, Eq)]
pub enum Verification {
    /// The password is another one, or there is no hash.
    Mismatch,
    /// The password matches.
    Match {
        /// The same password with today's cost and pepper, if the stored hash is weaker.
        rehashed: Option<PasswordHash>,
    },
    /// The stored hash cannot be compared with any password.
    Unreadable(UnreadableHash),
}

/// The reasons for which a stored hash cannot be compared. An operator has to act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableHash {
    /// It was made with a pepper that is not configured.
    #[error("the password was hashed with the pepper {0:?}, which is not the configured one")]
    OtherPepper(String),
    /// It does not have the form of MASS's hashes.
    #[error("the stored password hash is malformed")]
    Malformed,
}

/// Hashes and compares passwords. Each call keeps one processor busy for the time that the cost sets.
pub(crate) struct Hasher {
    cost: Cost,
    pepper: Option<Pepper>,
    unpeppered: Hmac<Sha384>,
}

/// A stored hash, split into its parts.
struct ParsedHash<'a> {
    mac: &'a Hmac<Sha384>,
    bcrypt: &'a str,
    cost: u32,
    outdated: bool,
}

impl Hasher {
    pub(crate) fn new(cost: Cost, pepper: Option<Pepper>) -> Self {
        Self { cost, pepper, unpeppered: keyed(UNPEPPERED_KEY) }
    }

    /// Hashes a password in canonical form.
    pub(crate) fn hash(&self, canonical: &str) -> anyhow::Result<PasswordHash> {
        let (version, mac) = match &self.pepper {
            Some(pepper) => (pepper.version.as_str(), &pepper.mac),
            None => (NO_PEPPER, &self.unpeppered),
        };
        let bcrypt = bcrypt::non_truncating_hash(prehash(mac, canonical).as_str(), self.cost.0).context("bcrypt")?;
        Ok(PasswordHash::from_stored(format!("{SCHEME}:{version}:{bcrypt}")))
    }

    /// Compares a typed password with a stored hash. All refusals take the same time.
    pub(crate) fn verify(&self, typed: &str, stored: Option<&PasswordHash>) -> anyhow::Result<Verification> {
        let (Some(password), Some(stored)) = (canonical(typed), stored) else {
            self.spend(None);
            return Ok(Verification::Mismatch);
        };
        let target = match self.read(stored.as_str()) {
            Ok(target) => target,
            Err(unreadable) => {
                self.spend(None);
                return Ok(Verification::Unreadable(unreadable));
            }
        };
        let prehash = prehash(target.mac, &password);
        if bcrypt::non_truncating_verify(prehash.as_str(), target.bcrypt).context("bcrypt")? {
            let rehashed = if target.outdated { Some(self.hash(&password)?) } else { None };
            Ok(Verification::Match { rehashed })
        } else {
            self.spend(Some(target.cost));
            Ok(Verification::Mismatch)
        }
    }

    fn read<'a>(&'a self, stored: &'a str) -> Result<ParsedHash<'a>, UnreadableHash> {
        let mut parts = stored.splitn(3, ':');
        let (Some(SCHEME), Some(version), Some(bcrypt)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(UnreadableHash::Malformed);
        };
        let cost = bcrypt.parse::<bcrypt::HashParts>().map_err(|_| UnreadableHash::Malformed)?.get_cost();
        // Hashes below MASS's own minimum are still valid bcrypt, whose minimum is 4.
        if !(4..=Cost::MAX).contains(&cost) {
            return Err(UnreadableHash::Malformed);
        }
        let mac = match &self.pepper {
            _ if version == NO_PEPPER => &self.unpeppered,
            Some(pepper) if version == pepper.version => &pepper.mac,
            _ => return Err(UnreadableHash::OtherPepper(version.to_owned())),
        };
        let outdated = cost < self.cost.0 || (version == NO_PEPPER && self.pepper.is_some());
        Ok(ParsedHash { mac, bcrypt, cost, outdated })
    }

    /// Spends the time that is missing to one comparison at the configured cost, after a comparison at the cost `spent`
    /// if there was one. Otherwise a faster refusal of cheaper hashes and unknown users would tell which addresses
    /// exist.
    fn spend(&self, spent: Option<u32>) {
        // 2^c + 2^c + 2^(c+1) + … + 2^(n-1) = 2^n
        let missing = spent.map_or(self.cost.0..self.cost.0 + 1, |spent| spent..self.cost.0);
        for cost in missing {
            black_box(bcrypt::bcrypt(cost, black_box([0; 16]), b"-"));
        }
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of every length (RFC 2104, section 3)")]
fn keyed(key: &[u8]) -> Hmac<Sha384> {
    Hmac::new_from_slice(key).expect("a key for HMAC")
}

/// Condenses a password to 64 characters, because bcrypt reads at most 72 bytes and stops at a zero byte.
fn prehash(mac: &Hmac<Sha384>, canonical: &str) -> Zeroizing<String> {
    let digest = mac.clone().chain_update(canonical).finalize().into_bytes();
    Zeroizing::new(STANDARD.encode(Zeroizing::new(<[u8; 48]>::from(digest))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "correct horse battery staple";

    fn cost(cost: u32) -> Cost {
        Cost::try_from(cost).unwrap()
    }

    fn pepper(fill: &str) -> Pepper {
        Pepper::parse(&SecretString::from(fill.repeat(32))).unwrap()
    }

    fn plain() -> Hasher {
        Hasher::new(cost(10), None)
    }

    fn matches(verification: Verification) -> bool {
        matches!(verification, Verification::Match { rehashed: None })
    }

    #[test]
    fn a_cost_is_10_to_31() {
        assert_eq!("10".parse(), Ok(cost(10)));
        assert_eq!("31".parse(), Ok(cost(31)));
        for bad in ["9", "32", "-1", "", "ten", "4294967306"] {
            assert_eq!(bad.parse::<Cost>(), Err(InvalidCost), "{bad}");
        }
        assert_eq!(Cost::default().to_string(), "12");
        assert_eq!(InvalidCost.to_string(), "expected a bcrypt cost from 10 to 31");
    }

    #[test]
    fn a_pepper_has_32_bytes_and_is_not_printed() {
        assert_eq!(Pepper::parse(&SecretString::from("p".repeat(31))).err(), Some(ShortPepper));
        assert!(!format!("{:?}", pepper("p")).contains("ppp"));
    }

    #[test]
    fn a_hash_names_its_scheme_and_matches_only_its_password() {
        let hasher = plain();
        let hash = hasher.hash(PASSWORD).unwrap();
        assert!(hash.as_str().starts_with("hmac-sha384:-:$2b$10$"), "{}", hash.as_str());
        assert!(matches(hasher.verify(PASSWORD, Some(&hash)).unwrap()));
        for other in ["", "correct horse battery stapl", "Correct horse battery staple", &PASSWORD.repeat(100)] {
            assert_eq!(hasher.verify(other, Some(&hash)).unwrap(), Verification::Mismatch, "{other}");
        }
        assert_eq!(hasher.verify(PASSWORD, None).unwrap(), Verification::Mismatch);
        assert_ne!(hash, hasher.hash(PASSWORD).unwrap());
    }

    #[test]
    fn compares_all_bytes_of_a_password() {
        let hasher = plain();
        let long = "x".repeat(255);
        let hash = hasher.hash(&format!("{long}a")).unwrap();
        assert!(matches(hasher.verify(&format!("{long}a"), Some(&hash)).unwrap()));
        assert_eq!(hasher.verify(&format!("{long}b"), Some(&hash)).unwrap(), Verification::Mismatch);
        // bcrypt alone would stop at the zero byte, and truncate at 72 bytes.
        let hash = hasher.hash("zero\0byte one").unwrap();
        assert_eq!(hasher.verify("zero\0byte two", Some(&hash)).unwrap(), Verification::Mismatch);
    }

    #[test]
    fn a_decomposed_spelling_is_the_same_password() {
        let hasher = plain();
        let hash = hasher.hash("caf\u{e9} caf\u{e9} caf\u{e9}").unwrap();
        assert!(matches(hasher.verify("cafe\u{301} cafe\u{301} cafe\u{301}", Some(&hash)).unwrap()));
    }

    /// Computed with Python's hmac and libxcrypt.
    #[test]
    fn the_stored_form_is_the_documented_one() {
        let stored = "hmac-sha384:-:$2b$10$MASSMASSMASSMASSMASSMO.S52S22huiesHtvnO9UBjZiCN1E9BLm".to_owned();
        assert!(matches(plain().verify(PASSWORD, Some(&PasswordHash::from_stored(stored))).unwrap()));
        let stored =
            "hmac-sha384:03dce69008ced702:$2b$10$MASSMASSMASSMASSMASSMOz9hOn6D8mAYoEpb.GqM16RHTjMpgPlW".to_owned();
        let peppered = Hasher::new(cost(10), Some(pepper("p")));
        assert!(matches(peppered.verify(PASSWORD, Some(&PasswordHash::from_stored(stored))).unwrap()));
    }

    #[test]
    fn weaker_hashes_are_upgraded_after_a_match() {
        let (weak, strong) = (plain(), Hasher::new(cost(11), Some(pepper("p"))));
        let old = weak.hash(PASSWORD).unwrap();
        assert_eq!(strong.verify("wrong", Some(&old)).unwrap(), Verification::Mismatch);
        let Verification::Match { rehashed: Some(new) } = strong.verify(PASSWORD, Some(&old)).unwrap() else {
            panic!("no new hash");
        };
        assert!(new.as_str().starts_with(&format!("hmac-sha384:{}:$2b$11$", pepper("p").version())));
        assert!(matches(strong.verify(PASSWORD, Some(&new)).unwrap()));
        // A lower cost causes no rehash.
        assert!(matches(Hasher::new(cost(10), Some(pepper("p"))).verify(PASSWORD, Some(&new)).unwrap()));
    }

    #[test]
    fn reports_why_a_stored_hash_is_unreadable() {
        let peppered = Hasher::new(cost(10), Some(pepper("p")));
        let hash = peppered.hash(PASSWORD).unwrap();
        let unreadable = Verification::Unreadable(UnreadableHash::OtherPepper(pepper("p").version().to_owned()));
        assert_eq!(plain().verify(PASSWORD, Some(&hash)).unwrap(), unreadable);
        assert_eq!(Hasher::new(cost(10), Some(pepper("q"))).verify(PASSWORD, Some(&hash)).unwrap(), unreadable);
        for bad in ["", "hmac-sha384:-", "hmac-sha384:-:", "sha1:-:$2b$10$", "hmac-sha384:-:$2b$99$", "$2b$10$é"] {
            let padded = format!("{bad}{}", ".".repeat(53));
            let verification = plain().verify(PASSWORD, Some(&PasswordHash::from_stored(padded))).unwrap();
            assert_eq!(verification, Verification::Unreadable(UnreadableHash::Malformed), "{bad}");
        }
    }
}
