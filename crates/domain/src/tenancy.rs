//! Tenants: the organisations whose data must never meet.

use std::fmt;
use std::str::FromStr;

use crate::time::Timestamp;

/// A tenant's slug: 1–63 characters of `[a-z0-9-]`, beginning and ending with a letter or digit (a DNS label,
/// RFC 1123 section 2.1). It identifies the tenant in every table and in documents, and never changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(Box<str>);

/// The text cannot be a tenant's slug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tenant's slug has 1 to 63 characters of a-z, 0-9 and hyphen, and begins and ends with a letter or digit")]
pub struct InvalidTenantId;

impl TenantId {
    /// The slug of what belongs to no customer: start, stop, log-ins under an unknown address. Nobody can log in to it.
    pub const SYSTEM: &str = "system";

    /// Parses a slug.
    ///
    /// # Errors
    /// [`InvalidTenantId`] when the text is not a DNS label in lower case.
    pub fn parse(text: &str) -> Result<Self, InvalidTenantId> {
        let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = text.as_bytes();
        let allowed = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
        if bytes.len() <= 63 && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidTenantId)
        }
    }

    /// The slug as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TenantId {
    type Err = InvalidTenantId;

    fn from_str(text: &str) -> Result<Self, InvalidTenantId> {
        Self::parse(text)
    }
}

/// An organisation that runs pilots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its slug.
    pub id: TenantId,
    /// When it was created.
    pub created_at: Timestamp,
}

/// What a tenant may use at most; nothing is counted where nothing is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Requests to the API in a day of UTC.
    pub requests_per_day: Option<u64>,
    /// Bytes of stored documents.
    pub stored_bytes: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_a_lower_case_dns_label() {
        for good in ["a", "default", "site-7", "0", &"a".repeat(63)] {
            assert_eq!(TenantId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", "é", " a", &"a".repeat(64)] {
            assert_eq!(TenantId::parse(bad), Err(InvalidTenantId), "{bad}");
        }
    }
}
