//! Refresh tokens: random, opaque to clients, stored as hashes.
//!
//! Format: `mrt_` and the base64url of the length of the tenant's name, the name, and 32 random bytes. The name is
//! included because every look-up is within a tenant; only the random bytes prove anything.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mass_domain::tenancy::TenantId;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// Identifies the kind of token, for people and for secret scanners.
const PREFIX: &str = "mrt_";
const RANDOM_BYTES: usize = 32;
/// The longest token: a tenant with a name of 63 characters.
const MAX_BYTES: usize = PREFIX.len() + (1 + 63 + RANDOM_BYTES).div_ceil(3) * 4;

/// The stored hash of a refresh token. The token has 256 random bits, so that a plain hash can be neither guessed nor
/// reversed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RefreshTokenHash([u8; 32]);

impl RefreshTokenHash {
    /// Wraps a stored hash.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the hash for storage.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A refresh token, generated or presented. `Debug` does not show it.
#[derive(Clone)]
pub(crate) struct RefreshToken {
    text: SecretString,
    tenant: TenantId,
}

impl RefreshToken {
    /// Generates a token for a tenant.
    pub(crate) fn generate(tenant: &TenantId) -> Self {
        let random = Zeroizing::new(rand::random::<[u8; RANDOM_BYTES]>());
        let name = tenant.as_str().as_bytes();
        let mut bytes = Zeroizing::new(Vec::with_capacity(1 + name.len() + RANDOM_BYTES));
        // A tenant's name has at most 63 bytes.
        bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(random.as_slice());
        let text = SecretString::from(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes.as_slice())));
        Self { text, tenant: tenant.clone() }
    }

    /// Parses a token; `None` if it does not have the form of MASS's tokens.
    pub(crate) fn parse(text: &SecretString) -> Option<Self> {
        let encoded = text.expose_secret().strip_prefix(PREFIX).filter(|rest| rest.len() <= MAX_BYTES)?;
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded).ok()?);
        let (length, rest) = bytes.split_first()?;
        let (name, random) = rest.split_at_checked(usize::from(*length))?;
        let tenant = std::str::from_utf8(name).ok().and_then(|name| TenantId::parse(name).ok())?;
        (random.len() == RANDOM_BYTES).then(|| Self { text: text.clone(), tenant })
    }

    /// Returns the tenant that the token names.
    pub(crate) const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Returns the text of the token.
    pub(crate) const fn secret(&self) -> &SecretString {
        &self.text
    }

    /// Returns the hash that is stored.
    pub(crate) fn hash(&self) -> RefreshTokenHash {
        RefreshTokenHash(Sha256::digest(self.text.expose_secret()).into())
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshToken").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<RefreshToken> {
        RefreshToken::parse(&SecretString::from(text))
    }

    #[test]
    fn generated_tokens_are_unique_and_parse_with_their_tenant() {
        for name in ["a", "default", &"a".repeat(63)] {
            let tenant = TenantId::parse(name).unwrap();
            let token = RefreshToken::generate(&tenant);
            let read = parse(token.secret().expose_secret()).unwrap();
            assert_eq!((read.tenant(), read.hash()), (&tenant, token.hash()));
            assert_ne!(RefreshToken::generate(&tenant).hash(), token.hash());
            assert!(!format!("{token:?}").contains(&token.secret().expose_secret()[4..]));
        }
    }

    #[test]
    fn malformed_tokens_are_refused() {
        let token = RefreshToken::generate(&TenantId::parse("default").unwrap());
        let good = token.secret().expose_secret();
        for bad in
            ["", "mrt_", "mrt_AA", "mrt__w", "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl", &good[4..], &format!("{good}=")]
        {
            assert!(parse(bad).is_none(), "{bad}");
        }
        for end in 0..good.len() {
            assert!(parse(&good[..end]).is_none(), "{end}");
        }
        assert!(parse(&format!("mrt_{}", "A".repeat(1 << 20))).is_none());
    }

    #[test]
    fn a_token_has_one_spelling() {
        let token = RefreshToken::generate(&TenantId::parse("a").unwrap());
        let good = token.secret().expose_secret().to_owned();
        assert!(parse(&good.replace("mrt_", "MRT_")).is_none());
        assert!(parse(&format!("{good} ")).is_none());
    }
}
