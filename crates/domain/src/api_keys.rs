//! API keys: the credentials of gateways and scripts.
//!
//! The token of a key is `mass_PREFIX_SECRET`. The prefix is public: lists show it, searches use it and logs contain
//! it. MASS stores only the SHA-256 of the secret. A slow password hash would add nothing: the secret has 160 random
//! bits, so it cannot be guessed.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::access::{Actor, Permission, Principal};
use crate::characters::Hidden;
use crate::crockford::{is_symbols, symbol};
use crate::ids::ApiKeyId;
use crate::tenancy::TenantId;
use crate::time::Timestamp;

const MARK: &str = "mass_";

/// The public part of a token, unique across all tenants: 12 symbols of Crockford's base 32.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPrefix(Box<str>);

/// Error for a text that is not a token prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key's prefix must have {} characters of 0-9 and a-z without i, l, o and u", KeyPrefix::LENGTH)]
pub struct InvalidKeyPrefix;

impl KeyPrefix {
    const LENGTH: usize = 12;

    /// Returns the prefix as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyPrefix {
    type Err = InvalidKeyPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidKeyPrefix> {
        if is_symbols(text, Self::LENGTH) { Ok(Self(text.into())) } else { Err(InvalidKeyPrefix) }
    }
}

/// The stored SHA-256 of a token's secret. Compares in constant time.
#[derive(Clone, Copy)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// Builds a digest from its stored bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes to store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for SecretDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretDigest {}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretDigest(…)")
    }
}

/// A complete token. Anybody who holds it can act as the key. `Debug` shows only the prefix.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyToken {
    prefix: KeyPrefix,
    secret: Box<str>,
}

/// Error for a text that does not have the form of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an API key must have the form mass_PREFIX_SECRET")]
pub struct InvalidKeyToken;

impl KeyToken {
    const SECRET_LENGTH: usize = 32;
    /// Number of random bytes that [`from_random`](Self::from_random) uses: 60 bits of prefix and 160 bits of secret.
    pub const RANDOM_BYTES: usize = KeyPrefix::LENGTH + Self::SECRET_LENGTH;

    /// Tells whether a bearer token has the mark of an API key. No other kind of token begins with it.
    #[must_use]
    pub fn claims(text: &str) -> bool {
        text.starts_with(MARK)
    }

    /// Builds a token from random bytes, using 5 bits of each.
    #[must_use]
    pub fn from_random(random: &[u8; Self::RANDOM_BYTES]) -> Self {
        let (prefix, secret) = random.split_at(KeyPrefix::LENGTH);
        let text = |bytes: &[u8]| bytes.iter().copied().map(symbol).collect::<String>().into_boxed_str();
        Self { prefix: KeyPrefix(text(prefix)), secret: text(secret) }
    }

    /// Parses a token.
    ///
    /// # Errors
    /// [`InvalidKeyToken`] if the text has another form.
    pub fn parse(text: &str) -> Result<Self, InvalidKeyToken> {
        let (prefix, secret) = text.strip_prefix(MARK).and_then(|rest| rest.split_once('_')).ok_or(InvalidKeyToken)?;
        if !is_symbols(secret, Self::SECRET_LENGTH) {
            return Err(InvalidKeyToken);
        }
        Ok(Self { prefix: prefix.parse().map_err(|_| InvalidKeyToken)?, secret: secret.into() })
    }

    /// Returns the public part.
    #[must_use]
    pub const fn prefix(&self) -> &KeyPrefix {
        &self.prefix
    }

    /// Returns the digest of the secret, to be stored.
    #[must_use]
    pub fn digest(&self) -> SecretDigest {
        SecretDigest(Sha256::digest(self.secret.as_bytes()).into())
    }

    /// Returns the complete token, to be shown to its owner once.
    #[must_use]
    pub fn expose(&self) -> String {
        format!("{MARK}{}_{}", self.prefix, self.secret)
    }
}

impl fmt::Debug for KeyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyToken({MARK}{}_…)", self.prefix)
    }
}

/// The display name of a key: 1 to 100 characters, none of them [hidden](crate::characters::is_hidden).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName(Box<str>);

/// Error for a text that is not a key name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyName {
    /// The name is empty or too long.
    #[error("a name must have 1 to 100 characters")]
    Length,
    /// The name contains a hidden character.
    #[error("a name must not contain control characters or characters that reorder or hide text: found {0}")]
    Hidden(Hidden),
}

impl KeyName {
    /// Builds a name from stored text, without checks: earlier versions allowed more names.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text.into())
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyName {
    type Err = InvalidKeyName;

    /// Trims white space, then parses the name.
    fn from_str(text: &str) -> Result<Self, InvalidKeyName> {
        let text = text.trim();
        match Hidden::first_in(text) {
            Some(hidden) => Err(InvalidKeyName::Hidden(hidden)),
            None if (1..=100).contains(&text.chars().count()) => Ok(Self(text.into())),
            None => Err(InvalidKeyName::Length),
        }
    }
}

/// A range of client addresses: an IPv4 or IPv6 network in CIDR notation (RFC 4632, RFC 4291).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressRange(IpNet);

/// Error for a text that is not an address range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an address with or without a prefix length, such as 192.0.2.0/24 or 2001:db8::/32")]
pub struct InvalidAddressRange;

impl AddressRange {
    /// Tells whether the range contains the address. An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) counts as its
    /// IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Tells whether the other range contains every address of this one.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        other.0.contains(&self.0)
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for AddressRange {
    type Err = InvalidAddressRange;

    /// Parses a network or a single address. Drops the bits after the prefix.
    fn from_str(text: &str) -> Result<Self, InvalidAddressRange> {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let network = network.map_err(|_| InvalidAddressRange)?.trunc();
        // An IPv4-mapped range would never match, because `contains` converts addresses to IPv4.
        let mapped = network.addr() != network.addr().to_canonical();
        if mapped { Err(InvalidAddressRange) } else { Ok(Self(network)) }
    }
}

/// Maximum number of address ranges of a key.
pub const MAX_ADDRESS_RANGES: usize = 32;

/// An API key without its secret. It belongs to a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The key's id.
    pub id: ApiKeyId,
    /// The tenant whose data the key can reach.
    pub tenant_id: TenantId,
    /// The public part of the token.
    pub prefix: KeyPrefix,
    /// The display name.
    pub name: KeyName,
    /// Permissions granted to the key.
    pub permissions: BTreeSet<Permission>,
    /// Addresses that may use the key; empty for any address.
    pub addresses: BTreeSet<AddressRange>,
    /// Instant from which the key is refused; `None` if it never expires.
    pub expires_at: Option<Timestamp>,
    /// Instant of the last use, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// Instant of creation.
    pub created_at: Timestamp,
    /// The user or key that created it.
    pub created_by: Actor,
    /// Instant of revocation. Revoking is permanent.
    pub revoked_at: Option<Timestamp>,
}

/// Reason why a key with a correct token is refused. For the log, never for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedKey {
    /// The key was revoked.
    #[error("the API key is revoked")]
    Revoked,
    /// The key has expired.
    #[error("the API key has expired")]
    Expired,
    /// The client address is outside the key's address ranges.
    #[error("the API key may not be used from this address")]
    ForeignAddress,
}

impl ApiKey {
    /// Checks whether the key is usable at this instant from this client address.
    ///
    /// # Errors
    /// [`RefusedKey`]. A key with address ranges is refused if the client address is unknown.
    pub fn check(&self, now: Timestamp, address: Option<IpAddr>) -> Result<(), RefusedKey> {
        if self.revoked_at.is_some() {
            return Err(RefusedKey::Revoked);
        }
        if self.expires_at.is_some_and(|end| now >= end) {
            return Err(RefusedKey::Expired);
        }
        let within = |address| self.addresses.iter().any(|range| range.contains(address));
        if !self.addresses.is_empty() && !address.is_some_and(within) {
            return Err(RefusedKey::ForeignAddress);
        }
        Ok(())
    }

    /// Converts the key to a principal.
    #[must_use]
    pub fn into_principal(self) -> Principal {
        Principal::api_key(self.id, self.tenant_id, self.permissions)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_micros(seconds * 1_000_000).unwrap()
    }

    fn key() -> ApiKey {
        ApiKey {
            id: ApiKeyId::from_uuid(Uuid::nil()),
            tenant_id: TenantId::parse("default").unwrap(),
            prefix: "0123456789ab".parse().unwrap(),
            name: "gateway".parse().unwrap(),
            permissions: BTreeSet::from([Permission::MassWrite]),
            addresses: BTreeSet::new(),
            expires_at: None,
            last_used_at: None,
            created_at: at(0),
            created_by: Actor::System,
            revoked_at: None,
        }
    }

    #[test]
    fn parses_its_own_tokens_and_hides_the_secret_in_debug_output() {
        let random: Vec<u8> = (0..).take(KeyToken::RANDOM_BYTES).collect();
        let token = KeyToken::from_random(random.as_slice().try_into().unwrap());
        assert_eq!(token.expose(), "mass_0123456789ab_cdefghjkmnpqrstvwxyz0123456789ab");
        assert!(KeyToken::claims(&token.expose()));
        assert_eq!(KeyToken::parse(&token.expose()), Ok(token.clone()));
        assert_eq!(format!("{token:?}"), "KeyToken(mass_0123456789ab_…)");
        assert!(!format!("{:?}", token.digest()).contains(char::is_numeric));
    }

    #[test]
    fn refuses_texts_that_are_not_tokens() {
        let secret = "c".repeat(32);
        for bad in [
            String::new(),
            "mass_".to_owned(),
            "mass_0123456789ab".to_owned(),
            format!("mass_0123456789ab_{secret}c"),
            format!("mass_0123456789ab_{secret}_"),
            format!("mass_0123456789a_{secret}"),
            format!("mass_0123456789aI_{secret}"),
            format!("MASS_0123456789ab_{secret}"),
            format!("mass_0123456789ab_{}", secret.replace('c', "é")),
        ] {
            assert_eq!(KeyToken::parse(&bad), Err(InvalidKeyToken), "{bad}");
        }
    }

    #[test]
    fn different_secrets_have_different_digests() {
        let token = |byte| KeyToken::from_random(&[byte; KeyToken::RANDOM_BYTES]);
        assert_eq!(token(1).digest(), token(1).digest());
        assert_ne!(token(1).digest(), token(2).digest());
    }

    #[test]
    fn range_contains_exactly_its_addresses() {
        let holds =
            |range: &str, address: &str| range.parse::<AddressRange>().unwrap().contains(address.parse().unwrap());
        assert!(holds("192.0.2.0/24", "192.0.2.255") && !holds("192.0.2.0/24", "192.0.3.0"));
        assert!(holds("192.0.2.7", "192.0.2.7") && !holds("192.0.2.7", "192.0.2.8"));
        assert!(holds("192.0.2.0/24", "::ffff:192.0.2.1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1") && !holds("2001:db8::/32", "2001:db9::1"));
        assert!(holds("0.0.0.0/0", "203.0.113.1") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert_eq!("192.0.2.77/24".parse::<AddressRange>().unwrap().to_string(), "192.0.2.0/24");
        for bad in ["", "192.0.2", "192.0.2.0/33", "host.example", "::ffff:192.0.2.0/120", "192.0.2.0/24 "] {
            assert_eq!(bad.parse::<AddressRange>(), Err(InvalidAddressRange), "{bad}");
        }
    }

    #[test]
    fn range_is_within_itself_and_wider_ranges() {
        let within = |inner: &str, outer: &str| {
            inner.parse::<AddressRange>().unwrap().is_within(&outer.parse::<AddressRange>().unwrap())
        };
        assert!(within("192.0.2.0/24", "192.0.2.0/24") && within("192.0.2.7", "192.0.2.0/24"));
        assert!(!within("192.0.0.0/16", "192.0.2.0/24") && !within("192.0.3.0/24", "192.0.2.0/24"));
        assert!(within("2001:db8:1::/48", "2001:db8::/32") && !within("::/0", "0.0.0.0/0"));
    }

    #[test]
    fn refuses_revoked_and_expired_keys_and_foreign_addresses() {
        let here = Some("192.0.2.1".parse().unwrap());
        assert_eq!(key().check(at(5), None), Ok(()));
        let expiring = ApiKey { expires_at: Some(at(5)), ..key() };
        assert_eq!(expiring.check(at(4), here), Ok(()));
        assert_eq!(expiring.check(at(5), here), Err(RefusedKey::Expired));
        let bound = ApiKey { addresses: BTreeSet::from(["192.0.2.0/24".parse().unwrap()]), ..key() };
        assert_eq!(bound.check(at(5), here), Ok(()));
        assert_eq!(bound.check(at(5), Some("198.51.100.1".parse().unwrap())), Err(RefusedKey::ForeignAddress));
        assert_eq!(bound.check(at(5), None), Err(RefusedKey::ForeignAddress));
        let revoked = ApiKey { revoked_at: Some(at(1)), ..key() };
        assert_eq!(revoked.check(at(5), here), Err(RefusedKey::Revoked));
    }
}
